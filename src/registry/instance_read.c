/*-------------------------------------------------------------------------
 *
 * instance_read.c
 *	  Reading an instance from the registry's tables.
 *
 * This is always done with a snapshot taken now; instance_lookup.c says why.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "registry/registry.h"

/* Columns, in the order of the install script; upgrades only append. */
#define Anum_instance_id			1
#define Anum_instance_type			3
#define Anum_instance_status		4
#define Anum_instance_user_cap		5
#define Anum_instance_external_key	6
#define Anum_instance_created_at	8
#define Anum_instance_cap_mode		10
#define Anum_instance_code			11
#define Anum_policy_default_type	1
#define Anum_policy_default_name	2
#define Anum_policy_default_value	3
#define Anum_policy_override_instance	1
#define Anum_policy_override_name		2
#define Anum_policy_override_value		3

/* The policy that says when to warn */
#define THRESHOLDS_POLICY "user_cap_thresholds"

static int	read_default_user_cap(Snapshot snapshot);
static void read_thresholds(IenvInstance *instance, Snapshot snapshot);
static Jsonb *read_default(const char *name, Snapshot snapshot);
static Jsonb *read_policy(Oid table, Oid index, ScanKey keys, int value,
						  Snapshot snapshot);
static Relation open_instances(void);
static bool is_soft(Datum mode);
static void set_code(IenvInstance *instance, Datum code);

static Relation
open_instances(void)
{
	if (unlikely(!OidIsValid(ienv_oids()->instance)))
		ienv_report_no_placement("instance");
	return table_open(ienv_oids()->instance, AccessShareLock);
}

/*
 * Read an instance from the table with a fresh snapshot.  False if it does not
 * exist.
 */
bool
ienv_read_instance(const char *data, int len, bool is_uuid,
				   IenvInstance *instance)
{
	const IenvOids *o = ienv_oids();
	Relation	rel = open_instances();
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	if (is_uuid)
		ScanKeyInit(&key, Anum_instance_id, BTEqualStrategyNumber, F_UUID_EQ,
					PointerGetDatum(data));
	else
		ScanKeyInit(&key, Anum_instance_external_key, BTEqualStrategyNumber,
					F_TEXTEQ,
					PointerGetDatum(cstring_to_text_with_len(data, len)));

	scan = systable_beginscan(rel,
							  is_uuid ? o->instance_pkey :
							  o->instance_external_key, true, snapshot,
							  1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		Oid			label;
		Datum		cap;

		memset(instance, 0, sizeof(*instance));
		instance->id =
			*DatumGetUUIDP(heap_getattr(tuple, Anum_instance_id, desc,
										&isnull));
		instance->created_at =
			DatumGetTimestampTz(heap_getattr(tuple, Anum_instance_created_at,
											 desc, &isnull));
		set_code(instance, heap_getattr(tuple, Anum_instance_code, desc,
										&isnull));
		label =
			DatumGetObjectId(heap_getattr(tuple, Anum_instance_type, desc,
										  &isnull));
		instance->type = label == o->types[IENV_PRODUCTION] ? IENV_PRODUCTION :
			IENV_DEVELOPMENT;
		label =
			DatumGetObjectId(heap_getattr(tuple, Anum_instance_status, desc,
										  &isnull));
		instance->status = label == o->statuses[IENV_ACTIVE] ? IENV_ACTIVE :
			label == o->statuses[IENV_SUSPENDED] ? IENV_SUSPENDED :
			IENV_INACTIVE;
		cap = heap_getattr(tuple, Anum_instance_user_cap, desc, &isnull);
		if (instance->type == IENV_PRODUCTION)
			instance->user_cap = -1;
		else
		{
			instance->user_cap = isnull ? read_default_user_cap(snapshot) :
				DatumGetInt32(cap);
			instance->soft =
				is_soft(heap_getattr(tuple, Anum_instance_cap_mode, desc,
									 &isnull));
			read_thresholds(instance, snapshot);
		}
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * The cap of a development instance that has none of its own, in users.
 */
static int
read_default_user_cap(Snapshot snapshot)
{
	Jsonb	   *json = read_default("user_cap", snapshot);
	JsonbValue	value;

	if (json == NULL || !JsonbExtractScalar(&json->root, &value) ||
		value.type != jbvNumeric)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.policy_default\" has no number for \"user_cap\" of a development instance", IENV_SCHEMA),
				 errhint("Restore the row that CREATE EXTENSION made.")));
	return
		DatumGetInt32(DirectFunctionCall1(numeric_int4,
										  NumericGetDatum(value.val.numeric)));
}

/*
 * The thresholds of a development instance: its own, or else the default.
 * None if the row is missing: nobody should be unable to sign up because
 * nobody can be warned.
 */
static void
read_thresholds(IenvInstance *instance, Snapshot snapshot)
{
	const IenvOids *o = ienv_oids();
	ScanKeyData keys[2];
	Jsonb	   *json;

	ScanKeyInit(&keys[0], Anum_policy_override_instance,
				BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&instance->id));
	ScanKeyInit(&keys[1], Anum_policy_override_name, BTEqualStrategyNumber,
				F_TEXTEQ, CStringGetTextDatum(THRESHOLDS_POLICY));
	json = read_policy(o->policy_override, o->policy_override_pkey, keys,
					   Anum_policy_override_value, snapshot);
	if (json == NULL)
		json = read_default(THRESHOLDS_POLICY, snapshot);
	if (json != NULL)
		(void) ienv_are_thresholds(json, instance);
}

