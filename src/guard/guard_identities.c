/*-------------------------------------------------------------------------
 *
 * guard_identities.c
 *	  The checks that guard() makes of the users in existing rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "guard/guard.h"
#include "registry/registry.h"
#include "table/table.h"
#include "transfer/transfer.h"

static char *offender(uint64 row, int column, int n);

/*
 * Open a cursor for a query that reads relid alone, as its owner.  SPI is
 * connected.
 */
Portal
ienv_open_rows(Oid relid, const char *sql)
{
	ienv_expect_tables(list_make1_oid(relid));
	return SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, 0);
}

/*
 * Look for keys that are in more than one instance.
 */
void
ienv_check_identities(const IenvGuard *guard)
{
	char	   *column = ienv_user_key_text(guard);
	const char *key;
	char	   *sql;
	StringInfoData offenders;

	key = ienv_column_list(guard->relid, guard->nkeys, guard->key_attnos);
	sql = psprintf("SELECT %s FROM %s WHERE (%s) IS NOT NULL GROUP BY %s"
				   " HAVING pg_catalog.count(DISTINCT %s)"
				   " OPERATOR(pg_catalog.>) 1 ORDER BY %s LIMIT %d",
				   key, ienv_sql_name(guard->relid),
				   guard->nkeys > 1 ? psprintf("ROW(%s)", key) : key, key,
				   quote_identifier(get_attname(guard->relid,
												guard->instance_attno, false)),
				   key, IENV_MAX_OFFENDERS + 1);

	ienv_expect_tables(list_make1_oid(guard->relid));
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for keys in two instances");
	if (SPI_processed == 0)
		return;

	initStringInfo(&offenders);
	for (uint64 i = 0; i < Min(SPI_processed, IENV_MAX_OFFENDERS); i++)
		appendStringInfo(&offenders, "%s\"%s\"", i ? ", " : "",
						 offender(i, 1, guard->nkeys));
	if (SPI_processed > IENV_MAX_OFFENDERS)
		appendStringInfoString(&offenders, " and more");
	ereport(ERROR,
			(errcode(ERRCODE_IENV_TRANSFER_PROHIBITED),
			 errmsg("table %s has users in more than one instance",
					ienv_quoted_name(guard->relid)),
			 errdetail("User key \"%s\" has %s under different instances.",
					   column, offenders.data),
			 errhint("If that does not identify a user, name the columns that do as user_key, or give an empty user_key."),
			 ienv_errguard(guard, IENV_NO_TRANSFER)));
}

/*
 * A user key for a message: n columns of a result's row.
 */
static char *
offender(uint64 row, int column, int n)
{
	StringInfoData key;

	initStringInfo(&key);
	for (int i = 0; i < n; i++)
		appendStringInfo(&key, "%s%s", i > 0 ? ", " : "",
						 SPI_getvalue(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column + i));
	return key.data;
}

/*
 * Look for users who departed from another instance: they may have come in
 * while the table was not guarded.
 */
void
ienv_check_departed(const IenvGuard *guard, Oid relid)
{
	char	   *sql;
	Portal		portal;
	Snapshot	snapshot = GetActiveSnapshot();
	IenvGuard	hashed = *guard;

	sql = psprintf("SELECT %s, %s FROM %s",
				   quote_identifier(get_attname(guard->relid,
												guard->instance_attno, false)),
				   ienv_column_list(guard->relid, guard->nkeys,
									guard->key_attnos),
				   ienv_sql_name(relid));
	portal = ienv_open_rows(relid, sql);
	do
	{
		SPI_cursor_fetch(portal, true, IENV_FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple	tuple = SPI_tuptable->vals[i];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			bool		isnull;
			Datum		value = SPI_getbinval(tuple, desc, 1, &isnull);
			Datum		key[IENV_MAX_KEY_COLUMNS];
			IenvInstance *instance;
			pg_uuid_t	identity;

			for (int k = 0; k < guard->nkeys && !isnull; k++)
				key[k] = SPI_getbinval(tuple, desc, 2 + k, &isnull);
			if (isnull || !ienv_identity_of(&hashed, key, &identity) ||
				!ienv_maybe_departed(&identity))
				continue;
			value = ienv_value_of_column(guard, value);
			instance = ienv_instance_by_value(value, guard->is_uuid, false);
			if (instance == NULL ||
				!ienv_departed_elsewhere(&identity, &instance->id, snapshot))
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_IENV_TRANSFER_PROHIBITED),
					 errmsg("table %s has a user who departed from another instance", ienv_quoted_name(guard->relid)),
					 errdetail("User key \"%s\" is \"%s\" under instance %s.",
							   ienv_user_key_text(guard),
							   offender(i, 2, guard->nkeys),
							   ienv_instance_text(value, guard->is_uuid)),
					 errhint("Delete the row, or have its departure forgotten with instance_env.forget_departed()."),
					 ienv_errguard(guard, IENV_NO_TRANSFER)));
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
}

/*
 * Look for users whose coded ids were made for another instance than theirs:
 * these could arrive in that one, too.  In rows that a partition brings, refuse
 * any id that was not made for its row's instance: it could be from anywhere.
 * Returns how many ids were made for none.
 */
int64
ienv_check_coded_rows(const IenvGuard *guard, Oid relid, bool brought)
{
	char	   *sql = psprintf("SELECT %s, %s FROM %s WHERE %s IS NOT NULL",
							   quote_identifier(get_attname(guard->relid,
															guard->instance_attno,
															false)),
							   ienv_column_list(guard->relid, 1,
												guard->key_attnos),
							   ienv_sql_name(relid),
							   ienv_column_list(guard->relid, 1,
												guard->key_attnos));
	Portal		portal = ienv_open_rows(relid, sql);
	int64		others = 0;

	/* a converted value of each row, of which there may be many */
	MemoryContext rows = AllocSetContextCreate(CurrentMemoryContext,
											   "instance_env coded ids",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;

	do
	{
		SPI_cursor_fetch(portal, true, IENV_FETCH_ROWS);
		old = MemoryContextSwitchTo(rows);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple	tuple = SPI_tuptable->vals[i];
			TupleDesc	desc = SPI_tuptable->tupdesc;
			bool		isnull;
			Datum		value =
			ienv_value_of_column(guard, SPI_getbinval(tuple, desc, 1,
													  &isnull));
			Datum		key = SPI_getbinval(tuple, desc, 2, &isnull);
			const pg_uuid_t *id = DatumGetUUIDP(key);
			const uint8 *code = id->data + UUID_LEN - IENV_CODE_BYTES;
			pg_uuid_t	other;
			IenvInstance *instance = ienv_instance_by_value(value,
															guard->is_uuid,
															false);

			if (instance != NULL && ienv_id_has_code(id, instance->code))
				continue;
			if (brought)
				ienv_check_coded(guard, value, &key);
			if (ienv_id_has_code(id, code) && ienv_instance_with_code(code, &other))
				ereport(ERROR,
						(errcode(ERRCODE_IENV_TRANSFER_PROHIBITED),
						 errmsg("table %s has a user whose id was made for another instance",
								ienv_quoted_name(guard->relid)),
						 errdetail("User key \"%s\" is \"%s\" under instance %s.",
								   ienv_user_key_text(guard),
								   offender(i, 2, 1),
								   ienv_instance_text(value, guard->is_uuid)),
						 errhint("Give the user an id that instance_env.new_user_id(instance) returns for the row's instance, or delete the row."),
						 ienv_errguard(guard, IENV_NO_TRANSFER)));
			others++;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(rows);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	MemoryContextDelete(rows);
	return others;
}
