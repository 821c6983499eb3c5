--
-- rename_instance(), up to the end of the transaction: what is committed, and what is not
--
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE SCHEMA rename_test;
SET search_path = rename_test;
\set dev '00000000-0000-4000-8000-00000000000d'
SELECT FROM instance_env.create_application('rename test', development_id => :'dev', development_key => 'rename-old');
SELECT instance_env.set_user_cap(:'dev', 3);
CREATE TABLE tenants (id text PRIMARY KEY);
CREATE TABLE users (id text PRIMARY KEY, tenant text NOT NULL REFERENCES tenants ON UPDATE CASCADE);
CREATE INDEX ON users (tenant);
CREATE TABLE sessions (id text PRIMARY KEY, tenant text NOT NULL);
CREATE INDEX ON sessions (tenant);
SELECT FROM instance_env.guard('users', 'tenant');
SELECT FROM instance_env.guard('sessions', 'tenant', counted => false);
INSERT INTO tenants VALUES ('rename-old');
INSERT INTO users SELECT 'u' || i, 'rename-old' FROM generate_series(1, 3) i;
INSERT INTO sessions VALUES ('s1', 'rename-old');
CREATE VIEW state AS
SELECT t AS "table", tenant, count(*) FROM (SELECT 'users' AS t, tenant FROM users UNION ALL SELECT 'sessions', tenant FROM sessions) r
GROUP BY 1, 2;

-- without rename_instance()
UPDATE tenants SET id = 'rename-new';
UPDATE instance_env.instance SET external_key = 'rename-new' WHERE id = :'dev';

-- by itself
SELECT instance_env.rename_instance(:'dev', 'rename-new');

-- with one table forgotten
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
UPDATE tenants SET id = 'rename-new';
COMMIT;
SELECT external_key FROM instance_env.instances WHERE instance_id = :'dev';
SELECT * FROM state ORDER BY 1, 2;

-- with a new user, who would be one too many
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
INSERT INTO tenants VALUES ('rename-new');
INSERT INTO users VALUES ('u4', 'rename-new');
ROLLBACK;

-- as a whole, whatever happens to constraints
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
UPDATE tenants SET id = 'rename-new';
UPDATE sessions SET tenant = 'rename-new';
SET CONSTRAINTS ALL IMMEDIATE;
COMMIT;
SELECT external_key FROM instance_env.instances WHERE instance_id = :'dev';
SELECT * FROM state ORDER BY 1, 2;
INSERT INTO users VALUES ('u4', 'rename-new');
DELETE FROM users WHERE id = 'u1';
INSERT INTO users VALUES ('u4', 'rename-new');
INSERT INTO users VALUES ('u5', 'rename-new');
INSERT INTO sessions VALUES ('s2', 'rename-old');

-- a deferred trigger that adds a row with the old key is told, and one that makes the rows follow comes in time
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE rename_test.sessions SET tenant = NEW.id WHERE tenant = OLD.id;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER follow AFTER UPDATE ON tenants DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION follow();
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-third');
UPDATE tenants SET id = 'rename-third';
SELECT * FROM state ORDER BY 1, 2;
COMMIT;
SELECT * FROM state ORDER BY 1, 2;
DROP TRIGGER follow ON tenants;

-- in a savepoint
BEGIN;
SAVEPOINT s;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
UPDATE tenants SET id = 'rename-new';
ROLLBACK TO s;
INSERT INTO sessions VALUES ('s3', 'rename-third');
COMMIT;
BEGIN;
SAVEPOINT s;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
RELEASE s;
COMMIT;

BEGIN;
SAVEPOINT s;
SAVEPOINT s2;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
RELEASE s2;
ROLLBACK TO s;
UPDATE tenants SET id = 'rename-new';
ROLLBACK;

-- twice, and back
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
UPDATE tenants SET id = 'rename-new';
SELECT instance_env.rename_instance(:'dev', 'rename-third');
COMMIT;
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
SELECT instance_env.rename_instance(:'dev', 'rename-third');
COMMIT;
SELECT * FROM state ORDER BY 1, 2;

-- back to the first new one
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
UPDATE tenants SET id = 'rename-new';
UPDATE sessions SET tenant = 'rename-new';
COMMIT;
SELECT * FROM state ORDER BY 1, 2;
INSERT INTO users VALUES ('u6', 'rename-third');

-- a table that administration does not look at: its rows stay behind
CREATE ROLE instance_env_rename_owner;
GRANT USAGE ON SCHEMA rename_test TO instance_env_rename_owner;
ALTER TABLE sessions OWNER TO instance_env_rename_owner;
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-fourth');
UPDATE tenants SET id = 'rename-fourth';
UPDATE sessions SET tenant = 'rename-fourth';
ROLLBACK;
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-fourth');
UPDATE tenants SET id = 'rename-fourth';
COMMIT;
SELECT * FROM state ORDER BY 1, 2;
-- and do not come along later
SELECT FROM instance_env.guard('sessions', 'tenant', counted => false);
ALTER TABLE sessions OWNER TO CURRENT_USER;
UPDATE sessions SET tenant = 'rename-fourth';
BEGIN;
SELECT instance_env.rename_instance(:'dev', 'rename-new');
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA rename_test CASCADE;
DROP ROLE instance_env_rename_owner;
SELECT instance_env.drop_application('rename test');
