/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  Who a user is, without saying who.
 *
 * A deleted user's key may be personal data, so it is not kept: instance_env.
 * departed_user holds a keyed hash of it.  The hash is SipHash-2-4 with 128 bits
 * of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF"): without
 * the key nobody can tell whose it is, and it is made for inputs as short as these,
 * one a row.
 *
 * Each label has a hash key of its own, derived from the secret, so that the same
 * user key in two tables is two identities.  What is hashed is the same on every
 * machine and after a change of type (integer to bigint, varchar to text), so that
 * a dump can be restored anywhere: the 16 bytes of a uuid, an integer as 8 bytes
 * little-endian, and of other types the text.  Where equal keys may differ in text
 * (numeric, case-insensitive collations) the type's own hash function stands for
 * the key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "guard.h"
#include "instance_env.h"

/* The state of SipHash */
typedef struct SipState
{
	uint64		v0;
	uint64		v1;
	uint64		v2;
	uint64		v3;
} SipState;

static inline uint64
rotate_left(uint64 word, int n)
{
	return (word << n) | (word >> (64 - n));
}

static inline uint64
little_endian(uint64 word)
{
#ifdef WORDS_BIGENDIAN
	return pg_bswap64(word);
#else
	return word;
#endif
}

static inline void
sip_rounds(SipState *s, int rounds)
{
	while (rounds-- > 0)
	{
		s->v0 += s->v1;
		s->v1 = rotate_left(s->v1, 13) ^ s->v0;
		s->v0 = rotate_left(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotate_left(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotate_left(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotate_left(s->v1, 17) ^ s->v2;
		s->v2 = rotate_left(s->v2, 32);
	}
}

static inline void
sip_word(SipState *s, uint64 word)
{
	s->v3 ^= word;
	sip_rounds(s, 2);
	s->v0 ^= word;
}

/*
 * SipHash-2-4-128 of len bytes under a key of two words, into 16 bytes.
 */
static void
siphash(const char *data, Size len, const uint64 *key, char *result)
{
	uint64		k0 = little_endian(key[0]);
	uint64		k1 = little_endian(key[1]);
	uint64		word = 0;
	const char *end = data + len - len % 8;
	SipState	s = {
		k0 ^ UINT64CONST(0x736f6d6570736575),
		k1 ^ UINT64CONST(0x646f72616e646f6d) ^ 0xee,
		k0 ^ UINT64CONST(0x6c7967656e657261),
		k1 ^ UINT64CONST(0x7465646279746573)
	};

	for (; data < end; data += 8)
	{
		memcpy(&word, data, 8);
		sip_word(&s, little_endian(word));
	}
	word = 0;
	memcpy(&word, data, len % 8);
	sip_word(&s, little_endian(word) | ((uint64) len << 56));

	s.v2 ^= 0xee;
	sip_rounds(&s, 4);
	word = little_endian(s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
	memcpy(result, &word, 8);
	s.v1 ^= 0xdd;
	sip_rounds(&s, 4);
	word = little_endian(s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
	memcpy(result + 8, &word, 8);
}

/*
 * Fill in how keys of guard->key_type and guard->key_collation are hashed.
 */
void
ienv_identity_prepare(IenvGuard *guard)
{
	TypeCacheEntry *type = lookup_type_cache(guard->key_type,
											 TYPECACHE_BTREE_OPFAMILY | TYPECACHE_HASH_EXTENDED_PROC);
	Oid			equalimage = InvalidOid;
	bool		isvarlena;

	getTypeOutputInfo(guard->key_type, &guard->key_output, &isvarlena);
	guard->key_hash = InvalidOid;

	/*
	 * btree support function 4 knows whether equal means the same bytes, but for
	 * blanks at the end of a char(n), which it takes to be padded
	 */
	if (OidIsValid(type->btree_opf))
		equalimage = get_opfamily_proc(type->btree_opf, type->btree_opintype, type->btree_opintype,
									   BTEQUALIMAGE_PROC);
	if (!OidIsValid(equalimage) || getBaseType(guard->key_type) == BPCHAROID ||
		!DatumGetBool(OidFunctionCall1Coll(equalimage, guard->key_collation,
										   ObjectIdGetDatum(type->btree_opintype))))
		guard->key_hash = type->hash_extended_proc;
}

/*
 * Compute the identity of the user with this key, a value of the key column's
 * type and not null.  False: nobody can have departed yet, so nothing to compute.
 */
bool
ienv_identity_of(IenvGuard *guard, Datum key, pg_uuid_t *identity)
{
	const uint64 *secret = ienv_identity_secret();
	char	   *result = (char *) identity->data;
	uint64		word;
	char	   *output;

	if (secret == NULL)
		return false;
	if (guard->secret[0] != secret[0] || guard->secret[1] != secret[1])
	{
		memcpy(guard->secret, secret, sizeof(guard->secret));
		siphash(guard->label, strlen(guard->label), secret, (char *) guard->label_key);
	}

	switch (guard->key_type)
	{
		case UUIDOID:
			siphash((const char *) DatumGetUUIDP(key)->data, UUID_LEN, guard->label_key, result);
			return true;
		case INT2OID:
			word = little_endian((uint64) (int64) DatumGetInt16(key));
			siphash((const char *) &word, sizeof(word), guard->label_key, result);
			return true;
		case INT4OID:
			word = little_endian((uint64) (int64) DatumGetInt32(key));
			siphash((const char *) &word, sizeof(word), guard->label_key, result);
			return true;
		case INT8OID:
			word = little_endian((uint64) DatumGetInt64(key));
			siphash((const char *) &word, sizeof(word), guard->label_key, result);
			return true;
	}

	if (OidIsValid(guard->key_hash))
	{
		uint64		seed = little_endian(guard->label_key[0]);
		Datum		hash[2];

		/* two seeds, for 128 bits; they are as secret as the hash's key */
		hash[0] = OidFunctionCall2Coll(guard->key_hash, guard->key_collation, key, UInt64GetDatum(seed));
		seed = little_endian(guard->label_key[1]);
		hash[1] = OidFunctionCall2Coll(guard->key_hash, guard->key_collation, key, UInt64GetDatum(seed));
		output = psprintf(UINT64_FORMAT " " UINT64_FORMAT, DatumGetUInt64(hash[0]), DatumGetUInt64(hash[1]));
	}
	else
		output = OidOutputFunctionCall(guard->key_output, key);
	siphash(output, strlen(output), guard->label_key, result);
	pfree(output);
	return true;
}
