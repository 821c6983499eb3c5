/*-------------------------------------------------------------------------
 *
 * instance.c
 *	  Instances: finding and locking one, and its status.
 *
 * These SQL functions are SECURITY DEFINER with a pinned search_path, so their
 * SQL runs as the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "registry/registry.h"

static void set_status(FunctionCallInfo fcinfo, const char *action,
					   const char *from, const char *to);

PG_FUNCTION_INFO_V1(instance_env_suspend_instance);
PG_FUNCTION_INFO_V1(instance_env_resume_instance);

/*
 * suspend_instance(instance uuid) RETURNS void
 */
Datum
instance_env_suspend_instance(PG_FUNCTION_ARGS)
{
	set_status(fcinfo, "suspend_instance", "active", "suspended");
	PG_RETURN_VOID();
}

/*
 * resume_instance(instance uuid) RETURNS void
 */
Datum
instance_env_resume_instance(PG_FUNCTION_ARGS)
{
	set_status(fcinfo, "resume_instance", "suspended", "active");
	PG_RETURN_VOID();
}

/*
 * Change the status of an instance, unless it already is as desired.
 */
static void
set_status(FunctionCallInfo fcinfo, const char *action, const char *from,
		   const char *to)
{
	Oid			types[3] = {UUIDOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char	   *status;

	ienv_require_argument(fcinfo, 0, "instance");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = CStringGetTextDatum(to);
	values[2] = CStringGetTextDatum(from);

	SPI_connect();
	(void) ienv_lock_instance(values[0], &status);
	if (strcmp(status, from) == 0)
	{
		(void) ienv_query("WITH r AS (UPDATE instance_env.instance"
						  " SET status = $2::instance_env.instance_status,"
						  " config_version ="
						  " config_version OPERATOR(pg_catalog.+) 1"
						  " WHERE id OPERATOR(pg_catalog.=) $1"
						  " RETURNING id)"
						  " SELECT pg_catalog.jsonb_build_object('status', $3),"
						  "  pg_catalog.jsonb_build_object('status', $2)"
						  " FROM r", 3,
						  types, values, NULL);
		ienv_record_returned(action, NULL, DatumGetUUIDP(values[0]), NULL);
	}
	else if (strcmp(status, to) != 0)
	{
		const char *application = ienv_application_sentence(values[0], true);

		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("instance %s is not active",
						ienv_instance_text(values[0], true)),
				 errdetail("A production instance is inactive until its application is promoted.%s",
						   application),
				 errhint("Promote its application with instance_env.promote().")));
	}
	SPI_finish();
}

/*
 * The instance with this id, or error 23I03.
 */
IenvInstance
ienv_require_instance(Datum id)
{
	IenvInstance *instance = ienv_instance_by_value(id, true, true);

	if (instance == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_UNKNOWN_INSTANCE),
				 errmsg("instance %s does not exist",
						ienv_instance_text(id, true)),
				 ienv_errhint_view("instances",
								   "All instances are in view instance_env.instances.")));
	return *instance;
}

/*
 * The same, locked against change until the transaction ends; *status is taken
 * from the locked row.  SPI is connected.
 *
 * The instance is looked up with a fresh snapshot but locked with the
 * transaction's, which may be older.
 */
IenvInstance
ienv_lock_instance(Datum id, char **status)
{
	IenvInstance instance = ienv_require_instance(id);
	Oid			type = UUIDOID;

	if (ienv_query("SELECT status FROM instance_env.instance"
				   " WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
				   1, &type, &id, NULL) != 1)
	{
		(void) ienv_require_instance(id);
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("instance %s has been created concurrently",
						ienv_instance_text(id, true)),
				 errhint("Repeat the transaction.")));
	}
	*status = ienv_result_text(0, 1);
	return instance;
}

/*
 * The external key of an instance that the caller has locked, or that the
 * transaction's snapshot sees.  SPI is connected.
 */
Datum
ienv_external_key(Datum instance)
{
	Oid			type = UUIDOID;
	bool		isnull;

	ienv_query_one("SELECT external_key FROM instance_env.instance"
				   " WHERE id OPERATOR(pg_catalog.=) $1",
				   1, &type, &instance);
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * Increment an instance's config_version, because its configuration has
 * changed.  SPI is connected.
 */
void
ienv_config_changed(Datum instance)
{
	Oid			type = UUIDOID;

	(void) ienv_query("UPDATE instance_env.instance"
					  " SET config_version ="
					  " config_version OPERATOR(pg_catalog.+) 1"
					  " WHERE id OPERATOR(pg_catalog.=) $1", 1, &type,
					  &instance, NULL);
}
