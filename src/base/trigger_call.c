/*-------------------------------------------------------------------------
 *
 * trigger_call.c
 *	  What trigger functions check before they begin.
 *
 * Anyone who may create triggers can have a trigger function called for
 * something other than it is made for; it must then raise an error rather than
 * read what is not there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"

#include "base/base.h"

/*
 * Check that a function was called as a trigger at all.
 */
TriggerData *
ienv_check_called(FunctionCallInfo fcinfo, const char *funcname)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						funcname)));
	return (TriggerData *) fcinfo->context;
}

/*
 * Check that a trigger function was called for what it is made for: when is
 * the exact combination of TRIGGER_EVENT_ bits.
 */
TriggerData *
ienv_check_trigger(FunctionCallInfo fcinfo, const char *funcname,
				   TriggerEvent when)
{
	TriggerData *trigdata = ienv_check_called(fcinfo, funcname);
	TriggerEvent mask = TRIGGER_EVENT_OPMASK | TRIGGER_EVENT_ROW | TRIGGER_EVENT_TIMINGMASK;

	if ((trigdata->tg_event & mask) != when)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was called by a trigger of the wrong kind", funcname),
				 errhint("Let instance_env.guard() create the trigger.")));
	return trigdata;
}

/*
 * The same for a row trigger on one of the extension's own tables: when is
 * TRIGGER_EVENT_BEFORE or TRIGGER_EVENT_AFTER.
 */
TriggerData *
ienv_check_own_trigger(FunctionCallInfo fcinfo, const char *funcname,
					   TriggerEvent when)
{
	TriggerData *trigdata = ienv_check_called(fcinfo, funcname);

	if ((trigdata->tg_event & TRIGGER_EVENT_TIMINGMASK) != when ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		RelationGetNamespace(trigdata->tg_relation) != ienv_oids()->schema)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was called by a trigger of the wrong kind", funcname)));
	return trigdata;
}

/*
 * A column of a row as text; NULL if it is null or there is no such column.
 */
char *
ienv_row_column(TupleDesc desc, HeapTuple row, const char *name)
{
	int			attnum = SPI_fnumber(desc, name);

	return attnum > 0 ? SPI_getvalue(row, desc, attnum) : NULL;
}
