/*-------------------------------------------------------------------------
 *
 * guarded_tables.c
 *	  The guarded tables as administration sees them.
 *
 * Whoever can put our triggers on a table must not thereby stand in the way of those who
 * administer instances.  So administration (set_user_cap(), usage, validate(), promote(),
 * rollback_promotion(), drop_application(), reset_development()) looks only at the tables
 * of roles that have been let in (let_in.c).  A table of anybody else's is one that has
 * changed hands, or whose owner has been locked out since; its triggers do their work, but
 * nobody waits for it, opens it, or runs anything on it.  View guards lists it.
 *
 * And those that only look, wait for nobody: what they cannot lock at once, they say they
 * have not looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "guard.h"
#include "instance_env.h"
#include "seats.h"

static bool lock_referenced(Oid relid);
static int	compare_roots(const ListCell *a, const ListCell *b);
static const IenvGuard *countable(Oid relid);

/*
 * The tables that guard() was called for, in the order of their OIDs, so that
 * whoever locks several locks them in one order.
 */
List *
ienv_guarded_roots(void)
{
	List	   *roots = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	rel = table_open(TriggerRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		const IenvTriggerKind *kind = OidIsValid(form->tgparentid) ? NULL : ienv_trigger_kind(form->tgfoid);

		/* partitions have a TRUNCATE trigger of their own */
		if (kind != NULL && kind->bit != IENV_TRIGGER_TRUNCATE)
			roots = list_append_unique_oid(roots, form->tgrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(roots, list_oid_cmp);
	return roots;
}

/*
 * All guarded tables as IenvRoots, in the order of their OIDs.
 *
 * Asks the catalogs and opens none.  A temporary table cannot be guarded, nor a view or a
 * foreign table, but the owner may have made triggers by hand; and what is in another
 * session's temporary table can never be read.
 */
List *
ienv_all_roots(void)
{
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, ienv_guarded_roots())
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_class form;
		IenvRoot   *root;

		if (!HeapTupleIsValid(tuple))
			continue;			/* dropped meanwhile */
		form = (Form_pg_class) GETSTRUCT(tuple);
		if (form->relpersistence != RELPERSISTENCE_TEMP &&
			(form->relkind == RELKIND_RELATION || form->relkind == RELKIND_PARTITIONED_TABLE))
		{
			char	   *name = ienv_quoted_name(form->oid);

			root = palloc(sizeof(IenvRoot));
			root->relid = form->oid;
			root->owner = form->relowner;
			root->trusted = ienv_is_let_in(form->relowner);
			root->name = pnstrdup(name + 1, strlen(name) - 2);
			roots = lappend(roots, root);
		}
		ReleaseSysCache(tuple);
	}
	return roots;
}

/*
 * All guarded tables in the order of their names, which unlike OIDs survive a restore.
 */
List *
ienv_roots_by_name(void)
{
	List	   *roots = ienv_all_roots();

	list_sort(roots, compare_roots);
	return roots;
}

static int
compare_roots(const ListCell *a, const ListCell *b)
{
	return strcmp(((const IenvRoot *) lfirst(a))->name, ((const IenvRoot *) lfirst(b))->name);
}

/*
 * The guarded tables that administration looks at: the OIDs, in order.
 */
List *
ienv_trusted_roots(void)
{
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, ienv_all_roots())
	{
		const IenvRoot *root = lfirst(lc);

		if (root->trusted)
			roots = lappend_oid(roots, root->relid);
	}
	return roots;
}

/*
 * Does the cap apply to the table?  Asks the catalog, so that it need not be locked.
 */
bool
ienv_is_counted(Oid relid)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		counted = false;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (!counted && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		const IenvTriggerKind *kind = ienv_trigger_kind(((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid);

		counted = kind != NULL && kind->bit == IENV_TRIGGER_USER_CAP;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return counted;
}

/*
 * Lock a table for reading, with its partitions and indexes, if that needs no waiting.
 */
bool
ienv_lock_at_once(Oid relid)
{
	ListCell   *lc;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Relation	rel;
		ListCell   *i;

		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
			return false;
		rel = try_relation_open(lfirst_oid(lc), NoLock);
		if (rel == NULL)
			continue;
		foreach(i, RelationGetIndexList(rel))
			if (!ConditionalLockRelationOid(lfirst_oid(i), AccessShareLock))
			{
				relation_close(rel, NoLock);
				return false;
			}
		relation_close(rel, NoLock);
	}
	return true;
}

/*
 * The same with all that it takes to see whether the table's guard is whole: the tables
 * that its foreign keys refer to.
 */
bool
ienv_lock_guard_at_once(Oid relid)
{
	return ienv_lock_at_once(relid) && lock_referenced(relid);
}

static bool
lock_referenced(Oid relid)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		locked = true;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (locked && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN)
			locked = ienv_lock_at_once(form->confrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return locked;
}

/*
 * The guard of a table whose rows can be counted by an index in each partition, or NULL.
 * The table, its partitions and their indexes are locked.
 */
static const IenvGuard *
countable(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		char		relkind = get_rel_relkind(lfirst_oid(lc));
		const IenvGuard *guard;

		if (relkind == RELKIND_PARTITIONED_TABLE)
			continue;
		guard = ienv_guard_of(lfirst_oid(lc));
		if (relkind != RELKIND_RELATION || guard == NULL || !OidIsValid(guard->instance_index))
			return NULL;
	}
	return ienv_guard_of(relid);
}

/*
 * How many rows of an instance a table may come to hold, those of open transactions
 * included; counting stops soon after limit.  -1 if they cannot be counted now, or only
 * by reading the whole table.
 */
int64
ienv_users_at_once(Oid relid, Datum instance, Datum external_key, int64 limit)
{
	const IenvGuard *guard = ienv_lock_at_once(relid) ? countable(relid) : NULL;

	return guard == NULL ? -1 : ienv_user_count(guard, guard->is_uuid ? instance : external_key, limit);
}

/*
 * Does the table hold rows of the instance that are committed and that nobody is about to
 * delete, or my own?  Also false if that cannot be told at once.
 */
bool
ienv_has_rows_at_once(Oid relid, Datum instance, Datum external_key)
{
	const IenvGuard *guard = ienv_lock_at_once(relid) ? countable(relid) : NULL;
	IenvTally	tally = {0};
	Snapshot	snapshot;

	if (guard == NULL)
		return false;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	(void) ienv_count_seats(&tally, NULL, guard, guard->is_uuid ? instance : external_key, 0, snapshot);
	UnregisterSnapshot(snapshot);
	ienv_end_tally(&tally);
	return tally.committed + tally.mine > 0;
}
