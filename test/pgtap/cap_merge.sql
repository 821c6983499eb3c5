-- MERGE at a development instance that is full, and MERGE as a way to move users
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(15);

CREATE SCHEMA app;
SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod') \gset
SELECT instance_env.create_application('blog', development_key => 'dev2') \gset
SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 3) \gset

CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL, visits integer DEFAULT 0);
SELECT count(*) FROM instance_env.guard('app.users') \gset
INSERT INTO app.users VALUES ('u1', 'dev'), ('u2', 'dev');

PREPARE upsert(text[], text) AS
	MERGE INTO app.users u USING unnest($1) s (id) ON u.id = s.id
	WHEN MATCHED THEN UPDATE SET visits = visits + 1
	WHEN NOT MATCHED THEN INSERT (id, instance_id) VALUES (s.id, $2);

SELECT lives_ok($$EXECUTE upsert('{u1,u2,u3}', 'dev')$$, 'MERGE takes the last seat');
SELECT throws_ok($$EXECUTE upsert('{u4}', 'dev')$$, '23I01', NULL, 'full: MERGE that inserts is refused');
SELECT throws_ok($$EXECUTE upsert('{u1,u4}', 'dev')$$, '23I01', NULL,
	'full: MERGE that updates and inserts is refused');
SELECT lives_ok($$EXECUTE upsert('{u1,u2,u3}', 'dev')$$, 'full: MERGE that updates passes');
SELECT is((SELECT sum(visits) FROM app.users), 5::bigint, 'and has updated');
SELECT lives_ok(
	$$MERGE INTO app.users u USING (VALUES ('u4')) s (id) ON u.id = s.id
	  WHEN MATCHED THEN UPDATE SET visits = 0
	  WHEN NOT MATCHED THEN DO NOTHING$$, 'full: MERGE that does nothing passes');
SELECT lives_ok(
	$$MERGE INTO app.users u USING (VALUES ('u3'), ('u4')) s (id) ON u.id = s.id
	  WHEN MATCHED THEN DELETE
	  WHEN NOT MATCHED THEN INSERT (id, instance_id) VALUES (s.id, 'dev')$$,
	'full: MERGE that deletes one user and inserts another passes');
SELECT throws_ok(
	$$MERGE INTO app.users u USING (VALUES ('u4'), ('u5'), ('u6')) s (id) ON u.id = s.id
	  WHEN MATCHED THEN DELETE
	  WHEN NOT MATCHED THEN INSERT (id, instance_id) VALUES (s.id, 'dev')$$, '23I01', NULL,
	'full: MERGE that deletes one user and inserts two is refused');
SELECT lives_ok($$EXECUTE upsert('{v1,v2}', 'dev2')$$, 'another instance still has seats');

SELECT throws_ok(
	$$MERGE INTO app.users u USING (VALUES ('u1')) s (id) ON u.id = s.id
	  WHEN MATCHED THEN UPDATE SET instance_id = 'dev2'$$, '23I02', NULL,
	'MERGE that changes the instance is refused');
SELECT throws_ok(
	$$MERGE INTO app.users u USING (VALUES ('u1')) s (id) ON u.id = s.id AND u.instance_id = 'dev2'
	  WHEN NOT MATCHED THEN INSERT (id, instance_id) VALUES (s.id, 'dev2')$$, '23505', NULL,
	'MERGE that inserts the user elsewhere meets the primary key');
SELECT throws_ok(
	$$MERGE INTO app.users u USING (VALUES ('u3')) s (id) ON u.id = s.id
	  WHEN NOT MATCHED THEN INSERT (id, instance_id) VALUES (s.id, 'dev2')$$, '23I02', NULL,
	'MERGE that brings a deleted user back elsewhere is refused');
SELECT throws_ok(
	$$MERGE INTO app.users u USING (VALUES ('x1')) s (id) ON u.id = s.id
	  WHEN NOT MATCHED THEN INSERT (id, instance_id) VALUES (s.id, 'nowhere')$$, '23I03', NULL,
	'MERGE into an unknown instance is refused');
SELECT throws_ok(
	$$MERGE INTO app.users u USING (VALUES ('x1')) s (id) ON u.id = s.id
	  WHEN NOT MATCHED THEN INSERT (id, instance_id) VALUES (s.id, 'prod')$$, '23I04', NULL,
	'MERGE into an inactive instance is refused');
SELECT results_eq($$SELECT instance_id, count(*) FROM app.users GROUP BY 1 ORDER BY 1$$,
	$$VALUES ('dev', 3::bigint), ('dev2', 2)$$, 'nothing refused has left a row');

SELECT * FROM finish();
ROLLBACK;
