/*-------------------------------------------------------------------------
 *
 * condition.c
 *	  Whether a trigger's condition is asked by a trigger.
 *
 * A condition is evaluated with the rights of whoever inserts, so everybody may execute
 * its function: also by hand, with arguments of his own choice.  What it then said would
 * tell which keys have departed from where, and what it counts would be wrong.  So it
 * answers, and counts, only where its arguments are the columns of a new row, as guard()
 * writes them: NEW.instance, perhaps NEW.key, and NEW.tableoid.  PostgreSQL makes Vars of
 * OUTER_VAR of those (TriggerEnabled() in trigger.c).  A system column of OUTER_VAR stands
 * nowhere else: in a plan such Vars are numbered by the columns of the node below, which
 * begin at 1 (set_join_references() in setrefs.c).  And since tableoid is a column that
 * only an AFTER trigger's condition may name, that row is in the heap and its indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"

#include "guard.h"
#include "instance_env.h"

static AttrNumber new_column(Node *node);

/*
 * The guard of the table that the new row has gone into, whose condition is being
 * evaluated: (instance [, key], tableoid).  NULL if the function is called otherwise, or
 * if the table is not guarded by these columns: then the answer must be one that tells
 * nothing.
 */
IenvGuard *
ienv_condition_guard(FunctionCallInfo fcinfo)
{
	IenvCondition *condition = (IenvCondition *) fcinfo->flinfo->fn_extra;
	IenvGuard  *guard;

	/* the arguments are the same expressions in every call */
	if (condition == NULL)
	{
		Node	   *call = fcinfo->flinfo->fn_expr;

		condition = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(IenvCondition));
		if (call != NULL && IsA(call, FuncExpr))
		{
			List	   *args = ((FuncExpr *) call)->args;
			int			nargs = list_length(args);

			if ((nargs == 2 || nargs == 3) && new_column(llast(args)) == TableOidAttributeNumber)
			{
				condition->instance_attno = new_column(linitial(args));
				if (nargs == 3)
					condition->key_attno = new_column(lsecond(args));
				condition->asked = condition->instance_attno > 0 && (nargs == 2 || condition->key_attno > 0);
			}
		}
		fcinfo->flinfo->fn_extra = condition;
	}

	if (!condition->asked || PG_ARGISNULL(PG_NARGS() - 1))
		return NULL;
	guard = ienv_guard_of(PG_GETARG_OID(PG_NARGS() - 1));
	if (guard == NULL || guard->instance_attno != condition->instance_attno ||
		(condition->key_attno != InvalidAttrNumber && guard->key_attno != condition->key_attno))
		return NULL;
	return guard;
}

/*
 * The number of the new row's column that an argument is, of a system column negative;
 * 0 if it is something else.
 */
static AttrNumber
new_column(Node *node)
{
	/* a varchar, or a domain, is passed on as the type that the function takes */
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var) || ((Var *) node)->varno != OUTER_VAR)
		return InvalidAttrNumber;
	return ((Var *) node)->varattno;
}
