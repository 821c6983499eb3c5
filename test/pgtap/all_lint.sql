-- Rules for whatever the extension contains
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(21);

CREATE TEMP VIEW members AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS description
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'instance_env';

SELECT cmp_ok((SELECT count(*) FROM members), '>', 40::bigint, 'the extension has members');

SELECT is_empty(
	$$SELECT p.oid::regprocedure FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	  WHERE p.prosecdef AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE replace(c, '"', '') = 'search_path=pg_catalog, pg_temp')$$,
	'every SECURITY DEFINER function pins its search_path');
SELECT is_empty(
	$$SELECT description FROM members m
	  WHERE obj_description(m.objid, m.classid::regclass::name) IS NULL
	  AND NOT EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
					  WHERE m.classid = 'pg_type'::regclass AND t.oid = m.objid
					  AND (t.typcategory = 'A' OR c.relkind IN ('r', 'v')))
	  ORDER BY 1$$,
	'every member has a comment');
SELECT is_empty(
	$$SELECT description, obj_description(m.objid, m.classid::regclass::name) FROM members m
	  WHERE obj_description(m.objid, m.classid::regclass::name) ~ E'^[A-Z][a-z]|\\.$'$$,
	'comments are phrases, as PostgreSQL''s own: no capital, no period');
SELECT is_empty(
	$$SELECT attrelid::regclass, attname FROM members m
	  JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid JOIN pg_attribute ON attrelid = c.oid
	  WHERE c.relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL$$,
	'every column of a table or view has a comment');
SELECT is_empty(
	$$SELECT attrelid::regclass, attname, col_description(attrelid, attnum) FROM members m
	  JOIN pg_attribute ON m.classid = 'pg_class'::regclass AND m.objid = attrelid
	  WHERE col_description(attrelid, attnum) ~ E'^[A-Z][a-z]|\\.$'$$,
	'and those are phrases, too');
SELECT is_empty(
	$$SELECT p.oid::regprocedure FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	  JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname NOT IN ('c', 'sql')$$,
	'no function needs a language that may be missing');
SELECT is_empty(
	$$SELECT p.oid::regprocedure, p.prosrc FROM members m
	  JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	  JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = 'c' AND p.prosrc NOT LIKE E'instance\\_env\\_%'$$,
	'every C function''s symbol has our prefix');
SELECT is_empty(
	$$SELECT p.oid::regprocedure FROM members m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	  WHERE p.proparallel <> 'u' AND p.provolatile = 'v'$$,
	'nothing that writes is offered to parallel workers');

SELECT set_eq(
	$$SELECT tgrelid::regclass || ': ' || tgname FROM members m JOIN pg_trigger t ON m.classid = 'pg_class'::regclass AND t.tgrelid = m.objid
	  WHERE tgtype & 1 = 0 AND tgtype & (4 | 8 | 16) <> 0$$, ARRAY['instance_env.event: refuse_change'],
	'triggers are for rows, which also an apply worker fires, but for those that it must not fire');
SELECT set_eq(
	$$SELECT tgrelid::regclass || ': ' || tgname FROM members m JOIN pg_trigger t ON m.classid = 'pg_class'::regclass AND t.tgrelid = m.objid
	  WHERE tgenabled <> 'A'$$, ARRAY['instance_env.instance: keep_active',
		'instance_env.instance: keep_external_key', 'instance_env.application: keep_application'],
	'and enabled always, but for those that judge what another server has judged');

-- what PUBLIC may do

SELECT results_eq(
	$$SELECT p.oid::regprocedure::text FROM members m
	  JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid,
	  LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
	  WHERE a.grantee = 0 ORDER BY p.oid::regprocedure::text COLLATE "C"$$,
	ARRAY[
		'instance_env.admission_required("any",oid)',
		'instance_env.admission_required("any",oid,"any")',
		'instance_env.current_instance()',
		'instance_env.current_instance_key()',
		'instance_env.departure_queued()',
		'instance_env.domain_root(text)',
		'instance_env.external_key_bigint(text)',
		'instance_env.external_key_char(text)',
		'instance_env.id_belongs(uuid,uuid)',
		'instance_env.id_time(uuid)',
		'instance_env.identity_changes("any","any")',
		'instance_env.instance_unavailable("any",oid)',
		'instance_env.instance_unavailable("any",oid,"any")',
		'instance_env.key_frontend_api(text)',
		'instance_env.key_instance_type(text)',
		'instance_env.new_user_id()',
		'instance_env.new_user_id(uuid)',
		'instance_env.row_deleted("any",oid,tid)',
		'instance_env.row_moves("any",oid,tid)',
		'instance_env.setting_in_use(jsonb)'],
	'PUBLIC may execute these functions only');
