-- The audit log: what a session calls itself, and forgetting what is old
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(44);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
DELETE FROM instance_env.event;
CREATE ROLE instance_env_admin;
CREATE ROLE instance_env_called;
SELECT instance_env.grant_admin('instance_env_admin') \gset
CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
CREATE FUNCTION pg_temp.last_name() RETURNS text LANGUAGE sql AS
'SELECT application_name FROM instance_env.events ORDER BY id DESC LIMIT 1';
CREATE FUNCTION pg_temp.cap(n integer) RETURNS void LANGUAGE sql AS
$$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', n)$$;

-- application_name

SET LOCAL application_name = 'deploy 1.4.2';
SELECT instance_env.create_application('shop', 'pro', :dev, :prod) \gset
SELECT is(pg_temp.last_name(), 'deploy 1.4.2', 'what the session calls itself is recorded');
SELECT is((SELECT application_name FROM instance_env.event ORDER BY id DESC LIMIT 1), 'deploy 1.4.2', 'in the table');
SET LOCAL application_name = '';
SELECT pg_temp.cap(1) \gset
SELECT is(pg_temp.last_name(), NULL, 'null if it calls itself nothing');
SELECT set_config('application_name', E'\'); DROP TABLE x; -- \x01 <b> \\ "', true) \gset
SELECT pg_temp.cap(2) \gset
SELECT is(pg_temp.last_name(), current_setting('application_name'), 'what is hostile is a text like any other');
SELECT set_config('application_name', repeat('x', 1000000), true) \gset
SELECT pg_temp.cap(3) \gset
SELECT is(octet_length(pg_temp.last_name()), 63, 'PostgreSQL has clipped what is long');
SELECT set_config('application_name', repeat('ü', 100), true) \gset
SELECT pg_temp.cap(4) \gset
SELECT is(pg_temp.last_name(), current_setting('application_name'), 'and replaced what is not ASCII');
SELECT ok(pg_temp.last_name() ~ '^[\x20-\x7e]*$', 'so there is none');
SELECT set_config('application_name', 'x ghp_' || repeat('a1B2', 9), true) \gset
SELECT pg_temp.cap(3) \gset
SELECT is(pg_temp.last_name(), '(a GitHub token)', 'a secret is not recorded');
SELECT set_config('application_name', 'sk_live_' || repeat('aB3', 14) || 'x', true) \gset
SELECT pg_temp.cap(4) \gset
SELECT unalike(pg_temp.last_name(), '%aB3%', 'nor is a secret key');
CREATE FUNCTION public.named() RETURNS void LANGUAGE sql SECURITY DEFINER SET application_name = 'function' AS
$$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 5)$$;
SELECT public.named() \gset
SELECT is(pg_temp.last_name(), 'function', 'a function can say something else: nobody verifies it');
SET LOCAL application_name = 'release';
SELECT instance_env.associate_domain(:prod, 'shop.example.com') \gset
SELECT count(instance_env.verify_domain(:prod, 'shop.example.com', record)) FROM instance_env.dns_records(:prod) \gset
SELECT count(*) FROM instance_env.promote(instance_env.application_id('shop')) \gset
SELECT is((SELECT application_name FROM instance_env.promotions), 'release', 'also of who promotes');
SELECT is((SELECT application_name FROM instance_env.promotion), 'release', 'in the history''s table');
SELECT is(pg_temp.last_name(), 'release', 'and in the log');

-- who may forget

SELECT is((SELECT count(*) FROM pg_proc p, LATERAL aclexplode(p.proacl) a
	WHERE p.oid = 'instance_env.forget_events(timestamptz)'::regprocedure AND a.grantee <> p.proowner), 0::bigint,
	'forget_events() is nobody''s, not even grant_admin()''s');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_admin', 'SELECT instance_env.forget_events(now())')$$, '42501', NULL,
	'who administrates cannot forget');
GRANT EXECUTE ON FUNCTION instance_env.forget_events(timestamptz) TO instance_env_admin;
GRANT ALL ON instance_env.event TO instance_env_admin;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_admin', 'SELECT instance_env.forget_events(now())')$$, '42501',
	'permission denied to change the audit log', 'whatever has been granted');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_admin', $q$SELECT instance_env.forget_events('-infinity')$q$)$$, '42501',
	NULL, 'not even where there is nothing to forget');
CREATE FUNCTION public.forgets() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT instance_env.forget_events(now())';
ALTER FUNCTION public.forgets() OWNER TO instance_env_admin;
SELECT throws_ok($$SELECT public.forgets()$$, '42501', NULL, 'nor a function of his that a superuser calls');

-- bad input

SELECT pg_temp.cap(6) \gset
SELECT count(*) AS n FROM instance_env.event \gset
SELECT throws_ok($$SELECT instance_env.forget_events(NULL)$$, '22004', NULL, 'NULL');
SELECT throws_ok(format('SELECT instance_env.forget_events(%L)', t), '22023', 'invalid value for argument "before"',
	t || ' is in the future')
