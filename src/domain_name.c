/*-------------------------------------------------------------------------
 *
 * domain_name.c
 *	  The names under which an instance is reached, and its publishable key.
 *
 * A development instance lives on the service's own domain, under its slug; a
 * production instance on its primary domain, whether that is verified or not.  An
 * application may ask on every request, so what the names are made of is cached.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "instance_env.h"

/* Some 300 bytes an entry: 1.2 MB at most. */
#define CACHE_ENTRIES	4096

typedef struct NameEntry
{
	pg_uuid_t	instance;		/* hash key, must be first */
	bool		is_production;
	char		name[IENV_MAX_DOMAIN + 1];	/* slug or primary domain; empty: none */
} NameEntry;

static IenvCache cache = {
	.name = "instance_env names",
	.keysize = sizeof(pg_uuid_t),
	.entrysize = sizeof(NameEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"domain", "instance"}
};

static const NameEntry *name_of(FunctionCallInfo fcinfo);
static const char *frontend_api_host(const NameEntry *entry);

PG_FUNCTION_INFO_V1(instance_env_account_portal_url);
PG_FUNCTION_INFO_V1(instance_env_frontend_api_host);
PG_FUNCTION_INFO_V1(instance_env_oauth_consent_domain);
PG_FUNCTION_INFO_V1(instance_env_oauth_callback_url);
PG_FUNCTION_INFO_V1(instance_env_publishable_key);

/*
 * account_portal_url(instance uuid) RETURNS text
 */
Datum
instance_env_account_portal_url(PG_FUNCTION_ARGS)
{
	const NameEntry *entry = name_of(fcinfo);

	PG_RETURN_TEXT_P(cstring_to_text(psprintf(entry->is_production ? "https://accounts.%s" : "https://%s." IENV_DEVELOPMENT_DOMAIN,
											  entry->name)));
}

/*
 * frontend_api_host(instance uuid) RETURNS text
 */
Datum
instance_env_frontend_api_host(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(frontend_api_host(name_of(fcinfo))));
}

/*
 * oauth_consent_domain(instance uuid) RETURNS text
 */
Datum
instance_env_oauth_consent_domain(PG_FUNCTION_ARGS)
{
	const NameEntry *entry = name_of(fcinfo);

	PG_RETURN_TEXT_P(cstring_to_text(entry->is_production ? entry->name :
									 psprintf("%s." IENV_DEVELOPMENT_DOMAIN, entry->name)));
}

/*
 * oauth_callback_url(instance uuid) RETURNS text
 */
Datum
instance_env_oauth_callback_url(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("https://%s/v1/oauth_callback",
											  frontend_api_host(name_of(fcinfo)))));
}

/*
 * publishable_key(instance uuid) RETURNS text
 *
 * What api_key.c takes apart.
 */
Datum
instance_env_publishable_key(PG_FUNCTION_ARGS)
{
	const NameEntry *entry = name_of(fcinfo);
	char	   *host = psprintf("%s$", frontend_api_host(entry));
	int			size = pg_b64_enc_len(strlen(host));
	char	   *key = palloc(IENV_KEY_PREFIX + size + 1);
	int			length;

	/* a void pointer, since versions of PostgreSQL differ in whether bytes are signed */
	memcpy(key, entry->is_production ? IENV_PK_LIVE : IENV_PK_TEST, IENV_KEY_PREFIX);
	length = pg_b64_encode((void *) host, strlen(host), key + IENV_KEY_PREFIX, size);
	if (length < 0)
		elog(ERROR, "could not encode a key");
	while (key[IENV_KEY_PREFIX + length - 1] == '=')
		length--;
	PG_RETURN_TEXT_P(cstring_to_text_with_len(key, IENV_KEY_PREFIX + length));
}

static const char *
frontend_api_host(const NameEntry *entry)
{
	return psprintf(entry->is_production ? "clerk.%s" : "%s.clerk." IENV_DEVELOPMENT_DOMAIN, entry->name);
}

/*
 * What is known of the first argument, an instance; production must have a domain.
 */
static const NameEntry *
name_of(FunctionCallInfo fcinfo)
{
	Oid			type = UUIDOID;
	Datum		instance;
	NameEntry  *entry;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	entry = ienv_cache_find(&cache, DatumGetUUIDP(instance));
	if (entry == NULL)
	{
		IenvOwner	saved;
		uint64		since;
		bool		is_production;
		bool		isnull;
		char	   *name;

		SPI_connect();
		ienv_become_owner(&saved);
		do
		{
			since = ienv_cache_time(&cache);
			while (ienv_query_latest("SELECT i.type OPERATOR(pg_catalog.=) 'production', COALESCE(i.slug, d.name)"
									 " FROM instance_env.instance i LEFT JOIN instance_env.domain d"
									 "  ON d.instance OPERATOR(pg_catalog.=) i.id AND d.is_primary"
									 " WHERE i.id OPERATOR(pg_catalog.=) $1", 1, &type, &instance, NULL) == 0)
				(void) ienv_require_instance(instance);
			is_production = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
			name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
			entry = ienv_cache_enter(&cache, DatumGetUUIDP(instance), since);
		} while (entry == NULL);
		entry->is_production = is_production;
		strlcpy(entry->name, name == NULL ? "" : name, sizeof(entry->name));
		ienv_leave_owner(&saved);
		SPI_finish();
	}
	if (entry->name[0] == '\0')
		ienv_refuse_no_domain(instance);
	return entry;
}
