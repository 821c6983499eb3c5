-- Rows that the extension brings: what a superuser may change of them, and that a dump knows
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(62);

CREATE TEMP TABLE catalogues AS SELECT unnest(ARRAY['policy_default', 'social_provider', 'feature', 'setting_section', 'hosting_suffix', 'service']) AS name;

-- what a dump takes along

SELECT is_empty(format('SELECT * FROM instance_env.%I WHERE NOT builtin OR changed', name), name || ': as installed, nothing is dumped')
FROM catalogues;
SELECT is((SELECT e.extcondition[array_position(e.extconfig, ('instance_env.' || name)::regclass::oid)] FROM pg_extension e
		   WHERE e.extname = 'instance_env'), 'WHERE NOT builtin OR changed', name || ': what is changed is')
FROM catalogues;

UPDATE instance_env.policy_default SET value = '200' WHERE name = 'rate_limit' AND instance_type = 'development';
UPDATE instance_env.policy_default SET value = value, description = description WHERE name = 'banner';
UPDATE instance_env.social_provider SET offers_shared = false WHERE name IN ('x', 'spotify');
UPDATE instance_env.feature SET development_limit = 30 WHERE name = 'enterprise_connections';
UPDATE instance_env.setting_section SET cloned = false WHERE name IN ('branding', 'sso');
UPDATE instance_env.hosting_suffix SET hosting = false WHERE name IN ('render.com', 'uk.com');
SELECT results_eq(format('SELECT name COLLATE "default" FROM instance_env.%I WHERE changed', c.name), ARRAY[row_name], c.name || ': a row that changes is marked')
FROM catalogues c JOIN (VALUES ('policy_default', 'rate_limit'), ('social_provider', 'x'), ('feature', 'enterprise_connections'),
	('setting_section', 'branding'), ('hosting_suffix', 'render.com')) v (name, row_name) USING (name);
UPDATE instance_env.social_provider SET changed = false WHERE name = 'x';
SELECT ok((SELECT changed FROM instance_env.social_provider WHERE name = 'x'), 'the mark stays');
INSERT INTO instance_env.setting_section (name, cloned, description) VALUES ('own', true, 'of our own');
UPDATE instance_env.setting_section SET cloned = false WHERE name = 'own';
SELECT ok((SELECT NOT changed FROM instance_env.setting_section WHERE name = 'own'), 'a row of one''s own needs none');

-- what a restore brings

INSERT INTO instance_env.policy_default VALUES ('production', 'rate_limit', '5000', false, 'other words', true, true);
SELECT results_eq($$SELECT instance_type::text, value, description FROM instance_env.policy_default WHERE name = 'rate_limit' ORDER BY 1$$,
	$$VALUES ('development', '200'::jsonb, 'how many requests the backend API takes within rate_limit_seconds'),
			 ('production', '5000', 'other words')$$, 'a changed row replaces the one that it was');
INSERT INTO instance_env.feature (name, plan, description, builtin, changed) VALUES ('passkeys', 'enterprise', 'x', true, true);
SELECT is((SELECT plan::text FROM instance_env.feature WHERE name = 'passkeys'), 'enterprise', 'in the other tables, too');
SELECT throws_ok($$INSERT INTO instance_env.feature (name, plan, description) VALUES ('passkeys', 'free', 'x')$$, '23505', NULL,
	'nothing else does');
SELECT throws_ok($$INSERT INTO instance_env.setting_section VALUES ('own', true, 'x', true, true)$$, '23505', NULL,
	'nor does it replace a row of one''s own');
SELECT throws_ok($$INSERT INTO instance_env.feature (name, plan, description, builtin, changed) VALUES (NULL, 'free', 'x', true, true)$$,
	'23502', NULL, 'a row without a name');

-- what the extension enforces, the table tells as it is

CREATE TEMP TABLE promises AS SELECT unnest(ARRAY['user_transfer', 'activation_required', 'domain_required', 'shared_credentials',
	'own_credentials_required', 'production_only_features', 'plan_required']) AS name;
SELECT throws_ok(format($$UPDATE instance_env.policy_default SET value = 'null' WHERE name = %L$$, name), '55000',
	format('policy "%s" cannot be changed', name), 'not changed: ' || name) FROM promises;
SELECT throws_ok(format($$DELETE FROM instance_env.policy_default WHERE name = %L$$, name), '55000',
	format('policy "%s" cannot be changed', name), 'not deleted: ' || name) FROM promises;
