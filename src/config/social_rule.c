/*-------------------------------------------------------------------------
 *
 * social_rule.c
 *	  No production instance has shared credentials, no matter how a row is
 *	  written.
 *
 * A social_connection repeats its instance's type, so that a CHECK constraint
 * can express the rule.  The repeated type must be correct:
 *
 * - a connection is compared with its instance when it is written, if the
 *	 instance exists: pg_restore --jobs may load it later;
 * - an instance is compared with the connections that existed before it;
 * - an instance's type never changes: keep.c in registry/ sees to that.
 *
 * The triggers are ENABLE ALWAYS, so they also fire for replication and
 * restores.  A superuser who inserts an instance and its connection by hand in
 * two concurrent transactions escapes the comparison.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "registry/registry.h"

#define CONSTRAINT "social_connection_own_credentials"

static int	errconnection(void);
pg_noreturn static void report_wrong_type(Datum instance,
										  const char *provider);

PG_FUNCTION_INFO_V1(instance_env_check_credentials);
PG_FUNCTION_INFO_V1(instance_env_check_connections);

/*
 * check_credentials() RETURNS trigger
 *
 * BEFORE INSERT OR UPDATE row trigger of social_connection, so that our error
 * is raised rather than the CHECK constraint's.
 */
Datum
instance_env_check_credentials(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "check_credentials",
												   TRIGGER_EVENT_BEFORE);
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	HeapTuple	row = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	char	   *id = ienv_row_column(desc, row, "instance");
	char	   *provider = ienv_row_column(desc, row, "provider");
	char	   *type = ienv_row_column(desc, row, "instance_type");
	char	   *source = ienv_row_column(desc, row, "source");
	Datum		instance;
	IenvInstance *found;
	bool		in_production;

	/* nulls are left for the NOT NULL constraints to refuse */
	if (id == NULL || provider == NULL || type == NULL || source == NULL)
		return PointerGetDatum(row);

	instance = DirectFunctionCall1(uuid_in, CStringGetDatum(id));
	found = ienv_instance_by_value(instance, true, true);
	in_production = strcmp(type, "production") == 0;
	if (strcmp(source, "shared") == 0)
	{
		if (in_production || (found != NULL && found->type == IENV_PRODUCTION))
			ienv_report_shared_in_production(instance, provider);
		if (ienv_row_column(desc, row, "scopes") != NULL)
			ienv_report_shared_scopes();
	}
	if (found != NULL && in_production != (found->type == IENV_PRODUCTION))
		report_wrong_type(instance, provider);
	return PointerGetDatum(row);
}

/*
 * check_connections() RETURNS trigger
 *
 * AFTER INSERT row trigger of instance, because an apply worker fires no
 * statement triggers.  It runs no SQL, because a restore may insert a million
 * instances.
 */
Datum
instance_env_check_connections(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_own_trigger(fcinfo, "check_connections",
												   TRIGGER_EVENT_AFTER);
	HeapTuple	row = trigdata->tg_trigtuple;
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	Relation	connections = ienv_open_table("social_connection",
											  AccessShareLock);
	Oid			pkey = ienv_index_oid("social_connection",
									  "social_connection_pkey");
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	char	   *type = ienv_row_column(desc, row, "type");
	bool		isnull;
	Datum		instance = SPI_getbinval(row, desc, SPI_fnumber(desc, "id"),
										 &isnull);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	connection;

	/* the key's columns are (instance, provider) */
	desc = RelationGetDescr(connections);
	ScanKeyInit(&key, SPI_fnumber(desc, "instance"), BTEqualStrategyNumber,
				F_UUID_EQ, instance);
	scan = systable_beginscan(connections, pkey, true, snapshot, 1, &key);
	while (HeapTupleIsValid(connection = systable_getnext(scan)))
	{
		char	   *provider = ienv_row_column(desc, connection, "provider");

		if (strcmp(ienv_row_column(desc, connection, "instance_type"), type) ==
			0)
			continue;
		if (strcmp(type, "production") == 0 &&
			strcmp(ienv_row_column(desc, connection, "source"), "shared") == 0)
			ienv_report_shared_in_production(instance, provider);
		report_wrong_type(instance, provider);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(connections, AccessShareLock);
	return PointerGetDatum(NULL);
}

static void
report_wrong_type(Datum instance, const char *provider)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("the connection of instance %s to \"%s\" has the wrong instance_type",
					ienv_instance_text(instance, true), provider),
			 errdetail("It must be the type of the instance."),
			 errconnection()));
}

/*
 * Auxiliary to ereport(): the constraint that an error concerns.
 */
static int
errconnection(void)
{
	err_generic_string(PG_DIAG_SCHEMA_NAME, IENV_SCHEMA);
	err_generic_string(PG_DIAG_TABLE_NAME, "social_connection");
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, CONSTRAINT);
	return 0;					/* return value does not matter */
}

/*
 * Errors 23I05: the remedy is the same for all of them.
 */
void
ienv_report_shared_in_production(Datum instance, const char *provider)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_OWN_CREDENTIALS),
			 errmsg("production instance %s cannot use shared credentials for \"%s\"",
					ienv_instance_text(instance, true), provider),
			 errdetail("Shared credentials are for development only."),
			 ienv_errhint_own_credentials(),
			 errconnection()));
}

void
ienv_report_shared_scopes(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_OWN_CREDENTIALS),
			 errmsg("custom scopes require the instance's own credentials"),
			 ienv_errhint_own_credentials(),
			 errconnection()));
}

int
ienv_errhint_own_credentials(void)
{
	return errhint("Register the application with the provider, and call instance_env.set_social_connection() with client_id and secret_reference.");
}
