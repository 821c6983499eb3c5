/*-------------------------------------------------------------------------
 *
 * departure.c
 *	  Recording that a user leaves an instance.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "registry/registry.h"
#include "table/table.h"
#include "transfer/transfer.h"

/*
 * How many departures a transaction has queued whose triggers have not fired,
 * so that they are not yet in departed_user.  The count may include some that
 * never will be, because their subtransaction was rolled back, and some that
 * were changes of a key.  If it is too high, arrivals are examined more
 * closely than necessary; if it were too low, a user could move.
 */
static LocalTransactionId queued_lxid = InvalidLocalTransactionId;
int64		ienv_departures_queued = 0;

static pg_uuid_t nowhere(Datum value);

/*
 * What ienv_departure_queued() returns, if some transaction has queued one.
 */
bool
ienv_departure_queued_now(void)
{
	return queued_lxid == ienv_lxid();
}

/*
 * Count one more, when the condition of its trigger has been met; once the
 * trigger has fired, one less.
 */
void
ienv_queue_departure(void)
{
	if (queued_lxid != ienv_lxid())
		ienv_departures_queued = 0;
	queued_lxid = ienv_lxid();
	ienv_departures_queued++;
}

void
ienv_unqueue_departure(void)
{
	if (ienv_departure_queued())
		ienv_departures_queued--;
}

/*
 * Record that the user with this key leaves the instance that value
 * identifies, unless the table's departures are not recorded.
 */
void
ienv_depart(IenvGuard *guard, Datum value, const Datum *key)
{
	IenvInstance *instance = ienv_instance_by_value(value, guard->is_uuid,
													false);
	pg_uuid_t	identity;
	pg_uuid_t	home;

	if (!guard->departures)
		return;

	/*
	 * a dropped instance is never equal to another, even one that reuses its
	 * names
	 */
	if (instance != NULL)
		home = instance->id;
	else if (!guard->is_uuid && ienv_rename_from(value) != NULL)
		home = ienv_rename_from(value)->instance;
	else if (guard->is_uuid)
		home = *DatumGetUUIDP(value);
	else
		home = nowhere(value);
	if (ienv_identity_of(guard, key, &identity))
		ienv_record_departure(&identity, &home);
}

/*
 * An id that no instance has, for an external key that does not name an
 * instance.
 */
static pg_uuid_t
nowhere(Datum value)
{
	text	   *key = DatumGetTextPP(value);
	uint64		hash[2];
	pg_uuid_t	id;

	for (int i = 0; i < 2; i++)
		hash[i] = hash_bytes_extended((const unsigned char *) VARDATA_ANY(key),
									  VARSIZE_ANY_EXHDR(key), i);
	memcpy(id.data, hash, UUID_LEN);
	return id;
}

/*
 * Record that every user in the table leaves.
 *
 * TRUNCATE removes all rows that are committed or our own, whatever the
 * transaction's snapshot sees, and holds a lock that prevents concurrent
 * writes.
 */
void
ienv_depart_all(IenvGuard *guard)
{
	Relation	rel = table_open(guard->relid, NoLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan_strat(rel, snapshot, 0, NULL, true,
											   false);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "instance_env truncate",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row_context);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		HeapTuple	row = ExecFetchSlotHeapTuple(slot, false, NULL);
		Datum		key[IENV_MAX_KEY_COLUMNS];
		bool		isnull;
		Datum		value = ienv_row_instance(guard, row,
											  RelationGetDescr(rel), &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull &&
			ienv_row_key(guard, row, RelationGetDescr(rel), key))
			ienv_depart(guard, value, key);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row_context);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
}
