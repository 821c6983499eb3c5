-- isolate() and unisolate(): what a role sees and writes of tables with every type of
-- instance column, of partitions made before and after, what is made, found and repaired,
-- and what view guards says.
SET client_min_messages = error;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(350);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
\set blog '\'d0000000-0000-4000-8000-000000000002\''
SELECT instance_env.create_application('shop', development_id => :dev, production_id => :prod,
	development_key => '7', production_key => '8') \gset
SELECT instance_env.create_application('blog', development_id => :blog, development_key => '007') \gset
UPDATE instance_env.instance SET status = 'active';

CREATE ROLE instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE ROLE instance_env_backend;
SELECT instance_env.grant_backend('instance_env_backend') \gset
SELECT instance_env.allow_instance('instance_env_backend'), instance_env.allow_instance('instance_env_owner') \gset
GRANT EXECUTE ON FUNCTION instance_env.enter(uuid, boolean), instance_env.leave() TO instance_env_owner;
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
GRANT CREATE ON DATABASE :"DBNAME" TO instance_env_owner;
GRANT USAGE ON SCHEMA app TO instance_env_backend;

CREATE FUNCTION pg_temp.run_as(role name, command text, instance uuid DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	IF instance IS NOT NULL THEN
		PERFORM instance_env.enter(instance, true);
	END IF;
	EXECUTE command;
	PERFORM instance_env.leave();
	RESET ROLE;
END $$;
CREATE FUNCTION pg_temp.owner(command text, instance uuid DEFAULT NULL) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_owner', $1, $2)$$;
CREATE FUNCTION pg_temp.backend(command text, instance uuid DEFAULT NULL) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_backend', $1, $2)$$;
-- what a role sees of a table, having entered an instance
CREATE FUNCTION pg_temp.seen(relation text, instance uuid, role name DEFAULT 'instance_env_backend') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	IF instance IS NOT NULL THEN
		PERFORM instance_env.enter(instance, true);
	END IF;
	EXECUTE format('SELECT string_agg(id, '' '' ORDER BY id COLLATE "C") FROM %s', relation) INTO result;
	PERFORM instance_env.leave();
	RESET ROLE;
	RETURN result;
END $$;
CREATE FUNCTION pg_temp.isolated(relation regclass) RETURNS text LANGUAGE sql AS
$$SELECT g.isolated FROM instance_env.guards g WHERE g.relation = $1$$;
CREATE FUNCTION pg_temp.state(relation regclass) RETURNS text LANGUAGE sql AS
$$SELECT concat_ws(' ', CASE WHEN relrowsecurity THEN 'enabled' END, CASE WHEN relforcerowsecurity THEN 'forced' END,
	(SELECT string_agg(p.polname, ' ' ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid)) FROM pg_class c WHERE c.oid = $1$$;

-- every type of instance column

SET LOCAL ROLE instance_env_owner;
CREATE DOMAIN app.uuid_domain AS uuid;
CREATE DOMAIN app.text_domain AS text;
CREATE DOMAIN app.int_domain AS integer CHECK (VALUE > 0);
CREATE TABLE app.by_uuid (id text, instance_id uuid);
CREATE TABLE app.by_uuid_domain (id text, instance_id app.uuid_domain);
CREATE TABLE app.by_text (id text, instance_id text COLLATE "C");
CREATE TABLE app.by_text_domain (id text, instance_id app.text_domain);
CREATE TABLE app.by_varchar (id text, instance_id varchar(21));
CREATE TABLE app.by_char (id text, instance_id char(10));
CREATE TABLE app.by_smallint (id text, instance_id smallint);
CREATE TABLE app.by_integer (id text, instance_id integer);
CREATE TABLE app.by_int_domain (id text, instance_id app.int_domain);
CREATE TABLE app.by_bigint (id text, instance_id bigint);
CREATE TABLE app.by_generated (id text, tenant text, instance_id text GENERATED ALWAYS AS (tenant) STORED);
CREATE TABLE app."a ""table"", quoted" (id text, "the ""instance""" uuid);
RESET ROLE;
CREATE TEMP TABLE kinds AS
SELECT c.oid::regclass AS t, a.attname AS instance_column, a.attname = 'instance_id' AND c.relname NOT LIKE '%uuid%' AS by_key
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND (a.attname = 'instance_id' OR a.attname LIKE 'the%')
WHERE c.relnamespace = 'app'::regnamespace AND c.relkind = 'r';
GRANT SELECT ON kinds TO PUBLIC;
SELECT count(*) FROM kinds, LATERAL instance_env.guard(t, instance_column) \gset
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO instance_env_backend;
DO $$
DECLARE
	k record;
	n integer := 0;
BEGIN
	FOR k IN SELECT * FROM kinds LOOP
		EXECUTE format('INSERT INTO %s (id, %s) VALUES (''d'', ''%s''), (''p'', ''%s'')', k.t,
			CASE WHEN k.t::text = 'app.by_generated' THEN 'tenant' ELSE quote_ident(k.instance_column) END,
			CASE WHEN k.by_key THEN '7' ELSE 'd0000000-0000-4000-8000-000000000001' END,
			CASE WHEN k.by_key THEN '8' ELSE 'a0000000-0000-4000-8000-000000000001' END);
	END LOOP;
END $$;
SELECT is(count(*), 12::bigint, 'twelve tables') FROM kinds;
SELECT is(pg_temp.seen(t::text, NULL), 'd p', t || ': before, a role sees all') FROM kinds;
SELECT is(pg_temp.isolated(t), 'no', t || ': not isolated') FROM kinds;
SELECT lives_ok(format('SELECT pg_temp.owner(%L)', format('SELECT instance_env.isolate(%L)', t)), t || ': isolate() by its owner') FROM kinds;
SELECT is(pg_temp.isolated(t), 'rows', t || ': isolated') FROM kinds;
SELECT is(pg_temp.seen(t::text, NULL), NULL, t || ': no instance, no row') FROM kinds;
SELECT is(pg_temp.seen(t::text, :dev), 'd', t || ': development') FROM kinds;
SELECT is(pg_temp.seen(t::text, :prod), 'p', t || ': production') FROM kinds;
SELECT is(pg_temp.seen(t::text, :blog), NULL, t || ': key 007 is not key 7') FROM kinds;
SELECT is(pg_temp.seen(t::text, :dev, 'instance_env_owner'), 'd p', t || ': its owner sees all') FROM kinds;
SELECT throws_ok(format('SELECT pg_temp.backend(%L, %L)', format('INSERT INTO %s (id, %s) VALUES (''x'', ''%s'')', t,
	CASE WHEN t::text = 'app.by_generated' THEN 'tenant' ELSE quote_ident(instance_column) END, CASE WHEN by_key THEN '8' ELSE :prod END), :dev),
	'42501', NULL, t || ': INSERT of another instance''s row') FROM kinds;
SELECT lives_ok(format('SELECT pg_temp.backend(%L, %L)', format('INSERT INTO %s (id, %s) VALUES (''e'', ''%s'')', t,
	CASE WHEN t::text = 'app.by_generated' THEN 'tenant' ELSE quote_ident(instance_column) END, CASE WHEN by_key THEN '7' ELSE :dev END), :dev),
	t || ': INSERT') FROM kinds;
SELECT lives_ok(format('SELECT pg_temp.backend(%L, %L)', format('DELETE FROM %s', t), :dev), t || ': DELETE') FROM kinds;
SELECT is(pg_temp.seen(t::text, NULL, 'instance_env_owner'), 'p', t || ': deletes only what it sees') FROM kinds;

-- keys that no column of the type can contain

SELECT is(instance_env.external_key_bigint(key), n, 'as a number: ' || quote_literal(key))
FROM (VALUES ('7', 7::bigint), ('007', NULL), ('+7', NULL), (' 7', NULL), ('7 ', NULL), ('-7', -7), ('-0', NULL), ('', NULL), ('seven', NULL), ('7.0', NULL), ('1e1', NULL),
	('9223372036854775807', 9223372036854775807), ('9223372036854775808', NULL), (repeat('7', 1000000), NULL), ('７', NULL)) v (key, n);
SELECT is(instance_env.external_key_char(key)::text, c, 'padded: ' || quote_literal(left(key, 10)))
FROM (VALUES ('a', 'a'), ('a ', NULL), ('', ''), (' a', ' a'), ('ü', 'ü'), (E'a\n', E'a\n'), (repeat('x', 1000000), repeat('x', 1000000))) v (key, c);
SELECT is(instance_env.external_key_bigint(NULL), NULL, 'NULL as a number');
SELECT is(instance_env.external_key_char(NULL), NULL, 'NULL, padded');

-- what is made, found and repaired

SELECT instance_env.unisolate(t) FROM kinds \g /dev/null
SELECT is(pg_temp.isolated(t), 'no', t || ': unisolate()') FROM kinds;
SELECT is(pg_temp.state(t), '', t || ': nothing is left') FROM kinds;
SELECT is(pg_temp.seen(t::text, NULL), 'p', t || ': a role sees all again') FROM kinds;

SELECT results_eq($$SELECT object, name, on_table::text, action FROM instance_env.isolate('app.by_uuid')$$,
	$$VALUES ('policy', 'instance_env_isolation', 'app.by_uuid', 'created'), ('policy', 'instance_env_access', 'app.by_uuid', 'created'),
	('row-level security', 'of others', 'app.by_uuid', 'enabled')$$, 'what isolate() makes');
SELECT results_eq($$SELECT name, action FROM instance_env.isolate('app.by_uuid')$$,
	$$VALUES ('instance_env_isolation', 'found'), ('instance_env_access', 'found'), ('of others', 'found')$$, 'and finds');
SELECT results_eq($$SELECT name, action FROM instance_env.isolate('app.by_uuid', owner => true)$$,
	$$VALUES ('instance_env_isolation_owner', 'found'), ('instance_env_access', 'found'), ('of others', 'found'), ('of the owner', 'enabled')$$,
	'from the owner, too');
SELECT is(pg_temp.isolated('app.by_uuid'), 'owner', 'view guards says so');
SELECT is(pg_temp.seen('app.by_uuid', NULL, 'instance_env_owner'), NULL, 'the owner sees nothing');
SELECT is(pg_temp.seen('app.by_uuid', :prod, 'instance_env_owner'), 'p', 'but the instance that was entered');
SELECT count(*) FROM instance_env.isolate('app.by_uuid') \gset
SELECT is(pg_temp.isolated('app.by_uuid'), 'owner', 'isolate() without owner takes nothing back');

CREATE FUNCTION pg_temp.problems() RETURNS text LANGUAGE sql AS
$$SELECT isolated || ': ' || array_to_string(problems, '; ') FROM instance_env.guards WHERE relation = 'app.by_uuid'::regclass$$;
ALTER TABLE app.by_uuid NO FORCE ROW LEVEL SECURITY;
SELECT is(pg_temp.problems(), 'partly: the isolation is not complete: row-level security is not forced on the owner', 'not forced');
ALTER TABLE app.by_uuid DISABLE ROW LEVEL SECURITY;
SELECT is(pg_temp.problems(), 'partly: the isolation is not complete: row-level security is disabled', 'disabled');
SELECT count(*) FROM instance_env.isolate('app.by_uuid') \gset
SELECT is(pg_temp.problems(), 'owner: ', 'repaired');
SELECT is(whole, true, 'whole') FROM instance_env.guards WHERE relation = 'app.by_uuid'::regclass;
ALTER POLICY instance_env_isolation_owner ON app.by_uuid USING (true);
SELECT is(pg_temp.problems(), 'partly: the isolation is not complete: policy "instance_env_isolation_owner" has been altered', 'altered');
SELECT is(whole, false, 'not whole') FROM instance_env.guards WHERE relation = 'app.by_uuid'::regclass;
SELECT is(count(*), 0::bigint, 'validate() does not mind') FROM instance_env.validate('shop')
WHERE NOT passed AND message ~ 'isolation';
SELECT results_eq($$SELECT name, action FROM instance_env.isolate('app.by_uuid')$$,
	$$VALUES ('instance_env_isolation_owner', 'replaced'), ('instance_env_access', 'found'), ('of others', 'found'), ('of the owner', 'found')$$,
	'replaced');
SELECT instance_env.unisolate('app.by_uuid') \g /dev/null
SELECT is(pg_temp.state('app.by_uuid'), '', 'what was forced is so no more');

-- what else is not what isolate() makes
CREATE FUNCTION pg_temp.other_instance() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT NULL::uuid';
CREATE FUNCTION pg_temp.altered(alteration text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM instance_env.isolate('app.by_uuid');
	EXECUTE alteration;
	result := pg_temp.isolated('app.by_uuid');
	PERFORM instance_env.isolate('app.by_uuid');
	RETURN result || ' ' || pg_temp.isolated('app.by_uuid');
END $$;
SELECT is(pg_temp.altered(a), 'partly rows', a) FROM (VALUES
	('ALTER POLICY instance_env_isolation ON app.by_uuid TO instance_env_backend'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid WITH CHECK (true)'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid USING (true)'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid USING (instance_id = instance_env.current_instance())'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid USING (instance_id <> (SELECT instance_env.current_instance()))'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid USING (instance_id = (SELECT instance_env.current_instance() LIMIT 0))'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid USING (instance_id = (SELECT instance_env.current_instance() WHERE false))'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid USING (instance_id = (SELECT pg_temp.other_instance()))'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid USING (instance_id = (SELECT instance_env.current_instance()) OR id = ''p'')'),
	('ALTER POLICY instance_env_isolation ON app.by_uuid USING (instance_id::text = (SELECT instance_env.current_instance_key()))'),
	('DROP POLICY instance_env_isolation ON app.by_uuid'),
	('DROP POLICY instance_env_isolation ON app.by_uuid; CREATE POLICY instance_env_isolation ON app.by_uuid USING (true)'),
	('DROP POLICY instance_env_isolation ON app.by_uuid; CREATE POLICY instance_env_isolation ON app.by_uuid AS RESTRICTIVE FOR SELECT USING (instance_id = (SELECT instance_env.current_instance()))')) v (a);
SELECT is(pg_temp.altered(a), 'rows rows', a) FROM (VALUES
	('ALTER POLICY instance_env_isolation ON app.by_uuid RENAME TO another'),
	('ALTER POLICY instance_env_access ON app.by_uuid USING (true)'),
	('CREATE POLICY wide ON app.by_uuid USING (true)'),
	('ALTER TABLE app.by_uuid RENAME TO renamed; ALTER TABLE app.renamed RENAME instance_id TO i; ALTER TABLE app.renamed RENAME i TO instance_id; ALTER TABLE app.renamed RENAME TO by_uuid')) v (a);
SELECT is(pg_temp.seen('app.by_uuid', NULL), NULL, 'no permissive policy widens it');
SELECT is(pg_temp.seen('app.by_uuid', :prod), 'p', 'nor narrows it');
SELECT instance_env.unisolate('app.by_uuid') \g /dev/null
SELECT is(pg_temp.state('app.by_uuid'), 'enabled instance_env_access wide', 'what isolate() has not made stays, and so does row-level security');

-- tables with row-level security of their own

CREATE TABLE app.own (id text, instance_id uuid, owned_by text DEFAULT current_user);
ALTER TABLE app.own OWNER TO instance_env_owner;
GRANT ALL ON app.own TO instance_env_backend;
INSERT INTO app.own VALUES ('d1', :dev, 'instance_env_backend'), ('d2', :dev, 'somebody'), ('p1', :prod, 'instance_env_backend');
SELECT count(*) FROM instance_env.guard('app.own') \gset
ALTER TABLE app.own ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM instance_env.isolate('app.own', true) \gset
SELECT is(pg_temp.seen('app.own', :dev), NULL, 'row-level security without a policy: still nobody sees a row');
CREATE POLICY mine ON app.own USING (owned_by = current_user);
SELECT count(*) FROM instance_env.isolate('app.own', true) \gset
SELECT is(pg_temp.seen('app.own', :dev), 'd1', 'a policy of one''s own and the isolation');
SELECT is(pg_temp.seen('app.own', NULL), NULL, 'none entered');
SELECT is(pg_temp.state('app.own'), 'enabled forced instance_env_isolation mine', 'no permissive policy is added');
SELECT instance_env.unisolate('app.own') \g /dev/null
SELECT is(pg_temp.state('app.own'), 'enabled forced mine', 'unisolate() leaves all that was there');
SELECT is(pg_temp.seen('app.own', NULL), 'd1 p1', 'and nothing else');
ALTER TABLE app.own DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM instance_env.isolate('app.own') \gset
SELECT is(pg_temp.seen('app.own', :dev), 'd1', 'a policy that was asleep');
SELECT instance_env.unisolate('app.own') \g /dev/null
SELECT is(pg_temp.state('app.own'), 'enabled mine', 'stays awake');

-- partitions

SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.users (region text, id text, note text, instance_id text) PARTITION BY LIST (region);
CREATE TABLE app.users_eu PARTITION OF app.users FOR VALUES IN ('eu');
CREATE TABLE app.users_rest (instance_id text, id text, region text, note text) PARTITION BY LIST (region);
CREATE TABLE app.users_us PARTITION OF app.users_rest FOR VALUES IN ('us');
ALTER TABLE app.users ATTACH PARTITION app.users_rest DEFAULT;
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.isolate('app.users') \gset
CREATE TABLE app.users_as PARTITION OF app.users FOR VALUES IN ('as');
CREATE TABLE app.users_au (note text, region text, instance_id text, id text);
ALTER TABLE app.users_rest ATTACH PARTITION app.users_au FOR VALUES IN ('au');
CREATE TABLE app.users_af (note text, region text, instance_id text, id text) PARTITION BY LIST (region);
CREATE TABLE app.users_ke PARTITION OF app.users_af FOR VALUES IN ('ke');
ALTER TABLE app.users ATTACH PARTITION app.users_af FOR VALUES IN ('ke');
CREATE SCHEMA later CREATE TABLE users_aq PARTITION OF app.users FOR VALUES IN ('aq');
GRANT ALL ON ALL TABLES IN SCHEMA app TO instance_env_backend;
RESET ROLE;
INSERT INTO app.users (region, id, instance_id) SELECT r, i || r, CASE i WHEN 'd' THEN '7' ELSE '8' END
FROM unnest('{eu,us,as,au,ke}'::text[]) r, unnest('{d,p}'::text[]) i;
SELECT is(pg_temp.isolated('app.users'), 'rows', 'all partitions are isolated, those that were added since, too');
SELECT is(pg_temp.state(relid), 'enabled instance_env_access instance_env_isolation', relid::text) FROM pg_partition_tree('app.users');
SELECT is(pg_temp.seen(relid::text, NULL), NULL, relid || ': none entered') FROM pg_partition_tree('app.users') WHERE relid::text NOT LIKE 'later%';
SELECT is(pg_temp.seen(relid::text, :dev) ~ 'p', false, relid || ': nothing of production')
FROM pg_partition_tree('app.users') WHERE relid::text NOT LIKE 'later%';
SELECT is(pg_temp.seen('app.users', :prod), 'pas pau peu pke pus', 'all that was entered');
SELECT is(pg_temp.seen('app.users_us', :prod), 'pus', 'of a partition');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users_au (region, id, instance_id) VALUES ('au', 'x', '8')$q$, 'd0000000-0000-4000-8000-000000000001')$$,
	'42501', NULL, 'INSERT into a partition');
SELECT lives_ok($$SELECT pg_temp.owner('ALTER TABLE app.users DETACH PARTITION app.users_as')$$, 'DETACH');
SELECT is(pg_temp.seen('app.users_as', :dev), 'das', 'a partition that was detached stays isolated');
SELECT lives_ok($$SELECT pg_temp.owner($q$ALTER TABLE app.users ATTACH PARTITION app.users_as FOR VALUES IN ('as')$q$)$$, 'ATTACH again');
SELECT is(pg_temp.isolated('app.users'), 'rows', 'it is what it was');
SELECT count(*) FROM instance_env.isolate('app.users', true) \gset
SELECT lives_ok($$SELECT pg_temp.owner($q$CREATE TABLE app.users_mx PARTITION OF app.users_rest FOR VALUES IN ('mx')$q$)$$, 'a partition of a forced table');
SELECT is(pg_temp.state('app.users_mx'), 'enabled forced instance_env_access instance_env_isolation_owner', 'is forced, too');
SELECT is(pg_temp.isolated('app.users'), 'owner', 'so is all of it');
ALTER TABLE app.users_us DISABLE ROW LEVEL SECURITY;
DROP POLICY instance_env_isolation_owner ON app.users_eu;
SELECT is(isolated || ': ' || array_to_string(problems, '; '), 'partly: the isolation of partition "app.users_eu" is not complete: the policy is missing; '
	'the isolation of partition "app.users_us" is not complete: row-level security is disabled', 'what is missing of partitions')
FROM instance_env.guards WHERE relation = 'app.users'::regclass;
SELECT count(*) FROM instance_env.isolate('app.users') \gset
SELECT is(pg_temp.isolated('app.users'), 'owner', 'repaired');

-- partitions that a member of the owner's makes, and that a superuser attaches

CREATE ROLE instance_env_member IN ROLE instance_env_owner;
GRANT CREATE ON SCHEMA app TO instance_env_member;
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_member', $q$CREATE TABLE app.users_br PARTITION OF app.users_rest FOR VALUES IN ('br')$q$)$$, 'by a member of the owner''s');
SELECT is(pg_temp.state('app.users_br'), 'enabled forced instance_env_access instance_env_isolation_owner', 'isolated');
CREATE TABLE app.users_cl (LIKE app.users);
ALTER TABLE app.users_cl OWNER TO instance_env_member;
ALTER TABLE app.users_cl ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.users_cl USING (id <> 'x');
SELECT lives_ok($$ALTER TABLE app.users_rest ATTACH PARTITION app.users_cl FOR VALUES IN ('cl')$$, 'by a superuser');
SELECT is(pg_temp.state('app.users_cl'), 'enabled forced instance_env_isolation_owner own', 'isolated, with a policy of its own');
SELECT is(pg_temp.isolated('app.users'), 'owner', 'so is all of it');
ALTER TABLE app.users DETACH PARTITION app.users_eu;
SELECT lives_ok($$SELECT instance_env.unisolate('app.users_eu')$$, 'unisolate() of one that was detached');
ALTER TABLE app.users_eu ENABLE ROW LEVEL SECURITY;
CREATE POLICY instance_env_isolation ON app.users_eu AS RESTRICTIVE USING (false);
ALTER TABLE app.users ATTACH PARTITION app.users_eu FOR VALUES IN ('eu');
SELECT is(pg_temp.state('app.users_eu'), 'enabled forced instance_env_isolation_owner', 'a policy that has the name of one of its own is replaced');
SELECT is(pg_temp.isolated('app.users'), 'owner', 'and so is all of it');
DROP TABLE app.users_br, app.users_cl;
ALTER TABLE app.users_eu DISABLE ROW LEVEL SECURITY;

-- a partition of another role's

CREATE ROLE instance_env_other;
SELECT instance_env.unisolate('app.users') \g /dev/null
SELECT is(sum((pg_temp.state(relid) <> '')::integer), 0::bigint, 'unisolate() undoes it on all partitions') FROM pg_partition_tree('app.users');
ALTER TABLE app.users_eu OWNER TO instance_env_other;
SELECT throws_ok($$SELECT pg_temp.owner($q$SELECT instance_env.isolate('app.users')$q$)$$, '42501',
	'partition "app.users_eu" of table "app.users" belongs to another role', 'isolate() of a stranger''s partition');
ALTER TABLE app.users_eu OWNER TO instance_env_owner;

-- guards that change

SELECT count(*) FROM instance_env.isolate('app.users') \gset
SELECT throws_ok($$SELECT instance_env.isolate('app.users_eu')$$, '42809', 'table "app.users_eu" is a partition of table "app.users"', 'isolate() of a partition');
SELECT throws_ok($$SELECT instance_env.unisolate('app.users_eu')$$, '42809', 'table "app.users_eu" is a partition of table "app.users"', 'unisolate() of a partition');
SELECT instance_env.unguard('app.users') \g /dev/null
SELECT is(pg_temp.seen('app.users_us', :dev), 'dus', 'without its guard a table stays isolated');
SELECT lives_ok($$SELECT pg_temp.owner($q$CREATE TABLE app.users_ar PARTITION OF app.users_rest FOR VALUES IN ('ar')$q$)$$, 'and so do');
SELECT is(pg_temp.state('app.users_ar'), 'enabled instance_env_access instance_env_isolation', 'new partitions');
UPDATE app.users SET note = '7';
SELECT count(*) FROM instance_env.guard('app.users', 'note') \gset
SELECT is(isolated || ': ' || problems[1], 'partly: the isolation is not complete: the policy compares another column', 'another instance column')
FROM instance_env.guards WHERE relation = 'app.users'::regclass;
SELECT count(*) FROM instance_env.isolate('app.users') \gset
SELECT is(pg_temp.isolated('app.users'), 'rows', 'isolate() by that one');
SELECT is(pg_temp.seen('app.users_us', :dev), 'dus pus', 'shows what that says');
SELECT instance_env.unguard('app.users') \g /dev/null
SELECT lives_ok($$SELECT pg_temp.owner($q$SELECT instance_env.unisolate('app.users')$q$)$$, 'unisolate() without a guard');
SELECT is(sum((pg_temp.state(relid) <> '')::integer), 0::bigint, 'of all partitions') FROM pg_partition_tree('app.users');

-- what cannot be isolated, and by whom

SELECT throws_ok($$SELECT instance_env.isolate('app.users')$$, '55000', 'table "app.users" is not guarded', 'a table that is not guarded');
CREATE VIEW app.a_view AS SELECT * FROM app.users;
SELECT throws_ok($$SELECT instance_env.isolate('app.a_view')$$, '55000', NULL, 'a view');
SELECT throws_ok($$SELECT instance_env.isolate(1)$$, '42P01', NULL, 'no table');
SELECT throws_ok($$SELECT instance_env.unisolate(1)$$, '42P01', NULL, 'no table to unisolate');
SELECT throws_ok($$SELECT instance_env.isolate(NULL)$$, '22004', NULL, 'NULL');
SELECT throws_ok($$SELECT instance_env.isolate('app.by_text', NULL)$$, '22004', NULL, 'neither for the owner nor not');
SELECT throws_ok($$SELECT instance_env.unisolate(NULL)$$, '22004', NULL, 'unisolate(): NULL');
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT instance_env.isolate('app.by_text')$q$)$$, '42501', NULL, 'a role that may not guard');
SELECT instance_env.grant_guard('instance_env_other') \gset
GRANT USAGE ON SCHEMA app TO instance_env_other;
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_other', $q$SELECT instance_env.isolate('app.by_text')$q$)$$, '42501', NULL, 'one whose table it is not');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_other', $q$SELECT instance_env.unisolate('app.by_text')$q$)$$, '42501', NULL, 'nor may it undo it');
SELECT throws_ok($$SELECT instance_env.isolate('app.by_text') FROM app.by_text$$, '55006', NULL, 'a table in use');
SELECT lives_ok($$SELECT instance_env.unisolate('app.by_text')$$, 'nothing to undo');

