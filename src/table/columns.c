/*-------------------------------------------------------------------------
 *
 * columns.c
 *	  The columns of a guard, by number and as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "table/table.h"

/*
 * The names of a table's columns as SQL lists them.
 */
char *
ienv_column_list(Oid relid, int n, const AttrNumber *attnos)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(relid, attnos[i],
													  false)));
	return list.data;
}

/*
 * The user key, or the columns that refer to one, as guard() takes it: the
 * mere name of a column, or a list of several.
 */
char *
ienv_user_key_text(const IenvGuard *guard)
{
	const AttrNumber *attnos = guard->nkeys > 0 ? guard->key_attnos :
	guard->ref_attnos;

	if (guard->nkeys + guard->nrefs == 1)
		return get_attname(guard->relid, attnos[0], false);
	return ienv_column_list(guard->relid, guard->nkeys + guard->nrefs, attnos);
}
