-- validate(): keys, accounts and names that are for tests, and those that are not
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(259);

SELECT instance_env.create_application('shop', 'pro', 'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001') \gset
CREATE FUNCTION pg_temp.fails(name text, value jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	failed boolean;
BEGIN
	DELETE FROM instance_env.setting;
	INSERT INTO instance_env.setting VALUES ('a0000000-0000-4000-8000-000000000001', name, value);
	SELECT NOT passed INTO failed FROM instance_env.validate('a0000000-0000-4000-8000-000000000001') WHERE check_name = 'test' AND subject = name;
	RETURN failed;
END $$;

-- what payment services give out for tests, in sections billing and integration

CREATE TEMP TABLE keys AS SELECT unnest(ARRAY[
	'sk_test_4eC39HqLyjWDarjtT1zdp7dc', 'sk_test_123', 'pk_test_TYooMQauvdEDq54NiTphI7jx', 'rk_test_51AbCdEf', 'whsec_test_a1b2', 'cs_test_a1b2c3',
	' sk_test_123 ', 'https://buy.stripe.com/test_4gw5nLa2y3', 'https://dashboard.stripe.com/test/payments', 'https://billing.stripe.com/p/login/test_abc',
	'test_7d279f61a3499fed520f7cd8c08', 'pdl_sdbx_apikey_01hv8gwqzp58wy4mr5bpzf66ms_1TnGJ3dw', 'https://sandbox-api.paddle.com',
	'sandbox_g42y39zw_348pk9cgf3bgyw2b', 'https://api.sandbox.braintreegateway.com/merchants/x', 'https://api-m.sandbox.paypal.com', 'api-m.sandbox.paypal.com',
	'https://www.sandbox.paypal.com/cgi-bin/webscr', 'sb-47xyz1234567@business.example.com', 'sb-47xyz@personal.example.com',
	'test_ADYEN4CLIENTKEY4WITH4DIGITS', 'TESTX1234567890ABCDEF', 'https://checkout-test.adyen.com/v71', 'https://pal-test.adyen.com/pal/servlet',
	'sandbox-sq0idb-abc', 'sandbox-sq0atb-xyz', 'EAAAlxyz0123456789abcdefghij_KLMNOPQRSTUVWXYZ0123', 'https://connect.squareupsandbox.com',
	'rzp_test_1DP5mmOlF5G5ag', 'test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM', 'sk_sbox_abc123', 'pk_sbox_abc123', 'https://api.sandbox.checkout.com',
	'sandbox_r8ebqLUx0aYsYpm9tPb0qCe1gjNTYxlb5HQZ5jwk', 'https://api-sandbox.gocardless.com', 'test_5LjFA6K6doB2EKRP7cufTd5TvT32a5BrT', 'https://acme-test.chargebee.com',
	'https://apitest.authorize.net/xml/v1/request.api', 'https://test.authorize.net/gateway/transact.dll', 'https://api.playground.klarna.com', 'klarna_test_api_abc',
	'https://api-public.sandbox.exchange.coinbase.com', 'https://APITEST.cybersource.com:443/pts', 'TEST-1234567890123456-010203-abcdef', 'skey_test_5abc', 'pkey_test_5abc',
	'FLWPUBK_TEST-SANDBOXDEMOKEY-X', 'FLWSECK_TEST-abc', 'xnd_development_abc', 'SB-Mid-server-abc', 'https://acme:secret@api.sandbox.paypal.com/x?y#z']) AS value;
SELECT ok(pg_temp.fails('billing.account_id', to_jsonb(value)), 'for tests: ' || value) FROM keys;
SELECT ok(pg_temp.fails('integration.payments', jsonb_build_object('a', jsonb_build_array(1, null, jsonb_build_object('b', value)))),
	'in section integration, deep inside: ' || value) FROM keys;

-- what is for no tests

CREATE TEMP TABLE others AS SELECT unnest(ARRAY[
	'sk_live_4eC39HqLyjWDarjtT1zdp7dc', 'pk_live_a', 'rk_live_a', 'whsec_a1b2c3', 'live_7d279f61a3499fed520f7cd8c08', 'pdl_live_apikey_01hv', 'production_g42y39zw_348p',
	'https://api.paypal.com', 'https://api-m.paypal.com/v1', 'https://checkout-live.adyen.com', 'sq0idp-abc', 'EAAAExyz0123456789abcdefghij_KLMNOPQRST', 'EAAAl',
	'rzp_live_1DP5mmOlF5G5ag', 'live_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM', 'https://api.klarna.com', 'https://api.authorize.net', 'https://acme.chargebee.com',
	'latest', 'latest_test', 'latest news', 'contest', 'attest', 'testimonials', 'test drive', 'test_announcement', 'test', 'sandbox', 'Testing our patience',
	'we have an sk_test_123 key, too', 'https://buy.stripe.com/4gw5nLa2y3', 'https://stripe.com/latest', 'https://contest.example.com', 'https://latest.example.com/test',
	'https://example.com/test', 'https://www.attest.com', 'https://www.sandbox.com', 'test@example.com', 'sb-x@example.com', 'mailto:test@example.com', 'TESTIMONIALS2024',
	'acct_1032D82eZvKYlo2C', 'price_1MoBy5LkdIwHu7ixZhnattbh', 'https://shop.example.com/?x=sandbox', '1.2-test.3.4', 'AB_TEST_GROUP', 'vault:shop/latest', 'env:STRIPE_KEY', '',
	'bücher-Ω-test', E'\u202Etest', 'data:text/plain,test', '2024-01-01', 'SEK']) AS value;
SELECT ok(NOT pg_temp.fails('billing.note', to_jsonb(value)), 'not for tests: ' || value) FROM others;
SELECT is_empty($$SELECT value FROM others WHERE pg_temp.fails('integration.payments', jsonb_build_object('a', jsonb_build_array(value)))$$,
	'none of them in section integration');

-- names in section billing, and what they are set to

CREATE TEMP TABLE named (name text, value jsonb, fails boolean);
INSERT INTO named VALUES
	('billing.test', '1', true), ('billing.test_account', '"acct_1"', true), ('billing.stripe_test_key', '"x"', true), ('billing.sandbox', 'true', true),
	('billing.sandbox.key', '"x"', true), ('billing.test.account', '"x"', true), ('billing.testing', '"on"', true), ('billing.use_sandbox', '1', true),
	('billing.staging_account', '"x"', true), ('billing.testmode', 'true', true), ('billing.test2', '"x"', true),
	('billing.provider', '{"testMode": true}', true), ('billing.provider', '{"a": {"isSandbox": "yes"}}', true), ('billing.provider', '[{"test-key": "x"}]', true),
	('billing.provider', '{"APITestKey": "x"}', true), ('billing.provider', '{"sandbox": {"key": "x"}}', true),
	('billing.livemode', 'false', true), ('billing.live_mode', '"false"', true), ('billing.live', '0', true), ('billing.is_live', 'false', true),
	('billing.stripe.livemode', 'false', true), ('billing.stripe', '{"account": {"livemode": false}}', true), ('billing.stripe', '{"liveMode": "off"}', true),
	('billing.production', 'false', true),
	('billing.environment', '"sandbox"', true), ('billing.env', '"test"', true), ('billing.mode', '"TEST"', true), ('billing.stripe_env', '"development"', true),
	('billing.paypal', '{"mode": "sandbox"}', true), ('billing.environment', '"Environment.SANDBOX"', true), ('billing.environment', '"staging"', true),
	('billing.paddle', '{"environment": " Sandbox "}', true), ('billing.account', '"test"', true), ('billing.live_mode', '"test"', true),
	('billing.key', '"env:STRIPE_TEST_KEY"', true), ('billing.key', '"STRIPE_TEST_SECRET_KEY"', true), ('billing.key', '"vault:shop/sandbox/stripe"', true),
	('billing.url', '"https://billing.shop.test/pay"', true), ('billing.url', '"https://api.sandbox.acme.example"', true), ('billing.url', '"https://test.api.acme.example/"', true),
	('test.mode', 'true', true), ('test.anything', '"x"', true), ('test.users', '{"enabled": true}', true),
	('integration.stripe', '{"livemode": false}', true), ('integration.stripe_key', '"sk_test_123"', true),
	('billing.testimonials', 'true', false), ('billing.latest', 'true', false), ('billing.contest', '"x"', false), ('billing.attestation', '"x"', false),
	('billing.protest', '1', false), ('billing.fastest', 'true', false), ('billing.ab_test', 'true', false), ('billing.provider', '{"abTest": 1, "a_b_test": 1}', false),
	('billing.reject_test_cards', 'true', false), ('billing.disable_sandbox', 'true', false),
	('billing.test', 'false', false), ('billing.test_mode', '"off"', false), ('billing.sandbox', '{}', false), ('billing.test_account', '""', false),
	('billing.sandbox', '{"enabled": false, "key": "sk_test_123"}', false), ('billing.stripe', '{"enabled": "no", "key": "sk_test_123"}', false),
	('billing.provider', '{"test_mode": false, "contest": true}', false), ('billing.provider', '{"name": "test"}', false),
	('billing.livemode', 'true', false), ('billing.livemode', 'null', false), ('billing.live', '"yes"', false), ('billing.live_chat', 'false', false),
	('billing.delivery', 'false', false), ('billing.alive', 'false', false), ('billing.production', 'true', false), ('billing.livemode', '""', false),
	('billing.environment', '"production"', false), ('billing.mode', '"subscription"', false), ('billing.env', '"live"', false), ('billing.model', '"test"', false),
	('billing.environment', '"contest"', false), ('billing.description', '"sandbox"', false),
	('test.mode', 'false', false), ('test.mode', '{"enabled": false, "users": ["a"]}', false), ('test.users', '[]', false),
	('integration.ab_test', 'true', false), ('integration.sandbox', 'true', false), ('integration.crm', '"https://test.salesforce.com"', false),
	('integration.sentry', '{"environment": "staging"}', false), ('integration.key', '"env:CRM_TEST_KEY"', false),
	('session.test', 'true', NULL), ('webhook.sandbox', '"sk_test_123"', NULL), ('user.livemode', 'false', NULL);
SELECT is(pg_temp.fails(name, value), fails, format('%s = %s: %s', name, value,
	CASE fails WHEN true THEN 'for tests' WHEN false THEN 'not for tests' ELSE 'not asked' END)) FROM named;

-- other shapes and sizes

SELECT is(pg_temp.fails('billing.a', v), false, what) FROM (VALUES ('a megabyte', to_jsonb(repeat('test_', 200000))), ('null', 'null'), ('nothing', '[]'),
	('a key that is too long', to_jsonb('sk_test_' || repeat('x', 3000))), ('control characters', E'"\\u0001test\\u0007"'),
	('a long name', jsonb_build_object(repeat('contest', 100000), true)), ('deep', (repeat('[', 500) || repeat(']', 500))::jsonb),
	('many dots', to_jsonb(repeat('.', 2000))), ('a host of dots', '"https://..test..com"'), ('a scheme', '"://"'), ('a colon', '":"'), ('an at sign', '"https://@"')) v (what, v);
SELECT is(pg_temp.fails('billing.a', (repeat('{"a":[', 500) || '"sk_test_1"' || repeat(']}', 500))::jsonb), true, 'a key, deep inside');

-- what promotion would bring counts, too

DELETE FROM instance_env.setting;
UPDATE instance_env.setting_section SET cloned = true WHERE name = 'billing';
INSERT INTO instance_env.setting VALUES ('d0000000-0000-4000-8000-000000000001', 'billing.key', '"sk_test_123"');
SELECT isnt_empty($$SELECT FROM instance_env.validate('a0000000-0000-4000-8000-000000000001') WHERE check_name = 'test' AND subject = 'billing.key' AND NOT passed$$,
	'a key that would be cloned');

SELECT * FROM finish();
ROLLBACK;
