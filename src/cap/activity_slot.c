/*-------------------------------------------------------------------------
 *
 * activity_slot.c
 *	  Slots in shared memory, one for each pair of guarded table and instance
 *	  that users were added to.
 *
 * There are as many as there are buckets (bound.c).  They are a hash table with
 * open addressing and a bounded probe.  A slot is found without a lock.  A
 * spinlock is held when one is taken for a pair, or given back, which is
 * seldom: thanks to it, no pair gets two slots.  A pair that finds none within
 * the probe is not counted, and neither allocates nor waits; how often that
 * happened is counted.
 *
 * The state of a slot is 0 if it was never used, odd if it is in use, and even
 * if it was given back.  It increases whenever the slot is taken or given back,
 * so a reader that finds it unchanged has compared one key.
 *
 * A backend that has found its slot adds to it a few instructions later.  If
 * the slot is given back and taken for another pair in between, that one count
 * goes to the other pair.  This takes a reset_activity() at this very moment,
 * and is accepted.
 *
 * The key has the time at which the instance was created, in case another one
 * gets its id.  The OID of a dropped table comes again only after four billion
 * others; the slots of dropped tables are given back by reset_activity().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/spin.h"

#include "base/base.h"
#include "cap/activity_slot.h"
#include "cap/cap.h"

/* How many slots are looked at, at most, for a pair */
#define MAX_PROBE	32

typedef struct SlotArray
{
	int			nslots;
	slock_t		mutex;			/* for taking a slot and giving it back */
	pg_atomic_uint64 missed;	/* not counted, since server start, in all
								 * databases */
	IenvSlot	slots[FLEXIBLE_ARRAY_MEMBER];
} SlotArray;

static Size array_size(int n);
static void array_init(void *memory, int n);
static SlotArray *slot_array(void);
static void make_key(IenvSlotKey *key, Oid root, const pg_uuid_t *instance,
					 TimestampTz created_at);
static IenvSlot *find_slot(SlotArray *array, const IenvSlotKey *key,
						   bool *room);
static void take_slot(SlotArray *array, const IenvSlotKey *key);
static void clear(IenvSlot *slot);

IenvSharedArray ienv_activity_array = {
	"instance_env activity", array_size, array_init, NULL
};

static Size
array_size(int n)
{
	return add_size(offsetof(SlotArray, slots),
					mul_size(n, sizeof(IenvSlot)));
}

static void
array_init(void *memory, int n)
{
	SlotArray  *array = memory;

	memset(array, 0, array_size(n));
	array->nslots = n;
	SpinLockInit(&array->mutex);
	pg_atomic_init_u64(&array->missed, 0);
	for (int i = 0; i < n; i++)
	{
		IenvSlot   *slot = &array->slots[i];

		pg_atomic_init_u64(&slot->by_bound, 0);
		pg_atomic_init_u64(&slot->by_scan, 0);
		pg_atomic_init_u64(&slot->refused, 0);
		pg_atomic_init_u64(&slot->refused_day, 0);
		pg_atomic_init_u64(&slot->last_admitted, 0);
		pg_atomic_init_u64(&slot->last_refused, 0);
		pg_atomic_init_u32(&slot->state, 0);
	}
}

/* The array, or NULL if there is no shared memory. */
static SlotArray *
slot_array(void)
{
	int			n;

	return ienv_shared_memory(&ienv_activity_array, &n);
}

static void
make_key(IenvSlotKey *key, Oid root, const pg_uuid_t *instance,
		 TimestampTz created_at)
{
	key->database = MyDatabaseId;
	key->root = root;
	key->instance = *instance;
	key->created_at = created_at;
}

/*
 * The slot of a guarded table and an instance that was created at that time,
 * taken for it if it has none yet; NULL if there is no shared memory, or no
 * room in it.
 */
