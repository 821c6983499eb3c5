/*-------------------------------------------------------------------------
 *
 * known_production.c
 *	  The ids of active production instances that this backend has encountered.
 *
 * For most rows, all that the condition of the cap's trigger needs to know is
 * whether they belong to one of these, and what coded ids of theirs end with.
 * So they are kept apart from the cache of instance_lookup.c: hundreds of
 * thousands of them, at 21 bytes each.  The codes have an array of their own,
 * which is not touched where ids are not coded.
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

/* In slots, powers of 2: 21 KB initially, 5.3 MB at most. */
#define MIN_SLOTS	1024
#define MAX_SLOTS	262144

/* How far from its home slot an id can be */
#define MAX_PROBES	8

/* The code of an instance's ids */
typedef struct Code
{
	uint8		data[IENV_CODE_BYTES];
} Code;

static pg_uuid_t *slots = NULL; /* all zeroes: empty */
static Code *codes = NULL;		/* by slot */
static uint32 nslots = 0;
static uint32 used = 0;
static bool valid = false;

/* The one found last.  Its code is pointed to, and so not read unless needed. */
IenvLastProduction ienv_last_production = {false};

static void make_slots(uint32 n);
static bool place(const pg_uuid_t *id, const Code *code);

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
 * What ienv_known_production() returns, if it was not the last one.
 */
const uint8 *
ienv_look_for_production(const pg_uuid_t *id)
{
	uint32		slot;

	if (!valid)
		return NULL;
	slot = home_of(id);
	for (int i = 0; i < MAX_PROBES; i++)
	{
		uint32		at = (slot + i) & (nslots - 1);

		if (is_empty(&slots[at]))
			return NULL;
		if (memcmp(&slots[at], id, UUID_LEN) == 0)
		{
			ienv_last_production.id = *id;
			ienv_last_production.code = codes[at].data;
			ienv_last_production.valid = true;
			return ienv_last_production.code;
		}
	}
	return NULL;
}

/*
 * Record that this is an active production instance.
 */
void
ienv_production_remember(const IenvInstance *instance)
{
	Code		code;

	if (is_empty(&instance->id))
		return;

	/* its code can be moved or replaced */
	ienv_last_production.valid = false;
	if (!valid)
	{
		if (slots != NULL)
			pfree(slots);
		slots = NULL;
		make_slots(MIN_SLOTS);
		valid = true;
	}

	if (used >= nslots / 2 && nslots < MAX_SLOTS)
	{
		pg_uuid_t  *old = slots;
		Code	   *old_codes = codes;
		uint32		old_nslots = nslots;

		make_slots(2 * old_nslots);
		for (uint32 i = 0; i < old_nslots; i++)
			if (!is_empty(&old[i]) && place(&old[i], &old_codes[i]))
				used++;
		pfree(old);
	}
	memcpy(code.data, instance->code, IENV_CODE_BYTES);
	if (place(&instance->id, &code))
		used++;
}

/*
 * Begin anew with so many empty slots, and as many codes, in one piece.
 */
static void
make_slots(uint32 n)
{
	slots = MemoryContextAllocZero(TopMemoryContext,
								   n * (sizeof(pg_uuid_t) + sizeof(Code)));
	codes = (Code *) (slots + n);
	nslots = n;
	used = 0;
}

/*
 * Store an id and its code where they will be found; false if they replaced
 * others.
 */
static bool
place(const pg_uuid_t *id, const Code *code)
{
	static uint32 victim = 0;
	uint32		home = home_of(id);
	uint32		at;
	bool		is_free = false;

	for (int i = 0; i < MAX_PROBES && !is_free; i++)
	{
		at = (home + i) & (nslots - 1);
		is_free = is_empty(&slots[at]);
	}
	if (!is_free)
		at = (home + victim++ % MAX_PROBES) & (nslots - 1);
	slots[at] = *id;
	codes[at] = *code;
	return is_free;
}

/*
 * Forget them all.  Can be called at any time.
 */
void
ienv_production_forget(void)
{
	valid = false;
	ienv_last_production.valid = false;
}
