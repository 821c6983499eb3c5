/*-------------------------------------------------------------------------
 *
 * suffix_list.c
 *	  Which Public Suffix List is in use.
 *
 * The list is read through libpsl, once for each backend.  It is the file that
 * instance_env.public_suffix_file names, or else the newest that the system
 * has: a file that its package updates, or what libpsl was built with.  It is
 * read again when the parameter or the file has changed, which is looked for
 * once a minute.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/xact.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "domain/domain.h"
#include "domain/suffix_list.h"

/* How long a list is used before its file is looked at again */
#define CHECK_INTERVAL	60000	/* in milliseconds */

/* The list has some 300 kB; what is much larger is something else. */
#define MAX_LIST_SIZE	(16 * 1024 * 1024)

/* How a compiled list begins, and what ends the last section of any other */
#define DAFSA_MAGIC		".DAFSA@PSL_"
#define LIST_END		"===END PRIVATE DOMAINS==="

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

static void use_list(psl_ctx_t *newest);
static psl_ctx_t *load_list(const ListFile *file, const char **problem);
static bool is_complete(const char *name);
static void look_at(const char *name, ListFile *file);

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
	(void) ienv_suffix_list();
	return generation;
}

/*
 * The list, read again if it is not the current one; NULL if there is none at
 * all.  A file that is named but is no list leaves what was in use, with a
 * WARNING: what applications ask for on every request must not fail for it.
 */
const psl_ctx_t *
ienv_suffix_list(void)
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
 * any text for rules, so some that no list is without have to be there.
 *
 * Of a list that is being written, or of which only a part has arrived, the
 * private section is what lacks: everybody could have names of providers.
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
	else if (!is_complete(file->name))
		*problem = "it is not complete";
	if (*problem != NULL)
		return NULL;

	loaded = psl_load_file(file->name);
	if (loaded == NULL)
		*problem = "it cannot be read";
	else if (!psl_is_public_suffix2(loaded, "com", registries) ||
			 !psl_is_public_suffix2(loaded, "co.uk", registries) ||
			 !psl_is_public_suffix2(loaded, "github.io", PSL_TYPE_PRIVATE))
	{
		psl_free(loaded);
		loaded = NULL;
		*problem = "it is none";
	}
	return loaded;
}

/*
 * Does a list that is a text have its end?  libpsl sees to those that are
 * compiled.  A file that cannot be read is left to it, too.  No error can occur
 * before the file is closed.
 */
static bool
is_complete(const char *name)
{
	FILE	   *file = fopen(name, "r");
	char		line[1024];
	bool		compiled = false;
	bool		ended = false;

	if (file == NULL)
		return true;
	for (int n = 0; !compiled && !ended && fgets(line, sizeof(line), file) != NULL; n++)
	{
		compiled = n == 0 && strncmp(line, DAFSA_MAGIC, strlen(DAFSA_MAGIC)) == 0;
		ended = strstr(line, LIST_END) != NULL;
	}
	fclose(file);
	return compiled || ended;
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
