/*-------------------------------------------------------------------------
 *
 * secret_key.c
 *	  Secret keys: creating, verifying and revoking them.
 *
 * Only the SHA-256 hash of a secret key is stored.  The key is 256 random
 * bits, so the hash needs no salt, and looking a key up by its hash does not
 * reveal how close a guess came.  No message contains a key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

/* 62 ^ 43 > 2 ^ 256 */
#define SECRET_LENGTH	43
#define HINT_LENGTH		4

/* 80 bytes per entry, dynahash's own included: 1.3 MB at most. */
#define CACHE_ENTRIES	16384

typedef struct KeyEntry
{
	uint8		hash[PG_SHA256_DIGEST_LENGTH];	/* hash key, must be first */
	pg_uuid_t	instance;
} KeyEntry;

/* valid keys only; any other text is looked up each time */
static IenvCache cache = {
	.name = "instance_env keys",
	.keysize = PG_SHA256_DIGEST_LENGTH,
	.entrysize = sizeof(KeyEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"api_key", "instance"}
};

static void hash_key(const text *key, uint8 *hash);
static void revoke_key(Datum instance, Datum hash);
static Datum hash_datum(const uint8 *hash);

PG_FUNCTION_INFO_V1(instance_env_create_secret_key);
PG_FUNCTION_INFO_V1(instance_env_verify_secret_key);
PG_FUNCTION_INFO_V1(instance_env_revoke_secret_key);
PG_FUNCTION_INFO_V1(instance_env_revoke_secret_key_by_hint);

/*
 * create_secret_key(instance uuid) RETURNS text
 */
Datum
instance_env_create_secret_key(PG_FUNCTION_ARGS)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	Oid			types[3] = {BYTEAOID, UUIDOID, TEXTOID};
	Datum		values[3];
	const char *prefix;
	char	   *key;
	char	   *hint;
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
	char	   *status;
	bool		isnull;
	text	   *result;

	ienv_require_argument(fcinfo, 0, "instance");
	values[1] = PG_GETARG_DATUM(0);

	SPI_connect();
	prefix =
		ienv_service()->secret[ienv_lock_instance(values[1], &status).type];
	key = psprintf("%s%0*d", prefix, SECRET_LENGTH, 0);
	hint = key + strlen(key) - HINT_LENGTH;
	for (char *digit = key + strlen(prefix); *digit != '\0';)
	{
		uint8		byte;

		if (!pg_strong_random(&byte, 1))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		if (byte < 4 * 62)		/* makes all digits equally likely */
			*digit++ = digits[byte % 62];
	}
	result = SPI_palloc(VARHDRSZ + strlen(key));
	SET_VARSIZE(result, VARHDRSZ + strlen(key));
	memcpy(VARDATA(result), key, strlen(key));

	hash_key(result, hash);
	values[0] = hash_datum(hash);
	values[2] = CStringGetTextDatum(hint);
	(void) ienv_query("INSERT INTO instance_env.api_key AS k (hash, instance,"
					  " hint) VALUES ($1, $2, $3)"
					  " RETURNING pg_catalog.to_jsonb(k)"
					  " OPERATOR(pg_catalog.-) 'hash'", 3, types, values,
					  NULL);
	ienv_record_event("create_secret_key", NULL, DatumGetUUIDP(values[1]),
					  hint, 0,
					  ienv_result_datum(0, 1, &isnull));
	ienv_config_changed(values[1]);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}

/*
 * verify_secret_key(key text) RETURNS uuid
 *
 * Returns null for any text that is not a valid key, no matter why.
 */
Datum
instance_env_verify_secret_key(PG_FUNCTION_ARGS)
{
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));
	KeyEntry   *entry;

	ienv_require_argument(fcinfo, 0, "key");
	hash_key(PG_GETARG_TEXT_PP(0), hash);
	entry = ienv_cache_find(&cache, hash);
	if (entry == NULL)
	{
		Oid			type = BYTEAOID;
		Datum		value = hash_datum(hash);
		IenvOwner	saved;
		uint64		since;
		bool		isnull;

		SPI_connect();
		ienv_become_owner(&saved);
		do
		{
			since = ienv_cache_time(&cache);
			if (ienv_query_latest("SELECT i.id FROM instance_env.api_key k"
								  " JOIN instance_env.instance i"
								  " ON i.id OPERATOR(pg_catalog.=) k.instance"
								  " WHERE k.hash OPERATOR(pg_catalog.=) $1"
								  " AND k.revoked_at IS NULL",
								  1, &type, &value, NULL) == 0)
			{
				ienv_leave_owner(&saved);
				SPI_finish();
				PG_RETURN_NULL();
			}
			*result = *DatumGetUUIDP(ienv_result_datum(0, 1, &isnull));
			entry = ienv_cache_enter(&cache, hash, since);
		} while (entry == NULL);
		entry->instance = *result;
		ienv_leave_owner(&saved);
		SPI_finish();
	}
	*result = entry->instance;
	PG_RETURN_UUID_P(result);
}

