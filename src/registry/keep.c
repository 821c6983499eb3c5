/*-------------------------------------------------------------------------
 *
 * keep.c
 *	  Invariants of applications and instances, however a row is written.
 *
 * These are triggers of the registry's own tables.  Those that judge an update
 * by itself are enabled always, hence also for replication and restores; those
 * that judge what was done along with it only fire where it is done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "registry/registry.h"

PG_FUNCTION_INFO_V1(instance_env_keep_instance);
PG_FUNCTION_INFO_V1(instance_env_keep_external_key);
PG_FUNCTION_INFO_V1(instance_env_keep_application);

/*
 * keep_instance() RETURNS trigger
 *
 * BEFORE UPDATE OR DELETE row trigger of instance, whose condition is that its
 * id, application or type changes, or that an active production instance is
 * deleted.
 */
Datum
instance_env_keep_instance(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "keep_instance",
												   TRIGGER_EVENT_BEFORE);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot delete active production instance \"%s\"",
						ienv_row_column(desc, trigdata->tg_trigtuple, "id")),
				 errhint("Suspend the instance with instance_env.suspend_instance(), then drop its application with instance_env.drop_application().")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("id, application and type of instance \"%s\" cannot be changed",
					ienv_row_column(desc, trigdata->tg_trigtuple, "id")),
			 errdetail("An application has exactly one instance of each type, from its creation to its end.")));
}

/*
 * keep_external_key() RETURNS trigger
 *
 * BEFORE UPDATE row trigger of instance, whose condition is that its external
 * key changes.  Only rename_instance() sees to the rows that have the old key.
 *
 * In a cluster, that is looked at on the node where the change is made, which
 * has a copy of the table, too; the others follow.
 */
Datum
instance_env_keep_external_key(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "keep_external_key",
												   TRIGGER_EVENT_BEFORE);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	char	   *id = ienv_row_column(desc, trigdata->tg_trigtuple, "id");
	Datum		value = DirectFunctionCall1(uuid_in, CStringGetDatum(id));
	const IenvRename *rename = ienv_last_rename(DatumGetUUIDP(value));

	if (OidIsValid(ienv_shell_of(RelationGetRelid(trigdata->tg_relation))) &&
		ienv_begun_by_node())
		return PointerGetDatum(trigdata->tg_newtuple);
	if (rename == NULL ||
		strcmp(rename->old_key, ienv_row_column(desc, trigdata->tg_trigtuple,
												"external_key")) != 0 ||
		strcmp(rename->new_key, ienv_row_column(desc, trigdata->tg_newtuple,
												"external_key")) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("external key of instance \"%s\" cannot be changed by UPDATE",
						id),
				 errdetail("Rows of guarded tables may have the key."),
				 errhint("Call instance_env.rename_instance(), and update these rows in the same transaction.")));
	return PointerGetDatum(trigdata->tg_newtuple);
}

/*
 * keep_application() RETURNS trigger
 *
 * BEFORE DELETE row trigger of application: an application cannot be deleted
 * while it has instances.
 */
Datum
instance_env_keep_application(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "keep_application",
												   TRIGGER_EVENT_BEFORE);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	char	   *id = ienv_row_column(desc, trigdata->tg_trigtuple, "id");
	Oid			type = UUIDOID;
	Datum		value = DirectFunctionCall1(uuid_in, CStringGetDatum(id));

	SPI_connect();
	if (ienv_query_latest("SELECT FROM instance_env.instance"
						  " WHERE application OPERATOR(pg_catalog.=) $1",
						  1, &type, &value, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot delete application \"%s\" because it has instances", id),
				 errhint("Drop it with instance_env.drop_application().")));
	SPI_finish();
	return PointerGetDatum(trigdata->tg_trigtuple);
}
