-- validate() and assert_valid(): what stands between an instance and production
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(100);

CREATE SCHEMA app;
SELECT instance_env.create_application('it''s a "shop"',
	development_id => 'd0000000-0000-4000-8000-000000000001', production_id => 'a0000000-0000-4000-8000-000000000001',
	development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog',
	development_id => 'd0000000-0000-4000-8000-000000000002', production_id => 'a0000000-0000-4000-8000-000000000002',
	development_key => 'dev2', production_key => 'prod2') \gset
INSERT INTO instance_env.setting_section (name, cloned, description) VALUES
	('redirect', true, 'x'), ('test', false, 'x'), ('billing', false, 'x') ON CONFLICT DO NOTHING;
INSERT INTO instance_env.feature (name, plan, description) VALUES
	('gold', 'pro', 'x'), ('platinum', 'enterprise', 'x'), ('tin', 'free', 'x'),
	('satellite_domains', 'pro', 'x') ON CONFLICT DO NOTHING;

CREATE FUNCTION pg_temp.prod() RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT 'a0000000-0000-4000-8000-000000000001'::uuid$$;
CREATE FUNCTION pg_temp.dev() RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT 'd0000000-0000-4000-8000-000000000001'::uuid$$;
-- one check, or those that a pattern fits: "name passed sqlstate"
CREATE FUNCTION pg_temp.checks(instance uuid, pattern text) RETURNS SETOF text LANGUAGE sql AS
$$SELECT concat_ws(' ', concat_ws(':', check_name, subject), severity, CASE WHEN passed THEN 'passed' ELSE 'failed' END, sqlstate)
  FROM instance_env.validate(instance) WHERE concat_ws(':', check_name, subject) ~ pattern$$;

-- who is asked

SELECT throws_ok($$SELECT * FROM instance_env.validate(NULL)$$, '22004', NULL, 'NULL');
SELECT throws_ok($$SELECT * FROM instance_env.validate('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL, 'unknown');
SELECT throws_ok($$SELECT instance_env.assert_valid(NULL)$$, '22004', NULL, 'assert_valid(): NULL');
SELECT throws_ok($$SELECT instance_env.assert_valid('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL,
	'assert_valid(): unknown');

-- nothing has been done yet

SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '')$$, ARRAY[
	'status error passed',
	'domain error failed 55000',
	'dns error passed',
	'credentials error passed',
	'plan error passed',
	'test error passed',
	'redirect error passed',
	'guard warning failed',
	'keys warning failed'], 'inactive production: every kind of check, in its order');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), '')$$, ARRAY[
	'status error passed',
	'guard warning failed',
	'usage warning passed'], 'development: every kind of check, in its order');
SELECT is_empty(
	$$SELECT i.id, c.check_name, c.subject FROM instance_env.instance i, instance_env.validate(i.id) c
	  WHERE c.message IS NULL OR c.message = '' OR (c.passed AND c.hint IS NOT NULL) OR (c.passed AND c.sqlstate IS NOT NULL)
	  OR (NOT c.passed AND c.hint IS NULL)$$,
	'every check has a message, and a hint if it has failed');
SELECT results_eq($$SELECT check_name, subject FROM instance_env.validate(pg_temp.prod())$$,
	$$SELECT check_name, subject FROM instance_env.validate(pg_temp.prod())$$, 'the same again');

-- a production instance may opt in to test identities, but not unnoticed
SELECT instance_env.set_policy(pg_temp.dev(), 'test_identities', 'true') \gset
SELECT instance_env.set_policy(pg_temp.prod(), 'test_identities', 'true') \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^test')$$, ARRAY['test:test_identities warning failed'], 'opted in');
SELECT is_empty($$SELECT pg_temp.checks(pg_temp.dev(), '^test')$$, 'in development they are nothing special');
SELECT instance_env.set_policy(pg_temp.prod(), 'test_identities', 'false') \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^test')$$, ARRAY['test error passed'], 'opted out');

-- "You must associate a production domain"

SELECT throws_ok($$SELECT instance_env.assert_valid(pg_temp.prod())$$, '55I01',
	'instance "a0000000-0000-4000-8000-000000000001" is not valid',
	'You must associate a production domain: without one, not valid');
