/*-------------------------------------------------------------------------
 *
 * check.c
 *	  What the checks of validate() share.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "promotion/check.h"
#include "promotion/promotion.h"

/*
 * Add the result of a check.  name is the kind of check, and subject what it
 * has looked at, or NULL if it is not about one of several; sqlstate is that of a refusal for this reason,
 * or 0; hint is what to do if the check has failed, or NULL.
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
 * Run a query whose $1 is the instance, $2 the development instance to be
 * judged with it, or null, and $3 the application, null until it is known; the
 * result is in SPI_tuptable.
 */
uint64
ienv_read(const IenvValidation *run, const char *sql)
{
	Oid			types[3] = {UUIDOID, UUIDOID, UUIDOID};
	Datum		values[3] = {run->instance, run->development, run->application};
	char		nulls[4] = "   ";

	if (!run->with_development)
		nulls[1] = 'n';
	if (DatumGetPointer(run->application) == NULL)
		nulls[2] = 'n';
	return ienv_query_active(sql, 3, types, values, nulls);
}

/*
 * Is a column of the last query's result true?
 */
bool
ienv_column_is_true(uint64 row, int column)
{
	bool		isnull;
	Datum		value = ienv_result_datum(row, column, &isnull);

	return !isnull && DatumGetBool(value);
}
