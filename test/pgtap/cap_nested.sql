-- Rows that a statement adds while it runs, by triggers and by functions that it
-- calls: the cap holds exactly, whichever command of the transaction adds a row and
-- whichever check looks first.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(30);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 6) \gset

-- A user whose key begins with "+" brings a sibling along.
CREATE FUNCTION app.add_sibling() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id LIKE '+%' THEN
		INSERT INTO app.users VALUES (substr(NEW.id, 2) || ' ' || TG_NAME, NEW.instance_id);
	END IF;
	RETURN NEW;
END $$;

-- adds a user as well as naming one
CREATE FUNCTION app.make(i integer) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	INSERT INTO app.users VALUES ('made ' || i, 'dev');
	RETURN 'named ' || i;
END $$;

-- adds a user if there is a seat
CREATE FUNCTION app.try(i integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	INSERT INTO app.users VALUES ('tried ' || i, 'dev');
	RETURN true;
EXCEPTION WHEN SQLSTATE '23I01' THEN
	RETURN false;
END $$;

-- starts each case with an empty table that has forgotten everybody
CREATE FUNCTION app.fresh() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS app.users;
	CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL DEFAULT 'dev');
	PERFORM instance_env.guard('app.users');
END $$;

-- AFTER ROW triggers that fire before ours (by name) and after them, BEFORE ROW ones

SELECT app.fresh() \gset
CREATE TRIGGER a_sibling AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.add_sibling();
SELECT throws_ok($$INSERT INTO app.users VALUES ('+1'), ('+2'), ('+3'), ('4')$$, '23I01', NULL,
	'AFTER trigger, earlier: 4 + 3 users are refused');
SELECT lives_ok($$INSERT INTO app.users VALUES ('+1'), ('+2'), ('+3')$$,
	'AFTER trigger, earlier: 3 + 3 users are admitted');
SELECT throws_ok($$INSERT INTO app.users VALUES ('7')$$, '23I01', NULL, 'AFTER trigger, earlier: full');

SELECT app.fresh() \gset
CREATE TRIGGER z_sibling AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.add_sibling();
SELECT throws_ok($$INSERT INTO app.users VALUES ('+1'), ('+2'), ('+3'), ('4')$$, '23I01', NULL,
	'AFTER trigger, later: 4 + 3 users are refused');
SELECT throws_ok($$INSERT INTO app.users VALUES ('1'), ('2'), ('3'), ('4'), ('5'), ('+6')$$, '23I01', NULL,
	'AFTER trigger, later: 6 + 1 users are refused');
SELECT lives_ok($$INSERT INTO app.users VALUES ('+1'), ('+2'), ('+3')$$,
	'AFTER trigger, later: 3 + 3 users are admitted');
SELECT throws_ok($$INSERT INTO app.users VALUES ('7')$$, '23I01', NULL, 'AFTER trigger, later: full');

SELECT app.fresh() \gset
CREATE TRIGGER sibling BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.add_sibling();
SELECT throws_ok($$INSERT INTO app.users VALUES ('+1'), ('+2'), ('+3'), ('4')$$, '23I01', NULL,
	'BEFORE trigger: 4 + 3 users are refused');
SELECT throws_ok($$INSERT INTO app.users VALUES ('1'), ('2'), ('3'), ('4'), ('5'), ('+6')$$, '23I01', NULL,
	'BEFORE trigger: 6 + 1 users are refused');
SELECT lives_ok($$INSERT INTO app.users VALUES ('+1'), ('+2'), ('+3')$$,
	'BEFORE trigger: 3 + 3 users are admitted');
SELECT throws_ok($$INSERT INTO app.users VALUES ('7')$$, '23I01', NULL, 'BEFORE trigger: full');

-- both at once, and a statement trigger

SELECT app.fresh() \gset
CREATE TRIGGER a_sibling BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.add_sibling();
CREATE TRIGGER z_sibling AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.add_sibling();
SELECT throws_ok($$INSERT INTO app.users VALUES ('+1'), ('+2'), ('3')$$, '23I01', NULL,
	'BEFORE and AFTER triggers: 3 + 2 + 2 users are refused');
SELECT lives_ok($$INSERT INTO app.users VALUES ('+1'), ('+2')$$,
	'BEFORE and AFTER triggers: 2 + 2 + 2 users are admitted');

