/*-------------------------------------------------------------------------
 *
 * application.c
 *	  Applications with their two instances: create, rename, lock.
 *
 * These SQL functions are SECURITY DEFINER with a pinned search_path, so their
 * SQL runs as the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "registry/registry.h"

static void make_identity_secret(void);
static void require_free_name(Datum name);
static void require_free_id(Datum id, const char *argument);
static void require_different(const Datum *values, const bool *given);
static Datum draw_id(const Datum *other);

PG_FUNCTION_INFO_V1(instance_env_create_application);
PG_FUNCTION_INFO_V1(instance_env_rename_application);

IENV_BY_NAME(rename_application, ienv_find_application);

/*
 * create_application(name text, plan plan, development_id uuid,
 *					  production_id uuid,
 *					  development_key text, production_key text)
 * RETURNS record (application_id, development_id, production_id)
 *
 * Ids that are not given are generated; external keys default to the ids as
 * text.
 */
Datum
instance_env_create_application(PG_FUNCTION_ARGS)
{
	Oid			types[7] = {TEXTOID, InvalidOid, UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[7];
	char		nulls[8] = "       ";
	Datum		result[3];
	bool		isnull[3] = {false};
	bool		given[6];
	TupleDesc	desc;
	char	   *name;

	name = ienv_require_name(fcinfo, 0, "name");
	ienv_require_argument(fcinfo, 1, "plan");
	if (!PG_ARGISNULL(4))
		(void) ienv_require_name(fcinfo, 4, "development_key");
	if (!PG_ARGISNULL(5))
		(void) ienv_require_name(fcinfo, 5, "production_key");
	desc = ienv_result_desc(fcinfo);

	types[1] = get_fn_expr_argtype(fcinfo->flinfo, 1);
	for (int i = 0; i < 6; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}

	SPI_connect();
	make_identity_secret();
	require_free_name(values[0]);
	for (int i = 2; i < 6; i++)
	{
		given[i] = !PG_ARGISNULL(i);
		if (given[i] && i < 4)
			require_free_id(values[i],
							i == 2 ? "development_id" : "production_id");
		else if (given[i])
			ienv_require_free_key(values[i], NULL);
	}
	require_different(values, given);
	for (int i = 2; i < 4; i++)
		if (!given[i])
		{
			/* the other one is known, unless it is the next to be drawn */
			values[i] = draw_id(nulls[5 - i] == ' ' ? &values[5 - i] : NULL);
			nulls[i] = ' ';
		}
	if (ienv_query("INSERT INTO instance_env.application (name, plan)"
				   " VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
				   " RETURNING id",
				   2, types, values, NULL) == 0)
		require_free_name(values[0]);	/* another session was first */
	result[0] = ienv_returned_uuid(1);

	/* from here on, $1 is the application's id; $3 to $6 are unchanged */
	types[0] = UUIDOID;
	values[0] = result[0];
	for (int i = 0; i < 2; i++)
	{
		static const char *const sql[] = {
			"INSERT INTO instance_env.instance (application, type, status, id,"
			" external_key, slug)"
			" VALUES ($1, 'development', 'active', $3, COALESCE($5,"
			" $3::pg_catalog.text), $7)"
			" ON CONFLICT (slug) DO NOTHING RETURNING id",
			"INSERT INTO instance_env.instance (application, type, status, id,"
			" external_key)"
			" VALUES ($1, 'production', 'inactive', $4, COALESCE($6,"
			" $4::pg_catalog.text)) RETURNING id"
		};

		/* draw slugs until one is free */
		for (int attempt = 0;; attempt++)
		{
			values[6] = CStringGetTextDatum(ienv_random_slug(attempt));
			if (ienv_query(sql[i], 7, types, values, nulls) > 0)
				break;
		}
		result[i + 1] = ienv_returned_uuid(1);
	}
	ienv_record_event("create_application", DatumGetUUIDP(result[0]), NULL,
					  name, 0, ienv_application_jsonb(result[0]));
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, result, isnull)));
}

