/*-------------------------------------------------------------------------
 *
 * reset_cascades.c
 *	  What a reset would delete of others.
 *
 * A foreign key ON DELETE CASCADE knows nothing of instances: it also deletes
 * a row of another instance that refers to one of this, and where only some
 * users are to go, it can lead to one who is to stay, by any number of steps
 * and through tables that are not guarded.  So, before anything is deleted, the
 * cascades are followed from the rows that are about to be deleted to all
 * guarded tables, and the reset is refused if they lead to such a row.
 *
 * Only those foreign keys are followed that can lead there.  Rows of a table
 * that is guarded with user_table are in the same instance as their user, by
 * the foreign key that guard() has made; between such tables nothing is read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "promotion/reset.h"
#include "table/table.h"

static List *with_cascading(const IenvReset *reset, List *tables,
							List *seeds);
static IenvResetTable *stranger_table(Oid relid);
static List *cascades_from(const IenvReset *reset, List *seeds, List *ties);
static bool is_risky(const IenvReset *reset, const IenvTie *tie, List *ties);
static bool stays_in_instance(const IenvTie *tie, List *ties);
static bool has_pair(const IenvTie *tie, AttrNumber from, AttrNumber to);
static bool stops(const IenvReset *reset, const IenvResetTable *table);
static void check_readable(const IenvResetTable *table,
						   const IenvTie *cascade);
static void add_cascade(StringInfo sql, const IenvReset *reset,
						const IenvTie *tie, int number,
						const IenvResetTable *users, bool risky);
static const char *instance_condition(const IenvResetTable *table,
									  const IenvTie *tie);
pg_noreturn static void refuse(const IenvReset *reset, const IenvTie *tie);

/*
 * Refuse the reset if deleting rows would also delete rows of others from any
 * of these guarded tables, which are all.  What is about to be deleted are rows
 * of the tables "seeds", which belong to one role: with and rows say in SQL
 * which, the latter as columns t and c, for tableoid and ctid.  The first of
 * the seeds are the users if only some are to go; with has these as p0.
 *
 * The caller has run a statement on the seeds, so what their deletion reaches
 * is locked.
 */
void
ienv_refuse_strangers(IenvReset *reset, List *tables, List *seeds,
					  const char *with, const char *rows)
{
	const IenvResetTable *users = reset->some ? linitial(seeds) : NULL;
	List	   *ties = ienv_read_ties(with_cascading(reset, tables, seeds));
	List	   *cascades = cascades_from(reset, seeds, ties);
	List	   *others = NIL;
	StringInfoData sql;
	ListCell   *lc;

	if (cascades == NIL)
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "WITH RECURSIVE %sgone (t, c, stranger) AS"
					 " (SELECT s.t, s.c, NULL::pg_catalog.int4 FROM (%s) AS s"
					 " UNION SELECT x.* FROM gone AS g CROSS JOIN LATERAL (",
					 with, rows);
	foreach(lc, cascades)
	{
		const IenvTie *tie = lfirst(lc);

		if (foreach_current_index(lc) > 0)
			appendStringInfoString(&sql, " UNION ALL ");
		add_cascade(&sql, reset, tie, foreach_current_index(lc), users,
					is_risky(reset, tie, ties));
		check_readable(linitial(seeds), tie);
		others = list_append_unique_ptr(others, tie->from);
		others = list_append_unique_ptr(others, tie->to);
	}
	appendStringInfoString(&sql, ") AS x)"
						   " SELECT stranger FROM gone"
						   " WHERE stranger IS NOT NULL LIMIT 1");
	if (ienv_reset_query_beyond(reset, seeds, others, sql.data) > 0)
	{
		bool		isnull;

		refuse(reset, list_nth(cascades,
							   DatumGetInt32(ienv_result_datum(0, 1,
															   &isnull))));
	}
}

/*
 * These tables, which are guarded, and those that are not but that cascades
 * lead to from the seeds.  No other table is looked at: it could be a
 * stranger's, who has it locked.  What is reached, the deletion waits for, too,
 * and no longer than this does.
 */
