/*-------------------------------------------------------------------------
 *
 * foreign_key.c
 *	  Reading foreign keys, and whether one keeps the rows of a table in the
 *	  instance of the users that they refer to.
 *
 * All of it is read from the catalogs: no table is opened.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "base/compat.h"
#include "guard/reference.h"
#include "table/table.h"

/* What map_column() needs */
typedef struct Mapping
{
	const IenvForeignKey *key;
	bool		impossible;
} Mapping;

static List *keys_of(Oid relid, Oid root);
static IenvForeignKey *read_key(HeapTuple tuple, Oid root);
static bool has_disabled_trigger(Oid constraint);
static List *copies_of(Oid constraint);
static void map_columns(Oid partition, Oid root, int n, AttrNumber *attnos);
static bool contains_instance(const IenvForeignKey *key,
							  const IenvReference *ref);
static Node *generation_of(Oid relid, AttrNumber attno);
static Node *map_column(Node *node, Mapping *mapping);
static bool has_one_image(const Var *var);

/*
 * The foreign keys of a table and its partitions as IenvForeignKeys, each
 * table's ordered by name; but for the copies that exist for the partitions of
 * either table, and for those that are not enforced or compare other than by
 * equality.
 */
List *
ienv_foreign_keys(Oid relid)
{
	List	   *keys = NIL;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
		keys = list_concat(keys, keys_of(lfirst_oid(lc), relid));
	return keys;
}

/*
 * The foreign keys of one table, as of its root.
 */
static List *
keys_of(Oid relid, Oid root)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	List	   *keys = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN &&
			!OidIsValid(form->conparentid) &&
			ienv_is_ordinary_foreign_key(form))
			keys = lappend(keys, read_key(tuple, root));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return keys;
}

static IenvForeignKey *
read_key(HeapTuple tuple, Oid root)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	IenvForeignKey *key = palloc0(sizeof(IenvForeignKey));

	key->name = pstrdup(NameStr(form->conname));
	key->oid = form->oid;
	key->relid = root;
	key->partition = form->conrelid == root ? InvalidOid : form->conrelid;
	key->referenced = ienv_root_of(form->confrelid);
	key->on_delete = form->confdeltype;
	key->on_update = form->confupdtype;
	key->is_full = form->confmatchtype == FKCONSTR_MATCH_FULL;
	key->deferrable = form->condeferrable;
	key->deferred = form->condeferred;
	key->validated = form->convalidated;
	DeconstructFkConstraintRow(tuple, &key->n, key->from, key->to, NULL, NULL,
							   NULL, &key->nset, key->set);
	map_columns(form->conrelid, root, key->n, key->from);
	map_columns(form->conrelid, root, key->nset, key->set);
	map_columns(form->confrelid, key->referenced, key->n, key->to);
	return key;
}

/*
 * Replace the columns of a partition by those of its root.
 */
static void
map_columns(Oid partition, Oid root, int n, AttrNumber *attnos)
{
	for (int i = 0; i < n && partition != root; i++)
	{
		char	   *name = get_attname(partition, attnos[i], true);

		/* the partition may have been dropped meanwhile */
		attnos[i] = name == NULL ? InvalidAttrNumber : get_attnum(root, name);
	}
}

/*
 * Are triggers disabled that belong to a foreign key, or to the copies of it
 * that exist for partitions?  Then it is not checked, or does not act.
 */
bool
ienv_is_disabled(const IenvForeignKey *key)
{
	List	   *all = list_make1_oid(key->oid);
	bool		disabled = false;

	for (int i = 0; i < list_length(all) && !disabled; i++)
	{
		disabled = has_disabled_trigger(list_nth_oid(all, i));
		all = list_concat(all, copies_of(list_nth_oid(all, i)));
	}
	return disabled;
}

static bool
has_disabled_trigger(Oid constraint)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	bool		disabled = false;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgconstraint, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(constraint));
	scan = systable_beginscan(rel, TriggerConstraintIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		char		enabled = ((Form_pg_trigger) GETSTRUCT(tuple))->tgenabled;

		disabled = disabled || (enabled != TRIGGER_FIRES_ON_ORIGIN &&
								enabled != TRIGGER_FIRES_ALWAYS);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return disabled;
}

