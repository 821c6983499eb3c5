-- What a backend tries with its own means: portals and savepoints at the last message of a
-- month, temporary tables with the names of ours, and settings
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(14);

\set dev 'd0000000-0000-4000-8000-000000000001'
\set prod 'a0000000-0000-4000-8000-000000000001'
SELECT instance_env.create_application('shop', 'pro', :'dev', :'prod') \gset
SELECT instance_env.associate_domain(:'prod', 'shop.example.com') \gset
SELECT instance_env.create_secret_key(:'prod') AS key \gset
SELECT instance_env.set_policy(:'dev', 'email_per_month', '3') \gset
CREATE ROLE instance_env_app;
SELECT instance_env.grant_backend('instance_env_app') \gset
CREATE FUNCTION pg_temp.sent() RETURNS bigint LANGUAGE sql AS
$$SELECT sent FROM instance_env.message_usage WHERE instance_id = 'd0000000-0000-4000-8000-000000000001' AND channel = 'email'$$;

-- two portals and a savepoint
SET LOCAL ROLE instance_env_app;
DECLARE a CURSOR FOR SELECT instance_env.consume_message('d0000000-0000-4000-8000-000000000001', 'email', i || '@example.com') FROM generate_series(1, 9) i;
DECLARE b CURSOR FOR SELECT instance_env.consume_message('d0000000-0000-4000-8000-000000000001', 'email', i || '@example.com') FROM generate_series(1, 9) i;
SAVEPOINT undone;
FETCH 2 FROM a \g /dev/null
ROLLBACK TO SAVEPOINT undone;
SELECT lives_ok('FETCH 1 FROM b', 'one message, after two that were undone');
SELECT lives_ok('FETCH 1 FROM a', 'another one, by a portal that was open before');
SELECT lives_ok('FETCH 1 FROM b', 'the third');
SELECT throws_ok('FETCH 1 FROM a', '55I04', NULL, 'no fourth by the one portal');
SELECT throws_ok('FETCH 1 FROM b', '55I04', NULL, 'nor by the other');
RESET ROLE;
SELECT is(pg_temp.sent(), 3::bigint, 'three are counted');

-- what has the names of our tables and comes first in the search_path
SET LOCAL ROLE instance_env_app;
CREATE TEMP TABLE service AS SELECT 'development_domain'::text AS name, '"evil.example"'::jsonb AS value;
CREATE TEMP TABLE redirect_url AS SELECT 'a0000000-0000-4000-8000-000000000001'::uuid AS instance, 'https://evil.example'::text AS url;
CREATE TEMP TABLE message_count (instance uuid, channel text, slot integer, month date, sent bigint);
CREATE TEMP TABLE secret_key_use (hash bytea, used_at timestamptz);
CREATE TEMP TABLE hosting_suffix AS SELECT 'example.com'::text AS name, true AS hosting;
SET LOCAL search_path = pg_temp, instance_env, public;
SELECT ok(NOT instance_env.redirect_url_allowed(:'prod', 'https://evil.example/'), 'a list of its own allows nothing');
SELECT ok(instance_env.oauth_consent_domain(:'dev') LIKE '%.accounts.dev', 'nor does it name the service');
SELECT is(instance_env.instance_for_host('shop', 'www.example.com'), :'prod', 'nor say whose a name is');
SELECT throws_ok(format('SELECT instance_env.consume_message(%L, %L, %L)', :'dev', 'email', 'x@example.com'), '55I04', NULL, 'nor what was sent');
SELECT is(instance_env.verify_secret_key(:'key'), :'prod', 'a use of a key');
SELECT is_empty('TABLE pg_temp.secret_key_use', 'is not recorded there');
RESET ROLE;
SET LOCAL search_path = public;

-- settings
SET LOCAL TimeZone = 'Pacific/Kiritimati';
SET LOCAL DateStyle = 'German';
SET LOCAL IntervalStyle = 'iso_8601';
SET LOCAL ROLE instance_env_app;
SELECT throws_ok(format('SELECT instance_env.consume_message(%L, %L, %L)', :'dev', 'email', 'x@example.com'), '55I04', NULL,
	'a month is one of UTC, wherever the session is');
RESET ROLE;
SELECT is((SELECT month FROM instance_env.message_usage WHERE instance_id = :'dev' AND channel = 'email'),
	date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date, 'and shown as that');

SELECT * FROM finish();
ROLLBACK;
