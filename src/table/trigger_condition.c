/*-------------------------------------------------------------------------
 *
 * trigger_condition.c
 *	  The conditions of a guard's triggers, as PostgreSQL has stored them.
 *
 * A trigger that executes one of our functions belongs to a guard only if its
 * condition is what guard() writes.  Any other such trigger, which the table's
 * owner may have created, says nothing about the table's columns, whatever its
 * name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/transam.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "table/table.h"

static List *arguments_of(Node *node, const char *function);
static AttrNumber column(Node *node, int varno);
static bool read_new_row(List *args, IenvColumns *columns);
static bool read_change(Node *node, IenvColumns *columns);

/*
 * Is this what guard() writes for a trigger of this kind?  Sets *columns to
 * those that it names; condition is NULL if there is none.
 */
bool
ienv_read_condition(const IenvTriggerKind *kind, Node *condition,
					IenvColumns *columns)
{
	List	   *args;

	memset(columns, 0, sizeof(*columns));
	switch (kind->bit)
	{
		case IENV_TRIGGER_USER_CAP:
			return read_new_row(arguments_of(condition, "admission_required"),
								columns);
		case IENV_TRIGGER_ACTIVE:
			return read_new_row(arguments_of(condition,
											 "instance_unavailable"), columns);
		case IENV_TRIGGER_NO_TRANSFER:
			return read_change(condition, columns);
		case IENV_TRIGGER_NO_MOVE:
			args = arguments_of(condition, "row_moves");
			if (list_length(args) != 3 ||
				column(lsecond(args), PRS2_OLD_VARNO) !=
				TableOidAttributeNumber ||
				column(lthird(args), PRS2_OLD_VARNO) !=
				SelfItemPointerAttributeNumber)
				return false;
			columns->instance = column(linitial(args), PRS2_OLD_VARNO);
			return columns->instance > 0;
		case IENV_TRIGGER_DEPARTURE:
			return condition != NULL && IsA(condition, FuncExpr) &&
				((FuncExpr *) condition)->funcid ==
				ienv_oids()->departure_queued;
		default:
			return condition == NULL;
	}
}

/*
 * The arguments of a call of one of our functions; NIL if node is anything
 * else.
 */
static List *
arguments_of(Node *node, const char *function)
{
	Oid			funcid;

	if (node == NULL || !IsA(node, FuncExpr))
		return NIL;
	funcid = ((FuncExpr *) node)->funcid;
	if (get_func_namespace(funcid) != ienv_oids()->schema ||
		strcmp(get_func_name(funcid), function) != 0)
		return NIL;
	return ((FuncExpr *) node)->args;
}

/*
 * The number of the column of OLD or NEW that an expression consists of, or 0.
 */
static AttrNumber
column(Node *node, int varno)
{
	/* to compare it, PostgreSQL relabels a varchar or a domain */
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var) || ((Var *) node)->varno != varno)
		return InvalidAttrNumber;
	return ((Var *) node)->varattno;
}

/*
 * (NEW.instance, NEW.tableoid [, NEW.key...])
 */
static bool
read_new_row(List *args, IenvColumns *columns)
{
	if (list_length(args) < 2 ||
		column(lsecond(args), PRS2_NEW_VARNO) != TableOidAttributeNumber)
		return false;
	columns->instance = column(linitial(args), PRS2_NEW_VARNO);
	if (columns->instance <= 0 ||
		list_length(args) - 2 > IENV_MAX_KEY_COLUMNS)
		return false;
	for (int i = 2; i < list_length(args); i++)
	{
		columns->keys[columns->nkeys] = column(list_nth(args, i),
											   PRS2_NEW_VARNO);
		if (columns->keys[columns->nkeys++] <= 0)
			return false;
	}
	return true;
}

/*
 * OLD.instance IS DISTINCT FROM NEW.instance [OR identity_changes(OLD.key,
 * NEW.key) ...], with a built-in equality operator.
 */
static bool
read_change(Node *node, IenvColumns *columns)
{
	DistinctExpr *distinct;

	if (node != NULL && IsA(node, BoolExpr) &&
		((BoolExpr *) node)->boolop == OR_EXPR)
	{
		List	   *any = ((BoolExpr *) node)->args;

		if (list_length(any) - 1 > IENV_MAX_KEY_COLUMNS)
			return false;
		for (int i = 1; i < list_length(any); i++)
		{
			List	   *args = arguments_of(list_nth(any, i),
											"identity_changes");
			AttrNumber	key;

			if (list_length(args) != 2)
				return false;
			key = column(linitial(args), PRS2_OLD_VARNO);
			if (key <= 0 || key != column(lsecond(args), PRS2_NEW_VARNO))
				return false;
			columns->keys[columns->nkeys++] = key;
		}
		node = linitial(any);
	}
	if (node == NULL || !IsA(node, DistinctExpr))
		return false;
	distinct = (DistinctExpr *) node;
	columns->instance = column(linitial(distinct->args), PRS2_OLD_VARNO);
	return distinct->opno < FirstNormalObjectId && columns->instance > 0 &&
		columns->instance == column(lsecond(distinct->args), PRS2_NEW_VARNO);
}
