-- config: how instances are configured: settings, social connections, features and plans; and
-- how that is exported, imported and compared.

--
-- Settings
--

CREATE TABLE instance_env.setting_section
(
	name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]*$'),
	cloned boolean NOT NULL,
	description text NOT NULL,
	builtin boolean NOT NULL DEFAULT false,
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE instance_env.setting_section IS
'catalogue of the sections of settings: the part of a setting''s name before its first dot';
COMMENT ON COLUMN instance_env.setting_section.name IS
'the section, as in the name of a setting before its first dot';
COMMENT ON COLUMN instance_env.setting_section.cloned IS
'do promote() and create_staging_application() copy these settings?';
COMMENT ON COLUMN instance_env.setting_section.description IS
'what its settings are about';
COMMENT ON COLUMN instance_env.setting_section.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.setting_section.changed IS
'a builtin row was changed since, so a dump takes it along';
SELECT pg_catalog.pg_extension_config_dump('instance_env.setting_section', 'WHERE NOT builtin OR changed');
INSERT INTO instance_env.setting_section VALUES
	('session', true, 'sessions and their tokens', true),
	('sign_in', true, 'how users sign in', true),
	('sign_up', true, 'how users sign up', true),
	('user', true, 'what users may do with their accounts', true),
	('email', true, 'e-mail messages and their templates', true),
	('sms', true, 'SMS messages and their templates', true),
	('restrictions', true, 'who may sign up', true),
	('branding', true, 'names, logos and colours', true),
	('redirect', true, 'where users are sent afterwards', true),
	('security', true, 'protection against attacks', true),
	('sso', false, 'SSO connections', true),
	('integration', false, 'integrations with other services', true),
	('path', false, 'paths of the application''s own pages', true),
	('webhook', false, 'endpoints that are told of events; those of one environment are not those of the other', true),
	('billing', false, 'the account that is paid into; development has a test account', true),
	('test', false, 'test mode and test identities', true);

CREATE TABLE instance_env.setting
(
	instance uuid,
	name text COLLATE "C",
	value jsonb NOT NULL,
	PRIMARY KEY (instance, name)
);
COMMENT ON TABLE instance_env.setting IS
'the settings of instances';
COMMENT ON COLUMN instance_env.setting.instance IS
'the instance that has the setting';
COMMENT ON COLUMN instance_env.setting.name IS
'its section, a dot, and one name or more with dots between them';
COMMENT ON COLUMN instance_env.setting.value IS
'the value; JSON''s null is one, too';
SELECT pg_catalog.pg_extension_config_dump('instance_env.setting', '');

CREATE FUNCTION instance_env.setting_in_use(value jsonb) RETURNS boolean
LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT
AS 'MODULE_PATHNAME', 'instance_env_setting_in_use';
COMMENT ON FUNCTION instance_env.setting_in_use(jsonb) IS
'does a setting with this value use anything? not if it is false, null, 0, empty, a word such as "off", or {"enabled": false}';

