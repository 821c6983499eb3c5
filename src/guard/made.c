/*-------------------------------------------------------------------------
 *
 * made.c
 *	  The indexes and foreign keys that guard() makes: their names, making
 *	  them, and recognizing them.
 *
 * Their names begin with the extension's, so that a later migration of the
 * application can use the name that PostgreSQL would choose by default.  An
 * object that has such a name, and the shape of what guard() makes, may be
 * dropped by unguard(), and a foreign key replaced by guard().  Nothing else
 * may.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "guard/made.h"
#include "guard/reference.h"
#include "table/table.h"

#define PREFIX IENV_SCHEMA "_"

static char *prefixed(const char *table);
static char *joined(Oid relid, int n, const AttrNumber *attnos);
static List *indexes_below(Oid relid);
static void name_partition_indexes(Oid index, List *before,
								   const char *columns, const char *suffix);
static void rename_index(Oid index, const char *name);
static bool has_shape(const FormData_pg_index *form, HeapTuple tuple);

/*
 * Columns as a phrase, which does not depend on settings.
 */
char *
ienv_columns_text(Oid relid, int n, const AttrNumber *attnos)
{
	StringInfoData list;

	initStringInfo(&list);
	appendStringInfoString(&list, n == 1 ? "column " : "columns ");
	for (int i = 0; i < n; i++)
		appendStringInfo(&list, "%s\"%s\"", i == 0 ? "" :
						 i == n - 1 ? " and " : ", ",
						 get_attname(relid, attnos[i], false));
	return list.data;
}

static char *
prefixed(const char *table)
{
	return psprintf(PREFIX "%s", table);
}

/*
 * Columns as they appear in the name of an index.
 */
static char *
joined(Oid relid, int n, const AttrNumber *attnos)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? "_" : "",
						 get_attname(relid, attnos[i], false));
	return list.data;
}

/*
 * A name that is free for a foreign key of a table, cut as PostgreSQL cuts its
 * own.
 */
char *
ienv_free_key_name(Oid relid, int n, const AttrNumber *attnos)
{
	return ChooseConstraintName(prefixed(get_rel_name(relid)),
								joined(relid, n, attnos), IENV_KEY_SUFFIX,
								get_rel_namespace(relid), NIL);
}

/*
 * Create an index on these columns of a table.  Partitions, present and
 * future, get theirs through the partitioned table.
 *
 * This is done as the caller, because the owner need not have CREATE on the
 * schema; PostgreSQL itself then acts as the owner, in a security-restricted
 * operation.  But Citus connects to the other nodes as the current user, and
 * there the owner has locked a distributed table by now.  SPI is connected.
 */
void
ienv_make_index(IenvReport *report, Oid relid, int n, const AttrNumber *attnos,
				bool unique)
{
	const char *suffix = unique ? IENV_UNIQUE_SUFFIX : IENV_INDEX_SUFFIX;
	char	   *columns = joined(relid, n, attnos);
	Oid			schema = get_rel_namespace(relid);
	char	   *name = ChooseRelationName(prefixed(get_rel_name(relid)),
										  columns, suffix, schema, false);
	List	   *before = indexes_below(relid);
	bool		distributed = ienv_is_distributed(relid);
	IenvActing	saved;

	ereport(NOTICE,
			(errmsg(unique ?
					"creating unique index \"%s\" on %s of table %s" :
					"creating index \"%s\" on %s of table %s", name,
					ienv_columns_text(relid, n, attnos),
					ienv_quoted_name(relid))));
	if (distributed)
		ienv_act_as_owner_of(relid, &saved);
	ienv_execute("CREATE %s %s ON %s (%s)", unique ? "UNIQUE INDEX" : "INDEX",
				 quote_identifier(name), ienv_kept_name(relid),
				 ienv_column_list(relid, n, attnos));
	name_partition_indexes(get_relname_relid(name, schema), before, columns,
						   suffix);
	if (distributed)
		ienv_act_as_self(&saved);
	ienv_report(report, "index", name, relid, IENV_CREATED);
}

/*
 * The indexes of a table's partitions.
 */
static List *
indexes_below(Oid relid)
{
	List	   *all = NIL;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Relation	rel;

		if (lfirst_oid(lc) == relid)
			continue;
		rel = table_open(lfirst_oid(lc), AccessShareLock);
		all = list_concat(all, RelationGetIndexList(rel));
		table_close(rel, NoLock);
	}
	return all;
}

/*
 * Give the indexes that PostgreSQL has created on partitions names of our own,
 * too; but not those that were there before and have become part of the new
 * one.
 */
static void
name_partition_indexes(Oid index, List *before, const char *columns,
					   const char *suffix)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(index, NoLock, NULL))
	{
		Oid			part = lfirst_oid(lc);
		Oid			partition;

		if (part == index || list_member_oid(before, part))
			continue;
		partition = IndexGetRelation(part, false);
		rename_index(part,
					 ChooseRelationName(prefixed(get_rel_name(partition)),
										columns, suffix,
										get_rel_namespace(partition), false));
	}
}

