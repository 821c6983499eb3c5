/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Who has done what: promotions and the latest events.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "report/report.h"

/* Who that was: the role in effect, and who had logged in if that is another. */
#define WHO(t) \
	"CASE WHEN " t ".current_user_name OPERATOR(pg_catalog.=) " t ".session_user_name" \
	" THEN " t ".session_user_name::pg_catalog.text" \
	" ELSE pg_catalog.concat(" t ".session_user_name, ' as ', " t ".current_user_name) END"

/* Of a change of a promotion */
#define BEFORE "(c.value OPERATOR(pg_catalog.->) 'before')"
#define AFTER "(c.value OPERATOR(pg_catalog.->) 'after')"

/*
 * A row for each change of each promotion; a promotion that has changed
 * nothing else has one with nulls.
 */
static const char *const promotions =
"SELECT p.id, COALESCE(p.application, pg_catalog.concat('(dropped) ', p.application_id)),"
" " IENV_REPORT_TIME("p.promoted_at") ", " WHO("p") ", pg_catalog.host(p.client_address),"
" " IENV_REPORT_TIME("p.rolled_back_at") ", p.total, c.total,"
" c.value OPERATOR(pg_catalog.->>) 'step', c.value OPERATOR(pg_catalog.->>) 'item',"
" " IENV_REPORT_CHANGED(BEFORE, AFTER) ", " IENV_REPORT_CHANGED(AFTER, BEFORE)
" FROM (SELECT q.*, pg_catalog.count(*) OVER () AS total FROM instance_env.promotions q"
"  WHERE $1 IS NULL OR q.application_id OPERATOR(pg_catalog.=) $1"
"  ORDER BY q.id DESC LIMIT %d) p"
" LEFT JOIN LATERAL (SELECT e.value, e.n, pg_catalog.count(*) OVER () AS total"
"  FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(p.changes)"
"   OPERATOR(pg_catalog.=) 'array' THEN p.changes ELSE '[]' END) WITH ORDINALITY e (value, n)"
"  ORDER BY e.n LIMIT %d) c ON true"
" ORDER BY p.id DESC, c.n";

enum
{
	PROMOTION_ID = 1, PROMOTION_APPLICATION, PROMOTION_TIME, PROMOTION_WHO,
	PROMOTION_FROM, PROMOTION_ROLLED_BACK, PROMOTION_TOTAL, PROMOTION_CHANGES,
	PROMOTION_STEP, PROMOTION_ITEM, PROMOTION_BEFORE, PROMOTION_AFTER
};

static const char *const events =
"SELECT " IENV_REPORT_TIME("e.happened_at") ", " WHO("e") ", e.action,"
" e.application, e.type, e.item,"
" " IENV_REPORT_CHANGED("e.before", "e.after") ", " IENV_REPORT_CHANGED("e.after", "e.before")
" FROM instance_env.events e"
" WHERE $1 IS NULL OR e.application_id OPERATOR(pg_catalog.=) $1"
" ORDER BY e.id DESC LIMIT %d";

enum
{
	EVENT_TIME = 1, EVENT_WHO, EVENT_ACTION, EVENT_APPLICATION, EVENT_TYPE,
	EVENT_ITEM, EVENT_BEFORE, EVENT_AFTER
};

static uint64 write_promotion(StringInfo page, const IenvRows *rows, uint64 first);
static void write_change(StringInfo page, const char *before,
						 const char *after);

/*
 * Write the section about promotions.
 */
void
ienv_report_promotions(IenvReport *report)
{
	StringInfo	page = &report->page;
	IenvRows	rows = ienv_read_rows(report, psprintf(promotions, IENV_REPORT_LATEST, IENV_REPORT_LISTED));
	uint64		listed = 0;

	ienv_html(page, "<section id='promotions' aria-labelledby='promotions-title'>\n"
			  "<h2 id='promotions-title'>Promotions</h2>\n"
			  "<p class='lead'>Who made which application live, when, and what that changed. Times are in UTC.</p>\n");
	if (rows.n == 0)
		ienv_html(page, "<p class='empty'>Nothing has been promoted yet:"
				  " <code>SELECT * FROM instance_env.promote('shop')</code> does so when production is ready.</p>\n");
	else
	{
		ienv_html(page, "<table class='promotions'>\n<thead><tr><th scope='col'>Application</th><th scope='col'>When</th>"
				  "<th scope='col'>Who</th><th scope='col'>Changes</th></tr></thead>\n<tbody>\n");
		for (uint64 i = 0; i < rows.n; listed++)
			i = write_promotion(page, &rows, i);
		ienv_html(page, "</tbody>\n</table>\n");
		ienv_html_more(page, ienv_cell_number(&rows, 0, PROMOTION_TOTAL),
					   listed, "that are older", "instance_env.promotions");
	}
	ienv_html(page, "</section>\n");
}

