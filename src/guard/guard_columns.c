/*-------------------------------------------------------------------------
 *
 * guard_columns.c
 *	  The columns of a guarded table that name the instance and the user.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

/*
 * The attribute number of the column with this name, which must not be a
 * system column.
 */
AttrNumber
ienv_find_column(Relation rel, const char *name)
{
	AttrNumber	attno = get_attnum(RelationGetRelid(rel), name);

	if (attno == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation %s does not exist", name,
						ienv_quoted_name(RelationGetRelid(rel))),
				 errhint("Name the column as guard()'s instance_column or user_key.")));
	if (attno < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("system column \"%s\" cannot be used", name)));
	return attno;
}

/*
 * Refuse an instance column that cannot be compared with an instance's id or
 * external key.
 */
void
ienv_check_instance_column(Relation rel, AttrNumber attno)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attno - 1);
	Oid			type = getBaseType(att->atttypid);

	if (type != UUIDOID && type != TEXTOID && type != VARCHAROID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table %s is of type %s, but an instance column must be uuid, text or varchar",
						NameStr(att->attname),
						ienv_quoted_name(RelationGetRelid(rel)),
						format_type_be(att->atttypid)),
				 errhint("A uuid is compared with instance.id, a text with instance.external_key.")));
	if (OidIsValid(att->attcollation) &&
		!get_collation_isdeterministic(att->attcollation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("instance column \"%s\" of table %s has a nondeterministic collation",
						NameStr(att->attname),
						ienv_quoted_name(RelationGetRelid(rel))),
				 errdetail("External keys are compared byte by byte."),
				 errhint("Give the column a deterministic collation, such as \"C\".")));
	if (att->attgenerated)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("generated column \"%s\" cannot be the instance column", NameStr(att->attname))));
}

/*
 * Refuse a user key unless its type is one that an index can serve, and whose
 * values a dump preserves.
 */
void
ienv_check_user_key(Relation rel, const IenvGuard *guard)
{
	IenvGuard	hashed = *guard;
	const char *why;

	ienv_identity_prepare(&hashed);
	if (!OidIsValid(lookup_type_cache(guard->key_type,
									  TYPECACHE_BTREE_OPFAMILY)->btree_opf))
		why =
			"The type has no default operator class for access method btree.";
	else if (!ienv_identity_possible(&hashed, &why))
		 /* why has been set */ ;
	else if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("users of unlogged table %s cannot be tracked across instances", ienv_quoted_name(guard->relid)),
				 errdetail("A crash empties the table, and no record would remain of whose users they were."),
				 errhint("Use ALTER TABLE ... SET LOGGED, or give an empty user_key.")));
	else
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("column \"%s\" of type %s cannot be the user key",
					get_attname(guard->relid, guard->key_attno, false),
					format_type_be(guard->key_type)),
			 errdetail("%s", why),
			 errhint("Name another column as user_key, or give an empty user_key.")));
}

/*
 * The one column of the primary key besides the instance column; if there is
 * not exactly one, say that users are not tracked.
 */
AttrNumber
ienv_default_user_key(Relation rel, AttrNumber instance_attno)
{
	AttrNumber	found = InvalidAttrNumber;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;

		/* the relcache does not identify a deferrable primary key */
		for (int i = 0; form->indisprimary && i < form->indnkeyatts; i++)
		{
			if (form->indkey.values[i] == instance_attno)
				continue;
			found = form->indkey.values[i];
			n++;
		}
		index_close(index, AccessShareLock);
	}
	if (n == 1)
		return found;

	ereport(NOTICE,
			(errmsg("users of table %s are not tracked across instances",
					ienv_quoted_name(RelationGetRelid(rel))),
			 errdetail("Its primary key does not have exactly one column besides the instance column."),
			 errhint("Name the column that identifies a user as user_key.")));
	return InvalidAttrNumber;
}

/*
 * Read the columns that the caller of guard() has named, in its arguments,
 * into guard.  Returns the column that refers to the user in user_table, if
 * there is one.
 */
AttrNumber
ienv_read_columns(FunctionCallInfo fcinfo, Relation rel, IenvGuard *guard)
{
	const char *user_key = PG_ARGISNULL(2) ? NULL : NameStr(*PG_GETARG_NAME(2));
	AttrNumber	user_attno = InvalidAttrNumber;

	guard->instance_attno = ienv_find_column(rel, NameStr(*PG_GETARG_NAME(1)));
	ienv_check_instance_column(rel, guard->instance_attno);
	guard->is_uuid =
		getBaseType(TupleDescAttr(RelationGetDescr(rel),
								  guard->instance_attno - 1)->atttypid) ==
		UUIDOID;

	if (!PG_ARGISNULL(4) && OidIsValid(PG_GETARG_OID(4)))
	{
		if (guard->counted || user_key == NULL || *user_key == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("user_table requires counted => false and a user_key"),
					 errhint("Name the column of table %s that refers to the user as user_key.",
							 ienv_quoted_name(guard->relid))));
		user_attno = ienv_find_column(rel, user_key);
	}
	else if (user_key == NULL)
		guard->key_attno = ienv_default_user_key(rel, guard->instance_attno);
	else if (*user_key != '\0')
		guard->key_attno = ienv_find_column(rel, user_key);

	if (guard->key_attno == guard->instance_attno ||
		user_attno == guard->instance_attno)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" cannot be both instance column and user key",
						get_attname(guard->relid, guard->instance_attno,
									false))));
	if (guard->key_attno != InvalidAttrNumber)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
											  guard->key_attno - 1);

		guard->key_type = att->atttypid;
		guard->key_collation = att->attcollation;
		ienv_check_user_key(rel, guard);
	}
	return user_attno;
}
