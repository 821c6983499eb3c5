-- policy: what applies to an instance: policies, the banner, prefixes of messages, search
-- engines, security.

--
-- Policies.  What an application asks on every request is not SECURITY DEFINER, which costs
-- more than the answer; the C code acts as the owner where it reads a table.
--

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
		ELSE false END),
	-- up to eight percentages: what would be ignored is refused
	CONSTRAINT policy_default_user_cap_thresholds CHECK (CASE
		WHEN name <> 'user_cap_thresholds' THEN true
		WHEN instance_type = 'production' THEN value = 'null'
		ELSE value::text ~ '^[[](([1-9][0-9]{0,2}|1000)(, ([1-9][0-9]{0,2}|1000)){0,7})?[]]$' END)
);
COMMENT ON TABLE instance_env.policy_default IS
'what applies to every instance of a type unless the instance says otherwise';
COMMENT ON COLUMN instance_env.policy_default.instance_type IS
'the type of the instances that it applies to';
COMMENT ON COLUMN instance_env.policy_default.name IS
'the name of the policy';
COMMENT ON COLUMN instance_env.policy_default.value IS
'the value; JSON''s null means that nothing applies';
COMMENT ON COLUMN instance_env.policy_default.overridable IS
'may set_policy() give an instance another value?';
COMMENT ON COLUMN instance_env.policy_default.description IS
'what the policy says';
COMMENT ON COLUMN instance_env.policy_default.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.policy_default.changed IS
'a builtin row was changed since, so a dump takes it along';
SELECT pg_catalog.pg_extension_config_dump('instance_env.policy_default', 'WHERE NOT builtin OR changed');

-- This is the only place that says them.  The JSON value null means that nothing
-- applies: no limit, nothing to show, nothing to send.
INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description, builtin)
SELECT d.instance_type::instance_env.instance_type, p.name, d.value::jsonb, d.overridable, p.description, true
FROM (VALUES
	-- name, development: value and overridable, production: value and overridable, description

	-- what is promised of the type, and enforced elsewhere: keep_promise() sees to it that it stays true
	('user_cap', '500', true, 'null', false,
		'the most users that the instance may hold'),
	('user_cap_mode', '"hard"', true, 'null', false,
		'what happens at the cap: hard refuses new users, soft takes them with a warning'),
	('user_cap_thresholds', '[80, 100]', true, 'null', false,
		'at how many percent of the cap to warn: a notification on channel instance_env, and a warning'),
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
	('test_phone_numbers', '"^[+]1[0-9]{3}55501[0-9]{2}$"', false, '"^[+]1[0-9]{3}55501[0-9]{2}$"', false,
		'regular expression for test phone numbers'),
	('test_code', '"424242"', false, '"424242"', false,
		'the verification code of test identities')
) AS p (name, development, development_overridable, production, production_overridable, description),
LATERAL (VALUES
	('development', p.development, p.development_overridable),
	('production', p.production, p.production_overridable)
) AS d (instance_type, value, overridable);

-- The marker of test addresses is the service's own, the same for all instances.
CREATE VIEW instance_env.policy_defaults AS
SELECT d.instance_type, d.name, d.value, d.overridable, d.description FROM instance_env.policy_default d
UNION ALL
SELECT t.instance_type, s.name, s.value, false, s.description
FROM instance_env.service s, unnest(enum_range(NULL::instance_env.instance_type)) AS t (instance_type)
WHERE s.name = 'test_email_marker';
COMMENT ON VIEW instance_env.policy_defaults IS
'the catalogue of policies: what applies to every instance of a type unless the instance says otherwise';
COMMENT ON COLUMN instance_env.policy_defaults.instance_type IS
'the type of the instances that it applies to';
COMMENT ON COLUMN instance_env.policy_defaults.name IS
'the name of the policy';
COMMENT ON COLUMN instance_env.policy_defaults.value IS
'the value; JSON''s null means that nothing applies';
COMMENT ON COLUMN instance_env.policy_defaults.overridable IS
'may set_policy() give the instance another value?';
COMMENT ON COLUMN instance_env.policy_defaults.description IS
'what the policy says';

