/*-------------------------------------------------------------------------
 *
 * drift.c
 *	  Where the two instances of each application that is live are set
 *	  differently.
 *
 * To compare two instances takes a millisecond or so, hence only the
 * applications that were promoted last are compared.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "report/report.h"

/*
 * A row for each difference, and one with nulls for an application that has
 * none.
 */
static const char *const drift =
"SELECT a.application, d.kind, d.item, " IENV_REPORT_CHANGED("d.development", "d.production") ","
" " IENV_REPORT_CHANGED("d.production", "d.development") ", d.ahead, a.total, d.total"
" FROM (SELECT a.application, a.application_id, p.id,"
"   pg_catalog.count(*) OVER () AS total"
"  FROM instance_env.applications a LEFT JOIN"
"   (SELECT application_id, pg_catalog.max(id) AS id FROM instance_env.promotions"
"    GROUP BY application_id) p"
"   ON p.application_id OPERATOR(pg_catalog.=) a.application_id"
"  WHERE a.production_status OPERATOR(pg_catalog.=) 'active'"
"   AND ($1 IS NULL OR a.application_id OPERATOR(pg_catalog.=) $1)"
"  ORDER BY p.id DESC NULLS LAST, a.application LIMIT %d) a"
" LEFT JOIN LATERAL (SELECT i.*, pg_catalog.count(*) OVER () AS total"
"  FROM instance_env.instance_diff(a.application_id) WITH ORDINALITY"
"   i (kind, item, development, production, ahead, n)"
"  ORDER BY i.n LIMIT %d) d ON true"
" ORDER BY a.id DESC NULLS LAST, a.application, d.n";

enum
{
	DRIFT_APPLICATION = 1, DRIFT_KIND, DRIFT_ITEM, DRIFT_DEVELOPMENT,
	DRIFT_PRODUCTION, DRIFT_AHEAD, DRIFT_APPLICATIONS, DRIFT_DIFFERENCES
};

static uint64 write_application(StringInfo page, const IenvRows *rows, uint64 first);
static void write_same(StringInfo page, const IenvRows *rows, uint64 same);

/*
 * Write the section.
 */
void
ienv_report_drift(IenvReport *report)
{
	StringInfo	page = &report->page;
	IenvRows	rows = ienv_read_rows(report, psprintf(drift, IENV_REPORT_LISTED, IENV_REPORT_LISTED));
	uint64		applications = 0;
	uint64		same = 0;

	ienv_html(page, "<section id='drift' aria-labelledby='drift-title'>\n"
			  "<h2 id='drift-title'>Drift</h2>\n"
			  "<p class='lead'>Where development and production of a live application are set differently,"
			  " and on which side that was changed last.</p>\n");
	if (rows.n == 0)
		ienv_html(page, "<p class='empty'>No application is live yet, so there is nothing to compare.</p>\n");
	for (uint64 i = 0; i < rows.n; applications++)
	{
		if (ienv_cell(&rows, i, DRIFT_KIND) != NULL)
			i = write_application(page, &rows, i);
		else
		{
			same++;
			i++;
		}
	}
	if (same > 0)
		write_same(page, &rows, same);
	ienv_html_more(page, ienv_cell_number(&rows, 0, DRIFT_APPLICATIONS),
				   applications, "live applications are not compared here",
				   "instance_env.instance_diff()");
	ienv_html(page, "</section>\n");
}

/*
 * The differences of the application whose first row this is.  Returns the
 * first row of the next one.
 */
static uint64
write_application(StringInfo page, const IenvRows *rows, uint64 first)
{
	const char *application = ienv_cell(rows, first, DRIFT_APPLICATION);
	uint64		i;

	ienv_html(page, "<h3><bdi>%s</bdi></h3>\n<table>\n<thead><tr><th scope='col'>Item</th>"
			  "<th scope='col'>Development</th><th scope='col'>Production</th>"
			  "<th scope='col'>Changed last in</th></tr></thead>\n<tbody>\n",
			  application);
	for (i = first; i < rows->n; i++)
	{
		if (strcmp(ienv_cell(rows, i, DRIFT_APPLICATION), application) != 0)
			break;
		ienv_html(page, "<tr><th scope='row'><bdi>%s</bdi><span class='soft'>%s</span></th>"
				  "<td data-label='Development'><code>%s</code></td><td data-label='Production'><code>%s</code></td>"
				  "<td data-label='Changed last in'>%s</td></tr>\n",
				  ienv_cell(rows, i, DRIFT_ITEM),
				  ienv_cell(rows, i, DRIFT_KIND),
				  ienv_cell(rows, i, DRIFT_DEVELOPMENT),
				  ienv_cell(rows, i, DRIFT_PRODUCTION),
				  ienv_cell(rows, i, DRIFT_AHEAD));
	}
	ienv_html(page, "</tbody>\n</table>\n");
	ienv_html_more(page, ienv_cell_number(rows, first, DRIFT_DIFFERENCES),
				   i - first, "differences", "instance_env.instance_diff()");
	return i;
}

/*
 * The applications without drift, in one sentence.
 */
static void
write_same(StringInfo page, const IenvRows *rows, uint64 same)
{
	const char *separator = "";

	ienv_html(page, "<p class='same'>");
	ienv_html_badge(page, "ok", "no drift");
	ienv_html(page, " in ");
	for (uint64 i = 0; i < rows->n; i++)
	{
		if (ienv_cell(rows, i, DRIFT_KIND) != NULL)
			continue;
		ienv_html(page, "%s<bdi>%s</bdi>", separator,
				  ienv_cell(rows, i, DRIFT_APPLICATION));
		separator = --same == 1 ? " and " : ", ";
	}
	ienv_html(page, ".</p>\n");
}
