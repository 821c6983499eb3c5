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

#include "base/base.h"

/* RFC 1035, section 2.3.4, less the length bytes */
#define IENV_MAX_LABEL		63
#define IENV_MAX_DOMAIN		253

/* Prefixes of keys, all of the same length */
#define IENV_PK_TEST		"pk_test_"
#define IENV_PK_LIVE		"pk_live_"
#define IENV_SK_TEST		"sk_test_"
#define IENV_SK_LIVE		"sk_live_"
#define IENV_KEY_PREFIX		8

/* Development instances have their names below this domain. */
#define IENV_DEVELOPMENT_DOMAIN "accounts.dev"

/*
 * domain_rule.c: which names can be domains
 */
extern const char *ienv_domain_problem(const char *name);
extern void ienv_check_domain(const char *name);
extern const char *ienv_domain_root(const char *name);
extern bool ienv_is_hosting_name(const char *name);
extern bool ienv_is_vendor_name(const char *name);
extern bool ienv_is_reserved_name(const char *name);
extern bool ienv_is_ip_address(const char *name);

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

/*
 * address.c: the names by which an instance is reached
 */
typedef struct IenvAddress
{
	pg_uuid_t	instance;		/* hash key, must be first */
	bool		is_production;
	char		name[IENV_MAX_DOMAIN + 1];	/* slug or primary domain; empty:
											 * none */
}			IenvAddress;

extern const IenvAddress *ienv_address_of(FunctionCallInfo fcinfo);
extern const char *ienv_frontend_api_host(const IenvAddress * address);

/*
 * key_use.c, and what else concerns secret keys
 */

/* Is row k of api_key a valid key? */
#define IENV_VALID_KEY \
	"(k.revoked_at IS NULL AND (k.expires_at IS NULL" \
	" OR k.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()))"

extern void ienv_forget_key_uses(Datum hash);

/*
 * host.c: hosts as browsers send them
 */
extern void ienv_parse_host(const text *value, char *host);

/*
 * url.c: URLs
 */
extern char *ienv_url_scheme(const char *url);

#endif							/* IENV_DOMAIN_H */
