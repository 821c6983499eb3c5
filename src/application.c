/*-------------------------------------------------------------------------
 *
 * application.c
 *	  Applications and their two instances: create, change, drop.
 *
 * These functions are SECURITY DEFINER with a pinned search_path, so their SQL
 * runs as the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "instance_env.h"

/* In bytes, of names and external keys: what an index holds, compressed or not. */
#define MAX_NAME_LENGTH	2048

static void make_identity_secret(void);
static Datum returned_id(void);
static Datum described(Datum application);
static void record_returned(const char *action, const pg_uuid_t *application, const pg_uuid_t *instance,
							const char *item);
static void require_free(Datum value, bool is_id);
static void set_status(FunctionCallInfo fcinfo, const char *action, const char *from, const char *to);
static void warn_if_over_cap(Datum instance);
static void refuse_if_in_use(const char *name, Datum application);

PG_FUNCTION_INFO_V1(instance_env_create_application);
PG_FUNCTION_INFO_V1(instance_env_rename_application);
PG_FUNCTION_INFO_V1(instance_env_set_user_cap);
PG_FUNCTION_INFO_V1(instance_env_suspend_instance);
PG_FUNCTION_INFO_V1(instance_env_resume_instance);
PG_FUNCTION_INFO_V1(instance_env_drop_application);

/*
 * create_application(name text, plan plan, development_id uuid, production_id uuid,
 *					  development_key text, production_key text)
 * RETURNS record (application_id, development_id, production_id)
 *
 * Ids that are not given are made; external keys default to the ids' text.
 */
Datum
instance_env_create_application(PG_FUNCTION_ARGS)
{
	Oid			types[7] = {TEXTOID, InvalidOid, UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[7];
	char		nulls[8] = "       ";
	Datum		result[3];
	bool		isnull[3] = {false};
	TupleDesc	desc;
	char	   *name;

	name = ienv_require_text(fcinfo, 0, "name", MAX_NAME_LENGTH);
	ienv_require_argument(fcinfo, 1, "plan");
	if (!PG_ARGISNULL(4))
		(void) ienv_require_text(fcinfo, 4, "development_key", MAX_NAME_LENGTH);
	if (!PG_ARGISNULL(5))
		(void) ienv_require_text(fcinfo, 5, "production_key", MAX_NAME_LENGTH);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);

	types[1] = get_fn_expr_argtype(fcinfo->flinfo, 1);
	for (int i = 0; i < 6; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}

	SPI_connect();
	make_identity_secret();
	if (ienv_query("SELECT FROM instance_env.application WHERE name OPERATOR(pg_catalog.=) $1",
				   1, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("application \"%s\" already exists", TextDatumGetCString(values[0])),
				 errhint("Its instances are in view instance_env.instances.")));
	for (int i = 2; i < 6; i++)
		if (!PG_ARGISNULL(i))
			require_free(values[i], i < 4);
	(void) ienv_query("INSERT INTO instance_env.application (name, plan) VALUES ($1, $2) RETURNING id",
					  2, types, values, NULL);
	result[0] = returned_id();

	/* now $1 is the application; $3 to $6 are what they were */
	types[0] = UUIDOID;
	values[0] = result[0];
	for (int i = 0; i < 2; i++)
	{
		static const char *const sql[] = {
			"INSERT INTO instance_env.instance (application, type, status, id, external_key, slug)"
			" SELECT $1, 'development', 'active', id, COALESCE($5, id::pg_catalog.text), $7"
			" FROM COALESCE($3, pg_catalog.gen_random_uuid()) AS id"
			" ON CONFLICT (slug) DO NOTHING RETURNING id",
			"INSERT INTO instance_env.instance (application, type, status, id, external_key)"
			" SELECT $1, 'production', 'inactive', id, COALESCE($6, id::pg_catalog.text)"
			" FROM COALESCE($4, pg_catalog.gen_random_uuid()) AS id RETURNING id"
		};

		/* another slug until nobody has it */
		for (int attempt = 0;; attempt++)
		{
			values[6] = CStringGetTextDatum(ienv_random_slug(attempt));
			if (ienv_query(sql[i], 7, types, values, nulls) > 0)
				break;
		}
		result[i + 1] = returned_id();
	}
	ienv_record_event("create_application", DatumGetUUIDP(result[0]), NULL, name, 0, described(result[0]));
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, result, isnull)));
}

