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
 * - base: tickets less users, as of one exact count of one pair.  The bucket says
 *	 which pair that was.
 *
 * The instance has at most tickets - base users, and where that is no more than
 * its cap, a row is admitted without looking at the table.
 *
 * Why that never lets one row too many in.  An inserter does, in this order:
 *
 *	 1. its row is put into the heap and its indexes;
 *	 2. it takes a ticket (pg_atomic_fetch_add_u64, a full barrier);
 *	 3. it checks: it reads the base under the bucket's spinlock, then the tickets,
 *		and admits the row if tickets - base <= cap; otherwise it counts exactly.
 *
 * An exact count may admit all rows of a command at once.  Then they all take their
 * tickets before the snapshot of the count that admits them: a row without one would
 * be unknown to a base that another backend counted before the row came in, and
 * stores after.
 *
 * An exact count reads the tickets first ("then"), takes its snapshot S, scans, and
 * stores then - users as the base.  users is what the instance holds at most,
 * whatever becomes of the transactions that are open, the counting one included:
 * unlike in user_cap.c its own deletes free nothing here.
 *
 * Suppose that more than cap rows were committed at some moment, and take the one of
 * them that got the last ticket.  All these rows had their tickets, and so were in the
 * index, before the check that admitted it.  If the check was a scan, user_cap.c has the argument.  If it used a base: a row whose ticket
 * came before "then" was in the index before S, so it is in users; a row whose ticket
 * came later is in tickets - then.  Each row is counted at least once, so the bound
 * exceeded the cap, and the row was not admitted.
 *
 * The bound errs upward only: a row that the scan saw before it took its ticket
 * counts twice; an aborted insert or a delete leaves its count behind; pairs that
 * share a bucket count for each other.  The next exact count tightens it.  What
 * happens to the bound when
 *
 * - two pairs collide: tickets add up; each takes the base from the other, and
 *	 scans more often;
 * - a transaction aborts, or its backend is killed: nothing to undo, its tickets stay;
 * - the server crashes: the buckets come back empty, and an empty one never admits;
 * - a transaction is prepared: its rows have their tickets, and are open to every
 *	 count;
 * - a table is truncated or dropped: counts stay too high until the next scan;
 * - rows come in without a ticket: the trigger was disabled, or a table that was
 *	 attached as a partition brought them along.  Both change the set of triggers,
 *	 and the version of that set (relation.c) is part of what a bucket must match;
 * - rows come in by replication: the trigger is ENABLE ALWAYS, takes a ticket, and
 *	 refuses nothing.  Where it is not (ALTER TABLE ... ENABLE TRIGGER makes it
 *	 ordinary again) no bound is used.
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

#include "instance_env.h"

/* What a base is of.  Has no padding: it is hashed and compared as bytes. */
typedef struct BoundKey
{
	Oid			database;
	Oid			root;			/* the guarded table */
	uint64		version;		/* of its triggers */
	pg_uuid_t	instance;
	TimestampTz created_at;		/* should an instance come again with the same id */
} BoundKey;

struct IenvBucket
{
	pg_atomic_uint64 tickets;
	uint64		base;			/* tickets less users */
	BoundKey	key;			/* database is InvalidOid: no base yet */
	slock_t		mutex;			/* protects base and key */
};

static void
make_key(BoundKey *key, Oid root, uint64 version, const IenvInstance *instance)
{
	key->database = MyDatabaseId;
	key->root = root;
	key->version = version;
	key->instance = instance->id;
	key->created_at = instance->created_at;
}

/* Bytes that n buckets need. */
Size
ienv_buckets_size(int n)
{
	return mul_size(n, sizeof(IenvBucket));
}

/* Make n buckets, none with a base. */
void
ienv_buckets_init(IenvBucket *buckets, int n)
{
	memset(buckets, 0, ienv_buckets_size(n));
	for (int i = 0; i < n; i++)
	{
		pg_atomic_init_u64(&buckets[i].tickets, 0);
		SpinLockInit(&buckets[i].mutex);
	}
}

/*
 * The bucket of a guarded table and an instance, or NULL where there is no shared
 * memory, or the table's triggers do not see every row (version is 0).
 */
IenvBucket *
ienv_bucket_of(Oid root, uint64 version, const IenvInstance *instance)
{
	int			n;
	IenvBucket *buckets = ienv_shared_buckets(&n);
	BoundKey	key;

	if (buckets == NULL || version == 0)
		return NULL;
	make_key(&key, root, 0, instance);
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
 * The tickets taken so far: what a scan that begins now must remember.
 */
uint64
ienv_tickets(IenvBucket *bucket)
{
	uint64		tickets = pg_atomic_read_u64(&bucket->tickets);

	/* the scan must not be moved before it */
	pg_memory_barrier();
	return tickets;
}

/*
 * Does the bound prove that the instance has no more than cap users?  The caller's
 * row has taken its ticket.
 */
bool
ienv_bound_admits(IenvBucket *bucket, Oid root, uint64 version, const IenvInstance *instance, int cap)
{
	BoundKey	key;
	uint64		base;
	bool		same;

	make_key(&key, root, version, instance);
	SpinLockAcquire(&bucket->mutex);
	same = memcmp(&key, &bucket->key, sizeof(key)) == 0;
	base = bucket->base;
	SpinLockRelease(&bucket->mutex);

	/* tickets after base: those that the base's count knew of must be among them */
	pg_read_barrier();
	return same && (int64) (pg_atomic_read_u64(&bucket->tickets) - base) <= cap;
}

/*
 * Store an exact count: users at most, as of when tickets were taken.
 */
void
ienv_store_base(IenvBucket *bucket, Oid root, uint64 version, const IenvInstance *instance,
				uint64 tickets, int64 users)
{
	BoundKey	key;
	uint64		base = tickets - (uint64) users;

	make_key(&key, root, version, instance);
	SpinLockAcquire(&bucket->mutex);
	if (memcmp(&key, &bucket->key, sizeof(key)) != 0)
	{
		bucket->key = key;
		bucket->base = base;
	}
	else if ((int64) (base - bucket->base) > 0)
		bucket->base = base;	/* the tighter of two true bounds */
	SpinLockRelease(&bucket->mutex);
}
