/*-------------------------------------------------------------------------
 *
 * victim.c
 *	  Whether a table holds users of production, whom a statement would
 *	  destroy.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "guard/destruction.h"
#include "guard/guard.h"
#include "table/table.h"

static bool holds_production(const IenvGuard *guard, HeapTuple row,
							 TupleDesc desc, IenvVictim *victim);
static bool find_victim_on_nodes(const IenvGuard *guard, IenvVictim *victim);

/*
 * Does the row belong to a production instance that is or was active?  Sets
 * *victim if it does.  Rows of an inactive instance, and such as name none,
 * can only be from before the table was guarded.
 */
static bool
holds_production(const IenvGuard *guard, HeapTuple row, TupleDesc desc,
				 IenvVictim *victim)
{
	bool		isnull;
	Datum		value = ienv_row_instance(guard, row, desc, &isnull);

	return !isnull && ienv_is_victim(guard, value, false) &&
		ienv_is_victim(guard, value, true) &&
		ienv_set_victim(guard, value, victim);
}

/*
 * Does a value of the instance column name such an instance?  With fresh, the
 * registry is asked rather than the cache.
 */
bool
ienv_is_victim(const IenvGuard *guard, Datum value, bool fresh)
{
	const IenvInstance *instance = ienv_instance_by_value(value,
														  guard->is_uuid,
														  fresh);

	return instance != NULL && instance->type == IENV_PRODUCTION &&
		instance->status != IENV_INACTIVE;
}

/*
 * Remember the instance that a value names, which ienv_is_victim() has found;
 * always true.  The copy is made in the current memory context.
 */
bool
ienv_set_victim(const IenvGuard *guard, Datum value, IenvVictim *victim)
{
	const IenvInstance *instance = ienv_instance_by_value(value,
														  guard->is_uuid,
														  false);

	/* the TOAST table may be dropped before the error is reported */
	victim->value = guard->is_uuid ? datumCopy(value, false, UUID_LEN) :
		PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	victim->suspended = instance != NULL && instance->status == IENV_SUSPENDED;
	if (instance != NULL)
		victim->id = instance->id;
	return true;
}

/*
 * Does a table hold users of such an instance?  Sets *victim to the first one
 * found.
 *
 * The table is locked against writes, so that the latest snapshot sees all
 * that the statement would destroy.  Only the heap is read: no code of the
 * owner's runs; the shards of a distributed table are asked.  A table that the
 * transaction has created is not looked at, because nothing that others have
 * ever seen is lost with it.
 */
bool
ienv_find_victim(const IenvGuard *guard, IenvVictim *victim)
{
	Relation	rel;
	Snapshot	snapshot;
	TupleTableSlot *slot;
	TableScanDesc scan;
	MemoryContext result_context = CurrentMemoryContext;
	MemoryContext row_context;
	bool		found = false;

	if (!guard->counted)
		return false;
	if (ienv_is_distributed(guard->relid))
		return find_victim_on_nodes(guard, victim);
	rel = table_open(guard->relid, NoLock);
	if (rel->rd_rel->relkind != RELKIND_RELATION ||
		rel->rd_createSubid != InvalidSubTransactionId)
	{
		table_close(rel, NoLock);
		return false;
	}

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	slot = table_slot_create(rel, NULL);
	scan = table_beginscan_strat(rel, snapshot, 0, NULL, true, false);
	row_context = AllocSetContextCreate(CurrentMemoryContext,
										"instance_env destruction",
										ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(row_context);
	while (!found &&
		   table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(row_context);
		found = holds_production(guard,
								 ExecFetchSlotHeapTuple(slot, false, NULL),
								 RelationGetDescr(rel), victim);
	}
	MemoryContextSwitchTo(result_context);
	if (found)
		victim->value = datumCopy(victim->value, false,
								  guard->is_uuid ? UUID_LEN : -1);
	MemoryContextDelete(row_context);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
	return found;
}

/*
 * What ienv_find_victim() does for a distributed table, whose rows are on other
 * nodes.  They are read as the owner; where even the owner would not be shown
 * all of them, there is no telling, and that is refused.
 */
static bool
find_victim_on_nodes(const IenvGuard *guard, IenvVictim *victim)
{
	IenvActing	saved;
	Portal		portal;
	bool		found = false;
	uint64		fetched;
	MemoryContext result_context = CurrentMemoryContext;

	if (ienv_hides_rows(guard->relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot tell whether distributed table %s holds users of production",
						ienv_quoted_name(guard->relid)),
				 errdetail("Its row-level security is forced on its owner, who looks for them on other nodes."),
				 errhint("Have the owner stop that with ALTER TABLE ... NO FORCE ROW LEVEL SECURITY.")));
	SPI_connect();
	ienv_act_as(ienv_relation_owner(guard->relid), &saved);
	portal = ienv_open_rows(guard->relid,
							psprintf("SELECT DISTINCT %s FROM %s",
									 quote_identifier(get_attname(guard->relid,
																  guard->instance_attno,
																  false)),
									 ienv_sql_name(guard->relid)));
	do
	{
		SPI_cursor_fetch(portal, true, IENV_FETCH_ROWS);
		fetched = SPI_processed;
		for (uint64 i = 0; !found && i < fetched; i++)
		{
			bool		isnull;
			Datum		value = SPI_getbinval(SPI_tuptable->vals[i],
											  SPI_tuptable->tupdesc, 1,
											  &isnull);

			if (isnull)
				continue;
			value = ienv_value_of_column(guard, value);
			found = ienv_is_victim(guard, value, false) &&
				ienv_is_victim(guard, value, true);
			if (found)
			{
				MemoryContext old = MemoryContextSwitchTo(result_context);

				(void) ienv_set_victim(guard, value, victim);
				MemoryContextSwitchTo(old);
			}
		}
		SPI_freetuptable(SPI_tuptable);
	} while (!found && fetched > 0);
	SPI_cursor_close(portal);
	ienv_act_as_self(&saved);
	ienv_expect_tables(NIL);
	SPI_finish();
	return found;
}
