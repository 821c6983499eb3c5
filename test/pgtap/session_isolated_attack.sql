-- A role that may be in development only, and that has every right on isolated tables that
-- lets it read and write rows, tries to read or to change a row of production, or of
-- another application, whatever SQL it sends.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS tablefunc;
CREATE EXTENSION IF NOT EXISTS pageinspect;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(204);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', 'pro', :dev, :prod, '7', '8') \gset
SELECT instance_env.create_application('blog', development_id => 'd0000000-0000-4000-8000-000000000002', development_key => '007') \gset
UPDATE instance_env.instance SET status = 'active';
CREATE ROLE instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE ROLE instance_env_prod;
CREATE ROLE instance_env_dev;		-- the attacker
CREATE ROLE instance_env_other_dev;	-- that it is a member of, and that is allowed no more
GRANT instance_env_other_dev TO instance_env_dev;
SELECT count(concat(instance_env.grant_backend(r), instance_env.allow_instance(r, 'shop', 'development')))
FROM unnest('{instance_env_dev,instance_env_other_dev}'::regrole[]) r \gset
SELECT instance_env.grant_backend('instance_env_prod'), instance_env.allow_instance('instance_env_prod', 'shop', 'production') \gset

CREATE SCHEMA app AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO PUBLIC;
CREATE SCHEMA evil AUTHORIZATION instance_env_dev;
SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.users (id text PRIMARY KEY, instance_id uuid NOT NULL DEFAULT instance_env.current_instance(), note text, n integer DEFAULT 0);
CREATE TABLE app.parted (id text, instance_id text, note text, n integer DEFAULT 0) PARTITION BY LIST (instance_id);
CREATE TABLE app.parted_dev PARTITION OF app.parted FOR VALUES IN ('7', '007');
CREATE TABLE app.parted_prod PARTITION OF app.parted FOR VALUES IN ('8');
CREATE TABLE app.numbered (id text, instance_id integer, note text, n integer DEFAULT 0);
SELECT count(*) FROM unnest('{app.users,app.parted,app.numbered}'::regclass[]) t, instance_env.guard(t) \gset
INSERT INTO app.users VALUES ('d1', 'd0000000-0000-4000-8000-000000000001', 'open'), ('secret-1', 'a0000000-0000-4000-8000-000000000001', 'secret note'),
	('secret-2', 'd0000000-0000-4000-8000-000000000002', 'secret of the blog');
INSERT INTO app.parted VALUES ('d1', '7', 'open'), ('secret-1', '8', 'secret note'), ('secret-2', '007', 'secret of the blog');
INSERT INTO app.numbered VALUES ('d1', 7, 'open'), ('secret-1', 8, 'secret note');
SELECT count(*) FROM unnest('{app.users,app.parted,app.numbered}'::regclass[]) t, instance_env.isolate(t) \gset
CREATE VIEW app.invokers WITH (security_invoker = true) AS SELECT * FROM app.users;
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON ALL TABLES IN SCHEMA app TO instance_env_dev, instance_env_other_dev;
ANALYZE app.users, app.parted, app.parted_dev, app.parted_prod, app.numbered;

