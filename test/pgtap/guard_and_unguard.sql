-- guard() and unguard(): again, repaired, changed, undone
SET client_min_messages = error;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(72);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset

CREATE FUNCTION pg_temp.triggers(regclass) RETURNS text LANGUAGE sql AS
$$SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal$$;
CREATE FUNCTION pg_temp.indexes(regclass) RETURNS bigint LANGUAGE sql AS
$$SELECT count(*) FROM pg_index WHERE indrelid = $1$$;
CREATE FUNCTION pg_temp.whole(regclass) RETURNS boolean LANGUAGE sql AS
$$SELECT whole AND coalesce(cardinality(problems), 0) = 0 FROM instance_env.guards WHERE relation = $1$$;

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text, other_id text);

-- what it attaches

SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT is(pg_temp.triggers('app.users'),
	'Instance_env_no_transfer instance_env_departure instance_env_truncate instance_env_user_cap',
	'counted, identities followed');
SELECT is(pg_temp.indexes('app.users'), 2::bigint, 'an index on the instance column was missing');
SELECT results_eq($$SELECT instance_column, user_key, counted, label FROM instance_env.guards
					WHERE relation = 'app.users'::regclass$$,
	$$VALUES ('instance_id'::name, 'id', true, 'postgres/app.users')$$, 'as listed');
SELECT ok(pg_temp.whole('app.users'), 'whole');
SELECT has_index('app', 'users', 'users_pkey', 'the table''s own index stays');

-- the same again, and said in full

SELECT lives_ok($$SELECT instance_env.guard('app.users')$$, 'the same again');
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'instance_id', 'id', true, NULL)$$, 'said in full');
SELECT is(pg_temp.indexes('app.users'), 2::bigint, 'no index more');
SELECT is(pg_temp.triggers('app.users'),
	'Instance_env_no_transfer instance_env_departure instance_env_truncate instance_env_user_cap',
	'the same triggers');

-- something else

SELECT throws_ok($$SELECT instance_env.guard('app.users', 'other_id')$$, '42710', NULL, 'another instance column');
SELECT throws_ok($$SELECT instance_env.guard('app.users', user_key => 'other_id')$$, '42710', NULL, 'another key');
SELECT throws_ok($$SELECT instance_env.guard('app.users', user_key => '')$$, '42710', NULL, 'no key');
SELECT throws_ok($$SELECT instance_env.guard('app.users', counted => false)$$, '42710', NULL, 'not counted');
SELECT ok(pg_temp.whole('app.users'), 'still whole');

-- each part lost, listed, and repaired

CREATE FUNCTION pg_temp.try(what text, command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN NEXT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass), false,
				   what || ': not whole');
	RETURN NEXT cmp_ok((SELECT cardinality(problems) FROM instance_env.guards WHERE relation = 'app.users'::regclass),
					   '>', 0, what || ': the problem is named');
	PERFORM instance_env.guard('app.users');
	RETURN NEXT ok(pg_temp.whole('app.users'), what || ': repaired');
	ALTER TABLE app.users ENABLE TRIGGER USER;
END $$;
SELECT pg_temp.try('trigger ' || t || ' dropped', format('DROP TRIGGER %I ON app.users', t))
FROM unnest(ARRAY['instance_env_departure', 'Instance_env_no_transfer',
				  'instance_env_truncate', 'instance_env_user_cap']) t;
SELECT pg_temp.try('trigger ' || t || ' disabled', format('ALTER TABLE app.users DISABLE TRIGGER %I', t))
FROM unnest(ARRAY['instance_env_departure', 'Instance_env_no_transfer',
				  'instance_env_truncate', 'instance_env_user_cap']) t;
SELECT pg_temp.try('trigger for replicas only', 'ALTER TABLE app.users ENABLE REPLICA TRIGGER instance_env_user_cap');
SELECT pg_temp.try('index dropped', (SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index
	WHERE indrelid = 'app.users'::regclass AND NOT indisprimary));

-- a trigger by another name is the same trigger
ALTER TRIGGER instance_env_user_cap ON app.users RENAME TO renamed;
SELECT lives_ok($$SELECT instance_env.guard('app.users')$$, 'a trigger renamed: guard() again');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.users'::regclass AND NOT tgisinternal), 4::bigint,
	'a trigger renamed: no other is made');
SELECT throws_ok($$INSERT INTO app.users SELECT i, 'dev' FROM generate_series(1, 3) i$$, '23I01', NULL,
	'a trigger renamed: it still works');
ALTER TRIGGER renamed ON app.users RENAME TO instance_env_user_cap;

-- undone

INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev');
DELETE FROM app.users WHERE id = 'u2';
SELECT lives_ok($$SELECT instance_env.unguard('app.users')$$, 'unguard()');
SELECT is(pg_temp.triggers('app.users'), NULL, 'no trigger is left');
SELECT is((SELECT count(*) FROM instance_env.guards WHERE relation = 'app.users'::regclass), 0::bigint, 'not listed');
SELECT lives_ok($$INSERT INTO app.users VALUES ('x1', 'dev'), ('x2', 'dev'), ('x3', 'nowhere'), ('x4', NULL)$$,
	'nothing is refused');
