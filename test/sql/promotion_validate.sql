--
-- Validation and reset: what is said
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id, production_id FROM instance_env.create_application('validate test', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
SET client_min_messages = warning;
CREATE TABLE validate_users (id integer PRIMARY KEY, instance_id uuid NOT NULL);
CREATE TABLE validate_sessions (id integer PRIMARY KEY, instance_id uuid NOT NULL, user_id integer REFERENCES validate_users);
SELECT FROM instance_env.guard('validate_users');
SELECT FROM instance_env.guard('validate_sessions', counted => false);
RESET client_min_messages;
INSERT INTO validate_users SELECT i, 'd0000000-0000-4000-8000-000000000001' FROM generate_series(1, 450) i;
INSERT INTO validate_sessions SELECT i, 'd0000000-0000-4000-8000-000000000001', i FROM generate_series(1, 25) i;
INSERT INTO instance_env.feature (name, plan, description) VALUES ('validate_gold', 'pro', 'x');
INSERT INTO instance_env.setting_section (name, cloned, description) VALUES ('redirect', true, 'x'), ('test', false, 'x')
ON CONFLICT DO NOTHING;
INSERT INTO instance_env.social_connection (instance, provider, instance_type, source)
VALUES ('d0000000-0000-4000-8000-000000000001', 'github', 'development', 'shared');
INSERT INTO instance_env.instance_feature (instance, feature) VALUES ('d0000000-0000-4000-8000-000000000001', 'validate_gold');
INSERT INTO instance_env.setting (instance, name, value) VALUES
	('d0000000-0000-4000-8000-000000000001', 'redirect.allowed', '["https://shop.example.com", "http://localhost:3000"]'),
	('a0000000-0000-4000-8000-000000000001', 'test.mode', 'true');
INSERT INTO instance_env.domain (name, instance, root) VALUES ('validate.example.com', 'a0000000-0000-4000-8000-000000000001', 'example.com');
INSERT INTO instance_env.domain (name, instance, root, is_primary) VALUES ('validate.example.org', 'a0000000-0000-4000-8000-000000000001', 'example.org', false);
INSERT INTO instance_env.dns_record (domain, record, target, verified_at) VALUES
	('validate.example.com', 'clerk', 'frontend-api.clerk.services', now()),
	('validate.example.com', 'accounts', 'accounts.clerk.services', NULL);

\x on
SELECT * FROM instance_env.validate('a0000000-0000-4000-8000-000000000001');
SELECT * FROM instance_env.validate('d0000000-0000-4000-8000-000000000001');
SELECT application, status, ready, errors, warnings, next_step FROM instance_env.readiness WHERE application = 'validate test';
SELECT application, type, relation, users, estimated, user_cap, cap_mode, percent, state, soft_deletion, instance_id
FROM instance_env.usage WHERE application = 'validate test' ORDER BY type;
\x off
SELECT instance_env.assert_valid('a0000000-0000-4000-8000-000000000001');
\echo :SQLSTATE
SELECT instance_env.assert_valid('d0000000-0000-4000-8000-000000000001');
SELECT * FROM instance_env.validate(NULL);
SELECT * FROM instance_env.validate('00000000-0000-0000-0000-000000000000');
SELECT relation, whole, problems FROM instance_env.guards WHERE relation::text LIKE 'validate%' ORDER BY 1::text;

-- reset_development()
CALL instance_env.reset_development('a0000000-0000-4000-8000-000000000001');
\echo :SQLSTATE
CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001', batch_size => 0);
CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001', batch_size => 200, settings => true);
CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001');
INSERT INTO validate_users VALUES (1, 'd0000000-0000-4000-8000-000000000001');
CREATE RULE keep AS ON DELETE TO validate_users DO INSTEAD NOTHING;
CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001');
DROP RULE keep ON validate_users;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER keep BEFORE DELETE ON validate_users FOR EACH ROW EXECUTE FUNCTION keep();
CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001');
DROP TRIGGER keep ON validate_users;
DROP FUNCTION keep();
CREATE ROLE regress_validate;
GRANT USAGE ON SCHEMA instance_env TO regress_validate;
GRANT EXECUTE ON PROCEDURE instance_env.reset_development TO regress_validate;
SET ROLE regress_validate;
CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001');
SELECT instance_env.grant_backend('regress_validate');
RESET ROLE;
GRANT SELECT, DELETE ON validate_users TO regress_validate;
ALTER TABLE validate_users ENABLE ROW LEVEL SECURITY;
SET ROLE regress_validate;
CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001');
RESET ROLE;
GRANT EXECUTE ON FUNCTION instance_env.grant_backend TO regress_validate;
SET ROLE regress_validate;
SELECT instance_env.grant_backend('regress_validate');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION instance_env.grant_backend FROM regress_validate;
SELECT instance_env.grant_backend('nobody at all');

\set VERBOSITY terse
CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001');
DROP TABLE validate_sessions, validate_users;
SELECT instance_env.revoke_access('regress_validate');
DROP OWNED BY regress_validate;
DROP ROLE regress_validate;
DELETE FROM instance_env.feature WHERE name = 'validate_gold';
SELECT instance_env.drop_application(instance_env.application_id('validate test'));
