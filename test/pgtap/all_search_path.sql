-- A search_path whose first schema redefines what an unwary query would call: nothing
-- in it is called, neither by guard() nor by a trigger.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(34);

CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('blog',
	development_id => 'd0000000-0000-4000-8000-000000000002') \gset
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 3) \gset

CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE SEQUENCE hostile.called;
GRANT USAGE ON SEQUENCE hostile.called TO PUBLIC;
DO $$
DECLARE
	f record;
BEGIN
	-- operators of uuid, text, oid, name, enums and integers
	FOR f IN SELECT * FROM unnest(ARRAY['uuid', 'text', 'oid', 'name', 'integer', 'bigint', 'anyenum', 'timestamptz',
			'instance_env.instance_type']) t
	LOOP
		EXECUTE format(
			'CREATE FUNCTION hostile.same(a %1$s, b %1$s) RETURNS boolean LANGUAGE plpgsql AS
			 ''BEGIN PERFORM pg_catalog.nextval(''''hostile.called''''); RETURN false; END'';
			 CREATE OPERATOR hostile.= (PROCEDURE = hostile.same, LEFTARG = %1$s, RIGHTARG = %1$s);
			 CREATE OPERATOR hostile.<> (PROCEDURE = hostile.same, LEFTARG = %1$s, RIGHTARG = %1$s);
			 CREATE OPERATOR hostile.< (PROCEDURE = hostile.same, LEFTARG = %1$s, RIGHTARG = %1$s)', f.t);
	END LOOP;
	-- functions
	FOR f IN SELECT * FROM (VALUES
			('now()', 'timestamptz'), ('clock_timestamp()', 'timestamptz'), ('gen_random_uuid()', 'uuid'),
			('count(bigint)', 'bigint'), ('uuid_eq(uuid, uuid)', 'boolean'), ('texteq(text, text)', 'boolean'),
			('coalesce_text(text, text)', 'text'), ('lower(text)', 'text'), ('format(text, text)', 'text'),
			('quote_ident(text)', 'text'), ('unnest(uuid[])', 'uuid'), ('admission_required(uuid, oid)', 'boolean'), ('admission_required(uuid, oid, text)', 'boolean'),
			('departure_queued()', 'boolean'), ('guard_list()', 'integer')) v (signature, result)
	LOOP
		EXECUTE format(
			'CREATE FUNCTION hostile.%s RETURNS %s LANGUAGE plpgsql AS
			 ''BEGIN PERFORM pg_catalog.nextval(''''hostile.called''''); RETURN NULL; END''', f.signature, f.result);
	END LOOP;
END $$;
-- relations and types
CREATE TABLE hostile.instance (id uuid, type text, status text, user_cap integer, external_key text);
CREATE TABLE hostile.departed_user (identity uuid, instance uuid, departed_at timestamptz);
CREATE TABLE hostile.policy_default (instance_type text, name text, value jsonb);
CREATE TABLE hostile.pg_trigger (tgname text);
CREATE TABLE hostile.pg_class (oid oid, relname text);
CREATE TABLE hostile.users (id text, instance_id uuid);
CREATE TYPE hostile.uuid AS (a text);
CREATE TYPE hostile.text AS (a text);

CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	SET LOCAL search_path = hostile, pg_catalog, pg_temp;
	EXECUTE command;
	RESET ROLE;
END $$ SET search_path FROM CURRENT;	-- so that the hostile one ends with the call
CREATE FUNCTION pg_temp.backend(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_backend', command)$$;

SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.users (id text, instance_id uuid NOT NULL, n integer DEFAULT 0, PRIMARY KEY (instance_id, id));
CREATE TABLE app.sessions (id bigint PRIMARY KEY, instance_id uuid NOT NULL, user_id text);
GRANT ALL ON ALL TABLES IN SCHEMA app TO instance_env_backend;
INSERT INTO app.users VALUES ('u1', 'd0000000-0000-4000-8000-000000000001');
RESET ROLE;

SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$,
	'guard()');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$,
	'guard() again');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT instance_env.guard('app.sessions',
	counted => false, user_key => 'user_id', user_table => 'app.users')$q$)$$, 'guard() of sessions');
SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES
	('u2', 'd0000000-0000-4000-8000-000000000001'), ('u3', 'd0000000-0000-4000-8000-000000000001')$q$)$$,
	'INSERT up to the cap');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES
	('u4', 'd0000000-0000-4000-8000-000000000001')$q$)$$, '23I01', NULL, 'INSERT beyond the cap');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES
	('u1', 'd0000000-0000-4000-8000-000000000002')$q$)$$, '23I02', NULL, 'INSERT of another instance''s user');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES
	('u4', 'd0000000-0000-4000-8000-00000000000f')$q$)$$, '23I03', NULL, 'INSERT into no instance');
SELECT throws_ok($$SELECT pg_temp.backend($q$UPDATE app.users
	SET instance_id = 'd0000000-0000-4000-8000-000000000002'$q$)$$, '23I02', NULL, 'UPDATE of the instance');
SELECT lives_ok($$SELECT pg_temp.backend($q$UPDATE app.users SET n = 1$q$)$$, 'UPDATE of another column');
SELECT lives_ok($$SELECT pg_temp.backend($q$DELETE FROM app.users$q$)$$, 'DELETE');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES
	('u1', 'd0000000-0000-4000-8000-000000000002')$q$)$$, '23I02', NULL, 'return elsewhere');
SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES
	('u1', 'd0000000-0000-4000-8000-000000000001')$q$)$$, 'return');
SELECT lives_ok($$SELECT pg_temp.backend($q$TRUNCATE app.users, app.sessions$q$)$$, 'TRUNCATE');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES
	('u1', 'd0000000-0000-4000-8000-000000000002')$q$)$$, '23I02', NULL, 'return elsewhere after TRUNCATE');

-- what an administrator calls
CREATE FUNCTION pg_temp.admin(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as(session_user, command)$$;
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.create_application('other')$q$)$$,
	'create_application()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.set_plan(instance_env.application_id('other'), 'pro')$q$)$$,
	'set_plan()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.rename_application(
	instance_env.application_id('other'), 'renamed')$q$)$$, 'rename_application()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.associate_domain(
	instance_env.instance_id('renamed', 'production'), 'other.example.com')$q$)$$, 'associate_domain()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.verify_domain(
	instance_env.instance_id('renamed', 'production'), 'other.example.com')$q$)$$, 'verify_domain()');
INSERT INTO instance_env.setting_section (name, cloned, description) VALUES ('hostile', true, 'test');
INSERT INTO instance_env.setting SELECT instance_env.instance_id('renamed', t), 'hostile.' || t, '1'
FROM unnest(enum_range(NULL::instance_env.instance_type)) t;
INSERT INTO instance_env.feature (name, plan, description) VALUES ('hostile', 'pro', 'test');
INSERT INTO instance_env.instance_feature VALUES (instance_env.instance_id('renamed', 'development'), 'hostile');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT * FROM instance_env.promote(
	instance_env.application_id('renamed'), dry_run => true)$q$)$$, 'promote(dry_run => true)');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT * FROM instance_env.promote(
	instance_env.application_id('renamed'))$q$)$$, 'promote()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT * FROM instance_env.rollback_promotion(
	instance_env.application_id('renamed'))$q$)$$, 'rollback_promotion()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT * FROM instance_env.create_staging_application(
	instance_env.application_id('renamed'), 'staging.example.com')$q$)$$, 'create_staging_application()');
SELECT throws_ok($$SELECT pg_temp.admin($q$SELECT instance_env.instance_id('renamed', 'staging')$q$)$$, '22I02', NULL,
	'instance_id()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.suspend_instance(
	'd0000000-0000-4000-8000-000000000001')$q$)$$, 'suspend_instance()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.resume_instance(
	'd0000000-0000-4000-8000-000000000001')$q$)$$, 'resume_instance()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.set_user_cap(
	'd0000000-0000-4000-8000-000000000001', 7)$q$)$$, 'set_user_cap()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT * FROM instance_env.guards$q$)$$, 'guards');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT * FROM instance_env.promotions$q$)$$, 'promotions');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT * FROM instance_env.instances$q$)$$, 'instances');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.drop_application(
	instance_env.application_id('blog'))$q$)$$, 'drop_application()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.forget_departed('infinity')$q$)$$, 'forget_departed()');
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.unguard('app.sessions')$q$)$$, 'unguard()');

SELECT is((SELECT is_called FROM hostile.called), false, 'nothing in the hostile schema was called');

SELECT * FROM finish();
ROLLBACK;
