-- The application fills the instance column, or changes it, before the row is stored.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(20);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset

CREATE FUNCTION app.fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.instance_id := coalesce(NEW.instance_id, nullif(current_setting('app.instance', true), ''));
	RETURN NEW;
END $$;
-- Its name sorts after any trigger of ours.
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text, n integer DEFAULT 0);
CREATE TRIGGER z_fill BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.fill();
SELECT lives_ok($$SELECT instance_env.guard('app.users')$$, 'a nullable column can be guarded');

SET LOCAL app.instance = 'dev';
SELECT lives_ok($$INSERT INTO app.users (id) VALUES ('u1'), ('u2')$$, 'filled by a BEFORE trigger: admitted');
SELECT throws_ok($$INSERT INTO app.users (id) VALUES ('u3')$$, '23I01', NULL, 'filled by a BEFORE trigger: full');
SELECT throws_ok($$COPY app.users (id) FROM PROGRAM 'echo u3'$$, '23I01', NULL,
	'filled by a BEFORE trigger: full for COPY');
SET LOCAL app.instance = 'dev2';
SELECT throws_ok($$INSERT INTO app.users (id) VALUES ('u1')$$, '23505', NULL, 'filled with another instance');
DELETE FROM app.users WHERE id = 'u1';
SELECT throws_ok($$INSERT INTO app.users (id) VALUES ('u1')$$, '23I02', NULL, 'return under another instance');
SET LOCAL app.instance = 'nowhere';
SELECT throws_ok($$INSERT INTO app.users (id) VALUES ('u3')$$, '23I03', NULL, 'filled with no instance');
SET LOCAL app.instance = 'prod';
SELECT throws_ok($$INSERT INTO app.users (id) VALUES ('u3')$$, '23I04', NULL, 'filled with an inactive instance');
SET LOCAL app.instance = '';
SELECT throws_ok($$INSERT INTO app.users (id) VALUES ('u3')$$, '23502', NULL, 'not filled');

-- a BEFORE UPDATE trigger moves the user, which the statement does not say
CREATE FUNCTION app.move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.instance_id := 'dev2';
	RETURN NEW;
END $$;
CREATE TRIGGER move BEFORE UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.move();
SELECT throws_ok($$UPDATE app.users SET n = 1$$, '23I02', NULL, 'a BEFORE trigger that moves users: refused');
SELECT throws_ok(
	$$INSERT INTO app.users VALUES ('u2', 'dev') ON CONFLICT (id) DO UPDATE SET n = 2$$, '23I02', NULL,
	'also in an upsert');
DROP TRIGGER move ON app.users;

-- a BEFORE UPDATE trigger puts the instance back
CREATE FUNCTION app.stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.instance_id := OLD.instance_id;
	RETURN NEW;
END $$;
CREATE TRIGGER stay BEFORE UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.stay();
SELECT lives_ok($$UPDATE app.users SET instance_id = 'dev2', n = 3$$,
	'a BEFORE trigger that keeps the instance: nothing moves, nothing is refused');
SELECT results_eq($$SELECT id, instance_id, n FROM app.users$$, $$VALUES ('u2', 'dev', 3)$$, 'the user stayed');

-- a BEFORE trigger that returns no row adds nobody
CREATE FUNCTION app.skip() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER zz_skip BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.skip();
SELECT lives_ok($$INSERT INTO app.users SELECT 'x' || i, 'dev' FROM generate_series(1, 10) i$$,
	'a BEFORE trigger that skips the rows: nobody is refused');
SELECT lives_ok($$INSERT INTO app.users VALUES ('x', 'nowhere')$$, 'nor is anything looked up');
DROP TRIGGER zz_skip ON app.users;

-- a column that the database computes
CREATE TABLE app.computed
(
	id text PRIMARY KEY,
	instance_id text GENERATED ALWAYS AS (split_part(id, '/', 1)) STORED
);
SELECT count(*) FROM instance_env.guard('app.computed') \gset
SELECT throws_ok($$INSERT INTO app.computed VALUES ('nowhere/1')$$, '23I03', NULL, 'a generated column: an unknown instance');
SELECT lives_ok($$INSERT INTO app.computed VALUES ('dev/1')$$, 'a generated column: admitted');
SELECT throws_ok($$UPDATE app.computed SET id = 'dev2/1'$$, '23I02', NULL, 'a generated column: no row moves');

-- a view in front of the table
CREATE VIEW app.view AS SELECT id, n FROM app.users;
ALTER VIEW app.view ALTER n SET DEFAULT 5;
SET LOCAL app.instance = 'dev';
SELECT lives_ok($$INSERT INTO app.view VALUES ('v1')$$, 'through a view: admitted');
SELECT throws_ok($$INSERT INTO app.view VALUES ('v2')$$, '23I01', NULL, 'through a view: full');

SELECT * FROM finish();
ROLLBACK;
