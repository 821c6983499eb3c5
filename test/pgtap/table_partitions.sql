-- Partitioned tables: the cap counts over all partitions, and partitions may be laid
-- out differently from their root.
SET client_min_messages = error;
SET quote_all_identifiers = off;	-- names are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(49);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 5) \gset

-- a list of regions, one of them divided again by hash, one with other attribute numbers

CREATE TABLE app.users
(
	gone integer,
	id text,
	gone_too integer,
	instance_id text,
	region text,
	n integer DEFAULT 0,
	PRIMARY KEY (id, region)
) PARTITION BY LIST (region);
ALTER TABLE app.users DROP gone, DROP gone_too;
CREATE TABLE app.users_eu PARTITION OF app.users FOR VALUES IN ('eu') PARTITION BY HASH (id);
CREATE TABLE app.users_eu0 PARTITION OF app.users_eu FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.users_eu1
(
	n integer DEFAULT 0,
	region text NOT NULL,
	gone text,
	id text NOT NULL,
	instance_id text
);
ALTER TABLE app.users_eu1 DROP gone;
ALTER TABLE app.users_eu ATTACH PARTITION app.users_eu1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.users_us (region text NOT NULL, instance_id text, n integer DEFAULT 0, id text NOT NULL);
ALTER TABLE app.users ATTACH PARTITION app.users_us FOR VALUES IN ('us');
CREATE TABLE app.users_other PARTITION OF app.users DEFAULT;

SELECT lives_ok($$SELECT instance_env.guard('app.users', user_key => 'id')$$, 'a partitioned table can be guarded');
SELECT is((SELECT count(*) FROM instance_env.guards WHERE relation::text LIKE 'app.%'), 1::bigint,
	'its guard is listed once');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass), true, 'and whole');

SELECT lives_ok(
	$$INSERT INTO app.users (id, instance_id, region)
	  VALUES ('e1', 'dev', 'eu'), ('e2', 'dev', 'eu'), ('e3', 'dev', 'eu'), ('u1', 'dev', 'us')$$,
	'users in three partitions');
SELECT is((SELECT count(DISTINCT tableoid) FROM app.users), 3::bigint, 'really three');
SELECT throws_ok(
	$$INSERT INTO app.users (id, instance_id, region) VALUES ('u2', 'dev', 'us'), ('o1', 'dev', 'africa')$$,
	'23I01', NULL, 'one statement, two partitions, a user too many');
SELECT lives_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('o1', 'dev', 'africa')$$,
	'the last seat, in the default partition');
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('o2', 'dev', 'africa')$$,
	'23I01', NULL, 'full: the default partition');
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('u2', 'dev', 'us')$$,
	'23I01', NULL, 'full: a partition');
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('e4', 'dev', 'eu')$$,
	'23I01', NULL, 'full: a partition of a partition');
SELECT throws_ok($$INSERT INTO app.users_us (id, instance_id, region) VALUES ('u2', 'dev', 'us')$$,
	'23I01', NULL, 'full: a partition, named');
SELECT throws_ok($$INSERT INTO app.users_eu (id, instance_id, region) VALUES ('e4', 'dev', 'eu')$$,
	'23I01', NULL, 'full: a partitioned partition, named');
SELECT throws_ok($$COPY app.users_us (id, instance_id, region) FROM PROGRAM 'printf "u2\tdev\tus\n"'$$,
	'23I01', NULL, 'full: COPY into a partition');
SELECT throws_ok($$COPY app.users (id, instance_id, region) FROM PROGRAM 'printf "u2\tdev\tus\n"'$$,
	'23I01', NULL, 'full: COPY into the root');
SELECT lives_ok(
	$$INSERT INTO app.users (id, instance_id, region) VALUES ('u1', 'dev', 'us')
	  ON CONFLICT (id, region) DO UPDATE SET n = 7$$, 'full: an upsert of an existing user passes');

-- moves between partitions

SELECT lives_ok($$UPDATE app.users SET region = 'us' WHERE id = 'o1'$$, 'full: a partition move passes');
SELECT lives_ok($$UPDATE app.users SET region = 'eu' WHERE region = 'us'$$, 'full: a move of two rows passes');
SELECT lives_ok($$UPDATE app.users SET region = 'asia'$$, 'full: a move of all rows passes');
SELECT is((SELECT count(*) FROM app.users), 5::bigint, 'all five are there');
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('e4', 'dev', 'eu')$$,
	'23I01', NULL, 'the partitions that they left are no seats');
SELECT throws_ok($$UPDATE app.users SET region = 'eu', instance_id = 'dev2' WHERE id = 'o1'$$,
	'23I02', NULL, 'a move that takes another instance along is refused');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'dev2' WHERE id = 'o1'$$, '23I02', NULL,
	'so is a change of instance without a move');
SELECT throws_ok($$UPDATE app.users_other SET instance_id = 'dev2' WHERE id = 'o1'$$, '23I02', NULL,
	'also when the partition is named');
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('o1', 'dev2', 'eu')$$, '23I02', NULL,
	'a user of one partition cannot appear in another partition under another instance');
