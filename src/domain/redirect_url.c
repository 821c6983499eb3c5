/*-------------------------------------------------------------------------
 *
 * redirect_url.c
 *	  The list of URLs that an instance may redirect to besides its own hosts.
 *
 * An entry is an origin, which stands for all of its pages; a URL with a path,
 * which stands for that page; or the same of a native app.  A part of the
 * first label of its host, or all of it, may be an asterisk.  Each is stored
 * in one form only, by which redirect.c looks it up.
 *
 * The list belongs to one environment, as domains and keys do: it is not
 * copied, exported or compared.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

/* How many entries an instance may have */
#define MAX_ENTRIES		1000

/* An origin has no slash but the two after its scheme. */
#define IS_ORIGIN(url) url " OPERATOR(pg_catalog.~) '^https?://[^/]*$'"

static char *entry_of(Datum instance, const char *text, IenvUrl *url);
static const char *entry_problem(const char *text, IenvUrl *url);
static const char *pattern_problem(const char *host);
static void require_usable(Datum instance, IenvType type, const char *entry,
						   const IenvUrl *url);
static Datum origins_of(Datum instance);
static uint64 number_of(Datum instance);
static void check_number(Datum instance, uint64 n);
pg_noreturn static void refuse(Datum instance, const char *text,
							   const char *problem);

PG_FUNCTION_INFO_V1(instance_env_add_redirect_url);
PG_FUNCTION_INFO_V1(instance_env_remove_redirect_url);
PG_FUNCTION_INFO_V1(instance_env_set_allowed_origins);

/*
 * add_redirect_url(instance uuid, url text) RETURNS void
 *
 * Raises only a NOTICE if the list has the URL.
 */
