-- Secret keys with a name, which expire, and are replaced
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(89);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', development_id => :dev, production_id => :prod) \gset
CREATE FUNCTION pg_temp.config(instance uuid) RETURNS bigint LANGUAGE SQL VOLATILE AS
'SELECT config_version FROM instance_env.instance WHERE id = $1';
CREATE FUNCTION pg_temp.shown(key text) RETURNS instance_env.secret_keys LANGUAGE sql VOLATILE AS
'SELECT k FROM instance_env.secret_keys k WHERE hint = right(key, 4)';

-- names

SELECT instance_env.create_secret_key(:dev) AS plain \gset
SELECT instance_env.create_secret_key(:dev, 'Kasse für Zürich') AS named \gset
SELECT instance_env.create_secret_key(instance => :dev, name => 'Kasse für Zürich', expires_at => 'infinity') AS same \gset
SELECT is((pg_temp.shown(:'plain')).name, NULL, 'a key need not have a name');
SELECT is((pg_temp.shown(:'named')).name, 'Kasse für Zürich', 'a name');
SELECT is((pg_temp.shown(:'same')).name, 'Kasse für Zürich', 'two keys may have the same');
SELECT is((pg_temp.shown(:'same')).expires_at, NULL, 'infinity is no time');
SELECT is((SELECT after->>'name' FROM instance_env.event WHERE action = 'create_secret_key' AND item = right(:'named', 4)),
	'Kasse für Zürich', 'the log has it');
SELECT throws_ok(format('SELECT instance_env.create_secret_key(%L, %L)', :dev, name), state, NULL,
	'no name: ' || left(to_json(name)::text, 40))
FROM (VALUES ('', '22023'), (E'a\nb', '22023'), (E'\x7f', '22023'), (repeat('x', 256), '22023'), (repeat('ü', 500000), '22023'),
	(:'plain', '22I03'), ('key ' || :'plain', '22I03'), ('ghp_' || repeat('a1B2', 9), '22I03')) v (name, state);
SELECT lives_ok(format('SELECT instance_env.create_secret_key(%L, %L)', :dev, name), 'a name: ' || left(to_json(name)::text, 40))
FROM unnest(ARRAY[repeat('x', 255), 'a''b"c', '%s', '開発', ' ']) name;

-- expiry

SELECT throws_ok(format('SELECT instance_env.create_secret_key(%L, NULL, %L)', :dev, at), '22023',
	'invalid value for argument "expires_at"', 'not in the future: ' || at)
FROM unnest(ARRAY['-infinity', '2000-01-01', '4713-01-01 BC', now()::text]) at;
SELECT lives_ok(format('SELECT instance_env.create_secret_key(%L, NULL, %L)', :dev, at), 'in the future: ' || at)
FROM unnest(ARRAY['9999-12-31', '294276-12-31 23:59:59', (now() + interval '1 hour')::text]) at;
SELECT instance_env.create_secret_key(:prod, 'short', clock_timestamp() + interval '2 s') AS short \gset
SELECT is(instance_env.verify_secret_key(:'short'), :prod::uuid, 'valid before it expires');
SELECT ok((pg_temp.shown(:'short')).valid, 'and shown to be');
SELECT throws_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'short'), '55000', NULL, 'it is the last valid key');
SELECT is((SELECT passed FROM instance_env.validate(:prod) WHERE check_name = 'keys'), true, 'validate() finds a key');
SELECT pg_sleep(2) \gset
SELECT is(instance_env.verify_secret_key(:'short'), NULL, 'expired: NULL at once, in the same transaction');
SELECT is((pg_temp.shown(:'short')).valid, false, 'not shown to be valid');
SELECT is((pg_temp.shown(:'short')).revoked_at, NULL, 'though it is not revoked');
SELECT is((SELECT passed FROM instance_env.validate(:prod) WHERE check_name = 'keys'), false, 'validate() finds none');
SELECT throws_ok(format('SELECT instance_env.rotate_secret_key(%L)', :'short'), '55000',
	'cannot rotate a secret key that has expired', 'nor is it replaced');
SELECT instance_env.create_secret_key(:prod) AS only \gset
SELECT throws_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'only'), '55000', NULL,
	'the last valid key, beside an expired one, cannot be revoked');
