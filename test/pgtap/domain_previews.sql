-- Previews: which instance serves a host
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(197);

\set prod '\'a0000000-0000-4000-8000-000000000001\''
\set dev '\'d0000000-0000-4000-8000-000000000001\''
SELECT (instance_env.create_application('shop', 'pro', development_id => :dev, production_id => :prod)).application_id AS shop \gset
SELECT (instance_env.create_application('shop staging')).application_id AS staging \gset
SELECT (instance_env.create_application('other')).application_id AS other \gset
UPDATE instance_env.application SET staging_of = :'shop' WHERE id = :'staging';
CREATE FUNCTION pg_temp.serves(application text, host text) RETURNS text LANGUAGE SQL VOLATILE AS $$
SELECT p.instance_type || ' ' || p.reason
	|| CASE WHEN p.instance_id = instance_env.instance_for_host(a.id, $2)
			AND p.instance_id = instance_env.instance_id($1, p.instance_type) THEN '' ELSE ': inconsistent' END
FROM instance_env.application a, instance_env.check_preview(a.id, $2) p WHERE a.name = $1
$$;

SELECT is(pg_temp.serves('shop', 'shop.example.com'), 'development other_root', 'no domain yet: development');
SELECT instance_env.associate_domain(:prod, 'shop.example.com') \gset
SELECT instance_env.associate_domain(:prod, 'shop.co.uk', false) \gset
SELECT instance_env.associate_domain(instance_env.instance_id('other', 'production'), 'other.example.org') \gset

SELECT is(pg_temp.serves('shop', host), expected, 'host ' || left(to_json(host)::text, 60))
FROM (VALUES
	-- Same root domain, other subdomain: production keys, data shared with production
	('shop.example.com', 'production production_domain'),
	('example.com', 'production production_root'),
	('www.example.com', 'production production_root'),
	('pr-17.preview.shop.example.com', 'production production_root'),
	('pr-17.preview.example.com', 'production production_root'),
	('my_branch.example.com', 'production production_root'),
	('SHOP.Example.COM', 'production production_domain'),
	('shop.example.com.', 'production production_domain'),
	('shop.example.com:443', 'production production_domain'),
	('shop.example.com:', 'production production_domain'),
	('shop.example.com.:8080', 'production production_domain'),
	('shop.co.uk', 'production production_domain'),
	('www.shop.co.uk:1', 'production production_root'),
	(repeat('a', 63) || '.example.com', 'production production_root'),
	(repeat('a.', 121) || 'example.com:65535', 'production production_root'),
	-- a wholly different root: development keys
	('shop.co.uk.example.net', 'development other_root'),
	('shop.example.com.example.net', 'development other_root'),
	('notexample.com', 'development other_root'),
	('myexample.com', 'development other_root'),
	('example.com.au', 'development other_root'),
	('example.org', 'development other_root'),
	('other.example.org', 'development other_root'),
	('co.uk', 'development other_root'),
	('com', 'development local'),
	('other.co.uk', 'development other_root'),
	-- Hosting provider's preview domain: development keys
	('shop-git-branch.vercel.app', 'development hosting_provider'),
	('deploy-preview-17--shop.netlify.app:443', 'development hosting_provider'),
	('branch.shop.pages.dev', 'development hosting_provider'),
	('VERCEL.APP', 'development hosting_provider'),
	('example.com.vercel.app', 'development hosting_provider'),
	('myvercel.app', 'development other_root'),
	('no-such-13.accounts.dev', 'development service_domain'),
	-- on the developer's desk
	('localhost', 'development local'),
	('localhost:3000', 'development local'),
	('LOCALHOST.', 'development local'),
	('shop.localhost:3000', 'development local'),
	('printer.local', 'development local'),
	('web', 'development local'),
	('web:8080', 'development local'),
	('shop.test', 'development local'),
	('127.0.0.1', 'development ip_address'),
	('127.0.0.1:3000', 'development ip_address'),
	('10.0.0.1.', 'development ip_address'),
	('[::1]', 'development ip_address'),
	('[::1]:3000', 'development ip_address'),
	('[2001:DB8::1]:65535', 'development ip_address'),
	('[::ffff:127.0.0.1]', 'development ip_address'),
	('::1', 'development ip_address'),
	('2001:db8::8080', 'development ip_address')) v (host, expected);

SELECT throws_ok(format('SELECT instance_env.%I(%L, %L)', f, :'shop', host), '22I01', NULL,
	f || ': no host: ' || left(to_json(host)::text, 60))
