-- User keys: of several columns, by default, without a record of departures, and where one is
-- found in a partitioned table.
SET client_min_messages = error;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(62);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', 'pro', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset

-- several columns

CREATE TABLE app.users (gone text, app_id text, "User Id" integer, tenant text, n integer DEFAULT 0);
ALTER TABLE app.users DROP gone;
SELECT count(*) FROM instance_env.guard('app.users', 'tenant', 'app_id, "User Id"') \gset
SELECT is((SELECT user_key FROM instance_env.guards), 'app_id, "User Id"', 'a key of two columns');
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'tenant', ' ( app_id,"User Id" ) '::text)$$, 'the same, written otherwise');
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant', '(app_id)')$$, '42710', NULL, 'a list of one');
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant', 'APP_ID')$$, '42703', NULL, 'a single name is taken as it is');
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant', '"User Id", app_id')$$, '42710', NULL, 'another order');
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant', 'app_id')$$, '42710', NULL, 'one of them');
SELECT lives_ok($$INSERT INTO app.users VALUES ('a', 1, 'dev'), ('a', 2, 'dev'), ('b', 1, 'dev2')$$, 'users');
SELECT throws_ok($$INSERT INTO app.users VALUES ('a', 1, 'dev2')$$, '23I02', NULL, 'a user who lives elsewhere');
SELECT lives_ok($$INSERT INTO app.users VALUES ('b', 2, 'dev')$$, 'each column alone may be anywhere');
SELECT lives_ok($$INSERT INTO app.users VALUES ('a', NULL, 'dev'), ('a', NULL, 'dev2'), (NULL, 1, 'dev')$$, 'who has no whole key is nobody');
SELECT throws_ok($$UPDATE app.users SET app_id = 'b' WHERE app_id = 'a' AND "User Id" = 1$$, '23I02', NULL, 'a key that lives elsewhere: one column');
SELECT throws_ok($$UPDATE app.users SET "User Id" = 2 WHERE tenant = 'dev2' AND app_id = 'b'$$, '23I02', NULL, 'a key that lives elsewhere: the other');
SELECT lives_ok($$UPDATE app.users SET n = 1$$, 'nothing of it changes');
SELECT lives_ok($$UPDATE app.users SET "User Id" = 3 WHERE app_id = 'a' AND "User Id" = 2$$, 'a new key');
SELECT throws_ok($$INSERT INTO app.users VALUES ('a', 2, 'dev2')$$, '23I02', NULL, 'and the old one has departed');
DELETE FROM app.users WHERE app_id = 'a' AND "User Id" = 1;
SELECT throws_ok($$INSERT INTO app.users VALUES ('a', 1, 'dev2')$$, '23I02', NULL, 'who was deleted does not return elsewhere');
SELECT lives_ok($$INSERT INTO app.users VALUES ('a', 1, 'dev')$$, 'but here');
SELECT throws_ok($$WITH gone AS (DELETE FROM app.users WHERE app_id = 'a' AND "User Id" = 1)
	INSERT INTO app.users VALUES ('a', 1, 'dev2')$$, '23I02', NULL, 'not in the same statement either');
TRUNCATE app.users;
SELECT throws_ok($$INSERT INTO app.users VALUES ('a', 1, 'dev2')$$, '23I02', NULL, 'TRUNCATE is a departure');
SELECT throws_ok($$INSERT INTO app.users VALUES ('a', 3, 'dev2')$$, '23I02', NULL, 'of each');
ALTER TABLE app.users RENAME "User Id" TO user_id;
SELECT is((SELECT user_key FROM instance_env.guards), 'app_id, user_id', 'a column may be renamed');
SELECT throws_ok($$INSERT INTO app.users VALUES ('a', 3, 'dev2')$$, '23I02', NULL, 'and the key is the same');
SELECT instance_env.unguard('app.users') \gset
SELECT instance_env.forget_departed('infinity') \gset
INSERT INTO app.users VALUES ('c', 1, 'dev'), ('c', 1, 'dev2');
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant', 'app_id, user_id')$$, '23I02', NULL, 'a user in two instances');
DELETE FROM app.users WHERE tenant = 'dev2';
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'tenant', 'app_id, user_id')$$, 'once gone from one');
DELETE FROM app.users;
SELECT instance_env.unguard('app.users') \gset
INSERT INTO app.users VALUES ('c', 1, 'dev2');
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant', 'app_id, user_id')$$, '23I02', NULL, 'a user who departed from another');
DROP TABLE app.users;

-- a column whose name looks like a list
CREATE TABLE app.users ("a, b" text, a text, b text, tenant text);
SELECT count(*) FROM instance_env.guard('app.users', 'tenant', 'a, b') \gset
SELECT is((SELECT indexdef ~ 'a, b"' FROM pg_indexes WHERE tablename = 'users' AND schemaname = 'app' AND indexdef !~ 'tenant'), true,
	'the name of a column comes first');
