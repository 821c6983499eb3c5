/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  Which instance serves a host: previews.
 *
 * A host at or below a domain of production, or elsewhere below that domain's
 * root, shares production's data; any other gets development's, since
 * production keys do not work there.  The status of production does not
 * matter: development keys do not belong on its domain.  A name below the root
 * that is the domain of another application, a staging environment, belongs to
 * that application.  So does the host of another application's development
 * instance, which none of this one's serves.
 *
 * Applications ask on every request, so the names that matter to an
 * application are cached, sorted, and a host takes only a few binary searches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "funcapi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "domain/host_names.h"
#include "registry/registry.h"

static IenvType decide(const IenvHosts *entry, const char *host,
					   const char **reason);
static bool is_record_host(const IenvHosts *entry, const char *host,
						   const char *label);
static const char *why_development(const IenvHosts *entry, const char *host);

PG_FUNCTION_INFO_V1(instance_env_instance_for_host);
PG_FUNCTION_INFO_V1(instance_env_check_preview);

IENV_BY_NAME(instance_for_host, ienv_find_application);
IENV_BY_NAME(check_preview, ienv_find_application);

/*
 * instance_for_host(application uuid, host text) RETURNS uuid
 */
Datum
instance_env_instance_for_host(PG_FUNCTION_ARGS)
{
	char		host[IENV_MAX_DOMAIN + 1];
	const IenvHosts *entry;
	const char *reason;
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	ienv_require_argument(fcinfo, 0, "application");
	ienv_require_argument(fcinfo, 1, "host");
	ienv_parse_host(PG_GETARG_TEXT_PP(1), host);
	entry = ienv_hosts_of(PG_GETARG_DATUM(0));
	*result = entry->instances[decide(entry, host, &reason)];
	PG_RETURN_UUID_P(result);
}

/*
 * check_preview(application uuid, host text)
 * RETURNS record (instance_id, instance_type, reason)
 */
Datum
instance_env_check_preview(PG_FUNCTION_ARGS)
{
	char		host[IENV_MAX_DOMAIN + 1];
	const IenvHosts *entry;
	const char *reason;
	IenvType	type;
	TupleDesc	desc = fcinfo->flinfo->fn_extra;
	Datum		values[3];
	bool		nulls[3] = {false};

	ienv_require_argument(fcinfo, 0, "application");
	ienv_require_argument(fcinfo, 1, "host");
	if (desc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		desc = ienv_result_desc(fcinfo);
		fcinfo->flinfo->fn_extra = desc;
		MemoryContextSwitchTo(old);
	}

	ienv_parse_host(PG_GETARG_TEXT_PP(1), host);
	entry = ienv_hosts_of(PG_GETARG_DATUM(0));
	type = decide(entry, host, &reason);
	values[0] = UUIDPGetDatum(&entry->instances[type]);
	values[1] = ObjectIdGetDatum(ienv_oids()->types[type]);
	values[2] = CStringGetTextDatum(reason);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * Is a host, in lower case, one that the application's production instance
 * serves?
 *
 * Runs no SQL if the application's domains are cached.
 */
bool
ienv_is_production_host(Datum application, const char *host)
{
	const char *reason;

	return decide(ienv_hosts_of(application), host, &reason) == IENV_PRODUCTION;
}

/*
 * Which type of instance serves a host, and why.
 */
static IenvType
decide(const IenvHosts *entry, const char *host, const char **reason)
{
	const char *root;
	const IenvHostName *found;
	const IenvService *service;

	if (host[0] == '[' ||
		(isdigit((unsigned char) host[strlen(host) - 1]) &&
		 ienv_is_ip_address(host)))
	{
		*reason = "ip_address";
		return IENV_DEVELOPMENT;
	}

	/*
	 * The longest domain that the host equals or is below; failing that, the
	 * root.
	 */
	root = ienv_domain_root(host);
	for (const char *name = host;; name = strchr(name, '.') + 1)
	{
		found = ienv_find_host_name(entry->names, entry->nnames, name);
		if (found != NULL)
		{
			*reason = !found->mine ? "other_application" : name == host ?
				"production_domain" : "production_root";
			return found->mine ? IENV_PRODUCTION : IENV_DEVELOPMENT;
		}
		if (name >= root)
			break;
	}
	for (const char *name = host;; name = strchr(name, '.') + 1)
	{
		found = ienv_find_host_name(entry->roots, entry->nroots, name);
		if (found != NULL && found->mine)
		{
			*reason = "production_root";
			return IENV_PRODUCTION;
		}
		if (name >= root)
			break;
	}

	/* a domain keeps its own hosts where names below it are others' by now */
	service = ienv_service();
	if (is_record_host(entry, host, service->frontend_api_label) ||
		is_record_host(entry, host, service->portal_label))
	{
		*reason = "production_root";
		return IENV_PRODUCTION;
	}
	*reason = why_development(entry, host);
	return IENV_DEVELOPMENT;
}

/*
 * Is a host the one that has this label on a domain of the application's?
 */
static bool
is_record_host(const IenvHosts *entry, const char *host, const char *label)
{
	Size		length = strlen(label);
	const IenvHostName *found;

	if (strncmp(host, label, length) != 0 || host[length] != '.')
		return false;
	found = ienv_find_host_name(entry->names, entry->nnames,
								host + length + 1);
	return found != NULL && found->mine;
}

/*
 * What kind of name a host has that is not below a root of production.
 */
static const char *
why_development(const IenvHosts *entry, const char *host)
{
	char		slug[IENV_MAX_LABEL + 1];

	if (strchr(host, '.') == NULL || ienv_is_reserved_name(host))
		return "local";
	if (ienv_host_slug(host, slug))
	{
		if (strcmp(slug, entry->slug) == 0)
			return "development_domain";
		if (ienv_is_slug(slug))
			return "other_application";
	}
	if (ienv_is_service_name(host))
		return "service_domain";
	return ienv_is_hosting_name(host) ? "hosting_provider" : "other_root";
}
