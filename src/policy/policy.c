/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  What applies to an instance: policy_default, or the instance's own
 *	  override of it.
 *
 * The tables are the only source of these values.  None is repeated in C: a
 * missing row is an error.
 *
 * Applications ask on every request, so each backend caches the values as
 * Datums: the defaults once per type, and the overrides, of which there are
 * mostly none, per instance.  Both depend on table instance, to which
 * registry_changed() also attributes a change of policy_default.  One policy is
 * the service's own: view policy_defaults has it from table service.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "policy/policy.h"
#include "registry/registry.h"

typedef struct PolicyValue
{
	char	   *name;
	Oid			type;			/* TEXTOID, BOOLOID, INT4OID, TEXTARRAYOID;
								 * InvalidOid: none of these */
	bool		isnull;			/* JSON null, which fits every type */
	Datum		value;
} PolicyValue;

typedef struct PolicyKey
{
	pg_uuid_t	instance;		/* zeros for the defaults */
	int32		type;			/* IenvType */
	int32		is_default;
} PolicyKey;

typedef struct PolicySet
{
	PolicyKey	key;			/* hash key, must be first */
	bool		complete;		/* false: filling it has failed */
	int			n;
	PolicyValue *values;		/* by name */
} PolicySet;

/*
 * About 100 bytes per entry without overrides: 2 MB at most, plus the
 * overrides.
 */
static IenvCache cache = {
	.name = "instance_env policies",
	.keysize = sizeof(PolicyKey),
	.entrysize = sizeof(PolicySet),
	.max_entries = 16384,
	.tables = {"instance", "policy_override", "service"}
};

static const PolicyValue *find_value(const PolicyKey *key, const char *name);
static const PolicySet *read_set(const PolicyKey *key);
static void fill(PolicySet *set, SPITupleTable *rows, int n);
static void convert(Jsonb *json, PolicyValue *value);

PG_FUNCTION_INFO_V1(instance_env_policy);

/*
 * policy(instance uuid) RETURNS TABLE (name, value, source, description)
 */
Datum
instance_env_policy(PG_FUNCTION_ARGS)
{
	static IenvQuery query = {
		.sql = "SELECT p.name, p.value, p.source, d.description"
		" FROM instance_env.policies p"
		" JOIN instance_env.policy_defaults d"
		"  ON d.instance_type OPERATOR(pg_catalog.=) p.type"
		" AND d.name OPERATOR(pg_catalog.=) p.name"
		" WHERE p.instance_id OPERATOR(pg_catalog.=) $1"
		" ORDER BY p.name"
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			type = UUIDOID;
	Datum		instance;
	uint64		n;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	(void) ienv_require_instance(instance);
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	n = ienv_query_kept_latest(&query, 1, &type, &instance, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		Datum		values[4];
		bool		nulls[4];

		for (int j = 0; j < 4; j++)
			values[j] = ienv_result_datum(i, j + 1, &nulls[j]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * The value of an instance's policy, as type: text, boolean, integer or
 * text[].
 *
 * Runs no SQL if the value is cached.
 */
Datum
ienv_policy(Datum instance, const char *name, Oid type, bool *isnull)
{
	const IenvInstance *known = ienv_instance_by_value(instance, true, false);
	PolicyKey	key = {0};
	const PolicyValue *value;

	key.instance = *DatumGetUUIDP(instance);
	key.type = known != NULL ? known->type :
		ienv_require_instance(instance).type;
	value = find_value(&key, name);
	if (value == NULL)
	{
		memset(&key.instance, 0, sizeof(key.instance));
		key.is_default = true;
		value = find_value(&key, name);
	}

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(key.type == IENV_PRODUCTION ?
						"table \"%s.policy_default\" has no row for \"%s\" of a production instance" :
						"table \"%s.policy_default\" has no row for \"%s\" of a development instance",
						IENV_SCHEMA, name),
				 errhint("Restore the row that CREATE EXTENSION made.")));
	*isnull = value->isnull;
	if (value->isnull)
		return (Datum) 0;
	if (value->type != type)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the value of policy \"%s\" of instance %s is not of type %s",
						name, ienv_instance_text(instance, true),
						format_type_be(type)),
				 key.is_default ?
				 errhint("Restore the row of table \"%s.policy_default\" that CREATE EXTENSION made.", IENV_SCHEMA) :
				 errhint("Call instance_env.reset_policy().")));
	/* the set may be gone after the next look-up */
	return type == BOOLOID ||
		type == INT4OID ? value->value : datumCopy(value->value, false, -1);
}

static int
compare_names(const void *name, const void *value)
{
	return strcmp((const char *) name, ((const PolicyValue *) value)->name);
}

