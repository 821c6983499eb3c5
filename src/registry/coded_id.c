/*-------------------------------------------------------------------------
 *
 * coded_id.c
 *	  Ids that carry their instance: new_user_id(), id_instance(), id_time(),
 *	  id_belongs().
 *
 * A coded id is a uuid of version 8 (RFC 9562):
 *
 *		bytes 0-5	Unix time in milliseconds
 *		bytes 6-7	version 8, and a counter of 12 bits
 *		bytes 8-10	variant 10, and 22 random bits
 *		bytes 11-15	the code of its instance
 *
 * The code is the beginning of the SHA-256 hash of the instance's id, so that
 * every language can compute it, and SQL.  There is deliberately no key: an id
 * is to fit one instance only, and who makes up another id for an instance has
 * gained nothing but that id.  The registry's unique index on column "code"
 * makes sure that no two instances have the same.
 *
 * The counter is for ids that a backend makes in one millisecond.  It begins
 * at a random number below half of its range, so that at least 2048 ids follow
 * before it overflows, which takes the time on by a millisecond.  So the ids
 * of one backend ascend and are all different, unless the clock goes back by
 * more than MAX_BACK: such a jump is believed, and a smaller one waited out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "registry/registry.h"

#define COUNTER_MAX		0xfff

/* How far the clock may go back before ids follow it, in milliseconds */
#define MAX_BACK		60000

/* From PostgreSQL's epoch to that of Unix, in milliseconds */
#define EPOCH_OFFSET	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

/* Codes that id_belongs() has computed, a power of two */
#define MEMO_ENTRIES	64

typedef struct MemoEntry
{
	bool		filled;
	pg_uuid_t	instance;
	uint8		code[IENV_CODE_BYTES];
} MemoEntry;

/* A code, and the instance that has it, if there is one */
typedef struct CodeEntry
{
	uint8		code[IENV_CODE_BYTES];	/* hash key, must be first */
	bool		exists;
	pg_uuid_t	instance;
} CodeEntry;

/*
 * Some 50 bytes per entry.  Absence is cached, too: table instance tells every
 * backend when a row is added.
 */
static IenvCache cache = {
	.name = "instance_env codes",
	.keysize = IENV_CODE_BYTES,
	.entrysize = sizeof(CodeEntry),
	.max_entries = 4096,
	.tables = {"instance"}
};

/* The last id that this backend has made, and the latest time it was by then */
static int64 last_ms = 0;
static int	last_counter = 0;
static int64 last_clock = 0;

static bool is_coded(const pg_uuid_t *id);
static void count_on(int random_start);
static const uint8 *code_of(const pg_uuid_t *instance);
static bool read_code(const uint8 *code, pg_uuid_t *instance);

PG_FUNCTION_INFO_V1(instance_env_new_user_id);
PG_FUNCTION_INFO_V1(instance_env_id_instance);
PG_FUNCTION_INFO_V1(instance_env_id_time);
PG_FUNCTION_INFO_V1(instance_env_id_belongs);

/*
 * new_user_id(instance uuid) RETURNS uuid
 *
 * For everybody: who asks learns whether an instance exists, as does whoever
 * inserts a row into a guarded table.  Its status does not matter, since an id
 * is not a row yet.
 */
Datum
instance_env_new_user_id(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "instance");
	return ienv_new_user_id(PG_GETARG_UUID_P(0));
}

/*
 * id_instance(id uuid) RETURNS uuid
 *
 * Strict, as are the following.
 */
Datum
instance_env_id_instance(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *id = PG_GETARG_UUID_P(0);
	const uint8 *code = id->data + UUID_LEN - IENV_CODE_BYTES;
	CodeEntry  *entry;
	CodeEntry	found;
	uint64		since;
	pg_uuid_t  *result;

	if (!is_coded(id))
		PG_RETURN_NULL();
	entry = ienv_cache_find(&cache, code);
	if (entry == NULL)
	{
		do
		{
			since = ienv_cache_time(&cache);
			found.exists = read_code(code, &found.instance);
			entry = ienv_cache_enter(&cache, code, since);
		} while (entry == NULL);
		entry->exists = found.exists;
		entry->instance = found.instance;
	}
	if (!entry->exists)
		PG_RETURN_NULL();
	result = palloc(sizeof(pg_uuid_t));
	*result = entry->instance;
	PG_RETURN_UUID_P(result);
}

/*
 * id_time(id uuid) RETURNS timestamptz
 *
 * 48 bits of milliseconds end in the year 10889, which a timestamp can be in.
 */
Datum
instance_env_id_time(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *id = PG_GETARG_UUID_P(0);
	int64		ms = 0;

	if (!is_coded(id))
		PG_RETURN_NULL();
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->data[i];
	PG_RETURN_TIMESTAMPTZ((ms - EPOCH_OFFSET) * 1000);
}

/*
 * id_belongs(id uuid, instance uuid) RETURNS boolean
 *
 * Looks nothing up, so that it may stand in a CHECK or a generated column.
 */
