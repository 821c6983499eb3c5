-- session: sessions bound to an instance, and which roles may be in which.

CREATE TABLE instance_env.instance_allowance
(
	role regrole NOT NULL,
	application uuid,
	type instance_env.instance_type,
	id uuid PRIMARY KEY DEFAULT gen_random_uuid()
);
-- Each of them once; also what is searched when a role enters an instance.
CREATE UNIQUE INDEX instance_allowance_application
	ON instance_env.instance_allowance (application, role, type) NULLS NOT DISTINCT;
-- an apply worker finds a row that is deleted by all its columns
ALTER TABLE instance_env.instance_allowance REPLICA IDENTITY FULL;
COMMENT ON TABLE instance_env.instance_allowance IS
'which roles may be in which instances';
COMMENT ON COLUMN instance_env.instance_allowance.role IS
'the role, and with it all that have its privileges';
COMMENT ON COLUMN instance_env.instance_allowance.application IS
'the application whose instances it may be in; null means all';
COMMENT ON COLUMN instance_env.instance_allowance.type IS
'the type of the instances; null means both';
COMMENT ON COLUMN instance_env.instance_allowance.id IS
'what the row is named by on all nodes of a cluster, where the role has different numbers';
-- A role that has been dropped has no name but its number, which may be another role's elsewhere.
SELECT pg_catalog.pg_extension_config_dump('instance_env.instance_allowance',
	'WHERE role::pg_catalog.oid IN (SELECT oid FROM pg_catalog.pg_roles)');

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.instance_allowance
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.instance_allowance
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.instance_allowance
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

-- These two are SECURITY INVOKER: the role that calls them must be allowed in the instance.
CREATE FUNCTION instance_env.enter(instance uuid, local boolean DEFAULT false)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_enter';
COMMENT ON FUNCTION instance_env.enter(uuid, boolean) IS
'binds the session to an instance or, if local, the transaction';

CREATE FUNCTION instance_env.leave()
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_leave';
COMMENT ON FUNCTION instance_env.leave() IS
'leaves the instance that the session or transaction has entered, if any';

CREATE FUNCTION instance_env.current_instance()
RETURNS uuid
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'instance_env_current_instance';
COMMENT ON FUNCTION instance_env.current_instance() IS
'the instance that the session has entered; null if it is in none, or in one that the current role may not be in';

CREATE FUNCTION instance_env.current_instance_key()
RETURNS text
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'instance_env_current_instance_key';
COMMENT ON FUNCTION instance_env.current_instance_key() IS
'the same by its external key';

CREATE FUNCTION instance_env.new_user_id()
RETURNS uuid
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_new_user_id_here';
COMMENT ON FUNCTION instance_env.new_user_id() IS
'a new id for a user of the instance that the session has entered';

-- Without an application, the second is the one that is called.
CREATE FUNCTION instance_env.allow_instance(
	role regrole,
	application uuid,
	type instance_env.instance_type DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_allow_instance';
COMMENT ON FUNCTION instance_env.allow_instance(regrole, uuid, instance_env.instance_type) IS
'lets a role enter the instances of an application, or the one of a type';

CREATE FUNCTION instance_env.allow_instance(
	role regrole,
	application text DEFAULT NULL,
	type instance_env.instance_type DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_allow_instance_by_name';
COMMENT ON FUNCTION instance_env.allow_instance(regrole, text, instance_env.instance_type) IS
'the same by the application''s name; without one, for all applications';

CREATE FUNCTION instance_env.forbid_instance(
	role regrole,
	application uuid,
	type instance_env.instance_type DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_forbid_instance';
COMMENT ON FUNCTION instance_env.forbid_instance(regrole, uuid, instance_env.instance_type) IS
'takes back what allow_instance() has allowed a role in an application, or in its instance of a type';

CREATE FUNCTION instance_env.forbid_instance(
	role regrole,
	application text DEFAULT NULL,
	type instance_env.instance_type DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_forbid_instance_by_name';
COMMENT ON FUNCTION instance_env.forbid_instance(regrole, text, instance_env.instance_type) IS
'the same by the application''s name; without one, in all applications';

CREATE VIEW instance_env.instance_access AS
SELECT r.rolname AS role, p.name AS application, a.type, a.application AS application_id
FROM instance_env.instance_allowance a
	JOIN pg_catalog.pg_roles r ON r.oid = a.role
	LEFT JOIN instance_env.application p ON p.id = a.application;
COMMENT ON VIEW instance_env.instance_access IS
'which roles may enter which instances';
COMMENT ON COLUMN instance_env.instance_access.role IS
'the role, and with it all that have its privileges';
COMMENT ON COLUMN instance_env.instance_access.application IS
'the name of the application whose instances it may enter; null means all';
COMMENT ON COLUMN instance_env.instance_access.type IS
'the type of the instances; null means both';
COMMENT ON COLUMN instance_env.instance_access.application_id IS
'the id of the application; null means all';
