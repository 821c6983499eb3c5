-- guard(): the columns with the users' addresses and with the time of their creation
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(61);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
CREATE DOMAIN app.email AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN app.work_email AS app.email;
CREATE DOMAIN app.moment AS timestamptz;
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL, email text, phone varchar(20), code char(10), n name,
	work app.work_email, doc xml, data jsonb, born date, made timestamp, created_at timestamptz, at app.moment, hour time, long text[]);

CREATE FUNCTION pg_temp.columns(relation regclass DEFAULT 'app.users') RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', coalesce(address_column, '-'), coalesce(created_column, '-'), whole) FROM instance_env.guards g WHERE g.relation = $1
$$;
CREATE FUNCTION pg_temp.changes(OUT changes text) LANGUAGE sql AS $$
	SELECT concat_ws(' ', after ->> 'address_column', after ->> 'created_column',
		(SELECT string_agg(r ->> 'action', ',') FROM jsonb_array_elements(after -> 'repaired') r))
	FROM instance_env.events WHERE action = 'guard' ORDER BY id DESC LIMIT 1
$$;

-- which columns

SELECT throws_ok(format('SELECT instance_env.guard(''app.users'', %s)', arguments), state, NULL, arguments)
FROM (VALUES
	($$address_column => 'nothing'$$, '42703'), ($$created_column => 'nothing'$$, '42703'),
	($$address_column => 'ctid'$$, '42P10'), ($$created_column => 'xmin'$$, '42P10'),
	($$address_column => 'id'$$, '42804'), ($$address_column => 'n'$$, '42804'), ($$address_column => 'doc'$$, '42804'),
	($$address_column => 'data'$$, '42804'), ($$address_column => 'long'$$, '42804'), ($$address_column => 'created_at'$$, '42804'),
	($$created_column => 'email'$$, '42804'), ($$created_column => 'hour'$$, '42804'), ($$created_column => 'id'$$, '42804'),
	($$address_column => 'email', counted => false$$, '22023'), ($$created_column => 'created_at', counted => false$$, '22023')
) AS v (arguments, state);
SELECT is((SELECT count(*) FROM instance_env.guards WHERE relation = 'app.users'::regclass), 0::bigint, 'nothing is guarded by that');
SELECT lives_ok($$SELECT instance_env.guard('app.users', address_column => '', created_column => '', counted => false)$$,
	'no columns: of any table');
SELECT instance_env.unguard('app.users') \gset
SELECT lives_ok(format('SELECT instance_env.guard(''app.users'', address_column => %L, created_column => %L); SELECT instance_env.unguard(''app.users'')',
	address, created), address || ' ' || created)
FROM (VALUES ('phone', 'born'), ('code', 'made'), ('work', 'at')) v (address, created);

-- setting, changing and removing them

SELECT is((SELECT string_agg(action, ' ' ORDER BY name COLLATE "C") FROM instance_env.guard('app.users') WHERE object = 'trigger'),
	'created created created created', 'without them');
SELECT is(pg_temp.columns(), '- - t', 'guards: none');
SELECT results_eq($$SELECT name, action FROM instance_env.guard('app.users', address_column => 'email') WHERE action <> 'found'$$,
	$$VALUES ('Instance_env_no_transfer', 'replaced')$$, 'guard() again, with an address column');
SELECT is(pg_temp.columns(), 'email - t', 'guards has it');
SELECT is(pg_temp.changes(), 'email replaced', 'and so has the event');
SELECT is_empty($$SELECT FROM instance_env.guard('app.users', address_column => 'email') WHERE action <> 'found'$$, 'again: nothing to do');
SELECT is_empty($$SELECT FROM instance_env.guard('app.users') WHERE action <> 'found'$$, 'without: nothing to do, either');
SELECT is(pg_temp.columns(), 'email - t', 'it is still there');
SELECT count(*) FROM instance_env.guard('app.users', created_column => 'created_at') \gset
SELECT is(pg_temp.columns(), 'email created_at t', 'the other one');
SELECT count(*) FROM instance_env.guard('app.users', address_column => 'phone') \gset
SELECT is(pg_temp.columns(), 'phone created_at t', 'another one instead');
SELECT is((SELECT before ->> 'address_column' FROM instance_env.events WHERE action = 'guard' ORDER BY id DESC LIMIT 1), 'email',
	'the event has the former one');
