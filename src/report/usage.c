/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  How full development instances are, what they have refused, and how many
 *	  users production has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "report/report.h"

static void write_banner(IenvReport *report);
static void write_development(IenvReport *report);
static void write_row(StringInfo page, const IenvRows *rows, uint64 row);
static void write_bar(StringInfo page, const IenvRows *rows, uint64 row);
static void write_production(IenvReport *report);
static uint64 count_of_type(const IenvRows *rows, const char *type);
static int64 total_of_type(const IenvRows *rows, const char *type);
static bool is_of_type(const IenvRows *rows, uint64 row, const char *type);

/*
 * Of each type the instances that need attention most: refused sign-ups and
 * full ones first.  The numbers of all are counted before the rest is cut
 * off, so the view is read once.  Of production, only instances with users.
 */
static const char *const usage =
"SELECT s.application, " IENV_REPORT_RELATION("s.relation") ", s.type,"
" " IENV_REPORT_NUMBER("s.users") ", s.estimated,"
" " IENV_REPORT_NUMBER("s.user_cap") ", s.cap_mode,"
" pg_catalog.round(LEAST(s.percent, 999999))::integer, s.state,"
" s.refused, s.refused_today, " IENV_REPORT_TIME("s.last_refused_at") ","
" s.soft_deletion,"
" (SELECT pg_catalog.string_agg(pg_catalog.round(LEAST(e.value::numeric, 999999))::pg_catalog.text, ' ')"
"  FROM instance_env.policies p, LATERAL pg_catalog.jsonb_array_elements("
"   CASE WHEN pg_catalog.jsonb_typeof(p.value) OPERATOR(pg_catalog.=) 'array' THEN p.value ELSE '[]' END)"
"   WITH ORDINALITY e (value, n)"
"  WHERE p.instance_id OPERATOR(pg_catalog.=) s.instance_id"
"   AND p.name OPERATOR(pg_catalog.=) 'user_cap_thresholds'"
"   AND e.n OPERATOR(pg_catalog.<=) 8"
"   AND CASE WHEN pg_catalog.jsonb_typeof(e.value) OPERATOR(pg_catalog.=) 'number'"
"     THEN e.value::numeric OPERATOR(pg_catalog.>=) 0 END),"
" (SELECT p.value OPERATOR(pg_catalog.#>>) '{}' FROM instance_env.policies p"
"  WHERE p.instance_id OPERATOR(pg_catalog.=) s.instance_id"
"   AND p.name OPERATOR(pg_catalog.=) 'banner'"
"   AND p.source OPERATOR(pg_catalog.=) 'override'),"
" s.total, s.near, s.all_refused"
" FROM (SELECT u.*, pg_catalog.count(*) OVER (PARTITION BY u.type) AS total,"
"   pg_catalog.count(*) FILTER (WHERE u.state OPERATOR(pg_catalog.=) ANY ('{warning, full}')) OVER () AS near,"
"   pg_catalog.sum(u.refused_today) OVER () AS all_refused,"
"   pg_catalog.row_number() OVER (PARTITION BY u.type ORDER BY"
"    pg_catalog.array_position('{full, warning, unknown}', u.state), COALESCE(u.refused_today, 0) DESC,"
"    u.percent DESC NULLS LAST, u.users DESC NULLS LAST, u.application,"
"    u.relation::pg_catalog.oid) AS place"
"  FROM instance_env.usage u"
"  WHERE ($1 IS NULL OR u.instance_id OPERATOR(pg_catalog.=) ANY (ARRAY[$2, $3]))"
"   AND (u.type OPERATOR(pg_catalog.=) 'development' OR u.users OPERATOR(pg_catalog.>) 0)) s"
" WHERE s.place OPERATOR(pg_catalog.<=) %d ORDER BY s.type, s.place";

/*
 * Read what the section and the summary show.
 */
void
ienv_read_usage(IenvReport *report)
{
	report->usage = ienv_read_rows(report, psprintf(usage, IENV_REPORT_LISTED));
}

/*
 * Write the section.
 */
