-- API keys
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(158);

\set prod '\'a0000000-0000-4000-8000-000000000001\''
\set dev '\'d0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', development_id => :dev, production_id => :prod) \gset
SELECT instance_env.create_application('other', development_id => 'd0000000-0000-4000-8000-000000000002',
	production_id => 'a0000000-0000-4000-8000-000000000002') \gset
CREATE FUNCTION pg_temp.config(instance uuid) RETURNS bigint LANGUAGE SQL VOLATILE AS
'SELECT config_version FROM instance_env.instance WHERE id = $1';

-- publishable keys

SELECT is(instance_env.key_frontend_api(key), host, 'key ' || key)
FROM (VALUES
	('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk', 'foo-bar-13.clerk.accounts.dev'),
	('pk_live_Y2xlcmsudmliZXMuZGl5JA==', 'clerk.vibes.diy'),
	('pk_live_Y2xlcmsudmliZXMuZGl5JA', 'clerk.vibes.diy'),
	('pk_live_Y2xlcmsuZXhhbXBsZS5jb20k', 'clerk.example.com'),
	('pk_live_' || encode('Clerk.Example.COM$', 'base64'), 'clerk.example.com'),
	(NULL, NULL)) v (key, host);
SELECT throws_ok(format('SELECT instance_env.key_frontend_api(%L)', key), '22023', NULL,
	'no publishable key: ' || left(to_json(key)::text, 60))
FROM unnest(ARRAY['pk_live_', 'pk_live', 'pk_live_aW52YWxpZGtleSQ=', '', ' ', 'pk', 'pk_', '_', '__', 'Y2xlcmsudmliZXMuZGl5JA==',
	-- what is more than one "$", or has something after it, or lacks it
	'pk_live_Y2xlcmsudmliZXMuZGl5JCQ=', 'pk_live_' || encode('clerk.vibes.diy$x', 'base64'),
	'pk_live_' || encode('clerk.vibes.diy', 'base64'), 'pk_live_' || encode('clerk$.vibes.diy$', 'base64'),
	'pk_live_JA==', 'pk_live_' || encode('$.', 'base64'),
	-- parts and prefixes
	'pk_live_Y2xlcmsudmliZXMuZGl5JA==_', 'pk_live_Y2xl_cmsudmliZXMuZGl5JA==', 'pk_live__Y2xlcmsudmliZXMuZGl5JA==',
	'sk_live_Y2xlcmsudmliZXMuZGl5JA==', 'live_Y2xlcmsudmliZXMuZGl5JA==', 'pk_prod_Y2xlcmsudmliZXMuZGl5JA==',
	'PK_LIVE_Y2xlcmsudmliZXMuZGl5JA==', ' pk_live_Y2xlcmsudmliZXMuZGl5JA==', 'pk_live_Y2xlcmsudmliZXMuZGl5JA== ',
	-- not base64
	'pk_live_Y2xlcmsudmliZXMuZGl5J', 'pk_live_Y2xlcmsudmliZXMuZGl5JA=', 'pk_live_Y2xlcmsudmliZXMuZGl5JA===',
	'pk_live_====', 'pk_live_Y2xlc*sudmliZXMuZGl5JA==', E'pk_live_Y2xlcmsudmli\nZXMuZGl5JA==', 'pk_live_é',
	-- what is no host by the rules of hosts
	'pk_test_Li4k', 'pk_live_' || encode('.$', 'base64'), 'pk_live_' || encode('clerk..com$', 'base64'),
	'pk_live_' || encode('.clerk.com$', 'base64'), 'pk_live_' || encode('clerk.com.$', 'base64'),
	'pk_live_' || encode('-clerk.com$', 'base64'), 'pk_live_' || encode('clerk-.com$', 'base64'),
	'pk_live_' || encode('10.0.0.1$', 'base64'), 'pk_live_' || encode('1.2.3$', 'base64'),
	'pk_live_' || encode('clerk.example.com:443$', 'base64'), 'pk_live_' || encode('[::1]$', 'base64'),
	'pk_live_' || translate(encode(convert_to(repeat('a', 64) || '.com$', 'UTF8'), 'base64'), E'\n', ''),
	'pk_live_' || translate(encode(convert_to(repeat('a.', 126) || 'com$', 'UTF8'), 'base64'), E'\n', ''),
	-- what is no host: control characters, a byte that is no UTF-8, NUL, a space
	'pk_live_' || encode(E'\\x01 2e 24'::bytea, 'base64'), 'pk_live_' || encode(E'\\xff2e24'::bytea, 'base64'),
	'pk_live_' || encode(E'\\x612e0024'::bytea, 'base64'), 'pk_live_' || encode(E'\\x61202e6224'::bytea, 'base64'),
	'pk_live_' || repeat('Y2xl', 100000)]) key;

