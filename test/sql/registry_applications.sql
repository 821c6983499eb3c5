--
-- Applications and instances: what is said
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id, production_id FROM instance_env.create_application('registry test', 'pro',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'registry-dev', 'registry-prod');
SELECT application, type, status, plan, user_cap, domain, instance_id, external_key FROM instance_env.instances WHERE application = 'registry test' ORDER BY type;

-- create_application()
SELECT instance_env.create_application(NULL);
SELECT instance_env.create_application('x', NULL);
SELECT instance_env.create_application('');
SELECT instance_env.create_application('registry test');
SELECT instance_env.create_application('x', development_id => 'd0000000-0000-4000-8000-000000000001');
SELECT instance_env.create_application('x', development_key => 'registry-prod');
SELECT instance_env.create_application('x', development_key => 'one', production_key => 'one');
SELECT instance_env.create_application('x', development_id => 'd0000000-0000-4000-8000-00000000000a',
	production_id => 'd0000000-0000-4000-8000-00000000000a');
SELECT instance_env.create_application('x', 'staging');

-- rename_application(), set_plan()
SELECT instance_env.rename_application(instance_env.application_id('registry test'), 'registry renamed');
SELECT instance_env.rename_application(instance_env.application_id('registry renamed'), 'registry test');
SELECT instance_env.rename_application(instance_env.application_id('registry test'), '');
SELECT instance_env.rename_application(instance_env.application_id('registry test'), NULL);
SELECT instance_env.rename_application('00000000-0000-0000-0000-000000000000', 'x');
SELECT instance_env.rename_application(NULL, 'x');
SELECT instance_env.set_plan(instance_env.application_id('registry test'), 'enterprise');
SELECT instance_env.set_plan(instance_env.application_id('registry test'), NULL);
SELECT instance_env.set_plan('00000000-0000-0000-0000-000000000000', 'pro');

-- set_user_cap()
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 10);
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', -1);
SELECT instance_env.set_user_cap('a0000000-0000-4000-8000-000000000001', 10);
SELECT instance_env.set_user_cap('00000000-0000-0000-0000-000000000000', 10);
SELECT instance_env.set_user_cap(NULL, 10);

-- suspend_instance(), resume_instance()
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000001');
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000001');
SELECT application, type, status, plan, user_cap FROM instance_env.instances WHERE application = 'registry test' ORDER BY type;
SELECT instance_env.resume_instance('d0000000-0000-4000-8000-000000000001');
SELECT instance_env.resume_instance('d0000000-0000-4000-8000-000000000001');
SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001');
SELECT instance_env.resume_instance('a0000000-0000-4000-8000-000000000001');
SELECT instance_env.suspend_instance('00000000-0000-0000-0000-000000000000');
SELECT instance_env.suspend_instance(NULL);

-- drop_application()
SELECT instance_env.drop_application('00000000-0000-0000-0000-000000000000');
SELECT instance_env.drop_application(NULL);
CREATE SCHEMA registry_test;
CREATE TABLE registry_test.users (id text PRIMARY KEY, instance_id text);
CREATE INDEX ON registry_test.users (instance_id);
SELECT FROM instance_env.guard('registry_test.users');
INSERT INTO registry_test.users VALUES ('u1', 'registry-dev');
SELECT instance_env.drop_application(instance_env.application_id('registry test'));
DELETE FROM registry_test.users;
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'registry.example.com');
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'registry.example.com');
SELECT step, item FROM instance_env.promote(instance_env.application_id('registry test'));
SELECT instance_env.drop_application(instance_env.application_id('registry test'));
SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001');
SELECT instance_env.drop_application(instance_env.application_id('registry test'));
INSERT INTO registry_test.users VALUES ('u2', 'registry-dev');
SET client_min_messages = warning;
DROP SCHEMA registry_test CASCADE;
SELECT count(*) FROM instance_env.instances WHERE application = 'registry test';