/*
 * revoke_secret_key(key text) RETURNS void
 */
Datum
instance_env_revoke_secret_key(PG_FUNCTION_ARGS)
{
	Oid			type = BYTEAOID;
	Datum		value;
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "key");
	hash_key(PG_GETARG_TEXT_PP(0), hash);
	value = hash_datum(hash);

	SPI_connect();
	if (ienv_query("SELECT instance FROM instance_env.api_key"
				   " WHERE hash OPERATOR(pg_catalog.=) $1",
				   1, &type, &value, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no such secret key"),
				 errhint("View instance_env.secret_keys lists the keys of all instances by their last characters.")));
	revoke_key(ienv_result_datum(0, 1, &isnull), value);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * revoke_secret_key(instance uuid, hint text) RETURNS void
 *
 * For those who no longer have the key.  A revoked key is considered only if
 * no valid key has the same hint.
 */
Datum
instance_env_revoke_secret_key_by_hint(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	char	   *hint;
	char	   *status;
	uint64		n;
	bool		isnull;
	bool		second_revoked = true;

	ienv_require_argument(fcinfo, 0, "instance");
	hint = ienv_require_text(fcinfo, 1, "hint", 64);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	(void) ienv_lock_instance(values[0], &status);
	n = ienv_query("SELECT hash, revoked_at IS NOT NULL"
				   " FROM instance_env.api_key"
				   " WHERE instance OPERATOR(pg_catalog.=) $1"
				   " AND hint OPERATOR(pg_catalog.=) $2"
				   " ORDER BY revoked_at NULLS FIRST", 2, types, values, NULL);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("instance %s has no secret key that ends in \"%s\"",
						ienv_instance_text(values[0], true), hint),
				 errhint("Its keys are in view instance_env.secret_keys.")));
	if (n > 1)
		second_revoked = DatumGetBool(ienv_result_datum(1, 2, &isnull));
	if (!second_revoked)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("instance %s has several secret keys that end in \"%s\"",
						ienv_instance_text(values[0], true), hint),
				 errhint("Give the key itself.")));
	revoke_key(values[0], ienv_result_datum(0, 1, &isnull));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Revoke the key with this hash, unless that has been done; an instance's last
 * valid key cannot be revoked.  SPI is connected.
 */
static void
revoke_key(Datum instance, Datum hash)
{
	Oid			types[2] = {UUIDOID, BYTEAOID};
	Datum		values[2];
	char	   *status;
	bool		isnull;

	values[0] = instance;
	values[1] = hash;

	/* other sessions that revoke a key of the instance wait here */
	(void) ienv_lock_instance(instance, &status);
	if (ienv_query("SELECT FROM instance_env.api_key"
				   " WHERE hash OPERATOR(pg_catalog.=) $2"
				   " AND revoked_at IS NULL",
				   2, types, values, NULL) == 0)
		return;
	if (ienv_query("SELECT FROM instance_env.api_key"
				   " WHERE instance OPERATOR(pg_catalog.=) $1"
				   " AND hash OPERATOR(pg_catalog.<>) $2"
				   " AND revoked_at IS NULL LIMIT 1",
				   2, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot revoke the last secret key of instance %s",
						ienv_instance_text(instance, true)),
				 errhint("Create another one with instance_env.create_secret_key() first.")));
	(void) ienv_query("UPDATE instance_env.api_key k"
					  " SET revoked_at = pg_catalog.now()"
					  " WHERE k.hash OPERATOR(pg_catalog.=) $2"
					  " AND k.instance OPERATOR(pg_catalog.=) $1"
					  " RETURNING pg_catalog.jsonb_build_object('instance',"
					  " k.instance, 'hint', k.hint,"
					  "  'created_at', k.created_at, 'revoked_at', NULL),"
					  " pg_catalog.to_jsonb(k) OPERATOR(pg_catalog.-) 'hash',"
					  " k.hint", 2, types, values, NULL);
	ienv_record_event("revoke_secret_key", NULL, DatumGetUUIDP(instance),
					  ienv_result_text(0, 3),
					  ienv_result_datum(0, 1, &isnull),
					  ienv_result_datum(0, 2, &isnull));
	ienv_config_changed(instance);
}

static void
hash_key(const text *key, uint8 *hash)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) VARDATA_ANY(key),
							 VARSIZE_ANY_EXHDR(key)) < 0 ||
		pg_cryptohash_final(context, hash, PG_SHA256_DIGEST_LENGTH) < 0)
	{
		const char *why = pg_cryptohash_error(context);

		pg_cryptohash_free(context);
		elog(ERROR, "could not compute a SHA-256 hash: %s", why);
	}
	pg_cryptohash_free(context);
}

static Datum
hash_datum(const uint8 *hash)
{
	bytea	   *value = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);

	SET_VARSIZE(value, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	memcpy(VARDATA(value), hash, PG_SHA256_DIGEST_LENGTH);
	return PointerGetDatum(value);
}