CREATE FUNCTION instance_env.set_setting(instance uuid, name text, value jsonb, expected_version bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_setting';
COMMENT ON FUNCTION instance_env.set_setting(uuid, text, jsonb, bigint) IS
'sets a setting of an instance, or removes it where the value is null, and returns the config_version';

CREATE FUNCTION instance_env.setting(instance uuid, name text)
RETURNS jsonb
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_setting';
COMMENT ON FUNCTION instance_env.setting(uuid, text) IS
'the value of an instance''s setting, or null where it is not set';

CREATE FUNCTION instance_env.settings(instance uuid)
RETURNS TABLE (name text, value jsonb)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_settings';
COMMENT ON FUNCTION instance_env.settings(uuid) IS
'the settings of an instance';

CREATE FUNCTION instance_env.config_version(instance uuid)
RETURNS bigint
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_config_version';
COMMENT ON FUNCTION instance_env.config_version(uuid) IS
'rises with every change of an instance''s configuration; what set_setting() expects';

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.setting_section
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.setting_section
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.setting_section
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.setting_section
	FOR EACH ROW WHEN (NEW.builtin) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.setting_section
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;
ALTER TABLE instance_env.setting_section ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.setting_section ENABLE ALWAYS TRIGGER replace_builtin;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.setting
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.setting
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.setting
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE VIEW instance_env.setting_sections AS
SELECT s.name, s.cloned, s.description, s.builtin FROM instance_env.setting_section s;
COMMENT ON VIEW instance_env.setting_sections IS
'the catalogue of the sections of settings';
COMMENT ON COLUMN instance_env.setting_sections.name IS
'the section, as in the name of a setting before its first dot';
COMMENT ON COLUMN instance_env.setting_sections.cloned IS
'do promote() and create_staging_application() copy these settings?';
COMMENT ON COLUMN instance_env.setting_sections.description IS
'what its settings are about';
COMMENT ON COLUMN instance_env.setting_sections.builtin IS
'does the extension bring it?';

--
-- Social connections
--

CREATE TYPE instance_env.credential_source AS ENUM ('shared', 'own');
COMMENT ON TYPE instance_env.credential_source IS
'whose credentials a social connection uses; shared ones are for development only';

CREATE TABLE instance_env.social_provider
(
	name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
	offers_shared boolean NOT NULL,
	builtin boolean NOT NULL DEFAULT false,
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE instance_env.social_provider IS
'catalogue of the providers of social connections';
COMMENT ON COLUMN instance_env.social_provider.name IS
'the name of the provider';
COMMENT ON COLUMN instance_env.social_provider.offers_shared IS
'may a development instance use credentials that it shares with others?';
COMMENT ON COLUMN instance_env.social_provider.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.social_provider.changed IS
'a builtin row was changed since, so a dump takes it along';
SELECT pg_catalog.pg_extension_config_dump('instance_env.social_provider', 'WHERE NOT builtin OR changed');
INSERT INTO instance_env.social_provider (name, offers_shared, builtin) VALUES
	('apple', true, true),
	('atlassian', true, true),
	('bitbucket', true, true),
	('box', true, true),
	('coinbase', true, true),
	('discord', true, true),
	('dropbox', true, true),
	('facebook', true, true),
	('github', true, true),
	('gitlab', true, true),
	('google', true, true),
	('hubspot', true, true),
	('huggingface', true, true),
	('line', true, true),
	('linear', true, true),
	('linkedin', true, true),
	('microsoft', true, true),
	('notion', true, true),
	('slack', true, true),
	('spotify', false, true),
	('tiktok', false, true),
	('twitch', true, true),
	('twitter', false, true),
	('vercel', true, true),
	('x', true, true),
	('xero', true, true);

-- The type is repeated here so that the rule holds in the row itself, whatever order
-- the tables are loaded in.
CREATE TABLE instance_env.social_connection
(
	instance uuid,
	provider text COLLATE "C",
	instance_type instance_env.instance_type NOT NULL,
	source instance_env.credential_source NOT NULL,
	client_id text CHECK (client_id <> ''),
	secret_reference text CHECK (secret_reference <> ''),
	scopes text[],
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (instance, provider),
	CONSTRAINT social_connection_own_credentials CHECK
		(source = 'own' OR (instance_type = 'development' AND scopes IS NULL)),
	CHECK (CASE source WHEN 'own' THEN client_id IS NOT NULL AND secret_reference IS NOT NULL
		   ELSE client_id IS NULL AND secret_reference IS NULL END)
);
COMMENT ON TABLE instance_env.social_connection IS
'the social connections that instances have enabled';
COMMENT ON COLUMN instance_env.social_connection.instance IS
'the instance that has enabled the connection';
COMMENT ON COLUMN instance_env.social_connection.provider IS
'a provider of the catalogue, or one with a name that begins with custom_';
COMMENT ON COLUMN instance_env.social_connection.instance_type IS
'the type of the instance, which never changes';
COMMENT ON COLUMN instance_env.social_connection.source IS
'whether the credentials are its own or shared';
COMMENT ON COLUMN instance_env.social_connection.client_id IS
'the id that the provider has given to the application; null if credentials are shared';
COMMENT ON COLUMN instance_env.social_connection.secret_reference IS
'where the application keeps the client secret, which is never stored itself; null if credentials are shared';
COMMENT ON COLUMN instance_env.social_connection.scopes IS
'what is asked for beyond the provider''s default, which needs own credentials; null if nothing';
COMMENT ON COLUMN instance_env.social_connection.created_at IS
'when it was first enabled';
SELECT pg_catalog.pg_extension_config_dump('instance_env.social_connection', '');

CREATE FUNCTION instance_env.set_social_connection(
	instance uuid,
	provider text,
	client_id text DEFAULT NULL,
	secret_reference text DEFAULT NULL,
	scopes text[] DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_social_connection';
COMMENT ON FUNCTION instance_env.set_social_connection(uuid, text, text, text, text[]) IS
'enables a social connection, with credentials of its own or, in development, shared ones';

CREATE FUNCTION instance_env.remove_social_connection(instance uuid, provider text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_remove_social_connection';
COMMENT ON FUNCTION instance_env.remove_social_connection(uuid, text) IS
'disables a social connection';

CREATE FUNCTION instance_env.social_credentials(
	instance uuid,
	provider text,
	OUT source instance_env.credential_source,
	OUT client_id text,
	OUT secret_reference text,
	OUT scopes text[])
RETURNS record
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_social_credentials';
COMMENT ON FUNCTION instance_env.social_credentials(uuid, text) IS
'whose credentials an instance uses with a provider that it has enabled';

CREATE FUNCTION instance_env.check_credentials() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_check_credentials';
COMMENT ON FUNCTION instance_env.check_credentials() IS
'trigger: refuses shared credentials in production';

CREATE FUNCTION instance_env.check_connections() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_check_connections';
COMMENT ON FUNCTION instance_env.check_connections() IS
'trigger: refuses an instance of another type than its social connections say';

CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.social_provider
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.social_provider
	FOR EACH ROW WHEN (NEW.builtin) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.social_provider ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.social_provider ENABLE ALWAYS TRIGGER replace_builtin;

CREATE TRIGGER check_credentials BEFORE INSERT OR UPDATE ON instance_env.social_connection
	FOR EACH ROW EXECUTE FUNCTION instance_env.check_credentials();
ALTER TABLE instance_env.social_connection ENABLE ALWAYS TRIGGER check_credentials;

CREATE TRIGGER check_connections AFTER INSERT ON instance_env.instance
	FOR EACH ROW EXECUTE FUNCTION instance_env.check_connections();
ALTER TABLE instance_env.instance ENABLE ALWAYS TRIGGER check_connections;

CREATE VIEW instance_env.social_providers AS
SELECT p.name, p.offers_shared, p.builtin FROM instance_env.social_provider p;
COMMENT ON VIEW instance_env.social_providers IS
'the catalogue of social providers';
COMMENT ON COLUMN instance_env.social_providers.name IS
'the name of the provider';
COMMENT ON COLUMN instance_env.social_providers.offers_shared IS
'may a development instance use credentials that it shares with others?';
COMMENT ON COLUMN instance_env.social_providers.builtin IS
'does the extension bring it?';

CREATE VIEW instance_env.social_connections AS
SELECT a.name AS application, i.type, c.provider, c.source, c.client_id, c.scopes, c.created_at,
	i.id AS instance_id, i.application AS application_id
FROM instance_env.social_connection c
	JOIN instance_env.instance i ON i.id = c.instance
	JOIN instance_env.application a ON a.id = i.application;
COMMENT ON VIEW instance_env.social_connections IS
'the social connections of instances, without the references to their secrets';
COMMENT ON COLUMN instance_env.social_connections.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.social_connections.type IS
'the type of the instance';
COMMENT ON COLUMN instance_env.social_connections.provider IS
'the name of the provider';
COMMENT ON COLUMN instance_env.social_connections.source IS
'whether the credentials are its own or shared';
COMMENT ON COLUMN instance_env.social_connections.client_id IS
'the id that the provider has given to the application; null if credentials are shared';
COMMENT ON COLUMN instance_env.social_connections.scopes IS
'what is asked for beyond the provider''s default; null if nothing';
COMMENT ON COLUMN instance_env.social_connections.created_at IS
'when it was first enabled';
COMMENT ON COLUMN instance_env.social_connections.instance_id IS
'the id of the instance';
COMMENT ON COLUMN instance_env.social_connections.application_id IS
'the id of the application';

--
-- Export, import, drift
--

CREATE FUNCTION instance_env.export_settings(instance uuid)
RETURNS jsonb
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_export_settings';
COMMENT ON FUNCTION instance_env.export_settings(uuid) IS
'what an instance has set itself: settings, policies, features, and social connections without their secrets';

CREATE FUNCTION instance_env.import_settings(instance uuid, settings jsonb, dry_run boolean DEFAULT false)
RETURNS TABLE (step text, item text, before jsonb, after jsonb)
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_import_settings';
COMMENT ON FUNCTION instance_env.import_settings(uuid, jsonb, boolean) IS
'gives an instance what export_settings() returned, and says what that changes and what is left out';

CREATE FUNCTION instance_env.instance_diff(application uuid)
RETURNS TABLE (kind text, item text, development jsonb, production jsonb, ahead text)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_instance_diff';
COMMENT ON FUNCTION instance_env.instance_diff(uuid) IS
'where an application''s two instances are set differently, and on which side that was changed last';

CREATE FUNCTION instance_env.instance_diff(application text)
RETURNS TABLE (kind text, item text, development jsonb, production jsonb, ahead text)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_instance_diff_by_name';
COMMENT ON FUNCTION instance_env.instance_diff(text) IS
'the same by the application''s name';

CREATE FUNCTION instance_env.instance_diff(a uuid, b uuid)
RETURNS TABLE (kind text, item text, a jsonb, b jsonb, ahead text)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_instance_diff_of_two';
COMMENT ON FUNCTION instance_env.instance_diff(uuid, uuid) IS
'where any two instances are set differently, and which of them was changed last';

--
-- Features and plans
--

CREATE TABLE instance_env.feature
(
	name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
	plan instance_env.plan NOT NULL,
	production_only boolean NOT NULL DEFAULT false,
	development_limit integer CHECK (development_limit > 0),
	settings text[] COLLATE "C" NOT NULL DEFAULT '{}'
		CHECK (settings::text ~ '^[{]([a-z][a-z0-9_]*([.][a-z0-9_]+)+(,[a-z][a-z0-9_]*([.][a-z0-9_]+)+)*)?[}]$'),
	description text NOT NULL,
	builtin boolean NOT NULL DEFAULT false,
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE instance_env.feature IS
'catalogue of the features that depend on the plan or on the type of an instance';
COMMENT ON COLUMN instance_env.feature.name IS
'the name of the feature';
COMMENT ON COLUMN instance_env.feature.plan IS
'the lowest plan that covers it in production; in development all of them do';
COMMENT ON COLUMN instance_env.feature.production_only IS
'is it unavailable in development?';
COMMENT ON COLUMN instance_env.feature.development_limit IS
'the most of it that a development instance may use; null means no limit';
COMMENT ON COLUMN instance_env.feature.settings IS
'the settings that use it, each with all whose names continue its own after a dot, unless their value says that they do not';
COMMENT ON COLUMN instance_env.feature.description IS
'what the feature does';
COMMENT ON COLUMN instance_env.feature.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.feature.changed IS
'a builtin row was changed since, so a dump takes it along';
SELECT pg_catalog.pg_extension_config_dump('instance_env.feature', 'WHERE NOT builtin OR changed');
INSERT INTO instance_env.feature (name, plan, production_only, development_limit, settings, description, builtin) VALUES
	('allowlist', 'pro', false, NULL, '{restrictions.allowlist}', 'only listed addresses may sign up', true),
	('blocklist', 'pro', false, NULL, '{restrictions.blocklist}', 'listed addresses may not sign up', true),
	('bot_protection', 'free', true, NULL, '{security.bot_protection,sign_up.bot_protection}', 'sign-ups by bots are refused', true),
	('branding_removal', 'pro', false, NULL, '{branding.hide_service}', 'pages do not name the service', true),
	('custom_roles', 'pro', false, NULL, '{user.custom_roles}', 'roles in organizations beyond the standard ones', true),
	('custom_session_lifetime', 'pro', false, NULL, '{session.lifetime}', 'sessions end when the application says', true),
	('enterprise_connections', 'pro', false, 25, '{sso.enterprise,sso.oidc,sso.saml}',
		'single sign-on through a customer''s identity provider', true),
	('passkeys', 'pro', false, NULL, '{sign_in.passkeys}', 'users sign in with passkeys', true),
	('phone_sign_in', 'pro', false, NULL, '{sign_in.phone}', 'users sign in with a phone number', true),
	('satellite_domains', 'pro', false, NULL, '{}', 'further domains share the sessions of the primary one', true),
	('unauthorized_sign_in', 'pro', false, NULL, '{security.unauthorized_sign_in}',
		'users hear of a sign-in from a new device and can end it', true);

CREATE TABLE instance_env.instance_feature
(
	instance uuid,
	feature text COLLATE "C",
	quantity integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
	enabled_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (instance, feature)
);
COMMENT ON TABLE instance_env.instance_feature IS
'the features that instances use';
COMMENT ON COLUMN instance_env.instance_feature.instance IS
'the instance that uses the feature';
COMMENT ON COLUMN instance_env.instance_feature.feature IS
'the name of the feature';
COMMENT ON COLUMN instance_env.instance_feature.quantity IS
'how much of it the instance uses, in units of the feature';
COMMENT ON COLUMN instance_env.instance_feature.enabled_at IS
'when its use was first recorded';
SELECT pg_catalog.pg_extension_config_dump('instance_env.instance_feature', '');

-- These two run as the caller, since an application asks them on every request; what
-- they read from the registry they read as its owner.
CREATE FUNCTION instance_env.feature_available(instance uuid, feature text)
RETURNS boolean
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_feature_available';
COMMENT ON FUNCTION instance_env.feature_available(uuid, text) IS
'may an instance use a feature?';

CREATE FUNCTION instance_env.require_feature(instance uuid, feature text)
RETURNS void
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_require_feature';
COMMENT ON FUNCTION instance_env.require_feature(uuid, text) IS
'refuses a feature that an instance may not use';

CREATE FUNCTION instance_env.enable_feature(instance uuid, feature text, quantity integer DEFAULT 1)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_enable_feature';
COMMENT ON FUNCTION instance_env.enable_feature(uuid, text, integer) IS
'records that an instance uses a feature, and how much of it';

CREATE FUNCTION instance_env.disable_feature(instance uuid, feature text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_disable_feature';
COMMENT ON FUNCTION instance_env.disable_feature(uuid, text) IS
'records that an instance no longer uses a feature';

CREATE FUNCTION instance_env.set_plan(application uuid, plan instance_env.plan)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_plan';
COMMENT ON FUNCTION instance_env.set_plan(uuid, instance_env.plan) IS
'puts an application on a plan, which must cover the features that production uses';

CREATE FUNCTION instance_env.set_plan(application text, plan instance_env.plan)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_plan_by_name';
COMMENT ON FUNCTION instance_env.set_plan(text, instance_env.plan) IS
'the same by the application''s name';

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.feature
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.feature
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.feature
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.feature
	FOR EACH ROW WHEN (NEW.builtin) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.feature
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;
ALTER TABLE instance_env.feature ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.feature ENABLE ALWAYS TRIGGER replace_builtin;

CREATE VIEW instance_env.features AS
SELECT f.name, f.plan, f.production_only, f.development_limit, f.settings, f.description, f.builtin FROM instance_env.feature f;
COMMENT ON VIEW instance_env.features IS
'the catalogue of features';
COMMENT ON COLUMN instance_env.features.name IS
'the name of the feature';
COMMENT ON COLUMN instance_env.features.plan IS
'the lowest plan that covers it in production';
COMMENT ON COLUMN instance_env.features.production_only IS
'is it unavailable in development?';
COMMENT ON COLUMN instance_env.features.development_limit IS
'the most of it that a development instance may use; null means no limit';
COMMENT ON COLUMN instance_env.features.settings IS
'the settings that use it, each with all whose names continue its own after a dot, unless their value says that they do not';
COMMENT ON COLUMN instance_env.features.description IS
'what the feature does';
COMMENT ON COLUMN instance_env.features.builtin IS
'does the extension bring it?';

-- After all parts: it counts satellite domains.

-- set_plan() asks here, so what counts as use is said once.  The id is that of u, so that each
-- of its parts reads only what a query asks for.
CREATE VIEW instance_env.instance_features AS
SELECT a.name AS application, i.type, u.feature, max(u.quantity) AS quantity, f.plan AS needed_plan,
	a.plan >= f.plan AS covered, array_agg(DISTINCT u.used_by ORDER BY u.used_by) AS used_by,
	u.instance AS instance_id, i.application AS application_id
FROM (
		SELECT e.instance, e.feature, e.quantity, 'enabled' COLLATE "C" AS used_by FROM instance_env.instance_feature e
		UNION ALL
		SELECT d.instance, 'satellite_domains', (count(*) OVER (PARTITION BY d.instance))::integer, 'domain:' || d.name
		FROM instance_env.domain d WHERE NOT d.is_primary
		UNION ALL
		SELECT s.instance, f.name, 1, 'setting:' || s.name
		FROM instance_env.feature f, unnest(f.settings) n, instance_env.setting s
		WHERE (s.name = n OR starts_with(s.name, n || '.')) AND instance_env.setting_in_use(s.value)
	) u
	JOIN instance_env.instance i ON i.id = u.instance
	JOIN instance_env.application a ON a.id = i.application
	LEFT JOIN instance_env.feature f ON f.name = u.feature
GROUP BY a.name, a.plan, i.type, u.feature, f.plan, u.instance, i.application;
COMMENT ON VIEW instance_env.instance_features IS
'the features that instances use, and whether the application''s plan covers them in production';
COMMENT ON COLUMN instance_env.instance_features.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.instance_features.type IS
'the type of the instance';
COMMENT ON COLUMN instance_env.instance_features.feature IS
'the name of the feature';
COMMENT ON COLUMN instance_env.instance_features.quantity IS
'how much of it the instance uses, in units of the feature';
COMMENT ON COLUMN instance_env.instance_features.needed_plan IS
'the lowest plan that covers it in production; null if the catalogue does not have the feature';
COMMENT ON COLUMN instance_env.instance_features.covered IS
'does the application''s plan cover it in production? null if the catalogue does not have the feature';
COMMENT ON COLUMN instance_env.instance_features.used_by IS
'what uses it: enabled, domain: and the name of a satellite domain, setting: and the name of a setting';
COMMENT ON COLUMN instance_env.instance_features.instance_id IS
'the id of the instance';
COMMENT ON COLUMN instance_env.instance_features.application_id IS
'the id of the application';
