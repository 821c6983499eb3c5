-- The page from its first sentence to its last, each as an application meets it; the other
-- files have the details
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(43);

-- all_page_brand.sql runs this file for another service.
\if :{?service}
SELECT instance_env.configure_service(:'service') \gset
\else
\set development_domain accounts.dev
\set frontend_api clerk
\set frontend_api_target frontend-api.clerk.services
\set portal accounts
\set key_prefix pk_
\set secret_prefix sk_
\set marker +clerk_test
\set service_domain clerk.com
\endif

CREATE TABLE public.users (id integer PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('public.users') \gset
SELECT application_id AS app, development_id AS dev, production_id AS prod FROM instance_env.create_application('shop') \gset

-- Instances / Environments

SELECT results_eq($$SELECT type::text FROM instance_env.instances WHERE application = 'shop' ORDER BY type$$,
	ARRAY['development', 'production'],
	'"When creating a new application within Clerk, you are provided with two instances: Development and Production"');

-- Development instance

SELECT is((SELECT array_agg(status::text ORDER BY type) FROM instance_env.instances WHERE application = 'shop'), '{active,inactive}',
	'"A Development instance is Clerk''s default instance type and has characteristics that allow it to be more useful for local development"');
SELECT ok(instance_env.redirect_url_allowed(:'dev', 'http://localhost:3000/callback') AND (instance_env.security_policy(:'dev')).test_identities,
	'"To facilitate development and local authentication, Development instances have a more relaxed security posture"');
SELECT cmp_ok((instance_env.security_policy(:'dev')).rate_limit, '<', (instance_env.security_policy(:'prod')).rate_limit,
	'"and are not suitable for production workloads"');
SELECT matches(instance_env.banner(:'dev'), '^Development.*not production data',
	'"A Development banner is shown prominently in the Clerk Dashboard to make clear you''re managing or configuring non-production data"');
SELECT is(instance_env.prefix_message(:'dev', channel, 'Hello'), '[Development] Hello',
	'"Email and SMS templates are prefixed with the environment type to prevent against using Development instances for production purposes": '
	|| channel) FROM unnest(ARRAY['email', 'sms']) channel;
SELECT instance_env.set_social_connection(:'dev', 'google') \gset
SELECT is((instance_env.social_credentials(:'dev', 'google')).source::text, 'shared', '"Some social connections use shared credentials by default"');
SELECT throws_ok(format('SELECT instance_env.social_credentials(%L, %L)', :'dev', 'tiktok'), '23I05', NULL, 'some, not all of them');
SELECT ok(NOT instance_env.feature_available(:'dev', 'bot_protection') AND instance_env.feature_available(:'prod', 'bot_protection'),
	'"Certain functionality, like bot protection, is only available in Production mode"');
SELECT throws_ok(format('SELECT instance_env.require_feature(%L, %L)', :'dev', 'bot_protection'), '55I03', NULL, 'and refused in development');
SELECT matches(instance_env.account_portal_url(:'dev'), '^https://[a-z]+-[a-z]+-[0-9]+[.]' || replace(:'development_domain', '.', '[.]') || '$',
	'"The Account Portal will use a Clerk development domain that ends with instead of your app''s production domain"');
SELECT matches(instance_env.oauth_consent_domain(:'dev'), '[.]' || replace(:'development_domain', '.', '[.]') || '$',
	'"OAuth consent screens will show the development domain that ends with instead of your production domain"');
SELECT is(instance_env.oauth_callback_url(:'dev'), format('https://%s.%s.%s/v1/oauth_callback',
	(SELECT slug FROM instance_env.instance WHERE id = :'dev'), :'frontend_api', :'development_domain'), 'the host that its browsers talk to');
SELECT ok(instance_env.robots_directive(:'dev') = 'noindex, nofollow' AND instance_env.robots_txt(:'dev') ~ '(?n)^Disallow: /$',
	'"Search engines will not be able to crawl and index your application"');
SELECT lives_ok(format('INSERT INTO users SELECT i, %L FROM generate_series(1, 500) i', :'dev'), '500 users');
SELECT throws_ok(format('INSERT INTO users VALUES (501, %L)', :'dev'), '23I01', NULL, '"Development instances have a 500 users cap"');
SELECT throws_ok(format('UPDATE users SET instance_id = %L WHERE id = 1', :'prod'), '23I02', NULL,
	'"and user data can not be transferred between instances"');
SELECT is_empty(format($$SELECT name FROM instance_env.features WHERE NOT production_only AND NOT instance_env.feature_available(%L, name)$$, :'dev'),
	'"All paid functionality is available in a Development instance"');
SELECT lives_ok(format('SELECT instance_env.enable_feature(%L, %L)', :'dev', 'passkeys'), 'development uses some of it');
SELECT lives_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :'dev', 'session.lifetime', '3600'), 'also by a setting');
SELECT throws_ok(format('SELECT instance_env.set_setting(%L, %L, %L)', :'prod', 'session.lifetime', '3600'), '55I02', NULL,
	'"However, when you deploy your application to Production, you will be asked to upgrade to a Pro account": also for a setting');

-- Production instance

