/*-------------------------------------------------------------------------
 *
 * rename_instance.c
 *	  rename_instance(): another external key for an instance.
 *
 * Rows of guarded tables whose instance column is a text name their instance
 * by that key.  So in the same transaction the application updates them, often
 * by a foreign key that is ON UPDATE CASCADE; registry/rename.c tells the
 * triggers which updates follow a rename.  What makes that sound:
 *
 * - These tables are locked against writers until the transaction ends, so
 *	 nobody else has a row with the old key in flight, or adds one.  An update
 *	 of a table that is not locked does not pass.
 * - No row may have the new key already: it would come into the instance.
 * - While rows may have either key, no one can count them by one key.  So in
 *	 this transaction a capped instance takes no new users, and its application
 *	 is neither dropped nor its promotion rolled back.
 * - Just before the transaction commits or is prepared, after all deferred
 *	 triggers, no row may have the old key: it would not be counted any more,
 *	 and would belong to whoever gets that key.  This is a transaction callback
 *	 and no constraint trigger, which SET CONSTRAINTS could make fire too early.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "cap/cap.h"
#include "guard/guard.h"
#include "promotion/promotion.h"
#include "registry/registry.h"
#include "table/table.h"

static void refuse_rows_of_new_key(Datum key, const List *tables);
static void refuse_distributed_rows(Datum key, const List *tables);
static void warn_of_rows_left_behind(Datum instance, Datum key);
static void check_before_commit(XactEvent event, void *arg);
static void check_old_key(const IenvRename *rename);
pg_noreturn static void report_old_key(const IenvRename *rename,
									   const IenvGuard *guard);

PG_FUNCTION_INFO_V1(instance_env_rename_instance);

/*
 * rename_instance(instance uuid, external_key text) RETURNS void
 */
Datum
instance_env_rename_instance(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	Oid			types[3] = {UUIDOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char	   *status;
	char	   *new_key;
	List	   *tables;

	ienv_require_argument(fcinfo, 0, "instance");
	new_key = ienv_require_name(fcinfo, 1, "external_key");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	(void) ienv_lock_instance(values[0], &status);
	values[2] = ienv_external_key(values[0]);
	if (strcmp(TextDatumGetCString(values[2]), new_key) == 0)
	{
		SPI_finish();
		PG_RETURN_VOID();
	}
	ienv_require_free_key(values[1], DatumGetUUIDP(values[0]));

	ienv_keep_from_guarding();
	tables = ienv_lock_guarded_tables(ShareRowExclusiveLock, true);

	/* if it had the new key before, rows may have it still */
	if (ienv_rename_from(values[1]) == NULL)
		refuse_rows_of_new_key(values[1], tables);
	refuse_distributed_rows(values[2], tables);

	if (!registered)
		RegisterXactCallback(check_before_commit, NULL);
	registered = true;
	ienv_remember_rename(DatumGetUUIDP(values[0]),
						 TextDatumGetCString(values[2]), new_key, tables);
	if (ienv_registry_is_distributed())
		ienv_on_each_node("rename_instance",
						  DatumGetCString(DirectFunctionCall1(uuid_out,
															  values[0])),
						  TextDatumGetCString(values[2]), new_key);
	(void) ienv_query("WITH r AS (UPDATE instance_env.instance"
					  " SET external_key = $2"
					  " WHERE id OPERATOR(pg_catalog.=) $1"
					  " RETURNING id)"
					  " SELECT"
					  " pg_catalog.jsonb_build_object('external_key', $3),"
					  " pg_catalog.jsonb_build_object('external_key', $2)"
					  " FROM r",
					  3, types, values, NULL);
	ienv_record_returned("rename_instance", NULL, DatumGetUUIDP(values[0]),
						 NULL);
	warn_of_rows_left_behind(values[0], values[2]);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Warn of rows in tables that administration does not look at: they cannot
 * follow.  These tables belong to roles that must not be in the way, so this
 * is only done where it can be done at once.
 */
static void
warn_of_rows_left_behind(Datum instance, Datum key)
{
	ListCell   *lc;

	foreach(lc, ienv_all_roots())
	{
		const IenvRoot *root = lfirst(lc);
		const IenvGuard *guard;

		if (root->trusted ||
			!ienv_has_rows_at_once(root->relid, instance, key))
			continue;
		guard = ienv_guard_of(root->relid);
		if (guard != NULL && !guard->is_uuid)
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("rows of table \"%s\" stay with the old external key %s",
							root->name, ienv_instance_text(key, false)),
					 errdetail("Administration does not look at the table: %s.",
							   ienv_why_not_trusted(root)),
					 errhint("Roll back, call instance_env.guard() for the table again, and then rename the instance.")));
	}
}

