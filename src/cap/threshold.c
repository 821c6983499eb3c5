/*-------------------------------------------------------------------------
 *
 * threshold.c
 *	  Warnings before the cap bites, and at a soft cap.
 *
 * A threshold is a number of users, a percentage of the cap (policy
 * user_cap_thresholds).  When a transaction takes an instance to it, those who
 * listen on channel instance_env are notified, and the session is warned, once
 * for each time that the threshold is passed.  Soft caps have one more, the
 * first user beyond the cap.
 *
 * Whether a transaction passes a threshold is known only when it commits: so
 * far, others may come and go.  So an admission (user_cap.c) only leaves a
 * note of the pair of table and instance here, with the base of its bound.
 * When the transaction is about to commit, three questions are asked of each
 * note, the cheapest first:
 *
 * 1. Is the bound, with the tickets that have been taken since, below the
 *	  lowest threshold, and are the triggers that take them still the same?
 *	  Then nothing is passed, by anybody who has taken a ticket by now.  For
 *	  most transactions, that is all.
 * 2. Is there no threshold T with floor < T <= bound (floor.c)?  Then the
 *	  instance has passed those up to the floor, and can have passed no other.
 * 3. Otherwise the users are counted, relative to a fresh snapshot: "before",
 *	  those that are committed, and "after", the same with my own changes.  I
 *	  pass T if before < T <= after.  The bound becomes tight by that, and the
 *	  floor is stored, so that question 2 answers for those who come next.
 *
 * Two that commit at the same time.  If a threshold may be passed, one first
 * takes a lock on the pair, which is held until after the commit, and counts
 * again.  So of two that look, the second one finds the first one committed,
 * and exactly one of them passes T.  Those who need not count take no lock.
 * Locks are taken in the order of the pairs, when all other work is done, so
 * they lead to no deadlock with each other.
 *
 * One that has looked already.  A transaction asks question 1 when it is about
 * to commit.  If another one took its tickets after that, and counted before
 * the first had committed, each would find too few.  So a transaction says in
 * the bucket that it is "committing" before it asks, until it has ended or
 * locks the pair.  Whoever has the lock waits, before it counts, until nobody
 * is.  The rows that it then finds open are of someone who will see its tickets
 * when looking, and wait for the lock; or who rolls back.
 *
 * That wait is limited, in case somebody waits for a standby meanwhile.  Then,
 * and for what is prepared, nobody knows of a row that is open whether its
 * transaction will look.  Where such rows could make up for what is missing to
 * a threshold, one leaves a note in the bucket ("unseen", the number of users
 * that it has seen).  The next one that looks takes the threshold for passed if
 * the number of users is beyond it by then and was not at that time.  So the
 * warning is given once, at the latest by the next transaction that adds a
 * user.
 *
 * Falls.  The floor is lowered with each user that leaves, so one that falls
 * below T is looked at again, and the instance can pass T again.  No mark says
 * that a threshold was passed, so there is none that could be wrong after a
 * crash: then nothing is known, and the first one that looks finds out.
 *
 * What is left out.  Without shared memory the users are counted whenever an
 * admission has found half as many as the lowest threshold; so a transaction
 * may pass a threshold unnoticed while the table doubles between its insert
 * and its commit, or if two commit at the same time.  Rows that are applied by
 * replication are not looked at.
 * Nothing here waits for a lock on a table, since the transaction already
 * holds others: what cannot be counted at once is left for the next one, which
 * takes the floor for the number of users that was seen last.  A transaction
 * that is prepared may neither keep the lock nor notify anybody: it counts
 * without it, and only warns.  On a Citus cluster a transaction is prepared
 * whenever it has written on two nodes, and what it warns of gets no further
 * than the log of the server; so there it leaves a note for the next one, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "cap/cap.h"
#include "cap/threshold.h"
#include "registry/registry.h"

/*
 * Usual and greatest number of pairs; what a transaction passes in others goes
 * unnoticed
 */
#define FEW_WATCHED		16
#define MAX_WATCHED		8192

static IenvWatched *watched = NULL;
static int	nwatched = 0;
static int	max_watched = 0;

static void transaction_ends(XactEvent event, void *arg);
static int64 lowest_threshold(const IenvInstance *instance);
static bool make_room(void);
static bool is_below(const IenvWatched *w);
static void look_at_all(bool commits);

/*
 * Called when rows of a development instance have been admitted: look when the
 * transaction commits.  guard describes the table or partition, value is its
 * instance column's.
 *
 * base was valid at any time in this transaction, while the triggers had this
 * version, or is IENV_NO_BASE.  Without a bucket, it is the greatest number of
 * users that the admission has found, or IENV_NO_BASE.
 */
