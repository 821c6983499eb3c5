/*-------------------------------------------------------------------------
 *
 * find.c
 *	  Finding an instance by the names of its application and environment.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"

/* How many bytes of an invalid name to show in a message */
#define MAX_NAME_SHOWN	64

PG_FUNCTION_INFO_V1(instance_env_instance_id);

/*
 * The type of instance that a name stands for, or error 22I02.
 */
static IenvType
environment_type(const char *name)
{
	if (strcmp(name, "development") == 0)
		return IENV_DEVELOPMENT;
	if (strcmp(name, "production") == 0)
		return IENV_PRODUCTION;
	ereport(ERROR,
			(errcode(ERRCODE_IENV_INVALID_TYPE),
			 errmsg("invalid environment type: \"%s\"",
					pnstrdup(name,
							 pg_mbcliplen(name, strlen(name),
										  MAX_NAME_SHOWN))),
			 errdetail("An application has a development and a production instance, and no other."),
			 strcmp(name, "preview") == 0 ?
			 errhint("A preview deployment uses one of the two; see instance_env.instance_for_host().") :
			 errhint("For another environment, such as staging, create a separate application with instance_env.create_staging_application().")));
}

/*
 * instance_id(application text, type text) RETURNS uuid
 *
 * Strict.  If the type is given as a literal, this function is called, not the
 * one that takes an instance_type.
 */
Datum
instance_env_instance_id(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	bool		isnull = true;
	Datum		result = (Datum) 0;

	(void) environment_type(TextDatumGetCString(values[1]));

	SPI_connect();
	if (SPI_execute_with_args("SELECT i.id FROM instance_env.instance i"
							  " JOIN instance_env.application a"
							  "  ON a.id OPERATOR(pg_catalog.=) i.application"
							  " WHERE a.name OPERATOR(pg_catalog.=) $1"
							  "  AND i.type OPERATOR(pg_catalog.=)"
							  " $2::instance_env.instance_type",
							  2, types, values, NULL, true, 1) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not look up an instance");
	if (SPI_processed > 0)
	{
		result = ienv_returned_uuid(1);
		isnull = false;
	}
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
