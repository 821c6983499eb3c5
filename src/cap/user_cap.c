/*-------------------------------------------------------------------------
 *
 * user_cap.c
 *	  A development instance never holds more users than its cap.
 *
 * A cap is a constraint on how many rows share a value.  There is no counter
 * that could drift, and no lock that inserters would have to queue for: the
 * table itself is counted.  As with an exclusion constraint, a row is inserted
 * first and checked when it is in the heap and its indexes, by an AFTER ROW
 * trigger; of two transactions that insert concurrently, at least one then
 * finds the other's row.
 *
 * The check takes a snapshot S (a fresh one, at every isolation level), and
 * scans the index on the instance column for every version that is not dead to
 * all, classifying each relative to S; row_version.c explains why such a scan
 * misses no row and counts none twice.  A version counts as follows.
 *
 *	 inserted by				ended by						counts
 *	 ------------------------------------------------------------------------
 *	 me							nobody							1
 *	 me							me								0
 *	 committed before S			nobody, or aborted				1
 *	 committed before S			me, or committed before S		0 (a)
 *	 committed before S			an UPDATE not finished at S		1 (b)
 *	 committed before S			a DELETE not finished at S:
 *								  still open					claimed
 *								  committed since				0
 *	 not finished at S,
 *	   by an UPDATE				any								0 (b)
 *	 not finished at S,
 *	   by an INSERT				a DELETE of the same id			0 (c)
 *	 not finished at S,
 *	   by any other INSERT:
 *		 still open				any								claimed
 *		 committed since		as above						1, or as above
 *	 aborted					any								0
 *
 * (a) If it was replaced, the replacement counts by itself.
 * (b) If S does not see an UPDATE, the replaced version keeps the seat,
 * whether or not the UPDATE commits: an UPDATE never changes the count.  (It
 * cannot move a row here from another instance; transfer.c refuses that.  Nor
 * from another key of this instance, since nobody else counts in a table that
 * rename_instance() has locked, and its own transaction adds no users.)  One
 * that moves the row to another partition is a DELETE and an INSERT, here as
 * in the heap; but the row that arrives requires no admission (on_move.c
 * recognizes it), because it takes over the seat of the row that left, and the
 * two share one fate.
 * (c) This means the same transaction id, and a subtransaction has its own: if
 * it commits, the row is gone, and if it aborts or is rolled back, the row
 * never existed.  That holds for the transaction itself as well as for others,
 * so that not even the bound (bound.c) needs the row.  If the two ids differ,
 * even if they belong to one transaction, the delete may be rolled back alone:
 * then the row is a claim.  The row also is a claim, if only for a while, if
 * an UPDATE came between the two: the version that was inserted was replaced,
 * not deleted.
 *
 * A claimed seat depends on a transaction that may yet commit or abort.
 * Everything that one transaction id has inserted and deleted has one fate, so
 * if it has inserted i rows (not counting, by (c), those it has deleted
 * itself) and deleted d others, it will hold i seats or d, never both: at most
 * max(i, d), at least min(i, d).  Subtransactions count separately, even when
 * released: a transaction that deletes under one savepoint and inserts under
 * another holds both seats until its end, and so does one that inserts a row
 * under one savepoint and deletes it under another.
 *
 * Whose claims stand is decided by age, that is, by the top-level transaction
 * id, which a transaction gets when it first writes:
 *
 *	 upper = rows + max(i, d) of every other transaction
 *	 lower = rows + max(i, d) of every older one + min(i, d) of every younger
 *	 one
 *
 *	 upper <= cap: admitted.
 *	 lower > cap: refused.  Every seat is held by a row, or claimed by a
 *	 transaction
 *		 that began earlier.
 *	 otherwise: wait for one of the younger transactions, then look again.
 *
 * Never one too many.  Suppose that more than cap rows of an instance were
 * committed at some moment.  Of all statements that inserted one of them,
 * consider the one whose last scan had the latest snapshot S.  Each of the
 * other statements had its rows in the index before its own last snapshot,
 * hence before S.  So that scan found them all: as rows, or as claims, and a
 * claim counts in upper for no less than it can become.  What the scan counted
 * as 0 was deleted by a committed transaction; or by the id that inserted it,
 * and is none of these rows; or by the scanning transaction, in which case
 * undoing the delete (ROLLBACK TO SAVEPOINT) undoes the later insert as well.
 * So upper > cap, and the statement was not admitted: a contradiction.
 *
 * No deadlocks caused by us.  Only an older transaction waits for a younger
 * one, so the waits form no cycle; the younger one, which finds the older
 * one's claim, does not wait for it but is admitted or refused.
 *
 * Refusals.  Before refusing a row, we look again if what filled the instance
 * may have changed while we looked: an UPDATE that committed since S may have
 * been followed by a DELETE in the same transaction, and an older claim may
 * have been settled.  The cap itself is read again from the table.
 *
 * One check for many rows.  A check that admits one row of my transaction
 * admits all that are in the table: the scan has counted them, or the bound
 * (bound.c) has a ticket for each.  The others then need no check of their
 * own, provided that no further row has come in since, and no subtransaction
 * was rolled back, which may undo the deletes that made room (queue.c).  That
 * satisfies the premises of the argument above.  A row r joins its queue when
 * it is in the heap and its indexes; it is exempt only by virtue of an
 * admission granted after it joined, because any earlier one became void when
 * r joined.  So the last scan, or check of the bound, of the transaction that
 * inserted r came after r was in the table.  Nothing depends on which
 * statement a row belongs to: several can share a command id (two cursors or
 * portals do), and one can run inside another.
 *
 * Early failure.  Nobody should have to load a million rows only to be told
 * that 500 are allowed; so on_insert.c looks early, when more rows than the
 * cap are waiting for their triggers.  An early look refuses as above but
 * never waits and admits nothing.
 *
 * A soft cap refuses nothing: its rows are admitted without a scan, whether or
 * not there is a bound.  What warns of it, and of a cap that is about to be
 * reached, is in threshold.c; each admission leaves a note there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "cap/cap.h"
#include "cap/seats.h"
#include "registry/registry.h"
#include "table/table.h"

/*
 * How often to look again before refusing.  If updates commit all the time,
 * one will always have done so during the look; that it was followed by a
 * delete, each time, is not to be expected.
 */
