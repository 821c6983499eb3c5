/*-------------------------------------------------------------------------
 *
 * rollback.c
 *	  Undoing a promotion, as long as production has no users.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "cap/cap.h"
#include "config/config.h"
#include "guard/guard.h"
#include "promotion/promotion.h"
#include "registry/registry.h"
#include "table/table.h"

static Datum snapshot_of(Datum promotion);
static void refuse_if_used(const IenvApplication *application);
static void refuse_rows(const IenvApplication *application, List *roots,
						Datum key, bool locked);

PG_FUNCTION_INFO_V1(instance_env_rollback_promotion);

IENV_BY_NAME(rollback_promotion, ienv_find_application);

/*
 * rollback_promotion(application uuid) RETURNS TABLE (step, item, before,
 *					  after)
 *
 * Puts the production instance back to what it was before its last promotion.
 * Returns a row for each change, none if that promotion has been rolled back
 * already.
 */
Datum
instance_env_rollback_promotion(PG_FUNCTION_ARGS)
{
	Datum		id;
	IenvApplication application;
	Datum		production;
	Datum		promotion = (Datum) 0;
	Oid			types[1] = {UUIDOID};
	Oid			bigint_type = INT8OID;
	bool		promoted;
	bool		rolled_back = false;
	bool		isnull;
	List	   *changes;
	char	   *status;

	ienv_require_argument(fcinfo, 0, "application");
	id = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	application = ienv_lock_application(id);
	production = application.instances[IENV_PRODUCTION];
	status = application.status[IENV_PRODUCTION];

	promoted = ienv_query("SELECT id, rolled_back_at IS NOT NULL"
						  " FROM instance_env.promotion"
						  " WHERE application OPERATOR(pg_catalog.=) $1"
						  " ORDER BY id DESC LIMIT 1",
						  1, types, &id, NULL) > 0;
	if (promoted)
	{
		promotion = ienv_result_datum(0, 1, &isnull);
		rolled_back = DatumGetBool(ienv_result_datum(0, 2, &isnull));
	}

	/* adopt_application() may have activated it since */
	if (!promoted || (rolled_back && strcmp(status, "inactive") != 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("application \"%s\" has no promotion to roll back",
						application.name),
				 strcmp(status, "inactive") != 0 ?
				 errdetail("Its production instance was activated without one.") : 0,
				 errhint("All promotions are in view instance_env.promotions.")));
	if (rolled_back)
	{
		SPI_finish();
		return (Datum) 0;
	}
	refuse_if_used(&application);

	changes = ienv_restore_configuration(production, snapshot_of(promotion));
	(void) ienv_query("UPDATE instance_env.instance SET status = 'inactive',"
					  " config_version = config_version OPERATOR(pg_catalog.+)"
					  " 1"
					  " WHERE id OPERATOR(pg_catalog.=) $1", 1, types,
					  &production, NULL);
	changes = ienv_add_change(changes, "deactivate",
							  DatumGetCString(DirectFunctionCall1(uuid_out,
																  production)),
							  ienv_jsonb(psprintf("{\"status\": \"%s\"}",
												  status)),
							  ienv_jsonb("{\"status\": \"inactive\"}"));
	(void) ienv_query("UPDATE instance_env.promotion"
					  " SET rolled_back_at = pg_catalog.now()"
					  " WHERE id OPERATOR(pg_catalog.=) $1", 1, &bigint_type,
					  &promotion, NULL);

	ienv_record_changes("rollback_promotion", id, production, changes);
	ienv_return_changes(fcinfo, changes);
	SPI_finish();
	return (Datum) 0;
}

static Datum
snapshot_of(Datum promotion)
{
	Oid			type = INT8OID;
	bool		isnull;

	if (ienv_query("SELECT snapshot FROM instance_env.promotion"
				   " WHERE id OPERATOR(pg_catalog.=) $1",
				   1, &type, &promotion, NULL) != 1)
		elog(ERROR, "the promotion is gone");
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * Refuse if the production instance has rows in guarded tables; otherwise they
 * are locked against writers afterwards, until the transaction ends.
 *
 * A production instance that is in use should not have to wait until its rows
 * have been counted, so the first look takes no such lock.
 */
static void
refuse_if_used(const IenvApplication *application)
{
	Datum		key;

	ienv_require_not_renamed(application->instances[IENV_PRODUCTION]);
	key = ienv_external_key(application->instances[IENV_PRODUCTION]);

	refuse_rows(application, ienv_trusted_roots(), key, false);
	ienv_keep_from_guarding();
	refuse_rows(application, ienv_lock_guarded_tables(ShareLock, false), key, true);
}

/*
 * Refuse if one of these guarded tables has rows of the production instance,
 * by its id or its external key.  As long as the tables are not locked, what
 * others have not committed may or may not count, and tables that others have
 * locked are left to the second look.
 */
static void
refuse_rows(const IenvApplication *application, List *roots, Datum key,
			bool locked)
{
	Datum		instance = application->instances[IENV_PRODUCTION];
	StringInfoData detail;
	ListCell   *lc;

	initStringInfo(&detail);
	foreach(lc, roots)
	{
		const IenvGuard *guard;
		Datum		value;
		int64		count;

		if (!locked && !ienv_has_rows_at_once(lfirst_oid(lc), instance, key))
			continue;
		guard = ienv_guard_of(lfirst_oid(lc));
		if (guard == NULL)
			continue;
		value = guard->is_uuid ? instance : key;
		count = ienv_user_count(guard, value, PG_INT32_MAX);
		if (count == 0)
			continue;
		appendStringInfo(&detail, "%sTable %s has %lld %s of instance %s.",
						 detail.len > 0 ? "\n" : "",
						 ienv_quoted_name(guard->relid), (long long) count,
						 count == 1 ? "row" : "rows",
						 ienv_instance_text(value, guard->is_uuid));
	}
	if (detail.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot roll back the promotion of application \"%s\" because its production instance has users",
						application->name),
				 errdetail("%s", detail.data),
				 errhint("To stop the intake of users, suspend the instance with instance_env.suspend_instance().")));
}
