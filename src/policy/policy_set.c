/*-------------------------------------------------------------------------
 *
 * policy_set.c
 *	  Giving an instance a policy other than the default.
 *
 * policy_default says which policies may be overridden.  It also shows what a
 * value looks like: an override has the JSON type of the default or, if the
 * default for this type of instance is null, of the other type's default.
 * Beyond that:
 *
 * - A number is a count, 0 to 2147483647.
 * - A text must contain a letter or a digit, of any script, and nothing that
 *	 hides it, so that the mark of a development instance can be reworded but
 *	 not removed; it has several lines only if the default has.
 * - An array contains some of the default's elements: it can only narrow it.
 * - The mode of the cap and its thresholds have rules of their own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "base/base.h"
#include "cap/cap.h"
#include "policy/policy.h"
#include "registry/registry.h"

/* in bytes */
#define MAX_LINE_LENGTH		200
#define MAX_TEXT_LENGTH		2048

static const Oid types[3] = {UUIDOID, TEXTOID, JSONBOID};

static Jsonb *require_policy(Datum *key, const char *name, IenvType type,
							 bool *overridable);
static const char *value_problem(Jsonb *value, Jsonb *model);
static const char *mode_problem(Jsonb *value);
static const char *thresholds_problem(Jsonb *value);
static const char *text_problem(const char *text, int length, bool lines);
static const char *array_problem(Jsonb *value, Jsonb *model);
static Datum overriding_value(const Datum *key);

PG_FUNCTION_INFO_V1(instance_env_set_policy);
PG_FUNCTION_INFO_V1(instance_env_reset_policy);

/*
 * set_policy(instance uuid, name text, value jsonb) RETURNS void
 */
