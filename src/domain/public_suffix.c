/*-------------------------------------------------------------------------
 *
 * public_suffix.c
 *	  Below which names others register theirs: the Public Suffix List.
 *
 * The list changes (suffix_list.c).  So a root may be another one than it was
 * when a name was associated, and than it is for another backend: nothing that
 * must not change may be made of it, such as an index.
 *
 * Table hosting_suffix adds to the list, and corrects it: each of its rows is
 * a public suffix, and says whose the names below it are.  Without a row, they
 * are a hosting provider's customers' if the suffix is in the list's private
 * section, which its owners add to themselves.
 *
 * Names are in lower-case ASCII, where any others are in punycode.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "domain/domain.h"
#include "domain/suffix_list.h"

/* Table hosting_suffix */
typedef struct SuffixRow
{
	const char *name;
	bool		hosting;
} SuffixRow;

typedef struct SuffixRows
{
	uint32		all;			/* hash key, always zero */
	bool		filled;
	uint64		n;
	SuffixRow  *rows;			/* sorted by name */
} SuffixRows;

static IenvCache cache = {
	.name = "instance_env hosting suffixes",
	.keysize = sizeof(uint32),
	.entrysize = sizeof(SuffixRows),
	.max_entries = 1,
	.tables = {"hosting_suffix"}
};

static const SuffixRows *suffix_rows(void);
static const SuffixRows *read_rows(void);
static const SuffixRow *find_row(const SuffixRows *rows, const char *name);
static const char *suffix_of(const psl_ctx_t *psl, const SuffixRows *rows,
							 const char *name);

/*
 * Is a name a public suffix, below which others register theirs?  Any single
 * label is one.
 */
bool
ienv_is_public_suffix(const char *name)
{
	return suffix_of(ienv_suffix_list(), suffix_rows(), name) == name;
}

/*
 * Does the list have a name among the suffixes of top-level registries?
 */
bool
ienv_is_registry(const char *name)
{
	const psl_ctx_t *psl = ienv_suffix_list();

	return psl != NULL &&
		psl_is_public_suffix2(psl, name,
							  PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE);
}

/*
 * The part of a name that its owner has registered: one label more than the
 * longest public suffix that the name is below.  Points into name, and is the
 * whole of a name that is a public suffix.
 */
const char *
ienv_domain_root(const char *name)
{
	const char *root = suffix_of(ienv_suffix_list(), suffix_rows(), name);

	if (root == name)
		return name;
	for (root--; root > name && root[-1] != '.';)
		root--;
	return root;
}

/*
 * Does a name belong to a provider that gives names to its customers?  Having
 * one does not mean owning it.
 */
bool
ienv_is_hosting_name(const char *name)
{
	const psl_ctx_t *psl = ienv_suffix_list();
	const SuffixRows *rows = suffix_rows();
	const char *suffix = suffix_of(psl, rows, name);

	/* what is said of a suffix goes for those that are below it */
	for (const char *p = suffix; p != NULL; p = strchr(p, '.'))
	{
		const SuffixRow *row;

		p += *p == '.';
		row = find_row(rows, p);
		if (row != NULL)
			return row->hosting;
	}
	return psl != NULL &&
		psl_is_public_suffix2(psl, suffix,
							  PSL_TYPE_PRIVATE | PSL_TYPE_NO_STAR_RULE);
}

/*
 * The longest public suffix that a name is or is below.  Points into name.
 */
static const char *
suffix_of(const psl_ctx_t *psl, const SuffixRows *rows, const char *name)
{
	for (;;)
	{
		const char *dot = strchr(name, '.');

		if (dot == NULL || find_row(rows, name) != NULL ||
			(psl != NULL && psl_is_public_suffix(psl, name)))
			return name;
		name = dot + 1;
	}
}

static int
compare_rows(const void *a, const void *b)
{
	return strcmp(((const SuffixRow *) a)->name,
				  ((const SuffixRow *) b)->name);
}

static const SuffixRow *
find_row(const SuffixRows *rows, const char *name)
{
	SuffixRow	key = {name, false};

	return rows->n == 0 ? NULL :
		bsearch(&key, rows->rows, rows->n, sizeof(SuffixRow), compare_rows);
}

/*
 * The rows of table hosting_suffix, valid until they are asked for again.
 */
static const SuffixRows *
suffix_rows(void)
{
	const uint32 all = 0;
	SuffixRows *entry = ienv_cache_find(&cache, &all);

	return entry != NULL && entry->filled ? entry : read_rows();
}

/*
 * Only a filled entry is used: if memory runs out on the way, it is filled
 * next time.
 */
static const SuffixRows *
read_rows(void)
{
	const uint32 all = 0;
	SuffixRows *entry;
	IenvOwner	saved;
	uint64		since;
	uint64		n;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);
		n = ienv_query_latest("SELECT name, hosting"
							  " FROM instance_env.hosting_suffix", 0, NULL,
							  NULL, NULL);
		entry = ienv_cache_enter(&cache, &all, since);
	} while (entry == NULL);
	ienv_leave_owner(&saved);

	entry->filled = false;
	entry->n = n;
	entry->rows = MemoryContextAllocHuge(cache.context,
										 (n + 1) * sizeof(SuffixRow));
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		entry->rows[i].name = MemoryContextStrdup(cache.context,
												  ienv_result_text(i, 1));
		entry->rows[i].hosting = DatumGetBool(ienv_result_datum(i, 2,
																&isnull));
	}
	qsort(entry->rows, n, sizeof(SuffixRow), compare_rows);
	entry->filled = true;
	SPI_finish();
	return entry;
}