SELECT lives_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'short'), 'the expired one can');
SELECT throws_ok(format('SELECT instance_env.rotate_secret_key(%L)', :'short'), '55000',
	'cannot rotate a secret key that is revoked', 'and is revoked then');

-- the last key of all may expire, and its revocation is no loss
SELECT instance_env.rotate_secret_key(:'only', '0') AS other \gset
UPDATE instance_env.api_key SET expires_at = now() WHERE hash = sha256(:'other');
SELECT lives_ok(format('SELECT instance_env.revoke_secret_key(%L)', :'other'), 'where no key is valid, any can be revoked');

-- rotate_secret_key()

SELECT pg_temp.config(:dev) AS config, count(*) AS events FROM instance_env.event \gset
SELECT instance_env.rotate_secret_key(:'named', '1 hour') AS next \gset
SELECT matches(:'next'::text, '^sk_test_[0-9A-Za-z]{43}$', 'another key');
SELECT isnt(:'next'::text, :'named', 'a new one');
SELECT is(instance_env.verify_secret_key(:'next'), :dev::uuid, 'it is valid');
SELECT is(instance_env.verify_secret_key(:'named'), :dev::uuid, 'so is the old one');
SELECT is((pg_temp.shown(:'next')).name, 'Kasse für Zürich', 'it has the same name');
SELECT is((pg_temp.shown(:'next')).expires_at, NULL, 'it does not expire');
SELECT is((pg_temp.shown(:'named')).expires_at, now() + interval '1 hour', 'the old one does, after the overlap');
SELECT cmp_ok(pg_temp.config(:dev), '>', :config::bigint, 'config_version rises');
SELECT results_eq(
	format($$SELECT item, before->>'expires_at' IS NULL, (after->>'expires_at')::timestamptz FROM instance_env.event
		WHERE action = 'rotate_secret_key' AND instance = %L ORDER BY id$$, :dev),
	format($$VALUES (right(%L, 4), true, now() + interval '1 hour'), (right(%L, 4), true, NULL)$$, :'named', :'next'),
	'the log tells of both');
SELECT is_empty(format($$SELECT FROM instance_env.event e WHERE e::text LIKE '%%%s%%' OR e::text LIKE '%%hash%%'$$, substr(:'next', 9, 39)),
	'but has no key');
SELECT lives_ok(format('SELECT instance_env.rotate_secret_key(%L, %L)', :'named', '2 hours'), 'replaced once more');
SELECT is((pg_temp.shown(:'named')).expires_at, now() + interval '1 hour', 'it expires no later than it would have');
SELECT lives_ok(format('SELECT instance_env.rotate_secret_key(%L, %L)', :'named', '1 minute'), 'and once more');
SELECT is((pg_temp.shown(:'named')).expires_at, now() + interval '1 minute', 'but earlier');
SELECT lives_ok(format('SELECT instance_env.rotate_secret_key(%L, %L)', :'named', '0'), 'without an overlap');
SELECT is(instance_env.verify_secret_key(:'named'), NULL, 'it is invalid at once');
SELECT instance_env.rotate_secret_key(:'plain') AS plain2 \gset
SELECT is((pg_temp.shown(:'plain')).expires_at, now() + interval '1 day', 'a day by default');
SELECT is((pg_temp.shown(:'plain2')).name, NULL, 'of a key without a name, one without');

-- what expires is replaced by what lives as long
SELECT instance_env.create_secret_key(:dev, 'far', at) AS far FROM unnest('{294276-12-31 23:59:59.9+00}'::timestamptz[]) at \gset
UPDATE instance_env.api_key SET lifetime = lifetime + interval '2 seconds' WHERE hash = sha256(:'far');
SELECT instance_env.rotate_secret_key(:'far') AS farther \gset
SELECT is((pg_temp.shown(:'farther')).expires_at, NULL, 'what lives longer than time itself, by what has no end');
SELECT instance_env.create_secret_key(:dev, NULL, now() + interval '7000 years') AS far \gset
SELECT instance_env.rotate_secret_key(:'far') AS farther \gset
SELECT is((pg_temp.shown(:'farther')).expires_at, now() + interval '7000 years', 'what lives long, by what does');
SELECT instance_env.create_secret_key(:dev, 'quarter', now() + interval '90 days') AS quarter \gset
UPDATE instance_env.api_key SET expires_at = now() + interval '2 days', created_at = now() - interval '88 days' WHERE hash = sha256(:'quarter');
SELECT instance_env.rotate_secret_key(:'quarter', '1 day') AS quarter2 \gset
SELECT is((pg_temp.shown(:'quarter2')).expires_at, now() + interval '90 days', 'of a key for 90 days, another one for 90 days');
SELECT is((pg_temp.shown(:'quarter')).expires_at, now() + interval '1 day', 'after the overlap');
SELECT instance_env.rotate_secret_key(:'quarter', '1 hour') AS quarter3 \gset
SELECT is((pg_temp.shown(:'quarter3')).expires_at, now() + interval '90 days', 'also by one that was replaced before');

