-- instance_diff(): drift between development and production
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(35);

SELECT instance_env.create_application('shop', 'pro', 'd0000000-0000-4000-8000-000000000001',
	'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('blog', 'pro', 'd0000000-0000-4000-8000-000000000002',
	'a0000000-0000-4000-8000-000000000002') \gset
CREATE FUNCTION pg_temp.set(type text, name text, value jsonb) RETURNS void LANGUAGE sql AS $$
SELECT instance_env.set_setting(instance_env.instance_id('shop', type::instance_env.instance_type), name, value)
$$;
CREATE FUNCTION pg_temp.diff() RETURNS SETOF text LANGUAGE sql AS $$
SELECT concat_ws('|', kind, item, coalesce(development::text, '-'), coalesce(production::text, '-'), coalesce(ahead, '?'))
FROM instance_env.instance_diff(instance_env.application_id('shop'))
$$;

SELECT is_empty('SELECT pg_temp.diff()', 'a new application: no drift');

-- settings

SELECT pg_temp.set('development', 'session.lifetime', '60') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|session.lifetime|60|-|development'], 'set in development');
SELECT pg_temp.set('production', 'session.lifetime', '60') \gset
SELECT is_empty('SELECT pg_temp.diff()', 'and in production: the same');
SELECT pg_temp.set('production', 'session.lifetime', '61') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|session.lifetime|60|61|production'], 'changed in production');
SELECT pg_temp.set('development', 'session.lifetime', '62') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|session.lifetime|62|61|development'], 'then in development');
SELECT pg_temp.set('production', 'session.lifetime', NULL) \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|session.lifetime|62|-|production'], 'then removed from production');
SELECT pg_temp.set('production', 'session.lifetime', NULL) \gset
SELECT pg_temp.set('development', 'session.lifetime', '62') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|session.lifetime|62|-|production'], 'what changes nothing puts nobody ahead');
SELECT pg_temp.set('development', 'session.lifetime', NULL) \gset
SELECT is_empty('SELECT pg_temp.diff()', 'removed from both');
SELECT pg_temp.set('production', 'branding.name', 'null') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|branding.name|-|null|production'], 'JSON''s null is a value');
SELECT pg_temp.set('production', 'branding.name', NULL) \gset
SAVEPOINT s;
SELECT pg_temp.set('development', 'branding.name', '1') \gset
ROLLBACK TO SAVEPOINT s;
SELECT is_empty('SELECT pg_temp.diff()', 'what was rolled back is no drift');
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000002', 'session.other', '1') \gset
SELECT is_empty('SELECT pg_temp.diff()', 'nor is what another application does');

-- an import is a change of each item

SELECT pg_temp.set('production', 'session.a', '1') \gset
SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', '{"format": 1, "settings": {"session.a": 2}}') \g /dev/null
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|session.a|2|1|development'], 'imported into development');
SELECT pg_temp.set('production', 'session.a', '2') \gset

-- a promotion brings development's settings over, and is then no drift by itself

SELECT pg_temp.set('development', 'user.x', '1') \gset
SELECT pg_temp.set('development', 'sso.acme', '1') \gset
SELECT pg_temp.set('production', 'path.home', '"/"') \gset
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
SELECT * FROM instance_env.promote(instance_env.application_id('shop')) \g /dev/null
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|path.home|-|"/"|production', 'setting|sso.acme|1|-|development'],
	'promoted: what is not copied remains');
SELECT pg_temp.set('development', 'user.x', '2') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|path.home|-|"/"|production', 'setting|sso.acme|1|-|development',
	'setting|user.x|2|1|development'], 'development went on');
SELECT pg_temp.set('production', 'user.x', NULL) \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['setting|path.home|-|"/"|production', 'setting|sso.acme|1|-|development',
	'setting|user.x|2|-|production'], 'production removed what was promoted');
SELECT pg_temp.set('development', name, NULL) FROM (VALUES ('user.x'), ('sso.acme')) v (name) \g /dev/null
SELECT pg_temp.set('production', 'path.home', NULL) \g /dev/null
SELECT is_empty('SELECT pg_temp.diff()', 'all of it removed');

-- policies, features, connections

SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'rate_limit', '50') \gset
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', '"Shop"') \gset
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'user_cap', '5') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['policy|rate_limit|50|-|development'],
	'a policy, but none that only one type of instance may have');
SELECT instance_env.set_policy('a0000000-0000-4000-8000-000000000001', 'rate_limit', '5000') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['policy|rate_limit|50|5000|production'], 'set in production, too');
SELECT instance_env.reset_policy('d0000000-0000-4000-8000-000000000001', 'rate_limit') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['policy|rate_limit|-|5000|development'], 'reset in development');
SELECT instance_env.reset_policy('a0000000-0000-4000-8000-000000000001', 'rate_limit') \gset

