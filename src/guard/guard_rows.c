/*-------------------------------------------------------------------------
 *
 * guard_rows.c
 *	  The checks that guard() makes of existing rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "cap/cap.h"
#include "guard/guard.h"
#include "registry/registry.h"
#include "table/table.h"
#include "transfer/transfer.h"

/* Why rows are checked */
typedef enum Occasion
{
	GUARDING,					/* their table is about to be guarded */
	REPAIRING,					/* it was guarded before */
	BRINGING					/* they come into it with a partition */
} Occasion;

/* Instances that an error names, the first few of them */
typedef struct Offenders
{
	StringInfoData list;
	int			n;
} Offenders;

static void check_rows(const IenvGuard *guard, Oid relid, Occasion occasion);
static void check_instances(const IenvGuard *guard, Oid relid,
							Occasion occasion);
static void check_instance(const IenvGuard *guard, Oid relid,
						   IenvInstance *instance, Datum value, int64 count,
						   Occasion occasion, int *nover);
static void add_offender(Offenders *offenders, const IenvGuard *guard,
						 Datum value);
static char *list_offenders(const Offenders *offenders);
pg_noreturn static void refuse_inactive(const IenvGuard *guard,
										const char *column,
										const Offenders *inactive);
pg_noreturn static void refuse_unknown(const IenvGuard *guard,
									   const char *column,
									   const Offenders *unknown);
static void refuse_brought(const IenvGuard *guard,
						   const IenvInstance *instance, Datum value,
						   Oid brought);

/*
 * Check the rows of a table that is about to be guarded: each must refer to an
 * instance that exists, and no key may be in two.  A production instance that
 * is not active yet is refused, unless the table was guarded before: it would
 * take no new users from then on.  Warns about other instances that are not
 * active, and about those over their cap.
 *
 * With brought, check the rows that this partition brings into a guarded table
 * instead.  Then instances that are not active, or that would be over their
 * cap with these rows, are refused.
 *
 * The rows are read as the table's owner (see table_owner.c), with row
 * security off, and with a fresh snapshot: whatever is committed counts.  The
 * table is locked against writers, and SPI is connected.
 */
void
ienv_check_rows(const IenvGuard *guard, bool guarded, Oid brought)
{
	PushActiveSnapshot(GetLatestSnapshot());
	PG_TRY();
	{
		check_rows(guard, OidIsValid(brought) ? brought : guard->relid,
				   OidIsValid(brought) ? BRINGING :
				   guarded ? REPAIRING : GUARDING);
	}
	PG_FINALLY();
	{
		ienv_expect_tables(NIL);
	}
	PG_END_TRY();
	PopActiveSnapshot();
}

static void
check_rows(const IenvGuard *guard, Oid relid, Occasion occasion)
{
	IenvActing	saved;
	int64		others = 0;

	/* a partition may have another owner */
	ienv_act_as_owner_of(relid, &saved);
	check_instances(guard, relid, occasion);
	if (guard->nkeys > 0 && guard->departures && !ienv_nobody_departed())
		ienv_check_departed(guard, relid);
	if (guard->coded)
		others = ienv_check_coded_rows(guard, relid, occasion == BRINGING);
	ienv_act_as_self(&saved);
	if (others > 0 && occasion == GUARDING)
		ereport(NOTICE,
				(errmsg_plural("%lld user of table %s has an id that was not made for an instance",
							   "%lld users of table %s have ids that were not made for an instance",
							   others, (long long) others,
							   ienv_quoted_name(guard->relid)),
				 errdetail("Rows with such an id stay and can be updated, but no such id is taken any more, not even that of a user who was deleted.")));

	/* what a partition brings has been found to be coded */
	if (guard->nkeys > 0 && !guard->key_is_unique &&
		!(guard->coded && occasion == BRINGING))
	{
		ienv_act_as_owner_of(guard->relid, &saved);
		ienv_check_identities(guard);
		ienv_act_as_self(&saved);
	}
}

/*
 * Count relid's rows of each instance, and look each instance up.
 */
static void
check_instances(const IenvGuard *guard, Oid relid, Occasion occasion)
{
	const char *column = get_attname(guard->relid, guard->instance_attno,
									 false);
	char	   *sql = psprintf("SELECT %s, pg_catalog.count(*) FROM %s"
							   " GROUP BY 1 ORDER BY 1",
							   quote_identifier(column), ienv_sql_name(relid));
	Portal		portal;
	Offenders	unknown = {0};
	Offenders	inactive = {0};
	int			nover = 0;

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
			bool		countnull;
			int64		count = DatumGetInt64(SPI_getbinval(tuple, desc, 2,
															&countnull));
			IenvInstance *instance;

			if (isnull)
				ereport(ERROR,
						(errcode(ERRCODE_NOT_NULL_VIOLATION),
						 errmsg("column \"%s\" of table %s contains null values", column, ienv_quoted_name(guard->relid)),
						 errdetail_plural("%lld row belongs to no instance.",
										  "%lld rows belong to no instance.",
										  count, (long long) count),
						 errhint("Assign each row to an instance, or delete it."),
						 ienv_errguard(guard, NULL)));

			value = ienv_value_of_column(guard, value);
			instance = ienv_instance_by_value(value, guard->is_uuid, false);
			if (instance == NULL)
				add_offender(&unknown, guard, value);
			else if (guard->no_production &&
					 instance->type == IENV_PRODUCTION)
				ienv_refuse_production(guard, value);
			else if (occasion == GUARDING &&
					 instance->status == IENV_INACTIVE)
				add_offender(&inactive, guard, value);
			else
				check_instance(guard, relid, instance, value, count, occasion,
							   &nover);
		}
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);

	if (nover > IENV_MAX_OFFENDERS)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("%d more instances in table %s are over their cap or not active",
						nover - IENV_MAX_OFFENDERS,
						ienv_quoted_name(guard->relid))));
	if (unknown.n > 0)
		refuse_unknown(guard, column, &unknown);
	if (inactive.n > 0)
		refuse_inactive(guard, column, &inactive);
}

