/*-------------------------------------------------------------------------
 *
 * distribute.c
 *	  distribute(): the registry on all nodes of a Citus cluster.
 *
 * The extension's tables become reference tables, of which each node has a
 * full copy: guarded tables are sharded by their instance column, and the
 * triggers of a shard read the copy that is beside it (placement.c).  Two stay
 * where they are, each node with its own: the record of departures, for tables
 * that are not distributed, since on a distributed one users are followed by
 * coded ids; and when secret keys were last used, which is unlogged.
 *
 * The nodes have neither the same numbers for roles, nor the privileges that
 * were granted on one of them.  So both are repeated by name.
 *
 * Citus is called by SQL, with names that are qualified, and is not linked to.
 * Before anything is changed, every node is asked whether it is there and can
 * load the library, because a node that cannot would refuse all rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/base.h"
#include "registry/registry.h"

static void require_citus(void);
static void require_coordinator(void);
static void require_nodes(void);
static void require_no_applications(void);
pg_noreturn static void refuse_nodes(uint64 nproblems, const char *hint);
static uint64 distribute_tables(ReturnSetInfo *rsinfo);
static void repeat_allowances(void);
static void return_table(ReturnSetInfo *rsinfo, Datum relation,
						 const char *action);

PG_FUNCTION_INFO_V1(instance_env_distribute);

/*
 * distribute() RETURNS TABLE (relation regclass, action text)
 *
 * For superusers.  Can be called again: it distributes the tables that are
 * not, as an upgrade may have added some.  Writers of the registry wait until
 * the transaction ends.
 */
Datum
instance_env_distribute(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			nest_level;
	bool		again;
	uint64		made;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to distribute the registry"),
				 errdetail("Only a superuser may do so.")));
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	require_citus();
	require_coordinator();
	require_nodes();

	/* one call at a time */
	ienv_lock_rights();
	again = ienv_registry_is_distributed();
	if (!again)
		require_no_applications();

	/*
	 * The tables keep their triggers, which tell each node's backends of a
	 * change; Citus's notices about copying would be one for each table.
	 */
	nest_level = NewGUCNestLevel();
	(void) set_config_option("citus.enable_unsafe_triggers", "on", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("client_min_messages", "warning", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	made = distribute_tables(rsinfo);
	repeat_allowances();
	ienv_on_each_node("join", again ? "again" : "first", NULL, NULL);
	ienv_on_each_node("read_placements", "views", NULL, NULL);
	ienv_repeat_grants();
	AtEOXact_GUC(true, nest_level);
	if (made > 0)
		ienv_record_event("distribute", NULL, NULL, NULL, (Datum) 0,
						  (Datum) 0);
	else
		ereport(NOTICE, (errmsg("the registry is already distributed")));
	SPI_finish();
	return (Datum) 0;
}

static void
require_citus(void)
{
	if (OidIsValid(get_extension_oid("citus", true)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("extension \"%s\" is not installed in this database",
					"citus"),
			 errdetail("A registry is distributed over the nodes of a Citus cluster."),
			 errhint("On a single server there is nothing to distribute.")));
}

/*
 * Citus makes reference tables from any node, but what is in the registry
 * already is on the coordinator.
 */
static void
require_coordinator(void)
{
	if (ienv_query("SELECT groupid FROM pg_catalog.pg_dist_local_group"
				   " WHERE groupid OPERATOR(pg_catalog.=) 0",
				   0, NULL, NULL, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot distribute the registry from a worker"),
				 errhint("Call %s.distribute() on the coordinator.",
						 IENV_SCHEMA)));
	if (ienv_query("SELECT nodeid FROM pg_catalog.pg_dist_node"
				   " WHERE groupid OPERATOR(pg_catalog.=) 0",
				   0, NULL, NULL, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the coordinator is not among the nodes of its cluster"),
				 errdetail("It needs a copy of the registry, like each worker."),
				 errhint("Call citus_set_coordinator_host() first.")));
}

/*
 * Error if a node is not active, does not answer, or lacks the extension, its
 * version, or its library.
 */
static void
require_nodes(void)
{
	uint64		nproblems;

	nproblems = ienv_query("SELECT pg_catalog.format('%s:%s: %s', n.nodename,"
						   "  n.nodeport, CASE WHEN NOT n.isactive"
						   "  THEN 'is not active'"
						   "  WHEN NOT r.success THEN r.result"
						   "  WHEN r.result IS NULL OR r.result OPERATOR(pg_catalog.=) ''"
						   "  THEN 'does not have the extension'"
						   "  ELSE 'has version ' OPERATOR(pg_catalog.||) r.result END)"
						   " FROM pg_catalog.pg_dist_node n"
						   " LEFT JOIN pg_catalog.run_command_on_all_nodes("
						   "   $c$SELECT extversion FROM pg_catalog.pg_extension"
						   "   WHERE extname OPERATOR(pg_catalog.=) 'instance_env'"
						   "   AND instance_env.node_offset() IS NOT NULL$c$) r"
						   " ON r.nodeid OPERATOR(pg_catalog.=) n.nodeid"
						   " WHERE n.noderole OPERATOR(pg_catalog.=) 'primary'"
						   " AND (NOT n.isactive OR r.success IS NOT TRUE"
						   "  OR r.result IS NULL OR r.result OPERATOR(pg_catalog.<>)"
						   "   (SELECT extversion FROM pg_catalog.pg_extension"
						   "   WHERE extname OPERATOR(pg_catalog.=) 'instance_env'))"
						   " ORDER BY n.nodeid",
						   0, NULL, NULL, NULL);
	if (nproblems > 0)
		refuse_nodes(nproblems,
					 psprintf("Install the same version of extension \"%s\" on all nodes, and have all of them running.",
							  IENV_SCHEMA));
}

/*
 * Error if another node has been used as a server of its own: nobody would see
 * its applications again.
 */
static void
require_no_applications(void)
{
	uint64		n = ienv_query("SELECT pg_catalog.format('%s:%s: has applications of its own',"
							   " n.nodename, n.nodeport)"
							   " FROM pg_catalog.pg_dist_node n"
							   " JOIN pg_catalog.run_command_on_all_nodes("
							   "   'SELECT pg_catalog.count(*) FROM instance_env.application') r"
							   " ON r.nodeid OPERATOR(pg_catalog.=) n.nodeid"
							   " WHERE n.groupid OPERATOR(pg_catalog.<>) 0"
							   " AND r.result OPERATOR(pg_catalog.<>) '0'"
							   " ORDER BY n.nodeid", 0, NULL, NULL, NULL);

	if (n > 0)
		refuse_nodes(n, "Only those of the coordinator are distributed; drop these there, with instance_env.drop_application().");
}

/*
 * Raise an error for the nodes that the last query has found.
 */
static void
refuse_nodes(uint64 nproblems, const char *hint)
{
	StringInfoData problems;

	initStringInfo(&problems);
	for (uint64 i = 0; i < nproblems; i++)
		appendStringInfo(&problems, "%s%s", i > 0 ? "\n" : "",
						 ienv_result_text(i, 1));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("not every node of the cluster is ready for the registry"),
			 errdetail("%s", problems.data),
			 errhint("%s", hint)));
}