/*
 * Make the key of the hash of identities, if this is the first application.
 */
static void
make_identity_secret(void)
{
	Oid			type = UUIDOID;
	pg_uuid_t	secret;
	Datum		value = UUIDPGetDatum(&secret);

	if (!pg_strong_random(&secret, sizeof(secret)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	(void) ienv_query("INSERT INTO instance_env.identity_key (secret) SELECT $1"
					  " WHERE NOT EXISTS (SELECT FROM instance_env.identity_key) ON CONFLICT DO NOTHING",
					  1, &type, &value, NULL);
}

/*
 * The uuid that the last statement returned, in memory that outlives SPI.
 */
static Datum
returned_id(void)
{
	bool		isnull;

	return SPI_datumTransfer(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull),
							 false, UUID_LEN);
}

/*
 * An application and its instances, as an event tells of them.  SPI is connected.
 */
static Datum
described(Datum application)
{
	Oid			type = UUIDOID;
	bool		isnull;

	(void) ienv_query("SELECT pg_catalog.to_jsonb(a) OPERATOR(pg_catalog.||)"
					  "  pg_catalog.jsonb_build_object('instances', (SELECT pg_catalog.jsonb_agg(i ORDER BY type)"
					  "   FROM instance_env.instance i WHERE application OPERATOR(pg_catalog.=) $1))"
					  " FROM instance_env.application a WHERE id OPERATOR(pg_catalog.=) $1",
					  1, &type, &application, NULL);
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
}

/*
 * Record a change whose statement returned before and after as jsonb, and perhaps
 * nothing, for nothing has changed.
 */
static void
record_returned(const char *action, const pg_uuid_t *application, const pg_uuid_t *instance,
				const char *item)
{
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	if (SPI_processed == 0)
		return;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	ienv_record_event(action, application, instance, item,
					  SPI_getbinval(row, desc, 1, &isnull), SPI_getbinval(row, desc, 2, &isnull));
}

/*
 * rename_application(application uuid, name text) RETURNS void
 */
Datum
instance_env_rename_application(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];

	ienv_require_argument(fcinfo, 0, "application");
	(void) ienv_require_text(fcinfo, 1, "name", MAX_NAME_LENGTH);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	ienv_require_application(ienv_query("SELECT name FROM instance_env.application WHERE id OPERATOR(pg_catalog.=) $1"
										" FOR NO KEY UPDATE", 1, types, values, NULL), values[0]);
	(void) ienv_query("UPDATE instance_env.application a SET name = $2 FROM instance_env.application o"
					  " WHERE a.id OPERATOR(pg_catalog.=) $1 AND o.id OPERATOR(pg_catalog.=) $1"
					  " AND a.name OPERATOR(pg_catalog.<>) $2"
					  " RETURNING pg_catalog.jsonb_build_object('name', o.name),"
					  "  pg_catalog.jsonb_build_object('name', a.name)",
					  2, types, values, NULL);
	record_returned("rename_application", DatumGetUUIDP(values[0]), NULL, TextDatumGetCString(values[1]));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * set_user_cap(instance uuid, user_cap integer) RETURNS void
 *
 * Null means the default.  A cap below the number of users removes nobody.
 */
Datum
instance_env_set_user_cap(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "instance");
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a user cap must not be negative")));

	SPI_connect();
	ienv_set_user_cap("set_user_cap", PG_GETARG_DATUM(0), PG_ARGISNULL(1) ? -1 : PG_GETARG_INT32(1));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Set a development instance's user cap, -1 for the default, on behalf of the
 * function that the audit log is to name.  SPI is connected.
 */
void
ienv_set_user_cap(const char *action, Datum instance, int user_cap)
{
	Oid			types[2] = {UUIDOID, INT4OID};
	Datum		values[2] = {instance, Int32GetDatum(user_cap)};
	char	   *status;

	if (ienv_lock_instance(instance, &status).type == IENV_PRODUCTION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot set a user cap on production instance %s", ienv_instance_text(instance, true)),
				 errdetail("A production instance has no cap.")));
	if (ienv_query("UPDATE instance_env.instance i SET user_cap = $2,"
				   "  config_version = i.config_version OPERATOR(pg_catalog.+) 1"
				   " FROM instance_env.instance old"
				   " WHERE i.id OPERATOR(pg_catalog.=) $1 AND old.id OPERATOR(pg_catalog.=) $1"
				   " AND i.user_cap IS DISTINCT FROM $2"
				   " RETURNING pg_catalog.to_jsonb(old.user_cap), pg_catalog.to_jsonb(i.user_cap)",
				   2, types, values, user_cap < 0 ? " n" : NULL) > 0)
	{
		bool		isnull;
		Datum		before = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		Datum		after = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);

		ienv_record_event(action, NULL, DatumGetUUIDP(instance), "user_cap", before, after);
	}
	warn_if_over_cap(instance);
}

