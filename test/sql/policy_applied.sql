-- Policies: what they are, and exact texts of output and errors
SET quote_all_identifiers = off;	-- names are compared as they are without it
SELECT instance_env.create_application('policy test',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') IS NOT NULL AS created;

SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'policy-test.com');

-- every default
SELECT d.name, d.value AS development, d.overridable AS o, p.value AS production, p.overridable AS o
FROM instance_env.policy_defaults d JOIN instance_env.policy_defaults p USING (name)
WHERE d.instance_type = 'development' AND p.instance_type = 'production' ORDER BY name;
SELECT DISTINCT name, description FROM instance_env.policy_defaults ORDER BY name;

-- what an application asks
SELECT type, instance_env.banner(id), instance_env.message_prefix(id),
	instance_env.prefix_message(id, 'email', 'Welcome') AS email, instance_env.prefix_message(id, 'sms', 'Your code is 1') AS sms
FROM instance_env.instance WHERE id::text LIKE '_0000000-%' ORDER BY type;
SELECT type, instance_env.robots_directive(id), instance_env.robots_txt(id)
FROM instance_env.instance WHERE id::text LIKE '_0000000-%' ORDER BY type;
\x
SELECT type, s.* FROM instance_env.instance, instance_env.security_policy(id) s WHERE id::text LIKE '_0000000-%' ORDER BY type;
\x
SELECT type, url, instance_env.redirect_url_allowed(id, url)
FROM instance_env.instance, unnest(ARRAY['/dashboard', 'http://localhost:3000/', 'https://policy-test.com/', 'https://shop.example.com/', 'javascript:alert(1)']) url
WHERE id::text LIKE '_0000000-%' ORDER BY type, url COLLATE "C";

-- overrides
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', '"This is a test"');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'user_cap', '20');
SELECT instance_env.set_policy('a0000000-0000-4000-8000-000000000001', 'sms_per_month', '1000');
SELECT application, type, instance_id, name, value, source FROM instance_env.policies WHERE application = 'policy test' AND source <> 'default' ORDER BY type, name;
SELECT instance_env.reset_policy('d0000000-0000-4000-8000-000000000001', 'user_cap');
SELECT name, value, source FROM instance_env.policy('d0000000-0000-4000-8000-000000000001') WHERE name IN ('banner', 'user_cap');

-- what a warm backend answers without a look at a table
CREATE TEMP VIEW answers AS
SELECT instance_env.banner('d0000000-0000-4000-8000-000000000001'),
	instance_env.prefix_message('d0000000-0000-4000-8000-000000000001', 'sms', 'x') AS sms,
	instance_env.robots_directive('a0000000-0000-4000-8000-000000000001'),
	(instance_env.security_policy('a0000000-0000-4000-8000-000000000001')).rate_limit,
	instance_env.redirect_url_allowed('a0000000-0000-4000-8000-000000000001', 'https://policy-test.com/') AS redirect;
SELECT * FROM answers;
BEGIN;
SELECT * FROM answers;
SELECT relation::regclass FROM pg_locks
WHERE pid = pg_backend_pid() AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'instance_env'::regnamespace);
COMMIT;

-- errors
\set VERBOSITY default
SELECT instance_env.set_policy('a0000000-0000-4000-8000-000000000001', 'shared_credentials', 'true');
SELECT instance_env.set_policy('a0000000-0000-4000-8000-000000000001', 'user_cap', '500');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'robots_directive', '"all"');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'users', '500');
SELECT instance_env.reset_policy('d0000000-0000-4000-8000-000000000001', 'users');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', '', '500');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', NULL);
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', 'null');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', '"..."');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', E'"a\\nb"');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', pg_catalog.to_jsonb(pg_catalog.repeat('x', 201)));
SELECT instance_env.set_policy('a0000000-0000-4000-8000-000000000001', 'robots_txt', E'"a\\rb"');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'user_cap', '-1');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'test_identities', '0');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'redirect_schemes', '[]');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'redirect_schemes', '["ftp"]');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'redirect_schemes', '["https", "https"]');
SELECT instance_env.prefix_message('d0000000-0000-4000-8000-000000000001', 'push', 'x');
SELECT instance_env.banner('00000000-0000-0000-0000-000000000000');
SELECT instance_env.banner(NULL);
BEGIN;
DELETE FROM instance_env.policy_default WHERE name = 'robots_txt';
SELECT instance_env.robots_txt('a0000000-0000-4000-8000-000000000001');
ROLLBACK;
BEGIN;
UPDATE instance_env.policy_default SET value = '1' WHERE name = 'robots_txt';
SELECT instance_env.robots_txt('a0000000-0000-4000-8000-000000000001');
ROLLBACK;
BEGIN;
INSERT INTO instance_env.policy_override VALUES ('a0000000-0000-4000-8000-000000000001', 'robots_txt', '{}');
SELECT instance_env.robots_txt('a0000000-0000-4000-8000-000000000001');
ROLLBACK;
SELECT instance_env.drop_application(instance_env.application_id('policy test'));
