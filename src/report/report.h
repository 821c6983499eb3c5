/*-------------------------------------------------------------------------
 *
 * report.h
 *	  The page that report() returns.
 *
 * The room reads the extension's views, with the rights of the caller and the
 * snapshot of the calling query, and asks no other room for data.  All that a
 * query returns is text, made by SQL in a way that does not depend on the
 * session's settings; it gets into the page through ienv_html() only, which
 * escapes it.  SPI is connected throughout.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_REPORT_H
#define IENV_REPORT_H

#include "executor/spi.h"
#include "lib/stringinfo.h"

/* How many applications, tables, events and so on are listed in full */
#define IENV_REPORT_LISTED	50
#define IENV_REPORT_LATEST	20

/* What a query has returned; the rows last until SPI_finish() */
typedef struct IenvRows
{
	SPITupleTable *table;
	uint64		n;
} IenvRows;

/* The columns of what is read for the usage of instances, in usage.c */
typedef enum IenvUsageColumn
{
	USAGE_APPLICATION = 1,
	USAGE_RELATION,
	USAGE_TYPE,
	USAGE_USERS,
	USAGE_ESTIMATED,
	USAGE_CAP,
	USAGE_MODE,
	USAGE_PERCENT,
	USAGE_STATE,
	USAGE_REFUSED,
	USAGE_REFUSED_TODAY,
	USAGE_LAST_REFUSED,
	USAGE_SOFT_DELETION,
	USAGE_THRESHOLDS,			/* numbers with spaces between them */
	USAGE_BANNER,				/* the instance's own, if it has one */
	USAGE_TOTAL,				/* rows of this type that there are */
	USAGE_ALL_NEAR,				/* those near their cap or at it */
	USAGE_ALL_REFUSED			/* refused today, in all of them */
} IenvUsageColumn;

/* The same for the readiness of production instances, in readiness.c */
typedef enum IenvReadinessColumn
{
	READY_APPLICATION = 1,
	READY_STATUS,
	READY_READY,
	READY_ERRORS,				/* how many */
	READY_WARNINGS,
	READY_NEXT,
	READY_TOTAL,				/* instances that there are */
	READY_ALL_BLOCKED,			/* not active and not ready */
	READY_ALL_FAILING,			/* active and not ready */
	READY_ALL_ACTIVE
} IenvReadinessColumn;

/* The same for guards, in guards.c */
typedef enum IenvGuardColumn
{
	GUARD_RELATION = 1,
	GUARD_INSTANCE,
	GUARD_KEY,
	GUARD_USERS,
	GUARD_COUNTED,
	GUARD_WHOLE,
	GUARD_ISOLATED,
	GUARD_CODED,
	GUARD_PROBLEMS,				/* with a unit separator after each but the
								 * last */
	GUARD_TOTAL,
	GUARD_ALL_BROKEN
} IenvGuardColumn;

/* A report that is being written */
typedef struct IenvReport
{
	StringInfoData page;
	char	   *name;			/* of the only application that it is about,
								 * or NULL: all */
	Datum		ids[3];			/* its own and those of its development and
								 * production instance, or null pointers; $1
								 * to $3 in each query */

	/* Read before anything is written, since the summary comes first */
	IenvRows	usage;
	IenvRows	readiness;
	IenvRows	guards;
} IenvReport;

/*
 * What queries have in common.  A relation's name does not depend on
 * search_path, nor a time on TimeZone and DateStyle.
 */
#define IENV_REPORT_TIME(time) \
	"pg_catalog.to_char(pg_catalog.timezone('UTC', " time "), 'YYYY-MM-DD HH24:MI')"
#define IENV_REPORT_NUMBER(number) \
	"pg_catalog.to_char(" number "::numeric, 'FM999,999,999,999,999,990')"
