/*-------------------------------------------------------------------------
 *
 * guard_triggers.c
 *	  Creating and dropping the triggers that a guard consists of.
 *
 * This is done as the table's owner (see table_owner.c), no matter who calls
 * guard(): a statement may compute the partition key, which is the owner's
 * code.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

/*
 * The guard, with its label, for which a trigger is being created here; or
 * NULL.
 */
const IenvGuard *ienv_making_triggers_of = NULL;

static void create_trigger(const IenvGuard *guard,
						   const IenvTriggerKind *kind, const char *name,
						   bool replace);
static const char *name_of(Oid relid, const IenvTriggerKind *kind,
						   bool *always);
static char *condition_of(const IenvGuard *guard, int bit);
static char *new_row(const IenvGuard *guard, const char *function);
static char *change(const IenvGuard *guard);
static char *options_of(const IenvGuard *guard, int bit);
static void add_option(StringInfo options, const char *option,
					   const char *value);

/*
 * The triggers that a guard of rel consists of, as IENV_TRIGGER_ bits.
 */
int
ienv_triggers_for(Relation rel, const IenvGuard *guard)
{
	int			bits = IENV_TRIGGER_NO_TRANSFER;

	bits |= guard->counted ? IENV_TRIGGER_USER_CAP : IENV_TRIGGER_ACTIVE;
	if (guard->nkeys > 0 && guard->departures)
		bits |= IENV_TRIGGER_DEPARTURE;
	if (ienv_watches_truncate(guard))
		bits |= IENV_TRIGGER_TRUNCATE;
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		bits |= IENV_TRIGGER_NO_MOVE;
	return bits;
}

/*
 * Does it matter when rows are truncated?  Either their users leave, or they
 * can be users of production; in a table that was to have no record of
 * departures, neither.
 */
bool
ienv_watches_truncate(const IenvGuard *guard)
{
	return guard->nkeys > 0 && !guard->coded ? guard->departures :
		guard->counted;
}

/*
 * Create the triggers that are missing and enable those that are asleep, both
 * given as IENV_TRIGGER_ bits.  SPI is connected, and the table is locked
 * against renaming.
 */
void
ienv_make_triggers(const IenvGuard *guard, int missing, int asleep)
{
	IenvActing	saved;

	if (missing == 0 && asleep == 0)
		return;

	/*
	 * sets search_path: the conditions compare instances with PostgreSQL's
	 * equality
	 */
	ienv_act_as_owner_of(guard->relid, &saved);
	ienv_allow_triggers(guard->relid);
	for (int kind = 0; kind < IENV_TRIGGERS; kind++)
	{
		const IenvTriggerKind *k = &ienv_trigger_kinds[kind];

		if (missing & k->bit)
			create_trigger(guard, k, quote_identifier(k->name), false);

		/*
		 * The cap's trigger must also fire for rows that a replication worker
		 * applies.
		 */
		if (k->bit == IENV_TRIGGER_USER_CAP && (asleep & k->bit))
			ienv_execute("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
						 ienv_kept_name(guard->relid),
						 name_of(guard->relid, k, NULL));
		else if (asleep & ~missing & k->bit)
			ienv_execute("ALTER TABLE %s ENABLE TRIGGER %s",
						 ienv_kept_name(guard->relid),
						 name_of(guard->relid, k, NULL));
	}
	ienv_act_as_self(&saved);
}

/*
 * Replace triggers, given as IENV_TRIGGER_ bits, whose options have changed.
 * They are enabled by that, on all partitions.  The same goes for the caller as
 * above.
 */
void
ienv_replace_triggers(const IenvGuard *guard, int bits)
{
	IenvActing	saved;

	if (bits == 0)
		return;
	ienv_act_as_owner_of(guard->relid, &saved);
	ienv_allow_triggers(guard->relid);
	for (int kind = 0; kind < IENV_TRIGGERS; kind++)
	{
		const IenvTriggerKind *k = &ienv_trigger_kinds[kind];
		bool		always;
		const char *name;

		if (!(bits & k->bit))
			continue;
		name = name_of(guard->relid, k, &always);
		create_trigger(guard, k, name, true);
		if (always)
			ienv_execute("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
						 ienv_kept_name(guard->relid), name);
	}
	ienv_act_as_self(&saved);
}

static void
create_trigger(const IenvGuard *guard, const IenvTriggerKind *kind,
			   const char *name, bool replace)
{
	ienv_making_triggers_of = guard;
	PG_TRY();
	{
		ienv_execute("CREATE %sTRIGGER %s %s ON %s FOR EACH %s%s EXECUTE FUNCTION %s.%s(%s%s)",
					 replace ? "OR REPLACE " : "", name, kind->event,
					 ienv_kept_name(guard->relid),
					 kind->bit == IENV_TRIGGER_TRUNCATE ? "STATEMENT" : "ROW",
					 condition_of(guard, kind->bit), IENV_SCHEMA,
					 kind->function,
					 quote_literal_cstr(guard->label),
					 options_of(guard, kind->bit));
	}
	PG_CATCH();
	{
		/* no PG_FINALLY(): a compiler that inlines this warns of its variable */
		ienv_making_triggers_of = NULL;
		PG_RE_THROW();
	}
	PG_END_TRY();
	ienv_making_triggers_of = NULL;
}

/*
 * The quoted name of a table's trigger of this kind, which may have been
 * renamed.  Sets *always, if that is not NULL: is it always enabled?
 */
