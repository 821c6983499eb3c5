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
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/compat.h"
#include "guard/guard.h"
#include "guard/made.h"
#include "guard/reference.h"
#include "table/table.h"

static void check_same_number(const IenvReference *ref, int n);
static void check_same_columns(const IenvReference *ref,
							   const IenvForeignKey *key);
static void check_same_type(const IenvReference *ref);
static bool find_reference(IenvReport *report, const IenvReference *ref,
						   List *keys);
static void read_ref(IenvReference *ref, Oid relid, AttrNumber instance_attno,
					 int n, const AttrNumber *user_attnos, Oid user_table);
static bool has_unique_index(const IenvReference *ref);
static bool names_all(const int16 *attnos, const IenvReference *ref);

/*
 * Make sure, by a foreign key from instance and user to user_table, that rows
 * of relid can refer only to users of their own instance.
 *
 * The caller must own user_table if it needs a new index; the foreign key is
 * created as relid's owner, who needs REFERENCES on user_table, because
 * PostgreSQL checks existing rows by a query.  SPI is connected, and relid is
 * locked but not open.
 */
void
ienv_make_reference(IenvReport *report, Oid relid, AttrNumber instance_attno,
					int n, const AttrNumber *user_attnos, Oid user_table)
{
	IenvReference ref;
	List	   *keys;
	const char *name;

	read_ref(&ref, relid, instance_attno, n, user_attnos, user_table);
	keys = ienv_foreign_keys(relid);
	check_same_number(&ref, ienv_read_reference(&ref, keys));
	check_same_columns(&ref, ienv_contradicting(&ref, keys));
	check_same_type(&ref);
	if (find_reference(report, &ref, keys))
		return;

	ienv_check_same_rights(relid, user_table);
	LockRelationOid(user_table, ShareRowExclusiveLock);
	if (!has_unique_index(&ref))
	{
		AttrNumber	attnos[INDEX_MAX_KEYS];

		attnos[0] = ref.user_instance;
		memcpy(attnos + 1, ref.to, n * sizeof(AttrNumber));
		ienv_make_index(report, user_table, n + 1, attnos, true);
		ienv_tell_superseded(user_table, ref.user_instance);
	}
	name = ienv_make_key(&ref, keys, NULL);
	ienv_report(report, "foreign key", name, relid, IENV_CREATED);
}

static void
read_ref(IenvReference *ref, Oid relid, AttrNumber instance_attno, int n,
		 const AttrNumber *user_attnos, Oid user_table)
{
	memset(ref, 0, sizeof(*ref));
	ref->relid = relid;
	ref->instance = instance_attno;
	ref->n = n;
	memcpy(ref->from, user_attnos, n * sizeof(AttrNumber));
	ref->user_table = user_table;
}

/*
 * Replace what guard() made earlier and does not do any more what it should.
 * This locks both tables exclusively, as dropping a foreign key does, so it
 * comes last.
 */
void
ienv_mend_reference(IenvReport *report, Oid relid, AttrNumber instance_attno,
					int n, const AttrNumber *user_attnos, Oid user_table)
{
	IenvReference ref;
	List	   *keys = ienv_foreign_keys(relid);

	read_ref(&ref, relid, instance_attno, n, user_attnos, user_table);
	if (ienv_read_reference(&ref, keys) == n)
		ienv_replace_own_keys(report, &ref, keys);
}

/*
 * Refuse a table of users whose key has not as many columns as user_key names.
 */
static void
check_same_number(const IenvReference *ref, int n)
{
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s has neither a user key nor a primary key",
						ienv_quoted_name(ref->user_table)),
				 errhint("Give it a primary key, or guard it with a user_key.")));
	if (n != ref->n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("user_key must name as many columns as identify a user in table %s",
						ienv_quoted_name(ref->user_table)),
				 errdetail("That is %s.",
						   ienv_columns_text(ref->user_table, n, ref->to))));
}

/*
 * Refuse a foreign key which says that a row refers to other columns than those
 * that identify a user.
 */
static void
check_same_columns(const IenvReference *ref, const IenvForeignKey *key)
{
	if (key == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("foreign key \"%s\" makes user_key of table %s refer to other columns than those that identify a user",
					key->name, ienv_quoted_name(ref->relid)),
			 errdetail("In table %s, %s identify a user; the foreign key refers to %s.",
					   ienv_quoted_name(ref->user_table),
					   ienv_columns_text(ref->user_table, ref->n, ref->to),
					   ienv_columns_text(ref->user_table, key->n, key->to)),
			 errhint("Add a foreign key that includes the instance column, or guard the table of users by the columns that are referred to.")));
}

