-- Social connections: whose credentials, in every way that a row can be written
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(404);

-- one instance in each state
SELECT instance_env.create_application('shop', 'pro',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('O''Reilly "books"', 'free',
	'd0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002') \gset
SELECT instance_env.create_application('idle', 'free',
	'd0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000003') \gset
UPDATE instance_env.instance SET status = 'active' WHERE id = 'a0000000-0000-4000-8000-000000000001';
UPDATE instance_env.instance SET status = 'suspended'
	WHERE id IN ('a0000000-0000-4000-8000-000000000003', 'd0000000-0000-4000-8000-000000000003');
CREATE TEMP TABLE developments AS SELECT status, instance_id AS id FROM instance_env.instances WHERE type = 'development';
CREATE TEMP TABLE productions AS SELECT status, instance_id AS id FROM instance_env.instances WHERE type = 'production';

CREATE FUNCTION pg_temp.version(instance uuid) RETURNS bigint LANGUAGE sql AS
$$SELECT config_version FROM instance_env.instance WHERE id = $1$$;
CREATE FUNCTION pg_temp.events(instance uuid) RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM instance_env.event e WHERE e.instance = $1 AND action LIKE '%social_connection'$$;

-- the catalogue

SELECT set_eq($$SELECT name FROM instance_env.social_provider WHERE offers_shared$$,
	ARRAY['apple', 'atlassian', 'bitbucket', 'box', 'coinbase', 'discord', 'dropbox', 'facebook', 'github', 'gitlab',
		'google', 'hubspot', 'huggingface', 'line', 'linear', 'linkedin', 'microsoft', 'notion', 'slack', 'twitch',
		'vercel', 'x', 'xero'], 'these providers offer shared credentials');
SELECT set_eq($$SELECT name FROM instance_env.social_provider WHERE NOT offers_shared$$, ARRAY['tiktok', 'twitter', 'spotify'],
	'these do not');
SELECT ok((SELECT bool_and(builtin) FROM instance_env.social_provider), 'a dump leaves all of them out');

-- shared credentials: once the connection has been enabled, so that validate() knows of it

SELECT throws_ok(format('SELECT instance_env.social_credentials(%L, %L)', id, name), '55000',
	format('development instance "%s" has not enabled social connection "%s"', id, name), 'not by itself: ' || name || ', ' || status)
FROM developments, instance_env.social_provider WHERE offers_shared ORDER BY status, name;
SELECT throws_ok(format('SELECT instance_env.social_credentials(%L, %L)', id, 'nobody'), '22023', NULL, 'a provider that does not exist, ' || status)
FROM developments ORDER BY status;
SAVEPOINT s;
SELECT instance_env.set_social_connection(id, name) FROM developments, instance_env.social_provider WHERE offers_shared \g /dev/null
SELECT results_eq(format('SELECT source::text, client_id, secret_reference, scopes FROM instance_env.social_credentials(%L, %L)', id, name),
	$$VALUES ('shared', NULL::text, NULL::text, NULL::text[])$$,
	'"Some social connections use shared credentials by default": ' || name || ', ' || status)
FROM developments, instance_env.social_provider WHERE offers_shared ORDER BY status, name;
SELECT set_eq($$SELECT subject FROM instance_env.validate('a0000000-0000-4000-8000-000000000001')
	WHERE check_name = 'credentials' AND NOT passed$$,
	'SELECT name COLLATE "default" FROM instance_env.social_provider WHERE offers_shared', 'validate() asks for each of them in production');
SELECT instance_env.remove_social_connection('d0000000-0000-4000-8000-000000000001', 'github') \gset
SELECT throws_ok($$SELECT instance_env.social_credentials('d0000000-0000-4000-8000-000000000001', 'github')$$, '55000', NULL, 'one that is removed is not used');
SELECT is_empty($$SELECT FROM instance_env.validate('a0000000-0000-4000-8000-000000000001') WHERE check_name = 'credentials' AND subject = 'github'$$,
	'and production needs it no longer');
UPDATE instance_env.social_provider SET offers_shared = false WHERE name = 'apple';
SELECT throws_ok($$SELECT instance_env.social_credentials('d0000000-0000-4000-8000-000000000001', 'apple')$$, '23I05', NULL,
	'nor is one whose provider offers them no longer');
ROLLBACK TO SAVEPOINT s;
SELECT lives_ok(format('SELECT instance_env.set_social_connection(%L, %L)', id, 'google'), 'set in development, ' || status)
FROM developments ORDER BY status;
SELECT is((SELECT count(*) FROM instance_env.social_connections WHERE provider = 'google' AND source = 'shared'), 3::bigint, 'and are there');
SELECT is((SELECT count(*) FROM instance_env.social_connections WHERE application = 'O''Reilly "books"' AND type = 'development'
	AND provider = 'google' AND instance_id = 'd0000000-0000-4000-8000-000000000002'), 1::bigint, 'with the application''s name');
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L)', id, p), '23I05', NULL,
	'"some", not all: ' || p || ' in development, ' || status)
