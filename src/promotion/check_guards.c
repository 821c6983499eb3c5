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

/* What a look at a guard finds, which is the same for all applications */
typedef struct Guard
{
	const IenvRoot *root;
	bool		looked;			/* it could be looked at */
	bool		there;			/* and still was there */
	bool		departures;		/* are recorded, where users are followed */
	List	   *problems;
	const char *why_not;		/* it was not looked at, or NULL */
	bool		too_many;		/* it has too many partitions for that */
	bool		of_superuser;	/* its owner is a superuser */
} Guard;

static void read_problems(Oid relid, void *arg);
static void check_guard(IenvValidation *run, const Guard *guard);
static void check_not_looked_at(IenvValidation *run, const Guard *guard);
static void check_whole(IenvValidation *run, const Guard *guard);
static void check_departures(IenvValidation *run, const Guard *guard);
static bool may_matter(const IenvValidation *run, const Guard *guard);

/*
 * Look at all guards.  What is returned is for ienv_check_guards().
 */
List *
ienv_look_at_guards(void)
{
	List	   *guards = NIL;
	ListCell   *lc;

	foreach(lc, ienv_roots_by_name())
	{
		const IenvRoot *root = lfirst(lc);
		Guard	   *guard = palloc0(sizeof(Guard));

		guard->root = root;
		guard->departures = true;
		if (!root->trusted)
			guard->why_not = ienv_why_not_trusted(root);
		else
		{
			guard->of_superuser = superuser_arg(root->owner);
			guard->looked = ienv_look_at_guard(root->relid, read_problems,
											   guard);
			if (!guard->looked)
			{
				guard->why_not = ienv_why_not_at_once(root->relid);
				guard->too_many = ienv_has_too_many_partitions(root->relid);
			}
		}
		guards = lappend(guards, guard);
	}
	return guards;
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
		found->departures = guard.departures || guard.coded ||
			guard.nkeys == 0;
	}
	relation_close(rel, NoLock);
}

/*
 * Check that each guard is whole.
 */
void
ienv_check_guards(IenvValidation *run, const List *guards)
{
	ListCell   *lc;

	if (guards == NIL)
		ienv_add_check(run, "guard", NULL, IENV_WARNING, 0, false,
					   "No table is guarded.",
					   "Call instance_env.guard() for the table of users.");
	foreach(lc, guards)
		check_guard(run, lfirst(lc));
}

static void
check_guard(IenvValidation *run, const Guard *guard)
{
	if (!guard->looked)
		check_not_looked_at(run, guard);

	/* it may have been dropped or unguarded meanwhile */
	if (guard->there)
		check_whole(run, guard);
	if (guard->there && !guard->departures)
		check_departures(run, guard);
}

static void
check_not_looked_at(IenvValidation *run, const Guard *guard)
{
	const char *name = guard->root->name;

	if (!guard->root->trusted)
		ienv_add_check(run, "guard", name, IENV_WARNING, 0, false,
					   psprintf("Table \"%s\" is guarded, but its rows are not looked at: %s.",
								name, guard->why_not),
					   "Call instance_env.guard() for the table again, as a role that may.");
	else if (guard->too_many && !guard->of_superuser)
		ienv_add_check(run, "guard", name, IENV_WARNING, 0, false,
					   psprintf("The guard of table \"%s\" is not looked at: %s.",
								name, guard->why_not),
					   "Have its owner merge partitions.");
	else
		ienv_add_check(run, "guard", name, IENV_ERROR,
					   ERRCODE_LOCK_NOT_AVAILABLE, false,
					   psprintf("The guard of table \"%s\" could not be looked at, because %s.",
								name, guard->why_not),
					   guard->too_many ? "Merge partitions." :
					   "Try again when no other session has the table locked.");
}

static void
check_whole(IenvValidation *run, const Guard *guard)
{
	const char *name = guard->root->name;
	StringInfoData text;
	ListCell   *lc;

	if (guard->problems == NIL)
	{
		ienv_add_check(run, "guard", name, IENV_ERROR, 0, true,
					   psprintf("The guard of table \"%s\" is whole.", name),
					   NULL);
		return;
	}
	initStringInfo(&text);
	foreach(lc, guard->problems)
		appendStringInfo(&text, "%s%s", text.len ? "; " : "",
						 (char *) lfirst(lc));
	if (may_matter(run, guard))
		ienv_add_check(run, "guard", name, IENV_ERROR,
					   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false,
					   psprintf("The guard of table \"%s\" is not whole: %s.",
								name, text.data), HINT_REPAIR);
	else
		ienv_add_check(run, "guard", name, IENV_WARNING, 0, false,
					   psprintf("The guard of table \"%s\" is not whole, but it has no rows of the application: %s.",
								name, text.data), HINT_REPAIR);
}

/*
 * Report a table whose users can leave without a record.
 */
static void
check_departures(IenvValidation *run, const Guard *guard)
{
	ienv_add_check(run, "departures", guard->root->name,
				   may_matter(run, guard) ? IENV_ERROR : IENV_WARNING,
				   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false,
				   psprintf("Users who leave table \"%s\" are not recorded, and could return under another instance.",
							guard->root->name),
				   "Call instance_env.unguard() for the table, and instance_env.guard() without follow_departures => false.");
}

/*
 * Does it matter to the application that the table's guard is not whole?  Rows
 * that cannot be counted may be there.
 */
static bool
may_matter(const IenvValidation *run, const Guard *guard)
{
	if (guard->of_superuser)
		return true;
	for (int type = IENV_DEVELOPMENT; type <= IENV_PRODUCTION; type++)
		if (ienv_users_at_once(guard->root->relid, run->instances[type],
							   run->external_keys[type], 0) != 0)
			return true;
	return false;
}
