-- Data that hangs on a user: guard(counted => false, user_table => …)
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(59);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.sessions (token text PRIMARY KEY, tenant text NOT NULL, login text);
CREATE TABLE app.mails (id text, instance_id text, address text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
INSERT INTO app.users VALUES ('ann', 'dev'), ('zoe', 'dev2');

-- arguments

CREATE TABLE app.plain (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.plain', user_key => 'id', counted => false, user_table => '-') \gset
SELECT results_eq($$SELECT user_key FROM instance_env.guards WHERE relation = 'app.plain'::regclass$$, ARRAY['id'],
	'no table, said by a hyphen, is none: the users are tracked here');
INSERT INTO app.plain VALUES (1, 'dev');
DELETE FROM app.plain;
SELECT throws_ok($$INSERT INTO app.plain VALUES (1, 'dev2')$$, '23I02', NULL, 'and do not come again elsewhere');
DROP TABLE app.plain;
CREATE TABLE app.plain (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT lives_ok($$SELECT instance_env.guard('app.plain', user_table => '-')$$, 'also where the table is counted');
DROP TABLE app.plain;

SELECT throws_ok($$SELECT instance_env.guard('app.mails', user_key => 'id', user_table => 'app.users')$$, '22023', NULL,
	'user_table with counted');
SELECT throws_ok($$SELECT instance_env.guard('app.mails', counted => false, user_table => 'app.users')$$, '22023', NULL,
	'user_table without user_key');
SELECT throws_ok($$SELECT instance_env.guard('app.mails', user_key => '', counted => false, user_table => 'app.users')$$,
	'22023', NULL, 'user_table with an empty user_key');
SELECT throws_ok(
	$$SELECT instance_env.guard('app.mails', user_key => 'nothing', counted => false, user_table => 'app.users')$$,
	'42703', NULL, 'user_table with a user_key that does not exist');
SELECT throws_ok(
	$$SELECT instance_env.guard('app.mails', user_key => 'id', counted => false, user_table => 'app.nothing')$$,
	'42P01', NULL, 'a user_table that does not exist');
CREATE TABLE app.plain (id text PRIMARY KEY, instance_id text);
SELECT throws_ok(
	$$SELECT instance_env.guard('app.mails', user_key => 'id', counted => false, user_table => 'app.plain')$$,
	'55000', NULL, 'a user_table that is not guarded');
CREATE VIEW app.view AS SELECT * FROM app.users;
SELECT throws_ok(
	$$SELECT instance_env.guard('app.mails', user_key => 'id', counted => false, user_table => 'app.view')$$,
	'55000', NULL, 'a view as user_table');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.mails'::regclass), 0::bigint, 'nothing was left');
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid = 'app.plain'::regclass), 1::bigint, 'nor an index');

-- rows that point elsewhere are found at once

INSERT INTO app.mails VALUES ('ann', 'dev2', 'a@example.com');
SELECT throws_ok(
	$$SELECT instance_env.guard('app.mails', user_key => 'id', counted => false, user_table => 'app.users')$$,
	'23503', NULL, 'a row that refers to a user of another instance');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.mails'::regclass), 0::bigint, 'nothing was left');
UPDATE app.mails SET instance_id = 'dev';
SELECT lives_ok(
	$$SELECT instance_env.guard('app.mails', user_key => 'id', counted => false, user_table => 'app.users')$$,
	'once it is right');

-- columns of other names

SELECT lives_ok(
	$$SELECT instance_env.guard('app.sessions', 'tenant', 'login', false, 'app.users')$$, 'columns of other names');
SELECT lives_ok(
	$$SELECT instance_env.guard('app.sessions', 'tenant', 'login', false, 'app.users')$$, 'the same again');
SELECT is((SELECT count(*) FROM pg_constraint WHERE conrelid = 'app.sessions'::regclass AND contype = 'f'), 1::bigint,
	'makes no second foreign key');
SELECT is((SELECT (counted, whole)::text FROM instance_env.guards WHERE relation = 'app.sessions'::regclass), '(f,t)',
	'listed as not counted, whole');

-- behaviour

SELECT lives_ok($$INSERT INTO app.sessions SELECT i, 'dev', 'ann' FROM generate_series(1, 20) i$$,
	'many sessions of one user: no cap');
SELECT throws_ok($$INSERT INTO app.sessions VALUES ('x', 'dev2', 'ann')$$, '23503', NULL,
	'a session of another instance''s user');
SELECT throws_ok($$INSERT INTO app.sessions VALUES ('x', 'dev', 'nobody')$$, '23503', NULL, 'a session of nobody');
SELECT throws_ok($$INSERT INTO app.sessions VALUES ('x', NULL, 'ann')$$, '23502', NULL, 'a session of no instance');
SELECT throws_ok($$INSERT INTO app.mails VALUES ('ann', NULL, 'x')$$, '23502', NULL, 'a mail of no instance');
SELECT lives_ok($$INSERT INTO app.mails VALUES (NULL, 'dev', 'x')$$, 'a mail of nobody');
-- PostgreSQL looks at a foreign key before it comes to our triggers.
SELECT throws_ok($$INSERT INTO app.sessions VALUES ('x', 'nowhere', 'ann')$$, '23503', NULL,
	'a session of an unknown instance');
SELECT throws_ok($$INSERT INTO app.sessions VALUES ('x', 'nowhere', NULL)$$, '23I03', NULL,
	'a session of an unknown instance, of nobody');
SELECT throws_ok($$INSERT INTO app.sessions VALUES ('x', 'prod', 'ann')$$, '23503', NULL,
	'a session of an inactive instance');
SELECT throws_ok($$INSERT INTO app.sessions VALUES ('x', 'prod', NULL)$$, '23I04', NULL,
	'a session of an inactive instance, of nobody');
SELECT throws_ok($$UPDATE app.sessions SET tenant = 'dev2'$$, '23I02', NULL, 'sessions that move');
SELECT throws_ok($$UPDATE app.sessions SET tenant = 'dev2', login = 'zoe'$$, '23I02', NULL,
	'sessions that move to another user');
SELECT throws_ok($$UPDATE app.sessions SET login = 'zoe'$$, '23503', NULL,
	'sessions given to another instance''s user');
SELECT lives_ok($$INSERT INTO app.users VALUES ('bob', 'dev'); UPDATE app.sessions SET login = 'bob' WHERE token = '1'$$,
	'a session given to another user of the same instance');
SELECT lives_ok($$DELETE FROM app.sessions WHERE token = '2'; INSERT INTO app.sessions VALUES ('2', 'dev2', 'zoe')$$,
	'a session is no identity: its token may return elsewhere');
SELECT throws_ok($$DELETE FROM app.users WHERE id = 'bob'$$, '23503', NULL, 'a user with sessions stays');
SELECT throws_ok($$INSERT INTO app.users VALUES ('carl', 'dev')$$, '23I01', NULL, 'users are counted, not sessions');
SELECT throws_ok($$TRUNCATE app.users$$, '0A000', NULL, 'users with sessions cannot be truncated');
SELECT lives_ok($$TRUNCATE app.users CASCADE$$, 'but all together');
SELECT throws_ok($$INSERT INTO app.users VALUES ('ann', 'dev2')$$, '23I02', NULL, 'and are remembered');

-- unguard() leaves what may be of use to others
SELECT lives_ok($$SELECT instance_env.unguard('app.sessions')$$, 'unguard()');
SELECT is((SELECT count(*) FROM pg_constraint WHERE conrelid = 'app.sessions'::regclass AND contype = 'f'), 1::bigint,
	'leaves the foreign key');
SELECT lives_ok($$SELECT instance_env.guard('app.sessions', 'tenant', 'login', false, 'app.users')$$, 'guard() again');
SELECT is((SELECT count(*) FROM pg_constraint WHERE conrelid = 'app.sessions'::regclass AND contype = 'f'), 1::bigint,
	'and uses it');

-- what is recorded: which table, and which columns
CREATE FUNCTION pg_temp.sessions() RETURNS text LANGUAGE sql AS
$$SELECT concat_ws(' ', user_key, user_table, whole, problems[1]) FROM instance_env.guards WHERE relation = 'app.sessions'::regclass$$;
SELECT is(pg_temp.sessions(), 'login app.users t', 'as listed');
ALTER TABLE app.sessions RENAME login TO account;
ALTER TABLE app.users RENAME TO people;
SELECT is(pg_temp.sessions(), 'account app.people t', 'whatever they are called');
ALTER TABLE app.people RENAME TO users;
ALTER TABLE app.sessions RENAME account TO login;
SELECT throws_ok($$SELECT instance_env.guard('app.sessions', 'tenant', 'login', false)$$, '42710', NULL, 'it is no user key');
SELECT throws_ok($$SELECT instance_env.guard('app.sessions', 'tenant', 'token', false, 'app.users')$$, '42710', NULL, 'nor can it be another column');
SAVEPOINT not_guarded;
SELECT instance_env.unguard('app.users') \gset
SELECT is(pg_temp.sessions(), 'login f the table of users that rows refer to is not guarded any more', 'the table of users is not guarded');
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT is(pg_temp.sessions(), 'login app.users t', 'guarded again');
ROLLBACK TO not_guarded;

-- the foreign key lost, or not what it was
SAVEPOINT lost;
DO $$
BEGIN
	EXECUTE (SELECT format('ALTER TABLE app.sessions DROP CONSTRAINT %I', conname) FROM pg_constraint
			 WHERE conrelid = 'app.sessions'::regclass AND contype = 'f');
END $$;
SELECT is(pg_temp.sessions(), 'login app.users f no foreign key over instance and user refers to table "app.users"', 'lost: listed');
ALTER TABLE app.sessions ADD CONSTRAINT loose FOREIGN KEY (login) REFERENCES app.users (id);
SELECT matches(pg_temp.sessions(), '^login app.users f ', 'one on the user alone is no substitute');
ALTER TABLE app.sessions ADD CONSTRAINT late FOREIGN KEY (tenant, login) REFERENCES app.users (instance_id, id) NOT VALID;
SELECT matches(pg_temp.sessions(), '^login app.users f ', 'nor is one that is not valid');
ALTER TABLE app.sessions VALIDATE CONSTRAINT late;
SELECT is(pg_temp.sessions(), 'login app.users t', 'one of the application''s is');
ROLLBACK TO lost;
DO $$
BEGIN
	EXECUTE (SELECT format('ALTER TABLE app.sessions DROP CONSTRAINT %I', conname) FROM pg_constraint
			 WHERE conrelid = 'app.sessions'::regclass AND contype = 'f');
END $$;
SELECT lives_ok($$SELECT instance_env.guard('app.sessions', 'tenant', 'login', false, 'app.users')$$, 'guard() again');
SELECT is((SELECT count(*) FROM pg_constraint WHERE conrelid = 'app.sessions'::regclass AND contype = 'f'), 1::bigint,
	'repairs it');

-- partitioned users, a key of two columns
CREATE TABLE app.big (id integer, instance_id text, PRIMARY KEY (instance_id, id)) PARTITION BY HASH (instance_id);
CREATE TABLE app.big0 PARTITION OF app.big FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.big1 PARTITION OF app.big FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.notes (note text, instance_id text, author integer) PARTITION BY LIST (instance_id);
CREATE TABLE app.notes0 PARTITION OF app.notes FOR VALUES IN ('dev');
CREATE TABLE app.notes1 PARTITION OF app.notes DEFAULT;
SELECT count(*) FROM instance_env.guard('app.big') \gset
SELECT lives_ok(
	$$SELECT instance_env.guard('app.notes', user_key => 'author', counted => false, user_table => 'app.big')$$,
	'a partitioned table of notes for a partitioned table of users');
INSERT INTO app.big VALUES (1, 'dev'), (2, 'dev2');
SELECT lives_ok($$INSERT INTO app.notes VALUES ('hello', 'dev', 1), ('hello', 'dev2', 2)$$, 'notes');
SELECT throws_ok($$INSERT INTO app.notes VALUES ('hello', 'dev', 2)$$, '23503', NULL, 'a note of another instance''s user');
SELECT throws_ok($$UPDATE app.notes SET instance_id = 'dev2', author = 2 WHERE instance_id = 'dev'$$, '23I02', NULL,
	'a note that moves from partition to partition');

SELECT * FROM finish();
ROLLBACK;
