/*-------------------------------------------------------------------------
 *
 * social_trigger.c
 *	  No production instance has shared credentials, whichever way a row is written.
 *
 * A social_connection repeats its instance's type, so that a CHECK constraint can
 * say the rule.  What is repeated must be true:
 *
 * - a connection is compared with its instance when it is written, if the instance
 *	 is there: pg_restore --jobs may load it later;
 * - an instance is compared with the connections that were there before it;
 * - what an instance is, is never changed.
 *
 * The triggers are enabled always, for replication and restores, too.  A superuser
 * who inserts an instance and its connection by hand in two transactions at once
 * escapes the comparison.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "instance_env.h"

#define CONSTRAINT "social_connection_own_credentials"

static TriggerData *check_called(FunctionCallInfo fcinfo, const char *funcname, TriggerEvent when, bool row);
static char *column(TupleDesc desc, HeapTuple row, const char *name);
pg_noreturn static void report_wrong_type(Datum instance, const char *provider);

PG_FUNCTION_INFO_V1(instance_env_check_credentials);
PG_FUNCTION_INFO_V1(instance_env_check_connections);
PG_FUNCTION_INFO_V1(instance_env_keep_application);
PG_FUNCTION_INFO_V1(instance_env_keep_instance);

/*
 * check_credentials() RETURNS trigger
 *
 * BEFORE INSERT OR UPDATE row trigger of social_connection, so that the error is
 * ours and not the CHECK constraint's.
 */
Datum
instance_env_check_credentials(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_called(fcinfo, "check_credentials", TRIGGER_EVENT_BEFORE, true);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	HeapTuple	row = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	char	   *id = column(desc, row, "instance");
	char	   *provider = column(desc, row, "provider");
	char	   *type = column(desc, row, "instance_type");
	char	   *source = column(desc, row, "source");
	Datum		instance;
	IenvInstance *found;
	bool		in_production;

	/* what must not be null, its constraint refuses */
	if (id == NULL || provider == NULL || type == NULL || source == NULL)
		return PointerGetDatum(row);

	instance = DirectFunctionCall1(uuid_in, CStringGetDatum(id));
	found = ienv_instance_by_value(instance, true, true);
	in_production = strcmp(type, "production") == 0;
	if (strcmp(source, "shared") == 0)
	{
		if (in_production || (found != NULL && found->type == IENV_PRODUCTION))
			ienv_report_shared_in_production(instance, provider);
		if (column(desc, row, "scopes") != NULL)
			ienv_report_shared_scopes();
	}
	if (found != NULL && in_production != (found->type == IENV_PRODUCTION))
		report_wrong_type(instance, provider);
	return PointerGetDatum(row);
}

/*
 * check_connections() RETURNS trigger
 *
 * AFTER INSERT row trigger of instance; an apply worker fires no statement trigger.  A
 * restore may insert a million instances: no SQL is run.
 */
Datum
instance_env_check_connections(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_called(fcinfo, "check_connections", TRIGGER_EVENT_AFTER, true);
	HeapTuple	row = trigdata->tg_trigtuple;
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	Relation	connections = table_open(get_relname_relid("social_connection", ienv_oids()->schema), AccessShareLock);
	Oid			pkey = get_relname_relid("social_connection_pkey", ienv_oids()->schema);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	char	   *type = column(desc, row, "type");
	bool		isnull;
	Datum		instance = SPI_getbinval(row, desc, SPI_fnumber(desc, "id"), &isnull);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	connection;

	/* the key's columns are (instance, provider) */
	desc = RelationGetDescr(connections);
	ScanKeyInit(&key, SPI_fnumber(desc, "instance"), BTEqualStrategyNumber, F_UUID_EQ, instance);
	scan = systable_beginscan(connections, pkey, true, snapshot, 1, &key);
	while (HeapTupleIsValid(connection = systable_getnext(scan)))
	{
		char	   *provider = column(desc, connection, "provider");

		if (strcmp(column(desc, connection, "instance_type"), type) == 0)
			continue;
		if (strcmp(type, "production") == 0 && strcmp(column(desc, connection, "source"), "shared") == 0)
			ienv_report_shared_in_production(instance, provider);
		report_wrong_type(instance, provider);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(connections, AccessShareLock);
	return PointerGetDatum(NULL);
}

/*
 * keep_instance() RETURNS trigger
 *
 * BEFORE UPDATE OR DELETE row trigger of instance, whose condition is that its id,
 * application or type changes, or that an active production instance goes.
 */
Datum
instance_env_keep_instance(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_called(fcinfo, "keep_instance", TRIGGER_EVENT_BEFORE, true);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot delete active production instance \"%s\"",
						column(desc, trigdata->tg_trigtuple, "id")),
				 errhint("Suspend the instance with instance_env.suspend_instance(), then drop its application with instance_env.drop_application().")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("id, application and type of instance \"%s\" cannot be changed",
					column(desc, trigdata->tg_trigtuple, "id")),
			 errdetail("An application has exactly one instance of each type, from its creation to its end.")));
}

/*
 * keep_application() RETURNS trigger
 *
 * BEFORE DELETE row trigger of application: not while it has instances.
 */
Datum
instance_env_keep_application(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_called(fcinfo, "keep_application", TRIGGER_EVENT_BEFORE, true);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	char	   *id = column(desc, trigdata->tg_trigtuple, "id");
	Oid			type = UUIDOID;
	Datum		value = DirectFunctionCall1(uuid_in, CStringGetDatum(id));

	SPI_connect();
	if (ienv_query_latest("SELECT FROM instance_env.instance WHERE application OPERATOR(pg_catalog.=) $1",
						  1, &type, &value, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot delete application \"%s\" because it has instances", id),
				 errhint("Drop it with instance_env.drop_application().")));
	SPI_finish();
	return PointerGetDatum(trigdata->tg_trigtuple);
}

static TriggerData *
check_called(FunctionCallInfo fcinfo, const char *funcname, TriggerEvent when, bool row)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", funcname)));
	if ((trigdata->tg_event & TRIGGER_EVENT_TIMINGMASK) != when ||
		(TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) != 0) != row ||
		RelationGetNamespace(trigdata->tg_relation) != ienv_oids()->schema)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was called by a trigger of the wrong kind", funcname)));
	return trigdata;
}

/*
 * A column as text, NULL if it is null.
 */
static char *
column(TupleDesc desc, HeapTuple row, const char *name)
{
	return SPI_getvalue(row, desc, SPI_fnumber(desc, name));
}

static void
report_wrong_type(Datum instance, const char *provider)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("the connection of instance %s to \"%s\" has the wrong instance_type",
					ienv_instance_text(instance, true), provider),
			 errdetail("It must be the type of the instance."),
			 ienv_errconnection()));
}

/*
 * Auxiliary to ereport(): the constraint that an error concerns.
 */
int
ienv_errconnection(void)
{
	err_generic_string(PG_DIAG_SCHEMA_NAME, IENV_SCHEMA);
	err_generic_string(PG_DIAG_TABLE_NAME, "social_connection");
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, CONSTRAINT);
	return 0;					/* return value does not matter */
}
