-- A trigger counts the instance's users, one inserter at a time: an advisory lock keeps the
-- others of this instance waiting until the transaction ends.

CREATE TABLE lock_count.instance (id uuid PRIMARY KEY, type text NOT NULL, user_cap integer NOT NULL);
INSERT INTO lock_count.instance SELECT id, type, 500 FROM instance_env.instance;

CREATE FUNCTION lock_count.check_user_cap() RETURNS trigger LANGUAGE plpgsql AS
$$
DECLARE
	home lock_count.instance;
BEGIN
	SELECT * INTO home FROM lock_count.instance WHERE id = NEW.instance_id;
	IF NOT FOUND THEN
		RAISE foreign_key_violation USING MESSAGE = format('there is no instance %s', NEW.instance_id);
	END IF;
	IF home.type = 'development' THEN
		PERFORM pg_advisory_xact_lock(uuid_hash_extended(NEW.instance_id, 0));
		IF (SELECT count(*) FROM lock_count.users WHERE instance_id = NEW.instance_id) >= home.user_cap THEN
			RAISE check_violation USING MESSAGE = format('instance %s is full', NEW.instance_id);
		END IF;
	END IF;
	RETURN NEW;
END
$$;

CREATE TRIGGER check_user_cap BEFORE INSERT OR UPDATE OF instance_id ON lock_count.users
	FOR EACH ROW EXECUTE FUNCTION lock_count.check_user_cap();
