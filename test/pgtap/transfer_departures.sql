-- A user who was deleted belongs to the instance that it was deleted from.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(60);

CREATE SCHEMA app;

-- nobody can have been a user before there is an application

CREATE TABLE app.early (id text PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.early') \gset
SET LOCAL session_replication_role = replica;
INSERT INTO app.early VALUES ('ann', 'dev');
SET LOCAL session_replication_role = origin;
DELETE FROM app.early;
SELECT is_empty($$SELECT FROM instance_env.identity_key$$, 'without an application there is no key');
SELECT is_empty($$SELECT FROM instance_env.departed_user$$, 'and nobody departs');
DROP TABLE app.early;

SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL, n integer DEFAULT 0);
SELECT count(*) FROM instance_env.guard('app.users') \gset

CREATE FUNCTION pg_temp.remembered() RETURNS bigint LANGUAGE sql AS
$$SELECT count(DISTINCT (identity, instance)) FROM instance_env.departed_user$$;

-- delete and return

INSERT INTO app.users VALUES ('ann', 'dev'), ('bob', 'dev'), ('cleo', 'dev');
SELECT is(pg_temp.remembered(), 0::bigint, 'nobody has departed');
DELETE FROM app.users WHERE id = 'ann';
SELECT is(pg_temp.remembered(), 1::bigint, 'one user has');
SELECT throws_ok($$INSERT INTO app.users VALUES ('ann', 'dev2')$$, '23I02', NULL, 'return in another instance');
SELECT throws_ok($$INSERT INTO app.users VALUES ('dan', 'dev2'), ('ann', 'dev2')$$, '23I02', NULL,
	'return in another instance, among others');
SELECT throws_ok($$COPY app.users (id, instance_id) FROM PROGRAM 'printf "ann\tdev2\n"'$$, '23I02', NULL,
	'return in another instance by COPY');
SELECT throws_ok($$INSERT INTO app.users VALUES ('ann', 'dev2') ON CONFLICT DO NOTHING$$, '23I02', NULL,
	'return in another instance, ON CONFLICT DO NOTHING');
SELECT throws_ok(
	$$INSERT INTO app.users VALUES ('ann', 'dev2') ON CONFLICT (id) DO UPDATE SET n = 1$$, '23I02', NULL,
	'return in another instance by an upsert');
SELECT lives_ok($$INSERT INTO app.users VALUES ('ann', 'dev')$$, 'return in the same instance');
SELECT throws_ok($$INSERT INTO app.users VALUES ('ann', 'dev2')$$, '23505', NULL, 'living again');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'ann'$$, 'departs once more');
SELECT is(pg_temp.remembered(), 1::bigint, 'and is remembered once');

-- the five ways of moving, each in one go

SELECT throws_ok($$UPDATE app.users SET instance_id = 'dev2' WHERE id = 'bob'$$, '23I02', NULL, 'UPDATE');
SELECT throws_ok(
	$$DELETE FROM app.users WHERE id = 'bob'; INSERT INTO app.users VALUES ('bob', 'dev2')$$, '23I02', NULL,
	'DELETE, then INSERT');
SELECT throws_ok(
	$$WITH moved AS (DELETE FROM app.users WHERE id = 'bob' RETURNING *)
	  INSERT INTO app.users SELECT id, 'dev2', n FROM moved$$, '23I02', NULL, 'DELETE and INSERT in one statement');
SELECT throws_ok(
	$$INSERT INTO app.users VALUES ('bob', 'dev') ON CONFLICT (id) DO UPDATE SET instance_id = 'dev2'$$, '23I02', NULL,
	'upsert');
SELECT throws_ok(
	$$CREATE TABLE app.export AS SELECT * FROM app.users;
	  UPDATE app.export SET instance_id = 'dev2';
	  TRUNCATE app.users;
	  INSERT INTO app.users SELECT * FROM app.export$$, '23I02', NULL, 'export, edit, import');
SELECT throws_ok(
	$$UPDATE app.users SET id = 'tmp' WHERE id = 'bob'; INSERT INTO app.users VALUES ('bob', 'dev2')$$, '23I02', NULL,
	'the key freed by an UPDATE');
SELECT throws_ok(
	$$INSERT INTO app.users VALUES ('tmp', 'dev2');
	  DELETE FROM app.users WHERE id = 'bob'; UPDATE app.users SET id = 'bob' WHERE id = 'tmp'$$, '23I02', NULL,
	'the key taken by an UPDATE');
SELECT throws_ok(
	$$UPDATE app.users SET instance_id = 'dev2', id = 'other' WHERE id = 'bob'$$, '23I02', NULL,
	'instance and key at once');

