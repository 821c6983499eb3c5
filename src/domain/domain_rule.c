/*-------------------------------------------------------------------------
 *
 * domain_rule.c
 *	  Which names can be the domain of a production instance.
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
 * Nobody owns a domain below these: RFC 2606 and 6761, and later additions.
 * (The second-level names example.com, .net and .org are used in documentation
 * and tests.)
 */
static const char *const reserved_suffixes[] = {
	"arpa", "example", "internal", "invalid", "local", "localhost", "onion",
	"test"
};

static void refuse_problem(const char *name, const char *problem);
static bool is_below(const char *name, const char *const *suffixes, int n);

PG_FUNCTION_INFO_V1(instance_env_domain_root);

/*
 * Why a text cannot be the domain of a production instance, as a sentence, or
 * NULL if it can.  Its user must be able to own it, and there must be room for
 * the names of its DNS records.
 *
 * The list of public suffixes changes, so this is asked as a name is claimed,
 * and a domain that has been associated stays what it is.
 */
const char *
ienv_domain_problem(const char *name)
{
	const char *problem = ienv_name_problem(name);
	const char *record;

	if (problem != NULL)
		return problem;
	if (ienv_is_service_name(name))
		return "It belongs to the service itself.";
	if (ienv_is_hosting_name(name))
		return "It belongs to a hosting provider.";
	if (ienv_is_public_suffix(name))
		return "It is a public suffix, below which others register their domains.";
	record = ienv_longest_record();
	if (strlen(record) + 1 + strlen(name) > IENV_MAX_DOMAIN)
		return psprintf("With its DNS record \"%s\" before it, it is longer than %d characters.",
						record, IENV_MAX_DOMAIN);
	return NULL;
}

/*
 * The same where any name that is written as a domain will do: a lower-case
 * host name of two or more labels, the last of which consists of letters.
 */
const char *
ienv_name_problem(const char *name)
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
	return NULL;
}

/*
 * Refuse a text that cannot be a domain, with error 22I01.
 */
void
ienv_check_domain(const char *name)
{
	refuse_problem(name, ienv_domain_problem(name));
}

/*
 * Refuse a text that is not written as a domain, with the same error.
 */
void
ienv_check_name(const char *name)
{
	refuse_problem(name, ienv_name_problem(name));
}

static void
refuse_problem(const char *name, const char *problem)
{
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
 * domain_root(domain text) RETURNS text
 *
 * Takes what a browser sends as a host.  Null for what nobody has registered:
 * an IP address, a single label, or a public suffix.
 */
Datum
instance_env_domain_root(PG_FUNCTION_ARGS)
{
	char		host[IENV_MAX_DOMAIN + 1];

	ienv_parse_host(PG_GETARG_TEXT_PP(0), host);
	if (strchr(host, '.') == NULL || ienv_is_ip_address(host) ||
		ienv_is_public_suffix(host))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(ienv_domain_root(host)));
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
 * Does a label that begins with "xn--" stand for a name that could not be
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
