/*-------------------------------------------------------------------------
 *
 * known_production.c
 *	  The ids of active production instances that this backend has encountered.
 *
 * For most rows, all that the condition of the cap's trigger needs to know is
 * whether they belong to one of these.  So they are kept apart from the cache
 * of instance_lookup.c: hundreds of thousands of them, at 16 bytes each.
 *
 * This is an open-addressing hash table without deletions.  It doubles in size
 * when it is half full; at its maximum size, new entries replace others.
 * instance_lookup.c ensures that everything is forgotten when an instance
 * changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "registry/registry.h"

/* In slots, powers of 2: 16 KB initially, 4 MB at most. */
#define MIN_SLOTS	1024
#define MAX_SLOTS	262144

/* How far from its home slot an id can be */
#define MAX_PROBES	8

static pg_uuid_t *slots = NULL; /* all zeroes: empty */
static uint32 nslots = 0;
static uint32 used = 0;
static bool valid = false;

static bool place(const pg_uuid_t *id);

/* Half of the 64-bit finalizer of MurmurHash3 */
static inline uint64
mix(uint64 h)
{
	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	return h ^ (h >> 33);
}

static inline uint32
home_of(const pg_uuid_t *id)
{
	uint64		half[2];

	/* any of the bytes may be part of a timestamp or a counter */
	memcpy(half, id->data, sizeof(half));
	return (uint32) mix(half[0] ^ mix(half[1])) & (nslots - 1);
}

static inline bool
is_empty(const pg_uuid_t *slot)
{
	static const pg_uuid_t zeroes = {{0}};

	return memcmp(slot, &zeroes, UUID_LEN) == 0;
}

/*
 * Is this known to be the id of an active production instance?
 */
bool
ienv_production_known(const pg_uuid_t *id)
{
	uint32		slot;

	if (!valid)
		return false;
	slot = home_of(id);
	for (int i = 0; i < MAX_PROBES; i++)
	{
		const pg_uuid_t *found = &slots[(slot + i) & (nslots - 1)];

		if (memcmp(found, id, UUID_LEN) == 0)
			return !is_empty(id);
		if (is_empty(found))
			return false;
	}
	return false;
}

/*
 * Record that this is the id of an active production instance.
 */
void
ienv_production_remember(const pg_uuid_t *id)
{
	if (is_empty(id))
		return;
	if (!valid)
	{
		if (slots != NULL)
			pfree(slots);
		slots = NULL;
		nslots = MIN_SLOTS;
		used = 0;
		slots = MemoryContextAllocZero(TopMemoryContext,
									   nslots * sizeof(pg_uuid_t));
		valid = true;
	}

	if (used >= nslots / 2 && nslots < MAX_SLOTS)
	{
		pg_uuid_t  *old = slots;
		uint32		old_nslots = nslots;

		slots = MemoryContextAllocZero(TopMemoryContext,
									   2 * old_nslots * sizeof(pg_uuid_t));
		nslots = 2 * old_nslots;
		used = 0;
		for (uint32 i = 0; i < old_nslots; i++)
			if (!is_empty(&old[i]) && place(&old[i]))
				used++;
		pfree(old);
	}
	if (place(id))
		used++;
}

/*
 * Store an id where it will be found; false if it replaced another.
 */
static bool
place(const pg_uuid_t *id)
{
	static uint32 victim = 0;
	uint32		home = home_of(id);

	for (int i = 0; i < MAX_PROBES; i++)
	{
		pg_uuid_t  *slot = &slots[(home + i) & (nslots - 1)];

		if (is_empty(slot))
		{
			*slot = *id;
			return true;
		}
	}
	slots[(home + victim++ % MAX_PROBES) & (nslots - 1)] = *id;
	return false;
}

/*
 * Forget them all.  Can be called at any time.
 */
void
ienv_production_forget(void)
{
	valid = false;
}
