-- What administration does goes on though tables are isolated from everybody, their owners
-- included: guard(), counting, reset, renaming, promotion, foreign keys, departures.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(34);

\set dev '\'d0000000-0000-4000-8000-000000000001\''
\set prod '\'a0000000-0000-4000-8000-000000000001\''
SELECT instance_env.create_application('shop', 'pro', :dev, :prod, 'dev', 'prod') \gset
SELECT instance_env.create_application('blog', development_id => 'd0000000-0000-4000-8000-000000000002', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(:dev, 3) \gset
UPDATE instance_env.instance SET status = 'active' WHERE id = :prod;

CREATE ROLE instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner') \gset
CREATE ROLE instance_env_admin;
SELECT instance_env.grant_admin('instance_env_admin') \gset
CREATE ROLE instance_env_backend;
SELECT instance_env.grant_backend('instance_env_backend'), instance_env.allow_instance('instance_env_backend', 'shop') \gset
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
GRANT USAGE ON SCHEMA app TO PUBLIC;

CREATE FUNCTION pg_temp.run_as(role name, command text, instance uuid DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF instance IS NOT NULL THEN
		PERFORM instance_env.enter(instance, true);
	END IF;
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
	PERFORM instance_env.leave();
END $$;
CREATE FUNCTION pg_temp.owner(command text, instance uuid DEFAULT NULL) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_owner', $1, $2)$$;
CREATE FUNCTION pg_temp.admin(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_admin', $1)$$;
CREATE FUNCTION pg_temp.backend(command text, instance uuid DEFAULT NULL) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_backend', $1, $2)$$;

SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL, UNIQUE (instance_id, id));
CREATE TABLE app.sessions (id text PRIMARY KEY, instance_id text NOT NULL, user_id text NOT NULL,
	FOREIGN KEY (instance_id, user_id) REFERENCES app.users (instance_id, id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE app.parted (id integer, instance_id uuid, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (1) TO (100);
SELECT count(*) FROM instance_env.guard('app.users', user_key => 'id') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', user_key => 'user_id', user_table => 'app.users', counted => false) \gset
SELECT count(*) FROM instance_env.guard('app.parted', user_key => 'id') \gset
INSERT INTO app.users VALUES ('d1', 'dev'), ('d2', 'dev'), ('p1', 'prod');
INSERT INTO app.sessions VALUES ('s1', 'dev', 'd1'), ('s2', 'prod', 'p1');
INSERT INTO app.parted VALUES (1, 'd0000000-0000-4000-8000-000000000001'), (2, 'a0000000-0000-4000-8000-000000000001');
SELECT count(*) FROM instance_env.isolate('app.users', true) \gset
SELECT count(*) FROM instance_env.isolate('app.sessions', true) \gset
SELECT count(*) FROM instance_env.isolate('app.parted', true) \gset
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO instance_env_backend;
GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA app TO instance_env_admin;
RESET ROLE;
SELECT is(count(*), 3::bigint, 'all are isolated from their owner') FROM instance_env.guards WHERE isolated = 'owner' AND whole;
SET LOCAL ROLE instance_env_owner;
SELECT count(*) AS visible FROM app.users \gset
RESET ROLE;
SELECT is(:visible, 0, 'who sees nothing');

-- guard(), counting, and the cap

SELECT lives_ok($$SELECT pg_temp.owner($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$, 'guard() again, by the owner');
SELECT is(users, 2::bigint, 'counted') FROM instance_env.instance_usage(:dev) WHERE relation = 'app.users'::regclass;
SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('d3', 'dev')$q$, 'd0000000-0000-4000-8000-000000000001')$$, 'up to the cap');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('d4', 'dev')$q$, 'd0000000-0000-4000-8000-000000000001')$$, '23I01', NULL, 'beyond it');
ALTER TABLE app.users DISABLE TRIGGER instance_env_departure;
DROP TRIGGER instance_env_user_cap ON app.users;
SELECT lives_ok($$SELECT pg_temp.owner($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$, 'guard() repairs');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('d4', 'dev')$q$, 'd0000000-0000-4000-8000-000000000001')$$, '23I01', NULL, 'what it counts');
SELECT lives_ok($$SELECT pg_temp.owner($q$SELECT instance_env.unguard('app.users')$q$)$$, 'unguard()');
ALTER TABLE app.users DISABLE ROW LEVEL SECURITY;
INSERT INTO app.users VALUES ('x', 'nowhere');
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
SELECT throws_ok($$SELECT pg_temp.owner($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$, '23I03', NULL, 'guard() sees a hidden row of no instance');
DELETE FROM app.users WHERE id = 'x';
SELECT lives_ok($$SELECT pg_temp.owner($q$SELECT instance_env.guard('app.users', user_key => 'id')$q$)$$, 'guard() from scratch');

-- foreign keys and departures

SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.sessions VALUES ('s3', 'dev', 'nobody')$q$, 'd0000000-0000-4000-8000-000000000001')$$, '23503', NULL,
	'a foreign key is checked');