SELECT count(*) FROM instance_env.guard('app.users', address_column => '') \gset
SELECT is(pg_temp.columns(), '- created_at t', 'an empty one removes it');
SELECT throws_ok($$SELECT instance_env.guard('app.users', counted => false)$$, '42710', NULL, 'they are no way to change the rest');
SELECT count(*) FROM instance_env.guard('app.users', address_column => 'email') \gset
SELECT instance_env.unguard('app.users') \gset
SELECT is((SELECT before ->> 'address_column' FROM instance_env.events WHERE action = 'unguard' ORDER BY id DESC LIMIT 1), 'email',
	'unguard(): in the event, too');
SELECT count(*) FROM instance_env.guard('app.users', address_column => 'email', created_column => 'created_at') \gset
SELECT is(pg_temp.columns(), 'email created_at t', 'guard(): both from the beginning');
SELECT is(pg_temp.changes(), 'email created_at', 'in the event');

-- triggers that have another name, or are always enabled, stay what they are

ALTER TRIGGER "Instance_env_no_transfer" ON app.users RENAME TO "Odd ""name";
ALTER TABLE app.users ENABLE ALWAYS TRIGGER "Odd ""name";
SELECT count(*) FROM instance_env.guard('app.users', address_column => 'phone') \gset
SELECT is((SELECT concat(tgname, ' ', tgenabled) FROM pg_trigger WHERE tgrelid = 'app.users'::regclass AND tgfoid = 'instance_env.check_transfer'::regproc),
	'Odd "name A', 'name and state of the trigger');
SELECT is((SELECT tgenabled::text FROM pg_trigger WHERE tgrelid = 'app.users'::regclass AND tgfoid = 'instance_env.check_user_cap'::regproc), 'A',
	'the trigger that counts is not touched');
ALTER TABLE app.users DISABLE TRIGGER "Odd ""name";
SELECT count(*) FROM instance_env.guard('app.users', address_column => 'email') \gset
SELECT is(pg_temp.columns(), 'email created_at t', 'one that was disabled is enabled along with it');

-- the application may do with the columns what it likes

ALTER TABLE app.users RENAME email TO mail;
SELECT is(pg_temp.columns(), 'email created_at f', 'renamed: still known by its name');
SELECT is((SELECT problems::text FROM instance_env.guards WHERE relation = 'app.users'::regclass),
	E'{"column \\"email\\", the guard''s address_column, does not exist any more"}', 'guards says so');
SELECT is_empty($$SELECT FROM instance_env.validate('shop') WHERE check_name = 'guard' AND subject = 'app.users' AND NOT passed$$, 'production does without');
SELECT lives_ok($$INSERT INTO app.users (id, instance_id) VALUES (1, 'dev'); UPDATE app.users SET mail = 'x'$$, 'rows do as well');
SELECT lives_ok($$SELECT instance_env.guard('app.users')$$, 'guard() does not mind');
SELECT count(*) FROM instance_env.guard('app.users', address_column => 'mail') \gset
SELECT is(pg_temp.columns(), 'mail created_at t', 'guard() again');
ALTER TABLE app.users ALTER mail TYPE varchar(300), ALTER created_at TYPE time;
SELECT is((SELECT problems::text FROM instance_env.guards WHERE relation = 'app.users'::regclass),
	E'{"column \\"created_at\\", the guard''s created_column, is now of type time without time zone"}', 'another type');
ALTER TABLE app.users DROP mail, DROP created_at;
SELECT is((SELECT cardinality(problems) FROM instance_env.guards WHERE relation = 'app.users'::regclass), 2, 'dropped');
SELECT count(*) FROM instance_env.guard('app.users', address_column => '', created_column => '') \gset
SELECT is(pg_temp.columns(), '- - t', 'removed');

