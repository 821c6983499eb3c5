/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  What DDL could do to a guard: an event trigger.
 *
 * PostgreSQL clones row triggers to every partition, present and future, but not
 * those for TRUNCATE, and it does not check the rows that a table brings along when
 * it is attached: both is done here.  What the cap could not count, foreign tables as
 * partitions and inheritance children, is refused.
 *
 * And since a label says whose identities a trigger records, only guard() may make a
 * trigger with another label than its table's name: whoever could do that might forge
 * departures of users of a table that is not his.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "instance_env.h"

static void check_trigger(CreateTrigStmt *stmt);
static void partition_joined(RangeVar *name);
static void refuse_child(RangeVar *parent);

PG_FUNCTION_INFO_V1(instance_env_watch_ddl);

/*
 * watch_ddl() RETURNS event_trigger
 *
 * After CREATE [FOREIGN] TABLE, ALTER TABLE and CREATE TRIGGER.
 */
Datum
instance_env_watch_ddl(PG_FUNCTION_ARGS)
{
	EventTriggerData *trigdata;
	ListCell   *lc;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager", "watch_ddl")));

	trigdata = (EventTriggerData *) fcinfo->context;
	if (IsA(trigdata->parsetree, CreateStmt) || IsA(trigdata->parsetree, CreateForeignTableStmt))
	{
		/* a CreateForeignTableStmt begins with a CreateStmt */
		CreateStmt *stmt = (CreateStmt *) trigdata->parsetree;

		if (stmt->partbound != NULL)
			partition_joined(stmt->relation);
		else
			foreach(lc, stmt->inhRelations)
				refuse_child(lfirst_node(RangeVar, lc));
	}
	else if (IsA(trigdata->parsetree, AlterTableStmt))
	{
		foreach(lc, ((AlterTableStmt *) trigdata->parsetree)->cmds)
		{
			AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

			if (cmd->subtype == AT_AttachPartition)
				partition_joined(castNode(PartitionCmd, cmd->def)->name);
			else if (cmd->subtype == AT_AddInherit)
				refuse_child(castNode(RangeVar, cmd->def));
		}
	}
	else if (IsA(trigdata->parsetree, CreateTrigStmt) && !ienv_creating_trigger && !superuser())
		check_trigger((CreateTrigStmt *) trigdata->parsetree);
	PG_RETURN_NULL();
}

/*
 * Refuse a trigger of ours, if it is, with another label than the table's name.
 */
static void
check_trigger(CreateTrigStmt *stmt)
{
	Oid			relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	Relation	rel;
	TriggerDesc *triggers;

	if (!OidIsValid(relid))
		return;
	rel = relation_open(relid, AccessShareLock);
	triggers = CopyTriggerDesc(rel->trigdesc);
	relation_close(rel, AccessShareLock);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (strcmp(trigger->tgname, stmt->trigname) == 0 &&
			ienv_trigger_kind(trigger->tgfoid) != NULL &&
			(trigger->tgnargs != 1 || strcmp(trigger->tgargs[0], ienv_sql_name(relid)) != 0))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to create trigger \"%s\" with a label other than %s",
							stmt->trigname, ienv_sql_name(relid)),
					 errhint("Let instance_env.guard() create the triggers.")));
	}
}

/*
 * Complete the guard of a table that has become a partition, and check its rows.
 */
static void
partition_joined(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	const IenvGuard *guard = OidIsValid(relid) ? ienv_guard_of(relid) : NULL;
	Relation	rel;
	IenvGuard	root;
	int			present;
	int			disabled;
	bool		brings_rows;

	if (guard == NULL || guard->root == relid)
		return;

	rel = table_open(relid, AccessShareLock);
	if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("foreign table %s cannot be a partition of guarded table %s",
						ienv_quoted_name(relid), ienv_quoted_name(guard->root)),
				 errdetail("The user cap cannot count the rows of a foreign table.")));
	brings_rows = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE || RelationGetNumberOfBlocks(rel) > 0;
	table_close(rel, NoLock);

	rel = table_open(guard->root, AccessShareLock);
	(void) ienv_read_guard(rel, &root, &present, &disabled);
	table_close(rel, NoLock);

	SPI_connect();
	if (brings_rows)
		ienv_check_rows(&root);
	if (root.key_attno != InvalidAttrNumber)
		ienv_guard_partitions(root.relid);
	SPI_finish();
}

/*
 * Refuse an inheritance child of a guarded table.
 */
static void
refuse_child(RangeVar *parent)
{
	Oid			relid = RangeVarGetRelid(parent, NoLock, true);

	if (OidIsValid(relid) && ienv_guard_of(relid) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("guarded table %s cannot have inheritance children", ienv_quoted_name(relid)),
				 errdetail("The user cap would not count their rows."),
				 errhint("Use a partitioned table.")));
}

/*
 * Give every partition of root the trigger for TRUNCATE where it lacks it, and enable
 * it where it is asleep.  SPI is connected.
 */
void
ienv_guard_partitions(Oid root)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(root, AccessShareLock, NULL))
	{
		Oid			relid = lfirst_oid(lc);
		Relation	rel = table_open(relid, AccessShareLock);
		IenvGuard	guard;
		int			present;
		int			disabled;

		(void) ienv_read_guard(rel, &guard, &present, &disabled);
		table_close(rel, NoLock);
		guard.relid = relid;
		if (!(present & IENV_TRIGGER_TRUNCATE))
			ienv_make_triggers(&guard, IENV_TRIGGER_TRUNCATE, 0);
		else if (disabled & IENV_TRIGGER_TRUNCATE)
			ienv_make_triggers(&guard, 0, IENV_TRIGGER_TRUNCATE);
	}
}