SELECT lives_ok($$DELETE FROM app.users_other WHERE id = 'o1'$$, 'a user is deleted from a partition, named');
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('o1', 'dev2', 'eu')$$, '23I02', NULL,
	'and cannot return under another instance in another partition');
SELECT lives_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('o1', 'dev', 'eu')$$,
	'but can under its own');
SELECT throws_ok(
	$$WITH d AS (DELETE FROM app.users WHERE id = 'e1' RETURNING *)
	  INSERT INTO app.users (id, instance_id, region) SELECT id, 'dev2', 'us' FROM d$$, '23I02', NULL,
	'nor does delete-and-insert in one statement move a user');

-- a cap lowered, and moves beyond it

SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset
SELECT lives_ok($$UPDATE app.users SET n = n + 1$$, 'beyond the cap: updates pass');
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 5) \gset

-- ATTACH: a new partition is guarded, its rows count; DETACH: they no longer do

DELETE FROM app.users WHERE id IN ('e1', 'e2');
CREATE TABLE app.users_mars (region text NOT NULL, n integer, instance_id text, id text NOT NULL);
INSERT INTO app.users_mars VALUES ('mars', 0, 'dev', 'm1');
ALTER TABLE app.users ATTACH PARTITION app.users_mars FOR VALUES IN ('mars');
SELECT lives_ok($$INSERT INTO app.users_mars VALUES ('mars', 0, 'dev', 'm2')$$, 'attached: its rows count');
SELECT throws_ok($$INSERT INTO app.users_mars VALUES ('mars', 0, 'dev', 'm3')$$, '23I01', NULL,
	'attached: beyond the cap');
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('e9', 'dev', 'eu')$$, '23I01', NULL,
	'attached: beyond the cap in another partition');
SELECT throws_ok($$UPDATE app.users_mars SET instance_id = 'dev2'$$, '23I02', NULL, 'attached: no transfer');
SELECT throws_ok($$INSERT INTO app.users_mars VALUES ('mars', 0, 'dev2', 'e3')$$, '23I02', NULL,
	'attached: no user of another instance');
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('m1', 'dev2', 'us')$$, '23I02', NULL,
	'attached: its users are known');
SELECT lives_ok($$SELECT instance_env.guard('app.users', user_key => 'id')$$, 'guard() again after ATTACH');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.users'::regclass), true,
	'leaves the guard whole');
ALTER TABLE app.users DETACH PARTITION app.users_mars;
SELECT lives_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('e9', 'dev', 'eu')$$,
	'detached: its rows do not count');
SELECT lives_ok($$INSERT INTO app.users_mars SELECT 'mars', 0, 'dev', 'x' || i FROM generate_series(1, 9) i$$,
	'detached: it is a table of its own, not guarded');
SELECT is((SELECT count(*) FROM instance_env.guards WHERE relation = 'app.users_mars'::regclass), 0::bigint,
	'detached: not listed as guarded');
SELECT lives_ok($$UPDATE app.users_mars SET instance_id = 'dev2'; DELETE FROM app.users_mars WHERE id = 'x1'$$,
	'detached: nothing is refused');
SELECT lives_ok($$TRUNCATE app.users_mars$$, 'detached: TRUNCATE passes');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.users_mars'::regclass AND NOT tgisinternal
		   AND tgname <> 'instance_env_truncate'), 0::bigint, 'detached: no trigger fires for its rows');

-- attached again with more than fit: refused; over a cap that is lowered it only shrinks
INSERT INTO app.users_mars SELECT 'mars', 0, 'dev', 'm' || i FROM generate_series(1, 9) i;
SELECT throws_ok($$ALTER TABLE app.users ATTACH PARTITION app.users_mars FOR VALUES IN ('mars')$$, '23I01', NULL,
	'attached with more than fit: refused');
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), NULL) \gset
ALTER TABLE app.users ATTACH PARTITION app.users_mars FOR VALUES IN ('mars');
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 5) \gset
SELECT throws_ok($$INSERT INTO app.users (id, instance_id, region) VALUES ('e8', 'dev', 'eu')$$, '23I01', NULL,
	'attached with more than fit: nobody is admitted');
SELECT lives_ok($$UPDATE app.users SET n = 1$$, 'attached with more than fit: updates pass');

-- a partition made later
CREATE TABLE app.users_moon PARTITION OF app.users FOR VALUES IN ('moon');
SELECT throws_ok($$INSERT INTO app.users_moon (id, instance_id, region) VALUES ('l1', 'dev', 'moon')$$,
	'23I01', NULL, 'a new partition is guarded');
DROP TABLE app.users_mars;
SELECT lives_ok($$INSERT INTO app.users_moon (id, instance_id, region) VALUES ('l1', 'dev', 'moon')$$,
	'a partition dropped frees its seats');
SELECT throws_ok($$INSERT INTO app.users_moon (id, instance_id, region) VALUES ('l2', 'dev', 'moon')$$,
	'23I01', NULL, 'and no others');

SELECT * FROM finish();
ROLLBACK;
