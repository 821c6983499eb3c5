-- rollback_promotion(), and the history of promotions
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(45);

CREATE SCHEMA app;
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid);
CREATE TABLE app."Odd ""sessions" (id integer PRIMARY KEY, instance_id text) PARTITION BY RANGE (id);
CREATE TABLE app.sessions_1 PARTITION OF app."Odd ""sessions" FOR VALUES FROM (0) TO (100);
CREATE TABLE app.sessions_2 PARTITION OF app."Odd ""sessions" FOR VALUES FROM (100) TO (200);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app."Odd ""sessions"', counted => false) \gset

INSERT INTO instance_env.setting_section (name, cloned, description) VALUES ('session', true, 'test'), ('integration', false, 'test')
ON CONFLICT (name) DO NOTHING;
INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description)
SELECT type, 'test_' || n, to_jsonb(n), true, 'test'
FROM unnest(enum_range(NULL::instance_env.instance_type)) type, generate_series(1, 3) n;
INSERT INTO instance_env.feature (name, plan, description) SELECT 'test_' || n, 'free', 'test' FROM generate_series(1, 3) n;

SELECT application_id AS app, development_id AS dev, production_id AS prod
FROM instance_env.create_application('shop', 'pro', production_id => 'a0000000-0000-4000-8000-000000000001', production_key => 'live') \gset
SELECT instance_env.associate_domain(:'prod', 'shop.example.com') \gset
SELECT instance_env.verify_domain(:'prod', 'shop.example.com') \gset
INSERT INTO instance_env.setting VALUES
	(:'dev', 'session.a', '1'), (:'dev', 'session.b', '2'), (:'prod', 'session.b', 'null'), (:'prod', 'integration.x', '"own"');
INSERT INTO instance_env.policy_override VALUES (:'dev', 'test_1', '10'), (:'prod', 'test_2', '20');
INSERT INTO instance_env.instance_feature VALUES (:'dev', 'test_1', 3), (:'prod', 'test_2', 5);

CREATE FUNCTION pg_temp.production(prod uuid) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object(
		'status', (SELECT status FROM instance_env.instance WHERE id = prod),
		'settings', (SELECT jsonb_object_agg(name, value) FROM instance_env.setting WHERE instance = prod),
		'policies', (SELECT jsonb_object_agg(name, value) FROM instance_env.policy_override WHERE instance = prod),
		'features', (SELECT jsonb_object_agg(feature, quantity) FROM instance_env.instance_feature WHERE instance = prod),
		'domains', (SELECT jsonb_object_agg(name, verified_at) FROM instance_env.domain WHERE instance = prod))
$$;
SELECT pg_temp.production(:'prod') AS before \gset
SELECT format('SELECT * FROM instance_env.rollback_promotion(%L)', :'app') AS rollback \gset

SELECT throws_ok(:'rollback', '55000', 'application "shop" has no promotion to roll back', 'not promoted yet');
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L, dry_run => true)', :'app'), 'rehearsed');
SELECT throws_ok(:'rollback', '55000', 'application "shop" has no promotion to roll back', 'a dry run is no promotion');

-- at once

SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'promoted');
SELECT isnt(pg_temp.production(:'prod'), :'before'::jsonb, 'production is not what it was');
SELECT config_version AS version FROM instance_env.instance WHERE id = :'prod' \gset
CREATE TEMP TABLE returned AS SELECT row_number() OVER () AS n, * FROM instance_env.rollback_promotion(:'app');
SELECT results_eq('SELECT step, item, before, after FROM returned ORDER BY n', format($$VALUES
	('restore_setting', 'session.a', '1'::jsonb, NULL::jsonb),
	('restore_feature', 'test_1', '3', NULL),
	('deactivate', '%s', '{"status": "active"}', '{"status": "inactive"}')$$, :'prod'), 'rolled back: says each change');
