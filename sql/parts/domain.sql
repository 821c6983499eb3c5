-- domain: domains and their DNS records, the addresses made of them, hosts and previews, and
-- the keys of the API.

--
-- The service itself
--

CREATE FUNCTION instance_env.configure_service(settings jsonb)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_configure_service';
COMMENT ON FUNCTION instance_env.configure_service(jsonb) IS
'gives the service other names, before there are applications';

--
-- Domains
--

-- What the Public Suffix List lacks, and where it does not say what matters here.
CREATE TABLE instance_env.hosting_suffix
(
	name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z0-9]([a-z0-9-]*[a-z0-9])?$'),
	hosting boolean NOT NULL,
	description text NOT NULL DEFAULT '',
	builtin boolean NOT NULL DEFAULT false,
	changed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE instance_env.hosting_suffix IS
'public suffixes that the Public Suffix List lacks, or says something else of';
COMMENT ON COLUMN instance_env.hosting_suffix.name IS
'the suffix, in lower case';
COMMENT ON COLUMN instance_env.hosting_suffix.hosting IS
'do names below it belong to a hosting provider, rather than to those who have registered them?';
COMMENT ON COLUMN instance_env.hosting_suffix.description IS
'whose it is, or why it is here';
COMMENT ON COLUMN instance_env.hosting_suffix.builtin IS
'the extension brings this row; a dump leaves it out unless it was changed';
COMMENT ON COLUMN instance_env.hosting_suffix.changed IS
'a builtin row was changed since, so a dump takes it along';
SELECT pg_catalog.pg_extension_config_dump('instance_env.hosting_suffix', 'WHERE NOT builtin OR changed');

-- Providers that are not in the list as Debian 12 has it, or in none
INSERT INTO instance_env.hosting_suffix (name, hosting, description, builtin)
SELECT name, true, 'a hosting provider''s', true FROM pg_catalog.unnest('{
	amplifyapp.com, app.github.dev, base44.app, bolt.host, bubbleapps.io, codepen.app, codesandbox.io,
	convex.app, convex.site, csb.app, emergent.host, expo.app, figma.site, framer.ai, github.dev, gitpod.io, hf.space,
	laravel.cloud, loca.lt, lovable.app, lovableproject.com, ngrok-free.app, ngrok-free.dev, ngrok.app, ngrok.dev,
	ngrok.pizza, ngrok.pro, railway.app, readthedocs-hosted.com, render.com, replit.app, replit.dev, stackblitz.io,
	surge.sh, trafficmanager.net, v0.build, val.run, vercel.run, vusercontent.net, webcontainer.io, webflow.io,
	windsurf.app, windsurf.build, wixstudio.com, wixstudio.io, zeabur.app}'::text[]) AS name;

-- Registries that sell names, and are in the list's private section
INSERT INTO instance_env.hosting_suffix (name, hosting, description, builtin)
SELECT name, false, 'a registry''s', true FROM pg_catalog.unnest('{
	ae.org, africa.com, ar.com, biz.at, biz.dk, biz.ua, br.com, cn.com, co.ca, co.com, co.cz, co.dk, co.nl, co.no, co.ua,
	com.de, com.ru, com.se, de.com, eu.com, eu.org, firm.dk, gb.net, gr.com, hu.com, hu.net, in.net, info.at, jp.net,
	jpn.com, jpn.org, kr.com, mex.com, net.ru, no.com, org.ru, pp.ru, pp.ua, priv.at, qc.com, reg.dk, ru.com, sa.com,
	se.net, store.dk, uk.com, uk.net, us.com, us.org, uy.com, web.in, za.bz, za.com, za.net, za.org}'::text[]) AS name;

