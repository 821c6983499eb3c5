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

	/* the condition is true if either column changes, or both */
	refuse_another_instance(guard, trigdata);

	if (guard->key_attno != InvalidAttrNumber)
	{
		bool		isnull[3];
		Datum		value = heap_getattr(trigdata->tg_newtuple,
										 guard->instance_attno, desc,
										 &isnull[0]);
		Datum		old_key = heap_getattr(trigdata->tg_trigtuple,
										   guard->key_attno, desc, &isnull[1]);
		Datum		new_key = heap_getattr(trigdata->tg_newtuple,
										   guard->key_attno, desc, &isnull[2]);

		/* a row that follows a rename of its instance */
		if (isnull[1] == isnull[2] &&
			(isnull[1] ||
			 datum_image_eq(old_key, new_key, guard->key_byval,
							guard->key_len)))
			return PointerGetDatum(NULL);

		/*
		 * If its instance is gone, there is no telling where else the new key
		 * is.
		 */
		if (!isnull[0])
			ienv_require_known(guard, value);
		if (!isnull[0] && !isnull[1])
			ienv_depart(guard, value, old_key);
		if (!isnull[0] && !isnull[2])
			(void) ienv_check_arrival(guard, value, new_key);
	}
	return PointerGetDatum(NULL);
}

/*
 * Refuse an UPDATE that changes the instance.  Where rows name it by its
 * external key, and the transaction has changed that, an update that follows
 * does not.
 */
static void
refuse_another_instance(const IenvGuard *guard, TriggerData *trigdata)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	Form_pg_attribute att = TupleDescAttr(desc, guard->instance_attno - 1);
	bool		old_null;
	bool		new_null;
	Datum		old_value = heap_getattr(trigdata->tg_trigtuple,
										 guard->instance_attno, desc,
										 &old_null);
	Datum		new_value = heap_getattr(trigdata->tg_newtuple,
										 guard->instance_attno, desc,
										 &new_null);

	if (old_null == new_null &&
		(old_null ||
		 datum_image_eq(old_value, new_value, att->attbyval, att->attlen)))
		return;
	if (!old_null && !new_null &&
		ienv_follows_rename(guard, trigdata->tg_relation, old_value,
							new_value))
		return;
	ienv_report_move(guard, old_value, old_null, new_value, new_null);
}
