-- Domains and promotion
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(130);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', 'pro',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('blog', production_id => 'a0000000-0000-4000-8000-000000000002') \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('app.users') \gset

-- names of domains

CREATE TEMP TABLE names (name text, valid boolean);
INSERT INTO names VALUES
	('example.com', true),
	('www.example.com', true),
	('a.b.c.d.example.co', true),
	('xn--bcher-kva.com', true),
	('x.io', true),
	('1.example.com', true),
	('a-b.example.com', true),
	('a--b.example.com', true),
	(repeat('a', 63) || '.com', true),
	(repeat('a', 63) || '.' || repeat('b', 63) || '.' || repeat('c', 63) || '.' || repeat('d', 41) || '.com', true),
	('', false),
	('com', false),
	('localhost', false),
	('.example.com', false),
	('example.com.', false),
	('example..com', false),
	('-a.example.com', false),
	('a-.example.com', false),
	('a_b.example.com', false),
	('Example.com', false),
	('EXAMPLE.COM', false),
	('bücher.example', false),
	('example.c', false),
	('example.123', false),
	('example.c0m', false),
	('example.com-', false),
	('192.168.0.1', false),
	('[::1]', false),
	('http://example.com', false),
	('https://example.com/', false),
	('example.com:443', false),
	('example.com/path', false),
	('example.com?query', false),
	('user@example.com', false),
	('*.example.com', false),
	('example com', false),
	(' example.com', false),
	('example.com ', false),
	(E'example.com\n', false),
	(E'example\t.com', false),
	(repeat('a', 64) || '.com', false),
	(repeat('a', 63) || '.' || repeat('b', 63) || '.' || repeat('c', 63) || '.' || repeat('d', 42) || '.com', false),
	(repeat('a.', 5000) || 'com', false),
	('shop.vercel.app', false),
	('vercel.app', false),
	('shop.netlify.app', false),
	('shop.pages.dev', false),
	('shop.fly.dev', false),
	('shop.render.com', false),
	('shop.herokuapp.com', false),
	('shop.clerk.app', false),
	('a.b.vercel.app', false),
	-- only as a whole label
	('myvercel.app', true),
	('vercel.app.example.com', true);

SELECT CASE
	WHEN valid THEN lives_ok(
		format($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', %L, false)$$, name),
		'valid: ' || left(to_json(name)::text, 60))
	ELSE throws_ok(
		format($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', %L, false)$$, name),
		'22I01', NULL, 'not valid: ' || left(to_json(name)::text, 60)) END
FROM names;
DELETE FROM instance_env.domain;
DELETE FROM instance_env.dns_record;

-- associate_domain(), verify_domain()

SELECT throws_ok(
	$$SELECT instance_env.associate_domain('d0000000-0000-4000-8000-000000000001', 'shop.example.com')$$, '55000', NULL,
	'a development instance has no domain of its own');
SELECT throws_ok($$SELECT instance_env.associate_domain(NULL, 'shop.example.com')$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', NULL)$$, '22004', NULL,
	'NULL as a domain');
SELECT throws_ok(
	$$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', NULL)$$,
	'22004', NULL, 'NULL as is_primary');
SELECT throws_ok(
	$$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000009', 'shop.example.com')$$, '23I03', NULL,
	'an unknown instance');
SELECT throws_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'55000', NULL, 'a domain that nobody associated cannot be verified');
SELECT lives_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'a domain');
SELECT lives_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'the same again');
SELECT is((SELECT count(*) FROM instance_env.domain), 1::bigint, 'is one domain');
SELECT throws_ok(
	$$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'shop.example.com')$$, '22I01', NULL,
	'a domain that another application has');
SELECT throws_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000002', 'shop.example.com')$$,
	'55000', NULL, 'nor can another application verify it');
SELECT lives_ok(
	$$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'satellite.example.org', false)$$,
	'a satellite');

-- promote()

SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'))$$, '55I01', NULL,
	'without a domain: blocked');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, '55I01', NULL,
	'with a domain that is not verified: blocked');
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'satellite.example.org')$$,
	'the satellite is verified');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, '55I01', NULL,
	'with a satellite that is verified and a primary domain that is not: blocked');
SELECT throws_ok($$INSERT INTO app.users VALUES (1, 'a0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'production takes nobody yet');
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'the domain is verified');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'), 'satellite.example.org')$$,
	'55I01', NULL, 'with a domain that is not the primary one: blocked');
