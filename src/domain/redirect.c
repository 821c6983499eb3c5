/*-------------------------------------------------------------------------
 *
 * redirect.c
 *	  Where an instance may redirect to.
 *
 * To a page of the host that it is asked on, and to its own hosts: those that
 * production serves, as preview.c decides, verified or not; in development,
 * the instance's hosts below the service's domain, and the developer's own
 * machine.  Beyond that, to what table redirect_url lists.  Development may
 * not redirect to production's hosts, where its keys do not belong.  The
 * status does not matter.
 *
 * Applications ask on every request, so the list is cached per instance, in
 * the form in which a URL is looked up: scheme, host, port and path as one
 * text.
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

/* 700 bytes per entry, and about 50 for each URL. */
#define CACHE_ENTRIES	4096

typedef struct RedirectEntry
{
	pg_uuid_t	instance;		/* hash key, must be first */
	bool		filled;
	bool		is_production;
	pg_uuid_t	application;
	char		portal[IENV_MAX_DOMAIN + 1];	/* of development */
	char		frontend_api[IENV_MAX_DOMAIN + 1];
	int			nurls;
	int			npatterns;
	const char **urls;			/* without an asterisk, sorted */
	const char **patterns;		/* with one */
} RedirectEntry;

static IenvCache cache = {
	.name = "instance_env redirects",
	.keysize = sizeof(pg_uuid_t),
	.entrysize = sizeof(RedirectEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"redirect_url", "instance", "service"}
};

static bool has_scheme(Datum schemes, const char *scheme);
static bool is_own_host(const RedirectEntry *entry, const IenvUrl *url);
static bool is_listed(const RedirectEntry *entry, IenvUrl *url);
static bool is_in_list(const RedirectEntry *entry, const char *form);
static bool fits(const char *form, const char *pattern);
static const RedirectEntry *read_entry(Datum instance);
static void fill_entry(RedirectEntry *entry, SPITupleTable *instances,
					   SPITupleTable *urls, uint64 n);

/*
 * Why an instance may not redirect to what a text says, as the predicate of a
 * sentence about it, or NULL if it may.  schemes, a text[], are those that
 * URLs with a host may have.
 *
 * Runs no SQL if the instance is cached.
 */
const char *
ienv_redirect_problem(Datum instance, const char *text, Datum schemes)
{
	const RedirectEntry *entry;
	IenvUrl		url;
	const char *problem = ienv_url_problem(text, false, &url);

	if (problem != NULL || url.kind == IENV_URL_RELATIVE)
		return problem;
	if (url.kind == IENV_URL_WEB && !has_scheme(schemes, url.scheme))
		return psprintf("has the scheme \"%s\", which policy \"redirect_schemes\" does not include",
						url.scheme);

	entry = ienv_cache_find(&cache, DatumGetUUIDP(instance));
	if (entry == NULL || !entry->filled)
		entry = read_entry(instance);
	if (is_listed(entry, &url) || is_own_host(entry, &url))
		return NULL;
	if (url.kind == IENV_URL_NATIVE)
		return "is of a native app, and is not among the redirect URLs of the instance";
	return psprintf("leads to \"%s\", which is neither a host of the instance nor among its redirect URLs",
					url.host);
}

static bool
has_scheme(Datum schemes, const char *scheme)
{
	Datum	   *elements;
	int			n;
	bool		found = false;

	deconstruct_array(DatumGetArrayTypeP(schemes), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < n && !found; i++)
		found = strcmp(scheme, TextDatumGetCString(elements[i])) == 0;
	return found;
}

static bool
is_own_host(const RedirectEntry *entry, const IenvUrl *url)
{
	if (url->kind != IENV_URL_WEB)
		return false;
	if (entry->is_production)
		return ienv_is_production_host(UUIDPGetDatum(&entry->application),
									   url->host);
	return url->is_loopback || strcmp(url->host, entry->portal) == 0 ||
		strcmp(url->host, entry->frontend_api) == 0;
}

/*
 * Is a URL, its origin, or its native app in the list?  A query or a fragment
 * makes no difference.
 */
static bool
is_listed(const RedirectEntry *entry, IenvUrl *url)
{
	if (entry->nurls + entry->npatterns == 0)
		return false;

	/* a browser asks for the path "/" where there is none */
	if (url->path_length == 0)
	{
		url->path = "/";
		url->path_length = 1;
	}
	if (url->path_length <= IENV_MAX_REDIRECT &&
		is_in_list(entry, ienv_redirect_form(url)))
		return true;
	url->path_length = url->kind == IENV_URL_WEB ? 0 :
		Min(strspn(url->path, "/"), 2);
	return is_in_list(entry, ienv_redirect_form(url));
}

