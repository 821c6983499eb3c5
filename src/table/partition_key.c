/*-------------------------------------------------------------------------
 *
 * partition_key.c
 *	  Whether a row's user key says which partition it is in.
 *
 * It does if all columns of all partition keys are part of the user key: rows
 * that have the same user key are in the same partition then.  Otherwise a
 * user could be anywhere in the table, and who looks for one must look into
 * all partitions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "table/table.h"

static bool level_is_local(Oid parted, Oid relid, int n,
						   const AttrNumber *attnos);
static bool is_ordinary(Oid class, Oid method, Oid collation, Oid parted,
						AttrNumber attno);

/*
 * Are all rows of relid's tree whose n columns attnos have the same values in
 * the same partition?  relid is the guarded table or a partition of it, attnos
 * are relid's.  Nothing but relid need be locked: the partition key of a table
 * never changes.
 */
bool
ienv_key_is_local(Oid relid, Oid root, int n, const AttrNumber *attnos)
{
	List	   *tables = NIL;
	bool		result = true;
	ListCell   *lc;

	if (relid != root)
		tables = get_partition_ancestors(relid);
	else if (get_rel_relkind(root) == RELKIND_PARTITIONED_TABLE)
		tables = find_all_inheritors(root, NoLock, NULL);
	foreach(lc, tables)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE &&
			!level_is_local(lfirst_oid(lc), relid, n, attnos))
			result = false;
		if (!result || (relid != root && lfirst_oid(lc) == root))
			break;
	}
	list_free(tables);
	return result;
}

/*
 * Is every column of one table's partition key among relid's columns?
 */
static bool
level_is_local(Oid parted, Oid relid, int n, const AttrNumber *attnos)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(parted));
	Form_pg_partitioned_table form;
	oidvector  *classes;
	oidvector  *collations;
	Oid			method;
	bool		isnull;
	bool		result = true;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	method = form->partstrat == PARTITION_STRATEGY_HASH ? HASH_AM_OID :
		BTREE_AM_OID;
	classes = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(PARTRELID, tuple,
										Anum_pg_partitioned_table_partclass,
										&isnull));
	collations = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(PARTRELID, tuple,
										Anum_pg_partitioned_table_partcollation,
										&isnull));
	for (int i = 0; result && i < form->partnatts; i++)
	{
		AttrNumber	attno = form->partattrs.values[i];
		bool		found = false;

		/* 0: an expression */
		for (int k = 0; k < n && attno != 0; k++)
			found = found ||
				strcmp(get_attname(parted, attno, false),
					   get_attname(relid, attnos[k], false)) == 0;
		result = found && is_ordinary(classes->values[i], method,
									  collations->values[i], parted, attno);
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Does a partition key compare the column by its type's default operator class
 * and its own collation?  Another one may take equal keys for different.
 */
static bool
is_ordinary(Oid class, Oid method, Oid collation, Oid parted,
			AttrNumber attno)
{
	Oid			type;
	int32		typmod;
	Oid			of_column;
	Oid			ordinary;

	get_atttypetypmodcoll(parted, attno, &type, &typmod, &of_column);
	ordinary = GetDefaultOpClass(type, method);
	return collation == of_column && OidIsValid(ordinary) &&
		get_opclass_family(ordinary) == get_opclass_family(class);
}
