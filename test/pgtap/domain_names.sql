-- Domains: what a name must be, whose it is, and what an instance is called by it
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(196);

\set prod '\'a0000000-0000-4000-8000-000000000001\''
\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set other '\'a0000000-0000-4000-8000-000000000002\''
\set staging '\'a0000000-0000-4000-8000-000000000003\''
\set testing '\'a0000000-0000-4000-8000-000000000004\''
\set active '\'a0000000-0000-4000-8000-000000000005\''
\set suspended '\'a0000000-0000-4000-8000-000000000006\''
SELECT instance_env.create_application('shop', 'pro', development_id => :dev, production_id => :prod) \gset
SELECT instance_env.create_application('other', production_id => :other) \gset
SELECT instance_env.create_application('shop staging', production_id => :staging) \gset
SELECT instance_env.create_application('shop testing', production_id => :testing) \gset
SELECT instance_env.create_application('active', 'pro', production_id => :active) \gset
SELECT instance_env.create_application('suspended', 'pro', production_id => :suspended) \gset
UPDATE instance_env.application SET staging_of = instance_env.application_id('shop') WHERE name LIKE 'shop %';
UPDATE instance_env.instance SET status = 'active' WHERE id = :active;
UPDATE instance_env.instance SET status = 'suspended' WHERE id = :suspended;

CREATE FUNCTION pg_temp.associate(instance uuid, name text, is_primary boolean DEFAULT true) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM instance_env.associate_domain(instance, name, is_primary);
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN trim(SQLSTATE || ' ' || detail);
END $$;
CREATE FUNCTION pg_temp.config(instance uuid) RETURNS bigint LANGUAGE SQL VOLATILE AS
'SELECT config_version FROM instance_env.instance WHERE id = $1';
CREATE FUNCTION pg_temp.events(instance uuid) RETURNS bigint LANGUAGE SQL VOLATILE AS
'SELECT count(*) FROM instance_env.event e WHERE e.instance = $1';

-- what a name must be; promotion_promote.sql has more

SELECT is(pg_temp.associate(:prod, name, false), expected, 'domain ' || left(to_json(name)::text, 50))
FROM (VALUES
	('1.2.3.4', '22I01 It is an IP address.'),
	('::1', '22I01 It is an IP address.'),
	('[2001:db8::1]', '22I01 It is an IP address.'),
	('localhost', '22I01 It is a reserved name, which nobody can own.'),
	('www.localhost', '22I01 It is a reserved name, which nobody can own.'),
	('printer.local', '22I01 It is a reserved name, which nobody can own.'),
	('shop.test', '22I01 It is a reserved name, which nobody can own.'),
	('shop.invalid', '22I01 It is a reserved name, which nobody can own.'),
	('shop.example', '22I01 It is a reserved name, which nobody can own.'),
	('1.0.0.127.in-addr.arpa', '22I01 It is a reserved name, which nobody can own.'),
	('latest.com', 'ok'),
	('user@example.com', '22I01 It contains a user name.'),
	('user:password@example.com', '22I01 It contains a user name.'),
	('example.com?q', '22I01 It contains a path.'),
	('example.com#f', '22I01 It contains a path.'),
	('co.uk', '22I01 It is a public suffix, below which others register their domains.'),
	('com.au', '22I01 It is a public suffix, below which others register their domains.'),
	('shop.co.uk', 'ok'),
	('accounts.dev', '22I01 It belongs to the service itself.'),
	('foo-bar-13.clerk.accounts.dev', '22I01 It belongs to the service itself.'),
	('clerk.com', '22I01 It belongs to the service itself.'),
	('notclerk.com', 'ok'),
	('shop.github.io', '22I01 It belongs to a hosting provider.'),
	-- IDN, in punycode: München, 例え, пример, ü, and what decodes to nothing
	('xn--mnchen-3ya.com', 'ok'),
	('xn--r8jz45g.com', 'ok'),
	('xn--e1afmkfd.com', 'ok'),
	('xn--tda.com', 'ok'),
	('shop.xn--p1ai', 'ok'),
	('xn--.com', '22I01 A label ends in a hyphen.'),
	('xn--abc-.com', '22I01 A label ends in a hyphen.'),
	('xn--a.com', '22I01 A label that begins with "xn--" is not valid punycode.'),
	('xn--99999999.com', '22I01 A label that begins with "xn--" is not valid punycode.'),
	('xn--zzzzzzzzzzzzzzz.com', '22I01 A label that begins with "xn--" is not valid punycode.'),
	('www.xn--0.com', '22I01 A label that begins with "xn--" is not valid punycode.'),
	('shop.xn--a', '22I01 A label that begins with "xn--" is not valid punycode.'),
	(E'example\x01.com', '22I01 It contains characters other than letters, digits, hyphens and dots.'),
	('пример.com', '22I01 It contains non-ASCII characters; give an internationalized name in punycode.')) v (name, expected);
