/*-------------------------------------------------------------------------
 *
 * message_count.c
 *	  How many messages an instance has sent in this month, exactly, without
 *	  senders that wait for each other's transactions.
 *
 * The count of an instance and channel is the sum of its slots, which are rows
 * of message_count.  A transaction counts in a slot that no other open
 * transaction has written to, or in a new one.  So there are as many slots as
 * there have been senders at the same time, never more than the limit, and
 * nobody waits for somebody else's row.
 *
 * Who counts must know what the others have counted, also those that are still
 * open.  A dirty snapshot shows that; it may miss a row, or show it twice, only
 * while somebody replaces it.  Nobody does: a slot is written only under a
 * mutex, one per instance and channel, which is held while the rows are read
 * and one is written, and released at once, long before the end of the
 * transaction.  What can change meanwhile is whether a transaction is open, and
 * of a slot that an open one has written to, both versions are read:
 *
 *	 settled: the slot's highest version that is not by another open
 *	 transaction
 *	 counted: its highest version
 *
 * The sum of counted is no less than what can come to be committed; so a
 * message that is counted while that sum is below the limit is never one too
 * many, whatever the limit was before.  The sum of settled is what is certain:
 * when it has reached the limit, the message is refused.  Between the two,
 * open transactions hold all places that are left, and the sender waits for
 * one of these to end, without the mutex, and looks again.
 *
 * No deadlocks caused by us.  A transaction that has sent nothing yet can
 * wait, since nobody waits for it.  One that has, waits only for younger ones,
 * by the top-level transaction id, so the waits form no cycle; what older ones
 * have counted is settled for it.
 *
 * Nothing depends on the transaction's snapshot, and a dirty snapshot takes no
 * predicate locks, so this never raises a serialization failure.
 *
 * On a cluster all nodes count in one row, by SQL (message_count_sql.c).
 *
 * A month is one of UTC, by the clock at the moment of counting.  A row of
 * another month counts as 0, and is overwritten.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "policy/policy.h"

/* Columns, in the order of the install script; upgrades only append. */
#define Anum_message_count_instance	1
#define Anum_message_count_channel	2
#define Anum_message_count_slot		3
#define Anum_message_count_month	4
#define Anum_message_count_sent		5
#define Natts_message_count			5

/* in milliseconds */
#define LONGEST_STOP	5000

/* What the slots of an instance and channel say of this month. */
typedef struct Tally
{
	int64		settled;
	int64		counted;
	int64		older;			/* counted by open transactions that this one
								 * must not wait for */
	TransactionId awaited;		/* one that it may wait for, if any */
	TransactionId open;			/* one that has written to a slot, if any */
	HeapTuple	mine;			/* the slot to count in, or NULL */
	int64		mine_sent;		/* what it says */
	int			next_slot;		/* a number that no slot has */
} Tally;

/* What the versions of one slot say. */
typedef struct Slot
{
	int			number;			/* -1: none was read yet */
	int64		settled;
	int64		counted;
	TransactionId claimant;		/* who has counted what is not settled */
} Slot;

/* the last transaction that has counted */
static LocalTransactionId last_sender = InvalidLocalTransactionId;

static void stop_slots(Datum instance);
static void say_who_sends(void *arg);
static Relation open_slots(void);
static void lock_slots(Relation rel, Datum instance,
					   const IenvChannel *channel);
static void unlock_slots(Relation rel, Datum instance,
						 const IenvChannel *channel);
static void read_slots(Relation rel, Datum instance,
					   const IenvChannel *channel, DateADT month,
					   Tally *tally);
static void add_slot(Tally *tally, const Slot *slot);
static void write_slot(Relation rel, Datum instance,
					   const IenvChannel *channel, DateADT month,
					   const Tally *tally);

/*
 * Count a message of this instance, unless its limit is reached.  True if it
 * is counted, which a rollback undoes.  Otherwise *count says what has been
 * sent, and what the limit is.
 *
 * Waits for other transactions only if they hold all that is left.  The limit
 * is the latest that is committed, or the transaction's own.
 */