DROP TABLE app.users;

-- names that two instances may have
CREATE TABLE app.users (owner text, name text, PRIMARY KEY (owner, name));
SELECT count(*) FROM instance_env.guard('app.users', 'owner') \gset
SELECT lives_ok($$INSERT INTO app.users VALUES ('dev', 'admin'), ('dev2', 'admin')$$, 'admin in two instances');
SELECT throws_ok($$UPDATE app.users SET owner = 'dev2', name = 'other' WHERE owner = 'dev'$$, '23I02', NULL, 'nobody moves, though');
DROP TABLE app.users;
CREATE TABLE app.users (owner text, name text, id uuid UNIQUE, PRIMARY KEY (owner, name));
SELECT count(*) FROM instance_env.guard('app.users', 'owner') \gset
SELECT is((SELECT user_key FROM instance_env.guards), NULL, 'it is the primary key that counts, not any unique one');
DROP TABLE app.users;

-- a table that is not counted
CREATE TABLE app.sessions (id integer PRIMARY KEY, tenant text);
SELECT count(*) FROM instance_env.guard('app.sessions', 'tenant', counted => false) \gset
INSERT INTO app.sessions VALUES (1, 'dev');
DELETE FROM app.sessions;
SELECT is_empty($$SELECT FROM instance_env.departed_user WHERE departed_at = now() AND instance = instance_env.instance_id('shop', 'development')
	OFFSET (SELECT count(*) FROM instance_env.departed_user)$$, 'sessions');
SELECT lives_ok($$INSERT INTO app.sessions VALUES (1, 'dev2')$$, 'are nobody, and may have any number');
DROP TABLE app.sessions;

-- departures that are not followed
CREATE TABLE app.users (id integer PRIMARY KEY, tenant text, n integer DEFAULT 0);
SELECT count(*) FROM instance_env.guard('app.users', 'tenant', follow_departures => false) \gset
SELECT is((SELECT whole FROM instance_env.guards), true, 'no departures: whole');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.users'::regclass AND tgname ~ 'departure|truncate'), 0::bigint,
	'no departures: no triggers for them');
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset
INSERT INTO app.users VALUES (1, 'dev'), (2, 'dev');
SELECT throws_ok($$INSERT INTO app.users VALUES (3, 'dev')$$, '23I01', NULL, 'no departures: the cap');
SELECT throws_ok($$UPDATE app.users SET tenant = 'dev2'$$, '23I02', NULL, 'no departures: nobody moves');
DELETE FROM app.users WHERE id = 1;
SELECT lives_ok($$INSERT INTO app.users VALUES (1, 'dev2')$$, 'no departures: who left may return elsewhere');
SELECT lives_ok($$INSERT INTO app.users VALUES (3, 'dev')$$, 'no departures: the seat is free');
SELECT lives_ok($$TRUNCATE app.users RESTART IDENTITY; INSERT INTO app.users VALUES (1, 'dev'), (3, 'dev2')$$, 'no departures: TRUNCATE');
SELECT lives_ok($$UPDATE app.users SET id = id + 1; UPDATE app.users SET id = 3 WHERE tenant = 'dev2'$$, 'no departures: another key');
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant')$$, '42710', NULL, 'no departures: cannot be changed by the way');
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'tenant', follow_departures => false)$$, 'no departures: the same again');
SELECT is((SELECT after ->> 'follow_departures' FROM instance_env.events WHERE action = 'guard' ORDER BY id DESC LIMIT 1), 'false',
	'no departures: on record');
DROP TABLE app.users;
CREATE TABLE app.loose (id integer, tenant text);
SELECT count(*) FROM instance_env.guard('app.loose', 'tenant', 'id', follow_departures => false) \gset
INSERT INTO app.loose VALUES (1, 'dev');
SELECT throws_ok($$INSERT INTO app.loose VALUES (1, 'dev2')$$, '23I02', NULL, 'no departures: who lives elsewhere');
DROP TABLE app.loose;
CREATE UNLOGGED TABLE app.users (id integer PRIMARY KEY, tenant text);
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'tenant', follow_departures => false)$$, 'no departures: an unlogged table loses none');
DROP TABLE app.users;
CREATE TABLE app.users (id integer PRIMARY KEY, tenant text);
UPDATE instance_env.instance SET status = 'active' WHERE external_key = 'prod';
INSERT INTO app.users VALUES (1, 'dev'), (2, 'prod');
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant', follow_departures => false)$$, '55000', NULL,
	'no departures: not where there are production users');
