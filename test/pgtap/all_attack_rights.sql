-- Tries to get at what is the extension's, as each kind of role that is not an administrator.
-- What counts is what is there in the end, and who is superuser.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(170);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_id => '00000000-0000-4000-8000-00000000000d', development_key => 'dev') \gset
SELECT instance_env.create_secret_key('00000000-0000-4000-8000-00000000000d') \gset
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
INSERT INTO app.users VALUES ('ann', 'dev'), ('bob', 'dev');
DELETE FROM app.users WHERE id = 'bob';

CREATE ROLE instance_env_nothing;
CREATE ROLE instance_env_maker CREATEROLE;
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_guardian;
CREATE ROLE instance_env_inserter;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.grant_monitor('instance_env_monitor'),
	instance_env.grant_guard('instance_env_guardian') \gset
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT INSERT, DELETE ON app.users TO instance_env_inserter;
-- whatever else comes of it, the schema may be used
GRANT USAGE ON SCHEMA instance_env TO instance_env_nothing, instance_env_maker, instance_env_inserter;

\ir ../include/outcome.sql

CREATE TEMP TABLE roles AS
SELECT unnest('{instance_env_nothing, instance_env_maker, instance_env_backend, instance_env_monitor, instance_env_guardian, instance_env_inserter}'::name[]) AS role;
CREATE TEMP TABLE tries (command text);
INSERT INTO tries VALUES
	('SELECT secret FROM instance_env.identity_key'),
	('SELECT hash FROM instance_env.api_key'),
	('SELECT identity FROM instance_env.departed_user'),
	('DELETE FROM instance_env.departed_user'),
	('TRUNCATE instance_env.departed_user'),
	('UPDATE instance_env.instance SET user_cap = 1000000'),
	($$INSERT INTO instance_env.policy_override VALUES ('00000000-0000-4000-8000-00000000000d', 'banner', '""')$$),
	($$INSERT INTO instance_env.event (session_user_name, current_user_name, action) VALUES ('x', 'x', 'x')$$),
	('DELETE FROM instance_env.event'),
	('CREATE TRIGGER t BEFORE INSERT ON instance_env.instance FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
	('CREATE RULE r AS ON INSERT TO instance_env.departed_user DO INSTEAD NOTHING'),
	('ALTER TABLE instance_env.departed_user DISABLE TRIGGER ALL'),
	('DROP EVENT TRIGGER instance_env_watch_ddl'),
	('ALTER EVENT TRIGGER instance_env_watch_ddl DISABLE'),
	('DROP EXTENSION instance_env CASCADE'),
	($$SELECT instance_env.set_user_cap('00000000-0000-4000-8000-00000000000d', 1000000)$$),
	($$SELECT instance_env.forget_departed('infinity')$$),
	($$SELECT instance_env.drop_application(instance_env.application_id('shop'))$$),
	($$CALL instance_env.reset_development('00000000-0000-4000-8000-00000000000d')$$),
	('SELECT instance_env.grant_admin(current_user::regrole)'),
	('SELECT instance_env.grant_guard(current_user::regrole)'),
	($$SELECT instance_env.unguard('app.users')$$),
	('ALTER TABLE app.users DISABLE TRIGGER instance_env_user_cap'),
	('SET LOCAL session_replication_role = replica'),
	('CREATE OR REPLACE FUNCTION instance_env.admission_required(instance text, relation oid) RETURNS boolean LANGUAGE sql RETURN false'),
	('CREATE FUNCTION instance_env.check_user_cap(integer) RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''');
SELECT is(pg_temp.outcome(role, command), '42501', substr(role, 14) || ': ' || command) FROM roles, tries ORDER BY role, command;

-- who may make roles lets nobody in by that, and makes no superuser
SELECT isnt(pg_temp.outcome('instance_env_maker', 'CREATE ROLE instance_env_made SUPERUSER'), 'ok', 'a superuser made');
SELECT isnt(pg_temp.outcome('instance_env_maker', format('ALTER ROLE %I RENAME TO instance_env_renamed', session_user)), 'ok',
	'the extension''s owner renamed');
SELECT is(pg_temp.outcome('instance_env_maker', 'CREATE ROLE instance_env_made'), 'ok', 'a role made');
CREATE SCHEMA AUTHORIZATION instance_env_made;
SELECT is(pg_temp.outcome('instance_env_made', $$CREATE TABLE instance_env_made.t (id integer PRIMARY KEY, instance_id text)$$), 'ok',
	'it has a table');
SELECT is(pg_temp.outcome('instance_env_made', $$SELECT instance_env.guard('instance_env_made.t')$$), '42501', 'and does not guard it');

-- who may execute a function of a trigger cannot hand that on: PostgreSQL warns, and grants nothing
SELECT lives_ok($$SELECT pg_temp.outcome('instance_env_guardian', 'GRANT EXECUTE ON FUNCTION instance_env.check_user_cap() TO PUBLIC')$$,
	'EXECUTE handed on');
SELECT is(has_function_privilege('public', 'instance_env.check_user_cap()', 'EXECUTE'), false, 'PUBLIC may not execute it');

-- what it came to
SELECT is((SELECT user_cap FROM instance_env.instances WHERE external_key = 'dev'), 500, 'the cap is what it was');
SELECT is((SELECT count(*) FROM app.users), 1::bigint, 'so are the users');
SELECT is((SELECT count(*) FROM instance_env.departed_user), 1::bigint, 'and the departed');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass), true, 'the guard is whole');
SELECT is_empty($$SELECT rolname FROM pg_roles WHERE rolsuper AND rolname ~ '^instance_env_'$$, 'nobody has become superuser');
SELECT is((SELECT count(*) FROM instance_env.events WHERE session_user_name = 'x'), 0::bigint, 'no event was made up');
SELECT is((SELECT evtenabled::text FROM pg_event_trigger WHERE evtname = 'instance_env_watch_ddl'), 'O', 'DDL is watched');

SELECT * FROM finish();
ROLLBACK;
