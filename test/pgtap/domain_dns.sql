-- DNS records: what a domain needs, each verified on its own
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(78);

\set prod '\'a0000000-0000-4000-8000-000000000001\''
\set other '\'a0000000-0000-4000-8000-000000000002\''
SELECT instance_env.create_application('shop', 'pro', production_id => :prod,
	development_id => 'd0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('other', production_id => :other) \gset
CREATE FUNCTION pg_temp.config(instance uuid) RETURNS bigint LANGUAGE SQL VOLATILE AS
'SELECT config_version FROM instance_env.instance WHERE id = $1';
CREATE FUNCTION pg_temp.state(domain text) RETURNS text LANGUAGE SQL VOLATILE AS $$
SELECT string_agg(CASE WHEN verified THEN 'x' ELSE '-' END, '' ORDER BY array_position(
		'{clerk, accounts, clkmail, clk._domainkey, clk2._domainkey}', record))
	|| CASE WHEN (SELECT verified_at IS NULL FROM instance_env.domain d WHERE d.name = $1) THEN '' ELSE ' verified' END
FROM instance_env.dns_records('a0000000-0000-4000-8000-000000000001') r WHERE r.domain = $1
$$;

SELECT is_empty($$SELECT * FROM instance_env.dns_records('a0000000-0000-4000-8000-000000000001')$$, 'no domain, no records');
SELECT instance_env.associate_domain(:prod, 'shop.example.com') \gset
SELECT instance_env.associate_domain(:prod, 'shop.example.org', false) \gset
SELECT instance_env.associate_domain(:other, 'other.example.net') \gset

SELECT results_eq(
	$$SELECT domain, record, name, type, target, verified, verified_at IS NULL
	  FROM instance_env.dns_records('a0000000-0000-4000-8000-000000000001')$$,
	$$VALUES
		('shop.example.com', 'clerk', 'clerk.shop.example.com', 'CNAME', 'frontend-api.clerk.services', false, true),
		('shop.example.com', 'accounts', 'accounts.shop.example.com', 'CNAME', 'accounts.clerk.services', false, true),
		('shop.example.com', 'clkmail', 'clkmail.shop.example.com', 'CNAME',
			'mail.a0000000000040008000000000000001.clerk.services', false, true),
		('shop.example.com', 'clk._domainkey', 'clk._domainkey.shop.example.com', 'CNAME',
			'dkim1.a0000000000040008000000000000001.clerk.services', false, true),
		('shop.example.com', 'clk2._domainkey', 'clk2._domainkey.shop.example.com', 'CNAME',
			'dkim2.a0000000000040008000000000000001.clerk.services', false, true),
		('shop.example.org', 'clerk', 'clerk.shop.example.org', 'CNAME', 'frontend-api.clerk.services', false, true)$$,
	'five CNAMEs for the primary domain, one for a satellite');
SELECT is((SELECT count(DISTINCT target) FROM instance_env.dns_record WHERE record LIKE '%k%' AND target ~ '[0-9a-f]{32}'),
	6::bigint, 'targets of the last three are per instance');
SELECT is_empty($$SELECT * FROM instance_env.dns_records('d0000000-0000-4000-8000-000000000001')$$,
	'a development instance needs none');
SELECT throws_ok($$SELECT * FROM instance_env.dns_records('00000000-0000-0000-0000-000000000000')$$, '23I03', NULL,
	'an unknown instance');
SELECT throws_ok($$SELECT * FROM instance_env.dns_records(NULL)$$, '22004', NULL, 'NULL');

-- one by one

SELECT pg_temp.config(:prod) AS config \gset
SELECT throws_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', '')$$, '22023',
	'invalid value for argument "record"', 'an empty record is no record');
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', 'clerk')$$,
	'each verified on its own');
SELECT is(pg_temp.state('shop.example.com'), 'x----', 'the others are not');
SELECT is(pg_temp.state('shop.example.org'), '-', 'nor is the same one of another domain');
SELECT cmp_ok(pg_temp.config(:prod), '>', :config::bigint, 'config_version rises');
SELECT is((SELECT after->'records'->>'clerk' IS NOT NULL AND before->'records'->>'clerk' IS NULL FROM instance_env.event
		   WHERE action = 'verify_domain' AND item = 'shop.example.com'), true, 'it is in the log');
SELECT pg_temp.config(:prod) AS config, count(*) AS events FROM instance_env.event \gset
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', 'clerk')$$,
	'again');
SELECT is(ARRAY[pg_temp.config(:prod), (SELECT count(*) FROM instance_env.event)], ARRAY[:config, :events]::bigint[],
	'nothing has changed');