SELECT verified_at AS first FROM instance_env.domain WHERE name = 'shop.example.com' \gset
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'and again');
SELECT is((SELECT verified_at FROM instance_env.domain WHERE name = 'shop.example.com'), :'first'::timestamptz,
	'the first time stands');
SELECT lives_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'associated again');
SELECT isnt((SELECT verified_at FROM instance_env.domain WHERE name = 'shop.example.com'), NULL, 'it stays verified');
SELECT isnt_empty($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, 'promoted: says what it did');
SELECT is((SELECT status::text FROM instance_env.instances WHERE instance_id = 'a0000000-0000-4000-8000-000000000001'),
	'active', 'production is active');
SELECT is_empty($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, 'again: nothing to do');
SELECT is_empty($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'), 'shop.example.com')$$,
	'again, with its domain: nothing to do');
SELECT lives_ok($$INSERT INTO app.users SELECT i, 'a0000000-0000-4000-8000-000000000001' FROM generate_series(1, 1000) i$$,
	'production takes users, more than a development instance');
SELECT is((SELECT status::text FROM instance_env.instances WHERE instance_id = 'd0000000-0000-4000-8000-000000000001'),
	'active', 'development is active, too');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'd0000000-0000-4000-8000-000000000001' WHERE id = 1$$, '23I02', NULL,
	'users do not move back');
SELECT throws_ok($$SELECT * FROM instance_env.promote(NULL)$$, '22004', NULL, 'NULL promoted');
SELECT throws_ok($$SELECT * FROM instance_env.promote('00000000-0000-0000-0000-000000000000')$$, '22023', NULL,
	'an unknown application');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), 'not valid')$$, '55I01', NULL,
	'with a name that is no domain');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), 'shop.example.com')$$, '55I01', NULL,
	'with another application''s domain');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), 'blog.example.net')$$, '55I01', NULL,
	'with a domain not yet verified: blocked');

-- an active production instance keeps its domain
SELECT throws_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'new.example.com')$$,
	'55000', NULL, 'active: no other primary domain');
SELECT throws_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', false)$$,
	'55000', NULL, 'active: the primary domain does not become a satellite');
SELECT is((SELECT domain COLLATE "default" FROM instance_env.instances
		   WHERE instance_id = 'a0000000-0000-4000-8000-000000000001'), 'shop.example.com', 'active: it keeps its domain');
SELECT lives_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'third.example.com', false)$$,
	'active: another satellite');

