-- Tries to bring a user, or a row, into another instance. What counts is where it is in the end.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(64);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_id => '00000000-0000-4000-8000-00000000000d', development_key => 'dev') \gset
SELECT instance_env.create_application('blog', development_id => '00000000-0000-4000-8000-00000000001d', development_key => 'dev2') \gset
CREATE ROLE instance_env_mover;
CREATE ROLE instance_env_owner;
CREATE SCHEMA own AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO instance_env_mover, instance_env_owner;
GRANT USAGE ON SCHEMA instance_env TO instance_env_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA instance_env TO instance_env_owner;

\ir ../include/outcome.sql

--
-- DELETE and INSERT in one statement, while triggers of another table run in between. The owner
-- of that table was let in, and may make triggers with the extension's functions.
--

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
GRANT SELECT, INSERT, DELETE ON app.users TO instance_env_mover, instance_env_owner;
INSERT INTO app.users VALUES ('ann', 'dev');
CREATE FUNCTION pg_temp.moved() RETURNS text LANGUAGE sql AS $$SELECT instance_id FROM app.users WHERE id = 'ann'$$;

SET LOCAL ROLE instance_env_owner;
CREATE TABLE own.mine (id text PRIMARY KEY, instance_id text);
CREATE FUNCTION own.arrive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO app.users VALUES ('ann', 'dev2');
	RETURN NULL;
END $$;
SELECT throws_ok($$CREATE TRIGGER a1 AFTER DELETE ON own.mine FOR EACH ROW
	EXECUTE FUNCTION instance_env.record_departure('instance_env_owner/own.mine')$$, '42501', NULL, 'no trigger that guard() would not make');
CREATE TRIGGER a9 AFTER DELETE ON own.mine FOR EACH ROW EXECUTE FUNCTION own.arrive();
-- and if it had been made, by a superuser for example
RESET ROLE;
CREATE TRIGGER a1 AFTER DELETE ON own.mine FOR EACH ROW
	EXECUTE FUNCTION instance_env.record_departure('instance_env_owner/own.mine');
CREATE TRIGGER a2 AFTER DELETE ON own.mine FOR EACH ROW
	EXECUTE FUNCTION instance_env.record_departure('instance_env_owner/own.mine');
SET LOCAL ROLE instance_env_owner;
INSERT INTO own.mine VALUES ('x', 'dev');
RESET ROLE;
SELECT is(pg_temp.outcome('instance_env_owner', $$
	WITH m AS (DELETE FROM own.mine RETURNING 1), d AS (DELETE FROM app.users WHERE (SELECT count(*) FROM m) >= 0 RETURNING 1)
	SELECT FROM d$$), '23I02', 'departures that another table''s triggers count down');
SELECT is(pg_temp.moved(), 'dev', 'the user stays');
SET LOCAL ROLE instance_env_owner;
DROP TRIGGER a1 ON own.mine;
DROP TRIGGER a2 ON own.mine;
SELECT count(*) FROM instance_env.guard('own.mine') \gset
RESET ROLE;
CREATE TRIGGER a1 AFTER DELETE ON own.mine FOR EACH ROW
	EXECUTE FUNCTION instance_env.record_departure('instance_env_owner/own.mine');
CREATE TRIGGER a2 AFTER DELETE ON own.mine FOR EACH ROW WHEN (true)
	EXECUTE FUNCTION instance_env.record_departure('instance_env_owner/own.mine');
RESET ROLE;
SELECT is(pg_temp.outcome('instance_env_owner', $$
	WITH m AS (DELETE FROM own.mine RETURNING 1), d AS (DELETE FROM app.users WHERE (SELECT count(*) FROM m) >= 0 RETURNING 1)
	SELECT FROM d$$), '23I02', 'nor of a table that is guarded');
SELECT is(pg_temp.moved(), 'dev', 'the user stays');
CREATE TRIGGER a3 AFTER UPDATE ON own.mine FOR EACH ROW WHEN (OLD.instance_id IS DISTINCT FROM NEW.instance_id OR OLD.id <> NEW.id)
	EXECUTE FUNCTION instance_env.check_transfer('instance_env_owner/own.mine');
CREATE TRIGGER a9u AFTER UPDATE ON own.mine FOR EACH ROW EXECUTE FUNCTION own.arrive();
RESET ROLE;
SELECT is(pg_temp.outcome('instance_env_owner', $$
	WITH m AS (UPDATE own.mine SET id = 'y' RETURNING 1), d AS (DELETE FROM app.users WHERE (SELECT count(*) FROM m) >= 0 RETURNING 1)
	SELECT FROM d$$), '23I02', 'nor with changes of keys');
