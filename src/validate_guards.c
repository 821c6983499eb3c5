/*-------------------------------------------------------------------------
 *
 * validate_guards.c
 *	  The checks of validate() that look at how tables are guarded.
 *
 * Whoever has locked a table keeps nobody from an answer: what cannot be looked at
 * is said not to have been.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "guard.h"
#include "validate.h"

static bool lock_referenced(Oid relid);
static char *table_name(Oid relid);
static void check_guard(IenvValidation *run, const IenvRoot *root);
static int	compare_roots(const ListCell *a, const ListCell *b);

/*
 * Each guard is whole.
 */
void
ienv_check_guards(IenvValidation *run)
{
	List	   *roots = ienv_roots_by_name();
	ListCell   *lc;

	if (roots == NIL)
		ienv_add_check(run, "guard", IENV_WARNING, 0, false,
					   "No table is guarded.", "Call instance_env.guard() for the table of users.");
	foreach(lc, roots)
		check_guard(run, lfirst(lc));
}

static void
check_guard(IenvValidation *run, const IenvRoot *root)
{
	char	   *name = psprintf("guard:%s", root->name);
	bool		locked = ienv_lock_at_once(root->relid) && lock_referenced(root->relid);
	Relation	rel;
	IenvGuard	guard;
	int			present;
	int			disabled;

	if (!locked)
	{
		ienv_add_check(run, name, IENV_ERROR, ERRCODE_LOCK_NOT_AVAILABLE, false,
					   psprintf("The guard of table \"%s\" could not be looked at, because the table is locked.", root->name),
					   "Repeat when nobody alters the table.");
		return;
	}

	/* it may have been dropped or unguarded meanwhile */
	rel = try_relation_open(root->relid, NoLock);
	if (rel == NULL)
		return;
	if (ienv_read_guard(rel, &guard, &present, &disabled))
	{
		List	   *problems = ienv_guard_problems(rel, &guard, present, disabled);
		StringInfoData text;
		ListCell   *lc;

		initStringInfo(&text);
		foreach(lc, problems)
			appendStringInfo(&text, "%s%s", text.len ? "; " : "", (char *) lfirst(lc));
		ienv_add_check(run, name, IENV_ERROR, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, problems == NIL,
					   problems == NIL ? psprintf("The guard of table \"%s\" is whole.", root->name) :
					   psprintf("The guard of table \"%s\" is not whole: %s.", root->name, text.data),
					   "Call instance_env.guard() for the table again; a foreign key to users must include the instance column.");
	}
	relation_close(rel, NoLock);
}

/*
 * The guarded tables in the order of their names, which unlike OIDs survive a restore.
 */
List *
ienv_roots_by_name(void)
{
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, ienv_guarded_roots())
	{
		IenvRoot	   *root = palloc(sizeof(IenvRoot));

		root->relid = lfirst_oid(lc);
		root->name = table_name(root->relid);
		roots = lappend(roots, root);
	}
	list_sort(roots, compare_roots);
	return roots;
}

static int
compare_roots(const ListCell *a, const ListCell *b)
{
	return strcmp(((const IenvRoot *) lfirst(a))->name, ((const IenvRoot *) lfirst(b))->name);
}

/*
 * A table's qualified name, as it is in the names of checks.
 */
static char *
table_name(Oid relid)
{
	char	   *name = ienv_quoted_name(relid);

	return pnstrdup(name + 1, strlen(name) - 2);
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
 * The same for all tables that a table's foreign keys refer to.
 */
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
