-- The audit log: who changed what, kept from everybody
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(61);

CREATE ROLE instance_env_admin;
CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_intruder;
GRANT USAGE ON SCHEMA instance_env TO instance_env_admin, instance_env_intruder;
CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;

-- what the last events say, oldest first
CREATE FUNCTION pg_temp.last_events(n integer) RETURNS SETOF text LANGUAGE sql AS $$
SELECT concat_ws('|', action, coalesce(application, application_id::text), type, item, before, after)
FROM (SELECT * FROM instance_env.events ORDER BY id DESC LIMIT n) e ORDER BY id
$$;
CREATE FUNCTION pg_temp.n() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM instance_env.event';

-- applications and instances

SELECT instance_env.create_application('shop', 'pro', 'd0000000-0000-4000-8000-000000000001',
	'a0000000-0000-4000-8000-000000000001', 'dev', 'prod') \gset
SELECT is(pg_temp.n(), 1::bigint, 'create_application() is one event');
SELECT results_eq(
	$$SELECT action, application_id, instance_id, item, before, after ->> 'name', after ->> 'plan',
		after -> 'instances' -> 0 ->> 'id', after -> 'instances' -> 1 ->> 'external_key' FROM instance_env.events$$,
	$$VALUES ('create_application', instance_env.application_id('shop'), NULL::uuid, 'shop', NULL::jsonb, 'shop', 'pro',
		'd0000000-0000-4000-8000-000000000001', 'prod')$$,
	'it tells of both instances');
SELECT is((SELECT session_user_name FROM instance_env.events), session_user::name, 'who: the session''s user');
SELECT is((SELECT current_user_name FROM instance_env.events), current_user::name, 'who: the current role');
SELECT is((SELECT client_address FROM instance_env.events), inet_client_addr(), 'from where');
SELECT ok((SELECT happened_at BETWEEN now() AND clock_timestamp() FROM instance_env.events), 'when');

SELECT instance_env.rename_application(instance_env.application_id('shop'), 'the "shop"') \gset
SELECT set_eq($$SELECT pg_temp.last_events(1)$$,
	ARRAY[E'rename_application|the "shop"|the "shop"|{"name": "shop"}|{"name": "the \\"shop\\""}'], 'rename_application()');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 0) \gset
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', NULL) \gset
SELECT results_eq($$SELECT pg_temp.last_events(2)$$, ARRAY[
	'set_user_cap|the "shop"|development|user_cap|0', 'set_user_cap|the "shop"|development|user_cap|0'], 'set_user_cap()');
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.resume_instance('d0000000-0000-4000-8000-000000000001') \gset
SELECT results_eq($$SELECT pg_temp.last_events(2)$$, ARRAY[
	'suspend_instance|the "shop"|development|{"status": "active"}|{"status": "suspended"}',
	'resume_instance|the "shop"|development|{"status": "suspended"}|{"status": "active"}'],
	'suspend_instance(), resume_instance()');

-- what changes nothing is not recorded

