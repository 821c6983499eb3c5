/* sql/instance_env--1.0.sql */

-- complain if the script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION instance_env" to load this file. \quit

-- The control file names pg_catalog as the extension's schema, so that this one
-- is a member of the extension and DROP EXTENSION takes it along.
CREATE SCHEMA instance_env;
COMMENT ON SCHEMA instance_env IS
'development and production instances: registry, guards, promotion';

-- Who may use what is said at the end of this script.

--
-- Types
--

CREATE TYPE instance_env.instance_type AS ENUM ('development', 'production');
COMMENT ON TYPE instance_env.instance_type IS
'an application has exactly one instance of each type';

CREATE TYPE instance_env.instance_status AS ENUM ('inactive', 'active', 'suspended');
COMMENT ON TYPE instance_env.instance_status IS
'only an active instance takes new users';

CREATE TYPE instance_env.plan AS ENUM ('free', 'pro', 'enterprise');
COMMENT ON TYPE instance_env.plan IS
'what an application has subscribed to';

CREATE TYPE instance_env.credential_source AS ENUM ('shared', 'own');
COMMENT ON TYPE instance_env.credential_source IS
'whose credentials a social connection uses; shared ones are for development only';

CREATE TYPE instance_env.severity AS ENUM ('info', 'warning', 'error');
COMMENT ON TYPE instance_env.severity IS
'how much a failed check of validate() matters';

--
-- Tables.  Nothing here can be read or written by anybody but the owner; the functions
-- below are the interface.
--
-- There are no foreign keys between these tables: they would exist while a dump is
-- restored, and pg_restore --jobs loads tables in any order.  The functions lock the
-- row that they refer to.
--

