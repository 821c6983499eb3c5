-- No setting of the session changes what the extension parses, compares or answers
SET client_min_messages = warning;
BEGIN;
SELECT plan(50);

-- an application with something of everything

SELECT instance_env.create_application('shop', 'pro', 'd0000000-0000-4000-8000-000000000001',
	'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.create_application('copy', 'pro', 'd0000000-0000-4000-8000-000000000002',
	'a0000000-0000-4000-8000-000000000002') \gset
SELECT instance_env.set_setting(instance, name, value) FROM (VALUES
	('session.lifetime', '3600'::jsonb), ('branding.name', E'"a \\\\ b \\"quoted\\""'), ('redirect.after', E'" http://example.com/\\\\s"'),
	('redirect.spaced', E'"\\t\\r\\n https://example.com"'), ('redirect.letters', '"sss http://example.com"'),
	('redirect.list', '["https://example.com", {"s": "custom+scheme.x://y"}]')) v (name, value),
	unnest('{d0000000-0000-4000-8000-000000000001, a0000000-0000-4000-8000-000000000001}'::uuid[]) instance \g /dev/null
SELECT instance_env.set_setting('a0000000-0000-4000-8000-000000000001', name, value) FROM (VALUES
	('test.off', '"off"'::jsonb), ('test.no', '"no"'), ('test.false', '"false"'), ('test.empty', '""'), ('test.nothing', 'null'),
	('test.zero', '0'), ('test.list', '[]'), ('test.object', '{}'), ('test.not', 'false'), ('test.on', 'true'), ('test.text', E'"\\\\"'),
	('billing.key', '"sk_test_1"'), ('billing.test_account', '"off"'), ('billing.sandbox', E'{"test": "\\\\\\""}'),
	('billing.deep', '[{"sandbox_mode": "false"}, {"a_test": 1}]')) v (name, value) \g /dev/null
SELECT instance_env.set_social_connection('d0000000-0000-4000-8000-000000000001', 'github', 'client', 'vault:x',
	ARRAY['null', 'NULL', 'repo']) \gset
