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
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "cap/cap.h"
#include "cap/seats.h"
#include "table/table.h"

/* Claims that are searched one by one; with more, there is an index of them */
#define FEW_CLAIMS	16

/* Where in the array a transaction id's claim is */
typedef struct ClaimPlace
{
	TransactionId xid;
	uint32		status;			/* simplehash.h's own */
	int			n;
} ClaimPlace;

#define SH_PREFIX		places
#define SH_ELEMENT_TYPE	ClaimPlace
#define SH_KEY_TYPE		TransactionId
#define SH_KEY			xid
#define SH_HASH_KEY(table, k)	murmurhash32(k)
#define SH_EQUAL(table, a, b)	((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static void count_version(IenvTally *tally, const IenvVersion *version);
static IenvClaim *claim_of(IenvTally *tally, TransactionId xid);
static IenvClaim *add_claim(IenvTally *tally, TransactionId xid);
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
	ienv_end_tally(&tally);
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
			CHECK_FOR_INTERRUPTS();
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
	/* by one transaction id: gone if that commits, and never there if it aborts */
	bool		came_to_nothing = version->xmin == version->xmax && !version->replaced;

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
			if (!version->replacement && !came_to_nothing)
				claim_of(tally, version->xmin)->inserts++;
			return;
		case IENV_SINCE:
			if (version->replacement || came_to_nothing)
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
 *
 * A transaction can have a subtransaction's id for each row, so where there are many
 * claims, they are found by their hash.
 */
static IenvClaim *
claim_of(IenvTally *tally, TransactionId xid)
{
	ClaimPlace *place;
	bool		found;

	if (tally->places == NULL)
	{
		for (int i = tally->nclaims; i-- > 0;)
			if (tally->claims[i].xid == xid)
				return &tally->claims[i];
		if (tally->nclaims < FEW_CLAIMS)
			return add_claim(tally, xid);

		tally->places = places_create(CurrentMemoryContext, 4 * FEW_CLAIMS, NULL);
		for (int i = 0; i < tally->nclaims; i++)
			places_insert(tally->places, tally->claims[i].xid, &found)->n = i;
	}
	place = places_insert(tally->places, xid, &found);
	if (found)
		return &tally->claims[place->n];
	place->n = tally->nclaims;
	return add_claim(tally, xid);
}

static IenvClaim *
add_claim(IenvTally *tally, TransactionId xid)
{
	IenvClaim  *claim;

	if (tally->nclaims == tally->maxclaims)
	{
		tally->maxclaims = Max(FEW_CLAIMS, tally->maxclaims * 2);
		tally->claims = tally->claims ?
			repalloc_huge(tally->claims, tally->maxclaims * sizeof(IenvClaim)) :
			palloc(tally->maxclaims * sizeof(IenvClaim));
	}
	claim = &tally->claims[tally->nclaims++];
	claim->xid = xid;
	claim->inserts = claim->deletes = 0;
	return claim;
}

/*
 * Give back what a tally has taken of the memory: with many claims, megabytes.
 */
void
ienv_end_tally(IenvTally *tally)
{
	if (tally->places != NULL)
		places_destroy(tally->places);
	if (tally->claims != NULL)
		pfree(tally->claims);
	tally->places = NULL;
	tally->claims = NULL;
	tally->nclaims = tally->maxclaims = 0;
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
