/*-------------------------------------------------------------------------
 *
 * secret_form.c
 *	  Recognizing secrets by their form.
 *
 * The keys and tokens of common providers have prefixes for that very purpose;
 * there are usual formats of keys, and of credentials in URLs and headers.  A
 * secret of no such form cannot be told from another text.
 *
 * A form is looked for anywhere in a text, but only where a word begins.  The
 * time is linear in the length of the text: what follows a prefix is read up
 * to MAX_RUN bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/base64.h"

#include "base/base.h"

#define MAX_RUN			256

/* Without a digit, as many letters as this are no word either */
#define MIN_WORDLESS	32

/* Classes of characters, as bits; a set of characters is an OR of them */
#define LOWER			0x01
#define UPPER			0x02
#define DIGIT			0x04
#define DASH			0x08	/* - _ */
#define SIGN			0x10	/* + / = */
#define DOT				0x20	/* . ~ */
#define HEX				0x40	/* 0-9 a-f A-F */
#define ALNUM			(LOWER | UPPER | DIGIT)
#define URL64			(ALNUM | DASH)	/* base64url, among others */
#define BASE64			(ALNUM | SIGN)
#define TOKEN			(URL64 | SIGN | DOT)

/* Where the prefix is also that of ordinary words, or of encoded data */
#define OPAQUE			0x01	/* what follows must have a digit, or be long */
#define INSIDE			0x02	/* the prefix is not where a word begins */
#define RANDOM			0x04	/* what follows must have a digit or a capital */
#define MIXED			0x08	/* ... and both, and a small letter */

typedef struct SecretForm
{
	const char *prefix;
	int			set;			/* of the characters that follow */
	int			min;			/* how many of them, at least */
	int			max;			/* at most; 0 for any number */
	int			flags;
	const char *what;			/* with an article */
} SecretForm;

