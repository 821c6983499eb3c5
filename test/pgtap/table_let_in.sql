-- Whose guarded tables count: those of superusers, and of owners who were let in.  Nobody
-- else's stands in the way of administration.
SET client_min_messages = error;
SET quote_all_identifiers = off;	-- names are compared as they are without it
SET standard_conforming_strings = on;	-- of the patterns below
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(72);

CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_stranger;
CREATE ROLE instance_env_guardian;
GRANT USAGE ON SCHEMA instance_env TO instance_env_guardian;
GRANT EXECUTE ON FUNCTION instance_env.guard, instance_env.unguard TO instance_env_guardian;
GRANT instance_env_owner TO instance_env_guardian;
CREATE SCHEMA app;
CREATE SCHEMA own AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT ALL ON SCHEMA own TO instance_env_stranger, instance_env_guardian;

SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001', production_id => 'a0000000-0000-4000-8000-000000000001',
	development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog',
	development_id => 'd0000000-0000-4000-8000-000000000002', production_id => 'a0000000-0000-4000-8000-000000000002',
	development_key => 'dev2', production_key => 'prod2') \gset
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
CREATE FUNCTION pg_temp.problems(name text) RETURNS text LANGUAGE sql AS
$$SELECT coalesce(whole::text, 'unknown') || ' ' || problems::text FROM instance_env.guards WHERE relation = name::regclass$$;
CREATE FUNCTION pg_temp.check(name text) RETURNS text LANGUAGE sql AS
$$SELECT severity || ' ' || passed FROM instance_env.validate('a0000000-0000-4000-8000-000000000001') WHERE check_name = 'guard' AND subject = name$$;
CREATE FUNCTION pg_temp.promotable() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM instance_env.promote(instance_env.application_id('shop'), dry_run => true);
	RETURN true;
EXCEPTION WHEN SQLSTATE '55I01' THEN
	RETURN false;
END $$;
CREATE FUNCTION pg_temp.reset(instance uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	deleted bigint;
BEGIN
	CALL instance_env.reset_development(instance, false, 1000, deleted);
	RETURN deleted;
END $$;

CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT is_empty($$SELECT FROM instance_env.events WHERE item = session_user$$, 'a superuser needs not be let in');
SELECT ok(pg_temp.promotable(), 'ready to be promoted');

-- a stranger

SET LOCAL ROLE instance_env_stranger;
CREATE TABLE own.strange (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TEMP TABLE temporary (id integer PRIMARY KEY, instance_id text NOT NULL);
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_stranger', $q$SELECT instance_env.guard('own.strange')$q$)$$, '42501', NULL,
	'a stranger guards no table');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_stranger', $q$CREATE TRIGGER t AFTER INSERT ON own.strange FOR EACH ROW
	WHEN (instance_env.instance_unavailable(NEW.instance_id, NEW.tableoid)) EXECUTE FUNCTION instance_env.check_instance('x')$q$)$$, '42501', NULL,
	'nor makes the triggers');
SELECT throws_ok($$SELECT instance_env.guard('temporary')$$, '42809', NULL, 'a temporary table cannot be guarded');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_guardian', $q$SELECT instance_env.guard('own.strange')$q$)$$, '42501', NULL,
	'nor one that is not the caller''s');

-- somebody who may guard lets an owner in

SET LOCAL ROLE instance_env_owner;
CREATE TABLE own.users (id integer PRIMARY KEY, instance_id text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE own.users1 PARTITION OF own.users FOR VALUES FROM (0) TO (1000);
RESET ROLE;
SELECT ok(NOT has_function_privilege('instance_env_owner', 'instance_env.check_user_cap()', 'EXECUTE'), 'an owner who is not let in');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_guardian', $q$SELECT instance_env.guard('own.users')$q$)$$,
	'a role that may guard, and has the owner''s rights, guards his table');
SELECT is((SELECT count(*) FROM unnest('{check_user_cap,check_instance,check_transfer,check_move,record_departure,record_truncate}'::text[]) f
	WHERE has_function_privilege('instance_env_owner', 'instance_env.' || f || '()', 'EXECUTE')), 6::bigint, 'which lets the owner in');
