--
-- Features and plans: what is said
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id AS dev, production_id AS prod FROM instance_env.create_application('feature test', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.application_id('feature test') AS app \gset
SELECT name, plan, production_only, development_limit, settings FROM instance_env.features WHERE builtin ORDER BY name;

-- feature_available()
SELECT f.name, instance_env.feature_available(:'dev', f.name) AS in_development,
	instance_env.feature_available(:'prod', f.name) AS in_production FROM instance_env.features f WHERE builtin ORDER BY name;
SELECT instance_env.feature_available(:'dev', 'teleportation');
SELECT instance_env.feature_available(:'dev', '');
SELECT instance_env.feature_available(:'dev', NULL);
SELECT instance_env.feature_available(NULL, 'passkeys');
SELECT instance_env.feature_available('00000000-0000-0000-0000-000000000000', 'passkeys');

-- require_feature()
SELECT instance_env.require_feature(:'dev', 'passkeys');
SELECT instance_env.require_feature(:'dev', 'bot_protection');
SELECT instance_env.require_feature(:'prod', 'passkeys');
SELECT instance_env.require_feature(:'prod', 'bot_protection');

-- enable_feature(), disable_feature()
SELECT instance_env.enable_feature(:'dev', 'enterprise_connections', 25);
SELECT instance_env.enable_feature(:'dev', 'enterprise_connections', 26);
SELECT instance_env.enable_feature(:'dev', 'bot_protection');
SELECT instance_env.enable_feature(:'dev', 'passkeys', 0);
SELECT instance_env.enable_feature(:'prod', 'passkeys');
SELECT instance_env.set_plan(:'app', 'pro');
SELECT instance_env.enable_feature(:'prod', 'passkeys');
SELECT instance_env.enable_feature(:'prod', 'enterprise_connections', 26);
SELECT instance_env.enable_feature(:'prod', 'bot_protection');
SELECT instance_env.disable_feature(:'prod', 'allowlist');
SELECT instance_env.disable_feature(:'prod', 'teleportation');

-- set_plan()
SELECT instance_env.associate_domain(:'prod', 'feature.example.com');
SELECT instance_env.associate_domain(:'prod', 'feature.example.net', false);
SELECT type, feature, quantity, needed_plan, covered, used_by FROM instance_env.instance_features
	WHERE application = 'feature test' ORDER BY 1, 2;
SELECT instance_env.set_plan(:'app', 'free');
SELECT instance_env.disable_feature(:'prod', 'satellite_domains');
DELETE FROM instance_env.domain WHERE name = 'feature.example.net';
SELECT instance_env.disable_feature(:'prod', 'passkeys');
SELECT instance_env.set_plan(:'app', 'free');
SELECT instance_env.disable_feature(:'prod', 'enterprise_connections');
SELECT instance_env.set_plan(:'app', 'free');

-- settings that use features
SELECT instance_env.set_setting(:'prod', 'session.lifetime', '3600');
SELECT instance_env.set_setting(:'dev', 'security.bot_protection', 'true');
SELECT instance_env.set_plan(:'app', 'pro');
SELECT instance_env.set_setting(:'prod', 'session.lifetime', '3600') > 0 AS set;
SELECT instance_env.set_setting(:'prod', 'sign_in.passkeys.' || w, 'true') > 0 AS set FROM unnest('{required,synced}'::text[]) w;
SELECT feature, quantity, covered, used_by FROM instance_env.instance_features WHERE instance_id = :'prod' ORDER BY 1;
SELECT instance_env.set_plan(:'app', 'free');
SELECT instance_env.disable_feature(:'prod', 'passkeys');
UPDATE instance_env.application SET plan = 'free' WHERE id = :'app';
SELECT message, hint FROM instance_env.validate(:'prod') WHERE check_name = 'plan';
SELECT i.type, e.action, e.item, e.before, e.after FROM instance_env.event e
	LEFT JOIN instance_env.instance i ON i.id = e.instance
	WHERE e.application = :'app' AND e.action IN ('enable_feature', 'disable_feature', 'set_plan') ORDER BY e.id;

SELECT instance_env.drop_application(:'app');
