/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  How full development instances are: view usage.
 *
 * The view excludes production instances: they have no cap, and counting all
 * their users could take long.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "cap/cap.h"
#include "registry/registry.h"
#include "table/table.h"

/* Percentage of its cap from which on an instance is nearly full */
#define NEARLY_FULL 80

#define USAGE_COLUMNS 5

PG_FUNCTION_INFO_V1(instance_env_instance_usage);

/*
 * Does an instance with this cap have that many users, or nearly?
 */
bool
ienv_is_nearly_full(int64 users, int user_cap)
{
	return users * 100 >= (int64) user_cap * NEARLY_FULL;
}

/*
 * How full that is, in a word, as view usage says it.  users is -1 if they
 * could not be counted.
 */
static const char *
state_of(int64 users, int user_cap)
{
	if (users < 0)
		return "unknown";
	if (user_cap < 0)
		return "ok";
	if (users >= user_cap)
		return "full";
	return ienv_is_nearly_full(users, user_cap) ? "warning" : "ok";
}

/*
 * The users of an instance in each counted table, as IenvUsages.
 */
List *
ienv_usage_of(Datum instance, Datum external_key)
{
	List	   *usage = NIL;
	ListCell   *lc;

	foreach(lc, ienv_roots_by_name())
	{
		const IenvRoot *root = lfirst(lc);
		IenvUsage  *u;

		if (!root->trusted || !ienv_is_counted(root->relid))
			continue;
		u = palloc(sizeof(IenvUsage));
		u->root = root;
		u->users = ienv_users_at_once(root->relid, instance, external_key,
									  PG_INT64_MAX);
		usage = lappend(usage, u);
	}
	return usage;
}

/*
 * instance_usage(instance uuid)
 * RETURNS TABLE (relation, users, user_cap, state, soft_deletion)
 *
 * One row per counted table; users is null if they cannot be counted now.
 */
Datum
instance_env_instance_usage(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			type = UUIDOID;
	Datum		instance;
	Datum		external_key;
	IenvInstance info;
	bool		isnull;
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	info = ienv_require_instance(instance);
	if (ienv_query_latest("SELECT external_key FROM instance_env.instance"
						  " WHERE id OPERATOR(pg_catalog.=) $1",
						  1, &type, &instance, NULL) != 1)
		elog(ERROR, "instance %s is gone", ienv_instance_text(instance, true));
	external_key = ienv_result_datum(0, 1, &isnull);

	foreach(lc, ienv_usage_of(instance, external_key))
	{
		const		IenvUsage *u = lfirst(lc);
		const char *column = ienv_soft_deletion_column(u->root->relid);
		Datum		values[USAGE_COLUMNS];
		bool		nulls[USAGE_COLUMNS] = {false};

		values[0] = ObjectIdGetDatum(u->root->relid);
		values[1] = Int64GetDatum(u->users);
		nulls[1] = u->users < 0;
		values[2] = Int32GetDatum(info.user_cap);
		nulls[2] = info.user_cap < 0;
		values[3] = CStringGetTextDatum(state_of(u->users, info.user_cap));
		nulls[4] = column == NULL;
		if (!nulls[4])
			values[4] = DirectFunctionCall1(namein, CStringGetDatum(column));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	SPI_finish();
	return (Datum) 0;
}
