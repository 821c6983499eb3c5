--
-- guard(): what it refuses, and what it says then
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE SCHEMA refused_test;
SET search_path = refused_test;
CREATE TABLE users (id integer PRIMARY KEY, instance_id uuid, number numeric, pt point, old uuid,
	computed text GENERATED ALWAYS AS ('x') STORED, "Odd" text);
ALTER TABLE users DROP old;

-- arguments
SELECT FROM instance_env.guard(NULL);
SELECT FROM instance_env.guard('users', NULL);
SELECT FROM instance_env.guard('users', counted => NULL);
SELECT instance_env.unguard(NULL);
SELECT FROM instance_env.guard('no_such_table');
SELECT FROM instance_env.guard(0);

-- columns
SELECT FROM instance_env.guard('users', 'tenant_id');
SELECT FROM instance_env.guard('users', 'old');
SELECT FROM instance_env.guard('users', 'ctid');
SELECT FROM instance_env.guard('users', 'number');
SELECT FROM instance_env.guard('users', user_key => 'login');
SELECT FROM instance_env.guard('users', user_key => 'xmin');
SELECT FROM instance_env.guard('users', user_key => 'instance_id');
SELECT FROM instance_env.guard('users', user_key => 'pt');
SELECT FROM instance_env.guard('users', 'id, number');
SELECT FROM instance_env.guard('users', user_key => 'id, login');
SELECT FROM instance_env.guard('users', user_key => 'id, Odd');
SELECT FROM instance_env.guard('users', user_key => 'id, "Odd", id');
SELECT FROM instance_env.guard('users', user_key => '(id, "Odd"');
SELECT FROM instance_env.guard('users', user_key => 'id,');
SELECT FROM instance_env.guard('users', user_key => ',');
SELECT FROM instance_env.guard('users', user_key => 'id, instance_id');
SELECT FROM instance_env.guard('users', user_key => 'id, pt');
SELECT FROM instance_env.guard('users', user_key => 'a, b, c, d, e, f, g, h, i');
SELECT FROM instance_env.guard('users', follow_departures => NULL);

-- relations
CREATE VIEW users_view AS SELECT * FROM users;
SELECT FROM instance_env.guard('users_view');
CREATE MATERIALIZED VIEW users_matview AS SELECT * FROM users;
SELECT FROM instance_env.guard('users_matview');
CREATE SEQUENCE users_seq;
SELECT FROM instance_env.guard('users_seq');
SELECT FROM instance_env.guard('users_pkey');
CREATE FOREIGN DATA WRAPPER refused_test_fdw;
CREATE SERVER refused_test_server FOREIGN DATA WRAPPER refused_test_fdw;
CREATE FOREIGN TABLE users_foreign (id integer, instance_id uuid) SERVER refused_test_server;
SELECT FROM instance_env.guard('users_foreign');
CREATE TABLE users_child () INHERITS (users);
SELECT FROM instance_env.guard('users');
SELECT FROM instance_env.guard('users_child');
DROP TABLE users_child;
CREATE TABLE parted (id integer, instance_id uuid) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF parted DEFAULT;
SELECT FROM instance_env.guard('part');
SELECT FROM instance_env.guard('pg_catalog.pg_authid', 'rolname');
SELECT FROM instance_env.guard('instance_env.instance', 'id');

-- somebody else's table
CREATE ROLE regress_instance_env_other;
GRANT USAGE ON SCHEMA instance_env TO regress_instance_env_other;
GRANT USAGE ON SCHEMA refused_test TO regress_instance_env_other;
GRANT ALL ON users TO regress_instance_env_other;
SET ROLE regress_instance_env_other;
SELECT FROM instance_env.guard('users');
SELECT instance_env.unguard('users');
RESET ROLE;
SELECT instance_env.grant_guard('regress_instance_env_other');
SET ROLE regress_instance_env_other;
SELECT FROM instance_env.guard('users');
SELECT instance_env.unguard('users');
SELECT instance_env.create_application('mine');
SELECT * FROM instance_env.instances;
RESET ROLE;

-- nothing is left
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'users'::regclass;
SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass;

-- so many that not all are named: instances that do not exist, that are over their cap
CREATE TABLE many (id integer PRIMARY KEY, instance_id text NOT NULL);
INSERT INTO many SELECT i, 'many ' || i % 7 FROM generate_series(1, 14) i;
SELECT FROM instance_env.guard('many');
SET client_min_messages = error;
SELECT count(instance_env.create_application('many ' || i, development_key => 'many ' || i)) FROM generate_series(0, 6) i;
SELECT count(instance_env.set_user_cap(instance_env.instance_id('many ' || i, 'development'), 1)::text) FROM generate_series(0, 6) i;
RESET client_min_messages;
SELECT FROM instance_env.guard('many');
DROP TABLE many;
SELECT count(instance_env.drop_application(instance_env.application_id('many ' || i))::text) FROM generate_series(0, 6) i;

-- a table in use
CREATE TABLE in_use AS SELECT NULL::uuid AS instance_id;
SELECT instance_env.guard('in_use') FROM in_use;

-- a table that was an inheritance parent is none now
SELECT FROM instance_env.guard('users', user_key => '');

SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER refused_test_fdw CASCADE;
DROP SCHEMA refused_test CASCADE;
SELECT instance_env.revoke_access('regress_instance_env_other');
DROP ROLE regress_instance_env_other;
