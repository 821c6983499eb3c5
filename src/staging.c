/*-------------------------------------------------------------------------
 *
 * staging.c
 *	  Environments beyond development and production: a staging environment is an
 *	  application of its own.
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

#include "instance_env.h"

/* How many bytes of a name that is none a message shows */
#define MAX_NAME_SHOWN	64

/* In bytes */
#define MAX_NAME_LENGTH	255

static Datum copy_uuid(int column);

PG_FUNCTION_INFO_V1(instance_env_instance_id);
PG_FUNCTION_INFO_V1(instance_env_create_staging_application);

/*
 * The type of instance that a name means, or error 22I02.
 */
IenvType
ienv_environment_type(const char *name)
{
	if (strcmp(name, "development") == 0)
		return IENV_DEVELOPMENT;
	if (strcmp(name, "production") == 0)
		return IENV_PRODUCTION;
	ereport(ERROR,
			(errcode(ERRCODE_IENV_INVALID_TYPE),
			 errmsg("invalid environment type: \"%s\"",
					pnstrdup(name, pg_mbcliplen(name, strlen(name), MAX_NAME_SHOWN))),
			 errdetail("An application has a development and a production instance, and no other."),
			 strcmp(name, "preview") == 0 ?
			 errhint("A preview deployment uses one of the two, see instance_env.instance_for_host().") :
			 errhint("For another environment, such as staging, create a separate application with instance_env.create_staging_application().")));
}

/*
 * instance_id(application text, type text) RETURNS uuid
 *
 * Strict.  Where a type is given as a literal this is what is called, not the function
 * that takes an instance_type.
 */
Datum
instance_env_instance_id(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	bool		isnull = true;
	Datum		result = (Datum) 0;

	(void) ienv_environment_type(TextDatumGetCString(values[1]));

	SPI_connect();
	if (SPI_execute_with_args("SELECT i.id FROM instance_env.instance i JOIN instance_env.application a"
							  "  ON a.id OPERATOR(pg_catalog.=) i.application"
							  " WHERE a.name OPERATOR(pg_catalog.=) $1"
							  "  AND i.type OPERATOR(pg_catalog.=) $2::instance_env.instance_type",
							  2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up an instance");
	if (SPI_processed > 0)
	{
		result = copy_uuid(1);
		isnull = false;
	}
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/*
 * A uuid of the row that the last query returned, in memory that outlives SPI.
 */
static Datum
copy_uuid(int column)
{
	bool		isnull;

	return SPI_datumTransfer(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull),
							 false, UUID_LEN);
}

/*
 * create_staging_application(application uuid, domain text, name text)
 * RETURNS record (application_id, development_id, production_id)
 *
 * Each of its instances gets the configuration of the original's instance of the same
 * type, as far as promotion would clone it.
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
		(void) ienv_require_text(fcinfo, 2, "name", MAX_NAME_LENGTH);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	original = PG_GETARG_DATUM(0);

	SPI_connect();
	application = ienv_lock_application(original);

	values[0] = original;
	values[1] = PG_ARGISNULL(2) ? CStringGetTextDatum(psprintf("%s staging", application.name)) : PG_GETARG_DATUM(2);
	if (ienv_query("SELECT c.application_id, c.development_id, c.production_id FROM instance_env.application a,"
				   " LATERAL instance_env.create_application(name => $2, plan => a.plan) c"
				   " WHERE a.id OPERATOR(pg_catalog.=) $1", 2, types, values, NULL) != 1)
		elog(ERROR, "the application is locked but gone");
	for (int i = 0; i < 3; i++)
		result[i] = copy_uuid(i + 1);

	/* first the link, for the domain may lie below the original's */
	values[2] = result[0];
	(void) ienv_query("UPDATE instance_env.application SET staging_of = $1 WHERE id OPERATOR(pg_catalog.=) $3",
					  3, types, values, NULL);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = result[2];
	(void) ienv_query("SELECT instance_env.associate_domain($3, $2, true)", 3, types, values, NULL);

	values[0] = result[0];
	(void) ienv_query("SELECT pg_catalog.jsonb_build_object('staging_of', staging_of)"
					  " FROM instance_env.application WHERE id OPERATOR(pg_catalog.=) $1", 1, types, values, NULL);
	ienv_record_event("create_staging_application", DatumGetUUIDP(result[0]), NULL, NULL, (Datum) 0,
					  SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &missing));

	for (int i = 0; i < 2; i++)
		ienv_record_changes("create_staging_application", result[0], result[i + 1],
							ienv_clone_configuration(application.instances[i], result[i + 1]));
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, result, isnull)));
}
