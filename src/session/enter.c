/*-------------------------------------------------------------------------
 *
 * enter.c
 *	  enter() and leave(): binding a session or a transaction to an instance.
 *
 * A pooler calls these in every transaction.  They run no SQL once the answer
 * is cached, write nothing, take no transaction id, and work in a read-only
 * transaction and on a hot standby.  They are SECURITY INVOKER: the role that
 * calls them, within a SECURITY DEFINER function that function's owner, must
 * be allowed in the instance.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "policy/policy.h"
#include "registry/registry.h"
#include "session/session.h"

static void require_allowed(const IenvAccess *access, Datum instance,
							Oid role);
static void require_active(const IenvAccess *access, Datum instance);
static void show_banner(Datum instance);

PG_FUNCTION_INFO_V1(instance_env_enter);
PG_FUNCTION_INFO_V1(instance_env_leave);

/*
 * enter(instance uuid, local boolean) RETURNS void
 */
Datum
instance_env_enter(PG_FUNCTION_ARGS)
{
	Oid			role = GetUserId();
	Datum		instance;
	bool		local;
	const IenvAccess *access;
	IenvType	type;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "local");
	instance = PG_GETARG_DATUM(0);
	local = PG_GETARG_BOOL(1);

	access = ienv_access(DatumGetUUIDP(instance), role);
	require_allowed(access, instance, role);
	require_active(access, instance);
	type = access->type;
	ienv_set_current(DatumGetUUIDP(instance), local);
	if (type == IENV_DEVELOPMENT && !local)
		show_banner(instance);
	PG_RETURN_VOID();
}

/*
 * leave() RETURNS void
 *
 * Whichever way the instance was entered; no error if none was.
 */
Datum
instance_env_leave(PG_FUNCTION_ARGS)
{
	ienv_set_current(NULL, false);
	PG_RETURN_VOID();
}

/*
 * Refuse an instance that does not exist, or that the role may not be in.
 *
 * A role that may be in no instance is not told which ids exist, nor is any
 * role told whose they are.
 */
static void
require_allowed(const IenvAccess *access, Datum instance, Oid role)
{
	if (access != NULL && access->allowed)
		return;
	if (access == NULL && ienv_may_enter_any(role))
		(void) ienv_require_instance(instance);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to enter instance %s",
					ienv_instance_text(instance, true)),
			 errdetail("Role \"%s\" is not allowed in this instance.",
					   GetUserNameFromId(role, false)),
			 errhint("An administrator can allow it with instance_env.allow_instance().")));
}

static void
require_active(const IenvAccess *access, Datum instance)
{
	bool		suspended = access->status == IENV_SUSPENDED;

	if (access->status == IENV_ACTIVE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_IENV_INSTANCE_NOT_ACTIVE),
			 errmsg("instance %s is not active",
					ienv_instance_text(instance, true)),
			 suspended ?
			 errdetail("The instance is suspended.") :
			 errdetail("The production instance has not been promoted."),
			 suspended ?
			 errhint("Resume it with instance_env.resume_instance().") :
			 errhint("Promote its application with instance_env.promote().")));
}

/*
 * Show whoever has entered a development instance its banner.
 */
static void
show_banner(Datum instance)
{
	bool		isnull;
	Datum		banner = ienv_policy(instance, "banner", TEXTOID, &isnull);

	if (!isnull)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("%s", TextDatumGetCString(banner))));
}
