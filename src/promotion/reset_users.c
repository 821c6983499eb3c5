/*-------------------------------------------------------------------------
 *
 * reset_users.c
 *	  Deleting only some users of a development instance, and what goes with
 *	  them.
 *
 * Users and what goes with them (reset_ties.c) are deleted by one statement for
 * each table of users, in one transaction: either all of it happens, or
 * nothing.  The rows are locked before that, users first, so that no new row
 * can come to refer to one that is about to be deleted.  Only users who are
 * locked are deleted: what goes with one who comes later is not known yet.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "promotion/reset.h"
#include "table/table.h"

/*
 * How often a statement may find rows and delete none, because others change
 * them.
 */
#define MAX_FRUITLESS 3

/* What is deleted along with users of one table */
typedef struct UserPlan
{
	List	   *steps;			/* IenvResetSteps; the first is the users */
	List	   *tables;			/* all of these, in that order */
	Datum		addresses;		/* text[]: of those who are deleted; or 0 */
} UserPlan;

static UserPlan *make_plan(IenvResetTable *users, List *tables, List *ties);
static void tell_left_alone(List *tables, List *plans);
static void delete_users(IenvReset *reset, const UserPlan *plan, List *tables);
static uint64 lock_rows(IenvReset *reset, const UserPlan *plan);
static void remember_locked(IenvReset *reset, uint64 n);
static void refuse_strangers(IenvReset *reset, const UserPlan *plan,
							 List *tables);
static uint64 delete_rows(IenvReset *reset, const UserPlan *plan);
static void add_rows(StringInfo sql, List *steps, int n);
static char *condition_of(List *steps, const IenvResetStep *step);
static int	number_of(List *steps, const IenvResetTable *table);

/*
 * Delete the users that reset asks for, and what goes with them, from these
 * tables, in the order in which they can be emptied.  SPI is connected.
 */
void
ienv_reset_users(IenvReset *reset, List *tables)
{
	List	   *plans = NIL;
	int			nest_level = ienv_bound_lock_waits(IENV_RESET_LOCK_WAIT);
	List	   *ties;
	ListCell   *lc;

	foreach(lc, tables)
	{
		IenvResetTable *table = lfirst(lc);

		ienv_reset_look(reset, table);
		if (table->counted && table->rows > 0)
			ienv_reset_choose(reset, table);
	}
	ties = ienv_read_ties(tables);
	foreach(lc, tables)
	{
		IenvResetTable *table = lfirst(lc);

		if (table->counted && table->rows > 0)
			plans = lappend(plans, make_plan(table, tables, ties));
	}

	/* nothing is deleted unless everything may be deleted */
	foreach(lc, plans)
		ienv_reset_check_rights(((const UserPlan *) lfirst(lc))->tables);
	AtEOXact_GUC(false, nest_level);

	tell_left_alone(tables, plans);
	foreach(lc, plans)
	{
		UserPlan   *plan = lfirst(lc);
		const IenvResetStep *users = linitial(plan->steps);

		if (reset->only_users != NULL)
			plan->addresses = ienv_reset_test_identities(reset, users->table);
	}
	foreach(lc, plans)
	{
		const UserPlan *plan = lfirst(lc);

		reset->addresses = plan->addresses;
		if (reset->only_users == NULL || plan->addresses != (Datum) 0)
			delete_users(reset, plan, tables);
	}
}

static UserPlan *
make_plan(IenvResetTable *users, List *tables, List *ties)
{
	UserPlan   *plan = palloc0(sizeof(UserPlan));
	ListCell   *lc;

	plan->steps = ienv_reset_steps(users, tables, ties);
	ienv_refuse_lost_ties(plan->steps, tables, ties);
	foreach(lc, plan->steps)
		plan->tables = lappend(plan->tables,
							   ((const IenvResetStep *) lfirst(lc))->table);
	return plan;
}

/*
 * Say which tables have rows of the instance that no user takes along.
 */
