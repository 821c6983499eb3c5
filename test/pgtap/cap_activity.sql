-- View activity counts what the cap admits and refuses, also what is rolled back, and
-- seats_left() and view usage agree with it.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT counting FROM instance_env.activity_status() \gset
SELECT plan(34);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.instance_id('shop', 'development') AS dev, instance_env.instance_id('shop', 'production') AS prod \gset
SELECT instance_env.set_user_cap(:'dev', 5) \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL DEFAULT 'dev');
CREATE TABLE app.parts (id integer PRIMARY KEY, instance_id text NOT NULL DEFAULT 'dev') PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part2 PARTITION OF app.parts FOR VALUES FROM (100) TO (200);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.parts') \gset

-- What is not counted by a server without shared memory is null in usage, and not in activity.
CREATE FUNCTION pg_temp.activity(table_name regclass, OUT admitted bigint, OUT refused bigint, OUT today bigint) LANGUAGE sql AS $$
	SELECT admitted_by_bound + admitted_by_scan, a.refused, refused_today FROM instance_env.activity a WHERE relation = $1
$$;
-- With it, this answers; without, what is expected is replaced.
SELECT set_config('test.counting', :'counting', false) \gset
CREATE FUNCTION pg_temp.counted(what text, expected text) RETURNS text LANGUAGE sql AS
$$SELECT CASE WHEN current_setting('test.counting')::boolean THEN what ELSE expected END$$;

SELECT is_empty('SELECT FROM instance_env.activity', 'nothing yet');
SELECT is((SELECT refused FROM instance_env.usage WHERE relation = 'app.users'::regclass AND type = 'development')::text, CASE WHEN :'counting' THEN '0' END,
	'nothing refused, or nothing known');

INSERT INTO app.users VALUES (1), (2);
INSERT INTO app.users VALUES (3);
SELECT is(pg_temp.counted(pg_temp.activity('app.users')::text, '(3,0,0)'), '(3,0,0)', 'rows are counted, not statements');
SAVEPOINT s;
INSERT INTO app.users VALUES (4);
ROLLBACK TO s;
SELECT is(pg_temp.counted(pg_temp.activity('app.users')::text, '(4,0,0)'), '(4,0,0)', 'so is one that is rolled back');
SELECT throws_ok('INSERT INTO app.users VALUES (5), (6), (7)', '23I01', NULL, 'refused');
SELECT throws_ok('INSERT INTO app.users SELECT generate_series(100, 1000)', '23I01', NULL, 'refused early');
SELECT is(pg_temp.counted(pg_temp.activity('app.users')::text, '(4,2,2)'), '(4,2,2)', 'refusals are counted, once a statement');
INSERT INTO app.users VALUES (4);
SELECT is(pg_temp.counted(pg_temp.activity('app.users')::text, '(5,2,2)'), '(5,2,2)', 'rows that an early refusal has taken with it are not');
SELECT throws_ok($$INSERT INTO app.users VALUES (9, 'nobody')$$, '23I03', NULL, 'an unknown instance');
SELECT throws_ok($$INSERT INTO app.users VALUES (9, 'prod')$$, '23I04', NULL, 'one that is not active');
SELECT is(pg_temp.counted(pg_temp.activity('app.users')::text, '(5,2,2)'), '(5,2,2)', 'are not refused by the cap');
SELECT is(pg_temp.counted((SELECT ARRAY[refused, refused_today]::text FROM instance_env.usage WHERE relation = 'app.users'::regclass AND type = 'development'),
	'{2,2}'), '{2,2}', 'view usage says the same');
SELECT is(pg_temp.counted((SELECT (last_refused_at = last_admitted_at AND last_refused_at > now() - interval '1 hour' AND last_refused_at <= clock_timestamp())::text
	FROM instance_env.activity WHERE relation = 'app.users'::regclass), 'false'), 'false', 'the times are of statements');
