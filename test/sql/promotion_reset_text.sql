-- What reset_development() says when only some users are to be deleted
\set SHOW_CONTEXT never
SET quote_all_identifiers = off;
SELECT development_id AS dev FROM instance_env.create_application('shop', development_id => 'd0000000-0000-4000-8000-000000000001',
	development_key => 'dev', production_key => 'prod') \gset
CREATE TABLE reset_users (id integer PRIMARY KEY, instance_id text NOT NULL, email text, created_at date);
CREATE TABLE reset_sessions (id integer PRIMARY KEY, instance_id text NOT NULL, user_id integer);
CREATE TABLE reset_teams (id integer PRIMARY KEY, instance_id text NOT NULL);
SELECT * FROM instance_env.guard('reset_users') WHERE object = 'trigger';
SELECT count(*) FROM instance_env.guard('reset_sessions', counted => false, user_key => 'user_id', user_table => 'reset_users');
SELECT count(*) FROM instance_env.guard('reset_teams', counted => false, user_key => '');
INSERT INTO reset_users VALUES (1, 'dev', 'ada+clerk_test@example.com', '2024-01-01'), (2, 'dev', 'joe@example.com', '2024-01-01');
INSERT INTO reset_sessions VALUES (1, 'dev', 1), (2, 'dev', 1), (3, 'dev', 2);
INSERT INTO reset_teams VALUES (1, 'dev');

-- what it is called with
CALL instance_env.reset_development(:'dev', only_users => 'everybody');
CALL instance_env.reset_development(:'dev', older_than => '-1 day');
CALL instance_env.reset_development(:'dev', only_users => 'test_identities');

-- columns
SELECT FROM instance_env.guard('reset_users', address_column => 'mail');
SELECT FROM instance_env.guard('reset_users', address_column => 'created_at');
SELECT FROM instance_env.guard('reset_users', created_column => 'email');
SELECT FROM instance_env.guard('reset_users', address_column => 'ctid');
SELECT FROM instance_env.guard('reset_sessions', counted => false, user_key => 'user_id', user_table => 'reset_users', address_column => 'id');
SELECT name, action FROM instance_env.guard('reset_users', address_column => 'email') WHERE object = 'trigger';
CALL instance_env.reset_development(:'dev', only_users => 'test_identities', older_than => '1 day');
ALTER TABLE reset_users RENAME email TO mail;
SELECT whole, problems, address_column, created_column FROM instance_env.guards WHERE relation = 'reset_users'::regclass;
CALL instance_env.reset_development(:'dev', only_users => 'test_identities');
ALTER TABLE reset_users RENAME created_at TO email;
SELECT whole, problems, address_column, created_column FROM instance_env.guards WHERE relation = 'reset_users'::regclass;
CALL instance_env.reset_development(:'dev', only_users => 'test_identities');
SELECT count(*) FROM instance_env.guard('reset_users', address_column => 'mail', created_column => 'email');

-- what stands in the way
CREATE TABLE reset_bills (id integer PRIMARY KEY, user_id integer REFERENCES reset_users);
INSERT INTO reset_bills VALUES (1, 1);
CALL instance_env.reset_development(:'dev', only_users => 'test_identities');
DROP TABLE reset_bills;
ALTER TABLE reset_users ADD inviter integer REFERENCES reset_users ON DELETE CASCADE;
UPDATE reset_users SET inviter = 1 WHERE id = 2;
CALL instance_env.reset_development(:'dev', only_users => 'test_identities');
UPDATE reset_users SET inviter = NULL;

-- what is deleted
CALL instance_env.reset_development(:'dev', only_users => 'test_identities', older_than => '30 days');
CALL instance_env.reset_development(:'dev', only_users => 'test_identities');
CALL instance_env.reset_development(:'dev', older_than => '1 day');
SELECT item, after FROM instance_env.events WHERE action = 'reset_development' AND item LIKE 'public.reset%' ORDER BY id;

DROP TABLE reset_sessions, reset_teams, reset_users;
SELECT instance_env.forget_departed('infinity') AS forgotten, instance_env.drop_application('shop') AS dropped \gset
