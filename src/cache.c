/*-------------------------------------------------------------------------
 *
 * cache.c
 *	  What a backend has read from the registry's other tables.
 *
 * For functions that an application calls on every request.  A cache names the
 * tables that its entries were read from; each has a trigger, table_changed(), that
 * sends a relcache invalidation, and whoever hears it drops all entries at his next
 * look-up.  Entries must be read with ienv_query_latest(), like this:
 *
 *		entry = ienv_cache_find(&cache, &key);
 *		if (entry == NULL)
 *		{
 *			do
 *			{
 *				changes = ienv_cache_changes(&cache);
 *				... read ...
 *				entry = ienv_cache_enter(&cache, &key, changes);
 *			} while (entry == NULL);
 *			... fill, what it points to in cache.context ...
 *		}
 *
 * so that news which arrives while the tables are read makes them be read again.
 * An entry is good until the next look-up in its cache.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "instance_env.h"

static IenvCache *caches = NULL;

static void prepare(IenvCache *cache);

PG_FUNCTION_INFO_V1(instance_env_table_changed);

/*
 * table_changed() RETURNS trigger
 *
 * AFTER statement trigger: every backend forgets what it has read from this table
 * when the transaction commits, this one at its next command.
 */
Datum
instance_env_table_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "table_changed")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}

/*
 * Relcache callback: empties no cache yet, for a caller up the stack may be reading.
 */
static void
table_invalidated(Datum arg, Oid relid)
{
	for (IenvCache *cache = caches; cache != NULL; cache = cache->next)
	{
		bool		concerned = !OidIsValid(relid);

		for (int i = 0; i < IENV_CACHE_TABLES && cache->tables[i] != NULL; i++)
			concerned = concerned || cache->relids[i] == relid;
		if (concerned)
		{
			cache->valid = false;
			cache->changes++;
		}
	}
}

/*
 * The entry for this key, or NULL.
 */
void *
ienv_cache_find(IenvCache *cache, const void *key)
{
	/* a function that is called all the time may take no lock that would look for news */
	AcceptInvalidationMessages();
	if (!cache->valid)
		return NULL;
	return hash_search(cache->entries, key, HASH_FIND, NULL);
}

/*
 * How often the cache's tables have changed, to be asked before they are read.
 */
uint64
ienv_cache_changes(IenvCache *cache)
{
	if (!cache->valid)
		prepare(cache);
	return cache->changes;
}

/*
 * A new entry, of which only the key is set; NULL if the tables have changed.
 */
void *
ienv_cache_enter(IenvCache *cache, const void *key, uint64 changes)
{
	if (cache->changes != changes)
		return NULL;
	if (hash_get_num_entries(cache->entries) >= cache->max_entries)
	{
		prepare(cache);
		if (cache->changes != changes)
			return NULL;
	}
	return hash_search(cache->entries, key, HASH_ENTER, NULL);
}

/*
 * Make the cache empty and valid.
 */
static void
prepare(IenvCache *cache)
{
	HASHCTL		ctl;
	uint64		changes;

	if (cache->context == NULL)
	{
		cache->context = AllocSetContextCreate(CacheMemoryContext, "instance_env cache", ALLOCSET_SMALL_SIZES);
		MemoryContextSetIdentifier(cache->context, cache->name);
		if (caches == NULL)
			CacheRegisterRelcacheCallback(table_invalidated, (Datum) 0);
		cache->next = caches;
		caches = cache;
	}

	/* an error on the way leaves it so */
	cache->valid = false;
	cache->entries = NULL;
	MemoryContextReset(cache->context);
	ctl.keysize = cache->keysize;
	ctl.entrysize = cache->entrysize;
	ctl.hcxt = cache->context;
	cache->entries = hash_create(cache->name, 32, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	/* the extension may have been dropped and created */
	do
	{
		changes = cache->changes;
		for (int i = 0; i < IENV_CACHE_TABLES && cache->tables[i] != NULL; i++)
			cache->relids[i] = get_relname_relid(cache->tables[i], ienv_oids()->schema);
	} while (changes != cache->changes);
	cache->valid = true;
}
