-- What administration runs on a table, it runs as the table's owner, in a
-- security-restricted operation: the owner's code gets nobody's rights.
\set QUIET 1
SET client_min_messages = error;
DROP ROLE IF EXISTS instance_env_thief, instance_env_other, instance_env_boss;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;

-- a role that owns a schema and may guard, and nothing else
CREATE ROLE instance_env_thief;
CREATE ROLE instance_env_other;
CREATE ROLE instance_env_boss;
GRANT USAGE ON SCHEMA instance_env TO instance_env_thief, instance_env_other, instance_env_boss;
REVOKE EXECUTE ON FUNCTION instance_env.guard, instance_env.unguard, instance_env.check_user_cap, instance_env.check_instance,
	instance_env.check_transfer, instance_env.check_move, instance_env.record_departure, instance_env.record_truncate FROM PUBLIC;
GRANT EXECUTE ON FUNCTION instance_env.guard, instance_env.unguard, instance_env.check_user_cap, instance_env.check_instance,
	instance_env.check_transfer, instance_env.check_move, instance_env.record_departure, instance_env.record_truncate
	TO instance_env_thief, instance_env_other;
SELECT instance_env.grant_admin('instance_env_boss') \gset
CREATE SCHEMA own AUTHORIZATION instance_env_thief;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SELECT instance_env.create_application('shop', development_id => 'd0000000-0000-4000-8000-000000000001',
	development_key => 'dev', production_key => 'prod') \gset
CREATE TABLE app.log (what text, who name);
GRANT INSERT ON app.log TO PUBLIC;