-- The same key in both instances is possible where the primary key has both columns; a
-- copy then is a move, too.
CREATE TABLE app.members (id text, instance_id text, PRIMARY KEY (instance_id, id));
SELECT count(*) FROM instance_env.guard('app.members', user_key => 'id') \gset
INSERT INTO app.members VALUES ('ann', 'dev'), ('bob', 'dev');
SELECT throws_ok($$INSERT INTO app.members SELECT id, 'dev2' FROM app.members$$, '23I02', NULL, 'a copy');
SELECT throws_ok(
	$$WITH moved AS (DELETE FROM app.members RETURNING *) INSERT INTO app.members SELECT id, 'dev2' FROM moved$$,
	'23I02', NULL, 'a copy, and the original deleted, in one statement');
SELECT throws_ok(
	$$INSERT INTO app.members VALUES ('eve', 'dev'), ('eve', 'dev2')$$, '23I02', NULL, 'one key twice in one statement');
SELECT lives_ok(
	$$WITH moved AS (DELETE FROM app.members RETURNING *) INSERT INTO app.members SELECT id || 2, instance_id FROM moved$$,
	'a change of key by delete-and-insert in the same instance');

-- UPDATE of the key: a departure and an arrival

SELECT lives_ok($$UPDATE app.users SET id = 'bobby' WHERE id = 'bob'$$, 'a new key');
SELECT throws_ok($$INSERT INTO app.users VALUES ('bob', 'dev2')$$, '23I02', NULL, 'the old one has departed');
SELECT lives_ok($$INSERT INTO app.users VALUES ('bob', 'dev')$$, 'and may return');
SELECT lives_ok($$INSERT INTO app.users VALUES ('zoe', 'dev2')$$, 'a user of another instance');
SELECT throws_ok($$UPDATE app.users SET id = 'ann' WHERE id = 'zoe'$$, '23I02', NULL,
	'does not take a departed user''s key');
SELECT lives_ok($$UPDATE app.users SET id = 'ann' WHERE id = 'bobby'$$, 'a user of the same instance may');
SELECT lives_ok($$UPDATE app.users SET id = id$$, 'a key that does not change is no departure');
SELECT throws_ok($$UPDATE app.members SET id = 'ann2' WHERE id = 'bob2'$$, '23505', NULL,
	'a key that lives in the same instance meets the primary key');

-- savepoints

SAVEPOINT s;
DELETE FROM app.users WHERE id = 'cleo';
SELECT throws_ok($$INSERT INTO app.users VALUES ('cleo', 'dev2')$$, '23I02', NULL, 'deleted in a savepoint');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok($$INSERT INTO app.users VALUES ('cleo', 'dev2')$$, '23505', NULL, 'not deleted after all');
SELECT lives_ok($$UPDATE app.users SET n = 5 WHERE id = 'cleo'$$, 'and lives on');
SAVEPOINT s;
INSERT INTO app.users VALUES ('fay', 'dev');
DELETE FROM app.users WHERE id = 'fay';
SELECT throws_ok($$INSERT INTO app.users VALUES ('fay', 'dev2')$$, '23I02', NULL, 'added and deleted in a savepoint');
ROLLBACK TO SAVEPOINT s;
SELECT lives_ok($$INSERT INTO app.users VALUES ('fay', 'dev2')$$, 'never been there after all');
SAVEPOINT s;
UPDATE app.users SET id = 'gus' WHERE id = 'cleo';
ROLLBACK TO SAVEPOINT s;
SELECT lives_ok($$INSERT INTO app.users VALUES ('gus', 'dev2')$$, 'a key never taken after all');
SAVEPOINT s;
TRUNCATE app.users;
ROLLBACK TO SAVEPOINT s;
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'gus'; INSERT INTO app.users VALUES ('gus', 'dev2')$$,
	'a TRUNCATE rolled back: users live where they did');

