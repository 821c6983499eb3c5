-- Users who are only marked as deleted keep their seats, and view usage names the column
-- that marks them.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(34);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.instance_id('shop', 'development') AS dev \gset
SELECT instance_env.set_user_cap(:'dev', 2) \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL DEFAULT 'dev', email text, deleted_at timestamptz);
SELECT count(*) FROM instance_env.guard('app.users') \gset

-- the seat

INSERT INTO app.users VALUES (1), (2);
UPDATE app.users SET deleted_at = now() WHERE id = 1;
SELECT throws_ok('INSERT INTO app.users VALUES (3)', '23I01', NULL, 'who is marked as deleted keeps the seat');
SELECT results_eq('SELECT relation, users, percent, state, soft_deletion FROM instance_env.usage WHERE NOT estimated',
	$$VALUES ('app.users'::regclass, 2::bigint, 100.0, 'full', 'deleted_at'::name)$$, 'view usage says by which column');
SELECT results_eq(format('SELECT users, soft_deletion FROM instance_env.instance_usage(%L)', :'dev'),
	$$VALUES (2::bigint, 'deleted_at'::name)$$, 'so does instance_usage()');
CREATE TABLE app.deleted_users (LIKE app.users);
WITH gone AS (DELETE FROM app.users WHERE deleted_at IS NOT NULL RETURNING *) INSERT INTO app.deleted_users SELECT * FROM gone;
SELECT lives_ok('INSERT INTO app.users VALUES (3)', 'moving such a user to an archive table frees it');
UPDATE app.users SET deleted_at = NULL;
SELECT throws_ok('INSERT INTO app.users VALUES (4)', '23I01', NULL, 'nor does unmarking a user take a seat');

-- the column

CREATE FUNCTION pg_temp.named(definition text) RETURNS name LANGUAGE plpgsql AS $$
DECLARE
	found name;
BEGIN
	EXECUTE 'ALTER TABLE app.users DROP deleted_at, ADD ' || definition;
	SELECT soft_deletion INTO found FROM instance_env.usage WHERE NOT estimated;
	RAISE division_by_zero USING MESSAGE = coalesce(found::text, 'none');
EXCEPTION WHEN division_by_zero THEN
	RETURN SQLERRM;
END $$;
CREATE DOMAIN app.flag AS boolean;
CREATE DOMAIN app.mark AS app.flag;
CREATE DOMAIN app.word AS text;
SELECT is(pg_temp.named(definition), name::name, definition) FROM (VALUES
	('deleted_at timestamp', 'deleted_at'),
	('deleted_on date', 'deleted_on'),
	('"deletedAt" timestamptz(3)', 'deletedAt'),
	('"DELETED_AT" timestamptz', 'DELETED_AT'),
	('deleted boolean DEFAULT false', 'deleted'),
	('deleted app.mark', 'deleted'),
	('deleted smallint', 'deleted'),
	('"isDeleted" boolean', 'isDeleted'),
	('is_deleted boolean', 'is_deleted'),
	('deleted_at bigint', 'deleted_at'),
	('removed_at timestamptz', 'removed_at'),
	('archived_at timestamptz', 'archived_at'),
	('discarded_at timestamp', 'discarded_at'),
	('soft_deleted boolean', 'soft_deleted'),
	('gone boolean, ADD removed boolean, ADD deleted boolean', 'removed'),
	('deleted_by integer', 'none'),
	('deleted text', 'none'),
	('deleted app.word', 'none'),
	('deleted_at timestamptz[]', 'none'),
	('undeleted_at timestamptz', 'none'),
	('created_at timestamptz', 'none'),
	(format('%I timestamptz', 'deleted_at' || repeat('_', 53)), 'deleted_at' || repeat('_', 53)),
	(format('%I timestamptz', 'deleted_at' || repeat('x', 53)), 'none')) AS c (definition, name);

-- renamed, dropped, in partitions

ALTER TABLE app.users RENAME deleted_at TO removed_at;
SELECT is((SELECT soft_deletion FROM instance_env.usage WHERE NOT estimated), 'removed_at'::name, 'renamed');
ALTER TABLE app.users DROP removed_at;
SELECT is((SELECT soft_deletion FROM instance_env.usage WHERE NOT estimated), NULL, 'dropped');
SELECT is((SELECT state FROM instance_env.usage WHERE NOT estimated), 'full', 'which is all that has changed');

CREATE TABLE app.members (id integer PRIMARY KEY, deleted boolean, instance_id text NOT NULL) PARTITION BY HASH (id);
CREATE TABLE app.members0 (instance_id text NOT NULL, id integer NOT NULL, deleted boolean);
ALTER TABLE app.members ATTACH PARTITION app.members0 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT count(*) FROM instance_env.guard('app.members') \gset
SELECT is((SELECT soft_deletion FROM instance_env.usage WHERE NOT estimated AND relation = 'app.members'::regclass), 'deleted'::name, 'partitioned');

-- who reads it

SELECT 'app.members'::regclass::oid AS members \gset
CREATE ROLE instance_env_sd_monitor;
SELECT instance_env.grant_monitor('instance_env_sd_monitor') \gset
SET LOCAL ROLE instance_env_sd_monitor;
SELECT is((SELECT soft_deletion FROM instance_env.usage WHERE NOT estimated AND relation = :members), 'deleted'::name,
	'a monitor sees it, without rights on the table');
RESET ROLE;
CREATE ROLE instance_env_sd_backend;
SELECT instance_env.grant_backend('instance_env_sd_backend') \gset
SET LOCAL ROLE instance_env_sd_backend;
SELECT throws_ok('SELECT soft_deletion FROM instance_env.usage WHERE NOT estimated', '42501', NULL, 'a backend does not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