CREATE TABLE instance_env.policy_override
(
	instance uuid,
	name text COLLATE "C",
	value jsonb NOT NULL,
	PRIMARY KEY (instance, name)
);
COMMENT ON TABLE instance_env.policy_override IS
'where an instance has another value than its policy_default; its user cap and the mode of that are in table instance';
COMMENT ON COLUMN instance_env.policy_override.instance IS
'the instance that has the value';
COMMENT ON COLUMN instance_env.policy_override.name IS
'the name of the policy';
COMMENT ON COLUMN instance_env.policy_override.value IS
'the value that applies instead of the default';
SELECT pg_catalog.pg_extension_config_dump('instance_env.policy_override', '');

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

CREATE TRIGGER registry_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.policy_default
	FOR EACH ROW EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON instance_env.policy_default
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER keep_promise
	BEFORE DELETE OR UPDATE OF instance_type, name, value, overridable
	ON instance_env.policy_default
	FOR EACH ROW WHEN (OLD.name IN ('user_cap_mode', 'user_transfer', 'activation_required', 'domain_required', 'shared_credentials',
		'own_credentials_required', 'production_only_features', 'plan_required'))
	EXECUTE FUNCTION instance_env.keep_promise();
CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.policy_default
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.policy_default
	FOR EACH ROW WHEN (NEW.builtin) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.policy_default
	ENABLE ALWAYS TRIGGER registry_changed, ENABLE ALWAYS TRIGGER registry_truncated;
ALTER TABLE instance_env.policy_default ENABLE ALWAYS TRIGGER keep_promise;
ALTER TABLE instance_env.policy_default ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.policy_default ENABLE ALWAYS TRIGGER replace_builtin;

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.policy_override
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.policy_override
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.policy_override
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

-- The thresholds of the cap are part of what every backend caches of an instance.
CREATE TRIGGER registry_inserted AFTER INSERT ON instance_env.policy_override
	FOR EACH ROW WHEN (NEW.name = 'user_cap_thresholds') EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_updated AFTER UPDATE ON instance_env.policy_override
	FOR EACH ROW WHEN (OLD.name = 'user_cap_thresholds' OR NEW.name = 'user_cap_thresholds')
	EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_deleted AFTER DELETE ON instance_env.policy_override
	FOR EACH ROW WHEN (OLD.name = 'user_cap_thresholds') EXECUTE FUNCTION instance_env.registry_changed();
CREATE TRIGGER registry_truncated AFTER TRUNCATE ON instance_env.policy_override
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.registry_changed();
ALTER TABLE instance_env.policy_override
	ENABLE ALWAYS TRIGGER registry_inserted, ENABLE ALWAYS TRIGGER registry_updated,
	ENABLE ALWAYS TRIGGER registry_deleted, ENABLE ALWAYS TRIGGER registry_truncated;

-- The cap and its mode have columns in table instance.  An override of what is fixed does not count,
-- however it came into the table.
CREATE VIEW instance_env.policies AS
SELECT a.name AS application, i.type, i.id AS instance_id, d.name,
	coalesce(o.value, d.value) AS value,
	CASE WHEN o.value IS NULL THEN 'default' ELSE 'override' END AS source,
	d.overridable
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	JOIN instance_env.policy_defaults d ON d.instance_type = i.type
	LEFT JOIN instance_env.policy_override p ON p.instance = i.id AND p.name = d.name AND d.overridable,
	LATERAL (SELECT CASE d.name WHEN 'user_cap' THEN to_jsonb(i.user_cap)
		WHEN 'user_cap_mode' THEN CASE WHEN i.cap_mode <> 'hard' THEN to_jsonb(i.cap_mode) END
		ELSE p.value END AS value) o;
