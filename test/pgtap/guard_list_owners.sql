-- View guards: owners of tables see their own, who monitors sees all
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(26);

CREATE ROLE instance_env_one;
CREATE ROLE instance_env_two;
CREATE ROLE instance_env_member IN ROLE instance_env_one;
CREATE ROLE instance_env_apart NOINHERIT IN ROLE instance_env_one;
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_admin;
CREATE ROLE instance_env_backend;
SELECT count(instance_env.grant_guard(r)) FROM unnest('{instance_env_one,instance_env_two,instance_env_apart,instance_env_member}'::regrole[]) r \gset
SELECT instance_env.grant_monitor('instance_env_monitor') \gset
SELECT instance_env.grant_admin('instance_env_admin') \gset
SELECT instance_env.grant_backend('instance_env_backend') \gset

CREATE SCHEMA one AUTHORIZATION instance_env_one;
CREATE SCHEMA two AUTHORIZATION instance_env_two;
SET LOCAL ROLE instance_env_one;
CREATE TABLE one.users (id integer, instance_id uuid, PRIMARY KEY (instance_id, id)) PARTITION BY HASH (instance_id);
CREATE TABLE one.part PARTITION OF one.users FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE one.members (id integer PRIMARY KEY, instance_id uuid, user_id integer);
SELECT count(*) FROM instance_env.guard('one.users') \gset
SELECT count(*) FROM instance_env.guard('one.members', user_key => 'user_id', counted => false, user_table => 'one.users') \gset
SET LOCAL ROLE instance_env_two;
CREATE TABLE two.secrets (id integer PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('two.secrets') \gset
RESET ROLE;
CREATE TABLE public.instance_env_common (id integer PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('public.instance_env_common') \gset

-- not what other tests have left behind
SELECT set_config('test.first', 'one.users'::regclass::oid::text, true) \gset

CREATE FUNCTION pg_temp.seen_by(role name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	seen text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	SELECT string_agg(relation::text, ' ' ORDER BY relation::text COLLATE "C") INTO seen FROM instance_env.guards
		WHERE relation::oid >= current_setting('test.first')::oid;
	RESET ROLE;
	RETURN seen;
EXCEPTION WHEN insufficient_privilege THEN
	RETURN SQLERRM;
END $$;
CREATE FUNCTION pg_temp.listed_for(role name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	listed text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	SELECT string_agg(g::text, ' ') INTO listed FROM instance_env.guard_list() g;
	RESET ROLE;
	RETURN listed;
END $$;
\set all_tables 'instance_env_common one.members one.users two.secrets'

SELECT is(pg_temp.seen_by(current_user), :'all_tables', 'a superuser sees all');
SELECT is(pg_temp.seen_by('instance_env_monitor'), :'all_tables', 'who monitors does');
SELECT is(pg_temp.seen_by('instance_env_admin'), :'all_tables', 'so does who administrates');
SELECT is(pg_temp.seen_by('instance_env_one'), 'one.members one.users', 'an owner sees its own tables');
SELECT is(pg_temp.seen_by('instance_env_two'), 'two.secrets', 'and not another''s');
SELECT is(pg_temp.seen_by('instance_env_apart'), NULL, 'who can only SET ROLE to it sees none');
SELECT is(pg_temp.seen_by('instance_env_member'), 'one.members one.users', 'who has its rights sees them');
SELECT alike(pg_temp.seen_by('instance_env_backend'), 'permission denied%', 'a backend may not look at all');
SELECT unalike(pg_temp.listed_for('instance_env_one'), '%secrets%', 'nor does any column name another''s table');
SELECT unalike(pg_temp.listed_for('instance_env_two'), '%one.%', 'nor one''s to the other');

-- what it sees is what others see

CREATE FUNCTION pg_temp.row_for(role name, seen regclass) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	SELECT to_jsonb(g) INTO result FROM instance_env.guards g WHERE relation = seen;
	RESET ROLE;
	RETURN result;
END $$;
SELECT is(pg_temp.row_for('instance_env_one', t), pg_temp.row_for('instance_env_monitor', t), t || ': all that who monitors sees')
FROM unnest('{one.users,one.members}'::regclass[]) t;
SELECT is(pg_temp.row_for('instance_env_one', 'one.users') ->> 'whole', 'true', 'its guard is whole');
DROP TRIGGER instance_env_user_cap ON one.users;
SELECT is(pg_temp.row_for('instance_env_one', 'one.users') -> 'problems', '["trigger instance_env_active is missing"]',
	'what is wrong with it');
SELECT is(pg_temp.row_for('instance_env_two', 'one.users'), NULL, 'another owner is not told');

-- somebody else's code, and what changes owners and rights

CREATE FUNCTION two.look() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM instance_env.guards';
ALTER FUNCTION two.look() OWNER TO instance_env_two;
SELECT is(two.look(), 1::bigint, 'in a SECURITY DEFINER function, its owner sees');
CREATE VIEW two.seen AS SELECT relation FROM instance_env.guards;
ALTER VIEW two.seen OWNER TO instance_env_two;
GRANT USAGE ON SCHEMA two TO instance_env_one, instance_env_backend;
GRANT SELECT ON two.seen TO instance_env_one, instance_env_backend;
SET LOCAL ROLE instance_env_one;
SELECT is((SELECT count(*) FROM two.seen), 2::bigint, 'in a view, who asks');
SET LOCAL ROLE instance_env_backend;
SELECT throws_ok('SELECT FROM two.seen', '42501', NULL, 'who must be allowed to');
RESET ROLE;
ALTER TABLE two.secrets OWNER TO instance_env_one;
SELECT is(pg_temp.seen_by('instance_env_two'), NULL, 'a table that is another''s now');
SELECT is(pg_temp.seen_by('instance_env_one'), 'one.members one.users two.secrets', 'is seen by that one');
GRANT instance_env_one TO instance_env_two;
SELECT is(pg_temp.seen_by('instance_env_two'), 'one.members one.users two.secrets', 'with the membership come the tables');
GRANT SELECT ON instance_env.usage TO instance_env_apart;
SELECT is(pg_temp.seen_by('instance_env_apart'), :'all_tables', 'who may read usage, which names them all, sees all here');
SELECT instance_env.revoke_access('instance_env_apart') \gset
SELECT alike(pg_temp.seen_by('instance_env_apart'), 'permission denied%', 'revoke_access() takes it back');
GRANT USAGE ON SCHEMA instance_env TO instance_env_backend;
GRANT SELECT ON instance_env.guards TO instance_env_backend;
SELECT alike(pg_temp.seen_by('instance_env_backend'), 'permission denied%', 'the view alone is not enough');
GRANT EXECUTE ON FUNCTION instance_env.guard_list() TO instance_env_backend;
SELECT is(pg_temp.seen_by('instance_env_backend'), NULL, 'and who owns nothing sees nothing');
SELECT is(pg_temp.listed_for('instance_env_backend'), NULL, 'whatever there is');

SELECT * FROM finish();
ROLLBACK;
