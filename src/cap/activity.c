/*-------------------------------------------------------------------------
 *
 * activity.c
 *	  What was admitted and refused, counted in shared memory.
 *
 * A refused insert is rolled back, so no table can have a record of it.  The
 * counters are in shared memory instead, in a slot for each pair of guarded
 * table and development instance that users were added to (activity_slot.c).
 * They are gone with a restart, and empty on a standby.
 *
 * What is counted: each row that was admitted, by how the check that admitted
 * it was made, and each refusal of the cap, that is, error 23I01 raised by an
 * insert.  Rows that are rolled back later stay counted, for the count is of
 * what the cap decided.  Rows that need no admission (moved to another
 * partition, or replicated) are not counted.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "cap/activity_slot.h"
#include "cap/cap.h"
#include "registry/registry.h"

/* refused_day has the day, counted from 2000, above these bits for refusals */
#define REFUSED_BITS	40
#define REFUSED_MASK	((UINT64CONST(1) << REFUSED_BITS) - 1)

static bool read_slot(IenvSlot *slot, IenvActivity *activity, Oid *database);
static bool read_activity(Oid root, const IenvInstance *instance,
						  IenvActivity *activity);

/*
 * The day, UTC, of a time after 2000; what is before that counts as its first.
 */
static uint64
day_of(TimestampTz time)
{
	return time < 0 ? 0 : (uint64) (time / USECS_PER_DAY);
}

/*
 * Note that something happened in the current statement.  Of two statements
 * that do so at once, the earlier one's time may stay.
 */
static void
note_time(pg_atomic_uint64 *last)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if ((TimestampTz) pg_atomic_read_u64(last) < now)
		pg_atomic_write_u64(last, (uint64) now);
}

/*
 * Count a row that was admitted; by_scan says how the check was made.
 */
void
ienv_count_admitted(Oid root, const IenvInstance *instance, bool by_scan)
{
	IenvSlot   *slot = ienv_slot_to_count(root, &instance->id,
										  instance->created_at);
	IenvQueue  *queue = ienv_queue_of(root, &instance->id);

	/* for the rows that are admitted along with this one */
	if (queue != NULL)
	{
		queue->by_scan = by_scan;
		queue->slot = slot;
		if (slot != NULL)
			queue->slot_state = pg_atomic_read_u32(&slot->state);
	}
	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u64(by_scan ? &slot->by_scan : &slot->by_bound, 1);
	note_time(&slot->last_admitted);
}

/*
 * Count a row that was admitted along with another one of its queue, in the
 * same slot if it has not been given back.
 */
void
ienv_count_along(IenvQueue *queue, Oid root, const IenvInstance *instance)
{
	IenvSlot   *slot = queue->slot;

	if (slot == NULL || !IENV_SLOT_IN_USE(queue->slot_state) ||
		pg_atomic_read_u32(&slot->state) != queue->slot_state)
	{
		ienv_count_admitted(root, instance, queue->by_scan);
		return;
	}
	pg_atomic_fetch_add_u64(queue->by_scan ? &slot->by_scan : &slot->by_bound,
							1);
	note_time(&slot->last_admitted);
}

/*
 * Count a refusal.  The transaction is about to be rolled back, this is not.
 */
void
ienv_count_refused(Oid root, const IenvInstance *instance)
{
	IenvSlot   *slot = ienv_slot_to_count(root, &instance->id,
										  instance->created_at);
	uint64		today = day_of(GetCurrentStatementStartTimestamp());
	uint64		before;
	uint64		after;

	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u64(&slot->refused, 1);
	before = pg_atomic_read_u64(&slot->refused_day);
	do
	{
		/* at midnight, a later statement may have begun the next day */
		if (before >> REFUSED_BITS >= today)
			after = before + 1;
		else
			after = (today << REFUSED_BITS) + 1;
	} while (!pg_atomic_compare_exchange_u64(&slot->refused_day, &before,
											 after));
	note_time(&slot->last_refused);
}

/*
 * Read a slot; false if it is not in use, or was given back meanwhile.
 */
