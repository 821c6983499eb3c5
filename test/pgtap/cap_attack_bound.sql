-- Tries to make a bound hold that does not know of all rows. What is shared is of committed
-- rows, so each statement here is a transaction of its own.
SET client_min_messages = warning;
-- what is counted for a warning could hide that a bound is too low
SET instance_env.notify_thresholds = off;
SELECT plan(3);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_id => '00000000-0000-4000-8000-00000000000d', development_key => 'dev') \gset
SELECT instance_env.create_application('blog', development_id => '00000000-0000-4000-8000-00000000001d', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap('00000000-0000-4000-8000-00000000000d', 5) \gset

--
-- A partition whose trigger is an ordinary one for a while takes its tickets nevertheless
--

CREATE TABLE app.parted (id integer PRIMARY KEY, instance_id uuid NOT NULL DEFAULT '00000000-0000-4000-8000-00000000000d')
	PARTITION BY RANGE (id);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (0) TO (1000);
SELECT count(*) FROM instance_env.guard('app.parted', user_key => '') \gset
INSERT INTO app.parted SELECT generate_series(1, 3);
CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES FROM (1000) TO (2000);
ALTER TABLE app.parted_2 DISABLE TRIGGER ALL;
ALTER TABLE app.parted_2 ENABLE TRIGGER ALL;
INSERT INTO app.parted VALUES (4), (5);
DROP TABLE app.parted_2;
SELECT throws_ok('INSERT INTO app.parted VALUES (6)', '23I01', NULL, 'no stale bound when the partition has gone');

--
-- A replicated row of an instance that comes later, as it was before
--

CREATE TABLE app.early (id integer PRIMARY KEY, instance_id uuid NOT NULL);
SELECT count(*) FROM instance_env.guard('app.early', user_key => '') \gset
SELECT instance_env.set_user_cap('00000000-0000-4000-8000-00000000001d', 5) \gset
INSERT INTO app.early SELECT generate_series(1, 2), '00000000-0000-4000-8000-00000000001d';
CREATE TEMP TABLE kept AS SELECT id, application, type, status, user_cap, external_key, slug FROM instance_env.instance WHERE id = '00000000-0000-4000-8000-00000000001d';
DELETE FROM instance_env.instance WHERE id = '00000000-0000-4000-8000-00000000001d';
SET session_replication_role = replica;
INSERT INTO app.early SELECT generate_series(3, 5), '00000000-0000-4000-8000-00000000001d';
SET session_replication_role = origin;
INSERT INTO instance_env.instance (id, application, type, status, user_cap, external_key, slug) SELECT * FROM kept;
SELECT throws_ok($$INSERT INTO app.early VALUES (6, '00000000-0000-4000-8000-00000000001d')$$, '23I01', NULL,
	'rows that came before their instance count when it is back');
SELECT is((SELECT count(*) FROM app.early), 5::bigint, 'so the cap holds');

SELECT * FROM finish();
