-- Finding applications and instances by what people call them, and what an instance is
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(46);

SELECT application_id AS app, development_id AS dev, production_id AS prod
FROM instance_env.create_application('shop', 'pro', development_key => 'shop-dev', production_key => 'shop-live') \gset
SELECT instance_env.associate_domain(:'prod', 'shop.example.com') \gset

-- by key

SELECT is(instance_env.instance_by_key('shop-dev'), :'dev'::uuid, 'by the key of development');
SELECT is(instance_env.instance_by_key('shop-live'), :'prod'::uuid, 'by the key of production');
SELECT is(instance_env.instance_by_key('SHOP-live'), NULL, 'keys keep their case');
SELECT is(instance_env.instance_by_key('nowhere'), NULL, 'a key that nobody has');
SELECT is(instance_env.instance_by_key(NULL), NULL, 'no key');
SELECT is(instance_env.instance_by_key(i.id::text), i.id, 'a key that is the id')
FROM instance_env.create_application('plain') a, instance_env.instance i WHERE i.id = a.development_id;

-- what it is

SELECT results_eq(format('SELECT application, application_id, type::text, status::text, user_cap, plan::text, slug, domain, external_key
	FROM instance_env.instance_info(%L)', :'dev'),
	format('SELECT %L, %L::uuid, %L, %L, 500, %L, slug::text COLLATE "default", NULL::text, %L
	FROM instance_env.instance WHERE id = %L', 'shop', :'app', 'development', 'active', 'pro', 'shop-dev', :'dev'), 'a development instance');
SELECT results_eq(format('SELECT application, application_id, type::text, status::text, user_cap, plan::text, slug, domain, external_key
	FROM instance_env.instance_info(%L)', :'prod'),
	format('VALUES (%L, %L::uuid, %L, %L, NULL::integer, %L, NULL, %L, %L)', 'shop', :'app', 'production', 'inactive', 'pro',
		'shop.example.com', 'shop-live'), 'a production instance');
SELECT throws_ok('SELECT instance_env.instance_info(NULL)', '22004', NULL, 'NULL');
SELECT throws_ok(format('SELECT instance_env.instance_info(%L)', :'app'), '23I03', NULL, 'an id that no instance has');

-- the type of an instance

CREATE FUNCTION pg_temp.hint(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'no error';
EXCEPTION WHEN SQLSTATE '22I02' THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN hint;
END $$;
SELECT is(pg_temp.hint(format('SELECT instance_env.instance_id(%L, %L)', 'shop', name)), format('Perhaps you meant "%s".', meant), name)
FROM (VALUES ('prod', 'production'), ('Production', 'production'), ('live', 'production'), ('dev', 'development'), ('DEVEL', 'development')) AS n (name, meant);
SELECT alike(pg_temp.hint(format('SELECT instance_env.instance_id(%L, %L)', 'shop', name)), '%create_staging_application%', name)
FROM unnest('{staging, pr, "", de, productions}'::text[]) name;

-- applications by name: wherever an id will do

SELECT is((SELECT count(*) FROM pg_proc p WHERE pronamespace = 'instance_env'::regnamespace AND proargnames[1] = 'application'
	AND proargtypes[0] = 'uuid'::regtype AND NOT EXISTS (SELECT FROM pg_proc n WHERE n.pronamespace = p.pronamespace AND n.proname = p.proname
		AND n.proargnames[1] = 'application' AND n.proargtypes[0] = 'text'::regtype
		AND n.pronargs = p.pronargs AND n.prorettype = p.prorettype AND n.prosecdef = p.prosecdef AND n.provolatile = p.provolatile)),
	0::bigint, 'each function that takes an application''s id has a sibling that takes its name');
SELECT lives_ok('SELECT instance_env.set_plan(''shop'', ''enterprise'')', 'set_plan()');
SELECT is((SELECT plan::text FROM instance_env.instance_info(:'dev')), 'enterprise', 'has set it');
SELECT is(instance_env.instance_for_host('shop', 'shop.example.com'), :'prod'::uuid, 'instance_for_host()');
SELECT is((SELECT instance_id FROM instance_env.check_preview('shop', 'localhost')), :'dev'::uuid, 'check_preview()');
SELECT lives_ok('SELECT * FROM instance_env.instance_diff(''shop'')', 'instance_diff()');
SELECT lives_ok('SELECT * FROM instance_env.validate(''shop'')', 'validate()');
SELECT results_eq('SELECT * FROM instance_env.validate(''shop'')', format('SELECT * FROM instance_env.validate(%L::uuid)', :'prod'),
	'looks at production');
SELECT throws_ok('SELECT instance_env.assert_valid(''shop'')', '55I01', NULL, 'assert_valid()');
SELECT throws_ok('SELECT * FROM instance_env.promote(''shop'')', '55I01', NULL, 'promote()');
SELECT throws_ok('SELECT * FROM instance_env.rollback_promotion(''shop'')', '55000', NULL, 'rollback_promotion()');
SELECT lives_ok('SELECT * FROM instance_env.create_staging_application(''shop'', ''shop-staging.example.com'')', 'create_staging_application()');
SELECT lives_ok('SELECT instance_env.rename_application(''shop staging'', ''stage'')', 'rename_application()');
SELECT lives_ok('SELECT instance_env.drop_application(''stage'')', 'drop_application()');
SELECT is(instance_env.application_id('stage'), NULL, 'has dropped it');

-- a literal that is an id goes on being one

SELECT is(instance_env.instance_for_host(:'app', 'shop.example.com'), :'prod'::uuid, 'an application''s id as a literal');
SELECT is(instance_env.instance_for_host('{' || upper(replace(:'app', '-', '')) || '}', 'shop.example.com'), :'prod'::uuid,
	'in another spelling of uuids');
SELECT results_eq(format('SELECT * FROM instance_env.validate(%L)', :'dev'), format('SELECT * FROM instance_env.validate(%L::uuid)', :'dev'),
	'an instance''s id as a literal');
SELECT throws_ok('SELECT instance_env.drop_application(''00000000-0000-4000-8000-000000000000'')', '22023',
	'application "00000000-0000-4000-8000-000000000000" does not exist', 'an id that no application has');
SELECT throws_ok('SELECT * FROM instance_env.validate(''00000000-0000-4000-8000-000000000000'')', '23I03', NULL, 'an id that no instance has');
SELECT throws_ok('SELECT instance_env.drop_application(''nowhere'')', '22023', 'application "nowhere" does not exist', 'an unknown name');
SELECT throws_ok('SELECT * FROM instance_env.validate(''nowhere'')', '22023', NULL, 'an unknown name, for an instance');
SELECT throws_ok('SELECT instance_env.drop_application(NULL)', '22004', NULL, 'NULL');
SELECT application_id AS mimic FROM instance_env.create_application(:'app') \gset
SELECT is(instance_env.instance_for_host(:'app', 'shop.example.com'), :'prod'::uuid, 'who is called like another''s id is not taken for it');
SELECT results_eq(format('SELECT * FROM instance_env.validate(%L)', :'app'), format('SELECT * FROM instance_env.validate(%L::uuid)', :'prod'),
	'nor where an instance is asked for');
SELECT lives_ok(format('SELECT instance_env.rename_application(%L::uuid, ''a0000000-0000-4000-8000-00000000000a'')', :'mimic'), 'a name that is nobody''s id');
SELECT is((SELECT instance_type::text FROM instance_env.check_preview('a0000000-0000-4000-8000-00000000000a', 'localhost')), 'development',
	'is a name');

SELECT * FROM finish();
ROLLBACK;
