/*-------------------------------------------------------------------------
 *
 * label.c
 *	  The label under which a table's triggers record identities.
 *
 * A departed user is remembered under the label of the table, which is an
 * argument of its triggers.  It consists of the role that owns the table when
 * it is guarded, and of the table's name at that time: owner/schema.table.  So
 * a table that takes the name of another one, which has been dropped or
 * renamed, inherits the records of that one's users only if it has the same
 * owner; any other role that reuses the name can neither probe those records
 * nor add to them.
 *
 * On a Citus cluster, the shards of a table carry its label as well: they are
 * no other tables (shard.c).
 *
 * How a label is written does not depend on settings (unlike the result of
 * quote_identifier(), which depends on quote_all_identifiers and on the
 * keywords of the PostgreSQL version).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/base.h"
#include "table/table.h"

static void append_name(StringInfo text, const char *name);
static bool is_taken(const char *label, Oid relid);
static Oid	table_with_label(const char *label, Oid relid);

/*
 * A relation's qualified name, written the same regardless of settings; for
 * labels and for the audit log, not for SQL.  Of a shard, that of its table.
 */
char *
ienv_stable_name(Oid relid)
{
	StringInfoData text;

	relid = ienv_known_table(relid);
	initStringInfo(&text);
	append_name(&text, get_namespace_name(get_rel_namespace(relid)));
	appendStringInfoChar(&text, '.');
	append_name(&text, get_rel_name(relid));
	return text.data;
}

/*
 * A name, in double quotes unless it consists of lower-case letters, digits
 * and underscores.
 */
static void
append_name(StringInfo text, const char *name)
{
	if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0')
	{
		appendStringInfoString(text, name);
		return;
	}
	appendStringInfoChar(text, '"');
	for (; *name != '\0'; name++)
	{
		if (*name == '"')
			appendStringInfoChar(text, '"');
		appendStringInfoChar(text, *name);
	}
	appendStringInfoChar(text, '"');
}

/*
 * The label for a table that is guarded for the first time; a number is
 * appended if another table, which had the name before, is still guarded under
 * the plain label.
 */
char *
ienv_free_label(Oid relid)
{
	StringInfoData label;
	int			length;

	initStringInfo(&label);
	append_name(&label, GetUserNameFromId(ienv_relation_owner(relid), false));
	appendStringInfo(&label, "/%s", ienv_stable_name(relid));
	length = label.len;
	for (int n = 2; is_taken(label.data, relid); n++)
	{
		label.len = length;
		appendStringInfo(&label, "#%d", n);
	}
	return label.data;
}

/*
 * May the triggers of a restored table have this label?  It must begin with
 * the table's owner, who is able to forge the records of such labels anyway,
 * and must not be the label of another table.
 */
bool
ienv_may_have_label(Oid relid, const char *label)
{
	StringInfoData owner;

	initStringInfo(&owner);
	append_name(&owner, GetUserNameFromId(ienv_relation_owner(relid), false));
	appendStringInfoChar(&owner, '/');
	return strncmp(label, owner.data, owner.len) == 0 &&
		!is_taken(label, relid);
}

/*
 * Is a table other than relid guarded under this label?
 */
static bool
is_taken(const char *label, Oid relid)
{
	return OidIsValid(table_with_label(label, relid));
}

/*
 * The table that is guarded under this label, or InvalidOid.
 */
Oid
ienv_table_with_label(const char *label)
{
	return table_with_label(label, InvalidOid);
}

/*
 * The table, but not relid, that is guarded under this label, or InvalidOid.
 *
 * Reads pg_trigger and opens none of the tables: a lock on one of them must
 * not keep anyone from guarding another.
 */
static Oid
table_with_label(const char *label, Oid relid)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	Oid			found = InvalidOid;

	while (!OidIsValid(found) &&
		   HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		const IenvTriggerKind *kind;
		bool		isnull;
		Datum		args;

		/* a partition's triggers are inherited, except the one for TRUNCATE */
		if (form->tgrelid == relid || OidIsValid(form->tgparentid) ||
			form->tgnargs == 0)
			continue;
		kind = ienv_trigger_kind(form->tgfoid);
		if (kind == NULL || kind->bit == IENV_TRIGGER_TRUNCATE)
			continue;

		/* arguments are strings, each with its terminating zero byte */
		args = heap_getattr(tuple, Anum_pg_trigger_tgargs,
							RelationGetDescr(rel), &isnull);
		if (strcmp(VARDATA_ANY(DatumGetByteaPP(args)), label) != 0)
			continue;

		/* the shards of a table all have its label */
		if (OidIsValid(relid) ? ienv_are_kin(form->tgrelid, relid) :
			OidIsValid(ienv_shell_of(form->tgrelid)))
			continue;
		found = form->tgrelid;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}
