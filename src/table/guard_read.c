/*-------------------------------------------------------------------------
 *
 * guard_read.c
 *	  How a table is guarded, according to its triggers.
 *
 * The triggers are the only record of a guard.  They name the columns they
 * need in their WHEN conditions, where PostgreSQL itself keeps them correct
 * across a rename, a dump, or a partition whose columns are numbered
 * differently; a trigger argument would not be adjusted.  The label of the
 * identities is an argument, so that it does not change when the table is
 * renamed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/base.h"
#include "table/table.h"

static bool agrees(const IenvGuard *guard, const IenvTriggerKind *kind,
				   const IenvColumns *columns);
static bool read_columns(Relation rel, IenvGuard *guard);
static bool is_in_row(Relation rel, AttrNumber attno);
static Oid	find_root(Oid trigger);

/*
 * Read a guard from the triggers of rel, which is open and locked.
 *
 * Sets *present and *disabled to the IENV_TRIGGER_ bits of the triggers found
 * and of those that do not fire.  False if there is no guard.
 */
bool
ienv_read_guard(Relation rel, IenvGuard *guard, int *present, int *disabled)
{
	TriggerDesc *triggers;
	const IenvTriggerKind *kind;
	IenvColumns columns;
	bool		is_partition = false;
	int			told_by = 0;	/* the kind of trigger that the columns are
								 * from */

	memset(guard, 0, sizeof(*guard));
	guard->relid = RelationGetRelid(rel);
	guard->root = guard->relid;
	guard->label = guard->user_label = "";
	*present = *disabled = 0;

	/* the look-ups below may cause the relcache entry to be rebuilt */
	triggers = CopyTriggerDesc(rel->trigdesc);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		is_partition = is_partition || (triggers->triggers[i].tgisclone &&
										ienv_is_of_guard(&triggers->triggers[i],
														 &kind, &columns));

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		/*
		 * if it has inherited triggers, only those count, besides TRUNCATE's
		 */
		if (!ienv_is_of_guard(trigger, &kind, &columns) ||
			(is_partition && !trigger->tgisclone &&
			 kind->bit != IENV_TRIGGER_TRUNCATE))
			continue;
		*present |= kind->bit;
		if (trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN &&
			trigger->tgenabled != TRIGGER_FIRES_ALWAYS)
			*disabled |= kind->bit;
		if (trigger->tgisclone && guard->root == guard->relid)
			guard->root = find_root(trigger->tgoid);
		if (kind->bit == IENV_TRIGGER_DEPARTURE)
			guard->departure_trigger = trigger->tgoid;
		else if (kind->bit == IENV_TRIGGER_NO_MOVE)
			guard->move_trigger = trigger->tgoid;
		else if (kind->bit == IENV_TRIGGER_USER_CAP ||
				 kind->bit == IENV_TRIGGER_ACTIVE)
		{
			guard->made_by = ienv_trigger_writer(trigger->tgoid);
			if (kind->bit == IENV_TRIGGER_USER_CAP &&
				trigger->tgenabled == TRIGGER_FIRES_ALWAYS)
				guard->version = ienv_trigger_version(trigger->tgoid);
		}

		/* if they differ, the columns of the trigger for new rows count */
		if (kind->bit > IENV_TRIGGER_NO_TRANSFER ||
			(told_by != 0 && kind->bit > told_by))
			continue;
		told_by = kind->bit;
		guard->instance_attno = columns.instance;
		(void) ienv_read_options(trigger, guard);
		memset(guard->key_attnos, 0, sizeof(guard->key_attnos));
		memset(guard->ref_attnos, 0, sizeof(guard->ref_attnos));
		guard->nkeys = *guard->user_label == '\0' ? columns.nkeys : 0;
		guard->nrefs = columns.nkeys - guard->nkeys;
		memcpy(guard->nkeys > 0 ? guard->key_attnos : guard->ref_attnos,
			   columns.keys, sizeof(columns.keys));
	}

	/* one that speaks of other columns guards nothing */
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (ienv_is_of_guard(&triggers->triggers[i], &kind, &columns) &&
			!agrees(guard, kind, &columns))
			*present &= ~kind->bit;

	FreeTriggerDesc(triggers);
	if (guard->instance_attno == InvalidAttrNumber)
		return false;

	if (!read_columns(rel, guard))
		return false;
	guard->counted = (*present & IENV_TRIGGER_USER_CAP) != 0;
	return true;
}

/*
 * Does a trigger's condition name the guard's columns, if any?
 */
static bool
agrees(const IenvGuard *guard, const IenvTriggerKind *kind,
	   const IenvColumns *columns)
{
	if (columns->instance == InvalidAttrNumber)
		return true;
	return columns->instance == guard->instance_attno &&
		(kind->bit != IENV_TRIGGER_NO_TRANSFER ||
		 (columns->nkeys == guard->nkeys &&
		  memcmp(columns->keys, guard->key_attnos,
				 sizeof(columns->keys)) == 0));
}