FROM unnest(ARRAY['instance_for_host', 'check_preview']) f,
	unnest(ARRAY['', ' ', '.', '..', ':', ':80', '.example.com', 'example..com', 'example.com..', 'a b.example.com',
		'example.com ', E'example.com\n', E'example\x01.com', E'example.com\t', 'example.com:http', 'example.com:80:80',
		'example.com:65536', 'example.com:123456', 'example.com:-1', 'http://example.com', 'example.com/', 'example.com?q',
		'example.com#f', 'user@example.com', '-a.example.com', 'a-.example.com', 'bücher.example.com', '*.example.com',
		'[::1', '[]', '[::1]x', '[::1]:x', '[127.0.0.1]', '[example.com]', '::1::', '1.2.3', '1.2.3.4.5', '256.1.1.1',
		'a.1', '1', repeat('a', 64) || '.com', repeat('a.', 122) || 'example.com.com', repeat('a', 1000000), 'example.com''',
		'%00.example.com']) host;
SELECT throws_ok(format('SELECT instance_env.%I(%L, %L)', f, a, h), state, NULL, f || ': ' || what)
FROM unnest(ARRAY['instance_for_host', 'check_preview']) f,
	(VALUES ('00000000-0000-0000-0000-000000000000', 'example.com', '22023', 'an unknown application'),
			('d0000000-0000-4000-8000-000000000001', 'example.com', '22023', 'an instance''s id'),
			(NULL, 'example.com', '22004', 'NULL as an application'),
			('00000000-0000-0000-0000-000000000000', NULL, '22004', 'NULL as a host')) v (a, h, state, what);

-- the status of production plays no part

UPDATE instance_env.instance SET status = 'active' WHERE id = :prod;
SELECT is(pg_temp.serves('shop', 'www.example.com'), 'production production_root', 'active production');
SELECT instance_env.suspend_instance(:prod) \gset
SELECT is(pg_temp.serves('shop', 'www.example.com'), 'production production_root', 'suspended production');

