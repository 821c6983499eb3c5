/*-------------------------------------------------------------------------
 *
 * bound.c
 *	  An upper bound on the number of users of an instance, kept in shared
 *	  memory, which permits admission without a scan.
 *
 * There is an array of buckets, and each pair of guarded table and instance is
 * mapped to one of them by a hash.  A bucket holds two numbers:
 *
 * - tickets: how many rows have ever been inserted for any pair that maps to
 *	 the bucket.  It never decreases.
 * - base: tickets minus users, as of an exact count of one pair, plus the rows
 *	 of that pair whose deletes have been released since.  The bucket records
 *	 which pair that is.
 *
 * The instance has at most tickets - base users, and if that does not exceed
 * its cap, a row is admitted without looking at the table.
 *
 * Why that never admits one row too many.  A transaction that inserts takes
 * these steps, in this order:
 *
 *	 1. its row is put into the heap and its indexes;
 *	 2. it takes a ticket (pg_atomic_fetch_add_u64, a full barrier);
 *	 3. it checks: it reads the base under the bucket's spinlock, then the
 *		tickets, and admits the row if tickets - base - gone <= cap, where gone
 *		is the number of rows of the pair that its own transaction has deleted;
 *		otherwise it counts exactly.
 *
 * All rows of a command are in the table before the first of them is checked,
 * so that check can take the tickets for many rows: then it is made for them
 * all, and the others need none.
 *
 * An exact count can admit all rows of a command at once.  Then they all take
 * their tickets before the snapshot of the count that admits them: a row
 * without a ticket would be missing from a base that another backend computed
 * from a count before the row came in, and stores afterwards.
 *
 * A transaction that has deleted rows (vacancy.c) takes these steps, in this
 * order:
 *
 *	 a. when it is about to commit, it increments "leaving";
 *	 b. it commits, and is removed from the procarray;
 *	 c. if the base is still that of its pair, it adds its rows to the base;
 *	 d. it increments "left".
 *
 * An exact count takes these steps, in this order:
 *
 *	 A. it reads left, then leaving; unless they are equal, it will store
 *		nothing;
 *	 B. it reads the tickets ("then") and takes its snapshot S;
 *	 C. it reads leaving again; if that has changed, it will store nothing;
 *	 D. it scans, and stores then - rows as the base.  rows are all that exist
 *		at S for any transaction: including those that an open transaction is
 *		inserting, and those that are being deleted by an open transaction
 *		(including the counting one) or by one that has committed since S.
 *		Rows that one transaction id has both inserted and deleted are
 *		excluded: they cannot survive in any case, and vacancy.c does not
 *		release rows of its own transaction.
 *
 * So each row contributes at least one to tickets - base until it is released:
 * a row that exists at S is among the rows; one that came into the index after
 * S took its ticket after "then".  And each row that is released into a base
 * had contributed one to it: by A, a transaction that is past a. at that time
 * is also past d., has committed before S, and has already added its rows to
 * the previous base; by C, any other transaction commits after S, so its rows
 * are among the rows or took their tickets after "then".
 *
 * Now suppose that more than cap rows were committed at some moment, and
 * consider the one of them that got the last ticket.  All these rows had their
 * tickets, and so were in the index, before the check that admitted it.  If
 * the check was a scan, see user_cap.c for the argument.  If it used a base:
 * none of these rows had been released by then, because a row is released only
 * after its delete has committed; and none is counted in gone, because those
 * rows disappear with the same commit that makes the last row visible.
 * (Undoing a delete by ROLLBACK TO SAVEPOINT also undoes the inserts that came
 * after it.)  So tickets - base was more than cap + gone, and the row was not
 * admitted: a contradiction.
 *
 * The bound can only be too high: a row that the scan saw before it took its
 * ticket counts twice; an aborted insert leaves its ticket behind; pairs that
 * share a bucket add to each other's count.  The next exact count tightens the
 * bound.  What happens to it when
 *
 * - two pairs collide: their tickets add up; each replaces the other's base,
 *	 and scans more often;
 * - a transaction aborts, or its backend is killed: there is nothing to undo,
 *	 its tickets stay;
 * - the server crashes: the buckets are empty again, and an empty bucket
 *	 admits nothing;
 * - a transaction is prepared: its rows have their tickets, and every count
 *	 finds them in progress; its deletes are not released;
 * - a table is truncated or dropped: the bound stays too high until the next
 *	 scan;
 * - a row is deleted without firing a trigger (identities are not tracked, the
 *	 trigger is disabled, the delete was replicated): the bound stays too high
 *	 as well;
 * - rows come in without a ticket, because the trigger was disabled: that
 *	 changes the version of the set of triggers (guard_version.c), which a base
 *	 must match.  A version never recurs, not even when the triggers are as
 *	 they were before: it is derived from the locations of the triggers' rows
 *	 in pg_trigger, the xids that wrote them, the file of pg_trigger, and our
 *	 database's row in pg_database.  A backend that checks has processed the
 *	 invalidations of all changes committed before (ienv_admit() does so right
 *	 before the check);
 * - a table that already has rows is attached as a partition: the rows take
 *	 their tickets at that time (ddl.c), and the version changes;
 * - rows come in by replication: the trigger is ENABLE ALWAYS, takes a ticket,
 *	 and refuses nothing.  If it is not (ALTER TABLE ... ENABLE TRIGGER makes
 *	 it an ordinary one again), the version is 0 and no bound is used; but the
 *	 other partitions' rows still take their tickets, because that partition
 *	 may be detached or dropped, which restores the previous version;
 * - a row comes in by replication whose instance is not known yet, so that it
 *	 cannot take a ticket: it ends the era, which a base must also match.  Eras
 *	 are numbered in shared memory; the row is in the table before the new era
 *	 begins, and a count reads the era before it takes its snapshot.
 *
 * Without shared memory every admission scans, which is slower but equally
 * correct.
 *
 * A bucket also holds a floor, which floor.c describes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "base/base.h"
#include "cap/bucket.h"
#include "cap/cap.h"
#include "registry/registry.h"

static Size buckets_size(int n);
static void buckets_init(void *memory, int n);

IenvSharedArray ienv_buckets_array = {
	"instance_env buckets", buckets_size, buckets_init, NULL
};

/*
 * The key of the bound on the users of instance in the guarded table root.
 */
