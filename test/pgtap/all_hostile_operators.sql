-- Functions that are not SECURITY DEFINER run with the caller's search_path, but ask the registry
-- as its owner. Here its first schema has operators, functions and types of the same names as
-- PostgreSQL: none of them is called. Operators are looked up also for what names none, as CASE x WHEN does.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT no_plan();

CREATE ROLE instance_env_caller;
SELECT instance_env.create_application('shop', 'pro', 'd0000000-0000-4000-8000-000000000001',
	'a0000000-0000-4000-8000-000000000001', 'dev', 'prod') \gset
SELECT instance_env.application_id('shop') AS application \gset
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
SELECT instance_env.create_secret_key('d0000000-0000-4000-8000-000000000001') AS key,
	instance_env.publishable_key('d0000000-0000-4000-8000-000000000001') AS publishable \gset
CREATE TABLE public.users (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE public.guarded (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('public.guarded') \gset
SELECT count(*) FROM instance_env.isolate('public.guarded') \gset
INSERT INTO public.guarded VALUES (1, 'dev');

CREATE SCHEMA hostile;
DO $$
DECLARE
	o record;
BEGIN
	CREATE FUNCTION hostile.f1(x boolean) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''hostile operator''; END';
	FOR o IN SELECT row_number() OVER () AS n, oprname, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS result
		FROM pg_operator
		WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprkind = 'b' AND oprleft NOT IN ('internal'::regtype, 'cstring'::regtype)
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION hostile.f%s(a %s, b %s) RETURNS %s LANGUAGE plpgsql AS $f$BEGIN RAISE ''hostile operator''; END$f$',
				o.n, o.l, o.r, o.result);
			EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.f%s)', o.oprname, o.l, o.r, o.n);
		EXCEPTION WHEN OTHERS THEN NULL;	-- PL/pgSQL cannot have it
		END;
	END LOOP;
	FOR o IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, prorettype::regtype AS result
		FROM pg_proc p
		WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset AND provariadic = 0
			AND proallargtypes IS NULL
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$BEGIN RAISE ''hostile operator''; END$f$',
				o.proname, o.arguments, o.result);
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
	FOR o IN SELECT unnest(ARRAY['uuid', 'text', 'jsonb', 'name', 'oid', 'regclass', 'interval', 'timestamptz', 'bytea', 'inet', 'tid', 'regrole']) AS name
	LOOP
		EXECUTE format('CREATE DOMAIN hostile.%I AS pg_catalog.%1$I CHECK (hostile.f1(value IS NULL))', o.name);
	END LOOP;
END $$;
SELECT cmp_ok((SELECT count(*) FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace), '>', 700::bigint, 'there are enough operators');

-- What happens in a call when nothing is cached. It is undone.
CREATE FUNCTION pg_temp.outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['service', 'policy_default', 'instance', 'application', 'domain', 'api_key'] LOOP
		EXECUTE format('UPDATE instance_env.%I t SET %s', t, CASE t
			WHEN 'service' THEN 'value = value' WHEN 'policy_default' THEN 'value = value WHERE name = ''user_cap''' WHEN 'api_key' THEN 'name = name'
			WHEN 'instance' THEN 'slug = slug' ELSE 'name = name' END);
	END LOOP;
	BEGIN
		SET LOCAL search_path = hostile, pg_catalog, pg_temp;
		EXECUTE call;
		RAISE EXCEPTION SQLSTATE 'UNDO0';
	EXCEPTION
		WHEN SQLSTATE 'UNDO0' THEN RETURN 'ok';
		WHEN OTHERS THEN RETURN SQLERRM;
	END;
END $$;

SELECT is(pg_temp.outcome(c), 'hostile operator', 'it is seen: ' || c) FROM unnest(ARRAY['SELECT CASE pg_catalog.lower(''A'') WHEN ''b'' THEN 1 END',
	'SELECT lower(''A''::pg_catalog.text)', 'SELECT pg_catalog.current_setting(''port'')::text']) c;

CREATE TEMP TABLE call (function text, arguments text);
INSERT INTO call VALUES
	('application_id', '''shop'''), ('instance_by_key', '''dev'''), ('instance_id', '''shop'', ''production'''),
	('instance_id', '''shop'', ''production''::instance_env.instance_type'), ('instance_info', '@dev'), ('instance_info', '@prod'),
	('prefix_message', '@dev, ''email'', ''hello'''), ('robots_directive', '@dev'), ('robots_txt', '@dev'), ('security_policy', '@dev'),
	('feature_available', '@dev, ''passkeys'''), ('require_feature', '@dev, ''passkeys'''), ('check_preview', '@app, ''www.example.com'''),
	('check_preview', '''shop'', ''www.example.com'''), ('frontend_api_host', '@dev'), ('frontend_api_host', '@prod'),
	('instance_for_host', '''shop'', ''www.example.com'''), ('instance_for_host', '@app, ''www.example.com'''),
	('oauth_callback_url', '@dev'), ('oauth_consent_domain', '@dev'), ('account_portal_url', '@dev'), ('account_portal_url', '@prod'),
	('instance_by_publishable_key', '@publishable'), ('publishable_key', '@dev'), ('publishable_key', '@prod'), ('verify_secret_key', '@key'),
	('verify_secret_key', '''sk_test_nobodynobodynobodynobodynobodynobodynob'''), ('keys_match', '@publishable, @key'),
	('setting', '@dev, ''session.lifetime'''), ('guard', '''public.users'''),
	('guard', '''public.users'', user_key => '''''), ('unguard', '''public.guarded'''), ('isolate', '''public.guarded'', true'), ('unisolate', '''public.guarded'''), ('guard_list', ''),
	('report', '''shop'''), ('report', ''), ('grant_backend', '''instance_env_caller'''), ('grant_monitor', '''instance_env_caller'''),
	('grant_guard', '''instance_env_caller'''), ('grant_admin', '''instance_env_caller'''), ('revoke_access', '''instance_env_caller'''),
	('forget_events', 'pg_catalog.now()'), ('is_test_identity', '@dev, ''jane+clerk_test@example.com'''),
	('redirect_url_allowed', '@prod, ''https://shop.example.com/'''), ('redirect_url_allowed', '@dev, ''http://localhost:3000/'''),
	('key_last_used', 'pg_catalog.decode(''00'', ''hex'')'), ('banner', '@dev'), ('message_prefix', '@dev'), ('enter', '@dev, true'), ('enter', '@dev'), ('leave', ''),
	('current_instance', ''), ('current_instance_key', ''), ('external_key_bigint', '''5'''), ('external_key_char', '''5'''),
	('new_user_id', '@dev'), ('id_instance', 'instance_env.new_user_id(@dev)'), ('id_instance', '''01a22257-518d-82a0-91e3-2e0000000000'''),
	('id_time', 'instance_env.new_user_id(@dev)'), ('id_belongs', 'instance_env.new_user_id(@dev), @dev'),
	('domain_root', '''www.example.com'''), ('key_frontend_api', '@publishable'), ('key_instance_type', '@key'), ('setting_in_use', '''1'''), ('node_offset', '');
