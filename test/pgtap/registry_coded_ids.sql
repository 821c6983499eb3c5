-- Ids that carry their instance: new_user_id(), id_instance(), id_time(), id_belongs(), and
-- that no two instances have one code
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(79);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
\set other '\'d0000000-0000-4000-8000-000000000002\''
\set nowhere '\'d0000000-0000-4000-8000-00000000000f\''
-- pairs of ids with one code: what a search through 2^22 ids finds
\set twin1 '\'c0000000-0000-4000-8000-000000063b50\''
\set twin2 '\'c0000000-0000-4000-8000-0000000806cb\''
\set twin3 '\'c0000000-0000-4000-8000-0000000055c7\''
\set twin4 '\'c0000000-0000-4000-8000-0000001f8092\''
SELECT instance_env.create_application('shop', 'pro', :dev, :prod) \gset
SELECT instance_env.create_application('bank', development_id => :other) \gset
CREATE SCHEMA app;

-- what an id is made of

SELECT clock_timestamp() AS before \gset
SELECT instance_env.new_user_id(:dev) AS id \gset
SELECT is(substr(:'id', 15, 1), '8', 'version 8');
SELECT matches(substr(:'id', 20, 1), '^[89ab]$', 'variant 10');
SELECT ok(instance_env.id_time(:'id') BETWEEN date_trunc('milliseconds', :'before'::timestamptz) AND clock_timestamp(), 'when it was made');
SELECT is(substr(uuid_send(:'id'), 12), substr(sha256(uuid_send(:dev)), 1, 5), 'the code of its instance');
SELECT is((SELECT code FROM instance_env.instance WHERE id = :dev), substr(uuid_send(:'id'), 12), 'which the registry has');
SELECT is(instance_env.id_instance(:'id'), :dev::uuid, 'id_instance()');
SELECT is(instance_env.id_instance(instance_env.new_user_id(:prod)), :prod::uuid, 'of another instance');
SELECT ok(instance_env.id_belongs(:'id', :dev), 'id_belongs()');
SELECT is(instance_env.id_belongs(:'id', :prod), false, 'to no other');
SELECT is(instance_env.id_belongs(:'id', i.id), i.id = :dev, 'asked again') FROM instance_env.instance i WHERE id IN (:dev, :prod) ORDER BY id;
SELECT is((SELECT count(DISTINCT substr(uuid_send(instance_env.new_user_id(:dev)), 9, 3)) > 90 FROM generate_series(1, 100)), true, 'and is random');

-- many in one statement, of two instances in turn

