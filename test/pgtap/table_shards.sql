-- Shards of a distributed table, as far as they can be shown without Citus: what they are called,
-- who may make them, and what is said of them.  The catalogs that Citus would have are made here,
-- with what is read of them, in the second half; the first is a server without Citus.

SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
SELECT plan(38);

CREATE SCHEMA app;
SELECT * FROM instance_env.create_application('shop') \gset
SELECT set_config('test.d', :'development_id', true) AS d, set_config('test.p', :'production_id', true) AS p \gset
UPDATE instance_env.instance SET user_cap = 2 WHERE id = :'d';
UPDATE instance_env.instance SET status = 'active' WHERE id = :'p';

CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_forger;
GRANT ALL ON SCHEMA app TO instance_env_owner, instance_env_forger;
SELECT instance_env.grant_guard('instance_env_owner') \gset
SELECT instance_env.grant_guard('instance_env_forger') \gset

-- The triggers of a shard, as Citus makes them
CREATE FUNCTION app.make_triggers(shard regclass, n text, label text, key text DEFAULT '', options text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER instance_env_user_cap_%s AFTER INSERT ON %s FOR EACH ROW
		WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid%s))
		EXECUTE FUNCTION instance_env.check_user_cap(%L%s)', n, shard, ', NEW.' || nullif(key, ''), label, options);
	EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER instance_env_user_cap_%s', shard, n);
	EXECUTE format('CREATE TRIGGER "Instance_env_no_transfer_%s" AFTER UPDATE ON %s FOR EACH ROW
		WHEN (OLD.instance_id IS DISTINCT FROM NEW.instance_id%s)
		EXECUTE FUNCTION instance_env.check_transfer(%L%s)', n, shard,
		CASE WHEN key <> '' THEN format(' OR instance_env.identity_changes(OLD.%1$s, NEW.%1$s)', key) END, label, options);
END $$;
GRANT EXECUTE ON FUNCTION app.make_triggers TO PUBLIC;

-- What an error says of the table: the message, and the names of schema and table
CREATE FUNCTION app.refusal(command text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	state text; detail text; message text; schema text; relation text;
BEGIN
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		schema = SCHEMA_NAME, relation = TABLE_NAME;
	RETURN ARRAY[state, message || ' ' || detail, schema || '.' || relation];
END $$;
GRANT EXECUTE ON FUNCTION app.refusal TO PUBLIC;

--
-- A server without Citus: a name that ends in a number is a name
--
SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.people (id uuid PRIMARY KEY, instance_id uuid NOT NULL);
SELECT count(*) FROM instance_env.guard('app.people') \gset
ALTER TABLE app.people RENAME TO people_102008;
ALTER TRIGGER instance_env_user_cap ON app.people_102008 RENAME TO instance_env_user_cap_102008;
ALTER TRIGGER "Instance_env_no_transfer" ON app.people_102008 RENAME TO "Instance_env_no_transfer_102008";
ALTER TRIGGER instance_env_departure ON app.people_102008 RENAME TO instance_env_departure_102008;
SELECT lives_ok($$INSERT INTO app.people_102008 SELECT gen_random_uuid(), current_setting('test.d')::uuid FROM generate_series(1, 2)$$,
	'without Citus: a table and its triggers that were renamed admit rows');
SELECT is((app.refusal($$INSERT INTO app.people_102008 SELECT gen_random_uuid(), current_setting('test.d')::uuid$$))[3],
	'app.people_102008', 'up to the cap, which is said of the table as it is called');
SELECT is((app.refusal($$UPDATE app.people_102008 SET instance_id = current_setting('test.p')::uuid$$))[1], '23I02', 'and their users stay where they are');
SELECT lives_ok($$INSERT INTO app.people_102008 VALUES ('00000000-0000-4000-8000-000000000001', current_setting('test.p')::uuid)$$, 'so do those');
SELECT is((app.refusal($$WITH gone AS (DELETE FROM app.people_102008 WHERE instance_id = current_setting('test.p')::uuid RETURNING id)
	INSERT INTO app.people_102008 SELECT id, current_setting('test.d')::uuid FROM gone$$))[1], '23I02', 'of production, who are deleted');
RESET ROLE;
SELECT results_eq($$SELECT relation::text, whole FROM instance_env.guards$$, $$VALUES ('app.people_102008', true)$$, 'the guard is whole');
SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.people_102009 (LIKE app.people_102008 INCLUDING ALL);
SELECT throws_ok($$SELECT app.make_triggers('app.people_102009', '102009', 'instance_env_owner/app.people', 'id')$$, '42501', NULL,
	'without Citus: a second table with its label is refused, even to its owner');
SELECT instance_env.unguard('app.people_102008') \gset
DROP TABLE app.people_102008, app.people_102009;
RESET ROLE;

--
-- With the catalogs of Citus
--
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char" NOT NULL, partkey text,
	colocationid integer NOT NULL DEFAULT 0, repmodel "char" NOT NULL, autoconverted boolean NOT NULL DEFAULT false);
