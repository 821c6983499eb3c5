/*-------------------------------------------------------------------------
 *
 * activity.c
 *	  What was admitted and refused, counted in shared memory.
 *
 * A refused insert is rolled back, so no table can have a record of it.  The
 * counters are in shared memory instead, beside the buckets (bound.c) and as
 * many: one slot for each pair of guarded table and development instance that
 * users were added to.  They are gone with a restart, and empty on a standby.
 *
 * What is counted: each row that was admitted, by how the check that admitted
 * it was made, and each refusal of the cap, that is, error 23I01 raised by an
 * insert.  Rows that are rolled back later stay counted, for the count is of
 * what the cap decided.  Rows that need no admission (moved to another
 * partition, or replicated) are not counted.
 *
 * The array is a hash table with open addressing and a bounded probe.  A slot
 * is found without a lock.  A spinlock is held when one is taken for a pair, or
 * given back, which is seldom: with it, no pair can get two slots.  A pair that
 * finds no slot within the probe is not counted, and neither allocates nor
 * waits; the array counts how often that happened.
 *
 * state is 0 for a slot that was never used, odd for one that is in use, and
 * even for one that was given back.  It increases whenever the slot is taken or
 * given back, so a reader that finds it unchanged has compared one key.
 * A backend that has found its slot adds to it a few instructions later.  If the
 * slot is given back and taken for another pair in between, that one count
 * goes to the other pair: that takes a reset_activity() at this very moment,
 * and is accepted.
 *
 * The key has the time at which the instance was created, in case another one
 * gets its id.  The OID of a dropped table may be used again for another one
 * after four billion others; so that it does not find the old counts, dropped
 * tables' slots can be given back by reset_activity().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/spin.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "cap/cap.h"
#include "registry/registry.h"

/* How many slots are looked at, at most, for a pair */
#define MAX_PROBE	32

/* refused_day has the day, counted from 2000, above these bits for refusals */
#define REFUSED_BITS	40
#define REFUSED_MASK	((UINT64CONST(1) << REFUSED_BITS) - 1)

/* Has no padding, because it is hashed and compared as bytes. */
typedef struct ActivityKey
{
	Oid			database;
	Oid			root;			/* the guarded table */
	pg_uuid_t	instance;
	TimestampTz created_at;		/* of the instance */
} ActivityKey;

typedef struct Slot
{
	ActivityKey key;
	pg_atomic_uint64 by_bound;
	pg_atomic_uint64 by_scan;
	pg_atomic_uint64 refused;
	pg_atomic_uint64 refused_day;	/* the day of the last refusal, UTC, and
									 * how many there were on it */
	pg_atomic_uint64 last_admitted; /* TimestampTz; DT_NOBEGIN: never */
	pg_atomic_uint64 last_refused;
	pg_atomic_uint32 state;
} Slot;

typedef struct ActivityArray
{
	int			nslots;
	slock_t		mutex;			/* for taking a slot and giving it back */
	pg_atomic_uint64 untracked; /* since server start, in all databases */
	Slot		slots[FLEXIBLE_ARRAY_MEMBER];
} ActivityArray;

static Size array_size(int n);
static void array_init(void *memory, int n);
static Slot *find_slot(ActivityArray *array, const ActivityKey *key,
					   bool *room);
static void take_slot(ActivityArray *array, const ActivityKey *key);
static void give_back(ActivityArray *array, Slot *slot);
static void clear(Slot *slot);
static void make_key(ActivityKey *key, Oid root, const pg_uuid_t *instance,
					 TimestampTz created_at);
static bool read_slot(Slot *slot, IenvActivity *activity, Oid *database);

IenvSharedArray ienv_activity_array = {
	"instance_env activity", array_size, array_init, NULL
};

#define IN_USE(state)	(((state) & 1) != 0)

static Size
array_size(int n)
{
	return add_size(offsetof(ActivityArray, slots),
					mul_size(n, sizeof(Slot)));
}

