-- session_replication_role = replica: what the origin has admitted is not refused here,
-- and counts from then on.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(12);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 2) \gset
CREATE TABLE app.users (id text, instance_id text NOT NULL, n integer, PRIMARY KEY (instance_id, id));
SELECT count(*) FROM instance_env.guard('app.users', user_key => 'id') \gset
INSERT INTO app.users VALUES ('ann', 'dev');

SET LOCAL session_replication_role = replica;
SELECT lives_ok($$INSERT INTO app.users VALUES ('bob', 'dev'), ('carl', 'dev')$$, 'replica: beyond the cap');
SELECT lives_ok($$INSERT INTO app.users VALUES ('dora', 'prod')$$, 'replica: into an inactive instance');
SELECT lives_ok($$UPDATE app.users SET n = 1$$, 'replica: UPDATE');
SELECT lives_ok($$DELETE FROM app.users WHERE id = 'ann'$$, 'replica: DELETE');
-- The registry itself may arrive by replication.
UPDATE instance_env.instance SET user_cap = 3 WHERE external_key = 'dev';
SET LOCAL session_replication_role = origin;

SELECT lives_ok($$INSERT INTO app.users VALUES ('ed', 'dev')$$, 'origin: a cap that came by replication is known');
SELECT throws_ok($$INSERT INTO app.users VALUES ('fay', 'dev')$$, '23I01', NULL,
	'origin: what came by replication counts');
SELECT throws_ok($$INSERT INTO app.users VALUES ('bob', 'dev2')$$, '23I02', NULL,
	'origin: who came by replication is known');
SELECT lives_ok($$DELETE FROM app.users WHERE id IN ('bob', 'dora')$$, 'origin: they can leave');
SELECT throws_ok($$INSERT INTO app.users VALUES ('bob', 'dev2')$$, '23I02', NULL, 'origin: and are remembered');

SET LOCAL session_replication_role = local;
SELECT lives_ok($$INSERT INTO app.users VALUES ('fay', 'dev')$$, 'local: within the cap');
SELECT throws_ok($$INSERT INTO app.users VALUES ('gus', 'dev')$$, '23I01', NULL, 'local: beyond the cap');
SELECT throws_ok($$UPDATE app.users SET instance_id = 'dev2'$$, '23I02', NULL, 'local: transfer');

SELECT * FROM finish();
ROLLBACK;
