/*-------------------------------------------------------------------------
 *
 * guarded_locks.c
 *	  Locking all guarded tables against writers, for drop_application(),
 *	  rollback_promotion() and rename_instance().
 *
 * A request for such a lock that has to wait makes all later requests wait as
 * well, and while it waits for one table, the locks that it has already taken
 * keep others from being written to.  So a transaction that someone has left
 * open on one table must not stop the inserts into all of them.  The locks are
 * taken in attempts: each is a subtransaction with a fraction of a second for
 * all of them; one that fails releases the locks it has taken, and there is a
 * pause before the next one.  After some seconds the caller is told to try
 * again.
 *
 * A distributed table is locked on all nodes of its cluster.  These tables come
 * last, ordered by their names: OIDs differ from node to node, and who locks
 * from another one must not wait for us while we wait for him.
 *
 * A table that is local to another node cannot be looked at from here, so the
 * caller is refused, and told which node has it.
 *
 * A table with so many partitions that they cannot all be locked may have rows
 * that no one has looked at.  So the caller is refused, and told whose table
 * it is: once its owner may no longer guard tables, administration does not
 * look at it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/base.h"
#include "promotion/promotion.h"
#include "table/table.h"

/* In milliseconds */
#define ATTEMPT		200			/* for one attempt: inserts may be held up
								 * that long */
#define PAUSE		300			/* between two attempts */
#define PATIENCE	5000		/* for all attempts; the session's
								 * lock_timeout, if that is less */

/* What to lock, and how */
typedef struct Wanted
{
	LOCKMODE	lockmode;
	bool		by_key;			/* only tables whose rows name instances by
								 * their external keys */
} Wanted;

/* An attempt, and where to put what it finds */
typedef struct Attempt
{
	const Wanted *wanted;
	int			milliseconds;
	List	  **roots;
	char	  **busy;
} Attempt;

static void refuse_elsewhere(void);
static bool lock_in_subtransaction(const Wanted *wanted, int milliseconds,
								   List **roots, char **busy);
static void lock_within(void *arg);
static List *lock_all(const Wanted *wanted, TimestampTz deadline, char **busy);
static List *find_roots(const Wanted *wanted, const List *trusted,
						TimestampTz deadline, char **busy);
static void refuse_partitions(Oid relid);
static void lock_table_full(void);
static void lock_distributed(List *roots, LOCKMODE lockmode,
							 TimestampTz deadline, char **busy);
static int	compare_names(const ListCell *a, const ListCell *b);
static void lock_before(TimestampTz deadline, Oid relid, LOCKMODE lockmode);
static int	time_left(TimestampTz deadline);
static void limit_wait(TimestampTz deadline);
static void take_a_break(void);

/*
 * Lock the guarded tables that administration looks at against writers until
 * the transaction ends, together with whatever is needed to count their rows,
 * and return their OIDs, in order.  lockmode is ShareLock or stronger.  With
 * by_key, leave out those whose rows name instances by their ids.
 */
List *
ienv_lock_guarded_tables(LOCKMODE lockmode, bool by_key)
{
	const Wanted wanted = {lockmode, by_key};
	int			patience = LockTimeout > 0 ? Min(LockTimeout,
												 PATIENCE) : PATIENCE;
	TimestampTz start = GetCurrentTimestamp();
	List	   *roots;
	char	   *busy = NULL;

	refuse_elsewhere();
	while (!lock_in_subtransaction(&wanted, Min(ATTEMPT, patience), &roots,
								   &busy))
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   Max(patience - PAUSE, 0)))
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("could not lock guarded table %s", busy),
					 errdetail("All guarded tables are locked together, and only for a moment, so that nobody has to wait for long."),
					 errhint("Try again when no other session has the table locked or has written to it without committing.")));
		take_a_break();
	}
	return roots;
}

/*
 * Refuse to decide anything on a node that cannot see a guarded table.
 */
static void
refuse_elsewhere(void)
{
	char	   *tables = ienv_tables_elsewhere();

	if (tables != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("not all guarded tables can be looked at from this node"),
				 errdetail("Nodes have tables that are local to them: %s.",
						   tables),
				 errhint("Call the function on the node that has these tables.")));
}

/*
 * Make one attempt, of at most this many milliseconds.  If it fails, it leaves
 * no lock, and *busy is the table that could not be locked.
 */
