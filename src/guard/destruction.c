/*-------------------------------------------------------------------------
 *
 * destruction.c
 *	  Whether a statement may destroy users of production.
 *
 * TRUNCATE and DROP of a counted table are refused while it holds a row of a
 * production instance that is or was active; and, if a superuser has set a
 * limit, so is a statement that deletes many of them (deletion_limit.c).  This
 * is against mistakes: a table's owner and superusers may do it after setting
 * instance_env.allow_destructive, and the audit log then has it.
 *
 * Any role can set that parameter, so it only counts if both the current user
 * and the role that has set it have the owner's rights.  The current user
 * alone would not do: PostgreSQL runs the cascades of a foreign key as the
 * owner of the table that they delete from, whoever has started them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "base/base.h"
#include "guard/destruction.h"
#include "guard/guard.h"
#include "table/table.h"

#define ALLOW_DESTRUCTIVE IENV_SCHEMA ".allow_destructive"

int			ienv_destructive_rows = 0;
static bool allow_destructive = false;

static Oid	setting_role(void);
static bool may_name(const IenvGuard *guard);

/*
 * Define the parameters.  Called when the library is loaded.
 */
void
ienv_destruction_init(void)
{
	DefineCustomBoolVariable(ALLOW_DESTRUCTIVE,
							 "Allows a table's owner to destroy users of production instances.",
							 "It counts only for those who have the rights of the table's owner.",
							 &allow_destructive, false, PGC_USERSET, 0, NULL,
							 NULL, NULL);
	DefineCustomIntVariable(IENV_SCHEMA ".destructive_rows",
							"Sets how many users of production instances one statement may delete.",
							"Zero means that there is no limit.",
							&ienv_destructive_rows, 0, 0, INT_MAX, PGC_SUSET,
							0, NULL, NULL, NULL);
}

/*
 * Is the extension in this database?  Hooks are called in all of them.
 */
bool
ienv_is_installed(void)
{
	Oid			schema = get_namespace_oid(IENV_SCHEMA, true);

	return OidIsValid(schema) &&
		OidIsValid(get_relname_relid("instance", schema));
}

/*
 * The role that has given the parameter its value, as PostgreSQL keeps it;
 * InvalidOid if that was the server's configuration.  What a session begins
 * with, by ALTER ROLE or from the client, is the session user's.
 */
static Oid
setting_role(void)
{
	static struct config_generic *setting = NULL;

	/* a defined parameter stays in place */
	if (setting == NULL)
		setting = ienv_find_setting(ALLOW_DESTRUCTIVE);
	if (setting == NULL || setting->source <= PGC_S_GLOBAL)
		return InvalidOid;
	return setting->source < PGC_S_INTERACTIVE ? GetSessionUserId() :
		setting->srole;
}

/*
 * Is the current user allowed to destroy what is in this table?
 *
 * Code of another role within a security-restricted operation is not, since
 * the audit log could not say whose it was.
 */
bool
ienv_may_destroy(Oid relid)
{
	Oid			owner;
	Oid			setter;

	if (!allow_destructive || InSecurityRestrictedOperation())
		return false;
	owner = ienv_relation_owner(relid);
	setter = setting_role();
	return has_privs_of_role(GetUserId(), owner) &&
		(!OidIsValid(setter) || has_privs_of_role(setter, owner));
}

/*
 * Refuse a statement that would destroy users, of which *victim is an example.
 * message is the primary message, complete.
 */
void
ienv_refuse_destruction(const IenvGuard *guard, const IenvVictim *victim,
						const char *message)
{
	const char *application = "";
	const char *name = NULL;

	if (may_name(guard))
	{
		name = ienv_instance_text(victim->value, guard->is_uuid);
		application = ienv_application_sentence(victim->value, guard->is_uuid);
	}
	ereport(ERROR,
			(errcode(ERRCODE_IENV_DESTRUCTIVE_OPERATION),
			 errmsg_internal("%s", message),
			 name == NULL ?
			 errdetail("Some rows belong to a production instance that has been promoted.") :
			 victim->suspended ?
			 errdetail("Some rows belong to production instance %s, which is suspended.%s",
					   name, application) :
			 errdetail("Some rows belong to production instance %s, which is active.%s",
					   name, application),
			 errhint("If they are to be destroyed, the table's owner or a superuser can do it after SET LOCAL %s = on, in the same transaction.",
					 ALLOW_DESTRUCTIVE),
			 ienv_errguard(guard, NULL)));
}

/*
 * May the current user see what the table's rows say?  Whoever may truncate or
 * drop a table need not be allowed to read it.
 */
static bool
may_name(const IenvGuard *guard)
{
	Oid			role = GetUserId();

	return (pg_class_aclcheck(guard->relid, role, ACL_SELECT) == ACLCHECK_OK ||
			pg_attribute_aclcheck(guard->relid, guard->instance_attno, role,
								  ACL_SELECT) == ACLCHECK_OK) &&
		check_enable_rls(guard->relid, InvalidOid, true) != RLS_ENABLED;
}

/*
 * Called for each table, and each partition, before it is truncated: refuses
 * that, or records it.
 */
void
ienv_check_truncate(const IenvGuard *guard)
{
	IenvVictim	victim;

	/* what a subscriber applies has happened already */
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
		!ienv_find_victim(guard, &victim))
		return;
	if (!ienv_may_destroy(guard->relid))
		ienv_refuse_destruction(guard, &victim,
								psprintf("cannot truncate table %s because it holds users of production",
										 ienv_quoted_name(guard->relid)));
	ienv_record_table_event("truncate", &victim.id, guard->relid, (Datum) 0,
							(Datum) 0);
}
