-- Each kind of statement that can add a user, at a development instance that is
-- full: refused beyond the cap, and nothing but additions is refused.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(43);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop',
	development_id => 'd0000000-0000-4000-8000-000000000001',
	production_id => 'a0000000-0000-4000-8000-000000000001') \gset
SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 5) \gset

CREATE TABLE app.users
(
	id text PRIMARY KEY,
	instance_id uuid NOT NULL DEFAULT 'd0000000-0000-4000-8000-000000000001',
	visits integer NOT NULL DEFAULT 0
);
SELECT count(*) FROM instance_env.guard('app.users') \gset

-- up to the cap

SELECT lives_ok($$INSERT INTO app.users VALUES ('u1')$$, 'a single row is admitted');
SELECT lives_ok($$INSERT INTO app.users VALUES ('u2'), ('u3')$$, 'several rows are admitted');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u4'), ('u5'), ('u6')$$, '23I01', NULL,
	'a multi-row INSERT that passes the cap with its last row is refused');
SELECT is((SELECT count(*) FROM app.users), 3::bigint, 'and as a whole');
SELECT throws_ok($$INSERT INTO app.users SELECT 'u' || i FROM generate_series(4, 6) i$$, '23I01', NULL,
	'so is an INSERT … SELECT');
SELECT throws_ok($$COPY app.users (id) FROM PROGRAM 'printf "u4\nu5\nu6\n"'$$, '23I01', NULL,
	'so is a COPY');
SELECT lives_ok($$COPY app.users (id) FROM PROGRAM 'printf "u4\n"'$$, 'a COPY within the cap is not');
SELECT results_eq($$INSERT INTO app.users VALUES ('u5') RETURNING id$$, ARRAY['u5'],
	'INSERT … RETURNING takes the last seat');

-- full

SELECT throws_ok($$INSERT INTO app.users VALUES ('u6')$$, '23I01', NULL, 'full: INSERT');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u6') RETURNING id$$, '23I01', NULL, 'full: INSERT … RETURNING');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u6'), ('u7')$$, '23I01', NULL, 'full: multi-row INSERT');
SELECT throws_ok($$INSERT INTO app.users SELECT 'new ' || id FROM app.users$$, '23I01', NULL,
	'full: INSERT … SELECT from the table itself');
SELECT throws_ok($$COPY app.users (id) FROM PROGRAM 'echo u6'$$, '23I01', NULL, 'full: COPY');
SELECT throws_ok($$WITH n AS (INSERT INTO app.users VALUES ('u6') RETURNING *) SELECT count(*) FROM n$$,
	'23I01', NULL, 'full: INSERT in a CTE');
SELECT lives_ok($$INSERT INTO app.users SELECT 'x' WHERE false$$, 'full: an INSERT of no rows passes');
SELECT lives_ok($$COPY app.users (id) FROM PROGRAM 'true'$$, 'full: a COPY of no rows passes');
SELECT lives_ok($$UPDATE app.users SET visits = visits + 1$$, 'full: UPDATE passes');
SELECT lives_ok($$UPDATE app.users SET instance_id = instance_id$$,
	'full: UPDATE of the instance column to what it was passes');

-- upserts

SELECT lives_ok($$INSERT INTO app.users VALUES ('u1') ON CONFLICT DO NOTHING$$,
	'full: DO NOTHING for an existing user passes');
SELECT throws_ok($$INSERT INTO app.users VALUES ('u6') ON CONFLICT DO NOTHING$$, '23I01', NULL,
	'full: DO NOTHING for a new user is refused');
SELECT lives_ok(
	$$INSERT INTO app.users VALUES ('u1'), ('u2') ON CONFLICT (id) DO UPDATE SET visits = 100$$,
	'full: DO UPDATE of existing users passes');
