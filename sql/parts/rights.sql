-- rights: what PUBLIC has, in one list for all rooms.  What other roles have, they get from
-- grant_backend() and its like, by the list in grant.c.  This part is the last.
--
-- All of it is said, and nothing left to how PostgreSQL would have it: default privileges
-- may have taken from PUBLIC, or from the owner, what follows, and given to anybody else
-- what does not.

GRANT ALL ON SCHEMA instance_env TO CURRENT_USER;
GRANT ALL ON ALL TABLES IN SCHEMA instance_env TO CURRENT_USER;
GRANT ALL ON ALL SEQUENCES IN SCHEMA instance_env TO CURRENT_USER;
GRANT ALL ON ALL ROUTINES IN SCHEMA instance_env TO CURRENT_USER;

REVOKE ALL ON SCHEMA instance_env FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA instance_env FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA instance_env FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA instance_env FROM PUBLIC;

-- PUBLIC may not use the schema: CREATE TRIGGER and CREATE RULE wait for a table's lock, and
-- make others wait behind them, before PostgreSQL asks whose the table is; a role that
-- cannot name the table cannot do so.  What is stored, a trigger's condition or a column's
-- type, is found without that right.
GRANT USAGE ON TYPE instance_env.instance_type, instance_env.instance_status, instance_env.plan,
	instance_env.credential_source, instance_env.severity
	TO CURRENT_USER, PUBLIC;
GRANT EXECUTE ON FUNCTION
	-- trigger conditions
	instance_env.admission_required("any", oid),
	instance_env.admission_required("any", oid, VARIADIC "any"),
	instance_env.instance_unavailable("any", oid),
	instance_env.instance_unavailable("any", oid, VARIADIC "any"),
	instance_env.departure_queued(),
	instance_env.identity_changes("any", "any"),
	instance_env.row_moves("any", oid, tid),
	instance_env.row_deleted("any", oid, tid),
	-- conditions of policies, and what a column is filled in with
	instance_env.current_instance(),
	instance_env.current_instance_key(),
	instance_env.external_key_bigint(text),
	instance_env.external_key_char(text),
	instance_env.id_belongs(uuid, uuid),
	instance_env.new_user_id(),
	instance_env.new_user_id(uuid),
	-- what tells nothing of any application, for those who may use the schema
	instance_env.domain_root(text),
	instance_env.id_time(uuid),
	instance_env.key_frontend_api(text),
	instance_env.key_instance_type(text),
	instance_env.setting_in_use(jsonb)
	TO PUBLIC;

CREATE FUNCTION instance_env.revoke_defaults()
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_revoke_defaults';
SELECT instance_env.revoke_defaults();
DROP FUNCTION instance_env.revoke_defaults();
