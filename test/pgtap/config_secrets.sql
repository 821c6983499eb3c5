-- Secrets are not stored: their known forms are refused wherever a text is, and a reference
-- has a form of its own.  The secrets below are made up, and in pieces, lest a scanner of
-- repositories finds them.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', 'pro', :dev, :prod) \gset
SELECT instance_env.create_secret_key(:dev) AS own_key \gset

CREATE FUNCTION pg_temp.said(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN '00000';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, message, detail, hint);
END $$;
CREATE FUNCTION pg_temp.state(command text) RETURNS text LANGUAGE sql AS $$SELECT left(pg_temp.said(command), 5)$$;
CREATE FUNCTION pg_temp.refer(reference text) RETURNS text LANGUAGE sql AS $$
SELECT pg_temp.state(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', 'google', 'id', reference))
$$;

CREATE TEMP TABLE secrets (what text, secret text);
INSERT INTO secrets VALUES
	('AWS access key', 'AKIA' || repeat('Q', 16)), ('AWS temporary access key', 'ASIA' || 'Y34FZKBOKMUTVV7A'),
	('Google API key', 'AIza' || 'SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY'), ('Google client secret', 'GOCSPX-' || 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4'),
	('Google access token', 'ya29.' || 'a0AfH6SMBx-_12345678901234567890'), ('Google refresh token', '1//0' || 'gx_abcdefghijklmnopqrstuvwxyz0123'),
	('GitHub ghp_', 'ghp_' || repeat('a1B2', 9)), ('GitHub gho_', 'gho_' || repeat('a1B2', 9)), ('GitHub ghu_', 'ghu_' || repeat('a1B2', 9)),
	('GitHub ghs_', 'ghs_' || repeat('a1B2', 9)), ('GitHub ghr_', 'ghr_' || repeat('a1B2', 9)),
	('GitHub fine-grained', 'github_pat_' || repeat('1', 22) || '_' || repeat('x', 59)), ('GitLab', 'glpat-' || 'xYz_123-4567890abcde'),
	('Slack bot', 'xoxb-' || '17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzOqgy'), ('Slack user', 'xoxp-' || '17653672481-1987'),
	('Slack app', 'xoxa-' || '2-17653672481'), ('Slack refresh', 'xoxr-' || '17653672481'), ('Slack session', 'xoxs-' || '17653672481'),
	('Stripe live', 'sk_live_' || '4eC39HqLyjWDarjt'), ('Stripe test', 'sk_test_' || '4eC39HqLyjWDarjtT1zdp7dc'),
	('Stripe restricted', 'rk_live_' || '4eC39HqLyjWDarjt'), ('Stripe webhook', 'whsec_' || '4eC39HqLyjWDarjt'),
	('one of this service', :'own_key'), ('OpenAI', 'sk-' || repeat('a', 20) || 'T3BlbkFJ' || repeat('b', 20)),
	('OpenAI project', 'sk-proj-' || 'Ab_cd-12345678901234567890'), ('Anthropic', 'sk-ant-' || 'api03-Ab_cd-1234567890AA'),
	('SendGrid', 'SG.' || 'ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr'), ('Twilio', 'SK' || md5('twilio')),
	('Mailgun', 'key-' || md5('mailgun')), ('npm', 'npm_' || repeat('aB3', 12)), ('PyPI', 'pypi-' || 'AgEIcHlwaS5vcmc' || repeat('a-_9', 20)),
	('Azure', 'DefaultEndpointsProtocol=https;AccountName=x;AccountKey=' || repeat('Ab1+/', 17) || '=='),
	('Entra', 'abc8' || 'Q~' || repeat('Ab1.-', 7)), ('DigitalOcean', 'dop_v1_' || md5('a') || md5('b')), ('Shopify', 'shpat_' || md5('c')),
	('Square token', 'EAAA' || repeat('Ab1-_x', 10)), ('Square secret', 'sq0csp-' || repeat('Ab1', 14)), ('Vault', 'hvs.' || repeat('Ab1', 8)),
	('Paddle', 'pdl_live_apikey_' || '01gtgztp8f4kek3yd4g1wrksa3'), ('Linear', 'lin_api_' || repeat('Ab1c', 10)), ('LinkedIn', 'WPL_AP1.' || 'AbCdEfGh12345678.AbCdEf=='),
	('private key', '-----BEGIN ' || 'PRIVATE KEY-----'), ('RSA', E'x\n-----BEGIN ' || E'RSA PRIVATE KEY-----\nMIIE'), ('EC', '-----BEGIN ' || 'EC PRIVATE KEY-----'),
	('OpenSSH', '-----BEGIN ' || 'OPENSSH PRIVATE KEY-----'), ('encrypted', '-----BEGIN ' || 'ENCRYPTED PRIVATE KEY-----'),
	('PGP', '-----BEGIN ' || 'PGP PRIVATE KEY BLOCK-----'), ('SSH2', '---- BEGIN ' || 'SSH2 ENCRYPTED PRIVATE KEY ----'),
	('PKCS 8 in base64', 'MIIEvQ' || 'IBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ'), ('PKCS 1 in base64', 'MIIEpA' || 'IBAAKCAQEAuwkAZ5X2lXy3bKc0'),
	('JWT', 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9' || '.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N'),
	('age', 'AGE-SECRET-KEY-' || '1' || repeat('QZ3', 19)), ('URL', 'postgres://app:' || 'hunter2@db.example.com/shop'),
	('URL without a user', 'redis://:' || 'hunter2@cache:6379'), ('URL with @ in the password', 'https://a:' || 'b@c@example.com'),
	('Heroku', 'HRKU-' || 'AAdt4-kO5B0qkYhXvB7yO9Dk1cQy5qYtGfJ8Vb3nWm0k'), ('Grafana', 'glsa_' || 'HOruNAb7SOiCdshU7algkrq7FDsNSLAa_55e2f8be'),
	('Mapbox', 'sk.' || 'eyJ1Ijoic2hvcCIsImEiOiJjbHgwMTIzNDU2Nzg5In0.Ab1cD2eF3gH4iJ5kL6mN7o'), ('New Relic', 'NRAK-' || repeat('A1B', 9)), ('Figma', 'figd_' || repeat('aB-1', 10)),
	('bearer', 'Authorization: Bearer ' || 'abc123abc123abc123abc123'), ('basic', 'Basic ' || 'dXNlcjpwYXNzd29yZA==');

-- texts that resemble one
CREATE TEMP TABLE harmless (said text);
INSERT INTO harmless VALUES ('pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk'), ('pk_live_' || repeat('x', 40)), ('sk_test_123'), ('sk_live_'), ('sk_test_…'),
	('AKIA'), ('AKIA' || repeat('R', 15)), ('AKIA' || repeat('R', 17)), ('xAKIA' || repeat('R', 16)), ('akia' || repeat('q', 16)), ('a risk-averse task-force'),
	('sk-2024-marketing-campaign-summer-and-winter'), ('desk-' || repeat('a', 30)), ('Bearer tokens are sent in headers'), ('Bearer token-authentication/authorization'),
	('Bearer ${TOKEN}'), ('Basic Features of our Plan'), ('Basic Plan2024'), ('https://example.com/a:b@c'), ('https://example.com@evil.com/'), ('https://x.com: write to a:b@c.com'),
	('http://localhost:3000/@you'), ('postgres://app@db/shop'), ('postgres://app:@db/shop'), ('postgres://app:${DB_PASSWORD}@db/shop'), ('postgres://app:$DB_PASSWORD@db/shop'),
	('postgres://app:{{password}}@db/shop'), ('postgres://app:***@db/shop'), ('-----BEGIN CERTIFICATE-----' || E'\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa'), ('-----BEGIN PUBLIC KEY-----'),
	('MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA'), ('eyJ'), ('eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.'), ('test_7d279f61a3499fed520f7cd8c08'), ('AC' || md5('account')), ('key-value'),
	('task_test_notificationsenabled'), ('https://example.com/desk_live_chatwithoursupport'),
	('sk-foldingcubeanimationspinner'), ('sk-ant-colony-simulation-game'), ('sk-admin-panel-navigation-bar'), ('glrt-some-long-slug-of-a-page'), ('pypi-' || repeat('package-', 8)),
	('SG.checkout.confirmation.button.label.primary'), ('secret_' || repeat('santa', 9)), (repeat('AAAA', 16) || E'\n' || 'EAAA' || repeat('AAAA', 15) || E'\n' || repeat('AAAA', 16)),
	('SK'), ('SG.1'), ('EAAA'), ('whsec_'), ('0f8fad5b-d9cb-469f-a165-70867728950e'), (md5('x')), ('env:STRIPE_KEY'), ('The AccountKey= of the store'), ('Größe 開発 🔑'), ('');

SELECT plan(30 + 2 * (SELECT count(*) FROM secrets)::integer + (SELECT count(*) FROM harmless)::integer);

-- settings: strings in any place, keys, names

SELECT throws_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'billing.key', to_jsonb(secret)), '22I03',
	'the value of setting "billing.key" looks like a secret', 'not in a setting: ' || what) FROM secrets;
SELECT is_empty($$SELECT what, shape FROM secrets, LATERAL (VALUES (to_jsonb('x, "' || secret || '", y')), (jsonb_build_array(1, ARRAY['a', secret])),
		(jsonb_build_object('a', jsonb_build_object('b', secret))), (jsonb_build_object(secret, 1)), (jsonb_build_array(jsonb_build_object('a', 1, secret, null))),
		(to_jsonb('Ω' || secret)), (to_jsonb('key=' || secret)), (to_jsonb(repeat('long ', 100000) || secret))) v (shape)
	WHERE pg_temp.state(format('SELECT instance_env.set_setting(%L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', 'integration.x', shape)) <> '22I03'$$, 'wherever in the value it is');
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'session.harmless', to_jsonb(said)), 'a setting: ' || left(to_json(said)::text, 60)) FROM harmless;
SELECT throws_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'billing.sk_live_' || repeat('a1', 12), '1'), '22I03', 'the name of a setting looks like a secret',
	'nor as the name of one');
