-- reset_development(): a development instance becomes empty, and nothing else does
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(59);

CREATE SCHEMA app;
CREATE SCHEMA "odd ""name";
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001', production_id => 'a0000000-0000-4000-8000-000000000001',
	development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_id => 'd0000000-0000-4000-8000-000000000002',
	production_id => 'a0000000-0000-4000-8000-000000000002', development_key => 'dev2') \gset
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';

CREATE FUNCTION pg_temp.reset(instance uuid, settings boolean DEFAULT false, batch_size integer DEFAULT 1000)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	deleted bigint;
BEGIN
	CALL instance_env.reset_development(instance, settings, batch_size, deleted);
	RETURN deleted;
END $$;
CREATE FUNCTION pg_temp.dev() RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT 'd0000000-0000-4000-8000-000000000001'::uuid$$;
CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;

-- what it is called with

SELECT throws_ok($$SELECT pg_temp.reset(NULL)$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok($$SELECT pg_temp.reset(pg_temp.dev(), NULL)$$, '22004', NULL, 'NULL as settings');
SELECT throws_ok($$SELECT pg_temp.reset(pg_temp.dev(), false, NULL)$$, '22004', NULL, 'NULL as batch_size');
SELECT throws_ok($$SELECT pg_temp.reset(pg_temp.dev(), false, 0)$$, '22023', NULL, 'a batch of nothing');
SELECT throws_ok($$SELECT pg_temp.reset(pg_temp.dev(), false, -1)$$, '22023', NULL, 'a batch of less');
SELECT throws_ok($$SELECT pg_temp.reset('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL, 'unknown');
SELECT throws_ok($$SELECT pg_temp.reset('a0000000-0000-4000-8000-000000000001')$$, '55000', NULL, 'active production: impossible');
UPDATE instance_env.instance SET status = 'inactive' WHERE id = 'a0000000-0000-4000-8000-000000000001';
SELECT throws_ok($$SELECT pg_temp.reset('a0000000-0000-4000-8000-000000000001')$$, '55000', NULL, 'inactive production: impossible');
UPDATE instance_env.instance SET status = 'suspended' WHERE id = 'a0000000-0000-4000-8000-000000000001';
SELECT throws_ok($$SELECT pg_temp.reset('a0000000-0000-4000-8000-000000000001')$$, '55000', NULL, 'suspended production: impossible');
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
SELECT is(pg_temp.reset(pg_temp.dev()), 0::bigint, 'nothing is guarded: nothing to do');

-- tables of all kinds, made in an order that is not that of deletion

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE "odd ""name"."Users 2" ("Id" integer PRIMARY KEY, "Instance ""Id""" uuid NOT NULL);
CREATE TABLE app.sessions (id text PRIMARY KEY, instance_id varchar NOT NULL, user_id text REFERENCES app.users) PARTITION BY HASH (id);
CREATE TABLE app.sessions0 PARTITION OF app.sessions FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.sessions1 PARTITION OF app.sessions FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.tokens (id text PRIMARY KEY, instance_id text NOT NULL, session_id text REFERENCES app.sessions);
CREATE TABLE app.notes (id text PRIMARY KEY, user_id text REFERENCES app.users ON DELETE CASCADE);
CREATE TABLE app.loose (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('"odd ""name"."Users 2"', 'Instance "Id"') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', counted => false, user_key => 'id') \gset
SELECT count(*) FROM instance_env.guard('app.tokens', counted => false, user_key => '') \gset
CREATE FUNCTION pg_temp.fill() RETURNS void LANGUAGE sql AS $$
	INSERT INTO app.users SELECT k || '-' || i, k FROM unnest(ARRAY['dev', 'dev2', 'prod']) k, generate_series(1, 40) i
		ON CONFLICT DO NOTHING;
	INSERT INTO "odd ""name"."Users 2" SELECT i + 1000 * n, id
		FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM instance_env.instance) x, generate_series(1, 7) i
		ON CONFLICT DO NOTHING;
	INSERT INTO app.sessions SELECT 's' || id, instance_id, id FROM app.users ON CONFLICT DO NOTHING;
	INSERT INTO app.tokens SELECT 't' || id, instance_id, id FROM app.sessions ON CONFLICT DO NOTHING;
	INSERT INTO app.notes SELECT 'n' || id, id FROM app.users ON CONFLICT DO NOTHING;
	INSERT INTO app.loose SELECT id, instance_id FROM app.users ON CONFLICT DO NOTHING;
$$;
CREATE FUNCTION pg_temp.contents() RETURNS TABLE (what text, n bigint) LANGUAGE sql AS $$
	SELECT * FROM (SELECT 'users ' || instance_id, count(*) FROM app.users GROUP BY 1
	UNION ALL SELECT 'users 2 ' || i.external_key, count(*) FROM "odd ""name"."Users 2" u
		JOIN instance_env.instance i ON i.id = u."Instance ""Id""" WHERE external_key IN ('dev', 'dev2', 'prod') GROUP BY 1
	UNION ALL SELECT 'sessions ' || instance_id, count(*) FROM app.sessions GROUP BY 1
	UNION ALL SELECT 'tokens ' || instance_id, count(*) FROM app.tokens GROUP BY 1
	UNION ALL SELECT 'notes', count(*) FROM app.notes
	UNION ALL SELECT 'loose', count(*) FROM app.loose) c (what, n) ORDER BY what COLLATE "C"
$$;
SELECT pg_temp.fill() \gset

SELECT is(pg_temp.reset(pg_temp.dev(), false, 9), 127::bigint, 'a reset, in batches of 9: says how many rows');
SELECT results_eq($$SELECT * FROM pg_temp.contents()$$, $$VALUES
	('loose', 120::bigint), ('notes', 80), ('sessions dev2', 40), ('sessions prod', 40), ('tokens dev2', 40), ('tokens prod', 40),
	('users 2 dev2', 7), ('users 2 prod', 7), ('users dev2', 40), ('users prod', 40)$$,
	'the rows of that instance are gone from all guarded tables, and no others');
SELECT is(pg_temp.reset(pg_temp.dev()), 0::bigint, 'and again: nothing to do');
SELECT is((SELECT count(*) FROM instance_env.departed_user WHERE instance = pg_temp.dev()), 87::bigint,
	'their departures are recorded');
SELECT results_eq(
	$$SELECT item, sum((after ->> 'deleted')::bigint)::bigint, count(*) FROM instance_env.event
	  WHERE action = 'reset_development' AND instance = pg_temp.dev() GROUP BY item ORDER BY item COLLATE "C"$$,
	$$VALUES ('app.sessions', 40::bigint, 5::bigint), ('app.tokens', 40, 5), ('app.users', 40, 5), ('odd "name.Users 2', 7, 1)$$,
	'events tell of each batch');
SELECT is((SELECT count(*) FROM instance_env.instance), 4::bigint, 'the instance is still there');
SELECT is((SELECT status::text FROM instance_env.instance WHERE id = pg_temp.dev()), 'active', 'and active');

-- "user data can not be transferred between instances"

SELECT throws_ok($$INSERT INTO app.users VALUES ('dev-1', 'prod')$$, '23I02', NULL,
	'user data can not be transferred between instances: not by a reset');
SELECT throws_ok($$INSERT INTO app.users VALUES ('dev-1', 'dev2')$$, '23I02', NULL, 'nor to another development instance');
SELECT lives_ok($$INSERT INTO app.users VALUES ('dev-1', 'dev')$$, 'a user may come back to the same instance');
SELECT is(pg_temp.reset(pg_temp.dev()), 1::bigint, 'one user');
INSERT INTO app.users SELECT 'new' || i, 'dev' FROM generate_series(1, 500) i;
SELECT throws_ok($$INSERT INTO app.users VALUES ('new501', 'dev')$$, '23I01', NULL, 'full');
SELECT is(pg_temp.reset(pg_temp.dev()), 500::bigint, 'reset');
SELECT lives_ok($$INSERT INTO app.users SELECT 'newer' || i, 'dev' FROM generate_series(1, 500) i$$, 'all seats are free');
SELECT is(pg_temp.reset(pg_temp.dev(), false, 2147483647), 500::bigint, 'a batch of any size');

-- a suspended instance can be reset

SELECT pg_temp.fill() \gset
SELECT instance_env.suspend_instance(pg_temp.dev()) \gset
SELECT is(pg_temp.reset(pg_temp.dev(), false, 1), 127::bigint, 'suspended, row by row');
SELECT instance_env.resume_instance(pg_temp.dev()) \gset

-- settings

INSERT INTO instance_env.setting (instance, name, value)
	SELECT id, 'session.lifetime', '{"hours": 7, "idle": null}' FROM instance_env.instance;
INSERT INTO instance_env.policy_override VALUES (pg_temp.dev(), 'x', '1');
INSERT INTO instance_env.instance_feature (instance, feature) SELECT id, 'x' FROM instance_env.instance;
INSERT INTO instance_env.social_connection (instance, provider, instance_type, source, client_id, secret_reference)
	VALUES (pg_temp.dev(), 'github', 'development', 'own', 'id', 'vault:github');
INSERT INTO instance_env.api_key (hash, instance, hint) VALUES (sha256('1'), pg_temp.dev(), '1');
SELECT instance_env.set_user_cap(pg_temp.dev(), 300) \gset
CREATE FUNCTION pg_temp.configuration() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM instance_env.setting), (SELECT count(*) FROM instance_env.policy_override),
		(SELECT count(*) FROM instance_env.instance_feature), (SELECT count(*) FROM instance_env.social_connection))
$$;
SELECT config_version AS version FROM instance_env.instance WHERE id = pg_temp.dev() \gset
SELECT pg_temp.fill() \gset
SELECT is(pg_temp.reset(pg_temp.dev()), 127::bigint, 'without settings');
SELECT is(pg_temp.configuration(), '4 1 4 1', 'keeps them');
SELECT is((SELECT config_version FROM instance_env.instance WHERE id = pg_temp.dev()), :version::bigint, 'and the config_version');
SELECT is(pg_temp.reset(pg_temp.dev(), true), 0::bigint, 'with settings');
SELECT is(pg_temp.configuration(), '3 0 3 0', 'removes its settings, policies, features and connections, and no others');
SELECT is((SELECT config_version FROM instance_env.instance WHERE id = pg_temp.dev()), :version::bigint + 1, 'config_version rises');
SELECT is((SELECT before FROM instance_env.event WHERE action = 'reset_development' AND item = 'settings'),
	'{"settings": {"session.lifetime": {"hours": 7, "idle": null}}, "policies": {"x": 1}, "features": {"x": 1},
	  "social_connections": [{"provider": "github", "source": "own", "client_id": "id", "scopes": null}]}'::jsonb,
	'an event tells what they were, without secrets');
