-- instance_diff(): drift between development and production
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(56);

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

-- any two instances

SELECT instance_env.create_application('one', 'pro', 'd0000000-0000-4000-8000-000000000011', 'a0000000-0000-4000-8000-000000000011', 'one dev', 'one prod') \gset
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000011', 'one.example.org') \gset
SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000011', 'session.a', '1') \gset
SELECT application_id AS staged, development_id AS staged_dev, production_id AS staged_prod
FROM instance_env.create_staging_application(instance_env.application_id('one'), 'staging.one.example.org') \gset
CREATE FUNCTION pg_temp.diff(a uuid, b uuid) RETURNS SETOF text LANGUAGE sql AS $$
SELECT concat_ws('|', kind, item, coalesce(d.a::text, '-'), coalesce(d.b::text, '-'), coalesce(ahead, '?')) FROM instance_env.instance_diff($1, $2) d
$$;
CREATE FUNCTION pg_temp.turned(a uuid, b uuid) RETURNS SETOF text LANGUAGE sql AS $$
SELECT concat_ws('|', kind, item, coalesce(d.b::text, '-'), coalesce(d.a::text, '-'), coalesce(translate(ahead, 'ab', 'ba'), '?')) FROM instance_env.instance_diff($2, $1) d
$$;
SELECT is_empty(format('SELECT pg_temp.diff(%L, %L)', 'a0000000-0000-4000-8000-000000000011', :'staged_prod'), 'a new staging environment is configured as production is');
SELECT is_empty(format('SELECT pg_temp.diff(%L, %L)', :'staged_dev', 'd0000000-0000-4000-8000-000000000011'), 'and so are the development instances');
SELECT instance_env.set_setting(:'staged_prod', 'session.a', '2') \gset
SELECT instance_env.set_setting(:'staged_prod', 'session.b', '2') \gset
SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000011', 'webhook.x', '3') \gset
SELECT instance_env.set_policy(:'staged_prod', 'test_identities', 'true') \gset
SELECT instance_env.set_policy('a0000000-0000-4000-8000-000000000011', 'robots_txt', '"User-agent: x"') \gset
SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000011', 'bot_protection') \gset
SELECT instance_env.set_social_connection('a0000000-0000-4000-8000-000000000011', 'github', 'p', 'env:P') \gset
SELECT instance_env.set_social_connection(:'staged_prod', 'github', 's', 'env:S', '{repo}') \gset
CREATE TEMP TABLE differences AS SELECT unnest(ARRAY['setting|session.a|1|2|b', 'setting|session.b|-|2|b', 'setting|webhook.x|3|-|a',
	'policy|robots_txt|"User-agent: x"|-|a', 'policy|test_identities|-|true|b', 'feature|bot_protection|1|-|a',
	'connection|github|{"source": "own"}|{"scopes": ["repo"], "source": "own"}|b']) AS row;
SELECT results_eq(format('SELECT pg_temp.diff(%L, %L)', 'a0000000-0000-4000-8000-000000000011', :'staged_prod'), 'TABLE differences',
	'production of staging against production: also what only production may have');
SELECT results_eq(format('SELECT pg_temp.turned(%L, %L)', 'a0000000-0000-4000-8000-000000000011', :'staged_prod'), 'TABLE differences', 'turned around it is the same');
SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000011', 'session.a', '3') \gset
SELECT is((SELECT ahead FROM instance_env.instance_diff('a0000000-0000-4000-8000-000000000011', :'staged_prod') WHERE item = 'session.a'), 'a', 'ahead is the side of the last change');
SELECT instance_env.set_policy(:'staged_dev', 'banner', '"Staging"') \gset
SELECT instance_env.set_user_cap(:'staged_dev', 7) \gset
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000011', 'user_cap', '8') \gset
SELECT results_eq(format('SELECT pg_temp.diff(%L, %L)', 'd0000000-0000-4000-8000-000000000011', :'staged_dev'),
	ARRAY['policy|banner|-|"Staging"|b', 'policy|user_cap|8|7|a'], 'two developments: also what only they may have, and the cap');
SELECT instance_env.set_user_cap(:'staged_dev', NULL) \gset
SELECT results_eq(format('SELECT pg_temp.diff(%L, %L)', 'd0000000-0000-4000-8000-000000000011', :'staged_dev'),
	ARRAY['policy|banner|-|"Staging"|b', 'policy|user_cap|8|-|b'], 'no cap of its own');
SELECT results_eq(format('SELECT pg_temp.diff(%L, %L)', :'staged_dev', 'a0000000-0000-4000-8000-000000000011'), ARRAY['setting|session.a|-|3|b',
	'setting|webhook.x|-|3|b', 'connection|github|-|{"source": "own"}|b'],
	'of different types and applications: not what only one type may have');
SELECT results_eq(format($$SELECT kind, item, a, b, CASE ahead WHEN 'a' THEN 'development' WHEN 'b' THEN 'production' END
	FROM instance_env.instance_diff('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001')$$),
	$$SELECT * FROM instance_env.instance_diff('shop')$$, 'the two of one application: as by the application');
SELECT is_empty(format('SELECT pg_temp.diff(%L, %1$L)', i), 'an instance is like itself') FROM unnest(ARRAY['a0000000-0000-4000-8000-000000000011', :'staged_dev']) i;

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
SELECT throws_ok(format('SELECT * FROM instance_env.instance_diff(%L, %L)', a, b), state, NULL, format('%s, %s', coalesce(a, 'NULL'), coalesce(b, 'NULL')))
FROM (VALUES (NULL, 'd0000000-0000-4000-8000-000000000001', '22004'), ('d0000000-0000-4000-8000-000000000001', NULL, '22004'), (NULL, NULL, '22004'),
	('00000000-0000-0000-0000-000000000000', 'd0000000-0000-4000-8000-000000000001', '23I03'), ('d0000000-0000-4000-8000-000000000001', '00000000-0000-0000-0000-000000000000', '23I03'),
	('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', '23I03'), ('shop', 'd0000000-0000-4000-8000-000000000001', '22P02')) v (a, b, state);
SELECT throws_ok(format('SELECT * FROM instance_env.instance_diff(%L, %L)', 'd0000000-0000-4000-8000-000000000001', instance_env.application_id('shop')), '23I03', NULL,
	'an application where an instance is meant');
CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
CREATE FUNCTION pg_temp.as_nobody(command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE instance_env_nobody;
	EXECUTE command;
	RESET ROLE;
END $$;
SELECT throws_ok($$SELECT pg_temp.as_nobody('SELECT * FROM instance_env.instance_diff(NULL)')$$, '42501', NULL, 'not granted');
SELECT throws_ok($$SELECT pg_temp.as_nobody('SELECT * FROM instance_env.instance_diff(NULL, NULL)')$$, '42501', NULL, 'neither the one for two');
GRANT EXECUTE ON FUNCTION instance_env.instance_diff(uuid), instance_env.instance_diff(text), instance_env.instance_diff(uuid, uuid) TO instance_env_nobody;
SELECT lives_ok($$SELECT pg_temp.as_nobody(format('SELECT * FROM instance_env.instance_diff(%L)', $$
	|| quote_literal(instance_env.application_id('shop')) || '))', 'granted: no right on any table is needed');
SELECT lives_ok($$SELECT pg_temp.as_nobody('SELECT * FROM instance_env.instance_diff(''d0000000-0000-4000-8000-000000000001'', ''a0000000-0000-4000-8000-000000000002'')')$$,
	'nor for two instances');

SELECT * FROM finish();
ROLLBACK;
