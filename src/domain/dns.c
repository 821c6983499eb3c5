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

typedef struct DnsRecord
{
	const char *record;			/* relative to the domain */
	const char *target;
} DnsRecord;

static DnsRecord *needed_records(bool is_primary, const char *label, int *n);
static char *target_of(const char *target, const char *label);
static char *instance_label(Datum instance);

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
	int			n;
	DnsRecord  *records = needed_records(is_primary, instance_label(instance),
										 &n);

	values[0] = CStringGetTextDatum(domain);
	for (int i = 0; i < n; i++)
	{
		values[1] = CStringGetTextDatum(records[i].record);
		values[2] = CStringGetTextDatum(records[i].target);
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
	int			n;
	DnsRecord  *records = needed_records(true, "", &n);
	const char *longest = "";

	for (int i = 0; i < n; i++)
		if (strlen(records[i].record) > strlen(longest))
			longest = records[i].record;
	return longest;
}

/*
 * Is a name that of one of the records that a domain needs, or would need as a
 * primary one?
 */
bool
ienv_is_record_of(const char *name, const char *domain)
{
	int			n;
	DnsRecord  *records;

	if (!ienv_is_below(name, domain))
		return false;
	records = needed_records(true, "", &n);
	for (int i = 0; i < n; i++)
	{
		Size		length = strlen(records[i].record);

		if (strncmp(name, records[i].record, length) == 0 &&
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
	static IenvQuery query = {
		.sql = "SELECT d.name, r.record,"
		" r.record OPERATOR(pg_catalog.||)"
		" '.' OPERATOR(pg_catalog.||) d.name,"
		"  r.type, r.target, r.verified_at IS NOT NULL, r.verified_at"
		" FROM instance_env.domain d"
		"  JOIN instance_env.dns_record r"
		" ON r.domain OPERATOR(pg_catalog.=) d.name"
		" WHERE d.instance OPERATOR(pg_catalog.=) $1"
		" ORDER BY d.is_primary DESC, d.name,"
		" pg_catalog.array_position($2, r.record),"
		" r.record"
	};
	Oid			types[2] = {UUIDOID, TEXTARRAYOID};
	Datum		values[2];
	int			n;
	DnsRecord  *records = needed_records(true, "", &n);
	Datum	   *order = palloc(n * sizeof(Datum));

	ienv_require_argument(fcinfo, 0, "instance");
	values[0] = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);
	(void) ienv_require_instance(values[0]);
	for (int i = 0; i < n; i++)
		order[i] = CStringGetTextDatum(records[i].record);
	values[1] = PointerGetDatum(construct_array(order, n, TEXTOID, -1, false,
												TYPALIGN_INT));

	SPI_connect();
	(void) ienv_query_kept_latest(&query, 2, types, values, NULL);
	ienv_return_rows(fcinfo);
	SPI_finish();
	return (Datum) 0;
}

/*
 * The records that a domain needs, in the order in which they are listed.
 * label is the instance's own, which some targets contain.
 */
static DnsRecord *
needed_records(bool is_primary, const char *label, int *n)
{
	const IenvService *service = ienv_service();
	DnsRecord  *records = palloc((service->nmail + 2) * sizeof(DnsRecord));

	records[0].record = pstrdup(service->frontend_api_label);
	records[0].target = target_of(service->frontend_api_target, label);
	*n = 1;
	if (!is_primary)
		return records;
	records[1].record = pstrdup(service->portal_label);
	records[1].target = target_of(service->portal_target, label);
	for (int i = 0; i < service->nmail; i++)
	{
		records[i + 2].record = pstrdup(service->mail[i].record);
		records[i + 2].target = target_of(service->mail[i].target, label);
	}
	*n += 1 + service->nmail;
	return records;
}

/*
 * A target with the instance's own label in its place.
 */
static char *
target_of(const char *target, const char *label)
{
	const char *own = strstr(target, IENV_INSTANCE_LABEL);

	return own == NULL ? pstrdup(target) :
		psprintf("%.*s%s%s", (int) (own - target), target, label,
				 own + strlen(IENV_INSTANCE_LABEL));
}

/*
 * The id of an instance without its hyphens: unique, and short enough for a
 * label.
 */
static char *
instance_label(Datum instance)
{
	char	   *label =
	DatumGetCString(DirectFunctionCall1(uuid_out, instance));
	char	   *to = label;

	for (const char *from = label; *from != '\0'; from++)
		if (*from != '-')
			*to++ = *from;
	*to = '\0';
	return label;
}
