/*-------------------------------------------------------------------------
 *
 * reset.c
 *	  Emptying a development instance: reset_development().
 *
 * The rows are the application's, so the caller must have the right to delete
 * them, and they are deleted by plain DELETEs: triggers fire, foreign keys are
 * enforced, and departures are recorded as usual.  A user may return to the
 * instance, but still cannot appear in another one; a reset is no way around
 * that.
 *
 * But the triggers are the code of the tables' owners.  So the DELETEs run as
 * the owner of the table (table_owner.c), and none of that code is deferred
 * until the caller commits: all constraints are made IMMEDIATE first, so that
 * those that are DEFERRED are enforced, too.
 *
 * Outside a transaction block, each batch is a transaction of its own.  What
 * was deleted stays deleted if a later batch fails, and another call goes on
 * from there.
 *
 * A table is emptied after those whose foreign keys refer to it
 * (reset_order.c).  If such keys form a circle, or a table refers to itself,
 * no batch could be deleted before another one: then one statement deletes all
 * rows, because foreign keys are checked at its end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "base/base.h"
#include "promotion/reset.h"
#include "registry/registry.h"
#include "table/table.h"

/*
 * How often a batch may find rows and delete none, because others change them.
 */
#define MAX_FRUITLESS 3

static void warn_of_others(void);
static void begin_batch(IenvReset *reset, bool first);
static void end_batch(IenvReset *reset);
static void empty(IenvReset *reset, List *steps, List *tables);
static void refuse_strangers(IenvReset *reset, List *tables);
static void empty_in_batches(IenvReset *reset, IenvResetTable *table);
static void empty_at_once(IenvReset *reset, List *tables);
static void remove_settings(IenvReset *reset);

PG_FUNCTION_INFO_V1(instance_env_reset_development);

/*
 * PROCEDURE reset_development(instance uuid, settings boolean, batch_size
 * integer,
 *							   INOUT deleted bigint, only_users text,
 *							   older_than interval)
 */
Datum
instance_env_reset_development(PG_FUNCTION_ARGS)
{
	IenvReset	reset = {0};
	bool		settings;
	List	   *steps;
	List	   *tables = NIL;
	ListCell   *lc;
	int			nest_level;
	ErrorContextCallback context;
	TupleDesc	desc;
	Datum		result;
	bool		isnull = false;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "settings");
	ienv_require_argument(fcinfo, 2, "batch_size");
	reset.id = *PG_GETARG_UUID_P(0);
	reset.instance = UUIDPGetDatum(&reset.id);
	settings = PG_GETARG_BOOL(1);
	reset.batch_size = PG_GETARG_INT32(2);
	if (reset.batch_size < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the size of a batch must be greater than zero")));
	ienv_reset_read_options(fcinfo, &reset);
	desc = ienv_result_desc(fcinfo);

	/* a user is not to be left with half of what belongs to it */
	reset.atomic = reset.some || fcinfo->context == NULL ||
		!IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic || IsSubTransaction();
	SPI_connect_ext(reset.atomic ? 0 : SPI_OPT_NONATOMIC);

	context.callback = ienv_reset_context;
	context.arg = &reset;
	context.previous = error_context_stack;
	error_context_stack = &context;

	begin_batch(&reset, true);
	nest_level = ienv_bound_lock_waits(IENV_RESET_LOCK_WAIT);
	steps = ienv_reset_order();
	warn_of_others();
	AtEOXact_GUC(false, nest_level);
	foreach(lc, steps)
		tables = list_concat(tables, lfirst(lc));
	if (reset.some)
		ienv_reset_users(&reset, tables);
	else
		empty(&reset, steps, tables);
	error_context_stack = context.previous;
	if (settings)
		remove_settings(&reset);
	SPI_finish();

	result = Int64GetDatum(reset.deleted);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, &result,
													  &isnull)));
}

/*
 * Warn about the guarded tables that are left out, lest anyone take the
 * instance for empty.
 */
