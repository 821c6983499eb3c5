/*-------------------------------------------------------------------------
 *
 * table_owner.c
 *	  Acting as a table's owner.
 *
 * A statement that reads or writes a table can run code of the table's owner:
 * triggers, rules, policies, and functions used by an index, a partition key
 * or a check constraint, which PostgreSQL may evaluate as early as planning.
 * That code must not run with the privileges of those who administer the
 * extension.  So we do as PostgreSQL's maintenance commands do (vacuum_rel(),
 * cluster_rel(), DefineIndex()): act as the table's owner, in a
 * security-restricted operation, with a search_path whose schemas no other
 * user can write to, and restore all settings afterwards.  In such an
 * operation PostgreSQL refuses to change roles, to create temporary tables,
 * and to leave anything behind for later: deferred triggers, cursors WITH
 * HOLD, prepared statements.
 *
 * CREATE INDEX takes these precautions by itself.  CREATE TRIGGER and ALTER
 * TABLE ... ENABLE TRIGGER evaluate the partition key of a partitioned table.
 * The counting in seats.c opens tables and indexes, and calls only comparison
 * functions of uuid and text, so it runs no user-defined code.
 *
 * Statements refer to tables by name, and a lock on a table does not prevent
 * its schema from being renamed, after which the name may refer to a different
 * table than the one whose owner we act as.  A query is checked after parse
 * analysis.  A utility statement does not undergo parse analysis; for those,
 * the schema's pg_namespace row is locked, so that nobody can rename the
 * schema until the transaction ends (ALTER SCHEMA itself takes no other lock).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"

/* The only tables that the next statement may name; NIL: any */
static List *expected = NIL;

static post_parse_analyze_hook_type previous_hook = NULL;

static void lock_schema_name(Oid schema);
static void check_statement(ParseState *pstate, Query *query,
							JumbleState *jstate);
static bool names_another(Node *node, List *relids);

/*
 * Act as the owner of a table until ienv_act_as_self().  An error also ends
 * it, but saved must not be used across a commit.  Locks the table and its
 * partitions for reading.
 */
void
ienv_act_as_owner_of(Oid relid, IenvActing *saved)
{
	ienv_act_as(ienv_lock_owner(relid), saved);
}

/*
 * Act as a role, in a security-restricted operation, until ienv_act_as_self().
 */
void
ienv_act_as(Oid owner, IenvActing *saved)
{
	saved->nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	SetUserIdAndSecContext(owner,
						   saved->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION |
						   SECURITY_NOFORCE_RLS);
}

void
ienv_act_as_self(const IenvActing *saved)
{
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
	AtEOXact_GUC(false, saved->nest_level);
}

/*
 * The owner of a table, which is locked so that its owner cannot change.
 *
 * Refuses a table with a partition whose owner lacks the privileges of that
 * role: code that the partition's owner has attached to it would run with the
 * privileges of the table's owner.
 */
Oid
ienv_lock_owner(Oid relid)
{
	Oid			owner;
	ListCell   *lc;

	LockRelationOid(relid, AccessShareLock);
	owner = ienv_relation_owner(relid);
	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Oid			other = ienv_relation_owner(lfirst_oid(lc));

		if (!has_privs_of_role(other, owner))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("partition %s of table %s belongs to another role",
							ienv_quoted_name(lfirst_oid(lc)),
							ienv_quoted_name(relid)),
					 errdetail("Code that role \"%s\" has attached to the partition would run with the privileges of role \"%s\".",
							   GetUserNameFromId(other, false),
							   GetUserNameFromId(owner, false)),
					 errhint("Detach the partition, or review the code attached to it and transfer it to the table's owner.")));
	}
	return owner;
}

/*
 * A table's qualified name, quoted for SQL, which nobody else can give to
 * another table before the transaction ends.  The table is locked, so that it
 * keeps its own name and its schema.
 *
 * Our own transaction can still rename anything, and so can the owner's code
 * that it runs: use the name immediately, and ask again for the next
 * statement.
 */
char *
ienv_kept_name(Oid relid)
{
	lock_schema_name(get_rel_namespace(relid));
	return ienv_sql_name(relid);
}

/*
 * Lock the latest version of a schema's pg_namespace row, as SELECT FOR SHARE
 * does.
 */
static void
lock_schema_name(Oid schema)
{
	Relation	rel = table_open(NamespaceRelationId, RowShareLock);
	TM_Result	result;

	do
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;
		TM_FailureData failure;
		Buffer		buffer;

		ScanKeyInit(&key, Anum_pg_namespace_oid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(schema));
		scan = systable_beginscan(rel, NamespaceOidIndexId, true, NULL, 1,
								  &key);
		tuple = heap_copytuple(systable_getnext(scan));
		systable_endscan(scan);
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for namespace %u", schema);
		result = heap_lock_tuple(rel, tuple, GetCurrentCommandId(true),
								 LockTupleShare, LockWaitBlock, false, &buffer,
								 &failure);
		ReleaseBuffer(buffer);

		/* the previous holder of the lock may have renamed the schema */
		AcceptInvalidationMessages();
	} while (result == TM_Updated || result == TM_Deleted);
	table_close(rel, NoLock);
	if (result != TM_Ok)
		elog(ERROR, "unexpected result %d of locking schema %u", result,
			 schema);
}

/*
 * Declare that the next statement concerns only these tables; it is refused if
 * their names turn out to refer to others by now.  NIL cancels that, which the
 * caller must also do after an error.
 */
void
ienv_expect_tables(List *relids)
{
	static bool installed = false;

	if (!installed)
	{
		previous_hook = post_parse_analyze_hook;
		post_parse_analyze_hook = check_statement;
		installed = true;
	}
	expected = relids;
}

/*
 * Called for each statement after its names have been resolved, before it is
 * planned.
 */
static void
check_statement(ParseState *pstate, Query *query, JumbleState *jstate)
{
	List	   *relids = expected;

	/* code that the statement runs may parse other statements */
	expected = NIL;
	if (relids != NIL && names_another((Node *) query, relids))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("table %s has been renamed concurrently",
						ienv_quoted_name(linitial_oid(relids))),
				 errhint("Repeat the transaction.")));
	if (previous_hook != NULL)
		previous_hook(pstate, query, jstate);
}

static bool
names_another(Node *node, List *relids)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		const RangeTblEntry *rte = (const RangeTblEntry *) node;

		return rte->rtekind == RTE_RELATION &&
			!list_member_oid(relids, rte->relid);
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, names_another, relids,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, names_another, relids);
}

/*
 * Limit how long any statement waits for a lock, in milliseconds, until
 * AtEOXact_GUC() is called with the result; a lock_timeout set by the session
 * takes precedence.
 */
int
ienv_bound_lock_waits(int milliseconds)
{
	int			nest_level = NewGUCNestLevel();

	if (LockTimeout == 0)
	{
		char		value[16];

		snprintf(value, sizeof(value), "%d", milliseconds);
		(void) set_config_option("lock_timeout", value, PGC_USERSET,
								 PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
	return nest_level;
}

/*
 * The role that owns a relation.
 */
Oid
ienv_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}