#define MAX_LOOKS	20

/* What follows from a tally */
typedef struct Bounds
{
	int64		lower;
	int64		upper;
	int64		older;			/* seats claimed by older transactions */
	int64		settled;		/* seats in lower that may be free by now */
	TransactionId younger;		/* one that is worth waiting for, or invalid */
} Bounds;

static void compute_bounds(const IenvTally *tally, Bounds *bounds);
pg_noreturn static void refuse(const IenvGuard *guard, Datum value, int cap,
							   const IenvTally *tally, const Bounds *bounds);

/*
 * Admit all rows that my transaction has inserted into the instance, or raise
 * error 23I01.
 *
 * guard describes the table or partition that has a new row; all partitions
 * count.  value is the instance column's.  bucket is where every row that
 * waits has taken its ticket, or NULL.  With early, refuse what is certain to
 * be refused later, and decide nothing else.  My transaction has an xid.
 */
void
ienv_admit(const IenvGuard *guard, IenvInstance *instance, Datum value,
		   IenvBucket *bucket, bool early)
{
	int			looks = 0;

	for (;;)
	{
		int			cap = instance->user_cap;
		bool		soft = instance->soft;
		IenvBoundKey key;
		IenvCountMark mark;
		uint64		base = IENV_NO_BASE;
		Snapshot	snapshot;
		IenvTally	tally = {0};
		IenvTally	others = {0};
		Bounds		bounds;
		bool		complete;

		CHECK_FOR_INTERRUPTS();
		if (early && soft)
			return;
		if (bucket != NULL)
		{
			/*
			 * the base is useless if the table has changed, say by a new
			 * partition
			 */
			AcceptInvalidationMessages();
			ienv_bound_key(&key, guard->root, ienv_guard_version(guard),
						   instance);
			if (ienv_bound_admits(bucket, &key,
								  soft ? PG_INT64_MAX :
								  cap + ienv_vacated(&key), &base))
			{
				ienv_count_admitted(guard->root, instance, false);
				ienv_watch(guard, instance, value, bucket, base, key.version);
				return;
			}
			ienv_count_begins(bucket, &mark);
		}
		if (soft)
		{
			ienv_count_admitted(guard->root, instance, false);
			ienv_watch(guard, instance, value, bucket, IENV_NO_BASE, 0);
			return;
		}

		snapshot = RegisterSnapshot(GetLatestSnapshot());
		if (bucket != NULL)
			ienv_count_has_snapshot(bucket, &mark);
		complete = ienv_count_seats(&tally, bucket ? &others : NULL, guard,
									value, cap, snapshot);
		compute_bounds(&tally, &bounds);
		UnregisterSnapshot(snapshot);

		base = IENV_NO_BASE;
		if (bucket != NULL && complete)
		{
			int64		rows = ienv_rows_for_anybody(&others);

			ienv_store_base(bucket, &key, &mark, rows);
			ienv_store_floor(bucket, &key, &mark,
							 ienv_settled_rows(&others), NULL);
			base = mark.tickets - (uint64) rows;
		}
		ienv_end_tally(&tally);
		ienv_end_tally(&others);
		if (early && bounds.lower <= cap)
			return;
		if (bounds.upper <= cap)
		{
			ienv_count_admitted(guard->root, instance, true);
			ienv_watch(guard, instance, value, bucket,
					   bucket != NULL ? base : (uint64) bounds.upper,
					   bucket != NULL ? key.version : 0);
			return;
		}
		if (bounds.lower > cap)
		{
			if (bounds.lower - bounds.settled <= cap && ++looks < MAX_LOOKS)
				continue;
			instance = ienv_require_active(guard, value, false, true);
			if (instance->user_cap > cap || instance->soft)
				continue;
			ienv_count_refused(guard->root, instance);
			refuse(guard, value, cap, &tally, &bounds);
		}
		Assert(TransactionIdIsValid(bounds.younger));
		ienv_wait_for(bounds.younger);

		/* the instance, too, may have changed meanwhile */
		instance = ienv_require_active(guard, value, false, true);
	}
}

