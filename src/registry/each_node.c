/*-------------------------------------------------------------------------
 *
 * each_node.c
 *	  What every node of a cluster does by itself, in one transaction.
 *
 * Citus takes rows to all nodes, but neither the privileges on an extension's
 * functions and views, nor the definitions of its views, nor what a session
 * remembers.  So such a task is a row, too: it is inserted into the reference
 * table node_task, whose trigger runs at the placement of each node, does the
 * task there, and lets the row go.  What it does is part of the transaction on
 * all nodes, and the table is always empty.
 *
 * A trigger on a placement must not write to a reference table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "base/base.h"
#include "registry/registry.h"

static void do_task(const char *action, const char *item, const char *before,
					const char *after);

PG_FUNCTION_INFO_V1(instance_env_do_node_task);

/*
 * do_node_task() RETURNS trigger
 *
 * BEFORE INSERT row trigger of node_task.  Like the audit log, the table is
 * for the extension's owner, whatever others have been granted on it.
 */
Datum
instance_env_do_node_task(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "do_node_task",
												   TRIGGER_EVENT_BEFORE);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	HeapTuple	row = trigdata->tg_trigtuple;
	int			nest_level;

	if (!superuser() && GetUserId() != ienv_oids()->owner)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to give the nodes of a cluster a task"),
				 errdetail("Only the functions of the extension do so.")));

	/* each node does it for itself */
	nest_level = NewGUCNestLevel();
	if (ienv_registry_is_distributed())
		(void) set_config_option("citus.enable_ddl_propagation", "off",
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	SPI_connect();
	do_task(ienv_row_column(desc, row, "action"),
			ienv_row_column(desc, row, "item"),
			ienv_row_column(desc, row, "before"),
			ienv_row_column(desc, row, "after"));
	SPI_finish();
	AtEOXact_GUC(true, nest_level);
	return PointerGetDatum(NULL);
}

static void
do_task(const char *action, const char *item, const char *before,
		const char *after)
{
	if (item == NULL)
		elog(ERROR, "invalid task \"%s\"", action);
	else if (strcmp(action, "read_placements") == 0)
		ienv_read_placements();
	else if (strcmp(action, "join") == 0)
		ienv_join(item);
	else if (strcmp(action, "rename_instance") == 0)
	{
		Datum		id = DirectFunctionCall1(uuid_in, CStringGetDatum(item));

		if (before == NULL || after == NULL)
			elog(ERROR, "invalid task \"%s\"", action);
		ienv_hear_of_rename(DatumGetUUIDP(id), before, after);
	}
	else
	{
		ienv_lock_rights();
		ienv_change_rights(action, get_role_oid(item, false));
	}
}
