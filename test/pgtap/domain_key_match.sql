-- Which instance a publishable key is for, and whether two keys belong together
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(56);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
\set dev2 '\'d0000000-0000-4000-8000-000000000002\''
\set prod2 '\'a0000000-0000-4000-8000-000000000002\''
SELECT instance_env.create_application('shop', 'pro', development_id => :dev, production_id => :prod) \gset
SELECT instance_env.create_application('other', 'pro', development_id => :dev2, production_id => :prod2) \gset
UPDATE instance_env.instance SET slug = 'foo-bar-13' WHERE id = :dev;
SELECT instance_env.associate_domain(:prod, 'vibes.diy') \gset
SELECT instance_env.associate_domain(:prod, 'satellite.example.com', false) \gset
CREATE FUNCTION pg_temp.key(prefix text, host text) RETURNS text LANGUAGE sql AS
$$SELECT prefix || translate(encode(convert_to(host || '$', 'UTF8'), 'base64'), E'=\n', '')$$;

-- instance_by_publishable_key()

SELECT is(instance_env.instance_by_publishable_key(key)::text, instance, what)
FROM (VALUES
	('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk', 'd0000000-0000-4000-8000-000000000001', 'development''s'),
	('pk_live_Y2xlcmsudmliZXMuZGl5JA', 'a0000000-0000-4000-8000-000000000001', 'production''s, which is not verified yet'),
	('pk_live_Y2xlcmsudmliZXMuZGl5JA==', 'a0000000-0000-4000-8000-000000000001', 'with padding'),
	(pg_temp.key('pk_test_', 'clerk.vibes.diy'), NULL, 'production''s host with the prefix for development'),
	(pg_temp.key('pk_live_', 'foo-bar-13.clerk.accounts.dev'), NULL, 'and the other way round'),
	(pg_temp.key('pk_live_', 'vibes.diy'), NULL, 'the domain itself'),
	(pg_temp.key('pk_live_', 'accounts.vibes.diy'), NULL, 'the account portal'),
	(pg_temp.key('pk_live_', 'clerk.clerk.vibes.diy'), NULL, 'a host below the host'),
	(pg_temp.key('pk_live_', 'clerk.satellite.example.com'), NULL, 'a satellite''s'),
	(pg_temp.key('pk_test_', 'foo-bar-13.accounts.dev'), NULL, 'the development instance''s portal'),
	(pg_temp.key('pk_test_', 'foo-bar-13.clerk.accounts.dev.evil.com'), NULL, 'a host that begins like one'),
	(pg_temp.key('pk_test_', 'evil.foo-bar-13.clerk.accounts.dev'), NULL, 'a host that ends like one'),
	(pg_temp.key('pk_live_', 'CLERK.vibes.diy'), NULL, 'upper case'),
	(pg_temp.key('pk_live_', 'clerk.vibes.diy.'), NULL, 'a final dot'),
	(pg_temp.key('pk_live_', '.clerk.vibes.diy'), NULL, 'an empty label'),
	(pg_temp.key('pk_live_', repeat('a.', 200) || 'vibes.diy'), NULL, 'a host that is too long'),
	('pk_live_Y2xlcmsudmliZXMuZGl5JB', NULL, 'other unused bits in the last character'),
	('pk_live_Y2xlcmsudmliZXMuZGl5JA=', NULL, 'half of the padding'),
	(' pk_live_Y2xlcmsudmliZXMuZGl5JA', NULL, 'a blank before it'),
	(E'pk_live_Y2xlcmsudmliZXMuZGl5JA\n', NULL, 'a newline after it'),
	('PK_LIVE_Y2xlcmsudmliZXMuZGl5JA', NULL, 'another prefix'),
	('sk_live_Y2xlcmsudmliZXMuZGl5JA', NULL, 'a secret key''s prefix'),
	('', NULL, 'empty'), ('pk_live_', NULL, 'a prefix'), ('é', NULL, 'not ASCII'), (E'\x01', NULL, 'a control character'),
	('pk_live_' || repeat('Y2xl', 300000), NULL, 'very long')) v (key, instance, what);
