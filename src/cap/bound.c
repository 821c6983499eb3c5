/*-------------------------------------------------------------------------
 *
 * bound.c
 *	  An upper bound of the users of an instance, in shared memory: admission
 *	  without a scan.
 *
 * An array of buckets, to which a hash maps each pair of guarded table and
 * instance.  A bucket holds two numbers:
 *
 * - tickets: how many rows have been inserted, ever, for any pair that maps here.
 *	 It only goes up.
 * - base: tickets less users, as of one exact count of one pair, plus the rows of that
 *	 pair whose deletes have been released since.  The bucket says which pair that is.
 *
 * The instance has at most tickets - base users, and where that is no more than
 * its cap, a row is admitted without looking at the table.
 *
 * Why that never lets one row too many in.  An inserter does, in this order:
 *
 *	 1. its row is put into the heap and its indexes;
 *	 2. it takes a ticket (pg_atomic_fetch_add_u64, a full barrier);
 *	 3. it checks: it reads the base under the bucket's spinlock, then the tickets,
 *		and admits the row if tickets - base - gone <= cap, where gone are the rows of
 *		the pair that its own transaction has deleted; otherwise it counts exactly.
 *
 * The rows of a command are all in before the first of them is checked, so this one may
 * take the tickets of many: then it checks for them all, and they need not.
 *
 * An exact count may admit all rows of a command at once.  Then they all take their
 * tickets before the snapshot of the count that admits them: a row without one would
 * be unknown to a base that another backend counted before the row came in, and
 * stores after.
 *
 * A transaction that has deleted rows (vacancy.c) does, in this order:
 *
 *	 a. when it is about to commit, it raises "leaving";
 *	 b. it commits, and leaves the procarray;
 *	 c. if the base is still of its pair, it adds its rows to the base;
 *	 d. it raises "left".
 *
 * An exact count does, in this order:
 *
 *	 A. it reads left, then leaving; unless they are equal, it will store nothing;
 *	 B. it reads the tickets ("then") and takes its snapshot S;
 *	 C. it reads leaving again; if that has changed, it will store nothing;
 *	 D. it scans, and stores then - rows as the base.  rows are all that are there at S
 *		for somebody: also one that an open transaction inserts, and one that an open
 *		transaction deletes, the counting one included, or a transaction that has
 *		committed since S.  Not those that one transaction id has inserted and deleted:
 *		nobody will ever have them, and vacancy.c releases no row of its transaction's own.
 *
 * So each row is worth one at least in tickets - base, until it is released: a row that
 * is there at S is among the rows; one that came into the index after S took its ticket
 * after "then".  And whatever is released into a base was worth one in it: by A a
 * transaction that is past a. at that time is past d. and has committed before S, and what
 * it adds has gone to the base before; by C any other commits after S, so its rows are
 * among the rows or took their tickets after "then".
 *
 * Now suppose that more than cap rows were committed at some moment, and take the one of
 * them that got the last ticket.  All these rows had their tickets, and so were in the
 * index, before the check that admitted it.  If the check was a scan, user_cap.c has the
 * argument.  If it used a base: none of these rows was released by then, for a row is
 * released after its delete has committed; and none is among the gone, for those vanish
 * with the commit that makes the last row appear.  (To undo a delete by ROLLBACK TO
 * SAVEPOINT is to undo the inserts that came after it.)  So tickets - base was more than
 * cap, plus gone, and the row was not admitted.
 *
 * The bound errs upward only: a row that the scan saw before it took its ticket
 * counts twice; an aborted insert leaves its ticket behind; pairs that share a bucket
 * count for each other.  The next exact count tightens it.  What happens to the bound
 * when
 *
 * - two pairs collide: tickets add up; each takes the base from the other, and
 *	 scans more often;
 * - a transaction aborts, or its backend is killed: nothing to undo, its tickets stay;
 * - the server crashes: the buckets come back empty, and an empty one never admits;
 * - a transaction is prepared: its rows have their tickets, and are open to every
 *	 count; its deletes are not released;
 * - a table is truncated or dropped: counts stay too high until the next scan;
 * - a row is deleted where no trigger says so (identities are not followed, the trigger is
 *	 disabled, the delete was replicated): it stays too high as well;
 * - rows come in without a ticket, because the trigger was disabled: that changes the
 *	 version of the set of triggers (guard_version.c), which a base must match.  A version
 *	 never comes again, not even when the triggers are what they were before: it is made
 *	 of the places where the triggers' rows lie in pg_trigger, who wrote them, which file
 *	 pg_trigger has, and which row of pg_database is ours.  Whoever checks has heard of
 *	 every change that was committed before (ienv_admit() asks at once);
 * - a table that is attached as a partition brings rows along: they take their tickets
 *	 then (ddl.c), and the version changes;
 * - rows come in by replication: the trigger is ENABLE ALWAYS, takes a ticket, and
 *	 refuses nothing.  Where it is not (ALTER TABLE ... ENABLE TRIGGER makes it
 *	 ordinary again) the version is 0 and no bound is used; but the other partitions'
 *	 rows take their tickets still, for the one may go and the version be as before;
 * - a row comes in by replication whose instance is not known yet, so that it can take no
 *	 ticket: it ends the era, which a base must match, too.  Eras are numbered in shared
 *	 memory; the row is in before its era begins, and a count reads the era before it
 *	 takes its snapshot.
 *
 * Without shared memory every admission scans: slower, never wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "base/base.h"
#include "cap/cap.h"
#include "registry/registry.h"

struct IenvBucket
{
	pg_atomic_uint64 tickets;
	pg_atomic_uint64 leaving;	/* transactions that are about to release rows, ever */
	pg_atomic_uint64 left;		/* those of them that have done so, or aborted */
	uint64		base;			/* tickets less users */
	IenvBoundKey key;			/* database is InvalidOid: no base yet */
	slock_t		mutex;			/* protects base and key */
};

