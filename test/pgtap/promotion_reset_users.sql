-- reset_development() with only_users and older_than: some users go, and what belongs to them
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(88);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001', production_id => 'a0000000-0000-4000-8000-000000000001',
	development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_id => 'd0000000-0000-4000-8000-000000000002',
	production_id => 'a0000000-0000-4000-8000-000000000002', development_key => 'dev2') \gset
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';

CREATE FUNCTION pg_temp.dev() RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT 'd0000000-0000-4000-8000-000000000001'::uuid$$;
CREATE FUNCTION pg_temp.reset(only_users text DEFAULT NULL, older_than interval DEFAULT NULL, instance uuid DEFAULT pg_temp.dev(),
	settings boolean DEFAULT false)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	CALL instance_env.reset_development(instance, settings, deleted => n, only_users => only_users, older_than => older_than);
	RETURN n;
END $$;

-- what it is called with

SELECT throws_ok($$SELECT pg_temp.reset('')$$, '22023', NULL, 'an empty kind of users');
SELECT throws_ok($$SELECT pg_temp.reset('Test_identities')$$, '22023', NULL, 'in upper case');
SELECT throws_ok($$SELECT pg_temp.reset(repeat('x', 1000000))$$, '22023', NULL, 'a very long one');
SELECT throws_ok($$SELECT pg_temp.reset(E'bücher\x01')$$, '22023', NULL, 'an unknown one');
SELECT throws_ok($$SELECT pg_temp.reset(NULL, '-1 day')$$, '22023', NULL, 'a negative age');
SELECT throws_ok($$SELECT pg_temp.reset(NULL, '1 month -60 days')$$, '22023', NULL, 'one that is negative in sum');
SELECT throws_ok($$SELECT pg_temp.reset(NULL, '170000000 years')$$, '22008', NULL, 'one that is beyond all times');
SELECT throws_ok($$SELECT pg_temp.reset('test_identities', instance => NULL)$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok($$SELECT pg_temp.reset('test_identities', instance => '00000000-0000-0000-0000-000000000000')$$, '23I03', NULL, 'unknown');
SELECT throws_ok($$SELECT pg_temp.reset('test_identities', instance => 'a0000000-0000-4000-8000-000000000001')$$, '55000', NULL, 'production');
SELECT is(pg_temp.reset('test_identities', '1 day'), 0::bigint, 'nothing is guarded: nothing to do');

-- users, what belongs to them, and what does not

CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL, email text, created_at timestamptz);
CREATE TABLE app.sessions (id integer PRIMARY KEY, instance_id text NOT NULL, user_id integer NOT NULL);
CREATE TABLE app.tokens (id integer PRIMARY KEY, instance_id varchar NOT NULL, session_id integer REFERENCES app.sessions ON DELETE CASCADE);
CREATE TABLE app.orders (id integer PRIMARY KEY, instance_id text NOT NULL, user_id integer REFERENCES app.users ON DELETE SET NULL);
CREATE TABLE app.notes (id integer PRIMARY KEY, user_id integer REFERENCES app.users ON DELETE CASCADE);
CREATE TABLE app.teams (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', counted => false, user_key => 'user_id', user_table => 'app.users') \gset
SELECT count(*) FROM instance_env.guard('app.tokens', counted => false, user_key => '') \gset
SELECT count(*) FROM instance_env.guard('app.orders', counted => false, user_key => 'user_id', user_table => 'app.users') \gset
SELECT count(*) FROM instance_env.guard('app.teams', counted => false, user_key => '') \gset
CREATE FUNCTION pg_temp.fill() RETURNS void LANGUAGE sql AS $$
	INSERT INTO app.users VALUES
		(1, 'dev', 'jane+clerk_test@example.com', now() - interval '40 days'),
		(2, 'dev', 'JOE+CLERK_TEST@EXAMPLE.COM', now()),
		(3, 'dev', '+1 (201) 555-0100', now()),
		(4, 'dev', 'jane@example.com', now() - interval '40 days'),
		(5, 'dev', NULL, NULL),
		(6, 'dev', '', now()),
		(7, 'dev', '+clerk_test@example.com, jane@example.com', now() - interval '20 days'),
		(8, 'prod', 'jack+clerk_test@example.com', now() - interval '40 days'),
		(9, 'dev2', 'jill+clerk_test@example.com', now() - interval '40 days')
		ON CONFLICT DO NOTHING;
	INSERT INTO app.sessions SELECT id, instance_id, id FROM app.users ON CONFLICT DO NOTHING;
	INSERT INTO app.tokens SELECT id, instance_id, id FROM app.users ON CONFLICT DO NOTHING;
	INSERT INTO app.orders SELECT id, instance_id, id FROM app.users ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id;
	INSERT INTO app.notes SELECT id, id FROM app.users ON CONFLICT DO NOTHING;
	INSERT INTO app.teams SELECT id, instance_id FROM app.users ON CONFLICT DO NOTHING;
$$;
CREATE FUNCTION pg_temp.left(OUT text) LANGUAGE sql AS $$
	SELECT string_agg(what || coalesce(ids, '-'), ' ') FROM (
		SELECT 'u', string_agg(id::text, ',' ORDER BY id) FROM app.users UNION ALL
		SELECT 's', string_agg(id::text, ',' ORDER BY id) FROM app.sessions UNION ALL
		SELECT 't', string_agg(id::text, ',' ORDER BY id) FROM app.tokens UNION ALL
		SELECT 'o', string_agg(user_id::text, ',' ORDER BY id) FROM app.orders UNION ALL
		SELECT 'n', string_agg(id::text, ',' ORDER BY id) FROM app.notes) v (what, ids)
$$;
SELECT pg_temp.fill() \gset

SELECT throws_ok($$SELECT pg_temp.reset('test_identities')$$, '55000', 'cannot tell which users of table "app.users" to delete', 'without address_column');
SELECT throws_ok($$SELECT pg_temp.reset(NULL, '1 day')$$, '55000', 'cannot tell which users of table "app.users" to delete', 'without created_column');
SELECT count(*) FROM instance_env.guard('app.users', address_column => 'email') \gset
SELECT throws_ok($$SELECT pg_temp.reset('test_identities', '1 day')$$, '55000', 'cannot tell which users of table "app.users" to delete', 'with one of them');
SELECT count(*) FROM instance_env.guard('app.users', created_column => 'created_at') \gset
SELECT is((SELECT count(*) FROM app.sessions), 9::bigint, 'nothing is deleted by that');

SELECT is(pg_temp.reset('test_identities'), 9::bigint, 'test identities: users, sessions and tokens');
SELECT is(pg_temp.left(), 'u4,5,6,7,8,9 s4,5,6,7,8,9 t4,5,6,7,8,9 o4,5,6,7,8,9 n4,5,6,7,8,9',
	'they are gone with what belongs to them; an order is without its user');
SELECT is((SELECT count(*) FROM app.orders) + (SELECT count(*) FROM app.teams), 18::bigint, 'what does not belong to them stays');
SELECT results_eq(
	$$SELECT item, after::text FROM instance_env.event WHERE action = 'reset_development' ORDER BY id$$,
	$$SELECT 'app.' || t, '{"deleted": 3, "only_users": "test_identities"}' FROM unnest('{tokens,sessions,users}'::text[]) t$$, 'events');
SELECT is((SELECT count(*) FROM instance_env.departed_user WHERE instance = pg_temp.dev()), 3::bigint, 'their departures are recorded');
SELECT throws_ok($$INSERT INTO app.users VALUES (1, 'prod')$$, '23I02', NULL, '"user data can not be transferred between instances"');
SELECT is(pg_temp.reset('test_identities'), 0::bigint, 'again: nothing to do');
SELECT pg_temp.fill() \gset
SELECT is(pg_temp.reset('test_identities', '30 days'), 3::bigint, 'both conditions');
SELECT is(pg_temp.left(), 'u2,3,4,5,6,7,8,9 s2,3,4,5,6,7,8,9 t2,3,4,5,6,7,8,9 o2,3,4,5,6,7,8,9 n2,3,4,5,6,7,8,9', 'only who meets both');
SELECT is((SELECT after::text FROM instance_env.event WHERE action = 'reset_development' ORDER BY id DESC LIMIT 1),
	'{"deleted": 1, "older_than": "30 days", "only_users": "test_identities"}', 'the event has both');
SELECT is(pg_temp.reset(NULL, '20 days 1 second'), 3::bigint, 'older than');
SELECT is(pg_temp.reset(NULL, '20 days'), 0::bigint, 'that old, but not older');
SELECT is(pg_temp.reset(NULL, '19 days 23:59:59.999999'), 3::bigint, 'older by the least');
SELECT is(pg_temp.left(), 'u2,3,5,6,8,9 s2,3,5,6,8,9 t2,3,5,6,8,9 o2,3,5,6,8,9 n2,3,5,6,8,9', 'who has no such time stays');
SELECT is(pg_temp.reset(NULL, '0'), 0::bigint, 'now is not before now');
SELECT instance_env.set_policy(pg_temp.dev(), 'test_identities', 'false') \gset
SELECT is(pg_temp.reset('test_identities'), 6::bigint, 'also where test identities are not accepted any more');
SELECT instance_env.reset_policy(pg_temp.dev(), 'test_identities') \gset
SELECT pg_temp.fill() \gset
SELECT instance_env.suspend_instance(pg_temp.dev()) \gset
SELECT is(pg_temp.reset('test_identities'), 9::bigint, 'of a suspended instance');
SELECT instance_env.resume_instance(pg_temp.dev()) \gset
SELECT instance_env.set_setting(pg_temp.dev(), 'session.lifetime', '1') \gset
SELECT is(pg_temp.reset('test_identities', settings => true), 0::bigint, 'with settings');
SELECT is_empty($$SELECT FROM instance_env.setting WHERE instance = pg_temp.dev()$$, 'these are gone');

-- what stands in the way

CREATE FUNCTION pg_temp.refused(state text, message text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	before text := pg_temp.left();
BEGIN
	RETURN NEXT throws_ok($q$SELECT pg_temp.reset('test_identities')$q$, state, message, what);
	RETURN NEXT is(pg_temp.left(), before, what || ': nothing is deleted');
END $$;
SELECT pg_temp.fill() \gset
CREATE TABLE app.invoices (id integer PRIMARY KEY, instance_id text NOT NULL, user_id integer REFERENCES app.users);
INSERT INTO app.invoices VALUES (1, 'dev', 2);
SELECT pg_temp.refused('23503', NULL, 'a table that is not guarded refers to a user');
SELECT count(*) FROM instance_env.guard('app.invoices', counted => false, user_key => '') \gset
SELECT pg_temp.refused('23503', NULL, 'a guarded one that does not say that rows belong to users');
SELECT instance_env.unguard('app.invoices') \gset
SELECT count(*) FROM instance_env.guard('app.invoices', counted => false, user_key => 'user_id', user_table => 'app.users') \gset
SELECT is(pg_temp.reset('test_identities'), 10::bigint, 'one that says so');
SELECT pg_temp.fill() \gset
INSERT INTO app.invoices VALUES (1, 'dev', 2);
ALTER TABLE app.invoices DROP CONSTRAINT invoices_user_id_fkey, DROP CONSTRAINT instance_env_invoices_instance_id_user_id_fkey;
SELECT pg_temp.refused('55000', 'rows of table "app.invoices" refer to users of table "app.users" without a foreign key', 'no foreign key any more');
DROP TABLE app.invoices;
CREATE FUNCTION app.keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER keep BEFORE DELETE ON app.users FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION app.keep();
SELECT pg_temp.refused('55000', NULL, 'a trigger keeps a row');
DROP TRIGGER keep ON app.users;

-- other users are not deleted by a cascade
ALTER TABLE app.users ADD inviter integer REFERENCES app.users ON DELETE CASCADE;
UPDATE app.users SET inviter = 2 WHERE id = 4;
SELECT pg_temp.refused('55000', 'deleting from table "app.users" would delete other users from table "app.users"', 'a cascade to another user');
UPDATE app.users SET inviter = 2 WHERE id = 3;
UPDATE app.users SET inviter = NULL WHERE id = 4;
SELECT is(pg_temp.reset('test_identities'), 9::bigint, 'a cascade to one of them');
ALTER TABLE app.users DROP inviter;

-- the columns are not what they were
ALTER TABLE app.users RENAME email TO mail;
SELECT pg_temp.fill() \gset
SELECT throws_ok($$SELECT pg_temp.reset('test_identities')$$, '55000', 'cannot tell which users of table "app.users" to delete', 'renamed');
SELECT count(*) FROM instance_env.guard('app.users', address_column => 'mail') \gset
SELECT is(pg_temp.reset('test_identities'), 9::bigint, 'guarded again');
ALTER TABLE app.users ALTER mail TYPE name, ALTER created_at TYPE text;
SELECT throws_ok($$SELECT pg_temp.reset('test_identities')$$, '55000', 'cannot tell which users of table "app.users" to delete', 'another type of address');
SELECT throws_ok($$SELECT pg_temp.reset(NULL, '1 day')$$, '55000', 'cannot tell which users of table "app.users" to delete', 'another type of time');
DROP TABLE app.sessions, app.tokens, app.orders, app.notes, app.users;

-- columns of all types, partitions, instances by id, in a session with odd settings

CREATE DOMAIN app.email AS citext CHECK (VALUE ~ '@');
CREATE DOMAIN app.moment AS timestamptz;
SET LOCAL TimeZone = 'Pacific/Kiritimati';
SET LOCAL IntervalStyle = 'sql_standard';
SET LOCAL DateStyle = 'German';
SET LOCAL quote_all_identifiers = on;
CREATE FUNCTION pg_temp.try(address_type text, created_type text, parted boolean) RETURNS SETOF text LANGUAGE plpgsql AS $f$
DECLARE
	-- when a day of UTC begins, which is not when one begins here
	day timestamptz := date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '9 days';
	what text := concat_ws(' ', address_type, created_type, CASE WHEN parted THEN 'partitioned' END, '');
	left_over text;
BEGIN
	EXECUTE format($$CREATE TABLE app."Us""ers" (id integer NOT NULL, "In st" uuid NOT NULL, "E ""mail" %s, "cre'ated" %s) %s$$,
		address_type, created_type, CASE WHEN parted THEN 'PARTITION BY RANGE (id)' END);
	IF parted THEN
		CREATE TABLE app.part0 PARTITION OF app."Us""ers" FOR VALUES FROM (0) TO (3);
		EXECUTE format($$CREATE TABLE app.part1 ("cre'ated" %s, "E ""mail" %s, "In st" uuid NOT NULL, id integer NOT NULL)$$,
			created_type, address_type);
		ALTER TABLE app."Us""ers" ATTACH PARTITION app.part1 FOR VALUES FROM (3) TO (100);
	END IF;
	PERFORM instance_env.guard('app."Us""ers"', 'In st', 'id', address_column => 'E "mail', created_column => 'cre''ated');
	EXECUTE format($$INSERT INTO app."Us""ers" SELECT id, pg_temp.dev(), address, %s
		FROM (VALUES (1, 'jane@example.com', -1), (2, 'Jane+Clerk_Test@example.com', -1), (3, 'joe@example.com', 1),
			(4, 'joe+clerk_test@example.com', 1), (5, 'jim+clerk_test@example.com', NULL)) v (id, address, hours), LATERAL (SELECT $1 + hours * interval '1 hour') m (t)$$,
		CASE WHEN created_type IN ('timestamptz', 'app.moment') THEN 't'
			ELSE format('(t AT TIME ZONE %L)::%s', 'UTC', created_type) END) USING day;
	RETURN NEXT is(pg_temp.reset('test_identities', now() - day), 1::bigint, what || 'a test identity from before a day');
	RETURN NEXT is(pg_temp.reset(NULL, now() - day), 1::bigint, what || 'another user from before that day');
	RETURN NEXT is(pg_temp.reset(NULL, now() - day - interval '3 hours'), CASE created_type WHEN 'date' THEN 0 ELSE 2 END::bigint,
		what || 'users from that very day');
	RETURN NEXT is(pg_temp.reset('test_identities'), CASE created_type WHEN 'date' THEN 2 ELSE 1 END::bigint, what || 'test identities');
	EXECUTE $$SELECT string_agg(id::text, ',') FROM app."Us""ers"$$ INTO left_over;
	RETURN NEXT is(left_over, CASE created_type WHEN 'date' THEN '3' END, what || 'who is left');
	EXECUTE 'DROP TABLE app."Us""ers"';
END $f$;
SELECT pg_temp.try('text', 'timestamptz', false);
SELECT pg_temp.try('varchar(100)', 'timestamp', true);
SELECT pg_temp.try('char(40)', 'date', false);
SELECT pg_temp.try('citext', 'app.moment', false);
SELECT pg_temp.try('app.email', 'date', true);
RESET TimeZone;
RESET IntervalStyle;
RESET DateStyle;
SET LOCAL quote_all_identifiers = off;

-- two tables of users, whose rows refer to partitions and by other columns

CREATE TABLE app.people (instance_id text, id integer, email text, boss integer, PRIMARY KEY (instance_id, id)) PARTITION BY LIST (instance_id);
CREATE TABLE app.people_dev PARTITION OF app.people FOR VALUES IN ('dev');
CREATE TABLE app.people_rest PARTITION OF app.people DEFAULT;
ALTER TABLE app.people ADD FOREIGN KEY (instance_id, boss) REFERENCES app.people;
CREATE TABLE app.devices (id integer, owner integer, instance_id text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE app.devices0 (instance_id text NOT NULL, owner integer, id integer);
ALTER TABLE app.devices ATTACH PARTITION app.devices0 FOR VALUES FROM (0) TO (10);
CREATE TABLE app.devices1 PARTITION OF app.devices FOR VALUES FROM (10) TO (20);
CREATE TABLE app.guests (id integer PRIMARY KEY, instance_id text NOT NULL, mail text);
SELECT count(*) FROM instance_env.guard('app.people', user_key => 'id', address_column => 'email') \gset
SELECT count(*) FROM instance_env.guard('app.guests', address_column => 'mail') \gset
SELECT count(*) FROM instance_env.guard('app.devices', counted => false, user_key => 'owner', user_table => 'app.people') \gset
INSERT INTO app.people VALUES ('dev', 1, 'a+clerk_test@x.com', NULL), ('dev', 2, 'b+clerk_test@x.com', 1), ('dev', 3, 'c@x.com', NULL);
INSERT INTO app.guests VALUES (1, 'dev', 'd+clerk_test@x.com'), (2, 'dev', 'a+clerk_test@x.com.org'), (3, 'dev', 'e@x.com');
INSERT INTO app.devices VALUES (1, 1, 'dev'), (11, 2, 'dev'), (2, 3, 'dev'), (12, 3, 'dev'), (13, NULL, 'dev');
SELECT is(pg_temp.reset('test_identities'), 6::bigint, 'two tables of users, one with devices, in partitions');
SELECT is((SELECT string_agg(id::text, ',') FROM app.people) || (SELECT string_agg(id::text, ',') FROM app.guests)
	|| (SELECT string_agg(id::text, ',' ORDER BY id) FROM app.devices), '332,12,13', 'the others stay');
INSERT INTO app.people VALUES ('dev', 1, 'a+clerk_test@x.com', NULL);
UPDATE app.people SET boss = 1 WHERE id = 3;
INSERT INTO app.guests VALUES (1, 'dev', 'd+clerk_test@x.com');
SELECT throws_ok($$SELECT pg_temp.reset('test_identities')$$, '23503', NULL, 'another user refers to one of them');
SELECT is((SELECT count(*) FROM app.guests), 2::bigint, 'nothing is deleted from the other table, either');
DROP TABLE app.devices, app.people, app.guests;

-- rights: the caller's own, and none of them for code of the table's owner

CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_caller;
GRANT USAGE ON SCHEMA instance_env, app TO instance_env_owner, instance_env_caller;
CREATE TABLE app.people (id integer PRIMARY KEY, instance_id text NOT NULL, email text, created_at date);
CREATE TABLE app.devices (id integer PRIMARY KEY, instance_id text NOT NULL, owner integer REFERENCES app.people ON DELETE CASCADE);
ALTER TABLE app.people OWNER TO instance_env_owner;
ALTER TABLE app.devices OWNER TO instance_env_owner;
SELECT count(*) FROM instance_env.guard('app.people', address_column => 'email') \gset
SELECT count(*) FROM instance_env.guard('app.devices', counted => false, user_key => 'owner', user_table => 'app.people') \gset
INSERT INTO app.people VALUES (1, 'dev', 'a+clerk_test@x.com'), (2, 'dev', 'b@x.com');
INSERT INTO app.devices VALUES (1, 'dev', 1), (2, 'dev', 2);
CREATE FUNCTION pg_temp.call() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	SET LOCAL ROLE instance_env_caller;
	CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001', deleted => n, only_users => 'test_identities');
	RESET ROLE;
END $$;
SELECT throws_ok('SELECT pg_temp.call()', '42501', NULL, 'a role that may not call it');
GRANT EXECUTE ON PROCEDURE instance_env.reset_development TO instance_env_caller;
SELECT throws_ok('SELECT pg_temp.call()', '42501', NULL, 'one that may do nothing with the tables');
GRANT SELECT, DELETE ON app.people TO instance_env_caller;
SELECT throws_ok('SELECT pg_temp.call()', '42501', 'permission denied for table "app.devices"', 'one that may not delete what goes along');
GRANT SELECT, DELETE ON app.devices TO instance_env_caller;
ALTER TABLE app.devices ENABLE ROW LEVEL SECURITY;
SELECT throws_ok('SELECT pg_temp.call()', '42501', 'row-level security of table "app.devices" could hide rows', 'row-level security');
ALTER TABLE app.devices DISABLE ROW LEVEL SECURITY;
SELECT is((SELECT count(*) FROM app.devices), 2::bigint, 'until now nothing is deleted');
CREATE FUNCTION app.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR app.= (LEFTARG = text, RIGHTARG = text, FUNCTION = app.yes);
SET LOCAL search_path = app, pg_catalog, public;
SELECT pg_temp.call() \gset
RESET search_path;
SELECT is((SELECT string_agg(id::text, ',') FROM app.people) || (SELECT string_agg(id::text, ',') FROM app.devices), '22',
	'compares with PostgreSQL''s own operators');
SELECT is((SELECT current_user_name::text FROM instance_env.event ORDER BY id DESC LIMIT 1), 'instance_env_caller', 'and is named in the event');
CREATE FUNCTION app.who() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'I am %', current_user; END$$;
CREATE TRIGGER who BEFORE DELETE ON app.people FOR EACH ROW EXECUTE FUNCTION app.who();
INSERT INTO app.people VALUES (1, 'dev', 'a+clerk_test@x.com');
ALTER FUNCTION app.who OWNER TO instance_env_owner;
SELECT throws_ok('SELECT pg_temp.call()', 'P0001', 'I am instance_env_owner', 'the owner''s code has the owner''s rights');
DROP TRIGGER who ON app.people;
ALTER TABLE app.devices OWNER TO CURRENT_USER;
INSERT INTO app.devices VALUES (1, 'dev', 1);
SELECT throws_ok('SELECT pg_temp.call()', '55000', 'cannot delete from tables "app.people" and "app.devices" together', 'tables of two owners');

SELECT * FROM finish();
ROLLBACK;
