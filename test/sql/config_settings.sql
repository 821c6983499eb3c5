--
-- set_setting(), import_settings(), instance_diff(): exact text
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT development_id IS NOT NULL AS created FROM instance_env.create_application('settings', 'pro',
	development_id => 'dddddddd-0000-4000-8000-000000000001', production_id => 'eeeeeeee-0000-4000-8000-000000000001');
SELECT instance_env.config_version('dddddddd-0000-4000-8000-000000000001');
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'session.lifetime', '3600', expected_version => 1);
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'sso.acme', '{"entity": "acme"}');
SELECT instance_env.setting('dddddddd-0000-4000-8000-000000000001', 'session.lifetime');
SELECT * FROM instance_env.settings('dddddddd-0000-4000-8000-000000000001');

-- the version has moved
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'session.lifetime', '60', expected_version => 2);

-- names
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'lifetime', '60');
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'Session.lifetime', '60');
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'sesion.lifetime', '60');
SELECT instance_env.setting('dddddddd-0000-4000-8000-000000000001', 'sesion.lifetime');
SELECT instance_env.setting('dddddddd-0000-4000-8000-000000000001', '');
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000009', 'session.lifetime', '60');
SELECT instance_env.set_setting(NULL, 'session.lifetime', '60');

-- out and in
SELECT jsonb_pretty(instance_env.export_settings('dddddddd-0000-4000-8000-000000000001'));
SELECT * FROM instance_env.import_settings('eeeeeeee-0000-4000-8000-000000000001',
	instance_env.export_settings('dddddddd-0000-4000-8000-000000000001'), dry_run => true);
SELECT * FROM instance_env.import_settings('eeeeeeee-0000-4000-8000-000000000001',
	instance_env.export_settings('dddddddd-0000-4000-8000-000000000001'));
SELECT * FROM instance_env.import_settings('eeeeeeee-0000-4000-8000-000000000001', '{"format": 2}');
SELECT * FROM instance_env.import_settings('eeeeeeee-0000-4000-8000-000000000001', '{"format": 1, "setings": {}}');
SELECT * FROM instance_env.import_settings('eeeeeeee-0000-4000-8000-000000000001', '{"format": 1, "features": {"passkeys": 0}}');
SELECT * FROM instance_env.import_settings('eeeeeeee-0000-4000-8000-000000000001', '{"format": 1, "settings": {"x.y": 0}}');

-- drift
SELECT instance_env.set_setting('eeeeeeee-0000-4000-8000-000000000001', 'session.lifetime', '60');
SELECT * FROM instance_env.instance_diff(instance_env.application_id('settings'));
SELECT * FROM instance_env.instance_diff('dddddddd-0000-4000-8000-000000000001');

SELECT * FROM instance_env.instance_diff('dddddddd-0000-4000-8000-000000000001', 'eeeeeeee-0000-4000-8000-000000000001');
SELECT * FROM instance_env.instance_diff('dddddddd-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000009');
SELECT * FROM instance_env.instance_diff('dddddddd-0000-4000-8000-000000000001', NULL);

-- no secrets
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'billing.stripe', jsonb_build_object('key', 'sk_live_' || repeat('a1B2', 6)));
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'session.sk_live_' || repeat('a1b2', 6), '1');
SELECT instance_env.set_setting('dddddddd-0000-4000-8000-000000000001', 'integration.database', '"postgres://app:hunter2@db/shop"');
SELECT * FROM instance_env.import_settings('eeeeeeee-0000-4000-8000-000000000001', '{"format": 1, "instance": "settings"}');

-- the log
SELECT action, application, type, item, before, after FROM instance_env.events
WHERE application_id = instance_env.application_id('settings') AND action <> 'create_application' ORDER BY id;
CREATE ROLE regress_settings;
GRANT USAGE ON SCHEMA instance_env TO regress_settings;
GRANT ALL ON instance_env.event TO regress_settings;
GRANT ALL ON SEQUENCE instance_env.event_id_seq TO regress_settings;
GRANT EXECUTE ON FUNCTION instance_env.node_offset() TO regress_settings;
SET ROLE regress_settings;
DELETE FROM instance_env.event;
INSERT INTO instance_env.event (session_user_name, current_user_name, action) VALUES ('x', 'x', 'x');
RESET ROLE;
DROP OWNED BY regress_settings;
DROP ROLE regress_settings;

SELECT instance_env.drop_application(instance_env.application_id('settings'));
