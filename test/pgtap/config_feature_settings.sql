-- Settings that use a feature: they count as its use, and need the plan that it needs
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(145);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT application_id AS app FROM instance_env.create_application('shop', 'free', :dev, :prod) \gset
SELECT application_id AS pro FROM instance_env.create_application('paid', 'pro',
	'd0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002') \gset
CREATE FUNCTION pg_temp.uses(instance uuid) RETURNS SETOF text LANGUAGE sql AS
$$SELECT format('%s by %s', feature, used_by) FROM instance_env.instance_features WHERE instance_id = $1$$;
CREATE FUNCTION pg_temp.plan_checks() RETURNS SETOF text LANGUAGE sql AS
$$SELECT concat_ws(' ', concat_ws(':', check_name, subject), CASE WHEN passed THEN 'passed' ELSE 'failed' END, sqlstate)
  FROM instance_env.validate('a0000000-0000-4000-8000-000000000001') WHERE check_name = 'plan'$$;
CREATE FUNCTION pg_temp.detail(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;

-- values

SELECT is(instance_env.setting_in_use(v::jsonb), false, 'not in use: ' || v)
FROM unnest(ARRAY['false', 'null', '0', '0.0', '-0', '0e5', '""', '"  "', '[]', '{}', '"false"', '"False"', '"0"', '"off"', '"OFF"', '" off "',
	'"no"', '"none"', '"null"', '"disabled"', '{"enabled": false}', '{"enabled": "off", "lifetime": 3600}', '{"enabled": null, "a": [1]}',
	'[false, null]', '{"a": [], "b": {"c": ""}}', '{"a": {"enabled": false, "b": 1}}']) v;
SELECT is(instance_env.setting_in_use(v::jsonb), true, 'in use: ' || v)
FROM unnest(ARRAY['true', '1', '-1', '0.1', '1e-300', '"on"', '"true"', '"nobody"', '"offline"', '"nö"', '{"enabled": true}',
	'{"enabled": true, "a": 0}', '[0, 1]', '{"a": null, "b": {"c": [3]}}', '{"Enabled": false, "a": 1}', '[{"enabled": false}, 1]',
	'"disabled by nobody"']) v;
SELECT is(instance_env.setting_in_use(NULL), NULL, 'NULL: NULL');
SELECT is(instance_env.setting_in_use(to_jsonb(repeat(' ', 1000000))), false, 'a megabyte of blanks');
SELECT is(instance_env.setting_in_use((repeat('[', 1000) || repeat(']', 1000))::jsonb), false, 'nothing, deep inside');
SELECT is(instance_env.setting_in_use((repeat('[', 1000) || '1' || repeat(']', 1000))::jsonb), true, 'something, deep inside');

-- the catalogue

SELECT results_eq($$SELECT name COLLATE "default", settings::text COLLATE "default" FROM instance_env.features ORDER BY 1$$,
	$$VALUES ('allowlist', '{restrictions.allowlist}'), ('blocklist', '{restrictions.blocklist}'),
		('bot_protection', '{security.bot_protection,sign_up.bot_protection}'), ('branding_removal', '{branding.hide_service}'),
		('custom_roles', '{user.custom_roles}'), ('custom_session_lifetime', '{session.lifetime}'),
		('enterprise_connections', '{sso.enterprise,sso.oidc,sso.saml}'), ('passkeys', '{sign_in.passkeys}'),
		('phone_sign_in', '{sign_in.phone}'), ('satellite_domains', '{}'), ('unauthorized_sign_in', '{security.unauthorized_sign_in}')$$,
	'which settings use which feature');
SELECT is_empty($$SELECT s FROM instance_env.features, unnest(settings) s
	WHERE split_part(s, '.', 1) NOT IN (SELECT name FROM instance_env.setting_sections)$$, 'all of them can be set');
SELECT throws_ok(format('INSERT INTO instance_env.feature (name, plan, settings, description) VALUES (%L, %L, %L, %L)', 'own', 'pro', s, 'x'), c, NULL,
	'no settings of a feature: ' || coalesce(s, 'NULL'))
FROM (VALUES ('{session}', '23514'), ('{session.}', '23514'), ('{.a}', '23514'), ('{session.A}', '23514'), ('{"session.a b"}', '23514'),
	('{session.a,NULL}', '23514'), ('{{session.a},{session.b}}', '23514'), ('{""}', '23514'), ('{session.ä}', '23514'), ('{session..a}', '23514'),
	(E'{"session.a\n"}', '23514'), ('{"session.%"}', '23514'), ('{"session.a,session.b"}', '23514'), (NULL, '23502')) v (s, c);
INSERT INTO instance_env.feature (name, plan, settings, description) VALUES
	('own', 'enterprise', '{email.own.domain,sms.own_sender}', 'of our own'), ('late', 'pro', '{session.lifetime.web.remembered}', 'of our own');

-- development uses what it likes, but for what is for production only

SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, s, '"x"'), 'set in development: ' || s)
FROM instance_env.features, unnest(settings) s WHERE NOT production_only ORDER BY s;
SELECT throws_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, s, '{"level": 1}'), '55I03', NULL,
	'"bot protection, is only available in Production mode": ' || s)