SELECT pg_temp.n() AS n \gset
SELECT instance_env.rename_application(instance_env.application_id('the "shop"'), 'the "shop"') \gset
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', NULL) \gset
SELECT instance_env.resume_instance('d0000000-0000-4000-8000-000000000001') \gset
SELECT is(pg_temp.n(), :n::bigint, 'the same name, cap and status again are no events');
SELECT throws_ok($$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', -1)$$, '22023', NULL, 'nor is');
SELECT throws_ok($$SELECT instance_env.set_user_cap('a0000000-0000-4000-8000-000000000001', 1)$$, '55000', NULL, 'what');
SELECT throws_ok($$SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001')$$, '55000', NULL, 'is');
SELECT throws_ok($$SELECT instance_env.rename_application('a0000000-0000-4000-8000-000000000001', 'x')$$, '22023', NULL,
	'refused');
SELECT is(pg_temp.n(), :n::bigint, 'none of which is recorded');

-- written in the transaction of the change

SAVEPOINT s;
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 7) \gset
SELECT is(pg_temp.n(), :n::bigint + 1, 'recorded');
ROLLBACK TO SAVEPOINT s;
SELECT is(pg_temp.n(), :n::bigint, 'rolled back together with the change');

-- guards: by the table's owner, with rights on nothing else of ours

SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
SET LOCAL ROLE instance_env_owner;
CREATE TABLE app."my users" (id uuid PRIMARY KEY, "the ""instance""" uuid NOT NULL);
CREATE TABLE app.visits (instance_id text, user_id text, note text);
CREATE TABLE app.people (id text, instance_id text, PRIMARY KEY (instance_id, id));
SET LOCAL search_path = app, pg_temp;
SELECT count(*) FROM instance_env.guard('app."my users"', 'the "instance"') \gset
RESET search_path;
RESET ROLE;
SELECT set_eq($$SELECT pg_temp.last_events(1)$$, ARRAY[
	E'guard|app."my users"|{"label": "instance_env_owner/app.\\"my users\\"", "counted": true, "user_key": "id", "instance_column": "the \\"instance\\""}'],
	'guard() by the table''s owner');
SELECT results_eq(
	$$SELECT session_user_name, current_user_name, application_id, instance_id FROM instance_env.events ORDER BY id DESC LIMIT 1$$,
	$$VALUES (session_user::name, 'instance_env_owner'::name, NULL::uuid, NULL::uuid)$$,
	'who did it is the owner, and it belongs to no application');
SELECT pg_temp.n() AS n \gset
SELECT pg_temp.run_as('instance_env_owner', $$SELECT instance_env.guard('app."my users"', 'the "instance"')$$) \gset
SELECT is(pg_temp.n(), :n::bigint, 'guarded already: no event');
DROP TRIGGER instance_env_user_cap ON app."my users";
SELECT pg_temp.run_as('instance_env_owner', $$SELECT instance_env.guard('app."my users"', 'the "instance"')$$) \gset
SELECT is((SELECT (before ->> 'counted') || ' ' || (after ->> 'counted') FROM instance_env.events ORDER BY id DESC LIMIT 1),
	'false true', 'a repair is an event, with what was there');
SELECT pg_temp.run_as('instance_env_owner', $$SELECT instance_env.guard('app.people')$$) \gset
SELECT pg_temp.run_as('instance_env_owner',
	$$SELECT instance_env.guard('app.visits', user_key => 'user_id', counted => false, user_table => 'app.people')$$) \gset
SELECT set_eq($$SELECT pg_temp.last_events(1)$$, ARRAY[
	'guard|app.visits|{"label": "instance_env_owner/app.visits", "counted": false, "user_key": "user_id", "user_table": "app.people", "instance_column": "instance_id"}'],
	'guard() with a user_table');
SELECT pg_temp.run_as('instance_env_owner', $$SELECT instance_env.unguard('app.visits')$$) \gset
SELECT set_eq($$SELECT pg_temp.last_events(1)$$, ARRAY[
	'unguard|app.visits|{"label": "instance_env_owner/app.visits", "counted": false, "user_key": "user_id", "instance_column": "instance_id"}'], 'unguard()');
SELECT pg_temp.n() AS n \gset
SELECT pg_temp.run_as('instance_env_owner', $$SELECT instance_env.unguard('app.visits')$$) \gset
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_intruder', $q$SELECT instance_env.unguard('app.people')$q$)$$, '42501',
	NULL, 'what is not one''s own');
SELECT is(pg_temp.n(), :n::bigint, 'nothing to remove, or not allowed: no event');

-- departed users forgotten

SELECT instance_env.forget_departed('infinity') \gset
SELECT is(pg_temp.n(), :n::bigint, 'nobody to forget: no event');
INSERT INTO instance_env.departed_user (identity, instance) SELECT gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 3);
SELECT instance_env.forget_departed('infinity') \gset
SELECT set_eq($$SELECT pg_temp.last_events(1)$$, ARRAY['forget_departed|{"before": "infinity", "forgotten": 3}'],
	'forget_departed() says how many, not who');

-- rights

