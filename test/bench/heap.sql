-- The users' table of one variant where next to nothing is to be done for a row: unlogged,
-- and without a key.
--
-- schema: which

SET instance_env.allow_destructive = on;
DROP SCHEMA IF EXISTS :schema CASCADE;
CREATE SCHEMA :schema;
CREATE UNLOGGED TABLE :schema.users
(
	id uuid NOT NULL,
	instance_id uuid NOT NULL,
	email text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_instance_id ON :schema.users (instance_id);
