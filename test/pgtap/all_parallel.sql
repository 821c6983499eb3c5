-- What copies a query's parameters, a parallel plan above all, must find each of them to be
-- what it is said to be. Any role may set what makes such plans likely.
SET client_min_messages = warning;
BEGIN;
SELECT plan(12);

SELECT instance_env.create_application('shop', development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
CREATE TABLE users (id bigint PRIMARY KEY, instance_id uuid NOT NULL);
SELECT count(*) FROM instance_env.guard('users') \gset
CREATE ROLE instance_env_monitor;
SELECT instance_env.grant_monitor('instance_env_monitor') \gset
GRANT CREATE ON SCHEMA public TO instance_env_monitor;

SELECT CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'force_parallel_mode'
	   ELSE 'debug_parallel_query' END AS forced \gset

-- as plans are without these settings
CREATE TEMP TABLE plain AS
SELECT i.type, v.* FROM instance_env.instance i, instance_env.validate(i.id) v;
CREATE FUNCTION pg_temp.promotion() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM instance_env.promote(instance_env.application_id('shop'));
	RETURN 'promoted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ': ' || detail;
END $$;
SELECT pg_temp.promotion() AS promotion \gset
GRANT SELECT ON plain TO instance_env_monitor;

-- by the setting for developers
SELECT set_config(:'forced', 'on', true) \gset
SELECT set_eq($$SELECT i.type, v.* FROM instance_env.instance i, instance_env.validate(i.id) v$$, 'TABLE plain',
	'parallel plans forced: validate()');
SELECT is(pg_temp.promotion(), :'promotion', 'parallel plans forced: promote()');
SELECT is((SELECT count(*) FROM instance_env.usage), 2::bigint, 'parallel plans forced: view usage');
SET LOCAL ROLE instance_env_monitor;
SELECT is((SELECT ready FROM instance_env.readiness), false, 'parallel plans forced: view readiness, by a monitor');
SELECT set_eq($$SELECT i.type, v.* FROM instance_env.instances i, instance_env.validate(i.instance_id) v$$, 'TABLE plain',
	'parallel plans forced: validate(), by a monitor');
RESET ROLE;
SELECT set_config(:'forced', 'off', true) \gset

-- by settings of costs
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL min_parallel_index_scan_size = 0;
SET LOCAL enable_nestloop = off;
SET LOCAL ROLE instance_env_monitor;
SELECT is((SELECT ready FROM instance_env.readiness), false, 'parallel plans for free: view readiness, by a monitor');
RESET ROLE;
SELECT set_eq($$SELECT i.type, v.* FROM instance_env.instance i, instance_env.validate(i.id) v$$, 'TABLE plain',
	'parallel plans for free: validate()');
SELECT is(pg_temp.promotion(), :'promotion', 'parallel plans for free: promote()');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET min_parallel_index_scan_size;
RESET enable_nestloop;

-- by a log that shows parameters, as of nested statements from 16 on
CREATE FUNCTION pg_temp.log_plans() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	LOAD 'auto_explain';
	SET LOCAL auto_explain.log_min_duration = 0;
	SET LOCAL auto_explain.log_nested_statements = on;
	RETURN true;
EXCEPTION WHEN undefined_file THEN
	RETURN false;
END $$;
SELECT pg_temp.log_plans() AS logged \gset
\if :logged
SELECT set_eq($$SELECT i.type, v.* FROM instance_env.instance i, instance_env.validate(i.id) v$$, 'TABLE plain',
	'plans logged: validate()');
SELECT is(pg_temp.promotion(), :'promotion', 'plans logged: promote()');
SET LOCAL ROLE instance_env_monitor;
SELECT is((SELECT ready FROM instance_env.readiness), false, 'plans logged: view readiness, by a monitor');
RESET ROLE;
SET LOCAL auto_explain.log_min_duration = -1;
\else
SELECT skip('this server has no auto_explain', 3);
\endif

-- an argument that is null, wherever one may be
SELECT set_config(:'forced', 'on', true) \gset
SELECT lives_ok($$SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', NULL),
	instance_env.set_setting('d0000000-0000-4000-8000-000000000001', 'session.lifetime', NULL),
	instance_env.set_social_connection('d0000000-0000-4000-8000-000000000001', 'github')$$, 'arguments that are null');

SELECT * FROM finish();
ROLLBACK;
