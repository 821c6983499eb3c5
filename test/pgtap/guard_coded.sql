-- guard(coded => true): what it takes and refuses, what the guard consists of, and what else knows.
SET client_min_messages = error;
SET quote_all_identifiers = off;	-- names are compared as they are without it
SELECT plan(84);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', 'pro', development_id => '00000000-0000-4000-8000-00000000000d', development_key => 'dev',
	production_id => '00000000-0000-4000-8000-00000000000e', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', 'pro', development_id => '00000000-0000-4000-8000-00000000001d', development_key => 'dev2',
	production_id => '00000000-0000-4000-8000-00000000001e', production_key => 'prod2') \gset
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
CREATE ROLE instance_env_coder;
GRANT USAGE, CREATE ON SCHEMA app TO instance_env_coder;
SELECT instance_env.grant_guard('instance_env_coder');
\ir ../include/outcome.sql
\ir ../include/coded_id.sql
\set dev '''00000000-0000-4000-8000-00000000000d'''
\set prod '''00000000-0000-4000-8000-00000000000e'''
\set dev2 '''00000000-0000-4000-8000-00000000001d'''
\set prod2 '''00000000-0000-4000-8000-00000000001e'''

-- which column

CREATE DOMAIN app.user_id AS uuid;
CREATE TABLE app.plain (id uuid PRIMARY KEY, instance_id uuid);
CREATE TABLE app.composite (id app.user_id, instance_id text, PRIMARY KEY (instance_id, id));
CREATE TABLE app.numbers (id bigint PRIMARY KEY, other uuid, instance_id uuid);
CREATE TABLE app.pairs (a uuid, b uuid, instance_id uuid, PRIMARY KEY (a, b));
CREATE TABLE app.keyless (id uuid, instance_id uuid);
CREATE TABLE app.only_instance (id uuid, instance_id uuid PRIMARY KEY);
CREATE UNLOGGED TABLE app.unlogged (id uuid PRIMARY KEY, instance_id uuid);

SELECT lives_ok($$SELECT instance_env.guard('app.plain', coded => true)$$, 'by default: the primary key');
SELECT lives_ok($$SELECT instance_env.guard('app.composite', coded => true)$$, 'by default: without the instance, a domain');
SELECT lives_ok($$SELECT instance_env.guard('app.numbers', user_key => 'other', coded => true)$$, 'named: not the primary key');
SELECT lives_ok($$SELECT instance_env.guard('app.keyless', user_key => 'id', coded => true, counted => false)$$, 'named: without a key, not counted');
SELECT lives_ok($$SELECT instance_env.guard('app.unlogged', coded => true)$$, 'an unlogged table has nothing to lose');
SELECT results_eq($$SELECT relation::text, user_key, coded, counted, whole, problems FROM instance_env.guards ORDER BY 1$$,
	$$VALUES ('app.composite', 'id', true, true, true, '{}'::text[]), ('app.keyless', 'id', true, false, true, '{}'), ('app.numbers', 'other', true, true, true, '{}'),
		('app.plain', 'id', true, true, true, '{}'), ('app.unlogged', 'id', true, true, true, '{}')$$, 'view guards has them');
SELECT set_eq($$SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'app.plain'::regclass$$,
	ARRAY['instance_env_user_cap', 'Instance_env_no_transfer', 'instance_env_truncate'], 'the triggers: none for departures');
SELECT is((SELECT count(*)::integer FROM pg_index WHERE indrelid = 'app.keyless'::regclass), 1, 'no index on the id is made');
SELECT is((SELECT after ->> 'coded' FROM instance_env.events WHERE action = 'guard' AND item = 'app.plain'), 'true', 'the event says so');
SELECT is((SELECT after ->> 'follow_departures' FROM instance_env.events WHERE action = 'guard' AND item = 'app.plain'), NULL, 'and nothing that is not so');

