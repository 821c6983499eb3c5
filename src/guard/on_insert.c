/*-------------------------------------------------------------------------
 *
 * on_insert.c
 *	  The triggers for a new row: their conditions and functions.
 *
 * A condition decides, when the row is inserted, whether its trigger is queued
 * at all.  It runs no SQL, and for a row of an active production instance it
 * costs one cache look-up.  Any objection to a row is confirmed by the
 * trigger, with what the tables contain by then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/uuid.h"

#include "base/base.h"
#include "cap/cap.h"
#include "guard/guard.h"
#include "registry/registry.h"
#include "table/table.h"
#include "transfer/transfer.h"

/* How many rows of an inactive instance a statement may queue */
#define INACTIVE_ROWS	1000

pg_noinline static bool other_admission_required(FunctionCallInfo fcinfo,
												 IenvGuard *guard);
static inline IenvInstance *find_instance(const IenvGuard *guard,
										  Datum value);
static bool arrival_suspect(IenvGuard *guard, FunctionCallInfo fcinfo,
							Datum value, const uint8 *code);
static inline bool user_suspect(IenvGuard *guard, FunctionCallInfo fcinfo,
								Datum value, const uint8 *code);
static bool check_user(IenvGuard *guard, TriggerData *trigdata, Datum value);
static void join_queue(const IenvGuard *guard, IenvInstance *instance,
					   Datum value);
static void count_only(const IenvGuard *guard, Datum value);

PG_FUNCTION_INFO_V1(instance_env_admission_required);
PG_FUNCTION_INFO_V1(instance_env_instance_unavailable);
PG_FUNCTION_INFO_V1(instance_env_check_user_cap);
PG_FUNCTION_INFO_V1(instance_env_check_instance);

/*
 * admission_required(instance "any", relation oid [, VARIADIC user_key "any"])
 * RETURNS boolean
 *
 * Condition of the cap's trigger: false for an active production instance,
 * unless the user, if users are tracked, could belong to another one.
 * relation is the table or partition that the row was inserted into.  If
 * called in any other way, it is always true.
 */
Datum
instance_env_admission_required(PG_FUNCTION_ARGS)
{
	IenvGuard  *guard = ienv_condition_guard(fcinfo, false);
	const uint8 *code;

	/* as for most rows; all else is apart, so that this saves no registers */
	if (likely(guard != NULL && guard->is_common && !PG_ARGISNULL(0)) &&
		likely((code = ienv_known_production(PG_GETARG_UUID_P(0))) != NULL))
		PG_RETURN_BOOL(user_suspect(guard, fcinfo, PG_GETARG_DATUM(0), code));
	PG_RETURN_BOOL(other_admission_required(fcinfo, guard));
}

/*
 * The same if it is not known to be a row of active production.
 */
static bool
other_admission_required(FunctionCallInfo fcinfo, IenvGuard *guard)
{
	IenvInstance *instance;
	Datum		value;

	/* if this is for a row nevertheless, the queues do not know of it */
	if (guard == NULL)
		ienv_join_no_queue();
	if (guard == NULL || PG_ARGISNULL(0))
		return true;
	value = ienv_value_of_column(guard, PG_GETARG_DATUM(0));
	instance = find_instance(guard, value);
	if (instance != NULL && instance->status == IENV_ACTIVE &&
		instance->user_cap < 0)
	{
		if (guard->is_uuid)
			ienv_production_remember(instance);
		return arrival_suspect(guard, fcinfo, value, instance->code);
	}
	if (!guard->counted)
		return true;
	if (instance != NULL)
		join_queue(guard, instance, value);
	else
		ienv_join_no_queue();
	return true;
}

/*
 * The instance that a value refers to, or NULL.
 */
static inline IenvInstance *
find_instance(const IenvGuard *guard, Datum value)
{
	if (guard->is_uuid)
		return ienv_instance_by_id(DatumGetUUIDP(value));
	return ienv_instance_by_value(value, false, false);
}