-- suspended production is resumed, not promoted again
SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001') \gset
SELECT throws_ok($$INSERT INTO app.users VALUES (2000, 'a0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'suspended: takes nobody');
SELECT lives_ok($$SELECT instance_env.resume_instance('a0000000-0000-4000-8000-000000000001')$$, 'resumed');
SELECT lives_ok($$INSERT INTO app.users VALUES (2000, 'a0000000-0000-4000-8000-000000000001')$$, 'takes users');

-- in a savepoint
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'blog.example.net') \gset
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000002', 'blog.example.net') \gset
SAVEPOINT s;
SELECT isnt_empty($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'))$$, 'promoted in a savepoint');
SELECT lives_ok($$INSERT INTO app.users VALUES (3000, 'a0000000-0000-4000-8000-000000000002')$$, 'takes users');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok($$INSERT INTO app.users VALUES (3000, 'a0000000-0000-4000-8000-000000000002')$$, '23I04', NULL,
	'rolled back: takes nobody');

-- what is cloned

INSERT INTO instance_env.setting_section (name, cloned, description) VALUES
	('session', true, 'test'), ('sso', false, 'test'), ('integration', false, 'test'), ('path', false, 'test')
ON CONFLICT (name) DO NOTHING;
INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description)
SELECT type, name, value, overridable, 'test' FROM (VALUES
	('development'::instance_env.instance_type, 'test_rate', '100'::jsonb, true), ('production', 'test_rate', '1000', true),
	('development', 'test_same', '1', true), ('production', 'test_same', '2', true),
	('development', 'test_fixed', 'true', true), ('production', 'test_fixed', 'false', false),
	('development', 'test_alone', 'true', true)) AS v (type, name, value, overridable);
INSERT INTO instance_env.feature (name, plan, description) VALUES
	('test_free', 'free', 'test'), ('test_pro', 'pro', 'test'), ('test_enterprise', 'enterprise', 'test');

CREATE FUNCTION pg_temp.new_application(name text, plan instance_env.plan, OUT app uuid, OUT dev uuid, OUT prod uuid)
LANGUAGE plpgsql AS $$
BEGIN
	SELECT * INTO app, dev, prod FROM instance_env.create_application(name, plan);
	PERFORM instance_env.associate_domain(prod, name || '-example.com');
	PERFORM instance_env.verify_domain(prod, name || '-example.com');
END $$;
INSERT INTO instance_env.social_provider (name, offers_shared) VALUES ('test_provider', true);
CREATE FUNCTION pg_temp.configure(dev uuid, prod uuid) RETURNS void LANGUAGE sql AS $$
	INSERT INTO instance_env.setting VALUES
		(dev, 'session.lifetime', '3600'), (dev, 'session.Ωδ "quoted"', E'{"a": [1, null, "\\u00fc"]}'),
		(dev, 'session.nothing', 'null'), (dev, 'session', 'true'),
		(dev, 'sso.saml', '{"x": 1}'), (dev, 'integration.crm', '"on"'), (dev, 'path.sign_in', '"/sign-in"'),
		(dev, 'sessions.lifetime', '1');
	INSERT INTO instance_env.policy_override VALUES
		(dev, 'test_rate', '7'), (dev, 'test_same', '2'), (dev, 'test_fixed', 'false'), (dev, 'test_alone', 'false');
	INSERT INTO instance_env.instance_feature (instance, feature, quantity) VALUES
		(dev, 'test_free', 1), (dev, 'test_pro', 3), (dev, 'test_enterprise', 1);
	INSERT INTO instance_env.social_connection (instance, provider, instance_type, source, client_id, secret_reference) VALUES
		(dev, 'test_provider', 'development', 'shared', NULL, NULL), (prod, 'test_provider', 'production', 'own', 'client', 'secret');
$$;

SELECT * FROM pg_temp.new_application('clone', 'enterprise') \gset
SELECT pg_temp.configure(:'dev', :'prod') \gset
SELECT config_version AS version FROM instance_env.instance WHERE id = :'prod' \gset
SELECT config_version AS dev_version FROM instance_env.instance WHERE id = :'dev' \gset
INSERT INTO instance_env.setting VALUES (:'prod', 'session.lifetime', '60');
CREATE TEMP TABLE returned AS SELECT row_number() OVER () AS n, * FROM instance_env.promote(:'app');
SELECT results_eq('SELECT step, item, before, after FROM returned ORDER BY n', format($$VALUES
	('clone_setting', 'session', NULL::jsonb, 'true'::jsonb),
	('clone_setting', 'session.nothing', NULL, 'null'),
	('clone_setting', 'session.Ωδ "quoted"', NULL, '{"a": [1, null, "ü"]}'),
	('clone_feature', 'test_enterprise', NULL, '1'),
	('clone_feature', 'test_free', NULL, '1'),
	('clone_feature', 'test_pro', NULL, '3'),
	('activate', '%s', '{"status": "inactive"}', '{"status": "active"}')$$, :'prod'),
	'says each change, in order: settings, features');
SELECT is((SELECT jsonb_object_agg(name, value) FROM instance_env.setting WHERE instance = :'prod'),
	E'{"session": true, "session.nothing": null, "session.Ωδ \\"quoted\\"": {"a": [1, null, "ü"]}, "session.lifetime": 60}',
	'settings are cloned, SSO connections, integrations and paths are not, and what production had set stays');
SELECT is((SELECT jsonb_object_agg(name, value) FROM instance_env.policy_override WHERE instance = :'prod'),
	NULL, 'nor are policy overrides: what is relaxed in development, test identities say, stays there');
SELECT is((SELECT jsonb_object_agg(feature, quantity) FROM instance_env.instance_feature WHERE instance = :'prod'),
	'{"test_free": 1, "test_pro": 3, "test_enterprise": 1}', 'features are cloned');
SELECT is((SELECT array_agg(client_id) FROM instance_env.social_connection WHERE instance = :'prod'), ARRAY['client'],
	'"You are required to provision your own SSO credentials": connections are not cloned');
SELECT is((SELECT config_version FROM instance_env.instance WHERE id = :'prod'), :version + 1::bigint,
	'production has another version, once');
SELECT is((SELECT config_version FROM instance_env.instance WHERE id = :'dev'), :dev_version::bigint, 'development has not');
SELECT is((SELECT count(*) FROM instance_env.setting WHERE instance = :'dev'), 8::bigint, 'and keeps what it has');

-- the history

SELECT is((SELECT changes FROM instance_env.promotions WHERE application = 'clone'),
	(SELECT jsonb_agg(jsonb_build_object('step', step, 'item', item, 'before', before, 'after', after) ORDER BY n) FROM returned),
	'the history has what was returned');
SELECT results_eq($$SELECT session_user_name, current_user_name, client_address, promoted_at, rolled_back_at
	FROM instance_env.promotions WHERE application = 'clone'$$,
	'SELECT session_user, current_user, inet_client_addr(), now(), NULL::timestamptz', 'who, from where and when');
SELECT is((SELECT snapshot FROM instance_env.promotion WHERE application = :'app'),
	'{"status": "inactive", "settings": {"session.lifetime": 60}, "policies": {}, "features": {}}',
	'and what production was before');
SELECT results_eq(format($$SELECT item, before, after FROM instance_env.event
	WHERE action = 'promote' AND application = %L AND instance = %L ORDER BY id$$, :'app', :'prod'),
	'SELECT item, before, after FROM returned ORDER BY n', 'the audit log has the same');

SELECT is_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'again: nothing to do');
INSERT INTO instance_env.setting VALUES (:'dev', 'session.later', '1');
SELECT is_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'an active production gets no more settings');
SELECT is((SELECT count(*) FROM instance_env.promotions WHERE application = 'clone'), 1::bigint, 'it is one promotion');
SELECT throws_ok(format('SELECT * FROM instance_env.promote(%L, %L)', :'app', 'other.example.com'), '55I01', NULL,
	'active: on another domain');