SELECT throws_ok($$SELECT instance_env.guard('app.only_instance', coded => true)$$, '22023', NULL, 'no primary key besides the instance');
SELECT throws_ok($$SELECT instance_env.guard('app.pairs', coded => true)$$, '22023', NULL, 'a primary key of two columns');
SELECT throws_ok($$SELECT instance_env.guard('app.pairs', user_key => 'a, b', coded => true)$$, '22023', NULL, 'two columns');
SELECT throws_ok($$SELECT instance_env.guard('app.pairs', user_key => '', coded => true)$$, '22023', NULL, 'no column');
SELECT throws_ok($$SELECT instance_env.guard('app.pairs', user_key => 'instance_id', coded => true)$$, '22023', NULL, 'the instance');
SELECT throws_ok($$SELECT instance_env.guard('app.pairs', user_key => 'a', coded => true, user_table => 'app.plain', counted => false)$$, '22023', NULL, 'with user_table');
SELECT throws_ok($$SELECT instance_env.guard('app.pairs', user_key => 'a', coded => true, follow_departures => false)$$, '22023', NULL, 'with follow_departures => false');
SELECT throws_ok($$SELECT instance_env.guard('app.pairs', user_key => 'a', coded => NULL)$$, '22004', NULL, 'null');
CREATE TABLE app.text_ids (id text PRIMARY KEY, instance_id uuid);
SELECT throws_ok($$SELECT instance_env.guard('app.text_ids', coded => true)$$, '42804', NULL, 'a text');
SELECT throws_ok($$SELECT instance_env.guard('app.numbers', user_key => 'id', coded => true)$$, '42804', NULL, 'a number');
SELECT lives_ok($$SELECT instance_env.guard('app.pairs', user_key => 'b', coded => true)$$, 'one of two');

-- in another way

