-- TRUNCATE is a departure of everybody.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(35);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset

CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT lives_ok($$TRUNCATE app.users$$, 'an empty table');
INSERT INTO app.users SELECT i, 'dev' FROM generate_series(1, 400) i;
INSERT INTO app.users SELECT i, 'dev2' FROM generate_series(1001, 1400) i;
DELETE FROM app.users WHERE id = 1;
SELECT lives_ok($$TRUNCATE app.users$$, 'a table of 799 users in two instances');
SELECT is((SELECT count(*) FROM instance_env.departed_user), 800::bigint,
	'each of them is remembered, and the one who had left before');
SELECT throws_ok($$INSERT INTO app.users VALUES (2, 'dev2')$$, '23I02', NULL, 'return elsewhere: the first');
SELECT throws_ok($$INSERT INTO app.users VALUES (400, 'dev2')$$, '23I02', NULL, 'return elsewhere: the last');
SELECT throws_ok($$INSERT INTO app.users VALUES (1400, 'dev')$$, '23I02', NULL, 'return elsewhere: the other way');
SELECT lives_ok($$INSERT INTO app.users SELECT i, 'dev' FROM generate_series(1, 400) i$$, 'return of all');
SELECT lives_ok($$INSERT INTO app.users VALUES (500, 'dev2')$$, 'a new user');

SAVEPOINT s;
TRUNCATE app.users;
SELECT throws_ok($$INSERT INTO app.users VALUES (500, 'dev')$$, '23I02', NULL, 'truncated in a savepoint');
ROLLBACK TO SAVEPOINT s;
DELETE FROM app.users WHERE id = 499 OR id = 500;
SELECT throws_ok($$INSERT INTO app.users VALUES (500, 'dev')$$, '23I02', NULL, 'and deleted after its rollback');

SELECT lives_ok($$TRUNCATE app.users; TRUNCATE app.users$$, 'twice');
SELECT lives_ok($$TRUNCATE app.users RESTART IDENTITY$$, 'RESTART IDENTITY');
SELECT lives_ok($$COPY app.users FROM PROGRAM 'printf "2\tdev\n"'$$, 'COPY after TRUNCATE');

-- through a foreign key

CREATE TABLE app.tenants (id text PRIMARY KEY);
CREATE TABLE app.members (id text PRIMARY KEY, instance_id text REFERENCES app.tenants);
SELECT count(*) FROM instance_env.guard('app.members') \gset
INSERT INTO app.tenants VALUES ('dev'), ('dev2');
INSERT INTO app.members VALUES ('ann', 'dev'), ('bob', 'dev2');
SELECT throws_ok($$TRUNCATE app.tenants$$, '0A000', NULL, 'TRUNCATE of a table that users refer to');
SELECT lives_ok($$TRUNCATE app.tenants CASCADE$$, 'TRUNCATE … CASCADE');
INSERT INTO app.tenants VALUES ('dev'), ('dev2');
SELECT throws_ok($$INSERT INTO app.members VALUES ('ann', 'dev2')$$, '23I02', NULL, 'return elsewhere after CASCADE');
SELECT lives_ok($$INSERT INTO app.members VALUES ('ann', 'dev')$$, 'return after CASCADE');

-- partitions, one and all, one below another, and one added since

CREATE TABLE app.parted (id integer, instance_id text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part2 PARTITION OF app.parted FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
CREATE TABLE app.part21 PARTITION OF app.part2 FOR VALUES FROM (100) TO (150);
CREATE TABLE app.part22 (instance_id text, id integer NOT NULL);
ALTER TABLE app.part2 ATTACH PARTITION app.part22 FOR VALUES FROM (150) TO (200);
SELECT count(*) FROM instance_env.guard('app.parted') \gset
INSERT INTO app.parted SELECT i * 10, 'dev' FROM generate_series(1, 19) i;
SELECT lives_ok($$TRUNCATE app.part1$$, 'TRUNCATE of one partition');
SELECT throws_ok($$INSERT INTO app.parted VALUES (10, 'dev2')$$, '23I02', NULL, 'return elsewhere');
SELECT lives_ok($$INSERT INTO app.parted VALUES (11, 'dev2')$$, 'somebody else');
SELECT throws_ok($$INSERT INTO app.parted VALUES (110, 'dev2')$$, '23505', NULL, 'another partition''s users live on');
SELECT lives_ok($$TRUNCATE app.part22$$, 'TRUNCATE of a partition with other columns');
SELECT throws_ok($$INSERT INTO app.parted VALUES (160, 'dev2')$$, '23I02', NULL, 'return elsewhere');
SELECT lives_ok($$TRUNCATE app.part2$$, 'TRUNCATE of a partitioned partition');
SELECT throws_ok($$INSERT INTO app.parted VALUES (120, 'dev2')$$, '23I02', NULL, 'return elsewhere');
SELECT lives_ok($$INSERT INTO app.parted SELECT i * 10, 'dev' FROM generate_series(1, 19) i$$, 'return of all');
SELECT lives_ok($$INSERT INTO app.parted VALUES (12, 'dev2')$$, 'and somebody new');
SELECT lives_ok($$TRUNCATE app.parted$$, 'TRUNCATE of the root');
SELECT throws_ok($$INSERT INTO app.parted VALUES (12, 'dev')$$, '23I02', NULL, 'return elsewhere');

CREATE TABLE app.part3 PARTITION OF app.parted FOR VALUES FROM (200) TO (300);
INSERT INTO app.parted VALUES (210, 'dev'), (220, 'dev');
SELECT lives_ok($$TRUNCATE app.parted$$, 'TRUNCATE of the root with a partition that came after guard()');
SELECT throws_ok($$INSERT INTO app.parted VALUES (210, 'dev2')$$, '23I02', NULL, 'return elsewhere');
INSERT INTO app.parted VALUES (230, 'dev');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.parted'::regclass), true, 'the guard is whole');
SELECT lives_ok($$TRUNCATE app.part3$$, 'TRUNCATE of the new partition');
SELECT throws_ok($$INSERT INTO app.parted VALUES (230, 'dev2')$$, '23I02', NULL, 'return elsewhere');

-- identities not followed: nothing to remember
CREATE TABLE app.plain (id integer, instance_id text);
SELECT count(*) FROM instance_env.guard('app.plain', user_key => '') \gset
INSERT INTO app.plain VALUES (1, 'dev');
SELECT lives_ok($$TRUNCATE app.plain; INSERT INTO app.plain VALUES (1, 'dev2')$$,
	'identities not followed: nothing is remembered');

SELECT * FROM finish();
ROLLBACK;