CREATE TEMP TABLE made AS
SELECT n, instance_env.new_user_id(CASE n % 2 WHEN 0 THEN :dev ELSE :other END::uuid) AS id FROM generate_series(1, 100000) n;
SELECT is((SELECT count(DISTINCT id) FROM made), 100000::bigint, '100,000 ids are all different');
SELECT is((SELECT count(DISTINCT substr(uuid_send(id), 1, 8)) FROM made), 100000::bigint, 'by time and counter alone');
SELECT is_empty('SELECT n FROM (SELECT n, id, lag(id) OVER (ORDER BY n) AS previous FROM made) m WHERE id <= previous', 'and ascend');
SELECT is_empty('SELECT n FROM made WHERE instance_env.id_instance(id) IS DISTINCT FROM CASE n % 2 WHEN 0 THEN ''d0000000-0000-4000-8000-000000000001''
	ELSE ''d0000000-0000-4000-8000-000000000002'' END::uuid', 'each is its instance''s');
SELECT ok((SELECT max(instance_env.id_time(id)) <= clock_timestamp() + interval '1 second' FROM made), 'their time is not far ahead');
SELECT ok(instance_env.new_user_id(:dev) > (SELECT id FROM made ORDER BY id DESC LIMIT 1), 'the next statement goes on');

-- bad input

SELECT throws_ok('SELECT instance_env.new_user_id(NULL)', '22004', NULL, 'no instance');
SELECT throws_ok(format('SELECT instance_env.new_user_id(%L)', :nowhere), '23I03', NULL, 'an instance that does not exist');
SELECT throws_ok(format('SELECT instance_env.new_user_id(%L)', instance_env.application_id('shop')), '23I03', NULL, 'an application is none');
SELECT throws_ok($$SELECT instance_env.new_user_id('shop')$$, '22P02', NULL, 'nor is a name');

CREATE TEMP TABLE strange (what text, id uuid);
INSERT INTO strange
SELECT 'version ' || v, overlay(:'id' PLACING to_hex(v) FROM 15)::uuid FROM generate_series(0, 15) v WHERE v <> 8
UNION ALL SELECT 'variant ' || v, overlay(:'id' PLACING to_hex(v) FROM 20)::uuid FROM generate_series(0, 15) v WHERE v NOT BETWEEN 8 AND 11
UNION ALL VALUES ('nil', '00000000-0000-0000-0000-000000000000'::uuid), ('max', 'ffffffff-ffff-ffff-ffff-ffffffffffff'), ('random', gen_random_uuid());
SELECT is_empty('SELECT what FROM strange WHERE instance_env.id_instance(id) IS NOT NULL', 'other versions and variants are of no instance');
SELECT is_empty('SELECT what FROM strange WHERE instance_env.id_time(id) IS NOT NULL', 'and tell no time');
SELECT is_empty('SELECT what FROM strange WHERE instance_env.id_belongs(id, ''d0000000-0000-4000-8000-000000000001'') IS DISTINCT FROM false', 'nor belong to any');
SELECT is(instance_env.id_instance(NULL), NULL, 'NULL is of no instance');
SELECT is(instance_env.id_time(NULL), NULL, 'nor of a time');
SELECT is(instance_env.id_belongs(NULL, :dev), NULL, 'whether it belongs is not known');
SELECT is(instance_env.id_belongs(:'id', NULL), NULL, 'nor to whom');
SELECT is(instance_env.id_time('00000000-0000-8000-8000-000000000000'), '1970-01-01 00:00:00+00', 'the first time');
SELECT is(instance_env.id_time('ffffffff-ffff-8000-8000-000000000000'), '10889-08-02 05:31:50.655+00', 'the last one');
SELECT is(instance_env.id_instance('01a22257-518d-82a0-91e3-2e0000000000'), NULL, 'an id of an unknown instance');
SELECT is(instance_env.id_belongs('01a22257-518d-82a0-91e3-2ea1d4f8ceca', :nowhere), substr(sha256(uuid_send(:nowhere)), 1, 5) = decode('a1d4f8ceca', 'hex'),
	'whether it belongs to one is told without looking');

-- instances come and go

SELECT overlay(:'id' PLACING encode(substr(sha256(uuid_send(:nowhere)), 1, 5), 'hex') FROM 27) AS late \gset
SELECT is(instance_env.id_belongs(:'late', :nowhere), true, 'an id of an instance that does not exist');
SELECT is(instance_env.id_instance(:'late'), NULL, 'is nobody''s');
SAVEPOINT created;
SELECT instance_env.create_application('late', production_id => :nowhere) \gset
SELECT is(instance_env.id_instance(:'late'), :nowhere::uuid, 'until it is created');
SELECT ok(instance_env.id_belongs(instance_env.new_user_id(:nowhere), :nowhere), 'it gets ids before it is promoted');
ROLLBACK TO created;
SELECT is(instance_env.id_instance(:'late'), NULL, 'which can be rolled back');
SELECT throws_ok(format('SELECT instance_env.new_user_id(%L)', :nowhere), '23I03', NULL, 'and then there are no ids for it');
SELECT instance_env.suspend_instance(:other) \gset
SELECT is(instance_env.id_instance(instance_env.new_user_id(:other)), :other::uuid, 'a suspended instance has ids, too');
SELECT instance_env.new_user_id(:other) AS gone \gset
SELECT instance_env.drop_application('bank') \gset
SELECT is(instance_env.id_instance(:'gone'), NULL, 'an id of an instance that has been dropped');
SELECT throws_ok(format('SELECT instance_env.new_user_id(%L)', :other), '23I03', NULL, 'which gets no more');

-- in a CHECK, a generated column, an index, and in parallel

CREATE TABLE app.users (
	id uuid PRIMARY KEY,
	instance_id uuid NOT NULL,
	belongs boolean GENERATED ALWAYS AS (instance_env.id_belongs(id, instance_id)) STORED,
	made timestamptz GENERATED ALWAYS AS (instance_env.id_time(id)) STORED,
	CONSTRAINT coded CHECK (instance_env.id_belongs(id, instance_id)));
CREATE INDEX users_time ON app.users (instance_env.id_time(id));
SELECT lives_ok(format('INSERT INTO app.users VALUES (%L, %L)', :'id', :dev), 'CHECK: an id that belongs');
SELECT throws_ok(format('INSERT INTO app.users VALUES (instance_env.new_user_id(%L), %L)', :dev, :prod), '23514', NULL, 'CHECK: one that does not');
SELECT throws_ok(format('INSERT INTO app.users VALUES (gen_random_uuid(), %L)', :dev), '23514', NULL, 'CHECK: one of another kind');
SELECT throws_ok(format('UPDATE app.users SET instance_id = %L', :prod), '23514', NULL, 'CHECK: another instance');
SELECT results_eq('SELECT belongs, made FROM app.users', format('VALUES (true, instance_env.id_time(%L))', :'id'), 'generated columns');
ALTER TABLE app.users DROP CONSTRAINT coded;
INSERT INTO app.users SELECT instance_env.new_user_id(:dev), CASE n % 10 WHEN 0 THEN :prod ELSE :dev END::uuid FROM generate_series(1, 10000) n;
ANALYZE app.users;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
		plan := plan || line || E'\n';
	END LOOP;
	RETURN plan;
END $$;
SELECT matches(pg_temp.plan('SELECT count(*) FROM app.users WHERE instance_env.id_belongs(id, instance_id)'), 'Parallel Seq Scan.*\n.*\n.*Filter: .*id_belongs',
	'a parallel plan');
SELECT is((SELECT count(*) FROM app.users WHERE instance_env.id_belongs(id, instance_id)), 9001::bigint, 'finds the same');
SELECT is((SELECT count(*) FROM app.users WHERE instance_env.id_time(id) <= clock_timestamp() + interval '1 second'), 10001::bigint, 'and the same times');
SELECT is((SELECT count(*) FROM app.users WHERE instance_env.id_instance(id) = :dev), 10001::bigint, 'id_instance() keeps a query from being parallel');
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SELECT throws_ok('DROP FUNCTION instance_env.id_time(uuid)', '2BP01', NULL, 'what a table needs is not dropped');
SELECT throws_ok('DROP EXTENSION instance_env', '2BP01', NULL, 'nor is the extension');
DROP TABLE app.users;
SELECT set_eq($$SELECT concat_ws(' ', oid::regprocedure, provolatile, proparallel) FROM pg_proc WHERE pronamespace = 'instance_env'::regnamespace
		AND proname IN ('new_user_id', 'id_instance', 'id_time', 'id_belongs') $$,
	ARRAY['instance_env.id_belongs(uuid,uuid) i s', 'instance_env.id_instance(uuid) s u', 'instance_env.id_time(uuid) i s',
		'instance_env.new_user_id() v u', 'instance_env.new_user_id(uuid) v u'], 'volatility');

-- who may

CREATE ROLE instance_env_nobody;
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_guard;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.grant_monitor('instance_env_monitor'), instance_env.grant_guard('instance_env_guard') \gset
CREATE TABLE app.filled (id uuid DEFAULT instance_env.new_user_id('d0000000-0000-4000-8000-000000000001'), instance_id uuid,
	CHECK (instance_env.id_belongs(id, 'd0000000-0000-4000-8000-000000000001')));
CREATE TABLE app.unknown (id uuid DEFAULT instance_env.new_user_id('d0000000-0000-4000-8000-00000000000f'), instance_id uuid);
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT SELECT, INSERT ON app.filled, app.unknown TO PUBLIC;
CREATE FUNCTION pg_temp.as(role name, command text, OUT answer text) LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command INTO answer;
	RESET ROLE;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	answer := SQLSTATE || ' ' || hint;
END $$;
SELECT is(pg_temp.as('instance_env_nobody', 'INSERT INTO app.filled VALUES (DEFAULT), (DEFAULT) RETURNING instance_env.id_time(id) IS NOT NULL'), '42501 ',
	'who may not use the schema cannot name a function');
SELECT is(pg_temp.as('instance_env_nobody', 'INSERT INTO app.filled VALUES (DEFAULT) RETURNING true'), 'true', 'but has it as a default');
SELECT is(pg_temp.as('instance_env_nobody', 'INSERT INTO app.unknown VALUES (DEFAULT) RETURNING true'), '23I03 ', 'which may fail, with no word about what there is');
SELECT is(pg_temp.as(r, format('SELECT instance_env.id_belongs(instance_env.new_user_id(%L), %1$L) AND instance_env.id_time(%L) IS NOT NULL', :dev, :'id')), 'true',
	r || ' may make ids') FROM unnest('{instance_env_backend,instance_env_monitor,instance_env_guard}'::text[]) r;
SELECT is(pg_temp.as('instance_env_backend', format('SELECT instance_env.id_instance(%L)', :'id')), :dev, 'a backend may ask whose an id is');
SELECT is(pg_temp.as('instance_env_monitor', format('SELECT instance_env.id_instance(%L)', :'id')), :dev, 'so may a monitor');
SELECT is(pg_temp.as('instance_env_guard', format('SELECT instance_env.id_instance(%L)', :'id')), '42501 ', 'who guards tables may not');

-- no two instances have one code

SELECT is((SELECT count(DISTINCT substr(sha256(uuid_send(i)), 1, 5)) FROM unnest(ARRAY[:twin1, :twin2]::uuid[]) i), 1::bigint, 'two ids have one code');
SELECT throws_ok(format('SELECT instance_env.create_application(''twins'', development_id => %L, production_id => %L)', :twin1, :twin2), '23505', NULL,
	'not in one application');
SELECT lives_ok(format('SELECT instance_env.create_application(''twins'', development_id => %L, production_id => %L)', :twin1, :twin3), 'one of each');
SELECT throws_ok(format('SELECT instance_env.create_application(''x'', development_id => %L)', :twin2), '23505', NULL, 'development like development');
SELECT throws_ok(format('SELECT instance_env.create_application(''x'', production_id => %L)', :twin2), '23505', NULL, 'production like development');
SELECT throws_ok(format('SELECT instance_env.create_application(''x'', development_id => %L)', :twin4), '23505', NULL, 'development like production');
SELECT throws_ok(format('SELECT instance_env.adopt_application(''x'', production_id => %L)', :twin4), '23505', NULL, 'adopted');
SELECT throws_ok(format('SELECT instance_env.create_application(''x'', development_id => %L)', :twin1), '23505', format('instance "%s" already exists', :twin1), 'the very same');
SELECT is(instance_env.application_id('x'), NULL, 'none of these has left an application');
SELECT throws_ok(format('INSERT INTO instance_env.instance (id, application, type, status, external_key) VALUES (%L, gen_random_uuid(), ''production'', ''active'', ''x'')', :twin2),
	'23505', NULL, 'not even a superuser makes one');
SELECT throws_ok(format('SET LOCAL session_replication_role = replica;
	INSERT INTO instance_env.instance (id, application, type, status, external_key) VALUES (%L, gen_random_uuid(), ''production'', ''active'', ''x'')', :twin2),
	'23505', NULL, 'nor does replication');
SELECT throws_ok('UPDATE instance_env.instance SET code = ''''', '428C9', NULL, 'and a code is not set by hand');
SELECT lives_ok('SELECT instance_env.create_staging_application(''twins'', ''twins.example.com'')', 'generated ids are free to be chosen');
SELECT instance_env.new_user_id(:twin1) AS id1 \gset
SELECT lives_ok($$SELECT instance_env.drop_application('twins staging'), instance_env.drop_application('twins')$$, 'a dropped application');
SELECT lives_ok(format('SELECT instance_env.create_application(''x'', development_id => %L)', :twin2), 'frees its codes');
SELECT is(instance_env.id_instance(:'id1'), :twin2::uuid, 'and its ids are those of the new one');

SELECT * FROM finish();
ROLLBACK;