DELETE FROM instance_env.domain;

-- domain_root()

SELECT is(instance_env.domain_root(name), root, 'the root of ' || to_json(name))
FROM (VALUES
	('example.com', 'example.com'),
	('www.example.com', 'example.com'),
	('a.b.c.example.com', 'example.com'),
	('example.co.uk', 'example.co.uk'),
	('www.example.co.uk', 'example.co.uk'),
	('co.uk', NULL),
	('co.uk.com', 'co.uk.com'),
	('www.co.uk.com', 'co.uk.com'),
	('example.uk', 'example.uk'),
	('www.example.uk', 'example.uk'),
	('shop.com.br', 'shop.com.br'),
	('www.hill.school.nz', 'hill.school.nz'),
	('kent.police.uk', 'kent.police.uk'),
	('a.b.shop.com.br', 'shop.com.br'),
	('shop.com.uy', 'shop.com.uy'),
	('mine.vercel.app', 'mine.vercel.app'),
	('pr-1.mine.vercel.app', 'mine.vercel.app'),
	('a.b.mine.lovable.app', 'mine.lovable.app'),
	('www.example.nosuchtld', 'example.nosuchtld'),
	-- an exception and a wildcard, in the list and in punycode
	('www.city.kobe.jp', 'city.kobe.jp'),
	('www.shop.x.kobe.jp', 'shop.x.kobe.jp'),
	('www.shop.xn--55qx5d.cn', 'shop.xn--55qx5d.cn'),
	-- as a browser sends it
	('WWW.Example.CO.UK', 'example.co.uk'),
	('www.example.com.', 'example.com'),
	('www.example.com:3000', 'example.com'),
	('_dmarc.example.com', 'example.com'),
	-- what nobody has registered
	('com', NULL),
	('vercel.app', NULL),
	('uk.com', NULL),
	('localhost', NULL),
	('localhost:3000', NULL),
	('10.0.0.1', NULL),
	('[::1]:80', NULL),
	(NULL, NULL)) v (name, root);
SELECT throws_ok(format('SELECT instance_env.domain_root(%L)', name), '22I01', NULL, 'no root: ' || left(to_json(name)::text, 50))
FROM unnest(ARRAY['', '.', '..', ' ', 'a b.example.com', 'bücher.example.com', 'https://example.com', '-a.example.com', repeat('a.', 130) || 'com',
	E'example.com\n', repeat('x', 1000000)]) AS name;

-- "You must associate a production domain": whose a root is

SELECT is(pg_temp.associate(:prod, 'shop.example.com'), 'ok', 'You must associate a production domain');
SELECT is(pg_temp.associate(:other, 'shop.example.com'), '22I01 It is the domain of another application.',
	'the domain of another application');
SELECT is(pg_temp.associate(:other, 'other.example.com'), '22I01 Another application uses its root domain "example.com".',
	'a root domain that another application uses');