/*
 * Queue a new row of a development instance, or of one that is not active,
 * until its trigger fires.  If more rows wait than can be admitted, say so
 * without waiting for the end of the statement.
 */
static void
join_queue(const IenvGuard *guard, IenvInstance *instance, Datum value)
{
	IenvQueue  *queue = ienv_join_queue(guard->root, &instance->id);
	bool		active = instance->status == IENV_ACTIVE;

	if (queue == NULL)
		return;
	if (queue->waiting == 1)
		queue->look_at = active ? instance->user_cap : INACTIVE_ROWS;
	if (queue->waiting <= queue->look_at ||
		SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
		ienv_move_queued())
		return;

	/*
	 * If that does not refuse (rows have gone again), do not check for each
	 * row.
	 */
	queue->look_at *= 2;
	if (active)
		(void) ienv_admit(guard, instance, value, NULL, true);
	else if (guard->root == guard->relid)
		(void) ienv_require_active(guard, value, false, false);
}

/*
 * instance_unavailable(instance "any", relation oid
 *						[, VARIADIC user_key "any"]) RETURNS boolean
 *
 * Condition of the trigger of tables that are not counted: is the instance
 * null, unknown or not active, or could the user belong to another one?  If
 * called in any other way, it is always true.
 */
Datum
instance_env_instance_unavailable(PG_FUNCTION_ARGS)
{
	IenvGuard  *guard = ienv_condition_guard(fcinfo, false);
	IenvInstance *instance;
	Datum		value;

	if (guard == NULL || PG_ARGISNULL(0))
		PG_RETURN_BOOL(true);
	value = ienv_value_of_column(guard, PG_GETARG_DATUM(0));
	instance = find_instance(guard, value);
	PG_RETURN_BOOL(instance == NULL || instance->status != IENV_ACTIVE ||
				   arrival_suspect(guard, fcinfo, value, instance->code));
}

/*
 * Could the row, or its user, come from another instance?  value is the row's
 * instance, and code that of its coded ids.  Also true where the trigger has to
 * refuse rows of production.
 */
static bool
arrival_suspect(IenvGuard *guard, FunctionCallInfo fcinfo, Datum value,
				const uint8 *code)
{
	if (guard->no_production ||
		(guard->look_at_place &&
		 !ienv_may_come_here(guard, PG_GETARG_DATUM(0))))
		return true;
	return user_suspect(guard, fcinfo, value, code);
}

/*
 * The same where rows of production can come into the table, and this one into
 * the shard, if it is one.
 */
static inline bool
user_suspect(IenvGuard *guard, FunctionCallInfo fcinfo, Datum value,
			 const uint8 *code)
{
	if (ienv_move_queued())
		return true;
	if (!guard->coded)
		return guard->nkeys > 0 && !ienv_nobody_can_arrive(guard) &&
			ienv_arrival_suspect(guard, fcinfo, value);
	return PG_NARGS() != 3 || !ienv_is_coded_key(guard) ||
		(!PG_ARGISNULL(2) && !ienv_id_has_code(PG_GETARG_UUID_P(2), code));
}

/*
 * check_user_cap() RETURNS trigger
 *
 * AFTER INSERT row trigger of a counted table, ENABLE ALWAYS.
 */
