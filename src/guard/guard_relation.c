/*-------------------------------------------------------------------------
 *
 * guard_relation.c
 *	  Which relations guard() takes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

/*
 * Refuse a relation whose rows the triggers could not see, count or track.
 */
void
ienv_check_guardable(Relation rel)
{
	const char *hint = NULL;
	char		relkind = rel->rd_rel->relkind;

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		hint = "Guard the table that holds the rows.";
	else if (IsCatalogRelation(rel) ||
			 RelationGetNamespace(rel) == ienv_oids()->schema)
		hint = "Guard a table of the application's.";
	else if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		hint =
			"Guard a permanent table: nobody but its session could count the rows of a temporary one.";
	else if (rel->rd_rel->relispartition)
		hint =
			"Guard the partitioned table: the cap counts over all its partitions.";
	else if (relkind == RELKIND_RELATION &&
			 find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL)
		hint =
			"Inheritance children are tables of their own; use a partitioned table.";
	else if (has_superclass(RelationGetRelid(rel)))
		hint =
			"Inheritance children are tables of their own; use a partitioned table.";
	else if (relkind == RELKIND_RELATION &&
			 rel->rd_tableam != GetHeapamTableAmRoutine())
		hint = "Only tables of access method \"heap\" can be guarded.";
	if (hint == NULL)
		return;

	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("relation %s cannot be guarded",
					ienv_quoted_name(RelationGetRelid(rel))),
			 relkind != RELKIND_RELATION &&
			 relkind != RELKIND_PARTITIONED_TABLE ?
			 errdetail_relkind_not_supported(relkind) : 0,
			 errhint("%s", hint)));
}

/*
 * Refuse a table with a partition that has a guard of its own.  The event
 * trigger does not let such a table become a partition, but can be disabled.
 */
void
ienv_check_partitions(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(lc), AccessShareLock);
		bool		guarded = ienv_guards_itself(rel);

		relation_close(rel, NoLock);
		if (guarded && lfirst_oid(lc) != relid)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("partition %s of table %s has a guard of its own",
							ienv_quoted_name(lfirst_oid(lc)),
							ienv_quoted_name(relid)),
					 errhint("Call instance_env.unguard() for the partition first.")));
	}
}

/*
 * The triggers are created as the table's owner, and PostgreSQL requires that
 * this role have the right to create them on each partition: report a
 * partition that belongs to another role before PostgreSQL's own check fails.
 */
void
ienv_check_partition_rights(Oid relid)
{
	Oid			owner = ienv_relation_owner(relid);
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Oid			partition = lfirst_oid(lc);

		if (pg_class_aclcheck(partition, owner, ACL_TRIGGER) != ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("partition %s of table %s belongs to another role",
							ienv_quoted_name(partition),
							ienv_quoted_name(relid)),
					 errdetail("Role \"%s\", which owns the table, may not create triggers on the partition.",
							   GetUserNameFromId(owner, false)),
					 errhint("Give the partition to the owner of the table, or grant it TRIGGER on the partition.")));
	}
}