/*
 * Refuse instance columns of which one holds ids and the other external keys:
 * no foreign key can compare them.
 */
static void
check_same_type(const IenvReference *ref)
{
	Oid			mine = get_atttype(ref->relid, ref->instance);
	Oid			theirs = get_atttype(ref->user_table, ref->user_instance);

	if ((getBaseType(mine) == UUIDOID) == (getBaseType(theirs) == UUIDOID))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("instance column \"%s\" of table %s is of type %s, but \"%s\" of table %s is of type %s",
					get_attname(ref->relid, ref->instance, false),
					ienv_quoted_name(ref->relid), format_type_be(mine),
					get_attname(ref->user_table, ref->user_instance, false),
					ienv_quoted_name(ref->user_table),
					format_type_be(theirs)),
			 errhint("Let both hold ids of instances, or both external keys.")));
}

/*
 * Is there a foreign key over instance and user?  One that has not been
 * validated is validated, unless those over the user alone have not been
 * either: then the application knows of rows that refer to nobody.
 */
static bool
find_reference(IenvReport *report, const IenvReference *ref, List *keys)
{
	const IenvForeignKey *found = NULL;
	bool		knows = false;
	bool		mend = false;
	IenvActions actions;
	IenvActing	saved;
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, keys)
	{
		IenvForeignKey *key = lfirst(lc);

		/* ienv_mend_reference() comes to these */
		if (ienv_is_own_key(key, ref) && ienv_must_replace(key, ref, keys))
			mend = true;
		else if (!ienv_covers(key, ref))
			others = lappend(others, key);
		else if (found == NULL || (key->validated && !found->validated))
			found = key;
	}
	if (found == NULL)
		return mend;
	ienv_choose_actions(ref, others, &actions);
	knows = actions.not_valid;
	if (ienv_is_disabled(found))
		ereport(NOTICE,
				(errmsg("foreign key \"%s\" of table %s has disabled triggers",
						found->name, ienv_quoted_name(ref->relid)),
				 errhint("A superuser can use ALTER TABLE ... ENABLE TRIGGER ALL, for both tables.")));
	if (found->validated || knows)
	{
		ienv_report(report, "foreign key", found->name, ref->relid,
					IENV_FOUND);
		if (!found->validated)
			ereport(NOTICE,
					(errmsg("foreign key \"%s\" of table %s is not valid",
							found->name, ienv_quoted_name(ref->relid)),
					 errdetail("Rows that are there may refer to users of other instances."),
					 errhint("Use ALTER TABLE ... VALIDATE CONSTRAINT.")));
		return true;
	}
	ienv_check_same_rights(ref->relid, ref->user_table);
	ereport(NOTICE,
			(errmsg("validating foreign key \"%s\" of table %s", found->name,
					ienv_quoted_name(ref->relid))));
	ienv_act_as_owner_of(ref->relid, &saved);
	ienv_execute("ALTER TABLE %s VALIDATE CONSTRAINT %s",
				 ienv_kept_name(ref->relid), quote_identifier(found->name));
	ienv_act_as_self(&saved);
	ienv_report(report, "foreign key", found->name, ref->relid,
				IENV_VALIDATED);
	return true;
}

/*
 * Does the table of users have a unique index on just these columns, in any
 * order?
 */
static bool
has_unique_index(const IenvReference *ref)
{
	Relation	rel = table_open(ref->user_table, AccessShareLock);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		found = found ||
			(form->indisunique && form->indisvalid && form->indimmediate &&
			 !form->indisexclusion && form->indnkeyatts == ref->n + 1 &&
			 heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
			 names_all(form->indkey.values, ref));
		ReleaseSysCache(tuple);
	}
	table_close(rel, NoLock);
	return found;
}

/*
 * Are these, as many as there are, the instance column and the user key?
 */
static bool
names_all(const int16 *attnos, const IenvReference *ref)
{
	for (int i = 0; i <= ref->n; i++)
	{
		AttrNumber	wanted = i < ref->n ? ref->to[i] : ref->user_instance;
		int			j = 0;

		while (j <= ref->n && attnos[j] != wanted)
			j++;
		if (j > ref->n)
			return false;
	}
	return true;
}
