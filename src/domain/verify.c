/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Recording that the DNS records of a domain have been verified.
 *
 * The database queries no name server: the caller has, and says what it found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

static bool verify_records(Datum name, Datum record);

PG_FUNCTION_INFO_V1(instance_env_verify_domain);

/*
 * verify_domain(instance uuid, domain text, record text) RETURNS void
 *
 * The caller has checked the domain's DNS, which the database cannot do.  A
 * null record means all of them; the domain is verified once they all are.
 */
Datum
instance_env_verify_domain(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	Datum		before;
	char	   *name;
	char	   *status;
	bool		changed;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "domain");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	name = TextDatumGetCString(values[1]);
	ienv_check_domain(name);
	if (!PG_ARGISNULL(2))
		(void) ienv_require_text(fcinfo, 2, "record", IENV_MAX_DOMAIN);

	/* a domain with the state of its records, for the audit log */
#define DOMAIN_STATE \
	"SELECT pg_catalog.to_jsonb(d) OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('records'," \
	"  (SELECT pg_catalog.jsonb_object_agg(r.record, r.verified_at) FROM instance_env.dns_record r" \
	"   WHERE r.domain OPERATOR(pg_catalog.=) d.name))" \
	" FROM instance_env.domain d" \
	" WHERE d.instance OPERATOR(pg_catalog.=) $1 AND d.name OPERATOR(pg_catalog.=) $2"

	SPI_connect();
	ienv_require_production(values[0], &status);
	if (ienv_query(DOMAIN_STATE, 2, types, values, NULL) == 0)
		ienv_refuse_unassociated(values[0], name);
	before = ienv_result_datum(0, 1, &isnull);

	changed = verify_records(values[1],
							 PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2));
	if (ienv_query("UPDATE instance_env.domain"
				   " SET verified_at = pg_catalog.now()"
				   " WHERE instance OPERATOR(pg_catalog.=) $1"
				   " AND name OPERATOR(pg_catalog.=) $2"
				   " AND verified_at IS NULL AND NOT EXISTS (SELECT"
				   " FROM instance_env.dns_record"
				   "  WHERE domain OPERATOR(pg_catalog.=) $2"
				   " AND verified_at IS NULL)",
				   2, types, values, NULL) > 0)
		changed = true;
	if (changed)
	{
		ienv_config_changed(values[0]);
		(void) ienv_query(DOMAIN_STATE, 2, types, values, NULL);
		ienv_record_event("verify_domain", NULL, DatumGetUUIDP(values[0]),
						  name, before,
						  ienv_result_datum(0, 1, &isnull));
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Record that one DNS record, or all, have been verified.  Returns whether
 * that changes anything.
 */
static bool
verify_records(Datum name, Datum record)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	const char *nulls = DatumGetPointer(record) == NULL ? " n" : NULL;

	values[0] = name;
	values[1] = record;
	if (nulls == NULL &&
		ienv_query("SELECT FROM instance_env.dns_record"
				   " WHERE domain OPERATOR(pg_catalog.=) $1"
				   " AND record OPERATOR(pg_catalog.=) $2", 2, types, values,
				   NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("domain \"%s\" needs no DNS record \"%s\"",
						TextDatumGetCString(name),
						TextDatumGetCString(record)),
				 errhint("The records that it needs are listed by instance_env.dns_records().")));
	return ienv_query("UPDATE instance_env.dns_record"
					  " SET verified_at = pg_catalog.now()"
					  " WHERE domain OPERATOR(pg_catalog.=) $1"
					  " AND verified_at IS NULL"
					  " AND ($2 IS NULL OR record OPERATOR(pg_catalog.=) $2)",
					  2, types, values, nulls) > 0;
}
