-- Tables of the shape that SuperTokens has, for the recipe; what the test does is in functions.
CREATE TABLE apps (app_id varchar(64) NOT NULL DEFAULT 'public' PRIMARY KEY);
CREATE TABLE tenants (
	app_id varchar(64) NOT NULL DEFAULT 'public' REFERENCES apps ON DELETE CASCADE,
	tenant_id varchar(64) NOT NULL DEFAULT 'public',
	PRIMARY KEY (app_id, tenant_id)
);
CREATE TABLE app_id_to_user_id (
	app_id varchar(64) NOT NULL DEFAULT 'public' REFERENCES apps ON DELETE CASCADE,
	user_id char(36) NOT NULL,
	recipe_id varchar(128) NOT NULL,
	PRIMARY KEY (app_id, user_id)
);
CREATE TABLE all_auth_recipe_users (
	app_id varchar(64) NOT NULL DEFAULT 'public',
	tenant_id varchar(64) NOT NULL DEFAULT 'public',
	user_id char(36) NOT NULL,
	recipe_id varchar(128) NOT NULL,
	time_joined bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (app_id, tenant_id, user_id),
	FOREIGN KEY (app_id, tenant_id) REFERENCES tenants ON DELETE CASCADE,
	FOREIGN KEY (app_id, user_id) REFERENCES app_id_to_user_id ON DELETE CASCADE
);
CREATE INDEX ON all_auth_recipe_users (time_joined DESC, user_id DESC, tenant_id DESC, app_id DESC);
CREATE TABLE emailpassword_user_to_tenant (
	app_id varchar(64) NOT NULL DEFAULT 'public',
	tenant_id varchar(64) NOT NULL DEFAULT 'public',
	user_id char(36) NOT NULL,
	email varchar(256) NOT NULL,
	PRIMARY KEY (app_id, tenant_id, user_id),
	UNIQUE (app_id, tenant_id, email),
	FOREIGN KEY (app_id, tenant_id, user_id) REFERENCES all_auth_recipe_users ON DELETE CASCADE
);
CREATE TABLE session_info (
	app_id varchar(64) NOT NULL DEFAULT 'public',
	tenant_id varchar(64) NOT NULL DEFAULT 'public',
	session_handle varchar(255) NOT NULL,
	user_id varchar(128) NOT NULL,
	PRIMARY KEY (app_id, tenant_id, session_handle),
	FOREIGN KEY (app_id, tenant_id) REFERENCES tenants ON DELETE CASCADE
);

CREATE FUNCTION add_user(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO app_id_to_user_id VALUES (split_part(instance, '/', 1), id, 'emailpassword') ON CONFLICT DO NOTHING;
	INSERT INTO all_auth_recipe_users (app_id, tenant_id, user_id, recipe_id)
	VALUES (split_part(instance, '/', 1), split_part(instance, '/', 2), id, 'emailpassword');
END $$;
CREATE FUNCTION add_dependents(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO emailpassword_user_to_tenant VALUES (split_part(instance, '/', 1), split_part(instance, '/', 2), id, id);
	INSERT INTO session_info VALUES (split_part(instance, '/', 1), split_part(instance, '/', 2), id, id);
END $$;
CREATE FUNCTION move_user(moved uuid, instance text) RETURNS void LANGUAGE sql AS
'UPDATE all_auth_recipe_users SET tenant_id = split_part(instance, ''/'', 2) WHERE user_id = moved::text';
CREATE FUNCTION drop_user(gone uuid) RETURNS void LANGUAGE sql AS '
	DELETE FROM session_info WHERE user_id = gone::text;
	DELETE FROM app_id_to_user_id WHERE user_id = gone::text';
CREATE FUNCTION dependents() RETURNS bigint LANGUAGE sql AS
'SELECT (SELECT count(*) FROM emailpassword_user_to_tenant) + (SELECT count(*) FROM session_info)';

INSERT INTO apps VALUES ('public');
INSERT INTO tenants VALUES ('public', 'public'), ('public', 'test');
SELECT add_user('public/public', '20000000-0000-4000-8000-000000000001');
SELECT add_dependents('public/public', '20000000-0000-4000-8000-000000000001');
