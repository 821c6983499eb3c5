-- Rows of no instance, and of one that does not take users
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(33);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid, n integer DEFAULT 0);
CREATE TABLE app.sessions (id integer PRIMARY KEY, instance_id uuid);
CREATE TABLE app.by_key (id integer PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', counted => false) \gset
SELECT count(*) FROM instance_env.guard('app.by_key') \gset

-- counted or not, by id or by key
SELECT throws_ok($$INSERT INTO app.users VALUES (1, NULL)$$, '23502', NULL, 'counted: NULL');
SELECT throws_ok($$INSERT INTO app.sessions VALUES (1, NULL)$$, '23502', NULL, 'not counted: NULL');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (1, NULL)$$, '23502', NULL, 'by key: NULL');
SELECT throws_ok($$INSERT INTO app.users VALUES (1, 'd0000000-0000-4000-8000-000000000009')$$, '23I03', NULL,
	'counted: unknown');
SELECT throws_ok($$INSERT INTO app.sessions VALUES (1, 'd0000000-0000-4000-8000-000000000009')$$, '23I03', NULL,
	'not counted: unknown');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (1, 'd0000000-0000-4000-8000-000000000009')$$, '23I03', NULL,
	'by key: unknown');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (1, '')$$, '23I03', NULL, 'by key: empty');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (1, upper('d0000000-0000-4000-8000-000000000001'))$$, '23I03', NULL,
	'by key: compared byte by byte');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (1, 'd0000000-0000-4000-8000-000000000001 ')$$, '23I03', NULL,
	'by key: a space more');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (1, repeat('x', 100000))$$, '23I03', NULL, 'by key: very long');
SELECT throws_ok($$INSERT INTO app.users VALUES (1, 'a0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'counted: inactive');
SELECT throws_ok($$INSERT INTO app.sessions VALUES (1, 'a0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'not counted: inactive');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (1, 'a0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'by key: inactive');
SELECT throws_ok($$INSERT INTO app.users VALUES (1, 'd0000000-0000-4000-8000-000000000001'), (2, NULL)$$, '23502', NULL,
	'one row of several');
SELECT lives_ok($$INSERT INTO app.users VALUES (1, 'd0000000-0000-4000-8000-000000000001')$$, 'counted: active');
SELECT lives_ok($$INSERT INTO app.sessions VALUES (1, 'd0000000-0000-4000-8000-000000000001')$$, 'not counted: active');
SELECT lives_ok($$INSERT INTO app.by_key VALUES (1, 'd0000000-0000-4000-8000-000000000001')$$, 'by key: active');
SELECT throws_ok($$UPDATE app.users SET instance_id = NULL$$, '23I02', NULL, 'UPDATE to NULL');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'd0000000-0000-4000-8000-000000000009'$$, '23I02', NULL,
	'UPDATE to an unknown instance');

-- What was not found once is found as soon as it exists, and gone when it is dropped.
SELECT instance_env.create_application('late', development_id => 'd0000000-0000-4000-8000-000000000009') \gset
SELECT lives_ok($$INSERT INTO app.users VALUES (2, 'd0000000-0000-4000-8000-000000000009')$$, 'created: by id');
SELECT lives_ok($$INSERT INTO app.by_key VALUES (2, 'd0000000-0000-4000-8000-000000000009')$$, 'created: by key');
SAVEPOINT s;
SELECT instance_env.create_application('later', development_id => 'd0000000-0000-4000-8000-00000000000a') \gset
SELECT lives_ok($$INSERT INTO app.users VALUES (3, 'd0000000-0000-4000-8000-00000000000a')$$, 'created in a savepoint');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok($$INSERT INTO app.users VALUES (3, 'd0000000-0000-4000-8000-00000000000a')$$, '23I03', NULL,
	'rolled back: unknown again');
DELETE FROM app.users WHERE id = 2;
DELETE FROM app.by_key WHERE id = 2;
SELECT instance_env.drop_application(instance_env.application_id('late')) \gset
SELECT throws_ok($$INSERT INTO app.users VALUES (4, 'd0000000-0000-4000-8000-000000000009')$$, '23I03', NULL,
	'dropped: unknown by id');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (4, 'd0000000-0000-4000-8000-000000000009')$$, '23I03', NULL,
	'dropped: unknown by key');

-- suspended and resumed
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000001') \gset
SELECT throws_ok($$INSERT INTO app.users VALUES (5, 'd0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'counted: suspended');
SELECT throws_ok($$INSERT INTO app.sessions VALUES (5, 'd0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'not counted: suspended');
SELECT throws_ok($$INSERT INTO app.by_key VALUES (5, 'd0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'by key: suspended');
SELECT lives_ok($$UPDATE app.users SET n = 1; UPDATE app.users SET id = 6; DELETE FROM app.users; TRUNCATE app.users$$,
	'suspended: whoever is there may change and leave');
SELECT instance_env.resume_instance('d0000000-0000-4000-8000-000000000001') \gset
SELECT lives_ok($$INSERT INTO app.users VALUES (5, 'd0000000-0000-4000-8000-000000000001')$$, 'counted: resumed');
SELECT lives_ok($$INSERT INTO app.sessions VALUES (5, 'd0000000-0000-4000-8000-000000000001')$$, 'not counted: resumed');

-- a row of no instance that has come in by replication
SET LOCAL session_replication_role = replica;
INSERT INTO app.users VALUES (-1, NULL);
INSERT INTO app.by_key VALUES (-1, NULL);
SET LOCAL session_replication_role = origin;
SELECT lives_ok($$UPDATE app.users SET id = -2 WHERE id = -1$$, 'may get another key: by id');
SELECT lives_ok($$UPDATE app.by_key SET id = -2 WHERE id = -1$$, 'by key');

SELECT * FROM finish();
ROLLBACK;