SET ROLE instance_env_thief;
CREATE FUNCTION own.try(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO app.log VALUES (what, current_user);
	BEGIN
		ALTER ROLE instance_env_thief SUPERUSER;
	EXCEPTION WHEN insufficient_privilege THEN
	END;
	PERFORM set_config('own.mark', 'left behind', false);
END $$;
CREATE FUNCTION own.fires() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM own.try(TG_NAME);
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	RETURN NEW;
END $$;
CREATE FUNCTION own.allows(what text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM own.try(what); RETURN true; END$$;
CREATE TABLE own.later (n integer);
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON own.later DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION own.fires();
CREATE FUNCTION own.queue() RETURNS void LANGUAGE plpgsql AS $$BEGIN INSERT INTO own.later VALUES (1); END$$;

-- immutable while the indexes are made; a backend runs them when it first plans a statement
CREATE FUNCTION own.one() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN 1; END$$;
CREATE FUNCTION own.two() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN 2; END$$;
CREATE TABLE own.plain (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE INDEX ON own.plain ((id + own.one()));
CREATE TABLE own.queueing (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE INDEX ON own.queueing ((id + own.two()));
CREATE TABLE own.owners (id integer PRIMARY KEY, instance_id text NOT NULL, UNIQUE (instance_id, id));
SELECT count(*) FROM instance_env.guard('own.owners') \gset
CREATE TABLE own.sessions (id integer PRIMARY KEY, instance_id text NOT NULL, user_id integer);
CREATE INDEX ON own.owners ((id + own.one()));
CREATE TABLE own.parts (id integer NOT NULL, instance_id text NOT NULL) PARTITION BY RANGE ((id + own.one()));
CREATE TABLE own.part PARTITION OF own.parts FOR VALUES FROM (0) TO (100);
CREATE INDEX ON own.parts (instance_id);
CREATE INDEX ON own.parts (id);
CREATE TABLE own.list (id integer NOT NULL, instance_id text NOT NULL) PARTITION BY LIST (instance_id);
SELECT count(*) FROM instance_env.guard('own.list', user_key => 'id') \gset
CREATE TABLE own.dev (id integer NOT NULL, instance_id text NOT NULL);
INSERT INTO own.dev VALUES (1, 'dev');
CREATE TABLE own.users (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('own.users') \gset
CREATE INDEX ON own.users (instance_id, (id + own.one()));
CREATE INDEX ON own.users (id) WHERE id > own.one();
INSERT INTO own.users SELECT i, 'dev' FROM generate_series(1, 5) i;
ALTER TABLE own.users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY f ON own.users USING (own.allows('policy'));
CREATE TRIGGER a_before BEFORE DELETE ON own.users FOR EACH ROW EXECUTE FUNCTION own.fires();
CREATE TRIGGER b_after AFTER DELETE ON own.users FOR EACH ROW EXECUTE FUNCTION own.fires();
CREATE TRIGGER c_statement BEFORE DELETE ON own.users EXECUTE FUNCTION own.fires();
CREATE TRIGGER d_statement AFTER DELETE ON own.users EXECUTE FUNCTION own.fires();
CREATE CONSTRAINT TRIGGER e_deferred AFTER DELETE ON own.users DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION own.fires();
CREATE OR REPLACE FUNCTION own.one() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM own.try('plan'); RETURN 1; END$$;
CREATE OR REPLACE FUNCTION own.two() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM own.queue(); RETURN 2; END$$;
RESET ROLE;
\c
SET client_min_messages = error;

BEGIN;
SELECT plan(56);
CREATE FUNCTION pg_temp.reset() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	deleted bigint;
BEGIN
	CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001', false, 2, deleted);
	RETURN deleted;
END $$;
CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
-- who ran the owner's code since the last call, and whether it made its owner superuser
CREATE FUNCTION pg_temp.ran_as() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	SELECT string_agg(DISTINCT what || ' as ' || who, ', ' ORDER BY what || ' as ' || who) INTO result FROM app.log;
	IF EXISTS (SELECT FROM pg_roles WHERE rolname IN ('instance_env_thief', 'instance_env_other') AND rolsuper) THEN
		result := result || ': SUPERUSER';
		ALTER ROLE instance_env_thief NOSUPERUSER;
		ALTER ROLE instance_env_other NOSUPERUSER;
	END IF;
	DELETE FROM app.log;
	RETURN result;
END $$;

-- set_user_cap(), usage, validate(): they count, and run nothing of the owner's

SET LOCAL search_path = public, app;
SELECT lives_ok($$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 1)$$, 'set_user_cap()');
SELECT is((SELECT sum(users) FROM instance_env.usage WHERE NOT estimated AND relation = 'own.users'::regclass), 5::numeric, 'usage');
SELECT is((SELECT count(*) FROM instance_env.validate('d0000000-0000-4000-8000-000000000001') WHERE check_name = 'guard' AND subject LIKE 'own%'),
	3::bigint, 'validate()');
SELECT is((SELECT count(*) FROM instance_env.guards WHERE whole), 3::bigint, 'guards');
SELECT is(pg_temp.ran_as(), NULL, 'they run nothing of the owner''s');

-- guard(): an index expression is run when a statement is planned

SELECT lives_ok($$SELECT instance_env.guard('own.plain')$$, 'guard(): a superuser guards a table with an index of the owner''s');
SELECT is(pg_temp.ran_as(), 'plan as instance_env_thief', 'the index''s function runs as the table''s owner');
SELECT is(coalesce(current_setting('own.mark', true), ''), '', 'and leaves no setting behind');
SELECT throws_ok($$SELECT instance_env.guard('own.queueing')$$, '42501',
	'cannot fire deferred trigger within security-restricted operation', 'guard(): what is deferred would fire as the caller');
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
SELECT is(pg_temp.ran_as(), NULL, 'and does not');

-- guard(): the foreign key to users is checked by a query, a partition key is computed for triggers

SELECT lives_ok($$SELECT instance_env.guard('own.sessions', user_key => 'user_id', counted => false, user_table => 'own.owners')$$,
	'guard(): with user_table');
SELECT is(pg_temp.ran_as(), 'plan as instance_env_thief', 'the foreign key is checked as the table''s owner');
CREATE TABLE app.visits (id integer PRIMARY KEY, instance_id text NOT NULL, user_id integer);
SELECT throws_ok($$SELECT instance_env.guard('app.visits', user_key => 'user_id', counted => false, user_table => 'own.owners')$$,
	'42501', 'table "own.owners" belongs to a different role than table "app.visits"', 'guard(): with a user_table of somebody else''s');
SELECT is(pg_temp.ran_as(), NULL, 'which is not read with the rights of the table''s owner');
ALTER TABLE app.visits ADD FOREIGN KEY (instance_id, user_id) REFERENCES own.owners (instance_id, id);
SELECT lives_ok($$SELECT instance_env.guard('app.visits', user_key => 'user_id', counted => false, user_table => 'own.owners')$$,
	'but its owner may have made the foreign key');
DROP TABLE app.visits;
DELETE FROM app.log;
SELECT lives_ok($$SELECT instance_env.guard('own.parts', user_key => 'id')$$, 'guard(): a partition key with an expression');
SELECT is(pg_temp.ran_as(), 'plan as instance_env_thief', 'which is computed as the owner');

-- ATTACH PARTITION: the rows are checked, as the owner of the whole

CREATE TABLE app.wide (id integer NOT NULL, instance_id text NOT NULL) PARTITION BY LIST (instance_id);
SELECT count(*) FROM instance_env.guard('app.wide', user_key => 'id') \gset
SELECT throws_ok($$ALTER TABLE app.wide ATTACH PARTITION own.dev FOR VALUES IN ('dev')$$, '42501',
	'partition "own.dev" of table "app.wide" belongs to another role', 'ATTACH PARTITION: a table of somebody else''s');
SELECT lives_ok($$ALTER TABLE own.list ATTACH PARTITION own.dev FOR VALUES IN ('dev')$$, 'one of the owner''s');
DELETE FROM app.log;
DROP TABLE app.wide;
DROP TABLE own.list, own.parts, own.queueing, own.plain, own.sessions, own.owners;
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 500) \gset

-- reset_development(): triggers, rules, policies, index expressions

SELECT is(pg_temp.reset(), 5::bigint, 'reset_development(): by a superuser, with triggers of all kinds');
SELECT is(pg_temp.ran_as(), (SELECT string_agg(t || ' as instance_env_thief', ', ')
	FROM unnest('{a_before,b_after,c_statement,d_statement,e_deferred,plan}'::text[]) t), 'they fire as the table''s owner');
SELECT is(coalesce(current_setting('own.mark', true), ''), '', 'no setting stays');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT is(pg_temp.ran_as(), NULL, 'and nothing is left to fire');
SELECT results_eq($$SELECT current_user::text, session_user::text$$, $$SELECT rolname::text, rolname::text FROM pg_roles WHERE oid = 10$$,
	'the user is who it was');

-- by an administrator who is no superuser, but may delete

SET LOCAL ROLE instance_env_thief;
GRANT USAGE ON SCHEMA own TO instance_env_boss;
ALTER TABLE own.users DISABLE ROW LEVEL SECURITY;
INSERT INTO own.users SELECT i, 'dev' FROM generate_series(2, 5) i;
RESET ROLE;
SELECT pg_temp.ran_as() \gset
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_boss', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'42501', 'permission denied for table "own.users"', 'the caller still needs rights');
GRANT SELECT, DELETE ON own.users TO instance_env_boss;
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_boss', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'with SELECT and DELETE it goes');
SELECT matches(pg_temp.ran_as(), 'a_before as instance_env_thief, b_after as instance_env_thief', 'as the table''s owner');

-- a rule

SET LOCAL ROLE instance_env_thief;
DROP TRIGGER c_statement ON own.users;
DROP TRIGGER d_statement ON own.users;
CREATE TABLE own.ruled (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('own.ruled') \gset
INSERT INTO own.ruled VALUES (1, 'dev');
CREATE FUNCTION own.tells() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'I am %', current_user; END$$;
CREATE RULE ruled AS ON DELETE TO own.ruled DO INSTEAD UPDATE own.later SET n = 2 WHERE own.tells();
INSERT INTO own.later VALUES (1);
SET CONSTRAINTS ALL IMMEDIATE;
RESET ROLE;
SELECT pg_temp.ran_as() \gset
SELECT throws_ok($$SELECT pg_temp.reset()$$, '55000', 'table "own.ruled" has a rule on DELETE', 'a rule: nothing is deleted');
ALTER TABLE own.ruled DISABLE RULE ruled;
SELECT ok(pg_temp.reset() >= 1, 'unless it is disabled');
DROP TABLE own.ruled;

-- a temporary table, a role, a cursor that stays

SET LOCAL ROLE instance_env_thief;
INSERT INTO own.users VALUES (2, 'dev');
CREATE FUNCTION own.takes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE TG_ARGV[0];
	RETURN OLD;
END $$;
CREATE TRIGGER g BEFORE DELETE ON own.users FOR EACH ROW EXECUTE FUNCTION own.takes('CREATE TEMP TABLE shadow (n integer)');
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'a trigger makes no temporary table');
DROP TRIGGER g ON own.users;
CREATE TRIGGER g BEFORE DELETE ON own.users FOR EACH ROW EXECUTE FUNCTION own.takes('RESET ROLE');
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'and does not become the caller');
SELECT results_eq($$SELECT current_user::text$$, $$SELECT rolname::text FROM pg_roles WHERE oid = 10$$, 'after an error, too');
DROP TRIGGER g ON own.users;

-- a DELETE that cascades into a table of somebody else's

CREATE TABLE app.accounts (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.accounts') \gset
GRANT REFERENCES ON app.accounts TO instance_env_thief;
INSERT INTO app.accounts VALUES (1, 'dev');
DROP TABLE own.users CASCADE;
SET LOCAL ROLE instance_env_thief;
CREATE TABLE own.notes (id integer PRIMARY KEY REFERENCES app.accounts ON DELETE CASCADE);
INSERT INTO own.notes VALUES (1);
RESET ROLE;
SELECT pg_temp.ran_as() \gset
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', 'deleting from table "app.accounts" would change table "own.notes", which belongs to another role',
	'a cascade into a table of somebody else''s, whatever is attached to it');
SAVEPOINT cascade;
ALTER TABLE own.notes DROP CONSTRAINT notes_id_fkey, ADD CONSTRAINT notes_id_fkey FOREIGN KEY (id) REFERENCES app.accounts;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '23503', NULL, 'a foreign key that changes nothing does what it is there for');
ROLLBACK TO cascade;
ALTER TABLE own.notes OWNER TO CURRENT_USER;
CREATE TABLE own.pages (id integer PRIMARY KEY REFERENCES own.notes ON DELETE CASCADE, n integer NOT NULL DEFAULT 1);
ALTER TABLE own.pages OWNER TO instance_env_thief;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', 'deleting from table "app.accounts" would change table "own.pages", which belongs to another role',
	'nor one further on');
