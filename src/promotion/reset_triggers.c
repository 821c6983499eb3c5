/*-------------------------------------------------------------------------
 *
 * reset_triggers.c
 *	  Whose code a DELETE runs, and with whose rights.
 *
 * Rows are deleted as the table's owner, so triggers get the owner's rights.
 * But not every trigger is the owner's:
 *
 * - A role that has been granted TRIGGER on the table, which GRANT ALL
 *	 includes, can make it run a function of its own, also by way of an
 *	 operator or a domain in the trigger's condition.
 * - A foreign key ON DELETE CASCADE or SET NULL changes rows of another table.
 *	 PostgreSQL does so as that table's owner; but some of that table's code
 *	 runs later, and then as the role that set it off: AFTER triggers before
 *	 PostgreSQL 18, and checks of deferred constraints.
 *
 * That happens with every DELETE, and anyone who grants TRIGGER or REFERENCES
 * on a table has to know that.  A reset, however, is initiated by someone
 * else.  So nothing is deleted unless everything that runs is code of roles
 * that have the rights of the tables' owners anyway.  Which code would run
 * with whose rights is not worked out: it is enough that there is some.  A
 * SECURITY DEFINER function counts like any other, because an earlier trigger
 * may have changed that by the time it runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "promotion/reset.h"

static List *with_partitions(List *relations, Oid relid);
static bool changes_rows(char action);
static void check_owner(Oid relid, Oid owner, const char *from);
static void check_rules(Oid relid);
static void check_triggers(Oid relid, Oid owner);
static void check_object(Form_pg_trigger trigger, Oid classid, Oid objid,
						 Oid owner);
static Oid	owner_of(Oid classid, Oid objid);

/*
 * Refuse to delete from these tables, as owner, if that could run code with
 * rights that its author does not have.  The tables and their partitions are
 * locked for reading.
 *
 * What has been locked here stays as it was seen until the transaction ends.
 */
void
ienv_check_deletion(const List *tables, Oid owner)
{
	const char *first = ((const IenvResetTable *) linitial(tables))->name;
	List	   *locked = NIL;
	List	   *relations;
	bool		stable;
	ListCell   *lc;

	/* while we wait for a lock, a foreign key or a partition may be added */
	do
	{
		stable = true;
		relations = ienv_reset_reached(tables);
		foreach(lc, relations)
		{
			Oid			relid = lfirst_oid(lc);

			if (list_member_oid(locked, relid))
				continue;

			/*
			 * The DELETE takes RowExclusiveLock anyway, under which no one
			 * can add a trigger, a rule or a foreign key.  It takes more to
			 * keep partitions from being attached.
			 */
			LockRelationOid(relid, RowExclusiveLock);
			if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
				LockRelationOid(relid, ShareUpdateExclusiveLock);
			locked = lappend_oid(locked, relid);
			stable = false;
		}
	} while (!stable);

	foreach(lc, relations)
	{
		Oid			relid = lfirst_oid(lc);

		check_owner(relid, owner, first);
		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		{
			ListCell   *part;

			foreach(part, find_all_inheritors(relid, NoLock, NULL))
				check_owner(lfirst_oid(part), ienv_relation_owner(relid),
							ienv_quoted_name(relid));
		}
		check_rules(relid);
		check_triggers(relid, owner);
	}
}

/*
 * These tables, and those whose rows foreign keys change along with theirs,
 * all including their partitions.
 */
List *
ienv_reset_reached(const List *tables)
{
	List	   *all = NIL;
	int			before;
	ListCell   *lc;

	foreach(lc, tables)
	{
		const IenvResetTable *table = lfirst(lc);

		all = with_partitions(all, table->relid);
	}
	do
	{
		Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
		SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
											  NULL);
		HeapTuple	tuple;

		before = list_length(all);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

			if (form->contype == CONSTRAINT_FOREIGN &&
				list_member_oid(all, form->confrelid) &&
				(changes_rows(form->confdeltype) ||
				 changes_rows(form->confupdtype)))
				all = with_partitions(all, form->conrelid);
		}
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	} while (list_length(all) > before);
	return all;
}

static List *
with_partitions(List *relations, Oid relid)
{
	if (list_member_oid(relations, relid))
		return relations;
	return list_concat_unique_oid(relations,
								  find_all_inheritors(relid, NoLock, NULL));
}

static bool
changes_rows(char action)
{
	return action == FKCONSTR_ACTION_CASCADE ||
		action == FKCONSTR_ACTION_SETNULL ||
		action == FKCONSTR_ACTION_SETDEFAULT;
}

/*
 * Refuse a relation whose owner does not have the rights of this role.  It may
 * have been dropped before it was locked.
 */
