/*-------------------------------------------------------------------------
 *
 * relation.c
 *	  What a table's triggers say about how it is guarded.
 *
 * The triggers are the only record of a guard.  They name the columns they need
 * in their WHEN conditions, where PostgreSQL itself keeps them right through a
 * rename, a dump, or a partition whose columns are numbered otherwise; a trigger
 * argument would not follow.  The label of the identities is an argument, and so
 * stays what it was when the table is renamed.
 *
 * What is read is cached by relation and marked invalid by relcache
 * invalidations, which every change of triggers, indexes and partitions sends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "nodes/readfuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "guard.h"
#include "instance_env.h"

typedef struct GuardEntry
{
	IenvGuard	guard;			/* relid is the hash key, must be first */
	bool		valid;
	bool		guarded;		/* false: the relation has none of our triggers */
} GuardEntry;

/* The two columns that a trigger's condition may name, in that order. */
typedef struct Columns
{
	int			n;
	AttrNumber	attno[2];
} Columns;

const IenvTriggerKind ienv_trigger_kinds[IENV_TRIGGERS] = {
	{IENV_TRIGGER_USER_CAP, IENV_USER_CAP, "AFTER INSERT", "check_user_cap"},
	{IENV_TRIGGER_ACTIVE, "instance_env_active", "AFTER INSERT", "check_instance"},
	{IENV_TRIGGER_NO_TRANSFER, IENV_NO_TRANSFER, "AFTER UPDATE", "check_transfer"},
	{IENV_TRIGGER_DEPARTURE, IENV_DEPARTURE, "AFTER DELETE", "record_departure"},
	{IENV_TRIGGER_TRUNCATE, "instance_env_truncate", "BEFORE TRUNCATE", "record_truncate"},
	{IENV_TRIGGER_NO_MOVE, "instance_env_no_move", "AFTER DELETE", "check_move"},
};

static HTAB *guards = NULL;

/* when anything was invalidated last, by ienv_news_time() */
static uint64 invalidated = 0;

static bool find_columns(Node *node, Columns *columns);
static Oid	find_root(Oid trigger);
static bool is_btree(Oid index);

/*
 * The kind of trigger that executes function, or NULL if it is none of ours.
 */
const IenvTriggerKind *
ienv_trigger_kind(Oid function)
{
	const IenvOids *oids = ienv_oids();

	for (int kind = 0; kind < IENV_TRIGGERS; kind++)
		if (oids->functions[kind] == function)
			return &ienv_trigger_kinds[kind];
	return NULL;
}

/*
 * Relcache callback: what was read of relid, or of all, must be read again.
 */
static void
relation_invalidated(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	GuardEntry *entry;

	invalidated = ienv_news_time();
	if (OidIsValid(relid))
	{
		entry = hash_search(guards, &relid, HASH_FIND, NULL);
		if (entry == NULL)
			return;
		entry->valid = false;

		/* what the root knows of all its partitions is out of date as well */
		if (entry->guarded && entry->guard.root != relid)
		{
			entry = hash_search(guards, &entry->guard.root, HASH_FIND, NULL);
			if (entry != NULL)
				entry->valid = false;
		}
		return;
	}
	hash_seq_init(&status, guards);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->valid = false;
}

/*
 * How the relation is guarded, or NULL where it is not.
 *
 * Nothing need be locked: a relation that is gone is not guarded.  The result
 * lives as long as the backend, but another call may change it.
 */
