/*-------------------------------------------------------------------------
 *
 * trigger_row.c
 *	  The pg_trigger rows of a guard's triggers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_database.h"
#include "catalog/pg_trigger.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "table/table.h"

/*
 * Where a catalog row is stored.  Has no padding, because it is hashed as
 * bytes.
 */
typedef struct RowPlace
{
	uint32		file;
	TransactionId xmin;
	uint32		block;
	uint32		offset;
} RowPlace;

static void set_place(RowPlace *place, Oid catalog, HeapTuple tuple);

/*
 * A copy of a trigger's pg_trigger row; NULL if it is gone.
 */
HeapTuple
ienv_read_trigger(Oid trigger)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = heap_copytuple(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tuple;
}

/*
 * A number that changes whenever the trigger may have been disabled meanwhile,
 * and never recurs while the server runs: a hash of the trigger's OID, the xid
 * that wrote its pg_trigger row, and the row's location.  The location
 * includes the file, which VACUUM FULL replaces, and the database, which may
 * have been re-created with the same OID, from the same files.
 *
 * (Within one file a location becomes free for another row only after the
 * transaction that vacated it has ended.)
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
	return hash_bytes_extended((const unsigned char *) &origin, sizeof(origin),
							   0);
}

/*
 * Where a catalog row is stored, and which xid wrote it.
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
