-- Thresholds of the cap and soft caps: who may set them, to what, and what they do
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(94);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', 'free', :dev, :prod, 'dev', 'prod') \gset
CREATE TABLE public.users (id integer PRIMARY KEY, instance_id text NOT NULL DEFAULT 'dev');
SELECT count(*) FROM instance_env.guard('public.users') \gset
CREATE TEMP VIEW mode AS SELECT cap_mode FROM instance_env.instances WHERE instance_id = 'd0000000-0000-4000-8000-000000000001';
CREATE TEMP VIEW log AS SELECT action, item, before, after FROM instance_env.event
WHERE item IN ('user_cap_mode', 'user_cap_thresholds', 'public.users') AND action <> 'guard' ORDER BY id;
CREATE TEMP VIEW version AS SELECT config_version FROM instance_env.instance WHERE id = 'd0000000-0000-4000-8000-000000000001';

-- the mode

SELECT is((SELECT cap_mode FROM mode), 'hard', 'a cap is hard');
SELECT is((SELECT cap_mode FROM instance_env.instance_info(:dev)), 'hard', 'instance_info() says so');
SELECT is((SELECT cap_mode FROM instance_env.instance_info(:prod)), NULL, 'and nothing of production');
SELECT is((SELECT cap_mode FROM instance_env.instances WHERE instance_id = :prod), NULL, 'nor does the view');
SELECT config_version AS version FROM version \gset
SELECT lives_ok(format($$SELECT instance_env.set_user_cap(%L, 2, 'soft')$$, :dev), 'a soft cap');
SELECT is((SELECT cap_mode FROM mode), 'soft', 'is soft');
SELECT is((SELECT config_version FROM version), :version + 2::bigint, 'the configuration has changed');
SELECT lives_ok(format($$SELECT instance_env.set_user_cap(%L, 2, 'soft')$$, :dev), 'the same again');
SELECT is((SELECT config_version FROM version), :version + 2::bigint, 'changes nothing');
SELECT lives_ok(format($$SELECT instance_env.set_user_cap(%L, 3)$$, :dev), 'another cap without a mode');
SELECT is((SELECT cap_mode FROM mode), 'soft', 'stays soft');
SELECT lives_ok(format($$SELECT instance_env.set_user_cap(%L, NULL)$$, :dev), 'the default cap');
SELECT is((SELECT cap_mode FROM mode), 'soft', 'does so, too');
SELECT results_eq(format($$SELECT value, source FROM instance_env.policy(%L) WHERE name = 'user_cap_mode'$$, :dev),
	$$VALUES ('"soft"'::jsonb, 'override')$$, 'policy() has the mode');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'user_cap_mode')$$, :dev), 'reset_policy()');
SELECT is((SELECT cap_mode FROM mode), 'hard', 'makes it hard');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap_mode', '"soft"')$$, :dev), 'set_policy()');
SELECT is((SELECT cap_mode FROM mode), 'soft', 'makes it soft');
SELECT is_empty('SELECT * FROM instance_env.policy_override', 'which is the column of the instance only');
SELECT results_eq('SELECT * FROM log', $$VALUES ('set_user_cap', 'user_cap_mode', '"hard"'::jsonb, '"soft"'::jsonb),
	('reset_policy', 'user_cap_mode', '"soft"', '"hard"'), ('set_policy', 'user_cap_mode', '"hard"', '"soft"')$$, 'all of it is in the log');
SELECT throws_ok(format($$SELECT instance_env.set_user_cap(%L, 2, %L)$$, :dev, mode), '22023', NULL, 'no mode: ' || left(mode, 20))
FROM unnest(ARRAY['', 'Soft', 'soft ', 'none', E'soft\n', 'weich ü', repeat('soft', 100000)]) mode;
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap_mode', %L)$$, :dev, mode), '22023', NULL, 'no mode: ' || mode)
FROM unnest(ARRAY['null', 'true', '1', '"Soft"', '"soft "', '["soft"]', '{"soft": true}', '""']) mode;
SELECT throws_ok(format($$SELECT instance_env.set_user_cap(%L, NULL, 'soft')$$, :prod), '55000', NULL, 'production has no cap to be soft');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap_mode', '"soft"')$$, :prod), '55000', NULL, 'nor a policy');
SELECT throws_ok($$SELECT instance_env.set_user_cap(gen_random_uuid(), NULL, 'soft')$$, '23I03', NULL, 'an unknown instance');
SELECT throws_ok($$SELECT instance_env.set_user_cap(NULL, NULL, 'soft')$$, '22004', NULL, 'no instance');
SELECT throws_ok($$UPDATE instance_env.policy_default SET value = '"soft"' WHERE name = 'user_cap_mode'$$, '55000', NULL,
	'the default is not for the table to say');

-- what a soft cap does

SELECT instance_env.set_user_cap(:dev, 2) \gset
SELECT lives_ok('INSERT INTO public.users SELECT generate_series(1, 5)', 'more users than the cap');
SELECT lives_ok('INSERT INTO public.users VALUES (6)', 'and another one');
SELECT results_eq(format($$SELECT passed, sqlstate FROM instance_env.validate(%L) WHERE message LIKE '%%soft cap is 2%%'$$, :dev),
	$$VALUES (false, NULL::text)$$, 'validate() says that it is soft');
