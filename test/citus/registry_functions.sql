-- Every function of the registry, as the roles that may call it, on whatever node this runs:
-- the output is the same on a plain server.  What is random is only looked at for its form.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset null (null)
\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SET timezone = 'UTC';

SELECT instance_env.grant_admin('citus_admin');
SELECT instance_env.grant_backend('citus_backend');
SELECT instance_env.grant_monitor('citus_monitor');
SELECT instance_env.grant_guard('citus_guard');
SELECT instance_env.grant_admin('citus_revoked');
SELECT instance_env.revoke_access('citus_revoked');

SET ROLE citus_admin;
SELECT instance_env.configure_service('{"frontend_api_label": "front"}');
SELECT instance_env.configure_service('{"frontend_api_label": "clerk"}');

-- applications and instances
SELECT development_id, production_id FROM instance_env.create_application('shop', 'pro', :dev, :prod, 'dev', 'prod');
SELECT instance_env.create_application('shop');
SELECT instance_env.rename_application('shop', 'store');
SELECT instance_env.rename_application(instance_env.application_id('store'), 'shop');
SELECT instance_env.suspend_instance(:dev);
SELECT status FROM instance_env.instance_info(:dev);
SELECT instance_env.resume_instance(:dev);
SELECT application, type, status, user_cap, plan, domain, external_key, cap_mode FROM instance_env.instance_info(:dev);
SELECT instance_env.set_user_cap(:dev, 7, 'soft');
SELECT instance_env.set_user_cap(:dev, NULL, 'hard');
SELECT instance_env.seats_left(:dev), instance_env.seats_left(:prod);
SELECT * FROM instance_env.user_count(:dev);
SELECT instance_env.rename_instance(:dev, 'dev2');
SELECT instance_env.instance_by_key('dev2') = :dev, instance_env.instance_by_key('dev') IS NULL;
SELECT instance_env.instance_id('shop', 'development') = :dev, instance_env.instance_id('shop', 'production'::instance_env.instance_type) = :prod;

-- configuration
SELECT instance_env.set_plan('shop', 'enterprise');
SELECT instance_env.set_plan(instance_env.application_id('shop'), 'pro');
SELECT instance_env.set_setting(:dev, 'session.lifetime', '60');
SELECT instance_env.set_setting(:dev, 'session.lifetime', '61', 0);
SELECT instance_env.set_setting(:dev, 'sign_in.methods', '["email"]');
SELECT instance_env.set_setting(:dev, 'sign_in.methods', NULL);
SELECT instance_env.setting(:dev, 'session.lifetime'), instance_env.setting_in_use('"off"');
SELECT * FROM instance_env.settings(:dev);
SELECT instance_env.config_version(:dev) > 1;
SELECT instance_env.set_social_connection(:dev, 'github');
SELECT instance_env.set_social_connection(:prod, 'github');
SELECT instance_env.set_social_connection(:prod, 'github', 'id', 'vault:github', '{repo}');
SELECT instance_env.set_social_connection(:dev, 'google');
SELECT instance_env.remove_social_connection(:dev, 'google');
SELECT * FROM instance_env.social_credentials(:prod, 'github');
SELECT instance_env.enable_feature(:dev, 'passkeys'), instance_env.enable_feature(:dev, 'passkeys', 2);
SELECT instance_env.feature_available(:dev, 'passkeys'), instance_env.require_feature(:dev, 'passkeys');
SELECT instance_env.enable_feature(:dev, 'waitlist');
SELECT instance_env.disable_feature(:dev, 'waitlist');
SELECT instance_env.export_settings(:dev);
SELECT * FROM instance_env.import_settings(:prod, instance_env.export_settings(:dev), true);
SELECT count(*) FROM instance_env.instance_diff('shop');
SELECT count(*) FROM instance_env.instance_diff(instance_env.application_id('shop'));

-- policies and messages
SELECT instance_env.set_policy(:dev, 'sms_per_month', '3');
SELECT instance_env.set_policy(:dev, 'user_cap', '9');
SELECT instance_env.set_policy(:dev, 'user_cap_thresholds', '[50]');
SELECT instance_env.reset_policy(:dev, 'user_cap');
SELECT * FROM instance_env.policy(:dev) WHERE source <> 'default';
SELECT instance_env.banner(:dev) IS NOT NULL, instance_env.message_prefix(:dev), instance_env.prefix_message(:dev, 'sms', 'Hello');
SELECT instance_env.robots_directive(:dev), instance_env.robots_txt(:prod);
SELECT (instance_env.security_policy(:dev)).sms_per_month, instance_env.is_test_identity(:dev, 'a+clerk_test@example.com');
SELECT instance_env.consume_message(:dev, 'sms', '+15005550006') FROM generate_series(1, 2);
SELECT instance_env.consume_message(:dev, 'sms', '+15005550006');
SELECT instance_env.consume_message(:dev, 'sms', '+15005550006');

