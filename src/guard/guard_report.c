/*-------------------------------------------------------------------------
 *
 * guard_report.c
 *	  What guard() has made, found or repaired: the rows that it returns, and
 *	  what it says and records of a repair.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

#define REPORT_COLUMNS 4

static void add_column(StringInfo json, const char *key, const char *column);
static void report_trigger(IenvReport *report, Oid relid,
						   const TriggerDesc *triggers,
						   const IenvTriggerKind *kind, const char *action);

/*
 * Begin the result of guard(), a set-returning function.  SPI is not
 * connected.
 */
void
ienv_begin_report(IenvReport *report, FunctionCallInfo fcinfo)
{
	InitMaterializedSRF(fcinfo, 0);
	report->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	report->changed = false;
	initStringInfo(&report->text);
	initStringInfo(&report->json);
}

/*
 * Add a row: an object of this kind and name on a table, and what was done
 * about it.
 */
void
ienv_report(IenvReport *report, const char *object, const char *name,
			Oid relid, const char *action)
{
	bool		nulls[REPORT_COLUMNS] = {false};
	Datum		values[REPORT_COLUMNS] = {
		CStringGetTextDatum(object), CStringGetTextDatum(name),
		ObjectIdGetDatum(relid), CStringGetTextDatum(action)
	};

	tuplestore_putvalues(report->rsinfo->setResult, report->rsinfo->setDesc,
						 values, nulls);
	if (strcmp(action, IENV_FOUND) == 0)
		return;
	report->changed = true;
	appendStringInfo(&report->text, "%s%s \"%s\" of table %s: %s",
					 report->text.len > 0 ? "\n" : "", object,
					 name, ienv_quoted_name(relid), action);
	appendStringInfo(&report->json, "%s{\"object\": \"%s\", \"name\": ",
					 report->json.len > 0 ? ", " : "", object);
	escape_json(&report->json, name);
	appendStringInfoString(&report->json, ", \"table\": ");
	escape_json(&report->json, ienv_stable_name(relid));
	appendStringInfo(&report->json, ", \"action\": \"%s\"}", action);
}

/*
 * Add the triggers of a guard, which has been completed by now.  Those with
 * the IENV_TRIGGER_ bits in missing were created, those in asleep enabled, and
 * those in replaced, replaced.
 */
void
ienv_report_triggers(IenvReport *report, Relation rel, const IenvGuard *guard,
					 int missing, int asleep, int replaced)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	int			all = ienv_triggers_for(rel, guard);

	for (int i = 0; i < IENV_TRIGGERS; i++)
	{
		const IenvTriggerKind *kind = &ienv_trigger_kinds[i];

		if (all & kind->bit)
			report_trigger(report, guard->relid, triggers, kind,
						   missing & kind->bit ? IENV_CREATED :
						   replaced & kind->bit ? IENV_REPLACED :
						   asleep & kind->bit ? IENV_ENABLED : IENV_FOUND);
	}
}

/*
 * Add the triggers for TRUNCATE that ienv_guard_partitions() is about to
 * create or enable on the partitions of a table.
 */
void
ienv_report_partitions(IenvReport *report, Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = table_open(lfirst_oid(lc), AccessShareLock);
		const IenvTriggerKind *kind = ienv_trigger_kinds;
		IenvGuard	guard;
		int			present;
		int			disabled;

		while (kind->bit != IENV_TRIGGER_TRUNCATE)
			kind++;
		(void) ienv_read_guard(rel, &guard, &present, &disabled);
		if (lfirst_oid(lc) == relid)
			 /* ienv_report_triggers() has it */ ;
		else if (!(present & kind->bit))
			report_trigger(report, guard.relid, NULL, kind, IENV_CREATED);
		else if (disabled & kind->bit)
			report_trigger(report, guard.relid, rel->trigdesc, kind,
						   IENV_ENABLED);
		table_close(rel, NoLock);
	}
}

/*
 * Add a trigger, by the name that it has on the table.
 */
static void
report_trigger(IenvReport *report, Oid relid, const TriggerDesc *triggers,
			   const IenvTriggerKind *kind, const char *action)
{
	const char *name = kind->name;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (ienv_trigger_kind(triggers->triggers[i].tgfoid) == kind)
			name = triggers->triggers[i].tgname;
	ienv_report(report, "trigger", name, relid, action);
}

/*
 * A guard as jsonb, for an event, with what was repaired, if that is not NULL.
 */
Datum
ienv_guard_as_jsonb(const IenvGuard *guard, Oid user_table,
					const char *repaired)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"instance_column\": ");
	escape_json(&json,
				get_attname(guard->relid, guard->instance_attno, false));
	if (guard->nkeys + guard->nrefs > 0)
	{
		appendStringInfoString(&json, ", \"user_key\": ");
		escape_json(&json, ienv_user_key_text(guard));
		appendStringInfoString(&json, ", \"label\": ");
		escape_json(&json, guard->label);
	}
	if (OidIsValid(user_table))
	{
		appendStringInfoString(&json, ", \"user_table\": ");
		escape_json(&json, ienv_stable_name(user_table));
	}
	appendStringInfo(&json, ", \"counted\": %s",
					 guard->counted ? "true" : "false");
	if (guard->coded)
		appendStringInfoString(&json, ", \"coded\": true");
	else if (!guard->departures)
		appendStringInfoString(&json, ", \"follow_departures\": false");
	if (guard->user_columns != NULL)
	{
		add_column(&json, "address_column", guard->user_columns->address);
		add_column(&json, "created_column", guard->user_columns->created);
	}
	if (repaired != NULL)
		appendStringInfo(&json, ", \"repaired\": [%s]", repaired);
	appendStringInfoChar(&json, '}');
	return ienv_jsonb(json.data);
}

static void
add_column(StringInfo json, const char *key, const char *column)
{
	if (column == NULL)
		return;
	appendStringInfo(json, ", \"%s\": ", key);
	escape_json(json, column);
}
