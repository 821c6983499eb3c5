-- Statements that add users to several instances, and several guarded tables: each
-- instance has its cap in each counted table.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(28);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 3) \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('blog', 'development'), 2) \gset
SELECT instance_env.associate_domain(instance_env.instance_id('shop', 'production'), 'shop.example.com') \gset
SELECT instance_env.verify_domain(instance_env.instance_id('shop', 'production'), 'shop.example.com') \gset
SELECT count(*) FROM instance_env.promote(instance_env.application_id('shop')) \gset

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.admins (id text PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.admins') \gset

-- a production row queues no trigger, whatever column the instance is in and whether users are tracked

CREATE FUNCTION pg_temp.fired(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || statement LOOP
		found := found || coalesce(substring(line FROM 'Trigger "?(instance_env_[a-z_]+).* calls=[0-9]'), '');
	END LOOP;
	RETURN found;
END $$;
CREATE TABLE app.by_id (id text PRIMARY KEY, instance_id uuid NOT NULL);
CREATE TABLE app.untracked (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.untracked_by_id (id text PRIMARY KEY, instance_id uuid NOT NULL);
CREATE TABLE app.parts (id text, instance_id text NOT NULL, p integer) PARTITION BY LIST (p);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES IN (1);
CREATE TABLE app.part2 PARTITION OF app.parts FOR VALUES IN (2);
SELECT count(*) FROM instance_env.guard('app.by_id') \gset
SELECT count(*) FROM instance_env.guard('app.untracked', user_key => '') \gset
SELECT count(*) FROM instance_env.guard('app.untracked_by_id', user_key => '') \gset
SELECT count(*) FROM instance_env.guard('app.parts', user_key => '') \gset
SELECT instance_env.instance_id('shop', 'production') AS prod \gset
SELECT is(pg_temp.fired(format('INSERT INTO app.users VALUES (%L, %L)', 'q9', 'prod')), '', 'by key');
SELECT is(pg_temp.fired(format('INSERT INTO app.by_id VALUES (%L, %L)', 'p9', :'prod')), '', 'by id');
SELECT is(pg_temp.fired(format('INSERT INTO app.untracked VALUES (%L, %L)', 'p9', 'prod')), '', 'by key, users not tracked');
SELECT is(pg_temp.fired(format('INSERT INTO app.untracked_by_id VALUES (%L, %L)', 'p9', :'prod')), '', 'by id, users not tracked');
SELECT is(pg_temp.fired(format('INSERT INTO app.parts VALUES (%L, %L, 1)', 'p9', 'prod')), '', 'in a partition');
SELECT is(pg_temp.fired('DELETE FROM app.parts'), '', 'nor does it when it is deleted from one without having moved');
SELECT is(pg_temp.fired(format('INSERT INTO app.by_id VALUES (%L, %L)', 'd9', instance_env.instance_id('shop', 'development'))),
	'instance_env_user_cap', 'a development row does');

DELETE FROM app.users;
SELECT is(pg_temp.fired(format('INSERT INTO app.users VALUES (%L, %L)', 'q8', 'prod')), '',
	'nor does the next one once a departure is on record');

-- one statement, three instances

SELECT throws_ok(
	$$INSERT INTO app.users VALUES
		('p1', 'prod'), ('d1', 'dev'), ('e1', 'dev2'), ('d2', 'dev'), ('e2', 'dev2'),
		('p2', 'prod'), ('d3', 'dev'), ('e3', 'dev2')$$, '23I01', NULL,
	'one statement, three instances: refused if one of them is passed');
SELECT lives_ok(
	$$INSERT INTO app.users VALUES
		('p1', 'prod'), ('d1', 'dev'), ('e1', 'dev2'), ('d2', 'dev'), ('e2', 'dev2'),
		('p2', 'prod'), ('d3', 'dev')$$,
	'one statement, three instances: all full, none passed');
SELECT throws_ok($$INSERT INTO app.users VALUES ('d4', 'dev')$$, '23I01', NULL, 'the first is full');
SELECT throws_ok($$INSERT INTO app.users VALUES ('e3', 'dev2')$$, '23I01', NULL, 'the second is full');
SELECT throws_ok($$INSERT INTO app.users VALUES ('p3', 'prod'), ('d4', 'dev')$$, '23I01', NULL,
	'production and a full instance in one statement: refused');
SELECT lives_ok($$INSERT INTO app.users SELECT 'many' || i, 'prod' FROM generate_series(1, 1200) i$$,
	'production is never full');
SELECT lives_ok(
	$$DELETE FROM app.users WHERE id = 'e1'; INSERT INTO app.users VALUES ('e4', 'dev2'), ('p3', 'prod')$$,
	'a seat freed in one instance is free');
SELECT throws_ok(
	$$WITH d AS (DELETE FROM app.users WHERE id = 'e4') INSERT INTO app.users VALUES ('d4', 'dev')$$,
	'23I01', NULL, 'a seat freed in one instance is not one in another');

-- two tables

SELECT lives_ok(
	$$INSERT INTO app.admins VALUES ('a1', 'dev'), ('a2', 'dev'), ('a3', 'dev'), ('b1', 'dev2')$$,
	'another counted table counts for itself');
SELECT throws_ok($$INSERT INTO app.admins VALUES ('a4', 'dev')$$, '23I01', NULL, 'up to the same cap');
SELECT lives_ok($$INSERT INTO app.admins VALUES ('d1', 'dev2')$$,
	'a key in one table is no identity in another');
SELECT throws_ok(
	$$WITH a AS (INSERT INTO app.admins VALUES ('b3', 'dev2'))
	  INSERT INTO app.users VALUES ('p9', 'prod')$$, '23I01', NULL,
	'one statement, two tables: refused if one is passed');
SELECT lives_ok(
	$$DELETE FROM app.admins WHERE instance_id = 'dev2';
	  DELETE FROM app.users WHERE instance_id = 'dev2';
	  WITH a AS (INSERT INTO app.admins VALUES ('c1', 'dev2'), ('c2', 'dev2'))
	  INSERT INTO app.users VALUES ('c1', 'dev2'), ('c2', 'dev2')$$,
	'one statement, two tables: full, not passed');

-- many instances at once, more than anybody would keep in a small array

DO $$
BEGIN
	FOR i IN 1 .. 300 LOOP
		PERFORM instance_env.create_application('app ' || i, development_key => 'dev ' || i);
		PERFORM instance_env.set_user_cap(instance_env.instance_id('app ' || i, 'development'), 3);
	END LOOP;
END $$;
SELECT throws_ok(
	$$INSERT INTO app.users
	  SELECT i || ' ' || j, 'dev ' || i FROM generate_series(1, 4) j, generate_series(1, 300) i
	  WHERE j < 4 OR i = 150$$, '23I01', NULL,
	'300 instances in one statement: refused if one is passed');
SELECT lives_ok(
	$$INSERT INTO app.users
	  SELECT i || ' ' || j, 'dev ' || i FROM generate_series(1, 3) j, generate_series(1, 300) i$$,
	'300 instances in one statement: all full, none passed');
SELECT is(
	(SELECT count(*) FROM generate_series(1, 300) i
	 WHERE NOT EXISTS (SELECT FROM app.users u WHERE u.instance_id = 'dev ' || i HAVING count(*) = 3)),
	0::bigint, 'each holds three');
SELECT throws_ok($$INSERT INTO app.users VALUES ('x', 'dev 1')$$, '23I01', NULL, 'the first is full');
SELECT throws_ok($$INSERT INTO app.users VALUES ('x', 'dev 300')$$, '23I01', NULL, 'the last is full');

-- an instance whose id is all zeroes

SELECT instance_env.create_application('nil', development_id => '00000000-0000-0000-0000-000000000000') \gset
SELECT instance_env.set_user_cap('00000000-0000-0000-0000-000000000000', 1) \gset
INSERT INTO app.by_id VALUES ('p8', :'prod');	-- so that there is a production instance to remember
SELECT lives_ok($$INSERT INTO app.by_id VALUES ('n1', '00000000-0000-0000-0000-000000000000')$$, 'the nil uuid: one user');
SELECT throws_ok($$INSERT INTO app.by_id VALUES ('n2', '00000000-0000-0000-0000-000000000000')$$, '23I01', NULL,
	'and no more than the cap');

SELECT * FROM finish();
ROLLBACK;
