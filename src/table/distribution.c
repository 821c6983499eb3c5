/*-------------------------------------------------------------------------
 *
 * distribution.c
 *	  Whether a guard can do with the way a table of a Citus cluster is
 *	  distributed.
 *
 * Each shard has the triggers of its table, and they work on the node where it
 * is, with what is there.  So all rows of an instance must be in one shard, and
 * nothing may have to be looked up, or recorded, elsewhere: which is why users
 * can be followed by coded ids only.  guard() refuses anything else, and so do
 * the triggers, since a table can be distributed after it was guarded.  They
 * also refuse a row that comes into another shard than that of its instance,
 * by the shard's own name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/base.h"
#include "table/table.h"

/*
 * Why the table of a guard, or the one that it is a shard of, is distributed in
 * a way that it cannot do with, in full sentences; NULL if it is not.  Sets
 * *hint to what to do.
 */
const char *
ienv_why_misplaced(const IenvGuard *guard, const char **hint)
{
	Oid			table = ienv_known_table(guard->root);
	const char *instance = get_attname(guard->relid, guard->instance_attno,
									   false);
	AttrNumber	column;

	switch (ienv_place_of(table, &column))
	{
		case IENV_HERE:
		case IENV_ON_COORDINATOR:
			return NULL;
		case IENV_EVERYWHERE:
			*hint = "Distribute it by its instance column.";
			return "It is a reference table: each node would count a copy of its rows for itself.";
		case IENV_IN_RANGES:
			*hint = "Distribute it by the hash of its instance column.";
			return "It is distributed neither by hash nor as a whole, so that rows of one instance can be in several shards.";
		case IENV_BY_COLUMN:

			/* the columns of a shard may be numbered differently */
			if (strcmp(get_attname(table, column, false), instance) == 0)
				break;
			*hint = psprintf("Distribute it by its instance column, \"%s\".",
							 instance);
			return psprintf("It is distributed by column \"%s\", so that rows of one instance are in several shards.",
							get_attname(table, column, false));
		case IENV_IN_ONE_SHARD:
			break;
	}
	if (guard->nkeys == 0 || guard->coded)
		return NULL;
	*hint = "Call instance_env.guard() with coded => true, or with an empty user_key; instance_env.unguard() first, if it is guarded.";
	return "Users of a distributed table can be followed by coded ids only: on the node of a shard, nobody knows who has departed from others.";
}

/*
 * Read whether rows can come into rel, of which all else is in guard, and which
 * ones.
 */
void
ienv_read_place(Relation rel, IenvGuard *guard)
{
	const char *hint;
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
										  guard->instance_attno - 1);

	guard->misplaced = ienv_why_misplaced(guard, &hint) != NULL;
	guard->undecided = ienv_may_be_shard(guard->root);
	ienv_read_shard_range(guard->root, guard->instance_type,
						  att->attcollation, &guard->range);
	guard->look_at_place = guard->misplaced || guard->range.hash != NULL;
	guard->is_common = guard->is_uuid && !guard->no_production &&
		!guard->look_at_place;
}

/*
 * May a row with this in its instance column, not null, come into the table or
 * shard?
 */
bool
ienv_may_come_here(const IenvGuard *guard, Datum column)
{
	return !guard->misplaced && ienv_is_in_range(&guard->range, column);
}
