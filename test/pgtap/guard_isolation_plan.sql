-- What isolation costs a query: the entered instance is looked up once for each, however
-- many rows there are, and the index on the instance column is searched for it.
SET client_min_messages = error;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(61);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', development_id => :dev, development_key => '7') \gset
SELECT instance_env.set_user_cap(:dev, NULL) \gset
CREATE ROLE instance_env_backend;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.allow_instance('instance_env_backend') \gset

CREATE SCHEMA app;
CREATE TABLE app.by_uuid (id integer PRIMARY KEY, instance_id uuid);
CREATE TABLE app.by_text (id integer PRIMARY KEY, instance_id text);
CREATE TABLE app.by_varchar (id integer PRIMARY KEY, instance_id varchar(21));
CREATE TABLE app.by_char (id integer PRIMARY KEY, instance_id char(10));
CREATE TABLE app.by_smallint (id integer PRIMARY KEY, instance_id smallint);
CREATE TABLE app.by_integer (id integer PRIMARY KEY, instance_id integer);
CREATE TABLE app.by_bigint (id integer PRIMARY KEY, instance_id bigint);
CREATE TABLE app.parted (id integer, instance_id uuid, PRIMARY KEY (instance_id, id)) PARTITION BY HASH (instance_id);
CREATE TABLE app.parted_0 PARTITION OF app.parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TEMP TABLE kinds AS SELECT c.oid::regclass AS t FROM pg_class c WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition;
GRANT SELECT ON kinds TO PUBLIC;
DO $$
DECLARE
	t regclass;
BEGIN
	FOR t IN SELECT k.t FROM kinds k LOOP
		PERFORM instance_env.guard(t);
		EXECUTE format('INSERT INTO %s SELECT i, %L FROM generate_series(1, 500) i', t,
			CASE WHEN t::text ~ 'uuid|parted' THEN 'd0000000-0000-4000-8000-000000000001' ELSE '7' END);
		PERFORM instance_env.isolate(t);
	END LOOP;
END $$;
GRANT USAGE ON SCHEMA app TO instance_env_backend;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO instance_env_backend;

CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		lines := lines || line || E'\n';
	END LOOP;
	RETURN lines;
END $$;
CREATE FUNCTION pg_temp.times(pattern text, string text) RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM regexp_matches($2, $1, 'gn')$$;
-- how often a query calls a function of ours
CREATE FUNCTION pg_temp.calls(query text, function text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := coalesce(pg_stat_get_xact_function_calls(function::regprocedure), 0);
BEGIN
	EXECUTE query;
	RETURN coalesce(pg_stat_get_xact_function_calls(function::regprocedure), 0) - before;
END $$;
SET LOCAL track_functions = 'all';
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;

SET LOCAL ROLE instance_env_backend;
SELECT instance_env.enter(:dev, true) \gset
CREATE TEMP TABLE plans AS SELECT t, command, pg_temp.plan(format(command, t)) AS plan
FROM kinds, unnest(ARRAY['SELECT * FROM %s', 'UPDATE %s SET id = id', 'DELETE FROM %s']) command;
CREATE TEMP TABLE called AS SELECT t, command, pg_temp.calls(format(command, t), CASE WHEN t::text ~ 'uuid|parted' THEN 'instance_env.current_instance()'
	ELSE 'instance_env.current_instance_key()' END) AS n
FROM kinds, unnest(ARRAY['SELECT count(*) FROM %s', 'SELECT FROM %s WHERE id = 7 AND pg_sleep(0) IS NOT NULL', 'UPDATE %s SET id = id + 1000', 'DELETE FROM %s']) command;
RESET ROLE;

SELECT matches(plan, $$Index Cond: \((\(?instance_id\)?(::text)?|instance_id) = (\$\d|\(InitPlan \d\)\.col1)\)$$, command || ', ' || t || ': the index is searched')
FROM plans WHERE t::text <> 'app.parted';
SELECT is(pg_temp.times('^ *InitPlan', plan), 1::bigint, command || ', ' || t || ': for what was looked up once') FROM plans WHERE command LIKE 'SELECT%';
SELECT is(n, 1::bigint, command || ', ' || t || ': one call') FROM called WHERE command LIKE 'SELECT%' OR command LIKE 'DELETE%';
SELECT cmp_ok(n, '<=', 3::bigint, command || ', ' || t || ': as many as there are checks, not rows') FROM called WHERE command LIKE 'UPDATE%';

SELECT * FROM finish();
ROLLBACK;