CREATE ROLE "instance_env ""guest";
SELECT pg_temp.n() AS n \gset
SELECT instance_env.grant_monitor('"instance_env ""guest"') \gset
SELECT results_eq($$SELECT action, item, application_id, instance_id, before FROM instance_env.events ORDER BY id DESC LIMIT 1$$,
	$$VALUES ('grant_monitor', 'instance_env "guest', NULL::uuid, NULL::uuid, '{"functions": 0, "views": 0}'::jsonb)$$,
	'who may use the extension');
SELECT is((SELECT after ->> 'views' FROM instance_env.events ORDER BY id DESC LIMIT 1),
	(SELECT count(*)::text FROM pg_class WHERE relnamespace = 'instance_env'::regnamespace AND relkind = 'v'), 'and for how much');
SELECT instance_env.grant_monitor('"instance_env ""guest"') \gset
SELECT is(pg_temp.n(), :n::bigint + 1, 'the same again is no event');
SELECT instance_env.grant_backend('"instance_env ""guest"') \gset
SELECT instance_env.grant_admin('"instance_env ""guest"') \gset
SELECT instance_env.revoke_access('"instance_env ""guest"') \gset
SELECT instance_env.revoke_access('"instance_env ""guest"') \gset
SELECT results_eq(format($$SELECT action FROM instance_env.events ORDER BY id OFFSET %s$$, :n),
	ARRAY['grant_monitor', 'grant_backend', 'grant_admin', 'revoke_access'], 'each change of rights is');
SELECT is((SELECT after FROM instance_env.events ORDER BY id DESC LIMIT 1), '{"functions": 0, "views": 0}', 'nothing is left');

-- functions for whom they were granted; as the caller counts the role, not the function's owner

GRANT EXECUTE ON FUNCTION instance_env.set_user_cap(uuid, integer, text) TO instance_env_admin;
SELECT pg_temp.run_as('instance_env_admin', $$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 5)$$) \gset
SELECT is((SELECT current_user_name FROM instance_env.events ORDER BY id DESC LIMIT 1), 'instance_env_admin'::name,
	'the role that called a SECURITY DEFINER function');
CREATE FUNCTION public.caps() RETURNS void LANGUAGE sql SECURITY DEFINER AS
$$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 6)$$;
ALTER FUNCTION public.caps() OWNER TO instance_env_admin;
GRANT EXECUTE ON FUNCTION public.caps() TO instance_env_owner;
SELECT pg_temp.run_as('instance_env_owner', 'SELECT public.caps()') \gset
SELECT is((SELECT current_user_name FROM instance_env.events ORDER BY id DESC LIMIT 1), 'instance_env_owner'::name,
	'also where that is somebody''s else, whose rights it uses');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_admin', $q$SELECT FROM instance_env.events$q$)$$, '42501', NULL,
	'it may not read the log');

-- append-only: nobody but a superuser, whatever he was granted

SELECT is(instance_env.refuses, NULL, 'no rights on the log for anybody')
FROM (SELECT string_agg(a.grantee::regrole::text, ', ') FROM pg_class c, LATERAL aclexplode(c.relacl) a
	  WHERE c.oid = 'instance_env.event'::regclass AND a.grantee <> c.relowner) AS instance_env(refuses);
SELECT throws_ok(format($$SELECT pg_temp.run_as('instance_env_intruder', %L)$$, command), '42501', NULL, 'without rights: ' || command)
FROM unnest(ARRAY[
	'SELECT FROM instance_env.event',
	'INSERT INTO instance_env.event (session_user_name, current_user_name, action) VALUES (''x'', ''x'', ''x'')',
	'UPDATE instance_env.event SET item = NULL',
	'DELETE FROM instance_env.event',
	'TRUNCATE instance_env.event']) command;
GRANT ALL ON instance_env.event, instance_env.events TO instance_env_intruder;
GRANT ALL ON SEQUENCE instance_env.event_id_seq TO instance_env_intruder;
SELECT pg_temp.n() AS n \gset
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_intruder', 'SELECT FROM instance_env.event')$$, 'with all rights: he reads');
SELECT throws_ok(format($$SELECT pg_temp.run_as('instance_env_intruder', %L)$$, command), '42501',
	'permission denied to change the audit log', 'with all rights: ' || command)
