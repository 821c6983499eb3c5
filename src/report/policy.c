/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  The policies of both types of instance side by side, and which instances
 *	  have others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "report/report.h"

static const char *const defaults =
"SELECT p.name, pg_catalog.max(p.description),"
" pg_catalog.max(" IENV_REPORT_VALUE("p.value") ") FILTER (WHERE p.instance_type OPERATOR(pg_catalog.=) 'development'),"
" pg_catalog.bool_or(p.overridable) FILTER (WHERE p.instance_type OPERATOR(pg_catalog.=) 'development'),"
" pg_catalog.max(" IENV_REPORT_VALUE("p.value") ") FILTER (WHERE p.instance_type OPERATOR(pg_catalog.=) 'production'),"
" pg_catalog.bool_or(p.overridable) FILTER (WHERE p.instance_type OPERATOR(pg_catalog.=) 'production')"
" FROM instance_env.policy_defaults p GROUP BY p.name ORDER BY p.name LIMIT 200";

static const char *const overrides =
"SELECT p.application, p.type, p.name, " IENV_REPORT_VALUE("p.value") ","
" " IENV_REPORT_VALUE("d.value") ", pg_catalog.count(*) OVER ()"
" FROM instance_env.policies p LEFT JOIN instance_env.policy_defaults d"
"  ON d.instance_type OPERATOR(pg_catalog.=) p.type"
"  AND d.name OPERATOR(pg_catalog.=) p.name"
" WHERE p.source OPERATOR(pg_catalog.=) 'override'"
"  AND ($1 IS NULL OR p.instance_id OPERATOR(pg_catalog.=) ANY (ARRAY[$2, $3]))"
" ORDER BY p.application, p.type, p.name LIMIT %d";

static void write_defaults(IenvReport *report);
static void write_value(StringInfo page, const char *label, const char *value,
						bool overridable);
static void write_overrides(IenvReport *report);

/*
 * Write the section.
 */
void
ienv_report_policy(IenvReport *report)
{
	ienv_html(&report->page, "<section id='policy' aria-labelledby='policy-title'>\n"
			  "<h2 id='policy-title'>Policy</h2>\n"
			  "<p class='lead'>What applies to each type of instance, unless an instance says otherwise;"
			  " &#x2013; means that nothing applies.</p>\n");
	write_defaults(report);
	write_overrides(report);
	ienv_html(&report->page, "</section>\n");
}

static void
write_defaults(IenvReport *report)
{
	StringInfo	page = &report->page;
	IenvRows	rows = ienv_read_rows(report, defaults);

	ienv_html(page, "<table class='policy'>\n<thead><tr><th scope='col'>Policy</th><th scope='col'>Development</th>"
			  "<th scope='col'>Production</th></tr></thead>\n<tbody>\n");
	for (uint64 i = 0; i < rows.n; i++)
	{
		ienv_html(page, "<tr><th scope='row'><bdi>%s</bdi><span class='soft'><bdi>%s</bdi></span></th>",
				  ienv_cell(&rows, i, 1), ienv_cell(&rows, i, 2));
		write_value(page, "Development", ienv_cell(&rows, i, 3),
					ienv_cell_true(&rows, i, 4));
		write_value(page, "Production", ienv_cell(&rows, i, 5),
					ienv_cell_true(&rows, i, 6));
		ienv_html(page, "</tr>\n");
	}
	ienv_html(page, "</tbody>\n</table>\n");
}

static void
write_value(StringInfo page, const char *label, const char *value,
			bool overridable)
{
	ienv_html(page, "<td data-label='%s'>", label);
	if (value == NULL)
		ienv_html(page, "&#x2013;");
	else
		ienv_html(page, "<code>%s</code>", value);
	if (overridable)
		ienv_html(page, "<span class='soft'>can be overridden</span>");
	ienv_html(page, "</td>");
}

static void
write_overrides(IenvReport *report)
{
	StringInfo	page = &report->page;
	IenvRows	rows = ienv_read_rows(report, psprintf(overrides, IENV_REPORT_LISTED));

	ienv_html(page, "<h3>What instances override</h3>\n");
	if (rows.n == 0)
	{
		ienv_html(page, "<p class='empty'>Nothing: the defaults above apply everywhere.</p>\n");
		return;
	}
	ienv_html(page, "<table>\n<thead><tr><th scope='col'>Application</th><th scope='col'>Instance</th>"
			  "<th scope='col'>Policy</th><th scope='col'>Value</th><th scope='col'>Default</th></tr></thead>\n<tbody>\n");
	for (uint64 i = 0; i < rows.n; i++)
		ienv_html(page, "<tr><th scope='row'><bdi>%s</bdi></th><td data-label='Instance'>%s</td>"
				  "<td data-label='Policy'><bdi>%s</bdi></td><td data-label='Value'><code>%s</code></td>"
				  "<td data-label='Default'><code>%s</code></td></tr>\n",
				  ienv_cell(&rows, i, 1), ienv_cell(&rows, i, 2),
				  ienv_cell(&rows, i, 3), ienv_cell(&rows, i, 4),
				  ienv_cell(&rows, i, 5));
	ienv_html(page, "</tbody>\n</table>\n");
	ienv_html_more(page, ienv_cell_number(&rows, 0, 6), rows.n, "overrides",
				   "instance_env.policies");
}