static List *
with_cascading(const IenvReset *reset, List *tables, List *seeds)
{
	List	   *all = list_copy(tables);
	List	   *reached = list_copy(seeds);
	int			nest_level = ienv_bound_lock_waits(IENV_RESET_LOCK_WAIT);
	int			before;

	do
	{
		Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
		SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
											  NULL);
		HeapTuple	tuple;

		before = list_length(reached);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
			IenvResetTable *table;

			if (form->contype != CONSTRAINT_FOREIGN ||
				form->confdeltype != FKCONSTR_ACTION_CASCADE ||
				ienv_reset_table_of(reached, form->confrelid) == NULL)
				continue;
			table = ienv_reset_table_of(all, form->conrelid);
			if (table == NULL)
			{
				table = stranger_table(form->conrelid);
				if (table == NULL)
					continue;
				all = lappend(all, table);
			}
			if (!stops(reset, table))
				reached = list_append_unique_ptr(reached, table);
		}
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	} while (list_length(reached) > before);
	AtEOXact_GUC(false, nest_level);
	return all;
}

/*
 * A table that is not guarded, with all partitions; NULL if it is gone.
 */
static IenvResetTable *
stranger_table(Oid relid)
{
	IenvResetTable *table = palloc0(sizeof(IenvResetTable));

	table->relid = ienv_root_of(relid);
	LockRelationOid(table->relid, AccessShareLock);
	if (get_rel_name(table->relid) == NULL)
		return NULL;
	table->name = ienv_quoted_name(table->relid);
	table->distributed = ienv_is_distributed(table->relid);
	table->tree = find_all_inheritors(table->relid, AccessShareLock, NULL);
	return table;
}

/*
 * The foreign keys by which deleting rows of the seeds could come to delete
 * rows of others.
 */
static List *
cascades_from(const IenvReset *reset, List *seeds, List *ties)
{
	List	   *reached = list_copy(seeds);
	List	   *onward = NIL;
	List	   *result = NIL;
	int			before;
	ListCell   *lc;

	/* those that are reached */
	do
	{
		before = list_length(onward);
		foreach(lc, ties)
		{
			IenvTie    *tie = lfirst(lc);

			if (tie->action != FKCONSTR_ACTION_CASCADE ||
				!list_member_ptr(reached, tie->to) ||
				list_member_ptr(onward, tie))
				continue;
			onward = lappend(onward, tie);
			if (!stops(reset, tie->from))
				reached = list_append_unique_ptr(reached, tie->from);
		}
	} while (list_length(onward) > before);

	/* and of these, those that lead there */
	do
	{
		before = list_length(result);
		foreach(lc, onward)
		{
			IenvTie    *tie = lfirst(lc);
			bool		leads = is_risky(reset, tie, ties);
			ListCell   *r;

			foreach(r, result)
				leads = leads || (((IenvTie *) lfirst(r))->to == tie->from &&
								  !stops(reset, tie->from));
			if (leads)
				result = list_append_unique_ptr(result, tie);
		}
	} while (list_length(result) > before);
	return result;
}

/*
 * Could a row that refers by this foreign key be one of others?
 */
static bool
is_risky(const IenvReset *reset, const IenvTie *tie, List *ties)
{
	return tie->from->of_instance != NULL &&
		((reset->some && tie->from->counted) || !stays_in_instance(tie, ties));
}

/*
 * Does a foreign key, this one or another, see to it that rows that refer by
 * this one are of the instance of the row that they refer to?
 */
static bool
stays_in_instance(const IenvTie *tie, List *ties)
{
	const IenvGuard *from = ienv_guard_of(tie->from->relid);
	const IenvGuard *to = ienv_guard_of(tie->to->relid);
	ListCell   *lc;

	/* Citus has foreign keys only within a shard, so also by the instance */
	if (tie->from->distributed && tie->to->distributed)
		return true;

	if (tie->to->of_instance == NULL || from == NULL || to == NULL)
		return false;
	foreach(lc, ties)
	{
		const IenvTie *other = lfirst(lc);
		bool		includes = other->whole && other->from == tie->from &&
		other->to == tie->to &&
		has_pair(other, from->instance_attno, to->instance_attno);

		for (int i = 0; i < tie->n && includes; i++)
			includes = has_pair(other, tie->from_attnos[i], tie->to_attnos[i]);
		if (includes)
			return true;
	}
	return false;
}

static bool
has_pair(const IenvTie *tie, AttrNumber from, AttrNumber to)
{
	for (int i = 0; i < tie->n; i++)
		if (tie->from_attnos[i] == from && tie->to_attnos[i] == to)
			return true;
	return false;
}

