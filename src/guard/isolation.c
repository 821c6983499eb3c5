/*-------------------------------------------------------------------------
 *
 * isolation.c
 *	  isolate() and unisolate(): letting roles see and write only the rows of
 *	  the instance that their session has entered.
 *
 * PostgreSQL itself does that, by row-level security: see isolation_policy.c
 * for the policies.  A partition that a statement names directly is subject to
 * its own policies only, not to those of its table; so each partition gets the
 * same, and the event trigger of ddl.c sees to new ones.
 *
 * A partition's parent, not the root, says whether a new partition is to be
 * isolated: the statement that adds it has locked the parent, but not the root,
 * and to wait for that might be a deadlock with isolate(), which locks from the
 * root down.
 *
 * Isolation needs the guard only to know the column.  It stays when the guard is
 * removed, or a partition detached: what protects data never goes without being
 * asked to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/isolation.h"
#include "registry/registry.h"
#include "table/table.h"

/*
 * How long to wait for each table: others wait behind us.  In ms, unless
 * lock_timeout is set.
 */
#define LONGEST_WAIT_MS 5000

static List *lock_tree(Oid relid, const char *what);
static void lock_context(void *arg);
static AttrNumber guarded_by(Oid relid);
static void refuse_partition(Oid relid, const char *function);
static void check_schema(Oid relid);

PG_FUNCTION_INFO_V1(instance_env_isolate);
PG_FUNCTION_INFO_V1(instance_env_unisolate);

/*
 * isolate(relation regclass, owner boolean)
 *		 RETURNS TABLE (object text, name text, on_table regclass, action text)
 *
 * Creates the policies on a guarded table and its partitions, and enables
 * row-level security; with owner, also forces it on the owner.  A call without
 * owner never takes that back.  Takes AccessExclusiveLock on all of them.
 */