bool
ienv_count_message(Datum instance, const IenvChannel *channel,
				   IenvMessageCount *count)
{
	Relation	rel = open_slots();
	bool		counted;

	for (;;)
	{
		bool		unlimited;
		Tally		tally;

		lock_slots(rel, instance, channel);
		count->month = ienv_message_month();
		count->limit = DatumGetInt32(ienv_policy(instance, channel->policy,
												 INT4OID, &unlimited));
		read_slots(rel, instance, channel, count->month, &tally);
		counted = unlimited || tally.counted < count->limit;
		if (counted)
			write_slot(rel, instance, channel, count->month, &tally);
		unlock_slots(rel, instance, channel);

		count->sent = tally.settled;
		if (counted || tally.settled + tally.older >= count->limit)
			break;
		XactLockTableWait(tally.awaited, NULL, NULL, XLTW_None);
	}
	table_close(rel, NoLock);
	return counted;
}

/*
 * Wait until no other transaction that has sent messages of this instance is
 * open, and let none send any until this one ends: it deletes the instance.
 * Error 55P03 after some seconds.
 *
 * While it waits, senders go ahead; so it does not wait for one that waits for
 * it.
 */
void
ienv_stop_messages(Datum instance)
{
	int			nest_level = ienv_bound_lock_waits(LONGEST_STOP);
	ErrorContextCallback context = {
		.callback = say_who_sends,
		.previous = error_context_stack
	};

	error_context_stack = &context;
	if (ienv_registry_is_distributed())
		ienv_execute("LOCK TABLE instance_env.message_count"
					 " IN SHARE ROW EXCLUSIVE MODE");
	else
		stop_slots(instance);
	error_context_stack = context.previous;
	AtEOXact_GUC(false, nest_level);
}

static void
stop_slots(Datum instance)
{
	Relation	rel = open_slots();
	TimestampTz began = GetCurrentTimestamp();

	for (const IenvChannel *channel = ienv_channels; channel->name != NULL;
		 channel++)
	{
		for (;;)
		{
			Tally		tally;

			lock_slots(rel, instance, channel);
			read_slots(rel, instance, channel, ienv_message_month(), &tally);
			if (!TransactionIdIsValid(tally.open))
				break;
			unlock_slots(rel, instance, channel);
			if (TimestampDifferenceExceeds(began, GetCurrentTimestamp(),
										   LONGEST_STOP))
				ereport(ERROR,
						(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						 errmsg("could not stop instance %s from sending messages",
								ienv_instance_text(instance, true))));
			XactLockTableWait(tally.open, NULL, NULL, XLTW_None);
		}
	}
	table_close(rel, NoLock);
}

/*
 * Error context callback: say what kept the instance from being stopped.
 */
static void
say_who_sends(void *arg)
{
	if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
		return;
	errdetail("Open or prepared transactions have called consume_message().");
	errhint("Try again when its application has stopped.");
}

/*
 * The first day of the month that it is now, by UTC.
 */
