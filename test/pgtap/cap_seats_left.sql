-- seats_left() for backends, and user_count() for monitors
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(50);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => '77') \gset
SELECT instance_env.create_application('blog', development_key => '12') \gset
SELECT instance_env.instance_id('shop', 'development') AS dev, instance_env.instance_id('shop', 'production') AS prod,
	instance_env.instance_id('blog', 'development') AS blog \gset
SELECT instance_env.set_user_cap(:'dev', 5), instance_env.set_user_cap(:'blog', 5) \gset
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.grant_monitor('instance_env_monitor') \gset
GRANT USAGE ON SCHEMA app TO instance_env_backend, instance_env_monitor;
CREATE FUNCTION pg_temp.left_in(instance uuid, relation regclass DEFAULT NULL) RETURNS bigint
LANGUAGE sql AS 'SELECT instance_env.seats_left($1, $2)';

-- no table, tables of each kind

SELECT is(pg_temp.left_in(:'dev'), NULL, 'no table is counted: no limit');
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid NOT NULL);
CREATE TABLE app.members (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.numbers (id integer PRIMARY KEY, instance_id integer NOT NULL);
CREATE TABLE app.parts (id integer PRIMARY KEY, instance_id varchar NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part2 PARTITION OF app.parts FOR VALUES FROM (100) TO (200);
CREATE TABLE app.sessions (id integer PRIMARY KEY, instance_id uuid NOT NULL);
CREATE TABLE app.plain (id integer PRIMARY KEY, instance_id uuid NOT NULL);
CREATE VIEW app.seen AS SELECT * FROM app.users;
SELECT count(g) FROM unnest('{app.users,app.members,app.numbers,app.parts}'::regclass[]) t, instance_env.guard(t) g \gset
SELECT count(*) FROM instance_env.guard('app.sessions', counted => false) \gset

SELECT is(pg_temp.left_in(:'dev', 'app.users'), 5::bigint, 'an empty table');
INSERT INTO app.users VALUES (1, :'dev'), (2, :'blog');
SELECT is(pg_temp.left_in(:'dev', 'app.users'), 4::bigint, 'by id');
INSERT INTO app.members VALUES (1, 'dev'), (2, 'dev'), (3, '12');
SELECT is(pg_temp.left_in(:'dev', 'app.members'), 3::bigint, 'by external key');
INSERT INTO app.numbers VALUES (1, 12), (2, 12), (3, 12);
SELECT is(pg_temp.left_in(:'blog', 'app.numbers'), 2::bigint, 'by an integer');
SELECT is(pg_temp.left_in(:'dev', 'app.numbers'), 5::bigint, 'whose key is none');
INSERT INTO app.parts VALUES (1, 'dev'), (101, 'dev'), (102, 'dev'), (2, 'dev');
SELECT is(pg_temp.left_in(:'dev', 'app.parts'), 1::bigint, 'of a partitioned table');
SELECT is(pg_temp.left_in(:'dev', 'app.part2'), 1::bigint, 'of all of it, if a partition is named');
SELECT is(pg_temp.left_in(:'dev'), 1::bigint, 'the least of all');
SELECT is(pg_temp.left_in(:'blog'), 2::bigint, 'of another instance');
INSERT INTO app.parts VALUES (103, 'dev');
SELECT is(pg_temp.left_in(:'dev'), 0::bigint, 'full');
SELECT throws_ok($$INSERT INTO app.parts VALUES (104, 'dev')$$, '23I01', NULL, 'as an insert finds');
SELECT instance_env.set_user_cap(:'dev', 2) \gset
SELECT is(pg_temp.left_in(:'dev'), 0::bigint, 'not negative above the cap');
SELECT instance_env.set_user_cap(:'dev', 0) \gset
SELECT is(pg_temp.left_in(:'dev', 'app.numbers'), 0::bigint, 'a cap of nobody');
SELECT instance_env.set_user_cap(:'dev', 2147483647) \gset
SELECT is(pg_temp.left_in(:'dev', 'app.members'), 2147483645::bigint, 'the largest cap');
SELECT instance_env.set_user_cap(:'dev', 5) \gset
SAVEPOINT s;
DELETE FROM app.parts WHERE id > 100;
SELECT is(pg_temp.left_in(:'dev', 'app.parts'), 3::bigint, 'what the transaction itself has deleted is free');
ROLLBACK TO s;

-- instances that take nobody, or anybody

SELECT is(pg_temp.left_in(:'prod'), 0::bigint, 'production that has not been promoted');
SELECT instance_env.suspend_instance(:'dev') \gset
SELECT is(pg_temp.left_in(:'dev', 'app.users'), 0::bigint, 'a suspended instance');
SELECT instance_env.resume_instance(:'dev') \gset
SELECT production_id AS live FROM instance_env.adopt_application('live', production_key => '99') \gset
SELECT is(pg_temp.left_in(:'live'), NULL, 'active production has no limit');
SELECT is(pg_temp.left_in(:'live', 'app.users'), NULL, 'in no table');

-- what is refused

SELECT throws_ok('SELECT instance_env.seats_left(NULL)', '22004', NULL, 'null');
SELECT throws_ok($$SELECT instance_env.seats_left('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL, 'an unknown instance');
SELECT throws_ok(format('SELECT instance_env.seats_left(%L, %L)', :'dev', t), '42809', NULL, t)
FROM unnest('{app.plain,app.sessions,app.seen,pg_class,app.users_pkey,instance_env.instance}'::text[]) t;
SELECT throws_ok(format('SELECT instance_env.seats_left(%L, 0)', :'dev'), '42P01', NULL, 'no relation');
SELECT throws_ok(format('SELECT instance_env.seats_left(%L, 4294967295)', :'dev'), '42P01', NULL, 'another');
SELECT throws_ok(format('SELECT instance_env.seats_left(%L, %L)', :'live', 'app.plain'), '42809', NULL, 'in production, too');
SELECT throws_ok(format('SELECT instance_env.user_count(%L, %L)', :'dev', 'app.plain'), '42809', NULL, 'user_count()');
SELECT throws_ok('SELECT instance_env.user_count(NULL)', '22004', NULL, 'null');
SELECT throws_ok($$SELECT instance_env.user_count('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL, 'an unknown instance');
-- A table that cannot be counted: null would mean that there is no limit.
SAVEPOINT s;
DO $$
DECLARE
	index regclass;
BEGIN
	FOR index IN SELECT indexrelid FROM pg_index WHERE indrelid = 'app.numbers'::regclass AND NOT indisprimary LOOP
		EXECUTE format('DROP INDEX %s', index);
	END LOOP;
END $$;
SELECT throws_ok(format('SELECT instance_env.seats_left(%L, %L)', :'blog', 'app.numbers'), '55P03', NULL, 'without an index');
SELECT throws_ok(format('SELECT instance_env.seats_left(%L)', :'blog'), '55P03', NULL, 'nor with all others');
SELECT is(pg_temp.left_in(:'dev'), 0::bigint, 'but nothing can be less than 0');
SELECT is((SELECT users FROM instance_env.user_count(:'blog', 'app.numbers')), NULL, 'user_count() does not know');
ROLLBACK TO s;
-- of somebody who is not trusted
CREATE ROLE instance_env_stranger;
SAVEPOINT s;
ALTER TABLE app.parts OWNER TO instance_env_stranger;
SELECT throws_ok(format('SELECT instance_env.seats_left(%L, %L)', :'dev', 'app.parts'), '42809', NULL, 'a stranger''s table');
SELECT is(pg_temp.left_in(:'dev'), 3::bigint, 'is not looked at');
ROLLBACK TO s;

-- user_count()

SELECT results_eq(format('SELECT * FROM instance_env.user_count(%L)', :'dev'),
	$$VALUES ('app.members'::regclass, 2::bigint), ('app.numbers', 0), ('app.parts', 5), ('app.users', 1)$$, 'user_count()');
INSERT INTO app.users SELECT i, :'live' FROM generate_series(1000, 1999) i;
SELECT results_eq(format('SELECT * FROM instance_env.user_count(%L, %L)', :'live', 'app.users'),
	$$VALUES ('app.users'::regclass, 1000::bigint)$$, 'production');
SELECT results_eq(format('SELECT * FROM instance_env.user_count(%L, %L)', :'dev', 'app.part1'),
	$$VALUES ('app.parts'::regclass, 5::bigint)$$, 'a partition''s table');

CREATE FUNCTION pg_temp.hint_of(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE sql;
	RETURN 'none';
EXCEPTION WHEN wrong_object_type THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN hint;
END $$;

-- the least privileged, with odd settings, in a read-only transaction

SET LOCAL transaction_read_only = on;
SET ROLE instance_env_backend;
SET LOCAL search_path = pg_temp, public;
SET LOCAL quote_all_identifiers = on;
SELECT is(instance_env.seats_left(:'dev', 'app.users'), 4::bigint, 'a backend, without any right to the table');
SELECT is(instance_env.seats_left(:'dev'), 0::bigint, 'nor to the others');
SELECT throws_ok(format('SELECT instance_env.user_count(%L)', :'dev'), '42501', NULL, 'user_count() is not for it');
SELECT is(pg_temp.hint_of(format('SELECT instance_env.seats_left(%L, %L)', :'dev', 'app.plain')), '', 'its error names no view that it may not read');
RESET ROLE;
SELECT isnt(pg_temp.hint_of(format('SELECT instance_env.seats_left(%L, %L)', :'dev', 'app.plain')), '', 'but for a superuser');
SET ROLE instance_env_monitor;
SELECT is((SELECT sum(users) FROM instance_env.user_count(:'dev')), 8::numeric, 'a monitor');
SELECT throws_ok(format('SELECT instance_env.seats_left(%L)', :'dev'), '42501', NULL, 'seats_left() is for backends');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
