-- Tries to have a guard's functions called otherwise than guard() has them called: by triggers of
-- another kind, and with other columns of the row.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(18);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset
CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_mallory;
SELECT instance_env.grant_guard('instance_env_owner'), instance_env.grant_guard('instance_env_mallory') \gset
CREATE SCHEMA own AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA own TO instance_env_mallory;

\ir ../include/outcome.sql

SET LOCAL ROLE instance_env_owner;
CREATE FUNCTION own.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE own.users (id text PRIMARY KEY, instance_id text, n integer, place tid);
SELECT count(*) FROM instance_env.guard('own.users') \gset
CREATE TABLE own.numbers (id numeric PRIMARY KEY, instance_id text, n integer);
SELECT count(*) FROM instance_env.guard('own.numbers', counted => false, user_key => 'id') \gset
CREATE TABLE own.loose (id integer, instance_id text, place tid);
SELECT count(*) FROM instance_env.guard('own.loose', user_key => '') \gset
GRANT ALL ON own.users TO instance_env_mallory;
RESET ROLE;

-- the triggers themselves, by who may make triggers on the table: the same function, arguments and condition, at another time
SELECT is(pg_temp.outcome('instance_env_mallory', format('CREATE OR REPLACE TRIGGER instance_env_truncate %s ON own.users FOR EACH STATEMENT
	EXECUTE FUNCTION instance_env.record_truncate(''instance_env_owner/own.users'')', event)), '42501', 'record_truncate() ' || event)
FROM unnest('{BEFORE DELETE, AFTER TRUNCATE, BEFORE INSERT}'::text[]) event;
-- (in PostgreSQL 15 and 16, a stored condition knows its place in the statement)
SELECT is(pg_temp.outcome('instance_env_mallory', format('CREATE OR REPLACE TRIGGER instance_env_user_cap %s ON own.users %s
	WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id)) EXECUTE FUNCTION instance_env.check_user_cap(''instance_env_owner/own.users'')',
	event, repeat(' ', 200 - length(event)) || 'FOR EACH ROW')), '42501', 'check_user_cap() ' || event)
FROM unnest('{AFTER UPDATE, AFTER INSERT OR UPDATE}'::text[]) event;
DO $$
DECLARE
	statement text := 'CREATE OR REPLACE TRIGGER instance_env_departure %s ON own.users FOR EACH ROW%s WHEN (instance_env.departure_queued()) EXECUTE FUNCTION instance_env.record_departure(''instance_env_owner/own.users'')';
	here integer := length('CREATE TRIGGER instance_env_departure AFTER DELETE ON own.users FOR EACH ROW');
	refused integer := 0;
BEGIN
	-- wherever the condition stands
	FOR blanks IN 0 .. 40 LOOP
		BEGIN
			SET LOCAL ROLE instance_env_mallory;
			EXECUTE format(statement, 'AFTER UPDATE', repeat(' ', blanks));
		EXCEPTION WHEN insufficient_privilege THEN
			refused := refused + 1;
		END;
		RESET ROLE;
	END LOOP;
	PERFORM set_config('app.refused', refused::text, true);
END $$;
SELECT is(current_setting('app.refused'), '41', 'record_departure() AFTER UPDATE');

-- nor does the owner make them otherwise
SELECT is(pg_temp.outcome('instance_env_owner', format('DROP TRIGGER instance_env_user_cap ON own.users;
	CREATE %s ON own.users %s FOR EACH ROW WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id))
	EXECUTE FUNCTION instance_env.check_user_cap(''instance_env_owner/own.users'')', what[1], what[2])), '42501', array_to_string(what, ' '))
FROM (VALUES (ARRAY['TRIGGER t AFTER UPDATE', '']), (ARRAY['CONSTRAINT TRIGGER t AFTER INSERT', 'DEFERRABLE INITIALLY DEFERRED'])) v (what);
-- a superuser may, and it guards nothing
SAVEPOINT made;
DROP TRIGGER instance_env_user_cap ON own.users;
CREATE CONSTRAINT TRIGGER instance_env_user_cap AFTER INSERT ON own.users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
	WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id)) EXECUTE FUNCTION instance_env.check_user_cap('instance_env_owner/own.users');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'own.users'::regclass), false, 'a deferred cap: listed');
ROLLBACK TO made;
DROP TRIGGER "Instance_env_no_transfer" ON own.users;
CREATE TRIGGER "Instance_env_no_transfer" AFTER UPDATE ON own.users FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id)
	EXECUTE FUNCTION instance_env.check_transfer('instance_env_owner/own.users');
SELECT matches((SELECT problems::text FROM instance_env.guards WHERE relation = 'own.users'::regclass), 'Instance_env_no_transfer is missing',
	'a transfer trigger that looks at another column: listed');
ROLLBACK TO made;

-- conditions that take the place of an old row for a user key
INSERT INTO own.users SELECT i::text, 'dev2', 0 FROM generate_series(1, 100) i;
INSERT INTO own.numbers SELECT i, 'dev2', 0 FROM generate_series(1, 100) i;
DELETE FROM own.users WHERE id = '1';
DELETE FROM own.numbers WHERE id = 1;
SELECT is(pg_temp.outcome('instance_env_owner', format('CREATE OR REPLACE TRIGGER a AFTER UPDATE ON own.%I FOR EACH ROW
	WHEN (instance_env.%I(OLD.instance_id, OLD.tableoid, OLD.ctid)) EXECUTE FUNCTION own.nothing(); UPDATE own.%1$I SET n = 1', t, f)), 'ok', f || '() for an old row of ' || t)
FROM unnest('{users, numbers}'::text[]) t, unnest('{admission_required, instance_unavailable}'::text[]) f;

-- and the other way round
SELECT is(pg_temp.outcome('instance_env_owner', format('CREATE OR REPLACE TRIGGER a AFTER INSERT ON own.loose FOR EACH ROW
	WHEN (instance_env.row_moves(NEW.instance_id, NEW.tableoid, NEW.place)) EXECUTE FUNCTION own.nothing(); INSERT INTO own.loose VALUES (1, ''dev2'', %L);
	SELECT 1 / (pg_relation_size(''own.loose'') = 8192)::integer', place)), 'ok', 'row_moves() of ' || place)
FROM unnest('{"(4294967295,1)", "(0,65535)", "(7777,1)"}'::text[]) place;
SELECT is((SELECT count(*) FROM own.loose), 3::bigint, 'the rows are as any');

SELECT * FROM finish();
ROLLBACK;