-- as another role, through a function of its owner's
CREATE ROLE instance_env_promoter;
GRANT USAGE ON SCHEMA instance_env TO instance_env_promoter;
GRANT EXECUTE ON FUNCTION instance_env.promote(uuid, text, boolean, boolean),
	instance_env.promote(text, text, boolean, boolean) TO instance_env_promoter;
SELECT * FROM pg_temp.new_application('role', 'free') \gset
SET LOCAL ROLE instance_env_promoter;
SELECT throws_ok(format('SELECT instance_env.rollback_promotion(%L)', :'app'), '42501', NULL,
	'who may promote may not roll back');
SELECT throws_ok(format('SELECT instance_env.create_staging_application(%L, %L)', :'app', 'x.example.com'), '42501', NULL,
	'nor create a staging application');
SELECT throws_ok('SELECT FROM instance_env.promotions', '42501', NULL, 'nor read the history');
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'but promote, with no right on any table');
RESET ROLE;
SELECT is((SELECT session_user_name || ' ' || current_user_name FROM instance_env.promotions WHERE application = 'role'),
	session_user || ' instance_env_promoter', 'the history names the role that called');

-- without settings; with what the plan covers

SELECT * FROM pg_temp.new_application('bare', 'enterprise') \gset
SELECT pg_temp.configure(:'dev', :'prod') \gset
SELECT is((SELECT array_agg(step) FROM instance_env.promote(:'app', clone_settings => false)), ARRAY['activate'],
	'clone_settings => false: nothing is cloned');
SELECT is_empty(format('SELECT FROM instance_env.setting WHERE instance = %L', :'prod'), 'really nothing');

-- arguments

SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), clone_settings => NULL)$$, '22004', NULL,
	'NULL as clone_settings');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), dry_run => NULL)$$, '22004', NULL,
	'NULL as dry_run');
SELECT throws_ok(format($$SELECT * FROM instance_env.promote(%L)$$, :'prod'), '22023', NULL,
	'the id of an instance where an application is meant');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), '')$$, '22023', NULL, 'an empty domain');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), repeat('a.', 5000) || 'com')$$,
	'22023', NULL, 'a very long domain');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), E'a.com\nAnother blocker.')$$,
	'22023', NULL, 'a control character in a domain');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), 'bücher.example')$$, '55I01', NULL,
	'a domain that is not ASCII');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), 'clone-example.com')$$, '55I01', NULL,
	'another application''s domain');

SELECT * FROM finish();
ROLLBACK;
