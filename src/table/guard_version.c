/*-------------------------------------------------------------------------
 *
 * guard_version.c
 *	  The version of the triggers that count a table's rows, which is part of a
 *	  bound's key.
 *
 * bound.c says what it is for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "table/table.h"

/*
 * The version of all triggers that count the rows of the table that guard
 * describes, over all partitions; 0 if they cannot be relied on to count every
 * row, including those applied by a replication worker.
 */
uint64
ienv_guard_version(const IenvGuard *guard)
{
	IenvGuard  *root = ienv_guard_of(guard->root);
	uint64		version = 0;
	ListCell   *lc;

	if (root == NULL)
		return 0;
	if (root->tree_valid)
		return root->tree_version;

	/*
	 * make an entry for every partition, so that its invalidation gets
	 * noticed
	 */
	foreach(lc, ienv_partition_tree(root->relid, AccessShareLock))
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
