-- Whoever may guard could attach the trigger functions to a table of his own under another
-- table's label, and so have users of that table refused. guard() alone chooses labels.

BEGIN;
SELECT plan(11);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.create_application('bank', development_key => 'dev2') \gset
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset

CREATE ROLE instance_env_forger;
SELECT instance_env.grant_guard('instance_env_forger') \gset
GRANT USAGE ON SCHEMA app TO instance_env_forger;
CREATE SCHEMA forge AUTHORIZATION instance_env_forger;
SELECT format('GRANT CREATE ON DATABASE %I TO instance_env_forger', current_database()) \gexec
SET LOCAL ROLE instance_env_forger;
CREATE TABLE forge.users (id text PRIMARY KEY, instance_id text);

SELECT throws_ok($$CREATE TRIGGER t AFTER DELETE ON forge.users FOR EACH ROW
	WHEN (instance_env.departure_queued())
	EXECUTE FUNCTION instance_env.record_departure('postgres/app.users')$$,
	'42501', NULL, 'a trigger with another table''s label is refused');
SELECT throws_ok($$CREATE TRIGGER t AFTER DELETE ON forge.users FOR EACH ROW
	WHEN (instance_env.departure_queued())
	EXECUTE FUNCTION instance_env.record_departure()$$,
	'42501', NULL, 'and one without a label');
SELECT throws_ok($$CREATE SCHEMA forge2
	CREATE TABLE users (id text PRIMARY KEY, instance_id text)
	CREATE TRIGGER t AFTER DELETE ON users FOR EACH ROW
		WHEN (instance_env.departure_queued())
		EXECUTE FUNCTION instance_env.record_departure('postgres/app.users')$$,
	'42501', NULL, 'and one in CREATE SCHEMA');
SELECT lives_ok($$SELECT instance_env.guard('forge.users')$$, 'guard() chooses the label');
SELECT lives_ok($$CREATE OR REPLACE TRIGGER instance_env_departure AFTER DELETE ON forge.users FOR EACH ROW
	WHEN (instance_env.departure_queued())
	EXECUTE FUNCTION instance_env.record_departure('instance_env_forger/forge.users')$$,
	'the table''s own label, as in a dump that its owner restores, is allowed');
SELECT throws_ok($$CREATE OR REPLACE TRIGGER instance_env_departure AFTER DELETE ON forge.users FOR EACH ROW
	WHEN (instance_env.departure_queued())
	EXECUTE FUNCTION instance_env.record_departure('postgres/app.users')$$,
	'42501', NULL, 'a replacement with another is not');
SELECT lives_ok($$INSERT INTO forge.users VALUES ('k', 'dev'); DELETE FROM forge.users$$, 'a departure from the forger''s table');
RESET ROLE;
SELECT lives_ok($$INSERT INTO app.users VALUES ('k', 'dev2')$$, 'means nothing to another table');


-- a name that another guarded table had first
CREATE TABLE app.members (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.members') \gset
ALTER TABLE app.members RENAME TO people;
GRANT CREATE ON SCHEMA app TO instance_env_forger;
SET LOCAL ROLE instance_env_forger;
CREATE TABLE app.members (id text PRIMARY KEY, instance_id text);
SELECT throws_ok($$CREATE TRIGGER t AFTER DELETE ON app.members FOR EACH ROW
	WHEN (instance_env.departure_queued())
	EXECUTE FUNCTION instance_env.record_departure('postgres/app.members')$$,
	'42501', NULL, 'a label that a renamed table has still is refused');

-- conditions called by hand tell nothing about a table that one cannot insert into
RESET ROLE;
INSERT INTO app.users VALUES ('gone', 'dev');
DELETE FROM app.users WHERE id = 'gone';
SET LOCAL ROLE instance_env_forger;
SELECT is(instance_env.instance_unavailable('dev2'::text, relation, k),
		  instance_env.instance_unavailable('dev2'::text, relation, 'never seen'::text),
		  'a user who departed looks like one who was never there: ' || k)
FROM unnest(ARRAY['gone', 'k']) k, (SELECT 'app.users'::regclass::oid AS relation) r;
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