-- domains, hosts, redirects
SELECT instance_env.add_hosting_suffix('pages.example.net');
SELECT instance_env.domain_root('a.b.pages.example.net');
SELECT instance_env.remove_hosting_suffix('pages.example.net');
SELECT instance_env.associate_domain(:prod, 'first.example.com');
SELECT instance_env.change_domain(:prod, 'shop.example.com');
SELECT instance_env.associate_domain(:prod, 'help.example.com', false);
SELECT instance_env.remove_domain(:prod, 'help.example.com');
SELECT instance_env.verify_domain(:prod, 'shop.example.com', 'clerk'), instance_env.unverify_domain(:prod, 'shop.example.com');
SELECT instance_env.verify_domain(:prod, 'shop.example.com');
SELECT record, type, verified FROM instance_env.dns_records(:prod) ORDER BY 1;
SELECT instance_env.account_portal_url(:prod), instance_env.frontend_api_host(:prod), instance_env.oauth_consent_domain(:prod), instance_env.oauth_callback_url(:prod);
SELECT instance_env.instance_for_host('shop', 'www.shop.example.com') = :prod, instance_env.instance_for_host(instance_env.application_id('shop'), 'x.vercel.app') = :dev;
SELECT reason FROM instance_env.check_preview('shop', 'x.vercel.app');
SELECT reason FROM instance_env.check_preview(instance_env.application_id('shop'), 'www.shop.example.com');
SELECT instance_env.add_redirect_url(:dev, 'myapp://back'), instance_env.add_redirect_url(:dev, 'https://gone.example.org/x');
SELECT instance_env.remove_redirect_url(:dev, 'https://gone.example.org/x');
SELECT instance_env.set_allowed_origins(:dev, '{https://app.example.org, https://other.example.org}');
SELECT instance_env.redirect_url_allowed(:dev, 'https://app.example.org/y'), instance_env.redirect_url_allowed(:prod, 'https://app.example.org/y');

-- keys
SELECT instance_env.create_secret_key(:prod, 'first') AS first \gset
SELECT instance_env.create_secret_key(:prod, 'second', 'infinity') AS second \gset
SELECT instance_env.rotate_secret_key(:'first', '1 hour') AS third \gset
SELECT instance_env.rotate_secret_key(:prod, right(:'third', 4), '1 hour') AS fourth \gset
SELECT instance_env.revoke_secret_key(:'first'), instance_env.revoke_secret_key(:prod, right(:'third', 4));
SELECT instance_env.verify_secret_key(:'first') IS NULL, instance_env.verify_secret_key(:'third') IS NULL, instance_env.verify_secret_key(:'fourth') = :prod;
SELECT instance_env.publishable_key(:prod), instance_env.instance_by_publishable_key(instance_env.publishable_key(:prod)) = :prod;
SELECT instance_env.keys_match(instance_env.publishable_key(:prod), :'fourth'), instance_env.key_instance_type(:'fourth'), instance_env.key_frontend_api(instance_env.publishable_key(:prod));
SELECT instance_env.key_last_used(sha256(convert_to(:'fourth', 'UTF8'))) IS NOT NULL;

-- promotion
SELECT check_name, passed FROM instance_env.validate(:prod) WHERE NOT passed;
SELECT check_name FROM instance_env.validate('shop') WHERE NOT passed;
SELECT instance_env.assert_valid(:prod), instance_env.assert_valid('shop');
SELECT ready, errors FROM instance_env.readiness_of(:prod);
SELECT ready FROM instance_env.readiness_of('shop');
SELECT count(*) FROM instance_env.readiness_list();
SELECT step, item, before, after FROM instance_env.promote('shop', dry_run => true);
SELECT step, item, before, after FROM instance_env.promote(instance_env.application_id('shop'));
SELECT step FROM instance_env.promote('shop');
SELECT step FROM instance_env.rollback_promotion('shop');
SELECT step FROM instance_env.rollback_promotion(instance_env.application_id('shop'));
SELECT step FROM instance_env.promote('shop', 'shop.example.com', false);
SELECT count(*) FROM instance_env.create_staging_application('shop', 'staging.shop.example.com');
SELECT count(*) FROM instance_env.create_staging_application(instance_env.application_id('shop'), 'test.shop.example.com', 'shop test');
SELECT instance_env.drop_application('shop test');
SELECT jsonb_array_length(failed_checks) > 0 FROM instance_env.adopt_application('live', 'free', 'd0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002', 'live dev', 'live prod');
CALL instance_env.reset_development(:dev, settings => true);
SELECT length(instance_env.report()) > 10000, length(instance_env.report('shop')) > 1000;
SELECT * FROM instance_env.activity_list();
SELECT counting FROM instance_env.activity_status();
SELECT instance_env.reset_activity();
SELECT * FROM instance_env.instance_usage(:dev);
SELECT count(*) FROM instance_env.guard_list();
SELECT instance_env.forget_departed('2020-01-01');

-- sessions
SELECT instance_env.allow_instance('citus_backend', 'shop', 'development');
SELECT instance_env.allow_instance('citus_backend', instance_env.application_id('shop'), 'production');
SELECT instance_env.allow_instance('citus_guard');
SELECT instance_env.forbid_instance('citus_guard');
SET ROLE citus_backend;
SELECT instance_env.enter(:prod);
SELECT instance_env.current_instance(), instance_env.current_instance_key();
SELECT instance_env.leave();
SELECT instance_env.current_instance();
SELECT instance_env.enter(instance_env.instance_id('live', 'development'));
SELECT instance_env.create_application('not mine');
SELECT instance_env.setting(:dev, 'session.lifetime'), instance_env.verify_secret_key(:'second') = :prod;
SELECT count(*) > 10 FROM instance_env.features;
SELECT count(*) FROM instance_env.instances;
SET ROLE citus_monitor;
SELECT application, type, status FROM instance_env.instances ORDER BY 1, 2;
SELECT application, type, status FROM instance_env.instance;
SET ROLE citus_revoked;
SELECT count(*) FROM instance_env.instances;
RESET ROLE;
SELECT instance_env.forget_events('2020-01-01'), instance_env.node_offset() >= 0;
SELECT action, item, before, after FROM instance_env.events WHERE action IN ('set_user_cap', 'rename_application', 'allow_instance', 'forbid_instance') AND happened_at > now() - interval '1 hour' ORDER BY id DESC LIMIT 8;
