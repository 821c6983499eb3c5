-- Tables of the shape that Supabase Auth has, for the recipe; what the test does is in functions.
CREATE SCHEMA auth;
CREATE TABLE auth.users (
	instance_id uuid,
	id uuid NOT NULL PRIMARY KEY,
	aud varchar(255),
	email varchar(255),
	created_at timestamptz DEFAULT now(),
	is_sso_user boolean NOT NULL DEFAULT false,
	deleted_at timestamptz
);
CREATE UNIQUE INDEX ON auth.users (email) WHERE NOT is_sso_user;
CREATE INDEX ON auth.users (instance_id, lower(email));
CREATE TABLE auth.identities (
	id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	provider_id text NOT NULL,
	user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
	provider text NOT NULL,
	UNIQUE (provider_id, provider)
);
CREATE TABLE auth.sessions (
	id uuid NOT NULL PRIMARY KEY,
	user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE
);
CREATE TABLE auth.refresh_tokens (
	instance_id uuid,
	id bigserial PRIMARY KEY,
	token varchar(255) UNIQUE,
	user_id varchar(255),
	session_id uuid REFERENCES auth.sessions ON DELETE CASCADE
);
CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, handle text);

CREATE FUNCTION add_user(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO auth.users (instance_id, id, aud, email) VALUES (instance::uuid, id, 'authenticated', id || '@example.com');
END $$;
CREATE FUNCTION add_dependents(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO auth.identities (provider_id, user_id, provider) VALUES (id, id, 'email');
	INSERT INTO auth.sessions (id, user_id) VALUES (id, id);
	INSERT INTO auth.refresh_tokens (instance_id, token, user_id, session_id) VALUES (instance::uuid, id, id, id);
	INSERT INTO profiles VALUES (id, 'someone');
END $$;
CREATE FUNCTION move_user(moved uuid, instance text) RETURNS void LANGUAGE sql AS
'UPDATE auth.users SET instance_id = instance::uuid WHERE id = moved';
CREATE FUNCTION drop_user(gone uuid) RETURNS void LANGUAGE sql AS 'DELETE FROM auth.users WHERE id = gone';
CREATE FUNCTION dependents() RETURNS bigint LANGUAGE sql AS
'SELECT (SELECT count(*) FROM auth.identities) + (SELECT count(*) FROM auth.refresh_tokens) + (SELECT count(*) FROM profiles)';

SELECT add_user('00000000-0000-0000-0000-000000000000', '20000000-0000-4000-8000-000000000001');
SELECT add_dependents('00000000-0000-0000-0000-000000000000', '20000000-0000-4000-8000-000000000001');
