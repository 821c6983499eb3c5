-- Domains and promotion
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(99);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', 'pro',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('blog', production_id => 'a0000000-0000-4000-8000-000000000002') \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid);
SELECT instance_env.guard('app.users') \gset

-- names of domains

CREATE TEMP TABLE names (name text, valid boolean);
INSERT INTO names VALUES
	('example.com', true),
	('www.example.com', true),
	('a.b.c.d.example.co', true),
	('xn--bcher-kva.com', true),
	('x.io', true),
	('1.example.com', true),
	('a-b.example.com', true),
	('a--b.example.com', true),
	(repeat('a', 63) || '.com', true),
	(repeat('a', 63) || '.' || repeat('b', 63) || '.' || repeat('c', 63) || '.' || repeat('d', 57) || '.com', true),
	('', false),
	('com', false),
	('localhost', false),
	('.example.com', false),
	('example.com.', false),
	('example..com', false),
	('-a.example.com', false),
	('a-.example.com', false),
	('a_b.example.com', false),
	('Example.com', false),
	('EXAMPLE.COM', false),
	('bücher.example', false),
	('example.c', false),
	('example.123', false),
	('example.c0m', false),
	('example.com-', false),
	('192.168.0.1', false),
	('[::1]', false),
	('http://example.com', false),
	('https://example.com/', false),
	('example.com:443', false),
	('example.com/path', false),
	('example.com?query', false),
	('user@example.com', false),
	('*.example.com', false),
	('example com', false),
	(' example.com', false),
	('example.com ', false),
	(E'example.com\n', false),
	(E'example\t.com', false),
	(repeat('a', 64) || '.com', false),
	(repeat('a', 63) || '.' || repeat('b', 63) || '.' || repeat('c', 63) || '.' || repeat('d', 58) || '.com', false),
	(repeat('a.', 5000) || 'com', false),
	('shop.vercel.app', false),
	('vercel.app', false),
	('shop.netlify.app', false),
	('shop.pages.dev', false),
	('shop.fly.dev', false),
	('shop.render.com', false),
	('shop.herokuapp.com', false),
	('shop.clerk.app', false),
	('a.b.vercel.app', false),
	-- only as a whole label
	('myvercel.app', true),
	('vercel.app.example.com', true);

SELECT CASE
	WHEN valid THEN lives_ok(
		format($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', %L, false)$$, name),
		'valid: ' || left(to_json(name)::text, 60))
	ELSE throws_ok(
		format($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', %L, false)$$, name),
		'22I01', NULL, 'not valid: ' || left(to_json(name)::text, 60)) END
FROM names;
DELETE FROM instance_env.domain;
DELETE FROM instance_env.dns_record;

-- associate_domain(), verify_domain()

SELECT throws_ok(
	$$SELECT instance_env.associate_domain('d0000000-0000-4000-8000-000000000001', 'shop.example.com')$$, '55000', NULL,
	'a development instance has no domain of its own');
SELECT throws_ok($$SELECT instance_env.associate_domain(NULL, 'shop.example.com')$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', NULL)$$, '22004', NULL,
	'NULL as a domain');
SELECT throws_ok(
	$$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', NULL)$$,
	'22004', NULL, 'NULL as is_primary');
SELECT throws_ok(
	$$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000009', 'shop.example.com')$$, '23I03', NULL,
	'an unknown instance');
SELECT throws_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	NULL, NULL, 'a domain that nobody associated cannot be verified');
SELECT lives_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'a domain');
SELECT lives_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'the same again');
SELECT is((SELECT count(*) FROM instance_env.domain), 1::bigint, 'is one domain');
SELECT throws_ok(
	$$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'shop.example.com')$$, NULL, NULL,
	'a domain that another application has');
SELECT throws_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000002', 'shop.example.com')$$,
	NULL, NULL, 'nor can another application verify it');
SELECT lives_ok(
	$$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'satellite.example.org', false)$$,
	'a satellite');

-- promote()

SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'))$$, '55I01', NULL,
	'without a domain: blocked');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, '55I01', NULL,
	'with a domain that is not verified: blocked');
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'satellite.example.org')$$,
	'the satellite is verified');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, '55I01', NULL,
	'with a satellite that is verified and a primary domain that is not: blocked');
