-- Whose a name is: the Public Suffix List, what a superuser or an admin adds to it, and names that
-- cannot be a domain beside another one
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(116);

\set one '\'a0000000-0000-4000-8000-000000000001\''
\set two '\'a0000000-0000-4000-8000-000000000002\''
\set staging '\'a0000000-0000-4000-8000-000000000003\''
SELECT instance_env.create_application('one', 'pro', production_id => :one) \gset
SELECT instance_env.create_application('two', 'pro', production_id => :two) \gset
SELECT instance_env.create_application('one staging', 'pro', production_id => :staging) \gset
UPDATE instance_env.application SET staging_of = instance_env.application_id('one') WHERE name = 'one staging';
CREATE FUNCTION pg_temp.try(command text, VARIADIC arguments text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE format(command, VARIADIC arguments);
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN trim(SQLSTATE || ' ' || detail);
END $$;
CREATE FUNCTION pg_temp.associate(instance text, name text) RETURNS text LANGUAGE sql AS
$$SELECT pg_temp.try('SELECT instance_env.associate_domain(%L, %L, false)', instance, name)$$;
CREATE FUNCTION pg_temp.serves(application text, host text) RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT instance_type || ' ' || reason FROM instance_env.check_preview(application, host)$$;

-- countries that two labels tell the owner of, and providers

SELECT is(pg_temp.associate(i, name), expected, name) FROM (VALUES
	(:one, 'tienda.com.uy', 'ok'),
	(:two, 'otra.com.uy', 'ok'),
	(:two, 'www.tienda.com.uy', '22I01 Another application uses its root domain "tienda.com.uy".'),
	(:two, 'co.zw', '22I01 It is a public suffix, below which others register their domains.'),
	(:two, 'com.uy', '22I01 It is a public suffix, below which others register their domains.'),
	(:two, 'x.kobe.jp', '22I01 It is a public suffix, below which others register their domains.'),
	(:two, 'xn--55qx5d.cn', '22I01 It is a public suffix, below which others register their domains.'),
	(:one, 'mine.lovable.app', '22I01 It belongs to a hosting provider.'),
	(:two, 'lovable.app', '22I01 It belongs to a hosting provider.'),
	(:two, 'x.compute.amazonaws.com', '22I01 It belongs to a hosting provider.'),
	-- registries in the private section
	(:two, 'uk.com', '22I01 It is a public suffix, below which others register their domains.'),
	(:one, 'shop.uk.com', 'ok'),
	(:two, 'other.uk.com', 'ok'),
	(:two, 'www.shop.uk.com', '22I01 Another application uses its root domain "shop.uk.com".'),
	(:two, 'shop.fr.eu.org', 'ok'),
	(:two, 'fr.eu.org', '22I01 It is a public suffix, below which others register their domains.')) v (i, name, expected);
SELECT is((SELECT root FROM instance_env.domain WHERE name = 'shop.fr.eu.org'), 'shop.fr.eu.org', 'the root is stored');
SELECT is(pg_temp.serves('one', host), expected, 'host ' || host) FROM (VALUES
	('stranger.com.uy', 'development other_root'),
	('com.uy', 'development other_root'),
	('www.tienda.com.uy', 'production production_root'),
	('theirs.lovable.app', 'development hosting_provider'),
	('id-3000.app.github.dev', 'development hosting_provider'),
	('x.ngrok-free.dev', 'development hosting_provider'),
	('pr-1.shop.uk.com', 'production production_root'),
	('third.uk.com', 'development other_root')) v (host, expected);

-- what is added

SELECT is(pg_temp.associate(:one, 'mine.hosting.example'), '22I01 It is a reserved name, which nobody can own.', 'a reserved name');
SELECT is(pg_temp.associate(:one, 'mine.zq7host.com'), 'ok', 'below what nobody knows to be a provider');
SELECT is(pg_temp.associate(:two, 'theirs.zq7host.com'), '22I01 Another application uses its root domain "zq7host.com".',
	'there is one owner');
SELECT is(pg_temp.serves('one', 'theirs.zq7host.com'), 'production production_root', 'who has all names');
SELECT lives_ok($$SELECT instance_env.add_hosting_suffix('zq7host.com')$$, 'add_hosting_suffix()');
SELECT is(instance_env.domain_root('www.theirs.zq7host.com'), 'theirs.zq7host.com', 'whose customers have the names below it');
SELECT is(pg_temp.serves('one', 'theirs.zq7host.com'), 'development hosting_provider', 'which are not the first one''s');
SELECT is(pg_temp.serves('one', 'x.mine.zq7host.com'), 'production production_root', 'who keeps the own one');
SELECT is(pg_temp.associate(:two, 'theirs.zq7host.com'), '22I01 It belongs to a hosting provider.', 'no domains are made of them');
SELECT is(pg_temp.associate(:two, 'zq7host.com'), '22I01 It belongs to a hosting provider.', 'nor of itself');
SELECT is((SELECT root FROM instance_env.domain WHERE name = 'mine.zq7host.com'), 'zq7host.com', 'the stored root is the old one');
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'mine.zq7host.com')$$,
	'what was associated can be verified');
