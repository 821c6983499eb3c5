--
-- Social connections: what is said
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id AS dev, production_id AS prod FROM instance_env.create_application('social test', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001') \gset
SELECT name, offers_shared FROM instance_env.social_providers WHERE builtin ORDER BY name;

-- set_social_connection()
SELECT instance_env.set_social_connection(:'dev', 'google');
SELECT instance_env.set_social_connection(:'dev', 'google', 'our-id', 'vault:shop/google', '{openid,calendar.readonly}');
SELECT instance_env.set_social_connection(:'dev', 'google', 'our-id', 'vault:shop/google', '{openid,calendar.readonly}');
SELECT instance_env.set_social_connection(:'dev', 'github');
SELECT instance_env.set_social_connection(:'prod', 'google', 'our-id', 'env:GOOGLE_CLIENT_SECRET');
SELECT type, provider, source, client_id, scopes FROM instance_env.social_connections
	WHERE application = 'social test' ORDER BY 1, 2;
SELECT i.type, e.action, e.item, e.before, e.after FROM instance_env.event e JOIN instance_env.instance i ON i.id = e.instance
	WHERE e.instance IN (:'dev', :'prod') AND e.item IN ('google', 'github') ORDER BY e.id;

-- refused
SELECT instance_env.set_social_connection(:'prod', 'google');
SELECT instance_env.set_social_connection(:'dev', 'tiktok');
SELECT instance_env.set_social_connection(:'dev', 'custom_acme');
SELECT instance_env.set_social_connection(:'dev', 'github', scopes => '{repo}');
SELECT instance_env.set_social_connection(:'dev', 'github', client_id => 'id');
SELECT instance_env.set_social_connection(:'dev', 'github', secret_reference => 'env:SECRET');
SELECT instance_env.set_social_connection(:'dev', 'github', 'id', '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');
SELECT instance_env.set_social_connection(:'dev', 'github', 'id', 'GITHUB_SECRET');
SELECT instance_env.set_social_connection(:'dev', 'github', 'id', 'data:text/plain,hunter2');
SELECT instance_env.set_social_connection(:'dev', 'github', 'id', 'vault:0123456789abcdef0123456789abcdef');
SELECT instance_env.set_social_connection(:'dev', 'github', 'ghp_' || repeat('a1B2', 9), 'env:SECRET');
SELECT instance_env.set_social_connection(:'dev', 'github', 'id', E'-----BEGIN PRIVATE KEY-----\n');
SELECT instance_env.set_social_connection(:'dev', 'github', 'id', 'env:SECRET', '{"read write"}');
SELECT instance_env.set_social_connection(:'dev', 'myspace');
SELECT instance_env.set_social_connection(:'dev', NULL);
SELECT instance_env.set_social_connection('00000000-0000-0000-0000-000000000000', 'google');

-- social_credentials()
SELECT * FROM instance_env.social_credentials(:'dev', 'google');
SELECT * FROM instance_env.social_credentials(:'dev', 'github');
SELECT * FROM instance_env.social_credentials(:'dev', 'x');
SELECT * FROM instance_env.social_credentials(:'dev', 'spotify');
SELECT * FROM instance_env.social_credentials(:'prod', 'google');
SELECT * FROM instance_env.social_credentials(:'prod', 'github');
SELECT * FROM instance_env.social_credentials(:'prod', 'myspace');

-- by hand
INSERT INTO instance_env.social_connection VALUES (:'prod', 'github', 'production', 'shared');
INSERT INTO instance_env.social_connection VALUES (:'prod', 'github', 'development', 'shared');
INSERT INTO instance_env.social_connection VALUES (:'dev', 'github', 'production', 'own', 'id', 'SECRET');
UPDATE instance_env.instance SET type = 'production' WHERE id = :'dev';

-- remove_social_connection()
SELECT instance_env.remove_social_connection(:'dev', 'google');
SELECT instance_env.remove_social_connection(:'dev', 'google');
SELECT instance_env.remove_social_connection(:'dev', 'myspace');

SELECT instance_env.drop_application(instance_env.application_id('social test'));
