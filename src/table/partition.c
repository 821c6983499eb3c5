/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  The partitions of a guarded table, whose rows count together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/news.h"
#include "table/table.h"

static List *partitions_of(Oid relid, LOCKMODE lockmode);
static bool is_leaving(Oid relid);

/*
 * A table with all its partitions, the latter locked in lockmode.
 *
 * A partition that is being detached concurrently is included until that is
 * done, whatever the snapshot says: there may be transactions that still see
 * it as a partition, and all must count the same rows.
 */
List *
ienv_partition_tree(Oid relid, LOCKMODE lockmode)
{
	List	   *tree = NIL;
	List	   *before;
	ListCell   *lc;
	uint64		since;

	/*
	 * a partition may be detached while we wait for its lock, but not
	 * afterwards
	 */
	do
	{
		since = ienv_news_time();
		before = tree;
		tree = list_make1_oid(relid);
		foreach(lc, tree)
			tree = list_concat(tree, partitions_of(lfirst_oid(lc), lockmode));
	} while (ienv_news_time() > since && !equal(tree, before));
	return tree;
}

/*
 * The direct partitions of one table, without those that guard() has left out
 * because they were already being detached.
 */
static List *
partitions_of(Oid relid, LOCKMODE lockmode)
{
	bool		leaving = false;
	List	   *partitions = find_inheritance_children_extended(relid, false,
																lockmode,
																&leaving,
																NULL);
	ListCell   *lc;

	if (leaving)
		foreach(lc, partitions)
			if (ienv_guard_of(lfirst_oid(lc)) == NULL &&
				is_leaving(lfirst_oid(lc)))
			partitions = foreach_delete_current(partitions, lc);
	return partitions;
}

/*
 * Is this partition being detached concurrently?  PartitionHasPendingDetach()
 * would raise an error if that has completed.
 */
static bool
is_leaving(Oid relid)
{
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);
	bool		leaving = false;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, NULL, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		leaving = ((Form_pg_inherits) GETSTRUCT(tuple))->inhdetachpending;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return leaving;
}

/*
 * The ordinary tables that hold the rows of relid, locked in lockmode: relid
 * itself, or its partitions.
 */
List *
ienv_leaf_relations(Oid relid, LOCKMODE lockmode)
{
	List	   *leaves = NIL;
	List	   *all;
	ListCell   *lc;

	if (get_rel_relkind(relid) == RELKIND_RELATION)
		return list_make1_oid(relid);

	all = ienv_partition_tree(relid, lockmode);
	foreach(lc, all)
	{
		Oid			leaf = lfirst_oid(lc);
		char		relkind = get_rel_relkind(leaf);

		if (relkind == RELKIND_RELATION)
			leaves = lappend_oid(leaves, leaf);
		else if (relkind != RELKIND_PARTITIONED_TABLE)
		{
			const IenvGuard *guard = ienv_guard_of(relid);

			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("partition %s of guarded table %s is not an ordinary table",
							ienv_quoted_name(leaf),
							ienv_quoted_name(guard != NULL ? guard->root :
											 relid)),
					 errhint("Detach the partition, or call instance_env.unguard().")));
		}
	}
	list_free(all);
	return leaves;
}

/*
 * The partitioned table that a table is a partition of, or the table itself.
 */
Oid
ienv_root_of(Oid relid)
{
	List	   *ancestors = get_rel_relispartition(relid) ?
	get_partition_ancestors(relid) : NIL;

	return ancestors == NIL ? relid : llast_oid(ancestors);
}

/*
 * The guarded table that this transaction has locked below, unless a
 * subtransaction has been rolled back since
 */
static LocalTransactionId locked_lxid = InvalidLocalTransactionId;
static Oid	locked_root = InvalidOid;

static void
subtransaction_ends(SubXactEvent event, SubTransactionId subxact,
					SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		locked_root = InvalidOid;
}

/*
 * Called when a row has been inserted into a partition that my transaction has
 * created or attached.  Other transactions do not see that partition before I
 * commit, so they would not count the row or find its key.  So keep them from
 * writing to the table until then, and see what they have written.
 */
void
ienv_lock_beside_new_partition(const IenvGuard *guard)
{
	static bool registered = false;

	if (likely(guard->root == guard->relid ||
			   !TransactionIdIsCurrentTransactionId(guard->made_by)) ||
		(locked_lxid == ienv_lxid() && locked_root == guard->root))
		return;
	if (!registered)
		RegisterSubXactCallback(subtransaction_ends, NULL);
	registered = true;

	/* as guard() does */
	LockRelationOid(guard->root, ShareRowExclusiveLock);
	(void) ienv_leaf_relations(guard->root, ShareRowExclusiveLock);
	locked_lxid = ienv_lxid();
	locked_root = guard->root;
}
