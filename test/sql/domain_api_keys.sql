--
-- API keys: what is said
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id FROM instance_env.create_application('keys test', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');

-- What a key says.
SELECT instance_env.key_instance_type('pk_live_Y2xlcmsudmliZXMuZGl5JA=='), instance_env.key_frontend_api('pk_live_Y2xlcmsudmliZXMuZGl5JA==');
SELECT instance_env.key_instance_type('pk_staging_x');
\echo :SQLSTATE
SELECT instance_env.key_frontend_api('sk_live_Y2xlcmsudmliZXMuZGl5JA==');
SELECT instance_env.key_frontend_api('pk_live_');
SELECT instance_env.key_frontend_api('pk_live_Y2xl_cms');
SELECT instance_env.key_frontend_api('pk_live_*');
SELECT instance_env.key_frontend_api('pk_live_Y2xlcmsudmliZXMuZGl5JCQ=');
SELECT instance_env.key_frontend_api('pk_live_aW52YWxpZGtleSQ=');
SELECT instance_env.publishable_key('a0000000-0000-4000-8000-000000000001');

-- Secret keys: no message tells one.
SELECT instance_env.create_secret_key(NULL);
SELECT instance_env.create_secret_key('00000000-0000-0000-0000-000000000000');
SELECT instance_env.create_secret_key('d0000000-0000-4000-8000-000000000001') AS key \gset
UPDATE instance_env.api_key SET hint = 'last' WHERE instance = 'd0000000-0000-4000-8000-000000000001';
SELECT instance_env.verify_secret_key(:'key'), instance_env.verify_secret_key('sk_test_x');
SELECT instance_env.revoke_secret_key(:'key');
\echo :SQLSTATE
SELECT instance_env.revoke_secret_key('sk_test_x');
SELECT instance_env.revoke_secret_key('d0000000-0000-4000-8000-000000000001', 'none');
SELECT instance_env.create_secret_key('d0000000-0000-4000-8000-000000000001') AS key2 \gset
UPDATE instance_env.api_key SET hint = 'last' WHERE instance = 'd0000000-0000-4000-8000-000000000001';
SELECT instance_env.revoke_secret_key('d0000000-0000-4000-8000-000000000001', 'last');
SELECT instance_env.revoke_secret_key(:'key');
SELECT instance_env.verify_secret_key(:'key'), instance_env.verify_secret_key(:'key2');
SELECT instance, hint, revoked_at IS NOT NULL AS revoked FROM instance_env.secret_keys
WHERE instance = 'd0000000-0000-4000-8000-000000000001' ORDER BY created_at;

SELECT instance_env.drop_application(instance_env.application_id('keys test'));