DateADT
ienv_message_month(void)
{
	struct pg_tm tm;
	fsec_t		fsec;

	/* without a time zone, a timestamp is taken as it is: in UTC */
	if (timestamp2tm(GetCurrentTimestamp(), NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return date2j(tm.tm_year, tm.tm_mon, 1) - POSTGRES_EPOCH_JDATE;
}

static Relation
open_slots(void)
{
	return table_open(get_relname_relid("message_count", ienv_oids()->schema),
					  RowExclusiveLock);
}

/*
 * Take the mutex.  It also processes invalidations, so what is read afterwards
 * is what whoever has held it before may have committed.
 *
 * The tag is our own: no object's address has this table as catalog.  That two
 * instances can have the same hash does no harm.
 */
static void
lock_slots(Relation rel, Datum instance, const IenvChannel *channel)
{
	LockDatabaseObject(RelationGetRelid(rel),
					   hash_bytes(DatumGetUUIDP(instance)->data, UUID_LEN),
					   channel - ienv_channels, ExclusiveLock);
}

static void
unlock_slots(Relation rel, Datum instance, const IenvChannel *channel)
{
	UnlockDatabaseObject(RelationGetRelid(rel),
						 hash_bytes(DatumGetUUIDP(instance)->data, UUID_LEN),
						 channel - ienv_channels, ExclusiveLock);
}

/*
 * Read all slots.  The caller has the mutex.
 */
static void
read_slots(Relation rel, Datum instance, const IenvChannel *channel,
		   DateADT month, Tally *tally)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Oid			pkey = get_relname_relid("message_count_pkey",
										 ienv_oids()->schema);
	Relation	index = index_open(pkey, AccessShareLock);
	Slot		slot = {.number = -1};
	SnapshotData dirty;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	memset(tally, 0, sizeof(*tally));
	InitDirtySnapshot(dirty);
	ScanKeyInit(&keys[0], Anum_message_count_instance, BTEqualStrategyNumber,
				F_UUID_EQ, instance);
	ScanKeyInit(&keys[1], Anum_message_count_channel, BTEqualStrategyNumber,
				F_TEXTEQ, CStringGetTextDatum(channel->name));

	/* in the order of the index, where the versions of a slot are neighbours */
	scan = systable_beginscan_ordered(rel, index, &dirty, 2, keys);
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) !=
		   NULL)
	{
		bool		isnull;
		int			n = DatumGetInt32(heap_getattr(tuple,
												   Anum_message_count_slot,
												   desc, &isnull));
		bool		is_current =
		DatumGetDateADT(heap_getattr(tuple, Anum_message_count_month,
									 desc, &isnull)) == month;
		int64		sent = !is_current ? 0 :
		DatumGetInt64(heap_getattr(tuple, Anum_message_count_sent, desc,
								   &isnull));

		if (n != slot.number)
		{
			add_slot(tally, &slot);
			memset(&slot, 0, sizeof(slot));
			slot.number = n;
		}
		if (TransactionIdIsValid(dirty.xmin))
		{
			tally->open = dirty.xmin;
			if (sent > slot.counted)
			{
				slot.counted = sent;
				slot.claimant = dirty.xmin;
			}
			continue;
		}
		slot.settled = Max(slot.settled, sent);
		if (TransactionIdIsValid(dirty.xmax))
			tally->open = dirty.xmax;
		else if (tally->mine == NULL ||
				 TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
		{
			/* rather the one that this transaction has written to already */
			tally->mine = heap_copytuple(tuple);
			tally->mine_sent = sent;
		}
	}
	add_slot(tally, &slot);
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
}

static void
add_slot(Tally *tally, const Slot *slot)
{
	int64		claimed = slot->counted - slot->settled;

	tally->settled += slot->settled;
	tally->counted += Max(slot->counted, slot->settled);
	tally->next_slot = slot->number + 1;
	if (claimed <= 0)
		return;

	/* it was open just now, so its parents can be found */
	if (last_sender == ienv_lxid() &&
		TransactionIdPrecedes(SubTransGetTopmostTransaction(slot->claimant),
							  GetTopTransactionId()))
		tally->older += claimed;
	else
		tally->awaited = slot->claimant;
}

/*
 * Count one message more.  The caller has the mutex.
 *
 * The row is written as into a catalog, like those of departed_user: an UPDATE
 * would fail at REPEATABLE READ if the row is newer than the snapshot, and
 * take predicate locks at SERIALIZABLE.  The table has no triggers.
 */
static void
write_slot(Relation rel, Datum instance, const IenvChannel *channel,
		   DateADT month, const Tally *tally)
{
	Datum		values[Natts_message_count];
	bool		nulls[Natts_message_count] = {false};
	TupleDesc	desc = RelationGetDescr(rel);
	HeapTuple	tuple;
	bool		isnull;

	values[Anum_message_count_instance - 1] = instance;
	values[Anum_message_count_channel - 1] =
		CStringGetTextDatum(channel->name);
	values[Anum_message_count_slot - 1] = tally->mine == NULL ?
		Int32GetDatum(tally->next_slot) :
		heap_getattr(tally->mine, Anum_message_count_slot, desc, &isnull);
	values[Anum_message_count_month - 1] = DateADTGetDatum(month);
	values[Anum_message_count_sent - 1] = Int64GetDatum(tally->mine_sent + 1);
	tuple = heap_form_tuple(desc, values, nulls);
	if (tally->mine == NULL)
		CatalogTupleInsert(rel, tuple);
	else
		CatalogTupleUpdate(rel, &tally->mine->t_self, tuple);

	/* the same statement may count again, in the same row */
	CommandCounterIncrement();
	last_sender = ienv_lxid();
}
