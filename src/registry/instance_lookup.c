/*-------------------------------------------------------------------------
 *
 * instance_lookup.c
 *	  A backend's cache of instances.
 *
 * The triggers' conditions look up an instance for each row, so the answer
 * comes from a hash table or, if it is not there, from an index scan of
 * instance_env.instance: no SQL is parsed, planned or run.  The rules:
 *
 * - The table is read with GetLatestSnapshot(), never with the transaction's
 *	 snapshot, which under REPEATABLE READ would put the past into a cache that
 *	 outlives the transaction.
 * - Absence is never cached.
 * - A trigger on the registry's tables sends a relcache invalidation, and each
 *	 backend that receives it forgets everything.  If it arrives while a row is
 *	 being read, the row is read again.
 * - Memory is bounded: a full cache is emptied.
 * - A pointer to an IenvInstance is valid until the next look-up.
 *
 * A backend processes invalidations once per command, so a change of an
 * instance takes effect no later than with the next command of any session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/news.h"
#include "registry/registry.h"

/*
 * Some 190 bytes per entry including dynahash's overhead: 1.5 MB at most,
 * besides the 5.3 MB of known_production.c.
 */
#define CACHE_ENTRIES	8192

/* Of keys that do not fit here, only the last one is cached. */
#define KEY_BYTES		62

/* A uuid or an external key.  Only the first len bytes of data are set. */
typedef struct InstanceKey
{
	uint8		is_uuid;
	uint8		len;
	char		data[KEY_BYTES];
} InstanceKey;

typedef struct InstanceEntry
{
	InstanceKey key;			/* hash key, must be first */
	IenvInstance instance;
} InstanceEntry;

static HTAB *cache = NULL;
static MemoryContext cache_context = NULL;
static bool cache_valid = false;
static InstanceEntry *last_entry = NULL;	/* the last one found, or NULL */

/* The last instance with a key that is too long, and that key */
static IenvInstance long_instance;
static char *long_key = NULL;	/* in cache_context; NULL: none */
static int	long_len;

/* when something was last invalidated, as measured by ienv_news_time() */
static uint64 invalidated = 0;
static bool listening = false;

static void remember_long_key(const char *data, int len);
static inline void hear_news(bool now);
static IenvInstance *look_up(const char *data, int len, bool is_uuid,
							 bool fresh);

PG_FUNCTION_INFO_V1(instance_env_registry_changed);

/*
 * registry_changed() RETURNS trigger
 *
 * AFTER row trigger of the registry's tables, and statement trigger for
 * TRUNCATE: other backends forget what they know when this transaction
 * commits; this one does at its next command, and on rollback.
 */
Datum
instance_env_registry_changed(PG_FUNCTION_ARGS)
{
	(void) ienv_check_called(fcinfo, "registry_changed");

	/* all caches depend on this one relation, whichever table has changed */
	CacheInvalidateRelcacheByRelid(ienv_oids()->instance);
	return PointerGetDatum(NULL);
}

/*
 * Called by oids.c when the registry has changed.
 */
static void
forget(void)
{
	invalidated = ienv_news_time();
	ienv_production_forget();
	cache_valid = false;
}

/*
 * Process pending invalidations, at most once per command.  For callers that
 * are content with what is known of an instance.
 */
void
ienv_hear_news(void)
{
	hear_news(false);
}

/*
 * The instance with this id, or NULL if there is none.
 */
IenvInstance *
ienv_instance_by_id(const pg_uuid_t *id)
{
	return look_up((const char *) id->data, UUID_LEN, true, false);
}

/*
 * The instance that a value of a guarded table's instance column identifies: a
 * uuid, or a text that is compared with external_key; NULL if there is none.
 *
 * With fresh, it is read from the table now; a caller does this before it
 * refuses a row.
 */
IenvInstance *
ienv_instance_by_value(Datum value, bool is_uuid, bool fresh)
{
	IenvInstance *instance;
	text	   *key;

	if (is_uuid)
		return look_up((const char *) DatumGetUUIDP(value)->data, UUID_LEN,
					   true, fresh);

	key = DatumGetTextPP(value);
	instance = look_up(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), false, fresh);
	if ((Pointer) key != DatumGetPointer(value))
		pfree(key);
	return instance;
}

