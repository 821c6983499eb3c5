/*-------------------------------------------------------------------------
 *
 * placement_views.c
 *	  The extension's views on a node of a cluster.
 *
 * A view is for roles that may not read its tables.  But what Citus makes of a
 * query on reference tables, it runs as the role that asked, which would be
 * refused at the placement.  So on each node the views are defined anew, with
 * the node's own placements in place of the tables: then they are plain views
 * of plain tables, read with their owner's rights, and planned without Citus.
 *
 * A view depends on what it reads, and Citus drops a placement with CASCADE
 * before it copies the table anew, as to a node that has left the cluster and
 * come back.  With the views, that would drop the extension they belong to.  So
 * before a placement is dropped, the views read the tables again.
 *
 * In the definitions each table has an alias, so that no column is qualified
 * by the table's name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "registry/registry.h"

static void redefine_views(bool by_placements);
static char *with_other_tables(const char *definition, bool by_placements);
static Oid	other_table(const char *name, bool by_placements);

/*
 * Have all views of the extension read this node's placements.  SPI is
 * connected, and search_path pinned, so that the definitions name tables with
 * their schema.
 */
void
ienv_read_placements(void)
{
	redefine_views(true);
}

/*
 * Before a relation is dropped by the current user: if it is, or could be, a
 * placement, have no view depend on it.  distribute() goes back to placements.
 */
void
ienv_release_placement(const char *schema, const char *name)
{
	IenvOwner	saved;
	int			nest_level;
	Oid			relid;

	if (schema == NULL || strcmp(schema, IENV_SCHEMA) != 0 ||
		!ienv_is_shard_name(name))
		return;
	relid = get_relname_relid(name, ienv_oids()->schema);

	/* nobody else can drop it */
	if (!OidIsValid(relid) ||
		!has_privs_of_role(GetUserId(), ienv_relation_owner(relid)))
		return;
	nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("citus.enable_ddl_propagation", "off",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	SPI_connect();
	ienv_become_owner(&saved);
	redefine_views(false);
	ienv_leave_owner(&saved);
	SPI_finish();
	AtEOXact_GUC(true, nest_level);
}

/*
 * Have the views read this node's placements, or the tables by their names.
 */
static void
redefine_views(bool by_placements)
{
	int			nest_level = NewGUCNestLevel();
	SPITupleTable *views;
	uint64		nviews;

	(void) set_config_option("quote_all_identifiers", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	nviews = ienv_query("SELECT oid, pg_catalog.pg_get_viewdef(oid)"
						" FROM pg_catalog.pg_class"
						" WHERE relnamespace" IENV_IN_SCHEMA
						" AND relkind OPERATOR(pg_catalog.=) 'v'",
						0, NULL, NULL, NULL);
	views = SPI_tuptable;
	for (uint64 i = 0; i < nviews; i++)
	{
		bool		isnull;
		Oid			view = DatumGetObjectId(SPI_getbinval(views->vals[i],
														  views->tupdesc, 1,
														  &isnull));
		char	   *definition = SPI_getvalue(views->vals[i], views->tupdesc,
											  2);
		char	   *changed = with_other_tables(definition,
												by_placements);

		if (strcmp(changed, definition) != 0)
			ienv_execute("CREATE OR REPLACE VIEW %s AS %s",
						 ienv_sql_name(view), changed);
	}
	AtEOXact_GUC(true, nest_level);
}

/*
 * A definition with each table of the extension replaced by its placement, or
 * the other way round.
 */
static char *
with_other_tables(const char *definition, bool by_placements)
{
	static const char prefix[] = IENV_SCHEMA ".";
	StringInfoData result;
	const char *at;

	initStringInfo(&result);
	while ((at = strstr(definition, prefix)) != NULL)
	{
		const char *name = at + strlen(prefix);
		int			length = strspn(name, "abcdefghijklmnopqrstuvwxyz"
									"0123456789_");
		Oid			table = other_table(pnstrdup(name, length), by_placements);

		appendBinaryStringInfo(&result, definition, name - definition);

		/* a function, a type or a view has none */
		if (OidIsValid(table))
			appendStringInfoString(&result, get_rel_name(table));
		else
			appendBinaryStringInfo(&result, name, length);
		definition = name + length;
	}
	appendStringInfoString(&result, definition);
	return result.data;
}

/*
 * The table to read in place of one with this name, or InvalidOid.  Citus may
 * have forgotten by now what a placement is one of, but its name tells.
 */
static Oid
other_table(const char *name, bool by_placements)
{
	if (by_placements)
		return ienv_table_oid(name);
	if (!ienv_is_shard_name(name))
		return InvalidOid;
	return get_relname_relid(pnstrdup(name, strrchr(name, '_') - name),
							 ienv_oids()->schema);
}
