-- Tables of the shape that Ory Kratos has, for the recipe; what the test does is in functions.
CREATE TABLE networks (id uuid NOT NULL PRIMARY KEY);
CREATE TABLE identities (
	id uuid NOT NULL PRIMARY KEY,
	nid uuid REFERENCES networks ON UPDATE RESTRICT ON DELETE CASCADE,
	schema_id varchar(2048) NOT NULL DEFAULT 'default',
	traits jsonb NOT NULL DEFAULT '{}',
	state varchar(255) NOT NULL DEFAULT 'active'
);
CREATE INDEX ON identities (id, nid);
CREATE TABLE identity_credentials (
	id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	nid uuid REFERENCES networks ON UPDATE RESTRICT ON DELETE CASCADE,
	identity_id uuid NOT NULL REFERENCES identities ON DELETE CASCADE,
	config jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE identity_credential_identifiers (
	id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	nid uuid REFERENCES networks ON UPDATE RESTRICT ON DELETE CASCADE,
	identity_credential_id uuid NOT NULL REFERENCES identity_credentials ON DELETE CASCADE,
	identifier varchar(255) NOT NULL
);
CREATE TABLE identity_verifiable_addresses (
	id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	nid uuid REFERENCES networks ON UPDATE RESTRICT ON DELETE CASCADE,
	identity_id uuid NOT NULL REFERENCES identities ON DELETE CASCADE,
	value varchar(400) NOT NULL
);
CREATE TABLE identity_recovery_addresses (LIKE identity_verifiable_addresses INCLUDING ALL,
	FOREIGN KEY (identity_id) REFERENCES identities ON DELETE CASCADE);
CREATE TABLE sessions (
	id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	nid uuid REFERENCES networks ON UPDATE RESTRICT ON DELETE CASCADE,
	identity_id uuid NOT NULL REFERENCES identities ON DELETE CASCADE,
	active boolean DEFAULT true
);
CREATE TABLE continuity_containers (
	id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
	nid uuid REFERENCES networks ON UPDATE RESTRICT ON DELETE CASCADE,
	identity_id uuid REFERENCES identities ON DELETE CASCADE
);

CREATE FUNCTION add_user(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO identities (id, nid) VALUES (id, instance::uuid);
END $$;
CREATE FUNCTION add_dependents(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	WITH credential AS (
		INSERT INTO identity_credentials (nid, identity_id) VALUES (instance::uuid, id) RETURNING identity_credentials.id)
	INSERT INTO identity_credential_identifiers (nid, identity_credential_id, identifier)
	SELECT instance::uuid, credential.id, 'someone' FROM credential;
	INSERT INTO identity_verifiable_addresses (nid, identity_id, value) VALUES (instance::uuid, id, 'someone@example.com');
	INSERT INTO identity_recovery_addresses (nid, identity_id, value) VALUES (instance::uuid, id, 'someone@example.com');
	INSERT INTO sessions (nid, identity_id) VALUES (instance::uuid, id);
END $$;
CREATE FUNCTION move_user(moved uuid, instance text) RETURNS void LANGUAGE sql AS
'UPDATE identities SET nid = instance::uuid WHERE id = moved';
CREATE FUNCTION drop_user(gone uuid) RETURNS void LANGUAGE sql AS 'DELETE FROM identities WHERE id = gone';
CREATE FUNCTION dependents() RETURNS bigint LANGUAGE sql AS
'SELECT (SELECT count(*) FROM identity_credential_identifiers) + (SELECT count(*) FROM identity_recovery_addresses)
	+ (SELECT count(*) FROM sessions)';

INSERT INTO networks VALUES ('30000000-0000-4000-8000-00000000000d'), ('30000000-0000-4000-8000-00000000000f');
SELECT add_user('30000000-0000-4000-8000-00000000000f', '20000000-0000-4000-8000-000000000001');
SELECT add_dependents('30000000-0000-4000-8000-00000000000f', '20000000-0000-4000-8000-000000000001');
