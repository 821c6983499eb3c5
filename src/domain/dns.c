/*-------------------------------------------------------------------------
 *
 * dns.c
 *	  The DNS records that a production instance's domains need.
 *
 * They are stored in a table, so that a row can be corrected where the target
 * is a different one.  A satellite has the first record only: mail is sent,
 * and accounts are managed, under the primary domain.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

/* In the order in which they are listed; %s is the instance's own label. */
static const struct
{
	const char *record;
	const char *target;
}			cnames[] = {
	{"clerk", "frontend-api.clerk.services"},
	{"accounts", "accounts.clerk.services"},
	{"clkmail", "mail.%s.clerk.services"},
	{"clk._domainkey", "dkim1.%s.clerk.services"},
	{"clk2._domainkey", "dkim2.%s.clerk.services"}
};

PG_FUNCTION_INFO_V1(instance_env_dns_records);

/*
 * Create the records that a domain needs and does not have yet.  SPI is
 * connected.
 */
void
ienv_make_dns_records(Datum instance, const char *domain, bool is_primary)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char	   *label =
	DatumGetCString(DirectFunctionCall1(uuid_out, instance));
	char	   *to = label;

	/*
	 * the instance's id without its hyphens: unique, and short enough for a
	 * label
	 */
	for (const char *from = label; *from != '\0'; from++)
		if (*from != '-')
			*to++ = *from;
	*to = '\0';

	values[0] = CStringGetTextDatum(domain);
	for (int i = 0; i < (is_primary ? lengthof(cnames) : 1); i++)
	{
		const char *own = strstr(cnames[i].target, "%s");

		values[1] = CStringGetTextDatum(cnames[i].record);
		values[2] = CStringGetTextDatum(own == NULL ? cnames[i].target :
										psprintf("%.*s%s%s",
												 (int) (own -
														cnames[i].target),
												 cnames[i].target,
												 label, own + 2));
		(void) ienv_query("INSERT INTO instance_env.dns_record (domain,"
						  " record, target) VALUES ($1, $2, $3)"
						  " ON CONFLICT DO NOTHING", 3, types, values, NULL);
	}
}

/*
 * The record that makes the longest name of a domain's.
 */
const char *
ienv_longest_record(void)
{
	const char *longest = "";

	for (int i = 0; i < lengthof(cnames); i++)
		if (strlen(cnames[i].record) > strlen(longest))
			longest = cnames[i].record;
	return longest;
}

/*
 * Is a name that of one of the records that a domain needs, or would need as a
 * primary one?
 */
bool
ienv_is_record_of(const char *name, const char *domain)
{
	if (!ienv_is_below(name, domain))
		return false;
	for (int i = 0; i < lengthof(cnames); i++)
	{
		Size		length = strlen(cnames[i].record);

		if (strncmp(name, cnames[i].record, length) == 0 &&
			name[length] == '.' && strcmp(name + length + 1, domain) == 0)
			return true;
	}
	return false;
}

/*
 * dns_records(instance uuid)
 * RETURNS TABLE (domain, record, name, type, target, verified, verified_at)
 *
 * There are none for a development instance, whose domain is the service's
 * own.
 */
Datum
instance_env_dns_records(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {UUIDOID, TEXTARRAYOID};
	Datum		values[2];
	Datum		order[lengthof(cnames)];

	ienv_require_argument(fcinfo, 0, "instance");
	values[0] = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);
	(void) ienv_require_instance(values[0]);
	for (int i = 0; i < lengthof(cnames); i++)
		order[i] = CStringGetTextDatum(cnames[i].record);
	values[1] =
		PointerGetDatum(construct_array(order, lengthof(cnames), TEXTOID, -1,
										false, TYPALIGN_INT));

	SPI_connect();
	(void) ienv_query_latest("SELECT d.name, r.record,"
							 " r.record OPERATOR(pg_catalog.||)"
							 " '.' OPERATOR(pg_catalog.||) d.name,"
							 "  r.type, r.target, r.verified_at IS NOT NULL, r.verified_at"
							 " FROM instance_env.domain d"
							 "  JOIN instance_env.dns_record r"
							 " ON r.domain OPERATOR(pg_catalog.=) d.name"
							 " WHERE d.instance OPERATOR(pg_catalog.=) $1"
							 " ORDER BY d.is_primary DESC, d.name,"
							 " pg_catalog.array_position($2, r.record),"
							 " r.record",
							 2, types, values, NULL);
	ienv_return_rows(fcinfo);
	SPI_finish();
	return (Datum) 0;
}
