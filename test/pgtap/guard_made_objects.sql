-- The indexes and foreign keys that guard() makes: their names, what guard() says of them,
-- and what unguard() does with them.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(66);
\ir ../include/outcome.sql

CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_other;
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
CREATE SCHEMA two AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO instance_env_other;
SELECT instance_env.grant_guard('instance_env_owner'), instance_env.grant_guard('instance_env_other') \gset
SELECT instance_env.create_application('shop', 'pro', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.grant_monitor('instance_env_owner') \gset
GRANT SELECT ON ALL TABLES IN SCHEMA instance_env TO instance_env_owner;
SET LOCAL ROLE instance_env_owner;

-- What guard() has made in a schema: indexes and foreign keys with our names
CREATE FUNCTION pg_temp.made(schema text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT relname::text FROM pg_class
	WHERE relkind IN ('i', 'I') AND relnamespace = schema::regnamespace AND starts_with(relname::text, 'instance_env_')
	UNION ALL
	SELECT conname::text FROM pg_constraint
	WHERE contype = 'f' AND connamespace = schema::regnamespace AND starts_with(conname::text, 'instance_env_') AND conparentid = 0 $$;

--
-- Rows
--

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.sessions (id text, instance_id text NOT NULL, user_id text);
SELECT results_eq($$SELECT * FROM instance_env.guard('app.users')$$, $$VALUES
	('index', 'instance_env_users_instance_id_idx', 'app.users'::regclass, 'created'), ('index', 'users_pkey', 'app.users', 'found'),
	('trigger', 'instance_env_user_cap', 'app.users', 'created'), ('trigger', 'Instance_env_no_transfer', 'app.users', 'created'),
	('trigger', 'instance_env_departure', 'app.users', 'created'), ('trigger', 'instance_env_truncate', 'app.users', 'created')$$, 'guard()');
SELECT bag_eq($$SELECT action FROM instance_env.guard('app.users')$$, $$SELECT 'found' FROM generate_series(1, 6)$$, 'again');
SELECT results_eq($$SELECT * FROM instance_env.guard('app.sessions', user_key => 'user_id', counted => false, user_table => 'app.users')$$, $$VALUES
	('index', 'instance_env_users_instance_id_id_key', 'app.users'::regclass, 'created'),
	('foreign key', 'instance_env_sessions_instance_id_user_id_fkey', 'app.sessions', 'created'),
	('index', 'instance_env_sessions_instance_id_user_id_idx', 'app.sessions', 'created'),
	('trigger', 'instance_env_active', 'app.sessions', 'created'), ('trigger', 'Instance_env_no_transfer', 'app.sessions', 'created')$$,
	'with a foreign key');
ALTER TABLE app.users DISABLE TRIGGER "Instance_env_no_transfer";
ALTER TABLE app.users ENABLE TRIGGER instance_env_user_cap;
DROP TRIGGER instance_env_departure ON app.users;
ALTER TABLE app.sessions DROP CONSTRAINT instance_env_sessions_instance_id_user_id_fkey;
SELECT results_eq($$SELECT name, action FROM instance_env.guard('app.users') WHERE action <> 'found'$$, $$VALUES
	('instance_env_user_cap', 'enabled'), ('Instance_env_no_transfer', 'enabled'), ('instance_env_departure', 'created')$$, 'what is repaired');
SELECT is((SELECT after -> 'repaired' FROM instance_env.events ORDER BY id DESC LIMIT 1), '[
	{"object": "trigger", "name": "instance_env_user_cap", "table": "app.users", "action": "enabled"},
	{"object": "trigger", "name": "Instance_env_no_transfer", "table": "app.users", "action": "enabled"},
	{"object": "trigger", "name": "instance_env_departure", "table": "app.users", "action": "created"}]', 'is on record');
SELECT results_eq(
	$$SELECT name, action FROM instance_env.guard('app.sessions', user_key => 'user_id', counted => false, user_table => 'app.users') WHERE action <> 'found'$$,
	$$VALUES ('instance_env_sessions_instance_id_user_id_fkey', 'created')$$, 'a foreign key that was lost is made again');
SELECT is((SELECT after -> 'repaired' -> 0 ->> 'object' FROM instance_env.events ORDER BY id DESC LIMIT 1), 'foreign key', 'which is on record, too');
SELECT is((SELECT count(*) FROM (SELECT instance_env.guard('app.users')) g), 6::bigint, 'in a select list: one row each');
SELECT lives_ok($$DO 'BEGIN PERFORM instance_env.guard(''app.users''); END'$$, 'PERFORM');
SELECT lives_ok($$SELECT FROM instance_env.guard('app.users') LIMIT 1$$, 'LIMIT');

-- a trigger that was renamed, and what a former parent has left
ALTER TRIGGER instance_env_truncate ON app.users RENAME TO "Odd ""name";
SELECT is((SELECT name FROM instance_env.guard('app.users') OFFSET 5), 'Odd "name', 'a trigger that was renamed');

-- partitions
CREATE TABLE app.parts (id text, instance_id text, PRIMARY KEY (instance_id, id)) PARTITION BY LIST (instance_id);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES IN ('dev');
CREATE TABLE app.part2 PARTITION OF app.parts DEFAULT;
CREATE INDEX own ON app.part2 (id);
SELECT results_eq($$SELECT * FROM instance_env.guard('app.parts', user_key => 'id')$$, $$VALUES
	('index', 'parts_pkey', 'app.parts'::regclass, 'found'), ('index', 'instance_env_parts_id_idx', 'app.parts', 'created'),
	('trigger', 'instance_env_user_cap', 'app.parts', 'created'), ('trigger', 'Instance_env_no_transfer', 'app.parts', 'created'),
	('trigger', 'instance_env_departure', 'app.parts', 'created'), ('trigger', 'instance_env_truncate', 'app.parts', 'created'),
	('trigger', 'instance_env_no_move', 'app.parts', 'created'),
	('trigger', 'instance_env_truncate', 'app.part1', 'created'), ('trigger', 'instance_env_truncate', 'app.part2', 'created')$$, 'partitions');
DROP TRIGGER instance_env_truncate ON app.part1;
SELECT results_eq($$SELECT name, on_table, action FROM instance_env.guard('app.parts', user_key => 'id') WHERE action <> 'found'$$,
	$$VALUES ('instance_env_truncate', 'app.part1'::regclass, 'created')$$, 'a partition is repaired');

--
-- Names
--

SELECT set_has($$SELECT pg_temp.made('app')$$, $$SELECT unnest(ARRAY['instance_env_part1_id_idx', 'instance_env_parts_id_idx'])$$, 'a partition''s index has such a name');
SELECT has_index('app', 'part2', 'own', 'but not one that was there');
SELECT lives_ok($$CREATE INDEX part1_id_idx ON app.part1 (id)$$, 'so that the usual one is free for a partition''s');
SELECT lives_ok($$CREATE INDEX users_instance_id_idx ON app.users (instance_id)$$, 'for an index');
SELECT lives_ok($$ALTER TABLE app.users ADD CONSTRAINT users_instance_id_id_key UNIQUE (instance_id, id)$$, 'for a unique constraint');
SELECT lives_ok($$ALTER TABLE app.sessions ADD CONSTRAINT sessions_instance_id_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users$$,
	'for a foreign key');
-- the same names in another schema
CREATE TABLE two.users (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE two.sessions (id text, instance_id text NOT NULL, user_id text);
SELECT count(*) FROM instance_env.guard('two.users') \gset
SELECT count(*) FROM instance_env.guard('two.sessions', user_key => 'user_id', counted => false, user_table => 'two.users') \gset
SELECT set_eq($$SELECT pg_temp.made('two')$$, ARRAY['instance_env_sessions_instance_id_user_id_fkey',
	'instance_env_sessions_instance_id_user_id_idx', 'instance_env_users_instance_id_id_key', 'instance_env_users_instance_id_idx'], 'each schema has its own');
-- names that are taken, long, or of more than one byte a character
CREATE INDEX instance_env_sessions_instance_id_idx ON two.sessions (id);
CREATE FUNCTION pg_temp.long(name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE two.%I (id text PRIMARY KEY, %I text NOT NULL)', name, repeat('ö', 30) || 1);
	RETURN QUERY SELECT g.name FROM instance_env.guard(format('two.%I', name), repeat('ö', 30) || 1) g WHERE action = 'created' AND object = 'index';
END $$;
CREATE TEMP TABLE long AS SELECT pg_temp.long(n) AS name FROM unnest(ARRAY[repeat('x', 62) || 1, repeat('x', 62) || 2, 'x', repeat('ä', 31), 'Odd "table"']) n;
SELECT is(count(DISTINCT name), 5::bigint, 'long names: all differ') FROM long;
SELECT ok(bool_and(octet_length(name) <= 63 AND name ~ '^instance_env_.*_idx[0-9]*$'), 'and have the beginning and the end') FROM long;
SELECT ok((SELECT bool_and(whole) FROM instance_env.guards), 'all is whole');

--
-- unguard()
--

SELECT throws_ok($$SELECT instance_env.unguard('two.sessions', NULL)$$, '22004', NULL, 'unguard(): NULL');
SELECT lives_ok($$SELECT instance_env.unguard('two.sessions')$$, 'unguard()');
SELECT set_has($$SELECT pg_temp.made('two')$$, $$SELECT unnest(ARRAY['instance_env_sessions_instance_id_user_id_fkey',
	'instance_env_sessions_instance_id_user_id_idx', 'instance_env_users_instance_id_id_key'])$$, 'leaves all');
SELECT is(pg_temp.outcome('instance_env_other', $$SELECT instance_env.unguard('app.sessions', true)$$), '42501', 'somebody else''s');
SET LOCAL ROLE instance_env_owner;
SELECT lives_ok($$SELECT instance_env.unguard('two.users', true)$$, 'the table that is referred to, first');
SELECT has_index('two', 'users', 'instance_env_users_instance_id_id_key', 'an index stays that a foreign key relies on');
SELECT lives_ok($$SELECT instance_env.unguard('two.sessions', true)$$, 'what was unguarded before');
SELECT is((SELECT after FROM instance_env.events ORDER BY id DESC LIMIT 1), '{"dropped": [
	{"object": "foreign key", "name": "instance_env_sessions_instance_id_user_id_fkey"},
	{"object": "index", "name": "instance_env_sessions_instance_id_user_id_idx"},
	{"object": "index", "name": "instance_env_sessions_instance_id_idx"}]}', 'is on record');
SELECT hasnt_index('two', 'sessions', 'instance_env_sessions_instance_id_user_id_idx', 'the index');
SELECT is((SELECT count(*) FROM pg_constraint WHERE conrelid = 'two.sessions'::regclass AND contype = 'f'), 0::bigint, 'and the foreign key are gone');
SELECT lives_ok($$SELECT instance_env.unguard('two.users', true)$$, 'now the other one');
SELECT hasnt_index('two', 'users', 'instance_env_users_instance_id_id_key', 'is free to go, too');
SELECT lives_ok($$SELECT instance_env.unguard('two.users', true)$$, 'there is nothing left');

-- what looks like ours but is not
CREATE TABLE two.own (id text, instance_id text NOT NULL, n integer, CONSTRAINT instance_env_own_key UNIQUE (n));
SELECT count(*) FROM instance_env.guard('two.own', user_key => '') \gset
CREATE INDEX instance_env_own_partial_idx ON two.own (id) WHERE n > 0;
CREATE INDEX instance_env_own_expression_idx ON two.own ((n + 1));
CREATE INDEX instance_env_own_hash_idx ON two.own USING hash (id);
CREATE INDEX instance_env_own_include_idx ON two.own (id) INCLUDE (n);
CREATE INDEX instance_env_own_desc_idx ON two.own (id DESC);
CREATE INDEX instance_env_own_fill_idx ON two.own (id) WITH (fillfactor = 50);
CREATE INDEX instance_env_own_idx_not ON two.own (id);
CREATE INDEX own_instance_id_idx ON two.own (instance_id);
CREATE UNIQUE INDEX instance_env_own_replica_key ON two.own (instance_id);
ALTER TABLE two.own REPLICA IDENTITY USING INDEX instance_env_own_replica_key;
SELECT lives_ok($$SELECT instance_env.unguard('two.own', true)$$, 'of all that looks like it');
SELECT set_eq($$SELECT relname::text FROM pg_class WHERE relkind = 'i' AND relnamespace = 'two'::regnamespace AND relname LIKE '%own%'$$,
	ARRAY['instance_env_own_desc_idx', 'instance_env_own_expression_idx', 'instance_env_own_fill_idx', 'instance_env_own_hash_idx', 'instance_env_own_idx_not',
		'instance_env_own_include_idx', 'instance_env_own_key', 'instance_env_own_partial_idx', 'instance_env_own_replica_key', 'own_instance_id_idx'],
	'only guard()''s own goes');
SELECT lives_ok($$SELECT instance_env.unguard('app.parts', true)$$, 'a partitioned table');
SELECT has_index('app', 'parts', 'instance_env_parts_id_idx', 'an index stays that has one of the application''s as a part');
SELECT has_index('app', 'part2', 'own', 'as does that one');
ALTER TABLE app.parts DETACH PARTITION app.part2;
SELECT lives_ok($$SELECT instance_env.unguard('app.parts', true)$$, 'without that one');
SELECT hasnt_index('app', 'parts', 'instance_env_parts_id_idx', 'it goes');
SELECT hasnt_index('app', 'part1', 'instance_env_part1_id_idx', 'with its parts');
SELECT has_index('app', 'part2', 'own', 'and the application''s stays');

-- an index of a partition that is its replica identity, or that it is clustered by
CREATE TABLE two.tree (id integer NOT NULL, instance_id text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE two.leaf PARTITION OF two.tree FOR VALUES FROM (0) TO (100);
SELECT count(*) FROM instance_env.guard('two.tree', user_key => 'id') \gset
ALTER TABLE two.leaf CLUSTER ON instance_env_leaf_id_idx;
CREATE TABLE two.leaves (id integer, instance_id text NOT NULL, user_id integer);
SELECT count(*) FROM instance_env.guard('two.leaves', user_key => 'user_id', counted => false, user_table => 'two.tree') \gset
ALTER TABLE two.leaf REPLICA IDENTITY USING INDEX instance_env_leaf_instance_id_id_key;
SELECT instance_env.unguard('two.leaves', true), instance_env.unguard('two.tree', true) \gset
SELECT has_index('two', 'leaf', 'instance_env_leaf_instance_id_id_key', 'a partition''s replica identity stays');
SELECT has_index('two', 'leaf', 'instance_env_leaf_id_idx', 'as does what it is clustered by');
SELECT hasnt_index('two', 'leaf', 'instance_env_leaf_instance_id_idx', 'but no other');

-- partitions that come later, and their indexes: what is only a part goes, what was there stays
CREATE TABLE two.trunk (id integer NOT NULL, instance_id text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE two.twig0 PARTITION OF two.trunk FOR VALUES FROM (0) TO (100);
CREATE INDEX twig_before ON two.twig0 (instance_id);
SELECT count(*) FROM instance_env.guard('two.trunk', user_key => 'id') \gset
CREATE TABLE two.twig1 PARTITION OF two.trunk FOR VALUES FROM (100) TO (200);
CREATE TABLE two.twig2 (id integer NOT NULL, instance_id text NOT NULL);
CREATE INDEX twig_own ON two.twig2 (id);
ALTER TABLE two.trunk ATTACH PARTITION two.twig2 FOR VALUES FROM (200) TO (300);
SELECT instance_env.unguard('two.trunk', true) \gset
SELECT has_index('two', 'twig0', 'twig_before', 'an index that was there before, stays');
SELECT has_index('two', 'twig2', 'twig_own', 'as does one of a table that is attached');
ALTER TABLE two.trunk DETACH PARTITION two.twig0;
ALTER TABLE two.trunk DETACH PARTITION two.twig2;
SELECT instance_env.unguard('two.trunk', true) \gset
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid IN ('two.trunk'::regclass, 'two.twig1'::regclass)), 0::bigint, 'without these, the parts of a new partition go');
SELECT has_index('two', 'twig2', 'twig_own', 'and no other');

-- a table whose names, as PostgreSQL chooses them, look like ours
CREATE TABLE two.orgs (a text, b text, PRIMARY KEY (a, b));
CREATE TABLE two.instance_env_members (id text PRIMARY KEY, instance_id text NOT NULL, email text, org text, FOREIGN KEY (org, email) REFERENCES two.orgs);
CREATE INDEX ON two.instance_env_members (email);
SELECT count(*) FROM instance_env.guard('two.instance_env_members') \gset
SELECT has_index('two', 'instance_env_members', 'instance_env_instance_env_members_instance_id_idx', 'a table called like ours');
SELECT instance_env.unguard('two.instance_env_members', true) \gset
SELECT hasnt_index('two', 'instance_env_members', 'instance_env_instance_env_members_instance_id_idx', 'ours goes');
SELECT has_index('two', 'instance_env_members', 'instance_env_members_email_idx', 'an index of the application''s stays');
SELECT is((SELECT conname FROM pg_constraint WHERE conrelid = 'two.instance_env_members'::regclass AND contype = 'f'), 'instance_env_members_org_email_fkey',
	'as does its foreign key');
-- a long name, and one that has changed
CREATE TABLE two.long_name_of_a_table_that_takes_all_of_the_sixty_three_bytes_xx (instance_id text NOT NULL);
CREATE TABLE two.changes (instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('two.long_name_of_a_table_that_takes_all_of_the_sixty_three_bytes_xx', user_key => '') \gset
SELECT count(*) FROM instance_env.guard('two.changes', user_key => '') \gset
ALTER TABLE two.changes RENAME TO changed;
SELECT instance_env.unguard('two.long_name_of_a_table_that_takes_all_of_the_sixty_three_bytes_xx', true), instance_env.unguard('two.changed', true) \gset
SELECT is((SELECT count(*) FROM pg_index WHERE indrelid IN ('two.changed'::regclass, 'two.long_name_of_a_table_that_takes_all_of_the_sixty_three_bytes_xx'::regclass)),
	0::bigint, 'the indexes of others go');

--
-- A guarded table becomes a partition
--

CREATE TABLE app.old (id text, instance_id text, PRIMARY KEY (instance_id, id));
CREATE TABLE app.tree (id text, instance_id text, PRIMARY KEY (instance_id, id)) PARTITION BY LIST (instance_id);
SELECT count(*) FROM instance_env.guard('app.old') \gset
INSERT INTO app.old VALUES ('u1', 'dev');
SELECT is(pg_temp.outcome('instance_env_owner', $$ALTER TABLE app.tree ATTACH PARTITION app.old FOR VALUES IN ('dev')$$), '42809', 'refused');
SET LOCAL ROLE instance_env_owner;
SAVEPOINT attach;
SELECT instance_env.unguard('app.old', drop_objects => true) \gset
ALTER TABLE app.tree ATTACH PARTITION app.old FOR VALUES IN ('dev');
SELECT lives_ok($$SELECT instance_env.guard('app.tree')$$, 'what the hint says works: unguard(), ATTACH, guard()');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.tree'::regclass), true, 'and the guard is whole');
SELECT throws_ok($$UPDATE app.tree SET id = 'u2', instance_id = 'dev2'$$, '23514', NULL, 'it is at work');
ROLLBACK TO SAVEPOINT attach;
SELECT count(*) FROM instance_env.guard('app.tree') \gset
SELECT is(pg_temp.outcome('instance_env_owner', $$ALTER TABLE app.tree ATTACH PARTITION app.old FOR VALUES IN ('dev')$$), '42809', 'refused by a guarded table, too');
SET LOCAL ROLE instance_env_owner;
SELECT instance_env.unguard('app.old', drop_objects => true) \gset
SELECT lives_ok($$ALTER TABLE app.tree ATTACH PARTITION app.old FOR VALUES IN ('dev')$$, 'unguard() and ATTACH do there');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.tree'::regclass), true, 'and the guard is whole');

-- what the event trigger did not see
RESET ROLE;
CREATE TABLE app.late (id text, instance_id text, PRIMARY KEY (instance_id, id));
CREATE TABLE app.above (id text, instance_id text, PRIMARY KEY (instance_id, id)) PARTITION BY LIST (instance_id);
SELECT count(*) FROM instance_env.guard('app.late') \gset
ALTER EVENT TRIGGER instance_env_watch_ddl DISABLE;
ALTER EVENT TRIGGER instance_env_watch_attach DISABLE;
ALTER TABLE app.above ATTACH PARTITION app.late DEFAULT;
ALTER EVENT TRIGGER instance_env_watch_ddl ENABLE;
ALTER EVENT TRIGGER instance_env_watch_attach ENABLE;
SELECT throws_ok($$SELECT instance_env.guard('app.above')$$, '42809', 'partition "app.late" of table "app.above" has a guard of its own', 'a partition with a guard of its own');
SELECT instance_env.unguard('app.late') \gset
SELECT lives_ok($$SELECT instance_env.guard('app.above')$$, 'without that');

SELECT * FROM finish();
ROLLBACK;
