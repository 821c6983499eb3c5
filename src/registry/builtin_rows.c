/*-------------------------------------------------------------------------
 *
 * builtin_rows.c
 *	  Rows that come with the extension, and what happens when they change.
 *
 * policy_default, social_provider, feature and setting_section come with rows,
 * which a superuser may change or add to.  A dump includes what the superuser
 * has contributed: rows that are not builtin, and builtin ones that are marked
 * as changed.  By the time the latter are restored, CREATE EXTENSION has
 * created those rows again, so the restored ones replace them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "base/base.h"

PG_FUNCTION_INFO_V1(instance_env_mark_changed);
PG_FUNCTION_INFO_V1(instance_env_replace_builtin);
PG_FUNCTION_INFO_V1(instance_env_keep_promise);

/*
 * mark_changed() RETURNS trigger
 *
 * BEFORE UPDATE row trigger whose condition is that a builtin row changes.
 */
Datum
instance_env_mark_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "mark_changed",
												   TRIGGER_EVENT_BEFORE);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	int			attnum = SPI_fnumber(desc, "changed");
	Datum		value = BoolGetDatum(true);
	bool		isnull = false;

	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) || attnum <= 0)
		elog(ERROR, "trigger \"%s\" does not have its original definition",
			 trigdata->tg_trigger->tgname);
	return PointerGetDatum(heap_modify_tuple_by_cols(trigdata->tg_newtuple,
													 desc, 1, &attnum, &value,
													 &isnull));
}

/*
 * replace_builtin() RETURNS trigger
 *
 * BEFORE INSERT row trigger whose condition is that the row is builtin and
 * changed, which only a restored row is.
 */
Datum
instance_env_replace_builtin(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "replace_builtin",
												   TRIGGER_EVENT_BEFORE);
	Oid			types[2] = {TEXTOID, TEXTOID};
	char	   *name = ienv_row_column(RelationGetDescr(trigdata->tg_relation),
									   trigdata->tg_trigtuple, "name");
	char	   *type = ienv_row_column(RelationGetDescr(trigdata->tg_relation),
									   trigdata->tg_trigtuple,
									   "instance_type");
	Datum		values[2];
	IenvOwner	saved;

	/* leave it to the constraint to reject a null */
	if (name == NULL)
		return PointerGetDatum(trigdata->tg_trigtuple);

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(type == NULL ? "" : type);
	SPI_connect();
	ienv_become_owner(&saved);
	(void) ienv_query(psprintf("DELETE FROM %s WHERE builtin"
							   " AND name OPERATOR(pg_catalog.=) $1%s",
							   ienv_sql_name(RelationGetRelid(trigdata->tg_relation)),
							   type == NULL ? "" :
							   " AND instance_type::pg_catalog.text"
							   " OPERATOR(pg_catalog.=) $2"),
					  2, types, values, NULL);
	ienv_leave_owner(&saved);
	SPI_finish();
	return PointerGetDatum(trigdata->tg_trigtuple);
}

/*
 * keep_promise() RETURNS trigger
 *
 * BEFORE UPDATE OR DELETE row trigger of policy_default whose condition is
 * that the row describes what the code does, and would still do after a change
 * of the row.
 */
Datum
instance_env_keep_promise(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "keep_promise",
												   TRIGGER_EVENT_BEFORE);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("policy \"%s\" cannot be changed",
					ienv_row_column(RelationGetDescr(trigdata->tg_relation),
									trigdata->tg_trigtuple, "name")),
			 errdetail("It describes what the extension enforces, regardless of what the table says.")));
	return PointerGetDatum(NULL);	/* keep compiler quiet */
}
