/*-------------------------------------------------------------------------
 *
 * cache.c
 *	  Backend-local caches of the registry's other tables.
 *
 * For functions that an application calls on every request.  A cache names the
 * tables that its entries were read from.  Each of these has table_changed()
 * triggers, which send a relcache invalidation; every backend that receives it
 * discards all entries at its next look-up.  Entries must be read with
 * ienv_query_latest(), like this:
 *
 *		entry = ienv_cache_find(&cache, &key);
 *		if (entry == NULL)
 *		{
 *			do
 *			{
 *				since = ienv_cache_time(&cache);
 *				... read ...
 *				entry = ienv_cache_enter(&cache, &key, since);
 *			} while (entry == NULL);
 *			... fill it in, allocating what it points to in cache.context ...
 *		}
 *
 * so that the tables are read again if an invalidation arrives while they are
 * being read.  An entry remains valid until the next look-up in its cache.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "base/news.h"

static IenvCache *caches = NULL;

static void prepare(IenvCache *cache);

PG_FUNCTION_INFO_V1(instance_env_table_changed);

/*
 * table_changed() RETURNS trigger
 *
 * AFTER row trigger, and statement trigger for TRUNCATE: other backends forget
 * what they have read from this table when the transaction commits, and this
 * one at its next command.  If a command changes many rows, only the first
 * sends a message.
 */
Datum
instance_env_table_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_called(fcinfo, "table_changed");

	CacheInvalidateRelcache(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}

/*
 * Relcache callback.  Does not empty any cache yet, because a caller up the
 * stack may be reading it.
 */
static void
table_invalidated(Oid relid)
{
	for (IenvCache *cache = caches; cache != NULL; cache = cache->next)
	{
		bool		concerned = !OidIsValid(relid);

		for (int i = 0; i < IENV_CACHE_TABLES && cache->tables[i] != NULL; i++)
			concerned = concerned || cache->relids[i] == relid;
		if (concerned)
			ienv_cache_forget(cache);
	}
}

/*
 * The entry for this key, or NULL.
 */
void *
ienv_cache_find(IenvCache *cache, const void *key)
{
	/*
	 * Process invalidations here: a caller on the hot path might not acquire
	 * any lock, and that is what normally does it.
	 */
	AcceptInvalidationMessages();
	if (!cache->valid)
		return NULL;
	return hash_search(cache->entries, key, HASH_FIND, NULL);
}

/*
 * The time, to be taken before the cache's tables are read.
 */
uint64
ienv_cache_time(IenvCache *cache)
{
	if (!cache->valid)
		prepare(cache);
	return ienv_news_time();
}

/*
 * A new entry with only its key set; NULL if the tables have changed since.
 */
void *
ienv_cache_enter(IenvCache *cache, const void *key, uint64 since)
{
	if (cache->changed > since)
		return NULL;
	if (hash_get_num_entries(cache->entries) >= cache->max_entries)
	{
		prepare(cache);
		if (cache->changed > since)
			return NULL;
	}
	return hash_search(cache->entries, key, HASH_ENTER, NULL);
}

/*
 * Discard all entries at the next look-up: something else that they depend on
 * has changed.  Can be called at any time, such as by a syscache callback.
 */
void
ienv_cache_forget(IenvCache *cache)
{
	cache->valid = false;
	cache->changed = ienv_news_time();
}

/*
 * Make the cache empty and valid.
 */
static void
prepare(IenvCache *cache)
{
	HASHCTL		ctl;
	uint64		since;

	if (cache->context == NULL)
	{
		cache->context = AllocSetContextCreate(CacheMemoryContext,
											   "instance_env cache",
											   ALLOCSET_SMALL_SIZES);
		MemoryContextSetIdentifier(cache->context, cache->name);
		if (caches == NULL)
			ienv_on_invalidation(table_invalidated);
		cache->next = caches;
		caches = cache;
	}

	/* it stays invalid if an error occurs below */
	cache->valid = false;
	cache->entries = NULL;
	MemoryContextReset(cache->context);
	ctl.keysize = cache->keysize;
	ctl.entrysize = cache->entrysize;
	ctl.hcxt = cache->context;
	cache->entries = hash_create(cache->name, 32, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	/* the extension may have been dropped and re-created */
	do
	{
		since = ienv_news_time();
		for (int i = 0; i < IENV_CACHE_TABLES && cache->tables[i] != NULL; i++)
		{
			/* queries would read another node's copy, and nobody tell us */
			cache->relids[i] = ienv_table_oid(cache->tables[i]);
			if (!OidIsValid(cache->relids[i]))
				ienv_report_no_placement(cache->tables[i]);
		}
	} while (cache->changed > since);
	cache->valid = true;
}