/*
 * suspend_instance(instance uuid) RETURNS void
 */
Datum
instance_env_suspend_instance(PG_FUNCTION_ARGS)
{
	set_status(fcinfo, "suspend_instance", "active", "suspended");
	PG_RETURN_VOID();
}

/*
 * resume_instance(instance uuid) RETURNS void
 */
Datum
instance_env_resume_instance(PG_FUNCTION_ARGS)
{
	set_status(fcinfo, "resume_instance", "suspended", "active");
	PG_RETURN_VOID();
}

/*
 * drop_application(application uuid) RETURNS void
 *
 * Locks every guarded table against writers until the transaction ends, so that
 * none of the application's instances can get a user meanwhile.
 */
Datum
instance_env_drop_application(PG_FUNCTION_ARGS)
{
#define DELETE_OF_INSTANCES(table) \
		"DELETE FROM instance_env." table " t USING instance_env.instance i" \
		" WHERE t.instance OPERATOR(pg_catalog.=) i.id AND i.application OPERATOR(pg_catalog.=) $1"
	static const char *const deletes[] = {
		DELETE_OF_INSTANCES("departed_user"),
		"DELETE FROM instance_env.dns_record r USING instance_env.domain d, instance_env.instance i"
		" WHERE r.domain OPERATOR(pg_catalog.=) d.name AND d.instance OPERATOR(pg_catalog.=) i.id"
		" AND i.application OPERATOR(pg_catalog.=) $1",
		DELETE_OF_INSTANCES("domain"),
		DELETE_OF_INSTANCES("policy_override"),
		DELETE_OF_INSTANCES("social_connection"),
		DELETE_OF_INSTANCES("instance_feature"),
		DELETE_OF_INSTANCES("setting"),
		DELETE_OF_INSTANCES("api_key"),
		"DELETE FROM instance_env.instance WHERE application OPERATOR(pg_catalog.=) $1",
		"DELETE FROM instance_env.application WHERE id OPERATOR(pg_catalog.=) $1",
		"UPDATE instance_env.application SET staging_of = NULL WHERE staging_of OPERATOR(pg_catalog.=) $1"
	};
	Oid			type = UUIDOID;
	Datum		application;
	Datum		before;
	char	   *name;

	ienv_require_argument(fcinfo, 0, "application");
	application = PG_GETARG_DATUM(0);

	SPI_connect();
	ienv_require_application(ienv_query("SELECT name FROM instance_env.application WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
								   1, &type, &application, NULL), application);
	name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (ienv_query("SELECT FROM instance_env.instance WHERE application OPERATOR(pg_catalog.=) $1"
				   " AND type OPERATOR(pg_catalog.=) 'production' AND status OPERATOR(pg_catalog.=) 'active'",
				   1, &type, &application, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot drop application \"%s\" because its production instance is active", name),
				 errhint("Suspend the instance with instance_env.suspend_instance() first.")));
	refuse_if_in_use(name, application);

	before = described(application);
	for (int i = 0; i < lengthof(deletes); i++)
		(void) ienv_query(deletes[i], 1, &type, &application, NULL);
	ienv_record_event("drop_application", DatumGetUUIDP(application), NULL, name, before, 0);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * The instance with this id, or error 23I03.
 */
