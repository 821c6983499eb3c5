/*-------------------------------------------------------------------------
 *
 * current.c
 *	  The instance that the session has entered.
 *
 * It is the value of a parameter, so that PostgreSQL takes care of the rest:
 * the value follows transactions and subtransactions, is handed to parallel
 * workers, and is reported to the client.  Only enter() gives it a value; the
 * empty string, which stands for no instance, may come from anybody, since
 * RESET ALL and DISCARD ALL set it and leaving an instance gives nothing away.
 *
 * Nevertheless the value is not a proof of anything.  It stays when SET ROLE,
 * or a SECURITY DEFINER function, lets another role act, when an allowance is
 * withdrawn, and when the instance is dropped.  So current_instance() asks
 * each time whether the role that acts now may be in the instance; the answer
 * comes from a cache (access.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/uuid.h"

#include "registry/registry.h"
#include "session/session.h"

#define CURRENT_INSTANCE IENV_SCHEMA ".current_instance"

/* Length of a uuid as text */
#define UUID_TEXT_LENGTH 36

static char *current_instance = NULL;	/* the parameter's value */
static bool is_in = false;
static pg_uuid_t entered;		/* the same as a uuid, if is_in */

/* What ienv_set_current() is setting at the moment, or NULL */
static const char *entering = NULL;

static bool check_current(char **newval, void **extra, GucSource source);
static void assign_current(const char *newval, void *extra);
static bool parse(const char *text, pg_uuid_t *uuid);
static const IenvAccess *current_access(void);

PG_FUNCTION_INFO_V1(instance_env_current_instance);
PG_FUNCTION_INFO_V1(instance_env_current_instance_key);
PG_FUNCTION_INFO_V1(instance_env_new_user_id_here);

/*
 * Define the parameter.  Called when the library is loaded.
 */
void
ienv_session_init(void)
{
	DefineCustomStringVariable(CURRENT_INSTANCE,
							   "Shows the instance that the session has entered.",
							   "Only instance_env.enter() sets it; an empty string means none.",
							   &current_instance, "", PGC_USERSET,
							   GUC_REPORT | GUC_NOT_IN_SAMPLE |
							   GUC_DISALLOW_IN_FILE,
							   check_current, assign_current, NULL);
}

/*
 * current_instance() RETURNS uuid
 *
 * For everybody: it tells no more than what the session has entered.
 */
Datum
instance_env_current_instance(PG_FUNCTION_ARGS)
{
	const IenvAccess *access = current_access();
	pg_uuid_t  *result;

	if (access == NULL)
		PG_RETURN_NULL();
	result = palloc(sizeof(pg_uuid_t));
	*result = access->key.instance;
	PG_RETURN_UUID_P(result);
}

/*
 * current_instance_key() RETURNS text
 *
 * The same by its external key, for tables whose instance column is text.
 * Raises an error if the query sees rows of a time when the instance had
 * another key.
 */
Datum
instance_env_current_instance_key(PG_FUNCTION_ARGS)
{
	const IenvAccess *access = current_access();

	if (access == NULL)
		PG_RETURN_NULL();
	if (ienv_key_has_changed(access))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the external key of instance %s has been changed concurrently",
						ienv_instance_text(UUIDPGetDatum(&entered), true)),
				 errdetail("The query sees rows of a time when another instance may have had it."),
				 errhint("Repeat the transaction.")));
	PG_RETURN_TEXT_P(cstring_to_text(access->external_key));
}

/*
 * new_user_id() RETURNS uuid
 *
 * For everybody, in a column's default above all.  An error rather than a null:
 * that would be refused as well, but with no word about what to do.
 */
Datum
instance_env_new_user_id_here(PG_FUNCTION_ARGS)
{
	const IenvAccess *access = current_access();
	pg_uuid_t	instance;

	if (access == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no instance to make a user id for"),
				 is_in ?
				 errdetail("The session has entered an instance that role \"%s\" may not be in, or that no longer exists.",
						   GetUserNameFromId(GetUserId(), false)) :
				 errdetail("The session has not entered an instance."),
				 errhint("Enter one with instance_env.enter(), or name it: instance_env.new_user_id(instance).")));
	instance = access->key.instance;	/* caches can change meanwhile */
	return ienv_new_user_id(&instance);
}

/*
 * Enter an instance that the caller has found to be allowed, or none if it is
 * NULL; with local, until the transaction ends.  Not possible in parallel
 * mode.
 */
void
ienv_set_current(const pg_uuid_t *instance, bool local)
{
	char	   *value = instance == NULL ? pstrdup("") :
	DatumGetCString(DirectFunctionCall1(uuid_out,
										UUIDPGetDatum(instance)));

	entering = value;
	PG_TRY();
	{
		(void) set_config_option(CURRENT_INSTANCE, value, PGC_USERSET,
								 PGC_S_SESSION,
								 local ? GUC_ACTION_LOCAL : GUC_ACTION_SET,
								 true, 0, false);
	}
	PG_FINALLY();
	{
		entering = NULL;
	}
	PG_END_TRY();
}

/*
 * What the role that acts now has of the entered instance, or NULL if the
 * session is in none, or in one that the role may not be in.
 */
static const IenvAccess *
current_access(void)
{
	const IenvAccess *access;

	if (!is_in)
		return NULL;
	access = ienv_access(&entered, GetUserId());
	return access != NULL && access->allowed ? access : NULL;
}

/*
 * GUC check hook.  Not asked when a transaction or function ends and an
 * earlier value comes back.  A parallel worker gets the leader's value, which
 * passed this check there.
 */
static bool
check_current(char **newval, void **extra, GucSource source)
{
	pg_uuid_t	uuid;

	if (*newval == NULL || **newval == '\0')
		return true;
	if (entering != NULL && strcmp(*newval, entering) == 0)
		return true;
	if (InitializingParallelWorker && source == PGC_S_SESSION &&
		parse(*newval, &uuid))
		return true;

	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("permission denied to set parameter \"%s\"",
					 CURRENT_INSTANCE);
	GUC_check_errdetail("It shows the instance that the session has entered, and can only be reset.");
	GUC_check_errhint("Call instance_env.enter().");
	return false;
}

/*
 * GUC assign hook.
 */
static void
assign_current(const char *newval, void *extra)
{
	is_in = newval != NULL && parse(newval, &entered);
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/*
 * The uuid that uuid_out() has written as this text; false if it has not.
 * uuid_in() would raise an error, which a hook must not.
 */
static bool
parse(const char *text, pg_uuid_t *uuid)
{
	int			n = 0;

	if (strlen(text) != UUID_TEXT_LENGTH)
		return false;
	for (int i = 0; i < UUID_TEXT_LENGTH; i++)
	{
		int			value = digit_value(text[i]);

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (text[i] != '-')
				return false;
			continue;
		}
		if (value < 0)
			return false;
		if (n % 2 == 0)
			uuid->data[n / 2] = value << 4;
		else
			uuid->data[n / 2] |= value;
		n++;
	}
	return true;
}
