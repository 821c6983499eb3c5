/*-------------------------------------------------------------------------
 *
 * placement.c
 *	  Where this node has the extension's own tables.
 *
 * Usually that is where their names say.  On a node of a Citus cluster, after
 * distribute(), the tables are reference tables: each node has a full copy,
 * its placement, which is an ordinary table in the same schema that is called
 * after the shard, such as instance_102008, and so are its indexes.  The table
 * with the proper name is empty, a shell.  SQL finds the way by itself; what
 * reads a table without SQL, such as the triggers' conditions, asks here.
 *
 * A write by SQL reaches the placements of all nodes in one transaction, and
 * the triggers of each placement fire there, so that the relcache invalidation
 * that they send is for the relation that this file has named.
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
#include "catalog/namespace.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_namespace_d.h"
#include "commands/comment.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"

#define Anum_pg_dist_shard_logicalrelid	1
#define Anum_pg_dist_shard_shardid		2
#define Anum_pg_dist_placement_shardid	2
#define Anum_pg_dist_placement_groupid	5
#define Anum_pg_dist_local_group_groupid	1

/* Numbers that a node gives out for ids, below those of the next node */
#define NODE_ID_BITS	48

/* The table with the numbers of roles, and the comment on its placement that
 * says whose they are.  Citus copies no comments, and drops a placement before
 * it copies another one to its place. */
#define JOINED_TABLE	"instance_allowance"
#define JOINED_COMMENT	"roles have the numbers that they have on this node"

static int64 shard_of(Oid relid);
static bool is_here(int64 shard);
static int32 local_group(void);
static bool read_column(Oid catalog, Oid index, AttrNumber keycol,
						RegProcedure equal, Datum key, AttrNumber column,
						const int32 *wanted, Datum *value);

PG_FUNCTION_INFO_V1(instance_env_node_offset);

/*
 * Has distribute() put the registry on all nodes of a cluster?
 */
bool
ienv_registry_is_distributed(void)
{
	return shard_of(get_relname_relid("instance",
									  get_namespace_oid(IENV_SCHEMA, false))) != 0;
}

/*
 * A table of the extension's, as this node has it; InvalidOid if it is a
 * reference table that has not been copied to this node yet, or if there is
 * none.
 */
Oid
ienv_table_oid(const char *table)
{
	return ienv_index_oid(table, table);
}

/*
 * The same of an index of such a table.
 */
Oid
ienv_index_oid(const char *table, const char *index)
{
	Oid			schema = get_namespace_oid(IENV_SCHEMA, false);
	int64		shard = shard_of(get_relname_relid(table, schema));

	if (shard != 0 && !is_here(shard))
		return InvalidOid;
	if (shard != 0)
		index = psprintf("%s_" INT64_FORMAT, index, shard);
	return get_relname_relid(index, schema);
}

/*
 * Open a table of the extension's, as this node has it.
 */
Relation
ienv_open_table(const char *table, LOCKMODE lockmode)
{
	Oid			relid = ienv_table_oid(table);

	if (!OidIsValid(relid))
		ienv_report_no_placement(table);
	return table_open(relid, lockmode);
}

/*
 * Report that this node, which has been added to the cluster since, does not
 * have such a table.
 */
void
ienv_report_no_placement(const char *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this node has no copy of table \"%s.%s\" yet",
					IENV_SCHEMA, table),
			 errhint("Run SELECT replicate_reference_tables() on the coordinator.")));
}

/*
 * Has distribute() been called since this node got its copy of the registry?
 * Numbers of roles in it are those of another node until then.
 */
bool
ienv_has_joined(void)
{
	Oid			relid = ienv_table_oid(JOINED_TABLE);
	const char *comment = OidIsValid(relid) ?
		GetComment(relid, RelationRelationId, 0) : NULL;

	return comment != NULL && strcmp(comment, JOINED_COMMENT) == 0;
}

