/*-------------------------------------------------------------------------
 *
 * isolation_make.c
 *	  Isolating a relation, and undoing it: the statements.
 *
 * They run as the relation's owner (see table_owner.c), because ALTER TABLE may
 * compute the partition key, which is the owner's code.
 *
 * Nothing here ever lets a role see more rows than before.  A restrictive
 * policy only takes away.  PostgreSQL shows no row at all if no permissive
 * policy allows it, so isolate() adds one, but only if it was isolate() that
 * has enabled row-level security, and nobody has made a permissive policy.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/isolation.h"
#include "table/table.h"

static void create_policy(IenvReport *report, Oid relid, AttrNumber attno,
						  const char *name, bool permissive,
						  const char *action);
static void set_row_security(IenvReport *report, Oid relid,
							 const char *what, bool found);
static void tell(IenvReport *report, const char *object, const char *name,
				 Oid relid, const char *action);
static void drop_policy(Oid relid, const char *name);

/*
 * Isolate one relation by the column of this name; with owner, also from its
 * owner.  Makes what is missing, and reports all of it, unless report is NULL.
 * SPI is connected, and the relation is locked in AccessExclusiveLock.
 */
void
ienv_isolate_relation(IenvReport *report, Oid relid, const char *column,
					  bool owner)
{
	AttrNumber	attno = get_attnum(relid, column);
	IenvIsolation is;
	IenvActing	saved;
	bool		replaces;
	bool		force;
	bool		permit;
	const char *name;
	ListCell   *lc;

	ienv_read_isolation(relid, &is);
	replaces = is.altered != NIL || (is.attno > 0 && is.attno != attno);
	force = owner || ienv_is_forced_by_us(&is);
	permit = is.permits > 0 || (!is.enabled && !is.others_permit);

	/* one that was forced before is none of ours */
	name = force && (!is.forced || ienv_is_forced_by_us(&is)) ?
		IENV_POLICY_RESTRICTS_OWNER : IENV_POLICY_RESTRICTS;

	ienv_act_as_owner_of(relid, &saved);
	foreach(lc, is.altered)
		drop_policy(relid, lfirst(lc));
	if (is.attno > 0 && is.attno != attno)
		drop_policy(relid, is.policy);
	if (is.permits > 0 && is.permits != attno)
		drop_policy(relid, IENV_POLICY_PERMITS);
	if (is.attno != attno)
		create_policy(report, relid, attno, name, false,
					  replaces ? IENV_REPLACED : IENV_CREATED);
	else
	{
		if (force && !is.forced &&
			strcmp(is.policy, IENV_POLICY_RESTRICTS_OWNER) != 0)
			ienv_execute("ALTER POLICY %s ON %s RENAME TO %s",
						 quote_identifier(is.policy), ienv_kept_name(relid),
						 IENV_POLICY_RESTRICTS_OWNER);
		else
			name = is.policy;
		tell(report, "policy", name, relid, replaces ? IENV_REPLACED :
			 IENV_FOUND);
	}
	if (permit && is.permits != attno)
		create_policy(report, relid, attno, IENV_POLICY_PERMITS, true,
					  is.permits > 0 ? IENV_REPLACED : IENV_CREATED);
	else if (permit)
		tell(report, "policy", IENV_POLICY_PERMITS, relid, IENV_FOUND);
	set_row_security(report, relid, "ENABLE", is.enabled);
	if (force)
		set_row_security(report, relid, "FORCE", is.forced);
	ienv_act_as_self(&saved);

	if (!permit && !is.others_permit)
		ereport(NOTICE,
				(errmsg("no policy of table %s lets a role other than its owner see a row",
						ienv_quoted_name(relid)),
				 errdetail("Row-level security was enabled before, without a permissive policy; isolation adds none."),
				 errhint("Create a permissive policy for the roles that are to see rows.")));
}

static void
create_policy(IenvReport *report, Oid relid, AttrNumber attno,
			  const char *name, bool permissive, const char *action)
{
	const char *condition = ienv_isolation_condition(relid, attno);

	ienv_execute("CREATE POLICY %s ON %s AS %s FOR ALL TO PUBLIC USING (%s) WITH CHECK (%s)",
				 name, ienv_kept_name(relid),
				 permissive ? "PERMISSIVE" : "RESTRICTIVE", condition,
				 condition);
	tell(report, "policy", name, relid, action);
}

/*
 * Have row-level security enabled or forced.
 */
static void
set_row_security(IenvReport *report, Oid relid, const char *what, bool found)
{
	if (!found)
		ienv_execute("ALTER TABLE %s %s ROW LEVEL SECURITY",
					 ienv_kept_name(relid), what);
	tell(report, "row-level security",
		 strcmp(what, "FORCE") == 0 ? "of the owner" : "of others", relid,
		 found ? IENV_FOUND : IENV_ENABLED);
}

static void
tell(IenvReport *report, const char *object, const char *name, Oid relid,
	 const char *action)
{
	if (report != NULL)
		ienv_report(report, object, name, relid, action);
}

static void
drop_policy(Oid relid, const char *name)
{
	ienv_execute("DROP POLICY %s ON %s", quote_identifier(name),
				 ienv_kept_name(relid));
}

/*
 * Remove what isolates a relation.  Row-level security stays enabled unless
 * isolate() has enabled it, and nobody has made a policy since.  False if there
 * is nothing to remove.  The same goes for the caller as above.
 */
bool
ienv_unisolate_relation(Oid relid)
{
	IenvIsolation is;
	IenvActing	saved;
	ListCell   *lc;

	ienv_read_isolation(relid, &is);
	if (is.attno == 0 && is.altered == NIL && is.permits == 0)
		return false;

	ienv_act_as_owner_of(relid, &saved);
	foreach(lc, is.altered)
		drop_policy(relid, lfirst(lc));
	if (is.attno > 0)
		drop_policy(relid, is.policy);
	if (is.permits > 0)
		drop_policy(relid, IENV_POLICY_PERMITS);
	if (is.forced && ienv_is_forced_by_us(&is))
		ienv_execute("ALTER TABLE %s NO FORCE ROW LEVEL SECURITY",
					 ienv_kept_name(relid));
	if (is.enabled && is.permits > 0 && !is.others)
		ienv_execute("ALTER TABLE %s DISABLE ROW LEVEL SECURITY",
					 ienv_kept_name(relid));
	else if (is.enabled)
		ereport(NOTICE,
				(errmsg("row-level security of table %s stays enabled",
						ienv_quoted_name(relid)),
				 is.others ?
				 errdetail("The table has policies that isolate() has not made.") :
				 errdetail("It was enabled before the table was isolated.")));
	ienv_act_as_self(&saved);
	return true;
}
