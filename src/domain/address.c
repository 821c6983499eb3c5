/*-------------------------------------------------------------------------
 *
 * address.c
 *	  The names by which an instance is reached.
 *
 * A development instance lives on the service's own domain, under its slug; a
 * production instance lives on its primary domain, whether that is verified or
 * not.  Applications may ask on every request, so what the names are made of
 * is cached.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

/* About 300 bytes per entry: 1.2 MB at most. */
#define CACHE_ENTRIES	4096

static IenvCache cache = {
	.name = "instance_env names",
	.keysize = sizeof(pg_uuid_t),
	.entrysize = sizeof(IenvAddress),
	.max_entries = CACHE_ENTRIES,
	.tables = {"domain", "instance"}
};

/* 80 bytes per entry */
typedef struct SlugEntry
{
	char		slug[IENV_MAX_LABEL + 1];	/* hash key, must be first */
	bool		exists;
} SlugEntry;

static IenvCache slugs = {
	.name = "instance_env slugs",
	.keysize = IENV_MAX_LABEL + 1,
	.entrysize = sizeof(SlugEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"instance"}
};

PG_FUNCTION_INFO_V1(instance_env_account_portal_url);
PG_FUNCTION_INFO_V1(instance_env_frontend_api_host);
PG_FUNCTION_INFO_V1(instance_env_oauth_consent_domain);
PG_FUNCTION_INFO_V1(instance_env_oauth_callback_url);

/*
 * account_portal_url(instance uuid) RETURNS text
 */
Datum
instance_env_account_portal_url(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("https://%s",
											  ienv_portal_host(ienv_address_of(fcinfo)))));
}

/*
 * frontend_api_host(instance uuid) RETURNS text
 */
Datum
instance_env_frontend_api_host(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ienv_frontend_api_host(ienv_address_of(fcinfo))));
}

/*
 * oauth_consent_domain(instance uuid) RETURNS text
 */
Datum
instance_env_oauth_consent_domain(PG_FUNCTION_ARGS)
{
	const IenvAddress *entry = ienv_address_of(fcinfo);

	PG_RETURN_TEXT_P(cstring_to_text(entry->is_production ? entry->name :
									 psprintf("%s.%s", entry->name,
											  ienv_service()->development_domain)));
}

/*
 * oauth_callback_url(instance uuid) RETURNS text
 */
Datum
instance_env_oauth_callback_url(PG_FUNCTION_ARGS)
{
	const char *host = ienv_frontend_api_host(ienv_address_of(fcinfo));

	PG_RETURN_TEXT_P(cstring_to_text(psprintf("https://%s%s", host,
											  ienv_service()->oauth_callback_path)));
}

const char *
ienv_frontend_api_host(const IenvAddress *entry)
{
	const IenvService *service = ienv_service();

	if (entry->is_production)
		return psprintf("%s.%s", service->frontend_api_label, entry->name);
	return psprintf("%s.%s.%s", entry->name, service->frontend_api_label,
					service->development_domain);
}

const char *
ienv_portal_host(const IenvAddress *entry)
{
	const IenvService *service = ienv_service();

	if (entry->is_production)
		return psprintf("%s.%s", service->portal_label, entry->name);
	return psprintf("%s.%s", entry->name, service->development_domain);
}

/*
 * The address of the instance that is the first argument; a production
 * instance must have a domain.
 */
const IenvAddress *
ienv_address_of(FunctionCallInfo fcinfo)
{
	Oid			type = UUIDOID;
	Datum		instance;
	IenvAddress *entry;

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
			while (ienv_query_latest("SELECT i.type OPERATOR(pg_catalog.=)"
									 " 'production', COALESCE(i.slug, d.name)"
									 " FROM instance_env.instance i"
									 " LEFT JOIN instance_env.domain d"
									 "  ON d.instance OPERATOR(pg_catalog.=)"
									 " i.id AND d.is_primary"
									 " WHERE i.id OPERATOR(pg_catalog.=) $1",
									 1, &type, &instance, NULL) == 0)
				(void) ienv_require_instance(instance);
			is_production = DatumGetBool(ienv_result_datum(0, 1, &isnull));
			name = ienv_result_text(0, 2);
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

/*
 * The slug in a host of the kind that development instances have, put into a
 * buffer of IENV_MAX_LABEL + 1 bytes that is filled with zeros; false for any
 * other host.
 */
bool
ienv_host_slug(const char *host, char *slug)
{
	const IenvService *service = ienv_service();
	const char *dot = strchr(host, '.');
	const char *rest;
	Size		label = strlen(service->frontend_api_label);

	memset(slug, 0, IENV_MAX_LABEL + 1);
	if (dot == NULL || dot - host > IENV_MAX_LABEL)
		return false;
	rest = dot + 1;
	if (strncmp(rest, service->frontend_api_label, label) == 0 &&
		rest[label] == '.')
		rest += label + 1;
	if (strcmp(rest, service->development_domain) != 0 &&
		strcmp(dot + 1, service->development_domain) != 0)
		return false;
	memcpy(slug, host, dot - host);
	return true;
}

/*
 * Does a development instance have this slug?  It is in a buffer as above.
 */
bool
ienv_is_slug(const char *slug)
{
	SlugEntry  *entry = ienv_cache_find(&slugs, slug);

	if (entry == NULL)
	{
		Oid			type = TEXTOID;
		Datum		value = CStringGetTextDatum(slug);
		IenvOwner	saved;
		uint64		since;
		bool		exists;

		SPI_connect();
		ienv_become_owner(&saved);
		do
		{
			since = ienv_cache_time(&slugs);
			exists = ienv_query_latest("SELECT FROM instance_env.instance"
									   " WHERE slug OPERATOR(pg_catalog.=) $1",
									   1, &type, &value, NULL) > 0;
			entry = ienv_cache_enter(&slugs, slug, since);
		} while (entry == NULL);
		entry->exists = exists;
		ienv_leave_owner(&saved);
		SPI_finish();
	}
	return entry->exists;
}
