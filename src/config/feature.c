/*-------------------------------------------------------------------------
 *
 * feature.c
 *	  Which features an instance may use.
 *
 * A development instance may use all features except those that are for
 * production only; a production instance may use those that its application's
 * plan covers.
 *
 * Applications ask on every request, so what is needed for the answer is
 * cached.  A backend may process the invalidation message for a change a
 * moment after the change was committed.  Therefore, code that changes
 * something because of the answer locks the instance and then reads the
 * tables, with ienv_require_feature(), and set_plan() locks the production
 * instance too before it looks at what is in use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "registry/registry.h"

/* Plans are compared by their positions in the enum. */
#define PLACE_OF_PLAN(plan) \
	"pg_catalog.array_position(pg_catalog.enum_range(NULL::instance_env.plan), " plan ")"

typedef struct FeatureEntry
{
	char		name[NAMEDATALEN];	/* hash key, must be first; zero-padded */
	int			plan;			/* position of the lowest one that covers it */
	bool		production_only;
} FeatureEntry;

typedef struct PlanEntry
{
	pg_uuid_t	instance;		/* hash key, must be first */
	int			plan;			/* position of its application's plan */
} PlanEntry;

static IenvCache features = {
	.name = "instance_env features",
	.keysize = NAMEDATALEN,
	.entrysize = sizeof(FeatureEntry),
	.max_entries = 1024,
	.tables = {"feature"}
};

/* for production instances only; an instance never changes its application */
static IenvCache plans = {
	.name = "instance_env plans",
	.keysize = sizeof(pg_uuid_t),
	.entrysize = sizeof(PlanEntry),
	.max_entries = 16384,
	.tables = {"application", "instance"}
};

static bool is_available(FunctionCallInfo fcinfo);
static const FeatureEntry *find_feature(FunctionCallInfo fcinfo);
static int	find_plan(const pg_uuid_t *instance);
static int	read_places(const char *sql, Oid type, Datum value, bool *flag);

PG_FUNCTION_INFO_V1(instance_env_feature_available);
PG_FUNCTION_INFO_V1(instance_env_require_feature);

/*
 * feature_available(instance uuid, feature text) RETURNS boolean
 */
Datum
instance_env_feature_available(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_available(fcinfo));
}

/*
 * require_feature(instance uuid, feature text) RETURNS void
 *
 * Before the cached answer is used to refuse, it is confirmed from the tables.
 */
Datum
instance_env_require_feature(PG_FUNCTION_ARGS)
{
	if (!is_available(fcinfo))
	{
		IenvOwner	saved;

		SPI_connect();
		ienv_become_owner(&saved);
		ienv_require_feature(PG_GETARG_DATUM(0),
							 text_to_cstring(PG_GETARG_TEXT_PP(1)));
		ienv_leave_owner(&saved);
		SPI_finish();
	}
	PG_RETURN_VOID();
}

/*
 * Refuse a feature that the instance may not use.  SPI is connected, and the
 * current user may read the registry.
 */
void
ienv_require_feature(Datum instance, const char *feature)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2] = {instance, CStringGetTextDatum(feature)};
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	if (ienv_query_latest("SELECT i.type OPERATOR(pg_catalog.=) 'production',"
						  " f.production_only,"
						  " a.plan OPERATOR(pg_catalog.>=) f.plan, f.plan,"
						  " a.plan"
						  " FROM instance_env.feature f,"
						  " instance_env.instance i"
						  "  JOIN instance_env.application a"
						  " ON a.id OPERATOR(pg_catalog.=) i.application"
						  " WHERE i.id OPERATOR(pg_catalog.=) $1"
						  " AND f.name OPERATOR(pg_catalog.=) $2",
						  2, types, values, NULL) == 0)
	{
		(void) ienv_require_instance(instance);
		ienv_report_unknown_feature(feature);
	}
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;

	if (!DatumGetBool(SPI_getbinval(row, desc, 1, &isnull)))
	{
		if (DatumGetBool(SPI_getbinval(row, desc, 2, &isnull)))
			ereport(ERROR,
					(errcode(ERRCODE_IENV_FEATURE_NOT_AVAILABLE),
					 errmsg("feature \"%s\" is not available in development instance %s",
							feature, ienv_instance_text(instance, true)),
					 errdetail("It is only available in production."),
					 errhint("Use the application's production instance.")));
	}
	else if (!DatumGetBool(SPI_getbinval(row, desc, 3, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_IENV_PLAN_UPGRADE),
				 errmsg("production instance %s needs a higher plan",
						ienv_instance_text(instance, true)),
				 errdetail("Feature \"%s\" needs plan \"%s\"; the application is on plan \"%s\".",
						   feature, SPI_getvalue(row, desc, 4),
						   SPI_getvalue(row, desc, 5)),
				 errhint("Upgrade the application with instance_env.set_plan().")));
}

