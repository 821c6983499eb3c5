-- Row-level security on the guarded table changes no count and hides no identity, and
-- guard() sees rows that its owner may not.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(26);

CREATE ROLE instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE ROLE instance_env_backend;
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO PUBLIC;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 3) \gset

CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
CREATE FUNCTION pg_temp.owner(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_owner', command)$$;
CREATE FUNCTION pg_temp.backend(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_backend', command)$$;

SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.users (id text, instance_id text, n integer DEFAULT 0, PRIMARY KEY (instance_id, id));
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- Anybody may write, nobody may read, except one instance's rows.
CREATE POLICY read ON app.users FOR SELECT USING (instance_id = current_setting('app.instance', true));
CREATE POLICY add ON app.users FOR INSERT WITH CHECK (true);
CREATE POLICY change ON app.users FOR UPDATE USING (true);
CREATE POLICY remove ON app.users FOR DELETE USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON app.users TO instance_env_backend;
RESET ROLE;

-- guard() by the owner under forced row-level security

INSERT INTO app.users VALUES ('u1', 'dev'), ('x1', 'nowhere'), ('x2', 'dev');
SELECT throws_ok($$SELECT pg_temp.owner($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$, '23I03', NULL,
	'a row of no instance is found although a policy hides it');
DELETE FROM app.users WHERE id = 'x1';
INSERT INTO app.users VALUES ('x2', 'dev2');
SELECT throws_ok($$SELECT pg_temp.owner($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$, '23I02', NULL,
	'so is a user in two instances');
DELETE FROM app.users WHERE id = 'x2';
SELECT lives_ok($$SELECT pg_temp.owner($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$,
	'the owner under forced row-level security can guard the table');

-- by a role that sees no row, a role that sees some, and the owner

SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u2', 'dev'), ('u3', 'dev')$q$)$$,
	'INSERT up to the cap by a role that sees no row');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u4', 'dev')$q$)$$, '23I01', NULL,
	'INSERT beyond the cap by a role that sees no row');
SELECT throws_ok($$SELECT pg_temp.owner($q$INSERT INTO app.users VALUES ('u4', 'dev')$q$)$$, '23I01', NULL,
	'INSERT beyond the cap by the owner, who sees no row');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u1', 'dev2')$q$)$$, '23I02', NULL,
	'INSERT of another instance''s user, whom it does not see');
SET LOCAL app.instance = 'dev';
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u4', 'dev')$q$)$$, '23I01', NULL,
	'INSERT beyond the cap by a role that sees the instance');
SELECT throws_ok($$SELECT pg_temp.backend($q$UPDATE app.users SET instance_id = 'dev2'$q$)$$, '23I02', NULL,
	'UPDATE of the instance');
SELECT lives_ok($$SELECT pg_temp.backend($q$DELETE FROM app.users WHERE id = 'u3'$q$)$$, 'DELETE');
SET LOCAL app.instance = '';
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u3', 'dev2')$q$)$$, '23I02', NULL,
	'return elsewhere');
SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u3', 'dev')$q$)$$, 'return');
SELECT lives_ok($$SELECT pg_temp.backend('TRUNCATE app.users')$$, 'TRUNCATE by a role that sees no row');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('u1', 'dev2')$q$)$$, '23I02', NULL,
	'all users were remembered');

-- where row_security is off

SET LOCAL row_security = off;
SELECT lives_ok($$INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev'), ('u3', 'dev')$$,
	'row_security off: INSERT by a superuser');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u4', 'dev')$$, '23I01', NULL,
	'row_security off: INSERT beyond the cap by a superuser');
SELECT lives_ok($$DELETE FROM app.users$$, 'row_security off: DELETE');
SELECT lives_ok($$SELECT pg_temp.owner('TRUNCATE app.users')$$, 'row_security off: TRUNCATE');
SET LOCAL row_security = on;

-- The owner's code runs with nobody's rights but those of the role that acts: a policy,
-- a default, an index expression and a check tell as whom they were run.

CREATE TABLE app.ran (who name, what text);
GRANT INSERT ON app.ran TO PUBLIC;
CREATE FUNCTION app.ran(what text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS
$$BEGIN INSERT INTO app.ran VALUES (current_user, what); RETURN true; END$$;
CREATE FUNCTION app.ran_index(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$BEGIN PERFORM app.ran('index'); RETURN x; END$$;
SET LOCAL ROLE instance_env_owner;
CREATE DOMAIN app.key AS text CHECK (app.ran('domain'));
CREATE TABLE app.spy
(
	id app.key PRIMARY KEY,
	instance_id text NOT NULL CHECK (app.ran('check')),
	n boolean DEFAULT app.ran('default')
);
INSERT INTO app.spy VALUES ('u1', 'dev');
CREATE INDEX ON app.spy (app.ran_index(id));
ALTER TABLE app.spy ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY spy ON app.spy USING (app.ran('policy'));
RESET ROLE;
SELECT lives_ok($$SELECT pg_temp.owner($q$SELECT instance_env.guard('app.spy')$q$)$$, 'a table full of code');
SELECT lives_ok($$SELECT pg_temp.owner($q$INSERT INTO app.spy VALUES ('u2', 'dev')$q$)$$, 'INSERT into it');
SELECT throws_ok($$SELECT pg_temp.owner($q$INSERT INTO app.spy VALUES ('u2', 'dev2')$q$)$$, '23505', NULL,
	'INSERT into it under another instance');
SELECT lives_ok($$SELECT pg_temp.owner($q$UPDATE app.spy SET id = 'u3' WHERE id = 'u2'$q$)$$, 'UPDATE');
SELECT lives_ok($$SELECT pg_temp.owner($q$DELETE FROM app.spy$q$)$$, 'DELETE');
SELECT lives_ok($$SELECT pg_temp.owner($q$TRUNCATE app.spy$q$)$$, 'TRUNCATE');
SELECT lives_ok($$SELECT pg_temp.owner($q$SELECT instance_env.unguard('app.spy')$q$)$$, 'unguard()');
SELECT set_eq($$SELECT DISTINCT who FROM app.ran$$, $$VALUES ('instance_env_owner'::name)$$,
	'its code ran as its owner only');

SELECT * FROM finish();
ROLLBACK;
