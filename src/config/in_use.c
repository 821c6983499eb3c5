/*-------------------------------------------------------------------------
 *
 * in_use.c
 *	  Which values of a setting mean that what it is about is in use.
 *
 * People write "not in use" in many ways.  Whoever has to know whether a
 * setting uses something, be it a paid feature or a test account, asks here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "config/config.h"

/* The member of an object that says whether the object is in use */
#define SWITCH "enabled"

static bool container_in_use(JsonbContainer *container);
static bool word_in_use(const char *text, int len);

PG_FUNCTION_INFO_V1(instance_env_setting_in_use);

/*
 * setting_in_use(value jsonb) RETURNS boolean
 */
Datum
instance_env_setting_in_use(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(container_in_use(&PG_GETARG_JSONB_P(0)->root));
}

/*
 * Does a JSON value, of a setting or inside of one, mean that something is in
 * use?  Not if it is false, null, 0, empty, a word such as "off", an object
 * whose member "enabled" is one of these, or contains nothing else.
 */
bool
ienv_in_use(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return false;
		case jbvBool:
			return value->val.boolean;
		case jbvNumeric:
			return DatumGetInt32(DirectFunctionCall2(numeric_cmp,
													 NumericGetDatum(value->val.numeric),
													 NumericGetDatum(int64_to_numeric(0)))) != 0;
		case jbvString:
			return word_in_use(value->val.string.val, value->val.string.len);
		case jbvBinary:
			return container_in_use(value->val.binary.data);
		default:
			elog(ERROR, "unexpected type of JSON value: %d",
				 (int) value->type);
			return false;		/* keep compiler quiet */
	}
}

/*
 * Is this an object whose member "enabled" says that it is not in use?
 */
bool
ienv_switched_off(JsonbContainer *container)
{
	const JsonbValue *on;

	if (!JsonContainerIsObject(container))
		return false;
	on = getKeyJsonValueFromContainer(container, SWITCH, strlen(SWITCH), NULL);
	return on != NULL && !ienv_in_use(on);
}

static bool
container_in_use(JsonbContainer *container)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	value;

	check_stack_depth();
	if (ienv_switched_off(container))
		return false;
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if ((token == WJB_VALUE || token == WJB_ELEM) && ienv_in_use(&value))
			return true;
	return false;
}

/*
 * Is a text anything but blanks or a word that means no, in whatever case?
 */
static bool
word_in_use(const char *word, int len)
{
	static const char *const no[] = {"false", "0", "off", "no", "disabled", "none", "null"};

	while (len > 0 && strchr(" \t\r\n", word[len - 1]) != NULL)
		len--;
	while (len > 0 && strchr(" \t\r\n", *word) != NULL)
	{
		word++;

		len--;
	}
	for (int i = 0; i < lengthof(no); i++)
		if (len == strlen(no[i]) && pg_strncasecmp(word, no[i], len) == 0)
			return false;
	return len > 0;
}
