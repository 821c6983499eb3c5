--
-- A user never changes instance: what is said, and each way alone in its transaction
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id, production_id FROM instance_env.create_application('transfer test', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'transfer-dev', 'transfer-prod');
SELECT development_id FROM instance_env.create_application('transfer other', 'free',
	'd0000000-0000-4000-8000-000000000002', development_key => 'transfer-dev2');
CREATE SCHEMA transfer_test;
SET search_path = transfer_test;
CREATE TABLE users (id text PRIMARY KEY, tenant text, n integer);
CREATE INDEX ON users (tenant);
SELECT FROM instance_env.guard('users', 'tenant');
INSERT INTO users SELECT 'user ' || i, 'transfer-dev', i FROM generate_series(1, 9) i;
INSERT INTO users VALUES ('other', 'transfer-dev2');

-- in place
UPDATE users SET tenant = 'transfer-dev2' WHERE n = 1;
\echo :SQLSTATE
UPDATE users SET tenant = 'transfer-nowhere' WHERE n = 1;
UPDATE users SET tenant = NULL WHERE n = 1;
INSERT INTO users VALUES ('user 1', 'transfer-dev') ON CONFLICT (id) DO UPDATE SET tenant = 'transfer-dev2';

-- by way of deletion, in one transaction and in two
BEGIN;
DELETE FROM users WHERE n = 1;
INSERT INTO users VALUES ('user 1', 'transfer-dev2');
ROLLBACK;
DELETE FROM users WHERE n = 1;
INSERT INTO users VALUES ('user 1', 'transfer-dev2');
\echo :SQLSTATE
INSERT INTO users VALUES ('user 1', 'transfer-dev', 1);

-- by one statement that frees the key and takes it; each is the first of its transaction
WITH gone AS (DELETE FROM users WHERE n = 2 RETURNING id) INSERT INTO users SELECT id, 'transfer-dev2' FROM gone;
WITH gone AS (UPDATE users SET id = 'user 2 was here' WHERE n = 2 RETURNING n)
	INSERT INTO users SELECT 'user 2', 'transfer-dev2' FROM gone;
WITH gone AS (DELETE FROM users WHERE n = 3 RETURNING id) UPDATE users SET id = gone.id FROM gone WHERE users.id = 'other';
WITH gone AS (UPDATE users SET id = 'user 3 was here' WHERE n = 3 RETURNING n)
	UPDATE users SET id = 'user 3' FROM gone WHERE users.id = 'other';
MERGE INTO users USING (VALUES (1, 'user 4', 'x'), (2, 'free', 'user 4')) s (step, id, new_id) ON users.id = s.id
	WHEN MATCHED THEN DELETE
	WHEN NOT MATCHED THEN INSERT VALUES (s.new_id, 'transfer-dev2');
MERGE INTO users USING (VALUES (1, 'user 5', 'user 5 was here'), (2, 'free', 'user 5')) s (step, id, new_id) ON users.id = s.id
	WHEN MATCHED THEN UPDATE SET id = s.new_id
	WHEN NOT MATCHED THEN INSERT VALUES (s.new_id, 'transfer-dev2');
CREATE FUNCTION make_way(key text) RETURNS text LANGUAGE plpgsql AS
$$BEGIN UPDATE users SET id = key || ' was here' WHERE id = key; RETURN key; END$$;
INSERT INTO users SELECT make_way('user 6'), 'transfer-dev2';
CREATE FUNCTION remove(key text) RETURNS text LANGUAGE plpgsql AS
$$BEGIN DELETE FROM users WHERE id = key; RETURN key; END$$;
INSERT INTO users SELECT remove('user 6'), 'transfer-dev2';

-- by TRUNCATE
BEGIN;
CREATE TEMP TABLE export AS SELECT * FROM users;
TRUNCATE users;
INSERT INTO users SELECT id, 'transfer-dev2', n FROM export;
ROLLBACK;

-- Everybody is where they were.
SELECT * FROM users ORDER BY id COLLATE "C";

-- Where the key may occur in each instance, it still may not in two.
CREATE TABLE members (id text, tenant text, PRIMARY KEY (tenant, id));
CREATE INDEX ON members (id);
SELECT FROM instance_env.guard('members', 'tenant', 'id');
INSERT INTO members VALUES ('ann', 'transfer-dev'), ('bob', 'transfer-dev2');
INSERT INTO members VALUES ('ann', 'transfer-dev2');
INSERT INTO members SELECT id, 'transfer-dev2' FROM members WHERE id = 'ann';
WITH added AS (INSERT INTO members VALUES ('ann', 'transfer-dev2') RETURNING id)
	DELETE FROM members m USING added WHERE m.id = added.id;
UPDATE members SET id = 'ann' WHERE id = 'bob';
UPDATE members SET id = CASE id WHEN 'ann' THEN 'bob' ELSE 'ann' END;
SELECT * FROM members ORDER BY id COLLATE "C";

-- between partitions
CREATE TABLE parted (id text, tenant text, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
CREATE TABLE part1 PARTITION OF parted FOR VALUES IN ('transfer-dev');
CREATE TABLE part2 PARTITION OF parted DEFAULT;
CREATE INDEX ON parted (id);
SELECT FROM instance_env.guard('parted', 'tenant', 'id');
INSERT INTO parted VALUES ('ann', 'transfer-dev');
UPDATE parted SET tenant = 'transfer-dev2';
INSERT INTO parted VALUES ('ann', 'transfer-dev2');
SELECT tableoid::regclass, * FROM parted;

-- what another session has recorded
DELETE FROM users WHERE n = 8;
BEGIN;
DELETE FROM users WHERE n = 7;
ROLLBACK;
\c -
SET search_path = transfer_test;
INSERT INTO users VALUES ('user 8', 'transfer-dev2');
INSERT INTO users VALUES ('user 8', 'transfer-dev', 8);
UPDATE users SET id = 'user 7 again' WHERE n = 7;
INSERT INTO users VALUES ('user 7', 'transfer-dev2');

-- forgotten users may return anywhere
DELETE FROM users WHERE n = 9;
INSERT INTO users VALUES ('user 9', 'transfer-dev2');
SELECT instance_env.forget_departed(NULL);
SELECT instance_env.forget_departed('infinity') > 0 AS forgotten;
INSERT INTO users VALUES ('user 9', 'transfer-dev2');

SET client_min_messages = warning;
DROP SCHEMA transfer_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id(n)) FROM unnest(ARRAY['transfer test', 'transfer other']) n;