static uint32
key_hash(const void *key, Size keysize)
{
	const InstanceKey *k = (const InstanceKey *) key;

	return hash_bytes((const unsigned char *) k,
					  offsetof(InstanceKey, data) + k->len);
}

static int
key_compare(const void *a, const void *b, Size keysize)
{
	const InstanceKey *x = (const InstanceKey *) a;

	/*
	 * len is compared before data, so it is equal when data is compared
	 */
	return memcmp(a, b, offsetof(InstanceKey, data) + x->len);
}

static void *
key_copy(void *dest, const void *src, Size keysize)
{
	return memcpy(dest, src,
				  offsetof(InstanceKey, data) +
				  ((const InstanceKey *) src)->len);
}

static void
reset_cache(void)
{
	HASHCTL		ctl;

	last_entry = NULL;
	cache_valid = false;
	if (long_key != NULL)
		pfree(long_key);
	long_key = NULL;
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "instance_env registry",
											  ALLOCSET_DEFAULT_SIZES);
	if (cache != NULL)
	{
		HTAB	   *old = cache;

		cache = NULL;
		hash_destroy(old);
	}

	ctl.keysize = sizeof(InstanceKey);
	ctl.entrysize = sizeof(InstanceEntry);
	ctl.hash = key_hash;
	ctl.match = key_compare;
	ctl.keycopy = key_copy;
	ctl.hcxt = cache_context;
	cache = hash_create("instance_env registry", 64, &ctl,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
						HASH_KEYCOPY | HASH_CONTEXT);
	cache_valid = true;
}

static void
remember_long_key(const char *data, int len)
{
	if (long_key != NULL)
		pfree(long_key);
	long_key = NULL;
	long_key = MemoryContextAlloc(cache_context, len);
	memcpy(long_key, data, len);
	long_len = len;
}

/*
 * Process pending invalidations, at most once per command unless "now" is set:
 * the statement itself might acquire no lock, which is what normally does it.
 */
static inline void
hear_news(bool now)
{
	static LocalTransactionId looked_lxid = InvalidLocalTransactionId;
	static CommandId looked_cid = InvalidCommandId;
	CommandId	cid = GetCurrentCommandId(false);

	if (unlikely(looked_cid != cid || looked_lxid != ienv_lxid() || now))
	{
		AcceptInvalidationMessages();
		looked_cid = cid;
		looked_lxid = ienv_lxid();
	}
}

/*
 * Find an instance by id or external key, in the cache or else in the table;
 * with fresh, in the table.
 */
static IenvInstance *
look_up(const char *data, int len, bool is_uuid, bool fresh)
{
	InstanceKey key;
	InstanceEntry *entry;
	IenvInstance found;
	bool		exists;
	uint64		since;

	hear_news(fresh);
	if (likely(cache_valid && !fresh && last_entry != NULL) &&
		last_entry->key.len == len && last_entry->key.is_uuid == is_uuid &&
		memcmp(last_entry->key.data, data, is_uuid ? UUID_LEN : len) == 0)
		return &last_entry->instance;

	if (len > KEY_BYTES)
	{
		if (cache_valid && !fresh && long_key != NULL && long_len == len &&
			memcmp(long_key, data, len) == 0)
			return &long_instance;
	}
	else
	{
		key.is_uuid = is_uuid;
		key.len = len;
		memcpy(key.data, data, len);
		if (cache_valid && !fresh)
		{
			entry = hash_search(cache, &key, HASH_FIND, NULL);
			if (entry != NULL)
			{
				last_entry = entry;
				return &entry->instance;
			}
		}
	}

	/* an invalidation that arrives while we read may concern what we read */
	if (!listening)
		ienv_on_registry_change(forget);
	listening = true;
	do
	{
		(void) ienv_oids();		/* makes sure that we are notified */
		since = ienv_news_time();
		exists = ienv_read_instance(data, len, is_uuid, &found);
	} while (invalidated > since);

	if (!exists)
		return NULL;
	if (!cache_valid || hash_get_num_entries(cache) >= CACHE_ENTRIES)
		reset_cache();
	if (len > KEY_BYTES)
	{
		remember_long_key(data, len);
		long_instance = found;
		return &long_instance;
	}
	entry = hash_search(cache, &key, HASH_ENTER, NULL);
	entry->instance = found;
	last_entry = entry;
	return &entry->instance;
}
