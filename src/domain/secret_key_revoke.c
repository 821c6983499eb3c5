/*-------------------------------------------------------------------------
 *
 * secret_key_revoke.c
 *	  Finding a secret key that is to change, and revoking it.
 *
 * What changes the keys of an instance locks the instance first, so that two
 * transactions cannot each take the other's key for one that remains.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/key.h"
#include "registry/registry.h"

static void revoke_key(Datum instance, Datum hash);

PG_FUNCTION_INFO_V1(instance_env_revoke_secret_key);
PG_FUNCTION_INFO_V1(instance_env_revoke_secret_key_by_hint);

/*
 * revoke_secret_key(key text) RETURNS void
 */
Datum
instance_env_revoke_secret_key(PG_FUNCTION_ARGS)
{
	Datum		instance;
	Datum		hash;

	SPI_connect();
	hash = ienv_key_argument(fcinfo, &instance);
	revoke_key(instance, hash);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * revoke_secret_key(instance uuid, hint text) RETURNS void
 */
Datum
instance_env_revoke_secret_key_by_hint(PG_FUNCTION_ARGS)
{
	Datum		instance;
	Datum		hash;

	SPI_connect();
	hash = ienv_key_by_hint(fcinfo, &instance);
	revoke_key(instance, hash);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * The hash of the key that is the first argument, an error if there is none;
 * *instance is set to its instance, which is locked until the transaction
 * ends.  SPI is connected.
 */
Datum
ienv_key_argument(FunctionCallInfo fcinfo, Datum *instance)
{
	Oid			type = BYTEAOID;
	Datum		value;
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
	char	   *status;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "key");
	ienv_hash_key(PG_GETARG_TEXT_PP(0), hash);
	value = ienv_hash_datum(hash);
	if (ienv_query("SELECT instance FROM instance_env.api_key"
				   " WHERE hash OPERATOR(pg_catalog.=) $1",
				   1, &type, &value, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no such secret key"),
				 errhint("View instance_env.secret_keys lists the keys of all instances by their last characters.")));
	*instance = ienv_result_datum(0, 1, &isnull);
	(void) ienv_lock_instance(*instance, &status);
	return value;
}

/*
 * The same for the key of the instance that is the first argument which ends
 * in what the second one says.
 *
 * For those who no longer have the key.  One that is revoked or has expired is
 * considered only if no valid key has the same hint.
 */
Datum
ienv_key_by_hint(FunctionCallInfo fcinfo, Datum *instance)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2];
	char	   *hint;
	char	   *status;
	uint64		n;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	hint = ienv_require_text(fcinfo, 1, "hint", 64);
	values[0] = *instance = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	(void) ienv_lock_instance(values[0], &status);
	n = ienv_query("SELECT k.hash, " IENV_VALID_KEY
				   " FROM instance_env.api_key k"
				   " WHERE k.instance OPERATOR(pg_catalog.=) $1"
				   " AND k.hint OPERATOR(pg_catalog.=) $2"
				   " ORDER BY 2 DESC, k.revoked_at DESC NULLS FIRST,"
				   " k.created_at DESC", 2, types, values, NULL);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("instance %s has no secret key that ends in \"%s\"",
						ienv_instance_text(values[0], true), hint),
				 errhint("Its keys are in view instance_env.secret_keys.")));
	if (n > 1 && DatumGetBool(ienv_result_datum(1, 2, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("instance %s has several secret keys that end in \"%s\"",
						ienv_instance_text(values[0], true), hint),
				 errhint("Give the key itself.")));
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * Revoke the key with this hash, unless that has been done; an instance's last
 * valid key cannot be revoked.  SPI is connected, and the instance locked:
 * other sessions that revoke a key of it are waiting.
 */
static void
revoke_key(Datum instance, Datum hash)
{
	Oid			types[2] = {UUIDOID, BYTEAOID};
	Datum		values[2];
	bool		isnull;

	values[0] = instance;
	values[1] = hash;
	if (ienv_query("SELECT " IENV_VALID_KEY " AND NOT EXISTS ("
				   "SELECT FROM instance_env.api_key k"
				   " WHERE k.instance OPERATOR(pg_catalog.=) $1"
				   " AND k.hash OPERATOR(pg_catalog.<>) $2"
				   " AND " IENV_VALID_KEY ")"
				   " FROM instance_env.api_key k"
				   " WHERE k.hash OPERATOR(pg_catalog.=) $2"
				   " AND k.revoked_at IS NULL",
				   2, types, values, NULL) == 0)
		return;
	if (DatumGetBool(ienv_result_datum(0, 1, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot revoke the last secret key of instance %s",
						ienv_instance_text(instance, true)),
				 errhint("Create another one with instance_env.create_secret_key() first.")));
	(void) ienv_query("WITH k AS (UPDATE instance_env.api_key k"
					  " SET revoked_at = pg_catalog.now()"
					  " WHERE k.hash OPERATOR(pg_catalog.=) $2"
					  " AND k.instance OPERATOR(pg_catalog.=) $1"
					  " RETURNING k.*)"
					  " SELECT (pg_catalog.to_jsonb(k)"
					  " OPERATOR(pg_catalog.-) 'hash')"
					  " OPERATOR(pg_catalog.||)"
					  " pg_catalog.jsonb_build_object('revoked_at', NULL),"
					  " pg_catalog.to_jsonb(k) OPERATOR(pg_catalog.-) 'hash',"
					  " k.hint FROM k", 2, types, values, NULL);
	ienv_record_event("revoke_secret_key", NULL, DatumGetUUIDP(instance),
					  ienv_result_text(0, 3),
					  ienv_result_datum(0, 1, &isnull),
					  ienv_result_datum(0, 2, &isnull));
	ienv_config_changed(instance);
}
