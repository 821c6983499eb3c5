--
-- Partitions of a guarded table: what is said when one joins
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id FROM instance_env.create_application('partition test',
	development_id => 'd0000000-0000-4000-8000-000000000001', development_key => 'part-dev');
SELECT development_id FROM instance_env.create_application('partition other',
	development_id => 'd0000000-0000-4000-8000-000000000002', development_key => 'part-dev2');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 2);
CREATE SCHEMA part_test;
SET search_path = part_test;
CREATE TABLE users (region text, id text, instance_id text) PARTITION BY LIST (region);
CREATE INDEX ON users (id);
CREATE INDEX ON users (instance_id);
CREATE TABLE users_eu PARTITION OF users FOR VALUES IN ('eu');
SELECT FROM instance_env.guard('users', user_key => 'id');
INSERT INTO users VALUES ('eu', 'ann', 'part-dev');
CREATE TABLE users_us (id text, instance_id text, region text);
INSERT INTO users_us VALUES ('bob', NULL, 'us');
ALTER TABLE users ATTACH PARTITION users_us FOR VALUES IN ('us');
UPDATE users_us SET instance_id = 'nowhere';
ALTER TABLE users ATTACH PARTITION users_us FOR VALUES IN ('us');
UPDATE users_us SET id = 'ann', instance_id = 'part-dev2';
ALTER TABLE users ATTACH PARTITION users_us FOR VALUES IN ('us');
UPDATE users_us SET id = 'bob', instance_id = 'part-dev';
INSERT INTO users_us VALUES ('carl', 'part-dev', 'us');
ALTER TABLE users ATTACH PARTITION users_us FOR VALUES IN ('us');
DELETE FROM users_us WHERE id = 'carl';
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000001');
ALTER TABLE users ATTACH PARTITION users_us FOR VALUES IN ('us');
SELECT instance_env.resume_instance('d0000000-0000-4000-8000-000000000001');
ALTER TABLE users ATTACH PARTITION users_us FOR VALUES IN ('us');
INSERT INTO users VALUES ('eu', 'dora', 'part-dev');
INSERT INTO users_us VALUES ('dora', 'part-dev', 'us');
SELECT relation, instance_column, user_key, counted, label, whole, problems FROM instance_env.guards
WHERE relation = 'users'::regclass;

-- a partition is not guarded by itself
SELECT FROM instance_env.guard('users_us', user_key => 'id');
SELECT instance_env.unguard('users_us');
ALTER TABLE users DETACH PARTITION users_us;
INSERT INTO users_us SELECT 'x' || i, 'nowhere', 'us' FROM generate_series(1, 9) i;
SELECT instance_env.unguard('users_us');
TRUNCATE users_us;
SELECT FROM instance_env.guard('users_us', user_key => 'id');
INSERT INTO users_us SELECT 'y' || i, 'part-dev', 'us' FROM generate_series(1, 3) i;
SELECT instance_env.unguard('users_us');

-- what cannot be counted
CREATE TABLE plain (id text, instance_id text);
CREATE INDEX ON plain (instance_id);
SELECT FROM instance_env.guard('plain', user_key => '');
CREATE TABLE child () INHERITS (plain);
CREATE TABLE child (id text, instance_id text);
ALTER TABLE child INHERIT plain;
CREATE FOREIGN DATA WRAPPER part_test_fdw;
CREATE SERVER part_test_server FOREIGN DATA WRAPPER part_test_fdw;
CREATE TABLE logs (line text, instance_id text) PARTITION BY LIST (line);
CREATE INDEX ON logs (instance_id);
SELECT FROM instance_env.guard('logs', user_key => '');
CREATE FOREIGN TABLE logs_far PARTITION OF logs DEFAULT SERVER part_test_server;

SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER part_test_fdw CASCADE;
DROP SCHEMA part_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id(n)) FROM unnest(ARRAY['partition test', 'partition other']) n;
