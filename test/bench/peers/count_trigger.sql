-- A trigger counts the instance's users.  It does not see those that are being inserted by
-- others at the same time.

CREATE TABLE count_trigger.instance (id uuid PRIMARY KEY, type text NOT NULL, user_cap integer NOT NULL);
INSERT INTO count_trigger.instance SELECT id, type, 500 FROM instance_env.instance;

CREATE FUNCTION count_trigger.check_user_cap() RETURNS trigger LANGUAGE plpgsql AS
$$
DECLARE
	home count_trigger.instance;
BEGIN
	SELECT * INTO home FROM count_trigger.instance WHERE id = NEW.instance_id;
	IF NOT FOUND THEN
		RAISE foreign_key_violation USING MESSAGE = format('there is no instance %s', NEW.instance_id);
	END IF;
	IF home.type = 'development' THEN
		IF (SELECT count(*) FROM count_trigger.users WHERE instance_id = NEW.instance_id) >= home.user_cap THEN
			RAISE check_violation USING MESSAGE = format('instance %s is full', NEW.instance_id);
		END IF;
	END IF;
	RETURN NEW;
END
$$;

CREATE TRIGGER check_user_cap BEFORE INSERT OR UPDATE OF instance_id ON count_trigger.users
	FOR EACH ROW EXECUTE FUNCTION count_trigger.check_user_cap();