#define IENV_REPORT_RELATION(oid) \
	"(SELECT pg_catalog.concat(n.nspname, '.', c.relname)" \
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n" \
	"  ON n.oid OPERATOR(pg_catalog.=) c.relnamespace" \
	" WHERE c.oid OPERATOR(pg_catalog.=) " oid ")"

/* A JSON value as people read it: a text as it is, nothing as nothing */
#define IENV_REPORT_VALUE(value) \
	"CASE WHEN pg_catalog.jsonb_typeof(" value ") OPERATOR(pg_catalog.=) 'string'" \
	" THEN CASE WHEN " value " OPERATOR(pg_catalog.=) '\"\"' THEN '(empty)'" \
	"  ELSE " value " OPERATOR(pg_catalog.#>>) '{}' END" \
	" WHEN " value " OPERATOR(pg_catalog.=) 'true' THEN 'yes'" \
	" WHEN " value " OPERATOR(pg_catalog.=) 'false' THEN 'no'" \
	" WHEN " value " OPERATOR(pg_catalog.<>) 'null' THEN " value "::pg_catalog.text END"

/*
 * What has become other, where two JSON values are compared: of objects, the
 * keys with another value.  It is not shown in full if it is long.
 */
#define IENV_REPORT_CHANGED(value, other) \
	"(SELECT CASE WHEN pg_catalog.length(s.shown) OPERATOR(pg_catalog.>) 240" \
	"  THEN pg_catalog.concat(pg_catalog.left(s.shown, 230), ' ...') ELSE s.shown END" \
	" FROM (SELECT " IENV_REPORT_VALUE("v.value") " AS shown FROM (SELECT CASE" \
	"  WHEN pg_catalog.jsonb_typeof(" value ") OPERATOR(pg_catalog.=) 'object'" \
	"   AND pg_catalog.jsonb_typeof(" other ") OPERATOR(pg_catalog.=) 'object'" \
	"  THEN (SELECT pg_catalog.jsonb_object_agg(k.key, k.value)" \
	"   FROM pg_catalog.jsonb_each(" value ") k" \
	"   WHERE COALESCE(k.value OPERATOR(pg_catalog.<>) (" other " OPERATOR(pg_catalog.->) k.key), true))" \
	"  ELSE " value " END AS value) v) s)"

/*
 * html.c: text and rows as HTML
 */
extern void ienv_html(StringInfo page, const char *format,...) pg_attribute_printf(2, 3);
extern void ienv_html_more(StringInfo page, int64 total, uint64 listed,
						   const char *things, const char *where);
extern void ienv_html_badge(StringInfo page, const char *kind,
							const char *word);

/*
 * rows.c: reading the views
 */
extern IenvRows ienv_read_rows(const IenvReport *report, const char *sql);
extern bool ienv_read_if_exists(const IenvReport *report, const char *sql,
								IenvRows *rows);
extern char *ienv_cell(const IenvRows *rows, uint64 row, int column);
extern int64 ienv_cell_number(const IenvRows *rows, uint64 row, int column);
extern bool ienv_cell_true(const IenvRows *rows, uint64 row, int column);

/*
 * style.c: how the page looks
 */
extern const char *const ienv_report_style;

/*
 * summary.c, usage.c, readiness.c, policy.c, drift.c, history.c, guards.c: the
 * sections, in their order
 */
extern void ienv_report_summary(IenvReport *report);
extern void ienv_read_usage(IenvReport *report);
extern void ienv_report_usage(IenvReport *report);
extern bool ienv_has_soft_cap(const IenvRows *rows, uint64 row);
extern void ienv_read_readiness(IenvReport *report);
extern void ienv_report_readiness(IenvReport *report);
extern void ienv_report_policy(IenvReport *report);
extern void ienv_report_drift(IenvReport *report);
extern void ienv_report_promotions(IenvReport *report);
extern void ienv_read_guards(IenvReport *report);
extern void ienv_report_guards(IenvReport *report);
extern void ienv_report_events(IenvReport *report);

#endif							/* IENV_REPORT_H */
