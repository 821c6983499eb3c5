/*-------------------------------------------------------------------------
 *
 * diff.c
 *	  How far two instances have drifted apart: the two of an application, or
 *	  any others, such as the production instances of a staging environment
 *	  and of its original.
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
#include "utils/builtins.h"

#include "base/base.h"
#include "config/config.h"
#include "registry/registry.h"

/*
 * (kind, item, a, b, ahead) for instances $1 and $2, which ahead calls $3 and
 * $4.
 *
 * Items that only one type of instance can have are no drift between the
 * types: features that are for production only, their settings, and policies
 * that are fixed for the other type.  Between instances of the same type,
 * everything counts.  Credentials differ by design, so connections are compared
 * by whether they exist, and by their scopes.
 */
static const char drift[] =
"WITH pair AS (SELECT a.type OPERATOR(pg_catalog.<>) b.type AS mixed,"
" a.application AS of_a, b.application AS of_b"
"  FROM instance_env.instance a, instance_env.instance b"
"  WHERE a.id OPERATOR(pg_catalog.=) $1 AND b.id OPERATOR(pg_catalog.=) $2"
"   AND a.id OPERATOR(pg_catalog.<>) b.id),"
" side AS (SELECT $1 AS id, of_a AS application, false AS b, mixed FROM pair"
"  UNION ALL SELECT $2, of_b, true, mixed FROM pair),"
" item AS ("
" SELECT 'setting' AS kind, s.name COLLATE pg_catalog.\"default\" AS item,"
" i.b, s.value, s.value AS compared"
" FROM side i JOIN instance_env.setting s"
" ON s.instance OPERATOR(pg_catalog.=) i.id"
" WHERE NOT i.mixed OR NOT EXISTS (SELECT FROM instance_env.feature f"
"  WHERE f.production_only AND " IENV_SETTING_OF_FEATURE("s.name", "f") ")"
" UNION ALL"
" SELECT 'policy', p.name, i.b, p.value, p.value"
" FROM side i JOIN instance_env.policy_override p"
" ON p.instance OPERATOR(pg_catalog.=) i.id"
" WHERE NOT i.mixed OR NOT EXISTS (SELECT FROM instance_env.policy_defaults d"
"  WHERE d.name OPERATOR(pg_catalog.=) p.name AND NOT d.overridable)"
" UNION ALL"
" SELECT 'policy', 'user_cap', i.b, pg_catalog.to_jsonb(n.user_cap),"
" pg_catalog.to_jsonb(n.user_cap)"
" FROM side i JOIN instance_env.instance n"
" ON n.id OPERATOR(pg_catalog.=) i.id"
" WHERE NOT i.mixed AND n.user_cap IS NOT NULL"
" UNION ALL"
" SELECT 'policy', 'user_cap_mode', i.b, pg_catalog.to_jsonb(n.cap_mode),"
" pg_catalog.to_jsonb(n.cap_mode)"
" FROM side i JOIN instance_env.instance n"
" ON n.id OPERATOR(pg_catalog.=) i.id"
" WHERE NOT i.mixed AND n.cap_mode OPERATOR(pg_catalog.<>) 'hard'"
" UNION ALL"
" SELECT 'feature', u.feature, i.b, pg_catalog.to_jsonb(u.quantity),"
" pg_catalog.to_jsonb(u.quantity)"
" FROM side i JOIN instance_env.instance_feature u"
" ON u.instance OPERATOR(pg_catalog.=) i.id"
" WHERE NOT i.mixed OR NOT EXISTS (SELECT FROM instance_env.feature f"
"  WHERE f.name OPERATOR(pg_catalog.=) u.feature AND f.production_only)"
" UNION ALL"
" SELECT 'connection', c.provider, i.b,"
"  pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('source',"
" c.source, 'scopes', c.scopes)),"
"  COALESCE(pg_catalog.to_jsonb(c.scopes), '[]')"
" FROM side i JOIN instance_env.social_connection c"
" ON c.instance OPERATOR(pg_catalog.=) i.id),"
" drift AS (SELECT COALESCE(a.kind, b.kind) AS kind, COALESCE(a.item,"
" b.item) AS item,"
"  a.value AS a, b.value AS b"
" FROM (SELECT * FROM item WHERE NOT b) a FULL JOIN (SELECT *"
" FROM item WHERE b) b"
"  ON b.kind OPERATOR(pg_catalog.=) a.kind"
" AND b.item OPERATOR(pg_catalog.=) a.item"
" WHERE a.compared IS DISTINCT FROM b.compared),"
 /* the last event of each item on each side */
