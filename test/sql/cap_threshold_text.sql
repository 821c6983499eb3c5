--
-- Warnings before the cap bites, and at a soft cap
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT FROM instance_env.create_application('threshold', 'free',
	'd0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 10);
CREATE SCHEMA threshold;
SET search_path = threshold;
CREATE TABLE users (id integer PRIMARY KEY, instance uuid DEFAULT 'd0000000-0000-4000-8000-000000000001');
CREATE INDEX ON users (instance);
SELECT count(*) FROM instance_env.guard('users', 'instance') \gset

INSERT INTO users SELECT generate_series(1, 7);
-- 80 %
INSERT INTO users VALUES (8);
INSERT INTO users VALUES (9);
-- 100 %, when the transaction commits
BEGIN;
INSERT INTO users VALUES (10);
SELECT count(*) FROM users;
COMMIT;
INSERT INTO users VALUES (11);
-- again only when it has fallen below
DELETE FROM users WHERE id = 10;
INSERT INTO users VALUES (10);
DELETE FROM users WHERE id > 8;
INSERT INTO users VALUES (9);
DELETE FROM users WHERE id > 7;
INSERT INTO users VALUES (8);
-- of several, the highest
DELETE FROM users WHERE id > 7;
INSERT INTO users SELECT generate_series(8, 10);
-- whatever brings a transaction there
DELETE FROM users WHERE id > 7;
BEGIN;
INSERT INTO users VALUES (8);
SAVEPOINT s;
INSERT INTO users VALUES (9), (10);
ROLLBACK TO s;
COMMIT;
BEGIN;
DELETE FROM users WHERE id = 8;
INSERT INTO users VALUES (9), (10);
UPDATE users SET id = id + 100 WHERE id = 9;
COMMIT;
BEGIN;
DELETE FROM users WHERE id = 10;
INSERT INTO users VALUES (9);
COMMIT;
-- not if it comes to nothing
DELETE FROM users WHERE id > 7;
BEGIN;
INSERT INTO users VALUES (8);
ROLLBACK;
BEGIN;
INSERT INTO users VALUES (8);
DELETE FROM users WHERE id = 8;
COMMIT;
-- a row that was updated before it was deleted
INSERT INTO users VALUES (8);
BEGIN;
UPDATE users SET id = 80 WHERE id = 8;
DELETE FROM users WHERE id = 80;
COMMIT;
INSERT INTO users VALUES (8);
-- truncated
TRUNCATE users;
INSERT INTO users SELECT generate_series(1, 8);
BEGIN;
TRUNCATE users;
ROLLBACK;
INSERT INTO users VALUES (9);
-- gone
BEGIN;
DELETE FROM users WHERE id > 7;
INSERT INTO users VALUES (8);
DROP TABLE users;
ROLLBACK;
BEGIN;
CREATE TABLE other (id integer PRIMARY KEY, instance uuid);
SELECT count(*) FROM instance_env.guard('other', 'instance') \gset
INSERT INTO other SELECT i, 'd0000000-0000-4000-8000-000000000001' FROM generate_series(1, 9) i;
DROP TABLE other;
COMMIT;
-- several commands and transactions in one
DELETE FROM users WHERE id > 7;
DO $$
BEGIN
	INSERT INTO users VALUES (8);
	COMMIT;
	INSERT INTO users VALUES (9);
	ROLLBACK;
	INSERT INTO users VALUES (9), (10);
END $$;
-- more instances than a transaction remembers the deletes of
SELECT count(instance_env.create_application('threshold ' || i, 'free', ('d0000000-0000-4000-8000-0000000001' || i)::uuid))
FROM generate_series(10, 30) i;
INSERT INTO users SELECT i * 100 + n, ('d0000000-0000-4000-8000-0000000001' || i)::uuid
FROM generate_series(10, 30) i, generate_series(1, 3) n;
SELECT count(instance_env.set_user_cap(instance_env.instance_id('threshold ' || i, 'development'), 3)::text) FROM generate_series(10, 30) i;
DELETE FROM users WHERE id % 100 = 3;
INSERT INTO users VALUES (1003, 'd0000000-0000-4000-8000-000000000110'), (3003, 'd0000000-0000-4000-8000-000000000130');
DELETE FROM users WHERE id > 1000;
SELECT count(instance_env.drop_application(instance_env.application_id('threshold ' || i))) FROM generate_series(10, 30) i;

-- other thresholds
TRUNCATE users;
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'user_cap_thresholds', '[15, 90]');
INSERT INTO users VALUES (1);
INSERT INTO users VALUES (2);
INSERT INTO users SELECT generate_series(3, 8);
INSERT INTO users VALUES (9);
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'user_cap_thresholds', '[]');
INSERT INTO users VALUES (10);
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'user_cap_thresholds', i.value::jsonb)
FROM (VALUES ('80')) AS i (value);
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000001', 'user_cap_thresholds', '[100, 80]');
SELECT instance_env.reset_policy('d0000000-0000-4000-8000-000000000001', 'user_cap_thresholds');

