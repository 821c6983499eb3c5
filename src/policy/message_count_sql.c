/*-------------------------------------------------------------------------
 *
 * message_count_sql.c
 *	  How many messages an instance has sent in this month, on a cluster.
 *
 * Transactions of other nodes cannot be seen before they commit, so there the
 * count of an instance and channel is one row, which each sender updates by
 * SQL: a sender waits until the transaction of the one before has ended, on
 * whatever node, and the limit is exact.
 *
 * What was counted before the registry was distributed may be in several slots
 * (message_count.c); those other than the first one do not change any more,
 * and still count until the month ends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "policy/policy.h"
#include "registry/registry.h"

static int64 sent_in(const Datum *values, const char *which);

/*
 * Like ienv_count_message(), for a registry that is distributed.
 */
bool
ienv_count_message_by_sql(Datum instance, const IenvChannel *channel,
						  IenvMessageCount *count)
{
	static const Oid types[4] = {UUIDOID, TEXTOID, DATEOID, INT8OID};
	Datum		values[4];
	bool		unlimited;
	int64		others;
	bool		counted;

	count->month = ienv_message_month();
	count->limit = DatumGetInt32(ienv_policy(instance, channel->policy,
											 INT4OID, &unlimited));
	values[0] = instance;
	values[1] = CStringGetTextDatum(channel->name);
	values[2] = DateADTGetDatum(count->month);

	SPI_connect();
	others = sent_in(values, "slot OPERATOR(pg_catalog.<>) 0");
	values[3] = Int64GetDatum(unlimited ? PG_INT64_MAX : count->limit - others);
	counted = DatumGetInt64(values[3]) > 0 &&
		ienv_write_latest("INSERT INTO instance_env.message_count AS c"
						  " (instance, channel, slot, month, sent)"
						  " VALUES ($1, $2, 0, $3, 1)"
						  " ON CONFLICT (instance, channel, slot) DO UPDATE"
						  " SET month = EXCLUDED.month,"
						  " sent = CASE WHEN c.month"
						  "  OPERATOR(pg_catalog.=) EXCLUDED.month"
						  " THEN c.sent OPERATOR(pg_catalog.+) 1 ELSE 1 END"
						  " WHERE c.month OPERATOR(pg_catalog.<>)"
						  " EXCLUDED.month"
						  " OR c.sent OPERATOR(pg_catalog.<) $4",
						  4, types, values) > 0;

	/* it may have been dropped while this one waited */
	(void) ienv_require_instance(instance);
	count->sent = counted ? 0 : sent_in(values, "true");
	SPI_finish();
	return counted;
}

/*
 * How many messages are counted in this month in some of the slots.
 */
static int64
sent_in(const Datum *values, const char *which)
{
	static const Oid types[3] = {UUIDOID, TEXTOID, DATEOID};
	bool		isnull;

	(void) ienv_query_latest(psprintf("SELECT COALESCE(pg_catalog.sum(sent), 0)"
									  "::pg_catalog.int8"
									  " FROM instance_env.message_count"
									  " WHERE instance OPERATOR(pg_catalog.=) $1"
									  " AND channel OPERATOR(pg_catalog.=) $2"
									  " AND month OPERATOR(pg_catalog.=) $3"
									  " AND %s", which),
							 3, types, values, NULL);
	return DatumGetInt64(ienv_result_datum(0, 1, &isnull));
}
