-- The users' table of one variant, in a schema of its own; not guarded yet.
--
-- schema: which

SET instance_env.allow_destructive = on;
DROP SCHEMA IF EXISTS :schema CASCADE;
CREATE SCHEMA :schema;
CREATE TABLE :schema.users
(
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	instance_id uuid NOT NULL,
	email text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_instance_id ON :schema.users (instance_id);
