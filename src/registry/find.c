/*-------------------------------------------------------------------------
 *
 * find.c
 *	  Finding applications and instances by the names that people use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "registry/registry.h"

/* How many bytes of an invalid name to show in a message */
#define MAX_NAME_SHOWN	64

/* At least so much of a type's name says which one was meant */
#define MIN_ABBREVIATION	3

static const char *meant_type(const char *name);
static bool uuid_of_text(const char *string, pg_uuid_t *uuid);
static bool find_id(const char *sql, Datum value, Oid type, pg_uuid_t *id);
static Datum uuid_datum(const pg_uuid_t *uuid);

PG_FUNCTION_INFO_V1(instance_env_instance_id);
PG_FUNCTION_INFO_V1(instance_env_instance_info);

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
			 meant_type(name) != NULL ?
			 errhint("Perhaps you meant \"%s\".", meant_type(name)) :
			 strcmp(name, "preview") == 0 ?
			 errhint("A preview deployment uses one of the two; see instance_env.instance_for_host().") :
			 errhint("For another environment, such as staging, create a separate application with instance_env.create_staging_application().")));
}

/*
 * The type of instance that somebody has probably meant, or NULL.
 */
static const char *
meant_type(const char *name)
{
	static const char *const types[] = {"development", "production"};

	for (int i = 0; i < lengthof(types); i++)
		if (strlen(name) >= MIN_ABBREVIATION &&
			pg_strncasecmp(name, types[i], strlen(name)) == 0)
			return types[i];
	return pg_strcasecmp(name, "live") == 0 ? "production" : NULL;
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

/*
 * instance_info(instance uuid) RETURNS record (application, application_id,
 *				 type, status, user_cap, plan, slug, domain, external_key,
 *				 cap_mode)
 */
Datum
instance_env_instance_info(PG_FUNCTION_ARGS)
{
	Oid			type = UUIDOID;
	Datum		instance;
	TupleDesc	desc;
	HeapTuple	row;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	desc = ienv_result_desc(fcinfo);

	SPI_connect();
	(void) ienv_require_instance(instance);
	if (ienv_query_latest("SELECT application, application_id, type, status,"
						  " user_cap, plan, slug, domain, external_key, cap_mode"
						  " FROM instance_env.instances"
						  " WHERE instance_id OPERATOR(pg_catalog.=) $1",
						  1, &type, &instance, NULL) != 1)
		elog(ERROR, "instance %s has no application",
			 ienv_instance_text(instance, true));
	row = SPI_copytuple(SPI_tuptable->vals[0]);
	SPI_finish();
	PG_RETURN_DATUM(heap_copy_tuple_as_datum(row, desc));
}

/*
 * For a function that takes an application's name where another one of the
 * same name takes its id: replace the first argument by the id.
 *
 * PostgreSQL takes a literal of unknown type for a text, so the argument may
 * also be an id.  What can be one is looked for as an id first: otherwise an
 * application could be given a name that makes others take it for another.
 */
void
ienv_find_application(FunctionCallInfo fcinfo)
{
	pg_uuid_t	id;
	char	   *name;

	if (PG_ARGISNULL(0))
		return;
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (uuid_of_text(name, &id) &&
		find_id("SELECT id FROM instance_env.application"
				" WHERE id OPERATOR(pg_catalog.=) $1",
				UUIDPGetDatum(&id), UUIDOID, &id))
	{
		fcinfo->args[0].value = uuid_datum(&id);
		return;
	}
	if (find_id("SELECT id FROM instance_env.application"
				" WHERE name OPERATOR(pg_catalog.=) $1",
				PG_GETARG_DATUM(0), TEXTOID, &id) ||
		uuid_of_text(name, &id))
	{
		fcinfo->args[0].value = uuid_datum(&id);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("application \"%s\" does not exist", ienv_clipped(name)),
			 ienv_errhint_view("applications",
							   "All applications are in view instance_env.applications.")));
}

/*
 * For a function that takes an application's name where another one of the
 * same name takes an instance's id: replace the first argument by the id of
 * the production instance.  As above, it may also be an id, of an instance or
 * of an application.
 */
void
ienv_find_production(FunctionCallInfo fcinfo)
{
	pg_uuid_t	id;
	char	   *name;

	if (PG_ARGISNULL(0))
		return;
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if ((uuid_of_text(name, &id) &&
		 (ienv_instance_by_value(UUIDPGetDatum(&id), true, true) != NULL ||
		  find_id("SELECT id FROM instance_env.instance"
				  " WHERE application OPERATOR(pg_catalog.=) $1"
				  " AND type OPERATOR(pg_catalog.=) 'production'",
				  UUIDPGetDatum(&id), UUIDOID, &id))) ||
		find_id("SELECT i.id FROM instance_env.instance i"
				" JOIN instance_env.application a"
				"  ON a.id OPERATOR(pg_catalog.=) i.application"
				" WHERE a.name OPERATOR(pg_catalog.=) $1"
				"  AND i.type OPERATOR(pg_catalog.=) 'production'",
				PG_GETARG_DATUM(0), TEXTOID, &id) ||
		uuid_of_text(name, &id))
	{
		fcinfo->args[0].value = uuid_datum(&id);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("application \"%s\" does not exist", ienv_clipped(name)),
			 errhint("Give the name of an application, or the id of an instance.")));
}

/*
 * The uuid that a text stands for; false if it stands for none.  (uuid_in()
 * would raise an error.)
 */
static bool
uuid_of_text(const char *string, pg_uuid_t *uuid)
{
	int			length = strlen(string);
	bool		braces = length > 2 && string[0] == '{' &&
	string[length - 1] == '}';
	const char *p = braces ? string + 1 : string;
	int			digits = 0;

	for (const char *end = string + length - braces; p < end; p++)
		if (isxdigit((unsigned char) *p))
			digits++;
		else if (*p != '-' || digits == 0 || digits % 4 != 0 || p[-1] == '-' ||
				 digits >= 2 * UUID_LEN)
			return false;
	if (digits != 2 * UUID_LEN)
		return false;
	*uuid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in,
											   CStringGetDatum(string)));
	return true;
}

/*
 * The id that a query finds by one value, as it is now; false if there is
 * none.
 */
static bool
find_id(const char *sql, Datum value, Oid type, pg_uuid_t *id)
{
	IenvOwner	saved;
	bool		found;
	bool		isnull;

	SPI_connect();
	ienv_become_owner(&saved);
	found = ienv_query_latest(sql, 1, &type, &value, NULL) > 0;
	if (found)
		*id = *DatumGetUUIDP(ienv_result_datum(0, 1, &isnull));
	ienv_leave_owner(&saved);
	SPI_finish();
	return found;
}

/*
 * A call with arguments of its own, to be made instead.
 */
FunctionCallInfo
ienv_copy_call(FunctionCallInfo fcinfo)
{
	Size		size = SizeForFunctionCallInfo(fcinfo->nargs);

	return memcpy(palloc(size), fcinfo, size);
}

static Datum
uuid_datum(const pg_uuid_t *uuid)
{
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = *uuid;
	return UUIDPGetDatum(copy);
}
