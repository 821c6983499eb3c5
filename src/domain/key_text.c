/*-------------------------------------------------------------------------
 *
 * key_text.c
 *	  What a key reveals by itself: the type of its instance, and its host.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/base64.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/key.h"
#include "registry/registry.h"

static bool begins_with(const char *key, const char *prefix);

PG_FUNCTION_INFO_V1(instance_env_key_instance_type);
PG_FUNCTION_INFO_V1(instance_env_key_frontend_api);

/*
 * key_instance_type(key text) RETURNS instance_type
 *
 * The prefix alone decides, for publishable and secret keys as well as for
 * those of the old format.
 */
Datum
instance_env_key_instance_type(PG_FUNCTION_ARGS)
{
	char	   *key = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const IenvService *service = ienv_service();

	for (int type = 0; type < 2; type++)
		if (begins_with(key, service->publishable[type]) ||
			begins_with(key, service->secret[type]) ||
			begins_with(key, service->legacy[type]))
			PG_RETURN_OID(ienv_oids()->types[type]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid key"),
			 errdetail("Its prefix does not identify a type of instance."),
			 errhint("A key begins with %s, %s, %s or %s.",
					 service->publishable[IENV_DEVELOPMENT],
					 service->publishable[IENV_PRODUCTION],
					 service->secret[IENV_DEVELOPMENT],
					 service->secret[IENV_PRODUCTION])));
	PG_RETURN_NULL();			/* keep compiler quiet */
}

/*
 * key_frontend_api(key text) RETURNS text
 *
 * The host that a publishable key contains.
 */
Datum
instance_env_key_frontend_api(PG_FUNCTION_ARGS)
{
	const char *problem = NULL;
	char	   *host = ienv_publishable_host(text_to_cstring(PG_GETARG_TEXT_PP(0)),
											 &problem);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid publishable key"),
				 errdetail("%s", problem),
				 errhint("Copy the key as instance_env.publishable_key() returns it.")));
	PG_RETURN_TEXT_P(cstring_to_text(host));
}

/*
 * The host that a publishable key contains, or NULL with *problem set to a
 * sentence that says what is wrong with the key.
 *
 * A key is a prefix, which ends in an underscore, and the base64 encoding, with
 * or without padding, of a host and a final "$".  The host is returned in
 * lower case.
 */
char *
ienv_publishable_host(const char *key, const char **problem)
{
	const IenvService *service = ienv_service();
	int			type = 0;
	int			length;
	int			size;
	char	   *padded;
	char	   *host;
	char		name[IENV_MAX_DOMAIN + 1];

	while (type < 2 && !begins_with(key, service->publishable[type]))
		type++;
	if (type == 2)
	{
		*problem = psprintf("It does not begin with %s or %s.",
							service->publishable[IENV_DEVELOPMENT],
							service->publishable[IENV_PRODUCTION]);
		return NULL;
	}
	key += strlen(service->publishable[type]);
	length = strlen(key);
	if (strchr(key, '_') != NULL || length == 0)
	{
		*problem = "What follows its prefix is empty or contains an underscore.";
		return NULL;
	}
	if (length > 4 * IENV_MAX_DOMAIN)
	{
		*problem = "It is too long.";
		return NULL;
	}

	/* padding is complete or absent */
	padded = psprintf("%s%s", key, key[length - 1] == '=' ||
					  length % 4 == 0 ? "" : length % 4 == 2 ? "==" : "=");
	size = pg_b64_dec_len(strlen(padded));
	host = palloc(size + 1);
	length = pg_b64_decode(padded, strlen(padded), (void *) host, size);
	if (length < 0)
	{
		*problem = "Its last part is not base64.";
		return NULL;
	}
	host[length] = '\0';
	if (length == 0 || strlen(host) != length ||
		strchr(host, '$') != host + length - 1)
	{
		*problem = "Its last part does not end in exactly one \"$\".";
		return NULL;
	}
	host[length - 1] = '\0';

	/* a name of two labels or more; a port or a final dot is no part of it */
	if (ienv_host_problem(host, length - 1, name) != NULL ||
		strlen(name) != length - 1 || strchr(name, '.') == NULL ||
		ienv_is_ip_address(name))
	{
		*problem = "Its last part is not a host.";
		return NULL;
	}
	return pstrdup(name);
}

/*
 * Does this look like a secret key: a prefix, and as many letters and digits
 * as follow it?  Prefixes do not change once there is an application.
 */
bool
ienv_looks_like_secret_key(const text *key)
{
	const IenvService *service = ienv_service();
	const char *data = VARDATA_ANY(key);
	int			len = VARSIZE_ANY_EXHDR(key) - IENV_SECRET_LENGTH;
	int			type = 0;

	while (type < 2 && (len != strlen(service->secret[type]) ||
						memcmp(data, service->secret[type], len) != 0))
		type++;
	if (type == 2)
		return false;
	for (const char *p = data + len; p < data + len + IENV_SECRET_LENGTH; p++)
		if (IS_HIGHBIT_SET(*p) || !isalnum((unsigned char) *p))
			return false;
	return true;
}

/*
 * Does a key begin with a prefix, which may be NULL?
 */
static bool
begins_with(const char *key, const char *prefix)
{
	return prefix != NULL && strncmp(key, prefix, strlen(prefix)) == 0;
}
