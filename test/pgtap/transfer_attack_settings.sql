-- A key is the same key whatever a session's settings write it as.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(113);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset

CREATE FUNCTION pg_temp.settings(names text[], vals text[]) RETURNS void LANGUAGE sql AS $$
	SELECT set_config(n, v, true) FROM unnest(names, vals) s (n, v) $$;
-- the key departs under PostgreSQL's defaults, and tries to return under other settings, and the other way round
CREATE FUNCTION pg_temp.try(key_type text, key text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	names constant text[] := '{bytea_output, DateStyle, IntervalStyle, TimeZone, extra_float_digits, lc_monetary, quote_all_identifiers, standard_conforming_strings, xmlbinary}';
	usual constant text[] := '{hex, "ISO, MDY", postgres, UTC, 1, C, off, on, base64}';
	odd constant text[] := '{escape, "German, DMY", sql_standard, "Pacific/Chatham", -15, POSIX, on, off, hex}';
	given text;
BEGIN
	FOR i IN 1 .. 2 LOOP
		PERFORM pg_temp.settings(names, usual);
		EXECUTE format('CREATE TABLE app.users (id %s PRIMARY KEY, instance_id text)', key_type);
		IF i = 2 THEN PERFORM pg_temp.settings(names, odd); END IF;
		PERFORM instance_env.guard('app.users');
		EXECUTE format('INSERT INTO app.users SELECT (%s)::%s, ''dev''', key, key_type);
		DELETE FROM app.users;
		PERFORM pg_temp.settings(names, CASE i WHEN 1 THEN odd ELSE usual END);
		RETURN NEXT throws_ok(format('INSERT INTO app.users SELECT (%s)::%s, ''dev2''', key, key_type), '23I02', NULL,
							  format('%s, departed under %s settings', key_type, (ARRAY['usual', 'odd'])[i]));
		PERFORM instance_env.unguard('app.users');
		PERFORM instance_env.guard('app.users');
		RETURN NEXT throws_ok(format('INSERT INTO app.users SELECT (%s)::%s, ''dev2''', key, key_type), '23I02', NULL,
							  format('%s, and guarded anew', key_type));
		RETURN NEXT lives_ok(format('INSERT INTO app.users SELECT (%s)::%s, ''dev''', key, key_type), key_type || ', back where it was');
		RETURN NEXT throws_ok(format('INSERT INTO app.users SELECT (%s)::%s, ''dev2''', key, key_type), '23505', NULL, key_type || ', living');
		DROP TABLE app.users;
		PERFORM instance_env.forget_departed('infinity');
	END LOOP;
	PERFORM pg_temp.settings(names, usual);
END $$;
SELECT pg_temp.try('bytea', $$decode('0102ff', 'hex')$$);
SELECT pg_temp.try('date', $$make_date(2024, 2, 3)$$);
SELECT pg_temp.try('timestamp', $$make_timestamp(2024, 2, 3, 4, 5, 6.789)$$);
SELECT pg_temp.try('timestamptz', $$make_timestamptz(2024, 2, 3, 4, 5, 6.789, 'UTC')$$);
SELECT pg_temp.try('time', $$make_time(4, 5, 6.789)$$);
SELECT pg_temp.try('timetz', $$timetz '04:05:06+02'$$);
SELECT pg_temp.try('interval', $$make_interval(months => 1, days => 2, secs => 3.5)$$);
SELECT pg_temp.try('money', $$12345.67::numeric$$);
SELECT pg_temp.try('float8', $$1.0/3$$);
SELECT pg_temp.try('float4', $$1.0/3$$);
SELECT pg_temp.try('numeric', $$1.0/3$$);
SELECT pg_temp.try('text', $$'a' || chr(92) || 'b'$$);
SELECT pg_temp.try('inet', $$inet '10.0.0.1'$$);
SELECT pg_temp.try('pg_lsn', $$pg_lsn '1/2'$$);

-- the label is not SQL
SET LOCAL quote_all_identifiers = on;
CREATE TABLE app."user" (id text PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app."user"') \gset
SELECT is((SELECT label FROM instance_env.guards WHERE relation = 'app.user'::regclass), current_user || '/app.user', 'the label is written plainly');

SELECT * FROM finish();
ROLLBACK;
