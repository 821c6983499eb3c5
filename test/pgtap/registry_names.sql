-- What names stand for is remembered, and so is that they stand for nothing: until that changes
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(44);

-- all that is known by name or key, in one row
CREATE FUNCTION pg_temp.known(name text, dev_key text) RETURNS text LANGUAGE sql AS $$
SELECT concat_ws(' ', CASE WHEN instance_env.application_id(name) IS NULL THEN '-' ELSE 'a' END,
	left(coalesce(instance_env.instance_id(name, 'development')::text, '-'), 1),
	left(coalesce(instance_env.instance_id(name, 'production'::instance_env.instance_type)::text, '-'), 1),
	left(coalesce(instance_env.instance_by_key(dev_key)::text, '-'), 1)) $$;
\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'e0000000-0000-4000-8000-000000000001\''
CREATE FUNCTION pg_temp.info() RETURNS text LANGUAGE sql AS $$
SELECT concat_ws(' ', application, type, status, user_cap, plan, domain, external_key)
FROM instance_env.instance_info('d0000000-0000-4000-8000-000000000001') $$;

SELECT is(pg_temp.known('shop', 'key'), '- - - -', 'nothing is there');
SELECT throws_ok($$SELECT pg_temp.info()$$, '23I03', NULL, 'nor an instance');
SAVEPOINT s;
SELECT FROM instance_env.create_application('shop', 'pro', :dev, :prod, 'key', 'live') \gset
SELECT is(pg_temp.known('shop', 'key'), 'a d e d', 'what has been created is known at once');
SELECT is(pg_temp.info(), 'shop development active 500 pro key', 'and what it is');
ROLLBACK TO SAVEPOINT s;
SELECT is(pg_temp.known('shop', 'key'), '- - - -', 'what has been rolled back is not');
SELECT throws_ok($$SELECT pg_temp.info()$$, '23I03', NULL, 'nor its instance');
SELECT FROM instance_env.create_application('shop', 'pro', :dev, :prod, 'key', 'live') \gset
SELECT is(pg_temp.info(), 'shop development active 500 pro key', 'it is created again');
SELECT is(pg_temp.known('shop', 'key'), 'a d e d', 'it is known again');
SELECT is(pg_temp.known('SHOP', 'KEY'), '- - - -', 'case matters');
SELECT is(pg_temp.known('key', 'shop'), '- - - -', 'a name is not a key');
SELECT is(instance_env.instance_by_key('live'), :prod::uuid, 'production has one, too');

-- one command creates and looks up
SELECT is((SELECT instance_env.application_id('one') = c.application_id FROM instance_env.create_application('one') c), true,
	'even in one command');

-- renaming
SELECT instance_env.rename_application('shop', 'store') \gset
SELECT is(pg_temp.known('shop', 'key'), '- - - d', 'the old name is nobody''s');
SELECT is(pg_temp.known('store', 'key'), 'a d e d', 'the new one is known');
SELECT is(pg_temp.info(), 'store development active 500 pro key', 'instance_info() has it');
SELECT instance_env.rename_instance(:dev, 'other') \gset
SELECT is(pg_temp.known('store', 'key'), 'a d e -', 'the old key is nobody''s');
SELECT is(pg_temp.known('store', 'other'), 'a d e d', 'the new one is known');
SELECT is(pg_temp.info(), 'store development active 500 pro other', 'instance_info() has it');
SELECT FROM instance_env.create_application('shop') \gset
SELECT isnt(instance_env.application_id('shop'), instance_env.application_id('store'), 'somebody else takes the old name');

-- what instance_info() tells besides
SELECT instance_env.set_user_cap(:dev, 7) \gset
SELECT instance_env.set_plan('store', 'enterprise') \gset
SELECT instance_env.suspend_instance(:dev) \gset
SELECT is(pg_temp.info(), 'store development suspended 7 enterprise other', 'cap, plan and status');
SELECT instance_env.set_user_cap(:dev, NULL) \gset
UPDATE instance_env.policy_default SET value = '9' WHERE name = 'user_cap' AND instance_type = 'development';
SELECT is(pg_temp.info(), 'store development suspended 9 enterprise other', 'the default cap');
SELECT is((SELECT domain FROM instance_env.instance_info(:prod)), NULL, 'no domain');
SELECT instance_env.associate_domain(:prod, 'shop.example.com') \gset
SELECT is((SELECT domain FROM instance_env.instance_info(:prod)), 'shop.example.com', 'a domain');
SELECT instance_env.change_domain(:prod, 'shop.example.net') \gset
SELECT is((SELECT domain FROM instance_env.instance_info(:prod)), 'shop.example.net', 'another one');
UPDATE instance_env.instance SET slug = 'a-b-3' WHERE id = :dev;
SELECT is((SELECT slug FROM instance_env.instance_info(:dev)), 'a-b-3', 'a slug');
SELECT is((SELECT to_jsonb(i) FROM instance_env.instance_info(:dev) i),
	(SELECT to_jsonb(i) FROM (SELECT application, application_id, type, status, user_cap, plan, slug, domain, external_key,
		cap_mode FROM instance_env.instances WHERE instance_id = :dev) i), 'it says what view instances says');
