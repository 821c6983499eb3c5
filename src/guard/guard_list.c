/*-------------------------------------------------------------------------
 *
 * guard_list.c
 *	  What is guarded, and whether each guard is whole: view guards.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

#define GUARD_LIST_COLUMNS 12

/* Adds a phrase, made as by psprintf(), to a list of them. */
#define ADD_PROBLEM(problems, ...) \
	((problems) = lappend((problems), psprintf(__VA_ARGS__)))

/* A row of the list */
typedef struct GuardRow
{
	Datum		values[GUARD_LIST_COLUMNS];
	bool		nulls[GUARD_LIST_COLUMNS];
	List	   *problems;
	bool		gone;			/* dropped or unguarded in the meantime */
} GuardRow;

static bool may_monitor(void);
static void read_root(Oid relid, void *arg);
static void set_name(GuardRow *row, int column, const char *name);
static void add_partition_problems(List **problems, Oid relid, int present,
								   int disabled);
static int	count_leaves(Oid relid);
static bool is_slow(const IenvGuard *guard, List **problems);
static ArrayType *text_array(List *strings);

PG_FUNCTION_INFO_V1(instance_env_guard_list);

/*
 * guard_list() RETURNS SETOF record
 *
 * The guarded tables, and what is wrong with each guard; for a role
 * that may not monitor, only the tables whose owner's rights it has.
 *
 * Never waits: of a
 * table that is locked, or that has too many partitions, it returns nothing
 * but the name and whether the cap applies, and whether its guard is whole is
 * null.  The same goes for tables that administration does not look at, which
 * are not opened, except that their guards are reported as not whole.
 */
Datum
instance_env_guard_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	bool		all = may_monitor();

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, ienv_all_roots())
	{
		const IenvRoot *root = lfirst(lc);
		GuardRow	row = {{0}, {false, true, true, false, true, true, false, true, true, true, true, true}, NIL, false};

		if (!all && !has_privs_of_role(GetUserId(), root->owner))
			continue;
		row.values[0] = ObjectIdGetDatum(root->relid);
		row.values[3] = BoolGetDatum(ienv_is_counted(root->relid));
		if (!root->trusted)
		{
			row.nulls[5] = false;
			row.values[5] = BoolGetDatum(false);
			row.problems =
				list_make1(psprintf("administration does not look at the table: %s; have it guarded again by a role that may", ienv_why_not_trusted(root)));
		}
		else if (!ienv_look_at_guard(root->relid, read_root, &row))
			row.problems =
				list_make1(psprintf("%s, and could not be looked at",
									ienv_why_not_at_once(root->relid)));
		if (row.gone ||
			!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(root->relid)))
			continue;
		row.values[6] = PointerGetDatum(text_array(row.problems));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.values,
							 row.nulls);
	}
	return (Datum) 0;
}

/*
 * May the current user see all guarded tables?  Who may read view usage does
 * so in any case, since it names each of them.
 */
