/*-------------------------------------------------------------------------
 *
 * reset_ties.c
 *	  Which rows of guarded tables go with users who are deleted.
 *
 * They are those that refer to a user by a foreign key ON DELETE CASCADE, or by
 * the columns that guard() was told along with user_table; and those that refer
 * to such rows in the same way.  A foreign key that sets null or a default says
 * that rows outlive the user, and one that takes no action says nothing: it
 * keeps the user from being deleted.
 *
 * Rows of tables of users are never deleted because of what they refer to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "promotion/reset.h"
#include "table/table.h"

static IenvTie *read_tie(HeapTuple tuple, IenvResetTable *from,
						 IenvResetTable *to);
static char *match_of(HeapTuple tuple, const IenvTie *tie);
static void add_collation(StringInfo match, Oid collation);
static char *one_of(Oid relid);
static bool sets(char action);
static bool refers_to_user(const IenvTie *tie);
static bool is_ready(const IenvResetTable *table, List *reachable, List *ties,
					 List *placed);
static List *reachable_from(IenvResetTable *users, List *tables, List *ties);
static List *ties_to(const IenvResetTable *from, List *to, List *ties);

/*
 * The foreign keys between these tables, or between their partitions, as
 * IenvTies.
 */
List *
ienv_read_ties(List *tables)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	List	   *ties = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		IenvResetTable *from;
		IenvResetTable *to;

		if (form->contype == CONSTRAINT_FOREIGN &&
			!OidIsValid(form->conparentid) &&
			ienv_is_ordinary_foreign_key(form) &&
			(from = ienv_reset_table_of(tables, form->conrelid)) != NULL &&
			(to = ienv_reset_table_of(tables, form->confrelid)) != NULL)
			ties = lappend(ties, read_tie(tuple, from, to));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return ties;
}

static IenvTie *
read_tie(HeapTuple tuple, IenvResetTable *from, IenvResetTable *to)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	IenvTie    *tie = palloc0(sizeof(IenvTie));
	AttrNumber	conkey[INDEX_MAX_KEYS];
	AttrNumber	confkey[INDEX_MAX_KEYS];

	tie->from = from;
	tie->to = to;
	tie->name = pstrdup(NameStr(form->conname));
	tie->action = form->confdeltype;
	tie->whole = form->convalidated && form->conrelid == from->relid &&
		form->confrelid == to->relid;
	DeconstructFkConstraintRow(tuple, &tie->n, conkey, confkey, tie->operators,
							   NULL, NULL, NULL, NULL);

	/* a partition has the same columns, but may number them differently */
	for (int i = 0; i < tie->n; i++)
	{
		tie->from_attnos[i] = get_attnum(from->relid,
										 get_attname(form->conrelid,
													 conkey[i], false));
		tie->to_attnos[i] = get_attnum(to->relid,
									   get_attname(form->confrelid,
												   confkey[i], false));
	}
	tie->match = match_of(tuple, tie);
	return tie;
}

/*
 * The condition in SQL that a row d of the table refers to a row b of the other
 * one, whose columns are k1, k2 and so on, by their numbers, and t, its
 * tableoid.  It compares with the operators of the foreign key.
 */
static char *
match_of(HeapTuple tuple, const IenvTie *tie)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	StringInfoData match;

	initStringInfo(&match);
	for (int i = 0; i < tie->n; i++)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;
		char	   *from = psprintf("d.%s",
									quote_identifier(get_attname(tie->from->relid,
																 tie->from_attnos[i],
																 false)));

		get_atttypetypmodcoll(tie->to->relid, tie->to_attnos[i], &type,
							  &typmod, &collation);
		if (i > 0)
			appendStringInfoString(&match, " AND ");
		generate_operator_clause(&match, psprintf("b.k%d", tie->to_attnos[i]),
								 type, tie->operators[i], from,
								 get_atttype(tie->from->relid,
											 tie->from_attnos[i]));
		if (OidIsValid(collation))
			add_collation(&match, collation);
	}
	if ((form->conrelid != tie->from->relid && tie->from->distributed) ||
		(form->confrelid != tie->to->relid && tie->to->distributed))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign key \"%s\" is one of a partition of a distributed table",
						tie->name),
				 errhint("Have it apply to the whole table.")));
	if (form->conrelid != tie->from->relid)
		appendStringInfo(&match, " AND d.tableoid %s", one_of(form->conrelid));
	if (form->confrelid != tie->to->relid)
		appendStringInfo(&match, " AND b.t %s", one_of(form->confrelid));
	return match.data;
}

/*
 * Foreign keys compare by the collation of the column that is referred to.
 */
static void
add_collation(StringInfo match, Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	appendStringInfo(match, " COLLATE %s",
					 quote_qualified_identifier(get_namespace_name(form->collnamespace),
												NameStr(form->collname)));
	ReleaseSysCache(tuple);
}

/*
 * The condition that a tableoid is that of a partition, or of one below it.
 */
static char *
one_of(Oid relid)
{
	StringInfoData list;
	ListCell   *lc;

	initStringInfo(&list);
	appendStringInfoString(&list, "OPERATOR(pg_catalog.=) ANY ('{");
	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
		appendStringInfo(&list, "%s%u", list.data[list.len - 1] == '{' ? "" :
						 ",", lfirst_oid(lc));
	appendStringInfoString(&list, "}'::pg_catalog.oid[])");
	return list.data;
}

