/*-------------------------------------------------------------------------
 *
 * builtin_rows.c
 *	  Rows that come with the extension, and what happens when they change.
 *
 * policy_default, social_provider, feature, setting_section, hosting_suffix and
 * service come with rows, which a superuser may change or add to.  A dump
 * includes what the superuser has contributed: rows that are not builtin, and
 * builtin ones that are marked as changed.  By the time the latter are
 * restored, CREATE EXTENSION has created those rows again, so the restored
 * ones replace them.
 *
 * A subscription to these tables brings all rows, so that those that both
 * servers have from CREATE EXTENSION would be duplicates.  There, too, a
 * changed row replaces the other; of two unchanged ones, the one that is here
 * stays.
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

/* The row that replace_builtin() makes way for at the moment */
static TriggerData *replacing = NULL;

static bool make_way(TriggerData *trigdata, const char *name, bool changed);
static char *row_value(TriggerData *trigdata, const char *name);
static bool same_value(TriggerData *a, TriggerData *b, const char *name);

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
 * BEFORE INSERT row trigger whose condition is that the row is builtin.  If it
 * is changed, it is restored or replicated.  One that is not changed may come
 * by replication, or in a session that acts as if: then it replaces one that
 * has been changed here, and is otherwise skipped if there is one already.
 * Otherwise a duplicate is left to the constraint to refuse.
 */
Datum
instance_env_replace_builtin(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "replace_builtin",
												   TRIGGER_EVENT_BEFORE);
	char	   *name = row_value(trigdata, "name");
	char	   *changed = row_value(trigdata, "changed");
	bool		is_changed = changed != NULL && strcmp(changed, "t") == 0;
	bool		stays;

	/* leave it to the constraint to reject a null */
	if (name == NULL ||
		(!is_changed &&
		 SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA))
		return PointerGetDatum(trigdata->tg_trigtuple);

	replacing = trigdata;
	PG_TRY();
	{
		stays = make_way(trigdata, name, is_changed);
	}
	PG_CATCH();
	{
		replacing = NULL;
		PG_RE_THROW();
	}
	PG_END_TRY();
	replacing = NULL;
	return PointerGetDatum(stays ? NULL : trigdata->tg_trigtuple);
}

/*
 * Delete the builtin row of this name, or only one that has been changed if
 * the new one has not.  Returns whether there is one that stays.
 */
static bool
make_way(TriggerData *trigdata, const char *name, bool changed)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	char	   *type = row_value(trigdata, "instance_type");
	Datum		values[2] = {
		CStringGetTextDatum(name),
		CStringGetTextDatum(type == NULL ? "" : type)
	};
	char	   *which;
	bool		stays = false;
	IenvOwner	saved;

	which = psprintf("FROM %s WHERE builtin AND name OPERATOR(pg_catalog.=) $1%s",
					 ienv_sql_name(RelationGetRelid(trigdata->tg_relation)),
					 type == NULL ? "" :
					 " AND instance_type::pg_catalog.text"
					 " OPERATOR(pg_catalog.=) $2");
	SPI_connect();
	ienv_become_owner(&saved);
	(void) ienv_query(psprintf("DELETE %s%s", which,
							   changed ? "" : " AND changed"),
					  2, types, values, NULL);
	if (!changed)
	{
		(void) ienv_query(psprintf("SELECT %s", which), 2, types, values,
						  NULL);
		stays = SPI_processed > 0;
	}
	ienv_leave_owner(&saved);
	SPI_finish();
	return stays;
}

static char *
row_value(TriggerData *trigdata, const char *name)
{
	return ienv_row_column(RelationGetDescr(trigdata->tg_relation),
						   trigdata->tg_trigtuple, name);
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

	/* it may have been described in other words */
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) && replacing != NULL &&
		same_value(trigdata, replacing, "value") &&
		same_value(trigdata, replacing, "overridable"))
		return PointerGetDatum(trigdata->tg_trigtuple);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("policy \"%s\" cannot be changed",
					row_value(trigdata, "name")),
			 errdetail("It describes what the extension enforces, regardless of what the table says.")));
	return PointerGetDatum(NULL);	/* keep compiler quiet */
}

/*
 * Is a column the same in the rows of two triggers?
 */
static bool
same_value(TriggerData *a, TriggerData *b, const char *name)
{
	char	   *value = row_value(a, name);
	char	   *other = row_value(b, name);

	return value != NULL && other != NULL && strcmp(value, other) == 0;
}
