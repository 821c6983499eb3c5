/*-------------------------------------------------------------------------
 *
 * trust.c
 *	  Whose guarded tables the administrative functions look at.
 *
 * Trusted are superusers, and roles that may execute the trigger functions.
 * By default nobody may; guard() grants that privilege to the owner of the
 * table, if the caller is allowed to guard, and grant_guard() and
 * grant_admin() grant it along with guard() itself.  PostgreSQL requires the
 * same privilege when the triggers are created, or cloned to a partition.
 *
 * So the list of trusted roles is kept by PostgreSQL, as privileges: it is
 * dumped and restored, and revoke_access() or REVOKE removes roles from it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/base.h"
#include "registry/registry.h"

/*
 * Maximum time to wait before changing the privileges on our functions, in ms,
 * unless lock_timeout is set
 */
#define LOCK_WAIT 5000

static void lock_context(void *arg);

/*
 * Do the administrative functions trust this role?  They do if it may execute
 * the trigger functions, of which one is tested; guard() and grant_guard()
 * grant all of them at once.
 */
bool
ienv_is_let_in(Oid role)
{
	return ienv_may_execute(ienv_oids()->functions[0], role);
}

/*
 * Allow the table's owner to execute the trigger functions, if that is not
 * allowed yet: PostgreSQL requires it when the owner creates a partition, and
 * the administrative functions take it as a sign that the table counts.
 * Returns whether there was anything to do.  SPI is connected.
 */
bool
ienv_let_in(Oid owner)
{
	const IenvOids *oids = ienv_oids();
	IenvOwner	saved;
	StringInfoData functions;
	const char *name = GetUserNameFromId(owner, false);
	bool		missing = false;

	for (int i = 0; !missing && i < IENV_TRIGGERS; i++)
		missing = !ienv_may_execute(oids->functions[i], owner);
	if (!missing)
		return false;
	ienv_lock_rights();

	initStringInfo(&functions);
	for (int i = 0; i < IENV_TRIGGERS; i++)
		if (!ienv_may_execute(oids->functions[i], owner))
			appendStringInfo(&functions, "%s%s.%s()",
							 functions.len > 0 ? ", " : "",
							 IENV_SCHEMA, ienv_trigger_kinds[i].function);
	if (functions.len == 0)
		return false;

	ienv_become_owner(&saved);
	if (!ienv_may_use_schema(oids->schema, owner))
		ienv_execute("GRANT USAGE ON SCHEMA %s TO %s", IENV_SCHEMA,
					 quote_identifier(name));
	ienv_execute("GRANT EXECUTE ON FUNCTION %s TO %s", functions.data,
				 quote_identifier(name));
	ienv_leave_owner(&saved);
	CommandCounterIncrement();
	ienv_record_event("guard", NULL, NULL, name, 0,
					  ienv_jsonb("{\"execute\": \"trigger functions\"}"));
	return true;
}

/*
 * Keep others from changing the privileges on our functions through the
 * extension until the transaction ends: of two transactions that do so
 * concurrently, the second would wait and then fail with "tuple concurrently
 * updated".
 *
 * Any role that may guard can hold this lock in a transaction that it leaves
 * open.  So nobody waits long for it.
 */
void
ienv_lock_rights(void)
{
	int			nest_level = ienv_bound_lock_waits(LOCK_WAIT);
	ErrorContextCallback context = {0};

	context.callback = lock_context;
	context.previous = error_context_stack;
	error_context_stack = &context;
	LockDatabaseObject(ProcedureRelationId, ienv_oids()->functions[0], 0,
					   ShareUpdateExclusiveLock);
	error_context_stack = context.previous;
	AtEOXact_GUC(false, nest_level);
}

/*
 * Error context callback: the waiting statement does not reveal what it waits
 * for.
 */
static void
lock_context(void *arg)
{
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		errhint("Another transaction is changing who may use the extension, through guard() or a grant; try again when it has ended.");
	errcontext("while locking the privileges on the functions of extension \"%s\"", IENV_SCHEMA);
}
