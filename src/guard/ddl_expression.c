/*-------------------------------------------------------------------------
 *
 * ddl_expression.c
 *	  Another expression for a generated column that a guard depends on: for
 *	  the event trigger of ddl.c.
 *
 * ALTER TABLE ... SET EXPRESSION computes the column anew in all rows, and
 * fires no trigger for them.  It could move every user to another instance.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attrdef.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/compat.h"
#include "guard/guard.h"
#include "table/table.h"

static bool names_user(const IenvGuard *guard, AttrNumber attno);

/*
 * Does the statement change the expression of a generated column?
 */
bool
ienv_sets_expression(Node *parsetree)
{
	ListCell   *lc;

	if (!IsA(parsetree, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
		if (IENV_IS_SET_EXPRESSION(lfirst_node(AlterTableCmd, lc)))
		return true;
	return false;
}

/*
 * Refuse the expressions that the current transaction has written, starting
 * with command "since", for a column that names an instance or a user.
 */
void
ienv_check_new_expressions(CommandId since)
{
	Relation	rel = table_open(AttrDefaultRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, SnapshotSelf,
										  0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_attrdef form = (Form_pg_attrdef) GETSTRUCT(tuple);
		const IenvGuard *guard;

		if (!ienv_is_new_row(tuple) ||
			HeapTupleHeaderGetCmin(tuple->t_data) < since ||
			!get_attgenerated(form->adrelid, form->adnum))
			continue;
		guard = ienv_guard_of(form->adrelid);
		if (guard != NULL && names_user(guard, form->adnum))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot change the expression of column \"%s\" of guarded table %s",
							get_attname(form->adrelid, form->adnum, false),
							ienv_quoted_name(form->adrelid)),
					 errdetail("It says which instance or user a row belongs to, and would change in all rows at once."),
					 errhint("Call instance_env.unguard(), change the expression, and call instance_env.guard().")));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static bool
names_user(const IenvGuard *guard, AttrNumber attno)
{
	bool		found = attno == guard->instance_attno;

	for (int i = 0; i < guard->nkeys; i++)
		found = found || attno == guard->key_attnos[i];
	return found;
}