static void
tell_left_alone(List *tables, List *plans)
{
	List	   *changed = NIL;
	ListCell   *lc;

	foreach(lc, plans)
		changed = list_concat(changed,
							  ienv_reset_reached(((const UserPlan *) lfirst(lc))->tables));
	foreach(lc, tables)
	{
		const IenvResetTable *table = lfirst(lc);

		if (table->rows > 0 && !list_member_oid(changed, table->relid))
			ereport(NOTICE,
					(errmsg("the rows of table %s stay",
							ienv_quoted_name(table->relid)),
					 errdetail("Neither its guard nor a foreign key says which users they belong to."),
					 errhint("Guard it with user_table to have rows deleted along with the users that they refer to.")));
	}
}

/*
 * Delete the users of one table, and what goes with them, until none is left.
 */
static void
delete_users(IenvReset *reset, const UserPlan *plan, List *tables)
{
	const IenvResetStep *users = linitial(plan->steps);
	int			fruitless = 0;

	while (lock_rows(reset, plan) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		refuse_strangers(reset, plan, tables);
		if (delete_rows(reset, plan) > 0)
			fruitless = 0;
		else if (++fruitless >= MAX_FRUITLESS)
			ienv_reset_refuse_kept_rows(reset, users->table);
	}
}

/*
 * Lock the rows that are to be deleted, and return how many are users.
 */
static uint64
lock_rows(IenvReset *reset, const UserPlan *plan)
{
	uint64		users = 0;
	ListCell   *lc;

	foreach(lc, plan->steps)
	{
		const IenvResetStep *step = lfirst(lc);
		int			i = foreach_current_index(lc);
		StringInfoData sql;
		uint64		n;

		initStringInfo(&sql);
		for (int j = 0; j < i; j++)
		{
			appendStringInfoString(&sql, j == 0 ? "WITH " : "");
			add_rows(&sql, plan->steps, j);
		}
		appendStringInfo(&sql, " SELECT d.tableoid, d.ctid FROM %s AS d"
						 " WHERE %s FOR UPDATE OF d",
						 ienv_sql_name(step->table->relid),
						 condition_of(plan->steps, step));
		n = ienv_reset_query(reset, plan->tables, sql.data);
		if (i == 0 && n == 0)
			return 0;
		if (i == 0)
			remember_locked(reset, users = n);
	}
	return users;
}

/*
 * Remember the rows of the last query's result as the users that are locked.
 */
static void
remember_locked(IenvReset *reset, uint64 n)
{
	Datum	   *tables = palloc(n * sizeof(Datum));
	Datum	   *places = palloc(n * sizeof(Datum));

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		tables[i] = ienv_result_datum(i, 1, &isnull);
		places[i] = ienv_result_datum(i, 2, &isnull);
	}
	reset->locked_in =
		PointerGetDatum(construct_array(tables, n, OIDOID, sizeof(Oid), true,
										TYPALIGN_INT));
	reset->locked_at =
		PointerGetDatum(construct_array(places, n, TIDOID,
										sizeof(ItemPointerData), false,
										TYPALIGN_SHORT));
	pfree(tables);
	pfree(places);
}

/*
 * Refuse to delete rows whose deletion cascades to users who stay, or to rows
 * of another instance.
 */
static void
refuse_strangers(IenvReset *reset, const UserPlan *plan, List *tables)
{
	StringInfoData with;
	StringInfoData rows;

	initStringInfo(&with);
	initStringInfo(&rows);
	for (int i = 0; i < list_length(plan->steps); i++)
	{
		add_rows(&with, plan->steps, i);
		appendStringInfo(&rows, "%sSELECT t, c FROM p%d",
						 i == 0 ? "" : " UNION ALL ", i);
	}
	appendStringInfoString(&with, ", ");
	ienv_refuse_strangers(reset, tables, plan->tables, with.data, rows.data);
}

/*
 * Delete these rows in one statement, and return how many users they were.
 */
