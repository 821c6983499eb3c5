-- Tables of the shape that Keycloak has, for the recipe; what the test does is in functions.
CREATE TABLE realm (id varchar(36) NOT NULL PRIMARY KEY, name varchar(255) UNIQUE);
CREATE TABLE user_entity (
	id varchar(36) NOT NULL PRIMARY KEY,
	email varchar(255),
	email_constraint varchar(255),
	enabled boolean NOT NULL DEFAULT false,
	realm_id varchar(255),
	username varchar(255),
	created_timestamp bigint,
	service_account_client_link varchar(255),
	UNIQUE (realm_id, email_constraint),
	UNIQUE (realm_id, username)
);
CREATE INDEX ON user_entity (realm_id, service_account_client_link);
CREATE TABLE credential (
	id varchar(36) NOT NULL PRIMARY KEY,
	type varchar(255),
	user_id varchar(36) REFERENCES user_entity,
	secret_data text
);
CREATE TABLE user_attribute (
	id varchar(36) NOT NULL PRIMARY KEY,
	user_id varchar(36) NOT NULL REFERENCES user_entity,
	name varchar(255) NOT NULL
);
CREATE TABLE federated_identity (
	identity_provider varchar(255) NOT NULL,
	realm_id varchar(36),
	federated_user_id varchar(255),
	user_id varchar(36) NOT NULL REFERENCES user_entity,
	PRIMARY KEY (identity_provider, user_id)
);
CREATE TABLE offline_user_session (
	user_session_id varchar(36) NOT NULL,
	user_id varchar(255) NOT NULL,
	realm_id varchar(36) NOT NULL,
	offline_flag varchar(4) NOT NULL,
	PRIMARY KEY (user_session_id, offline_flag)
);

CREATE FUNCTION add_user(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO user_entity (id, enabled, realm_id, username, email_constraint) VALUES (id, true, instance, 'user ' || id, id);
END $$;
CREATE FUNCTION add_dependents(instance text, id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO credential VALUES (id, 'password', id);
	INSERT INTO user_attribute VALUES (id, id, 'locale');
	INSERT INTO federated_identity VALUES ('github', instance, 'someone', id);
	INSERT INTO offline_user_session VALUES (id, id, instance, '0');
END $$;
CREATE FUNCTION move_user(moved uuid, instance text) RETURNS void LANGUAGE sql AS
'UPDATE user_entity SET realm_id = instance WHERE id = moved::text';
-- nothing cascades: the service deletes what refers to the user first
CREATE FUNCTION drop_user(gone uuid) RETURNS void LANGUAGE sql AS '
	DELETE FROM federated_identity WHERE user_id = gone::text;
	DELETE FROM user_attribute WHERE user_id = gone::text;
	DELETE FROM credential WHERE user_id = gone::text;
	DELETE FROM offline_user_session WHERE user_id = gone::text;
	DELETE FROM user_entity WHERE id = gone::text';
CREATE FUNCTION dependents() RETURNS bigint LANGUAGE sql AS
'SELECT (SELECT count(*) FROM credential) + (SELECT count(*) FROM user_attribute) + (SELECT count(*) FROM federated_identity)';

INSERT INTO realm VALUES ('50000000-0000-4000-8000-0000000000aa', 'master'),
	('50000000-0000-4000-8000-00000000000d', 'shop-dev'), ('50000000-0000-4000-8000-00000000000f', 'shop');
SELECT add_user('50000000-0000-4000-8000-0000000000aa', '20000000-0000-4000-8000-0000000000aa');
SELECT add_user('50000000-0000-4000-8000-00000000000f', '20000000-0000-4000-8000-000000000001');
SELECT add_dependents('50000000-0000-4000-8000-00000000000f', '20000000-0000-4000-8000-000000000001');