SELECT is(pg_temp.moved(), 'dev', 'the user stays');
SELECT is(pg_temp.outcome('instance_env_mover', $$
	WITH d AS (DELETE FROM app.users RETURNING id) INSERT INTO app.users SELECT id, 'dev2' FROM d$$), '23I02',
	'DELETE and INSERT in one statement');
SELECT is(pg_temp.outcome('instance_env_mover', $$
	DELETE FROM app.users; INSERT INTO app.users VALUES ('ann', 'dev2')$$), '23I02', 'DELETE, then INSERT');
SELECT is(pg_temp.moved(), 'dev', 'the user stays');

-- a trigger on somebody else's table that names other columns, by who may make triggers there
CREATE TABLE app.tagged (id text PRIMARY KEY, instance_id text, tag text);
SELECT count(*) FROM instance_env.guard('app.tagged') \gset
GRANT TRIGGER, INSERT ON app.tagged TO instance_env_owner;
SELECT is(pg_temp.outcome('instance_env_owner', format($$CREATE TRIGGER zzz AFTER INSERT ON app.tagged FOR EACH ROW
	WHEN (instance_env.admission_required(NEW.tag, NEW.tableoid, NEW.id))
	EXECUTE FUNCTION instance_env.check_user_cap(%L)$$, (SELECT label FROM instance_env.guards WHERE relation = 'app.tagged'::regclass))),
	'42501', 'a trigger of the extension''s is for the table''s owner to make');
SELECT is(pg_temp.outcome('instance_env_owner', $$CREATE TRIGGER zzz BEFORE TRUNCATE ON app.tagged
	EXECUTE FUNCTION instance_env.record_truncate()$$), '42501', 'also one for TRUNCATE');

--
-- An UPDATE that moves a row to another partition, whose instance other triggers change
--

CREATE FUNCTION app.redirect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.instance_id := coalesce(NEW.target, NEW.instance_id);
	RETURN NEW;
