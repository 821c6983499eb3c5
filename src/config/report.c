/*-------------------------------------------------------------------------
 *
 * report.c
 *	  What promote() and rollback_promotion() report: a row for each change,
 *	  which is also recorded in the audit log and in the history of promotions.
 *
 * Lists and what they point to are allocated in the memory context of the
 * caller's SPI connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "config/config.h"

/*
 * Append a change; before and after are jsonb, or 0 for null.
 */
List *
ienv_add_change(List *changes, const char *step, const char *item,
				Datum before, Datum after)
{
	IenvChange *change = palloc(sizeof(IenvChange));

	change->step = step;
	change->item = item;
	change->before = before;
	change->after = after;
	return lappend(changes, change);
}

/*
 * Append what the last query returned, (item, before, after), as changes.
 */
List *
ienv_add_changes(List *changes, const char *step)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		values[2];

		for (int j = 0; j < 2; j++)
		{
			bool		isnull;

			values[j] = SPI_getbinval(tuple, desc, j + 2, &isnull);
			if (isnull)
				values[j] = (Datum) 0;
		}
		changes = ienv_add_change(changes, step, SPI_getvalue(tuple, desc, 1),
								  values[0], values[1]);
	}
	return changes;
}

/*
 * Record each change as an event of this instance.
 */
void
ienv_record_changes(const char *action, Datum application, Datum instance,
					const List *changes)
{
	ListCell   *lc;

	foreach(lc, changes)
	{
		const IenvChange *change = lfirst(lc);

		ienv_record_event(action, DatumGetUUIDP(application),
						  DatumGetUUIDP(instance),
						  change->item, change->before, change->after);
	}
}

/*
 * Return the changes as rows (step, item, before, after); the caller has
 * called InitMaterializedSRF().
 */
void
ienv_return_changes(FunctionCallInfo fcinfo, const List *changes)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	foreach(lc, changes)
	{
		const IenvChange *change = lfirst(lc);
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = CStringGetTextDatum(change->step);
		values[1] = CStringGetTextDatum(change->item);
		values[2] = change->before;
		values[3] = change->after;
		nulls[2] = DatumGetPointer(change->before) == NULL;
		nulls[3] = DatumGetPointer(change->after) == NULL;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
}

/*
 * The changes as a jsonb array, with an object for each row.
 */
Datum
ienv_changes_jsonb(const List *changes)
{
	StringInfoData json;
	ListCell   *lc;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach(lc, changes)
	{
		const IenvChange *change = lfirst(lc);
		Datum		values[2] = {change->before, change->after};

		appendStringInfoString(&json,
							   json.len > 1 ? ", {\"step\": " : "{\"step\": ");
		escape_json(&json, change->step);
		appendStringInfoString(&json, ", \"item\": ");
		escape_json(&json, change->item);
		for (int i = 0; i < 2; i++)
		{
			appendStringInfoString(&json,
								   i == 0 ? ", \"before\": " :
								   ", \"after\": ");
			if (DatumGetPointer(values[i]) == NULL)
				appendStringInfoString(&json, "null");
			else
			{
				Jsonb	   *value = DatumGetJsonbP(values[i]);

				(void) JsonbToCString(&json, &value->root, VARSIZE(value));
			}
		}
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return ienv_jsonb(json.data);
}
