-- Which roles may enter which instances: allow_instance(), forbid_instance()
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(79);

SELECT instance_env.create_application('shop', development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
SELECT * FROM instance_env.adopt_application('bank', development_id => 'd0000000-0000-4000-8000-000000000002',
	production_id => 'a0000000-0000-4000-8000-000000000002') \gset
CREATE ROLE "instance_env ""backend";
CREATE ROLE instance_env_team;
CREATE ROLE instance_env_admin;
CREATE ROLE instance_env_monitor;
SELECT instance_env.grant_backend('"instance_env ""backend"') \gset
SELECT instance_env.grant_admin('instance_env_admin') \gset
SELECT instance_env.grant_monitor('instance_env_monitor') \gset

-- the instances that a role may enter, of those above: dD for development, pP for production
CREATE FUNCTION pg_temp.enters(role name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id uuid;
	result text = '';
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	FOREACH id IN ARRAY '{d0000000-0000-4000-8000-000000000001,d0000000-0000-4000-8000-000000000002,a0000000-0000-4000-8000-000000000002}'::uuid[]
	LOOP
		BEGIN
			PERFORM instance_env.enter(id, local => true);
			result := result || left(id::text, 1) || right(id::text, 1) || ' ';
		EXCEPTION WHEN insufficient_privilege OR SQLSTATE '23I03' THEN
			NULL;
		END;
	END LOOP;
	PERFORM instance_env.leave();
	RESET ROLE;
	RETURN result;
END $$;
CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
\set backend '\'instance_env "backend\''
\set quoted '\'"instance_env ""backend"\''

-- by default, none
SELECT is(pg_temp.enters(:backend), '', 'a backend may enter nothing');
SELECT is(pg_temp.enters('instance_env_admin'), '', 'nor may an administrator');
SELECT is(pg_temp.enters(session_user), 'd1 d2 a2 ', 'a superuser may enter all');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env "backend', $q$SELECT instance_env.enter('d0000000-0000-4000-8000-000000000001')$q$)$$,
	'42501', 'permission denied to enter instance "d0000000-0000-4000-8000-000000000001"', 'one that exists');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env "backend', $q$SELECT instance_env.enter('c0000000-0000-4000-8000-000000000001')$q$)$$,
	'42501', 'permission denied to enter instance "c0000000-0000-4000-8000-000000000001"', 'to one who may enter nothing, one that does not exist is the same');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env "backend', $q$SELECT instance_env.enter('a0000000-0000-4000-8000-000000000001')$q$)$$,
	'42501', 'permission denied to enter instance "a0000000-0000-4000-8000-000000000001"', 'and one that is not active, too');

-- all of it
SELECT lives_ok(format($$SELECT instance_env.allow_instance(%L)$$, :quoted), 'a role is allowed all instances');
SELECT is(pg_temp.enters(:backend), 'd1 d2 a2 ', 'and may enter them');
SELECT is(pg_temp.enters('instance_env_admin'), '', 'others may not');
SELECT results_eq($$SELECT role::text COLLATE "default", application, type, application_id FROM instance_env.instance_access$$,
	$$VALUES ('instance_env "backend', NULL::text, NULL::instance_env.instance_type, NULL::uuid)$$, 'the view shows it');
SELECT results_eq($$SELECT action, item, application, before, after FROM instance_env.event ORDER BY id DESC LIMIT 1$$,
	$$VALUES ('allow_instance', 'instance_env "backend', NULL::uuid, NULL::jsonb, '{"type": null}'::jsonb)$$, 'it is on record');
SELECT lives_ok(format($$SELECT instance_env.allow_instance(%L)$$, :quoted), 'once more');
SELECT is((SELECT count(*) FROM instance_env.event WHERE action = 'allow_instance'), 1::bigint, 'changes nothing');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env "backend', $q$SELECT instance_env.enter('c0000000-0000-4000-8000-000000000001')$q$)$$,
	'23I03', 'instance "c0000000-0000-4000-8000-000000000001" does not exist', 'one who may enter something is told what does not exist');
