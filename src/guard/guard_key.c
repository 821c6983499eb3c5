/*-------------------------------------------------------------------------
 *
 * guard_key.c
 *	  Which columns identify a user, and whether they can.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "nodes/bitmapset.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

static void check_column(const IenvGuard *guard, int i);
static void report_no_coded_key(Relation rel, const char *problem);
static void check_found_at_once(const IenvGuard *guard);
static Bitmapset *instance_columns(Relation rel, AttrNumber instance);
static void say_not_followed(Relation rel, const char *detail,
							 const char *hint);

/*
 * Refuse a user key unless each column is of a type that an index can serve
 * and whose values a dump preserves, and unless a key can be looked up without
 * searching many partitions.  Sets the rest of what guard has of the key.
 */
void
ienv_check_user_key(Relation rel, IenvGuard *guard)
{
	ienv_identity_prepare(rel, guard);
	for (int i = 0; i < guard->nkeys; i++)
		check_column(guard, i);
	if (guard->departures &&
		rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("users of unlogged table %s cannot be tracked across instances", ienv_quoted_name(guard->relid)),
				 errdetail("A crash empties the table, and no record would remain of whose users they were."),
				 errhint("Use ALTER TABLE ... SET LOGGED, or give an empty user_key.")));
	guard->key_is_local = ienv_key_is_local(guard->relid, guard->relid,
											guard->nkeys, guard->key_attnos);
	guard->key_is_unique = guard->key_is_local &&
		OidIsValid(ienv_unique_index_on(rel, guard->nkeys,
										guard->key_attnos));
	check_found_at_once(guard);
}

/*
 * Set the user key of a table whose ids are coded, if the caller has named
 * none, and refuse any that is not a single uuid.
 *
 * Such ids are never looked for, so no index on them is needed, nor any limit
 * of partitions; and as no departure is recorded, the table can be unlogged.
 */
void
ienv_check_coded_key(Relation rel, IenvGuard *guard, bool by_default)
{
	Form_pg_attribute att;
	bool		whole;

	if (by_default)
	{
		guard->nkeys = ienv_primary_key(rel, guard->instance_attno,
										guard->key_attnos, &whole);
		if (guard->nkeys < 0)
			report_no_coded_key(rel, "Its primary key has too many columns.");
		if (guard->nkeys == 0)
			report_no_coded_key(rel, "It has no primary key with a column besides the instance.");
	}
	if (guard->nkeys == 0)
		report_no_coded_key(rel, "The user_key is empty.");
	if (guard->nkeys > 1)
		report_no_coded_key(rel, psprintf("The user key \"%s\" has %d columns.",
										  ienv_user_key_text(guard),
										  guard->nkeys));
	ienv_identity_prepare(rel, guard);
	att = TupleDescAttr(RelationGetDescr(rel), guard->key_attnos[0] - 1);
	if (guard->keys[0].base != UUIDOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table %s is of type %s, but coded ids are of type uuid",
						NameStr(att->attname),
						ienv_quoted_name(guard->relid),
						format_type_be(att->atttypid)),
				 errhint("Name a column of type uuid as user_key, or leave out coded.")));
	if (att->attgenerated != '\0' &&
		att->attgenerated != ATTRIBUTE_GENERATED_STORED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("virtual generated column \"%s\" of table %s cannot be the user key",
						NameStr(att->attname),
						ienv_quoted_name(guard->relid)),
				 errdetail("Triggers need its value in the row."),
				 errhint("Use a generated column that is STORED.")));
	guard->key_is_local = ienv_key_is_local(guard->relid, guard->relid, 1,
											guard->key_attnos);
	guard->key_is_unique = guard->key_is_local &&
		OidIsValid(ienv_unique_index_on(rel, 1, guard->key_attnos));
}

static void
report_no_coded_key(Relation rel, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("coded => true requires a user key of table %s that is a single column of type uuid",
					ienv_quoted_name(RelationGetRelid(rel))),
			 errdetail_internal("%s", problem),
			 errhint("Name the column that has the user's id as user_key.")));
}

static void
check_column(const IenvGuard *guard, int i)
{
	const IenvKeyColumn *column = &guard->keys[i];
	const char *why;

	if (!OidIsValid(lookup_type_cache(column->type,
									  TYPECACHE_BTREE_OPFAMILY)->btree_opf))
		why =
			"The type has no default operator class for access method btree.";
	else if (ienv_identity_possible(column, &why))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("column \"%s\" of type %s cannot be the user key",
					get_attname(guard->relid, guard->key_attnos[i], false),
					format_type_be(column->type)),
			 errdetail("%s", why),
			 errhint("Name another column as user_key, or give an empty user_key.")));
}

