/*-------------------------------------------------------------------------
 *
 * departure_record.c
 *	  Which instance a departed user belonged to.
 *
 * Each arrival requires a look-up of the user's identity in
 * instance_env.departed_user, which rarely finds anything.  Two shortcuts
 * avoid the index scan, by means of a count, in shared memory, of the records
 * made in this database.  The count is incremented after each record is in the
 * table, hence before the record is committed, including (by a trigger)
 * records that come from a restore or by replication.  A backend that has read
 * first the count, then the table, knows everything that was recorded up to
 * that count; and as long as the count is the same, nothing has been added.
 * What the backend remembers is either that the table is empty, or a Bloom
 * filter of the identities.
 *
 * The arriving row is in the heap before the count is read.  If a departure is
 * recorded after that, the user departs after the arrival, in which case the
 * unique index on the key has refused the arrival, or the look at the live
 * rows will (transfer.c).
 *
 * Without shared memory, or if there are more databases than it has room for,
 * a backend checks whether the table's file is empty and, if it is not,
 * searches the index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "table/table.h"
#include "transfer/transfer.h"

/* Columns of departed_user, in the order of the install script */
#define Anum_departed_user_identity	1
#define Anum_departed_user_instance	2

/*
 * The filter's size: with 16 bits and 4 probes per identity, the false
 * positive rate is about 1 in 370.  At that rate, one megabyte is enough for
 * half a million departed users; with more, the rate rises.  All probes of an
 * identity go to one block, the size of a cache line.
 */
#define BITS_PER_IDENTITY	16
#define PROBES				4
#define BLOCK_BITS			512
#define MIN_FILTER_BITS		(UINT64CONST(1) << 16)
#define MAX_FILTER_BITS		(UINT64CONST(1) << 23)

/*
 * Building the filter costs about 1/16 of an index scan per record.
 */
#define RECORDS_PER_SCAN	16
#define MIN_SCANS			64

/* What this backend knows, as of a count of records */
static Oid	known_of = InvalidOid;	/* the table */
static bool empty_known = false;
static uint64 empty_as_of;
static bool nonempty_known = false;
static uint64 *filter = NULL;	/* NULL: none yet */
static bool filter_valid = false;
static uint64 filter_bits;
static uint64 filter_as_of;
static uint64 filter_records = 0;	/* when it was last built */
static uint64 scans_since = 0;	/* index scans without the filter */

static void build_filter(uint64 as_of);
static void count_record(const pg_uuid_t *identity);
static void filter_add(const pg_uuid_t *identity);
static bool filter_has(const pg_uuid_t *identity);

PG_FUNCTION_INFO_V1(instance_env_departure_recorded);
PG_FUNCTION_INFO_V1(instance_env_forget_departed);

/*
 * departure_recorded() RETURNS trigger
 *
 * AFTER INSERT row trigger of departed_user, for records that come by SQL.
 */
Datum
instance_env_departure_recorded(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "departure_recorded",
											   TRIGGER_EVENT_INSERT |
											   TRIGGER_EVENT_ROW |
											   TRIGGER_EVENT_AFTER);
	bool		isnull;
	Datum		identity = heap_getattr(trigdata->tg_trigtuple,
										Anum_departed_user_identity,
										RelationGetDescr(trigdata->tg_relation), &isnull);

	count_record(DatumGetUUIDP(identity));
	return PointerGetDatum(NULL);
}

/*
 * Let every backend know that a record has been inserted into the table.
 */
static void
count_record(const pg_uuid_t *identity)
{
	pg_atomic_uint64 *recorded = ienv_shared_departures();
	uint64		before;

	if (recorded == NULL)
		return;
	before = pg_atomic_fetch_add_u64(recorded, 1);

	/*
	 * if no other backend came in between, our filter need not be rebuilt
	 */
	if (filter_valid && filter_as_of == before)
	{
		filter_add(identity);
		filter_as_of = before + 1;
	}
}

/*
 * Forget what is known, because the table itself or its trigger has changed,
 * or the table is a different one.  Also called by oids.c when the registry
 * has changed.
 */
