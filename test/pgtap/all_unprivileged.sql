-- A role that may do nothing but use the application's table, and may not even use the
-- extension's schema, meets the same rules.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(50);

CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 3) \gset

CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
CREATE FUNCTION pg_temp.backend(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_backend', command)$$;

SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL, n integer DEFAULT 0);
CREATE TABLE app.parts (id text PRIMARY KEY, instance_id text NOT NULL, n integer DEFAULT 0) PARTITION BY HASH (id);
CREATE TABLE app.part0 PARTITION OF app.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.sessions (id text PRIMARY KEY, instance_id text NOT NULL, user_id text);
GRANT INSERT, SELECT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA app TO instance_env_backend;
RESET ROLE;

-- the owner needs no right but to guard

SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT instance_env.guard('app.users')$q$)$$,
	'an owner without other rights guards a table');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT instance_env.guard('app.parts')$q$)$$,
	'and a partitioned one');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_owner',
	$q$SELECT instance_env.guard('app.sessions', counted => false, user_key => 'user_id',
		user_table => 'app.users')$q$)$$,
	'and one that refers to users');
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT instance_env.guard('app.users')$q$)$$, '42501', NULL,
	'a role that does not own the table may not guard it');
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT instance_env.unguard('app.users')$q$)$$, '42501', NULL,
	'nor unguard it');
SELECT throws_ok($$SELECT pg_temp.backend($q$DROP TRIGGER instance_env_user_cap ON app.users$q$)$$, '42501', NULL,
	'nor drop a trigger');

SELECT is(has_schema_privilege('instance_env_backend', 'instance_env', 'USAGE'), false,
	'the backend may not use the schema');
SELECT is(has_schema_privilege('instance_env_owner', 'instance_env', 'USAGE'), true, 'who may guard may');

SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev'), ('u3', 'dev')$q$)$$,
	'INSERT up to the cap');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u4', 'dev')$q$)$$, '23I01', NULL,
	'INSERT beyond the cap');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u4', 'prod')$q$)$$, '23I04', NULL,
	'INSERT into an inactive instance');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u4', 'nowhere')$q$)$$, '23I03', NULL,
	'INSERT into no instance');
SELECT throws_ok($$SELECT pg_temp.backend($q$UPDATE app.users SET instance_id = 'dev2' WHERE id = 'u1'$q$)$$,
	'23I02', NULL, 'UPDATE of the instance');
SELECT lives_ok($$SELECT pg_temp.backend($q$UPDATE app.users SET id = 'u0' WHERE id = 'u1'$q$)$$, 'UPDATE of the key');
SELECT lives_ok($$SELECT pg_temp.backend($q$DELETE FROM app.users WHERE id = 'u2'$q$)$$, 'DELETE');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u1', 'dev2')$q$)$$, '23I02', NULL,
	'a key left behind was remembered');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u2', 'dev2')$q$)$$, '23I02', NULL,
	'a user deleted was remembered');
SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.sessions VALUES ('s1', 'dev', 'u3')$q$)$$,
	'INSERT of a session');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.sessions VALUES ('s2', 'dev2', 'u3')$q$)$$, '23503', NULL,
	'INSERT of a session of another instance''s user');
SELECT throws_ok($$SELECT pg_temp.backend($q$UPDATE app.sessions SET instance_id = 'dev2'$q$)$$, '23I02', NULL,
	'UPDATE of a session''s instance');
SELECT lives_ok($$SELECT pg_temp.backend($q$TRUNCATE app.users, app.sessions$q$)$$, 'TRUNCATE');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u3', 'dev2')$q$)$$, '23I02', NULL,
	'a user truncated was remembered');
SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u3', 'dev')$q$)$$, 'and may return');

SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.parts VALUES ('u1', 'dev'), ('u2', 'dev'), ('u3', 'dev')$q$)$$,
	'partitioned: INSERT up to the cap');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.parts VALUES ('u4', 'dev')$q$)$$, '23I01', NULL,
	'partitioned: INSERT beyond the cap');
SELECT lives_ok($$SELECT pg_temp.backend($q$UPDATE app.parts SET id = id || 'x'$q$)$$, 'partitioned: moves');
SELECT lives_ok($$SELECT pg_temp.backend($q$TRUNCATE app.parts$q$)$$, 'partitioned: TRUNCATE');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.parts VALUES ('u1x', 'dev2')$q$)$$, '23I02', NULL,
	'partitioned: a user truncated was remembered');

