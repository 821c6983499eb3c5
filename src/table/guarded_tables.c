/*-------------------------------------------------------------------------
 *
 * guarded_tables.c
 *	  The guarded tables as seen by the administrative functions.
 *
 * A role that can put our triggers on a table must not thereby be able to
 * obstruct those who administer instances.  So the administrative functions
 * (set_user_cap(), view usage, validate(), promote(), rollback_promotion(),
 * drop_application(), reset_development()) look only at tables of trusted
 * roles (trust.c).  Any other guarded table has changed owners, or its owner
 * has lost that trust since; its triggers do their work, but the
 * administrative functions do not wait for it, open it, or run anything on it.
 * View guards lists it.
 *
 * The functions that only look never wait for a lock: if they cannot lock a
 * table at once, they report that they have not looked at it.  They release
 * their locks afterwards, because the lock table's size is limited
 * (max_locks_per_transaction), while the owners of tables decide how many
 * partitions and indexes there are.  For the same reason only what has to be
 * opened is locked: one index of each partition, and nothing of a table with
 * too many partitions.
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
#include "utils/syscache.h"

#include "base/base.h"
#include "registry/registry.h"
#include "table/table.h"

/* A look at a table, if it can be locked at once */
typedef struct Glance
{
	Oid			relid;
	bool		(*lock) (Oid relid);
	IenvLook	look;
	void	   *arg;			/* of look */
	bool		looked;
} Glance;

static List *guarded_roots(void);
static bool look_at(Oid relid, bool (*lock) (Oid relid), IenvLook look,
					void *arg);
static void lock_and_look(void *arg);
static bool lock_guard(Oid relid);
static bool lock_referenced(Oid relid);
static int	compare_roots(const ListCell *a, const ListCell *b);

/*
 * The tables that guard() was called for, ordered by OID, so that all callers
 * that lock several of them lock them in the same order.
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
 * All guarded tables as IenvRoots, ordered by OID.
 *
 * Reads the catalogs and opens no table.  Temporary tables, views and foreign
 * tables cannot be guarded, but their owner may have created such triggers by
 * hand; and the contents of another session's temporary table can never be
 * read.  The shards of a distributed table are not tables of their own.
 */
List *
ienv_all_roots(void)
{
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, guarded_roots())
	{
		HeapTuple	tuple = SearchSysCache1(RELOID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_class form;
		IenvRoot   *root;

		if (!HeapTupleIsValid(tuple))
			continue;			/* dropped meanwhile */
		if (OidIsValid(ienv_shell_of(lfirst_oid(lc))))
		{
			ReleaseSysCache(tuple);
			continue;
		}
		form = (Form_pg_class) GETSTRUCT(tuple);
		if (form->relpersistence != RELPERSISTENCE_TEMP &&
			(form->relkind == RELKIND_RELATION ||
			 form->relkind == RELKIND_PARTITIONED_TABLE))
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
 * All guarded tables ordered by name, because names, unlike OIDs, survive a
 * restore.
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
	return strcmp(((const IenvRoot *) lfirst(a))->name,
				  ((const IenvRoot *) lfirst(b))->name);
}

/*
 * The OIDs of the guarded tables that the administrative functions look at, in
 * order.
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
 * Does the cap apply to the table?  Reads the catalog, so the table need not
 * be locked.
 */
bool
ienv_is_counted(Oid relid)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		counted = false;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 1,
							  &key);
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
 * How many partitions a table has, at all levels.
 *
 * The table need not be locked: find_all_inheritors() would fail if it, or a
 * partition, was dropped meanwhile.
 */
int
ienv_count_partitions(Oid relid)
{
	List	   *tree = list_make1_oid(relid);
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);

	for (int i = 0; i < list_length(tree); i++)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_inherits_inhparent, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(list_nth_oid(tree, i)));
		scan = systable_beginscan(rel, InheritsParentIndexId, true, NULL, 1,
								  &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			tree = lappend_oid(tree,
							   ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid);
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return list_length(tree) - 1;
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
		psprintf("the table has more than %d partitions",
				 IENV_MAX_PARTITIONS) :
		pstrdup("the table is locked");
}

/*
 * Lock a table, and all that is needed to see whether its guard is whole, call
 * look, and release the locks.  If that would require waiting, do nothing.
 * Returns whether look was called.
 */
bool
ienv_look_at_guard(Oid relid, IenvLook look, void *arg)
{
	return look_at(relid, lock_guard, look, arg);
}

/*
 * The same with all that is needed to count the table's rows of an instance.
 */
bool
ienv_look_at_rows(Oid relid, IenvLook look, void *arg)
{
	return look_at(relid, ienv_lock_rows_at_once, look, arg);
}

/*
 * This is done in a subtransaction that is rolled back, because that releases
 * all its locks, including those that the functions it calls retain.  Nothing
 * is written.
 */
static bool
look_at(Oid relid, bool (*lock) (Oid relid), IenvLook look, void *arg)
{
	Glance		glance = {relid, lock, look, arg, false};
	ErrorData  *error;

	if (ienv_has_too_many_partitions(relid))
		return false;
	error = ienv_attempt(lock_and_look, &glance, false);
	if (error == NULL)
		return glance.looked;

	/* the lock table is full */
	if (error->sqlerrcode != ERRCODE_OUT_OF_MEMORY)
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

static void
lock_and_look(void *arg)
{
	Glance	   *glance = arg;

	if (!glance->lock(glance->relid))
		return;
	glance->look(glance->relid, glance->arg);
	glance->looked = true;
}

/*
 * Lock a table for reading, with its partitions and the index of each that is
 * used to count its rows of an instance.  False if that would require waiting,
 * or the table has been dropped.
 */
bool
ienv_lock_rows_at_once(Oid relid)
{
	ListCell   *lc;

	if (!ConditionalLockRelationOid(relid, AccessShareLock) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
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
			!ConditionalLockRelationOid(guard->instance_index,
										AccessShareLock))
			return false;
	}
	return true;
}

/*
 * The same, including the tables that its foreign keys, and those of its
 * partitions, reference; of partitions, their roots: only these tell.
 */
static bool
lock_guard(Oid relid)
{
	ListCell   *lc;

	if (!ienv_lock_rows_at_once(relid))
		return false;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
		if (!lock_referenced(lfirst_oid(lc)))
		return false;
	return true;
}

static bool
lock_referenced(Oid relid)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		locked = true;

	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL,
							  1, &key);
	while (locked && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN &&
			!OidIsValid(form->conparentid))
			locked =
				ConditionalLockRelationOid(ienv_root_of(form->confrelid),
										   AccessShareLock);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return locked;
}

/*
 * Why the administrative functions do not look at a table, as a phrase.
 */
char *
ienv_why_not_trusted(const IenvRoot *root)
{
	return psprintf("its owner \"%s\" may not execute the trigger functions of %s",
					GetUserNameFromId(root->owner, false), IENV_SCHEMA);
}