SELECT is((SELECT count(*) FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = 'instance_env'::regnamespace
	AND a.grantee = 'instance_env_owner'::regrole), 6::bigint, 'and gives nothing else');
SELECT is((SELECT action || ' ' || after || ' by ' || current_user_name FROM instance_env.events WHERE item = 'instance_env_owner'),
	'guard {"execute": "trigger functions"} by instance_env_guardian', 'an event tells');
SELECT lives_ok($$SELECT instance_env.guard('own.users')$$, 'again');
SELECT is((SELECT count(*) FROM instance_env.events WHERE item = 'instance_env_owner'), 1::bigint, 'nothing to do');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_owner',
	'CREATE TABLE own.users2 PARTITION OF own.users FOR VALUES FROM (1000) TO (2000)')$$, 'the owner makes partitions');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT instance_env.unguard('own.users')$q$)$$, '42501', NULL,
	'but does not call guard() or unguard()');

-- his table counts

INSERT INTO own.users VALUES (1, 'dev'), (2, 'dev'), (1001, 'dev');
SELECT is((SELECT users FROM instance_env.usage WHERE NOT estimated AND relation = 'own.users'::regclass AND application = 'shop'), 3::bigint, 'usage');
SELECT is(pg_temp.problems('own.users'), 'true {}', 'guards');
SELECT is(pg_temp.check('own.users'), 'error true', 'validate()');
SELECT throws_ok($$SELECT instance_env.drop_application(instance_env.application_id('shop'))$$, '55000', NULL, 'drop_application()');
SELECT is(pg_temp.reset('d0000000-0000-4000-8000-000000000001'), 3::bigint, 'reset_development()');

-- a guard that its owner breaks stands in the way of the applications whose rows are in it

SET LOCAL ROLE instance_env_owner;
ALTER TABLE own.users DISABLE TRIGGER ALL;
RESET ROLE;
SELECT matches(pg_temp.problems('own.users'), '^false .*disabled', 'a guard that the owner has broken');
SELECT is(pg_temp.check('own.users'), 'warning false', 'a warning where the application has no rows');
SELECT ok(pg_temp.promotable(), 'which does not stand in its way');
INSERT INTO own.users VALUES (12, 'dev2');
SELECT ok(pg_temp.promotable(), 'nor if others have');
INSERT INTO own.users VALUES (13, 'dev');
SELECT is(pg_temp.check('own.users'), 'error false', 'an error where it has');
SELECT ok(NOT pg_temp.promotable(), 'which does');
DELETE FROM own.users WHERE id IN (13, 14);
INSERT INTO own.users VALUES (14, 'prod');
SELECT ok(NOT pg_temp.promotable(), 'production''s, too');
DELETE FROM own.users WHERE id IN (13, 14);
DROP INDEX own.instance_env_users_instance_id_idx;
SELECT ok(NOT pg_temp.promotable(), 'or if nobody can tell');
SELECT lives_ok($$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 7)$$, 'set_user_cap() goes on');
SELECT is((SELECT state FROM instance_env.usage WHERE NOT estimated AND relation = 'own.users'::regclass AND application = 'shop'), 'unknown', 'usage does not know');
ALTER TABLE app.users DISABLE TRIGGER ALL;
SELECT is(pg_temp.check('app.users'), 'error false', 'a superuser''s always does');
ALTER TABLE app.users ENABLE TRIGGER ALL;
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('own.users') \gset
SELECT ok(pg_temp.promotable(), 'repaired');

-- an owner who is locked out again: nobody looks at his table

INSERT INTO own.users VALUES (13, 'dev');
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA instance_env FROM instance_env_owner;
ALTER TABLE own.users DISABLE TRIGGER ALL;
SELECT is(pg_temp.problems('own.users'), 'false {"administration does not look at the table: its owner \"instance_env_owner\" may not execute the trigger functions of instance_env; have it guarded again by a role that may"}',
	'guards says so');
