/*-------------------------------------------------------------------------
 *
 * key_use.c
 *	  When secret keys were last used.
 *
 * A use is recorded by the request that verifies the key, in its transaction,
 * which may last for hours, be at any isolation level, and be rolled back.
 * The record must not make anybody wait, nor fail.  So:
 *
 * - A use is a row that is inserted into a table of its own, whose index is not
 *	 unique.  No row is updated, and none is locked.  In the table api_key, a
 *	 change would also empty every backend's cache.
 * - Nothing is recorded if the latest row is less than a minute old.  That is
 *	 looked up with a dirty snapshot, which sees the rows of transactions that
 *	 have not ended, so that a transaction does not make others write more.
 *	 Two that look at the same time are kept apart by a lock on the key's hash,
 *	 which is held while one row is inserted: who does not get it at once
 *	 records nothing, because another one is about to.
 * - The older rows of a key are deleted by whoever adds another, unless
 *	 somebody else is deleting them, so that a key has one row, and rows of
 *	 transactions that have not ended.  If the transaction is rolled back, the
 *	 older rows are still there.
 * - All this is done by the access methods, with snapshots that are none of a
 *	 transaction's: a serializable transaction that reads the table depends on
 *	 none that writes it, nor does the transaction isolation level lead to an
 *	 error.  But a serializable transaction records no uses itself: to one that
 *	 otherwise only reads, and which others thus have less reason to fail for,
 *	 the row would make the difference.
 * - The table is unlogged: with synchronous replication, the commit of a
 *	 transaction that has only read must not wait for a standby because of it.
 *	 Hence a crash of the server, or a failover, empties the table.
 * - An error, as for want of memory for locks, goes to the server's log.
 *
 * A backend looks at most once a minute for each key (secret_key.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "domain/key.h"

/* Columns of secret_key_use, in the order of the install script */
#define Anum_secret_key_use_hash	1
#define Anum_secret_key_use_used_at	2

/* The use of a key */
typedef struct Use
{
	const uint8 *hash;
	TimestampTz now;
} Use;

/* How many older rows one use deletes at most */
#define MAX_DELETED		16

static void note(void *arg);
static void record(Relation uses, const uint8 *hash, TimestampTz now);
static SysScanDesc begin_scan(Relation uses, Relation *index,
							  const uint8 *hash, Snapshot snapshot);
static void end_scan(SysScanDesc scan, Relation index);
static TimestampTz used_at(Relation uses, HeapTuple row);
static void delete_uses(Relation uses, const uint8 *hash, int max);
static Oid	table_oid(void);

PG_FUNCTION_INFO_V1(instance_env_key_last_used);

/*
 * key_last_used(hash bytea) RETURNS timestamptz
 *
 * For view secret_keys; null on a standby, where the table has no rows.
 */
Datum
instance_env_key_last_used(PG_FUNCTION_ARGS)
{
	bytea	   *hash;
	Relation	uses;
	Relation	index;
	SysScanDesc scan;
	HeapTuple	row;
	TimestampTz result = 0;
	bool		found;

	if (PG_ARGISNULL(0) || RecoveryInProgress())
		PG_RETURN_NULL();
	hash = PG_GETARG_BYTEA_PP(0);
	if (VARSIZE_ANY_EXHDR(hash) != PG_SHA256_DIGEST_LENGTH)
		PG_RETURN_NULL();

	uses = table_open(table_oid(), AccessShareLock);
	scan = begin_scan(uses, &index, (uint8 *) VARDATA_ANY(hash), SnapshotSelf);
	row = systable_getnext_ordered(scan, BackwardScanDirection);
	found = row != NULL;
	if (found)
		result = used_at(uses, row);
	end_scan(scan, index);
	table_close(uses, AccessShareLock);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(result);
}

/*
 * See to it that the use of a key is on record, up to a minute.  Returns false
 * if the transaction cannot record anything, so that the next one should try.
 *
 * Never raises an error, but for those that end a statement whatever it does.
 * Locks the table of uses in ROW EXCLUSIVE mode until the transaction ends.
 */
bool
ienv_note_key_use(const uint8 *hash, TimestampTz now)
{
	Use			use = {hash, now};
	ErrorData  *error;

	if (XactReadOnly || IsolationIsSerializable() || RecoveryInProgress() ||
		IsInParallelMode())
		return false;
	error = ienv_attempt(note, &use, true);
	if (error == NULL)
		return true;

	/* the caller's statement is cancelled, or the server shuts down */
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
		ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("could not record the use of a secret key: %s",
					error->message)));
	FreeErrorData(error);
	return true;
}