SELECT throws_ok($$INSERT INTO app.users VALUES (1, 'a0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'production takes nobody yet');
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'the domain is verified');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'), 'satellite.example.org')$$,
	'55I01', NULL, 'with a domain that is not the primary one: blocked');
SELECT verified_at AS first FROM instance_env.domain WHERE name = 'shop.example.com' \gset
SELECT lives_ok($$SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'and again');
SELECT is((SELECT verified_at FROM instance_env.domain WHERE name = 'shop.example.com'), :'first'::timestamptz,
	'the first time stands');
SELECT lives_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com')$$,
	'associated again');
SELECT isnt((SELECT verified_at FROM instance_env.domain WHERE name = 'shop.example.com'), NULL, 'it stays verified');
SELECT isnt_empty($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, 'promoted: says what it did');
SELECT is((SELECT status::text FROM instance_env.instances WHERE instance_id = 'a0000000-0000-4000-8000-000000000001'),
	'active', 'production is active');
SELECT is_empty($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'))$$, 'again: nothing to do');
SELECT is_empty($$SELECT * FROM instance_env.promote(instance_env.application_id('shop'), 'shop.example.com')$$,
	'again, with its domain: nothing to do');
SELECT lives_ok($$INSERT INTO app.users SELECT i, 'a0000000-0000-4000-8000-000000000001' FROM generate_series(1, 1000) i$$,
	'production takes users, more than a development instance');
SELECT is((SELECT status::text FROM instance_env.instances WHERE instance_id = 'd0000000-0000-4000-8000-000000000001'),
	'active', 'development is active, too');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'd0000000-0000-4000-8000-000000000001' WHERE id = 1$$, '23I02', NULL,
	'users do not move back');
SELECT throws_ok($$SELECT * FROM instance_env.promote(NULL)$$, '22004', NULL, 'NULL promoted');
SELECT throws_ok($$SELECT * FROM instance_env.promote('00000000-0000-0000-0000-000000000000')$$, '22023', NULL,
	'an unknown application');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), 'not valid')$$, '55I01', NULL,
	'with a name that is no domain');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), 'shop.example.com')$$, NULL, NULL,
	'with another application''s domain');
SELECT throws_ok($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'), 'blog.example.net')$$, '55I01', NULL,
	'with a domain not yet verified: blocked');

-- an active production instance keeps its domain
SELECT throws_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'new.example.com')$$,
	'55000', NULL, 'active: no other primary domain');
SELECT throws_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', false)$$,
	'55000', NULL, 'active: the primary domain does not become a satellite');
SELECT is((SELECT domain COLLATE "default" FROM instance_env.instances
		   WHERE instance_id = 'a0000000-0000-4000-8000-000000000001'), 'shop.example.com', 'active: it keeps its domain');
SELECT lives_ok($$SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'third.example.com', false)$$,
	'active: another satellite');

-- suspended production is resumed, not promoted again
SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001') \gset
SELECT throws_ok($$INSERT INTO app.users VALUES (2000, 'a0000000-0000-4000-8000-000000000001')$$, '23I04', NULL,
	'suspended: takes nobody');
SELECT lives_ok($$SELECT instance_env.resume_instance('a0000000-0000-4000-8000-000000000001')$$, 'resumed');
SELECT lives_ok($$INSERT INTO app.users VALUES (2000, 'a0000000-0000-4000-8000-000000000001')$$, 'takes users');

-- in a savepoint
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'blog.example.net') \gset
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000002', 'blog.example.net') \gset
SAVEPOINT s;
SELECT isnt_empty($$SELECT * FROM instance_env.promote(instance_env.application_id('blog'))$$, 'promoted in a savepoint');
SELECT lives_ok($$INSERT INTO app.users VALUES (3000, 'a0000000-0000-4000-8000-000000000002')$$, 'takes users');
ROLLBACK TO SAVEPOINT s;
SELECT throws_ok($$INSERT INTO app.users VALUES (3000, 'a0000000-0000-4000-8000-000000000002')$$, '23I04', NULL,
	'rolled back: takes nobody');

SELECT * FROM finish();
ROLLBACK;
