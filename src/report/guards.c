/*-------------------------------------------------------------------------
 *
 * guards.c
 *	  The guarded tables, and what is wrong with their guards.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "report/report.h"

static void write_guard(StringInfo page, const IenvRows *rows, uint64 row);
static void write_problems(StringInfo page, char *problems);

/*
 * Read what the section and the summary show.  Whatever application the report
 * is about, its users can be in any table.
 */
void
ienv_read_guards(IenvReport *report)
{
	report->guards =
		ienv_read_rows(report,
					   psprintf("SELECT " IENV_REPORT_RELATION("g.relation") ","
								" g.instance_column, g.user_key,"
								" " IENV_REPORT_RELATION("g.user_table") ","
								" g.counted, g.whole, g.isolated, g.coded,"
								" pg_catalog.array_to_string(g.problems, pg_catalog.chr(31)),"
								" pg_catalog.count(*) OVER (),"
								" pg_catalog.count(*) FILTER (WHERE g.whole IS FALSE) OVER ()"
								" FROM instance_env.guards g"
								" ORDER BY g.whole NULLS FIRST, 1 LIMIT %d", IENV_REPORT_LISTED));
}

/*
 * Write the section.
 */
void
ienv_report_guards(IenvReport *report)
{
	StringInfo	page = &report->page;
	const IenvRows *rows = &report->guards;

	ienv_html(page, "<section id='guards' aria-labelledby='guards-title'>\n"
			  "<h2 id='guards-title'>Guards</h2>\n"
			  "<p class='lead'>The tables that obey the rules of the instances, and whether each guard has all it needs.</p>\n");
	if (rows->n == 0)
		ienv_html(page, "<p class='empty'>No table is guarded yet:"
				  " <code>SELECT * FROM instance_env.guard('users')</code> begins with the table of users.</p>\n");
	else
	{
		ienv_html(page, "<table class='guards'>\n<thead><tr><th scope='col'>Table</th><th scope='col'>Guard</th>"
				  "<th scope='col'>Instance column</th><th scope='col'>User key</th>"
				  "<th scope='col'>Isolated</th></tr></thead>\n<tbody>\n");
		for (uint64 i = 0; i < rows->n; i++)
			write_guard(page, rows, i);
		ienv_html(page, "</tbody>\n</table>\n");
		ienv_html_more(page, ienv_cell_number(rows, 0, GUARD_TOTAL), rows->n,
					   "tables", "instance_env.guards");
	}
	ienv_html(page, "</section>\n");
}

static void
write_guard(StringInfo page, const IenvRows *rows, uint64 row)
{
	const char *whole = ienv_cell(rows, row, GUARD_WHOLE);
	const char *users = ienv_cell(rows, row, GUARD_USERS);
	const char *isolated = ienv_cell(rows, row, GUARD_ISOLATED);

	ienv_html(page, "<tr><th scope='row'><bdi>%s</bdi><span class='soft'>",
			  ienv_cell(rows, row, GUARD_RELATION));
	if (ienv_cell_true(rows, row, GUARD_COUNTED))
		ienv_html(page, "counts users");
	else if (users != NULL)
		ienv_html(page, "data of <bdi>%s</bdi>", users);
	else
		ienv_html(page, "does not count users");
	ienv_html(page, "</span></th><td data-label='Guard'>");
	if (whole == NULL)
		ienv_html_badge(page, "warn", "not looked at");
	else if (whole[0] == 't')
		ienv_html_badge(page, "ok", "whole");
	else
		ienv_html_badge(page, "bad", "not whole");
	write_problems(page, ienv_cell(rows, row, GUARD_PROBLEMS));
	ienv_html(page, "</td><td data-label='Instance column'><bdi>%s</bdi></td>"
			  "<td data-label='User key'><bdi>%s</bdi>",
			  ienv_cell(rows, row, GUARD_INSTANCE),
			  ienv_cell(rows, row, GUARD_KEY));
	if (ienv_cell_true(rows, row, GUARD_CODED))
		ienv_html(page, "<span class='soft'>coded ids</span>");
	ienv_html(page, "</td><td data-label='Isolated'>%s</td></tr>\n", isolated);
}

/*
 * The problems of a guard, of which at most a few are listed: there may be one
 * for each partition.
 */
static void
write_problems(StringInfo page, char *problems)
{
	int			n = 0;

	if (problems == NULL || problems[0] == '\0')
		return;
	ienv_html(page, "<ul class='plainlist'>");
	for (char *problem = problems; problem != NULL;)
	{
		char	   *next = strchr(problem, 31);

		if (next != NULL)
			*next++ = '\0';
		if (n++ < IENV_REPORT_LATEST)
			ienv_html(page, "<li><bdi>%s</bdi></li>", problem);
		problem = next;
	}
	if (n > IENV_REPORT_LATEST)
		ienv_html(page, "<li>and %d more</li>", n - IENV_REPORT_LATEST);
	ienv_html(page, "</ul>");
}