SELECT lives_ok($$SELECT pg_temp.backend($q$INSERT INTO app.sessions VALUES ('s3', 'dev', 'd2')$q$, 'd0000000-0000-4000-8000-000000000001')$$, 'and satisfied');
SELECT lives_ok($$SELECT pg_temp.backend($q$DELETE FROM app.users WHERE id = 'd2'$q$, 'd0000000-0000-4000-8000-000000000001')$$, 'a user is deleted');
SELECT is(count(*), 0::bigint, 'with the sessions') FROM app.sessions WHERE id = 's3';
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('d2', 'prod')$q$, 'a0000000-0000-4000-8000-000000000001')$$, '23I02', NULL,
	'and cannot return elsewhere');
SELECT throws_ok($$SELECT pg_temp.backend($q$INSERT INTO app.users VALUES ('d1', 'prod')$q$, 'a0000000-0000-4000-8000-000000000001')$$, '23505', NULL,
	'nor be there twice');
SELECT throws_ok($$SELECT pg_temp.backend($q$UPDATE app.users SET instance_id = 'prod' WHERE id = 'd1'$q$, 'd0000000-0000-4000-8000-000000000001')$$, '42501', NULL,
	'nor move');
SELECT lives_ok($$SELECT pg_temp.owner($q$ALTER TABLE app.sessions ADD FOREIGN KEY (user_id) REFERENCES app.users (id) NOT VALID$q$)$$, 'another foreign key');
SELECT lives_ok($$SELECT pg_temp.owner($q$ALTER TABLE app.sessions VALIDATE CONSTRAINT sessions_user_id_fkey$q$)$$, 'is validated');
ALTER TABLE app.sessions DROP CONSTRAINT sessions_user_id_fkey;

-- validate(), promote(), rename_instance()

SELECT is(count(*), 0::bigint, 'validate() finds nothing wrong with the guards') FROM instance_env.validate('shop')
WHERE NOT passed AND check_name LIKE 'guard%';
SELECT lives_ok($$SELECT pg_temp.admin($q$SELECT instance_env.validate('shop')$q$)$$, 'an administrator validates');
SELECT throws_ok($$SELECT instance_env.drop_application('shop')$$, '55000', NULL, 'drop_application() sees users that are hidden');
SELECT is(count(*), 1::bigint, 'adopt_application()') FROM instance_env.adopt_application('press', 'pro') WHERE failed_checks::text NOT LIKE '%isolat%';

-- reset_development()

SELECT throws_ok($$CALL instance_env.reset_development('a0000000-0000-4000-8000-000000000001')$$, '55000', NULL, 'production is not reset');
SAVEPOINT before_reset;
SELECT lives_ok($$SELECT pg_temp.admin($q$CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001')$q$)$$,
	'an administrator whom row-level security would show nothing resets development');
SELECT is(string_agg(id, ' '), 'p1', 'only production is left') FROM app.users;
SELECT is(string_agg(id::text, ' '), '2', 'on partitions, too') FROM app.parted;
ROLLBACK TO before_reset;
CREATE POLICY other ON app.users AS RESTRICTIVE USING (id <> 'd1');
SELECT throws_ok($$SELECT pg_temp.admin($q$CALL instance_env.reset_development('d0000000-0000-4000-8000-000000000001')$q$)$$, '42501', NULL,
	'but not if another policy hides rows');
DROP POLICY other ON app.users;

-- an instance gets another key; its rows follow

SELECT lives_ok($$SELECT instance_env.rename_instance('d0000000-0000-4000-8000-000000000001', 'develop')$$, 'rename_instance()');
SELECT lives_ok($$UPDATE app.users SET instance_id = 'develop' WHERE instance_id = 'dev'$$, 'rows get the new key, sessions with them');
SELECT is(string_agg(id, ' ' ORDER BY id), 's1', 'that they have') FROM app.sessions WHERE instance_id = 'develop';
SET LOCAL ROLE instance_env_backend;
SELECT instance_env.enter(:dev, true) \gset
SELECT string_agg(id, ' ' ORDER BY id) AS visible FROM app.users \gset
SELECT instance_env.leave() \gset
RESET ROLE;
SELECT is(:'visible'::text, 'd1 d3', 'and by which they are seen');

-- an application goes

SELECT lives_ok($$SELECT instance_env.drop_application('blog')$$, 'drop_application() without users');

SELECT * FROM finish();
ROLLBACK;