SELECT throws_ok($$UPDATE instance_env.policy_default SET overridable = true WHERE name = 'shared_credentials'$$, '55000', NULL,
	'nor made overridable');
SELECT throws_ok($$SET LOCAL session_replication_role = replica;
	UPDATE instance_env.policy_default SET name = 'x' WHERE name = 'plan_required'$$, '55000', NULL, 'nor renamed, by replication');
SELECT lives_ok($$UPDATE instance_env.policy_default SET description = 'in other words' WHERE name = 'plan_required'$$,
	'it can be described in other words');

-- ... also where such a row is restored

CREATE TEMP TABLE brought AS SELECT * FROM instance_env.policy_default WHERE name = 'plan_required' ORDER BY instance_type LIMIT 1;
UPDATE brought SET description = 'in words of the dump';
SELECT lives_ok('INSERT INTO instance_env.policy_default TABLE brought', 'one that is described in other words is restored');
SELECT results_eq($$SELECT description FROM instance_env.policy_default WHERE name = 'plan_required' AND instance_type = 'development'$$,
	ARRAY['in words of the dump'], 'and replaces the one that it was');
UPDATE brought SET value = '"x"';
SELECT throws_ok('INSERT INTO instance_env.policy_default TABLE brought', '55000', NULL, 'not one that says something else');
UPDATE brought SET value = (SELECT value FROM instance_env.policy_default WHERE name = 'plan_required' AND instance_type = 'development'),
	overridable = true;
SELECT throws_ok('INSERT INTO instance_env.policy_default TABLE brought', '55000', NULL, 'or can be overridden');
SELECT throws_ok($$DELETE FROM instance_env.policy_default WHERE name = 'plan_required'$$, '55000', NULL, 'nor is one deleted afterwards');

-- what comes by replication: all rows, those of the extension among them

CREATE TEMP TABLE before AS TABLE instance_env.feature;
CREATE TEMP TABLE publisher AS TABLE instance_env.feature;
UPDATE publisher SET plan = 'free', changed = true WHERE name = 'custom_roles';
UPDATE publisher SET changed = false, plan = 'pro' WHERE name = 'passkeys';
UPDATE publisher SET description = 'of another version' WHERE name = 'allowlist';
SELECT throws_ok($$INSERT INTO instance_env.feature SELECT * FROM publisher WHERE name = 'allowlist'$$, '23505', NULL,
	'otherwise a row that has not been changed is a duplicate');
SET LOCAL session_replication_role = replica;
SELECT lives_ok('INSERT INTO instance_env.feature TABLE publisher', 'all rows of the publisher come in');
SET LOCAL session_replication_role = origin;
SELECT results_eq('SELECT f.name COLLATE "default", f.plan::text FROM instance_env.feature f JOIN before b USING (name) WHERE f.* <> b.* ORDER BY 1',
	$$VALUES ('custom_roles', 'free'), ('passkeys', 'pro')$$, 'those that were changed on either side are the publisher''s');
SELECT throws_ok($$SET LOCAL session_replication_role = replica;
	INSERT INTO instance_env.setting_section VALUES ('own', true, 'x', true)$$, '23505', NULL, 'a row of one''s own is not replaced');

SELECT throws_ok(format($$UPDATE instance_env.policy_default SET value = %L WHERE name = 'user_cap' AND instance_type = 'development'$$, value),
	'23514', NULL, 'no user cap: ' || value)
FROM unnest(ARRAY['null', '-1', '0.5', '2147483648', '"500"', '[500]', 'true']) value;
SELECT throws_ok($$UPDATE instance_env.policy_default SET value = '500' WHERE name = 'user_cap' AND instance_type = 'production'$$,
	'23514', NULL, 'nor is there one in production');
SELECT lives_ok(format($$UPDATE instance_env.policy_default SET value = %L WHERE name = 'user_cap' AND instance_type = 'development'$$, value),
	'a user cap: ' || value) FROM unnest(ARRAY['0', '2147483647', '1e2']) value;

-- by hand

CREATE TEMP TABLE elsewhere (name text);
CREATE TRIGGER t BEFORE INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION instance_env.replace_builtin();
SELECT throws_ok($$INSERT INTO elsewhere VALUES ('x')$$, '39P01', NULL, 'on another table');

SELECT * FROM finish();
ROLLBACK;
