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
 * And since a label says whose identities a trigger records, and its condition which
 * columns count, only guard() and a table's owner may make a trigger that executes one of
 * our functions, and only guard() one with another label than it would give the table:
 * whoever could do that might forge departures of users of another's table.
 *
 * What was done is taken from PostgreSQL's list of commands, by OID.  The statement
 * has names only, and may contain others, as CREATE SCHEMA does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "guard.h"
#include "instance_env.h"

static Oid	attached_partition(Node *parsetree);
static bool adds_parent(Node *parsetree);
static void check_trigger(Oid trigger);
static void check_partition(Oid relid, bool attached);
static void refuse_child(Oid relid);

PG_FUNCTION_INFO_V1(instance_env_watch_ddl);

/*
 * watch_ddl() RETURNS event_trigger
 *
 * After CREATE and ALTER of tables, CREATE TRIGGER and CREATE SCHEMA.
 */
Datum
instance_env_watch_ddl(PG_FUNCTION_ARGS)
{
	Node	   *parsetree;
	SPITupleTable *commands;
	uint64		ncommands;
	Oid			attached;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager", "watch_ddl")));

	parsetree = ((EventTriggerData *) fcinfo->context)->parsetree;
	attached = attached_partition(parsetree);

	/*
	 * Nothing else that is an ALTER TABLE matters, such as a new name or schema: to look at
	 * it would lock what it has not locked.
	 */
	if (!OidIsValid(attached) && !IsA(parsetree, CreateStmt) && !IsA(parsetree, CreateForeignTableStmt) &&
		!IsA(parsetree, CreateTrigStmt) && !IsA(parsetree, CreateSchemaStmt) && !adds_parent(parsetree))
		PG_RETURN_NULL();

	SPI_connect();
	if (OidIsValid(attached))
		check_partition(attached, true);
	if (SPI_execute("SELECT classid, objid FROM pg_catalog.pg_event_trigger_ddl_commands()"
					" WHERE objid IS NOT NULL", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the list of DDL commands");
	commands = SPI_tuptable;
	ncommands = SPI_processed;
	for (uint64 i = 0; i < ncommands; i++)
	{
		bool		isnull;
		Oid			class = DatumGetObjectId(SPI_getbinval(commands->vals[i], commands->tupdesc, 1, &isnull));
		Oid			object = DatumGetObjectId(SPI_getbinval(commands->vals[i], commands->tupdesc, 2, &isnull));

		if (class == TriggerRelationId && !ienv_creating_trigger && !superuser())
			check_trigger(object);
		else if (class != RelationRelationId || OidIsValid(attached))
			continue;			/* the relation is the parent, which has not changed */
		else if (get_rel_relispartition(object))
			check_partition(object, false);
		else if (has_superclass(object))
			refuse_child(object);
	}
	SPI_finish();
	PG_RETURN_NULL();
}

/*
 * What ALTER TABLE ... ATTACH PARTITION attaches; InvalidOid for another statement.
 *
 * The list of commands has the parent only; the partition's name means what it meant
 * when the statement began, for ATTACH makes no names.
 */
static Oid
attached_partition(Node *parsetree)
{
	ListCell   *lc;

	if (!IsA(parsetree, AlterTableStmt) || ((AlterTableStmt *) parsetree)->objtype != OBJECT_TABLE)
		return InvalidOid;
	foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AttachPartition)
			return RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
	}
	return InvalidOid;
}

/*
 * Is this ALTER TABLE ... INHERIT?
 */
static bool
adds_parent(Node *parsetree)
{
	ListCell   *lc;

	if (!IsA(parsetree, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_AddInherit)
			return true;
	return false;
}

/*
 * Refuse a trigger of ours, if it is, whose label is not its table's, or that is made by
 * somebody who has no more than the right to make triggers on it: a table that is guarded
 * is one whose rows a reset deletes.
 *
 * The trigger for TRUNCATE records under the label of the others.
 */
static void
check_trigger(Oid trigger)
{
	Relation	rel;
	HeapTuple	tuple = ienv_read_trigger(trigger);
	Oid			relid;
	const IenvTriggerKind *kind;
	TriggerDesc *triggers;

	if (!HeapTupleIsValid(tuple))
		return;
	relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	kind = ienv_trigger_kind(((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid);
	heap_freetuple(tuple);
	if (kind == NULL)
		return;
	if (!ienv_owns_relation(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create a trigger of extension \"%s\" on table %s",
						IENV_SCHEMA, ienv_quoted_name(relid)),
				 errdetail("Only the owner of the table may.")));
	if (kind->bit == IENV_TRIGGER_TRUNCATE)
		return;

	rel = relation_open(relid, AccessShareLock);
	triggers = CopyTriggerDesc(rel->trigdesc);
	relation_close(rel, AccessShareLock);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		char	   *label = ienv_free_label(relid);

		if (triggers->triggers[i].tgoid == trigger &&
			(triggers->triggers[i].tgnargs != 1 || strcmp(triggers->triggers[i].tgargs[0], label) != 0))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to create trigger \"%s\" with a label other than '%s'",
							triggers->triggers[i].tgname, label),
					 errhint("Let instance_env.guard() create the triggers.")));
	}
}

/*
 * See what a partition that was made or attached means to the guard of its table.
 *
 * Its own statement has locked the partition with all that hangs on it.  If it brings rows
 * along, nobody else may write to the table until the transaction ends: what an open
 * transaction has inserted, nobody would count together with them.  Otherwise no other
 * partition is looked at, lest two sessions that each work on one of them wait for each
 * other.
 */
static void
check_partition(Oid relid, bool attached)
{
	const IenvGuard *guard = ienv_guard_of(relid);
	bool		has_rows = false;
	IenvGuard	root;
	ListCell   *lc;

	if (guard == NULL || guard->root == relid)
		return;
	guard = ienv_guard_of(guard->root);
	if (guard == NULL)
		return;
	root = *guard;

	/* refuses foreign tables */
	foreach(lc, ienv_leaf_relations(relid, AccessShareLock))
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);

		has_rows = has_rows || RelationGetNumberOfBlocks(rel) > 0;
		table_close(rel, NoLock);
	}
	if (attached && has_rows)
	{
		/* as guard() does */
		LockRelationOid(root.relid, ShareRowExclusiveLock);
		(void) ienv_leaf_relations(root.relid, ShareRowExclusiveLock);
		ienv_check_rows(&root, relid);
	}
	if (root.key_attno != InvalidAttrNumber)
		ienv_guard_partitions(relid);
}

/*
 * Refuse an inheritance child of a guarded table.
 */
static void
refuse_child(Oid relid)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	rel = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;

		if (ienv_guard_of(parent) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("guarded table %s cannot have inheritance children", ienv_quoted_name(parent)),
					 errdetail("The user cap would not count their rows."),
					 errhint("Use a partitioned table.")));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Give relid and its partitions the trigger for TRUNCATE where they lack it, and enable
 * it where it is asleep.  SPI is connected.
 */
void
ienv_guard_partitions(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);
		IenvGuard	guard;
		int			present;
		int			disabled;

		(void) ienv_read_guard(rel, &guard, &present, &disabled);
		table_close(rel, NoLock);
		if (!(present & IENV_TRIGGER_TRUNCATE))
			ienv_make_triggers(&guard, IENV_TRIGGER_TRUNCATE, 0);
		else if (disabled & IENV_TRIGGER_TRUNCATE)
			ienv_make_triggers(&guard, 0, IENV_TRIGGER_TRUNCATE);
	}
}
