/*-------------------------------------------------------------------------
 *
 * social.c
 *	  Social connections, and whose credentials they use.
 *
 * Shared credentials are the service's own, and many development instances use
 * the same ones; production needs its own for every provider.  social_rule.c
 * enforces that no matter how a row is written.  Secrets are never stored,
 * only a reference to where the application keeps them (reference.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "registry/registry.h"

#define MAX_SCOPES			100

/* An application's own providers, which are not in table social_provider */
#define CUSTOM_PREFIX		"custom_"

/* A connection as it is logged and compared */
#define AS_JSONB \
	"pg_catalog.jsonb_build_object('source', c.source, 'client_id', c.client_id," \
	" 'secret_reference', c.secret_reference, 'scopes', c.scopes)"

static void check_given(FunctionCallInfo fcinfo, bool own);
static bool offers_shared(const char *provider);
static bool is_custom(const char *provider);
static bool require_scopes(ArrayType *scopes);
pg_noreturn static void report_no_shared(const char *provider);

PG_FUNCTION_INFO_V1(instance_env_set_social_connection);
PG_FUNCTION_INFO_V1(instance_env_remove_social_connection);
PG_FUNCTION_INFO_V1(instance_env_social_credentials);

/*
 * set_social_connection(instance uuid, provider text, client_id text,
 *						 secret_reference text, scopes text[]) RETURNS void
 *
 * Without client_id and secret_reference, the connection uses shared
 * credentials.  An existing connection to the same provider is replaced.
 */
Datum
instance_env_set_social_connection(PG_FUNCTION_ARGS)
{
	Oid			types[6] = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, BOOLOID};
	Datum		values[6];
	char		nulls[7] = "      ";
	bool		own = !PG_ARGISNULL(2);
	char	   *provider;
	char	   *status;
	IenvInstance instance;
	bool		shared_offered;
	Datum		before = 0;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	provider = ienv_require_text(fcinfo, 1, "provider", IENV_MAX_WORD);
	check_given(fcinfo, own);
	for (int i = 0; i < 5; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}
	if (!PG_ARGISNULL(4) && !require_scopes(PG_GETARG_ARRAYTYPE_P(4)))
		nulls[4] = 'n';
	values[5] = BoolGetDatum(own);

	SPI_connect();
	instance = ienv_lock_instance(values[0], &status);
	shared_offered = offers_shared(provider);
	if (!own && instance.type == IENV_PRODUCTION)
		ienv_report_shared_in_production(values[0], provider);
	if (!own && !shared_offered)
		report_no_shared(provider);
	if (!own && nulls[4] == ' ')
		ienv_report_shared_scopes();

	if (ienv_query("SELECT " AS_JSONB " FROM instance_env.social_connection c"
				   " WHERE c.instance OPERATOR(pg_catalog.=) $1"
				   " AND c.provider OPERATOR(pg_catalog.=) $2",
				   2, types, values, NULL) > 0)
		before = ienv_result_datum(0, 1, &isnull);
	if (ienv_query("WITH c AS (INSERT INTO instance_env.social_connection AS c"
				   "  (instance, provider, instance_type, source, client_id, secret_reference, scopes)"
				   " SELECT i.id, $2, i.type,"
				   "  (CASE WHEN $6 THEN 'own'"
				   " ELSE 'shared' END)::instance_env.credential_source, $3,"
				   " $4, $5"
				   " FROM instance_env.instance i"
				   " WHERE i.id OPERATOR(pg_catalog.=) $1"
				   " ON CONFLICT (instance, provider) DO UPDATE"
				   " SET source = EXCLUDED.source,"
				   "  client_id = EXCLUDED.client_id, secret_reference = EXCLUDED.secret_reference,"
				   "  scopes = EXCLUDED.scopes"
				   " WHERE ROW(c.source, c.client_id, c.secret_reference,"
				   " c.scopes) IS DISTINCT FROM"
				   "  ROW(EXCLUDED.source, EXCLUDED.client_id, EXCLUDED.secret_reference, EXCLUDED.scopes)"
				   " RETURNING c.source, c.client_id, c.secret_reference,"
				   " c.scopes)"
				   " SELECT " AS_JSONB " FROM c", 6, types, values, nulls) > 0)
	{
		Datum		after = ienv_result_datum(0, 1, &isnull);

		ienv_config_changed(values[0]);
		ienv_record_event("set_social_connection", NULL, &instance.id,
						  provider, before, after);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Refuse incomplete credentials, a secret, and what is no reference to one.
 */
static void
check_given(FunctionCallInfo fcinfo, bool own)
{
	if (PG_ARGISNULL(3) == own)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments \"client_id\" and \"secret_reference\" go together"),
				 errhint("Give both for credentials of your own, neither for shared ones.")));
	if (!own)
		return;

	ienv_refuse_secret(ienv_require_text(fcinfo, 2, "client_id",
										 IENV_MAX_CREDENTIAL),
					   "argument \"client_id\"");
	ienv_check_reference(ienv_require_text(fcinfo, 3, "secret_reference",
										   IENV_MAX_CREDENTIAL),
						 "secret_reference");
}

/*
 * remove_social_connection(instance uuid, provider text) RETURNS void
 *
 * Raises only a NOTICE if there is no connection to the provider.
 */