/*
 * Make reference tables of those that are not, and return all.  Says how many
 * it has made.
 */
static uint64
distribute_tables(ReturnSetInfo *rsinfo)
{
	SPITupleTable *tables;
	uint64		ntables;
	uint64		made = 0;

	ntables = ienv_query("SELECT c.oid::pg_catalog.regclass,"
						 "  p.logicalrelid IS NOT NULL"
						 " FROM pg_catalog.pg_class c"
						 " JOIN pg_catalog.pg_depend d"
						 "  ON d.objid OPERATOR(pg_catalog.=) c.oid"
						 "  AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
						 "  AND d.deptype OPERATOR(pg_catalog.=) 'e'"
						 " JOIN pg_catalog.pg_extension e"
						 "  ON e.oid OPERATOR(pg_catalog.=) d.refobjid"
						 "  AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass"
						 " LEFT JOIN pg_catalog.pg_dist_partition p"
						 "  ON p.logicalrelid OPERATOR(pg_catalog.=) c.oid"
						 " WHERE e.extname OPERATOR(pg_catalog.=) 'instance_env'"
						 " AND c.relkind OPERATOR(pg_catalog.=) 'r'"
						 " AND c.relpersistence OPERATOR(pg_catalog.=) 'p'"
						 " AND c.relname OPERATOR(pg_catalog.<>) 'departed_user'"
						 " ORDER BY c.relname",
						 0, NULL, NULL, NULL);
	tables = SPI_tuptable;

	/*
	 * at once as strongly as Citus will, so as not to wait for who waits for
	 * us
	 */
	for (uint64 i = 0; i < ntables; i++)
		if (strcmp(SPI_getvalue(tables->vals[i], tables->tupdesc, 2), "f") == 0)
			ienv_execute("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE",
						 SPI_getvalue(tables->vals[i], tables->tupdesc, 1));

	for (uint64 i = 0; i < ntables; i++)
	{
		Oid			type = REGCLASSOID;
		bool		isnull;
		Datum		relation = SPI_getbinval(tables->vals[i], tables->tupdesc,
											 1, &isnull);
		bool		there = DatumGetBool(SPI_getbinval(tables->vals[i],
													   tables->tupdesc, 2,
													   &isnull));

		if (!there)
		{
			ienv_query_one("SELECT pg_catalog.create_reference_table($1)",
						   1, &type, &relation);
			ienv_query_one("SELECT pg_catalog.truncate_local_data_after_distributing_table($1)",
						   1, &type, &relation);
			made++;
		}
		return_table(rsinfo, relation, there ? "found" : "distributed");
	}
	return made;
}

/*
 * Write anew which roles may enter instances: what was copied as a number may
 * be another role's on another node, while a statement names the role.
 */
static void
repeat_allowances(void)
{
	static const Oid types[3] = {TEXTOID, UUIDOID, TEXTOID};
	uint64		n = ienv_query("SELECT role::pg_catalog.text, application,"
							   " type::pg_catalog.text"
							   " FROM instance_env.instance_allowance"
							   " WHERE role::pg_catalog.oid"
							   " OPERATOR(pg_catalog.=) ANY (SELECT oid"
							   " FROM pg_catalog.pg_roles)",
							   0, NULL, NULL, NULL);
	SPITupleTable *allowances = SPI_tuptable;

	(void) ienv_query("DELETE FROM instance_env.instance_allowance",
					  0, NULL, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		Datum		values[3];
		bool		isnull[3];
		char		nulls[4] = "   ";

		for (int j = 0; j < lengthof(values); j++)
		{
			values[j] = SPI_getbinval(allowances->vals[i], allowances->tupdesc,
									  j + 1, &isnull[j]);
			if (isnull[j])
				nulls[j] = 'n';
		}
		(void) ienv_query("INSERT INTO instance_env.instance_allowance"
						  " (role, application, type)"
						  " VALUES ($1::pg_catalog.regrole, $2,"
						  " $3::instance_env.instance_type)",
						  3, types, values, nulls);
	}
}

static void
return_table(ReturnSetInfo *rsinfo, Datum relation, const char *action)
{
	Datum		values[2] = {relation, CStringGetTextDatum(action)};
	bool		nulls[2] = {false};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