SELECT throws_ok($$SELECT instance_env.guard('app.plain')$$, '42710', NULL, 'guarded in another way: by record');
SELECT throws_ok($$SELECT instance_env.guard('app.plain', follow_departures => false)$$, '42710', NULL, 'guarded in another way: neither');
SELECT throws_ok($$SELECT instance_env.guard('app.numbers', coded => true)$$, '42804', NULL, 'guarded in another way: another column');
SELECT lives_ok($$SELECT instance_env.guard('app.plain', coded => true)$$, 'the same again');
CREATE TABLE app.recorded (id uuid PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('app.recorded') \gset
SELECT throws_ok($$SELECT instance_env.guard('app.recorded', coded => true)$$, '42710', NULL, 'not what was guarded by record');
INSERT INTO app.recorded VALUES ('ffff0000-0000-4000-8000-000000000001', :dev), ('ffff0000-0000-4000-8000-000000000002', :dev);
DELETE FROM app.recorded WHERE id = 'ffff0000-0000-4000-8000-000000000002';
SELECT instance_env.unguard('app.recorded') \gset
SELECT lives_ok($$SELECT instance_env.guard('app.recorded', coded => true)$$, 'unguarded, then guarded');
SELECT throws_ok($$INSERT INTO app.recorded VALUES ('ffff0000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-00000000000d')$$, '23I02', NULL,
	'who left when departures were recorded does not return');
SELECT throws_ok($$INSERT INTO app.recorded VALUES ('ffff0000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-00000000001d')$$, '23I02', NULL, 'nor elsewhere');
SELECT lives_ok($$UPDATE app.recorded SET id = pg_temp.coded(instance_id, 1)$$, 'who is there gets a coded id');
SELECT instance_env.unguard('app.recorded') \gset
SELECT lives_ok($$SELECT instance_env.guard('app.recorded')$$, 'and by record again');
SELECT throws_ok($$INSERT INTO app.recorded VALUES ('ffff0000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-00000000001d')$$, '23I02', NULL,
	'with the record from before');

-- rows that are there

CREATE FUNCTION pg_temp.guard_with(home uuid, instance uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE app.filled (id uuid PRIMARY KEY, instance_id uuid);
	INSERT INTO app.filled VALUES (pg_temp.coded(home, 1), instance), (gen_random_uuid(), instance);
	BEGIN
		PERFORM instance_env.guard('app.filled', coded => true);
	EXCEPTION WHEN OTHERS THEN
		DROP TABLE app.filled;
		RETURN SQLSTATE;
	END;
	PERFORM set_config('instance_env.allow_destructive', 'on', true);
	DROP TABLE app.filled;
	RETURN 'ok';
END $$;
SELECT is(pg_temp.guard_with(:prod, :prod), 'ok', 'rows: of their instance, and others');
SELECT is(pg_temp.guard_with('00000000-0000-4000-8000-0000000000ff', :prod), 'ok', 'rows: with a code that no instance has');
SELECT is(pg_temp.guard_with(:prod2, :prod), '23I02', 'rows: made for another instance');
SELECT is(pg_temp.guard_with(:dev, :prod), '23I02', 'rows: made for the application''s other instance');
CREATE TABLE app.twice (id uuid, instance_id text, PRIMARY KEY (instance_id, id));
INSERT INTO app.twice VALUES ('ffff0000-0000-4000-8000-000000000001', 'dev'), ('ffff0000-0000-4000-8000-000000000001', 'dev2');
SELECT throws_ok($$SELECT instance_env.guard('app.twice', coded => true)$$, '23I02', NULL, 'rows: one user in two instances');
DELETE FROM app.twice WHERE instance_id = 'dev2';
SELECT lives_ok($$SELECT instance_env.guard('app.twice', coded => true)$$, 'rows: not any more');

-- what DDL could do

SELECT throws_ok($$ALTER TABLE app.plain ALTER id TYPE text$$, '0A000', NULL, 'the type of the id stays');
SELECT throws_ok($$ALTER TABLE app.plain DROP COLUMN id$$, '2BP01', NULL, 'and the column');
SELECT lives_ok($$ALTER TABLE app.plain RENAME id TO "user Id"; ALTER TABLE app.plain RENAME instance_id TO tenant$$, 'columns can be renamed');
SELECT is((SELECT format('%s, %s, %s', user_key, instance_column, whole) FROM instance_env.guards WHERE relation = 'app.plain'::regclass), 'user Id, tenant, t', 'and the guard knows');
SELECT throws_ok(format('INSERT INTO app.plain VALUES (%L, %L)', pg_temp.coded(:prod2, 1), :prod), '23I02', NULL, 'and holds');
SELECT lives_ok(format('INSERT INTO app.plain VALUES (%L, %L)', pg_temp.coded(:prod, 1), :prod), 'and takes who belongs');
ALTER TABLE app.plain DISABLE TRIGGER "Instance_env_no_transfer";
SELECT is((SELECT problems FROM instance_env.guards WHERE relation = 'app.plain'::regclass), '{trigger Instance_env_no_transfer is disabled}', 'a disabled trigger is a problem');
DROP TRIGGER "Instance_env_no_transfer" ON app.plain;
SELECT lives_ok($$SELECT instance_env.guard('app.plain', 'tenant', coded => true)$$, 'repaired');
DROP TRIGGER instance_env_user_cap ON app.plain;
SELECT throws_ok($$SELECT instance_env.guard('app.plain', 'tenant')$$, '42710', NULL, 'the other trigger still says that ids are coded');
SELECT lives_ok($$SELECT instance_env.guard('app.plain', 'tenant', coded => true)$$, 'repaired');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.plain'::regclass), true, 'and whole');

-- triggers made by hand: by the owner, of a column of another type
SET ROLE instance_env_coder;
CREATE TABLE app.forged (id text PRIMARY KEY, instance_id text);
SELECT throws_ok($$CREATE TRIGGER instance_env_user_cap AFTER INSERT ON app.forged FOR EACH ROW
	WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id)) EXECUTE FUNCTION instance_env.check_user_cap('instance_env_coder/app.forged', 'coded=perhaps')$$,
	'42501', NULL, 'by hand: an option that guard() does not write');
SELECT lives_ok($$CREATE TRIGGER instance_env_user_cap AFTER INSERT ON app.forged FOR EACH ROW
	WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id)) EXECUTE FUNCTION instance_env.check_user_cap('instance_env_coder/app.forged', 'coded=on')$$,
	'by hand: one that it does');
