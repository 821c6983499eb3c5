/*-------------------------------------------------------------------------
 *
 * spi.c
 *	  Helpers for the SQL that the extension runs through SPI.
 *
 * Every name and operator in that SQL is qualified, and none of its string
 * literals contains a backslash, whose meaning would depend on
 * standard_conforming_strings.
 *
 * Some syntax looks an operator up by search_path although it names none: CASE
 * x WHEN, IN, BETWEEN, IS DISTINCT FROM, NULLIF, LIKE, JOIN USING.  It is for
 * functions that pin search_path; elsewhere the caller would have his own
 * operator run with the rights of the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/base.h"

static const char *null_arguments(int nargs, const Oid *types,
								  const Datum *values, const char *nulls);

/*
 * A relation's qualified name, quoted for SQL.
 */
char *
ienv_sql_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

/*
 * Run one command that returns nothing.  SPI is connected.
 */
void
ienv_execute(const char *fmt,...)
{
	StringInfoData sql;
	int			result;

	initStringInfo(&sql);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&sql, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&sql, needed);
	}
	result = SPI_execute(sql.data, false, 0);
	if (result != SPI_OK_UTILITY)
		elog(ERROR, "unexpected result %s of: %s",
			 SPI_result_code_string(result), sql.data);
	pfree(sql.data);
}

/*
 * Run one statement with arguments, and return how many rows it processed; the
 * rows are in SPI_tuptable.  SPI is connected.  As in SPI, nulls has 'n' for a
 * null argument and ' ' for any other, and can be NULL.  A pass-by-reference
 * argument that is a null pointer counts as null, whatever nulls says.
 */
uint64
ienv_query(const char *sql, int nargs, const Oid *types, const Datum *values,
		   const char *nulls)
{
	int			result = SPI_execute_with_args(sql, nargs,
											   unconstify(Oid *, types),
											   unconstify(Datum *, values),
											   null_arguments(nargs, types,
															  values, nulls),
											   false, 0);

	if (result < 0)
		elog(ERROR, "unexpected result %s of: %s",
			 SPI_result_code_string(result), sql);
	return SPI_processed;
}

/*
 * The same for a statement that concerns one row, which the caller has locked.
 */
void
ienv_query_one(const char *sql, int nargs, const Oid *types,
			   const Datum *values)
{
	if (ienv_query(sql, nargs, types, values, NULL) != 1)
		elog(ERROR, "a row is locked but gone: %s", sql);
}

/*
 * The same for a read-only query, with a snapshot taken now: a cache must not
 * be filled with the past that a REPEATABLE READ transaction sees.
 */
uint64
ienv_query_latest(const char *sql, int nargs, const Oid *types,
				  const Datum *values, const char *nulls)
{
	uint64		processed;

	PushActiveSnapshot(GetLatestSnapshot());
	processed = ienv_query_active(sql, nargs, types, values, nulls);
	PopActiveSnapshot();
	return processed;
}

/*
 * The same with the active snapshot, so that several queries see the same
 * state.
 */
uint64
ienv_query_active(const char *sql, int nargs, const Oid *types,
				  const Datum *values, const char *nulls)
{
	int			result = SPI_execute_with_args(sql, nargs,
											   unconstify(Oid *, types),
											   unconstify(Datum *, values),
											   null_arguments(nargs, types,
															  values, nulls),
											   true, 0);

	if (result < 0)
		elog(ERROR, "unexpected result %s of: %s",
			 SPI_result_code_string(result), sql);
	return SPI_processed;
}

/*
 * The same by a plan that is kept and does not depend on the arguments, for a
 * query that is asked often about a single thing.
 *
 * PostgreSQL makes the plan again when what it depends on has changed, be it
 * statistics or all of the extension.
 */
uint64
ienv_query_kept(IenvQuery *query, int nargs, const Oid *types,
				const Datum *values, const char *nulls)
{
	int			result;

	if (query->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(query->sql, nargs,
											  unconstify(Oid *, types),
											  CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "unexpected result %s of: %s",
				 SPI_result_code_string(SPI_result), query->sql);
		query->plan = plan;
	}
	result = SPI_execute_plan(query->plan, unconstify(Datum *, values),
							  null_arguments(nargs, types, values, nulls),
							  true, 0);
	if (result < 0)
		elog(ERROR, "unexpected result %s of: %s",
			 SPI_result_code_string(result), query->sql);
	return SPI_processed;
}

/*
 * The same with a snapshot taken now.
 */
uint64
ienv_query_kept_latest(IenvQuery *query, int nargs, const Oid *types,
					   const Datum *values, const char *nulls)
{
	uint64		processed;

	PushActiveSnapshot(GetLatestSnapshot());
	processed = ienv_query_kept(query, nargs, types, values, nulls);
	PopActiveSnapshot();
	return processed;
}

/*
 * Like ienv_query(), but with a snapshot taken now, so that a DELETE also
 * finds rows that a REPEATABLE READ transaction does not see.
 */
uint64
ienv_write_latest(const char *sql, int nargs, const Oid *types,
				  const Datum *values)
{
	SPIPlanPtr	plan = SPI_prepare(sql, nargs, unconstify(Oid *, types));
	int			result;

	if (plan == NULL)
		elog(ERROR, "unexpected result %s of: %s",
			 SPI_result_code_string(SPI_result), sql);
	result = SPI_execute_snapshot(plan, unconstify(Datum *, values),
								  null_arguments(nargs, types, values, NULL),
								  GetLatestSnapshot(),
								  InvalidSnapshot, false, true, 0);
	if (result < 0)
		elog(ERROR, "unexpected result %s of: %s",
			 SPI_result_code_string(result), sql);
	return SPI_processed;
}

/*
 * The nulls to pass to SPI.
 *
 * Code that copies a parameter list (parallel query, auto_explain, pgaudit)
 * dereferences each pointer that is not marked as null, even if the query
 * itself never uses that parameter.
 */
static const char *
null_arguments(int nargs, const Oid *types, const Datum *values,
			   const char *nulls)
{
	char	   *marked = NULL;

	for (int i = 0; i < nargs; i++)
	{
		if (DatumGetPointer(values[i]) != NULL ||
			(nulls != NULL && nulls[i] == 'n') ||
			get_typbyval(types[i]))
			continue;
		if (marked == NULL)
		{
			marked = palloc(nargs + 1);
			for (int j = 0; j < nargs; j++)
				marked[j] = nulls == NULL ? ' ' : nulls[j];
			marked[nargs] = '\0';
		}
		marked[i] = 'n';
	}
	return marked == NULL ? nulls : marked;
}

/*
 * Return the rows of the last query as they are, after InitMaterializedSRF().
 */
void
ienv_return_rows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
}

/*
 * The function's result row type, blessed.
 */
TupleDesc
ienv_result_desc(FunctionCallInfo fcinfo)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return BlessTupleDesc(desc);
}

/*
 * A column of a row that the last query returned, in memory that goes with
 * SPI_finish().
 */
Datum
ienv_result_datum(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, isnull);
}

/*
 * The same as text, or NULL.
 */
char *
ienv_result_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						column);
}

/*
 * A jsonb from its text.
 */
Datum
ienv_jsonb(const char *json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

/*
 * A uuid of the row that the last query returned, in memory that outlives SPI.
 */
Datum
ienv_returned_uuid(int column)
{
	bool		isnull;

	return SPI_datumTransfer(ienv_result_datum(0, column, &isnull),
							 false, UUID_LEN);
}
