/*-------------------------------------------------------------------------
 *
 * seats_left.c
 *	  How many users an instance has exactly, and how many it may still take.
 *
 * seats_left() is what a backend asks before it shows a form for signing up.
 * It counts as far as the cap, and waits for nobody.  What it returns is of
 * this moment; only an insert decides.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "cap/cap.h"
#include "registry/registry.h"
#include "table/table.h"

static List *tables_asked_for(FunctionCallInfo fcinfo);
static bool is_asked_for(Oid relid);
pg_noreturn static void report_not_counted_now(Oid relid);

PG_FUNCTION_INFO_V1(instance_env_seats_left);
PG_FUNCTION_INFO_V1(instance_env_user_count);

/*
 * seats_left(instance uuid, relation regclass) RETURNS bigint
 *
 * How many users may still be added to a counted table or, if relation is
 * null, to the one of them that is fullest.  Null if nothing limits that: for
 * an active production instance, or where no table is counted.
 */
Datum
instance_env_seats_left(PG_FUNCTION_ARGS)
{
	Datum		instance;
	Datum		external_key;
	IenvInstance info;
	List	   *tables;
	ListCell   *lc;
	Oid			uncounted = InvalidOid;
	int64		left = -1;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	info = ienv_require_instance(instance);
	tables = tables_asked_for(fcinfo);
	if (info.status != IENV_ACTIVE)
		PG_RETURN_INT64(0);
	if (info.user_cap < 0)
		PG_RETURN_NULL();

	external_key = ienv_latest_external_key(DatumGetUUIDP(instance), false);
	foreach(lc, tables)
	{
		int64		users = ienv_users_at_once(lfirst_oid(lc), instance,
											   external_key, info.user_cap);
		int64		here = Max(info.user_cap - users, 0);

		if (users < 0)
			uncounted = lfirst_oid(lc);
		else if (left < 0 || here < left)
			left = here;
	}

	/* whatever the others have, it cannot be less */
	if (left == 0)
		PG_RETURN_INT64(0);
	if (OidIsValid(uncounted))
		report_not_counted_now(uncounted);
	if (left < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(left);
}

/*
 * user_count(instance uuid, relation regclass)
 * RETURNS TABLE (relation, users)
 *
 * Counts exactly, in production, too, which may take long.  users is null if
 * they cannot be counted now.
 */
Datum
instance_env_user_count(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		instance;
	Datum		external_key;
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);
	(void) ienv_require_instance(instance);
	external_key = ienv_latest_external_key(DatumGetUUIDP(instance), false);

	foreach(lc, tables_asked_for(fcinfo))
	{
		Oid			relid = lfirst_oid(lc);
		int64		users = ienv_users_at_once(relid, instance, external_key,
											   PG_INT64_MAX);
		Datum		values[2] = {ObjectIdGetDatum(relid), Int64GetDatum(users)};
		bool		nulls[2] = {false, users < 0};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/*
 * The counted table that argument 1 names, itself or by a partition, or all of
 * them.
 *
 * A table that is guarded, but that administration does not look at, is
 * treated as one that is not counted.
 */
static List *
tables_asked_for(FunctionCallInfo fcinfo)
{
	Oid			relid = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	List	   *tables = NIL;
	ListCell   *lc;

	if (PG_ARGISNULL(1))
	{
		foreach(lc, ienv_roots_by_name())
		{
			const IenvRoot *root = lfirst(lc);

			if (root->trusted && ienv_is_counted(root->relid))
				tables = lappend_oid(tables, root->relid);
		}
		return tables;
	}
	if (get_rel_relkind(relid) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!is_asked_for(ienv_root_of(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("users in relation %s are not counted",
						ienv_quoted_name(relid)),
				 errdetail("It is not a guarded table to which the user cap applies, or administration does not look at it."),
				 ienv_errhint_view("guards",
								   "The guarded tables are in view instance_env.guards.")));
	return list_make1_oid(ienv_root_of(relid));
}

/*
 * Is this a counted table that administration looks at?
 */
static bool
is_asked_for(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	return (relkind == RELKIND_RELATION ||
			relkind == RELKIND_PARTITIONED_TABLE) &&
		get_rel_persistence(relid) != RELPERSISTENCE_TEMP &&
		ienv_is_counted(relid) && ienv_is_let_in(ienv_relation_owner(relid));
}

/*
 * Null would mean that there is no limit, so this is an error.
 */
static void
report_not_counted_now(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("users in table %s could not be counted",
					ienv_quoted_name(relid)),
			 errdetail("They are not counted while another session has the table locked, while its guard is not whole, or if it has more than %d partitions.",
					   IENV_MAX_PARTITIONS),
			 errhint("Try again later, or show no number: an insert decides by itself.")));
}
