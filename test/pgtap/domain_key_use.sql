-- When secret keys were last used: recorded once a minute, by whoever verifies them, and never in the way
SET client_min_messages = warning;
SET default_transaction_isolation = 'read committed';	-- at serializable, nothing is recorded; see below
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(44);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', development_id => :dev, production_id => :prod) \gset
SELECT instance_env.create_secret_key(:dev, 'one') AS one \gset
SELECT instance_env.create_secret_key(:dev, 'two') AS two \gset
SELECT instance_env.create_secret_key(:prod, 'three') AS three \gset

CREATE FUNCTION pg_temp.uses(key text) RETURNS bigint LANGUAGE sql VOLATILE AS
'SELECT count(*) FROM instance_env.secret_key_use WHERE hash = sha256(key::bytea)';
CREATE FUNCTION pg_temp.used(key text) RETURNS timestamptz LANGUAGE sql VOLATILE AS
'SELECT last_used_at FROM instance_env.secret_keys WHERE hint = right(key, 4)';
-- as if time had passed, also for what this session remembers
CREATE FUNCTION pg_temp.passed(by_interval interval) RETURNS void LANGUAGE sql VOLATILE AS $$
	UPDATE instance_env.secret_key_use SET used_at = used_at - by_interval;
	UPDATE instance_env.api_key SET hint = hint;
$$;

-- what is recorded

SELECT is(pg_temp.used(:'one'), NULL, 'a key that was not used');
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'it is used');
SELECT is(pg_temp.uses(:'one'), 1::bigint, 'that is recorded');
SELECT ok(pg_temp.used(:'one') BETWEEN now() AND clock_timestamp(), 'with the time');
SELECT is(pg_temp.used(:'two'), NULL, 'but for no other key');
SELECT pg_temp.used(:'one') AS first \gset
SELECT count(instance_env.verify_secret_key(:'one' || substr(n::text, 1, 0))) FROM generate_series(1, 100) n \gset
SELECT is(pg_temp.used(:'one'), :'first', 'within a minute, it is not recorded again');
SELECT pg_temp.passed('0') \gset
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'by a session that remembers nothing');
SELECT is(pg_temp.used(:'one'), :'first', 'nor then');
SELECT pg_temp.passed('59 seconds') \gset
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'after 59 seconds');
SELECT ok(pg_temp.used(:'one') < now(), 'nor then');
SELECT pg_temp.passed('1 second') \gset
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'after a minute');
SELECT ok(pg_temp.used(:'one') > now(), 'it is recorded again');
SELECT is(pg_temp.uses(:'one'), 1::bigint, 'in place of the former record');

-- rows pile up only until the next use
INSERT INTO instance_env.secret_key_use SELECT sha256(:'one'), now() - n * interval '1 hour' FROM generate_series(1, 20) n;
SELECT pg_temp.passed('1 hour') \gset
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'a key with many records');
SELECT is(pg_temp.uses(:'one'), 6::bigint, 'sixteen are deleted with the next use');
SELECT pg_temp.passed('1 hour') \gset
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'used again');
SELECT is(pg_temp.uses(:'one'), 1::bigint, 'and then the others');

-- the clock
SELECT pg_temp.passed('-1 day') \gset
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'recorded tomorrow: the clock was set back');
SELECT ok(pg_temp.used(:'one') <= clock_timestamp(), 'it is recorded as of now');

-- what is no use
SELECT count(*) FROM instance_env.secret_keys \gset
SELECT count(*) AS uses FROM instance_env.secret_key_use \gset
SELECT is(instance_env.verify_secret_key(key), NULL, 'no key: ' || key) FROM unnest(ARRAY['', 'x', :'two' || ' ']) key;
SELECT is(instance_env.rotate_secret_key(:'three', '0') IS NULL, false, 'replaced at once');
SELECT is(instance_env.verify_secret_key(:'three'), NULL, 'a key that has expired');
SELECT is((SELECT count(*) FROM instance_env.secret_key_use), :uses::bigint, 'none of them is recorded');
SELECT is(instance_env.keys_match(instance_env.publishable_key(:dev), :'two'), true, 'keys_match()');
SELECT ok(pg_temp.used(:'two') IS NOT NULL, 'is a use');

-- a use that is rolled back
SAVEPOINT s;
SELECT pg_temp.passed('1 hour') \gset
SELECT pg_temp.used(:'one') AS earlier \gset
SAVEPOINT t;
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'used in a subtransaction');
SELECT isnt(pg_temp.used(:'one'), :'earlier', 'recorded there');
ROLLBACK TO SAVEPOINT t;
SELECT is(pg_temp.used(:'one'), :'earlier', 'rolled back, the former record is there again');
ROLLBACK TO SAVEPOINT s;

-- where nothing can be recorded, keys are verified as well
SELECT pg_temp.passed('1 hour') \gset
SAVEPOINT s;
SET LOCAL transaction_read_only = on;
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'in a transaction that only reads');
SELECT ok(pg_temp.used(:'one') < now(), 'it is not recorded');
ROLLBACK TO SAVEPOINT s;
SAVEPOINT s;
ALTER INDEX instance_env.secret_key_use_latest RENAME TO gone;
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'with an error in recording it');
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'and again');
ROLLBACK TO SAVEPOINT s;

-- by a role without any right on the tables, under a search_path of its own
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
SELECT instance_env.grant_backend('instance_env_backend') \gset
SELECT instance_env.grant_monitor('instance_env_monitor') \gset
CREATE TEMP TABLE secret_key_use (hash bytea, used_at timestamptz);
SELECT pg_temp.passed('1 hour') \gset
SET LOCAL ROLE instance_env_backend;
SET LOCAL search_path = pg_temp, public;
SELECT is(instance_env.verify_secret_key(:'one'), :dev::uuid, 'by a backend');
SELECT throws_ok('SELECT instance_env.key_last_used(NULL)', '42501', NULL, 'which may not ask for it');
RESET ROLE;
RESET search_path;
SELECT ok(pg_temp.used(:'one') > now(), 'it is recorded');
SET LOCAL ROLE instance_env_monitor;
SELECT is((SELECT count(last_used_at) FROM instance_env.secret_keys), 2::bigint, 'a monitor sees it');
SELECT is(instance_env.key_last_used(hash), NULL, 'no hash of a key: ' || coalesce(left(hash::text, 10), 'NULL'))
FROM unnest(ARRAY[NULL, '', 'x', sha256('x'), repeat('x', 1000000)::bytea]) hash;
RESET ROLE;

-- it goes with the application
SELECT instance_env.drop_application(instance_env.application_id('shop')) \gset
SELECT is_empty('SELECT FROM instance_env.secret_key_use', 'dropped with the application');

SELECT * FROM finish();
ROLLBACK;