SELECT lives_ok(format($$SELECT instance_env.forbid_instance(%L)$$, :quoted), 'it is forbidden them');
SELECT is(pg_temp.enters(:backend), '', 'and may enter none');
SELECT is_empty($$SELECT * FROM instance_env.instance_access$$, 'the view is empty');
SELECT results_eq($$SELECT action, item, application, before, after FROM instance_env.event ORDER BY id DESC LIMIT 1$$,
	$$VALUES ('forbid_instance', 'instance_env "backend', NULL::uuid, '{"type": null}'::jsonb, NULL::jsonb)$$, 'this is on record, too');
SELECT lives_ok(format($$SELECT instance_env.forbid_instance(%L)$$, :quoted), 'once more');
SELECT is((SELECT count(*) FROM instance_env.event WHERE action = 'forbid_instance'), 1::bigint, 'changes nothing');

-- of an application, by name or id
SELECT lives_ok(format($$SELECT instance_env.allow_instance(%L, 'bank')$$, :quoted), 'an application by its name');
SELECT is(pg_temp.enters(:backend), 'd2 a2 ', 'both of its instances');
SELECT lives_ok(format($$SELECT instance_env.forbid_instance(%L, instance_env.application_id('bank'))$$, :quoted), 'by its id');
SELECT is(pg_temp.enters(:backend), '', 'neither of them');
SELECT lives_ok(format($$SELECT instance_env.allow_instance(%L, %L, 'development')$$, :quoted, instance_env.application_id('bank')::text), 'by its id as text');
SELECT is(pg_temp.enters(:backend), 'd2 ', 'only one of them');
SELECT lives_ok(format($$SELECT instance_env.forbid_instance(%L, 'bank', 'production')$$, :quoted), 'to forbid the other');
SELECT is(pg_temp.enters(:backend), 'd2 ', 'changes nothing');
SELECT lives_ok(format($$SELECT instance_env.allow_instance(role => %L, application => NULL, type => 'production')$$, :quoted), 'all of a type');
SELECT is(pg_temp.enters(:backend), 'd2 a2 ', 'besides');
SELECT lives_ok(format($$SELECT instance_env.allow_instance(%L, type => 'production')$$, :quoted), 'the same in other words');
SELECT is((SELECT count(*) FROM instance_env.instance_access), 2::bigint, 'is there once');

-- what a wider allowance covers
SELECT throws_ok(format($$SELECT instance_env.forbid_instance(%L, 'bank', 'production')$$, :quoted), '55000',
	'role "instance_env "backend" would still be allowed by a wider allowance', 'a part cannot be forbidden');
SELECT throws_ok(format($$SELECT instance_env.forbid_instance(%L, 'bank')$$, :quoted), '55000', NULL, 'nor what overlaps');
SELECT is(pg_temp.enters(:backend), 'd2 a2 ', 'which leaves all as it was');
SELECT lives_ok(format($$SELECT instance_env.forbid_instance(%L, type => 'production')$$, :quoted), 'the wider one can');
SELECT is(pg_temp.enters(:backend), 'd2 ', 'and the other one remains');
SELECT lives_ok(format($$SELECT instance_env.allow_instance(%L, 'shop')$$, :quoted), 'several');
SELECT lives_ok(format($$SELECT instance_env.forbid_instance(%L)$$, :quoted), 'are forbidden at once');
SELECT is_empty($$SELECT * FROM instance_env.instance_access$$, 'none is left');
SELECT is((SELECT count(*) FROM instance_env.event WHERE action = 'forbid_instance' AND application IS NOT NULL), 3::bigint, 'each is on record');

