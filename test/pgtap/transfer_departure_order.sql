-- One statement takes a key out of one instance and puts it into another: refused
-- whichever of the two is queued first, and whichever trigger fires first.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(32);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
CREATE TABLE app.users (n integer, id text, instance_id text, PRIMARY KEY (instance_id, id));
SELECT count(*) FROM instance_env.guard('app.users', user_key => 'id') \gset
INSERT INTO app.users VALUES (1, 'first2', 'dev2'), (2, 'ann', 'dev'), (3, 'last2', 'dev2'), (4, 'bob', 'dev');

-- data-modifying CTEs, in both orders

SELECT throws_ok(
	$$WITH added AS (INSERT INTO app.users VALUES (9, 'ann', 'dev2') RETURNING id)
	  DELETE FROM app.users u USING added WHERE u.id = added.id$$, '23I02', NULL,
	'INSERT runs first, DELETE second');
SELECT throws_ok(
	$$WITH added AS (INSERT INTO app.users VALUES (9, 'ann', 'dev2'))
	  DELETE FROM app.users WHERE id = 'ann'$$, '23I02', NULL,
	'DELETE runs first, an INSERT that nobody waits for second');
SELECT throws_ok(
	$$WITH gone AS (DELETE FROM app.users WHERE id = 'ann' RETURNING *)
	  INSERT INTO app.users SELECT n, id, 'dev2' FROM gone$$, '23I02', NULL,
	'INSERT reads what DELETE returns');
SELECT throws_ok(
	$$WITH gone AS (DELETE FROM app.users WHERE id = 'ann')
	  INSERT INTO app.users VALUES (9, 'ann', 'dev2')$$, '23I02', NULL,
	'INSERT runs first, a DELETE that nobody waits for second');
SELECT throws_ok(
	$$WITH added AS (INSERT INTO app.users VALUES (9, 'ann', 'dev2') RETURNING id)
	  UPDATE app.users u SET id = 'anna' FROM added WHERE u.id = added.id$$, '23I02', NULL,
	'INSERT runs first, UPDATE of the key second');
SELECT throws_ok(
	$$WITH renamed AS (UPDATE app.users SET id = 'ann' WHERE id = 'first2' RETURNING id)
	  DELETE FROM app.users u USING renamed WHERE u.id = renamed.id$$, '23I02', NULL,
	'UPDATE of the key runs first, DELETE second');

-- one UPDATE, the rows in both orders

SELECT throws_ok(
	$$UPDATE app.users SET id = CASE id WHEN 'first2' THEN 'ann' ELSE 'anna' END WHERE id IN ('first2', 'ann')$$,
	'23I02', NULL, 'UPDATE: the key arrives in an earlier row than it departs from');
SELECT throws_ok(
	$$UPDATE app.users SET id = CASE id WHEN 'last2' THEN 'ann' ELSE 'anna' END WHERE id IN ('last2', 'ann')$$,
	'23I02', NULL, 'UPDATE: the key arrives in a later row than it departs from');
SELECT throws_ok(
	$$UPDATE app.users SET id = CASE id WHEN 'first2' THEN 'ann' ELSE 'first2' END WHERE id IN ('first2', 'ann')$$,
	'23I02', NULL, 'UPDATE: two users of two instances exchange keys');
SELECT lives_ok(
	$$UPDATE app.users SET id = CASE id WHEN 'ann' THEN 'carl' ELSE 'ann' END WHERE id IN ('ann', 'bob')$$,
	'UPDATE: a user takes the key that another of the same instance leaves');
SELECT lives_ok($$UPDATE app.users SET id = 'bob' WHERE n = 4; UPDATE app.users SET id = 'ann' WHERE n = 2$$, 'and back');

-- MERGE, in both orders

SELECT throws_ok(
	$$MERGE INTO app.users u
	  USING (VALUES (1, 'ann', 'dev'), (2, 'ann', 'dev2')) s (n, id, instance_id)
	  ON u.id = s.id AND u.instance_id = s.instance_id
	  WHEN MATCHED THEN DELETE
	  WHEN NOT MATCHED THEN INSERT VALUES (s.n, s.id, s.instance_id)$$, '23I02', NULL, 'MERGE: DELETE, then INSERT');