SELECT is(pg_temp.associate(:one, 'mine.zq7host.com'), 'ok', 'associated again');
SELECT lives_ok($$SELECT instance_env.add_hosting_suffix('zq7host.com', false, 'a registry')$$, 'names below it are registered');
SELECT is(pg_temp.associate(:two, 'theirs.zq7host.com'), 'ok', 'so another application can have one');
SELECT is(pg_temp.associate(:two, 'x.mine.zq7host.com'), '22I01 Another application uses its root domain "mine.zq7host.com".',
	'but none below the first one''s, whatever root that was stored with');
SELECT is(pg_temp.serves('one', 'third.zq7host.com'), 'development other_root', 'nobody has the others');
SELECT results_eq($$SELECT hosting, description, builtin FROM instance_env.hosting_suffixes WHERE name = 'zq7host.com'$$,
	$$VALUES (false, 'a registry', false)$$, 'the view has it');
SELECT count(*) AS events FROM instance_env.event \gset
SELECT lives_ok($$SELECT instance_env.add_hosting_suffix('zq7host.com', false)$$, 'added again');
SELECT is((SELECT count(*) FROM instance_env.event), :events::bigint, 'nothing has changed');
SELECT results_eq($$SELECT before->>'hosting', after->>'hosting', after->>'description', application, instance FROM instance_env.event
	WHERE action = 'add_hosting_suffix' AND item = 'zq7host.com' ORDER BY id$$,
	$$VALUES (NULL, 'true', '', NULL::uuid, NULL::uuid), ('true', 'false', 'a registry', NULL, NULL)$$, 'it is in the log');
SELECT is(pg_temp.serves('two', 'x.theirs.zq7host.com'), 'production production_root', 'the second has its own');
SELECT lives_ok($$SELECT instance_env.remove_hosting_suffix('zq7host.com')$$, 'remove_hosting_suffix()');
SELECT is(instance_env.domain_root('www.theirs.zq7host.com'), 'zq7host.com', 'it is none any more');
SELECT is(pg_temp.serves('two', 'third.zq7host.com'), 'development other_root',
	'which does not give the second what it had not when it was associated');
SELECT is(pg_temp.serves('two', 'mine.zq7host.com'), 'development other_root', 'nor what the first has');
SELECT is(pg_temp.associate(:two, 'fourth.zq7host.com'), '22I01 Another application uses its root domain "zq7host.com".',
	'and it gets no more there');
SELECT is((SELECT after IS NULL AND before->>'hosting' = 'false' FROM instance_env.event WHERE action = 'remove_hosting_suffix'), true,
	'it is in the log');
SAVEPOINT s;
SELECT instance_env.add_hosting_suffix('vercel.app', false) \gset
SELECT is(pg_temp.serves('one', 'x.vercel.app'), 'development other_root', 'a row overrules the list');
SELECT is(instance_env.domain_root('x.y.vercel.app'), 'y.vercel.app', 'which keeps it as a suffix');
ROLLBACK TO SAVEPOINT s;
SELECT is(pg_temp.serves('one', 'x.vercel.app'), 'development hosting_provider', 'undone, too');
INSERT INTO instance_env.hosting_suffix VALUES ('by.hand.com', true, '');
SELECT is(pg_temp.serves('one', 'x.by.hand.com'), 'development hosting_provider', 'a row by hand');
UPDATE instance_env.hosting_suffix SET hosting = false WHERE name = 'lovable.app';
SELECT is(pg_temp.serves('one', 'x.lovable.app'), 'development other_root', 'a builtin row changed');
SELECT is((SELECT changed FROM instance_env.hosting_suffix WHERE name = 'lovable.app'), true, 'is marked for the dump');
DELETE FROM instance_env.hosting_suffix WHERE name = 'lovable.app';
SELECT throws_ok(format('INSERT INTO instance_env.hosting_suffix VALUES (%L, true)', name), '23514', NULL, 'no row: ' || name)
FROM unnest('{Example.com,com,.com,example.com.,a..com,-a.com,ä.com,"a b.com"}'::text[]) name;

-- what is wrong

SELECT is(pg_temp.try('SELECT instance_env.add_hosting_suffix(%L)', name), expected, 'no suffix: ' || coalesce(left(to_json(name)::text, 40), 'NULL'))
FROM (VALUES
	(NULL, '22004'),
	('', '22I01 It is empty.'),
	('com', '22I01 It has no dot.'),
	('Zq7.com', '22I01 It contains upper-case letters.'),
	('zq7.com.', '22I01 It ends in a dot.'),
	('*.zq7.com', '22I01 It contains characters other than letters, digits, hyphens and dots.'),
	('bücher.com', '22I01 It contains non-ASCII characters; give an internationalized name in punycode.'),
	(repeat('x', 1000000), '22I01 It is longer than 253 characters.'),
	('10.0.0.1', '22I01 It is an IP address.'),
	('x.accounts.dev', '22I01 It belongs to the service itself.'),
	('co.uk', '22I01 The Public Suffix List has it as a registry''s, so names below it are registered.'),
	('mine.zq7host.com', '55000 A hosting suffix is nobody''s domain.')) v (name, expected);
