-- The prefix of e-mail and SMS messages
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(107);

SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('live',
	development_id => 'd0000000-0000-4000-8000-000000000002',
	production_id => 'a0000000-0000-4000-8000-000000000002') \gset
SELECT instance_env.create_application('It''s "still"',
	development_id => 'd0000000-0000-4000-8000-000000000003',
	production_id => 'a0000000-0000-4000-8000-000000000003') \gset
UPDATE instance_env.instance SET status = 'active' WHERE id = 'a0000000-0000-4000-8000-000000000002';
UPDATE instance_env.instance SET status = 'suspended'
WHERE id IN ('d0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000003');
CREATE TEMP VIEW instances AS SELECT status || ' ' || type AS what, type, instance_id AS id
FROM instance_env.instances WHERE NOT (application = 'live' AND type = 'development');
\set development '\'d0000000-0000-4000-8000-000000000001\''
\set production '\'a0000000-0000-4000-8000-000000000001\''
\set unknown '\'00000000-0000-0000-0000-000000000000\''

-- the page

SELECT CASE type
	WHEN 'development' THEN is(instance_env.prefix_message(id, channel, 'Your code is 123456'),
		'[Development] Your code is 123456',
		'"Email and SMS templates are prefixed with the environment type": ' || channel || ', ' || what)
	ELSE is(instance_env.prefix_message(id, channel, 'Your code is 123456'), 'Your code is 123456',
		'unchanged: ' || channel || ', ' || what) END
FROM instances, unnest(ARRAY['email', 'sms']) channel ORDER BY what, channel;
SELECT is(instance_env.message_prefix(id), CASE type WHEN 'development' THEN '[Development] ' ELSE '' END,
	'the prefix is never null: ' || what) FROM instances ORDER BY what;
SELECT throws_ok($$SELECT instance_env.message_prefix(NULL)$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok(format($$SELECT instance_env.message_prefix(%L)$$, :unknown), '23I03', NULL, 'an unknown instance');
SELECT throws_ok($$SELECT instance_env.prefix_message(NULL, 'sms', 'x')$$, '22004', NULL, 'NULL as an instance, of a message');
SELECT throws_ok(format($$SELECT instance_env.prefix_message(%L, 'sms', 'x')$$, :unknown), '23I03', NULL,
	'an unknown instance, of a message');

-- any body, and twice

CREATE TEMP TABLE bodies (what text, body text);
INSERT INTO bodies VALUES
	('plain', 'Welcome'),
	('empty', ''),
	('blank', ' '),
	('non-ASCII', 'Ihr Code für Bücher: ①② 🔑'),
	('several lines', E'a\r\nb\tc\x01'),
	('long', repeat('0123456789', 100000)),
	('with quotes and escapes', $$It's "%s" \ $1 {{code}}$$),
	('with the prefix elsewhere', 'Re: [Development] Welcome'),
	('with a part of the prefix', '[Develop'),
	('with another case', '[development] Welcome'),
	('with something like it', '[Development]Welcome');
SELECT is(instance_env.prefix_message(:development, channel, body), '[Development] ' || body, 'a body, ' || what || ': ' || channel)
FROM bodies, unnest(ARRAY['email', 'sms']) channel;
SELECT is(instance_env.prefix_message(:development, 'sms', instance_env.prefix_message(:development, 'sms', body)),
	instance_env.prefix_message(:development, 'sms', body), 'twice is once: ' || what) FROM bodies;
SELECT is(instance_env.prefix_message(:development, 'email', '[Development]'), '[Development]',
	'a prefix that has lost its blank');
SELECT is(instance_env.prefix_message(:production, 'sms', body), body, 'production leaves it alone: ' || what) FROM bodies;
SELECT is(instance_env.prefix_message(:production, 'sms', '[Development] x'), '[Development] x', 'and removes nothing');

-- channels

SELECT throws_ok(format($$SELECT instance_env.prefix_message(%L, %L, 'x')$$, id, channel), '22023', NULL,
	'no such channel: ' || left(to_json(channel)::text, 40) || ', ' || type)
FROM instances, unnest(ARRAY['', 'push', 'EMAIL', 'Sms', ' email', 'email ', 'e-mail', E'sms\n', E'\x01', 'é', repeat('sms', 1000)]) channel
WHERE id IN (:development, :production);
SELECT throws_ok(format($$SELECT instance_env.prefix_message(%L, NULL, 'x')$$, :development), '22004', NULL, 'NULL as a channel');
SELECT throws_ok(format($$SELECT instance_env.prefix_message(%L, 'sms', NULL)$$, :development), '22004', NULL, 'NULL as a body');
SELECT throws_ok(format($$SELECT instance_env.prefix_message(%L, 'sms', NULL)$$, :production), '22004', NULL,
	'also in production');

-- other words

SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'message_prefix', '"[開発] "')$$, :development), 'another prefix');
SELECT is(instance_env.message_prefix(:development), '[開発] ', 'is in force');
SELECT is(instance_env.prefix_message(:development, 'email', 'x'), '[開発] x', 'for messages, too');
SELECT is(instance_env.prefix_message(:development, 'email', '[開発] x'), '[開発] x', 'and recognized');
SELECT is(instance_env.prefix_message(:development, 'email', E'['), '[開発] [', 'a body shorter than it');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'message_prefix', %L)$$, :development, value), '22023', NULL,
	'the prefix cannot be removed: ' || value)
FROM unnest(ARRAY['null', '""', '" "', '"[] "', E'"Dev\\r\\nBcc: x@example.com"', '1', 'true']) value;
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'message_prefix', '"[Production] "')$$, id), '55000', NULL,
	'a production instance has none: ' || what) FROM instances WHERE type = 'production';

-- rights

CREATE ROLE instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(format($$SELECT instance_env.message_prefix(%L)$$, :development), '42501', NULL, 'message_prefix() is not for everybody');
SELECT throws_ok(format($$SELECT instance_env.prefix_message(%L, 'sms', 'x')$$, :development), '42501', NULL,
	'nor is prefix_message()');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
