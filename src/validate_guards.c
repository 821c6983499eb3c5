/*-------------------------------------------------------------------------
 *
 * validate_guards.c
 *	  The checks of validate() that look at the guarded tables, and how full
 *	  development instances are: view usage.
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
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "validate.h"

/* From how many hundredths of its cap on an instance is said to be nearly full */
#define NEARLY_FULL 80

#define USAGE_COLUMNS 3

/* A guarded table */
typedef struct Root
{
	Oid			relid;
	char	   *name;			/* qualified */
} Root;

/* How many users a counted table has of an instance */
typedef struct Usage
{
	const Root *root;
	int64		users;			/* -1: they cannot be counted now */
} Usage;

static bool lock_at_once(Oid relid);
static bool lock_referenced(Oid relid);
static char *table_name(Oid relid);
static void check_guard(IenvValidation *run, const Root *root);
static List *roots_by_name(void);
static int	compare_roots(const ListCell *a, const ListCell *b);
static List *usage_of(Datum instance, Datum external_key);
static bool is_counted(Oid relid);
static int64 users_of(Oid relid, Datum instance, Datum external_key);

PG_FUNCTION_INFO_V1(instance_env_instance_usage);

/*
 * Each guard is whole.
 */
void
ienv_check_guards(IenvValidation *run)
{
	List	   *roots = roots_by_name();
	ListCell   *lc;

	if (roots == NIL)
		ienv_add_check(run, "guard", IENV_WARNING, 0, false,
					   "No table is guarded.", "Call instance_env.guard() for the table of users.");
	foreach(lc, roots)
		check_guard(run, lfirst(lc));
}

static void
check_guard(IenvValidation *run, const Root *root)
{
	char	   *name = psprintf("guard:%s", root->name);
	bool		locked = lock_at_once(root->relid) && lock_referenced(root->relid);
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
 * How full a development instance is, in each counted table.
 */
void
ienv_check_usage(IenvValidation *run)
{
	int			cap = run->info.user_cap;
	List	   *usage = usage_of(run->instance, run->external_key);
	ListCell   *lc;

	if (usage == NIL)
		ienv_add_check(run, "usage", IENV_WARNING, 0, true, "No table is counted.", NULL);
	foreach(lc, usage)
	{
		const Usage *u = lfirst(lc);
		const char *table = u->root->name;
		char	   *name = psprintf("usage:%s", table);

		if (u->users < 0)
			ienv_add_check(run, name, IENV_WARNING, 0, false,
						   psprintf("The users in table \"%s\" could not be counted.", table),
						   "Repeat when nobody alters the table and its guard is whole.");
		else
			ienv_add_check(run, name, IENV_WARNING,
						   u->users >= cap ? ERRCODE_IENV_USER_CAP_EXCEEDED : 0,
						   u->users * 100 < (int64) cap * NEARLY_FULL,
						   psprintf("Table \"%s\" holds %lld of at most %d users.", table, (long long) u->users, cap),
						   "Delete users, or raise the cap with instance_env.set_user_cap().");
	}
}

/*
 * The guarded tables in the order of their names, which unlike OIDs survive a restore.
 */
static List *
roots_by_name(void)
{
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, ienv_guarded_roots())
	{
		Root	   *root = palloc(sizeof(Root));

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
	return strcmp(((const Root *) lfirst(a))->name, ((const Root *) lfirst(b))->name);
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
static bool
lock_at_once(Oid relid)
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
			locked = lock_at_once(form->confrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return locked;
}

/*
 * The users of an instance in each counted table, as Usages.
 */
static List *
usage_of(Datum instance, Datum external_key)
{
	List	   *usage = NIL;
	ListCell   *lc;

	foreach(lc, roots_by_name())
	{
		const Root *root = lfirst(lc);
		Usage	   *u;

		if (!is_counted(root->relid))
			continue;
		u = palloc(sizeof(Usage));
		u->root = root;
		u->users = lock_at_once(root->relid) ? users_of(root->relid, instance, external_key) : -1;
		usage = lappend(usage, u);
	}
	return usage;
}

/*
 * Does the cap apply to the table?  Asks the catalog, so that it need not be locked.
 */
static bool
is_counted(Oid relid)
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
 * How many users of an instance a counted table may come to hold, those of open
 * transactions included; -1 if they cannot be counted, or only by reading the whole
 * table.  The table and its partitions are locked.
 */
static int64
users_of(Oid relid, Datum instance, Datum external_key)
{
	const IenvGuard *guard;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		char		relkind = get_rel_relkind(lfirst_oid(lc));

		if (relkind == RELKIND_PARTITIONED_TABLE)
			continue;
		guard = ienv_guard_of(lfirst_oid(lc));
		if (relkind != RELKIND_RELATION || guard == NULL || !OidIsValid(guard->instance_index))
			return -1;
	}
	guard = ienv_guard_of(relid);
	return guard == NULL ? -1 : ienv_user_count(guard, guard->is_uuid ? instance : external_key, PG_INT64_MAX);
}

/*
 * instance_usage(instance uuid) RETURNS TABLE (relation, users, user_cap)
 *
 * A row for each counted table; users is null if they cannot be counted now.
 */
Datum
instance_env_instance_usage(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			type = UUIDOID;
	Datum		instance;
	Datum		external_key;
	IenvInstance info;
	bool		isnull;
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	info = ienv_require_instance(instance);
	if (ienv_query_latest("SELECT external_key FROM instance_env.instance WHERE id OPERATOR(pg_catalog.=) $1",
						  1, &type, &instance, NULL) != 1)
		elog(ERROR, "instance %s is gone", ienv_instance_text(instance, true));
	external_key = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

	foreach(lc, usage_of(instance, external_key))
	{
		const Usage *u = lfirst(lc);
		Datum		values[USAGE_COLUMNS];
		bool		nulls[USAGE_COLUMNS] = {false};

		values[0] = ObjectIdGetDatum(u->root->relid);
		values[1] = Int64GetDatum(u->users);
		nulls[1] = u->users < 0;
		values[2] = Int32GetDatum(info.user_cap);
		nulls[2] = info.user_cap < 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}
