-- Sessions, limits, test identities and redirects
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(295);

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

CREATE TEMP VIEW security AS SELECT what, type, s.* FROM instances, instance_env.security_policy(id) s;
SELECT results_eq(
	format($$SELECT session_transport, cookie_http_only, cookie_secure, cookie_same_site, redirect_schemes, rate_limit,
			 rate_limit_seconds, sms_per_month, email_per_month, test_identities FROM security WHERE what = %L$$, what),
	CASE type WHEN 'development' THEN
		$$VALUES ('query_string', NULL::boolean, NULL::boolean, NULL, ARRAY['http', 'https'], 100, 10, 20, 100, true)$$
	ELSE $$VALUES ('cookie', true, true, 'Lax', ARRAY['https'], 1000, 10, NULL::integer, NULL::integer, false)$$ END,
	CASE type WHEN 'development' THEN '"Development instances have a more relaxed security posture": '
	ELSE '"Production instances [...] by default, have a more strict security posture": ' END || what)
FROM instances ORDER BY what;
SELECT results_eq($$SELECT DISTINCT test_email_marker, test_code FROM security$$, $$VALUES ('+clerk_test', '424242')$$,
	'what test identities look like');
SELECT results_eq(
	$$SELECT number, number ~ (SELECT DISTINCT test_phone_numbers FROM security)
	  FROM unnest(ARRAY['+12025550100', '+12025550199', '+12025550200', '+12025550099', '+442025550100', '12025550100',
						'+120255501000']) WITH ORDINALITY AS n (number, i) ORDER BY i$$,
	$$VALUES ('+12025550100', true), ('+12025550199', true), ('+12025550200', false), ('+12025550099', false),
			 ('+442025550100', false), ('12025550100', false), ('+120255501000', false)$$, 'numbers +1 XXX 555-0100 to 0199');
SELECT throws_ok($$SELECT instance_env.security_policy(NULL)$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok(format($$SELECT instance_env.security_policy(%L)$$, :unknown), '23I03', NULL, 'an unknown instance');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'test_identities', 'true')$$, :production),
	'a production instance opts in to test identities');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'sms_per_month', '5000')$$, :production), 'its plan has a limit');
SELECT results_eq(format($$SELECT test_identities, sms_per_month, email_per_month FROM instance_env.security_policy(%L)$$, :production),
	$$VALUES (true, 5000, NULL::integer)$$, 'which shows');
SELECT set_eq(
	$$SELECT name::text COLLATE "default" FROM instance_env.policies
	  WHERE name ~ '^(session|cookie|redirect|rate|sms|email|test)_'$$,
	$$SELECT a.attname::text FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY AS a (attname, i)
	  WHERE p.oid = 'instance_env.security_policy'::regproc AND i > 1$$, 'a column for each policy of security');

-- redirects

-- shop's production has example.com but for its staging environment; the blog has example.org
SELECT instance_env.associate_domain(:production, 'example.com') \gset
SELECT production_id AS staging FROM instance_env.create_staging_application('shop', 'staging.example.com') \gset
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000003', 'example.org') \gset
SELECT instance_env.set_plan(instance_env.application_id('shop'), 'pro') \gset
SELECT instance_env.associate_domain(:production, 'shop.co.uk', false) \gset
SELECT slug FROM instance_env.instances WHERE instance_id = :development \gset

