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

#include "utils/typcache.h"

#include "base/base.h"

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
	TypeCacheEntry *entry;
	int32		bounds[2];

	memset(range, 0, sizeof(*range));
	if (number == 0 || !ienv_bounds_of_shard(number, bounds))
		return;
	range->min = bounds[0];
	range->max = bounds[1];
	range->collation = collation;

	/* the entry stays for as long as the backend lives */
	entry = lookup_type_cache(type, TYPECACHE_HASH_PROC_FINFO);
	if (OidIsValid(entry->hash_proc))
		range->hash = &entry->hash_proc_finfo;
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
