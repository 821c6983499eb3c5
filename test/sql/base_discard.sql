--
-- A server that invalidates everything each time that it could: what is read for a cache is
-- read to an end.  Only a server built with assertions can do so.
--
\set VERBOSITY terse
SELECT development_id AS dev, production_id AS prod FROM instance_env.create_application('discard test',
	development_id => 'd0000000-0000-4000-8000-000000000001', development_key => 'discard-dev') \gset
SELECT instance_env.set_user_cap(:'dev', 2);
CREATE SCHEMA discard_test;
SET search_path = discard_test;
CREATE TABLE users (id integer PRIMARY KEY, instance_id text DEFAULT 'discard-dev');
SELECT FROM instance_env.guard('users');

SET statement_timeout = '60s';
SELECT set_config('debug_discard_caches', least(max_val, '1'), false) IS NOT NULL AS discarding
	FROM pg_settings WHERE name = 'debug_discard_caches';
INSERT INTO users VALUES (1);
INSERT INTO users VALUES (2);
INSERT INTO users VALUES (3);
DELETE FROM users WHERE id = 1;
INSERT INTO users VALUES (3);
SELECT instance_env.banner(:'dev');
SELECT instance_env.feature_available(:'prod', 'bot_protection');
SELECT instance_env.setting(:'dev', 'session.lifetime');
SELECT instance_env.frontend_api_host(:'dev') IS NOT NULL AS known;
SELECT instance_env.instance_for_host(instance_env.application_id('discard test'), 'example.com');
SELECT instance_env.verify_secret_key('sk_test_unknown');
RESET debug_discard_caches;

RESET statement_timeout;

SET client_min_messages = warning;
DROP SCHEMA discard_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id('discard test'));
