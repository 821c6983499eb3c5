/*-------------------------------------------------------------------------
 *
 * domain.h
 *	  Names: domains with their DNS records, hosts, URLs, and the keys that
 *	  name an instance.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_DOMAIN_H
#define IENV_DOMAIN_H

#include "utils/jsonb.h"

#include "base/base.h"

/* RFC 1035, section 2.3.4, less the length bytes */
#define IENV_MAX_LABEL		63
#define IENV_MAX_DOMAIN		253

/*
 * service_rule.c: what the names of the service can be
 */
extern const char *ienv_service_problem(const char *name, JsonbValue *value);

/*
 * domain_rule.c: which names can be domains
 */
extern const char *ienv_domain_problem(const char *name);
extern const char *ienv_name_problem(const char *name);
extern void ienv_check_domain(const char *name);
extern void ienv_check_name(const char *name);
extern bool ienv_is_service_name(const char *name);
extern bool ienv_is_reserved_name(const char *name);
extern bool ienv_is_ip_address(const char *name);
extern bool ienv_is_punycode(const char *label, Size length);

/*
 * suffix_list.c, public_suffix.c: the Public Suffix List
 */
extern void ienv_public_suffix_init(void);
extern uint64 ienv_public_suffix_list(void);
extern bool ienv_is_public_suffix(const char *name);
extern bool ienv_is_registry(const char *name);
extern const char *ienv_domain_root(const char *name);
extern bool ienv_is_hosting_name(const char *name);

/*
 * claim.c: whose a name is
 */

/*
 * A condition on a column of texts in the "C" collation that is true for the
 * name $N and what is below it.  An index on the reversed column supports it:
 * the range has only few others, which go on with a hyphen instead of a dot.
 */
#define IENV_BELOW(column, parameter) \
	"pg_catalog.reverse(" column ") OPERATOR(pg_catalog.>=)" \
	" pg_catalog.reverse(" parameter ") COLLATE pg_catalog.\"C\"" \
	" AND pg_catalog.reverse(" column ") OPERATOR(pg_catalog.<)" \
	" (pg_catalog.reverse(" parameter ") OPERATOR(pg_catalog.||) '/')" \
	" COLLATE pg_catalog.\"C\"" \
	" AND (" column " OPERATOR(pg_catalog.=) " parameter \
	" OR pg_catalog.right(" column ", pg_catalog.length(" parameter ")" \
	" OPERATOR(pg_catalog.+) 1) OPERATOR(pg_catalog.=)" \
	" ('.' OPERATOR(pg_catalog.||) " parameter "))"

extern const char *ienv_lock_root(const char *name);
extern void ienv_claim_domain(Datum instance, const char *name,
							  const char *leaving);

/*
 * domain.c: the domains of production instances
 */
extern void ienv_require_production(Datum instance, char **status);
pg_noreturn extern void ienv_refuse_no_domain(Datum instance);
pg_noreturn extern void ienv_refuse_unassociated(Datum instance,
												 const char *name);

/*
 * dns.c: the DNS records that domains need
 */
extern void ienv_make_dns_records(Datum instance, const char *domain,
								  bool is_primary);
extern const char *ienv_longest_record(void);
extern bool ienv_is_record_of(const char *name, const char *domain);

/*
 * address.c: the names by which an instance is reached
 */
typedef struct IenvAddress
{
	pg_uuid_t	instance;		/* hash key, must be first */
	bool		is_production;
	char		name[IENV_MAX_DOMAIN + 1];	/* slug or primary domain; empty:
											 * none */
} IenvAddress;

extern const IenvAddress *ienv_address_of(FunctionCallInfo fcinfo);
extern const char *ienv_frontend_api_host(const IenvAddress *address);
extern const char *ienv_portal_host(const IenvAddress *address);

/*
 * key_use.c, and what else concerns secret keys
 */

/* Is row k of api_key a valid key? */
#define IENV_VALID_KEY \
	"(k.revoked_at IS NULL AND (k.expires_at IS NULL" \
	" OR k.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()))"

extern void ienv_forget_key_uses(Datum hash);
extern bool ienv_host_slug(const char *host, char *slug);
extern bool ienv_is_slug(const char *slug);

/*
 * host.c: hosts as browsers send them
 */
extern void ienv_parse_host(const text *value, char *host);
extern const char *ienv_host_problem(const char *text, Size length,
									 char *host);
extern bool ienv_is_below(const char *name, const char *suffix);

/*
 * preview.c: which instance serves a host
 */
extern bool ienv_is_production_host(Datum application, const char *host);

/*
 * url.c: URLs
 */
#define IENV_MAX_SCHEME		IENV_MAX_DOMAIN /* a native app's is a domain in
											 * reverse */

typedef enum IenvUrlKind
{
	IENV_URL_RELATIVE,			/* to the page that it is on */
	IENV_URL_WEB,				/* http and https */
	IENV_URL_NATIVE				/* of a native app */
} IenvUrlKind;

/* A URL in its parts; the text that it was parsed from has the path. */
typedef struct IenvUrl
{
	IenvUrlKind kind;
	char		scheme[IENV_MAX_SCHEME + 1];	/* in lower case */
	char		host[IENV_MAX_DOMAIN + 1];	/* of the web, in lower case; an
											 * IPv6 address has brackets */
	bool		is_address;		/* the host is an IP address */
	bool		is_loopback;	/* the host is whoever's own machine */
	int			port;			/* 0: the scheme's own */
	const char *path;			/* of native apps: all after the colon */
	Size		path_length;	/* a query or a fragment follows */
} IenvUrl;

extern const char *ienv_url_problem(const char *text, bool pattern,
									IenvUrl *url);
extern bool ienv_looks_like_url(const char *text);

/*
 * redirect.c: where an instance may redirect to
 */

/* of an entry in table redirect_url, in bytes, so that it fits into an index */
#define IENV_MAX_REDIRECT	2048

extern const char *ienv_redirect_problem(Datum instance, const char *text,
										 Datum schemes);
extern char *ienv_redirect_form(const IenvUrl *url);

#endif							/* IENV_DOMAIN_H */
