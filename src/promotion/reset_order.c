/*-------------------------------------------------------------------------
 *
 * reset_order.c
 *	  The order in which guarded tables can be emptied, given their foreign
 *	  keys.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "nodes/parsenodes.h"

#include "base/base.h"
#include "promotion/reset.h"
#include "table/table.h"

/* Rows of one table refer to rows of another */
typedef struct Reference
{
	IenvResetTable *from;
	IenvResetTable *to;
	bool		cascades;		/* deleting what is referred to does not fail */
} Reference;

static List *read_references(List *tables);
static IenvResetTable *next_table(List *tables, List *references,
								  bool ignore_cascades);

/*
 * The guarded tables that administration looks at, as IenvResetTables, in
 * steps: lists of those that must be emptied together, mostly of a single one.
 */
List *
ienv_reset_order(void)
{
	List	   *tables = NIL;
	List	   *references;
	List	   *steps = NIL;
	List	   *rest = NIL;
	IenvResetTable *table;
	ListCell   *lc;

	foreach(lc, ienv_trusted_roots())
	{
		table = palloc0(sizeof(IenvResetTable));
		table->relid = lfirst_oid(lc);
		table->name = ienv_quoted_name(table->relid);
		table->distributed = ienv_is_distributed(table->relid);
		table->tree = find_all_inheritors(table->relid, AccessShareLock, NULL);
		tables = lappend(tables, table);
	}
	references = read_references(tables);

	/*
	 * Tables whose references cascade need not come first, but the report is
	 * more accurate if they do.
	 */
	while ((table = next_table(tables, references, false)) != NULL ||
		   (table = next_table(tables, references, true)) != NULL)
	{
		table->placed = true;
		steps = lappend(steps, list_make1(table));
	}

	/* the rest refer to each other in a circle, or are referred to from one */
	foreach(lc, tables)
	{
		table = lfirst(lc);
		if (!table->placed)
			rest = lappend(rest, table);
	}
	return rest == NIL ? steps : lappend(steps, rest);
}

/*
 * The foreign keys between these tables, or between their partitions.
 */
static List *
read_references(List *tables)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	List	   *references = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		IenvResetTable *from;
		IenvResetTable *to;
		bool		cascades;

		if (form->contype != CONSTRAINT_FOREIGN ||
			(from = ienv_reset_table_of(tables, form->conrelid)) == NULL ||
			(to = ienv_reset_table_of(tables, form->confrelid)) == NULL)
			continue;
		cascades = form->confdeltype != FKCONSTR_ACTION_NOACTION &&
			form->confdeltype != FKCONSTR_ACTION_RESTRICT;
		if (from == to)
			from->refers_to_itself |= !cascades;
		else
		{
			Reference  *reference = palloc(sizeof(Reference));

			reference->from = from;
			reference->to = to;
			reference->cascades = cascades;
			references = lappend(references, reference);
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return references;
}

/*
 * The table, among these, that is this relation or has it as a partition; or
 * NULL.
 */
IenvResetTable *
ienv_reset_table_of(List *tables, Oid relid)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		IenvResetTable *table = lfirst(lc);

		if (list_member_oid(table->tree, relid))
			return table;
	}
	return NULL;
}

/*
 * A table that is not placed yet, while all that refer to it are; NULL if
 * there is none.
 */
static IenvResetTable *
next_table(List *tables, List *references, bool ignore_cascades)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		IenvResetTable *table = lfirst(lc);
		bool		free = !table->placed;
		ListCell   *r;

		foreach(r, references)
		{
			const Reference *reference = lfirst(r);

			if (reference->to == table && !reference->from->placed &&
				!(ignore_cascades && reference->cascades))
				free = false;
		}
		if (free)
			return table;
	}
	return NULL;
}
