-- Sessions, limits, test identities and redirects
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(185);

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

CREATE TEMP TABLE urls (url text, scheme text);
INSERT INTO urls VALUES
	('https://shop.example.com', 'https'),
	('https://shop.example.com/', 'https'),
	('https://shop.example.com/callback?code=1&a[]=2#done', 'https'),
	('https://shop.example.com?next=https://other.example.com/@x', 'https'),
	('https://shop.example.com#fragment', 'https'),
	('HTTPS://SHOP.EXAMPLE.COM/', 'https'),
	('hTTp://shop.example.com/', 'http'),
	('http://localhost:3000/callback', 'http'),
	('https://localhost', 'https'),
	('http://127.0.0.1:8080/', 'http'),
	('http://[::1]:3000/', 'http'),
	('https://[2001:db8::1]', 'https'),
	('https://[::ffff:192.0.2.1]/', 'https'),
	('https://example.com.', 'https'),
	('https://example.com:65535/', 'https'),
	('https://my_app.example.com/', 'https'),
	('https://xn--bcher-kva.example/', 'https'),
	('https://a--b.vercel.app/', 'https'),
	('https://1.example.com/', 'https'),
	('https://example.com//other.example.com', 'https'),
	('https://example.com/%0d%0aSet-Cookie:x', 'https'),
	('https://example.com/' || repeat('x', 100000), 'https'),
	-- no scheme, or another
	('', NULL), (' ', NULL), (':', NULL), ('/', NULL), ('https', NULL), ('https:', NULL), ('https:/', NULL), ('https://', NULL),
	('//evil.example', NULL), ('///evil.example', NULL), ('/callback', NULL), ('callback', NULL), ('shop.example.com', NULL),
	('shop.example.com:443', NULL), ('?x', NULL), ('#x', NULL), ('://example.com', NULL), ('1https://example.com', NULL),
	('https.://example.com', NULL), ('httpss://example.com', NULL), ('http+unix://example.com', NULL), ('ftp://example.com/', NULL),
	('file:///etc/passwd', NULL), ('ws://example.com', NULL), ('myapp://callback', NULL),
	('javascript:alert(1)', NULL), ('JaVaScRiPt:alert(1)', NULL), ('javascript://example.com/%0aalert(1)', NULL),
	('data:text/html,x', NULL), ('vbscript:x', NULL), ('mailto:a@example.com', NULL), ('blob:https://example.com/x', NULL),
	('view-source:https://example.com', NULL),
	-- no host, or not where it seems
	('https:example.com', NULL), ('https:/example.com', NULL), ('https:///example.com', NULL), ('https:////example.com', NULL),
	('https://:443/', NULL), ('https://?x', NULL), ('https://#x', NULL), ('https://.', NULL), ('https://..', NULL),
	('https://.example.com', NULL), ('https://example..com', NULL), ('https://example.com..', NULL),
	('https://-example.com', NULL), ('https://example-.com', NULL), ('https://example.com-', NULL),
	('https://user@example.com/', NULL), ('https://user:password@example.com/', NULL), ('https://@example.com', NULL),
	('https://shop.example.com@evil.example/', NULL), ('https://shop.example.com:443@evil.example/', NULL),
	('https://[::1]@evil.example', NULL), ('https://evil.example;.example.com', NULL), ('https://exa%6dple.com/', NULL),
	('https://*.example.com/', NULL), ('https://exam,ple.com', NULL), ('https://$host/', NULL),
	('https://' || repeat('a', 64) || '.com', NULL), ('https://' || repeat('a.', 127) || 'com', NULL), ('https://' || repeat('a', 100000), NULL),
	-- ports
	('https://example.com:', NULL), ('https://example.com:/', NULL), ('https://example.com:0', NULL), ('https://example.com:65536', NULL),
	('https://example.com:-1', NULL), ('https://example.com:+1', NULL), ('https://example.com:443:443', NULL),
	('https://example.com:4294967739/', NULL), ('https://example.com:x', NULL), ('https://example.com:443x/', NULL),
	-- addresses
	('http://256.0.0.1', NULL), ('http://1.2.3', NULL), ('http://1.2.3.4.5', NULL), ('http://01.2.3.4', NULL), ('http://2130706433', NULL),
	('http://0x7f000001/', NULL), ('http://0x7f.1', NULL), ('http://example.0x', NULL), ('http://127.0.0.1..', NULL),
	('http://::1/', NULL), ('http://[', NULL), ('http://]', NULL), ('http://[]', NULL), ('http://[::1', NULL), ('http://::1]', NULL),
	('http://[::1]x/', NULL), ('http://[::1]:', NULL), ('http://[:::1]', NULL), ('http://[1::2::3]', NULL), ('http://[12345::]', NULL),
	('http://[fe80::1%25eth0]/', NULL), ('http://[127.0.0.1]', NULL), ('http://[v1.x]', NULL), ('http://[[::1]]', NULL),
	('http://[example.com]', NULL),
	-- what some readers drop, and others turn into something else
	(' https://example.com', NULL), ('https://example.com ', NULL), ('https://exa mple.com', NULL), (E'\thttps://example.com', NULL),
	(E'https://example.com\n', NULL), (E'ht\ntps://example.com', NULL), (E'https://exa\tmple.com', NULL),
	(E'https://example.com/\r\nSet-Cookie: x', NULL), (E'\x01https://example.com', NULL), (E'https://example.com/\x7f', NULL),
	(E'https:\\\\evil.example', NULL), (E'https:/\\evil.example', NULL), (E'https://evil.example\\@example.com', NULL), (E'\\\\evil.example', NULL),
	(E'https://example.com/\\..', NULL), ('https://bücher.example/', NULL), ('https://example。com', NULL), ('https://example.com/日本', NULL),
	(E'https:/\u2044evil.example', NULL), (E'\uFEFFhttps://example.com', NULL), (E'https://exam\u00ADple.com', NULL),
	(E'https://example.com/\u202E', NULL), ('https://example.com/<script>', NULL), ('https://example.com/"onload', NULL),
	('https://example.com/{a}', NULL), ('https://example.com/a|b', NULL), ('https://example.com/`', NULL), ('https://example.com/^', NULL);
SELECT is(instance_env.redirect_url_allowed(:development, url), scheme IS NOT NULL,
	CASE WHEN scheme IS NULL THEN 'refused: ' ELSE 'allowed: ' END || left(to_json(url)::text, 60)) FROM urls;
SELECT is_empty(
	$$SELECT what, url FROM instances, urls
	  WHERE instance_env.redirect_url_allowed(id, url) IS DISTINCT FROM
			(scheme IS NOT NULL AND (type = 'development' OR scheme = 'https'))$$,
	'development takes http and https, production https only, whatever the status');
SELECT is_empty(
	$$SELECT i, url FROM generate_series(0, 2000) i,
	  LATERAL (SELECT string_agg(chr(get_byte(sha256((i || '/' || j)::bytea), 0) % 127 + 1), '') AS url
			   FROM generate_series(0, i % 30) j) u
	  WHERE instance_env.redirect_url_allowed('a0000000-0000-4000-8000-000000000001', url)
	  OR instance_env.redirect_url_allowed('a0000000-0000-4000-8000-000000000001', 'http:' || url)$$, 'garbage');
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
