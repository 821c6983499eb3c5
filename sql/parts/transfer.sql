-- transfer: the departures of users, which keep them from arriving in another instance.
-- What records a departure is a trigger of guard.

-- A log: who returns and departs again has several rows.  A unique key would make
-- those wait for each other who delete rows of the same user.
CREATE TABLE instance_env.departed_user
(
	identity uuid NOT NULL,
	instance uuid NOT NULL,
	departed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX departed_user_identity ON instance_env.departed_user (identity);
-- Where the table is published, rows can be deleted all the same.  It costs nothing before.
ALTER TABLE instance_env.departed_user REPLICA IDENTITY FULL;
COMMENT ON TABLE instance_env.departed_user IS
'departures of users, so that none of them returns under another instance';
COMMENT ON COLUMN instance_env.departed_user.identity IS
'keyed 128-bit hash (SipHash) of the guarded table''s label and the user''s key';
COMMENT ON COLUMN instance_env.departed_user.instance IS
'the instance that the user belonged to';
COMMENT ON COLUMN instance_env.departed_user.departed_at IS
'when the transaction began that deleted the user';
SELECT pg_catalog.pg_extension_config_dump('instance_env.departed_user', '');

CREATE FUNCTION instance_env.departure_recorded() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_departure_recorded';
COMMENT ON FUNCTION instance_env.departure_recorded() IS
'trigger: tells every backend that what it knows of departed users is out of date';

CREATE FUNCTION instance_env.forget_departed(before timestamptz)
RETURNS bigint
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_forget_departed';
COMMENT ON FUNCTION instance_env.forget_departed(timestamptz) IS
'forgets the users who departed before a time, and says how many; they may return under any instance';

CREATE TRIGGER departure_recorded AFTER INSERT ON instance_env.departed_user
	FOR EACH ROW EXECUTE FUNCTION instance_env.departure_recorded();
ALTER TABLE instance_env.departed_user ENABLE ALWAYS TRIGGER departure_recorded;
