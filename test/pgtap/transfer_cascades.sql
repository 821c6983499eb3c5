-- Changes that reach the guarded table through a foreign key
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(16);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 3) \gset

CREATE TABLE app.tenants (id text PRIMARY KEY);
CREATE TABLE app.users
(
	id text PRIMARY KEY,
	instance_id text REFERENCES app.tenants ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE app.nullable
(
	id text PRIMARY KEY,
	instance_id text REFERENCES app.tenants ON UPDATE CASCADE ON DELETE SET NULL
);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.nullable', counted => false) \gset
INSERT INTO app.tenants VALUES ('dev'), ('dev2');
INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev'), ('u3', 'dev');

DELETE FROM app.tenants WHERE id = 'dev2';
SELECT throws_ok($$UPDATE app.tenants SET id = 'dev2' WHERE id = 'dev'$$, '23I02', NULL,
	'ON UPDATE CASCADE to another instance is refused');
SELECT throws_ok($$UPDATE app.tenants SET id = 'nowhere' WHERE id = 'dev'$$, '23I02', NULL,
	'ON UPDATE CASCADE to no instance is refused');
SELECT lives_ok($$UPDATE app.tenants SET id = id$$, 'ON UPDATE CASCADE that changes nothing passes');
SELECT lives_ok($$DELETE FROM app.tenants WHERE id = 'dev'$$, 'ON DELETE CASCADE passes');
SELECT is((SELECT count(*) FROM app.users), 0::bigint, 'and deletes the users');
INSERT INTO app.tenants VALUES ('dev'), ('dev2');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u1', 'dev2')$$, '23I02', NULL,
	'users deleted by ON DELETE CASCADE do not return in another instance');
SELECT lives_ok($$INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev'), ('u4', 'dev')$$,
	'their seats are free');

INSERT INTO app.nullable VALUES ('n1', 'dev');
SELECT throws_ok($$DELETE FROM app.tenants WHERE id = 'dev'$$, '23I02', NULL,
	'ON DELETE SET NULL takes a user out of its instance: refused');

-- the key itself changed by a cascade: a departure and an arrival

CREATE TABLE app.people (id text PRIMARY KEY);
CREATE TABLE app.accounts
(
	id text PRIMARY KEY REFERENCES app.people ON UPDATE CASCADE ON DELETE CASCADE,
	instance_id text
);
SELECT count(*) FROM instance_env.guard('app.accounts') \gset
INSERT INTO app.people VALUES ('ann'), ('bob');
INSERT INTO app.accounts VALUES ('ann', 'dev'), ('bob', 'dev2');
SELECT lives_ok($$UPDATE app.people SET id = 'anna' WHERE id = 'ann'$$, 'a key changed by ON UPDATE CASCADE');
INSERT INTO app.people VALUES ('ann');
SELECT throws_ok($$INSERT INTO app.accounts VALUES ('ann', 'dev2')$$, '23I02', NULL,
	'the old key does not return in another instance');
SELECT lives_ok($$DELETE FROM app.people WHERE id = 'anna'$$, 'the user is deleted by ON DELETE CASCADE');
INSERT INTO app.people VALUES ('anna');
SELECT throws_ok($$INSERT INTO app.accounts VALUES ('anna', 'dev2')$$, '23I02', NULL,
	'nor does the new one');
SELECT throws_ok($$DELETE FROM app.people WHERE id = 'ann'; UPDATE app.people SET id = 'ann' WHERE id = 'bob'$$,
	'23I02', NULL, 'nor does a cascade give a user the key of another instance''s departed user');

-- TRUNCATE … CASCADE
SELECT lives_ok($$TRUNCATE app.people CASCADE$$, 'TRUNCATE … CASCADE of what the users refer to passes');
INSERT INTO app.people VALUES ('bob');
SELECT throws_ok($$INSERT INTO app.accounts VALUES ('bob', 'dev')$$, '23I02', NULL,
	'users truncated by CASCADE do not return in another instance');
SELECT lives_ok($$INSERT INTO app.accounts VALUES ('bob', 'dev2')$$, 'but do in their own');

SELECT * FROM finish();
ROLLBACK;
