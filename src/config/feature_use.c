/*-------------------------------------------------------------------------
 *
 * feature_use.c
 *	  The features that instances use, and the plan that must cover them.
 *
 * A feature is also used by satellite domains or settings: view
 * instance_features says which, and by what.
 *
 * enable_feature() and set_plan() cannot miss each other's changes: both lock
 * the production instance first, and then look with a fresh snapshot at what
 * the other one may have written.  So does what sets settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "registry/registry.h"

static void check_limit(Datum instance, Datum feature, int quantity);
static void refuse_if_used(Datum instance, Datum feature);

PG_FUNCTION_INFO_V1(instance_env_enable_feature);
PG_FUNCTION_INFO_V1(instance_env_disable_feature);

/*
 * enable_feature(instance uuid, feature text, quantity integer) RETURNS void
 *
 * If the instance already uses the feature, its quantity is replaced.
 */
Datum
instance_env_enable_feature(PG_FUNCTION_ARGS)
{
	Oid			types[3] = {UUIDOID, TEXTOID, INT4OID};
	Datum		values[3];
	char	   *feature;
	char	   *status;
	IenvInstance instance;
	Datum		before = 0;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	feature = ienv_require_text(fcinfo, 1, "feature", IENV_MAX_WORD);
	ienv_require_argument(fcinfo, 2, "quantity");
	if (PG_GETARG_INT32(2) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a quantity must be greater than zero"),
				 errhint("Give up a feature with instance_env.disable_feature().")));
	for (int i = 0; i < 3; i++)
		values[i] = PG_GETARG_DATUM(i);

	SPI_connect();
	instance = ienv_lock_instance(values[0], &status);
	ienv_require_feature(values[0], feature);
	if (instance.type == IENV_DEVELOPMENT)
		check_limit(values[0], values[1], PG_GETARG_INT32(2));

	if (ienv_query("SELECT pg_catalog.jsonb_build_object('quantity', quantity)"
				   " FROM instance_env.instance_feature"
				   " WHERE instance OPERATOR(pg_catalog.=) $1"
				   " AND feature OPERATOR(pg_catalog.=) $2",
				   2, types, values, NULL) > 0)
		before = ienv_result_datum(0, 1, &isnull);
	if (ienv_query("WITH f AS (INSERT INTO instance_env.instance_feature AS f"
				   " (instance, feature, quantity) VALUES ($1, $2, $3)"
				   " ON CONFLICT (instance, feature) DO UPDATE"
				   " SET quantity = EXCLUDED.quantity"
				   " WHERE f.quantity OPERATOR(pg_catalog.<>)"
				   " EXCLUDED.quantity"
				   " RETURNING f.quantity)"
				   " SELECT pg_catalog.jsonb_build_object('quantity',"
				   " quantity) FROM f",
				   3, types, values, NULL) > 0)
	{
		Datum		after = ienv_result_datum(0, 1, &isnull);

		ienv_config_changed(values[0]);
		ienv_record_event("enable_feature", NULL, &instance.id, feature,
						  before, after);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * disable_feature(instance uuid, feature text) RETURNS void
 *
 * Raises only a NOTICE if the instance does not use the feature.
 */
Datum
instance_env_disable_feature(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	char	   *feature;
	char	   *status;
	IenvInstance instance;
	bool		deleted;
	Datum		before;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	feature = ienv_require_text(fcinfo, 1, "feature", IENV_MAX_WORD);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	instance = ienv_lock_instance(values[0], &status);
	deleted =
		ienv_write_latest("WITH f AS (DELETE FROM instance_env.instance_feature"
						  " WHERE instance OPERATOR(pg_catalog.=) $1"
						  " AND feature OPERATOR(pg_catalog.=) $2"
						  " RETURNING quantity)"
						  " SELECT pg_catalog.jsonb_build_object('quantity',"
						  " quantity) FROM f", 2, types, values) > 0;
	before = deleted ? ienv_result_datum(0, 1, &isnull) : 0;
	refuse_if_used(values[0], values[1]);
	if (deleted)
	{
		ienv_config_changed(values[0]);
		ienv_record_event("disable_feature", NULL, &instance.id, feature,
						  before, 0);
	}
	else if (ienv_query_latest("SELECT FROM instance_env.feature"
							   " WHERE name OPERATOR(pg_catalog.=) $2",
							   2, types, values, NULL) == 0)
		ienv_report_unknown_feature(feature);
	else
		ereport(NOTICE,
				(errmsg("feature \"%s\" is not enabled in instance %s, skipping",
						feature, ienv_instance_text(values[0], true))));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Refuse a quantity of a feature that exceeds the limit in development.
 */
static void
check_limit(Datum instance, Datum feature, int quantity)
{
	Oid			types[2] = {TEXTOID, INT4OID};
	Datum		values[2] = {feature, Int32GetDatum(quantity)};

	if (ienv_query_latest("SELECT development_limit FROM instance_env.feature"
						  " WHERE name OPERATOR(pg_catalog.=) $1"
						  " AND development_limit OPERATOR(pg_catalog.<) $2",
						  2, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_FEATURE_NOT_AVAILABLE),
				 errmsg("development instance %s cannot use %d of feature \"%s\"",
						ienv_instance_text(instance, true), quantity,
						TextDatumGetCString(feature)),
				 errdetail("The limit in development is %s.",
						   ienv_result_text(0, 1)),
				 errhint("Use the application's production instance for more.")));
}

/*
 * Refuse to disable a feature that the instance goes on using, by satellite
 * domains or by settings.
 */
static void
refuse_if_used(Datum instance, Datum feature)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2] = {instance, feature};
	const char *settings;

	if (ienv_query_latest("SELECT " IENV_USING_SETTINGS("used_by")
						  " FROM instance_env.instance_features"
						  " WHERE instance_id OPERATOR(pg_catalog.=) $1"
						  " AND feature OPERATOR(pg_catalog.=) $2", 2, types,
						  values, NULL) == 0)
		return;
	settings = ienv_result_text(0, 1);
	if (settings == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot disable feature \"%s\" because instance %s has satellite domains",
						TextDatumGetCString(feature),
						ienv_instance_text(instance, true)),
				 errhint("Remove them with instance_env.remove_domain() first.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot disable feature \"%s\" because instance %s uses it",
					TextDatumGetCString(feature),
					ienv_instance_text(instance, true)),
			 errdetail("It is used by %s.", settings),
			 errhint("Remove or switch off what uses it with instance_env.set_setting() first.")));
}