static void
check_owner(Oid relid, Oid owner, const char *from)
{
	if (get_rel_name(relid) == NULL ||
		has_privs_of_role(ienv_relation_owner(relid), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("deleting from table %s would change table %s, which belongs to another role", from,
					ienv_quoted_name(relid)),
			 errdetail("Code that role \"%s\" has attached to it could run with the rights of role \"%s\".",
					   GetUserNameFromId(ienv_relation_owner(relid), false),
					   GetUserNameFromId(owner, false)),
			 errhint("Let its owner delete the rows there and drop the foreign key, or the partition.")));
}

/*
 * Refuse a relation with a rule for DELETE, or for what a foreign key turns it
 * into: a rule may do anything to any table, and a DELETE in batches is not a
 * statement that PostgreSQL can rewrite.
 */
static void
check_rules(Oid relid)
{
	Relation	rel = try_relation_open(relid, NoLock);
	RuleLock   *rules = rel == NULL ? NULL : rel->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
		if (rules->rules[i]->enabled != RULE_DISABLED &&
			(rules->rules[i]->event == CMD_DELETE ||
			 rules->rules[i]->event == CMD_UPDATE))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table %s has a rule on %s",
							ienv_quoted_name(relid),
							rules->rules[i]->event == CMD_DELETE ? "DELETE" :
							"UPDATE"),
					 errdetail("A reset does not delete where a rule would do something else, or more."),
					 errhint("Disable the rule meanwhile, or delete the rows by hand.")));
	if (rel != NULL)
		relation_close(rel, NoLock);
}

/*
 * Refuse a relation with a trigger that involves anything of a role that does
 * not have the rights of this one and of the relation's owner.
 */
static void
check_triggers(Oid relid, Oid owner)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		Relation	depend;
		ScanKeyData keys[2];
		SysScanDesc dependencies;
		HeapTuple	dependency;

		if (form->tgisinternal || form->tgenabled == TRIGGER_DISABLED)
			continue;

		/* objects that come with PostgreSQL itself have no such entry */
		depend = table_open(DependRelationId, AccessShareLock);
		ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(TriggerRelationId));
		ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(form->oid));
		dependencies = systable_beginscan(depend, DependDependerIndexId, true,
										  NULL, 2, keys);
		while (HeapTupleIsValid(dependency = systable_getnext(dependencies)))
		{
			Oid			classid = ((Form_pg_depend) GETSTRUCT(dependency))->refclassid;
			Oid			objid = ((Form_pg_depend) GETSTRUCT(dependency))->refobjid;

			/* a table itself contains no code */
			if (classid == RelationRelationId)
				continue;
			check_object(form, classid, objid, owner);
			check_object(form, classid, objid, ienv_relation_owner(relid));
			if (classid == OperatorRelationId)
			{
				check_object(form, ProcedureRelationId, get_opcode(objid),
							 owner);
				check_object(form, ProcedureRelationId, get_opcode(objid),
							 ienv_relation_owner(relid));
			}
		}
		systable_endscan(dependencies);
		table_close(depend, AccessShareLock);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Refuse a trigger that involves this object, unless the object's owner has
 * the rights of this role.  The extension's owner is trusted with those.
 */
static void
check_object(Form_pg_trigger trigger, Oid classid, Oid objid, Oid owner)
{
	Oid			other = owner_of(classid, objid);
	ObjectAddress address;

	if (!OidIsValid(other) || other == ienv_oids()->owner ||
		has_privs_of_role(other, owner))
		return;
	ObjectAddressSet(address, classid, objid);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("trigger \"%s\" of table %s could run code of role \"%s\" with the rights of role \"%s\"",
					NameStr(trigger->tgname),
					ienv_quoted_name(trigger->tgrelid),
					GetUserNameFromId(other, false),
					GetUserNameFromId(owner, false)),
			 errdetail("It involves %s.",
					   getObjectDescription(&address, false)),
			 errhint("Disable the trigger meanwhile, or drop it.")));
}

/*
 * The owner of an object, or InvalidOid if it is of a kind that has none.
 */
static Oid
owner_of(Oid classid, Oid objid)
{
	AttrNumber	attno = is_objectclass_supported(classid) ? get_object_attnum_owner(classid) : InvalidAttrNumber;
	Oid			owner = InvalidOid;
	Relation	rel;
	HeapTuple	tuple;
	bool		isnull;

	if (attno == InvalidAttrNumber)
		return InvalidOid;
	rel = table_open(classid, AccessShareLock);
	tuple = get_catalog_object_by_oid(rel, get_object_attnum_oid(classid),
									  objid);
	if (HeapTupleIsValid(tuple))
		owner =
			DatumGetObjectId(heap_getattr(tuple, attno, RelationGetDescr(rel),
										  &isnull));
	table_close(rel, AccessShareLock);
	return owner;
}
