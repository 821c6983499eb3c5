-- A role that may enter development only, and tries to be in production
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(49);

SELECT * FROM instance_env.adopt_application('shop', development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_live;
CREATE ROLE instance_env_nobody;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.grant_backend('instance_env_live') \gset
SELECT instance_env.allow_instance('instance_env_backend', 'shop', 'development'),
	instance_env.allow_instance('instance_env_live', 'shop', 'production') \gset
GRANT USAGE ON SCHEMA instance_env TO PUBLIC;
GRANT CREATE ON SCHEMA public TO instance_env_backend;
\set prod '\'a0000000-0000-4000-8000-000000000001\''
\set dev '\'d0000000-0000-4000-8000-000000000001\''

-- Where this session would be, were it so.
CREATE FUNCTION pg_temp.where() RETURNS text LANGUAGE sql AS
$$SELECT coalesce(instance_env.current_instance()::text, 'none')$$;

SET LOCAL ROLE instance_env_backend;
SELECT throws_ok($$SELECT instance_env.enter('a0000000-0000-4000-8000-000000000001')$$, '42501',
	'permission denied to enter instance "a0000000-0000-4000-8000-000000000001"', 'it is not let in');

-- the parameter, by every command that sets one, also to the instance that it is in
SELECT instance_env.enter(:dev, local => true) \gset
CREATE TEMP TABLE commands AS SELECT * FROM (VALUES
	('SET', $$SET instance_env.current_instance = %L$$),
	('SET LOCAL', $$SET LOCAL instance_env.current_instance = %L$$),
	('SET SESSION', $$SET SESSION instance_env.current_instance TO %L$$),
	('set_config()', $$SELECT set_config('instance_env.current_instance', %L, false)$$),
	('set_config(), locally', $$SELECT set_config('INSTANCE_ENV.Current_Instance', %L, true)$$),
	('pg_settings', $$UPDATE pg_settings SET setting = %L WHERE name = 'instance_env.current_instance'$$),
	('ALTER ROLE', $$ALTER ROLE instance_env_backend SET instance_env.current_instance = %L$$),
	('CREATE FUNCTION', $$CREATE FUNCTION public.f() RETURNS uuid LANGUAGE sql SET instance_env.current_instance = %L AS 'SELECT instance_env.current_instance()'$$)
	) c (what, command);
SELECT throws_ok(format(command, :prod), '42501', 'permission denied to set parameter "instance_env.current_instance"', what) FROM commands;
SELECT throws_ok(format(command, :dev), '42501', 'permission denied to set parameter "instance_env.current_instance"', what || ': where it is anyway') FROM commands;
SELECT throws_ok($$SET instance_env.current_instance = 'x'$$, '42501', NULL, 'what is no instance');
SELECT throws_ok($$SET instance_env.current_instance = ' '$$, '42501', NULL, 'a blank');
SELECT throws_ok($$SET instance_env.current_instance = 1$$, '42501', NULL, 'a number');
SELECT throws_ok(format($$SET instance_env.current_instance = %L$$, repeat('ü', 500000)), '42501', NULL, 'a megabyte');
SELECT is(pg_temp.where(), :dev, 'the session is where it was');
RESET ROLE;
SELECT throws_ok($$ALTER DATABASE postgres SET instance_env.current_instance = 'a0000000-0000-4000-8000-000000000001'$$, '42501', NULL, 'ALTER DATABASE, as a superuser');
SELECT throws_ok($$SET instance_env.current_instance = 'a0000000-0000-4000-8000-000000000001'$$, '42501', NULL, 'SET, as a superuser');
SELECT instance_env.enter(:prod, local => true) \gset
SELECT throws_ok($$CREATE FUNCTION public.f() RETURNS uuid LANGUAGE sql SET instance_env.current_instance FROM CURRENT AS 'SELECT instance_env.current_instance()'$$,
	'42501', NULL, 'what is current is not put into a function');
SELECT throws_ok($$ALTER ROLE instance_env_backend SET instance_env.current_instance FROM CURRENT$$, '42501', NULL, 'nor into a role');

-- what has been entered by a role that may, in the hands of one that may not
SELECT is(pg_temp.where(), :prod, 'a superuser is in production');
SET LOCAL ROLE instance_env_backend;
SELECT is(pg_temp.where(), 'none', 'SET ROLE: not the role that it becomes');
SELECT is(instance_env.current_instance_key(), NULL, 'nor by its key');
SET LOCAL ROLE instance_env_nobody;
SELECT is(pg_temp.where(), 'none', 'one without any allowance');
RESET ROLE;
SELECT is(pg_temp.where(), :prod, 'until it is a superuser again');
SET LOCAL SESSION AUTHORIZATION instance_env_backend;
SELECT is(pg_temp.where(), 'none', 'SET SESSION AUTHORIZATION');
RESET SESSION AUTHORIZATION;

-- SECURITY DEFINER, in both directions
CREATE FUNCTION public.of_superuser() RETURNS text LANGUAGE sql SECURITY DEFINER AS
$$SELECT coalesce(instance_env.current_instance()::text, 'none')$$;
CREATE FUNCTION public.enters() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	PERFORM instance_env.enter('a0000000-0000-4000-8000-000000000001');
	RETURN instance_env.current_instance();
END $$;
SET LOCAL ROLE instance_env_backend;
CREATE FUNCTION public.of_backend() RETURNS text LANGUAGE sql SECURITY DEFINER AS
$$SELECT coalesce(instance_env.current_instance()::text, 'none')$$;
RESET ROLE;
SELECT is(public.of_superuser(), :prod, 'a superuser''s function sees production');
SELECT is(public.of_backend(), 'none', 'a function of the backend does not, when a superuser calls it');
SET LOCAL ROLE instance_env_backend;
SELECT is(public.of_superuser(), :prod, 'and that of a superuser does, when the backend calls it');
SELECT instance_env.leave() \gset
SELECT is(public.enters(), :prod, 'a superuser''s function may enter');
SELECT is(pg_temp.where(), 'none', 'which does not let its caller in');
SELECT instance_env.enter(:dev) \gset
SELECT is(pg_temp.where(), :dev, 'who is where it may be');
SELECT is(public.of_superuser(), :dev, 'as is a superuser''s function that it calls');

-- a value that comes back
RESET ROLE;
SELECT instance_env.enter(:prod) \gset
SAVEPOINT a;
SET LOCAL ROLE instance_env_backend;
SELECT instance_env.enter(:dev) \gset
SELECT is(pg_temp.where(), :dev, 'in a subtransaction');
ROLLBACK TO a;
SET LOCAL ROLE instance_env_backend;
SELECT is(current_setting('instance_env.current_instance'), :prod, 'what a rollback brings back');
SELECT is(pg_temp.where(), 'none', 'is of no use to a role that may not enter it');
CREATE FUNCTION public.g() RETURNS text LANGUAGE sql SET instance_env.current_instance = '' AS
$$SELECT coalesce(instance_env.current_instance()::text, 'none')$$;
SELECT is(public.g(), 'none', 'nor what the end of a function does');
SELECT is(pg_temp.where(), 'none', 'not even afterwards');

-- anybody may leave
SELECT instance_env.enter(:dev) \gset
SELECT lives_ok($$SET instance_env.current_instance = ''$$, 'an empty string');
SELECT is(pg_temp.where(), 'none', 'is to leave');
SELECT instance_env.enter(:dev) \gset
SELECT lives_ok($$RESET instance_env.current_instance$$, 'RESET');
SELECT is(pg_temp.where(), 'none', 'is, too');
SELECT instance_env.enter(:dev) \gset
RESET ALL;
SELECT is(pg_temp.where(), 'none', 'and RESET ALL');

SELECT * FROM finish();
ROLLBACK;