void
ienv_report_unknown_feature(const char *feature)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("feature \"%s\" does not exist", feature),
			 errhint("All features are in view instance_env.features.")));
}

/*
 * May the instance (the first argument) use the feature (the second one)?
 */
static bool
is_available(FunctionCallInfo fcinfo)
{
	const FeatureEntry *feature;
	const IenvInstance *instance;
	IenvType	type;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "feature");
	instance = ienv_instance_by_value(PG_GETARG_DATUM(0), true, false);
	type = instance != NULL ? instance->type :
		ienv_require_instance(PG_GETARG_DATUM(0)).type;
	feature = find_feature(fcinfo);
	if (type == IENV_DEVELOPMENT)
		return !feature->production_only;
	return feature->plan <= find_plan(PG_GETARG_UUID_P(0));
}

/*
 * The row of table feature that the second argument names.
 */
static const FeatureEntry *
find_feature(FunctionCallInfo fcinfo)
{
	const text *name = PG_GETARG_TEXT_PP(1);
	char		key[NAMEDATALEN] = {0};
	FeatureEntry *entry;
	uint64		since;
	int			plan;
	bool		production_only;

	if (VARSIZE_ANY_EXHDR(name) >= NAMEDATALEN)
		(void) ienv_require_text(fcinfo, 1, "feature", IENV_MAX_WORD);
	memcpy(key, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));

	entry = ienv_cache_find(&features, key);
	if (entry != NULL)
		return entry;
	(void) ienv_require_text(fcinfo, 1, "feature", IENV_MAX_WORD);
	do
	{
		since = ienv_cache_time(&features);
		plan =
			read_places("SELECT " PLACE_OF_PLAN("plan") ", production_only FROM instance_env.feature" " WHERE name OPERATOR(pg_catalog.=) $1", TEXTOID, PointerGetDatum(name), &production_only);
		if (plan == 0)
			ienv_report_unknown_feature(key);
		entry = ienv_cache_enter(&features, key, since);
	} while (entry == NULL);
	entry->plan = plan;
	entry->production_only = production_only;
	return entry;
}

/*
 * The position of the plan that an instance's application is on.
 */
static int
find_plan(const pg_uuid_t *instance)
{
	PlanEntry  *entry = ienv_cache_find(&plans, instance);
	uint64		since;
	int			plan;

	if (entry != NULL)
		return entry->plan;
	do
	{
		since = ienv_cache_time(&plans);
		plan =
			read_places("SELECT " PLACE_OF_PLAN("a.plan") " FROM instance_env.application a" " JOIN instance_env.instance i" " ON i.application OPERATOR(pg_catalog.=) a.id" " WHERE i.id OPERATOR(pg_catalog.=) $1", UUIDOID, UUIDPGetDatum(instance), NULL);
		if (plan == 0)
		{
			/* it was dropped, which the query has made known here */
			(void) ienv_require_instance(UUIDPGetDatum(instance));
			elog(ERROR, "instance %s has no application",
				 ienv_instance_text(UUIDPGetDatum(instance), true));
		}
		entry = ienv_cache_enter(&plans, instance, since);
	} while (entry == NULL);
	entry->plan = plan;
	return plan;
}

/*
 * Run a query for at most one row.  Returns its first column, an integer, or 0
 * if there is no row; *flag, unless flag is NULL, is set to its second one, a
 * boolean.
 */
static int
read_places(const char *sql, Oid type, Datum value, bool *flag)
{
	IenvOwner	saved;
	int			place = 0;
	bool		isnull;

	SPI_connect();
	ienv_become_owner(&saved);
	if (ienv_query_latest(sql, 1, &type, &value, NULL) > 0)
	{
		place = DatumGetInt32(ienv_result_datum(0, 1, &isnull));
		if (flag != NULL)
			*flag = DatumGetBool(ienv_result_datum(0, 2, &isnull));
	}
	ienv_leave_owner(&saved);
	SPI_finish();
	return place;
}
