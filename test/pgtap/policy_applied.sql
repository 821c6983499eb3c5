-- What applies to an instance, and what may be changed of it
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(385);

SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('live',
	development_id => 'd0000000-0000-4000-8000-000000000002',
	production_id => 'a0000000-0000-4000-8000-000000000002') \gset
SELECT instance_env.create_application('It''s "still"',
	development_id => 'd0000000-0000-4000-8000-000000000003',
	production_id => 'a0000000-0000-4000-8000-000000000003') \gset
UPDATE instance_env.instance SET status = 'active' WHERE id = 'a0000000-0000-4000-8000-000000000002';
UPDATE instance_env.instance SET status = 'suspended'
WHERE id IN ('d0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000003');
CREATE TEMP VIEW instances AS SELECT status || ' ' || type AS what, type, instance_id AS id
FROM instance_env.instances WHERE NOT (application = 'live' AND type = 'development');
\set development '\'d0000000-0000-4000-8000-000000000001\''
\set production '\'a0000000-0000-4000-8000-000000000001\''
\set unknown '\'00000000-0000-0000-0000-000000000000\''

CREATE FUNCTION pg_temp.value(instance uuid, name text) RETURNS jsonb LANGUAGE sql AS
$$SELECT p.value FROM instance_env.policy($1) p WHERE p.name = $2$$;

-- the page

CREATE TEMP TABLE page (name text, development jsonb, production jsonb, sentence text);
INSERT INTO page VALUES
	('banner', '"Development instance: this is not production data"', 'null',
	 'A Development banner is shown prominently'),
	('message_prefix', '"[Development] "', '""',
	 'Email and SMS templates are prefixed with the environment type'),
	('shared_credentials', 'true', 'false', 'Some social connections use shared credentials by default'),
	('production_only_features', 'false', 'true', 'Certain functionality, like bot protection, is only available in Production mode'),
	('robots_directive', '"noindex, nofollow"', '"all"', 'Search engines will not be able to crawl and index your application'),
	('user_cap', '500', 'null', 'Development instances have a 500 users cap'),
	('user_transfer', 'false', 'false', 'user data can not be transferred between instances'),
	('plan_required', 'false', 'true', 'when you deploy your application to Production, you will be asked to upgrade to a Pro account'),
	('redirect_schemes', '["http", "https"]', '["https"]', 'by default, have a more strict security posture'),
	('domain_required', 'false', 'true', 'You must associate a production domain'),
	('own_credentials_required', 'false', 'true', 'You are required to provision your own SSO credentials'),
	('activation_required', 'false', 'true', 'you must first activate your Production environment');
SELECT is(pg_temp.value(id, name), CASE type WHEN 'development' THEN development ELSE production END,
	'"' || sentence || '": ' || what) FROM page, instances ORDER BY name, what;
SELECT is_empty(
	$$SELECT name FROM instance_env.policy_defaults GROUP BY name HAVING count(*) <> 2$$, 'each policy is said for both types');
SELECT is_empty($$SELECT * FROM instance_env.policy_defaults WHERE description !~ '^[a-z].*[^.]$'$$, 'and described');
SELECT results_eq(format($$SELECT name COLLATE "default", value, 'default', description FROM instance_env.policy_defaults
	WHERE instance_type = %L ORDER BY policy_defaults.name$$, type), format($$SELECT * FROM instance_env.policy(%L)$$, id),
	'policy() tells them all: ' || what) FROM instances;
SELECT set_eq(
	$$SELECT application, type, instance_id, name, value, source FROM instance_env.policies$$,
	$$SELECT i.application, i.type, i.instance_id, p.name, p.value, p.source
	  FROM instance_env.instances i, instance_env.policy(i.instance_id) p$$, 'and the view does so of all instances');
SELECT set_eq($$SELECT DISTINCT type, name, overridable FROM instance_env.policies$$,
	$$SELECT instance_type, name, overridable FROM instance_env.policy_defaults$$, 'and what of it is overridable');
SELECT throws_ok($$SELECT * FROM instance_env.policy(NULL)$$, '22004', NULL, 'policy(): NULL as an instance');
SELECT throws_ok(format($$SELECT * FROM instance_env.policy(%L)$$, :unknown), '23I03', NULL, 'policy(): an unknown instance');

-- what is fixed

SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, %L, %L)$$, i.id, d.name, o.value), '55000', NULL,
	'fixed: ' || d.name || ', ' || i.what)
FROM instance_env.policy_defaults d JOIN instances i ON i.type = d.instance_type
	JOIN instance_env.policy_defaults o ON o.name = d.name AND o.instance_type <> d.instance_type
