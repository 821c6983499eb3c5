/*-------------------------------------------------------------------------
 *
 * publishable_key.c
 *	  An instance's publishable key, and the instance of such a key.
 *
 * A key names the frontend API host of its instance and nothing else.  So it
 * is never stored: with another primary domain an instance has another key,
 * and the former one is nobody's, or whoever's that domain is next.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/key.h"
#include "registry/registry.h"

/* About 430 bytes per entry: 1.8 MB at most. */
#define CACHE_ENTRIES	4096
#define ABSENT_ENTRIES	1024

/* Of a domain or slug with some labels before or after it */
#define MAX_HOST		(IENV_MAX_DOMAIN + 2 * (IENV_MAX_LABEL + 1))

/* A key, in a form in which equal keys have equal bytes */
typedef struct FrontendKey
{
	char		is_production;
	char		host[MAX_HOST + 1]; /* filled up with zeros */
} FrontendKey;

typedef struct FrontendEntry
{
	FrontendKey key;			/* hash key, must be first */
	pg_uuid_t	instance;
} FrontendEntry;

/* hosts of instances */
static IenvCache cache = {
	.name = "instance_env publishable keys",
	.keysize = sizeof(FrontendKey),
	.entrysize = sizeof(FrontendEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"domain", "instance", "service"}
};

/* other hosts: a cache of their own, so that they displace no instance's */
static IenvCache absent = {
	.name = "instance_env absent publishable keys",
	.keysize = sizeof(FrontendKey),
	.entrysize = sizeof(FrontendKey),
	.max_entries = ABSENT_ENTRIES,
	.tables = {"domain", "instance", "service"}
};

static char *make_key(bool is_production, const char *host);
static bool parse_key(const text *value, FrontendKey *key);
static bool find_instance(const FrontendKey *key, pg_uuid_t *instance);
static Datum name_parts(const char *host);

PG_FUNCTION_INFO_V1(instance_env_publishable_key);
PG_FUNCTION_INFO_V1(instance_env_instance_by_publishable_key);

/*
 * publishable_key(instance uuid) RETURNS text
 *
 * key_text.c decodes it.
 */
Datum
instance_env_publishable_key(PG_FUNCTION_ARGS)
{
	const IenvAddress *entry = ienv_address_of(fcinfo);

	PG_RETURN_TEXT_P(cstring_to_text(make_key(entry->is_production,
											  ienv_frontend_api_host(entry))));
}

/*
 * instance_by_publishable_key(key text) RETURNS uuid
 *
 * Returns null for any text that is not the publishable key of an instance, no
 * matter why.
 */
Datum
instance_env_instance_by_publishable_key(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	ienv_require_argument(fcinfo, 0, "key");
	if (!ienv_publishable_instance(PG_GETARG_TEXT_PP(0), result))
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(result);
}

/*
 * Is this the publishable key of an instance, whatever its status?  If so,
 * *instance is set.
 */
bool
ienv_publishable_instance(const text *value, pg_uuid_t *instance)
{
	FrontendKey key;
	FrontendEntry *entry;

	if (!parse_key(value, &key))
		return false;
	entry = ienv_cache_find(&cache, &key);
	if (entry == NULL && ienv_cache_find(&absent, &key) == NULL)
	{
		IenvOwner	saved;
		uint64		since;
		bool		exists;
		void	   *entered;

		SPI_connect();
		ienv_become_owner(&saved);
		do
		{
			since = ienv_cache_time(&cache);
			(void) ienv_cache_time(&absent);
			exists = find_instance(&key, instance);
			entered = ienv_cache_enter(exists ? &cache : &absent, &key,
									   since);
		} while (entered == NULL);
		if (exists)
		{
			entry = entered;
			entry->instance = *instance;
		}
		ienv_leave_owner(&saved);
		SPI_finish();
	}
	if (entry == NULL)
		return false;
	*instance = entry->instance;
	return true;
}

/*
 * The publishable key of an instance with this frontend API host.
 */