DROP TABLE own.pages;
CREATE TABLE own.pages (id integer REFERENCES own.notes ON DELETE SET NULL, n integer NOT NULL) PARTITION BY LIST (n);
CREATE TABLE own.pages1 PARTITION OF own.pages FOR VALUES IN (1);
ALTER TABLE own.pages1 OWNER TO instance_env_thief;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', 'deleting from table "own.pages" would change table "own.pages1", which belongs to another role',
	'nor a partition of one');
DROP TABLE own.pages;
GRANT TRIGGER ON own.notes TO instance_env_thief;
SET LOCAL ROLE instance_env_thief;
CREATE TRIGGER n AFTER DELETE ON own.notes FOR EACH ROW EXECUTE FUNCTION own.fires();
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'a trigger there whose function is somebody else''s');
DROP TRIGGER n ON own.notes;
CREATE RULE n AS ON DELETE TO own.notes DO ALSO NOTHING;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '55000', 'table "own.notes" has a rule on DELETE', 'or a rule');
DROP RULE n ON own.notes;
SELECT is(pg_temp.ran_as(), NULL, 'nothing is run');
SELECT ok(pg_temp.reset() >= 1, 'a cascade into a table of the same owner''s');
DROP TABLE own.notes;

-- a trigger of somebody who may make triggers, as GRANT ALL lets him

