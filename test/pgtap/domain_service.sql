-- The names of the service itself: what they can be, who changes them and when, and that
-- everything made of them follows
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(76);

-- What a name can be.
CREATE FUNCTION pg_temp.refused(settings jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM instance_env.configure_service($1);
	RAISE SQLSTATE 'ZZZZZ';
EXCEPTION
	WHEN SQLSTATE 'ZZZZZ' THEN RETURN 'ok';
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		RETURN SQLSTATE || ' ' || detail;
END $$;
SELECT is(pg_temp.refused(v.settings::jsonb), v.result, v.settings) FROM (VALUES
	('[]', '22023 They are not an object.'),
	('"accounts.dev"', '22023 They are not an object.'),
	('null', '22023 They are not an object.'),
	('{}', 'ok'),
	('{"name": "acme"}', '22023 There is no such name.'),
	('{"": "acme"}', '22023 There is no such name.'),
	('{"development_domain": null}', '22023 It must be a string.'),
	('{"development_domain": ["a.b"]}', '22023 It must be a string.'),
	('{"development_domain": "acme"}', '22023 It is not a domain.'),
	('{"development_domain": ""}', '22023 A label is empty, or begins or ends with a hyphen or with a character that it cannot have.'),
	('{"development_domain": "acme..dev"}', '22023 A label is empty, or begins or ends with a hyphen or with a character that it cannot have.'),
	('{"development_domain": "acme.dev."}', '22023 A label is empty, or begins or ends with a hyphen or with a character that it cannot have.'),
	('{"development_domain": "Acme.dev"}', '22023 A label is empty, or begins or ends with a hyphen or with a character that it cannot have.'),
	('{"development_domain": "acme dev.com"}', '22023 It has characters other than lower-case letters, digits and hyphens.'),
	('{"development_domain": "10.0.0.1"}', '22023 It is not a domain.'),
	('{"development_domain": "acme.1"}', '22023 It ends in a number, but is not an IPv4 address.'),
	('{"development_domain": "co.uk"}', '22023 It is a public suffix, below which others register their domains.'),
	('{"service_domains": ["acme.com", "com.uy"]}', '22023 It is a public suffix, below which others register their domains.'),
	('{"development_domain": "vercel.app"}', 'ok'),
	('{"development_domain": "dev.acme.com"}', 'ok'),
	('{"frontend_api_label": "a.b"}', '22023 It must be a single label.'),
	('{"frontend_api_label": "accounts"}', '22023 The frontend API and the account portal have the same label.'),
	('{"frontend_api_label": "clkmail"}', '22023 Two DNS records have the name "clkmail".'),
	('{"frontend_api_label": "id", "portal_label": "clerk"}', 'ok'),
	('{"frontend_api_target": "{instance}.edge.acme.com"}', 'ok'),
	('{"frontend_api_target": "x{instance}x.edge.acme.com"}', 'ok'),
	('{"frontend_api_target": "{instance}{instance}.acme.com"}', '22023 It has characters other than lower-case letters, digits and hyphens.'),
	('{"portal_target": "{user}.edge.acme.com"}', '22023 A label is empty, or begins or ends with a hyphen or with a character that it cannot have.'),
	('{"mail_records": []}', '22023 It must be an object.'),
	('{"mail_records": {}}', 'ok'),
	('{"mail_records": {"a b": "mx.acme.com"}}', '22023 It has characters other than lower-case letters, digits and hyphens.'),
	('{"mail_records": {"acme": 1}}', '22023 It must be a string.'),
	('{"mail_records": {"s1._domainkey": "s1.acme.com"}}', 'ok'),
	('{"mail_records": {"accounts": "mx.acme.com"}}', '22023 Two DNS records have the name "accounts".'),
	('{"service_domains": "acme.com"}', '22023 It must be an array of domains.'),
	('{"service_domains": [1]}', '22023 It must be a string.'),
	('{"service_domains": []}', 'ok'),
	('{"service_domains": ["acme.com", "acme"]}', '22023 It is not a domain.'),
	('{"oauth_callback_path": "callback"}', '22023 It must be an absolute path of letters, digits, hyphens, dots, underscores and tildes.'),
	('{"oauth_callback_path": "//evil.com"}', '22023 It must be an absolute path of letters, digits, hyphens, dots, underscores and tildes.'),
	('{"oauth_callback_path": "/a/../b"}', '22023 It must be an absolute path of letters, digits, hyphens, dots, underscores and tildes.'),
	('{"oauth_callback_path": "/sso/v2/callback"}', 'ok'),
	('{"test_email_marker": "test"}', '22023 It must be a plus sign, hyphen, dot or underscore with lower-case letters or digits after it.'),
	('{"test_email_marker": "+"}', '22023 It must be a plus sign, hyphen, dot or underscore with lower-case letters or digits after it.'),
	('{"test_email_marker": "++"}', '22023 It must be a plus sign, hyphen, dot or underscore with lower-case letters or digits after it.'),
	('{"test_email_marker": "+a@b"}', '22023 It must be a plus sign, hyphen, dot or underscore with lower-case letters or digits after it.'),
	('{"publishable_key_prefixes": "pk_"}', '22023 It must be an object of "development" and "production".'),
	('{"publishable_key_prefixes": {"development": "a_", "staging": "b_"}}', '22023 It does not have "production".'),
	('{"publishable_key_prefixes": {"development": "a", "production": "b_"}}', '22023 A prefix must begin with a lower-case letter, end in an underscore, and have letters, digits and underscores between them.'),
	('{"publishable_key_prefixes": {"development": "sk_test_", "production": "pk_live_"}}', '22023 Keys that begin with "sk_test_" would also begin with "sk_test_".'),
	('{"secret_key_prefixes": {"development": "key_", "production": "key_live_"}}', '22023 Keys that begin with "key_live_" would also begin with "key_".'),
	('{"legacy_key_prefixes": null}', 'ok'),
	('{"secret_key_prefixes": null}', '22023 It must be an object of "development" and "production".')
) v (settings, result);
SELECT matches(pg_temp.refused(jsonb_build_object(name, to_jsonb(CASE name WHEN 'oauth_callback_path' THEN '/' WHEN 'test_email_marker' THEN '+' ELSE '' END || repeat('x', 1000000)))),
	'^22023 .{1,100}$', name || ': very long') FROM unnest('{development_domain, test_email_marker, oauth_callback_path}'::text[]) name;
SELECT matches(pg_temp.refused(jsonb_build_object('service_domains', (SELECT jsonb_agg(i || '.acme.com') FROM generate_series(1, 1000) i))),
	'^22023 .*more than 32', 'very many');
SELECT throws_ok('SELECT instance_env.configure_service(NULL)', '22004', NULL, 'null');

-- An instance's own label, in any target
SAVEPOINT s;
SELECT instance_env.configure_service('{"frontend_api_target": "{instance}.edge.acme.com", "portal_target": "x{instance}.acme.com",
	"publishable_key_prefixes": {"development": "acme_dev_", "production": "acme_live_"}}') \gset
SELECT production_id AS prod, development_id AS dev FROM instance_env.create_application('shop') \gset
SELECT instance_env.associate_domain(:'prod', 'shop.example.com') \gset
SELECT is((SELECT string_agg(target, ' ') FROM instance_env.dns_records(:'prod') WHERE target LIKE '%acme.com'),
	replace(replace('{instance}.edge.acme.com x{instance}.acme.com', '{instance}', :'prod'), '-', ''), 'an instance''s own label');
SELECT instance_env.set_setting(:'prod', 'billing.key', to_jsonb(instance_env.publishable_key(:'dev'))) \gset
SELECT is((SELECT passed FROM instance_env.validate(:'prod'::uuid) WHERE check_name = 'test' AND subject = 'billing.key'), false,
	'a development instance''s key is for tests by whatever prefix');
ROLLBACK TO SAVEPOINT s;

-- Who may.
CREATE ROLE service_admin;
CREATE ROLE service_monitor;
SELECT instance_env.grant_admin('service_admin') \gset
SELECT instance_env.grant_monitor('service_monitor') \gset
SET LOCAL ROLE service_monitor;
SELECT throws_ok($$SELECT instance_env.configure_service('{}')$$, '42501', NULL, 'a monitor may not change it');
SELECT is((SELECT value FROM instance_env.service_names WHERE name = 'development_domain'), '"accounts.dev"', 'but sees what it is');
SELECT throws_ok('SELECT * FROM instance_env.service', '42501', NULL, 'in the view');
SET LOCAL ROLE service_admin;
SELECT lives_ok($$SELECT instance_env.configure_service('{"development_domain": "dev.acme.com", "legacy_key_prefixes": null,
	"test_email_marker": "+acme", "secret_key_prefixes": {"development": "acme_test_", "production": "acme_live_"}}')$$, 'an administrator may');
RESET ROLE;
SELECT results_eq($$SELECT item, before, after FROM instance_env.events WHERE action = 'configure_service' ORDER BY item$$,
	$$VALUES ('development_domain', '"accounts.dev"'::jsonb, '"dev.acme.com"'::jsonb),
		('legacy_key_prefixes', '{"development": "test_", "production": "live_"}', 'null'),
		('secret_key_prefixes', '{"development": "sk_test_", "production": "sk_live_"}', '{"development": "acme_test_", "production": "acme_live_"}'),
		('test_email_marker', '"+clerk_test"', '"+acme"')$$, 'which is recorded');
SELECT results_eq('SELECT name COLLATE "default" FROM instance_env.service WHERE changed ORDER BY 1',
	ARRAY['development_domain', 'legacy_key_prefixes', 'secret_key_prefixes', 'test_email_marker'], 'what was changed is dumped');
SELECT lives_ok($$SELECT instance_env.configure_service('{"development_domain": "dev.acme.com"}')$$, 'again');
SELECT is((SELECT count(*) FROM instance_env.events WHERE action = 'configure_service'), 4::bigint, 'which changes nothing');

-- What follows; all_page_brand.sql has more.
SELECT throws_ok($$SELECT instance_env.key_instance_type('test_abc')$$, '22023', NULL, 'no keys of an older format');
SELECT development_id AS dev, production_id AS prod FROM instance_env.create_application('shop') \gset
SELECT matches(instance_env.oauth_consent_domain(:'dev'), '^[a-z]+-[a-z]+-[0-9]+[.]dev[.]acme[.]com$', 'hosts');
SELECT results_eq($$SELECT value FROM instance_env.policy_defaults WHERE name = 'test_email_marker'$$, ARRAY['"+acme"'::jsonb, '"+acme"'],
	'a policy of both types');

SELECT instance_env.create_secret_key(:'dev') AS key \gset
SELECT throws_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :'dev', 'integration.key', to_jsonb(:'key'::text)), '22I03', NULL,
	'keys of the service are not stored');

SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :'prod', 'integration.name', '"acme_test_shop"'), 'what begins like one is');
INSERT INTO instance_env.setting VALUES (:'prod', 'integration.key', to_jsonb(:'key'::text));
SELECT results_eq(format('SELECT concat_ws('':'', check_name, subject), passed FROM instance_env.validate(%L) WHERE check_name = ''test''', :'prod'),
	$$VALUES ('test:integration.key', false), ('test:integration.name', true)$$, 'one of development that is there already is for tests');

-- When.
SELECT throws_ok($$SELECT instance_env.configure_service('{"development_domain": "accounts.dev"}')$$, '55000',
	'cannot configure the service because there are applications', 'not once there are applications');
DELETE FROM instance_env.service WHERE name = 'portal_label';
SELECT throws_ok(format('SELECT instance_env.account_portal_url(%L)', :'dev'), '55000', NULL, 'the code does not know the names by itself');

SELECT * FROM finish();
ROLLBACK;
