/*-------------------------------------------------------------------------
 *
 * name.c
 *	  What the names of applications and external keys stand for.
 *
 * An application may ask on every request, so the answers are cached, also
 * that there is none: tables application and instance tell every backend when
 * a row is added to them.  As for other cached answers, the latest state
 * counts, not the one that the transaction's snapshot sees.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "registry/registry.h"

/* How many bytes of an invalid name to show in a message */
#define MAX_NAME_SHOWN	64

/* At least so much of a type's name says which one was meant */
#define MIN_ABBREVIATION	3

/*
 * Some 110 bytes per entry, dynahash's own included, and the name: 1 MB with
 * names of 150 bytes, and 9 MB at most.
 */
#define CACHE_ENTRIES	4096

/* What a name is of; each has its own query */
typedef enum NameKind
{
	OF_APPLICATION,
	OF_INSTANCE					/* an external key */
} NameKind;

/*
 * What the name of an application stands for: its own id, and those of its
 * instances, in the order of IenvType.  An external key has only the first
 * one.  Where a registry is being replicated, instances may be missing.
 */
#define IDS				3

typedef struct Named
{
	bool		exists[IDS];
	pg_uuid_t	ids[IDS];
} Named;

typedef struct NameEntry
{
	uint64		hash[2];		/* hash key, must be first; also of the kind */
	char	   *name;			/* in the cache's context */
	int			len;			/* -1: not filled in, because of an error */
	Named		named;
} NameEntry;

static IenvCache cache = {
	.name = "instance_env names",
	.keysize = 2 * sizeof(uint64),
	.entrysize = sizeof(NameEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"application", "instance"}
};

static IenvType environment_type(const char *name);
static const char *meant_type(const char *name);
static Datum id_of(FunctionCallInfo fcinfo, NameKind kind, int which);
static void find(NameKind kind, const text *name, Named *named);
static void read_name(NameKind kind, const text *name, Named *named);

PG_FUNCTION_INFO_V1(instance_env_application_id);
PG_FUNCTION_INFO_V1(instance_env_instance_id);
PG_FUNCTION_INFO_V1(instance_env_instance_id_by_type);
PG_FUNCTION_INFO_V1(instance_env_instance_by_key);

/*
 * application_id(name text) RETURNS uuid
 *
 * Strict, as are the following.
 */
Datum
instance_env_application_id(PG_FUNCTION_ARGS)
{
	return id_of(fcinfo, OF_APPLICATION, 0);
}

/*
 * instance_id(application text, type text) RETURNS uuid
 *
 * If the type is given as a literal, this function is called, not the one that
 * takes an instance_type.
 */
Datum
instance_env_instance_id(PG_FUNCTION_ARGS)
{
	char	   *type = text_to_cstring(PG_GETARG_TEXT_PP(1));

	return id_of(fcinfo, OF_APPLICATION, 1 + environment_type(type));
}

/*
 * instance_id(application text, type instance_type) RETURNS uuid
 */
Datum
instance_env_instance_id_by_type(PG_FUNCTION_ARGS)
{
	IenvType	type = IENV_DEVELOPMENT;

	if (PG_GETARG_OID(1) == ienv_oids()->types[IENV_PRODUCTION])
		type = IENV_PRODUCTION;
	return id_of(fcinfo, OF_APPLICATION, 1 + type);
}

/*
 * instance_by_key(external_key text) RETURNS uuid
 */
Datum
instance_env_instance_by_key(PG_FUNCTION_ARGS)
{
	return id_of(fcinfo, OF_INSTANCE, 0);
}

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
 * One of the ids that the first argument stands for, as the result of a
 * function.
 */
static Datum
id_of(FunctionCallInfo fcinfo, NameKind kind, int which)
{
	Named		named;
	pg_uuid_t  *id;

	find(kind, PG_GETARG_TEXT_PP(0), &named);
	if (!named.exists[which])
		PG_RETURN_NULL();
	id = palloc(sizeof(pg_uuid_t));
	*id = named.ids[which];
	PG_RETURN_UUID_P(id);
}

/*
 * Find the application with this name, or its production instance; false if
 * there is none.
 */
bool
ienv_named_application(const text *name, pg_uuid_t *id)
{
	Named		named;

	find(OF_APPLICATION, name, &named);
	*id = named.ids[0];
	return named.exists[0];
}

bool
ienv_named_production(const text *name, pg_uuid_t *id)
{
	Named		named;

	find(OF_APPLICATION, name, &named);
	*id = named.ids[1 + IENV_PRODUCTION];
	return named.exists[1 + IENV_PRODUCTION];
}

/*
 * Find what a name stands for, in the cache or else in the tables.
 *
 * The key of an entry is a hash that two names can have, so that the names are
 * compared, too.  Of these two, only the first is cached.
 */
static void
find(NameKind kind, const text *name, Named *named)
{
	const char *data = VARDATA_ANY(name);
	int			len = VARSIZE_ANY_EXHDR(name);
	uint64		hash[2];
	NameEntry  *entry;
	uint64		since;

	/* no name is so long, unless it was inserted by hand */
	if (len > IENV_MAX_NAME)
	{
		read_name(kind, name, named);
		return;
	}

	for (int i = 0; i < 2; i++)
		hash[i] = hash_bytes_extended((const unsigned char *) data, len,
									  2 * kind + i);
	entry = ienv_cache_find(&cache, hash);
	if (entry != NULL)
	{
		if (entry->len == len && memcmp(entry->name, data, len) == 0)
			*named = entry->named;
		else
			read_name(kind, name, named);
		return;
	}

	do
	{
		since = ienv_cache_time(&cache);
		read_name(kind, name, named);
		entry = ienv_cache_enter(&cache, hash, since);
	} while (entry == NULL);
	entry->len = -1;
	entry->name = MemoryContextAlloc(cache.context, Max(len, 1));
	memcpy(entry->name, data, len);
	entry->named = *named;
	entry->len = len;
}

/*
 * Read from the tables what a name stands for.
 */
static void
read_name(NameKind kind, const text *name, Named *named)
{
	Oid			type = TEXTOID;
	Datum		value = PointerGetDatum(name);
	IenvOwner	saved;
	const char *sql = kind == OF_INSTANCE ?
	"SELECT id, NULL::pg_catalog.uuid, NULL::pg_catalog.uuid"
	" FROM instance_env.instance"
	" WHERE external_key OPERATOR(pg_catalog.=) $1" :
	"SELECT a.id, d.id, p.id FROM instance_env.application a"
	" LEFT JOIN instance_env.instance d"
	"  ON d.application OPERATOR(pg_catalog.=) a.id"
	"  AND d.type OPERATOR(pg_catalog.=) 'development'"
	" LEFT JOIN instance_env.instance p"
	"  ON p.application OPERATOR(pg_catalog.=) a.id"
	"  AND p.type OPERATOR(pg_catalog.=) 'production'"
	" WHERE a.name OPERATOR(pg_catalog.=) $1";

	memset(named, 0, sizeof(Named));
	SPI_connect();
	ienv_become_owner(&saved);
	if (ienv_query_latest(sql, 1, &type, &value, NULL) > 0)
		for (int i = 0; i < IDS; i++)
		{
			bool		isnull;
			Datum		id = ienv_result_datum(0, i + 1, &isnull);

			named->exists[i] = !isnull;
			if (!isnull)
				named->ids[i] = *DatumGetUUIDP(id);
		}
	ienv_leave_owner(&saved);
	SPI_finish();
}
