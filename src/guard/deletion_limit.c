/*-------------------------------------------------------------------------
 *
 * deletion_limit.c
 *	  How many users of production one statement may delete.
 *
 * The limit is instance_env.destructive_rows.  What is counted is rows of
 * counted tables that are gone when the AFTER DELETE trigger fires for them,
 * over all tables and all that the client's statement sets off: its CTEs,
 * cascades and triggers, and the statements of functions and DO blocks.
 * PostgreSQL gives all of these one statement timestamp, and so it does to
 * several statements that a client sends as one message.  A transaction that a
 * procedure begins starts anew.
 *
 * A row that an UPDATE moves to another partition is not deleted.  A row that
 * the transaction itself has inserted or updated counts like any other:
 * otherwise an UPDATE of all rows would do away with the limit.  A row whose
 * deletion an exception block has rolled back has been counted, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "guard/destruction.h"
#include "guard/guard.h"
#include "table/table.h"

/* The statement that was counted last */
static LocalTransactionId counted_lxid = InvalidLocalTransactionId;
static TimestampTz counted_statement = 0;
static int64 counted = 0;

/* The last table, and subtransaction, for which it was recorded */
static Oid	recorded_root = InvalidOid;
static SubTransactionId recorded_in = InvalidSubTransactionId;

static void check_allowed(const IenvGuard *guard, const IenvVictim *victim);

PG_FUNCTION_INFO_V1(instance_env_deletions_limited);

/*
 * deletions_limited() RETURNS boolean
 *
 * Condition of the AFTER DELETE trigger of a table whose users are not
 * tracked: is there a limit?
 */
Datum
instance_env_deletions_limited(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ienv_destructive_rows > 0);
}

/*
 * Count a row of a guarded table that has been deleted, if there is a limit.
 * Called once for each by its AFTER DELETE trigger.
 */
void
ienv_count_deletion(const IenvGuard *guard, TriggerData *trigdata)
{
	HeapTuple	row = trigdata->tg_trigtuple;
	Datum		value;
	bool		isnull;
	IenvVictim	victim;

	/* what a subscriber applies has happened already */
	if (!guard->counted ||
		SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
		HeapTupleHeaderIndicatesMovedPartitions(row->t_data))
		return;
	value = ienv_row_instance(guard, row,
							  RelationGetDescr(trigdata->tg_relation),
							  &isnull);
	if (isnull || !ienv_is_victim(guard, value, false))
		return;

	if (counted_lxid != ienv_lxid() ||
		counted_statement != GetCurrentStatementStartTimestamp())
	{
		counted_lxid = ienv_lxid();
		counted_statement = GetCurrentStatementStartTimestamp();
		counted = 0;
		recorded_root = InvalidOid;
	}
	if (++counted <= ienv_destructive_rows)
		return;
	if (recorded_root == guard->root && SubTransactionIsActive(recorded_in))
		return;
	if (!ienv_is_victim(guard, value, true))
	{
		counted--;
		return;
	}
	(void) ienv_set_victim(guard, value, &victim);
	check_allowed(guard, &victim);
}

/*
 * Refuse the deletion that is one too many, unless it is allowed: then record
 * it, once for each table.
 */
static void
check_allowed(const IenvGuard *guard, const IenvVictim *victim)
{
	if (!ienv_may_destroy(guard->relid))
		ienv_refuse_destruction(guard, victim,
								psprintf("cannot delete more than %d users of production in one statement",
										 ienv_destructive_rows));
	ienv_record_event("delete", NULL, &victim->id,
					  ienv_stable_name(guard->root), (Datum) 0, (Datum) 0);
	recorded_root = guard->root;
	recorded_in = GetCurrentSubTransactionId();
}
