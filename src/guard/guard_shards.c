/*-------------------------------------------------------------------------
 *
 * guard_shards.c
 *	  What is wrong with the guards of a distributed table's shards.
 *
 * The triggers that do the work are those of the shards, on whatever nodes
 * these are.  guard_list.c looks at those of this node; each other is asked, by
 * a query on its catalogs, which opens no table and waits for nobody.  Citus
 * asks by connections of their own, so the answers are about what has been
 * committed: a guard that this transaction has made is taken for whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

static char *question(const IenvGuard *guard, int wanted, int disabled);

/*
 * Add what is wrong with the shards of a distributed table, as phrases.
 * present and disabled are the triggers of the table itself.
 */
List *
ienv_shard_problems(List *problems, const IenvGuard *guard, int present,
					int disabled)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			type = TEXTOID;
	Datum		command;
	IenvOwner	saved;
	uint64		n;

	if (!ienv_is_distributed(guard->relid) ||
		TransactionIdIsCurrentTransactionId(guard->made_by))
		return problems;

	/* it stays on the table itself: TRUNCATE names that */
	present &= ~IENV_TRIGGER_TRUNCATE;
	command = CStringGetTextDatum(question(guard, present, disabled));
	SPI_connect();
	ienv_become_owner(&saved);
	n = ienv_query_latest("SELECT CASE WHEN r.success THEN r.result"
						  "  ELSE pg_catalog.format('the shards of node %s:%s could not be looked at: %s',"
						  "   d.nodename, d.nodeport, r.result) END"
						  " FROM pg_catalog.run_command_on_all_nodes($1) AS r"
						  " JOIN pg_catalog.pg_dist_node AS d"
						  "  ON d.nodeid OPERATOR(pg_catalog.=) r.nodeid"
						  " WHERE d.groupid OPERATOR(pg_catalog.<>)"
						  "  (SELECT groupid FROM pg_catalog.pg_dist_local_group)"
						  " AND (r.success IS NOT TRUE"
						  "  OR r.result OPERATOR(pg_catalog.<>) '')"
						  " ORDER BY d.nodeid",
						  1, &type, &command, NULL);
	ienv_leave_owner(&saved);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *problem = ienv_result_text(i, 1);
		MemoryContext old = MemoryContextSwitchTo(context);

		problems = lappend(problems, pstrdup(problem));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return problems;
}

/*
 * The query that each node answers for its own shards.
 */
static char *
question(const IenvGuard *guard, int wanted, int disabled)
{
	StringInfoData tables;
	StringInfoData triggers;
	ListCell   *lc;

	initStringInfo(&tables);
	foreach(lc, find_all_inheritors(guard->relid, NoLock, NULL))
		appendStringInfo(&tables, "%spg_catalog.to_regclass(%s)",
						 tables.len > 0 ? ", " : "",
						 quote_literal_cstr(ienv_sql_name(lfirst_oid(lc))));
	initStringInfo(&triggers);
	for (int i = 0; i < IENV_TRIGGERS; i++)
		if (wanted & ienv_trigger_kinds[i].bit)
			appendStringInfo(&triggers, "%s('%s', '%s.%s()'::pg_catalog.regprocedure, %s)",
							 triggers.len > 0 ? ", " : "",
							 ienv_trigger_kinds[i].name, IENV_SCHEMA,
							 ienv_trigger_kinds[i].function,
							 disabled & ienv_trigger_kinds[i].bit ? "true" :
							 "false");
	if (triggers.len == 0)
		return pstrdup("SELECT ''");
	return psprintf("SELECT COALESCE(pg_catalog.string_agg(DISTINCT"
					"  pg_catalog.format(CASE WHEN t.oid IS NULL"
					"   THEN 'trigger %%s is missing on shards'"
					"   ELSE 'trigger %%s is disabled on shards' END, e.name),"
					"  '; '), '')"
					" FROM pg_catalog.pg_dist_shard AS s"
					" JOIN pg_catalog.pg_dist_placement AS p"
					"  ON p.shardid OPERATOR(pg_catalog.=) s.shardid"
					" JOIN pg_catalog.pg_dist_local_group AS g"
					"  ON g.groupid OPERATOR(pg_catalog.=) p.groupid"
					" CROSS JOIN (VALUES %s) AS e (name, function, disabled)"
					" LEFT JOIN pg_catalog.pg_trigger AS t"
					"  ON t.tgrelid OPERATOR(pg_catalog.=)"
					"   pg_catalog.to_regclass(pg_catalog.shard_name(s.logicalrelid, s.shardid, false))"
					"  AND t.tgfoid OPERATOR(pg_catalog.=) e.function"
					" WHERE s.logicalrelid OPERATOR(pg_catalog.=) ANY (ARRAY[%s])"
					" AND (t.oid IS NULL OR (NOT e.disabled"
					"  AND t.tgenabled OPERATOR(pg_catalog.=) 'D'))",
					triggers.data, tables.data);
}