FROM unnest('{security.bot_protection,sign_up.bot_protection,security.bot_protection.widget}'::text[]) s;
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'security.bot_protection', 'false'), 'but it can be switched off there');
SELECT is((SELECT string_agg(DISTINCT feature, ' ') FROM instance_env.instance_features WHERE instance_id = :dev),
	(SELECT string_agg(name, ' ' ORDER BY name) FROM instance_env.features WHERE NOT production_only AND name NOT IN ('satellite_domains')),
	'view instance_features shows their use');
SELECT set_eq(format('SELECT pg_temp.uses(%L)', :dev), ARRAY['allowlist by {setting:restrictions.allowlist}', 'blocklist by {setting:restrictions.blocklist}',
	'branding_removal by {setting:branding.hide_service}', 'custom_roles by {setting:user.custom_roles}',
	'custom_session_lifetime by {setting:session.lifetime,setting:session.lifetime.web.remembered}',
	'enterprise_connections by {setting:sso.enterprise,setting:sso.oidc,setting:sso.saml}', 'late by {setting:session.lifetime.web.remembered}',
	'own by {setting:email.own.domain,setting:sms.own_sender}', 'passkeys by {setting:sign_in.passkeys}', 'phone_sign_in by {setting:sign_in.phone}',
	'unauthorized_sign_in by {setting:security.unauthorized_sign_in}'], 'and by what');

-- production needs the plan

SELECT throws_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :prod, s, '"x"'), '55I02', NULL,
	'"you will be asked to upgrade to a Pro account": ' || s)
FROM instance_env.features, unnest(settings || '{sign_in.passkeys.required,session.lifetime.web}'::text[]) s
WHERE plan <> 'free' GROUP BY s ORDER BY s;
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :prod, s, '"x"'), 'not a feature''s: ' || s)
FROM unnest('{security.bot_protection,session.lifetimes,session.lifetime_web,sign_in.pass,session.life.time,email.own,sms.own,sso.enterpriser}'::text[]) s;
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :prod, 'session.lifetime', v), 'not in use: ' || v)
FROM unnest(ARRAY['0', 'false', 'null', '"off"', '{"enabled": false, "seconds": 60}']) v;
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, NULL)', :prod, 'session.lifetime'), 'removed');
SELECT is(pg_temp.detail(format('SELECT instance_env.set_setting(%L, %L, %L)', :prod, 'session.lifetime.web.remembered', '1')),
	'Setting "session.lifetime.web.remembered" uses feature "custom_session_lifetime", which needs plan "pro"; the application is on plan "free".',
	'one that uses several features names one of the highest plan');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000002', 'session.lifetime', '60'), 2::bigint, 'with the plan');
