-- export_settings(), import_settings()
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(183);

-- shop is what is exported, copy what it is imported into; pro and free by their plans
SELECT instance_env.create_application('shop', 'pro', 'd0000000-0000-4000-8000-000000000001',
	'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('copy', 'free', 'd0000000-0000-4000-8000-000000000002',
	'a0000000-0000-4000-8000-000000000002') \gset
CREATE FUNCTION pg_temp.import(instance uuid, document jsonb, dry_run boolean DEFAULT false) RETURNS SETOF text LANGUAGE sql AS $$
SELECT concat_ws('|', step, item, coalesce(before::text, '-'), coalesce(after::text, '-'))
FROM instance_env.import_settings(instance, document, dry_run)
$$;

-- what is exported

SELECT is(instance_env.export_settings('d0000000-0000-4000-8000-000000000001'),
	'{"format": 1, "instance": "d0000000-0000-4000-8000-000000000001", "instance_type": "development",
	  "settings": {}, "policies": {}, "features": {}, "connections": {}}',
	'nothing is set');
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', name, value) FROM (VALUES
	('session.lifetime', '3600'::jsonb), ('branding.name', E'"Größe \\"x\\""'), ('email.from', 'null'),
	('sso.acme', '{"entity": "acme"}'), ('integration.crm', '{"on": true}'), ('path.home', '"/"'), ('test.mode', 'true'),
	('billing.account', '"test"'), ('webhook.users', '"https://dev.example.com"')) v (name, value) \g /dev/null
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'rate_limit', '50') \gset
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', '"Shop, development"') \gset
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'user_cap', '40') \gset
SELECT instance_env.enable_feature('d0000000-0000-4000-8000-000000000001', 'passkeys') \gset
SELECT instance_env.enable_feature('d0000000-0000-4000-8000-000000000001', 'enterprise_connections', 3) \gset
SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000001', 'google') \gset
SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000001', 'github', 'dev-client', 'vault:dev/github',
	ARRAY['repo', 'user']) \gset
SELECT instance_env.export_settings('d0000000-0000-4000-8000-000000000001') AS doc \gset
SELECT is(:'doc'::jsonb, E'{"format": 1, "instance": "d0000000-0000-4000-8000-000000000001", "instance_type": "development",
	"settings": {"session.lifetime": 3600, "branding.name": "Größe \\"x\\"", "email.from": null, "sso.acme": {"entity": "acme"},
		"integration.crm": {"on": true}, "path.home": "/", "test.mode": true, "billing.account": "test",
		"webhook.users": "https://dev.example.com"},
	"policies": {"rate_limit": 50, "banner": "Shop, development", "user_cap": 40},
	"features": {"passkeys": 1, "enterprise_connections": 3},
	"connections": {"google": {"source": "shared"},
		"github": {"source": "own", "client_id": "dev-client", "scopes": ["repo", "user"]}}}'::jsonb,
	'everything that is set');
SELECT unalike(:'doc'::text, '%vault%', 'a secret''s reference is left out');
SELECT is(instance_env.export_settings('a0000000-0000-4000-8000-000000000001'),
	'{"format": 1, "instance": "a0000000-0000-4000-8000-000000000001", "instance_type": "production",
	  "settings": {}, "policies": {}, "features": {}, "connections": {}}',
	'production has set nothing');

-- importing what is there changes nothing

