-- Keys of many types: equality is the type's own, for the living and for the departed
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(1177);

CREATE SCHEMA app;
CREATE COLLATION app.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN app.email AS text COLLATE app.caseless;
CREATE DOMAIN app.number AS integer CHECK (value > 0);
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset

CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.insert(key text, instance text) RETURNS text LANGUAGE sql AS
$$SELECT pg_temp.outcome(format('INSERT INTO app.users VALUES (%L, %L)', key, instance))$$;

-- one: a key; same: another spelling of it, or itself; other: a different key
CREATE FUNCTION pg_temp.try(key_type text, one text, same text, other text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	what constant text := key_type || ' ';
	form text;
BEGIN
	-- with a primary key on the key alone, and with one that allows the key in each instance
	FOREACH form IN ARRAY ARRAY['PRIMARY KEY (id)', 'PRIMARY KEY (instance_id, id)', 'CHECK (true)'] LOOP
		EXECUTE format('CREATE TABLE app.users (id %s, instance_id text, n integer, %s)', key_type, form);
		RETURN NEXT is(pg_temp.outcome($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$), 'ok',
					   what || form || ': guard()');
		RETURN NEXT is(pg_temp.insert(one, 'dev'), 'ok', what || form || ': one');
		RETURN NEXT is(pg_temp.insert(other, 'dev2'), 'ok', what || form || ': another');
		RETURN NEXT is(pg_temp.insert(one, 'dev2'), CASE form WHEN 'PRIMARY KEY (id)' THEN '23505' ELSE '23I02' END,
					   what || form || ': living elsewhere');
		RETURN NEXT is(pg_temp.insert(same, 'dev2'), CASE form WHEN 'PRIMARY KEY (id)' THEN '23505' ELSE '23I02' END,
					   what || form || ': living elsewhere, spelt ' || same);
		RETURN NEXT is(pg_temp.outcome(format('UPDATE app.users SET id = %L WHERE instance_id = ''dev2''', same)),
					   CASE form WHEN 'PRIMARY KEY (id)' THEN '23505' ELSE '23I02' END,
					   what || form || ': update to a key that lives elsewhere');
		RETURN NEXT is(pg_temp.outcome('UPDATE app.users SET n = 1'), 'ok', what || form || ': update of another column');
		DELETE FROM app.users WHERE instance_id = 'dev';
		RETURN NEXT is(pg_temp.insert(one, 'dev2'), '23I02', what || form || ': departed');
		RETURN NEXT is(pg_temp.insert(same, 'dev2'), '23I02', what || form || ': departed, spelt ' || same);
		RETURN NEXT is(pg_temp.outcome(format('UPDATE app.users SET id = %L', same)), '23I02',
					   what || form || ': update to a departed key');
		RETURN NEXT is(pg_temp.insert(same, 'dev'), 'ok', what || form || ': return, spelt ' || same);
		TRUNCATE app.users;
		RETURN NEXT is(pg_temp.insert(one, 'dev2'), '23I02', what || form || ': truncated');
		RETURN NEXT is(pg_temp.insert(other, 'dev'), '23I02', what || form || ': truncated, the other');
		RETURN NEXT is(pg_temp.insert(other, 'dev2'), 'ok', what || form || ': return of the other');
		DROP TABLE app.users;
		PERFORM instance_env.forget_departed('infinity');
	END LOOP;
END $$;

SELECT pg_temp.try('text', 'ann', 'ann', 'bob');
SELECT pg_temp.try('varchar(20)', 'ann', 'ann', 'bob');
SELECT pg_temp.try('name', 'ann', 'ann', 'bob');
SELECT pg_temp.try('character(10)', 'ann', 'ann   ', 'bob');
SELECT pg_temp.try('text COLLATE app.caseless', 'ann@example.com', 'Ann@Example.COM', 'bob@example.com');
SELECT pg_temp.try('app.email', 'ann@example.com', 'ANN@example.com', 'bob@example.com');
SELECT pg_temp.try('smallint', '7', '07', '8');
SELECT pg_temp.try('integer', '7', '07', '-7');
SELECT pg_temp.try('bigint', '7', '07', '7000000000');
SELECT pg_temp.try('app.number', '7', '07', '8');
SELECT pg_temp.try('numeric', '1.5', '1.500', '1.50001');
SELECT pg_temp.try('numeric', '0', '-0.000', 'NaN');
SELECT pg_temp.try('float8', '0', '-0', '1e300');
SELECT pg_temp.try('uuid', '6f9619ff-8b86-d011-b42d-00cf4fc964ff', '{6F9619FF-8B86-D011-B42D-00CF4FC964FF}',
	'6f9619ff-8b86-d011-b42d-00cf4fc964fe');
SELECT pg_temp.try('bytea', E'\\x00', E'\\000', E'\\x0000');
SELECT pg_temp.try('timestamptz', '2024-01-01 00:00+00', '2024-01-01 01:00+01', '2024-01-01 00:00:00.000001+00');
SELECT pg_temp.try('date', '2024-01-01', 'January 1, 2024', 'infinity');
SELECT pg_temp.try('boolean', 'true', 'yes', 'false');
SELECT pg_temp.try('inet', '10.0.0.1', '10.0.0.1/32', '10.0.0.0/24');
SELECT pg_temp.try('numeric', '5', '5.0', '-5');
SELECT pg_temp.try('numeric', 'Infinity', 'inf', 'NaN');
SELECT pg_temp.try('float4', '1.5', '1.50', '-1.5');

SELECT pg_temp.try('oid', '7', '07', '4000000000');
SELECT pg_temp.try('macaddr', '08:00:2b:01:02:03', '08002b:010203', '08:00:2b:01:02:04');
SELECT pg_temp.try('bit varying', '101', 'B101', '1010');
SELECT pg_temp.try('interval', '1 day', '24:00', '1 month 1 day');

-- What stands for an entry of a catalog is another number after a dump, and its name can be
-- changed: it identifies nobody.  Nor does what is made of other values: hash functions of these
-- take some that differ for the same.
CREATE TYPE app.colour AS ENUM ('red', 'green');
CREATE DOMAIN app.shade AS app.colour;
CREATE TYPE app.paint AS (name text, colour app.shade);
CREATE TYPE app.pair AS (a integer, b numeric);
CREATE TYPE app.shades AS RANGE (subtype = app.colour);
SELECT throws_ok(format('CREATE TABLE app.users (id %s PRIMARY KEY, instance_id text);
	SELECT instance_env.guard(''app.users'')', t), '42704', NULL, t || ' cannot be the user key')
FROM unnest('{app.colour, app.shade, app.colour[], app.paint, app.shades, app.shade[], regclass, regrole, regtype[], integer[], jsonb, int4range, nummultirange, app.pair}'::text[]) t;
SELECT throws_ok('CREATE TABLE app.users (id tsvector PRIMARY KEY, instance_id text);
	SELECT instance_env.guard(''app.users'')', '42704', NULL, 'nor can a type that has no hash function');

-- a type whose equality is not in pg_catalog, and not in search_path
SELECT count(*) > 0 AS available FROM pg_available_extensions WHERE name = 'citext' \gset
\if :available
CREATE SCHEMA ext;
CREATE EXTENSION IF NOT EXISTS citext SCHEMA ext;
SELECT pg_temp.try('ext.citext', 'ann@example.com', 'Ann@Example.COM', 'bob@example.com');
\else
SELECT skip('citext is not available', 42);
\endif

-- long keys are kept apart by their last byte, and stored out of line without harm
CREATE TABLE app.long (id text, instance_id text, PRIMARY KEY (instance_id, id));
ALTER TABLE app.long ALTER id SET STORAGE EXTERNAL;
SELECT count(*) FROM instance_env.guard('app.long', user_key => 'id') \gset
SELECT lives_ok($$INSERT INTO app.long VALUES (repeat('x', 2500) || '1', 'dev'), (repeat('x', 2500) || '2', 'dev2')$$,
	'long keys');
SELECT throws_ok($$INSERT INTO app.long VALUES (repeat('x', 2500) || '1', 'dev2')$$, '23I02', NULL,
	'a long key that lives elsewhere');
SELECT lives_ok($$DELETE FROM app.long$$, 'long keys depart');
SELECT throws_ok($$INSERT INTO app.long VALUES (repeat('x', 2500) || '1', 'dev2')$$, '23I02', NULL,
	'a long key that departed elsewhere');
SELECT lives_ok($$INSERT INTO app.long VALUES (repeat('x', 2500) || '3', 'dev2')$$, 'a long key of nobody');

-- Nobody's key is nobody's: NULL is no identity.
CREATE TABLE app.nullable (id text, instance_id text, n integer);
SELECT count(*) FROM instance_env.guard('app.nullable', user_key => 'id') \gset
SELECT lives_ok($$INSERT INTO app.nullable VALUES (NULL, 'dev'), (NULL, 'dev2'), (NULL, 'dev')$$, 'NULL keys');
SELECT throws_ok($$UPDATE app.nullable SET instance_id = 'dev2'$$, '23I02', NULL, 'do not move either');
SELECT lives_ok($$DELETE FROM app.nullable WHERE instance_id = 'dev'$$, 'depart');
SELECT lives_ok($$INSERT INTO app.nullable VALUES (NULL, 'dev2')$$, 'and are not remembered');
SELECT lives_ok($$TRUNCATE app.nullable$$, 'TRUNCATE with NULL keys');
SELECT lives_ok($$INSERT INTO app.nullable VALUES (NULL, 'dev'), ('', 'dev')$$, 'an empty key is a key');
SELECT lives_ok($$UPDATE app.nullable SET id = 'x' WHERE id IS NULL$$, 'NULL becomes a key: an arrival');
SELECT throws_ok($$INSERT INTO app.nullable VALUES ('', 'dev2')$$, '23I02', NULL, 'the empty key lives elsewhere');
SELECT throws_ok($$INSERT INTO app.nullable VALUES ('x', 'dev2')$$, '23I02', NULL, 'so does the key that arrived');
SELECT lives_ok($$UPDATE app.nullable SET id = NULL WHERE id = 'x'$$, 'a key becomes NULL: a departure');
SELECT throws_ok($$INSERT INTO app.nullable VALUES ('x', 'dev2')$$, '23I02', NULL, 'that is remembered');

-- a key that the database computes
CREATE TABLE app.computed
(
	mail text,
	instance_id text,
	id text GENERATED ALWAYS AS (lower(mail)) STORED,
	PRIMARY KEY (instance_id, id)
);
SELECT count(*) FROM instance_env.guard('app.computed', user_key => 'id') \gset
SELECT lives_ok($$INSERT INTO app.computed VALUES ('Ann@example.com', 'dev')$$, 'a generated key');
SELECT throws_ok($$INSERT INTO app.computed VALUES ('ANN@example.com', 'dev2')$$, '23I02', NULL, 'lives elsewhere');
SELECT lives_ok($$UPDATE app.computed SET mail = 'ann@EXAMPLE.com'$$, 'computed anew, the same');
SELECT is((SELECT count(*) FROM instance_env.departed_user), 3::bigint, 'is no departure');
SELECT lives_ok($$UPDATE app.computed SET mail = 'Anna@example.com'$$, 'computed anew, another');
SELECT throws_ok($$INSERT INTO app.computed VALUES ('ann@example.com', 'dev2')$$, '23I02', NULL, 'is one');

-- one user, several rows in one instance
CREATE TABLE app.devices (id text, instance_id text, device integer);
SELECT count(*) FROM instance_env.guard('app.devices', user_key => 'id', counted => false) \gset
SELECT lives_ok($$INSERT INTO app.devices VALUES ('ann', 'dev', 1), ('ann', 'dev', 2)$$, 'a key twice in one instance');
SELECT throws_ok($$INSERT INTO app.devices VALUES ('ann', 'dev2', 3)$$, '23I02', NULL, 'not in another');
SELECT throws_ok($$INSERT INTO app.devices VALUES ('bob', 'dev', 1), ('bob', 'dev2', 1)$$, '23I02', NULL,
	'not twice in one statement for two instances');
SELECT lives_ok($$DELETE FROM app.devices WHERE device = 1$$, 'one of two rows is deleted');
SELECT throws_ok($$INSERT INTO app.devices VALUES ('ann', 'dev2', 3)$$, '23I02', NULL, 'the user is still there');
SELECT lives_ok($$UPDATE app.devices SET device = 5$$, 'and lives on');

SELECT * FROM finish();
ROLLBACK;
