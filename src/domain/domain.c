/*-------------------------------------------------------------------------
 *
 * domain.c
 *	  The domains of production instances: associate, change, remove.
 *
 * A production instance has one primary domain and any number of satellites.
 * Whose a name is, see claim.c.
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
#include "domain/domain.h"
#include "registry/registry.h"

static void associate_domain(Datum instance, const char *name,
							 bool is_primary);
static char *primary_of(Datum instance);
static Datum own_domain(Datum instance, const char *name, bool *is_primary);
static Datum forget_domain(Datum instance, const char *name);
static void put_domain(const char *action, Datum instance, const char *name,
					   bool is_primary, Datum before);

PG_FUNCTION_INFO_V1(instance_env_associate_domain);
PG_FUNCTION_INFO_V1(instance_env_change_domain);
PG_FUNCTION_INFO_V1(instance_env_remove_domain);

/*
 * associate_domain(instance uuid, domain text, is_primary boolean)
 * RETURNS void
 */
Datum
instance_env_associate_domain(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "domain");
	ienv_require_argument(fcinfo, 2, "is_primary");

	SPI_connect();
	associate_domain(PG_GETARG_DATUM(0),
					 TextDatumGetCString(PG_GETARG_DATUM(1)),
					 PG_GETARG_BOOL(2));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Associate a domain with a production instance.  SPI is connected.
 *
 * Until the instance has been promoted, a new primary domain replaces the old
 * one.
 */
static void
associate_domain(Datum instance, const char *name, bool is_primary)
{
	Datum		before;
	char	   *status;
	char	   *primary;
	bool		was_primary;

	ienv_check_name(name);
	ienv_require_production(instance, &status);
	before = own_domain(instance, name, &was_primary);
	if (DatumGetPointer(before) == NULL)
		ienv_check_domain(name);
	else if (was_primary == is_primary)
		return;
	if (DatumGetPointer(before) != NULL && was_primary)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" is the primary domain of instance %s", name,
						ienv_instance_text(instance, true)),
				 errhint("Change the primary domain with instance_env.change_domain() first.")));

	primary = is_primary ? primary_of(instance) : NULL;
	if (primary != NULL && strcmp(status, "inactive") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("instance %s already has the primary domain \"%s\"",
						ienv_instance_text(instance, true), primary),
				 errhint("Change it with instance_env.change_domain(), or associate \"%s\" as a satellite, with is_primary => false.", name)));

	if (DatumGetPointer(before) == NULL)
		ienv_claim_domain(instance, name, primary);
	if (!is_primary)
		ienv_require_feature(instance, "satellite_domains");
	if (primary != NULL)
	{
		ereport(NOTICE,
				(errmsg("domain \"%s\" replaces \"%s\"", name, primary)));
		before = forget_domain(instance, primary);
	}
	put_domain("associate_domain", instance, name, is_primary, before);
}

/*
 * change_domain(instance uuid, domain text) RETURNS void
 *
 * The instance stays active, because it has users.  Everything derived from
 * the domain's name changes with it, and the new domain has yet to be
 * verified.
 */
Datum
instance_env_change_domain(PG_FUNCTION_ARGS)
{
	Datum		instance;
	Datum		before;
	char	   *name;
	char	   *status;
	char	   *primary;
	bool		is_primary;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "domain");
	instance = PG_GETARG_DATUM(0);
	name = TextDatumGetCString(PG_GETARG_DATUM(1));
	ienv_check_name(name);

	SPI_connect();
	ienv_require_production(instance, &status);
	primary = primary_of(instance);
	if (primary == NULL)
		ienv_refuse_no_domain(instance);
	if (strcmp(primary, name) != 0)
	{
		before = own_domain(instance, name, &is_primary);
		if (DatumGetPointer(before) == NULL)
			ienv_claim_domain(instance, name, primary);
		before = forget_domain(instance, primary);
		put_domain("change_domain", instance, name, true, before);
		ereport(NOTICE,
				(errmsg("domain \"%s\" replaces \"%s\"", name, primary),
				 errdetail("The publishable key, the account portal and the OAuth callback address of the instance change with it, and the new domain is not verified."),
				 errhint("Make the DNS records that instance_env.dns_records() lists, call instance_env.verify_domain(), and give out the new publishable key.")));
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * remove_domain(instance uuid, domain text) RETURNS void
 */
Datum
instance_env_remove_domain(PG_FUNCTION_ARGS)
{
	Datum		instance;
	Datum		before;
	char	   *name;
	char	   *status;
	bool		is_primary;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "domain");
	instance = PG_GETARG_DATUM(0);
	name = TextDatumGetCString(PG_GETARG_DATUM(1));
	ienv_check_name(name);

	SPI_connect();
	ienv_require_production(instance, &status);
	before = own_domain(instance, name, &is_primary);
	if (DatumGetPointer(before) == NULL)
		ienv_refuse_unassociated(instance, name);
	if (is_primary)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot remove \"%s\" because it is the primary domain of instance %s",
						name, ienv_instance_text(instance, true)),
				 errhint("Change it with instance_env.change_domain().")));
	(void) forget_domain(instance, name);
	ienv_config_changed(instance);
	ienv_record_event("remove_domain", NULL, DatumGetUUIDP(instance), name,
					  before, 0);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Lock an instance, which must be a production instance, and return its
 * status.  SPI is connected.
 */