SELECT is(pg_temp.try('SELECT instance_env.add_hosting_suffix(''zq7.com'', NULL)', ''), '22004', 'NULL as hosting');
SELECT is(pg_temp.try('SELECT instance_env.add_hosting_suffix(''zq7.com'', true, %L)', d), '22023 ' || expected, 'no description')
FROM (VALUES ('', 'It is empty.'), (E'a\nb', 'It contains a control character.'), (repeat('x', 256), 'It is longer than 255 bytes.')) v (d, expected);
SELECT is(pg_temp.try('SELECT instance_env.remove_hosting_suffix(%L)', name), expected, 'not removed: ' || coalesce(name, 'NULL'))
FROM (VALUES (NULL, '22004'), ('vercel.app', '22023'), ('render.com', '55000'), ('', '22023 It is empty.')) v (name, expected);

-- a name that is one of the DNS records of another

SELECT is(pg_temp.associate(i, name), expected, 'record: ' || name) FROM (VALUES
	(:one, 'zq7colli.com', 'ok'),
	(:one, 'clerk.zq7colli.com', '22I01 It is the name of a DNS record of domain "zq7colli.com".'),
	(:one, 'accounts.zq7colli.com', '22I01 It is the name of a DNS record of domain "zq7colli.com".'),
	(:staging, 'clkmail.zq7colli.com', '22I01 It is the name of a DNS record of domain "zq7colli.com".'),
	(:one, 'xclerk.zq7colli.com', 'ok'),
	(:one, 'www.clerk.zq7colli.com', 'ok'),
	(:one, 'clerk.zq7order.com', 'ok'),
	(:one, 'zq7order.com', '22I01 Domain "clerk.zq7order.com" has the name of one of its DNS records.'),
	(:staging, 's.zq7order.com', 'ok'),
	(:one, repeat('a', 63) || '.' || repeat('b', 63) || '.' || repeat('c', 63) || '.' || repeat('d', 41) || '.com', 'ok'),
	(:one, repeat('a', 63) || '.' || repeat('b', 63) || '.' || repeat('c', 63) || '.' || repeat('d', 42) || '.com',
		'22I01 With its DNS record "clk2._domainkey" before it, it is longer than 253 characters.')) v (i, name, expected);
SELECT is((SELECT max(length(name)) FROM instance_env.dns_records(:one)), 243, 'the longest has the shortest record, as a satellite');
SELECT instance_env.associate_domain(:two, 'clerk.zq7move.com') \gset
SELECT is(pg_temp.try('SELECT instance_env.associate_domain(%L, %L)', :two, 'zq7move.com'), 'ok', 'one that makes way is not in the way');
SELECT is(pg_temp.try('SELECT instance_env.change_domain(%L, %L)', :two, 'clerk.zq7move.com'), 'ok', 'nor when it changes');

-- a domain that becomes a public suffix, as its owner gives names to others

SELECT production_id AS own, development_id AS own_development FROM instance_env.create_application('own', 'pro') \gset
SELECT instance_env.associate_domain(:'own', 'zq7own.com'), instance_env.verify_domain(:'own', 'zq7own.com') \gset
INSERT INTO instance_env.hosting_suffix VALUES ('zq7own.com', true, '');
SELECT is(pg_temp.serves('own', host), expected, 'host ' || host) FROM (VALUES
	('zq7own.com', 'production production_domain'),
	('clerk.zq7own.com', 'production production_root'),
	('accounts.zq7own.com', 'production production_root'),
	('www.zq7own.com', 'development hosting_provider'),
	('x.accounts.zq7own.com', 'development hosting_provider')) v (host, expected);
SELECT is(pg_temp.serves('two', 'accounts.zq7own.com'), 'development hosting_provider', 'which are nobody else''s');
SELECT is(instance_env.redirect_url_allowed(:'own', instance_env.account_portal_url(:'own')), true, 'it may redirect to its portal');
SELECT lives_ok(format($$SELECT instance_env.promote('own', %L, dry_run => true)$$, name), 'it can be promoted with it')
FROM unnest('{NULL,zq7own.com}'::text[]) name;
UPDATE instance_env.hosting_suffix SET hosting = false WHERE name = 'zq7own.com';
SELECT is(pg_temp.associate(:two, 'theirs.zq7own.com'), 'ok', 'others can register names');
SELECT is(pg_temp.associate(:two, name), '22I01 It is the name of a DNS record of domain "zq7own.com".', 'but not those of its DNS records: ' || name)
FROM unnest('{accounts.zq7own.com,clerk.zq7own.com}'::text[]) name;

-- rights

CREATE ROLE instance_env_nobody;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok($$SELECT instance_env.add_hosting_suffix('zq7.com')$$, '42501', NULL, 'without rights: add_hosting_suffix()');
SELECT throws_ok($$SELECT instance_env.remove_hosting_suffix('zq7.com')$$, '42501', NULL, 'without rights: remove_hosting_suffix()');
SELECT is(instance_env.domain_root('x.by.hand.com'), 'x.by.hand.com', 'without rights: domain_root() knows the rows');

SELECT * FROM finish();
ROLLBACK;
