/*-------------------------------------------------------------------------
 *
 * report.c
 *	  Everything at a glance, as one HTML page: report().
 *
 * The page has no script, and nothing in it comes from outside; it says so to
 * the browser, too.  All queries use the snapshot of the calling one.  They
 * list what needs attention most and count the rest, so that the page stays
 * small however many applications there are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "report/report.h"

static void find_application(IenvReport *report, Datum application);
static void write_head(IenvReport *report);
static void write_foot(IenvReport *report);

PG_FUNCTION_INFO_V1(instance_env_report);

/*
 * report(application text) RETURNS text
 *
 * Of all applications, if it is null.
 */
Datum
instance_env_report(PG_FUNCTION_ARGS)
{
	IenvReport	report = {0};
	text	   *result;

	SPI_connect();
	initStringInfo(&report.page);
	if (!PG_ARGISNULL(0))
		find_application(&report, PG_GETARG_DATUM(0));
	ienv_read_usage(&report);
	ienv_read_readiness(&report);
	ienv_read_guards(&report);

	write_head(&report);
	ienv_report_summary(&report);
	ienv_report_usage(&report);
	ienv_report_readiness(&report);
	ienv_report_policy(&report);
	ienv_report_drift(&report);
	ienv_report_promotions(&report);
	ienv_report_guards(&report);
	ienv_report_events(&report);
	write_foot(&report);

	result = SPI_palloc(VARHDRSZ + report.page.len);
	SET_VARSIZE(result, VARHDRSZ + report.page.len);
	memcpy(VARDATA(result), report.page.data, report.page.len);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}

/*
 * Limit a report to an application, given by its name or, as a text, its id.
 * What can be an id is looked for as one first: otherwise an application could
 * be given a name that makes others take it for another.
 */
static void
find_application(IenvReport *report, Datum application)
{
	Oid			type = TEXTOID;

	if (ienv_query_active("SELECT application, application_id, development_id, production_id"
						  " FROM instance_env.applications"
						  " WHERE application_id::pg_catalog.text OPERATOR(pg_catalog.=) pg_catalog.lower($1)"
						  "  OR application OPERATOR(pg_catalog.=) $1"
						  " ORDER BY application_id::pg_catalog.text OPERATOR(pg_catalog.=) pg_catalog.lower($1) DESC LIMIT 1",
						  1, &type, &application, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("application \"%s\" does not exist",
						ienv_clipped(TextDatumGetCString(application))),
				 errhint("All applications are in view instance_env.applications.")));
	report->name = ienv_result_text(0, 1);
	for (int i = 0; i < lengthof(report->ids); i++)
	{
		bool		isnull;

		/* the rows last as long as the report */
		report->ids[i] = ienv_result_datum(0, i + 2, &isnull);
	}
}

/*
 * Everything before the sections.
 */
static void
write_head(IenvReport *report)
{
	static const char *const sections[][2] = {
		{"summary", "Summary"}, {"usage", "Usage"}, {"readiness", "Readiness"},
		{"policy", "Policy"}, {"drift", "Drift"}, {"promotions", "Promotions"},
		{"guards", "Guards"}, {"events", "Latest events"},
	};
	StringInfo	page = &report->page;
	IenvRows	rows = ienv_read_rows(report,
									  "SELECT pg_catalog.current_database(),"
									  " " IENV_REPORT_TIME("pg_catalog.statement_timestamp()") ","
									  " CURRENT_USER,"
									  " pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1),"
									  " " IENV_REPORT_NUMBER("(SELECT pg_catalog.count(*) FROM instance_env.applications)") ","
									  " (SELECT extversion FROM pg_catalog.pg_extension"
									  "   WHERE extname OPERATOR(pg_catalog.=) 'instance_env'),"
									  " pg_catalog.pg_is_in_recovery()");
	const char *database = ienv_cell(&rows, 0, 1);
	const char *subject = report->name != NULL ? report->name : database;

	ienv_html(page, "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'/>\n"
			  "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline';"
			  " base-uri 'none'; form-action 'none'\"/>\n"
			  "<meta name='viewport' content='width=device-width, initial-scale=1'/>\n"
			  "<meta name='color-scheme' content='light dark'/>\n"
			  "<meta name='robots' content='noindex, nofollow'/>\n"
			  "<meta name='referrer' content='no-referrer'/>\n"
			  "<title>%s: instances and environments</title>\n<style>\n",
			  subject);
	appendStringInfoString(page, ienv_report_style);
	ienv_html(page, "</style>\n</head>\n<body>\n<header>\n<p class='over'>Instances and environments</p>\n<h1><bdi>%s</bdi></h1>\n<p class='soft'>",
			  subject);
	if (report->name != NULL)
		ienv_html(page, "Application in database <bdi>%s</bdi>", database);
	else
		ienv_html(page, "Database with %s %s", ienv_cell(&rows, 0, 5),
				  strcmp(ienv_cell(&rows, 0, 5), "1") == 0 ? "application" : "applications");
	ienv_html(page, " &#xB7; %s UTC &#xB7; as <bdi>%s</bdi> &#xB7; PostgreSQL %s &#xB7; instance_env %s%s</p>\n",
			  ienv_cell(&rows, 0, 2), ienv_cell(&rows, 0, 3),
			  ienv_cell(&rows, 0, 4), ienv_cell(&rows, 0, 6),
			  ienv_cell_true(&rows, 0, 7) ? ", standby" : "");
	ienv_html(page, "<nav aria-label='Sections'><ul>\n");
	for (int i = 0; i < lengthof(sections); i++)
		ienv_html(page, "<li><a href='#%s'>%s</a></li>\n", sections[i][0],
				  sections[i][1]);
	ienv_html(page, "</ul></nav>\n</header>\n<main>\n");
}

/*
 * Everything after them.
 */
static void
write_foot(IenvReport *report)
{
	ienv_html(&report->page, "</main>\n<footer>\n<p>Made by <code>instance_env.report()</code>."
			  " The page is complete as it is: no script, nothing from elsewhere.</p>\n"
			  "</footer>\n</body>\n</html>\n");
}