static char *
make_key(bool is_production, const char *host)
{
	char	   *content = psprintf("%s$", host);
	int			size = pg_b64_enc_len(strlen(content));
	const char *prefix = ienv_service()->publishable[is_production ?
													 IENV_PRODUCTION :
													 IENV_DEVELOPMENT];
	int			skip = strlen(prefix);
	char	   *key = palloc(skip + size + 1);
	int			length;

	/*
	 * Cast to void *, since versions of PostgreSQL differ in whether bytes
	 * are signed.
	 */
	memcpy(key, prefix, skip);
	length = pg_b64_encode((void *) content, strlen(content), key + skip,
						   size);
	if (length < 0)
		elog(ERROR, "could not encode a key");
	length += skip;
	while (key[length - 1] == '=')
		length--;
	key[length] = '\0';
	return key;
}

/*
 * What a publishable key contains; false if the text is none.
 *
 * Base64 leaves it open what the unused bits of the last character are, and a
 * host in upper case is the same host.  But the key is what make_key() makes
 * of it, but for the padding.
 */
static bool
parse_key(const text *value, FrontendKey *key)
{
	const char *problem = NULL;
	const char *text_value;
	const char *host;
	const char *canonical;
	const char *live;

	/* longer than any key, and not worth a copy */
	if (VARSIZE_ANY_EXHDR(value) > 8 * IENV_MAX_DOMAIN)
		return false;
	text_value = text_to_cstring(value);
	host = ienv_publishable_host(text_value, &problem);
	if (problem != NULL || strlen(host) > MAX_HOST)
		return false;
	memset(key, 0, sizeof(*key));
	live = ienv_service()->publishable[IENV_PRODUCTION];
	key->is_production = strncmp(text_value, live, strlen(live)) == 0;
	strcpy(key->host, host);
	canonical = make_key(key->is_production, host);
	return strncmp(text_value, canonical, strlen(canonical)) == 0;
}

/*
 * Find the instance of a type with a frontend API host.  SPI is connected.
 *
 * How a host is made of a slug or domain is known to address.c only: so each
 * part of the host is looked up that could be either, and of the few names
 * that are found, the one is taken that makes this host.
 */
static bool
find_instance(const FrontendKey *key, pg_uuid_t *instance)
{
	Oid			types[2] = {BOOLOID, TEXTARRAYOID};
	Datum		values[2];
	uint64		n;

	values[0] = BoolGetDatum(key->is_production);
	values[1] = name_parts(key->host);
	n = ienv_query_latest("SELECT i.id, COALESCE(i.slug, d.name)"
						  " FROM instance_env.instance i"
						  " JOIN instance_env.domain d"
						  " ON d.instance OPERATOR(pg_catalog.=) i.id"
						  " AND d.is_primary"
						  " WHERE $1 AND i.type OPERATOR(pg_catalog.=)"
						  " 'production'"
						  " AND d.name OPERATOR(pg_catalog.=) ANY ($2)"
						  " UNION ALL SELECT i.id, i.slug"
						  " FROM instance_env.instance i"
						  " WHERE NOT $1 AND i.type OPERATOR(pg_catalog.=)"
						  " 'development'"
						  " AND i.slug OPERATOR(pg_catalog.=) ANY ($2)",
						  2, types, values, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		IenvAddress address;
		bool		isnull;

		address.is_production = key->is_production;
		strlcpy(address.name, ienv_result_text(i, 2), sizeof(address.name));
		if (strcmp(ienv_frontend_api_host(&address), key->host) == 0)
		{
			*instance = *DatumGetUUIDP(ienv_result_datum(i, 1, &isnull));
			return true;
		}
	}
	return false;
}

/*
 * The labels of a host and the names that it is below of, as text[].
 */
static Datum
name_parts(const char *host)
{
	Datum		parts[MAX_HOST + 1];
	int			n = 0;

	for (const char *part = host; part != NULL;)
	{
		const char *dot = strchr(part, '.');

		parts[n++] = PointerGetDatum(cstring_to_text_with_len(part,
															  dot == NULL ? strlen(part) : dot - part));
		if (dot != NULL)
			parts[n++] = CStringGetTextDatum(dot + 1);
		part = dot == NULL ? NULL : dot + 1;
	}
	return PointerGetDatum(construct_array(parts, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}
