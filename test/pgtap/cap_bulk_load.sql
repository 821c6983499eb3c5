-- A mistaken bulk load fails early: a sequence tells how many rows were read before
-- the statement failed, as a sequence does not roll back.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(21);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001', development_key => 'dev') \gset
CREATE SEQUENCE app.rows;
CREATE TABLE app.users
(
	id bigint PRIMARY KEY,
	instance_id uuid NOT NULL DEFAULT 'd0000000-0000-4000-8000-000000000001',
	read bigint DEFAULT nextval('app.rows')
);
SELECT count(*) FROM instance_env.guard('app.users') \gset

-- COPY inserts rows in batches of at most 1,000, and triggers see a batch at its end.
SELECT throws_ok($$COPY app.users (id) FROM PROGRAM 'seq 1 1000000'$$, '23I01', NULL,
	'COPY of 1,000,000 users into a development instance is refused');
SELECT cmp_ok((SELECT last_value FROM app.rows), '<=', 5000::bigint, 'within the first 5,000 rows');
SELECT is((SELECT count(*) FROM app.users), 0::bigint, 'and leaves none');

SELECT setval('app.rows', 1) \gset
SELECT throws_ok($$INSERT INTO app.users SELECT generate_series(1, 1000000)$$, '23I01', NULL,
	'so is INSERT … SELECT');
SELECT cmp_ok((SELECT last_value FROM app.rows), '<=', 5000::bigint, 'within the first 5,000 rows');

-- with seats taken, by the transaction itself and before
INSERT INTO app.users SELECT generate_series(1, 400);
SELECT setval('app.rows', 1) \gset
SELECT throws_ok($$COPY app.users (id) FROM PROGRAM 'seq 1001 1001000'$$, '23I01', NULL,
	'a COPY into an instance with 400 users is refused');
SELECT cmp_ok((SELECT last_value FROM app.rows), '<=', 5000::bigint, 'within the first 5,000 rows');
SELECT throws_ok($$COPY app.users (id) FROM PROGRAM 'seq 1001 1101'$$, '23I01', NULL,
	'501 users, of which 101 are in this COPY, are refused');
SELECT lives_ok($$COPY app.users (id) FROM PROGRAM 'seq 1001 1100'$$, '500 are admitted');

-- A statement may queue as many rows as the cap and yet be over it, and must not fail
-- where it deletes as many as it adds.
SELECT lives_ok(
	$$WITH d AS (DELETE FROM app.users) INSERT INTO app.users SELECT generate_series(2001, 2500)$$,
	'500 users replaced by 500 others in one statement are admitted');
SELECT throws_ok(
	$$WITH d AS (DELETE FROM app.users) INSERT INTO app.users SELECT generate_series(3001, 3501)$$,
	'23I01', NULL, '500 users replaced by 501 others are refused');

-- partitions share their root's cap
CREATE TABLE app.parted
(
	id bigint,
	instance_id uuid NOT NULL DEFAULT 'd0000000-0000-4000-8000-000000000001',
	read bigint DEFAULT nextval('app.rows'),
	PRIMARY KEY (id)
) PARTITION BY HASH (id);
DO $$
BEGIN
	FOR i IN 0 .. 7 LOOP
		EXECUTE format('CREATE TABLE app.parted_%s PARTITION OF app.parted
						FOR VALUES WITH (MODULUS 8, REMAINDER %1$s)', i);
	END LOOP;
END $$;
SELECT count(*) FROM instance_env.guard('app.parted') \gset
SELECT setval('app.rows', 1) \gset
SELECT throws_ok($$COPY app.parted (id) FROM PROGRAM 'seq 1 1000000'$$, '23I01', NULL,
	'COPY of 1,000,000 users into a partitioned table is refused');
SELECT cmp_ok((SELECT last_value FROM app.rows), '<=', 10000::bigint, 'within the first 10,000 rows');
SELECT lives_ok($$COPY app.parted (id) FROM PROGRAM 'seq 1 500'$$, '500 over all partitions are admitted');
SELECT throws_ok($$INSERT INTO app.parted VALUES (501)$$, '23I01', NULL, 'and not one more');

-- a text column
CREATE TABLE app.named
(
	id bigint PRIMARY KEY,
	instance_id text NOT NULL DEFAULT 'dev',
	read bigint DEFAULT nextval('app.rows')
);
SELECT count(*) FROM instance_env.guard('app.named') \gset
SELECT setval('app.rows', 1) \gset
SELECT throws_ok($$COPY app.named (id) FROM PROGRAM 'seq 1 1000000'$$, '23I01', NULL,
	'COPY of 1,000,000 users by external key is refused');
SELECT cmp_ok((SELECT last_value FROM app.rows), '<=', 5000::bigint, 'within the first 5,000 rows');

-- rows of two instances in turn, and of production among them
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
ALTER TABLE app.named ALTER instance_id DROP DEFAULT;
SELECT setval('app.rows', 1) \gset
SELECT throws_ok(
	$$INSERT INTO app.named (id, instance_id)
	  SELECT i, CASE i % 2 WHEN 0 THEN 'dev' ELSE 'dev2' END FROM generate_series(1, 1000000) i$$, '23I01', NULL,
	'1,000,000 users of two instances in turn are refused');
SELECT cmp_ok((SELECT last_value FROM app.rows), '<=', 5000::bigint, 'within the first 5,000 rows');

-- an instance with no seat at all
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 0) \gset
SELECT setval('app.rows', 1) \gset
SELECT throws_ok($$INSERT INTO app.named (id, instance_id) SELECT i, 'dev' FROM generate_series(1, 1000000) i$$, '23I01', NULL,
	'1,000,000 users of an instance with a cap of 0 are refused');
SELECT cmp_ok((SELECT last_value FROM app.rows), '<=', 5000::bigint, 'within the first 5,000 rows');

SELECT * FROM finish();
ROLLBACK;
