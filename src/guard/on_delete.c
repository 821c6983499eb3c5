/*-------------------------------------------------------------------------
 *
 * on_delete.c
 *	  What happens when rows of a guarded table are deleted or truncated.
 *
 * The user's departure is recorded, and the transaction may use the vacant
 * seat.  What would destroy users of production is refused: see destruction.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "cap/cap.h"
#include "guard/destruction.h"
#include "table/table.h"
#include "transfer/transfer.h"

/* What identity_changes() remembers of its arguments' type between calls */
typedef struct KeyType
{
	int16		typlen;
	bool		typbyval;
} KeyType;

PG_FUNCTION_INFO_V1(instance_env_departure_queued);
PG_FUNCTION_INFO_V1(instance_env_identity_changes);
PG_FUNCTION_INFO_V1(instance_env_record_departure);
PG_FUNCTION_INFO_V1(instance_env_record_truncate);

/*
 * departure_queued() RETURNS boolean
 *
 * Condition of the departure trigger: always true; evaluating it tells the
 * transaction that a departure is queued.  It takes no columns, because
 * PostgreSQL parses and prepares the condition once per statement.
 */
Datum
instance_env_departure_queued(PG_FUNCTION_ARGS)
{
	ienv_queue_departure();
	PG_RETURN_BOOL(true);
}

/*
 * identity_changes(old_key "any", new_key "any") RETURNS boolean
 *
 * Condition of the transfer trigger: does an UPDATE change the user key?
 * Compares binary images, so that it needs no operator of the key's type.
 */
Datum
instance_env_identity_changes(PG_FUNCTION_ARGS)
{
	KeyType    *type = (KeyType *) fcinfo->flinfo->fn_extra;

	if (type == NULL)
	{
		Oid			old_type = get_fn_expr_argtype(fcinfo->flinfo, 0);

		if (!OidIsValid(old_type) ||
			old_type != get_fn_expr_argtype(fcinfo->flinfo, 1))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("function \"%s\" compares two keys of the same type", "identity_changes")));
		type = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(KeyType));
		get_typlenbyval(old_type, &type->typlen, &type->typbyval);
		fcinfo->flinfo->fn_extra = type;
	}

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1) &&
		datum_image_eq(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), type->typbyval,
					   type->typlen))
		PG_RETURN_BOOL(false);
	ienv_queue_departure();
	PG_RETURN_BOOL(true);
}

/*
 * record_departure() RETURNS trigger
 *
 * AFTER DELETE row trigger: remembers which instance the user belonged to, and
 * counts users of production if their deletion is limited.
 */
Datum
instance_env_record_departure(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "record_departure",
											   TRIGGER_EVENT_DELETE |
											   TRIGGER_EVENT_ROW |
											   TRIGGER_EVENT_AFTER);
	IenvGuard  *guard = ienv_guard_of(RelationGetRelid(trigdata->tg_relation));
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	bool		isnull;
	Datum		value;
	Datum		key[IENV_MAX_KEY_COLUMNS];
	bool		counts;

	/*
	 * Dropping the columns with CASCADE drops the triggers that name them,
	 * but not this one.
	 */
	if (guard == NULL || guard->nkeys == 0)
		return PointerGetDatum(NULL);

	/*
	 * An event of this trigger has satisfied its condition, once, and so has
	 * been counted.  Another trigger that was created with this function
	 * takes nothing from the count, and vacates no second seat.
	 */
	counts = trigdata->tg_trigger->tgoid == guard->departure_trigger;
	value = ienv_row_instance(guard, trigdata->tg_trigtuple, desc, &isnull);
	if (unlikely(ienv_destructive_rows > 0) && counts && !isnull &&
		!HeapTupleHeaderIndicatesMovedPartitions(trigdata->tg_trigtuple->t_data))
		ienv_count_deletion(guard, value);
	if (!isnull && ienv_row_key(guard, trigdata->tg_trigtuple, desc, key))
		ienv_depart(guard, value, key);
	if (counts)
		ienv_unqueue_departure();
	if (counts && guard->counted && !isnull)
		ienv_vacate(guard, trigdata->tg_trigtuple, value);
	return PointerGetDatum(NULL);
}

/*
 * record_truncate() RETURNS trigger
 *
 * BEFORE TRUNCATE statement trigger, of a guarded table and of each partition:
 * refuses to destroy users of production, and remembers the instances of all
 * its users.
 */
Datum
instance_env_record_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "record_truncate",
											   TRIGGER_EVENT_TRUNCATE |
											   TRIGGER_EVENT_BEFORE);
	IenvGuard  *guard = ienv_guard_of(RelationGetRelid(trigdata->tg_relation));

	/*
	 * A partitioned table has no rows; its partitions are truncated with it.
	 * A partition that has been detached still has this trigger, but is no
	 * longer guarded.  A shard has it only if Citus has moved it there; that
	 * it may be truncated was found out for the table.
	 */
	if (trigdata->tg_relation->rd_rel->relkind == RELKIND_RELATION &&
		guard != NULL)
	{
		if (!OidIsValid(ienv_shell_of(guard->relid)))
			ienv_check_truncate(guard);
		if (guard->nkeys > 0 && guard->departures)
			ienv_depart_all(guard);
		if (guard->counted)
			ienv_void_floors_of(guard->root);
	}
	return PointerGetDatum(NULL);
}
