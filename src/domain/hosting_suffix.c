/*-------------------------------------------------------------------------
 *
 * hosting_suffix.c
 *	  Table hosting_suffix: what the Public Suffix List lacks, or does not say.
 *
 * Nothing that exists depends on it.  Domains that are associated already stay
 * with their instances; which hosts share production with them is asked again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "domain/domain.h"
#include "registry/registry.h"

/* Bytes of a description */
#define MAX_DESCRIPTION	255

static const char *suffix_problem(const char *name);
static Datum suffix_jsonb(Datum name);

PG_FUNCTION_INFO_V1(instance_env_add_hosting_suffix);
PG_FUNCTION_INFO_V1(instance_env_remove_hosting_suffix);

/*
 * add_hosting_suffix(name text, hosting boolean, description text)
 * RETURNS void
 *
 * Or changes one that is there; a null description leaves it as it is.
 */
Datum
instance_env_add_hosting_suffix(PG_FUNCTION_ARGS)
{
	Oid			types[3] = {TEXTOID, BOOLOID, TEXTOID};
	Datum		values[3];
	Datum		before;
	char	   *name;
	const char *problem;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "name");
	ienv_require_argument(fcinfo, 1, "hosting");
	name = TextDatumGetCString(PG_GETARG_DATUM(0));
	problem = suffix_problem(name);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INVALID_DOMAIN),
				 errmsg("\"%s\" cannot be a hosting suffix",
						ienv_clipped(name)),
				 errdetail("%s", problem),
				 errhint("A hosting suffix is what all names end in that a provider gives to its customers, such as vercel.app.")));
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = (Datum) 0;
	if (!PG_ARGISNULL(2))
	{
		char	   *description = ienv_require_text(fcinfo, 2, "description",
													MAX_DESCRIPTION);

		ienv_refuse_secret(description, "argument \"description\"");
		values[2] = CStringGetTextDatum(description);
	}

	SPI_connect();
	(void) ienv_lock_root(name);	/* whoever associates it waits, or is seen */
	if (ienv_query_latest("SELECT FROM instance_env.domain"
						  " WHERE name OPERATOR(pg_catalog.=) $1",
						  1, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" is the domain of an instance", name),
				 errdetail("A hosting suffix is nobody's domain.")));
	before = suffix_jsonb(values[0]);
	if (ienv_query("INSERT INTO instance_env.hosting_suffix AS s"
				   " (name, hosting, description)"
				   " VALUES ($1, $2, COALESCE($3, ''))"
				   " ON CONFLICT (name) DO UPDATE SET hosting = $2,"
				   " description = COALESCE($3, s.description)"
				   " WHERE s.hosting OPERATOR(pg_catalog.<>) $2"
				   "  OR s.description OPERATOR(pg_catalog.<>)"
				   " COALESCE($3, s.description)",
				   3, types, values, NULL) > 0)
	{
		ienv_record_event("add_hosting_suffix", NULL, NULL, name, before,
						  suffix_jsonb(values[0]));
		(void) ienv_query_latest("SELECT pg_catalog.count(*)"
								 " FROM instance_env.domain d WHERE "
								 IENV_BELOW("d.name", "$1"),
								 1, types, values, NULL);
		if (DatumGetInt64(ienv_result_datum(0, 1, &isnull)) > 0)
			ereport(NOTICE,
					(errmsg("domains below \"%s\" stay with their instances",
							name),
					 errdetail("There are %s of them.",
							   ienv_result_text(0, 1))));
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * remove_hosting_suffix(name text) RETURNS void
 *
 * One that the extension brings can only be changed: a dump cannot say that a
 * row is gone.
 */
Datum
instance_env_remove_hosting_suffix(PG_FUNCTION_ARGS)
{
	Oid			type = TEXTOID;
	Datum		value;
	Datum		before;
	char	   *name = ienv_require_text(fcinfo, 0, "name", IENV_MAX_DOMAIN);

	value = PG_GETARG_DATUM(0);
	SPI_connect();
	before = suffix_jsonb(value);
	if (DatumGetPointer(before) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no hosting suffix \"%s\"", name),
				 errhint("View instance_env.hosting_suffixes lists those that can be removed; what the Public Suffix List has can only be overruled, with instance_env.add_hosting_suffix().")));
	if (ienv_query("DELETE FROM instance_env.hosting_suffix"
				   " WHERE name OPERATOR(pg_catalog.=) $1 AND NOT builtin",
				   1, &type, &value, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot remove hosting suffix \"%s\" because the extension brings it",
						name),
				 errhint("Change it with instance_env.add_hosting_suffix(); with hosting => false, names below it are those of whoever registers them.")));
	ienv_record_event("remove_hosting_suffix", NULL, NULL, name, before, 0);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Why a name cannot be a hosting suffix, as a sentence, or NULL if it can.
 */
static const char *
suffix_problem(const char *name)
{
	const char *problem = ienv_name_problem(name);

	if (problem != NULL)
		return problem;
	if (ienv_is_service_name(name))
		return "It belongs to the service itself.";
	if (ienv_is_registry(name))
		return "The Public Suffix List has it as a registry's, so names below it are registered.";
	return NULL;
}

/*
 * A row as jsonb, or 0.  SPI is connected.
 */
static Datum
suffix_jsonb(Datum name)
{
	Oid			type = TEXTOID;
	bool		isnull;

	if (ienv_query("SELECT pg_catalog.to_jsonb(s)"
				   " FROM instance_env.hosting_suffix s"
				   " WHERE s.name OPERATOR(pg_catalog.=) $1",
				   1, &type, &name, NULL) == 0)
		return (Datum) 0;
	return ienv_result_datum(0, 1, &isnull);
}
