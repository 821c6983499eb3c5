/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Recording that the DNS records of a domain have been verified, or no
 *	  longer are.
 *
 * The database queries no name server: the caller has, and says what it found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

/* a domain with the state of its records, for the audit log */
#define DOMAIN_STATE \
	"SELECT pg_catalog.to_jsonb(d) OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('records'," \
	"  (SELECT pg_catalog.jsonb_object_agg(r.record, r.verified_at) FROM instance_env.dns_record r" \
	"   WHERE r.domain OPERATOR(pg_catalog.=) d.name))" \
	" FROM instance_env.domain d" \
	" WHERE d.instance OPERATOR(pg_catalog.=) $1 AND d.name OPERATOR(pg_catalog.=) $2"

static bool change_state(const char *action, char *name, Datum *values,
						 const char *records, const char *domain);
static char *read_arguments(FunctionCallInfo fcinfo, Datum *values);
static void require_record(const char *name, const Datum *values);

PG_FUNCTION_INFO_V1(instance_env_verify_domain);
PG_FUNCTION_INFO_V1(instance_env_unverify_domain);

/*
 * verify_domain(instance uuid, domain text, record text) RETURNS void
 *
 * The caller has checked the domain's DNS, which the database cannot do.  A
 * null record means all of them; the domain is verified once they all are.
 */
Datum
instance_env_verify_domain(PG_FUNCTION_ARGS)
{
	Datum		values[3];
	char	   *name = read_arguments(fcinfo, values);

	SPI_connect();
	(void) change_state("verify_domain", name, values,
						"UPDATE instance_env.dns_record"
						" SET verified_at = pg_catalog.now()"
						" WHERE domain OPERATOR(pg_catalog.=) $2"
						" AND verified_at IS NULL"
						" AND ($3 IS NULL OR record OPERATOR(pg_catalog.=) $3)",
						"UPDATE instance_env.domain"
						" SET verified_at = pg_catalog.now()"
						" WHERE instance OPERATOR(pg_catalog.=) $1"
						" AND name OPERATOR(pg_catalog.=) $2"
						" AND verified_at IS NULL AND NOT EXISTS (SELECT"
						" FROM instance_env.dns_record"
						"  WHERE domain OPERATOR(pg_catalog.=) $2"
						" AND verified_at IS NULL)");
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * unverify_domain(instance uuid, domain text, record text) RETURNS void
 *
 * The caller has seen that the domain's DNS is not, or no longer, as it should
 * be: one record, or all, where that is null.  An active instance stays
 * active, since it has users; validate() says what is missing.
 */
Datum
instance_env_unverify_domain(PG_FUNCTION_ARGS)
{
	Datum		values[3];
	char	   *name = read_arguments(fcinfo, values);

	SPI_connect();
	if (!change_state("unverify_domain", name, values,
					  "UPDATE instance_env.dns_record SET verified_at = NULL"
					  " WHERE domain OPERATOR(pg_catalog.=) $2"
					  " AND verified_at IS NOT NULL"
					  " AND ($3 IS NULL OR record OPERATOR(pg_catalog.=) $3)",
					  "UPDATE instance_env.domain SET verified_at = NULL"
					  " WHERE instance OPERATOR(pg_catalog.=) $1"
					  " AND name OPERATOR(pg_catalog.=) $2"
					  " AND verified_at IS NOT NULL"
					  " AND ($3 IS NULL OR EXISTS (SELECT"
					  " FROM instance_env.dns_record"
					  "  WHERE domain OPERATOR(pg_catalog.=) $2"
					  " AND verified_at IS NULL))"))
		ereport(NOTICE,
				(DatumGetPointer(values[2]) != NULL ?
				 errmsg("DNS record \"%s\" of domain \"%s\" is not verified",
						TextDatumGetCString(values[2]), name) :
				 errmsg("no DNS record of domain \"%s\" is verified", name)));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Lock the instance, change the state of one record of its domain or of all,
 * and then that of the domain, by these statements; $1 is the instance, $2 the
 * domain, and $3 the record.  Record that under the given action, and return
 * whether anything has changed.  SPI is connected.
 */
static bool
change_state(const char *action, char *name, Datum *values,
			 const char *records, const char *domain)
{
	Oid			types[3] = {UUIDOID, TEXTOID, TEXTOID};
	Datum		before;
	char	   *status;
	uint64		changed;
	bool		isnull;

	ienv_require_production(values[0], &status);
	if (ienv_query(DOMAIN_STATE, 2, types, values, NULL) == 0)
		ienv_refuse_unassociated(values[0], name);
	before = ienv_result_datum(0, 1, &isnull);
	require_record(name, values);

	changed = ienv_query(records, 3, types, values, NULL);
	changed += ienv_query(domain, 3, types, values, NULL);
	if (changed == 0)
		return false;
	ienv_config_changed(values[0]);
	(void) ienv_query(DOMAIN_STATE, 2, types, values, NULL);
	ienv_record_event(action, NULL, DatumGetUUIDP(values[0]), name, before,
					  ienv_result_datum(0, 1, &isnull));
	return true;
}

/*
 * The arguments of both functions as values: the instance, the domain and the
 * record, or 0 for all.  A record is also known by its full name, as DNS shows
 * it.  Returns the domain.
 */
static char *
read_arguments(FunctionCallInfo fcinfo, Datum *values)
{
	char	   *name;
	char	   *record;
	Size		length;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "domain");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = (Datum) 0;
	name = TextDatumGetCString(values[1]);
	ienv_check_name(name);
	if (PG_ARGISNULL(2))
		return name;

	record = ienv_require_text(fcinfo, 2, "record", IENV_MAX_DOMAIN + 1);
	for (char *p = record; *p != '\0'; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	length = strlen(record);
	if (record[length - 1] == '.')
		record[--length] = '\0';
	if (length > strlen(name) && ienv_is_below(record, name))
		record[length - strlen(name) - 1] = '\0';
	values[2] = CStringGetTextDatum(record);
	return name;
}

/*
 * Refuse a record that the domain does not need.  SPI is connected.
 */
static void
require_record(const char *name, const Datum *values)
{
	Oid			types[3] = {UUIDOID, TEXTOID, TEXTOID};

	if (DatumGetPointer(values[2]) != NULL &&
		ienv_query("SELECT FROM instance_env.dns_record"
				   " WHERE domain OPERATOR(pg_catalog.=) $2"
				   " AND record OPERATOR(pg_catalog.=) $3", 3, types, values,
				   NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("domain \"%s\" needs no DNS record \"%s\"", name,
						TextDatumGetCString(values[2])),
				 errhint("The records that it needs are listed by instance_env.dns_records().")));
}