static void
forget(void)
{
	empty_known = false;
	nonempty_known = false;
	filter_valid = false;
}

/*
 * Relcache callback.
 */
static void
relation_invalidated(Oid relid)
{
	if (!OidIsValid(relid) || relid == known_of)
		forget();
}

/*
 * Open table departed_user; what becomes known from now on concerns this
 * relation.
 */
static Relation
open_departed(void)
{
	static bool registered = false;
	Oid			relid = ienv_oids()->departed_user;

	if (!registered)
	{
		ienv_on_invalidation(relation_invalidated);
		ienv_on_registry_change(forget);
		registered = true;
	}
	known_of = relid;
	return table_open(relid, AccessShareLock);
}

/*
 * Has nobody departed at all?  To be called after a user's new row is in the
 * heap and its indexes.
 */
bool
ienv_nobody_departed(void)
{
	pg_atomic_uint64 *recorded = ienv_shared_departures();
	uint64		as_of = recorded ? pg_atomic_read_u64(recorded) : 0;
	Relation	rel;
	bool		empty;

	/* it does not become empty again without an invalidation */
	if (nonempty_known)
		return false;
	if (recorded != NULL && empty_known && empty_as_of == as_of)
		return true;

	/* the count is read before the table */
	pg_memory_barrier();
	rel = open_departed();
	empty = RelationGetNumberOfBlocks(rel) == 0;
	table_close(rel, AccessShareLock);

	/* on a standby, records come in without the trigger */
	empty_known = empty && recorded != NULL && !RecoveryInProgress();
	empty_as_of = as_of;
	nonempty_known = !empty && !RecoveryInProgress();
	return empty;
}

/*
 * Might this user have departed?  To be called like ienv_nobody_departed(),
 * but can return false positives.
 */
bool
ienv_maybe_departed(const pg_uuid_t *identity)
{
	pg_atomic_uint64 *recorded = ienv_shared_departures();
	uint64		as_of;

	if (recorded == NULL || RecoveryInProgress())
		return true;
	as_of = pg_atomic_read_u64(recorded);
	if (!filter_valid || filter_as_of != as_of)
	{
		/*
		 * a new filter is worth its cost only after that many scans without
		 * one
		 */
		if (++scans_since < MIN_SCANS + filter_records / RECORDS_PER_SCAN)
			return true;
		pg_memory_barrier();
		build_filter(as_of);
	}
	return filter_has(identity);
}

/*
 * Read all identities into a new filter, including those of uncommitted
 * departures.
 */
static void
build_filter(uint64 as_of)
{
	Relation	rel = open_departed();
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan;
	uint64		wanted;

	/* 92 bytes per record, estimating how many there may be */
	wanted = (uint64) RelationGetNumberOfBlocks(rel) * (BLCKSZ / 92) *
		BITS_PER_IDENTITY;
	wanted =
		pg_nextpower2_64(Min(Max(wanted, MIN_FILTER_BITS), MAX_FILTER_BITS));
	filter_valid = false;
	if (filter != NULL && wanted != filter_bits)
	{
		pfree(filter);
		filter = NULL;
	}
	if (filter == NULL)
		filter = MemoryContextAlloc(CacheMemoryContext,
									wanted / BITS_PER_BYTE);
	filter_bits = wanted;
	memset(filter, 0, filter_bits / BITS_PER_BYTE);
	filter_records = 0;

	scan = table_beginscan_strat(rel, SnapshotAny, 0, NULL, true, false);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		filter_add(DatumGetUUIDP(slot_getattr(slot,
											  Anum_departed_user_identity,
											  &isnull)));
		filter_records++;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	filter_as_of = as_of;
	filter_valid = true;
	scans_since = 0;
}

/*
 * The block of the filter that identity belongs to; *probes is set to 9 bits
 * for each position in it.
 */
static inline uint64 *
filter_block(const pg_uuid_t *identity, uint64 *probes)
{
	uint64		hash[2];

	memcpy(hash, identity, sizeof(hash));
	*probes = hash[1];
	return filter + (hash[0] & (filter_bits / BLOCK_BITS - 1)) *
		(BLOCK_BITS / 64);
}

