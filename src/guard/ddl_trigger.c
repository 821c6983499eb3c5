/*-------------------------------------------------------------------------
 *
 * ddl_trigger.c
 *	  Who may create, or replace, a guard's triggers: for the event trigger of
 *	  ddl.c.
 *
 * A label determines whose identities a trigger records, and its condition
 * determines which columns count.  So only a table's owner may create a
 * trigger that executes one of our functions, and only one that guard() might
 * have created; and nobody else may replace such a trigger.  A role that could
 * do more might forge departures of the users of another role's table, or have
 * its rows counted by another column.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

static bool is_only_enabled(Relation rel, HeapTuple tuple, CommandId since);
static bool same_trigger(Relation rel, HeapTuple a, HeapTuple b);
static void check_trigger(Oid trigger);
static void check_as_made(Oid relid, const TriggerDesc *triggers,
						  const Trigger *t, const IenvTriggerKind *kind,
						  bool is_partition);
static bool was_of_guard(Oid trigger);
static bool has_sibling(const TriggerDesc *triggers, Oid trigger,
						const IenvTriggerKind *kind);

/*
 * Check the triggers that the current transaction has created or replaced,
 * starting with command "since".
 */
void
ienv_check_new_triggers(CommandId since)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, SnapshotSelf,
										  0, NULL);
	List	   *made = NIL;
	HeapTuple	tuple;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (ienv_is_new_row(tuple) &&
			HeapTupleHeaderGetCmin(tuple->t_data) >= since &&
			!OidIsValid(form->tgparentid) && !form->tgisinternal &&
			!is_only_enabled(rel, tuple, since))
			made = lappend_oid(made, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	foreach(lc, made)
		check_trigger(lfirst_oid(lc));
}

/*
 * Is this version of a trigger's row, except for whether the trigger is
 * enabled, the same as an earlier one, which was either committed before, or
 * written before command "since" and therefore looked at already?
 */
static bool
is_only_enabled(Relation rel, HeapTuple tuple, CommandId since)
{
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	other;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(form->oid));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, SnapshotAny, 1,
							  &key);
	while (!found && HeapTupleIsValid(other = systable_getnext(scan)))
	{
		found =
			(ienv_is_new_row(other) ?
			 HeapTupleHeaderGetCmin(other->t_data) < since :
			 HeapTupleHeaderXminFrozen(other->t_data) ||
			 TransactionIdDidCommit(HeapTupleHeaderGetRawXmin(other->t_data))) &&
			same_trigger(rel, tuple, other);
	}
	systable_endscan(scan);
	return found;
}

/*
 * Are two rows of pg_trigger the same but for the name of the trigger and for
 * whether it is enabled?
 */
static bool
same_trigger(Relation rel, HeapTuple a, HeapTuple b)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int attno = 1; attno <= desc->natts; attno++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attno - 1);
		bool		isnull[2];
		Datum		values[2] = {
			heap_getattr(a, attno, desc, &isnull[0]),
			heap_getattr(b, attno, desc, &isnull[1])
		};

		if (attno != Anum_pg_trigger_tgname &&
			attno != Anum_pg_trigger_tgenabled &&
			(isnull[0] != isnull[1] ||
			 (!isnull[0] &&
			  !datum_image_eq(values[0], values[1], att->attbyval,
							  att->attlen))))
			return false;
	}
	return true;
}

/*
 * Refuse a trigger that executes one of our functions, unless it is one that
 * guard() might have created for the table: a dump that the table's owner
 * restores creates it again.  Also refuse one that replaces a guard's trigger,
 * unless this is done by the owner, who might as well drop that one.
 */
static void
check_trigger(Oid trigger)
{
	HeapTuple	tuple = ienv_read_trigger(trigger);
	Oid			relid;
	const IenvTriggerKind *kind;
	Relation	rel;
	TriggerDesc *triggers;
	bool		is_partition;
	bool		is_partitioned;

	if (!HeapTupleIsValid(tuple))
		return;
	relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	kind = ienv_trigger_kind(((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid);
	heap_freetuple(tuple);

	if (kind == NULL && !was_of_guard(trigger))
		return;
	if (!ienv_owns_relation(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg(kind != NULL ?
						"permission denied to create a trigger of extension \"%s\" on table %s" :
						"permission denied to replace a trigger of extension \"%s\" on table %s",
						IENV_SCHEMA, ienv_quoted_name(relid)),
				 errdetail("Only the owner of the table may.")));
	if (kind == NULL)
		return;

	rel = relation_open(relid, AccessShareLock);
	triggers = CopyTriggerDesc(rel->trigdesc);
	is_partition = rel->rd_rel->relispartition;
	is_partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	relation_close(rel, AccessShareLock);

	/* refuses partitions that could not be counted */
	if (is_partitioned)
		(void) ienv_leaf_relations(relid, AccessShareLock);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *t = &triggers->triggers[i];

		if (t->tgoid == trigger)
			check_as_made(relid, triggers, t, kind, is_partition);
	}
}

/*
 * Refuse a trigger of the table that executes one of our functions, unless
 * guard() might have created it.
 */
static void
check_as_made(Oid relid, const TriggerDesc *triggers, const Trigger *t,
			  const IenvTriggerKind *kind, bool is_partition)
{
	IenvColumns columns;
	IenvGuard	options;

	/*
	 * guard() itself is at work, perhaps with a label that the table has long
	 * had.
	 */
	if (ienv_making_triggers_of != NULL &&
		ienv_making_triggers_of->relid == relid &&
		t->tgnargs >= 1 &&
		strcmp(t->tgargs[0], ienv_making_triggers_of->label) == 0)
		return;
	if (!ienv_read_options(t, &options) ||
		(kind->bit != IENV_TRIGGER_TRUNCATE &&
		 !ienv_may_have_label(relid, options.label)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create trigger \"%s\" with a label other than '%s'",
						t->tgname, ienv_free_label(relid)),
				 errhint("Let instance_env.guard() create the triggers.")));
	if (!ienv_is_of_guard(t, &kind, &columns) ||
		(is_partition && kind->bit != IENV_TRIGGER_TRUNCATE) ||
		has_sibling(triggers, t->tgoid, kind))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create trigger \"%s\" on table %s", t->tgname, ienv_quoted_name(relid)),
				 errdetail("It executes a function of extension \"%s\", but is not what guard() creates.", IENV_SCHEMA),
				 errhint("Let instance_env.guard() create the triggers.")));
}

/*
 * Did the trigger, which the current transaction has written, execute one of
 * our functions before?
 */
static bool
was_of_guard(Oid trigger)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, SnapshotAny, 1,
							  &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found =
			ienv_trigger_kind(((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid) !=
			NULL;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Does the table have another trigger of this kind?
 */
static bool
has_sibling(const TriggerDesc *triggers, Oid trigger,
			const IenvTriggerKind *kind)
{
	for (int i = 0; i < triggers->numtriggers; i++)
		if (triggers->triggers[i].tgoid != trigger &&
			ienv_trigger_kind(triggers->triggers[i].tgfoid) == kind)
			return true;
	return false;
}

/*
 * Has the current transaction written this row of a catalog?
 */
bool
ienv_is_new_row(HeapTuple row)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(row->t_data));
}