static const SecretForm forms[] = {
	/* cloud providers */
	{"AKIA", UPPER | DIGIT, 16, 16, 0, "an AWS access key"},
	{"ASIA", UPPER | DIGIT, 16, 16, 0, "an AWS access key"},
	{"AIza", URL64, 35, 35, 0, "a Google API key"},
	{"GOCSPX-", URL64, 20, 0, 0, "a Google client secret"},
	{"ya29.", URL64 | DOT, 20, 0, RANDOM, "a Google access token"},
	{"1//0", URL64, 30, 0, 0, "a Google refresh token"},
	{"AccountKey=", BASE64, 20, 0, 0, "an Azure account key"},
	{"SharedAccessKey=", BASE64, 20, 0, 0, "an Azure shared access key"},
	{"7Q~", URL64 | DOT, 31, 0, INSIDE, "a Microsoft Entra client secret"},
	{"8Q~", URL64 | DOT, 31, 0, INSIDE, "a Microsoft Entra client secret"},
	{"dop_v1_", HEX, 32, 0, 0, "a DigitalOcean token"},
	{"doo_v1_", HEX, 32, 0, 0, "a DigitalOcean token"},
	{"dor_v1_", HEX, 32, 0, 0, "a DigitalOcean token"},
	{"dapi", HEX, 32, 32, 0, "a Databricks token"},
	{"hvs.", URL64, 20, 0, 0, "a Vault token"},
	{"hvb.", URL64, 20, 0, 0, "a Vault token"},
	{"HRKU-", URL64, 36, 0, 0, "a Heroku key"},
	{"sbp_", HEX, 40, 0, 0, "a Supabase token"},
	{"sb_secret_", URL64, 20, 0, 0, "a Supabase secret key"},

	/* code and packages */
	{"ghp_", ALNUM, 20, 0, 0, "a GitHub token"},
	{"gho_", ALNUM, 20, 0, 0, "a GitHub token"},
	{"ghu_", ALNUM, 20, 0, 0, "a GitHub token"},
	{"ghs_", ALNUM, 20, 0, 0, "a GitHub token"},
	{"ghr_", ALNUM, 20, 0, 0, "a GitHub token"},
	{"github_pat_", ALNUM | DASH, 20, 0, 0, "a GitHub token"},
	{"glpat-", URL64 | DOT, 16, 0, RANDOM, "a GitLab token"},
	{"gloas-", URL64, 16, 0, RANDOM, "a GitLab client secret"},
	{"gldt-", URL64, 16, 0, RANDOM, "a GitLab token"},
	{"glrt-", URL64, 16, 0, RANDOM, "a GitLab token"},
	{"glptt-", URL64, 16, 0, RANDOM, "a GitLab token"},
	{"ATATT3", TOKEN, 30, 0, 0, "an Atlassian token"},
	{"ATCTT3", TOKEN, 30, 0, 0, "an Atlassian token"},
	{"npm_", ALNUM, 30, 0, 0, "an npm token"},
	{"pypi-", URL64, 50, 0, RANDOM, "a PyPI token"},
	{"rubygems_", HEX, 40, 0, 0, "a RubyGems key"},
	{"dckr_pat_", URL64, 20, 0, 0, "a Docker token"},
	{"figd_", URL64, 40, 0, 0, "a Figma token"},
	{"sk.eyJ", URL64 | DOT, 40, 0, 0, "a Mapbox token"},
	{"lin_api_", ALNUM, 30, 0, 0, "a Linear API key"},
	{"ntn_", ALNUM, 40, 0, 0, "a Notion token"},
	{"NRAK-", UPPER | DIGIT, 27, 0, 0, "a New Relic key"},
	{"glsa_", ALNUM | DASH, 32, 0, RANDOM, "a Grafana token"},
	{"sntrys_", TOKEN, 40, 0, 0, "a Sentry token"},
	{"PMAK-", HEX | DASH, 40, 0, 0, "a Postman key"},
	{"dp.pt.", ALNUM, 40, 0, 0, "a Doppler token"},
	{"secret_", ALNUM, 40, 0, RANDOM, "a Notion token"},

	/* payments; pk_ is what browsers may see */
	{"sk_live_", ALNUM, 16, 0, 0, "a secret key"},
	{"sk_test_", ALNUM, 16, 0, 0, "a secret key"},
	{"rk_live_", ALNUM, 16, 0, 0, "a Stripe restricted key"},
	{"rk_test_", ALNUM, 16, 0, 0, "a Stripe restricted key"},
	{"whsec_", BASE64, 16, 0, 0, "a webhook secret"},
	{"pdl_live_apikey_", URL64, 16, 0, 0, "a Paddle API key"},
	{"pdl_sdbx_apikey_", URL64, 16, 0, 0, "a Paddle API key"},
	{"shpat_", HEX, 32, 0, 0, "a Shopify token"},
	{"shpca_", HEX, 32, 0, 0, "a Shopify token"},
	{"shppa_", HEX, 32, 0, 0, "a Shopify token"},
	{"shpss_", HEX, 32, 0, 0, "a Shopify shared secret"},
	{"EAAA", URL64, 60, 60, MIXED, "a Square access token"},
	{"sq0atp-", URL64, 20, 0, 0, "a Square access token"},
	{"sq0csp-", URL64, 20, 0, 0, "a Square client secret"},
	{"access_token$", ALNUM | DASH | SIGN, 20, 0, 0, "a Braintree token"},

	/* messages */
	{"xoxa-", URL64, 10, 0, OPAQUE, "a Slack token"},
	{"xoxb-", URL64, 10, 0, OPAQUE, "a Slack token"},
	{"xoxe-", URL64, 10, 0, OPAQUE, "a Slack token"},
	{"xoxp-", URL64, 10, 0, OPAQUE, "a Slack token"},
	{"xoxr-", URL64, 10, 0, OPAQUE, "a Slack token"},
	{"xoxs-", URL64, 10, 0, OPAQUE, "a Slack token"},
	{"xapp-", URL64, 20, 0, OPAQUE, "a Slack token"},
	{"SG.", URL64 | DOT, 36, 0, RANDOM, "a SendGrid API key"},
	{"SK", HEX, 32, 32, 0, "a Twilio API key"},
	{"key-", HEX, 32, 32, 0, "a Mailgun API key"},
	{"xkeysib-", URL64, 40, 0, 0, "a Brevo API key"},
	{"WPL_AP1.", TOKEN, 10, 0, 0, "a LinkedIn client secret"},

	/* models */
	{"sk-", ALNUM, 20, 0, RANDOM, "an OpenAI API key"},
	{"sk-proj-", URL64, 20, 0, RANDOM, "an OpenAI API key"},
	{"sk-svcacct-", URL64, 20, 0, RANDOM, "an OpenAI API key"},
	{"sk-admin-", URL64, 20, 0, RANDOM, "an OpenAI API key"},
	{"sk-ant-", URL64, 16, 0, RANDOM, "an Anthropic API key"},
	{"sk-or-v1-", HEX, 32, 0, 0, "an OpenRouter API key"},
	{"hf_", ALNUM, 30, 0, 0, "a Hugging Face token"},
	{"gsk_", ALNUM, 40, 0, 0, "a Groq API key"},

	/* keys of no provider, and without the lines around them */
	{"AGE-SECRET-KEY-", UPPER | DIGIT, 16, 0, 0, "an age key"},
	{"b3BlbnNzaC1rZXktdjE", BASE64, 16, 0, 0, "a private key"},
	{"MIGHAgEAMBMGByqGSM49", BASE64, 16, 0, 0, "a private key"},
	{"MHcCAQEEI", BASE64, 16, 0, 0, "a private key"},
	{"MC4CAQAwBQYDK2Vw", BASE64, 16, 0, 0, "a private key"},
	{"PuTTY-User-Key-File-", DIGIT, 1, 0, 0, "a private key"},

	/* headers */
	{"Bearer ", TOKEN, 20, 0, OPAQUE, "a bearer token"},
	{"bearer ", TOKEN, 20, 0, OPAQUE, "a bearer token"}
};