/*
 * The promotion whose first row this is.  Returns the first row of the next
 * one.
 */
static uint64
write_promotion(StringInfo page, const IenvRows *rows, uint64 first)
{
	int64		id = ienv_cell_number(rows, first, PROMOTION_ID);
	int64		changes = ienv_cell_number(rows, first, PROMOTION_CHANGES);
	const char *from = ienv_cell(rows, first, PROMOTION_FROM);
	const char *rolled_back = ienv_cell(rows, first, PROMOTION_ROLLED_BACK);
	uint64		i = first;

	ienv_html(page, "<tr><th scope='row'><bdi>%s</bdi></th><td data-label='When'>%s",
			  ienv_cell(rows, first, PROMOTION_APPLICATION),
			  ienv_cell(rows, first, PROMOTION_TIME));
	if (rolled_back != NULL)
		ienv_html(page, "<span class='soft'>rolled back %s</span>",
				  rolled_back);
	ienv_html(page, "</td><td data-label='Who'><bdi>%s</bdi>",
			  ienv_cell(rows, first, PROMOTION_WHO));
	if (from != NULL)
		ienv_html(page, "<span class='soft'>from %s</span>", from);
	ienv_html(page, "</td><td data-label='Changes'><details><summary>%d %s</summary><ul class='plainlist'>",
			  (int) changes, changes == 1 ? "change" : "changes");
	for (; i < rows->n && ienv_cell_number(rows, i, PROMOTION_ID) == id; i++)
	{
		const char *step = ienv_cell(rows, i, PROMOTION_STEP);
		const char *item = ienv_cell(rows, i, PROMOTION_ITEM);

		if (step == NULL)
			continue;
		ienv_html(page, "<li><bdi>%s</bdi>", step);
		if (item != NULL)
			ienv_html(page, " <b><bdi>%s</bdi></b>", item);
		write_change(page, ienv_cell(rows, i, PROMOTION_BEFORE),
					 ienv_cell(rows, i, PROMOTION_AFTER));
		ienv_html(page, "</li>");
	}
	if (changes > (int64) (i - first))
		ienv_html(page, "<li>and %d more</li>", (int) (changes - (int64) (i - first)));
	ienv_html(page, "</ul></details></td></tr>\n");
	return i;
}

/*
 * Write the section about the audit log.
 */
void
ienv_report_events(IenvReport *report)
{
	StringInfo	page = &report->page;
	IenvRows	rows = ienv_read_rows(report, psprintf(events, IENV_REPORT_LATEST));

	ienv_html(page, "<section id='events' aria-labelledby='events-title'>\n"
			  "<h2 id='events-title'>Latest events</h2>\n"
			  "<p class='lead'>The last %d entries of the audit log, view <code>instance_env.events</code>. Times are in UTC.</p>\n",
			  (int) Max(rows.n, 1));
	if (rows.n == 0)
		ienv_html(page, "<p class='empty'>Nothing has happened yet.</p>\n");
	else
	{
		ienv_html(page, "<table class='events'>\n<thead><tr><th scope='col'>When</th><th scope='col'>Who</th>"
				  "<th scope='col'>What</th><th scope='col'>Where</th></tr></thead>\n<tbody>\n");
		for (uint64 i = 0; i < rows.n; i++)
		{
			const char *item = ienv_cell(&rows, i, EVENT_ITEM);
			const char *application = ienv_cell(&rows, i, EVENT_APPLICATION);
			const char *type = ienv_cell(&rows, i, EVENT_TYPE);

			ienv_html(page, "<tr><td>%s</td><td data-label='Who'><bdi>%s</bdi></td><th scope='row'><b>%s</b>",
					  ienv_cell(&rows, i, EVENT_TIME),
					  ienv_cell(&rows, i, EVENT_WHO),
					  ienv_cell(&rows, i, EVENT_ACTION));
			if (item != NULL)
				ienv_html(page, " <bdi>%s</bdi>", item);
			ienv_html(page, "<span class='small'>");
			write_change(page, ienv_cell(&rows, i, EVENT_BEFORE),
						 ienv_cell(&rows, i, EVENT_AFTER));
			ienv_html(page, "</span></th><td data-label='Where'><bdi>%s</bdi>",
					  application);
			if (type != NULL)
				ienv_html(page, "<span class='soft'>%s</span>", type);
			ienv_html(page, "</td></tr>\n");
		}
		ienv_html(page, "</tbody>\n</table>\n");
	}
	ienv_html(page, "</section>\n");
}

/*
 * A value before and after, of which either can be missing.
 */
static void
write_change(StringInfo page, const char *before, const char *after)
{
	if (before != NULL && after != NULL)
		ienv_html(page, " <code>%s</code> &#x2192; <code>%s</code>", before, after);
	else if (after != NULL)
		ienv_html(page, " <code>%s</code>", after);
	else if (before != NULL)
		ienv_html(page, " was <code>%s</code>", before);
}