-- where deletes go unseen, what was passed is forgotten after some inserts
CREATE TABLE unseen (id integer PRIMARY KEY, instance uuid DEFAULT 'd0000000-0000-4000-8000-000000000002');
CREATE INDEX ON unseen (instance);
SELECT FROM instance_env.create_application('unseen', 'free',
	'd0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002');
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000002', 500);
SELECT instance_env.set_policy('d0000000-0000-4000-8000-000000000002', 'user_cap_thresholds', '[16]');
SELECT count(*) FROM instance_env.guard('unseen', 'instance', user_key => '') \gset
INSERT INTO unseen SELECT generate_series(1, 79);
INSERT INTO unseen SELECT generate_series(80, 90);
INSERT INTO unseen VALUES (91);
DELETE FROM unseen WHERE id > 60;
SELECT format('INSERT INTO unseen VALUES (%s)', i) FROM generate_series(100, 125) i \gexec
SELECT count(*) FROM unseen;
DROP TABLE unseen;
SELECT instance_env.drop_application(instance_env.application_id('unseen'));

-- off
TRUNCATE users;
SET instance_env.notify_thresholds = off;
INSERT INTO users SELECT generate_series(1, 9);
RESET instance_env.notify_thresholds;
INSERT INTO users VALUES (10);

-- a soft cap
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 10, 'soft');
INSERT INTO users VALUES (11);
INSERT INTO users VALUES (12);
BEGIN;
INSERT INTO users VALUES (13);
INSERT INTO users VALUES (14);
COMMIT;
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 3);
INSERT INTO users SELECT generate_series(20, 40);
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 10);
DELETE FROM users WHERE id > 10;
INSERT INTO users SELECT generate_series(11, 13);
SELECT action, item, before, after FROM instance_env.events
WHERE application = 'threshold' AND action IN ('user_cap_exceeded', 'set_user_cap') ORDER BY id;
SELECT value, source FROM instance_env.policies
WHERE instance_id = 'd0000000-0000-4000-8000-000000000001' AND name = 'user_cap_mode';
SELECT check_name, message FROM instance_env.validate('threshold') WHERE check_name LIKE 'usage%';
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 10, 'hard');
INSERT INTO users VALUES (14);
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 10, 'harsh');

-- a table whose users are not tracked
CREATE TABLE untracked (id integer PRIMARY KEY, instance text);
CREATE INDEX ON untracked (instance);
SELECT count(*) FROM instance_env.guard('untracked', 'instance', user_key => '') \gset
SELECT instance_env.rename_instance('d0000000-0000-4000-8000-000000000001', 'key');
INSERT INTO untracked SELECT i, 'key' FROM generate_series(1, 8) i;
INSERT INTO untracked VALUES (9, 'key');
DELETE FROM untracked WHERE id IN (8, 9);
INSERT INTO untracked VALUES (8, 'key');
DROP TABLE threshold.users, threshold.untracked;
DROP SCHEMA threshold;
SELECT FROM instance_env.drop_application(instance_env.application_id('threshold'));
