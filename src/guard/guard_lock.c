/*-------------------------------------------------------------------------
 *
 * guard_lock.c
 *	  Mutual exclusion of guarding a table and anything that must know all
 *	  guarded tables.
 *
 * drop_application() and rollback_promotion() look at all guarded tables, and
 * lock them, to be sure that an instance has no rows and gets none.  They
 * would not see a table whose guard() has not been committed, nor would that
 * guard() see what they have done.  So they take a lock that conflicts with
 * the one guard() takes: on the function that a guard's first trigger
 * executes, which belongs to no particular table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "storage/lmgr.h"
#include "utils/guc.h"

#include "base/base.h"
#include "guard/guard.h"

/* How long those two wait for an open transaction that has guarded a table */
#define LONGEST_WAIT_MS 5000

/*
 * Called by guard(), before it looks at any row.  Held until the transaction
 * ends; does not conflict with itself.
 */
void
ienv_begin_guarding(void)
{
	LockDatabaseObject(ProcedureRelationId, ienv_oids()->functions[0], 0,
					   RowExclusiveLock);
}

/*
 * Called by functions that must know all guarded tables.  Held until the
 * transaction ends.
 */
void
ienv_keep_from_guarding(void)
{
	int			nest_level = ienv_bound_lock_waits(LONGEST_WAIT_MS);

	LockDatabaseObject(ProcedureRelationId, ienv_oids()->functions[0], 0,
					   ShareLock);
	AtEOXact_GUC(false, nest_level);
}
