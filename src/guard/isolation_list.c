/*-------------------------------------------------------------------------
 *
 * isolation_list.c
 *	  Whether a table is isolated, for view guards.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/isolation.h"
#include "table/table.h"

/* What is known of a table and its partitions so far */
typedef struct State
{
	bool		any;			/* something isolates some of them */
	bool		all_forced;
	bool		owner;			/* isolate() was asked to isolate the owner */
	List	   *problems;
} State;

static void look(State *state, Oid root, Oid relid, const char *column);
static void add(State *state, Oid root, Oid relid, const char *what);

/*
 * How a table is isolated: 'no'; 'rows', from all but its owner, or 'owner',
 * from the owner, too; 'partly', if that is not so on the table and each
 * partition.  Then *problems says, as phrases, why.  attno is the instance
 * column.  Locks nothing.
 */
const char *
ienv_isolation_of(Oid relid, AttrNumber attno, List **problems)
{
	State		state = {false, true, false, NIL};
	IenvIsolation is;
	ListCell   *lc;

	ienv_read_isolation(relid, &is);
	state.owner = ienv_is_forced_by_us(&is);
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		/* it may have been dropped meanwhile */
		if (get_rel_name(lfirst_oid(lc)) != NULL)
			look(&state, relid, lfirst_oid(lc),
				 get_attname(relid, attno, false));
	}
	*problems = state.any ? state.problems : NIL;
	return !state.any ? "no" : state.problems != NIL ? "partly" :
		state.all_forced ? "owner" : "rows";
}

static void
look(State *state, Oid root, Oid relid, const char *column)
{
	IenvIsolation is;
	ListCell   *lc;

	ienv_read_isolation(relid, &is);
	state->any = state->any || is.attno > 0 || is.permits > 0 ||
		is.altered != NIL;
	state->all_forced = state->all_forced && is.forced;
	if (is.attno == 0 && is.altered == NIL)
		add(state, root, relid, "the policy is missing");
	else if (is.attno > 0 && is.attno != get_attnum(relid, column))
		add(state, root, relid, "the policy compares another column");
	foreach(lc, is.altered)
		add(state, root, relid,
			psprintf("policy \"%s\" has been altered", (char *) lfirst(lc)));
	if (!is.enabled)
		add(state, root, relid, "row-level security is disabled");
	else if (state->owner && !is.forced)
		add(state, root, relid,
			"row-level security is not forced on the owner");
}

static void
add(State *state, Oid root, Oid relid, const char *what)
{
	state->problems =
		lappend(state->problems,
				relid == root ?
				psprintf("the isolation is not complete: %s", what) :
				psprintf("the isolation of partition %s is not complete: %s",
						 ienv_quoted_name(relid), what));
}
