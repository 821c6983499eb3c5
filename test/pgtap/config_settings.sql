-- Settings: names, values, config_version, rights
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(136);

SELECT instance_env.create_application('shop', 'pro', 'd0000000-0000-4000-8000-000000000001',
	'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('blog', 'free', 'd0000000-0000-4000-8000-000000000002',
	'a0000000-0000-4000-8000-000000000002') \gset

-- sections

SELECT results_eq(
	$$SELECT name COLLATE "default" FROM instance_env.setting_section WHERE NOT cloned ORDER BY 1$$,
	ARRAY['billing', 'integration', 'path', 'sso', 'test', 'webhook'],
	'SSO connections, integrations and paths are not copied, nor what belongs to one environment');
SELECT is((SELECT bool_and(builtin) FROM instance_env.setting_section), true, 'all sections are builtin');
SELECT results_eq('SELECT * FROM instance_env.setting_sections ORDER BY name',
	'SELECT name, cloned, description, builtin FROM instance_env.setting_section ORDER BY name', 'a view shows them');

-- names

CREATE TEMP TABLE names (name text, valid boolean);
INSERT INTO names VALUES
	('session.lifetime', true),
	('session.a', true),
	('session.a_b.c1.2', true),
	('sign_in.password', true),
	('test.x', true),
	('session.' || repeat('a', 247), true),
	('session.' || repeat('a', 248), false),
	(repeat('session.', 10000) || 'a', false),
	('', false),
	('session', false),
	('session.', false),
	('.session', false),
	('session..a', false),
	('session.a.', false),
	('.', false),
	('Session.lifetime', false),
	('session.Lifetime', false),
	('session.life-time', false),
	('session.life time', false),
	(' session.lifetime', false),
	('session.lifetime ', false),
	(E'session.lifetime\n', false),
	(E'session.\x01', false),
	('session.größe', false),
	('session.''; DROP TABLE x --', false),
	('session.lifetime/../x', false),
	('sessions.lifetime', false),
	('nosuch.x', false);
SELECT CASE
	WHEN valid THEN lives_ok(
		format($$SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', %L, '1')$$, name),
		'a name: ' || left(to_json(name)::text, 60))
	ELSE throws_ok(
		format($$SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', %L, '1')$$, name),
		'22023', NULL, 'not a name: ' || left(to_json(name)::text, 60)) END
FROM names;
SELECT throws_ok(
	format($$SELECT instance_env.setting('d0000000-0000-4000-8000-000000000001', %L)$$, name),
	'22023', NULL, 'cannot be read: ' || left(to_json(name)::text, 60))
FROM names WHERE NOT valid;
SELECT set_eq($$SELECT name FROM instance_env.settings('d0000000-0000-4000-8000-000000000001')$$,
	$$SELECT name FROM names WHERE valid$$, 'those settings are there');
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', name, NULL) FROM names WHERE valid \g /dev/null
SELECT is_empty($$SELECT * FROM instance_env.settings('d0000000-0000-4000-8000-000000000001')$$, 'and can be removed');

-- values

SELECT is(instance_env.setting('d0000000-0000-4000-8000-000000000001', 'session.lifetime'), NULL, 'not set: null');
CREATE TEMP TABLE vals (n integer, value jsonb);
INSERT INTO vals SELECT ordinality, value FROM jsonb_array_elements(
	E'[null, true, false, 0, -1.5, 1e300, "", "x", "größe", "\\"quoted\\" ''and'' \\\\u0000 not", [], {}, [1, [2, {"a": null}]],
	  {"a": {"b": [1, 2, 3]}}]') WITH ORDINALITY;
INSERT INTO vals VALUES (100, to_jsonb(repeat('long', 300000)));
SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', 'session.v' || n, value) FROM vals \g /dev/null
SELECT is(instance_env.setting('d0000000-0000-4000-8000-000000000001', 'session.v' || n), value,
	'comes back: ' || left(value::text, 40)) FROM vals;
SELECT set_eq($$SELECT name, value FROM instance_env.settings('d0000000-0000-4000-8000-000000000001')$$,
	$$SELECT 'session.v' || n, value FROM vals$$, 'settings() returns the same');
SELECT results_eq($$SELECT name FROM instance_env.settings('d0000000-0000-4000-8000-000000000001')$$,
	$$SELECT name FROM instance_env.settings('d0000000-0000-4000-8000-000000000001') ORDER BY name COLLATE "C"$$, 'in the order of their names');
SELECT is_empty($$SELECT * FROM instance_env.settings('a0000000-0000-4000-8000-000000000001')$$, 'production has its own');
SELECT is_empty($$SELECT * FROM instance_env.settings('d0000000-0000-4000-8000-000000000002')$$, 'and so has another application');
SELECT is(instance_env.setting('d0000000-0000-4000-8000-000000000002', 'session.v1'), NULL, 'also one by one');

-- all of an instance's settings together fit into a promotion

SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000002', 'session.long', to_jsonb(repeat('x', 9000000))) \g /dev/null
SELECT throws_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000002', 'session.longer', to_jsonb(repeat('x', 10000000)))$$,
	'54000', 'setting "session.longer" is too long for instance "a0000000-0000-4000-8000-000000000002"', 'too long');
SELECT throws_ok($$SELECT instance_env.import_settings('a0000000-0000-4000-8000-000000000002',
		jsonb_build_object('format', 1, 'settings', jsonb_build_object('session.longer', repeat('x', 10000000))))$$,
	'54000', 'the settings are too long for instance "a0000000-0000-4000-8000-000000000002"', 'too long to be imported');
SELECT lives_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000002', 'session.long', to_jsonb(repeat('x', 10000000)))$$,
	'what is replaced does not count');
