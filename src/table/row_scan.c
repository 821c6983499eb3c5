/*-------------------------------------------------------------------------
 *
 * row_scan.c
 *	  Finding all versions of the rows with given values, whether or not any
 *	  snapshot sees them.
 *
 * See row_version.c for what such a scan is good for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "table/table.h"

static void init_key(ScanKey key, const IenvScan *scan, int i);
static void init_equal(IenvScan *scan, int i);
static bool is_equal(IenvScan *scan);

/*
 * Begin a scan of the row versions in heap, an ordinary table, whose n columns
 * attnos equal values, none of them null, according to the index or, without
 * one, their types' default equality operators.
 *
 * index was chosen by ienv_index_on(), or is InvalidOid for a sequential scan.
 * Before this call, the caller must have locked heap and registered the
 * snapshot that it classifies versions by.
 */
void
ienv_scan_begin(IenvScan *scan, Relation heap, Oid index, int n,
				const AttrNumber *attnos, const Datum *values)
{
	memset(scan, 0, sizeof(*scan));
	scan->heap = heap;
	scan->n = n;
	memcpy(scan->attnos, attnos, n * sizeof(AttrNumber));
	memcpy(scan->values, values, n * sizeof(Datum));
	scan->own_file = ienv_file_is_mine(heap);
	scan->slot = table_slot_create(heap, NULL);
	InitNonVacuumableSnapshot(scan->non_vacuumable, GlobalVisTestFor(heap));

	if (OidIsValid(index))
	{
		ScanKeyData keys[IENV_MAX_KEY_COLUMNS];

		scan->index = index_open(index, AccessShareLock);
		for (int i = 0; i < n; i++)
			init_key(&keys[i], scan, i);
		scan->index_scan = ienv_index_beginscan(heap, scan->index,
												&scan->non_vacuumable, n);
		index_rescan(scan->index_scan, keys, n, NULL, 0);
	}
	else
	{
		for (int i = 0; i < n; i++)
			init_equal(scan, i);

		/* no synchronized scan, because the scan must be complete */
		scan->table_scan = table_beginscan_strat(heap, &scan->non_vacuumable,
												 0, NULL, true, false);
	}
}

/*
 * Initialize the scan key for the index's column i, counted from 0.
 */
static void
init_key(ScanKey key, const IenvScan *scan, int i)
{
	Relation	index = scan->index;
	Oid			type = index->rd_opcintype[i];
	Oid			equal = get_opfamily_member(index->rd_opfamily[i], type, type,
											BTEqualStrategyNumber);
	int			c = 0;

	if (!OidIsValid(equal))
		elog(ERROR, "index \"%s\" has no equality operator",
			 RelationGetRelationName(index));
	while (scan->attnos[c] != index->rd_index->indkey.values[i])
		if (++c == scan->n)
			elog(ERROR, "index \"%s\" does not serve the columns",
				 RelationGetRelationName(index));
	ScanKeyEntryInitialize(key, 0, i + 1, BTEqualStrategyNumber, type,
						   index->rd_indcollation[i], get_opcode(equal),
						   scan->values[c]);
}

/*
 * Find the equality operator of column i of a sequential scan.
 */
static void
init_equal(IenvScan *scan, int i)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(scan->heap),
										  scan->attnos[i] - 1);
	TypeCacheEntry *type = lookup_type_cache(att->atttypid,
											 TYPECACHE_EQ_OPR_FINFO);

	if (!OidIsValid(type->eq_opr))
		elog(ERROR, "type %u has no equality operator", att->atttypid);
	fmgr_info_copy(&scan->equal[i], &type->eq_opr_finfo,
				   CurrentMemoryContext);
	scan->collations[i] = att->attcollation;
}

/*
 * Does the version in the slot of a sequential scan have the values?
 */
static bool
is_equal(IenvScan *scan)
{
	for (int i = 0; i < scan->n; i++)
	{
		bool		isnull;
		Datum		value = slot_getattr(scan->slot, scan->attnos[i], &isnull);

		if (isnull ||
			!DatumGetBool(FunctionCall2Coll(&scan->equal[i],
											scan->collations[i], value,
											scan->values[i])))
			return false;
	}
	return true;
}

/*
 * Put the next version into scan->slot, with its buffer pinned; false at the
 * end.
 */
bool
ienv_scan_next(IenvScan *scan)
{
	if (scan->index_scan)
		return index_getnext_slot(scan->index_scan, ForwardScanDirection,
								  scan->slot);

	while (table_scan_getnextslot(scan->table_scan, ForwardScanDirection,
								  scan->slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_equal(scan))
			return true;
	}
	return false;
}

void
ienv_scan_end(IenvScan *scan)
{
	if (BufferIsValid(scan->visibility))
		ReleaseBuffer(scan->visibility);
	if (BufferIsValid(scan->buffer))
		ReleaseBuffer(scan->buffer);
	if (scan->index_scan)
	{
		index_endscan(scan->index_scan);
		index_close(scan->index, AccessShareLock);
	}
	else
		table_endscan(scan->table_scan);
	ExecDropSingleTupleTableSlot(scan->slot);
}