Datum
instance_env_add_redirect_url(PG_FUNCTION_ARGS)
{
	static const Oid types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	char	   *entry;
	char	   *given;
	char	   *status;
	IenvInstance instance;
	IenvUrl		url;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	given = ienv_require_text(fcinfo, 1, "url", IENV_MAX_REDIRECT);
	values[0] = PG_GETARG_DATUM(0);

	SPI_connect();
	instance = ienv_lock_instance(values[0], &status);
	entry = entry_of(values[0], given, &url);
	require_usable(values[0], instance.type, entry, &url);
	values[1] = CStringGetTextDatum(entry);
	if (ienv_query("WITH r AS (INSERT INTO instance_env.redirect_url AS r"
				   " (instance, url) VALUES ($1, $2)"
				   " ON CONFLICT (instance, url) DO NOTHING"
				   " RETURNING r.*)"
				   " SELECT pg_catalog.to_jsonb(r) FROM r",
				   2, types, values, NULL) > 0)
	{
		Datum		after = ienv_result_datum(0, 1, &isnull);

		check_number(values[0], number_of(values[0]));
		ienv_config_changed(values[0]);
		ienv_record_event("add_redirect_url", NULL, &instance.id, entry, 0,
						  after);
	}
	else
		ereport(NOTICE,
				(errmsg("\"%s\" is a redirect URL of instance %s already, skipping",
						ienv_clipped(entry),
						ienv_instance_text(values[0], true))));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * remove_redirect_url(instance uuid, url text) RETURNS void
 *
 * Raises only a NOTICE if the list does not have the URL.
 */
Datum
instance_env_remove_redirect_url(PG_FUNCTION_ARGS)
{
	static const Oid types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	char	   *entry;
	char	   *given;
	char	   *status;
	IenvInstance instance;
	IenvUrl		url;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	given = ienv_require_text(fcinfo, 1, "url", IENV_MAX_REDIRECT);
	values[0] = PG_GETARG_DATUM(0);

	SPI_connect();
	instance = ienv_lock_instance(values[0], &status);
	entry = entry_of(values[0], given, &url);
	values[1] = CStringGetTextDatum(entry);
	if (ienv_query("WITH r AS (DELETE FROM instance_env.redirect_url r"
				   " WHERE r.instance OPERATOR(pg_catalog.=) $1"
				   " AND r.url OPERATOR(pg_catalog.=) $2"
				   " RETURNING r.*)"
				   " SELECT pg_catalog.to_jsonb(r) FROM r",
				   2, types, values, NULL) > 0)
	{
		Datum		before = ienv_result_datum(0, 1, &isnull);

		ienv_config_changed(values[0]);
		ienv_record_event("remove_redirect_url", NULL, &instance.id, entry,
						  before, 0);
	}
	else
		ereport(NOTICE,
				(errmsg("\"%s\" is not a redirect URL of instance %s, skipping",
						ienv_clipped(entry),
						ienv_instance_text(values[0], true))));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * set_allowed_origins(instance uuid, origins text[]) RETURNS void
 *
 * Replaces the origins of the list by these.  URLs with a path, and those of
 * native apps, stay.
 */
Datum
instance_env_set_allowed_origins(PG_FUNCTION_ARGS)
{
	static const Oid types[2] = {UUIDOID, TEXTARRAYOID};
	Datum		values[2];
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	char	   *status;
	IenvInstance instance;
	Datum		before;
	uint64		changed;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "origins");
	values[0] = PG_GETARG_DATUM(0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &n);

	SPI_connect();
	instance = ienv_lock_instance(values[0], &status);
	check_number(values[0], n);
	for (int i = 0; i < n; i++)
	{
		IenvUrl		url;
		char	   *given;
		char	   *entry;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"origins\" must not contain nulls")));
		given = TextDatumGetCString(elements[i]);
		entry = entry_of(values[0], given, &url);
		if (url.kind != IENV_URL_WEB)
			refuse(values[0], given, "is not an origin");
		if (url.path_length > 0)
			refuse(values[0], given, "is not an origin, because it has a path");
		require_usable(values[0], instance.type, entry, &url);
		elements[i] = CStringGetTextDatum(entry);
	}
	values[1] = PointerGetDatum(construct_array(elements, n, TEXTOID, -1,
												false, TYPALIGN_INT));
	before = origins_of(values[0]);
	changed = ienv_query("DELETE FROM instance_env.redirect_url"
						 " WHERE instance OPERATOR(pg_catalog.=) $1"
						 " AND " IS_ORIGIN("url")
						 " AND url OPERATOR(pg_catalog.<>) ALL ($2)",
						 2, types, values, NULL);
	changed += ienv_query("INSERT INTO instance_env.redirect_url"
						  " (instance, url)"
						  " SELECT $1, o FROM pg_catalog.unnest($2) AS o"
						  " ON CONFLICT (instance, url) DO NOTHING",
						  2, types, values, NULL);
	if (changed > 0)
	{
		check_number(values[0], number_of(values[0]));
		ienv_config_changed(values[0]);
		ienv_record_event("set_allowed_origins", NULL, &instance.id, NULL,
						  before, origins_of(values[0]));
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * The entry that a text stands for, in the form that is stored.
 */
static char *
entry_of(Datum instance, const char *text, IenvUrl *url)
{
	const char *problem = entry_problem(text, url);

	if (problem != NULL)
		refuse(instance, text, problem);
	return ienv_redirect_form(url);
}

/*
 * Why a text cannot be in any instance's list, as the predicate of a sentence
 * about it, or NULL if it can.
 */
static const char *
entry_problem(const char *text, IenvUrl *url)
{
	const char *problem;

	if (strlen(text) > IENV_MAX_REDIRECT)
		return psprintf("is longer than %d bytes", IENV_MAX_REDIRECT);
	problem = ienv_url_problem(text, true, url);
	if (problem != NULL)
		return problem;
	if (url->kind == IENV_URL_RELATIVE)
		return "names no host";
	if (url->path[url->path_length] != '\0')
		return "has a query or a fragment, which make no difference";
	if (memchr(url->path, '*', url->path_length) != NULL)
		return "has an asterisk elsewhere than once in the first label of its host";
	return NULL;
}

/*
 * The same for what an instance cannot have.
 */
static void
require_usable(Datum instance, IenvType type, const char *entry,
			   const IenvUrl *url)
{
	static const Oid types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	const char *problem;

	ienv_refuse_secret(entry, "a redirect URL");
	if (url->kind == IENV_URL_NATIVE)
		return;
	problem = strchr(url->host, '*') != NULL ? pattern_problem(url->host) :
		NULL;
	if (problem != NULL)
		refuse(instance, entry, problem);
	if (type == IENV_PRODUCTION && url->is_loopback)
		refuse(instance, entry, "leads to the user's own machine");

	values[0] = instance;
	values[1] = CStringGetTextDatum(url->scheme);
	if (ienv_query("SELECT FROM instance_env.policies"
				   " WHERE instance_id OPERATOR(pg_catalog.=) $1"
				   " AND name OPERATOR(pg_catalog.=) 'redirect_schemes'"
				   " AND value OPERATOR(pg_catalog.?) $2",
				   2, types, values, NULL) == 0)
		refuse(instance, entry,
			   psprintf("has the scheme \"%s\", which policy \"redirect_schemes\" does not include",
						url->scheme));
}

/*
 * Why the name of a host with an asterisk stands for too many.  Below a public
 * suffix or a hosting provider's domain, anybody can have a name, and below
 * the service's, other applications have theirs.  Where a provider gives the
 * names, a part of the label can be the customer's own; where they are
 * registered, or the service's, it is nobody's.
 */
static const char *
pattern_problem(const char *host)
{
	const char *rest = strchr(host, '.');
	const char *above;
	char	   *below;

	if (rest == NULL || strchr(rest + 1, '.') == NULL)
		return "has an asterisk below a top-level domain";
	rest++;
	if (ienv_is_service_name(rest))
		return psprintf("has an asterisk below \"%s\", where other applications have names",
						rest);
	if (ienv_is_public_suffix(rest) && !ienv_is_hosting_name(rest))
		return psprintf("has an asterisk for names below \"%s\", which belong to others",
						rest);
	if (strspn(host, "*-_") < rest - 1 - host)
		return NULL;			/* the label has more than the asterisk */
	above = strchr(rest, '.') + 1;
	below = psprintf("x.%s", rest);
	if (ienv_domain_root(below) == below ||
		(ienv_is_hosting_name(rest) && !ienv_is_hosting_name(above)))
		return psprintf("has an asterisk for all names below \"%s\", which belong to others",
						rest);
	return NULL;
}

/*
 * The origins in the list, as a jsonb array.
 */
static Datum
origins_of(Datum instance)
{
	Oid			type = UUIDOID;
	bool		isnull;

	(void) ienv_query("SELECT COALESCE(pg_catalog.jsonb_agg(url ORDER BY url),"
					  " '[]')"
					  " FROM instance_env.redirect_url"
					  " WHERE instance OPERATOR(pg_catalog.=) $1"
					  " AND " IS_ORIGIN("url"), 1, &type, &instance, NULL);
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * How many entries an instance, which is locked, has.
 */
static uint64
number_of(Datum instance)
{
	Oid			type = UUIDOID;

	return ienv_query("SELECT FROM instance_env.redirect_url"
					  " WHERE instance OPERATOR(pg_catalog.=) $1", 1, &type,
					  &instance, NULL);
}

/*
 * Refuse more entries than an instance may have.
 */
static void
check_number(Datum instance, uint64 n)
{
	if (n > MAX_ENTRIES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("instance %s cannot have more than %d redirect URLs",
						ienv_instance_text(instance, true), MAX_ENTRIES),
				 errhint("An origin stands for all of its pages, and \"*\" in the first label of a host for many hosts.")));
}

static void
refuse(Datum instance, const char *text, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" cannot be a redirect URL of instance %s",
					ienv_clipped(text), ienv_instance_text(instance, true)),
			 errdetail("It %s.", problem),
			 errhint("A redirect URL is an origin such as \"https://app.example.com\", a URL such as \"https://app.example.com/callback\", or one of a native app, such as \"com.example.app://callback\".")));
}
