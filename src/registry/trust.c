/*-------------------------------------------------------------------------
 *
 * trust.c
 *	  Whose guarded tables administration looks at.
 *
 * Those of superusers, and of roles that may execute the trigger functions.  Nobody may by
 * default; guard() gives the right to the owner of the table, if the caller is one who may
 * guard, and grant_guard() and grant_admin() give it along with guard() itself.  It is also
 * what PostgreSQL asks for when the triggers are created, or cloned to a partition.
 *
 * So the list of those who have been let in is PostgreSQL's own: it is dumped and restored,
 * and revoke_access() or REVOKE shortens it.
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

/* Nobody waits longer to change the rights on our functions, in milliseconds, unless by lock_timeout */
#define LOCK_WAIT 5000

static void lock_context(void *arg);

/*
 * Has administration let this role in?  So it has if the role may execute the trigger
 * functions; guard() and grant_guard() give all of them at once.
 */
bool
ienv_is_let_in(Oid role)
{
	return ienv_may_execute(ienv_oids()->functions[0], role);
}

/*
 * Let the table's owner execute the trigger functions, if he may not yet: PostgreSQL asks
 * for that when he makes a partition, and administration takes it for the sign that the
 * table counts.  Returns whether there was something to do.  SPI is connected.
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
			appendStringInfo(&functions, "%s%s.%s()", functions.len > 0 ? ", " : "",
							 IENV_SCHEMA, ienv_trigger_kinds[i].function);
	if (functions.len == 0)
		return false;

	ienv_become_owner(&saved);
	if (!ienv_may_use_schema(oids->schema, owner))
		ienv_execute("GRANT USAGE ON SCHEMA %s TO %s", IENV_SCHEMA, quote_identifier(name));
	ienv_execute("GRANT EXECUTE ON FUNCTION %s TO %s", functions.data, quote_identifier(name));
	ienv_leave_owner(&saved);
	CommandCounterIncrement();
	ienv_record_event("guard", NULL, NULL, name, 0, ienv_jsonb("{\"execute\": \"trigger functions\"}"));
	return true;
}

/*
 * Keep others from changing the rights on our functions through the extension until the
 * transaction ends: two that do so at once get in each other's way, and the second would
 * fail with "tuple concurrently updated" after it has waited.
 *
 * Anybody who may guard can hold this in a transaction that he leaves open.  So nobody
 * waits for it for long.
 */
void
ienv_lock_rights(void)
{
	int			nest_level = ienv_bound_lock_waits(LOCK_WAIT);
	ErrorContextCallback context = {0};

	context.callback = lock_context;
	context.previous = error_context_stack;
	error_context_stack = &context;
	LockDatabaseObject(ProcedureRelationId, ienv_oids()->functions[0], 0, ShareUpdateExclusiveLock);
	error_context_stack = context.previous;
	AtEOXact_GUC(false, nest_level);
}

/*
 * Error context callback: the statement that waits says nothing of what it waits for.
 */
static void
lock_context(void *arg)
{
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		errhint("Another transaction is changing who may use the extension, through guard() or a grant; try again when it has ended.");
	errcontext("while locking the privileges on the functions of extension \"%s\"", IENV_SCHEMA);
}