static void
warn_of_others(void)
{
	char	   *elsewhere = ienv_tables_elsewhere();
	ListCell   *lc;

	if (elsewhere != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("not all guarded tables can be looked at from this node"),
				 errdetail("Nodes have tables that are local to them: %s.",
						   elsewhere),
				 errhint("Reset the instance on the node that has these tables, too.")));
	foreach(lc, ienv_all_roots())
	{
		const IenvRoot *root = lfirst(lc);

		if (!root->trusted)
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("table \"%s\" is not looked at", root->name),
					 errdetail("Its guard does not count: %s.",
							   ienv_why_not_trusted(root)),
					 errhint("Have it guarded again by a role that may, or delete its rows by hand.")));
	}
}

/*
 * Lock the instance, so that resets of it wait for each other, and make sure
 * that it is still what it must be.
 */
static void
begin_batch(IenvReset *reset, bool first)
{
	IenvOwner	saved;
	char	   *status;

	ienv_become_owner(&saved);
	if (ienv_lock_instance(reset->instance, &status).type != IENV_DEVELOPMENT)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot reset production instance %s",
						ienv_instance_text(reset->instance, true)),
				 errhint("Give the id of the application's development instance.")));
	if (first)
		reset->external_key = ienv_external_key(reset->instance);
	ienv_leave_owner(&saved);
}

/*
 * Commit what has been done, if that is for us to decide, and go on.
 */
static void
end_batch(IenvReset *reset)
{
	if (reset->atomic)
		return;
	SPI_commit();
	begin_batch(reset, false);
}

/*
 * Delete all rows of the instance from these tables, which are also given in
 * steps.
 */
static void
empty(IenvReset *reset, List *steps, List *tables)
{
	int			nest_level = ienv_bound_lock_waits(IENV_RESET_LOCK_WAIT);
	ListCell   *lc;

	/* nothing is deleted unless everything may be deleted */
	foreach(lc, tables)
	{
		ienv_reset_look(reset, lfirst(lc));
		ienv_reset_check_rights(list_make1(lfirst(lc)));
	}
	refuse_strangers(reset, tables);
	AtEOXact_GUC(false, nest_level);
	foreach(lc, steps)
	{
		List	   *together = lfirst(lc);
		IenvResetTable *table = linitial(together);

		if (list_length(together) == 1 && !table->refers_to_itself)
			empty_in_batches(reset, table);
		else
			empty_at_once(reset, together);
	}
}

/*
 * Refuse to delete where that would delete rows of another instance, too.
 */
static void
refuse_strangers(IenvReset *reset, List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		IenvResetTable *table = lfirst(lc);

		if (table->rows > 0 && ienv_reset_has_rows(reset, table))
			ienv_refuse_strangers(reset, tables, list_make1(table), "",
								  psprintf("SELECT d.tableoid AS t,"
										   " d.ctid AS c FROM %s AS d"
										   " WHERE %s",
										   ienv_sql_name(table->relid),
										   table->of_instance));
	}
}

/*
 * Delete the instance's rows of one table, in batches.
 *
 * In a partitioned table, it takes tableoid to tell rows apart; in a
 * distributed one, the instance to find the shard.
 */
static void
empty_in_batches(IenvReset *reset, IenvResetTable *table)
{
	int			fruitless = 0;

	if (table->rows == 0)
		return;
	for (;;)
	{
		const char *name = ienv_sql_name(table->relid);
		uint64		n;

		CHECK_FOR_INTERRUPTS();
		n = ienv_reset_query(reset, list_make1(table),
							 psprintf("WITH batch AS MATERIALIZED"
									  " (SELECT tableoid AS t, ctid AS c"
									  " FROM %s"
									  " WHERE %s LIMIT %d)"
									  " DELETE FROM %s AS d USING batch"
									  " WHERE d.ctid OPERATOR(pg_catalog.=)"
									  " batch.c AND"
									  " d.tableoid OPERATOR(pg_catalog.=)"
									  " batch.t%s",
									  name, table->condition,
									  reset->batch_size, name,
									  ienv_reset_in_shard(table)));
		if (n > 0)
		{
			fruitless = 0;
			ienv_reset_report(reset, table, n);
			end_batch(reset);
		}
		else if (!ienv_reset_has_rows(reset, table))
			return;
		else if (++fruitless >= MAX_FRUITLESS)
			ienv_reset_refuse_kept_rows(reset, table);
	}
}

