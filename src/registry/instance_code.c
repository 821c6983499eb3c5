/*-------------------------------------------------------------------------
 *
 * instance_code.c
 *	  The codes of instances, which coded ids end with: id_instance().
 *
 * A code is the beginning of the SHA-256 hash of the instance's id, so that
 * every language can compute it, and SQL.  There is deliberately no key: an id
 * is to fit one instance only, and who makes up another id for an instance has
 * gained nothing but that id.  The unique index on column "code" of the
 * registry ensures that no two instances have the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "registry/registry.h"

/*
 * How many computed codes to keep: id_belongs() may be asked about each row of
 * a table, whose rows are mostly of few instances
 */
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

static bool code_is_taken(const pg_uuid_t *instance);

PG_FUNCTION_INFO_V1(instance_env_id_instance);

/*
 * id_instance(id uuid) RETURNS uuid
 *
 * Strict.
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

	if (!ienv_is_coded(id))
		PG_RETURN_NULL();
	entry = ienv_cache_find(&cache, code);
	if (entry == NULL)
	{
		do
		{
			since = ienv_cache_time(&cache);
			found.exists = ienv_instance_with_code(code, &found.instance);
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
 * The code of an instance, whether or not there is one with this id; valid
 * until the next call.  It depends on nothing else, so it is never forgotten,
 * only replaced.
 */
const uint8 *
ienv_code_of(const pg_uuid_t *instance)
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
 * Would instances with these ids have the same code?
 */
bool
ienv_same_code(const pg_uuid_t *a, const pg_uuid_t *b)
{
	uint8		code[IENV_CODE_BYTES];

	memcpy(code, ienv_code_of(a), IENV_CODE_BYTES);
	return memcmp(code, ienv_code_of(b), IENV_CODE_BYTES) == 0;
}

/*
 * Raise an error if another instance has the code of the one with this id,
 * which was given as an argument.  SPI is connected.
 */
void
ienv_require_free_code(const pg_uuid_t *instance, const char *argument)
{
	if (code_is_taken(instance))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("the code of instance %s is taken",
						ienv_instance_text(UUIDPGetDatum(instance), true)),
				 errdetail("Another instance has the same code, so coded ids of one would belong to the other."),
				 errhint("Give another id as \"%s\", or none, to have it generated.",
						 argument)));
}

/*
 * Choose an id that no instance has, nor its code; nor the other instance of
 * the application, if its id is known.
 */
Datum
ienv_draw_id(const Datum *other)
{
	Datum		id;

	do
		id = OidFunctionCall0(F_GEN_RANDOM_UUID);
	while (code_is_taken(DatumGetUUIDP(id)) ||
		   (other != NULL &&
			ienv_same_code(DatumGetUUIDP(id), DatumGetUUIDP(*other))));
	return id;
}

/*
 * Does an instance other than the one with this id have its code?  As a unique
 * index would, looks with a snapshot taken now.  SPI is connected.
 */
static bool
code_is_taken(const pg_uuid_t *instance)
{
	pg_uuid_t	found;

	return ienv_instance_with_code(ienv_code_of(instance), &found) &&
		memcmp(&found, instance, UUID_LEN) != 0;
}

/*
 * Which instance has this code?  False if none has.  Reads the table with a
 * snapshot taken now, and runs no SQL.
 */
bool
ienv_instance_with_code(const uint8 *code, pg_uuid_t *instance)
{
	Relation	rel = ienv_open_table("instance", AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bytea	   *value = palloc(VARHDRSZ + IENV_CODE_BYTES);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	SET_VARSIZE(value, VARHDRSZ + IENV_CODE_BYTES);
	memcpy(VARDATA(value), code, IENV_CODE_BYTES);
	ScanKeyInit(&key, SPI_fnumber(desc, "code"), BTEqualStrategyNumber,
				F_BYTEAEQ, PointerGetDatum(value));
	scan = systable_beginscan(rel,
							  ienv_index_oid("instance", "instance_code_key"),
							  true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		bool		isnull;

		*instance =
			*DatumGetUUIDP(heap_getattr(tuple, SPI_fnumber(desc, "id"), desc,
										&isnull));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	pfree(value);
	return found;
}