void
ienv_bound_key(IenvBoundKey *key, Oid root, uint64 version,
			   const IenvInstance *instance)
{
	pg_atomic_uint64 *era = ienv_shared_era();

	key->database = MyDatabaseId;
	key->root = root;
	key->version = version;
	key->era = era != NULL ? pg_atomic_read_u64(era) : 0;
	key->instance = instance->id;
	key->created_at = instance->created_at;
}

/*
 * Called when a row is in the heap and its indexes that cannot take a ticket:
 * no existing base may be used again.
 */
void
ienv_void_bounds(void)
{
	pg_atomic_uint64 *era = ienv_shared_era();

	if (era != NULL)
		pg_atomic_fetch_add_u64(era, 1);
}

/* The number of bytes that n buckets need. */
static Size
buckets_size(int n)
{
	return mul_size(n, sizeof(IenvBucket));
}

/* Initialize n buckets, none with a base. */
static void
buckets_init(void *memory, int n)
{
	IenvBucket *buckets = memory;

	memset(buckets, 0, buckets_size(n));
	for (int i = 0; i < n; i++)
	{
		pg_atomic_init_u64(&buckets[i].tickets, 0);
		pg_atomic_init_u64(&buckets[i].leaving, 0);
		pg_atomic_init_u64(&buckets[i].left, 0);
		pg_atomic_init_u32(&buckets[i].committing, 0);
		SpinLockInit(&buckets[i].mutex);
	}
}

/*
 * The bucket of a guarded table and an instance, or NULL if there is no shared
 * memory.
 */
IenvBucket *
ienv_bucket_of(Oid root, const IenvInstance *instance)
{
	int			n;
	IenvBucket *buckets = ienv_shared_memory(&ienv_buckets_array, &n);
	IenvBoundKey key;

	if (buckets == NULL)
		return NULL;

	/* tickets go to the same bucket even if the triggers change */
	ienv_bound_key(&key, root, 0, instance);
	key.era = 0;
	return &buckets[hash_bytes((const unsigned char *) &key, sizeof(key)) % n];
}

/*
 * Take tickets for n rows that are in the heap and its indexes.
 */
void
ienv_take_tickets(IenvBucket *bucket, int64 n)
{
	pg_atomic_fetch_add_u64(&bucket->tickets, n);
}

