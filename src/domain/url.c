/*-------------------------------------------------------------------------
 *
 * url.c
 *	  Parsing URLs in such a way that no other parser takes them for anything
 *	  else.
 *
 * Where RFC 3986, the WHATWG's URL standard and common libraries disagree on
 * what a text means, it is not a URL here.  What remains is
 *
 *		scheme "://" host [ ":" port ] [ ( "/" | "?" | "#" ) anything ]
 *
 * in ASCII, where anything else is percent-encoded and a host is in punycode.
 * user:password@ is not allowed, since a careless reader takes it for the
 * host.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "domain/domain.h"

/* unlike isdigit() and isalpha(), these ignore the locale */
#define is_digit(c)		((c) >= '0' && (c) <= '9')
#define is_letter(c)	(((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))

static bool is_host(const char *host, Size length);
static bool is_ipv4(const char *host, Size length);
static bool is_ipv6(const char *host, Size length);
static bool is_number(const char *label, Size length);
static bool is_port(const char *port, Size length);

/*
 * The scheme of an absolute URL that names a host, in lower case; NULL for any
 * other text.
 */
char *
ienv_url_scheme(const char *url)
{
	Size		length;
	const char *host;
	Size		host_length;
	const char *port;
	char	   *scheme;

	/* browsers drop some of these, and turn a backslash into a slash */
	for (const char *p = url; *p != '\0'; p++)
		if ((unsigned char) *p <= ' ' || (unsigned char) *p >= 0x7F ||
			strchr("\"<>\\^`{|}", *p) != NULL)
			return NULL;

	length = strcspn(url, ":/?#");
	if (!is_letter(url[0]) || strncmp(url + length, "://", 3) != 0)
		return NULL;
	for (Size i = 0; i < length; i++)
		if (!is_letter(url[i]) && !is_digit(url[i]) &&
			strchr("+-.", url[i]) == NULL)
			return NULL;

	host = url + length + 3;
	host_length = strcspn(host, "/?#");
	port = host[0] == '[' ? memchr(host, ']', host_length) : host;
	port = port == NULL ? NULL : memchr(port, ':', host + host_length - port);
	if (port != NULL)
	{
		if (!is_port(port + 1, host + host_length - port - 1))
			return NULL;
		host_length = port - host;
	}
	if (!is_host(host, host_length))
		return NULL;

	scheme = pnstrdup(url, length);
	for (char *p = scheme; *p != '\0'; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	return scheme;
}

/*
 * A name, an IPv4 address, or an IPv6 address in brackets.
 */
static bool
is_host(const char *host, Size length)
{
	Size		label = 0;		/* where the current label begins */

	if (length > 0 && host[0] == '[')
		return is_ipv6(host, length);
	if (length > 0 && host[length - 1] == '.')
		length--;				/* the root */
	if (length == 0 || length > IENV_MAX_DOMAIN)
		return false;
	for (Size i = 0; i <= length; i++)
	{
		if (i < length && host[i] != '.')
		{
			if (!is_letter(host[i]) && !is_digit(host[i]) && host[i] != '-' &&
				host[i] != '_')
				return false;
			continue;
		}
		if (i == label || i - label > IENV_MAX_LABEL || host[label] == '-' ||
			host[i - 1] == '-')
			return false;
		if (i < length)
			label = i + 1;
	}

	/*
	 * Many parsers take whatever ends in a number for an address, in any
	 * notation.
	 */
	return !is_number(host + label, length - label) || is_ipv4(host, length);
}

/*
 * Is a label a decimal, octal or hexadecimal number?
 */
static bool
is_number(const char *label, Size length)
{
	if (length >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		return strspn(label + 2, "0123456789abcdefABCDEF") >= length - 2;
	return strspn(label, "0123456789") >= length;
}

/*
 * Is a host four decimal numbers without leading zeros?
 */
static bool
is_ipv4(const char *host, Size length)
{
	const char *p = host;

	for (int i = 0; i < 4; i++)
	{
		const char *start = p;
		int			octet = 0;

		while (p < host + length && is_digit(*p) && p - start < 3)
			octet = octet * 10 + (*p++ - '0');
		if (p == start || octet > 255 || (*start == '0' && p - start > 1))
			return false;
		if (i < 3 && (p == host + length || *p++ != '.'))
			return false;
	}
	return p == host + length;
}

/*
 * Is a host an IPv6 address in brackets, without a zone?
 */
static bool
is_ipv6(const char *host, Size length)
{
	struct in6_addr address;

	if (host[length - 1] != ']')
		return false;
	return inet_pton(AF_INET6, pnstrdup(host + 1, length - 2), &address) == 1;
}

static bool
is_port(const char *port, Size length)
{
	int			number = 0;

	if (length == 0 || length > 5)
		return false;
	for (Size i = 0; i < length; i++)
	{
		if (!is_digit(port[i]))
			return false;
		number = number * 10 + (port[i] - '0');
	}
	return number > 0 && number <= 65535;
}
