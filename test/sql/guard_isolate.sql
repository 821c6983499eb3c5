--
-- isolate() and unisolate(): what they make and say
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE isolation_owner;
CREATE ROLE isolation_other;
CREATE SCHEMA isolation_test;
GRANT USAGE ON SCHEMA isolation_test TO isolation_owner;
SET search_path = isolation_test, public;
SELECT count(*) FROM instance_env.create_application('isolation', development_key => 'isolation dev');
CREATE TABLE users (id text, instance_id text);
CREATE TABLE parted (id text, "Instance" uuid) PARTITION BY LIST (id);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('a');
ALTER TABLE users OWNER TO isolation_owner;
SELECT count(*) > 0 FROM unnest('{users}'::regclass[]) t, instance_env.guard(t);
SELECT count(*) > 0 FROM instance_env.guard('parted', 'Instance');
SET client_min_messages = notice;

SELECT * FROM instance_env.isolate('users');
SELECT * FROM instance_env.isolate('users');
SELECT polname, polpermissive, polcmd, polroles, pg_get_expr(polqual, polrelid) AS using, pg_get_expr(polwithcheck, polrelid) AS with_check
FROM pg_policy WHERE polrelid = 'users'::regclass ORDER BY polname;
SELECT * FROM instance_env.isolate('parted', owner => true);
SELECT polname, polrelid::regclass, pg_get_expr(polqual, polrelid) AS using FROM pg_policy
WHERE polrelid IN (SELECT relid FROM pg_partition_tree('parted')) ORDER BY polrelid::regclass::text COLLATE "C", polname;
SELECT isolated, problems FROM instance_env.guards WHERE relation = 'parted'::regclass;
ALTER TABLE parted_a DISABLE ROW LEVEL SECURITY;
DROP POLICY instance_env_isolation_owner ON parted_a;
ALTER POLICY instance_env_isolation_owner ON parted WITH CHECK (true);
SELECT isolated, problems FROM instance_env.guards WHERE relation = 'parted'::regclass;
SELECT * FROM instance_env.isolate('parted') WHERE action <> 'found';

-- what has been there
CREATE POLICY own ON users USING (id <> 'x');
SELECT instance_env.unisolate('users');
ALTER TABLE users DISABLE ROW LEVEL SECURITY;
SELECT instance_env.unisolate('users');
DROP POLICY own ON users;
SELECT * FROM instance_env.isolate('users');
SELECT instance_env.unisolate('users');

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
SELECT * FROM instance_env.isolate('users');
SELECT instance_env.unisolate('users');

-- errors
SELECT instance_env.isolate('parted_a');
SELECT instance_env.unisolate('parted_a');
ALTER TABLE parted_a OWNER TO isolation_other;
ALTER TABLE parted OWNER TO isolation_owner;
SELECT instance_env.grant_guard('isolation_owner');
SET ROLE isolation_owner;
SELECT instance_env.isolate('parted');
RESET ROLE;
SELECT instance_env.isolate('parted');
ALTER TABLE parted_a OWNER TO isolation_owner;
SELECT instance_env.revoke_access('isolation_owner');
SELECT instance_env.isolate('parted');
SELECT instance_env.unguard('parted');
SELECT instance_env.isolate('parted');

DROP SCHEMA isolation_test CASCADE;
SELECT instance_env.drop_application('isolation');
DROP ROLE isolation_owner, isolation_other;