IenvSlot *
ienv_slot_to_count(Oid root, const pg_uuid_t *instance,
				   TimestampTz created_at)
{
	static IenvSlot *last = NULL;
	SlotArray  *array = slot_array();
	IenvSlotKey key;
	IenvSlot   *slot;
	bool		room;

	if (array == NULL)
		return NULL;
	make_key(&key, root, instance, created_at);

	/* rows tend to come in runs */
	if (last != NULL && IENV_SLOT_IN_USE(pg_atomic_read_u32(&last->state)) &&
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
		pg_atomic_fetch_add_u64(&array->missed, 1);
	return slot;
}

/*
 * The same without taking one.  *known is set to whether it would have one if
 * anything had been counted.
 */
IenvSlot *
ienv_slot_to_read(Oid root, const pg_uuid_t *instance,
				  TimestampTz created_at, bool *known)
{
	SlotArray  *array = slot_array();
	IenvSlotKey key;
	IenvSlot   *slot = NULL;

	*known = false;
	if (array != NULL)
	{
		make_key(&key, root, instance, created_at);
		slot = find_slot(array, &key, known);
		*known = *known || slot != NULL;
	}
	return slot;
}

/*
 * The slot of a pair, or NULL, with *room set to whether one could be taken for
 * it.
 */
static IenvSlot *
find_slot(SlotArray *array, const IenvSlotKey *key, bool *room)
{
	uint32		start = hash_bytes((const unsigned char *) key, sizeof(*key));

	*room = false;
	for (int i = 0; i < Min(array->nslots, MAX_PROBE); i++)
	{
		IenvSlot   *slot = &array->slots[(start + i) % array->nslots];
		uint32		state = pg_atomic_read_u32(&slot->state);

		if (IENV_SLOT_IN_USE(state))
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
take_slot(SlotArray *array, const IenvSlotKey *key)
{
	uint32		start = hash_bytes((const unsigned char *) key, sizeof(*key));
	IenvSlot   *unused = NULL;

	SpinLockAcquire(&array->mutex);
	for (int i = 0; i < Min(array->nslots, MAX_PROBE); i++)
	{
		IenvSlot   *slot = &array->slots[(start + i) % array->nslots];
		uint32		state = pg_atomic_read_u32(&slot->state);

		if (IENV_SLOT_IN_USE(state) && memcmp(&slot->key, key, sizeof(*key)) == 0)
		{
			unused = NULL;
			break;
		}
		if (!IENV_SLOT_IN_USE(state) && unused == NULL)
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

/*
 * Give a slot back.  Whoever has found it already may still add to it.
 */
void
ienv_give_slot_back(IenvSlot *slot)
{
	SlotArray  *array = slot_array();

	SpinLockAcquire(&array->mutex);
	if (IENV_SLOT_IN_USE(pg_atomic_read_u32(&slot->state)))
		pg_atomic_fetch_add_u32(&slot->state, 1);
	SpinLockRelease(&array->mutex);
}

static void
clear(IenvSlot *slot)
{
	pg_atomic_write_u64(&slot->by_bound, 0);
	pg_atomic_write_u64(&slot->by_scan, 0);
	pg_atomic_write_u64(&slot->refused, 0);
	pg_atomic_write_u64(&slot->refused_day, 0);
	pg_atomic_write_u64(&slot->last_admitted, (uint64) DT_NOBEGIN);
	pg_atomic_write_u64(&slot->last_refused, (uint64) DT_NOBEGIN);
}

/*
 * Slot i, from 0, or NULL if there is none; *n is set to how many there are.
 */
IenvSlot *
ienv_slot_at(int i, int *n)
{
	SlotArray  *array = slot_array();

	*n = array != NULL ? array->nslots : 0;
	return i < *n ? &array->slots[i] : NULL;
}

/*
 * How often something was not counted for lack of room, on the whole server.
 * There is shared memory.
 */
int64
ienv_slots_missed(void)
{
	return pg_atomic_read_u64(&slot_array()->missed);
}