SELECT is_empty(
	$$SELECT c.oid::regclass, a.privilege_type FROM members m
	  JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid,
	  LATERAL aclexplode(c.relacl) a WHERE a.grantee = 0$$,
	'PUBLIC may not read or write any relation');
SELECT is_empty(
	$$SELECT attrelid::regclass, attname FROM members m
	  JOIN pg_attribute t ON m.classid = 'pg_class'::regclass AND m.objid = t.attrelid WHERE t.attacl IS NOT NULL$$,
	'nor a single column');
SELECT results_eq(
	$$SELECT a.privilege_type FROM pg_namespace n, LATERAL aclexplode(n.nspacl) a
	  WHERE n.nspname = 'instance_env' AND a.grantee = 0$$, NULL::text[], 'PUBLIC may not even use the schema');

SELECT is_empty(
	$$SELECT o.oid, a.* FROM members m JOIN (
		SELECT 'pg_proc'::regclass AS classid, oid, proowner AS owner, proacl AS acl FROM pg_proc
		UNION ALL SELECT 'pg_class'::regclass, oid, relowner, relacl FROM pg_class
		UNION ALL SELECT 'pg_type'::regclass, oid, typowner, typacl FROM pg_type
		UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner, nspacl FROM pg_namespace) o
		ON o.classid = m.classid AND o.oid = m.objid, LATERAL aclexplode(o.acl) a
	  WHERE a.grantee NOT IN (0, o.owner)$$,
	'nobody but PUBLIC and the owner has anything');

-- what is dumped

SELECT is_empty(
	$$SELECT c.relname::text COLLATE "default" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	  WHERE n.nspname = 'instance_env' AND c.relkind IN ('r', 'S')
	  AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'instance_env' AND c.oid = ANY (e.extconfig))
	  ORDER BY 1$$, 'every table is dumped with its rows');

-- nothing beside it

SET LOCAL client_min_messages = error;
CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
CREATE TABLE app.users (id text, instance_id text, PRIMARY KEY (instance_id, id));
CREATE TABLE app.sessions (id text, instance_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
SELECT count(*) FROM instance_env.guard('app.sessions', user_key => 'id', counted => false, user_table => 'app.users') \gset
INSERT INTO app.users VALUES ('ann', 'dev');
DELETE FROM app.users;
SELECT is_empty(
	$$SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
	  WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = 'instance_env'::regnamespace
	  AND NOT EXISTS (SELECT FROM members m WHERE m.classid = d.classid AND m.objid = d.objid)
	  AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i')
	  AND NOT EXISTS (SELECT FROM pg_index i WHERE d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid)
	  AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'a'
					  AND i.refclassid = 'pg_class'::regclass)$$,
	'nothing in the schema is outside of the extension, also after guard()');
SELECT results_eq($$SELECT name FROM pg_settings WHERE name LIKE 'instance!_env.%' ESCAPE '!' ORDER BY 1$$,
	ARRAY['instance_env.allow_destructive', 'instance_env.buckets', 'instance_env.current_instance', 'instance_env.destructive_rows',
		'instance_env.notify_thresholds', 'instance_env.public_suffix_file'], 'the library has defined its parameters');
SELECT lives_ok($$SELECT instance_env.unguard('app.sessions'); SELECT instance_env.unguard('app.users'); DROP EXTENSION instance_env$$,
	'the extension can be dropped');
SELECT hasnt_schema('instance_env', 'and takes its schema along');

SELECT * FROM finish();
ROLLBACK;
