/*-------------------------------------------------------------------------
 *
 * host.c
 *	  Reading a host as a browser sends it.
 *
 * A host is a name or an address, optionally with a port.  The rules are not
 * as strict as for a domain: clients do send upper case, a trailing dot and
 * underscores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/socket.h>

#include "mb/pg_wchar.h"

#include "base/errcodes.h"
#include "domain/domain.h"

/*
 * A name, a trailing dot, a colon and five digits; an address in brackets is
 * shorter.
 */
#define MAX_HOST	(IENV_MAX_DOMAIN + 7)

static const char *port_problem(const char *port);
static const char *name_problem(const char *name);

/*
 * Read a host into a buffer of IENV_MAX_DOMAIN + 1 bytes, in lower case and
 * without port and trailing dot; of an IPv6 address, only "[" is kept.
 * Anything else is refused with error 22I01.
 */
void
ienv_parse_host(const text *value, char *host)
{
	const char *data = VARDATA_ANY(value);
	Size		length = VARSIZE_ANY_EXHDR(value);
	const char *problem = ienv_host_problem(data, length, host);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INVALID_DOMAIN),
				 errmsg("\"%s\" is not a host",
						pnstrdup(data, pg_mbcliplen(data, length, MAX_HOST))),
				 errdetail("%s", problem),
				 errhint("A host is what a browser sends as such, for example www.example.com or localhost:3000.")));
}

/*
 * Why a text is not a host, as a sentence, or NULL if it is one, which is then
 * in the buffer.
 */
const char *
ienv_host_problem(const char *text, Size length, char *host)
{
	char		copy[MAX_HOST + 1];
	char	   *end;
	struct in6_addr address;

	if (length == 0)
		return "It is empty.";
	if (length > MAX_HOST)
		return psprintf("It is longer than %d characters.", IENV_MAX_DOMAIN);
	for (Size i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (c <= ' ' || c == 0x7F)
			return "It contains a space or a control character.";
		if (IS_HIGHBIT_SET(c))
			return "It contains non-ASCII characters; a browser sends an internationalized name in punycode.";
		if (c == '/' || c == '?' || c == '#')
			return "It contains a scheme or a path.";
		if (c == '@')
			return "It contains a user name.";
		copy[i] = c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
	}
	copy[length] = '\0';

	/* keep nothing of the address: the instance is the same for all */
	if (copy[0] == '[')
	{
		end = strchr(copy, ']');
		if (end == NULL)
			return "It has no closing bracket.";
		*end++ = '\0';
		if (inet_pton(AF_INET6, copy + 1, &address) != 1)
			return "There is no IPv6 address in its brackets.";
		strcpy(host, "[");
		return *end == '\0' ? NULL : *end == ':' ? port_problem(end + 1) :
			"Something other than a port follows its bracket.";
	}
	if (inet_pton(AF_INET6, copy, &address) == 1)
	{
		strcpy(host, "[");
		return NULL;
	}

	end = strchr(copy, ':');
	if (end != NULL)
	{
		const char *problem = port_problem(end + 1);

		if (problem != NULL)
			return problem;
		*end = '\0';
	}
	length = strlen(copy);
	if (length > 1 && copy[length - 1] == '.')
		copy[--length] = '\0';
	if (length > IENV_MAX_DOMAIN)
		return psprintf("It is longer than %d characters.", IENV_MAX_DOMAIN);
	strcpy(host, copy);
	return name_problem(host);
}

static const char *
port_problem(const char *port)
{
	Size		digits = strspn(port, "0123456789");

	if (port[digits] != '\0' || digits > 5 || atoi(port) > 65535)
		return "What follows its colon is not a port.";
	return NULL;
}

/*
 * The same for a lower-case name or an IPv4 address; whatever ends in a number
 * must be the latter.
 */
static const char *
name_problem(const char *name)
{
	const char *label = name;
	struct in_addr address;

	for (const char *p = name;; p++)
	{
		if (*p == '.' || *p == '\0')
		{
			if (p == label)
				return name[0] == '\0' ? "It has a port only." :
					"A label is empty.";
			if (p - label > IENV_MAX_LABEL)
				return psprintf("A label is longer than %d characters.",
								IENV_MAX_LABEL);
			if (*label == '-' || p[-1] == '-')
				return "A label begins or ends with a hyphen.";
			if (*p == '\0')
				break;
			label = p + 1;
		}
		else if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
				   *p == '-' || *p == '_'))
			return "It contains characters other than letters, digits, hyphens and dots.";
	}
	if (label[strspn(label, "0123456789")] == '\0' &&
		inet_pton(AF_INET, name, &address) != 1)
		return "It ends in a number, but is not an IPv4 address.";
	return NULL;
}

/*
 * Is a name this suffix, or below it?
 */
bool
ienv_is_below(const char *name, const char *suffix)
{
	Size		length = strlen(name);
	Size		tail = strlen(suffix);

	return length >= tail && strcmp(name + length - tail, suffix) == 0 &&
		(length == tail || name[length - tail - 1] == '.');
}
