/*-------------------------------------------------------------------------
 *
 * reference.c
 *	  References to secrets: what says where a secret is kept.
 *
 * A reference has a form of its own, which a secret has not: a scheme in lower
 * case, a colon, and a name or a path, such as "env:GOOGLE_SECRET" or
 * "op://shop/google/secret".  The scheme is for the application to resolve;
 * none of them means anything here, except those that announce the secret
 * itself, which are refused.  So is a secret behind a scheme: one in a form
 * that base/secret_form.c knows, and a long run of letters and digits that is
 * not made of words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/base.h"
#include "config/config.h"
#include "registry/registry.h"

#define LOWER		"abcdefghijklmnopqrstuvwxyz"
#define UPPER		"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS		"0123456789"
#define HEX_DIGITS	DIGITS "abcdefABCDEF"

/* A run of so many letters and digits that are mixed is no word */
#define MIN_RUN		24

/* The average length of words, and of digits between them, is at least this ... */
#define MIN_WORD	4

/* ... where capitals do not show where words begin, of several words in one */
#define MIN_WORDS	6
#define MAX_WORDS	23

/* Ids in the paths of secret stores are no longer than this */
#define MAX_ID		32

/* The length of an AWS secret access key, which is in base64 */
#define AWS_SECRET	40

static const char *form_problem(const char *reference);
static bool has_blank(const char *text);
static bool is_opaque(const char *reference);
static bool has_aws_secret(const char *reference);
static bool is_id(const char *reference, const char *run, size_t length);
static bool is_mixed(const char *run, size_t length);
static int	count_words(const char *run, size_t length);

/*
 * Refuse what is not a reference to a secret: 22023 if it does not have the
 * form of one, 22I03 if it is, or contains, the secret itself.
 */
void
ienv_check_reference(const char *reference, const char *argument)
{
	const char *where = psprintf("argument \"%s\"", argument);
	const char *problem;

	ienv_refuse_secret(reference, where);
	if (is_opaque(reference))
		ienv_report_secret(where, "a random key");
	problem = form_problem(reference);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\"", argument),
				 errdetail("%s", problem),
				 errhint("Say where the secret is kept: \"env:GOOGLE_SECRET\" for an environment variable, \"vault:shop/google\" or another scheme and a path for a secret store.")));
}

/*
 * Why a text does not have the form of a reference, or NULL.
 */
static const char *
form_problem(const char *reference)
{
	/* what these are followed by is the content */
	static const char *const contents[] = {
		"base64", "data", "hex", "inline", "literal", "plain", "plaintext",
		"raw"
	};
	size_t		scheme = strspn(reference, LOWER DIGITS "+.-");
	const char *path = reference + scheme + 1;

	if (scheme < 2 || reference[scheme] != ':' ||
		strchr(LOWER, reference[0]) == NULL)
		return "It does not begin with a scheme of lower-case letters and a colon.";
	for (int i = 0; i < lengthof(contents); i++)
		if (strlen(contents[i]) == scheme &&
			memcmp(reference, contents[i], scheme) == 0)
			return "Its scheme is followed by the secret itself.";
	if (path[strspn(path, "/")] == '\0')
		return "Nothing follows its scheme.";
	if (has_blank(reference))
		return "It contains a blank.";
	if (scheme == 3 && memcmp(reference, "env", 3) == 0 &&
		(strspn(path, LOWER UPPER DIGITS "_") != strlen(path) ||
		 strchr(DIGITS, *path) != NULL))
		return "What follows \"env:\" is not the name of an environment variable.";
	return NULL;
}

/*
 * Is there a blank, or a character that is not seen?
 */