FROM developments, unnest(ARRAY['tiktok', 'spotify', 'twitter', 'custom_acme']) p ORDER BY status, p;
SELECT throws_ok(format('SELECT instance_env.social_credentials(%L, %L)', id, p), '23I05', NULL,
	'nor are there credentials for ' || p || ', ' || status)
FROM developments, unnest(ARRAY['tiktok', 'spotify', 'twitter', 'custom_acme']) p ORDER BY status, p;
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L)', id, 'google'), '23I05', NULL,
	'"You are required to provision your own SSO credentials": set in production, ' || status)
FROM productions ORDER BY status;
SELECT throws_ok(format('SELECT instance_env.social_credentials(%L, %L)', id, p), '23I05', NULL,
	'"You are required to provision your own SSO credentials": ' || p || ' in production, ' || status)
FROM productions, unnest(ARRAY['google', 'tiktok', 'custom_acme']) p ORDER BY status, p;

-- own credentials

SELECT lives_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', id, p, 'client of ' || p, 'vault:' || p),
	'own credentials for ' || p || ', ' || status)
FROM (SELECT * FROM developments UNION ALL SELECT * FROM productions) i, unnest(ARRAY['google', 'tiktok', 'custom_acme-2_x']) p;
SELECT results_eq(format('SELECT source::text, client_id, secret_reference, scopes FROM instance_env.social_credentials(%L, %L)', id, p),
	format('VALUES (%L, %L, %L, NULL::text[])', 'own', 'client of ' || p, 'vault:' || p), 'are what is used for ' || p || ', ' || status)
FROM (SELECT * FROM developments UNION ALL SELECT * FROM productions) i, unnest(ARRAY['google', 'tiktok', 'custom_acme-2_x']) p;
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L)', id, 'google'), '23I05', NULL,
	'production does not go back to shared ones, ' || status)
FROM productions ORDER BY status;
SELECT lives_ok($$SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000002', 'google')$$, 'development does');
SELECT is((SELECT source::text FROM instance_env.social_credentials('d0000000-0000-4000-8000-000000000002', 'google')), 'shared',
	'and uses them');
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', id, 'github', c, s), '22023', NULL,
	format('%s and %s do not go together', coalesce(c, 'no client_id'), coalesce(s, 'no secret_reference')))
FROM (VALUES ('id', NULL), (NULL, 'ref')) v (c, s), (SELECT * FROM developments UNION ALL SELECT * FROM productions) i;

-- scopes

SELECT throws_ok($$SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000001', 'github', scopes => '{repo}')$$,
	'23I05', NULL, 'custom scopes need own credentials');
SELECT lives_ok($$SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000001', 'github', scopes => '{}')$$,
	'no scopes are none');
SELECT is((SELECT scopes FROM instance_env.social_connections WHERE provider = 'github'), NULL, 'and are null');
SELECT lives_ok($$SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000001', 'github', 'id', 'env:REF',
	'{repo,"https://www.googleapis.com/auth/calendar","read:org"}')$$, 'custom scopes');
SELECT is((SELECT scopes FROM instance_env.social_credentials('d0000000-0000-4000-8000-000000000001', 'github')),
	'{repo,https://www.googleapis.com/auth/calendar,read:org}'::text[], 'are returned');
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L, %L)',
	'd0000000-0000-4000-8000-000000000001', 'github', 'id', 'env:REF', s), '22023', NULL, what)
FROM (VALUES ('a null scope', ARRAY[NULL::text]), ('an empty scope', ARRAY['']), ('a scope with a space', ARRAY['a b']),
	('a scope with a quote', ARRAY['a"b']), ('a scope with a backslash', ARRAY[E'a\\b']), ('a scope with a control character', ARRAY[E'a\nb']),
	('a scope that is not ASCII', ARRAY['ü']), ('a scope of 256 bytes', ARRAY[repeat('s', 256)]),
	('scopes in two dimensions', ARRAY[['a'], ['b']]), ('101 scopes', array_fill('s'::text, ARRAY[101]))) v (what, s);
