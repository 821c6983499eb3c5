-- report: all of it at a glance, as one page.

-- With the caller's rights: it reads views.  The plans of its queries are made for a few rows
-- each; to compile them takes longer than all the rest.
CREATE FUNCTION instance_env.report(application text DEFAULT NULL)
RETURNS text
LANGUAGE C STABLE SET jit = off
AS 'MODULE_PATHNAME', 'instance_env_report';
COMMENT ON FUNCTION instance_env.report(text) IS
'an HTML page that shows how everything is, or one application: usage, readiness, policy, drift, promotions, guards, events';
