-- Tries to change what a guard is, by those who own other tables, or hold TRIGGER on the
-- guarded one, or own it and do what neither disables nor drops anything.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(34);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_id => '00000000-0000-4000-8000-00000000000d', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_id => '00000000-0000-4000-8000-00000000001d', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap('00000000-0000-4000-8000-00000000000d', 2) \gset
CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_mallory;
SELECT instance_env.grant_guard('instance_env_mallory') \gset
SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE SCHEMA own AUTHORIZATION instance_env_owner;
CREATE SCHEMA s AUTHORIZATION instance_env_mallory;
GRANT USAGE ON SCHEMA own TO instance_env_mallory;

\ir ../include/outcome.sql

SET LOCAL ROLE instance_env_owner;
CREATE TABLE own.users (id text PRIMARY KEY, instance_id text, note text);
SELECT count(*) FROM instance_env.guard('own.users') \gset
GRANT ALL ON own.users TO instance_env_mallory;
RESET ROLE;
SET LOCAL ROLE instance_env_mallory;
CREATE FUNCTION s.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE s.mine (id text PRIMARY KEY, instance_id text, note text);
SELECT count(*) FROM instance_env.guard('s.mine') \gset
RESET ROLE;

-- a guard's triggers are replaced by others, by who may make triggers on the table
SELECT is(pg_temp.outcome('instance_env_mallory', format('CREATE OR REPLACE TRIGGER %s ON own.users FOR EACH ROW EXECUTE FUNCTION s.nothing()', t)),
		  '42501', 'not to be replaced: ' || t)
FROM unnest(ARRAY['"Instance_env_no_transfer" AFTER UPDATE', 'instance_env_departure AFTER DELETE', 'instance_env_user_cap AFTER INSERT']) t;
SELECT is(pg_temp.outcome('instance_env_mallory', 'CREATE OR REPLACE TRIGGER instance_env_truncate BEFORE TRUNCATE ON own.users EXECUTE FUNCTION s.nothing()'),
		  '42501', 'not to be replaced: instance_env_truncate');
