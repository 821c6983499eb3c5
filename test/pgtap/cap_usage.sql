-- View usage: production is estimated from statistics.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(33);

CREATE SCHEMA app;
SELECT production_id AS big, development_id AS dev FROM instance_env.adopt_application('big', production_key => '1') \gset
SELECT production_id AS small FROM instance_env.adopt_application('small', production_key => '2') \gset
SELECT production_id AS empty FROM instance_env.adopt_application('empty', production_key => 'none') \gset
SELECT instance_env.create_application('new') \gset

CREATE TABLE app.ids (id integer PRIMARY KEY, instance_id uuid NOT NULL);
CREATE TABLE app.keys (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.fixed (id integer PRIMARY KEY, instance_id char(10) NOT NULL);
CREATE TABLE app.numbers (id integer PRIMARY KEY, instance_id bigint);
CREATE DOMAIN app.key AS varchar(100);
CREATE TABLE app.parts (id integer PRIMARY KEY, instance_id app.key NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part2 (instance_id app.key NOT NULL, dropped text, id integer NOT NULL);
ALTER TABLE app.part2 DROP dropped;
ALTER TABLE app.parts ATTACH PARTITION app.part2 FOR VALUES FROM (100) TO (2000);
SELECT count(g) FROM unnest('{app.ids,app.keys,app.fixed,app.numbers,app.parts}'::regclass[]) t, instance_env.guard(t) g \gset
CREATE FUNCTION pg_temp.estimates(of_app text, OUT text) LANGUAGE sql AS
$$SELECT string_agg(coalesce(users::text, '-'), ' ' ORDER BY relation::text COLLATE "C") FROM instance_env.usage WHERE application = $1 AND estimated$$;

SELECT is(pg_temp.estimates('big'), '0 0 0 0 0', 'empty tables');
SELECT is(pg_temp.estimates('new'), '0 0 0 0 0', 'an instance that takes no users has none');
SELECT results_eq($$SELECT DISTINCT type::text, estimated, user_cap IS NULL, cap_mode = 'hard', percent IS NULL, state FROM instance_env.usage ORDER BY 1$$,
	$$VALUES ('development', false, false, true, false, 'ok'), ('production', true, true, NULL, true, 'ok')$$, 'the columns of both types');
ANALYZE app.ids, app.keys, app.fixed, app.numbers, app.parts;
SELECT is(pg_temp.estimates('big'), '0 0 0 0 0', 'the same, analyzed');
UPDATE pg_class SET reltuples = -1 WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p');

INSERT INTO app.ids SELECT i, CASE WHEN i <= 900 THEN :'big' ELSE :'small' END::uuid FROM generate_series(1, 1000) i;
INSERT INTO app.keys SELECT i, CASE WHEN i <= 900 THEN 1 ELSE 2 END FROM generate_series(1, 1000) i;
INSERT INTO app.fixed SELECT i, CASE WHEN i <= 900 THEN 1 ELSE 2 END FROM generate_series(1, 1000) i;
INSERT INTO app.numbers SELECT i, CASE WHEN i <= 900 THEN 1 ELSE 2 END FROM generate_series(1, 1000) i;
INSERT INTO app.parts SELECT i, CASE WHEN i <= 900 THEN 1 ELSE 2 END FROM generate_series(1, 1000) i;
SELECT is(pg_temp.estimates('big'), '- - - - -', 'without statistics');
ANALYZE app.ids, app.keys, app.fixed, app.numbers, app.parts;
SELECT is(pg_temp.estimates('big'), '900 900 900 900 900', 'a common value, in each type of column');
SELECT is(pg_temp.estimates('small'), '100 100 100 100 100', 'another');
SELECT is(pg_temp.estimates('empty'), '0 0 0 0 0', 'a value that does not occur');
SELECT is((SELECT array_agg(users ORDER BY relation::text COLLATE "C")::text FROM instance_env.user_count(:'big')), '{900,900,900,900,900}', 'user_count() counts the same');
SELECT is((SELECT sum(users) FROM instance_env.usage WHERE application = 'big' AND NOT estimated), 0::numeric, 'development is counted');
SELECT is((SELECT string_agg(refused::text, ' ') FROM instance_env.usage WHERE application = 'big' AND refused > 0), NULL, 'and production refuses nobody');

-- partitions: statistics of their own, if there are none of the whole
SAVEPOINT s;
DELETE FROM pg_statistic WHERE starelid = 'app.parts'::regclass;
SELECT is(pg_temp.estimates('big'), '900 900 900 900 900', 'the partitions'' own are added up');
SELECT is(pg_temp.estimates('small'), '100 100 100 100 100', 'also where one has no such value');
DELETE FROM pg_statistic WHERE starelid = 'app.part2'::regclass;
SELECT is(pg_temp.estimates('big'), '900 900 900 900 -', 'not if one has none');
ROLLBACK TO s;
SAVEPOINT s;
CREATE TABLE app.part3 PARTITION OF app.parts FOR VALUES FROM (2000) TO (3000);
SELECT is(pg_temp.estimates('big'), '900 900 900 900 900', 'a partition that was never analyzed');
DELETE FROM pg_statistic WHERE starelid = 'app.parts'::regclass;
SELECT is(pg_temp.estimates('big'), '900 900 900 900 900', 'and is empty, where the partitions'' own are added up');
ROLLBACK TO s;
SAVEPOINT s;
ALTER TABLE app.parts DETACH PARTITION app.part2;
SELECT isnt(pg_temp.estimates('big'), NULL, 'a partition that is gone');
ROLLBACK TO s;

-- a column whose values are not all common
SAVEPOINT s;
ALTER TABLE app.ids ALTER instance_id SET STATISTICS 1;
ANALYZE app.ids;
SELECT is((SELECT users FROM instance_env.usage WHERE application = 'big' AND relation = 'app.ids'::regclass AND estimated), 900::bigint, 'the one that is');
SELECT is((SELECT users FROM instance_env.usage WHERE application = 'small' AND relation = 'app.ids'::regclass AND estimated), 100::bigint, 'and one that is not');
ALTER TABLE app.ids ALTER instance_id SET STATISTICS 0;
DELETE FROM pg_statistic WHERE starelid = 'app.ids'::regclass;
ANALYZE app.ids;
SELECT is((SELECT users FROM instance_env.usage WHERE application = 'big' AND relation = 'app.ids'::regclass AND estimated), NULL, 'without statistics of the column');
ROLLBACK TO s;
-- each user in a row of an instance that is not common
SAVEPOINT s;
UPDATE pg_statistic SET stakind1 = 0 WHERE starelid = 'app.keys'::regclass AND staattnum = 2;
SELECT is((SELECT users FROM instance_env.usage WHERE application = 'big' AND relation = 'app.keys'::regclass AND estimated), 500::bigint, 'only a number of values');
UPDATE pg_statistic SET stadistinct = -0.01 WHERE starelid = 'app.keys'::regclass AND staattnum = 2;
SELECT is((SELECT users FROM instance_env.usage WHERE application = 'big' AND relation = 'app.keys'::regclass AND estimated), 100::bigint, 'or a share of the rows');
UPDATE pg_statistic SET stadistinct = 0 WHERE starelid = 'app.keys'::regclass AND staattnum = 2;
SELECT is((SELECT users FROM instance_env.usage WHERE application = 'big' AND relation = 'app.keys'::regclass AND estimated), NULL, 'or not even that');
ROLLBACK TO s;

-- an owner can store any statistics
SAVEPOINT s;
UPDATE pg_statistic SET stanullfrac = 'NaN', stanumbers1 = '{1e38,NaN}' WHERE starelid = 'app.keys'::regclass AND staattnum = 2;
UPDATE pg_statistic SET stanullfrac = '-Infinity', stadistinct = 'Infinity', stanumbers1 = '{-1}' WHERE starelid = 'app.numbers'::regclass AND staattnum = 2;
UPDATE pg_class SET reltuples = 3e38 WHERE oid = 'app.ids'::regclass;
SELECT is(pg_temp.estimates('big'), '900 1000000000000000000 1000000000000000000 0 900', 'whatever they say');
ROLLBACK TO s;

-- suspended production keeps its users
SELECT instance_env.suspend_instance(:'small') \gset
SELECT is(pg_temp.estimates('small'), '100 100 100 100 100', 'a suspended instance');

-- who has no right to a table
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_backend;
SELECT instance_env.grant_monitor('instance_env_monitor'), instance_env.grant_backend('instance_env_backend') \gset
SET ROLE instance_env_monitor;
SET LOCAL search_path = pg_temp, public;
SELECT is(pg_temp.estimates('big'), '900 900 900 900 900', 'a monitor');
SELECT is((SELECT count(*) FROM instance_env.usage), 40::bigint, 'reads all');
SELECT is((SELECT count(*) FROM instance_env.instance_usage(:'big')), 5::bigint, 'instance_usage()');
SET ROLE instance_env_backend;
SELECT throws_ok('SELECT FROM instance_env.usage', '42501', NULL, 'a backend does not');
RESET ROLE;
SELECT throws_ok('SELECT instance_env.instance_usage(NULL)', '22004', NULL, 'instance_usage(NULL)');
SELECT throws_ok($$SELECT instance_env.instance_usage('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL, 'of an unknown instance');

-- called in other ways than by the view
SELECT is((SELECT count(*) FROM (SELECT instance_env.instance_usage(id) FROM instance_env.instance) x), 40::bigint, 'in a list');
PREPARE usage_of(uuid) AS SELECT count(*) FROM instance_env.instance_usage($1);
CREATE TABLE app.more (id integer PRIMARY KEY, instance_id uuid NOT NULL);
SELECT count(*) FROM instance_env.guard('app.more') \gset
CREATE TEMP TABLE counts (n bigint);
INSERT INTO counts SELECT count(*) FROM instance_env.instance_usage(:'big');
DROP TABLE app.more;
INSERT INTO counts SELECT count(*) FROM instance_env.instance_usage(:'big');
SELECT results_eq('SELECT n FROM counts', ARRAY[6::bigint, 5], 'each query looks for tables');

SELECT * FROM finish();
ROLLBACK;
