-- The library watches what is dropped in every database of a server that preloads it. One
-- without the extension is none of its business, whatever there is of the same names.
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
DROP EXTENSION IF EXISTS instance_env CASCADE;
LOAD 'instance_env';
SELECT plan(20);

CREATE FUNCTION pg_temp.try(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	statement text;
BEGIN
	CREATE TABLE plain (a text PRIMARY KEY);
	CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER instance_env_user_cap AFTER INSERT ON plain EXECUTE FUNCTION nothing();
	CREATE INDEX plain_idx ON plain (a);
	INSERT INTO plain VALUES ('one'), ('two');
	FOREACH statement IN ARRAY ARRAY['DELETE FROM plain WHERE a = ''one''', 'TRUNCATE plain',
		'DROP TRIGGER instance_env_user_cap ON plain', 'DROP FUNCTION nothing()', 'DROP INDEX plain_idx', 'DROP TABLE plain']
	LOOP
		RETURN NEXT lives_ok(statement, what || ': ' || statement);
	END LOOP;
END $$;

SELECT pg_temp.try('nothing');
CREATE SCHEMA instance_env;
SELECT pg_temp.try('a schema');
-- a stranger's schema and table
CREATE TABLE instance_env.instance (id integer PRIMARY KEY);
CREATE FUNCTION instance_env.check_user_cap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT pg_temp.try('a table');
SELECT lives_ok('DROP FUNCTION instance_env.check_user_cap()', 'a function of a name of ours');
SELECT lives_ok('DROP SCHEMA instance_env CASCADE', 'all of it');

SELECT * FROM finish();
ROLLBACK;
