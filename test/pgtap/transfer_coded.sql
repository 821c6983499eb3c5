-- Users who are followed by coded ids: whichever way an id arrives, it is of its row's instance.
-- Tried by a role that may only insert, or only write; what counts is what is in the table.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(166);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', 'pro', development_id => '00000000-0000-4000-8000-00000000000d', development_key => '7',
	production_id => '00000000-0000-4000-8000-00000000000e', production_key => '8') \gset
SELECT instance_env.create_application('blog', 'pro', development_id => '00000000-0000-4000-8000-00000000001d', development_key => '17',
	production_id => '00000000-0000-4000-8000-00000000001e', production_key => '18') \gset
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
CREATE ROLE instance_env_inserter;
CREATE ROLE instance_env_writer;
GRANT USAGE ON SCHEMA app, instance_env TO instance_env_inserter, instance_env_writer;
\ir ../include/outcome.sql
\ir ../include/coded_id.sql
\set dev '''00000000-0000-4000-8000-00000000000d'''
\set prod '''00000000-0000-4000-8000-00000000000e'''
\set dev2 '''00000000-0000-4000-8000-00000000001d'''
\set prod2 '''00000000-0000-4000-8000-00000000001e'''

-- :kind is the type of the instance column, :is the instances as rows name them
CREATE FUNCTION pg_temp.strays(relation regclass, column_type text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s u LEFT JOIN instance_env.instance i ON %s
		WHERE u.id IS NOT NULL AND substr(uuid_send(u.id), 12) IS DISTINCT FROM i.code AND u.id::text !~ ''^ffff''', relation,
		CASE column_type WHEN 'uuid' THEN 'i.id = u.instance_id' ELSE 'i.external_key = trim(u.instance_id::text)' END) INTO result;
	RETURN result;
END $$;

CREATE FUNCTION pg_temp.try(column_type text, counted boolean) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	here text := '00000000-0000-4000-8000-00000000000e';
	there text := '00000000-0000-4000-8000-00000000001e';
	mine uuid[] := array(SELECT pg_temp.coded(here::uuid, n) FROM generate_series(1, 20) n);
	theirs uuid[] := array(SELECT pg_temp.coded(there::uuid, n) FROM generate_series(1, 20) n);
	what text := column_type || CASE WHEN counted THEN ', counted: ' ELSE ', not counted: ' END;
BEGIN
	IF column_type <> 'uuid' THEN
		here := '8';
		there := '18';
	END IF;
	EXECUTE format('CREATE TABLE app.users (gone text, id uuid UNIQUE, instance_id %s, name text)', column_type);
	ALTER TABLE app.users DROP gone;
	EXECUTE format('INSERT INTO app.users VALUES (''ffff0000-0000-4000-8000-000000000001'', %L), (''ffff0000-0000-8000-8000-000000000002'', %L)', here, there);
	PERFORM instance_env.guard('app.users', user_key => 'id', counted => counted, coded => true);
	GRANT INSERT ON app.users TO instance_env_inserter;
	GRANT SELECT, INSERT, UPDATE, DELETE ON app.users TO instance_env_writer;

	RETURN NEXT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.users VALUES (%L, %L)', mine[1], here)), 'ok', what || 'an id of its own');
	RETURN NEXT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.users VALUES (%L, %L)', theirs[1], here)), '23I02', what || 'another''s');
	RETURN NEXT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.users VALUES (%L, %L)', mine[2], there)), '23I02', what || 'the other way round');
	RETURN NEXT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.users VALUES (gen_random_uuid(), %L)', here)), '23I02', what || 'nobody''s');
	RETURN NEXT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.users VALUES (NULL, %L)', here)), 'ok', what || 'no id');
	RETURN NEXT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.users VALUES (%L, %L), (%L, %L)', mine[2], here, theirs[2], here)), '23I02', what || 'one of several');
	RETURN NEXT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.users SELECT id, %L FROM unnest(%L::uuid[]) id', here, theirs)), '23I02', what || 'INSERT SELECT');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('INSERT INTO app.users VALUES (%L, %L) ON CONFLICT (id) DO UPDATE SET id = %L', mine[1], here, theirs[3])),
		'23I02', what || 'ON CONFLICT DO UPDATE SET id');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('INSERT INTO app.users VALUES (%L, %L) ON CONFLICT (id) DO UPDATE SET name = ''x''', mine[1], there)),
		'ok', what || 'ON CONFLICT DO UPDATE of something else, where the row stays');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('MERGE INTO app.users u USING (VALUES (%L::uuid)) v (id) ON u.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, %L)',
		theirs[4], here)), '23I02', what || 'MERGE: INSERT');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('MERGE INTO app.users u USING (VALUES (%L::uuid)) v (id) ON u.id = v.id WHEN MATCHED THEN UPDATE SET id = %L',
		mine[1], theirs[4])), '23I02', what || 'MERGE: UPDATE');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.users SET id = %L WHERE id = %L', theirs[5], mine[1])), '23I02', what || 'UPDATE of the id');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.users SET id = %L WHERE id IS NULL', theirs[5])), '23I02', what || 'UPDATE of null');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.users SET id = %L WHERE id IS NULL', mine[5])), 'ok', what || 'UPDATE of null to an id of its own');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.users SET instance_id = %L WHERE id = %L', there, mine[1])), '23I02', what || 'UPDATE of the instance');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.users SET id = %L, instance_id = %L WHERE id = %L', theirs[5], there, mine[1])), '23I02', what || 'UPDATE of both');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', $q$UPDATE app.users SET name = 'old' WHERE id::text ~ '^ffff'$q$), 'ok', what || 'UPDATE of rows with old ids');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.users SET id = %L WHERE id::text ~ ''^ffff0000-0000-4''', mine[6])), 'ok', what || 'a new id for an old one');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.users SET id = ''ffff0000-0000-4000-8000-000000000001'' WHERE id = %L', mine[6])), '23I02', what || 'not the other way');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format($q$DELETE FROM app.users WHERE id::text ~ '^ffff'; INSERT INTO app.users VALUES ('ffff0000-0000-8000-8000-000000000002', %L)$q$, there)),
		'23I02', what || 'who was deleted under an old one');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('DELETE FROM app.users WHERE id = %L; INSERT INTO app.users VALUES (%1$L, %L)', mine[1], there)), '23I02', what || 'deleted, elsewhere');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('WITH d AS (DELETE FROM app.users WHERE id = %L RETURNING id) INSERT INTO app.users SELECT id, %L FROM d', mine[1], there)),
		'23I02', what || 'in one statement');
	RETURN NEXT is(pg_temp.outcome('instance_env_writer', format('DELETE FROM app.users WHERE id = %L; INSERT INTO app.users VALUES (%1$L, %L)', mine[1], here)), 'ok', what || 'and returns');
	RETURN NEXT is(pg_temp.strays('app.users', column_type), 0::bigint, what || 'nobody is elsewhere');
	RETURN NEXT is((SELECT count(*) FROM instance_env.departed_user), 0::bigint, what || 'nothing is recorded');
	SET LOCAL instance_env.allow_destructive = on;
	DROP TABLE app.users;
	RESET instance_env.allow_destructive;
END $$;
SELECT pg_temp.try('uuid', true);
SELECT pg_temp.try('text', false);
SELECT pg_temp.try('bigint', true);
SELECT pg_temp.try('uuid', false);
SELECT pg_temp.try('char(5)', true);

-- development: at its cap, in the queue, and with the bound; the id is looked at, whatever the seat
CREATE TABLE app.users (id uuid PRIMARY KEY, instance_id uuid);
SELECT instance_env.set_user_cap(:dev, 3) \gset
SELECT count(*) FROM instance_env.guard('app.users', coded => true) \gset
GRANT SELECT, INSERT, UPDATE, DELETE ON app.users TO instance_env_writer;
GRANT INSERT ON app.users TO instance_env_inserter;
CREATE FUNCTION pg_temp.add(instance uuid, home uuid, VARIADIC numbers integer[]) RETURNS text LANGUAGE sql AS $$
	SELECT 'INSERT INTO app.users VALUES ' || string_agg(format('(%L, %L)', pg_temp.coded(home, n), instance), ', ') FROM unnest(numbers) n
$$;
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:dev, :dev, 1, 2)), 'ok', 'development: two');
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:dev, :dev2, 3)), '23I02', 'development: another''s');
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:dev, :dev, 3, 4)), '23I01', 'development: too many');
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:dev, :dev, 3)), 'ok', 'development: the third');
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:dev, :dev, 4)), '23I01', 'development: the fourth');
SELECT is(pg_temp.outcome('instance_env_writer', $$DELETE FROM app.users WHERE id = (SELECT min(id::text)::uuid FROM app.users)$$), 'ok', 'development: a seat is free');
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:dev, :dev, 4)), 'ok', 'development: and taken');
SELECT is((SELECT count(*)::integer FROM app.users), 3, 'development: three');
SELECT instance_env.suspend_instance(:prod) \gset
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:prod, :prod, 1)), '23I04', 'a suspended instance comes first');
SELECT is(pg_temp.outcome('instance_env_writer', $$UPDATE app.users SET id = gen_random_uuid()$$), '23I02', 'UPDATE of the id in development');
SELECT instance_env.resume_instance(:prod) \gset
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:prod, :prod, 1)), 'ok', 'resumed');
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(gen_random_uuid(), :prod, 2)), '23I03', 'an unknown instance');
SELECT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.users VALUES (%L, NULL)', pg_temp.coded(:prod, 2))), '23502', 'no instance');

-- triggers of the table's owner that change the row before, or after
CREATE FUNCTION app.give_away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.instance_id := '00000000-0000-4000-8000-00000000001e'; RETURN NEW; END $$;
CREATE FUNCTION app.rename() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := gen_random_uuid(); RETURN NEW; END $$;
CREATE FUNCTION app.change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() = 1 THEN UPDATE app.users SET id = gen_random_uuid() WHERE id = NEW.id; END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER zzz BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.give_away();
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:prod, :prod, 5)), '23I02', 'BEFORE INSERT: another instance');
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:prod, :prod2, 5)), 'ok', 'BEFORE INSERT: that of the id');
DROP TRIGGER zzz ON app.users;
CREATE TRIGGER zzz BEFORE INSERT OR UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.rename();
SELECT is(pg_temp.outcome('instance_env_inserter', pg_temp.add(:prod, :prod, 6)), '23I02', 'BEFORE INSERT: another id');
SELECT is(pg_temp.outcome('instance_env_writer', 'UPDATE app.users SET id = id'), '23I02', 'BEFORE UPDATE: another id');
DROP TRIGGER zzz ON app.users;
CREATE TRIGGER aaa AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.change();
SELECT is(pg_temp.outcome('instance_env_writer', pg_temp.add(:prod, :prod, 6)), '23I02', 'AFTER INSERT, before ours: another id');
ALTER TRIGGER aaa ON app.users RENAME TO zzz;
SELECT is(pg_temp.outcome('instance_env_writer', pg_temp.add(:prod, :prod, 6)), '23I02', 'AFTER INSERT, after ours: another id');
DROP TRIGGER zzz ON app.users;
-- a trigger that deletes or mends the row before ours fires: the id has arrived all the same
CREATE FUNCTION app.hide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM app.users WHERE id = NEW.id; RETURN NULL; END $$;
CREATE TRIGGER aaa AFTER INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.hide();
SELECT is(pg_temp.outcome('instance_env_writer', pg_temp.add(:prod, :prod2, 6)), '23I02', 'AFTER INSERT: gone before we look');
DROP TRIGGER aaa ON app.users;

-- views and rules
CREATE VIEW app.people AS SELECT id, instance_id FROM app.users;
CREATE VIEW app.ruled AS SELECT id, instance_id FROM app.users;
CREATE RULE ins AS ON INSERT TO app.ruled DO INSTEAD INSERT INTO app.users VALUES (NEW.id, '00000000-0000-4000-8000-00000000001e');
GRANT INSERT ON app.people, app.ruled TO instance_env_inserter;
SELECT is(pg_temp.outcome('instance_env_inserter', replace(pg_temp.add(:prod, :prod2, 7), 'users', 'people')), '23I02', 'through a view');
SELECT is(pg_temp.outcome('instance_env_inserter', replace(pg_temp.add(:prod, :prod, 7), 'users', 'ruled')), '23I02', 'by a rule');

-- a savepoint that is rolled back takes nothing of the rule with it; prepared statements; a cached plan
SELECT is(pg_temp.outcome('instance_env_writer', format('DO %L', format($$BEGIN
	FOR i IN 1 .. 3 LOOP
		BEGIN
			%s;
			RAISE 'back' USING ERRCODE = '22000';
		EXCEPTION WHEN data_exception THEN NULL;
		END;
	END LOOP;
	%s;
END$$, pg_temp.add(:prod, :prod, 8), pg_temp.add(:prod, :prod2, 8)))), '23I02', 'after subtransactions that were rolled back');
PREPARE add_user (uuid, uuid) AS INSERT INTO app.users VALUES ($1, $2);
SELECT is(pg_temp.outcome('instance_env_inserter', format('EXECUTE add_user(%L, %L)', pg_temp.coded(:prod, 100 + n), :prod)), 'ok', 'prepared') FROM generate_series(1, 7) n;
SELECT is(pg_temp.outcome('instance_env_inserter', format('EXECUTE add_user(%L, %L)', pg_temp.coded(:prod, 9), :prod2)), '23I02', 'prepared: another''s');

-- a temporary table of the same name, and one that is guarded
SELECT is(pg_temp.outcome('instance_env_inserter', format('SET LOCAL search_path = pg_temp, app; CREATE TEMP TABLE users (id uuid, instance_id uuid); %s',
	pg_temp.add(:prod, :prod2, 10))), '23I02', 'a temporary table of that name');
SELECT is(pg_temp.outcome('instance_env_inserter', 'SET LOCAL session_replication_role = replica'), '42501', 'nobody plays replication');

-- who may insert can call the conditions, and learns nothing
SELECT is(pg_temp.outcome('instance_env_inserter', format($$DO %L$$, format($$BEGIN
	IF NOT instance_env.admission_required(%L::uuid, 'app.users'::regclass::oid, %L::uuid) THEN RAISE 'told'; END IF;
	IF NOT instance_env.admission_required(%1$L::uuid, 'app.users'::regclass::oid, %3$L::uuid) THEN RAISE 'told'; END IF;
END$$, :prod, pg_temp.coded(:prod, 1), pg_temp.coded(:prod2, 1)))), 'ok', 'the condition, called directly');
DELETE FROM app.users;

-- generated ids
CREATE TABLE app.made (seed uuid NOT NULL, instance_id uuid NOT NULL,
	id uuid GENERATED ALWAYS AS (encode(substr(uuid_send(seed), 1, 11) || substr(sha256(uuid_send(instance_id)), 1, 5), 'hex')::uuid) STORED PRIMARY KEY);
SELECT count(*) FROM instance_env.guard('app.made', coded => true) \gset
GRANT INSERT ON app.made TO instance_env_inserter;
GRANT SELECT, UPDATE ON app.made TO instance_env_writer;
SELECT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.made VALUES (%L, %L)', pg_temp.coded(:prod2, 1), :prod)), 'ok', 'generated: always of its instance');
SELECT is(pg_temp.outcome('instance_env_inserter', format('INSERT INTO app.made VALUES (gen_random_uuid(), %L)', :prod)), '23I02', 'generated: from a seed of another form');
SELECT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.made SET seed = %L', pg_temp.coded(:prod2, 2))), 'ok', 'generated: from another seed');
SELECT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.made SET instance_id = %L', :prod2)), '23I02', 'generated: under another instance');

-- foreign keys that change the id
CREATE TABLE app.accounts (id uuid PRIMARY KEY);
CREATE TABLE app.persons (id uuid REFERENCES app.accounts ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, instance_id text);
SELECT count(*) FROM instance_env.guard('app.persons', user_key => 'id', coded => true) \gset
INSERT INTO app.accounts SELECT pg_temp.coded(:prod, n) FROM generate_series(1, 2) n;
INSERT INTO app.persons VALUES (pg_temp.coded(:prod, 1), '8'), (pg_temp.coded(:prod, 2), '8');
SET CONSTRAINTS ALL IMMEDIATE;
GRANT SELECT, UPDATE, DELETE ON app.accounts TO instance_env_writer;
SELECT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.accounts SET id = %L WHERE id = %L', pg_temp.coded(:prod2, 1), pg_temp.coded(:prod, 1))), '23I02', 'ON UPDATE CASCADE');
SELECT is(pg_temp.outcome('instance_env_writer', format('UPDATE app.accounts SET id = %L WHERE id = %L', pg_temp.coded(:prod, 3), pg_temp.coded(:prod, 1))), 'ok', 'ON UPDATE CASCADE to one of its own');
SELECT is(pg_temp.outcome('instance_env_writer', format('DELETE FROM app.accounts WHERE id = %L', pg_temp.coded(:prod, 2))), 'ok', 'ON DELETE SET NULL');

SELECT * FROM finish();
ROLLBACK;
