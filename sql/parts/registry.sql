-- registry: applications and their instances, how they are found by name, what makes every
-- backend forget them, the rows that the extension brings, the names of the service, and who
-- is granted what.

--
-- Applications and instances
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
COMMENT ON COLUMN instance_env.application.id IS
'the id of the application';
COMMENT ON COLUMN instance_env.application.name IS
'its name, which no other application has';
COMMENT ON COLUMN instance_env.application.plan IS
'what it has subscribed to';
COMMENT ON COLUMN instance_env.application.staging_of IS
'the application that this one is the staging environment of; null if it is none';
COMMENT ON COLUMN instance_env.application.created_at IS
'when it was created';
SELECT pg_catalog.pg_extension_config_dump('instance_env.application', '');

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
	cap_mode text COLLATE "C" NOT NULL DEFAULT 'hard' CHECK (cap_mode IN ('hard', 'soft')),
	code bytea NOT NULL GENERATED ALWAYS AS (substr(sha256(uuid_send(id)), 1, 5)) STORED UNIQUE,
	UNIQUE (application, type),
	CONSTRAINT instance_user_cap_development CHECK (type = 'development' OR user_cap IS NULL),
	CONSTRAINT instance_cap_mode_development CHECK (type = 'development' OR cap_mode = 'hard'),
	CONSTRAINT instance_slug_development CHECK ((type = 'development') = (slug IS NOT NULL))
);
COMMENT ON TABLE instance_env.instance IS
'the two instances of each application';
COMMENT ON COLUMN instance_env.instance.id IS
'the id of the instance, which never changes';
COMMENT ON COLUMN instance_env.instance.application IS
'its application, which never changes';
COMMENT ON COLUMN instance_env.instance.type IS
'whether it is for development or production, which never changes';
COMMENT ON COLUMN instance_env.instance.status IS
'whether it takes new users';
COMMENT ON COLUMN instance_env.instance.user_cap IS
'the most users this development instance may hold; null means the policy_default, and in production no cap';
COMMENT ON COLUMN instance_env.instance.external_key IS
'what names this instance where a guarded table''s instance column is text';
COMMENT ON COLUMN instance_env.instance.config_version IS
'rises with every change of the instance''s configuration';
COMMENT ON COLUMN instance_env.instance.created_at IS
'when it was created';
COMMENT ON COLUMN instance_env.instance.slug IS
'the name of a development instance below the service''s own domain, which never changes; null in production';
COMMENT ON COLUMN instance_env.instance.cap_mode IS
'what happens at the cap: hard refuses new users, soft takes them with a warning; hard in production, which has no cap';
COMMENT ON COLUMN instance_env.instance.code IS
'the last 40 bits of the ids that new_user_id() makes for it: the first of the SHA-256 hash of its id';
SELECT pg_catalog.pg_extension_config_dump('instance_env.instance', '');

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

