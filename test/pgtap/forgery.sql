-- Whoever may execute the trigger functions could attach them to a table of his own under
-- another table's label, and so have users of that table refused. guard() alone chooses labels.

BEGIN;
SELECT plan(8);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.create_application('bank', development_key => 'dev2') \gset
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text);
SELECT instance_env.guard('app.users') \gset

CREATE ROLE instance_env_forger;
GRANT USAGE ON SCHEMA app TO instance_env_forger;
CREATE SCHEMA forge AUTHORIZATION instance_env_forger;
SET LOCAL ROLE instance_env_forger;
CREATE TABLE forge.users (id text PRIMARY KEY, instance_id text);

SELECT throws_ok($$CREATE TRIGGER t AFTER DELETE ON forge.users FOR EACH ROW
	WHEN (instance_env.identity_departs(OLD.instance_id, OLD.id))
	EXECUTE FUNCTION instance_env.record_departure('app.users')$$,
	'42501', NULL, 'a trigger with another table''s label is refused');
SELECT throws_ok($$CREATE TRIGGER t AFTER DELETE ON forge.users FOR EACH ROW
	WHEN (instance_env.identity_departs(OLD.instance_id, OLD.id))
	EXECUTE FUNCTION instance_env.record_departure()$$,
	'42501', NULL, 'and one without a label');
SELECT throws_ok($$CREATE OR REPLACE TRIGGER t BEFORE TRUNCATE ON forge.users
	EXECUTE FUNCTION instance_env.record_truncate('app.users')$$,
	'42501', NULL, 'and one for TRUNCATE');
SELECT lives_ok($$SELECT instance_env.guard('forge.users')$$, 'guard() chooses the label');
SELECT lives_ok($$CREATE OR REPLACE TRIGGER instance_env_departure AFTER DELETE ON forge.users FOR EACH ROW
	WHEN (instance_env.identity_departs(OLD.instance_id, OLD.id))
	EXECUTE FUNCTION instance_env.record_departure('forge.users')$$,
	'the table''s own label, as in a dump that its owner restores, is allowed');
SELECT throws_ok($$CREATE OR REPLACE TRIGGER instance_env_departure AFTER DELETE ON forge.users FOR EACH ROW
	WHEN (instance_env.identity_departs(OLD.instance_id, OLD.id))
	EXECUTE FUNCTION instance_env.record_departure('app.users')$$,
	'42501', NULL, 'a replacement with another is not');
SELECT lives_ok($$INSERT INTO forge.users VALUES ('k', 'dev'); DELETE FROM forge.users$$, 'a departure from the forger''s table');
RESET ROLE;
SELECT lives_ok($$INSERT INTO app.users VALUES ('k', 'dev2')$$, 'means nothing to another table');

SELECT * FROM finish();
ROLLBACK;