CREATE TEMP TABLE urls (url text, development boolean, production boolean);
INSERT INTO urls VALUES
	-- relative to the page that it is on
	('/', true, true), ('/dashboard', true, true), ('/a?b#c', true, true), ('?x', true, true), ('#x', true, true), ('?', true, true),
	('/a/../b/.', true, true), ('/%09/evil.example', true, true), ('/%5C%5Cevil.example', true, true), ('/a:b', true, true),
	('/login?next=//evil.example', true, true), ('/x#//evil.example', true, true), ('/@evil.example', true, true),
	('/' || repeat('x', 100000), true, true),
	-- production's hosts
	('https://example.com', false, true),
	('https://example.com/', false, true),
	('https://shop.example.com/callback?code=1&a[]=2#done', false, true),
	('https://shop.example.com?next=https://other.example/@x', false, true),
	('https://shop.example.com#fragment', false, true),
	('HTTPS://SHOP.EXAMPLE.COM/', false, true),
	('hTTp://shop.example.com/', false, false),
	('https://clerk.example.com/', false, true), ('https://accounts.example.com/sign-in', false, true),
	('https://example.com:65535/', false, true), ('https://example.com:443/', false, true), ('https://example.com:00443/', false, true),
	('https://my_app.example.com/', false, true),
	('https://a--b.example.com/', false, true),
	('https://xn--bcher-kva.example.com/', false, true),
	('https://1.example.com/', false, true),
	('https://example.com//other.example.com', false, true),
	('https://example.com/%0d%0aSet-Cookie:x', false, true),
	('https://example.com/' || repeat('x', 100000), false, true),
	('https://shop.co.uk/', false, true), ('https://www.shop.co.uk/', false, true),
	-- those of others
	('https://staging.example.com/', false, false), ('https://accounts.staging.example.com/', false, false),
	('https://example.org/', false, false), ('https://www.example.org/', false, false),
	('https://evil.example/', false, false), ('https://example.com.evil.example/', false, false), ('https://evilexample.com/', false, false),
	('https://com/', false, false), ('https://co.uk/', false, false), ('https://other.co.uk/', false, false),
	('https://shop.vercel.app/', false, false), ('https://accounts.dev/', false, false), ('https://clerk.accounts.dev/', false, false),
	('https://other-name-1.accounts.dev/', false, false), ('https://other-name-1.clerk.accounts.dev/', false, false),
	('https://192.0.2.1/', false, false), ('https://[2001:db8::1]', false, false), ('https://xn--bcher-kva.example/', false, false),
	-- development's hosts
	('https://' || :'slug' || '.accounts.dev/sign-in', true, false), ('http://' || :'slug' || '.clerk.accounts.dev', true, false),
	('https://x.' || :'slug' || '.accounts.dev/', false, false),
	-- the developer's own machine
	('http://localhost', true, false), ('http://localhost:3000/callback', true, false), ('https://localhost', true, false),
	('HTTP://LOCALHOST/', true, false), ('http://shop.localhost:8080/', true, false), ('http://127.0.0.1:8080/', true, false),
	('https://127.255.0.1', true, false), ('http://[::1]:3000/', true, false), ('http://[0:0:0:0:0:0:0:1]/', true, false),
	('http://notlocalhost/', false, false), ('http://localhost.evil.example/', false, false), ('http://localhost.com/', false, false),
	('http://128.0.0.1/', false, false), ('http://0.0.0.0/', false, false), ('http://[::]/', false, false),
	('http://[::ffff:127.0.0.1]/', false, false), ('http://192.168.0.1/', false, false), ('http://x.local/', false, false),
	('http://127.0.0.1.evil.example/', false, false);
