-- SQLSTATE and the names that go with it, for every error that a program may branch on
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(26);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset

CREATE FUNCTION pg_temp.diagnostics(command text,
	OUT state text, OUT schema_name text, OUT table_name text, OUT column_name text, OUT constraint_name text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	state := '00000';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, schema_name = SCHEMA_NAME, table_name = TABLE_NAME,
		column_name = COLUMN_NAME, constraint_name = CONSTRAINT_NAME;
END $$;
CREATE FUNCTION pg_temp.try(command text, state text, constraint_name text, what text, table_name text DEFAULT 'users')
RETURNS text LANGUAGE sql AS
$$SELECT is(pg_temp.diagnostics(command)::text,
	ROW(state, 'app', table_name, 'tenant', constraint_name)::text, what)$$;

CREATE TABLE app.users (gone text, id text PRIMARY KEY, tenant text);
ALTER TABLE app.users DROP gone;
CREATE TABLE app.sessions (id text PRIMARY KEY, tenant text);
CREATE TABLE app.parted (id text PRIMARY KEY, tenant text) PARTITION BY HASH (id);
CREATE TABLE app.part (tenant text, id text NOT NULL);
ALTER TABLE app.parted ATTACH PARTITION app.part FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE app.moving (id text, tenant text, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
CREATE TABLE app.moving_dev PARTITION OF app.moving FOR VALUES IN ('dev');
CREATE TABLE app.moving_dev2 PARTITION OF app.moving FOR VALUES IN ('dev2');
SELECT count(*) FROM instance_env.guard('app.users', 'tenant') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', 'tenant', counted => false) \gset
SELECT count(*) FROM instance_env.guard('app.parted', 'tenant') \gset
SELECT count(*) FROM instance_env.guard('app.moving', 'tenant', 'id') \gset

SELECT pg_temp.try($$INSERT INTO app.users VALUES ('u1', NULL)$$, '23502', '', 'NULL');
SELECT pg_temp.try($$INSERT INTO app.users VALUES ('u1', 'nowhere')$$, '23I03', 'instance_env_known_instance', 'unknown instance');
SELECT pg_temp.try($$INSERT INTO app.users VALUES ('u1', 'prod')$$, '23I04', 'instance_env_active', 'inactive instance');
INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev');
SELECT pg_temp.try($$INSERT INTO app.users VALUES ('u3', 'dev')$$, '23I01', 'instance_env_user_cap', 'the cap');
SELECT pg_temp.try($$INSERT INTO app.users SELECT i, 'dev' FROM generate_series(10, 2000) i$$, '23I01',
	'instance_env_user_cap', 'the cap, early');
SELECT pg_temp.try($$COPY app.users FROM PROGRAM 'printf "u3\tdev\n"'$$, '23I01', 'instance_env_user_cap',
	'the cap, by COPY');
SELECT pg_temp.try($$UPDATE app.users SET tenant = 'dev2'$$, '23I02', 'instance_env_no_transfer', 'transfer');
DELETE FROM app.users WHERE id = 'u2';
SELECT pg_temp.try($$INSERT INTO app.users VALUES ('u2', 'dev2')$$, '23I02', 'instance_env_no_transfer',
	'a departed user');
INSERT INTO app.users VALUES ('v1', 'dev2');
SELECT pg_temp.try($$UPDATE app.users SET id = 'u2' WHERE id = 'v1'$$, '23I02', 'instance_env_no_transfer',
	'a departed user''s key taken');

SELECT pg_temp.try($$INSERT INTO app.sessions VALUES ('s1', NULL)$$, '23502', '', 'not counted: NULL', 'sessions');
SELECT pg_temp.try($$INSERT INTO app.sessions VALUES ('s1', 'nowhere')$$, '23I03', 'instance_env_known_instance', 'not counted: unknown instance',
	'sessions');
SELECT pg_temp.try($$INSERT INTO app.sessions VALUES ('s1', 'prod')$$, '23I04', 'instance_env_active', 'not counted: inactive instance',
	'sessions');

-- partitioned: the table that was guarded, not the partition
SELECT pg_temp.try($$INSERT INTO app.parted VALUES ('u1', 'nowhere')$$, '23I03', 'instance_env_known_instance', 'partitioned: unknown instance',
	'parted');
INSERT INTO app.parted VALUES ('u1', 'dev'), ('u2', 'dev');
SELECT pg_temp.try($$INSERT INTO app.parted VALUES ('u3', 'dev')$$, '23I01', 'instance_env_user_cap',
	'partitioned: the cap', 'parted');
SELECT pg_temp.try($$INSERT INTO app.part (id, tenant) VALUES ('u3', 'dev')$$, '23I01', 'instance_env_user_cap',
	'partitioned: the cap, the partition named', 'parted');
SELECT pg_temp.try($$UPDATE app.parted SET tenant = 'dev2'$$, '23I02', 'instance_env_no_transfer',
	'partitioned: transfer', 'parted');
INSERT INTO app.moving VALUES ('u1', 'dev');
SELECT pg_temp.try($$INSERT INTO app.moving VALUES ('u1', 'dev2')$$, '23I02', 'instance_env_no_transfer',
	'partitioned by instance: a user who lives elsewhere', 'moving');
SELECT pg_temp.try($$UPDATE app.moving SET tenant = 'dev2'$$, '23I02', 'instance_env_no_transfer',
	'partitioned by instance: transfer', 'moving');

-- guard()
CREATE TABLE app.nulls (id text PRIMARY KEY, tenant text);
INSERT INTO app.nulls VALUES ('u1', NULL);
SELECT pg_temp.try($$SELECT instance_env.guard('app.nulls', 'tenant')$$, '23502', '', 'guard(): NULL', 'nulls');
UPDATE app.nulls SET tenant = 'nowhere';
SELECT pg_temp.try($$SELECT instance_env.guard('app.nulls', 'tenant')$$, '23I03', 'instance_env_known_instance', 'guard(): unknown instance', 'nulls');
CREATE TABLE app.twice (id text, tenant text);
INSERT INTO app.twice VALUES ('u1', 'dev'), ('u1', 'dev2');
SELECT pg_temp.try($$SELECT instance_env.guard('app.twice', 'tenant', 'id')$$, '23I02', 'instance_env_no_transfer',
	'guard(): a user in two instances', 'twice');

-- errors that concern no row of a table
SELECT is((SELECT state FROM pg_temp.diagnostics(
	$$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$)), '55I01', 'promotion blocked');
SELECT is((SELECT state FROM pg_temp.diagnostics(
	$$SELECT instance_env.associate_domain(instance_env.instance_id('shop', 'production'), 'x')$$)), '22I01',
	'invalid domain');
SELECT is((SELECT state FROM pg_temp.diagnostics(
	$$SELECT instance_env.suspend_instance('00000000-0000-0000-0000-000000000000')$$)), '23I03', 'unknown instance');

-- No message tells a role what row-level security or column rights keep from it: the
-- other instance's name and key of the row that is in the way.
CREATE ROLE instance_env_backend;
GRANT USAGE ON SCHEMA app TO instance_env_backend;
GRANT INSERT ON app.moving TO instance_env_backend;
CREATE FUNCTION pg_temp.message(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text;
BEGIN
	SET LOCAL ROLE instance_env_backend;
	EXECUTE command;
	RESET ROLE;
	RETURN '';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', message, detail, hint);
END $$;
SELECT unalike(pg_temp.message($$INSERT INTO app.moving VALUES ('u1', 'dev2')$$), '%"dev"%',
	'a role that may not read the table does not learn where the user lives');
SELECT unalike(pg_temp.message($$INSERT INTO app.moving VALUES ('u1', 'dev2')$$),
	'%' || instance_env.instance_id('shop', 'development') || '%', 'nor by its id');

SELECT * FROM finish();
ROLLBACK;
