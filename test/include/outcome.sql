-- What comes of a command as another role: 'ok', or the SQLSTATE, and then nothing is left of it.
CREATE FUNCTION pg_temp.outcome(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	outcome text := 'ok';
BEGIN
	BEGIN
		EXECUTE format('SET LOCAL ROLE %I', role);
		EXECUTE command;
	EXCEPTION WHEN OTHERS THEN
		outcome := SQLSTATE;
	END;
	RESET ROLE;
	RETURN outcome;
END $$;
