/*-------------------------------------------------------------------------
 *
 * key.h
 *	  Keys, for those files of this room that make and check them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_KEY_H
#define IENV_KEY_H

#include "common/sha2.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/base.h"
#include "domain/domain.h"

/* The characters of a secret key after its prefix: 62 ^ 43 > 2 ^ 256 */
#define IENV_SECRET_LENGTH	43

/*
 * key_text.c: what a key reveals by itself
 */
extern char *ienv_publishable_host(const char *key, const char **problem);
extern bool ienv_looks_like_secret_key(const text *key);

/*
 * publishable_key.c: publishable keys
 */
extern bool ienv_publishable_instance(const text *key, pg_uuid_t *instance);

/*
 * key_hash.c: the hash by which a secret key is known
 */
extern void ienv_hash_key(const text *key, uint8 *hash);
extern Datum ienv_hash_datum(const uint8 *hash);

/*
 * secret_key_revoke.c: finding keys that are to change
 */
extern Datum ienv_key_argument(FunctionCallInfo fcinfo, Datum *instance);
extern Datum ienv_key_by_hint(FunctionCallInfo fcinfo, Datum *instance);

/*
 * key_use.c: when secret keys were last used
 */
extern bool ienv_note_key_use(const uint8 *hash, TimestampTz now);

/* before any use */
#define IENV_NOT_USED	((TimestampTz) 0)

/*
 * Is it time to record a use again, a minute after the last one?  Also if the
 * clock has been set back since.
 */
static inline bool
ienv_use_is_due(TimestampTz last, TimestampTz now)
{
	return now - last >= USECS_PER_MINUTE || last - now >= USECS_PER_MINUTE;
}

#endif							/* IENV_KEY_H */