CREATE TABLE app.members (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.members') \gset
INSERT INTO app.members VALUES (1, 'dev');
GRANT ALL ON app.members TO instance_env_thief;
SET LOCAL ROLE instance_env_thief;
CREATE TRIGGER m BEFORE DELETE ON app.members FOR EACH ROW EXECUTE FUNCTION own.fires();
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'a trigger whose function is not the owner''s');
DROP TRIGGER m ON app.members;
SET LOCAL ROLE instance_env_thief;
CREATE TRIGGER m BEFORE DELETE ON app.members FOR EACH ROW WHEN (own.allows('when ' || OLD.id))
	EXECUTE FUNCTION suppress_redundant_updates_trigger();
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'nor its condition');
SELECT is(pg_temp.ran_as(), NULL, 'is not run');
ALTER TABLE app.members DISABLE TRIGGER m;
SAVEPOINT members;
SELECT lives_ok($$SELECT pg_temp.reset()$$, 'unless it is disabled');
ROLLBACK TO members;
ALTER FUNCTION own.fires() SECURITY DEFINER;
DROP TRIGGER m ON app.members;
CREATE TRIGGER m BEFORE DELETE ON app.members FOR EACH ROW EXECUTE FUNCTION own.fires();
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'nor where it runs as its owner, which another trigger could change first');
ALTER FUNCTION own.fires() SECURITY INVOKER;
DROP TRIGGER m ON app.members;
SET LOCAL ROLE instance_env_thief;
CREATE FUNCTION own.checks(n integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM own.try('domain'); RETURN true; END$$;
CREATE DOMAIN own.number AS integer CHECK (own.checks(VALUE));
CREATE TRIGGER m BEFORE DELETE ON app.members FOR EACH ROW WHEN (OLD.id::own.number IS NOT NULL)
	EXECUTE FUNCTION suppress_redundant_updates_trigger();
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'a domain of somebody else''s in its condition');
DROP TRIGGER m ON app.members;
CREATE OPERATOR own.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = pg_catalog.int4eq);
ALTER OPERATOR own.=== (integer, integer) OWNER TO instance_env_thief;
CREATE TRIGGER m BEFORE DELETE ON app.members FOR EACH ROW WHEN (OLD.id OPERATOR(own.===) 1)
	EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'or an operator');