/*
 * Does the bound prove that the instance has no more than limit users?  The
 * caller's row has taken its ticket.  Never true if the triggers do not see
 * every row, in which case the key's version is 0.  If it does, *base is what
 * ienv_users_at_most() takes.
 */
bool
ienv_bound_admits(IenvBucket *bucket, const IenvBoundKey *key, int64 limit,
				  uint64 *base)
{
	bool		same;

	if (key->version == 0)
		return false;
	SpinLockAcquire(&bucket->mutex);
	same = memcmp(key, &bucket->key, sizeof(*key)) == 0;
	*base = bucket->base;
	SpinLockRelease(&bucket->mutex);

	/*
	 * read tickets after base: they must include those that the base was
	 * computed from
	 */
	pg_read_barrier();
	return same && ienv_users_at_most(bucket, *base) <= limit;
}

/*
 * The bound that follows from a base which was valid at any time: the rows that
 * have come in since then have their tickets.
 */
int64
ienv_users_at_most(IenvBucket *bucket, uint64 base)
{
	return (int64) (pg_atomic_read_u64(&bucket->tickets) - base);
}

/*
 * Note what an exact count must know about the bucket before it takes its
 * snapshot.
 */
void
ienv_count_begins(IenvBucket *bucket, IenvCountMark *mark)
{
	uint64		left = pg_atomic_read_u64(&bucket->left);

	pg_read_barrier();
	mark->leaving = pg_atomic_read_u64(&bucket->leaving);
	mark->quiet = mark->leaving == left;
	mark->tickets = pg_atomic_read_u64(&bucket->tickets);

	/* the snapshot must not be taken before that */
	pg_memory_barrier();
}

/*
 * Note what it must know after it has taken its snapshot.
 */
void
ienv_count_has_snapshot(IenvBucket *bucket, IenvCountMark *mark)
{
	pg_memory_barrier();
	mark->quiet = mark->quiet &&
		mark->leaving == pg_atomic_read_u64(&bucket->leaving);
}

/*
 * Store the result of an exact count; rows is the number of rows that exist
 * for any transaction.
 */
void
ienv_store_base(IenvBucket *bucket, const IenvBoundKey *key,
				const IenvCountMark *mark, int64 rows)
{
	uint64		base = mark->tickets - (uint64) rows;

	if (!mark->quiet || key->version == 0)
		return;
	SpinLockAcquire(&bucket->mutex);
	if (memcmp(key, &bucket->key, sizeof(*key)) != 0)
	{
		bucket->key = *key;
		bucket->base = base;
		bucket->floor = -1;
		bucket->floors++;
		bucket->unseen = -1;
	}
	else if ((int64) (base - bucket->base) > 0)
		bucket->base = base;	/* the tighter of two valid bounds */
	SpinLockRelease(&bucket->mutex);
}

/*
 * Called when the transaction is about to commit, after which it will release
 * rows, or to be prepared; it has deleted n rows.  *floors is what
 * ienv_have_left() takes.
 */
void
ienv_leave(IenvBucket *bucket, const IenvBoundKey *key, int64 n,
		   uint32 *floors)
{
	pg_atomic_fetch_add_u64(&bucket->leaving, 1);

	SpinLockAcquire(&bucket->mutex);
	if (bucket->key.database == key->database &&
		bucket->key.root == key->root &&
		memcmp(&bucket->key.instance, &key->instance, UUID_LEN) == 0 &&
		bucket->floor >= 0)
		bucket->floor = Max(bucket->floor - n, -1);
	*floors = bucket->floors;
	SpinLockRelease(&bucket->mutex);
}

/*
 * Called when it has committed and releases n rows, and has added "filled"
 * others, or has aborted, with 0 of both.
 */
void
ienv_have_left(IenvBucket *bucket, const IenvBoundKey *key, int64 n,
			   int64 filled, uint32 floors)
{
	if (n > 0 || filled > 0)
	{
		SpinLockAcquire(&bucket->mutex);
		if (memcmp(key, &bucket->key, sizeof(*key)) == 0)
		{
			bucket->base += n;
			if (bucket->floor >= 0 && bucket->floors == floors)
				bucket->floor += filled;
		}
		SpinLockRelease(&bucket->mutex);
	}
	pg_atomic_fetch_add_u64(&bucket->left, 1);
}
