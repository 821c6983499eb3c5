-- The banner of development instances
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(37);

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

-- the page

SELECT CASE type
	WHEN 'development' THEN is(instance_env.banner(id), 'Development instance: this is not production data',
		'"A Development banner is shown prominently in the Clerk Dashboard to make clear you''re managing or configuring non-production data": '
		|| what)
	ELSE is(instance_env.banner(id), NULL, 'no banner: ' || what) END
FROM instances ORDER BY what;
SELECT throws_ok($$SELECT instance_env.banner(NULL)$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok(format($$SELECT instance_env.banner(%L)$$, :unknown), '23I03', NULL, 'an unknown instance');

-- other words

SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'banner', '"Entwicklung: keine echten Daten – 開発"')$$, :development),
	'the banner in other words');
SELECT is(instance_env.banner(:development), 'Entwicklung: keine echten Daten – 開発', 'is shown');
SELECT is(instance_env.banner('d0000000-0000-4000-8000-000000000002'), 'Development instance: this is not production data',
	'by that instance only');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'banner', %L)$$, :development, value), '22023', NULL,
	'the banner cannot be removed: ' || left(value, 40))
FROM unnest(ARRAY['null', '""', '" "', '"-- "', E'"a\\nb"', E'"\\u007f"', '0', 'false', '[]', '["banner"]', '{}',
	to_jsonb(repeat('x', 201))::text]) value;
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'banner', %L)$$, :development, to_jsonb(repeat('x', 200))),
	'a long one');
SELECT is(length(instance_env.banner(:development)), 200, 'as it was given');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'banner', '"x"')$$, id), '55000', NULL,
	'nor does a production instance get one: ' || what) FROM instances WHERE type = 'production';
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'banner')$$, :development), 'back to the default');
SELECT is(instance_env.banner(:development), 'Development instance: this is not production data', 'which is shown again');

-- one place for the default

SAVEPOINT before;
UPDATE instance_env.policy_default SET value = '"TEST"' WHERE instance_type = 'development' AND name = 'banner';
SELECT is(instance_env.banner(:development), 'TEST', 'the table says what the default is');
DELETE FROM instance_env.policy_default WHERE instance_type = 'development' AND name = 'banner';
SELECT throws_ok(format($$SELECT instance_env.banner(%L)$$, :development), '55000',
	'table "instance_env.policy_default" has no row for "banner" of a development instance', 'and the code does not know it');
SELECT is(instance_env.banner(:production), NULL, 'which leaves production alone');
ROLLBACK TO before;
SELECT is(instance_env.banner(:development), 'Development instance: this is not production data', 'rolled back');

-- rights

CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(format($$SELECT instance_env.banner(%L)$$, :development), '42501', NULL, 'not for everybody');
RESET ROLE;
GRANT EXECUTE ON FUNCTION instance_env.banner TO instance_env_nobody;
UPDATE instance_env.policy_default SET value = '"new"' WHERE instance_type = 'development' AND name = 'banner';
SET LOCAL ROLE instance_env_nobody;
SELECT is(instance_env.banner(:development), 'new', 'the function needs no right on the tables');
SELECT is(current_user, 'instance_env_nobody', 'and leaves the role as it was');
SELECT throws_ok($$SELECT * FROM instance_env.policy_default$$, '42501', NULL, 'gives none, either');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
