/*-------------------------------------------------------------------------
 *
 * guard_list.c
 *	  What is guarded, and whether each guard is whole: view guards.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "guard.h"
#include "instance_env.h"

#define GUARD_LIST_COLUMNS 7

static ArrayType *text_array(List *strings);

PG_FUNCTION_INFO_V1(instance_env_guard_list);

/*
 * guard_list() RETURNS SETOF record
 *
 * The guarded tables, and what is wrong with each guard.  Takes AccessShareLock on
 * each table in turn.
 */
Datum
instance_env_guard_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, ienv_guarded_roots())
	{
		Relation	rel = try_relation_open(lfirst_oid(lc), AccessShareLock);
		IenvGuard	guard;
		int			present;
		int			disabled;
		Datum		values[GUARD_LIST_COLUMNS];
		bool		nulls[GUARD_LIST_COLUMNS] = {false};
		List	   *problems;

		if (rel == NULL)
			continue;
		if (ienv_read_guard(rel, &guard, &present, &disabled))
		{
			problems = ienv_guard_problems(rel, &guard, present, disabled);

			values[0] = ObjectIdGetDatum(guard.relid);
			values[1] = CStringGetDatum(get_attname(guard.relid, guard.instance_attno, false));
			values[1] = DirectFunctionCall1(namein, values[1]);
			nulls[2] = guard.key_attno == InvalidAttrNumber;
			if (!nulls[2])
			{
				values[2] = CStringGetDatum(get_attname(guard.relid, guard.key_attno, false));
				values[2] = DirectFunctionCall1(namein, values[2]);
			}
			values[3] = BoolGetDatum(guard.counted);
			values[4] = CStringGetTextDatum(guard.label);
			values[5] = BoolGetDatum(problems == NIL);
			values[6] = PointerGetDatum(text_array(problems));
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
		relation_close(rel, AccessShareLock);
	}
	return (Datum) 0;
}

/*
 * What is wrong with a guard, as phrases.  rel is locked, which its partitions will be.
 */
List *
ienv_guard_problems(Relation rel, const IenvGuard *guard, int present, int disabled)
{
	List	   *problems = NIL;
	int			missing = ienv_triggers_for(rel, guard) & ~present;
	ListCell   *lc;

	for (int kind = 0; kind < IENV_TRIGGERS; kind++)
	{
		if (missing & ienv_trigger_kinds[kind].bit)
			problems = lappend(problems, psprintf("trigger %s is missing", ienv_trigger_kinds[kind].name));
		if (disabled & ienv_trigger_kinds[kind].bit)
			problems = lappend(problems, psprintf("trigger %s is disabled", ienv_trigger_kinds[kind].name));
	}
	if (guard->counted && !(disabled & IENV_TRIGGER_USER_CAP) && ienv_guard_version(guard) == 0)
		problems = lappend(problems, psprintf("trigger %s is not always enabled: every admission scans", IENV_USER_CAP));
	if (!OidIsValid(guard->instance_index))
		problems = lappend(problems, psprintf("no index serves column \"%s\"",
											  get_attname(guard->relid, guard->instance_attno, false)));
	if (guard->key_attno != InvalidAttrNumber && !OidIsValid(guard->key_index))
		problems = lappend(problems, psprintf("no index serves column \"%s\"",
											  get_attname(guard->relid, guard->key_attno, false)));
	foreach(lc, ienv_loose_references(guard))
		problems = lappend(problems, psprintf("foreign key \"%s\" lets a row refer to a user of another instance",
											  (char *) lfirst(lc)));

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		foreach(lc, find_all_inheritors(guard->relid, AccessShareLock, NULL))
		{
			Relation	part = table_open(lfirst_oid(lc), NoLock);
			IenvGuard	part_guard;
			int			part_present;
			int			part_disabled;

			(void) ienv_read_guard(part, &part_guard, &part_present, &part_disabled);
			if (present & ~part_present)
				problems = lappend(problems, psprintf("partition %s lacks triggers", ienv_quoted_name(part_guard.relid)));
			if (part_disabled & ~disabled)
				problems = lappend(problems, psprintf("partition %s has disabled triggers", ienv_quoted_name(part_guard.relid)));
			table_close(part, NoLock);
		}
	return problems;
}

static ArrayType *
text_array(List *strings)
{
	ArrayBuildState *array = NULL;
	ListCell   *lc;

	foreach(lc, strings)
		array = accumArrayResult(array, CStringGetTextDatum((char *) lfirst(lc)), false, TEXTOID, CurrentMemoryContext);
	return array ? DatumGetArrayTypeP(makeArrayResult(array, CurrentMemoryContext)) : construct_empty_array(TEXTOID);
}