SELECT instance_env.enable_feature('d0000000-0000-4000-8000-000000000001', 'passkeys') \gset
SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000001', 'bot_protection') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['feature|passkeys|1|-|development'],
	'a feature, but none that only production may have');
SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000001', 'passkeys', 2) \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['feature|passkeys|1|2|production'], 'more of it in production');
SELECT instance_env.disable_feature('d0000000-0000-4000-8000-000000000001', 'passkeys') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['feature|passkeys|-|2|development'], 'disabled in development');
SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000001', 'passkeys') \gset

SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000001', 'google') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY['connection|google|{"source": "shared"}|-|development'],
	'a connection that production still lacks');
SELECT instance_env.set_social_connection('a0000000-0000-4000-8000-000000000001', 'google', 'prod', 'vault:prod') \gset
SELECT is_empty('SELECT pg_temp.diff()', 'credentials of its own are no drift');
SELECT instance_env.set_social_connection('a0000000-0000-4000-8000-000000000001', 'google', 'prod', 'vault:prod', ARRAY['mail']) \gset
SELECT results_eq('SELECT pg_temp.diff()',
	ARRAY['connection|google|{"source": "shared"}|{"scopes": ["mail"], "source": "own"}|production'],
	'other scopes are; credentials are not shown');
SELECT instance_env.remove_social_connection('d0000000-0000-4000-8000-000000000001', 'google') \gset
SELECT results_eq('SELECT pg_temp.diff()',
	ARRAY['connection|google|-|{"scopes": ["mail"], "source": "own"}|development'], 'removed from development');

-- the same name in several kinds, quotes, order

INSERT INTO instance_env.feature (name, plan, description) VALUES ('rate_limit', 'free', 'of the same name as a policy');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'rate_limit', '50') \gset
SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000001', 'rate_limit') \gset
SELECT pg_temp.set('development', 'session.b', E'"it''s \\"quoted\\""') \gset
SELECT pg_temp.set('development', 'session.c_', '1') \gset
SELECT pg_temp.set('production', 'session.c', '1') \gset
SELECT results_eq('SELECT pg_temp.diff()', ARRAY[
	E'setting|session.b|"it''s \\"quoted\\""|-|development', 'setting|session.c|-|1|production', 'setting|session.c_|1|-|development',
	'policy|rate_limit|50|-|development', 'feature|rate_limit|-|1|production',
	'connection|google|-|{"scopes": ["mail"], "source": "own"}|development'],
	'each kind for itself, in a stable order');
SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001') \gset
SELECT isnt_empty('SELECT pg_temp.diff()', 'also while suspended');

-- where the log has nothing

DELETE FROM instance_env.event;
SELECT results_eq($$SELECT item, ahead FROM instance_env.instance_diff(instance_env.application_id('shop')) WHERE kind = 'setting'$$,
	$$VALUES ('session.b', 'development'), ('session.c', 'production'), ('session.c_', 'development')$$,
	'who has it is ahead of who has not');
INSERT INTO instance_env.setting VALUES ('d0000000-0000-4000-8000-000000000001', 'session.d', '1'),
	('a0000000-0000-4000-8000-000000000001', 'session.d', '2');
SELECT results_eq($$SELECT ahead FROM instance_env.instance_diff(instance_env.application_id('shop')) WHERE item = 'session.d'$$,
	ARRAY[NULL::text], 'where both have it, nobody knows');

-- arguments and rights

SELECT throws_ok($$SELECT * FROM instance_env.instance_diff(NULL)$$, '22004', NULL, 'NULL');
SELECT throws_ok($$SELECT * FROM instance_env.instance_diff('00000000-0000-0000-0000-000000000000')$$, '22023', NULL, 'unknown');
SELECT throws_ok($$SELECT * FROM instance_env.instance_diff('d0000000-0000-4000-8000-000000000001')$$, '22023', NULL,
	'an instance where an application is meant');
CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
CREATE FUNCTION pg_temp.as_nobody(command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE instance_env_nobody;
	EXECUTE command;
	RESET ROLE;
END $$;
SELECT throws_ok($$SELECT pg_temp.as_nobody('SELECT * FROM instance_env.instance_diff(NULL)')$$, '42501', NULL, 'not granted');
GRANT EXECUTE ON FUNCTION instance_env.instance_diff(uuid), instance_env.instance_diff(text) TO instance_env_nobody;
SELECT lives_ok($$SELECT pg_temp.as_nobody(format('SELECT * FROM instance_env.instance_diff(%L)', $$
	|| quote_literal(instance_env.application_id('shop')) || '))', 'granted: no right on any table is needed');

SELECT * FROM finish();
ROLLBACK;