/*
 * What a bound of the users of instance in the guarded table root is known by.
 */
void
ienv_bound_key(IenvBoundKey *key, Oid root, uint64 version, const IenvInstance *instance)
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
 * A row is in the heap and its indexes that can take no ticket: no base that there is may
 * be used again.
 */
void
ienv_void_bounds(void)
{
	pg_atomic_uint64 *era = ienv_shared_era();

	if (era != NULL)
		pg_atomic_fetch_add_u64(era, 1);
}

/* Bytes that n buckets need. */
Size
ienv_buckets_size(int n)
{
	return mul_size(n, sizeof(IenvBucket));
}

/* Make n buckets, none with a base. */
void
ienv_buckets_init(void *memory, int n)
{
	IenvBucket *buckets = memory;

	memset(buckets, 0, ienv_buckets_size(n));
	for (int i = 0; i < n; i++)
	{
		pg_atomic_init_u64(&buckets[i].tickets, 0);
		pg_atomic_init_u64(&buckets[i].leaving, 0);
		pg_atomic_init_u64(&buckets[i].left, 0);
		SpinLockInit(&buckets[i].mutex);
	}
}

/*
 * The bucket of a guarded table and an instance, or NULL where there is no shared memory.
 */
IenvBucket *
ienv_bucket_of(Oid root, const IenvInstance *instance)
{
	int			n;
	IenvBucket *buckets = ienv_shared_buckets(&n);
	IenvBoundKey key;

	if (buckets == NULL)
		return NULL;

	/* tickets go to the same bucket whatever becomes of the triggers */
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
 * Does the bound prove that the instance has no more than limit users?  The caller's
 * row has taken its ticket.  Never where the triggers do not see every row: then the key's
 * version is 0.
 */
bool
ienv_bound_admits(IenvBucket *bucket, const IenvBoundKey *key, int64 limit)
{
	uint64		base;
	bool		same;

	if (key->version == 0)
		return false;
	SpinLockAcquire(&bucket->mutex);
	same = memcmp(key, &bucket->key, sizeof(*key)) == 0;
	base = bucket->base;
	SpinLockRelease(&bucket->mutex);

	/* tickets after base: those that the base's count knew of must be among them */
	pg_read_barrier();
	return same && (int64) (pg_atomic_read_u64(&bucket->tickets) - base) <= limit;
}

/*
 * What an exact count must know of the bucket before it takes its snapshot.
 */
void
ienv_count_begins(IenvBucket *bucket, IenvCountMark *mark)
{
	uint64		left = pg_atomic_read_u64(&bucket->left);

	pg_read_barrier();
	mark->leaving = pg_atomic_read_u64(&bucket->leaving);
	mark->quiet = mark->leaving == left;
	mark->tickets = pg_atomic_read_u64(&bucket->tickets);

	/* the snapshot must not be moved before it */
	pg_memory_barrier();
}

/*
 * What it must know when it has its snapshot.
 */
void
ienv_count_has_snapshot(IenvBucket *bucket, IenvCountMark *mark)
{
	pg_memory_barrier();
	mark->quiet = mark->quiet && mark->leaving == pg_atomic_read_u64(&bucket->leaving);
}

/*
 * Store an exact count: rows, for whomever they are there.
 */
void
ienv_store_base(IenvBucket *bucket, const IenvBoundKey *key, const IenvCountMark *mark, int64 rows)
{
	uint64		base = mark->tickets - (uint64) rows;

	if (!mark->quiet || key->version == 0)
		return;
	SpinLockAcquire(&bucket->mutex);
	if (memcmp(key, &bucket->key, sizeof(*key)) != 0)
	{
		bucket->key = *key;
		bucket->base = base;
	}
	else if ((int64) (base - bucket->base) > 0)
		bucket->base = base;	/* the tighter of two true bounds */
	SpinLockRelease(&bucket->mutex);
}

/*
 * The transaction is about to commit, and then to release rows.
 */
void
ienv_leave(IenvBucket *bucket)
{
	pg_atomic_fetch_add_u64(&bucket->leaving, 1);
}

/*
 * It has committed and releases n rows, or it has aborted: n is 0.
 */
void
ienv_have_left(IenvBucket *bucket, const IenvBoundKey *key, int64 n)
{
	if (n > 0)
	{
		SpinLockAcquire(&bucket->mutex);
		if (memcmp(key, &bucket->key, sizeof(*key)) == 0)
			bucket->base += n;
		SpinLockRelease(&bucket->mutex);
	}
	pg_atomic_fetch_add_u64(&bucket->left, 1);
}