FROM unnest(ARRAY[
	'INSERT INTO instance_env.event (session_user_name, current_user_name, action) VALUES (''x'', ''x'', ''x'')',
	'INSERT INTO instance_env.event SELECT * FROM instance_env.event ON CONFLICT (id) DO UPDATE SET action = ''forged''',
	'UPDATE instance_env.event SET item = NULL',
	'UPDATE instance_env.event SET item = NULL WHERE false',
	'DELETE FROM instance_env.event',
	'WITH gone AS (DELETE FROM instance_env.event RETURNING *) SELECT FROM gone',
	'MERGE INTO instance_env.event e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE',
	'TRUNCATE instance_env.event',
	'SET LOCAL search_path = pg_temp; DELETE FROM instance_env.event']) command;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_intruder', 'ALTER TABLE instance_env.event DISABLE TRIGGER ALL')$$,
	'42501', NULL, 'nor can he disable the trigger');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_intruder', 'SET LOCAL session_replication_role = replica')$$,
	'42501', NULL, 'nor all triggers');
SET LOCAL session_replication_role = replica;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_intruder', 'DELETE FROM instance_env.event')$$, '42501',
	'permission denied to change the audit log', 'which would not help: it fires always');
RESET session_replication_role;
SELECT is(pg_temp.n(), :n::bigint, 'the log is as it was');
SELECT throws_ok($$SELECT instance_env.refuse_change()$$, '39P01', NULL, 'refuse_change() is a trigger');
SELECT lives_ok($$DELETE FROM instance_env.event WHERE id = (SELECT min(id) FROM instance_env.event)$$,
	'a superuser may delete, as where the law demands it');

-- the log outlives what it tells of

SELECT instance_env.application_id('the "shop"') AS shop \gset
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', 'session.a', '1') \gset
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', '"ours"') \gset
SELECT instance_env.enable_feature('d0000000-0000-4000-8000-000000000001', 'passkeys', 2) \gset
SELECT instance_env.set_social_connection('a0000000-0000-4000-8000-000000000001', 'google', 'client', 'vault:google') \gset
SELECT right(instance_env.create_secret_key('a0000000-0000-4000-8000-000000000001'), 4) AS hint \gset
SELECT pg_temp.n() AS n \gset
SELECT instance_env.drop_application(:'shop') \gset
SELECT set_eq(
	format($$SELECT item, instance::text, coalesce(before ->> 'hint', before ->> 'client_id', before ->> 'quantity', before ->> 'name', before #>> '{}')
		FROM instance_env.event WHERE action = 'drop_application' AND instance IS NOT NULL AND application = %L AND after IS NULL$$, :'shop'),
	format($$VALUES ('shop.example.com', 'a0000000-0000-4000-8000-000000000001', 'shop.example.com'),
		(%1$L, 'a0000000-0000-4000-8000-000000000001', %1$L), ('google', 'a0000000-0000-4000-8000-000000000001', 'client'),
		('session.a', 'd0000000-0000-4000-8000-000000000001', '1'), ('banner', 'd0000000-0000-4000-8000-000000000001', 'ours'),
		('passkeys', 'd0000000-0000-4000-8000-000000000001', '2')$$, :'hint'),
	'drop_application() tells of all that goes with it');
SELECT is_empty(format($$SELECT FROM instance_env.event WHERE id > %s AND (before ? 'hash' OR before::text LIKE '%%vault:%%')$$, :n),
	'but of no secret');
SELECT results_eq(
	$$SELECT action, application, application_id, type, instance_id, item, before ->> 'name', jsonb_array_length(before -> 'instances'),
		after FROM instance_env.events ORDER BY id DESC LIMIT 1$$,
	format($$VALUES ('drop_application', NULL::text, %L::uuid, NULL::instance_env.instance_type, NULL::uuid, 'the "shop"',
		'the "shop"', 2, NULL::jsonb)$$, :'shop'),
	'drop_application() tells of both instances');
SELECT is((SELECT count(*) FROM instance_env.events WHERE action = 'rename_application' AND application_id = :'shop'), 1::bigint,
	'what happened before stays');

SELECT * FROM finish();
ROLLBACK;
