/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  The partitions of a guarded table, whose rows count together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "common/hashfn.h"
#include "utils/lsyscache.h"

#include "guard.h"
#include "instance_env.h"

static List *tree_of(Oid relid, LOCKMODE lockmode);

/*
 * The version of all triggers that count the rows of the table that guard is of,
 * over all partitions; 0 where not every row can be relied on to be counted, also
 * one that a replication worker applies.
 */
uint64
ienv_guard_version(const IenvGuard *guard)
{
	IenvGuard  *root = guard->root == guard->relid ? (IenvGuard *) guard : ienv_guard_of(guard->root);
	uint64		version = 0;
	ListCell   *lc;

	if (root == NULL)
		return 0;
	if (root->tree_valid)
		return root->tree_version;

	/* the entry of every partition is made here, so that its invalidation is heard */
	foreach(lc, tree_of(root->relid, AccessShareLock))
		(void) ienv_guard_of(lfirst_oid(lc));
	foreach(lc, ienv_leaf_relations(root->relid, AccessShareLock))
	{
		IenvGuard  *leaf = ienv_guard_of(lfirst_oid(lc));

		if (leaf == NULL || leaf->version == 0)
		{
			version = 0;
			break;
		}
		version = hash_combine64(version, leaf->version);
	}
	root->tree_version = version;
	root->tree_valid = true;
	return version;
}

/*
 * A table with all its partitions, these locked in lockmode.
 *
 * One that is being detached concurrently is a partition until that is done, whatever
 * the snapshot says: there may be transactions that see it as such, and all must count
 * the same rows.
 */
static List *
tree_of(Oid relid, LOCKMODE lockmode)
{
	List	   *tree;
	ListCell   *lc;
	uint64		since;

	/* while we wait for a lock, the partition may be detached */
	do
	{
		since = ienv_news_time();
		tree = list_make1_oid(relid);
		foreach(lc, tree)
			tree = list_concat(tree, find_inheritance_children_extended(lfirst_oid(lc), false, lockmode, NULL, NULL));
	} while (ienv_news_time() > since);
	return tree;
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

	all = tree_of(relid, lockmode);
	foreach(lc, all)
	{
		Oid			leaf = lfirst_oid(lc);
		char		relkind = get_rel_relkind(leaf);

		/* guard() gives no triggers to a partition that was already on its way out */
		if (leaf != relid && ienv_guard_of(leaf) == NULL && PartitionHasPendingDetach(leaf))
			continue;
		if (relkind == RELKIND_RELATION)
			leaves = lappend_oid(leaves, leaf);
		else if (relkind != RELKIND_PARTITIONED_TABLE)
		{
			const IenvGuard *guard = ienv_guard_of(relid);

			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("partition %s of guarded table %s is not an ordinary table",
							ienv_quoted_name(leaf), ienv_quoted_name(guard != NULL ? guard->root : relid)),
					 errhint("Detach the partition, or call instance_env.unguard().")));
		}
	}
	list_free(all);
	return leaves;
}
