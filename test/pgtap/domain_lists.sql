-- The lists of names that are nobody's own, or of others, or below which names are registered:
-- each entry counts
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(694);

SELECT instance_env.create_application('shop', 'pro', production_id => 'a0000000-0000-4000-8000-000000000001') \gset
CREATE FUNCTION pg_temp.problem(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM instance_env.associate_domain('a0000000-0000-4000-8000-000000000001', name, false);
	PERFORM instance_env.remove_domain('a0000000-0000-4000-8000-000000000001', name);
	RETURN 'none';
EXCEPTION WHEN SQLSTATE '22I01' THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
CREATE FUNCTION pg_temp.words(list text) RETURNS SETOF text LANGUAGE sql AS
$$SELECT regexp_split_to_table(btrim(list, E' \t\n'), E'[ \t\n]+')$$;
CREATE TEMP TABLE suffixes AS
SELECT problem, reason, pg_temp.words(list) AS suffix FROM (VALUES
('It belongs to a hosting provider.', 'hosting_provider', '
	lovable.app replit.dev github.dev app.github.dev ngrok-free.dev bolt.host v0.build
	vercel.app netlify.app pages.dev fly.dev render.com herokuapp.com amplifyapp.com
	azurestaticapps.net azurewebsites.net cloudfront.net deno.dev firebaseapp.com github.io
	gitlab.io ngrok-free.app ngrok.app ngrok.dev ngrok.io onrender.com railway.app replit.app
	run.app surge.sh web.app workers.dev'),
('It belongs to the service itself.', 'service_domain', '
	accounts.dev clerk.app clerk.com clerk.dev clerk.services'),
('It is a reserved name, which nobody can own.', 'local', '
	arpa example internal invalid local localhost onion test')) v (problem, reason, list);

SELECT is(pg_temp.problem(name), problem, 'as a domain: ' || name) FROM suffixes, unnest(ARRAY['a.', 'a.b.', '']) AS label,
	concat(label, suffix) AS name;
SELECT is(p.reason, s.reason, 'as a preview: ' || host)
FROM suffixes s, concat('a.', suffix) AS host, instance_env.check_preview(instance_env.application_id('shop'), host) p;
SELECT is(pg_temp.problem('zq7' || suffix), 'none', 'but not: zq7' || suffix) FROM suffixes WHERE suffix LIKE '%.%' AND suffix <> 'app.github.dev';

-- below two labels

CREATE TEMP TABLE registries AS
SELECT top, pg_temp.words(list) || '.' || top AS suffix FROM (VALUES
	('ar', 'com edu gob gov int net org'),
	('at', 'ac co gv or'),
	('au', 'asn com edu gov id net org'),
	('br', 'art com edu gov ind net org'),
	('cn', 'ac com edu gov net org'),
	('co', 'com edu gov net nom org'),
	('eg', 'com edu gov net org'),
	('es', 'com edu gob nom org'),
	('hk', 'com edu gov idv net org'),
	('hu', 'co info org'),
	('id', 'ac biz co go my net or sch web'),
	('il', 'ac co gov muni net org'),
	('in', 'ac co edu firm gen gov ind net nic org res'),
	('jp', 'ac ad co ed go gr lg ne or'),
	('ke', 'ac co go info me ne or sc'),
	('kr', 'ac co go ne or pe re'),
	('mx', 'com edu gob net org'),
	('my', 'com edu gov name net org'),
	('ng', 'com edu gov net org'),
	('nz', 'ac co geek gen govt iwi kiwi maori net org school'),
	('pe', 'com edu gob net nom org'),
	('ph', 'com edu gov net ngo org'),
	('pk', 'com edu gov net org'),
	('pl', 'com edu gov net org'),
	('pt', 'com edu gov net org'),
	('sa', 'com edu gov net org'),
	('sg', 'com edu gov net org'),
	('th', 'ac co go in net or'),
	('tr', 'bel com edu gen gov name net org web'),
	('tw', 'club com edu gov idv net org'),
	('ua', 'com edu gov in net org'),
	('uk', 'ac co gov ltd me net nhs org plc police'),
	('vn', 'com edu gov net org'),
	('za', 'ac co gov law net nom org school web')) v (top, list);

SELECT is(instance_env.domain_root('www.shop.' || suffix), 'shop.' || suffix, 'names are registered below ' || suffix) FROM registries;
SELECT is(pg_temp.problem(suffix), 'It is a public suffix, below which others register their domains.', 'so nobody owns ' || suffix)
FROM registries;
SELECT is(instance_env.domain_root('www.zq7.' || top), 'zq7.' || top, 'and below ' || top)
FROM registries GROUP BY top;

SELECT * FROM finish();
ROLLBACK;
