/*-------------------------------------------------------------------------
 *
 * guard_index.c
 *	  The indexes that serve a guard.
 *
 * All is read from the catalogs, and no index is opened: nobody should wait
 * for an index that is of no use here.  The lock on the table keeps an index
 * that was found from being dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/index.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "table/table.h"

/* What an index must be like, given the columns that it is for */
typedef bool (*Suits) (HeapTuple index, int n, const AttrNumber *attnos);

static Oid	find_index(Relation rel, Suits suits, int n,
					   const AttrNumber *attnos, Oid except);
static bool has_prefix(HeapTuple index, int n, const AttrNumber *attnos);
static bool is_unique_within(HeapTuple index, int n,
							 const AttrNumber *attnos);
static bool is_ordinary(Relation rel, HeapTuple index, int n);
static bool contains(int n, const AttrNumber *attnos, AttrNumber attno);

/*
 * A valid btree index of rel that finds all rows by these n columns, which are
 * its first ones in any order; or InvalidOid.
 */
Oid
ienv_index_on(Relation rel, int n, const AttrNumber *attnos)
{
	return find_index(rel, has_prefix, n, attnos, InvalidOid);
}

/*
 * The same, but for one index.
 */
Oid
ienv_other_index_on(Relation rel, Oid except, int n, const AttrNumber *attnos)
{
	return find_index(rel, has_prefix, n, attnos, except);
}

/*
 * A valid unique index that allows one row of rel per value of these n columns,
 * or of some of them; or InvalidOid.  It is checked immediately, not at commit.
 */
Oid
ienv_unique_index_on(Relation rel, int n, const AttrNumber *attnos)
{
	return find_index(rel, is_unique_within, n, attnos, InvalidOid);
}

static Oid
find_index(Relation rel, Suits suits, int n, const AttrNumber *attnos,
		   Oid except)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			found = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	index;

		if (lfirst_oid(lc) == except)
			continue;
		index = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		if (!HeapTupleIsValid(index))
			continue;			/* dropped meanwhile */
		if (((Form_pg_index) GETSTRUCT(index))->indisvalid &&
			heap_attisnull(index, Anum_pg_index_indpred, NULL) &&
			suits(index, n, attnos) &&
			is_ordinary(rel, index, suits == has_prefix ? n :
						((Form_pg_index) GETSTRUCT(index))->indnkeyatts))
			found = lfirst_oid(lc);
		ReleaseSysCache(index);
		if (OidIsValid(found))
			break;
	}
	list_free(indexes);
	return found;
}

/*
 * Are these the first n columns of the index?
 */
static bool
has_prefix(HeapTuple index, int n, const AttrNumber *attnos)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(index);

	if (form->indnkeyatts < n)
		return false;
	for (int i = 0; i < n; i++)
		if (!contains(n, attnos, form->indkey.values[i]) ||
			contains(i, form->indkey.values, form->indkey.values[i]))
			return false;
	return true;
}

/*
 * Is the index unique on nothing but these columns?
 */
static bool
is_unique_within(HeapTuple index, int n, const AttrNumber *attnos)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(index);

	if (!form->indisunique || !form->indimmediate)
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
		if (!contains(n, attnos, form->indkey.values[i]))
			return false;
	return true;
}

/*
 * Do the first n columns of the index compare by the default btree operator
 * class and the column's collation?  Another one, or another access method,
 * may define equality differently.
 */
static bool
is_ordinary(Relation rel, HeapTuple index, int n)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(index);
	bool		isnull;
	Datum		collations = SysCacheGetAttr(INDEXRELID, index,
											 Anum_pg_index_indcollation,
											 &isnull);
	Datum		classes = SysCacheGetAttr(INDEXRELID, index,
										  Anum_pg_index_indclass, &isnull);

	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att;

		if (form->indkey.values[i] <= 0)
			return false;
		att = TupleDescAttr(RelationGetDescr(rel), form->indkey.values[i] - 1);
		if (get_opclass_family(((oidvector *) DatumGetPointer(classes))->values[i]) !=
			lookup_type_cache(att->atttypid,
							  TYPECACHE_BTREE_OPFAMILY)->btree_opf ||
			((oidvector *) DatumGetPointer(collations))->values[i] !=
			att->attcollation)
			return false;
	}
	return true;
}

static bool
contains(int n, const AttrNumber *attnos, AttrNumber attno)
{
	for (int i = 0; i < n; i++)
		if (attnos[i] == attno)
			return true;
	return false;
}
