/*-------------------------------------------------------------------------
 *
 * guarded_tables.c
 *	  The guarded tables as administration sees them.
 *
 * Whoever can put our triggers on a table must not thereby stand in the way of those who
 * administer instances.  So administration (set_user_cap(), usage, validate(), promote(),
 * rollback_promotion(), drop_application(), reset_development()) looks only at the tables
 * of roles that have been let in (trust.c).  A table of anybody else's is one that has
 * changed hands, or whose owner has been locked out since; its triggers do their work, but
 * nobody waits for it, opens it, or runs anything on it.  View guards lists it.
 *
 * And those that only look, wait for nobody: what they cannot lock at once, they say they
 * have not looked at.  The locks of a look are given back when it is over, for the server
 * has room for so many only (max_locks_per_transaction), and the owners of tables decide
 * how many partitions and indexes there are.  So what is locked is what has to be opened:
 * of each partition one index, and of a table with too many partitions none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "registry/registry.h"
#include "table/table.h"

static List *guarded_roots(void);
static bool look_at(Oid relid, bool (*lock) (Oid relid), IenvLook look, void *arg);
static bool lock_rows(Oid relid);
static bool lock_guard(Oid relid);
static int	compare_roots(const ListCell *a, const ListCell *b);

/*
 * The tables that guard() was called for, in the order of their OIDs, so that
 * whoever locks several locks them in one order.
 */
static List *
guarded_roots(void)
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

	foreach(lc, guarded_roots())
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
 * How many partitions a table has, with theirs.
 */
int
ienv_count_partitions(Oid relid)
{
	return list_length(find_all_inheritors(relid, NoLock, NULL)) - 1;
}

bool
ienv_has_too_many_partitions(Oid relid)
{
	return ienv_count_partitions(relid) > IENV_MAX_PARTITIONS;
}

/*
 * Why a table could not be looked at, as a phrase.
 */
char *
ienv_why_not_at_once(Oid relid)
{
	return ienv_has_too_many_partitions(relid) ?
		psprintf("the table has more than %d partitions", IENV_MAX_PARTITIONS) :
		pstrdup("the table is locked");
}

/*
 * Lock a table with all that it takes to see whether its guard is whole, if that needs no
 * waiting, call look, and give the locks back.  Returns whether it was called.
 */
bool
ienv_look_at_guard(Oid relid, IenvLook look, void *arg)
{
	return look_at(relid, lock_guard, look, arg);
}

/*
 * The same with all that it takes to count its rows of an instance.
 */
bool
ienv_look_at_rows(Oid relid, IenvLook look, void *arg)
{
	return look_at(relid, lock_rows, look, arg);
}

/*
 * The look is a subtransaction that is rolled back, because that gives back all its locks,
 * also those that the functions it calls keep.  It writes nothing.
 */
static bool
look_at(Oid relid, bool (*lock) (Oid relid), IenvLook look, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool looked = false;

	if (ienv_has_too_many_partitions(relid))
		return false;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (lock(relid))
		{
			look(relid, arg);
			looked = true;
		}
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;

		/* the server has no room for more locks */
		if (error->sqlerrcode != ERRCODE_OUT_OF_MEMORY)
			ReThrowError(error);
		FreeErrorData(error);
		looked = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return looked;
}

/*
 * Lock a table for reading, with its partitions and the index of each by which its rows of
 * an instance are counted, if that needs no waiting.
 */
static bool
lock_rows(Oid relid)
{
	ListCell   *lc;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		const IenvGuard *guard;

		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
			return false;
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_RELATION)
			continue;
		guard = ienv_guard_of(lfirst_oid(lc));
		if (guard != NULL && OidIsValid(guard->instance_index) &&
			!ConditionalLockRelationOid(guard->instance_index, AccessShareLock))
			return false;
	}
	return true;
}

/*
 * The same with the tables that its foreign keys refer to, but not their partitions: only
 * their own triggers matter.
 */
static bool
lock_guard(Oid relid)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		locked = true;

	if (!lock_rows(relid))
		return false;
	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (locked && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN)
			locked = ConditionalLockRelationOid(form->confrelid, AccessShareLock);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return locked;
}

/*
 * Why administration does not look at a table, as a phrase.
 */
char *
ienv_why_not_trusted(const IenvRoot *root)
{
	return psprintf("its owner \"%s\" may not execute the trigger functions of %s",
					GetUserNameFromId(root->owner, false), IENV_SCHEMA);
}