SELECT instance_env.config_version('d0000000-0000-4000-8000-000000000001') AS version \gset
SELECT count(*) AS events FROM instance_env.event \gset
SELECT is_empty(format($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', %L)$$, :'doc'),
	'idempotent: no rows');
SELECT is(instance_env.config_version('d0000000-0000-4000-8000-000000000001'), :version::bigint, 'the version stays');
SELECT is((SELECT count(*) FROM instance_env.event), :events::bigint, 'and no event is recorded');

-- into another development instance: all of it, but what belongs to one environment, and what needs a secret

SELECT set_eq(format($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002', %L, true)$$, :'doc'), ARRAY[
	E'import_setting|branding.name|-|"Größe \\"x\\""', 'import_setting|email.from|-|null', 'import_setting|session.lifetime|-|3600',
	'section_not_cloned|billing.account|-|-', 'section_not_cloned|integration.crm|-|-', 'section_not_cloned|path.home|-|-',
	'section_not_cloned|sso.acme|-|-', 'section_not_cloned|test.mode|-|-', 'section_not_cloned|webhook.users|-|-',
	'import_policy|banner|-|"Shop, development"', 'import_policy|rate_limit|-|50', 'import_policy|user_cap|-|40',
	'import_feature|enterprise_connections|-|3', 'import_feature|passkeys|-|1',
	'import_connection|google|-|{"source": "shared"}', 'own_credentials_required|github|-|-'],
	'development: what would be changed, and what is missing');
SELECT is(instance_env.export_settings('d0000000-0000-4000-8000-000000000002'),
	'{"format": 1, "instance": "d0000000-0000-4000-8000-000000000002", "instance_type": "development",
	  "settings": {}, "policies": {}, "features": {}, "connections": {}}',
	'a dry run has changed nothing');
SELECT is((SELECT count(*) FROM instance_env.event), :events::bigint, 'nor recorded anything');
CREATE TEMP TABLE rehearsal AS
	SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002', :'doc', true);
SELECT results_eq(format($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002', %L)$$, :'doc'),
	'SELECT * FROM rehearsal', 'the real import says the very same');
SELECT is(instance_env.export_settings('d0000000-0000-4000-8000-000000000002'), jsonb_set(:'doc'::jsonb #- '{connections, github}' #- '{settings, billing.account}' #- '{settings, integration.crm}' #- '{settings, path.home}'
		#- '{settings, sso.acme}' #- '{settings, test.mode}' #- '{settings, webhook.users}', '{instance}', '"d0000000-0000-4000-8000-000000000002"'),
	'and now it is like the other');
SELECT is((SELECT count(*) FROM instance_env.event WHERE instance = 'd0000000-0000-4000-8000-000000000002'), 9::bigint,
	'each change is an event');
SELECT results_eq(
	$$SELECT item, before, after FROM instance_env.event WHERE instance = 'd0000000-0000-4000-8000-000000000002'
	  AND action = 'import_settings' ORDER BY id LIMIT 2$$,
	$$VALUES ('branding.name', NULL::jsonb, E'"Größe \\"x\\""'::jsonb), ('email.from', NULL, 'null')$$, 'of import_settings()');
SELECT set_eq(format($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002', %L)$$, :'doc'),
	ARRAY['section_not_cloned|billing.account|-|-', 'section_not_cloned|integration.crm|-|-', 'section_not_cloned|path.home|-|-',
	'section_not_cloned|sso.acme|-|-', 'section_not_cloned|test.mode|-|-', 'section_not_cloned|webhook.users|-|-',
	'own_credentials_required|github|-|-'], 'again: what is missing is said again');
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000002', 'user.own', '1') \gset
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000002', 'session.lifetime', '1') \gset
SELECT set_eq(format($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002', %L)$$, :'doc'),
	ARRAY['import_setting|session.lifetime|1|3600', 'section_not_cloned|billing.account|-|-', 'section_not_cloned|integration.crm|-|-', 'section_not_cloned|path.home|-|-',
	'section_not_cloned|sso.acme|-|-', 'section_not_cloned|test.mode|-|-', 'section_not_cloned|webhook.users|-|-',
	'own_credentials_required|github|-|-'], 'what has changed is set back');
SELECT is(instance_env.setting('d0000000-0000-4000-8000-000000000002', 'user.own'), '1', 'what the document does not name stays');

-- credentials

SELECT set_eq($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002', '{"format": 1, "connections": {"github":
	{"source": "own", "client_id": "copy-client", "secret_reference": "vault:copy/github", "scopes": ["repo"]}}}')$$,
	ARRAY['import_connection|github|-|{"scopes": ["repo"], "source": "own", "client_id": "copy-client"}'],
	'credentials may be added to the document by hand');
SELECT set_eq(format($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002', %L)$$, :'doc'::jsonb - 'settings'), ARRAY[
	'own_credentials_required|github|{"scopes": ["repo"], "source": "own", "client_id": "copy-client"}|{"scopes": ["repo"], "source": "own", "client_id": "copy-client"}'],
	'another client''s credentials are not mixed with those that are there');
SELECT set_eq($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002', '{"format": 1, "connections": {"github":
	{"source": "own", "client_id": "copy-client", "scopes": ["user"]}}}')$$, ARRAY[
	'import_connection|github|{"scopes": ["repo"], "source": "own", "client_id": "copy-client"}|{"scopes": ["user"], "source": "own", "client_id": "copy-client"}'],
	'the same client''s are kept');
SELECT is((SELECT secret_reference FROM instance_env.social_connection
		   WHERE instance = 'd0000000-0000-4000-8000-000000000002' AND provider = 'github'), 'vault:copy/github', 'with their secret');
SELECT is_empty($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002',
	'{"format": 1, "connections": {"github": {"source": "shared"}}}')$$, 'own credentials are not given up for shared ones');
SELECT set_eq($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002',
	'{"format": 1, "connections": {"tiktok": {"source": "shared"}}}')$$,
	ARRAY['own_credentials_required|tiktok|-|-'], 'nor are credentials shared that the provider does not offer');
SELECT throws_ok($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002',
	'{"format": 1, "connections": {"gogle": {"source": "shared"}}}')$$, '22023', 'social provider "gogle" does not exist',
	'a provider that nobody knows');

