-- cap: how many users a development instance may hold, and how many it has.
-- What counts them as they arrive is a trigger of guard.

CREATE FUNCTION instance_env.set_user_cap(instance uuid, user_cap integer, mode text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_set_user_cap';
COMMENT ON FUNCTION instance_env.set_user_cap(uuid, integer, text) IS
'sets how many users a development instance may hold, where null means the default, and whether the cap is hard or soft, where null changes nothing';

CREATE FUNCTION instance_env.seats_left(instance uuid, relation regclass DEFAULT NULL)
RETURNS bigint
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_seats_left';
COMMENT ON FUNCTION instance_env.seats_left(uuid, regclass) IS
'how many users may still be added to an instance in a counted table, or in the fullest of them; null if nothing limits that, 0 if the instance is not active';

CREATE FUNCTION instance_env.user_count(instance uuid, relation regclass DEFAULT NULL)
RETURNS TABLE (relation regclass, users bigint)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 2
AS 'MODULE_PATHNAME', 'instance_env_user_count';
COMMENT ON FUNCTION instance_env.user_count(uuid, regclass) IS
'exactly how many users each counted table, or this one, has of an instance, also in production, where counting may take long; null where they cannot be counted now';

CREATE FUNCTION instance_env.instance_usage(instance uuid)
RETURNS TABLE (relation regclass, users bigint, estimated boolean, user_cap integer, state text,
	refused bigint, refused_today bigint, last_refused_at timestamptz, soft_deletion name)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 2
AS 'MODULE_PATHNAME', 'instance_env_instance_usage';
COMMENT ON FUNCTION instance_env.instance_usage(uuid) IS
'how many users each counted table has of an instance, counted in development and estimated in production, null where that is not known, how full that makes it, what was refused, and the column that seems to mark users as deleted';

CREATE VIEW instance_env.usage AS
SELECT a.name AS application, i.type, u.relation, u.users, u.estimated, u.user_cap,
	CASE WHEN i.type = 'development' THEN i.cap_mode END AS cap_mode,
	CASE WHEN u.user_cap > 0 THEN round(100.0 * u.users / u.user_cap, 1) WHEN u.user_cap = 0 AND u.users IS NOT NULL THEN 100 END AS percent,
	u.state, u.refused, u.refused_today, u.last_refused_at, u.soft_deletion, i.id AS instance_id
FROM instance_env.instance i
	JOIN instance_env.application a ON a.id = i.application
	CROSS JOIN LATERAL instance_env.instance_usage(i.id) u;
COMMENT ON VIEW instance_env.usage IS
'how full every instance is, in each counted table';
COMMENT ON COLUMN instance_env.usage.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.usage.type IS
'the type of the instance';
COMMENT ON COLUMN instance_env.usage.relation IS
'the guarded table, or the root of its partitions';
COMMENT ON COLUMN instance_env.usage.users IS
'how many users of the instance the table has: in development counted, those of open transactions included, in production estimated; null if they cannot be counted now, or there are no statistics';
COMMENT ON COLUMN instance_env.usage.estimated IS
'whether users is an estimate from statistics, as in production';
COMMENT ON COLUMN instance_env.usage.user_cap IS
'the most users the instance may hold in this table; null in production';
COMMENT ON COLUMN instance_env.usage.cap_mode IS
'hard if users beyond the cap are refused, soft if they are admitted with a warning; null in production';
COMMENT ON COLUMN instance_env.usage.percent IS
'users in percent of the cap, to one decimal; null if they cannot be counted now, and in production';
COMMENT ON COLUMN instance_env.usage.state IS
'ok, warning when it is nearly full, full at the cap and above, or unknown if users cannot be counted now; in production, ok';
COMMENT ON COLUMN instance_env.usage.refused IS
'how many inserts the cap has refused since the server started or reset_activity() was called; null if that is not counted';
COMMENT ON COLUMN instance_env.usage.refused_today IS
'how many of them since midnight, UTC';
COMMENT ON COLUMN instance_env.usage.last_refused_at IS
'when the last of them was refused';
COMMENT ON COLUMN instance_env.usage.soft_deletion IS
'the column that seems to mark users as deleted, such as deleted_at: those who are only marked count like all others; null if there is none';
COMMENT ON COLUMN instance_env.usage.instance_id IS
'the id of the instance';

-- What was admitted and refused: in shared memory, and so also what was rolled back

CREATE FUNCTION instance_env.activity_list()
RETURNS TABLE (relation regclass, instance uuid, created_at timestamptz, admitted_by_bound bigint, admitted_by_scan bigint,
	refused bigint, refused_today bigint, last_admitted_at timestamptz, last_refused_at timestamptz)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_activity_list';
COMMENT ON FUNCTION instance_env.activity_list() IS
'what the cap has admitted and refused in each guarded table, with the id of the instance and when it was created, since the server started';

CREATE FUNCTION instance_env.activity_status(OUT counting boolean, OUT slots integer, OUT used integer, OUT missed bigint)
LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_activity_status';
COMMENT ON FUNCTION instance_env.activity_status() IS
'whether view activity is kept, for how many pairs of table and instance on the whole server there is room, how many have taken it, and how many times something was not counted for lack of room';

CREATE FUNCTION instance_env.reset_activity()
RETURNS void
LANGUAGE C VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'instance_env_reset_activity';
COMMENT ON FUNCTION instance_env.reset_activity() IS
'begins the counts of view activity anew for this database, at once, whether or not the transaction commits';

CREATE VIEW instance_env.activity AS
SELECT a.name AS application, l.relation, l.admitted_by_bound, l.admitted_by_scan, l.refused, l.refused_today,
	l.last_admitted_at, l.last_refused_at, i.id AS instance_id
FROM instance_env.activity_list() l
	JOIN instance_env.instance i ON i.id = l.instance AND i.created_at = l.created_at
	JOIN instance_env.application a ON a.id = i.application;
COMMENT ON VIEW instance_env.activity IS
'what the cap has admitted and refused since the server started, for each guarded table and development instance that users were added to';
COMMENT ON COLUMN instance_env.activity.application IS
'the name of the application';
COMMENT ON COLUMN instance_env.activity.relation IS
'the guarded table, or the root of its partitions';
COMMENT ON COLUMN instance_env.activity.admitted_by_bound IS
'how many rows were admitted without counting, those included whose transaction was rolled back later';
COMMENT ON COLUMN instance_env.activity.admitted_by_scan IS
'how many rows were admitted after counting the users';
COMMENT ON COLUMN instance_env.activity.refused IS
'how many inserts were refused because of the cap (23I01)';
COMMENT ON COLUMN instance_env.activity.refused_today IS
'how many of them since midnight, UTC';
COMMENT ON COLUMN instance_env.activity.last_admitted_at IS
'when the statement began that had a row admitted last; null if none was';
COMMENT ON COLUMN instance_env.activity.last_refused_at IS
'when the statement began that was refused last; null if none was';
COMMENT ON COLUMN instance_env.activity.instance_id IS
'the id of the development instance';
