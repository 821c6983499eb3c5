/*-------------------------------------------------------------------------
 *
 * table_event.c
 *	  Recording what a statement has done to a guarded table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "table/table.h"

/*
 * Record what a statement has done to a guarded table, for an instance.
 *
 * The triggers of a shard cannot write to the log, which is distributed like
 * the rest of the registry: Citus runs no query on all nodes within one that
 * it has sent to a node.  So that is told to the log of that node's server.
 */
void
ienv_record_table_event(const char *action, const pg_uuid_t *instance,
						Oid relid, Datum before, Datum after)
{
	char	   *id;

	if (!OidIsValid(ienv_shell_of(relid)))
	{
		ienv_record_event(action, NULL, instance, ienv_stable_name(relid),
						  before, after);
		return;
	}
	id = DatumGetCString(DirectFunctionCall1(uuid_out,
											 UUIDPGetDatum(instance)));
	ereport(LOG,
			(errmsg("instance_env event \"%s\" of table %s", action,
					ienv_quoted_name(relid)),
			 DatumGetPointer(after) == NULL ?
			 errdetail("Session user %s, instance %s.",
					   GetUserNameFromId(GetSessionUserId(), false), id) :
			 errdetail("Session user %s, instance %s, before %s, after %s.",
					   GetUserNameFromId(GetSessionUserId(), false), id,
					   DatumGetCString(DirectFunctionCall1(jsonb_out, before)),
					   DatumGetCString(DirectFunctionCall1(jsonb_out, after))),
			 errhidestmt(true)));
}
