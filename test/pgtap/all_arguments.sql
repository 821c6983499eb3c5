-- Every argument of every function, from the catalogue: texts that are empty, very long, not
-- ASCII, with control characters, or with what some reader takes for a NUL; instances in
-- each state, unknown and NULL
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', 'pro', :dev, :prod, 'dev', 'prod') \gset
SELECT instance_env.associate_domain(:prod, 'shop.example.com') \gset
SELECT instance_env.associate_domain(:prod, 'help.example.com', false) \gset
SELECT instance_env.add_hosting_suffix('pages.example.net') \gset
SELECT instance_env.create_secret_key(:dev) AS key \gset
SELECT instance_env.create_secret_key(:dev) \gset
SELECT instance_env.set_social_connection(:dev, 'github') \gset
CREATE TABLE public.users (id integer PRIMARY KEY, instance_id uuid, email text, created_at timestamptz);

-- What makes a call good but for the argument that is tried: by argument, or by function
-- and argument.
CREATE TEMP TABLE good (argument text PRIMARY KEY, value text);
INSERT INTO good VALUES
	('application', instance_env.application_id('shop')::text), ('instance_id.application', 'shop'), ('type', 'production'),
	('name', 'a name'), ('set_policy.name', 'banner'), ('reset_policy.name', 'banner'),
	('set_setting.name', 'session.lifetime'), ('setting.name', 'session.lifetime'),
	('domain', 'www.example.com'), ('verify_domain.domain', 'shop.example.com'), ('unverify_domain.domain', 'shop.example.com'),
	('add_hosting_suffix.name', 'sites.example.net'), ('remove_hosting_suffix.name', 'pages.example.net'), ('hosting', 'true'),
	('description', 'a description'), ('remove_domain.domain', 'help.example.com'),
	('record', 'clerk'), ('host', 'www.example.com'), ('url', 'https://www.example.com'), ('origins', '{https://www.example.com}'), ('channel', 'sms'), ('body', 'a body'),
	('address', 'jane@example.com'),
	('provider', 'github'), ('client_id', 'id'), ('secret_reference', 'vault:x'), ('scopes', '{repo}'),
	('feature', 'passkeys'), ('quantity', '1'), ('key', :'key'), ('key_frontend_api.key', 'pk_live_Y2xlcmsudmliZXMuZGl5JA=='),
	('publishable', 'pk_live_Y2xlcmsudmliZXMuZGl5JA=='), ('secret', :'key'), ('overlap', '1 hour'), ('expires_at', 'infinity'),
	('hint', right(:'key', 4)), ('plan', 'pro'), ('development_key', 'key 1'), ('production_key', 'key 2'),
	('create_application.development_id', NULL), ('create_application.production_id', NULL),
	('mode', 'soft'), ('value', '"words"'), ('settings', instance_env.export_settings(:dev)::text), ('is_primary', 'false'), ('dry_run', 'false'), ('clone_settings', 'false'),
	('expected_version', NULL), ('relation', 'public.users'), ('instance_column', 'instance_id'), ('user_key', 'id'),
	('counted', 'true'), ('follow_departures', 'true'), ('coded', 'false'), ('user_table', NULL), ('seats_left.relation', NULL), ('user_count.relation', NULL),
	('role', 'instance_env_monitor'), ('allow_instance.application', 'shop'), ('forbid_instance.application', 'shop'), ('local', 'true'),
	('address_column', 'email'), ('created_column', 'created_at'),
	('configure_service.settings', '{}'), ('old_key', 'a'), ('new_key', 'b'), ('admission_required.instance', 'dev'), ('instance_unavailable.instance', 'dev'),
	('row_moves.instance', 'dev'), ('row_deleted.instance', 'dev'), ('external_key', 'a key'), ('validate.application', 'shop'), ('assert_valid.application', 'shop'), ('readiness_of.application', 'shop'), ('report.application', 'shop');

