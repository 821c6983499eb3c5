--
-- What is said where the owner of a table, or somebody else, could get rights
--
SET quote_all_identifiers = off;	-- names are compared as they are without it
CREATE ROLE regress_owner;
CREATE ROLE regress_other;
CREATE SCHEMA owned AUTHORIZATION regress_owner;
GRANT CREATE, USAGE ON SCHEMA owned TO regress_other;
SELECT development_id AS dev FROM instance_env.create_application('owned',
	development_id => 'd0000000-0000-4000-8000-000000000001', development_key => 'owned', production_key => 'owned live') \gset

-- who may not refer to users
SET ROLE regress_owner;
CREATE TABLE owned.sessions (id integer PRIMARY KEY, instance_id text, user_id integer);
RESET ROLE;
CREATE TABLE owned.users (id integer PRIMARY KEY, instance_id text);
SELECT FROM instance_env.guard('owned.users');
SELECT FROM instance_env.guard('owned.sessions', user_key => 'user_id', counted => false, user_table => 'owned.users');

-- a trigger that finds nothing
SET ROLE regress_owner;
CREATE TABLE owned.log (n integer);
CREATE FUNCTION owned.careless() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES (1); RETURN OLD; END$$;
CREATE TRIGGER careless BEFORE DELETE ON owned.sessions FOR EACH ROW EXECUTE FUNCTION owned.careless();
RESET ROLE;
SELECT FROM instance_env.guard('owned.sessions', user_key => 'user_id', counted => false);
INSERT INTO owned.sessions VALUES (1, 'owned', 1);
SET search_path = owned, public;
CALL instance_env.reset_development(:'dev');
RESET search_path;
ALTER FUNCTION owned.careless() SET search_path = owned;
CALL instance_env.reset_development(:'dev');

-- a trigger of somebody else's
GRANT TRIGGER ON owned.sessions TO regress_other;
SET ROLE regress_other;
CREATE FUNCTION owned.other() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN OLD; END$$;
CREATE TRIGGER other AFTER DELETE ON owned.sessions FOR EACH ROW EXECUTE FUNCTION owned.other();
RESET ROLE;
INSERT INTO owned.sessions VALUES (1, 'owned', 1);
CALL instance_env.reset_development(:'dev');
DROP TRIGGER other ON owned.sessions;

-- a partition of somebody else's
CREATE TABLE owned.parts (id integer, instance_id text) PARTITION BY LIST (instance_id);
CREATE TABLE owned.part PARTITION OF owned.parts FOR VALUES IN ('owned');
SELECT FROM instance_env.guard('owned.parts', user_key => 'id');
INSERT INTO owned.parts VALUES (1, 'owned');
ALTER TABLE owned.part OWNER TO regress_other;
CALL instance_env.reset_development(:'dev');
DROP TABLE owned.parts;

-- a circle of tables that belong to different roles
CREATE TABLE owned.teams (id integer PRIMARY KEY, instance_id text, leader integer);
CREATE TABLE owned.people (id integer PRIMARY KEY, instance_id text, team integer REFERENCES owned.teams);
ALTER TABLE owned.teams ADD FOREIGN KEY (leader) REFERENCES owned.people;
SELECT FROM instance_env.guard('owned.teams');
SELECT FROM instance_env.guard('owned.people');
INSERT INTO owned.teams VALUES (1, 'owned');
INSERT INTO owned.people VALUES (1, 'owned', 1);
UPDATE owned.teams SET leader = 1;
ALTER TABLE owned.people OWNER TO regress_owner;
SELECT FROM instance_env.guard('owned.people');
CALL instance_env.reset_development(:'dev');
ALTER TABLE owned.people OWNER TO CURRENT_USER;

-- an owner who is not let in
BEGIN;
REVOKE EXECUTE ON FUNCTION instance_env.check_user_cap FROM PUBLIC, regress_owner;
SELECT whole, problems FROM instance_env.guards WHERE relation = 'owned.sessions'::regclass;
SELECT severity, message, hint FROM instance_env.validate(:'dev') WHERE check_name = 'guard' AND subject = 'owned.sessions';
CALL instance_env.reset_development(:'dev');
ROLLBACK;

DROP OWNED BY regress_owner, regress_other CASCADE;
DROP ROLE regress_owner, regress_other;
SELECT instance_env.forget_departed('infinity') > 0 AS forgotten;
SELECT instance_env.drop_application(instance_env.application_id('owned'));
