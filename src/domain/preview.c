/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  Which instance serves a host: previews.
 *
 * A host at or below a domain of production, or elsewhere below that domain's
 * root, shares production's data; any other gets development's, since
 * production keys do not work there.  The status of production does not
 * matter: development keys do not belong on its domain.  A name below the root
 * that is the domain of another application, a staging environment, belongs to
 * that application.
 *
 * Applications ask on every request, so the names that matter to an
 * application are cached, sorted, and a host takes only a few binary searches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

/* 80 bytes per entry, and about 50 for each domain. */
#define CACHE_ENTRIES	4096

typedef struct HostName
{
	const char *name;
	bool		mine;			/* of names: this application's; of roots: the
								 * whole root is */
} HostName;

typedef struct HostEntry
{
	pg_uuid_t	application;	/* hash key, must be first */
	bool		filled;
	pg_uuid_t	instances[2];	/* by IenvType */
	int			nnames;
	int			nroots;
	HostName   *names;			/* every application's domains below the
								 * roots, sorted */
	HostName   *roots;			/* of this application's domains, sorted */
} HostEntry;

static IenvCache cache = {
	.name = "instance_env hosts",
	.keysize = sizeof(pg_uuid_t),
	.entrysize = sizeof(HostEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"domain", "instance", "application"}
};

static HostEntry *entry_of(Datum application);
static HostEntry *read_entry(Datum application);
static void fill_entry(HostEntry *entry, SPITupleTable *instances,
					   SPITupleTable *names, uint64 n);
static IenvType decide(const HostEntry *entry, const char *host,
					   const char **reason);

PG_FUNCTION_INFO_V1(instance_env_instance_for_host);
PG_FUNCTION_INFO_V1(instance_env_check_preview);

IENV_BY_NAME(instance_for_host, ienv_find_application);
IENV_BY_NAME(check_preview, ienv_find_application);

/*
 * instance_for_host(application uuid, host text) RETURNS uuid
 */
Datum
instance_env_instance_for_host(PG_FUNCTION_ARGS)
{
	char		host[IENV_MAX_DOMAIN + 1];
	HostEntry  *entry;
	const char *reason;
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	ienv_require_argument(fcinfo, 0, "application");
	ienv_require_argument(fcinfo, 1, "host");
	ienv_parse_host(PG_GETARG_TEXT_PP(1), host);
	entry = entry_of(PG_GETARG_DATUM(0));
	*result = entry->instances[decide(entry, host, &reason)];
	PG_RETURN_UUID_P(result);
}

/*
 * check_preview(application uuid, host text)
 * RETURNS record (instance_id, instance_type, reason)
 */
Datum
instance_env_check_preview(PG_FUNCTION_ARGS)
{
	char		host[IENV_MAX_DOMAIN + 1];
	HostEntry  *entry;
	const char *reason;
	IenvType	type;
	TupleDesc	desc = fcinfo->flinfo->fn_extra;
	Datum		values[3];
	bool		nulls[3] = {false};

	ienv_require_argument(fcinfo, 0, "application");
	ienv_require_argument(fcinfo, 1, "host");
	if (desc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		desc = ienv_result_desc(fcinfo);
		fcinfo->flinfo->fn_extra = desc;
		MemoryContextSwitchTo(old);
	}

	ienv_parse_host(PG_GETARG_TEXT_PP(1), host);
	entry = entry_of(PG_GETARG_DATUM(0));
	type = decide(entry, host, &reason);
	values[0] = UUIDPGetDatum(&entry->instances[type]);
	values[1] = ObjectIdGetDatum(ienv_oids()->types[type]);
	values[2] = CStringGetTextDatum(reason);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * Is a host, in lower case, one that the application's production instance
 * serves?
 *
 * Runs no SQL if the application's domains are cached.
 */
bool
ienv_is_production_host(Datum application, const char *host)
{
	const char *reason;

	return decide(entry_of(application), host, &reason) == IENV_PRODUCTION;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const HostName *) a)->name, ((const HostName *) b)->name);
}

static const HostName *
find_name(const HostName *names, int n, const char *name)
{
	HostName	key = {name, false};

	return n == 0 ? NULL :
		bsearch(&key, names, n, sizeof(HostName), compare_names);
}

/*
 * Which type of instance serves a host, and why.
 */
static IenvType
decide(const HostEntry *entry, const char *host, const char **reason)
{
	const char *root;
	const HostName *found;

	if (host[0] == '[' ||
		(isdigit((unsigned char) host[strlen(host) - 1]) &&
		 ienv_is_ip_address(host)))
	{
		*reason = "ip_address";
		return IENV_DEVELOPMENT;
	}

	/*
	 * The longest domain that the host equals or is below; failing that, the
	 * root.
	 */
	root = ienv_domain_root(host);
	for (const char *name = host;; name = strchr(name, '.') + 1)
	{
		found = find_name(entry->names, entry->nnames, name);
		if (found != NULL)
		{
			*reason = !found->mine ? "other_application" : name == host ?
				"production_domain" : "production_root";
			return found->mine ? IENV_PRODUCTION : IENV_DEVELOPMENT;
		}
		if (name >= root)
			break;
	}
	found = find_name(entry->roots, entry->nroots, root);
	if (found != NULL && found->mine)
	{
		*reason = "production_root";
		return IENV_PRODUCTION;
	}

	if (strchr(host, '.') == NULL || ienv_is_reserved_name(host))
		*reason = "local";
	else if (ienv_is_hosting_name(host))
		*reason = "hosting_provider";
	else if (ienv_is_service_name(host))
		*reason = "service_domain";
	else
		*reason = "other_root";
	return IENV_DEVELOPMENT;
}

