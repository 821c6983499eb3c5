/*-------------------------------------------------------------------------
 *
 * domain.c
 *	  The domains of production instances.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "instance_env.h"

/* RFC 1035, section 2.3.4, less the length bytes */
#define MAX_LABEL_LENGTH	63
#define MAX_DOMAIN_LENGTH	253

/* Whoever has a name below these does not own the domain. */
static const char *const hosting_suffixes[] = {
	".clerk.app", ".vercel.app", ".netlify.app", ".pages.dev", ".fly.dev", ".render.com",
	".herokuapp.com", ".accounts.dev"
};

pg_noreturn static void refuse_foreign_domain(const char *name);
static void require_production(Datum instance, char **status);

PG_FUNCTION_INFO_V1(instance_env_associate_domain);
PG_FUNCTION_INFO_V1(instance_env_verify_domain);

/*
 * Why a text cannot be the domain of a production instance, as a sentence, or NULL
 * if it can: a lower-case host name of two labels or more, the last of letters.
 */
const char *
ienv_domain_problem(const char *name)
{
	Size		length = strlen(name);
	Size		label = 0;		/* bytes in the current label */
	bool		digits = false; /* the current label has other than letters */
	int			dots = 0;

	if (length == 0)
		return "It is empty.";
	if (length > MAX_DOMAIN_LENGTH)
		return psprintf("It is longer than %d characters.", MAX_DOMAIN_LENGTH);
	if (strstr(name, "://") != NULL)
		return "It contains a scheme.";

	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p == '.')
		{
			if (p[1] == '\0')
				return "It ends in a dot.";
			if (label == 0)
				return "A label is empty.";
			if (p[-1] == '-')
				return "A label ends in a hyphen.";
			dots++;
			label = 0;
			digits = false;
			continue;
		}
		if (*p == '/')
			return "It contains a path.";
		if (*p == ':')
			return "It contains a port.";
		if (*p >= 'A' && *p <= 'Z')
			return "It contains upper-case letters.";
		if (IS_HIGHBIT_SET(*p))
			return "It contains non-ASCII characters; give an internationalized name in punycode.";
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-'))
			return "It contains characters other than letters, digits, hyphens and dots.";
		if (*p == '-' && label == 0)
			return "A label begins with a hyphen.";
		if (++label > MAX_LABEL_LENGTH)
			return psprintf("A label is longer than %d characters.", MAX_LABEL_LENGTH);
		digits = digits || !(*p >= 'a' && *p <= 'z');
	}
	if (name[length - 1] == '-')
		return "A label ends in a hyphen.";
	if (dots == 0)
		return "It has no dot.";
	if (label < 2 || (digits && strncmp(name + length - label, "xn--", 4) != 0))
		return "It does not end in a top-level domain.";

	for (int i = 0; i < lengthof(hosting_suffixes); i++)
	{
		Size		suffix = strlen(hosting_suffixes[i]);

		if (strcmp(name, hosting_suffixes[i] + 1) == 0 ||
			(length > suffix && strcmp(name + length - suffix, hosting_suffixes[i]) == 0))
			return "It belongs to a hosting provider.";
	}
	return NULL;
}

/*
 * associate_domain(instance uuid, domain text, is_primary boolean) RETURNS void
 *
 * Another primary domain takes the first one's place while the instance has not
 * been promoted.
 */
Datum
instance_env_associate_domain(PG_FUNCTION_ARGS)
{
	Oid			types[3] = {UUIDOID, TEXTOID, BOOLOID};
	Datum		values[3];
	char	   *name;
	char	   *status;
	const char *problem;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "domain");
	ienv_require_argument(fcinfo, 2, "is_primary");
	for (int i = 0; i < 3; i++)
		values[i] = PG_GETARG_DATUM(i);
	name = TextDatumGetCString(values[1]);
	problem = ienv_domain_problem(name);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INVALID_DOMAIN),
				 errmsg("\"%s\" cannot be the domain of a production instance",
						pnstrdup(name, pg_mbcliplen(name, strlen(name), MAX_DOMAIN_LENGTH))),
				 errdetail("%s", problem),
				 errhint("A domain is a host name such as example.com.")));

	SPI_connect();
	require_production(values[0], &status);
	if (ienv_query("SELECT FROM instance_env.domain WHERE name OPERATOR(pg_catalog.=) $2"
				   " AND instance OPERATOR(pg_catalog.<>) $1", 2, types, values, NULL) > 0)
		refuse_foreign_domain(name);

	if (PG_GETARG_BOOL(2) &&
		ienv_query("SELECT name FROM instance_env.domain WHERE instance OPERATOR(pg_catalog.=) $1"
				   " AND is_primary AND name OPERATOR(pg_catalog.<>) $2", 2, types, values, NULL) > 0)
	{
		char	   *primary = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		if (strcmp(status, "inactive") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("instance %s has the primary domain \"%s\" already",
							ienv_instance_text(values[0], true), primary),
					 errhint("Associate \"%s\" as a satellite, with is_primary => false.", name)));
		ereport(NOTICE,
				(errmsg("domain \"%s\" replaces \"%s\"", name, primary)));
		(void) ienv_query("DELETE FROM instance_env.domain WHERE instance OPERATOR(pg_catalog.=) $1"
						  " AND is_primary", 2, types, values, NULL);
	}
	if (!PG_GETARG_BOOL(2) &&
		ienv_query("SELECT FROM instance_env.domain WHERE instance OPERATOR(pg_catalog.=) $1"
				   " AND is_primary AND name OPERATOR(pg_catalog.=) $2", 2, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" is the primary domain of instance %s", name, ienv_instance_text(values[0], true)),
				 errhint("Associate another domain as the primary one first.")));

	/* nothing comes back if another application has got the domain meanwhile */
	if (ienv_query("INSERT INTO instance_env.domain AS d (name, instance, is_primary) VALUES ($2, $1, $3)"
				   " ON CONFLICT (name) DO UPDATE SET is_primary = EXCLUDED.is_primary"
				   " WHERE d.instance OPERATOR(pg_catalog.=) EXCLUDED.instance RETURNING name",
				   3, types, values, NULL) == 0)
		refuse_foreign_domain(name);
	SPI_finish();
	PG_RETURN_VOID();
}

static void
refuse_foreign_domain(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_INVALID_DOMAIN),
			 errmsg("\"%s\" cannot be the domain of this instance", name),
			 errdetail("It is the domain of another application.")));
}

/*
 * verify_domain(instance uuid, domain text) RETURNS void
 *
 * The caller has looked at the domain's DNS; the database cannot.
 */
Datum
instance_env_verify_domain(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	char	   *status;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "domain");
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	require_production(values[0], &status);
	if (ienv_query("UPDATE instance_env.domain SET verified_at = COALESCE(verified_at, pg_catalog.now())"
				   " WHERE instance OPERATOR(pg_catalog.=) $1 AND name OPERATOR(pg_catalog.=) $2",
				   2, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("domain \"%s\" is not associated with instance %s",
						TextDatumGetCString(values[1]), ienv_instance_text(values[0], true)),
				 errhint("Associate it with instance_env.associate_domain() first.")));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Lock an instance that must be a production instance, and say its status.
 */
static void
require_production(Datum instance, char **status)
{
	if (ienv_lock_instance(instance, status).type != IENV_PRODUCTION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("development instance %s cannot have a domain", ienv_instance_text(instance, true)),
				 errhint("Give the id of the application's production instance.")));
}