SELECT is(pg_temp.associate(:other, 'example.com'), '22I01 Another application uses its root domain "example.com".',
	'nor the root itself');
SELECT is(pg_temp.associate(:other, 'x.shop.example.com', false),
	'22I01 Another application uses its root domain "example.com".', 'nor below the domain, nor as a satellite');
SELECT is(pg_temp.associate(:prod, 'help.example.com', false), 'ok', 'an application has several names below its root');
SELECT is(pg_temp.associate(:staging, 'staging.example.com'), 'ok',
	'a separate Clerk application with a separate domain: staging, below the first''s root');
SELECT is(pg_temp.associate(:staging, 'example.com'),
	'22I01 A staging application cannot have the root domain, only a name below it.', 'but not the root');
SELECT is(pg_temp.associate(:staging, 'shop.example.com'), '22I01 It is the domain of another application.',
	'nor the first''s domain');
SELECT is(pg_temp.associate(:testing, 'testing.example.com'), 'ok', 'a second staging application');
SELECT is(pg_temp.associate(:prod, 'example.com', false), 'ok', 'the first has more beside them');
SELECT is(pg_temp.associate(:other, 'shop.co.uk'), 'ok', 'a country''s suffix');
SELECT is(pg_temp.associate(:prod, 'another.co.uk', false), 'ok', 'is nobody''s root');
SELECT is(pg_temp.associate(:prod, 'www.shop.co.uk', false),
	'22I01 Another application uses its root domain "shop.co.uk".', 'what is below it is');
SELECT is(pg_temp.associate(:dev, 'dev.example.com'), '55000', 'a development instance has no domain of its own');
SELECT is(pg_temp.associate('00000000-0000-0000-0000-000000000000', 'x.example.net'), '23I03', 'an unknown instance');
SELECT is(pg_temp.associate(NULL, 'x.example.net'), '22004', 'NULL');

-- a primary domain, and satellites

SELECT pg_temp.config(:prod) AS config, pg_temp.events(:prod) AS events \gset
SELECT is(pg_temp.associate(:prod, 'shop.example.com'), 'ok', 'associated again');
SELECT is(pg_temp.associate(:prod, 'help.example.com', false), 'ok', 'the satellite, too');
SELECT is(ARRAY[pg_temp.config(:prod), pg_temp.events(:prod)], ARRAY[:config, :events]::bigint[], 'nothing has changed');
SELECT is(pg_temp.associate(:prod, 'shop.example.com', false), '55000', 'the primary domain is no satellite');
SELECT is(pg_temp.associate(:active, 'active.example.net'), 'ok', 'active, without a domain: takes one');
SELECT is(pg_temp.associate(:active, 'new.example.net'), '55000', 'active: no second primary domain');
SELECT is(pg_temp.associate(:suspended, 'suspended.example.org'), 'ok', 'suspended, without a domain: takes one');
SELECT is(pg_temp.associate(:suspended, 'new.example.org'), '55000', 'suspended: no second primary domain');
SELECT is(pg_temp.associate(:suspended, 'new.example.org', false), 'ok', 'suspended: a satellite');

SELECT alike(pg_temp.associate(:other, 'satellite.example.info', false), '55I02%', 'satellites are a paid feature');
SELECT instance_env.set_plan(instance_env.application_id('other'), 'pro') \gset
SELECT is(pg_temp.associate(:other, 'satellite.example.info', false), 'ok', 'which the plan covers');
SELECT throws_ok($$SELECT instance_env.set_plan(instance_env.application_id('other'), 'free')$$, '55I02', NULL,
	'the plan is not lowered while it is used');
SELECT instance_env.remove_domain(:other, 'satellite.example.info') \gset
SELECT lives_ok($$SELECT instance_env.set_plan(instance_env.application_id('other'), 'free')$$, 'afterwards it is');