SELECT lives_ok($$SELECT instance_env.assert_valid(pg_temp.dev())$$, 'a development instance needs none');
INSERT INTO instance_env.domain (name, instance, root) VALUES ('shop.example.com', pg_temp.prod(), 'example.com');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^(domain|dns)')$$,
	ARRAY['domain error passed', 'dns:shop.example.com error failed 55000'], 'a domain that is not verified');
UPDATE instance_env.domain SET verified_at = now();
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^(domain|dns)')$$,
	ARRAY['domain error passed', 'dns:shop.example.com error passed'], 'a domain without records that is verified');
INSERT INTO instance_env.dns_record (domain, record, target, verified_at) VALUES
	('shop.example.com', 'clerk', 'frontend-api.clerk.services', now()),
	('shop.example.com', 'accounts', 'accounts.clerk.services', NULL),
	('shop.example.com', 'clk._domainkey', 'dkim1.example.net', NULL);
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^(domain|dns)')$$,
	ARRAY['domain error passed',
		'dns:accounts.shop.example.com error failed 55000',
		'dns:clerk.shop.example.com error passed',
		'dns:clk._domainkey.shop.example.com error failed 55000'], 'a check for each DNS record');
SELECT matches((SELECT hint FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'dns' AND subject = 'accounts.shop.example.com'),
	'CNAME.*"accounts.shop.example.com".*"accounts.clerk.services"', 'the hint says which record is needed');
UPDATE instance_env.dns_record SET verified_at = now();
SELECT lives_ok($$SELECT instance_env.assert_valid(pg_temp.prod())$$, 'domain and records: valid');

INSERT INTO instance_env.domain (name, instance, root, is_primary) VALUES ('aaa.example.org', pg_temp.prod(), 'example.org', false);
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^dns:aaa')$$,
	ARRAY['dns:aaa.example.org warning failed'], 'a satellite that is not verified is a warning');
SELECT is((SELECT message FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'domain'),
	'The domain of production instance "a0000000-0000-4000-8000-000000000001" is "shop.example.com".',
	'it is not taken for the domain');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^plan')$$,
	ARRAY['plan:satellite_domains error failed 55I02'], 'a satellite needs a plan');
SELECT instance_env.set_plan(instance_env.application_id('it''s a "shop"'), 'pro') \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^plan')$$,
	ARRAY['plan:satellite_domains error passed'], 'which it has');
DELETE FROM instance_env.domain WHERE NOT is_primary;
SELECT instance_env.set_plan(instance_env.application_id('it''s a "shop"'), 'free') \gset

-- "You are required to provision your own SSO credentials"

INSERT INTO instance_env.social_connection (instance, provider, instance_type, source) VALUES
	(pg_temp.dev(), 'github', 'development', 'shared'), (pg_temp.dev(), 'google', 'development', 'shared');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^credentials')$$,
	ARRAY['credentials:github error failed 23I05', 'credentials:google error failed 23I05'],
	'You are required to provision your own SSO credentials: for each provider that development uses');
INSERT INTO instance_env.social_connection (instance, provider, instance_type, source, client_id, secret_reference) VALUES
	(pg_temp.prod(), 'github', 'production', 'own', 'id', 'vault:github'),
	(pg_temp.prod(), 'apple', 'production', 'own', 'id', 'vault:apple');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^credentials')$$,
	ARRAY['credentials:apple error passed', 'credentials:github error passed', 'credentials:google error failed 23I05'],
	'one has been provided');
DELETE FROM instance_env.social_connection WHERE provider = 'google';
SELECT lives_ok($$SELECT instance_env.assert_valid(pg_temp.prod())$$, 'the other is no longer used');
SELECT results_eq($$SELECT pg_temp.checks('a0000000-0000-4000-8000-000000000002', '^credentials')$$,
	ARRAY['credentials error passed'], 'another application''s connections do not matter');

-- "when you deploy your application to Production, you will be asked to upgrade to a Pro account"