SELECT is((SELECT user_cap FROM instance_env.instance WHERE id = pg_temp.dev()), 300, 'the cap stays');
SELECT is((SELECT count(*) FROM instance_env.api_key WHERE revoked_at IS NULL), 1::bigint, 'and keys');
SELECT pg_temp.reset(pg_temp.dev(), true) \gset
SELECT is((SELECT config_version FROM instance_env.instance WHERE id = pg_temp.dev()), :version::bigint + 1, 'again: nothing changes');

-- tables that refer to themselves or to each other

CREATE TABLE app.people (id integer PRIMARY KEY, instance_id text NOT NULL, boss integer REFERENCES app.people ON DELETE RESTRICT);
CREATE TABLE app.teams (id integer PRIMARY KEY, instance_id text NOT NULL, leader integer);
CREATE TABLE app.members (id integer PRIMARY KEY, instance_id text NOT NULL, team integer REFERENCES app.teams);
CREATE TABLE app.places (id integer PRIMARY KEY, instance_id text NOT NULL);
ALTER TABLE app.teams ADD FOREIGN KEY (leader) REFERENCES app.members, ADD COLUMN place integer REFERENCES app.places;
SELECT count(g) FROM unnest(ARRAY['app.people', 'app.teams', 'app.members', 'app.places']) t, instance_env.guard(t::regclass) g \gset
CREATE FUNCTION pg_temp.circle() RETURNS void LANGUAGE sql AS $$
	INSERT INTO app.people SELECT i, 'dev', nullif(i - 1, 0) FROM generate_series(1, 20) i;
	INSERT INTO app.people SELECT 100 + i, 'dev2', nullif(100 + i - 1, 100) FROM generate_series(1, 20) i;
	INSERT INTO app.places SELECT i, 'dev' FROM generate_series(1, 20) i;
	INSERT INTO app.teams SELECT i, 'dev', NULL, i FROM generate_series(1, 20) i;
	INSERT INTO app.members SELECT i, 'dev', i FROM generate_series(1, 20) i;
	UPDATE app.teams SET leader = id;
