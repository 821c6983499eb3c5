/*-------------------------------------------------------------------------
 *
 * departure.c
 *	  Recording that a user leaves an instance: triggers for DELETE and TRUNCATE.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "guard.h"
#include "instance_env.h"

/* What identity_changes() remembers of its arguments' type between calls */
typedef struct KeyType
{
	int16		typlen;
	bool		typbyval;
} KeyType;

/*
 * How many departures a transaction has queued whose trigger has not fired, so that
 * departed_user does not tell of them.  Some may be counted that never will, because
 * their subtransaction was rolled back, or that were changes of a key.  To count too many
 * makes arrivals be looked at more closely, to count too few lets a user move.
 */
static LocalTransactionId queued_lxid = InvalidLocalTransactionId;
static int64 queued = 0;

static void queue_departure(void);
static pg_uuid_t nowhere(Datum value);
static void depart_all(IenvGuard *guard);

PG_FUNCTION_INFO_V1(instance_env_departure_queued);
PG_FUNCTION_INFO_V1(instance_env_identity_changes);
PG_FUNCTION_INFO_V1(instance_env_record_departure);
PG_FUNCTION_INFO_V1(instance_env_record_truncate);

/*
 * May a departure in this transaction be on its way to departed_user?
 */
bool
ienv_departure_queued(void)
{
	return queued > 0 && queued_lxid == ienv_lxid();
}

static void
queue_departure(void)
{
	if (queued_lxid != ienv_lxid())
		queued = 0;
	queued_lxid = ienv_lxid();
	queued++;
}

/*
 * departure_queued() RETURNS boolean
 *
 * Condition of the departure trigger: true, and the transaction knows.  It takes no
 * columns, for PostgreSQL parses and prepares the condition once a statement.
 */
Datum
instance_env_departure_queued(PG_FUNCTION_ARGS)
{
	queue_departure();
	PG_RETURN_BOOL(true);
}

/*
 * identity_changes(old_key "any", new_key "any") RETURNS boolean
 *
 * Condition of the transfer trigger: does an UPDATE change the user key?  Compares
 * images, so that it needs no operator of the key's type.
 */
Datum
instance_env_identity_changes(PG_FUNCTION_ARGS)
{
	KeyType    *type = (KeyType *) fcinfo->flinfo->fn_extra;

	if (type == NULL)
	{
		Oid			old_type = get_fn_expr_argtype(fcinfo->flinfo, 0);

		if (!OidIsValid(old_type) || old_type != get_fn_expr_argtype(fcinfo->flinfo, 1))
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
		datum_image_eq(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), type->typbyval, type->typlen))
		PG_RETURN_BOOL(false);
	queue_departure();
	PG_RETURN_BOOL(true);
}

/*
 * record_departure() RETURNS trigger
 *
 * AFTER DELETE row trigger: remembers which instance the user belonged to.
 */
Datum
instance_env_record_departure(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "record_departure",
											   TRIGGER_EVENT_DELETE | TRIGGER_EVENT_ROW | TRIGGER_EVENT_AFTER);
	IenvGuard  *guard = ienv_guard_of(RelationGetRelid(trigdata->tg_relation));
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	bool		isnull[2];
	Datum		value;
	Datum		key;
	bool		counts;

	/* to drop the columns with CASCADE drops the triggers that name them, but not this one */
	if (guard == NULL || guard->key_attno == InvalidAttrNumber)
		return PointerGetDatum(NULL);

	/*
	 * An event of this trigger has met its condition, once, and so been counted.  Another
	 * trigger that somebody has given this function takes nothing from the count, and
	 * frees no second seat.
	 */
	counts = trigdata->tg_trigger->tgoid == guard->departure_trigger;
	value = heap_getattr(trigdata->tg_trigtuple, guard->instance_attno, desc, &isnull[0]);
	key = heap_getattr(trigdata->tg_trigtuple, guard->key_attno, desc, &isnull[1]);
	if (!isnull[0] && !isnull[1])
		ienv_depart(guard, value, key);
	if (counts && ienv_departure_queued())
		queued--;
	if (counts && guard->counted && !isnull[0])
		ienv_vacate(guard, trigdata->tg_trigtuple, value);
	return PointerGetDatum(NULL);
}

/*
 * record_truncate() RETURNS trigger
 *
 * BEFORE TRUNCATE statement trigger, of a guarded table and of each partition:
 * remembers the instances of all its users.
 */
Datum
instance_env_record_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "record_truncate",
											   TRIGGER_EVENT_TRUNCATE | TRIGGER_EVENT_BEFORE);
	IenvGuard  *guard = ienv_guard_of(RelationGetRelid(trigdata->tg_relation));

	/*
	 * A partitioned table has no rows; its partitions are truncated with it.  One
	 * that has been detached has this trigger still, but is no longer guarded.
	 */
	if (trigdata->tg_relation->rd_rel->relkind == RELKIND_RELATION &&
		guard != NULL && guard->key_attno != InvalidAttrNumber)
		depart_all(guard);
	return PointerGetDatum(NULL);
}

/*
 * Record that the user with this key leaves the instance value.
 */
void
ienv_depart(IenvGuard *guard, Datum value, Datum key)
{
	IenvInstance *instance = ienv_instance_by_value(value, guard->is_uuid, false);
	pg_uuid_t	identity;
	pg_uuid_t	home;

	/* an instance that is gone is no other one, whatever comes to have its names */
	if (instance != NULL)
		home = instance->id;
	else if (guard->is_uuid)
		home = *DatumGetUUIDP(value);
	else
		home = nowhere(value);
	if (ienv_identity_of(guard, key, &identity))
		ienv_record_departure(&identity, &home);
}

/*
 * An id that no instance has, for an external key that names none.
 */
static pg_uuid_t
nowhere(Datum value)
{
	text	   *key = DatumGetTextPP(value);
	uint64		hash[2];
	pg_uuid_t	id;

	for (int i = 0; i < 2; i++)
		hash[i] = hash_bytes_extended((const unsigned char *) VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), i);
	memcpy(id.data, hash, UUID_LEN);
	return id;
}

/*
 * Record that every user in the table leaves.
 *
 * TRUNCATE removes what is committed and what is ours, whatever the transaction's
 * snapshot sees, and holds a lock that lets nobody write.
 */
static void
depart_all(IenvGuard *guard)
{
	Relation	rel = table_open(guard->relid, NoLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan_strat(rel, snapshot, 0, NULL, true, false);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "instance_env truncate",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row_context);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull[2];
		Datum		value = slot_getattr(slot, guard->instance_attno, &isnull[0]);
		Datum		key = slot_getattr(slot, guard->key_attno, &isnull[1]);

		CHECK_FOR_INTERRUPTS();
		if (!isnull[0] && !isnull[1])
			ienv_depart(guard, value, key);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row_context);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
}