SELECT is((SELECT count(DISTINCT instance_env.instance_info(i)::text) FROM generate_series(1, 6) n,
	LATERAL (VALUES (:dev::uuid), (:prod::uuid)) v (i)), 2::bigint, 'as often as it is asked');
SELECT is(pg_typeof(instance_env.instance_info(:dev)), 'record'::regtype, 'as a record');
SELECT is((instance_env.instance_info(:dev)).external_key, 'other', 'whose columns have names');

-- who asks again costs no scan of a table
CREATE FUNCTION pg_temp.scans() RETURNS numeric LANGUAGE sql AS $$
SELECT sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)) FROM pg_stat_xact_all_tables WHERE schemaname = 'instance_env' $$;
SELECT pg_temp.known('store', 'other'), pg_temp.known('nobody', 'none'), pg_temp.info() \gset
SELECT pg_temp.scans() AS scans \gset
SELECT count(*) FROM (SELECT pg_temp.known(name, name), pg_temp.info()
	FROM unnest('{store,other,nobody,none}'::text[]) name, generate_series(1, 100)) a \gset
SELECT count(*) FROM (SELECT pg_temp.known(name, key), pg_temp.info()
	FROM (VALUES ('store', 'other'), ('nobody', 'none')) v (name, key), generate_series(1, 100)) a \gset
SELECT pg_temp.scans() - :scans AS more \gset
SELECT cmp_ok(:more::bigint, '<=', 20::bigint, 'six hundred questions, and a few scans for those that are new');

-- names of all lengths; more of them than are remembered

SELECT count(instance_env.create_application(repeat('n', n), development_key => repeat('k', n))) FROM generate_series(2040, 2048) n \gset
SELECT is((SELECT count(*) FROM generate_series(1, 3) g, generate_series(2040, 2048) n
	WHERE instance_env.application_id(repeat('n', n)) IS NOT NULL AND instance_env.instance_by_key(repeat('k', n)) IS NOT NULL),
	27::bigint, 'names of the greatest length');
SELECT is(instance_env.application_id(repeat('n', n)), NULL, n || ' bytes') FROM unnest('{0,1,2039,2049,1000000}'::integer[]) n;
SELECT is(instance_env.instance_by_key(repeat('n', 1000000)), NULL, 'a key of a megabyte');
ALTER TABLE instance_env.application DISABLE TRIGGER ALL;
UPDATE instance_env.application SET name = repeat('x', 3000) WHERE name = 'one';
ALTER TABLE instance_env.application ENABLE TRIGGER ALL;
SELECT isnt(instance_env.application_id(repeat('x', 3000)), NULL, 'a name that was made too long by hand');
SELECT is((SELECT count(instance_env.application_id('nobody ' || n)) FROM generate_series(1, 10000) n), 0::bigint, 'ten thousand names of nobody');
SELECT is((SELECT sum(total_bytes) < 5 * 1024 * 1024 FROM pg_backend_memory_contexts WHERE ident LIKE 'instance_env%names%'
	OR name LIKE 'instance_env%'), true, 'are not all remembered');
SELECT is(pg_temp.known('store', 'other'), 'a d e d', 'and what is there is still known');

-- as a role with no other rights; in any session

CREATE ROLE instance_env_backend;
SELECT instance_env.grant_backend('instance_env_backend') \gset
CREATE FUNCTION pg_temp.as_backend() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	SET LOCAL ROLE instance_env_backend;
	SET LOCAL search_path = pg_temp;
	result := pg_temp.known('store', 'other') || ' ' || pg_temp.info();
	RESET search_path;
	RESET ROLE;
	RETURN result;
END $$;
CREATE TEMP TABLE application (id uuid, name text);
CREATE TEMP TABLE instance (id uuid, name text);
SELECT is(pg_temp.as_backend(), 'a d e d store development suspended 9 enterprise other', 'a backend, from the cache');
SELECT instance_env.rename_application('store', 'shop 2') \gset
SELECT instance_env.rename_application('shop 2', 'store') \gset
SELECT is(pg_temp.as_backend(), 'a d e d store development suspended 9 enterprise other', 'a backend, by a query');
CREATE ROLE instance_env_stranger;
GRANT USAGE ON SCHEMA instance_env TO instance_env_stranger;
SET LOCAL ROLE instance_env_stranger;
SELECT throws_ok($$SELECT instance_env.application_id('store')$$, '42501', NULL, 'nobody else');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
