/*-------------------------------------------------------------------------
 *
 * secret_key_make.c
 *	  Making secret keys: the first of its kind, or one that replaces another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/base.h"
#include "domain/key.h"
#include "registry/registry.h"

#define HINT_LENGTH		4

/* in bytes */
#define MAX_KEY_NAME	255

/* Longer than anybody keeps two keys, and short enough to be added to now() */
#define MAX_OVERLAP		"10 years"

/* Short enough, too; a key for longer is replaced by one without end */
#define MAX_LIFETIME	"10000 years"

/* What now() is after an interval, whatever the session's time zone */
#define AFTER(interval) \
	"pg_catalog.timezone('UTC'::pg_catalog.text," \
	" pg_catalog.timezone('UTC'::pg_catalog.text, pg_catalog.now())" \
	" OPERATOR(pg_catalog.+) " interval ")"

static void check_name(FunctionCallInfo fcinfo, int n);
static Datum overlap_argument(FunctionCallInfo fcinfo, int n);
static text *replace_key(Datum instance, Datum hash, Datum overlap);
static text *make_key(const char *action, Datum instance, Datum name,
					  Datum expires_at, Datum lifetime);
static char *random_key(Datum instance);

PG_FUNCTION_INFO_V1(instance_env_create_secret_key);
PG_FUNCTION_INFO_V1(instance_env_rotate_secret_key);
PG_FUNCTION_INFO_V1(instance_env_rotate_secret_key_by_hint);

/*
 * create_secret_key(instance uuid, name text, expires_at timestamptz)
 * RETURNS text
 *
 * name and expires_at can be null; so that a key need not expire, infinity is
 * the same as null.
 */
Datum
instance_env_create_secret_key(PG_FUNCTION_ARGS)
{
	char	   *status;
	Datum		name = 0;
	Datum		expires_at = 0;
	Datum		lifetime = 0;
	text	   *result;

	ienv_require_argument(fcinfo, 0, "instance");
	if (!PG_ARGISNULL(1))
	{
		check_name(fcinfo, 1);
		name = PG_GETARG_DATUM(1);
	}
	if (!PG_ARGISNULL(2) && !TIMESTAMP_IS_NOEND(PG_GETARG_TIMESTAMPTZ(2)))
	{
		if (PG_GETARG_TIMESTAMPTZ(2) <= GetCurrentTimestamp())
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for argument \"%s\"", "expires_at"),
					 errdetail("It is not in the future."),
					 errhint("Leave it out for a key that does not expire.")));
		expires_at = TimestampTzGetDatum(PG_GETARG_TIMESTAMPTZ(2));
		lifetime = DirectFunctionCall2(timestamp_mi, expires_at,
									   TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	}

	SPI_connect();
	(void) ienv_lock_instance(PG_GETARG_DATUM(0), &status);
	result = make_key("create_secret_key", PG_GETARG_DATUM(0), name,
					  expires_at, lifetime);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}

/*
 * rotate_secret_key(key text, overlap interval) RETURNS text
 */
Datum
instance_env_rotate_secret_key(PG_FUNCTION_ARGS)
{
	Datum		overlap = overlap_argument(fcinfo, 1);
	Datum		instance;
	Datum		hash;
	text	   *result;

	SPI_connect();
	hash = ienv_key_argument(fcinfo, &instance);
	result = replace_key(instance, hash, overlap);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}

/*
 * rotate_secret_key(instance uuid, hint text, overlap interval) RETURNS text
 */
Datum
instance_env_rotate_secret_key_by_hint(PG_FUNCTION_ARGS)
{
	Datum		overlap = overlap_argument(fcinfo, 2);
	Datum		instance;
	Datum		hash;
	text	   *result;

	SPI_connect();
	hash = ienv_key_by_hint(fcinfo, &instance);
	result = replace_key(instance, hash, overlap);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}

/*
 * Raise an error if an argument cannot be the name of a key.
 */
static void
check_name(FunctionCallInfo fcinfo, int n)
{
	const char *name = ienv_require_text(fcinfo, n, "name", MAX_KEY_NAME);

	/* names are shown where keys must not be */
	ienv_refuse_secret(name, "argument \"name\"");
}

/*
 * An argument that is the time for which two keys are valid.
 *
 * Compared with zero, an interval has months of 30 days; so '1 month -30 days'
 * is not negative here, but may be in February.
 */
static Datum
overlap_argument(FunctionCallInfo fcinfo, int n)
{
	static const Interval zero = {0};
	const char *problem = NULL;
	Datum		longest;

	ienv_require_argument(fcinfo, n, "overlap");
	longest = DirectFunctionCall3(interval_in, CStringGetDatum(MAX_OVERLAP),
								  ObjectIdGetDatum(InvalidOid),
								  Int32GetDatum(-1));
	if (DatumGetBool(DirectFunctionCall2(interval_lt, PG_GETARG_DATUM(n),
										 IntervalPGetDatum(&zero))))
		problem = "It is negative.";
	else if (DatumGetBool(DirectFunctionCall2(interval_gt, PG_GETARG_DATUM(n),
											  longest)))
		problem = "It is longer than " MAX_OVERLAP ".";
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\"", "overlap"),
				 errdetail("%s", problem),
				 errhint("Give the time for which the old key is to remain valid, such as '1 day'.")));
	return PG_GETARG_DATUM(n);
}