-- A deferrable constraint lets two rows have one key until the end of the transaction,
-- by when one of them may be gone.
CREATE TABLE app.deferred (id text PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.deferred', user_key => 'id') \gset
INSERT INTO app.deferred VALUES ('ann', 'dev'), ('bob', 'dev2');
SELECT throws_ok(
	$$INSERT INTO app.deferred VALUES ('ann', 'dev2');
	  DELETE FROM app.deferred WHERE id = 'ann' AND instance_id = 'dev';
	  SET CONSTRAINTS ALL IMMEDIATE$$, '23I02', NULL, 'deferrable key: copied first, deleted later');
SELECT throws_ok(
	$$UPDATE app.deferred SET id = 'ann' WHERE id = 'bob';
	  DELETE FROM app.deferred WHERE id = 'ann' AND instance_id = 'dev';
	  SET CONSTRAINTS ALL IMMEDIATE$$, '23I02', NULL, 'deferrable key: taken first, deleted later');
SELECT throws_ok(
	$$UPDATE app.deferred SET id = CASE id WHEN 'ann' THEN 'bob' ELSE 'ann' END; SET CONSTRAINTS ALL IMMEDIATE$$,
	'23I02', NULL, 'deferrable key: two users of two instances exchange keys');
SELECT lives_ok(
	$$INSERT INTO app.deferred VALUES ('cleo', 'dev');
	  UPDATE app.deferred SET id = CASE id WHEN 'ann' THEN 'cleo' ELSE 'ann' END WHERE instance_id = 'dev';
	  SET CONSTRAINTS ALL IMMEDIATE$$, 'deferrable key: two users of one instance exchange keys');
SET CONSTRAINTS ALL DEFERRED;

-- the key has unique indexes, none of which speaks for the whole table
CREATE TABLE app.loose (id text, instance_id text, gone boolean DEFAULT false);
CREATE UNIQUE INDEX ON app.loose (id) WHERE NOT gone;
CREATE UNIQUE INDEX ON app.loose (id, gone);
CREATE UNIQUE INDEX ON app.loose (lower(id)) WHERE false;
SELECT count(*) FROM instance_env.guard('app.loose', user_key => 'id') \gset
INSERT INTO app.loose VALUES ('ann', 'dev', true);
SELECT throws_ok($$INSERT INTO app.loose VALUES ('ann', 'dev2', false)$$, '23I02', NULL,
	'partial unique index: a row outside of it counts');

-- forget_departed()

SELECT cmp_ok(pg_temp.remembered(), '>', 0::bigint, 'some have departed');
SELECT is(instance_env.forget_departed('-infinity'), 0::bigint, 'nobody departed before all time');
SELECT is(instance_env.forget_departed(now() - interval '1 hour'), 0::bigint, 'nobody an hour ago');
SELECT throws_ok($$SELECT instance_env.forget_departed(NULL)$$, '22004', NULL, 'NULL is no time');
UPDATE instance_env.departed_user SET departed_at = now() - interval '2 hours';
DELETE FROM app.users WHERE id <> 'cleo';
UPDATE instance_env.departed_user SET departed_at = now() - interval '2 hours';
TRUNCATE app.users;	-- and with it the versions of rows that this transaction has deleted
SELECT lives_ok($$SELECT instance_env.forget_departed(now() - interval '1 hour')$$, 'all but the last are forgotten');
SELECT is(pg_temp.remembered(), 1::bigint, 'one is left');
SELECT throws_ok($$INSERT INTO app.users VALUES ('cleo', 'dev2')$$, '23I02', NULL, 'who does not return elsewhere');
SELECT is(instance_env.forget_departed('infinity'), 1::bigint, 'the last is forgotten');
SELECT lives_ok($$INSERT INTO app.users VALUES ('cleo', 'dev2')$$, 'and may return under any instance');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'cleo'$$, 'and depart from there');
SELECT throws_ok($$INSERT INTO app.users VALUES ('cleo', 'dev')$$, '23I02', NULL, 'where it now belongs');

-- the last departure is the one that counts
SELECT instance_env.forget_departed('infinity') \gset
INSERT INTO app.users VALUES ('hal', 'dev');
DELETE FROM app.users WHERE id = 'hal';
UPDATE instance_env.departed_user SET departed_at = now() - interval '2 hours';
INSERT INTO app.users VALUES ('hal', 'dev');
DELETE FROM app.users WHERE id = 'hal';
SELECT instance_env.forget_departed(now() - interval '1 hour') \gset
SELECT throws_ok($$INSERT INTO app.users VALUES ('hal', 'dev2')$$, '23I02', NULL,
	'a user who departed again is not forgotten for an earlier departure');

-- a key that is nobody's secret
SELECT is((SELECT count(*) FROM instance_env.departed_user d WHERE d::text LIKE '%cleo%'), 0::bigint,
	'keys are not stored in clear');
SELECT is((SELECT count(*) FROM instance_env.identity_key), 1::bigint, 'there is one secret');
SELECT lives_ok($$DELETE FROM app.members; INSERT INTO app.users VALUES ('ann2', 'dev2')$$,
	'a key departed from one table is free in another');

SELECT * FROM finish();
ROLLBACK;
