-- Partitions that join a guarded table: their rows are checked, and their guard is
-- complete however they were made.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(54);

CREATE ROLE instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset

CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
CREATE FUNCTION pg_temp.owner(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_owner', command)$$;
CREATE TABLE app.users (region text, id text, instance_id text, PRIMARY KEY (region, instance_id, id))
	PARTITION BY LIST (region);
CREATE TABLE app.users_eu PARTITION OF app.users FOR VALUES IN ('eu');
ALTER TABLE app.users OWNER TO instance_env_owner;
ALTER TABLE app.users_eu OWNER TO instance_env_owner;
SELECT count(*) FROM instance_env.guard('app.users', user_key => 'id') \gset
CREATE FUNCTION pg_temp.whole() RETURNS boolean LANGUAGE sql AS
$$SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass$$;
-- the partitions whose TRUNCATE goes unnoticed
CREATE FUNCTION pg_temp.incomplete() RETURNS SETOF text LANGUAGE sql AS
$$SELECT c.relname::text COLLATE "default" FROM pg_partition_tree('app.users') p JOIN pg_class c ON c.oid = p.relid
  WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'instance_env_truncate') ORDER BY 1$$;

INSERT INTO app.users VALUES ('eu', 'ann', 'dev'), ('eu', 'bob', 'dev2');
DELETE FROM app.users WHERE id = 'bob';

-- rows that it brings along

CREATE TABLE app.joining (LIKE app.users);
SELECT lives_ok($$ALTER TABLE app.users ATTACH PARTITION app.joining FOR VALUES IN ('us')$$, 'an empty table');
ALTER TABLE app.users DETACH PARTITION app.joining;
INSERT INTO app.joining VALUES ('us', 'carl', 'dev');
SELECT lives_ok($$ALTER TABLE app.users ATTACH PARTITION app.joining FOR VALUES IN ('us')$$, 'a user');
SELECT throws_ok($$INSERT INTO app.users VALUES ('eu', 'dan', 'dev')$$, '23I01', NULL, 'counts');
ALTER TABLE app.users DETACH PARTITION app.joining;
INSERT INTO app.joining VALUES ('us', 'dora', 'nowhere');
SELECT throws_ok($$ALTER TABLE app.users ATTACH PARTITION app.joining FOR VALUES IN ('us')$$, '23I03', NULL,
	'a user of no instance');
DELETE FROM app.joining WHERE id = 'dora';
CREATE TABLE app.loose (region text, id text, instance_id text) PARTITION BY LIST (region);
SELECT count(*) FROM instance_env.guard('app.loose', user_key => 'id') \gset
CREATE TABLE app.nulls (region text, id text, instance_id text);
INSERT INTO app.nulls VALUES ('us', 'eve', NULL);
SELECT throws_ok($$ALTER TABLE app.loose ATTACH PARTITION app.nulls FOR VALUES IN ('us')$$, '23502', NULL,
	'a user with no instance');
UPDATE app.joining SET id = 'ann', instance_id = 'dev2';
SELECT throws_ok($$ALTER TABLE app.users ATTACH PARTITION app.joining FOR VALUES IN ('us')$$, '23I02', NULL,
	'a user who lives in another instance');
CREATE TABLE app.returning (LIKE app.users);
INSERT INTO app.returning VALUES ('asia', 'bob', 'dev');
SELECT throws_ok($$ALTER TABLE app.users ATTACH PARTITION app.returning FOR VALUES IN ('asia')$$, '23I02', NULL,
	'a user who departed from another instance');
DROP TABLE app.returning;
TRUNCATE app.joining;
INSERT INTO app.joining SELECT 'us', i, 'dev' FROM generate_series(1, 9) i;
SELECT throws_ok($$ALTER TABLE app.users ATTACH PARTITION app.joining FOR VALUES IN ('us')$$, '23I01', NULL,
	'more than fit');
TRUNCATE app.joining;
INSERT INTO app.joining VALUES ('us', 'pia', 'prod');
SELECT throws_ok($$ALTER TABLE app.users ATTACH PARTITION app.joining FOR VALUES IN ('us')$$, '23I04', NULL,
	'rows of an instance that is not active');
DROP TABLE app.joining;
DELETE FROM app.users;

-- however it was made

SELECT lives_ok($$SELECT pg_temp.owner('CREATE TABLE app.p1 PARTITION OF app.users FOR VALUES IN (''p1'')')$$,
	'CREATE TABLE … PARTITION OF by an owner without rights');
SELECT lives_ok($$SELECT pg_temp.owner('SET LOCAL search_path = app; CREATE TABLE p2 PARTITION OF users FOR VALUES IN (''p2''); SET LOCAL search_path = public')$$,
	'CREATE TABLE … PARTITION OF, found in search_path');
RESET search_path;
SELECT lives_ok($$CREATE TABLE app.p3 PARTITION OF app.users FOR VALUES IN ('p3') PARTITION BY HASH (id);
	CREATE TABLE app.p31 PARTITION OF app.p3 FOR VALUES WITH (MODULUS 1, REMAINDER 0)$$, 'a partition of a partition');
SELECT lives_ok($$CREATE TABLE app.p4 (LIKE app.users) PARTITION BY HASH (id);
	CREATE TABLE app.p41 PARTITION OF app.p4 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	ALTER TABLE app.users ATTACH PARTITION app.p4 FOR VALUES IN ('p4')$$, 'a partition that has partitions');