INSERT INTO urls SELECT unnest(ARRAY[
	-- another host, where it seems to be a path
	'//evil.example', '///evil.example', '////evil.example', E'/\\evil.example', E'\\evil.example', E'\\\\evil.example', E'\\/evil.example',
	'//example.com', '/.//evil.example', '/..//evil.example', '/a//evil.example', '/a/..//evil.example', '/%2e//evil.example',
	E'/\t/evil.example', E'/\n/evil.example', E'\t//evil.example', E'/\x01/evil.example', ' //evil.example', ' /dashboard', '/dashboard ',
	'evil.example', '.evil.example', '@evil.example', ':80@evil.example', 'callback', 'a/b', '../x', './x', 'page?x',
	'/日本', E'/\u2044evil.example', E'/\u200B/evil.example',
	-- no scheme, or another
	'', ' ', ':', 'https', 'https:', 'https:/', 'https://', 'shop.example.com', 'shop.example.com:443', 'localhost:3000', '://example.com',
	'1https://example.com', 'https.://example.com', 'httpss://example.com', 'http+unix://example.com', 'ftp://example.com/',
	'file:///etc/passwd', 'ws://example.com', 'wss://example.com', 'myapp://callback', 'com.example.app://callback',
	'com.example.app:callback', 'javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'javascript://example.com/%0aalert(1)',
	'data:text/html,x', 'vbscript:x', 'mailto:a@example.com', 'blob:https://example.com/x', 'view-source:https://example.com',
	'about:blank', 'intent://example.com#Intent;scheme=https;end', 'https.evil:x', '.com.example:/x', 'com.:/x', 'com..example:/x',
	repeat('a', 64) || '://example.com', repeat('a.', 50000) || 'b://example.com',
	-- no host, or not where it seems
	'https:example.com', 'https:/example.com', 'https:///example.com', 'https:////example.com', 'https://:443/', 'https://?x',
	'https://#x', 'https://.', 'https://..', 'https://.example.com', 'https://shop..example.com', 'https://example.com.',
	'https://example.com..', 'https://-x.example.com', 'https://x-.example.com', 'https://example.com-', 'https://user@example.com/',
	'https://user:password@example.com/', 'https://@example.com', 'https://shop.example.com@evil.example/',
	'https://shop.example.com:443@evil.example/', 'https://evil.example@example.com/', 'https://[::1]@evil.example', 'http://localhost@evil.example/',
	'https://evil.example;.example.com', 'https://exa%6dple.com/', 'https://evil.example%2f.example.com/', 'https://*.example.com/', 'https://exam,ple.com', 'https://$host.example.com/',
	'https://' || repeat('a', 64) || '.example.com', 'https://' || repeat('a.', 127) || 'example.com', 'https://' || repeat('a', 100000),
	-- punycode that cannot be parsed
	'https://xn--.example.com/', 'https://xn--a.example.com/', 'https://xn--9999999999.example.com/', 'https://XN--A.example.com/',
	'http://xn--a.localhost/',
	-- ports
	'https://example.com:', 'https://example.com:/', 'https://example.com:0', 'https://example.com:65536', 'https://example.com:-1',
	'https://example.com:+1', 'https://example.com:443:443', 'https://example.com:4294967739/', 'https://example.com:x',
	'https://example.com:443x/', 'http://localhost:0/', 'http://localhost:65536/',
	-- addresses
	'http://256.0.0.1', 'http://127.0.0.256', 'http://127.0.0.1000', 'http://127..0.1', 'http://127.1', 'http://127.0.0.1.5', 'http://0127.0.0.1', 'http://127.0.0.01', 'http://2130706433',
	'http://0x7f000001/', 'http://0x7f.1', 'http://x.localhost.0x', 'http://127.0.0.1.', 'http://localhost.', 'http://127.0.0.1..',
	'http://::1/', 'http://[', 'http://]', 'http://[]', 'http://[::1', 'http://::1]', 'http://[::1]x/', 'http://[::1]:',
	'http://[:::1]', 'http://[1::2::3]', 'http://[12345::]', 'http://[::1%25lo]/', 'http://[127.0.0.1]', 'http://[v1.x]',
	'http://[[::1]]', 'http://[localhost]', 'http://[' || repeat('0', 300) || '::1]/',
	-- what some readers drop, and others turn into something else
	' https://example.com', 'https://example.com ', 'https://exa mple.com', E'\thttps://example.com', E'https://example.com\n',
	E'ht\ntps://example.com', E'https://exa\tmple.com', E'https://example.com/\r\nSet-Cookie: x', E'\x01https://example.com',
	E'https://example.com/\x7f', E'https:\\\\example.com', E'https:/\\example.com', E'https://evil.example\\@example.com',
	E'https://example.com\\@evil.example', E'https://example.com/\\..', 'https://bücher.example.com/', 'https://shop。example.com',
	'https://example.com/日本', E'https:/\u2044example.com', E'\uFEFFhttps://example.com', E'https://exam\u00ADple.com',
	E'https://example.com/\u202E', 'https://example.com/<script>', 'https://example.com/"onload', 'https://example.com/{a}',
	'https://example.com/a|b', 'https://example.com/`', 'https://example.com/^']), false, false;
