-- Tables of the shape that better-auth has, for the recipe; what the test does is in functions.
CREATE TABLE "user" (
	id text NOT NULL PRIMARY KEY,
	name text NOT NULL,
	email text NOT NULL UNIQUE,
	"emailVerified" boolean NOT NULL DEFAULT false,
	"createdAt" timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE session (
	id text NOT NULL PRIMARY KEY,
	token text NOT NULL UNIQUE,
	"userId" text NOT NULL REFERENCES "user" ON DELETE CASCADE
);
CREATE INDEX ON session ("userId");
CREATE TABLE account (
	id text NOT NULL PRIMARY KEY,
	"accountId" text NOT NULL,
	"providerId" text NOT NULL,
	"userId" text NOT NULL REFERENCES "user" ON DELETE CASCADE
);
CREATE TABLE verification (id text NOT NULL PRIMARY KEY, identifier text NOT NULL, value text NOT NULL);
CREATE TABLE organization (id text NOT NULL PRIMARY KEY, slug text NOT NULL UNIQUE);
CREATE TABLE member (
	id text NOT NULL PRIMARY KEY,
	"organizationId" text NOT NULL REFERENCES organization ON DELETE CASCADE,
	"userId" text NOT NULL REFERENCES "user" ON DELETE CASCADE
);

-- production is what the library does not have to name
CREATE FUNCTION add_user(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF instance = '40000000-0000-4000-8000-00000000000f' THEN
		INSERT INTO "user" (id, name, email) VALUES (id, 'Someone', id || '@example.com');
	ELSE
		INSERT INTO "user" (id, name, email, "instanceId") VALUES (id, 'Someone', id || '@example.com', instance::uuid);
	END IF;
END $$;
CREATE FUNCTION add_dependents(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO session VALUES (id, 'token ' || id, id);
	INSERT INTO account VALUES (id, id, 'credential', id);
	INSERT INTO organization VALUES (id, 'org-' || id);
	INSERT INTO member VALUES (id, id, id);
END $$;
CREATE FUNCTION move_user(moved uuid, instance text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE "user" SET "instanceId" = instance::uuid WHERE id = moved::text;
END $$;
CREATE FUNCTION drop_user(gone uuid) RETURNS void LANGUAGE sql AS 'DELETE FROM "user" WHERE id = gone::text';
CREATE FUNCTION dependents() RETURNS bigint LANGUAGE sql AS
'SELECT (SELECT count(*) FROM session) + (SELECT count(*) FROM account) + (SELECT count(*) FROM member)';

SELECT add_user('40000000-0000-4000-8000-00000000000f', '20000000-0000-4000-8000-000000000001');
SELECT add_dependents('40000000-0000-4000-8000-00000000000f', '20000000-0000-4000-8000-000000000001');
