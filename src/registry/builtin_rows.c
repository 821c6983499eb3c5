/*-------------------------------------------------------------------------
 *
 * builtin_rows.c
 *	  Rows that the extension brings, and what becomes of them.
 *
 * policy_default, social_provider, feature and setting_section come with rows, to
 * which a superuser may add others, and which he may change.  A dump takes along what
 * is his: rows that are not builtin, and builtin ones that are marked as changed.
 * CREATE EXTENSION has made the latter anew when they are restored, so they replace
 * what is there.
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
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "mark_changed", TRIGGER_EVENT_BEFORE);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	int			attnum = SPI_fnumber(desc, "changed");
	Datum		value = BoolGetDatum(true);
	bool		isnull = false;

	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) || attnum <= 0)
		elog(ERROR, "trigger \"%s\" does not have its original definition", trigdata->tg_trigger->tgname);
	return PointerGetDatum(heap_modify_tuple_by_cols(trigdata->tg_newtuple, desc, 1, &attnum, &value, &isnull));
}

/*
 * replace_builtin() RETURNS trigger
 *
 * BEFORE INSERT row trigger whose condition is that the row is builtin and changed,
 * as only a restored one is.
 */
Datum
instance_env_replace_builtin(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "replace_builtin", TRIGGER_EVENT_BEFORE);
	Oid			types[2] = {TEXTOID, TEXTOID};
	char	   *name = ienv_row_column(RelationGetDescr(trigdata->tg_relation), trigdata->tg_trigtuple, "name");
	char	   *type = ienv_row_column(RelationGetDescr(trigdata->tg_relation), trigdata->tg_trigtuple, "instance_type");
	Datum		values[2];
	IenvOwner	saved;

	/* what must not be null, its constraint refuses */
	if (name == NULL)
		return PointerGetDatum(trigdata->tg_trigtuple);

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(type == NULL ? "" : type);
	SPI_connect();
	ienv_become_owner(&saved);
	(void) ienv_query(psprintf("DELETE FROM %s WHERE builtin AND name OPERATOR(pg_catalog.=) $1%s",
							   ienv_sql_name(RelationGetRelid(trigdata->tg_relation)),
							   type == NULL ? "" : " AND instance_type::pg_catalog.text OPERATOR(pg_catalog.=) $2"),
					  2, types, values, NULL);
	ienv_leave_owner(&saved);
	SPI_finish();
	return PointerGetDatum(trigdata->tg_trigtuple);
}

/*
 * keep_promise() RETURNS trigger
 *
 * BEFORE UPDATE OR DELETE row trigger of policy_default whose condition is that the
 * row tells what the code does, which would go on doing it.
 */
Datum
instance_env_keep_promise(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "keep_promise", TRIGGER_EVENT_BEFORE);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("policy \"%s\" cannot be changed", ienv_row_column(RelationGetDescr(trigdata->tg_relation), trigdata->tg_trigtuple, "name")),
			 errdetail("It describes what the extension enforces, regardless of what the table says.")));
	return PointerGetDatum(NULL);	/* keep compiler quiet */
}