SELECT throws_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'ghp_' || repeat('a1B2', 9), '1'), '22I03', 'the name of a setting looks like a secret',
	'nor what could not be a name');
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'session.big', to_jsonb(repeat('sk-ant-AKIAeyJ.://a:', 400000))), 'a long text full of beginnings');
SELECT instance_env.set_setting(:dev, 'session.big', NULL) \gset
SELECT is_empty($$SELECT jwk FROM unnest(ARRAY['{"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx", "e": "AQAB", "d": "X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH"}',
		'{"crv": "P-256", "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "kty": "EC"}',
		'{"keys": [{"kty": "EC", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"}, {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}]}']::jsonb[]) jwk
	WHERE pg_temp.state(format('SELECT instance_env.set_setting(%L, %L, %L)', 'd0000000-0000-4000-8000-000000000001', 'sso.jwk', jwk)) <> '22I03'$$, 'nor private keys as JSON');
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'sso.jwk', '[{"d": "a description that is long", "a": 1}, {"a": {"d": "a description that is long"}, "kty": 1}, {"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"}]'),
	'but public ones');
SELECT throws_ok($$SELECT * FROM instance_env.import_settings('d0000000-0000-4000-8000-000000000001', jsonb_build_object('format', 1, 'settings',
	jsonb_build_object('session.a', 1, 'session.b', ARRAY['AKIA' || repeat('Q', 16)])), true)$$, '22I03', 'the value of setting "session.b" looks like a secret',
	'nor imported');
