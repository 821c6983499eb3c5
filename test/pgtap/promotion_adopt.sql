-- adopt_application(): an application that is live already
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(51);

CREATE SCHEMA app;

-- a new one

SELECT application_id AS app, development_id AS dev, production_id AS prod, failed_checks AS failed
FROM instance_env.adopt_application('shop', 'pro', development_key => 'dev', production_key => 'live') \gset
SELECT is((SELECT status::text FROM instance_env.instance_info(:'prod')), 'active', 'production is active');
SELECT is((SELECT status::text FROM instance_env.instance_info(:'dev')), 'active', 'so is development');
SELECT is((SELECT plan::text FROM instance_env.instance_info(:'prod')), 'pro', 'on its plan');
SELECT is(instance_env.instance_by_key('live'), :'prod'::uuid, 'with its key');
SELECT is((SELECT jsonb_agg(f ->> 'check_name') FROM jsonb_array_elements(:'failed'::jsonb) f), '["domain", "guard", "keys"]', 'it returns what has failed');
SELECT results_eq(format('SELECT action, before, after FROM instance_env.events WHERE application_id = %L ORDER BY id DESC LIMIT 1', :'app'),
	format('SELECT %L, %L::jsonb, jsonb_build_object(%L, %L, %L, %L::jsonb)', 'adopt_application', '{"status": "inactive"}', 'status', 'active',
		'failed_checks', :'failed'), 'and records it');
SELECT set_eq('SELECT check_name FROM instance_env.validate(''shop'') WHERE NOT passed', ARRAY['domain', 'guard', 'keys'], 'validate() goes on to say so');
SELECT is((SELECT ready FROM instance_env.readiness WHERE application = 'shop'), false, 'and so does the view');
SELECT is((SELECT plan::text FROM instance_env.adopt_application('plain') a, instance_env.instance_info(a.production_id)), 'free', 'the default plan');

-- there is no promotion, and none is needed

SELECT is_empty('SELECT * FROM instance_env.promote(''shop'')', 'promote() has nothing to do');
SELECT throws_ok('SELECT * FROM instance_env.rollback_promotion(''shop'')', '55000', 'application "shop" has no promotion to roll back',
	'rollback_promotion() neither');
SELECT is_empty('SELECT FROM instance_env.promotions', 'no promotion is recorded');

-- again

SELECT results_eq('SELECT application_id, development_id, production_id, failed_checks FROM instance_env.adopt_application(''shop'')',
	format('VALUES (%L::uuid, %L::uuid, %L::uuid, NULL::jsonb)', :'app', :'dev', :'prod'), 'again: nothing to do');
SELECT is((SELECT count(*) FROM instance_env.events WHERE action = 'adopt_application' AND application = 'shop'), 1::bigint, 'and nothing is recorded');
SELECT lives_ok(format('SELECT instance_env.adopt_application(''shop'', ''pro'', %L, %L, ''dev'', ''live'')', :'dev', :'prod'), 'with what is so');
SELECT throws_ok(format('SELECT instance_env.adopt_application(''shop'', %s)', other), '22023',
	format('application "shop" already exists with another "%s"', what), 'another ' || what)
FROM (VALUES ('''free''', 'plan'), ('development_id => gen_random_uuid()', 'development_id'), ('production_id => gen_random_uuid()', 'production_id'),
	('development_key => ''x''', 'development_key'), ('production_key => ''x''', 'production_key')) AS o (other, what);
SELECT throws_ok('SELECT instance_env.adopt_application(NULL)', '22004', NULL, 'no name');
SELECT throws_ok('SELECT instance_env.adopt_application('''')', '22023', NULL, 'an empty name');
SELECT throws_ok('SELECT instance_env.adopt_application(''x'', production_key => '''')', '22023', NULL, 'an empty key');
SELECT throws_ok('SELECT instance_env.adopt_application(''x'', production_key => ''live'')', '23505', NULL, 'a key that is taken');
SELECT throws_ok('SELECT instance_env.adopt_application(''x'', development_key => ''k'', production_key => ''k'')', '23505',
	'the development and the production instance cannot have the same external key', 'one key for both');
SELECT is(instance_env.application_id('x'), NULL, 'none of these has left an application');

-- one that exists

