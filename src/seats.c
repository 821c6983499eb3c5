/*-------------------------------------------------------------------------
 *
 * seats.c
 *	  Counting the seats of an instance, relative to a snapshot.
 *
 * user_cap.c says how each version counts, and what follows from it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/snapmgr.h"

#include "guard.h"
#include "instance_env.h"
#include "seats.h"

static void count_version(IenvTally *tally, const IenvVersion *version);
static IenvClaim *claim_of(IenvTally *tally, TransactionId xid);
static int64 users_at_most(const IenvTally *tally);

/*
 * How many rows the table that guard is of holds for the instance that value
 * means, committed, mine or claimed; counting stops soon after limit.
 */
int64
ienv_user_count(const IenvGuard *guard, Datum value, int64 limit)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	IenvTally	tally = {0};
	int64		count;

	(void) ienv_count_seats(&tally, NULL, guard, value, limit, snapshot);
	count = users_at_most(&tally);
	UnregisterSnapshot(snapshot);
	return count;
}

/*
 * Count the seats of an instance in all partitions, relative to snapshot: into
 * tally as my transaction sees them and, unless NULL, into others as any other
 * must, for whom mine is open like the rest.
 *
 * Stops where what is left cannot matter, for rows alone exceed the cap.  The result
 * says whether others is all that others may find.
 */
bool
ienv_count_seats(IenvTally *tally, IenvTally *others, const IenvGuard *guard, Datum value,
				 int64 cap, Snapshot snapshot)
{
	List	   *leaves = ienv_leaf_relations(guard->root, AccessShareLock);
	ListCell   *lc;
	bool		partitioned = guard->root != guard->relid;	/* rows may have moved */
	bool		same_file = true;
	bool		done = false;

	foreach(lc, leaves)
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);
		const IenvGuard *leaf = ienv_guard_of(RelationGetRelid(rel));
		IenvScan	scan;
		IenvVersion version;

		if (leaf == NULL)
			ienv_report_unguarded_partition(RelationGetRelid(rel), guard->root);

		ienv_scan_begin(&scan, rel, leaf->instance_index, leaf->instance_attno, value);
		while (!done && ienv_scan_count(&scan, snapshot, &version))
		{
			count_version(tally, &version);
			if (others != NULL)
			{
				if (version.inserted == IENV_MINE)
					version.inserted = IENV_OPEN;
				if (version.ended == IENV_MINE)
					version.ended = IENV_OPEN;
				count_version(others, &version);
			}

			/* whichever is the reason, a refusal can tell it exactly */
			done = tally->committed + tally->mine > cap &&
				(tally->committed >= cap || tally->mine > cap) && !partitioned;
		}
		ienv_scan_end(&scan);

		/* others see another file, which has other rows */
		if (ienv_file_is_mine(rel))
			same_file = false;
		table_close(rel, NoLock);
		if (done)
			break;
	}
	list_free(leaves);
	tally->complete = !done;
	return same_file && !done;
}

/*
 * Count one version, by the table at the head of user_cap.c.
 */
static void
count_version(IenvTally *tally, const IenvVersion *version)
{
	switch (version->inserted)
	{
		case IENV_NEVER:
			return;
		case IENV_MINE:
			if (version->ended == IENV_NEVER)
				tally->mine++;
			else if (!version->replaced && !version->moved)
				tally->mine_gone++;
			return;
		case IENV_OPEN:
			if (!version->replacement)
				claim_of(tally, version->xmin)->inserts++;
			return;
		case IENV_SINCE:
			if (version->replacement)
				return;
			break;
		case IENV_BEFORE:
			break;
	}

	/* committed; is it still there? */
	switch (version->ended)
	{
		case IENV_NEVER:
			tally->committed++;
			break;
		case IENV_MINE:
			if (version->moved)
				tally->moved++;
			break;
		case IENV_BEFORE:
			break;
		case IENV_SINCE:
			if (version->replaced)
			{
				tally->committed++;
				tally->replaced_since++;
			}
			else
				tally->deleted_since++;
			break;
		case IENV_OPEN:
			if (version->replaced)
				tally->committed++;
			else
				claim_of(tally, version->xmax)->deletes++;
			break;
	}
}

/*
 * The claim of this transaction id, a new one if it has none yet.
 */
static IenvClaim *
claim_of(IenvTally *tally, TransactionId xid)
{
	IenvClaim  *claim;

	for (int i = tally->nclaims; i-- > 0;)
		if (tally->claims[i].xid == xid)
			return &tally->claims[i];

	if (tally->nclaims == tally->maxclaims)
	{
		tally->maxclaims = Max(16, tally->maxclaims * 2);
		tally->claims = tally->claims ?
			repalloc(tally->claims, tally->maxclaims * sizeof(IenvClaim)) :
			palloc(tally->maxclaims * sizeof(IenvClaim));
	}
	claim = &tally->claims[tally->nclaims++];
	claim->xid = xid;
	claim->inserts = claim->deletes = 0;
	return claim;
}

/*
 * Whatever becomes of the claims.
 */
static int64
users_at_most(const IenvTally *tally)
{
	int64		users = tally->committed + tally->mine;

	for (int i = 0; i < tally->nclaims; i++)
		users += Max(tally->claims[i].inserts, tally->claims[i].deletes);
	return users;
}

/*
 * All rows that are there for somebody at the snapshot.  What bound.c needs: it hears
 * of each delete by itself.
 */
int64
ienv_rows_for_anybody(const IenvTally *tally)
{
	int64		rows = tally->committed + tally->mine + tally->deleted_since;

	for (int i = 0; i < tally->nclaims; i++)
		rows += tally->claims[i].inserts + tally->claims[i].deletes;
	return rows;
}