void
ienv_report_usage(IenvReport *report)
{
	StringInfo	page = &report->page;

	ienv_html(page, "<section id='usage' aria-labelledby='usage-title'>\n"
			  "<h2 id='usage-title'>Usage</h2>\n"
			  "<p class='lead'>How many users each instance has. Development refuses users beyond its cap, or admits them with a"
			  " warning if the cap is soft; a mark on a bar is a threshold that is announced.</p>\n"
			  "<h3>Development</h3>\n");
	write_banner(report);
	write_development(report);
	write_production(report);
	ienv_html(page, "</section>\n");
}

/*
 * The banner of development instances, as the policy has it: that of the only
 * instance, or the default.
 */
static void
write_banner(IenvReport *report)
{
	IenvRows	banner = ienv_read_rows(report,
										"SELECT COALESCE((SELECT p.value FROM instance_env.policies p"
										"  WHERE p.instance_id OPERATOR(pg_catalog.=) $2"
										"   AND p.name OPERATOR(pg_catalog.=) 'banner'), d.value)"
										"   OPERATOR(pg_catalog.#>>) '{}'"
										" FROM instance_env.policy_defaults d"
										" WHERE d.instance_type OPERATOR(pg_catalog.=) 'development'"
										"  AND d.name OPERATOR(pg_catalog.=) 'banner'");
	char	   *text = banner.n > 0 ? ienv_cell(&banner, 0, 1) : NULL;

	if (text !=NULL && text[0] != '\0')
		ienv_html(&report->page, "<p class='banner' id='banner'><b>Development</b> <bdi>%s</bdi></p>\n",
				  text);
}

/*
 * Is the cap of this development instance one that refuses nobody?
 */
bool
ienv_has_soft_cap(const IenvRows *rows, uint64 row)
{
	const char *mode = ienv_cell(rows, row, USAGE_MODE);

	return mode != NULL && strcmp(mode, "soft") == 0;
}

static void
write_development(IenvReport *report)
{
	StringInfo	page = &report->page;
	const IenvRows *rows = &report->usage;

	if (count_of_type(rows, "development") == 0)
	{
		ienv_html(page, "<p class='empty'>No table counts users yet. As soon as one is guarded, for example by"
				  " <code>SELECT instance_env.guard('users')</code>, its users are shown here.</p>\n");
		return;
	}
	ienv_html(page, "<table class='usage'>\n<thead><tr><th scope='col'>Application</th>"
			  "<th scope='col'>Table</th><th scope='col'>Users</th><th scope='col'>Refused</th></tr></thead>\n<tbody>\n");
	for (uint64 i = 0; i < rows->n; i++)
		if (is_of_type(rows, i, "development"))
			write_row(page, rows, i);
	ienv_html(page, "</tbody>\n</table>\n");
	ienv_html_more(page, total_of_type(rows, "development"),
				   count_of_type(rows, "development"),
				   "that are less full", "instance_env.usage");
}

/*
 * A development instance and a table.
 */
static void
write_row(StringInfo page, const IenvRows *rows, uint64 row)
{
	const char *state = ienv_cell(rows, row, USAGE_STATE);
	const char *banner = ienv_cell(rows, row, USAGE_BANNER);
	const char *marker = ienv_cell(rows, row, USAGE_SOFT_DELETION);
	const char *refused = ienv_cell(rows, row, USAGE_REFUSED);
	bool		soft = ienv_has_soft_cap(rows, row);

	ienv_html(page, "<tr><th scope='row'><bdi>%s</bdi>",
			  ienv_cell(rows, row, USAGE_APPLICATION));
	if (banner != NULL && banner[0] != '\0')
		ienv_html(page, "<span class='soft'><bdi>%s</bdi></span>", banner);
	ienv_html(page, "</th><td data-label='Table'><bdi>%s</bdi>",
			  ienv_cell(rows, row, USAGE_RELATION));
	if (marker != NULL)
		ienv_html(page, "<span class='soft'>counts also what <bdi>%s</bdi> marks as deleted</span>",
				  marker);
	ienv_html(page, "</td><td>");
	if (strcmp(state, "unknown") == 0)
		ienv_html(page, "Users cannot be counted now");
	else
	{
		ienv_html(page, "%s of %s", ienv_cell(rows, row, USAGE_USERS),
				  ienv_cell(rows, row, USAGE_CAP));
		ienv_html(page, ", %s%%%s ", ienv_cell(rows, row, USAGE_PERCENT),
				  soft ? ", soft cap" : "");
		if (strcmp(state, "full") == 0)
			ienv_html_badge(page, soft ? "warn" : "bad", "full");
		else if (strcmp(state, "warning") == 0)
			ienv_html_badge(page, "warn", "nearly full");
		write_bar(page, rows, row);
	}
	ienv_html(page, "</td><td data-label='Refused'>");
	if (refused == NULL)
		ienv_html(page, "not known");
	else if (strcmp(refused, "0") == 0)
		ienv_html(page, "none");
	else
		ienv_html(page, "<b>%s today</b>, %s in all<span class='soft'>last at %s UTC</span>",
				  ienv_cell(rows, row, USAGE_REFUSED_TODAY), refused,
				  ienv_cell(rows, row, USAGE_LAST_REFUSED));
	ienv_html(page, "</td></tr>\n");
}

