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
 * PostgreSQL would note that the views depend on the placements.  But when a
 * node that has left comes back, Citus drops its old placements with CASCADE;
 * that would reach the views, the extension that they are members of, and all
 * that is guarded there.  So the note is deleted.  From then until distribute()
 * is called again, the views read what is gone, and PostgreSQL cannot even say
 * how they are defined.  So the coordinator says so, whose placements stay;
 * they have the same names on all nodes.
 *
 * In the definitions each table has an alias, so that no column is qualified
 * by the table's name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_rewrite_d.h"
#include "executor/spi.h"
#include "rewrite/rewriteSupport.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "registry/registry.h"

static char *with_placements(const char *definition);
static void forget_placements(Oid view);

/*
 * Have all views of the extension read placements, on each node its own.  This
 * is the coordinator.  SPI is connected, and search_path pinned, so that the
 * definitions name tables with their schema.
 */
void
ienv_read_placements(void)
{
	int			nest_level = NewGUCNestLevel();
	SPITupleTable *views;
	uint64		nviews;

	(void) set_config_option("quote_all_identifiers", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	nviews = ienv_query("SELECT relname, pg_catalog.pg_get_viewdef(oid)"
						" FROM pg_catalog.pg_class"
						" WHERE relnamespace" IENV_IN_SCHEMA
						" AND relkind OPERATOR(pg_catalog.=) 'v'"
						" ORDER BY relname",
						0, NULL, NULL, NULL);
	views = SPI_tuptable;
	AtEOXact_GUC(true, nest_level);
	for (uint64 i = 0; i < nviews; i++)
		ienv_on_each_node("define_view",
						  SPI_getvalue(views->vals[i], views->tupdesc, 1),
						  NULL,
						  with_placements(SPI_getvalue(views->vals[i],
													   views->tupdesc, 2)));
}

/*
 * Define one of them on this node.
 */
void
ienv_define_view(const char *name, const char *definition)
{
	Oid			view;

	ienv_execute("CREATE OR REPLACE VIEW %s AS %s",
				 quote_qualified_identifier(IENV_SCHEMA, name), definition);
	view = get_relname_relid(name, get_namespace_oid(IENV_SCHEMA, false));
	forget_placements(view);
}

/*
 * Delete from the catalogs that a view depends on placements.
 */
static void
forget_placements(Oid view)
{
	Oid			rule = get_rewrite_oid(view, "_RETURN", false);
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(rule);
	uint64		n = ienv_query("SELECT DISTINCT refobjid"
							   " FROM pg_catalog.pg_depend"
							   " WHERE classid OPERATOR(pg_catalog.=)"
							   " 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
							   " AND objid OPERATOR(pg_catalog.=) $1"
							   " AND refclassid OPERATOR(pg_catalog.=)"
							   " 'pg_catalog.pg_class'::pg_catalog.regclass",
							   1, &type, &value, NULL);
	SPITupleTable *relations = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(relations->vals[i],
														   relations->tupdesc,
														   1, &isnull));

		if (OidIsValid(ienv_shell_of(relid)))
			(void) deleteDependencyRecordsForSpecific(RewriteRelationId, rule,
													  DEPENDENCY_NORMAL,
													  RelationRelationId,
													  relid);
	}
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
		if (OidIsValid(placement) && name[length] != '(')
			appendStringInfoString(&result, get_rel_name(placement));
		else
			appendBinaryStringInfo(&result, name, length);
		definition = name + length;
	}
	appendStringInfoString(&result, definition);
	return result.data;
}