SELECT instance_env.set_social_connection('a0000000-0000-4000-8000-000000000001', 'github', 'other', 'vault:y') \gset
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'banner', E'"back \\\\ slash"') \gset
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'rate_limit', '1e2') \gset
SELECT instance_env.enable_feature('d0000000-0000-4000-8000-000000000001', 'enterprise_connections', 3) \gset
SELECT instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', 'shop.example.com') \gset
CREATE SCHEMA "my \ app";
CREATE TABLE "my \ app"."user's \ table" ("the ""instance"" \" text, "key \" text, PRIMARY KEY ("the ""instance"" \", "key \"));
CREATE TABLE plain (id integer PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('plain') \gset

-- what it is asked, without a backslash in any literal
CREATE TABLE asked (n integer GENERATED ALWAYS AS IDENTITY, query text);
INSERT INTO asked (query) VALUES
	('SELECT * FROM instance_env.validate($d$a0000000-0000-4000-8000-000000000001$d$)'),
	('SELECT * FROM instance_env.validate($d$d0000000-0000-4000-8000-000000000001$d$)'),
	('SELECT ready, errors, warnings, next_step FROM instance_env.readiness ORDER BY instance_id'),
	('SELECT * FROM instance_env.instance_diff(instance_env.application_id($d$shop$d$))'),
	('SELECT instance_env.export_settings($d$d0000000-0000-4000-8000-000000000001$d$)'),
	('SELECT * FROM instance_env.policy($d$d0000000-0000-4000-8000-000000000001$d$)'),
	('SELECT * FROM instance_env.security_policy($d$d0000000-0000-4000-8000-000000000001$d$)'),
	('SELECT * FROM instance_env.settings($d$a0000000-0000-4000-8000-000000000001$d$)'),
	('SELECT * FROM instance_env.social_credentials($d$d0000000-0000-4000-8000-000000000001$d$, $d$github$d$)'),
	('SELECT domain, record, name, type, target FROM instance_env.dns_records($d$a0000000-0000-4000-8000-000000000001$d$)'),
	('SELECT instance_env.check_preview(instance_env.application_id($d$shop$d$), $d$SHOP.example.com:443$d$)'),
	('SELECT instance_env.robots_txt($d$d0000000-0000-4000-8000-000000000001$d$), instance_env.banner($d$d0000000-0000-4000-8000-000000000001$d$)'),
	('SELECT label, instance_column, user_key, counted, whole, problems FROM instance_env.guards ORDER BY label'),
	('SELECT users, user_cap, percent, state FROM instance_env.usage ORDER BY instance_id'),
	('SELECT step, item, before, after FROM instance_env.import_settings($d$d0000000-0000-4000-8000-000000000002$d$,
		instance_env.export_settings($d$d0000000-0000-4000-8000-000000000001$d$), true)'),
	('SELECT pg_temp.refusal($q$SELECT instance_env.assert_valid($d$a0000000-0000-4000-8000-000000000001$d$)$q$)'),
	('SELECT pg_temp.refusal($q$SELECT * FROM instance_env.promote(instance_env.application_id($d$shop$d$))$q$)'),
	('SELECT pg_temp.refusal($q$INSERT INTO public.plain VALUES (1, $d$a0000000-0000-4000-8000-000000000001$d$)$q$)'),
	('SELECT pg_temp.guarded()'),
	('SELECT pg_temp.promoted()');

-- an error as text
CREATE FUNCTION pg_temp.refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' / ', SQLSTATE, SQLERRM, detail, hint);
END $$;

-- what guard() and unguard() make of odd names, and what they record of it; undone at the end
CREATE FUNCTION pg_temp.guarded() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM instance_env.guard(oid, instance_column => $n$the "instance" \$n$, user_key => $n$key \$n$)
	FROM pg_class WHERE relname = $n$user's \ table$n$;
	SELECT string_agg(encode(tgargs, 'escape'), ' ' ORDER BY tgname) INTO result
	FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE relname = $n$user's \ table$n$ AND NOT tgisinternal;
	PERFORM instance_env.guard(oid, instance_column => $n$the "instance" \$n$, user_key => $n$key \$n$)
	FROM pg_class WHERE relname = $n$user's \ table$n$;
	SELECT result || string_agg(label || whole || coalesce(problems::text, ''), ' ') INTO result FROM instance_env.guards
	WHERE relation = (SELECT oid FROM pg_class WHERE relname = $n$user's \ table$n$);
	PERFORM instance_env.unguard(oid) FROM pg_class WHERE relname = $n$user's \ table$n$;
	SELECT result || string_agg(concat_ws(' ', action, item, before, after), ' ') INTO result
	FROM (SELECT * FROM instance_env.events ORDER BY id DESC LIMIT 2) e;
	RAISE EXCEPTION USING MESSAGE = result, ERRCODE = 'ZZZZZ';
EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
	RETURN SQLERRM;
END $$;

-- a promotion, its record and its way back; undone at the end
CREATE FUNCTION pg_temp.promoted() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	shop uuid := instance_env.application_id('shop');
	production uuid := 'a0000000-0000-4000-8000-000000000001';
	result text;
BEGIN
	PERFORM instance_env.set_setting(production, name, NULL) FROM instance_env.settings(production)
	WHERE name ~ '^(test|billing|redirect)';
	PERFORM instance_env.set_setting('d0000000-0000-4000-8000-000000000001', name, NULL)
	FROM instance_env.settings('d0000000-0000-4000-8000-000000000001') WHERE name ~ '^redirect';
	PERFORM instance_env.verify_domain(production, 'shop.example.com');
	SELECT string_agg(p::text, ' ') INTO result FROM instance_env.promote(shop) p;
	SELECT result || string_agg(p::text, ' ') INTO result FROM instance_env.rollback_promotion(shop) p;
	SELECT result || string_agg(changes::text, ' ') INTO result FROM instance_env.promotions;
	RAISE EXCEPTION USING MESSAGE = result, ERRCODE = 'ZZZZZ';
EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
	RETURN SQLERRM;
END $$;

CREATE FUNCTION pg_temp.answers() RETURNS TABLE (asked integer, query text, answer text) LANGUAGE plpgsql AS $$
DECLARE
	q record;
	a text;
BEGIN
	FOR q IN SELECT * FROM public.asked ORDER BY n LOOP
		BEGIN
			EXECUTE 'SELECT jsonb_agg(a)::text FROM (' || q.query || ') a' INTO a;
		EXCEPTION WHEN OTHERS THEN
			a := SQLSTATE || ' ' || SQLERRM;
		END;
		RETURN QUERY SELECT q.n, q.query, a;
	END LOOP;
END $$;

CREATE TABLE expected AS SELECT * FROM pg_temp.answers();
SELECT is_empty($$SELECT * FROM expected WHERE answer IS NULL OR answer ~ '^[0-9A-Z]{5} '$$, 'there is an answer to everything');
SELECT matches(answer, '"(23I04|55I01) / ', 'refusals are such as are expected: ' || asked)
FROM expected WHERE query ~ 'refusal';
SELECT is(array_agg(message ORDER BY n), ARRAY[
	'Setting "billing.deep" is for tests.', 'Setting "billing.key" is for tests.', 'Setting "billing.sandbox" is for tests.',
	'Setting "test.on" is for tests.', 'Setting "test.text" is for tests.',
	E'Setting "redirect.after" contains the URL " http://example.com/\\s", which is not allowed because it contains a space or a control character.',
	'Setting "redirect.list" contains the URL "custom+scheme.x://y", which is not allowed because it has the scheme "custom+scheme.x",'
		' which is neither http or https nor that of a native app, such as com.example.app.',
	E'Setting "redirect.spaced" contains the URL "\t\r\n https://example.com", which is not allowed because it contains a space or a control character.'],
	'what is for tests, and URLs that are not allowed')
FROM instance_env.validate('a0000000-0000-4000-8000-000000000001') WITH ORDINALITY AS c (check_name, subject, severity, passed, message, hint, sqlstate, n)
WHERE NOT passed AND check_name ~ '^(test|redirect)';

-- whatever the session has set

SET LOCAL jit = off;			-- a plan that is all but forbidden is too dear not to be compiled
CREATE TABLE settings (n integer GENERATED ALWAYS AS IDENTITY, name text, value text);
INSERT INTO settings (name, value) VALUES
	('standard_conforming_strings', 'off'), ('backslash_quote', 'off'), ('backslash_quote', 'on'), ('escape_string_warning', 'off'),
	('quote_all_identifiers', 'on'), ('transform_null_equals', 'on'), ('array_nulls', 'off'),
	('bytea_output', 'escape'), ('xmlbinary', 'hex'), ('xmloption', 'document'), ('extra_float_digits', '-15'),
	('datestyle', 'SQL, DMY'), ('datestyle', 'German'), ('intervalstyle', 'sql_standard'), ('timezone', 'Pacific/Apia'),
	('search_path', ''), ('search_path', 'pg_temp, pg_catalog'), ('search_path', 'instance_env'), ('check_function_bodies', 'off'),
	('plan_cache_mode', 'force_generic_plan'), ('plan_cache_mode', 'force_custom_plan'), ('row_security', 'off'),
	('constraint_exclusion', 'on'), ('enable_indexscan', 'off'), ('enable_indexonlyscan', 'off'),
	('enable_bitmapscan', 'off'), ('enable_seqscan', 'off'), ('enable_sort', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),
	('enable_nestloop', 'off'), ('enable_hashagg', 'off'), ('enable_material', 'off'), ('from_collapse_limit', '1'),
	('join_collapse_limit', '1'), ('work_mem', '64kB'), ('default_toast_compression', 'pglz'),
	('lc_messages', 'C'), ('lc_numeric', 'C'), ('lc_monetary', 'C'), ('lc_time', 'C'), ('client_min_messages', 'error'),
	('session_replication_role', 'local'), ('geqo_threshold', '2'), ('cursor_tuple_fraction', '0');
CREATE FUNCTION pg_temp.under(name text, value text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	usual text := current_setting(name);
BEGIN
	PERFORM set_config(name, value, true);
	CREATE TEMP TABLE got ON COMMIT DROP AS SELECT * FROM pg_temp.answers();
	PERFORM set_config(name, usual, true);
	RETURN QUERY SELECT format('%s: %s, not %s', g.query, g.answer, e.answer)
	FROM got g JOIN public.expected e USING (asked) WHERE g.answer IS DISTINCT FROM e.answer;
	DROP TABLE got;
END $$;
SELECT is_empty(format('SELECT pg_temp.under(%L, %L)', name, value), format('%s = %s', name, value)) FROM settings ORDER BY n;

SELECT * FROM finish();
ROLLBACK;