Datum
instance_env_set_policy(PG_FUNCTION_ARGS)
{
	Datum		values[3];
	char	   *name;
	char	   *status;
	IenvInstance instance;
	Jsonb	   *model;
	Jsonb	   *value;
	JsonbValue	scalar;
	int32		number = 0;
	bool		overridable;
	const char *problem;
	Datum		before;

	ienv_require_argument(fcinfo, 0, "instance");
	name = ienv_require_text(fcinfo, 1, "name", IENV_MAX_WORD);
	ienv_require_argument(fcinfo, 2, "value");
	value = PG_GETARG_JSONB_P(2);

	SPI_connect();
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	instance = ienv_lock_instance(values[0], &status);
	model = require_policy(values, name, instance.type, &overridable);
	if (!overridable)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(instance.type == IENV_PRODUCTION ?
						"cannot override policy \"%s\" of production instance %s" :
						"cannot override policy \"%s\" of development instance %s",
						name, ienv_instance_text(values[0], true)),
				 instance.type == IENV_PRODUCTION ?
				 errdetail("It is the same for every production instance.") :
				 errdetail("It is the same for every development instance."),
				 errhint("View instance_env.policies shows which policies can be overridden.")));
	ienv_refuse_secrets(PG_GETARG_DATUM(2),
						psprintf("the value of policy \"%s\"", name));
	problem = strcmp(name, "user_cap_mode") == 0 ? mode_problem(value) :
		strcmp(name, "user_cap_thresholds") == 0 ? thresholds_problem(value) :
		value_problem(value, model);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for policy \"%s\"", name),
				 errdetail("%s", problem),
				 errhint("Call instance_env.reset_policy() to return to the default.")));

	/* 3.0 is 3 */
	if (JsonbExtractScalar(&value->root, &scalar) &&
		scalar.type == jbvNumeric &&
		ienv_numeric_is_int(scalar.val.numeric, &number))
	{
		scalar.val.numeric = int64_to_numeric(number);
		value = JsonbValueToJsonb(&scalar);
	}
	values[2] = JsonbPGetDatum(value);

	if (strcmp(name, "user_cap") == 0)
		ienv_set_user_cap("set_policy", values[0], number);
	else if (strcmp(name, "user_cap_mode") == 0)
		ienv_set_cap_mode("set_policy", values[0],
						  pnstrdup(scalar.val.string.val,
								   scalar.val.string.len));
	else
	{
		before = overriding_value(values);
		if (ienv_query("INSERT INTO instance_env.policy_override AS o"
					   " (instance, name, value) VALUES ($1, $2, $3)"
					   " ON CONFLICT (instance, name) DO UPDATE"
					   " SET value = EXCLUDED.value"
					   " WHERE o.value OPERATOR(pg_catalog.<>) EXCLUDED.value",
					   3, types, values, NULL) > 0)
		{
			ienv_config_changed(values[0]);
			ienv_record_event("set_policy", NULL, DatumGetUUIDP(values[0]),
							  name, before, values[2]);
		}
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * reset_policy(instance uuid, name text) RETURNS void
 */
Datum
instance_env_reset_policy(PG_FUNCTION_ARGS)
{
	Datum		values[2];
	char	   *name;
	char	   *status;
	IenvInstance instance;
	bool		overridable;
	Datum		before;

	ienv_require_argument(fcinfo, 0, "instance");
	name = ienv_require_text(fcinfo, 1, "name", IENV_MAX_WORD);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);

	SPI_connect();
	instance = ienv_lock_instance(values[0], &status);
	before = overriding_value(values);
	if (DatumGetPointer(before) != NULL)
	{
		(void) ienv_query("DELETE FROM instance_env.policy_override"
						  " WHERE instance OPERATOR(pg_catalog.=) $1"
						  " AND name OPERATOR(pg_catalog.=) $2", 2, types,
						  values, NULL);
		ienv_config_changed(values[0]);
		ienv_record_event("reset_policy", NULL, DatumGetUUIDP(values[0]), name,
						  before, (Datum) 0);
	}
	else
		(void) require_policy(values, name, instance.type, &overridable);
	if (strcmp(name, "user_cap") == 0 && instance.type == IENV_DEVELOPMENT)
		ienv_set_user_cap("reset_policy", values[0], -1);
	if (strcmp(name, "user_cap_mode") == 0 &&
		instance.type == IENV_DEVELOPMENT)
		ienv_set_cap_mode("reset_policy", values[0], "hard");
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * A value to compare an override with, and whether the policy may be
 * overridden; $2 is the policy's name.
 */
static Jsonb *
require_policy(Datum *key, const char *name, IenvType type, bool *overridable)
{
	Datum		args[2] = {BoolGetDatum(type == IENV_PRODUCTION), key[1]};
	static const Oid argtypes[2] = {BOOLOID, TEXTOID};
	bool		isnull;
	bool		mine = false;
	Jsonb	   *model = NULL;

	/* this type's row first */
	(void) ienv_query("SELECT d.value, d.overridable, t.mine"
					  " FROM instance_env.policy_defaults d,"
					  " LATERAL (SELECT"
					  " (d.instance_type OPERATOR(pg_catalog.=) 'production')"
					  "  OPERATOR(pg_catalog.=) $1) AS t (mine)"
					  " WHERE d.name OPERATOR(pg_catalog.=) $2"
					  " ORDER BY t.mine DESC",
					  2, argtypes, args, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Jsonb	   *value =
		DatumGetJsonbP(SPI_getbinval(row, desc, 1, &isnull));
		JsonbValue	scalar;

		if (DatumGetBool(SPI_getbinval(row, desc, 3, &isnull)))
		{
			mine = true;
			*overridable = DatumGetBool(SPI_getbinval(row, desc, 2, &isnull));
		}
		if (model == NULL &&
			!(JsonbExtractScalar(&value->root, &scalar) &&
			  scalar.type == jbvNull))
			model = value;
	}
	if (!mine)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("policy \"%s\" does not exist", name),
				 errhint("All policies are in view instance_env.policies.")));
	return model;
}

/*
 * Why a value cannot be used in place of the model, as a sentence, or NULL if
 * it can.
 */
