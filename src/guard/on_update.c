/*-------------------------------------------------------------------------
 *
 * on_update.c
 *	  What happens when a row of a guarded table is updated.
 *
 * Changing the instance is refused; changing the key is a departure of the old
 * one and an arrival of the new.  For an update that moves a row to another
 * partition, see on_move.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/datum.h"

#include "base/base.h"
#include "table/table.h"
#include "transfer/transfer.h"

static void refuse_another_instance(const IenvGuard *guard,
									TriggerData *trigdata);

PG_FUNCTION_INFO_V1(instance_env_check_transfer);

/*
 * check_transfer() RETURNS trigger
 *
 * AFTER UPDATE row trigger: refuses a change of the instance; a change of the
 * key is a departure of the old one and an arrival of the new.
 */
Datum
instance_env_check_transfer(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_trigger(fcinfo, "check_transfer",
											   TRIGGER_EVENT_UPDATE |
											   TRIGGER_EVENT_ROW |
											   TRIGGER_EVENT_AFTER);
	IenvGuard  *guard = ienv_trigger_guard(trigdata, "check_transfer");
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);

	/* the condition is true if either column changes */
	refuse_another_instance(guard, trigdata);

	if (guard->nkeys > 0)
	{
		bool		isnull;
		Datum		value = ienv_row_instance(guard, trigdata->tg_newtuple,
											  desc, &isnull);
		Datum		old_key[IENV_MAX_KEY_COLUMNS];
		Datum		new_key[IENV_MAX_KEY_COLUMNS];

		/*
		 * If its instance is gone, there is no telling where else the new key
		 * is.
		 */
		if (isnull)
			return PointerGetDatum(NULL);
		ienv_require_known(guard, value);
		if (ienv_row_key(guard, trigdata->tg_trigtuple, desc, old_key))
			ienv_depart(guard, value, old_key);
		if (ienv_row_key(guard, trigdata->tg_newtuple, desc, new_key))
			(void) ienv_check_arrival(guard, value, new_key);
	}
	return PointerGetDatum(NULL);
}

/*
 * Refuse an UPDATE that changes the instance.
 */
static void
refuse_another_instance(const IenvGuard *guard, TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	bool		old_null;
	bool		new_null;
	Datum		old_value = ienv_row_instance(guard, trigdata->tg_trigtuple,
											  desc, &old_null);
	Datum		new_value = ienv_row_instance(guard, trigdata->tg_newtuple,
											  desc, &new_null);

	if (old_null == new_null &&
		(old_null || ienv_same_instance(guard, old_value, new_value)))
		return;
	ienv_report_move(guard, old_value, old_null, new_value, new_null);
}
