/*-------------------------------------------------------------------------
 *
 * error.c
 *	  What triggers check before they begin, and errors that several share.
 *
 * A message names the table, and the instance that the caller's own row named.
 * It never tells of another row, which may be another tenant's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "guard.h"
#include "instance_env.h"

/* How many bytes of an external key a message shows */
#define MAX_KEY_SHOWN	128

pg_noreturn static void report_unknown(const IenvGuard *guard, Datum value);

/*
 * Check that a trigger function was called for what it is made for: when is the
 * exact combination of TRIGGER_EVENT_ bits.
 */
TriggerData *
ienv_check_trigger(FunctionCallInfo fcinfo, const char *funcname, TriggerEvent when)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TriggerEvent mask = TRIGGER_EVENT_OPMASK | TRIGGER_EVENT_ROW | TRIGGER_EVENT_TIMINGMASK;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", funcname)));
	if ((trigdata->tg_event & mask) != when)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was called by a trigger of the wrong kind", funcname),
				 errhint("Let instance_env.guard() create the trigger.")));
	return trigdata;
}

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
						funcname, ienv_quoted_name(RelationGetRelid(trigdata->tg_relation))),
				 errhint("Let instance_env.guard() create the trigger.")));
	return guard;
}

/*
 * The active instance that a row's instance column names; refuses any other.
 *
 * What the cache says against the row is confirmed by the table first; with fresh,
 * what it says for it as well.
 */
IenvInstance *
ienv_require_active(const IenvGuard *guard, Datum value, bool isnull, bool fresh)
{
	IenvInstance *instance;

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null in column \"%s\" of table %s names no instance",
						get_attname(guard->relid, guard->instance_attno, false), ienv_quoted_name(guard->root)),
				 errdetail("Each row of a guarded table belongs to an instance."),
				 ienv_errguard(guard, NULL)));

	instance = ienv_instance_by_value(value, guard->is_uuid, fresh);
	if (!fresh && (instance == NULL || instance->status != IENV_ACTIVE))
		instance = ienv_instance_by_value(value, guard->is_uuid, true);

	if (instance == NULL)
		report_unknown(guard, value);

	if (instance->status != IENV_ACTIVE)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INSTANCE_NOT_ACTIVE),
				 errmsg("instance %s is not active", ienv_instance_text(value, guard->is_uuid)),
				 instance->status == IENV_SUSPENDED ?
				 errdetail("The instance is suspended.") :
				 errdetail("The production instance has not been promoted."),
				 instance->status == IENV_SUSPENDED ?
				 errhint("Resume it with instance_env.resume_instance().") :
				 errhint("Promote its application with instance_env.promote()."),
				 ienv_errguard(guard, NULL)));
	return instance;
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
			 errmsg("instance %s does not exist", ienv_instance_text(value, guard->is_uuid)),
			 errdetail("Column \"%s\" of table %s must name an instance by its %s.",
					   get_attname(guard->relid, guard->instance_attno, false),
					   ienv_quoted_name(guard->root), guard->is_uuid ? "id" : "external key"),
			 errhint("Create it with instance_env.create_application(). When restoring data only, restore schema \"%s\" first.", IENV_SCHEMA),
			 ienv_errguard(guard, NULL)));
}

/*
 * Refuse to judge by half of a table.
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
 * Auxiliary to ereport(): the schema, table, column and, unless NULL, constraint
 * that an error concerns.
 */
int
ienv_errguard(const IenvGuard *guard, const char *constraint)
{
	err_generic_string(PG_DIAG_SCHEMA_NAME, get_namespace_name(get_rel_namespace(guard->root)));
	err_generic_string(PG_DIAG_TABLE_NAME, get_rel_name(guard->root));
	err_generic_string(PG_DIAG_COLUMN_NAME, get_attname(guard->relid, guard->instance_attno, false));
	if (constraint != NULL)
		err_generic_string(PG_DIAG_CONSTRAINT_NAME, constraint);
	return 0;					/* return value does not matter */
}

/*
 * A value of an instance column, quoted for a message and clipped to a decent length.
 */
char *
ienv_instance_text(Datum value, bool is_uuid)
{
	char	   *key;
	int			length;

	if (is_uuid)
		return psprintf("\"%s\"", DatumGetCString(DirectFunctionCall1(uuid_out, value)));
	key = TextDatumGetCString(value);
	length = strlen(key);
	if (length <= MAX_KEY_SHOWN)
		return psprintf("\"%s\"", key);
	key[pg_mbcliplen(key, length, MAX_KEY_SHOWN)] = '\0';
	return psprintf("\"%s...\"", key);
}

/*
 * A relation's qualified name, quoted for a message.
 */
char *
ienv_quoted_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		return psprintf("with OID %u", relid);
	return psprintf("\"%s.%s\"", get_namespace_name(get_rel_namespace(relid)), name);
}

/*
 * Refuse a null for an argument that must be given.
 */
void
ienv_require_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name),
		/* a name that was mistyped comes here as null */
				 strcmp(name, "application") == 0 ?
				 errhint("instance_env.application_id() returns null if no application has the name.") :
				 strcmp(name, "instance") == 0 ?
				 errhint("instance_env.instance_id() returns null if no application has the name.") : 0));
}

/*
 * A text argument as a C string: not null, not empty, without control characters,
 * and of no more than max_length bytes.
 */
char *
ienv_require_text(FunctionCallInfo fcinfo, int n, const char *name, int max_length)
{
	char	   *value;
	const char *problem = NULL;

	ienv_require_argument(fcinfo, n, name);
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (*value == '\0')
		problem = "It is empty.";
	else if (strlen(value) > max_length)
		problem = psprintf("It is longer than %d bytes.", max_length);
	for (const char *p = value; *p != '\0' && problem == NULL; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7F)
			problem = "It contains a control character.";
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\"", name),
				 errdetail("%s", problem)));
	return value;
}

/*
 * A text for a message, clipped to a decent length.
 */
const char *
ienv_clipped(const char *text)
{
	int			length = strlen(text);

	if (length <= MAX_KEY_SHOWN)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, length, MAX_KEY_SHOWN), text);
}
