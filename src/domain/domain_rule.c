/*-------------------------------------------------------------------------
 *
 * domain_rule.c
 *	  Which names can be the domain of a production instance, and who owns a
 *	  name.
 *
 * Names are compared byte by byte, since any that are not lower-case ASCII are
 * refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/errcodes.h"
#include "domain/domain.h"
#include "registry/registry.h"

/*
 * Having a name below one of these does not mean owning the domain.  The first
 * line is what is documented; the others give names to their customers in the
 * same way.
 */
static const char *const hosting_suffixes[] = {
	"vercel.app", "netlify.app", "pages.dev", "fly.dev",
	"render.com", "herokuapp.com", "amplifyapp.com", "azurestaticapps.net",
	"azurewebsites.net", "cloudfront.net", "deno.dev", "firebaseapp.com",
	"github.io", "gitlab.io", "ngrok-free.app", "ngrok.app", "ngrok.dev",
	"ngrok.io", "onrender.com", "railway.app", "replit.app", "run.app",
	"surge.sh", "web.app", "workers.dev"
};

/*
 * Nobody owns a domain below these: RFC 2606 and 6761, and later additions.
 * (The second-level names example.com, .net and .org are used in documentation
 * and tests.)
 */
static const char *const reserved_suffixes[] = {
	"arpa", "example", "internal", "invalid", "local", "localhost", "onion",
	"test"
};

/*
 * Suffixes of two labels below which names are registered: enough of the
 * public suffix list to tell who owns a name in the countries that register at
 * the third level.  An index depends on this list: a version that changes it
 * must REINDEX instance_env.domain_root.
 */
static const struct
{
	const char *top;
	const char *second;			/* with a space before and after each */
}			registries[] = {
	{"ar", " com edu gob gov int net org "},
	{"at", " ac co gv or "},
	{"au", " asn com edu gov id net org "},
	{"br", " art com edu gov ind net org "},
	{"cn", " ac com edu gov net org "},
	{"co", " com edu gov net nom org "},
	{"eg", " com edu gov net org "},
	{"es", " com edu gob nom org "},
	{"hk", " com edu gov idv net org "},
	{"hu", " co info org "},
	{"id", " ac biz co go my net or sch web "},
	{"il", " ac co gov muni net org "},
	{"in", " ac co edu firm gen gov ind net nic org res "},
	{"jp", " ac ad co ed go gr lg ne or "},
	{"ke", " ac co go info me ne or sc "},
	{"kr", " ac co go ne or pe re "},
	{"mx", " com edu gob net org "},
	{"my", " com edu gov name net org "},
	{"ng", " com edu gov net org "},
	{"nz", " ac co geek gen govt iwi kiwi maori net org school "},
	{"pe", " com edu gob net nom org "},
	{"ph", " com edu gov net ngo org "},
	{"pk", " com edu gov net org "},
	{"pl", " com edu gov net org "},
	{"pt", " com edu gov net org "},
	{"sa", " com edu gov net org "},
	{"sg", " com edu gov net org per "},
	{"th", " ac co go in net or "},
	{"tr", " bel com edu gen gov name net org web "},
	{"tw", " club com edu gov idv net org "},
	{"ua", " com edu gov in net org "},
	{"uk", " ac co gov ltd me net nhs org plc police sch "},
	{"vn", " com edu gov net org "},
	{"za", " ac co gov law net nom org school web "}
};

static bool is_below(const char *name, const char *const *suffixes, int n);
static bool is_public_suffix(const char *name);

PG_FUNCTION_INFO_V1(instance_env_domain_root);

/*
 * Why a text cannot be the domain of a production instance, as a sentence, or
 * NULL if it can.  It must be a lower-case host name of two or more labels,
 * the last of which consists of letters, and its user must be able to own it.
 */
