/*-------------------------------------------------------------------------
 *
 * distributed.c
 *	  Guarding a table of a Citus cluster.
 *
 * Citus creates a trigger on shards when one is created on the table.  It
 * refuses that unless citus.enable_unsafe_triggers is on, for what a trigger
 * might do on a node that others do not hear of.  Ours do no such thing, so the
 * parameter is set here, for our own statements only; any role may set it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

#define UNSAFE_TRIGGERS	"citus.enable_unsafe_triggers"

static bool is_let_in(Oid role);
static void on_other_nodes(const char *sql);

/*
 * Refuse a table whose rows are distributed in a way that the guard that it is
 * to have cannot do with; and a shard.  Refuse any table with shards on other
 * nodes until the registry is there.
 */
void
ienv_check_distribution(const IenvGuard *guard)
{
	IenvPlace	place = ienv_place_of(guard->relid, NULL);

	ienv_refuse_shard(guard->relid, "guard");
	ienv_refuse_misplaced(guard, false);
	if (place != IENV_HERE && place != IENV_ON_COORDINATOR &&
		!ienv_registry_is_distributed())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the registry of %s is not distributed yet",
						IENV_SCHEMA),
				 errdetail("Table %s is, and the nodes of its shards must know all instances.",
						   ienv_quoted_name(guard->relid)),
				 errhint("Have a superuser call %s.distribute() on the coordinator.",
						 IENV_SCHEMA)));
}

/*
 * Refuse to do something with a shard that is done with a table.
 */
void
ienv_refuse_shard(Oid relid, const char *function)
{
	if (OidIsValid(ienv_shell_of(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" is a shard of table %s",
						get_rel_name(relid), ienv_quoted_name(relid)),
				 errhint("Call instance_env.%s() for the table.", function)));
}

/*
 * Keep writers of a distributed table out, on whatever node they are, until the
 * transaction ends; this node has locked the table already.  SPI is connected.
 *
 * This is done as the owner, like all that follows: Citus has a connection for
 * each role, which would wait for that of another.
 */
void
ienv_lock_on_nodes(Oid relid, const char *mode)
{
	IenvActing	saved;

	if (!ienv_is_distributed(relid))
		return;
	ienv_act_as_owner_of(relid, &saved);
	ienv_execute("LOCK TABLE %s IN %s MODE", ienv_kept_name(relid), mode);
	ienv_act_as_self(&saved);
}

/*
 * ienv_let_in() on the other nodes: there, too, a table's owner creates the
 * triggers.  That is not undone if the transaction rolls back.  SPI is
 * connected.
 */
void
ienv_let_in_on_nodes(Oid relid)
{
	Oid			owner = ienv_relation_owner(relid);
	IenvOwner	saved;

	if (!ienv_is_distributed(relid) || superuser_arg(owner))
		return;
	ienv_become_owner(&saved);
	if (!is_let_in(owner))
	{
		const char *role = quote_identifier(GetUserNameFromId(owner, false));
		StringInfoData functions;

		initStringInfo(&functions);
		for (int i = 0; i < IENV_TRIGGERS; i++)
			appendStringInfo(&functions, "%s%s.%s()", i > 0 ? ", " : "",
							 IENV_SCHEMA, ienv_trigger_kinds[i].function);
		on_other_nodes(psprintf("GRANT USAGE ON SCHEMA %s TO %s", IENV_SCHEMA,
								role));
		on_other_nodes(psprintf("GRANT EXECUTE ON FUNCTION %s TO %s",
								functions.data, role));
		if (!is_let_in(owner))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("role \"%s\" may not execute the trigger functions of %s on all nodes",
							GetUserNameFromId(owner, false), IENV_SCHEMA),
					 errhint("Grant the same rights on every node of the cluster.")));
	}
	ienv_leave_owner(&saved);
}

/*
 * May a role execute the trigger functions on the other nodes?
 */
static bool
is_let_in(Oid role)
{
	Oid			type = TEXTOID;
	Datum		command;
	const char *name = quote_literal_cstr(GetUserNameFromId(role, false));
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT pg_catalog.has_schema_privilege(%s, '%s', 'USAGE')",
					 name, IENV_SCHEMA);
	for (int i = 0; i < IENV_TRIGGERS; i++)
		appendStringInfo(&sql,
						 " AND pg_catalog.has_function_privilege(%s, '%s.%s()', 'EXECUTE')",
						 name, IENV_SCHEMA, ienv_trigger_kinds[i].function);
	command = CStringGetTextDatum(sql.data);
	return ienv_query("SELECT nodeport"
					  " FROM pg_catalog.run_command_on_workers($1)"
					  " WHERE success IS NOT TRUE"
					  " OR result OPERATOR(pg_catalog.<>) 't'",
					  1, &type, &command, NULL) == 0;
}

static void
on_other_nodes(const char *sql)
{
	Oid			type = TEXTOID;
	Datum		command = CStringGetTextDatum(sql);

	(void) ienv_query("SELECT * FROM pg_catalog.run_command_on_workers($1)", 1,
					  &type, &command, NULL);
}

/*
 * Have Citus create, alter and drop triggers of a table, until ienv_act_as_self()
 * is called: whoever calls this is acting as the owner.
 */
void
ienv_allow_triggers(Oid relid)
{
	if (ienv_is_distributed(relid))
		(void) set_config_option(UNSAFE_TRIGGERS, "on", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
}
