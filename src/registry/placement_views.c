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
 * In the definitions each table has an alias, so that no column is qualified
 * by the table's name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "registry/registry.h"

static char *with_placements(const char *definition);

/*
 * Have all views of the extension read this node's placements.  SPI is
 * connected, and search_path pinned, so that the definitions name tables with
 * their schema.
 */
void
ienv_read_placements(void)
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
		char	   *changed = with_placements(definition);

		if (strcmp(changed, definition) != 0)
			ienv_execute("CREATE OR REPLACE VIEW %s AS %s",
						 ienv_sql_name(view), changed);
	}
	AtEOXact_GUC(true, nest_level);
}

/*
 * A definition with each table that has a placement replaced by it.
 */
static char *
with_placements(const char *definition)
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
		Oid			placement = ienv_table_oid(pnstrdup(name, length));

		appendBinaryStringInfo(&result, definition, name - definition);

		/* a function, a type or a view has none */
		if (OidIsValid(placement))
			appendStringInfoString(&result, get_rel_name(placement));
		else
			appendBinaryStringInfo(&result, name, length);
		definition = name + length;
	}
	appendStringInfoString(&result, definition);
	return result.data;
}
