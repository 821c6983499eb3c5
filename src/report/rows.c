/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Reading the views.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "report/report.h"

/* A query to run, and where to put its rows */
typedef struct Reading
{
	const IenvReport *report;
	const char *sql;
	IenvRows   *rows;
} Reading;

static void read_rows(void *arg);

/*
 * Run a query of a section, with the snapshot that all of them share.  $1 to
 * $3 are what the report is limited to; they are null if it is about all.
 */
IenvRows
ienv_read_rows(const IenvReport *report, const char *sql)
{
	Oid			types[3] = {UUIDOID, UUIDOID, UUIDOID};
	IenvRows	rows;

	rows.n = ienv_query_active(sql, 3, types, report->ids, NULL);
	rows.table = SPI_tuptable;
	return rows;
}

/*
 * The same for a query that calls a function about an instance which reads
 * what is newest.  Returns false if that has been dropped since the report's
 * snapshot was taken.
 */
bool
ienv_read_if_exists(const IenvReport *report, const char *sql, IenvRows *rows)
{
	Reading		reading = {report, sql, rows};
	ErrorData  *error = ienv_attempt(read_rows, &reading, true);

	if (error == NULL)
		return true;
	if (error->sqlerrcode != ERRCODE_IENV_UNKNOWN_INSTANCE)
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

static void
read_rows(void *arg)
{
	const Reading *reading = arg;

	*reading->rows = ienv_read_rows(reading->report, reading->sql);
}

/*
 * A value as text, or NULL.
 */
char *
ienv_cell(const IenvRows *rows, uint64 row, int column)
{
	return SPI_getvalue(rows->table->vals[row], rows->table->tupdesc, column);
}

/*
 * An integer; 0 if it is null, or if there is no such row.
 */
int64
ienv_cell_number(const IenvRows *rows, uint64 row, int column)
{
	char	   *value = row < rows->n ? ienv_cell(rows, row, column) : NULL;

	return value == NULL ? 0 : strtoi64(value, NULL, 10);
}

/*
 * A boolean; false if it is null.
 */
bool
ienv_cell_true(const IenvRows *rows, uint64 row, int column)
{
	char	   *value = ienv_cell(rows, row, column);

	return value != NULL && value[0] == 't';
}
