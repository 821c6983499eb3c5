--
-- guard() and unguard(): what they say
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id, production_id FROM instance_env.create_application('guard test', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'guard-dev', 'guard-prod');
SELECT development_id FROM instance_env.create_application('guard other', development_id =>
	'd0000000-0000-4000-8000-000000000002', development_key => 'guard-dev2');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 2);
CREATE SCHEMA guard_test;
SET search_path = guard_test;

-- a table without the index that counting wants
CREATE TABLE users (id integer PRIMARY KEY, instance_id uuid);
SELECT FROM instance_env.guard('users');
SELECT FROM instance_env.guard('users');
SELECT FROM instance_env.guard('users', 'instance_id', 'id', true);
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid = 'users'::regclass AND NOT tgisinternal ORDER BY tgname COLLATE "C" \gx

-- with other arguments
SELECT FROM instance_env.guard('users', user_key => '');
SELECT FROM instance_env.guard('users', counted => false);
SELECT instance_env.unguard('users');
SELECT instance_env.unguard('users');
SELECT FROM instance_env.guard('users', user_key => '', counted => false);
SELECT FROM instance_env.guard('users');
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid = 'users'::regclass AND NOT tgisinternal ORDER BY tgname COLLATE "C" \gx

-- no single column to follow identities by
CREATE TABLE members (instance_id uuid, a integer, b integer, PRIMARY KEY (instance_id, a, b));
SELECT FROM instance_env.guard('members');
CREATE TABLE nameless (instance_id uuid);
SELECT FROM instance_env.guard('nameless');

-- partitioned
CREATE TABLE parted (id text, instance_id text, PRIMARY KEY (instance_id, id)) PARTITION BY LIST (instance_id);
CREATE TABLE part PARTITION OF parted DEFAULT;
SELECT FROM instance_env.guard('parted', user_key => 'id');
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid = 'parted'::regclass AND NOT tgisinternal ORDER BY tgname COLLATE "C" \gx
SELECT FROM instance_env.guard('part');
SELECT instance_env.unguard('part');

-- data that hangs on a user
CREATE TABLE sessions (token text, instance_id text, user_id text);
SELECT FROM instance_env.guard('sessions', user_table => 'parted');
SELECT FROM instance_env.guard('sessions', user_key => 'user_id', user_table => 'parted');
SELECT FROM instance_env.guard('sessions', counted => false, user_table => 'parted');
SELECT FROM instance_env.guard('sessions', user_key => 'user_id', counted => false, user_table => 'users');
SELECT FROM instance_env.guard('sessions', user_key => 'user_id', counted => false, user_table => 'parted');
SELECT FROM instance_env.guard('sessions', user_key => 'user_id', counted => false, user_table => 'parted');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = 'sessions'::regclass AND contype = 'f' AND conparentid = 0;

-- what is guarded
SELECT * FROM instance_env.guards WHERE relation::text LIKE 'guard_test.%' OR relation::text !~ E'\\.'
ORDER BY relation::text COLLATE "C";
ALTER TABLE parted DISABLE TRIGGER instance_env_departure;
DROP INDEX instance_env_users_instance_id_idx;
DROP TRIGGER "Instance_env_no_transfer" ON members;
SELECT relation, whole, problems FROM instance_env.guards
WHERE NOT whole AND relation::text !~ E'\\.' ORDER BY relation::text COLLATE "C";

-- rows that are there
CREATE TABLE adopted (id text, instance_id text);
INSERT INTO adopted VALUES ('u1', 'guard-dev'), ('u2', NULL), ('u3', NULL);
SELECT FROM instance_env.guard('adopted', user_key => 'id');
UPDATE adopted SET instance_id = 'nowhere' WHERE id = 'u2';
UPDATE adopted SET instance_id = 'nowhere' WHERE id = 'u3';
SELECT FROM instance_env.guard('adopted', user_key => 'id');
DELETE FROM adopted WHERE instance_id <> 'guard-dev';
INSERT INTO adopted VALUES ('u1', 'guard-dev2'), ('u4', 'guard-dev');
SELECT FROM instance_env.guard('adopted', user_key => 'id');
DELETE FROM adopted WHERE instance_id = 'guard-dev2';
INSERT INTO adopted VALUES ('u5', 'guard-dev'), ('u6', 'guard-prod');
SELECT FROM instance_env.guard('adopted', user_key => 'id');
DELETE FROM adopted WHERE instance_id = 'guard-prod';
INSERT INTO adopted VALUES ('u6', 'guard-dev');
SELECT FROM instance_env.guard('adopted', user_key => 'id');
INSERT INTO adopted VALUES ('u7', 'guard-dev');

SET client_min_messages = warning;
DROP SCHEMA guard_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id(n)) FROM unnest(ARRAY['guard test', 'guard other']) n;