IenvInstance
ienv_require_instance(Datum id)
{
	IenvInstance *instance = ienv_instance_by_value(id, true, true);

	if (instance == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_UNKNOWN_INSTANCE),
				 errmsg("instance %s does not exist", ienv_instance_text(id, true)),
				 errhint("All instances are in view instance_env.instances.")));
	return *instance;
}

/*
 * The same, locked against change until the transaction ends; *status is what the
 * locked row says.  SPI is connected.
 *
 * The instance is looked up with a fresh snapshot but locked with the transaction's,
 * which may be older.
 */
IenvInstance
ienv_lock_instance(Datum id, char **status)
{
	IenvInstance instance = ienv_require_instance(id);
	Oid			type = UUIDOID;

	if (ienv_query("SELECT status FROM instance_env.instance WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
				   1, &type, &id, NULL) != 1)
	{
		(void) ienv_require_instance(id);
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("instance %s has been created concurrently", ienv_instance_text(id, true)),
				 errhint("Repeat the transaction.")));
	}
	*status = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return instance;
}

/*
 * An application and its instances, locked against change until the transaction ends.
 * SPI is connected.
 *
 * The order, application, development, production, is that of everybody who locks
 * more than one of them.
 */
IenvApplication
ienv_lock_application(Datum id)
{
	IenvApplication application = {0};
	Oid			type = UUIDOID;

	ienv_require_application(ienv_query("SELECT name FROM instance_env.application"
										" WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
										1, &type, &id, NULL), id);
	application.name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (ienv_query("SELECT id, status FROM instance_env.instance WHERE application OPERATOR(pg_catalog.=) $1"
				   " ORDER BY type FOR NO KEY UPDATE", 1, &type, &id, NULL) != 2)
		elog(ERROR, "application \"%s\" does not have two instances", application.name);
	for (int i = 0; i < 2; i++)
	{
		bool		isnull;

		application.instances[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		application.status[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
	}
	return application;
}

/*
 * Raise an instance's config_version: its configuration has changed.  SPI is connected.
 */
void
ienv_config_changed(Datum instance)
{
	Oid			type = UUIDOID;

	(void) ienv_query("UPDATE instance_env.instance SET config_version = config_version OPERATOR(pg_catalog.+) 1"
					  " WHERE id OPERATOR(pg_catalog.=) $1", 1, &type, &instance, NULL);
}

/*
 * Refuse an id or external key that another instance has.
 */
static void
require_free(Datum value, bool is_id)
{
	if (ienv_instance_by_value(value, is_id, true) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg(is_id ? "instance %s already exists" : "an instance with external key %s already exists",
						ienv_instance_text(value, is_id))));
}

/*
 * Complain if a statement for this application found none.
 */
void
ienv_require_application(uint64 processed, Datum application)
{
	if (processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("application %s does not exist", ienv_instance_text(application, true)),
				 errhint("Find an application by its name with instance_env.application_id().")));
}

/*
 * Change the status of an instance; nothing to do where it is so already.
 */
