-- What a transaction deletes frees seats in the bound in shared memory once it has
-- committed, each seat once.  Without shared memory everything here must come out the same.
--
-- A refusal leaves the bound one too high, which would hide that it is one too low; to
-- replace "t" has it counted exactly again.  So would what is counted for a warning.
\set exactly 'DELETE FROM tenants WHERE id = ''t''; INSERT INTO tenants VALUES (''t'');'
\set VERBOSITY sqlstate
SET client_min_messages = warning;
SET instance_env.notify_thresholds = off;
SELECT development_id AS dev FROM instance_env.create_application('vacancy test', development_key => 'vacancy') \gset
SELECT instance_env.set_user_cap(:'dev', 4);
CREATE TABLE tenants (id text, instance_id text DEFAULT 'vacancy', region text DEFAULT 'north', PRIMARY KEY (id, region))
	PARTITION BY LIST (region);
CREATE TABLE tenants_north PARTITION OF tenants FOR VALUES IN ('north');
CREATE TABLE tenants_south PARTITION OF tenants FOR VALUES IN ('south');
SELECT FROM instance_env.guard('tenants', user_key => 'id');
INSERT INTO tenants VALUES ('t'), ('a'), ('b'), ('c');
INSERT INTO tenants VALUES ('d');

-- a delete that is rolled back
:exactly
BEGIN;
DELETE FROM tenants WHERE id = 'a';
INSERT INTO tenants VALUES ('d');
ROLLBACK;
INSERT INTO tenants VALUES ('d');
:exactly
BEGIN;
SAVEPOINT s;
DELETE FROM tenants WHERE id = 'a';
ROLLBACK TO SAVEPOINT s;
INSERT INTO tenants VALUES ('d');
ROLLBACK;

-- one that is not
:exactly
BEGIN;
SAVEPOINT s;
DELETE FROM tenants WHERE id = 'a';
RELEASE SAVEPOINT s;
INSERT INTO tenants VALUES ('d');
COMMIT;
INSERT INTO tenants VALUES ('e');
DELETE FROM tenants WHERE id = 'b';
INSERT INTO tenants VALUES ('e');
INSERT INTO tenants VALUES ('f');

-- rows that move to another partition
:exactly
UPDATE tenants SET region = 'south' WHERE id <> 't';
INSERT INTO tenants VALUES ('f');
:exactly
SELECT instance_env.suspend_instance(:'dev');
UPDATE tenants SET region = 'north' WHERE id <> 't';
UPDATE tenants SET region = 'south' WHERE id <> 't';
SELECT instance_env.resume_instance(:'dev');
INSERT INTO tenants VALUES ('f');

-- a trigger that deletes rows before ours have seen them
CREATE FUNCTION delete_other() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id = 'x' THEN
		DELETE FROM tenants WHERE id IN ('y', 'z');
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER a_delete_other AFTER INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION delete_other();
DELETE FROM tenants WHERE id IN ('c', 'd', 'e');
INSERT INTO tenants VALUES ('x'), ('y'), ('z');
INSERT INTO tenants VALUES ('g');
INSERT INTO tenants VALUES ('h');
INSERT INTO tenants VALUES ('i');
INSERT INTO tenants VALUES ('j');
DROP TRIGGER a_delete_other ON tenants;

-- a second trigger that says the same
SELECT tgname AS departure FROM pg_trigger WHERE tgrelid = 'tenants'::regclass AND tgname LIKE '%departure' \gset
SELECT replace(pg_get_triggerdef(oid), :'departure', 'another') AS another FROM pg_trigger
	WHERE tgrelid = 'tenants'::regclass AND tgname = :'departure' \gset
:exactly
:another;
DELETE FROM tenants WHERE id IN ('g', 'h', 'x');
INSERT INTO tenants VALUES ('k');
INSERT INTO tenants VALUES ('g'), ('h');
INSERT INTO tenants VALUES ('l');
DROP TRIGGER another ON tenants;

-- pages that are all-visible
VACUUM tenants;
INSERT INTO tenants VALUES ('l');
BEGIN;
DELETE FROM tenants WHERE id = 'k';
INSERT INTO tenants VALUES ('l');
INSERT INTO tenants VALUES ('m');
ROLLBACK;
DELETE FROM tenants WHERE id = 'k';
INSERT INTO tenants VALUES ('l');
INSERT INTO tenants VALUES ('m');
SELECT id, region FROM tenants ORDER BY id;

DROP TABLE tenants;
DROP FUNCTION delete_other();
SELECT instance_env.drop_application(instance_env.application_id('vacancy test'));