SELECT lives_ok(format($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', %L)$$, r),
	r) FROM unnest(ARRAY['clk2._domainkey', 'accounts', 'clkmail']) r;
SELECT is(pg_temp.state('shop.example.com'), 'xxx-x', 'one is missing: the domain is not verified');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, '55I01', NULL,
	'so the application is not promoted');
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', 'clk._domainkey')$$,
	'the last one');
SELECT is(pg_temp.state('shop.example.com'), 'xxxxx verified', 'verified once all are');

-- all at once

SELECT instance_env.verify_domain(:prod, 'shop.example.org') \gset
SELECT is(pg_temp.state('shop.example.org'), 'x verified', 'no record named: all of them');
SELECT pg_temp.config(:prod) AS config, count(*) AS events FROM instance_env.event \gset
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.org')$$, 'again');
SELECT is(ARRAY[pg_temp.config(:prod), (SELECT count(*) FROM instance_env.event)], ARRAY[:config, :events]::bigint[],
	'nothing has changed');

-- a record by its full name, as DNS has it

SELECT instance_env.associate_domain(:prod, 'names.example.org', false) \gset
SELECT instance_env.change_domain(:prod, 'names.example.org') \gset
SELECT lives_ok(format('SELECT instance_env.verify_domain(%L, %L, %L)', :prod, 'names.example.org', record), 'by its name: ' || record)
FROM unnest('{clerk.names.example.org, accounts.names.example.org., CLKMAIL.Names.Example.Org, CLK._DomainKey, clk2._domainkey.}'::text[]) record;
SELECT is(pg_temp.state('names.example.org'), 'xxxxx verified', 'all of them');
SELECT throws_ok(format('SELECT instance_env.verify_domain(%L, %L, %L)', :prod, 'names.example.org', record), '22023',
	NULL, 'but not: ' || record) FROM unnest(ARRAY['names.example.org', '.names.example.org', '.', 'clerk.shop.example.org',
		'clerk.example.org', 'xclerk.names.example.org', 'clerk..', 'clerk.names.example.org.names.example.org']) record;

-- DNS is gone

SELECT pg_temp.config(:prod) AS config \gset
UPDATE instance_env.instance SET status = 'active' WHERE id = :prod;
SELECT lives_ok(format($$SELECT instance_env.unverify_domain(%L, 'names.example.org', 'clkmail.names.example.org')$$, :prod), 'one record');
SELECT is(pg_temp.state('names.example.org'), 'xx-xx', 'so the domain is not verified either');
SELECT cmp_ok(pg_temp.config(:prod), '>', :config::bigint, 'config_version rises');
SELECT is((SELECT before->'records'->>'clkmail' IS NOT NULL AND after->'records'->>'clkmail' IS NULL
		AND before->>'verified_at' IS NOT NULL AND after->>'verified_at' IS NULL FROM instance_env.event
		WHERE action = 'unverify_domain' AND item = 'names.example.org'), true, 'it is in the log');
SELECT is((SELECT status::text FROM instance_env.instance WHERE id = :prod), 'active', 'it stays active');
SELECT ok((SELECT bool_and(NOT passed) FROM instance_env.validate(:prod) WHERE check_name = 'dns' AND subject = 'clkmail.names.example.org'),
	'validate() says what is missing');
SELECT pg_temp.config(:prod) AS config, count(*) AS events FROM instance_env.event \gset
SELECT lives_ok(format($$SELECT instance_env.unverify_domain(%L, 'names.example.org', 'clkmail')$$, :prod), 'again');
SELECT is(ARRAY[pg_temp.config(:prod), (SELECT count(*) FROM instance_env.event)], ARRAY[:config, :events]::bigint[],
	'nothing has changed');