/*
 * Refuse to follow users of a table with many partitions if each new row would
 * have to be looked for in all of them, locking each.
 */
static void
check_found_at_once(const IenvGuard *guard)
{
	int			partitions;

	if (guard->key_is_local)
		return;
	partitions =
		list_length(ienv_leaf_relations(guard->relid, AccessShareLock));
	if (partitions <= IENV_MAX_SEARCHED)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("users of partitioned table %s cannot be followed by user key \"%s\"",
					ienv_quoted_name(guard->relid),
					ienv_user_key_text(guard)),
			 errdetail("The partition key is not part of it, so each new row would have to be looked for in all %d partitions; %d is the limit.",
					   partitions, IENV_MAX_SEARCHED),
			 errhint("Partition the table by a column of the user key, or give an empty user_key.")));
}

/*
 * If the caller has named no user key, users are followed by the primary key
 * without the instance, provided that no two instances can have the same key.
 * Otherwise, and for a table that is not counted, say that they are not.
 */
void
ienv_default_user_key(Relation rel, IenvGuard *guard)
{
	AttrNumber	attnos[IENV_MAX_KEY_COLUMNS];
	bool		whole;
	int			n;

	if (!guard->counted)
	{
		say_not_followed(rel,
						 "Rows of a table that is not counted are not taken for users.",
						 "If rows refer to a user, name the user's table as user_table, and the column as user_key.");
		return;
	}
	n = ienv_primary_key(rel, guard->instance_attno, attnos, &whole);
	if (n <= 0)
	{
		say_not_followed(rel,
						 n < 0 ?
						 "Its primary key has too many columns." :
						 "It has no primary key with a column besides the instance.",
						 "Name the column that identifies a user as user_key.");
		return;
	}
	if (!whole && !OidIsValid(ienv_unique_index_on(rel, n, attnos)))
	{
		say_not_followed(rel,
						 psprintf("Nothing makes (%s) unique over all instances, so it may well repeat.",
								  ienv_column_list(guard->relid, n, attnos)),
						 "If it identifies a user all the same, name it as user_key.");
		return;
	}
	guard->nkeys = n;
	for (int i = 0; i < n; i++)
		guard->key_attnos[i] = attnos[i];
}

/*
 * The columns of the primary key that say nothing about the instance; returns
 * how many there are, or -1 if they are too many.  Sets *whole to whether that
 * is all of them.
 */
int
ienv_primary_key(Relation rel, AttrNumber instance, AttrNumber *attnos,
				 bool *whole)
{
	Bitmapset  *not_user = instance_columns(rel, instance);
	bool		too_many = false;
	int			n = 0;
	ListCell   *lc;

	*whole = true;
	foreach(lc, RelationGetIndexList(rel))
	{
		/* nobody should wait for an index that is being rebuilt */
		HeapTuple	index = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;

		if (!HeapTupleIsValid(index))
			continue;
		form = (Form_pg_index) GETSTRUCT(index);

		/* the relcache does not identify a deferrable primary key */
		for (int i = 0; form->indisprimary && i < form->indnkeyatts; i++)
		{
			AttrNumber	attno = form->indkey.values[i];

			if (bms_is_member(attno - FirstLowInvalidHeapAttributeNumber,
							  not_user))
				*whole = false;
			else if (n < IENV_MAX_KEY_COLUMNS)
				attnos[n++] = attno;
			else
				too_many = true;
		}
		ReleaseSysCache(index);
	}
	return too_many ? -1 : n;
}

/*
 * The instance column and, if it is generated, those that it is computed from;
 * offset by FirstLowInvalidHeapAttributeNumber.
 */
static Bitmapset *
instance_columns(Relation rel, AttrNumber instance)
{
	Bitmapset  *columns =
	bms_make_singleton(instance - FirstLowInvalidHeapAttributeNumber);

	if (TupleDescAttr(RelationGetDescr(rel), instance - 1)->attgenerated)
		pull_varattnos(build_column_default(rel, instance), 1, &columns);
	return columns;
}

static void
say_not_followed(Relation rel, const char *detail, const char *hint)
{
	ereport(NOTICE,
			(errmsg("users of table %s are not tracked across instances",
					ienv_quoted_name(RelationGetRelid(rel))),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}