CREATE UNIQUE INDEX pg_dist_partition_logical_relid_index ON pg_catalog.pg_dist_partition (logicalrelid);
CREATE TABLE pg_catalog.pg_dist_shard (logicalrelid regclass NOT NULL, shardid bigint NOT NULL, shardminvalue text, shardmaxvalue text);
CREATE UNIQUE INDEX pg_dist_shard_shardid_index ON pg_catalog.pg_dist_shard (shardid);
CREATE INDEX pg_dist_shard_logical_relid_index ON pg_catalog.pg_dist_shard (logicalrelid);
SET LOCAL allow_system_table_mods = off;

-- a column as PostgreSQL writes it
CREATE FUNCTION app.var(relation regclass, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	var text;
BEGIN
	EXECUTE format('ALTER TABLE %s ADD CONSTRAINT var CHECK (%I IS NOT NULL)', relation, name);
	SELECT substring(conbin::text FROM '\{VAR [^}]*\}') INTO var FROM pg_constraint WHERE conrelid = relation AND conname = 'var';
	EXECUTE format('ALTER TABLE %s DROP CONSTRAINT var', relation);
	RETURN var;
END $$;

SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.users (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id));
SELECT count(*) FROM instance_env.guard('app.users', user_key => '') \gset

-- A worker makes shards before it is told that they are shards, and then knows.
CREATE TABLE app.users_102008 (LIKE app.users INCLUDING ALL);
CREATE TABLE app.users_102009 (LIKE app.users INCLUDING ALL);
SELECT lives_ok($$SELECT app.make_triggers('app.users_102008', '102008', 'instance_env_owner/app.users')$$, 'a shard has its table''s label');
SELECT lives_ok($$SELECT app.make_triggers('app.users_102009', '102009', 'instance_env_owner/app.users')$$, 'and so has another');
CREATE TABLE app.members_102010 (LIKE app.users INCLUDING ALL);
SELECT throws_ok($$SELECT app.make_triggers('app.members_102010', '102010', 'instance_env_owner/app.users')$$, '42501', NULL,
	'a shard of another table has not');
DROP TABLE app.members_102010;
CREATE TABLE app.users_0 (LIKE app.users INCLUDING ALL);
SELECT throws_ok($$SELECT app.make_triggers('app.users_0', '0', 'instance_env_owner/app.users')$$, '42501', NULL, 'nor has one whose number is none');
DROP TABLE app.users_0;
SET LOCAL ROLE instance_env_forger;
CREATE TABLE app.users_102011 (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id));
SELECT throws_ok($$SELECT app.make_triggers('app.users_102011', '102011', 'instance_env_owner/app.users')$$, '42501', NULL,
	'nor has the table of another role that is called like a shard');
SELECT lives_ok($$SELECT count(*) FROM instance_env.guard('app.users_102011', user_key => '')$$, 'which has a label of its own');
RESET ROLE;

INSERT INTO pg_dist_shard SELECT 'app.users', generate_series(102008, 102011);
INSERT INTO pg_dist_partition VALUES ('app.users', 'h', app.var('app.users', 'instance_id'), 1, 's');
SELECT results_eq($$SELECT relation::text, whole, problems::text FROM instance_env.guards ORDER BY 1$$,
	$$VALUES ('app.users', true, '{}'), ('app.users_102011', true, '{}')$$, 'a table is listed once, and one that only looks like a shard, too');
SELECT is((SELECT label FROM instance_env.guards WHERE relation = 'app.users_102011'::regclass), 'instance_env_forger/app.users_102011', 'with its label');

SET LOCAL ROLE instance_env_owner;
SELECT lives_ok($$INSERT INTO app.users_102008 SELECT current_setting('test.d')::uuid, gen_random_uuid() FROM generate_series(1, 2)$$, 'a shard admits rows');
SELECT is((app.refusal($$INSERT INTO app.users_102008 SELECT current_setting('test.d')::uuid, gen_random_uuid()$$))[1], '23I01', 'up to the cap');
SELECT is((app.refusal($$INSERT INTO app.users_102008 SELECT current_setting('test.d')::uuid, gen_random_uuid()$$))[3], 'app.users', 'which is said of the table');
SELECT matches((app.refusal($$INSERT INTO app.users_102008 VALUES ('00000000-0000-4000-8000-000000000002', gen_random_uuid())$$))[2],
	'table "app.users"', 'and so is an instance that does not exist');
SELECT is((app.refusal($$UPDATE app.users_102008 SET instance_id = current_setting('test.p')::uuid$$))[3], 'app.users', 'and a transfer');
SELECT throws_ok($$SELECT instance_env.guard('app.users_102008', user_key => '')$$, '42809', 'relation "users_102008" is a shard of table "app.users"',
	'a shard cannot be guarded by itself');
RESET ROLE;
SELECT lives_ok($$SELECT instance_env.guard('app.users_102011', user_key => '')$$, 'what only looks like one can');