CREATE FUNCTION instance_env.add_hosting_suffix(name text, hosting boolean DEFAULT true, description text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_add_hosting_suffix';
COMMENT ON FUNCTION instance_env.add_hosting_suffix(text, boolean, text) IS
'makes a name a public suffix, and says whose the names below it are';

CREATE FUNCTION instance_env.remove_hosting_suffix(name text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_remove_hosting_suffix';
COMMENT ON FUNCTION instance_env.remove_hosting_suffix(text) IS
'takes back what add_hosting_suffix() has added';

-- The list that it goes by changes with the system, so nothing stored may depend on it.
CREATE FUNCTION instance_env.domain_root(domain text) RETURNS text
LANGUAGE C STABLE STRICT
AS 'MODULE_PATHNAME', 'instance_env_domain_root';
COMMENT ON FUNCTION instance_env.domain_root(text) IS
'the part of a domain that its owner has registered: example.com of www.example.com';

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.hosting_suffix
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.hosting_suffix
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER mark_changed BEFORE UPDATE ON instance_env.hosting_suffix
	FOR EACH ROW WHEN (OLD.builtin AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION instance_env.mark_changed();
CREATE TRIGGER replace_builtin BEFORE INSERT ON instance_env.hosting_suffix
	FOR EACH ROW WHEN (NEW.builtin) EXECUTE FUNCTION instance_env.replace_builtin();
ALTER TABLE instance_env.hosting_suffix
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;
ALTER TABLE instance_env.hosting_suffix ENABLE ALWAYS TRIGGER mark_changed;
ALTER TABLE instance_env.hosting_suffix ENABLE ALWAYS TRIGGER replace_builtin;

CREATE VIEW instance_env.hosting_suffixes AS
SELECT s.name, s.hosting, s.description, s.builtin
FROM instance_env.hosting_suffix s;
COMMENT ON VIEW instance_env.hosting_suffixes IS
'public suffixes that the Public Suffix List lacks, or says something else of';
COMMENT ON COLUMN instance_env.hosting_suffixes.name IS
'the suffix';
COMMENT ON COLUMN instance_env.hosting_suffixes.hosting IS
'do names below it belong to a hosting provider, rather than to those who have registered them?';
COMMENT ON COLUMN instance_env.hosting_suffixes.description IS
'whose it is, or why it is here';
COMMENT ON COLUMN instance_env.hosting_suffixes.builtin IS
'does the extension bring it?';

CREATE TABLE instance_env.domain
(
	name text COLLATE "C" PRIMARY KEY,
	instance uuid NOT NULL,
	root text COLLATE "C" NOT NULL,
	is_primary boolean NOT NULL DEFAULT true,
	verified_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX domain_primary ON instance_env.domain (instance) WHERE is_primary;
CREATE INDEX domain_instance ON instance_env.domain (instance);
-- for names below another, by which the list would have it
CREATE INDEX domain_reversed ON instance_env.domain (reverse(name));
COMMENT ON TABLE instance_env.domain IS
'the domains of production instances';
COMMENT ON COLUMN instance_env.domain.name IS
'the domain, in lower case';
COMMENT ON COLUMN instance_env.domain.instance IS
'the production instance that it belongs to';
COMMENT ON COLUMN instance_env.domain.root IS
'the part of it that its owner has registered, by the Public Suffix List of the time when it was associated';
COMMENT ON COLUMN instance_env.domain.is_primary IS
'is it the instance''s primary domain, rather than a satellite?';
COMMENT ON COLUMN instance_env.domain.verified_at IS
'when the last of its DNS records was verified; null before';
COMMENT ON COLUMN instance_env.domain.created_at IS
'when it was associated with the instance';
SELECT pg_catalog.pg_extension_config_dump('instance_env.domain', '');

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
COMMENT ON COLUMN instance_env.dns_record.domain IS
'the domain that needs the record';
COMMENT ON COLUMN instance_env.dns_record.record IS
'the name within the domain: mail means mail.example.com';
COMMENT ON COLUMN instance_env.dns_record.type IS
'the type of the record: CNAME';
COMMENT ON COLUMN instance_env.dns_record.target IS
'the host that the record has to lead to';
COMMENT ON COLUMN instance_env.dns_record.verified_at IS
'when verify_domain() was called for it; null before';
SELECT pg_catalog.pg_extension_config_dump('instance_env.dns_record', '');

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

CREATE FUNCTION instance_env.unverify_domain(instance uuid, domain text, record text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_unverify_domain';
COMMENT ON FUNCTION instance_env.unverify_domain(uuid, text, text) IS
'records that a DNS record of a production instance''s domain is not as it should be, or all of them';

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

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.domain
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.domain
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.domain
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

--
-- Addresses.  An application may call these on every request: their SECURITY DEFINER is in C,
-- where a cached answer does without.
--

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

CREATE FUNCTION instance_env.instance_for_host(application text, host text)
RETURNS uuid
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_instance_for_host_by_name';
COMMENT ON FUNCTION instance_env.instance_for_host(text, text) IS
'the instance of the application with this name that serves a host';

CREATE FUNCTION instance_env.check_preview(application text, host text,
	OUT instance_id uuid, OUT instance_type instance_env.instance_type, OUT reason text)
RETURNS record
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_check_preview_by_name';
COMMENT ON FUNCTION instance_env.check_preview(text, text) IS
'the same, and why';

--
-- API keys
--

CREATE TABLE instance_env.api_key
(
	hash bytea PRIMARY KEY CHECK (length(hash) = 32),
	instance uuid NOT NULL,
	hint text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	revoked_at timestamptz,
	name text,
	expires_at timestamptz,
	lifetime interval
);
CREATE INDEX api_key_instance ON instance_env.api_key (instance);
COMMENT ON TABLE instance_env.api_key IS
'the secret keys of instances';
COMMENT ON COLUMN instance_env.api_key.hash IS
'SHA-256 of the key, which is not stored';
COMMENT ON COLUMN instance_env.api_key.instance IS
'the instance that the key is for';
COMMENT ON COLUMN instance_env.api_key.hint IS
'the last characters of the key, by which a person tells keys apart';
COMMENT ON COLUMN instance_env.api_key.created_at IS
'when it was made';
COMMENT ON COLUMN instance_env.api_key.revoked_at IS
'when it was revoked; null before';
COMMENT ON COLUMN instance_env.api_key.name IS
'what the key is for, as people call it';
COMMENT ON COLUMN instance_env.api_key.expires_at IS
'when it becomes invalid by itself; null: never';
COMMENT ON COLUMN instance_env.api_key.lifetime IS
'how long it was to be valid when it was made, as a key that replaces it will be; null: without end';
SELECT pg_catalog.pg_extension_config_dump('instance_env.api_key', '');

-- Requests add rows, and never update one. Unlogged: what only reads otherwise does not wait
-- for a standby when it commits. It has no key to be identified by, hence the last line.
CREATE UNLOGGED TABLE instance_env.secret_key_use
(
	hash bytea NOT NULL,
	used_at timestamptz NOT NULL
);
CREATE INDEX secret_key_use_latest ON instance_env.secret_key_use (hash, used_at);
ALTER TABLE instance_env.secret_key_use REPLICA IDENTITY FULL;
COMMENT ON TABLE instance_env.secret_key_use IS
'when secret keys were used, the latest time above all';
COMMENT ON COLUMN instance_env.secret_key_use.hash IS
'SHA-256 of the key';
COMMENT ON COLUMN instance_env.secret_key_use.used_at IS
'when it was verified';
SELECT pg_catalog.pg_extension_config_dump('instance_env.secret_key_use', '');

CREATE FUNCTION instance_env.publishable_key(instance uuid)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_publishable_key';
COMMENT ON FUNCTION instance_env.publishable_key(uuid) IS
'the key that browsers may see';

CREATE FUNCTION instance_env.instance_by_publishable_key(key text)
RETURNS uuid
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_instance_by_publishable_key';
COMMENT ON FUNCTION instance_env.instance_by_publishable_key(text) IS
'the instance that a publishable key is for; null if it is none';

CREATE FUNCTION instance_env.key_instance_type(key text)
RETURNS instance_env.instance_type
LANGUAGE C STABLE STRICT
AS 'MODULE_PATHNAME', 'instance_env_key_instance_type';
COMMENT ON FUNCTION instance_env.key_instance_type(text) IS
'the type of the instance that a key is for';

CREATE FUNCTION instance_env.key_frontend_api(key text)
RETURNS text
LANGUAGE C STABLE STRICT
AS 'MODULE_PATHNAME', 'instance_env_key_frontend_api';
COMMENT ON FUNCTION instance_env.key_frontend_api(text) IS
'the frontend API host that a publishable key carries';

CREATE FUNCTION instance_env.create_secret_key(instance uuid, name text DEFAULT NULL,
	expires_at timestamptz DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_create_secret_key';
COMMENT ON FUNCTION instance_env.create_secret_key(uuid, text, timestamptz) IS
'makes a secret key; only its hash is kept';

CREATE FUNCTION instance_env.verify_secret_key(key text)
RETURNS uuid
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_verify_secret_key';
COMMENT ON FUNCTION instance_env.verify_secret_key(text) IS
'the instance that a secret key is for; null if it is none, revoked, or has expired';

CREATE FUNCTION instance_env.keys_match(publishable text, secret text)
RETURNS boolean
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_keys_match';
COMMENT ON FUNCTION instance_env.keys_match(text, text) IS
'are both keys valid, and of the same instance?';

CREATE FUNCTION instance_env.rotate_secret_key(key text, overlap interval DEFAULT '1 day')
RETURNS text
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_rotate_secret_key';
COMMENT ON FUNCTION instance_env.rotate_secret_key(text, interval) IS
'makes a secret key that replaces another one, which remains valid for a while';

-- All arguments are required: with two texts, it could be meant as the one above.
CREATE FUNCTION instance_env.rotate_secret_key(instance uuid, hint text, overlap interval)
RETURNS text
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_rotate_secret_key_by_hint';
COMMENT ON FUNCTION instance_env.rotate_secret_key(uuid, text, interval) IS
'replaces the secret key of an instance that ends in these characters';

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

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.api_key
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.api_key
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.api_key
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE FUNCTION instance_env.key_last_used(hash bytea)
RETURNS timestamptz
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_key_last_used';
COMMENT ON FUNCTION instance_env.key_last_used(bytea) IS
'when the secret key with this hash was last used; for view secret_keys';

CREATE VIEW instance_env.secret_keys AS
SELECT k.instance, k.hint, k.name, k.created_at, k.expires_at, k.revoked_at,
	instance_env.key_last_used(k.hash) AS last_used_at,
	k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp()) AS valid
FROM instance_env.api_key k;
COMMENT ON VIEW instance_env.secret_keys IS
'the secret keys of instances, by their last characters';
COMMENT ON COLUMN instance_env.secret_keys.instance IS
'the id of the instance';
COMMENT ON COLUMN instance_env.secret_keys.hint IS
'the last four characters of the key';
COMMENT ON COLUMN instance_env.secret_keys.name IS
'what the key is for, as people call it; null: it has no name';
COMMENT ON COLUMN instance_env.secret_keys.created_at IS
'when it was made';
COMMENT ON COLUMN instance_env.secret_keys.expires_at IS
'when it becomes invalid by itself; null: never';
COMMENT ON COLUMN instance_env.secret_keys.revoked_at IS
'when it was revoked; null: it is not';
COMMENT ON COLUMN instance_env.secret_keys.last_used_at IS
'when it was last verified, up to a minute; null: not since it was made or the server crashed';
COMMENT ON COLUMN instance_env.secret_keys.valid IS
'is it neither revoked nor expired?';

--
-- Redirects.  redirect_url_allowed() is a part of policy.
--

CREATE TABLE instance_env.redirect_url
(
	instance uuid,
	url text COLLATE "C",
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (instance, url)
);
COMMENT ON TABLE instance_env.redirect_url IS
'what instances may redirect to besides their own hosts';
COMMENT ON COLUMN instance_env.redirect_url.instance IS
'the instance that may redirect to it';
COMMENT ON COLUMN instance_env.redirect_url.url IS
'an origin, a URL without a query, or a native app''s; the host''s first label may have an asterisk';
COMMENT ON COLUMN instance_env.redirect_url.created_at IS
'when it was added';
SELECT pg_catalog.pg_extension_config_dump('instance_env.redirect_url', '');

CREATE TRIGGER table_changed AFTER INSERT OR DELETE OR UPDATE ON instance_env.redirect_url
	FOR EACH ROW EXECUTE FUNCTION instance_env.table_changed();
CREATE TRIGGER table_truncated AFTER TRUNCATE ON instance_env.redirect_url
	FOR EACH STATEMENT EXECUTE FUNCTION instance_env.table_changed();
ALTER TABLE instance_env.redirect_url
	ENABLE ALWAYS TRIGGER table_changed, ENABLE ALWAYS TRIGGER table_truncated;

CREATE FUNCTION instance_env.add_redirect_url(instance uuid, url text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_add_redirect_url';
COMMENT ON FUNCTION instance_env.add_redirect_url(uuid, text) IS
'allows an instance to redirect to an origin, a URL or a native app';

CREATE FUNCTION instance_env.remove_redirect_url(instance uuid, url text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_remove_redirect_url';
COMMENT ON FUNCTION instance_env.remove_redirect_url(uuid, text) IS
'takes a URL from what an instance may redirect to';

CREATE FUNCTION instance_env.set_allowed_origins(instance uuid, origins text[])
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_allowed_origins';
COMMENT ON FUNCTION instance_env.set_allowed_origins(uuid, text[]) IS
'replaces the origins that an instance may redirect to';

CREATE VIEW instance_env.redirect_urls AS
SELECT a.name AS application, i.type, i.id AS instance_id, r.url, r.created_at
FROM instance_env.redirect_url r
	JOIN instance_env.instance i ON i.id = r.instance
	JOIN instance_env.application a ON a.id = i.application;
COMMENT ON VIEW instance_env.redirect_urls IS
'what instances may redirect to besides their own hosts';
COMMENT ON COLUMN instance_env.redirect_urls.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.redirect_urls.type IS
'the type of the instance';
COMMENT ON COLUMN instance_env.redirect_urls.instance_id IS
'the id of the instance';
COMMENT ON COLUMN instance_env.redirect_urls.url IS
'an origin, which stands for all of its pages, a URL without a query, or a native app''s';
COMMENT ON COLUMN instance_env.redirect_urls.created_at IS
'when it was added';
