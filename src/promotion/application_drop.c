/*-------------------------------------------------------------------------
 *
 * application_drop.c
 *	  drop_application(): possible once no guarded table has rows of its
 *	  instances.
 *
 * SECURITY DEFINER with a pinned search_path, like the functions of
 * application.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "base/base.h"
#include "cap/cap.h"
#include "domain/domain.h"
#include "guard/guard.h"
#include "policy/policy.h"
#include "promotion/promotion.h"
#include "registry/registry.h"
#include "table/table.h"

/* What is deleted, in this order; $1 is the application */
#define DELETE_OF_INSTANCES(table) \
	"DELETE FROM instance_env." table " t USING instance_env.instance i" \
	" WHERE t.instance OPERATOR(pg_catalog.=) i.id AND i.application OPERATOR(pg_catalog.=) $1"
static const char *const deletes[] = {
	"DELETE FROM instance_env.dns_record r USING instance_env.domain d,"
	" instance_env.instance i"
	" WHERE r.domain OPERATOR(pg_catalog.=) d.name"
	" AND d.instance OPERATOR(pg_catalog.=) i.id"
	" AND i.application OPERATOR(pg_catalog.=) $1",
	DELETE_OF_INSTANCES("domain"),
	DELETE_OF_INSTANCES("policy_override"),
	DELETE_OF_INSTANCES("social_connection"),
	DELETE_OF_INSTANCES("instance_feature"),
	DELETE_OF_INSTANCES("setting"),
	DELETE_OF_INSTANCES("api_key"),
	DELETE_OF_INSTANCES("message_count"),
	DELETE_OF_INSTANCES("redirect_url"),
	"DELETE FROM instance_env.instance_allowance"
	" WHERE application OPERATOR(pg_catalog.=) $1",
	"DELETE FROM instance_env.instance"
	" WHERE application OPERATOR(pg_catalog.=) $1",
	"DELETE FROM instance_env.application"
	" WHERE id OPERATOR(pg_catalog.=) $1",
	"UPDATE instance_env.application SET staging_of = NULL"
	" WHERE staging_of OPERATOR(pg_catalog.=) $1"
};

static void record_losses(Datum application);
static void forget_uses(Datum application);
static void refuse_if_in_use(const char *name, SPITupleTable *instances,
							 uint64 ninstances);
static Datum value_of(SPITupleTable *table, uint64 row, int column);
pg_noreturn static void report_in_use(const char *name, Oid relid, Datum id,
									  Datum key);

PG_FUNCTION_INFO_V1(instance_env_drop_application);

IENV_BY_NAME(drop_application, ienv_find_application);

/*
 * drop_application(application uuid) RETURNS void
 *
 * Locks the guarded tables against writers until the transaction ends, so that
 * none of the application's instances can get a user in the meantime; but
 * first it looks without these locks, so that no one has to wait if the
 * application is in use.
 *
 * Departures of its users stay on record: that an instance is gone does not
 * let its users appear in another one.
 */
Datum
instance_env_drop_application(PG_FUNCTION_ARGS)
{
	Oid			type = UUIDOID;
	Datum		application;
	Datum		before;
	char	   *name;
	SPITupleTable *instances;
	uint64		ninstances;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "application");
	application = PG_GETARG_DATUM(0);

	SPI_connect();
	ienv_require_application(ienv_query("SELECT name"
										" FROM instance_env.application"
										" WHERE id OPERATOR(pg_catalog.=) $1"
										" FOR UPDATE",
										1, &type, &application, NULL),
							 application);
	name = ienv_result_text(0, 1);

	/*
	 * Lock first, then check: resume_instance() does not wait for the
	 * application.
	 */
	ninstances = ienv_query("SELECT id, external_key,"
							"  type OPERATOR(pg_catalog.=) 'production'"
							" AND status OPERATOR(pg_catalog.=) 'active'"
							" FROM instance_env.instance"
							" WHERE application OPERATOR(pg_catalog.=) $1"
							" ORDER BY type FOR UPDATE", 1, &type,
							&application, NULL);
	instances = SPI_tuptable;
	for (uint64 i = 0; i < ninstances; i++)
	{
		ienv_require_not_renamed(value_of(instances, i, 1));
		if (DatumGetBool(SPI_getbinval(instances->vals[i], instances->tupdesc,
									   3, &isnull)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot drop application \"%s\" because its production instance is active", name),
					 errhint("Suspend the instance with instance_env.suspend_instance() first.")));
	}
	refuse_if_in_use(name, instances, ninstances);

	before = ienv_application_jsonb(application);
	record_losses(application);
	forget_uses(application);

	/* including what was written since the transaction's snapshot */
	for (int i = 0; i < lengthof(deletes); i++)
		(void) ienv_write_latest(deletes[i], 1, &type, &application);
	ienv_record_event("drop_application", DatumGetUUIDP(application), NULL,
					  name, before, 0);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Refuse to drop an application whose instances, (id, external_key), have rows
 * in guarded tables; otherwise these are locked against writers afterwards,
 * and the instances send no messages.
 */
