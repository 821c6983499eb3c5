-- drop_application() takes along whatever an application has, and nothing of another's
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(7);

-- two applications with something of everything, and a staging application of each
CREATE FUNCTION pg_temp.make(name text, n integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	dev constant uuid := format('d0000000-0000-4000-8000-00000000000%s', n);
	prod constant uuid := format('a0000000-0000-4000-8000-00000000000%s', n);
BEGIN
	PERFORM instance_env.create_application(name, 'pro', dev, prod);
	PERFORM instance_env.create_staging_application(instance_env.application_id(name), name || '-staging.org');
	PERFORM instance_env.associate_domain(prod, name || '-site.org');
	PERFORM instance_env.associate_domain(prod, name || '-site.net', false);
	PERFORM instance_env.add_redirect_url(dev, 'https://' || name || '.example.net');
	PERFORM instance_env.set_policy(dev, 'banner', '"x"');
	PERFORM instance_env.set_social_connection(dev, 'google');
	PERFORM instance_env.enable_feature(dev, 'satellite_domains');
	PERFORM instance_env.set_setting(dev, 'session.lifetime', '60');
	PERFORM instance_env.create_secret_key(prod);
END $$;
SELECT pg_temp.make('shop', 1), pg_temp.make('blog', 2) \gset
SELECT instance_env.application_id('shop') AS shop, instance_env.application_id('blog') AS blog \gset

-- in how many rows of which table an application, its instances or its domains are named
CREATE FUNCTION pg_temp.named(application uuid, n integer) RETURNS TABLE (name name, times bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'instance_env'::regnamespace AND relkind = 'r' ORDER BY 1 LOOP
		EXECUTE format('SELECT count(*) FROM instance_env.%I t WHERE t::text ~ $1', name) INTO times
			USING format('%s|[ad]0000000-0000-4000-8000-00000000000%s', application, n);
		IF times > 0 THEN RETURN NEXT; END IF;
	END LOOP;
END $$;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.named(:'blog', 2);

SELECT set_eq(format('SELECT name::text FROM pg_temp.named(%L, 1)', :'shop'), '{api_key, application, domain, event, instance,
	instance_feature, policy_override, redirect_url, setting, social_connection}'::text[], 'something in every table');
SELECT isnt_empty($$SELECT FROM instance_env.dns_record WHERE domain = 'shop-site.org'$$, 'and records of the domain');
SELECT lives_ok(format('SELECT instance_env.drop_application(%L)', :'shop'), 'drop_application()');
SELECT set_eq(format('SELECT name::text FROM pg_temp.named(%L, 1)', :'shop'), '{event}'::text[], 'nothing is left but the log');
SELECT is_empty($$SELECT domain FROM instance_env.dns_record WHERE domain IN ('shop-site.org', 'shop-site.net')$$,
	'nor any record');
SELECT set_eq(format('SELECT * FROM pg_temp.named(%L, 2)', :'blog'), 'TABLE before', 'another application has what it had');
SELECT results_eq($$SELECT name, staging_of IS NULL FROM instance_env.application ORDER BY name COLLATE "C"$$,
	$$VALUES ('blog', true), ('blog staging', false), ('shop staging', true)$$, 'a staging application is one of its own now');

SELECT * FROM finish();
ROLLBACK;
