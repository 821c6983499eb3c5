-- An identity is the same for ever: what one version has recorded, a later one must find.
-- The values are SipHash-2-4-128 by another implementation, which gives the published test
-- vector: of the label with the secret as the key, and of the user key with that as the key.
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS instance_env;
SELECT plan(6);

SELECT instance_env.create_application('shop', development_key => 'dev') \gset
UPDATE instance_env.identity_key SET secret = '00010203-0405-0607-0809-0a0b0c0d0e0f';
CREATE ROLE identity_owner;
CREATE SCHEMA identity AUTHORIZATION identity_owner;
CREATE TABLE identity.by_text (id text PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE identity.by_number (id integer PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE identity.by_uuid (id uuid PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE identity.by_numeric (id numeric PRIMARY KEY, instance_id text NOT NULL);
CREATE TABLE identity.by_float (id real PRIMARY KEY, instance_id text NOT NULL);
ALTER TABLE identity.by_text OWNER TO identity_owner;
ALTER TABLE identity.by_number OWNER TO identity_owner;
ALTER TABLE identity.by_uuid OWNER TO identity_owner;
ALTER TABLE identity.by_numeric OWNER TO identity_owner;
ALTER TABLE identity.by_float OWNER TO identity_owner;

CREATE FUNCTION pg_temp.identity_of(name text, key text) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
	PERFORM instance_env.guard(format('identity.%I', name));
	EXECUTE format('INSERT INTO identity.%I VALUES (%L, %L)', name, key, 'dev');
	EXECUTE format('DELETE FROM identity.%I', name);
	RETURN (SELECT identity FROM instance_env.departed_user);
END $$;

SELECT is(pg_temp.identity_of('by_text', 'ann'), 'c705e72b-f1fe-465e-e6bc-5ace7ce73d31', 'a text of less than a word');
DELETE FROM instance_env.departed_user;
SELECT is(pg_temp.identity_of('by_text', E'Zo\u00eb, of a longer name'), 'e84e0d40-7eec-f8aa-5b6e-4dad75469164', 'of more');
DELETE FROM instance_env.departed_user;
SELECT is(pg_temp.identity_of('by_number', '-7'), '2b6ec6f1-8afc-d48a-e6c3-4261e27a147d', 'an integer');
DELETE FROM instance_env.departed_user;
SELECT is(pg_temp.identity_of('by_uuid', 'a0000000-0000-4000-8000-000000000001'), 'aace459a-28e3-2ae9-01ef-a3eabce7998e', 'a uuid');
DELETE FROM instance_env.departed_user;
SELECT is(pg_temp.identity_of('by_numeric', '1.500'), '6fe48837-cee5-a3fd-6033-e4a4f962ac3f', 'a numeric');
DELETE FROM instance_env.departed_user;
SELECT is(pg_temp.identity_of('by_float', '0.25'), 'bd655491-c0fb-437a-6e23-9db1c3485294', 'a real');

SELECT * FROM finish();
ROLLBACK;