Datum
instance_env_isolate(PG_FUNCTION_ARGS)
{
	Oid			relid;
	bool		owner;
	IenvReport	report;
	IenvIsolation is;
	char	   *column;
	List	   *tree;
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "relation");
	ienv_require_argument(fcinfo, 1, "owner");
	relid = PG_GETARG_OID(0);
	owner = PG_GETARG_BOOL(1);
	ienv_begin_report(&report, fcinfo);
	tree = lock_tree(relid, "isolate");
	if (ienv_is_distributed(relid) || OidIsValid(ienv_shell_of(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table %s cannot be isolated as it is distributed",
						ienv_quoted_name(relid)),
				 errdetail("Citus does not take the policies that this needs.")));
	column = get_attname(relid, guarded_by(relid), false);
	ienv_read_isolation(relid, &is);
	owner = owner || ienv_is_forced_by_us(&is);

	SPI_connect();
	foreach(lc, tree)
	{
		check_schema(lfirst_oid(lc));
		ienv_isolate_relation(&report, lfirst_oid(lc), column, owner);
	}
	if (!report.changed)
		ereport(NOTICE,
				(errmsg("table %s is already isolated",
						ienv_quoted_name(relid))));
	else
	{
		StringInfoData after;

		initStringInfo(&after);
		appendStringInfoString(&after, "{\"instance_column\": ");
		escape_json(&after, column);
		appendStringInfo(&after, ", \"owner\": %s, \"made\": [%s]}",
						 owner ? "true" : "false", report.json.data);
		ienv_record_event("isolate", NULL, NULL, ienv_stable_name(relid), 0,
						  ienv_jsonb(after.data));
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * unisolate(relation regclass) RETURNS void
 *
 * Removes the policies that isolate() has made, and disables row-level security
 * if isolate() has enabled it.  The table need not be guarded any more.
 */
Datum
instance_env_unisolate(PG_FUNCTION_ARGS)
{
	Oid			relid;
	bool		changed = false;
	List	   *tree;
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "relation");
	relid = PG_GETARG_OID(0);
	tree = lock_tree(relid, "unisolate");
	if (get_rel_relispartition(relid))
		refuse_partition(relid, "unisolate");

	SPI_connect();
	foreach(lc, tree)
		changed = ienv_unisolate_relation(lfirst_oid(lc)) || changed;
	if (changed)
		ienv_record_event("unisolate", NULL, NULL, ienv_stable_name(relid), 0,
						  0);
	else
		ereport(NOTICE,
				(errmsg("table %s is not isolated, skipping",
						ienv_quoted_name(relid))));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Isolate a table that has become a partition, and what is below it, if its new
 * parent is isolated.  The statement that did that has locked it.  SPI is
 * connected.
 */
void
ienv_isolate_partition(Oid parent, Oid relid)
{
	IenvIsolation is;
	char	   *column;
	ListCell   *lc;

	ienv_read_isolation(parent, &is);
	if (is.attno == 0)
		return;
	column = get_attname(parent, is.attno, false);
	foreach(lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		check_schema(lfirst_oid(lc));
		ienv_isolate_relation(NULL, lfirst_oid(lc), column, is.forced);
	}
}

/*
 * Is a relation isolated, and all that row-level security hides in it, hidden
 * by that?
 */
bool
ienv_only_isolated(Oid relid)
{
	IenvIsolation is;

	ienv_read_isolation(relid, &is);
	return is.attno > 0 && is.permits > 0 && is.altered == NIL && !is.others;
}

/*
 * Say so if a table that is not guarded any more is still isolated.
 */
void
ienv_tell_isolated(Oid relid)
{
	IenvIsolation is;

	ienv_read_isolation(relid, &is);
	if (is.attno > 0)
		ereport(NOTICE,
				(errmsg("table %s is still isolated", ienv_quoted_name(relid)),
				 errhint("Call instance_env.unisolate() if roles are to see the rows of all instances.")));
}

/*
 * Lock a table, which the caller must own, and its partitions, which the caller
 * must own, too.  Returns all of them, the table first.
 */
static List *
lock_tree(Oid relid, const char *what)
{
	int			nest_level = ienv_bound_lock_waits(LONGEST_WAIT_MS);
	ErrorContextCallback context = {0};
	List	   *tree;
	ListCell   *lc;

	context.callback = lock_context;
	context.previous = error_context_stack;
	error_context_stack = &context;
	relation_close(ienv_open_owned(relid, AccessExclusiveLock), NoLock);
	tree = find_all_inheritors(relid, AccessExclusiveLock, NULL);
	error_context_stack = context.previous;
	AtEOXact_GUC(false, nest_level);

	foreach(lc, tree)
	{
		Relation	rel;

		if (!ienv_owns_relation(lfirst_oid(lc), GetUserId()))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("partition %s of table %s belongs to another role",
							ienv_quoted_name(lfirst_oid(lc)),
							ienv_quoted_name(relid)),
					 errdetail("Only its owner may create policies on it."),
					 errhint("Give the partition to the owner of the table.")));
		rel = relation_open(lfirst_oid(lc), NoLock);
		CheckTableNotInUse(rel, what);
		relation_close(rel, NoLock);
	}
	return tree;
}

/*
 * Error context callback: says what to do about a lock that was not to be had.
 */
static void
lock_context(void *arg)
{
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		errhint("Try again when no other transaction uses the table, or set lock_timeout to wait longer.");
}

/*
 * The instance column of a table that guard() was called for.
 */
static AttrNumber
guarded_by(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	IenvGuard	guard;
	int			present;
	int			disabled;
	bool		guarded = ienv_read_guard(rel, &guard, &present, &disabled);

	relation_close(rel, NoLock);
	if (!guarded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is not guarded", ienv_quoted_name(relid)),
				 errdetail("Its guard says which column names the instance of a row."),
				 errhint("Call instance_env.guard() first.")));
	if (guard.root != relid)
		refuse_partition(relid, "isolate");
	return guard.instance_attno;
}

static void
refuse_partition(Oid relid, const char *function)
{
	Oid			root = ienv_root_of(relid);

	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table %s is a partition of table %s",
					ienv_quoted_name(relid), ienv_quoted_name(root)),
			 errhint("Call instance_env.%s() for table %s.", function,
					 ienv_quoted_name(root))));
}

/*
 * The policies name our functions, and are created as the table's owner, who
 * may have lost the right to do so since the table was guarded.
 */
static void
check_schema(Oid relid)
{
	Oid			owner = ienv_relation_owner(relid);

	if (!ienv_may_use_schema(ienv_oids()->schema, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", which owns table %s, may not use schema \"%s\"",
						GetUserNameFromId(owner, false),
						ienv_quoted_name(relid), IENV_SCHEMA),
				 errhint("Call instance_env.guard() for the table again, as a role that may, or ask a superuser for instance_env.grant_guard().")));
}