/*
 * Record a Use, unless one has been recorded within the minute or is about to
 * be.
 */
static void
note(void *arg)
{
	const uint8 *hash = ((Use *) arg)->hash;
	TimestampTz now = ((Use *) arg)->now;
	Oid			relid = table_oid();
	SnapshotData dirty;
	Relation	uses;
	Relation	index;
	SysScanDesc scan;
	HeapTuple	row;
	TimestampTz latest = IENV_NOT_USED;
	LOCKTAG		tag;

	/* as during VACUUM FULL */
	if (!OidIsValid(relid) ||
		!ConditionalLockRelationOid(relid, RowExclusiveLock))
		return;
	uses = table_open(relid, NoLock);

	/* the lock on the key: no object of the table has a number of this kind */
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, relid,
					   hash_bytes(hash, PG_SHA256_DIGEST_LENGTH),
					   1);
	if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
	{
		InitDirtySnapshot(dirty);
		scan = begin_scan(uses, &index, hash, &dirty);
		row = systable_getnext_ordered(scan, BackwardScanDirection);
		if (row != NULL)
			latest = used_at(uses, row);
		end_scan(scan, index);

		if (ienv_use_is_due(latest, now))
			record(uses, hash, now);
		LockRelease(&tag, ExclusiveLock, false);
	}
	table_close(uses, NoLock);
}

/*
 * Insert a row and delete those that it replaces.  The row is inserted as into
 * a catalog, as departure_record.c does.
 */
static void
record(Relation uses, const uint8 *hash, TimestampTz now)
{
	Datum		values[2] = {ienv_hash_datum(hash), TimestampTzGetDatum(now)};
	bool		nulls[2] = {false};
	HeapTuple	row = heap_form_tuple(RelationGetDescr(uses), values, nulls);

	CatalogTupleInsert(uses, row);
	heap_freetuple(row);
	delete_uses(uses, hash, MAX_DELETED);
}

/*
 * Delete the committed rows of a key and those of earlier commands of this
 * transaction, up to "max", but none that another transaction is deleting.
 */
static void
delete_uses(Relation uses, const uint8 *hash, int max)
{
	CommandId	command = GetCurrentCommandId(true);
	Relation	index;
	SysScanDesc scan = begin_scan(uses, &index, hash, SnapshotSelf);
	HeapTuple	row;

	while (max > 0 &&
		   (row = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		TM_FailureData failure;

		if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row->t_data)) &&
			HeapTupleHeaderGetCmin(row->t_data) >= command)
			continue;
		if (table_tuple_delete(uses, &row->t_self, command, InvalidSnapshot,
							   InvalidSnapshot, false, &failure,
							   false) == TM_Ok)
			max--;
	}
	end_scan(scan, index);
}

/*
 * Delete the records of a key that is about to be deleted itself.  One that is
 * made at the same time remains, and does no harm.
 */
void
ienv_forget_key_uses(Datum hash)
{
	Relation	uses = table_open(table_oid(), RowExclusiveLock);

	delete_uses(uses, (uint8 *) VARDATA_ANY(DatumGetByteaPP(hash)), INT_MAX);
	table_close(uses, NoLock);
}

/*
 * Scan the rows of a key in the order of time.  The caller has locked the
 * table.
 */
static SysScanDesc
begin_scan(Relation uses, Relation *index, const uint8 *hash,
		   Snapshot snapshot)
{
	ScanKeyData key;

	*index = index_open(get_relname_relid("secret_key_use_latest",
										  ienv_oids()->schema),
						AccessShareLock);
	ScanKeyInit(&key, Anum_secret_key_use_hash, BTEqualStrategyNumber,
				F_BYTEAEQ, ienv_hash_datum(hash));
	return systable_beginscan_ordered(uses, *index, snapshot, 1, &key);
}

static void
end_scan(SysScanDesc scan, Relation index)
{
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
}

static TimestampTz
used_at(Relation uses, HeapTuple row)
{
	bool		isnull;

	return DatumGetTimestampTz(heap_getattr(row, Anum_secret_key_use_used_at,
											RelationGetDescr(uses), &isnull));
}

static Oid
table_oid(void)
{
	return get_relname_relid("secret_key_use", ienv_oids()->schema);
}
