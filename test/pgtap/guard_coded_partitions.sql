-- Coded ids in partitioned tables: rows that an UPDATE moves, partitions that bring rows, and
-- partitions whose columns are numbered differently.
SET client_min_messages = error;
SELECT plan(33);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', 'pro', development_id => '00000000-0000-4000-8000-00000000000d', development_key => 'dev',
	production_id => '00000000-0000-4000-8000-00000000000e', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', 'pro', development_id => '00000000-0000-4000-8000-00000000001d', development_key => 'dev2',
	production_id => '00000000-0000-4000-8000-00000000001e', production_key => 'prod2') \gset
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
\ir ../include/coded_id.sql
\set dev '''00000000-0000-4000-8000-00000000000d'''
\set prod '''00000000-0000-4000-8000-00000000000e'''
\set prod2 '''00000000-0000-4000-8000-00000000001e'''

-- many partitions, by a column of neither
CREATE TABLE app.users (region integer, instance_id uuid, id uuid, target uuid) PARTITION BY LIST (region);
CREATE TABLE app.users_1 PARTITION OF app.users FOR VALUES IN (1);
CREATE TABLE app.users_2 (gone text, target uuid, id uuid, more text, region integer, instance_id uuid);
ALTER TABLE app.users_2 DROP gone, DROP more;
ALTER TABLE app.users ATTACH PARTITION app.users_2 FOR VALUES IN (2);
SELECT format('CREATE TABLE app.users_%s PARTITION OF app.users FOR VALUES IN (%1$s)', n) FROM generate_series(3, 40) n \gexec
INSERT INTO app.users VALUES (1, :prod, 'ffff0000-0000-4000-8000-000000000001'), (2, :prod, 'ffff0000-0000-4000-8000-000000000002');
SELECT lives_ok($$SELECT instance_env.guard('app.users', user_key => 'id', coded => true)$$, 'more partitions than could be searched');
SELECT is((SELECT whole FROM instance_env.guards), true, 'whole');
SELECT lives_ok(format('INSERT INTO app.users VALUES (1, %L, %L), (2, %1$L, %L)', :prod, pg_temp.coded(:prod, 1), pg_temp.coded(:prod, 2)), 'rows in each');
SELECT throws_ok(format('INSERT INTO app.users VALUES (2, %L, %L)', :prod, pg_temp.coded(:prod2, 3)), '23I02', NULL, 'columns that are numbered differently');
SELECT throws_ok(format('INSERT INTO app.users_2 (id, instance_id, region) VALUES (%L, %L, 2)', pg_temp.coded(:prod2, 3), :prod), '23I02', NULL, 'the partition named');
SELECT throws_ok(format('INSERT INTO app.users_1 VALUES (1, %L, %L)', :prod, pg_temp.coded(:prod2, 3)), '23I02', NULL, 'the other one');

-- moves
SELECT lives_ok($$UPDATE app.users SET region = 3 - region WHERE region < 3$$, 'rows move, also those with old ids');
SELECT throws_ok(format('UPDATE app.users SET region = 3 - region, id = %L WHERE id = %L', pg_temp.coded(:prod2, 4), pg_temp.coded(:prod, 1)), '23I02', NULL, 'a move with another''s id');
SELECT throws_ok($$UPDATE app.users SET region = 3 - region, id = gen_random_uuid() WHERE id = 'ffff0000-0000-4000-8000-000000000001'$$, '23I02', NULL, 'another old id');
SELECT throws_ok($$UPDATE app.users SET region = 3 - region, id = 'ffff0000-0000-4000-8000-000000000002' WHERE id = 'ffff0000-0000-4000-8000-000000000001'$$, '23I02', NULL,
	'even if it is there');
SELECT throws_ok($$UPDATE app.users SET region = 3 - region, instance_id = '00000000-0000-4000-8000-00000000001e' WHERE id::text LIKE 'ffff%'$$, '23I02', NULL, 'a move to another instance');
SELECT lives_ok(format('UPDATE app.users SET region = 3 - region, id = %L WHERE id = %L', pg_temp.coded(:prod, 5), 'ffff0000-0000-4000-8000-000000000001'), 'a move with a new id');
SELECT lives_ok(format('INSERT INTO app.users VALUES (1, %L, NULL)', :prod), 'no id');
SELECT throws_ok($$UPDATE app.users SET region = 2, id = gen_random_uuid() WHERE id IS NULL$$, '23I02', NULL, 'a move from null');
SELECT lives_ok($$UPDATE app.users SET region = 2 WHERE id IS NULL$$, 'a move of null');
SELECT lives_ok(format('UPDATE app.users SET region = 1, id = %L WHERE id IS NULL', pg_temp.coded(:prod, 6)), 'a move from null to an id of its own');