INSERT INTO instance_env.instance_feature (instance, feature) VALUES
	(pg_temp.dev(), 'gold'), (pg_temp.dev(), 'tin'), (pg_temp.prod(), 'gold'), (pg_temp.prod(), 'platinum');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^plan')$$,
	ARRAY['plan:gold error failed 55I02', 'plan:platinum error failed 55I02', 'plan:tin error passed'],
	'you will be asked to upgrade to a Pro account: for each feature in use, once');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), '^plan')$$, ARRAY[]::text[],
	'All paid functionality is available in a Development instance');
SELECT is((SELECT message FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'plan' AND subject = 'gold'),
	'Feature "gold" needs plan "pro", but the application is on plan "free".', 'the message names the plan');
SELECT instance_env.set_plan(instance_env.application_id('it''s a "shop"'), 'pro') \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^plan')$$,
	ARRAY['plan:gold error passed', 'plan:platinum error failed 55I02', 'plan:tin error passed'], 'a Pro account');
SELECT instance_env.set_plan(instance_env.application_id('it''s a "shop"'), 'enterprise') \gset
SELECT lives_ok($$SELECT instance_env.assert_valid(pg_temp.prod())$$, 'a better one still');
INSERT INTO instance_env.instance_feature (instance, feature) VALUES (pg_temp.prod(), 'lost');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^plan:lost')$$,
	ARRAY['plan:lost error failed 42704'], 'a feature that is not in the catalogue');
DELETE FROM instance_env.instance_feature WHERE instance = pg_temp.prod();

-- no test resources

INSERT INTO instance_env.setting (instance, name, value) VALUES
	(pg_temp.prod(), 'test.mode', 'true'), (pg_temp.prod(), 'test.identities', '["+15555550100"]'),
	(pg_temp.prod(), 'test.a', 'false'), (pg_temp.prod(), 'test.b', 'null'), (pg_temp.prod(), 'test.c', '""'),
	(pg_temp.prod(), 'test.d', '[]'), (pg_temp.prod(), 'test.e', '{}'), (pg_temp.prod(), 'test.f', '0'),
	(pg_temp.prod(), 'test.g', '"off"'), (pg_temp.prod(), 'test.h', '"on"'),
	(pg_temp.prod(), 'billing.account', '"acct_1"'), (pg_temp.prod(), 'billing.latest', '"latest_test"'),
	(pg_temp.prod(), 'billing.test_account', 'true'), (pg_temp.prod(), 'billing.test', 'false'),
	(pg_temp.prod(), 'billing.key', '"sk_test_4eC39HqLyjWDarjtT1zdp7dc"'),
	(pg_temp.prod(), 'billing.provider', '{"name": "x", "account": {"test_mode": true}}'),
	(pg_temp.prod(), 'billing.other', '{"name": "test", "account": {"test_mode": false}, "contest": true}'),
	(pg_temp.dev(), 'test.development', 'true'), (pg_temp.prod(), 'session.test', 'true');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^test')$$, ARRAY[
	'test:billing.account error passed',
	'test:billing.key error failed 55000',
	'test:billing.latest error passed',
	'test:billing.other error passed',
	'test:billing.provider error failed 55000',
	'test:billing.test error passed',
	'test:billing.test_account error failed 55000',
	'test:test.a error passed',
	'test:test.b error passed',
	'test:test.c error passed',
	'test:test.d error passed',
	'test:test.e error passed',
	'test:test.f error passed',
	'test:test.g error passed',
	'test:test.h error failed 55000',
	'test:test.identities error failed 55000',
	'test:test.mode error failed 55000'], 'a check for each setting that may be for tests');
SELECT is_empty($$SELECT pg_temp.checks(pg_temp.dev(), '^test')$$, 'development may test');
DELETE FROM instance_env.setting;

-- redirect URLs

