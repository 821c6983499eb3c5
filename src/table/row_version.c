/*-------------------------------------------------------------------------
 *
 * row_version.c
 *	  Classifying the versions of rows with a given value, which row_scan.c
 *	  finds, relative to a snapshot.
 *
 * To enforce a constraint over many rows at every isolation level, one can
 * count neither what an MVCC snapshot sees (it does not see the inserts of
 * open transactions) nor what SnapshotDirty sees: a scan with SnapshotDirty
 * may encounter both versions of a row that is being updated, or neither.  So
 * the scan here returns every version that is not dead to all, and each
 * version is classified relative to one registered MVCC snapshot S that was
 * taken before the scan began:
 *
 * - A version that S sees was in the table, and in the index, when the scan
 *	 began, and it stays there: it cannot be removed while S is registered.  An
 *	 index scan returns every entry that was there when it began.  So the scan
 *	 misses no version that S sees.
 * - S sees at most one version of a row, so counting relative to S counts no
 *	 row twice.
 *
 * The scan uses SnapshotNonVacuumable, which allows it to kill index entries
 * that are dead to all on the way.  It takes no predicate locks: those are for
 * reads whose result the application sees.
 *
 * A version that has been deleted, updated or locked is classified with its
 * buffer share-locked, because xmax, infomask and ctid must be read
 * consistently.
 *
 * A scan that only counts need not visit pages that are all-visible according
 * to the visibility map, as in an index-only scan: on such a page, an index
 * entry leads to one row that was committed before S and was not deleted when
 * the bit was read.  (S is registered, so nothing that it sees can be vacuumed
 * away and the bit set again; and because the index scan does not use an MVCC
 * snapshot such as S, it keeps its leaf page pinned, so that no line pointer
 * it has read is reused.)  A concurrent delete may go unnoticed, just as if it
 * came right after the visit.
 *
 * COPY FREEZE marks rows as frozen, and their pages as all-visible, before
 * they are even committed.  It does so only in a table whose file was created
 * by the same transaction.  So in such a table a frozen row with one of my
 * transaction ids is mine, and the visibility map is not consulted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/subtrans.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "table/table.h"

static bool on_visible_page(IenvScan *scan, BlockNumber block);
static bool judge_in_place(IenvScan *scan, OffsetNumber offset,
						   Snapshot snapshot, IenvVersion *version);
static bool judge_at_a_glance(HeapTupleHeader tuple, Snapshot snapshot,
							  IenvVersion *version);
static IenvFate fate_of(TransactionId xid, Snapshot snapshot);

/*
 * Like ienv_scan_next(), for counting: classify the next version relative to
 * snapshot; the slot need not be filled.
 */
bool
ienv_scan_count(IenvScan *scan, Snapshot snapshot, IenvVersion *version)
{
	while (scan->index_scan)
	{
		/* a HOT chain can have several versions for one entry */
		if (!scan->index_scan->xs_heap_continue)
		{
			ItemPointer tid = index_getnext_tid(scan->index_scan,
												ForwardScanDirection);

			if (tid == NULL)
				return false;
			if (on_visible_page(scan, ItemPointerGetBlockNumber(tid)))
			{
				memset(version, 0, sizeof(*version));
				version->inserted = IENV_BEFORE;
				return true;
			}
			if (judge_in_place(scan, ItemPointerGetOffsetNumber(tid), snapshot,
							   version))
				return true;
		}
		if (index_fetch_heap(scan->index_scan, scan->slot))
			break;
	}
	if (scan->index_scan == NULL && !ienv_scan_next(scan))
		return false;
	ienv_classify(scan, snapshot, version);
	return true;
}

/*
 * Is the page all-visible?  If not, it is pinned as scan->buffer.
 *
 * The visibility map is consulted only once for consecutive entries that lead
 * to the same page, unless the page was all-visible: then it must be consulted
 * again, for the sake of an entry that has been inserted since.
 *
 * While a page is pinned, no tuple on it is moved and no line pointer in use
 * changes, because pruning requires that nobody else has the page pinned.
 * Pruning may have begun before we pinned the page, so we lock the page once
 * to wait for its end.
 */
static bool
on_visible_page(IenvScan *scan, BlockNumber block)
{
	if (BufferIsValid(scan->buffer) &&
		BufferGetBlockNumber(scan->buffer) == block)
		return false;
	if (!scan->own_file &&
		VM_ALL_VISIBLE(scan->heap, block, &scan->visibility))
		return true;
	scan->buffer = ReleaseAndReadBuffer(scan->buffer, scan->heap, block);
	LockBuffer(scan->buffer, BUFFER_LOCK_SHARE);
	LockBuffer(scan->buffer, BUFFER_LOCK_UNLOCK);
	return false;
}

/*
 * Classify the version at this offset of scan->buffer, if that is possible
 * without a lock.
 */
static bool
judge_in_place(IenvScan *scan, OffsetNumber offset, Snapshot snapshot,
			   IenvVersion *version)
{
	Page		page = BufferGetPage(scan->buffer);
	HeapTupleHeader tuple;
	ItemId		item;

	if (offset > PageGetMaxOffsetNumber(page))
		return false;
	item = PageGetItemId(page, offset);
	if (!ItemIdIsNormal(item))
		return false;

	/* there may be other versions in its HOT chain */
	tuple = (HeapTupleHeader) PageGetItem(page, item);
	return !HeapTupleHeaderIsHotUpdated(tuple) &&
		judge_at_a_glance(tuple, snapshot, version);
}