SELECT is(instance_env.key_instance_type(key)::text, type, 'type of ' || key)
FROM (VALUES
	('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk', 'development'),
	('pk_live_Y2xlcmsudmliZXMuZGl5JA==', 'production'),
	('sk_test_x', 'development'), ('sk_live_x', 'production'),
	('test_x', 'development'), ('live_x', 'production'),
	('pk_live_', 'production'),
	(NULL, NULL)) v (key, type);
SELECT throws_ok(format('SELECT instance_env.key_instance_type(%L)', key), '22023', NULL, 'no key: ' || left(to_json(key)::text, 60))
FROM unnest(ARRAY['', 'pk_live', 'pk_', 'PK_TEST_x', ' pk_test_x', 'pk_staging_x', 'ak_live_x', 'x_test_', E'\x01', 'é', repeat('x', 1000000)]) key;

SELECT matches(instance_env.publishable_key(:dev), '^pk_test_[A-Za-z0-9+/]+$', 'development: pk_test_, unpadded');
SELECT is(instance_env.key_frontend_api(instance_env.publishable_key(:dev)), instance_env.frontend_api_host(:dev),
	'it carries the frontend API host');
SELECT throws_ok($$SELECT instance_env.publishable_key('a0000000-0000-4000-8000-000000000001')$$, '55000', NULL,
	'production without a domain has none');
SELECT instance_env.associate_domain(:prod, 'vibes.diy') \gset
SELECT is(instance_env.publishable_key(:prod), 'pk_live_Y2xlcmsudmliZXMuZGl5JA', 'production: pk_live_, unpadded');
UPDATE instance_env.instance SET status = 'active' WHERE id = :prod;
SELECT is(instance_env.publishable_key(:prod), 'pk_live_Y2xlcmsudmliZXMuZGl5JA', 'the same when it is active');
UPDATE instance_env.instance SET slug = 'foo-bar-13' WHERE id = :dev;
SELECT is(instance_env.publishable_key(:dev), 'pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk', 'the documented key');

-- secret keys

SELECT pg_temp.config(:dev) AS config \gset
SELECT instance_env.create_secret_key(:dev) AS dev1 \gset
SELECT instance_env.create_secret_key(:dev) AS dev2 \gset
SELECT instance_env.create_secret_key(:prod) AS prod1 \gset
SELECT matches(:'dev1'::text, '^sk_test_[0-9A-Za-z]{43}$', 'development: sk_test_ and 256 random bits');
SELECT matches(:'prod1'::text, '^sk_live_[0-9A-Za-z]{43}$', 'production: sk_live_');
SELECT isnt(:'dev1'::text, :'dev2', 'each is another');
SELECT is((SELECT count(*) FROM instance_env.api_key WHERE hash = sha256(:'dev1')), 1::bigint, 'the hash is stored');
SELECT is_empty(format($$SELECT FROM instance_env.api_key k WHERE k::text LIKE '%%%1$s%%'
					   UNION ALL SELECT FROM instance_env.event e WHERE e::text LIKE '%%%1$s%%'
						   OR e::text LIKE '%%%2$s%%'$$, substr(:'dev1', 9, 39), encode(sha256(:'dev1'), 'hex')),
	'the key is not, nor either of them in the log');
SELECT cmp_ok(pg_temp.config(:dev), '>', :config::bigint, 'config_version rises');
SELECT is((SELECT after->>'hint' FROM instance_env.event WHERE action = 'create_secret_key' ORDER BY id LIMIT 1),
	right(:'dev1', 4), 'in the log by its hint');