INSERT INTO instance_env.setting (instance, name, value) VALUES
	(pg_temp.prod(), 'redirect.a', '"https://shop.example.com/"'),
	(pg_temp.prod(), 'redirect.b', '"http://shop.example.com/"'),
	(pg_temp.prod(), 'redirect.c', '["https://shop.example.com", "HTTPS://shop.example.com", "/path", "shop.example.com/path"]'),
	(pg_temp.prod(), 'redirect.d', '["https://shop.example.com", "HTTP://localhost:3000"]'),
	(pg_temp.prod(), 'redirect.e', '" http://shop.example.com"'),
	(pg_temp.prod(), 'redirect.f', '{"web": {"urls": ["https://a.example", "myapp://callback"]}}'),
	(pg_temp.prod(), 'redirect.g', '"javascript:alert(1)"'),
	(pg_temp.prod(), 'redirect.h', '"https:shop.example.com"'),
	(pg_temp.prod(), 'redirect.i', '17'), (pg_temp.prod(), 'redirect.j', 'null'), (pg_temp.prod(), 'redirect.k', '[]'),
	(pg_temp.prod(), 'email.link', '"http://shop.example.com/"');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^redirect')$$, ARRAY[
	'redirect:redirect.a error passed',
	'redirect:redirect.b error failed 55000',
	'redirect:redirect.c error passed',
	'redirect:redirect.d error failed 55000',
	'redirect:redirect.e error failed 55000',
	'redirect:redirect.f error failed 55000',
	'redirect:redirect.g error failed 55000',
	'redirect:redirect.h error failed 55000',
	'redirect:redirect.i error passed',
	'redirect:redirect.j error passed',
	'redirect:redirect.k error passed'], 'a more strict security posture: redirect URLs are https');
SELECT matches((SELECT message FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'redirect' AND subject = 'redirect.d'),
	'HTTP://localhost:3000', 'the message names the URL');
DELETE FROM instance_env.setting;

-- what redirect_url_allowed() refuses, a setting must not have

CREATE FUNCTION pg_temp.redirect(value jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM instance_env.set_setting(pg_temp.prod(), 'redirect.x', value);
	RETURN (SELECT coalesce(substring(message FROM 'because it (.*)[.]$'), message) FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'redirect' AND subject = 'redirect.x');
END $$;
SELECT is(pg_temp.redirect(value::jsonb), problem, left(value, 60)) FROM (VALUES
	('"https://shop.example.com@evil.com/"', 'contains a user name'),
	('"https://evil.com"', 'leads to "evil.com", which is neither a host of the instance nor among its redirect URLs'),
	('["/ok", {"a": [{"b": "//evil.com"}]}]', 'begins with two slashes, which a host follows'),
	(E'"/\\\\evil.com"', 'contains a backslash'),
	(E'"/\\t/evil.com"', 'contains a space or a control character'),
	('{"http://localhost:3000": true}', 'has the scheme "http", which policy "redirect_schemes" does not include'),
	('{"a": {"https://evil.com": null}}', 'leads to "evil.com", which is neither a host of the instance nor among its redirect URLs'),
	('"com.example.app://callback"', 'is of a native app, and is not among the redirect URLs of the instance'),
	('"https:shop.example.com"', 'does not have two slashes after its scheme'),
	('"localhost:3000"', 'has the scheme "localhost", which is neither http or https nor that of a native app, such as com.example.app'),
	('"shop.example.com:443"', 'has no slash after its scheme'),
	('"https://xn--a.example.com/"', 'has a host with a label that begins with "xn--" but is not valid punycode'),
	(to_json('https://shop.example.com' || repeat('x', 1000) || '@evil.com')::text, 'contains a user name'),
	('"https://accounts.shop.example.com/"', 'Setting "redirect.x" has no URL but allowed ones.'),
	('["/path", "?x", "#x", "page", "see: below", "strict", "12:30", "", 17, null, {"/from": "/to"}]', 'contains a space or a control character'),
	('["/path", "?x", "#x", "page", "strict", "12:30", "", 17, null, {"/from": "/to"}]', 'Setting "redirect.x" has no URL but allowed ones.')) v (value, problem);
SELECT instance_env.add_redirect_url(pg_temp.prod(), url) FROM unnest('{com.example.app://callback, https://partner.com}'::text[]) url \g /dev/null
SELECT is(pg_temp.redirect('["com.example.app://callback", {"https://partner.com/x": 1}]'), 'Setting "redirect.x" has no URL but allowed ones.',
	'what is in the list of redirect URLs');
DELETE FROM instance_env.redirect_url;
DELETE FROM instance_env.setting;

INSERT INTO instance_env.setting (instance, name, value) VALUES
	(pg_temp.dev(), 'redirect.a', '"http://localhost:3000"'), (pg_temp.dev(), 'redirect.b', '"http://localhost:3000"'),
	(pg_temp.prod(), 'redirect.b', '"https://shop.example.com"'), (pg_temp.dev(), 'sso.redirect', '"http://localhost:3000"');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^redirect')$$, ARRAY[
	'redirect:redirect.a error failed 55000',
	'redirect:redirect.b error passed'], 'inactive production: what promotion would copy counts, unless production has its own');
