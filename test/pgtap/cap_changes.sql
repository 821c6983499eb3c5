-- The cap changes, the count does not: lowered, raised, back to the default, the
-- default itself; and prepared statements and functions that were planned before.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(36);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.instance_id('shop', 'development') AS dev \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL DEFAULT 'dev', n integer DEFAULT 0);
SELECT count(*) FROM instance_env.guard('app.users') \gset
CREATE FUNCTION app.cap(cap integer) RETURNS void LANGUAGE sql AS
$$SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), cap)$$;

-- the default

SELECT is((SELECT user_cap FROM instance_env.instances WHERE instance_id = :'dev'), 500,
	'the default is 500');
SELECT throws_ok($$INSERT INTO app.users SELECT generate_series(1, 501)$$, '23I01', NULL,
	'501 users are refused');
SELECT lives_ok($$INSERT INTO app.users SELECT generate_series(1, 500)$$, '500 are admitted');
SELECT throws_ok($$INSERT INTO app.users VALUES (501)$$, '23I01', NULL, 'then the instance is full');

-- raised and lowered under a prepared statement

PREPARE add(integer) AS INSERT INTO app.users VALUES ($1);
SELECT app.cap(502) \gset
SELECT lives_ok('EXECUTE add(501)', 'raised by two: one is admitted');
SELECT lives_ok('EXECUTE add(502)', 'and another');
SELECT throws_ok('EXECUTE add(503)', '23I01', NULL, 'and not a third');
SELECT app.cap(400) \gset
SELECT throws_ok('EXECUTE add(503)', '23I01', NULL, 'lowered below the count: refused');
SELECT lives_ok('UPDATE app.users SET n = n + 1', 'lowered below the count: updates pass');
SELECT lives_ok('DELETE FROM app.users WHERE id > 401', 'lowered below the count: deletes pass');
SELECT throws_ok('EXECUTE add(503)', '23I01', NULL, 'still above the cap: refused');
SELECT lives_ok('DELETE FROM app.users WHERE id = 401', 'at the cap');
SELECT throws_ok('EXECUTE add(503)', '23I01', NULL, 'at the cap: refused');
SELECT lives_ok('DELETE FROM app.users WHERE id = 400', 'below the cap');
SELECT lives_ok('EXECUTE add(503)', 'below the cap: admitted');
SELECT app.cap(0) \gset
SELECT throws_ok('EXECUTE add(504)', '23I01', NULL, 'a cap of 0 refuses everybody');
SELECT lives_ok('UPDATE app.users SET n = n + 1', 'a cap of 0 changes nothing for those who are there');
DELETE FROM app.users;
SELECT throws_ok('EXECUTE add(1)', '23I01', NULL, 'also when nobody is there');
SELECT app.cap(NULL) \gset
SELECT lives_ok('EXECUTE add(1)', 'NULL brings the default back');
SELECT throws_ok('INSERT INTO app.users SELECT generate_series(2, 501)', '23I01', NULL, 'which is 500');

-- a change that is rolled back

SAVEPOINT s;
SELECT app.cap(1) \gset
SELECT throws_ok('EXECUTE add(2)', '23I01', NULL, 'lowered in a savepoint: refused');
ROLLBACK TO SAVEPOINT s;
SELECT lives_ok('EXECUTE add(2)', 'and rolled back: admitted');
SELECT app.cap(2) \gset
SAVEPOINT s;
SELECT app.cap(3) \gset
SELECT lives_ok('EXECUTE add(3)', 'raised in a savepoint: admitted');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok('EXECUTE add(3)', '23I01', NULL, 'and rolled back: refused');

-- the default of all development instances

SELECT app.cap(NULL) \gset
UPDATE instance_env.policy_default SET value = '4' WHERE instance_type = 'development' AND name = 'user_cap';
SELECT is((SELECT user_cap FROM instance_env.instances WHERE instance_id = :'dev'), 4,
	'a changed default shows');
SELECT lives_ok('INSERT INTO app.users VALUES (3), (4)', 'a changed default admits as many');
SELECT throws_ok('EXECUTE add(5)', '23I01', NULL, 'and no more');
SELECT app.cap(5) \gset
SELECT lives_ok('EXECUTE add(5)', 'the instance''s own cap comes before the default');
SELECT throws_ok('EXECUTE add(6)', '23I01', NULL, 'as a limit, too');

-- in the middle of a statement

SELECT app.cap(10) \gset
CREATE FUNCTION app.lower(i integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF i = 8 THEN
		PERFORM app.cap(7);
	END IF;
	RETURN i;
END $$;
SELECT throws_ok('INSERT INTO app.users SELECT app.lower(i) FROM generate_series(6, 9) i', '23I01', NULL,
	'a cap that the statement itself lowers applies to it');
SELECT lives_ok('INSERT INTO app.users SELECT generate_series(6, 10)', 'as that statement was undone: up to ten');
SELECT throws_ok('EXECUTE add(11)', '23I01', NULL, 'and no more');

-- status, under the same prepared statement

SELECT app.cap(20) \gset
SELECT instance_env.suspend_instance(:'dev') \gset
SELECT throws_ok('EXECUTE add(11)', '23I04', NULL, 'suspended: refused');
SELECT lives_ok('UPDATE app.users SET n = n + 1', 'suspended: updates pass');
SELECT lives_ok('DELETE FROM app.users WHERE id = 10', 'suspended: deletes pass');
SELECT instance_env.resume_instance(:'dev') \gset
SELECT lives_ok('EXECUTE add(11)', 'resumed: admitted');

SELECT * FROM finish();
ROLLBACK;
