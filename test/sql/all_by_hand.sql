--
-- What is said to those who call by hand what only triggers should
--
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE SCHEMA hand_test;
SET search_path = hand_test;
SELECT instance_env.check_user_cap();
\echo :SQLSTATE
SELECT instance_env.check_instance();
SELECT instance_env.check_transfer();
SELECT instance_env.record_departure();
SELECT instance_env.record_truncate();
SELECT instance_env.registry_changed();
CREATE TABLE plain (id integer, instance_id uuid);
CREATE TRIGGER t BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION instance_env.check_user_cap();
INSERT INTO plain VALUES (1, NULL);
\echo :SQLSTATE
DROP TRIGGER t ON plain;
CREATE TRIGGER t AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION instance_env.check_user_cap();
INSERT INTO plain VALUES (1, NULL);
\echo :SQLSTATE
DROP TRIGGER t ON plain;
CREATE TRIGGER t AFTER INSERT ON plain FOR EACH ROW WHEN (new.id > 0) EXECUTE FUNCTION instance_env.check_user_cap();
INSERT INTO plain VALUES (1, NULL);
\echo :SQLSTATE
SELECT instance_env.admission_required('d0000000-0000-4000-8000-000000000001'::uuid, 0),
	instance_env.admission_required(NULL::uuid, NULL),
	instance_env.admission_required('nowhere'::text, 'pg_class'::regclass),
	instance_env.instance_unavailable('nowhere'::text, 0),
	instance_env.instance_unavailable(NULL::uuid, NULL);
SET client_min_messages = warning;
DROP SCHEMA hand_test CASCADE;
