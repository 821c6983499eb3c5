-- report(): who may have it, what is in the page, and that nothing in it is more than text
SET client_min_messages = warning;
-- the tests have backslashes, and names as they are shown
SET standard_conforming_strings = on;
SET quote_all_identifiers = off;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(49);

-- The page without what may differ between two calls
CREATE FUNCTION pg_temp.page(application text DEFAULT NULL) RETURNS text LANGUAGE sql
RETURN regexp_replace(instance_env.report(application), '\d\d:\d\d UTC', '', 'g');
-- Is it well-formed? Null where the server cannot tell.
CREATE FUNCTION pg_temp.well_formed(page text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM page::xml;
	RETURN true;
EXCEPTION
	WHEN feature_not_supported THEN RETURN NULL;
	WHEN invalid_xml_document OR invalid_xml_content THEN RETURN false;
END $$;
-- A section of it
CREATE FUNCTION pg_temp.section(page text, id text) RETURNS text LANGUAGE sql
RETURN (regexp_match(page, format('<section id=''%s''.*?</section>', id)))[1];
CREATE FUNCTION pg_temp.times(page text, what text) RETURNS integer LANGUAGE sql
RETURN (length(page) - length(replace(page, what, ''))) / length(what);

--
-- Nothing yet
--

SELECT is((SELECT string_agg(m[1], ' ') FROM regexp_matches(instance_env.report(), '<section id=''(\w+)''', 'g') m),
	'summary usage readiness policy drift promotions guards events', 'an empty database: all sections, in their order');
SELECT is(pg_temp.times(instance_env.report(), 'class=''empty'''), 8, 'each says in words that there is nothing');
SELECT alike(pg_temp.section(instance_env.report(), 'summary'), '%Nothing: no instance is near its cap%', 'nothing needs attention');
SELECT ok(pg_temp.well_formed(instance_env.report()) IS NOT FALSE, 'and it is well-formed');

--
-- What there is
--

CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), instance_id uuid NOT NULL, name text, deleted_at timestamptz);
CREATE TABLE "odd <i>&""'\ table" (instance_id uuid, id text);
SELECT count(*) FROM instance_env.guard('users') \gset
CREATE TABLE coded (id uuid PRIMARY KEY, instance_id uuid NOT NULL);
SELECT count(*) FROM instance_env.guard('coded', user_key => 'id', counted => false, coded => true) \gset
SELECT count(*) FROM instance_env.guard('"odd <i>&""''\ table"', counted => false) \gset
SELECT application_id AS shop, development_id AS dev, production_id AS prod FROM instance_env.create_application('shop', 'pro') \gset
SELECT application_id AS desk, development_id AS desk_dev FROM instance_env.create_application('desk') \gset
SELECT instance_env.set_user_cap(:'dev', 10), instance_env.set_user_cap(:'desk_dev', 2) \gset
INSERT INTO users (instance_id) SELECT :'dev'::uuid FROM generate_series(1, 9);
INSERT INTO users (instance_id) SELECT :'desk_dev'::uuid FROM generate_series(1, 2);
INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description)
VALUES ('development', 'user_cap_thresholds', '[80, 100]', true, 'thresholds') ON CONFLICT DO NOTHING;
SELECT instance_env.set_policy(:'desk_dev', 'banner', '"Reset every <Sunday>"') \gset
SELECT instance_env.set_setting(:'dev', 'session.lifetime', '3600') \gset
SELECT instance_env.associate_domain(:'prod', 'shop.example.com'), instance_env.verify_domain(:'prod', 'shop.example.com') \gset
SELECT count(*) FROM instance_env.promote('shop') \gset
SELECT instance_env.set_setting(:'dev', 'session.lifetime', '7200') \gset

SELECT alike(instance_env.report(), '%<h1><bdi>' || current_database() || '</bdi></h1>%Database with 2 applications%', 'the head names the database');
SELECT alike(pg_temp.section(instance_env.report(), 'usage'), '%<b>Development</b> <bdi>Development instance: this is not production data</bdi>%',
	'the banner of development, as the policy has it');
SELECT alike(pg_temp.section(instance_env.report(), 'usage'), '%<bdi>desk</bdi><span class=''soft''><bdi>Reset every &lt;Sunday&gt;</bdi>%',
	'and the one of an instance that has its own');
SELECT alike(pg_temp.section(instance_env.report(), 'usage'), '%<bdi>desk</bdi>%2 of 2, 100\%%full%<bdi>shop</bdi>%9 of 10, 90\%%nearly full%',
	'the fullest instance comes first');
SELECT alike(pg_temp.section(instance_env.report(), 'usage'), '%<span style=''width:90\%''></span><i style=''left:80\%''></i><i style=''left:100\%''></i>%',
	'a bar, with a mark for each threshold');
