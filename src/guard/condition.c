/*-------------------------------------------------------------------------
 *
 * condition.c
 *	  Whether a trigger's condition is asked by a trigger.
 *
 * A condition is evaluated with the rights of whoever inserts, so everybody may execute
 * its function: also by hand, with arguments of his own choice.  What it then said would
 * tell which keys have departed from where, and what it counts would be wrong.  So it
 * answers, and counts, only where its arguments are columns of the row that its trigger is
 * about, as guard() writes them: the instance, perhaps the key, and tableoid, and of a row
 * that is deleted its ctid.  PostgreSQL makes Vars of OUTER_VAR (NEW) or INNER_VAR (OLD) of
 * those (TriggerEnabled() in trigger.c).  A system column of these stands nowhere else: in
 * a plan such Vars are numbered by the columns of the node below, which begin at 1
 * (set_join_references() in setrefs.c).  And since only the condition of an AFTER trigger
 * may name a system column of NEW, the new row is in the heap and its indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"

#include "guard/guard.h"
#include "table/table.h"

static void read_arguments(List *args, IenvCondition *condition);
static AttrNumber column_of(Node *node, int varno);

/*
 * The guard of the table whose trigger's condition is being evaluated: of a new row
 * (instance [, key], tableoid), or of an old one (instance, tableoid, ctid).  NULL if the
 * function is called otherwise, or if the table is not guarded by these columns: then the
 * answer must be one that tells nothing.
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
			read_arguments(((FuncExpr *) call)->args, condition);
		fcinfo->flinfo->fn_extra = condition;
	}

	if (condition->tableoid == 0 || PG_ARGISNULL(condition->tableoid))
		return NULL;
	guard = ienv_guard_of(PG_GETARG_OID(condition->tableoid));
	if (guard == NULL || guard->instance_attno != condition->instance_attno ||
		(condition->key_attno != InvalidAttrNumber && guard->key_attno != condition->key_attno))
		return NULL;
	return guard;
}

/*
 * See whether a call's arguments are what guard() writes.
 */
static void
read_arguments(List *args, IenvCondition *condition)
{
	int			nargs = list_length(args);
	bool		is_old = nargs == 3 && column_of(lthird(args), INNER_VAR) == SelfItemPointerAttributeNumber;
	int			varno = is_old ? INNER_VAR : OUTER_VAR;
	int			tableoid = is_old ? 1 : nargs - 1;

	if (nargs < 2 || nargs > 3 || column_of(list_nth(args, tableoid), varno) != TableOidAttributeNumber)
		return;
	condition->instance_attno = column_of(linitial(args), varno);
	if (tableoid == 2)
		condition->key_attno = column_of(lsecond(args), varno);
	if (condition->instance_attno > 0 && (tableoid == 1 || condition->key_attno > 0))
		condition->tableoid = tableoid;
}

/*
 * The number of the column of varno that an argument is, negative if it is a system
 * column; 0 if it is something else.
 */
static AttrNumber
column_of(Node *node, int varno)
{
	/* a varchar, or a domain, is passed on as the type that the function takes */
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var) || ((Var *) node)->varno != varno)
		return InvalidAttrNumber;
	return ((Var *) node)->varattno;
}
