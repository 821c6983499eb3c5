-- Users of production are not destroyed by mistake. Tables that a transaction has created
-- itself are not protected, so each statement here is a transaction of its own.
SET client_min_messages = error;
SELECT plan(72);
\ir ../include/outcome.sql

CREATE ROLE instance_env_keeper;
CREATE ROLE instance_env_sweeper;
CREATE ROLE instance_env_lord;
GRANT CREATE ON DATABASE :"DBNAME" TO instance_env_keeper;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod',
	development_id => '00000000-0000-4000-8000-00000000000d', production_id => '00000000-0000-4000-8000-00000000000e') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2', production_key => 'prod2') \gset
SELECT instance_env.grant_guard('instance_env_keeper');
UPDATE instance_env.instance SET status = 'active' WHERE external_key = 'prod';

CREATE SCHEMA app AUTHORIZATION instance_env_keeper;
GRANT ALL ON SCHEMA app TO instance_env_sweeper;
SET ROLE instance_env_keeper;
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app."odd ""name" (id integer, instance_id uuid NOT NULL);
CREATE TABLE app.parted (id integer PRIMARY KEY, instance_id text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part2 PARTITION OF app.parted FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
CREATE TABLE app.part21 PARTITION OF app.part2 FOR VALUES FROM (100) TO (150);
CREATE TABLE app.sessions (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.others (id integer);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app."odd ""name"', user_key => '') \gset
SELECT count(*) FROM instance_env.guard('app.parted', user_key => '') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', user_key => '', counted => false) \gset
CREATE TABLE app.part22 PARTITION OF app.part2 FOR VALUES FROM (150) TO (200);
GRANT SELECT (id), DELETE, TRUNCATE ON ALL TABLES IN SCHEMA app TO instance_env_sweeper;
RESET ROLE;
SELECT is((SELECT string_agg(relation || ': ' || problems::text, '; ') FROM instance_env.guards WHERE NOT whole), NULL,
	'every guard is whole');
SET quote_all_identifiers = off;
SELECT set_eq($$SELECT tgname::text, tgrelid::regclass::text FROM pg_trigger
	WHERE tgrelid::regclass::text LIKE 'app.odd%' OR tgrelid = 'app.part22'::regclass$$,
	$$VALUES ('instance_env_user_cap', 'app.part22'), ('Instance_env_no_transfer', 'app.part22'), ('instance_env_no_move', 'app.part22'),
	('instance_env_truncate', 'app.part22')$$, 'a new partition has all triggers');
RESET quote_all_identifiers;

-- nothing of production yet

INSERT INTO app.users VALUES (1, 'dev'), (9001, 'dev2');
SELECT lives_ok('DO $$BEGIN DROP EXTENSION instance_env CASCADE; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END$$',
	'the extension, with users of development');
SELECT lives_ok('TRUNCATE app.users, app.parted, app."odd ""name"', 'users of development');
INSERT INTO app.users SELECT i, 'dev' FROM generate_series(1, 400) i;
INSERT INTO app.users VALUES (1001, 'prod');
INSERT INTO app."odd ""name" VALUES (1, '00000000-0000-4000-8000-00000000000e');
INSERT INTO app.parted VALUES (160, 'prod'), (1, 'dev');
INSERT INTO app.sessions VALUES (1, 'prod');

-- TRUNCATE

SELECT throws_ok('TRUNCATE app.users', '55I05', 'cannot truncate table "app.users" because it holds users of production', 'TRUNCATE by a superuser');
SELECT is(pg_temp.outcome('instance_env_keeper', 'TRUNCATE app.users'), '55I05', 'by the owner');
SELECT is(pg_temp.outcome('instance_env_sweeper', 'TRUNCATE app.users'), '55I05', 'by a role that may truncate');
SELECT is(pg_temp.outcome('instance_env_lord', 'TRUNCATE app.users'), '42501', 'but a stranger is told nothing');
SELECT throws_ok('TRUNCATE app.others, app."odd ""name"', '55I05', NULL, 'among others; ids; users who are not tracked');
SELECT throws_ok('TRUNCATE app.parted', '55I05', NULL, 'a partitioned table');
SELECT throws_ok('TRUNCATE app.part2', '55I05', NULL, 'a partition that is partitioned');
SELECT throws_ok('TRUNCATE app.part22', '55I05', NULL, 'a partition that came later');
SELECT lives_ok('TRUNCATE app.part1', 'a partition without users of production');
SELECT lives_ok('TRUNCATE app.sessions', 'what is not counted');
INSERT INTO app.sessions VALUES (1, 'prod');
SELECT throws_ok('DO $$BEGIN EXECUTE ''TRUNCATE app.users''; END$$', '55I05', NULL, 'in a block');
CREATE TABLE app.tenants (id text PRIMARY KEY);
INSERT INTO app.tenants VALUES ('dev'), ('prod');
ALTER TABLE app.users ADD FOREIGN KEY (instance_id) REFERENCES app.tenants ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
SELECT throws_ok('TRUNCATE app.tenants CASCADE', '55I05', NULL, 'through a foreign key');
UPDATE instance_env.instance SET status = 'suspended' WHERE external_key = 'prod';
SELECT throws_ok('TRUNCATE app.users', '55I05', NULL, 'of a suspended instance');
UPDATE instance_env.instance SET status = 'active' WHERE external_key = 'prod';

-- what an error says

CREATE FUNCTION pg_temp.detail(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	BEGIN
		EXECUTE format('SET LOCAL ROLE %I', role);
		EXECUTE command;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	END;
	RESET ROLE;
	RETURN detail || ' ' || hint;
END $$;
SELECT matches(pg_temp.detail('postgres', 'TRUNCATE app.users'), '^Some rows belong to production instance "?prod"?, which is active. It belongs to application "shop". .* SET LOCAL instance_env.allow_destructive = on',
	'the instance, its application, and the way');
SELECT matches(pg_temp.detail('instance_env_keeper', 'TRUNCATE app.users'), '^Some rows belong to production instance "?prod"?, which is active. If', 'to the owner, the instance');
SELECT matches(pg_temp.detail('instance_env_sweeper', 'TRUNCATE app.users'), '^Some rows belong to a production instance that', 'to one who may not read it, none');

-- DROP

SELECT throws_ok('DROP TABLE app.users', '55I05', 'cannot drop table "app.users" because it holds users of production', 'DROP TABLE by a superuser');
SELECT is(pg_temp.outcome('instance_env_keeper', 'DROP TABLE app.others, app.users CASCADE'), '55I05', 'by the owner, CASCADE');
SELECT is(pg_temp.outcome('instance_env_keeper', 'DROP TABLE IF EXISTS app.nonsense, app."odd ""name"'), '55I05', 'IF EXISTS, an odd name');
SELECT is(pg_temp.outcome('instance_env_keeper', 'SET LOCAL search_path = app; DROP TABLE users'), '55I05', 'by search_path');
SELECT is(pg_temp.outcome('instance_env_sweeper', 'DROP TABLE app.users'), '42501', 'by another role');
SELECT throws_ok('DROP TABLE app.parted', '55I05', NULL, 'a partitioned table');
SELECT throws_ok('DROP TABLE app.part2', '55I05', NULL, 'a partition that is partitioned');
SELECT throws_ok('DROP TABLE app.part22', '55I05', NULL, 'a partition');
SELECT throws_ok('DROP SCHEMA app CASCADE', '55I05', NULL, 'DROP SCHEMA');
SELECT is(pg_temp.outcome('instance_env_keeper', 'DROP SCHEMA app CASCADE'), '55I05', 'by its owner');
SELECT throws_ok('DROP OWNED BY instance_env_keeper CASCADE', '55I05', NULL, 'DROP OWNED');
SELECT throws_ok('ALTER TABLE app.users DROP COLUMN instance_id CASCADE', '55I05',
	'cannot drop column "instance_id" of table "app.users" because it names the instances of users of production', 'the instance column');
SELECT throws_ok('ALTER TABLE app.parted DROP COLUMN instance_id CASCADE', '55I05', NULL, 'of a partitioned table');
SELECT throws_ok('ALTER TABLE app.users DROP COLUMN instance_id', '2BP01', NULL, 'without CASCADE, PostgreSQL refuses');
SELECT throws_ok('DROP EXTENSION instance_env CASCADE', '55I05', NULL, 'DROP EXTENSION');
SELECT throws_ok('DROP EXTENSION instance_env', '2BP01', NULL, 'without CASCADE, PostgreSQL refuses');
SELECT throws_ok($t$DO $do$BEGIN
	BEGIN
		DELETE FROM app.users;
		DROP EXTENSION instance_env CASCADE;
	EXCEPTION WHEN SQLSTATE '55I05' THEN NULL;
	END;
	DROP TABLE app.users;
END$do$$t$, '55I05', 'cannot drop table "app.users" because it holds users of production', 'nothing is known of rows that a rollback has brought back');
SELECT lives_ok($t$DO $do$BEGIN
	BEGIN
		INSERT INTO app.part1 VALUES (2, 'prod');
		DROP EXTENSION instance_env CASCADE;
	EXCEPTION WHEN SQLSTATE '55I05' THEN NULL;
	END;
	DROP TABLE app.part1;
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN NULL;
END$do$$t$, 'or of rows that are gone with it');
SELECT throws_ok('DO $$BEGIN DROP TABLE app.users; EXCEPTION WHEN no_data_found THEN NULL; END$$', '55I05', NULL, 'in a block');
SELECT is((SELECT count(*) FROM instance_env.guards WHERE whole), 4::bigint, 'after all this, every guard is whole');
SELECT throws_ok($$INSERT INTO app.users VALUES (7000, 'nowhere')$$, '23I03', NULL, 'and works');

-- through types

CREATE DOMAIN app.key AS text;
CREATE TABLE app.typed (id integer PRIMARY KEY, instance_id app.key NOT NULL);
SELECT count(*) FROM instance_env.guard('app.typed', user_key => '') \gset
INSERT INTO app.typed VALUES (1, 'prod');
SELECT throws_ok('DROP DOMAIN app.key CASCADE', '55I05', NULL, 'DROP DOMAIN takes the column along');
CREATE TYPE app.row AS (id integer, instance_id text);
CREATE TABLE app.of OF app.row;
SELECT count(*) FROM instance_env.guard('app.of', user_key => '') \gset
INSERT INTO app.of VALUES (1, 'prod');
SELECT throws_ok('DROP TYPE app.row CASCADE', '55I05', NULL, 'DROP TYPE takes the table along');
SELECT throws_ok('ALTER TYPE app.row DROP ATTRIBUTE instance_id CASCADE', '55I05', NULL, 'ALTER TYPE takes the column along');
SELECT lives_ok('ALTER TYPE app.row DROP ATTRIBUTE id CASCADE', 'another column may go');

-- when PostgreSQL drops what is stored out of line before the triggers

CREATE TABLE app.toasted (id integer, instance_id text NOT NULL, pad text);
ALTER TABLE app.toasted ALTER instance_id SET STORAGE EXTERNAL, ALTER pad SET STORAGE PLAIN;
SELECT string_agg(md5(i::text), '') AS key FROM generate_series(1, 50) i \gset
SELECT instance_env.create_application('long', development_key => 'dev3', production_key => :'key') \gset
UPDATE instance_env.instance SET status = 'active' WHERE external_key = :'key';
SELECT count(*) FROM instance_env.guard('app.toasted', user_key => '') \gset
INSERT INTO app.toasted VALUES (1, :'key', repeat('x', 1500));
ALTER TABLE app.toasted ALTER id TYPE bigint;
SELECT cmp_ok((SELECT reltoastrelid FROM pg_class WHERE oid = 'app.toasted'::regclass), '>',
	(SELECT max(oid) FROM pg_trigger WHERE tgrelid = 'app.toasted'::regclass), 'a TOAST table that is newer');
SELECT throws_ok('DROP TABLE app.toasted', '55I05', NULL, 'is read before it goes');
SET instance_env.allow_destructive = on;
SELECT lives_ok('DROP TABLE app.toasted', 'and can go');
RESET instance_env.allow_destructive;

-- not a loss

SELECT lives_ok('DROP TABLE app.others', 'a table that is not guarded');
SELECT lives_ok('DROP TABLE app.sessions', 'one that is not counted');
SELECT lives_ok('DROP TABLE app.part1', 'a partition without users of production');
CREATE TEMPORARY TABLE users (id integer);
SELECT is(pg_temp.outcome('instance_env_keeper', 'SET LOCAL search_path = app; DROP TABLE app.sessions'), '42P01', 'it has gone');
SELECT lives_ok('DROP TABLE users', 'a temporary table of the same name');
SELECT lives_ok('ALTER TABLE app.part2 DETACH PARTITION app.part22; DROP TABLE app.part22', 'one that has been detached');
SELECT lives_ok($$SELECT instance_env.unguard('app.of'); DROP TABLE app.of$$, 'one that is not guarded any more');
SELECT lives_ok($$CREATE TABLE app.brief (id integer PRIMARY KEY, instance_id text);
	SELECT count(*) FROM instance_env.guard('app.brief');
	INSERT INTO app.brief VALUES (1, 'prod');
	TRUNCATE app.brief;
	INSERT INTO app.brief VALUES (1, 'prod');
	DROP TABLE app.brief$$, 'one of the same transaction');

-- by permission

SELECT is(pg_temp.outcome('instance_env_sweeper', 'SET LOCAL instance_env.allow_destructive = on; TRUNCATE app.users'), '55I05', 'it is not for everybody');
GRANT instance_env_keeper TO instance_env_lord;
SELECT lives_ok($$SET LOCAL ROLE instance_env_lord; SET LOCAL instance_env.allow_destructive = on; TRUNCATE app.users; RESET ROLE$$, 'but for who has the rights of the owner');
INSERT INTO app.users VALUES (1001, 'prod');
SELECT throws_ok('TRUNCATE app.users', '55I05', NULL, 'SET LOCAL ends with the transaction');

-- the owner's function, and who has set the parameter

INSERT INTO app.users VALUES (1001, 'prod') ON CONFLICT DO NOTHING;
SET ROLE instance_env_keeper;
CREATE FUNCTION app.purge() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN TRUNCATE app.users; END';
CREATE FUNCTION app.purge_all() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET instance_env.allow_destructive = on AS 'BEGIN TRUNCATE app.users; END';
RESET ROLE;
SELECT is(pg_temp.outcome('instance_env_sweeper', 'SET LOCAL instance_env.allow_destructive = on; SELECT app.purge()'), '55I05', 'the caller''s setting is not the owner''s');
SELECT is(pg_temp.outcome('instance_env_sweeper', 'SELECT app.purge_all()'), 'ok', 'the owner''s is');
INSERT INTO app.users VALUES (1001, 'prod');
SET instance_env.allow_destructive = on;
SELECT is(pg_temp.outcome('instance_env_sweeper', 'TRUNCATE app.users'), '55I05', 'a superuser''s is of no use to another role');
SELECT count(*) AS events FROM instance_env.event \gset
SELECT lives_ok('ALTER TABLE app.users DROP COLUMN instance_id CASCADE', 'DROP COLUMN');
SELECT lives_ok('SET LOCAL session_replication_role = replica; DROP TABLE app.typed, app."odd ""name"', 'DROP TABLE, also in a session that plays replication');
INSERT INTO app.parted VALUES (110, 'prod');
SELECT lives_ok('TRUNCATE app.parted', 'TRUNCATE');
INSERT INTO app.parted VALUES (110, 'prod');
SELECT is((SELECT string_agg(concat_ws(' ', action, item, (SELECT external_key FROM instance_env.instance WHERE id = e.instance)), ', ' ORDER BY id)
	FROM (SELECT * FROM instance_env.event ORDER BY id OFFSET :events) e),
	'drop_column app.users prod, drop_table app.typed prod, drop_table app."odd ""name" prod, truncate app.part21 prod',
	'each is on record');
SELECT throws_ok('DO $$BEGIN DROP TABLE app.part21; RAISE ''undone''; EXCEPTION WHEN no_data_found THEN NULL; END$$', 'P0001', NULL, 'undone');
DO $$BEGIN BEGIN DROP TABLE app.part21; RAISE 'undone'; EXCEPTION WHEN OTHERS THEN NULL; END; CREATE TABLE app.x (); DROP TABLE app.x; END$$;
SELECT is((SELECT count(*) FROM instance_env.event), :events + 4::bigint, 'what is undone is not on record');
RESET instance_env.allow_destructive;
SELECT throws_ok('DROP SCHEMA app CASCADE', '55I05', NULL, 'and no longer');
SET instance_env.allow_destructive = on;
SELECT lives_ok('DROP EXTENSION instance_env CASCADE', 'DROP EXTENSION');
SELECT is((SELECT count(*) FROM app.parted), 1::bigint, 'leaves the users');
SELECT lives_ok('DROP SCHEMA app CASCADE', 'without the extension, nothing is refused');

REVOKE ALL ON DATABASE :"DBNAME" FROM instance_env_keeper;
DROP ROLE instance_env_keeper, instance_env_sweeper, instance_env_lord;
SELECT * FROM finish();
