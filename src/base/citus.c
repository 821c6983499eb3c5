/*-------------------------------------------------------------------------
 *
 * citus.c
 *	  What Citus knows of this database: its tables, shards and nodes.
 *
 * Citus is not linked to: its catalogs are found by name, and so are their
 * columns.  This is the only file that reads them without SQL; without Citus,
 * each of its functions finds nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_namespace_d.h"
#include "executor/spi.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"


/* What to do with a row of a catalog; true if no more are wanted */
typedef bool (*Look) (HeapTuple tuple, TupleDesc desc, void *arg);

/* Where the rows of a table are, and by which column */
typedef struct Place
{
	IenvPlace	place;
	AttrNumber	column;
} Place;

static bool look_at_place(HeapTuple tuple, TupleDesc desc, void *arg);
static bool look_at_shard(HeapTuple tuple, TupleDesc desc, void *arg);
static bool look_at_range(HeapTuple tuple, TupleDesc desc, void *arg);
static bool read_bound(HeapTuple tuple, TupleDesc desc, const char *column,
					   int32 *bound);
static bool look_at_table(HeapTuple tuple, TupleDesc desc, void *arg);
static bool look_for_group(HeapTuple tuple, TupleDesc desc, void *arg);
static bool look_at_group(HeapTuple tuple, TupleDesc desc, void *arg);
static bool find(const char *catalog, const char *index, const char *keycol,
				 RegProcedure equal, Datum key, Look look, void *arg);
static Datum column_of(HeapTuple tuple, TupleDesc desc, const char *column);
static AttrNumber number_of(TupleDesc desc, const char *column);
static Oid	catalog_oid(const char *name);

/*
 * Is Citus installed in this database?
 */
bool
ienv_has_citus(void)
{
	return OidIsValid(catalog_oid("pg_dist_shard"));
}

/*
 * Where a table's rows are.  Sets *column, if that is not NULL, to the column
 * that tells for IENV_BY_COLUMN, else to 0.
 */
IenvPlace
ienv_place_of(Oid relid, AttrNumber *column)
{
	Place		place = {IENV_HERE, InvalidAttrNumber};

	(void) find("pg_dist_partition", "pg_dist_partition_logical_relid_index",
				"logicalrelid", F_OIDEQ,
				ObjectIdGetDatum(relid), look_at_place, &place);
	if (column != NULL)
		*column = place.column;
	return place.place;
}

static bool
look_at_place(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Place	   *place = arg;
	char		method = DatumGetChar(column_of(tuple, desc,
												"partmethod"));
	bool		isnull;
	Datum		partkey;
	Node	   *var;

	partkey = heap_getattr(tuple, number_of(desc, "partkey"), desc,
						   &isnull);
	if (method == 'n')
	{
		if (DatumGetChar(column_of(tuple, desc,
								   "repmodel")) == 't')
			place->place = IENV_EVERYWHERE;
		else
			place->place =
				DatumGetInt32(column_of(tuple, desc,
										"colocationid")) == 0 ?
				IENV_ON_COORDINATOR : IENV_IN_ONE_SHARD;
	}
	else if (method != 'h' || isnull)
		place->place = IENV_IN_RANGES;
	else
	{
		place->place = IENV_BY_COLUMN;
		var = stringToNode(TextDatumGetCString(partkey));
		if (IsA(var, Var))
			place->column = ((Var *) var)->varattno;
	}
	return true;
}

/*
 * The numbers of a table's shards on all nodes, as a list of pointers to int64.
 */
List *
ienv_shard_numbers(Oid table)
{
	List	   *shards = NIL;

	(void) find("pg_dist_shard", "pg_dist_shard_logical_relid_index",
				"logicalrelid", F_OIDEQ,
				ObjectIdGetDatum(table), look_at_shard, &shards);
	return shards;
}

static bool
look_at_shard(HeapTuple tuple, TupleDesc desc, void *arg)
{
	List	  **shards = arg;
	int64	   *shard = palloc(sizeof(int64));

	*shard = DatumGetInt64(column_of(tuple, desc,
									 "shardid"));
	*shards = lappend(*shards, shard);
	return false;
}

/*
 * The hashes, from the first to the last, of the rows that belong into a shard;
 * false if there are no such bounds.
 */