/*
 * Delete the instance's rows of all these tables in one statement.
 */
static void
empty_at_once(IenvReset *reset, List *tables)
{
	StringInfoData sql;
	StringInfoData counts;
	List	   *filled = NIL;
	int64	   *n;
	ListCell   *lc;

	initStringInfo(&sql);
	initStringInfo(&counts);
	foreach(lc, tables)
	{
		const IenvResetTable *table = lfirst(lc);
		int			i = list_length(filled);

		if (table->rows == 0)
			continue;
		appendStringInfo(&sql, "%s d%d AS (DELETE FROM %s WHERE %s"
						 " RETURNING 1)", i == 0 ? "WITH" : ",",
						 i, ienv_sql_name(table->relid), table->condition);
		appendStringInfo(&counts, "%s (SELECT pg_catalog.count(*) FROM d%d)",
						 i == 0 ? " SELECT" : ",", i);
		filled = lappend(filled, lfirst(lc));
	}
	if (filled == NIL)
		return;

	if (ienv_reset_query(reset, filled,
						 psprintf("%s%s", sql.data, counts.data)) != 1)
		elog(ERROR, "unexpected number of rows");
	n = palloc(list_length(filled) * sizeof(int64));
	for (int i = 0; i < list_length(filled); i++)
	{
		bool		isnull;

		n[i] = DatumGetInt64(ienv_result_datum(0, i + 1, &isnull));
	}
	foreach(lc, filled)
	{
		IenvResetTable *table = lfirst(lc);

		if (ienv_reset_has_rows(reset, table))
			ienv_reset_refuse_kept_rows(reset, table);
		ienv_reset_report(reset, table, n[foreach_current_index(lc)]);
	}
	end_batch(reset);
}

/*
 * Remove the instance's configuration.  Its cap and its keys stay.
 */
static void
remove_settings(IenvReset *reset)
{
	IenvOwner	saved;
	Oid			type = UUIDOID;
	bool		isnull;

	ienv_become_owner(&saved);
	if (ienv_query("WITH setting AS (DELETE FROM instance_env.setting"
				   "   WHERE instance OPERATOR(pg_catalog.=) $1"
				   " RETURNING name, value),"
				   "  policy AS (DELETE FROM instance_env.policy_override"
				   "   WHERE instance OPERATOR(pg_catalog.=) $1"
				   " RETURNING name, value),"
				   "  feature AS (DELETE FROM instance_env.instance_feature"
				   "   WHERE instance OPERATOR(pg_catalog.=) $1"
				   " RETURNING feature, quantity),"
				   "  connection AS (DELETE"
				   " FROM instance_env.social_connection"
				   "   WHERE instance OPERATOR(pg_catalog.=) $1"
				   " RETURNING provider, source, client_id, scopes)"
				   " SELECT pg_catalog.jsonb_object_agg(kind, removed)"
				   " FROM (VALUES"
				   "  ('settings', (SELECT pg_catalog.jsonb_object_agg(name,"
				   " value) FROM setting)),"
				   "  ('policies', (SELECT pg_catalog.jsonb_object_agg(name,"
				   " value) FROM policy)),"
				   "  ('features',"
				   " (SELECT pg_catalog.jsonb_object_agg(feature, quantity)"
				   " FROM feature)),"
				   "  ('social_connections',"
				   " (SELECT pg_catalog.jsonb_agg(connection)"
				   " FROM connection))) AS v (kind, removed)"
				   " WHERE removed IS NOT NULL"
				   " HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0", 1,
				   &type, &reset->instance, NULL) > 0)
	{
		Datum		before = ienv_result_datum(0, 1, &isnull);

		ienv_config_changed(reset->instance);
		ienv_record_event("reset_development", NULL, &reset->id, "settings",
						  before, 0);
		ereport(NOTICE,
				(errmsg("removed the settings of development instance %s",
						ienv_instance_text(reset->instance, true))));
	}
	ienv_leave_owner(&saved);
}
