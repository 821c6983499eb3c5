-- promotion: what stands between an instance and production, the promotion itself and how it
-- is undone; renaming an instance; emptying a development instance; staging; dropping an
-- application.

--
-- Validation
--

CREATE TYPE instance_env.severity AS ENUM ('info', 'warning', 'error');
COMMENT ON TYPE instance_env.severity IS
'how much a failed check of validate() matters';

CREATE FUNCTION instance_env.validate(instance uuid)
RETURNS TABLE (check_name text, subject text, severity instance_env.severity, passed boolean, message text, hint text, sqlstate text)
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

CREATE FUNCTION instance_env.validate(application text)
RETURNS TABLE (check_name text, subject text, severity instance_env.severity, passed boolean, message text, hint text, sqlstate text)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_validate_by_name';
COMMENT ON FUNCTION instance_env.validate(text) IS
'the same for the production instance of the application with this name';

CREATE FUNCTION instance_env.assert_valid(application text)
RETURNS void
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_assert_valid_by_name';
COMMENT ON FUNCTION instance_env.assert_valid(text) IS
'the same for the production instance of the application with this name';

CREATE FUNCTION instance_env.readiness_list()
RETURNS TABLE (application text, status instance_env.instance_status, ready boolean, errors text[], warnings text[], next_step text, instance_id uuid)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100
AS 'MODULE_PATHNAME', 'instance_env_readiness_list';
COMMENT ON FUNCTION instance_env.readiness_list() IS
'what validate() says of every production instance, a row for each';

CREATE FUNCTION instance_env.readiness_of(instance uuid)
RETURNS TABLE (application text, status instance_env.instance_status, ready boolean, errors text[], warnings text[], next_step text, instance_id uuid)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 1
AS 'MODULE_PATHNAME', 'instance_env_readiness_of';
COMMENT ON FUNCTION instance_env.readiness_of(uuid) IS
'the row of view readiness for one instance, without a look at all the others';

CREATE FUNCTION instance_env.readiness_of(application text)
RETURNS TABLE (application text, status instance_env.instance_status, ready boolean, errors text[], warnings text[], next_step text, instance_id uuid)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 1
AS 'MODULE_PATHNAME', 'instance_env_readiness_of_by_name';
COMMENT ON FUNCTION instance_env.readiness_of(text) IS
'the same for the production instance of the application with this name';

CREATE VIEW instance_env.readiness AS
SELECT r.application COLLATE "C" AS application, r.status, r.ready, r.errors, r.warnings, r.next_step, r.instance_id
FROM instance_env.readiness_list() r;
COMMENT ON VIEW instance_env.readiness IS
'what validate() says of every production instance: is it ready, and if not, what is in the way?';
COMMENT ON COLUMN instance_env.readiness.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.readiness.status IS
'the status of the production instance';
COMMENT ON COLUMN instance_env.readiness.ready IS
'is there no failed check of severity error?';
COMMENT ON COLUMN instance_env.readiness.errors IS
'the messages of failed checks of severity error; empty if there are none';
COMMENT ON COLUMN instance_env.readiness.warnings IS
'the messages of all other failed checks; empty if there are none';
COMMENT ON COLUMN instance_env.readiness.next_step IS
'the hint of the first error; null if there is none';
COMMENT ON COLUMN instance_env.readiness.instance_id IS
'the id of the production instance';

--
-- Promotion and rollback
--

CREATE SEQUENCE instance_env.promotion_id_seq;
CREATE TABLE instance_env.promotion
(
	id bigint PRIMARY KEY DEFAULT nextval('instance_env.promotion_id_seq') + instance_env.node_offset(),
	application uuid NOT NULL,
	promoted_at timestamptz NOT NULL DEFAULT now(),
	session_user_name name NOT NULL,
	current_user_name name NOT NULL,
	client_address inet,
	snapshot jsonb NOT NULL,
	changes jsonb NOT NULL,
	rolled_back_at timestamptz,
	application_name text
);
CREATE INDEX promotion_application ON instance_env.promotion (application);
COMMENT ON TABLE instance_env.promotion IS
'every promotion: who, when, from where, and what it changed';
COMMENT ON COLUMN instance_env.promotion.id IS
'the number of the promotion';
COMMENT ON COLUMN instance_env.promotion.application IS
'the application that was promoted';
COMMENT ON COLUMN instance_env.promotion.promoted_at IS
'when the transaction of the promotion began';
COMMENT ON COLUMN instance_env.promotion.session_user_name IS
'who the session had logged in as, or SET SESSION AUTHORIZATION had made it';
COMMENT ON COLUMN instance_env.promotion.current_user_name IS
'the role that SET ROLE had set, or session_user_name: within a SECURITY DEFINER function not that function''s owner';
COMMENT ON COLUMN instance_env.promotion.client_address IS
'the address of the client; null if it came through a Unix socket';
COMMENT ON COLUMN instance_env.promotion.snapshot IS
'the production instance as it was before, for rollback_promotion()';
COMMENT ON COLUMN instance_env.promotion.changes IS
'what promote() returned';
COMMENT ON COLUMN instance_env.promotion.rolled_back_at IS
'when it was rolled back; null if it was not';
COMMENT ON COLUMN instance_env.promotion.application_name IS
'what the session called itself, which nobody has verified; null if it did not say';
ALTER SEQUENCE instance_env.promotion_id_seq OWNED BY instance_env.promotion.id;
COMMENT ON SEQUENCE instance_env.promotion_id_seq IS
'numbers promotions';
SELECT pg_catalog.pg_extension_config_dump('instance_env.promotion', '');
SELECT pg_catalog.pg_extension_config_dump('instance_env.promotion_id_seq', '');

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

