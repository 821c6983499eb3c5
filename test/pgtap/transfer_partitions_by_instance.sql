-- Tables partitioned by the instance column itself: a change of instance is then a
-- move between partitions, for which no UPDATE trigger fires.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(19);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset

-- The key is unique in each partition, which says nothing about two of them.
CREATE TABLE app.users (id text, instance_id text, n integer DEFAULT 0, PRIMARY KEY (instance_id, id))
	PARTITION BY LIST (instance_id);
CREATE TABLE app.users_dev PARTITION OF app.users FOR VALUES IN ('dev');
CREATE TABLE app.users_dev2 PARTITION OF app.users FOR VALUES IN ('dev2');
CREATE TABLE app.users_other PARTITION OF app.users DEFAULT;
CREATE UNIQUE INDEX ON app.users_dev (id);
CREATE UNIQUE INDEX ON app.users_dev2 (id);
CREATE UNIQUE INDEX ON app.users_other (id);
SELECT count(*) FROM instance_env.guard('app.users', user_key => 'id') \gset

SELECT lives_ok($$INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev'), ('v1', 'dev2')$$, 'users');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u3', 'dev')$$, '23I01', NULL, 'full');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u1', 'dev2')$$, '23I02', NULL,
	'a user who lives in another partition');
SELECT throws_ok($$INSERT INTO app.users_dev2 VALUES ('u1', 'dev2')$$, '23I02', NULL,
	'a user who lives in another partition, the partition named');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'dev2' WHERE id = 'u1'$$, '23I02', NULL,
	'a move between partitions');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'dev2', id = 'w1' WHERE id = 'u1'$$, '23I02', NULL,
	'a move between partitions under another key');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'nowhere' WHERE id = 'v1'$$, '23I02', NULL,
	'a move to an instance that does not exist');
SELECT throws_ok($$INSERT INTO app.users VALUES ('x', 'nowhere')$$, '23I03', NULL,
	'an insert into an instance that does not exist');
SELECT throws_ok($$INSERT INTO app.users VALUES ('x', 'prod')$$, '23I04', NULL,
	'an insert into an inactive instance');
SELECT lives_ok($$UPDATE app.users SET n = n + 1$$, 'updates of another column pass');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'u2'$$, 'a user leaves');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u2', 'dev2')$$, '23I02', NULL, 'and does not return elsewhere');
SELECT lives_ok($$INSERT INTO app.users VALUES ('u2', 'dev')$$, 'but returns');
SELECT throws_ok(
	$$MERGE INTO app.users u USING (VALUES ('u1')) s (id) ON u.id = s.id
	  WHEN MATCHED THEN UPDATE SET instance_id = 'dev2'$$, '23I02', NULL, 'a move by MERGE');
SELECT throws_ok(
	$$INSERT INTO app.users_dev VALUES ('u1', 'dev') ON CONFLICT (id) DO UPDATE SET instance_id = 'dev2'$$,
	'0A000', NULL, 'a move by an upsert');

-- the same without following identities: what remains is that no row moves

CREATE TABLE app.mails (address text, instance_id text, n integer DEFAULT 0) PARTITION BY LIST (instance_id);
CREATE TABLE app.mails_dev PARTITION OF app.mails FOR VALUES IN ('dev');
CREATE TABLE app.mails_dev2 PARTITION OF app.mails FOR VALUES IN ('dev2');
SELECT count(*) FROM instance_env.guard('app.mails', user_key => '') \gset
INSERT INTO app.mails VALUES ('a', 'dev'), ('b', 'dev2');
SELECT throws_ok($$UPDATE app.mails SET instance_id = 'dev2' WHERE address = 'a'$$, '23I02', NULL,
	'identities not followed: a move between partitions is still refused');
SELECT lives_ok($$INSERT INTO app.mails VALUES ('a', 'dev2')$$, 'identities not followed: a copy is not');
SELECT lives_ok($$UPDATE app.mails SET n = 1$$, 'identities not followed: other updates pass');

-- not counted, not followed
CREATE TABLE app.notes (note text, instance_id text) PARTITION BY LIST (instance_id);
CREATE TABLE app.notes_dev PARTITION OF app.notes FOR VALUES IN ('dev');
CREATE TABLE app.notes_dev2 PARTITION OF app.notes FOR VALUES IN ('dev2');
SELECT count(*) FROM instance_env.guard('app.notes', user_key => '', counted => false) \gset
INSERT INTO app.notes VALUES ('a', 'dev'), ('b', 'dev2');
SELECT throws_ok($$UPDATE app.notes SET instance_id = 'dev2' WHERE note = 'a'$$, '23I02', NULL,
	'not counted, identities not followed: a move between partitions is still refused');

SELECT * FROM finish();
ROLLBACK;