SELECT lives_ok(format($$SELECT instance_env.unverify_domain(%L, 'names.example.org')$$, :prod), 'all records');
SELECT is(pg_temp.state('names.example.org'), '-----', 'none is verified');
SELECT lives_ok(format($$SELECT instance_env.unverify_domain(%L, 'names.example.org')$$, :prod), 'again, all');
SELECT instance_env.verify_domain(:prod, 'names.example.org') \gset
SELECT is(pg_temp.state('names.example.org'), 'xxxxx verified', 'and back');
SELECT throws_ok(format('SELECT instance_env.unverify_domain(%L, %L, %L)', i, d, r), state, NULL, 'unverify_domain(): ' || what)
FROM (VALUES
	('a0000000-0000-4000-8000-000000000001', 'names.example.org', 'www', '22023', 'a record that it does not need'),
	('a0000000-0000-4000-8000-000000000001', 'names.example.org', '', '22023', 'an empty record'),
	('a0000000-0000-4000-8000-000000000001', 'names.example.org', repeat('x', 1000000), '22023', 'a long record'),
	('a0000000-0000-4000-8000-000000000001', 'names.example.org', E'clerk\n', '22023', 'a control character'),
	('a0000000-0000-4000-8000-000000000001', 'other.example.net', NULL, '55000', 'a domain of another application'),
	('a0000000-0000-4000-8000-000000000001', 'Names.example.org', NULL, '22I01', 'upper case'),
	('d0000000-0000-4000-8000-000000000001', 'names.example.org', NULL, '55000', 'a development instance'),
	('00000000-0000-0000-0000-000000000000', 'names.example.org', NULL, '23I03', 'an unknown instance'),
	(NULL, 'names.example.org', NULL, '22004', 'NULL as an instance'),
	('a0000000-0000-4000-8000-000000000001', NULL, NULL, '22004', 'NULL as a domain')) v (i, d, r, state, what);
UPDATE instance_env.instance SET status = 'inactive' WHERE id = :prod;
SELECT instance_env.associate_domain(:prod, 'shop.example.com') \gset
SELECT instance_env.associate_domain(:prod, 'shop.example.org', false) \gset

-- a satellite that becomes the primary domain has more to show
SELECT instance_env.change_domain(:prod, 'shop.example.org') \gset
SELECT is(pg_temp.state('shop.example.org'), 'x----', 'what is verified stays, the domain is not');

-- a domain that leaves and comes back
SELECT instance_env.associate_domain(:prod, 'third.example.com', false) \gset
SELECT instance_env.verify_domain(:prod, 'third.example.com') \gset
SELECT instance_env.remove_domain(:prod, 'third.example.com') \gset
SELECT instance_env.associate_domain(:prod, 'third.example.com', false) \gset
SELECT is(pg_temp.state('third.example.com'), '-', 'begins anew');
DELETE FROM instance_env.domain WHERE name = 'third.example.com';
UPDATE instance_env.dns_record SET verified_at = now() WHERE domain = 'third.example.com';
SELECT instance_env.associate_domain(:prod, 'third.example.com', false) \gset
SELECT is(pg_temp.state('third.example.com'), '-', 'also where a row was deleted by hand');

-- what is wrong

SELECT throws_ok(format('SELECT instance_env.verify_domain(%L, %L, %L)', i, d, r), state, NULL, what)
FROM (VALUES
	('a0000000-0000-4000-8000-000000000001', 'shop.example.org', 'www', '22023', 'a record that it does not need'),
	('a0000000-0000-4000-8000-000000000001', 'third.example.com', 'accounts', '22023', 'one that only a primary domain needs'),
	('a0000000-0000-4000-8000-000000000001', 'shop.example.org', '', '22023', 'an empty record'),
	('a0000000-0000-4000-8000-000000000001', 'shop.example.org', repeat('x', 100000), '22023', 'a long record'),
	('a0000000-0000-4000-8000-000000000001', 'shop.example.org', E'clerk\n', '22023', 'a control character'),
	('a0000000-0000-4000-8000-000000000001', 'shop.example.org', 'clérk', '22023', 'a letter that is not ASCII'),
	('a0000000-0000-4000-8000-000000000001', 'shop.example.org', E'clerk\' OR true --', '22023', 'a quote'),
	('a0000000-0000-4000-8000-000000000001', 'other.example.net', NULL, '55000', 'a domain of another application'),
	('a0000000-0000-4000-8000-000000000001', '', NULL, '22I01', 'an empty domain'),
	('a0000000-0000-4000-8000-000000000001', 'Shop.example.org', NULL, '22I01', 'upper case'),
	('d0000000-0000-4000-8000-000000000001', 'shop.example.org', NULL, '55000', 'a development instance'),
	('00000000-0000-0000-0000-000000000000', 'shop.example.org', NULL, '23I03', 'an unknown instance'),
	(NULL, 'shop.example.org', NULL, '22004', 'NULL as an instance'),
	('a0000000-0000-4000-8000-000000000001', NULL, NULL, '22004', 'NULL as a domain')) v (i, d, r, state, what);

-- all of them go with the application
SELECT instance_env.drop_application(instance_env.application_id('shop')) \gset
SELECT results_eq($$SELECT DISTINCT domain COLLATE "default" FROM instance_env.dns_record$$, ARRAY['other.example.net'],
	'dropped with the application');

SELECT * FROM finish();
ROLLBACK;