SELECT alike(pg_temp.section(instance_env.report(), 'usage'), '%counts also what <bdi>deleted_at</bdi> marks%', 'those who are only marked as deleted');
SELECT alike(pg_temp.section(instance_env.report(), 'summary'), '%<b>2</b> <a href=''#usage''>near or at their cap</a>%', 'the summary counts them');
SELECT alike(pg_temp.section(instance_env.report(), 'summary'), '%full</span> <span class=''what''>Development of <b><bdi>desk</bdi></b> holds 2 of 2 users in <bdi>%users</bdi>%',
	'and names them');
SELECT alike(pg_temp.section(instance_env.report(), 'readiness'), '%<bdi>desk</bdi> %not ready</span></h3>%<b>Next step:</b> Associate a domain%failed</span><p><bdi>Production instance%has no domain.%',
	'a checklist, with the next step');
SELECT alike(pg_temp.section(instance_env.report(), 'readiness'), '%<bdi>shop</bdi> %all is well</span></h3>%', 'one that is live and in order');
SELECT alike(pg_temp.section(instance_env.report(), 'policy'), '%<bdi>session_transport</bdi>%<code>query_string</code>%<code>cookie</code>%', 'the policies side by side');
SELECT alike(pg_temp.section(instance_env.report(), 'policy'), '%What instances override%<bdi>desk</bdi>%<bdi>banner</bdi>%<code>Reset every &lt;Sunday&gt;</code>%<code>Development instance%',
	'and what is overridden');
SELECT alike(pg_temp.section(instance_env.report(), 'drift'), '%<bdi>shop</bdi>%<bdi>session.lifetime</bdi>%<code>7200</code>%<code>3600</code>%development</td>%', 'the drift');
SELECT unalike(pg_temp.section(instance_env.report(), 'drift'), '%desk%', 'of applications that are live');
SELECT alike(pg_temp.section(instance_env.report(), 'promotions'), '%<bdi>shop</bdi>%<bdi>' || session_user || '</bdi>%changes</summary>%<bdi>session.lifetime</bdi>%<code>3600</code>%', 'who promoted, and what changed');
SELECT alike(pg_temp.section(instance_env.report(), 'guards'), '%users</bdi><span class=''soft''>counts users</span></th><td data-label=''Guard''><span class=''badge ok''>%whole</span>%',
	'the guards');
SELECT alike(pg_temp.section(instance_env.report(), 'guards'), '%coded</bdi><span class=''soft''>does not count users</span>%<td data-label=''User key''><bdi>id</bdi><span class=''soft''>coded ids</span></td>%users</bdi>%<td data-label=''User key''><bdi>id</bdi></td>%',
	'and whose users are followed by coded ids');
SELECT alike(pg_temp.section(instance_env.report(), 'events'), '%<b>set_setting</b> <bdi>session.lifetime</bdi>%<code>3600</code> &#x2192; <code>7200</code>%<bdi>shop</bdi>%', 'the latest events');

-- What goes wrong
ALTER TABLE "odd <i>&""'\ table" DISABLE TRIGGER instance_env_active;
SELECT alike(pg_temp.section(instance_env.report(), 'guards'), '%odd &lt;i&gt;&amp;&quot;&#39;\\ table</bdi>%not whole</span><ul class=''plainlist''><li><bdi>trigger instance_env_active is disabled</bdi></li>%',
	'a broken guard, first and with its problem');
SELECT alike(pg_temp.section(instance_env.report(), 'summary'), '%<b>1</b> <a href=''#guards''>guards that are not whole</a>%The guard of <b><bdi>%odd &lt;i&gt;&amp;&quot;&#39;\\ table</bdi></b>%',
	'the summary has it');
SELECT alike(pg_temp.section(instance_env.report(), 'summary'), '%Production of <b><bdi>shop</bdi></b> is live: <a href=''#readiness''>1 check fails</a>%', 'and that production is not in order');

SELECT instance_env.set_user_cap(:'desk_dev', 2, 'soft') \gset
SELECT alike(pg_temp.section(instance_env.report(), 'usage'), '%<bdi>desk</bdi>%2 of 2, 100\%, soft cap <span class=''badge warn''>%full</span><span class=''bar at-warn''%',
	'a soft cap refuses nobody, so to be full is less bad');
SELECT alike(pg_temp.section(instance_env.report(), 'summary'), '%badge warn%full</span>%<bdi>desk</bdi></b> holds 2 of 2 users in <bdi>%users</bdi>, its cap is soft</span>%',
	'also in the summary');
SELECT instance_env.set_user_cap(:'desk_dev', 2, 'hard') \gset

--
-- One application
--

