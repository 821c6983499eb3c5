--
-- Redirect URLs: what is said
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
\set VERBOSITY default
\set SHOW_CONTEXT never
\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('redirect test', 'free', :dev, :prod) IS NOT NULL AS created;

SELECT instance_env.set_allowed_origins(:prod, '{https://app.example.net,https://*.preview.example.net}');
SELECT instance_env.add_redirect_url(:prod, 'https://app.example.net/callback');
SELECT instance_env.add_redirect_url(:prod, 'HTTPS://app.example.net:443/callback');
SELECT instance_env.add_redirect_url(:prod, 'com.example.app://callback');
SELECT instance_env.remove_redirect_url(:prod, 'https://other.example.net');
SELECT application, type, instance_id, url, created_at <= now() AS created FROM instance_env.redirect_urls ORDER BY url COLLATE "C";
SELECT url, instance_env.redirect_url_allowed(:prod, url) FROM unnest('{/dashboard, //evil.com, https://app.example.net/x, https://evil.com,
	https://a.preview.example.net/, com.example.app://callback?code=1}'::text[]) url;

SELECT instance_env.add_redirect_url(:prod, 'https://*.vercel.app');
SELECT instance_env.add_redirect_url(:prod, 'http://app.example.net');
SELECT instance_env.add_redirect_url(:prod, 'https://localhost');
SELECT instance_env.add_redirect_url(:prod, 'https://app.example.net/callback?code=1');
SELECT instance_env.add_redirect_url(:prod, 'https://app.example.net/' || repeat('x', 2048));
SELECT instance_env.remove_redirect_url(:prod, '/dashboard');
SELECT instance_env.set_allowed_origins(:prod, '{https://app.example.net/}');
SELECT instance_env.set_allowed_origins(:prod, '{com.example.app://}');
SELECT instance_env.set_allowed_origins(:prod, '{NULL}');
SELECT instance_env.set_allowed_origins(:dev, (SELECT array_agg('https://x' || i || '.example.net') FROM generate_series(1, 1001) i));

-- what a warm backend answers without a look at a table
SELECT instance_env.redirect_url_allowed(:prod, 'https://evil.com');
BEGIN;
SELECT instance_env.redirect_url_allowed(:prod, url) FROM unnest('{https://app.example.net/x, https://evil.com, com.example.app://callback}'::text[]) url;
SELECT relation::regclass FROM pg_locks
WHERE pid = pg_backend_pid() AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'instance_env'::regnamespace);
COMMIT;
SELECT action, item, before - 'created_at' AS before, after - 'created_at' AS after FROM instance_env.event
WHERE action ~ 'redirect_url' AND instance = :prod ORDER BY id;

SELECT instance_env.drop_application('redirect test');
