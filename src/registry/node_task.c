/*-------------------------------------------------------------------------
 *
 * node_task.c
 *	  Giving every node of a cluster a task; each_node.c does it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/base.h"
#include "registry/registry.h"

/*
 * Have all nodes do a task, this one included; the arguments other than the
 * action can be NULL.  SPI is connected.
 *
 * This node does it in this session, whatever the caller has set: another one
 * would wait for the locks of this one.  The setting holds for what the calling
 * function still does, since Citus does not let a transaction go back on it.
 */
void
ienv_on_each_node(const char *action, const char *item, const char *before,
				  const char *after)
{
	static const Oid types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	const char *texts[4] = {action, item, before, after};
	Datum		values[4];
	IenvOwner	saved;

	(void) set_config_option("citus.enable_local_execution", "on", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	for (int i = 0; i < lengthof(values); i++)
		values[i] = texts[i] == NULL ? (Datum) 0 :
			CStringGetTextDatum(texts[i]);
	ienv_become_owner(&saved);
	(void) ienv_query("INSERT INTO instance_env.node_task"
					  " (action, item, before, after)"
					  " VALUES ($1, $2, $3, $4)", 4, types, values, NULL);
	ienv_leave_owner(&saved);
}