Datum
instance_env_id_belongs(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *id = PG_GETARG_UUID_P(0);

	PG_RETURN_BOOL(is_coded(id) &&
				   ienv_id_has_code(id, code_of(PG_GETARG_UUID_P(1))));
}

/*
 * Make an id for an instance, or raise error 23I03 if there is no such
 * instance.
 */
Datum
ienv_new_user_id(const pg_uuid_t *instance)
{
	const IenvInstance *found = ienv_instance_by_id(instance);
	IenvInstance latest;
	uint8		random[5];
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (unlikely(found == NULL))
	{
		latest = ienv_require_instance(UUIDPGetDatum(instance));
		found = &latest;
	}
	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	count_on((random[3] << 8 | random[4]) & (COUNTER_MAX >> 1));

	for (int i = 0; i < 6; i++)
		id->data[i] = last_ms >> (40 - 8 * i) & 0xff;
	id->data[6] = 0x80 | last_counter >> 8;
	id->data[7] = last_counter & 0xff;
	id->data[8] = 0x80 | (random[0] & 0x3f);
	id->data[9] = random[1];
	id->data[10] = random[2];
	memcpy(id->data + UUID_LEN - IENV_CODE_BYTES, found->code,
		   IENV_CODE_BYTES);
	return UUIDPGetDatum(id);
}

/*
 * Does an instance other than the one with this id have its code?  As a unique
 * index would, looks with a snapshot taken now.  SPI is connected.
 */
bool
ienv_code_is_taken(const pg_uuid_t *instance)
{
	pg_uuid_t	found;

	return read_code(code_of(instance), &found) &&
		memcmp(&found, instance, UUID_LEN) != 0;
}

/*
 * Would instances with these ids have the same code?
 */
bool
ienv_same_code(const pg_uuid_t *a, const pg_uuid_t *b)
{
	uint8		code[IENV_CODE_BYTES];

	memcpy(code, code_of(a), IENV_CODE_BYTES);
	return memcmp(code, code_of(b), IENV_CODE_BYTES) == 0;
}

/*
 * Is this an id of the form that is made here, for whichever instance?
 */
static bool
is_coded(const pg_uuid_t *id)
{
	return ienv_id_has_code(id, id->data + UUID_LEN - IENV_CODE_BYTES);
}

/*
 * The time and counter of the next id.
 */
static void
count_on(int random_start)
{
	int64		now = GetCurrentTimestamp() / 1000 + EPOCH_OFFSET;
	bool		back = now < last_clock - MAX_BACK;

	last_clock = back ? now : Max(now, last_clock);
	if (back || now > last_ms)
		last_ms = now;
	else if (last_counter < COUNTER_MAX)
	{
		last_counter++;
		return;
	}
	else
		last_ms++;
	last_counter = random_start;
}

/*
 * The code of an instance, whether or not there is one with this id; valid
 * until the next call.  It depends on nothing else, so it is never forgotten,
 * only replaced.
 */
static const uint8 *
code_of(const pg_uuid_t *instance)
{
	static MemoEntry memo[MEMO_ENTRIES];
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	uint32		slot = 0;
	MemoEntry  *entry;
	pg_cryptohash_ctx *context;

	/* ids that somebody has chosen often differ in a few bytes */
	for (int i = 0; i < UUID_LEN; i++)
		slot = slot * 31 + instance->data[i];
	entry = &memo[slot % MEMO_ENTRIES];
	if (likely(entry->filled &&
			   memcmp(&entry->instance, instance, UUID_LEN) == 0))
		return entry->code;

	context = pg_cryptohash_create(PG_SHA256);
	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, instance->data, UUID_LEN) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
	{
		const char *why = pg_cryptohash_error(context);

		pg_cryptohash_free(context);
		elog(ERROR, "could not compute a SHA-256 hash: %s", why);
	}
	pg_cryptohash_free(context);
	entry->instance = *instance;
	memcpy(entry->code, digest, IENV_CODE_BYTES);
	entry->filled = true;
	return entry->code;
}

/*
 * Read from the table which instance has a code; false if none has.
 */
static bool
read_code(const uint8 *code, pg_uuid_t *instance)
{
	Oid			type = BYTEAOID;
	bytea	   *copy = palloc(VARHDRSZ + IENV_CODE_BYTES);
	Datum		value = PointerGetDatum(copy);
	IenvOwner	saved;
	bool		exists;
	bool		isnull;

	SET_VARSIZE(copy, VARHDRSZ + IENV_CODE_BYTES);
	memcpy(VARDATA(copy), code, IENV_CODE_BYTES);
	SPI_connect();
	ienv_become_owner(&saved);
	exists = ienv_query_latest("SELECT id FROM instance_env.instance"
							   " WHERE code OPERATOR(pg_catalog.=) $1",
							   1, &type, &value, NULL) > 0;
	if (exists)
		*instance = *DatumGetUUIDP(ienv_result_datum(0, 1, &isnull));
	ienv_leave_owner(&saved);
	SPI_finish();
	return exists;
}
