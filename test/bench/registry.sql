-- The registry of a database of the benchmark: as many applications as asked for, each
-- with an active development and an active production instance, under ids that tell their
-- number.
--
-- applications: how many

CREATE EXTENSION instance_env;

-- the first one through the front door, which makes the key of the identities, too
SELECT instance_env.create_application('application 1',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'e0000000-0000-4000-8000-000000000001');

-- the others as a restored dump would bring them
WITH application AS
(
	INSERT INTO instance_env.application (name)
		SELECT 'application ' || n FROM generate_series(2, :applications) n
		RETURNING id, lpad(to_hex(split_part(name, ' ', 2)::integer), 12, '0') AS number
)
INSERT INTO instance_env.instance (id, application, type, status, external_key, slug)
	SELECT instance, id, type::instance_env.instance_type, 'active', instance,
		CASE type WHEN 'development' THEN 'bench-' || number END
	FROM application, LATERAL
		(VALUES ('development', ('d0000000-0000-4000-8000-' || number)::uuid),
				('production', ('e0000000-0000-4000-8000-' || number)::uuid)) AS i (type, instance);
UPDATE instance_env.instance SET status = 'active' WHERE status <> 'active';

-- An id that an instance with this code, in hexadecimal, could have made: a random one, so that
-- indexes are no faster for it.  All variants have such ids, for coded ids cannot do without.
CREATE FUNCTION public.coded_id(code text) RETURNS uuid LANGUAGE sql AS
	$$SELECT overlay(overlay(gen_random_uuid()::text PLACING '8' FROM 15) PLACING code FROM 27)::uuid$$;

VACUUM ANALYZE instance_env.application, instance_env.instance;
