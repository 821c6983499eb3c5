-- new_user_id() of the instance that the session has entered, above all in a column's default
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(33);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set other '\'d0000000-0000-4000-8000-000000000002\''
SELECT instance_env.create_application('shop', development_id => :dev) \gset
SELECT instance_env.create_application('bank', development_id => :other) \gset
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_stranger;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.grant_backend('instance_env_stranger') \gset
SELECT instance_env.allow_instance('instance_env_backend') \gset
CREATE SCHEMA app;
CREATE TABLE app.users (
	id uuid PRIMARY KEY DEFAULT instance_env.new_user_id(),
	instance_id uuid NOT NULL DEFAULT instance_env.current_instance(),
	name text);
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.users TO PUBLIC;
CREATE TEMP VIEW wrong AS SELECT * FROM app.users WHERE NOT instance_env.id_belongs(id, instance_id);

-- none entered

CREATE FUNCTION pg_temp.failure(command text, OUT message text) LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE command;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	message := SQLSTATE || ' ' || message || ': ' || detail || ' ' || hint;
END $$;
SELECT is(pg_temp.failure('SELECT instance_env.new_user_id()'), '55000 no instance to make a user id for: The session has not entered an instance.'
	' Enter one with instance_env.enter(), or name it: instance_env.new_user_id(instance).', 'none entered');
SELECT throws_ok('INSERT INTO app.users (instance_id) VALUES (''d0000000-0000-4000-8000-000000000001'')', '55000', NULL, 'nor is there a default');
SELECT lives_ok(format('INSERT INTO app.users (id, instance_id) VALUES (instance_env.new_user_id(%L), %1$L)', :dev), 'but an instance can be named');

-- entered by a plain role

SET LOCAL ROLE instance_env_backend;
SELECT instance_env.enter(:dev) \gset
SELECT is(instance_env.id_instance(instance_env.new_user_id()), :dev::uuid, 'of the instance that was entered');
SELECT lives_ok('INSERT INTO app.users (name) VALUES (''a''), (''b'')', 'INSERT');
SELECT lives_ok('INSERT INTO app.users (name) SELECT ''s'' || n FROM generate_series(1, 10) n', 'INSERT … SELECT');
SELECT lives_ok('INSERT INTO app.users DEFAULT VALUES', 'DEFAULT VALUES');
RESET ROLE;
GRANT pg_execute_server_program TO instance_env_backend;
SET LOCAL ROLE instance_env_backend;
SELECT lives_ok('COPY app.users (name) FROM PROGRAM ''seq 1 100''', 'COPY');
RESET ROLE;
REVOKE pg_execute_server_program FROM instance_env_backend;
SET LOCAL ROLE instance_env_backend;
SELECT is((SELECT count(*) FROM app.users WHERE instance_id = :dev), 114::bigint, 'all are there');
SELECT lives_ok('INSERT INTO app.users SELECT id, instance_id, ''again'' FROM app.users ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name', 'ON CONFLICT');
SELECT lives_ok('MERGE INTO app.users u USING (VALUES (''m'')) v (name) ON u.name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name)', 'MERGE');
SELECT lives_ok('UPDATE app.users SET id = DEFAULT WHERE name = ''m''', 'UPDATE … SET id = DEFAULT');
RESET ROLE;
SELECT is_empty('TABLE wrong', 'every id belongs to its row''s instance');

-- another instance than the one that was entered

SAVEPOINT elsewhere;
SET LOCAL ROLE instance_env_backend;
SELECT lives_ok(format('INSERT INTO app.users (instance_id, name) VALUES (%L, ''elsewhere'')', :other), 'a row that names another instance');
RESET ROLE;
SELECT results_eq('SELECT name FROM wrong', ARRAY['elsewhere'], 'has an id of the one that was entered');
ROLLBACK TO elsewhere;
SELECT is(instance_env.current_instance(), :dev, 'still entered');

-- as others

SELECT is(pg_temp.failure('SET LOCAL ROLE instance_env_stranger; SELECT instance_env.new_user_id()'), '55000 no instance to make a user id for:'
	' The session has entered an instance that role "instance_env_stranger" may not be in, or that no longer exists.'
	' Enter one with instance_env.enter(), or name it: instance_env.new_user_id(instance).', 'a role that may not be in it');