/*
 * Rename an index of a partition; of a distributed one by a statement, by which
 * those of its shards are renamed, too.
 */
static void
rename_index(Oid index, const char *name)
{
	if (!ienv_is_distributed(IndexGetRelation(index, false)))
	{
		RenameRelationInternal(index, name, false, true);
		CommandCounterIncrement();
	}
	else
		ienv_execute("ALTER INDEX %s RENAME TO %s", ienv_kept_name(index),
					 quote_identifier(name));
}

/*
 * Does an index find the rows that refer to a user, by n columns and the
 * instance column?
 */
bool
ienv_index_serves(Relation rel, AttrNumber instance, int n,
				  const AttrNumber *attnos)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;
		int			matched = 0;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);

		/* the instance may come anywhere among them */
		for (int i = 0; i < form->indnkeyatts && matched < n; i++)
		{
			int			j = 0;

			while (j < n && form->indkey.values[i] != attnos[j])
				j++;
			if (j < n)
				matched++;
			else if (form->indkey.values[i] != instance)
				break;
		}
		found = found || (matched == n && form->indisvalid &&
						  heap_attisnull(tuple, Anum_pg_index_indpred, NULL));
		ReleaseSysCache(tuple);
	}
	return found;
}

/*
 * Report the index that serves these n columns.
 */
void
ienv_report_index(IenvReport *report, Oid relid, int n,
				  const AttrNumber *attnos)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Oid			index = ienv_index_on(rel, n, attnos);

	table_close(rel, NoLock);
	if (OidIsValid(index))
		ienv_report(report, "index", get_rel_name(index), relid, IENV_FOUND);
}

/*
 * Is this a name of our own with that suffix, perhaps followed by a number, of
 * an object on these columns of a table?
 *
 * It is if it is the one that we would choose now.  But the table or a column
 * may have been renamed; so it is, too, if it only begins and ends like one,
 * unless PostgreSQL would choose such names for that table.
 */
bool
ienv_is_own_name(const char *name, Oid relid, int n, const AttrNumber *attnos,
				 const char *suffix)
{
	size_t		length = strlen(name);
	char	   *table = get_rel_name(relid);

	if (table == NULL)
		return false;			/* dropped meanwhile */
	while (length > 0 && name[length - 1] >= '0' && name[length - 1] <= '9')
		length--;
	if (strcmp(name, makeObjectName(prefixed(table), joined(relid, n, attnos),
									psprintf("%s%s", suffix, name + length))) == 0)
		return true;
	return strncmp(table, PREFIX, strlen(PREFIX)) != 0 &&
		strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
		length > strlen(PREFIX) + strlen(suffix) &&
		strncmp(name + length - strlen(suffix), suffix, strlen(suffix)) == 0 &&
		name[length - strlen(suffix) - 1] == '_';
}

/*
 * Is an index called like one that guard() makes on its columns?
 */
bool
ienv_has_own_index_name(const FormData_pg_index *form)
{
	const char *name = get_rel_name(form->indexrelid);
	AttrNumber	attnos[INDEX_MAX_KEYS];

	for (int i = 0; i < form->indnatts; i++)
	{
		attnos[i] = form->indkey.values[i];
		if (attnos[i] <= 0)
			return false;		/* an expression */
	}
	return name != NULL &&
		ienv_is_own_name(name, form->indrelid, form->indnatts, attnos,
						 form->indisunique ? IENV_UNIQUE_SUFFIX :
						 IENV_INDEX_SUFFIX);
}

/*
 * The indexes of a table that guard() made, by name and shape.
 */
List *
ienv_own_indexes(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	List	   *own = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		if (ienv_has_own_index_name(form) && has_shape(form, tuple))
			own = lappend_oid(own, lfirst_oid(lc));
		ReleaseSysCache(tuple);
	}
	table_close(rel, NoLock);
	return own;
}

/*
 * Does an index consist of columns alone, in the usual order, without anything
 * that guard() does not ask for?
 */
static bool
has_shape(const FormData_pg_index *form, HeapTuple tuple)
{
	HeapTuple	class = SearchSysCache1(RELOID,
										ObjectIdGetDatum(form->indexrelid));
	bool		result;
	Datum		options;
	bool		isnull;

	if (!HeapTupleIsValid(class))
		return false;
	options = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indoption,
							  &isnull);
	result = ((Form_pg_class) GETSTRUCT(class))->relam == BTREE_AM_OID &&
		heap_attisnull(class, Anum_pg_class_reloptions, NULL) &&
		form->indnatts == form->indnkeyatts &&
		heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
		heap_attisnull(tuple, Anum_pg_index_indexprs, NULL) &&
		!form->indisprimary && !form->indisexclusion &&
		!form->indnullsnotdistinct &&
		!OidIsValid(get_index_constraint(form->indexrelid));
	for (int i = 0; result && i < form->indnkeyatts; i++)
		result = !isnull &&
			((int2vector *) DatumGetPointer(options))->values[i] == 0;
	ReleaseSysCache(class);
	return result;
}