-- the audit log

SELECT count(*) FROM instance_env.isolate('app.by_text', true) \gset
SELECT instance_env.unisolate('app.by_text') \g /dev/null
SELECT results_eq($$SELECT action, item, after - 'made' FROM instance_env.events WHERE action LIKE '%isolate' ORDER BY id DESC LIMIT 2$$,
	$$VALUES ('unisolate', 'app.by_text', NULL), ('isolate', 'app.by_text', '{"owner": true, "instance_column": "instance_id"}'::jsonb)$$, 'is told');

-- a default fills the column in

SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.filled (id text, instance_id uuid NOT NULL DEFAULT instance_env.current_instance());
CREATE TABLE app.filled_key (id text, instance_id text NOT NULL DEFAULT instance_env.current_instance_key());
CREATE TABLE app.filled_number (id text, instance_id integer NOT NULL DEFAULT instance_env.external_key_bigint(instance_env.current_instance_key()));
RESET ROLE;
GRANT ALL ON app.filled, app.filled_key, app.filled_number TO instance_env_backend;
SELECT count(*) FROM unnest('{app.filled,app.filled_key,app.filled_number}'::regclass[]) t, LATERAL instance_env.guard(t) \gset
SELECT lives_ok(format($$SELECT pg_temp.backend('INSERT INTO %s (id) VALUES (''d'')', 'd0000000-0000-4000-8000-000000000001')$$, t), t || ': filled in')
FROM unnest('{app.filled,app.filled_key,app.filled_number}'::regclass[]) t;
SELECT throws_ok(format($$SELECT pg_temp.backend('INSERT INTO %s (id) VALUES (''d'')')$$, t), '23502', NULL, t || ': none entered')
FROM unnest('{app.filled,app.filled_key,app.filled_number}'::regclass[]) t;
SELECT count(*) FROM unnest('{app.filled,app.filled_key,app.filled_number}'::regclass[]) t, LATERAL instance_env.isolate(t) \gset
SELECT lives_ok(format($$SELECT pg_temp.backend('INSERT INTO %s (id) VALUES (''e'')', 'd0000000-0000-4000-8000-000000000001')$$, t), t || ': filled in, isolated')
FROM unnest('{app.filled,app.filled_key,app.filled_number}'::regclass[]) t;
SELECT throws_ok(format($$SELECT pg_temp.backend('INSERT INTO %s (id) VALUES (''d'')')$$, t), '42501', NULL, t || ': none entered, isolated')
FROM unnest('{app.filled,app.filled_key,app.filled_number}'::regclass[]) t;
SELECT is(pg_temp.seen(t::text, :dev), 'd e', t || ': what is there') FROM unnest('{app.filled,app.filled_key,app.filled_number}'::regclass[]) t;
SELECT is(pg_temp.seen(t::text, :prod), NULL, t || ': what is not') FROM unnest('{app.filled,app.filled_key,app.filled_number}'::regclass[]) t;

SELECT * FROM finish();
ROLLBACK;