$$;
SELECT pg_temp.circle() \gset
SELECT is(pg_temp.reset(pg_temp.dev(), false, 3), 80::bigint, 'references to itself, and in a circle');
SELECT is((SELECT count(*) FROM app.people) + (SELECT count(*) FROM app.teams) + (SELECT count(*) FROM app.members)
	+ (SELECT count(*) FROM app.places), 20::bigint, 'only the other instance''s rows are left');
ALTER TABLE app.teams DROP CONSTRAINT teams_leader_fkey,
	ADD FOREIGN KEY (leader) REFERENCES app.members ON DELETE SET NULL;
DELETE FROM app.people;
SELECT pg_temp.circle() \gset
SELECT is(pg_temp.reset(pg_temp.dev(), false, 3), 80::bigint, 'a circle that one reference opens');
DROP TABLE app.people, app.teams, app.members, app.places;

-- what stands in the way

CREATE TABLE app.invoices (id text PRIMARY KEY, user_id text REFERENCES app.users);
SELECT pg_temp.fill() \gset
INSERT INTO app.invoices VALUES ('i1', 'dev-7');
SELECT throws_ok($$SELECT pg_temp.reset(pg_temp.dev())$$, '23503', NULL, 'a table that is not guarded refers to a user');
SELECT is((SELECT count(*) FROM app.tokens WHERE instance_id = 'dev'), 40::bigint, 'in one transaction: nothing is deleted');
DROP TABLE app.invoices;