Datum
instance_env_check_user_cap(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "check_user_cap",
											   TRIGGER_EVENT_INSERT |
											   TRIGGER_EVENT_ROW |
											   TRIGGER_EVENT_AFTER);
	IenvGuard  *guard = ienv_trigger_guard(trigdata, "check_user_cap");
	bool		isnull;
	Datum		value = ienv_row_instance(guard, trigdata->tg_trigtuple,
										  RelationGetDescr(trigdata->tg_relation),
										  &isnull);
	IenvInstance *instance;
	IenvBucket *bucket;
	IenvQueue  *queue;
	bool		moved;
	bool		same_id;

	/*
	 * A replicated row was admitted where it came from, and is only counted
	 * here.
	 */
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
	{
		if (!isnull)
			count_only(guard, value);
		return PointerGetDatum(NULL);
	}

	ienv_lock_beside_new_partition(guard);

	/*
	 * An UPDATE that moves a row needs neither a seat nor an active instance.
	 */
	moved = ienv_check_moved(guard, trigdata, &same_id) && !isnull;
	instance = moved ? NULL : ienv_require_active(guard, value, isnull, false);
	if (!same_id && check_user(guard, trigdata, value) && instance != NULL)
		instance = ienv_instance_by_value(value, guard->is_uuid, false);
	if (moved)
		count_only(guard, value);
	if (instance == NULL || instance->user_cap < 0)
		return PointerGetDatum(NULL);

	queue = ienv_queue_of(guard->root, &instance->id);
	if (queue != NULL && ienv_queue_is_admitted(queue))
	{
		ienv_count_along(queue, guard->root, instance);
		ienv_fill_vacancy(guard->root, instance);
		return PointerGetDatum(NULL);
	}

	/*
	 * All rows that wait are in the table, so the first takes the tickets of
	 * all.
	 */
	bucket = ienv_bucket_of(guard->root, instance);
	if (bucket != NULL)
		ienv_take_tickets(bucket, queue != NULL ? Max(queue->waiting, 1) : 1);
	if (queue != NULL)
		queue->waiting = 0;
	(void) ienv_admit(guard, instance, value, bucket, false);
	if (queue != NULL)
		ienv_admit_queue(queue);
	ienv_fill_vacancy(guard->root, instance);
	return PointerGetDatum(NULL);
}

/*
 * Take a ticket for a row that needs no admission, because its user was
 * admitted before.
 */
static void
count_only(const IenvGuard *guard, Datum value)
{
	const IenvInstance *instance = ienv_instance_by_value(value,
														  guard->is_uuid,
														  false);
	IenvQueue  *queue;
	IenvBucket *bucket;

	if (instance == NULL)
	{
		/*
		 * A replicated row, ahead of the registry: should the instance come,
		 * no bound holds.
		 */
		ienv_void_bounds();
		return;
	}
	queue = ienv_queue_of(guard->root, &instance->id);
	if (queue != NULL && queue->waiting > 0)
		queue->waiting--;
	bucket = ienv_bucket_of(guard->root, instance);
	if (bucket != NULL)
		ienv_take_tickets(bucket, 1);
}

/*
 * check_instance() RETURNS trigger
 *
 * AFTER INSERT row trigger of a table that is not counted.
 */
Datum
instance_env_check_instance(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "check_instance",
											   TRIGGER_EVENT_INSERT |
											   TRIGGER_EVENT_ROW |
											   TRIGGER_EVENT_AFTER);
	IenvGuard  *guard = ienv_trigger_guard(trigdata, "check_instance");
	bool		isnull;
	Datum		value = ienv_row_instance(guard, trigdata->tg_trigtuple,
										  RelationGetDescr(trigdata->tg_relation),
										  &isnull);
	bool		same_id;

	ienv_lock_beside_new_partition(guard);
	if (!ienv_check_moved(guard, trigdata, &same_id) || isnull)
		(void) ienv_require_active(guard, value, isnull, false);
	if (!same_id)
		(void) check_user(guard, trigdata, value);
	return PointerGetDatum(NULL);
}

/*
 * Refuse a new row whose user belongs to an instance other than value.
 * Returns what ienv_check_arrival() returns.
 */
static bool
check_user(IenvGuard *guard, TriggerData *trigdata, Datum value)
{
	Datum		key[IENV_MAX_KEY_COLUMNS];

	return ienv_row_key(guard, trigdata->tg_trigtuple,
						RelationGetDescr(trigdata->tg_relation), key) &&
		ienv_check_arrival(guard, value, key);
}