IenvGuard *
ienv_guard_of(Oid relid)
{
	static GuardEntry *last = NULL;
	GuardEntry *entry;
	bool		found;

	/* rows tend to come in runs */
	if (last != NULL && last->valid && last->guarded && last->guard.relid == relid)
		return &last->guard;

	if (guards == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(GuardEntry);
		guards = hash_create("instance_env guards", 64, &ctl, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
	}

	entry = hash_search(guards, &relid, HASH_FIND, NULL);
	if (entry == NULL || !entry->valid)
	{
		Relation	rel = try_relation_open(relid, AccessShareLock);
		IenvGuard	guard;
		int			present;
		int			disabled;
		bool		guarded;
		uint64		since;

		if (rel == NULL)
			return NULL;
		do
		{
			since = ienv_news_time();
			guarded = ienv_read_guard(rel, &guard, &present, &disabled);
		} while (invalidated > since);
		entry = hash_search(guards, &relid, HASH_ENTER, &found);
		entry->valid = false;
		if (!found)
		{
			entry->guarded = false;
			entry->guard.relid = relid;
			entry->guard.label = NULL;
		}
		if (guarded)
		{
			/* a label rarely changes, and somebody may hold the old one */
			if (entry->guard.label != NULL && strcmp(entry->guard.label, guard.label) == 0)
				guard.label = entry->guard.label;
			else
				guard.label = MemoryContextStrdup(CacheMemoryContext, guard.label);
			entry->guard = guard;
		}
		entry->guarded = guarded;
		entry->valid = true;
		relation_close(rel, AccessShareLock);
	}
	last = entry;
	return entry->guarded ? &entry->guard : NULL;
}

/*
 * Read a guard from the triggers of rel, which is open and locked.
 *
 * Sets *present and *disabled to the IENV_TRIGGER_ bits of the triggers found
 * and of those that do not fire; false where there is none.
 */
bool
ienv_read_guard(Relation rel, IenvGuard *guard, int *present, int *disabled)
{
	TriggerDesc *triggers;
	Form_pg_attribute att;
	Oid			type;

	memset(guard, 0, sizeof(*guard));
	guard->relid = RelationGetRelid(rel);
	guard->root = guard->relid;
	guard->label = "";
	*present = *disabled = 0;

	/* what we look up below may have the relcache entry rebuilt under us */
	triggers = CopyTriggerDesc(rel->trigdesc);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];
		Columns		columns = {0};
		Node	   *condition;

		const IenvTriggerKind *kind = ienv_trigger_kind(trigger->tgfoid);

		if (kind == NULL)
			continue;
		*present |= kind->bit;
		if (trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN && trigger->tgenabled != TRIGGER_FIRES_ALWAYS)
			*disabled |= kind->bit;
		if (kind->bit == IENV_TRIGGER_USER_CAP && trigger->tgenabled == TRIGGER_FIRES_ALWAYS)
			guard->version = ienv_trigger_version(trigger->tgoid);
		/* what records departures is told by those triggers that name the columns */
		if (trigger->tgqual == NULL)
			continue;
		if (trigger->tgnargs > 0)
			guard->label = pstrdup(trigger->tgargs[0]);
		condition = stringToNode(trigger->tgqual);
		if (kind->bit == IENV_TRIGGER_DEPARTURE && IsA(condition, FuncExpr) &&
			((FuncExpr *) condition)->funcid == ienv_oids()->departure_queued)
			guard->departure_trigger = trigger->tgoid;
		find_columns(condition, &columns);
		if (columns.n > 0)
			guard->instance_attno = columns.attno[0];
		if (columns.n > 1)
			guard->key_attno = columns.attno[1];
		if (trigger->tgisclone && guard->root == guard->relid)
			guard->root = find_root(trigger->tgoid);
	}

	FreeTriggerDesc(triggers);
	if (guard->instance_attno == InvalidAttrNumber)
		return false;

	/* a superuser may have made a trigger whose condition names something else */
	att = TupleDescAttr(RelationGetDescr(rel), guard->instance_attno - 1);
	type = getBaseType(att->atttypid);
	if (type != UUIDOID && type != TEXTOID && type != VARCHAROID)
		return false;

	guard->counted = (*present & IENV_TRIGGER_USER_CAP) != 0;
	guard->is_uuid = type == UUIDOID;
	guard->instance_index = ienv_index_on(rel, guard->instance_attno, false);
	if (guard->key_attno != InvalidAttrNumber)
	{
		att = TupleDescAttr(RelationGetDescr(rel), guard->key_attno - 1);
		guard->key_type = att->atttypid;
		guard->key_collation = att->attcollation;
		ienv_identity_prepare(guard);
		guard->key_index = ienv_index_on(rel, guard->key_attno, false);
		guard->key_is_unique = OidIsValid(ienv_index_on(rel, guard->key_attno, true)) &&
			guard->root == guard->relid && rel->rd_rel->relkind == RELKIND_RELATION;
	}
	return true;
}

/*
 * The row of pg_trigger for a trigger, a copy; NULL if it has gone.
 */
HeapTuple
ienv_read_trigger(Oid trigger)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(trigger));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = heap_copytuple(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tuple;
}

/*
 * Collect the columns in a trigger's condition, each once, in order.
 */
static bool
find_columns(Node *node, Columns *columns)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		AttrNumber	attno = ((Var *) node)->varattno;

		if (attno > 0 && columns->n < 2 && (columns->n == 0 || columns->attno[0] != attno))
			columns->attno[columns->n++] = attno;
		return false;
	}
	return expression_tree_walker(node, find_columns, columns);
}

/*
 * The table that guard() was called for, from a trigger that was cloned from that
 * table's: also where the partition is being detached concurrently.
 */
static Oid
find_root(Oid trigger)
{
	Oid			root = InvalidOid;

	while (OidIsValid(trigger))
	{
		HeapTuple	tuple = ienv_read_trigger(trigger);

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "could not find trigger %u", trigger);
		root = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
		trigger = ((Form_pg_trigger) GETSTRUCT(tuple))->tgparentid;
		heap_freetuple(tuple);
	}
	return root;
}

/*
 * A valid btree index of rel that finds all rows by attribute attno, or
 * InvalidOid.
 *
 * With unique_alone, one that allows no two rows with the same value of it, and
 * says so at once, not at commit.
 *
 * Asks the catalogs and opens none: nobody should wait for an index that will not serve.
 * The lock on rel keeps the one that does.
 */
Oid
ienv_index_on(Relation rel, AttrNumber attno, bool unique_alone)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attno - 1);
	List	   *indexes = RelationGetIndexList(rel);
	Oid			found = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	index = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;
		Datum		collations;
		bool		isnull;

		if (!HeapTupleIsValid(index))
			continue;			/* dropped meanwhile */
		form = (Form_pg_index) GETSTRUCT(index);
		collations = SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indcollation, &isnull);

		/* whatever the operator class, its equality must be the column's */
		if (form->indisvalid && form->indkey.values[0] == attno && is_btree(form->indexrelid) &&
			((oidvector *) DatumGetPointer(collations))->values[0] == att->attcollation &&
			heap_attisnull(index, Anum_pg_index_indpred, NULL) &&
			(!unique_alone || (form->indisunique && form->indimmediate && form->indnkeyatts == 1)))
			found = form->indexrelid;
		ReleaseSysCache(index);
		if (OidIsValid(found))
			break;
	}
	list_free(indexes);
	return found;
}

static bool
is_btree(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_class) GETSTRUCT(tuple))->relam == BTREE_AM_OID;
		ReleaseSysCache(tuple);
	}
	return result;
}
