/*-------------------------------------------------------------------------
 *
 * reset_report.c
 *	  What reset_development() says and records of the rows that it deletes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/json.h"

#include "base/base.h"
#include "promotion/reset.h"

static void add_text(StringInfo json, const char *key, const char *value);

/*
 * Refuse to go on where rows stay although they have been deleted.
 */
void
ienv_reset_refuse_kept_rows(const IenvReset *reset, const IenvResetTable *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("could not delete all rows of development instance %s from table %s",
					ienv_instance_text(reset->instance, true),
					ienv_quoted_name(table->relid)),
			 errdetail("Some rows remain after DELETE; a trigger on the table may be suppressing it.")));
}

/*
 * Report and record that so many rows have been deleted, and what was asked.
 */
void
ienv_reset_report(IenvReset *reset, IenvResetTable *table, int64 n)
{
	char	   *name = ienv_quoted_name(table->relid);
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"deleted\": %lld", (long long) n);
	add_text(&json, "only_users", reset->only_users);
	add_text(&json, "older_than", reset->older_than);
	appendStringInfoChar(&json, '}');
	reset->deleted += n;
	table->deleted += n;
	ereport(NOTICE,
			(errmsg("deleted %lld of %lld rows of development instance %s from table %s",
					(long long) table->deleted,
					(long long) Max(table->deleted, table->rows),
					ienv_instance_text(reset->instance, true), name)));
	ienv_record_event("reset_development", NULL, &reset->id,
					  pnstrdup(name + 1, strlen(name) - 2),
					  0, ienv_jsonb(json.data));
}

static void
add_text(StringInfo json, const char *key, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(json, ", \"%s\": ", key);
	escape_json(json, value);
}
