/*-------------------------------------------------------------------------
 *
 * condition.c
 *	  Whether the function of a trigger's condition is called by that trigger.
 *
 * A condition is evaluated with the privileges of whoever inserts, so
 * everybody may execute its function, and can also call it directly, with
 * arbitrary arguments.  Its answer would then reveal which keys have departed
 * from where, and what it counts would be wrong.  So it answers, and counts,
 * only if its arguments are columns of the row that its trigger fires for, as
 * guard() writes them: the instance, tableoid, and perhaps those of the user
 * key; or, of a row that is deleted, its ctid.  PostgreSQL turns those into
 * Vars of OUTER_VAR (NEW) or INNER_VAR (OLD) (TriggerEnabled() in trigger.c).
 * Nowhere else is such a Var a system column: in a plan, such Vars are
 * numbered by the columns of the node below, which begin at 1
 * (set_join_references() in setrefs.c).  And since only the condition of an
 * AFTER trigger may refer to a system column of NEW, the new row is in the
 * heap and its indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"

#include "guard/guard.h"
#include "registry/registry.h"
#include "table/table.h"

static void read_arguments(List *args, IenvCondition *condition);
static AttrNumber column_of(Node *node, int varno);

/*
 * What ienv_condition_guard() returns.  is_old is always the same for one
 * expression, as the function is.
 *
 * Processes pending invalidations first: what the caller knows of the row's
 * instance need not be older than the statement.
 */
IenvGuard *
ienv_find_condition_guard(FunctionCallInfo fcinfo, bool is_old)
{
	IenvCondition *condition = (IenvCondition *) fcinfo->flinfo->fn_extra;
	IenvGuard  *guard;

	/* the arguments are the same expressions in every call */
	if (condition == NULL)
	{
		Node	   *call = fcinfo->flinfo->fn_expr;

		condition = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
										   sizeof(IenvCondition));
		if (call != NULL && IsA(call, FuncExpr))
			read_arguments(((FuncExpr *) call)->args, condition);
		fcinfo->flinfo->fn_extra = condition;
	}

	if (!(is_old ? condition->is_old : condition->is_new) || PG_ARGISNULL(1))
		return NULL;
	ienv_hear_news();
	condition->guard = NULL;
	guard = ienv_guard_of(PG_GETARG_OID(1));
	if (guard == NULL || guard->instance_attno != condition->instance_attno ||
		(guard->nkeys > 0 && condition->nkeys > 0 &&
		 memcmp(guard->key_attnos, condition->key_attnos,
				sizeof(guard->key_attnos)) != 0))
		return NULL;
	condition->guard = guard;
	condition->reading = guard->reading;
	return guard;
}

/*
 * See whether a call's arguments are what guard() writes.
 */
static void
read_arguments(List *args, IenvCondition *condition)
{
	int			nargs = list_length(args);
	bool		is_old = nargs == 3 && column_of(lthird(args),
												 INNER_VAR) ==
	SelfItemPointerAttributeNumber;
	int			varno = is_old ? INNER_VAR : OUTER_VAR;

	if (nargs < 2 || nargs - 2 > IENV_MAX_KEY_COLUMNS ||
		column_of(lsecond(args), varno) != TableOidAttributeNumber)
		return;
	condition->instance_attno = column_of(linitial(args), varno);
	if (condition->instance_attno <= 0)
		return;
	for (int i = 2; i < nargs && !is_old; i++)
	{
		AttrNumber	key = column_of(list_nth(args, i), varno);

		if (key <= 0)
			return;
		condition->key_attnos[condition->nkeys++] = key;
	}
	condition->is_old = is_old;
	condition->is_new = !is_old;
}

/*
 * The column number of an argument that is a column of varno, negative for a
 * system column; 0 if the argument is anything else.
 */
static AttrNumber
column_of(Node *node, int varno)
{
	if (node == NULL || !IsA(node, Var) || ((Var *) node)->varno != varno)
		return InvalidAttrNumber;
	return ((Var *) node)->varattno;
}
