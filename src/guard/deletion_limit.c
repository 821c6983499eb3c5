/*-------------------------------------------------------------------------
 *
 * deletion_limit.c
 *	  How many users of production one statement may delete.
 *
 * The limit is instance_env.destructive_rows.  What is counted is rows of
 * counted tables, over all that the client's statement sets off: its CTEs,
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
 * Where departures are recorded, the trigger that does that counts.  For other
 * tables, a trigger would make each deletion half as expensive again, because
 * PostgreSQL fetches the row anew for it; and there usually is no limit.  So
 * if there is one, a trigger is added when the executor starts, to its own
 * copy of the table's triggers.  Its condition counts, and is always false, so
 * that it never fires.  This takes a session that has loaded the library
 * before, as shared_preload_libraries does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
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

static ExecutorStart_hook_type previous_hook = NULL;

static void count_from(ResultRelInfo *info, int instrument);
static char *counting_condition(const IenvGuard *guard, Relation rel);
static void check_allowed(const IenvGuard *guard, const IenvVictim *victim);

PG_FUNCTION_INFO_V1(instance_env_row_deleted);

/*
 * row_deleted(instance "any", relation oid, place tid) RETURNS boolean
 *
 * Condition of a trigger that count_from() adds: counts the row, and is always
 * false.  If called in any other way, it does nothing.
 */
Datum
instance_env_row_deleted(PG_FUNCTION_ARGS)
{
	IenvGuard  *guard = ienv_condition_guard(fcinfo, true);

	if (ienv_destructive_rows > 0 && guard != NULL && !PG_ARGISNULL(0) &&
		!PG_ARGISNULL(2) &&
		!ienv_was_moved(guard->relid, (ItemPointer) PG_GETARG_POINTER(2)))
		ienv_count_deletion(guard,
							ienv_value_of_column(guard, PG_GETARG_DATUM(0)));
	PG_RETURN_BOOL(false);
}

/*
 * When the executor has started: add the triggers.
 */
static void
executor_start(QueryDesc *query, int flags)
{
	if (previous_hook != NULL)
		previous_hook(query, flags);
	else
		standard_ExecutorStart(query, flags);

	if (ienv_destructive_rows > 0 &&
		(query->operation == CMD_DELETE || query->operation == CMD_MERGE ||
		 query->plannedstmt->hasModifyingCTE) && ienv_is_installed())
	{
		MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);
		ListCell   *lc;

		foreach(lc, query->estate->es_opened_result_relations)
			count_from(lfirst(lc), query->instrument_options);
		MemoryContextSwitchTo(old);
	}
}

/*
 * Install the hook.
 */
void
ienv_watch_deletes(void)
{
	previous_hook = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
}

/*
 * Add a trigger that counts to a table that the executor is to write to, if it
 * has users who are not tracked, or only by their ids.
 */
static void
count_from(ResultRelInfo *info, int instrument)
{
	Relation	rel = info->ri_RelationDesc;
	const IenvGuard *guard;
	TriggerDesc *desc = info->ri_TrigDesc;
	Trigger    *triggers;
	char	   *condition;

	/* a guarded table has triggers */
	if (desc == NULL || rel->rd_rel->relkind != RELKIND_RELATION)
		return;
	guard = ienv_guard_of(RelationGetRelid(rel));
	if (guard == NULL || !guard->counted ||
		(guard->nkeys > 0 &&
		 (!guard->coded || OidIsValid(guard->departure_trigger))))
		return;
	condition = counting_condition(guard, rel);
	if (condition == NULL)
		return;

	triggers = palloc0((desc->numtriggers + 1) * sizeof(Trigger));
	memcpy(triggers, desc->triggers, desc->numtriggers * sizeof(Trigger));
	triggers[desc->numtriggers].tgname = pstrdup("instance_env_row_deleted");
	triggers[desc->numtriggers].tgfoid = ienv_oids()->functions[0];
	triggers[desc->numtriggers].tgtype = TRIGGER_TYPE_ROW |
		TRIGGER_TYPE_DELETE;
	triggers[desc->numtriggers].tgenabled = TRIGGER_FIRES_ON_ORIGIN;
	triggers[desc->numtriggers].tgqual = condition;
	desc->triggers = triggers;
	desc->numtriggers++;
	desc->trig_delete_after_row = true;

	/* nothing has been evaluated yet, so there is nothing to keep */
	info->ri_TrigFunctions = palloc0(desc->numtriggers * sizeof(FmgrInfo));
	info->ri_TrigWhenExprs = palloc0(desc->numtriggers * sizeof(ExprState *));
	if (info->ri_TrigInstrument != NULL)
		info->ri_TrigInstrument = InstrAlloc(desc->numtriggers, instrument,
											 false);
}

/*
 * row_deleted(OLD.instance, OLD.tableoid, OLD.ctid), as PostgreSQL stores it;
 * NULL while the extension is being changed.
 */
static char *
counting_condition(const IenvGuard *guard, Relation rel)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
										  guard->instance_attno - 1);
	Oid			types[3] = {ANYOID, OIDOID, TIDOID};
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum("row_deleted"),
										   PointerGetDatum(buildoidvector(types, 3)),
										   ObjectIdGetDatum(ienv_oids()->schema));

	if (!OidIsValid(function))
		return NULL;
	return nodeToString(makeFuncExpr(function, BOOLOID,
									 list_make3(makeVar(PRS2_OLD_VARNO,
														guard->instance_attno,
														att->atttypid,
														att->atttypmod,
														att->attcollation, 0),
												makeVar(PRS2_OLD_VARNO,
														TableOidAttributeNumber,
														OIDOID, -1, InvalidOid,
														0),
												makeVar(PRS2_OLD_VARNO,
														SelfItemPointerAttributeNumber,
														TIDOID, -1, InvalidOid,
														0)),
									 InvalidOid, att->attcollation,
									 COERCE_EXPLICIT_CALL));
}

/*
 * Count a user who has been deleted; there is a limit.  value is the instance
 * that the row names.
 */
void
ienv_count_deletion(const IenvGuard *guard, Datum value)
{
	IenvVictim	victim;

	/* what a subscriber applies has happened already */
	if (!guard->counted ||
		SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
		!ienv_is_victim(guard, value, false))
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

	/* what was allowed a moment ago need not be any more, or to this role */
	if (recorded_root == guard->root && SubTransactionIsActive(recorded_in) &&
		ienv_may_destroy(guard->relid))
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
								psprintf(ienv_destructive_rows == 1 ?
										 "cannot delete more than %d user of production in one statement" :
										 "cannot delete more than %d users of production in one statement",
										 ienv_destructive_rows));
	ienv_record_table_event("delete", &victim->id, guard->root, (Datum) 0,
							(Datum) 0);
	recorded_root = guard->root;
	recorded_in = GetCurrentSubTransactionId();
}