SELECT lives_ok(format($$SELECT instance_env.set_user_cap(%L, 0)$$, :dev), 'a soft cap of 0');
SELECT lives_ok('INSERT INTO public.users VALUES (7)', 'takes users as well');
SELECT lives_ok(format($$SELECT instance_env.set_user_cap(%L, 5, 'hard')$$, :dev), 'a hard cap');
SELECT throws_ok('INSERT INTO public.users VALUES (8)', '23I01', NULL, 'refuses them');

-- export, import, diff

SELECT instance_env.set_user_cap(:dev, 5, 'soft') \gset
SELECT instance_env.set_policy(:dev, 'user_cap_thresholds', '[50, 100, 1000]') \gset
SELECT instance_env.export_settings(:dev) AS document \gset
SELECT is(:'document'::jsonb -> 'policies', '{"user_cap": 5, "user_cap_mode": "soft", "user_cap_thresholds": [50, 100, 1000]}', 'exported');
SELECT instance_env.create_application('blog', 'free', 'd0000000-0000-4000-8000-000000000002') \gset
SELECT bag_eq(format($$SELECT item, after FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002', %L)$$, :'document'),
	$$VALUES ('user_cap', '5'::jsonb), ('user_cap_mode', '"soft"'), ('user_cap_thresholds', '[50, 100, 1000]')$$, 'imported');
SELECT is((SELECT cap_mode FROM instance_env.instance_info('d0000000-0000-4000-8000-000000000002')), 'soft', 'it is soft there');
SELECT is_empty(format($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000002', %L)$$, :'document'), 'imported again');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000002', 5, 'hard') \gset
SELECT results_eq(format($$SELECT item FROM instance_env.instance_diff(%L, 'd0000000-0000-4000-8000-000000000002')$$, :dev),
	ARRAY['user_cap_mode'], 'instance_diff() sees the mode');
SELECT bag_eq(format($$SELECT item, after FROM instance_env.import_settings(%L, %L) WHERE step = 'policy_not_overridable'$$, :prod, :'document'),
	$$VALUES ('user_cap', NULL::jsonb), ('user_cap_mode', NULL), ('user_cap_thresholds', NULL)$$, 'none of it is for production');

-- thresholds

SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap_thresholds', %L)$$, :dev, value), '22023', NULL, 'no thresholds: ' || value)
FROM unnest(ARRAY['null', '80', '"80"', '{}', '{"80": 100}', '["80"]', '[null]', '[true]', '[[80]]', '[0]', '[-1]', '[1001]', '[80.5]',
	'[80, 80]', '[100, 80]', '[1, 2, 3, 4, 5, 6, 7, 8, 9]', '[1e1000]', '[99999999999]', '[80, "x"]']) value;
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap_thresholds', %L)$$, :dev, value), 'thresholds: ' || value)
FROM unnest(ARRAY['[]', '[1]', '[1000]', '[80.0, 1e2]', '[1, 2, 3, 4, 5, 6, 7, 8]']) value;
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'user_cap_thresholds', '[80]')$$, :prod), '55000', NULL, 'production has none');
SELECT throws_ok(format($$UPDATE instance_env.policy_default SET value = %L WHERE name = 'user_cap_thresholds' AND instance_type = 'development'$$, value),
	'23514', NULL, 'no default: ' || value) FROM unnest(ARRAY['null', '80', '["80"]', '[[80]]', '[0]', '[80.5]', '[1, 2, 3, 4, 5, 6, 7, 8, 9]']) value;
SELECT lives_ok($$UPDATE instance_env.policy_default SET value = '[70]' WHERE name = 'user_cap_thresholds' AND instance_type = 'development'$$,
	'another default');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'user_cap_thresholds')$$, :dev), 'an instance');
SELECT is((SELECT value FROM instance_env.policy(:dev) WHERE name = 'user_cap_thresholds'), '[70]', 'has it');
SELECT lives_ok($$DELETE FROM instance_env.policy_default WHERE name = 'user_cap_thresholds'$$, 'if there is none at all');
SELECT lives_ok('INSERT INTO public.users VALUES (9)', 'users can sign up');

-- rights

CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_admin;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.grant_admin('instance_env_admin') \gset
GRANT ALL ON TABLE public.users TO instance_env_backend;
SET ROLE instance_env_backend;
SELECT throws_ok(format($$SELECT instance_env.set_user_cap(%L, 1000, 'soft')$$, :dev), '42501', NULL, 'a backend cannot make a cap soft');
SELECT throws_ok('SET instance_env.notify_thresholds = off', '42501', NULL, 'nor keep others from being warned');
SELECT lives_ok('INSERT INTO public.users VALUES (10)', 'but it can insert');
SET ROLE instance_env_admin;
SELECT lives_ok(format($$SELECT instance_env.set_user_cap(%L, 1000, 'hard'), instance_env.set_user_cap(%L, 1000, mode => 'soft')$$, :dev, :dev),
	'an administrator can do so');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
