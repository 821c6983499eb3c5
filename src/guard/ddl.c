/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  An event trigger that keeps DDL from undermining a guard.
 *
 * PostgreSQL clones row triggers to every partition, present and future, but
 * not those for TRUNCATE, and it does not check the rows of a table that is
 * attached: both are done here.  What the cap could not count, foreign tables
 * as partitions and inheritance children, is refused.
 *
 * Nor may everybody create or replace a guard's triggers: see ddl_trigger.c.
 *
 * What a command has done is determined from the catalog rows that it has
 * written.  PostgreSQL's own list of commands will not do, because under
 * REFRESH MATERIALIZED VIEW it stays empty whatever the view's functions do;
 * nor will the names in the statement, which may refer to something else by
 * now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/compat.h"
#include "guard/guard.h"
#include "table/table.h"

/* The first command ids whose catalog rows have not been looked at yet */
typedef struct Seen
{
	CommandId	children;
	CommandId	triggers;
	CommandId	expressions;
} Seen;

static LocalTransactionId seen_lxid = InvalidLocalTransactionId;
static Seen seen;

/*
 * The value of "seen" at the start of each open subtransaction, by nesting
 * depth: what a subtransaction has looked at must be looked at again if it is
 * rolled back.  For subtransactions that began before our callback was
 * registered it is 0, so everything is looked at again.
 */
static Seen *seen_before = NULL;
static int	max_depth = 0;

static void foresee_guarded(Node *parsetree);
static bool adds_child(Node *parsetree);
static void check_children(void);
static void check_partition(Oid relid);
static void refuse_guarded(Oid relid);
pg_noreturn static void report_guarded(Oid relid);
static void refuse_child(Oid parent);

PG_FUNCTION_INFO_V1(instance_env_watch_ddl);

static void
subtransaction_event(SubXactEvent event, SubTransactionId subxact,
					 SubTransactionId parent, void *arg)
{
	int			depth = GetCurrentTransactionNestLevel();

	if (seen_lxid != ienv_lxid())
		return;
	if (event == SUBXACT_EVENT_START_SUB)
	{
		if (depth >= max_depth)
		{
			int			n = 2 * depth;

			seen_before = seen_before == NULL ?
				MemoryContextAlloc(TopMemoryContext, n * sizeof(Seen)) :
				repalloc(seen_before, n * sizeof(Seen));
			memset(&seen_before[max_depth], 0, (n - max_depth) * sizeof(Seen));
			max_depth = n;
		}
		seen_before[depth] = seen;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		if (depth < max_depth)
			seen = seen_before[depth];
		else
			memset(&seen, 0, sizeof(seen));
	}
}

/*
 * watch_ddl() RETURNS event_trigger
 *
 * Fires after CREATE and ALTER of tables, CREATE TRIGGER and CREATE SCHEMA; and
 * before ALTER TABLE.
 */
Datum
instance_env_watch_ddl(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	Node	   *parsetree;
	CommandId	now = GetCurrentCommandId(false);

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager", "watch_ddl")));
	parsetree = ((EventTriggerData *) fcinfo->context)->parsetree;
	if (strcmp(((EventTriggerData *) fcinfo->context)->event,
			   "ddl_command_start") == 0)
	{
		foresee_guarded(parsetree);
		PG_RETURN_NULL();
	}
	if (!registered)
		RegisterSubXactCallback(subtransaction_event, NULL);
	registered = true;
	if (seen_lxid != ienv_lxid())
	{
		seen_lxid = ienv_lxid();
		memset(&seen, 0, sizeof(seen));
		if (seen_before != NULL)
			memset(seen_before, 0, max_depth * sizeof(Seen));
	}

	SPI_connect();
	if (adds_child(parsetree))
	{
		check_children();
		seen.children = now;
	}
	if (ienv_sets_expression(parsetree))
		ienv_check_new_expressions(seen.expressions);
	seen.expressions = now;
	if (superuser())
		seen.triggers = now;
	else if (IsA(parsetree, CreateTrigStmt) ||
			 IsA(parsetree, CreateSchemaStmt))
	{
		ienv_check_new_triggers(seen.triggers);
		seen.triggers = now;
	}
	SPI_finish();
	PG_RETURN_NULL();
}

/*
 * Refuse at once to attach a table that has a guard of its own, because
 * PostgreSQL would only say that a trigger already exists if the partitioned
 * table is guarded, too.  The names may refer to other tables by the time they
 * are locked, so this does not replace refuse_guarded().
 */
