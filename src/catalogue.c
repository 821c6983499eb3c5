/*-------------------------------------------------------------------------
 *
 * catalogue.c
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

#include "instance_env.h"

static TriggerData *check_called(FunctionCallInfo fcinfo, const char *funcname);
static char *column(TriggerData *trigdata, HeapTuple row, const char *name);

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
	TriggerData *trigdata = check_called(fcinfo, "mark_changed");
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	int			attnum = SPI_fnumber(desc, "changed");
	Datum		value = BoolGetDatum(true);
	bool		isnull = false;

	if (!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) || attnum <= 0)
		elog(ERROR, "trigger \"%s\" is not as it was made", trigdata->tg_trigger->tgname);
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
	TriggerData *trigdata = check_called(fcinfo, "replace_builtin");
	Oid			types[2] = {TEXTOID, TEXTOID};
	char	   *name = column(trigdata, trigdata->tg_trigtuple, "name");
	char	   *type = column(trigdata, trigdata->tg_trigtuple, "instance_type");
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
	TriggerData *trigdata = check_called(fcinfo, "keep_promise");

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("policy \"%s\" cannot be changed", column(trigdata, trigdata->tg_trigtuple, "name")),
			 errdetail("It tells what the extension enforces, whatever the table says.")));
	return PointerGetDatum(NULL);	/* keep compiler quiet */
}

static TriggerData *
check_called(FunctionCallInfo fcinfo, const char *funcname)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", funcname)));
	if (!TRIGGER_FIRED_BEFORE(trigdata->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		RelationGetNamespace(trigdata->tg_relation) != ienv_oids()->schema)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was called by a trigger of the wrong kind", funcname)));
	return trigdata;
}

/*
 * A column as text, NULL if it is null or there is none.
 */
static char *
column(TriggerData *trigdata, HeapTuple row, const char *name)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	int			attnum = SPI_fnumber(desc, name);

	return attnum > 0 ? SPI_getvalue(row, desc, attnum) : NULL;
}