static const char *
name_of(Oid relid, const IenvTriggerKind *kind, bool *always)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	const char *name = kind->name;

	if (always != NULL)
		*always = false;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (ienv_trigger_kind(trigger->tgfoid) != kind)
			continue;
		name = trigger->tgname;
		if (always != NULL)
			*always = trigger->tgenabled == TRIGGER_FIRES_ALWAYS;
	}
	table_close(rel, NoLock);
	return quote_identifier(name);
}

/*
 * The WHEN clause of a trigger.  Besides saying when to fire, most name the
 * columns.
 */
static char *
condition_of(const IenvGuard *guard, int bit)
{
	switch (bit)
	{
		case IENV_TRIGGER_USER_CAP:
			return new_row(guard, "admission_required");
		case IENV_TRIGGER_ACTIVE:
			return new_row(guard, "instance_unavailable");
		case IENV_TRIGGER_DEPARTURE:
			return psprintf(" WHEN (%s.departure_queued())", IENV_SCHEMA);
		case IENV_TRIGGER_NO_TRANSFER:
			return change(guard);
		case IENV_TRIGGER_NO_MOVE:
			return psprintf(" WHEN (%s.row_moves(OLD.%s, OLD.tableoid,"
							" OLD.ctid))", IENV_SCHEMA,
							quote_identifier(get_attname(guard->relid,
														 guard->instance_attno,
														 false)));
		default:
			return "";
	}
}

/*
 * The condition for a new row.  It also names the columns that refer to a user
 * of another table, where PostgreSQL keeps them correct.
 */
static char *
new_row(const IenvGuard *guard, const char *function)
{
	StringInfoData when;

	initStringInfo(&when);
	appendStringInfo(&when, " WHEN (%s.%s(NEW.%s, NEW.tableoid", IENV_SCHEMA,
					 function,
					 quote_identifier(get_attname(guard->relid,
												  guard->instance_attno,
												  false)));
	for (int i = 0; i < guard->nkeys + guard->nrefs; i++)
		appendStringInfo(&when, ", NEW.%s",
						 quote_identifier(get_attname(guard->relid,
													  guard->nkeys > 0 ?
													  guard->key_attnos[i] :
													  guard->ref_attnos[i],
													  false)));
	appendStringInfoString(&when, "))");
	return when.data;
}

/*
 * The condition for an update: the instance or the user key changes.
 */
static char *
change(const IenvGuard *guard)
{
	const char *instance = quote_identifier(get_attname(guard->relid,
														guard->instance_attno,
														false));
	StringInfoData when;

	initStringInfo(&when);
	appendStringInfo(&when, " WHEN (OLD.%s IS DISTINCT FROM NEW.%s", instance,
					 instance);
	for (int i = 0; i < guard->nkeys; i++)
	{
		const char *key = quote_identifier(get_attname(guard->relid,
													   guard->key_attnos[i],
													   false));

		appendStringInfo(&when, " OR %s.identity_changes(OLD.%s, NEW.%s)",
						 IENV_SCHEMA, key, key);
	}
	appendStringInfoChar(&when, ')');
	return when.data;
}

/*
 * The arguments that follow the label, see ienv_read_options() and
 * ienv_read_user_columns().
 */
static char *
options_of(const IenvGuard *guard, int bit)
{
	const IenvUserColumns *columns = guard->user_columns;
	StringInfoData options;

	initStringInfo(&options);
	if (*guard->user_label != '\0')
		add_option(&options, IENV_OPTION_USER_TABLE, guard->user_label);
	if (guard->coded)
		add_option(&options, IENV_OPTION_CODED, "");
	else if (!guard->departures)
		add_option(&options, IENV_OPTION_NO_DEPARTURES, "");
	if (bit != IENV_TRIGGER_NO_TRANSFER || columns == NULL)
		return options.data;
	if (columns->address != NULL)
		add_option(&options, IENV_OPTION_ADDRESS, columns->address);
	if (columns->created != NULL)
		add_option(&options, IENV_OPTION_CREATED, columns->created);
	return options.data;
}

static void
add_option(StringInfo options, const char *option, const char *value)
{
	appendStringInfo(options, ", %s",
					 quote_literal_cstr(psprintf("%s%s", option, value)));
}

/*
 * The names of our triggers that rel has itself, not as a partition.
 */
List *
ienv_own_triggers(Relation rel)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	List	   *names = NIL;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (!trigger->tgisclone && ienv_trigger_kind(trigger->tgfoid) != NULL)
			names = lappend(names, trigger->tgname);
	}
	return names;
}

/*
 * Drop these triggers of a table, as its owner.  Its partitions may belong to
 * any role, since nothing of theirs is computed.
 */
void
ienv_drop_triggers(Oid relid, List *names)
{
	IenvActing	saved;
	ListCell   *lc;

	ienv_act_as(ienv_relation_owner(relid), &saved);
	ienv_allow_triggers(relid);
	foreach(lc, names)
		ienv_execute("DROP TRIGGER %s ON %s", quote_identifier(lfirst(lc)),
					 ienv_kept_name(relid));
	ienv_act_as_self(&saved);
}

/*
 * Create the trigger for TRUNCATE on relid and its partitions where it is
 * missing, and enable it where it is asleep.  SPI is connected.
 */
void
ienv_guard_partitions(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);
		IenvGuard	guard;
		int			present;
		int			disabled;

		(void) ienv_read_guard(rel, &guard, &present, &disabled);
		table_close(rel, NoLock);
		if (!(present & IENV_TRIGGER_TRUNCATE))
			ienv_make_triggers(&guard, IENV_TRIGGER_TRUNCATE, 0);
		else if (disabled & IENV_TRIGGER_TRUNCATE)
			ienv_make_triggers(&guard, 0, IENV_TRIGGER_TRUNCATE);
	}
}