SELECT is(length(instance_env.setting('a0000000-0000-4000-8000-000000000002', 'session.long') #>> '{}'), 10000000, 'and comes back');
SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000002', 'session.long', NULL) \g /dev/null

-- set, replace, set again, remove, remove again

SELECT instance_env.config_version('a0000000-0000-4000-8000-000000000001') AS v0 \gset
SELECT (SELECT count(*) FROM instance_env.event) AS n \gset
SELECT is(:v0::bigint, 1::bigint, 'a new instance has version 1');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime', '60'), 2::bigint, 'set: version 2');
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime'), '60', 'it has the value');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime', '60'), 2::bigint,
	'the same value again changes nothing');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime', '60.0'), 2::bigint,
	'nor does an equal one');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime', '61'), 3::bigint, 'another one does');
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime'), '61', 'it has the new value');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime', 'null'), 4::bigint,
	'JSON''s null is a value');
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime'), 'null', 'and comes back as such');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime', NULL), 5::bigint, 'SQL''s removes it');
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime'), NULL, 'gone');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.lifetime', NULL), 5::bigint,
	'to remove it again changes nothing');
SELECT results_eq(
	format($$SELECT action, type, item, before, after FROM instance_env.events ORDER BY id OFFSET %s$$, :n),
	$$VALUES ('set_setting', 'production'::instance_env.instance_type, 'session.lifetime', NULL::jsonb, '60'::jsonb),
		('set_setting', 'production', 'session.lifetime', '60', '61'),
		('set_setting', 'production', 'session.lifetime', '61', 'null'),
		('set_setting', 'production', 'session.lifetime', 'null', NULL)$$,
	'each change is one event, with before and after');

-- expected_version

SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '1', 5), 6::bigint, 'the expected version');
SELECT throws_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '2', 5)$$, '40001', NULL,
	'is so once');
SELECT throws_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '1', 5)$$, '40001', NULL,
	'also where nothing would change');
SELECT throws_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', NULL, 7)$$, '40001', NULL,
	'a version of the future');
SELECT throws_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '2', -1)$$, '40001', NULL,
	'a negative one');
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.a'), '1', 'none of them did anything');
SELECT is(instance_env.config_version('a0000000-0000-4000-8000-000000000001'), 6::bigint, 'nor raised the version');
SELECT is(instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '2', NULL), 7::bigint,
	'null expects nothing');
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000002') \gset
SELECT throws_ok($$SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000002', 'session.a', '2', 1)$$, '40001', NULL,
	'any other change of the configuration counts, too');

-- each kind of instance

SELECT is(instance_env.set_setting('d0000000-0000-4000-8000-000000000002', 'session.a', '"suspended"', 2), 3::bigint,
	'a suspended instance can be set');