/*
 * The default value of a policy in development, or NULL.
 */
static Jsonb *
read_default(const char *name, Snapshot snapshot)
{
	const IenvOids *o = ienv_oids();
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], Anum_policy_default_type, BTEqualStrategyNumber,
				F_ENUM_EQ,
				ObjectIdGetDatum(o->types[IENV_DEVELOPMENT]));
	ScanKeyInit(&keys[1], Anum_policy_default_name, BTEqualStrategyNumber,
				F_TEXTEQ, CStringGetTextDatum(name));
	return read_policy(o->policy_default, o->policy_default_pkey, keys,
					   Anum_policy_default_value, snapshot);
}

/*
 * A copy of the value in the row of a table that two keys identify, or NULL.
 */
static Jsonb *
read_policy(Oid table, Oid index, ScanKey keys, int value, Snapshot snapshot)
{
	Relation	rel = table_open(table, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, index, true, snapshot, 2, keys);
	HeapTuple	tuple = systable_getnext(scan);
	Jsonb	   *json = NULL;

	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		json = DatumGetJsonbPCopy(heap_getattr(tuple, value,
											   RelationGetDescr(rel),
											   &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return json;
}

static bool
is_soft(Datum mode)
{
	return strcmp(TextDatumGetCString(mode), "soft") == 0;
}

/*
 * The table's generated column is never null, and as long as this.
 */
static void
set_code(IenvInstance *instance, Datum code)
{
	memcpy(instance->code, VARDATA_ANY(DatumGetByteaPP(code)),
		   IENV_CODE_BYTES);
}

/*
 * Is a value one of policy user_cap_thresholds: an array of at most
 * IENV_MAX_THRESHOLDS whole numbers from 1 to IENV_MAX_THRESHOLD, ascending?
 * If so, the instance gets them; instance may be NULL.
 */
bool
ienv_are_thresholds(Jsonb *value, IenvInstance *instance)
{
	int16		thresholds[IENV_MAX_THRESHOLDS];
	int			n = 0;

	/* a scalar is stored as an array of one element */
	if (!JB_ROOT_IS_ARRAY(value) || JB_ROOT_IS_SCALAR(value) ||
		JB_ROOT_COUNT(value) > IENV_MAX_THRESHOLDS)
		return false;
	for (uint32 i = 0; i < JB_ROOT_COUNT(value); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&value->root, i);
		bool		out_of_range;
		int32		percent;

		if (element->type != jbvNumeric)
			return false;
		percent = ienv_numeric_int4(element->val.numeric, &out_of_range);
		if (out_of_range || percent < 1 || percent > IENV_MAX_THRESHOLD ||
			(n > 0 && percent <= thresholds[n - 1]) ||
			!DatumGetBool(DirectFunctionCall2(numeric_eq,
											  NumericGetDatum(element->val.numeric),
											  NumericGetDatum(int64_to_numeric(percent)))))
			return false;
		thresholds[n++] = percent;
	}
	if (instance != NULL)
	{
		instance->nthresholds = n;
		memcpy(instance->thresholds, thresholds, n * sizeof(int16));
	}
	return true;
}

/*
 * Is there an instance whose coded ids end with this code?  Read with a fresh
 * snapshot, and without a query.
 */
bool
ienv_is_code(const uint8 *code)
{
	Relation	rel = open_instances();
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Oid			index = ienv_index_oid("instance", "instance_code_key");
	bytea	   *value = palloc(VARHDRSZ + IENV_CODE_BYTES);
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	SET_VARSIZE(value, VARHDRSZ + IENV_CODE_BYTES);
	memcpy(VARDATA(value), code, IENV_CODE_BYTES);
	ScanKeyInit(&key, Anum_instance_code, BTEqualStrategyNumber, F_BYTEAEQ,
				PointerGetDatum(value));
	scan = systable_beginscan(rel, index, OidIsValid(index), snapshot, 1,
							  &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	pfree(value);
	return found;
}

/*
 * The external key of an instance, in CurrentMemoryContext, read with a fresh
 * snapshot and without a query, for functions that are called once for each
 * instance.  If it has been dropped meanwhile, that is error 23I03, or 0 with
 * missing_ok.
 */
Datum
ienv_latest_external_key(const pg_uuid_t *id, bool missing_ok)
{
	const IenvOids *o = ienv_oids();
	Relation	rel = open_instances();
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Datum		external_key = 0;
	bool		isnull;

	ScanKeyInit(&key, Anum_instance_id, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(id));
	scan = systable_beginscan(rel, o->instance_pkey, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		external_key = heap_getattr(tuple, Anum_instance_external_key,
									RelationGetDescr(rel), &isnull);
		external_key = PointerGetDatum(DatumGetTextPCopy(external_key));
	}
	else if (!missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_UNKNOWN_INSTANCE),
				 errmsg("instance %s does not exist",
						ienv_instance_text(UUIDPGetDatum(id), true))));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return external_key;
}