-- by membership
SELECT instance_env.allow_instance('instance_env_team', 'shop', 'development') \gset
SELECT is(pg_temp.enters(:backend), '', 'another role''s allowance');
GRANT instance_env_team TO "instance_env ""backend";
SELECT is(pg_temp.enters(:backend), 'd1 ', 'is a member''s, too, at once');
SELECT instance_env.enter('d0000000-0000-4000-8000-000000000001') \gset
SET LOCAL ROLE "instance_env ""backend";
SELECT is(instance_env.current_instance(), 'd0000000-0000-4000-8000-000000000001', 'who is in the instance');
RESET ROLE;
REVOKE instance_env_team FROM "instance_env ""backend";
SET LOCAL ROLE "instance_env ""backend";
SELECT is(instance_env.current_instance(), NULL, 'until it is one no more');
RESET ROLE;
SELECT is(pg_temp.enters(:backend), '', 'and cannot enter it');
SELECT instance_env.leave() \gset
SELECT CASE WHEN current_setting('server_version_num')::integer < 160000
	THEN 'ALTER ROLE "instance_env ""backend" NOINHERIT; GRANT instance_env_team TO "instance_env ""backend"'
	ELSE 'GRANT instance_env_team TO "instance_env ""backend" WITH INHERIT FALSE' END AS noinherit \gset
:noinherit;
SELECT is(pg_temp.enters(:backend), '', 'nor one who does not inherit its privileges');
ALTER ROLE "instance_env ""backend" INHERIT;
REVOKE instance_env_team FROM "instance_env ""backend";
GRANT instance_env_team TO "instance_env ""backend";
SELECT is(pg_temp.enters(:backend), 'd1 ', 'but one who does');
SELECT instance_env.allow_instance(:quoted, 'shop', 'development') \gset
SELECT lives_ok(format($$SELECT instance_env.forbid_instance(%L, 'shop')$$, :quoted), 'a member''s own can be forbidden');
SELECT is(pg_temp.enters(:backend), 'd1 ', 'which leaves the other role''s');
ALTER ROLE "instance_env ""backend" SUPERUSER;
SELECT is(pg_temp.enters(:backend), 'd1 d2 a2 ', 'a role that becomes a superuser');
ALTER ROLE "instance_env ""backend" NOSUPERUSER;
SELECT is(pg_temp.enters(:backend), 'd1 ', 'and is one no more');
REVOKE instance_env_team FROM "instance_env ""backend";
CREATE ROLE instance_env_mine;
SELECT instance_env.allow_instance('pg_database_owner', 'bank', 'development') \gset
SELECT format('ALTER DATABASE %I OWNER TO instance_env_mine', current_database()) AS owner, format('ALTER DATABASE %I OWNER TO %I', current_database(), session_user) AS back \gset
GRANT USAGE ON SCHEMA instance_env TO instance_env_mine;
GRANT EXECUTE ON FUNCTION instance_env.enter(uuid, boolean), instance_env.leave() TO instance_env_mine;
SELECT is(pg_temp.enters('instance_env_mine'), '', 'the owner of the database is not yet');
:owner;
SELECT is(pg_temp.enters('instance_env_mine'), 'd2 ', 'who has become it');
:back;
SELECT is(pg_temp.enters('instance_env_mine'), '', 'and is it no more');
SELECT instance_env.forbid_instance('pg_database_owner') \gset

-- a role that is renamed, or dropped
ALTER ROLE instance_env_team RENAME TO instance_env_crew;
SELECT results_eq($$SELECT role::text COLLATE "default" FROM instance_env.instance_access$$, $$VALUES ('instance_env_crew')$$, 'an allowance follows a role that is renamed');
DROP ROLE instance_env_crew;
SELECT is_empty($$SELECT * FROM instance_env.instance_access$$, 'and is nobody''s when it is dropped');
SELECT is((SELECT count(*) FROM instance_env.instance_allowance), 1::bigint, 'though its row remains');
SELECT instance_env.allow_instance(:quoted, 'shop') \gset
SELECT is((SELECT count(*) FROM instance_env.instance_allowance), 1::bigint, 'until the next allowance');

