/*-------------------------------------------------------------------------
 *
 * distributed_rows.c
 *	  Counting and locking the rows of a distributed table (base/shard.c).
 *
 * All rows of an instance are in one shard, and which node has it is for Citus
 * to find: what is asked here is SQL on the table, from any node.  It runs as
 * the table's owner, here and on the other node, and with the snapshot that
 * the other node takes.  So rows of open transactions are not counted, unless
 * they are the caller's: an exact count takes a lock on the table first.
 *
 * LOCK TABLE locks the table on all nodes, in their order, and every statement
 * that writes to the table locks it on the node that it was sent to.  Who waits
 * on another node waits by that node's lock_timeout, so ours is passed on.
 *
 * These functions are called by SQL that can itself be about a table of the
 * extension's, which Citus takes for a query on a shard, and in which it
 * refuses another one lest that have odd effects.  It has none: we do not
 * depend on what the query around does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "base/base.h"
#include "table/table.h"

/* How to run a query: EXPLAIN does not count as one that only reads */
typedef uint64 (*Run) (const char *sql, int nargs, const Oid *types,
					   const Datum *values, const char *nulls);

/* A lock on a table */
typedef struct Wanted
{
	Oid			relid;
	LOCKMODE	lockmode;
	int			milliseconds;
} Wanted;

static char *rows_of(const IenvGuard *guard, Datum column);
static uint64 query_as_owner(Oid relid, const char *sql, Run run);
static void lock_as_owner(void *arg);
static void execute_lock(Oid relid, const char *sql);
static void allow_nesting(void);
static void pass_on_lock_timeout(int milliseconds);
static const char *name_of_mode(LOCKMODE lockmode);

/*
 * Does a table have its rows in shards?
 */
bool
ienv_is_distributed(Oid relid)
{
	return ienv_place_of(relid, NULL) != IENV_HERE;
}

/*
 * Could row-level security hide rows of a distributed table from its owner?
 * Then nobody can count them: on another node, the owner's own policies apply.
 */
bool
ienv_hides_rows(Oid relid)
{
	return ienv_is_distributed(relid) &&
		check_enable_rls(relid, ienv_relation_owner(relid), true) == RLS_ENABLED;
}

/*
 * How many rows of an instance a distributed table has; counting stops after
 * limit.
 */
int64
ienv_distributed_count(const IenvGuard *guard, Datum value, int64 limit)
{
	Datum		column;
	char	   *sql;
	bool		isnull;
	int64		count;

	if (ienv_hides_rows(guard->relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of distributed table %s cannot be counted",
						ienv_quoted_name(guard->relid)),
				 errdetail("Its row-level security is forced on its owner, who counts them on other nodes."),
				 errhint("Have the owner stop that with ALTER TABLE ... NO FORCE ROW LEVEL SECURITY.")));
	if (!ienv_column_of_value(guard->instance_type, value, &column))
		return 0;
	SPI_connect();
	sql = rows_of(guard, column);
	if (limit < PG_INT64_MAX)
		sql = psprintf("SELECT pg_catalog.count(*) FROM (SELECT%s LIMIT " INT64_FORMAT ") AS r",
					   sql, limit + 1);
	else
		sql = psprintf("SELECT pg_catalog.count(*)%s", sql);
	if (query_as_owner(guard->relid, sql, ienv_query_latest) != 1)
		elog(ERROR, "unexpected number of rows");
	count = DatumGetInt64(ienv_result_datum(0, 1, &isnull));
	SPI_finish();
	return count;
}

/*
 * How many rows of an instance the node that has them expects to find, by its
 * statistics.
 */
double
ienv_distributed_estimate(const IenvGuard *guard, Datum value)
{
	Datum		column;
	Oid			type = JSONBOID;
	Datum		plan;
	double		rows = 0;

	if (!ienv_column_of_value(guard->instance_type, value, &column))
		return 0;
	SPI_connect();
	if (query_as_owner(guard->relid,
					   psprintf("EXPLAIN (FORMAT JSON) SELECT%s",
								rows_of(guard, column)), ienv_query) == 1)
	{
		plan = ienv_jsonb(ienv_result_text(0, 1));
		if (ienv_query_latest("SELECT pg_catalog.jsonb_path_query_first($1,"
							  " '$[*].**.\"Remote Plan\"[*][*].Plan.\"Plan Rows\"')"
							  "::pg_catalog.float8",
							  1, &type, &plan, NULL) == 1)
		{
			bool		isnull;
			Datum		found = ienv_result_datum(0, 1, &isnull);

			rows = isnull ? 0 : DatumGetFloat8(found);
		}
	}
	SPI_finish();
	return rows;
}

