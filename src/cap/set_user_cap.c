/*-------------------------------------------------------------------------
 *
 * set_user_cap.c
 *	  Setting the user cap of a development instance.
 *
 * set_user_cap() is SECURITY DEFINER with a pinned search_path, so its SQL
 * runs as the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "cap/cap.h"
#include "registry/registry.h"
#include "table/table.h"

static void lock_development(Datum instance);
static void warn_if_over_cap(Datum instance);

PG_FUNCTION_INFO_V1(instance_env_set_user_cap);

/*
 * set_user_cap(instance uuid, user_cap integer, mode text) RETURNS void
 *
 * A cap of null means the default, a mode of null the one that the instance
 * has.  A cap below the number of users does not remove any.
 */
Datum
instance_env_set_user_cap(PG_FUNCTION_ARGS)
{
	char	   *mode = NULL;

	ienv_require_argument(fcinfo, 0, "instance");
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a user cap must not be negative")));
	if (!PG_ARGISNULL(2))
		mode = ienv_require_text(fcinfo, 2, "mode", IENV_MAX_WORD);
	if (mode != NULL && strcmp(mode, "hard") != 0 && strcmp(mode, "soft") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a mode of a user cap", mode),
				 errhint("A cap is hard, which refuses new users, or soft, which takes them with a warning.")));

	SPI_connect();
	if (mode != NULL)
		ienv_set_cap_mode("set_user_cap", PG_GETARG_DATUM(0), mode);
	ienv_set_user_cap("set_user_cap", PG_GETARG_DATUM(0),
					  PG_ARGISNULL(1) ? -1 : PG_GETARG_INT32(1));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Set a development instance's user cap, -1 for the default, on behalf of
 * "action", the function to be named in the audit log.  SPI is connected.
 */
void
ienv_set_user_cap(const char *action, Datum instance, int user_cap)
{
	Oid			types[2] = {UUIDOID, INT4OID};
	Datum		values[2] = {instance, Int32GetDatum(user_cap)};

	lock_development(instance);
	if (ienv_query("WITH r AS (UPDATE instance_env.instance i SET user_cap = $2,"
				   "  config_version = i.config_version OPERATOR(pg_catalog.+)"
				   " 1"
				   " FROM instance_env.instance old"
				   " WHERE i.id OPERATOR(pg_catalog.=) $1"
				   " AND old.id OPERATOR(pg_catalog.=) $1"
				   " AND i.user_cap IS DISTINCT FROM $2"
				   " RETURNING old.user_cap AS before, i.user_cap AS after)"
				   " SELECT pg_catalog.to_jsonb(before),"
				   " pg_catalog.to_jsonb(after) FROM r",
				   2, types, values, user_cap < 0 ? " n" : NULL) > 0)
	{
		bool		isnull;
		Datum		before = ienv_result_datum(0, 1, &isnull);
		Datum		after = ienv_result_datum(0, 2, &isnull);

		ienv_record_event(action, NULL, DatumGetUUIDP(instance), "user_cap",
						  before, after);
	}
	warn_if_over_cap(instance);
}

/*
 * Set whether a development instance's cap is "hard" or "soft", on behalf of
 * "action".  SPI is connected.
 */
void
ienv_set_cap_mode(const char *action, Datum instance, const char *mode)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2] = {instance, CStringGetTextDatum(mode)};

	lock_development(instance);
	if (ienv_query("WITH r AS (UPDATE instance_env.instance i SET cap_mode = $2,"
				   "  config_version = i.config_version OPERATOR(pg_catalog.+)"
				   " 1"
				   " FROM instance_env.instance old"
				   " WHERE i.id OPERATOR(pg_catalog.=) $1"
				   " AND old.id OPERATOR(pg_catalog.=) $1"
				   " AND i.cap_mode OPERATOR(pg_catalog.<>) $2"
				   " RETURNING old.cap_mode AS before, i.cap_mode AS after)"
				   " SELECT pg_catalog.to_jsonb(before),"
				   " pg_catalog.to_jsonb(after) FROM r",
				   2, types, values, NULL) > 0)
		ienv_record_returned(action, NULL, DatumGetUUIDP(instance),
							 "user_cap_mode");
}

/*
 * Lock an instance against change, and refuse one of production.
 */
static void
lock_development(Datum instance)
{
	char	   *status;

	if (ienv_lock_instance(instance, &status).type == IENV_PRODUCTION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot set a user cap on production instance %s",
						ienv_instance_text(instance, true)),
				 errdetail("A production instance has no cap.")));
}

/*
 * Warn the caller if an instance now has more users than it may have.
 *
 * We act as the extension's owner here, so we must neither run code of a
 * table's owner nor wait for that role: the users are counted without SQL (see
 * seats.c), and only if that can be done at once.
 */
static void
warn_if_over_cap(Datum instance)
{
	IenvInstance info;
	Datum		key;
	ListCell   *lc;

	CommandCounterIncrement();
	info = ienv_require_instance(instance);
	key = ienv_external_key(instance);

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
							ienv_instance_text(instance, true),
							ienv_quoted_name(relid)),
					 info.soft ?
					 errdetail("The cap is soft, so that it takes new users in any case.") :
					 errdetail("The cap applies whether or not the instance already has more users."),
					 ienv_has_too_many_partitions(relid) ?
					 errhint("A table with more than %d partitions is not counted here.", IENV_MAX_PARTITIONS) :
					 errhint("View instance_env.usage counts them once the table is no longer locked and its guard is whole.")));
		else if (users > info.user_cap)
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("development instance %s is over its cap of %d in table %s",
							ienv_instance_text(instance, true), info.user_cap,
							ienv_quoted_name(relid)),
					 info.soft ?
					 errdetail("The cap is soft, so that it takes new users all the same.") :
					 errdetail("It takes no new users until enough have been deleted.")));
	}
}
