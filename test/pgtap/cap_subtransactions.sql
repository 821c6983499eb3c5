-- The cap across savepoints and exception blocks: what is rolled back neither
-- occupies a seat nor frees one.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(22);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 4) \gset
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL DEFAULT 'dev', n integer DEFAULT 0);
SELECT count(*) FROM instance_env.guard('app.users') \gset

INSERT INTO app.users VALUES ('u1'), ('u2'), ('u3');
SAVEPOINT s;
INSERT INTO app.users VALUES ('u4');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u5')$$, '23I01', NULL, 'full inside a savepoint');
ROLLBACK TO SAVEPOINT s;
SELECT lives_ok($$INSERT INTO app.users VALUES ('u5')$$, 'a seat taken and rolled back is free');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u6')$$, '23I01', NULL, 'once');

SAVEPOINT s;
DELETE FROM app.users WHERE id IN ('u1', 'u2');
INSERT INTO app.users VALUES ('v1');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok($$INSERT INTO app.users VALUES ('u6')$$, '23I01', NULL, 'a delete rolled back frees nothing');

SAVEPOINT s;
DELETE FROM app.users WHERE id = 'u1';
RELEASE SAVEPOINT s;
SELECT lives_ok($$INSERT INTO app.users VALUES ('v1')$$, 'a delete in a released savepoint frees its seat');
SELECT throws_ok($$INSERT INTO app.users VALUES ('v2')$$, '23I01', NULL, 'which is then taken');

SAVEPOINT s;
TRUNCATE app.users;
INSERT INTO app.users VALUES ('v3');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok($$INSERT INTO app.users VALUES ('v2')$$, '23I01', NULL, 'a TRUNCATE rolled back frees nothing');

-- Updates rolled back leave several versions of a row behind.
SAVEPOINT s;
UPDATE app.users SET n = n + 1;
SAVEPOINT t;
UPDATE app.users SET n = n + 1, id = id || 'x';
ROLLBACK TO SAVEPOINT t;
SELECT throws_ok($$INSERT INTO app.users VALUES ('v2')$$, '23I01', NULL, 'updated once, an update rolled back: full');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok($$INSERT INTO app.users VALUES ('v2')$$, '23I01', NULL, 'all updates rolled back: full');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'v1'; INSERT INTO app.users VALUES ('v2')$$,
	'and a user can still be replaced');

-- locks are not deletions
SAVEPOINT s;
SELECT id FROM app.users FOR UPDATE \g /dev/null
SELECT throws_ok($$INSERT INTO app.users VALUES ('v3')$$, '23I01', NULL, 'locked FOR UPDATE: full');
SAVEPOINT t;
UPDATE app.users SET n = n + 1;
SELECT throws_ok($$INSERT INTO app.users VALUES ('v3')$$, '23I01', NULL, 'locked, then updated: full');
ROLLBACK TO SAVEPOINT s;

-- refusals caught by the application, one after another
TRUNCATE app.users;
DO $$
BEGIN
	FOR i IN 1 .. 10 LOOP
		BEGIN
			INSERT INTO app.users VALUES ('w' || i);
		EXCEPTION WHEN SQLSTATE '23I01' THEN
			NULL;
		END;
	END LOOP;
END $$;
SELECT is((SELECT string_agg(id, ' ' ORDER BY id) FROM app.users), 'w1 w2 w3 w4',
	'of ten attempts in exception blocks the first four are admitted');
DO $$
BEGIN
	FOR i IN 1 .. 10 LOOP
		BEGIN
			DELETE FROM app.users WHERE id = 'w1';
			INSERT INTO app.users VALUES ('x' || i);
			RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO0';
		EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
			NULL;
		END;
	END LOOP;
END $$;
SELECT throws_ok($$INSERT INTO app.users VALUES ('y')$$, '23I01', NULL, 'ten swaps undone have changed nothing');
SELECT is((SELECT count(*) FROM app.users), 4::bigint, 'four users');

-- a subtransaction that fails inside the statement whose rows were admitted already
CREATE FUNCTION app.nested() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM app.users;
	BEGIN
		INSERT INTO app.users VALUES ('a1'), ('a2'), ('a3');
		BEGIN
			INSERT INTO app.users VALUES ('b1'), ('b2');
		EXCEPTION WHEN SQLSTATE '23I01' THEN
			INSERT INTO app.users VALUES ('c1');
		END;
		RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		INSERT INTO app.users VALUES ('d1'), ('d2'), ('d3'), ('d4');
	END;
END $$;
SELECT lives_ok($$SELECT app.nested()$$, 'nested exception blocks');
SELECT is((SELECT string_agg(id, ' ' ORDER BY id) FROM app.users), 'd1 d2 d3 d4', 'leave the last four');
SELECT throws_ok($$INSERT INTO app.users VALUES ('e1')$$, '23I01', NULL, 'which are all that fit');

-- A constraint that is checked later admits first, and undoes later.
CREATE TABLE app.mails (id text PRIMARY KEY, instance_id text DEFAULT 'dev', mail text UNIQUE DEFERRABLE INITIALLY DEFERRED);
SELECT count(*) FROM instance_env.guard('app.mails') \gset
INSERT INTO app.mails VALUES ('m1', 'dev', 'a'), ('m2', 'dev', 'b'), ('m3', 'dev', 'c');
SAVEPOINT s;
INSERT INTO app.mails VALUES ('m4', 'dev', 'a');
SELECT throws_ok($$INSERT INTO app.mails VALUES ('m5', 'dev', 'a')$$, '23I01', NULL,
	'a row that a deferred constraint may yet refuse takes a seat');
SELECT throws_ok('SET CONSTRAINTS ALL IMMEDIATE', '23505', NULL, 'it is refused');
ROLLBACK TO SAVEPOINT s;
SELECT lives_ok($$INSERT INTO app.mails VALUES ('m5', 'dev', 'e')$$, 'and its seat is free');
SELECT lives_ok($$UPDATE app.mails SET mail = CASE mail WHEN 'a' THEN 'b' WHEN 'b' THEN 'a' ELSE mail END; SET CONSTRAINTS ALL IMMEDIATE$$,
	'full: an UPDATE that exchanges deferred unique values passes');

SELECT * FROM finish();
ROLLBACK;
