-- A session bound to an instance: enter(), leave(), current_instance()
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(46);

SELECT instance_env.create_application('shop', development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001', development_key => 'shop-dev') \gset
SELECT instance_env.create_application('digits', development_id => '01234567-89ab-4def-8f09-fedcba987654') \gset
SELECT * FROM instance_env.adopt_application('live', production_id => 'a0000000-0000-4000-8000-000000000002',
	development_id => 'd0000000-0000-4000-8000-000000000002') \gset
CREATE ROLE instance_env_backend;
SELECT instance_env.grant_backend('instance_env_backend') \gset
GRANT USAGE ON SCHEMA instance_env TO PUBLIC;	-- so that anybody can ask

SELECT has_function('instance_env', 'enter', ARRAY['uuid', 'boolean'], 'there is a function to enter an instance');
SELECT is(instance_env.current_instance(), NULL, 'a session begins in no instance');
SELECT is(instance_env.current_instance_key(), NULL, 'and has no key');
SELECT is(current_setting('instance_env.current_instance'), '', 'the parameter is empty');

SELECT instance_env.enter('01234567-89ab-4def-8f09-fedcba987654') \gset
SELECT is(instance_env.current_instance(), '01234567-89ab-4def-8f09-fedcba987654', 'every digit is read');
SELECT instance_env.leave() \gset

-- for the session
SELECT lives_ok($$SELECT instance_env.enter('d0000000-0000-4000-8000-000000000001')$$, 'a superuser may enter any instance');
SELECT is(instance_env.current_instance(), 'd0000000-0000-4000-8000-000000000001', 'and is in it');
SELECT is(instance_env.current_instance_key(), 'shop-dev', 'by its external key');
SELECT is(current_setting('instance_env.current_instance'), 'd0000000-0000-4000-8000-000000000001', 'the parameter shows it');
SELECT lives_ok($$SELECT instance_env.enter('A0000000-0000-4000-8000-000000000002', local => false)$$, 'another one takes its place');
SELECT is(instance_env.current_instance(), 'a0000000-0000-4000-8000-000000000002', 'the other one');
SELECT is(instance_env.current_instance_key(), 'a0000000-0000-4000-8000-000000000002', 'whose key is its id');
SELECT lives_ok($$SELECT instance_env.leave()$$, 'a session can leave');
SELECT is(instance_env.current_instance(), NULL, 'and is in none');
SELECT lives_ok($$SELECT instance_env.leave()$$, 'leaving none is no error');

-- a renamed instance has its new key at once, also before and after a rollback
SELECT instance_env.enter('d0000000-0000-4000-8000-000000000001') \gset
SAVEPOINT a;
SELECT instance_env.rename_instance('d0000000-0000-4000-8000-000000000001', 'shop-test') \gset
SELECT is(instance_env.current_instance_key(), 'shop-test', 'a new external key counts at once');
ROLLBACK TO a;
SELECT is(instance_env.current_instance_key(), 'shop-dev', 'and no longer when that is rolled back');

-- subtransactions
SAVEPOINT a;
SELECT instance_env.enter('a0000000-0000-4000-8000-000000000002') \gset
SAVEPOINT b;
SELECT instance_env.leave() \gset
SELECT is(instance_env.current_instance(), NULL, 'in a subtransaction, none');
ROLLBACK TO b;
SELECT is(instance_env.current_instance(), 'a0000000-0000-4000-8000-000000000002', 'rolled back, the one before');
ROLLBACK TO a;
SELECT is(instance_env.current_instance(), 'd0000000-0000-4000-8000-000000000001', 'and the one before that');
SAVEPOINT a;
SELECT instance_env.enter('a0000000-0000-4000-8000-000000000002') \gset
RELEASE a;
SELECT is(instance_env.current_instance(), 'a0000000-0000-4000-8000-000000000002', 'a released subtransaction leaves what it has entered');

-- in functions
CREATE FUNCTION pg_temp.returns_after_leave() RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
	PERFORM instance_env.enter('d0000000-0000-4000-8000-000000000001');
	PERFORM instance_env.leave();
	RETURN instance_env.current_instance();
END $$;
SELECT is(pg_temp.returns_after_leave(), NULL, 'a function enters, leaves, and returns');
SELECT is(instance_env.current_instance(), NULL, 'the session is in none after it');
CREATE FUNCTION pg_temp.with_settings() RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM instance_env.enter('d0000000-0000-4000-8000-000000000001', local => true);
	RETURN instance_env.current_instance();
END $$;
SELECT is(pg_temp.with_settings(), 'd0000000-0000-4000-8000-000000000001', 'a function with settings of its own enters locally');
SELECT is(instance_env.current_instance(), 'd0000000-0000-4000-8000-000000000001', 'which lasts for the transaction');
CREATE FUNCTION pg_temp.in_none() RETURNS uuid LANGUAGE plpgsql SET instance_env.current_instance = '' AS $$
BEGIN
	RETURN instance_env.current_instance();
END $$;
SELECT is(pg_temp.in_none(), NULL, 'a function may be set to run in no instance');
SELECT is(instance_env.current_instance(), 'd0000000-0000-4000-8000-000000000001', 'and the session is in its own after it');
CREATE FUNCTION pg_temp.caught() RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM instance_env.enter('a0000000-0000-4000-8000-000000000002');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		RETURN instance_env.current_instance();
	END;
END $$;
SELECT is(pg_temp.caught(), 'd0000000-0000-4000-8000-000000000001', 'an error takes back what was entered before it');

-- what is refused
SELECT throws_ok($$SELECT instance_env.enter(NULL)$$, '22004', 'argument "instance" must not be null');
SELECT throws_ok($$SELECT instance_env.enter('d0000000-0000-4000-8000-000000000001', NULL)$$, '22004', 'argument "local" must not be null');
SELECT throws_ok($$SELECT instance_env.enter('c0000000-0000-4000-8000-000000000001')$$, '23I03',
	'instance "c0000000-0000-4000-8000-000000000001" does not exist');
SELECT throws_ok($$SELECT instance_env.enter('a0000000-0000-4000-8000-000000000001')$$, '23I04',
	'instance "a0000000-0000-4000-8000-000000000001" is not active', 'one that has not been promoted');
SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000002') \gset
SELECT throws_ok($$SELECT instance_env.enter('a0000000-0000-4000-8000-000000000002')$$, '23I04',
	'instance "a0000000-0000-4000-8000-000000000002" is not active', 'one that is suspended');
SELECT is(instance_env.current_instance(), 'd0000000-0000-4000-8000-000000000001', 'what is refused leaves the session where it was');
SELECT throws_ok($$SELECT instance_env.enter('shop')$$, '22P02');

-- what becomes of an instance that a session is in
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000001') \gset
SELECT is(instance_env.current_instance(), 'd0000000-0000-4000-8000-000000000001', 'a session stays in an instance that is suspended');
SELECT throws_ok($$SELECT instance_env.enter('d0000000-0000-4000-8000-000000000001')$$, '23I04', NULL, 'but cannot enter it again');
SELECT instance_env.drop_application('shop') \gset
SELECT is(instance_env.current_instance(), NULL, 'a session is not in an instance that has been dropped');
SELECT is(instance_env.current_instance_key(), NULL, 'nor has it a key');
SELECT is(current_setting('instance_env.current_instance'), 'd0000000-0000-4000-8000-000000000001', 'though the parameter remains');
SELECT throws_ok($$SELECT instance_env.enter('d0000000-0000-4000-8000-000000000001')$$, '23I03', NULL, 'and it cannot be entered');

-- as a default, and what the planner may do
SELECT instance_env.enter('d0000000-0000-4000-8000-000000000002') \gset
CREATE TABLE notes (body text, instance_id uuid DEFAULT instance_env.current_instance());
INSERT INTO notes (body) VALUES ('x');
SELECT is((SELECT instance_id FROM notes), 'd0000000-0000-4000-8000-000000000002', 'a column can be filled in with it');
SELECT results_eq($$SELECT provolatile::text, proparallel::text FROM pg_proc WHERE proname LIKE 'current!_instance%' ESCAPE '!'
	AND pronamespace = 'instance_env'::regnamespace$$, $$VALUES ('s', 's'), ('s', 's')$$, 'which is stable, and safe in parallel plans');
PREPARE which AS SELECT instance_env.current_instance();
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT results_eq('EXECUTE which', $$VALUES ('d0000000-0000-4000-8000-000000000002'::uuid)$$, 'a prepared statement');
SELECT instance_env.leave() \gset
SELECT results_eq('EXECUTE which', $$VALUES (NULL::uuid)$$, 'sees a change');

-- nothing is written
SET LOCAL transaction_read_only = on;
SELECT lives_ok($$SELECT instance_env.enter('d0000000-0000-4000-8000-000000000002'), instance_env.leave()$$, 'in a read-only transaction');

SELECT * FROM finish();
ROLLBACK;