/*
 * Need cascades not be followed beyond this table?  If the whole instance is
 * emptied, they are followed from each guarded table anyway.
 */
static bool
stops(const IenvReset *reset, const IenvResetTable *table)
{
	return !reset->some && table->of_instance != NULL;
}

/*
 * The statement runs as the owner of the first table, and must see all rows of
 * the others.
 */
static void
check_readable(const IenvResetTable *table, const IenvTie *cascade)
{
	Oid			owner = ienv_relation_owner(table->relid);
	const IenvResetTable *const read[] = {cascade->from, cascade->to};

	for (int i = 0; i < lengthof(read); i++)
		if (!has_privs_of_role(owner, ienv_relation_owner(read[i]->relid)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot tell whether deleting from table %s would delete rows of others",
							ienv_quoted_name(table->relid)),
					 errdetail("Foreign key \"%s\" of table %s cascades, and the owner of the former may not read all of table %s.",
							   cascade->name,
							   ienv_quoted_name(cascade->from->relid),
							   ienv_quoted_name(read[i]->relid)),
					 errhint("Give the tables the same owner, or let the foreign key take no action.")));
}

/*
 * Add the query for what a foreign key deletes along with a row g.  A row of
 * others is marked with the number of the foreign key.
 */
static void
add_cascade(StringInfo sql, const IenvReset *reset, const IenvTie *tie,
			int number, const IenvResetTable *users, bool risky)
{
	appendStringInfoString(sql, "SELECT d.tableoid, d.ctid, ");
	if (!risky)
		appendStringInfoString(sql, "NULL::pg_catalog.int4");
	else if (!reset->some || !tie->from->counted)
		appendStringInfo(sql, "CASE WHEN (%s) IS NOT TRUE THEN %d END",
						 tie->from->of_instance, number);
	else if (tie->from != users)
		appendStringInfo(sql, "%d", number);
	else
		appendStringInfo(sql, "CASE WHEN NOT EXISTS (SELECT FROM p0"
						 " WHERE d.ctid OPERATOR(pg_catalog.=) p0.c"
						 " AND d.tableoid OPERATOR(pg_catalog.=) p0.t)"
						 " THEN %d END", number);
	appendStringInfoString(sql, " FROM (SELECT tableoid AS t, ctid AS c");
	for (int i = 0; i < tie->n; i++)
		appendStringInfo(sql, ", %s AS k%d",
						 quote_identifier(get_attname(tie->to->relid,
													  tie->to_attnos[i],
													  false)),
						 tie->to_attnos[i]);
	appendStringInfo(sql, " FROM %s%s) AS b JOIN %s AS d ON %s"
					 " WHERE b.c OPERATOR(pg_catalog.=) g.c"
					 " AND b.t OPERATOR(pg_catalog.=) g.t",
					 ienv_sql_name(tie->to->relid),
					 tie->to->distributed ?
					 psprintf(" WHERE %s", instance_condition(tie->to, tie)) :
					 "",
					 ienv_sql_name(tie->from->relid), tie->match);
	if (tie->from->distributed)
		appendStringInfo(sql, " AND d.%s",
						 instance_condition(tie->from, tie));
}

/*
 * The condition by which Citus finds the shard that a cascade stays in.  Of a
 * table that is not guarded, nobody says which column that is.
 */
static const char *
instance_condition(const IenvResetTable *table, const IenvTie *tie)
{
	if (table->instance_condition == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot tell whether deleting from table %s would delete other users",
						ienv_quoted_name(tie->to->relid)),
				 errdetail("Foreign key \"%s\" cascades by way of distributed table %s, which is not guarded.",
						   tie->name, ienv_quoted_name(table->relid)),
				 errhint("Guard that table, too.")));
	return table->instance_condition;
}

static void
refuse(const IenvReset *reset, const IenvTie *tie)
{
	bool		users = reset->some && tie->from->counted;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg(users ?
					"deleting from table %s would delete other users from table %s" :
					"deleting from table %s would delete rows of another instance from table %s",
					ienv_quoted_name(tie->to->relid),
					ienv_quoted_name(tie->from->relid)),
			 errdetail("Foreign key \"%s\" of the latter cascades.", tie->name),
			 errhint(users ? "Have it set null, or delete the rows by hand." :
					 "Have it include the columns that name the instance, and correct the rows.")));
}
