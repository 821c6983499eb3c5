--
-- Rows that come and go without asking for a seat: the next that asks is told the truth.
-- Each statement is a transaction, so that whatever was known may be out of date.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never
SELECT development_id FROM instance_env.create_application('seats test',
	development_id => 'd0000000-0000-4000-8000-000000000001', development_key => 'seats-dev');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 5);
CREATE SCHEMA seats_test;
SET search_path = seats_test;
CREATE TABLE users (id integer, instance_id text DEFAULT 'seats-dev') PARTITION BY RANGE (id);
CREATE INDEX ON users (instance_id);
CREATE TABLE users1 PARTITION OF users FOR VALUES FROM (1) TO (100);
CREATE TABLE users2 PARTITION OF users FOR VALUES FROM (100) TO (200);
SELECT FROM instance_env.guard('users', user_key => '');

-- as a replica
INSERT INTO users VALUES (1);
SET session_replication_role = replica;
INSERT INTO users VALUES (2), (3), (101), (102);
RESET session_replication_role;
INSERT INTO users VALUES (4);
DELETE FROM users WHERE id = 3;
INSERT INTO users VALUES (4);
INSERT INTO users VALUES (5);

-- with the triggers of the table disabled, and of one partition
TRUNCATE users;
INSERT INTO users VALUES (1);
ALTER TABLE users DISABLE TRIGGER USER;
INSERT INTO users VALUES (2), (3), (4), (101), (102);
ALTER TABLE users ENABLE TRIGGER USER;
INSERT INTO users VALUES (5);
DELETE FROM users WHERE id > 1;
INSERT INTO users VALUES (2);
ALTER TABLE users2 DISABLE TRIGGER USER;
INSERT INTO users VALUES (101), (102), (103);
ALTER TABLE users2 ENABLE TRIGGER USER;
INSERT INTO users VALUES (5);
DELETE FROM users WHERE id > 100;
INSERT INTO users VALUES (3), (4), (5);
INSERT INTO users VALUES (6);

-- without a guard
TRUNCATE users;
INSERT INTO users VALUES (1);
SELECT instance_env.unguard('users');
INSERT INTO users SELECT generate_series(2, 5);
SELECT FROM instance_env.guard('users', user_key => '');
INSERT INTO users VALUES (6);

-- in a partition that joins, leaves, and joins again
TRUNCATE users;
INSERT INTO users VALUES (1);
CREATE TABLE users3 (instance_id text, id integer);
INSERT INTO users3 SELECT 'seats-dev', generate_series(201, 204);
ALTER TABLE users ATTACH PARTITION users3 FOR VALUES FROM (200) TO (300);
INSERT INTO users VALUES (2);
ALTER TABLE users DETACH PARTITION users3;
INSERT INTO users VALUES (2);
INSERT INTO users3 VALUES ('seats-dev', 205);
DELETE FROM users3 WHERE id < 203;
ALTER TABLE users ATTACH PARTITION users3 FOR VALUES FROM (200) TO (300);
INSERT INTO users VALUES (3);
DROP TABLE users3;
INSERT INTO users VALUES (3), (4), (5);
INSERT INTO users VALUES (6);

-- rolled back: what frees no seat after all was none for others meanwhile
TRUNCATE users;
INSERT INTO users VALUES (1), (2), (3), (4);
BEGIN;
INSERT INTO users VALUES (5);
ROLLBACK;
INSERT INTO users VALUES (101);
INSERT INTO users VALUES (6);
BEGIN;
DELETE FROM users;
INSERT INTO users VALUES (7), (8);
ROLLBACK;
INSERT INTO users VALUES (6);
BEGIN;
TRUNCATE users;
INSERT INTO users VALUES (7);
ROLLBACK;
INSERT INTO users VALUES (6);
DELETE FROM users WHERE id = 6;
BEGIN;
SAVEPOINT s;
TRUNCATE users1;
INSERT INTO users VALUES (102);
ROLLBACK TO SAVEPOINT s;
INSERT INTO users VALUES (6);
ROLLBACK;
INSERT INTO users VALUES (6);
DELETE FROM users WHERE id = 6;
BEGIN;
ALTER TABLE users DETACH PARTITION users1;
INSERT INTO users VALUES (102);
ROLLBACK;
INSERT INTO users VALUES (6);
DELETE FROM users WHERE id = 6;
BEGIN;
DROP TABLE users1;
INSERT INTO users VALUES (102);
ROLLBACK;
INSERT INTO users VALUES (6);
DELETE FROM users WHERE id = 6;
BEGIN;
SELECT instance_env.unguard('users');
DELETE FROM users;
SELECT FROM instance_env.guard('users', user_key => '');
INSERT INTO users VALUES (7), (8);
ROLLBACK;
INSERT INTO users VALUES (6);
DELETE FROM users WHERE id = 6;
BEGIN;
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 9);
INSERT INTO users VALUES (7), (8);
ROLLBACK;
INSERT INTO users VALUES (6);
DELETE FROM users WHERE id = 6;
UPDATE users SET id = 5 WHERE id = 101;
SELECT * FROM users ORDER BY id;

-- hundreds that came and went
DO $$
BEGIN
	FOR i IN 1 .. 300 LOOP
		UPDATE users SET id = id % 5 + 1;
		DELETE FROM users WHERE id = 1;
		COMMIT;
		INSERT INTO users VALUES (1);
		COMMIT;
		BEGIN
			INSERT INTO users VALUES (1);
			RAISE NOTICE 'one too many';
		EXCEPTION WHEN SQLSTATE '23I01' THEN
			NULL;
		END;
		COMMIT;
	END LOOP;
END $$;
SELECT count(*) FROM users;

-- rewritten, moved and renamed
DELETE FROM users WHERE id = 1;
VACUUM FULL users1;
ALTER TABLE users ADD more integer DEFAULT 0;
ALTER TABLE users ALTER more TYPE bigint;
ALTER TABLE users RENAME instance_id TO tenant;
ALTER TABLE users RENAME TO people;
INSERT INTO people VALUES (1), (6);
INSERT INTO people VALUES (1);
INSERT INTO people VALUES (6);

-- another cap
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 6);
INSERT INTO people VALUES (6);
INSERT INTO people VALUES (7);
DELETE FROM people WHERE id > 2;
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 2);
INSERT INTO people VALUES (7);
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', NULL);
INSERT INTO people SELECT i FROM generate_series(11, 99) i, generate_series(1, 6) j WHERE i < 94;
SELECT count(*) FROM people;
INSERT INTO people VALUES (7);

SET client_min_messages = warning;
DROP SCHEMA seats_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id('seats test'));