SELECT is((SELECT concat_ws(' ', instance_column, user_key, counted, label) FROM instance_env.guards WHERE relation = 'own.users'::regclass),
	't', 'and that the cap applies, but has not opened it');
SELECT is_empty($$SELECT FROM instance_env.usage WHERE relation = 'own.users'::regclass$$, 'usage does not list it');
SELECT is(pg_temp.check('own.users'), 'warning false', 'validate() warns');
SELECT ok(pg_temp.promotable(), 'promote() does not mind');
SELECT is(pg_temp.reset('d0000000-0000-4000-8000-000000000001'), 0::bigint, 'reset_development() leaves its rows');
SELECT lives_ok($$SELECT instance_env.drop_application(instance_env.application_id('blog'))$$, 'drop_application() does not mind them');
SELECT is((SELECT count(*) FROM own.users), 2::bigint, 'they are still there');
ALTER TABLE own.users ENABLE TRIGGER ALL;
SELECT throws_ok($$INSERT INTO own.users VALUES (16, 'nowhere')$$, '23I03', NULL, 'the triggers do their work');
DELETE FROM own.users WHERE instance_id = 'dev2';
SELECT lives_ok($$SELECT instance_env.guard('own.users')$$, 'guarded again');
SELECT is(pg_temp.problems('own.users'), 'true {}', 'it counts');

-- a table that changes hands

ALTER TABLE app.users OWNER TO instance_env_stranger;
SELECT matches(pg_temp.problems('app.users'), '^false .*"instance_env_stranger\\" may not', 'a table given to a stranger');
SELECT is_empty($$SELECT FROM instance_env.usage WHERE relation = 'app.users'::regclass$$, 'does not count');
ALTER TABLE app.users OWNER TO instance_env_owner;
SELECT is(pg_temp.problems('app.users'), 'true {}', 'one given to somebody who was let in does');

-- triggers on a temporary table, made by hand: nobody but its session could read it

SET LOCAL ROLE instance_env_owner;
CREATE TEMP TABLE mine (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE INDEX ON mine (instance_id);
RESET ROLE;
CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id))
	EXECUTE FUNCTION instance_env.check_user_cap('mine');
INSERT INTO mine VALUES (1, 'dev');
SELECT is_empty($$SELECT FROM instance_env.usage WHERE relation = 'mine'::regclass$$, 'a temporary table: usage');
SELECT is_empty($$SELECT FROM instance_env.guards WHERE relation = 'mine'::regclass$$, 'guards');
SELECT is_empty($$SELECT FROM instance_env.validate('d0000000-0000-4000-8000-000000000001') WHERE subject LIKE '%mine%'$$, 'validate()');
SELECT is(pg_temp.reset('d0000000-0000-4000-8000-000000000001'), 1::bigint, 'reset_development() empties the others');
SELECT is((SELECT count(*) FROM mine), 1::bigint, 'and not it');

-- nor on a view, or a partition of another kind; nor on somebody else's table

SET LOCAL ROLE instance_env_owner;
CREATE VIEW own.seen AS SELECT id, instance_id FROM own.users;
CREATE FUNCTION pg_temp.hand_made(name text, timing text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER t %s INSERT ON %s FOR EACH ROW %s EXECUTE FUNCTION instance_env.check_user_cap(%L)', timing, name,
		CASE timing WHEN 'AFTER' THEN 'WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id))' END,
		(SELECT format('%s/%s', relowner::regrole, name) FROM pg_class WHERE oid = name::regclass));
