/*-------------------------------------------------------------------------
 *
 * reset_choice.c
 *	  Which users of a development instance reset_development() is to delete:
 *	  test identities, or those who were created some time ago.
 *
 * A table of users says by columns that guard() was told which users these are.
 * The statements run as the table's owner, who may not call our functions.  So
 * the addresses are read first, we look which are those of test identities, and
 * the statements compare with these.  They compare by PostgreSQL's own
 * operators, and only columns whose values take no function of anybody's to
 * become what is compared.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "policy/policy.h"
#include "promotion/reset.h"
#include "table/table.h"

/* The arguments of reset_development() that are read here */
#define ARG_ONLY_USERS	4
#define ARG_OLDER_THAN	5

#define TEST_IDENTITIES "test_identities"

static void read_older_than(FunctionCallInfo fcinfo, IenvReset *reset);
static char *require_column(const IenvResetTable *table, const char *column,
							const char *argument,
							bool (*is_suitable) (Oid type));
static char *as_type(const char *column, const char *type);
static char *address_of(const IenvResetTable *table);

/*
 * Read which users are to be deleted from the arguments of
 * reset_development().
 */
void
ienv_reset_read_options(FunctionCallInfo fcinfo, IenvReset *reset)
{
	if (!PG_ARGISNULL(ARG_ONLY_USERS))
	{
		char	   *only = text_to_cstring(PG_GETARG_TEXT_PP(ARG_ONLY_USERS));

		if (strcmp(only, TEST_IDENTITIES) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized only_users \"%s\"",
							ienv_clipped(only)),
					 errhint("It can be '%s', or null for all users.",
							 TEST_IDENTITIES)));
		reset->only_users = only;
	}
	if (!PG_ARGISNULL(ARG_OLDER_THAN))
		read_older_than(fcinfo, reset);
	reset->some = reset->only_users != NULL || reset->older_than != NULL;
}

/*
 * Users are older if they were created before a time that is computed in UTC,
 * lest it depend on the session's time zone.
 */
static void
read_older_than(FunctionCallInfo fcinfo, IenvReset *reset)
{
	Datum		older_than = PG_GETARG_DATUM(ARG_OLDER_THAN);
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	int			nest_level;

	/* without a time zone, a time in UTC is the same number */
	reset->created_before =
		DatumGetTimestamp(DirectFunctionCall2(timestamp_mi_interval,
											  TimestampGetDatum(now),
											  older_than));
	if (reset->created_before > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("older_than must not be negative")));

	nest_level = NewGUCNestLevel();
	(void) set_config_option("IntervalStyle", "postgres", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	reset->older_than =
		DatumGetCString(DirectFunctionCall1(interval_out, older_than));
	AtEOXact_GUC(false, nest_level);
}

/*
 * Add to the condition of a table of users which of them are to be deleted.
 * Its columns stay as they are until the transaction ends, since the table is
 * locked; it takes an error if the guard does not say which they are.
 */
void
ienv_reset_choose(const IenvReset *reset, IenvResetTable *table)
{
	Relation	rel = table_open(table->relid, AccessShareLock);
	IenvUserColumns columns;

	ienv_read_user_columns(rel, &columns);
	table_close(rel, NoLock);
	if (reset->only_users != NULL)
	{
		table->address = require_column(table, columns.address,
										"address_column",
										ienv_is_address_type);
		table->condition = psprintf("%s AND %s OPERATOR(pg_catalog.=)"
									" ANY ($3)", table->condition,
									address_of(table));
	}
	if (reset->older_than != NULL)
	{
		char	   *created = require_column(table, columns.created,
											 "created_column",
											 ienv_is_created_type);
		Oid			type = getBaseType(get_atttype(table->relid,
												   get_attnum(table->relid,
															  created)));

		/* a day is past when it is over */
		table->condition =
			psprintf("%s AND %s OPERATOR(pg_catalog.<) %s", table->condition,
					 as_type(created,
							 type == TIMESTAMPTZOID ? "timestamptz" :
							 type == TIMESTAMPOID ? "timestamp" : "date"),
					 type == TIMESTAMPTZOID ? "$4" :
					 type == TIMESTAMPOID ? "$5" : "$6");
	}
}

static char *
require_column(const IenvResetTable *table, const char *column,
			   const char *argument, bool (*is_suitable) (Oid type))
{
	AttrNumber	attno = column == NULL ? InvalidAttrNumber :
	get_attnum(table->relid, column);

	if (attno > 0 && is_suitable(get_atttype(table->relid, attno)))
		return pstrdup(column);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot tell which users of table %s to delete",
					ienv_quoted_name(table->relid)),
			 column == NULL ?
			 errdetail("The table is guarded without %s.", argument) :
			 attno <= 0 ?
			 errdetail("The table is guarded with %s \"%s\", and has no such column any more.",
					   argument, column) :
			 errdetail("The table is guarded with %s \"%s\", which is of type %s now.",
					   argument, column,
					   format_type_be(get_atttype(table->relid, attno))),
			 errhint("Call instance_env.guard() for the table again, with the name of a column as %s.",
					 argument)));
}

/*
 * A column as one of PostgreSQL's own types, in SQL.
 */
static char *
as_type(const char *column, const char *type)
{
	return psprintf("%s::pg_catalog.%s", quote_identifier(column), type);
}

static char *
address_of(const IenvResetTable *table)
{
	return psprintf("(%s COLLATE pg_catalog.\"C\")",
					as_type(table->address, "text"));
}

/*
 * The addresses of test identities in a table of users, or 0 if there is none.
 *
 * They are recognized even while the instance does not accept them.
 */
Datum
ienv_reset_test_identities(IenvReset *reset, IenvResetTable *users)
{
	uint64		n = ienv_reset_query(reset, list_make1(users),
									 psprintf("SELECT DISTINCT %s FROM %s"
											  " WHERE %s", address_of(users),
											  ienv_sql_name(users->relid),
											  users->instance_condition));
	SPITupleTable *rows = SPI_tuptable;
	Datum	   *found = palloc(Max(n, 1) * sizeof(Datum));
	int			nfound = 0;
	IenvTestIdentities which;

	(void) ienv_test_identities(reset->instance, &which);
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		address = SPI_getbinval(rows->vals[i], rows->tupdesc, 1,
											&isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull &&
			ienv_matches_test_identity(&which, DatumGetTextPP(address)))
			found[nfound++] = address;
	}
	return nfound == 0 ? (Datum) 0 :
		PointerGetDatum(construct_array(found, nfound, TEXTOID, -1, false,
										TYPALIGN_INT));
}
