/*-------------------------------------------------------------------------
 *
 * readiness.c
 *	  What stands between each application and production, as a checklist.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "report/report.h"

/*
 * The production instances that need attention most: active ones that should
 * not be so first, then those that are closest to being ready.  They come from
 * the view, or from the function that looks at one instance only.
 */
#define LISTED_INSTANCES \
	"SELECT r.*, pg_catalog.cardinality(r.errors) AS failed," \
	" pg_catalog.count(*) OVER () AS total," \
	" pg_catalog.count(*) FILTER (WHERE r.status OPERATOR(pg_catalog.<>) 'active' AND NOT r.ready) OVER () AS blocked," \
	" pg_catalog.count(*) FILTER (WHERE r.status OPERATOR(pg_catalog.=) 'active' AND NOT r.ready) OVER () AS failing," \
	" pg_catalog.count(*) FILTER (WHERE r.status OPERATOR(pg_catalog.=) 'active') OVER () AS active" \
	" FROM %s r" \
	" ORDER BY r.status OPERATOR(pg_catalog.=) 'active' AND NOT r.ready DESC," \
	" r.ready, pg_catalog.cardinality(r.errors), r.application LIMIT %d"

/* The checks of one of them, failed ones first */
#define CHECKS \
	"SELECT c.check_name, c.subject, c.severity, c.passed, c.message, c.hint" \
	" FROM instance_env.validate($3) WITH ORDINALITY" \
	"  c (check_name, subject, severity, passed, message, hint, sqlstate, n)" \
	" ORDER BY c.passed, c.severity DESC, c.n"

enum
{
	CHECK_NAME = 1, CHECK_SUBJECT, CHECK_SEVERITY, CHECK_PASSED, CHECK_MESSAGE, CHECK_HINT
};

/* the id of the instance, after the columns that others know */
#define READY_ID (READY_ALL_ACTIVE + 1)

static void write_instance(IenvReport *report, uint64 row);
static void write_check(StringInfo page, const IenvRows *checks, uint64 row);

/*
 * Read what the section and the summary show.
 */
void
ienv_read_readiness(IenvReport *report)
{
	const char *sql = psprintf("SELECT i.application, i.status, i.ready, i.failed,"
							   " pg_catalog.cardinality(i.warnings), i.next_step,"
							   " i.total, i.blocked, i.failing, i.active, i.instance_id"
							   " FROM (" LISTED_INSTANCES ") i",
							   report->name == NULL ? "instance_env.readiness" :
							   "instance_env.readiness_of($3)",
							   IENV_REPORT_LISTED);

	if ((report->name != NULL && DatumGetPointer(report->ids[2]) == NULL) ||
		!ienv_read_if_exists(report, sql, &report->readiness))
		report->readiness.n = 0;
}

/*
 * Write the section.
 */
void
ienv_report_readiness(IenvReport *report)
{
	StringInfo	page = &report->page;
	const IenvRows *rows = &report->readiness;

	ienv_html(page, "<section id='readiness' aria-labelledby='readiness-title'>\n"
			  "<h2 id='readiness-title'>Readiness</h2>\n"
			  "<p class='lead'>What each production instance is checked for. It can be promoted when no check"
			  " of severity error fails.</p>\n");
	if (rows->n == 0 && report->name != NULL)
		ienv_html(page, "<p class='empty'>It has no production instance any more.</p>\n");
	else if (rows->n == 0)
		ienv_html(page, "<p class='empty'>There is no application yet:"
				  " <code>SELECT * FROM instance_env.create_application('shop')</code> creates one.</p>\n");
	for (uint64 i = 0; i < rows->n; i++)
		write_instance(report, i);
	ienv_html_more(page, ienv_cell_number(rows, 0, READY_TOTAL), rows->n,
				   "applications", "instance_env.readiness");
	ienv_html(page, "</section>\n");
}

/*
 * One application and its checks.
 */
static void
write_instance(IenvReport *report, uint64 row)
{
	StringInfo	page = &report->page;
	const IenvRows *rows = &report->readiness;
	const char *status = ienv_cell(rows, row, READY_STATUS);
	const char *next = ienv_cell(rows, row, READY_NEXT);
	IenvReport	one = *report;
	IenvRows	checks;
	uint64		failed = 0;
	bool		isnull;

	/* the row stays until the end, so its id can be used as it is */
	one.ids[2] = SPI_getbinval(rows->table->vals[row], rows->table->tupdesc,
							   READY_ID, &isnull);
	if (!ienv_read_if_exists(&one, CHECKS, &checks))
		return;
	while (failed < checks.n && !ienv_cell_true(&checks, failed, CHECK_PASSED))
		failed++;

	ienv_html(page, "<div class='app'>\n<h3><bdi>%s</bdi> ",
			  ienv_cell(rows, row, READY_APPLICATION));
	ienv_html_badge(page, "plain", status);
	ienv_html(page, " ");
	if (ienv_cell_true(rows, row, READY_READY))
		ienv_html_badge(page, "ok",
						strcmp(status, "active") == 0 ? "all is well" : "ready");
	else
		ienv_html_badge(page, strcmp(status, "active") == 0 ? "bad" : "warn",
						strcmp(status, "active") == 0 ? "failed checks" : "not ready");
	ienv_html(page, "</h3>\n");
	if (next != NULL)
		ienv_html(page, "<p class='next'><b>Next step:</b> %s</p>\n", next);
	if (failed > 0)
	{
		ienv_html(page, "<ul class='checks'>\n");
		for (uint64 i = 0; i < failed; i++)
			write_check(page, &checks, i);
		ienv_html(page, "</ul>\n");
	}
	if (failed < checks.n)
	{
		ienv_html(page, "<details><summary>%d of %d checks passed</summary>\n<ul class='checks'>\n",
				  (int) (checks.n - failed), (int) checks.n);
		for (uint64 i = failed; i < checks.n; i++)
			write_check(page, &checks, i);
		ienv_html(page, "</ul></details>\n");
	}
	ienv_html(page, "</div>\n");
	SPI_freetuptable(checks.table);
}

static void
write_check(StringInfo page, const IenvRows *checks, uint64 row)
{
	const char *severity = ienv_cell(checks, row, CHECK_SEVERITY);
	const char *message = ienv_cell(checks, row, CHECK_MESSAGE);
	const char *subject = ienv_cell(checks, row, CHECK_SUBJECT);
	const char *hint = ienv_cell(checks, row, CHECK_HINT);

	ienv_html(page, "<li>");
	if (ienv_cell_true(checks, row, CHECK_PASSED))
		ienv_html_badge(page, "ok", "passed");
	else if (strcmp(severity, "error") == 0)
		ienv_html_badge(page, "bad", "failed");
	else
		ienv_html_badge(page, "warn", strcmp(severity, "info") == 0 ? "note" : "warning");
	ienv_html(page, "<p><bdi>%s</bdi> <span class='soft'>(%s", message,
			  ienv_cell(checks, row, CHECK_NAME));
	if (subject != NULL && strstr(message, subject) == NULL)
		ienv_html(page, ": <bdi>%s</bdi>", subject);
	ienv_html(page, ")</span>");
	if (hint != NULL && !ienv_cell_true(checks, row, CHECK_PASSED))
		ienv_html(page, "<span class='hint'>%s</span>", hint);
	ienv_html(page, "</p></li>\n");
}
