-- Inserts 1,000 production rows into each of 500 partitions, a transaction and a partition at
-- a time.

DO $$
BEGIN
	FOR i IN 0 .. 499 LOOP
		INSERT INTO users SELECT i * 1000 + n, 'e0000000-0000-4000-8000-000000000001' FROM generate_series(0, 999) n;
		COMMIT;
	END LOOP;
END $$;