/*
 * Evaluate the claims.  The snapshot of the scan is still registered, so that
 * the parents of a subtransaction can be found.
 */
static void
compute_bounds(const IenvTally *tally, Bounds *bounds)
{
	memset(bounds, 0, sizeof(*bounds));
	bounds->lower = bounds->upper = tally->committed + tally->mine;
	bounds->settled = tally->replaced_since;

	for (int i = 0; i < tally->nclaims; i++)
	{
		const IenvClaim *claim = &tally->claims[i];
		int64		most = Max(claim->inserts, claim->deletes);
		int64		least = Min(claim->inserts, claim->deletes);

		CHECK_FOR_INTERRUPTS();
		bounds->upper += most;
		if (ienv_is_older(claim->xid))
		{
			bounds->lower += most;
			bounds->older += most;
			if (!TransactionIdIsInProgress(claim->xid))
				bounds->settled += most;
		}
		else
		{
			bounds->lower += least;
			if (most > least)
				bounds->younger = claim->xid;
		}
	}
}

/*
 * Raise the error, with the reason.
 */
static void
refuse(const IenvGuard *guard, Datum value, int cap, const IenvTally *tally,
	   const Bounds *bounds)
{
	const char *application = ienv_application_sentence(value,
														guard->is_uuid);

	ereport(ERROR,
			(errcode(ERRCODE_IENV_USER_CAP_EXCEEDED),
			 errmsg_plural("development instance %s has reached its cap of %d user",
						   "development instance %s has reached its cap of %d users", cap,
						   ienv_instance_text(value, guard->is_uuid), cap),
			 cap == 0 ?
			 errdetail("The instance takes no users.%s", application) :
			 tally->committed >= cap ?
			 errdetail("All of its seats are held by committed users.%s",
					   application) :
			 tally->mine > cap ?
			 errdetail("This transaction alone adds more users than the cap allows.%s",
					   application) :
			 errdetail("Committed users hold %lld seats, and transactions that began earlier %lld; this transaction asks for %lld.%s",
					   (long long) tally->committed, (long long) bounds->older,
					   (long long) tally->mine, application),
			 errhint("Delete users, raise the cap with instance_env.set_user_cap(), or use the production instance."),
			 ienv_errguard(guard, IENV_USER_CAP)));
}