static void
filter_add(const pg_uuid_t *identity)
{
	uint64		probes;
	uint64	   *block = filter_block(identity, &probes);

	for (int i = 0; i < PROBES; i++, probes >>= 9)
		block[probes % BLOCK_BITS / 64] |= UINT64CONST(1) << (probes % 64);
}

static bool
filter_has(const pg_uuid_t *identity)
{
	uint64		probes;
	uint64	   *block = filter_block(identity, &probes);

	for (int i = 0; i < PROBES; i++, probes >>= 9)
		if (!(block[probes % BLOCK_BITS / 64] &
			  (UINT64CONST(1) << (probes % 64))))
			return false;
	return true;
}

/*
 * Is it on record, as of snapshot, that this user belonged to another
 * instance?
 *
 * snapshot is registered, and was taken after the user's new row came into the
 * heap.  The record is classified in the same manner as any other row version
 * (see row_version.c), so that a SERIALIZABLE transaction does not conflict
 * with all deletes by others.
 */
bool
ienv_departed_elsewhere(const pg_uuid_t *identity, const pg_uuid_t *instance,
						Snapshot snapshot)
{
	const AttrNumber attno = Anum_departed_user_identity;
	const IenvOids *oids = ienv_oids();
	Relation	rel = table_open(oids->departed_user, AccessShareLock);
	Datum		value = UUIDPGetDatum(identity);
	bool		found = false;
	IenvScan	scan;

	ienv_scan_begin(&scan, rel, oids->departed_user_identity, 1, &attno,
					&value);
	while (!found && ienv_scan_next(&scan))
	{
		bool		isnull;
		pg_uuid_t  *home = DatumGetUUIDP(slot_getattr(scan.slot,
													  Anum_departed_user_instance, &isnull));
		IenvVersion version;

		if (memcmp(home, instance, UUID_LEN) == 0)
			continue;
		ienv_classify(&scan, snapshot, &version);
		found = (version.inserted == IENV_MINE ||
				 version.inserted == IENV_BEFORE) &&
			version.ended != IENV_MINE && version.ended != IENV_BEFORE;
	}
	ienv_scan_end(&scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Record that this user belonged to instance.
 *
 * The row is inserted as into a catalog: the table is the extension's own, and
 * has plain indexes and no constraints except NOT NULL; and an SPI statement
 * would cost ten times as much for each row of what may be a large DELETE.
 */
void
ienv_record_departure(const pg_uuid_t *identity, const pg_uuid_t *instance)
{
	Relation	rel = table_open(ienv_oids()->departed_user, RowExclusiveLock);
	Datum		values[3] = {
		UUIDPGetDatum(identity),
		UUIDPGetDatum(instance),
		TimestampTzGetDatum(GetCurrentTransactionStartTimestamp())
	};
	bool		nulls[3] = {false};
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);

	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	count_record(identity);
}

/*
 * forget_departed(before timestamptz) RETURNS bigint
 *
 * Deletes the records of users who departed before a given time, and returns
 * how many there were.
 */
Datum
instance_env_forget_departed(PG_FUNCTION_ARGS)
{
	Oid			type = TIMESTAMPTZOID;
	Datum		value;
	uint64		forgotten;

	ienv_require_argument(fcinfo, 0, "before");
	value = PG_GETARG_DATUM(0);
	SPI_connect();
	if (SPI_execute_with_args("DELETE FROM instance_env.departed_user"
							  " WHERE departed_at OPERATOR(pg_catalog.<) $1",
							  1, &type, &value, NULL, false, 0) !=
		SPI_OK_DELETE)
		elog(ERROR, "could not forget departed users");
	forgotten = SPI_processed;
	if (forgotten > 0)
	{
		char	   *event =
		psprintf("{\"before\": \"%s\", \"forgotten\": " UINT64_FORMAT "}",
				 JsonEncodeDateTime(NULL, value, TIMESTAMPTZOID, NULL),
				 forgotten);

		ienv_record_event("forget_departed", NULL, NULL, NULL, 0,
						  ienv_jsonb(event));
	}
	SPI_finish();
	PG_RETURN_INT64((int64) forgotten);
}