SELECT is(instance_env.setting(:dev, 'session.a'), NULL, 'not even the rest');

-- what else is stored

SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', :dev, 'google', 'GOCSPX-' || repeat('a1B2', 7), 'env:X'), '22I03',
	'argument "client_id" looks like a secret', 'not as a client_id');
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L, %L)', :dev, 'google', 'id', 'env:X', ARRAY['a', 'ghp_' || repeat('a1B2', 9)]), '22I03',
	'argument "scopes" looks like a secret', 'nor as a scope');
SELECT throws_ok(format('SELECT instance_env.set_policy(%L, %L, %L)', :dev, 'banner', to_jsonb('Shop: ' || :'own_key'::text)), '22I03',
	'the value of policy "banner" looks like a secret', 'nor in a policy');
SELECT throws_ok(format('SELECT instance_env.add_redirect_url(%L, %L)', :dev, 'https://localhost/' || :'own_key'), '22I03', 'a redirect URL looks like a secret',
	'nor in a redirect URL');
SELECT lives_ok(format('SELECT instance_env.create_application(%L, development_key => %L)', 'key-' || md5('a'), 'SK' || md5('b')),
	'names and keys of applications are what they are');

-- references

SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', :dev, 'google', 'id', scheme || left(translate(secret, E'\n', ' '), 240)), '22I03',
	'argument "secret_reference" looks like a secret', scheme || ': not as a reference: ' || what) FROM secrets, (VALUES ('vault:')) s (scheme);