const char *
ienv_domain_problem(const char *name)
{
	Size		length = strlen(name);
	Size		label = 0;		/* bytes in the current label */
	bool		digits = false; /* the current label has non-letters */
	int			dots = 0;

	if (length == 0)
		return "It is empty.";
	if (length > IENV_MAX_DOMAIN)
		return psprintf("It is longer than %d characters.", IENV_MAX_DOMAIN);
	if (strstr(name, "://") != NULL)
		return "It contains a scheme.";
	if (ienv_is_ip_address(name) || name[0] == '[')
		return "It is an IP address.";
	if (strchr(name, '@') != NULL)
		return "It contains a user name.";

	for (const char *p = name;; p++)
	{
		if (*p == '.' || *p == '\0')
		{
			if (*p == '\0' && label == 0)
				return "It ends in a dot.";
			if (label == 0)
				return "A label is empty.";
			if (p[-1] == '-')
				return "A label ends in a hyphen.";
			if (strncmp(p - label, "xn--", 4) == 0 &&
				!ienv_is_punycode(p - label, label))
				return "A label that begins with \"xn--\" is not valid punycode.";
			if (*p == '\0')
				break;
			dots++;
			label = 0;
			digits = false;
			continue;
		}
		if (*p == '/' || *p == '?' || *p == '#')
			return "It contains a path.";
		if (*p == ':')
			return "It contains a port.";
		if (*p >= 'A' && *p <= 'Z')
			return "It contains upper-case letters.";
		if (IS_HIGHBIT_SET(*p))
			return "It contains non-ASCII characters; give an internationalized name in punycode.";
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
			  *p == '-'))
			return "It contains characters other than letters, digits, hyphens and dots.";
		if (*p == '-' && label == 0)
			return "A label begins with a hyphen.";
		if (++label > IENV_MAX_LABEL)
			return psprintf("A label is longer than %d characters.",
							IENV_MAX_LABEL);
		digits = digits || !(*p >= 'a' && *p <= 'z');
	}
	if (ienv_is_reserved_name(name))
		return "It is a reserved name, which nobody can own.";
	if (dots == 0)
		return "It has no dot.";
	if (label < 2 ||
		(digits && strncmp(name + length - label, "xn--", 4) != 0))
		return "It does not end in a top-level domain.";
	if (is_public_suffix(name))
		return "It is a public suffix, below which others register their domains.";
	if (ienv_is_hosting_name(name))
		return "It belongs to a hosting provider.";
	if (ienv_is_service_name(name))
		return "It belongs to the service itself.";
	return NULL;
}

/*
 * Refuse a text that cannot be a domain, with error 22I01.
 */
void
ienv_check_domain(const char *name)
{
	const char *problem = ienv_domain_problem(name);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INVALID_DOMAIN),
				 errmsg("\"%s\" cannot be the domain of a production instance",
						pnstrdup(name,
								 pg_mbcliplen(name, strlen(name),
											  IENV_MAX_DOMAIN))),
				 errdetail("%s", problem),
				 errhint("A domain is a host name such as example.com.")));
}

/*
 * The part of a name that its owner has registered: the last two labels, or
 * three where the last two are a suffix such as co.uk.  Points into name.
 */
const char *
ienv_domain_root(const char *name)
{
	const char *root = name + strlen(name);
	int			labels = 2;

	for (int i = 0; i < labels; i++)
	{
		while (root > name && root[-1] != '.')
			root--;
		if (root == name)
			return name;
		if (i == 1 && is_public_suffix(root))
			labels = 3;
		if (i + 1 < labels)
			root--;				/* onto the dot */
	}
	return root;
}

/*
 * domain_root(domain text) RETURNS text
 */
