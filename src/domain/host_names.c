/*-------------------------------------------------------------------------
 *
 * host_names.c
 *	  The names by which it is told which instance of an application serves a
 *	  host: its domains, their roots, and other applications' domains below
 *	  these.
 *
 * A root counts by the current list of public suffixes, and by the one that
 * was current when the domain was associated: a list that has lost a rule
 * since does not give an application the names of strangers.
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
#include "domain/host_names.h"
#include "registry/registry.h"

/* 160 bytes per entry, and about 50 for each domain. */
#define CACHE_ENTRIES	4096

static IenvCache cache = {
	.name = "instance_env hosts",
	.keysize = sizeof(pg_uuid_t),
	.entrysize = sizeof(IenvHosts),
	.max_entries = CACHE_ENTRIES,
	.tables = {"domain", "instance", "application", "hosting_suffix"}
};

static IenvHosts *read_entry(Datum application);
static uint64 read_names(Datum application, IenvHostName **roots, uint64 *nroots);
static const char *root_of(const char *name, const char *stored);
static void fill_entry(IenvHosts *entry, SPITupleTable *instances);
static void fill_names(IenvHosts *entry, SPITupleTable *names, uint64 n);
static void fill_roots(IenvHosts *entry, const IenvHostName *roots, uint64 n);

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const IenvHostName *) a)->name, ((const IenvHostName *) b)->name);
}

const IenvHostName *
ienv_find_host_name(const IenvHostName *names, int n, const char *name)
{
	IenvHostName key = {name, false};

	return n == 0 ? NULL :
		bsearch(&key, names, n, sizeof(IenvHostName), compare_names);
}

/*
 * What is known of an application, which must exist; valid until it is asked
 * for again.
 */
const IenvHosts *
ienv_hosts_of(Datum application)
{
	IenvHosts  *entry = ienv_cache_find(&cache, DatumGetUUIDP(application));

	return entry != NULL && entry->filled &&
		entry->list == ienv_public_suffix_list() ? entry :
		read_entry(application);
}

/*
 * Only a filled entry is used: if memory runs out on the way, it is filled
 * next time.
 */
static IenvHosts *
read_entry(Datum application)
{
	static IenvQuery query = {
		.sql = "SELECT i.id, i.slug, a.staging_of IS NOT NULL"
		" FROM instance_env.application a"
		"  JOIN instance_env.instance i"
		" ON i.application OPERATOR(pg_catalog.=) a.id"
		" WHERE a.id OPERATOR(pg_catalog.=) $1"
		" ORDER BY i.type"
	};
	Oid			type = UUIDOID;
	SPITupleTable *instances;
	IenvHosts  *entry;
	IenvHostName *roots;
	IenvOwner	saved;
	uint64		list = ienv_public_suffix_list();
	uint64		since;
	uint64		nnames;
	uint64		nroots;
	uint64		n;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);
		n = ienv_query_kept_latest(&query, 1, &type, &application, NULL);
		ienv_require_application(n, application);
		if (n != 2)
			elog(ERROR, "application has %llu instances",
				 (unsigned long long) n);
		instances = SPI_tuptable;
		nnames = read_names(application, &roots, &nroots);
		entry = ienv_cache_enter(&cache, DatumGetUUIDP(application), since);
	} while (entry == NULL);
	ienv_leave_owner(&saved);

	entry->filled = false;
	entry->list = list;
	fill_entry(entry, instances);
	fill_names(entry, SPI_tuptable, nnames);
	fill_roots(entry, roots, nroots);
	entry->filled = true;
	SPI_finish();
	return entry;
}

/*
 * Read the roots of an application's domains, sorted, into *roots; and leave
 * every domain that is below one of them, and whether it is the application's,
 * in SPI_tuptable.  Returns their number.  SPI is connected.
 */