static void
refuse_if_in_use(const char *name, SPITupleTable *instances, uint64 ninstances)
{
	ListCell   *lc;

	foreach(lc, ienv_trusted_roots())
	{
		for (uint64 i = 0; i < ninstances; i++)
		{
			Datum		id = value_of(instances, i, 1);
			Datum		key = value_of(instances, i, 2);

			if (ienv_has_rows_at_once(lfirst_oid(lc), id, key))
				report_in_use(name, lfirst_oid(lc), id, key);
		}
	}

	/* before the tables are locked, so that nobody else waits meanwhile */
	for (uint64 i = 0; i < ninstances; i++)
		ienv_stop_messages(value_of(instances, i, 1));

	ienv_keep_from_guarding();
	foreach(lc, ienv_lock_guarded_tables(ShareLock, false))
	{
		const IenvGuard *guard = ienv_guard_of(lfirst_oid(lc));

		if (guard == NULL)
			continue;
		for (uint64 i = 0; i < ninstances; i++)
		{
			Datum		id = value_of(instances, i, 1);
			Datum		key = value_of(instances, i, 2);

			if (ienv_user_count(guard, guard->is_uuid ? id : key, 0) > 0)
				report_in_use(name, lfirst_oid(lc), id, key);
		}
	}
}

static Datum
value_of(SPITupleTable *table, uint64 row, int column)
{
	bool		isnull;

	return SPI_getbinval(table->vals[row], table->tupdesc, column, &isnull);
}

static void
report_in_use(const char *name, Oid relid, Datum id, Datum key)
{
	const IenvGuard *guard = ienv_guard_of(relid);
	bool		is_uuid = guard == NULL || guard->is_uuid;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot drop application \"%s\" because its instances have rows", name),
			 errdetail("Table %s has rows of instance %s.",
					   ienv_quoted_name(relid),
					   ienv_instance_text(is_uuid ? id : key, is_uuid)),
			 errhint("Delete them first.")));
}

/*
 * Delete when the application's keys were last used; requests are writing to
 * that table, too.  SPI is connected.
 */
static void
forget_uses(Datum application)
{
	Oid			type = UUIDOID;
	uint64		n = ienv_query("SELECT k.hash FROM instance_env.api_key k"
							   " JOIN instance_env.instance i"
							   " ON i.id OPERATOR(pg_catalog.=) k.instance"
							   " WHERE i.application OPERATOR(pg_catalog.=) $1",
							   1, &type, &application, NULL);

	for (uint64 i = 0; i < n; i++)
		ienv_forget_key_uses(value_of(SPI_tuptable, i, 1));
}

/*
 * Record what an application loses when it is dropped: an event for each
 * domain, key, setting, role that may enter, and so on, without secrets.  SPI
 * is connected.
 */
static void
record_losses(Datum application)
{
#define LOSS(item, value, from) \
		" SELECT t.instance, " item ", " value " FROM instance_env." from " t"
	Oid			type = UUIDOID;
	uint64		n;
	SPITupleTable *losses;

	n = ienv_query("SELECT l.instance, l.item, l.before FROM ("
				   LOSS("t.name", "pg_catalog.to_jsonb(t)",
						"domain") " UNION ALL"
				   LOSS("t.hint", "pg_catalog.to_jsonb(t)"
						" OPERATOR(pg_catalog.-) 'hash'",
						"api_key") " UNION ALL"
				   LOSS("t.url", "pg_catalog.to_jsonb(t)",
						"redirect_url") " UNION ALL"
				   LOSS("t.name", "t.value", "setting") " UNION ALL"
				   LOSS("t.name", "t.value", "policy_override") " UNION ALL"
				   LOSS("t.feature",
						"pg_catalog.jsonb_build_object('quantity', t.quantity)",
						"instance_feature") " UNION ALL"
				   LOSS("t.provider", "pg_catalog.to_jsonb(t)"
						" OPERATOR(pg_catalog.-) 'secret_reference'",
						"social_connection") " UNION ALL"
	/* by instance, like the rest, also if the role may enter both */
				   " SELECT i.id,"
				   "  pg_catalog.pg_get_userbyid(t.role)::pg_catalog.text,"
				   "  pg_catalog.jsonb_build_object('type', t.type)"
				   " FROM instance_env.instance_allowance t"
				   " JOIN instance_env.instance i"
				   " ON i.application OPERATOR(pg_catalog.=) t.application"
				   " AND (t.type IS NULL"
				   "  OR t.type OPERATOR(pg_catalog.=) i.type)"
				   ") l (instance, item, before)"
				   " JOIN instance_env.instance i"
				   " ON i.id OPERATOR(pg_catalog.=) l.instance"
				   " WHERE i.application OPERATOR(pg_catalog.=) $1", 1, &type,
				   &application, NULL);
	losses = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = losses->vals[i];
		bool		isnull;
		Datum		instance = SPI_getbinval(row, losses->tupdesc, 1, &isnull);

		ienv_record_event("drop_application", DatumGetUUIDP(application),
						  DatumGetUUIDP(instance),
						  SPI_getvalue(row, losses->tupdesc, 2),
						  SPI_getbinval(row, losses->tupdesc, 3, &isnull), 0);
	}
}