static bool
lock_in_subtransaction(const Wanted *wanted, int milliseconds, List **roots,
					   char **busy)
{
	Attempt		attempt = {wanted, milliseconds, roots, busy};
	ErrorData  *error = ienv_attempt(lock_within, &attempt, true);

	if (error == NULL)
		return true;
	if (error->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
		lock_table_full();
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
		error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

static void
lock_within(void *arg)
{
	const Attempt *attempt = arg;
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   attempt->milliseconds);
	int			nest_level = NewGUCNestLevel();

	*attempt->roots = lock_all(attempt->wanted, deadline, attempt->busy);
	AtEOXact_GUC(false, nest_level);
}

/*
 * Lock the tables in the order of their OIDs, including partitions.
 */
static List *
lock_all(const Wanted *wanted, TimestampTz deadline, char **busy)
{
	List	   *trusted;
	List	   *roots;
	ListCell   *lc;

	/* another guard() may finish while we wait for a lock */
	do
	{
		List	   *relations = NIL;

		trusted = ienv_trusted_roots();
		roots = find_roots(wanted, trusted, deadline, busy);
		foreach(lc, roots)
		{
			if (ienv_has_too_many_partitions(lfirst_oid(lc)))
				refuse_partitions(lfirst_oid(lc));
			if (ienv_is_distributed(lfirst_oid(lc)))
				continue;
			relations = list_concat(relations,
									find_all_inheritors(lfirst_oid(lc), NoLock,
														NULL));
		}
		list_sort(relations, list_oid_cmp);
		foreach(lc, relations)
		{
			const IenvGuard *guard;

			*busy = ienv_quoted_name(lfirst_oid(lc));
			lock_before(deadline, lfirst_oid(lc), wanted->lockmode);
			if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_RELATION)
				continue;

			/*
			 * Lock the index within the deadline, too, so as not to wait for
			 * it later while holding the table locks.
			 */
			guard = ienv_guard_of(lfirst_oid(lc));
			if (guard != NULL && OidIsValid(guard->instance_index))
				lock_before(deadline, guard->instance_index, AccessShareLock);
		}

		lock_distributed(roots, wanted->lockmode, deadline, busy);

		/*
		 * Likewise for partitions that have been attached since, or are being
		 * detached.
		 */
		foreach(lc, roots)
		{
			*busy = ienv_quoted_name(lfirst_oid(lc));
			limit_wait(deadline);
			if (ienv_guard_of(lfirst_oid(lc)) != NULL)
				(void) ienv_leaf_relations(lfirst_oid(lc), wanted->lockmode);
		}
	} while (!equal(trusted, ienv_trusted_roots()));
	return roots;
}

/*
 * Lock those tables that are distributed, and their indexes on this node.
 */
static void
lock_distributed(List *roots, LOCKMODE lockmode, TimestampTz deadline,
				 char **busy)
{
	List	   *distributed = NIL;
	ListCell   *lc;

	foreach(lc, roots)
		if (ienv_is_distributed(lfirst_oid(lc)))
		distributed = lappend_oid(distributed, lfirst_oid(lc));
	list_sort(distributed, compare_names);
	foreach(lc, distributed)
	{
		*busy = ienv_quoted_name(lfirst_oid(lc));
		limit_wait(deadline);
		ienv_lock_distributed(lfirst_oid(lc), lockmode,
							  time_left(deadline));
	}
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(ienv_sql_name(lfirst_oid(a)), ienv_sql_name(lfirst_oid(b)));
}

/*
 * The wanted ones of these tables.  To see how a table is guarded, it is
 * locked against DDL for a moment.  (Nobody can guard it in another way
 * afterwards: see guard_lock.c.)
 */
static List *
find_roots(const Wanted *wanted, const List *trusted, TimestampTz deadline,
		   char **busy)
{
	List	   *roots = NIL;
	ListCell   *lc;

	if (!wanted->by_key)
		return list_copy(trusted);
	foreach(lc, trusted)
	{
		const IenvGuard *guard;

		*busy = ienv_quoted_name(lfirst_oid(lc));
		lock_before(deadline, lfirst_oid(lc), AccessShareLock);
		guard = ienv_guard_of(lfirst_oid(lc));
		if (guard != NULL && !guard->is_uuid)
			roots = lappend_oid(roots, lfirst_oid(lc));
		UnlockRelationOid(lfirst_oid(lc), AccessShareLock);
	}
	return roots;
}

static void
refuse_partitions(Oid relid)
{
	const char *owner = GetUserNameFromId(ienv_relation_owner(relid), false);

	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("could not lock guarded table %s because it has too many partitions", ienv_quoted_name(relid)),
			 errdetail("It has %d, and at most %d can be locked; its owner is \"%s\".",
					   ienv_count_partitions(relid), IENV_MAX_PARTITIONS,
					   owner),
			 errhint("Have the owner merge partitions, or call instance_env.revoke_access() for the owner, whose tables are then not looked at.")));
}

/*
 * The server has no room for all these locks.
 */
static void
lock_table_full(void)
{
	Oid			largest = InvalidOid;
	int			most = -1;
	ListCell   *lc;

	foreach(lc, ienv_trusted_roots())
	{
		int			partitions = ienv_count_partitions(lfirst_oid(lc));

		if (partitions > most)
		{
			most = partitions;
			largest = lfirst_oid(lc);
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("could not lock all guarded tables because the server has no room for so many locks"),
			 OidIsValid(largest) ?
			 errdetail("The largest number of partitions, %d, is that of table %s of role \"%s\".",
					   most, ienv_quoted_name(largest),
					   GetUserNameFromId(ienv_relation_owner(largest),
										 false)) : 0,
			 errhint("Have the owner merge partitions, call instance_env.revoke_access() for the owner, whose tables are then not looked at, or raise max_locks_per_transaction.")));
}

static void
lock_before(TimestampTz deadline, Oid relid, LOCKMODE lockmode)
{
	if (ConditionalLockRelationOid(relid, lockmode))
		return;
	limit_wait(deadline);
	LockRelationOid(relid, lockmode);
}

/*
 * How many milliseconds are left until the deadline, at least one.
 */
static int
time_left(TimestampTz deadline)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													   deadline);

	return Max(left, 1);
}

/*
 * Make the next wait for a lock end at the deadline.
 */
static void
limit_wait(TimestampTz deadline)
{
	char		value[16];

	snprintf(value, sizeof(value), "%d", time_left(deadline));
	(void) set_config_option("lock_timeout", value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Hold no locks for a while.
 */
static void
take_a_break(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													PAUSE);
	long		left;

	while ((left =
			TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until)) > 0)
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