WHERE NOT d.overridable ORDER BY d.name, i.what;
SELECT set_eq(
	$$SELECT name::text COLLATE "default" FROM instance_env.policy_defaults WHERE instance_type = 'production' AND overridable$$,
	ARRAY['robots_directive', 'robots_txt', 'rate_limit', 'sms_per_month', 'email_per_month', 'test_identities'],
	'a production instance may have its own of these only');
SELECT set_eq(
	$$SELECT name::text COLLATE "default" FROM instance_env.policy_defaults WHERE instance_type = 'development' AND overridable$$,
	ARRAY['user_cap', 'user_cap_mode', 'user_cap_thresholds', 'banner', 'message_prefix', 'redirect_schemes', 'rate_limit', 'sms_per_month', 'email_per_month', 'test_identities'],
	'a development instance of these');
INSERT INTO instance_env.policy_override
SELECT i.id, d.name, o.value FROM instances i JOIN instance_env.policy_defaults d ON i.type = d.instance_type
	JOIN instance_env.policy_defaults o ON o.name = d.name AND o.instance_type <> d.instance_type
WHERE d.name = 'user_cap' OR NOT d.overridable;
SELECT is_empty($$SELECT * FROM instance_env.policies WHERE source <> 'default'$$, 'what is written by hand is not in force');
SELECT is(instance_env.redirect_url_allowed(id, 'http://localhost'), type = 'development', 'nor does it answer: ' || what) FROM instances;
DELETE FROM instance_env.policy_override;

-- set_policy(), reset_policy()

CREATE TEMP VIEW log AS SELECT action, item, before, after FROM instance_env.event
WHERE action IN ('set_policy', 'reset_policy', 'set_user_cap') ORDER BY id;
CREATE TEMP VIEW version AS SELECT config_version FROM instance_env.instance WHERE id = 'd0000000-0000-4000-8000-000000000001';
SELECT config_version AS version FROM version \gset
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'rate_limit', '7')$$, :development), 'an override');
SELECT results_eq(format($$SELECT value, source FROM instance_env.policy(%L) WHERE name = 'rate_limit'$$, :development),
	$$VALUES ('7'::jsonb, 'override')$$, 'shows in policy()');
SELECT results_eq($$SELECT instance_id, value FROM instance_env.policies WHERE source = 'override'$$,
	format($$VALUES (%L::uuid, '7'::jsonb)$$, :development), 'and in the view, for this instance only');
SELECT is((SELECT rate_limit FROM instance_env.security_policy(:development)), 7, 'and is in force');
SELECT is((SELECT rate_limit FROM instance_env.security_policy('d0000000-0000-4000-8000-000000000002')), 100, 'for no other');
SELECT is((SELECT config_version FROM version), :version + 1::bigint, 'the configuration has changed');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'rate_limit', '7.0')$$, :development), 'the same again');
SELECT is((SELECT config_version FROM version), :version + 1::bigint, 'changes nothing');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'rate_limit', '8e0')$$, :development), 'another');
SELECT is(pg_temp.value(:development, 'rate_limit'), '8', 'replaces it');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'rate_limit')$$, :development), 'reset');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'rate_limit')$$, :development), 'and again');
SELECT is((SELECT rate_limit FROM instance_env.security_policy(:development)), 100, 'back to the default');
SELECT is((SELECT config_version FROM version), :version + 3::bigint, 'one change');
SELECT results_eq($$SELECT * FROM log$$,
	$$VALUES ('set_policy', 'rate_limit', NULL::jsonb, '7'::jsonb), ('set_policy', 'rate_limit', '7', '8'),
			 ('reset_policy', 'rate_limit', '8', NULL)$$, 'all of it is in the log');
SELECT is((SELECT count(*) FROM instance_env.event WHERE action LIKE '%set_policy' AND instance = :development
		   AND application = instance_env.application_id('shop')), 3::bigint, 'of this instance');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'rate_limit', '1'), instance_env.reset_policy(%L, 'rate_limit')$$, id, id),
	'whatever the status: ' || what) FROM instances;

-- the cap has a column of its own

SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap', '3')$$, :development), 'a cap');
SELECT is((SELECT user_cap FROM instance_env.instances WHERE instance_id = :development), 3, 'is the instance''s cap');
SELECT is_empty($$SELECT * FROM instance_env.policy_override$$, 'and nothing beside it');
CREATE TABLE public.users (id integer PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('public.users') \gset
SELECT throws_ok(format($$INSERT INTO users SELECT i, %L FROM generate_series(1, 4) i$$, :development), '23I01', NULL, 'in force');
SELECT results_eq(format($$SELECT value, source FROM instance_env.policy(%L) WHERE name = 'user_cap'$$, :development),
	$$VALUES ('3'::jsonb, 'override')$$, 'an override like others');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap', '3')$$, :development), 'the same cap again');
SELECT lives_ok(format($$SELECT instance_env.set_user_cap(%L, 2147483647)$$, :development), 'by set_user_cap()');
SELECT is(pg_temp.value(:development, 'user_cap'), '2147483647', 'it is the same');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'user_cap')$$, :development), 'reset the cap');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'user_cap')$$, :development), 'reset it again');
SELECT results_eq(format($$SELECT value, source FROM instance_env.policy(%L) WHERE name = 'user_cap'$$, :development),
	$$VALUES ('500'::jsonb, 'default')$$, '500 users again');