" changed AS (SELECT n.kind, e.item, i.b, pg_catalog.max(e.id) AS id"
" FROM side i JOIN instance_env.event e"
" ON e.application OPERATOR(pg_catalog.=) i.application"
" AND e.instance OPERATOR(pg_catalog.=) i.id"
"  JOIN (VALUES ('set_setting', 'setting'), ('import_settings', 'setting'),"
"   ('set_policy', 'policy'), ('reset_policy', 'policy'),"
"   ('set_user_cap', 'policy'),"
"   ('enable_feature', 'feature'), ('disable_feature', 'feature'),"
"   ('set_social_connection', 'connection'), ('remove_social_connection', 'connection')) n (action, kind)"
"   ON n.action OPERATOR(pg_catalog.=) e.action"
" GROUP BY n.kind, e.item, i.b)"
" SELECT r.kind, r.item, r.a, r.b, CASE"
"  WHEN a.id OPERATOR(pg_catalog.>) b.id OR b.id IS NULL AND a.id IS NOT NULL"
" THEN $3"
"  WHEN b.id IS NOT NULL THEN $4"
 /* no event in the log: the side that has the item is ahead */
"  WHEN r.b IS NULL THEN $3"
"  WHEN r.a IS NULL THEN $4 END"
" FROM drift r"
"  LEFT JOIN changed a ON a.kind OPERATOR(pg_catalog.=) r.kind"
" AND a.item OPERATOR(pg_catalog.=) r.item AND NOT a.b"
"  LEFT JOIN changed b ON b.kind OPERATOR(pg_catalog.=) r.kind"
" AND b.item OPERATOR(pg_catalog.=) r.item AND b.b"
" ORDER BY pg_catalog.array_position('{setting, policy, feature, connection}',"
" r.kind), r.item COLLATE pg_catalog.\"C\"";

static void require_visible(Datum instance);
static void return_drift(FunctionCallInfo fcinfo, Datum a, Datum b,
						 const char *called_a, const char *called_b);

PG_FUNCTION_INFO_V1(instance_env_instance_diff);
PG_FUNCTION_INFO_V1(instance_env_instance_diff_of_two);

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
	uint64		found;
	Datum		ids[2] = {0};
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "application");
	application = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	found = ienv_query_active("SELECT d.id, p.id FROM instance_env.application a"
							  " LEFT JOIN instance_env.instance d"
							  "  ON d.application OPERATOR(pg_catalog.=) a.id"
							  "  AND d.type OPERATOR(pg_catalog.=) 'development'"
							  " LEFT JOIN instance_env.instance p"
							  "  ON p.application OPERATOR(pg_catalog.=) a.id"
							  "  AND p.type OPERATOR(pg_catalog.=) 'production'"
							  " WHERE a.id OPERATOR(pg_catalog.=) $1",
							  1, &type, &application, NULL);
	ienv_require_application(found, application);
	ids[0] = ienv_result_datum(0, 1, &isnull);
	ids[1] = ienv_result_datum(0, 2, &isnull);
	return_drift(fcinfo, ids[0], ids[1], "development", "production");
	SPI_finish();
	return (Datum) 0;
}

/*
 * instance_diff(a uuid, b uuid) RETURNS TABLE (kind, item, a, b, ahead)
 *
 * The instances can be of any application and type.  An instance does not
 * differ from itself.
 */
Datum
instance_env_instance_diff_of_two(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "a");
	ienv_require_argument(fcinfo, 1, "b");
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	require_visible(PG_GETARG_DATUM(0));
	require_visible(PG_GETARG_DATUM(1));
	return_drift(fcinfo, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), "a", "b");
	SPI_finish();
	return (Datum) 0;
}

/*
 * Raise an error if there is no such instance, or if the snapshot is older:
 * no rows would look like no drift.  SPI is connected.
 */
static void
require_visible(Datum instance)
{
	Oid			type = UUIDOID;

	(void) ienv_require_instance(instance);
	if (ienv_query_active("SELECT FROM instance_env.instance"
						  " WHERE id OPERATOR(pg_catalog.=) $1", 1, &type,
						  &instance, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("instance %s has been created concurrently",
						ienv_instance_text(instance, true)),
				 errhint("Repeat the transaction.")));
}

/*
 * Return the drift between two instances, with the snapshot of the calling
 * query.  SPI is connected.
 */
static void
return_drift(FunctionCallInfo fcinfo, Datum a, Datum b, const char *called_a,
			 const char *called_b)
{
	static IenvQuery query = {.sql = drift};
	Oid			types[4] = {UUIDOID, UUIDOID, TEXTOID, TEXTOID};
	Datum		values[4];

	values[0] = a;
	values[1] = b;
	values[2] = CStringGetTextDatum(called_a);
	values[3] = CStringGetTextDatum(called_b);
	(void) ienv_query_kept(&query, 4, types, values, NULL);
	ienv_return_rows(fcinfo);
}
