-- What can be guarded, and what cannot
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(56);

CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_other;
SELECT instance_env.grant_guard('instance_env_owner') \gset
SELECT instance_env.grant_guard('instance_env_other') \gset
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset

CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
CREATE VIEW app.view AS SELECT * FROM app.users;
CREATE MATERIALIZED VIEW app.matview AS SELECT * FROM app.users;
CREATE FOREIGN DATA WRAPPER instance_env_fdw;
CREATE SERVER instance_env_server FOREIGN DATA WRAPPER instance_env_fdw;
CREATE FOREIGN TABLE app.remote (id text, instance_id text) SERVER instance_env_server;
CREATE TABLE app.parent (id text PRIMARY KEY, instance_id text);
CREATE TABLE app.child () INHERITS (app.parent);
CREATE TABLE app.parted (id text, instance_id text, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE app.part0 PARTITION OF app.parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE app.with_remote (id text, instance_id text) PARTITION BY LIST (id);
CREATE FOREIGN TABLE app.remote_part PARTITION OF app.with_remote FOR VALUES IN ('a') SERVER instance_env_server;
CREATE SEQUENCE app.seq;
CREATE TYPE app.composite AS (id text, instance_id text);
CREATE INDEX users_index ON app.users (instance_id);

SELECT throws_ok($$SELECT instance_env.guard('app.view')$$, '42809', NULL, 'a view');
SELECT throws_ok($$SELECT instance_env.guard('app.matview')$$, '42809', NULL, 'a materialized view');
SELECT throws_ok($$SELECT instance_env.guard('app.remote')$$, '42809', NULL, 'a foreign table');
SELECT throws_ok($$SELECT instance_env.guard('app.parent')$$, '42809', NULL, 'an inheritance parent');
SELECT throws_ok($$SELECT instance_env.guard('app.child')$$, '42809', NULL, 'an inheritance child');
SELECT throws_ok($$SELECT instance_env.guard('app.part0')$$, '42809', NULL, 'a partition');
SELECT throws_ok($$SELECT instance_env.guard('app.with_remote')$$, '42809', NULL, 'a table with a foreign partition');
SELECT throws_ok($$SELECT instance_env.guard('app.seq')$$, '42809', NULL, 'a sequence');
SELECT throws_ok($$SELECT instance_env.guard('app.composite')$$, '42809', NULL, 'a composite type');
SELECT throws_ok($$SELECT instance_env.guard('app.users_index')$$, '42809', NULL, 'an index');
SELECT throws_ok($$SELECT instance_env.guard('pg_catalog.pg_class', 'relname')$$, '42809', NULL, 'a system table');
SELECT throws_ok($$SELECT instance_env.guard('instance_env.instance', 'external_key')$$, '42809', NULL,
	'a table of the extension''s');
SELECT throws_ok($$SELECT instance_env.guard('app.nothing')$$, '42P01', NULL, 'no table');
SELECT throws_ok($$SELECT instance_env.guard(0)$$, '42P01', NULL, 'an OID of nothing');
SELECT throws_ok($$SELECT instance_env.guard(NULL)$$, '22004', NULL, 'NULL as a table');
SELECT throws_ok($$SELECT instance_env.unguard(NULL)$$, '22004', NULL, 'NULL as a table to unguard');
SELECT throws_ok($$SELECT instance_env.unguard(0)$$, '42P01', NULL, 'an OID of nothing to unguard');

CREATE TEMP TABLE temporary (id text PRIMARY KEY, instance_id text);
SELECT throws_ok($$SELECT instance_env.guard('temporary')$$, '42809', NULL, 'a temporary table cannot');
CREATE UNLOGGED TABLE app.unlogged (id text PRIMARY KEY, instance_id text);
SELECT throws_ok($$SELECT instance_env.guard('app.unlogged')$$, '42809', NULL, 'users of an unlogged table cannot be followed');
SELECT lives_ok($$SELECT instance_env.guard('app.unlogged', user_key => '')$$, 'but it can be guarded');
SELECT lives_ok($$SELECT instance_env.guard('app.parted')$$, 'a partitioned table can');
DROP TABLE app.child;
SELECT lives_ok($$SELECT instance_env.guard('app.parent')$$, 'a table that was an inheritance parent can');

-- columns

CREATE TABLE app.columns
(
	id text PRIMARY KEY,
	instance_id text,
	num numeric, bin bytea, arr uuid[], js json, fixed character(3), flag boolean, pt point, xid_ xid,
	gone text
);
ALTER TABLE app.columns DROP gone;
SELECT throws_ok($$SELECT instance_env.guard('app.columns', 'tenant_id')$$, '42703', NULL, 'no such column');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', 'gone')$$, '42703', NULL, 'a dropped column');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', '........pg.dropped.11........')$$, '42703', NULL,
	'a dropped column by its name in the catalogue');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', '')$$, '42703', NULL, 'an empty name');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', NULL)$$, '22004', NULL, 'NULL as a column');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', 'INSTANCE_ID')$$, '42703', NULL, 'names keep their case');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', counted => NULL)$$, '22004', NULL, 'counted => NULL');
