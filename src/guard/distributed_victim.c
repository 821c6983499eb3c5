/*-------------------------------------------------------------------------
 *
 * distributed_victim.c
 *	  Users of production in a table of a Citus cluster.
 *
 * Commands that destroy a table are given for its shell, which has no rows.
 * So that is where they are judged, once, with a query that Citus sends to the
 * shards; what Citus does on the nodes then is not judged again.  Nor is what
 * it does by itself: when a shard has been moved or split, its old placement
 * is dropped, with rows that are elsewhere by then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "guard/destruction.h"
#include "guard/guard.h"
#include "table/table.h"

/*
 * What Citus calls its own sessions.  Anybody can call a session so; that is
 * no way around anything that the owner of a table could not simply allow.
 */
static const char *const own_sessions[] = {
	"citus_internal ", "citus_rebalancer "
};

static bool is_own_session(void);
static Datum production_instances(const IenvGuard *guard);

/*
 * Is a table touched by Citus, for a command that has been judged already, or
 * that only moves rows?
 */
bool
ienv_is_judged_elsewhere(Oid relid)
{
	return OidIsValid(ienv_citus_catalog("pg_dist_shard")) &&
		(is_own_session() || OidIsValid(ienv_shell_of(relid)));
}

static bool
is_own_session(void)
{
	for (int i = 0; i < lengthof(own_sessions); i++)
		if (application_name != NULL &&
			strncmp(application_name, own_sessions[i],
					strlen(own_sessions[i])) == 0)
			return true;
	return false;
}

/*
 * Does a distributed table hold users of a production instance that is or was
 * active?  Sets *victim to one.
 *
 * What others commit on other nodes meanwhile may be missed.
 */
bool
ienv_find_distributed_victim(const IenvGuard *guard, IenvVictim *victim)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			type = guard->is_uuid ? UUIDARRAYOID : TEXTARRAYOID;
	char	   *column;
	Datum		instances;
	bool		found = false;

	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	instances = production_instances(guard);
	if (instances != (Datum) 0)
	{
		IenvActing	saved;
		bool		isnull;

		column = pstrdup(quote_identifier(get_attname(guard->relid,
													  guard->instance_attno,
													  false)));
		ienv_act_as_owner_of(guard->relid, &saved);
		found = ienv_query(psprintf("SELECT %s FROM %s"
									" WHERE %s OPERATOR(pg_catalog.=) ANY ($1)"
									" LIMIT 1", column,
									ienv_sql_name(guard->relid), column),
						   1, &type, &instances, NULL) > 0;
		ienv_act_as_self(&saved);
		if (found)
		{
			Datum		value = ienv_result_datum(0, 1, &isnull);

			MemoryContextSwitchTo(caller);
			found = ienv_is_victim(guard, value, false) &&
				ienv_set_victim(guard, value, victim);
		}
	}
	PopActiveSnapshot();
	SPI_finish();
	return found;
}

/*
 * What rows name the instances by whose users must not be destroyed, as an
 * array; 0 if there are none.
 */
static Datum
production_instances(const IenvGuard *guard)
{
	IenvOwner	saved;
	Datum		result;
	bool		isnull;

	ienv_become_owner(&saved);
	(void) ienv_query(guard->is_uuid ?
					  "SELECT pg_catalog.array_agg(id)"
					  " FROM instance_env.instance"
					  " WHERE type OPERATOR(pg_catalog.=) 'production'"
					  " AND status OPERATOR(pg_catalog.<>) 'inactive'" :
					  "SELECT pg_catalog.array_agg(external_key)"
					  " FROM instance_env.instance"
					  " WHERE type OPERATOR(pg_catalog.=) 'production'"
					  " AND status OPERATOR(pg_catalog.<>) 'inactive'"
					  " AND external_key IS NOT NULL",
					  0, NULL, NULL, NULL);
	ienv_leave_owner(&saved);
	result = ienv_result_datum(0, 1, &isnull);
	return isnull ? (Datum) 0 : result;
}