static void
set_status(FunctionCallInfo fcinfo, const char *action, const char *from, const char *to)
{
	Oid			types[3] = {UUIDOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char	   *status;

	ienv_require_argument(fcinfo, 0, "instance");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = CStringGetTextDatum(to);
	values[2] = CStringGetTextDatum(from);

	SPI_connect();
	(void) ienv_lock_instance(values[0], &status);
	if (strcmp(status, from) == 0)
	{
		(void) ienv_query("UPDATE instance_env.instance SET status = $2::instance_env.instance_status,"
						  " config_version = config_version OPERATOR(pg_catalog.+) 1"
						  " WHERE id OPERATOR(pg_catalog.=) $1"
						  " RETURNING pg_catalog.jsonb_build_object('status', $3),"
						  "  pg_catalog.jsonb_build_object('status', $2)", 3, types, values, NULL);
		record_returned(action, NULL, DatumGetUUIDP(values[0]), NULL);
	}
	else if (strcmp(status, to) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("instance %s is not active", ienv_instance_text(values[0], true)),
				 errdetail("A production instance is inactive until its application is promoted."),
				 errhint("Promote its application with instance_env.promote().")));
	SPI_finish();
}

/*
 * Tell the caller if an instance has more users now than it may have.
 */
static void
warn_if_over_cap(Datum instance)
{
	IenvInstance info;
	Datum		key;
	Oid			type = UUIDOID;
	bool		isnull;
	ListCell   *lc;

	CommandCounterIncrement();
	info = ienv_require_instance(instance);
	if (ienv_query("SELECT external_key FROM instance_env.instance WHERE id OPERATOR(pg_catalog.=) $1",
				   1, &type, &instance, NULL) != 1)
		elog(ERROR, "the instance is locked but gone");
	key = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

	foreach(lc, ienv_guarded_roots())
	{
		const IenvGuard *guard;

		/* whoever has locked his table does not keep us from our work */
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
			continue;
		guard = ienv_guard_of(lfirst_oid(lc));
		if (guard != NULL && guard->counted &&
			ienv_user_count(guard, guard->is_uuid ? instance : key, info.user_cap) > info.user_cap)
			ereport(WARNING,
					(errmsg("development instance %s is over its cap of %d in table %s",
							ienv_instance_text(instance, true), info.user_cap, ienv_quoted_name(guard->relid)),
					 errdetail("It takes no new users until enough have been deleted.")));
	}
}

/*
 * Refuse to drop an application whose instances have rows in guarded tables.
 */
static void
refuse_if_in_use(const char *name, Datum application)
{
	Oid			type = UUIDOID;
	List	   *roots;
	SPITupleTable *instances;
	uint64		ninstances;
	ListCell   *lc;

	(void) ienv_query("SELECT id, external_key FROM instance_env.instance"
					  " WHERE application OPERATOR(pg_catalog.=) $1 ORDER BY type FOR UPDATE",
					  1, &type, &application, NULL);
	instances = SPI_tuptable;
	ninstances = SPI_processed;

	roots = ienv_lock_guarded_tables();
	foreach(lc, roots)
	{
		const IenvGuard *guard = ienv_guard_of(lfirst_oid(lc));

		if (guard == NULL)
			continue;
		for (uint64 i = 0; i < ninstances; i++)
		{
			bool		isnull;
			Datum		value = SPI_getbinval(instances->vals[i], instances->tupdesc,
											  guard->is_uuid ? 1 : 2, &isnull);

			if (ienv_user_count(guard, value, 0) > 0)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("cannot drop application \"%s\" because its instances have rows", name),
						 errdetail("Table %s has rows of instance %s.", ienv_quoted_name(guard->relid),
								   ienv_instance_text(value, guard->is_uuid)),
						 errhint("Delete them first.")));
		}
	}
}

/*
 * Lock every guarded table against writers until the transaction ends, and return
 * them: as relation.c lists them.
 */
List *
ienv_lock_guarded_tables(void)
{
	List	   *roots;
	ListCell   *lc;

	/* another guard() may finish while we wait for a lock */
	do
	{
		roots = ienv_guarded_roots();
		foreach(lc, roots)
		{
			LockRelationOid(lfirst_oid(lc), ShareLock);
			if (ienv_guard_of(lfirst_oid(lc)) != NULL)
				(void) ienv_leaf_relations(lfirst_oid(lc), ShareLock);
		}
	} while (!equal(roots, ienv_guarded_roots()));
	return roots;
}
