/*-------------------------------------------------------------------------
 *
 * threshold_look.c
 *	  Has a transaction that is about to commit passed a threshold?
 *
 * threshold.c has the rule.  All of this must not make the transaction fail
 * if it can be avoided, and must not wait for a lock on a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/base.h"
#include "cap/cap.h"
#include "cap/seats.h"
#include "cap/threshold.h"
#include "registry/registry.h"
#include "table/table.h"

/* A threshold of an instance */
typedef struct Mark
{
	int64		users;
	int			percent;		/* 0: the first user beyond a soft cap */
} Mark;

#define MAX_MARKS	(IENV_MAX_THRESHOLDS + 1)

/* What has been counted */
typedef struct Count
{
	IenvBoundKey key;
	IenvCountMark mark;
	IenvFloor	floor;			/* what the bucket said before */
	int64		before;			/* committed users */
	int64		after;			/* the same with my changes */
	int64		open;			/* what others have inserted that are open */
	int64		settled;		/* committed, and nobody deletes them */
	int64		rows;			/* see ienv_store_base() */
	bool		complete;
} Count;

/* How long to wait for those who commit, in milliseconds */
#define MAX_WAIT	1000

bool		ienv_notify_thresholds = true;

static void look_closely(IenvWatched *w, const IenvInstance *instance,
						 const Mark *marks, int n, Count *count, bool known,
						 bool commits);
static void tell(const IenvWatched *w, const IenvInstance *instance,
				 const Mark *marks, int n, int64 first, int64 before,
				 int64 after, bool commits);
static bool count_for_prepare(const IenvWatched *w,
							  const IenvInstance *instance, Count *count);
static bool count_users(const IenvWatched *w, const IenvInstance *instance,
						Count *count);
static void lock_pair(const IenvWatched *w);
static void wait_for_commits(IenvBucket *bucket, int mine);

/*
 * Define the setting.
 */
void
ienv_thresholds_init(void)
{
	DefineCustomBoolVariable(IENV_SCHEMA ".notify_thresholds",
							 "Notifies and warns when a development instance nears its user cap.",
							 "Policy user_cap_thresholds says when.",
							 &ienv_notify_thresholds, true, PGC_SUSET, 0, NULL,
							 NULL, NULL);
}

/*
 * An instance's thresholds; returns how many there are.
 */
static int
marks_of(const IenvInstance *instance, Mark *marks)
{
	int			n = 0;

	if (ienv_notify_thresholds && instance->user_cap > 0)
		for (int i = 0; i < instance->nthresholds; i++)
		{
			marks[n].percent = instance->thresholds[i];
			marks[n].users = ienv_threshold_users(instance, marks[n].percent);
			n++;
		}
	if (instance->soft)
	{
		marks[n].percent = 0;
		marks[n].users = (int64) instance->user_cap + 1;
		n++;
	}
	return n;
}

/*
 * Is one of them passed on the way from "from" to "to" users?
 */
static bool
passes(const Mark *marks, int n, int64 from, int64 to)
{
	for (int i = 0; i < n; i++)
		if (from < marks[i].users && marks[i].users <= to)
			return true;
	return false;
}

/*
 * Where deletes go unseen, a floor holds for half as many tickets as it is
 * above the highest threshold that it has passed.
 */
static void
fade(IenvFloor *floor, const Mark *marks, int n)
{
	int64		passed = 0;

	for (int i = 0; i < n; i++)
		if (marks[i].users <= floor->users)
			passed = Max(passed, marks[i].users);
	if (floor->age > (floor->users - passed) / 2)
		floor->users = -1;
}

/*
 * Does the bucket answer question 2, given what I have deleted?  Sets *known
 * if count->key and count->floor are set.
 *
 * To compute the version of the triggers anew could mean to wait for a
 * partition.
 */
