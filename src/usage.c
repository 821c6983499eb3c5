/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  How full development instances are: a check of validate(), and view usage.
 *
 * The view leaves production out: it has no cap, and to count all its users could take
 * long.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"

#include "guard.h"
#include "validate.h"

/* From how many hundredths of its cap on an instance is said to be nearly full */
#define NEARLY_FULL 80

#define USAGE_COLUMNS 3

/* How many users a counted table has of an instance */
typedef struct Usage
{
	const IenvRoot *root;
	int64		users;			/* -1: they cannot be counted, or not now */
} Usage;

static List *usage_of(Datum instance, Datum external_key);

PG_FUNCTION_INFO_V1(instance_env_instance_usage);

/*
 * How full a development instance is, in each counted table.
 */
void
ienv_check_usage(IenvValidation *run)
{
	int			cap = run->info.user_cap;
	List	   *usage = usage_of(run->instance, run->external_key);
	ListCell   *lc;

	if (usage == NIL)
		ienv_add_check(run, "usage", IENV_WARNING, 0, true, "No table is counted.", NULL);
	foreach(lc, usage)
	{
		const Usage *u = lfirst(lc);
		const char *table = u->root->name;
		char	   *name = psprintf("usage:%s", table);

		if (u->users < 0)
			ienv_add_check(run, name, IENV_WARNING, 0, false,
						   psprintf("The users in table \"%s\" could not be counted.", table),
						   ienv_has_too_many_partitions(u->root->relid) ?
						   psprintf("Have its owner merge partitions: with more than %d it is not counted.", IENV_MAX_PARTITIONS) :
						   "Try again when no other session has the table locked and its guard is whole.");
		else
			ienv_add_check(run, name, IENV_WARNING,
						   u->users >= cap ? ERRCODE_IENV_USER_CAP_EXCEEDED : 0,
						   u->users * 100 < (int64) cap * NEARLY_FULL,
						   psprintf("Table \"%s\" holds %lld of at most %d users.", table, (long long) u->users, cap),
						   "Delete users, or raise the cap with instance_env.set_user_cap().");
	}
}

/*
 * The users of an instance in each counted table, as Usages.
 */
static List *
usage_of(Datum instance, Datum external_key)
{
	List	   *usage = NIL;
	ListCell   *lc;

	foreach(lc, ienv_roots_by_name())
	{
		const IenvRoot *root = lfirst(lc);
		Usage	   *u;

		if (!root->trusted || !ienv_is_counted(root->relid))
			continue;
		u = palloc(sizeof(Usage));
		u->root = root;
		u->users = ienv_users_at_once(root->relid, instance, external_key, PG_INT64_MAX);
		usage = lappend(usage, u);
	}
	return usage;
}

/*
 * instance_usage(instance uuid) RETURNS TABLE (relation, users, user_cap)
 *
 * A row for each counted table; users is null if they cannot be counted now.
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
	if (ienv_query_latest("SELECT external_key FROM instance_env.instance WHERE id OPERATOR(pg_catalog.=) $1",
						  1, &type, &instance, NULL) != 1)
		elog(ERROR, "instance %s is gone", ienv_instance_text(instance, true));
	external_key = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

	foreach(lc, usage_of(instance, external_key))
	{
		const Usage *u = lfirst(lc);
		Datum		values[USAGE_COLUMNS];
		bool		nulls[USAGE_COLUMNS] = {false};

		values[0] = ObjectIdGetDatum(u->root->relid);
		values[1] = Int64GetDatum(u->users);
		nulls[1] = u->users < 0;
		values[2] = Int32GetDatum(info.user_cap);
		nulls[2] = info.user_cap < 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}
