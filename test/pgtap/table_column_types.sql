-- The instance column as uuid, text, varchar or a domain over them, nullable or not,
-- with and without an index that can be used
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(451);

CREATE SCHEMA app;
CREATE DOMAIN app.tenant AS uuid NOT NULL;
CREATE DOMAIN app.tenant_of_tenant AS app.tenant CHECK (value <> '00000000-0000-0000-0000-000000000000');
CREATE DOMAIN app.name AS text CHECK (value <> '');
CREATE DOMAIN app.short AS varchar(40);
CREATE COLLATION app.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- External keys equal to the ids, so that the same texts serve every type.
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('blog', development_id => 'd0000000-0000-4000-8000-000000000002') \gset
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 2) \gset

CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.insert(who integer, instance text) RETURNS text LANGUAGE sql AS
$$SELECT pg_temp.outcome(format('INSERT INTO app.users VALUES (%L, %L)', who, instance))$$;

CREATE FUNCTION pg_temp.try(what text, column_type text, extra text DEFAULT NULL) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	dev constant text := 'd0000000-0000-4000-8000-000000000001';
	dev2 constant text := 'd0000000-0000-4000-8000-000000000002';
	prod constant text := 'a0000000-0000-4000-8000-000000000001';
	nowhere constant text := 'd0000000-0000-4000-8000-000000000009';
BEGIN
	EXECUTE format('CREATE TABLE app.users (id integer, instance_id %s, n integer DEFAULT 0)', column_type);
	EXECUTE coalesce(extra, 'SELECT 1');
	RETURN NEXT is(pg_temp.outcome($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$), 'ok', what || ': guard()');
	RETURN NEXT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass), true,
				   what || ': whole');
	RETURN NEXT is(pg_temp.insert(1, dev), 'ok', what || ': first');
	RETURN NEXT is(pg_temp.insert(2, dev), 'ok', what || ': second');
	RETURN NEXT is(pg_temp.insert(3, dev), '23I01', what || ': third');
	RETURN NEXT is(pg_temp.insert(4, dev2), 'ok', what || ': another instance');
	RETURN NEXT is(pg_temp.insert(1, dev2), '23I02', what || ': a user of another instance');
	RETURN NEXT is(pg_temp.insert(5, nowhere), '23I03', what || ': unknown instance');
	RETURN NEXT is(pg_temp.insert(5, prod), '23I04', what || ': inactive instance');
	RETURN NEXT is(pg_temp.insert(5, NULL), '23502', what || ': NULL');
	RETURN NEXT is(pg_temp.outcome(format('UPDATE app.users SET instance_id = %L WHERE id = 1', dev2)), '23I02',
				   what || ': transfer');
	RETURN NEXT is(pg_temp.outcome('UPDATE app.users SET instance_id = instance_id, n = 1'), 'ok', what || ': no transfer');
	DELETE FROM app.users WHERE id = 1;
	RETURN NEXT is(pg_temp.insert(1, dev2), '23I02', what || ': return elsewhere');
	RETURN NEXT is(pg_temp.insert(1, dev), 'ok', what || ': return');
	RETURN NEXT is(pg_temp.insert(6, dev), '23I01', what || ': full');
	DROP TABLE app.users;
	PERFORM instance_env.forget_departed('infinity');
END $$;

SELECT pg_temp.try('uuid', 'uuid');
SELECT pg_temp.try('uuid, not null', 'uuid NOT NULL');
SELECT pg_temp.try('text', 'text');
SELECT pg_temp.try('text, not null', 'text NOT NULL');
SELECT pg_temp.try('varchar', 'varchar');
SELECT pg_temp.try('varchar(36)', 'varchar(36)');
SELECT pg_temp.try('domain over uuid', 'app.tenant');
SELECT pg_temp.try('domain over domain over uuid', 'app.tenant_of_tenant');
SELECT pg_temp.try('domain over text', 'app.name');
SELECT pg_temp.try('domain over varchar', 'app.short');
SELECT pg_temp.try('text, other collation', 'text COLLATE "C"');

-- indexes that exist already
SELECT pg_temp.try('uuid, index', 'uuid', 'CREATE INDEX ON app.users (instance_id)');
SELECT pg_temp.try('uuid, descending index', 'uuid', 'CREATE INDEX ON app.users (instance_id DESC NULLS LAST)');
SELECT pg_temp.try('uuid, first column of an index', 'uuid', 'CREATE UNIQUE INDEX ON app.users (instance_id, id)');
SELECT pg_temp.try('uuid, second column of an index', 'uuid', 'CREATE INDEX ON app.users (id, instance_id)');
SELECT pg_temp.try('uuid, hash index', 'uuid', 'CREATE INDEX ON app.users USING hash (instance_id)');
SELECT pg_temp.try('uuid, BRIN index', 'uuid', 'CREATE INDEX ON app.users USING brin (instance_id)');
SELECT pg_temp.try('uuid, partial index', 'uuid', 'CREATE INDEX ON app.users (instance_id) WHERE n > 5');
SELECT pg_temp.try('uuid, index on an expression', 'uuid', 'CREATE INDEX ON app.users ((instance_id::text))');
SELECT pg_temp.try('uuid, included in an index', 'uuid', 'CREATE INDEX ON app.users (n) INCLUDE (instance_id)');
SELECT pg_temp.try('text, index', 'text', 'CREATE INDEX ON app.users (instance_id)');
SELECT pg_temp.try('varchar, index', 'varchar', 'CREATE INDEX ON app.users (instance_id)');
SELECT pg_temp.try('text, index by pattern', 'text', 'CREATE INDEX ON app.users (instance_id text_pattern_ops)');
SELECT pg_temp.try('text, index in another collation', 'text', 'CREATE INDEX ON app.users (instance_id COLLATE "C")');
SELECT pg_temp.try('text, index that ignores case', 'text',
	'CREATE INDEX ON app.users (instance_id COLLATE app.caseless)');
SELECT pg_temp.try('domain, index', 'app.tenant', 'CREATE INDEX ON app.users (instance_id)');
SELECT pg_temp.try('key with a partial unique index', 'uuid', 'CREATE UNIQUE INDEX ON app.users (id) WHERE n > 5');
SELECT pg_temp.try('key with a unique index of an expression', 'uuid',
	'CREATE UNIQUE INDEX ON app.users (id, (n + 1), instance_id)');
SELECT pg_temp.try('key with a hash index', 'uuid', 'CREATE INDEX ON app.users USING hash (id)');
SELECT pg_temp.try('key with a deferrable unique constraint', 'uuid',
	'ALTER TABLE app.users ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED');

-- External keys are compared byte by byte, which such a collation does not.
CREATE TABLE app.caseless_users (id integer PRIMARY KEY, instance_id text COLLATE app.caseless);
SELECT throws_ok($$SELECT instance_env.guard('app.caseless_users')$$, '0A000', NULL,
	'an instance column whose collation ignores case is refused');

SELECT * FROM finish();
ROLLBACK;
