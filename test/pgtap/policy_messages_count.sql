-- consume_message(): how many e-mails and SMS an instance may send in a month
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(107);

\set development '\'d0000000-0000-4000-8000-000000000001\''
\set production '\'a0000000-0000-4000-8000-000000000001\''
\set unknown '\'00000000-0000-0000-0000-000000000000\''
SELECT instance_env.create_application('shop', development_id => :development, production_id => :production) \gset
SELECT instance_env.create_application('other',
	development_id => 'd0000000-0000-4000-8000-000000000002', production_id => 'a0000000-0000-4000-8000-000000000002') \gset
UPDATE instance_env.instance SET status = 'active' WHERE id = :production;

-- sends n messages, and says how many were counted before one was refused
CREATE FUNCTION pg_temp.send(instance text, channel text, n integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	sent integer := 0;
BEGIN
	FOR i IN 1..n LOOP
		IF instance_env.consume_message(instance::uuid, channel, i || '@example.com') THEN
			sent := sent + 1;
		END IF;
	END LOOP;
	RETURN sent;
EXCEPTION WHEN SQLSTATE '55I04' THEN
	RETURN sent;
END $$;
CREATE FUNCTION pg_temp.refused(instance text, channel text, what text) RETURNS text LANGUAGE sql AS
$$SELECT throws_ok(format('SELECT instance_env.consume_message(%L, %L, %L)', instance, channel, 'jane@example.com'), '55I04', NULL, what)$$;
CREATE FUNCTION pg_temp.taken(instance text, channel text, what text) RETURNS text LANGUAGE sql AS
$$SELECT is(instance_env.consume_message(instance::uuid, channel, 'jane@example.com'), true, what)$$;
CREATE FUNCTION pg_temp.usage(instance text, channel text) RETURNS bigint LANGUAGE sql AS
$$SELECT sent FROM instance_env.message_usage u WHERE u.instance_id = $1::uuid AND u.channel = $2$$;

-- the page's service: 20 SMS and 100 e-mails a month

SELECT results_eq($$SELECT application, type::text, channel, sent, quota FROM instance_env.message_usage ORDER BY 1, 2, 3$$,
	$$VALUES ('other', 'development', 'email', 0::bigint, 100), ('other', 'development', 'sms', 0, 20),
		('other', 'production', 'email', 0, NULL), ('other', 'production', 'sms', 0, NULL),
		('shop', 'development', 'email', 0, 100), ('shop', 'development', 'sms', 0, 20),
		('shop', 'production', 'email', 0, NULL), ('shop', 'production', 'sms', 0, NULL)$$, 'nothing has been sent');
SELECT is((SELECT DISTINCT month FROM instance_env.message_usage), date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC')::date,
	'in this month');
SELECT pg_temp.taken(:development, 'sms', 'the first SMS');
SELECT is(pg_temp.usage(:development, 'sms'), 1::bigint, 'is counted');
SELECT is(pg_temp.usage(:development, 'email'), 0::bigint, 'as an SMS');
SELECT is(pg_temp.send(:development, 'sms', 18), 18, '18 more');
SELECT pg_temp.taken(:development, 'sms', 'the last one');
SELECT pg_temp.refused(:development, 'sms', 'the 21st SMS is refused');
SELECT pg_temp.refused(:development, 'sms', 'and again');
SELECT is(pg_temp.usage(:development, 'sms'), 20::bigint, 'which counts for nothing');
SELECT is((SELECT count(*) FROM generate_series(1, 100) i
	WHERE instance_env.consume_message(:development, 'email', i || '@example.com')), 100::bigint, '100 e-mails in one statement');
SELECT pg_temp.refused(:development, 'email', 'but not 101');
SELECT is(pg_temp.usage(:development, 'email'), 100::bigint, '100 are counted');
SELECT is((SELECT count(*) FROM instance_env.message_count), 2::bigint, 'one sender at a time needs one row');
SELECT pg_temp.taken('d0000000-0000-4000-8000-000000000002', 'sms', 'another instance has its own count');
SELECT is(pg_temp.usage('d0000000-0000-4000-8000-000000000002', 'sms'), 1::bigint, 'which is 1');

-- test identities

SELECT is(instance_env.consume_message(:development, channel, address), false, 'a test identity, when the month is full: ' || channel || ', ' || address)
FROM (VALUES ('email', 'jane+clerk_test@example.com'), ('sms', '+1 (201) 555-0100')) v (channel, address);
SELECT is(instance_env.consume_message('d0000000-0000-4000-8000-000000000002', 'sms', '+12015550100'), false, 'and when it is not');
SELECT is(pg_temp.usage('d0000000-0000-4000-8000-000000000002', 'sms'), 1::bigint, 'is not counted');
SELECT is(instance_env.consume_message(:production, 'sms', '+12015550100'), true, 'production has no test identities');
SELECT instance_env.set_policy(:production, 'test_identities', 'true') \gset
SELECT is(instance_env.consume_message(:production, 'sms', '+12015550100'), false, 'unless it says so');
SELECT is(pg_temp.usage(:production, 'sms'), 1::bigint, 'one is counted');

-- production: the plan decides, unless there is a limit

SELECT is(pg_temp.send(:production, 'sms', 1000), 1000, 'production has no limit');
SELECT is(pg_temp.usage(:production, 'sms'), 1001::bigint, 'but a count');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'sms_per_month', '1003')$$, :production), 'it can have a limit');
SELECT is((SELECT quota FROM instance_env.message_usage WHERE instance_id = :production AND channel = 'sms'), 1003, 'which the view shows');
SELECT is(pg_temp.send(:production, 'sms', 10), 2, 'two are left, so that the third is refused, which undoes the two');
SELECT is(pg_temp.send(:production, 'sms', 2), 2, 'but two are not');
SELECT pg_temp.refused(:production, 'sms', 'then it is refused as well');
SELECT instance_env.reset_policy(:production, 'sms_per_month') \gset
SELECT pg_temp.taken(:production, 'sms', 'and not without the limit');