static bool
may_monitor(void)
{
	Oid			relid = get_relname_relid("usage", ienv_oids()->schema);

	return OidIsValid(relid) &&
		pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Fill in a row for a table, which has been locked.
 */
static void
read_root(Oid relid, void *arg)
{
	GuardRow   *row = arg;
	Datum	   *values = row->values;
	Relation	rel = try_relation_open(relid, NoLock);
	IenvGuard	guard;
	IenvUserColumns columns;
	List	   *isolation;
	int			present;
	int			disabled;

	row->gone = rel == NULL ||
		!ienv_read_guard(rel, &guard, &present, &disabled);
	if (!row->gone)
	{
		ienv_read_user_columns(rel, &columns);

		values[10] =
			CStringGetTextDatum(ienv_isolation_of(relid, guard.instance_attno,
												  &isolation));

		/*
		 * validate() does not mind all but the first: production does without
		 * them
		 */
		row->problems =
			list_concat(ienv_guard_problems(rel, &guard, present, disabled),
						ienv_user_column_problems(relid, &columns));
		row->problems = list_concat(row->problems, isolation);
		memset(row->nulls, 0, sizeof(row->nulls));
		set_name(row, 1, get_attname(relid, guard.instance_attno, false));
		row->nulls[2] = guard.nkeys + guard.nrefs == 0;
		if (!row->nulls[2])
			values[2] = CStringGetTextDatum(ienv_user_key_text(&guard));
		values[3] = BoolGetDatum(guard.counted);
		values[4] = CStringGetTextDatum(guard.label);
		values[5] = BoolGetDatum(row->problems == NIL);
		values[7] = ObjectIdGetDatum(ienv_user_table_of(&guard));
		row->nulls[7] = !OidIsValid(DatumGetObjectId(values[7]));
		values[11] = BoolGetDatum(guard.coded);
		set_name(row, 8, columns.address);
		set_name(row, 9, columns.created);
	}
	if (rel != NULL)
		relation_close(rel, NoLock);
}

static void
set_name(GuardRow *row, int column, const char *name)
{
	row->nulls[column] = name == NULL;
	if (name != NULL)
		row->values[column] = DirectFunctionCall1(namein,
												  CStringGetDatum(name));
}

/*
 * What is wrong with a guard, as phrases.  rel has been locked, by
 * ienv_look_at_guard().
 */
List *
ienv_guard_problems(Relation rel, const IenvGuard *guard, int present,
					int disabled)
{
	List	   *problems = NIL;
	int			missing = ienv_triggers_for(rel, guard) & ~present;
	ListCell   *lc;

	for (int kind = 0; kind < IENV_TRIGGERS; kind++)
	{
		if (missing & ienv_trigger_kinds[kind].bit)
			ADD_PROBLEM(problems, "trigger %s is missing",
						ienv_trigger_kinds[kind].name);
		if (disabled & ienv_trigger_kinds[kind].bit)
			ADD_PROBLEM(problems, "trigger %s is disabled",
						ienv_trigger_kinds[kind].name);
	}
	if (guard->counted && !(disabled & IENV_TRIGGER_USER_CAP) &&
		is_slow(guard, &problems))
		ADD_PROBLEM(problems,
					"trigger %s is not always enabled: every admission scans",
					IENV_USER_CAP);
	if (!OidIsValid(guard->instance_index))
		ADD_PROBLEM(problems, "no index serves column \"%s\"",
					get_attname(guard->relid, guard->instance_attno, false));
	if (guard->coded && !ienv_is_coded_key(guard))
		ADD_PROBLEM(problems,
					"user key \"%s\" is not a single column of type uuid, as coded ids are",
					ienv_user_key_text(guard));
	if (guard->nkeys > 0 && !guard->coded && !OidIsValid(guard->key_index))
		ADD_PROBLEM(problems, "no index serves user key \"%s\"",
					ienv_user_key_text(guard));
	if (guard->nkeys > 0 && !guard->coded && !guard->key_is_local &&
		count_leaves(guard->relid) > IENV_MAX_SEARCHED)
		ADD_PROBLEM(problems,
					"the partition key is not part of the user key, so each new row is looked for in all %d partitions",
					count_leaves(guard->relid));
	if (guard->nkeys > 0 && guard->departures &&
		rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		ADD_PROBLEM(problems,
					"the table is unlogged: after a crash its users are no longer known");
	if (guard->misplaced)
		ADD_PROBLEM(problems,
					"the table takes no rows, because of how it is distributed");
	foreach(lc, ienv_odd_triggers(rel))
	{
		ADD_PROBLEM(problems,
					"trigger %s executes a function of the extension's, but is not what guard() creates",
					(char *) lfirst(lc));
	}
	problems = list_concat(problems, ienv_reference_problems(guard));
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		add_partition_problems(&problems, guard->relid, present, disabled);
	return ienv_shard_problems(problems, guard, present, disabled);
}

/*
 * How many tables hold the rows of a partitioned table.
 */
static int
count_leaves(Oid relid)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_PARTITIONED_TABLE)
		n++;
	return n;
}

/*
 * Add what is wrong with the partitions of a table, all of whose triggers are
 * present but for those that are missing there, too.
 */
static void
add_partition_problems(List **problems, Oid relid, int present, int disabled)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Oid			partition = lfirst_oid(lc);
		Relation	rel;
		IenvGuard	guard;
		int			part_present;
		int			part_disabled;

		/* one that has just been created may still be locked */
		if (!ConditionalLockRelationOid(partition, AccessShareLock))
			continue;
		rel = try_relation_open(partition, NoLock);
		if (rel == NULL)
			continue;
		(void) ienv_read_guard(rel, &guard, &part_present, &part_disabled);
		if (present & ~part_present)
			ADD_PROBLEM(*problems, "partition %s lacks triggers",
						ienv_quoted_name(partition));
		if (part_disabled & ~disabled)
			ADD_PROBLEM(*problems, "partition %s has disabled triggers",
						ienv_quoted_name(partition));
		relation_close(rel, NoLock);
	}
}

/*
 * Does every admission have to scan, because a trigger that counts is not
 * always enabled?  Adds to *problems a partition that cannot be counted, and
 * that guard() would refuse.
 */
static bool
is_slow(const IenvGuard *guard, List **problems)
{
	bool		has_rows = false;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(guard->relid, NoLock, NULL))
	{
		char		relkind = get_rel_relkind(lfirst_oid(lc));

		if (relkind == RELKIND_RELATION)
			has_rows = true;
		else if (relkind != RELKIND_PARTITIONED_TABLE)
		{
			*problems =
				lappend(*problems,
						psprintf("partition %s is not an ordinary table",
								 ienv_quoted_name(lfirst_oid(lc))));
			return false;
		}
	}
	return has_rows && ienv_guard_version(guard) == 0;
}

static ArrayType *
text_array(List *strings)
{
	ArrayBuildState *array = NULL;
	ListCell   *lc;

	foreach(lc, strings)
	{
		array = accumArrayResult(array,
								 CStringGetTextDatum((char *) lfirst(lc)),
								 false, TEXTOID,
								 CurrentMemoryContext);
	}
	return array ?
		DatumGetArrayTypeP(makeArrayResult(array, CurrentMemoryContext)) :
		construct_empty_array(TEXTOID);
}