SELECT is(instance_env.verify_secret_key(:'dev1'), :dev::uuid, 'a key tells its instance');
SELECT is(instance_env.verify_secret_key(:'dev2'), :dev::uuid, 'and so does the second');
SELECT is(instance_env.verify_secret_key(:'prod1'), :prod::uuid, 'and production''s');
SELECT is(instance_env.verify_secret_key(key), NULL, 'unknown: ' || left(to_json(key)::text, 60))
FROM unnest(ARRAY['', 'sk_test_', 'sk_live_' || repeat('x', 43), upper(:'dev1'), :'dev1' || ' ', ' ' || :'dev1', left(:'dev1', 50),
	replace(:'dev1', 'test', 'live'), 'é', E'\x01', repeat('x', 1000000), :'dev1' || '''']) key;
SELECT throws_ok($$SELECT instance_env.verify_secret_key(NULL)$$, '22004', NULL, 'NULL verified');

-- what is no key is refused without a query, or is looked up once

CREATE FUNCTION pg_temp.scans() RETURNS bigint LANGUAGE sql AS $$
SELECT sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::bigint FROM pg_stat_xact_all_tables WHERE schemaname = 'instance_env' $$;
CREATE FUNCTION pg_temp.scans_for(keys text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := pg_temp.scans();
BEGIN
	PERFORM instance_env.verify_secret_key(key) FROM unnest(keys) key;
	RETURN pg_temp.scans() - before;
END $$;
SELECT is(pg_temp.scans_for(ARRAY(SELECT form FROM unnest(ARRAY['', 'x', 'sk_test_', 'sk_test_' || repeat('x', 42),
	'sk_test_' || repeat('x', 44), 'sk_prod_' || repeat('x', 43), 'SK_TEST_' || repeat('x', 43), ' sk_test_' || repeat('x', 42),
	'sk_test_' || repeat('x', 42) || E'\n', 'sk_test_' || repeat('x', 42) || '_', 'sk_test_' || repeat('x', 41) || 'é',
	'sk_test' || repeat('x', 44), 'pk_test_' || repeat('x', 43), repeat('sk_test_', 100000)]) form)), 0::bigint,
	'what does not look like a key');
SELECT cmp_ok(pg_temp.scans_for(array_fill('sk_test_' || repeat('y', 43), ARRAY[1000])), '<=', 4::bigint,
	'a thousand times a key that there is not');
SELECT is(pg_temp.scans_for(array_fill('sk_test_' || repeat('y', 43), ARRAY[1000])), 0::bigint, 'a thousand times more');
UPDATE instance_env.api_key SET hash = sha256(convert_to('sk_test_' || repeat('y', 43), 'UTF8')) WHERE hint = right(:'dev2', 4);
SELECT is(instance_env.verify_secret_key('sk_test_' || repeat('y', 43)), :dev::uuid, 'as soon as there is such a key, it is valid');
SELECT is(instance_env.verify_secret_key(:'dev2'), NULL, 'and another is not');
UPDATE instance_env.api_key SET hash = sha256(convert_to(:'dev2', 'UTF8')) WHERE hint = right(:'dev2', 4);
SELECT is(instance_env.verify_secret_key(:'dev2'), :dev::uuid, 'the same the other way round');
SELECT count(instance_env.verify_secret_key('sk_test_' || lpad(n::text, 43, '0'))) FROM generate_series(1, 10000) n \gset
SELECT is((SELECT sum(total_bytes) < 4 * 1024 * 1024 FROM pg_backend_memory_contexts WHERE ident LIKE 'instance_env%'), true,
	'ten thousand keys that somebody has made up are not all remembered');
SELECT throws_ok($$SELECT instance_env.create_secret_key('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL,
	'a key of an unknown instance');
SELECT throws_ok($$SELECT instance_env.create_secret_key(NULL)$$, '22004', NULL, 'a key of NULL');
SELECT results_eq($$SELECT count(*), bool_and(revoked_at IS NULL), bool_and(length(hint) = 4) FROM instance_env.secret_keys$$,
	$$VALUES (3::bigint, true, true)$$, 'view secret_keys');
SELECT columns_are('instance_env', 'secret_keys', ARRAY['instance', 'hint', 'name', 'created_at', 'expires_at', 'revoked_at', 'last_used_at', 'valid'],
	'has no hash');
SELECT instance_env.suspend_instance(:prod) \gset
SELECT is(instance_env.verify_secret_key(:'prod1'), :prod::uuid, 'a suspended instance''s key tells it, too');
SELECT lives_ok($$SELECT instance_env.create_secret_key('a0000000-0000-4000-8000-000000000002')$$,
	'an inactive instance has keys');

-- revoke_secret_key()

SELECT throws_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'prod1'), '55000', NULL,
	'The last key of an instance cannot be deleted');
SELECT throws_ok(format('SELECT instance_env.revoke_secret_key(%L, %L)', :prod, right(:'prod1', 4)), '55000', NULL,
	'nor by its hint');
SELECT is(instance_env.verify_secret_key(:'prod1'), :prod::uuid, 'it is valid as before');
SAVEPOINT s;
SELECT lives_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'dev1'), 'one of two is revoked');
SELECT is(instance_env.verify_secret_key(:'dev1'), NULL, 'revoked: NULL at once');
ROLLBACK TO SAVEPOINT s;
SELECT is(instance_env.verify_secret_key(:'dev1'), :dev::uuid, 'undone: valid');
SELECT pg_temp.config(:dev) AS config \gset
SELECT lives_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'dev1'), 'revoked');
SELECT cmp_ok(pg_temp.config(:dev), '>', :config::bigint, 'config_version rises');
SELECT is((SELECT before->>'revoked_at' IS NULL AND after->>'revoked_at' IS NOT NULL FROM instance_env.event
		   WHERE action = 'revoke_secret_key' AND item = right(:'dev1', 4)), true, 'it is in the log');
SELECT pg_temp.config(:dev) AS config, count(*) AS events FROM instance_env.event \gset
SELECT lives_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'dev1'), 'revoked again');
SELECT lives_ok(format('SELECT instance_env.revoke_secret_key(%L, %L)', :dev, right(:'dev1', 4)), 'and by its hint');
SELECT is(ARRAY[pg_temp.config(:dev), (SELECT count(*) FROM instance_env.event)], ARRAY[:config, :events]::bigint[],
	'nothing has changed');
SELECT throws_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'dev2'), '55000', NULL, 'the other is the last now');
SELECT instance_env.create_secret_key(:dev) AS dev3 \gset
SELECT lives_ok(format('SELECT instance_env.revoke_secret_key(%L, %L)', :dev, right(:'dev2', 4)), 'by instance and hint');
SELECT is(instance_env.verify_secret_key(:'dev2'), NULL, 'it is revoked');
SELECT is(instance_env.verify_secret_key(:'dev3'), :dev::uuid, 'the other is not');
SELECT instance_env.create_secret_key(:dev) \gset
UPDATE instance_env.api_key SET hint = 'same' WHERE revoked_at IS NULL AND instance = :dev;
SELECT throws_ok(format('SELECT instance_env.revoke_secret_key(%L, %L)', :dev, 'same'), '55000', NULL, 'an ambiguous hint');
SELECT throws_ok(format('SELECT instance_env.revoke_secret_key(%L, %L)', i, hint), state, NULL, what)
FROM (VALUES
	('d0000000-0000-4000-8000-000000000002', 'same', '22023', 'a hint of another instance'),
	('d0000000-0000-4000-8000-000000000001', 'none', '22023', 'an unknown hint'),
	('d0000000-0000-4000-8000-000000000001', '', '22023', 'an empty hint'),
	('d0000000-0000-4000-8000-000000000001', 'é', '22023', 'a hint that is not ASCII'),
	('d0000000-0000-4000-8000-000000000001', repeat('x', 100000), '22023', 'a long hint'),
	('d0000000-0000-4000-8000-000000000001', E'\x01', '22023', 'a control character'),
	('d0000000-0000-4000-8000-000000000001', NULL, '22004', 'NULL as a hint'),
	('00000000-0000-0000-0000-000000000000', 'same', '23I03', 'an unknown instance'),
	(NULL, 'same', '22004', 'NULL as an instance')) v (i, hint, state, what);
SELECT throws_ok(format('SELECT instance_env.revoke_secret_key(%L)', key), state, NULL, 'revoke ' || left(to_json(key)::text, 60))
FROM (VALUES (NULL, '22004'), ('', '22023'), ('sk_test_', '22023'), ('é', '22023'), (repeat('x', 1000000), '22023')) v (key, state);

-- keys go with the application
SELECT instance_env.drop_application(instance_env.application_id('shop')) \gset
SELECT is(instance_env.verify_secret_key(:'dev3'), NULL, 'dropped with the application');

-- rights

CREATE ROLE instance_env_nobody;
CREATE ROLE instance_env_caller;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody, instance_env_caller;
GRANT EXECUTE ON FUNCTION instance_env.verify_secret_key(text) TO instance_env_caller;
SELECT instance_env.create_secret_key('d0000000-0000-4000-8000-000000000002') AS key \gset
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok('SELECT instance_env.' || call, '42501', NULL, 'without rights: ' || call)
FROM unnest(ARRAY['publishable_key(NULL)', 'create_secret_key(NULL)', 'verify_secret_key(NULL)', 'revoke_secret_key(NULL)',
				  'revoke_secret_key(NULL, NULL)']) call;
SELECT throws_ok('TABLE instance_env.secret_keys', '42501', NULL, 'without rights: the view');
SELECT is(instance_env.key_instance_type('pk_test_x')::text, 'development', 'without rights: what a key says');
SELECT is(instance_env.key_frontend_api('pk_live_Y2xlcmsudmliZXMuZGl5JA'), 'clerk.vibes.diy', 'of both kinds');
SET LOCAL ROLE instance_env_caller;
SET LOCAL search_path = pg_temp, public;
SELECT is(instance_env.verify_secret_key(:'key')::text, 'd0000000-0000-4000-8000-000000000002', 'with the right, and nothing else');

SELECT * FROM finish();
ROLLBACK;