-- a type of somebody's, by its cast: no function of theirs is to run
CREATE TYPE app.letters;
CREATE FUNCTION app.letters_in(cstring) RETURNS app.letters LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION app.letters_out(app.letters) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE app.letters (INPUT = app.letters_in, OUTPUT = app.letters_out, LIKE = text, CATEGORY = 'S');
CREATE FUNCTION app.to_text(app.letters) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
CREATE CAST (app.letters AS text) WITH FUNCTION app.to_text;
CREATE TABLE app.lettered (id integer PRIMARY KEY, instance_id text NOT NULL, email app.letters);
SELECT throws_ok($$SELECT instance_env.guard('app.lettered', address_column => 'email')$$, '42804', NULL, 'a cast by function');
DROP CAST (app.letters AS text);
SELECT throws_ok($$SELECT instance_env.guard('app.lettered', address_column => 'email')$$, '42804', NULL, 'no cast at all');
CREATE CAST (app.letters AS text) WITHOUT FUNCTION;
SELECT lives_ok($$SELECT instance_env.guard('app.lettered', address_column => 'email')$$, 'a cast without function');
SELECT is(pg_temp.columns('app.lettered'), 'email - t', 'guards: no problem');
DROP CAST (app.letters AS text);
CREATE CAST (app.letters AS text) WITH FUNCTION app.to_text;
SELECT is(pg_temp.columns('app.lettered'), 'email - f', 'another cast meanwhile');
INSERT INTO app.lettered VALUES (1, 'dev', 'a+clerk_test@x.com');
SELECT throws_ok($q$DO $d$ DECLARE n bigint; BEGIN
	CALL instance_env.reset_development(instance_env.instance_id('shop', 'development'), deleted => n, only_users => 'test_identities');
END $d$ $q$, '55000', 'cannot tell which users of table "app.users" to delete', 'a reset looks at all tables first');
DELETE FROM app.users;
SELECT throws_ok($q$DO $d$ DECLARE n bigint; BEGIN
	CALL instance_env.reset_development(instance_env.instance_id('shop', 'development'), deleted => n, only_users => 'test_identities');
END $d$ $q$, '55000', 'cannot tell which users of table "app.lettered" to delete', 'and does not run it');
DELETE FROM app.lettered;

-- partitions, odd names, owners without rights

CREATE TABLE app.parted (id integer PRIMARY KEY, instance_id text NOT NULL, "E ""mail" text) PARTITION BY RANGE (id);
CREATE TABLE app.part0 ("E ""mail" text, instance_id text NOT NULL, id integer NOT NULL);
ALTER TABLE app.parted ATTACH PARTITION app.part0 FOR VALUES FROM (0) TO (10);
SELECT count(*) FROM instance_env.guard('app.parted') \gset
CREATE ROLE instance_env_owner;
GRANT USAGE, CREATE ON SCHEMA app TO instance_env_owner;
GRANT USAGE ON SCHEMA instance_env TO instance_env_owner;
ALTER TABLE app.parted OWNER TO instance_env_owner;
ALTER TABLE app.part0 OWNER TO instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner') \gset
SET ROLE instance_env_owner;
SELECT is((SELECT action FROM instance_env.guard('app.parted', address_column => 'E "mail') WHERE name = 'Instance_env_no_transfer'), 'replaced',
	'a partitioned table, as its owner, who is no superuser');
CREATE TABLE app.part1 PARTITION OF app.parted FOR VALUES FROM (10) TO (20);
RESET ROLE;
SELECT is(pg_temp.columns('app.parted'), 'E "mail - t', 'guards');
SELECT is((SELECT count(DISTINCT tgargs) || ' ' || count(*) FROM pg_trigger WHERE tgfoid = 'instance_env.check_transfer'::regproc
	AND tgrelid IN ('app.parted'::regclass, 'app.part0'::regclass, 'app.part1'::regclass)), '1 3', 'the partitions have the same');
SELECT lives_ok($$UPDATE app.parted SET "E ""mail" = 'x'$$, 'updates');

-- what a dump has: the owner makes the same triggers again
CREATE TABLE app.restored (id integer PRIMARY KEY, instance_id text NOT NULL, "E ""mail" text);
ALTER TABLE app.restored OWNER TO instance_env_owner;
SELECT count(*) FROM instance_env.guard('app.restored', address_column => 'E "mail') \gset
SELECT string_agg(pg_get_triggerdef(oid), ';') AS triggers FROM pg_trigger WHERE tgrelid = 'app.restored'::regclass AND NOT tgisinternal \gset
SELECT instance_env.unguard('app.restored') \gset
CREATE FUNCTION pg_temp.run(commands text) RETURNS void LANGUAGE plpgsql AS $$BEGIN SET LOCAL ROLE instance_env_owner; EXECUTE commands; RESET ROLE; END$$;
SELECT lives_ok(format('SELECT pg_temp.run(%L)', :'triggers'), 'restored by the owner');
SELECT is(pg_temp.columns('app.restored'), 'E "mail - f', 'the same columns');

SELECT * FROM finish();
ROLLBACK;
