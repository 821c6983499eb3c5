/*-------------------------------------------------------------------------
 *
 * guard_version.c
 *	  What a bound is of, besides a table and an instance: a version of the triggers
 *	  that count the table's rows.
 *
 * bound.c says what for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "table/table.h"

/*
 * The version of all triggers that count the rows of the table that guard is of,
 * over all partitions; 0 where not every row can be relied on to be counted, also
 * one that a replication worker applies.
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

	/* the entry of every partition is made here, so that its invalidation is heard */
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
