/*-------------------------------------------------------------------------
 *
 * made_kept.c
 *	  Indexes that guard() made: which must be kept, and which are no longer
 *	  needed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "guard/made.h"
#include "table/table.h"

static bool may_be_older(Oid part);
static bool read_header(Oid catalog, Oid index, AttrNumber attno, Oid oid,
						HeapTupleHeader header);
static const char *marked(Oid index);
static const char *used_by(Oid index);

/*
 * Why an index that guard() made is not to be dropped, as a sentence; or NULL.
 */
const char *
ienv_why_kept(Oid index)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(index, NoLock, NULL))
	{
		Oid			part = lfirst_oid(lc);
		const char *why = marked(part);

		if (why == NULL)
			why = used_by(part);
		if (why != NULL)
			return why;
		if (part != index && may_be_older(part))
			return psprintf("Index %s, which is part of it, may have been there before.",
							ienv_quoted_name(part));
	}
	return NULL;
}

/*
 * May an index that is part of another one have been there before?
 *
 * It has not if it has a name of our own (name_partition_indexes()), or if it
 * was created as a part: then one command has written that it has a column and
 * that it is a part.  A restored index was created on its own.
 */
static bool
may_be_older(Oid part)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(part));
	bool		own = HeapTupleIsValid(tuple) &&
	ienv_has_own_index_name((Form_pg_index) GETSTRUCT(tuple));
	HeapTupleHeaderData column;
	HeapTupleHeaderData inheritance;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (own)
		return false;
	return !read_header(AttributeRelationId, AttributeRelidNumIndexId,
						Anum_pg_attribute_attrelid, part, &column) ||
		!read_header(InheritsRelationId, InheritsRelidSeqnoIndexId,
					 Anum_pg_inherits_inhrelid, part, &inheritance) ||
		HeapTupleHeaderGetRawXmin(&column) !=
		HeapTupleHeaderGetRawXmin(&inheritance) ||
		HeapTupleHeaderGetRawCommandId(&column) !=
		HeapTupleHeaderGetRawCommandId(&inheritance);
}

/*
 * Read the header of the first row of a catalog that an index has under an OID.
 */
static bool
read_header(Oid catalog, Oid index, AttrNumber attno, Oid oid,
			HeapTupleHeader header)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	bool		found = false;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, attno, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, index, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		memcpy(header, tuple->t_data, SizeofHeapTupleHeader);
		found = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * What an index is of a table or partition besides, as a sentence; or NULL.
 */
static const char *
marked(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	const char *why = NULL;
	Form_pg_index form;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_index) GETSTRUCT(tuple);
	if (form->indisreplident)
		why = psprintf("It is the replica identity of table %s.",
					   ienv_quoted_name(form->indrelid));
	else if (form->indisclustered)
		why = psprintf("Table %s is clustered by it.",
					   ienv_quoted_name(form->indrelid));
	ReleaseSysCache(tuple);
	return why;
}

/*
 * A foreign key that relies on a unique index, the oldest one, as a sentence; or
 * NULL.
 */
static const char *
used_by(Oid index)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	const char *why = NULL;
	Oid			oldest = InvalidOid;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype != CONSTRAINT_FOREIGN || form->conindid != index ||
			(OidIsValid(oldest) && oldest < form->oid))
			continue;
		oldest = form->oid;
		why = psprintf("Foreign key \"%s\" of table %s relies on it.",
					   NameStr(form->conname),
					   ienv_quoted_name(form->conrelid));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return why;
}

/*
 * Say so if the index on the instance column alone that guard() made of a table
 * is no longer needed, because the table has another one now that begins with
 * that column.
 *
 * It is not dropped: that would keep everybody from the table, perhaps of
 * users, until this transaction ends.
 */
void
ienv_tell_superseded(Oid relid, AttrNumber instance_attno)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		parted = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	ListCell   *lc;

	foreach(lc, ienv_own_indexes(relid))
	{
		Oid			index = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(index));
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
		bool		alone = form->indnatts == 1 && !form->indisunique &&
		form->indkey.values[0] == instance_attno;

		ReleaseSysCache(tuple);
		if (alone && ienv_why_kept(index) == NULL &&
			OidIsValid(ienv_other_index_on(rel, index, 1, &instance_attno)))
			ereport(NOTICE,
					(errmsg("index \"%s\" of table %s is no longer needed",
							get_rel_name(index), ienv_quoted_name(relid)),
					 errdetail("Another index begins with the instance column, too."),
					 errhint("Drop it at a quiet time, by %s.", parted ?
							 "DROP INDEX" : "DROP INDEX CONCURRENTLY")));
	}
	table_close(rel, NoLock);
}
