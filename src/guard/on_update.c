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

static bool same_key(const IenvGuard *guard, const Datum *a, const Datum *b);
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

	if (guard->nkeys > 0)
	{
		bool		isnull;
		Datum		value = ienv_row_instance(guard, trigdata->tg_newtuple,
											  desc, &isnull);
		Datum		old_key[IENV_MAX_KEY_COLUMNS];
		Datum		new_key[IENV_MAX_KEY_COLUMNS];

		bool		had_key = ienv_row_key(guard, trigdata->tg_trigtuple, desc,
										   old_key);
		bool		has_key = ienv_row_key(guard, trigdata->tg_newtuple, desc,
										   new_key);

		/* only the instance is called otherwise since it was renamed */
		if (isnull || (had_key && has_key &&
					   same_key(guard, old_key, new_key)))
			return PointerGetDatum(NULL);

		/*
		 * If its instance is gone, there is no telling where else the new key
		 * is.
		 */
		ienv_require_known(guard, value);
		if (had_key)
			ienv_depart(guard, value, old_key);
		if (has_key)
			(void) ienv_check_arrival(guard, value, new_key);
	}
	return PointerGetDatum(NULL);
}

static bool
same_key(const IenvGuard *guard, const Datum *a, const Datum *b)
{
	for (int i = 0; i < guard->nkeys; i++)
		if (!datum_image_eq(a[i], b[i], guard->keys[i].byval,
							guard->keys[i].len))
			return false;
	return true;
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
	bool		old_null;
	bool		new_null;
	Datum		old_value = ienv_row_instance(guard, trigdata->tg_trigtuple,
											  desc, &old_null);
	Datum		new_value = ienv_row_instance(guard, trigdata->tg_newtuple,
											  desc, &new_null);

	if (old_null == new_null &&
		(old_null || ienv_same_instance(guard, old_value, new_value)))
		return;
	if (!old_null && !new_null &&
		ienv_follows_rename(guard, trigdata->tg_relation, old_value,
							new_value))
		return;
	ienv_report_move(guard, old_value, old_null, new_value, new_null);
}