/*
 * A URL without query and fragment, in the form that the table has.
 */
char *
ienv_redirect_form(const IenvUrl *url)
{
	if (url->kind == IENV_URL_NATIVE)
		return psprintf("%s:%.*s", url->scheme, (int) url->path_length,
						url->path);
	if (url->port != 0)
		return psprintf("%s://%s:%d%.*s", url->scheme, url->host, url->port,
						(int) url->path_length, url->path);
	return psprintf("%s://%s%.*s", url->scheme, url->host,
					(int) url->path_length, url->path);
}

static int
compare_urls(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static bool
is_in_list(const RedirectEntry *entry, const char *form)
{
	if (entry->nurls > 0 &&
		bsearch(&form, entry->urls, entry->nurls, sizeof(char *),
				compare_urls) != NULL)
		return true;
	for (int i = 0; i < entry->npatterns; i++)
		if (fits(form, entry->patterns[i]))
			return true;
	return false;
}

/*
 * Does something within one label stand for the asterisk?
 */
static bool
fits(const char *form, const char *pattern)
{
	Size		before = strcspn(pattern, "*");
	Size		after = strlen(pattern) - before - 1;
	Size		length = strlen(form);

	return length > before + after &&
		strncmp(form, pattern, before) == 0 &&
		strcmp(form + length - after, pattern + before + 1) == 0 &&
		strcspn(form + before, ".:/") >= length - after - before;
}

static const RedirectEntry *
read_entry(Datum instance)
{
	static IenvQuery instance_query = {
		.sql = "SELECT type OPERATOR(pg_catalog.=) 'production', application, slug"
		" FROM instance_env.instance"
		" WHERE id OPERATOR(pg_catalog.=) $1"
	};
	static IenvQuery url_query = {
		.sql = "SELECT url FROM instance_env.redirect_url"
		" WHERE instance OPERATOR(pg_catalog.=) $1"
	};
	Oid			type = UUIDOID;
	SPITupleTable *instances;
	RedirectEntry *entry;
	IenvOwner	saved;
	uint64		since;
	uint64		n;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);
		while (ienv_query_kept_latest(&instance_query, 1, &type, &instance,
									  NULL) == 0)
			(void) ienv_require_instance(instance);
		instances = SPI_tuptable;
		n = ienv_query_kept_latest(&url_query, 1, &type, &instance, NULL);
		entry = ienv_cache_enter(&cache, DatumGetUUIDP(instance), since);
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
fill_entry(RedirectEntry *entry, SPITupleTable *instances,
		   SPITupleTable *urls, uint64 n)
{
	HeapTuple	row = instances->vals[0];
	const char *slug = SPI_getvalue(row, instances->tupdesc, 3);
	bool		isnull;
	IenvAddress address = {0};

	entry->filled = false;
	entry->is_production =
		DatumGetBool(SPI_getbinval(row, instances->tupdesc, 1, &isnull));
	entry->application =
		*DatumGetUUIDP(SPI_getbinval(row, instances->tupdesc, 2, &isnull));
	entry->portal[0] = entry->frontend_api[0] = '\0';
	if (!entry->is_production && slug != NULL)
	{
		strlcpy(address.name, slug, sizeof(address.name));
		strlcpy(entry->portal, ienv_portal_host(&address),
				sizeof(entry->portal));
		strlcpy(entry->frontend_api, ienv_frontend_api_host(&address),
				sizeof(entry->frontend_api));
	}

	entry->nurls = entry->npatterns = 0;
	entry->urls = MemoryContextAllocHuge(cache.context,
										 (n + 1) * sizeof(char *));
	entry->patterns = MemoryContextAllocHuge(cache.context,
											 (n + 1) * sizeof(char *));
	for (uint64 i = 0; i < n; i++)
	{
		const char *url = MemoryContextStrdup(cache.context,
											  SPI_getvalue(urls->vals[i],
														   urls->tupdesc, 1));

		if (strchr(url, '*') != NULL)
			entry->patterns[entry->npatterns++] = url;
		else
			entry->urls[entry->nurls++] = url;
	}
	qsort(entry->urls, entry->nurls, sizeof(char *), compare_urls);
	entry->filled = true;
}
