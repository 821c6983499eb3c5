/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Names and values as messages show them.
 *
 * For people to read, never for SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"

/* How many bytes of an external key to show in a message */
#define MAX_KEY_SHOWN	128

/*
 * A value of an instance column, quoted for a message and clipped to a
 * reasonable length.
 */
char *
ienv_instance_text(Datum value, bool is_uuid)
{
	char	   *key;
	int			length;

	if (is_uuid)
		return psprintf("\"%s\"",
						DatumGetCString(DirectFunctionCall1(uuid_out, value)));
	key = TextDatumGetCString(value);
	length = strlen(key);
	if (length <= MAX_KEY_SHOWN)
		return psprintf("\"%s\"", key);
	key[pg_mbcliplen(key, length, MAX_KEY_SHOWN)] = '\0';
	return psprintf("\"%s...\"", key);
}

/*
 * A relation's qualified name, quoted for a message.  Of a shard, that of its
 * table: people do not know what Citus calls a shard.
 */
char *
ienv_quoted_name(Oid relid)
{
	char	   *name;

	relid = ienv_known_table(relid);
	name = get_rel_name(relid);
	if (name == NULL)
		return psprintf("with OID %u", relid);
	return psprintf("\"%s.%s\"", get_namespace_name(get_rel_namespace(relid)),
					name);
}

/*
 * A text for a message, clipped to a reasonable length.
 */
const char *
ienv_clipped(const char *text)
{
	int			length = strlen(text);

	if (length <= MAX_KEY_SHOWN)
		return text;

	return psprintf("%.*s...", pg_mbcliplen(text, length, MAX_KEY_SHOWN),
					text);
}