CREATE FUNCTION app.keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER keep BEFORE DELETE ON app.tokens FOR EACH ROW EXECUTE FUNCTION app.keep();
SELECT throws_ok($$SELECT pg_temp.reset(pg_temp.dev())$$, '55000', NULL, 'a trigger keeps rows: no endless loop');
DROP TRIGGER keep ON app.tokens;
CREATE RULE keep AS ON DELETE TO app.users DO INSTEAD NOTHING;
SELECT throws_ok($$SELECT pg_temp.reset(pg_temp.dev())$$, '55000', NULL, 'a rule keeps rows');
DROP RULE keep ON app.users;

ALTER TABLE app.tokens ENABLE ROW LEVEL SECURITY;
SELECT is(pg_temp.reset(pg_temp.dev()), 127::bigint, 'row-level security that does not apply to the caller');

-- rights: the caller's own

CREATE ROLE instance_env_tester;
GRANT USAGE ON SCHEMA instance_env TO instance_env_tester;
GRANT USAGE ON SCHEMA app, "odd ""name" TO instance_env_tester;
SELECT pg_temp.fill() \gset
SELECT throws_ok(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'42501', NULL, 'a role without rights');
GRANT EXECUTE ON PROCEDURE instance_env.reset_development TO instance_env_tester;
SELECT throws_ok(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'42501', NULL, 'one that may call it, but not delete');
GRANT SELECT, DELETE ON app.users, app.sessions, app.tokens TO instance_env_tester;
SELECT throws_matching(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'Users 2', 'one that may not delete from the last table');
GRANT DELETE ON "odd ""name"."Users 2" TO instance_env_tester;
SELECT throws_matching(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'Users 2', 'nor read it');
GRANT SELECT ON "odd ""name"."Users 2" TO instance_env_tester;
REVOKE DELETE ON "odd ""name"."Users 2" FROM instance_env_tester;
SELECT throws_matching(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'Users 2', 'one that may only read it');
GRANT DELETE ON "odd ""name"."Users 2" TO instance_env_tester;
SELECT throws_matching(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'row-level security of table "app.tokens"', 'row-level security would hide rows from it');
SELECT is((SELECT count(*) FROM app.tokens WHERE instance_id = 'dev'), 40::bigint, 'until now nothing is deleted');
ALTER TABLE app.tokens DISABLE ROW LEVEL SECURITY;
SELECT lives_ok(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'one that may do all that');
SELECT is((SELECT count(*) FROM app.tokens WHERE instance_id = 'dev'), 0::bigint, 'does it');
SELECT is((SELECT current_user_name::text FROM instance_env.event ORDER BY id DESC LIMIT 1), 'instance_env_tester', 'and is named in the event');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_tester', 'SELECT FROM instance_env.setting')$$, '42501', NULL,
	'it has no more rights afterwards');
INSERT INTO instance_env.setting (instance, name, value) VALUES (pg_temp.dev(), 'session.x', '1');
SELECT lives_ok(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'', true)')$$,
	'settings go with the right to call it');
SELECT is_empty($$SELECT FROM instance_env.setting WHERE instance = pg_temp.dev()$$, 'they are gone');

-- a trigger gets no rights of the caller's, and our statements none of its operators
CREATE FUNCTION app.who() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'I am %', current_user; END$$;
CREATE TRIGGER who BEFORE DELETE ON app.users FOR EACH ROW EXECUTE FUNCTION app.who();
INSERT INTO app.users VALUES ('dev-1', 'dev');
SELECT throws_ok(
	$$SELECT pg_temp.run_as('instance_env_tester', 'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'P0001', 'I am ' || (SELECT relowner::regrole FROM pg_class WHERE oid = 'app.users'::regclass),
	'triggers run as the table''s owner');
DROP TRIGGER who ON app.users;
CREATE FUNCTION app.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR app.= (LEFTARG = text, RIGHTARG = text, FUNCTION = app.never);
SET LOCAL search_path = app, pg_catalog, public;
SELECT pg_temp.reset(pg_temp.dev()) AS deleted \gset
RESET search_path;
SELECT is(:deleted::bigint, 1::bigint, 'whatever the search_path');

SELECT * FROM finish();
ROLLBACK;