SELECT is(instance_env.setting('d0000000-0000-4000-8000-000000000002', 'session.a'), '"suspended"', 'and read');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
SELECT * FROM instance_env.promote(instance_env.application_id('shop')) \g /dev/null
SELECT lives_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '3')$$,
	'an active production instance can be set');
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.a'), '3', 'and read');
SELECT throws_ok(format(call, argument), state, NULL, what || ': ' || call)
FROM unnest(ARRAY[
	'SELECT instance_env.set_setting(%s, ''session.a'', ''1'')',
	'SELECT instance_env.setting(%s, ''session.a'')',
	'SELECT * FROM instance_env.settings(%s)',
	'SELECT instance_env.config_version(%s)']) call,
	(VALUES ('an unknown instance', '''00000000-0000-0000-0000-000000000000''', '23I03'), ('NULL as an instance', 'NULL', '22004'),
		('an application', quote_literal(instance_env.application_id('shop')), '23I03')) v (what, argument, state);
SELECT throws_ok($$SELECT instance_env.set_setting('d0000000-0000-4000-8000-000000000001', NULL, '1')$$, '22004', NULL,
	'NULL as a name to set');
SELECT throws_ok($$SELECT instance_env.setting('d0000000-0000-4000-8000-000000000001', NULL)$$, '22004', NULL,
	'NULL as a name to read');

-- what setting() remembers is never out of date

SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.a'), '3', 'known');
SAVEPOINT s;
SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '4') \gset
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.a'), '4', 'changed in a savepoint');
ROLLBACK TO SAVEPOINT s;
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.a'), '3', 'rolled back');
UPDATE instance_env.setting SET value = '5' WHERE instance = 'a0000000-0000-4000-8000-000000000001';
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.a'), '5', 'changed in the table');
SELECT throws_ok($$SELECT instance_env.setting('a0000000-0000-4000-8000-000000000001', 'own.thing')$$, '22023', NULL,
	'no such section');
INSERT INTO instance_env.setting_section VALUES ('own', true, 'one of ours');
SELECT is(instance_env.setting('a0000000-0000-4000-8000-000000000001', 'own.thing'), NULL, 'a section that a DBA has added');
SELECT lives_ok($$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'own.thing', '1')$$, 'and its setting');
SELECT throws_ok($$INSERT INTO instance_env.setting_section VALUES ('Own.Thing', true, 'x')$$, '23514', NULL,
	'a section''s name is like a setting''s');
SELECT instance_env.drop_application(instance_env.application_id('blog')) \gset
SELECT throws_ok($$SELECT instance_env.setting('d0000000-0000-4000-8000-000000000002', 'session.a')$$, '23I03', NULL,
	'an instance that has been dropped');
SELECT is((SELECT count(*) FROM instance_env.setting WHERE instance = 'd0000000-0000-4000-8000-000000000002'), 0::bigint,
	'takes its settings along');

-- more instances than are remembered
SELECT count(instance_env.set_setting((instance_env.create_application('many' || i)).development_id, 'session.n', to_jsonb(i)))
FROM generate_series(1, 1100) i \g /dev/null
SELECT is((SELECT bool_and(instance_env.setting(instance_env.instance_id('many' || i, 'development'), 'session.n') = to_jsonb(i))
		   FROM generate_series(1, 1100) i), true, 'each of 1100 instances has its own');

-- odd paths and no rights

CREATE ROLE instance_env_backend;
GRANT USAGE ON SCHEMA instance_env TO instance_env_backend;
CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
SELECT throws_ok(format($$SELECT pg_temp.run_as('instance_env_backend', %L)$$, call), '42501', NULL, 'not granted: ' || call)
FROM unnest(ARRAY[
	$$SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '1')$$,
	$$SELECT instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.a')$$,
	$$SELECT * FROM instance_env.settings('a0000000-0000-4000-8000-000000000001')$$,
	$$SELECT instance_env.config_version('a0000000-0000-4000-8000-000000000001')$$]) call;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA instance_env TO instance_env_backend;
CREATE FUNCTION pg_temp.equal(jsonb, jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR pg_temp.<> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = pg_temp.equal);
UPDATE instance_env.setting SET value = '6' WHERE instance = 'a0000000-0000-4000-8000-000000000001' AND name = 'session.a';
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_backend', $q$
	SET LOCAL search_path = pg_temp;
	DO $do$ BEGIN
		IF instance_env.setting('a0000000-0000-4000-8000-000000000001', 'session.a') OPERATOR(pg_catalog.<>) '6'
			OR instance_env.set_setting('a0000000-0000-4000-8000-000000000001', 'session.a', '6')
				OPERATOR(pg_catalog.<>) instance_env.config_version('a0000000-0000-4000-8000-000000000001') THEN
			RAISE 'wrong';
		END IF;
	END $do$;
	RESET search_path$q$)$$,
	'granted: with rights on no table, and whatever the search_path');

SELECT * FROM finish();
ROLLBACK;