END $$;
CREATE FUNCTION pg_temp.try_moves(what text, key text, instance_type text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	here constant text := CASE instance_type WHEN 'uuid' THEN '00000000-0000-4000-8000-00000000000d' ELSE 'dev' END;
	there constant text := CASE instance_type WHEN 'uuid' THEN '00000000-0000-4000-8000-00000000001d' ELSE 'dev2' END;
	event text;
	redirect text;
BEGIN
	EXECUTE format('CREATE TABLE app.parted (id text, region integer, instance_id %s, target %1$s) PARTITION BY LIST (region)', instance_type);
	CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES IN (1);
	CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES IN (2);
	PERFORM instance_env.guard('app.parted', user_key => key);
	GRANT SELECT, INSERT, UPDATE, DELETE ON app.parted TO instance_env_mover;
	EXECUTE format('INSERT INTO app.parted VALUES (%L, 1, %L)', 'ann', here);
	RETURN NEXT is(pg_temp.outcome('instance_env_mover', format('UPDATE app.parted SET region = 2, instance_id = %L', there)), '23I02',
				   what || ': outright');
	FOREACH event IN ARRAY ARRAY['BEFORE UPDATE ON app.parted', 'BEFORE INSERT ON app.parted'] LOOP
		EXECUTE format('CREATE TRIGGER zzz %s FOR EACH ROW EXECUTE FUNCTION app.redirect()', event);
		RETURN NEXT is(pg_temp.outcome('instance_env_mover', format('UPDATE app.parted SET region = 2, target = %L', there)), '23I02',
					   what || ': ' || event);
		RETURN NEXT is(pg_temp.outcome('instance_env_mover', format('UPDATE app.parted SET region = 2, id = %L, target = %L', 'bob', there)),
					   '23I02', what || ': and another key, ' || event);
		RETURN NEXT is(pg_temp.outcome('instance_env_mover', format($q$
			WITH u AS (UPDATE app.parted SET region = 2, target = %L RETURNING 1), i AS (INSERT INTO app.parted VALUES ('cleo', 1, %L) RETURNING 1)
			SELECT FROM u, i$q$, there, here)), '23I02', what || ': beside an INSERT into the first, ' || event);
		RETURN NEXT is(pg_temp.outcome('instance_env_mover', format($q$
			MERGE INTO app.parted USING (VALUES ('ann')) v (id) ON v.id = parted.id WHEN MATCHED THEN UPDATE SET region = 2, target = %L$q$, there)),
			'23I02', what || ': MERGE, ' || event);
		RETURN NEXT is(pg_temp.outcome('instance_env_mover', 'UPDATE app.parted SET region = 3 - region'), 'ok',
					   what || ': moves within the instance, ' || event);
		RETURN NEXT is(pg_temp.outcome('instance_env_mover', format($q$
			WITH u AS (UPDATE app.parted SET region = 3 - region RETURNING 1), i AS (INSERT INTO app.parted VALUES ('dan', 1, %L) RETURNING 1)
			SELECT FROM u, i$q$, there)), 'ok', what || ': beside an INSERT into another, ' || event);
		DELETE FROM app.parted WHERE id = 'dan';
		EXECUTE format('UPDATE app.parted SET region = 1');
		DROP TRIGGER zzz ON app.parted;
	END LOOP;
	EXECUTE format('SELECT instance_id::text FROM app.parted WHERE id = %L', 'ann') INTO redirect;
	RETURN NEXT is(redirect, here, what || ': the row stays');
	DROP TABLE app.parted;
	PERFORM instance_env.forget_departed('infinity');
END $$;
SELECT pg_temp.try_moves('identities followed', 'id', 'text');
SELECT pg_temp.try_moves('no identities', '', 'text');
SELECT pg_temp.try_moves('uuid', '', 'uuid');

-- while another move runs in between, by a trigger that fires after the row has left
CREATE TABLE app.parted (id text, region integer, instance_id text, target text) PARTITION BY LIST (region);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES IN (1);
CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES IN (2);
SELECT count(*) FROM instance_env.guard('app.parted', user_key => '') \gset
INSERT INTO app.parted VALUES ('ann', 1, 'dev'), ('bob', 1, 'dev2');
CREATE FUNCTION app.move_bob() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.id = 'ann' THEN
		UPDATE app.parted SET region = 3 - region WHERE id = 'bob';
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER redirect BEFORE INSERT ON app.parted FOR EACH ROW EXECUTE FUNCTION app.redirect();
CREATE TRIGGER instance_env_no_mover AFTER DELETE ON app.parted FOR EACH ROW EXECUTE FUNCTION app.move_bob();
SELECT throws_ok($$UPDATE app.parted SET region = 2, target = 'dev2' WHERE id = 'ann'$$, '23I02', NULL, 'a move within a move');
SELECT lives_ok($$UPDATE app.parted SET region = 2 WHERE id = 'ann'$$, 'neither of which changes the instance');
SELECT results_eq($$SELECT id, instance_id, region FROM app.parted ORDER BY 1$$, $$VALUES ('ann', 'dev', 2), ('bob', 'dev2', 2)$$, 'both are where they should be');

--
-- The table's name, taken by another role, leads to nothing
--

CREATE SCHEMA shared;
GRANT USAGE, CREATE ON SCHEMA shared TO instance_env_owner;
CREATE TABLE shared.users (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('shared.users') \gset
INSERT INTO shared.users VALUES ('eve', 'dev');
DROP TABLE shared.users;
SET LOCAL ROLE instance_env_owner;
CREATE TABLE shared.users (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('shared.users') \gset
SELECT lives_ok($$INSERT INTO shared.users VALUES ('eve', 'dev2'); DELETE FROM shared.users$$, 'no record of the table that had the name');
DROP TABLE shared.users;
RESET ROLE;
CREATE TABLE shared.users (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('shared.users') \gset
SELECT lives_ok($$INSERT INTO shared.users VALUES ('eve', 'dev')$$, 'nor does the other one''s record stop anybody here');
DELETE FROM shared.users;
DROP TABLE shared.users;
CREATE TABLE shared.users (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('shared.users') \gset
SELECT throws_ok($$INSERT INTO shared.users VALUES ('eve', 'dev2')$$, '23I02', NULL, 'the same owner''s table goes on where it was');

--
-- An application that is dropped does not set its users free
--

CREATE TABLE app.orphans (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.orphans') \gset
SELECT instance_env.create_application('brief', development_id => '00000000-0000-4000-8000-00000000002d', development_key => 'dev3') \gset
INSERT INTO app.orphans VALUES ('fay', 'dev3');
DELETE FROM app.orphans;
SELECT lives_ok($$SELECT instance_env.drop_application(instance_env.application_id('brief'))$$, 'an application is dropped');
SELECT throws_ok($$INSERT INTO app.orphans VALUES ('fay', 'dev')$$, '23I02', NULL, 'its user appears nowhere else');
SELECT instance_env.create_application('brief', development_key => 'dev3') \gset
SELECT throws_ok($$INSERT INTO app.orphans VALUES ('fay', 'dev3')$$, '23I02', NULL, 'nor in one that has its names');

-- an instance that a superuser has removed is no other one
CREATE TABLE app.strays (id text PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('app.strays') \gset
INSERT INTO app.strays VALUES ('gil', '00000000-0000-4000-8000-00000000001d');
DELETE FROM instance_env.instance WHERE id = '00000000-0000-4000-8000-00000000001d';
DELETE FROM app.strays;
SELECT throws_ok($$INSERT INTO app.strays VALUES ('gil', '00000000-0000-4000-8000-00000000000d')$$, '23I02', NULL, 'a user of an instance that has vanished');

SELECT * FROM finish();
ROLLBACK;