-- an inactive instance changes its mind
SELECT is(pg_temp.associate(:prod, 'www.example.com'), 'ok', 'inactive: another primary domain');
SELECT results_eq(
	$$SELECT name COLLATE "default" FROM instance_env.domain
	  WHERE instance = 'a0000000-0000-4000-8000-000000000001' AND is_primary$$,
	ARRAY['www.example.com'], 'replaces the first');
SELECT is(pg_temp.associate(:prod, 'help.example.com'), 'ok', 'inactive: a satellite becomes the primary domain');
SELECT is((SELECT string_agg(name, ' ' ORDER BY name) FROM instance_env.domain
		   WHERE instance = :prod AND name LIKE '%.example.com'), 'help.example.com', 'and replaces the one before');

-- the log
SELECT results_eq(
	$$SELECT action, item, before->>'name', after->>'name', (after->>'is_primary')::boolean FROM instance_env.event
	  WHERE instance = 'a0000000-0000-4000-8000-000000000001' AND item IN ('www.example.com', 'help.example.com') ORDER BY id$$,
	$$VALUES ('associate_domain', 'help.example.com', NULL, 'help.example.com', false),
			 ('associate_domain', 'www.example.com', 'shop.example.com', 'www.example.com', true),
			 ('associate_domain', 'help.example.com', 'www.example.com', 'help.example.com', true)$$,
	'each association is in the log');
SELECT cmp_ok(pg_temp.config(:prod), '>', :config::bigint, 'and raises config_version');

-- change_domain()

SELECT instance_env.verify_domain(:active, 'active.example.net') \gset
SELECT instance_env.publishable_key(:active) AS old_key \gset
SELECT pg_temp.config(:active) AS config \gset
SELECT lives_ok($$SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000005', 'active.example.net')$$,
	'changed to what it is');
SELECT is(pg_temp.config(:active), :config::bigint, 'nothing has changed');
SELECT lives_ok($$SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000005', 'renamed.example.net')$$,
	'an active instance gets another domain');
SELECT results_eq(
	$$SELECT name COLLATE "default", is_primary, verified_at IS NULL FROM instance_env.domain
	  WHERE instance = 'a0000000-0000-4000-8000-000000000005'$$,
	$$VALUES ('renamed.example.net', true, true)$$, 'in place of the old one, not verified');
SELECT is((SELECT count(*) FROM instance_env.dns_record WHERE domain = 'active.example.net'), 0::bigint,
	'the old one''s records are gone');
SELECT isnt(instance_env.publishable_key(:active), :'old_key',
	'a change of the production domain makes a new publishable key');
SELECT is((SELECT status::text FROM instance_env.instance WHERE id = :active), 'active', 'it stays active');
SELECT cmp_ok(pg_temp.config(:active), '>', :config::bigint, 'config_version has risen');
SELECT results_eq(
	$$SELECT before->>'name', after->>'name' FROM instance_env.event WHERE action = 'change_domain'$$,
	$$VALUES ('active.example.net', 'renamed.example.net')$$, 'it is in the log');
SELECT lives_ok($$SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000006', 'new.example.org')$$,
	'a suspended one changes to its satellite');
SELECT results_eq(
	$$SELECT name COLLATE "default", is_primary FROM instance_env.domain
	  WHERE instance = 'a0000000-0000-4000-8000-000000000006'$$,
	$$VALUES ('new.example.org', true)$$, 'which is the primary domain now');
SELECT is((SELECT count(*) FROM instance_env.dns_records(:suspended)), 5::bigint, 'with all the records of one');
SELECT throws_ok($$SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000005', 'x.example.org')$$,
	'22I01', NULL, 'not to another application''s root');
SELECT throws_ok($$SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000005', 'Renamed.example.net')$$,
	'22I01', NULL, 'not to what is no domain');
SELECT throws_ok($$SELECT instance_env.change_domain('d0000000-0000-4000-8000-000000000001', 'x.example.com')$$,
	'55000', NULL, 'not in development');
