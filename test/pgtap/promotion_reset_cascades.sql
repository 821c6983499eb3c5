-- reset_development() deletes nobody else's rows, however foreign keys cascade
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(24);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001', production_id => 'a0000000-0000-4000-8000-000000000001',
	development_key => 'dev', production_key => 'prod') \gset
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
CREATE FUNCTION pg_temp.reset(only_users text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001', deleted => n, only_users => only_users);
	RETURN n;
END $$;
CREATE FUNCTION pg_temp.refused(only_users text, message text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $f$
DECLARE
	before bigint := (SELECT count(*) FROM app.users);
BEGIN
	RETURN NEXT throws_ok(format('SELECT pg_temp.reset(%L)', only_users), '55000', message, what);
	RETURN NEXT is((SELECT count(*) FROM app.users), before, what || ': nothing is deleted');
END $f$;

-- t and c are also names that the statements use
CREATE TABLE app.users (t integer PRIMARY KEY, c text NOT NULL, email text, UNIQUE (c, t));
SELECT count(*) FROM instance_env.guard('app.users', 'c', 't', address_column => 'email') \gset

-- through tables that are not guarded, to another user

CREATE TABLE app.teams (id integer PRIMARY KEY, owner integer REFERENCES app.users ON DELETE CASCADE,
	parent integer REFERENCES app.teams ON DELETE CASCADE);
ALTER TABLE app.users ADD team integer REFERENCES app.teams ON DELETE CASCADE;
INSERT INTO app.users VALUES (1, 'dev', 'a+clerk_test@x.com'), (2, 'dev', 'b@x.com'), (3, 'dev', 'c+clerk_test@x.com');
INSERT INTO app.teams VALUES (1, 1, NULL), (2, NULL, 1), (3, NULL, 2), (4, 2, NULL);
UPDATE app.users SET team = 3 WHERE t = 2;
SELECT pg_temp.refused('test_identities', 'deleting from table "app.teams" would delete other users from table "app.users"', 'a user of a team''s team');
UPDATE app.users SET team = 4 WHERE t = 2;
UPDATE app.users SET team = 3 WHERE t = 3;
SELECT is(pg_temp.reset('test_identities'), 2::bigint, 'only who is to go');
SELECT is((SELECT string_agg(t::text, ',') FROM app.users) || (SELECT string_agg(id::text, ',') FROM app.teams), '24', 'the others stay');

-- to another instance, from the same table of users

INSERT INTO app.users VALUES (4, 'prod', 'd@x.com', 4);
SELECT pg_temp.refused(NULL, 'deleting from table "app.teams" would delete rows of another instance from table "app.users"', 'a team of two instances');
UPDATE app.users SET team = NULL WHERE t = 4;
SELECT is(pg_temp.reset(), 1::bigint, 'without a row of another instance');
SELECT is((SELECT string_agg(t::text, ',') FROM app.users), '4', 'production stays');
ALTER TABLE app.users DROP team;
DROP TABLE app.teams;

-- to a table that has rows of another instance only

CREATE TABLE app.members (id integer PRIMARY KEY, c varchar NOT NULL, "user" integer REFERENCES app.users ON DELETE CASCADE);
SELECT count(*) FROM instance_env.guard('app.members', 'c', counted => true) \gset
INSERT INTO app.users VALUES (5, 'dev', 'e+clerk_test@x.com');
INSERT INTO app.members VALUES (5, 'prod', 5);
SELECT pg_temp.refused('test_identities', 'deleting from table "app.users" would delete other users from table "app.members"', 'other users of another instance');
SELECT pg_temp.refused(NULL, 'deleting from table "app.users" would delete rows of another instance from table "app.members"', 'users of another instance');
SELECT instance_env.unguard('app.members') \gset
SELECT count(*) FROM instance_env.guard('app.members', 'c', '', counted => false) \gset
SELECT pg_temp.refused('test_identities', 'deleting from table "app.users" would delete rows of another instance from table "app.members"', 'rows of another instance');
SELECT pg_temp.refused(NULL, 'deleting from table "app.users" would delete rows of another instance from table "app.members"', 'the same of all users');

-- a key that includes the instance keeps to it, so nothing is read

DELETE FROM app.members;
SELECT instance_env.unguard('app.members') \gset
ALTER TABLE app.members ALTER c TYPE text;
CREATE ROLE instance_env_owner;
CREATE ROLE instance_env_more;
GRANT instance_env_owner TO instance_env_more;
GRANT USAGE ON SCHEMA instance_env, app TO instance_env_owner;
ALTER TABLE app.users OWNER TO instance_env_owner;
ALTER TABLE app.members OWNER TO instance_env_more;
SELECT count(*) FROM instance_env.guard('app.users', 'c', 't', address_column => 'email') \gset
SELECT count(*) FROM instance_env.guard('app.members', 'c', '', counted => false) \gset
INSERT INTO app.members VALUES (5, 'dev', 5);
SELECT pg_temp.refused(NULL, 'cannot tell whether deleting from table "app.users" would delete rows of others', 'a table that the owner may not read');
ALTER TABLE app.members ADD FOREIGN KEY (c, "user") REFERENCES app.users (c, t) NOT VALID;
SELECT pg_temp.refused(NULL, 'cannot tell whether deleting from table "app.users" would delete rows of others', 'a key that is not validated');
ALTER TABLE app.members VALIDATE CONSTRAINT members_c_user_fkey;
SELECT is(pg_temp.reset(), 2::bigint, 'a key that includes the instance');

-- partitions, with columns in another order, and a foreign key of their own

CREATE TABLE app.parts (id integer, k integer, owner integer) PARTITION BY LIST (k);
CREATE TABLE app.part (owner integer, k integer, id integer UNIQUE);
ALTER TABLE app.parts ATTACH PARTITION app.part FOR VALUES IN (1);
ALTER TABLE app.parts OWNER TO instance_env_owner;
ALTER TABLE app.part OWNER TO instance_env_owner, ADD FOREIGN KEY (owner) REFERENCES app.users ON DELETE CASCADE;
ALTER TABLE app.users ADD part integer REFERENCES app.part (id) ON DELETE CASCADE;
INSERT INTO app.users VALUES (6, 'dev', 'f+clerk_test@x.com'), (7, 'dev', 'g@x.com');
INSERT INTO app.parts VALUES (1, 1, 6);
UPDATE app.users SET part = 1 WHERE t = 7;
SELECT pg_temp.refused('test_identities', 'deleting from table "app.parts" would delete other users from table "app.users"', 'a partition');
SELECT is(pg_temp.reset(), 2::bigint, 'of the same instance');

SELECT * FROM finish();
ROLLBACK;