SELECT is(pg_temp.ran_as(), NULL, 'are not run');
DROP TRIGGER m ON app.members;
CREATE TRIGGER m BEFORE DELETE ON app.members FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT lives_ok($$SELECT pg_temp.reset()$$, 'what PostgreSQL brings is');
DROP TRIGGER m ON app.members;

-- a partition of somebody else's

CREATE TABLE app.wide (id integer NOT NULL, instance_id text NOT NULL) PARTITION BY LIST (instance_id);
CREATE TABLE own.wide_dev PARTITION OF app.wide FOR VALUES IN ('dev');
CREATE INDEX ON app.wide (instance_id);
CREATE INDEX ON app.wide (id);
SELECT count(*) FROM instance_env.guard('app.wide', user_key => 'id') \gset
INSERT INTO app.wide VALUES (1, 'dev');
ALTER TABLE own.wide_dev OWNER TO instance_env_thief;
SET LOCAL ROLE instance_env_thief;
CREATE TRIGGER w BEFORE DELETE ON own.wide_dev FOR EACH ROW EXECUTE FUNCTION own.fires();
RESET ROLE;
SELECT pg_temp.ran_as() \gset
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501', NULL, 'a partition that belongs to another role');
SELECT is(pg_temp.ran_as(), NULL, 'runs nothing as the owner of the whole');
DROP TABLE app.wide;

