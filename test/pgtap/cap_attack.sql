-- Tries to get past the cap, as roles with no more rights than each try needs. What counts is
-- how many users there are in the end.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(28);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_id => '00000000-0000-4000-8000-00000000000d', development_key => 'dev') \gset
SELECT instance_env.create_application('blog', development_id => '00000000-0000-4000-8000-00000000001d', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap('00000000-0000-4000-8000-00000000000d', 5) \gset
CREATE TABLE app.users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n integer,
	instance_id uuid NOT NULL DEFAULT '00000000-0000-4000-8000-00000000000d');
SELECT count(*) FROM instance_env.guard('app.users') \gset

CREATE ROLE instance_env_inserter;
GRANT USAGE ON SCHEMA instance_env TO instance_env_inserter;
GRANT USAGE ON SCHEMA app TO instance_env_inserter;
GRANT INSERT ON app.users TO instance_env_inserter;
SELECT format('GRANT TEMPORARY ON DATABASE %I TO instance_env_inserter', current_database()) \gexec

CREATE FUNCTION pg_temp.users() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM app.users WHERE instance_id = '00000000-0000-4000-8000-00000000000d' $$;
\ir ../include/outcome.sql

-- runs a command as the role, and says what became of it and whether the cap holds
CREATE FUNCTION pg_temp.try(role name, command text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT is(pg_temp.outcome(role, command), '23I01', what || ': refused');
	RETURN NEXT cmp_ok(pg_temp.users(), '<=', 5::bigint, what || ': the cap holds');
	DELETE FROM app.users;
END $$;

--
-- INSERT only
--

SELECT pg_temp.try('instance_env_inserter', $try$
DO $$
DECLARE
	c1 refcursor; c2 refcursor; r record;
BEGIN
	OPEN c1 FOR EXECUTE 'INSERT INTO app.users DEFAULT VALUES RETURNING 1';
	OPEN c2 FOR EXECUTE 'INSERT INTO app.users (n) SELECT generate_series(1, 5) RETURNING 1';
	FETCH c1 INTO r;
	FETCH c2 INTO r;
END $$$try$, 'two cursors with one command id');
SELECT pg_temp.try('instance_env_inserter', $try$
DO $$
DECLARE
	c1 refcursor; c2 refcursor; r record;
BEGIN
	PERFORM instance_env.admission_required('00000000-0000-4000-8000-00000000000d'::uuid, 'app.users'::regclass, NULL::uuid)
	FROM generate_series(1, 100);
	OPEN c1 FOR EXECUTE 'INSERT INTO app.users DEFAULT VALUES RETURNING 1';
	OPEN c2 FOR EXECUTE 'INSERT INTO app.users (n) SELECT generate_series(1, 5) RETURNING 1';
	FETCH c1 INTO r;
	FETCH c2 INTO r;
END $$$try$, 'and the condition called by hand before');

-- the condition as that of a trigger of one's own, on a table of one's own
SELECT pg_temp.try('instance_env_inserter', $try$
	CREATE TEMP TABLE mine (instance_id uuid, id uuid);
	CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW
		WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id)) EXECUTE FUNCTION pg_temp.nothing();
	CREATE TRIGGER u AFTER INSERT ON mine FOR EACH ROW
		WHEN (instance_env.admission_required(NEW.instance_id, 4294967295, NEW.id)) EXECUTE FUNCTION pg_temp.nothing();
	INSERT INTO mine SELECT '00000000-0000-4000-8000-00000000000d' FROM generate_series(1, 100);
	INSERT INTO app.users DEFAULT VALUES;
	INSERT INTO app.users (n) SELECT generate_series(1, 9)$try$, 'the condition in a trigger of one''s own');

-- rows that a function of one's own puts in while the statement that calls it is running
SELECT pg_temp.try('instance_env_inserter', $try$
	CREATE FUNCTION pg_temp.one_more(i integer) RETURNS integer LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO app.users (n) VALUES (-i);
		RETURN i;
	END $$;
	INSERT INTO app.users (n) SELECT pg_temp.one_more(i) FROM generate_series(1, 3) i$try$, 'a statement within a statement');
SELECT pg_temp.try('instance_env_inserter', $try$
	WITH a AS (INSERT INTO app.users (n) SELECT generate_series(1, 3)), b AS (INSERT INTO app.users (n) SELECT generate_series(4, 6))
	INSERT INTO app.users (n) SELECT generate_series(7, 9)$try$, 'three INSERTs in one statement');

-- settings that any role may have
SELECT pg_temp.try('instance_env_inserter', format($try$SET LOCAL %s;
	INSERT INTO app.users DEFAULT VALUES; INSERT INTO app.users (n) SELECT generate_series(1, 9)$try$, setting), setting)
FROM unnest('{plan_cache_mode = force_generic_plan, default_transaction_isolation = serializable, row_security = off,
	search_path = pg_temp, enable_indexscan = off, constraint_exclusion = on, check_function_bodies = off}'::text[]) setting;

--
-- INSERT and DELETE: a seat that is free only until the delete is undone
--

CREATE ROLE instance_env_churner;
GRANT USAGE ON SCHEMA app TO instance_env_churner;
GRANT SELECT, INSERT, DELETE ON app.users TO instance_env_churner;
INSERT INTO app.users (n) SELECT generate_series(1, 5);
SELECT pg_temp.try('instance_env_churner', $try$
DO $$
BEGIN
	BEGIN
		DELETE FROM app.users;
		INSERT INTO app.users (n) SELECT generate_series(11, 15);
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	INSERT INTO app.users (n) SELECT generate_series(21, 25);
END $$$try$, 'a delete that is rolled back');

-- an admission that a trigger, which runs between the statement's rows, has got with deletes that it undoes
CREATE FUNCTION app.between() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.n < 0 THEN
		RETURN NULL;
	END IF;
	BEGIN
		DELETE FROM app.users;
		INSERT INTO app.users (n) VALUES (-1);
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	RETURN NULL;
END $$;
CREATE TRIGGER a_between AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.between();
SELECT pg_temp.try('instance_env_churner', 'INSERT INTO app.users (n) SELECT generate_series(1, 6)',
	'an admission by a trigger that undoes what made room');
DROP TRIGGER a_between ON app.users;

SELECT * FROM finish();
ROLLBACK;
