-- is_test_identity(): which addresses nothing is sent to
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;

\set development '\'d0000000-0000-4000-8000-000000000001\''
\set production '\'a0000000-0000-4000-8000-000000000001\''
\set unknown '\'00000000-0000-0000-0000-000000000000\''
SELECT instance_env.create_application('shop', development_id => :development, production_id => :production) \gset

CREATE TEMP TABLE addresses (address text, expected boolean, what text);
INSERT INTO addresses VALUES
	('jane+clerk_test@example.com', true, 'the marker ends the local part'),
	('+clerk_test@example.com', true, 'and may be all of it'),
	('a.b+news+clerk_test@example.co.uk', true, 'after another tag'),
	('Jane+Clerk_Test@Example.com', true, 'in any case, as it may be stored in lower case'),
	('bücher+clerk_test@bücher.example', true, 'in any script'),
	('jane+clerk_test@localhost', true, 'at a host without a dot'),
	('jane@example.com', false, 'no marker'),
	('jane+clerk_test1@example.com', false, 'a marker that something follows'),
	('jane+clerk_test+x@example.com', false, 'a tag after the marker'),
	('clerk_test@example.com', false, 'a marker without its sign'),
	('jane+clerktest@example.com', false, 'nearly the marker'),
	('jane@example.com+clerk_test', false, 'the marker in the domain'),
	('jane@+clerk_test.example.com', false, 'or at its beginning'),
	('jane@x+clerk_test@example.com', false, 'two addresses in one'),
	('victim@example.com,jane+clerk_test@example.com', false, 'a list'),
	('victim@example.com jane+clerk_test@example.com', false, 'a list with a blank'),
	('Jane <jane+clerk_test@example.com>', false, 'with a display name'),
	('"jane+clerk_test"@example.com', false, 'a quoted local part, which ends with the quote'),
	('mailto:jane+clerk_test@example.com', false, 'a URL'),
	('jane+clerk_test@example.com?cc=victim,x', false, 'and its parameters'),
	(E'jane+clerk_test@example.com\nBcc: victim', false, 'a header after it'),
	(' jane+clerk_test@example.com', false, 'a blank before it'),
	(E'jane+clerk_test@example.com\x7f', false, 'a control character after it'),
	('jane+clerk_test@', false, 'no domain'),
	('jane+clerk_test', false, 'no address'),
	('@', false, 'nothing but the sign'),
	('', false, 'nothing'),
	(' ', false, 'a blank'),
	('+12015550100', true, 'the first number'),
	('+12015550199', true, 'the last one'),
	('+1 (201) 555-0100', true, 'as people write it'),
	('+1 201.555.0142', true, 'with dots'),
	('+1-201-555-0142', true, 'with hyphens'),
	('(+1) 201 555 01 42 ', true, 'with blanks'),
	('+12015550099', false, 'the number before the first'),
	('+12015550200', false, 'the number after the last'),
	('+120155501000', false, 'a digit too many'),
	('+1201555010', false, 'a digit too few'),
	('+22015550100', false, 'another country'),
	('12015550100', false, 'without the sign of an international number'),
	('0012015550100', false, 'with a prefix in its place'),
	('2015550100', false, 'without its country'),
	('++12015550100', false, 'two signs'),
	('+1201+5550100', false, 'a sign in the middle'),
	('+12015550100 x5', false, 'an extension'),
	('+12015550100,+12015550199', false, 'a list of numbers'),
	('+12015550100/+12025550123', false, 'an alternative'),
	(E'+12015550100\n', false, 'a newline after it'),
	(E'+12025550123\n+12015550100', false, 'a number in another line'),
	('tel:+12015550100', false, 'a URL of a number'),
	('+1２０１5550100', false, 'digits of another script'),
	('+12015550100@example.com', false, 'a number as a local part'),
	(repeat('+', 1000000), false, 'very long'),
	(repeat(' ', 1000000) || '+12015550100', true, 'blanks do not matter, however many'),
	(repeat('a', 1000000) || '+clerk_test@example.com', true, 'a very long local part'),
	(repeat('1', 1000000), false, 'very many digits');
SELECT plan(2 * (SELECT count(*) FROM addresses)::integer + 26);

SELECT is(instance_env.is_test_identity(:development, address), expected, what || ': ' || left(to_json(address)::text, 60)) FROM addresses;

-- in production only if it opts in

SELECT is(instance_env.is_test_identity(:production, address), false, 'not in production: ' || what) FROM addresses;
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'test_identities', 'true')$$, :production), 'production opts in');
SELECT is_empty(format($$SELECT address FROM addresses WHERE instance_env.is_test_identity(%L, address) <> expected$$, :production),
	'then it has the same');
