-- table: what a guarded table and its rows are.  In SQL there is only the secret of the hash
-- that stands for a user once the row is gone.

CREATE TABLE instance_env.identity_key
(
	singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
	secret uuid NOT NULL
);
COMMENT ON TABLE instance_env.identity_key IS
'the key of the hash in departed_user; made with the first application, then never changed';
COMMENT ON COLUMN instance_env.identity_key.singleton IS
'always true, so that there is one row at most';
COMMENT ON COLUMN instance_env.identity_key.secret IS
'128 random bits, the key of the hash';
SELECT pg_catalog.pg_extension_config_dump('instance_env.identity_key', '');

CREATE TRIGGER registry_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.identity_key
	FOR EACH ROW EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON instance_env.identity_key
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.registry_changed();
ALTER TABLE instance_env.identity_key
	ENABLE ALWAYS TRIGGER registry_changed, ENABLE ALWAYS TRIGGER registry_truncated;
