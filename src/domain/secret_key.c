/*-------------------------------------------------------------------------
 *
 * secret_key.c
 *	  Verifying secret keys.
 *
 * An application verifies a key on every request, so keys are cached.  Whether
 * a key has expired is not: that is a matter of the clock, whatever snapshot
 * the transaction has.
 *
 * Who sends nonsense is to cost no more than who sends a key.  What does not
 * look like a key is refused at once; the rest is looked up, and that there is
 * no such key is cached as well, until table api_key changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/key.h"

/* 100 bytes per entry, dynahash's own included: 1.6 MB at most. */
#define CACHE_ENTRIES	16384

/* 60 bytes each */
#define ABSENT_ENTRIES	4096

typedef struct KeyEntry
{
	uint8		hash[PG_SHA256_DIGEST_LENGTH];	/* hash key, must be first */
	pg_uuid_t	instance;
	TimestampTz expires_at;		/* DT_NOEND: never */
	TimestampTz noted;			/* when this backend last saw to its use being
								 * recorded */
} KeyEntry;

/* keys that exist and are not revoked */
static IenvCache cache = {
	.name = "instance_env keys",
	.keysize = PG_SHA256_DIGEST_LENGTH,
	.entrysize = sizeof(KeyEntry),
	.max_entries = CACHE_ENTRIES,
	.tables = {"api_key", "instance"}
};

/*
 * Keys that do not exist, or are revoked.  A cache of their own: however many
 * somebody makes up, keys that exist are not forgotten for them.
 */
static IenvCache absent = {
	.name = "instance_env absent keys",
	.keysize = PG_SHA256_DIGEST_LENGTH,
	.entrysize = PG_SHA256_DIGEST_LENGTH,
	.max_entries = ABSENT_ENTRIES,
	.tables = {"api_key", "instance"}
};

static bool verify(const text *key, pg_uuid_t *instance);
static KeyEntry *read_key(const uint8 *hash);

PG_FUNCTION_INFO_V1(instance_env_verify_secret_key);
PG_FUNCTION_INFO_V1(instance_env_keys_match);

/*
 * verify_secret_key(key text) RETURNS uuid
 *
 * Returns null for any text that is not a valid key, no matter why.
 *
 * The function is STABLE although it records the use of the key.  A VOLATILE
 * one would be called for each row of a table whose rows are compared with its
 * result, instead of once for an index scan, and what it records is like a
 * statistic: neither a call that is left out nor a second one is missed.
 */
Datum
instance_env_verify_secret_key(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	ienv_require_argument(fcinfo, 0, "key");
	if (!verify(PG_GETARG_TEXT_PP(0), result))
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(result);
}

/*
 * keys_match(publishable text, secret text) RETURNS boolean
 *
 * Are both keys valid, and of the same instance?  Both are looked up in any
 * case, so that neither the answer nor the time it takes tells which of them
 * is not; but for one that does not look like a key, which anybody sees.
 */
Datum
instance_env_keys_match(PG_FUNCTION_ARGS)
{
	pg_uuid_t	ids[2];
	bool		known;

	ienv_require_argument(fcinfo, 0, "publishable");
	ienv_require_argument(fcinfo, 1, "secret");
	known = ienv_publishable_instance(PG_GETARG_TEXT_PP(0), &ids[0]);
	known = verify(PG_GETARG_TEXT_PP(1), &ids[1]) && known;
	PG_RETURN_BOOL(known && memcmp(&ids[0], &ids[1], UUID_LEN) == 0);
}

/*
 * Is this a valid secret key?  If so, *instance is set, and the use recorded.
 */
static bool
verify(const text *key, pg_uuid_t *instance)
{
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
	KeyEntry   *entry;
	TimestampTz now;

	if (!ienv_looks_like_secret_key(key))
		return false;
	ienv_hash_key(key, hash);
	entry = ienv_cache_find(&cache, hash);
	if (entry == NULL && ienv_cache_find(&absent, hash) == NULL)
		entry = read_key(hash);
	if (entry == NULL)
		return false;

	now = GetCurrentTimestamp();
	if (entry->expires_at <= now)
		return false;
	*instance = entry->instance;

	if (ienv_use_is_due(entry->noted, now) && ienv_note_key_use(hash, now))
		entry->noted = now;
	return true;
}

/*
 * Read a key into the cache; NULL if there is none with this hash, or it is
 * revoked, which is cached, too.
 */
static KeyEntry *
read_key(const uint8 *hash)
{
	Oid			type = BYTEAOID;
	Datum		value = ienv_hash_datum(hash);
	IenvOwner	saved;
	uint64		since;
	KeyEntry   *entry = NULL;
	bool		exists;
	void	   *entered;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);
		(void) ienv_cache_time(&absent);
		exists = ienv_query_latest("SELECT i.id, k.expires_at"
								   " FROM instance_env.api_key k"
								   " JOIN instance_env.instance i"
								   " ON i.id OPERATOR(pg_catalog.=) k.instance"
								   " WHERE k.hash OPERATOR(pg_catalog.=) $1"
								   " AND k.revoked_at IS NULL",
								   1, &type, &value, NULL) > 0;
		entered = ienv_cache_enter(exists ? &cache : &absent, hash, since);
	} while (entered == NULL);
	if (exists)
	{
		Datum		expires_at;
		bool		isnull;

		entry = entered;
		entry->instance =
			*DatumGetUUIDP(ienv_result_datum(0, 1, &isnull));
		expires_at = ienv_result_datum(0, 2, &isnull);
		entry->expires_at = isnull ? DT_NOEND :
			DatumGetTimestampTz(expires_at);
		entry->noted = IENV_NOT_USED;
	}
	ienv_leave_owner(&saved);
	SPI_finish();
	return entry;
}