SELECT throws_ok(format($$SELECT instance_env.guard('app.columns', %L)$$, c), '42804', NULL, 'instance column: ' || c)
FROM unnest(ARRAY['num', 'bin', 'arr', 'js', 'flag', 'pt', 'xid_']) c;
SELECT throws_ok(format($$SELECT instance_env.guard('app.columns', %L)$$, c), '42P10', NULL, 'instance column: ' || c)
FROM unnest(ARRAY['tableoid', 'ctid', 'xmin']) c;
SELECT throws_ok($$SELECT instance_env.guard('app.columns', user_key => 'user_id')$$, '42703', NULL, 'no such key');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', user_key => 'gone')$$, '42703', NULL, 'a dropped key');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', user_key => 'instance_id')$$, '22023', NULL,
	'the instance column as key');
SELECT throws_ok(format($$SELECT instance_env.guard('app.columns', user_key => %L)$$, c), code, NULL,
	'a key that cannot be compared or looked up: ' || c)
FROM (VALUES ('pt', '42704'), ('js', '42704'), ('tableoid', '42P10'), ('ctid', '42P10')) AS v (c, code);
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.columns'::regclass AND NOT tgisinternal), 0::bigint,
	'nothing was left by any of these');

-- the wrong types of arguments do not reach the function
SELECT throws_ok($$SELECT instance_env.guard('app.columns', 5)$$, '42883', NULL, 'a number as a column');
SELECT throws_ok($$SELECT instance_env.guard('app.columns', counted => 'perhaps')$$, '22P02', NULL,
	'a word as counted');

-- whose table it is

ALTER TABLE app.users OWNER TO instance_env_owner;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_other', $q$SELECT instance_env.guard('app.users')$q$)$$,
	'42501', NULL, 'somebody else''s table');
GRANT ALL ON app.users TO instance_env_other;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_other', $q$SELECT instance_env.guard('app.users')$q$)$$,
	'42501', NULL, 'with all rights granted');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_other', $q$SELECT instance_env.guard('pg_catalog.pg_class')$q$)$$,
	'42501', NULL, 'a system table, as an ordinary role');
GRANT instance_env_owner TO instance_env_other;
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_other', $q$SELECT instance_env.guard('app.users')$q$)$$,
	'a member of the owning role may');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT instance_env.unguard('app.users')$q$)$$,
	'the owner may unguard it');
SELECT lives_ok($$SELECT instance_env.guard('app.users')$$, 'a superuser may guard it');
CREATE TABLE app.users2 (id text, instance_id text, PRIMARY KEY (instance_id, id));
SELECT count(*) FROM instance_env.guard('app.users2') \gset
CREATE TABLE app.sessions (id text, instance_id text, user_id text);
ALTER TABLE app.sessions OWNER TO instance_env_owner;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_owner', $q$SELECT instance_env.guard('app.sessions',
	counted => false, user_key => 'user_id', user_table => 'app.users2')$q$)$$, '42501', NULL,
	'somebody else''s table as user_table');

SELECT * FROM finish();
ROLLBACK;