Datum
instance_env_domain_root(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ienv_domain_root(text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}

/*
 * Is a name one of the service's own, or below one?
 */
bool
ienv_is_service_name(const char *name)
{
	const IenvService *service = ienv_service();

	if (ienv_is_below(name, service->development_domain))
		return true;
	for (int i = 0; i < service->ndomains; i++)
		if (ienv_is_below(name, service->domains[i]))
			return true;
	return false;
}

/*
 * Is a name this suffix, or below it?
 */
bool
ienv_is_below(const char *name, const char *suffix)
{
	Size		length = strlen(name);
	Size		skip = strlen(suffix);

	return length >= skip && strcmp(name + length - skip, suffix) == 0 &&
		(length == skip || name[length - skip - 1] == '.');
}

bool
ienv_is_hosting_name(const char *name)
{
	return is_below(name, hosting_suffixes, lengthof(hosting_suffixes));
}

bool
ienv_is_reserved_name(const char *name)
{
	return is_below(name, reserved_suffixes, lengthof(reserved_suffixes));
}

/*
 * Is a name an IPv4 address, or an IPv6 address without brackets?
 */
bool
ienv_is_ip_address(const char *name)
{
	struct in6_addr address;

	return inet_pton(AF_INET, name, &address) == 1 ||
		inet_pton(AF_INET6, name, &address) == 1;
}

/*
 * Is a name one of these, or below one?
 */
static bool
is_below(const char *name, const char *const *suffixes, int n)
{
	for (int i = 0; i < n; i++)
		if (ienv_is_below(name, suffixes[i]))
			return true;
	return false;
}

/*
 * Is the whole name a suffix of two labels?
 */
static bool
is_public_suffix(const char *name)
{
	const char *dot = strchr(name, '.');
	char		second[IENV_MAX_LABEL + 3];

	if (dot == NULL || dot - name > IENV_MAX_LABEL)
		return false;
	snprintf(second, sizeof(second), " %.*s ", (int) (dot - name), name);
	for (int i = 0; i < lengthof(registries); i++)
		if (strcmp(dot + 1, registries[i].top) == 0)
			return strstr(registries[i].second, second) != NULL;
	return false;
}

/*
 * Does a lower-case label that begins with "xn--" stand for a name that could not be
 * written without it?  This is the decoder of RFC 3492, section 6.2, except
 * that it does not keep the result: non-ASCII letters are inserted in order of
 * their code points.
 */
bool
ienv_is_punycode(const char *label, Size length)
{
	const int	base = 36,
				tmin = 1,
				tmax = 26,
				skew = 38,
				damp = 700;
	const char *end = label + length;
	const char *p = label + 4;
	uint32		letters = 0;	/* decoded so far */
	uint32		code = 0x80;
	uint32		position = 0;
	uint32		bias = 72;

	for (const char *q = end - 1; q >= p; q--)
	{
		if (*q != '-')
			continue;
		letters = q - p;
		p = q + 1;
		break;
	}
	if (p == end)
		return false;			/* nothing to insert */

	for (bool first = true; p < end; first = false)
	{
		uint32		before = position;
		uint32		weight = 1;
		uint32		delta;

		for (int k = base;; k += base)
		{
			uint32		digit;
			uint32		threshold = k <= bias ? tmin : k >= bias + tmax ? tmax : k - bias;

			if (p == end)
				return false;
			digit = *p >= 'a' && *p <= 'z' ? *p - 'a' : *p >= '0' &&
				*p <= '9' ? *p - '0' + 26 : base;
			p++;
			if (digit >= base || digit > (PG_UINT32_MAX - position) / weight)
				return false;
			position += digit * weight;
			if (digit < threshold)
				break;
			if (weight > PG_UINT32_MAX / (base - threshold))
				return false;
			weight *= base - threshold;
		}

		letters++;
		delta = (position - before) / (first ? damp : 2);
		delta += delta / letters;
		bias = 0;
		while (delta > ((base - tmin) * tmax) / 2)
		{
			delta /= base - tmin;
			bias += base;
		}
		bias += (base - tmin + 1) * delta / (delta + skew);

		if (position / letters > 0x10FFFF - code)
			return false;
		code += position / letters;
		if (code < 0xA0 || (code >= 0xD800 && code <= 0xDFFF))
			return false;		/* not a letter */
		position = position % letters + 1;
	}
	return true;
}