/*
 * Classify the version in scan->slot, as ienv_scan_next() left it, relative to
 * snapshot, a registered MVCC snapshot.
 */
void
ienv_classify(const IenvScan *scan, Snapshot snapshot, IenvVersion *version)
{
	BufferHeapTupleTableSlot *bslot = (BufferHeapTupleTableSlot *) scan->slot;
	HeapTupleHeader tuple;
	TransactionId xmax = InvalidTransactionId;

	Assert(TTS_IS_BUFFERTUPLE(scan->slot));
	tuple = bslot->base.tuple->t_data;
	if (judge_at_a_glance(tuple, snapshot, version))
		return;

	LockBuffer(bslot->buffer, BUFFER_LOCK_SHARE);
	version->replacement = (tuple->t_infomask & HEAP_UPDATED) != 0;
	version->xmin = HeapTupleHeaderGetRawXmin(tuple);
	if (HeapTupleHeaderXminFrozen(tuple))
		version->inserted = scan->own_file &&
			TransactionIdIsCurrentTransactionId(version->xmin) ?
			IENV_MINE : IENV_BEFORE;
	else if (HeapTupleHeaderXminInvalid(tuple))
		version->inserted = IENV_NEVER;
	else if (HeapTupleHeaderXminCommitted(tuple))
		version->inserted = XidInMVCCSnapshot(version->xmin, snapshot) ?
			IENV_SINCE : IENV_BEFORE;
	else
		version->inserted = fate_of(version->xmin, snapshot);

	if (!(tuple->t_infomask & HEAP_XMAX_INVALID) &&
		!HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_infomask))
	{
		/* reads the multixact, if it is one; lockers in it do not matter */
		xmax = HeapTupleHeaderGetUpdateXid(tuple);

		/*
		 * An UPDATE leaves the address of the next version in ctid; a DELETE
		 * leaves the version's own, and a move to another partition a special
		 * value.
		 */
		version->moved = HeapTupleHeaderIndicatesMovedPartitions(tuple);
		version->replaced = !version->moved &&
			!ItemPointerEquals(&bslot->base.tuple->t_self, &tuple->t_ctid);
	}
	LockBuffer(bslot->buffer, BUFFER_LOCK_UNLOCK);

	if (TransactionIdIsValid(xmax))
	{
		version->xmax = xmax;
		version->ended = fate_of(xmax, snapshot);
	}
}

/*
 * Classify a version by a single look at its header, whose buffer is pinned
 * but not locked.  That suffices for most versions that have not been deleted
 * or locked.  If it does not suffice, zero *version and return false.
 *
 * If an old row was deleted before the snapshot, XMAX_INVALID had been cleared
 * by then; and nobody else can touch a row of my own transaction.
 */
static bool
judge_at_a_glance(HeapTupleHeader tuple, Snapshot snapshot,
				  IenvVersion *version)
{
	uint16		infomask = tuple->t_infomask;
	TransactionId xmin = HeapTupleHeaderGetRawXmin(tuple);

	memset(version, 0, sizeof(*version));
	if (!(infomask & HEAP_XMAX_INVALID))
		return false;
	if ((infomask & HEAP_XMIN_COMMITTED) &&
		TransactionIdPrecedes(xmin, snapshot->xmin))
		version->inserted = IENV_BEFORE;
	else if (!(infomask & HEAP_XMIN_COMMITTED) &&
			 TransactionIdEquals(xmin, GetTopTransactionIdIfAny()))
	{
		version->inserted = IENV_MINE;
		version->xmin = xmin;
		version->replacement = (infomask & HEAP_UPDATED) != 0;
	}
	else
		return false;
	return true;
}

/*
 * The fate of transaction xid, relative to snapshot.
 *
 * The order of the tests matters, as in heapam_visibility.c: a transaction is
 * in progress until it has left the procarray, and its commit is in the commit
 * log before that.
 */
static IenvFate
fate_of(TransactionId xid, Snapshot snapshot)
{
	if (!TransactionIdIsNormal(xid))
		return TransactionIdIsValid(xid) ? IENV_BEFORE : IENV_NEVER;
	if (TransactionIdIsCurrentTransactionId(xid))
		return IENV_MINE;
	if (!XidInMVCCSnapshot(xid, snapshot))
		return TransactionIdDidCommit(xid) ? IENV_BEFORE : IENV_NEVER;
	if (TransactionIdIsInProgress(xid))
		return IENV_OPEN;
	return TransactionIdDidCommit(xid) ? IENV_SINCE : IENV_NEVER;
}

/*
 * Did the transaction that xid belongs to begin to write before mine?
 *
 * xid was in progress when a snapshot that is still registered was taken, so
 * its parents can be found.  My transaction has an xid.
 */
bool
ienv_is_older(TransactionId xid)
{
	return TransactionIdPrecedes(SubTransGetTopmostTransaction(xid),
								 GetTopTransactionId());
}

/*
 * Wait until xid, which belongs to a younger transaction, has committed or
 * aborted.
 *
 * The caller holds no snapshot, buffer or scan.  Only older transactions wait
 * for younger ones here, so these waits alone cannot form a cycle.
 */
void
ienv_wait_for(TransactionId xid)
{
	XactLockTableWait(xid, NULL, NULL, XLTW_None);
}
