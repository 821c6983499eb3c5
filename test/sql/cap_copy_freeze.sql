--
-- COPY FREEZE calls rows committed and their pages all-visible that are neither
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT FROM instance_env.create_application('freeze test', development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'd0000000-0000-4000-8000-000000000002');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 5);
CREATE SCHEMA freeze_test;
SET search_path = freeze_test;
CREATE TABLE parted (id integer PRIMARY KEY, instance_id uuid NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
SELECT FROM instance_env.guard('parted', user_key => '');
INSERT INTO parted SELECT i, 'd0000000-0000-4000-8000-000000000001' FROM generate_series(101, 103) i;

-- more than fit
BEGIN;
TRUNCATE parted_1;
COPY parted_1 FROM STDIN (FREEZE);
1	d0000000-0000-4000-8000-000000000001
2	d0000000-0000-4000-8000-000000000001
3	d0000000-0000-4000-8000-000000000001
\.
ROLLBACK;
-- of an instance that is not active
BEGIN;
TRUNCATE parted_1;
COPY parted_1 FROM STDIN (FREEZE);
1	d0000000-0000-4000-8000-000000000002
\.
ROLLBACK;
-- into a partition of the same transaction, in a savepoint, after rows that moved
BEGIN;
UPDATE parted SET id = id - 100 WHERE id = 103;
SAVEPOINT s;
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (200) TO (300);
COPY parted_3 FROM STDIN (FREEZE);
201	d0000000-0000-4000-8000-000000000001
202	d0000000-0000-4000-8000-000000000001
203	d0000000-0000-4000-8000-000000000001
\.
ROLLBACK;
-- as many as fit, and then one more
BEGIN;
TRUNCATE parted_1;
COPY parted_1 FROM STDIN (FREEZE);
1	d0000000-0000-4000-8000-000000000001
2	d0000000-0000-4000-8000-000000000001
\.
SAVEPOINT s;
INSERT INTO parted VALUES (3, 'd0000000-0000-4000-8000-000000000001');
ROLLBACK TO s;
COMMIT;
INSERT INTO parted VALUES (3, 'd0000000-0000-4000-8000-000000000001');
SELECT tableoid::regclass, count(*) FROM parted GROUP BY 1 ORDER BY 1;
-- frozen, deleted and still within the transaction
BEGIN;
TRUNCATE parted_1;
COPY parted_1 FROM STDIN (FREEZE);
1	d0000000-0000-4000-8000-000000000001
2	d0000000-0000-4000-8000-000000000001
\.
DELETE FROM parted WHERE id = 1;
INSERT INTO parted VALUES (3, 'd0000000-0000-4000-8000-000000000001');
SAVEPOINT s;
INSERT INTO parted VALUES (4, 'd0000000-0000-4000-8000-000000000001');
ROLLBACK;

DROP SCHEMA freeze_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id('freeze test'));
