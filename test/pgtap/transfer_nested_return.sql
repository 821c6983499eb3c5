-- A deleted user who returns under another instance before the departure is on record: from
-- within the statement that deletes, or from a trigger that fires before ours.

BEGIN;
SELECT plan(8);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev') \gset
SELECT instance_env.create_application('bank', development_key => 'dev2') \gset
CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text);
SELECT count(*) FROM instance_env.guard('app.users') \gset
INSERT INTO app.users SELECT i, 'dev' FROM generate_series(1, 5) i;

CREATE FUNCTION pg_temp.put(k integer, instance text) RETURNS integer LANGUAGE plpgsql AS
$$BEGIN INSERT INTO app.users VALUES (k, instance); RETURN k; END$$;

SELECT throws_ok($$DELETE FROM app.users WHERE id = 1 RETURNING pg_temp.put(id, 'dev2')$$, '23I02', NULL,
	'DELETE … RETURNING a function that inserts elsewhere');
SELECT throws_ok($$UPDATE app.users SET id = 11 WHERE id = 1 RETURNING pg_temp.put(1, 'dev2')$$, '23I02', NULL,
	'UPDATE of the key … RETURNING one');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 1 RETURNING pg_temp.put(id, 'dev')$$, 'to where it was is fine');

CREATE FUNCTION pg_temp.put_back() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO app.users VALUES (old.id, tg_argv[0]); RETURN NULL; END$$;
CREATE TRIGGER aaa AFTER DELETE ON app.users FOR EACH ROW EXECUTE FUNCTION pg_temp.put_back('dev2');
SELECT throws_ok($$DELETE FROM app.users WHERE id = 2$$, '23I02', NULL, 'an AFTER DELETE trigger that fires before ours');
DROP TRIGGER aaa ON app.users;
CREATE TRIGGER aaa AFTER UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION pg_temp.put_back('dev2');
SELECT throws_ok($$UPDATE app.users SET id = 22 WHERE id = 2$$, '23I02', NULL, 'an AFTER UPDATE trigger');
DROP TRIGGER aaa ON app.users;

-- the bound knows of a partition that joins two levels below the guarded table
CREATE TABLE app.deep (id integer, instance_id text, region text, n integer) PARTITION BY LIST (region);
CREATE TABLE app.deep_eu PARTITION OF app.deep FOR VALUES IN ('eu') PARTITION BY RANGE (n);
CREATE TABLE app.deep_eu_0 PARTITION OF app.deep_eu FOR VALUES FROM (0) TO (100);
CREATE TABLE app.joins (LIKE app.deep);
INSERT INTO app.joins SELECT i, 'dev', 'eu', 100 + i FROM generate_series(1, 8) i;
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 10) \gset
SELECT count(*) FROM instance_env.guard('app.deep', user_key => '') \gset
INSERT INTO app.deep VALUES (100, 'dev', 'eu', 1);
ALTER TABLE app.deep_eu ATTACH PARTITION app.joins FOR VALUES FROM (100) TO (200);
SELECT lives_ok($$INSERT INTO app.deep VALUES (101, 'dev', 'eu', 2)$$, 'nine came with a partition, and this is the tenth');
SELECT throws_ok($$INSERT INTO app.deep VALUES (102, 'dev', 'eu', 3)$$, '23I01', NULL, 'and there is no seat for another');

-- an instance that takes nobody takes nobody in place of a row that was moved
SELECT instance_env.suspend_instance(instance_env.instance_id('shop', 'development')) \gset
SELECT throws_ok($$UPDATE app.deep SET n = 150 WHERE id = 100; DELETE FROM app.deep WHERE id = 100;
	INSERT INTO app.deep VALUES (103, 'dev', 'eu', 4)$$, '23I04', NULL, 'a moved row that is deleted leaves no room');

SELECT * FROM finish();
ROLLBACK;