SELECT throws_ok('SET LOCAL ROLE instance_env_stranger; INSERT INTO app.users DEFAULT VALUES', '55000', NULL, 'has no default either');
SELECT lives_ok(format('SET LOCAL ROLE instance_env_stranger; SELECT instance_env.new_user_id(%L)', :dev), 'but can name the instance');
RESET ROLE;
SAVEPOINT forbidden;
SET LOCAL ROLE instance_env_backend;
SELECT lives_ok('SELECT instance_env.new_user_id()', 'who may be in it');
RESET ROLE;
SELECT instance_env.forbid_instance('instance_env_backend') \gset
SET LOCAL ROLE instance_env_backend;
SELECT throws_ok('SELECT instance_env.new_user_id()', '55000', NULL, 'may no longer once that is taken back');
ROLLBACK TO forbidden;

-- the entered instance follows transactions, and may go

SAVEPOINT a;
SELECT instance_env.enter(:other, local => true) \gset
SELECT is(instance_env.id_instance(instance_env.new_user_id()), :other::uuid, 'another one, for the transaction');
ROLLBACK TO a;
SELECT is(instance_env.id_instance(instance_env.new_user_id()), :dev::uuid, 'rolled back, the one before');
SELECT instance_env.suspend_instance(:dev) \gset
SELECT is(instance_env.id_instance(instance_env.new_user_id()), :dev::uuid, 'it is suspended: there are ids, the guard refuses rows');
SELECT instance_env.drop_application('shop') \gset
SELECT throws_ok('SELECT instance_env.new_user_id()', '55000', NULL, 'it is dropped');
SELECT instance_env.leave() \gset
SELECT throws_ok('SELECT instance_env.new_user_id()', '55000', 'no instance to make a user id for', 'it is left');

-- in a guarded table

SELECT instance_env.create_application('guarded', development_id => :dev) \gset
SELECT instance_env.enter(:dev) \gset
CREATE TABLE app.guarded (LIKE app.users INCLUDING ALL);
SELECT count(*) FROM instance_env.guard('app.guarded') \gset
SELECT lives_ok('INSERT INTO app.guarded (name) VALUES (''g'')', 'a guarded table');
SELECT throws_ok(format('UPDATE app.guarded SET instance_id = %L', :other), '23I02', NULL, 'keeps its rows where they are');
SELECT instance_env.set_user_cap(:dev, 1) \gset
SELECT throws_ok('INSERT INTO app.guarded (name) VALUES (''one too many'')', '23I01', NULL, 'and its cap');

-- a partitioned table, and one that is made when an instance is entered

CREATE TABLE app.parted (id uuid NOT NULL DEFAULT instance_env.new_user_id(), instance_id uuid NOT NULL DEFAULT instance_env.current_instance())
	PARTITION BY HASH (instance_id);
CREATE TABLE app.parted0 PARTITION OF app.parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.parted1 PARTITION OF app.parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO app.parted DEFAULT VALUES;
SELECT results_eq('SELECT instance_env.id_belongs(id, instance_id) FROM app.parted', ARRAY[true], 'partitions');
CREATE TABLE app.filled AS SELECT n FROM generate_series(1, 3) n;
ALTER TABLE app.filled ADD COLUMN id uuid DEFAULT instance_env.new_user_id();
SELECT is((SELECT count(DISTINCT id) FROM app.filled WHERE instance_env.id_instance(id) = :dev), 3::bigint, 'a column that is added gives each row an id of its own');

-- by a function of another owner, which may be in no instance
CREATE FUNCTION app.make() RETURNS uuid LANGUAGE sql SECURITY DEFINER AS 'SELECT instance_env.new_user_id()';
ALTER FUNCTION app.make() OWNER TO instance_env_stranger;
SELECT throws_ok('SELECT app.make()', '55000', NULL, 'SECURITY DEFINER: the owner counts');
ALTER FUNCTION app.make() OWNER TO instance_env_backend;
SELECT is(instance_env.id_instance(app.make()), :dev::uuid, 'if it may be in the instance, it makes ids');

SELECT * FROM finish();
ROLLBACK;
