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
extern const char *ienv_name_problem(const char *name);
extern void ienv_check_domain(const char *name);
extern void ienv_check_name(const char *name);
extern bool ienv_is_vendor_name(const char *name);
extern bool ienv_is_reserved_name(const char *name);
extern bool ienv_is_ip_address(const char *name);

/*
 * public_suffix.c: the Public Suffix List
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
}			IenvAddress;

extern const IenvAddress *ienv_address_of(FunctionCallInfo fcinfo);
extern const char *ienv_frontend_api_host(const IenvAddress * address);
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
 * url.c: URLs
 */
extern char *ienv_url_scheme(const char *url);

#endif							/* IENV_DOMAIN_H */