SELECT lives_ok($$CREATE TABLE IF NOT EXISTS app.p1 PARTITION OF app.users FOR VALUES IN ('p1')$$,
	'CREATE TABLE IF NOT EXISTS of one that is there');
SELECT is_empty('SELECT pg_temp.incomplete()', 'the guard of each is complete');
SELECT ok(pg_temp.whole(), 'as guards says');
CREATE TEMP TABLE p5 ();
SET LOCAL search_path = app, public;
SELECT lives_ok($$CREATE TABLE p5 PARTITION OF users FOR VALUES IN ('p5')$$,
	'CREATE TABLE … PARTITION OF, a temporary table of the same name');
RESET search_path;
SELECT is_empty('SELECT pg_temp.incomplete()', 'its guard is complete');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'pg_temp.p5'::regclass), 0::bigint,
	'the temporary table has no trigger');

-- What goes unnoticed is listed, and repaired by guard().
SELECT lives_ok($$CREATE SCHEMA made CREATE TABLE p6 PARTITION OF app.users FOR VALUES IN ('p6')$$, 'CREATE SCHEMA … CREATE TABLE');
SELECT is(pg_temp.whole(), NOT EXISTS (SELECT pg_temp.incomplete()), 'guards says whether its guard is complete');
SET LOCAL session_replication_role = replica;
SELECT lives_ok($$CREATE TABLE app.p7 PARTITION OF app.users FOR VALUES IN ('p7')$$,
	'CREATE TABLE … PARTITION OF where event triggers do not fire');
SET LOCAL session_replication_role = origin;
SELECT is(pg_temp.whole(), false, 'guards says that its guard is not complete');
SELECT lives_ok($$SELECT instance_env.guard('app.users', user_key => 'id')$$, 'guard() again');
SELECT is_empty('SELECT pg_temp.incomplete()', 'completes it');
SELECT is(pg_temp.whole(), true, 'as guards says');

-- what cannot be counted cannot join

CREATE FOREIGN DATA WRAPPER instance_env_fdw;
CREATE SERVER instance_env_server FOREIGN DATA WRAPPER instance_env_fdw;
SELECT throws_ok(
	$$CREATE TABLE app.remote_root (region text, id text, instance_id text) PARTITION BY LIST (region);
	  SELECT instance_env.guard('app.remote_root', user_key => '');
	  CREATE FOREIGN TABLE app.remote1 PARTITION OF app.remote_root FOR VALUES IN ('remote') SERVER instance_env_server$$,
	'42809', NULL, 'a foreign table made as partition');
SELECT throws_ok(
	$$CREATE TABLE app.remote_root (region text, id text, instance_id text) PARTITION BY LIST (region);
	  SELECT instance_env.guard('app.remote_root', user_key => '');
	  CREATE FOREIGN TABLE app.remote2 (region text, id text, instance_id text) SERVER instance_env_server;
	  ALTER TABLE app.remote_root ATTACH PARTITION app.remote2 FOR VALUES IN ('remote')$$,
	'42809', NULL, 'a foreign table attached');
CREATE TABLE app.plain (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.plain') \gset
SELECT throws_ok('CREATE TABLE app.child () INHERITS (app.plain)', '42809', NULL, 'an inheritance child made');
CREATE TABLE app.other (more text);
SELECT throws_ok('CREATE TABLE app.child () INHERITS (app.other, app.plain)', '42809', NULL,
	'an inheritance child of two tables made');
CREATE TABLE app.child (LIKE app.plain);
SELECT throws_ok('ALTER TABLE app.child INHERIT app.plain', '42809', NULL, 'an inheritance child declared');
SELECT throws_ok('ALTER TABLE app.child ADD more text, INHERIT app.plain', '42809', NULL,
	'an inheritance child declared, among other changes');

-- everything else is none of our business

SELECT lives_ok(c, c) FROM unnest(ARRAY[
	'CREATE TABLE app.x1 (a integer)',
	'CREATE TABLE app.x2 () INHERITS (app.x1)',
	'CREATE TABLE app.x3 (a integer) PARTITION BY LIST (a)',
	'CREATE TABLE app.x4 PARTITION OF app.x3 FOR VALUES IN (1)',
	'CREATE TABLE app.x5 AS SELECT 2 AS a',
	'ALTER TABLE app.x3 ATTACH PARTITION app.x5 DEFAULT',
	'ALTER TABLE app.x3 DETACH PARTITION app.x5',
	'ALTER TABLE app.x5 INHERIT app.x1',
	'ALTER TABLE app.x5 NO INHERIT app.x1',
	'ALTER TABLE IF EXISTS app.nothing ATTACH PARTITION app.x5 DEFAULT',
	'ALTER TABLE IF EXISTS app.nothing INHERIT app.x1',
	'CREATE TABLE IF NOT EXISTS app.x1 (a integer)',
	'CREATE TEMP TABLE x6 (a integer) ON COMMIT DROP',
	'CREATE TYPE app.row AS (a integer)',
	'CREATE TABLE app.x7 OF app.row',
	'CREATE TABLE app.x8 (LIKE app.users INCLUDING ALL)',
	'ALTER TABLE app.users ADD more text',
	'ALTER TABLE app.users DROP more',
	'CREATE INDEX ON app.users (id)',
	'CREATE SCHEMA app2 CREATE TABLE t (a integer) CREATE VIEW v AS SELECT 1']) c;
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('app.x4'::regclass, 'app.x8'::regclass)), 0::bigint,
	'and gets no trigger');
SELECT ok(pg_temp.whole(), 'the guard is whole to the end');

SELECT * FROM finish();
ROLLBACK;
