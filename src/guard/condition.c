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
 * guard() writes them: the instance, perhaps the key, and tableoid; and of a
 * row that is deleted, also its ctid.  PostgreSQL turns those into Vars of
 * OUTER_VAR (NEW) or INNER_VAR (OLD) (TriggerEnabled() in trigger.c).  Nowhere
 * else is such a Var a system column: in a plan, such Vars are numbered by the
 * columns of the node below, which begin at 1 (set_join_references() in
 * setrefs.c).  And since only the condition of an AFTER trigger may refer to a
 * system column of NEW, the new row is in the heap and its indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"

#include "guard/guard.h"
#include "table/table.h"

static void read_arguments(List *args, IenvCondition * condition);
static AttrNumber column_of(Node *node, int varno);

/*
 * The guard of the table whose trigger's condition is being evaluated: for a
 * new row (instance [, key], tableoid), or for an old one (instance, tableoid,
 * ctid).  NULL if the function is called in any other way, or if the table is
 * not guarded by these columns: then the answer must reveal nothing.
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

		condition = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
										   sizeof(IenvCondition));
		if (call != NULL && IsA(call, FuncExpr))
			read_arguments(((FuncExpr *) call)->args, condition);
		fcinfo->flinfo->fn_extra = condition;
	}

	if (condition->tableoid == 0 || PG_ARGISNULL(condition->tableoid))
		return NULL;
	guard = ienv_guard_of(PG_GETARG_OID(condition->tableoid));
	if (guard == NULL || guard->instance_attno != condition->instance_attno ||
		(condition->key_attno != InvalidAttrNumber &&
		 guard->key_attno != condition->key_attno))
		return NULL;
	return guard;
}

/*
 * See whether a call's arguments are what guard() writes.
 */
static void
read_arguments(List *args, IenvCondition * condition)
{
	int			nargs = list_length(args);
	bool		is_old = nargs == 3 && column_of(lthird(args),
												 INNER_VAR) ==
	SelfItemPointerAttributeNumber;
	int			varno = is_old ? INNER_VAR : OUTER_VAR;
	int			tableoid = is_old ? 1 : nargs - 1;

	if (nargs < 2 || nargs > 3 ||
		column_of(list_nth(args, tableoid), varno) != TableOidAttributeNumber)
		return;
	condition->instance_attno = column_of(linitial(args), varno);
	if (tableoid == 2)
		condition->key_attno = column_of(lsecond(args), varno);
	if (condition->instance_attno > 0 &&
		(tableoid == 1 || condition->key_attno > 0))
		condition->tableoid = tableoid;
}

/*
 * The column number of an argument that is a column of varno, negative for a
 * system column; 0 if the argument is anything else.
 */
static AttrNumber
column_of(Node *node, int varno)
{
	/* a varchar or domain is relabeled as the type that the function takes */
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var) || ((Var *) node)->varno != varno)
		return InvalidAttrNumber;
	return ((Var *) node)->varattno;
}