SELECT application_id AS app, production_id AS prod FROM instance_env.create_application('blog', production_key => 'blog') \gset
SELECT is((SELECT application_id FROM instance_env.adopt_application('blog')), :'app'::uuid, 'an application that exists');
SELECT is((SELECT status::text FROM instance_env.instance_info(:'prod')), 'active', 'its production becomes active');
SELECT is((SELECT count(*) FROM instance_env.application WHERE name = 'blog'), 1::bigint, 'there is no second one');
SELECT instance_env.suspend_instance(:'prod') \gset
SELECT throws_ok('SELECT instance_env.adopt_application(''blog'')', '55000', NULL, 'suspended: it is not adopted');
SELECT is((SELECT status::text FROM instance_env.instance_info(:'prod')), 'suspended', 'and stays suspended');
SELECT throws_ok('SELECT * FROM instance_env.rollback_promotion(''blog'')', '55000', NULL, 'nor is there a promotion to roll back');
SELECT instance_env.resume_instance(:'prod') \gset
SELECT is((SELECT status::text FROM instance_env.instance_info(:'prod')), 'active', 'it can be resumed');
SELECT production_id AS staging FROM instance_env.create_staging_application('blog', 'blog-staging.example.com') \gset
SELECT lives_ok('SELECT instance_env.adopt_application(''blog staging'')', 'a staging application');
SELECT is((SELECT staging_of FROM instance_env.applications WHERE application = 'blog staging'), 'blog', 'stays one');

-- one whose promotion was rolled back

SELECT production_id AS prod FROM instance_env.create_application('back', production_key => 'back') \gset
SELECT instance_env.associate_domain(:'prod', 'back.example.org') \gset
SELECT instance_env.verify_domain(:'prod', 'back.example.org') \gset
SELECT count(*) FROM instance_env.promote('back') \gset
SELECT count(*) FROM instance_env.rollback_promotion('back') \gset
SELECT lives_ok('SELECT instance_env.adopt_application(''back'')', 'rolled back, then adopted');
SELECT throws_ok('SELECT * FROM instance_env.rollback_promotion(''back'')', '55000', NULL, 'is not rolled back again');
SELECT is((SELECT status::text FROM instance_env.instance_info(:'prod')), 'active', 'but stays active');

-- a table is not guarded while that would stop sign-ups

SELECT production_id AS prod FROM instance_env.create_application('desk', production_key => 'desk') \gset
CREATE TABLE app.users (id text PRIMARY KEY, tenant text);
INSERT INTO app.users VALUES ('u1', 'desk'), ('u2', 'live');
SELECT throws_ok('SELECT instance_env.guard(''app.users'', ''tenant'')', '23I04', 'table "app.users" has rows of production instances that are not active',
	'not before it is adopted');
SELECT is_empty('SELECT FROM pg_trigger WHERE tgrelid = ''app.users''::regclass', 'no trigger was left');
SELECT instance_env.adopt_application('desk') \gset
SELECT lives_ok('SELECT instance_env.guard(''app.users'', ''tenant'')', 'but then');
SELECT lives_ok('INSERT INTO app.users VALUES (''u3'', ''desk'')', 'and sign-ups go on');
SELECT instance_env.suspend_instance(:'prod') \gset
SELECT lives_ok('SELECT instance_env.guard(''app.users'', ''tenant'')', 'once guarded, always: again');
SELECT instance_env.unguard('app.users') \gset
SELECT lives_ok('SELECT instance_env.guard(''app.users'', ''tenant'')', 'who suspends an instance wants it to take no rows');
UPDATE instance_env.instance SET status = 'inactive' WHERE id = :'prod';
DROP TRIGGER instance_env_user_cap ON app.users;
SELECT lives_ok('SELECT instance_env.guard(''app.users'', ''tenant'')', 'a guard is repaired in any case');

-- who may, and who is told the name of an application

CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_admin;
CREATE ROLE instance_env_other;
SELECT instance_env.grant_backend('instance_env_backend') \gset
SELECT instance_env.grant_monitor('instance_env_monitor') \gset
SELECT instance_env.grant_admin('instance_env_admin') \gset
GRANT USAGE ON SCHEMA app TO instance_env_backend, instance_env_monitor, instance_env_admin, instance_env_other;
GRANT INSERT ON app.users TO instance_env_backend, instance_env_monitor, instance_env_admin, instance_env_other;
CREATE FUNCTION pg_temp.run(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ' ' || detail;
END $$;
SELECT is(pg_temp.run('instance_env_admin', 'SELECT instance_env.adopt_application(''admin''''s'')'), 'ok', 'an admin may adopt');
SELECT alike(pg_temp.run('instance_env_backend', 'SELECT instance_env.adopt_application(''x'')'), '42501%', 'a backend may not');
SELECT is(pg_temp.run(role, 'INSERT INTO app.users VALUES (''u9'', ''desk'')'),
	'23I04 The production instance has not been promoted.' || CASE WHEN role = 'instance_env_other' THEN '' ELSE ' It belongs to application "desk".' END, role)
FROM unnest('{instance_env_backend, instance_env_monitor, instance_env_admin, instance_env_other}'::text[]) role;

SELECT * FROM finish();
ROLLBACK;