SELECT throws_ok(
	$$MERGE INTO app.users u
	  USING (VALUES (1, 'ann', 'dev2'), (2, 'ann', 'dev')) s (n, id, instance_id)
	  ON u.id = s.id AND u.instance_id = s.instance_id
	  WHEN MATCHED THEN DELETE
	  WHEN NOT MATCHED THEN INSERT VALUES (s.n, s.id, s.instance_id)$$, '23I02', NULL, 'MERGE: INSERT, then DELETE');

-- triggers of the application that move the user they see leaving, by name before and
-- after ours

CREATE FUNCTION app.move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO app.users VALUES (9, OLD.id, 'dev2');
	RETURN coalesce(NEW, OLD);
END $$;
CREATE FUNCTION app.move_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO app.users VALUES (9, 'ann', 'dev2');
	RETURN NULL;
END $$;
CREATE FUNCTION pg_temp.try(what text, firing text, function text, command text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['a_move', 'z_move'] LOOP
		EXECUTE format('CREATE TRIGGER %I %s EXECUTE FUNCTION %s', name, firing, function);
		RETURN NEXT throws_ok(command, '23I02', NULL, what || ', trigger ' || name);
		EXECUTE format('DROP TRIGGER %I ON app.users', name);
	END LOOP;
END $$;
SELECT pg_temp.try('BEFORE DELETE', 'BEFORE DELETE ON app.users FOR EACH ROW', 'app.move()',
	$$DELETE FROM app.users WHERE id = 'ann'$$);
SELECT pg_temp.try('AFTER DELETE', 'AFTER DELETE ON app.users FOR EACH ROW', 'app.move()',
	$$DELETE FROM app.users WHERE id = 'ann'$$);
SELECT pg_temp.try('AFTER DELETE statement', 'AFTER DELETE ON app.users', 'app.move_all()',
	$$DELETE FROM app.users WHERE id = 'ann'$$);
SELECT pg_temp.try('BEFORE UPDATE', 'BEFORE UPDATE ON app.users FOR EACH ROW', 'app.move()',
	$$UPDATE app.users SET id = 'anna' WHERE id = 'ann'$$);
SELECT pg_temp.try('AFTER UPDATE', 'AFTER UPDATE ON app.users FOR EACH ROW', 'app.move()',
	$$UPDATE app.users SET id = 'anna' WHERE id = 'ann'$$);
SELECT pg_temp.try('AFTER UPDATE statement', 'AFTER UPDATE ON app.users', 'app.move_all()',
	$$UPDATE app.users SET id = 'anna' WHERE id = 'ann'$$);
SELECT pg_temp.try('BEFORE TRUNCATE', 'BEFORE TRUNCATE ON app.users', 'app.move_all()', 'TRUNCATE app.users');
SELECT pg_temp.try('AFTER TRUNCATE', 'AFTER TRUNCATE ON app.users', 'app.move_all()', 'TRUNCATE app.users');

-- a trigger that gives each new user another key

CREATE FUNCTION app.rename() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE app.users SET id = NEW.id || ' of ' || NEW.instance_id
	WHERE id = NEW.id AND instance_id = NEW.instance_id AND NEW.id NOT LIKE '% of %';
	RETURN NULL;
END $$;
CREATE TRIGGER a_rename AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.rename();
SELECT lives_ok($$INSERT INTO app.users VALUES (5, 'dora', 'dev2')$$, 'a trigger that renames each new user');
SELECT throws_ok($$INSERT INTO app.users VALUES (6, 'dora of dev2', 'dev')$$, '23I02', NULL,
	'the name that it gave is the user''s');

SELECT results_eq($$SELECT id, instance_id FROM app.users ORDER BY n$$,
	$$VALUES ('first2', 'dev2'), ('ann', 'dev'), ('last2', 'dev2'), ('bob', 'dev'), ('dora of dev2', 'dev2')$$,
	'everybody is where they were');

SELECT * FROM finish();
ROLLBACK;