SELECT is(pg_temp.production(:'prod'), :'before'::jsonb, 'production is what it was, its domain verified');
SELECT cmp_ok((SELECT config_version FROM instance_env.instance WHERE id = :'prod'), '>', :version::bigint, 'but under another version');
SELECT results_eq(format($$SELECT item, before, after FROM instance_env.event
	WHERE action = 'rollback_promotion' AND application = %L AND instance = %L ORDER BY id$$, :'app', :'prod'),
	'SELECT item, before, after FROM returned ORDER BY n', 'the audit log has it');
SELECT is((SELECT rolled_back_at FROM instance_env.promotions WHERE application = 'shop'), now(), 'and the history');
SELECT is_empty(:'rollback', 'again: nothing to do');
SELECT throws_ok(format('INSERT INTO app.users VALUES (1, %L)', :'prod'), '23I04', NULL, 'production takes nobody');

-- again, after changes

SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'promoted again');
SELECT is((SELECT count(*) FROM instance_env.promotions WHERE application = 'shop'), 2::bigint, 'which is another promotion');
UPDATE instance_env.setting SET value = '"changed"' WHERE instance = :'prod';
INSERT INTO instance_env.setting VALUES (:'prod', 'session.new', '0');
DELETE FROM instance_env.policy_override WHERE instance = :'prod';
UPDATE instance_env.instance_feature SET quantity = 9 WHERE instance = :'prod';
INSERT INTO instance_env.instance_feature VALUES (:'prod', 'test_3', 1);
SELECT instance_env.associate_domain(:'prod', 'satellite.example.com', false) \gset
SAVEPOINT changed;
DELETE FROM instance_env.domain WHERE name = 'satellite.example.com';
SELECT results_eq(:'rollback', format($$VALUES
	('restore_setting', 'integration.x', '"changed"'::jsonb, '"own"'::jsonb),
	('restore_setting', 'session.a', '"changed"', NULL),
	('restore_setting', 'session.b', '"changed"', 'null'),
	('restore_setting', 'session.new', '0', NULL),
	('restore_policy', 'test_2', NULL, '20'),
	('restore_feature', 'test_1', '9', NULL),
	('restore_feature', 'test_2', '9', '5'),
	('restore_feature', 'test_3', '1', NULL),
	('deactivate', '%s', '{"status": "active"}', '{"status": "inactive"}')$$, :'prod'),
	'what was changed since is put back, too');
SELECT is(pg_temp.production(:'prod'), :'before'::jsonb, 'production is what it was');
ROLLBACK TO SAVEPOINT changed;

SELECT isnt_empty(:'rollback', 'with a satellite');
SELECT is((SELECT count(*) FROM instance_env.domain WHERE instance = :'prod'), 2::bigint,
	'domains are none of promotion''s, and stay');
ROLLBACK TO SAVEPOINT changed;

SELECT instance_env.suspend_instance(:'prod') \gset
SELECT isnt_empty(:'rollback', 'suspended');
SELECT is((SELECT status::text FROM instance_env.instance WHERE id = :'prod'), 'inactive', 'then it is inactive again');
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'and can be promoted');
ROLLBACK TO SAVEPOINT changed;

-- development's users are in nobody's way
INSERT INTO app.users SELECT i, :'dev' FROM generate_series(1, 3) i;
SELECT isnt_empty(:'rollback', 'development has users');
ROLLBACK TO SAVEPOINT changed;

-- production has users

INSERT INTO app.users VALUES (10, :'prod');
SELECT throws_ok(:'rollback', '55000',
	'cannot roll back the promotion of application "shop" because its production instance has users', 'a user');
