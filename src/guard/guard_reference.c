/*-------------------------------------------------------------------------
 *
 * guard_reference.c
 *	  A foreign key that keeps data which refers to a user in the user's
 *	  instance.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

static void check_may_refer(Oid role, Oid user_table);
static void check_same_rights(Oid relid, Oid user_table);
static bool find_reference(Oid relid, AttrNumber instance_attno,
						   AttrNumber user_attno, const IenvGuard *users,
						   const char **actions);
static bool has_composite(Relation constraints, Oid relid,
						  AttrNumber instance_attno, AttrNumber user_attno,
						  const IenvGuard *users);
static bool has_unique_index(Relation rel, AttrNumber a, AttrNumber b);

/*
 * Make sure, by a foreign key from (instance, user) to user_table, that rows
 * of relid can refer only to users of their own instance.
 *
 * The caller must own user_table if it needs a new index; the foreign key is
 * created as relid's owner, who needs REFERENCES on user_table, because
 * PostgreSQL checks existing rows by a query.  SPI is connected, and relid is
 * locked but not open.
 */
void
ienv_make_reference(Oid relid, AttrNumber instance_attno,
					AttrNumber user_attno, Oid user_table)
{
	const IenvGuard *users = ienv_users_of(relid, user_table);
	const char *actions = "";
	const char *instance;
	const char *key;
	Relation	rel;
	bool		indexed;
	IenvActing	saved;

	if (find_reference(relid, instance_attno, user_attno, users, &actions))
		return;

	check_same_rights(relid, user_table);

	instance =
		quote_identifier(get_attname(user_table, users->instance_attno,
									 false));
	key = quote_identifier(get_attname(user_table, users->key_attnos[0], false));
	rel = table_open(user_table, ShareRowExclusiveLock);
	indexed = has_unique_index(rel, users->instance_attno, users->key_attnos[0]);
	table_close(rel, NoLock);
	if (!indexed)
	{
		ereport(NOTICE,
				(errmsg("creating a unique index on columns %s and %s of table %s",
						instance, key, ienv_quoted_name(user_table))));
		ienv_execute("CREATE UNIQUE INDEX ON %s (%s, %s)",
					 ienv_kept_name(user_table), instance, key);
	}
	ienv_act_as_owner_of(relid, &saved);
	ienv_execute("ALTER TABLE %s ADD FOREIGN KEY (%s, %s) REFERENCES %s (%s, %s)%s",
				 ienv_kept_name(relid),
				 quote_identifier(get_attname(relid, instance_attno, false)),
				 quote_identifier(get_attname(relid, user_attno, false)),
				 ienv_kept_name(user_table), instance, key, actions);
	ienv_act_as_self(&saved);
}

/*
 * The guard of user_table, whose users rows of relid are to refer to; raises
 * an error if it has none, or if there may be no foreign key.
 */
const IenvGuard *
ienv_users_of(Oid relid, Oid user_table)
{
	const IenvGuard *users;

	/* before anything is locked */
	check_may_refer(GetUserId(), user_table);
	check_may_refer(ienv_relation_owner(relid), user_table);

	users = ienv_guard_of(user_table);
	if (users == NULL || users->root != user_table || users->nkeys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is not a guarded table with a user key",
						ienv_quoted_name(user_table)),
				 errhint("Call instance_env.guard() for it first.")));
	return users;
}

/*
 * Check that this role may create a foreign key that refers to the table, or
 * to any column of it.
 */
static void
check_may_refer(Oid role, Oid user_table)
{
	if (pg_class_aclcheck(user_table, role, ACL_REFERENCES) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(user_table, role, ACL_REFERENCES,
								  ACLMASK_ANY) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for table %s",
					ienv_quoted_name(user_table)),
			 errdetail("A foreign key that refers to it requires the REFERENCES privilege, which role \"%s\" does not have.",
					   GetUserNameFromId(role, false))));
}

/*
 * The query that checks a new foreign key reads both tables as relid's owner.
 * It thus runs code that user_table's owner has attached to that table, with
 * privileges that the latter role may not have.
 */
static void
check_same_rights(Oid relid, Oid user_table)
{
	Oid			owner = ienv_relation_owner(relid);

	if (has_privs_of_role(ienv_lock_owner(user_table), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table %s belongs to a different role than table %s",
					ienv_quoted_name(user_table),
					ienv_quoted_name(relid)),
			 errdetail("Checking the foreign key would run what the former table's owner has attached to it, with the rights of role \"%s\".",
					   GetUserNameFromId(owner, false)),
			 errhint("Let role \"%s\" add the foreign key over instance and user itself, and call guard() again.",
					 GetUserNameFromId(owner, false))));
}

