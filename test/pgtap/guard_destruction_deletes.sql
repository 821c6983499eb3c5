-- How many users of production one statement may delete.
SET client_min_messages = error;
SELECT plan(39);
\ir ../include/outcome.sql

CREATE ROLE instance_env_keeper;
CREATE ROLE instance_env_sweeper;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2', production_key => 'prod2') \gset
SELECT instance_env.grant_guard('instance_env_keeper');
UPDATE instance_env.instance SET status = 'active' WHERE external_key = 'prod';
CREATE SCHEMA app AUTHORIZATION instance_env_keeper;
GRANT ALL ON SCHEMA app TO instance_env_sweeper;
SET ROLE instance_env_keeper;
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.plain (id integer, instance_id text NOT NULL);
CREATE TABLE app.parted (id integer, instance_id text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part2 PARTITION OF app.parted FOR VALUES FROM (100) TO (200);
CREATE TABLE app.sessions (id integer, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.plain', user_key => '') \gset
SELECT count(*) FROM instance_env.guard('app.parted', user_key => '') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', user_key => '', counted => false) \gset
GRANT ALL ON ALL TABLES IN SCHEMA app TO instance_env_sweeper;
RESET ROLE;

CREATE FUNCTION pg_temp.fill() RETURNS void BEGIN ATOMIC
	INSERT INTO app.users SELECT i, 'prod' FROM generate_series(1, 20) i UNION ALL SELECT i, 'dev' FROM generate_series(101, 120) i ON CONFLICT DO NOTHING;
	INSERT INTO app.plain SELECT i, 'prod' FROM generate_series(1, 20) i UNION ALL SELECT i, 'dev' FROM generate_series(101, 120) i;
	INSERT INTO app.parted SELECT i * 10, 'prod' FROM generate_series(0, 19) i;
	INSERT INTO app.sessions SELECT i, 'prod' FROM generate_series(0, 19) i;
END;
SELECT pg_temp.fill();

-- no limit

SELECT is(current_setting('instance_env.destructive_rows'), '0', 'there is no limit unless one is set');
SELECT lives_ok('DELETE FROM app.users', 'all');
SELECT lives_ok('DELETE FROM app.plain', 'all who are not tracked');
SELECT lives_ok('DELETE FROM app.parted', 'all of a partitioned table');
SELECT is(pg_temp.outcome('instance_env_keeper', 'SET LOCAL instance_env.destructive_rows = 0'), '42501', 'an owner does not set the limit');
SELECT throws_ok('SET instance_env.destructive_rows = -1', '22023', NULL, 'it is not negative');
SET instance_env.destructive_rows = 5;
TRUNCATE app.plain, app.sessions;
SELECT pg_temp.fill();

-- one too many

SELECT lives_ok('DELETE FROM app.users WHERE id <= 5', 'as many');
SELECT throws_ok('DELETE FROM app.users WHERE id <= 11', '55I05', 'cannot delete more than 5 users of production in one statement', 'one more');
SELECT is(pg_temp.outcome('instance_env_keeper', 'DELETE FROM app.users'), '55I05', 'by the owner');
SELECT is(pg_temp.outcome('instance_env_sweeper', 'DELETE FROM app.users'), '55I05', 'by another role');
SELECT lives_ok($$DELETE FROM app.users WHERE instance_id = 'dev'$$, 'users of development do not count');
SELECT lives_ok('DELETE FROM app.sessions', 'nor do rows that are not counted');
SELECT throws_ok('DELETE FROM app.plain', '55I05', NULL, 'users who are not tracked');
SELECT lives_ok($$DELETE FROM app.plain WHERE instance_id = 'dev'$$, 'those of development do not count');
SELECT throws_ok('DELETE FROM app.parted', '55I05', NULL, 'a partitioned table');
SELECT throws_ok('DELETE FROM app.part2', '55I05', NULL, 'a partition');
SELECT lives_ok('UPDATE app.parted SET id = 199 - id', 'moves between partitions do not count');
SELECT is((SELECT count(*) FROM app.parted), 20::bigint, 'nobody is lost by that');
SELECT throws_ok('WITH a AS (DELETE FROM app.plain WHERE id <= 3) DELETE FROM app.parted WHERE id >= 170', '55I05', NULL, 'over all tables');
SELECT throws_ok('DO $$BEGIN FOR i IN 1 .. 20 LOOP DELETE FROM app.plain WHERE id = i; END LOOP; END$$', '55I05', NULL, 'one by one in a block');
SELECT throws_ok('DO $$BEGIN FOR i IN 6 .. 20 LOOP BEGIN DELETE FROM app.users WHERE id = i; EXCEPTION WHEN no_data_found THEN NULL; END; END LOOP; END$$', '55I05', NULL, 'each in a subtransaction');
SELECT lives_ok('DELETE FROM app.plain WHERE id <= 5', 'a statement');
SELECT lives_ok('DELETE FROM app.plain WHERE id <= 10', 'and the next one');
SELECT pg_temp.fill();

-- MERGE and cascades

SELECT throws_ok('MERGE INTO app.plain p USING app.plain q ON p.ctid = q.ctid WHEN MATCHED THEN DELETE', '55I05', NULL, 'MERGE');
CREATE TABLE app.tenants (id text PRIMARY KEY);
INSERT INTO app.tenants VALUES ('dev'), ('prod');
ALTER TABLE app.users ADD FOREIGN KEY (instance_id) REFERENCES app.tenants ON DELETE CASCADE;
GRANT SELECT, DELETE ON app.tenants TO instance_env_sweeper;
SELECT throws_ok('DELETE FROM app.tenants', '55I05', NULL, 'a cascade');
SELECT is(pg_temp.outcome('instance_env_sweeper', 'SET LOCAL instance_env.allow_destructive = on; DELETE FROM app.tenants'), '55I05',
	'a cascade deletes as the owner of the table, but that is not who has allowed it');

-- a subscriber

SET session_replication_role = replica;
SELECT lives_ok('DELETE FROM app.plain', 'what is replicated is not limited');
ALTER TABLE app.users ENABLE ALWAYS TRIGGER instance_env_departure;
ALTER TABLE app.plain ENABLE ALWAYS TRIGGER instance_env_truncate;
SELECT pg_temp.fill();
SELECT lives_ok('DELETE FROM app.users WHERE id < 15', 'not even by triggers that fire always');
SELECT lives_ok('TRUNCATE app.plain', 'nor is TRUNCATE refused');
RESET session_replication_role;
SELECT pg_temp.fill();

-- by permission

SELECT is(pg_temp.outcome('instance_env_sweeper', 'SET LOCAL instance_env.allow_destructive = on; DELETE FROM app.plain'), '55I05', 'not for everybody');
SELECT count(*) AS events FROM instance_env.event \gset
SELECT is(pg_temp.outcome('instance_env_keeper', 'SET LOCAL instance_env.allow_destructive = on; DELETE FROM app.parted; DELETE FROM app.plain'), 'ok', 'the owner may');
SELECT is((SELECT string_agg(concat_ws(' ', action, item, (SELECT external_key FROM instance_env.instance WHERE id = e.instance)), ', ' ORDER BY id)
	FROM (SELECT * FROM instance_env.event ORDER BY id OFFSET :events) e),
	'delete app.parted prod, delete app.plain prod', 'each table is on record, once');
SELECT pg_temp.fill();
SELECT throws_ok('DO $$BEGIN SET LOCAL instance_env.allow_destructive = on; DELETE FROM app.plain WHERE id < 10; RESET instance_env.allow_destructive; DELETE FROM app.plain; END$$',
	'55I05', NULL, 'no longer than it is set, in a single statement, too');
SET ROLE instance_env_keeper;
CREATE FUNCTION app.purge() RETURNS void LANGUAGE sql SECURITY DEFINER SET instance_env.allow_destructive = on AS 'DELETE FROM app.users WHERE id < 10';
RESET ROLE;
SELECT is(pg_temp.outcome('instance_env_sweeper', 'SELECT app.purge()'), 'ok', 'the owner''s function may');
SELECT pg_temp.fill();
SELECT is(pg_temp.outcome('instance_env_sweeper', 'DO $$BEGIN PERFORM app.purge(); DELETE FROM app.users; END$$'), '55I05', 'but not whoever calls it');
SELECT is(current_setting('instance_env.allow_destructive'), 'off', 'it was local');
SELECT throws_ok('DELETE FROM app.tenants', '55I05', NULL, 'and no longer');
SELECT lives_ok('SET LOCAL instance_env.allow_destructive = on; DELETE FROM app.tenants', 'a superuser may, through a cascade');
SELECT is((SELECT count(*) FROM app.users), 0::bigint, 'all are gone');

SET instance_env.allow_destructive = on;
DROP SCHEMA app CASCADE;
SELECT instance_env.revoke_access('instance_env_keeper');
DROP ROLE instance_env_keeper, instance_env_sweeper;
SELECT * FROM finish();
