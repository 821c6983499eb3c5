--
-- guard() with user_table: what it says, and what it makes
--
SET quote_all_identifiers = off;	-- definitions are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id IS NOT NULL AS made FROM instance_env.create_application('user table', 'pro', development_key => 'ut-dev', production_key => 'ut-prod');
CREATE SCHEMA ut;
SET search_path = ut;

CREATE TABLE users (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE emails (id text PRIMARY KEY, instance_id text NOT NULL, user_id text NOT NULL REFERENCES users ON DELETE CASCADE);
CREATE TABLE tokens (id text PRIMARY KEY, instance_id text NOT NULL, user_id text, email_id text NOT NULL REFERENCES emails ON DELETE CASCADE);
CREATE TABLE logs (id text PRIMARY KEY, instance_id text NOT NULL, user_id text DEFAULT 'nobody' REFERENCES users ON DELETE SET DEFAULT);
SELECT * FROM instance_env.guard('users');
SELECT * FROM instance_env.guard('emails', user_key => 'user_id', counted => false, user_table => 'users');
SELECT * FROM instance_env.guard('tokens', user_key => 'user_id', counted => false, user_table => 'users');
SELECT * FROM instance_env.guard('logs', user_key => 'user_id', counted => false, user_table => 'users');
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'ut'::regnamespace ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";

-- again, repaired
SELECT * FROM instance_env.guard('logs', user_key => 'user_id', counted => false, user_table => 'users');
ALTER TABLE logs DROP CONSTRAINT instance_env_logs_instance_id_user_id_fkey, DISABLE TRIGGER instance_env_active;
SELECT * FROM instance_env.guard('logs', user_key => 'user_id', counted => false, user_table => 'users') WHERE action <> 'found';

-- not validated
ALTER TABLE logs DROP CONSTRAINT instance_env_logs_instance_id_user_id_fkey, DROP CONSTRAINT logs_user_id_fkey;
INSERT INTO logs VALUES ('1', 'ut-dev', 'gone');
ALTER TABLE logs ADD CONSTRAINT own FOREIGN KEY (user_id) REFERENCES users NOT VALID;
SELECT FROM instance_env.guard('logs', user_key => 'user_id', counted => false, user_table => 'users');
SELECT FROM instance_env.guard('logs', user_key => 'user_id', counted => false, user_table => 'users');
SELECT problems FROM instance_env.guards WHERE relation = 'logs'::regclass;
DELETE FROM logs;
ALTER TABLE logs VALIDATE CONSTRAINT own;
SELECT FROM instance_env.guard('logs', user_key => 'user_id', counted => false, user_table => 'users');

-- what cannot be a table of users
CREATE TABLE plain (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE keyless (instance_id text NOT NULL);
CREATE TABLE pairs (a text, b text, instance_id text, PRIMARY KEY (instance_id, a, b));
CREATE TABLE visits (instance_id text NOT NULL, user_id text);
SELECT FROM instance_env.guard('keyless', user_key => '');
SELECT FROM instance_env.guard('pairs', user_key => '');
SELECT FROM instance_env.guard('visits', user_key => 'user_id', counted => false, user_table => 'plain');
SELECT FROM instance_env.guard('visits', user_key => 'user_id', counted => false, user_table => 'keyless');
SELECT FROM instance_env.guard('visits', user_key => 'user_id', counted => false, user_table => 'pairs');

-- unguard()
SELECT instance_env.unguard('users', drop_objects => true);
SELECT instance_env.unguard('tokens', drop_objects => true);
SELECT instance_env.unguard('emails', drop_objects => true);
SELECT instance_env.unguard('logs', drop_objects => true);
SELECT instance_env.unguard('users', drop_objects => true);
SELECT instance_env.unguard('users', drop_objects => true);

-- a guarded table cannot become a partition, whether the partitioned table is guarded or not
CREATE TABLE old (id text, instance_id text, PRIMARY KEY (instance_id, id));
CREATE TABLE parted (id text, instance_id text, PRIMARY KEY (instance_id, id)) PARTITION BY LIST (instance_id);
SELECT FROM instance_env.guard('old', user_key => 'id');
ALTER TABLE parted ATTACH PARTITION old DEFAULT;
SELECT FROM instance_env.guard('parted', user_key => 'id');
ALTER TABLE parted ATTACH PARTITION old DEFAULT;
BEGIN;
SELECT instance_env.unguard('old', drop_objects => true);
ALTER TABLE parted ATTACH PARTITION old DEFAULT;
SELECT object, name, on_table FROM instance_env.guard('parted', user_key => 'id');
COMMIT;

SET client_min_messages = warning;
DROP SCHEMA ut CASCADE;
SELECT instance_env.drop_application(instance_env.application_id('user table'));
