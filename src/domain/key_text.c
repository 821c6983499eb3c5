/*-------------------------------------------------------------------------
 *
 * key_text.c
 *	  What a key reveals by itself: the type of its instance, and its host.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/base64.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"

/* A key's prefix tells the type of its instance. */
static const struct
{
	const char *prefix;
	IenvType	type;
}			prefixes[] = {
	{IENV_PK_TEST, IENV_DEVELOPMENT}, {IENV_SK_TEST, IENV_DEVELOPMENT},
	{"test_", IENV_DEVELOPMENT},
	{IENV_PK_LIVE, IENV_PRODUCTION}, {IENV_SK_LIVE, IENV_PRODUCTION},
	{"live_", IENV_PRODUCTION}
};

static char *decode_host(const char *key, const char **problem);

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

	for (int i = 0; i < lengthof(prefixes); i++)
		if (strncmp(key, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
			PG_RETURN_OID(ienv_oids()->types[prefixes[i].type]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid key"),
			 errdetail("Its prefix does not identify a type of instance."),
			 errhint("A key begins with %s, %s, %s or %s.", IENV_PK_TEST,
					 IENV_PK_LIVE, IENV_SK_TEST, IENV_SK_LIVE)));
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
	char	   *host = decode_host(text_to_cstring(PG_GETARG_TEXT_PP(0)),
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
 * A key has three parts separated by underscores.  The last one is the base64
 * encoding, with or without padding, of a host and a final "$".  The host is
 * returned in lower case.
 */
static char *
decode_host(const char *key, const char **problem)
{
	int			length;
	int			size;
	char	   *padded;
	char	   *host;
	char		name[IENV_MAX_DOMAIN + 1];

	if (strncmp(key, IENV_PK_TEST, IENV_KEY_PREFIX) != 0 &&
		strncmp(key, IENV_PK_LIVE, IENV_KEY_PREFIX) != 0)
	{
		*problem =
			"It does not begin with " IENV_PK_TEST " or " IENV_PK_LIVE ".";
		return NULL;
	}
	key += IENV_KEY_PREFIX;
	length = strlen(key);
	if (strchr(key, '_') != NULL || length == 0)
	{
		*problem = "It does not have three parts between underscores.";
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