-- into production

SELECT set_eq(format($$SELECT pg_temp.import('a0000000-0000-4000-8000-000000000002', %L)$$, :'doc'), ARRAY[
	E'import_setting|branding.name|-|"Größe \\"x\\""', 'import_setting|email.from|-|null', 'plan_upgrade_required|session.lifetime|-|-',
	'import_policy|rate_limit|-|50',
	'section_not_cloned|billing.account|-|-', 'section_not_cloned|integration.crm|-|-', 'section_not_cloned|path.home|-|-',
	'section_not_cloned|sso.acme|-|-', 'section_not_cloned|test.mode|-|-', 'section_not_cloned|webhook.users|-|-',
	'policy_not_overridable|banner|-|-', 'policy_not_overridable|user_cap|-|-',
	'plan_upgrade_required|enterprise_connections|-|-', 'plan_upgrade_required|passkeys|-|-',
	'own_credentials_required|github|-|-', 'own_credentials_required|google|-|-'],
	'production: "SSO connections, integrations and paths are not copied", and own credentials are required');
SELECT is((SELECT count(*) FROM instance_env.social_connection WHERE instance_type = 'production'), 0::bigint,
	'production never gets shared credentials');
SELECT set_eq(format($$SELECT pg_temp.import('a0000000-0000-4000-8000-000000000001', %L)$$, :'doc'), ARRAY[
	E'import_setting|branding.name|-|"Größe \\"x\\""', 'import_setting|email.from|-|null', 'import_setting|session.lifetime|-|3600',
	'import_policy|rate_limit|-|50', 'import_feature|enterprise_connections|-|3', 'import_feature|passkeys|-|1',
	'section_not_cloned|billing.account|-|-', 'section_not_cloned|integration.crm|-|-', 'section_not_cloned|path.home|-|-',
	'section_not_cloned|sso.acme|-|-', 'section_not_cloned|test.mode|-|-', 'section_not_cloned|webhook.users|-|-',
	'policy_not_overridable|banner|-|-', 'policy_not_overridable|user_cap|-|-',
	'own_credentials_required|github|-|-', 'own_credentials_required|google|-|-'],
	'with the plan: paid features, too');
SELECT set_eq($$SELECT pg_temp.import('a0000000-0000-4000-8000-000000000001',
	'{"format": 1, "instance": "a0000000-0000-4000-8000-000000000001", "instance_type": "production", "settings": {"sso.acme": 1, "path.home": "/p"},
	  "connections": {"google": {"source": "own", "client_id": "p", "secret_reference": "vault:p"}}}')$$, ARRAY[
	'import_setting|path.home|-|"/p"', 'import_setting|sso.acme|-|1', 'import_connection|google|-|{"source": "own", "client_id": "p"}'],
	'what production itself has exported comes back whole');
SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000001', 'bot_protection') \gset
SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000001', 'enterprise_connections', 100) \gset
SELECT set_eq($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002',
	jsonb_build_object('format', 1, 'features', instance_env.export_settings('a0000000-0000-4000-8000-000000000001') -> 'features'))$$,
	ARRAY['feature_not_available|bot_protection|-|-', 'feature_not_available|enterprise_connections|3|3'],
	'back into development: not what is for production only, nor beyond its limits');
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000002') \gset
SELECT set_eq($$SELECT pg_temp.import('d0000000-0000-4000-8000-000000000002', '{"format": 1, "settings": {"user.own": 2}}')$$,
	ARRAY['import_setting|user.own|1|2'], 'suspended: can be imported into');

-- what belongs to one environment comes back into that very instance, and into no other, whatever its type

SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
SELECT production_id AS staging FROM instance_env.create_staging_application(instance_env.application_id('shop'), 'staging.shop.example.com') \gset
SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'webhook.endpoint', '"https://shop.example.com/hook"') \gset
SELECT instance_env.set_setting(:'staging', name, value) FROM (VALUES ('webhook.endpoint', '"https://staging.shop.example.com/hook"'::jsonb),
	('billing.stripe_key', '"sk_test_123"'), ('sso.acme', '2'), ('integration.crm', '1'), ('path.home', '"/s"'), ('test.mode', 'true'),
	('session.staged', '1')) v (name, value) \g /dev/null
SELECT instance_env.set_policy(:'staging', 'test_identities', 'true') \gset
SELECT instance_env.set_policy(:'staging', 'rate_limit', '77') \gset
SELECT instance_env.set_social_connection(:'staging', 'github', 'staging-client', 'env:STAGING_GITHUB') \gset
SELECT instance_env.export_settings(:'staging') AS staged \gset
CREATE TEMP TABLE left_out AS SELECT unnest(ARRAY['section_not_cloned|billing.stripe_key|-|-', 'section_not_cloned|integration.crm|-|-',
	'section_not_cloned|path.home|"/p"|"/p"', 'section_not_cloned|sso.acme|1|1', 'section_not_cloned|test.mode|-|-',
	'section_not_cloned|webhook.endpoint|"https://shop.example.com/hook"|"https://shop.example.com/hook"', 'policy_not_cloned|test_identities|-|-',
	'own_credentials_required|github|-|-']) AS row;
SELECT results_eq(format($$SELECT pg_temp.import('a0000000-0000-4000-8000-000000000001', %L, true)$$, :'staged'),
	$$SELECT row FROM (VALUES ('import_setting|session.staged|-|1'), ('import_policy|rate_limit|50|77')) v (row) UNION ALL TABLE left_out$$,
	'from production of a staging environment: a dry run says what would be left out');
SELECT results_eq(format($$SELECT pg_temp.import('a0000000-0000-4000-8000-000000000001', %L)$$, :'staged'),
	$$SELECT row FROM (VALUES ('import_setting|session.staged|-|1'), ('import_policy|rate_limit|50|77')) v (row) UNION ALL TABLE left_out$$, 'and so does the import');
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'webhook.endpoint'), '"https://shop.example.com/hook"', 'production keeps its own webhook');
SELECT results_eq(format($$SELECT pg_temp.import('a0000000-0000-4000-8000-000000000001', %L)$$, :'staged'::jsonb - 'instance'), 'TABLE left_out',
	'a document that names no instance is another''s');
SELECT results_eq(format($$SELECT pg_temp.import('a0000000-0000-4000-8000-000000000001', %L)$$, :'staged'::jsonb || '{"instance_type": "production"}' || '{"instance": "d0000000-0000-4000-8000-000000000001"}'),
	'TABLE left_out', 'whatever it names');
SELECT instance_env.rename_application(application, 'other') FROM instance_env.instance WHERE id = :'staging' \g /dev/null
SELECT instance_env.set_setting(:'staging', name, NULL) FROM instance_env.settings(:'staging') \g /dev/null
SELECT instance_env.reset_policy(:'staging', 'test_identities') \gset
SELECT set_eq(format($$SELECT pg_temp.import(%L, %L)$$, :'staging', :'staged'), ARRAY['import_setting|billing.stripe_key|-|"sk_test_123"',
	E'import_setting|branding.name|-|"Größe \\"x\\""', 'import_setting|email.from|-|null',
	'import_setting|integration.crm|-|1', 'import_setting|path.home|-|"/s"', 'import_setting|session.lifetime|-|3600', 'import_setting|session.staged|-|1', 'import_setting|sso.acme|-|2',
	'import_setting|test.mode|-|true', 'import_setting|webhook.endpoint|-|"https://staging.shop.example.com/hook"', 'import_policy|test_identities|-|true'],
	'its own come back, though the application has another name now');
