/*-------------------------------------------------------------------------
 *
 * elsewhere.c
 *	  Guarded tables that only another node of a cluster knows.
 *
 * On a Citus cluster each node has the registry, and knows the distributed
 * tables.  But a table can also be local to one node, such as one that was
 * guarded before there was a cluster, and no other can see its rows.  What
 * administration decides by the users of an instance must not be decided where
 * such a table is overlooked.
 *
 * The other nodes are asked for their catalogs.  They answer by connections of
 * their own, with what has been committed, and wait for nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "table/table.h"

static char *question(void);

/*
 * The guarded tables that administration looks at, but that only another node
 * has, in words: each table and its node.  NULL if there are none, or the
 * registry is not distributed.
 */
char *
ienv_tables_elsewhere(void)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *tables;
	Oid			type = TEXTOID;
	Datum		command;
	IenvOwner	saved;

	if (!ienv_registry_is_distributed())
		return NULL;
	command = CStringGetTextDatum(question());
	SPI_connect();
	ienv_become_owner(&saved);
	(void) ienv_query_latest("SELECT pg_catalog.string_agg("
							 "  pg_catalog.format('%s of node %s:%s', r.result,"
							 "   d.nodename, d.nodeport), ', ' ORDER BY d.nodeid)"
							 " FROM pg_catalog.run_command_on_all_nodes($1) AS r"
							 " JOIN pg_catalog.pg_dist_node AS d"
							 "  ON d.nodeid OPERATOR(pg_catalog.=) r.nodeid"
							 " WHERE d.groupid OPERATOR(pg_catalog.<>)"
							 "  (SELECT groupid FROM pg_catalog.pg_dist_local_group)"
							 " AND r.success"
							 " AND r.result OPERATOR(pg_catalog.<>) ''",
							 1, &type, &command, NULL);
	ienv_leave_owner(&saved);
	tables = ienv_result_text(0, 1);
	if (tables != NULL)
		tables = MemoryContextStrdup(context, tables);
	SPI_finish();
	return tables;
}

/*
 * The query that each node answers: its guarded tables that it alone knows.
 * Partitions, and the tables of untrusted owners (trust.c), are left out, as
 * by guarded_tables.c.
 */
static char *
question(void)
{
	StringInfoData functions;

	initStringInfo(&functions);
	for (int i = 0; i < IENV_TRIGGERS; i++)
		if (ienv_trigger_kinds[i].bit != IENV_TRIGGER_TRUNCATE)
			appendStringInfo(&functions, "%s'%s.%s()'::pg_catalog.regprocedure",
							 functions.len > 0 ? ", " : "", IENV_SCHEMA,
							 ienv_trigger_kinds[i].function);
	return psprintf("SELECT COALESCE(pg_catalog.string_agg(DISTINCT"
					"  pg_catalog.format('\"%%s.%%s\"', n.nspname, c.relname),"
					"  ', '), '')"
					" FROM pg_catalog.pg_trigger AS t"
					" JOIN pg_catalog.pg_class AS c"
					"  ON c.oid OPERATOR(pg_catalog.=) t.tgrelid"
					" JOIN pg_catalog.pg_namespace AS n"
					"  ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
					" WHERE t.tgfoid OPERATOR(pg_catalog.=) ANY (ARRAY[%s]::pg_catalog.oid[])"
					" AND t.tgparentid OPERATOR(pg_catalog.=) 0"
					" AND c.relpersistence OPERATOR(pg_catalog.<>) 't'"
					" AND pg_catalog.has_function_privilege(c.relowner, t.tgfoid, 'EXECUTE')"
					" AND NOT pg_catalog.relation_is_a_known_shard(c.oid)"
					" AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_partition AS p"
					"  WHERE p.logicalrelid OPERATOR(pg_catalog.=) c.oid)",
					functions.data);
}