static HostEntry *
entry_of(Datum application)
{
	HostEntry  *entry = ienv_cache_find(&cache, DatumGetUUIDP(application));

	return entry != NULL && entry->filled ? entry : read_entry(application);
}

static HostEntry *
read_entry(Datum application)
{
	Oid			type = UUIDOID;
	SPITupleTable *instances;
	HostEntry  *entry;
	IenvOwner	saved;
	uint64		since;
	uint64		n;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);
		n = ienv_query_latest("SELECT i.id, a.staging_of IS NOT NULL"
							  " FROM instance_env.application a"
							  "  JOIN instance_env.instance i"
							  " ON i.application OPERATOR(pg_catalog.=) a.id"
							  " WHERE a.id OPERATOR(pg_catalog.=) $1"
							  " ORDER BY i.type",
							  1, &type, &application, NULL);
		ienv_require_application(n, application);
		if (n != 2)
			elog(ERROR, "application has %llu instances",
				 (unsigned long long) n);
		instances = SPI_tuptable;

		/*
		 * Below each of its roots: every domain, whether it is its own, and
		 * whether all are.
		 */
		n = ienv_query_latest("SELECT n.name, n.mine, n.root,"
							  " pg_catalog.bool_and(n.mine) OVER (PARTITION BY"
							  " n.root)"
							  " FROM (SELECT d.name,"
							  " i.application OPERATOR(pg_catalog.=) $1 AS"
							  " mine,"
							  "   instance_env.domain_root(d.name) AS root"
							  "  FROM instance_env.domain d"
							  "   JOIN instance_env.instance i"
							  " ON i.id OPERATOR(pg_catalog.=) d.instance"
							  "  WHERE instance_env.domain_root(d.name)"
							  " OPERATOR(pg_catalog.=) ANY"
							  "   (SELECT instance_env.domain_root(m.name)"
							  " FROM instance_env.domain m"
							  "     JOIN instance_env.instance p"
							  " ON p.id OPERATOR(pg_catalog.=) m.instance"
							  "    WHERE p.application OPERATOR(pg_catalog.=)"
							  " $1)) n ORDER BY n.root",
							  1, &type, &application, NULL);
		entry = ienv_cache_enter(&cache, DatumGetUUIDP(application), since);
	} while (entry == NULL);
	ienv_leave_owner(&saved);
	fill_entry(entry, instances, SPI_tuptable, n);
	SPI_finish();
	return entry;
}

/*
 * Only a filled entry is used: if memory runs out on the way, it is filled
 * next time.
 */
static void
fill_entry(HostEntry *entry, SPITupleTable *instances, SPITupleTable *names,
		   uint64 n)
{
	bool		isnull;
	bool		staging = DatumGetBool(SPI_getbinval(instances->vals[0],
													 instances->tupdesc, 2,
													 &isnull));

	entry->filled = false;
	for (int i = 0; i < 2; i++)
		entry->instances[i] =
			*DatumGetUUIDP(SPI_getbinval(instances->vals[i],
										 instances->tupdesc, 1, &isnull));
	entry->nnames = entry->nroots = 0;
	entry->names = MemoryContextAllocHuge(cache.context,
										  (n + 1) * sizeof(HostName));
	entry->roots = MemoryContextAllocHuge(cache.context,
										  (n + 1) * sizeof(HostName));
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	tuple = names->vals[i];
		const char *name = MemoryContextStrdup(cache.context,
											   SPI_getvalue(tuple,
															names->tupdesc,
															1));
		bool		mine = DatumGetBool(SPI_getbinval(tuple, names->tupdesc, 2,
													  &isnull));
		bool		alone = DatumGetBool(SPI_getbinval(tuple, names->tupdesc,
													   4, &isnull));
		HostName   *root = &entry->roots[entry->nroots];

		entry->names[entry->nnames].name = name;
		entry->names[entry->nnames++].mine = mine;

		/* a root is a staging environment's only if no other is below it */
		root->name = ienv_domain_root(name);
		root->mine = !staging || alone;
		if (entry->nroots == 0 || strcmp(root[-1].name, root->name) != 0)
			entry->nroots++;
	}
	qsort(entry->names, entry->nnames, sizeof(HostName), compare_names);
	qsort(entry->roots, entry->nroots, sizeof(HostName), compare_names);
	entry->filled = true;
}