static void
add_offender(Offenders *offenders, const IenvGuard *guard, Datum value)
{
	if (offenders->n == 0)
		initStringInfo(&offenders->list);
	if (offenders->n++ < IENV_MAX_OFFENDERS)
		appendStringInfo(&offenders->list, "%s%s",
						 offenders->n > 1 ? ", " : "",
						 ienv_instance_text(value, guard->is_uuid));
}

static char *
list_offenders(const Offenders *offenders)
{
	if (offenders->n <= IENV_MAX_OFFENDERS)
		return offenders->list.data;
	return psprintf("%s and %d more", offenders->list.data,
					offenders->n - IENV_MAX_OFFENDERS);
}

/*
 * Check relid's rows of one instance; *nover counts the warnings.
 */
static void
check_instance(const IenvGuard *guard, Oid relid, IenvInstance *instance,
			   Datum value, int64 count, Occasion occasion, int *nover)
{
	/* these rows came without tickets, see bound.c */
	if (guard->counted && instance->user_cap >= 0)
	{
		IenvBucket *bucket = ienv_bucket_of(guard->root, instance);

		if (bucket != NULL)
			ienv_take_tickets(bucket, count);
	}
	if (occasion == BRINGING)
	{
		ienv_refuse_renamed(guard, instance, value);
		refuse_brought(guard, instance, value, relid);
	}
	else if (guard->counted && instance->user_cap >= 0 &&
			 count > instance->user_cap && (*nover)++ < IENV_MAX_OFFENDERS)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("development instance %s is over its cap of %d: it has %lld users in table %s",
						ienv_instance_text(value, guard->is_uuid),
						instance->user_cap,
						(long long) count, ienv_quoted_name(guard->relid)),
				 instance->soft ?
				 errdetail("The cap is soft, so that it takes new users all the same.") :
				 errdetail("It takes no new users until enough have been deleted."),
				 errhint("Delete users, or raise the cap with instance_env.set_user_cap().")));
	else if (instance->status != IENV_ACTIVE && (*nover)++ < IENV_MAX_OFFENDERS)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("instance %s is not active, but has rows in table %s",
						ienv_instance_text(value, guard->is_uuid),
						ienv_quoted_name(guard->relid)),
				 errdetail("It takes no new rows until it is.")));
}

/*
 * Refuse to guard a table with users of production instances that take none
 * yet: if they are signing up, guard() would stop that.
 */
static void
refuse_inactive(const IenvGuard *guard, const char *column,
				const Offenders *inactive)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_INSTANCE_NOT_ACTIVE),
			 errmsg("table %s has rows of production instances that are not active",
					ienv_quoted_name(guard->relid)),
			 errdetail("Column \"%s\" contains %s. No new rows of these would be taken from the moment the table is guarded.",
					   column, list_offenders(inactive)),
			 errhint("Promote their applications with instance_env.promote() first or, if they are live already, activate them with instance_env.adopt_application()."),
			 ienv_errguard(guard, IENV_IS_ACTIVE)));
}

static void
refuse_unknown(const IenvGuard *guard, const char *column,
			   const Offenders *unknown)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_UNKNOWN_INSTANCE),
			 errmsg("table %s has rows of instances that do not exist",
					ienv_quoted_name(guard->relid)),
			 errdetail("Column \"%s\" contains %s.", column,
					   list_offenders(unknown)),
			 errhint("Create them with instance_env.create_application(), which takes given %s.",
					 guard->is_uuid ? "ids" : "external keys"),
			 ienv_errguard(guard, IENV_KNOWN)));
}

/*
 * Refuse rows that a partition brings along of an instance that accepts none,
 * or not that many.
 */
static void
refuse_brought(const IenvGuard *guard, const IenvInstance *instance,
			   Datum value, Oid brought)
{
	int64		users;

	if (instance->status != IENV_ACTIVE)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INSTANCE_NOT_ACTIVE),
				 errmsg("instance %s is not active, but has rows in table %s",
						ienv_instance_text(value, guard->is_uuid),
						ienv_quoted_name(brought)),
				 errdetail("Guarded table %s takes no rows of it.",
						   ienv_quoted_name(guard->relid)),
				 errhint("Delete the rows, or attach the table when the instance is active."),
				 ienv_errguard(guard, IENV_IS_ACTIVE)));
	if (!guard->counted || instance->user_cap < 0 || instance->soft)
		return;

	/* no one else can write, so the count remains exact */
	users = ienv_user_count(guard, value, PG_INT64_MAX);
	if (users > instance->user_cap)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_USER_CAP_EXCEEDED),
				 errmsg("development instance %s would be over its cap of %d with the rows of table %s",
						ienv_instance_text(value, guard->is_uuid),
						instance->user_cap, ienv_quoted_name(brought)),
				 errdetail("Table %s would hold %lld of its users.",
						   ienv_quoted_name(guard->relid), (long long) users),
				 errhint("Delete users, or raise the cap with instance_env.set_user_cap()."),
				 ienv_errguard(guard, IENV_USER_CAP)));
}
