/*-------------------------------------------------------------------------
 *
 * diff.c
 *	  How far the two instances of an application have drifted apart.
 *
 * An item is ahead on the side where it was last set or removed individually.
 * That is read from the audit log, since the tables do not show what has been
 * removed.  An operation that carries over a configuration as a whole (a
 * promotion or its rollback) counts for neither side: it leaves both the same,
 * or as they were.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"

#include "base/base.h"
#include "registry/registry.h"

/*
 * (kind, item, development, production, ahead) for application $1
 *
 * Items that only one type of instance can have are not drift: features that
 * are for production only, and policies that are fixed for the other type.
 * Credentials differ by design, so connections are compared by whether they
 * exist, and by their scopes.
 */
static const char *const drift =
"WITH instance AS (SELECT i.id,"
" i.type OPERATOR(pg_catalog.=) 'production' AS production"
"  FROM instance_env.instance i"
" WHERE i.application OPERATOR(pg_catalog.=) $1),"
" item AS ("
" SELECT 'setting' AS kind, s.name COLLATE pg_catalog.\"default\" AS item,"
" i.production, s.value, s.value AS compared"
" FROM instance i JOIN instance_env.setting s"
" ON s.instance OPERATOR(pg_catalog.=) i.id"
" UNION ALL"
" SELECT 'policy', p.name, i.production, p.value, p.value"
" FROM instance i JOIN instance_env.policy_override p"
" ON p.instance OPERATOR(pg_catalog.=) i.id"
" WHERE NOT EXISTS (SELECT FROM instance_env.policy_default d"
"  WHERE d.name OPERATOR(pg_catalog.=) p.name AND NOT d.overridable)"
" UNION ALL"
" SELECT 'feature', u.feature, i.production, pg_catalog.to_jsonb(u.quantity),"
" pg_catalog.to_jsonb(u.quantity)"
" FROM instance i JOIN instance_env.instance_feature u"
" ON u.instance OPERATOR(pg_catalog.=) i.id"
" WHERE NOT EXISTS (SELECT FROM instance_env.feature f"
"  WHERE f.name OPERATOR(pg_catalog.=) u.feature AND f.production_only)"
" UNION ALL"
" SELECT 'connection', c.provider, i.production,"
"  pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('source',"
" c.source, 'scopes', c.scopes)),"
"  COALESCE(pg_catalog.to_jsonb(c.scopes), '[]')"
" FROM instance i JOIN instance_env.social_connection c"
" ON c.instance OPERATOR(pg_catalog.=) i.id),"
" drift AS (SELECT COALESCE(d.kind, p.kind) AS kind, COALESCE(d.item,"
" p.item) AS item,"
"  d.value AS development, p.value AS production"
" FROM (SELECT * FROM item WHERE NOT production) d FULL JOIN (SELECT *"
" FROM item WHERE production) p"
"  ON p.kind OPERATOR(pg_catalog.=) d.kind"
" AND p.item OPERATOR(pg_catalog.=) d.item"
" WHERE d.compared IS DISTINCT FROM p.compared),"
 /* the last event of each item on each side */
" changed AS (SELECT a.kind, e.item, i.production, pg_catalog.max(e.id) AS id"
" FROM instance_env.event e JOIN instance i"
" ON i.id OPERATOR(pg_catalog.=) e.instance"
"  JOIN (VALUES ('set_setting', 'setting'), ('import_settings', 'setting'),"
"   ('set_policy', 'policy'), ('reset_policy', 'policy'),"
"   ('enable_feature', 'feature'), ('disable_feature', 'feature'),"
"   ('set_social_connection', 'connection'), ('remove_social_connection', 'connection')) a (action, kind)"
"   ON a.action OPERATOR(pg_catalog.=) e.action"
" WHERE e.application OPERATOR(pg_catalog.=) $1"
" GROUP BY a.kind, e.item, i.production)"
" SELECT r.kind, r.item, r.development, r.production, CASE"
"  WHEN d.id OPERATOR(pg_catalog.>) p.id OR p.id IS NULL AND d.id IS NOT NULL"
" THEN 'development'"
"  WHEN p.id IS NOT NULL THEN 'production'"
 /* no event in the log: the side that has the item is ahead */
"  WHEN r.production IS NULL THEN 'development'"
"  WHEN r.development IS NULL THEN 'production' END"
" FROM drift r"
"  LEFT JOIN changed d ON d.kind OPERATOR(pg_catalog.=) r.kind"
" AND d.item OPERATOR(pg_catalog.=) r.item AND NOT d.production"
"  LEFT JOIN changed p ON p.kind OPERATOR(pg_catalog.=) r.kind"
" AND p.item OPERATOR(pg_catalog.=) r.item AND p.production"
" ORDER BY pg_catalog.array_position('{setting, policy, feature, connection}',"
" r.kind), r.item COLLATE pg_catalog.\"C\"";

PG_FUNCTION_INFO_V1(instance_env_instance_diff);

IENV_BY_NAME(instance_diff, ienv_find_application);

/*
 * instance_diff(application uuid)
 * RETURNS TABLE (kind, item, development, production, ahead)
 */
Datum
instance_env_instance_diff(PG_FUNCTION_ARGS)
{
	Oid			type = UUIDOID;
	Datum		application;

	ienv_require_argument(fcinfo, 0, "application");
	application = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	ienv_require_application(ienv_query_active("SELECT FROM"
											   " instance_env.application"
											   " WHERE id OPERATOR(pg_catalog.=) $1",
											   1, &type, &application, NULL),
							 application);
	(void) ienv_query_active(drift, 1, &type, &application, NULL);
	ienv_return_rows(fcinfo);
	SPI_finish();
	return (Datum) 0;
}