SELECT is_empty($$SELECT what, scheme FROM secrets, unnest(ARRAY['', 'env:', 'vault:kv/', 'op://vault/item/', 'https://example.com/', 'data:text/plain;base64,']) scheme
	WHERE pg_temp.refer(scheme || left(translate(secret, E'\n', ' '), 230)) NOT IN ('22I03')$$, 'whatever is before it');
CREATE TEMP TABLE opaque (what text, secret text);
INSERT INTO opaque VALUES ('32 hexadecimal digits', md5('x')), ('the same in upper case', upper(md5('x'))), ('40', md5('x') || left(md5('y'), 8)), ('64', md5('x') || md5('y')),
	('an AWS secret access key', 'wJalrXUtnFEMI/K7MDENG/' || 'bPxRfiCYEXAMPLEKEY'), ('30 letters and digits', 'k3vj9x0q2m7c5b8n1z4l6w' || 'p0s9d2h5'),
	('50 in mixed case', 'Zr4u7xAzD1G3KbPeShVm' || 'Yq3t6w9zACFHMcQfTjWnZr4u7x5A1D'), ('44 in base64', 'q83vEjRWeJq83vEjRWeJ+' || 'q83vEjRWeJq83vEjRWeJq8='),
	('letters, then digits', 'abcdefghijklmnopqrstuvwxyz' || '0123456789'), ('a Twitch secret', '41vpdji4e9gif29md0ouet6fktd2' || 'x8');
SELECT is_empty($$SELECT what, scheme FROM opaque, unnest('{"", env:, vault:, vault:kv/, vault:kv/shop/, aws-sm:prod/google/, op://vault/}'::text[]) scheme
	WHERE pg_temp.refer(scheme || secret) <> '22I03'$$, 'nor a random key of no known form');
SELECT set_eq($$SELECT reference FROM unnest(ARRAY['env:GOOGLE_SECRET', 'env:_x1', 'vault:shop/google', 'vault:secret/shop/google#client_secret', 'aws-sm:prod/google',
		'gcp-sm://projects/1234567890123/secrets/google/versions/latest', 'op://shop/google/secret', 'op://shop/nbuxbcjd7yvl4kcxl5f6ltdx6q/password',
		'op://hfnjvi6aymbsnfc2xeeoheizda/nbuxbcjd7yvl4kcxl5f6ltdx6q/password', 'file:/run/secrets/google',
		'arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-google-a1b2c3', 'bws:0f8fad5b-d9cb-469f-a165-70867728950e',
		'https://shop.vault.azure.net/secrets/google/' || md5('x'), 'k8s:shop/google', 'doppler://shop/prd/GOOGLE_SECRET', 'vault:TheClientSecretOfTheShopAtGoogleInTheVault',
		'vault:Shop2/GoogleOauth2ClientSecretProduction', 'secret:google', 'vault:größe', 'x+y.z-1:a', 'vault:123456789012345678901234567890',
		'vault:team1/googleoauth2clientsecretprod', 'vault:postgresql16productionclientsecret', 'env:GOOGLEOAUTH2CLIENTSECRETPROD',
		'vault:' || repeat('a', 249)]) reference WHERE pg_temp.refer(reference) <> '00000'$$, '{}'::text[], 'references');