SELECT alike(instance_env.report('desk'), '%<h1><bdi>desk</bdi></h1>%Application in database%', 'by its name');
SELECT is(pg_temp.page(:'desk'), pg_temp.page('desk'), 'by its id');
SELECT is(pg_temp.page(upper(:'desk')), pg_temp.page('desk'), 'in capitals, too');
SELECT is(pg_temp.times(instance_env.report('desk'), '<bdi>shop<'), 0, 'nothing of others');
SELECT alike(instance_env.report('desk'), '%<b>Development</b> <bdi>Reset every &lt;Sunday&gt;</bdi>%', 'with its own banner');
SELECT throws_ok('SELECT instance_env.report(''nobody'')', '22023', 'application "nobody" does not exist', 'one that there is not');
SELECT throws_ok('SELECT instance_env.report('''')', '22023', NULL, 'no name');
SELECT throws_ok('SELECT instance_env.report(''00000000-0000-0000-0000-000000000000'')', '22023', NULL, 'an id that no application has');

--
-- Names
--

-- What looks like markup, quotes, other directions of writing, what is no character, and much of it
CREATE TEMP TABLE hostile AS SELECT n, name FROM unnest(ARRAY[
	'<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '''onmouseover=''alert(1)', ']]>', '&lt;b&gt;&#60;', '</style></title><b>',
	'a\b\x41\u0041 %s %n', U&'\0645\062A\062C\0631', U&'a\202Eb', U&'\+01F6D2', U&'a\0001b\0085c\FFFFd\007F', repeat('<wide>', 170)]) WITH ORDINALITY u (name, n);
SELECT count(instance_env.create_application(name)) FROM hostile \g /dev/null
SELECT instance_env.set_setting(development_id, 'session.lifetime', to_jsonb(name)) FROM hostile, instance_env.applications WHERE application = name \g /dev/null
SELECT unalike(instance_env.report(), '%<script%', 'a name does not become a script');
SELECT is((SELECT count(DISTINCT m[1]) FROM regexp_matches(instance_env.report(), '<(\w+)', 'g') m
		WHERE m[1] NOT IN (SELECT regexp_split_to_table('html head meta title style body header p h1 nav ul li a main section h2 h3 b span bdi table thead tbody tr th td i div details summary code footer', ' '))), 0::bigint, 'nor any element');
SELECT ok(instance_env.report() !~ '[^\n\t -~]', 'the page is plain ASCII');
SELECT ok(pg_temp.well_formed(instance_env.report()) IS NOT FALSE, 'and well-formed');
SELECT alike(instance_env.report(), '%<bdi>a&#x2401;b&#xFFFD;c&#xFFFD;d&#x2421;</bdi>%', 'what is no character is shown as something else');
SELECT alike(instance_env.report(), '%<bdi>&#x645;&#x62A;&#x62C;&#x631;</bdi>%<bdi>a&#x202E;b</bdi>%', 'each name is isolated from the direction of what is around it');
SELECT alike(instance_env.report(), '%<bdi>a\\b\\x41\\u0041 \%s \%n</bdi>%', 'a backslash and a percent sign are just that');

--
-- Settings and roles
--

CREATE TEMP TABLE before AS SELECT pg_temp.page() AS page;
CREATE SCHEMA evil;
CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal);
CREATE FUNCTION evil.concat(VARIADIC "any") RETURNS text LANGUAGE internal AS 'pg_backend_pid';
CREATE TYPE evil.text AS ENUM ();
SET LOCAL search_path = evil, pg_catalog;
SET LOCAL DateStyle = 'German, DMY';
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL quote_all_identifiers = on;
SET LOCAL extra_float_digits = -5;
SET LOCAL client_encoding = 'LATIN1';
CREATE TEMP TABLE after AS SELECT pg_temp.page() AS page;
RESET client_encoding;
RESET search_path;
SELECT ok((SELECT b.page = a.page FROM before b, after a), 'a session''s settings make no difference');
RESET ALL;
SET client_min_messages = warning;

CREATE ROLE report_monitor;
CREATE ROLE report_backend;
SELECT instance_env.grant_monitor('report_monitor'), instance_env.grant_backend('report_backend') \g /dev/null
SET LOCAL ROLE report_monitor;
CREATE TEMP TABLE seen AS SELECT instance_env.report() AS page;
SELECT alike(page, '% as <bdi>report_monitor</bdi>%', 'monitoring may have it') FROM seen;
RESET ROLE;
SELECT is(pg_temp.times(page, '<tr>'), pg_temp.times(instance_env.report(), '<tr>') , 'and sees all of it') FROM seen;
SET LOCAL ROLE report_backend;
SELECT throws_ok('SELECT instance_env.report()', '42501', NULL, 'an application''s backend may not');
RESET ROLE;

--
-- Many applications
--

SELECT count(instance_env.create_application('many ' || n)) FROM generate_series(1, 150) n \gset
CREATE TEMP TABLE large AS SELECT instance_env.report() AS page;
SELECT is(pg_temp.times(pg_temp.section(page, 'usage'), '<tr><th scope=''row'''), 50, 'of many instances, 50 are listed') FROM large;
SELECT alike(pg_temp.section(page, 'usage'), '%<p class=''more''>114 more%instance_env.usage</code>.</p>%', 'and it says how many more there are, and where') FROM large;
SELECT cmp_ok(length(page), '<', 1000000, 'so it is not too large') FROM large;

SELECT * FROM finish();
ROLLBACK;
