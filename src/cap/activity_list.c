/*-------------------------------------------------------------------------
 *
 * activity_list.c
 *	  View activity, and resetting it.
 *
 * activity.c keeps the counters.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "base/base.h"
#include "cap/cap.h"
#include "table/table.h"

#define ACTIVITY_COLUMNS 9

static void set_time(Datum *value, bool *isnull, TimestampTz time);

PG_FUNCTION_INFO_V1(instance_env_activity_list);
PG_FUNCTION_INFO_V1(instance_env_activity_status);
PG_FUNCTION_INFO_V1(instance_env_reset_activity);

/*
 * activity_list() RETURNS TABLE (relation, instance, created_at,
 * admitted_by_bound, admitted_by_scan, refused, refused_today,
 * last_admitted_at, last_refused_at)
 *
 * What was counted for the guarded tables of this database that administration
 * looks at.  The instance may have been dropped since: whoever reads it
 * compares created_at.  What was counted for a shard, on this node, is shown
 * for its table.
 */
Datum
instance_env_activity_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *roots = ienv_trusted_roots();
	IenvActivity activity;
	int			n = 0;
	int			i = 0;

	InitMaterializedSRF(fcinfo, 0);
	do
	{
		Datum		values[ACTIVITY_COLUMNS];
		bool		nulls[ACTIVITY_COLUMNS] = {false};

		CHECK_FOR_INTERRUPTS();
		if (!ienv_activity_at(i, &n, &activity))
			continue;
		activity.root = ienv_known_table(activity.root);
		if (!list_member_oid(roots, activity.root))
			continue;
		values[0] = ObjectIdGetDatum(activity.root);
		values[1] = UUIDPGetDatum(&activity.instance);
		values[2] = TimestampTzGetDatum(activity.created_at);
		values[3] = Int64GetDatum(activity.by_bound);
		values[4] = Int64GetDatum(activity.by_scan);
		values[5] = Int64GetDatum(activity.refused);
		values[6] = Int64GetDatum(activity.refused_today);
		set_time(&values[7], &nulls[7], activity.last_admitted);
		set_time(&values[8], &nulls[8], activity.last_refused);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	} while (++i < n);
	return (Datum) 0;
}

static void
set_time(Datum *value, bool *isnull, TimestampTz time)
{
	*isnull = TIMESTAMP_IS_NOBEGIN(time);
	*value = TimestampTzGetDatum(time);
}

/*
 * activity_status() RETURNS record
 */
Datum
instance_env_activity_status(PG_FUNCTION_ARGS)
{
	TupleDesc	desc = ienv_result_desc(fcinfo);
	int			slots = 0;
	int			used = 0;
	int64		missed = 0;
	bool		counting = ienv_activity_room(&slots, &used, &missed);
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = BoolGetDatum(counting);
	values[1] = Int32GetDatum(counting ? slots : 0);
	values[2] = Int32GetDatum(used);
	values[3] = Int64GetDatum(missed);
	nulls[3] = !counting;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * reset_activity() RETURNS void
 *
 * It takes effect at once, and is not undone with the transaction.  The event
 * is recorded first, so that nothing happens where that is refused.
 */
Datum
instance_env_reset_activity(PG_FUNCTION_ARGS)
{
	ienv_record_event("reset_activity", NULL, NULL, NULL, 0, 0);
	ienv_forget_activity();
	PG_RETURN_VOID();
}