static bool
read_slot(IenvSlot *slot, IenvActivity *activity, Oid *database)
{
	uint32		state = pg_atomic_read_u32(&slot->state);
	uint64		refused_day;

	if (!IENV_SLOT_IN_USE(state))
		return false;
	pg_read_barrier();
	*database = slot->key.database;
	activity->root = slot->key.root;
	activity->instance = slot->key.instance;
	activity->created_at = slot->key.created_at;
	activity->by_bound = pg_atomic_read_u64(&slot->by_bound);
	activity->by_scan = pg_atomic_read_u64(&slot->by_scan);
	activity->refused = pg_atomic_read_u64(&slot->refused);
	refused_day = pg_atomic_read_u64(&slot->refused_day);
	activity->refused_today =
		refused_day >> REFUSED_BITS >= day_of(GetCurrentTimestamp()) ?
		refused_day & REFUSED_MASK : 0;
	activity->last_admitted = pg_atomic_read_u64(&slot->last_admitted);
	activity->last_refused = pg_atomic_read_u64(&slot->last_refused);
	pg_read_barrier();
	return pg_atomic_read_u32(&slot->state) == state;
}

/*
 * What was counted for a guarded table and an instance: false if that is not
 * known, because there is no shared memory, or no room in it.
 *
 * Of a distributed table, it is what was counted on this node; not known if
 * that has none of its shards.
 */
bool
ienv_read_activity(Oid root, const IenvInstance *instance,
				   IenvActivity *activity)
{
	List	   *shards;
	bool		known;
	ListCell   *lc;

	if (!ienv_is_distributed(root))
		return read_activity(root, instance, activity);
	memset(activity, 0, sizeof(*activity));
	activity->last_admitted = activity->last_refused = DT_NOBEGIN;
	shards = ienv_shards_here(root);
	known = shards != NIL;
	foreach(lc, shards)
	{
		IenvActivity one;

		known = read_activity(lfirst_oid(lc), instance, &one) && known;
		activity->by_bound += one.by_bound;
		activity->by_scan += one.by_scan;
		activity->refused += one.refused;
		activity->refused_today += one.refused_today;
		activity->last_admitted = Max(activity->last_admitted,
									  one.last_admitted);
		activity->last_refused = Max(activity->last_refused,
									 one.last_refused);
	}
	return known;
}

static bool
read_activity(Oid root, const IenvInstance *instance, IenvActivity *activity)
{
	bool		known;
	Oid			database;
	IenvSlot   *slot = ienv_slot_to_read(root, &instance->id,
										 instance->created_at, &known);

	if (slot == NULL || !read_slot(slot, activity, &database))
	{
		memset(activity, 0, sizeof(*activity));
		activity->last_admitted = activity->last_refused = DT_NOBEGIN;
	}
	return known;
}

/*
 * What was counted in slot i, from 0, if it is one of this database.  *n is set
 * to the number of slots, 0 if there is no shared memory.
 */
bool
ienv_activity_at(int i, int *n, IenvActivity *activity)
{
	IenvSlot   *slot = ienv_slot_at(i, n);
	Oid			database;

	return slot != NULL && read_slot(slot, activity, &database) &&
		database == MyDatabaseId;
}

/*
 * How many slots there are, how many are in use, by all databases, and how
 * often something was not counted for lack of room.  False if there is no
 * shared memory.
 */
bool
ienv_activity_room(int *slots, int *used, int64 *missed)
{
	IenvSlot   *slot;

	*used = 0;
	for (int i = 0; (slot = ienv_slot_at(i, slots)) != NULL; i++)
		if (IENV_SLOT_IN_USE(pg_atomic_read_u32(&slot->state)))
			(*used)++;
	if (*slots > 0)
		*missed = ienv_slots_missed();
	return *slots > 0;
}

/*
 * Give back all slots of this database, and of databases that were dropped.
 * What is counted from now on begins at 0.
 */
void
ienv_forget_activity(void)
{
	int			n;
	IenvSlot   *slot;

	for (int i = 0; (slot = ienv_slot_at(i, &n)) != NULL; i++)
	{
		IenvActivity activity;
		Oid			database;

		if (read_slot(slot, &activity, &database) &&
			(database == MyDatabaseId ||
			 !SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database))))
			ienv_give_slot_back(slot);
	}
}
