/*-------------------------------------------------------------------------
 *
 * shard_range.c
 *	  Which rows of a distributed table belong into a shard.
 *
 * Citus sends a row to the shard whose range has the hash of its distribution
 * column.  But whoever may insert into the table may also connect to a worker,
 * and insert into a shard by its own name; there nothing looks at the range.
 * Rows of one instance could come into several shards so, each of which would
 * count its own only.
 *
 * The range of a shard never changes: what is divided gets new numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/typcache.h"

#include "base/base.h"

#define Anum_pg_dist_shard_shardid			2
#define Anum_pg_dist_shard_shardminvalue	5
#define Anum_pg_dist_shard_shardmaxvalue	6

static bool read_bound(HeapTuple tuple, TupleDesc desc, AttrNumber column,
					   int32 *bound);

/*
 * Read the range of a shard of a table that is distributed by the hash of a
 * column of this type, and collation.  There is none if the relation is no
 * shard of such a table.
 */
void
ienv_read_shard_range(Oid shard, Oid type, Oid collation,
					  IenvShardRange *range)
{
	int64		number = ienv_shard_number(shard);
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	memset(range, 0, sizeof(*range));
	if (number == 0)
		return;
	rel = table_open(ienv_citus_catalog("pg_dist_shard"), AccessShareLock);
	ScanKeyInit(&key, Anum_pg_dist_shard_shardid, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(number));
	scan = systable_beginscan(rel,
							  ienv_citus_catalog("pg_dist_shard_shardid_index"),
							  true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) &&
		read_bound(tuple, RelationGetDescr(rel),
				   Anum_pg_dist_shard_shardminvalue, &range->min) &&
		read_bound(tuple, RelationGetDescr(rel),
				   Anum_pg_dist_shard_shardmaxvalue, &range->max))
	{
		/* the entry stays for as long as the backend lives */
		TypeCacheEntry *entry = lookup_type_cache(type,
												  TYPECACHE_HASH_PROC_FINFO);

		if (OidIsValid(entry->hash_proc))
			range->hash = &entry->hash_proc_finfo;
		range->collation = collation;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Read a bound of a range, which is written in decimal; false if there is none.
 */
static bool
read_bound(HeapTuple tuple, TupleDesc desc, AttrNumber column, int32 *bound)
{
	bool		isnull;
	Datum		written = heap_getattr(tuple, column, desc, &isnull);

	if (isnull)
		return false;
	*bound = pg_strtoint32(TextDatumGetCString(written));
	return true;
}

/*
 * Does a row with this in its distribution column, not null, belong there?
 */
bool
ienv_is_in_range(const IenvShardRange *range, Datum column)
{
	int32		hash;

	if (range->hash == NULL)
		return true;
	hash = DatumGetInt32(FunctionCall1Coll(range->hash, range->collation,
										   column));
	return hash >= range->min && hash <= range->max;
}
