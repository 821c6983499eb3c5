-- grant_backend(), grant_monitor(), grant_guard(), grant_admin(): each with a role that has
-- nothing else
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(87);

CREATE ROLE "instance_env ""backend";
CREATE ROLE instance_env_monitor;
CREATE ROLE instance_env_admin;
CREATE ROLE instance_env_migrator;
CREATE ROLE instance_env_nobody;
CREATE SCHEMA app;
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001', production_id => 'a0000000-0000-4000-8000-000000000001') \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id uuid);
SELECT count(*) FROM instance_env.guard('app.users') \gset
INSERT INTO app.users VALUES (1, 'd0000000-0000-4000-8000-000000000001');

-- the commands run as the role
CREATE FUNCTION pg_temp.run_as(role name, command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
END $$;
CREATE FUNCTION pg_temp.backend(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env "backend', command)$$;
CREATE FUNCTION pg_temp.monitor(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_monitor', command)$$;
CREATE FUNCTION pg_temp.admin(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_admin', command)$$;
CREATE FUNCTION pg_temp.migrator(command text) RETURNS void LANGUAGE sql AS
$$SELECT pg_temp.run_as('instance_env_migrator', command)$$;

-- every function and procedure that is neither for PUBLIC nor a trigger function
CREATE TEMP VIEW functions AS
SELECT p.oid, p.oid::regprocedure::text COLLATE "C" AS name
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'instance_env' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
	AND NOT EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0);
CREATE TEMP VIEW views AS
SELECT oid, oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'instance_env'::regnamespace AND relkind = 'v';
CREATE FUNCTION pg_temp.may(role name) RETURNS SETOF text LANGUAGE sql AS
$$SELECT name FROM functions WHERE has_function_privilege(role, oid, 'EXECUTE')$$;

-- nothing to begin with

SELECT is_empty($$SELECT pg_temp.may(r) FROM unnest(ARRAY['instance_env "backend', 'instance_env_monitor', 'instance_env_admin']) r$$,
	'without a grant no function');
SELECT is_empty($$SELECT name FROM views WHERE has_any_column_privilege('instance_env_monitor', oid, 'SELECT')$$, 'and no view');
SELECT throws_ok($$SELECT pg_temp.monitor('SELECT FROM instance_env.instances')$$, '42501', NULL, 'really');

-- who may grant

SELECT throws_ok($$SELECT instance_env.grant_backend(NULL)$$, '22004', NULL, 'grant_backend(): NULL');
SELECT throws_ok($$SELECT instance_env.grant_monitor(NULL)$$, '22004', NULL, 'grant_monitor(): NULL');
SELECT throws_ok($$SELECT instance_env.grant_guard(NULL)$$, '22004', NULL, 'grant_guard(): NULL');
SELECT throws_ok($$SELECT instance_env.grant_admin(NULL)$$, '22004', NULL, 'grant_admin(): NULL');
SELECT throws_ok($$SELECT instance_env.revoke_access(NULL)$$, '22004', NULL, 'revoke_access(): NULL');
SELECT throws_ok($$SELECT instance_env.grant_admin('instance_env_no_such_role')$$, '42704', NULL, 'a role that does not exist');
SELECT throws_ok($$SELECT instance_env.grant_admin(123456789::oid::regrole)$$, '42704', NULL, 'an OID that is no role''s');
SELECT throws_ok($$SELECT instance_env.grant_admin('public')$$, '42704', NULL, 'PUBLIC is no role');
SELECT throws_ok($$SELECT instance_env.grant_admin('-')$$, '42704', NULL, 'nor is nobody');

SELECT lives_ok($$SELECT instance_env.grant_backend('"instance_env ""backend"')$$, 'grant_backend()');
SELECT lives_ok($$SELECT instance_env.grant_monitor('instance_env_monitor')$$, 'grant_monitor()');
SELECT lives_ok($$SELECT instance_env.grant_guard('instance_env_migrator')$$, 'grant_guard()');
SELECT lives_ok($$SELECT instance_env.grant_admin('instance_env_admin')$$, 'grant_admin()');
SELECT relacl AS acl FROM pg_class WHERE oid = 'instance_env.instances'::regclass \gset
SELECT lives_ok($$SELECT instance_env.grant_backend('"instance_env ""backend"')$$, 'grant_backend() again');
SELECT lives_ok($$SELECT instance_env.grant_monitor('instance_env_monitor')$$, 'grant_monitor() again');
SELECT lives_ok($$SELECT instance_env.grant_guard('instance_env_migrator')$$, 'grant_guard() again');
SELECT lives_ok($$SELECT instance_env.grant_admin('instance_env_admin')$$, 'grant_admin() again');
SELECT is((SELECT relacl::text FROM pg_class WHERE oid = 'instance_env.instances'::regclass), :'acl', 'changes nothing');

-- every function is in the list of grant.c

SELECT set_eq($$SELECT name FROM functions EXCEPT SELECT pg_temp.may('instance_env_admin')$$, ARRAY[
		'instance_env.distribute()',
		'instance_env.forget_events(timestamp with time zone)',
		'instance_env.grant_admin(regrole)',
		'instance_env.grant_backend(regrole)',
		'instance_env.grant_guard(regrole)',
		'instance_env.grant_monitor(regrole)',
		'instance_env.node_offset()',
		'instance_env.revoke_access(regrole)'],
	'an admin may call every function but these (is a new one in the list of grant.c?)');
SELECT is_empty($$SELECT pg_temp.may('instance_env "backend') EXCEPT SELECT pg_temp.may('instance_env_admin')$$,
	'an admin may call what a backend may');
SELECT is_empty($$SELECT pg_temp.may('instance_env_monitor') EXCEPT SELECT pg_temp.may('instance_env_admin')$$,
	'and what a monitor may');
-- and nobody else has more than here: without arguments, as the list has them
CREATE FUNCTION pg_temp.names(role name) RETURNS text[] LANGUAGE sql AS
$$SELECT array_agg(DISTINCT substring(may, '[.](.*)[(]') COLLATE "C") FROM pg_temp.may(role) may$$;
SELECT is(pg_temp.names('instance_env "backend'), '{
		account_portal_url, application_id, assert_valid, banner, check_preview, config_version, consume_message, dns_records,
		enter, feature_available, frontend_api_host, id_instance, instance_by_key, instance_by_publishable_key, instance_for_host, instance_id, instance_info,
		is_test_identity, keys_match, leave, message_prefix,
		oauth_callback_url, oauth_consent_domain, policy, prefix_message, publishable_key, redirect_url_allowed, require_feature,
		robots_directive, robots_txt, seats_left, security_policy, setting, settings, social_credentials, validate,
		verify_secret_key}', 'what a backend may call');
SELECT is(pg_temp.names('instance_env_monitor'), '{activity_list, activity_status, guard_list, id_instance, instance_diff, instance_info, instance_usage, key_last_used, policy, readiness_list, readiness_of, report, user_count, validate}',
	'what a monitor may call');
SELECT set_eq($$SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'instance_env'::regnamespace
	AND has_function_privilege('instance_env_migrator', p.oid, 'EXECUTE')
	AND NOT EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0)$$, ARRAY[
		'instance_env.check_instance()',
		'instance_env.check_move()',
		'instance_env.check_transfer()',
		'instance_env.check_user_cap()',
		'instance_env.guard(regclass,name,text,boolean,regclass,boolean,name,name,boolean)',
		'instance_env.guard_list()',
		'instance_env.isolate(regclass,boolean)',
		'instance_env.record_departure()',
		'instance_env.record_truncate()',
		'instance_env.unguard(regclass,boolean)',
		'instance_env.unisolate(regclass)'],
	'who guards may call guard() and isolate(), undo them, and attach what they attach');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'instance_env'::regnamespace
	AND has_function_privilege('instance_env_migrator', p.oid, 'EXECUTE')
	AND NOT has_function_privilege('instance_env_admin', p.oid, 'EXECUTE')$$,
	'and so may an admin');
SELECT set_eq(
	$$SELECT f.name FROM functions f JOIN pg_proc p ON p.oid = f.oid
	  WHERE p.provolatile = 'v' AND f.name NOT IN ('instance_env.guard_list()', 'instance_env.enter(uuid,boolean)', 'instance_env.leave()')
		AND f.name IN
		(SELECT pg_temp.may('instance_env "backend') UNION SELECT pg_temp.may('instance_env_monitor'))$$,
	ARRAY['instance_env.consume_message(uuid,text,text)'], 'neither backend nor monitor may call anything that writes, but to count messages');
SELECT results_eq($$SELECT count(*) FROM functions f, unnest(ARRAY['instance_env "backend', 'instance_env_monitor', 'instance_env_migrator', 'instance_env_admin']) r
	WHERE has_function_privilege(r, f.oid, 'EXECUTE WITH GRANT OPTION')$$, ARRAY[0::bigint], 'nobody may grant any further');
SELECT is_empty(
	$$SELECT c.oid::regclass FROM pg_class c, unnest(ARRAY['instance_env "backend', 'instance_env_monitor', 'instance_env_migrator', 'instance_env_admin']) r
	  WHERE c.relnamespace = 'instance_env'::regnamespace AND c.relkind IN ('r', 'p', 'S')
	  AND (c.relkind = 'S' AND has_sequence_privilege(r, c.oid, 'USAGE, SELECT, UPDATE') OR c.relkind <> 'S' AND
		(has_any_column_privilege(r, c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(r, c.oid, 'DELETE, TRUNCATE, TRIGGER')))$$,
	'nobody gets at a table itself');

-- backend

SELECT lives_ok($$SELECT pg_temp.backend('SELECT instance_env.instance_id(''shop'', ''production'')')$$, 'backend: instance_id()');
SELECT lives_ok($$SELECT pg_temp.backend('SELECT instance_env.application_id(''shop'')')$$, 'backend: application_id()');
SELECT lives_ok($$SELECT pg_temp.backend('SELECT * FROM instance_env.validate(''d0000000-0000-4000-8000-000000000001'')')$$,
	'backend: validate()');
SELECT lives_ok($$SELECT pg_temp.backend('SELECT instance_env.assert_valid(''d0000000-0000-4000-8000-000000000001'')')$$,
	'backend: assert_valid()');
SELECT throws_ok($$SELECT pg_temp.backend('SELECT instance_env.create_application(''x'')')$$, '42501', NULL,
	'backend: no create_application()');
SELECT throws_ok($$SELECT pg_temp.backend('SELECT * FROM instance_env.promote(NULL)')$$, '42501', NULL, 'backend: no promote()');
SELECT throws_ok($$SELECT pg_temp.backend('SELECT instance_env.set_user_cap(NULL, NULL)')$$, '42501', NULL, 'backend: no set_user_cap()');
SELECT throws_ok($$SELECT pg_temp.backend('CALL instance_env.reset_development(NULL)')$$, '42501', NULL, 'backend: no reset_development()');
SELECT throws_ok($$SELECT pg_temp.backend('SELECT FROM instance_env.instances')$$, '42501', NULL, 'backend: no view');
SELECT throws_ok($$SELECT pg_temp.backend('SELECT FROM instance_env.instance')$$, '42501', NULL, 'backend: no table');

-- monitor

SELECT lives_ok(format($$SELECT pg_temp.monitor('SELECT * FROM %s')$$, name), 'monitor: view ' || name)
FROM views WHERE name IN ('instance_env.applications', 'instance_env.guards', 'instance_env.instances', 'instance_env.readiness',
	'instance_env.usage') ORDER BY name COLLATE "C";
DO $$
DECLARE
	v text;
BEGIN
	FOR v IN SELECT name FROM views LOOP
		PERFORM pg_temp.monitor('SELECT * FROM ' || v);
	END LOOP;
END $$;
SELECT pass('monitor: every view there is');
SELECT throws_ok($$SELECT pg_temp.monitor('SELECT instance_env.create_application(''x'')')$$, '42501', NULL,
	'monitor: no create_application()');
SELECT throws_ok($$SELECT pg_temp.monitor('SELECT * FROM instance_env.promote(NULL)')$$, '42501', NULL, 'monitor: no promote()');
SELECT throws_ok($$SELECT pg_temp.monitor('DELETE FROM instance_env.instances')$$, '55000', NULL, 'monitor: views are to be read');
SELECT throws_ok($$SELECT pg_temp.monitor('SELECT FROM app.users')$$, '42501', NULL, 'monitor: no user table');

-- admin

SELECT lives_ok($$SELECT pg_temp.admin('SELECT instance_env.create_application(''blog'')')$$, 'admin: create_application()');
SELECT lives_ok($$SELECT pg_temp.admin('SELECT instance_env.set_user_cap(instance_env.instance_id(''blog'', ''development''), 7)')$$,
	'admin: set_user_cap()');
SELECT lives_ok($$SELECT pg_temp.admin('SELECT * FROM instance_env.readiness')$$, 'admin: a view');
SELECT lives_ok($$SELECT pg_temp.admin('SELECT instance_env.drop_application(instance_env.application_id(''blog''))')$$,
	'admin: drop_application()');
SELECT throws_ok($$SELECT pg_temp.admin('CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'42501', NULL, 'admin: reset_development() takes rights on the tables, too');
GRANT USAGE ON SCHEMA app TO instance_env_admin;
GRANT SELECT, DELETE ON app.users TO instance_env_admin;
SELECT lives_ok($$SELECT pg_temp.admin('CALL instance_env.reset_development(''d0000000-0000-4000-8000-000000000001'')')$$,
	'admin: reset_development() with them');
SELECT throws_ok($$SELECT pg_temp.admin('SELECT instance_env.grant_admin(''instance_env_nobody'')')$$, '42501', NULL,
	'admin: may not make another one');
GRANT EXECUTE ON FUNCTION instance_env.grant_admin TO instance_env_admin;
SELECT throws_ok($$SELECT pg_temp.admin('SELECT instance_env.grant_admin(''instance_env_nobody'')')$$, '42501', NULL,
	'not even with the right to call it');
REVOKE EXECUTE ON FUNCTION instance_env.grant_admin FROM instance_env_admin;
SELECT throws_ok($$SELECT pg_temp.admin('DELETE FROM instance_env.event')$$, '42501', NULL, 'admin: the log stays');

-- migrations

CREATE SCHEMA migrated AUTHORIZATION instance_env_migrator;
SELECT lives_ok($$SELECT pg_temp.migrator($q$CREATE TABLE migrated.users (id integer, instance_id uuid, PRIMARY KEY (instance_id, id))
	PARTITION BY HASH (instance_id); SELECT instance_env.guard('migrated.users')$q$)$$, 'migrator: guards a table of his own');
SELECT lives_ok($$SELECT pg_temp.migrator($q$CREATE TABLE migrated.part PARTITION OF migrated.users
	FOR VALUES WITH (MODULUS 1, REMAINDER 0)$q$)$$, 'migrator: makes a partition');
SELECT lives_ok($$SELECT pg_temp.migrator($q$SELECT instance_env.unguard('migrated.users')$q$)$$, 'migrator: unguards it');
SELECT throws_ok($$SELECT pg_temp.migrator($q$SELECT instance_env.guard('app.users')$q$)$$, '42501', NULL, 'migrator: no other table');
SELECT throws_ok($$SELECT pg_temp.migrator($q$SELECT instance_env.set_user_cap(NULL, NULL)$q$)$$, '42501', NULL,
	'migrator: no set_user_cap()');
SELECT lives_ok($$SELECT pg_temp.migrator($q$SELECT FROM instance_env.guards$q$)$$, 'migrator: what is guarded');
SELECT throws_ok($$SELECT pg_temp.migrator($q$SELECT FROM instance_env.usage$q$)$$, '42501', NULL, 'migrator: no other view');
CREATE SCHEMA elsewhere AUTHORIZATION "instance_env ""backend";
SELECT pg_temp.backend($q$CREATE TABLE elsewhere.users (id integer PRIMARY KEY, instance_id uuid)$q$) \gset
SELECT throws_ok($$SELECT pg_temp.backend($q$SELECT instance_env.guard('elsewhere.users')$q$)$$, '42501', NULL,
	'others do not guard, not even a table of their own');
SELECT throws_ok($$SELECT pg_temp.backend($q$CREATE TRIGGER t AFTER DELETE ON elsewhere.users FOR EACH ROW
	EXECUTE FUNCTION instance_env.record_departure('x')$q$)$$, '42501', NULL, 'nor do they attach the triggers by hand');
DROP SCHEMA elsewhere, migrated CASCADE;

-- revoke_access() takes whatever a role has in the schema

CREATE FUNCTION pg_temp.all_rights(role name) RETURNS SETOF text LANGUAGE sql AS $$
SELECT classid::regclass || ' ' || objid || ' ' || objsubid FROM pg_shdepend
WHERE refclassid = 'pg_authid'::regclass AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = role) AND deptype = 'a'
	AND (classid, objid) IN (SELECT classid, objid FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
		WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'instance_env')
$$;
CREATE ROLE instance_env_friend;
GRANT ALL ON SCHEMA instance_env TO instance_env_nobody WITH GRANT OPTION;
GRANT SELECT, INSERT ON instance_env.identity_key TO instance_env_nobody WITH GRANT OPTION;
GRANT SELECT (id), UPDATE (user_cap) ON instance_env.instance TO instance_env_nobody;
GRANT ALL ON ALL SEQUENCES IN SCHEMA instance_env TO instance_env_nobody;
GRANT ALL ON TYPE instance_env.plan TO instance_env_nobody;
GRANT SELECT ON instance_env.events TO instance_env_nobody;
GRANT EXECUTE ON FUNCTION instance_env.set_user_cap TO instance_env_nobody WITH GRANT OPTION;
GRANT EXECUTE ON PROCEDURE instance_env.reset_development TO instance_env_nobody;
GRANT EXECUTE ON FUNCTION instance_env.watch_ddl, instance_env.grant_admin TO instance_env_nobody;
SET LOCAL ROLE instance_env_nobody;
GRANT SELECT ON instance_env.identity_key TO instance_env_friend;
GRANT EXECUTE ON FUNCTION instance_env.set_user_cap TO instance_env_friend, instance_env_monitor;
RESET ROLE;
SELECT lives_ok($$SELECT instance_env.revoke_access('instance_env_monitor')$$, 'revoke_access(): what another role has granted');
SELECT is_empty($$SELECT pg_temp.all_rights('instance_env_monitor')$$, 'is taken, too');
SELECT isnt_empty($$SELECT pg_temp.all_rights('instance_env_friend')$$, 'and from nobody else');
SELECT lives_ok($$SELECT instance_env.revoke_access('instance_env_nobody')$$, 'revoke_access(): what was granted by hand');
SELECT is_empty($$SELECT pg_temp.all_rights('instance_env_nobody')$$, 'is taken, of every kind');
SELECT is_empty($$SELECT pg_temp.all_rights('instance_env_friend')$$, 'and what he has granted himself');
SELECT is((SELECT before - 'functions' FROM instance_env.events WHERE action = 'revoke_access' AND item = 'instance_env_nobody'),
	'{"schema": 1, "tables": 2, "sequences": 2, "types": 1, "views": 1}', 'and the log says what he had');

GRANT USAGE ON SCHEMA instance_env TO instance_env_nobody;
GRANT SELECT ON instance_env.identity_key TO instance_env_nobody WITH GRANT OPTION;
SET LOCAL ROLE instance_env_nobody;
GRANT SELECT ON instance_env.identity_key TO instance_env_friend;
RESET ROLE;
ALTER ROLE instance_env_nobody SUPERUSER;
SELECT throws_ok($$SELECT instance_env.revoke_access('instance_env_friend')$$, '2BP01', NULL,
	'what a superuser granted before he was one is not left in silence');
ALTER ROLE instance_env_nobody NOSUPERUSER;
SELECT lives_ok($$SELECT instance_env.revoke_access('instance_env_nobody')$$, 'it goes with what was granted to him');
SELECT is_empty($$SELECT pg_temp.all_rights('instance_env_friend')$$, 'as was to be');

SELECT lives_ok(format('SELECT instance_env.revoke_access(%L)', quote_ident(r)), 'revoke_access(): ' || r)
FROM unnest(ARRAY['instance_env "backend', 'instance_env_migrator', 'instance_env_admin', 'instance_env_nobody']) r;
SELECT is_empty($$SELECT pg_temp.all_rights(r) FROM unnest(ARRAY['instance_env "backend', 'instance_env_migrator', 'instance_env_admin']) r$$,
	'nothing is left');
SELECT lives_ok($$SELECT instance_env.revoke_access(current_user::regrole)$$, 'revoke_access(): the owner');
SELECT lives_ok($$SELECT instance_env.create_application('forum')$$, 'keeps what is his own');
REVOKE ALL ON app.users FROM instance_env_admin;
REVOKE ALL ON SCHEMA app FROM instance_env_admin;
SELECT lives_ok($$DROP ROLE "instance_env ""backend", instance_env_monitor, instance_env_migrator, instance_env_admin$$,
	'nor anything else: the roles can be dropped');

SELECT * FROM finish();
ROLLBACK;
