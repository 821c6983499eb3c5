--
-- DROP EXTENSION and CREATE EXTENSION in one session, rolled back, and repeated
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA life_test;
CREATE TABLE life_test.users (id text PRIMARY KEY, instance_id text);
SELECT development_id IS NOT NULL AS created FROM instance_env.create_application('life', development_key => 'life-dev');
SELECT development_id IS NOT NULL AS created FROM instance_env.create_application('other', development_key => 'life-dev2');
SELECT instance_env.set_user_cap(instance_env.instance_id('life', 'development'), 1);
SELECT FROM instance_env.guard('life_test.users');
INSERT INTO life_test.users VALUES ('u1', 'life-dev');
INSERT INTO life_test.users VALUES ('u2', 'life-dev');

-- guarded tables keep it
\set VERBOSITY terse
DROP EXTENSION instance_env;
DROP EXTENSION instance_env CASCADE;
\set VERBOSITY default
INSERT INTO life_test.users VALUES ('u2', 'life-dev');
SELECT count(*) FROM pg_namespace WHERE nspname = 'instance_env';

-- created and rolled back
BEGIN;
CREATE EXTENSION instance_env;
SELECT development_id IS NOT NULL AS created FROM instance_env.create_application('life', development_key => 'life-dev');
DELETE FROM life_test.users;
SELECT FROM instance_env.guard('life_test.users');
INSERT INTO life_test.users VALUES ('u1', 'life-dev');
INSERT INTO life_test.users VALUES ('u9', 'nowhere');
ROLLBACK;
INSERT INTO life_test.users VALUES ('u3', 'nowhere');
DELETE FROM life_test.users;

-- created again: nothing of the first two is remembered
CREATE EXTENSION instance_env;
SELECT count(*) FROM instance_env.instances;
SELECT FROM instance_env.guard('life_test.users');
INSERT INTO life_test.users VALUES ('u1', 'life-dev');
SELECT development_id IS NOT NULL AS created FROM instance_env.create_application('other', development_key => 'life-dev');
SELECT development_id IS NOT NULL AS created FROM instance_env.create_application('life', development_key => 'life-dev2');
SELECT instance_env.set_user_cap(instance_env.instance_id('other', 'development'), 2);
INSERT INTO life_test.users VALUES ('u1', 'life-dev'), ('u2', 'life-dev');
INSERT INTO life_test.users VALUES ('u3', 'life-dev');
DELETE FROM life_test.users;
INSERT INTO life_test.users VALUES ('u1', 'life-dev2');
INSERT INTO life_test.users VALUES ('u1', 'life-dev');

-- dropped and created in one transaction
BEGIN;
DROP EXTENSION instance_env CASCADE;
CREATE EXTENSION instance_env;
SELECT FROM instance_env.guard('life_test.users');
ROLLBACK;
DELETE FROM life_test.users;
SELECT development_id IS NOT NULL AS created FROM instance_env.create_application('third', development_key => 'life-dev3');
SELECT FROM instance_env.guard('life_test.users');
INSERT INTO life_test.users VALUES ('u1', 'life-dev2');

-- new functions behind a prepared statement
PREPARE add(text) AS INSERT INTO life_test.users VALUES ($1, 'life-dev3');
EXECUTE add('v1');
DROP EXTENSION instance_env CASCADE;
EXECUTE add('v2');
CREATE EXTENSION instance_env;
SELECT development_id IS NOT NULL AS created FROM instance_env.create_application('third', development_key => 'life-dev3');
SELECT instance_env.set_user_cap(instance_env.instance_id('third', 'development'), 3);
SELECT FROM instance_env.guard('life_test.users');
EXECUTE add('v3');
EXECUTE add('v4');

SET client_min_messages = warning;
DROP SCHEMA life_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id('third'));
