-- Applications and instances: created, changed, dropped
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(84);

CREATE SCHEMA app;
CREATE FUNCTION pg_temp.dev(application text) RETURNS uuid LANGUAGE sql AS
$$SELECT instance_env.instance_id(application, 'development')$$;
CREATE FUNCTION pg_temp.prod(application text) RETURNS uuid LANGUAGE sql AS
$$SELECT instance_env.instance_id(application, 'production')$$;
CREATE FUNCTION pg_temp.status(instance uuid) RETURNS text LANGUAGE sql AS
$$SELECT status FROM instance_env.instances WHERE instance_id = instance$$;

-- create_application()

SELECT lives_ok($$SELECT instance_env.create_application('plain')$$, 'a name is enough');
SELECT results_eq(
	$$SELECT type::text, status::text, plan::text, user_cap, external_key = instance_id::text FROM instance_env.instances
	  WHERE application = 'plain' ORDER BY type$$,
	$$VALUES ('development', 'active', 'free', 500, true), ('production', 'inactive', 'free', NULL, true)$$,
	'makes a development instance, active, and a production instance, inactive');
SELECT results_eq(
	$$SELECT development_id, production_id FROM instance_env.create_application('given', 'pro',
		'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'dev', 'prod')$$,
	$$VALUES ('d0000000-0000-4000-8000-000000000001'::uuid, 'a0000000-0000-4000-8000-000000000001'::uuid)$$,
	'ids and keys can be given');
SELECT results_eq(
	$$SELECT type::text, plan::text, external_key COLLATE "default", instance_id FROM instance_env.instances WHERE application = 'given'
	  ORDER BY type$$,
	$$VALUES ('development', 'pro', 'dev', 'd0000000-0000-4000-8000-000000000001'::uuid),
			 ('production', 'pro', 'prod', 'a0000000-0000-4000-8000-000000000001')$$, 'and are used');
SELECT application_id AS third FROM instance_env.create_application('third') \gset
SELECT is(instance_env.application_id('third'), :'third'::uuid, 'it returns the application''s id');

SELECT throws_ok($$SELECT instance_env.create_application(NULL)$$, '22004', NULL, 'NULL as a name');
SELECT throws_ok($$SELECT instance_env.create_application('x', NULL)$$, '22004', NULL, 'NULL as a plan');
SELECT throws_ok($$SELECT instance_env.create_application('x', 'gold')$$, '22P02', NULL, 'an unknown plan');
SELECT throws_ok($$SELECT instance_env.create_application('')$$, '22023', NULL, 'an empty name');
SELECT throws_ok($$SELECT instance_env.create_application('plain')$$, '23505', NULL, 'a name that is taken');
SELECT lives_ok($$SELECT instance_env.create_application('Plain')$$, 'names keep their case');
SELECT throws_ok(
	$$SELECT instance_env.create_application('x', development_id => 'd0000000-0000-4000-8000-000000000001')$$,
	'23505', NULL, 'an id that is taken');
SELECT throws_ok(
	$$SELECT instance_env.create_application('x', development_id => 'a0000000-0000-4000-8000-000000000001')$$,
	'23505', NULL, 'an id that another application''s production has');
SELECT throws_ok(
	$$SELECT instance_env.create_application('x', development_id => 'd0000000-0000-4000-8000-000000000005',
		production_id => 'd0000000-0000-4000-8000-000000000005')$$, '23505', NULL, 'one id for both');
SELECT throws_ok($$SELECT instance_env.create_application('x', development_key => 'prod')$$, '23505', NULL,
	'a key that is taken');
SELECT throws_ok($$SELECT instance_env.create_application('x', development_key => 'k', production_key => 'k')$$,
	'23505', NULL, 'one key for both');
SELECT throws_ok($$SELECT instance_env.create_application('x', development_key => '')$$, '22023', NULL, 'an empty key');
SELECT throws_ok(
	$$SELECT instance_env.create_application('x', production_key => 'd0000000-0000-4000-8000-000000000001x'),
			 instance_env.create_application('y', production_key => 'd0000000-0000-4000-8000-000000000001x')$$,
	'23505', NULL, 'a key given twice in one statement');
SELECT is(instance_env.application_id('x'), NULL, 'none of these has left an application');
SELECT is((SELECT count(*) FROM instance_env.instance), 8::bigint, 'nor an instance');
SELECT lives_ok(format('SELECT instance_env.create_application(%L)', repeat('n', 2000)), 'a name of 2,000 characters');
SELECT is((SELECT application::text FROM instance_env.instances WHERE length(application) = 2000 LIMIT 1),
	repeat('n', 2000), 'is kept');
SELECT lives_ok(format('SELECT instance_env.create_application(%L, development_key => %L)', 'long key', repeat('k', 2000)),
	'a key of 2,000 characters');
SELECT throws_ok(
	$$SELECT instance_env.create_application(string_agg(md5(i::text), '')) FROM generate_series(1, 10000) i$$,
	'22023', NULL, 'a name of 320,000 characters is beyond what an index holds');
SELECT throws_ok($$INSERT INTO instance_env.instance (application, type, status, external_key, slug)
				   SELECT id, 'development', 'active', 'a third', 'a-third-3' FROM instance_env.application LIMIT 1$$, '23505', NULL,
	'not even a superuser makes a third instance of an application');

-- rename_application(), set_plan()

SELECT lives_ok($$SELECT instance_env.rename_application(instance_env.application_id('third'), 'fourth')$$, 'another name');
SELECT is(instance_env.application_id('third'), NULL, 'the old name is gone');
SELECT isnt(instance_env.application_id('fourth'), NULL, 'the new one is there');
SELECT lives_ok($$SELECT instance_env.rename_application(instance_env.application_id('fourth'), 'fourth')$$, 'the same name');
SELECT throws_ok($$SELECT instance_env.rename_application(instance_env.application_id('fourth'), 'plain')$$, '23505',
	'application "plain" already exists',
	'a name that is taken');
SELECT throws_ok($$SELECT instance_env.rename_application(instance_env.application_id('fourth'), '')$$, '22023', NULL,
	'an empty name');
SELECT throws_ok($$SELECT instance_env.rename_application(instance_env.application_id('fourth'), NULL)$$, '22004', NULL,
	'NULL as a name');
SELECT throws_ok($$SELECT instance_env.rename_application(NULL, 'x')$$, '22004', NULL, 'NULL as an application');
SELECT throws_ok($$SELECT instance_env.rename_application('00000000-0000-0000-0000-000000000000', 'x')$$, '22023', NULL,
	'an unknown application');
SELECT lives_ok($$SELECT instance_env.set_plan(instance_env.application_id('plain'), 'enterprise')$$, 'another plan');
SELECT is((SELECT DISTINCT plan::text FROM instance_env.instances WHERE application = 'plain'), 'enterprise', 'is set');
SELECT lives_ok($$SELECT instance_env.set_plan(instance_env.application_id('plain'), 'enterprise')$$, 'the same plan');
SELECT throws_ok($$SELECT instance_env.set_plan(instance_env.application_id('plain'), NULL)$$, '22004', NULL,
	'NULL as a plan');
SELECT throws_ok($$SELECT instance_env.set_plan(NULL, 'free')$$, '22004', NULL, 'NULL as an application');
SELECT throws_ok($$SELECT instance_env.set_plan('00000000-0000-0000-0000-000000000000', 'free')$$, '22023', NULL,
	'an unknown application');

-- set_user_cap()

SELECT lives_ok($$SELECT instance_env.set_user_cap(pg_temp.dev('plain'), 0)$$, 'a cap of 0');
SELECT lives_ok($$SELECT instance_env.set_user_cap(pg_temp.dev('plain'), 2147483647)$$, 'the largest cap');
SELECT is((SELECT user_cap FROM instance_env.instances WHERE instance_id = pg_temp.dev('plain')), 2147483647, 'is set');
SELECT lives_ok($$SELECT instance_env.set_user_cap(pg_temp.dev('plain'), NULL)$$, 'the default');
SELECT is((SELECT user_cap FROM instance_env.instances WHERE instance_id = pg_temp.dev('plain')), 500, 'is back');
SELECT throws_ok($$SELECT instance_env.set_user_cap(pg_temp.dev('plain'), -1)$$, '22023', NULL, 'a negative cap');
SELECT throws_ok($$SELECT instance_env.set_user_cap(pg_temp.prod('plain'), 1000)$$, '55000', NULL, 'production has none');
SELECT throws_ok($$SELECT instance_env.set_user_cap(pg_temp.prod('plain'), NULL)$$, '55000', NULL,
	'nor a default');
SELECT throws_ok($$SELECT instance_env.set_user_cap(NULL, 5)$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok($$SELECT instance_env.set_user_cap('00000000-0000-0000-0000-000000000000', 5)$$, '23I03', NULL,
	'an unknown instance');
SELECT throws_ok($$SELECT instance_env.set_user_cap(instance_env.application_id('plain'), 5)$$, '23I03', NULL,
	'an application is no instance');

-- suspend_instance(), resume_instance()

SELECT lives_ok($$SELECT instance_env.suspend_instance(pg_temp.dev('plain'))$$, 'suspended');
SELECT is(pg_temp.status(pg_temp.dev('plain')), 'suspended', 'it is');
SELECT lives_ok($$SELECT instance_env.suspend_instance(pg_temp.dev('plain'))$$, 'suspended again');
SELECT is(pg_temp.status(pg_temp.dev('plain')), 'suspended', 'it still is');
SELECT lives_ok($$SELECT instance_env.resume_instance(pg_temp.dev('plain'))$$, 'resumed');
SELECT is(pg_temp.status(pg_temp.dev('plain')), 'active', 'it is active');
SELECT lives_ok($$SELECT instance_env.resume_instance(pg_temp.dev('plain'))$$, 'resumed again');
SELECT is(pg_temp.status(pg_temp.dev('plain')), 'active', 'it still is active');
SELECT throws_ok($$SELECT instance_env.suspend_instance(pg_temp.prod('plain'))$$, '55000', NULL,
	'an inactive instance is not suspended');
SELECT throws_ok($$SELECT instance_env.resume_instance(pg_temp.prod('plain'))$$, '55000', NULL,
	'nor resumed: promote() activates it');
SELECT is(pg_temp.status(pg_temp.prod('plain')), 'inactive', 'it is inactive as before');
SELECT throws_ok($$SELECT instance_env.suspend_instance(NULL)$$, '22004', NULL, 'NULL suspended');
SELECT throws_ok($$SELECT instance_env.resume_instance(NULL)$$, '22004', NULL, 'NULL resumed');
SELECT throws_ok($$SELECT instance_env.suspend_instance('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL,
	'an unknown instance suspended');
SELECT throws_ok($$SELECT instance_env.resume_instance('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL,
	'an unknown instance resumed');

-- a change raises the version of the configuration
SELECT config_version AS before FROM instance_env.instance WHERE id = pg_temp.dev('plain') \gset
SELECT instance_env.set_user_cap(pg_temp.dev('plain'), 7) \gset
SELECT cmp_ok((SELECT config_version FROM instance_env.instance WHERE id = pg_temp.dev('plain')), '>', :before::bigint,
	'config_version rises with set_user_cap()');

-- drop_application()

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
CREATE TABLE app.sessions (id text PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', counted => false) \gset
INSERT INTO app.users VALUES ('u1', 'dev');
SELECT throws_ok($$SELECT instance_env.drop_application(instance_env.application_id('given'))$$, '55000', NULL,
	'with users: refused');
DELETE FROM app.users;
INSERT INTO app.sessions VALUES ('s1', 'd0000000-0000-4000-8000-000000000001');
SELECT throws_ok($$SELECT instance_env.drop_application(instance_env.application_id('given'))$$, '55000', NULL,
	'with rows in a table that is not counted: refused');
DELETE FROM app.sessions;
SELECT instance_env.associate_domain(pg_temp.prod('given'), 'given.example.com') \gset
SELECT instance_env.verify_domain(pg_temp.prod('given'), 'given.example.com') \gset
SELECT count(*) FROM instance_env.promote(instance_env.application_id('given')) \gset
SELECT throws_ok($$SELECT instance_env.drop_application(instance_env.application_id('given'))$$, '55000', NULL,
	'with an active production instance: refused');
SELECT instance_env.suspend_instance(pg_temp.prod('given')) \gset
SELECT lives_ok($$SELECT instance_env.drop_application(instance_env.application_id('given'))$$,
	'with neither, and production suspended: dropped');
SELECT is(instance_env.application_id('given'), NULL, 'it is gone');
SELECT is((SELECT count(*) FROM instance_env.instance WHERE external_key IN ('dev', 'prod')), 0::bigint,
	'with its instances');
SELECT is((SELECT count(*) FROM instance_env.domain WHERE name = 'given.example.com'), 0::bigint, 'and its domain');
SELECT lives_ok($$SELECT instance_env.create_application('given', development_key => 'dev')$$, 'its names are free');
SELECT throws_ok($$SELECT instance_env.drop_application('00000000-0000-0000-0000-000000000000')$$, '22023', NULL,
	'an unknown application');
SELECT throws_ok($$SELECT instance_env.drop_application(NULL)$$, '22004', NULL, 'NULL dropped');
SELECT lives_ok($$SELECT instance_env.drop_application(instance_env.application_id('plain'))$$,
	'an application that never had users');

-- looking up
SELECT is(instance_env.application_id('nothing'), NULL, 'no application of that name');
SELECT is(instance_env.instance_id('nothing', 'production'), NULL, 'no instance of that name');
SELECT is(instance_env.application_id(NULL), NULL, 'NULL has no id');
SELECT throws_ok($$SELECT instance_env.instance_id('given', 'staging'::instance_env.instance_type)$$, '22P02', NULL,
	'there is no third type');

-- by hand: what is rolled back has never been
SAVEPOINT by_hand;
INSERT INTO instance_env.application (id, name) VALUES ('b0000000-0000-4000-8000-000000000001', 'by hand');
INSERT INTO instance_env.instance (id, application, type, status, external_key, slug)
VALUES ('d0000000-0000-4000-8000-00000000000b', 'b0000000-0000-4000-8000-000000000001', 'development', 'active', 'by hand', 'by-hand-1');
SELECT lives_ok($$INSERT INTO app.users VALUES ('h1', 'by hand')$$, 'an instance that was inserted by hand takes users');
ROLLBACK TO by_hand;
SELECT throws_ok($$INSERT INTO app.users VALUES ('h1', 'by hand')$$, '23I03', NULL, 'not once that is rolled back');

SELECT * FROM finish();
ROLLBACK;