/*
 * Rows with the new key belong to no instance so far: they were left behind by
 * one that is gone, say.
 */
static void
refuse_rows_of_new_key(Datum key, const List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		const IenvGuard *guard = ienv_guard_of(lfirst_oid(lc));

		if (guard == NULL || ienv_user_count(guard, key, 0) == 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot give an instance the external key %s because table %s has rows with that key",
						ienv_instance_text(key, false),
						ienv_quoted_name(guard->relid)),
				 errdetail("The rows do not belong to the instance, and would come into it."),
				 errhint("Delete these rows first, or choose another key."),
				 ienv_errguard(guard, NULL)));
	}
}

/*
 * Rows of distributed tables cannot follow: the instance says which shard they
 * are in, so Citus does not let that column be updated.
 */
static void
refuse_distributed_rows(Datum key, const List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		const IenvGuard *guard = ienv_guard_of(lfirst_oid(lc));

		if (guard == NULL || !ienv_is_distributed(guard->relid) ||
			ienv_user_count(guard, key, 0) == 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rename an instance that has rows in distributed table %s",
						ienv_quoted_name(guard->relid)),
				 errdetail("Column \"%s\", which has the old external key %s, says which shard rows are in, and cannot be updated.",
						   get_attname(guard->relid, guard->instance_attno,
									   false),
						   ienv_instance_text(key, false)),
				 errhint("Name instances in distributed tables by their ids."),
				 ienv_errguard(guard, NULL)));
	}
}

/*
 * Transaction callback.
 */
static void
check_before_commit(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		return;
	foreach(lc, ienv_renames())
		check_old_key(lfirst(lc));
}

/*
 * Raise an error if rows still have the key that the instance has given up.
 * They can only be in the tables that were guarded at that time: guard()
 * refuses a table that has such rows.
 */
static void
check_old_key(const IenvRename *rename)
{
	Datum		key = CStringGetTextDatum(rename->old_key);
	ListCell   *lc;

	/* it has got this key back */
	if (strcmp(ienv_last_rename(&rename->instance)->new_key,
			   rename->old_key) == 0)
		return;
	foreach(lc, rename->tables)
	{
		const IenvGuard *guard = ienv_guard_of(lfirst_oid(lc));

		/* it may have been dropped, or guarded in another way */
		if (guard != NULL && !guard->is_uuid &&
			ienv_user_count(guard, key, 0) > 0)
			report_old_key(rename, guard);
	}
}

static void
report_old_key(const IenvRename *rename, const IenvGuard *guard)
{
	Datum		old_key = CStringGetTextDatum(rename->old_key);
	Datum		new_key =
	CStringGetTextDatum(ienv_last_rename(&rename->instance)->new_key);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table %s has rows with the old external key %s of a renamed instance",
					ienv_quoted_name(guard->relid),
					ienv_instance_text(old_key, false)),
			 errdetail("The transaction that renames an instance cannot be committed before all rows have the new key %s.",
					   ienv_instance_text(new_key, false)),
			 errhint("In the transaction that calls instance_env.rename_instance(), update column \"%s\" of these rows as well.",
					 get_attname(guard->relid, guard->instance_attno, false)),
			 ienv_errguard(guard, NULL)));
}