SELECT lives_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L, %L)',
	'd0000000-0000-4000-8000-000000000001', 'github', 'id', 'env:REF', array_fill(repeat('s', 255), ARRAY[100])), '100 long scopes');

-- what goes into the arguments

SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L)', 'd0000000-0000-4000-8000-000000000001', p),
	'22023', NULL, 'provider ' || left(to_json(p)::text, 40))
FROM unnest(ARRAY['', 'myspace', 'Google', 'google ', 'gööglé', E'goo\x01gle', E'google\n', repeat('x', 100000), 'custom_', 'custom_-a',
	'custom__a', 'custom_A', 'custom_a b', 'custom_ä', 'custom_' || repeat('a', 57), 'custom', ''' OR true --']) p;
SELECT lives_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', p, 'id', 'env:REF'),
	'provider ' || p) FROM unnest(ARRAY['custom_a', 'custom_0', 'custom_' || repeat('a', 56)]) p;
SELECT throws_ok(format('SELECT instance_env.%s', f), '22023', NULL, f)
FROM unnest(ARRAY[
	$$social_credentials('d0000000-0000-4000-8000-000000000001', '')$$,
	$$social_credentials('d0000000-0000-4000-8000-000000000001', 'myspace')$$,
	$$social_credentials('a0000000-0000-4000-8000-000000000001', E'\x7f')$$,
	$$social_credentials('a0000000-0000-4000-8000-000000000001', repeat('x', 100))$$,
	$$remove_social_connection('d0000000-0000-4000-8000-000000000001', '')$$,
	$$remove_social_connection('d0000000-0000-4000-8000-000000000001', 'myspace')$$,
	$$remove_social_connection('d0000000-0000-4000-8000-000000000001', repeat('x', 100))$$]) f;
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', 'box', c, s),
	'22023', NULL, format('client_id %s, secret_reference %s', left(to_json(c)::text, 40), left(to_json(s)::text, 40)))
FROM (VALUES ('', 'env:REF'), ('id', ''), (E'i\nd', 'env:REF'), ('id', E'env:R\tEF'), (repeat('c', 256), 'env:REF'), ('id', 'vault:' || repeat('s', 250))) v (c, s);
SELECT lives_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', 'box',
	repeat('ü', 127), 'vault:' || repeat('ß', 124)), 'client_id and secret_reference that are long and not ASCII');
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', 'box', 'id', s),
	'22I03', 'argument "secret_reference" looks like a secret', 'a secret is none: ' || what)
FROM (VALUES ('40 hexadecimal digits', '0123456789abcdef0123456789abcdef01234567'), ('32 hexadecimal digits', md5('x')), ('behind a scheme', 'vault:' || md5('x')),
	('with a prefix', 'GOCSPX-' || 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4'),
	('a signed token', 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9' || '.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N')) v (what, s);
SELECT lives_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', 'box', 'id', s),
	'a reference is one: ' || s)
FROM unnest(ARRAY['env:GOOGLE_CLIENT_SECRET', 'vault:secret/shop/google#client_secret', 'env:X',
	'arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-google-a1b2c3', 'bws:0f8fad5b-d9cb-469f-a165-70867728950e',
	'gcp-sm://projects/1234567890123/secrets/google/versions/latest', 'op://shop/nbuxbcjd7yvl4kcxl5f6ltdx6q/password',
	'vault:TheClientSecretOfTheShopAtGoogleInTheVault', 'vault:123456789012345678901234567890']) s;
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', 'box', 'id', s), '22023',
	'invalid value for argument "secret_reference"', 'is none: ' || s)
FROM unnest(ARRAY['GOOGLE_CLIENT_SECRET', '0f8fad5b-d9cb-469f-a165-70867728950e', 'projects/1234567890123/secrets/google/versions/latest']) s;
SELECT throws_ok(format('SELECT instance_env.%s', f), '22004', NULL, f)
FROM unnest(ARRAY['set_social_connection(NULL, ''google'')', 'set_social_connection(''d0000000-0000-4000-8000-000000000001'', NULL)',
	'remove_social_connection(NULL, ''google'')', 'remove_social_connection(''d0000000-0000-4000-8000-000000000001'', NULL)',
	'social_credentials(NULL, ''google'')', 'social_credentials(''d0000000-0000-4000-8000-000000000001'', NULL)']) f;
SELECT throws_ok(format('SELECT instance_env.%s(%L, %L)', f, '00000000-0000-0000-0000-000000000000', 'google'), '23I03', NULL, f || '(): no instance')
FROM unnest(ARRAY['set_social_connection', 'remove_social_connection', 'social_credentials']) f;

-- a second time, nothing happens

SELECT pg_temp.version('a0000000-0000-4000-8000-000000000001') AS version, pg_temp.events('a0000000-0000-4000-8000-000000000001') AS events \gset
SELECT lives_ok($$SELECT instance_env.set_social_connection('a0000000-0000-4000-8000-000000000001', 'google', 'client of google', 'vault:google')$$,
	'the same once more');
SELECT is(pg_temp.version('a0000000-0000-4000-8000-000000000001'), :version::bigint, 'does not raise config_version');
SELECT is(pg_temp.events('a0000000-0000-4000-8000-000000000001'), :events::bigint, 'and is no event');
SELECT lives_ok($$SELECT instance_env.set_social_connection('a0000000-0000-4000-8000-000000000001', 'google', 'client of google', 'vault:google', '{a}')$$,
	'with scopes');
SELECT is(pg_temp.version('a0000000-0000-4000-8000-000000000001'), (:version + 1)::bigint, 'raises config_version');
SELECT is((SELECT after ->> 'scopes' FROM instance_env.event WHERE instance = 'a0000000-0000-4000-8000-000000000001' ORDER BY id DESC LIMIT 1),
	'["a"]', 'and is an event');
SELECT lives_ok($$SELECT instance_env.remove_social_connection('a0000000-0000-4000-8000-000000000001', 'google')$$, 'removed');
SELECT is(pg_temp.version('a0000000-0000-4000-8000-000000000001'), (:version + 2)::bigint, 'raises config_version');
SELECT results_eq($$SELECT action, item, before ->> 'client_id', after FROM instance_env.event
	WHERE instance = 'a0000000-0000-4000-8000-000000000001' ORDER BY id DESC LIMIT 1$$,
	$$VALUES ('remove_social_connection', 'google', 'client of google', NULL::jsonb)$$, 'and is an event');
SELECT lives_ok($$SELECT instance_env.remove_social_connection('a0000000-0000-4000-8000-000000000001', 'google')$$, 'removed again');
SELECT is(pg_temp.version('a0000000-0000-4000-8000-000000000001'), (:version + 2)::bigint, 'is nothing');
SELECT throws_ok($$SELECT instance_env.social_credentials('a0000000-0000-4000-8000-000000000001', 'google')$$, '23I05', NULL,
	'production has none now');
SELECT cmp_ok((SELECT count(*) FROM instance_env.event WHERE before ->> 'secret_reference' = 'vault:google'), '>', 0::bigint,
	'the log knows where the secret was');
SELECT is_empty($$SELECT * FROM instance_env.events e WHERE e::text LIKE '%vault:google%'$$, 'its view does not tell');

-- whichever way a row is written

SELECT throws_ok(format('INSERT INTO instance_env.social_connection VALUES (%L, %L, %L, %L)', id, 'slack', type, 'shared'), '23I05', NULL,
	format('INSERT of a shared connection of production, said to be %s, %s', type, status))
FROM productions, unnest(ARRAY['production', 'development']) type;
SELECT throws_ok(format('UPDATE instance_env.social_connection SET source = %L, client_id = NULL, secret_reference = NULL WHERE instance = %L',
	'shared', id), '23I05', NULL, 'UPDATE of a connection of production, ' || status)
FROM productions;
SELECT throws_ok($$UPDATE instance_env.social_connection SET instance = 'a0000000-0000-4000-8000-000000000001'
	WHERE instance = 'd0000000-0000-4000-8000-000000000003' AND provider = 'apple'
	OR provider = 'google' AND source = 'shared'$$, '23I05', NULL, 'UPDATE of the instance of a shared connection');
SELECT throws_ok($$INSERT INTO instance_env.social_connection VALUES ('a0000000-0000-4000-8000-000000000001', 'slack', 'production', 'own', 'i', 's')
	ON CONFLICT DO NOTHING; INSERT INTO instance_env.social_connection VALUES ('a0000000-0000-4000-8000-000000000001', 'slack', 'production', 'own', 'i', 's')
	ON CONFLICT (instance, provider) DO UPDATE SET source = 'shared', client_id = NULL, secret_reference = NULL$$, '23I05', NULL, 'ON CONFLICT DO UPDATE');
SELECT throws_ok($$MERGE INTO instance_env.social_connection c USING (SELECT) s
	ON c.instance = 'a0000000-0000-4000-8000-000000000001' AND provider = 'tiktok'
	WHEN MATCHED THEN UPDATE SET source = 'shared', client_id = NULL, secret_reference = NULL$$, '23I05', NULL, 'MERGE');
SELECT throws_ok($$SET LOCAL session_replication_role = replica; INSERT INTO instance_env.social_connection VALUES
	('a0000000-0000-4000-8000-000000000001', 'slack', 'development', 'shared')$$, '23I05', NULL, 'by replication');
SELECT throws_ok($$ALTER TABLE instance_env.social_connection DISABLE TRIGGER USER;
	INSERT INTO instance_env.social_connection VALUES ('a0000000-0000-4000-8000-000000000001', 'slack', 'production', 'shared')$$,
	'23514', NULL, 'without triggers there is still the constraint');
SELECT throws_ok($$INSERT INTO instance_env.social_connection (instance, provider, instance_type, source, scopes)
	VALUES ('d0000000-0000-4000-8000-000000000001', 'slack', 'development', 'shared', '{a}')$$, '23I05', NULL, 'INSERT of a shared connection with scopes');
SELECT throws_ok($$INSERT INTO instance_env.social_connection VALUES ('d0000000-0000-4000-8000-000000000001', 'slack', 'production', 'own', 'i', 's')$$,
	'23514', NULL, 'INSERT with the wrong type');
SELECT throws_ok($$INSERT INTO instance_env.social_connection VALUES ('a0000000-0000-4000-8000-000000000001', 'slack', 'development', 'own', 'i', 's')$$,
	'23514', NULL, 'INSERT with the wrong type, production');
SELECT throws_ok(format('INSERT INTO instance_env.social_connection VALUES (%L, %L, %L, %L)', i, p, t, s), '23502', NULL, 'INSERT of a null')
FROM (VALUES (NULL, 'slack', 'development', 'shared'), ('d0000000-0000-4000-8000-000000000001', NULL, 'development', 'shared'),
	('d0000000-0000-4000-8000-000000000001', 'slack', NULL, 'shared'), ('d0000000-0000-4000-8000-000000000001', 'slack', 'development', NULL)) v (i, p, t, s);
SELECT is((SELECT count(*) FROM instance_env.social_connection c JOIN instance_env.instance i ON i.id = c.instance
	WHERE i.type = 'production' AND c.source = 'shared'), 0::bigint, 'production has no shared credentials');

-- connections restored before their instances

SELECT lives_ok($$INSERT INTO instance_env.social_connection VALUES
	('d0000000-0000-4000-8000-00000000000a', 'slack', 'development', 'shared', NULL, NULL),
	('a0000000-0000-4000-8000-00000000000a', 'slack', 'production', 'own', 'i', 's'),
	('d0000000-0000-4000-8000-00000000000b', 'slack', 'production', 'own', 'i', 's'),
	('a0000000-0000-4000-8000-00000000000b', 'slack', 'development', 'shared', NULL, NULL)$$, 'connections of instances that are not there yet');
SELECT throws_ok($$INSERT INTO instance_env.social_connection VALUES ('a0000000-0000-4000-8000-00000000000c', 'slack', 'production', 'shared')$$,
	'23I05', NULL, 'shared ones of production are refused even so');
SELECT throws_ok($$SELECT instance_env.create_application('late', production_id => 'a0000000-0000-4000-8000-00000000000b')$$, '23I05', NULL,
	'no production instance comes to shared credentials later');
SELECT throws_ok($$SET LOCAL session_replication_role = replica; INSERT INTO instance_env.instance (id, application, type, status, external_key) VALUES
	('a0000000-0000-4000-8000-00000000000b', gen_random_uuid(), 'production', 'active', 'late')$$, '23I05', NULL, 'nor by replication');
SELECT throws_ok($$SELECT instance_env.create_application('late', development_id => 'd0000000-0000-4000-8000-00000000000b')$$, '23514', NULL,
	'no instance comes to connections of another type');
SELECT lives_ok($$SELECT instance_env.create_application('late', development_id => 'd0000000-0000-4000-8000-00000000000a',
	production_id => 'a0000000-0000-4000-8000-00000000000a')$$, 'but to its own');

-- an instance stays what it is

SELECT throws_ok(format('UPDATE instance_env.instance SET %s WHERE id = %L', change, 'd0000000-0000-4000-8000-000000000001'), '55000', NULL, change)
FROM unnest(ARRAY['type = ''production''', 'id = gen_random_uuid()', 'application = gen_random_uuid()']) change;
SELECT throws_ok($$SET LOCAL session_replication_role = replica; UPDATE instance_env.instance SET type = 'production'
	WHERE id = 'd0000000-0000-4000-8000-000000000001'$$, '55000', NULL, 'by replication');
