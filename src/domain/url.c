/*-------------------------------------------------------------------------
 *
 * url.c
 *	  Parsing URLs in such a way that no other parser takes them for anything
 *	  else.
 *
 * Where RFC 3986, the WHATWG's URL standard and common libraries disagree on
 * what a text means, it is not a URL here.  What remains is
 *
 *		("http" | "https") "://" host [":" port] [("/" | "?" | "#") anything]
 *		scheme ":/" anything, where the scheme of a native app has a dot
 *		("/" | "?" | "#") anything, where the path has no empty segment
 *
 * in ASCII, where anything else is percent-encoded and a host is in punycode.
 * user:password@ is not allowed, since a careless reader takes it for the
 * host.  A relative reference without a slash is not either: "evil.example",
 * ".evil.example" and "@evil.example" are such, and behind the name of a host
 * they change it.
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

static const char *character_problem(const char *text);
static const char *relative_problem(const char *text, IenvUrl *url);
static const char *scheme_problem(const char *text, Size length,
								  IenvUrl *url);
static bool is_native_scheme(const char *scheme);
static const char *web_problem(const char *rest, bool pattern, IenvUrl *url);
static const char *host_problem(const char *host, Size length, bool pattern,
								IenvUrl *url);
static const char *name_problem(const char *name, bool pattern);
static bool is_number(const char *label);
static bool is_ipv4(const char *host);
static const char *ipv6_problem(const char *host, Size length, IenvUrl *url);
static bool is_port(const char *port, Size length, int *number);
static void find_path(const char *path, IenvUrl *url);

/*
 * Take a URL apart.  Returns why a text is not one, as the predicate of a
 * sentence about it, or NULL if it is, and then *url is set.  With pattern,
 * there can be one asterisk in the first label of the host.
 */
const char *
ienv_url_problem(const char *string, bool pattern, IenvUrl *url)
{
	const char *problem = character_problem(string);
	Size		length = strcspn(string, ":/?#");

	if (problem != NULL)
		return problem;
	memset(url, 0, sizeof(IenvUrl));
	if (string[length] != ':')
		return relative_problem(string, url);
	problem = scheme_problem(string, length, url);
	if (problem != NULL)
		return problem;
	string += length + 1;

	if (url->kind == IENV_URL_WEB)
		return web_problem(string, pattern, url);
	if (string[0] != '/')
		return "has no slash after its scheme";
	find_path(string, url);
	return NULL;
}

/*
 * Is a text meant to be a URL, whether it is one or not?  It is if, after what
 * some reader drops, it begins with a scheme and a colon, or a slash.
 */
bool
ienv_looks_like_url(const char *text)
{
	const char *p = text;

	while (*p != '\0' && ((unsigned char) *p <= ' ' ||
						  (unsigned char) *p >= 0x7F))
		p++;
	if (*p == '/' || *p == '\\')
		return true;
	if (!is_letter(*p))
		return false;
	while (is_letter(*p) || is_digit(*p) ||
		   (*p != '\0' && strchr("+-.\t\r\n", *p) != NULL))
		p++;
	return *p == ':';
}

static const char *
character_problem(const char *text)
{
	if (text[0] == '\0')
		return "is empty";
	for (const char *p = text; *p != '\0'; p++)
	{
		/* browsers drop some of these */
		if ((unsigned char) *p <= ' ' || *p == 0x7F)
			return "contains a space or a control character";
		if (IS_HIGHBIT_SET(*p))
			return "contains non-ASCII characters, which a URL has in percent-encoding or punycode";
		/* and turn this into a slash */
		if (*p == '\\')
			return "contains a backslash";
		if (strchr("\"<>^`{|}", *p) != NULL)
			return psprintf("contains the character %c, which a URL has in percent-encoding", *p);
	}
	return NULL;
}

/*
 * Readers that remove segments "." and ".." make a path that begins with two
 * slashes, which stands for a host, of one that has an empty segment anywhere.
 */
