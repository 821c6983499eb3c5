-- rename_instance(): rows follow their instance to its new external key, and nothing else does
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(69);

CREATE SCHEMA app;
SELECT application_id AS app, development_id AS dev, production_id AS prod
FROM instance_env.create_application('shop', development_key => 'old', production_key => 'live') \gset
SELECT development_id AS dev2 FROM instance_env.create_application('blog', development_key => 'other') \gset
SELECT instance_env.adopt_application('shop') \gset
SELECT instance_env.set_user_cap(:'dev', 5) \gset

CREATE TABLE app.tenants (id varchar(21) PRIMARY KEY);
CREATE TABLE app.users (id text PRIMARY KEY, tenant varchar(21) NOT NULL REFERENCES app.tenants ON UPDATE CASCADE, note text);
CREATE TABLE app.sessions (id text PRIMARY KEY, tenant text NOT NULL);
CREATE TABLE app.parted (id text, tenant text, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
CREATE TABLE app.parted_old PARTITION OF app.parted FOR VALUES IN ('old');
CREATE TABLE app.parted_new PARTITION OF app.parted FOR VALUES IN ('new', 'newer');
CREATE TABLE app.parted_other PARTITION OF app.parted FOR VALUES IN ('other');
CREATE TABLE app.part (id text NOT NULL, tenant text NOT NULL);
CREATE TABLE app.by_id (id integer PRIMARY KEY, instance_id uuid);
INSERT INTO app.tenants VALUES ('old'), ('other'), ('live');
SELECT count(*) FROM instance_env.guard('app.users', 'tenant') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', 'tenant', 'id', counted => false) \gset
SELECT count(*) FROM instance_env.guard('app.parted', 'tenant', 'id') \gset
SELECT count(*) FROM instance_env.guard('app.by_id') \gset
INSERT INTO app.users SELECT 'u' || i, 'old' FROM generate_series(1, 5) i;
INSERT INTO app.users VALUES ('o1', 'other'), ('l1', 'live');
INSERT INTO app.sessions VALUES ('s1', 'old'), ('s2', 'other');
INSERT INTO app.parted SELECT 'p' || i, 'old' FROM generate_series(1, 5) i;

-- Runs commands as if in a transaction of their own that is rolled back.  What comes of it: the
-- result of the last query, or the number of the command that failed, and its SQLSTATE.
CREATE FUNCTION pg_temp.try(VARIADIC commands text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n integer := 0;
	command text;
	outcome text := 'ok';
BEGIN
	FOREACH command IN ARRAY commands LOOP
		n := n + 1;
		IF command LIKE 'SELECT%' THEN
			EXECUTE command INTO outcome;
		ELSE
			EXECUTE command;
			outcome := 'ok';
		END IF;
	END LOOP;
	RAISE SQLSTATE 'ZZZZZ';
EXCEPTION
	WHEN SQLSTATE 'ZZZZZ' THEN RETURN outcome;
	WHEN OTHERS THEN RETURN n || ': ' || SQLSTATE;
END $$;
-- The DETAIL and HINT of the last command
CREATE FUNCTION pg_temp.advice(VARIADIC commands text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	command text;
	detail text;
	hint text;
BEGIN
	FOREACH command IN ARRAY commands LOOP
		EXECUTE command;
	END LOOP;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', detail, hint);
END $$;
SELECT format('SELECT instance_env.rename_instance(%L, ''new'')', :'dev') AS rename \gset
SELECT $$UPDATE app.tenants SET id = 'new' WHERE id = 'old'$$ AS cascade \gset

-- arguments

SELECT is(pg_temp.try('SELECT instance_env.rename_instance(NULL, ''new'')'), '1: 22004', 'no instance');
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, NULL)', :'dev')), '1: 22004', 'no key');
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, '''')', :'dev')), '1: 22023', 'an empty key');
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, %L)', :'dev', repeat('x', 3000))), '1: 22023', 'a key that is too long');
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, ''new'')', :'app')), '1: 23I03', 'an unknown instance');
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, ''other'')', :'dev')), '1: 23505', 'a key that is taken');
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, ''old'')', :'dev'),
	$$SELECT count(*) FROM instance_env.events WHERE action = 'rename_instance'$$), '0', 'the key that it has');

-- who may

CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_migrator;
CREATE ROLE instance_env_admin;
SELECT instance_env.grant_backend('instance_env_backend') \gset
SELECT instance_env.grant_monitor('instance_env_monitor') \gset
SELECT instance_env.grant_guard('instance_env_migrator') \gset
SELECT instance_env.grant_admin('instance_env_admin') \gset
SELECT is(pg_temp.try('SET LOCAL ROLE ' || role, :'rename'), outcome, 'as ' || role)
FROM (VALUES ('instance_env_backend', '2: 42501'), ('instance_env_monitor', '2: 42501'), ('instance_env_migrator', '2: 42501'),
			 ('instance_env_admin', '')) AS r (role, outcome);

-- without it

SELECT is(pg_temp.try(:'cascade'), '1: 23I02', 'rows do not follow a key that nobody has renamed');
SELECT alike(pg_temp.advice(:'cascade'), '%rename_instance()%', 'and are told how');
SELECT unalike(pg_temp.advice($$UPDATE app.users SET tenant = 'other' WHERE tenant = 'old'$$), '%rename_instance()%',
	'but not if they would come into another instance');
SELECT is(pg_temp.try($$UPDATE instance_env.instance SET external_key = 'new' WHERE external_key = 'old'$$), '1: 55000',
	'not even a superuser renames an instance by UPDATE');
SELECT is(pg_temp.try($$INSERT INTO instance_env.instance (id, application, type, status, external_key, slug)
	SELECT id, application, type, status, external_key, slug FROM instance_env.instance WHERE external_key = 'old'
	ON CONFLICT (id) DO UPDATE SET external_key = 'new'$$), '1: 55000', 'nor by an upsert');
SELECT is(pg_temp.try(:'rename', $$UPDATE instance_env.instance SET external_key = 'newer' WHERE external_key = 'new'$$), '2: 55000',
	'nor after a rename');
SELECT is(pg_temp.try(:'rename', format('UPDATE instance_env.instance SET external_key = ''newer'' WHERE id = %L', :'dev2')), '2: 55000',
	'nor another one');
SELECT is(pg_temp.try('SET LOCAL session_replication_role = replica',
	$$UPDATE instance_env.instance SET external_key = 'new' WHERE external_key = 'old'$$), 'ok', 'but a subscriber applies it');

-- with it

SELECT is(pg_temp.try(:'rename', :'cascade', $$SELECT string_agg(tenant || ':' || n, ' ' ORDER BY tenant COLLATE "C")
	FROM (SELECT tenant, count(*) AS n FROM app.users GROUP BY 1) t$$), 'live:1 new:5 other:1', 'rows follow by their foreign key');
SELECT is(pg_temp.try(:'rename', $$UPDATE app.sessions SET tenant = 'new' WHERE tenant = 'old'$$), 'ok', 'or by an update of their own');
SELECT is(pg_temp.try(:'rename', :'cascade', 'SELECT count(*) FROM instance_env.departed_user'), count(*)::text, 'nobody departs by that')
FROM instance_env.departed_user;
SELECT is(pg_temp.try(:'rename', $$UPDATE app.parted SET tenant = 'new' WHERE tenant = 'old'$$,
	'SELECT count(*) FROM app.parted_new'), '5', 'or to another partition');
SELECT is(pg_temp.try(:'rename', $$UPDATE app.parted SET tenant = 'other' WHERE tenant = 'old'$$), '2: 23I02',
	'but not to another instance''s partition');
SELECT is(pg_temp.try(:'rename', $$UPDATE app.users SET tenant = 'other' WHERE tenant = 'old'$$), '2: 23I02', 'nor to another instance');
SELECT is(pg_temp.try(:'rename', $$UPDATE app.sessions SET tenant = 'new' WHERE tenant = 'other'$$), '2: 23I02', 'nor from another');
SELECT is(pg_temp.try(:'rename', :'cascade', $$UPDATE app.sessions SET tenant = 'old' WHERE tenant = 'new'$$,
	$$UPDATE app.users SET tenant = 'old' WHERE tenant = 'new'$$), '4: 23I02', 'nor back');
SELECT is(pg_temp.try(:'rename', format('SELECT (before, after)::text FROM instance_env.events WHERE action = %L', 'rename_instance')),
	$$("{""external_key"": ""old""}","{""external_key"": ""new""}")$$, 'it is in the log');
SELECT is(pg_temp.try(:'rename', 'SELECT instance_env.instance_by_key(''new'')'), :'dev', 'the new key names it');
SELECT is(pg_temp.try(:'rename', 'SELECT instance_env.instance_by_key(''old'')'), NULL, 'the old one does not');

SELECT unalike(pg_temp.advice(:'rename', $$UPDATE app.users SET tenant = 'other' WHERE tenant = 'old'$$), '%rename_instance()%',
	'who moves a row elsewhere meanwhile is not told to do what has been done');

-- more users than the cap

SELECT is(pg_temp.try(:'rename', $$INSERT INTO app.parted VALUES ('x', 'new')$$), '2: 55000', 'no new user before the rows follow');
SELECT is(pg_temp.try(:'rename', $$INSERT INTO app.parted SELECT 'x' || i, 'new' FROM generate_series(1, 100) i$$), '2: 55000', 'nor many');
SELECT is(pg_temp.try(:'rename', $$INSERT INTO app.parted VALUES ('x', 'old')$$), '2: 23I03', 'nor with the old key');
SELECT is(pg_temp.try(:'rename', :'cascade', $$DELETE FROM app.users WHERE id = 'u1'$$, $$INSERT INTO app.users VALUES ('u1', 'new')$$),
	'4: 55000', 'nor after it');
SELECT is(pg_temp.try(:'rename', $$INSERT INTO app.sessions VALUES ('x', 'new')$$), 'ok', 'other rows may come in');
SELECT is(pg_temp.try(:'rename', format('INSERT INTO app.by_id VALUES (1, %L)', :'dev')), 'ok', 'and users that are counted by the id');
SELECT is(pg_temp.try($$INSERT INTO app.part VALUES ('x1', 'newer'), ('x2', 'newer')$$,
	format('SELECT instance_env.rename_instance(%L, ''newer'')', :'dev'),
	$$ALTER TABLE app.parted DETACH PARTITION app.parted_new$$,
	$$ALTER TABLE app.parted ATTACH PARTITION app.part FOR VALUES IN ('newer')$$), '4: 55000', 'a partition brings none either');
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, ''life'')', :'prod'), $$INSERT INTO app.tenants VALUES ('life')$$,
	$$INSERT INTO app.users VALUES ('l2', 'life')$$), 'ok', 'an instance without a cap takes users');
SELECT is(pg_temp.try('ALTER TABLE app.sessions DISABLE TRIGGER USER', $$INSERT INTO app.sessions VALUES ('orphan', 'new')$$,
	'ALTER TABLE app.sessions ENABLE TRIGGER USER', :'rename'), '4: 55000', 'rows that have the new key already do not come into the instance');

-- what a rename that is undone leaves behind

CREATE FUNCTION pg_temp.undone(command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RAISE SQLSTATE 'YYYYY';
EXCEPTION WHEN SQLSTATE 'YYYYY' THEN NULL;
END $$;
SELECT is(pg_temp.try(format('SELECT pg_temp.undone(%L)', :'rename'), :'cascade'), '2: 23I02', 'undone: rows do not follow');
SELECT is(pg_temp.try(format('SELECT pg_temp.undone(%L)', :'rename'), $$INSERT INTO app.parted VALUES ('x', 'old')$$), '2: 23I01',
	'undone: the cap counts');
SELECT is(pg_temp.try(:'rename', format('SELECT pg_temp.undone(%L)', replace(:'rename', 'new', 'newer')), :'cascade'), 'ok',
	'the second one undone: rows follow the first');
SELECT is(pg_temp.try(:'rename', format('SELECT pg_temp.undone(%L)', replace(:'rename', 'new', 'newer')),
	$$UPDATE app.sessions SET tenant = 'newer' WHERE tenant = 'old'$$), '3: 23I02', 'and not the second');

-- a cursor, whose query is run where it is fetched from
SAVEPOINT before;
DECLARE late CURSOR FOR SELECT instance_env.rename_instance(i.id, 'new') FROM instance_env.instance i WHERE i.external_key = 'old';
SELECT is(pg_temp.try(:'cascade'), '1: 23I02', 'declared, not fetched from');
CREATE FUNCTION pg_temp.fetch() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	late refcursor := 'late';
BEGIN
	MOVE NEXT FROM late;
	RETURN 1;
END $$;
SELECT is(pg_temp.try('SELECT pg_temp.undone(''SELECT pg_temp.fetch()'')', :'cascade'), '2: 23I02', 'fetched from, and undone');

-- several renames

SELECT is(pg_temp.try(:'rename', replace(:'rename', 'new', 'newer'), $$UPDATE app.sessions SET tenant = 'newer' WHERE tenant = 'old'$$), 'ok',
	'twice: rows follow to the last key');
SELECT is(pg_temp.try(:'rename', replace(:'rename', 'new', 'newer'), $$UPDATE app.sessions SET tenant = 'new' WHERE tenant = 'old'$$), '3: 23I02',
	'twice: not to the first');
SELECT is(pg_temp.try(:'rename', $$UPDATE app.sessions SET tenant = 'new' WHERE tenant = 'old'$$, replace(:'rename', 'new', 'newer'),
	$$UPDATE app.sessions SET tenant = 'newer' WHERE tenant = 'new'$$), 'ok', 'twice: in two steps');
SELECT is(pg_temp.try(:'rename', $$UPDATE app.sessions SET tenant = 'new' WHERE tenant = 'old'$$, replace(:'rename', 'new', 'old'),
	$$UPDATE app.sessions SET tenant = 'old' WHERE tenant = 'new'$$), 'ok', 'there and back');
SELECT is(pg_temp.try(:'rename', format('SELECT instance_env.rename_instance(%L, ''old'')', :'dev2')), '2: 55000',
	'another instance does not get the old key');
SELECT is(pg_temp.try(:'rename', $$SELECT instance_env.create_application('x', development_key => 'old')$$), '2: 55000', 'nor does a new one');
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, ''new'')', :'dev2'),
	format('SELECT instance_env.rename_instance(%L, ''other'')', :'dev')), '2: 55000', 'so two do not swap theirs');

-- what judges an instance by its rows

SELECT is(pg_temp.try(:'rename', 'SELECT instance_env.drop_application(''shop'')'), '2: 55000', 'its application is not dropped');
SELECT is(pg_temp.try(format('SELECT instance_env.suspend_instance(%L)', :'prod'), :'rename',
	'SELECT instance_env.drop_application(''shop'')'), '3: 55000', 'nor once production is suspended');

SELECT production_id AS promoted FROM instance_env.create_application('wiki', production_key => 'wiki') \gset
SELECT instance_env.associate_domain(:'promoted', 'wiki.example.com') \gset
SELECT instance_env.verify_domain(:'promoted', 'wiki.example.com') \gset
SELECT count(*) FROM instance_env.promote('wiki') \gset
SELECT is(pg_temp.try(format('SELECT instance_env.rename_instance(%L, ''wiki-2'')', :'promoted'),
	'SELECT count(*) FROM instance_env.rollback_promotion(''wiki'')'), '2: 55000', 'nor is its promotion rolled back');
SELECT is(pg_temp.try('SELECT count(*) FROM instance_env.rollback_promotion(''wiki'')'), '1', 'which would be possible without the rename');

-- triggers of the application

CREATE FUNCTION app.redirect() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.tenant := TG_ARGV[0]; RETURN NEW; END';
SELECT is(pg_temp.try($$CREATE TRIGGER redirect BEFORE UPDATE ON app.sessions FOR EACH ROW EXECUTE FUNCTION app.redirect('other')$$,
	:'rename', $$UPDATE app.sessions SET tenant = 'new' WHERE tenant = 'old'$$), '3: 23I02', 'a trigger that writes another instance''s key');
SELECT is(pg_temp.try($$CREATE TRIGGER redirect BEFORE UPDATE ON app.sessions FOR EACH ROW EXECUTE FUNCTION app.redirect('new')$$,
	:'rename', $$UPDATE app.sessions SET id = id WHERE tenant = 'old'$$), 'ok', 'a trigger that writes the new key');
SELECT is(pg_temp.try($$CREATE TRIGGER redirect BEFORE INSERT ON app.parted_new FOR EACH ROW EXECUTE FUNCTION app.redirect('newer')$$,
	:'rename', $$UPDATE app.parted SET tenant = 'new' WHERE tenant = 'old'$$), '3: 23I02', 'a trigger of the partition that writes another key');

-- departures

SELECT is(pg_temp.try(:'rename', $$DELETE FROM app.users WHERE id = 'u1'$$, $$INSERT INTO app.users VALUES ('u1', 'other')$$), '3: 23I02',
	'a user who leaves with the old key belongs to the instance');
SELECT is(pg_temp.try(:'rename', $$DELETE FROM app.sessions WHERE id = 's1'$$, $$INSERT INTO app.sessions VALUES ('s1', 'new')$$), 'ok',
	'and may return to it');
SELECT is(pg_temp.try(:'rename', 'TRUNCATE app.sessions', $$INSERT INTO app.sessions VALUES ('s1', 'other')$$), '3: 23I02', 'truncated');
SELECT is(pg_temp.try(:'rename', $$UPDATE app.sessions SET tenant = 'new', id = 's9' WHERE id = 's1'$$,
	$$INSERT INTO app.sessions VALUES ('s1', 'other')$$), '3: 23I02', 'a key that changes along with the instance''s');
SELECT is(pg_temp.try(:'rename', $$UPDATE app.parted SET tenant = 'new' WHERE tenant = 'old'$$,
	$$INSERT INTO app.parted VALUES ('p1', 'other')$$), '3: 23I02', 'a user who has moved to another partition');

SELECT is(pg_temp.try($$DELETE FROM app.users WHERE id = 'u1'$$, :'rename', :'cascade', $$INSERT INTO app.users VALUES ('u1', 'other')$$), '4: 23I02',
	'a user who had left before');

-- rows that refer to users

CREATE TABLE app.notes (id text PRIMARY KEY, tenant varchar(21) NOT NULL REFERENCES app.tenants ON UPDATE CASCADE, user_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.notes', 'tenant', user_key => 'user_id', counted => false, user_table => 'app.users') \gset
INSERT INTO app.notes VALUES ('n1', 'old', 'u1'), ('n2', 'live', 'l1');
SELECT is(pg_temp.try(:'rename', :'cascade', 'SELECT string_agg(tenant, '' '' ORDER BY id) FROM app.notes'), 'new live', 'follow along with them');
SELECT is(pg_temp.try($$UPDATE app.users SET tenant = 'other' WHERE id = 'u1'$$), '1: 23I02',
	'a user with such rows who would move: refused for that, and not for the rows');
SELECT is(pg_temp.try($$UPDATE app.users SET tenant = 'nowhere' WHERE id = 'u1'$$), '1: 23I02', 'also to an instance that does not exist');

SELECT * FROM finish();
ROLLBACK;