FROM unnest(ARRAY['infinity', (clock_timestamp() + interval '1 hour')::text, '294276-12-31 23:59:59+00']) t;
SELECT is(instance_env.forget_events('-infinity'), 0::bigint, 'nothing happened before the beginning');
SELECT is(instance_env.forget_events('4713-01-01 BC'), 0::bigint, 'nor so early');
SELECT is((SELECT min(happened_at) FROM instance_env.event) < clock_timestamp(), true, 'there is something');
SELECT is(instance_env.forget_events((SELECT min(happened_at) FROM instance_env.event)), 0::bigint,
	'what happened at that very time stays');
SELECT is((SELECT count(*) FROM instance_env.event), :n::bigint, 'nothing forgotten is no event');

-- what is forgotten

UPDATE instance_env.event SET happened_at = '2001-02-03 04:05:06+00';
UPDATE instance_env.event SET happened_at = '2001-02-03 04:05:05.999999+00' WHERE id IN (SELECT id FROM instance_env.event ORDER BY id LIMIT 3);
SELECT min(id) AS first, max(id) AS last FROM instance_env.event WHERE happened_at < '2001-02-03 04:05:06+00' \gset
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL DateStyle = 'German';
SELECT is(instance_env.forget_events('2001-02-03 04:05:06+00'), 3::bigint, 'what happened before is forgotten');
SELECT is((SELECT count(*) FROM instance_env.event WHERE happened_at = '2001-02-03 04:05:06+00'), :n::bigint - 3, 'and nothing else');
SELECT is((SELECT count(*) FROM instance_env.event), :n::bigint - 2, 'that is an event itself');
SELECT results_eq(
	$$SELECT action, application, instance, item, session_user_name, current_user_name, application_name,
		(before ->> 'first')::bigint, (before ->> 'last')::bigint, (before ->> 'since')::timestamptz,
		(after ->> 'before')::timestamptz, (after ->> 'forgotten')::bigint
	FROM instance_env.event ORDER BY id DESC LIMIT 1$$,
	format($$VALUES ('forget_events', NULL::uuid, NULL::uuid, NULL::text, session_user::name, current_user::name, 'release',
		%s::bigint, %s::bigint, '2001-02-03 04:05:05.999999+00'::timestamptz, '2001-02-03 04:05:06+00'::timestamptz, 3::bigint)$$,
		:first, :last),
	'which says how many there were, which ones, and since and until when');
SELECT is((SELECT after ->> 'before' FROM instance_env.event ORDER BY id DESC LIMIT 1), '2001-02-03T09:50:06+05:45',
	'in a form that every session reads alike');
RESET DateStyle;
RESET TimeZone;
SELECT is(instance_env.forget_events(now()), :n::bigint - 3, 'up to the transaction''s begin');
SELECT results_eq('SELECT action FROM instance_env.event', ARRAY['forget_events', 'forget_events'],
	'neither its own event nor what has happened since is forgotten');
SELECT is(instance_env.forget_events(clock_timestamp()), 2::bigint, 'up to now: the events of the former calls, too');
SELECT results_eq($$SELECT action, after ->> 'forgotten' FROM instance_env.event$$, $$VALUES ('forget_events', '2')$$,
	'but never the last one, which says until when the log is incomplete');

-- in any session

SET LOCAL search_path = pg_temp, public;
CREATE FUNCTION pg_temp.max(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE TEMP TABLE event (id bigint);
SELECT pg_temp.cap(7) \gset
SELECT is(instance_env.forget_events(clock_timestamp()), 2::bigint, 'with names in the way');
RESET search_path;
SET LOCAL session_replication_role = replica;
SELECT pg_temp.cap(8) \gset
SELECT is(instance_env.forget_events(clock_timestamp()), 2::bigint, 'as a replica');
RESET session_replication_role;
SELECT pg_temp.cap(9) \gset
SAVEPOINT s;
SELECT is(instance_env.forget_events(clock_timestamp()), 2::bigint, 'in a subtransaction');
ROLLBACK TO SAVEPOINT s;
SELECT is((SELECT count(*) FROM instance_env.event), 2::bigint, 'that is rolled back');
SAVEPOINT t;
SET LOCAL transaction_read_only = on;
SELECT throws_ok($$SELECT instance_env.forget_events(now())$$, '25006', NULL, 'not in a transaction that only reads');
ROLLBACK TO SAVEPOINT t;

-- the index is for it, and for who asks what has happened lately

INSERT INTO instance_env.event (happened_at, session_user_name, current_user_name, action)
	SELECT now() - n * interval '1 minute', 'x', 'x', 'set_setting' FROM generate_series(1, 10000) n;
ANALYZE instance_env.event;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		lines := lines || line || E'\n';
	END LOOP;
	RETURN lines;
END $$;
SELECT alike(pg_temp.plan_of($$DELETE FROM instance_env.event WHERE happened_at < now() - interval '9900 minutes'$$),
	'%event_happened_at%', 'what forget_events() deletes is found by the index');
SELECT alike(pg_temp.plan_of('SELECT * FROM instance_env.events ORDER BY happened_at DESC LIMIT 5'),
	'%event_happened_at%', 'so are the latest events');
SELECT alike(pg_temp.plan_of($$SELECT count(*) FROM instance_env.events WHERE happened_at >= now() - interval '5 minutes'$$),
	'%event_happened_at%', 'and those of the last minutes');
SELECT * FROM finish();
ROLLBACK;
