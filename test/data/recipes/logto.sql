-- Tables of the shape that Logto has, for the recipe; what the test does is in functions.
CREATE TABLE tenants (id varchar(21) NOT NULL PRIMARY KEY, db_user varchar(128) UNIQUE);
INSERT INTO tenants VALUES ('default', 'tenant_default'), ('default-dev', 'tenant_dev'), ('admin', 'tenant_admin');
CREATE FUNCTION set_tenant_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.tenant_id IS NULL THEN
		new.tenant_id := (SELECT id FROM tenants WHERE db_user = coalesce(current_setting('recipe.db_user', true), ''));
	END IF;
	RETURN new;
END $$;
CREATE TABLE users (
	tenant_id varchar(21) NOT NULL REFERENCES tenants ON UPDATE CASCADE ON DELETE CASCADE,
	id varchar(36) NOT NULL,
	username varchar(128),
	is_suspended boolean NOT NULL DEFAULT false,
	PRIMARY KEY (id),
	UNIQUE (tenant_id, username)
);
CREATE INDEX ON users (tenant_id, id);
CREATE TABLE roles (
	tenant_id varchar(21) NOT NULL REFERENCES tenants ON UPDATE CASCADE ON DELETE CASCADE,
	id varchar(21) NOT NULL PRIMARY KEY
);
CREATE TABLE users_roles (
	tenant_id varchar(21) NOT NULL REFERENCES tenants ON UPDATE CASCADE ON DELETE CASCADE,
	id varchar(36) NOT NULL PRIMARY KEY,
	user_id varchar(36) NOT NULL REFERENCES users ON UPDATE CASCADE ON DELETE CASCADE,
	role_id varchar(21) NOT NULL REFERENCES roles ON UPDATE CASCADE ON DELETE CASCADE,
	UNIQUE (tenant_id, user_id, role_id)
);
CREATE TABLE organizations (
	tenant_id varchar(21) NOT NULL REFERENCES tenants ON UPDATE CASCADE ON DELETE CASCADE,
	id varchar(21) NOT NULL PRIMARY KEY
);
CREATE TABLE organization_user_relations (
	tenant_id varchar(21) NOT NULL REFERENCES tenants ON UPDATE CASCADE ON DELETE CASCADE,
	organization_id varchar(21) NOT NULL REFERENCES organizations ON UPDATE CASCADE ON DELETE CASCADE,
	user_id varchar(36) NOT NULL REFERENCES users ON UPDATE CASCADE ON DELETE CASCADE,
	PRIMARY KEY (tenant_id, organization_id, user_id)
);
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY '{users, roles, users_roles, organizations, organization_user_relations}'::text[] LOOP
		EXECUTE format('CREATE TRIGGER set_tenant_id BEFORE INSERT ON %I FOR EACH ROW EXECUTE FUNCTION set_tenant_id()', t);
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY of_tenant ON %I USING (tenant_id = (SELECT id FROM tenants WHERE db_user = current_user))', t);
	END LOOP;
END $$;

CREATE FUNCTION add_user(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	-- without a tenant, if the trigger can say it
	PERFORM set_config('recipe.db_user', coalesce((SELECT db_user FROM tenants t WHERE t.id = instance), ''), false);
	INSERT INTO users (tenant_id, id, username)
	VALUES (CASE WHEN EXISTS (SELECT FROM tenants t WHERE t.id = instance) THEN NULL ELSE instance END, id, 'user ' || id);
END $$;
CREATE FUNCTION add_dependents(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO roles VALUES (instance, instance || ' role') ON CONFLICT DO NOTHING;
	INSERT INTO users_roles VALUES (instance, id, id, instance || ' role');
	INSERT INTO organizations VALUES (instance, instance || ' org') ON CONFLICT DO NOTHING;
	INSERT INTO organization_user_relations VALUES (instance, instance || ' org', id);
END $$;
CREATE FUNCTION move_user(moved uuid, instance text) RETURNS void LANGUAGE sql AS
'UPDATE users SET tenant_id = instance WHERE id = moved::text';
CREATE FUNCTION drop_user(gone uuid) RETURNS void LANGUAGE sql AS 'DELETE FROM users WHERE id = gone::text';
CREATE FUNCTION dependents() RETURNS bigint LANGUAGE sql AS
'SELECT (SELECT count(*) FROM users_roles) + (SELECT count(*) FROM organization_user_relations)';

SELECT add_user('admin', '20000000-0000-4000-8000-0000000000aa');
SELECT add_user('default', '20000000-0000-4000-8000-000000000001');
SELECT add_dependents('default', '20000000-0000-4000-8000-000000000001');
