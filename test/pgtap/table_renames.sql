-- A guard stays with its table and columns, whatever these are called and wherever they
-- are, and reports the names of the day.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(174);

CREATE SCHEMA app;
CREATE SCHEMA other;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset

CREATE TABLE app.users (gone1 text, id text PRIMARY KEY, gone2 text, instance_id text, gone3 text, n integer);
ALTER TABLE app.users DROP gone1;
SELECT count(*) FROM instance_env.guard('app.users') \gset

CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	s text; t text; c text;
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS s = SCHEMA_NAME, t = TABLE_NAME, c = COLUMN_NAME;
	RETURN concat_ws(' ', SQLSTATE, concat_ws('.', s, t, c));
END $$;

-- fills the table, tries each rule, and leaves it empty but for ann, who belongs to dev
CREATE FUNCTION pg_temp.try(what text, rel text, instance text, key text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	ins text := format('INSERT INTO %s (%I, %I) VALUES ', rel, key, instance);
	who text := rel || '.' || instance;
BEGIN
	RETURN NEXT is(pg_temp.outcome(ins || $q$('ann', 'dev'), ('bob', 'dev')$q$), 'ok', what || ': INSERT');
	RETURN NEXT is(pg_temp.outcome(ins || $q$('cleo', 'dev')$q$), '23I01 ' || who, what || ': the cap');
	RETURN NEXT is(pg_temp.outcome(ins || $q$('cleo', 'nowhere')$q$), '23I03 ' || who, what || ': unknown instance');
	RETURN NEXT is(pg_temp.outcome(format('UPDATE %s SET %I = %L', rel, instance, 'dev2')), '23I02 ' || who,
				   what || ': transfer');
	RETURN NEXT is(pg_temp.outcome(format('UPDATE %s SET n = 1', rel)), 'ok', what || ': UPDATE');
	RETURN NEXT is(pg_temp.outcome(format('DELETE FROM %s WHERE %I = %L', rel, key, 'ann')), 'ok',
				   what || ': DELETE');
	RETURN NEXT is(pg_temp.outcome(ins || $q$('ann', 'dev2')$q$), '23I02 ' || who, what || ': return elsewhere');
	RETURN NEXT is(pg_temp.outcome(ins || $q$('ann', 'dev')$q$), 'ok', what || ': return');
	RETURN NEXT is(pg_temp.outcome(format('TRUNCATE %s', rel)), 'ok', what || ': TRUNCATE');
	RETURN NEXT is(pg_temp.outcome(ins || $q$('bob', 'dev2')$q$), '23I02 ' || who, what || ': return elsewhere after TRUNCATE');
	RETURN NEXT is((SELECT (g.instance_column, g.user_key, g.whole)::text FROM instance_env.guards g
					WHERE g.relation = rel::regclass),
				   (instance, key, true)::text, what || ': listed');
	RETURN NEXT is(pg_temp.outcome(format('SELECT instance_env.guard(%L, %L)', rel, instance)), 'ok',
				   what || ': guard() again');
END $$;

SELECT pg_temp.try('as it was', 'app.users', 'instance_id', 'id');
ALTER TABLE app.users RENAME instance_id TO tenant;
SELECT pg_temp.try('instance column renamed', 'app.users', 'tenant', 'id');
ALTER TABLE app.users RENAME id TO login;
SELECT pg_temp.try('key renamed', 'app.users', 'tenant', 'login');
ALTER TABLE app.users RENAME tenant TO x;
ALTER TABLE app.users RENAME login TO tenant;
ALTER TABLE app.users RENAME x TO login;
SELECT pg_temp.try('names exchanged', 'app.users', 'login', 'tenant');
ALTER TABLE app.users RENAME TO people;
SELECT pg_temp.try('table renamed', 'app.people', 'login', 'tenant');
ALTER SCHEMA app RENAME TO application;
SELECT pg_temp.try('schema renamed', 'application.people', 'login', 'tenant');
ALTER TABLE application.people SET SCHEMA other;
SELECT pg_temp.try('moved to another schema', 'other.people', 'login', 'tenant');
ALTER TABLE other.people DROP gone2, DROP gone3;
SELECT pg_temp.try('columns dropped', 'other.people', 'login', 'tenant');
ALTER TABLE other.people ADD more text DEFAULT 'x', ADD again integer;
SELECT pg_temp.try('columns added', 'other.people', 'login', 'tenant');
ALTER TABLE other.people ALTER n TYPE text;
SELECT pg_temp.try('rewritten', 'other.people', 'login', 'tenant');
CLUSTER other.people USING users_pkey;
SELECT pg_temp.try('clustered', 'other.people', 'login', 'tenant');
ALTER TABLE other.people SET UNLOGGED;
SELECT is((SELECT g.problems FROM instance_env.guards g WHERE g.relation = 'other.people'::regclass),
	'{"the table is unlogged: after a crash its users are no longer known"}', 'unlogged: guards says so');
ALTER TABLE other.people SET LOGGED;
SELECT pg_temp.try('unlogged for a while', 'other.people', 'login', 'tenant');
ALTER TABLE other.people RENAME CONSTRAINT users_pkey TO k;
SELECT pg_temp.try('primary key renamed', 'other.people', 'login', 'tenant');

-- A new table of the old name is another table, and its users are others.
CREATE SCHEMA app;
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
SELECT is(pg_temp.outcome($$INSERT INTO app.users VALUES ('u1', 'nowhere')$$), 'ok', 'a new table of the old name');
SELECT is(pg_temp.outcome($$DELETE FROM app.users; SELECT instance_env.guard('app.users')$$), 'ok', 'can be guarded');
SELECT is(pg_temp.outcome($$INSERT INTO app.users VALUES ('ann', 'dev2')$$), 'ok', 'and has users of its own');
SELECT lives_ok($$DROP TABLE app.users$$, 'is dropped');

-- A type that cannot be guarded does not slip in behind the guard.
SELECT isnt(pg_temp.outcome($$ALTER TABLE other.people ALTER login TYPE bytea USING login::bytea$$), 'ok',
	'the instance column''s type cannot be changed');
SELECT isnt(pg_temp.outcome($$ALTER TABLE other.people ALTER tenant TYPE integer USING 1$$), 'ok',
	'nor can the key''s');
SELECT isnt(pg_temp.outcome($$ALTER TABLE other.people DROP login$$), 'ok', 'nor can the instance column be dropped');

-- without the indexes

DROP TABLE other.people;
CREATE TABLE app.users (id text, instance_id text, n integer);
SELECT count(*) FROM instance_env.guard('app.users', user_key => 'id') \gset
DO $$
DECLARE
	i regclass;
BEGIN
	FOR i IN SELECT indexrelid FROM pg_index WHERE indrelid = 'app.users'::regclass LOOP
		EXECUTE format('DROP INDEX %s', i);
	END LOOP;
END $$;
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass), false,
	'indexes dropped: guards says so');