SELECT results_eq($$SELECT * FROM log WHERE item = 'user_cap'$$,
	$$VALUES ('set_policy', 'user_cap', NULL::jsonb, '3'::jsonb), ('set_user_cap', 'user_cap', '3', '2147483647'),
			 ('reset_policy', 'user_cap', '2147483647', NULL)$$, 'each in the log, under its own name');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'user_cap')$$, :production), 'production: nothing to reset');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap', '0')$$, :development), 'a cap of 0');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap', '2147483647')$$, :development), 'the highest cap');
SELECT instance_env.reset_policy(:development, 'user_cap') \gset

-- values

SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, %L, %L)$$, i.id, name, value), '22023', NULL,
	'not a count: ' || name || ', ' || left(value, 30) || ', ' || i.what)
FROM unnest(ARRAY['user_cap', 'rate_limit', 'sms_per_month', 'email_per_month']) name,
	unnest(ARRAY['-1', '2147483648', '1e1000', '-1e1000', '0.5', '1e-1000', '"5"', 'true', 'null', '[5]', '[]', '{}', '{"n": 5}']) value,
	instances i
WHERE i.id = :development OR (i.id = :production AND name LIKE '%month');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'test_identities', %L)$$, i.id, value), '22023', NULL,
	'not true or false: ' || value || ', ' || i.what)
FROM unnest(ARRAY['0', '1', '"true"', '"false"', 'null', '[true]', '{}']) value, instances i WHERE i.id IN (:development, :production);
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'test_identities', 'false')$$, :development), 'off in development');
SELECT is((SELECT test_identities FROM instance_env.security_policy(:development)), false, 'test identities are off');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'rate_limit', NULL)$$, :development), '22004', NULL, 'NULL as a value');

-- names

SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, %L, '1')$$, :development, name), '22023', NULL,
	'set_policy(): no such policy: ' || left(to_json(name)::text, 40))
FROM unnest(ARRAY['', ' ', 'users', 'USER_CAP', 'user_cap ', E'user_cap\n', E'\x01', 'straße', '"user_cap"', $$';--$$, repeat('x', 100000)]) name;
SELECT throws_ok(format($$SELECT instance_env.reset_policy(%L, %L)$$, :production, name), '22023', NULL,
	'reset_policy(): no such policy: ' || left(to_json(name)::text, 40))
FROM unnest(ARRAY['', ' ', 'users', 'USER_CAP', 'user_cap ', E'user_cap\n', E'\x01', 'straße', '"user_cap"', $$';--$$, repeat('x', 100000)]) name;
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, NULL, '1')$$, :development), '22004', NULL, 'set_policy(): NULL as a name');
SELECT throws_ok(format($$SELECT instance_env.reset_policy(%L, NULL)$$, :development), '22004', NULL, 'reset_policy(): NULL as a name');
SELECT throws_ok($$SELECT instance_env.set_policy(NULL, 'user_cap', '1')$$, '22004', NULL, 'set_policy(): NULL as an instance');
SELECT throws_ok($$SELECT instance_env.reset_policy(NULL, 'user_cap')$$, '22004', NULL, 'reset_policy(): NULL as an instance');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap', '1')$$, :unknown), '23I03', NULL,
	'set_policy(): an unknown instance');
SELECT throws_ok(format($$SELECT instance_env.reset_policy(%L, 'user_cap')$$, :unknown), '23I03', NULL,
	'reset_policy(): an unknown instance');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, %L)$$, :production, name), 'nothing to reset: ' || name)
FROM instance_env.policy_defaults WHERE instance_type = 'production' ORDER BY name;
INSERT INTO instance_env.policy_override VALUES (:production, 'of an earlier version', '1');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'of an earlier version')$$, :production), 'an override left over');
SELECT is_empty(format($$SELECT * FROM instance_env.policy_override WHERE instance = %L$$, :production), 'goes');

-- what a backend remembers

