/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  Identities: recognizing users without recording who they are.
 *
 * A deleted user's key may be personal data, so it is not kept: table
 * instance_env.departed_user holds a keyed hash of it.  The hash is
 * SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, "SipHash: a
 * fast short-input PRF"): without the hash's key nobody can tell whose it is,
 * and it is designed for inputs as short as these, one per row.
 *
 * Each label has a hash key of its own, derived from the secret, so that the
 * same user key in two tables yields two identities.
 *
 * A key has the same identity in every session and after every dump.  So we
 * never hash the text from the type's output function, because that can depend
 * on settings (DateStyle, TimeZone, bytea_output, lc_monetary, search_path).
 * We hash the key's binary form if equal keys always have the same: integers
 * and other types passed by value as 8 bytes in little-endian order, other
 * types as their own bytes.  That survives a change of type from integer to
 * bigint, or between text, varchar and char(n).  For numeric we hash the
 * digits without trailing zeroes, for float4 and float8 the number as float8,
 * with a single zero and a single NaN.  For other types whose equal values can
 * differ in their bytes (citext, case-insensitive collations, interval, inet),
 * we use the type's own hash function, with two seeds.
 *
 * A value of an enum, or of regclass and similar types, is stored as an OID: a
 * restore assigns a different one, and the name that the dump contains can be
 * changed.  Such types cannot identify users; nor can arrays, composites,
 * ranges and jsonb, whose hash functions produce the same result for some
 * values that differ, whatever the seed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/nbtree.h"
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "table/table.h"

/* The state of SipHash */
typedef struct SipState
{
	uint64		v0;
	uint64		v1;
	uint64		v2;
	uint64		v3;
} SipState;

static bool has_catalog_oids(Oid type);
static bool is_compound(Oid type);
static int64 value_of(Datum key, int16 len);
static void hash_column(const IenvGuard *guard, const IenvKeyColumn *column,
						Datum key, char *result);
static void hash_by_type(const IenvGuard *guard, const IenvKeyColumn *column,
						 Datum key, char *result);
static void prepare_column(IenvKeyColumn *column);

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
 * Compute SipHash-2-4-128 of len bytes with a key of two words, into 16 bytes.
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
 * Fill in how the columns of the user key, whose numbers are known, are
 * hashed.
 */
void
ienv_identity_prepare(Relation rel, IenvGuard *guard)
{
	for (int i = 0; i < guard->nkeys; i++)
	{
		IenvKeyColumn *column = &guard->keys[i];
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
											  guard->key_attnos[i] - 1);

		column->type = att->atttypid;
		column->collation = att->attcollation;
		prepare_column(column);
	}
}

static void
prepare_column(IenvKeyColumn *column)
{
	Oid			type = getBaseType(column->type);
	TypeCacheEntry *entry = lookup_type_cache(type,
											  TYPECACHE_BTREE_OPFAMILY |
											  TYPECACHE_HASH_EXTENDED_PROC);
	Oid			equalimage = InvalidOid;

	column->len = entry->typlen;
	column->byval = entry->typbyval;
	column->base = type;
	column->hash = entry->hash_extended_proc;

	/*
	 * btree support function 4 tells whether equal values have the same
	 * bytes. For char(n) it ignores trailing blanks, as hash_column() does.
	 */
	if (OidIsValid(entry->btree_opf))
		equalimage = get_opfamily_proc(entry->btree_opf, entry->btree_opintype,
									   entry->btree_opintype,
									   BTEQUALIMAGE_PROC);
	column->is_image = OidIsValid(equalimage) &&
		DatumGetBool(OidFunctionCall1Coll(equalimage, column->collation,
										  ObjectIdGetDatum(entry->btree_opintype)));
}

/*
 * Can values of this column identify users?  Otherwise *why is set to a
 * sentence.
 */
bool
ienv_identity_possible(const IenvKeyColumn *column, const char **why)
{
	if (has_catalog_oids(column->type))
		*why =
			"Its values refer to system catalog entries by OID, which a dump does not preserve.";
	else if (is_compound(column->type))
		*why =
			"Its values are composed of other values, but each column must have a single one.";
	else if (!column->is_image && !OidIsValid(column->hash))
		*why =
			"The type has no hash function, and equal values may differ in their bytes.";
	else
		return true;
	return false;
}

/*
 * Is the type an enum, regclass or the like?
 */
static bool
has_catalog_oids(Oid type)
{
	type = getBaseType(type);
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGTYPEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGNAMESPACEOID:
		case REGROLEOID:
			return true;
		default:
			return type_is_enum(type);
	}
}

/*
 * Are the type's values composed of other values?
 */
