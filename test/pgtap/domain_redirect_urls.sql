-- What an instance may redirect to besides its own hosts: the list
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(209);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', 'pro', :dev, :prod) AS application \gset
SELECT instance_env.associate_domain(:prod, 'shop.com') \gset
SELECT instance_env.create_application('blog', 'pro', 'd0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002') \gset

CREATE FUNCTION pg_temp.allowed(instance uuid, url text) RETURNS boolean LANGUAGE sql AS
$$SELECT instance_env.redirect_url_allowed(instance, url)$$;
-- the list of an instance, in one text
CREATE FUNCTION pg_temp.list(instance uuid) RETURNS text LANGUAGE sql AS
$$SELECT string_agg(url, ' ' ORDER BY url) FROM instance_env.redirect_urls WHERE instance_id = instance$$;
-- what a URL is refused for
CREATE FUNCTION pg_temp.refusal(instance uuid, url text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM instance_env.add_redirect_url(instance, url);
	RETURN 'added';
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;

-- an origin stands for all of its pages, and for no other

SELECT is(pg_temp.allowed(:prod, 'https://app.partner.com/'), false, 'another host');
SELECT lives_ok(format($$SELECT instance_env.add_redirect_url(%L, 'https://app.partner.com')$$, :prod), 'an origin');
SELECT is(pg_temp.allowed(:prod, url), true, url) FROM unnest(ARRAY['https://app.partner.com', 'https://app.partner.com/', 'https://APP.partner.com/a/b?c#d',
	'https://app.partner.com:443/x', 'https://app.partner.com?x', 'https://app.partner.com/' || repeat('x', 5000)]) url;
SELECT is(pg_temp.allowed(:prod, url), false, 'not ' || url) FROM unnest('{http://app.partner.com/, https://partner.com/, https://x.app.partner.com/,
	https://app.partner.com:8443/, https://app.partner.com.evil.com/, https://app.partner.com@evil.com/, //app.partner.com/}'::text[]) url;
SELECT is(pg_temp.allowed(instance, 'https://app.partner.com'), false, 'another instance')
FROM unnest(ARRAY[:dev, 'a0000000-0000-4000-8000-000000000002']::uuid[]) instance;

-- a URL with a path, for that page alone

SELECT lives_ok(format($$SELECT instance_env.add_redirect_url(%L, 'HTTPS://Login.Partner.COM:443/Callback/')$$, :prod), 'a URL with a path');
SELECT is(pg_temp.list(:prod), 'https://app.partner.com https://login.partner.com/Callback/', 'it is stored in one form');
SELECT is(pg_temp.allowed(:prod, url), true, url) FROM unnest('{https://login.partner.com/Callback/, https://login.partner.com/Callback/?code=1#x}'::text[]) url;
SELECT is(pg_temp.allowed(:prod, url), false, 'not ' || url) FROM unnest('{https://login.partner.com/, https://login.partner.com/callback/,
	https://login.partner.com/Callback, https://login.partner.com/Callback/x, https://login.partner.com/Callback/../Callback/,
	https://login.partner.com/%43allback/, https://login.partner.com:8443/Callback/}'::text[]) url;
SELECT lives_ok(format($$SELECT instance_env.add_redirect_url(%L, 'https://root.partner.com/')$$, :prod), 'the path "/"');
SELECT is(array[pg_temp.allowed(:prod, 'https://root.partner.com'), pg_temp.allowed(:prod, 'https://root.partner.com/?x'),
	pg_temp.allowed(:prod, 'https://root.partner.com/x')], '{t,t,f}', 'is what an empty one is asked for, and a page like others');

-- native apps

SELECT lives_ok(format($$SELECT instance_env.add_redirect_url(%L, %L)$$, :prod, url), url)
FROM unnest('{com.example.app://callback, Com.Example.Other://, com.example.third:/oauth, com.example.fourth:/x}'::text[]) url;
SELECT is(pg_temp.allowed(:prod, url), true, url) FROM unnest('{com.example.app://callback, COM.EXAMPLE.APP://callback?code=1#x,
	com.example.other://x, com.example.other://x/y?z, com.example.other://, com.example.third:/oauth?code=1}'::text[]) url;
SELECT is(pg_temp.allowed(:prod, url), false, 'not ' || url) FROM unnest('{com.example.app://callback/, com.example.app://Callback, com.example.app:/callback,
	com.example.app://, com.example.ap://callback, com.example.other:/x, com.example.third:/oauth/x, com.example.third://oauth, com.example.fourth:/xy}'::text[]) url;

-- asterisks

SELECT lives_ok(format($$SELECT instance_env.add_redirect_url(%L, %L)$$, :dev, url), url)
FROM unnest('{https://*.preview.partner.com, https://myapp-*.vercel.app, https://x-*-y.partner.com:8443/cb, http://*.dev.partner.com}'::text[]) url;
SELECT is(pg_temp.allowed(:dev, url), true, url) FROM unnest('{https://a.preview.partner.com/x, https://xn--bcher-kva.preview.partner.com,
	https://myapp-git-main.vercel.app/, https://x-1-y.partner.com:8443/cb?d, http://a-b_c.dev.partner.com/}'::text[]) url;
SELECT is(pg_temp.allowed(:dev, url), false, 'not ' || url) FROM unnest('{https://preview.partner.com/, https://.preview.partner.com/,
	https://a.b.preview.partner.com/, https://a.preview.partner.com.evil.com/, https://evil.com/.preview.partner.com,
	https://evil.com?.preview.partner.com, https://evil.com:80/.preview.partner.com, http://a.preview.partner.com/,
	https://a.preview.partner.com:8443/, https://myapp-.vercel.app/, https://myapp.vercel.app/, https://other.vercel.app/,
	https://myapp-a.b.vercel.app, https://x-y.partner.com:8443/cb, https://x--y.partner.com:8443/cb, https://x-1-y.partner.com/cb,
	https://x-1-y.partner.com:8443/, https://a.dev.partner.com/, https://*.preview.partner.com/}'::text[]) url;

-- what cannot be in the list

SELECT is(pg_temp.refusal(instance::uuid, url), detail, coalesce(left(url, 60), 'NULL') || ': ' || detail) FROM (VALUES
	(:prod, 'http://app.partner.com', 'It has the scheme "http", which policy "redirect_schemes" does not include.'),
	(:prod, 'https://localhost:3000', 'It leads to the user''s own machine.'),
	(:prod, 'https://[::1]', 'It leads to the user''s own machine.'),
	(:prod, 'https://127.0.0.1/x', 'It leads to the user''s own machine.'),
	(:prod, '/dashboard', 'It names no host.'),
	(:prod, '?x', 'It names no host.'),
	(:prod, 'app.partner.com', 'It begins with neither a scheme nor a slash.'),
	(:prod, '//app.partner.com', 'It begins with two slashes, which a host follows.'),
	(:prod, 'app.partner.com:443', 'It has no slash after its scheme.'),
	(:prod, 'myapp://callback', 'It has the scheme "myapp", which is neither http or https nor that of a native app, such as com.example.app.'),
	(:prod, 'javascript:alert(1)', 'It has the scheme "javascript", which is neither http or https nor that of a native app, such as com.example.app.'),
	(:prod, 'file:///x', 'It has the scheme "file", which is neither http or https nor that of a native app, such as com.example.app.'),
	(:prod, 'com.example.app:callback', 'It has no slash after its scheme.'),
	(:prod, 'com.example.app://*', 'It has an asterisk elsewhere than once in the first label of its host.'),
	(:prod, 'https://user@app.partner.com', 'It contains a user name.'),
	(:prod, 'https://app.partner.com/cb?x', 'It has a query or a fragment, which make no difference.'),
	(:prod, 'https://app.partner.com/#', 'It has a query or a fragment, which make no difference.'),
	(:prod, 'https://app.partner.com/*', 'It has an asterisk elsewhere than once in the first label of its host.'),
	(:prod, 'https://*', 'It has an asterisk below a top-level domain.'),
	(:prod, 'https://*.com', 'It has an asterisk below a top-level domain.'),
	(:prod, 'https://x*.com', 'It has an asterisk below a top-level domain.'),
	(:prod, 'https://*.co.uk', 'It has an asterisk for names below "co.uk", which belong to others.'),
	(:prod, 'https://*.vercel.app', 'It has an asterisk for all names below "vercel.app", which belong to others.'),
	(:dev, 'https://*.vercel.app/cb', 'It has an asterisk for all names below "vercel.app", which belong to others.'),
	(:prod, 'https://x*.co.uk', 'It has an asterisk for names below "co.uk", which belong to others.'),
	(:prod, 'https://x-*.com.de', 'It has an asterisk for names below "com.de", which belong to others.'),
	(:dev, 'https://*.accounts.dev', 'It has an asterisk below "accounts.dev", where other applications have names.'),
	(:prod, 'https://happy-*.accounts.dev', 'It has an asterisk below "accounts.dev", where other applications have names.'),
	(:prod, 'https://*.clerk.accounts.dev/cb', 'It has an asterisk below "clerk.accounts.dev", where other applications have names.'),
	(:dev, 'https://x*.clerk.app', 'It has an asterisk below "clerk.app", where other applications have names.'),
	(:prod, 'https://**.partner.com', 'It has an asterisk elsewhere than once in the first label of its host.'),
	(:prod, 'https://a*b*.partner.com', 'It has an asterisk elsewhere than once in the first label of its host.'),
	(:prod, 'https://app.*.com', 'It has an asterisk elsewhere than once in the first label of its host.'),
	(:prod, 'https://app.partner.*', 'It has an asterisk elsewhere than once in the first label of its host.'),
	(:prod, 'https://xn--*.partner.com', 'It has a host with a label that begins with "xn--" but is not valid punycode.'),
	(:prod, 'https://-*.partner.com', 'It has a host with a label that begins or ends with a hyphen.'),
	(:prod, 'https://app.partner.com:*', 'It has an invalid port.'),
	(:prod, '*://app.partner.com', 'It has no valid scheme.'),
	(:prod, '*', 'It begins with neither a scheme nor a slash.'),
	(:dev, 'http://1.2.3.256', 'It has a host that ends in a number, but is not an IPv4 address.'),
	(:dev, 'http://1.2.3', 'It has a host that ends in a number, but is not an IPv4 address.'),
	(:dev, 'http://app.partner.0x1f', 'It has a host that ends in a number, but is not an IPv4 address.'),
	(:dev, 'http://[1.2.3.4]', 'It has no IPv6 address in brackets.'),
	(:dev, 'http://app.partner.com:65536', 'It has an invalid port.'),
	(:prod, 'https://app.partner.com.', 'It has a host with an empty label.'),
	(:prod, 'https://bücher.com', 'It contains non-ASCII characters, which a URL has in percent-encoding or punycode.'),
	(:prod, 'https:\\app.partner.com', 'It contains a backslash.'),
	(:prod, ' https://app.partner.com', 'It contains a space or a control character.')) v (instance, url, detail);
SELECT is(pg_temp.refusal(:dev, url), 'added', 'development: ' || url)
FROM unnest('{http://192.168.0.1:3000, http://intranet, http://localhost:9/x, https://[2001:DB8:0::1]}'::text[]) url;
SELECT ok(pg_temp.allowed(:dev, 'http://192.168.0.1:3000/x') AND pg_temp.allowed(:dev, 'http://intranet/') AND pg_temp.allowed(:dev, 'https://[2001:db8::1]/x'),
	'which it may redirect to');
SELECT lives_ok(format($$SELECT instance_env.set_policy(%L, 'redirect_schemes', '["https"]')$$, :dev), 'a policy that is narrowed');
SELECT is(pg_temp.allowed(:dev, 'http://intranet/'), false, 'applies to the list, too');
SELECT is(pg_temp.refusal(:dev, 'http://other'), 'It has the scheme "http", which policy "redirect_schemes" does not include.', 'and to what is added');
SELECT instance_env.reset_policy(:dev, 'redirect_schemes') \gset

-- secrets
SELECT throws_ok(format('SELECT instance_env.add_redirect_url(%L, %L)', :prod, url), '22I03', NULL, 'no secrets: ' || left(url, 30))
FROM unnest(ARRAY['https://app.partner.com/ghp_' || repeat('a1B2', 9), 'com.example.app://x/ghp_' || repeat('a1B2', 9)]) url;
SELECT throws_ok(format('SELECT instance_env.set_allowed_origins(%L, %L)', :prod, '{https://sk-live-partner.com,https://akiaiosfodnn7example.partner.com,https://glpat-' || repeat('a1b2', 6) || '.partner.com}'), '22I03', NULL, 'in origins');
SAVEPOINT s;
SELECT is(pg_temp.refusal(:prod, url), 'added', 'no secret, and not too long: ' || url)
FROM unnest('{com.googleusercontent.apps.123456789012-a1b2c3d4e5f6g7h8i9j0a1b2c3d4e5f6:/oauth2redirect, https://a1b2c3d4e5f6g7h8i9j0a1b2c3d4e5f6.partner.com/auth/callback}'::text[]) url;
ROLLBACK TO SAVEPOINT s;

-- who is asked

SELECT throws_ok(format('SELECT instance_env.%s_redirect_url(%s, %s)', f, instance, url), state, NULL, format('%s_redirect_url(%s, %s)', f, instance, left(url, 30)))
FROM unnest('{add,remove}'::text[]) f, (VALUES
	('NULL', quote_literal('https://x.com'), '22004'), (quote_literal(:dev), 'NULL', '22004'),
	(quote_literal('00000000-0000-0000-0000-000000000000'), quote_literal('https://x.com'), '23I03'),
	(quote_literal(:dev), quote_literal(''), '22023'), (quote_literal(:dev), quote_literal('https://x.com/' || repeat('x', 2048)), '22023'),
	(quote_literal(:dev), quote_literal(E'https://x.com\x01'), '22023'), (quote_literal(:dev), quote_literal('nothing'), '22023')) v (instance, url, state);

-- once more, and away

SELECT count(*) AS events FROM instance_env.event \gset
SELECT config_version AS version FROM instance_env.instance WHERE id = :prod \gset
SELECT lives_ok(format($$SELECT instance_env.add_redirect_url(%L, 'https://app.partner.com')$$, :prod), 'a URL that is there');
SELECT lives_ok(format($$SELECT instance_env.remove_redirect_url(%L, 'https://app.partner.com/')$$, :prod), 'one that is not');
SELECT is((SELECT count(*) FROM instance_env.event), :events::bigint, 'leaves no event');
SELECT is((SELECT config_version FROM instance_env.instance WHERE id = :prod), :version::bigint, 'and is no change of the configuration');
SELECT lives_ok(format($$SELECT instance_env.remove_redirect_url(%L, 'HTTPS://APP.partner.com:443')$$, :prod), 'one that is there, in other words');
SELECT is(pg_temp.allowed(:prod, 'https://app.partner.com'), false, 'is no longer allowed');
SELECT is((SELECT config_version FROM instance_env.instance WHERE id = :prod), :version::bigint + 1, 'which is a change of the configuration');
SELECT results_eq($$SELECT action, item, before ->> 'url', after IS NULL FROM instance_env.event ORDER BY id DESC LIMIT 1$$,
	$$VALUES ('remove_redirect_url', 'https://app.partner.com', 'https://app.partner.com', true)$$, 'and is recorded');

-- all origins at once

SELECT lives_ok(format($$SELECT instance_env.set_allowed_origins(%L, ARRAY['https://one.com', 'https://two.com:8443', 'HTTPS://one.com:443', 'https://*.three.com'])$$, :prod),
	'set_allowed_origins()');
SELECT is(pg_temp.list(:prod), 'com.example.app://callback com.example.fourth:/x com.example.other:// com.example.third:/oauth https://*.three.com https://login.partner.com/Callback/'
	' https://one.com https://root.partner.com/ https://two.com:8443', 'adds origins, each once');
SELECT lives_ok(format($$SELECT instance_env.set_allowed_origins(%L, ARRAY['https://two.com:8443', 'https://four.com'])$$, :prod), 'again');
SELECT is(pg_temp.list(:prod), 'com.example.app://callback com.example.fourth:/x com.example.other:// com.example.third:/oauth https://four.com https://login.partner.com/Callback/'
	' https://root.partner.com/ https://two.com:8443', 'replaces origins, and nothing else');
SELECT is(ARRAY[pg_temp.allowed(:prod, 'https://one.com/'), pg_temp.allowed(:prod, 'https://a.three.com'), pg_temp.allowed(:prod, 'https://four.com/x')],
	'{f,f,t}', 'which applies at once');
SELECT results_eq($$SELECT action, item, before, after FROM instance_env.event ORDER BY id DESC LIMIT 1$$,
	$$VALUES ('set_allowed_origins', NULL::text, '["https://*.three.com", "https://one.com", "https://two.com:8443"]'::jsonb,
		'["https://four.com", "https://two.com:8443"]'::jsonb)$$, 'and is recorded');
SELECT count(*) AS events FROM instance_env.event \gset
SELECT lives_ok(format($$SELECT instance_env.set_allowed_origins(%L, ARRAY['https://four.com', 'https://two.com:8443'])$$, :prod), 'the same again');
SELECT is((SELECT count(*) FROM instance_env.event), :events::bigint, 'is no event');
SELECT throws_ok(format('SELECT instance_env.set_allowed_origins(%L, %s)', :prod, origins), state, NULL, 'origins: ' || left(origins, 60)) FROM (VALUES
	('NULL', '22004'), ('ARRAY[NULL]::text[]', '22004'), ($$ARRAY['']$$, '22023'), ($$ARRAY['https://x.com/']$$, '22023'), ($$ARRAY['https://x.com/path']$$, '22023'),
	($$ARRAY['https://x.com?q']$$, '22023'), ($$ARRAY['http://x.com']$$, '22023'), ($$ARRAY['com.example.app://']$$, '22023'), ($$ARRAY['x.com']$$, '22023'),
	($$ARRAY['https://five.com', 'https://*.vercel.app']$$, '22023'), ($$ARRAY['null']$$, '22023'), ($$ARRAY['*']$$, '22023'),
	($$ARRAY['https://' || repeat('x', 1000000)]$$, '22023')) v (origins, state);
SELECT throws_ok($$SELECT instance_env.set_allowed_origins(NULL, '{}')$$, '22004', NULL, 'NULL as an instance');
SELECT throws_ok($$SELECT instance_env.set_allowed_origins('00000000-0000-0000-0000-000000000000', '{}')$$, '23I03', NULL, 'an unknown instance');
SELECT is((SELECT count(*) FROM instance_env.event), :events::bigint, 'none has changed anything');
SELECT lives_ok(format($$SELECT instance_env.set_allowed_origins(%L, '{}')$$, :prod), 'none');
SELECT is((SELECT count(*) FROM instance_env.redirect_urls WHERE instance_id = :prod AND url ~ '^https'), 2::bigint, 'only URLs with a path are left');

-- not too many

SELECT lives_ok(format($$SELECT instance_env.set_allowed_origins('d0000000-0000-4000-8000-000000000002',
	(SELECT array_agg('https://x' || i || '.com') FROM generate_series(1, 1000) i))$$), 'a thousand');
SELECT is(pg_temp.allowed('d0000000-0000-4000-8000-000000000002', 'https://x' || i || '.com/y'), i <= 1000, 'origin ' || i) FROM unnest('{1,500,1000,1001}'::integer[]) i;
SELECT throws_ok($$SELECT instance_env.add_redirect_url('d0000000-0000-4000-8000-000000000002', 'com.example.app://')$$, '54000', NULL, 'one more');
SELECT throws_ok(format($$SELECT instance_env.set_allowed_origins('d0000000-0000-4000-8000-000000000002',
	(SELECT array_agg('https://y' || i || '.com') FROM generate_series(1, 1001) i))$$), '54000', NULL, 'a thousand and one');
SELECT lives_ok($$SELECT instance_env.add_redirect_url('d0000000-0000-4000-8000-000000000002', 'https://x7.com')$$, 'one that is there');

-- the list belongs to the instance

SELECT is((SELECT count(*) FROM jsonb_path_query(instance_env.export_settings(:prod), '$.**') v WHERE v::text ~ 'partner.com'), 0::bigint, 'it is not exported');
SELECT is_empty(format($$SELECT * FROM instance_env.instance_diff(%L) d WHERE d::text ~ 'partner'$$, instance_env.application_id('shop')), 'nor compared');
SELECT production_id AS staging FROM instance_env.create_staging_application('shop', 'staging.shop.com') \gset
SELECT is(pg_temp.list(:'staging'), NULL, 'nor copied to a staging environment');
SELECT results_eq($$SELECT application, type::text, count(*) FROM instance_env.redirect_urls GROUP BY 1, 2 ORDER BY 1, 2$$,
	$$VALUES ('blog', 'development', 1000::bigint), ('shop', 'development', 8), ('shop', 'production', 6)$$, 'view redirect_urls');
SELECT instance_env.drop_application('shop') \gset
SELECT is((SELECT count(*) FROM instance_env.redirect_url WHERE instance IN (:dev, :prod)), 0::bigint, 'it goes with the application');
SELECT is((SELECT count(*) FROM instance_env.event WHERE action = 'drop_application' AND item ~ ':/'), 14::bigint, 'which is recorded');

-- rights

CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_admin;
SELECT instance_env.grant_backend('instance_env_backend') \gset
SELECT instance_env.grant_admin('instance_env_admin') \gset
SET LOCAL ROLE instance_env_backend;
SELECT is(instance_env.redirect_url_allowed('d0000000-0000-4000-8000-000000000002', 'https://x7.com/'), true, 'a backend may ask');
SELECT throws_ok(q, '42501', NULL, 'it may not: ' || q) FROM unnest(ARRAY[
	$$SELECT instance_env.add_redirect_url('d0000000-0000-4000-8000-000000000002', 'https://x.com')$$,
	$$SELECT instance_env.remove_redirect_url('d0000000-0000-4000-8000-000000000002', 'https://x.com')$$,
	$$SELECT instance_env.set_allowed_origins('d0000000-0000-4000-8000-000000000002', '{}')$$,
	$$SELECT * FROM instance_env.redirect_urls$$]) q;
SET LOCAL ROLE instance_env_admin;
SELECT lives_ok(q, 'an admin may: ' || q) FROM unnest(ARRAY[
	$$SELECT instance_env.remove_redirect_url('d0000000-0000-4000-8000-000000000002', 'https://x1.com')$$,
	$$SELECT instance_env.add_redirect_url('d0000000-0000-4000-8000-000000000002', 'https://x.com')$$,
	$$SELECT instance_env.set_allowed_origins('d0000000-0000-4000-8000-000000000002', '{}')$$,
	$$SELECT * FROM instance_env.redirect_urls$$]) q;
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
