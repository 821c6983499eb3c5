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
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class_d.h"
#include "commands/comment.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/* Numbers that a node gives out for ids, below those of the next node */
#define NODE_ID_BITS	48

/* The table with the numbers of roles, and the comment on its placement that
 * says whose they are.  Citus copies no comments, and drops a placement before
 * it copies another one to its place. */
#define JOINED_TABLE	"instance_allowance"
#define JOINED_COMMENT	"roles have the numbers that they have on this node"

static int64 only_shard(Oid relid);

PG_FUNCTION_INFO_V1(instance_env_node_offset);

/*
 * Has distribute() put the registry on all nodes of a cluster?
 */
bool
ienv_registry_is_distributed(void)
{
	return only_shard(get_relname_relid("instance",
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
	int64		shard = only_shard(get_relname_relid(table, schema));

	if (shard != 0 && !ienv_shard_is_here(shard))
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
only_shard(Oid relid)
{
	List	   *shards = OidIsValid(relid) ? ienv_shard_numbers(relid) : NIL;
	int64		shard = shards == NIL ? 0 : *(int64 *) linitial(shards);

	list_free_deep(shards);
	return shard;
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
	PG_RETURN_INT64((int64) ienv_node_group() << NODE_ID_BITS);
}