-- Each function that takes an application's id has a sibling that takes its name.  A literal
-- of unknown type is taken for a text, so these also take an id in a text.
CREATE FUNCTION instance_env.rename_application(application text, name text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_rename_application_by_name';
COMMENT ON FUNCTION instance_env.rename_application(text, text) IS
'gives the application with this name another one';

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

CREATE FUNCTION instance_env.distribute()
RETURNS TABLE (relation regclass, action text)
LANGUAGE C VOLATILE ROWS 25 SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_distribute';
COMMENT ON FUNCTION instance_env.distribute() IS
'puts the registry on all nodes of a Citus cluster; returns its tables, and which of them it has distributed';

-- On a cluster, a row that is inserted is a task for every node, and is not kept.
CREATE TABLE instance_env.node_task
(
	-- Citus copies a table to a new node by logical replication, which asks for a key.
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	action text NOT NULL,
	item text,
	before text,
	after text
);
COMMENT ON TABLE instance_env.node_task IS
'what each node of a Citus cluster is to do in the current transaction; always empty';
COMMENT ON COLUMN instance_env.node_task.id IS
'names the row while it is on its way';
COMMENT ON COLUMN instance_env.node_task.action IS
'the function that was called, or a part of distribute()';
COMMENT ON COLUMN instance_env.node_task.item IS
'what it was called for: a role, an instance, or a view';
COMMENT ON COLUMN instance_env.node_task.before IS
'the old external key of an instance that is renamed';
COMMENT ON COLUMN instance_env.node_task.after IS
'its new external key, or the definition of a view';

CREATE FUNCTION instance_env.do_node_task() RETURNS trigger
LANGUAGE C SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_do_node_task';
COMMENT ON FUNCTION instance_env.do_node_task() IS
'trigger: does on this node of a cluster what a row says, and lets the row go';

CREATE TRIGGER do_node_task BEFORE INSERT ON instance_env.node_task
	FOR EACH ROW EXECUTE FUNCTION instance_env.do_node_task();

CREATE FUNCTION instance_env.application_id(name text) RETURNS uuid
LANGUAGE C STABLE STRICT
AS 'MODULE_PATHNAME', 'instance_env_application_id';
COMMENT ON FUNCTION instance_env.application_id(text) IS
'the id of the application with this name';

CREATE FUNCTION instance_env.instance_id(application text, type instance_env.instance_type) RETURNS uuid
LANGUAGE C STABLE STRICT
AS 'MODULE_PATHNAME', 'instance_env_instance_id_by_type';
COMMENT ON FUNCTION instance_env.instance_id(text, instance_env.instance_type) IS
'the id of the instance of this type of the application with this name';

CREATE FUNCTION instance_env.instance_by_key(external_key text) RETURNS uuid
LANGUAGE C STABLE STRICT
AS 'MODULE_PATHNAME', 'instance_env_instance_by_key';
COMMENT ON FUNCTION instance_env.instance_by_key(text) IS
'the id of the instance with this external key';

CREATE FUNCTION instance_env.instance_info(
	instance uuid,
	OUT application text,
	OUT application_id uuid,
	OUT type instance_env.instance_type,
	OUT status instance_env.instance_status,
	OUT user_cap integer,
	OUT plan instance_env.plan,
	OUT slug text,
	OUT domain text,
	OUT external_key text,
	OUT cap_mode text)
RETURNS record
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_instance_info';
COMMENT ON FUNCTION instance_env.instance_info(uuid) IS
'what an instance is: its application, its type, and what applies to it';

-- Where the type is a literal or a text: other names get an error that tells more than
-- the enum's.
CREATE FUNCTION instance_env.instance_id(application text, type text) RETURNS uuid
LANGUAGE C STABLE STRICT
AS 'MODULE_PATHNAME', 'instance_env_instance_id';
COMMENT ON FUNCTION instance_env.instance_id(text, text) IS
'the id of the instance of this type of the application with this name';

-- Ids that carry their instance.
CREATE FUNCTION instance_env.new_user_id(instance uuid) RETURNS uuid
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'instance_env_new_user_id';
COMMENT ON FUNCTION instance_env.new_user_id(uuid) IS
'a new id for a user of this instance, which belongs to no other';

CREATE FUNCTION instance_env.id_instance(id uuid) RETURNS uuid
LANGUAGE C STABLE STRICT
AS 'MODULE_PATHNAME', 'instance_env_id_instance';
COMMENT ON FUNCTION instance_env.id_instance(uuid) IS
'the instance that an id was made for by new_user_id()';

CREATE FUNCTION instance_env.id_time(id uuid) RETURNS timestamptz
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'instance_env_id_time';
COMMENT ON FUNCTION instance_env.id_time(uuid) IS
'when an id was made by new_user_id(), to the millisecond';

CREATE FUNCTION instance_env.id_belongs(id uuid, instance uuid) RETURNS boolean
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'instance_env_id_belongs';
COMMENT ON FUNCTION instance_env.id_belongs(uuid, uuid) IS
'whether an id is of the form that new_user_id() makes for this instance';

CREATE FUNCTION instance_env.keep_instance() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_keep_instance';
COMMENT ON FUNCTION instance_env.keep_instance() IS
'trigger: an instance keeps its id, application and type, and an active production instance stays';

CREATE FUNCTION instance_env.keep_external_key() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_keep_external_key';
COMMENT ON FUNCTION instance_env.keep_external_key() IS
'trigger: only rename_instance() gives an instance another external key';

CREATE FUNCTION instance_env.keep_application() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_keep_application';
COMMENT ON FUNCTION instance_env.keep_application() IS
'trigger: an application stays while it has instances';

CREATE TRIGGER keep_instance BEFORE UPDATE ON instance_env.instance
	FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.application <> NEW.application OR OLD.type <> NEW.type)
	EXECUTE FUNCTION instance_env.keep_instance();
ALTER TABLE instance_env.instance ENABLE ALWAYS TRIGGER keep_instance;

