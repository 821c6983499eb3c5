--
-- A mistaken bulk load into a development instance fails early.  The sequence tells how
-- far it came, since sequences do not roll back.
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT development_id FROM instance_env.create_application('bulk test',
	development_id => 'd0000000-0000-4000-8000-000000000001');
CREATE SCHEMA bulk_test;
SET search_path = bulk_test;
CREATE SEQUENCE rows_read;
CREATE TABLE users
(
	id integer PRIMARY KEY,
	instance_id uuid NOT NULL DEFAULT 'd0000000-0000-4000-8000-000000000001',
	read integer DEFAULT nextval('rows_read')
);
CREATE INDEX ON users (instance_id);
SELECT FROM instance_env.guard('users');

\copy users (id) from program 'seq 1 1000000'
SELECT last_value < 10000 AS early FROM rows_read;
SELECT setval('rows_read', 1);
COPY users (id) FROM PROGRAM 'seq 1 1000000';
SELECT last_value < 10000 AS early FROM rows_read;
SELECT setval('rows_read', 1);
INSERT INTO users SELECT generate_series(1, 1000000);
SELECT last_value < 10000 AS early FROM rows_read;
SELECT count(*) FROM users;

\copy users (id) from program 'seq 1 500'
\copy users (id) from program 'seq 501 501'
SELECT count(*) FROM users;

SET client_min_messages = warning;
DROP SCHEMA bulk_test CASCADE;
SELECT instance_env.drop_application(instance_env.application_id('bulk test'));
