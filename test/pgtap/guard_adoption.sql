-- Tables that have rows when they are guarded
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(34);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 3) \gset

-- beyond the cap: adopted, only shrinks

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text, n integer DEFAULT 0);
INSERT INTO app.users SELECT 'u' || i, 'dev' FROM generate_series(1, 5) i;
INSERT INTO app.users VALUES ('p1', 'prod');
SELECT throws_ok($$SELECT instance_env.guard('app.users')$$, '23I04', NULL,
	'not a table with users of a production instance that would take no more of them');
SELECT ok(NOT EXISTS (SELECT FROM instance_env.guards WHERE relation = 'app.users'::regclass), 'and nothing has changed');
DELETE FROM app.users WHERE id = 'p1';
SELECT lives_ok($$SELECT instance_env.guard('app.users')$$, 'a table beyond the cap can be guarded');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u6', 'dev')$$, '23I01', NULL, 'beyond the cap: INSERT is refused');
SELECT lives_ok($$UPDATE app.users SET n = n + 1$$, 'beyond the cap: UPDATE passes');
SELECT lives_ok($$INSERT INTO app.users VALUES ('u1', 'dev') ON CONFLICT (id) DO UPDATE SET n = 9$$,
	'beyond the cap: an upsert of an existing user passes');
SELECT throws_ok(
	$$WITH d AS (DELETE FROM app.users WHERE id = 'u5') INSERT INTO app.users VALUES ('u6', 'dev')$$,
	'23I01', NULL, 'beyond the cap: a swap is refused');
SELECT lives_ok($$DELETE FROM app.users WHERE id IN ('u4', 'u5')$$, 'beyond the cap: DELETE passes');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u6', 'dev')$$, '23I01', NULL, 'at the cap: INSERT is refused');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'u3'$$, 'below the cap');
SELECT lives_ok($$INSERT INTO app.users VALUES ('u6', 'dev')$$, 'below the cap: INSERT is admitted');
SELECT throws_ok($$INSERT INTO app.users VALUES ('p2', 'prod')$$, '23I04', NULL,
	'an inactive instance takes no users');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u2', 'dev2')$$, '23505', NULL, 'adopted keys are known');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'u1'$$, 'an adopted user is deleted');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u1', 'dev2')$$, '23I02', NULL,
	'and cannot return in another instance');

-- what cannot be adopted, with nothing half-done

CREATE FUNCTION app.triggers(regclass) RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal$$;
CREATE FUNCTION app.indexes(regclass) RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM pg_index WHERE indrelid = $1$$;

CREATE TABLE app.nulls (id text PRIMARY KEY, instance_id text);
INSERT INTO app.nulls VALUES ('u1', 'dev'), ('u2', NULL);
SELECT throws_ok($$SELECT instance_env.guard('app.nulls')$$, '23502', NULL, 'a row with no instance');
SELECT is(app.triggers('app.nulls'), 0::bigint, 'no trigger was left');
SELECT is(app.indexes('app.nulls'), 1::bigint, 'no index was left');
DELETE FROM app.nulls WHERE instance_id IS NULL;
SELECT lives_ok($$SELECT instance_env.guard('app.nulls')$$, 'once it is gone');

CREATE TABLE app.unknown (id text PRIMARY KEY, instance_id text);
INSERT INTO app.unknown VALUES ('u1', 'dev'), ('u2', 'nowhere');
SELECT throws_ok($$SELECT instance_env.guard('app.unknown')$$, '23I03', NULL, 'a row with an unknown instance');
SELECT is(app.triggers('app.unknown'), 0::bigint, 'no trigger was left');
SELECT instance_env.create_application('here', development_key => 'nowhere') \gset
SELECT lives_ok($$SELECT instance_env.guard('app.unknown')$$, 'once the instance exists');

CREATE TABLE app.twice (id text, instance_id text, PRIMARY KEY (instance_id, id));
INSERT INTO app.twice VALUES ('u1', 'dev'), ('u1', 'dev2'), ('u2', 'dev2'), ('u3', 'dev');
SELECT throws_ok($$SELECT instance_env.guard('app.twice', user_key => 'id')$$, '23I02', NULL, 'a key in two instances');
SELECT is(app.triggers('app.twice'), 0::bigint, 'no trigger was left');
SELECT lives_ok($$SELECT instance_env.guard('app.twice', user_key => '')$$, 'unless identities are not followed');
SELECT lives_ok($$INSERT INTO app.twice VALUES ('u2', 'dev')$$, 'then a key may live in two instances');
SELECT throws_ok($$UPDATE app.twice SET instance_id = 'dev2' WHERE id = 'u3'$$,
	'23I02', NULL, 'but no row can change its instance');

-- Of many offenders an error names a few.
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
CREATE TABLE app.many (id text, instance_id text);
INSERT INTO app.many SELECT 'u' || i, 'nowhere ' || i FROM generate_series(1, 1000) i;
SELECT matches(pg_temp.detail($$SELECT instance_env.guard('app.many', user_key => 'id')$$),
	E'^[^"]*"instance_id"[^"]*("nowhere [0-9]+"[^"]*){1,10} 9[0-9][0-9] more\\.$', 'a thousand unknown instances');
UPDATE app.many SET instance_id = 'dev';
INSERT INTO app.many SELECT id, 'dev2' FROM app.many;
SELECT matches(pg_temp.detail($$SELECT instance_env.guard('app.many', user_key => 'id')$$),
	'^[^"]*"id"[^"]*("u[0-9]+"[^"]*){1,10}', 'a thousand users in two instances');

-- A key several times in one instance is no transfer.
CREATE TABLE app.devices (id text, instance_id text, device integer, PRIMARY KEY (instance_id, id, device));
INSERT INTO app.devices VALUES ('u1', 'dev', 1), ('u1', 'dev', 2), ('u2', 'dev2', 1);
SELECT lives_ok($$SELECT instance_env.guard('app.devices', user_key => 'id', counted => false)$$,
	'a key several times in one instance');
SELECT lives_ok($$INSERT INTO app.devices VALUES ('u1', 'dev', 3)$$, 'and once more');
SELECT throws_ok($$INSERT INTO app.devices VALUES ('u1', 'dev2', 1)$$, '23I02', NULL, 'but not in another');

-- invalid rows beyond the first page, and dead rows that are none
CREATE TABLE app.big (id integer PRIMARY KEY, instance_id text);
INSERT INTO app.big SELECT i, CASE WHEN i = 4000 THEN 'elsewhere' ELSE 'dev2' END FROM generate_series(1, 5000) i;
SELECT throws_ok($$SELECT instance_env.guard('app.big')$$, '23I03', NULL, 'one bad row among 5,000 is found');
DELETE FROM app.big WHERE instance_id = 'elsewhere';
SELECT lives_ok($$SELECT instance_env.guard('app.big')$$, 'deleted, it is no hindrance');

SELECT * FROM finish();
ROLLBACK;
