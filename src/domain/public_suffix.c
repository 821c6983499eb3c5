/*-------------------------------------------------------------------------
 *
 * public_suffix.c
 *	  Below which names others register theirs: the Public Suffix List.
 *
 * The list is read through libpsl, once for each backend.  It is the file that
 * instance_env.public_suffix_file names, or else the newest that the system
 * has: a file that its package updates, or what libpsl was built with.  It is
 * read again when the parameter or the file has changed, which is looked for
 * once a minute.  So a root may be another one than it was when a name was
 * associated, and than it is for another backend: nothing that must not change
 * may be made of it, such as an index.
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

#include <libpsl.h>
#include <sys/stat.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "domain/domain.h"

/* How long a list is used before its file is looked at again */
#define CHECK_INTERVAL	60000	/* in milliseconds */

/* The list has some 300 kB; what is much larger is something else. */
#define MAX_LIST_SIZE	(16 * 1024 * 1024)

/* Which file is, or was, under a name */
typedef struct ListFile
{
	char		name[MAXPGPATH];
	bool		exists;
	time_t		modified;
	off_t		size;
	ino_t		inode;
} ListFile;

static char *public_suffix_file = NULL; /* the parameter */

static const psl_ctx_t *list = NULL;	/* allocated by libpsl with malloc() */
static uint64 generation = 0;	/* how many lists there have been */
static ListFile looked_at;		/* the file that was read last, or could not
								 * be */
static bool file_set = true;	/* the parameter may have changed since */
static TimestampTz checked = 0; /* when the file was looked at last */

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

static const psl_ctx_t *current_list(void);
static void use_list(psl_ctx_t *newest);
static psl_ctx_t *load_list(const ListFile *file, const char **problem);
static void look_at(const char *name, ListFile *file);
static const SuffixRows *suffix_rows(void);
static const SuffixRows *read_rows(void);
static const SuffixRow *find_row(const SuffixRows *rows, const char *name);
static const char *suffix_of(const psl_ctx_t *psl, const SuffixRows *rows,
							 const char *name);

static void
assign_file(const char *newval, void *extra)
{
	file_set = true;
}

/*
 * Define the parameter.  To be called as the library is loaded.
 */
void
ienv_public_suffix_init(void)
{
	DefineCustomStringVariable(IENV_SCHEMA ".public_suffix_file",
							   "Sets the file of the Public Suffix List, by which it is told who owns a domain.",
							   "An empty string means the system's own list.",
							   &public_suffix_file, "", PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY, NULL, assign_file, NULL);
}

/*
 * A number that changes with the list.  What is kept of names' roots for longer
 * than a command has to be kept with it, and with a cache that is emptied when
 * table hosting_suffix changes.
 */
uint64
ienv_public_suffix_list(void)
{
	(void) current_list();
	return generation;
}

/*
 * Is a name a public suffix, below which others register theirs?  Any single
 * label is one.
 */
bool
ienv_is_public_suffix(const char *name)
{
	return suffix_of(current_list(), suffix_rows(), name) == name;
}

/*
 * Does the list have a name among the suffixes of top-level registries?
 */
bool
ienv_is_registry(const char *name)
{
	const psl_ctx_t *psl = current_list();

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
	const char *root = suffix_of(current_list(), suffix_rows(), name);

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
	const psl_ctx_t *psl = current_list();
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

/*
 * The list, read again if it is not the current one; NULL if there is none at
 * all.  A file that is named but is no list leaves what was in use, with a
 * WARNING: what applications ask for on every request must not fail for it.
 */
static const psl_ctx_t *
current_list(void)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();
	bool		named = public_suffix_file != NULL &&
	public_suffix_file[0] != '\0';
	ListFile	file;
	psl_ctx_t  *newest;
	const char *problem = NULL;

	if (!file_set && now >= checked &&
		!TimestampDifferenceExceeds(checked, now, CHECK_INTERVAL))
		return list;
	file_set = false;
	checked = now;

	look_at(named ? public_suffix_file : psl_dist_filename(), &file);
	if (generation > 0 && memcmp(&file, &looked_at, sizeof(file)) == 0)
		return list;
	memcpy(&looked_at, &file, sizeof(file));

	if (named)
	{
		newest = load_list(&file, &problem);
		if (newest != NULL)
			use_list(newest);
	}
	if (!named || (problem != NULL && generation == 0))
	{
		newest = psl_latest(NULL);
		use_list(newest);
		if (newest == NULL)
			ereport(WARNING,
					(errcode(ERRCODE_UNDEFINED_FILE),
					 errmsg("there is no Public Suffix List"),
					 errdetail("Every name of two labels is taken for one that somebody has registered."),
					 errhint("Install it (on Debian, publicsuffix), or name its file in instance_env.public_suffix_file.")));
	}
	if (problem != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not use the file that instance_env.public_suffix_file names: %s",
						problem),
				 errdetail("The list that was in use before, or the system's own, is used instead."),

		/* only superusers may see the parameter */
				 errdetail_log("The file is \"%s\".", file.name),
				 errhint("Set instance_env.public_suffix_file to the path of a current public_suffix_list.dat, and reload the configuration.")));
	return list;
}

/*
 * Put another list in the place of the one in use.
 */
static void
use_list(psl_ctx_t *newest)
{
	if (list != NULL && list != psl_builtin())
		psl_free(unconstify(psl_ctx_t *, list));
	list = newest;
	generation++;
}

/*
 * Read a list that the parameter names, or say why not.  Nothing that keeps
 * the reader waiting is opened, such as a pipe; and libpsl takes the lines of
 * any text for rules, so two that no list is without have to be there.
 */
static psl_ctx_t *
load_list(const ListFile *file, const char **problem)
{
	const int	registries = PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE;
	psl_ctx_t  *loaded;

	if (!file->exists)
		*problem = "there is no such file";
	else if (file->size > MAX_LIST_SIZE)
		*problem = "it is too large";
	if (*problem != NULL)
		return NULL;

	loaded = psl_load_file(file->name);
	if (loaded == NULL)
		*problem = "it cannot be read";
	else if (!psl_is_public_suffix2(loaded, "com", registries) ||
			 !psl_is_public_suffix2(loaded, "co.uk", registries))
	{
		psl_free(loaded);
		loaded = NULL;
		*problem = "it is none";
	}
	return loaded;
}

/*
 * See which file is under a name now.  Only regular ones exist.
 */
static void
look_at(const char *name, ListFile *file)
{
	struct stat status;

	memset(file, 0, sizeof(*file)); /* they are compared byte by byte */
	if (name == NULL)
		return;
	strlcpy(file->name, name, sizeof(file->name));
	if (stat(file->name, &status) != 0 || !S_ISREG(status.st_mode))
		return;
	file->exists = true;
	file->modified = status.st_mtime;
	file->size = status.st_size;
	file->inode = status.st_ino;
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