void
ienv_watch(const IenvGuard *guard, const IenvInstance *instance, Datum value,
		   IenvBucket *bucket, uint64 base, uint64 version)
{
	static bool registered = false;
	IenvWatched *w;

	if (lowest_threshold(instance) == PG_INT64_MAX)
		return;

	w = nwatched > 0 ? &watched[nwatched - 1] : NULL;
	if (w == NULL || w->root != guard->root ||
		memcmp(&w->instance, &instance->id, UUID_LEN) != 0)
	{
		if (!registered)
			RegisterXactCallback(transaction_ends, NULL);
		registered = true;
		if (nwatched == max_watched && !make_room())
			return;
		w = &watched[nwatched];
		w->root = guard->root;
		w->instance = instance->id;
		w->is_uuid = guard->is_uuid;
		w->value = (Datum) 0;
		w->committing = false;
		if (!guard->is_uuid)
		{
			MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

			w->value = datumCopy(value, false, -1);
			MemoryContextSwitchTo(caller);
		}
		nwatched++;
	}
	w->bucket = bucket;
	w->base = base;
	w->version = version;
}

/*
 * The lowest threshold of an instance, in users; PG_INT64_MAX if there is none.
 */
static int64
lowest_threshold(const IenvInstance *instance)
{
	int64		lowest = PG_INT64_MAX;

	if (ienv_notify_thresholds && instance->nthresholds > 0 &&
		instance->user_cap > 0)
		lowest = ienv_threshold_users(instance, instance->thresholds[0]);
	if (instance->soft)
		lowest = Min(lowest, (int64) instance->user_cap + 1);
	return lowest;
}

/*
 * The order in which pairs are locked.
 */
static int
compare_watched(const void *a, const void *b)
{
	const IenvWatched *x = a;
	const IenvWatched *y = b;

	if (x->root != y->root)
		return x->root < y->root ? -1 : 1;
	return memcmp(&x->instance, &y->instance, UUID_LEN);
}

/*
 * Put the pairs in order, each once, with the tightest of its bases: the rows
 * that came in after a base was valid have their tickets since then, unless the
 * triggers have changed meanwhile.
 */
static void
sort_watched(void)
{
	int			n = 0;

	if (nwatched < 2)
		return;
	qsort(watched, nwatched, sizeof(IenvWatched), compare_watched);
	for (int i = 1; i < nwatched; i++)
	{
		if (compare_watched(&watched[n], &watched[i]) != 0)
			watched[++n] = watched[i];
		else if (watched[i].version != watched[n].version)
			watched[n].base = IENV_NO_BASE;
		else if ((int64) (watched[i].base - watched[n].base) > 0)
			watched[n].base = watched[i].base;
	}
	nwatched = n + 1;
}

/*
 * Make room for another pair; false if there are too many.
 */
static bool
make_room(void)
{
	int			size = Max(FEW_WATCHED, Min(max_watched * 2, MAX_WATCHED));

	if (max_watched == MAX_WATCHED)
	{
		sort_watched();
		return nwatched < MAX_WATCHED / 2;
	}
	if (watched == NULL)
		watched = MemoryContextAlloc(TopMemoryContext,
									 size * sizeof(IenvWatched));
	else
		watched = repalloc(watched, size * sizeof(IenvWatched));
	max_watched = size;
	return true;
}

/*
 * The end of a transaction.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			look_at_all(true);
			break;
		case XACT_EVENT_PRE_PREPARE:
			look_at_all(false);
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			for (int i = 0; i < nwatched; i++)
				if (watched[i].committing)
					ienv_commit_ends(watched[i].bucket);
			nwatched = 0;
			if (max_watched > FEW_WATCHED)
			{
				pfree(watched);
				watched = NULL;
				max_watched = 0;
			}
			break;
		default:
			break;
	}
}

/*
 * Is the extension still there, or has this transaction dropped it?
 */
static bool
is_installed(void)
{
	Oid			schema = get_namespace_oid(IENV_SCHEMA, true);

	return OidIsValid(schema) &&
		OidIsValid(get_relname_relid("instance", schema));
}

/*
 * Is it certain that a pair is below the lowest threshold that its instance
 * has now?  The cap may have changed since the rows came in.
 *
 * If the triggers are the same, the extension is still there.
 */
static bool
is_below(const IenvWatched *w)
{
	const IenvInstance *instance;

	if (w->bucket != NULL && !ienv_guard_has_version(w->root, w->version))
		return false;
	instance = ienv_instance_by_id(&w->instance);
	if (instance == NULL || instance->user_cap < 0)
		return false;
	if (w->bucket != NULL)
		return ienv_users_at_most(w->bucket, w->base) <
			lowest_threshold(instance);
	return w->base != IENV_NO_BASE &&
		(int64) w->base < lowest_threshold(instance) / 2;
}

/*
 * Look at all pairs that may have passed a threshold.  In their order, because
 * whoever has locked one waits for those who commit without a lock on it.
 */
static void
look_at_all(bool commits)
{
	bool		installed = false;

	sort_watched();
	for (int i = 0; i < nwatched; i++)
	{
		IenvWatched *w = &watched[i];

		if (w->bucket != NULL)
		{
			ienv_commit_begins(w->bucket);
			w->committing = true;
			if (is_below(w))
				continue;
		}
		if (!installed && !is_installed())
			return;
		installed = true;
		if (w->bucket == NULL && is_below(w))
			continue;
		w->beside = 0;
		for (int j = 0; j < i; j++)
			w->beside += watched[j].committing && watched[j].bucket == w->bucket;
		ienv_look(w, commits);
	}
}
