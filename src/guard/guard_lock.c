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
 * That lock is one of this node.  Where the registry is distributed, table
 * setting_section, which is written to by installation only, stands for it on
 * all nodes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

/* How long those two wait for an open transaction that has guarded a table */
#define LONGEST_WAIT_MS 5000

static void lock_all_nodes(LOCKMODE lockmode);

/*
 * Called by guard(), before it looks at any row.  Held until the transaction
 * ends; does not conflict with itself.
 */
void
ienv_begin_guarding(void)
{
	LockDatabaseObject(ProcedureRelationId, ienv_oids()->functions[0], 0,
					   RowExclusiveLock);
	lock_all_nodes(RowExclusiveLock);
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
	lock_all_nodes(ShareLock);
	AtEOXact_GUC(false, nest_level);
}

static void
lock_all_nodes(LOCKMODE lockmode)
{
	Oid			relid = get_relname_relid("setting_section",
										  ienv_oids()->schema);

	if (OidIsValid(relid) && ienv_is_distributed(relid))
		ienv_lock_distributed(relid, lockmode, LockTimeout);
}