DELETE FROM app.users WHERE id = 2;
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'tenant', follow_departures => false)$$, 'no departures: where there are none');
SELECT throws_ok($$INSERT INTO app.users VALUES (3, 'prod')$$, '55000', 'table "app.users" takes no rows of production instance "prod"',
	'no departures: and none come');
SELECT throws_ok($$COPY app.users FROM PROGRAM 'printf ''3\tprod\n'''$$, '55000', NULL, 'no departures: by COPY either');
UPDATE instance_env.instance SET status = 'inactive' WHERE external_key = 'prod';
SELECT is((SELECT severity::text || passed FROM instance_env.validate(instance_env.instance_id('shop', 'production'))
	WHERE check_name = 'departures' AND subject = 'app.users'), 'errorfalse', 'no departures: validate() objects');
DROP TABLE app.users;

-- where a key is looked for in a partitioned table

CREATE TABLE app.users (id integer, region text, tenant text) PARTITION BY LIST (region);
CREATE TABLE app.first PARTITION OF app.users DEFAULT PARTITION BY RANGE (id);
DO $$
BEGIN
	FOR i IN 1..17 LOOP
		EXECUTE format('CREATE TABLE app.p%s PARTITION OF app.first FOR VALUES FROM (%s) TO (%s)', i, i * 100, (i + 1) * 100);
	END LOOP;
END $$;
SELECT throws_ok($$SELECT instance_env.guard('app.users', 'tenant', 'id')$$, '0A000', NULL, 'one level is not by the key: too many partitions');
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'tenant', 'region, id')$$, 'both levels are');
SELECT instance_env.unguard('app.users') \gset
DROP TABLE app.p17;
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'tenant', 'id')$$, 'few are searched');
INSERT INTO app.users VALUES (101, 'x', 'dev');
SELECT throws_ok($$INSERT INTO app.users VALUES (101, 'y', 'dev2')$$, '23I02', NULL, 'and a user is found');
CREATE TABLE app.other PARTITION OF app.users FOR VALUES IN ('z');
SELECT throws_ok($$INSERT INTO app.users VALUES (101, 'z', 'dev2')$$, '23I02', NULL, 'from another partition, too');
SELECT is((SELECT problems::text FROM instance_env.guards WHERE relation = 'app.users'::regclass),
	'{"the partition key is not part of the user key, so each new row is looked for in all 17 partitions"}', 'one more: the guard says so');
SELECT throws_ok($$INSERT INTO app.users VALUES (101, 'z', 'dev2')$$, '23I02', NULL, 'but does not fail');
DROP TABLE app.users;

-- by an expression, or by another idea of equality, equal keys may be anywhere
CREATE TABLE app.users (id text, tenant text) PARTITION BY LIST ((lower(id)));
CREATE TABLE app.a PARTITION OF app.users DEFAULT;
SELECT count(*) FROM instance_env.guard('app.users', 'tenant', 'id') \gset
INSERT INTO app.users VALUES ('a', 'dev');
SELECT throws_ok($$INSERT INTO app.users VALUES ('a', 'dev2')$$, '23I02', NULL, 'partitioned by an expression');
DROP TABLE app.users;
CREATE TABLE app.users (id text COLLATE "C", tenant text) PARTITION BY RANGE (id COLLATE "POSIX");
CREATE TABLE app.a PARTITION OF app.users DEFAULT;
SELECT count(*) FROM instance_env.guard('app.users', 'tenant', 'id') \gset
INSERT INTO app.users VALUES ('a', 'dev');
SELECT throws_ok($$INSERT INTO app.users VALUES ('a', 'dev2')$$, '23I02', NULL, 'partitioned by another collation');
DROP TABLE app.users;

-- many partitions, and the key says which
CREATE TABLE app.users (id integer, tenant text) PARTITION BY RANGE (id);
DO $$
BEGIN
	FOR i IN 1..40 LOOP
		EXECUTE format('CREATE TABLE app.p%s PARTITION OF app.users FOR VALUES FROM (%s) TO (%s)', i, i * 100, (i + 1) * 100);
	END LOOP;
END $$;
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'tenant', 'id')$$, 'many partitions, by the user key');
INSERT INTO app.users VALUES (101, 'dev'), (102, 'dev');
DELETE FROM app.users WHERE id = 102;
SELECT throws_ok($$INSERT INTO app.users VALUES (101, 'dev2')$$, '23I02', NULL, 'who lives elsewhere');
SELECT throws_ok($$INSERT INTO app.users VALUES (102, 'dev2')$$, '23I02', NULL, 'who left');
SELECT throws_ok($$WITH gone AS (DELETE FROM app.users WHERE id = 101) INSERT INTO app.users VALUES (101, 'dev2')$$, '23I02', NULL,
	'who is leaving');

SELECT * FROM finish();
ROLLBACK;
