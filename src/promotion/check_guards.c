/*-------------------------------------------------------------------------
 *
 * check_guards.c
 *	  The checks of validate() that look at how tables are guarded.
 *
 * A table that someone has locked delays no answer: a guard that cannot be
 * looked at is reported as such.
 *
 * A guard that is not whole blocks promotion.  But the owner of a table can
 * disable its triggers, and must not be able to keep other people's
 * applications from going live that way.  So the guard of a table whose owner
 * is not a superuser blocks promotion only if the table holds, or may hold,
 * rows of the application's instances; otherwise there is only a warning.
 * There is also only a warning about a table that has too many partitions to
 * be looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "cap/cap.h"
#include "guard/guard.h"
#include "promotion/check.h"
#include "promotion/promotion.h"
#include "table/table.h"

/* What to do about a guard that is not whole */
#define HINT_REPAIR \
	"Call instance_env.guard() for the table again; a foreign key to users must include the instance column."

/* What a look at a guard finds */
typedef struct Guard
{
	bool		there;
	bool		departures;		/* are recorded, where users are followed */
	List	   *problems;
} Guard;

static void check_guard(IenvValidation *run, const IenvRoot *root);
static void read_problems(Oid relid, void *arg);
static void check_departures(IenvValidation *run, const IenvRoot *root);
static void check_whole(IenvValidation *run, const IenvRoot *root,
						List *problems);
static bool may_matter(const IenvValidation *run, const IenvRoot *root);

/*
 * Check that each guard is whole.
 */
void
ienv_check_guards(IenvValidation *run)
{
	List	   *roots = ienv_roots_by_name();
	ListCell   *lc;

	if (roots == NIL)
		ienv_add_check(run, "guard", NULL, IENV_WARNING, 0, false,
					   "No table is guarded.",
					   "Call instance_env.guard() for the table of users.");
	foreach(lc, roots)
		check_guard(run, lfirst(lc));
}

static void
check_guard(IenvValidation *run, const IenvRoot *root)
{
	Guard		guard = {false, true, NIL};

	if (!root->trusted)
	{
		ienv_add_check(run, "guard", root->name, IENV_WARNING, 0, false,
					   psprintf("Table \"%s\" is guarded, but its rows are not looked at: %s.",
								root->name, ienv_why_not_trusted(root)),
					   "Call instance_env.guard() for the table again, as a role that may.");
		return;
	}
	if (ienv_look_at_guard(root->relid, read_problems, &guard))
	{
		/* it may have been dropped or unguarded meanwhile */
		if (guard.there)
			check_whole(run, root, guard.problems);
		if (guard.there && !guard.departures)
			check_departures(run, root);
	}
	else if (ienv_has_too_many_partitions(root->relid) &&
			 !superuser_arg(root->owner))
		ienv_add_check(run, "guard", root->name, IENV_WARNING, 0, false,
					   psprintf("The guard of table \"%s\" is not looked at: %s.",
								root->name, ienv_why_not_at_once(root->relid)),
					   "Have its owner merge partitions.");
	else
		ienv_add_check(run, "guard", root->name, IENV_ERROR, ERRCODE_LOCK_NOT_AVAILABLE,
					   false,
					   psprintf("The guard of table \"%s\" could not be looked at, because %s.",
								root->name, ienv_why_not_at_once(root->relid)),
					   ienv_has_too_many_partitions(root->relid) ?
					   "Merge partitions." :
					   "Try again when no other session has the table locked.");
}

static void
read_problems(Oid relid, void *arg)
{
	Guard	   *found = arg;
	Relation	rel = try_relation_open(relid, NoLock);
	IenvGuard	guard;
	int			present;
	int			disabled;

	if (rel == NULL)
		return;
	found->there = ienv_read_guard(rel, &guard, &present, &disabled);
	if (found->there)
	{
		found->problems = ienv_guard_problems(rel, &guard, present, disabled);
		found->departures = guard.departures || guard.nkeys == 0;
	}
	relation_close(rel, NoLock);
}

static void
check_whole(IenvValidation *run, const IenvRoot *root, List *problems)
{
	StringInfoData text;
	ListCell   *lc;

	if (problems == NIL)
	{
		ienv_add_check(run, "guard", root->name, IENV_ERROR, 0, true,
					   psprintf("The guard of table \"%s\" is whole.",
								root->name), NULL);
		return;
	}
	initStringInfo(&text);
	foreach(lc, problems)
		appendStringInfo(&text, "%s%s", text.len ? "; " : "",
						 (char *) lfirst(lc));
	if (may_matter(run, root))
		ienv_add_check(run, "guard", root->name, IENV_ERROR,
					   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false,
					   psprintf("The guard of table \"%s\" is not whole: %s.",
								root->name, text.data), HINT_REPAIR);
	else
		ienv_add_check(run, "guard", root->name, IENV_WARNING, 0, false,
					   psprintf("The guard of table \"%s\" is not whole, but it has no rows of the application: %s.",
								root->name, text.data), HINT_REPAIR);
}

/*
 * Report a table whose users can leave without a record.
 */
static void
check_departures(IenvValidation *run, const IenvRoot *root)
{
	ienv_add_check(run, "departures", root->name,
				   may_matter(run, root) ? IENV_ERROR : IENV_WARNING,
				   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false,
				   psprintf("Users who leave table \"%s\" are not recorded, and could return under another instance.",
							root->name),
				   "Call instance_env.unguard() for the table, and instance_env.guard() without follow_departures => false.");
}

/*
 * Does it matter to the application that the table's guard is not whole?  SPI
 * is connected.
 */
static bool
may_matter(const IenvValidation *run, const IenvRoot *root)
{
	uint64		n;
	SPITupleTable *instances;

	if (superuser_arg(root->owner))
		return true;
	n = ienv_read(run, "SELECT id, external_key FROM instance_env.instance"
				  " WHERE application OPERATOR(pg_catalog.=) $3");
	instances = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		id = SPI_getbinval(instances->vals[i], instances->tupdesc,
									   1, &isnull);
		Datum		key = SPI_getbinval(instances->vals[i], instances->tupdesc,
										2, &isnull);

		/* rows that cannot be counted may be there */
		if (ienv_users_at_once(root->relid, id, key, 0) != 0)
			return true;
	}
	return false;
}
