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

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_database.h"
#include "catalog/pg_trigger.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/syscache.h"

#include "guard.h"
#include "instance_env.h"

/* Where a row of a catalog lies.  Has no padding: it is hashed as bytes. */
typedef struct RowPlace
{
	uint32		file;
	TransactionId xmin;
	uint32		block;
	uint32		offset;
} RowPlace;

static void set_place(RowPlace *place, Oid catalog, HeapTuple tuple);

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

/*
 * A number that changes whenever the trigger may have been disabled meanwhile, and never
 * comes again while the server runs: a hash of which trigger it is, who wrote its row in
 * pg_trigger and where.  Where includes the file, which VACUUM FULL makes anew, and the
 * database, which may have been made anew under the same OID, from the same files.
 *
 * (Within one file a place is free for another row only when the transaction that left it
 * has ended.)
 */
uint64
ienv_trigger_version(Oid trigger)
{
	HeapTuple	tuple = ienv_read_trigger(trigger);
	struct
	{
		RowPlace	database;
		RowPlace	row;
		Oid			trigger;
	}			origin;

	if (!HeapTupleIsValid(tuple))
		return 0;
	memset(&origin, 0, sizeof(origin));
	origin.trigger = trigger;
	set_place(&origin.row, TriggerRelationId, tuple);
	heap_freetuple(tuple);

	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	if (!HeapTupleIsValid(tuple))
		return 0;
	set_place(&origin.database, DatabaseRelationId, tuple);
	ReleaseSysCache(tuple);
	return hash_bytes_extended((const unsigned char *) &origin, sizeof(origin), 0);
}

/*
 * Where a row of a catalog lies, and who wrote it.
 */
static void
set_place(RowPlace *place, Oid catalog, HeapTuple tuple)
{
	Relation	rel = table_open(catalog, AccessShareLock);

	place->file = ienv_file_number(rel);
	table_close(rel, AccessShareLock);
	place->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
	place->block = ItemPointerGetBlockNumber(&tuple->t_self);
	place->offset = ItemPointerGetOffsetNumber(&tuple->t_self);
}

/*
 * The transaction id that wrote the trigger's row.
 */
TransactionId
ienv_trigger_writer(Oid trigger)
{
	HeapTuple	tuple = ienv_read_trigger(trigger);
	TransactionId xid;

	if (!HeapTupleIsValid(tuple))
		return InvalidTransactionId;
	xid = HeapTupleHeaderGetRawXmin(tuple->t_data);
	heap_freetuple(tuple);
	return xid;
}