SELECT is_empty($$SELECT pg_temp.checks(pg_temp.dev(), '^redirect')$$, 'a more relaxed security posture: development may use http');
UPDATE instance_env.setting_section SET cloned = false WHERE name = 'redirect';
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^redirect')$$, ARRAY['redirect:redirect.b error passed'],
	'what it would not copy does not');
UPDATE instance_env.setting_section SET cloned = true WHERE name = 'redirect';

-- an active production instance stands for itself, but for its credentials

INSERT INTO instance_env.instance_feature (instance, feature) VALUES (pg_temp.prod(), 'tin');
SELECT instance_env.set_plan(instance_env.application_id('it''s a "shop"'), 'free') \gset
UPDATE instance_env.instance SET status = 'active' WHERE id = pg_temp.prod();
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^(status|plan|redirect|credentials)')$$, ARRAY[
	'status error passed',
	'credentials:apple error passed',
	'credentials:github error passed',
	'plan:tin error passed',
	'redirect:redirect.b error passed'], 'active production: only its own settings and features count');
SELECT lives_ok($$SELECT instance_env.assert_valid(pg_temp.prod())$$, 'it is valid');
SELECT instance_env.suspend_instance(pg_temp.prod()) \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^status')$$, ARRAY['status error failed 23I04'], 'suspended production');
SELECT throws_ok($$SELECT instance_env.assert_valid(pg_temp.prod())$$, '55I01', NULL, 'is not valid');
SELECT instance_env.resume_instance(pg_temp.prod()) \gset
SELECT instance_env.suspend_instance(pg_temp.dev()) \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), '^status')$$, ARRAY['status error failed 23I04'], 'suspended development');
SELECT instance_env.resume_instance(pg_temp.dev()) \gset

-- keys

INSERT INTO instance_env.api_key (hash, instance, hint, revoked_at) VALUES (sha256('1'), pg_temp.prod(), '1', now());
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^keys')$$, ARRAY['keys warning failed'], 'a revoked key is none');
INSERT INTO instance_env.api_key (hash, instance, hint) VALUES (sha256('2'), pg_temp.prod(), '2');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^keys')$$, ARRAY['keys warning passed'], 'a key');

-- guards

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.sessions (id text PRIMARY KEY, instance_id text NOT NULL, user_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', user_key => 'user_id', counted => false, user_table => 'app.users') \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^guard')$$,
	ARRAY['guard:app.sessions error passed', 'guard:app.users error passed'], 'guards are whole');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), '^(guard|usage)')$$,
	ARRAY['guard:app.sessions error passed', 'guard:app.users error passed', 'usage:app.users warning passed'],
	'development: the same, and a count of users');

ALTER TABLE app.users DISABLE TRIGGER instance_env_user_cap;
SELECT results_eq(format($$SELECT pg_temp.checks(%L, '^guard')$$, i),
	ARRAY['guard:app.sessions error passed', 'guard:app.users error failed 55000'],
	'a trigger is disabled: not whole for ' || i) FROM unnest(ARRAY[pg_temp.prod(), pg_temp.dev()]) i;
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^guard:app.users')$$, ARRAY['guard:app.users error passed'],
	'guard() again repairs it');