SELECT is((SELECT count(*) FROM app.users WHERE visits = 100), 2::bigint, 'and updates them');
SELECT throws_ok(
	$$INSERT INTO app.users VALUES ('u6') ON CONFLICT (id) DO UPDATE SET visits = 100$$, '23I01', NULL,
	'full: DO UPDATE for a new user is refused');
SELECT throws_ok(
	$$INSERT INTO app.users VALUES ('u1'), ('u6') ON CONFLICT (id) DO UPDATE SET visits = 200$$, '23I01', NULL,
	'full: an upsert of an existing and a new user is refused');
SELECT is((SELECT count(*) FROM app.users WHERE visits = 200), 0::bigint, 'as a whole');

-- swaps: a seat that the transaction itself frees is free for it

SELECT lives_ok(
	$$WITH d AS (DELETE FROM app.users WHERE id = 'u5' RETURNING *)
	  INSERT INTO app.users SELECT 'v5', instance_id FROM d$$,
	'full: DELETE and INSERT of one user each in one statement pass');
SELECT throws_ok(
	$$WITH d AS (DELETE FROM app.users WHERE id = 'u4' RETURNING *)
	  INSERT INTO app.users SELECT 'v4' || i, instance_id FROM d, generate_series(1, 2) i$$, '23I01', NULL,
	'full: DELETE of one and INSERT of two users in one statement are refused');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'u4'; INSERT INTO app.users VALUES ('v4')$$,
	'full: DELETE, then INSERT pass');
SELECT lives_ok($$UPDATE app.users SET id = 'v3' WHERE id = 'u3'$$, 'full: UPDATE of the key passes');

-- seats freed by DELETE

SELECT lives_ok($$DELETE FROM app.users WHERE id IN ('u1', 'u2')$$, 'DELETE frees seats');
SELECT throws_ok($$INSERT INTO app.users VALUES ('w1'), ('w2'), ('w3')$$, '23I01', NULL,
	'not more than it deleted');
SELECT lives_ok($$INSERT INTO app.users VALUES ('w1')$$, 'the first can be taken');
SELECT lives_ok($$INSERT INTO app.users VALUES ('w2') ON CONFLICT (id) DO UPDATE SET visits = 1$$,
	'the second too, by an upsert');
SELECT throws_ok($$INSERT INTO app.users VALUES ('w3')$$, '23I01', NULL, 'a third does not exist');
SELECT lives_ok(
	$$DELETE FROM app.users WHERE id = 'w2';
	  INSERT INTO app.users VALUES ('w3'), ('w3'), ('w1'), ('w3') ON CONFLICT DO NOTHING$$,
	'DO NOTHING for one new user, several times, takes one seat');
SELECT throws_ok($$INSERT INTO app.users VALUES ('w4'), ('w3'), ('w4') ON CONFLICT DO NOTHING$$, '23I01', NULL,
	'and there was but one');
SELECT lives_ok($$TRUNCATE app.users$$, 'TRUNCATE passes');
SELECT lives_ok($$INSERT INTO app.users SELECT 'x' || i FROM generate_series(1, 5) i$$,
	'and frees all seats');
SELECT throws_ok($$INSERT INTO app.users VALUES ('x6')$$, '23I01', NULL, 'and no more than all');
SELECT is((SELECT count(*) FROM app.users), 5::bigint, 'the instance holds exactly its cap');

-- COPY FREEZE stores rows as if they had always been there.
SELECT throws_ok($$TRUNCATE app.users; COPY app.users (id) FROM PROGRAM 'seq 1 6' (FREEZE)$$, '23I01', NULL,
	'COPY FREEZE beyond the cap is refused');
SELECT lives_ok($$TRUNCATE app.users; COPY app.users (id) FROM PROGRAM 'seq 1 5' (FREEZE)$$,
	'COPY FREEZE up to the cap is admitted');
SELECT throws_ok($$INSERT INTO app.users VALUES ('6')$$, '23I01', NULL, 'and its rows count');

SELECT * FROM finish();
ROLLBACK;
