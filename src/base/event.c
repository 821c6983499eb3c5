/*-------------------------------------------------------------------------
 *
 * event.c
 *	  The audit log.
 *
 * Each function that changes something records the change itself, in the same
 * transaction.  Triggers on the registry's tables would record the rows of a
 * dump again when it is restored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/base.h"

PG_FUNCTION_INFO_V1(instance_env_refuse_change);

/*
 * Record that function "action" has changed something.
 *
 * If application is NULL, the instance's application is recorded.  before and
 * after are jsonb, or 0 for null.
 *
 * We record the session user and the role set by SET ROLE.  If a SECURITY
 * DEFINER function called us, we cannot tell with whose privileges: most of
 * our functions are themselves SECURITY DEFINER, and PostgreSQL does not
 * reveal the role that called such a function.
 *
 * In a security-restricted operation, code of a table's owner runs within
 * another user's statement, and the names recorded would be that user's.  So
 * such code is not allowed to change anything.
 */
void
ienv_record_event(const char *action, const pg_uuid_t *application,
				  const pg_uuid_t *instance, const char *item, Datum before,
				  Datum after)
{
	Oid			types[9] = {TEXTOID, UUIDOID, UUIDOID, TEXTOID, JSONBOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[9] = {0};
	char		nulls[10] = "         ";
	IenvOwner	saved;

	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot call %s.%s() within security-restricted operation", IENV_SCHEMA, action),
				 errdetail("The audit log would name the role that runs the operation, not the role whose code this is."),
				 errhint("Call it outside of a reset, guard(), or a command such as REFRESH MATERIALIZED VIEW.")));

	ienv_require_joined();
	values[0] = CStringGetTextDatum(action);
	if (application != NULL)
		values[1] = UUIDPGetDatum(application);
	if (instance != NULL)
		values[2] = UUIDPGetDatum(instance);
	if (item != NULL)
		values[3] = CStringGetTextDatum(item);
	values[4] = before;
	values[5] = after;
	values[6] =
		CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	values[7] =
		CStringGetTextDatum(GetUserNameFromId(GetOuterUserId(), false));
	values[8] = ienv_application_name();
	for (int i = 0; i < lengthof(values); i++)
		if (DatumGetPointer(values[i]) == NULL)
			nulls[i] = 'n';

	SPI_connect();
	ienv_become_owner(&saved);
	(void) ienv_query("INSERT INTO instance_env.event (action, application,"
					  " instance, item, before, after,"
					  "  session_user_name, current_user_name, client_address,"
					  "  application_name)"
					  " SELECT $1, COALESCE($2, (SELECT application"
					  " FROM instance_env.instance"
					  "   WHERE id OPERATOR(pg_catalog.=) $3)),"
					  "  $3, $4, $5, $6, $7, $8, pg_catalog.inet_client_addr(),"
					  "  $9",
					  9, types, values, nulls);
	ienv_leave_owner(&saved);
	SPI_finish();
}

/*
 * What the session calls itself, as text; 0 for null if it does not say.
 *
 * Anybody can set it to anything, so it only helps those who trust the role.
 * PostgreSQL clips it to the length of an identifier, and replaces what is not
 * ASCII.  A secret in it is not recorded, but is no reason to refuse a change.
 */
Datum
ienv_application_name(void)
{
	const char *form;

	if (application_name == NULL || application_name[0] == '\0')
		return (Datum) 0;
	form = ienv_secret_form(application_name, strlen(application_name));
	if (form != NULL)
		return CStringGetTextDatum(psprintf("(%s)", form));
	return CStringGetTextDatum(application_name);
}

/*
 * Record a change whose statement returned "before" and "after" as jsonb, or
 * no row at all because nothing has changed.
 */
void
ienv_record_returned(const char *action, const pg_uuid_t *application,
					 const pg_uuid_t *instance, const char *item)
{
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	if (SPI_processed == 0)
		return;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	ienv_record_event(action, application, instance, item,
					  SPI_getbinval(row, desc, 1, &isnull),
					  SPI_getbinval(row, desc, 2, &isnull));
}

/*
 * refuse_change() RETURNS trigger
 *
 * BEFORE statement trigger of the log: the extension's owner may add to it, as
 * its functions do, and only a superuser may do anything else.  Withholding
 * privileges on the table would not be enough, because a GRANT is easily
 * issued.
 */
Datum
instance_env_refuse_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = ienv_check_called(fcinfo, "refuse_change");
	bool		insert = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);

	if (!superuser() && !(insert && GetUserId() == ienv_oids()->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change the audit log"),
				 insert ?
				 errdetail("Only the functions of the extension record events.") :
				 errdetail("Only a superuser can change or delete recorded events.")));
	return PointerGetDatum(NULL);
}