CREATE TRIGGER "Instance_env_no_transfer" AFTER UPDATE ON app.forged FOR EACH ROW
	WHEN (OLD.instance_id IS DISTINCT FROM NEW.instance_id OR instance_env.identity_changes(OLD.id, NEW.id)) EXECUTE FUNCTION instance_env.check_transfer('instance_env_coder/app.forged', 'coded=on');
-- and of one that has no value in the row, as there are since PostgreSQL 18
SELECT current_setting('server_version_num')::integer >= 180000 AS has_virtual \gset
\if :has_virtual
CREATE TABLE app.virtual (seed uuid, instance_id text, id uuid GENERATED ALWAYS AS (seed) VIRTUAL);
SELECT throws_ok($$SELECT instance_env.guard('app.virtual', user_key => 'id', coded => true)$$, '42P10', NULL, 'a virtual generated column');
CREATE TRIGGER instance_env_user_cap AFTER INSERT ON app.virtual FOR EACH ROW
	WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid, NEW.id)) EXECUTE FUNCTION instance_env.check_user_cap('instance_env_coder/app.virtual', 'coded=on');
CREATE TRIGGER "Instance_env_no_transfer" AFTER UPDATE ON app.virtual FOR EACH ROW
	WHEN (OLD.instance_id IS DISTINCT FROM NEW.instance_id OR instance_env.identity_changes(OLD.id, NEW.id)) EXECUTE FUNCTION instance_env.check_transfer('instance_env_coder/app.virtual', 'coded=on');
RESET ROLE;
SELECT throws_ok($$INSERT INTO app.virtual VALUES ('a0000000-0000-4000-8000-000000000001', 'prod')$$, '39P01', NULL, 'by hand: it takes nobody');
SELECT throws_ok($$INSERT INTO app.virtual VALUES ('a0000000-0000-4000-8000-000000000001', 'dev')$$, '39P01', NULL, 'nor in development');
SELECT is_empty($$SELECT FROM instance_env.guards WHERE relation = 'app.virtual'::regclass AND whole$$, 'and is no whole guard');
DROP TABLE app.virtual;
\else
SELECT skip('there are no virtual columns before PostgreSQL 18', 4);
\endif
RESET ROLE;
SELECT matches((SELECT problems::text FROM instance_env.guards WHERE relation = 'app.forged'::regclass), 'user key ."id." is not a single column of type uuid', 'it is a problem');
SELECT throws_ok($$INSERT INTO app.forged VALUES ('ann', 'dev')$$, '55000', NULL, 'and takes nobody');
SELECT throws_ok($$INSERT INTO app.forged VALUES ('ann', 'prod')$$, '55000', NULL, 'nor in production');
DROP TABLE app.forged;

-- what would destroy users of production

SELECT lives_ok(format('INSERT INTO app.plain VALUES (%L, %L), (%L, %L)', pg_temp.coded(:prod, 2), :prod, pg_temp.coded(:dev, 2), :dev), 'users of production');
SELECT throws_ok('TRUNCATE app.plain', '55I05', NULL, 'TRUNCATE');
SELECT throws_ok('DROP TABLE app.plain', '55I05', NULL, 'DROP TABLE');
SELECT throws_ok('ALTER TABLE app.plain DROP COLUMN tenant CASCADE', '55I05', NULL, 'DROP COLUMN');
SET instance_env.destructive_rows = 1;
SELECT throws_ok('DELETE FROM app.plain', '55I05', NULL, 'DELETE of more than may be deleted');
SELECT lives_ok(format('DELETE FROM app.plain WHERE "user Id" = %L', pg_temp.coded(:prod, 2)), 'DELETE of one');
RESET instance_env.destructive_rows;
SELECT is((SELECT count(*)::integer FROM instance_env.departed_user WHERE instance = :prod), 0, 'nothing is recorded');
SELECT lives_ok($$DELETE FROM app.plain WHERE tenant = '00000000-0000-4000-8000-00000000000e'; TRUNCATE app.plain$$, 'TRUNCATE of others');

