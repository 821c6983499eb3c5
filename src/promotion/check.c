/*-------------------------------------------------------------------------
 *
 * check.c
 *	  What the checks of validate() share.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "promotion/check.h"
#include "promotion/promotion.h"

static char *of_one(const char *sql);

/*
 * Add the result of a check.  name is the kind of check, and subject what it
 * has looked at, or NULL if it is not about one of several; sqlstate is that
 * of a refusal for this reason, or 0; hint is what to do if the check has
 * failed, or NULL.
 */
void
ienv_add_check(IenvValidation *run, const char *name, const char *subject,
			   IenvSeverity severity, int sqlstate, bool passed,
			   const char *message, const char *hint)
{
	IenvCheck  *check = palloc(sizeof(IenvCheck));

	check->name = name;
	check->subject = subject;
	check->severity = severity;
	check->passed = passed;
	check->message = message;
	check->hint = passed ? NULL : hint;
	check->sqlstate = passed ? 0 : sqlstate;
	run->checks = lappend(run->checks, check);
}

/*
 * Ask a query about all instances of a set, and judge each by its rows, of
 * which there may be none.  SPI is connected.
 *
 * The first column of the query's result is v.n, by which it is ordered.  For
 * a single instance its plan is kept, because making it takes longer than the
 * query.  For many it is made for that many: in one that was made for few, a
 * loop within a loop could be the best way.
 */
void
ienv_judge(IenvValidationSet *set, IenvSetQuery *query, IenvJudge judge)
{
	static const Oid types[3] = {UUIDARRAYOID, UUIDARRAYOID, UUIDARRAYOID};
	IenvRows	rows = {0};
	uint64		n;

	if (set->n == 1)
	{
		if (query->of_one.sql == NULL)
			query->of_one.sql = of_one(query->sql);
		n = ienv_query_kept(&query->of_one, 3, types, set->arguments, NULL);
	}
	else
		n = ienv_query_active(query->sql, 3, types, set->arguments, NULL);

	rows.table = SPI_tuptable;
	for (int i = 0; i < set->n; i++)
	{
		uint64		end = rows.first;
		bool		isnull;

		while (end < n &&
			   DatumGetInt64(SPI_getbinval(rows.table->vals[end],
										   rows.table->tupdesc, 1,
										   &isnull)) == i + 1)
			end++;
		rows.n = end - rows.first;
		judge(&set->validations[i], &rows);
		rows.first = end;
	}
	Assert(rows.first == n);
	SPI_freetuptable(rows.table);
}

/*
 * A query about a set as one about a single instance, in memory that stays.
 */
static char *
of_one(const char *sql)
{
	StringInfoData text;
	const char *set;

	initStringInfo(&text);
	while ((set = strstr(sql, IENV_SET)) != NULL)
	{
		appendBinaryStringInfo(&text, sql, set - sql);
		appendStringInfoString(&text, IENV_SET_OF_ONE);
		sql = set + strlen(IENV_SET);
	}
	appendStringInfoString(&text, sql);
	return MemoryContextStrdup(TopMemoryContext, text.data);
}

/*
 * A column of an instance's rows.  Rows are counted from 0; columns from 1,
 * without the one that has the instance's number.  The memory of what is
 * passed by reference goes with the rows.
 */
Datum
ienv_row_datum(const IenvRows *rows, uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(rows->table->vals[rows->first + row],
						 rows->table->tupdesc, column + 1, isnull);
}

/*
 * The same as text, which stays, or NULL.
 */
char *
ienv_row_text(const IenvRows *rows, uint64 row, int column)
{
	return SPI_getvalue(rows->table->vals[rows->first + row],
						rows->table->tupdesc, column + 1);
}

/*
 * Is it true?
 */
bool
ienv_row_is_true(const IenvRows *rows, uint64 row, int column)
{
	bool		isnull;
	Datum		value = ienv_row_datum(rows, row, column, &isnull);

	return !isnull && DatumGetBool(value);
}
