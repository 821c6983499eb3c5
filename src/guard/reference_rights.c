/*-------------------------------------------------------------------------
 *
 * reference_rights.c
 *	  Who may have guard() make a foreign key that refers to users.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"

#include "base/base.h"
#include "guard/guard.h"
#include "guard/reference.h"
#include "table/table.h"

static void check_may_refer(Oid role, Oid user_table);

/*
 * The label of user_table, whose users rows of relid are to refer to; raises
 * an error if it is not guarded, or if there may be no foreign key.
 */
const char *
ienv_label_of_users(Oid relid, Oid user_table)
{
	const IenvGuard *users;

	/* before anything is locked */
	check_may_refer(GetUserId(), user_table);
	check_may_refer(ienv_relation_owner(relid), user_table);

	users = ienv_guard_of(user_table);
	if (users == NULL || users->root != user_table)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is not a guarded table",
						ienv_quoted_name(user_table)),
				 errhint("Call instance_env.guard() for it first.")));
	return pstrdup(users->label);
}

/*
 * Check that this role may create a foreign key that refers to the table, or
 * to any column of it.
 */
static void
check_may_refer(Oid role, Oid user_table)
{
	if (pg_class_aclcheck(user_table, role, ACL_REFERENCES) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(user_table, role, ACL_REFERENCES,
								  ACLMASK_ANY) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for table %s",
					ienv_quoted_name(user_table)),
			 errdetail("A foreign key that refers to it requires the REFERENCES privilege, which role \"%s\" does not have.",
					   GetUserNameFromId(role, false))));
}

/*
 * The query that checks a new foreign key reads both tables as relid's owner.
 * It thus runs code that user_table's owner has attached to that table, with
 * privileges that the latter role may not have.
 */
void
ienv_check_same_rights(Oid relid, Oid user_table)
{
	Oid			owner = ienv_relation_owner(relid);

	if (has_privs_of_role(ienv_lock_owner(user_table), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table %s belongs to a different role than table %s",
					ienv_quoted_name(user_table),
					ienv_quoted_name(relid)),
			 errdetail("Checking the foreign key would run what the former table's owner has attached to it, with the rights of role \"%s\".",
					   GetUserNameFromId(owner, false)),
			 errhint("Let role \"%s\" add the foreign key over instance and user itself, and call guard() again.",
					 GetUserNameFromId(owner, false))));
}
