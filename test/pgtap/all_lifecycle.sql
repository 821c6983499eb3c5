-- CREATE EXTENSION and DROP EXTENSION, again and again in one session: whatever the
-- library remembers of one copy of the extension must not be used for the next.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
SELECT plan(38);
DROP EXTENSION IF EXISTS instance_env CASCADE;

CREATE SCHEMA app;
CREATE FUNCTION pg_temp.try(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT lives_ok('CREATE EXTENSION instance_env', what || ': CREATE EXTENSION');
	RETURN NEXT lives_ok(
		$q$SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod');
		   SELECT instance_env.create_application('blog', development_key => 'dev2');
		   SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2)$q$, what || ': applications');
	RETURN NEXT lives_ok(
		$q$CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
		   SELECT instance_env.guard('app.users')$q$, what || ': guard()');
	RETURN NEXT lives_ok($q$INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev')$q$, what || ': INSERT');
	RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES ('u3', 'dev')$q$, '23I01', NULL, what || ': the cap');
	RETURN NEXT throws_ok($q$UPDATE app.users SET instance_id = 'dev2'$q$, '23I02', NULL, what || ': transfer');
	RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES ('u3', 'nowhere')$q$, '23I03', NULL, what || ': unknown');
	RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES ('u3', 'prod')$q$, '23I04', NULL, what || ': inactive');
	RETURN NEXT lives_ok($q$DELETE FROM app.users WHERE id = 'u1'$q$, what || ': DELETE');
	RETURN NEXT throws_ok($q$INSERT INTO app.users VALUES ('u1', 'dev2')$q$, '23I02', NULL, what || ': return elsewhere');
	RETURN NEXT lives_ok($q$INSERT INTO app.users VALUES ('u1', 'dev')$q$, what || ': return');
END $$;

SELECT pg_temp.try('first');
DROP TABLE app.users;
DROP EXTENSION instance_env;
SELECT pg_temp.try('dropped and created');
SELECT lives_ok('DROP EXTENSION instance_env CASCADE', 'DROP EXTENSION … CASCADE takes the triggers along');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.users'::regclass), 0::bigint, 'all of them');
SELECT lives_ok($$INSERT INTO app.users VALUES ('u9', 'nowhere'); UPDATE app.users SET instance_id = 'x'; DELETE FROM app.users$$,
	'the table is as free as before');
DROP TABLE app.users;

SAVEPOINT s;
CREATE EXTENSION instance_env;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
INSERT INTO app.users VALUES ('u1', 'dev');
DELETE FROM app.users;
ROLLBACK TO SAVEPOINT s;
SELECT pg_temp.try('rolled back and created');

SAVEPOINT s;
DROP EXTENSION instance_env CASCADE;
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok($$INSERT INTO app.users VALUES ('u3', 'dev')$$, '23I01', NULL,
	'a DROP EXTENSION rolled back: the cap');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'dev2'$$, '23I02', NULL,
	'a DROP EXTENSION rolled back: transfer');

SELECT * FROM finish();
ROLLBACK;