static const char *
value_problem(Jsonb *value, Jsonb *model)
{
	JsonbValue	scalar;
	JsonbValue	example;
	int32		number;

	if (model == NULL)
		return "It has no value.";
	if (!JsonbExtractScalar(&model->root, &example))
		return array_problem(value, model);
	if (!JsonbExtractScalar(&value->root, &scalar))
		scalar.type = jbvNull;

	switch (example.type)
	{
		case jbvBool:
			return scalar.type == jbvBool ? NULL : "It must be true or false.";
		case jbvNumeric:
			if (scalar.type == jbvNumeric &&
				ienv_numeric_is_int(scalar.val.numeric, &number) &&
				number >= 0)
				return NULL;
			return psprintf("It must be a whole number from 0 to %d.",
							PG_INT32_MAX);
		case jbvString:
			if (scalar.type == jbvString)
				return text_problem(scalar.val.string.val,
									scalar.val.string.len,
									memchr(example.val.string.val, '\n',
										   example.val.string.len) != NULL);
			return "It must be a string.";
		default:
			return "It has no value.";
	}
}

/*
 * The same for policy user_cap_mode.
 */
static const char *
mode_problem(Jsonb *value)
{
	JsonbValue	scalar;

	if (JsonbExtractScalar(&value->root, &scalar) &&
		scalar.type == jbvString && scalar.val.string.len == 4 &&
		(memcmp(scalar.val.string.val, "hard", 4) == 0 ||
		 memcmp(scalar.val.string.val, "soft", 4) == 0))
		return NULL;
	return "It must be \"hard\" or \"soft\".";
}

/*
 * The same for policy user_cap_thresholds.
 */
static const char *
thresholds_problem(Jsonb *value)
{
	if (ienv_are_thresholds(value, NULL))
		return NULL;
	return psprintf("It must be an array of up to %d percentages, whole numbers from 1 to %d in ascending order.",
					IENV_MAX_THRESHOLDS, IENV_MAX_THRESHOLD);
}

static const char *
text_problem(const char *text, int length, bool lines)
{
	int			max_length = lines ? MAX_TEXT_LENGTH : MAX_LINE_LENGTH;
	IenvSight	sight;

	if (length > max_length)
		return psprintf("It must not be longer than %d bytes.", max_length);
	for (int i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (c == 0x7F || (c < ' ' && !(lines && c == '\n')))
			return lines ?
				"It must not contain control characters other than newlines." :
				"It must not contain control characters.";
	}
	sight = ienv_sight_of(text, length);
	if (sight.hidden)
		return "It must not contain characters that are invisible or change the direction of text.";
	return sight.visible ? NULL : "It must contain a letter or a digit.";
}

static const char *
array_problem(Jsonb *value, Jsonb *model)
{
	/* a scalar is stored as an array of one element */
	if (!JB_ROOT_IS_ARRAY(value) || JB_ROOT_IS_SCALAR(value) ||
		JB_ROOT_COUNT(value) == 0)
		return "It must be an array that is not empty.";
	for (uint32 i = 0; i < JB_ROOT_COUNT(value); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&value->root, i);

		if (element->type != jbvString ||
			findJsonbValueFromContainer(&model->root, JB_FARRAY, element) ==
			NULL)
			return psprintf("Its elements must be among %s.",
							JsonbToCString(NULL, &model->root,
										   VARSIZE(model)));
		for (uint32 j = 0; j < i; j++)
		{
			JsonbValue *other = getIthJsonbValueFromContainer(&value->root, j);

			if (other->val.string.len == element->val.string.len &&
				memcmp(other->val.string.val, element->val.string.val,
					   element->val.string.len) == 0)
				return "Its elements must differ.";
		}
	}
	return NULL;
}

/*
 * The override of policy $2 for instance $1, or 0.
 */
static Datum
overriding_value(const Datum *key)
{
	bool		isnull;

	if (ienv_query("SELECT value FROM instance_env.policy_override"
				   " WHERE instance OPERATOR(pg_catalog.=) $1"
				   " AND name OPERATOR(pg_catalog.=) $2", 2, types, key,
				   NULL) == 0)
		return (Datum) 0;
	return ienv_result_datum(0, 1, &isnull);
}