SELECT lives_ok($$UPDATE instance_env.instance SET type = type, id = id, application = application, status = 'suspended'
	WHERE id = 'd0000000-0000-4000-8000-000000000001'$$, 'what stays the same may be written');
SAVEPOINT s;
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
SELECT throws_ok($$DELETE FROM instance_env.instance$$, '55000', NULL, 'an active production instance cannot be deleted by hand');
SELECT throws_ok($$DELETE FROM instance_env.application$$, '55000', NULL, 'nor can an application that has instances');
UPDATE instance_env.instance SET status = 'suspended' WHERE type = 'production';
SELECT throws_ok($$DELETE FROM instance_env.application$$, '55000', NULL, 'whatever their status');
SELECT lives_ok($$DELETE FROM instance_env.instance; DELETE FROM instance_env.application$$, 'a superuser may clear up');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok(format('SELECT instance_env.%I()', f), '39P01', NULL, f || '() called')
FROM unnest(ARRAY['check_credentials', 'check_connections', 'keep_application', 'keep_instance']) f;
CREATE TABLE pg_temp.plain (instance uuid, id uuid);
SELECT throws_ok(format('CREATE TRIGGER t %s ON plain FOR EACH %s EXECUTE FUNCTION instance_env.%I(); INSERT INTO plain VALUES (NULL, NULL)', t, l, f), '39P01', NULL,
	format('%s() %s FOR EACH %s of another table', f, t, l))