SELECT throws_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000002', 'sms.own_sender', '1')$$, '55I02', NULL,
	'but not beyond the plan');
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000002') \gset
SELECT throws_ok($$SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000002', 'sign_up.bot_protection', '1')$$, '55I03', NULL, 'also when suspended');

-- validate() and promote(): what production has, and what would be cloned

SELECT instance_env.associate_domain(:prod, 'shop.example.com') \gset
SELECT instance_env.verify_domain(:prod, 'shop.example.com') \gset
SELECT set_eq('SELECT pg_temp.plan_checks()', ARRAY['plan:allowlist failed 55I02', 'plan:blocklist failed 55I02', 'plan:bot_protection passed',
	'plan:branding_removal failed 55I02', 'plan:custom_roles failed 55I02', 'plan:custom_session_lifetime failed 55I02', 'plan:late failed 55I02',
	'plan:own failed 55I02', 'plan:passkeys failed 55I02', 'plan:phone_sign_in failed 55I02', 'plan:unauthorized_sign_in failed 55I02'],
	'the plan must cover them, but for those that are not cloned');
SELECT is((SELECT message FROM instance_env.validate(:prod) WHERE check_name = 'plan' AND subject = 'passkeys'),
	'Feature "passkeys", used by setting "sign_in.passkeys", needs plan "pro", but the application is on plan "free".', 'the message says what uses it');
SELECT is((SELECT message FROM instance_env.validate(:prod) WHERE check_name = 'plan' AND subject = 'own'),
	'Feature "own", used by setting "email.own.domain" and 1 more, needs plan "enterprise", but the application is on plan "free".', 'or the first of several');
SELECT throws_ok(format('SELECT * FROM instance_env.promote(%L::uuid)', :'app'), '55I01', NULL, 'so promote() refuses');
SELECT instance_env.set_setting(:dev, name, NULL) FROM instance_env.setting WHERE instance = :dev AND name <> 'session.lifetime' \g /dev/null
SELECT set_eq('SELECT pg_temp.plan_checks()', ARRAY['plan:bot_protection passed', 'plan:custom_session_lifetime failed 55I02'], 'one is left');
SELECT instance_env.set_setting(:prod, 'session.lifetime', '"off"') \gset
SELECT set_eq('SELECT pg_temp.plan_checks()', ARRAY['plan:bot_protection passed'], 'production''s own setting is kept, so development''s does not count');
SELECT instance_env.set_setting(:prod, 'session.lifetime', NULL) \gset
SELECT instance_env.set_setting(:dev, 'session.lifetime', '{"enabled": false}') \gset
SELECT set_eq('SELECT pg_temp.plan_checks()', ARRAY['plan:bot_protection passed'], 'nor if it is switched off');
SELECT instance_env.set_setting(:dev, 'session.lifetime', '60') \gset
SELECT instance_env.set_plan(:'app'::uuid, 'pro') \gset
SELECT results_eq(format('SELECT step, item FROM instance_env.promote(%L::uuid)', :'app'),
	format($$VALUES ('clone_setting', 'session.lifetime'), ('activate', %L)$$, :prod), 'with the plan it is cloned');
INSERT INTO instance_env.setting VALUES (:prod, 'sms.own_sender', '1');
SELECT set_eq('SELECT pg_temp.plan_checks()', ARRAY['plan:bot_protection passed', 'plan:custom_session_lifetime passed', 'plan:own failed 55I02'],
	'production''s own count, however they came');
DELETE FROM instance_env.setting WHERE name = 'sms.own_sender';

-- set_plan()

SELECT throws_ok(format('SELECT instance_env.set_plan(%L::uuid, %L)', :'app', 'free'), '55I02', NULL, 'the plan cannot be lowered');
SELECT is(pg_temp.detail(format('SELECT instance_env.set_plan(%L::uuid, %L)', :'app', 'free')),
	'Feature "custom_session_lifetime", used by setting "session.lifetime", needs plan "pro".', 'because of the setting');
SELECT instance_env.set_setting(:prod, 'session.lifetime', '0') \gset
SELECT lives_ok(format('SELECT instance_env.set_plan(%L::uuid, %L)', :'app', 'free'), 'once it is switched off, the plan can be lowered');
SELECT throws_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :prod, 'session.lifetime', '60'), '55I02', NULL, 'and then it cannot be switched on');

-- enable_feature(), disable_feature()