static void
array_init(void *memory, int n)
{
	ActivityArray *array = memory;

	memset(array, 0, array_size(n));
	array->nslots = n;
	SpinLockInit(&array->mutex);
	pg_atomic_init_u64(&array->untracked, 0);
	for (int i = 0; i < n; i++)
	{
		Slot	   *slot = &array->slots[i];

		pg_atomic_init_u64(&slot->by_bound, 0);
		pg_atomic_init_u64(&slot->by_scan, 0);
		pg_atomic_init_u64(&slot->refused, 0);
		pg_atomic_init_u64(&slot->refused_day, 0);
		pg_atomic_init_u64(&slot->last_admitted, 0);
		pg_atomic_init_u64(&slot->last_refused, 0);
		pg_atomic_init_u32(&slot->state, 0);
	}
}

/*
 * The slot of a pair, taken for it if it has none yet; NULL if there is no
 * shared memory, or no room in it.
 */
static Slot *
slot_of(Oid root, const IenvInstance *instance)
{
	static Slot *last = NULL;
	int			n;
	ActivityArray *array = ienv_shared_memory(&ienv_activity_array, &n);
	ActivityKey key;
	Slot	   *slot;
	bool		room;

	if (array == NULL)
		return NULL;
	make_key(&key, root, &instance->id, instance->created_at);

	/* rows tend to come in runs */
	if (last != NULL && IN_USE(pg_atomic_read_u32(&last->state)) &&
		memcmp(&last->key, &key, sizeof(key)) == 0)
		return last;

	slot = find_slot(array, &key, &room);
	if (slot == NULL && room)
	{
		take_slot(array, &key);
		slot = find_slot(array, &key, &room);
	}
	if (slot != NULL)
		last = slot;
	else
		pg_atomic_fetch_add_u64(&array->untracked, 1);
	return slot;
}

/*
 * The slot of a pair, or NULL, with *room set to whether one could be taken for
 * it.
 */
static Slot *
find_slot(ActivityArray *array, const ActivityKey *key, bool *room)
{
	uint32		start = hash_bytes((const unsigned char *) key, sizeof(*key));

	*room = false;
	for (int i = 0; i < Min(array->nslots, MAX_PROBE); i++)
	{
		Slot	   *slot = &array->slots[(start + i) % array->nslots];
		uint32		state = pg_atomic_read_u32(&slot->state);

		if (IN_USE(state))
		{
			bool		same;

			pg_read_barrier();
			same = memcmp(&slot->key, key, sizeof(*key)) == 0;
			pg_read_barrier();
			if (same && pg_atomic_read_u32(&slot->state) == state)
				return slot;
		}
		else
			*room = true;
		if (state == 0)
			break;
	}
	return NULL;
}

/*
 * Take a slot for a pair, unless it has one or there is none.  All the others
 * that take or give back slots wait, but only for as long as one probe takes.
 */
static void
take_slot(ActivityArray *array, const ActivityKey *key)
{
	uint32		start = hash_bytes((const unsigned char *) key, sizeof(*key));
	Slot	   *unused = NULL;

	SpinLockAcquire(&array->mutex);
	for (int i = 0; i < Min(array->nslots, MAX_PROBE); i++)
	{
		Slot	   *slot = &array->slots[(start + i) % array->nslots];
		uint32		state = pg_atomic_read_u32(&slot->state);

		if (IN_USE(state) && memcmp(&slot->key, key, sizeof(*key)) == 0)
		{
			unused = NULL;
			break;
		}
		if (!IN_USE(state) && unused == NULL)
			unused = slot;
		if (state == 0)
			break;
	}
	if (unused != NULL)
	{
		unused->key = *key;
		clear(unused);
		pg_write_barrier();
		pg_atomic_fetch_add_u32(&unused->state, 1);
	}
	SpinLockRelease(&array->mutex);
}

static void
give_back(ActivityArray *array, Slot *slot)
{
	SpinLockAcquire(&array->mutex);
	if (IN_USE(pg_atomic_read_u32(&slot->state)))
		pg_atomic_fetch_add_u32(&slot->state, 1);
	SpinLockRelease(&array->mutex);
}