SELECT app.fresh() \gset
CREATE FUNCTION app.add_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() = 1 THEN
		INSERT INTO app.users VALUES ('s1'), ('s2');
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER two AFTER INSERT ON app.users FOR EACH STATEMENT EXECUTE FUNCTION app.add_two();
SELECT throws_ok($$INSERT INTO app.users VALUES ('1'), ('2'), ('3'), ('4'), ('5')$$, '23I01', NULL,
	'statement trigger: 5 + 2 users are refused');
SELECT lives_ok($$INSERT INTO app.users VALUES ('1'), ('2'), ('3'), ('4')$$,
	'statement trigger: 4 + 2 users are admitted');

-- functions in the SELECT list that insert into the same table in the same statement

SELECT app.fresh() \gset
SELECT throws_ok($$INSERT INTO app.users SELECT app.make(i) FROM generate_series(1, 4) i$$, '23I01', NULL,
	'volatile function: 4 + 4 users are refused');
SELECT throws_ok(
	$$INSERT INTO app.users VALUES ('0');
	  INSERT INTO app.users SELECT app.make(i) FROM generate_series(1, 3) i$$, '23I01', NULL,
	'volatile function: 1 + 3 + 3 users are refused');
SELECT lives_ok($$INSERT INTO app.users SELECT app.make(i) FROM generate_series(1, 3) i$$,
	'volatile function: 3 + 3 users are admitted');
SELECT throws_ok($$INSERT INTO app.users VALUES ('7')$$, '23I01', NULL, 'volatile function: full');

SELECT app.fresh() \gset
SELECT is((SELECT count(*) FILTER (WHERE app.try(i)) FROM generate_series(1, 10) i), 6::bigint,
	'of ten attempts in one statement, each a subtransaction, exactly six succeed');
SELECT is((SELECT count(*) FROM app.users), 6::bigint, 'and exactly six users are there');

SELECT app.fresh() \gset
SELECT throws_ok(
	$$INSERT INTO app.users SELECT 'outer ' || app.try(i) || i FROM generate_series(1, 6) i$$, '23I01', NULL,
	'attempts inside an INSERT: the seats that they took are gone for the outer rows');
SELECT lives_ok(
	$$INSERT INTO app.users SELECT 'outer ' || app.try(i) || i FROM generate_series(1, 3) i$$,
	'attempts inside an INSERT: 3 + 3 users are admitted');

-- a trigger that deletes as many as were added

SELECT app.fresh() \gset
CREATE FUNCTION app.make_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM app.users WHERE id = (SELECT min(id) FROM app.users WHERE id <> NEW.id);
	RETURN NEW;
END $$;
INSERT INTO app.users SELECT i FROM generate_series(1, 6) i;
CREATE TRIGGER room BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.make_room();
SELECT lives_ok($$INSERT INTO app.users VALUES ('7'), ('8')$$,
	'a BEFORE trigger that deletes a user for each new one makes room');
SELECT lives_ok($$INSERT INTO app.users SELECT i FROM generate_series(11, 30) i$$,
	'also in a statement that adds more users than the cap');
DROP TRIGGER room ON app.users;
CREATE TRIGGER a_room AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.make_room();
SELECT lives_ok($$INSERT INTO app.users VALUES ('31')$$,
	'an AFTER trigger that fires before ours and deletes a user makes room');
DROP TRIGGER a_room ON app.users;
SELECT throws_ok($$INSERT INTO app.users VALUES ('32')$$, '23I01', NULL, 'without it the instance is full');
SELECT is((SELECT count(*) FROM app.users), 6::bigint, 'full means six');

-- rows changed again by the statement's own triggers

SELECT app.fresh() \gset
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE app.users SET id = id || '.' WHERE id = NEW.id;
	RETURN NULL;
END $$;
CREATE TRIGGER a_touch AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();
SELECT lives_ok($$INSERT INTO app.users SELECT i FROM generate_series(1, 6) i$$,
	'an AFTER trigger that updates each new row adds nobody');
SELECT throws_ok($$INSERT INTO app.users VALUES ('7')$$, '23I01', NULL, 'nor does it make a seat');

SELECT * FROM finish();
ROLLBACK;