-- These judge a change where it is made, not where it is applied: they are not enabled always.
CREATE TRIGGER keep_external_key BEFORE UPDATE ON instance_env.instance
	FOR EACH ROW WHEN (OLD.external_key <> NEW.external_key)
	EXECUTE FUNCTION instance_env.keep_external_key();
CREATE TRIGGER keep_active BEFORE DELETE ON instance_env.instance
	FOR EACH ROW WHEN (OLD.type = 'production' AND OLD.status = 'active')
	EXECUTE FUNCTION instance_env.keep_instance();
CREATE TRIGGER keep_application BEFORE DELETE ON instance_env.application
	FOR EACH ROW EXECUTE FUNCTION instance_env.keep_application();

CREATE VIEW instance_env.applications AS
SELECT a.name AS application, a.plan, s.name AS staging_of, p.status AS production_status,
	a.id AS application_id, d.id AS development_id, p.id AS production_id, a.created_at
FROM instance_env.application a
	JOIN instance_env.instance d ON d.application = a.id AND d.type = 'development'
	JOIN instance_env.instance p ON p.application = a.id AND p.type = 'production'
	LEFT JOIN instance_env.application s ON s.id = a.staging_of;
COMMENT ON VIEW instance_env.applications IS
'every application with its two instances';
COMMENT ON COLUMN instance_env.applications.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.applications.plan IS
'what it has subscribed to';
COMMENT ON COLUMN instance_env.applications.staging_of IS
'the name of the application that it is the staging environment of; null if it is none';
COMMENT ON COLUMN instance_env.applications.production_status IS
'the status of its production instance';
COMMENT ON COLUMN instance_env.applications.application_id IS
'the id of the application';
COMMENT ON COLUMN instance_env.applications.development_id IS
'the id of its development instance';
COMMENT ON COLUMN instance_env.applications.production_id IS
'the id of its production instance';
COMMENT ON COLUMN instance_env.applications.created_at IS
'when it was created';

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
	AFTER UPDATE OF id, type, status, user_cap, external_key, created_at, slug, cap_mode ON instance_env.instance
	FOR EACH ROW WHEN ((OLD.id, OLD.type, OLD.status, OLD.user_cap, OLD.external_key, OLD.created_at, OLD.slug, OLD.cap_mode)
		IS DISTINCT FROM (NEW.id, NEW.type, NEW.status, NEW.user_cap, NEW.external_key, NEW.created_at, NEW.slug, NEW.cap_mode))
	EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON instance_env.instance
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.registry_changed();
ALTER TABLE instance_env.instance ENABLE ALWAYS TRIGGER registry_changed,
	ENABLE ALWAYS TRIGGER registry_updated, ENABLE ALWAYS TRIGGER registry_truncated;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.application
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.application
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.application
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

--
-- Rows that the extension brings.  The triggers are with the tables that have such rows.
--

CREATE FUNCTION instance_env.mark_changed() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_mark_changed';
COMMENT ON FUNCTION instance_env.mark_changed() IS
'trigger: marks a builtin row that is changed, so that a dump takes it along';

CREATE FUNCTION instance_env.replace_builtin() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_replace_builtin';
COMMENT ON FUNCTION instance_env.replace_builtin() IS
'trigger: makes way for a changed builtin row that is restored, and for one that comes by replication';

CREATE FUNCTION instance_env.keep_promise() RETURNS trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'instance_env_keep_promise';
COMMENT ON FUNCTION instance_env.keep_promise() IS
'trigger: refuses to change a policy that tells what the extension enforces';

--
-- The service itself
--