static void
clear(Slot *slot)
{
	pg_atomic_write_u64(&slot->by_bound, 0);
	pg_atomic_write_u64(&slot->by_scan, 0);
	pg_atomic_write_u64(&slot->refused, 0);
	pg_atomic_write_u64(&slot->refused_day, 0);
	pg_atomic_write_u64(&slot->last_admitted, (uint64) DT_NOBEGIN);
	pg_atomic_write_u64(&slot->last_refused, (uint64) DT_NOBEGIN);
}

static void
make_key(ActivityKey *key, Oid root, const pg_uuid_t *instance,
		 TimestampTz created_at)
{
	key->database = MyDatabaseId;
	key->root = root;
	key->instance = *instance;
	key->created_at = created_at;
}

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
	Slot	   *slot = slot_of(root, instance);
	IenvQueue  *queue = ienv_queue_of(root, &instance->id);

	/* for the rows that are admitted along with this one */
	if (queue != NULL)
		queue->by_scan = by_scan;
	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u64(by_scan ? &slot->by_scan : &slot->by_bound, 1);
	note_time(&slot->last_admitted);
}

/*
 * Count a refusal.  The transaction is about to be rolled back, this is not.
 */
void
ienv_count_refused(Oid root, const IenvInstance *instance)
{
	Slot	   *slot = slot_of(root, instance);
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
read_slot(Slot *slot, IenvActivity *activity, Oid *database)
{
	uint32		state = pg_atomic_read_u32(&slot->state);
	uint64		refused_day;

	if (!IN_USE(state))
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
 */
bool
ienv_read_activity(Oid root, const IenvInstance *instance,
				   IenvActivity *activity)
{
	int			n;
	ActivityArray *array = ienv_shared_memory(&ienv_activity_array, &n);
	ActivityKey key;
	Slot	   *slot;
	bool		room;
	Oid			database;

	if (array == NULL)
		return false;
	make_key(&key, root, &instance->id, instance->created_at);
	slot = find_slot(array, &key, &room);
	if (slot == NULL && !room)
		return false;
	if (slot == NULL || !read_slot(slot, activity, &database))
	{
		memset(activity, 0, sizeof(*activity));
		activity->last_admitted = activity->last_refused = DT_NOBEGIN;
	}
	return true;
}

/*
 * What was counted in slot i, from 0, if it is one of this database.  *n is set
 * to the number of slots, 0 if there is no shared memory.
 */
bool
ienv_activity_in(int i, int *n, IenvActivity *activity)
{
	ActivityArray *array = ienv_shared_memory(&ienv_activity_array, n);
	Oid			database;

	if (array == NULL)
		*n = 0;
	return i < *n && read_slot(&array->slots[i], activity, &database) &&
		database == MyDatabaseId;
}

/*
 * How many slots there are, how many are in use, by all databases, and how
 * often something was not counted for lack of room.  False if there is no
 * shared memory.
 */
bool
ienv_activity_room(int *slots, int *used, int64 *untracked)
{
	ActivityArray *array = ienv_shared_memory(&ienv_activity_array, slots);

	if (array == NULL)
		return false;
	*used = 0;
	for (int i = 0; i < *slots; i++)
		if (IN_USE(pg_atomic_read_u32(&array->slots[i].state)))
			(*used)++;
	*untracked = pg_atomic_read_u64(&array->untracked);
	return true;
}

/*
 * Give back all slots of this database, and of databases that were dropped.
 * What is counted from now on begins at 0.
 */
void
ienv_forget_activity(void)
{
	int			n;
	ActivityArray *array = ienv_shared_memory(&ienv_activity_array, &n);

	for (int i = 0; array != NULL && i < n; i++)
	{
		Slot	   *slot = &array->slots[i];
		IenvActivity activity;
		Oid			database;

		if (read_slot(slot, &activity, &database) &&
			(database == MyDatabaseId ||
			 !SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database))))
			give_back(array, slot);
	}
}
