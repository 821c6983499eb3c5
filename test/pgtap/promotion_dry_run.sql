-- promote(dry_run => true) against promote(): the same rows or the same refusal, over
-- random configurations, and nothing done
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(18);

INSERT INTO instance_env.setting_section (name, cloned, description) VALUES
	('session', true, 'test'), ('sso', false, 'test'), ('integration', false, 'test'), ('path', false, 'test')
ON CONFLICT (name) DO NOTHING;
INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description)
SELECT type, 'test_' || n, to_jsonb(n), type = 'development' OR n % 3 > 0, 'test'
FROM unnest(enum_range(NULL::instance_env.instance_type)) type, generate_series(1, 9) n;
INSERT INTO instance_env.feature (name, plan, description)
SELECT 'test_' || plan || n, plan, 'test' FROM unnest(enum_range(NULL::instance_env.plan)) plan, generate_series(1, 3) n;

CREATE FUNCTION pg_temp.some(n integer) RETURNS boolean LANGUAGE sql AS 'SELECT random() * 100 < n';

-- An application in some state.
CREATE FUNCTION pg_temp.random_application(name text, OUT app uuid, OUT dev uuid, OUT prod uuid) LANGUAGE plpgsql AS $$
DECLARE
	domain text := name || '-example.com';
BEGIN
	SELECT * INTO app, dev, prod FROM instance_env.create_application(name,
		(enum_range(NULL::instance_env.plan))[1 + floor(random() * 3)]);
	INSERT INTO instance_env.setting
	SELECT i, section || '.' || n, to_jsonb(floor(random() * 3))
	FROM unnest(ARRAY[dev, prod]) i, unnest('{session, sso, integration, path, unknown}'::text[]) section, generate_series(1, 9) n
	WHERE pg_temp.some(CASE i WHEN dev THEN 30 ELSE 5 END);
	INSERT INTO instance_env.policy_override
	SELECT i, 'test_' || n, to_jsonb(floor(random() * 10)) FROM unnest(ARRAY[dev, prod]) i, generate_series(1, 9) n
	WHERE (i = dev OR n % 3 > 0) AND pg_temp.some(CASE i WHEN dev THEN 40 ELSE 10 END);
	INSERT INTO instance_env.instance_feature (instance, feature, quantity)
	SELECT i, f.name, 1 + floor(random() * 5) FROM unnest(ARRAY[dev, prod]) i, instance_env.feature f, instance_env.application a
	WHERE a.id = app AND f.name LIKE E'test\\_%' AND f.plan <= a.plan AND pg_temp.some(CASE i WHEN dev THEN 30 ELSE 10 END);
	IF pg_temp.some(90) THEN
		PERFORM instance_env.associate_domain(prod, domain);
		IF pg_temp.some(80) THEN
			PERFORM instance_env.verify_domain(prod, domain);
			IF pg_temp.some(10) THEN
				PERFORM FROM instance_env.promote(app);
				IF pg_temp.some(50) THEN
					PERFORM instance_env.suspend_instance(prod);
				END IF;
			END IF;
		END IF;
	END IF;
END $$;

-- What a call returns, row by row, or how it is refused.
CREATE FUNCTION pg_temp.attempt(app uuid, domain text, clone_settings boolean, dry_run boolean) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	RETURN QUERY SELECT to_jsonb(p)::text FROM instance_env.promote(app, domain, clone_settings, dry_run) p;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN NEXT concat_ws(' | ', SQLSTATE, message, detail, hint);
END $$;

-- All that the registry holds.
CREATE FUNCTION pg_temp.registry() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(query_to_xml(format('SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM instance_env.%I t',
		c.relname), true, true, '')::text, '' ORDER BY c.relname))
	FROM pg_class c WHERE c.relnamespace = 'instance_env'::regnamespace AND c.relkind = 'r'
$$;

CREATE TEMP TABLE trial (n integer PRIMARY KEY, before text, rehearsed text, promoted text, status text, promotions bigint);
CREATE TEMP TABLE returned (trial integer, attempt text, n bigint, line text);
SELECT setseed(0.42) \gset

DO $$
DECLARE
	app uuid;
	prod uuid;
	domain text;
	clone boolean;
	kept text;
