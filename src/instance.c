/*-------------------------------------------------------------------------
 *
 * instance.c
 *	  Instances: finding and locking one, its user cap and its status.
 *
 * These SQL functions are SECURITY DEFINER with a pinned search_path, so their SQL
 * runs as the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "guard.h"
#include "instance_env.h"

static void warn_if_over_cap(Datum instance);
static void set_status(FunctionCallInfo fcinfo, const char *action, const char *from, const char *to);

PG_FUNCTION_INFO_V1(instance_env_set_user_cap);
PG_FUNCTION_INFO_V1(instance_env_suspend_instance);
PG_FUNCTION_INFO_V1(instance_env_resume_instance);

/*
 * set_user_cap(instance uuid, user_cap integer) RETURNS void
 *
 * Null means the default.  A cap below the number of users removes nobody.
 */
Datum
instance_env_set_user_cap(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "instance");
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a user cap must not be negative")));

	SPI_connect();
	ienv_set_user_cap("set_user_cap", PG_GETARG_DATUM(0), PG_ARGISNULL(1) ? -1 : PG_GETARG_INT32(1));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Set a development instance's user cap, -1 for the default, on behalf of the
 * function that the audit log is to name.  SPI is connected.
 */
void
ienv_set_user_cap(const char *action, Datum instance, int user_cap)
{
	Oid			types[2] = {UUIDOID, INT4OID};
	Datum		values[2] = {instance, Int32GetDatum(user_cap)};
	char	   *status;

	if (ienv_lock_instance(instance, &status).type == IENV_PRODUCTION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot set a user cap on production instance %s", ienv_instance_text(instance, true)),
				 errdetail("A production instance has no cap.")));
	if (ienv_query("UPDATE instance_env.instance i SET user_cap = $2,"
				   "  config_version = i.config_version OPERATOR(pg_catalog.+) 1"
				   " FROM instance_env.instance old"
				   " WHERE i.id OPERATOR(pg_catalog.=) $1 AND old.id OPERATOR(pg_catalog.=) $1"
				   " AND i.user_cap IS DISTINCT FROM $2"
				   " RETURNING pg_catalog.to_jsonb(old.user_cap), pg_catalog.to_jsonb(i.user_cap)",
				   2, types, values, user_cap < 0 ? " n" : NULL) > 0)
	{
		bool		isnull;
		Datum		before = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		Datum		after = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);

		ienv_record_event(action, NULL, DatumGetUUIDP(instance), "user_cap", before, after);
	}
	warn_if_over_cap(instance);
}

/*
 * Tell the caller if an instance has more users now than it may have.
 *
 * We act as the extension's owner here, and so must run no code of a table's owner, nor
 * wait for him: the users are counted without SQL (see seats.c), where that can be done
 * at once.
 */
static void
warn_if_over_cap(Datum instance)
{
	IenvInstance info;
	Datum		key;
	Oid			type = UUIDOID;
	bool		isnull;
	ListCell   *lc;

	CommandCounterIncrement();
	info = ienv_require_instance(instance);
	if (ienv_query("SELECT external_key FROM instance_env.instance WHERE id OPERATOR(pg_catalog.=) $1",
				   1, &type, &instance, NULL) != 1)
		elog(ERROR, "the instance is locked but gone");
	key = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

	foreach(lc, ienv_trusted_roots())
	{
		Oid			relid = lfirst_oid(lc);
		int64		users;

		if (!ienv_is_counted(relid))
			continue;
		users = ienv_users_at_once(relid, instance, key, info.user_cap);
		if (users < 0)
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("users of development instance %s in table %s could not be counted",
							ienv_instance_text(instance, true), ienv_quoted_name(relid)),
					 errdetail("The cap applies, whether the instance has more users already or not."),
					 ienv_has_too_many_partitions(relid) ?
					 errhint("A table with more than %d partitions is not counted here.", IENV_MAX_PARTITIONS) :
					 errhint("View instance_env.usage counts them once the table is not locked and its guard is whole.")));
		else if (users > info.user_cap)
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("development instance %s is over its cap of %d in table %s",
							ienv_instance_text(instance, true), info.user_cap, ienv_quoted_name(relid)),
					 errdetail("It takes no new users until enough have been deleted.")));
	}
}

/*
 * suspend_instance(instance uuid) RETURNS void
 */
Datum
instance_env_suspend_instance(PG_FUNCTION_ARGS)
{
	set_status(fcinfo, "suspend_instance", "active", "suspended");
	PG_RETURN_VOID();
}

/*
 * resume_instance(instance uuid) RETURNS void
 */
Datum
instance_env_resume_instance(PG_FUNCTION_ARGS)
{
	set_status(fcinfo, "resume_instance", "suspended", "active");
	PG_RETURN_VOID();
}

/*
 * Change the status of an instance; nothing to do where it is so already.
 */
static void
set_status(FunctionCallInfo fcinfo, const char *action, const char *from, const char *to)
{
	Oid			types[3] = {UUIDOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char	   *status;

	ienv_require_argument(fcinfo, 0, "instance");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = CStringGetTextDatum(to);
	values[2] = CStringGetTextDatum(from);

	SPI_connect();
	(void) ienv_lock_instance(values[0], &status);
	if (strcmp(status, from) == 0)
	{
		(void) ienv_query("UPDATE instance_env.instance SET status = $2::instance_env.instance_status,"
						  " config_version = config_version OPERATOR(pg_catalog.+) 1"
						  " WHERE id OPERATOR(pg_catalog.=) $1"
						  " RETURNING pg_catalog.jsonb_build_object('status', $3),"
						  "  pg_catalog.jsonb_build_object('status', $2)", 3, types, values, NULL);
		ienv_record_returned(action, NULL, DatumGetUUIDP(values[0]), NULL);
	}
	else if (strcmp(status, to) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("instance %s is not active", ienv_instance_text(values[0], true)),
				 errdetail("A production instance is inactive until its application is promoted."),
				 errhint("Promote its application with instance_env.promote().")));
	SPI_finish();
}

/*
 * The instance with this id, or error 23I03.
 */
IenvInstance
ienv_require_instance(Datum id)
{
	IenvInstance *instance = ienv_instance_by_value(id, true, true);

	if (instance == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_UNKNOWN_INSTANCE),
				 errmsg("instance %s does not exist", ienv_instance_text(id, true)),
				 errhint("All instances are in view instance_env.instances.")));
	return *instance;
}

/*
 * The same, locked against change until the transaction ends; *status is what the
 * locked row says.  SPI is connected.
 *
 * The instance is looked up with a fresh snapshot but locked with the transaction's,
 * which may be older.
 */
IenvInstance
ienv_lock_instance(Datum id, char **status)
{
	IenvInstance instance = ienv_require_instance(id);
	Oid			type = UUIDOID;

	if (ienv_query("SELECT status FROM instance_env.instance WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
				   1, &type, &id, NULL) != 1)
	{
		(void) ienv_require_instance(id);
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("instance %s has been created concurrently", ienv_instance_text(id, true)),
				 errhint("Repeat the transaction.")));
	}
	*status = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return instance;
}

/*
 * Raise an instance's config_version: its configuration has changed.  SPI is connected.
 */
void
ienv_config_changed(Datum instance)
{
	Oid			type = UUIDOID;

	(void) ienv_query("UPDATE instance_env.instance SET config_version = config_version OPERATOR(pg_catalog.+) 1"
					  " WHERE id OPERATOR(pg_catalog.=) $1", 1, &type, &instance, NULL);
}
