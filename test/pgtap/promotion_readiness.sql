-- View readiness says of all production instances at once what validate() says of each
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(45);

CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_backend;
SELECT instance_env.grant_guard('instance_env_owner'), instance_env.grant_monitor('instance_env_monitor'),
	instance_env.grant_backend('instance_env_backend') \gset
CREATE SCHEMA app;
GRANT ALL ON SCHEMA app TO instance_env_owner;

-- what a row is made of
CREATE FUNCTION pg_temp.by_one() RETURNS TABLE (application text, status text, ready boolean, errors text[], warnings text[], next_step text, instance_id uuid)
LANGUAGE sql AS $$
	SELECT a.name, i.status::text, v.ready, v.errors, v.warnings, v.next_step, i.id
	FROM instance_env.instance i JOIN instance_env.application a ON a.id = i.application,
		LATERAL (SELECT count(*) FILTER (WHERE c.severity = 'error' AND NOT c.passed) = 0 AS ready,
				coalesce(array_agg(c.message ORDER BY c.n) FILTER (WHERE c.severity = 'error' AND NOT c.passed), '{}') AS errors,
				coalesce(array_agg(c.message ORDER BY c.n) FILTER (WHERE c.severity <> 'error' AND NOT c.passed), '{}') AS warnings,
				(array_agg(c.hint ORDER BY c.n) FILTER (WHERE c.severity = 'error' AND NOT c.passed))[1] AS next_step
			FROM instance_env.validate(i.id) WITH ORDINALITY AS c (check_name, subject, severity, passed, message, hint, sqlstate, n)) v
	WHERE i.type = 'production'
$$;
CREATE FUNCTION pg_temp.same(what text) RETURNS text LANGUAGE sql AS
$$SELECT set_eq('SELECT application COLLATE "default", status::text, ready, errors, warnings, next_step, instance_id FROM instance_env.readiness',
	'SELECT * FROM pg_temp.by_one()', what)$$;
CREATE FUNCTION pg_temp.prod(name text) RETURNS uuid LANGUAGE sql AS $$SELECT instance_env.instance_id(name, 'production')$$;
CREATE FUNCTION pg_temp.dev(name text) RETURNS uuid LANGUAGE sql AS $$SELECT instance_env.instance_id(name, 'development')$$;

SELECT is_empty('SELECT FROM instance_env.readiness', 'no application: no row');
SELECT is_empty('SELECT FROM instance_env.readiness_list()', 'nor by the function');

-- applications in all states, each with something that no other has
SELECT count(*) FROM unnest(ARRAY['plain', 'named', 'verified', 'satellites', 'social', 'features', 'settings', 'kept', 'tests', 'redirects',
	'keys', 'revoked', 'opted in', 'suspended', 'live', 'full', 'of others', 'quoted "name''', 'ünïcode']) n,
	instance_env.create_application(n, CASE n WHEN 'features' THEN 'enterprise' ELSE 'free' END::instance_env.plan) \gset
SELECT is((SELECT count(*) FROM instance_env.readiness), 19::bigint, 'a row for each application');
SELECT pg_temp.same('no table is guarded');

CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid NOT NULL, email text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT pg_temp.same('a table is guarded, whole');

DO $$BEGIN PERFORM instance_env.associate_domain(pg_temp.prod(n), n || '.com'), instance_env.verify_domain(pg_temp.prod(n), n || '.com')
FROM unnest(ARRAY['verified', 'satellites', 'live', 'suspended', 'redirects', 'keys']) n; END$$;
SELECT instance_env.associate_domain(pg_temp.prod('named'), 'named.com'),
	instance_env.verify_domain(pg_temp.prod('named'), 'named.com', 'clerk') \gset
SELECT instance_env.set_plan('satellites', 'pro') \gset
SELECT instance_env.associate_domain(pg_temp.prod('satellites'), 'b.example.org', false),
	instance_env.associate_domain(pg_temp.prod('satellites'), 'a.example.org', false),
	instance_env.verify_domain(pg_temp.prod('satellites'), 'b.example.org') \gset
-- what has been taken away since
UPDATE instance_env.application SET plan = 'free' WHERE name = 'satellites';
SELECT pg_temp.same('domains');

DO $$BEGIN PERFORM instance_env.set_social_connection(pg_temp.dev('social'), p) FROM unnest(ARRAY['google', 'github', 'apple']) p; END$$;
SELECT instance_env.set_social_connection(pg_temp.prod('social'), 'github', 'id', 'vault:github'),
	instance_env.set_social_connection(pg_temp.prod('live'), 'google', 'id', 'vault:google') \gset
SELECT pg_temp.same('social connections');

