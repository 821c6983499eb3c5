/*-------------------------------------------------------------------------
 *
 * service.c
 *	  The names of the service itself: its domains, the labels of its hosts,
 *	  the DNS records that lead to it, and the prefixes of its keys.
 *
 * They are rows of table service, which come with the extension and describe
 * the service whose page it implements.  None is repeated in C: a missing row
 * is an error.  service_set.c in domain/ changes them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"

#include "base/base.h"
#include "registry/registry.h"

typedef struct ServiceEntry
{
	uint32		key;			/* hash key, must be first; there is one entry */
	bool		complete;		/* false: filling it has failed */
	IenvService service;
} ServiceEntry;

static IenvCache cache = {
	.name = "instance_env service",
	.keysize = sizeof(uint32),
	.entrysize = sizeof(ServiceEntry),
	.max_entries = 1,
	.tables = {"service"}
};

/* What is a single text: the row's name, the key within it, and where it goes */
static const struct
{
	const char *name;
	const char *key;			/* NULL: the row's value is a string */
	bool		optional;
	Size		offset;
}			fields[] = {
	{"development_domain", NULL, false, offsetof(IenvService, development_domain)},
	{"frontend_api_label", NULL, false, offsetof(IenvService, frontend_api_label)},
	{"frontend_api_target", NULL, false, offsetof(IenvService, frontend_api_target)},
	{"oauth_callback_path", NULL, false, offsetof(IenvService, oauth_callback_path)},
	{"portal_label", NULL, false, offsetof(IenvService, portal_label)},
	{"portal_target", NULL, false, offsetof(IenvService, portal_target)},
	{"publishable_key_prefixes", "development", false, offsetof(IenvService, publishable[IENV_DEVELOPMENT])},
	{"publishable_key_prefixes", "production", false, offsetof(IenvService, publishable[IENV_PRODUCTION])},
	{"secret_key_prefixes", "development", false, offsetof(IenvService, secret[IENV_DEVELOPMENT])},
	{"secret_key_prefixes", "production", false, offsetof(IenvService, secret[IENV_PRODUCTION])},
	{"legacy_key_prefixes", "development", true, offsetof(IenvService, legacy[IENV_DEVELOPMENT])},
	{"legacy_key_prefixes", "production", true, offsetof(IenvService, legacy[IENV_PRODUCTION])}
};

static void fill(ServiceEntry *entry, SPITupleTable *rows, uint64 n);
static void require_fields(const IenvService *service);

/*
 * The names of the service, valid until the next call.  Runs no SQL if they
 * are cached.
 */
const IenvService *
ienv_service(void)
{
	const uint32 key = 0;
	ServiceEntry *entry = ienv_cache_find(&cache, &key);
	IenvOwner	saved;
	uint64		since;
	uint64		n;

	if (entry != NULL && entry->complete)
		return &entry->service;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);

		/* a string, the strings of an array, or the members of an object */
		n = ienv_query_latest("SELECT s.name, e.key, e.value"
							  " FROM instance_env.service s,"
							  " LATERAL (SELECT NULL::pg_catalog.text AS key,"
							  "   s.value OPERATOR(pg_catalog.#>>) '{}' AS"
							  " value"
							  "  WHERE pg_catalog.jsonb_typeof(s.value)"
							  " OPERATOR(pg_catalog.=) 'string'"
							  " UNION ALL SELECT NULL, a.value FROM"
							  " pg_catalog.jsonb_array_elements_text(CASE WHEN"
							  " pg_catalog.jsonb_typeof(s.value)"
							  " OPERATOR(pg_catalog.=) 'array'"
							  " THEN s.value ELSE '[]' END)"
							  " AS a (value)"
							  " UNION ALL SELECT o.key, o.value FROM"
							  " pg_catalog.jsonb_each_text(CASE WHEN"
							  " pg_catalog.jsonb_typeof(s.value)"
							  " OPERATOR(pg_catalog.=) 'object'"
							  " THEN s.value ELSE '{}' END)"
							  " AS o (key, value)) e"
							  " WHERE e.value IS NOT NULL"
							  " ORDER BY s.name, pg_catalog.length(e.key),"
							  " e.key COLLATE pg_catalog.\"C\"",
							  0, NULL, NULL, NULL);
		entry = ienv_cache_enter(&cache, &key, since);
	} while (entry == NULL);
	ienv_leave_owner(&saved);
	fill(entry, SPI_tuptable, n);
	SPI_finish();
	return &entry->service;
}

/*
 * Fill an entry in from rows (name, key, value), in the cache's memory
 * context.  It is complete only once nothing more can fail.
 */
static void
fill(ServiceEntry *entry, SPITupleTable *rows, uint64 n)
{
	IenvService *service = &entry->service;

	entry->complete = false;
	memset(service, 0, sizeof(*service));
	service->domains = MemoryContextAllocZero(cache.context,
											  (n + 1) * sizeof(char *));
	service->mail = MemoryContextAllocZero(cache.context,
										   (n + 1) * sizeof(IenvMailRecord));
	for (uint64 i = 0; i < n; i++)
	{
		const char *name = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		const char *key = SPI_getvalue(rows->vals[i], rows->tupdesc, 2);
		char	   *value = MemoryContextStrdup(cache.context,
												SPI_getvalue(rows->vals[i],
															 rows->tupdesc,
															 3));

		if (strcmp(name, "service_domains") == 0)
			service->domains[service->ndomains++] = value;
		else if (strcmp(name, "mail_records") == 0 && key != NULL)
		{
			service->mail[service->nmail].record =
				MemoryContextStrdup(cache.context, key);
			service->mail[service->nmail++].target = value;
		}
		for (int j = 0; j < lengthof(fields); j++)
			if (strcmp(name, fields[j].name) == 0 &&
				(key == NULL ? fields[j].key == NULL :
				 fields[j].key != NULL && strcmp(key, fields[j].key) == 0))
				*(char **) ((char *) service + fields[j].offset) = value;
	}
	require_fields(service);
	entry->complete = true;
}

static void
require_fields(const IenvService *service)
{
	for (int i = 0; i < lengthof(fields); i++)
		if (!fields[i].optional &&
			*(char *const *) ((const char *) service + fields[i].offset) ==
			NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s.service\" has no row for \"%s\"",
							IENV_SCHEMA, fields[i].name),
					 errhint("Restore the row that CREATE EXTENSION made.")));
}