SELECT throws_ok(format('INSERT INTO users VALUES (1001, %L)', :'prod'), '23I04', NULL,
	'"When deploying to production, you must first activate your Production environment"');
SELECT throws_ok(format('SELECT * FROM instance_env.promote(%L)', :'app'), '55I01', NULL, 'which takes more than to ask for it');
CREATE FUNCTION pg_temp.blockers() RETURNS text[] LANGUAGE sql AS
$$SELECT array_agg(check_name ORDER BY n) FROM instance_env.validate(instance_env.instance_id('shop', 'production'))
	WITH ORDINALITY AS v (check_name, subject, severity, passed, message, hint, sqlstate, n) WHERE severity = 'error' AND NOT passed$$;
SELECT ok('domain' = ANY (pg_temp.blockers()), '"You must associate a production domain within the Clerk Dashboard"');
SELECT instance_env.associate_domain(:'prod', 'shop.example.com') \gset
SELECT throws_ok(format('SELECT instance_env.associate_domain(%L, %L)', :'prod', :'service_domain'), '22I01', NULL, 'of its own, not the service''s');
SELECT is((SELECT array_agg(name || ' ' || target) FROM instance_env.dns_records(:'prod') WHERE record IN (:'frontend_api', :'portal')),
	ARRAY[format('%s.shop.example.com %s', :'frontend_api', :'frontend_api_target'),
		format('%s.shop.example.com %s', :'portal', (SELECT value #>> '{}' FROM instance_env.service_names WHERE name = 'portal_target'))],
	'which has to lead to the service');
SELECT instance_env.verify_domain(:'prod', 'shop.example.com') \gset
SELECT ok('plan' = ANY (pg_temp.blockers()),
	'"However, when you deploy your application to Production, you will be asked to upgrade to a Pro account"');
SELECT instance_env.set_plan(:'app', 'pro') \gset
SELECT instance_env.set_social_connection(:'dev', 'google') \gset
SELECT ok('credentials' = ANY (pg_temp.blockers()), '"You are required to provision your own SSO credentials"');
SELECT throws_ok(format('SELECT instance_env.set_social_connection(%L, %L)', :'prod', 'google'), '23I05', NULL, 'shared ones will not do');
SELECT instance_env.set_social_connection(:'prod', 'google', 'id', 'vault:google') \gset
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'app'), 'then it is activated');
SELECT lives_ok(format('INSERT INTO users SELECT i, %L FROM generate_series(1001, 3000) i', :'prod'),
	'"Production instances are meant to support high volumes of traffic"');
SELECT ok(NOT instance_env.redirect_url_allowed(:'prod', 'http://shop.example.com')
	AND (instance_env.security_policy(:'prod')).cookie_http_only AND NOT (instance_env.security_policy(:'prod')).test_identities,
	'"and by default, have a more strict security posture"');
SELECT is((SELECT array_agg(instance_env.publishable_key(i) ~ ('^' || :'key_prefix') AND instance_env.create_secret_key(i) ~ ('^' || :'secret_prefix')
		AND instance_env.key_frontend_api(instance_env.publishable_key(i)) = instance_env.frontend_api_host(i)
		AND instance_env.key_instance_type(instance_env.publishable_key(i)) = type) FROM instance_env.instance JOIN (VALUES (:'dev'::uuid), (:'prod')) v (i) ON i = id),
	'{t,t}', 'each has keys of its own');
SELECT ok(instance_env.account_portal_url(:'prod') = format('https://%s.shop.example.com', :'portal')
	AND instance_env.frontend_api_host(:'prod') = format('%s.shop.example.com', :'frontend_api'), 'and production is below its own domain');
SELECT ok((instance_env.security_policy(:'dev')).test_email_marker = :'marker'
	AND (SELECT value #>> '{}' FROM instance_env.policies WHERE name = 'test_email_marker' AND instance_id = :'prod') = :'marker', 'the marker of test addresses');
SELECT throws_ok(format('INSERT INTO users VALUES (1, %L)', :'prod'), '23505', NULL, 'development''s users are not there');
SELECT is((SELECT count(*) FROM users WHERE instance_id = :'dev'), 500::bigint, 'they are where they were');

-- Staging environments

SELECT throws_ok($$SELECT instance_env.instance_id('shop', 'staging')$$, '22I02', NULL,
	'"Clerk does not currently support staging instances in Clerk applications"');
SELECT application_id AS staging, production_id AS sprod FROM instance_env.create_staging_application(:'app', 'staging.example.com') \gset
SELECT ok(:'staging'::uuid <> :'app' AND instance_env.oauth_consent_domain(:'sprod') = 'staging.example.com',
	'"However, you can set up a "staging environment" by creating a separate Clerk application with a separate domain"');

-- Preview environments

SELECT is((SELECT instance_id FROM instance_env.check_preview(:'app', host)), instance::uuid,
	'"See the preview environment guide to learn how to use Clerk with your preview deployments": ' || host)
FROM (VALUES ('pr-1.example.com', :'prod'), ('shop-pr-1.vercel.app', :'dev'), ('localhost:3000', :'dev')) v (host, instance);

SELECT * FROM finish();
ROLLBACK;