static int	class_of(char c);
static bool has_form(const SecretForm *form, const char *p, const char *end);
static bool is_private_key(const char *start, const char *p, const char *end);
static bool is_token(const char *start, const char *p, const char *end);
static bool has_login(const char *p, const char *end);
static bool has_password(const char *start, const char *p, const char *end);
static bool is_placeholder(const char *p, const char *end);
static bool begins(const char *p, const char *end, const char *prefix);

/*
 * What kind of secret a text of the given length contains, with an article, or
 * NULL if none in a known form.
 */
const char *
ienv_secret_form(const char *string, size_t length)
{
	/* can a prefix begin so, at the beginning of a word, and inside? */
	static bool initial[2][256];
	const char *end = string + length;

	if (!initial[false]['A'])
		for (int i = 0; i < lengthof(forms); i++)
			for (int inside = 0; inside < 2; inside++)
				if (!inside || (forms[i].flags & INSIDE) != 0)
					initial[inside][(unsigned char) forms[i].prefix[0]] = true;

	for (const char *p = string; p < end; p++)
	{
		bool		inside = p > string && (class_of(p[-1]) & ALNUM) != 0;

		if (*p == ':' && has_password(string, p, end))
			return "a URL with a password";
		if (*p == 'B' && is_private_key(string, p, end))
			return "a private key";
		if (*p == 'e' && is_token(string, p, end))
			return "a signed token";
		if (*p == 'B' || *p == 'b')
			if (!inside && has_login(p, end))
				return "a user and a password";
		if (!initial[inside][(unsigned char) *p])
			continue;
		for (int i = 0; i < lengthof(forms); i++)
			if (forms[i].prefix[0] == *p &&
				(!inside || (forms[i].flags & INSIDE) != 0) &&
				has_form(&forms[i], p, end))
				return forms[i].what;
		if (inside)
			continue;
		/* RSA keys: a length is among the first bytes */
		if (begins(p, end, "MII") && end - p >= 24 &&
			(begins(p + 6, end, "IBADAN") || begins(p + 6, end, "IBAAK")))
			return "a private key";
	}
	return NULL;
}

static int
class_of(char c)
{
	if (c >= '0' && c <= '9')
		return DIGIT | HEX;
	if (c >= 'a' && c <= 'z')
		return c <= 'f' ? LOWER | HEX : LOWER;
	if (c >= 'A' && c <= 'Z')
		return c <= 'F' ? UPPER | HEX : UPPER;
	switch (c)
	{
		case '-':
		case '_':
			return DASH;
		case '+':
		case '/':
		case '=':
			return SIGN;
		case '.':
		case '~':
			return DOT;
		default:
			return 0;
	}
}