BEGIN
	FOR i IN 1..100 LOOP
		SELECT a.app, a.prod INTO app, prod FROM pg_temp.random_application('app' || i) a;
		domain := CASE WHEN pg_temp.some(80) THEN NULL WHEN pg_temp.some(50) THEN 'other.example.com' ELSE 'app' || i || '-example.com' END;
		clone := pg_temp.some(80);
		INSERT INTO trial (n, before) SELECT i, pg_temp.registry();
		INSERT INTO returned SELECT i, 'rehearsed', n, line FROM pg_temp.attempt(app, domain, clone, true) WITH ORDINALITY r (line, n);
		UPDATE trial SET rehearsed = pg_temp.registry() WHERE n = i;
		INSERT INTO returned SELECT i, 'rehearsed again', n, line FROM pg_temp.attempt(app, domain, clone, true) WITH ORDINALITY r (line, n);
		INSERT INTO returned SELECT i, 'promoted', n, line FROM pg_temp.attempt(app, domain, clone, false) WITH ORDINALITY r (line, n);
		UPDATE trial SET promoted = pg_temp.registry(),
			status = (SELECT v.status FROM instance_env.instances v WHERE v.instance_id = prod),
			promotions = (SELECT count(*) FROM instance_env.promotions p WHERE p.application_id = app)
		WHERE n = i;
	END LOOP;
END $$;

SELECT is((SELECT count(*) FROM trial), 100::bigint, 'a hundred configurations');
SELECT cmp_ok((SELECT count(DISTINCT trial) FROM returned WHERE attempt = 'promoted' AND line LIKE '%activate%'), '>=', 30::bigint,
	'some are promoted');
SELECT cmp_ok((SELECT count(DISTINCT trial) FROM returned WHERE attempt = 'promoted' AND line LIKE '55I01%'), '>=', 20::bigint,
	'some are refused');
SELECT cmp_ok((SELECT count(*) FROM trial t WHERE NOT EXISTS (SELECT FROM returned r WHERE r.trial = t.n)), '>=', 2::bigint,
	'for some there is nothing to do');
SELECT cmp_ok((SELECT count(*) FROM returned WHERE attempt = 'promoted' AND line LIKE format('%%"%s"%%', step)), '>=', 30::bigint,
	step || ' is among the changes')
FROM unnest('{clone_setting, clone_feature}'::text[]) step;
SELECT is_empty(
	$$SELECT trial, n, r.line, p.line FROM (SELECT * FROM returned WHERE attempt = 'rehearsed') r
	  FULL JOIN (SELECT * FROM returned WHERE attempt = 'promoted') p USING (trial, n)
	  WHERE r.line IS DISTINCT FROM p.line$$, 'a dry run returns the very same rows, and is refused in the very same words');
SELECT is_empty(
	$$SELECT trial, n, r.line, p.line FROM (SELECT * FROM returned WHERE attempt = 'rehearsed') r
	  FULL JOIN (SELECT * FROM returned WHERE attempt = 'rehearsed again') p USING (trial, n)
	  WHERE r.line IS DISTINCT FROM p.line$$, 'as often as it is called');
SELECT is_empty('SELECT n FROM trial WHERE rehearsed <> before', 'it leaves no trace in any table');
SELECT is_empty(
	$$SELECT n FROM trial WHERE (promoted <> before) <>
	  EXISTS (SELECT FROM returned r WHERE r.trial = trial.n AND r.attempt = 'promoted' AND r.line LIKE '{%')$$,
	'a promotion that returns rows does, one that is refused does not');
SELECT is_empty(
	$$SELECT n, status FROM trial WHERE
	  EXISTS (SELECT FROM returned r WHERE r.trial = trial.n AND r.attempt = 'promoted' AND r.line LIKE '%activate%')
	  AND (status <> 'active' OR promotions <> 1)$$, 'who is promoted is active');
SELECT is_empty(
	$$SELECT trial, line FROM returned WHERE line NOT LIKE '{%' AND line NOT LIKE '55I01%'$$, 'there is no other refusal');
SELECT is_empty(
	$$SELECT trial, line FROM returned WHERE line LIKE '{"%clone_setting%' AND line::jsonb ->> 'item' !~ E'^session\\.'$$,
	'no SSO connection, integration or path is cloned');

-- the session after a dry run

CREATE SCHEMA app;
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT * FROM instance_env.create_application('last') \gset
SELECT throws_ok(format('SELECT * FROM instance_env.promote(%L, dry_run => true)', :'application_id'), '55I01', NULL, 'refused');
SELECT instance_env.associate_domain(:'production_id', 'last-example.com') \gset
SELECT instance_env.verify_domain(:'production_id', 'last-example.com') \gset
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L, dry_run => true)', :'application_id'), 'allowed');
SELECT throws_ok(format('INSERT INTO app.users VALUES (1, %L)', :'production_id'), '23I04', NULL,
	'after a dry run production takes nobody');
SELECT isnt_empty(format('SELECT * FROM instance_env.promote(%L)', :'application_id'), 'promoted');
SELECT lives_ok(format('INSERT INTO app.users VALUES (1, %L)', :'production_id'), 'then it does');

SELECT * FROM finish();
ROLLBACK;