DO $$BEGIN PERFORM instance_env.enable_feature(pg_temp.dev(n), 'passkeys'), instance_env.enable_feature(pg_temp.dev(n), 'custom_roles')
FROM unnest(ARRAY['features', 'plain', 'kept']) n; END$$;
INSERT INTO instance_env.instance_feature (instance, feature) VALUES (pg_temp.prod('live'), 'passkeys'), (pg_temp.prod('plain'), 'passkeys');
DO $$BEGIN PERFORM instance_env.set_setting(pg_temp.dev(n), 'session.lifetime', '3600') FROM unnest(ARRAY['settings', 'kept', 'features', 'live']) n; END$$;
SELECT instance_env.set_setting(pg_temp.prod('kept'), 'session.lifetime', 'null') \gset
SELECT pg_temp.same('features, and settings that use some');

INSERT INTO instance_env.setting (instance, name, value) VALUES
	(pg_temp.prod('tests'), 'test.mode', 'true'), (pg_temp.prod('tests'), 'billing.sandbox', '"yes"'), (pg_temp.prod('tests'), 'billing.currency', '"EUR"'),
	(pg_temp.dev('tests'), 'test.other', 'true'), (pg_temp.dev('tests'), 'integration.livemode', 'false'), (pg_temp.prod('live'), 'test.off', 'false'),
	(pg_temp.dev('redirects'), 'redirect.a', '["https://redirects.com/x", "http://localhost:3000", "https://elsewhere.example.net"]'),
	(pg_temp.dev('redirects'), 'redirect.b', '{"https://elsewhere.example.net": {}}'), (pg_temp.prod('redirects'), 'redirect.c', '"https://redirects.com"'),
	(pg_temp.prod('redirects'), 'redirect.none', '[1, null]'), (pg_temp.prod('live'), 'redirect.c', '"http://live.com"'),
	(pg_temp.dev('live'), 'redirect.of_dev', '"https://not.copied.example.net"');
SELECT pg_temp.same('settings that are for tests, and redirect URLs');
UPDATE instance_env.policy_default SET overridable = true WHERE instance_type = 'production' AND name = 'test_identities';
DO $$BEGIN PERFORM instance_env.set_policy(pg_temp.prod(n), 'test_identities', 'true') FROM unnest(ARRAY['opted in', 'tests']) n; END$$;
SELECT instance_env.add_redirect_url(pg_temp.prod('redirects'), 'https://elsewhere.example.net') \gset
SELECT pg_temp.same('policies, and URLs that are allowed');

DO $$BEGIN PERFORM instance_env.create_secret_key(pg_temp.prod(n)) FROM unnest(ARRAY['keys', 'live']) n; END$$;
SELECT instance_env.create_secret_key(pg_temp.prod('revoked')) \gset
UPDATE instance_env.api_key SET revoked_at = now() WHERE instance = pg_temp.prod('revoked');
SELECT pg_temp.same('keys');

UPDATE instance_env.instance SET status = 'active' WHERE id = pg_temp.prod('live');
UPDATE instance_env.instance SET status = 'suspended' WHERE id = pg_temp.prod('suspended');
SELECT pg_temp.same('active and suspended');
SELECT is((SELECT count(DISTINCT (errors, warnings)) FROM instance_env.readiness) > 12, true, 'no two of them alike, nearly');
SELECT results_eq('SELECT status::text, count(*) FROM instance_env.readiness GROUP BY 1 ORDER BY 1',
	$$VALUES ('active', 1::bigint), ('inactive', 17), ('suspended', 1)$$, 'statuses');

-- guards: of a superuser's table they concern everybody; of another's, only whose rows are there
INSERT INTO app.users VALUES (1, pg_temp.dev('full'), NULL);
ALTER TABLE app.users DISABLE TRIGGER instance_env_departure;
SELECT pg_temp.same('a guard that is not whole');
SELECT is((SELECT count(*) FROM instance_env.readiness WHERE 'The guard of table "app.users" is not whole: trigger instance_env_departure is disabled.' = ANY (errors)),
	19::bigint, 'which concerns all, the table being a superuser''s');
