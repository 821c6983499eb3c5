/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  The plan of an application, which must cover what its production instance
 *	  uses.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "registry/registry.h"

/* A plan as recorded in the audit log */
#define PLAN_AS_JSONB(plan) "pg_catalog.jsonb_build_object('plan', " plan ")"

static void check_downgrade(Datum application, const char *name, Oid plan_type,
							Datum plan);

PG_FUNCTION_INFO_V1(instance_env_set_plan);

IENV_BY_NAME(set_plan, ienv_find_application);

/*
 * set_plan(application uuid, plan plan) RETURNS void
 *
 * An upgrade is always allowed, a downgrade only if the new plan covers what
 * production uses.
 */
Datum
instance_env_set_plan(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {UUIDOID, InvalidOid};
	Datum		values[2];
	char	   *name;
	Datum		before;
	Datum		after;
	bool		downward;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "application");
	ienv_require_argument(fcinfo, 1, "plan");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	types[1] = get_fn_expr_argtype(fcinfo->flinfo, 1);

	SPI_connect();
	ienv_require_application(ienv_query("SELECT name,"
										" $2 OPERATOR(pg_catalog.<) plan, " PLAN_AS_JSONB("plan") ","
										"  " PLAN_AS_JSONB("$2")
										" FROM instance_env.application"
										" WHERE id OPERATOR(pg_catalog.=) $1"
										" FOR NO KEY UPDATE", 2, types, values,
										NULL), values[0]);
	name = ienv_result_text(0, 1);
	downward = DatumGetBool(ienv_result_datum(0, 2, &isnull));
	before = ienv_result_datum(0, 3, &isnull);
	after = ienv_result_datum(0, 4, &isnull);

	if (downward)
		check_downgrade(values[0], name, types[1], values[1]);
	if (ienv_query("UPDATE instance_env.application SET plan = $2"
				   " WHERE id OPERATOR(pg_catalog.=) $1"
				   " AND plan OPERATOR(pg_catalog.<>) $2",
				   2, types, values, NULL) > 0)
		ienv_record_event("set_plan", DatumGetUUIDP(values[0]), NULL, NULL,
						  before, after);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Refuse a plan that does not cover what the application's production instance
 * uses, whether the instance is active or not.  The application is locked.
 */
static void
check_downgrade(Datum application, const char *name, Oid plan_type, Datum plan)
{
	Oid			types[2] = {UUIDOID, plan_type};
	Datum		values[2] = {application, plan};
	char	   *status;
	bool		isnull;
	StringInfoData detail;

	if (ienv_query_latest("SELECT id FROM instance_env.instance"
						  " WHERE application OPERATOR(pg_catalog.=) $1"
						  " AND type OPERATOR(pg_catalog.=) 'production'", 1,
						  types, values, NULL) == 0)
		elog(ERROR, "application \"%s\" has no production instance", name);
	values[0] = ienv_result_datum(0, 1, &isnull);
	(void) ienv_lock_instance(values[0], &status);

	if (ienv_query_latest("SELECT feature, needed_plan, " IENV_USING_SETTINGS("used_by")
						  " FROM instance_env.instance_features"
						  " WHERE instance_id OPERATOR(pg_catalog.=) $1"
						  " AND needed_plan OPERATOR(pg_catalog.>) $2"
						  " ORDER BY feature", 2, types, values, NULL) == 0)
		return;
	initStringInfo(&detail);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		const char *settings = ienv_result_text(i, 3);

		appendStringInfo(&detail, "%sFeature \"%s\"%s needs plan \"%s\".",
						 i == 0 ? "" : "\n",
						 ienv_result_text(i, 1),
						 settings == NULL ? "" :
						 psprintf(", used by %s,", settings),
						 ienv_result_text(i, 2));
	}
	ereport(ERROR,
			(errcode(ERRCODE_IENV_PLAN_UPGRADE),
			 errmsg("cannot lower the plan of application \"%s\" because its production instance uses paid features",
					name),
			 errdetail("%s", detail.data),
			 errhint("Disable them with instance_env.disable_feature(), remove satellite domains with instance_env.remove_domain(), and settings with instance_env.set_setting().")));
}