-- the same where plans are kept, and through a view, by a uuid
SELECT instance_env.create_application('wiki', development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 2) \gset
SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.members (id integer PRIMARY KEY, instance_id uuid NOT NULL, n integer DEFAULT 0);
CREATE VIEW app.shown AS SELECT id, instance_id, n FROM app.members;
SELECT count(*) FROM instance_env.guard('app.members') \gset
GRANT INSERT, SELECT, UPDATE, DELETE ON app.members, app.shown TO instance_env_backend;
RESET ROLE;
SET LOCAL plan_cache_mode = force_generic_plan;
SET LOCAL ROLE instance_env_backend;
PREPARE ins AS INSERT INTO app.members VALUES ($1, $2);
PREPARE upd AS UPDATE app.members SET n = n + 1 WHERE id = $1;
PREPARE del AS DELETE FROM app.members WHERE id = $1;
PREPARE shown AS INSERT INTO app.shown VALUES ($1, $2);
SELECT throws_ok($$SELECT instance_env.domain_root('example.com')$$, '42501', NULL,
	'it cannot name a function that PUBLIC may execute');
SELECT throws_ok($$CREATE TRIGGER t AFTER INSERT ON instance_env.departed_user EXECUTE FUNCTION suppress_redundant_updates_trigger()$$,
	'42501', 'permission denied for schema instance_env', 'nor a table, to wait for its lock');
SELECT throws_ok($$CREATE RULE r AS ON INSERT TO instance_env.instance DO NOTHING$$,
	'42501', 'permission denied for schema instance_env', 'nor for a rule');
SELECT lives_ok($$EXECUTE ins(1, 'd0000000-0000-4000-8000-000000000001')$$, 'prepared: INSERT');
SELECT lives_ok($$EXECUTE shown(2, 'd0000000-0000-4000-8000-000000000001')$$, 'through a view');
SELECT throws_ok($$EXECUTE ins(3, 'd0000000-0000-4000-8000-000000000001')$$, '23I01', NULL, 'up to the cap');
SELECT throws_ok($$EXECUTE shown(3, 'd0000000-0000-4000-8000-000000000001')$$, '23I01', NULL, 'also through the view');
SELECT lives_ok($$EXECUTE upd(1)$$, 'UPDATE');
SELECT lives_ok($$EXECUTE del(1)$$, 'DELETE');
SELECT lives_ok($$EXECUTE ins(4, 'd0000000-0000-4000-8000-000000000001')$$, 'INSERT again');
SELECT lives_ok($$UPDATE app.shown SET id = 5 WHERE id = 4$$, 'UPDATE of the key through the view');
SELECT throws_ok($$EXECUTE ins(4, 'a0000000-0000-4000-8000-000000000001')$$, '23I04', NULL, 'an inactive instance');
SELECT lives_ok($$MERGE INTO app.members m USING (VALUES (5), (2)) v (id) ON m.id = v.id WHEN MATCHED THEN DELETE$$, 'MERGE');
DEALLOCATE ALL;
RESET ROLE;

-- a role that may insert and nothing else, not even look
REVOKE ALL ON app.users FROM instance_env_backend;
GRANT INSERT ON app.users TO instance_env_backend;
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT FROM app.users$q$)$$, '42501', NULL, 'it cannot read');
SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u4', 'dev'), ('u5', 'dev')$q$)$$,
	'and can insert');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u6', 'dev')$q$)$$, '23I01', NULL,
	'up to the cap');

-- Nothing of the extension's can be read or called by it, though it may use the schema.
GRANT USAGE ON SCHEMA instance_env TO PUBLIC;
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT FROM instance_env.instance$q$)$$, '42501', NULL,
	'the registry cannot be read');
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT FROM instance_env.departed_user$q$)$$, '42501', NULL,
	'departed users cannot be read');
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT FROM instance_env.identity_key$q$)$$, '42501', NULL,
	'the key of the hash cannot be read');
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT FROM instance_env.instances$q$)$$, '42501', NULL,
	'the view cannot be read');
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT instance_env.create_application('x')$q$)$$, '42501', NULL,
	'no application can be created');
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT instance_env.forget_departed('infinity')$q$)$$, '42501', NULL,
	'nobody can be forgotten');

SELECT * FROM finish();
ROLLBACK;