static bool
has_blank(const char *text)
{
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;

	for (const char *p = text; *p != '\0'; p += pg_mblen(p))
	{
		pg_wchar	c = utf8 ? utf8_to_unicode((const unsigned char *) p) :
		(unsigned char) *p;

		if (c <= ' ' || c == 0x7F)
			return true;
		if (utf8 && ((c >= 0x80 && c <= 0xA0) || c == 0xAD || c == 0x1680 ||
					 (c >= 0x2000 && c <= 0x200F) ||
					 (c >= 0x2028 && c <= 0x202F) ||
					 (c >= 0x205F && c <= 0x206F) || c == 0x3000 ||
					 c == 0xFEFF))
			return true;
	}
	return false;
}

/*
 * Does a text contain a long run of letters and digits that words are not made
 * of, or what could be an AWS secret access key?
 */
static bool
is_opaque(const char *reference)
{
	for (const char *p = reference; *p != '\0';)
	{
		size_t		run = strspn(p, LOWER UPPER DIGITS "+");

		if (run >= MIN_RUN && is_mixed(p, run) && !is_id(reference, p, run))
			return true;
		p += run > 0 ? run : 1;
	}
	return has_aws_secret(reference);
}

/*
 * Does a text contain 40 characters of base64, from where its path or a part
 * of that begins, that words are not made of?
 */
static bool
has_aws_secret(const char *reference)
{
	for (const char *p = reference; *p != '\0'; p++)
	{
		if ((p > reference && strchr(LOWER UPPER DIGITS, p[-1]) != NULL) || *p == '/' ||
			strspn(p, LOWER UPPER DIGITS "+/") != AWS_SECRET)
			continue;
		if (strcspn(p, UPPER) < AWS_SECRET && strcspn(p, LOWER) < AWS_SECRET &&
			strcspn(p, DIGITS) < AWS_SECRET &&
			count_words(p, AWS_SECRET) * MIN_WORD > AWS_SECRET)
			return true;
	}
	return false;
}

/*
 * Is a run an id, as secret stores have them in their paths: one of three
 * parts or more after "scheme://"?  They are not in mixed case.
 */
static bool
is_id(const char *reference, const char *run, size_t length)
{
	const char *path = strstr(reference, "://");
	int			parts = 0;

	if (path == NULL || run < path || length > MAX_ID || run[-1] != '/' ||
		strchr("/?#", run[length]) == NULL)
		return false;
	if (strcspn(run, UPPER) < length && strcspn(run, LOWER) < length)
		return false;
	for (path += 3; *path != '\0'; path += strspn(path, "/"))
	{
		parts++;
		path += strcspn(path, "/");
	}
	return parts >= 3;
}

/*
 * Are these letters and digits mixed as in a random key, unlike those of
 * GoogleOauth2ClientSecret or googleoauth2clientsecret?
 */
static bool
is_mixed(const char *run, size_t length)
{
	if (strcspn(run, LOWER UPPER) >= length || strcspn(run, DIGITS) >= length)
		return false;
	if (strcspn(run, LOWER) < length && strcspn(run, UPPER) < length)
		return count_words(run, length) * MIN_WORD > (int) length;

	if (strspn(run, HEX_DIGITS) >= length)
		return true;

	/* more letters than words have that are written as one are no words */
	for (size_t i = 0; i < length; i++)
	{
		size_t		letters = strspn(run + i, LOWER UPPER);

		if (letters > MAX_WORDS)
			return true;
		i += letters;
	}
	return count_words(run, length) * MIN_WORDS > (int) length;
}

/*
 * How many words, abbreviations and numbers does a run consist of?  A word may
 * begin with a capital.
 */
static int
count_words(const char *run, size_t length)
{
	int			words = 0;
	char		was = '/';		/* the kind of the character before */

	for (size_t i = 0; i < length; i++)
	{
		char		kind = strchr(LOWER, run[i]) != NULL ? 'a' :
		strchr(UPPER, run[i]) != NULL ? 'A' :
		strchr(DIGITS, run[i]) != NULL ? '0' : '/';

		if (kind != was && kind != '/' && !(was == 'A' && kind == 'a'))
			words++;
		was = kind;
	}
	return words;
}