-- foreign keys that are deferred work

SET LOCAL ROLE instance_env_thief;
CREATE TABLE own.users (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE own.logins (id integer PRIMARY KEY, instance_id text NOT NULL,
	user_id integer REFERENCES own.users DEFERRABLE INITIALLY DEFERRED);
SELECT count(*) FROM instance_env.guard('own.users') \gset
SELECT count(*) FROM instance_env.guard('own.logins', counted => false) \gset
INSERT INTO own.users SELECT i, 'dev' FROM generate_series(1, 5) i;
INSERT INTO own.logins SELECT i, 'dev', i FROM generate_series(1, 5) i;
RESET ROLE;
SELECT is(pg_temp.reset(), 10::bigint, 'foreign keys that are INITIALLY DEFERRED');
SET LOCAL ROLE instance_env_thief;
CREATE TABLE own.invoices (id integer PRIMARY KEY, user_id integer REFERENCES own.users DEFERRABLE INITIALLY DEFERRED);
INSERT INTO own.users VALUES (1, 'dev');
INSERT INTO own.invoices VALUES (1, 1);
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '23503', NULL, 'are enforced at once');
DROP TABLE own.invoices;

-- another table that comes to stand where one was

SAVEPOINT swap;
CREATE TABLE app.swap (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.swap') \gset
INSERT INTO app.swap VALUES (1, 'dev');
CREATE TABLE app.later (n integer);
CREATE FUNCTION app.swaps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	ALTER TABLE app.swap RENAME TO swapped;
	CREATE TABLE app.swap (id integer PRIMARY KEY, instance_id text NOT NULL);
	ALTER TABLE app.swap OWNER TO instance_env_thief;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER swaps AFTER INSERT ON app.later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.swaps();
DELETE FROM own.users;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO app.later VALUES (1);
SELECT throws_ok($$SELECT pg_temp.reset()$$, '40001', 'table "app.swapped" has been renamed concurrently', 'it is not taken for that one');
ROLLBACK TO swap;

-- a trigger that counts on the caller's search_path

SET LOCAL ROLE instance_env_thief;
CREATE FUNCTION own.careless() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM n FROM later; RETURN OLD; END$$;
CREATE TRIGGER careless BEFORE DELETE ON own.users FOR EACH ROW EXECUTE FUNCTION own.careless();
RESET ROLE;
SET LOCAL search_path = own, public;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42P01', NULL, 'a trigger finds nothing by the caller''s search_path');
RESET search_path;
DROP TRIGGER careless ON own.users;

-- a trigger that changes instances, by its owner's rights, would be recorded in the caller's name

SELECT instance_env.grant_admin('instance_env_thief') \gset
SET LOCAL ROLE instance_env_thief;
CREATE FUNCTION own.renames() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM instance_env.rename_application(instance_env.application_id('shop'), 'thief''s');
	RETURN OLD;
END $$;
CREATE TRIGGER renames BEFORE DELETE ON own.users FOR EACH ROW EXECUTE FUNCTION own.renames();
RESET ROLE;
SELECT throws_ok($$SELECT pg_temp.reset()$$, '42501',
	'cannot call instance_env.rename_application() within security-restricted operation', 'no event is forged');

SELECT * FROM finish();
ROLLBACK;
DROP OWNED BY instance_env_thief, instance_env_other, instance_env_boss CASCADE;
DROP ROLE instance_env_thief, instance_env_other, instance_env_boss;
