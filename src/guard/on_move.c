/*-------------------------------------------------------------------------
 *
 * on_move.c
 *	  An UPDATE that moves a row to another partition must not change its
 *	  instance.
 *
 * For such an UPDATE, PostgreSQL fires no AFTER UPDATE trigger, and a BEFORE
 * trigger sees the row only as it is when that trigger fires: a later one, or
 * a BEFORE INSERT trigger of the other partition, can change it again.  But
 * the row is deleted here and inserted there, one immediately after the other,
 * and its AFTER DELETE and AFTER INSERT triggers are queued and fired in that
 * order.  So the row that has left is compared with the one that comes next:
 *
 * - row_moves(), the condition of the AFTER DELETE trigger, checks in the heap
 *	 whether the row was moved, and if so makes the conditions of the AFTER
 *	 INSERT trigger let the row through to its trigger, whatever its instance;
 * - check_move(), the AFTER DELETE trigger, remembers the instance of the row
 *	 that left, with the command that moved it;
 * - the AFTER INSERT trigger compares it with the next row that the same
 *	 command has inserted into a partition of the same table.
 *
 * Other triggers may run statements of their own between the two, but these
 * have other command ids: each began after the command that moves the row had
 * used its own.
 *
 * (If a BEFORE INSERT trigger discards the moved row, the next row that the
 * same statement inserts, by a WITH clause or as a MERGE, is taken for it:
 * refused for no reason if it is of another instance, and otherwise admitted
 * to the seat that the discarded row has left.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"
#include "transfer/transfer.h"

/* The last row that a command has moved and that has not been compared yet */
typedef struct Move
{
	Oid			root;			/* the guarded table */
	CommandId	cid;			/* the command */
	Datum		instance;
	bool		isnull;
	bool		has_id;			/* if ids are coded: this one */
	pg_uuid_t	id;
} Move;

/*
 * One for each command: a trigger that runs between the two may run a command
 * within the command.
 */
static LocalTransactionId moves_lxid = InvalidLocalTransactionId;
static List *moves = NIL;		/* in TopTransactionContext */

/*
 * How many moves the transaction has queued; after a rollback, some may never
 * fire.
 */
static LocalTransactionId queued_lxid = InvalidLocalTransactionId;
int64		ienv_moves_queued = 0;

static Move *find_move(Oid root, CommandId cid);
static bool read_id(const IenvGuard *guard, TriggerData *trigdata,
					pg_uuid_t *id);
static void forget_move(Move *move);

PG_FUNCTION_INFO_V1(instance_env_row_moves);
PG_FUNCTION_INFO_V1(instance_env_check_move);

/*
 * What ienv_move_queued() returns, if some transaction has queued a move.
 */
bool
ienv_move_queued_now(void)
{
	return queued_lxid == ienv_lxid();
}

/*
 * row_moves(instance "any", relation oid, place tid) RETURNS boolean
 *
 * Condition of an AFTER DELETE trigger: was the row that has left this place
 * moved to another partition?  If called in any other way, it is always true.
 */
Datum
instance_env_row_moves(PG_FUNCTION_ARGS)
{
	IenvGuard  *guard = ienv_condition_guard(fcinfo, true);

	if (guard == NULL || PG_ARGISNULL(2))
		PG_RETURN_BOOL(true);
	if (!ienv_was_moved(guard->relid, (ItemPointer) PG_GETARG_POINTER(2)))
		PG_RETURN_BOOL(false);
	if (queued_lxid != ienv_lxid())
		ienv_moves_queued = 0;
	queued_lxid = ienv_lxid();
	ienv_moves_queued++;
	PG_RETURN_BOOL(true);
}

/*
 * Does the header of the tuple at this place say that it was moved to another
 * partition?
 */
bool
ienv_was_moved(Oid relid, ItemPointer tid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Buffer		buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(tid));
	bool		moved = false;
	Page		page;
	ItemId		item;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	item = PageGetItemId(page, ItemPointerGetOffsetNumber(tid));
	if (ItemIdIsNormal(item))
		moved =
			HeapTupleHeaderIndicatesMovedPartitions((HeapTupleHeader) PageGetItem(page, item));
	UnlockReleaseBuffer(buffer);
	table_close(rel, AccessShareLock);
	return moved;
}