-- what else knows: validate(), reset_development(), rename_instance(), user_table, isolate(), unguard()

SELECT is_empty($$SELECT * FROM instance_env.validate('shop'::text)
	WHERE check_name IN ('departures') OR (check_name = 'guard' AND NOT passed)$$, 'validate() has nothing to say');
INSERT INTO app.plain VALUES (pg_temp.coded(:dev, 3), :dev), (pg_temp.coded(:dev, 4), :dev), (pg_temp.coded(:prod, 4), :prod);
SELECT is((SELECT users::integer FROM instance_env.usage WHERE instance_id = :dev AND relation = 'app.plain'::regclass), 2, 'usage counts');
DELETE FROM app.recorded;
SELECT count(*) AS departed FROM instance_env.departed_user \gset
CALL instance_env.reset_development('00000000-0000-4000-8000-00000000000d'::uuid);
SELECT is((SELECT count(*)::integer FROM app.plain), 1, 'users of production stay');
SELECT is((SELECT count(*) FROM instance_env.departed_user), :departed::bigint, 'and nothing is recorded');
SELECT lives_ok(format('INSERT INTO app.plain VALUES (%L, %L)', pg_temp.coded(:dev, 3), :dev), 'who was reset may return to the instance');
SELECT throws_ok(format('INSERT INTO app.plain VALUES (%L, %L)', pg_temp.coded(:dev, 4), :dev2), '23I02', NULL, 'and to no other');

INSERT INTO app.composite VALUES (pg_temp.coded(:prod, 1), 'prod');
SELECT lives_ok($$SELECT instance_env.rename_instance('00000000-0000-4000-8000-00000000000e', 'live'); UPDATE app.composite SET instance_id = 'live' WHERE instance_id = 'prod'$$, 'rename_instance()');
SELECT lives_ok(format('INSERT INTO app.composite VALUES (%L, %L)', pg_temp.coded(:prod, 2), 'live'), 'ids stay the same');
SELECT throws_ok(format('INSERT INTO app.composite VALUES (%L, %L)', pg_temp.coded(:prod2, 2), 'live'), '23I02', NULL, 'and others'' others');
SELECT lives_ok($$SELECT instance_env.rename_instance('00000000-0000-4000-8000-00000000001e', 'prod')$$, 'another instance gets the key');
SELECT lives_ok(format('INSERT INTO app.composite VALUES (%L, %L)', pg_temp.coded(:prod2, 2), 'prod'), 'whose ids fit it then');
SELECT throws_ok(format('INSERT INTO app.composite VALUES (%L, %L)', pg_temp.coded(:prod, 3), 'prod'), '23I02', NULL, 'and those of the former do not');

CREATE TABLE app.sessions (id bigint PRIMARY KEY, instance_id uuid, user_id uuid);
SELECT lives_ok($$SELECT instance_env.guard('app.sessions', user_key => 'user_id', counted => false, user_table => 'app.plain')$$, 'rows that refer to such users');
SELECT lives_ok(format('INSERT INTO app.sessions VALUES (1, %L, %L)', :prod, pg_temp.coded(:prod, 4)), 'a row');
SELECT throws_ok(format('INSERT INTO app.sessions VALUES (2, %L, %L)', :dev, pg_temp.coded(:prod, 4)), '23503', NULL, 'of the user''s instance only');
SELECT lives_ok($$SELECT instance_env.isolate('app.plain')$$, 'isolate()');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.plain'::regclass), true, 'beside it, whole');

SELECT instance_env.unguard('app.numbers') \gset
SELECT is((SELECT before ->> 'coded' FROM instance_env.events WHERE action = 'unguard' ORDER BY id DESC LIMIT 1), 'true', 'unguard(): the event says how it was guarded');

SET instance_env.allow_destructive = on;
DROP SCHEMA app CASCADE;
SELECT instance_env.revoke_access('instance_env_coder') \gset
DROP ROLE instance_env_coder;
SELECT * FROM finish();