-- staging: a separate application with its own domain (a subdomain of the first's root is allowed)

SELECT is(pg_temp.serves('shop', 'staging.example.com'), 'production production_root', 'before staging has it');
SELECT instance_env.associate_domain(instance_env.instance_id('shop staging', 'production'), 'staging.example.com') \gset
SELECT is(pg_temp.serves(application, host), expected, application || ': ' || host)
FROM (VALUES
	('shop', 'staging.example.com', 'development other_application'),
	('shop', 'pr-1.staging.example.com', 'development other_application'),
	('shop', 'stagingx.example.com', 'production production_root'),
	('shop', 'shop.example.com', 'production production_domain'),
	('shop staging', 'staging.example.com', 'production production_domain'),
	('shop staging', 'pr-1.staging.example.com:3000', 'production production_root'),
	('shop staging', 'shop.example.com', 'development other_application'),
	('shop staging', 'x.shop.example.com', 'development other_application'),
	('shop staging', 'www.example.com', 'development other_root'),
	('shop staging', 'example.com', 'development other_root'),
	('shop staging', 'staging.vercel.app', 'development hosting_provider'),
	('other', 'staging.example.com', 'development other_root'),
	('other', 'www.example.org', 'production production_root')) v (application, host, expected);
-- hosts of development instances: the application's own, another's, and nobody's
UPDATE instance_env.instance SET slug = 'foo-bar-13' WHERE id = :dev;
UPDATE instance_env.instance SET slug = 'other-slug-7' WHERE id = instance_env.instance_id('other', 'development');
SELECT is(pg_temp.serves(application, host), expected, application || ': ' || host)
FROM (VALUES
	('shop', 'foo-bar-13.accounts.dev', 'development development_domain'),
	('shop', 'foo-bar-13.clerk.accounts.dev', 'development development_domain'),
	('shop', 'Foo-Bar-13.Clerk.Accounts.DEV.:443', 'development development_domain'),
	('shop', 'other-slug-7.accounts.dev', 'development other_application'),
	('shop', 'other-slug-7.clerk.accounts.dev', 'development other_application'),
	('other', 'foo-bar-13.clerk.accounts.dev', 'development other_application'),
	('other', 'other-slug-7.clerk.accounts.dev', 'development development_domain'),
	('shop', 'no-such-99.accounts.dev', 'development service_domain'),
	('shop', 'no-such-99.clerk.accounts.dev', 'development service_domain'),
	('shop', 'x.foo-bar-13.accounts.dev', 'development service_domain'),
	('shop', 'foo-bar-13.x.accounts.dev', 'development service_domain'),
	('shop', 'accounts.dev', 'development service_domain'),
	('shop', 'clerk.accounts.dev', 'development service_domain'),
	('shop', repeat('a', 63) || '.clerk.accounts.dev', 'development service_domain'),
	('shop', 'foo-bar-13.accounts.dev.example.net', 'development other_root')) v (application, host, expected);
SELECT instance_env.create_application('hyphen') \gset
SELECT instance_env.associate_domain(instance_env.instance_id('hyphen', 'production'), 'x-example.com') \gset
SELECT is(pg_temp.serves('shop', 'x-example.com'), 'development other_root', 'a name that only ends in the root is not below it');
SELECT instance_env.create_application('late') \gset
UPDATE instance_env.instance SET slug = 'no-such-99' WHERE id = instance_env.instance_id('late', 'development');
SELECT is(pg_temp.serves('shop', 'no-such-99.clerk.accounts.dev'), 'development other_application', 'once somebody has it, it is his');
SELECT instance_env.drop_application(instance_env.application_id('late')) \gset
SELECT is(pg_temp.serves('shop', 'no-such-99.clerk.accounts.dev'), 'development service_domain', 'and nobody''s afterwards');

-- a name that is a constant, for many rows
SELECT results_eq(format($$SELECT DISTINCT p.reason, instance_env.instance_for_host('shop', h || '.example.com') = %L,
		(instance_env.check_preview('shop', h || '.example.com')).reason
	FROM generate_series(1, 100) n, concat('pr-', n) h, instance_env.check_preview('shop', h || '.example.com') p$$, :prod),
	$$VALUES ('production_root', true, 'production_root')$$, 'the name stays a name, row after row');

-- below a domain of one another
SELECT instance_env.associate_domain(instance_env.instance_id('shop staging', 'production'), 's.shop.example.com') \gset
SELECT is(pg_temp.serves('shop', 'x.s.shop.example.com'), 'development other_application', 'the longest domain decides');
SELECT is(pg_temp.serves('shop staging', 'x.s.shop.example.com'), 'production production_root', 'for both');
-- a root of its own
SELECT instance_env.associate_domain(instance_env.instance_id('shop staging', 'production'), 'staging.example.net') \gset
SELECT is(pg_temp.serves('shop staging', 'www.example.net'), 'production production_root', 'staging on a root of its own');
SELECT is(pg_temp.serves('shop', 'www.example.net'), 'development other_root', 'which is not the first''s');

-- what is cached follows

SELECT is(pg_temp.serves('shop', 'staging.example.com'), 'production production_root', 'staging has left');
SAVEPOINT s;
SELECT instance_env.change_domain(:prod, 'shop.example.info') \gset
SELECT is(pg_temp.serves('shop', 'www.example.info'), 'production production_root', 'the new root');
SELECT is(pg_temp.serves('shop', 'www.example.com'), 'development other_root', 'the old root');
ROLLBACK TO SAVEPOINT s;
SELECT is(pg_temp.serves('shop', 'www.example.info'), 'development other_root', 'undone: the new root');
SELECT is(pg_temp.serves('shop', 'www.example.com'), 'production production_root', 'undone: the old root');
SELECT instance_env.remove_domain(:prod, 'shop.co.uk') \gset
SELECT is(pg_temp.serves('shop', 'shop.co.uk'), 'development other_root', 'a satellite that was removed');

-- many domains
INSERT INTO instance_env.domain (name, instance, root, is_primary)
	SELECT format('t%s.example%s.com', i, i % 100), :prod, format('example%s.com', i % 100), false FROM generate_series(1, 2000) i;
SELECT is_empty($$
	SELECT i FROM generate_series(1, 2000) i, LATERAL pg_temp.serves('shop', format('t%s.example%s.com', i, i % 100)) s,
		LATERAL pg_temp.serves('shop', format('x.y%s.example%s.com', i, i % 200)) t
	WHERE s <> 'production production_domain'
		OR t <> CASE WHEN i % 200 < 100 THEN 'production production_root' ELSE 'development other_root' END$$,
	'2,000 satellites below 100 roots');

-- rights

CREATE ROLE instance_env_nobody;
CREATE ROLE instance_env_caller;
GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody, instance_env_caller;
GRANT EXECUTE ON FUNCTION instance_env.check_preview(uuid, text), instance_env.check_preview(text, text) TO instance_env_caller;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok($$SELECT instance_env.instance_for_host(NULL, NULL)$$, '42501', NULL, 'without rights: instance_for_host()');
SELECT throws_ok($$SELECT instance_env.check_preview(NULL, NULL)$$, '42501', NULL, 'without rights: check_preview()');
SET LOCAL ROLE instance_env_caller;
SET LOCAL search_path = pg_temp, public;
SELECT is((SELECT instance_id FROM instance_env.check_preview(:'staging', 'staging.example.net')),
	(SELECT instance_id FROM instance_env.check_preview(:'staging', 'example.net')), 'with the right, and nothing else');

SELECT * FROM finish();
ROLLBACK;