-- what goes with an application, and with all rights
SELECT instance_env.allow_instance(:quoted, 'bank') \gset
SELECT instance_env.drop_application('shop') \gset
SELECT results_eq($$SELECT application FROM instance_env.instance_access$$, $$VALUES ('bank')$$, 'an application that is dropped takes its allowances along');
SELECT is((SELECT count(*) FROM instance_env.event WHERE action = 'drop_application' AND item = :backend
	AND before = '{"type": null}'), 2::bigint, 'which is on record, by instance');
SELECT instance_env.allow_instance('instance_env_monitor', type => 'production') \gset
SELECT instance_env.revoke_access(:quoted) \gset
SELECT results_eq($$SELECT role::text COLLATE "default", type::text FROM instance_env.instance_access$$, $$VALUES ('instance_env_monitor', 'production')$$, 'revoke_access() takes a role''s allowances');
SELECT results_eq($$SELECT item, application IS NULL, before, after FROM instance_env.event WHERE action = 'revoke_access' AND before ? 'type'$$,
	$$VALUES ('instance_env "backend', false, '{"type": null}'::jsonb, NULL::jsonb)$$, 'which is on record');

-- who may allow
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_monitor', $q$SELECT instance_env.allow_instance('instance_env_monitor')$q$)$$,
	'42501', NULL, 'a monitor may not allow');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_monitor', 'SELECT * FROM instance_env.instance_access')$$, 'but may see what is allowed');
SELECT lives_ok($$SELECT pg_temp.run_as('instance_env_admin', $q$SELECT instance_env.allow_instance('instance_env_admin', 'bank', 'development')$q$)$$,
	'an administrator may');
SELECT is(pg_temp.enters('instance_env_admin'), 'd2 ', 'also himself');
SELECT throws_ok($$SELECT pg_temp.run_as('instance_env_admin', $q$INSERT INTO instance_env.instance_allowance VALUES (current_user::regrole)$q$)$$,
	'42501', NULL, 'but not by the table');

-- what makes no sense
SELECT throws_ok($$SELECT instance_env.allow_instance(NULL)$$, '22004', 'argument "role" must not be null', 'allow_instance(): no role');
SELECT throws_ok($$SELECT instance_env.forbid_instance(NULL)$$, '22004', 'argument "role" must not be null', 'forbid_instance(): no role');
SELECT throws_ok($$SELECT instance_env.allow_instance('instance_env_admin', instance_env.application_id('none'))$$, '22004',
	'argument "application" must not be null', 'an id that was asked for by a wrong name is not all of them');
SELECT throws_ok($$SELECT instance_env.forbid_instance('instance_env_admin', NULL::uuid)$$, '22004', NULL, 'nor when it is forbidden');
SELECT throws_ok($$SELECT instance_env.allow_instance('-')$$, '42704', 'role with OID 0 does not exist', 'no name of a role');
SELECT throws_ok($$SELECT instance_env.allow_instance('4294967295')$$, '42704', 'role with OID 4294967295 does not exist', 'a number that is no role''s');
SELECT throws_ok($$SELECT instance_env.allow_instance('instance_env_none')$$, '42704', NULL, 'an unknown role');
SELECT throws_ok($$SELECT instance_env.allow_instance('instance_env_admin', 'none')$$, '22023', 'application "none" does not exist', 'an unknown application');
SELECT throws_ok($$SELECT instance_env.forbid_instance('instance_env_admin', 'none')$$, '22023', 'application "none" does not exist', 'to forbid an unknown application');
SELECT throws_ok($$SELECT instance_env.allow_instance('instance_env_admin', gen_random_uuid())$$, '22023', NULL, 'an unknown id');
SELECT throws_ok($$SELECT instance_env.allow_instance('instance_env_admin', 'bank', 'staging')$$, '22P02', NULL, 'an unknown type');

SELECT * FROM finish();
ROLLBACK;