CREATE TABLE instance_env.application
(
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	name text NOT NULL UNIQUE CHECK (name <> ''),
	plan instance_env.plan NOT NULL DEFAULT 'free',
	staging_of uuid CHECK (staging_of <> id),
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE instance_env.application IS
'an application: one development and one production instance';
COMMENT ON COLUMN instance_env.application.staging_of IS
'the application that this one is the staging environment of';

CREATE TABLE instance_env.instance
(
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	application uuid NOT NULL,
	type instance_env.instance_type NOT NULL,
	status instance_env.instance_status NOT NULL,
	user_cap integer CHECK (user_cap >= 0),
	-- C collation: keys are compared byte by byte, in the index as in C
	external_key text COLLATE "C" NOT NULL UNIQUE CHECK (external_key <> ''),
	config_version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	slug text COLLATE "C" UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
	UNIQUE (application, type),
	CONSTRAINT instance_user_cap_development CHECK (type = 'development' OR user_cap IS NULL),
	CONSTRAINT instance_slug_development CHECK ((type = 'development') = (slug IS NOT NULL))
);
COMMENT ON TABLE instance_env.instance IS
'the two instances of each application';
COMMENT ON COLUMN instance_env.instance.user_cap IS
'the most users this development instance may hold; null means the policy_default';
COMMENT ON COLUMN instance_env.instance.external_key IS
'what names this instance where a guarded table''s instance column is text';
COMMENT ON COLUMN instance_env.instance.config_version IS
'rises with every change of the instance''s configuration';
COMMENT ON COLUMN instance_env.instance.slug IS
'the name of a development instance below the service''s own domain; it never changes';

-- An index below is made of what it returns.
CREATE FUNCTION instance_env.domain_root(domain text) RETURNS text
LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT
AS 'MODULE_PATHNAME', 'instance_env_domain_root';
COMMENT ON FUNCTION instance_env.domain_root(text) IS
'the part of a domain that its owner has registered: example.com of www.example.com';

CREATE TABLE instance_env.domain
(
	name text COLLATE "C" PRIMARY KEY,
	instance uuid NOT NULL,
	is_primary boolean NOT NULL DEFAULT true,
	verified_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX domain_primary ON instance_env.domain (instance) WHERE is_primary;
CREATE INDEX domain_instance ON instance_env.domain (instance);
CREATE INDEX domain_root ON instance_env.domain (instance_env.domain_root(name));
COMMENT ON TABLE instance_env.domain IS
'the domains of production instances';
COMMENT ON COLUMN instance_env.domain.verified_at IS
'when the last of its DNS records was verified; null before';

CREATE TABLE instance_env.dns_record
(
	domain text COLLATE "C",
	record text COLLATE "C",
	type text NOT NULL DEFAULT 'CNAME',
	target text NOT NULL,
	verified_at timestamptz,
	PRIMARY KEY (domain, record)
);
COMMENT ON TABLE instance_env.dns_record IS
'the DNS records that a domain needs';
COMMENT ON COLUMN instance_env.dns_record.record IS
'the name within the domain: clerk means clerk.example.com';
COMMENT ON COLUMN instance_env.dns_record.verified_at IS
'when verify_domain() was called for it; null before';

CREATE TABLE instance_env.policy_default
(
	instance_type instance_env.instance_type,
	name text COLLATE "C",
	value jsonb NOT NULL,
	overridable boolean NOT NULL,
	description text NOT NULL,
	builtin boolean NOT NULL DEFAULT false,
	changed boolean NOT NULL DEFAULT false,
	PRIMARY KEY (instance_type, name),
	CONSTRAINT policy_default_user_cap CHECK (CASE
		WHEN name <> 'user_cap' THEN true
		WHEN instance_type = 'production' THEN value = 'null'
		WHEN jsonb_typeof(value) = 'number' THEN value::numeric BETWEEN 0 AND 2147483647 AND value::numeric % 1 = 0
		ELSE false END)
);
COMMENT ON TABLE instance_env.policy_default IS
'what applies to every instance of a type unless the instance says otherwise';
COMMENT ON COLUMN instance_env.policy_default.overridable IS
'may set_policy() give an instance another value?';
COMMENT ON COLUMN instance_env.policy_default.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.policy_default.changed IS
'a builtin row was changed since, so a dump takes it along';
-- This is the only place that says them.  The JSON value null means that nothing
-- applies: no limit, nothing to show, nothing to send.
INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description, builtin)
SELECT d.instance_type::instance_env.instance_type, p.name, d.value::jsonb, d.overridable, p.description, true
FROM (VALUES
	-- name, development: value and overridable, production: value and overridable, description

	-- what is promised of the type, and enforced elsewhere: keep_promise() sees to it that it stays true
	('user_cap', '500', true, 'null', false,
		'the most users that the instance may hold'),
	('user_transfer', 'false', false, 'false', false,
		'may a user move to another instance?'),
	('activation_required', 'false', false, 'true', false,
		'does the instance take users only after promote()?'),
	('domain_required', 'false', false, 'true', false,
		'must the instance have a domain of its own?'),
	('shared_credentials', 'true', false, 'false', false,
		'may social connections use credentials that are shared with others?'),
	('own_credentials_required', 'false', false, 'true', false,
		'does each social connection need credentials of its own?'),
	('production_only_features', 'false', false, 'true', false,
		'are the features available that the catalogue keeps for production, such as bot protection?'),
	('plan_required', 'false', false, 'true', false,
		'do paid features need a plan that covers them?'),

	-- what people see
	('banner', '"Development instance: this is not production data"', true, 'null', false,
		'shown prominently wherever the instance is managed'),
	('message_prefix', '"[Development] "', true, '""', false,
		'begins the subject of each e-mail and the text of each SMS'),

	-- search engines
	('robots_directive', '"noindex, nofollow"', false, '"all"', true,
		'the header X-Robots-Tag and the meta element robots of each page'),
	('robots_txt', E'"User-agent: *\\nDisallow: /\\n"', false, E'"User-agent: *\\nAllow: /\\n"', true,
		'the contents of /robots.txt'),

	-- security
	('session_transport', '"query_string"', false, '"cookie"', false,
		'how a session''s token travels'),
	('cookie_http_only', 'null', false, 'true', false,
		'is the session''s cookie kept from scripts?'),
	('cookie_secure', 'null', false, 'true', false,
		'is the session''s cookie sent through TLS only?'),
	('cookie_same_site', 'null', false, '"Lax"', false,
		'the attribute SameSite of the session''s cookie'),
	('redirect_schemes', '["http", "https"]', true, '["https"]', false,
		'the schemes of URLs that a sign-in may redirect to'),
	('rate_limit', '100', true, '1000', true,
		'how many requests the backend API takes within rate_limit_seconds'),
	('rate_limit_seconds', '10', false, '10', false,
		'the time that rate_limit is for, in seconds'),
	('sms_per_month', '20', true, 'null', true,
		'the most SMS messages in a calendar month; in production, null leaves it to the plan'),
	('email_per_month', '100', true, 'null', true,
		'the most e-mail messages in a calendar month; in production, null leaves it to the plan'),
	('test_identities', 'true', true, 'false', true,
		'do addresses with test_email_marker and numbers like test_phone_numbers sign in with test_code?'),
	('test_email_marker', '"+clerk_test"', false, '"+clerk_test"', false,
		'what ends the local part of a test e-mail address'),
	('test_phone_numbers', '"^[+]1[0-9]{3}55501[0-9]{2}$"', false, '"^[+]1[0-9]{3}55501[0-9]{2}$"', false,
		'regular expression for test phone numbers'),
	('test_code', '"424242"', false, '"424242"', false,
		'the verification code of test identities')
) AS p (name, development, development_overridable, production, production_overridable, description),
LATERAL (VALUES
	('development', p.development, p.development_overridable),
	('production', p.production, p.production_overridable)
) AS d (instance_type, value, overridable);

CREATE TABLE instance_env.policy_override
(
	instance uuid,
	name text COLLATE "C",
	value jsonb NOT NULL,
	PRIMARY KEY (instance, name)
);
COMMENT ON TABLE instance_env.policy_override IS
'where an instance has another value than its policy_default; its user cap is in table instance';

CREATE TABLE instance_env.social_provider
(
	name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
	offers_shared boolean NOT NULL,
	builtin boolean NOT NULL DEFAULT false,
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE instance_env.social_provider IS
'catalogue of the providers of social connections';
COMMENT ON COLUMN instance_env.social_provider.offers_shared IS
'may a development instance use credentials that it shares with others?';
COMMENT ON COLUMN instance_env.social_provider.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.social_provider.changed IS
'a builtin row was changed since, so a dump takes it along';
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
COMMENT ON COLUMN instance_env.social_connection.instance_type IS
'the type of the instance, which never changes';
COMMENT ON COLUMN instance_env.social_connection.secret_reference IS
'where the application keeps the client secret; the secret itself is never stored';
COMMENT ON COLUMN instance_env.social_connection.scopes IS
'what is asked for beyond the provider''s default; needs own credentials';

CREATE TABLE instance_env.feature
(
	name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
	plan instance_env.plan NOT NULL,
	production_only boolean NOT NULL DEFAULT false,
	development_limit integer CHECK (development_limit > 0),
	description text NOT NULL,
	builtin boolean NOT NULL DEFAULT false,
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE instance_env.feature IS
'catalogue of the features that depend on the plan or on the type of an instance';
COMMENT ON COLUMN instance_env.feature.plan IS
'the lowest plan that covers it in production; in development all of them do';
COMMENT ON COLUMN instance_env.feature.development_limit IS
'the most of it that a development instance may use; null means no limit';
COMMENT ON COLUMN instance_env.feature.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.feature.changed IS
'a builtin row was changed since, so a dump takes it along';
INSERT INTO instance_env.feature (name, plan, production_only, development_limit, description, builtin) VALUES
	('allowlist', 'pro', false, NULL, 'only listed addresses may sign up', true),
	('blocklist', 'pro', false, NULL, 'listed addresses may not sign up', true),
	('bot_protection', 'free', true, NULL, 'sign-ups by bots are refused', true),
	('branding_removal', 'pro', false, NULL, 'pages do not name the service', true),
	('custom_roles', 'pro', false, NULL, 'roles in organizations beyond the standard ones', true),
	('custom_session_lifetime', 'pro', false, NULL, 'sessions end when the application says', true),
	('enterprise_connections', 'pro', false, 25, 'single sign-on through a customer''s identity provider', true),
	('passkeys', 'pro', false, NULL, 'users sign in with passkeys', true),
	('phone_sign_in', 'pro', false, NULL, 'users sign in with a phone number', true),
	('satellite_domains', 'pro', false, NULL, 'further domains share the sessions of the primary one', true),
	('unauthorized_sign_in', 'pro', false, NULL, 'users hear of a sign-in from a new device and can end it', true);

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
COMMENT ON COLUMN instance_env.setting_section.cloned IS
'do promote() and create_staging_application() copy these settings?';
COMMENT ON COLUMN instance_env.setting_section.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.setting_section.changed IS
'a builtin row was changed since, so a dump takes it along';
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

CREATE TABLE instance_env.api_key
(
	hash bytea PRIMARY KEY CHECK (length(hash) = 32),
	instance uuid NOT NULL,
	hint text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	revoked_at timestamptz
);
CREATE INDEX api_key_instance ON instance_env.api_key (instance);
COMMENT ON TABLE instance_env.api_key IS
'the secret keys of instances';
COMMENT ON COLUMN instance_env.api_key.hash IS
'SHA-256 of the key, which is not stored';
COMMENT ON COLUMN instance_env.api_key.hint IS
'the last characters of the key, by which a person tells keys apart';

CREATE TABLE instance_env.promotion
(
	id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	application uuid NOT NULL,
	promoted_at timestamptz NOT NULL DEFAULT now(),
	session_user_name name NOT NULL,
	current_user_name name NOT NULL,
	client_address inet,
	snapshot jsonb NOT NULL,
	changes jsonb NOT NULL,
	rolled_back_at timestamptz
);
CREATE INDEX promotion_application ON instance_env.promotion (application);
COMMENT ON SEQUENCE instance_env.promotion_id_seq IS
'numbers promotions';
COMMENT ON TABLE instance_env.promotion IS
'every promotion: who, when, from where, and what it changed';
COMMENT ON COLUMN instance_env.promotion.session_user_name IS
'who the session had logged in as, or SET SESSION AUTHORIZATION had made it';
COMMENT ON COLUMN instance_env.promotion.current_user_name IS
'the role that SET ROLE had set, or session_user_name: within a SECURITY DEFINER function not that function''s owner';
COMMENT ON COLUMN instance_env.promotion.snapshot IS
'the production instance as it was before, for rollback_promotion()';
COMMENT ON COLUMN instance_env.promotion.changes IS
'what promote() returned';

CREATE TABLE instance_env.event
(
	id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	session_user_name name NOT NULL,
	current_user_name name NOT NULL,
	client_address inet,
	action text NOT NULL,
	application uuid,
	instance uuid,
	item text,
	before jsonb,
	after jsonb
);
CREATE INDEX event_application ON instance_env.event (application);
COMMENT ON SEQUENCE instance_env.event_id_seq IS
'numbers events';
COMMENT ON TABLE instance_env.event IS
'audit log: every change of applications, instances, domains, connections, features, settings, keys, guards, promotions and rights';
COMMENT ON COLUMN instance_env.event.session_user_name IS
'who the session had logged in as, or SET SESSION AUTHORIZATION had made it';
COMMENT ON COLUMN instance_env.event.current_user_name IS
'the role that SET ROLE had set, or session_user_name: within a SECURITY DEFINER function not that function''s owner';
COMMENT ON COLUMN instance_env.event.action IS
'the function that was called';
COMMENT ON COLUMN instance_env.event.item IS
'what it was called for: a domain, a provider, a feature, a setting, a table, a role';

-- A log: who returns and departs again has several rows.  A unique key would make
-- those wait for each other who delete rows of the same user.
CREATE TABLE instance_env.departed_user
(
	identity uuid NOT NULL,
	instance uuid NOT NULL,
	departed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX departed_user_identity ON instance_env.departed_user (identity);
COMMENT ON TABLE instance_env.departed_user IS
'departures of users, so that none of them returns under another instance';
COMMENT ON COLUMN instance_env.departed_user.identity IS
'keyed 128-bit hash (SipHash) of the guarded table''s label and the user''s key';

CREATE FUNCTION instance_env.departure_recorded() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_departure_recorded';
COMMENT ON FUNCTION instance_env.departure_recorded() IS
'trigger: tells every backend that what it knows of departed users is out of date';

CREATE TRIGGER departure_recorded AFTER INSERT ON instance_env.departed_user
	FOR EACH ROW EXECUTE FUNCTION instance_env.departure_recorded();
ALTER TABLE instance_env.departed_user ENABLE ALWAYS TRIGGER departure_recorded;

CREATE TABLE instance_env.identity_key
(
	singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
	secret uuid NOT NULL
);
COMMENT ON TABLE instance_env.identity_key IS
'the key of the hash in departed_user; made with the first application, then never changed';

SELECT pg_catalog.pg_extension_config_dump('instance_env.application', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.instance', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.domain', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.dns_record', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.policy_default', 'WHERE NOT builtin OR changed');
SELECT pg_catalog.pg_extension_config_dump('instance_env.policy_override', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.social_provider', 'WHERE NOT builtin OR changed');
SELECT pg_catalog.pg_extension_config_dump('instance_env.social_connection', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.feature', 'WHERE NOT builtin OR changed');
SELECT pg_catalog.pg_extension_config_dump('instance_env.instance_feature', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.setting_section', 'WHERE NOT builtin OR changed');
SELECT pg_catalog.pg_extension_config_dump('instance_env.setting', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.api_key', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.promotion', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.promotion_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.event', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.departed_user', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.identity_key', '');

--
-- Invalidation of what each backend has cached
--

CREATE FUNCTION instance_env.registry_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_registry_changed';
COMMENT ON FUNCTION instance_env.registry_changed() IS
'trigger: makes every backend forget what it knows of the instances';

-- Row triggers, which fire in an apply worker, too, where the registry itself arrives by
-- replication; a statement trigger does not.  Only TRUNCATE has no other kind, and fires
-- it there.
--
-- An INSERT: absence is never cached, but an instance that was read by the transaction
-- that made it must be forgotten if that is rolled back.  A new config_version alone is
-- of no concern; where a worker applies an UPDATE, it sets all columns.
CREATE TRIGGER registry_changed AFTER INSERT OR DELETE ON instance_env.instance
	FOR EACH ROW EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_updated
	AFTER UPDATE OF id, type, status, user_cap, external_key, created_at, slug ON instance_env.instance
	FOR EACH ROW WHEN ((OLD.id, OLD.type, OLD.status, OLD.user_cap, OLD.external_key, OLD.created_at, OLD.slug)
		IS DISTINCT FROM (NEW.id, NEW.type, NEW.status, NEW.user_cap, NEW.external_key, NEW.created_at, NEW.slug))
	EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON instance_env.instance
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.registry_changed();
ALTER TABLE instance_env.instance ENABLE ALWAYS TRIGGER registry_changed,
	ENABLE ALWAYS TRIGGER registry_updated, ENABLE ALWAYS TRIGGER registry_truncated;

CREATE TRIGGER registry_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.policy_default
	FOR EACH ROW EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON instance_env.policy_default
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.registry_changed();
ALTER TABLE instance_env.policy_default
	ENABLE ALWAYS TRIGGER registry_changed, ENABLE ALWAYS TRIGGER registry_truncated;

CREATE TRIGGER registry_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.identity_key
	FOR EACH ROW EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON instance_env.identity_key
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.registry_changed();
ALTER TABLE instance_env.identity_key
	ENABLE ALWAYS TRIGGER registry_changed, ENABLE ALWAYS TRIGGER registry_truncated;

-- What cache.c keeps hangs on each table by itself.
CREATE FUNCTION instance_env.table_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_table_changed';
COMMENT ON FUNCTION instance_env.table_changed() IS
'trigger: makes every backend forget what it knows from this table';

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.application
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.application
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.application
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.domain
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.domain
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.domain
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.policy_override
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.policy_override
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.policy_override
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.feature
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.feature
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.feature
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.api_key
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.api_key
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.api_key
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.setting
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.setting
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.setting
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.setting_section
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.setting_section
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.setting_section
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

--
-- Rows that the extension brings
--

CREATE FUNCTION instance_env.mark_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_mark_changed';
COMMENT ON FUNCTION instance_env.mark_changed() IS
'trigger: marks a builtin row that is changed, so that a dump takes it along';

CREATE FUNCTION instance_env.replace_builtin() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_replace_builtin';
COMMENT ON FUNCTION instance_env.replace_builtin() IS
'trigger: makes way for a changed builtin row that is restored';

CREATE FUNCTION instance_env.keep_promise() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_keep_promise';
COMMENT ON FUNCTION instance_env.keep_promise() IS
'trigger: refuses to change a policy that tells what the extension enforces';

CREATE TRIGGER keep_promise
	BEFORE DELETE OR UPDATE OF instance_type, name, value, overridable
	ON instance_env.policy_default
	FOR EACH ROW WHEN (OLD.name IN ('user_transfer', 'activation_required', 'domain_required', 'shared_credentials',
		'own_credentials_required', 'production_only_features', 'plan_required'))
	EXECUTE FUNCTION instance_env.keep_promise();
ALTER TABLE instance_env.policy_default ENABLE ALWAYS TRIGGER keep_promise;

CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.policy_default
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.policy_default
	FOR EACH ROW WHEN (NEW.builtin AND NEW.changed) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.policy_default ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.policy_default ENABLE ALWAYS TRIGGER replace_builtin;

CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.social_provider
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.social_provider
	FOR EACH ROW WHEN (NEW.builtin AND NEW.changed) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.social_provider ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.social_provider ENABLE ALWAYS TRIGGER replace_builtin;

CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.feature
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.feature
	FOR EACH ROW WHEN (NEW.builtin AND NEW.changed) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.feature ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.feature ENABLE ALWAYS TRIGGER replace_builtin;

CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.setting_section
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.setting_section
	FOR EACH ROW WHEN (NEW.builtin AND NEW.changed) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.setting_section ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.setting_section ENABLE ALWAYS TRIGGER replace_builtin;

--
-- Applications and instances
--

CREATE FUNCTION instance_env.create_application(
	name text,
	plan instance_env.plan DEFAULT 'free',
	OUT application_id uuid,
	INOUT development_id uuid DEFAULT NULL,
	INOUT production_id uuid DEFAULT NULL,
	development_key text DEFAULT NULL,
	production_key text DEFAULT NULL)
RETURNS record
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_create_application';
COMMENT ON FUNCTION instance_env.create_application(text, instance_env.plan, uuid, uuid, text, text) IS
'creates an application with its development instance, active, and its production instance, inactive';

CREATE FUNCTION instance_env.rename_application(application uuid, name text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_rename_application';
COMMENT ON FUNCTION instance_env.rename_application(uuid, text) IS
'gives an application another name';

CREATE FUNCTION instance_env.set_plan(application uuid, plan instance_env.plan)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_plan';
COMMENT ON FUNCTION instance_env.set_plan(uuid, instance_env.plan) IS
'puts an application on a plan, which must cover the features that production uses';

CREATE FUNCTION instance_env.set_user_cap(instance uuid, user_cap integer)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_user_cap';
COMMENT ON FUNCTION instance_env.set_user_cap(uuid, integer) IS
'sets how many users a development instance may hold; null means the default';

CREATE FUNCTION instance_env.suspend_instance(instance uuid)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_suspend_instance';
COMMENT ON FUNCTION instance_env.suspend_instance(uuid) IS
'makes an active instance refuse new users';

CREATE FUNCTION instance_env.resume_instance(instance uuid)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_resume_instance';
COMMENT ON FUNCTION instance_env.resume_instance(uuid) IS
'makes a suspended instance active again';

CREATE FUNCTION instance_env.drop_application(application uuid)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_drop_application';
COMMENT ON FUNCTION instance_env.drop_application(uuid) IS
'drops an application that has neither users nor an active production instance';

CREATE FUNCTION instance_env.create_staging_application(
	application uuid,
	domain text,
	name text DEFAULT NULL,
	OUT application_id uuid,
	OUT development_id uuid,
	OUT production_id uuid)
RETURNS record
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_create_staging_application';
COMMENT ON FUNCTION instance_env.create_staging_application(uuid, text, text) IS
'creates a separate application that is the staging environment of another one';

--
-- Looking up ids by name
--

CREATE FUNCTION instance_env.application_id(name text) RETURNS uuid
LANGUAGE SQL STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT a.id FROM instance_env.application a WHERE a.name = $1);
COMMENT ON FUNCTION instance_env.application_id(text) IS
'the id of the application with this name';

CREATE FUNCTION instance_env.instance_id(application text, type instance_env.instance_type) RETURNS uuid
LANGUAGE SQL STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT i.id FROM instance_env.instance i JOIN instance_env.application a ON a.id = i.application
		WHERE a.name = $1 AND i.type = $2);
COMMENT ON FUNCTION instance_env.instance_id(text, instance_env.instance_type) IS
'the id of the instance of this type of the application with this name';

-- Where the type is a literal or a text: other names get an error that tells more than
-- the enum's.
CREATE FUNCTION instance_env.instance_id(application text, type text) RETURNS uuid
LANGUAGE C STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_instance_id';
COMMENT ON FUNCTION instance_env.instance_id(text, text) IS
'the id of the instance of this type of the application with this name';

--
-- Domains
--

CREATE FUNCTION instance_env.associate_domain(instance uuid, domain text, is_primary boolean DEFAULT true)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_associate_domain';
COMMENT ON FUNCTION instance_env.associate_domain(uuid, text, boolean) IS
'associates a domain with a production instance, not yet verified';

CREATE FUNCTION instance_env.verify_domain(instance uuid, domain text, record text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_verify_domain';
COMMENT ON FUNCTION instance_env.verify_domain(uuid, text, text) IS
'records that a DNS record of a production instance''s domain has been verified, or all of them';

CREATE FUNCTION instance_env.change_domain(instance uuid, domain text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_change_domain';
COMMENT ON FUNCTION instance_env.change_domain(uuid, text) IS
'gives a production instance another primary domain, not yet verified';

CREATE FUNCTION instance_env.remove_domain(instance uuid, domain text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_remove_domain';
COMMENT ON FUNCTION instance_env.remove_domain(uuid, text) IS
'takes a satellite domain from a production instance';

CREATE FUNCTION instance_env.dns_records(instance uuid)
RETURNS TABLE (domain text, record text, name text, type text, target text, verified boolean,
	verified_at timestamptz)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 5
AS 'MODULE_PATHNAME', 'instance_env_dns_records';
COMMENT ON FUNCTION instance_env.dns_records(uuid) IS
'the DNS records that the domains of a production instance need';

-- An application may call these on every request: their SECURITY DEFINER is in C, where a
-- cached answer does without.

CREATE FUNCTION instance_env.account_portal_url(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_account_portal_url';
COMMENT ON FUNCTION instance_env.account_portal_url(uuid) IS
'where the users of an instance manage their accounts';

CREATE FUNCTION instance_env.frontend_api_host(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_frontend_api_host';
COMMENT ON FUNCTION instance_env.frontend_api_host(uuid) IS
'the host that the browsers of an instance''s users talk to';

CREATE FUNCTION instance_env.oauth_consent_domain(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_oauth_consent_domain';
COMMENT ON FUNCTION instance_env.oauth_consent_domain(uuid) IS
'the domain that OAuth consent screens show';

CREATE FUNCTION instance_env.oauth_callback_url(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_oauth_callback_url';
COMMENT ON FUNCTION instance_env.oauth_callback_url(uuid) IS
'where OAuth providers send the users of an instance back to';

--
-- Policies, messages, search engines, security.  What an application asks on every
-- request is not SECURITY DEFINER, which costs more than the answer; the C code acts as
-- the owner where it reads a table.
--

CREATE FUNCTION instance_env.policy(instance uuid)
RETURNS TABLE (name text, value jsonb, source text, description text)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 30
AS 'MODULE_PATHNAME', 'instance_env_policy';
COMMENT ON FUNCTION instance_env.policy(uuid) IS
'everything that applies to an instance, and whether it is the default';

CREATE FUNCTION instance_env.set_policy(instance uuid, name text, value jsonb)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_policy';
COMMENT ON FUNCTION instance_env.set_policy(uuid, text, jsonb) IS
'gives an instance another value than the default';

CREATE FUNCTION instance_env.reset_policy(instance uuid, name text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_reset_policy';
COMMENT ON FUNCTION instance_env.reset_policy(uuid, text) IS
'gives an instance the default value back';

CREATE FUNCTION instance_env.banner(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_banner';
COMMENT ON FUNCTION instance_env.banner(uuid) IS
'what to show wherever an instance is managed; null in production';

CREATE FUNCTION instance_env.message_prefix(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_message_prefix';
COMMENT ON FUNCTION instance_env.message_prefix(uuid) IS
'what begins an instance''s messages; empty in production';

CREATE FUNCTION instance_env.prefix_message(instance uuid, channel text, body text)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_prefix_message';
COMMENT ON FUNCTION instance_env.prefix_message(uuid, text, text) IS
'an e-mail''s subject (channel email) or an SMS''s text (channel sms) with the prefix of the instance''s messages';

CREATE FUNCTION instance_env.robots_directive(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_robots_directive';
COMMENT ON FUNCTION instance_env.robots_directive(uuid) IS
'what the header X-Robots-Tag of an instance''s pages says';

CREATE FUNCTION instance_env.robots_txt(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_robots_txt';
COMMENT ON FUNCTION instance_env.robots_txt(uuid) IS
'the contents of an instance''s /robots.txt';

-- Each column is the policy of the same name.
CREATE FUNCTION instance_env.security_policy(instance uuid,
	OUT session_transport text,
	OUT cookie_http_only boolean,
	OUT cookie_secure boolean,
	OUT cookie_same_site text,
	OUT redirect_schemes text[],
	OUT rate_limit integer,
	OUT rate_limit_seconds integer,
	OUT sms_per_month integer,
	OUT email_per_month integer,
	OUT test_identities boolean,
	OUT test_email_marker text,
	OUT test_phone_numbers text,
	OUT test_code text)
RETURNS record
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_security_policy';
COMMENT ON FUNCTION instance_env.security_policy(uuid) IS
'what an instance demands and allows for the sake of security';

CREATE FUNCTION instance_env.redirect_url_allowed(instance uuid, url text)
RETURNS boolean
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_redirect_url_allowed';
COMMENT ON FUNCTION instance_env.redirect_url_allowed(uuid, text) IS
'may a sign-in to an instance redirect to this URL?';

--
-- Social connections
--

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
'whose credentials an instance uses with a provider';

CREATE FUNCTION instance_env.check_credentials() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_check_credentials';
COMMENT ON FUNCTION instance_env.check_credentials() IS
'trigger: refuses shared credentials in production';

CREATE FUNCTION instance_env.check_connections() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_check_connections';
COMMENT ON FUNCTION instance_env.check_connections() IS
'trigger: refuses an instance of another type than its social connections say';

CREATE FUNCTION instance_env.keep_instance() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_keep_instance';
COMMENT ON FUNCTION instance_env.keep_instance() IS
'trigger: an instance keeps its id, application and type, and an active production instance stays';

CREATE FUNCTION instance_env.keep_application() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_keep_application';
COMMENT ON FUNCTION instance_env.keep_application() IS
'trigger: an application stays while it has instances';

CREATE TRIGGER check_credentials BEFORE INSERT OR UPDATE ON instance_env.social_connection
	FOR EACH ROW EXECUTE FUNCTION instance_env.check_credentials();
CREATE TRIGGER check_connections AFTER INSERT ON instance_env.instance
	FOR EACH ROW EXECUTE FUNCTION instance_env.check_connections();
CREATE TRIGGER keep_instance BEFORE UPDATE ON instance_env.instance
	FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.application <> NEW.application OR OLD.type <> NEW.type)
	EXECUTE FUNCTION instance_env.keep_instance();
CREATE TRIGGER keep_active BEFORE DELETE ON instance_env.instance
	FOR EACH ROW WHEN (OLD.type = 'production' AND OLD.status = 'active')
	EXECUTE FUNCTION instance_env.keep_instance();
CREATE TRIGGER keep_application BEFORE DELETE ON instance_env.application
	FOR EACH ROW EXECUTE FUNCTION instance_env.keep_application();
ALTER TABLE instance_env.social_connection ENABLE ALWAYS TRIGGER check_credentials;
ALTER TABLE instance_env.instance ENABLE ALWAYS TRIGGER check_connections;
ALTER TABLE instance_env.instance ENABLE ALWAYS TRIGGER keep_instance;
-- keep_active and keep_application judge a deletion where it is made, not where it is applied

--
-- Features
--

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

--
-- Hosts and previews
--

CREATE FUNCTION instance_env.instance_for_host(application uuid, host text)
RETURNS uuid
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_instance_for_host';
COMMENT ON FUNCTION instance_env.instance_for_host(uuid, text) IS
'the instance of an application that serves a host';

CREATE FUNCTION instance_env.check_preview(application uuid, host text,
	OUT instance_id uuid, OUT instance_type instance_env.instance_type, OUT reason text)
RETURNS record
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_check_preview';
COMMENT ON FUNCTION instance_env.check_preview(uuid, text) IS
'the instance of an application that serves a host, and why';

--
-- API keys
--

CREATE FUNCTION instance_env.publishable_key(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_publishable_key';
COMMENT ON FUNCTION instance_env.publishable_key(uuid) IS
'the key that browsers may see';

CREATE FUNCTION instance_env.key_instance_type(key text)
RETURNS instance_env.instance_type
LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT
AS 'MODULE_PATHNAME', 'instance_env_key_instance_type';
COMMENT ON FUNCTION instance_env.key_instance_type(text) IS
'the type of the instance that a key is for';

CREATE FUNCTION instance_env.key_frontend_api(key text)
RETURNS text
LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT
AS 'MODULE_PATHNAME', 'instance_env_key_frontend_api';
COMMENT ON FUNCTION instance_env.key_frontend_api(text) IS
'the frontend API host that a publishable key carries';

CREATE FUNCTION instance_env.create_secret_key(instance uuid)
RETURNS text
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_create_secret_key';
COMMENT ON FUNCTION instance_env.create_secret_key(uuid) IS
'makes a secret key; only its hash is kept';

CREATE FUNCTION instance_env.verify_secret_key(key text)
RETURNS uuid
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_verify_secret_key';
COMMENT ON FUNCTION instance_env.verify_secret_key(text) IS
'the instance that a secret key is for; null if it is none, or revoked';

CREATE FUNCTION instance_env.revoke_secret_key(key text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_revoke_secret_key';
COMMENT ON FUNCTION instance_env.revoke_secret_key(text) IS
'makes a secret key invalid';

CREATE FUNCTION instance_env.revoke_secret_key(instance uuid, hint text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_revoke_secret_key_by_hint';
COMMENT ON FUNCTION instance_env.revoke_secret_key(uuid, text) IS
'makes the secret key of an instance invalid that ends in these characters';

--
-- Settings
--

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

--
-- Promotion, rollback, validation, reset, drift
--

CREATE FUNCTION instance_env.promote(
	application uuid,
	domain text DEFAULT NULL,
	clone_settings boolean DEFAULT true,
	dry_run boolean DEFAULT false)
RETURNS TABLE (step text, item text, before jsonb, after jsonb)
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_promote';
COMMENT ON FUNCTION instance_env.promote(uuid, text, boolean, boolean) IS
'activates an application''s production instance once it is ready, with development''s settings unless told otherwise';

CREATE FUNCTION instance_env.rollback_promotion(application uuid)
RETURNS TABLE (step text, item text, before jsonb, after jsonb)
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_rollback_promotion';
COMMENT ON FUNCTION instance_env.rollback_promotion(uuid) IS
'puts a production instance that has no users back to what it was before its promotion';

CREATE FUNCTION instance_env.validate(instance uuid)
RETURNS TABLE (check_name text, severity instance_env.severity, passed boolean, message text, hint text, sqlstate text)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_validate';
COMMENT ON FUNCTION instance_env.validate(uuid) IS
'everything that stands between an instance and production, a row a check; only reads';

CREATE FUNCTION instance_env.assert_valid(instance uuid)
RETURNS void
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_assert_valid';
COMMENT ON FUNCTION instance_env.assert_valid(uuid) IS
'raises 55I01 with all failures if validate() reports an error';

CREATE FUNCTION instance_env.instance_usage(instance uuid)
RETURNS TABLE (relation regclass, users bigint, user_cap integer)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 2
AS 'MODULE_PATHNAME', 'instance_env_instance_usage';
COMMENT ON FUNCTION instance_env.instance_usage(uuid) IS
'how many users each counted table has of an instance, null where they cannot be counted now';

-- With the caller's rights: the rows that it deletes are not the extension's.  A procedure
-- that is SECURITY DEFINER or has a SET clause could not commit.
CREATE PROCEDURE instance_env.reset_development(
	instance uuid,
	settings boolean DEFAULT false,
	batch_size integer DEFAULT 1000,
	INOUT deleted bigint DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'instance_env_reset_development';
COMMENT ON PROCEDURE instance_env.reset_development(uuid, boolean, integer, bigint) IS
'deletes the rows of a development instance from all guarded tables, in batches, and if asked its settings';

CREATE FUNCTION instance_env.instance_diff(application uuid)
RETURNS TABLE (kind text, item text, development jsonb, production jsonb, ahead text)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_instance_diff';
COMMENT ON FUNCTION instance_env.instance_diff(uuid) IS
'where an application''s two instances are set differently, and on which side that was changed last';

--
-- The audit log
--

CREATE FUNCTION instance_env.refuse_change() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_refuse_change';
COMMENT ON FUNCTION instance_env.refuse_change() IS
'trigger: only the extension records, and only a superuser may alter or delete what is recorded';

-- A statement trigger, so that it refuses also what finds no row.  An apply worker, in which
-- it does not fire, brings what another server's functions have recorded.
CREATE TRIGGER refuse_change BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON instance_env.event
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.refuse_change();
ALTER TABLE instance_env.event ENABLE ALWAYS TRIGGER refuse_change;

--
-- Rights.  The list of who may execute what is in grant.c.
--

CREATE FUNCTION instance_env.grant_backend(role regrole)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_grant_backend';
COMMENT ON FUNCTION instance_env.grant_backend(regrole) IS
'lets a role ask what an application''s backend asks';

CREATE FUNCTION instance_env.grant_monitor(role regrole)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_grant_monitor';
COMMENT ON FUNCTION instance_env.grant_monitor(regrole) IS
'lets a role read the views';

CREATE FUNCTION instance_env.grant_guard(role regrole)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_grant_guard';
COMMENT ON FUNCTION instance_env.grant_guard(regrole) IS
'lets a role guard the tables that it owns';

CREATE FUNCTION instance_env.grant_admin(role regrole)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_grant_admin';
COMMENT ON FUNCTION instance_env.grant_admin(regrole) IS
'lets a role administer applications, guard its tables, and do what backends and monitors may';

CREATE FUNCTION instance_env.revoke_access(role regrole)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_revoke_access';
COMMENT ON FUNCTION instance_env.revoke_access(regrole) IS
'takes from a role all that it has been granted in this schema, by whatever means';

--
-- Departed users
--

CREATE FUNCTION instance_env.forget_departed(before timestamptz)
RETURNS bigint
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_forget_departed';
COMMENT ON FUNCTION instance_env.forget_departed(timestamptz) IS
'forgets the users who departed before a time, and says how many; they may return under any instance';

--
-- Trigger conditions.  They are evaluated with the rights of the role that inserts, hence
-- executable by PUBLIC; called otherwise than by a trigger they tell nothing.
--

CREATE FUNCTION instance_env.admission_required(instance uuid, relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_admission_required_uuid';
COMMENT ON FUNCTION instance_env.admission_required(uuid, oid) IS
'trigger condition: must check_user_cap() look at a new row of this instance?';

CREATE FUNCTION instance_env.admission_required(instance uuid, user_key "any", relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_admission_required_uuid';
COMMENT ON FUNCTION instance_env.admission_required(uuid, "any", oid) IS
'trigger condition: must check_user_cap() look at a new row of this user in this instance?';

CREATE FUNCTION instance_env.admission_required(instance text, relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_admission_required_text';
COMMENT ON FUNCTION instance_env.admission_required(text, oid) IS
'trigger condition: must check_user_cap() look at a new row of this instance?';

CREATE FUNCTION instance_env.admission_required(instance text, user_key "any", relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_admission_required_text';
COMMENT ON FUNCTION instance_env.admission_required(text, "any", oid) IS
'trigger condition: must check_user_cap() look at a new row of this user in this instance?';

CREATE FUNCTION instance_env.instance_unavailable(instance uuid, relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_instance_unavailable_uuid';
COMMENT ON FUNCTION instance_env.instance_unavailable(uuid, oid) IS
'trigger condition: must check_instance() look at a new row of this instance?';

CREATE FUNCTION instance_env.instance_unavailable(instance uuid, user_key "any", relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_instance_unavailable_uuid';
COMMENT ON FUNCTION instance_env.instance_unavailable(uuid, "any", oid) IS
'trigger condition: must check_instance() look at a new row of this user in this instance?';

CREATE FUNCTION instance_env.instance_unavailable(instance text, relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_instance_unavailable_text';
COMMENT ON FUNCTION instance_env.instance_unavailable(text, oid) IS
'trigger condition: must check_instance() look at a new row of this instance?';

CREATE FUNCTION instance_env.instance_unavailable(instance text, user_key "any", relation oid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_instance_unavailable_text';
COMMENT ON FUNCTION instance_env.instance_unavailable(text, "any", oid) IS
'trigger condition: must check_instance() look at a new row of this user in this instance?';

CREATE FUNCTION instance_env.departure_queued()
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_departure_queued';
COMMENT ON FUNCTION instance_env.departure_queued() IS
'trigger condition: always true; the transaction knows that it has deleted users who are not on record yet';

CREATE FUNCTION instance_env.identity_changes(old_key "any", new_key "any")
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_identity_changes';
COMMENT ON FUNCTION instance_env.identity_changes("any", "any") IS
'trigger condition: does an update give a user another key?';

CREATE FUNCTION instance_env.row_moves(instance uuid, relation oid, place tid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_row_moves';
COMMENT ON FUNCTION instance_env.row_moves(uuid, oid, tid) IS
'trigger condition: has an update moved a row from this place to another partition?';

CREATE FUNCTION instance_env.row_moves(instance text, relation oid, place tid)
RETURNS boolean
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_row_moves';
COMMENT ON FUNCTION instance_env.row_moves(text, oid, tid) IS
'trigger condition: has an update moved a row from this place to another partition?';

--
-- Trigger functions.  guard() attaches them, and an event trigger sees to it that nobody
-- else does so under another table's label.  Whoever creates a trigger needs EXECUTE on its
-- function, and so does the owner of a guarded table with each new partition: to have that
-- right is to be allowed to guard.
--

CREATE FUNCTION instance_env.check_user_cap()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_check_user_cap';
COMMENT ON FUNCTION instance_env.check_user_cap() IS
'trigger: refuses a user beyond the cap, of another instance, or of an instance that is not active';

CREATE FUNCTION instance_env.check_instance()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_check_instance';
COMMENT ON FUNCTION instance_env.check_instance() IS
'trigger: refuses a row of an instance that is not active, and a user of another instance';

CREATE FUNCTION instance_env.check_transfer()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_check_transfer';
COMMENT ON FUNCTION instance_env.check_transfer() IS
'trigger: refuses to move a user to another instance';

CREATE FUNCTION instance_env.check_move()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_check_move';
COMMENT ON FUNCTION instance_env.check_move() IS
'trigger: refuses to move a user to another instance by moving the row to another partition';

CREATE FUNCTION instance_env.record_departure()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_record_departure';
COMMENT ON FUNCTION instance_env.record_departure() IS
'trigger: remembers the instance of a deleted user';

CREATE FUNCTION instance_env.record_truncate()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_record_truncate';
COMMENT ON FUNCTION instance_env.record_truncate() IS
'trigger: remembers the instances of all users before they are truncated';

--
-- Guards
--

CREATE FUNCTION instance_env.guard(
	relation regclass,
	instance_column name DEFAULT 'instance_id',
	user_key name DEFAULT NULL,
	counted boolean DEFAULT true,
	user_table regclass DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_guard';
COMMENT ON FUNCTION instance_env.guard(regclass, name, name, boolean, regclass) IS
'makes a table obey the rules of the instances its rows belong to';

CREATE FUNCTION instance_env.unguard(relation regclass)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_unguard';
COMMENT ON FUNCTION instance_env.unguard(regclass) IS
'removes from a table what guard() attached; indexes and foreign keys stay';

CREATE FUNCTION instance_env.guard_list(
	OUT relation regclass,
	OUT instance_column name,
	OUT user_key name,
	OUT counted boolean,
	OUT label text,
	OUT whole boolean,
	OUT problems text[])
RETURNS SETOF record
LANGUAGE C VOLATILE ROWS 10
AS 'MODULE_PATHNAME', 'instance_env_guard_list';
COMMENT ON FUNCTION instance_env.guard_list() IS
'the guarded tables, and whether each guard is whole';

-- Triggers for TRUNCATE are not cloned to partitions, so new ones need theirs; and a
-- trigger that names another table's label could forge departures.
CREATE FUNCTION instance_env.watch_ddl()
RETURNS event_trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_watch_ddl';
COMMENT ON FUNCTION instance_env.watch_ddl() IS
'event trigger: completes the guard of new partitions, and keeps guards from being forged';

CREATE EVENT TRIGGER instance_env_watch_ddl
	ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE FOREIGN TABLE', 'ALTER TABLE', 'ALTER FOREIGN TABLE',
		'CREATE TRIGGER', 'CREATE SCHEMA')
	EXECUTE FUNCTION instance_env.watch_ddl();
COMMENT ON EVENT TRIGGER instance_env_watch_ddl IS
'completes the guard of new partitions, and keeps guards from being forged';

--
-- Views
--

CREATE VIEW instance_env.instances AS
SELECT a.name AS application, i.type, i.status, a.plan,
	CASE i.type WHEN 'development' THEN coalesce(i.user_cap, d.value::integer) END AS user_cap,
	m.name AS domain, m.verified_at AS domain_verified_at,
	i.id AS instance_id, i.external_key, i.application AS application_id, i.created_at, i.slug
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	LEFT JOIN instance_env.policy_default d ON d.instance_type = i.type AND d.name = 'user_cap'
	LEFT JOIN instance_env.domain m ON m.instance = i.id AND m.is_primary;
COMMENT ON VIEW instance_env.instances IS
'every instance with what applies to it';

CREATE VIEW instance_env.social_providers AS
SELECT name, offers_shared, builtin FROM instance_env.social_provider;
COMMENT ON VIEW instance_env.social_providers IS
'the catalogue of social providers';

CREATE VIEW instance_env.social_connections AS
SELECT a.name AS application, i.type, c.provider, c.source, c.client_id, c.scopes, c.created_at,
	i.id AS instance_id, i.application AS application_id
FROM instance_env.social_connection c
	JOIN instance_env.instance i ON i.id = c.instance
	JOIN instance_env.application a ON a.id = i.application;
COMMENT ON VIEW instance_env.social_connections IS
'the social connections of instances, without the references to their secrets';

CREATE VIEW instance_env.features AS
SELECT name, plan, production_only, development_limit, description, builtin FROM instance_env.feature;
COMMENT ON VIEW instance_env.features IS
'the catalogue of features';

-- set_plan() asks here, so what counts as use is said once.
CREATE VIEW instance_env.instance_features AS
SELECT a.name AS application, i.type, u.feature, max(u.quantity) AS quantity, f.plan AS needed_plan,
	a.plan >= f.plan AS covered, i.id AS instance_id, i.application AS application_id
FROM (
		SELECT instance, feature, quantity FROM instance_env.instance_feature
		UNION ALL
		SELECT instance, 'satellite_domains', count(*)::integer FROM instance_env.domain
		WHERE NOT is_primary GROUP BY instance
	) u
	JOIN instance_env.instance i ON i.id = u.instance
	JOIN instance_env.application a ON a.id = i.application
	LEFT JOIN instance_env.feature f ON f.name = u.feature
GROUP BY a.name, a.plan, i.type, u.feature, f.plan, i.id, i.application;
COMMENT ON VIEW instance_env.instance_features IS
'the features that instances use, and whether the application''s plan covers them in production';

-- The cap has a column in table instance.  An override of what is fixed does not count,
-- however it came into the table.
CREATE VIEW instance_env.policies AS
SELECT a.name AS application, i.type, i.id AS instance_id, d.name,
	coalesce(o.value, d.value) AS value,
	CASE WHEN o.value IS NULL THEN 'default' ELSE 'override' END AS source,
	d.overridable
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	JOIN instance_env.policy_default d ON d.instance_type = i.type
	LEFT JOIN instance_env.policy_override p ON p.instance = i.id AND p.name = d.name AND d.overridable,
	LATERAL (SELECT CASE d.name WHEN 'user_cap' THEN to_jsonb(i.user_cap) ELSE p.value END AS value) o;
COMMENT ON VIEW instance_env.policies IS
'everything that applies to each instance';

CREATE VIEW instance_env.guards AS
SELECT relation, instance_column, user_key, counted, label, whole, problems
FROM instance_env.guard_list();
COMMENT ON VIEW instance_env.guards IS
'the guarded tables, read from their triggers';

CREATE VIEW instance_env.secret_keys AS
SELECT instance, hint, created_at, revoked_at
FROM instance_env.api_key;
COMMENT ON VIEW instance_env.secret_keys IS
'the secret keys of instances, by their last characters';

CREATE VIEW instance_env.promotions AS
SELECT p.id, a.name AS application, p.application AS application_id, p.promoted_at,
	p.session_user_name, p.current_user_name, p.client_address, p.changes, p.rolled_back_at
FROM instance_env.promotion p
	LEFT JOIN instance_env.application a ON a.id = p.application;
COMMENT ON VIEW instance_env.promotions IS
'every promotion, also of applications that have been dropped';

CREATE VIEW instance_env.applications AS
SELECT a.name AS application, a.plan, s.name AS staging_of, p.status AS production_status,
	a.id AS application_id, d.id AS development_id, p.id AS production_id, a.created_at
FROM instance_env.application a
	JOIN instance_env.instance d ON d.application = a.id AND d.type = 'development'
	JOIN instance_env.instance p ON p.application = a.id AND p.type = 'production'
	LEFT JOIN instance_env.application s ON s.id = a.staging_of;
COMMENT ON VIEW instance_env.applications IS
'every application with its two instances';

-- Production has no cap, so nothing there is counted.
CREATE VIEW instance_env.usage AS
SELECT a.name AS application, u.relation, u.users, u.user_cap,
	CASE WHEN u.user_cap > 0 THEN round(100.0 * u.users / u.user_cap, 1) WHEN u.users IS NOT NULL THEN 100 END AS percent,
	CASE WHEN u.users IS NULL THEN 'unknown' WHEN u.users >= u.user_cap THEN 'full'
		WHEN u.users * 100 >= u.user_cap::bigint * 80 THEN 'warning' ELSE 'ok' END AS state,
	i.id AS instance_id
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	CROSS JOIN LATERAL instance_env.instance_usage(i.id) u
WHERE i.type = 'development';
COMMENT ON VIEW instance_env.usage IS
'how full every development instance is, in each counted table';

CREATE VIEW instance_env.readiness AS
SELECT a.name AS application, i.status, v.ready, v.errors, v.warnings, v.next_step, i.id AS instance_id
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	CROSS JOIN LATERAL (
		SELECT count(*) FILTER (WHERE c.severity = 'error' AND NOT c.passed) = 0 AS ready,
			coalesce(array_agg(c.message ORDER BY c.n) FILTER (WHERE c.severity = 'error' AND NOT c.passed), '{}') AS errors,
			coalesce(array_agg(c.message ORDER BY c.n) FILTER (WHERE c.severity <> 'error' AND NOT c.passed), '{}') AS warnings,
			(array_agg(c.hint ORDER BY c.n) FILTER (WHERE c.severity = 'error' AND NOT c.passed))[1] AS next_step
		FROM instance_env.validate(i.id)
			WITH ORDINALITY AS c(check_name, severity, passed, message, hint, sqlstate, n)) v
WHERE i.type = 'production';
COMMENT ON VIEW instance_env.readiness IS
'what validate() says of every production instance: is it ready, and if not, what is in the way?';

-- Where a client secret is, is for those who may ask social_credentials().
CREATE VIEW instance_env.events AS
SELECT e.id, e.happened_at, e.session_user_name, e.current_user_name, e.client_address, e.action,
	a.name AS application, i.type, e.item,
	CASE jsonb_typeof(e.before) WHEN 'object' THEN e.before - 'secret_reference' ELSE e.before END AS before,
	CASE jsonb_typeof(e.after) WHEN 'object' THEN e.after - 'secret_reference' ELSE e.after END AS after,
	e.application AS application_id, e.instance AS instance_id
FROM instance_env.event e
	LEFT JOIN instance_env.application a ON a.id = e.application
	LEFT JOIN instance_env.instance i ON i.id = e.instance;
COMMENT ON VIEW instance_env.events IS
'the audit log, with the names that applications have now';

--
-- Rights: what PUBLIC has is listed here, and what other roles have, they get from
-- grant_backend() and its like, by the list in grant.c.
--
-- All of it is said, and nothing left to how PostgreSQL would have it: default privileges
-- may have taken from PUBLIC, or from the owner, what follows, and given to anybody else
-- what does not.
--

GRANT ALL ON SCHEMA instance_env TO CURRENT_USER;
GRANT ALL ON ALL TABLES IN SCHEMA instance_env TO CURRENT_USER;
GRANT ALL ON ALL SEQUENCES IN SCHEMA instance_env TO CURRENT_USER;
GRANT ALL ON ALL ROUTINES IN SCHEMA instance_env TO CURRENT_USER;

REVOKE ALL ON SCHEMA instance_env FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA instance_env FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA instance_env FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA instance_env FROM PUBLIC;

-- PUBLIC may not use the schema: CREATE TRIGGER and CREATE RULE wait for a table's lock, and
-- make others wait behind them, before PostgreSQL asks whose the table is; a role that
-- cannot name the table cannot do so.  What is stored, a trigger's condition or a column's
-- type, is found without that right.
GRANT USAGE ON TYPE instance_env.instance_type, instance_env.instance_status, instance_env.plan,
	instance_env.credential_source, instance_env.severity
	TO CURRENT_USER, PUBLIC;
GRANT EXECUTE ON FUNCTION
	-- trigger conditions
	instance_env.admission_required(uuid, oid),
	instance_env.admission_required(uuid, "any", oid),
	instance_env.admission_required(text, oid),
	instance_env.admission_required(text, "any", oid),
	instance_env.instance_unavailable(uuid, oid),
	instance_env.instance_unavailable(uuid, "any", oid),
	instance_env.instance_unavailable(text, oid),
	instance_env.instance_unavailable(text, "any", oid),
	instance_env.departure_queued(),
	instance_env.identity_changes("any", "any"),
	instance_env.row_moves(uuid, oid, tid),
	instance_env.row_moves(text, oid, tid),
	-- what reads nothing but its argument, for those who may use the schema
	instance_env.domain_root(text),
	instance_env.key_frontend_api(text),
	instance_env.key_instance_type(text)
	TO PUBLIC;

CREATE FUNCTION instance_env.revoke_defaults()
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_revoke_defaults';
SELECT instance_env.revoke_defaults();
DROP FUNCTION instance_env.revoke_defaults();