SELECT results_eq(
	format($$SELECT instance_env.redirect_url_allowed(%L, %L), instance_env.redirect_url_allowed(%L, %L)$$, :development, url, :production, url),
	format('VALUES (%L::boolean, %L::boolean)', development, production),
	CASE WHEN development AND production THEN 'both: ' WHEN development THEN 'development: ' WHEN production THEN 'production: '
	ELSE 'neither: ' END || left(to_json(url)::text, 60)) FROM urls;
SELECT is(instance_env.redirect_url_allowed(:'staging', 'https://www.staging.example.com'), true, 'a staging environment has its own hosts');
SELECT is(instance_env.redirect_url_allowed(:'staging', url), false, 'and not the first application''s: ' || url)
FROM unnest('{https://example.com, https://shop.example.com}'::text[]) url;
SELECT is_empty(
	$$SELECT i, url FROM generate_series(0, 2000) i,
	  LATERAL (SELECT string_agg(chr(get_byte(sha256((i || '/' || j)::bytea), 0) % 127 + 1), '') AS url
			   FROM generate_series(0, i % 30) j) u
	  WHERE (url !~ '^[/?#]' AND instance_env.redirect_url_allowed('a0000000-0000-4000-8000-000000000001', url))
	  OR instance_env.redirect_url_allowed('a0000000-0000-4000-8000-000000000001', 'http:' || url)
	  OR instance_env.redirect_url_allowed('a0000000-0000-4000-8000-000000000001', E'/\\' || url)
	  OR instance_env.redirect_url_allowed('a0000000-0000-4000-8000-000000000001', '//' || url)$$, 'garbage');
SELECT lives_ok(
	$$SELECT instance_env.redirect_url_allowed('d0000000-0000-4000-8000-000000000001',
		'https://' || (SELECT string_agg(chr(get_byte(sha256((i || '/' || j)::bytea), 0) % 127 + 1), '') FROM generate_series(0, i % 30) j))
	  FROM generate_series(0, 2000) i$$, 'never an error');
SELECT throws_ok($$SELECT instance_env.redirect_url_allowed(NULL, 'https://example.com')$$, '22004', NULL, 'a URL, NULL as an instance');
SELECT throws_ok(format($$SELECT instance_env.redirect_url_allowed(%L, NULL)$$, :development), '22004', NULL, 'NULL as a URL');
SELECT throws_ok(format($$SELECT instance_env.redirect_url_allowed(%L, 'https://example.com')$$, :unknown), '23I03', NULL,
	'a URL, an unknown instance');
SELECT throws_ok(format($$SELECT instance_env.redirect_url_allowed(%L, 'no URL')$$, :unknown), '23I03', NULL,
	'no URL, an unknown instance');

-- only narrower

SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'redirect_schemes', %L)$$, :development, value), '22023', NULL,
	'not among the schemes: ' || value)
FROM unnest(ARRAY['[]', 'null', '"https"', '["ftp"]', '["https", "ftp"]', '["HTTPS"]', '["https", "https"]', '[1]', '[null]', '[["https"]]',
	'{"https": true}', '[""]']) value;
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'redirect_schemes', '["https"]')$$, :development), 'https only');
SELECT is(instance_env.redirect_url_allowed(:development, 'http://localhost'), false, 'is possible in development');
SELECT is(instance_env.redirect_url_allowed(:development, 'https://localhost'), true, 'which still takes https');
SELECT throws_ok(format($$SELECT instance_env.set_policy(%L, 'redirect_schemes', '["http", "https"]')$$, :production), '55000', NULL,
	'http is not possible in production');

-- rights

CREATE ROLE instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
SELECT throws_ok(format($$SELECT instance_env.security_policy(%L)$$, :development), '42501', NULL, 'security_policy() is not for everybody');
SELECT throws_ok(format($$SELECT instance_env.redirect_url_allowed(%L, 'https://example.com')$$, :development), '42501', NULL,
	'nor is redirect_url_allowed()');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