SELECT lives_ok(format($$SELECT instance_env.reset_policy(%L, 'test_identities')$$, :production), 'and out again');
SELECT is_empty(format($$SELECT address FROM addresses WHERE instance_env.is_test_identity(%L, address)$$, :production), 'then it has none');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'test_identities', 'false')$$, :development), 'development opts out');
SELECT is_empty(format($$SELECT address FROM addresses WHERE instance_env.is_test_identity(%L, address)$$, :development), 'and has none');
SELECT instance_env.reset_policy(:development, 'test_identities') \gset

-- whatever the status

UPDATE instance_env.instance SET status = 'suspended' WHERE id = :development;
SELECT is(instance_env.is_test_identity(:development, '+12015550100'), true, 'also while it is suspended');
UPDATE instance_env.instance SET status = 'active' WHERE id = :development;

-- the policies say what they look like

UPDATE instance_env.service SET value = '"+probe"' WHERE name = 'test_email_marker';
UPDATE instance_env.policy_default SET value = '"^[+]4930[0-9]+$"' WHERE name = 'test_phone_numbers';
SELECT is(instance_env.is_test_identity(:development, address), expected, 'other policies: ' || address)
FROM (VALUES ('jane+probe@example.com', true), ('jane+clerk_test@example.com', false), ('+49 (30) 123', true), ('+12015550100', false)) v (address, expected);
UPDATE instance_env.policy_default SET value = '"^.*$"' WHERE name = 'test_phone_numbers';
SELECT is(instance_env.is_test_identity(:development, ' (-) '), false, 'an address without a digit is no number, whatever the expression');
UPDATE instance_env.service SET value = '""' WHERE name = 'test_email_marker';
UPDATE instance_env.policy_default SET value = '""' WHERE name = 'test_phone_numbers';
SELECT is_empty(format($$SELECT address FROM addresses WHERE instance_env.is_test_identity(%L, address)$$, :development),
	'an empty marker and an empty expression match nothing');
UPDATE instance_env.service SET value = 'null' WHERE name = 'test_email_marker';
UPDATE instance_env.policy_default SET value = 'null' WHERE name = 'test_phone_numbers';
SELECT is_empty(format($$SELECT address FROM addresses WHERE instance_env.is_test_identity(%L, address)$$, :development), 'nor do those that are null');
UPDATE instance_env.policy_default SET value = '"("' WHERE name = 'test_phone_numbers';
SELECT throws_ok(format($$SELECT instance_env.is_test_identity(%L, '+12015550100')$$, :development), '2201B', NULL, 'an expression that is none');
SELECT is(instance_env.is_test_identity(:development, 'jane@example.com'), false, 'is not asked about an e-mail address');
UPDATE instance_env.policy_default SET value = 'null' WHERE name = 'test_identities';
SELECT is(instance_env.is_test_identity(:development, '+12015550100'), false, 'nothing applies: no test identities');

-- arguments and rights

SELECT throws_ok($$SELECT instance_env.is_test_identity(NULL, 'x')$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok(format($$SELECT instance_env.is_test_identity(%L, NULL)$$, :development), '22004', NULL, 'NULL as an address');
SELECT throws_ok(format($$SELECT instance_env.is_test_identity(%L, 'x')$$, :unknown), '23I03', NULL, 'an unknown instance');
CREATE ROLE instance_env_nobody;
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
SELECT instance_env.grant_backend('instance_env_backend') \gset
SELECT instance_env.grant_monitor('instance_env_monitor') \gset
SELECT ok(has_function_privilege(role, 'instance_env.is_test_identity(uuid, text)', 'EXECUTE') = (role = 'instance_env_backend'), role || '''s right')
FROM unnest(ARRAY['instance_env_nobody', 'instance_env_backend', 'instance_env_monitor']) role;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(format($$SELECT instance_env.is_test_identity(%L, 'x')$$, :development), '42501', NULL, 'not for everybody');
RESET ROLE;
SET LOCAL ROLE instance_env_backend;
SELECT lives_ok(format($$SELECT instance_env.is_test_identity(%L, 'x')$$, :production), 'but for a backend');
RESET ROLE;

SELECT is(provolatile::text || prosecdef, 'sfalse', 'it reads, with the rights of its caller')
FROM pg_proc WHERE oid = 'instance_env.is_test_identity(uuid, text)'::regprocedure;

SELECT * FROM finish();
ROLLBACK;
