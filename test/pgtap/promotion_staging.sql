-- "Clerk does not currently support staging instances": a staging environment is a separate
-- application with a separate domain
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(75);

INSERT INTO instance_env.setting_section (name, cloned, description) VALUES
	('session', true, 'test'), ('sso', false, 'test'), ('integration', false, 'test'), ('path', false, 'test')
ON CONFLICT (name) DO NOTHING;
INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description)
SELECT type, 'test_rate', '1', true, 'test' FROM unnest(enum_range(NULL::instance_env.instance_type)) type;
INSERT INTO instance_env.feature (name, plan, production_only, description) VALUES
	('test_pro', 'pro', false, 'test'), ('test_live', 'free', true, 'test'), ('test_enterprise', 'enterprise', false, 'test');

SELECT application_id AS app, development_id AS dev, production_id AS prod
FROM instance_env.create_application('shop', 'pro') \gset
SELECT instance_env.associate_domain(:'prod', 'example.com') \gset
SELECT instance_env.verify_domain(:'prod', 'example.com') \gset
INSERT INTO instance_env.setting
SELECT i, n, to_jsonb(i) FROM unnest(ARRAY[:'dev', :'prod']::uuid[]) i,
	unnest('{session.a, session.b, sso.a, integration.a, path.a}'::text[]) n;
INSERT INTO instance_env.policy_override VALUES (:'dev', 'test_rate', '10'), (:'prod', 'test_rate', '20');
INSERT INTO instance_env.instance_feature (instance, feature, quantity) VALUES
	(:'dev', 'test_pro', 2), (:'dev', 'test_enterprise', 3), (:'prod', 'test_pro', 4), (:'prod', 'test_live', 1),
	(:'prod', 'test_enterprise', 5);
INSERT INTO instance_env.social_provider (name, offers_shared) VALUES ('test_provider', true);
INSERT INTO instance_env.social_connection (instance, provider, instance_type, source, client_id, secret_reference) VALUES
	(:'dev', 'test_provider', 'development', 'shared', NULL, NULL), (:'prod', 'test_provider', 'production', 'own', 'client', 'secret');

-- created

SELECT application_id AS staging, development_id AS sdev, production_id AS sprod
FROM instance_env.create_staging_application(:'app', 'staging.example.com') \gset
SELECT is((SELECT name FROM instance_env.application WHERE id = :'staging'), 'shop staging', 'its name by default');
SELECT is((SELECT staging_of FROM instance_env.application WHERE id = :'staging'), :'app'::uuid, 'it links back');
SELECT is((SELECT staging_of FROM instance_env.application WHERE id = :'app'), NULL, 'the original links nowhere');
SELECT is((SELECT plan::text FROM instance_env.application WHERE id = :'staging'), 'pro', 'the same plan');
SELECT results_eq($$SELECT instance_id, type::text, status::text, domain::text COLLATE "default", domain_verified_at IS NOT NULL
	FROM instance_env.instances WHERE application = 'shop staging' ORDER BY type$$,
	format($$VALUES (%L::uuid, 'development', 'active', NULL, false), (%L, 'production', 'inactive', 'staging.example.com', false)$$,
		:'sdev', :'sprod'),
	'"creating a separate Clerk application with a separate domain": two instances, and a domain to be verified');
SELECT is((SELECT jsonb_object_agg(name, value) FROM instance_env.setting WHERE instance = :'sdev'),
	jsonb_build_object('session.a', :'dev', 'session.b', :'dev'), 'development has development''s settings');
SELECT is((SELECT jsonb_object_agg(name, value) FROM instance_env.setting WHERE instance = :'sprod'),
	jsonb_build_object('session.a', :'prod', 'session.b', :'prod'), 'production has production''s');
SELECT is((SELECT jsonb_object_agg(instance, value) FROM instance_env.policy_override WHERE instance IN (:'sdev', :'sprod')),
	jsonb_build_object(:'sdev', 10, :'sprod', 20), 'so with policies');
SELECT is((SELECT jsonb_object_agg(feature, quantity) FROM instance_env.instance_feature WHERE instance = :'sdev'),
	'{"test_pro": 2, "test_enterprise": 3}', 'development has all the features');
SELECT is((SELECT jsonb_object_agg(feature, quantity) FROM instance_env.instance_feature WHERE instance = :'sprod'),
	'{"test_pro": 4, "test_live": 1}', 'production has those that the plan covers');