ALTER TABLE app.users_102009 DISABLE TRIGGER instance_env_user_cap_102009;
SELECT is((SELECT problems::text FROM instance_env.guards WHERE relation = 'app.users'::regclass),
	E'{"a shard of table \\"app.users\\" has disabled triggers"}', 'whether shards of this node are guarded is said of the table');
ALTER TABLE app.users_102009 ENABLE ALWAYS TRIGGER instance_env_user_cap_102009;
DROP TRIGGER "Instance_env_no_transfer_102009" ON app.users_102009;
SELECT is((SELECT problems::text FROM instance_env.guards WHERE relation = 'app.users'::regclass),
	E'{"a shard of table \\"app.users\\" lacks triggers"}', 'and that one lacks something');

-- Another schema, and a name that Citus has to cut
SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.a_table_of_users_with_a_name_that_is_as_long_as_they_come (LIKE app.users INCLUDING ALL);
SELECT count(*) FROM instance_env.guard('app.a_table_of_users_with_a_name_that_is_as_long_as_they_come', user_key => '') \gset
SELECT set_config('test.long', format('app.%s_%s_102012', left(relname, 64 - 7 - 10), lpad(to_hex(hashtext(relname::text COLLATE "C")), 8, '0')), true)
FROM pg_class WHERE oid = 'app.a_table_of_users_with_a_name_that_is_as_long_as_they_come'::regclass \gset
SELECT format('CREATE TABLE %s (LIKE app.users INCLUDING ALL)', current_setting('test.long')) \gexec
SELECT lives_ok($$SELECT app.make_triggers(current_setting('test.long'), '102012',
	'instance_env_owner/app.a_table_of_users_with_a_name_that_is_as_long_as_they_come')$$, 'a shard whose name was cut has its table''s label');
RESET ROLE;
INSERT INTO pg_dist_shard VALUES ('app.a_table_of_users_with_a_name_that_is_as_long_as_they_come', 102012);
SELECT is((SELECT count(*) FROM instance_env.guards WHERE relation::text LIKE 'app.a_table%'), 1::bigint, 'and is its shard');
SELECT is((app.refusal(format($$INSERT INTO %s VALUES ('00000000-0000-4000-8000-000000000002', gen_random_uuid())$$, current_setting('test.long'))))[3],
	'app.a_table_of_users_with_a_name_that_is_as_long_as_they_come', 'also in messages');
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.users_102008 (LIKE app.users INCLUDING ALL);
SELECT lives_ok($$SELECT instance_env.guard('elsewhere.users_102008', user_key => '')$$, 'in another schema, it is a table like any other');
SELECT is((SELECT count(*) FROM instance_env.guards WHERE relation = 'elsewhere.users_102008'::regclass), 1::bigint, 'and listed');

-- Distributed in a way that the guard cannot do with
CREATE FUNCTION app.place(method "char", key text, model "char" DEFAULT 's', colocation integer DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE pg_dist_partition SET partmethod = method, partkey = key, repmodel = model, colocationid = colocation;
	ALTER TABLE app.users_102008 SET (fillfactor = 90);		-- makes backends look again
	RETURN (app.refusal($x$INSERT INTO app.users_102008 SELECT current_setting('test.p')::uuid, gen_random_uuid()$x$))[1];
END $$;
SELECT is(app.place('h', app.var('app.users', 'id')), '0A000', 'no row comes into a table that is distributed by another column');
SELECT is((SELECT problems::text FROM instance_env.guards WHERE relation = 'app.users'::regclass),
	E'{"the table takes no rows, because of how it is distributed","a shard of table \\"app.users\\" lacks triggers"}', 'which the view says');
SELECT is(app.place('a', app.var('app.users', 'instance_id')), '0A000', 'nor by ranges');
SELECT is(app.place('n', NULL, 't'), '0A000', 'nor into a reference table');
SELECT is(app.place('n', NULL), NULL, 'but into one with a single shard');
SELECT is(app.place('n', NULL, 's', 0), NULL, 'and one that stays on the coordinator');
SELECT is(app.place('h', app.var('app.users', 'instance_id')), NULL, 'and where an instance has its shard');

DROP TRIGGER instance_env_user_cap_102008 ON app.users_102008;
DROP TRIGGER "Instance_env_no_transfer_102008" ON app.users_102008;
SELECT app.make_triggers('app.users_102008', '102008', 'instance_env_owner/app.users', 'id') \gset
SELECT is((app.refusal($$INSERT INTO app.users_102008 SELECT current_setting('test.p')::uuid, gen_random_uuid()$$))[1], '0A000',
	'users are not followed there by what would have to be recorded');
SELECT is((app.refusal($$INSERT INTO app.users_102008 SELECT current_setting('test.d')::uuid, gen_random_uuid()$$))[1], '0A000', 'in development, either');

SELECT * FROM finish();
ROLLBACK;
