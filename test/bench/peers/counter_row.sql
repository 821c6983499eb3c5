-- Each development instance has a row that says how many users it has; triggers keep it
-- right, one transaction at a time.

CREATE TABLE counter_row.instance
(
	id uuid PRIMARY KEY,
	type text NOT NULL,
	user_cap integer NOT NULL,
	users integer NOT NULL DEFAULT 0
);
INSERT INTO counter_row.instance SELECT id, type, 500 FROM instance_env.instance;
UPDATE counter_row.instance SET users = n
	FROM (SELECT instance_id, count(*) AS n FROM counter_row.users GROUP BY instance_id) u
	WHERE id = instance_id AND type = 'development';

CREATE FUNCTION counter_row.user_comes() RETURNS trigger LANGUAGE plpgsql AS
$$
DECLARE
	home_type text;
BEGIN
	SELECT type INTO home_type FROM counter_row.instance WHERE id = NEW.instance_id;
	IF NOT FOUND THEN
		RAISE foreign_key_violation USING MESSAGE = format('there is no instance %s', NEW.instance_id);
	END IF;
	IF home_type = 'development' THEN
		UPDATE counter_row.instance SET users = users + 1 WHERE id = NEW.instance_id AND users < user_cap;
		IF NOT FOUND THEN
			RAISE check_violation USING MESSAGE = format('instance %s is full', NEW.instance_id);
		END IF;
	END IF;
	RETURN NEW;
END
$$;

CREATE FUNCTION counter_row.user_goes() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
	UPDATE counter_row.instance SET users = users - 1 WHERE id = OLD.instance_id AND type = 'development';
	RETURN OLD;
END
$$;

CREATE TRIGGER user_comes BEFORE INSERT ON counter_row.users
	FOR EACH ROW EXECUTE FUNCTION counter_row.user_comes();
CREATE TRIGGER user_goes BEFORE DELETE ON counter_row.users
	FOR EACH ROW EXECUTE FUNCTION counter_row.user_goes();