FROM unnest(ARRAY['check_credentials', 'check_connections', 'keep_application', 'keep_instance']) f, unnest(ARRAY['BEFORE INSERT', 'AFTER INSERT']) t,
	unnest(ARRAY['ROW', 'STATEMENT']) l;

-- what goes with an application

SELECT lives_ok($$SELECT instance_env.drop_application(instance_env.application_id('late'))$$, 'an application dropped');
SELECT is_empty($$SELECT FROM instance_env.social_connection WHERE instance::text LIKE '%00a'$$, 'takes its connections along');

-- rights

CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(format('SELECT instance_env.%s', f), '42501', NULL, 'without rights: ' || f)
FROM unnest(ARRAY['set_social_connection(''d0000000-0000-4000-8000-000000000001'', ''google'')',
	'remove_social_connection(''d0000000-0000-4000-8000-000000000001'', ''google'')',
	'social_credentials(''d0000000-0000-4000-8000-000000000001'', ''google'')']) f;
SELECT throws_ok('SELECT FROM instance_env.' || r, '42501', NULL, 'without rights: ' || r)
FROM unnest(ARRAY['social_provider', 'social_connection', 'social_providers', 'social_connections']) r;
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA instance_env TO instance_env_nobody;
GRANT SELECT ON instance_env.social_providers, instance_env.social_connections TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT lives_ok($$SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000002', 'linear', 'i', 'env:S')$$, 'with EXECUTE: set');
SELECT is((SELECT client_id FROM instance_env.social_credentials('d0000000-0000-4000-8000-000000000002', 'linear')), 'i', 'used');
SELECT is((SELECT client_id FROM instance_env.social_connections WHERE provider = 'linear'), 'i', 'and with SELECT seen in the view');
SELECT ok((SELECT count(*) > 20 FROM instance_env.social_providers), 'next to the providers');
SELECT lives_ok($$SELECT instance_env.remove_social_connection('d0000000-0000-4000-8000-000000000002', 'linear')$$, 'and removed');
RESET ROLE;
SELECT hasnt_column('instance_env', 'social_connections', 'secret_reference', 'the view does not say where the secrets are');

SELECT * FROM finish();
ROLLBACK;