/*
 * Read a trigger's arguments, the label and then options, into guard.  False
 * if there is one that guard() does not write.
 *
 * Options are part of what the table's users are, and do not name anything
 * that could be renamed: another table by the label of its guard.
 */
bool
ienv_read_options(const Trigger *trigger, IenvGuard *guard)
{
	guard->label = guard->user_label = "";
	guard->departures = true;
	guard->coded = false;
	if (trigger->tgnargs > 0)
		guard->label = pstrdup(trigger->tgargs[0]);
	for (int i = 1; i < trigger->tgnargs; i++)
	{
		const char *option = trigger->tgargs[i];

		if (strncmp(option, IENV_OPTION_USER_TABLE,
					strlen(IENV_OPTION_USER_TABLE)) == 0)
			guard->user_label = pstrdup(option +
										strlen(IENV_OPTION_USER_TABLE));
		else if (strcmp(option, IENV_OPTION_NO_DEPARTURES) == 0)
			guard->departures = false;
		else if (strcmp(option, IENV_OPTION_CODED) == 0)
			guard->coded = true;
		else if (strncmp(option, IENV_OPTION_ADDRESS,
						 strlen(IENV_OPTION_ADDRESS)) != 0 &&
				 strncmp(option, IENV_OPTION_CREATED,
						 strlen(IENV_OPTION_CREATED)) != 0)
			return false;
	}
	guard->departures = guard->departures && !guard->coded;
	return trigger->tgnargs > 0;
}

/*
 * Read what the table itself says about the columns; false if they cannot be
 * those of a guard.
 */
static bool
read_columns(Relation rel, IenvGuard *guard)
{
	Form_pg_attribute att;
	Oid			type;

	/*
	 * a superuser may have made a trigger whose condition names something
	 * else
	 */
	att = TupleDescAttr(RelationGetDescr(rel), guard->instance_attno - 1);

	if (!is_in_row(rel, guard->instance_attno))
		return false;
	for (int i = 0; i < guard->nkeys; i++)
		if (!is_in_row(rel, guard->key_attnos[i]))
			return false;
	type = getBaseType(att->atttypid);
	if (!ienv_instance_type_ok(type) ||
		(OidIsValid(att->attcollation) &&
		 !get_collation_isdeterministic(att->attcollation)))
		return false;

	guard->instance_type = type;
	guard->is_uuid = type == UUIDOID;
	guard->is_plain = ienv_is_plain(type);
	guard->coded = guard->coded && guard->nkeys > 0;
	guard->no_production = guard->nkeys > 0 && !guard->departures &&
		!guard->coded;
	ienv_read_place(rel, guard);
	guard->instance_index = ienv_index_on(rel, 1, &guard->instance_attno);
	if (guard->nkeys > 0)
	{
		ienv_identity_prepare(rel, guard);
		guard->key_index = ienv_index_on(rel, guard->nkeys,
										 guard->key_attnos);
		guard->key_is_local = ienv_key_is_local(guard->relid, guard->root,
												guard->nkeys,
												guard->key_attnos);
		guard->key_is_unique = guard->key_is_local &&
			OidIsValid(ienv_unique_index_on(rel, guard->nkeys,
											guard->key_attnos));
	}
	return true;
}

/*
 * Does a row have a value of this column?  A command that drops a partition's
 * column drops its triggers later; and of a virtual generated column, which
 * guard() refuses, a trigger would find that nobody has one.
 */
static bool
is_in_row(Relation rel, AttrNumber attno)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attno - 1);

	return !att->attisdropped &&
		(att->attgenerated == '\0' ||
		 att->attgenerated == ATTRIBUTE_GENERATED_STORED);
}

/*
 * Does the trigger belong to a guard, being what guard() creates?  Sets
 * *columns, and *kind, which is NULL if it executes none of our functions.
 */
bool
ienv_is_of_guard(const Trigger *trigger, const IenvTriggerKind **kind,
				 IenvColumns *columns)
{
	*kind = ienv_trigger_kind(trigger->tgfoid);
	return *kind != NULL && trigger->tgtype == (*kind)->type &&
		!trigger->tgdeferrable && trigger->tgnattr == 0 &&
		trigger->tgoldtable == NULL && trigger->tgnewtable == NULL &&
		ienv_read_condition(*kind,
							trigger->tgqual ? stringToNode(trigger->tgqual) :
							NULL, columns);
}

/*
 * Does rel have triggers of a guard that are its own, not inherited from its
 * table?
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
 * The names of the triggers of rel that execute one of our functions but do
 * not belong to a guard: only the table's owner or a superuser can have
 * created them.
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

		if (!ienv_is_of_guard(&triggers->triggers[i], &kind, &columns) &&
			kind != NULL)
			names = lappend(names, triggers->triggers[i].tgname);
	}
	return names;
}

/*
 * The table that guard() was called for, given a trigger that was cloned from
 * that table's.  This also works while the partition is being detached
 * concurrently.
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
