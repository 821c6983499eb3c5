/*-------------------------------------------------------------------------
 *
 * row_instance.c
 *	  The instance that a guarded table's row names, and errors about a row.
 *
 * A message names the table, and the instance that the caller's own row names.
 * It never reveals anything about other rows, which may be another tenant's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "registry/registry.h"
#include "table/table.h"

static void check_place(const IenvGuard *guard, Datum value);
pg_noreturn static void report_unknown(const IenvGuard *guard, Datum value);

/*
 * The guard of the table whose trigger is firing.
 */
IenvGuard *
ienv_trigger_guard(TriggerData *trigdata, const char *funcname)
{
	IenvGuard  *guard = ienv_guard_of(RelationGetRelid(trigdata->tg_relation));

	if (guard == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was called by a trigger whose condition names no columns of table %s",
						funcname,
						ienv_quoted_name(RelationGetRelid(trigdata->tg_relation))),
				 errhint("Let instance_env.guard() create the trigger.")));
	return guard;
}

/*
 * The active instance that a row's instance column names; raises an error if
 * there is none.
 *
 * Before the row is refused, the cache's answer is confirmed by the table;
 * with fresh, also before it is accepted.
 */
IenvInstance *
ienv_require_active(const IenvGuard *guard, Datum value, bool isnull,
					bool fresh)
{
	IenvInstance *instance;
	bool		suspended;
	const char *application;

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in column \"%s\" of table %s does not name an instance",
						get_attname(guard->relid, guard->instance_attno,
									false), ienv_quoted_name(guard->root)),
				 errdetail("Each row of a guarded table belongs to an instance."),
				 ienv_errguard(guard, NULL)));

	instance = ienv_instance_by_value(value, guard->is_uuid, fresh);
	if (!fresh && (instance == NULL || instance->status != IENV_ACTIVE))
		instance = ienv_instance_by_value(value, guard->is_uuid, true);

	if (instance == NULL)
		report_unknown(guard, value);

	if (instance->status != IENV_ACTIVE)
	{
		suspended = instance->status == IENV_SUSPENDED;
		application = ienv_application_sentence(value, guard->is_uuid);
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INSTANCE_NOT_ACTIVE),
				 errmsg("instance %s is not active",
						ienv_instance_text(value, guard->is_uuid)),
				 suspended ?
				 errdetail("The instance is suspended.%s", application) :
				 errdetail("The production instance has not been promoted.%s",
						   application),
				 suspended ?
				 errhint("Resume it with instance_env.resume_instance().") :
				 errhint("Promote its application with instance_env.promote()."),
				 ienv_errguard(guard, IENV_IS_ACTIVE)));
	}
	ienv_refuse_renamed(guard, instance, value);
	if (guard->look_at_place)
		check_place(guard, value);
	if (guard->no_production && instance->type == IENV_PRODUCTION)
		ienv_refuse_production(guard, value);
	return instance;
}

/*
 * Refuse a new row of a capped instance in the transaction that renames it:
 * its other rows cannot be counted, because some have the old key.
 */
void
ienv_refuse_renamed(const IenvGuard *guard, const IenvInstance *instance,
					Datum value)
{
	if (guard->is_uuid || !guard->counted || instance->user_cap < 0 ||
		ienv_last_rename(&instance->id) == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("instance %s takes no new users in the transaction that renames it",
					ienv_instance_text(value, false)),
			 errdetail("Rows may still have the old external key, and its users could not be counted."),
			 errhint("Commit first."),
			 ienv_errguard(guard, NULL)));
}

/*
 * Refuse a new row where none may come, or not one of this instance: in another
 * shard, the instance's users are not counted together.
 */
static void
check_place(const IenvGuard *guard, Datum value)
{
	Datum		column;

	if (guard->misplaced)
		ienv_refuse_misplaced(guard, true);
	if (!ienv_column_of_value(guard->instance_type, value, &column) ||
		!ienv_may_come_here(guard, column))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("a row of instance %s does not belong into this shard of table %s",
						ienv_instance_text(value, guard->is_uuid),
						ienv_quoted_name(guard->root)),
				 errhint("Insert into the table, not into a shard of it."),
				 ienv_errguard(guard, NULL)));
}

/*
 * Refuse to guard such a table, or a row that comes into it.
 */
void
ienv_refuse_misplaced(const IenvGuard *guard, bool guarded)
{
	const char *hint;
	const char *detail = ienv_why_misplaced(guard, &hint);

	if (detail == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg(guarded ?
					"guarded table %s takes no rows as it is distributed" :
					"table %s cannot be guarded as it is distributed",
					ienv_quoted_name(guard->root)),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint),
			 ienv_errguard(guard, NULL)));
}

/*
 * Refuse a row of a production instance in a table whose users can leave
 * without a record: they could come back under another instance.
 */
void
ienv_refuse_production(const IenvGuard *guard, Datum value)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table %s takes no rows of production instance %s",
					ienv_quoted_name(guard->root),
					ienv_instance_text(value, guard->is_uuid)),
			 errdetail("It is guarded with follow_departures => false, which is for tests."),
			 errhint("Call instance_env.unguard() for the table, and instance_env.guard() without follow_departures."),
			 ienv_errguard(guard, NULL)));
}

/*
 * Refuse a row of an instance that does not exist.
 */
void
ienv_require_known(const IenvGuard *guard, Datum value)
{
	if (ienv_instance_by_value(value, guard->is_uuid, false) == NULL &&
		ienv_instance_by_value(value, guard->is_uuid, true) == NULL)
		report_unknown(guard, value);
}

static void
report_unknown(const IenvGuard *guard, Datum value)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_UNKNOWN_INSTANCE),
			 errmsg("instance %s does not exist",
					ienv_instance_text(value, guard->is_uuid)),
			 errdetail("Column \"%s\" of table %s must name an instance by its %s.",
					   get_attname(guard->relid, guard->instance_attno, false),
					   ienv_quoted_name(guard->root),
					   guard->is_uuid ? "id" : "external key"),
			 OidIsValid(ienv_shell_of(guard->root)) &&
			 !ienv_registry_is_distributed() ?
			 errhint("Have a superuser call %s.distribute() on the coordinator, so that this node knows the instances.", IENV_SCHEMA) :
			 errhint("Create it with instance_env.create_application(). When restoring data only, restore schema \"%s\" first.", IENV_SCHEMA),
			 ienv_errguard(guard, IENV_KNOWN)));
}

/*
 * Raise an error, rather than base a decision on only some of a table's
 * partitions.
 */
void
ienv_report_unguarded_partition(Oid relid, Oid root)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("partition %s of guarded table %s lacks the table's triggers",
					ienv_quoted_name(relid), ienv_quoted_name(root)),
			 errhint("Call instance_env.unguard() and instance_env.guard() for the table.")));
}

/*
 * Auxiliary to ereport(): the schema, table, column and, unless NULL,
 * constraint that an error concerns.
 */
int
ienv_errguard(const IenvGuard *guard, const char *constraint)
{
	Oid			table = ienv_known_table(guard->root);

	err_generic_string(PG_DIAG_SCHEMA_NAME,
					   get_namespace_name(get_rel_namespace(table)));
	err_generic_string(PG_DIAG_TABLE_NAME, get_rel_name(table));
	err_generic_string(PG_DIAG_COLUMN_NAME,
					   get_attname(guard->relid, guard->instance_attno,
								   false));
	if (constraint != NULL)
		err_generic_string(PG_DIAG_CONSTRAINT_NAME, constraint);
	return 0;					/* return value does not matter */
}