static bool
has_form(const SecretForm *form, const char *p, const char *end)
{
	int			run = 0;
	int			classes = 0;

	if (!begins(p, end, form->prefix))
		return false;
	p += strlen(form->prefix);
	for (; run < MAX_RUN && p + run < end; run++)
	{
		int			class = class_of(p[run]);

		if ((class & form->set) == 0)
			break;
		classes |= class;
	}
	if (run < form->min || (form->max > 0 && run > form->max))
		return false;
	if ((form->flags & MIXED) != 0)
		return (~classes & ALNUM) == 0;
	if ((form->flags & RANDOM) != 0)
		return (classes & (DIGIT | UPPER)) != 0;
	return (form->flags & OPAQUE) == 0 || (classes & DIGIT) != 0 ||
		((classes & ~(ALNUM | HEX)) == 0 && run >= MIN_WORDLESS);
}

/*
 * Does the first line of a private key begin before p: "-----BEGIN RSA PRIVATE
 * KEY-----", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", or "-----BEGIN PGP
 * PRIVATE KEY BLOCK-----"?
 */
static bool
is_private_key(const char *start, const char *p, const char *end)
{
	if (!begins(p, end, "BEGIN ") || p == start ||
		(p[-1] != '-' && (p[-1] != ' ' || p - 1 == start || p[-2] != '-')))
		return false;
	for (int i = 0; i < 40 && p + i < end && p[i] != '-'; i++)
		if (begins(p + i, end, "PRIVATE KEY"))
			return true;
	return false;
}

/*
 * Is there a signed token (JWT) at p: three parts in base64url, the first of
 * which is a JSON object?
 */
static bool
is_token(const char *start, const char *p, const char *end)
{
	const char *first = p;
	int			dots = 0;

	if (!begins(p, end, "eyJ") ||
		(p > start && (class_of(p[-1]) & (URL64 | DOT)) != 0))
		return false;
	for (; p < end && (class_of(*p) & (URL64 | DOT)) != 0; p++)
	{
		if (*p != '.')
			continue;
		if (dots == 0 && p - first < 13)
			return false;
		dots++;
	}
	return dots >= 2 && p - first >= MIN_WORDLESS && p[-1] != '.';
}

/*
 * Is there an authorization by user and password at p, as in HTTP headers?
 */
static bool
has_login(const char *p, const char *end)
{
	char		login[MAX_RUN];
	int			run = 0;
	int			length;
	bool		colon = false;

	if (!begins(p, end, "Basic ") && !begins(p, end, "basic "))
		return false;
	p += strlen("Basic ");
	while (run < MAX_RUN && p + run < end && (class_of(p[run]) & BASE64) != 0)
		run++;
	length = pg_b64_decode(p, run, (void *) login, sizeof(login));
	for (int i = 0; i < length; i++)
	{
		if ((unsigned char) login[i] < ' ' || login[i] == 0x7F)
			return false;
		colon = colon || login[i] == ':';
	}
	return colon && length > 2;
}

/*
 * Is the colon at p that of a URL with a user and a password?  One that is
 * filled in later is none: "postgres://app:${PASSWORD}@db".
 */
static bool
has_password(const char *start, const char *p, const char *end)
{
	const char *password = NULL;
	const char *at = NULL;

	if (p == start || (class_of(p[-1]) & ALNUM) == 0 ||
		!begins(p, end, "://"))
		return false;
	for (p += 3; p < end && strchr("/?#\"'<>", *p) == NULL &&
		 (unsigned char) *p > ' '; p++)
	{
		if (*p == ':' && password == NULL)
			password = p + 1;
		else if (*p == '@')
			at = p;
	}
	return password != NULL && at != NULL && password < at &&
		!is_placeholder(password, at);
}

/*
 * Is this text to be replaced by a password: ${NAME}, $NAME, {name}, ***?
 */
static bool
is_placeholder(const char *p, const char *end)
{
	if (*p == '*')
	{
		while (p < end && *p == '*')
			p++;
		return p == end;
	}
	if (*p == '$' && end - p > 1 && p[1] != '{')
	{
		for (p++; p < end && ((class_of(*p) & (UPPER | DIGIT)) != 0 || *p == '_'); p++)
			;
		return p == end;
	}
	return (*p == '{' || (*p == '$' && end - p > 1)) && end[-1] == '}';
}

static bool
begins(const char *p, const char *end, const char *prefix)
{
	size_t		length = strlen(prefix);

	return p < end && (size_t) (end - p) >= length &&
		memcmp(p, prefix, length) == 0;
}