static uint64
delete_rows(IenvReset *reset, const UserPlan *plan)
{
	int			nsteps = list_length(plan->steps);
	int64	   *n = palloc(nsteps * sizeof(int64));
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "WITH ");
	for (int i = 0; i < nsteps; i++)
		add_rows(&sql, plan->steps, i);
	for (int i = 0; i < nsteps; i++)
	{
		const IenvResetStep *step = list_nth(plan->steps, i);

		appendStringInfo(&sql, ", x%d AS (DELETE FROM %s AS d USING p%d AS b"
						 " WHERE d.ctid OPERATOR(pg_catalog.=) b.c"
						 " AND d.tableoid OPERATOR(pg_catalog.=) b.t%s"
						 " RETURNING 1)", i,
						 ienv_sql_name(step->table->relid), i,
						 ienv_reset_in_shard(step->table));
	}

	/* rows before those that they refer to, as far as triggers can tell */
	for (int i = nsteps - 1; i >= 0; i--)
		appendStringInfo(&sql, "%s (SELECT pg_catalog.count(*) FROM x%d)",
						 i == nsteps - 1 ? " SELECT" : ",", i);
	if (ienv_reset_query(reset, plan->tables, sql.data) != 1)
		elog(ERROR, "unexpected number of rows");
	for (int i = 0; i < nsteps; i++)
	{
		bool		isnull;

		n[i] = DatumGetInt64(ienv_result_datum(0, nsteps - i, &isnull));
	}
	for (int i = nsteps - 1; i >= 0; i--)
	{
		const IenvResetStep *step = list_nth(plan->steps, i);

		if (n[i] > 0)
			ienv_reset_report(reset, step->table, n[i]);
	}
	return n[0];
}

/*
 * Add the rows of one step that are to be deleted to the WITH clause of a
 * statement: p0, p1 and so on, with what the steps refer to them by.  Those of
 * p0 are locked.
 */
static void
add_rows(StringInfo sql, List *steps, int n)
{
	const IenvResetStep *step = list_nth(steps, n);
	Bitmapset  *columns = NULL;
	List	   *ties = NIL;
	int			attno = -1;
	ListCell   *lc;

	foreach(lc, steps)
		ties = list_concat_copy(ties,
								((const IenvResetStep *) lfirst(lc))->ties);
	foreach(lc, ties)
	{
		const IenvTie *tie = lfirst(lc);

		for (int i = 0; i < tie->n && tie->to == step->table; i++)
			columns = bms_add_member(columns, tie->to_attnos[i]);
	}
	appendStringInfo(sql, "%sp%d AS MATERIALIZED (SELECT d.tableoid AS t,"
					 " d.ctid AS c", n == 0 ? "" : ", ", n);
	while ((attno = bms_next_member(columns, attno)) >= 0)
		appendStringInfo(sql, ", d.%s AS k%d",
						 quote_identifier(get_attname(step->table->relid,
													  attno, false)), attno);
	appendStringInfo(sql, " FROM %s AS d WHERE %s%s)",
					 ienv_sql_name(step->table->relid),
					 condition_of(steps, step), n > 0 ? "" :
					 " AND EXISTS (SELECT FROM ROWS FROM"
					 " (pg_catalog.unnest($7), pg_catalog.unnest($8))"
					 " AS l (t, c) WHERE d.ctid OPERATOR(pg_catalog.=) l.c"
					 " AND d.tableoid OPERATOR(pg_catalog.=) l.t)");
}

/*
 * The condition that a row of a step's table, d, is to be deleted.
 */
static char *
condition_of(List *steps, const IenvResetStep *step)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, step->table->condition);
	foreach(lc, step->ties)
	{
		const IenvTie *tie = lfirst(lc);

		appendStringInfo(&sql, "%s EXISTS (SELECT FROM p%d AS b WHERE %s)",
						 foreach_current_index(lc) == 0 ? " AND (" : " OR",
						 number_of(steps, tie->to), tie->match);
	}
	if (step->ties != NIL)
		appendStringInfoChar(&sql, ')');
	return sql.data;
}

/*
 * Which step a table has, or -1.
 */
static int
number_of(List *steps, const IenvResetTable *table)
{
	ListCell   *lc;

	foreach(lc, steps)
		if (((const IenvResetStep *) lfirst(lc))->table == table)
		return foreach_current_index(lc);
	return -1;
}
