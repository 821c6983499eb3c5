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
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "registry/registry.h"

/* Some 350 bytes per entry, and 5 MB at most, with names of 2 kB. */
#define CACHE_ENTRIES	1024

typedef struct InfoEntry
{
	pg_uuid_t	instance;		/* hash key, must be first */
	HeapTupleHeader info;		/* what instance_info() returns, in the
								 * cache's context; NULL after an error */
	Size		size;			/* in bytes */
} InfoEntry;

/* what view instances reads; policy_default counts as table instance */
static IenvCache cache = {
	.name = "instance_env info",
	.keysize = sizeof(pg_uuid_t),
	.entrysize = sizeof(InfoEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"application", "instance", "domain"}
};

static InfoEntry *read_info(FunctionCallInfo fcinfo);
static bool uuid_of_text(const char *string, pg_uuid_t *uuid);
static bool find_id(const char *sql, Datum value, Oid type, pg_uuid_t *id);
static Datum uuid_datum(const pg_uuid_t *uuid);

PG_FUNCTION_INFO_V1(instance_env_instance_info);

/*
 * instance_info(instance uuid) RETURNS record (application, application_id,
 *				 type, status, user_cap, plan, slug, domain, external_key,
 *				 cap_mode)
 */
Datum
instance_env_instance_info(PG_FUNCTION_ARGS)
{
	InfoEntry  *entry;

	ienv_require_argument(fcinfo, 0, "instance");
	entry = ienv_cache_find(&cache, PG_GETARG_UUID_P(0));
	if (entry == NULL || entry->info == NULL)
		entry = read_info(fcinfo);
	PG_RETURN_HEAPTUPLEHEADER(memcpy(palloc(entry->size), entry->info,
									 entry->size));
}

/*
 * Read into the cache what an instance is.
 */
static InfoEntry *
read_info(FunctionCallInfo fcinfo)
{
	Oid			type = UUIDOID;
	Datum		instance = PG_GETARG_DATUM(0);
	TupleDesc	desc = ienv_result_desc(fcinfo);
	IenvOwner	saved;
	uint64		since;
	InfoEntry  *entry;
	Datum		info;
	MemoryContext old;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);
		(void) ienv_require_instance(instance);
		if (ienv_query_latest("SELECT application, application_id, type,"
							  " status, user_cap, plan, slug, domain,"
							  " external_key, cap_mode"
							  " FROM instance_env.instances"
							  " WHERE instance_id OPERATOR(pg_catalog.=) $1",
							  1, &type, &instance, NULL) != 1)
			elog(ERROR, "instance %s has no application",
				 ienv_instance_text(instance, true));
		entry = ienv_cache_enter(&cache, DatumGetUUIDP(instance), since);
	} while (entry == NULL);
	entry->info = NULL;
	old = MemoryContextSwitchTo(cache.context);
	info = heap_copy_tuple_as_datum(SPI_tuptable->vals[0], desc);
	MemoryContextSwitchTo(old);
	entry->info = DatumGetHeapTupleHeader(info);
	entry->size = HeapTupleHeaderGetDatumLength(entry->info);
	ienv_leave_owner(&saved);
	SPI_finish();
	return entry;
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
	if (ienv_named_application(PG_GETARG_TEXT_PP(0), &id) ||
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
		ienv_named_production(PG_GETARG_TEXT_PP(0), &id) ||
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