-- another limit in the middle of the month

SELECT instance_env.set_policy(:development, 'sms_per_month', '22') \gset
SELECT is(pg_temp.send(:development, 'sms', 2), 2, 'a limit that was raised by 2');
SELECT pg_temp.refused(:development, 'sms', 'lets 2 more pass');
SELECT instance_env.set_policy(:development, 'sms_per_month', '5') \gset
SELECT pg_temp.refused(:development, 'sms', 'one that was lowered below what has been sent, none');
SELECT is(pg_temp.usage(:development, 'sms'), 22::bigint, 'what was sent stays');
SELECT instance_env.reset_policy(:development, 'sms_per_month') \gset
SELECT pg_temp.refused(:development, 'sms', 'the default, neither');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000002', 'email_per_month', '0') \gset
SELECT pg_temp.refused('d0000000-0000-4000-8000-000000000002', 'email', 'a limit of 0');
SELECT is(instance_env.consume_message('d0000000-0000-4000-8000-000000000002', 'email', 'jane+clerk_test@example.com'), false,
	'leaves the test identities');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000002', 'email_per_month', '1') \gset
SELECT pg_temp.taken('d0000000-0000-4000-8000-000000000002', 'email', 'a limit of 1: one');
SELECT pg_temp.refused('d0000000-0000-4000-8000-000000000002', 'email', 'and no more');
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000002', 'email_per_month', '2147483647') \gset
SELECT pg_temp.taken('d0000000-0000-4000-8000-000000000002', 'email', 'the highest limit');

-- months

SELECT lives_ok($$UPDATE instance_env.message_count SET month = (month - interval '1 month')::date WHERE instance = 'd0000000-0000-4000-8000-000000000001'$$,
	'a month goes by');
SELECT is(pg_temp.usage(:development, 'sms'), 0::bigint, 'nothing has been sent in the new one');
SELECT is(pg_temp.send(:development, 'sms', 20), 20, 'and 20 may be');
SELECT pg_temp.refused(:development, 'sms', 'no more');
SELECT is((SELECT count(*) FROM instance_env.message_count WHERE instance = :development AND channel = 'sms'), 1::bigint,
	'in the row of the old one');
SELECT is((SELECT count(DISTINCT month) FROM instance_env.message_count WHERE instance = :development), 2::bigint, 'the e-mails are still of the old one');
UPDATE instance_env.message_count SET month = '1999-12-01' WHERE instance = :development;
SELECT is(pg_temp.send(:development, 'sms', 20), 20, 'after years');
UPDATE instance_env.message_count SET month = '2999-12-01' WHERE instance = :development;
SELECT is(pg_temp.send(:development, 'sms', 20), 20, 'or when a clock was wrong');
-- whatever the session's time zone, whose month may be another
SET LOCAL TimeZone = 'Pacific/Kiritimati';
SELECT pg_temp.refused(:development, 'sms', 'full in a time zone of the east');
SELECT is(pg_temp.usage(:development, 'sms'), 20::bigint, 'by the view, too');
SET LOCAL TimeZone = 'Etc/GMT+12';
SELECT pg_temp.refused(:development, 'sms', 'full in one of the west');
SELECT is(pg_temp.usage(:development, 'sms'), 20::bigint, 'also by the view');
RESET TimeZone;

