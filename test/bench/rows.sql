-- Writes rows for COPY to load.
--
-- file: where to; rows: how many; instance: the first digit of the instances' ids, e for
-- production and d for development; instances: over how many of them the rows are spread

COPY
(
	SELECT gen_random_uuid(),
		:'instance' || '0000000-0000-4000-8000-' ||
			lpad(to_hex(1 + floor(random() * :instances)::integer), 12, '0'),
		'user' || n || '@example.com'
	FROM generate_series(1, :rows) n
)
TO :'file';