-- These take any text: they compare it, or hand it back.
CREATE TEMP TABLE takes_any AS SELECT unnest(ARRAY[
	'admission_required.instance', 'admission_required.user_key', 'application_id.name', 'external_key_bigint.external_key', 'external_key_char.external_key',
	'guard.address_column', 'guard.created_column', 'guard.user_key', 'identity_changes.new_key', 'identity_changes.old_key',
	'instance_by_key.external_key', 'instance_by_publishable_key.key', 'instance_id.application', 'instance_unavailable.instance', 'instance_unavailable.user_key',
	'is_test_identity.address',
	'keys_match.publishable', 'keys_match.secret', 'prefix_message.body', 'redirect_url_allowed.url', 'row_deleted.instance', 'row_moves.instance', 'setting.name', 'verify_secret_key.key']) AS argument;

-- These, too, but neither nothing nor too much of it: the application may have them from elsewhere.
CREATE TEMP TABLE takes_controls AS SELECT unnest(ARRAY['create_application.name', 'create_application.development_key',
	'create_application.production_key', 'create_staging_application.name', 'rename_application.name', 'rename_instance.external_key',
	'adopt_application.name', 'adopt_application.development_key', 'adopt_application.production_key']) AS argument;

CREATE TEMP TABLE bad (what text, value text, refused boolean);
INSERT INTO bad VALUES
	('empty', '', true),
	('very long', repeat('x', 1000000), true),
	('very long, not ASCII', repeat('ü', 500000), true),
	('very long, with dots', repeat('a.', 500000) || 'com', true),
	('a control character', E'a\x01b', true),
	('a control character at the end', E'shop.example.com\x1f', true),
	('DEL', E'a\x7fb', true),
	('a newline', E'a\nb', true),
	('a carriage return and a newline at the end', E'a\r\n', true),
	('a secret', 'the key ghp_' || repeat('a1B2', 9), true),
	('not ASCII', 'bücher-Ω-開発-🔑', false),
	('a combining character', E'e\u0301', false),
	('written from right to left', E'\u202Eexample.com', false),
	('a character of no width', E'shop\u200B.example.com', false),
	('a control character of Unicode', E'a\u0085b', false),
	('the last code point', E'\U0010FFFF', false),
	('NUL in an escape', E'\\0', false),
	('NUL in four digits', E'\\u0000', false),
	('NUL in percents', 'a%00b', false),
	('NUL in two bytes', E'a\u2400b', false),
	('a blank', ' ', false),
	('quotes', '''"; DROP TABLE instance_env.instance; --', false),
	('a format', '%s%n%1$s$1{}', false);

-- Functions that somebody calls, and their arguments.
CREATE TEMP VIEW arguments AS
SELECT p.oid, p.proname::text AS function, p.pronargs AS n, a.i, coalesce(names.input[a.i], '') AS argument,
	p.proargtypes[a.i - 1]::regtype AS type
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid,
	LATERAL generate_series(1, p.pronargs) AS a (i),
	LATERAL (SELECT array_agg(n.name ORDER BY n.i) AS input FROM unnest(p.proargnames, p.proargmodes) WITH ORDINALITY AS n (name, mode, i)
			 WHERE coalesce(n.mode, 'i') IN ('i', 'b', 'v')) names
WHERE e.extname = 'instance_env' AND p.prokind = 'f';

-- Those who read what it says.
CREATE ROLE instance_env_backend;
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_guard;
CREATE ROLE instance_env_admin;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.grant_monitor('instance_env_monitor'),
	instance_env.grant_guard('instance_env_guard'), instance_env.grant_admin('instance_env_admin'),
	instance_env.allow_instance('instance_env_backend') \gset

-- One call, undone: what it returns, or the SQLSTATE, and what is wrong with the words of an error.
CREATE FUNCTION pg_temp.try(function oid, argument text, value text, instance uuid, role name DEFAULT session_user, OUT state text, OUT wrong text, OUT answer text)
LANGUAGE plpgsql AS $$
DECLARE
	call text;
	message text;
	detail text;
	hint text;
	reader text;
BEGIN
	SELECT format('SELECT string_agg(a::text, %L) FROM instance_env.%I(%s) a', ' ', max(a.function), string_agg(
		format(CASE WHEN a.type = '"any"'::regtype THEN '%L::text' WHEN a.type = 'oid'::regtype THEN '%L::regclass' ELSE '%L::%s' END,
			CASE WHEN a.argument <> $2 AND a.argument = 'instance' AND a.type = 'uuid'::regtype THEN $4::text
				WHEN a.argument <> $2 THEN (SELECT g.value FROM good g
					WHERE g.argument IN (a.argument, a.function || '.' || a.argument)
					ORDER BY length(g.argument) DESC LIMIT 1)
				WHEN a.type = 'text[]'::regtype AND $3 !~ '^[{].*[}]$' THEN ARRAY[$3]::text
				ELSE $3 END, a.type), ', ' ORDER BY a.i))
	INTO call FROM arguments a WHERE a.oid = $1;
	BEGIN
		EXECUTE format('SET LOCAL ROLE %I', role);
		EXECUTE call INTO answer;
		state := '00000';
		RAISE SQLSTATE 'ZZZZZ';		-- which undoes the role, too
	EXCEPTION
		WHEN SQLSTATE 'ZZZZZ' THEN NULL;
		WHEN OTHERS THEN
			state := SQLSTATE;
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
			IF length(message || detail || hint) > 1000 THEN
				wrong := 'its words are too long';
			END IF;
			-- a hint is of use to those who may read what it refers to
			reader := role;
			IF role = session_user THEN
				SELECT r INTO reader FROM unnest('{instance_env_backend,instance_env_monitor,instance_env_guard,instance_env_admin}'::text[]) r
				WHERE has_function_privilege(r, function, 'EXECUTE') LIMIT 1;
			END IF;
			SELECT coalesce(wrong, reader || ' cannot read ' || c.relname) INTO wrong
			FROM regexp_matches(hint, 'instance_env[.]([a-z_]+)(?![a-z_(])', 'g') m JOIN pg_class c ON c.relname = m[1]
			WHERE c.relnamespace = 'instance_env'::regnamespace AND NOT has_table_privilege(reader, c.oid, 'SELECT');
			IF wrong ~ 'cannot read' AND role = session_user THEN
				SELECT t.wrong INTO wrong FROM pg_temp.try(function, argument, value, instance, reader) t;
			END IF;
	END;
END $$;

-- With good arguments all calls succeed, for one instance at least, so that what fails
-- below fails for the text's sake.
CREATE TEMP TABLE tried AS
SELECT a.oid, a.oid::regprocedure::text || ', ' || a.argument AS what, a.function, a.argument, i.instance, t.state, t.wrong
FROM arguments a, unnest(ARRAY['d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001']::uuid[]) AS i (instance),
	LATERAL (SELECT g.value FROM good g WHERE g.argument IN (a.argument, a.function || '.' || a.argument)
			 ORDER BY length(g.argument) DESC LIMIT 1) g,
	LATERAL pg_temp.try(a.oid, a.argument, g.value, i.instance) t
WHERE a.type IN ('text'::regtype, 'text[]'::regtype, 'name'::regtype, '"any"'::regtype);
CREATE TEMP TABLE results AS
SELECT c.what AS call, b.what AS text, t.state, t.wrong, b.refused AND a.argument IS NULL
		AND (c.function || '.' || c.argument NOT IN (SELECT argument FROM takes_controls) OR length(b.value) NOT BETWEEN 1 AND 100)
		AND (b.what <> 'a secret' OR c.function <> 'consume_message') AS refused
FROM (SELECT DISTINCT ON (what) * FROM tried ORDER BY what, state, instance) c
	LEFT JOIN takes_any a ON a.argument = c.function || '.' || c.argument, bad b,
	LATERAL pg_temp.try(c.oid, c.argument, b.value, c.instance) t;


-- Ids: NULL, and one that nobody has.
CREATE TEMP TABLE ids AS
SELECT a.oid::regprocedure::text AS what, a.argument, n.state AS null_state, u.state AS unknown_state, coalesce(n.wrong, u.wrong) AS wrong
FROM arguments a, LATERAL (SELECT instance FROM tried t WHERE t.oid = a.oid UNION ALL SELECT 'd0000000-0000-4000-8000-000000000001' LIMIT 1) i,
	LATERAL pg_temp.try(a.oid, a.argument, NULL, i.instance) n,
	LATERAL pg_temp.try(a.oid, a.argument, '00000000-0000-0000-0000-000000000000', i.instance) u
WHERE a.type = 'uuid'::regtype AND a.argument IN ('instance', 'application')
	AND a.function NOT IN ('admission_required', 'instance_unavailable', 'row_moves', 'id_belongs');

-- What an instance of each type answers in each status.
CREATE TEMP TABLE answers (what text, instance uuid, status instance_env.instance_status, answer text);
CREATE TEMP TABLE changes (what text, instance uuid, status instance_env.instance_status, state text, wrong text);
CREATE FUNCTION pg_temp.answers(instance uuid, status instance_env.instance_status) RETURNS void LANGUAGE sql AS $$
	UPDATE instance_env.instance i SET status = $2 WHERE id = $1;
	INSERT INTO answers SELECT a.oid::regprocedure, $1, $2, t.state || ' ' || coalesce(t.answer, 'null')
	FROM arguments a JOIN pg_proc p ON p.oid = a.oid, LATERAL pg_temp.try(a.oid, '', NULL, $1) t
	WHERE a.argument = 'instance' AND a.type = 'uuid'::regtype AND p.provolatile = 's'
		AND a.function NOT IN ('validate', 'assert_valid', 'readiness_of', 'instance_info', 'seats_left');
	INSERT INTO changes SELECT a.oid::regprocedure, $1, $2, t.state, t.wrong
	FROM arguments a JOIN pg_proc p ON p.oid = a.oid, LATERAL pg_temp.try(a.oid, '', NULL, $1) t
	WHERE a.argument = 'instance' AND a.type = 'uuid'::regtype AND p.provolatile = 'v';
$$;
SELECT count(pg_temp.answers(:dev, status)::text) FROM unnest('{active,suspended}'::instance_env.instance_status[]) status \gset
SELECT count(pg_temp.answers(:prod, status)::text) FROM unnest('{inactive,active,suspended}'::instance_env.instance_status[]) status \gset

-- The same as a backend, which has no right on any table, nothing being cached.
CREATE FUNCTION pg_temp.as_backend(function oid, instance uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY '{instance, application, domain, feature, api_key, setting, policy_override, redirect_url}'::text[] LOOP
		EXECUTE format('UPDATE instance_env.%I SET %s', name, (SELECT string_agg(format('%1$I = %1$I', a.attname), ', ') FROM pg_attribute a
			WHERE a.attrelid = ('instance_env.' || name)::regclass AND a.attnum > 0 AND a.attgenerated = ''));
	END LOOP;
	RETURN (SELECT t.state || ' ' || coalesce(t.answer, 'null') FROM pg_temp.try(function, '', NULL, instance, 'instance_env_backend') t);
END $$;
CREATE TEMP TABLE backend AS
SELECT a.oid::regprocedure::text AS what, i.instance, t.state || ' ' || coalesce(t.answer, 'null') AS answer,
	pg_temp.as_backend(a.oid, i.instance) AS backend_answer
FROM arguments a, unnest(ARRAY[:dev, :prod]::uuid[]) AS i (instance), LATERAL pg_temp.try(a.oid, '', NULL, i.instance) t
WHERE a.i = 1 AND has_function_privilege('instance_env_backend', a.oid, 'EXECUTE') AND NOT has_function_privilege('public', a.oid, 'EXECUTE');

SELECT plan(13 + (SELECT count(DISTINCT what) FROM tried)::integer + (SELECT count(DISTINCT what) FROM answers)::integer);
SELECT cmp_ok((SELECT count(DISTINCT oid) FROM tried), '>=', 37::bigint, 'functions with text arguments');
SELECT is_empty(
	$$SELECT oid::regprocedure, argument FROM arguments WHERE type IN ('text'::regtype, 'text[]'::regtype, 'name'::regtype, '"any"'::regtype)
	  EXCEPT SELECT oid, argument FROM tried$$, 'all of them are known here (is there a good value for a new one?)');
SELECT set_eq($$SELECT what FROM tried GROUP BY what HAVING NOT bool_or(state = '00000')$$,
	ARRAY['instance_env.promote(uuid,text,boolean,boolean), domain', 'instance_env.promote(text,text,boolean,boolean), domain',
		'instance_env.promote(text,text,boolean,boolean), application', 'instance_env.assert_valid(text), application',
		'instance_env.rollback_promotion(text), application'], 'a good text is taken by all, but for those that want more');
SELECT is_empty(
	$$SELECT a.argument FROM takes_any a LEFT JOIN tried t ON a.argument = t.function || '.' || t.argument WHERE t.oid IS NULL$$,
	'those that take any text exist');
SELECT is_empty(
	format($$SELECT text, state, wrong FROM results WHERE call = %L
		AND (wrong IS NOT NULL OR (state = '00000' AND refused) OR state NOT IN ('00000', '22023', '22I01', '22I02', '22I03', '42703', '55I01'))$$, what), what)
FROM (SELECT DISTINCT what FROM tried) t ORDER BY what;

SELECT cmp_ok((SELECT count(*) FROM ids), '>=', 40::bigint, 'functions with an instance or an application');
SELECT is_empty($$SELECT * FROM ids WHERE null_state <> '22004'$$, 'NULL: 22004');
SELECT is_empty($$SELECT * FROM ids WHERE wrong IS NOT NULL$$, 'and the hint is for those who call the function');
SELECT is_empty($$SELECT * FROM tried WHERE wrong IS NOT NULL OR state NOT IN ('00000', '22023', '23I04', '23I05', '55000', '55I01', '55I03', '22I01')$$,
	'an instance of the wrong type: what is refused, is refused clearly');
SELECT is_empty($$SELECT * FROM ids WHERE unknown_state <> CASE argument WHEN 'instance' THEN '23I03' ELSE '22023' END$$,
	'unknown: 23I03 for an instance, 22023 for an application');
SELECT results_eq(format('SELECT DISTINCT instance, answer FROM answers WHERE what = %L ORDER BY 1', what),
	format('SELECT instance, max(answer) FROM answers WHERE what = %L GROUP BY 1 ORDER BY 1', what),
	'inactive, active, suspended: ' || what || ' answers as the type does')
FROM (SELECT DISTINCT what FROM answers) a ORDER BY what;
SELECT cmp_ok((SELECT count(DISTINCT what) FROM changes), '>=', 24::bigint, 'functions that change an instance');
SELECT is_empty($$SELECT * FROM changes WHERE wrong IS NOT NULL
	OR state NOT IN ('00000', '22023', '22I01', '23I04', '23I05', '55000', '55I01', '55I02', '55I03')$$, 'whatever its type and status, they do it or say why not');

SELECT cmp_ok((SELECT count(DISTINCT what) FROM backend), '>=', 28::bigint, 'functions that a backend may call');
SELECT is_empty($$SELECT * FROM backend WHERE answer <> backend_answer$$, 'it gets the same answers as a superuser, with nothing cached');

SELECT * FROM finish();
ROLLBACK;