-- several slots, as concurrent senders leave them

DELETE FROM instance_env.message_count;
INSERT INTO instance_env.message_count
SELECT :development, 'sms', slot, date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC')::date - 100 * (slot % 2), 4 FROM generate_series(0, 7) slot;
SELECT is(pg_temp.usage(:development, 'sms'), 16::bigint, 'the sum of the slots, those of other months excepted');
SELECT is(pg_temp.send(:development, 'sms', 4), 4, 'what is left');
SELECT pg_temp.refused(:development, 'sms', 'and no more than that');
SELECT is(pg_temp.usage(:development, 'sms'), 20::bigint, 'is counted');
SELECT is((SELECT count(*) FROM instance_env.message_count), 8::bigint, 'in the slots that are there');
DELETE FROM instance_env.message_count WHERE slot < 7;
SELECT lives_ok(format($$SELECT pg_temp.send(%L, 'sms', 1)$$, :development), 'slots that somebody has deleted');
DELETE FROM instance_env.message_count;

-- what a refusal says

CREATE FUNCTION pg_temp.words(instance text, channel text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	PERFORM instance_env.consume_message(instance::uuid, channel, 'jane@example.com');
EXCEPTION WHEN SQLSTATE '55I04' THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', message, detail, hint);
END $$;
SELECT instance_env.set_policy(:development, 'sms_per_month', '1') \gset
SELECT instance_env.set_policy(:production, 'email_per_month', '0') \gset
SELECT instance_env.reset_policy(:production, 'test_identities') \gset
SELECT is(pg_temp.send(:development, 'sms', 1), 1, 'the only one');
SET LOCAL DateStyle = 'German, DMY';
SELECT is(pg_temp.words(:development, 'sms'), format(E'instance "%s" has reached its limit of 1 SMS message per month\n'
	'It has sent 1 since %s. The count begins anew on %s, at midnight UTC.\n'
	'Use a test identity, whose messages are neither sent nor counted. Raise the limit with instance_env.set_policy(), policy "sms_per_month".',
	:development, to_char(m, 'YYYY-MM-DD'), to_char(m + interval '1 month', 'YYYY-MM-DD')), 'the words of a refusal, development')
FROM (SELECT date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC')) AS t (m);
SELECT is(pg_temp.words(:production, 'email'), format(E'instance "%s" has reached its limit of 0 e-mail messages per month\n'
	'It has sent 0 since %s. The count begins anew on %s, at midnight UTC.\n'
	'Raise the limit with instance_env.set_policy(), policy "email_per_month".',
	:production, to_char(m, 'YYYY-MM-DD'), to_char(m + interval '1 month', 'YYYY-MM-DD')), 'and in production, without test identities')
FROM (SELECT date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC')) AS t (m);
RESET DateStyle;
SELECT instance_env.reset_policy(:development, 'sms_per_month') \gset
SELECT instance_env.reset_policy(:production, 'email_per_month') \gset
DELETE FROM instance_env.message_count;

-- subtransactions

SELECT is(pg_temp.send(:development, 'sms', 3), 3, 'three');
SAVEPOINT a;
SELECT is(pg_temp.send(:development, 'sms', 17), 17, 'all others');
SELECT pg_temp.refused(:development, 'sms', 'full');
ROLLBACK TO a;
SELECT is(pg_temp.usage(:development, 'sms'), 3::bigint, 'what was rolled back does not count');
SELECT is(pg_temp.send(:development, 'sms', 16), 16, 'and can be had again');
SAVEPOINT b;
SELECT pg_temp.taken(:development, 'sms', 'the last one');
RELEASE b;
SELECT pg_temp.refused(:development, 'sms', 'which a release keeps');
ROLLBACK TO a;
SELECT is(pg_temp.send(:development, 'sms', 20), 17, '17 are left, and not 20');
SELECT is(pg_temp.send(:development, 'sms', 17), 17, 'but 17');
ROLLBACK TO a;

-- instances that send nothing

UPDATE instance_env.instance SET status = 'suspended' WHERE id IN (:development, :production);
SELECT throws_ok(format($$SELECT instance_env.consume_message(%L, 'sms', %L)$$, id, address), '23I04', NULL, 'suspended: ' || address)
FROM unnest(ARRAY[:development, :production]) id, unnest(ARRAY['+491', '+12015550100']) address;
SELECT throws_ok($$SELECT instance_env.consume_message('a0000000-0000-4000-8000-000000000002', 'sms', '+491')$$, '23I04', NULL, 'not promoted');
UPDATE instance_env.instance SET status = 'active' WHERE id IN (:development, :production);
SELECT pg_temp.taken(:development, 'sms', 'active again');
SELECT throws_ok(format($$SELECT instance_env.consume_message(%L, 'sms', '+491')$$, :unknown), '23I03', NULL, 'unknown');

-- arguments

SELECT throws_ok(format('SELECT instance_env.consume_message(%s)', arguments), '22004', NULL, 'NULL: ' || arguments)
FROM unnest(ARRAY['NULL, ''sms'', ''x''', quote_literal(:development) || ', NULL, ''x''', quote_literal(:development) || ', ''sms'', NULL']) arguments;
SELECT throws_ok(format('SELECT instance_env.consume_message(%L, %L, %L)', :development, channel, address), '22023', NULL,
	'refused: ' || left(to_json(channel || ' ' || address)::text, 40))
FROM (VALUES ('push', 'x'), ('SMS', 'x'), ('', 'x'), ('sms', ''), ('sms', E'+491\n'), ('email', E'a@example.com\r\nBcc: x'),
	('email', repeat('x', 321)), ('email', repeat('x', 1000000))) v (channel, address);
SELECT is(instance_env.consume_message(:development, 'email', address), true, 'taken: ' || left(address, 20))
FROM unnest(ARRAY['bücher@example.com', repeat('x', 320), ' ', '+49 30 1']) address;

-- rights

CREATE ROLE instance_env_nobody;
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
SELECT instance_env.grant_backend('instance_env_backend') \gset
SELECT instance_env.grant_monitor('instance_env_monitor') \gset
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(format($$SELECT instance_env.consume_message(%L, 'sms', 'x')$$, :development), '42501', NULL, 'not for everybody');
SET LOCAL ROLE instance_env_monitor;
SELECT throws_ok(format($$SELECT instance_env.consume_message(%L, 'sms', 'x')$$, :development), '42501', NULL, 'nor for a monitor');
SELECT isnt_empty('SELECT * FROM instance_env.message_usage', 'who may see what was sent');
SELECT throws_ok('SELECT * FROM instance_env.message_count', '42501', NULL, 'but not the slots');
SET LOCAL ROLE instance_env_backend;
SELECT pg_temp.taken(:development, 'sms', 'a backend may send');
SELECT throws_ok('SELECT * FROM instance_env.message_count', '42501', NULL, 'and touch no slot');
RESET ROLE;

-- a sender without a number as the default, and one that is none

UPDATE instance_env.policy_default SET value = 'null' WHERE instance_type = 'development' AND name = 'sms_per_month';
SELECT is(pg_temp.send(:development, 'sms', 30), 30, 'null is no limit in development, either');
UPDATE instance_env.policy_default SET value = '"many"' WHERE instance_type = 'development' AND name = 'sms_per_month';
SELECT throws_ok(format($$SELECT instance_env.consume_message(%L, 'sms', 'x')$$, :development), '55000', NULL, 'a limit that is no number');
SELECT is((SELECT quota FROM instance_env.message_usage WHERE instance_id = :development AND channel = 'sms'), NULL, 'does not break the view');
UPDATE instance_env.policy_default SET value = '1e30' WHERE instance_type = 'development' AND name = 'sms_per_month';
SELECT is((SELECT quota FROM instance_env.message_usage WHERE instance_id = :development AND channel = 'sms'), NULL, 'nor does one that is too high');
UPDATE instance_env.policy_default SET value = '20' WHERE instance_type = 'development' AND name = 'sms_per_month';

-- no lock is left that another sender would wait for

SELECT is_empty($$SELECT locktype, mode FROM pg_locks WHERE pid = pg_backend_pid()
	AND (classid = 'instance_env.message_count'::regclass OR (relation = 'instance_env.message_count'::regclass AND mode ~ 'Exclusive' AND mode <> 'RowExclusiveLock'))$$,
	'no lock on the slots outlives the call');

-- nothing is logged, and nothing of the configuration changes

SELECT is_empty($$SELECT * FROM instance_env.event WHERE action = 'consume_message'$$, 'messages are no events');

-- it writes only if there is something to count

SET LOCAL transaction_read_only = on;
SELECT is(instance_env.consume_message(:development, 'sms', '+12015550100'), false, 'read-only: a test identity');
SELECT throws_ok(format($$SELECT instance_env.consume_message(%L, 'sms', '+491')$$, :development), '25006', NULL, 'read-only: nobody else');

SELECT * FROM finish();
ROLLBACK;