static const char *
relative_problem(const char *text, IenvUrl *url)
{
	url->kind = IENV_URL_RELATIVE;
	find_path(text, url);
	if (text[0] == '/' && text[1] == '/')
		return "begins with two slashes, which a host follows";
	if (strchr("/?#", text[0]) == NULL)
		return "begins with neither a scheme nor a slash";
	for (Size i = 1; i < url->path_length; i++)
		if (text[i] == '/' && text[i - 1] == '/')
			return "has two slashes in a row in its path";
	return NULL;
}

static const char *
scheme_problem(const char *text, Size length, IenvUrl *url)
{
	if (!is_letter(text[0]) || length > IENV_MAX_SCHEME)
		return "has no valid scheme";
	for (Size i = 0; i < length; i++)
	{
		if (!is_letter(text[i]) && !is_digit(text[i]) &&
			strchr("+-.", text[i]) == NULL)
			return "has no valid scheme";
		url->scheme[i] = pg_ascii_tolower((unsigned char) text[i]);
	}
	url->scheme[length] = '\0';
	if (strcmp(url->scheme, "https") == 0 || strcmp(url->scheme, "http") == 0)
		url->kind = IENV_URL_WEB;
	else if (is_native_scheme(url->scheme))
		url->kind = IENV_URL_NATIVE;
	else
		return psprintf("has the scheme \"%s\", which is neither http or https nor that of a native app, such as com.example.app",
						url->scheme);
	return NULL;
}

/*
 * Is a scheme a domain name in reverse, as RFC 8252 has it for native apps?
 * None that does something in a browser has a dot.
 */
static bool
is_native_scheme(const char *scheme)
{
	const char *label = scheme;
	bool		dotted = false;

	for (const char *p = scheme;; p++)
	{
		if (*p == '.' || *p == '\0')
		{
			if (p == label || *label == '-' || p[-1] == '-')
				return false;
			if (*p == '\0')
				return dotted;
			dotted = true;
			label = p + 1;
		}
		else if (*p == '+')
			return false;
	}
}

/*
 * The same for what follows "http:" or "https:".
 */
static const char *
web_problem(const char *rest, bool pattern, IenvUrl *url)
{
	const char *host = rest + 2;
	const char *port;
	Size		length;

	if (strncmp(rest, "//", 2) != 0)
		return "does not have two slashes after its scheme";
	length = strcspn(host, "/?#");
	find_path(host + length, url);
	if (memchr(host, '@', length) != NULL)
		return "contains a user name";
	port = host[0] == '[' ? memchr(host, ']', length) : host;
	port = port == NULL ? NULL : memchr(port, ':', host + length - port);
	if (port != NULL)
	{
		if (!is_port(port + 1, host + length - port - 1, &url->port))
			return "has an invalid port";
		if (url->port == (strcmp(url->scheme, "https") == 0 ? 443 : 80))
			url->port = 0;
		length = port - host;
	}
	return host_problem(host, length, pattern, url);
}

/*
 * The same for its host: a name, an IPv4 address, or an IPv6 address in
 * brackets.
 */
static const char *
host_problem(const char *host, Size length, bool pattern, IenvUrl *url)
{
	const char *problem;

	if (length == 0)
		return "has no host";
	if (host[0] == '[')
		return ipv6_problem(host, length, url);
	if (length > IENV_MAX_DOMAIN)
		return "has a host that is too long";
	for (Size i = 0; i < length; i++)
		url->host[i] = pg_ascii_tolower((unsigned char) host[i]);
	url->host[length] = '\0';
	problem = name_problem(url->host, pattern);
	if (problem != NULL)
		return problem;

	/*
	 * Many parsers take whatever ends in a number for an address, in any
	 * notation.
	 */
	host = strrchr(url->host, '.');
	if (is_number(host == NULL ? url->host : host + 1))
	{
		if (!is_ipv4(url->host))
			return "has a host that ends in a number, but is not an IPv4 address";
		url->is_address = true;
		url->is_loopback = strncmp(url->host, "127.", 4) == 0;
	}
	else
		url->is_loopback = host == NULL ? strcmp(url->host, "localhost") == 0 :
			strcmp(host, ".localhost") == 0;
	return NULL;
}

