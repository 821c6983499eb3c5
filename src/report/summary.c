/*-------------------------------------------------------------------------
 *
 * summary.c
 *	  What needs attention, first of all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "report/report.h"

/* How many of each kind are named */
#define NAMED	5

static void write_tile(StringInfo page, int64 number, const char *kind,
					   const char *section, const char *what);
static void write_notes(IenvReport *report);
static uint64 note_usage(StringInfo page, const IenvRows *rows);
static uint64 note_guards(StringInfo page, const IenvRows *rows);
static uint64 note_readiness(StringInfo page, const IenvRows *rows,
							 bool active);

/*
 * Write the section.  The others' rows have been read.
 */
void
ienv_report_summary(IenvReport *report)
{
	StringInfo	page = &report->page;
	int64		near = ienv_cell_number(&report->usage, 0, USAGE_ALL_NEAR);
	int64		refused = ienv_cell_number(&report->usage, 0, USAGE_ALL_REFUSED);
	int64		broken = ienv_cell_number(&report->guards, 0, GUARD_ALL_BROKEN);
	int64		failing = ienv_cell_number(&report->readiness, 0, READY_ALL_FAILING);
	int64		blocked = ienv_cell_number(&report->readiness, 0, READY_ALL_BLOCKED);

	ienv_html(page, "<section id='summary' aria-labelledby='summary-title'>\n"
			  "<h2 id='summary-title'>Summary</h2>\n<ul class='tiles'>\n");
	write_tile(page, ienv_cell_number(&report->readiness, 0, READY_ALL_ACTIVE),
			   "plain", "readiness", "live in production");
	write_tile(page, near, near > 0 ? "warn" : "plain", "usage",
			   "near or at their cap");
	write_tile(page, refused, refused > 0 ? "bad" : "plain", "usage",
			   "sign-ups refused today");
	write_tile(page, broken, broken > 0 ? "bad" : "plain", "guards",
			   "guards that are not whole");
	write_tile(page, failing, failing > 0 ? "bad" : "plain", "readiness",
			   "live with failed checks");
	write_tile(page, blocked, "plain", "readiness", "not ready for production");
	ienv_html(page, "</ul>\n");
	write_notes(report);
	ienv_html(page, "</section>\n");
}

static void
write_tile(StringInfo page, int64 number, const char *kind,
		   const char *section, const char *what)
{
	ienv_html(page, "<li class='%s'><b>%s</b> <a href='#%s'>%s</a></li>\n",
			  kind, psprintf(INT64_FORMAT, number), section, what);
}

/*
 * What needs attention, in words, the most urgent first.
 */
static void
write_notes(IenvReport *report)
{
	StringInfo	page = &report->page;
	int			before;

	ienv_html(page, "<h3>What needs attention</h3>\n");
	before = page->len;
	ienv_html(page, "<ul class='notes'>\n");
	if (note_guards(page, &report->guards) +
		note_readiness(page, &report->readiness, true) +
		note_usage(page, &report->usage) +
		note_readiness(page, &report->readiness, false) > 0)
		ienv_html(page, "</ul>\n");
	else
	{
		page->len = before;
		page->data[before] = '\0';
		ienv_html(page, "<p class='empty'>Nothing: no instance is near its cap, no guard is broken,"
				  " and nothing waits for production.</p>\n");
	}
}

/*
 * Instances that have refused users, or are about to.
 */
static uint64
note_usage(StringInfo page, const IenvRows *rows)
{
	uint64		n = 0;

	for (uint64 i = 0; i < rows->n; i++)
	{
		const char *state = ienv_cell(rows, i, USAGE_STATE);
		int64		refused = ienv_cell_number(rows, i, USAGE_REFUSED_TODAY);
		bool		full = strcmp(state, "full") == 0;
		bool		soft = ienv_has_soft_cap(rows, i);

		if (!full && strcmp(state, "warning") != 0 && refused == 0)
			continue;
		if (n++ >= NAMED)
			continue;
		ienv_html(page, "<li>");
		ienv_html_badge(page, (full && !soft) || refused > 0 ? "bad" : "warn",
						full ? "full" : "nearly full");
		ienv_html(page, " <span class='what'>Development of <b><bdi>%s</bdi></b> holds %s of %s users in <bdi>%s</bdi>",
				  ienv_cell(rows, i, USAGE_APPLICATION),
				  ienv_cell(rows, i, USAGE_USERS),
				  ienv_cell(rows, i, USAGE_CAP),
				  ienv_cell(rows, i, USAGE_RELATION));
		if (soft)
			ienv_html(page, ", its cap is soft");
		if (refused > 0)
			ienv_html(page, "; %s %s refused today",
					  psprintf(INT64_FORMAT, refused),
					  refused == 1 ? "sign-up was" : "sign-ups were");
		ienv_html(page, "</span></li>\n");
	}
	if (n > NAMED)
		ienv_html(page, "<li><span class='what'>and more: see <a href='#usage'>Usage</a></span></li>\n");
	return n;
}

/*
 * Guards that are not whole.
 */
static uint64
note_guards(StringInfo page, const IenvRows *rows)
{
	uint64		n = 0;

	for (uint64 i = 0; i < rows->n; i++)
	{
		const char *whole = ienv_cell(rows, i, GUARD_WHOLE);

		if (whole == NULL || whole[0] == 't')
			continue;
		if (n++ >= NAMED)
			continue;
		ienv_html(page, "<li>");
		ienv_html_badge(page, "bad", "not whole");
		ienv_html(page, " <span class='what'>The guard of <b><bdi>%s</bdi></b> is <a href='#guards'>not whole</a></span></li>\n",
				  ienv_cell(rows, i, GUARD_RELATION));
	}
	if (n > NAMED)
		ienv_html(page, "<li><span class='what'>and more: see <a href='#guards'>Guards</a></span></li>\n");
	return n;
}

/*
 * Production instances that are active, or those that are not, with failed
 * checks.
 */
static uint64
note_readiness(StringInfo page, const IenvRows *rows, bool active)
{
	uint64		n = 0;

	for (uint64 i = 0; i < rows->n; i++)
	{
		int			errors = (int) ienv_cell_number(rows, i, READY_ERRORS);

		if (ienv_cell_true(rows, i, READY_READY) ||
			(strcmp(ienv_cell(rows, i, READY_STATUS), "active") == 0) != active)
			continue;
		if (n++ >= NAMED)
			continue;
		ienv_html(page, "<li>");
		ienv_html_badge(page, active ? "bad" : "plain",
						active ? "failed check" : "not ready");
		ienv_html(page, " <span class='what'>%s of <b><bdi>%s</bdi></b> %s: <a href='#readiness'>%d %s</a></span></li>\n",
				  "Production", ienv_cell(rows, i, READY_APPLICATION),
				  active ? "is live" : "cannot be promoted yet",
				  errors, errors == 1 ? "check fails" : "checks fail");
	}
	if (n > NAMED)
		ienv_html(page, "<li><span class='what'>and more: see <a href='#readiness'>Readiness</a></span></li>\n");
	return n;
}