SELECT is(instance_env.export_settings(:'staging'), :'staged', 'all of them');
SELECT set_eq(format($$SELECT pg_temp.import('a0000000-0000-4000-8000-000000000001', %L)$$,
	jsonb_set(:'staged'::jsonb - '{settings, connections}'::text[], '{instance}', '"A0000000-0000-4000-8000-000000000001"')),
	ARRAY['import_policy|test_identities|-|true'], 'in capitals it is the same id');
SELECT instance_env.reset_policy('a0000000-0000-4000-8000-000000000001', 'test_identities') \gset
SELECT is_empty($$SELECT * FROM instance_env.import_settings('a0000000-0000-4000-8000-000000000001', '{"format": 1, "policies": {"test_identities": false}}')
	WHERE step <> 'import_policy'$$, 'test identities can be forbidden by any document');
SELECT is_empty($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', '{"format": 1, "policies": {"test_identities": true}}')
	WHERE step <> 'import_policy'$$, 'and accepted in development');
SELECT throws_ok($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', '{"format": 1, "connections": {"github":
	{"source": "own", "client_id": "x", "secret_reference": "GITHUB_SECRET"}}}')$$, '22023', 'invalid value for argument "secret_reference"', 'a reference in a document has the form of one');
SELECT throws_ok(format($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', '{"format": 1, "connections": {"github":
	{"source": "own", "client_id": "x", "secret_reference": "vault:%s"}}}')$$, 'ghp_' || repeat('a1B2', 9)), '22I03', 'argument "secret_reference" looks like a secret', 'and is no secret');

-- what is no such document: refused, and nothing of it is done

CREATE TEMP TABLE bad (document jsonb);
INSERT INTO bad VALUES ('null'), ('1'), ('"x"'), ('[]'), ('[{"format": 1}]'), ('{}'), ('{"settings": {}}'), ('{"format": 2}'),
	('{"format": "1"}'), ('{"format": null}'), ('{"format": 1.5}'), ('{"format": {}}'), ('{"format": -1}'), ('{"format": 1e400}'),
	('{"format": 1, "instance_type": "staging"}'), ('{"format": 1, "instance_type": 1}'), ('{"format": 1, "instance_type": null}'),
	('{"format": 1, "instance": null}'), ('{"format": 1, "instance": 1}'), ('{"format": 1, "instance": {}}'), ('{"format": 1, "instance": ""}'),
	('{"format": 1, "instance": "shop"}'), ('{"format": 1, "instance": "d0000000-0000-4000-8000-00000000000g"}'),
	('{"format": 1, "instance": "d0000000000040008000000000000001"}'), ('{"format": 1, "instance": "{d0000000-0000-4000-8000-000000000001}"}'),
	('{"format": 1, "instance": "d0000000-0000-4000-8000-0000000000010"}'), ('{"format": 1, "instance": "d00000000000-4000-8000-00000-00000001"}'),
	('{"format": 1, "domains": {}}'), ('{"format": 1, "": {}}'), ('{"format": 1, "SETTINGS": {}}'),
	('{"format": 1, "settings": []}'), ('{"format": 1, "settings": null}'), ('{"format": 1, "settings": "session.a"}'),
	('{"format": 1, "settings": {"session.a": 9, "nosuch.a": 1}}'), ('{"format": 1, "settings": {"session.a": 9, "session": 1}}'),
	('{"format": 1, "settings": {"session.a": 9, "": 1}}'), ('{"format": 1, "settings": {"session.a": 9, "session.A": 1}}'),
	('{"format": 1, "settings": {"session.a": 9, "session.größe": 1}}'),
	('{"format": 1, "settings": {"session.a": 9}, "policies": {"nosuch": 1}}'),
	('{"format": 1, "settings": {"session.a": 9}, "policies": {"rate_limit": "x"}}'),
	('{"format": 1, "settings": {"session.a": 9}, "policies": {"user_cap": -1}}'),
	('{"format": 1, "settings": {"session.a": 9}, "policies": []}'),
	('{"format": 1, "settings": {"session.a": 9}, "features": {"nosuch": 1}}'),
	('{"format": 1, "settings": {"session.a": 9}, "features": {"passkeys": 0}}'),
	('{"format": 1, "settings": {"session.a": 9}, "features": {"passkeys": 1.5}}'),
	('{"format": 1, "settings": {"session.a": 9}, "features": {"passkeys": 1e20}}'),
	('{"format": 1, "settings": {"session.a": 9}, "features": {"passkeys": true}}'),
	('{"format": 1, "settings": {"session.a": 9}, "features": {"passkeys": "1"}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": true}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": {}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": {"source": "stolen"}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": {"source": ["own"]}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": {"source": "own"}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": {"source": "own", "client_id": 1}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": {"source": "shared", "client_id": "x"}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": {"source": "shared", "secret_reference": "x"}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"google": {"source": "own", "client_id": "x", "secret": "x"}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"xero": {"source": "own", "client_id": "x", "scopes": "x"}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"xero": {"source": "own", "client_id": "x", "scopes": [1]}}}'),
	('{"format": 1, "settings": {"session.a": 9}, "connections": {"xero": {"source": "own", "client_id": "x", "scopes": {}}}}'),
	(jsonb_build_object('format', 1, repeat('x', 100000), '{}'::jsonb)),
	(jsonb_build_object('format', 1, 'settings', jsonb_build_object(repeat('session.x', 10000), 1)));
SELECT throws_ok(format($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002', %L, %L)$$, document, dry_run),
	'22023', NULL, 'refused: ' || left(document::text, 110) || CASE WHEN dry_run THEN ', dry run' ELSE '' END)
FROM bad, (VALUES (true), (false)) d (dry_run);
SELECT is(instance_env.setting('d0000000-0000-4000-8000-000000000002', 'session.a'), NULL, 'never half done');
SELECT is_empty($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002', '{"format": 1}')$$,
	'parts may be missing');
SELECT is_empty($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002', '{"format": 1.0, "settings": {}}')$$,
	'or empty');

-- instances and arguments

SELECT throws_ok($$SELECT instance_env.export_settings(NULL)$$, '22004', NULL, 'export: NULL');
SELECT throws_ok($$SELECT instance_env.export_settings('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL, 'export: unknown');
SELECT throws_ok($$SELECT * FROM instance_env.import_settings(NULL, '{"format": 1}')$$, '22004', NULL, 'import: NULL as an instance');
SELECT throws_ok($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', NULL)$$, '22004', NULL,
	'import: NULL as a document');
SELECT throws_ok($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', '{"format": 1}', NULL)$$, '22004',
	NULL, 'import: NULL as dry_run');
SELECT throws_ok($$SELECT * FROM instance_env.import_settings('00000000-0000-0000-0000-000000000000', '{"format": 1}')$$, '23I03',
	NULL, 'import: unknown');
CREATE ROLE instance_env_nobody;
CREATE FUNCTION pg_temp.as_nobody(command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE instance_env_nobody;
	EXECUTE command;
	RESET ROLE;
END $$;
SELECT throws_ok($$SELECT pg_temp.as_nobody($q$SELECT instance_env.export_settings('d0000000-0000-4000-8000-000000000001')$q$)$$, '42501', NULL, 'export needs a right');
SELECT throws_ok($$SELECT pg_temp.as_nobody($q$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', '{"format": 1}')$q$)$$, '42501', NULL, 'and so does import');

-- over random configurations: a dry run and the import return the same rows, then the
-- document has come in but for what was said to be left out

CREATE FUNCTION pg_temp.random_part(items text[], val text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
BEGIN
	EXECUTE format('SELECT coalesce(jsonb_object_agg(item, %s), ''{}'') FROM unnest($1) item WHERE random() < 0.4', val)
		INTO result USING items;
	RETURN result;
END $$;
CREATE FUNCTION pg_temp.random_document() RETURNS jsonb LANGUAGE sql AS $$
SELECT jsonb_build_object('format', 1,
	'instance', (ARRAY['d0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000002',
		'a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002'])[1 + floor(random() * 4)::integer],
	'instance_type', (ARRAY['development', 'production'])[1 + (random() * 1)::integer],
	'settings', pg_temp.random_part('{session.a, session.b, email.a, user.x.y, sso.a, path.b, test.c, webhook.d}',
		'(ARRAY[''1'', ''2'', ''null'', ''{"a": [1]}'']::jsonb[])[1 + (random() * 3)::integer]'),
	'policies', pg_temp.random_part('{rate_limit, sms_per_month, user_cap, email_per_month}', '1 + (random() * 2)::integer'),
	'features', pg_temp.random_part('{passkeys, bot_protection, enterprise_connections, allowlist}', '1 + (random() * 30)::integer'),
	'connections', pg_temp.random_part('{google, github, tiktok, custom_x}',
		'(ARRAY[''{"source": "shared"}'', ''{"source": "own", "client_id": "a"}'',
		 ''{"source": "own", "client_id": "a", "secret_reference": "env:S"}'', ''{"source": "own", "client_id": "b", "secret_reference": "env:T"}'',
		 ''{"source": "own", "client_id": "b", "scopes": ["u", "v"]}'']::jsonb[])[1 + (random() * 4)::integer]'))
$$;
CREATE TEMP TABLE trial (n integer, instance uuid, document jsonb, rehearsed jsonb, done jsonb, again jsonb, version_kept boolean, problem text);
DO $$
DECLARE
	target uuid;
	doc jsonb;
	t trial;
	before jsonb;
	version bigint;
BEGIN
	FOR i IN 1..150 LOOP
		target := (ARRAY['d0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000002',
			'a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002']::uuid[])[1 + i % 4];
		t := NULL;
		t.n := i;
		t.instance := target;
		t.document := pg_temp.random_document();
		before := instance_env.export_settings(target);
		version := instance_env.config_version(target);
		SELECT coalesce(jsonb_agg(r), '[]') INTO t.rehearsed FROM instance_env.import_settings(target, t.document, true) r;
		t.version_kept := before = instance_env.export_settings(target) AND version = instance_env.config_version(target);
		SELECT coalesce(jsonb_agg(r), '[]') INTO t.done FROM instance_env.import_settings(target, t.document) r;
		SELECT coalesce(jsonb_agg(r), '[]') INTO t.again FROM instance_env.import_settings(target, t.document) r
		WHERE r.step LIKE 'import%' OR r.before IS DISTINCT FROM r.after;
		-- each item of the document is there now, or was left out
		SELECT string_agg(part || '.' || key, ', ') INTO t.problem
		FROM unnest('{settings, policies, features}'::text[]) part, jsonb_each(t.document -> part) e
		WHERE instance_env.export_settings(target) -> part -> key IS DISTINCT FROM e.value
			AND NOT EXISTS (SELECT FROM jsonb_array_elements(t.done) r
							WHERE r ->> 'item' = key AND r ->> 'step' NOT LIKE 'import%');
		INSERT INTO trial SELECT t.*;
	END LOOP;
END $$;
SELECT cmp_ok((SELECT count(*) FROM trial WHERE jsonb_array_length(done) > 3), '>', 50::bigint, 'many imports change much');
SELECT is_empty('SELECT n, document, rehearsed, done FROM trial WHERE rehearsed <> done',
	'a dry run returns the very same rows as the real one');
SELECT is_empty('SELECT n FROM trial WHERE NOT version_kept', 'and changes nothing');
SELECT is_empty('SELECT n, document, again FROM trial WHERE again <> ''[]''', 'again: nothing is left to do');
SELECT is_empty('SELECT n, document, done, problem FROM trial WHERE problem IS NOT NULL', 'each item has come in, or was said to be left out');
SELECT is((SELECT count(*) FROM instance_env.social_connection WHERE instance_type = 'production' AND source = 'shared'), 0::bigint,
	'and production has no shared credentials');

SELECT * FROM finish();
ROLLBACK;