/*
 * A bar, for the eye only: the text beside it says the same.  It reaches to
 * the cap, or further where a soft cap is exceeded or a threshold is above it.
 */
static void
write_bar(StringInfo page, const IenvRows *rows, uint64 row)
{
	const char *state = ienv_cell(rows, row, USAGE_STATE);
	const char *thresholds = ienv_cell(rows, row, USAGE_THRESHOLDS);
	int			percent = (int) ienv_cell_number(rows, row, USAGE_PERCENT);
	int			scale = Max(100, percent);
	char	   *end;

	for (const char *p = thresholds; p != NULL && *p != '\0'; p = end)
		scale = Max(scale, (int) strtol(p, &end, 10));
	ienv_html(page, "<span class='bar%s' aria-hidden='true'><span style='width:%d%%'></span>",
			  strcmp(state, "ok") == 0 ? "" :
			  strcmp(state, "warning") == 0 || ienv_has_soft_cap(rows, row) ? " at-warn" : " at-bad",
			  (int) ((int64) percent * 100 / scale));
	for (const char *p = thresholds; p != NULL && *p != '\0'; p = end)
		ienv_html(page, "<i style='left:%d%%'></i>",
				  (int) ((int64) strtol(p, &end, 10) * 100 / scale));
	ienv_html(page, "</span>");
}

/*
 * Production has no cap, so its users are only estimated.
 */
static void
write_production(IenvReport *report)
{
	StringInfo	page = &report->page;
	const IenvRows *rows = &report->usage;

	if (count_of_type(rows, "production") == 0)
		return;
	ienv_html(page, "<h3>Production</h3>\n<table>\n<thead><tr><th scope='col'>Application</th>"
			  "<th scope='col'>Table</th><th scope='col'>Users</th></tr></thead>\n<tbody>\n");
	for (uint64 i = 0; i < rows->n; i++)
		if (is_of_type(rows, i, "production"))
			ienv_html(page, "<tr><th scope='row'><bdi>%s</bdi></th><td data-label='Table'><bdi>%s</bdi></td>"
					  "<td data-label='Users'>%s%s</td></tr>\n",
					  ienv_cell(rows, i, USAGE_APPLICATION),
					  ienv_cell(rows, i, USAGE_RELATION),
					  ienv_cell_true(rows, i, USAGE_ESTIMATED) ? "about " : "",
					  ienv_cell(rows, i, USAGE_USERS));
	ienv_html(page, "</tbody>\n</table>\n");
	ienv_html_more(page, total_of_type(rows, "production"),
				   count_of_type(rows, "production"), "with fewer users",
				   "instance_env.usage");
}

static uint64
count_of_type(const IenvRows *rows, const char *type)
{
	uint64		n = 0;

	for (uint64 i = 0; i < rows->n; i++)
		n += is_of_type(rows, i, type);
	return n;
}

static int64
total_of_type(const IenvRows *rows, const char *type)
{
	for (uint64 i = 0; i < rows->n; i++)
		if (is_of_type(rows, i, type))
			return ienv_cell_number(rows, i, USAGE_TOTAL);
	return 0;
}

static bool
is_of_type(const IenvRows *rows, uint64 row, const char *type)
{
	return strcmp(ienv_cell(rows, row, USAGE_TYPE), type) == 0;
}