SELECT lives_ok($$UPDATE app.users SET instance_id = 'dev2'; DELETE FROM app.users; TRUNCATE app.users$$,
	'nothing at all');
SELECT lives_ok($$SELECT instance_env.unguard('app.users')$$, 'unguard() of what is not guarded');
SELECT lives_ok($$SELECT instance_env.guard('app.users', 'instance_id', 'id')$$, 'guard() again');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u2', 'dev2')$$, '23I02', NULL,
	'and what had departed before is remembered');
SELECT lives_ok($$SELECT instance_env.unguard('app.users'); SELECT instance_env.guard('app.users', user_key => 'id', counted => false)$$,
	'guarded otherwise');
SELECT is(pg_temp.triggers('app.users'),
	'Instance_env_no_transfer instance_env_active instance_env_departure instance_env_truncate',
	'not counted, identities followed');
SELECT lives_ok($$INSERT INTO app.users SELECT i, 'dev' FROM generate_series(1, 5) i$$, 'not counted: no cap');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u2', 'dev2')$$, '23I02', NULL, 'not counted: the same transfer rule');
SELECT lives_ok($$SELECT instance_env.unguard('app.users'); SELECT instance_env.guard('app.users', user_key => '')$$,
	'and otherwise');
SELECT is(pg_temp.triggers('app.users'), 'Instance_env_no_transfer instance_env_truncate instance_env_user_cap',
	'counted, identities not followed');

-- the key, when it is not given

CREATE TABLE app.pair (instance_id text, id text, PRIMARY KEY (instance_id, id));
CREATE TABLE app.three (instance_id text, a text, b text, PRIMARY KEY (instance_id, a, b));
CREATE TABLE app.keyless (instance_id text, id text UNIQUE);
CREATE TABLE app.itself (instance_id text PRIMARY KEY);
CREATE TABLE app.deferred (instance_id text, id text PRIMARY KEY DEFERRABLE);
CREATE TABLE app.parted (instance_id text, id text PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE app.unique_id (instance_id text, id text UNIQUE, PRIMARY KEY (instance_id, id));
CREATE TABLE app.double (instance_id text, a text, b text, PRIMARY KEY (b, a));
SELECT count(g) FROM unnest(ARRAY['app.pair', 'app.three', 'app.keyless', 'app.itself', 'app.deferred', 'app.parted', 'app.unique_id', 'app.double']) t, instance_env.guard(t::regclass) g \gset
SELECT results_eq(
	$$SELECT relation::text, user_key::text COLLATE "default" FROM instance_env.guards WHERE relation::text LIKE 'app.%'
	  AND relation <> 'app.users'::regclass ORDER BY 1$$,
	$$VALUES ('app.deferred', 'id'), ('app.double', 'b, a'), ('app.itself', NULL), ('app.keyless', NULL), ('app.pair', NULL),
			 ('app.parted', 'id'), ('app.three', NULL), ('app.unique_id', 'id')$$,
	'the primary key without the instance, if that alone is unique');
SELECT is(pg_temp.triggers('app.parted'),
	'Instance_env_no_transfer instance_env_departure instance_env_no_move instance_env_truncate instance_env_user_cap',
	'a partitioned table has one more trigger, for moves between partitions');
SELECT lives_ok($$INSERT INTO app.keyless VALUES ('dev', 'x'); DELETE FROM app.keyless; INSERT INTO app.keyless VALUES ('dev2', 'x')$$,
	'no key: identities are not followed');
SELECT throws_ok($$UPDATE app.keyless SET instance_id = 'dev'$$, '23I02', NULL, 'no key: but no row moves');

-- dropping what the triggers name takes those along that name it
CREATE TABLE app.bare (id text PRIMARY KEY, instance_id text, n integer);
SELECT count(*) FROM instance_env.guard('app.bare') \gset
INSERT INTO app.bare VALUES ('u1', 'dev'), ('u2', 'dev');
ALTER TABLE app.bare DROP instance_id CASCADE;
SELECT lives_ok($$DELETE FROM app.bare WHERE id = 'u1'; TRUNCATE app.bare$$, 'DROP COLUMN … CASCADE: users may still leave');
SELECT ok(NOT EXISTS (SELECT FROM instance_env.guards WHERE relation = 'app.bare'::regclass),
	'DROP COLUMN … CASCADE: the table is not guarded');
SELECT instance_env.unguard('app.bare') \gset
SELECT is(pg_temp.triggers('app.bare'), NULL, 'and unguard() removes what is left');

-- a transaction that does not end well leaves nothing

CREATE TABLE app.undone (id text PRIMARY KEY, instance_id text);
SAVEPOINT s;
SELECT count(*) FROM instance_env.guard('app.undone') \gset
ROLLBACK TO SAVEPOINT s;
SELECT is(pg_temp.triggers('app.undone'), NULL, 'rolled back: no trigger');
SELECT is(pg_temp.indexes('app.undone'), 1::bigint, 'rolled back: no index');
SELECT lives_ok($$INSERT INTO app.undone VALUES ('u1', 'nowhere')$$, 'rolled back: nothing is refused');

-- the extension cannot go while it is needed
SELECT throws_ok('DROP EXTENSION instance_env', '2BP01', NULL, 'DROP EXTENSION is refused while tables are guarded');

SELECT * FROM finish();
ROLLBACK;
