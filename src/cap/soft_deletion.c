/*-------------------------------------------------------------------------
 *
 * soft_deletion.c
 *	  The column by which a table seems to mark users as deleted.
 *
 * A row that is only marked keeps its seat: that an update never changes the
 * count is what user_cap.c relies on.  Whoever wonders why an instance is
 * still full finds the column in view usage.
 *
 * It is recognized by its name and type, in the catalogs, so the table need
 * not be locked or opened.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "cap/cap.h"

static bool names_deletion(const char *name);
static bool can_mark(Oid type);

/*
 * What such columns are called by common frameworks, in lower case and without
 * underscores.
 */
static const char *const deletion_names[] = {
	"archived", "archivedat", "archivedon",
	"deleted", "deletedat", "deleteddate", "deletedon", "deletedtime",
	"deletiondate", "deletiontime",
	"discardedat", "isarchived", "isdeleted", "isremoved",
	"removed", "removedat", "removedon", "softdeleted", "softdeletedat",
	"trashedat"
};

/*
 * The name of the first column of a table that marks rows as deleted, or NULL.
 */
char *
ienv_soft_deletion_column(Oid relid)
{
	Relation	rel = table_open(AttributeRelationId, AccessShareLock);
	char	   *column = NULL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTGreaterStrategyNumber,
				F_INT2GT, Int16GetDatum(0));
	scan = systable_beginscan(rel, AttributeRelidNumIndexId, true, NULL, 2,
							  keys);
	while (column == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tuple);

		if (!form->attisdropped && names_deletion(NameStr(form->attname)) &&
			can_mark(form->atttypid))
			column = pstrdup(NameStr(form->attname));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return column;
}

/*
 * Does a column of this name say that a row is deleted?  deleted_at, deletedAt
 * and DELETED_AT do.
 */
static bool
names_deletion(const char *name)
{
	char		plain[NAMEDATALEN];
	int			length = 0;

	for (; *name != '\0'; name++)
		if (*name != '_')
			plain[length++] = pg_ascii_tolower((unsigned char) *name);
	plain[length] = '\0';

	for (int i = 0; i < lengthof(deletion_names); i++)
		if (strcmp(plain, deletion_names[i]) == 0)
			return true;
	return false;
}

/*
 * Can a value of this type be such a mark: a time, as a number of seconds if
 * need be, or a truth value, as 0 or 1 if need be?  The table is not locked, so
 * a domain may have been dropped meanwhile.
 */
static bool
can_mark(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			base = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (((Form_pg_type) GETSTRUCT(tuple))->typtype == TYPTYPE_DOMAIN)
		base = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
	ReleaseSysCache(tuple);
	if (OidIsValid(base))
		return can_mark(base);

	switch (type)
	{
		case BOOLOID:
		case DATEOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return true;
		default:
			return false;
	}
}
