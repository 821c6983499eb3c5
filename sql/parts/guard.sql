-- guard: the triggers of guarded tables and their conditions, and what attaches them.

--
-- Trigger conditions.  They are evaluated with the rights of the role that inserts, hence
-- executable by PUBLIC; called otherwise than by a trigger they tell nothing.
--

CREATE FUNCTION instance_env.admission_required(instance "any", relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_admission_required';
COMMENT ON FUNCTION instance_env.admission_required("any", oid) IS
'trigger condition: must check_user_cap() look at a new row of this instance?';

CREATE FUNCTION instance_env.admission_required(instance "any", relation oid, VARIADIC user_key "any")
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_admission_required';
COMMENT ON FUNCTION instance_env.admission_required("any", oid, VARIADIC "any") IS
'trigger condition: must check_user_cap() look at a new row of this user in this instance?';

CREATE FUNCTION instance_env.instance_unavailable(instance "any", relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_instance_unavailable';
COMMENT ON FUNCTION instance_env.instance_unavailable("any", oid) IS
'trigger condition: must check_instance() look at a new row of this instance?';

CREATE FUNCTION instance_env.instance_unavailable(instance "any", relation oid, VARIADIC user_key "any")
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_instance_unavailable';
COMMENT ON FUNCTION instance_env.instance_unavailable("any", oid, VARIADIC "any") IS
'trigger condition: must check_instance() look at a new row of this user in this instance?';

CREATE FUNCTION instance_env.departure_queued()
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_departure_queued';
COMMENT ON FUNCTION instance_env.departure_queued() IS
'trigger condition: always true; the transaction knows that it has deleted users who are not on record yet';

CREATE FUNCTION instance_env.identity_changes(old_key "any", new_key "any")
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_identity_changes';
COMMENT ON FUNCTION instance_env.identity_changes("any", "any") IS
'trigger condition: does an update give a user another key?';

CREATE FUNCTION instance_env.row_moves(instance "any", relation oid, place tid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_row_moves';
COMMENT ON FUNCTION instance_env.row_moves("any", oid, tid) IS
'trigger condition: has an update moved a row from this place to another partition?';

CREATE FUNCTION instance_env.row_deleted(instance "any", relation oid, place tid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_row_deleted';
COMMENT ON FUNCTION instance_env.row_deleted("any", oid, tid) IS
'trigger condition: always false; counts users of production if a statement may delete only so many';

--
-- Trigger functions.  guard() attaches them, and an event trigger sees to it that nobody
-- else does so under another table's label.  Whoever creates a trigger needs EXECUTE on its
-- function, and so does the owner of a guarded table with each new partition: to have that
-- right is to be allowed to guard.
--

CREATE FUNCTION instance_env.check_user_cap()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_check_user_cap';
COMMENT ON FUNCTION instance_env.check_user_cap() IS
'trigger: refuses a user beyond the cap, of another instance, or of an instance that is not active';

CREATE FUNCTION instance_env.check_instance()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_check_instance';
COMMENT ON FUNCTION instance_env.check_instance() IS
'trigger: refuses a row of an instance that is not active, and a user of another instance';

CREATE FUNCTION instance_env.check_transfer()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_check_transfer';
COMMENT ON FUNCTION instance_env.check_transfer() IS
'trigger: refuses to move a user to another instance';

CREATE FUNCTION instance_env.check_move()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_check_move';
COMMENT ON FUNCTION instance_env.check_move() IS
'trigger: refuses to move a user to another instance by moving the row to another partition';

CREATE FUNCTION instance_env.record_departure()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_record_departure';
COMMENT ON FUNCTION instance_env.record_departure() IS
'trigger: remembers the instance of a deleted user, and counts users of production if their deletion is limited';

CREATE FUNCTION instance_env.record_truncate()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_record_truncate';
COMMENT ON FUNCTION instance_env.record_truncate() IS
'trigger: refuses to truncate users of production, and remembers the instances of all others';

--
-- Guards
--

CREATE FUNCTION instance_env.guard(
	relation regclass,
	instance_column name DEFAULT 'instance_id',
	user_key text DEFAULT NULL,
	counted boolean DEFAULT true,
	user_table regclass DEFAULT NULL,
	follow_departures boolean DEFAULT true,
	address_column name DEFAULT NULL,
	created_column name DEFAULT NULL,
	coded boolean DEFAULT false)
RETURNS TABLE (object text, name text, on_table regclass, action text)
LANGUAGE C VOLATILE ROWS 10
AS 'MODULE_PATHNAME', 'instance_env_guard';
COMMENT ON FUNCTION instance_env.guard(regclass, name, text, boolean, regclass, boolean, name, name, boolean) IS
'makes a table obey the rules of the instances its rows belong to; returns what it made or found';

CREATE FUNCTION instance_env.unguard(relation regclass, drop_objects boolean DEFAULT false)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_unguard';
COMMENT ON FUNCTION instance_env.unguard(regclass, boolean) IS
'removes the triggers of a guard; with drop_objects, also the indexes and foreign keys that guard() made';

--
-- Isolation
--

-- They tell nothing, and policies call them as whoever reads the table: for PUBLIC.
CREATE FUNCTION instance_env.external_key_bigint(external_key text)
RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'instance_env_external_key_bigint';
COMMENT ON FUNCTION instance_env.external_key_bigint(text) IS
'what an integer column contains in rows of the instance with this external key; null if none can';

CREATE FUNCTION instance_env.external_key_char(external_key text)
RETURNS character
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'instance_env_external_key_char';
COMMENT ON FUNCTION instance_env.external_key_char(text) IS
'what a column of type character contains in rows of the instance with this external key; null if none can';

CREATE FUNCTION instance_env.isolate(relation regclass, owner boolean DEFAULT false)
RETURNS TABLE (object text, name text, on_table regclass, action text)
LANGUAGE C VOLATILE ROWS 10
AS 'MODULE_PATHNAME', 'instance_env_isolate';
COMMENT ON FUNCTION instance_env.isolate(regclass, boolean) IS
'lets roles see and write only the rows of the instance that their session has entered; returns what it made or found';

CREATE FUNCTION instance_env.unisolate(relation regclass)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_unisolate';
COMMENT ON FUNCTION instance_env.unisolate(regclass) IS
'removes what isolate() has made of a table';

CREATE FUNCTION instance_env.guard_list(
	OUT relation regclass,
	OUT instance_column name,
	OUT user_key text,
	OUT counted boolean,
	OUT label text,
	OUT whole boolean,
	OUT problems text[],
	OUT user_table regclass,
	OUT address_column name,
	OUT created_column name,
	OUT isolated text,
	OUT coded boolean)
RETURNS SETOF record
LANGUAGE C VOLATILE ROWS 10
AS 'MODULE_PATHNAME', 'instance_env_guard_list';
COMMENT ON FUNCTION instance_env.guard_list() IS
'the guarded tables, and whether each guard is whole';

CREATE VIEW instance_env.guards AS
SELECT relation, instance_column, user_key, user_table, counted, label, whole, problems, address_column, created_column, isolated, coded
FROM instance_env.guard_list();
COMMENT ON VIEW instance_env.guards IS
'the guarded tables, read from their triggers';
COMMENT ON COLUMN instance_env.guards.relation IS
'the guarded table, or the root of its partitions';
COMMENT ON COLUMN instance_env.guards.instance_column IS
'the column that names a row''s instance; null if the table could not be looked at';
COMMENT ON COLUMN instance_env.guards.user_key IS
'the column by which users are told apart; null if they are not followed, or the table could not be looked at';
COMMENT ON COLUMN instance_env.guards.user_table IS
'the table of the users that rows refer to; null if there is none, it is not guarded any more, or the table could not be looked at';
COMMENT ON COLUMN instance_env.guards.counted IS
'does each row count as a user against the cap?';
COMMENT ON COLUMN instance_env.guards.label IS
'what identities of its users belong to: the first owner and name; null if the table could not be looked at';
COMMENT ON COLUMN instance_env.guards.whole IS
'is the guard as guard() makes it? null if the table could not be looked at now';
COMMENT ON COLUMN instance_env.guards.problems IS
'what is wrong with the guard, or why the table could not be looked at; empty if nothing';
COMMENT ON COLUMN instance_env.guards.address_column IS
'the column with a user''s e-mail address or phone number; null if guard() was told of none, or the table could not be looked at';
COMMENT ON COLUMN instance_env.guards.created_column IS
'the column that says when a user was created; null if guard() was told of none, or the table could not be looked at';
COMMENT ON COLUMN instance_env.guards.isolated IS
'from whom isolate() keeps rows of instances that are not entered: no; rows: all but the owner; owner: the owner, too; partly: see problems; null if the table could not be looked at';

COMMENT ON COLUMN instance_env.guards.coded IS
'are users followed by their ids alone, which tell the instance that they were made for? null if the table could not be looked at';

-- Triggers for TRUNCATE are not cloned to partitions, so new ones need theirs; and a
-- trigger that names another table's label could forge departures.
CREATE FUNCTION instance_env.watch_ddl()
RETURNS event_trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_watch_ddl';
COMMENT ON FUNCTION instance_env.watch_ddl() IS
'event trigger: completes the guard of new partitions, and keeps guards from being forged';

-- It loads the library, which refuses to drop users of production, and records what a
-- table's owner has allowed.  The commands are those that drop a table or a column, by
-- themselves or by CASCADE: from anything that the key of a partitioned table can refer to,
-- if only through a function.
CREATE FUNCTION instance_env.watch_drop()
RETURNS event_trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_watch_drop';
COMMENT ON FUNCTION instance_env.watch_drop() IS
'event trigger: keeps users of production from being dropped, or records that it was allowed';

-- After all parts: it fires for CREATE TABLE, also in this script.

CREATE EVENT TRIGGER instance_env_watch_ddl
	ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE FOREIGN TABLE', 'ALTER TABLE', 'ALTER FOREIGN TABLE',
		'CREATE TRIGGER', 'CREATE SCHEMA')
	EXECUTE FUNCTION instance_env.watch_ddl();
COMMENT ON EVENT TRIGGER instance_env_watch_ddl IS
'completes the guard of new partitions, and keeps guards from being forged';

CREATE EVENT TRIGGER instance_env_watch_attach
	ON ddl_command_start
	WHEN TAG IN ('ALTER TABLE')
	EXECUTE FUNCTION instance_env.watch_ddl();
COMMENT ON EVENT TRIGGER instance_env_watch_attach IS
'says why a table with a guard of its own cannot become a partition';

CREATE EVENT TRIGGER instance_env_watch_drop
	ON ddl_command_start
	WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP EXTENSION', 'DROP TYPE', 'DROP DOMAIN',
		'DROP FUNCTION', 'DROP ROUTINE', 'DROP PROCEDURE', 'DROP AGGREGATE', 'DROP OPERATOR',
		'DROP OPERATOR CLASS', 'DROP OPERATOR FAMILY', 'DROP COLLATION', 'DROP ACCESS METHOD',
		'DROP LANGUAGE', 'DROP CAST', 'DROP TRANSFORM', 'DROP TEXT SEARCH CONFIGURATION', 'DROP TEXT SEARCH DICTIONARY',
		'DROP TEXT SEARCH PARSER', 'DROP TEXT SEARCH TEMPLATE', 'DROP FOREIGN DATA WRAPPER', 'DROP SERVER',
		'DROP FOREIGN TABLE', 'DROP VIEW', 'DROP MATERIALIZED VIEW', 'DROP SEQUENCE', 'DROP INDEX',
		'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER TYPE', 'ALTER EXTENSION')
	EXECUTE FUNCTION instance_env.watch_drop();
COMMENT ON EVENT TRIGGER instance_env_watch_drop IS
'keeps users of production from being dropped with their table';

CREATE EVENT TRIGGER instance_env_watch_dropped
	ON ddl_command_end
	WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP EXTENSION', 'DROP TYPE', 'DROP DOMAIN',
		'DROP FUNCTION', 'DROP ROUTINE', 'DROP PROCEDURE', 'DROP AGGREGATE', 'DROP OPERATOR',
		'DROP OPERATOR CLASS', 'DROP OPERATOR FAMILY', 'DROP COLLATION', 'DROP ACCESS METHOD',
		'DROP LANGUAGE', 'DROP CAST', 'DROP TRANSFORM', 'DROP TEXT SEARCH CONFIGURATION', 'DROP TEXT SEARCH DICTIONARY',
		'DROP TEXT SEARCH PARSER', 'DROP TEXT SEARCH TEMPLATE', 'DROP FOREIGN DATA WRAPPER', 'DROP SERVER',
		'DROP FOREIGN TABLE', 'DROP VIEW', 'DROP MATERIALIZED VIEW', 'DROP SEQUENCE', 'DROP INDEX',
		'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER TYPE', 'ALTER EXTENSION')
	EXECUTE FUNCTION instance_env.watch_drop();
COMMENT ON EVENT TRIGGER instance_env_watch_dropped IS
'records that users of production were dropped because it was allowed';

-- A session that plays replication may drop no more than another.
ALTER EVENT TRIGGER instance_env_watch_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER instance_env_watch_dropped ENABLE ALWAYS;