COMMENT ON VIEW instance_env.policies IS
'everything that applies to each instance';
COMMENT ON COLUMN instance_env.policies.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.policies.type IS
'the type of the instance';
COMMENT ON COLUMN instance_env.policies.instance_id IS
'the id of the instance';
COMMENT ON COLUMN instance_env.policies.name IS
'the name of the policy';
COMMENT ON COLUMN instance_env.policies.value IS
'what applies to the instance; JSON''s null means that nothing applies';
COMMENT ON COLUMN instance_env.policies.source IS
'default, or override if the instance has a value of its own';
COMMENT ON COLUMN instance_env.policies.overridable IS
'may set_policy() give the instance another value?';

--
-- The banner and messages
--

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

--
-- Search engines
--

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

--
-- Security
--

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
'may an instance redirect to this URL?';

--
-- Test identities
--

CREATE FUNCTION instance_env.is_test_identity(instance uuid, address text)
RETURNS boolean
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_is_test_identity';
COMMENT ON FUNCTION instance_env.is_test_identity(uuid, text) IS
'is this e-mail address or phone number one of an instance''s test identities, which sign in with test_code?';

--
-- How many messages an instance sends
--

-- A row for each slot: message_count.c says what they are for.  They are replaced often, in
-- place if there is room on the page.
CREATE TABLE instance_env.message_count
(
	instance uuid,
	channel text COLLATE "C",
	slot integer,
	month date NOT NULL,
	sent bigint NOT NULL,
	PRIMARY KEY (instance, channel, slot)
)
WITH (fillfactor = 50);
COMMENT ON TABLE instance_env.message_count IS
'how many messages an instance has sent this month: the sum of its slots';
COMMENT ON COLUMN instance_env.message_count.instance IS
'the instance that has sent them';
COMMENT ON COLUMN instance_env.message_count.channel IS
'what they are: email or sms';
COMMENT ON COLUMN instance_env.message_count.slot IS
'a number; transactions that send at the same time count in different slots';
COMMENT ON COLUMN instance_env.message_count.month IS
'the first day of the month, by UTC, in which they were sent; a row of another month counts as none';
COMMENT ON COLUMN instance_env.message_count.sent IS
'how many were counted in this slot';
SELECT pg_catalog.pg_extension_config_dump('instance_env.message_count', '');

CREATE FUNCTION instance_env.consume_message(instance uuid, channel text, address text)
RETURNS boolean
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_consume_message';
COMMENT ON FUNCTION instance_env.consume_message(uuid, text, text) IS
'counts an e-mail or an SMS that is about to be sent; false if the address is a test identity, so that none is to be sent';

CREATE VIEW instance_env.message_usage AS
SELECT a.name AS application, i.type, i.id AS instance_id, h.channel, t.month,
	coalesce((SELECT sum(c.sent) FROM instance_env.message_count c
		WHERE c.instance = i.id AND c.channel = h.channel AND c.month = t.month), 0)::bigint AS sent,
	CASE jsonb_typeof(p.value) WHEN 'number' THEN
		CASE WHEN p.value::numeric BETWEEN 0 AND 2147483647 THEN p.value::integer END END AS quota
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	CROSS JOIN (VALUES ('email', 'email_per_month'), ('sms', 'sms_per_month')) AS h (channel, policy)
	CROSS JOIN (SELECT date_trunc('month', statement_timestamp() AT TIME ZONE 'UTC')::date) AS t (month)
	LEFT JOIN instance_env.policies p ON p.instance_id = i.id AND p.name = h.policy;
COMMENT ON VIEW instance_env.message_usage IS
'how many messages each instance has sent this month';
COMMENT ON COLUMN instance_env.message_usage.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.message_usage.type IS
'the type of the instance';
COMMENT ON COLUMN instance_env.message_usage.instance_id IS
'the id of the instance';
COMMENT ON COLUMN instance_env.message_usage.channel IS
'email or sms';
COMMENT ON COLUMN instance_env.message_usage.month IS
'the first day of this month, by UTC';
COMMENT ON COLUMN instance_env.message_usage.sent IS
'how many consume_message() has counted in it';
COMMENT ON COLUMN instance_env.message_usage.quota IS
'how many it may send in a month, by policy email_per_month or sms_per_month; null if there is no limit';