/*
 * Make a key like that with this hash, which expires after the overlap, and
 * return the new one.  SPI is connected, and the instance locked.
 */
static text *
replace_key(Datum instance, Datum hash, Datum overlap)
{
	Oid			types[2] = {BYTEAOID, INTERVALOID};
	Datum		values[2] = {hash, overlap};
	Datum		before;
	Datum		name;
	Datum		expires_at;
	Datum		lifetime;
	char	   *hint;
	bool		isnull;

	ienv_query_one("SELECT pg_catalog.to_jsonb(k)"
				   " OPERATOR(pg_catalog.-) 'hash', k.name, k.hint,"
				   " CASE WHEN k.lifetime OPERATOR(pg_catalog.<=)"
				   " '" MAX_LIFETIME "'::pg_catalog.interval"
				   " THEN " AFTER("k.lifetime") " END, k.lifetime,"
				   " k.revoked_at IS NOT NULL, " IENV_VALID_KEY
				   " FROM instance_env.api_key k"
				   " WHERE k.hash OPERATOR(pg_catalog.=) $1", 1, types, values);
	before = ienv_result_datum(0, 1, &isnull);
	name = ienv_result_datum(0, 2, &isnull);
	hint = ienv_result_text(0, 3);
	expires_at = ienv_result_datum(0, 4, &isnull);
	if (isnull)
		expires_at = 0;
	lifetime = ienv_result_datum(0, 5, &isnull);
	if (!DatumGetBool(ienv_result_datum(0, 7, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(DatumGetBool(ienv_result_datum(0, 6, &isnull)) ?
						"cannot rotate a secret key that is revoked" :
						"cannot rotate a secret key that has expired"),
				 errdetail("It is a key of instance %s and ends in \"%s\".",
						   ienv_instance_text(instance, true), hint),
				 errhint("Create another one with instance_env.create_secret_key().")));

	/* LEAST() takes no notice of nulls */
	ienv_query_one("WITH k AS (UPDATE instance_env.api_key k SET expires_at ="
				   " GREATEST(pg_catalog.now(),"
				   " LEAST(k.expires_at, " AFTER("$2") "))"
				   " WHERE k.hash OPERATOR(pg_catalog.=) $1"
				   " RETURNING k.*)"
				   " SELECT pg_catalog.to_jsonb(k)"
				   " OPERATOR(pg_catalog.-) 'hash' FROM k", 2, types, values);
	ienv_record_event("rotate_secret_key", NULL, DatumGetUUIDP(instance), hint,
					  before, ienv_result_datum(0, 1, &isnull));
	return make_key("rotate_secret_key", instance, name, expires_at, lifetime);
}

/*
 * Make a key and return it, in memory that outlives SPI; record that function
 * "action" has done so.  All but the instance can be 0, for null.  SPI is
 * connected, and the instance locked.
 */
static text *
make_key(const char *action, Datum instance, Datum name, Datum expires_at,
		 Datum lifetime)
{
	Oid			types[6] = {BYTEAOID, UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INTERVALOID};
	Datum		values[6];
	char	   *key = random_key(instance);
	const char *hint = key + strlen(key) - HINT_LENGTH;
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
	bool		isnull;
	text	   *result;

	result = SPI_palloc(VARHDRSZ + strlen(key));
	SET_VARSIZE(result, VARHDRSZ + strlen(key));
	memcpy(VARDATA(result), key, strlen(key));

	ienv_hash_key(result, hash);
	values[0] = ienv_hash_datum(hash);
	values[1] = instance;
	values[2] = CStringGetTextDatum(hint);
	values[3] = name;
	values[4] = expires_at;
	values[5] = lifetime;
	(void) ienv_query("WITH k AS (INSERT INTO instance_env.api_key AS k"
					  " (hash, instance, hint, name, expires_at, lifetime)"
					  " VALUES ($1, $2, $3, $4, $5, $6)"
					  " RETURNING k.*)"
					  " SELECT pg_catalog.to_jsonb(k)"
					  " OPERATOR(pg_catalog.-) 'hash' FROM k", 6, types, values,
					  expires_at == 0 ? "    n " : NULL);
	ienv_record_event(action, NULL, DatumGetUUIDP(instance), hint, 0,
					  ienv_result_datum(0, 1, &isnull));
	ienv_config_changed(instance);
	return result;
}

/*
 * Draw a key for an instance: a prefix and IENV_SECRET_LENGTH characters.
 */
static char *
random_key(Datum instance)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	IenvType	type = ienv_require_instance(instance).type;
	const char *prefix = ienv_service()->secret[type];
	char	   *key = psprintf("%s%0*d", prefix, IENV_SECRET_LENGTH, 0);

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
	return key;
}