CREATE FUNCTION instance_env.promote(
	application text,
	domain text DEFAULT NULL,
	clone_settings boolean DEFAULT true,
	dry_run boolean DEFAULT false)
RETURNS TABLE (step text, item text, before jsonb, after jsonb)
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_promote_by_name';
COMMENT ON FUNCTION instance_env.promote(text, text, boolean, boolean) IS
'the same by the application''s name';

CREATE FUNCTION instance_env.rollback_promotion(application text)
RETURNS TABLE (step text, item text, before jsonb, after jsonb)
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 20
AS 'MODULE_PATHNAME', 'instance_env_rollback_promotion_by_name';
COMMENT ON FUNCTION instance_env.rollback_promotion(text) IS
'the same by the application''s name';

CREATE FUNCTION instance_env.adopt_application(
	name text,
	plan instance_env.plan DEFAULT NULL,
	OUT application_id uuid,
	INOUT development_id uuid DEFAULT NULL,
	INOUT production_id uuid DEFAULT NULL,
	development_key text DEFAULT NULL,
	production_key text DEFAULT NULL,
	OUT failed_checks jsonb)
RETURNS record
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_adopt_application';
COMMENT ON FUNCTION instance_env.adopt_application(text, instance_env.plan, uuid, uuid, text, text) IS
'creates an application that is live already, or takes one over: its production instance is active at once';

CREATE VIEW instance_env.promotions AS
SELECT p.id, a.name AS application, p.application AS application_id, p.promoted_at,
	p.session_user_name, p.current_user_name, p.client_address, p.application_name, p.changes, p.rolled_back_at
FROM instance_env.promotion p
	LEFT JOIN instance_env.application a ON a.id = p.application;
COMMENT ON VIEW instance_env.promotions IS
'every promotion, also of applications that have been dropped';
COMMENT ON COLUMN instance_env.promotions.id IS
'the number of the promotion';
COMMENT ON COLUMN instance_env.promotions.application IS
'the name that the application has now; null if it has been dropped';
COMMENT ON COLUMN instance_env.promotions.application_id IS
'the id of the application';
COMMENT ON COLUMN instance_env.promotions.promoted_at IS
'when the transaction of the promotion began';
COMMENT ON COLUMN instance_env.promotions.session_user_name IS
'who the session had logged in as, or SET SESSION AUTHORIZATION had made it';
COMMENT ON COLUMN instance_env.promotions.current_user_name IS
'the role that SET ROLE had set, or session_user_name: within a SECURITY DEFINER function not that function''s owner';
COMMENT ON COLUMN instance_env.promotions.client_address IS
'the address of the client; null if it came through a Unix socket';
COMMENT ON COLUMN instance_env.promotions.application_name IS
'what the session called itself, which nobody has verified; null if it did not say';
COMMENT ON COLUMN instance_env.promotions.changes IS
'what promote() returned';
COMMENT ON COLUMN instance_env.promotions.rolled_back_at IS
'when it was rolled back; null if it was not';

--
-- Renaming, reset, staging, dropping
--

CREATE FUNCTION instance_env.rename_instance(instance uuid, external_key text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_rename_instance';
COMMENT ON FUNCTION instance_env.rename_instance(uuid, text) IS
'gives an instance another external key, which its rows get by an update in the same transaction';

-- With the caller's rights: the rows that it deletes are not the extension's.  A procedure
-- that is SECURITY DEFINER or has a SET clause could not commit.
CREATE PROCEDURE instance_env.reset_development(
	instance uuid,
	settings boolean DEFAULT false,
	batch_size integer DEFAULT 1000,
	INOUT deleted bigint DEFAULT NULL,
	only_users text DEFAULT NULL,
	older_than interval DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'instance_env_reset_development';
COMMENT ON PROCEDURE instance_env.reset_development(uuid, boolean, integer, bigint, text, interval) IS
'deletes the rows of a development instance from all guarded tables, in batches, or only some users; and if asked its settings';

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

CREATE FUNCTION instance_env.create_staging_application(
	application text,
	domain text,
	name text DEFAULT NULL,
	OUT application_id uuid,
	OUT development_id uuid,
	OUT production_id uuid)
RETURNS record
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_create_staging_application_by_name';
COMMENT ON FUNCTION instance_env.create_staging_application(text, text, text) IS
'the same by the application''s name';

CREATE FUNCTION instance_env.drop_application(application uuid)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_drop_application';
COMMENT ON FUNCTION instance_env.drop_application(uuid) IS
'drops an application that has neither users nor an active production instance';

CREATE FUNCTION instance_env.drop_application(application text)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_drop_application_by_name';
COMMENT ON FUNCTION instance_env.drop_application(text) IS
'the same by the application''s name';