/*
 * Remember that it has been.
 */
void
ienv_mark_joined(void)
{
	Oid			relid = ienv_table_oid(JOINED_TABLE);

	if (!OidIsValid(relid))
		ienv_report_no_placement(JOINED_TABLE);
	CreateComments(relid, RelationRelationId, 0, JOINED_COMMENT);
}

/*
 * Raise an error if the registry is distributed, and this node has come since.
 */
void
ienv_require_joined(void)
{
	if (!ienv_registry_is_distributed() || ienv_has_joined())
		return;
	if (!OidIsValid(ienv_table_oid(JOINED_TABLE)))
		ienv_report_no_placement(JOINED_TABLE);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this node does not know yet which roles may do what"),
			 errdetail("It has joined the cluster since the registry was distributed."),
			 errhint("Run SELECT * FROM %s.distribute() on the coordinator.",
					 IENV_SCHEMA)));
}

/*
 * The only shard of a reference table; 0 if the table is none.
 */
static int64
shard_of(Oid relid)
{
	Oid			catalog = ienv_citus_catalog("pg_dist_shard");
	Datum		shard;

	if (!OidIsValid(catalog) || !OidIsValid(relid) ||
		!read_column(catalog,
					 ienv_citus_catalog("pg_dist_shard_logical_relid_index"),
					 Anum_pg_dist_shard_logicalrelid, F_OIDEQ,
					 ObjectIdGetDatum(relid), Anum_pg_dist_shard_shardid,
					 NULL, &shard))
		return 0;
	return DatumGetInt64(shard);
}

/*
 * Does this node have a copy of the shard?  One that has left the cluster and
 * come back has a relation of that name, with what was in it then, until the
 * shard is copied again.
 */
static bool
is_here(int64 shard)
{
	int32		group = local_group();
	Datum		found;

	return read_column(ienv_citus_catalog("pg_dist_placement"),
					   ienv_citus_catalog("pg_dist_placement_shardid_index"),
					   Anum_pg_dist_placement_shardid, F_INT8EQ,
					   Int64GetDatum(shard), Anum_pg_dist_placement_groupid,
					   &group, &found);
}

/*
 * The number of this node's group; 0 is the coordinator's.
 */
static int32
local_group(void)
{
	Oid			catalog = ienv_citus_catalog("pg_dist_local_group");
	Datum		group;

	if (!OidIsValid(catalog) ||
		!read_column(catalog, InvalidOid, 0, InvalidOid, (Datum) 0,
					 Anum_pg_dist_local_group_groupid, NULL, &group))
		return 0;
	return DatumGetInt32(group);
}

/*
 * Read an integer column of the first row that has a key, if keycol is not 0,
 * and, if wanted is not NULL, this value.  False if there is no such row.
 */
static bool
read_column(Oid catalog, Oid index, AttrNumber keycol, RegProcedure equal,
			Datum key, AttrNumber column, const int32 *wanted, Datum *value)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (keycol != 0)
		ScanKeyInit(&scankey, keycol, BTEqualStrategyNumber, equal, key);
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL,
							  keycol != 0 ? 1 : 0, &scankey);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		*value = heap_getattr(tuple, column, RelationGetDescr(rel), &isnull);
		found = wanted == NULL || DatumGetInt32(*value) == *wanted;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * A catalog of Citus, or an index of one; InvalidOid if Citus is not installed
 * in this database.
 */
Oid
ienv_citus_catalog(const char *name)
{
	return get_relname_relid(name, PG_CATALOG_NAMESPACE);
}

/*
 * node_offset() RETURNS bigint
 *
 * What this node adds to the numbers of its sequences, so that those of no two
 * nodes are equal: the number of its group, which Citus gives to no other node
 * again, shifted.  0 on the coordinator, and everywhere without Citus.
 */
Datum
instance_env_node_offset(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) local_group() << NODE_ID_BITS);
}