static bool
is_known(const IenvWatched *w, const IenvInstance *instance,
		 const IenvGuard *root, const Mark *marks, int n, Count *count,
		 bool *known)
{
	*known = false;
	if (w->bucket == NULL || !root->tree_valid)
		return false;
	ienv_bound_key(&count->key, w->root, root->tree_version, instance);
	*known = ienv_read_floor(w->bucket, &count->key, &count->floor);
	if (*known && !OidIsValid(root->departure_trigger))
		fade(&count->floor, marks, n);
	return *known && count->floor.unseen < 0 &&
		!passes(marks, n, count->floor.users,
				count->floor.bound - ienv_vacated(&count->key));
}

/*
 * Look at a pair; see threshold.c.  The transaction commits, or is prepared.
 */
void
ienv_look(IenvWatched *w, bool commits)
{
	const IenvInstance *found = ienv_instance_by_id(&w->instance);
	IenvInstance instance;
	const IenvGuard *root;
	Mark		marks[MAX_MARKS];
	int			n;
	Count		count;
	bool		known;
	MemoryContext caller;
	MemoryContext context;

	/* what it was in may be gone */
	if (found == NULL || found->user_cap < 0 ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(w->root)))
		return;
	instance = *found;
	n = marks_of(&instance, marks);
	root = ienv_guard_of(w->root);
	if (n == 0 || root == NULL || root->is_uuid != w->is_uuid)
		return;
	if (is_known(w, &instance, root, marks, n, &count, &known))
	{
		if (instance.soft && count.floor.users > instance.user_cap)
			ienv_warn_of_soft_cap(root, w->value, &instance, -1);
		return;
	}

	context = AllocSetContextCreate(CurrentMemoryContext,
									"instance_env threshold",
									ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	look_closely(w, &instance, marks, n, &count, known, commits);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/*
 * Count, and say what is passed; with known, *count has what the bucket says.
 */
static void
look_closely(IenvWatched *w, const IenvInstance *instance,
			 const Mark *marks, int n, Count *count, bool known, bool commits)
{
	int64		first;
	bool		locked = false;

	for (;;)
	{
		if (!(commits ? count_users(w, instance, count) :
			  count_for_prepare(w, instance, count)))
		{
			/* the next one that can count compares with what is known */
			if (known && commits && count->floor.users >= 0)
				ienv_store_unseen(w->bucket, &count->key, count->floor.users);
			return;
		}
		first = count->floor.unseen < 0 ? count->before :
			Min(count->before, count->floor.unseen);
		if (locked || !commits ||
			(count->floor.unseen < 0 &&
			 !passes(marks, n, first, count->after + count->open)))
			break;
		if (w->committing)
			ienv_commit_ends(w->bucket);
		w->committing = false;
		lock_pair(w);
		locked = true;
		if (w->bucket != NULL)
			wait_for_commits(w->bucket, w->beside);
	}
	if (w->bucket != NULL && count->complete && commits)
	{
		int64		unseen = passes(marks, n, count->after,
									count->after + count->open) ? count->after : -1;

		ienv_store_base(w->bucket, &count->key, &count->mark, count->rows);
		ienv_store_floor(w->bucket, &count->key, &count->mark, count->settled,
						 locked ? &unseen : NULL);
	}
	if (w->bucket != NULL && count->complete && !commits &&
		OidIsValid(ienv_shell_of(w->root)) &&
		passes(marks, n, first, count->after))
		ienv_store_unseen(w->bucket, &count->key, first);
	tell(w, instance, marks, n, first, count->before, count->after, commits);
}

/*
 * Say what is passed on the way from "first" users.
 */
static void
tell(const IenvWatched *w, const IenvInstance *instance, const Mark *marks, int n,
	 int64 first, int64 before, int64 after, bool commits)
{
	const IenvGuard *root = ienv_guard_of(w->root);
	int			highest = 0;

	for (int i = 0; i < n; i++)
	{
		if (first >= marks[i].users || marks[i].users > after)
			continue;
		if (marks[i].percent == 0)
			ienv_record_soft_cap(root, instance, before, after);
		else if (commits)
			ienv_notify_threshold(root, instance, marks[i].percent, after);
		highest = Max(highest, marks[i].percent);
	}
	if (highest > 0)
		ienv_warn_of_threshold(root, w->value, instance, highest, after);
	if (instance->soft && after > instance->user_cap)
		ienv_warn_of_soft_cap(root, w->value, instance, after);
}

/*
 * Count the users of a pair for a transaction that is about to be prepared.
 * What has been locked for that is released at once: the locks of a prepared
 * transaction stay for as long as it does, and those on partitions that it has
 * not touched would be in everybody's way.
 */
static bool
count_for_prepare(const IenvWatched *w, const IenvInstance *instance,
				  Count *count)
{
	ResourceOwner caller = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(caller, "instance_env threshold");
	bool		counted;

	CurrentResourceOwner = owner;
	counted = count_users(w, instance, count);
	CurrentResourceOwner = caller;
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(owner);
	return counted;
}

/*
 * Count the users of a pair, unless that would mean to wait for a lock, or to
 * read the whole table.  The locks on the table are kept, so that nobody can
 * truncate it before the floor is stored.
 */
static bool
count_users(const IenvWatched *w, const IenvInstance *instance, Count *count)
{
	const IenvGuard *guard;
	Datum		value;
	Snapshot	snapshot;
	IenvTally	mine = {0};
	IenvTally	others = {0};

	CHECK_FOR_INTERRUPTS();
	if (ienv_has_too_many_partitions(w->root) ||
		!ienv_lock_rows_at_once(w->root) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(w->root)))
		return false;
	guard = ienv_countable(w->root);
	if (guard == NULL || guard->is_uuid != w->is_uuid)
		return false;
	value = w->is_uuid ? UUIDPGetDatum(&w->instance) : w->value;

	memset(count, 0, sizeof(*count));
	count->floor.unseen = -1;
	if (w->bucket != NULL)
	{
		ienv_bound_key(&count->key, w->root, ienv_guard_version(guard),
					   instance);
		if (!ienv_read_floor(w->bucket, &count->key, &count->floor))
			count->floor.unseen = -1;
		ienv_count_begins(w->bucket, &count->mark);
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (w->bucket != NULL)
		ienv_count_has_snapshot(w->bucket, &count->mark);
	count->complete = ienv_count_seats(&mine, &others, guard, value,
									   PG_INT64_MAX, snapshot);
	UnregisterSnapshot(snapshot);

	/* what somebody else is deleting is there until that is committed */
	count->after = mine.committed + mine.mine;
	for (int i = 0; i < mine.nclaims; i++)
	{
		count->after += mine.claims[i].deletes;
		count->open += mine.claims[i].inserts;
	}
	count->before = others.committed;
	for (int i = 0; i < others.nclaims; i++)
		count->before += others.claims[i].deletes;
	count->settled = ienv_settled_rows(&others);
	count->rows = ienv_rows_for_anybody(&others);
	ienv_end_tally(&mine);
	ienv_end_tally(&others);
	return true;
}

/*
 * Wait until nobody else is about to pass a threshold of the pair, and keep
 * others from it until the transaction has ended.
 *
 * Those who hold the lock are about to commit, so lock_timeout, which would
 * make this transaction fail, need not limit that.
 */
static void
lock_pair(const IenvWatched *w)
{
	LOCKTAG		tag;
	int			nest_level = NewGUCNestLevel();

	/* no object of the table has a number of this kind */
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, w->root,
					   hash_bytes(w->instance.data, UUID_LEN), 1);
	(void) set_config_option("lock_timeout", "0", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	AtEOXact_GUC(true, nest_level);
}

/*
 * Wait until those who are committing without the lock have done so; see
 * threshold.c.  "mine" is how many of them I am myself.
 *
 * That takes as long as it takes to write a commit record, unless they wait
 * for a standby, or keep coming because another pair has the same bucket.
 */
static void
wait_for_commits(IenvBucket *bucket, int mine)
{
	for (int waited = 0; waited < MAX_WAIT; waited++)
	{
		if (ienv_commits(bucket) <= mine)
			return;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
