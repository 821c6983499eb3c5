-- An id as new_user_id() makes one for an instance, the same each time for the same n.
CREATE FUNCTION pg_temp.coded(instance uuid, n integer) RETURNS uuid LANGUAGE sql AS $$
	SELECT encode(set_byte(set_byte(decode('0199aabbccdd', 'hex') || substr(decode(md5(n::text), 'hex'), 1, 5),
				6, 128 + get_byte(decode(md5(n::text), 'hex'), 5) % 16), 8, 128 + get_byte(decode(md5(n::text), 'hex'), 6) % 64)
			|| substr(sha256(uuid_send(instance)), 1, 5), 'hex')::uuid
$$;