SELECT is((SELECT count(*) FROM instance_env.social_connection WHERE instance IN (:'sdev', :'sprod')), 0::bigint,
	'SSO connections are not copied');
SELECT is((SELECT count(*) FROM instance_env.setting WHERE instance IN (:'dev', :'prod')), 10::bigint, 'the original keeps all');
SELECT is((SELECT jsonb_agg(after) FROM instance_env.event WHERE application = :'staging'
		   AND action = 'create_staging_application' AND instance IS NULL), jsonb_build_array(jsonb_build_object('staging_of', :'app')),
	'the audit log says so');
SELECT is((SELECT count(*) FROM instance_env.event WHERE application = :'staging'
		   AND action = 'create_staging_application' AND instance IN (:'sdev', :'sprod')), 10::bigint, 'and what was copied');

-- a life of its own

SELECT throws_ok(format('SELECT * FROM instance_env.promote(%L)', :'staging'), '55I01', NULL, 'its domain is to be verified, too');
SELECT instance_env.verify_domain(:'sprod', 'staging.example.com') \gset
DELETE FROM instance_env.instance_feature WHERE feature = 'test_enterprise';
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'staging'), 'then it is promoted');
SELECT is((SELECT status::text FROM instance_env.instance WHERE id = :'prod'), 'inactive', 'alone');
UPDATE instance_env.setting SET value = '1' WHERE instance = :'dev';
SELECT is((SELECT value FROM instance_env.setting WHERE instance = :'sdev' AND name = 'session.a'), to_jsonb(:'dev'::text),
	'what is changed later is not copied');

-- names and domains

SELECT lives_ok(format('SELECT instance_env.create_staging_application(%L, %L, %L)', :'app', 'qa.example.org', 'QA "Ω"'),
	'a second one, with a name and a domain of its own');
SELECT is((SELECT domain COLLATE "default" FROM instance_env.instances WHERE application = 'QA "Ω"' AND type = 'production'),
	'qa.example.org', 'has them');
SELECT lives_ok(format('SELECT instance_env.create_staging_application(instance_env.application_id(%L), %L)', 'shop staging', 'nested.example.net'),
	'a staging application may have one itself');
SELECT throws_ok(format('SELECT instance_env.create_staging_application(%L, %L)', :'app', 'c.example.org'), '23505', NULL,
	'the name is taken');
SELECT is((SELECT count(*) FROM instance_env.domain WHERE name = 'c.example.org'), 0::bigint, 'which leaves nothing behind');
SELECT throws_ok(format('SELECT instance_env.create_staging_application(%L, %L, %L)', :'app', 'example.com', 'other'), '22I01', NULL,
	'the original''s own domain');
SELECT throws_ok(format('SELECT instance_env.create_staging_application(%L, %L, %L)', :'app', 'localhost', 'other'), '22I01', NULL,
	'no domain');
SELECT throws_ok(format('SELECT instance_env.create_staging_application(%L, %L, %L)', :'app', domain, 'other'), '22I01', NULL,
	'no domain: ' || left(to_json(domain)::text, 40))
FROM unnest(ARRAY['', repeat('a.', 5000) || 'com', 'bücher.example', E'a.com\n', 'shop.vercel.app']) domain;
SELECT throws_ok(format('SELECT instance_env.create_staging_application(%L, %L, %L)', :'app', 'd.example.org', name), '22023',
	'invalid value for argument "name"', 'not a name: ' || left(to_json(name)::text, 40))
FROM unnest(ARRAY['', repeat('a', 2049), repeat('ü', 1025)]) name;
SELECT is(instance_env.application_id('other'), NULL, 'no refusal has left an application');
SELECT is((SELECT count(*) FROM instance_env.domain WHERE name = 'd.example.org'), 0::bigint, 'nor a domain');
SELECT lives_ok(format('SELECT instance_env.create_staging_application(%L, %L, %L)', :'app', 'd' || n || '.example.org', name),
	'a name, as for create_application(): ' || left(to_json(name)::text, 40))
FROM unnest(ARRAY[E'a\tb', repeat('a', 2048), repeat('ü', 1024)]) WITH ORDINALITY t (name, n);
SELECT is((SELECT array_agg(name COLLATE "C" ORDER BY name COLLATE "C") FROM instance_env.application
		   WHERE staging_of = :'app' AND name ~ '^(a|ü)'), ARRAY[E'a\tb', repeat('a', 2048), repeat('ü', 1024)], 'kept as they are');
