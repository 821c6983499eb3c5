/*-------------------------------------------------------------------------
 *
 * guard_cache.c
 *	  A backend's cache of how tables are guarded.
 *
 * What guard_read.c reads is cached by relation and marked invalid by relcache
 * invalidations, which are sent by every change of triggers, indexes and
 * partitions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "base/news.h"
#include "table/table.h"

typedef struct GuardEntry
{
	IenvGuard	guard;			/* relid is the hash key, must be first */
	bool		valid;
	bool		guarded;		/* false: the relation has none of our
								 * triggers */
} GuardEntry;

static HTAB *guards = NULL;
static GuardEntry *last = NULL; /* the one last asked for, or NULL */

static uint64 readings = 0;		/* how many have found a guard */

/* when anything was last invalidated, as measured by ienv_news_time() */
static uint64 invalidated = 0;

static void outdate(GuardEntry *entry);

/* does an entry say that it may be a shard, of which its table will tell? */
static bool undecided = false;

static bool same_labels(const IenvGuard *a, const IenvGuard *b);

/*
 * Relcache callback: what was read about relid, or about all relations, must
 * be read again.
 */
static void
relation_invalidated(Oid relid)
{
	HASH_SEQ_STATUS status;
	GuardEntry *entry;

	invalidated = ienv_news_time();
	if (OidIsValid(relid) && !undecided)
	{
		entry = hash_search(guards, &relid, HASH_FIND, NULL);
		if (entry == NULL)
			return;
		outdate(entry);

		/*
		 * what the root's entry says about all its partitions is outdated as
		 * well
		 */
		if (entry->guarded && entry->guard.root != relid)
		{
			entry = hash_search(guards, &entry->guard.root, HASH_FIND, NULL);
			if (entry != NULL)
				outdate(entry);
		}
		return;
	}
	hash_seq_init(&status, guards);
	while ((entry = hash_seq_search(&status)) != NULL)
		outdate(entry);
}

static void
outdate(GuardEntry *entry)
{
	entry->valid = false;
	entry->guard.reading = 0;
}

/*
 * How the relation is guarded, or NULL if it is not.
 *
 * Nothing need be locked: a relation that is gone is not guarded.  The result
 * lives as long as the backend, but may be changed by another call.
 */
IenvGuard *
ienv_guard_of(Oid relid)
{
	GuardEntry *entry;
	bool		found;

	/* rows tend to come in runs */
	if (last != NULL && last->valid && last->guarded &&
		last->guard.relid == relid)
		return &last->guard;

	if (guards == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(GuardEntry);
		guards = hash_create("instance_env guards", 64, &ctl,
							 HASH_ELEM | HASH_BLOBS);
		ienv_on_invalidation(relation_invalidated);
	}

	entry = hash_search(guards, &relid, HASH_FIND, NULL);
	if (entry == NULL || !entry->valid)
	{
		Relation	rel = try_relation_open(relid, AccessShareLock);
		IenvGuard	guard;
		int			present;
		int			disabled;
		bool		guarded;
		uint64		since;

		if (rel == NULL)
			return NULL;
		do
		{
			since = ienv_news_time();
			guarded = ienv_read_guard(rel, &guard, &present, &disabled);
		} while (invalidated > since);
		entry = hash_search(guards, &relid, HASH_ENTER, &found);
		if (!found)
		{
			entry->guarded = false;
			entry->guard.relid = relid;
			entry->guard.label = NULL;
		}
		outdate(entry);
		if (guarded)
		{
			/* labels rarely change, and a caller may hold a pointer to one */
			if (same_labels(&entry->guard, &guard))
			{
				guard.label = entry->guard.label;
				guard.user_label = entry->guard.user_label;
			}
			else
			{
				guard.label = MemoryContextStrdup(CacheMemoryContext,
												  guard.label);
				guard.user_label = MemoryContextStrdup(CacheMemoryContext,
													   guard.user_label);
			}
			entry->guard = guard;
			entry->guard.reading = ++readings;
		}
		entry->guarded = guarded;
		entry->valid = true;
		undecided = undecided || (guarded && guard.undecided);
		relation_close(rel, AccessShareLock);
	}
	last = entry;
	return entry->guarded ? &entry->guard : NULL;
}

/*
 * Are the triggers that count the rows of root, a guarded table, certain to be
 * those of this version (guard_version.c)?  Never if that is 0.  Looks at
 * nothing but the cache, so it waits for no lock.
 */
bool
ienv_guard_has_version(Oid root, uint64 version)
{
	const GuardEntry *entry = last;

	if (entry == NULL || entry->guard.relid != root)
		entry = guards == NULL ? NULL :
			hash_search(guards, &root, HASH_FIND, NULL);
	return version != 0 && entry != NULL && entry->valid && entry->guarded &&
		entry->guard.tree_valid && entry->guard.tree_version == version;
}

static bool
same_labels(const IenvGuard *a, const IenvGuard *b)
{
	return a->label != NULL && strcmp(a->label, b->label) == 0 &&
		strcmp(a->user_label, b->user_label) == 0;
}