SELECT instance_env.enable_feature('a0000000-0000-4000-8000-000000000002', 'custom_session_lifetime') \gset
SELECT set_eq($$SELECT pg_temp.uses('a0000000-0000-4000-8000-000000000002')$$, ARRAY['custom_session_lifetime by {enabled,setting:session.lifetime}'], 'used in two ways');
SELECT is((SELECT quantity FROM instance_env.instance_features WHERE instance_id = 'a0000000-0000-4000-8000-000000000002'), 1, 'once');
SELECT throws_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000002', 'custom_session_lifetime')$$, '55000', NULL,
	'a feature that a setting uses is not disabled');
SELECT is(pg_temp.detail($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000002', 'custom_session_lifetime')$$),
	'It is used by setting "session.lifetime".', 'the error says by which');
SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000002', 'session.lifetime', NULL) \gset
SELECT lives_ok($$SELECT instance_env.disable_feature('a0000000-0000-4000-8000-000000000002', 'custom_session_lifetime')$$, 'without it, it is');
SELECT throws_ok(format('SELECT instance_env.disable_feature(%L, %L)', :dev, 'custom_session_lifetime'), '55000', NULL, 'the same in development');

-- satellite domains

INSERT INTO instance_env.domain (name, root, instance, is_primary) VALUES
	('b.example.net', 'example.net', 'a0000000-0000-4000-8000-000000000002', false),
	('a.example.net', 'example.net', 'a0000000-0000-4000-8000-000000000002', false);
SELECT results_eq($$SELECT feature COLLATE "default", quantity, used_by::text COLLATE "default" FROM instance_env.instance_features
	WHERE instance_id = 'a0000000-0000-4000-8000-000000000002'$$,
	$$VALUES ('satellite_domains', 2, '{domain:a.example.net,domain:b.example.net}')$$, 'they are named, too');

-- import_settings()

SELECT set_eq(format($$SELECT step, item FROM instance_env.import_settings(%L, %L)$$, :prod,
	'{"format": 1, "settings": {"sign_in.passkeys": true, "sign_in.phone": false, "session.lifetime": 0, "session.b": 1, "restrictions.allowlist.hosts": ["a"]}}'),
	$$VALUES ('plan_upgrade_required', 'restrictions.allowlist.hosts'), ('plan_upgrade_required', 'sign_in.passkeys'), ('import_setting', 'session.b'),
		('import_setting', 'sign_in.phone')$$, 'what the plan does not cover is left out');
SELECT is_empty(format('SELECT FROM instance_env.settings(%L) WHERE name LIKE %L', :prod, '%passkeys%'), 'and not set');
SELECT set_eq(format($$SELECT step, item FROM instance_env.import_settings(%L, %L)$$, :dev,
	'{"format": 1, "settings": {"sign_in.passkeys": true, "security.bot_protection": true}}'),
	$$VALUES ('import_setting', 'sign_in.passkeys'), ('feature_not_available', 'security.bot_protection')$$,
	'nor is what is for production only taken over by development');

-- staging

INSERT INTO instance_env.setting VALUES (:prod, 'sign_in.passkeys', 'true'), (:prod, 'restrictions.blocklist', '[]'), (:dev, 'sign_up.bot_protection', '1');
SELECT production_id AS sprod, development_id AS sdev FROM instance_env.create_staging_application(:'app'::uuid, 'staging.shop.example.com') \gset
SELECT set_eq(format('SELECT name FROM instance_env.settings(%L)', :'sprod'),
	ARRAY['restrictions.blocklist', 'security.bot_protection', 'session.b', 'session.lifetime', 'session.lifetime_web', 'session.lifetimes', 'sign_in.pass',
		'session.life.time', 'email.own', 'sms.own', 'sign_in.phone'], 'a staging environment does not get what its plan does not cover');
SELECT set_eq(format('SELECT name FROM instance_env.settings(%L)', :'sdev'), ARRAY['session.lifetime', 'sign_in.passkeys'],
	'nor, in development, what is for production only');

-- rights

CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
GRANT SELECT ON instance_env.instance_features, instance_env.setting_sections TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT lives_ok('SELECT * FROM instance_env.instance_features', 'the right to read the view is enough');
SELECT lives_ok('SELECT * FROM instance_env.setting_sections', 'and so it is for the sections');
SELECT throws_ok('SELECT * FROM instance_env.setting_section', '42501', NULL, 'whose table is not open');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