UPDATE call SET arguments = replace(replace(replace(replace(replace(arguments, '@app', quote_literal(:'application')), '@dev', '''d0000000-0000-4000-8000-000000000001'''),
	'@prod', '''a0000000-0000-4000-8000-000000000001'''), '@key', quote_literal(:'key')), '@publishable', quote_literal(:'publishable'));

SELECT is(pg_temp.outcome(format('SELECT * FROM instance_env.%I(%s)', function, arguments)), 'ok', format('%s(%s)', function, arguments)) FROM call;
SELECT is(pg_temp.outcome(format('SELECT * FROM instance_env.%I', viewname)), 'ok', 'view ' || viewname) FROM pg_views WHERE schemaname = 'instance_env';
SELECT is(pg_temp.outcome(c), 'ok', c) FROM unnest(ARRAY[
	'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'', true)',
	'CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'', false)',
	'INSERT INTO public.guarded VALUES (2, ''dev'')', 'UPDATE public.guarded SET id = 3', 'DELETE FROM public.guarded',
	'TRUNCATE public.guarded', 'SET LOCAL instance_env.destructive_rows = 1; DELETE FROM public.guarded', 'DROP TABLE public.guarded',
	'CREATE TABLE public.part (id integer, instance_id text) PARTITION BY LIST (id)']) c;

-- warnings, errors and what they say
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 2) \gset
UPDATE instance_env.instance SET status = 'active' WHERE external_key = 'prod';
INSERT INTO public.guarded VALUES (9, 'prod');
SELECT is(pg_temp.outcome('INSERT INTO public.guarded VALUES (2, ''dev'')'), 'ok', 'a user who reaches a threshold');
SELECT isnt(pg_temp.outcome(c), 'hostile operator', c) FROM unnest(ARRAY[
	'INSERT INTO public.guarded VALUES (2, ''dev''), (3, ''dev'')', 'INSERT INTO public.guarded VALUES (2, ''nowhere'')',
	'UPDATE public.guarded SET instance_id = ''prod''', 'INSERT INTO public.guarded VALUES (1, ''prod'')',
	'TRUNCATE public.guarded', 'DROP TABLE public.guarded', 'DROP EXTENSION instance_env CASCADE',
	'SET LOCAL instance_env.allow_destructive = on; TRUNCATE public.guarded', 'SET LOCAL instance_env.allow_destructive = on; DROP TABLE public.guarded',
	'SELECT instance_env.instance_id(''shop'', ''nonsense'')', 'SELECT instance_env.require_feature(''a0000000-0000-4000-8000-000000000001'', ''nonsense'')',
	'SELECT instance_env.require_feature(''a0000000-0000-4000-8000-000000000001'', ''enterprise_sso'')',
	'SELECT instance_env.new_user_id(''a0000000-0000-4000-8000-00000000000f'')', 'SELECT instance_env.new_user_id()',
	'SELECT instance_env.banner(''a0000000-0000-4000-8000-00000000000f'')', 'SELECT instance_env.check_preview(''shop'', ''x.vercel.app'')',
	'SELECT instance_env.redirect_url_allowed(''a0000000-0000-4000-8000-000000000001'', ''nonsense'')',
	'SELECT instance_env.setting(''a0000000-0000-4000-8000-000000000001'', ''nonsense'')']) c;
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 2, 'soft') \gset
SELECT is(pg_temp.outcome('INSERT INTO public.guarded VALUES (2, ''dev''), (3, ''dev'')'), 'ok', 'a user beyond a soft cap');

SELECT set_eq($$SELECT proname::text FROM pg_proc p, pg_language l WHERE l.oid = prolang AND lanname = 'c' AND NOT prosecdef AND prokind = 'f'
		AND NOT COALESCE(translate(array_to_string(proconfig, ' '), '"', '') LIKE '%search_path=pg_catalog, pg_temp%', false)
		AND pronamespace = 'instance_env'::regnamespace AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
		-- conditions of triggers
		AND proname NOT IN ('admission_required', 'instance_unavailable', 'departure_queued', 'identity_changes', 'row_moves', 'row_deleted')$$,
	'SELECT function FROM call', 'all functions are called that run with the caller''s search_path');

SELECT * FROM finish();
ROLLBACK;
