-- Features: what an instance may use, and the plan that production needs for it
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(348);

-- one application on each plan, one instance in each state
SELECT instance_env.create_application('free', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('O''Reilly "books"', 'pro',
	'd0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002') \gset
SELECT instance_env.create_application('enterprise', 'enterprise',
	'd0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000003') \gset
UPDATE instance_env.instance SET status = 'active' WHERE id = 'a0000000-0000-4000-8000-000000000002';
UPDATE instance_env.instance SET status = 'suspended'
	WHERE id IN ('a0000000-0000-4000-8000-000000000003', 'd0000000-0000-4000-8000-000000000003');
CREATE TEMP TABLE developments AS SELECT status, plan, instance_id AS id FROM instance_env.instances WHERE type = 'development';
CREATE TEMP TABLE productions AS SELECT status, plan, instance_id AS id FROM instance_env.instances WHERE type = 'production';

CREATE FUNCTION pg_temp.version(instance uuid) RETURNS bigint LANGUAGE sql AS
$$SELECT config_version FROM instance_env.instance WHERE id = $1$$;
CREATE FUNCTION pg_temp.events(application text) RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM instance_env.event WHERE application = instance_env.application_id($1)$$;

-- the catalogue

SELECT set_eq($$SELECT name FROM instance_env.features WHERE plan = 'pro'$$,
	ARRAY['phone_sign_in', 'passkeys', 'allowlist', 'blocklist', 'satellite_domains', 'custom_session_lifetime',
		'branding_removal', 'unauthorized_sign_in', 'custom_roles', 'enterprise_connections'],
	'these features need a Pro account');
SELECT set_eq($$SELECT name FROM instance_env.features WHERE production_only$$, ARRAY['bot_protection'], 'this one needs production');
SELECT set_eq($$SELECT name || ' ' || development_limit FROM instance_env.features WHERE development_limit IS NOT NULL$$,
	ARRAY['enterprise_connections 25'], 'this one is limited in development');
SELECT ok((SELECT bool_and(builtin) FROM instance_env.feature), 'a dump leaves all of them out');

-- what may be used

SELECT ok(instance_env.feature_available(id, name),
	format('"All paid functionality is available in a Development instance": %s, %s, %s', name, plan, status))
FROM developments, (SELECT name FROM instance_env.features WHERE NOT production_only) f ORDER BY name, plan;
SELECT lives_ok(format('SELECT instance_env.require_feature(%L, %L)', id, name),
	format('"All paid functionality is available in a Development instance": %s required, %s, %s', name, plan, status))
FROM developments, (SELECT name FROM instance_env.features WHERE NOT production_only) f ORDER BY name, plan;
SELECT ok(NOT instance_env.feature_available(id, 'bot_protection'),
	'"bot protection, is only available in Production mode": not in development, ' || status) FROM developments;
SELECT throws_ok(format('SELECT instance_env.%s(%L, %L)', f, id, 'bot_protection'), '55I03', NULL,
	'"bot protection, is only available in Production mode": ' || f || '() in development, ' || status)
FROM developments, unnest(ARRAY['require_feature', 'enable_feature']) f;
SELECT ok(instance_env.feature_available(id, 'bot_protection'),
	format('"bot protection, is only available in Production mode": %s, %s', plan, status)) FROM productions;
SELECT lives_ok(format('SELECT instance_env.require_feature(%L, %L)', id, 'bot_protection'),
	format('"bot protection, is only available in Production mode": required, %s, %s', plan, status)) FROM productions;
SELECT is(instance_env.feature_available(id, name), plan <> 'free',
	format('"when you deploy your application to Production, you will be asked to upgrade to a Pro account": %s, %s, %s', name, plan, status))
FROM productions, (SELECT name FROM instance_env.features WHERE NOT production_only) f ORDER BY name, plan;
SELECT throws_ok(format('SELECT instance_env.%s(%L, %L)', f, 'a0000000-0000-4000-8000-000000000001', name), '55I02', NULL,
	format('"you will be asked to upgrade to a Pro account": %s() %s', f, name))
FROM (SELECT name FROM instance_env.features WHERE NOT production_only) x, unnest(ARRAY['require_feature', 'enable_feature']) f ORDER BY name;
SELECT lives_ok(format('SELECT instance_env.require_feature(%L, %L)', id, name), format('%s required, %s, %s', name, plan, status))
FROM (SELECT * FROM productions WHERE plan <> 'free') p, (SELECT name FROM instance_env.features WHERE NOT production_only) f ORDER BY name, plan;

-- what is cached follows the tables

CREATE FUNCTION pg_temp.has(feature text) RETURNS boolean LANGUAGE sql VOLATILE AS
$$SELECT instance_env.feature_available('a0000000-0000-4000-8000-000000000001', feature)$$;
SELECT ok(NOT pg_temp.has('passkeys'), 'not on plan free');
SELECT lives_ok($$SELECT instance_env.set_plan(instance_env.application_id('free'), 'pro')$$, 'on plan pro');
SELECT ok(pg_temp.has('passkeys'), 'it is available at once');
SAVEPOINT s;
UPDATE instance_env.application SET plan = 'free' WHERE name = 'free';
SELECT ok(NOT pg_temp.has('passkeys'), 'also where the plan is changed by hand');
ROLLBACK TO SAVEPOINT s;
SELECT ok(pg_temp.has('passkeys'), 'or the change rolled back');
SAVEPOINT s;
UPDATE instance_env.feature SET plan = 'enterprise' WHERE name = 'passkeys';
SELECT ok(NOT pg_temp.has('passkeys'), 'or the catalogue is changed');
DELETE FROM instance_env.feature WHERE name = 'passkeys';
SELECT throws_ok($$SELECT pg_temp.has('passkeys')$$, '22023', NULL, 'or the feature removed');
ROLLBACK TO SAVEPOINT s;
SELECT ok(pg_temp.has('passkeys'), 'and rolled back');
INSERT INTO instance_env.feature (name, plan, description) VALUES ('of_our_own', 'enterprise', 'one of our own');
SELECT ok(NOT pg_temp.has('of_our_own'), 'a feature of one''s own needs its plan');
SELECT ok(instance_env.feature_available('a0000000-0000-4000-8000-000000000003', 'of_our_own'), 'which another application has');
INSERT INTO instance_env.feature (name, plan, description)
	SELECT left('f' || i || repeat('_', 70), 63), 'free', 'many' FROM generate_series(1, 2000) i;
SELECT is((SELECT count(*) FROM instance_env.features f WHERE pg_temp.has(f.name)), 2011::bigint, 'more features than the cache holds');
SELECT throws_ok(format('INSERT INTO instance_env.feature (name, plan, description) VALUES (%L, %L, %L)', n, 'free', 'x'), '23514', NULL,
	'no feature''s name: ' || left(to_json(n)::text, 40))
FROM unnest(ARRAY['', 'A', '1a', 'a b', 'ä', E'a\n', repeat('a', 64)]) n;
DELETE FROM instance_env.feature WHERE description = 'many';

-- use

SELECT lives_ok(format('SELECT instance_env.enable_feature(%L, %L)', id, name), format('%s enabled in development, %s, %s', name, plan, status))
FROM developments, (SELECT name FROM instance_env.features WHERE NOT production_only) f ORDER BY name, plan;
SELECT is((SELECT quantity FROM instance_env.instance_feature WHERE feature = 'passkeys' AND instance = 'd0000000-0000-4000-8000-000000000001'), 1,
	'once, unless said otherwise');
SELECT lives_ok($$SELECT instance_env.enable_feature('d0000000-0000-4000-8000-000000000001', 'enterprise_connections', 25)$$,
	'25 enterprise connections in development');
SELECT throws_ok(format('SELECT instance_env.enable_feature(%L, %L, %s)', 'd0000000-0000-4000-8000-000000000001', 'enterprise_connections', n),
	'55I03', NULL, n || ' are too many') FROM unnest(ARRAY[26, 2147483647]) n;
SELECT is((SELECT quantity FROM instance_env.instance_features WHERE feature = 'enterprise_connections'
	AND instance_id = 'd0000000-0000-4000-8000-000000000001'), 25, 'and change nothing');
SELECT lives_ok($$SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000002', 'enterprise_connections', 2147483647)$$,
	'production has no limit');
SELECT lives_ok($$SELECT instance_env.enable_feature('d0000000-0000-4000-8000-000000000001', 'passkeys', 2147483647)$$, 'nor have others');
SELECT lives_ok(format('SELECT instance_env.enable_feature(%L, %L)', id, 'bot_protection'), format('bot protection in production, %s, %s', plan, status))
FROM productions;

SELECT pg_temp.version('a0000000-0000-4000-8000-000000000002') AS version, pg_temp.events('O''Reilly "books"') AS events \gset
SELECT lives_ok($$SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000002', 'bot_protection')$$, 'the same once more');
SELECT lives_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000002', 'allowlist')$$, 'what is not enabled disabled');
SELECT is(pg_temp.version('a0000000-0000-4000-8000-000000000002'), :version::bigint, 'does not raise config_version');
SELECT is(pg_temp.events('O''Reilly "books"'), :events::bigint, 'and is no event');
SELECT lives_ok($$SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000002', 'bot_protection', 2)$$, 'another quantity');
SELECT lives_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000002', 'bot_protection')$$, 'disabled');
SELECT is(pg_temp.version('a0000000-0000-4000-8000-000000000002'), (:version + 2)::bigint, 'both raise config_version');
SELECT results_eq($$SELECT action, item, before, after FROM instance_env.event
	WHERE instance = 'a0000000-0000-4000-8000-000000000002' ORDER BY id DESC LIMIT 2$$,
	$$VALUES ('disable_feature', 'bot_protection', '{"quantity": 2}'::jsonb, NULL::jsonb),
			 ('enable_feature', 'bot_protection', '{"quantity": 1}', '{"quantity": 2}')$$, 'and are events');
SELECT lives_ok($$SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000003', 'of_our_own')$$, 'a feature of one''s own');
DELETE FROM instance_env.feature WHERE name = 'of_our_own';
SELECT lives_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000003', 'of_our_own')$$,
	'can be disabled when the catalogue has it no more');
SELECT throws_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000003', 'of_our_own')$$, '22023', NULL, 'once');

-- plans

SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000003', name) FROM instance_env.features WHERE plan = 'pro' \g /dev/null
INSERT INTO instance_env.feature (name, plan, description) VALUES ('of_our_own', 'enterprise', 'one of our own');
SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000003', 'of_our_own') \gset
CREATE FUNCTION pg_temp.detail(application text, plan instance_env.plan) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM instance_env.set_plan(instance_env.application_id(application), plan);
	RETURN 'done';
EXCEPTION WHEN SQLSTATE '55I02' THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
SELECT is(pg_temp.detail('enterprise', 'free'), (SELECT string_agg(format('Feature "%s" needs plan "%s".', name, plan), E'\n' ORDER BY name)
	FROM instance_env.features WHERE plan <> 'free'), 'a downgrade is refused with all the features that production uses');
SELECT is(pg_temp.detail('enterprise', 'pro'), 'Feature "of_our_own" needs plan "enterprise".', 'which the new plan does not cover');
SELECT is((SELECT plan::text FROM instance_env.application WHERE name = 'enterprise'), 'enterprise', 'the plan stays');
SELECT lives_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000003', 'of_our_own')$$, 'without it');
SELECT is(pg_temp.detail('enterprise', 'pro'), 'done', 'the plan can be lowered');
SELECT is(pg_temp.detail('enterprise', 'pro'), 'done', 'twice');
SELECT is(pg_temp.detail('enterprise', 'enterprise'), 'done', 'and raised');
SELECT results_eq($$SELECT before ->> 'plan', after ->> 'plan', instance FROM instance_env.event
	WHERE action = 'set_plan' AND application = instance_env.application_id('enterprise') ORDER BY id$$,
	$$VALUES ('enterprise', 'pro', NULL::uuid), ('pro', 'enterprise', NULL)$$, 'each change is an event');
SELECT lives_ok(format('SELECT instance_env.enable_feature(%L, %L)', 'd0000000-0000-4000-8000-000000000001', name), 'development uses ' || name)
FROM instance_env.features WHERE plan <> 'free' AND development_limit IS NULL ORDER BY name;
SELECT is(pg_temp.detail('free', 'free'), 'done', 'which keeps no application on a plan');
SELECT ok((SELECT bool_and(NOT covered) FROM instance_env.instance_features WHERE application = 'free' AND type = 'development'),
	'the view says what production would need');
UPDATE instance_env.feature SET plan = 'enterprise' WHERE name = 'enterprise_connections';
SELECT is(pg_temp.detail('O''Reilly "books"', 'pro'), 'done', 'the same plan, though it covers no more what production uses');
SELECT is(pg_temp.detail('O''Reilly "books"', 'enterprise'), 'done', 'an upgrade');
SELECT is(pg_temp.detail('O''Reilly "books"', 'pro'), 'Feature "enterprise_connections" needs plan "enterprise".', 'a downgrade');
UPDATE instance_env.feature SET plan = 'pro' WHERE name = 'enterprise_connections';

-- satellite domains are a use by themselves

SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000002', 'enterprise_connections') \gset
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'example.com') \gset
SELECT is(pg_temp.detail('O''Reilly "books"', 'free'), 'done', 'a primary domain needs no plan');
SELECT is(pg_temp.detail('O''Reilly "books"', 'pro'), 'done', 'up again');
INSERT INTO instance_env.domain (name, instance, root, is_primary) VALUES
	('example.net', 'a0000000-0000-4000-8000-000000000002', 'example.net', false),
	('example.org', 'a0000000-0000-4000-8000-000000000002', 'example.org', false);
SELECT is((SELECT quantity FROM instance_env.instance_features WHERE feature = 'satellite_domains'
	AND instance_id = 'a0000000-0000-4000-8000-000000000002'), 2, 'two satellite domains');
SELECT is(pg_temp.detail('O''Reilly "books"', 'free'), 'Feature "satellite_domains" needs plan "pro".', 'satellite domains do');
SELECT throws_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000002', 'satellite_domains')$$, '55000', NULL,
	'and are not disabled while there are some');
SELECT lives_ok($$SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000002', 'satellite_domains')$$, 'enabled besides');
SELECT is(pg_temp.detail('O''Reilly "books"', 'free'), 'Feature "satellite_domains" needs plan "pro".', 'they are listed once');
DELETE FROM instance_env.domain WHERE NOT is_primary;
SELECT lives_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000002', 'satellite_domains')$$, 'without them');
SELECT is(pg_temp.detail('O''Reilly "books"', 'free'), 'done', 'the plan can be lowered');

-- what goes into the arguments

SELECT throws_ok(format('SELECT instance_env.%s(%L, %L)', f, 'd0000000-0000-4000-8000-000000000001', n), '22023', NULL,
	format('%s(): %s', f, left(to_json(n)::text, 40)))
FROM unnest(ARRAY['feature_available', 'require_feature', 'enable_feature', 'disable_feature']) f,
	unnest(ARRAY['', 'teleportation', 'Passkeys', 'passkeys ', 'pässkeys', E'passkeys\n', E'\x01', ''' OR true --', repeat('x', 63),
		repeat('x', 64), repeat('ü', 50000)]) n;
SELECT throws_ok(format('SELECT instance_env.%s(%L, %L)', f, 'a0000000-0000-4000-8000-000000000003', n), '22023', NULL,
	format('%s() in production: %s', f, left(to_json(n)::text, 40)))
FROM unnest(ARRAY['feature_available', 'require_feature', 'enable_feature', 'disable_feature']) f, unnest(ARRAY['', 'teleportation']) n;
SELECT throws_ok(format('SELECT instance_env.%s(%L, %L)', f, i, n), '22004', NULL, format('%s(%s, %s)', f, i, n))
FROM unnest(ARRAY['feature_available', 'require_feature', 'enable_feature', 'disable_feature']) f,
	(VALUES (NULL, 'passkeys'), ('d0000000-0000-4000-8000-000000000001', NULL)) v (i, n);
SELECT throws_ok(format('SELECT instance_env.%s(%L, %L)', f, '00000000-0000-0000-0000-000000000000', n), '23I03', NULL, f || '(): no instance')
FROM unnest(ARRAY['feature_available', 'require_feature', 'enable_feature', 'disable_feature']) f, unnest(ARRAY['passkeys', 'bot_protection']) n;
SELECT throws_ok(format('SELECT instance_env.enable_feature(%L, %L, %s)', 'd0000000-0000-4000-8000-000000000001', 'passkeys', q), s, NULL,
	'quantity ' || q)
FROM (VALUES ('0', '22023'), ('-1', '22023'), ('NULL', '22004')) v (q, s);
SELECT throws_ok($$INSERT INTO instance_env.instance_feature VALUES ('d0000000-0000-4000-8000-000000000001', 'allowlist', 0)$$, '23514', NULL,
	'none, by hand');

-- what goes with an application

SELECT lives_ok($$SELECT instance_env.drop_application(instance_env.application_id('enterprise'))$$, 'an application dropped');
SELECT is_empty($$SELECT FROM instance_env.instance_feature WHERE instance = 'a0000000-0000-4000-8000-000000000003'$$, 'takes its features along');
SELECT throws_ok($$SELECT instance_env.feature_available('a0000000-0000-4000-8000-000000000003', 'passkeys')$$, '23I03', NULL, 'and is not remembered');

-- rights

CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(format('SELECT instance_env.%s(%L, %L)', f, 'd0000000-0000-4000-8000-000000000001', 'passkeys'), '42501', NULL,
	'without rights: ' || f)
FROM unnest(ARRAY['feature_available', 'require_feature', 'enable_feature', 'disable_feature']) f;
SELECT throws_ok($$SELECT instance_env.set_plan('d0000000-0000-4000-8000-000000000001', 'free')$$, '42501', NULL, 'without rights: set_plan');
SELECT throws_ok('SELECT FROM instance_env.' || r, '42501', NULL, 'without rights: ' || r)
FROM unnest(ARRAY['feature', 'instance_feature', 'features', 'instance_features']) r;
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA instance_env TO instance_env_nobody;
GRANT SELECT ON instance_env.features, instance_env.instance_features TO instance_env_nobody;
-- what a backend has cached was read with the owner's rights
UPDATE instance_env.feature SET description = description;
UPDATE instance_env.application SET name = name;
SET LOCAL ROLE instance_env_nobody;
SELECT ok(NOT instance_env.feature_available('a0000000-0000-4000-8000-000000000001', 'passkeys'), 'with EXECUTE: feature_available()');
SELECT throws_ok($$SELECT instance_env.require_feature('a0000000-0000-4000-8000-000000000001', 'passkeys')$$, '55I02', NULL,
	'require_feature() refuses');
SELECT is(current_user::text, 'instance_env_nobody', 'as the same role');
SELECT lives_ok($$SELECT instance_env.require_feature('d0000000-0000-4000-8000-000000000001', 'passkeys')$$, 'or passes');
SELECT lives_ok($$SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000001', 'bot_protection')$$, 'enable_feature()');
SELECT lives_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000001', 'bot_protection')$$, 'disable_feature()');
SELECT throws_ok('SELECT FROM instance_env.' || r, '42501', NULL, 'no table is open: ' || r)
FROM unnest(ARRAY['feature', 'instance_feature', 'application']) r;
SELECT lives_ok('SELECT FROM instance_env.' || r, 'with SELECT: ' || r) FROM unnest(ARRAY['features', 'instance_features']) r;
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
