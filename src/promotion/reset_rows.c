/*-------------------------------------------------------------------------
 *
 * reset_rows.c
 *	  The statements that reset_development() runs on the application's tables.
 *
 * The caller must have the right to do what they do, but they run as the owner
 * of the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "cap/cap.h"
#include "guard/guard.h"
#include "promotion/reset.h"
#include "table/table.h"

static void check_rights(const IenvResetTable *table);
static Oid	check_owners(const IenvReset *reset, const List *tables);

/*
 * Find out whether the table has rows of the instance.
 */
void
ienv_reset_look(IenvReset *reset, IenvResetTable *table)
{
	const IenvGuard *guard;

	reset->current = table;
	guard = ienv_guard_of(table->relid);
	if (guard != NULL)
	{
		const char *value = ienv_sql_of_value(guard->instance_type,
											  reset->external_key);
		const char *column = quote_identifier(get_attname(table->relid,
														  guard->instance_attno,
														  false));

		table->counted = guard->counted;
		table->instance_condition = value == NULL ? "false" :
			psprintf("%s OPERATOR(pg_catalog.=) %s", column, value);
		table->of_instance = value == NULL ? "false" :
			psprintf("d.%s", table->instance_condition);
		table->condition = table->instance_condition;
		table->rows = ienv_user_count(guard,
									  guard->is_uuid ? reset->instance :
									  reset->external_key,
									  PG_INT64_MAX);
	}
	reset->current = NULL;
}

/*
 * What to add to the condition of a statement that finds a row d of the table
 * by its place.  It takes the instance to find the place of a distributed
 * table, which is in one of the shards: all rows of the instance are there, and
 * so are those of other distributed tables that foreign keys connect.
 */
const char *
ienv_reset_in_shard(const IenvResetTable *table)
{
	return table->distributed ? psprintf(" AND %s", table->of_instance) : "";
}

/*
 * Check that the caller may delete from these tables, where there are rows.
 */
void
ienv_reset_check_rights(const List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
		if (((const IenvResetTable *) lfirst(lc))->rows > 0)
		check_rights(lfirst(lc));
}

/*
 * Check that the caller may delete all rows of the table.
 */
static void
check_rights(const IenvResetTable *table)
{
	static const AclMode needed[] = {ACL_SELECT, ACL_DELETE};

	for (int i = 0; i < lengthof(needed); i++)
		if (pg_class_aclcheck(table->relid, GetUserId(), needed[i]) !=
			ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for table %s",
							ienv_quoted_name(table->relid)),
					 errdetail("The instance has rows in it; deleting them takes SELECT and DELETE.")));

	/* isolation hides no row from those who administer its instance */
	if (check_enable_rls(table->relid, InvalidOid, true) == RLS_ENABLED &&
		!ienv_only_isolated(table->relid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security of table %s could hide rows",
						ienv_quoted_name(table->relid)),
				 errhint("Call it as a role that row-level security does not apply to.")));
}

/*
 * Run a statement on these tables, as their owner; its $1 is the instance and
 * $2 its external key.  If only some users are concerned, $3 has their
 * addresses, and $4 to $6 the time that they were created before: as it is, in
 * UTC, and as a day in UTC; $7 and $8 are those that are locked, by tableoid and
 * ctid.
 */
uint64
ienv_reset_query(IenvReset *reset, const List *tables, const char *sql)
{
	return ienv_reset_query_beyond(reset, tables, NIL, sql);
}

/*
 * The same of a statement that reads other tables, too, which their owner may
 * read.
 */
uint64
ienv_reset_query_beyond(IenvReset *reset, const List *tables,
						const List *others, const char *sql)
{
	Oid			types[8] = {
		UUIDOID, TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPOID, DATEOID,
		OIDARRAYOID, TIDARRAYOID
	};
	Datum		before = TimestampTzGetDatum(reset->created_before);
	Datum		values[8] = {
		reset->instance, reset->external_key, reset->addresses, before, before,
		DirectFunctionCall1(timestamp_date, before), reset->locked_in,
		reset->locked_at
	};
	int			nest_level = ienv_bound_lock_waits(IENV_RESET_LOCK_WAIT);
	List	   *relids = NIL;
	IenvActing	saved;
	uint64		n;
	ListCell   *lc;

	reset->current = linitial(tables);
	foreach(lc, tables)
	{
		check_rights(lfirst(lc));
		relids = lappend_oid(relids,
							 ((const IenvResetTable *) lfirst(lc))->relid);
	}

	foreach(lc, others)
		relids = lappend_oid(relids,
							 ((const IenvResetTable *) lfirst(lc))->relid);

	/* each time, because a trigger may have made them deferred again */
	ienv_execute("SET CONSTRAINTS ALL IMMEDIATE");
	ienv_check_deletion(tables, check_owners(reset, tables));
	if (reset->current->distributed)
		ienv_pass_on_lock_timeout();
	ienv_act_as_owner_of(reset->current->relid, &saved);
	ienv_expect_tables(relids);
	PG_TRY();
	{
		n = ienv_query(sql, lengthof(types), types, values, NULL);
	}
	PG_FINALLY();
	{
		ienv_expect_tables(NIL);
	}
	PG_END_TRY();
	ienv_act_as_self(&saved);
	AtEOXact_GUC(false, nest_level);
	if (reset->current->distributed)
		ienv_pass_on_lock_timeout();
	reset->current = NULL;
	return n;
}

/*
 * The owner of these tables, which must be a single role if one statement is
 * to empty them.
 */
static Oid
check_owners(const IenvReset *reset, const List *tables)
{
	const IenvResetTable *first = linitial(tables);
	Oid			owner = ienv_lock_owner(first->relid);
	ListCell   *lc;

	foreach(lc, tables)
	{
		const IenvResetTable *table = lfirst(lc);

		if (ienv_lock_owner(table->relid) != owner)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg(reset->some ?
							"cannot delete from tables %s and %s together" :
							"cannot empty tables %s and %s together",
							ienv_quoted_name(first->relid),
							ienv_quoted_name(table->relid)),
					 reset->some ?
					 errdetail("Rows of the latter go with users of the former, and the tables belong to different roles.") :
					 errdetail("Their foreign keys form a circle, and the tables belong to different roles."),
					 errhint("Delete the rows of one of them first.")));
	}
	return owner;
}

/*
 * Error context callback: say what we were doing when something of the
 * application's failed.
 */
void
ienv_reset_context(void *arg)
{
	const IenvReset *reset = arg;

	if (reset->current == NULL)
		return;
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		errhint("Try again when no other session has the table or its rows locked%s.",
				reset->atomic ? "" :
				"; what has been deleted so far stays deleted");
	if (reset->some && (geterrcode() == ERRCODE_FOREIGN_KEY_VIOLATION ||
						geterrcode() == ERRCODE_RESTRICT_VIOLATION))
		errhint("Rows go with the user whom they refer to if their table is guarded with user_table, or if the foreign key cascades.");
	errcontext("reset of table %s,"
			   " as its owner and with search_path \"pg_catalog, pg_temp\"",
			   reset->current->name);
}

bool
ienv_reset_has_rows(IenvReset *reset, IenvResetTable *table)
{
	return ienv_reset_query(reset, list_make1(table),
							psprintf("SELECT FROM %s WHERE %s LIMIT 1",
									 ienv_sql_name(table->relid),
									 table->condition)) > 0;
}
