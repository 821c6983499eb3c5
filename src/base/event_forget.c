/*-------------------------------------------------------------------------
 *
 * event_forget.c
 *	  Pruning the audit log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "base/base.h"

PG_FUNCTION_INFO_V1(instance_env_forget_events);

/*
 * forget_events(before timestamptz) RETURNS bigint
 *
 * Deletes the events that happened before a given time, which is not in the
 * future, and returns how many there were.  The event that records this is the
 * last one, so it is never deleted along with them; it says which are gone.
 *
 * The function is not SECURITY DEFINER: the extension belongs to a superuser,
 * and the caller is to be one.
 *
 * Those who record events do not wait for it, since they only insert.  Of two
 * callers the second waits for the first to end, and deletes what that left.
 */
Datum
instance_env_forget_events(PG_FUNCTION_ARGS)
{
	Oid			type = TIMESTAMPTZOID;
	Datum		value;
	Datum		gone;
	int64		forgotten;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "before");
	value = PG_GETARG_DATUM(0);
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change the audit log"),
				 errdetail("Only a superuser can change or delete recorded events.")));
	if (PG_GETARG_TIMESTAMPTZ(0) > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\"", "before"),
				 errdetail("It is in the future."),
				 errhint("Give a time of the past, such as now() - interval '1 year'.")));

	SPI_connect();
	(void) ienv_write_latest("WITH gone AS (DELETE FROM instance_env.event"
							 "  WHERE happened_at OPERATOR(pg_catalog.<) $1"
							 "  RETURNING id, happened_at)"
							 " SELECT pg_catalog.count(*),"
							 " pg_catalog.jsonb_build_object("
							 "  'first', pg_catalog.min(id),"
							 "  'last', pg_catalog.max(id),"
							 "  'since', pg_catalog.min(happened_at))"
							 " FROM gone", 1, &type, &value);
	forgotten = DatumGetInt64(ienv_result_datum(0, 1, &isnull));
	gone = ienv_result_datum(0, 2, &isnull);
	if (forgotten > 0)
		ienv_record_event("forget_events", NULL, NULL, NULL, gone,
						  ienv_jsonb(psprintf("{\"before\": \"%s\", \"forgotten\": " INT64_FORMAT "}",
											  JsonEncodeDateTime(NULL, value, TIMESTAMPTZOID, NULL),
											  forgotten)));
	SPI_finish();
	PG_RETURN_INT64(forgotten);
}
