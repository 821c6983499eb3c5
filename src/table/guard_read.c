/*-------------------------------------------------------------------------
 *
 * guard_read.c
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
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "base/news.h"
#include "table/table.h"

typedef struct GuardEntry
{
	IenvGuard	guard;			/* relid is the hash key, must be first */
	bool		valid;
	bool		guarded;		/* false: the relation has none of our triggers */
} GuardEntry;

static HTAB *guards = NULL;

/* when anything was invalidated last, by ienv_news_time() */
static uint64 invalidated = 0;

static bool is_of_guard(const Trigger *trigger, const IenvTriggerKind **kind, IenvColumns *columns);
static bool read_columns(Relation rel, IenvGuard *guard);
static Oid	find_root(Oid trigger);

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
	const IenvTriggerKind *kind;
	IenvColumns columns;
	bool		is_partition = false;
	int			told_by = 0;	/* the kind of trigger that the columns are from */

	memset(guard, 0, sizeof(*guard));
	guard->relid = RelationGetRelid(rel);
	guard->root = guard->relid;
	guard->label = "";
	*present = *disabled = 0;

	/* what we look up below may have the relcache entry rebuilt under us */
	triggers = CopyTriggerDesc(rel->trigdesc);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		is_partition = is_partition || (triggers->triggers[i].tgisclone &&
										is_of_guard(&triggers->triggers[i], &kind, &columns));

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		/* a partition is guarded by what it has from its table, whatever else there is */
		if (!is_of_guard(trigger, &kind, &columns) ||
			(is_partition && !trigger->tgisclone && kind->bit != IENV_TRIGGER_TRUNCATE))
			continue;
		*present |= kind->bit;
		if (trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN && trigger->tgenabled != TRIGGER_FIRES_ALWAYS)
			*disabled |= kind->bit;
		if (trigger->tgisclone && guard->root == guard->relid)
			guard->root = find_root(trigger->tgoid);
		if (kind->bit == IENV_TRIGGER_DEPARTURE)
			guard->departure_trigger = trigger->tgoid;
		else if (kind->bit == IENV_TRIGGER_NO_MOVE)
			guard->move_trigger = trigger->tgoid;
		else if (kind->bit == IENV_TRIGGER_USER_CAP || kind->bit == IENV_TRIGGER_ACTIVE)
		{
			guard->made_by = ienv_trigger_writer(trigger->tgoid);
			if (kind->bit == IENV_TRIGGER_USER_CAP && trigger->tgenabled == TRIGGER_FIRES_ALWAYS)
				guard->version = ienv_trigger_version(trigger->tgoid);
		}

		/* should they differ, those of the trigger for new rows count */
		if (kind->bit > IENV_TRIGGER_NO_TRANSFER || (told_by != 0 && kind->bit > told_by))
			continue;
		told_by = kind->bit;
		guard->instance_attno = columns.instance;
		guard->key_attno = columns.key;
		guard->label = trigger->tgnargs > 0 ? pstrdup(trigger->tgargs[0]) : "";
	}

	FreeTriggerDesc(triggers);
	if (guard->instance_attno == InvalidAttrNumber)
		return false;

	if (!read_columns(rel, guard))
		return false;
	guard->counted = (*present & IENV_TRIGGER_USER_CAP) != 0;
	return true;
}

/*
 * Read what the table itself says of the columns; false if they cannot be what a guard
 * names.
 */
static bool
read_columns(Relation rel, IenvGuard *guard)
{
	Form_pg_attribute att;
	Oid			type;

	/* a superuser may have made a trigger whose condition names something else */
	att = TupleDescAttr(RelationGetDescr(rel), guard->instance_attno - 1);
	type = getBaseType(att->atttypid);
	if (type != UUIDOID && type != TEXTOID && type != VARCHAROID)
		return false;

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
 * Is the trigger one of a guard's?  Sets *kind, unless it executes none of our functions,
 * and *columns.
 */
static bool
is_of_guard(const Trigger *trigger, const IenvTriggerKind **kind, IenvColumns *columns)
{
	*kind = ienv_trigger_kind(trigger->tgfoid);
	return *kind != NULL &&
		ienv_read_condition(*kind, trigger->tgqual ? stringToNode(trigger->tgqual) : NULL, columns);
}

/*
 * Does rel have triggers of a guard's that are its own, not its table's?
 */
bool
ienv_guards_itself(Relation rel)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const IenvTriggerKind *kind = triggers->triggers[i].tgisclone ? NULL :
			ienv_trigger_kind(triggers->triggers[i].tgfoid);

		if (kind != NULL && kind->bit != IENV_TRIGGER_TRUNCATE)
			return true;
	}
	return false;
}

/*
 * The names of the triggers of rel that execute a function of ours without being any of a
 * guard's: nobody but the table's owner, or a superuser, can have made them.
 */
List *
ienv_odd_triggers(Relation rel)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	List	   *names = NIL;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const IenvTriggerKind *kind;
		IenvColumns columns;

		if (!is_of_guard(&triggers->triggers[i], &kind, &columns) && kind != NULL)
			names = lappend(names, triggers->triggers[i].tgname);
	}
	return names;
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
	Oid			opfamily = lookup_type_cache(att->atttypid, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	List	   *indexes = RelationGetIndexList(rel);
	Oid			found = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	index = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;
		Datum		collations;
		Datum		classes;
		bool		isnull;

		if (!HeapTupleIsValid(index))
			continue;			/* dropped meanwhile */
		form = (Form_pg_index) GETSTRUCT(index);
		collations = SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indcollation, &isnull);
		classes = SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indclass, &isnull);
		/* another operator class, or access method, may have another equality */
		if (form->indisvalid && form->indkey.values[0] == attno &&
			get_opclass_family(((oidvector *) DatumGetPointer(classes))->values[0]) == opfamily &&
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
