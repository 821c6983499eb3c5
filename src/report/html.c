/*-------------------------------------------------------------------------
 *
 * html.c
 *	  Text as HTML.
 *
 * A page is plain ASCII, with everything else as numeric character references.
 * So it is right in whatever encoding a client receives and stores it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "base/base.h"
#include "report/report.h"

/*
 * How many bytes of a value are shown.  Names of applications, the longest
 * that matter, are shorter.
 */
#define MAX_SHOWN	2100

/* Shown instead of what is no character */
#define REPLACEMENT	0xFFFD

static void append_text(StringInfo page, const char *text);
static void append_utf8(StringInfo page, const unsigned char *text,
						int length);
static void append_character(StringInfo page, pg_wchar c);

/*
 * Append to a page.  In the format, "%s" stands for a text, which is escaped
 * and can be NULL, "%d" for an integer; and "%%" for a percent sign.  There is
 * no way for a text to become markup.
 */
void
ienv_html(StringInfo page, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	for (const char *p = format; *p != '\0'; p++)
	{
		if (*p != '%')
		{
			appendStringInfoChar(page, *p);
			continue;
		}
		switch (*++p)
		{
			case 's':
				append_text(page, va_arg(args, const char *));
				break;
			case 'd':
				appendStringInfo(page, "%d", va_arg(args, int));
				break;
			case '%':
				appendStringInfoChar(page, '%');
				break;
			default:
				elog(ERROR, "unexpected format: %s", format);
		}
	}
	va_end(args);
}

/*
 * Append how much is not listed, if anything, and where it is.
 */
void
ienv_html_more(StringInfo page, int64 total, uint64 listed,
			   const char *things, const char *where)
{
	if (total <= (int64) listed)
		return;
	ienv_html(page, "<p class='more'>%s more %s: see <code>%s</code>.</p>\n",
			  psprintf(INT64_FORMAT, total - (int64) listed), things, where);
}

/*
 * Append a word with an icon: kind is "ok", "warn", "bad" or "plain".
 */
void
ienv_html_badge(StringInfo page, const char *kind, const char *word)
{
	const char *icon = strcmp(kind, "ok") == 0 ? "&#x2713;" :
	strcmp(kind, "bad") == 0 ? "&#x2717;" :
	strcmp(kind, "warn") == 0 ? "!" : "&#x2013;";

	ienv_html(page, "<span class='badge %s'><span class='icon' aria-hidden='true'>",
			  kind);
	appendStringInfoString(page, icon);
	ienv_html(page, "</span> %s</span>", word);
}

/*
 * Append a text of the server's encoding, escaped, and clipped if it is very
 * long.  What cannot be converted becomes a replacement character.
 */
static void
append_text(StringInfo page, const char *text)
{
	int			encoding = GetDatabaseEncoding();
	int			length;
	int			shown;
	Oid			proc = InvalidOid;

	if (text == NULL)
	{
		appendStringInfoString(page, "&#x2013;");
		return;
	}
	length = strlen(text);
	shown = length <= MAX_SHOWN ? length : pg_mbcliplen(text, length, MAX_SHOWN);
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		append_utf8(page, (const unsigned char *) text, shown);
	else
	{
		proc = FindDefaultConversionProc(encoding, PG_UTF8);
		for (int done = 0; done < shown;)
		{
			unsigned char buffer[MAX_SHOWN * MAX_CONVERSION_GROWTH + 1];
			int			converted = 0;

			if (OidIsValid(proc))
				converted =
					pg_do_encoding_conversion_buf(proc, encoding, PG_UTF8,
												  unconstify(unsigned char *, (const unsigned char *) text +done),
												  shown - done, buffer,
												  sizeof(buffer), true);
			if (converted > 0)
				append_utf8(page, buffer, strlen((char *) buffer));
			done += converted;
			if (done < shown)
			{
				if (IS_HIGHBIT_SET(text[done]))
					append_character(page, REPLACEMENT);
				else
					append_character(page, (unsigned char) text[done]);
				done += Min(pg_mblen(text +done), shown - done);
			}
		}
	}
	if (shown < length)
		append_character(page, 0x2026);
}

/*
 * Append what should be UTF-8, and in a database without an encoding need not
 * be.
 */
static void
append_utf8(StringInfo page, const unsigned char *text, int length)
{
	for (int i = 0; i < length;)
	{
		int			n = pg_utf_mblen(text +i);

		if (n > length - i || !pg_utf8_islegal(text +i, n))
		{
			append_character(page, REPLACEMENT);
			i++;
			continue;
		}
		append_character(page, utf8_to_unicode(text +i));
		i += n;
	}
}

/*
 * Append a character.  What HTML has no reference for is shown as a symbol of
 * its own: control characters by their pictures, others by the replacement
 * character.
 */
static void
append_character(StringInfo page, pg_wchar c)
{
	if (c == '<')
		appendStringInfoString(page, "&lt;");
	else if (c == '>')
		appendStringInfoString(page, "&gt;");
	else if (c == '&')
		appendStringInfoString(page, "&amp;");
	else if (c == '"')
		appendStringInfoString(page, "&quot;");
	else if (c == 39)			/* an apostrophe */
		appendStringInfoString(page, "&#39;");
	else if ((c >= ' ' && c < 0x7F) || c == '\n' || c == '\t')
		appendStringInfoChar(page, (char) c);
	else if (c < ' ')
		appendStringInfo(page, "&#x%X;", 0x2400 + (unsigned int) c);
	else if (c == 0x7F)
		appendStringInfoString(page, "&#x2421;");
	else if (c < 0xA0 || (c >= 0xFDD0 && c <= 0xFDEF) ||
			 (c & 0xFFFE) == 0xFFFE)
		appendStringInfo(page, "&#x%X;", REPLACEMENT);
	else
		appendStringInfo(page, "&#x%X;", (unsigned int) c);
}