/*
 * Generate the key of the identity hash, if this is the first application.
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
	(void) ienv_query("INSERT INTO instance_env.identity_key (secret)"
					  " SELECT $1"
					  " WHERE NOT EXISTS (SELECT"
					  " FROM instance_env.identity_key) ON CONFLICT DO NOTHING",
					  1, &type, &value, NULL);
}

/*
 * Raise an error if an instance has this id, which was given as an argument, or
 * the same code.  Another session may still be faster; the unique indexes see
 * to that.
 */
static void
require_free_id(Datum id, const char *argument)
{
	if (ienv_instance_by_value(id, true, true) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("instance %s already exists",
						ienv_instance_text(id, true))));
	if (ienv_code_is_taken(DatumGetUUIDP(id)))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("the code of instance %s is taken",
						ienv_instance_text(id, true)),
				 errdetail("Another instance has the same code, so coded ids of one would belong to the other."),
				 errhint("Give another id as \"%s\", or none, to have it generated.",
						 argument)));
}

/*
 * Choose an id that no instance has, nor its code; nor the other instance of
 * the application, if its id is known.
 */
static Datum
draw_id(const Datum *other)
{
	Datum		id;

	do
		id = OidFunctionCall0(F_GEN_RANDOM_UUID);
	while (ienv_code_is_taken(DatumGetUUIDP(id)) ||
		   (other != NULL &&
			ienv_same_code(DatumGetUUIDP(id), DatumGetUUIDP(*other))));
	return id;
}

/*
 * Raise an error if an instance other than this one, which can be NULL, has
 * this external key, or has had it in the current transaction (rename.c).
 */
void
ienv_require_free_key(Datum key, const pg_uuid_t *instance)
{
	const IenvRename *rename = ienv_rename_from(key);

	if (ienv_instance_by_value(key, false, true) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("an instance with external key %s already exists",
						ienv_instance_text(key, false))));
	if (rename != NULL &&
		(instance == NULL ||
		 memcmp(&rename->instance, instance, UUID_LEN) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("external key %s cannot be used in the transaction that takes it from another instance",
						ienv_instance_text(key, false)),
				 errdetail("Rows may still have it as the old key of that instance."),
				 errhint("Commit first.")));
}

/*
 * Raise an error if the arguments of create_application() say that the two
 * instances have the same id, code or external key.
 */
static void
require_different(const Datum *values, const bool *given)
{
	char	   *keys[2] = {NULL, NULL};

	if (given[2] && given[3] &&
		memcmp(DatumGetUUIDP(values[2]), DatumGetUUIDP(values[3]),
			   UUID_LEN) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("the development and the production instance cannot have the same id"),
				 errdetail("Both were given as %s.",
						   ienv_instance_text(values[2], true)),
				 errhint("Give different ids as \"development_id\" and \"production_id\", or none, to have them generated.")));
	if (given[2] && given[3] &&
		ienv_same_code(DatumGetUUIDP(values[2]), DatumGetUUIDP(values[3])))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("the development and the production instance cannot have the same code"),
				 errdetail("Coded ids of one would belong to the other."),
				 errhint("Give another id as \"development_id\" or \"production_id\", or none, to have it generated.")));

	for (int i = 0; i < 2; i++)
		if (given[4 + i])
			keys[i] = TextDatumGetCString(values[4 + i]);
		else if (given[2 + i])
			keys[i] = DatumGetCString(DirectFunctionCall1(uuid_out,
														  values[2 + i]));
	if (keys[0] != NULL && keys[1] != NULL && strcmp(keys[0], keys[1]) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("the development and the production instance cannot have the same external key"),
				 errdetail("The external key of both would be \"%s\".",
						   ienv_clipped(keys[0])),
				 errhint("Give different keys as \"development_key\" and \"production_key\"; the default is the id.")));
}

/*
 * An application and its instances, as recorded in an event: without the
 * code, which follows from the id, and whose text depends on a setting.  SPI is
 * connected.
 */
