/*-------------------------------------------------------------------------
 *
 * disclose.c
 *	  What a message may tell about an instance.
 *
 * An error about a row repeats what the row says, the id or the external key
 * of its instance.  Whose instance that is, is told only to those who may ask
 * for it anyway: the roles that may execute instance_info().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "registry/registry.h"

static bool read_column(const char *table, const pg_uuid_t *id,
						const char *column, Snapshot snapshot, Datum *value);
static bool may_ask(Oid role);

/*
 * The name of an instance's application, in the current memory context; NULL
 * if it has just been dropped.  Whether the user may know it is for the caller
 * to say.
 *
 * Runs no SQL: a condition that refuses a row early calls this, and where the
 * row is in a shard, no query is allowed there.
 */
char *
ienv_application_of(const pg_uuid_t *instance)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Datum		application;
	Datum		name;
	char	   *result = NULL;

	if (read_column("instance", instance, "application", snapshot,
					&application) &&
		read_column("application", DatumGetUUIDP(application), "name",
					snapshot, &name))
		result = TextDatumGetCString(name);
	UnregisterSnapshot(snapshot);
	return result;
}

/*
 * A copy of a column, not null, in the row of a table with this id; false if
 * there is no such row.
 */
static bool
read_column(const char *table, const pg_uuid_t *id, const char *column,
			Snapshot snapshot, Datum *value)
{
	Relation	rel = ienv_open_table(table, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	AttrNumber	attno = SPI_fnumber(desc, column);
	Form_pg_attribute att = TupleDescAttr(desc, attno - 1);
	Oid			index = ienv_index_oid(table, psprintf("%s_pkey", table));
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;
	bool		found;

	ScanKeyInit(&key, SPI_fnumber(desc, "id"), BTEqualStrategyNumber,
				F_UUID_EQ, UUIDPGetDatum(id));
	scan = systable_beginscan(rel, index, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		*value = datumCopy(heap_getattr(tuple, attno, desc, &isnull),
						   att->attbyval, att->attlen);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * A sentence that names the application of an instance, to end a DETAIL with;
 * empty if the current user may not know it.  value is an id or an external
 * key.
 */
const char *
ienv_application_sentence(Datum value, bool is_uuid)
{
	const IenvInstance *found;
	char	   *name;

	if (!may_ask(GetUserId()))
		return "";
	found = ienv_instance_by_value(value, is_uuid, true);
	if (found == NULL)
		return "";
	name = ienv_application_of(&found->id);
	return name != NULL ?
		psprintf(" It belongs to application \"%s\".", ienv_clipped(name)) : "";
}

/*
 * Auxiliary to ereport(): a hint that refers to a view, for those who may read
 * the view.  The user that has called a SECURITY DEFINER function counts.
 */
int
ienv_errhint_view(const char *view, const char *hint)
{
	Oid			relid = get_relname_relid(view, ienv_oids()->schema);

	if (OidIsValid(relid) &&
		pg_class_aclcheck(relid, GetOuterUserId(), ACL_SELECT) == ACLCHECK_OK)
		errhint("%s", hint);
	return 0;					/* return value does not matter */
}

/*
 * May this role call instance_info()?
 */
static bool
may_ask(Oid role)
{
	Oid			schema = ienv_oids()->schema;
	Oid			type = UUIDOID;
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum("instance_info"),
										   PointerGetDatum(buildoidvector(&type, 1)),
										   ObjectIdGetDatum(schema));

	return OidIsValid(function) && ienv_may_use_schema(schema, role) &&
		ienv_may_execute(function, role);
}