CREATE FUNCTION pg_temp.detail(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE command;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
SELECT is(pg_temp.detail(:'rollback'), 'Table "app.users" has 1 row of instance "a0000000-0000-4000-8000-000000000001".', 'is counted');
INSERT INTO app.users SELECT i, :'prod' FROM generate_series(11, 20) i;
INSERT INTO app."Odd ""sessions" SELECT i, 'live' FROM generate_series(95, 104) i;
SELECT is(pg_temp.detail(:'rollback'),
	E'Table "app.users" has 11 rows of instance "a0000000-0000-4000-8000-000000000001".\nTable "app.Odd "sessions" has 10 rows of instance "live".', 'so are others, and other data');
DELETE FROM app.users;
SELECT is(pg_temp.detail(:'rollback'), 'Table "app.Odd "sessions" has 10 rows of instance "live".', 'other data alone');
DELETE FROM app."Odd ""sessions" WHERE id <> 104;
SELECT is(pg_temp.detail(:'rollback'), 'Table "app.Odd "sessions" has 1 row of instance "live".', 'in any partition');
SELECT is((SELECT status::text FROM instance_env.instance WHERE id = :'prod'), 'active', 'a refusal changes nothing');
DELETE FROM app."Odd ""sessions";
CREATE TABLE app.many (id integer, instance_id uuid, PRIMARY KEY (instance_id, id));
SELECT count(*) FROM instance_env.guard('app.many', user_key => '') \gset
INSERT INTO app.many SELECT i, :'prod' FROM generate_series(1, 20000) i;
SELECT is(pg_temp.detail(:'rollback'), 'Table "app.many" has 20000 rows of instance "a0000000-0000-4000-8000-000000000001".', 'many users are counted, too');
DELETE FROM app.many;
SELECT isnt_empty(:'rollback', 'when they are gone');

-- a plan that has been lowered since: what it does not cover comes back, and cannot be used
SELECT instance_env.enable_feature(:'prod', 'passkeys') \gset
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'promoted with a paid feature');
SELECT instance_env.disable_feature(:'prod', 'passkeys') \gset
DELETE FROM instance_env.domain WHERE instance = :'prod' AND NOT is_primary;
SELECT lives_ok(format('SELECT instance_env.set_plan(%L, ''free'')', :'app'), 'given up, and the plan lowered');
SELECT results_eq(format($$SELECT step, item FROM instance_env.rollback_promotion(%L) WHERE step = 'restore_feature'$$, :'app'),
	$$VALUES ('restore_feature', 'passkeys'), ('restore_feature', 'test_1')$$, 'it comes back');
SELECT is(instance_env.feature_available(:'prod', 'passkeys'), false, 'but is not available');
SELECT throws_ok(format('SELECT * FROM instance_env.promote(%L)', :'app'), '55I01', NULL, 'nor promoted on that plan');
SELECT is(pg_temp.detail(format('SELECT * FROM instance_env.promote(%L)', :'app')),
	'Feature "passkeys" needs plan "pro", but the application is on plan "free".', 'which says so');
SELECT instance_env.set_plan(:'app', 'pro') \gset

-- whoever else has users
SELECT application_id AS app2, production_id AS prod2 FROM instance_env.create_application('blog') \gset
SELECT instance_env.associate_domain(:'prod2', 'blog-example.com') \gset
SELECT instance_env.verify_domain(:'prod2', 'blog-example.com') \gset
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app2'), 'another application');
INSERT INTO app.users VALUES (5, :'prod2');
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'promoted once more');
SELECT isnt_empty(:'rollback', 'another application''s users are in nobody''s way');
SELECT is((SELECT status::text FROM instance_env.instance WHERE id = :'prod2'), 'active', 'and it stays as it is');

-- arguments

SELECT throws_ok('SELECT * FROM instance_env.rollback_promotion(NULL)', '22004', NULL, 'NULL');
SELECT throws_ok($$SELECT * FROM instance_env.rollback_promotion('00000000-0000-0000-0000-000000000000')$$, '22023', NULL,
	'an unknown application');
SELECT throws_ok(format('SELECT * FROM instance_env.rollback_promotion(%L)', :'prod'), '22023', NULL, 'the id of an instance');

-- the history outlives the application
SELECT lives_ok(format('SELECT instance_env.drop_application(%L)', :'app'), 'dropped');
SELECT is((SELECT count(*) FROM instance_env.promotions WHERE application_id = :'app' AND application IS NULL
		   AND rolled_back_at IS NOT NULL), 4::bigint, 'its promotions are remembered');

SELECT * FROM finish();
ROLLBACK;