bool
ienv_bounds_of_shard(int64 shard, int32 bounds[2])
{
	return find("pg_dist_shard", "pg_dist_shard_shardid_index",
				"shardid", F_INT8EQ, Int64GetDatum(shard),
				look_at_range, bounds);
}

static bool
look_at_range(HeapTuple tuple, TupleDesc desc, void *arg)
{
	int32	   *bounds = arg;

	return read_bound(tuple, desc, "shardminvalue",
					  &bounds[0]) &&
		read_bound(tuple, desc, "shardmaxvalue",
				   &bounds[1]);
}

/*
 * A bound is written in decimal.
 */
static bool
read_bound(HeapTuple tuple, TupleDesc desc, const char *column, int32 *bound)
{
	bool		isnull;
	Datum		written = heap_getattr(tuple, number_of(desc, column), desc,
									   &isnull);

	if (isnull)
		return false;
	*bound = pg_strtoint32(TextDatumGetCString(written));
	return true;
}

/*
 * The table that has the shard with this number, or InvalidOid.
 */
Oid
ienv_table_of_shard(int64 shard)
{
	Oid			table = InvalidOid;

	(void) find("pg_dist_shard", "pg_dist_shard_shardid_index",
				"shardid", F_INT8EQ, Int64GetDatum(shard),
				look_at_table, &table);
	return table;
}

static bool
look_at_table(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(Oid *) arg = DatumGetObjectId(column_of(tuple, desc,
											  "logicalrelid"));
	return true;
}

/*
 * Does this node have a copy of the shard?  One that has left the cluster and
 * come back has a relation of that name, with what was in it then, until the
 * shard is copied again.
 */
bool
ienv_shard_is_here(int64 shard)
{
	int32		group = ienv_node_group();

	return find("pg_dist_placement", "pg_dist_placement_shardid_index",
				"shardid", F_INT8EQ, Int64GetDatum(shard),
				look_for_group, &group);
}

static bool
look_for_group(HeapTuple tuple, TupleDesc desc, void *arg)
{
	return DatumGetInt32(column_of(tuple, desc,
								   "groupid")) ==
		*(int32 *) arg;
}

/*
 * The number of this node's group; 0 is the coordinator's, and what a database
 * without Citus has.
 */
int32
ienv_node_group(void)
{
	int32		group = 0;

	(void) find("pg_dist_local_group", NULL, NULL, InvalidOid, (Datum) 0,
				look_at_group, &group);
	return group;
}

static bool
look_at_group(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(int32 *) arg = DatumGetInt32(column_of(tuple, desc,
											 "groupid"));
	return true;
}

/*
 * Look at the rows of a catalog that have a key, or at all if index is NULL,
 * until look says that it is enough; returns whether it has.
 */
static bool
find(const char *catalog, const char *index, const char *keycol,
	 RegProcedure equal, Datum key, Look look, void *arg)
{
	Oid			relid = catalog_oid(catalog);
	Oid			indexid = index == NULL ? InvalidOid : catalog_oid(index);
	Relation	rel;
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (!OidIsValid(relid))
		return false;
	rel = table_open(relid, AccessShareLock);
	if (index != NULL)
		ScanKeyInit(&scankey, number_of(RelationGetDescr(rel), keycol),
					BTEqualStrategyNumber, equal, key);
	scan = systable_beginscan(rel, indexid, OidIsValid(indexid), NULL,
							  index == NULL ? 0 : 1, &scankey);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = look(tuple, RelationGetDescr(rel), arg);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * A column that is never null.
 */
static Datum
column_of(HeapTuple tuple, TupleDesc desc, const char *column)
{
	bool		isnull;

	return heap_getattr(tuple, number_of(desc, column), desc, &isnull);
}

/*
 * The number of a column, which could be another one in another version of
 * Citus.
 */
static AttrNumber
number_of(TupleDesc desc, const char *column)
{
	int			number = SPI_fnumber(desc, column);

	if (number <= 0)
		elog(ERROR, "a catalog of Citus has no column \"%s\"", column);
	return number;
}

/*
 * A catalog of Citus, or an index of one; InvalidOid if there is none.
 */
static Oid
catalog_oid(const char *name)
{
	return get_relname_relid(name, PG_CATALOG_NAMESPACE);
}
