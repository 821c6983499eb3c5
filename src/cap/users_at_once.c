/*-------------------------------------------------------------------------
 *
 * users_at_once.c
 *	  Counting an instance's rows in a table, if that is possible without
 *	  waiting.
 *
 * This is for functions that only look: view usage, validate(), set_user_cap()
 * and the first looks of drop_application() and rollback_promotion().  The
 * table, its partitions and the indexes used for counting are locked only
 * meanwhile (guarded_tables.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "cap/cap.h"
#include "cap/seats.h"
#include "table/table.h"

/* A table's rows of an instance: input and result of a look at them */
typedef struct Rows
{
	Datum		instance;
	Datum		external_key;
	int64		limit;
	int64		users;			/* -1: they cannot be counted */
	bool		certain;		/* there are some that nobody is about to
								 * delete */
} Rows;

static void count_users(Oid relid, void *arg);
static void look_for_rows(Oid relid, void *arg);

/*
 * How many rows of an instance a table may come to hold, including those of
 * open transactions; counting stops soon after limit.  -1 if they cannot be
 * counted now, or only by reading the whole table.
 */
int64
ienv_users_at_once(Oid relid, Datum instance, Datum external_key, int64 limit)
{
	Rows		rows = {instance, external_key, limit, -1, false};

	return ienv_look_at_rows(relid, count_users, &rows) ? rows.users : -1;
}

static void
count_users(Oid relid, void *arg)
{
	Rows	   *rows = arg;
	const IenvGuard *guard = ienv_countable(relid);

	if (guard != NULL)
		rows->users = ienv_user_count(guard,
									  guard->is_uuid ? rows->instance :
									  rows->external_key, rows->limit);
}

/*
 * Does the table hold rows of the instance that are either committed, with
 * nobody about to delete them, or my own?  Also false if that cannot be
 * determined at once.
 */
bool
ienv_has_rows_at_once(Oid relid, Datum instance, Datum external_key)
{
	Rows		rows = {instance, external_key, 0, -1, false};

	return ienv_look_at_rows(relid, look_for_rows, &rows) && rows.certain;
}

static void
look_for_rows(Oid relid, void *arg)
{
	Rows	   *rows = arg;
	const IenvGuard *guard = ienv_countable(relid);
	IenvTally	tally = {0};
	Snapshot	snapshot;

	if (guard == NULL)
		return;
	if (ienv_is_distributed(relid))
	{
		rows->certain = ienv_user_count(guard, guard->is_uuid ? rows->instance :
										rows->external_key, 0) > 0;
		return;
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	(void) ienv_count_seats(&tally, NULL, guard,
							guard->is_uuid ? rows->instance :
							rows->external_key, 0, snapshot);
	UnregisterSnapshot(snapshot);
	rows->certain = tally.committed + tally.mine > 0;
	ienv_end_tally(&tally);
}

/*
 * The guard of a table if its rows can be counted by an index in each
 * partition, otherwise NULL.  The table, its partitions and those indexes are
 * locked.
 */
const IenvGuard *
ienv_countable(Oid relid)
{
	ListCell   *lc;

	if (ienv_hides_rows(relid))
		return NULL;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		char		relkind = get_rel_relkind(lfirst_oid(lc));
		const IenvGuard *guard;

		if (relkind == RELKIND_PARTITIONED_TABLE)
			continue;
		guard = ienv_guard_of(lfirst_oid(lc));
		if (relkind != RELKIND_RELATION || guard == NULL ||
			!OidIsValid(guard->instance_index))
			return NULL;
	}
	return ienv_guard_of(relid);
}