-- What the attacker can make: a place to put what it finds, and code that puts it there.
SET LOCAL ROLE instance_env_dev;
CREATE TABLE evil.loot (what text);
CREATE FUNCTION evil.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
$$BEGIN INSERT INTO evil.loot VALUES ($1); RAISE NOTICE '%', $1; RETURN true; END$$;
CREATE FUNCTION evil.leak_equal(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
$$BEGIN PERFORM evil.leak($1); RETURN true; END$$;
CREATE OPERATOR evil.= (FUNCTION = evil.leak_equal, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION evil.equal_uuid(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (FUNCTION = evil.equal_uuid, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR evil.<<< (FUNCTION = evil.leak_equal, LEFTARG = text, RIGHTARG = text, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE FUNCTION evil.current_instance() RETURNS uuid LANGUAGE sql AS $$SELECT 'a0000000-0000-4000-8000-000000000001'::uuid$$;
CREATE FUNCTION pg_temp.current_instance() RETURNS uuid LANGUAGE sql AS $$SELECT 'a0000000-0000-4000-8000-000000000001'::uuid$$;
CREATE FUNCTION evil.current_instance_key() RETURNS text LANGUAGE sql AS $$SELECT '8'::text$$;
CREATE FUNCTION evil.external_key_bigint(text) RETURNS bigint LANGUAGE sql AS 'SELECT 8';
CREATE VIEW evil.users AS SELECT * FROM app.users;
CREATE VIEW evil.invokers WITH (security_invoker = true) AS SELECT * FROM app.users;
CREATE VIEW evil.barrier WITH (security_barrier = true) AS SELECT * FROM app.users;
CREATE VIEW evil.checked AS SELECT * FROM app.users WHERE n = 0 WITH CASCADED CHECK OPTION;
CREATE FUNCTION evil.definer() RETURNS SETOF app.users LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM app.users';
CREATE FUNCTION evil.definer_enters() RETURNS SETOF app.users LANGUAGE sql SECURITY DEFINER AS
$$SELECT instance_env.enter('a0000000-0000-4000-8000-000000000001'); SELECT * FROM app.users$$;
CREATE FUNCTION evil.path() RETURNS SETOF app.users LANGUAGE sql SET search_path = evil, pg_catalog AS 'SELECT * FROM app.users';
CREATE FUNCTION evil.off() RETURNS SETOF app.users LANGUAGE plpgsql SET row_security = off AS
'BEGIN RETURN QUERY SELECT * FROM app.users; END';
CREATE FUNCTION evil.leakproof(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT $1 ~ 'secret'$$;
CREATE TABLE evil.copy (LIKE app.users INCLUDING ALL);
CREATE TABLE evil.refers (id text REFERENCES app.users (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE evil.mine (id text, note text);
INSERT INTO evil.mine VALUES ('secret-1', 'taken'), ('d1', 'taken');
CREATE FUNCTION evil.on_mine() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO evil.loot SELECT note FROM app.users; RETURN NEW; END$$;
CREATE TRIGGER mine AFTER UPDATE ON evil.mine FOR EACH ROW EXECUTE FUNCTION evil.on_mine();
CREATE RULE mine AS ON DELETE TO evil.mine DO ALSO DELETE FROM app.users WHERE id = OLD.id;
CREATE FUNCTION evil.aggregate(text, text) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM evil.leak($2); RETURN $2; END$$;
CREATE AGGREGATE evil.all_of (text) (SFUNC = evil.aggregate, STYPE = text);
CREATE FUNCTION evil.walk() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
	r text;
BEGIN
	OPEN c FOR SELECT note FROM app.users;
	BEGIN
		PERFORM instance_env.enter('a0000000-0000-4000-8000-000000000001');
	EXCEPTION WHEN OTHERS THEN NULL;
	END;
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		RETURN NEXT r;
	END LOOP;
END $$;
RESET ROLE;

-- all that must not change
CREATE FUNCTION pg_temp.others() RETURNS text LANGUAGE sql SET search_path = pg_catalog AS $$
	SELECT string_agg(r, ' ' ORDER BY r) FROM (SELECT u::text FROM app.users u WHERE instance_id <> 'd0000000-0000-4000-8000-000000000001'
		UNION ALL SELECT p::text FROM app.parted p WHERE instance_id <> '7' UNION ALL SELECT p::text FROM app.numbered p WHERE instance_id <> 7) _ (r)
$$;
CREATE FUNCTION pg_temp.loot() RETURNS text LANGUAGE sql SET search_path = pg_catalog AS
$$SELECT string_agg(what, ' ') FROM evil.loot WHERE what ~ 'secret'$$;

-- One attempt, by a role that has entered development, which is undone: its SQLSTATE, all
-- that the attacker gets to see of it, and what was leaked or changed.
CREATE TABLE public.attempts (n integer GENERATED ALWAYS AS IDENTITY, command text, state text, seen text, loot text, changed boolean);
CREATE FUNCTION pg_temp.attack(commands text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	before text := pg_temp.others();
	loot text;
	changed boolean;
	command text;
	found text;
	seen text := '';
	m text;
	d text;
	h text;
BEGIN
	BEGIN
		SET LOCAL SESSION AUTHORIZATION instance_env_dev;
		PERFORM instance_env.enter('d0000000-0000-4000-8000-000000000001');
		FOREACH command IN ARRAY regexp_split_to_array(commands, ';; ') LOOP
			IF command ~ '^(SELECT|VALUES|TABLE|WITH|EXPLAIN|EXECUTE|FETCH)' OR command ~ 'RETURNING' THEN
				FOR found IN EXECUTE command LOOP
					seen := pg_catalog.concat(seen, ' ', found);
				END LOOP;
			ELSE
				EXECUTE command;
			END IF;
		END LOOP;
		RESET SESSION AUTHORIZATION;
		loot := pg_temp.loot();
		changed := pg_temp.others() OPERATOR(pg_catalog.<>) before;
		RAISE SQLSTATE 'ZZZZZ';
	EXCEPTION
		WHEN SQLSTATE 'ZZZZZ' THEN
			INSERT INTO public.attempts (command, state, seen, loot, changed) VALUES (commands, '00000', seen, loot, changed);
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
			INSERT INTO public.attempts (command, state, seen, changed) VALUES (commands, SQLSTATE, concat_ws(' ', seen, m, d, h), false);
	END;
END $$;
SELECT pg_temp.others() AS before \gset

-- what development sees, lest the following be empty for another reason
SELECT pg_temp.attack('SELECT string_agg(id, '''') FROM app.users');
SELECT pg_temp.attack('SELECT string_agg(id, '''') FROM app.parted');
SELECT pg_temp.attack('SELECT string_agg(id, '''') FROM app.numbered');
SELECT is(string_agg(trim(seen), ' '), 'd1 d1 d1', 'development is seen') FROM attempts;

-- what only newer versions understand
SELECT CASE WHEN v >= 170000 THEN 'MERGE INTO app.users u USING (VALUES (1)) v ON false WHEN NOT MATCHED BY SOURCE THEN DELETE' ELSE 'SELECT 1' END AS merge_deletes,
	CASE WHEN v >= 170000 THEN $$MERGE INTO app.users u USING evil.mine m ON false WHEN NOT MATCHED BY SOURCE THEN UPDATE SET note = 'changed' RETURNING id || note$$ ELSE 'SELECT 2' END AS merge_updates,
	CASE WHEN v >= 180000 THEN 'UPDATE app.users SET note = evil.leak(note) RETURNING old.note || new.note' ELSE 'SELECT 3' END AS old_updated,
	CASE WHEN v >= 180000 THEN $$INSERT INTO app.users VALUES ('secret-1', DEFAULT) ON CONFLICT (id) DO UPDATE SET n = 1 RETURNING old.note$$ ELSE 'SELECT 4' END AS old_inserted
FROM CAST(current_setting('server_version_num') AS integer) v \gset

SELECT count(pg_temp.attack(c)::text) FROM unnest(ARRAY[
	:'merge_deletes', :'merge_updates', :'old_updated', :'old_inserted',
	-- directly, and by way of partitions
	'SELECT u::text FROM app.users u',
	'SELECT u::text FROM ONLY app.users u',
	'SELECT u::text FROM app.parted u',
	'SELECT u::text FROM app.parted_prod u',
	'SELECT u::text FROM app.parted_dev u',
	'SELECT u::text FROM app.numbered u',
	'TABLE app.parted_prod',
	'SELECT id FROM app.users WHERE instance_id = ''a0000000-0000-4000-8000-000000000001''',
	'SELECT id FROM app.users WHERE true OR instance_id IS NULL',
	'SELECT id FROM app.users TABLESAMPLE SYSTEM (100)',
	'SELECT id FROM app.users TABLESAMPLE BERNOULLI (100) REPEATABLE (1)',
	'SELECT id FROM app.users WHERE ctid = ANY (ARRAY[''(0,1)'', ''(0,2)'', ''(0,3)'']::tid[])',
	'SELECT id FROM app.users WHERE tableoid = ''app.users''::regclass AND xmin IS NOT NULL',
	'SELECT id FROM app.users FOR UPDATE',
	'SELECT id FROM app.users FOR KEY SHARE SKIP LOCKED',
	'SELECT id FROM app.users UNION ALL SELECT id FROM app.parted_prod',
	'SELECT (SELECT string_agg(id, '''') FROM app.users)',
	'SELECT b.id FROM (VALUES (''secret-1'')) v (id) RIGHT JOIN app.users b USING (id)',
	'SELECT a.id || note FROM app.users a FULL JOIN app.users b USING (note)',
	'SELECT l.* FROM app.users a, LATERAL (SELECT b.note FROM app.users b WHERE b.id <> a.id) l',
	'SELECT max(note) FROM app.users',
	'SELECT note, rank() OVER (ORDER BY note) FROM app.users',
	'WITH RECURSIVE r AS (SELECT id FROM app.users UNION SELECT p.id FROM app.parted_prod p, r) SELECT id FROM r',
	'WITH w AS MATERIALIZED (SELECT * FROM app.users) SELECT note FROM w',
	'SELECT table_to_xml(''app.users'', true, false, '''')::text',
	'SELECT query_to_xml(''SELECT * FROM app.parted_prod'', true, false, '''')::text',
	'SELECT schema_to_xml(''app'', true, false, '''')::text',
	'SELECT row_name FROM public.crosstab(''SELECT id, note, note FROM app.users'') c (row_name text, open text)',
	'SELECT to_jsonb(u)::text FROM app.users u',
	'SELECT count(*)::text || ''secret'' FROM app.users HAVING count(*) > 1',
	-- leaky functions and operators
	'SELECT id FROM app.users WHERE evil.leak(note)',
	'SELECT id FROM app.parted_prod WHERE evil.leak(note)',
	'SELECT id FROM app.parted WHERE evil.leak(note)',
	'SELECT id FROM app.users WHERE note OPERATOR(evil.=) ''x''',
	'SELECT id FROM app.users WHERE note OPERATOR(evil.<<<) ''x''',
	'SELECT a.id FROM app.users a JOIN app.parted b ON a.note OPERATOR(evil.<<<) b.note',
	'SELECT id FROM app.users WHERE id = ''secret-1'' AND evil.leak(note)',
	'SELECT id FROM app.users ORDER BY evil.leak(note)',
	'SELECT evil.all_of(note) FROM app.users',
	'SELECT id FROM app.users WHERE CASE WHEN evil.leak(note) THEN true END',
	'SELECT 1 / (CASE WHEN note = ''secret note'' THEN 0 ELSE 1 END) FROM app.users',
	'SELECT note::integer FROM app.users WHERE id ~ ''secret''',
	'ALTER FUNCTION evil.leakproof(text) LEAKPROOF;; SELECT id FROM app.users WHERE evil.leakproof(note)',
	'CREATE FUNCTION evil.proof(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS ''SELECT true''',
	-- other operators, functions and tables of the same names
	'SET LOCAL search_path = evil, pg_catalog;; SELECT id FROM app.users',
	'SET LOCAL search_path = evil, app, pg_catalog;; SELECT id FROM app.users WHERE instance_id = ''a0000000-0000-4000-8000-000000000001''',
	'SET LOCAL search_path = pg_temp, evil, pg_catalog;; SELECT id FROM app.numbered',
	'SELECT id FROM evil.path()',
	'CREATE TEMP TABLE pg_policy (LIKE pg_catalog.pg_policy);; SET LOCAL search_path = pg_temp, pg_catalog;; SELECT id FROM app.users',
	'CREATE TEMP TABLE instance (LIKE app.users);; CREATE TEMP TABLE instance_allowance (LIKE app.users);; SET LOCAL search_path = pg_temp, pg_catalog;; SELECT instance_env.enter(''a0000000-0000-4000-8000-000000000001'')',
	'CREATE SCHEMA instance_env_2',
	'CREATE FUNCTION instance_env.current_instance(text DEFAULT NULL) RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid''',
	'CREATE OR REPLACE FUNCTION instance_env.current_instance() RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid''',
	-- views and functions, of whomever
	'SELECT note FROM evil.users', 'SELECT note FROM evil.invokers', 'SELECT note FROM evil.barrier WHERE evil.leak(note)', 'SELECT note FROM app.invokers',
	'SELECT note FROM evil.definer()', 'SELECT note FROM evil.definer_enters()', 'SELECT note FROM evil.off()', 'SELECT * FROM evil.walk()',
	'ALTER VIEW evil.users OWNER TO instance_env_owner', 'ALTER VIEW evil.users OWNER TO instance_env_prod', 'ALTER FUNCTION evil.definer() OWNER TO instance_env_owner',
	'CREATE MATERIALIZED VIEW evil.matter AS SELECT * FROM app.users;; SELECT note FROM evil.matter',
	'CREATE TABLE evil.taken AS SELECT * FROM app.users;; SELECT note FROM evil.taken',
	-- parameters
	'SET row_security = off;; SELECT note FROM app.users',
	'SET LOCAL row_security = off;; SELECT note FROM app.parted_prod',
	'SET LOCAL row_security = off;; DELETE FROM app.parted_prod',
	'SET instance_env.current_instance = ''a0000000-0000-4000-8000-000000000001'';; SELECT note FROM app.users',
	'SET LOCAL instance_env.current_instance = ''a0000000-0000-4000-8000-000000000001'';; SELECT note FROM app.users',
	'SELECT set_config(''instance_env.current_instance'', ''a0000000-0000-4000-8000-000000000001'', true);; SELECT note FROM app.users',
	'UPDATE pg_settings SET setting = ''a0000000-0000-4000-8000-000000000001'' WHERE name = ''instance_env.current_instance'';; SELECT note FROM app.users',
	'RESET instance_env.current_instance;; SELECT note FROM app.users',
	'RESET ALL;; SELECT note FROM app.users',
	'SET session_replication_role = replica;; SELECT note FROM app.users',
	'SELECT set_config(name, ''on'', true) FROM pg_settings WHERE name IN (''force_parallel_mode'', ''debug_parallel_query'');; SELECT note FROM app.users',
	'SET LOCAL enable_seqscan = off;; SET LOCAL enable_indexscan = off;; SELECT note FROM app.users WHERE evil.leak(note)',
	'SET LOCAL plan_cache_mode = force_generic_plan;; SELECT note FROM app.users',
	'SET LOCAL allow_system_table_mods = on',
	'SET LOCAL default_table_access_method = heap;; SELECT note FROM app.users',
	'ALTER ROLE instance_env_dev SET instance_env.current_instance = ''a0000000-0000-4000-8000-000000000001''',
	'ALTER ROLE instance_env_dev SET row_security = off',
	'ALTER ROLE instance_env_dev BYPASSRLS',
	'CREATE FUNCTION evil.setting() RETURNS void LANGUAGE sql SET instance_env.current_instance = ''a0000000-0000-4000-8000-000000000001'' AS ''SELECT''',
	-- other instances, other roles
	'SELECT instance_env.enter(''a0000000-0000-4000-8000-000000000001'');; SELECT note FROM app.users',
	'SELECT instance_env.enter(''a0000000-0000-4000-8000-000000000001'', true);; SELECT note FROM app.users',
	'SELECT instance_env.enter(''d0000000-0000-4000-8000-000000000002'');; SELECT note FROM app.users',
	'SELECT instance_env.leave();; SELECT note FROM app.users',
	'SELECT instance_env.allow_instance(''instance_env_dev'')',
	'INSERT INTO instance_env.instance_allowance VALUES (''instance_env_dev'')',
	'SET LOCAL ROLE instance_env_prod;; SELECT note FROM app.users',
	'SET LOCAL ROLE instance_env_owner;; SELECT note FROM app.users',
	'SET LOCAL ROLE instance_env_other_dev;; SELECT note FROM app.users',
	'SET LOCAL ROLE instance_env_other_dev;; SELECT instance_env.enter(''a0000000-0000-4000-8000-000000000001'');; SELECT note FROM app.users',
	'GRANT instance_env_prod TO instance_env_dev', 'GRANT instance_env_dev TO instance_env_prod',
	'CREATE ROLE instance_env_new SUPERUSER', 'ALTER ROLE instance_env_dev SUPERUSER',
	'REASSIGN OWNED BY instance_env_owner TO instance_env_dev',
	-- the table and its policies
	'ALTER TABLE app.users DISABLE ROW LEVEL SECURITY', 'ALTER TABLE app.users NO FORCE ROW LEVEL SECURITY',
	'DROP POLICY instance_env_isolation ON app.users', 'ALTER POLICY instance_env_isolation ON app.users USING (true)',
	'CREATE POLICY evil ON app.users USING (true)', 'ALTER TABLE app.users OWNER TO instance_env_dev',
	'SELECT instance_env.unisolate(''app.users'')', 'SELECT instance_env.unguard(''app.users'')',
	'ALTER TABLE app.parted DETACH PARTITION app.parted_prod', 'ALTER TABLE app.users INHERIT evil.copy', 'ALTER TABLE evil.copy INHERIT app.users',
	'CREATE TABLE evil.child () INHERITS (app.users)', 'CREATE TABLE evil.part PARTITION OF app.parted FOR VALUES IN (''9'')',
	'CREATE TRIGGER evil AFTER UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION evil.on_mine()', 'CREATE RULE evil AS ON SELECT TO app.users DO INSTEAD SELECT * FROM evil.copy',
	'CREATE INDEX ON app.users (evil.leakproof(note))', 'CREATE STATISTICS evil.stats ON id, note FROM app.users', 'TRUNCATE app.users', 'TRUNCATE app.parted_prod',
	'LOCK TABLE app.users IN ACCESS SHARE MODE;; SELECT note FROM app.users', 'ANALYZE app.users;; SELECT most_common_vals::text || histogram_bounds::text FROM pg_stats WHERE schemaname = ''app''',
	'ALTER EXTENSION instance_env DROP FUNCTION instance_env.current_instance()', 'DROP EXTENSION instance_env CASCADE', 'DROP FUNCTION instance_env.current_instance() CASCADE',
	'CREATE PUBLICATION evil FOR TABLE app.users', 'COMMENT ON POLICY instance_env_isolation ON app.users IS ''''',
	-- what PostgreSQL knows of the table
	'SELECT s::text FROM pg_stats s WHERE schemaname = ''app''', 'SELECT stavalues1::text FROM pg_statistic', 'SELECT s::text FROM pg_stats_ext s',
	'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT note FROM app.users WHERE evil.leak(note)', 'EXPLAIN (VERBOSE) SELECT note FROM app.parted WHERE note > ''a''',
	'EXPLAIN (ANALYZE, GENERIC_PLAN) SELECT note FROM app.users', 'SELECT public.get_raw_page(''app.users'', 0)::text', 'SELECT pg_read_file(pg_relation_filepath(''app.users''))', 'SELECT lo_export(1, ''/tmp/x'')::text',
	-- writing
	'UPDATE app.users SET note = ''changed''', 'UPDATE app.parted SET note = ''changed''', 'UPDATE app.parted_prod SET note = ''changed''', 'UPDATE app.numbered SET n = n + 1',
	'UPDATE app.users SET note = ''changed'' WHERE evil.leak(note)', 'UPDATE app.users SET n = 1 RETURNING note',
	'UPDATE app.users u SET note = m.note FROM evil.mine m WHERE m.id = u.id', 'UPDATE evil.mine m SET note = u.note FROM app.users u;; SELECT note FROM evil.mine WHERE note <> ''taken''',
	'UPDATE app.users SET instance_id = ''a0000000-0000-4000-8000-000000000001''', 'UPDATE app.users SET instance_id = ''d0000000-0000-4000-8000-000000000002''',
	'UPDATE app.parted SET instance_id = ''8''', 'UPDATE app.parted_dev SET instance_id = ''007''', 'UPDATE app.numbered SET instance_id = 8', 'UPDATE evil.users SET note = ''changed''', 'UPDATE evil.checked SET note = ''changed''',
	'DELETE FROM app.users WHERE id ~ ''secret''', 'DELETE FROM app.users WHERE id ~ ''secret'' RETURNING note', 'DELETE FROM app.parted_prod', 'DELETE FROM app.parted WHERE id ~ ''secret''', 'DELETE FROM app.numbered WHERE instance_id = 8',
	'DELETE FROM app.users u USING evil.mine m WHERE m.id = u.id AND u.id ~ ''secret''', 'DELETE FROM evil.users WHERE id ~ ''secret''',
	'INSERT INTO app.users VALUES (''x'', ''a0000000-0000-4000-8000-000000000001'')', 'INSERT INTO app.users VALUES (''x'', ''d0000000-0000-4000-8000-000000000002'')', 'INSERT INTO app.users VALUES (''x'', NULL)',
	'INSERT INTO app.parted VALUES (''x'', ''8'')', 'INSERT INTO app.parted_prod VALUES (''x'', ''8'')', 'INSERT INTO app.parted VALUES (''x'', ''007'')', 'INSERT INTO app.numbered VALUES (''x'', 8)', 'INSERT INTO evil.users VALUES (''x'', ''a0000000-0000-4000-8000-000000000001'')',
	'INSERT INTO app.users VALUES (''secret-1'', DEFAULT, ''mine'') RETURNING note', 'INSERT INTO app.users VALUES (''secret-1'', DEFAULT, ''mine'') ON CONFLICT (id) DO UPDATE SET note = app.users.note || ''changed'' RETURNING note',
	'INSERT INTO app.users VALUES (''secret-1'', DEFAULT, ''mine'') ON CONFLICT (id) DO UPDATE SET note = excluded.note', 'INSERT INTO app.users VALUES (''secret-1'', DEFAULT) ON CONFLICT DO NOTHING RETURNING note',
	'INSERT INTO app.users VALUES (''d1'', DEFAULT) ON CONFLICT (id) DO UPDATE SET instance_id = ''a0000000-0000-4000-8000-000000000001''', 'INSERT INTO app.users VALUES (''secret-1'', DEFAULT) ON CONFLICT (id) DO UPDATE SET n = 1 WHERE evil.leak(app.users.note)',
	'MERGE INTO app.users u USING evil.mine m ON m.id = u.id WHEN MATCHED THEN UPDATE SET note = ''changed''', 'MERGE INTO app.users u USING evil.mine m ON m.id = u.id AND u.id ~ ''secret'' WHEN MATCHED THEN DELETE', 'MERGE INTO app.users u USING evil.mine m ON m.id = u.id WHEN MATCHED AND evil.leak(u.note) THEN DO NOTHING',
	'MERGE INTO app.users u USING (VALUES (1)) v ON false WHEN NOT MATCHED THEN INSERT VALUES (''x'', ''a0000000-0000-4000-8000-000000000001'')', 'MERGE INTO evil.copy m USING app.users u ON false WHEN NOT MATCHED THEN INSERT VALUES (u.id, u.instance_id, u.note);; SELECT note FROM evil.copy',
	'WITH d AS (DELETE FROM app.users WHERE id ~ ''secret'' RETURNING *) SELECT note FROM d',
	-- keys, triggers and rules on tables of one's own
	'INSERT INTO evil.refers SELECT id FROM app.users', 'DELETE FROM evil.refers', 'CREATE TABLE evil.parent (id text PRIMARY KEY);; ALTER TABLE app.users ADD FOREIGN KEY (id) REFERENCES evil.parent ON DELETE CASCADE',
	'UPDATE evil.mine SET note = note', 'DELETE FROM evil.mine WHERE id ~ ''secret''',
	'CREATE TABLE evil.computed (note text DEFAULT (SELECT note FROM app.users))', 'CREATE POLICY evil ON evil.mine USING (id IN (SELECT note FROM app.users));; SELECT note FROM evil.mine WHERE note <> ''taken''',
	-- statements that are kept
	'PREPARE evil_1 AS SELECT note FROM app.users;; EXECUTE evil_1;; SET LOCAL ROLE instance_env_other_dev;; EXECUTE evil_1',
	'PREPARE evil_2 AS SELECT note FROM app.parted;; EXECUTE evil_2;; SELECT instance_env.leave();; EXECUTE evil_2', 'PREPARE evil_3 AS DELETE FROM app.parted RETURNING note;; EXECUTE evil_3',
	'DECLARE evil_4 CURSOR FOR SELECT note FROM app.users;; FETCH ALL FROM evil_4', 'DECLARE evil_5 CURSOR WITH HOLD FOR SELECT note FROM app.users;; FETCH ALL FROM evil_5', 'DECLARE evil_6 CURSOR FOR SELECT * FROM app.users FOR UPDATE;; FETCH FROM evil_6;; UPDATE app.users SET instance_id = ''a0000000-0000-4000-8000-000000000001'' WHERE CURRENT OF evil_6',
	'DO $x$ BEGIN EXECUTE ''INSERT INTO evil.loot SELECT note FROM app.users''; PERFORM instance_env.enter(''a0000000-0000-4000-8000-000000000001''); EXCEPTION WHEN OTHERS THEN INSERT INTO evil.loot SELECT note FROM app.users; END $x$',
	'LISTEN instance_env'
]) c \gset

SELECT is(seen, NULL, 'attempt ' || n || ': ' || left(command, 150)) FROM (SELECT n, command, CASE WHEN replace(seen, command, '') ~ 'secret (note|of)' THEN seen END AS seen FROM attempts) _ ORDER BY n;
SELECT is(string_agg(n || ' ' || state || ' ' || command, E'\n'), NULL, 'no attempt fails for being badly written')
FROM attempts WHERE state IN ('42601', '42703', '42883', '0A000', '42P18', 'XX000', '42804') AND command !~ 'GENERIC_PLAN|DEFAULT .SELECT';
SELECT is(string_agg(n || ' ' || command, E'\n'), NULL, 'nothing was leaked') FROM attempts WHERE loot IS NOT NULL;
SELECT is(string_agg(n || ' ' || command, E'\n'), NULL, 'nothing was changed') FROM attempts WHERE changed;
SELECT is(pg_temp.others(), :'before', 'nor was anything left');

SELECT * FROM finish();
ROLLBACK;
