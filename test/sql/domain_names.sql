--
-- Domains: what is said
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT production_id FROM instance_env.create_application('domains test', 'pro',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
SELECT production_id FROM instance_env.create_application('domains other',
	production_id => 'a0000000-0000-4000-8000-000000000002');
SELECT production_id FROM instance_env.create_application('domains staging', 'pro',
	production_id => 'a0000000-0000-4000-8000-000000000003');
UPDATE instance_env.application SET staging_of = instance_env.application_id('domains test') WHERE name = 'domains staging';

-- Names: a reason for each that is refused; promotion_promote.sql has more.
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'user@shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.local');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', '[::1]');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'co.uk');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'foo-bar-13.accounts.dev');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'xn--a.example.com');

-- Instances without a domain.
SELECT instance_env.account_portal_url('a0000000-0000-4000-8000-000000000001');
SELECT instance_env.account_portal_url('00000000-0000-0000-0000-000000000000');
SELECT instance_env.account_portal_url(NULL);
SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com');

-- Whose root.
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'shop.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000002', 'blog.example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000003', 'example.com');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000003', 'staging.example.com');

-- Records.
SELECT record, name, type, target, verified FROM instance_env.dns_records('a0000000-0000-4000-8000-000000000001');
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', 'www');
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.org');
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', 'clerk');
SELECT instance_env.verify_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT step FROM instance_env.promote(instance_env.application_id('domains test'));

-- Another domain.
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.org');
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.org', false);
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com', false);
SELECT instance_env.change_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.org');
SELECT instance_env.remove_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com');
SELECT instance_env.remove_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.org');
SELECT name, is_primary, verified_at IS NOT NULL AS verified FROM instance_env.domain WHERE instance::text LIKE 'a0000000-%' ORDER BY name;
SELECT instance_env.account_portal_url(i), instance_env.frontend_api_host(i), instance_env.oauth_consent_domain(i),
	instance_env.oauth_callback_url(i)
FROM CAST('a0000000-0000-4000-8000-000000000001' AS uuid) i;

-- Hosts.
SELECT host, p.* FROM unnest(ARRAY['shop.example.org', 'pr-17.example.org:443', 'shop.vercel.app', 'localhost:3000',
	'[::1]:3000', 'example.com']) host, instance_env.check_preview(instance_env.application_id('domains test'), host) p;
SELECT instance_env.instance_for_host(instance_env.application_id('domains test'), 'https://shop.example.org');
\echo :SQLSTATE
SELECT instance_env.instance_for_host(instance_env.application_id('domains test'), '');
SELECT instance_env.instance_for_host(instance_env.application_id('domains test'), 'example.org:http');
SELECT instance_env.instance_for_host(instance_env.application_id('domains test'), '[::1');
SELECT instance_env.instance_for_host(instance_env.application_id('domains test'), '1.2.3');
SELECT instance_env.instance_for_host(instance_env.application_id('domains test'), 'bücher.example.org');
SELECT instance_env.instance_for_host('00000000-0000-0000-0000-000000000000', 'example.org');
SELECT instance_env.check_preview(NULL, 'example.org');

SELECT instance_env.suspend_instance('a0000000-0000-4000-8000-000000000001');
SELECT instance_env.drop_application(instance_env.application_id(n))
FROM unnest(ARRAY['domains test', 'domains other', 'domains staging']) n;