SELECT is(pg_temp.outcome('instance_env_mallory', 'CREATE TRIGGER own AFTER INSERT ON own.users FOR EACH ROW EXECUTE FUNCTION s.nothing();
	CREATE OR REPLACE TRIGGER own AFTER INSERT ON own.users FOR EACH ROW EXECUTE FUNCTION s.nothing()'), 'ok', 'her own she may make and replace');

-- where PostgreSQL keeps no list of commands
SET LOCAL ROLE instance_env_mallory;
CREATE FUNCTION s.run(command text) RETURNS integer LANGUAGE plpgsql AS 'BEGIN EXECUTE command; RETURN 1; END';
RESET ROLE;
CREATE FUNCTION pg_temp.refresh(role name, command text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.outcome(role, format('CREATE MATERIALIZED VIEW s.mv AS SELECT s.run(%L) WITH NO DATA; REFRESH MATERIALIZED VIEW s.mv; DROP MATERIALIZED VIEW s.mv', command)) $$;
SELECT is(pg_temp.refresh('instance_env_mallory', $$CREATE TRIGGER zz AFTER INSERT ON own.users FOR EACH ROW
	WHEN (instance_env.admission_required(NEW.note, NEW.tableoid)) EXECUTE FUNCTION instance_env.check_user_cap('x')$$), '42501', 'a trigger made in REFRESH MATERIALIZED VIEW');
SELECT is(pg_temp.refresh('instance_env_mallory', $$CREATE OR REPLACE TRIGGER instance_env_user_cap AFTER INSERT ON own.users FOR EACH ROW
	EXECUTE FUNCTION s.nothing()$$), '42501', 'a trigger replaced there');
GRANT ALL ON SCHEMA s TO instance_env_owner;
SELECT is(pg_temp.refresh('instance_env_owner', 'CREATE TABLE own.child () INHERITS (own.users)'), '42809', 'an inheritance child made there');

-- labels: of another table, by a trigger for TRUNCATE, and while guard() computes a partition key
SELECT is(pg_temp.outcome('instance_env_mallory', $$CREATE TRIGGER zzz BEFORE TRUNCATE ON s.mine FOR EACH STATEMENT WHEN (true)
	EXECUTE FUNCTION instance_env.record_truncate('instance_env_owner/own.users')$$), '42501', 'another label by TRUNCATE');
CREATE TRIGGER zzz BEFORE TRUNCATE ON s.mine FOR EACH STATEMENT WHEN (true)
	EXECUTE FUNCTION instance_env.record_truncate('instance_env_owner/own.users');
SELECT results_eq($$SELECT label, whole FROM instance_env.guards WHERE relation = 's.mine'::regclass$$,
	$$VALUES ('instance_env_mallory/s.mine', false)$$, 'which has no effect if a superuser makes it, and is listed');
DROP TRIGGER zzz ON s.mine;
SET LOCAL ROLE instance_env_mallory;
CREATE TABLE s.forge (id integer, instance_id text);
CREATE FUNCTION s.forge() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TRIGGER instance_env_active AFTER INSERT ON s.forge FOR EACH ROW
		WHEN (instance_env.instance_unavailable(NEW.instance_id, NEW.tableoid, NEW.id))
		EXECUTE FUNCTION instance_env.check_instance('instance_env_owner/own.users');
EXCEPTION WHEN insufficient_privilege THEN
	RAISE WARNING 'refused';
END $$;
CREATE FUNCTION s.key(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM s.forge(); RETURN $1; END';
CREATE TABLE s.parted (id integer, instance_id text) PARTITION BY RANGE ((id + s.key(0)));
CREATE TABLE s.parted_1 PARTITION OF s.parted FOR VALUES FROM (0) TO (10);
SET client_min_messages = error;
SELECT count(*) FROM instance_env.guard('s.parted', user_key => '') \gset
SET client_min_messages = warning;
RESET ROLE;
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 's.forge'::regclass), 0::bigint, 'another label while guard() is at work');
SELECT is(pg_temp.outcome('instance_env_owner', $$ALTER TABLE own.users RENAME TO people;
	CREATE TRIGGER zz AFTER DELETE ON own.people FOR EACH ROW WHEN (instance_env.departure_queued())
	EXECUTE FUNCTION instance_env.record_departure('instance_env_owner/own.people')$$), '42501', 'a second trigger under a new name');

-- columns: another trigger names others
SELECT is(pg_temp.outcome('instance_env_owner', $$CREATE TRIGGER zz AFTER UPDATE OF note ON own.users FOR EACH ROW
	WHEN (OLD.note IS DISTINCT FROM NEW.note OR instance_env.identity_changes(OLD.id, NEW.id))
	EXECUTE FUNCTION instance_env.check_transfer('instance_env_owner/own.users')$$), '42501', 'a second trigger for other columns');
CREATE TRIGGER aa AFTER UPDATE OF note ON own.users FOR EACH ROW WHEN (OLD.note IS DISTINCT FROM NEW.note AND OLD.id <> NEW.id)
	EXECUTE FUNCTION instance_env.check_transfer('instance_env_owner/own.users');
CREATE TRIGGER zz AFTER UPDATE OF note ON own.users FOR EACH ROW WHEN (OLD.note IS DISTINCT FROM NEW.note AND OLD.id <> NEW.id)
	EXECUTE FUNCTION instance_env.check_transfer('instance_env_owner/own.users');
SELECT results_eq($$SELECT instance_column, user_key, whole FROM instance_env.guards WHERE relation = 'own.users'::regclass$$,
	$$VALUES ('instance_id'::name, 'id', false)$$, 'which has no effect if a superuser makes it, and is listed');
INSERT INTO own.users VALUES ('ann', 'dev');
SELECT throws_ok($$UPDATE own.users SET instance_id = 'dev2'$$, '23I02', NULL, 'and nobody moves');
DROP TRIGGER aa ON own.users;
DROP TRIGGER zz ON own.users;

-- a partition: its owner, or what it brings along
SET LOCAL ROLE instance_env_owner;
CREATE TABLE own.parted (id bigint, instance_id text, other text, part integer) PARTITION BY LIST (part);
CREATE TABLE own.parted_1 PARTITION OF own.parted FOR VALUES IN (1);
CREATE TABLE own.parted_2 PARTITION OF own.parted FOR VALUES IN (2);
SELECT count(*) FROM instance_env.guard('own.parted', user_key => 'id') \gset
RESET ROLE;
ALTER TABLE own.parted_2 OWNER TO instance_env_mallory;
SELECT is(pg_temp.outcome('instance_env_mallory', $$CREATE TRIGGER zzz AFTER DELETE ON own.parted_2 FOR EACH ROW WHEN (instance_env.departure_queued())
	EXECUTE FUNCTION instance_env.record_departure('instance_env_mallory/own.parted_2')$$), '42501', 'a partition is not given another label');
CREATE TRIGGER zzz AFTER UPDATE ON own.parted_2 FOR EACH ROW
	WHEN (OLD.instance_id IS DISTINCT FROM NEW.instance_id OR instance_env.identity_changes(OLD.other, NEW.other))
	EXECUTE FUNCTION instance_env.check_transfer('instance_env_mallory/own.parted_2');
INSERT INTO own.parted VALUES (1, 'dev', 'x', 2);
SELECT throws_ok($$INSERT INTO own.parted VALUES (1, 'dev2', 'x', 1)$$, '23I02', NULL, 'nor another key, which would be read as one of another type');
SELECT lives_ok($$INSERT INTO own.parted VALUES (2, 'dev', 'x', 1)$$, 'the server is there');
DROP TRIGGER zzz ON own.parted_2;
ALTER TABLE own.parted_2 OWNER TO instance_env_owner;
DELETE FROM own.parted;
SET LOCAL ROLE instance_env_owner;
CREATE TABLE own.guarded (id bigint, instance_id text, other text, part integer);
SELECT count(*) FROM instance_env.guard('own.guarded', 'other', user_key => '') \gset
ALTER TRIGGER instance_env_user_cap ON own.guarded RENAME TO zzz1;
ALTER TRIGGER "Instance_env_no_transfer" ON own.guarded RENAME TO zzz2;
CREATE TABLE own.above (id bigint, instance_id text, other text, part integer) PARTITION BY LIST (part);
RESET ROLE;
SELECT is(pg_temp.outcome('instance_env_owner', format('ALTER TABLE own.%s ATTACH PARTITION own.guarded FOR VALUES IN (3)', t)), '42809',
		  'a table that is guarded itself does not become a partition of ' || t)
FROM unnest('{parted, above}'::text[]) t;

-- a name that means something else by the time it is looked at
SET LOCAL ROLE instance_env_owner;
CREATE FUNCTION own.elsewhere(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS
	$$BEGIN PERFORM set_config('search_path', 'pg_catalog', true); RETURN $1; END$$;
CREATE TABLE own.keyed (id bigint NOT NULL, instance_id text NOT NULL, part integer NOT NULL) PARTITION BY LIST ((part + own.elsewhere(0)));
CREATE TABLE own.keyed_1 PARTITION OF own.keyed FOR VALUES IN (1);
SELECT count(*) FROM instance_env.guard('own.keyed', user_key => '') \gset
CREATE TABLE own.many (id bigint NOT NULL, instance_id text NOT NULL, part integer NOT NULL);
INSERT INTO own.many SELECT i, 'dev', 2 FROM generate_series(1, 9) i;
RESET ROLE;
RESET search_path;
SELECT is(pg_temp.outcome('instance_env_owner', $$SET LOCAL search_path = own; ALTER TABLE keyed ATTACH PARTITION many FOR VALUES IN (2)$$), '23I01',
		  'ATTACH by a name that a function takes away');
RESET search_path;
SELECT is(pg_temp.outcome('instance_env_owner', $$CREATE FUNCTION own.rename(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS
	'BEGIN ALTER TABLE IF EXISTS own.many RENAME TO renamed; RETURN $1; END';
	CREATE TABLE own.keyed2 (id bigint NOT NULL, instance_id text NOT NULL, part integer NOT NULL) PARTITION BY LIST ((part + own.rename(0)));
	SELECT instance_env.guard('own.keyed2', user_key => '');
	ALTER TABLE own.keyed2 ATTACH PARTITION own.many FOR VALUES IN (2)$$) <> 'ok', true, 'or renames');

-- indexes whose equality is not the column's
CREATE EXTENSION IF NOT EXISTS citext SCHEMA app;
CREATE TABLE app.ci (id app.citext NOT NULL, instance_id text NOT NULL, PRIMARY KEY (instance_id, id));
CREATE UNIQUE INDEX ON app.ci (id text_ops);
SELECT count(*) FROM instance_env.guard('app.ci', user_key => 'id') \gset
INSERT INTO app.ci VALUES ('Alice', 'dev');
SELECT throws_ok($$INSERT INTO app.ci VALUES ('alice', 'dev2')$$, '23I02', NULL, 'a unique index of another operator class');
CREATE TABLE app.blank (id text NOT NULL, instance_id text NOT NULL);
CREATE INDEX ON app.blank (id bpchar_ops);
SELECT count(*) FROM instance_env.guard('app.blank', user_key => 'id') \gset
INSERT INTO app.blank VALUES ('a', 'dev');
SELECT lives_ok($$INSERT INTO app.blank VALUES ('a ', 'dev2')$$, 'nor does one refuse what is another key');

-- which instance a row has is not told to who may not read it
CREATE TABLE app.secret (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.secret') \gset
INSERT INTO app.secret VALUES ('x', 'dev');
GRANT USAGE ON SCHEMA app TO instance_env_mallory;
GRANT UPDATE ON app.secret TO instance_env_mallory;
GRANT SELECT (id) ON app.secret TO instance_env_mallory;
CREATE FUNCTION pg_temp.detail(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	SET LOCAL ROLE instance_env_mallory;
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
SELECT is(pg_temp.detail($$UPDATE app.secret SET instance_id = 'dev2' WHERE id = 'x'$$), 'The update changes its instance to "dev2".', 'without SELECT');
GRANT SELECT ON app.secret TO instance_env_mallory;
SELECT is(pg_temp.detail($$UPDATE app.secret SET instance_id = 'dev2' WHERE id = 'x'$$), 'The update changes its instance from "dev" to "dev2".', 'with SELECT');
ALTER TABLE app.secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON app.secret USING (true);
SELECT is(pg_temp.detail($$UPDATE app.secret SET instance_id = 'dev2' WHERE id = 'x'$$), 'The update changes its instance to "dev2".', 'under row-level security');

-- a row that has moved, and is gone, makes no room for another
CREATE ROLE instance_env_bob;
GRANT USAGE ON SCHEMA app TO instance_env_bob;
CREATE TABLE app.moves (id integer, instance_id text, part integer) PARTITION BY LIST (part);
CREATE TABLE app.moves_1 PARTITION OF app.moves FOR VALUES IN (1);
CREATE TABLE app.moves_2 PARTITION OF app.moves FOR VALUES IN (2);
SELECT count(*) FROM instance_env.guard('app.moves', user_key => '') \gset
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON app.moves, app.moves_1, app.moves_2 TO instance_env_bob;
INSERT INTO app.moves VALUES (1, 'dev', 1), (2, 'dev', 1);
SELECT instance_env.suspend_instance('00000000-0000-4000-8000-00000000000d') \gset
SELECT is(pg_temp.outcome('instance_env_bob', $$UPDATE app.moves SET part = 2; TRUNCATE app.moves_2; INSERT INTO app.moves VALUES (3, 'dev', 1)$$),
		  '23I04', 'moved, truncated, and another comes: suspended');
SELECT is(pg_temp.outcome('instance_env_bob', $$UPDATE app.moves SET part = 2; UPDATE app.moves SET part = 1; UPDATE app.moves SET part = 2$$),
		  'ok', 'rows of a suspended instance move');
SELECT instance_env.resume_instance('00000000-0000-4000-8000-00000000000d') \gset
SELECT instance_env.set_user_cap('00000000-0000-4000-8000-00000000000d', 1) \gset
SELECT is(pg_temp.outcome('instance_env_bob', $$UPDATE app.moves SET part = 3 - part; TRUNCATE app.moves_1, app.moves_2;
	INSERT INTO app.moves VALUES (3, 'dev', 1), (4, 'dev', 1)$$), '23I01', 'over its cap');
SELECT is(pg_temp.outcome('instance_env_bob', $$UPDATE app.moves SET part = 3 - part$$), 'ok', 'rows over the cap move');
SELECT instance_env.set_user_cap('00000000-0000-4000-8000-00000000000d', 2) \gset

-- an instance that has gone while a table still has rows of it
CREATE TABLE app.lost (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.lost') \gset
SELECT instance_env.create_application('gone', development_key => 'gone') \gset
INSERT INTO app.lost VALUES ('k', 'gone'), ('k2', 'gone'), ('k3', 'dev2');
ALTER TABLE app.lost OWNER TO instance_env_bob;
SELECT lives_ok($$SELECT instance_env.drop_application(instance_env.application_id('gone'))$$, 'a table that was given away is not asked');
DELETE FROM app.lost WHERE id = 'k';
SELECT throws_ok($$INSERT INTO app.lost VALUES ('k', 'dev2')$$, '23I02', NULL, 'but its users stay away from other instances');
SELECT throws_ok($$UPDATE app.lost SET id = 'k4' WHERE id = 'k2'$$, '23I03', NULL, 'and take no other key');

SELECT * FROM finish();
ROLLBACK;
