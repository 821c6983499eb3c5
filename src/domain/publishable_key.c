/*-------------------------------------------------------------------------
 *
 * publishable_key.c
 *	  An instance's publishable key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/base64.h"
#include "utils/builtins.h"

#include "domain/domain.h"
#include "registry/registry.h"

PG_FUNCTION_INFO_V1(instance_env_publishable_key);

/*
 * publishable_key(instance uuid) RETURNS text
 *
 * key_text.c decodes it.
 */
Datum
instance_env_publishable_key(PG_FUNCTION_ARGS)
{
	const		IenvAddress *entry = ienv_address_of(fcinfo);
	char	   *host = psprintf("%s$", ienv_frontend_api_host(entry));
	const char *prefix = ienv_service()->publishable[entry->is_production ?
													 IENV_PRODUCTION :
													 IENV_DEVELOPMENT];
	int			skip = strlen(prefix);
	int			size = pg_b64_enc_len(strlen(host));
	char	   *key = palloc(skip + size + 1);
	int			length;

	/*
	 * Cast to void *, since versions of PostgreSQL differ in whether bytes
	 * are signed.
	 */
	memcpy(key, prefix, skip);
	length = pg_b64_encode((void *) host, strlen(host), key + skip, size);
	if (length < 0)
		elog(ERROR, "could not encode a key");
	while (key[skip + length - 1] == '=')
		length--;
	PG_RETURN_TEXT_P(cstring_to_text_with_len(key, skip + length));
}