/*
 * Does the foreign key exist already?  Otherwise *actions is what a foreign
 * key on the user's column alone does, so that the new one can do the same.
 */
static bool
find_reference(Oid relid, AttrNumber instance_attno, AttrNumber user_attno,
			   const IenvGuard *users, const char **actions)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL,
							  1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		int			nkeys;
		AttrNumber	from[INDEX_MAX_KEYS];
		AttrNumber	to[INDEX_MAX_KEYS];

		if (form->contype != CONSTRAINT_FOREIGN ||
			form->confrelid != users->relid)
			continue;
		DeconstructFkConstraintRow(tuple, &nkeys, from, to, NULL, NULL, NULL,
								   NULL, NULL);
		if (nkeys == 2)
		{
			int			i = from[0] == instance_attno ? 0 : 1;

			found = from[i] == instance_attno &&
				to[i] == users->instance_attno &&
				from[1 - i] == user_attno && to[1 - i] == users->key_attnos[0];
		}
		else if (nkeys == 1 && from[0] == user_attno &&
				 to[0] == users->key_attnos[0])
			*actions = form->confdeltype == FKCONSTR_ACTION_CASCADE ?
				" ON DELETE CASCADE" :
				form->confdeltype == FKCONSTR_ACTION_RESTRICT ?
				" ON DELETE RESTRICT" :
				form->confdeltype == FKCONSTR_ACTION_SETNULL ?
				psprintf(" ON DELETE SET NULL (%s)",
						 quote_identifier(get_attname(relid, user_attno,
													  false))) :
				"";
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Is there a unique index on just these two columns, in either order?
 */
static bool
has_unique_index(Relation rel, AttrNumber a, AttrNumber b)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		int16	   *keys = form->indkey.values;

		found = found ||
			(form->indisunique && form->indisvalid && form->indimmediate &&
			 form->indnkeyatts == 2 &&
			 heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred,
							NULL) &&
			 ((keys[0] == a && keys[1] == b) ||
			  (keys[0] == b && keys[1] == a)));
		index_close(index, AccessShareLock);
	}
	return found;
}

/*
 * The names of a guarded table's foreign keys by which a row can refer to a
 * user of another instance: they refer to a guarded table's user key alone, or
 * have not been validated, and no other one over instance and user makes up
 * for it.
 */
List *
ienv_loose_references(const IenvGuard *guard)
{
	Oid			relid = guard->relid;
	AttrNumber	instance_attno = guard->instance_attno;
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *loose = NIL;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		int			nkeys;
		AttrNumber	from[INDEX_MAX_KEYS];
		AttrNumber	to[INDEX_MAX_KEYS];
		const IenvGuard *users;

		/* skip the copies that exist for the other table's partitions */
		if (form->contype != CONSTRAINT_FOREIGN ||
			OidIsValid(form->conparentid))
			continue;
		users = ienv_guard_of(form->confrelid);
		if (users == NULL || users->nkeys == 0)
			continue;
		DeconstructFkConstraintRow(tuple, &nkeys, from, to, NULL, NULL, NULL,
								   NULL, NULL);
		for (int i = 0; i < nkeys; i++)
			if (to[i] == users->key_attnos[0] &&
				!has_composite(rel, relid, instance_attno, from[i], users))
			{
				loose = lappend(loose, pstrdup(NameStr(form->conname)));
				break;
			}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return loose;
}

/*
 * Does relid have a validated foreign key over instance and user?
 */
static bool
has_composite(Relation constraints, Oid relid, AttrNumber instance_attno,
			  AttrNumber user_attno, const IenvGuard *users)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(constraints, ConstraintRelidTypidNameIndexId,
							  true, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		int			nkeys;
		AttrNumber	from[INDEX_MAX_KEYS];
		AttrNumber	to[INDEX_MAX_KEYS];
		int			matches = 0;

		if (form->contype != CONSTRAINT_FOREIGN ||
			form->confrelid != users->relid || !form->convalidated)
			continue;
		DeconstructFkConstraintRow(tuple, &nkeys, from, to, NULL, NULL, NULL,
								   NULL, NULL);
		for (int i = 0; i < nkeys; i++)
			if ((from[i] == instance_attno &&
				 to[i] == users->instance_attno) ||
				(from[i] == user_attno && to[i] == users->key_attnos[0]))
				matches++;
		found = matches == 2;
	}
	systable_endscan(scan);
	return found;
}
