--
-- The cap, and the instances that take nobody: what is said
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id, production_id FROM instance_env.create_application('cap test', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
CREATE SCHEMA cap_test;
SET search_path = cap_test;
CREATE TABLE "user" (id integer PRIMARY KEY, "instanceId" uuid, n integer DEFAULT 0);
CREATE INDEX ON "user" ("instanceId");
SELECT FROM instance_env.guard('"user"', 'instanceId');

-- 500, unless said otherwise
INSERT INTO "user" SELECT i, 'd0000000-0000-4000-8000-000000000001' FROM generate_series(1, 501) i;
INSERT INTO "user" SELECT i, 'd0000000-0000-4000-8000-000000000001' FROM generate_series(1, 500) i;
INSERT INTO "user" VALUES (501, 'd0000000-0000-4000-8000-000000000001');
\echo :SQLSTATE
DELETE FROM "user" WHERE id > 3;
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 3);
INSERT INTO "user" VALUES (4, 'd0000000-0000-4000-8000-000000000001');
BEGIN;
DELETE FROM "user" WHERE id = 3;
INSERT INTO "user" VALUES (4, 'd0000000-0000-4000-8000-000000000001');
INSERT INTO "user" VALUES (5, 'd0000000-0000-4000-8000-000000000001');
ROLLBACK;
INSERT INTO "user" VALUES (1, 'd0000000-0000-4000-8000-000000000001') ON CONFLICT (id) DO UPDATE SET n = 1;
INSERT INTO "user" VALUES (4, 'd0000000-0000-4000-8000-000000000001') ON CONFLICT (id) DO UPDATE SET n = 1;
COPY "user" FROM stdin;
4	d0000000-0000-4000-8000-000000000001	0
\.
-- lowered below what is there
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 2);
INSERT INTO "user" VALUES (4, 'd0000000-0000-4000-8000-000000000001');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 0);
INSERT INTO "user" VALUES (4, 'd0000000-0000-4000-8000-000000000001');
-- raised again
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', NULL);
INSERT INTO "user" VALUES (4, 'd0000000-0000-4000-8000-000000000001');

-- whatever has become of the rows, the count is exact
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 4);
DO $$
BEGIN
	FOR i IN 1 .. 200 LOOP
		DELETE FROM "user" WHERE id = 1;
		INSERT INTO "user" VALUES (1, 'd0000000-0000-4000-8000-000000000001');
		UPDATE "user" SET n = n + 1;
		COMMIT;
		BEGIN
			INSERT INTO "user" VALUES (1000 + i, 'd0000000-0000-4000-8000-000000000001');
			RAISE NOTICE 'one too many';
		EXCEPTION WHEN SQLSTATE '23I01' THEN
			NULL;
		END;
		COMMIT;
	END LOOP;
END $$;
VACUUM (FREEZE, ANALYZE) "user";
INSERT INTO "user" VALUES (5, 'd0000000-0000-4000-8000-000000000001');
VACUUM FULL "user";
INSERT INTO "user" VALUES (5, 'd0000000-0000-4000-8000-000000000001');
DELETE FROM "user" WHERE id = 4;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO "user" VALUES (4, 'd0000000-0000-4000-8000-000000000001');
INSERT INTO "user" VALUES (5, 'd0000000-0000-4000-8000-000000000001');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO "user" VALUES (4, 'd0000000-0000-4000-8000-000000000001');
COMMIT;
INSERT INTO "user" VALUES (5, 'd0000000-0000-4000-8000-000000000001');
SELECT count(*) FROM "user";

-- no instance, an unknown one, one that is not active
INSERT INTO "user" VALUES (600, NULL);
\echo :SQLSTATE
INSERT INTO "user" VALUES (600, 'd0000000-0000-4000-8000-00000000000f');
\echo :SQLSTATE
INSERT INTO "user" VALUES (600, 'a0000000-0000-4000-8000-000000000001');
\echo :SQLSTATE
SELECT instance_env.suspend_instance('d0000000-0000-4000-8000-000000000001');
INSERT INTO "user" VALUES (5, 'd0000000-0000-4000-8000-000000000001');
\echo :SQLSTATE
SELECT instance_env.resume_instance('d0000000-0000-4000-8000-000000000001');
DELETE FROM "user" WHERE id = 4;
INSERT INTO "user" VALUES (5, 'd0000000-0000-4000-8000-000000000001');

-- the same by external key, in a table that is not counted
SELECT application_id IS NOT NULL AS created FROM instance_env.create_application('cap "key" test',
	development_key => 'cap "dev"', production_key => 'cap prod');
CREATE TABLE log (line text, tenant text);
CREATE INDEX ON log (tenant);
SELECT FROM instance_env.guard('log', 'tenant', '', false);
INSERT INTO log VALUES ('hello', 'cap "dev"');
INSERT INTO log VALUES ('hello', NULL);
INSERT INTO log VALUES ('hello', 'cap nowhere');
INSERT INTO log VALUES ('hello', 'cap prod');

SET client_min_messages = warning;
DROP SCHEMA cap_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id(n)) FROM unnest(ARRAY['cap test', 'cap "key" test']) n;