SELECT throws_ok('SELECT instance_env.instance_by_publishable_key(NULL)', '22004', NULL, 'NULL');
SELECT is((SELECT count(*) FROM instance_env.instance i WHERE i.id IN (:dev, :prod, :dev2)
	AND instance_env.instance_by_publishable_key(instance_env.publishable_key(i.id)) = i.id), 3::bigint, 'what publishable_key() returns');

-- another domain is another key
SELECT instance_env.publishable_key(:prod) AS former \gset
SAVEPOINT s;
SELECT instance_env.change_domain(:prod, 'vibes.example.org') \gset
SELECT is(instance_env.instance_by_publishable_key(:'former'), NULL, 'after change_domain(), the former key is nobody''s');
SELECT is(instance_env.instance_by_publishable_key(instance_env.publishable_key(:prod)), :prod::uuid, 'the new one is');
SELECT instance_env.associate_domain(:prod2, 'vibes.diy') \gset
SELECT is(instance_env.instance_by_publishable_key(:'former'), :prod2::uuid, 'or whoever''s the domain is next');
ROLLBACK TO SAVEPOINT s;
SELECT is(instance_env.instance_by_publishable_key(:'former'), :prod::uuid, 'undone');

-- a domain as long as can be
SELECT instance_env.associate_domain(:prod2, repeat(repeat('a', 57) || '.', 4) || 'ab.de') \gset
SELECT is(instance_env.instance_by_publishable_key(instance_env.publishable_key(:prod2)), :prod2::uuid, 'the longest domain');

-- whatever the status
CREATE FUNCTION pg_temp.with_status(key text, status instance_env.instance_status) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
	UPDATE instance_env.instance i SET status = $2 WHERE id = 'a0000000-0000-4000-8000-000000000001';
	RETURN instance_env.instance_by_publishable_key($1);
END $$;
SELECT is(pg_temp.with_status(:'former', status), :prod::uuid, 'whatever the status: ' || status)
FROM unnest('{inactive,active,suspended}'::instance_env.instance_status[]) status;

-- keys_match()

SELECT instance_env.create_secret_key(:prod) AS prod_key \gset
SELECT instance_env.create_secret_key(:prod) AS revoked \gset
SELECT instance_env.revoke_secret_key(:'revoked') \gset
SELECT instance_env.create_secret_key(:prod, 'x', clock_timestamp() + interval '1 s') AS expired \gset
SELECT instance_env.create_secret_key(:dev) AS dev_key \gset
SELECT pg_sleep(1) \gset
SELECT is(instance_env.keys_match(publishable, secret), matches, what)
FROM (VALUES
	(:'former', :'prod_key', true, 'of the same instance'),
	('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk', :'dev_key', true, 'of development'),
	(:'former', :'dev_key', false, 'of two instances'),
	('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk', :'prod_key', false, 'and the other way round'),
	(:'former', :'revoked', false, 'a revoked key'),
	(:'former', :'expired', false, 'an expired key'),
	(:'former', :'former', false, 'the same key twice'),
	(:'prod_key', :'former', false, 'in the wrong order'),
	('', '', false, 'empty'), (:'former', '', false, 'no secret'), ('', :'prod_key', false, 'nothing publishable'),
	(repeat('x', 1000000), repeat('ü', 500000), false, 'long')) v (publishable, secret, matches, what);
SELECT throws_ok('SELECT instance_env.keys_match(' || arguments || ')', '22004', NULL, 'NULL: ' || arguments)
FROM unnest(ARRAY['NULL, NULL', '''x'', NULL', 'NULL, ''x''']) arguments;

-- rights
CREATE ROLE instance_env_nobody;
CREATE ROLE instance_env_backend;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
SELECT instance_env.grant_backend('instance_env_backend') \gset
UPDATE instance_env.domain SET name = name;
SET LOCAL search_path = pg_temp, public;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok('SELECT instance_env.' || call, '42501', NULL, 'without rights: ' || call)
FROM unnest(ARRAY['instance_by_publishable_key(NULL)', 'keys_match(NULL, NULL)']) call;
SET LOCAL ROLE instance_env_backend;
SELECT is(instance_env.instance_by_publishable_key(:'former'), :prod::uuid, 'a backend, with nothing cached');
SELECT is(instance_env.keys_match(:'former', :'prod_key'), true, 'both keys');

SELECT * FROM finish();
ROLLBACK;
