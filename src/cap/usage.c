/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  How full instances are: view usage.
 *
 * The users of development instances are counted.  Production instances have
 * no cap, and counting all their users could take long, so those are estimated
 * (estimate.c).  One that has not been promoted takes no users, so it has none.
 *
 * The view calls instance_usage() for each instance.  What does not depend on
 * the instance is read by the first of these calls only, and kept as long as
 * the query.  A table is locked only while the users of one instance in it are
 * counted.  An instance that the query's snapshot shows, but that has been
 * dropped since, has no rows: the view must not fail because of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "cap/cap.h"
#include "registry/registry.h"
#include "table/table.h"

/* Percentage of its cap from which on an instance is nearly full */
#define NEARLY_FULL 80

#define USAGE_COLUMNS 9

/* What a query has read about a counted table */
typedef struct Table
{
	Oid			relid;
	const char *soft_deletion;	/* a column, or NULL */
	bool		estimated;		/* the next has been read */
	IenvEstimate *estimate;		/* NULL: its users cannot be estimated */
} Table;

static bool is_shown(Datum instance);
static List *tables_of_query(FmgrInfo *flinfo);
static int64 users_of(Table *table, MemoryContext context,
					  const IenvInstance *info, Datum external_key);
static void read_estimate(Oid relid, void *arg);
static void set_activity(Datum *values, bool *nulls, Oid relid,
						 const IenvInstance *info);

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
	if (user_cap < 0)
		return "ok";
	if (users < 0)
		return "unknown";
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
 * RETURNS TABLE (relation, users, estimated, user_cap, state, refused,
 * refused_today, last_refused_at, soft_deletion)
 *
 * One row per counted table; users is null if they cannot be counted or
 * estimated now.
 */
Datum
instance_env_instance_usage(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		instance;
	Datum		external_key;
	const IenvInstance *found;
	IenvInstance info;
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);
	found = ienv_instance_by_value(instance, true, true);
	if (found == NULL && is_shown(instance))
		return (Datum) 0;
	info = found != NULL ? *found : ienv_require_instance(instance);
	external_key = ienv_latest_external_key(&info.id, true);
	if (DatumGetPointer(external_key) == NULL)
		return (Datum) 0;

	foreach(lc, tables_of_query(fcinfo->flinfo))
	{
		Table	   *table = lfirst(lc);
		int64		users = users_of(table, fcinfo->flinfo->fn_mcxt, &info,
									 external_key);
		Datum		values[USAGE_COLUMNS];
		bool		nulls[USAGE_COLUMNS] = {false};

		values[0] = ObjectIdGetDatum(table->relid);
		values[1] = Int64GetDatum(users);
		nulls[1] = users < 0;
		values[2] = BoolGetDatum(info.user_cap < 0);
		values[3] = Int32GetDatum(info.user_cap);
		nulls[3] = info.user_cap < 0;
		values[4] = CStringGetTextDatum(state_of(users, info.user_cap));
		set_activity(&values[5], &nulls[5], table->relid, &info);
		nulls[8] = table->soft_deletion == NULL;
		if (!nulls[8])
			values[8] = DirectFunctionCall1(namein,
											CStringGetDatum(table->soft_deletion));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/*
 * Does the snapshot of the calling query show this instance?
 */
static bool
is_shown(Datum instance)
{
	Oid			type = UUIDOID;
	bool		shown;

	SPI_connect();
	shown = ienv_query_active("SELECT FROM instance_env.instance"
							  " WHERE id OPERATOR(pg_catalog.=) $1",
							  1, &type, &instance, NULL) > 0;
	SPI_finish();
	return shown;
}

/*
 * The counted tables that administration looks at, ordered by name, as Tables:
 * those that the first call in a query has found.
 */
static List *
tables_of_query(FmgrInfo *flinfo)
{
	List	  **kept = flinfo->fn_extra;
	ListCell   *lc;
	MemoryContext context;

	if (kept != NULL)
		return *kept;
	context = MemoryContextSwitchTo(flinfo->fn_mcxt);
	kept = palloc0(sizeof(List *));
	foreach(lc, ienv_roots_by_name())
	{
		const IenvRoot *root = lfirst(lc);
		Table	   *table;

		if (!root->trusted || !ienv_is_counted(root->relid))
			continue;
		table = palloc0(sizeof(Table));
		table->relid = root->relid;
		table->soft_deletion = ienv_soft_deletion_column(root->relid);
		*kept = lappend(*kept, table);
	}
	flinfo->fn_extra = kept;
	MemoryContextSwitchTo(context);
	return *kept;
}

/*
 * How many users an instance has in a table, counted or estimated; -1 if that
 * is not known, say because the table is locked.  What is read for the
 * estimate is kept in context.
 */
static int64
users_of(Table *table, MemoryContext context, const IenvInstance *info,
		 Datum external_key)
{
	Datum		instance = UUIDPGetDatum(&info->id);

	if (info->user_cap >= 0)
		return ienv_users_at_once(table->relid, instance, external_key,
								  PG_INT64_MAX);
	if (info->status == IENV_INACTIVE)
		return 0;
	if (ienv_is_distributed(table->relid))
		return ienv_distributed_users(table->relid, instance, external_key);
	if (!table->estimated)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		(void) ienv_look_at_rows(table->relid, read_estimate, table);
		table->estimated = true;
		MemoryContextSwitchTo(old);
	}
	return table->estimate == NULL ? -1 :
		ienv_estimated_users(table->estimate, instance, external_key);
}

static void
read_estimate(Oid relid, void *arg)
{
	((Table *) arg)->estimate = ienv_read_estimate(relid);
}

/*
 * Set the columns that say what was refused; null if that is not known.
 */
static void
set_activity(Datum *values, bool *nulls, Oid relid, const IenvInstance *info)
{
	IenvActivity activity;
	bool		known = ienv_read_activity(relid, info, &activity);

	nulls[0] = nulls[1] = !known;
	nulls[2] = !known || TIMESTAMP_IS_NOBEGIN(activity.last_refused);
	if (!known)
		return;
	values[0] = Int64GetDatum(activity.refused);
	values[1] = Int64GetDatum(activity.refused_today);
	values[2] = TimestampTzGetDatum(activity.last_refused);
}