ALTER TABLE app.users ENABLE TRIGGER instance_env_departure;
SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.members (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.members') \gset
RESET ROLE;
INSERT INTO app.members SELECT 1, external_key FROM instance_env.instance WHERE id = pg_temp.dev('of others');
INSERT INTO app.members SELECT 2, external_key FROM instance_env.instance WHERE id = pg_temp.prod('live');
ALTER TABLE app.members DISABLE TRIGGER instance_env_departure;
SELECT pg_temp.same('a guard of a table of somebody else');
SELECT set_eq($$SELECT application COLLATE "default" FROM instance_env.readiness WHERE errors::text LIKE '%app.members%'$$, ARRAY['of others', 'live'],
	'which concerns those whose rows are there, in either instance');
SELECT is((SELECT count(*) FROM instance_env.readiness WHERE warnings::text LIKE '%app.members%'), 17::bigint, 'and is said to the others');
SELECT results_eq($$SELECT severity::text FROM instance_env.validate(pg_temp.dev('live')) WHERE check_name = 'guard' AND subject = 'app.members'$$, ARRAY['error'],
	'a development instance is told of the rows of production');
ALTER TABLE app.members ENABLE TRIGGER instance_env_departure;
SELECT instance_env.revoke_access('instance_env_owner') \gset
SELECT pg_temp.same('an owner that is not trusted');
SELECT count(*) FROM instance_env.unguard('app.members') \gset
SAVEPOINT s;
SELECT count(*) FROM instance_env.unguard('app.users') \gset
CREATE TABLE app.staff (id integer PRIMARY KEY, instance_id uuid NOT NULL);
SELECT count(*) FROM instance_env.guard('app.staff', follow_departures => false) \gset
SELECT pg_temp.same('departures that are not recorded');
ROLLBACK TO SAVEPOINT s;

-- one instance
CREATE TEMP TABLE listed AS SELECT * FROM instance_env.readiness_list();
SELECT results_eq($$SELECT r.* FROM instance_env.application a, instance_env.readiness_of(a.name) r ORDER BY r.instance_id$$,
	'TABLE listed', 'by name: the same');
SELECT results_eq($$SELECT r.* FROM instance_env.instance i, instance_env.readiness_of(i.id) r WHERE i.type = 'production' ORDER BY r.instance_id$$,
	'TABLE listed', 'by id: the same');
SELECT results_eq($$SELECT application, instance_id FROM instance_env.readiness_of(pg_temp.dev('live'))$$,
	$$VALUES ('live', pg_temp.dev('live'))$$, 'a development instance');
SELECT throws_ok('SELECT * FROM instance_env.readiness_of(gen_random_uuid())', '23I03', NULL, 'an unknown id');
SELECT throws_ok($$SELECT * FROM instance_env.readiness_of('nobody')$$, '22023', NULL, 'an unknown name');
SELECT throws_ok('SELECT * FROM instance_env.readiness_of(NULL::text)', '22004', NULL, 'NULL as a name');
SELECT throws_ok('SELECT * FROM instance_env.readiness_of(NULL::uuid)', '22004', NULL, 'NULL as an id');
SELECT results_eq('SELECT instance_id FROM instance_env.readiness', 'SELECT instance_id FROM instance_env.readiness ORDER BY 1', 'in the order of their ids');
SELECT is((SELECT next_step FROM instance_env.readiness WHERE application = 'verified'), NULL, 'ready: nothing to do');
SELECT is((SELECT count(*) FROM instance_env.readiness WHERE ready <> (errors = '{}') OR (next_step IS NULL) <> ready), 0::bigint, 'ready, errors and next_step agree');

-- who may ask
SET LOCAL ROLE instance_env_monitor;
SELECT is((SELECT count(*) FROM instance_env.readiness), 19::bigint, 'a monitor');
SELECT lives_ok($$SELECT * FROM instance_env.readiness_of('live')$$, 'a monitor, of one');
SET LOCAL ROLE instance_env_backend;
SELECT throws_ok($$SELECT * FROM instance_env.readiness_of('live')$$, '42501', NULL, 'not a backend, which has validate()');
RESET ROLE;

-- it only reads, and leaves settings as they were
SET LOCAL jit = on;
SET LOCAL max_parallel_workers_per_gather = 2;
SELECT count(*) FROM instance_env.readiness \gset
SELECT is(current_setting('jit') || current_setting('max_parallel_workers_per_gather'), 'on2', 'settings are as they were');
CREATE TEMP TABLE before AS SELECT * FROM instance_env.readiness;
CREATE TEMP TABLE checks AS SELECT i.id, v.* FROM instance_env.instance i, instance_env.validate(i.id) v;
SAVEPOINT s;
SET LOCAL transaction_read_only = on;
SELECT results_eq('SELECT * FROM instance_env.readiness', 'TABLE before', 'in a read-only transaction');
ROLLBACK TO SAVEPOINT s;

-- plans that are kept: whatever the session prefers, and when all has been made anew
CREATE FUNCTION pg_temp.as_before(settings text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text;
BEGIN
	PERFORM set_config(split_part(s, '=', 1), split_part(s, '=', 2), true) FROM regexp_split_to_table(settings, ' ') s;
	said := set_eq('SELECT i.id, v.* FROM instance_env.instance i, instance_env.validate(i.id) v', 'TABLE checks', settings || ': validate()') || E'\n' ||
		results_eq('SELECT * FROM instance_env.readiness', 'TABLE before', settings || ': view readiness');
	RETURN said;
END $$;
SAVEPOINT s;
SELECT pg_temp.as_before('plan_cache_mode=force_custom_plan');
SELECT pg_temp.as_before('plan_cache_mode=force_generic_plan enable_indexscan=off enable_bitmapscan=off enable_indexonlyscan=off');
SELECT pg_temp.as_before('plan_cache_mode=auto enable_indexscan=on enable_seqscan=off enable_hashjoin=off enable_mergejoin=off');
ROLLBACK TO SAVEPOINT s;
DROP EXTENSION instance_env CASCADE;
SELECT throws_ok('SELECT * FROM instance_env.readiness', '42P01', NULL, 'the extension is gone');
CREATE EXTENSION instance_env;
SELECT instance_env.create_application('again') \gset
SELECT pg_temp.same('the extension was made anew');

SELECT * FROM finish();
ROLLBACK;