/*
 * check_move() RETURNS trigger
 *
 * AFTER DELETE row trigger of a partitioned table: remembers the row that has
 * left.
 */
Datum
instance_env_check_move(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "check_move",
											   TRIGGER_EVENT_DELETE |
											   TRIGGER_EVENT_ROW |
											   TRIGGER_EVENT_AFTER);
	IenvGuard  *guard = ienv_trigger_guard(trigdata, "check_move");
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	HeapTupleHeader tuple = trigdata->tg_trigtuple->t_data;
	MemoryContext old;
	Datum		instance;
	Move	   *move;

	/* this function may have been given to another trigger */
	if (!HeapTupleHeaderIndicatesMovedPartitions(tuple))
		return PointerGetDatum(NULL);
	if (trigdata->tg_trigger->tgoid == guard->move_trigger &&
		ienv_move_queued())
		ienv_moves_queued--;

	/* forget a row that never arrived */
	forget_move(find_move(guard->root, HeapTupleHeaderGetCmax(tuple)));

	old = MemoryContextSwitchTo(TopTransactionContext);
	move = palloc(sizeof(Move));
	move->root = guard->root;
	move->cid = HeapTupleHeaderGetCmax(tuple);
	instance = ienv_row_instance(guard, trigdata->tg_trigtuple, desc,
								 &move->isnull);
	if (!move->isnull)
		move->instance = datumCopy(instance, false,
								   guard->is_uuid ? UUID_LEN : -1);
	move->has_id = read_id(guard, trigdata, &move->id);
	moves = lappend(moves, move);
	MemoryContextSwitchTo(old);
	return PointerGetDatum(NULL);
}

/*
 * The coded id of the trigger's row; false if there is none.
 */
static bool
read_id(const IenvGuard *guard, TriggerData *trigdata, pg_uuid_t *id)
{
	Datum		key[IENV_MAX_KEY_COLUMNS];

	if (!guard->coded || !ienv_is_coded_key(guard) ||
		!ienv_row_key(guard, trigdata->tg_trigtuple,
					  RelationGetDescr(trigdata->tg_relation), key))
		return false;
	*id = *DatumGetUUIDP(key[0]);
	return true;
}

/*
 * Was this new row moved from another partition?  Refuses it if it had another
 * instance there.  AFTER INSERT triggers must call this once for each row.
 *
 * Sets *same_id if ids are coded and it had the same there, in which case no
 * user arrives.
 */
bool
ienv_check_moved(const IenvGuard *guard, TriggerData *trigdata, bool *same_id)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	HeapTupleHeader tuple = trigdata->tg_trigtuple->t_data;
	Datum		instance;
	bool		isnull;
	Move	   *move;
	pg_uuid_t	id;

	*same_id = false;

	/* COPY FREEZE moves no rows, and its rows do not show their command */
	if (likely(moves == NIL) || moves_lxid != ienv_lxid() ||
		HeapTupleHeaderXminFrozen(tuple))
		return false;
	move = find_move(guard->root, HeapTupleHeaderGetCmin(tuple));
	if (move == NULL)
		return false;
	instance = ienv_row_instance(guard, trigdata->tg_trigtuple, desc, &isnull);
	if (isnull != move->isnull ||
		(!isnull && !ienv_same_instance(guard, instance, move->instance) &&
		 !ienv_follows_rename(guard, trigdata->tg_relation, move->instance,
							  instance)))
		ienv_report_move(guard, move->instance, move->isnull, instance,
						 isnull);
	*same_id = move->has_id && read_id(guard, trigdata, &id) &&
		memcmp(&id, &move->id, UUID_LEN) == 0;
	forget_move(move);
	return true;
}

/*
 * The row that this command has moved, or NULL.
 */
static Move *
find_move(Oid root, CommandId cid)
{
	ListCell   *lc;

	/* moves of an earlier transaction have gone with its memory context */
	if (moves_lxid != ienv_lxid())
		moves = NIL;
	moves_lxid = ienv_lxid();
	foreach(lc, moves)
	{
		Move	   *move = lfirst(lc);

		if (move->cid == cid && move->root == root)
			return move;
	}
	return NULL;
}

static void
forget_move(Move *move)
{
	if (move == NULL)
		return;
	moves = list_delete_ptr(moves, move);
	if (!move->isnull)
		pfree(DatumGetPointer(move->instance));
	pfree(move);
}