DROP TRIGGER "Instance_env_no_transfer" ON app.users;
SELECT matches((SELECT message FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'guard' AND subject = 'app.users' AND NOT passed),
	'Instance_env_no_transfer is missing', 'a trigger is missing');
SELECT count(*) FROM instance_env.guard('app.users') \gset
-- references

ALTER TABLE app.sessions DROP CONSTRAINT instance_env_sessions_instance_id_user_id_fkey;
SELECT matches((SELECT message FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'guard' AND subject = 'app.sessions' AND NOT passed),
	'no foreign key over instance and user refers to table "app.users"', 'no reference at all');
ALTER TABLE app.sessions ADD CONSTRAINT plain FOREIGN KEY (user_id) REFERENCES app.users (id);
SELECT matches((SELECT message FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'guard' AND subject = 'app.sessions' AND NOT passed),
	'"plain" lets a row refer to a user of another instance', 'a reference that is not composite');
ALTER TABLE app.sessions ADD CONSTRAINT composite FOREIGN KEY (instance_id, user_id)
	REFERENCES app.users (instance_id, id) NOT VALID;
SELECT matches((SELECT message FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'guard' AND subject = 'app.sessions' AND NOT passed),
	'"composite" is not valid.*"plain" lets', 'a composite one that is not validated');
ALTER TABLE app.sessions VALIDATE CONSTRAINT composite;
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^guard:app.sessions')$$, ARRAY['guard:app.sessions error passed'],
	'a composite one beside it makes up for it');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.sessions'::regclass), true, 'view guards says so, too');
ALTER TABLE app.sessions DROP CONSTRAINT composite;
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.sessions'::regclass), false, 'both times');
ALTER TABLE app.sessions DROP CONSTRAINT plain;

-- indexes

DROP INDEX app.instance_env_users_instance_id_id_key, app.instance_env_users_instance_id_idx;
SELECT matches((SELECT message FROM instance_env.validate(pg_temp.prod()) WHERE check_name = 'guard' AND subject = 'app.users' AND NOT passed),
	'no index serves column "instance_id"', 'an index is missing');
SELECT matches((SELECT message FROM instance_env.validate(pg_temp.dev()) WHERE check_name = 'usage' AND subject = 'app.users' AND NOT passed),
	'could not be counted', 'then users are not counted');
SELECT is((SELECT users FROM instance_env.instance_usage(pg_temp.dev())), NULL, 'nor in view usage');
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', user_key => 'user_id', counted => false, user_table => 'app.users') \gset
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.sessions'::regclass), true, 'guard() makes the reference again');

-- a partitioned table

CREATE TABLE app.members (id text, instance_id text NOT NULL, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE app.members0 PARTITION OF app.members FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.members1 PARTITION OF app.members FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT count(*) FROM instance_env.guard('app.members') \gset
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), 'members')$$,
	ARRAY['guard:app.members error passed', 'usage:app.members warning passed'], 'partitioned: whole');
INSERT INTO app.members SELECT 'm' || i, 'dev' FROM generate_series(1, 450) i;
SELECT is((SELECT message FROM instance_env.validate(pg_temp.dev()) WHERE check_name = 'usage' AND subject = 'app.members'),
	'Table "app.members" holds 450 of at most 500 users.', 'partitioned: all partitions count');
ALTER TABLE app.members1 DISABLE TRIGGER ALL;
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), 'members')$$,
	ARRAY['guard:app.members error failed 55000', 'usage:app.members warning failed'], 'partitioned: not whole');
DROP TABLE app.members;

-- "Development instances have a 500 users cap"

INSERT INTO app.users SELECT 'u' || i, 'dev' FROM generate_series(1, 399) i;
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), '^usage')$$, ARRAY['usage:app.users warning passed'], '399 of 500 users');
SELECT results_eq($$SELECT users, user_cap, percent, state FROM instance_env.usage WHERE instance_id = pg_temp.dev()$$,
	$$VALUES (399::bigint, 500, 79.8, 'ok')$$, 'view usage: 399 of 500 users');
INSERT INTO app.users VALUES ('u400', 'dev');
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), '^usage')$$, ARRAY['usage:app.users warning failed'],
	'400 of 500 users: a warning');