CREATE TABLE instance_env.service
(
	name text COLLATE "C" PRIMARY KEY,
	value jsonb NOT NULL,
	description text NOT NULL,
	builtin boolean NOT NULL DEFAULT false,
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE instance_env.service IS
'the names of the service itself, which are part of hosts, DNS records and keys';
COMMENT ON COLUMN instance_env.service.name IS
'what is named';
COMMENT ON COLUMN instance_env.service.value IS
'the name, or names';
COMMENT ON COLUMN instance_env.service.description IS
'what the name is for';
COMMENT ON COLUMN instance_env.service.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.service.changed IS
'a builtin row was changed since, so a dump takes it along';
SELECT pg_catalog.pg_extension_config_dump('instance_env.service', 'WHERE NOT builtin OR changed');
INSERT INTO instance_env.service (name, value, description, builtin) VALUES
	('development_domain', '"accounts.dev"',
		'each development instance has its names below this domain', true),
	('service_domains', '["clerk.app", "clerk.com", "clerk.dev", "clerk.services"]',
		'further domains of the service, which no application can have', true),
	('frontend_api_label', '"clerk"',
		'the label of the frontend API''s host and DNS record', true),
	('frontend_api_target', '"frontend-api.clerk.services"',
		'the host that the DNS record of the frontend API points to', true),
	('portal_label', '"accounts"',
		'the label of the account portal''s host and DNS record on a production domain', true),
	('portal_target', '"accounts.clerk.services"',
		'the host that the DNS record of the account portal points to', true),
	('mail_records', '{"clkmail": "mail.{instance}.clerk.services",
		"clk._domainkey": "dkim1.{instance}.clerk.services", "clk2._domainkey": "dkim2.{instance}.clerk.services"}',
		'the DNS records for mail and its signatures, and the hosts that they point to; {instance} stands for the instance''s own label', true),
	('oauth_callback_path', '"/v1/oauth_callback"',
		'the path on the frontend API''s host to which OAuth providers send users back', true),
	('test_email_marker', '"+clerk_test"',
		'what ends the local part of a test e-mail address', true),
	('publishable_key_prefixes', '{"development": "pk_test_", "production": "pk_live_"}',
		'what publishable keys begin with', true),
	('secret_key_prefixes', '{"development": "sk_test_", "production": "sk_live_"}',
		'what secret keys begin with', true),
	('legacy_key_prefixes', '{"development": "test_", "production": "live_"}',
		'what keys of an older format begin with; null if there are none', true);

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.service
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.service
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.service
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.service
	FOR EACH ROW WHEN (NEW.builtin) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.service
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;
ALTER TABLE instance_env.service ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.service ENABLE ALWAYS TRIGGER replace_builtin;

CREATE VIEW instance_env.service_names AS
SELECT s.name, s.value, s.description FROM instance_env.service s;
COMMENT ON VIEW instance_env.service_names IS
'the names of the service itself, which configure_service() changes';
COMMENT ON COLUMN instance_env.service_names.name IS
'what is named';
COMMENT ON COLUMN instance_env.service_names.value IS
'the name, or names';
COMMENT ON COLUMN instance_env.service_names.description IS
'what the name is for';

--
-- What roles are granted.  The list of who may execute what is in grant.c.
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

-- After all parts: it reads domains, and the cap's default, which is a policy.

CREATE VIEW instance_env.instances AS
SELECT a.name AS application, i.type, i.status, a.plan,
	CASE i.type WHEN 'development' THEN coalesce(i.user_cap, d.value::integer) END AS user_cap,
	m.name AS domain, m.verified_at AS domain_verified_at,
	i.id AS instance_id, i.external_key, i.application AS application_id, i.created_at, i.slug,
	CASE i.type WHEN 'development' THEN i.cap_mode END AS cap_mode
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	LEFT JOIN instance_env.policy_default d ON d.instance_type = i.type AND d.name = 'user_cap'
	LEFT JOIN instance_env.domain m ON m.instance = i.id AND m.is_primary;
COMMENT ON VIEW instance_env.instances IS
'every instance with what applies to it';
COMMENT ON COLUMN instance_env.instances.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.instances.type IS
'the type of the instance';
COMMENT ON COLUMN instance_env.instances.status IS
'whether it takes new users';
COMMENT ON COLUMN instance_env.instances.plan IS
'what the application has subscribed to';
COMMENT ON COLUMN instance_env.instances.user_cap IS
'the most users it may hold, its own cap or the default; null in production';
COMMENT ON COLUMN instance_env.instances.domain IS
'its primary domain; null in development, and in production if it has none yet';
COMMENT ON COLUMN instance_env.instances.domain_verified_at IS
'when the last DNS record of the primary domain was verified; null before';
COMMENT ON COLUMN instance_env.instances.instance_id IS
'the id of the instance';
COMMENT ON COLUMN instance_env.instances.external_key IS
'what names the instance where a guarded table''s instance column is text';
COMMENT ON COLUMN instance_env.instances.application_id IS
'the id of the application';
COMMENT ON COLUMN instance_env.instances.created_at IS
'when it was created';
COMMENT ON COLUMN instance_env.instances.slug IS
'the name of a development instance below the service''s own domain; null in production';
COMMENT ON COLUMN instance_env.instances.cap_mode IS
'what happens at the cap: hard refuses new users, soft takes them with a warning; null in production';