static void
foresee_guarded(Node *parsetree)
{
	ListCell   *lc;

	if (!IsA(parsetree, AlterTableStmt))
		return;
	foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		Oid			relid;
		ListCell   *root;

		if (cmd->subtype != AT_AttachPartition)
			continue;
		relid = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name,
								 NoLock, true);

		/* what is not one's own is left to PostgreSQL to refuse */
		if (!OidIsValid(relid) || !ienv_owns_relation(relid, GetUserId()) ||
			get_rel_relkind(relid) == RELKIND_INDEX ||
			get_rel_relkind(relid) == RELKIND_PARTITIONED_INDEX)
			continue;
		foreach(root, ienv_all_roots())
		{
			Oid			guarded = ((IenvRoot *) lfirst(root))->relid;

			if (list_member_oid(find_all_inheritors(relid, NoLock, NULL),
								guarded))
				report_guarded(guarded);
		}
	}
}

/*
 * Could the statement have made a table a partition or an inheritance child?
 */
static bool
adds_child(Node *parsetree)
{
	ListCell   *lc;

	if (IsA(parsetree, CreateStmt) || IsA(parsetree, CreateForeignTableStmt))
		return ((CreateStmt *) parsetree)->inhRelations != NIL;
	if (!IsA(parsetree, AlterTableStmt))
		return IsA(parsetree, CreateSchemaStmt);
	foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
	{
		AlterTableType type = lfirst_node(AlterTableCmd, lc)->subtype;

		if (type == AT_AttachPartition || type == AT_AddInherit)
			return true;
	}
	return false;
}

/*
 * Look at the tables that have become partitions or inheritance children.
 */
static void
check_children(void)
{
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, SnapshotSelf,
										  0, NULL);
	List	   *children = NIL;
	List	   *parents = NIL;
	HeapTuple	tuple;
	ListCell   *child;
	ListCell   *parent;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_inherits form = (Form_pg_inherits) GETSTRUCT(tuple);

		if (!ienv_is_new_row(tuple) ||
			HeapTupleHeaderGetCmin(tuple->t_data) < seen.children)
			continue;
		children = lappend_oid(children, form->inhrelid);
		parents = lappend_oid(parents, form->inhparent);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	forboth(child, children, parent, parents)
	{
		char		relkind = get_rel_relkind(lfirst_oid(child));

		/* indexes have parents, too */
		if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
			continue;
		if (get_rel_relispartition(lfirst_oid(child)))
		{
			refuse_guarded(lfirst_oid(child));
			check_partition(lfirst_oid(child));
			ienv_isolate_partition(lfirst_oid(parent), lfirst_oid(child));
		}
		else
			refuse_child(lfirst_oid(parent));
	}
}

/*
 * Check what a partition that was created or attached means for its table's
 * guard.
 *
 * The statement itself has locked the partition and everything below it.  If
 * the partition brings rows along, no other session may write to the table
 * until the transaction ends: no one would count those rows together with what
 * an open transaction has inserted.  Otherwise no other partition is looked
 * at, lest two sessions that each work on one of them wait for each other;
 * partition.c takes the lock when the first row comes.
 */
static void
check_partition(Oid relid)
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
	if (has_rows)
	{
		/* as guard() does */
		LockRelationOid(root.relid, ShareRowExclusiveLock);
		(void) ienv_leaf_relations(root.relid, ShareRowExclusiveLock);
		ienv_check_rows(&root, true, relid);
	}
	if (ienv_watches_truncate(&root))
		ienv_guard_partitions(relid);
}

/*
 * Refuse a partition that has a guard of its own: there would be no telling
 * whose rows count where.
 */
static void
refuse_guarded(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(lc), AccessShareLock);
		bool		guarded = ienv_guards_itself(rel);

		relation_close(rel, NoLock);
		if (guarded)
			report_guarded(lfirst_oid(lc));
	}
}

static void
report_guarded(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("guarded table %s cannot become part of a partitioned table",
					ienv_quoted_name(relid)),
			 errhint("Call instance_env.unguard() for it, attach it, and call instance_env.guard() for the partitioned table, in one transaction.")));
}

/*
 * Refuse an inheritance child of a guarded table.
 */
static void
refuse_child(Oid parent)
{
	if (ienv_guard_of(parent) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("guarded table %s cannot have inheritance children",
						ienv_quoted_name(parent)),
				 errdetail("The user cap would not count their rows."),
				 errhint("Use a partitioned table.")));
}