/*
 * What is deleted along with users of a table, as IenvResetSteps: the table of
 * users, which comes first, and each other table after those that its rows go
 * with.  Tables without rows of the instance are left out.
 */
List *
ienv_reset_steps(IenvResetTable *users, List *tables, List *ties)
{
	IenvResetStep *step = palloc0(sizeof(IenvResetStep));
	List	   *steps = list_make1(step);
	List	   *placed = list_make1(users);
	List	   *reachable = reachable_from(users, tables, ties);

	step->table = users;
	while (list_length(placed) < list_length(reachable))
	{
		IenvResetTable *next = NULL;
		ListCell   *lc;

		foreach(lc, reachable)
		{
			IenvResetTable *table = lfirst(lc);

			if (list_member_ptr(placed, table) ||
				ties_to(table, placed, ties) == NIL)
				continue;

			/* where they refer to each other in a circle, any may come first */
			if (next == NULL || is_ready(table, reachable, ties, placed))
				next = table;
			if (is_ready(table, reachable, ties, placed))
				break;
		}
		step = palloc0(sizeof(IenvResetStep));
		step->table = next;
		step->ties = ties_to(next, placed, ties);
		steps = lappend(steps, step);
		placed = lappend(placed, next);
	}
	return steps;
}

/*
 * Do all that the table's rows go with come before it?
 */
static bool
is_ready(const IenvResetTable *table, List *reachable, List *ties,
		 List *placed)
{
	ListCell   *lc;

	foreach(lc, ties_to(table, reachable, ties))
	{
		const IenvTie *tie = lfirst(lc);

		if (tie->to != table && !list_member_ptr(placed, tie->to))
			return false;
	}
	return true;
}

/*
 * The table of users, and those some of whose rows may go with them.
 */
static List *
reachable_from(IenvResetTable *users, List *tables, List *ties)
{
	List	   *reachable = list_make1(users);
	bool		grown;

	do
	{
		ListCell   *lc;

		grown = false;
		foreach(lc, tables)
		{
			IenvResetTable *table = lfirst(lc);

			if (table->counted || table->rows == 0 ||
				list_member_ptr(reachable, table) ||
				ties_to(table, reachable, ties) == NIL)
				continue;
			reachable = lappend(reachable, table);
			grown = true;
		}
	} while (grown);
	return reachable;
}

/*
 * The foreign keys by which rows of a table go with those of other ones.
 */
static List *
ties_to(const IenvResetTable *from, List *to, List *ties)
{
	List	   *result = NIL;
	bool		outlives = false;
	ListCell   *lc;

	foreach(lc, to)
	{
		List	   *found = NIL;
		ListCell   *t;

		outlives = false;
		foreach(t, ties)
		{
			IenvTie    *tie = lfirst(t);

			if (tie->from != from || tie->to != lfirst(lc) ||
				tie->to == from)
				continue;
			outlives = outlives || sets(tie->action);
			if (tie->action == FKCONSTR_ACTION_CASCADE ||
				refers_to_user(tie))
				found = lappend(found, tie);
		}

		/*
		 * guard()'s own key may take no action next to one that sets null; a
		 * key that cascades deletes in any case
		 */
		foreach(t, found)
			if (!outlives ||
				((IenvTie *) lfirst(t))->action == FKCONSTR_ACTION_CASCADE)
			result = lappend(result, lfirst(t));
	}
	return result;
}

static bool
sets(char action)
{
	return action == FKCONSTR_ACTION_SETNULL ||
		action == FKCONSTR_ACTION_SETDEFAULT;
}

/*
 * Does a foreign key have the columns that refer to a user, as guard() was told
 * along with user_table?
 */
static bool
refers_to_user(const IenvTie *tie)
{
	const IenvGuard *guard = ienv_guard_of(tie->from->relid);

	if (sets(tie->action) || guard == NULL || guard->nrefs == 0 ||
		ienv_table_with_label(guard->user_label) != tie->to->relid)
		return false;
	for (int i = 0; i < guard->nrefs; i++)
	{
		int			j = 0;

		while (j < tie->n && tie->from_attnos[j] != guard->ref_attnos[i])
			j++;
		if (j == tie->n)
			return false;
	}
	return true;
}

/*
 * Refuse a table whose guard says that its rows refer to users of one of these
 * steps, while no foreign key does: their rows would lose their users.
 */
void
ienv_refuse_lost_ties(List *steps, List *tables, List *ties)
{
	ListCell   *lc;
	ListCell   *s;

	foreach(lc, tables)
	{
		const IenvResetTable *table = lfirst(lc);
		const IenvGuard *guard = ienv_guard_of(table->relid);
		Oid			user_table;

		if (table->rows == 0 || guard == NULL || guard->nrefs == 0)
			continue;
		user_table = ienv_table_with_label(guard->user_label);
		foreach(s, steps)
		{
			const IenvResetStep *step = lfirst(s);
			bool		tied = step->table->relid != user_table;
			ListCell   *t;

			foreach(t, ties)
			{
				const IenvTie *tie = lfirst(t);

				tied = tied || (tie->from == table && tie->to == step->table);
			}
			if (!tied)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("rows of table %s refer to users of table %s without a foreign key",
								ienv_quoted_name(table->relid),
								ienv_quoted_name(user_table)),
						 errhint("Call instance_env.guard() for table %s again, with the same arguments.",
								 ienv_quoted_name(table->relid))));
		}
	}
}