/*
 * The value of this name in a set, or NULL.
 */
static const PolicyValue *
find_value(const PolicyKey *key, const char *name)
{
	const PolicySet *set = ienv_cache_find(&cache, key);

	if (set == NULL || !set->complete)
		set = read_set(key);
	if (set->n == 0)
		return NULL;
	return bsearch(name, set->values, set->n, sizeof(PolicyValue),
				   compare_names);
}

static const PolicySet *
read_set(const PolicyKey *key)
{
	Oid			type = key->is_default ? BOOLOID : UUIDOID;
	Datum		arg = key->is_default ? BoolGetDatum(key->type ==
													 IENV_PRODUCTION) :
	UUIDPGetDatum(&key->instance);
	const char *sql = key->is_default ?
	"SELECT name, value FROM instance_env.policy_defaults"
	" WHERE (instance_type OPERATOR(pg_catalog.=)"
	" 'production') OPERATOR(pg_catalog.=) $1 ORDER BY name" :
	"SELECT name, value FROM instance_env.policies"
	" WHERE instance_id OPERATOR(pg_catalog.=) $1"
	" AND source OPERATOR(pg_catalog.=) 'override' ORDER BY name";
	PolicySet  *set;
	IenvOwner	saved;
	uint64		since;
	uint64		n;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);
		n = ienv_query_latest(sql, 1, &type, &arg, NULL);
		set = ienv_cache_enter(&cache, key, since);
	} while (set == NULL);
	ienv_leave_owner(&saved);
	fill(set, SPI_tuptable, n);
	SPI_finish();
	return set;
}

/*
 * Put rows of (name, value) into a set, in the cache's memory context.
 */
static void
fill(PolicySet *set, SPITupleTable *rows, int n)
{
	set->complete = false;
	set->n = n;
	set->values = n == 0 ? NULL :
		MemoryContextAllocZero(cache.context, n * sizeof(PolicyValue));
	for (int i = 0; i < n; i++)
	{
		PolicyValue *value = &set->values[i];
		bool		isnull;
		Datum		name = SPI_getbinval(rows->vals[i], rows->tupdesc, 1,
										 &isnull);
		Datum		json = SPI_getbinval(rows->vals[i], rows->tupdesc, 2,
										 &isnull);

		convert(DatumGetJsonbP(json), value);
		value->name = MemoryContextStrdup(cache.context,
										  TextDatumGetCString(name));
		if (value->type == TEXTOID || value->type == TEXTARRAYOID)
		{
			MemoryContext caller = MemoryContextSwitchTo(cache.context);

			value->value = datumCopy(value->value, false, -1);
			MemoryContextSwitchTo(caller);
		}
	}
	set->complete = true;
}

/*
 * Convert a JSON value to the type as which it is used.
 */
static void
convert(Jsonb *json, PolicyValue *value)
{
	JsonbValue	scalar;

	if (JsonbExtractScalar(&json->root, &scalar))
	{
		int32		number;

		if (scalar.type == jbvNull)
			value->isnull = true;
		else if (scalar.type == jbvString)
		{
			value->type = TEXTOID;
			value->value =
				PointerGetDatum(cstring_to_text_with_len(scalar.val.string.val,
														 scalar.val.string.len));
		}
		else if (scalar.type == jbvBool)
		{
			value->type = BOOLOID;
			value->value = BoolGetDatum(scalar.val.boolean);
		}
		else if (scalar.type == jbvNumeric &&
				 ienv_numeric_is_int(scalar.val.numeric, &number))
		{
			value->type = INT4OID;
			value->value = Int32GetDatum(number);
		}
	}
	else if (JB_ROOT_IS_ARRAY(json))
	{
		Datum	   *elements = palloc(JB_ROOT_COUNT(json) * sizeof(Datum));
		uint32		n = 0;

		for (uint32 i = 0; i < JB_ROOT_COUNT(json); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(&json->root,
																i);

			if (element->type == jbvString)
				elements[n++] =
					PointerGetDatum(cstring_to_text_with_len(element->val.string.val, element->val.string.len));
		}
		if (n == JB_ROOT_COUNT(json))
		{
			value->type = TEXTARRAYOID;
			value->value =
				PointerGetDatum(construct_array(elements, n, TEXTOID, -1,
												false, TYPALIGN_INT));
		}
	}
}

/*
 * Is a number an int32?  Sets *value to it.
 */
bool
ienv_numeric_is_int(Numeric numeric, int32 *value)
{
	bool		out_of_range;

	*value = ienv_numeric_int4(numeric, &out_of_range);
	return !out_of_range &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(numeric),
										 NumericGetDatum(int64_to_numeric(*value))));
}
