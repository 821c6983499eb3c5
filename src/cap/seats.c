/*-------------------------------------------------------------------------
 *
 * seats.c
 *	  Counting the seats of an instance, relative to a snapshot.
 *
 * user_cap.c describes how each version counts, and what follows from it.
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

/* Up to this many claims are searched linearly; with more, by a hash table */
#define FEW_CLAIMS	16

/* The position of a transaction id's claim in the array */
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
 * How many rows the table that guard describes holds for the instance that
 * value identifies, committed, mine or claimed; counting stops soon after
 * limit.  A distributed table is asked for what is committed or mine.
 */
int64
ienv_user_count(const IenvGuard *guard, Datum value, int64 limit)
{
	Snapshot	snapshot;
	IenvTally	tally = {0};
	int64		count;

	if (ienv_is_distributed(guard->root))
		return ienv_distributed_count(ienv_guard_of(guard->root), value,
									  limit);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	(void) ienv_count_seats(&tally, NULL, guard, value, limit, snapshot);
	count = users_at_most(&tally);
	ienv_end_tally(&tally);
	UnregisterSnapshot(snapshot);
	return count;
}

/*
 * Count the seats of an instance in all partitions, relative to snapshot: into
 * tally as my transaction sees them and, unless NULL, into others as any other
 * transaction must, to which my changes are in progress like the rest.
 *
 * Stops early if the rest cannot matter because rows alone exceed the cap.
 * The result says whether others includes everything that other transactions
 * may find.
 */
bool
ienv_count_seats(IenvTally *tally, IenvTally *others, const IenvGuard *guard,
				 Datum value, int64 cap, Snapshot snapshot)
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
		Datum		column;
		IenvScan	scan;
		IenvVersion version;

		if (leaf == NULL)
			ienv_report_unguarded_partition(RelationGetRelid(rel),
											guard->root);
		if (!ienv_column_of_value(leaf->instance_type, value, &column))
		{
			table_close(rel, NoLock);
			continue;
		}

		ienv_scan_begin(&scan, rel, leaf->instance_index, 1,
						&leaf->instance_attno, &column);
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

			/* stop when the reason for a refusal, too, can be given exactly */
			done = tally->committed + tally->mine > cap &&
				(tally->committed >= cap || tally->mine > cap) && !partitioned;
		}
		ienv_scan_end(&scan);

		/* other transactions see a different file, with different rows */
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
 * Count one version, according to the table at the head of user_cap.c.
 */
static void
count_version(IenvTally *tally, const IenvVersion *version)
{
	/* by the same xid: gone if it commits, and never there if it aborts */
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
			{
				tally->committed++;
				tally->replaced_open++;
			}
			else
				claim_of(tally, version->xmax)->deletes++;
			break;
	}
}

/*
 * The claim of this transaction id, creating it if there is none yet.
 *
 * A transaction can have a subtransaction id for each row, so if there are
 * many claims, they are found by hashing.
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

		tally->places = places_create(CurrentMemoryContext, 4 * FEW_CLAIMS,
									  NULL);
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
			repalloc_huge(tally->claims,
						  tally->maxclaims * sizeof(IenvClaim)) :
			palloc(tally->maxclaims * sizeof(IenvClaim));
	}
	claim = &tally->claims[tally->nclaims++];
	claim->xid = xid;
	claim->inserts = claim->deletes = 0;
	return claim;
}

/*
 * Free the memory of a tally, which can be megabytes if there are many claims.
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
 * The maximum number of users, however the claims are settled.
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
 * All rows that exist for any transaction at the snapshot.  This is what
 * bound.c needs, which is notified of each delete separately.
 */
int64
ienv_rows_for_anybody(const IenvTally *tally)
{
	int64		rows = tally->committed + tally->mine + tally->deleted_since;

	for (int i = 0; i < tally->nclaims; i++)
		rows += tally->claims[i].inserts + tally->claims[i].deletes;
	return rows;
}

/*
 * The committed rows that nobody has begun to delete; others is the tally as
 * any other transaction must see it.  Who replaces a row may also have deleted
 * the replacement.
 */
int64
ienv_settled_rows(const IenvTally *others)
{
	return others->committed - others->replaced_since - others->replaced_open;
}