END $$;
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT pg_temp.hand_made('own.seen', 'INSTEAD OF')$q$)$$, '42501', NULL, 'not on a view');
SELECT lives_ok($$SELECT pg_temp.hand_made('own.seen', 'INSTEAD OF')$$, 'unless a superuser does it');
CREATE FOREIGN DATA WRAPPER instance_env_wrapper;
CREATE SERVER instance_env_server FOREIGN DATA WRAPPER instance_env_wrapper;
CREATE TABLE own.far (id integer, instance_id text) PARTITION BY LIST (instance_id);
CREATE FOREIGN TABLE own.farther PARTITION OF own.far FOR VALUES IN ('dev') SERVER instance_env_server;
ALTER TABLE own.far OWNER TO instance_env_owner;
ALTER TABLE own.farther OWNER TO instance_env_owner;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT pg_temp.hand_made('own.far', 'AFTER')$q$)$$, '42809', NULL, 'not with a foreign partition');
SELECT lives_ok($$SELECT pg_temp.hand_made('own.far', 'AFTER')$$, 'unless a superuser does it');
SELECT lives_ok($$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 8)$$, 'set_user_cap()');
SELECT is((SELECT state FROM instance_env.usage WHERE NOT estimated AND relation = 'own.far'::regclass), 'unknown', 'usage');
SELECT matches(pg_temp.problems('own.far'), '^false .*partition \\"own.farther\\" is not an ordinary table', 'guards');
SELECT ok(NOT pg_temp.promotable(), 'validate()');
SELECT throws_ok($$SELECT instance_env.drop_application(instance_env.application_id('shop'))$$, '42809', NULL, 'drop_application()');
DROP TABLE own.far;
SELECT ok(pg_temp.promotable(), 'without it: validate()');
SELECT is(pg_temp.reset('d0000000-0000-4000-8000-000000000001'), 0::bigint, 'reset_development()');
DROP VIEW own.seen;

CREATE TABLE app.log (id integer PRIMARY KEY, instance_id text NOT NULL);
GRANT ALL ON app.log TO instance_env_owner;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT pg_temp.hand_made('app.log', 'AFTER')$q$)$$, '42501',
	'permission denied to create a trigger of extension "instance_env" on table "app.log"', 'with TRIGGER on a table nobody guards it');

-- a partition that the table's owner may not make triggers on

CREATE TABLE app.split (id integer, instance_id text) PARTITION BY LIST (instance_id);
CREATE TABLE app.split_1 PARTITION OF app.split FOR VALUES IN ('dev');
ALTER TABLE app.split OWNER TO instance_env_owner;
SELECT throws_ok($$SELECT instance_env.guard('app.split', user_key => '')$$, '42501',
	'partition "app.split_1" of table "app.split" belongs to another role', 'a partition of another role');
GRANT TRIGGER ON app.split_1 TO instance_env_owner;
SELECT lives_ok($$SELECT instance_env.guard('app.split', user_key => '')$$, 'unless the owner may make triggers on it');
DROP TABLE app.split;

-- foreign keys to other people's tables take a right, and no lock without it

SET LOCAL ROLE instance_env_owner;
CREATE TABLE own.sessions (id integer PRIMARY KEY, instance_id text NOT NULL, user_id integer);
RESET ROLE;
CREATE TABLE app.accounts (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.accounts') \gset
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_guardian', $q$SELECT instance_env.guard('own.sessions', user_key => 'user_id',
	counted => false, user_table => 'app.accounts')$q$)$$, '42501', 'permission denied for table "app.accounts"', 'user_table of somebody else''s');
SELECT throws_ok($$SELECT instance_env.guard('own.sessions', user_key => 'user_id', counted => false, user_table => 'app.accounts')$$,
	'42501', 'permission denied for table "app.accounts"', 'the owner needs the right, whoever calls');
GRANT REFERENCES ON app.accounts TO instance_env_owner;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_guardian', $q$SELECT instance_env.guard('own.sessions', user_key => 'user_id',
	counted => false, user_table => 'app.accounts')$q$)$$, '42501', NULL, 'to make an index takes more');
SELECT lives_ok($$SELECT instance_env.guard('own.sessions', user_key => 'user_id', counted => false, user_table => 'app.accounts')$$,
	'with it');
SELECT is((SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = 'app.accounts'::regclass), 'own.sessions',
	'the foreign key is there');
SELECT instance_env.unguard('own.sessions') \gset
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_guardian', $q$SELECT instance_env.guard('own.sessions', user_key => 'user_id',
	counted => false, user_table => 'app.accounts')$q$)$$, 'or once it is');
SELECT is((SELECT count(*) FROM instance_env.guards WHERE whole), 4::bigint, 'all of them are whole');

SELECT * FROM finish();
ROLLBACK;