/*
 * The rows of the instance whose rows have this in their instance column, as
 * FROM and WHERE.  The value is a constant, by which Citus finds the shard.
 */
static char *
rows_of(const IenvGuard *guard, Datum column)
{
	Oid			output;
	bool		varlena;

	getTypeOutputInfo(guard->instance_type, &output, &varlena);
	return psprintf(" FROM %s WHERE %s OPERATOR(pg_catalog.=) %s::pg_catalog.%s",
					ienv_sql_name(guard->relid),
					quote_identifier(get_attname(guard->relid,
												 guard->instance_attno, false)),
					quote_literal_cstr(OidOutputFunctionCall(output, column)),
					ienv_name_of_type(guard->instance_type));
}

/*
 * Run a query on a distributed table as its owner.  SPI is connected.
 */
static uint64
query_as_owner(Oid relid, const char *sql, Run run)
{
	IenvActing	saved;
	volatile uint64 n = 0;

	ienv_act_as_owner_of(relid, &saved);
	allow_nesting();
	ienv_expect_tables(list_make1_oid(relid));
	PG_TRY();
	{
		n = run(sql, 0, NULL, NULL, NULL);
	}
	PG_FINALLY();
	{
		ienv_expect_tables(NIL);
	}
	PG_END_TRY();
	ienv_act_as_self(&saved);
	return n;
}

/*
 * Lock a distributed table, with its partitions, on all nodes until the
 * transaction ends; fail where that takes longer than so many milliseconds, on
 * any of them, or 0 to wait for ever.
 *
 * This is done in a subtransaction because Citus passes settings on only in
 * what it recognizes as a transaction of several statements.
 */
void
ienv_lock_distributed(Oid relid, LOCKMODE lockmode, int milliseconds)
{
	Wanted		wanted = {relid, lockmode, milliseconds};
	ErrorData  *error = ienv_attempt(lock_as_owner, &wanted, true);

	if (error != NULL)
		ReThrowError(error);
}

static void
lock_as_owner(void *arg)
{
	const Wanted *wanted = arg;
	int			before = LockTimeout;
	IenvActing	saved;

	SPI_connect();
	ienv_act_as_owner_of(wanted->relid, &saved);
	allow_nesting();
	pass_on_lock_timeout(wanted->milliseconds);
	execute_lock(wanted->relid,
				 psprintf("LOCK TABLE %s IN %s MODE",
						  ienv_kept_name(wanted->relid),
						  name_of_mode(wanted->lockmode)));
	pass_on_lock_timeout(before);
	ienv_act_as_self(&saved);
	SPI_finish();
}

/*
 * That another node has waited for too long, Citus says in a warning, and fails
 * with an error that tells nothing.
 */
static void
execute_lock(Oid relid, const char *sql)
{
	MemoryContext context = CurrentMemoryContext;

	(void) set_config_option("client_min_messages", "error", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	PG_TRY();
	{
		ienv_execute("%s", sql);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_INTERNAL_ERROR)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not lock table %s on all nodes of the cluster",
						ienv_quoted_name(relid)),
				 errhint("Try again when no other session has the table locked, and all nodes are running.")));
	}
	PG_END_TRY();
}

/*
 * Have Citus run what we do while it runs something else for us, until the
 * settings are restored.
 */
static void
allow_nesting(void)
{
	(void) set_config_option("citus.allow_nested_distributed_execution", "on",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
}

/*
 * Limit how long other nodes wait for a lock on behalf of this transaction, in
 * milliseconds.  Until the settings are restored, that goes for this node, too.
 */
static void
pass_on_lock_timeout(int milliseconds)
{
	(void) set_config_option("citus.propagate_set_commands", "local",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	ienv_execute("SET LOCAL lock_timeout = %d", milliseconds);
}

/*
 * Tell the other nodes how long to wait for a lock from now on, as this node
 * does.
 */
void
ienv_pass_on_lock_timeout(void)
{
	int			milliseconds = LockTimeout;
	int			nest_level = NewGUCNestLevel();

	/* by a connection of its own, lest the caller's last result get lost */
	SPI_connect();
	pass_on_lock_timeout(milliseconds);
	SPI_finish();
	AtEOXact_GUC(false, nest_level);
}

static const char *
name_of_mode(LOCKMODE lockmode)
{
	switch (lockmode)
	{
		case RowExclusiveLock:
			return "ROW EXCLUSIVE";
		case ShareLock:
			return "SHARE";
		case ShareRowExclusiveLock:
			return "SHARE ROW EXCLUSIVE";
		default:
			elog(ERROR, "unexpected lock mode %d", lockmode);
	}
}