SELECT instance_env.banner(:development) AS banner \gset
SAVEPOINT before;
SELECT instance_env.set_policy(:development, 'banner', '"other"') \gset
SELECT is(instance_env.banner(:development), 'other', 'a change is seen at once');
ROLLBACK TO before;
SELECT is(instance_env.banner(:development), :'banner', 'and forgotten when it is rolled back');
INSERT INTO instance_env.policy_override VALUES (:development, 'banner', '["x"]');
SELECT throws_ok(format($$SELECT instance_env.banner(%L)$$, :development), '55000', NULL, 'by hand, not a text: an error');
SELECT is(instance_env.message_prefix(:development), '[Development] ', 'which concerns nothing else');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'banner')$$, :development), 'that goes away');
SELECT is(instance_env.banner(:development), :'banner', 'and all is as before');
SAVEPOINT before;
UPDATE instance_env.policy_default SET value = value || '[{}]' WHERE name = 'redirect_schemes';
SELECT throws_ok(format($$SELECT instance_env.redirect_url_allowed(%L, '/dashboard')$$, :production), '55000', NULL,
	'a default that is not what it should be: an error');
TRUNCATE instance_env.policy_default;
SELECT throws_ok(format($$SELECT instance_env.robots_txt(%L)$$, :production), '55000', NULL, 'no default: an error');
ROLLBACK TO before;
SELECT is(instance_env.redirect_url_allowed(:production, '/dashboard'), true, 'rolled back');

-- whose functions and operators

CREATE SCHEMA hostile;
CREATE FUNCTION hostile.equal(anyelement, anyelement) RETURNS boolean LANGUAGE sql AS $$SELECT false$$;
CREATE FUNCTION hostile.equal_uuid(uuid, uuid) RETURNS boolean LANGUAGE sql AS $$SELECT false$$;
CREATE FUNCTION hostile.equal_boolean(boolean, boolean) RETURNS boolean LANGUAGE sql AS $$SELECT false$$;
CREATE FUNCTION hostile.equal_text(text, text) RETURNS boolean LANGUAGE sql AS $$SELECT false$$;
CREATE OPERATOR hostile.= (FUNCTION = hostile.equal, LEFTARG = anyelement, RIGHTARG = anyelement);
CREATE OPERATOR hostile.= (FUNCTION = hostile.equal_uuid, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR hostile.= (FUNCTION = hostile.equal_boolean, LEFTARG = boolean, RIGHTARG = boolean);
CREATE OPERATOR hostile.= (FUNCTION = hostile.equal_text, LEFTARG = text, RIGHTARG = text);
CREATE TABLE hostile.policies AS SELECT * FROM instance_env.policies WHERE false;
SELECT instance_env.set_policy(:development, 'banner', '"mine"') \gset
SET LOCAL search_path = hostile, pg_catalog, public;
SELECT instance_env.banner(:development) AS hostile_banner, instance_env.robots_directive(:production) AS hostile_robots,
	(SELECT count(*) FROM instance_env.policy(:production)) AS hostile_count \gset
RESET search_path;
SELECT is(ARRAY[:'hostile_banner', :'hostile_robots', :'hostile_count'], ARRAY['mine', 'all',
	(SELECT count(*)::text FROM instance_env.policy_defaults WHERE instance_type = 'development')], 'a hostile search_path');

-- the end

UPDATE instance_env.instance SET status = 'suspended' WHERE type = 'production';
SELECT instance_env.drop_application(instance_env.application_id('shop')) \gset
SELECT is_empty(format($$SELECT * FROM instance_env.policy_override WHERE instance = %L$$, :development),
	'overrides go with the application');
SELECT throws_ok(format($$SELECT instance_env.banner(%L)$$, :development), '23I03', NULL, 'and nothing is remembered');

-- rights

CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(command, '42501', NULL, 'not for everybody: ' || command)
FROM unnest(ARRAY[
	$$SELECT * FROM instance_env.policy('d0000000-0000-4000-8000-000000000002')$$,
	$$SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000002', 'user_cap', '1')$$,
	$$SELECT instance_env.reset_policy('d0000000-0000-4000-8000-000000000002', 'user_cap')$$,
	$$SELECT * FROM instance_env.policies$$,
	$$SELECT * FROM instance_env.policy_default$$,
	$$SELECT * FROM instance_env.policy_override$$]) command;
RESET ROLE;
GRANT EXECUTE ON FUNCTION instance_env.policy, instance_env.set_policy TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT lives_ok($$SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000002', 'rate_limit', '1')$$,
	'with a right to execute, set_policy() needs no other');
SELECT results_eq(
	$$SELECT value FROM instance_env.policy('d0000000-0000-4000-8000-000000000002') WHERE source = 'override'$$,
	$$VALUES ('1'::jsonb)$$, 'nor does policy()');
RESET ROLE;
SELECT is((SELECT current_user_name FROM instance_env.event ORDER BY id DESC LIMIT 1), 'instance_env_nobody', 'the log names the role');

SELECT * FROM finish();
ROLLBACK;