SELECT set_eq($$SELECT text FROM unnest(ARRAY['GOOGLE_SECRET', 'google', 'projects/1/secrets/google', '0f8fad5b-d9cb-469f-a165-70867728950e', ':x', 'env', 'env:', 'vault:', 'op://', 'file:///',
		'Env:X', 'VAULT:x', 'v:x', '1password:x', '-a:x', '_a:x', ' env:X', 'env :X', 'env: X', 'vault:a b', 'vault:a ', E'vault:a\u00a0b', E'vault:\u200b', E'vault:a\u0085', E'vault:a\u3000b',
		E'vault:a\tb', E'vault:a\n', E'vault:\x7f', 'env:A B', 'env:A-B', 'env:1A', 'env:A/B', 'env:$A', 'env:é', 'data:text/plain,hunter2', 'data:,x', 'base64:aHVudGVyMg==', 'plain:hunter2',
		'literal:hunter2', 'raw:x', 'größe:x', E'C:\\secrets', '', 'vault:' || repeat('a', 250), repeat('x', 1000000)]) text WHERE pg_temp.refer(text) <> '22023'$$, '{}'::text[], 'what is none');

SELECT cmp_ok((SELECT count(*) FROM (SELECT translate(encode(sha512(i::text::bytea), 'base64'), E'\n+/=', '') AS random FROM generate_series(1, 500) i) r
	WHERE pg_temp.refer('vault:shop/' || left(random, 40)) = '22I03'), '>=', 490::bigint, 'nearly no random key passes for words');

SELECT cmp_ok((SELECT count(*) FROM (SELECT string_agg(substr('abcdefghijklmnopqrstuvwxyz0123456789', 1 + get_byte(sha512(i::text::bytea), j) % 36, 1), '' ORDER BY j)
	AS random FROM generate_series(1, 500) i, generate_series(1, 30) j GROUP BY i) r WHERE pg_temp.refer('vault:shop/' || random) = '22I03'), '>=', 490::bigint,
	'nor in small letters and digits');
SELECT is((SELECT count(*) FROM generate_series(1, 500) i WHERE pg_temp.refer('vault:shop/' || md5(i::text)) = '22I03'), 500::bigint, 'nor in hexadecimal digits');

-- the message does not repeat it, and neither do logs of ours

CREATE TEMP TABLE said AS SELECT s.what, s.secret, m.said FROM secrets s, LATERAL (VALUES
	(pg_temp.said(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'billing.key', to_jsonb(secret)))),
	(pg_temp.said(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, secret, '1'))),
	(pg_temp.said(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', :dev, 'google', 'id', left(secret, 200))))) m (said);
SELECT is_empty('SELECT what, said FROM said WHERE position(secret IN said) > 0 OR position(left(secret, 12) IN said) > 0', 'no word of it in a message');
SELECT is_empty('SELECT what FROM said WHERE said LIKE ''%0000''', 'each of them is one');
SELECT is_empty($$SELECT e.* FROM instance_env.event e, secrets s WHERE position(s.secret IN e::text) > 0$$, 'the audit log has none');
SELECT matches(pg_temp.said(format('SELECT instance_env.set_setting(%L, %L, %L)', :dev, 'billing.key', to_jsonb('AKIA' || repeat('Q', 16)))),
	'looks like an AWS access key.*env:GOOGLE_SECRET', 'it says what it looks like, and what to do');

-- what is there already: dumps are restored, and the secret can be removed and is carried over

SELECT lives_ok(format('INSERT INTO instance_env.setting VALUES (%L, %L, %L)', :dev, 'session.old', to_jsonb(secret)), 'a table takes what a dump has')
FROM secrets WHERE what = 'JWT';
SELECT lives_ok(format('INSERT INTO instance_env.social_connection (instance, provider, instance_type, source, client_id, secret_reference) VALUES (%L, %L, %L, %L, %L, %L)',
	:dev, 'github', 'development', 'own', 'id', 'GITHUB_SECRET'), 'an old reference, too');
SELECT is((SELECT secret_reference FROM instance_env.social_credentials(:dev, 'github')), 'GITHUB_SECRET', 'which is what it was');
SELECT is_empty(format('SELECT * FROM instance_env.import_settings(%L, instance_env.export_settings(%1$L))', :dev), 'what stays is not looked at again');
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, NULL)', :dev, 'session.old'), 'it can be removed');
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L, %L, %L)', :dev, 'github', 'id', 'GITHUB_SECRET'), '22023',
	'invalid value for argument "secret_reference"', 'and not be set again');

SELECT * FROM finish();
ROLLBACK;
