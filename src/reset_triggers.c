/*-------------------------------------------------------------------------
 *
 * reset_triggers.c
 *	  Whose code a DELETE runs, and with whose rights.
 *
 * Rows are deleted as the table's owner, so triggers get the owner's rights.  But not
 * every trigger is the owner's:
 *
 * - Whoever has been granted TRIGGER on the table, which GRANT ALL includes, may have it
 *	 run a function of his own.
 * - A foreign key ON DELETE CASCADE or SET NULL changes rows of another table.  PostgreSQL
 *	 does so as that table's owner, its BEFORE triggers included; but its AFTER triggers
 *	 wait for the end of the statement, and until PostgreSQL 18 run as whoever set it off.
 *
 * That happens with every DELETE, and whoever grants TRIGGER or REFERENCES on his table
 * has to know.  A reset, though, is somebody else's doing.  So nothing is deleted where
 * that would run a function whose owner does not have the rights of the role that it would
 * run as anyway.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "guard.h"
#include "reset.h"

static List *reached(List *relations);
static bool changes_rows(char action);
static void check_triggers(Oid relid, Oid before, Oid after);
static Oid	foreign_function(Oid trigger, Oid role);
static bool has_rights(Oid function, Oid role);

/*
 * Refuse to delete from these tables, as owner, if that would run a function with rights
 * that its owner does not have.  The tables and their partitions are locked for reading.
 */
void
ienv_check_deletion(const List *tables, Oid owner)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, tables)
		relations = list_concat(relations, find_all_inheritors(((const IenvResetTable *) lfirst(lc))->relid, NoLock, NULL));
	foreach(lc, reached(relations))
	{
		Oid			relid = lfirst_oid(lc);
		Oid			before = owner;
		Oid			after = owner;

		/* the DELETE takes this lock anyway; from now on nobody adds a trigger */
		LockRelationOid(relid, RowExclusiveLock);
		if (!list_member_oid(relations, relid))
		{
			before = ienv_relation_owner(relid);
			if (IENV_AFTER_TRIGGERS_KEEP_ROLE)
				after = before;
		}
		check_triggers(relid, before, after);
	}
}

/*
 * These relations, and those whose rows foreign keys change along with theirs.
 */
static List *
reached(List *relations)
{
	List	   *all = list_copy(relations);
	int			before;

	do
	{
		Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
		SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
		HeapTuple	tuple;

		before = list_length(all);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

			if (form->contype == CONSTRAINT_FOREIGN && list_member_oid(all, form->confrelid) &&
				(changes_rows(form->confdeltype) || changes_rows(form->confupdtype)))
				all = list_append_unique_oid(all, form->conrelid);
		}
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	} while (list_length(all) > before);
	return all;
}

static bool
changes_rows(char action)
{
	return action == FKCONSTR_ACTION_CASCADE || action == FKCONSTR_ACTION_SETNULL ||
		action == FKCONSTR_ACTION_SETDEFAULT;
}

/*
 * Refuse a relation if one of its BEFORE or AFTER triggers, which would run as these
 * roles, calls a function of a role with fewer rights.
 */
static void
check_triggers(Oid relid, Oid before, Oid after)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		Oid			role = TRIGGER_FOR_AFTER(form->tgtype) ? after : before;
		Oid			function;

		if (form->tgisinternal || form->tgenabled == TRIGGER_DISABLED)
			continue;
		function = foreign_function(form->oid, role);
		if (OidIsValid(function))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("trigger \"%s\" of table %s would run function \"%s\" with the rights of role \"%s\"",
							NameStr(form->tgname), ienv_quoted_name(relid), get_func_name(function),
							GetUserNameFromId(role, false)),
					 errdetail("The function belongs to a role that does not have these rights."),
					 errhint("Disable the trigger meanwhile, or give the function to role \"%s\".",
							 GetUserNameFromId(role, false))));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * A function that a trigger calls, also in its WHEN condition, whose owner does not have
 * the rights of this role; or InvalidOid.
 */
static Oid
foreign_function(Oid trigger, Oid role)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			found = InvalidOid;

	/* what PostgreSQL brings itself has no such entry */
	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(TriggerRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(trigger));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, key);
	while (!OidIsValid(found) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		Oid			function = InvalidOid;

		if (form->refclassid == ProcedureRelationId)
			function = form->refobjid;
		else if (form->refclassid == OperatorRelationId)
			function = get_opcode(form->refobjid);
		if (OidIsValid(function) && !has_rights(function, role))
			found = function;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Does the function's owner have the rights of this role, or does the function run as its
 * owner anyway?
 */
static bool
has_rights(Oid function, Oid role)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		result = true;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);

		result = form->prosecdef || has_privs_of_role(form->proowner, role);
		ReleaseSysCache(tuple);
	}
	return result;
}
