-- The foreign key that guard() makes for user_table: what was possible before is possible
-- after, in whatever order PostgreSQL comes to the keys; and which keys make it unnecessary.
SET client_min_messages = warning;
SET quote_all_identifiers = off;	-- definitions are compared as they are without it
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(169);

CREATE ROLE instance_env_owner;
CREATE SCHEMA app AUTHORIZATION instance_env_owner;
SELECT instance_env.grant_guard('instance_env_owner'), instance_env.grant_monitor('instance_env_owner') \gset
SELECT instance_env.create_application('shop', 'pro', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', 'pro', development_key => 'dev2') \gset

-- Everything from here on is done by the owner, who is no superuser.
SET LOCAL ROLE instance_env_owner;
CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL);
SELECT count(*) FROM instance_env.guard('app.users') \gset
INSERT INTO app.users VALUES ('zero', 'dev'), ('ann', 'dev'), ('bob', 'dev'), ('eve', 'dev2');

-- What a command leaves in a table, or its SQLSTATE; then nothing is left of it.  What is
-- deferred comes last, as at commit.
CREATE FUNCTION pg_temp.leaves(command text, rel regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rows text;
BEGIN
	EXECUTE command;
	SET CONSTRAINTS ALL IMMEDIATE;
	EXECUTE format('SELECT string_agg(t::text, %L ORDER BY t) FROM %s t', ' ', rel) INTO rows;
	RAISE EXCEPTION SQLSTATE 'UNDO1' USING MESSAGE = coalesce(rows, 'nothing');
EXCEPTION
	WHEN SQLSTATE 'UNDO1' THEN
		RETURN SQLERRM;
	WHEN OTHERS THEN
		RETURN SQLSTATE;
END $$;

-- The actions of the made key as guard() writes them
CREATE FUNCTION pg_temp.actions(rel regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(ltrim(substring(pg_get_constraintdef(oid) from 'REFERENCES [^(]*[(][^)]*[)](.*)$')), '; ' ORDER BY conname)
	FROM pg_constraint
	WHERE conrelid = rel AND contype = 'f' AND starts_with(conname, 'instance_env_') AND conparentid = 0 $$;

--
-- A key on the user alone: the new one does the same, in either order
--

CREATE TEMP TABLE clause AS SELECT * FROM (VALUES
	('', ''),
	('ON DELETE CASCADE', 'ON DELETE CASCADE'),
	('ON DELETE RESTRICT', 'ON DELETE RESTRICT'),
	('ON DELETE SET NULL', 'ON DELETE SET NULL (user_id)'),
	('ON DELETE SET DEFAULT', 'ON DELETE SET DEFAULT (user_id)'),
	('ON UPDATE CASCADE', 'ON UPDATE CASCADE'),
	('ON UPDATE RESTRICT', 'ON UPDATE RESTRICT'),
	('ON UPDATE SET NULL', 'DEFERRABLE INITIALLY DEFERRED'),
	('ON UPDATE SET DEFAULT ON DELETE CASCADE', 'ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED'),
	('ON UPDATE CASCADE ON DELETE SET NULL', 'ON UPDATE CASCADE ON DELETE SET NULL (user_id)'),
	('DEFERRABLE', 'DEFERRABLE'),
	('DEFERRABLE INITIALLY DEFERRED', 'DEFERRABLE INITIALLY DEFERRED'),
	('ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED', 'ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED')) v(clause, made);

CREATE TEMP TABLE command AS SELECT * FROM (VALUES
	('delete', $$DELETE FROM app.users WHERE id = 'ann'$$),
	('delete all', $$DELETE FROM app.users WHERE instance_id = 'dev'$$),
	('new key', $$UPDATE app.users SET id = 'amy' WHERE id = 'ann'$$),
	('child first', $$INSERT INTO app.child VALUES ('z', 'dev', 'zoe'); INSERT INTO app.users VALUES ('zoe', 'dev')$$),
	('deferred', $$SET CONSTRAINTS ALL DEFERRED; INSERT INTO app.child VALUES ('z', 'dev', 'zoe'); INSERT INTO app.users VALUES ('zoe', 'dev')$$),
	('nobody', $$INSERT INTO app.child VALUES ('z', 'dev', 'nobody')$$),
	('null', $$INSERT INTO app.child VALUES ('z', 'dev', NULL)$$),
	('update', $$UPDATE app.child SET user_id = 'bob' WHERE instance_id = 'dev'$$)) v(name, command);

CREATE FUNCTION pg_temp.same(clause text, made text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	before text;
BEGIN
	CREATE TABLE app.child (id text, instance_id text NOT NULL, user_id text DEFAULT 'zero');
	INSERT INTO app.child VALUES ('1', 'dev', 'ann'), ('2', 'dev', 'ann'), ('3', 'dev', 'bob'), ('4', 'dev2', 'eve');
	EXECUTE format($q$ALTER TABLE app.child ADD CONSTRAINT child_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users %s$q$, clause);
	before := (SELECT string_agg(name || ': ' || pg_temp.leaves(command, 'app.child'), E'\n' ORDER BY name) FROM command);
	PERFORM instance_env.guard('app.child', user_key => 'user_id', counted => false, user_table => 'app.users');
	RETURN NEXT is(pg_temp.actions('app.child'), made, '[' || clause || '] is copied');
	RETURN NEXT is((SELECT string_agg(name || ': ' || pg_temp.leaves(command, 'app.child'), E'\n' ORDER BY name) FROM command),
		before, '[' || clause || '] everything is as before');
	RETURN NEXT is(pg_temp.leaves($q$INSERT INTO app.child VALUES ('z', 'dev', 'eve')$q$, 'app.child'), '23503',
		'[' || clause || '] but for users of other instances');
	-- the order in which a restored database may have them
	EXECUTE format($q$ALTER TABLE app.child DROP CONSTRAINT child_user_id_fkey,
		ADD CONSTRAINT child_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users %s$q$, clause);
	RETURN NEXT is((SELECT string_agg(name || ': ' || pg_temp.leaves(command, 'app.child'), E'\n' ORDER BY name) FROM command),
		before, '[' || clause || '] also in the other order');
	DROP TABLE app.child;
END $$;
SELECT pg_temp.same(clause, made) FROM clause;

-- the same with a key that is not valid: rows that refer to nobody stay
CREATE TABLE app.child (id text, instance_id text NOT NULL, user_id text);
INSERT INTO app.child VALUES ('1', 'dev', 'gone');
ALTER TABLE app.child ADD CONSTRAINT child_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users NOT VALID;
SELECT lives_ok($$SELECT instance_env.guard('app.child', user_key => 'user_id', counted => false, user_table => 'app.users')$$, 'NOT VALID');
SELECT is(pg_temp.actions('app.child'), 'NOT VALID', 'is copied');
SELECT is((SELECT problems FROM instance_env.guards WHERE relation = 'app.child'::regclass), ARRAY[
	'foreign key "child_user_id_fkey" is not valid: a row may refer to a user of another instance',
	'foreign key "instance_env_child_instance_id_user_id_fkey" is not valid: a row may refer to a user of another instance'], 'and listed');
SELECT results_eq($$SELECT action FROM instance_env.guard('app.child', user_key => 'user_id', counted => false, user_table => 'app.users')
	WHERE object = 'foreign key'$$, ARRAY['found'], 'guard() again leaves it');
DELETE FROM app.child;
ALTER TABLE app.child VALIDATE CONSTRAINT child_user_id_fkey;
SELECT results_eq($$SELECT action FROM instance_env.guard('app.child', user_key => 'user_id', counted => false, user_table => 'app.users')
	WHERE object = 'foreign key'$$, ARRAY['validated'], 'but validates it once the other one is valid');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.child'::regclass), true, 'and the guard is whole');
DROP TABLE app.child;

--
-- Several keys, and other ways to the rows
--

-- which one comes first decides what happens, and it must go on to be those two
CREATE TABLE app.child (id text, instance_id text NOT NULL, user_id text,
	CONSTRAINT a FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE,
	CONSTRAINT b FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE);
SELECT count(*) FROM instance_env.guard('app.child', user_key => 'user_id', counted => false, user_table => 'app.users') \gset
SELECT is(pg_temp.actions('app.child'), 'ON DELETE CASCADE', 'two keys that do the same');
DROP TABLE app.child;
CREATE TABLE app.child (id text, instance_id text NOT NULL, user_id text,
	CONSTRAINT a FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE,
	CONSTRAINT b FOREIGN KEY (user_id) REFERENCES app.users ON DELETE SET NULL);
INSERT INTO app.child VALUES ('1', 'dev', 'ann');
SELECT count(*) FROM instance_env.guard('app.child', user_key => 'user_id', counted => false, user_table => 'app.users') \gset
SELECT is(pg_temp.actions('app.child'), 'DEFERRABLE INITIALLY DEFERRED', 'two keys that do not');
SELECT is(pg_temp.leaves($$DELETE FROM app.users WHERE id = 'ann'$$, 'app.child'), 'nothing', 'leave it to the first one');
DROP TABLE app.child;

-- users -> emails -> tokens
CREATE TABLE app.emails (id text PRIMARY KEY, instance_id text NOT NULL, user_id text NOT NULL REFERENCES app.users ON DELETE CASCADE);
CREATE TABLE app.tokens (id text, instance_id text NOT NULL, user_id text, email_id text REFERENCES app.emails ON DELETE CASCADE);
INSERT INTO app.emails VALUES ('a@', 'dev', 'ann'), ('b@', 'dev', 'bob');
INSERT INTO app.tokens VALUES ('1', 'dev', 'ann', 'a@'), ('2', 'dev', 'bob', 'b@');
SELECT lives_ok($$SELECT instance_env.guard('app.emails', user_key => 'user_id', counted => false, user_table => 'app.users')$$, 'emails');
SELECT lives_ok($$SELECT instance_env.guard('app.tokens', user_key => 'user_id', counted => false, user_table => 'app.users')$$, 'tokens');
SELECT is(pg_temp.actions('app.tokens'), 'DEFERRABLE INITIALLY DEFERRED', 'tokens that go with an e-mail address');
SELECT is(pg_temp.leaves($$DELETE FROM app.users WHERE id = 'ann'$$, 'app.tokens'), '(2,dev,bob,b@)', 'go as before');
SELECT is(pg_temp.leaves($$INSERT INTO app.tokens VALUES ('3', 'dev', 'ann', NULL); DELETE FROM app.users WHERE id = 'ann'$$, 'app.tokens'), '23503',
	'those that do not are not deleted, so the user stays');
ALTER TABLE app.tokens DROP CONSTRAINT tokens_email_id_fkey,
	ADD CONSTRAINT tokens_email_id_fkey FOREIGN KEY (email_id) REFERENCES app.emails ON DELETE CASCADE;
ALTER TABLE app.emails DROP CONSTRAINT emails_user_id_fkey,
	ADD CONSTRAINT emails_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE;
SELECT is(pg_temp.leaves($$DELETE FROM app.users WHERE id = 'ann'$$, 'app.tokens'), '(2,dev,bob,b@)', 'in the other order, too');

-- tokens of a table in between, which is guarded itself
SELECT lives_ok($$SELECT instance_env.unguard('app.tokens', drop_objects => true)$$, 'unguard()');
SELECT lives_ok($$SELECT instance_env.guard('app.tokens', user_key => 'email_id', counted => false, user_table => 'app.emails')$$,
	'the table in between as user_table');
SELECT is(pg_temp.actions('app.tokens'), 'ON DELETE CASCADE', 'its key is copied');
SELECT is(pg_temp.leaves($$DELETE FROM app.users WHERE id = 'ann'$$, 'app.tokens'), '(2,dev,bob,b@)', 'everything goes as before');
SELECT is(pg_temp.leaves($$INSERT INTO app.tokens VALUES ('4', 'dev2', 'ann', 'a@')$$, 'app.tokens'), '23503', 'no token of another instance');
DROP TABLE app.tokens, app.emails;

-- organizations -> users, organizations -> teams -> badges: users are one step nearer
CREATE TABLE app.orgs (id text PRIMARY KEY);
CREATE TABLE app.people (id text PRIMARY KEY, instance_id text NOT NULL, org text REFERENCES app.orgs ON DELETE CASCADE);
CREATE TABLE app.teams (id text PRIMARY KEY, org text REFERENCES app.orgs ON DELETE CASCADE);
CREATE TABLE app.badges (id text, instance_id text NOT NULL, person text, team text REFERENCES app.teams ON DELETE CASCADE);
CREATE TABLE app.seals (id text, instance_id text NOT NULL, person text, org text REFERENCES app.orgs ON DELETE CASCADE);
SELECT count(*) FROM instance_env.guard('app.people') \gset
INSERT INTO app.orgs VALUES ('o');
INSERT INTO app.people VALUES ('p', 'dev', 'o');
INSERT INTO app.teams VALUES ('t', 'o');
INSERT INTO app.badges VALUES ('1', 'dev', 'p', 't');
INSERT INTO app.seals VALUES ('1', 'dev', 'p', 'o');
SELECT lives_ok($$SELECT instance_env.guard('app.badges', user_key => 'person', counted => false, user_table => 'app.people')$$, 'badges');
SELECT lives_ok($$SELECT instance_env.guard('app.seals', user_key => 'person', counted => false, user_table => 'app.people')$$, 'seals');
SELECT is(pg_temp.actions('app.badges'), 'DEFERRABLE INITIALLY DEFERRED', 'badges go a step later than people');
SELECT is(pg_temp.actions('app.seals'), '', 'seals go in the same step as people, and before a check can come');
SELECT is(pg_temp.leaves($$DELETE FROM app.orgs$$, 'app.badges'), 'nothing', 'an organization goes with all');
ALTER TABLE app.seals DROP CONSTRAINT seals_org_fkey, ADD CONSTRAINT seals_org_fkey FOREIGN KEY (org) REFERENCES app.orgs ON DELETE CASCADE;
SELECT is(pg_temp.leaves($$DELETE FROM app.orgs$$, 'app.seals'), 'nothing', 'in the other order, too');

-- a second column that refers to users: its key may come first, or not
CREATE TABLE app.notes (id text, instance_id text NOT NULL, author text REFERENCES app.users, owner text REFERENCES app.users ON DELETE CASCADE);
SELECT count(*) FROM instance_env.guard('app.notes', user_key => 'author', counted => false, user_table => 'app.users') \gset
SELECT is(pg_temp.actions('app.notes'), 'DEFERRABLE INITIALLY DEFERRED', 'rows that go with another user');
SELECT lives_ok($$SELECT instance_env.guard('app.notes', user_key => 'author', counted => false, user_table => 'app.users')$$, 'again');

--
-- A migration changes the application's key
--

CREATE TABLE app.orders (id text, instance_id text NOT NULL, user_id text, CONSTRAINT own FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE);
INSERT INTO app.orders VALUES ('1', 'dev', 'ann');
CREATE FUNCTION pg_temp.guard_orders() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(name || ' ' || action, ', ') FROM instance_env.guard('app.orders', user_key => 'user_id', counted => false, user_table => 'app.users')
	WHERE object = 'foreign key' $$;
CREATE FUNCTION pg_temp.orders() RETURNS text LANGUAGE sql AS
	$$SELECT whole || coalesce(' ' || problems[1], '') FROM instance_env.guards WHERE relation = 'app.orders'::regclass$$;
SELECT is(pg_temp.guard_orders(), 'instance_env_orders_instance_id_user_id_fkey created', 'orders');
CREATE FUNCTION pg_temp.migrated(clause text, made text, deleted text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER TABLE app.orders DROP CONSTRAINT own, ADD CONSTRAINT own FOREIGN KEY (user_id) REFERENCES app.users %s', clause);
	RETURN NEXT is(pg_temp.orders(), 'false foreign key "instance_env_orders_instance_id_user_id_fkey" does not do what "own" does', clause || ': listed');
	RETURN NEXT is(pg_temp.guard_orders(), 'instance_env_orders_instance_id_user_id_fkey replaced', clause || ': replaced');
	RETURN NEXT is(pg_temp.actions('app.orders'), made, clause || ': does the same');
	RETURN NEXT is(pg_temp.leaves($q$DELETE FROM app.users WHERE id = 'ann'$q$, 'app.orders'), deleted, clause || ': a deleted user');
	RETURN NEXT is(pg_temp.orders(), 'true', clause || ': whole');
	RETURN NEXT is(pg_temp.guard_orders(), 'instance_env_orders_instance_id_user_id_fkey found', clause || ': only once');
END $$;
SELECT pg_temp.migrated('ON DELETE SET NULL', 'ON DELETE SET NULL (user_id)', '(1,dev,)');
-- (from PostgreSQL 18 on, RESTRICT has an SQLSTATE of its own)
SELECT pg_temp.migrated('ON DELETE RESTRICT', 'ON DELETE RESTRICT',
	CASE WHEN current_setting('server_version_num')::integer >= 180000 THEN '23001' ELSE '23503' END);
SELECT pg_temp.migrated('ON DELETE CASCADE', 'ON DELETE CASCADE', 'nothing');
SELECT pg_temp.migrated('DEFERRABLE', 'DEFERRABLE', '23503');
SELECT results_eq($$SELECT after -> 'repaired' -> 0 ->> 'action' FROM instance_env.events ORDER BY id DESC LIMIT 1$$, ARRAY['replaced'], 'is on record');
ALTER TABLE app.orders ALTER CONSTRAINT own NOT DEFERRABLE, ALTER CONSTRAINT instance_env_orders_instance_id_user_id_fkey NOT DEFERRABLE;
SELECT is(pg_temp.orders(), 'true', 'both altered: whole');
ALTER TABLE app.orders DROP CONSTRAINT own;
SELECT is(pg_temp.orders(), 'true', 'it refuses by itself, too');
ALTER TABLE app.orders ADD CONSTRAINT own FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE;
SELECT is(pg_temp.guard_orders(), 'instance_env_orders_instance_id_user_id_fkey replaced', 'a key that comes later');
SELECT is(pg_temp.leaves($$DELETE FROM app.users WHERE id = 'ann'$$, 'app.orders'), 'nothing', 'does its work');
ALTER TABLE app.orders DROP CONSTRAINT own;
SELECT is(pg_temp.orders(), 'true', 'alone, it is taken at its word');
-- a key of the application's that has the instance is left alone, and makes it unnecessary
ALTER TABLE app.orders ADD CONSTRAINT whole_own FOREIGN KEY (instance_id, user_id) REFERENCES app.users (instance_id, id) ON UPDATE CASCADE;
SELECT is(pg_temp.guard_orders(), 'whole_own found, instance_env_orders_instance_id_user_id_fkey dropped', 'one with the instance');
SELECT is(pg_temp.orders(), 'true', 'is enough');
ALTER TABLE app.orders ADD CONSTRAINT own FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE;
SELECT is(pg_temp.guard_orders(), 'whole_own found', 'and not replaced');
ALTER TABLE app.orders DROP CONSTRAINT own;
DROP TABLE app.orders;

--
-- Keys that make it unnecessary
--

CREATE TABLE app.accounts (app text, tenant text, login text, PRIMARY KEY (app, tenant, login));
CREATE UNIQUE INDEX ON app.accounts (login);
SELECT count(*) FROM instance_env.guard('app.accounts', 'tenant', 'login') \gset
INSERT INTO app.accounts VALUES ('x', 'dev', 'ann'), ('y', 'dev2', 'eve');
CREATE FUNCTION pg_temp.contains(columns text, key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	outcome text;
BEGIN
	EXECUTE format('CREATE TABLE app.c (%s, CONSTRAINT k %s)', columns, key);
	SELECT string_agg(name || ' ' || action, ', ') INTO outcome
	FROM instance_env.guard('app.c', 'tenant', 'login', false, 'app.accounts') WHERE object = 'foreign key';
	RAISE EXCEPTION SQLSTATE 'UNDO1' USING MESSAGE = outcome;
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
	RETURN SQLERRM;
END $$;
SELECT is(pg_temp.contains('app text NOT NULL, tenant text, login text', 'FOREIGN KEY (app, tenant, login) REFERENCES app.accounts'),
	'k found', 'three columns');
SELECT is(pg_temp.contains('app text NOT NULL, tenant text, login text', 'FOREIGN KEY (login, app, tenant) REFERENCES app.accounts (login, app, tenant)'),
	'k found', 'in another order');
SELECT is(pg_temp.contains('app text, tenant text, login text', 'FOREIGN KEY (app, tenant, login) REFERENCES app.accounts'),
	'instance_env_c_tenant_login_fkey created', 'a further column that may be null: such a row is not checked');
SELECT is(pg_temp.contains('app text, tenant text, login text', 'FOREIGN KEY (app, tenant, login) REFERENCES app.accounts MATCH FULL'),
	'k found', 'a further column that may be null, but not alone');
SELECT is(pg_temp.contains('app text, tenant text, login text', 'FOREIGN KEY (app, tenant, login) REFERENCES app.accounts, PRIMARY KEY (app, login)'),
	'k found', 'a further column of the primary key');
SELECT throws_ok($$SELECT pg_temp.contains('app text NOT NULL, tenant text, login text', 'FOREIGN KEY (app, login, tenant) REFERENCES app.accounts')$$,
	'22023', NULL, 'columns that are mixed up');
SELECT is(pg_temp.contains('app text NOT NULL, tenant text, login text', 'FOREIGN KEY (login) REFERENCES app.accounts (login)'),
	'instance_env_c_tenant_login_fkey created', 'the user alone');

CREATE TABLE app.ids (tenant uuid NOT NULL, login text);
SELECT throws_ok($$SELECT instance_env.guard('app.ids', 'tenant', 'login', false, 'app.accounts')$$, '42804', NULL, 'ids here, external keys there');

-- one that is not valid is validated, or cannot be
CREATE TABLE app.c (tenant text NOT NULL, login text, app text NOT NULL);
INSERT INTO app.c VALUES ('dev2', 'ann', 'x');
ALTER TABLE app.c ADD CONSTRAINT k FOREIGN KEY (app, tenant, login) REFERENCES app.accounts NOT VALID;
SELECT throws_ok($$SELECT instance_env.guard('app.c', 'tenant', 'login', false, 'app.accounts')$$, '23503', NULL, 'not valid, and rows are wrong');
UPDATE app.c SET tenant = 'dev';
SELECT results_eq($$SELECT name || ' ' || action FROM instance_env.guard('app.c', 'tenant', 'login', false, 'app.accounts') WHERE object = 'foreign key'$$,
	ARRAY['k validated'], 'not valid, but rows are right');
DROP TABLE app.c;

-- An instance column that is generated from columns of the key.
SAVEPOINT generated;
SELECT pg_temp.leaves($$
	CREATE TABLE app.g (app text, tenant text, login text, i text GENERATED ALWAYS AS (app || '/' || tenant) STORED, PRIMARY KEY (app, tenant, login));
	SELECT instance_env.guard('app.g', 'i', 'login')$$, 'app.users') !~ '^[0-9A-Z]{5}$' AS generated \gset
CREATE FUNCTION pg_temp.generated(one text, two text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	outcome text;
BEGIN
	EXECUTE format($q$CREATE TABLE app.g (app %s, tenant text, login text, i text GENERATED ALWAYS AS (%s) STORED,
		PRIMARY KEY (app, tenant, login), UNIQUE (i, login))$q$, type, one);
	EXECUTE format($q$CREATE TABLE app.h (n integer, login text, tenant text NOT NULL, app %s NOT NULL,
		i text GENERATED ALWAYS AS (%s) STORED, CONSTRAINT k FOREIGN KEY (app, tenant, login) REFERENCES app.g)$q$, type, two);
	PERFORM instance_env.guard('app.g', 'i', 'login');
	SELECT string_agg(name || ' ' || action, ', ') INTO outcome
	FROM instance_env.guard('app.h', 'i', 'login', false, 'app.g') WHERE object = 'foreign key';
	RAISE EXCEPTION SQLSTATE 'UNDO1' USING MESSAGE = outcome;
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
	RETURN SQLERRM;
END $$;
SELECT CASE WHEN :'generated'::boolean THEN is(pg_temp.generated(one, two, type), made, what) ELSE skip(what, 1) END FROM (VALUES
	($$app || '/' || tenant$$, $$app || '/' || tenant$$, 'text', 'k found', 'generated by the same expression'),
	($$app || '/' || tenant$$, $$tenant || '/' || app$$, 'text', 'instance_env_h_i_login_fkey created', 'by another expression'),
	($$app || '/' || tenant$$, $$n::text || '/' || tenant$$, 'text', 'instance_env_h_i_login_fkey created', 'from a column that is not in the key'),
	($$app::text || '/' || tenant$$, $$app::text || '/' || tenant$$, 'numeric', 'instance_env_h_i_login_fkey created',
		'from a column whose equal values can differ')) v(one, two, type, made, what);
ROLLBACK TO SAVEPOINT generated;

-- One that PostgreSQL does not let do what the application's does
CREATE FUNCTION pg_temp.computed(clause text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	outcome text;
BEGIN
	CREATE TABLE app.g (id text PRIMARY KEY, app text, i text GENERATED ALWAYS AS (app) STORED);
	EXECUTE format('CREATE TABLE app.h (user_id text REFERENCES app.g %s, app text, i text GENERATED ALWAYS AS (app) STORED)', clause);
	PERFORM instance_env.guard('app.g', 'i');
	PERFORM instance_env.guard('app.h', 'i', 'user_id', false, 'app.g');
	INSERT INTO app.g VALUES ('ann', 'dev');
	INSERT INTO app.h VALUES ('ann', 'dev');
	outcome := pg_temp.actions('app.h') || ': ' || pg_temp.leaves(command, 'app.h');
	RAISE EXCEPTION SQLSTATE 'UNDO1' USING MESSAGE = outcome;
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
	RETURN SQLERRM;
END $$;
SELECT CASE WHEN :'generated'::boolean THEN is(pg_temp.computed(clause, command), made, clause) ELSE skip(clause, 1) END FROM (VALUES
	('ON UPDATE CASCADE', $$UPDATE app.g SET id = 'amy'$$, 'DEFERRABLE INITIALLY DEFERRED: (amy,dev,dev)'),
	('ON DELETE SET NULL', 'DELETE FROM app.g', 'DEFERRABLE INITIALLY DEFERRED: (,dev,dev)'),
	('ON DELETE CASCADE', 'DELETE FROM app.g', 'ON DELETE CASCADE: nothing')) v(clause, command, made);

--
-- Partitions
--

-- a key of a partition: the rows of the others stay, as before
CREATE TABLE app.parts (id integer, instance_id text NOT NULL, user_id text) PARTITION BY RANGE (id);
CREATE TABLE app.part0 (n integer, user_id text REFERENCES app.users ON DELETE CASCADE, instance_id text NOT NULL, id integer);
ALTER TABLE app.part0 DROP COLUMN n;
ALTER TABLE app.parts ATTACH PARTITION app.part0 FOR VALUES FROM (0) TO (10);
CREATE TABLE app.part1 PARTITION OF app.parts DEFAULT;
INSERT INTO app.parts VALUES (1, 'dev', 'ann'), (11, 'dev', 'bob');
SELECT count(*) FROM instance_env.guard('app.parts', user_key => 'user_id', counted => false, user_table => 'app.users') \gset
SELECT is(pg_temp.actions('app.parts'), 'DEFERRABLE INITIALLY DEFERRED', 'a partition with a key of its own');
SELECT is(pg_temp.leaves($$DELETE FROM app.users WHERE id = 'ann'$$, 'app.parts'), '(11,dev,bob)', 'does what it did');
SELECT is(pg_temp.leaves($$DELETE FROM app.users WHERE id = 'bob'$$, 'app.parts'), '23503', 'and no other');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.parts'::regclass), true, 'it refers to users of the same instance, by the other key');
SELECT instance_env.unguard('app.parts', true) \gset
SELECT count(*) FROM instance_env.guard('app.parts', counted => false) \gset
SELECT is((SELECT problems FROM instance_env.guards WHERE relation = 'app.parts'::regclass),
	ARRAY['foreign key "part0_user_id_fkey" lets a row refer to a user of another instance'], 'alone it does not');
DROP TABLE app.parts;

-- a key that refers to a partition
CREATE TABLE app.persons (id integer PRIMARY KEY, instance_id text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE app.folk (n integer, instance_id text NOT NULL, id integer PRIMARY KEY);
ALTER TABLE app.folk DROP COLUMN n;
ALTER TABLE app.persons ATTACH PARTITION app.folk FOR VALUES FROM (0) TO (100);
CREATE TABLE app.things (id integer, instance_id text NOT NULL, user_id integer REFERENCES app.folk ON DELETE CASCADE);
SELECT count(*) FROM instance_env.guard('app.persons') \gset
INSERT INTO app.persons VALUES (1, 'dev');
INSERT INTO app.things VALUES (1, 'dev', 1);
SELECT count(*) FROM instance_env.guard('app.things', counted => false) \gset
SELECT is((SELECT problems FROM instance_env.guards WHERE relation = 'app.things'::regclass),
	ARRAY['foreign key "things_user_id_fkey" lets a row refer to a user of another instance'], 'a key that refers to a partition');
SELECT instance_env.unguard('app.things') \gset
SELECT count(*) FROM instance_env.guard('app.things', user_key => 'user_id', counted => false, user_table => 'app.persons') \gset
SELECT is(pg_temp.actions('app.things'), 'ON DELETE CASCADE', 'is copied');
SELECT is(pg_temp.leaves($$DELETE FROM app.persons$$, 'app.things'), 'nothing', 'and everything is as before');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.things'::regclass), true, 'whole');
DROP TABLE app.things, app.persons;

--
-- Other columns than the user key
--

CREATE TABLE app.ext (id integer PRIMARY KEY, instance_id text NOT NULL, ext integer UNIQUE NOT NULL, org integer, UNIQUE (org, ext));
CREATE TABLE app.refs (n integer, instance_id text NOT NULL, user_id integer CONSTRAINT k REFERENCES app.ext (id) ON DELETE CASCADE, org integer);
SELECT count(*) FROM instance_env.guard('app.ext', user_key => 'ext') \gset
INSERT INTO app.ext VALUES (1, 'dev', 101, 1), (2, 'dev2', 102, 1);
SELECT count(*) FROM instance_env.guard('app.refs', counted => false) \gset
SELECT is((SELECT problems FROM instance_env.guards WHERE relation = 'app.refs'::regclass),
	ARRAY['foreign key "k" lets a row refer to a user of another instance'], 'a key that refers to users by another column than the user key');
SELECT instance_env.unguard('app.refs') \gset
SELECT count(*) FROM instance_env.guard('app.refs', user_key => 'user_id', counted => false, user_table => 'app.ext') \gset
SELECT is(pg_get_constraintdef(oid), 'FOREIGN KEY (instance_id, user_id) REFERENCES app.ext(instance_id, id) ON DELETE CASCADE', 'the new one follows it')
FROM pg_constraint WHERE conrelid = 'app.refs'::regclass AND conname <> 'k' AND contype = 'f';
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.refs'::regclass), true, 'whole');
SELECT lives_ok($$INSERT INTO app.refs VALUES (1, 'dev', 1)$$, 'a right row');
SELECT throws_ok($$INSERT INTO app.refs VALUES (1, 'dev', 2)$$, '23503', NULL, 'a wrong one');
SELECT instance_env.unguard('app.refs', true) \gset
ALTER TABLE app.refs DROP CONSTRAINT k;
DELETE FROM app.refs;
SELECT count(*) FROM instance_env.guard('app.refs', user_key => 'user_id', counted => false, user_table => 'app.ext') \gset
SELECT lives_ok($$INSERT INTO app.refs VALUES (1, 'dev', 101)$$, 'without one, it is the user key');
SELECT instance_env.unguard('app.refs', true) \gset
DELETE FROM app.refs;
ALTER TABLE app.refs ADD CONSTRAINT k FOREIGN KEY (user_id, org) REFERENCES app.ext (org, ext);
SELECT throws_ok($$SELECT instance_env.guard('app.refs', user_key => 'user_id', counted => false, user_table => 'app.ext')$$, '22023',
	'foreign key "k" makes user_key of table "app.refs" refer to other columns than those that identify a user', 'one that contradicts');
DROP TABLE app.refs, app.ext;

-- two columns, in an order of their own
CREATE TABLE app.pairs (a integer, b integer, instance_id text NOT NULL, PRIMARY KEY (a, b));
SELECT count(*) FROM instance_env.guard('app.pairs') \gset
CREATE TABLE app.refs (ua integer, ub integer, instance_id text NOT NULL, CONSTRAINT k FOREIGN KEY (ub, ua) REFERENCES app.pairs (b, a));
SELECT count(*) FROM instance_env.guard('app.refs', user_key => 'ub, ua', counted => false, user_table => 'app.pairs') \gset
SELECT is(pg_get_constraintdef(oid), 'FOREIGN KEY (instance_id, ub, ua) REFERENCES app.pairs(instance_id, b, a)', 'pairs as the application''s key has them')
FROM pg_constraint WHERE conrelid = 'app.refs'::regclass AND conname <> 'k' AND contype = 'f';
DROP TABLE app.refs, app.pairs;

-- users who are not tracked, and data that is not users
CREATE TABLE app.loose (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.refs (id integer PRIMARY KEY, instance_id text NOT NULL, user_id integer CONSTRAINT k REFERENCES app.loose);
CREATE TABLE app.more (instance_id text NOT NULL, ref integer REFERENCES app.refs);
SELECT count(*) FROM instance_env.guard('app.loose', user_key => '') \gset
SELECT count(*) FROM instance_env.guard('app.refs', user_key => '', counted => false) \gset
SELECT count(*) FROM instance_env.guard('app.more', counted => false) \gset
SELECT is((SELECT problems FROM instance_env.guards WHERE relation = 'app.refs'::regclass),
	ARRAY['foreign key "k" lets a row refer to a user of another instance'], 'a key that refers to users who are not tracked');
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.more'::regclass), true, 'what refers to other data is not looked at');
SELECT instance_env.unguard('app.refs') \gset
SELECT count(*) FROM instance_env.guard('app.refs', user_key => 'user_id', counted => false, user_table => 'app.loose') \gset
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.refs'::regclass), true, 'user_table mends it');
DROP TABLE app.more, app.refs, app.loose;

--
-- Disabled triggers
--

CREATE TABLE app.off (instance_id text NOT NULL, user_id text);
SELECT count(*) FROM instance_env.guard('app.off', user_key => 'user_id', counted => false, user_table => 'app.users') \gset
CREATE FUNCTION pg_temp.off() RETURNS text[] LANGUAGE sql AS $$SELECT problems FROM instance_env.guards WHERE relation = 'app.off'::regclass$$;
CREATE FUNCTION pg_temp.guard_off() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(object || ' ' || action, ', ') FROM instance_env.guard('app.off', user_key => 'user_id', counted => false, user_table => 'app.users')
	WHERE action <> 'found' $$;
RESET ROLE;
ALTER TABLE app.off DISABLE TRIGGER ALL;
ALTER TABLE app.off ENABLE TRIGGER USER;
SET LOCAL ROLE instance_env_owner;
SELECT is(pg_temp.off(), ARRAY['foreign key "instance_env_off_instance_id_user_id_fkey" has disabled triggers'], 'what checks a row is disabled');
SELECT is(pg_temp.guard_off(), 'foreign key replaced', 'guard()');
SELECT is(pg_temp.off(), '{}', 'makes it anew');
SELECT throws_ok($$INSERT INTO app.off VALUES ('dev', 'eve')$$, '23503', NULL, 'so that it is checked');
RESET ROLE;
ALTER TABLE app.users DISABLE TRIGGER ALL;
ALTER TABLE app.users ENABLE TRIGGER USER;
SET LOCAL ROLE instance_env_owner;
SELECT is(pg_temp.off(), ARRAY['foreign key "instance_env_off_instance_id_user_id_fkey" has disabled triggers'], 'what refuses to delete a user is');
SELECT is(pg_temp.guard_off(), 'foreign key replaced', 'guard(), again');
ALTER TABLE app.off RENAME CONSTRAINT instance_env_off_instance_id_user_id_fkey TO own;
RESET ROLE;
ALTER TABLE app.off DISABLE TRIGGER ALL;
ALTER TABLE app.off ENABLE TRIGGER USER;
SET LOCAL ROLE instance_env_owner;
SELECT is(pg_temp.guard_off(), NULL, 'the application''s own is left');
SELECT is(pg_temp.off(), ARRAY['foreign key "own" has disabled triggers'], 'and listed');
DROP TABLE app.off;
RESET ROLE;
ALTER TABLE app.users ENABLE TRIGGER ALL;
ALTER TABLE app.users ENABLE ALWAYS TRIGGER instance_env_user_cap;
SET LOCAL ROLE instance_env_owner;

--
-- The index
--

CREATE TABLE app.i (id text, instance_id text NOT NULL, user_id text);
SELECT results_eq($$SELECT name, action FROM instance_env.guard('app.i', user_key => 'user_id', counted => false, user_table => 'app.users') WHERE object = 'index'$$,
	$$VALUES ('instance_env_i_instance_id_user_id_idx', 'created')$$, 'one index over instance and user');
DROP TABLE app.i;
CREATE TABLE app.i (id text, instance_id text NOT NULL, user_id text);
CREATE INDEX own_i ON app.i (user_id);
CREATE INDEX own_j ON app.i (instance_id, id);
SELECT results_eq($$SELECT name, action FROM instance_env.guard('app.i', user_key => 'user_id', counted => false, user_table => 'app.users') WHERE object = 'index'$$,
	$$VALUES ('own_j', 'found')$$, 'none where the table has what it takes');
DROP TABLE app.i;
CREATE TABLE app.i (id text, instance_id text NOT NULL, user_id text);
SELECT count(*) FROM instance_env.guard('app.i', user_key => '', counted => false) \gset
SELECT instance_env.unguard('app.i') \gset
SELECT results_eq($$SELECT name, action FROM instance_env.guard('app.i', user_key => 'user_id', counted => false, user_table => 'app.users') WHERE object = 'index'$$,
	$$VALUES ('instance_env_i_instance_id_user_id_idx', 'created')$$, 'besides an earlier one');
SELECT has_index('app', 'i', 'instance_env_i_instance_id_idx', 'which stays');
DROP TABLE app.i;
CREATE TABLE app.u (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE app.i (id text, instance_id text NOT NULL, user_id text);
SELECT count(*) FROM instance_env.guard('app.u') \gset
SELECT results_eq($$SELECT name, on_table, action FROM instance_env.guard('app.i', user_key => 'user_id', counted => false, user_table => 'app.u') WHERE object = 'index'$$,
	$$VALUES ('instance_env_u_instance_id_id_key', 'app.u'::regclass, 'created'),
		('instance_env_i_instance_id_user_id_idx', 'app.i', 'created')$$,
	'the table of users gets a unique one');
SELECT has_index('app', 'u', 'instance_env_u_instance_id_idx', 'and keeps guard()''s own');
DROP INDEX app.instance_env_u_instance_id_idx;
SELECT results_eq($$SELECT name, action FROM instance_env.guard('app.u') WHERE object = 'index'$$,
	$$VALUES ('instance_env_u_instance_id_id_key', 'found'), ('u_pkey', 'found')$$, 'which serves it, too');
CREATE TABLE app.v (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE INDEX v_own ON app.v (instance_id);
CREATE TABLE app.j (id text, instance_id text NOT NULL, user_id text);
SELECT count(*) FROM instance_env.guard('app.v') \gset
SELECT count(*) FROM instance_env.guard('app.j', user_key => 'user_id', counted => false, user_table => 'app.v') \gset
SELECT has_index('app', 'v', 'v_own', 'the application''s own index stays');

-- Nobody is kept from reading the table of users.
CREATE TABLE app.w (id text, instance_id text NOT NULL, PRIMARY KEY (id, instance_id));
CREATE FUNCTION pg_temp.exclusive() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock' AND locktype = 'relation'
	AND relation IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'app.w'::regclass UNION SELECT 'app.w'::regclass) $$;
CREATE TABLE app.k (id text, instance_id text NOT NULL, user_id text);
SELECT count(*) FROM instance_env.guard('app.w', user_key => 'id') \gset
CREATE TEMP TABLE locks_before AS SELECT pg_temp.exclusive() AS n;
SELECT count(*) FROM instance_env.guard('app.k', user_key => 'user_id', counted => false, user_table => 'app.w') \gset
SELECT is(pg_temp.exclusive(), n, 'no exclusive lock on the table of users') FROM locks_before;
SELECT is((SELECT whole FROM instance_env.guards WHERE relation = 'app.w'::regclass), true, 'a unique index that does not begin with the instance does not serve it');

SELECT * FROM finish();
ROLLBACK;