static uint64
read_names(Datum application, IenvHostName **roots, uint64 *nroots)
{
	static IenvQuery root_query = {
		.sql = "SELECT d.name, d.root FROM instance_env.domain d"
		"  JOIN instance_env.instance i"
		" ON i.id OPERATOR(pg_catalog.=) d.instance"
		" WHERE i.application OPERATOR(pg_catalog.=) $1"
	};
	static IenvQuery name_query = {
		.sql = "SELECT DISTINCT d.name,"
		"  i.application OPERATOR(pg_catalog.=) $1"
		" FROM pg_catalog.unnest($2) r (root)"
		"  JOIN instance_env.domain d"
		" ON " IENV_BELOW("d.name", "r.root")
		"  JOIN instance_env.instance i"
		" ON i.id OPERATOR(pg_catalog.=) d.instance"
	};
	Oid			types[2] = {UUIDOID, TEXTARRAYOID};
	Datum		values[2];
	Datum	   *elements;
	uint64		n;

	n = ienv_query_kept_latest(&root_query, 1, types, &application, NULL);
	*roots = palloc((n + 1) * sizeof(IenvHostName));
	for (uint64 i = 0; i < n; i++)
		(*roots)[i].name = root_of(ienv_result_text(i, 1),
								   ienv_result_text(i, 2));
	qsort(*roots, n, sizeof(IenvHostName), compare_names);
	*nroots = 0;
	elements = palloc((n + 1) * sizeof(Datum));
	for (uint64 i = 0; i < n; i++)
	{
		if (i > 0 &&
			strcmp((*roots)[i].name, (*roots)[*nroots - 1].name) == 0)
			continue;
		elements[*nroots] = CStringGetTextDatum((*roots)[i].name);
		(*roots)[(*nroots)++] = (*roots)[i];
	}

	values[0] = application;
	values[1] = PointerGetDatum(construct_array(elements, *nroots, TEXTOID,
												-1, false, TYPALIGN_INT));
	return ienv_query_kept_latest(&name_query, 2, types, values, NULL);
}

/*
 * Whose names a domain's application has: the root by the current list or by
 * that of the time of the association, whichever has fewer names.  Points into
 * name.
 */
static const char *
root_of(const char *name, const char *stored)
{
	const char *root = ienv_domain_root(name);

	return strlen(stored) > strlen(root) && ienv_is_below(name, stored) ?
		name + strlen(name) - strlen(stored) : root;
}

static void
fill_entry(IenvHosts *entry, SPITupleTable *instances)
{
	char	   *slug = SPI_getvalue(instances->vals[IENV_DEVELOPMENT],
									instances->tupdesc, 2);
	bool		isnull;

	strlcpy(entry->slug, slug == NULL ? "" : slug, sizeof(entry->slug));
	entry->staging = DatumGetBool(SPI_getbinval(instances->vals[0],
												instances->tupdesc, 3,
												&isnull));
	for (int i = 0; i < 2; i++)
		entry->instances[i] =
			*DatumGetUUIDP(SPI_getbinval(instances->vals[i],
										 instances->tupdesc, 1, &isnull));
}

/*
 * Every application's domains below the roots.
 */
static void
fill_names(IenvHosts *entry, SPITupleTable *names, uint64 n)
{
	bool		isnull;

	entry->nnames = n;
	entry->names = MemoryContextAllocHuge(cache.context,
										  (n + 1) * sizeof(IenvHostName));
	for (uint64 i = 0; i < n; i++)
	{
		entry->names[i].name = MemoryContextStrdup(cache.context,
												   SPI_getvalue(names->vals[i],
																names->tupdesc,
																1));
		entry->names[i].mine = DatumGetBool(SPI_getbinval(names->vals[i],
														  names->tupdesc, 2,
														  &isnull));
	}
	qsort(entry->names, n, sizeof(IenvHostName), compare_names);
}

/*
 * A root is a staging environment's only if no other application is below it.
 */
static void
fill_roots(IenvHosts *entry, const IenvHostName *roots, uint64 n)
{
	entry->nroots = n;
	entry->roots = MemoryContextAllocHuge(cache.context,
										  (n + 1) * sizeof(IenvHostName));
	for (uint64 i = 0; i < n; i++)
	{
		IenvHostName *root = &entry->roots[i];

		root->name = MemoryContextStrdup(cache.context, roots[i].name);
		root->mine = true;
		for (int j = 0; entry->staging && root->mine && j < entry->nnames; j++)
			root->mine = entry->names[j].mine ||
				!ienv_is_below(entry->names[j].name, root->name);
	}
}
