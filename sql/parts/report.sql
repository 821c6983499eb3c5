-- report: all of it at a glance, as one page.

-- With the caller's rights: it reads the views that he may read.
CREATE FUNCTION instance_env.report(application text DEFAULT NULL)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'instance_env_report';
COMMENT ON FUNCTION instance_env.report(text) IS
'an HTML page that shows how everything is, or one application: usage, readiness, policy, drift, promotions, guards, events';
