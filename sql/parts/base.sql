-- base: the schema, the trigger by which backends forget what they know from a table, and the
-- audit log.
--
-- For all parts: no table can be read or written by anybody but the owner; the functions and
-- views are the interface.  There are no foreign keys between the tables: they would exist
-- while a dump is restored, and pg_restore --jobs loads tables in any order.  The functions
-- lock the row that they refer to.

-- The control file names pg_catalog as the extension's schema, so that this one
-- is a member of the extension and DROP EXTENSION takes it along.
CREATE SCHEMA instance_env;
COMMENT ON SCHEMA instance_env IS
'development and production instances: registry, guards, promotion';

--
-- Caches
--

-- What cache.c keeps hangs on each table by itself.
CREATE FUNCTION instance_env.table_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_table_changed';
COMMENT ON FUNCTION instance_env.table_changed() IS
'trigger: makes every backend forget what it knows from this table';

--
-- The audit log
--

-- On a cluster of Citus, each node has sequences of its own.
CREATE FUNCTION instance_env.node_offset() RETURNS bigint
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_node_offset';
COMMENT ON FUNCTION instance_env.node_offset() IS
'what this node of a cluster adds to the numbers of its sequences; 0 where there is no cluster';

CREATE SEQUENCE instance_env.event_id_seq;
CREATE TABLE instance_env.event
(
	id bigint PRIMARY KEY DEFAULT nextval('instance_env.event_id_seq') + instance_env.node_offset(),
	happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	session_user_name name NOT NULL,
	current_user_name name NOT NULL,
	client_address inet,
	action text NOT NULL,
	application uuid,
	instance uuid,
	item text,
	before jsonb,
	after jsonb,
	application_name text
);
CREATE INDEX event_application ON instance_env.event (application);
CREATE INDEX event_happened_at ON instance_env.event (happened_at);
COMMENT ON TABLE instance_env.event IS
'audit log: every change of applications, instances, domains, connections, features, settings, keys, guards, promotions and rights';
COMMENT ON COLUMN instance_env.event.id IS
'the number of the event';
COMMENT ON COLUMN instance_env.event.happened_at IS
'when the function recorded it, by the clock';
COMMENT ON COLUMN instance_env.event.session_user_name IS
'who the session had logged in as, or SET SESSION AUTHORIZATION had made it';
COMMENT ON COLUMN instance_env.event.current_user_name IS
'the role that SET ROLE had set, or session_user_name: within a SECURITY DEFINER function not that function''s owner';
COMMENT ON COLUMN instance_env.event.client_address IS
'the address of the client; null if it came through a Unix socket';
COMMENT ON COLUMN instance_env.event.action IS
'the function that was called';
COMMENT ON COLUMN instance_env.event.application IS
'the application concerned; null if there is none, as for a guard or a role';
COMMENT ON COLUMN instance_env.event.instance IS
'the instance concerned; null if the event concerns a whole application, or none';
COMMENT ON COLUMN instance_env.event.item IS
'what it was called for: a domain, a provider, a feature, a setting, a table, a role; null if nothing but the application or instance';
COMMENT ON COLUMN instance_env.event.before IS
'what the item was before; null if there was none';
COMMENT ON COLUMN instance_env.event.after IS
'what the item is since; null if there is none any more';
COMMENT ON COLUMN instance_env.event.application_name IS
'what the session called itself, which nobody has verified; null if it did not say';
ALTER SEQUENCE instance_env.event_id_seq OWNED BY instance_env.event.id;
COMMENT ON SEQUENCE instance_env.event_id_seq IS
'numbers events';
SELECT pg_catalog.pg_extension_config_dump('instance_env.event', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.event_id_seq', '');

CREATE FUNCTION instance_env.refuse_change() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_refuse_change';
COMMENT ON FUNCTION instance_env.refuse_change() IS
'trigger: only the extension records, and only a superuser may alter or delete what is recorded';

-- A statement trigger, so that it refuses also what finds no row.  An apply worker, in which
-- it does not fire, brings what another server's functions have recorded.
CREATE TRIGGER refuse_change BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON instance_env.event
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.refuse_change();
ALTER TABLE instance_env.event ENABLE ALWAYS TRIGGER refuse_change;

-- With the caller's rights, who must be a superuser.
CREATE FUNCTION instance_env.forget_events(before timestamptz)
RETURNS bigint
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_forget_events';
COMMENT ON FUNCTION instance_env.forget_events(timestamptz) IS
'removes the events before a time from the audit log, and says how many; that is an event itself';

-- After all parts: it reads tables of the registry.

-- Where a client secret is, is for those who may ask social_credentials().
CREATE VIEW instance_env.events AS
SELECT e.id, e.happened_at, e.session_user_name, e.current_user_name, e.client_address, e.application_name, e.action,
	a.name AS application, i.type, e.item,
	CASE jsonb_typeof(e.before) WHEN 'object' THEN e.before - 'secret_reference' ELSE e.before END AS before,
	CASE jsonb_typeof(e.after) WHEN 'object' THEN e.after - 'secret_reference' ELSE e.after END AS after,
	e.application AS application_id, e.instance AS instance_id
FROM instance_env.event e
	LEFT JOIN instance_env.application a ON a.id = e.application
	LEFT JOIN instance_env.instance i ON i.id = e.instance;
COMMENT ON VIEW instance_env.events IS
'the audit log, with the names that applications have now';
COMMENT ON COLUMN instance_env.events.id IS
'the number of the event';
COMMENT ON COLUMN instance_env.events.happened_at IS
'when the function recorded it, by the clock';
COMMENT ON COLUMN instance_env.events.session_user_name IS
'who the session had logged in as, or SET SESSION AUTHORIZATION had made it';
COMMENT ON COLUMN instance_env.events.current_user_name IS
'the role that SET ROLE had set, or session_user_name: within a SECURITY DEFINER function not that function''s owner';
COMMENT ON COLUMN instance_env.events.client_address IS
'the address of the client; null if it came through a Unix socket';
COMMENT ON COLUMN instance_env.events.application_name IS
'what the session called itself, which nobody has verified; null if it did not say';
COMMENT ON COLUMN instance_env.events.action IS
'the function that was called';
COMMENT ON COLUMN instance_env.events.application IS
'the name that the application has now; null if it has been dropped, or none is concerned';
COMMENT ON COLUMN instance_env.events.type IS
'the type of the instance; null if it has been dropped, or none is concerned';
COMMENT ON COLUMN instance_env.events.item IS
'what it was called for: a domain, a provider, a feature, a setting, a table, a role; null if nothing but the application or instance';
COMMENT ON COLUMN instance_env.events.before IS
'what the item was before, without the reference to a client secret; null if there was none';
COMMENT ON COLUMN instance_env.events.after IS
'what the item is since, without the reference to a client secret; null if there is none any more';
COMMENT ON COLUMN instance_env.events.application_id IS
'the id of the application; null if none is concerned';
COMMENT ON COLUMN instance_env.events.instance_id IS
'the id of the instance; null if the event concerns a whole application, or none';
