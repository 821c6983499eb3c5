-- cap: how many users a development instance may hold, and how many it has.
-- What counts them as they arrive is a trigger of guard.

CREATE FUNCTION instance_env.set_user_cap(instance uuid, user_cap integer, mode text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_user_cap';
COMMENT ON FUNCTION instance_env.set_user_cap(uuid, integer, text) IS
'sets how many users a development instance may hold, where null means the default, and whether the cap is hard or soft, where null changes nothing';

CREATE FUNCTION instance_env.instance_usage(instance uuid)
RETURNS TABLE (relation regclass, users bigint, user_cap integer, state text, soft_deletion name)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 2
AS 'MODULE_PATHNAME', 'instance_env_instance_usage';
COMMENT ON FUNCTION instance_env.instance_usage(uuid) IS
'how many users each counted table has of an instance, null where they cannot be counted now, how full that makes it, and the column that seems to mark users as deleted';

-- Production has no cap, so nothing there is counted.
CREATE VIEW instance_env.usage AS
SELECT a.name AS application, u.relation, u.users, u.user_cap,
	CASE WHEN u.user_cap > 0 THEN round(100.0 * u.users / u.user_cap, 1) WHEN u.users IS NOT NULL THEN 100 END AS percent,
	u.state, u.soft_deletion, i.id AS instance_id
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	CROSS JOIN LATERAL instance_env.instance_usage(i.id) u
WHERE i.type = 'development';
COMMENT ON VIEW instance_env.usage IS
'how full every development instance is, in each counted table';
COMMENT ON COLUMN instance_env.usage.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.usage.relation IS
'the guarded table, or the root of its partitions';
COMMENT ON COLUMN instance_env.usage.users IS
'how many users of the instance the table has, those of open transactions included; null if they cannot be counted now';
COMMENT ON COLUMN instance_env.usage.user_cap IS
'the most users the instance may hold in this table';
COMMENT ON COLUMN instance_env.usage.percent IS
'users in percent of the cap, to one decimal; null if they cannot be counted now';
COMMENT ON COLUMN instance_env.usage.state IS
'ok, warning when it is nearly full, full at the cap and above, or unknown if users cannot be counted now';
COMMENT ON COLUMN instance_env.usage.soft_deletion IS
'the column that seems to mark users as deleted, such as deleted_at: those who are only marked count like all others; null if there is none';
COMMENT ON COLUMN instance_env.usage.instance_id IS
'the id of the development instance';
