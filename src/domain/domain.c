/*-------------------------------------------------------------------------
 *
 * domain.c
 *	  The domains of production instances: associate, change, remove.
 *
 * A production instance has one primary domain and any number of satellites.
 * The root of a domain, that is, the part that its owner has registered,
 * belongs to one application; only its staging environments, or other staging
 * environments of the same application, may have other names below it.  Two
 * sessions that claim names below the same root wait for each other: each
 * locks the root, then looks with a snapshot taken after that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "domain/domain.h"
#include "registry/registry.h"

static void associate_domain(Datum instance, const char *name,
							 bool is_primary);
static void claim(Datum instance, const char *name);
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

	ienv_check_domain(name);
	ienv_require_production(instance, &status);
	before = own_domain(instance, name, &was_primary);
	if (DatumGetPointer(before) != NULL && was_primary == is_primary)
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
		claim(instance, name);
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
	ienv_check_domain(name);

	SPI_connect();
	ienv_require_production(instance, &status);
	primary = primary_of(instance);
	if (primary == NULL)
		ienv_refuse_no_domain(instance);
	if (strcmp(primary, name) != 0)
	{
		before = own_domain(instance, name, &is_primary);
		if (DatumGetPointer(before) == NULL)
			claim(instance, name);
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
	ienv_check_domain(name);

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
 * Make sure that, until the transaction ends, no other application has this
 * name or, unless one is a staging environment of the other, its root.
 */
static void
claim(Datum instance, const char *name)
{
	Oid			types[3] = {UUIDOID, TEXTOID, TEXTOID};
	Datum		values[3];
	const char *root = ienv_domain_root(name);
	const char *why = NULL;
	bool		isnull;

	/* a lock tag of our own: no object's address has this table as catalog */
	LockDatabaseObject(get_relname_relid("domain", ienv_oids()->schema),
					   hash_bytes((const unsigned char *) root, strlen(root)),
					   0, ExclusiveLock);

	values[0] = instance;
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(root);
	(void) ienv_query_latest(
							 "SELECT pg_catalog.bool_or(d.name"
							 " OPERATOR(pg_catalog.=) $2),"
							 "  pg_catalog.bool_or(COALESCE(a.staging_of,"
							 " a.id) OPERATOR(pg_catalog.<>)"
							 "   COALESCE(mine.staging_of, mine.id)),"
							 "  pg_catalog.bool_or(mine.staging_of IS NOT NULL"
							 " AND $2 OPERATOR(pg_catalog.=) $3)"
							 " FROM instance_env.domain d"
							 "  JOIN instance_env.instance i"
							 " ON i.id OPERATOR(pg_catalog.=) d.instance"
							 "  JOIN instance_env.application a"
							 " ON a.id OPERATOR(pg_catalog.=) i.application,"
							 "  instance_env.instance mi"
							 "  JOIN instance_env.application mine"
							 " ON mine.id OPERATOR(pg_catalog.=)"
							 " mi.application"
							 " WHERE instance_env.domain_root(d.name)"
							 " OPERATOR(pg_catalog.=) $3"
							 "  AND mi.id OPERATOR(pg_catalog.=) $1"
							 " AND a.id OPERATOR(pg_catalog.<>) mine.id",
							 3, types, values, NULL);

	/* null if no other application has a name below the root */
	if (DatumGetBool(ienv_result_datum(0, 1, &isnull)) && !isnull)
		why = "It is the domain of another application.";
	else if (DatumGetBool(ienv_result_datum(0, 2, &isnull)) && !isnull)
		why = psprintf("Another application uses its root domain \"%s\".",
					   root);
	else if (DatumGetBool(ienv_result_datum(0, 3, &isnull)) && !isnull)
		why =
			"A staging application cannot have the root domain, only a name below it.";
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INVALID_DOMAIN),
				 errmsg("\"%s\" cannot be the domain of this instance", name),
				 errdetail("%s", why)));

	/* records left by a domain deleted by hand do not count as verified */
	(void) ienv_query("DELETE FROM instance_env.dns_record"
					  " WHERE domain OPERATOR(pg_catalog.=) $2",
					  3, types, values, NULL);
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
	if (ienv_query("DELETE FROM instance_env.domain d"
				   " WHERE d.instance OPERATOR(pg_catalog.=) $1"
				   " AND d.name OPERATOR(pg_catalog.=) $2"
				   " RETURNING pg_catalog.to_jsonb(d)",
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
	Oid			types[3] = {UUIDOID, TEXTOID, BOOLOID};
	Datum		values[3];
	bool		isnull;

	values[0] = instance;
	values[1] = CStringGetTextDatum(name);
	values[2] = BoolGetDatum(is_primary);
	(void) ienv_query("INSERT INTO instance_env.domain AS d (name, instance,"
					  " is_primary) VALUES ($2, $1, $3)"
					  " ON CONFLICT (name) DO UPDATE"
					  " SET is_primary = EXCLUDED.is_primary, verified_at = NULL"
					  " WHERE d.instance OPERATOR(pg_catalog.=)"
					  " EXCLUDED.instance",
					  3, types, values, NULL);
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
