/*-------------------------------------------------------------------------
 *
 * staging.c
 *	  Environments beyond development and production: a staging environment is
 *	  an application of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "config/config.h"
#include "registry/registry.h"

static Datum default_name(const char *original);

PG_FUNCTION_INFO_V1(instance_env_create_staging_application);

IENV_BY_NAME(create_staging_application, ienv_find_application);

/*
 * create_staging_application(application uuid, domain text, name text)
 * RETURNS record (application_id, development_id, production_id)
 *
 * Each of its instances gets the configuration of the original's instance of
 * the same type, as far as promotion would clone it.
 */
Datum
instance_env_create_staging_application(PG_FUNCTION_ARGS)
{
	Datum		original;
	IenvApplication application;
	Oid			types[3] = {UUIDOID, TEXTOID, UUIDOID};
	Datum		values[3];
	Datum		result[3];
	bool		isnull[3] = {false};
	bool		missing;
	TupleDesc	desc;

	ienv_require_argument(fcinfo, 0, "application");
	ienv_require_argument(fcinfo, 1, "domain");
	if (!PG_ARGISNULL(2))
		(void) ienv_require_name(fcinfo, 2, "name");
	desc = ienv_result_desc(fcinfo);
	original = PG_GETARG_DATUM(0);

	SPI_connect();
	application = ienv_lock_application(original);

	values[0] = original;
	values[1] = PG_ARGISNULL(2) ? default_name(application.name) :
		PG_GETARG_DATUM(2);
	ienv_query_one("SELECT c.application_id, c.development_id, c.production_id"
				   " FROM instance_env.application a,"
				   " LATERAL instance_env.create_application(name => $2,"
				   " plan => a.plan) c"
				   " WHERE a.id OPERATOR(pg_catalog.=) $1", 2, types, values);
	for (int i = 0; i < 3; i++)
		result[i] = ienv_returned_uuid(i + 1);

	/* first the link, because the domain may be below the original's */
	values[2] = result[0];
	(void) ienv_query("UPDATE instance_env.application SET staging_of = $1"
					  " WHERE id OPERATOR(pg_catalog.=) $3",
					  3, types, values, NULL);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = result[2];
	(void) ienv_query("SELECT instance_env.associate_domain($3, $2, true)", 3,
					  types, values, NULL);

	values[0] = result[0];
	(void) ienv_query("SELECT pg_catalog.jsonb_build_object('staging_of',"
					  " staging_of)"
					  " FROM instance_env.application"
					  " WHERE id OPERATOR(pg_catalog.=) $1", 1, types, values,
					  NULL);
	ienv_record_event("create_staging_application", DatumGetUUIDP(result[0]),
					  NULL, NULL, (Datum) 0,
					  ienv_result_datum(0, 1, &missing));

	for (int i = 0; i < lengthof(application.instances); i++)
		ienv_record_changes("create_staging_application", result[0],
							result[i + 1],
							ienv_clone_configuration(application.instances[i],
													 result[i + 1]));
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, result, isnull)));
}

/*
 * The default name of the staging application of the one that is called
 * original, as a text.
 */
static Datum
default_name(const char *original)
{
	char	   *name = psprintf("%s staging", original);

	if (strlen(name) > IENV_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the staging application needs a name of its own"),
				 errdetail("The default, the application's name with \"staging\" after it, would be longer than %d bytes.",
						   IENV_MAX_NAME),
				 errhint("Give it as argument \"name\".")));
	return CStringGetTextDatum(name);
}