Datum
instance_env_remove_social_connection(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	char	   *provider;
	char	   *status;
	IenvInstance instance;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	provider = ienv_require_text(fcinfo, 1, "provider", IENV_MAX_WORD);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	instance = ienv_lock_instance(values[0], &status);
	if (ienv_query("WITH c AS (DELETE FROM instance_env.social_connection c"
				   " WHERE c.instance OPERATOR(pg_catalog.=) $1"
				   " AND c.provider OPERATOR(pg_catalog.=) $2"
				   " RETURNING c.source, c.client_id, c.secret_reference,"
				   " c.scopes)"
				   " SELECT " AS_JSONB " FROM c", 2, types, values, NULL) > 0)
	{
		Datum		before = ienv_result_datum(0, 1, &isnull);

		ienv_config_changed(values[0]);
		ienv_record_event("remove_social_connection", NULL, &instance.id,
						  provider, before, 0);
	}
	else
	{
		/* a name that no provider can have is a mistake */
		(void) offers_shared(provider);
		ereport(NOTICE,
				(errmsg("instance %s has no connection to \"%s\", skipping",
						ienv_instance_text(values[0], true), provider)));
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * social_credentials(instance uuid, provider text)
 * RETURNS record (source, client_id, secret_reference, scopes)
 *
 * Returns the instance's own credentials or, in development, the shared ones if
 * the connection has been enabled without any.  A connection that has not been
 * enabled is refused, so that validate() knows of all that are in use.
 */
Datum
instance_env_social_credentials(PG_FUNCTION_ARGS)
{
	static IenvQuery query = {
		.sql = "SELECT source, client_id, secret_reference, scopes"
		" FROM instance_env.social_connection"
		" WHERE instance OPERATOR(pg_catalog.=) $1"
		" AND provider OPERATOR(pg_catalog.=) $2"
	};
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	TupleDesc	desc;
	char	   *provider;
	char	   *result[4];
	IenvInstance instance;
	bool		enabled;
	HeapTuple	row;

	ienv_require_argument(fcinfo, 0, "instance");
	provider = ienv_require_text(fcinfo, 1, "provider", IENV_MAX_WORD);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	desc = ienv_result_desc(fcinfo);

	instance = ienv_require_instance(values[0]);
	SPI_connect();
	enabled = ienv_query_kept_latest(&query, 2, types, values, NULL) > 0;
	for (int i = 0; i < 4; i++)
		result[i] = enabled ? ienv_result_text(0, i + 1) : NULL;
	if (!enabled || strcmp(result[0], "own") != 0)
	{
		bool		shared_offered = offers_shared(provider);

		if (instance.type == IENV_PRODUCTION)
			ereport(ERROR,
					(errcode(ERRCODE_IENV_OWN_CREDENTIALS),
					 errmsg("production instance %s has no credentials for \"%s\"",
							ienv_instance_text(values[0], true), provider),
					 errdetail("Shared credentials are for development only."),
					 ienv_errhint_own_credentials()));
		if (!shared_offered)
			report_no_shared(provider);
		if (!enabled)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("development instance %s has not enabled social connection \"%s\"",
							ienv_instance_text(values[0], true), provider),
					 errhint("Enable it with instance_env.set_social_connection(); without credentials of its own, it uses shared ones.")));
	}
	row = BuildTupleFromCStrings(TupleDescGetAttInMetadata(desc), result);
	row = SPI_copytuple(row);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(row));
}

/*
 * Does this provider offer shared credentials?  Refuses a name that is neither
 * in table social_provider nor that of a custom provider.  SPI is connected.
 */
static bool
offers_shared(const char *provider)
{
	static IenvQuery query = {
		.sql = "SELECT offers_shared FROM instance_env.social_provider"
		" WHERE name OPERATOR(pg_catalog.=) $1"
	};
	Oid			type = TEXTOID;
	Datum		name = CStringGetTextDatum(provider);
	bool		isnull;

	if (ienv_query_kept_latest(&query, 1, &type, &name, NULL) > 0)
		return DatumGetBool(ienv_result_datum(0, 1, &isnull));
	if (!is_custom(provider))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("social provider \"%s\" does not exist", provider),
				 errhint("All providers are in view instance_env.social_providers. Name one of your own \"custom_...\", in lower-case letters, digits, hyphens and underscores.")));
	return false;
}

static bool
is_custom(const char *provider)
{
	const char *slug = provider + strlen(CUSTOM_PREFIX);

	return strncmp(provider, CUSTOM_PREFIX, strlen(CUSTOM_PREFIX)) == 0 &&
		*slug != '\0' && *slug != '-' && *slug != '_' &&
		strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(slug);
}

/*
 * Are there any scopes?  Refuses elements that cannot be scopes (RFC 6749,
 * section 3.3).
 */
static bool
require_scopes(ArrayType *scopes)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	const char *problem = NULL;

	if (ARR_NDIM(scopes) > 1)
		problem = "It has more than one dimension.";
	deconstruct_array(scopes, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls,
					  &n);
	if (n > MAX_SCOPES)
		problem = psprintf("It has more than %d elements.", MAX_SCOPES);
	for (int i = 0; i < n && problem == NULL; i++)
	{
		char	   *scope;

		if (nulls[i])
		{
			problem = "An element is null.";
			break;
		}
		scope = TextDatumGetCString(elems[i]);
		if (*scope == '\0')
			problem = "An element is empty.";
		else if (strlen(scope) > IENV_MAX_CREDENTIAL)
			problem = psprintf("An element is longer than %d bytes.",
							   IENV_MAX_CREDENTIAL);
		ienv_refuse_secret(scope, "argument \"scopes\"");
		for (const char *p = scope; *p != '\0' && problem == NULL; p++)
			if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
				problem =
					"An element contains a space, a quote, a backslash or a character that is not printable ASCII.";
	}
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\"", "scopes"),
				 errdetail("%s", problem)));
	return n > 0;
}

static void
report_no_shared(const char *provider)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_OWN_CREDENTIALS),
			 errmsg("social provider \"%s\" offers no shared credentials",
					provider),
			 ienv_errhint_own_credentials()));
}