static List *
copies_of(Oid constraint)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	List	   *copies = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conparentid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(constraint));
	scan = systable_beginscan(rel, ConstraintParentIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		copies = lappend_oid(copies,
							 ((Form_pg_constraint) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return copies;
}

/*
 * Does a foreign key have this column of the referring table?
 */
bool
ienv_has_column(const IenvForeignKey *key, AttrNumber attno)
{
	for (int i = 0; i < key->n; i++)
		if (key->from[i] == attno)
			return true;
	return false;
}

/*
 * Does a foreign key make a pair of these two columns?
 */
static bool
has_pair(const IenvForeignKey *key, AttrNumber from, AttrNumber to)
{
	for (int i = 0; i < key->n; i++)
		if (key->from[i] == from && key->to[i] == to)
			return true;
	return false;
}

/*
 * Does a foreign key see to it that the user exists whom a row refers to?
 *
 * With MATCH SIMPLE, a row is not checked if any column of the key is null.
 * That is right for the columns that refer to the user, since such a row
 * refers to nobody, and for the instance column, because the triggers refuse a
 * row that names no instance; but no other column may be null.
 *
 * A key of a partition says nothing of the other partitions.
 */
bool
ienv_contains_user(const IenvForeignKey *key, const IenvReference *ref)
{
	if (key->referenced != ref->user_table ||
		(OidIsValid(key->partition) && key->partition != ref->partition))
		return false;
	for (int i = 0; i < ref->n; i++)
		if (!has_pair(key, ref->from[i], ref->to[i]))
			return false;
	for (int i = 0; i < key->n && !key->is_full; i++)
	{
		bool		named = key->from[i] == ref->instance;

		for (int j = 0; j < ref->n; j++)
			named = named || key->from[i] == ref->from[j];
		if (!named && !ienv_is_never_null(key->relid, key->from[i]))
			return false;
	}
	return true;
}

/*
 * Does a foreign key also see to it that the user is of the row's instance?
 */
bool
ienv_covers(const IenvForeignKey *key, const IenvReference *ref)
{
	return ienv_contains_user(key, ref) && contains_instance(key, ref);
}

/*
 * A foreign key contains the instance if it has the instance columns; or if
 * both are generated, by the same expression, from columns that it has.
 */
static bool
contains_instance(const IenvForeignKey *key, const IenvReference *ref)
{
	Mapping		mapping = {key, false};
	Node	   *mine;
	Node	   *theirs;

	if (has_pair(key, ref->instance, ref->user_instance))
		return true;
	mine = generation_of(key->relid, ref->instance);
	theirs = generation_of(key->referenced, ref->user_instance);
	if (mine == NULL || theirs == NULL)
		return false;
	mine = map_column(mine, &mapping);
	return !mapping.impossible && equal(mine, theirs);
}

/*
 * The expression that a stored generated column is computed by, or NULL.
 */
static Node *
generation_of(Oid relid, AttrNumber attno)
{
	Node	   *expression = NULL;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (get_attgenerated(relid, attno) != ATTRIBUTE_GENERATED_STORED)
		return NULL;
	rel = table_open(AttrDefaultRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_attrdef_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(GetAttrDefaultOid(relid, attno)));
	scan = systable_beginscan(rel, AttrDefaultOidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		bin = heap_getattr(tuple, Anum_pg_attrdef_adbin,
									   RelationGetDescr(rel), &isnull);

		if (!isnull)
			expression = stringToNode(TextDatumGetCString(bin));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return expression;
}

/*
 * Mutator: replace columns of the referring table by those that a foreign key
 * compares them with.
 */
static Node *
map_column(Node *node, Mapping *mapping)
{
	if (node != NULL && IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		for (int i = 0; i < mapping->key->n; i++)
			if (mapping->key->from[i] == var->varattno && has_one_image(var))
			{
				var->varattno = mapping->key->to[i];
				return (Node *) var;
			}
		mapping->impossible = true;
		return (Node *) var;
	}
	return expression_tree_mutator(node, map_column, (void *) mapping);
}

/*
 * Do equal values of a column have the same bytes?  If not, an expression may
 * tell them apart, while a foreign key does not.
 */
static bool
has_one_image(const Var *var)
{
	TypeCacheEntry *type = lookup_type_cache(getBaseType(var->vartype),
											 TYPECACHE_BTREE_OPFAMILY);
	Oid			same = !OidIsValid(type->btree_opf) ? InvalidOid :
	get_opfamily_proc(type->btree_opf, type->btree_opintype,
					  type->btree_opintype, BTEQUALIMAGE_PROC);

	return OidIsValid(same) &&
		DatumGetBool(OidFunctionCall1Coll(same, var->varcollid,
										  ObjectIdGetDatum(type->btree_opintype)));
}
