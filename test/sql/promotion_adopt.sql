--
-- adopt_application() and what it says, also what promote(), rollback_promotion() and guard() say of it
--
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE SCHEMA adopt_test;
SET search_path = adopt_test;
SELECT FROM instance_env.create_application('adopt test', development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001', production_key => 'adopt-live');
CREATE TABLE users (id text PRIMARY KEY, tenant text);
CREATE INDEX ON users (tenant);
INSERT INTO users VALUES ('u1', 'adopt-live');

SELECT FROM instance_env.guard('users', 'tenant');
SELECT jsonb_pretty(failed_checks) AS failed_checks FROM instance_env.adopt_application('adopt test');
SELECT FROM instance_env.guard('users', 'tenant');
INSERT INTO users VALUES ('u2', 'adopt-live');
SELECT failed_checks FROM instance_env.adopt_application('adopt test');
SELECT failed_checks FROM instance_env.adopt_application('adopt test', 'pro');
SELECT failed_checks FROM instance_env.adopt_application('adopt test', production_key => 'other');
SELECT failed_checks FROM instance_env.adopt_application('adopt test', production_id => 'd0000000-0000-4000-8000-000000000001');
SELECT * FROM instance_env.promote('adopt test');
SELECT * FROM instance_env.rollback_promotion('adopt test');
SELECT check_name, subject, severity, message FROM instance_env.validate('adopt test') WHERE NOT passed;
SELECT before, after - 'failed_checks' AS after FROM instance_env.events WHERE action = 'adopt_application' AND application = 'adopt test';

-- a suspension is no reason
SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001');
SELECT instance_env.adopt_application('adopt test');
INSERT INTO users VALUES ('u3', 'adopt-live');

-- names where an id will do
SELECT instance_env.drop_application('adopt');
SELECT instance_env.validate('adopt');
SELECT instance_env.instance_id('adopt test', 'prod');

SET client_min_messages = warning;
SET instance_env.allow_destructive = on;
DROP SCHEMA adopt_test CASCADE;
SELECT instance_env.drop_application('adopt test');