SELECT throws_ok($$SELECT instance_env.change_domain('00000000-0000-0000-0000-000000000000', 'x.example.com')$$,
	'23I03', NULL, 'not of an unknown instance');
SELECT throws_ok($$SELECT instance_env.change_domain(NULL, 'x.example.com')$$, '22004', NULL, 'not of NULL');
SELECT throws_ok($$SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000005', NULL)$$, '22004', NULL,
	'not to NULL');
SELECT instance_env.create_application('bare', production_id => 'a0000000-0000-4000-8000-000000000009') \gset
SELECT throws_ok($$SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000009', 'x.example.com')$$,
	'55000', NULL, 'not where there is none');

-- remove_domain()

SELECT is(pg_temp.associate(:active, 'satellite.example.net', false), 'ok', 'any number of satellites');
SELECT throws_ok($$SELECT instance_env.remove_domain('a0000000-0000-4000-8000-000000000005', 'renamed.example.net')$$,
	'55000', NULL, 'the primary cannot be removed');
SELECT lives_ok($$SELECT instance_env.remove_domain('a0000000-0000-4000-8000-000000000005', 'satellite.example.net')$$,
	'a satellite can');
SELECT is((SELECT count(*) FROM instance_env.domain WHERE name = 'satellite.example.net'), 0::bigint, 'it is gone');
SELECT is((SELECT count(*) FROM instance_env.dns_record WHERE domain = 'satellite.example.net'), 0::bigint,
	'with its records');
SELECT is((SELECT before->>'name' FROM instance_env.event WHERE action = 'remove_domain' ORDER BY id DESC LIMIT 1),
	'satellite.example.net',
	'it is in the log');
SELECT throws_ok($$SELECT instance_env.remove_domain('a0000000-0000-4000-8000-000000000005', 'satellite.example.net')$$,
	'55000', NULL, 'removed again: there is none');
SELECT throws_ok($$SELECT instance_env.remove_domain('a0000000-0000-4000-8000-000000000002', 'renamed.example.net')$$,
	'55000', NULL, 'nor is there another application''s');
SELECT throws_ok($$SELECT instance_env.remove_domain('00000000-0000-0000-0000-000000000000', 'x.example.net')$$,
	'23I03', NULL, 'of an unknown instance');
SELECT throws_ok($$SELECT instance_env.remove_domain(NULL, 'x.example.net')$$, '22004', NULL, 'of NULL');
SELECT throws_ok($$SELECT instance_env.remove_domain('a0000000-0000-4000-8000-000000000005', '')$$, '22I01', NULL,
	'no name at all');

-- slugs

SELECT matches(slug, '^[a-z]+-[a-z]+-[1-9][0-9]?$', 'slug = word-word-number')
FROM instance_env.instances WHERE instance_id = :dev;
SELECT is((SELECT slug FROM instance_env.instance WHERE id = :prod), NULL, 'production has none');
SELECT is((SELECT count(DISTINCT slug) FROM instance_env.instance WHERE type = 'development'),
	(SELECT count(*) FROM instance_env.application), 'each is another');
SELECT throws_ok($$UPDATE instance_env.instance SET slug = NULL WHERE type = 'development'$$, '23514', NULL,
	'development keeps it');
SELECT throws_ok($$UPDATE instance_env.instance SET slug = 'x' WHERE id = 'a0000000-0000-4000-8000-000000000001'$$,
	'23514', NULL, 'production gets none');
SELECT slug FROM instance_env.instance WHERE id = :dev \gset
SELECT instance_env.rename_application(instance_env.application_id('shop'), 'renamed') \gset
SELECT is((SELECT slug FROM instance_env.instance WHERE id = :dev), :'slug', 'it never changes');

-- names made of it

SELECT is(instance_env.account_portal_url(:dev), 'https://' || :'slug' || '.accounts.dev',
	'The Account Portal will use a Clerk development domain');
