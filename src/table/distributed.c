/*-------------------------------------------------------------------------
 *
 * distributed.c
 *	  Which tables a cluster of Citus has distributed, and what their shards
 *	  are on this node.
 *
 * A distributed table has no rows where its name says, on any node.  They are
 * in its shards: ordinary tables on one node or another, each called after the
 * table and a number, such as users_102008, and guarded like it.  A shard's
 * triggers do not know more than that table.  Administration does not look at
 * shards, but at the table, which every node knows, and of which it asks by
 * SQL (distributed_rows.c).
 *
 * Citus is not linked to: its catalogs are found by name, and read by the
 * columns that they have had since version 7.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "table/table.h"

#define Anum_pg_dist_partition_logicalrelid	1
#define Anum_pg_dist_shard_logicalrelid		1
#define Anum_pg_dist_shard_shardid			2

/* What Citus puts in place of the end of a name that is too long: _ and this */
#define HASH_DIGITS 8

static int64 shard_number(const char *name, int *prefix);
static Oid	table_of_number(int64 number);
static bool is_called_after(const char *shard, int prefix, const char *table);

/*
 * Does a table have its rows in shards?  A reference table counts, too.
 */
bool
ienv_is_distributed(Oid relid)
{
	Oid			catalog = ienv_citus_catalog("pg_dist_partition");
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	if (!OidIsValid(catalog))
		return false;
	rel = table_open(catalog, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_dist_partition_logicalrelid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel,
							  ienv_citus_catalog("pg_dist_partition_logical_relid_index"),
							  true, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * The table that a relation is a shard of, or InvalidOid.
 */
Oid
ienv_table_of_shard(Oid relid)
{
	char	   *name;
	int64		number;
	int			prefix;
	Oid			table;

	if (!OidIsValid(ienv_citus_catalog("pg_dist_shard")))
		return InvalidOid;
	name = get_rel_name(relid);
	if (name == NULL || (number = shard_number(name, &prefix)) == 0)
		return InvalidOid;
	table = table_of_number(number);
	if (!OidIsValid(table) || table == relid ||
		get_rel_namespace(table) != get_rel_namespace(relid) ||
		!is_called_after(name, prefix, get_rel_name(table)))
		return InvalidOid;
	return table;
}

/*
 * The number at the end of a shard's name, or 0; *prefix is set to the length
 * of what is before it.
 */
static int64
shard_number(const char *name, int *prefix)
{
	const char *underscore = strrchr(name, '_');
	char	   *end;
	int64		number;

	if (underscore == NULL || underscore[1] < '1' || underscore[1] > '9')
		return 0;
	errno = 0;
	number = strtoi64(underscore + 1, &end, 10);
	*prefix = underscore - name;
	return errno == 0 && *end == '\0' ? number : 0;
}

/*
 * The table that has a shard with this number, or InvalidOid.
 */
static Oid
table_of_number(int64 number)
{
	Relation	rel = table_open(ienv_citus_catalog("pg_dist_shard"),
								 AccessShareLock);
	Oid			table = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_dist_shard_shardid, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(number));
	scan = systable_beginscan(rel,
							  ienv_citus_catalog("pg_dist_shard_shardid_index"),
							  true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		table = DatumGetObjectId(heap_getattr(tuple,
											  Anum_pg_dist_shard_logicalrelid,
											  RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return table;
}

/*
 * Is the first part of a shard's name that of the table?  Of a long name Citus
 * replaces the end by a hash.
 */
static bool
is_called_after(const char *shard, int prefix, const char *table)
{
	if (table == NULL)
		return false;
	if (strlen(table) == prefix)
		return strncmp(shard, table, prefix) == 0;
	return strlen(table) > prefix - HASH_DIGITS - 1 &&
		prefix > HASH_DIGITS + 1 && shard[prefix - HASH_DIGITS - 1] == '_' &&
		strlen(shard) >= NAMEDATALEN - MAX_MULTIBYTE_CHAR_LEN &&
		strncmp(shard, table, prefix - HASH_DIGITS - 1) == 0;
}

/*
 * Those shards of a table that this node has, and of its partitions.
 */
List *
ienv_shards_here(Oid relid)
{
	Oid			catalog = ienv_citus_catalog("pg_dist_shard");
	List	   *shards = NIL;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	const char *name = get_rel_name(relid);

	if (!OidIsValid(catalog) || name == NULL)
		return NIL;
	rel = table_open(catalog, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_dist_shard_logicalrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel,
							  ienv_citus_catalog("pg_dist_shard_logical_relid_index"),
							  true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		int64		number = DatumGetInt64(heap_getattr(tuple,
														Anum_pg_dist_shard_shardid,
														RelationGetDescr(rel),
														&isnull));
		Oid			shard = get_relname_relid(psprintf("%s_" INT64_FORMAT,
													   name, number),
											  get_rel_namespace(relid));

		if (OidIsValid(shard))
			shards = lappend_oid(shards, shard);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return shards;
}