SELECT is(pg_temp.counted((SELECT (last_refused_at < last_admitted_at AND last_admitted_at > now() - interval '1 hour' AND last_admitted_at <= clock_timestamp())::text
	FROM instance_env.activity WHERE relation = 'app.users'::regclass), 'true'), 'true', 'of the last of each');

-- partitions count as their table
INSERT INTO app.parts VALUES (1), (101);
INSERT INTO app.part2 VALUES (102);
UPDATE app.parts SET id = 103 WHERE id = 1;
SELECT is(pg_temp.counted(pg_temp.activity('app.parts')::text, '(3,0,0)'), '(3,0,0)', 'partitions count together, and a move is no admission');
SELECT is_empty($$SELECT FROM instance_env.activity WHERE relation IN ('app.part1'::regclass, 'app.part2'::regclass)$$, 'and do not appear themselves');

-- tables and instances that are gone
SELECT instance_env.create_application('other', development_id => 'd0000000-0000-4000-8000-000000000099', development_key => 'other') \gset
INSERT INTO app.users VALUES (10, 'other');
SELECT is(pg_temp.counted((SELECT count(*)::text FROM instance_env.activity WHERE application = 'other'), '1'), '1', 'another instance');
DELETE FROM app.users WHERE instance_id = 'other';
SELECT instance_env.drop_application(instance_env.application_id('other')) \gset
SELECT is_empty($$SELECT FROM instance_env.activity WHERE application = 'other'$$, 'one that is dropped');
SELECT pg_sleep(0.01) \gset
SAVEPOINT s;
UPDATE instance_env.application SET name = 'shop' WHERE false;
SELECT instance_env.unguard('app.parts') \gset
SELECT is_empty($$SELECT FROM instance_env.activity WHERE relation = 'app.parts'::regclass$$, 'a table that is not guarded any more');
ROLLBACK TO s;
DROP TABLE app.parts;
SELECT is((SELECT count(*) FROM instance_env.activity)::text, CASE WHEN :'counting' THEN '1' ELSE '0' END, 'one that is dropped');

-- reset
SELECT lives_ok('SELECT instance_env.reset_activity()', 'reset_activity()');
SELECT is_empty('SELECT FROM instance_env.activity', 'begins anew');
SELECT results_eq($$SELECT action, item FROM instance_env.events ORDER BY id DESC LIMIT 1$$, $$VALUES ('reset_activity', NULL)$$, 'and is an event');
SELECT throws_ok('INSERT INTO app.users VALUES (11), (12)', '23I01', NULL, 'refused again');
SELECT is(pg_temp.counted(pg_temp.activity('app.users')::text, '(0,1,1)'), '(0,1,1)', 'is counted from 0');

-- a soft cap refuses nothing
SELECT instance_env.set_user_cap(:'dev', 2, 'soft') \gset
SELECT lives_ok('INSERT INTO app.users VALUES (13), (14)', 'a soft cap');
SELECT is(pg_temp.counted(pg_temp.activity('app.users')::text, '(2,1,1)'), '(2,1,1)', 'admits rows, which are counted');
SELECT is(instance_env.seats_left(:'dev'), 0::bigint, 'seats_left() is not negative');

-- who may
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_nobody;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.grant_monitor('instance_env_monitor') \gset
SET ROLE instance_env_monitor;
SELECT lives_ok('SELECT * FROM instance_env.activity, instance_env.activity_status()', 'a monitor reads it');
SELECT throws_ok('SELECT instance_env.reset_activity()', '42501', NULL, 'but resets nothing');
SET ROLE instance_env_backend;
SELECT throws_ok('SELECT * FROM instance_env.activity', '42501', NULL, 'a backend does not');
SELECT throws_ok('SELECT instance_env.activity_status()', '42501', NULL, 'nor this');
SELECT throws_ok('SELECT instance_env.activity_list()', '42501', NULL, 'nor what it calls');
RESET ROLE;
SET LOCAL transaction_read_only = on;
SELECT throws_ok('SELECT instance_env.reset_activity()', '25006', NULL, 'a read-only transaction resets nothing');

SELECT * FROM finish();
ROLLBACK;