-- by the hint, the key being lost
SELECT instance_env.rotate_secret_key(:dev, right(:'next', 4), '10 minutes') AS found \gset
SELECT is(instance_env.verify_secret_key(:'found'), :dev::uuid, 'by instance and hint');
SELECT is((pg_temp.shown(:'next')).expires_at, now() + interval '10 minutes', 'the old one expires');
SELECT is((pg_temp.shown(:'found')).name, 'Kasse für Zürich', 'the name goes on');

-- a day has 24 hours, wherever the session is
SET LOCAL TimeZone = 'Europe/Berlin';
CREATE FUNCTION pg_temp.day_ends(key text, zone text) RETURNS interval LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('TimeZone', zone, true);
	PERFORM instance_env.rotate_secret_key(key, '200 days');
	RETURN date_trunc('hour', (pg_temp.shown(key)).expires_at AT TIME ZONE 'UTC' - now() AT TIME ZONE 'UTC');
END $$;
SELECT is(pg_temp.day_ends(instance_env.create_secret_key(:dev), zone), interval '200 days', 'the overlap in ' || zone)
FROM unnest(ARRAY['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC']) zone;
RESET TimeZone;

-- what cannot be an overlap
SELECT throws_ok(format('SELECT instance_env.rotate_secret_key(%L, %L)', :'found', overlap), state, NULL, 'overlap ' || coalesce(overlap, 'NULL'))
FROM (VALUES (NULL, '22004'), ('-1 second', '22023'), ('-1 day +23 hours', '22023'), ('11 years', '22023'), ('178000000 years', '22023')) v (overlap, state);
SELECT lives_ok(format('SELECT instance_env.rotate_secret_key(%L, %L)', instance_env.create_secret_key(:dev), overlap), 'overlap ' || overlap)
FROM unnest(ARRAY['10 years', '1 month -30 days', '1 microsecond']) overlap;
SELECT throws_ok(format('SELECT instance_env.rotate_secret_key(%L)', key), state, NULL, 'rotate ' || left(to_json(key)::text, 40))
FROM (VALUES (NULL, '22004'), ('', '22023'), ('sk_test_', '22023'), ('é', '22023'), (repeat('x', 1000000), '22023')) v (key, state);
SELECT throws_ok(format('SELECT instance_env.rotate_secret_key(%L, %L, %L)', i, hint, overlap), state, NULL, what)
FROM (VALUES
	('d0000000-0000-4000-8000-000000000001', 'none', '0', '22023', 'an unknown hint'),
	('d0000000-0000-4000-8000-000000000001', NULL, '0', '22004', 'NULL as a hint'),
	('00000000-0000-0000-0000-000000000000', 'none', '0', '23I03', 'an unknown instance'),
	(NULL, 'none', '0', '22004', 'NULL as an instance'),
	('d0000000-0000-4000-8000-000000000001', 'none', NULL, '22004', 'NULL as an overlap')) v (i, hint, overlap, state, what);

-- rights
CREATE ROLE instance_env_backend;
SELECT instance_env.grant_backend('instance_env_backend') \gset
SET LOCAL ROLE instance_env_backend;
SELECT throws_ok('SELECT instance_env.' || call, '42501', NULL, 'a backend: ' || call)
FROM unnest(ARRAY['create_secret_key(NULL)', 'rotate_secret_key(NULL)', 'rotate_secret_key(NULL, NULL, NULL)']) call;

SELECT * FROM finish();
ROLLBACK;
