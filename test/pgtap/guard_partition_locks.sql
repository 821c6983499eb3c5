-- DDL on a partition of a guarded table does what it does on one of an unguarded twin: it locks
-- the same, and looks at no rows.  One that replication has brought, and no trigger would
-- admit, makes no difference.  Not in a transaction, since what guard() locks would be locked.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
DROP TABLESPACE IF EXISTS instance_env_space;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE instance_env_space LOCATION '';
BEGIN;
SELECT plan(3);

CREATE SCHEMA twins;
CREATE SCHEMA archive;
CREATE ROLE instance_env_users;
CREATE ROLE instance_env_plain;
GRANT ALL ON SCHEMA twins TO instance_env_users, instance_env_plain;
SET search_path = twins, public;
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY '{users, plain}'::text[] LOOP
		EXECUTE format('CREATE TABLE %1$s (id integer, instance_id uuid NOT NULL, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
			CREATE INDEX ON %1$s (instance_id);
			CREATE TABLE %1$s_1 PARTITION OF %1$s FOR VALUES FROM (0) TO (1000);
			CREATE TABLE %1$s_2 PARTITION OF %1$s FOR VALUES FROM (1000) TO (2000);
			ALTER TABLE %1$s_2 ADD CONSTRAINT %1$s_check CHECK (id > 0);
			ALTER TABLE %1$s OWNER TO instance_env_%1$s;
			ALTER TABLE %1$s_1 OWNER TO instance_env_%1$s;
			ALTER TABLE %1$s_2 OWNER TO instance_env_%1$s', name);
	END LOOP;
	PERFORM instance_env.create_application('shop', development_id => '00000000-0000-4000-8000-00000000000d');
	PERFORM instance_env.guard('users', user_key => 'id');
END $$;
SET LOCAL session_replication_role = replica;
INSERT INTO users VALUES (1, '00000000-0000-4000-8000-0000000000ff', 'of an instance that does not exist');
SET LOCAL session_replication_role = origin;
INSERT INTO users VALUES (1001, '00000000-0000-4000-8000-00000000000d');
INSERT INTO plain TABLE users;

CREATE TABLE statements AS SELECT * FROM (VALUES
	('ALTER TABLE %1$s_2 RENAME TO %1$s_two'),
	('ALTER TABLE %1$s_2 SET SCHEMA archive'),
	('ALTER TABLE %1$s_2 RENAME CONSTRAINT %1$s_check TO %1$s_checked'),
	('ALTER TABLE %1$s_2 RENAME CONSTRAINT %1$s_2_pkey TO %1$s_key'),
	('ALTER INDEX %1$s_2_pkey RENAME TO %1$s_two_pkey'),
	('ALTER INDEX %1$s_2_pkey SET TABLESPACE instance_env_space'),
	('ALTER INDEX %1$s_2_pkey SET (fillfactor = 70)'),
	('ALTER TABLE %1$s_2 SET TABLESPACE instance_env_space'),
	('ALTER TABLE ALL IN TABLESPACE pg_default OWNED BY instance_env_%1$s SET TABLESPACE instance_env_space'),
	('ALTER TABLE %1$s_2 SET (fillfactor = 70)'),
	('ALTER TABLE %1$s_2 ALTER note SET STATISTICS 10'),
	('ALTER TABLE %1$s_2 ADD CHECK (id <> 3)'),
	('ALTER TABLE %1$s_2 ENABLE ROW LEVEL SECURITY'),
	('ALTER TABLE %1$s_2 OWNER TO CURRENT_USER'),
	('CREATE INDEX ON %1$s_2 (note)'),
	('CLUSTER %1$s_2 USING %1$s_2_pkey'),
	('TRUNCATE ONLY %1$s_2'),
	('ALTER TABLE %1$s RENAME TO %1$s_all'),
	('ALTER TABLE %1$s SET SCHEMA archive'),
	('ALTER TABLE %1$s RENAME note TO remark'),
	('ALTER TABLE %1$s ADD COLUMN remark text DEFAULT ''none'''),
	('ALTER TABLE %1$s DROP COLUMN note'),
	('ALTER TABLE %1$s ADD CHECK (id <> 3)')) AS s (statement);
COMMIT;

-- What each statement does: its error, or the locks that it leaves.
DO $$
DECLARE
	statements text[] := ARRAY(SELECT s.statement FROM twins.statements s);
	statement text;
	name text;
	done text[];
	results text[] := '{}';
BEGIN
	COMMIT;
	FOREACH statement IN ARRAY statements LOOP
		done := '{}';
		FOREACH name IN ARRAY '{plain, users}'::text[] LOOP
			PERFORM set_config('search_path', 'twins, public', true);
			BEGIN
				CREATE TEMP TABLE names ON COMMIT DROP AS
					SELECT c.oid, replace(c.oid::regclass::text, name, '%1$s') AS name FROM pg_class c
					WHERE relnamespace IN ('twins'::regnamespace, 'instance_env'::regnamespace);
				EXECUTE format(statement, name);
				done := done || (
					SELECT coalesce(string_agg(DISTINCT n.name || ' ' || l.mode, ', '), 'none') FROM pg_locks l JOIN names n ON n.oid = l.relation
					WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation');
			EXCEPTION WHEN OTHERS THEN
				done := done || (SQLSTATE || ' ' || SQLERRM);
			END;
			ROLLBACK;
		END LOOP;
		results := results || ARRAY[ARRAY[statement] || done];
	END LOOP;
	CREATE TABLE twins.results AS SELECT results[i][1] AS statement, results[i][2] AS plain, results[i][3] AS users
		FROM generate_subscripts(results, 1) i;
	COMMIT;
END $$;

BEGIN;
SELECT is_empty($$SELECT * FROM twins.results WHERE plain <> users AND statement !~ '^TRUNCATE'$$,
	'no statement locks more, or other things, or fails for what is elsewhere');
SELECT is_empty($$SELECT * FROM twins.results WHERE plain !~ '%1[$]s'$$, 'each works, and locks something');
-- a departure is recorded
SELECT set_eq($$SELECT regexp_replace(users, '(, )?"?instance_env[^,]*', '', 'g') FROM twins.results WHERE statement ~ '^TRUNCATE'$$,
	$$SELECT plain FROM twins.results WHERE statement ~ '^TRUNCATE'$$, 'TRUNCATE locks no other table');
SELECT * FROM finish();
COMMIT;

DROP SCHEMA twins, archive CASCADE;
DROP TABLESPACE instance_env_space;
SELECT instance_env.drop_application(instance_env.application_id('shop'));
DROP OWNED BY instance_env_users, instance_env_plain;
DROP ROLE instance_env_users, instance_env_plain;