/*
 * The same for a name in lower case.  A dot at its end, which would be right
 * in DNS, makes another origin of it, so it is refused along with other empty
 * labels.
 */
static const char *
name_problem(const char *name, bool pattern)
{
	const char *label = name;
	bool		wild = false;	/* the label has an asterisk */

	for (const char *p = name;; p++)
	{
		if (*p != '.' && *p != '\0')
		{
			if (*p == '*' && pattern && label == name && !wild)
				wild = true;
			else if (*p == '*')
				return pattern ? "has an asterisk elsewhere than once in the first label of its host" :
					"has an asterisk in its host";
			else if (!is_letter(*p) && !is_digit(*p) && *p != '-' && *p != '_')
				return "has a host that contains other characters than letters, digits, hyphens and dots";
			continue;
		}
		if (p == label)
			return "has a host with an empty label";
		if (p - label > IENV_MAX_LABEL)
			return "has a host with a label that is too long";
		if (*label == '-' || p[-1] == '-')
			return "has a host with a label that begins or ends with a hyphen";
		if (strncmp(label, "xn--", 4) == 0 &&
			(wild || !ienv_is_punycode(label, p - label)))
			return "has a host with a label that begins with \"xn--\" but is not valid punycode";
		if (*p == '\0')
			return NULL;
		label = p + 1;
		wild = false;
	}
}

/*
 * Is a label a decimal, octal or hexadecimal number?
 */
static bool
is_number(const char *label)
{
	if (label[0] == '0' && label[1] == 'x')
		label += 2 + strspn(label + 2, "0123456789abcdef");
	else
		label += strspn(label, "0123456789");
	return *label == '\0';
}

/*
 * Is a host four decimal numbers without leading zeros?
 */
static bool
is_ipv4(const char *host)
{
	const char *p = host;

	for (int i = 0; i < 4; i++)
	{
		const char *start = p;
		int			octet = 0;

		while (is_digit(*p) && p - start < 3)
			octet = octet * 10 + (*p++ - '0');
		if (p == start || octet > 255 || (*start == '0' && p - start > 1))
			return false;
		if (i < 3 && *p++ != '.')
			return false;
	}
	return *p == '\0';
}

/*
 * An IPv6 address in brackets, without a zone; the host is its usual notation.
 */
static const char *
ipv6_problem(const char *host, Size length, IenvUrl *url)
{
	struct in6_addr address;
	char		notation[INET6_ADDRSTRLEN];

	if (host[length - 1] != ']' || length >= INET6_ADDRSTRLEN + 2)
		return "has no IPv6 address in brackets";
	strlcpy(notation, host + 1, length - 1);
	if (inet_pton(AF_INET6, notation, &address) != 1 ||
		inet_ntop(AF_INET6, &address, notation, sizeof(notation)) == NULL)
		return "has no IPv6 address in brackets";
	snprintf(url->host, sizeof(url->host), "[%s]", notation);
	url->is_address = true;
	url->is_loopback = strcmp(notation, "::1") == 0;
	return NULL;
}

static bool
is_port(const char *port, Size length, int *number)
{
	*number = 0;
	if (length == 0 || length > 5)
		return false;
	for (Size i = 0; i < length; i++)
	{
		if (!is_digit(port[i]))
			return false;
		*number = *number * 10 + (port[i] - '0');
	}
	return *number > 0 && *number <= 65535;
}

static void
find_path(const char *path, IenvUrl *url)
{
	url->path = path;
	url->path_length = strcspn(path, "?#");
}