SELECT is(instance_env.account_portal_url(:prod), 'https://accounts.help.example.com',
	'instead of your app''s production domain: inactive');
SELECT is(instance_env.account_portal_url(:active), 'https://accounts.renamed.example.net', 'active');
SELECT is(instance_env.account_portal_url(:suspended), 'https://accounts.new.example.org', 'suspended');
SELECT is(instance_env.oauth_consent_domain(:dev), :'slug' || '.accounts.dev',
	'OAuth consent screens will show the development domain');
SELECT is(instance_env.oauth_consent_domain(:active), 'renamed.example.net', 'instead of your production domain');
SELECT is(instance_env.frontend_api_host(:dev), :'slug' || '.clerk.accounts.dev', 'the frontend API in development');
SELECT is(instance_env.frontend_api_host(:active), 'clerk.renamed.example.net', 'the frontend API in production');
SELECT is(instance_env.oauth_callback_url(:dev), 'https://' || :'slug' || '.clerk.accounts.dev/v1/oauth_callback',
	'the callback in development');
SELECT is(instance_env.oauth_callback_url(:active), 'https://clerk.renamed.example.net/v1/oauth_callback',
	'the callback in production');
SELECT throws_ok(format('SELECT instance_env.%I(%L)', f, i), state, NULL, f || what)
FROM unnest(ARRAY['account_portal_url', 'oauth_consent_domain', 'frontend_api_host', 'oauth_callback_url',
				  'publishable_key']) f,
	(VALUES ('a0000000-0000-4000-8000-000000000009', '55000', ': production without a domain'),
			('00000000-0000-0000-0000-000000000000', '23I03', ': an unknown instance'),
			(NULL, '22004', ': NULL')) v (i, state, what);

-- what is cached follows
SAVEPOINT s;
SELECT instance_env.change_domain(:active, 'third.example.net') \gset
SELECT is(instance_env.frontend_api_host(:active), 'clerk.third.example.net', 'a change is seen at once');
ROLLBACK TO SAVEPOINT s;
SELECT is(instance_env.frontend_api_host(:active), 'clerk.renamed.example.net', 'and so is that it was undone');
SELECT is(pg_temp.associate('a0000000-0000-4000-8000-000000000009', 'bare.example.info'), 'ok', 'the first domain');
SELECT is(instance_env.frontend_api_host('a0000000-0000-4000-8000-000000000009'), 'clerk.bare.example.info',
	'is seen where there was none');
SELECT instance_env.drop_application(instance_env.application_id('bare')) \gset
SELECT throws_ok($$SELECT instance_env.frontend_api_host('a0000000-0000-4000-8000-000000000009')$$, '23I03', NULL,
	'dropped: unknown');

-- rights

CREATE ROLE instance_env_nobody;
CREATE ROLE instance_env_caller;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody, instance_env_caller;
GRANT EXECUTE ON FUNCTION instance_env.frontend_api_host(uuid) TO instance_env_caller;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok('SELECT instance_env.' || call, '42501', NULL, 'without rights: ' || call)
FROM unnest(ARRAY[
	$$associate_domain(NULL, 'a.example.com')$$, $$unverify_domain(NULL, 'a.example.com')$$, $$change_domain(NULL, 'a.example.com')$$,
	$$remove_domain(NULL, 'a.example.com')$$, $$verify_domain(NULL, 'a.example.com')$$, 'dns_records(NULL)',
	'account_portal_url(NULL)', 'frontend_api_host(NULL)', 'oauth_consent_domain(NULL)', 'oauth_callback_url(NULL)']) call;
SELECT is(instance_env.domain_root('www.example.com'), 'example.com', 'without rights: a rule');
SET LOCAL ROLE instance_env_caller;
SET LOCAL search_path = pg_temp, public;
SELECT is(instance_env.frontend_api_host(:suspended), 'clerk.new.example.org', 'with the right, and nothing else');

SELECT * FROM finish();
ROLLBACK;