SELECT is((SELECT state FROM instance_env.usage WHERE instance_id = pg_temp.dev()), 'warning', 'view usage: 400 of 500 users');
INSERT INTO app.users SELECT 'u' || i, 'dev' FROM generate_series(401, 500) i;
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.dev(), '^usage')$$, ARRAY['usage:app.users warning failed 23I01'],
	'Development instances have a 500 users cap: full');
SELECT results_eq($$SELECT percent, state FROM instance_env.usage WHERE instance_id = pg_temp.dev()$$,
	$$VALUES (100.0, 'full')$$, 'view usage: full');
SELECT lives_ok($$SELECT instance_env.assert_valid(pg_temp.dev())$$, 'full is not invalid');
SET LOCAL client_min_messages = error;
SELECT instance_env.set_user_cap(pg_temp.dev(), 100) \gset
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000002', 0) \gset
RESET client_min_messages;
SELECT results_eq($$SELECT application, users, user_cap, percent, state FROM instance_env.usage WHERE NOT estimated ORDER BY 1$$,
	$$VALUES ('blog', 0::bigint, 0, 100::numeric, 'full'), ('it''s a "shop"', 500, 100, 500.0, 'full')$$,
	'view usage: more users than a lowered cap, and a cap of nobody');
SELECT is((SELECT message FROM instance_env.validate(pg_temp.dev()) WHERE check_name = 'usage' AND subject = 'app.users'),
	'Table "app.users" holds 500 of at most 100 users.', 'a lowered cap');
SELECT is_empty($$SELECT FROM instance_env.usage WHERE type = 'production' AND NOT (estimated AND state = 'ok' AND user_cap IS NULL AND percent IS NULL)$$,
	'production is not counted');

-- it only reads

SAVEPOINT s;
SET LOCAL transaction_read_only = on;
SELECT lives_ok($$SELECT count(*) FROM instance_env.validate(pg_temp.prod())$$, 'validate() works in a read-only transaction');
SELECT lives_ok($$SELECT count(*) FROM instance_env.readiness$$, 'so does view readiness');
SELECT lives_ok($$SELECT count(*) FROM instance_env.usage$$, 'and view usage');
ROLLBACK TO SAVEPOINT s;

-- what the transaction has changed itself counts

DO $$BEGIN DELETE FROM instance_env.domain; END$$;
SELECT results_eq($$SELECT pg_temp.checks(pg_temp.prod(), '^domain')$$, ARRAY['domain error failed 55000'], 'a change of the same transaction');

-- views

SELECT results_eq(
	$$SELECT application COLLATE "default", status, ready, errors[1], next_step FROM instance_env.readiness WHERE instance_id = pg_temp.prod()$$,
	$$VALUES ('it''s a "shop"', 'active'::instance_env.instance_status, false,
		'Production instance "a0000000-0000-4000-8000-000000000001" has no domain.',
		'Associate a domain with instance_env.associate_domain(), then verify it.')$$, 'view readiness: not ready');
INSERT INTO instance_env.domain (name, instance, root, verified_at) VALUES ('shop.example.com', pg_temp.prod(), 'example.com', now());
SELECT results_eq($$SELECT ready, errors, warnings, next_step FROM instance_env.readiness WHERE instance_id = pg_temp.prod()$$,
	$$VALUES (true, '{}'::text[], '{}'::text[], NULL::text)$$, 'view readiness: ready');
SELECT is((SELECT count(*) FROM instance_env.readiness), 2::bigint, 'view readiness: a row for each production instance');
UPDATE instance_env.application SET staging_of = instance_env.application_id('blog') WHERE name <> 'blog';
SELECT results_eq(
	$$SELECT application, plan::text, staging_of, production_status::text, development_id FROM instance_env.applications ORDER BY 1$$,
	$$VALUES ('blog', 'free', NULL, 'inactive', 'd0000000-0000-4000-8000-000000000002'::uuid),
		('it''s a "shop"', 'free', 'blog', 'active', 'd0000000-0000-4000-8000-000000000001')$$, 'view applications');

SELECT * FROM finish();
ROLLBACK;