SELECT instance_env.create_application(repeat('b', n)) FROM unnest('{2040, 2041}'::integer[]) n \g /dev/null
SELECT throws_ok(format('SELECT instance_env.create_staging_application(instance_env.application_id(%L), %L)', repeat('b', 2041), 'b.example.edu'),
	'22023', 'the staging application needs a name of its own', 'the original''s name is too long for the default');
SELECT lives_ok(format('SELECT instance_env.create_staging_application(instance_env.application_id(%L), %L, %L)', repeat('b', 2041), 'b.example.edu', 'b'),
	'then one can be given');
SELECT lives_ok(format('SELECT instance_env.create_staging_application(instance_env.application_id(%L), %L)', repeat('b', 2040), 'b.example.info'),
	'the longest for which there is a default');
SELECT isnt(instance_env.application_id(repeat('b', 2040) || ' staging'), NULL, 'is not shortened');
SELECT throws_ok('SELECT instance_env.create_staging_application(NULL, $$e.example.org$$)', '22004', NULL, 'NULL as an application');
SELECT throws_ok(format('SELECT instance_env.create_staging_application(%L, NULL)', :'app'), '22004', NULL, 'NULL as a domain');
SELECT throws_ok('SELECT instance_env.create_staging_application(gen_random_uuid(), $$e.example.org$$)', '22023', NULL,
	'an unknown application');
SELECT throws_ok(format('SELECT instance_env.create_staging_application(%L, $$e.example.org$$)', :'prod'), '22023', NULL,
	'the id of an instance');

-- whatever state the original is in
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'the original is promoted');
SELECT lives_ok(format('SELECT instance_env.create_staging_application(%L, %L, %L)', :'app', 'f.example.org', 'of active'), 'active');
SELECT instance_env.suspend_instance(:'prod') \gset
SELECT lives_ok(format('SELECT instance_env.create_staging_application(%L, %L, %L)', :'app', 'g.example.org', 'of suspended'), 'suspended');
SELECT is((SELECT array_agg(status::text ORDER BY type) FROM instance_env.instances WHERE application = 'of suspended'),
	'{active,inactive}', 'its instances begin like any others');
SELECT lives_ok(format('SELECT instance_env.drop_application(%L)', :'app'), 'the original is dropped');
SELECT is((SELECT staging_of FROM instance_env.application WHERE id = :'staging'), NULL, 'the link is gone, the application is not');

-- types by name

SELECT is(instance_env.instance_id('shop staging', 'development'), :'sdev'::uuid, 'a literal');
SELECT is(instance_env.instance_id('shop staging', 'production'::text), :'sprod'::uuid, 'a text');
SELECT is(instance_env.instance_id('shop staging', 'production'::varchar), :'sprod'::uuid, 'a varchar');
SELECT is(instance_env.instance_id('shop staging', 'production'::instance_env.instance_type), :'sprod'::uuid, 'an instance_type');
SELECT is(instance_env.instance_id(application => 'shop staging', type => 'production'), :'sprod'::uuid, 'by name');
SELECT is((SELECT array_agg(instance_env.instance_id('shop staging', t) ORDER BY t)
		   FROM unnest(enum_range(NULL::instance_env.instance_type)) t), ARRAY[:'sdev', :'sprod']::uuid[], 'a column');
PREPARE untyped AS SELECT is(instance_env.instance_id($1, $2), $3::uuid, 'parameters without a type');
EXECUTE untyped('shop staging', 'production', :'sprod');
SELECT is(instance_env.instance_id('nothing', 'production'), NULL, 'an unknown application');
SELECT is(instance_env.instance_id(NULL, 'staging'), NULL, 'NULL as an application');
SELECT is(instance_env.instance_id('shop', NULL), NULL, 'NULL as a type');
SELECT throws_ok(format('SELECT instance_env.instance_id(%L, %L)', application, type), '22I02', NULL,
	format('%s of %s', left(to_json(type)::text, 30), application))
FROM unnest('{shop staging, nothing}'::text[]) application, unnest(ARRAY['staging', 'preview', 'Production']) type;
SELECT throws_ok(format('SELECT instance_env.instance_id(%L, %L)', 'shop staging', type), '22I02', NULL,
	'no type: ' || left(to_json(type)::text, 30))
FROM unnest(ARRAY['', ' production', E'production\n', 'entwicklung ü', repeat('ü', 1000)]) type;
SELECT throws_ok($$SELECT 'staging'::instance_env.instance_type$$, '22P02', NULL, 'the enum''s own error stays');

SELECT * FROM finish();
ROLLBACK;