static bool
is_compound(Oid type)
{
	type = getBaseType(type);
	return OidIsValid(get_element_type(type)) || type_is_range(type) ||
		type_is_multirange(type) ||
		OidIsValid(get_typ_typrelid(type)) || type == JSONBOID ||
		type == OIDVECTOROID || type == INT2VECTOROID ||
		type == RECORDOID;
}

/*
 * Compute the identity of the user with this key, a value for each column of
 * the user key, none of them null.  False if nobody can have departed yet, so
 * that there is nothing to compute.
 */
bool
ienv_identity_of(IenvGuard *guard, const Datum *key, pg_uuid_t *identity)
{
	const uint64 *secret = ienv_identity_secret();
	char	   *result = (char *) identity->data;

	if (secret == NULL)
		return false;
	if (guard->secret[0] != secret[0] || guard->secret[1] != secret[1])
	{
		memcpy(guard->secret, secret, sizeof(guard->secret));
		siphash(guard->label, strlen(guard->label), secret,
				(char *) guard->label_key);
	}

	if (guard->nkeys == 1)
		hash_column(guard, &guard->keys[0], key[0], result);
	else
	{
		char		columns[IENV_MAX_KEY_COLUMNS * UUID_LEN];

		for (int i = 0; i < guard->nkeys; i++)
			hash_column(guard, &guard->keys[i], key[i],
						columns + i * UUID_LEN);
		siphash(columns, guard->nkeys * UUID_LEN, guard->label_key, result);
	}
	return true;
}

/*
 * Hash the value of one column of a user key into 16 bytes.
 */
static void
hash_column(const IenvGuard *guard, const IenvKeyColumn *column, Datum key,
			char *result)
{
	if (column->base == NUMERICOID)
	{
		char	   *digits =
		DatumGetCString(DirectFunctionCall1(numeric_out,
											DirectFunctionCall1(numeric_trim_scale, key)));

		siphash(digits, strlen(digits), guard->label_key, result);
		pfree(digits);
	}
	else if (column->base == FLOAT4OID || column->base == FLOAT8OID)
	{
		double		number = column->base == FLOAT4OID ? DatumGetFloat4(key) : DatumGetFloat8(key);
		uint64		word;

		/* -0 equals 0, and all NaNs are equal */
		number = isnan(number) ? get_float8_nan() : number == 0 ? 0 : number;
		memcpy(&word, &number, sizeof(word));
		word = little_endian(word);
		siphash((const char *) &word, sizeof(word), guard->label_key, result);
	}
	else if (!column->is_image && OidIsValid(column->hash))
		hash_by_type(guard, column, key, result);
	else if (column->byval)
	{
		uint64		word = little_endian((uint64) value_of(key, column->len));

		siphash((const char *) &word, sizeof(word), guard->label_key, result);
	}
	else if (column->len == -1)
	{
		struct varlena *bytes = PG_DETOAST_DATUM_PACKED(key);
		int			len = VARSIZE_ANY_EXHDR(bytes);

		if (column->base == BPCHAROID)
			len = bpchartruelen(VARDATA_ANY(bytes), len);
		siphash(VARDATA_ANY(bytes), len, guard->label_key, result);
		if ((Pointer) bytes != DatumGetPointer(key))
			pfree(bytes);
	}
	else
	{
		/*
		 * names and cstrings end at their zero byte, and have the same
		 * identity as a text
		 */
		const char *bytes = DatumGetPointer(key);
		Size		len = column->len == -2 || column->base == NAMEOID ?
		strlen(bytes) : column->len;

		siphash(bytes, len, guard->label_key, result);
	}
}

/*
 * A value of a pass-by-value type of this length, sign-extended.
 */
static int64
value_of(Datum key, int16 len)
{
	switch (len)
	{
		case 1:
			return DatumGetChar(key);
		case 2:
			return DatumGetInt16(key);
		case 4:
			return DatumGetInt32(key);
		default:
			return DatumGetInt64(key);
	}
}

/*
 * Compute an identity from two hashes by the type's own hash function.  The
 * seeds are as secret as the key of the identity hash.
 */
static void
hash_by_type(const IenvGuard *guard, const IenvKeyColumn *column, Datum key,
			 char *result)
{
	uint64		hash[2];
	char text[	64];

	for (int i = 0; i < 2; i++)
		hash[i] =
			DatumGetUInt64(OidFunctionCall2Coll(column->hash,
												column->collation, key,
												UInt64GetDatum(little_endian(guard->label_key[i]))));
	siphash(text,
			snprintf(text, sizeof(text), UINT64_FORMAT " " UINT64_FORMAT,
					 hash[0],
					 hash[1]),
			guard->label_key, result);
}