void
ienv_require_production(Datum instance, char **status)
{
	if (ienv_lock_instance(instance, status).type != IENV_PRODUCTION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("development instance %s cannot have a domain",
						ienv_instance_text(instance, true)),
				 errhint("Give the id of the application's production instance.")));
}

void
ienv_refuse_no_domain(Datum instance)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("production instance %s has no domain",
					ienv_instance_text(instance, true)),
			 errhint("Associate one with instance_env.associate_domain().")));
}

void
ienv_refuse_unassociated(Datum instance, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("domain \"%s\" is not associated with instance %s", name,
					ienv_instance_text(instance, true)),
			 errhint("Associate it with instance_env.associate_domain() first.")));
}

/*
 * The name of an instance's primary domain, or NULL.
 */
static char *
primary_of(Datum instance)
{
	Oid			type = UUIDOID;

	if (ienv_query("SELECT name FROM instance_env.domain"
				   " WHERE instance OPERATOR(pg_catalog.=) $1 AND is_primary",
				   1, &type, &instance, NULL) == 0)
		return NULL;
	return ienv_result_text(0, 1);
}

/*
 * An instance's domain of this name as jsonb, or 0.
 */
static Datum
own_domain(Datum instance, const char *name, bool *is_primary)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	bool		isnull;

	values[0] = instance;
	values[1] = CStringGetTextDatum(name);
	if (ienv_query("SELECT pg_catalog.to_jsonb(d), d.is_primary"
				   " FROM instance_env.domain d"
				   " WHERE d.instance OPERATOR(pg_catalog.=) $1"
				   " AND d.name OPERATOR(pg_catalog.=) $2",
				   2, types, values, NULL) == 0)
		return (Datum) 0;
	*is_primary = DatumGetBool(ienv_result_datum(0, 2, &isnull));
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * Delete a domain and its records; returns the domain as it was, or 0.
 */
static Datum
forget_domain(Datum instance, const char *name)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	bool		isnull;

	values[0] = instance;
	values[1] = CStringGetTextDatum(name);
	(void) ienv_query("DELETE FROM instance_env.dns_record"
					  " WHERE domain OPERATOR(pg_catalog.=) $2",
					  2, types, values, NULL);
	if (ienv_query("WITH d AS (DELETE FROM instance_env.domain d"
				   " WHERE d.instance OPERATOR(pg_catalog.=) $1"
				   " AND d.name OPERATOR(pg_catalog.=) $2"
				   " RETURNING d.*)"
				   " SELECT pg_catalog.to_jsonb(d) FROM d",
				   2, types, values, NULL) == 0)
		return (Datum) 0;
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * Store a domain that has been claimed, as not yet verified, with its records.
 */
static void
put_domain(const char *action, Datum instance, const char *name,
		   bool is_primary, Datum before)
{
	Oid			types[4] = {UUIDOID, TEXTOID, BOOLOID, TEXTOID};
	Datum		values[4];
	bool		isnull;

	values[0] = instance;
	values[1] = CStringGetTextDatum(name);
	values[2] = BoolGetDatum(is_primary);
	values[3] = CStringGetTextDatum(ienv_domain_root(name));
	(void) ienv_query("INSERT INTO instance_env.domain AS d (name, instance,"
					  " is_primary, root) VALUES ($2, $1, $3, $4)"
					  " ON CONFLICT (name) DO UPDATE"
					  " SET is_primary = EXCLUDED.is_primary,"
					  " verified_at = NULL, root = EXCLUDED.root"
					  " WHERE d.instance OPERATOR(pg_catalog.=)"
					  " EXCLUDED.instance",
					  4, types, values, NULL);
	ienv_make_dns_records(instance, name, is_primary);
	ienv_config_changed(instance);
	if (ienv_query("SELECT pg_catalog.to_jsonb(d) FROM instance_env.domain d"
				   " WHERE d.instance OPERATOR(pg_catalog.=) $1"
				   " AND d.name OPERATOR(pg_catalog.=) $2",
				   3, types, values, NULL) != 1)
		elog(ERROR, "domain \"%s\" belongs to no application", name);
	ienv_record_event(action, NULL, DatumGetUUIDP(instance), name, before,
					  ienv_result_datum(0, 1, &isnull));
}
