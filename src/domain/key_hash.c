/*-------------------------------------------------------------------------
 *
 * key_hash.c
 *	  The hash by which a secret key is known.
 *
 * Only the SHA-256 hash of a secret key is stored.  The key is 256 random
 * bits, so the hash needs no salt, and looking a key up by its hash does not
 * reveal how close a guess came.  No message contains a key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"

#include "base/base.h"
#include "domain/key.h"

/*
 * Compute a key's hash, of PG_SHA256_DIGEST_LENGTH bytes.
 */
void
ienv_hash_key(const text *key, uint8 *hash)
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

/*
 * A hash as bytea.
 */
Datum
ienv_hash_datum(const uint8 *hash)
{
	bytea	   *value = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);

	SET_VARSIZE(value, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	memcpy(VARDATA(value), hash, PG_SHA256_DIGEST_LENGTH);
	return PointerGetDatum(value);
}
