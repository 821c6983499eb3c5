--
-- guard(coded => true): what it says, and what it refuses
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id IS NOT NULL AS made FROM instance_env.create_application('coded', 'pro',
	development_id => '00000000-0000-4000-8000-000000000c0d', production_id => '00000000-0000-4000-8000-000000000c0e', development_key => 'coded-dev', production_key => 'coded-prod');
CREATE SCHEMA coded;
SET search_path = coded;
CREATE FUNCTION pg_temp.coded(instance uuid, n integer) RETURNS uuid LANGUAGE sql AS $$
	SELECT encode(set_byte(set_byte(decode('0199aabbccdd', 'hex') || substr(decode(md5(n::text), 'hex'), 1, 5),
				6, 128 + get_byte(decode(md5(n::text), 'hex'), 5) % 16), 8, 128 + get_byte(decode(md5(n::text), 'hex'), 6) % 64)
			|| substr(sha256(uuid_send(instance)), 1, 5), 'hex')::uuid
$$;
\set dev '''00000000-0000-4000-8000-000000000c0d'''

CREATE TABLE users (id uuid PRIMARY KEY, instance_id text NOT NULL, n integer DEFAULT 0);
INSERT INTO users VALUES ('a0000000-0000-4000-8000-000000000001', 'coded-dev'), ('a0000000-0000-4000-8000-000000000002', 'coded-dev'), (pg_temp.coded(:dev, 1), 'coded-dev');
SELECT * FROM instance_env.guard('users', coded => true);
SELECT * FROM instance_env.guard('users', coded => true);
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'users'::regclass ORDER BY tgname COLLATE "C";
SELECT instance_column, user_key, coded, whole FROM instance_env.guards WHERE relation = 'users'::regclass;

-- refused
INSERT INTO users VALUES ('a0000000-0000-4000-8000-000000000003', 'coded-dev');
INSERT INTO users VALUES (pg_temp.coded('00000000-0000-4000-8000-000000000c0e', 1), 'coded-dev');
UPDATE users SET id = 'a0000000-0000-4000-8000-000000000003' WHERE id = 'a0000000-0000-4000-8000-000000000001';
UPDATE users SET n = 1;
UPDATE users SET id = pg_temp.coded(:dev, 2) WHERE id = 'a0000000-0000-4000-8000-000000000001';
SELECT FROM instance_env.guard('users');
SELECT instance_env.unguard('users');
INSERT INTO users VALUES (pg_temp.coded('00000000-0000-4000-8000-000000000c0e', 1), 'coded-dev');
SELECT FROM instance_env.guard('users', coded => true);
DELETE FROM users WHERE id = pg_temp.coded('00000000-0000-4000-8000-000000000c0e', 1);
SELECT FROM instance_env.guard('users', coded => true);

-- what cannot be guarded so
CREATE TABLE others (id bigint PRIMARY KEY, a uuid, b uuid, instance_id text NOT NULL);
CREATE TABLE keyless (id uuid, instance_id text NOT NULL);
CREATE TABLE pairs (a uuid, b uuid, instance_id text NOT NULL, PRIMARY KEY (a, b));
SELECT FROM instance_env.guard('others', coded => true);
SELECT FROM instance_env.guard('others', user_key => 'a, b', coded => true);
SELECT FROM instance_env.guard('others', user_key => '', coded => true);
SELECT FROM instance_env.guard('keyless', coded => true);
SELECT FROM instance_env.guard('pairs', coded => true);
SELECT FROM instance_env.guard('others', user_key => 'a', counted => false, user_table => 'users', coded => true);
SELECT FROM instance_env.guard('others', user_key => 'a', follow_departures => false, coded => true);
SELECT FROM instance_env.guard('others', coded => NULL);

DROP SCHEMA coded CASCADE;
SELECT instance_env.drop_application('coded');
