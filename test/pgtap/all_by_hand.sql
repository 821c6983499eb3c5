-- Functions that only triggers should call, called by hand, and triggers made by hand
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(424);

CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
CREATE SCHEMA app;
GRANT USAGE, CREATE ON SCHEMA app TO PUBLIC;
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001', development_key => 'dev') \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid);
CREATE TABLE app.by_key (id integer PRIMARY KEY, instance_id text);
CREATE TABLE app.plain (id integer, instance_id uuid);
CREATE VIEW app.view AS SELECT * FROM app.plain;
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.by_key') \gset
INSERT INTO app.users VALUES (1, 'd0000000-0000-4000-8000-000000000001');

-- trigger functions called directly

SELECT throws_ok(format('SELECT instance_env.%I()', f), '39P01', NULL, f || '() called')
FROM unnest(ARRAY['check_user_cap', 'check_instance', 'check_transfer', 'check_move', 'record_departure',
				  'record_truncate', 'registry_changed', 'departure_recorded']) f;
SELECT throws_ok('SELECT instance_env.watch_ddl()', '39P03', NULL, 'watch_ddl() called');
SELECT throws_ok(
	$$SET LOCAL ROLE instance_env_nobody; CREATE TABLE app.mine (instance_id uuid);
	  CREATE TRIGGER t AFTER INSERT ON app.mine FOR EACH ROW EXECUTE FUNCTION instance_env.check_user_cap()$$,
	'42501', NULL, 'a role without rights cannot make a trigger of them');

-- triggers with a wrong timing, event, level, or without what guard() says in them

CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.try(function text, firing text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	INSERT INTO app.plain VALUES (1, 'd0000000-0000-4000-8000-000000000001');
	EXECUTE format('CREATE TRIGGER t %s EXECUTE FUNCTION instance_env.%I()', firing, function);
	result := is(pg_temp.outcome(CASE WHEN firing LIKE '%TRUNCATE%' THEN 'TRUNCATE app.plain'
								  WHEN firing LIKE '%DELETE%' THEN 'DELETE FROM app.plain'
								  WHEN firing LIKE '%UPDATE%' THEN 'UPDATE app.plain SET id = 2, instance_id = NULL'
								  ELSE 'INSERT INTO app.plain SELECT * FROM app.plain' END),
				 /* which DROP COLUMN … CASCADE may leave behind */
				 CASE WHEN function = 'record_departure' AND firing LIKE 'AFTER DELETE%ROW%' THEN 'ok' ELSE '39P01' END,
				 function || '() ' || firing);
	DROP TRIGGER t ON app.plain;
	DELETE FROM app.plain;
	RETURN result;
END $$;
SELECT pg_temp.try(f, t || ' ON app.plain FOR EACH ' || l)
FROM unnest(ARRAY['check_user_cap', 'check_instance', 'check_transfer', 'check_move',
				  'record_departure']) f,
	unnest(ARRAY['BEFORE INSERT', 'AFTER INSERT', 'BEFORE UPDATE', 'AFTER UPDATE', 'BEFORE DELETE', 'AFTER DELETE']) t,
	unnest(ARRAY['ROW', 'STATEMENT']) l;
SELECT pg_temp.try('record_truncate', t)
FROM unnest(ARRAY['AFTER TRUNCATE ON app.plain', 'AFTER INSERT ON app.plain', 'AFTER INSERT ON app.plain FOR EACH ROW',
				  'BEFORE DELETE ON app.plain FOR EACH ROW', 'BEFORE INSERT ON app.plain']) t;
SELECT pg_temp.try(f, t || ' TRUNCATE ON app.plain')
FROM unnest(ARRAY['check_user_cap', 'check_transfer', 'record_departure']) f, unnest(ARRAY['BEFORE', 'AFTER']) t;
SELECT pg_temp.try('check_user_cap', 'AFTER INSERT ON app.plain FOR EACH ROW WHEN (new.id > 0)');
SELECT pg_temp.try('check_transfer', 'AFTER UPDATE ON app.plain FOR EACH ROW WHEN (new.id > 0)');
SELECT pg_temp.try('record_departure', 'AFTER DELETE ON app.plain FOR EACH ROW WHEN (old.id > 0)');
CREATE TRIGGER t INSTEAD OF INSERT ON app.view FOR EACH ROW EXECUTE FUNCTION instance_env.check_user_cap();
SELECT throws_ok($$INSERT INTO app.view VALUES (1, NULL)$$, '39P01', NULL, 'check_user_cap() INSTEAD OF INSERT');
DROP TRIGGER t ON app.view;
SELECT is((SELECT count(*) FROM instance_env.guards WHERE relation = 'app.plain'::regclass), 0::bigint,
	'a trigger that is not like guard()''s guards nothing');

-- conditions called by anybody, with anything, tell nothing

CREATE FUNCTION pg_temp.condition(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result boolean;
BEGIN
	SET LOCAL ROLE instance_env_nobody;
	EXECUTE 'SELECT instance_env.' || expression INTO result;
	RESET ROLE;
	RETURN result;
END $$;
CREATE FUNCTION pg_temp.calls(expression text) RETURNS text LANGUAGE sql AS
$$SELECT is(pg_temp.condition(expression), 'true', expression)$$;

SELECT pg_temp.calls(format('admission_required(%s, %s)', i, r))
FROM unnest(ARRAY['''d0000000-0000-4000-8000-000000000001''::uuid', '''d0000000-0000-4000-8000-000000000009''::uuid',
				  'NULL::uuid', '''dev''::text', '''nowhere''::text', '''''::text', 'NULL::text']) i,
	unnest(ARRAY['0', '1', '4294967295', 'NULL', '''app.users''::regclass', '''app.by_key''::regclass',
				 '''app.plain''::regclass', '''app.view''::regclass', '''pg_catalog.pg_class''::regclass',
				 '''app.users_pkey''::regclass', '''instance_env.instance''::regclass']) r;
SELECT pg_temp.calls(format('instance_unavailable(%s, %L::regclass)', i, 'app.users'))
FROM unnest(ARRAY['''d0000000-0000-4000-8000-000000000001''::uuid', '''d0000000-0000-4000-8000-000000000009''::uuid',
				  'NULL::uuid', '''dev''::text', '''nowhere''::text', 'repeat(''x'', 1000000)', 'NULL::text']) i;
SELECT pg_temp.calls(format('admission_required(%s, %s, %s)', i, r, k))
FROM unnest(ARRAY['''d0000000-0000-4000-8000-000000000001''::uuid', 'NULL::uuid', '''dev''::text', 'NULL::text']) i,
	unnest(ARRAY['1', 'NULL::integer', '''x''::text', '''x''', 'NULL', 'ROW(1, 2)', 'ARRAY[1]', 'point(1, 2)']) k,
	unnest(ARRAY['0', 'NULL', '''app.users''::regclass', '''app.plain''::regclass', '''app.view''::regclass',
				 '''app.users_pkey''::regclass', '4294967295']) r;
SELECT pg_temp.calls(format('row_moves(%s, %s, %s)', i, r, t))
FROM unnest(ARRAY['''d0000000-0000-4000-8000-000000000001''::uuid', 'NULL::uuid', '''dev''::text']) i,
	unnest(ARRAY['0', '''app.users''::regclass', 'NULL']) r,
	unnest(ARRAY['''(0,1)''::tid', 'NULL::tid']) t;
SELECT pg_temp.calls('departure_queued()');
SELECT ok(NOT bool_or(instance_env.row_deleted(i, r, t)), 'row_deleted() does nothing')
FROM unnest(ARRAY['d0000000-0000-4000-8000-000000000001', NULL]::uuid[]) i, unnest(ARRAY['app.users'::regclass, 0, NULL]) r,
	unnest(ARRAY['(0,1)', NULL]::tid[]) t;
SELECT pg_temp.calls(format('%s(%s)', f, a))
FROM unnest(ARRAY['admission_required', 'instance_unavailable']) f,
	unnest(ARRAY['1, 0', '''x'', 0', 'ROW(1), 0, 1, NULL, ARRAY[1]', 'NULL, ''app.users''::regclass, 1, 2, 3, 4, 5, 6, 7, 8, 9']) a;

-- more calls by hand than there are seats admit nobody, and refuse nobody
SELECT lives_ok(
	$$SELECT count(*) FROM generate_series(1, 2000) i
	  WHERE instance_env.admission_required('d0000000-0000-4000-8000-000000000001'::uuid, 'app.users'::regclass)$$,
	'admission_required() called more often than the cap');
SELECT lives_ok($$INSERT INTO app.users VALUES (2, 'd0000000-0000-4000-8000-000000000001')$$,
	'and a user admitted after that');

SELECT * FROM finish();
ROLLBACK;
