-- Writes rows for COPY to load.
--
-- file: where to; rows: how many; instance: the first digit of the instances' ids, e for
-- production and d for development; instances: over how many of them the rows are spread

COPY
(
	SELECT public.coded_id(encode(substr(sha256(uuid_send(instance::uuid)), 1, 5), 'hex')), instance,
		'user' || n || '@example.com'
	FROM
	(
		SELECT n, :'instance' || '0000000-0000-4000-8000-' ||
			lpad(to_hex(1 + floor(random() * :instances)::integer), 12, '0') AS instance
		FROM generate_series(1, :rows) n
		OFFSET 0
	) i
)
TO :'file';