-- the row that moves is discarded, and another one comes in its place
CREATE FUNCTION app.discard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN NEW.target IS NULL THEN NEW END; END $$;
CREATE TRIGGER discard BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.discard();
SELECT throws_ok(format($$WITH u AS (UPDATE app.users SET region = 3 - region, target = instance_id WHERE id = 'ffff0000-0000-4000-8000-000000000002' RETURNING 1),
	i AS (INSERT INTO app.users VALUES (1, %L, 'ffff0000-0000-4000-8000-000000000007') RETURNING 1) SELECT FROM u, i$$, :prod), '23I02', NULL, 'not under another id');
SELECT throws_ok(format($$WITH u AS (UPDATE app.users SET region = 3 - region, target = instance_id WHERE id = 'ffff0000-0000-4000-8000-000000000002' RETURNING 1),
	i AS (INSERT INTO app.users VALUES (1, %L, 'ffff0000-0000-4000-8000-000000000002') RETURNING 1) SELECT FROM u, i$$, :prod2), '23I02', NULL, 'nor in another instance');
DROP TRIGGER discard ON app.users;

-- MERGE, and a BEFORE trigger that changes what moves
SELECT throws_ok(format($$MERGE INTO app.users u USING (VALUES (%L::uuid)) v (id) ON u.id = v.id WHEN MATCHED THEN UPDATE SET region = 3 - region, id = gen_random_uuid()$$,
	pg_temp.coded(:prod, 5)), '23I02', NULL, 'MERGE');
CREATE FUNCTION app.rename() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := coalesce(NEW.target, NEW.id); RETURN NEW; END $$;
CREATE TRIGGER rename BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.rename();
SELECT throws_ok(format('UPDATE app.users SET region = 3 - region, target = %L WHERE id = %L', pg_temp.coded(:prod2, 8), pg_temp.coded(:prod, 5)), '23I02', NULL, 'a trigger of the other partition');
SELECT lives_ok(format('UPDATE app.users SET region = 3 - region, target = %L WHERE id = %L', pg_temp.coded(:prod, 8), pg_temp.coded(:prod, 5)), 'one that gives an id of its own');
DROP TRIGGER rename ON app.users;

-- partitions that bring rows
CREATE FUNCTION pg_temp.attach(instance uuid, id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	outcome text := 'ok';
BEGIN
	CREATE TABLE app.users_50 (LIKE app.users);
	INSERT INTO app.users_50 VALUES (50, instance, id);
	BEGIN
		ALTER TABLE app.users ATTACH PARTITION app.users_50 FOR VALUES IN (50);
	EXCEPTION WHEN OTHERS THEN
		outcome := SQLSTATE;
	END;
	IF outcome = 'ok' THEN
		ALTER TABLE app.users DETACH PARTITION app.users_50;
	END IF;
	DROP TABLE app.users_50;
	RETURN outcome;
END $$;
SELECT is(pg_temp.attach(:prod, pg_temp.coded(:prod, 10)), 'ok', 'attached: of their instance');
SELECT is(pg_temp.attach(:prod, NULL), 'ok', 'attached: without id');
SELECT is(pg_temp.attach(:prod, pg_temp.coded(:prod2, 10)), '23I02', 'attached: another''s');
SELECT is(pg_temp.attach(:prod, pg_temp.coded('00000000-0000-4000-8000-0000000000ff', 10)), '23I02', 'attached: nobody''s');
SELECT is(pg_temp.attach(:prod, gen_random_uuid()), '23I02', 'attached: an old id');
SELECT lives_ok($$CREATE TABLE app.users_51 PARTITION OF app.users FOR VALUES IN (51)$$, 'a new partition');
SELECT throws_ok(format('INSERT INTO app.users VALUES (51, %L, %L)', :prod, pg_temp.coded(:prod2, 10)), '23I02', NULL, 'obeys');
SELECT throws_ok('TRUNCATE app.users_1', '55I05', NULL, 'and users of production cannot be truncated');
SELECT lives_ok(format('INSERT INTO app.users VALUES (51, %L, %L)', :prod, pg_temp.coded(:prod, 11)), 'a row of its own');
SELECT throws_ok('TRUNCATE app.users_51', '55I05', NULL, 'nor in the new one');
SELECT is((SELECT whole FROM instance_env.guards), true, 'whole');
SELECT is((SELECT count(*)::integer FROM instance_env.departed_user), 0, 'nothing is recorded');

SELECT * FROM finish();
