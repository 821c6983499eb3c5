-- Names that need quotes: in SQL that is built, in errors, and in what is found again
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(172);

SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset

-- each: schema, table, instance column, key column
CREATE TEMP TABLE cases (schema_name text, table_name text, instance_column text, key_column text);
INSERT INTO cases VALUES
	('app', 'user', 'instanceId', 'userId'),
	('My App', 'The Users', 'the instance', 'the key'),
	('app"quote', 'us"er', 'in"stance', 'k"ey'),
	('app''s', 'user''s', 'instance''s', 'key''s'),
	('SELECT', 'table', 'when', 'new'),
	('größe', 'ユーザー', 'экземпляр', 'clé'),
	(E'back\\slash', E'tab\\t', E'\\n', E'\\\\'),
	('per%cent', '%s', '%I', '%1$s'),
	('dollar$$', '$$', '$1', '$q$'),
	('dot.ted', 'a.b', 'c.d', 'e.f'),
	(E'new\nline', E'\n', E'\t', E' '),
	(repeat('s', 63), repeat('t', 63), repeat('i', 63), repeat('k', 63)),
	(repeat('ß', 31), repeat('ü', 31), repeat('ä', 31), repeat('ö', 31));

CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	s text; t text; c text; n text;
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS s = SCHEMA_NAME, t = TABLE_NAME, c = COLUMN_NAME, n = CONSTRAINT_NAME;
	RETURN concat_ws(' ', SQLSTATE, nullif(quote_ident(s), '""'), nullif(quote_ident(t), '""'),
					 nullif(quote_ident(c), '""'), nullif(n, ''));
END $$;

CREATE FUNCTION pg_temp.try(cases) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	rel text := format('%I.%I', $1.schema_name, $1.table_name);
	who text := format('%I %I %I ', $1.schema_name, $1.table_name, $1.instance_column);
BEGIN
	EXECUTE format('CREATE SCHEMA %I', $1.schema_name);
	EXECUTE format('CREATE TABLE %s (%I text PRIMARY KEY, %I text, n integer)', rel, $1.key_column,
				   $1.instance_column);
	RETURN NEXT is(pg_temp.outcome(format('SELECT instance_env.guard(%L, %L)', rel, $1.instance_column)),
				   'ok', rel || ': guard()');
	RETURN NEXT is((SELECT (instance_column, user_key, whole)::text FROM instance_env.guards
					WHERE relation = rel::regclass),
				   ($1.instance_column, $1.key_column, true)::text, rel || ': listed');
	RETURN NEXT is(pg_temp.outcome(format('INSERT INTO %s VALUES (''u1'', ''dev''), (''u2'', ''dev'')', rel)),
				   'ok', rel || ': INSERT');
	RETURN NEXT is(pg_temp.outcome(format('INSERT INTO %s VALUES (''u3'', ''dev'')', rel)),
				   '23I01 ' || who || 'instance_env_user_cap', rel || ': the cap');
	RETURN NEXT is(pg_temp.outcome(format('UPDATE %s SET %I = ''dev2''', rel, $1.instance_column)),
				   '23I02 ' || who || 'instance_env_no_transfer', rel || ': no transfer');
	RETURN NEXT is(pg_temp.outcome(format('DELETE FROM %s', rel)), 'ok', rel || ': DELETE');
	RETURN NEXT is(pg_temp.outcome(format('INSERT INTO %s VALUES (''u1'', ''dev2'')', rel)),
				   '23I02 ' || who || 'instance_env_no_transfer', rel || ': no return elsewhere');
	RETURN NEXT is(pg_temp.outcome(format('INSERT INTO %s VALUES (''u1'', ''dev'')', rel)), 'ok', rel || ': return');
	RETURN NEXT is(pg_temp.outcome(format('TRUNCATE %s', rel)), 'ok', rel || ': TRUNCATE');
	RETURN NEXT is(pg_temp.outcome(format('INSERT INTO %s VALUES (''u1'', ''nowhere'')', rel)),
				   '23I03 ' || who || 'instance_env_known_instance', rel || ': unknown instance');
	RETURN NEXT is(pg_temp.outcome(format('SELECT instance_env.unguard(%L)', rel)), 'ok', rel || ': unguard()');
	RETURN NEXT is(pg_temp.outcome(format('INSERT INTO %s VALUES (''u1'', ''nowhere'')', rel)), 'ok',
				   rel || ': no longer guarded');
END $$;

SELECT pg_temp.try(c) FROM cases c;

-- names in the arguments of functions
SELECT lives_ok(format('SELECT instance_env.create_application(%L, development_key => %L)', n, 'key ' || n),
	'application ' || quote_ident(n))
FROM unnest(ARRAY['O''Reilly', 'with "quotes"', '日本', ' leading', E'tab\t', '%s %n', E'\\\\', '$$']) n;
SELECT isnt(instance_env.instance_id(n, 'production'), NULL, 'found again: ' || quote_ident(n))
FROM unnest(ARRAY['O''Reilly', 'with "quotes"', '日本', ' leading', E'tab\t', '%s %n', E'\\\\', '$$']) n;

SELECT * FROM finish();
ROLLBACK;