SELECT count(*) FROM instance_env.guard('app.users', user_key => 'id') \gset
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass), true,
	'guard() again creates them');
DO $$
DECLARE
	i regclass;
BEGIN
	FOR i IN SELECT indexrelid FROM pg_index WHERE indrelid = 'app.users'::regclass LOOP
		EXECUTE format('DROP INDEX %s', i);
	END LOOP;
END $$;
INSERT INTO app.users VALUES ('u1', 'dev'), ('v1', 'dev2'), ('u2', 'dev');
SELECT is(pg_temp.outcome($$INSERT INTO app.users VALUES ('u3', 'dev')$$), '23I01 app.users.instance_id',
	'indexes dropped: the cap');
SELECT is(pg_temp.outcome($$INSERT INTO app.users VALUES ('u1', 'dev2')$$), '23I02 app.users.instance_id',
	'indexes dropped: living elsewhere');
SELECT is(pg_temp.outcome($$INSERT INTO app.users VALUES ('v2', 'dev2')$$), 'ok', 'indexes dropped: another instance');
SELECT is(pg_temp.outcome($$DELETE FROM app.users WHERE id = 'u1'; INSERT INTO app.users VALUES ('u4', 'dev')$$), 'ok',
	'indexes dropped: a seat freed and taken');
SELECT is(pg_temp.outcome($$INSERT INTO app.users VALUES ('u1', 'dev2')$$), '23I02 app.users.instance_id',
	'indexes dropped: departed');

-- triggers disabled, and enabled again
ALTER TABLE app.users DISABLE TRIGGER USER;
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass), false,
	'triggers disabled: guards says so');
INSERT INTO app.users VALUES ('u5', 'dev'), ('u6', 'dev');
ALTER TABLE app.users ENABLE TRIGGER USER;
SELECT is(pg_temp.outcome($$INSERT INTO app.users VALUES ('u7', 'dev')$$), '23I01 app.users.instance_id',
	'triggers enabled again: what came in between counts');
DELETE FROM app.users WHERE id IN ('u4', 'u5', 'u6');
SELECT is(pg_temp.outcome($$INSERT INTO app.users VALUES ('u7', 'dev')$$), 'ok', 'and can leave');

SELECT * FROM finish();
ROLLBACK;