Datum
ienv_application_jsonb(Datum application)
{
	Oid			type = UUIDOID;
	bool		isnull;

	(void) ienv_query("SELECT pg_catalog.to_jsonb(a) OPERATOR(pg_catalog.||)"
					  "  pg_catalog.jsonb_build_object('instances',"
					  " (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(i)"
					  "   OPERATOR(pg_catalog.-) 'code' ORDER BY type)"
					  "   FROM instance_env.instance i"
					  " WHERE application OPERATOR(pg_catalog.=) $1))"
					  " FROM instance_env.application a"
					  " WHERE id OPERATOR(pg_catalog.=) $1",
					  1, &type, &application, NULL);
	return ienv_result_datum(0, 1, &isnull);
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
	(void) ienv_require_name(fcinfo, 1, "name");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	ienv_require_application(ienv_query("SELECT name"
										" FROM instance_env.application"
										" WHERE id OPERATOR(pg_catalog.=) $1"
										" FOR NO KEY UPDATE", 1, types, values,
										NULL), values[0]);
	if (strcmp(ienv_result_text(0, 1), TextDatumGetCString(values[1])) != 0)
		require_free_name(values[1]);
	(void) ienv_query("WITH r AS (UPDATE instance_env.application a"
					  " SET name = $2"
					  " FROM instance_env.application o"
					  " WHERE a.id OPERATOR(pg_catalog.=) $1"
					  " AND o.id OPERATOR(pg_catalog.=) $1"
					  " AND a.name OPERATOR(pg_catalog.<>) $2"
					  " RETURNING o.name AS before, a.name AS after)"
					  " SELECT pg_catalog.jsonb_build_object('name', before),"
					  "  pg_catalog.jsonb_build_object('name', after) FROM r",
					  2, types, values, NULL);
	ienv_record_returned("rename_application", DatumGetUUIDP(values[0]), NULL,
						 TextDatumGetCString(values[1]));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * An application and its instances, locked against change until the
 * transaction ends. SPI is connected.
 *
 * All code that locks more than one of them does so in this order:
 * application, development, production.
 */
IenvApplication
ienv_lock_application(Datum id)
{
	IenvApplication application = {0};
	Oid			type = UUIDOID;

	ienv_require_application(ienv_query("SELECT name"
										" FROM instance_env.application"
										" WHERE id OPERATOR(pg_catalog.=) $1"
										" FOR UPDATE",
										1, &type, &id, NULL), id);
	application.name = ienv_result_text(0, 1);
	if (ienv_query("SELECT id, status FROM instance_env.instance"
				   " WHERE application OPERATOR(pg_catalog.=) $1"
				   " ORDER BY type FOR NO KEY UPDATE", 1, &type, &id, NULL) !=
		2)
		elog(ERROR, "application \"%s\" does not have two instances",
			 application.name);
	for (int i = 0; i < 2; i++)
	{
		bool		isnull;

		application.instances[i] = ienv_result_datum(i, 1, &isnull);
		application.status[i] = ienv_result_text(i, 2);
	}
	return application;
}

/*
 * Raise an error if another application has this name.  Like the unique index,
 * looks with a snapshot taken now.
 */
static void
require_free_name(Datum name)
{
	Oid			type = TEXTOID;

	if (ienv_query_latest("SELECT FROM instance_env.application"
						  " WHERE name OPERATOR(pg_catalog.=) $1",
						  1, &type, &name, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("application \"%s\" already exists",
						TextDatumGetCString(name)),
				 errhint("Its instances are in view instance_env.instances.")));
}

/*
 * Raise an error if a statement for this application found no row.  SPI is
 * connected.
 *
 * The statement's snapshot may be older than the application.
 */
void
ienv_require_application(uint64 processed, Datum application)
{
	Oid			type = UUIDOID;

	if (processed > 0)
		return;
	if (ienv_query_latest("SELECT FROM instance_env.application"
						  " WHERE id OPERATOR(pg_catalog.=) $1",
						  1, &type, &application, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("application %s has been created concurrently",
						ienv_instance_text(application, true)),
				 errhint("Repeat the transaction.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("application %s does not exist",
					ienv_instance_text(application, true)),
			 errhint("Find an application by its name with instance_env.application_id().")));
}
