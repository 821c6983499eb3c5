-- What search engines are told
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(28);

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
	WHEN 'development' THEN is(instance_env.robots_directive(id), 'noindex, nofollow',
		'"Search engines will not be able to crawl and index your application": no index, ' || what)
	ELSE is(instance_env.robots_directive(id), 'all', 'a production instance may be indexed: ' || what) END
FROM instances ORDER BY what;
SELECT CASE type
	WHEN 'development' THEN is(instance_env.robots_txt(id), E'User-agent: *\nDisallow: /\n',
		'"Search engines will not be able to crawl and index your application": no crawling, ' || what)
	ELSE is(instance_env.robots_txt(id), E'User-agent: *\nAllow: /\n', 'a production instance may be crawled: ' || what) END
FROM instances ORDER BY what;
SELECT throws_ok($$SELECT instance_env.robots_directive(NULL)$$, '22004', NULL, 'directive: NULL as an instance');
SELECT throws_ok($$SELECT instance_env.robots_txt(NULL)$$, '22004', NULL, 'robots.txt: NULL as an instance');
SELECT throws_ok(format($$SELECT instance_env.robots_directive(%L)$$, :unknown), '23I03', NULL, 'directive: an unknown instance');
SELECT throws_ok(format($$SELECT instance_env.robots_txt(%L)$$, :unknown), '23I03', NULL, 'robots.txt: an unknown instance');

-- a staging environment is a production instance that nobody should find

SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'robots_directive', '"noindex"')$$, :production), 'kept out by choice');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'robots_txt', E'"User-agent: *\\nDisallow: /\\n"')$$, :production),
	'and by robots.txt');
SELECT is(instance_env.robots_directive(:production), 'noindex', 'the directive');
SELECT is(instance_env.robots_txt(:production), E'User-agent: *\nDisallow: /\n', 'robots.txt');
SELECT is(instance_env.robots_directive('a0000000-0000-4000-8000-000000000002'), 'all', 'another instance is not concerned');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'robots_directive', E'"a\\r\\nSet-Cookie: x"')$$, :production),
	'22023', NULL, 'no second header in the first');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'robots_txt', %L)$$, :production, to_jsonb(repeat('x', 2049))),
	'22023', NULL, 'a robots.txt too long');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, %L, '"all"')$$, id, name), '55000', NULL,
	'search engines are not let in: ' || name || ', ' || what)
FROM instances, unnest(ARRAY['robots_directive', 'robots_txt']) name WHERE type = 'development';
INSERT INTO instance_env.policy_override VALUES (:development, 'robots_directive', '"all"');
SELECT is(instance_env.robots_directive(:development), 'noindex, nofollow', 'not by hand, either');

-- rights

CREATE ROLE instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(format($$SELECT instance_env.robots_directive(%L)$$, :development), '42501', NULL,
	'robots_directive() is not for everybody');
SELECT throws_ok(format($$SELECT instance_env.robots_txt(%L)$$, :development), '42501', NULL, 'nor is robots_txt()');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
