/*-------------------------------------------------------------------------
 *
 * floor.c
 *	  A lower bound on the number of users of an instance, kept in shared
 *	  memory, which tells which thresholds have been passed.
 *
 * Nothing is admitted by it.  It is in the bucket of the bound (bound.c), and
 * stored by a count that begins as described there, of the rows that are
 * committed and that nobody is deleting or replacing.  What lowers the number
 * of users must lower the floor as well:
 *
 * - A transaction that has deleted rows lowers the floor right after step a.
 *	 there, under the spinlock.  A count stores its
 *	 floor only if leaving has not changed since A., which it checks under the
 *	 spinlock.  So either it does not store, or the transaction lowers what it
 *	 has stored; and one that was past a. at A. had deleted its rows before the
 *	 scan, which therefore has left them out, whether or not it is past d. by
 *	 then.
 * - The floor is lowered for each row, those included that the transaction
 *	 itself had updated before; a floor that is too low costs a count.
 * - When it has committed, it raises the floor by the rows that it has added
 *	 since its first delete, unless another floor has been stored after a., which
 *	 may have counted them.  Somebody else may have deleted them by then, and so
 *	 lowered the floor first: where it cannot be lowered, it becomes unknown.
 *	 So a floor stays where it is while users who leave are replaced by others.
 * - A transaction with deletes of more instances than vacancy.c remembers
 *	 gives up all floors of its database, in the same way.
 * - One that is prepared lowers it when it is prepared.
 * - TRUNCATE, which locks out those who count, gives up the floors of its
 *	 table at once.  (Who stores a floor keeps a lock on the table.)
 * - Where deletes fire no trigger because identities are not tracked, a floor
 *	 fades: threshold_look.c lets it hold for a few tickets only.  Where they do not because the
 *	 trigger is disabled, or the delete was replicated, the floor is too high
 *	 until the next count, and a threshold may be passed unnoticed.
 *
 * The keys of floors are compared without version and era when one is lowered,
 * and with them when it is used.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "base/base.h"
#include "cap/bucket.h"
#include "cap/cap.h"

/*
 * What the bucket says about an instance's users; false if it says nothing.
 */
bool
ienv_read_floor(IenvBucket *bucket, const IenvBoundKey *key,
				IenvFloor *floor)
{
	uint64		base;
	uint64		since;
	bool		same;

	if (key->version == 0)
		return false;
	SpinLockAcquire(&bucket->mutex);
	same = memcmp(key, &bucket->key, sizeof(*key)) == 0;
	base = bucket->base;
	floor->users = bucket->floor;
	floor->unseen = bucket->unseen;
	since = bucket->floor_tickets;
	SpinLockRelease(&bucket->mutex);
	if (!same)
		return false;

	pg_read_barrier();
	floor->bound = ienv_users_at_most(bucket, base);
	floor->age = ienv_users_at_most(bucket, since);
	return true;
}

/*
 * Store what threshold.c has found by such a count: users are those that are
 * committed and that nobody is deleting.  unseen is NULL if the caller does not
 * hold the lock on the pair.  A bucket that has meanwhile become another
 * pair's is left alone.
 */
void
ienv_store_floor(IenvBucket *bucket, const IenvBoundKey *key,
				 const IenvCountMark *mark, int64 users, const int64 *unseen)
{
	SpinLockAcquire(&bucket->mutex);
	if (memcmp(key, &bucket->key, sizeof(*key)) == 0)
	{
		if (unseen != NULL)
			bucket->unseen = *unseen;
		if (pg_atomic_read_u64(&bucket->leaving) == mark->leaving)
		{
			bucket->floor = users;
			bucket->floors++;
			bucket->floor_tickets = mark->tickets;
		}
	}
	SpinLockRelease(&bucket->mutex);
}

/*
 * Note that a threshold above that number of users may be passed without being
 * counted.
 */
void
ienv_store_unseen(IenvBucket *bucket, const IenvBoundKey *key, int64 users)
{
	SpinLockAcquire(&bucket->mutex);
	if (memcmp(key, &bucket->key, sizeof(*key)) == 0 && bucket->unseen < 0)
		bucket->unseen = users;
	SpinLockRelease(&bucket->mutex);
}

/*
 * The transaction is about to commit, and has not locked its pair.  A full
 * barrier: what it reads of the bucket, it reads afterwards.
 */
void
ienv_commit_begins(IenvBucket *bucket)
{
	pg_atomic_fetch_add_u32(&bucket->committing, 1);
}

/*
 * It has ended, or is about to lock its pair.
 */
void
ienv_commit_ends(IenvBucket *bucket)
{
	pg_atomic_fetch_sub_u32(&bucket->committing, 1);
}

/*
 * How many such transactions there are.
 */
int
ienv_commits(IenvBucket *bucket)
{
	return pg_atomic_read_u32(&bucket->committing);
}

/*
 * Called when a table, or one of its partitions, is truncated: give up its
 * floors.  Until the transaction ends, nobody else can count the table.
 *
 * A table can have a thousand partitions, each of which calls this.
 */
void
ienv_void_floors_of(Oid root)
{
	static LocalTransactionId done_lxid = InvalidLocalTransactionId;
	static SubTransactionId done_subxact;
	static Oid	done_root;
	int			n = 0;
	IenvBucket *bucket = ienv_shared_memory(&ienv_buckets_array, &n);

	if (done_lxid == ienv_lxid() &&
		done_subxact == GetCurrentSubTransactionId() && done_root == root)
		return;
	for (; bucket != NULL && n > 0; n--, bucket++)
	{
		SpinLockAcquire(&bucket->mutex);
		if (bucket->key.database == MyDatabaseId && bucket->key.root == root)
			bucket->floor = -1;
		SpinLockRelease(&bucket->mutex);
	}
	done_lxid = ienv_lxid();
	done_subxact = GetCurrentSubTransactionId();
	done_root = root;
}

/*
 * Called before a transaction commits deletes that it has lost count of: give
 * up all floors of this database.
 */
void
ienv_void_floors(void)
{
	int			n = 0;
	IenvBucket *bucket = ienv_shared_memory(&ienv_buckets_array, &n);

	for (; bucket != NULL && n > 0; n--, bucket++)
	{
		/* a count that has begun stores nothing */
		pg_atomic_fetch_add_u64(&bucket->leaving, 1);
		SpinLockAcquire(&bucket->mutex);
		if (bucket->key.database == MyDatabaseId)
			bucket->floor = -1;
		SpinLockRelease(&bucket->mutex);
		pg_atomic_fetch_add_u64(&bucket->left, 1);
	}
}
