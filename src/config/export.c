/*-------------------------------------------------------------------------
 *
 * export.c
 *	  An instance's configuration as a document.
 *
 * It contains what the instance has set itself, but no secrets, nor any
 * reference to where they are kept.  It names the instance, because some of
 * that is for no other (import.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "base/base.h"
#include "config/config.h"
#include "registry/registry.h"

/*
 * Format of the document; a later one may give the same words another meaning.
 */
#define EXPORT_FORMAT	1

/*
 * The first invalid item of document $1, as (path, problem).
 */
static const char *const problems =
"WITH feature AS (SELECT key, value"
" FROM pg_catalog.jsonb_each($1 OPERATOR(pg_catalog.->) 'features')),"
" connection AS (SELECT key, value"
" FROM pg_catalog.jsonb_each($1 OPERATOR(pg_catalog.->) 'connections'))"
" SELECT pg_catalog.concat('features.', key),"
" 'It must be a whole number greater than zero.' FROM feature"
" WHERE NOT CASE pg_catalog.jsonb_typeof(value) WHEN 'number' THEN"
"  value::pg_catalog.numeric OPERATOR(pg_catalog.>=) 1"
" AND value::pg_catalog.numeric OPERATOR(pg_catalog.<=) 2147483647"
"  AND value::pg_catalog.numeric OPERATOR(pg_catalog.=)"
" pg_catalog.trunc(value::pg_catalog.numeric) ELSE false END"
" UNION ALL"
" SELECT pg_catalog.concat('connections.', c.key), p.problem"
" FROM connection c,"
"  LATERAL (SELECT CASE"
"   WHEN pg_catalog.jsonb_typeof(value) OPERATOR(pg_catalog.<>) 'object'"
" THEN 'It must be an object.'"
"   WHEN (value OPERATOR(pg_catalog.-)"
" '{source, client_id, secret_reference, scopes}'::pg_catalog.text[])"
"    OPERATOR(pg_catalog.<>) '{}' THEN 'It has unknown keys.'"
"   WHEN (value OPERATOR(pg_catalog.->) 'source') OPERATOR(pg_catalog.=) ANY"
"    (ARRAY['\"shared\"', '\"own\"']::pg_catalog.jsonb[]) IS NOT TRUE"
"    THEN 'Its source must be shared or own.'"
"   WHEN EXISTS (SELECT"
" FROM pg_catalog.jsonb_each(value OPERATOR(pg_catalog.-)"
" '{source, scopes}'::pg_catalog.text[]) e"
"    WHERE pg_catalog.jsonb_typeof(e.value) OPERATOR(pg_catalog.<>) 'string')"
"    THEN 'Its client_id and secret_reference must be strings.'"
"   WHEN ((value OPERATOR(pg_catalog.->>) 'source') OPERATOR(pg_catalog.=)"
" 'own') OPERATOR(pg_catalog.<>)"
"    (value OPERATOR(pg_catalog.?) 'client_id')"
" THEN 'Own credentials, and only they, have a client_id.'"
"   WHEN (value OPERATOR(pg_catalog.?) 'secret_reference')"
" AND NOT (value OPERATOR(pg_catalog.?) 'client_id')"
"    THEN 'A secret_reference needs a client_id.'"
"   WHEN NOT CASE pg_catalog.jsonb_typeof(value OPERATOR(pg_catalog.->)"
" 'scopes')"
"    WHEN 'array' THEN NOT EXISTS (SELECT"
" FROM pg_catalog.jsonb_array_elements(value OPERATOR(pg_catalog.->) 'scopes')"
" e"
"     WHERE pg_catalog.jsonb_typeof(e.value) OPERATOR(pg_catalog.<>) 'string')"
"    ELSE (value OPERATOR(pg_catalog.->) 'scopes') IS NULL END"
" THEN 'Its scopes must be an array of strings.'"
"   END AS problem) p"
" WHERE p.problem IS NOT NULL";

static bool is_uuid(const char *text, int length);
pg_noreturn static void refuse_document(const char *problem);

PG_FUNCTION_INFO_V1(instance_env_export_settings);

/*
 * export_settings(instance uuid) RETURNS jsonb
 */
Datum
instance_env_export_settings(PG_FUNCTION_ARGS)
{
	Datum		instance;
	Datum		result;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	(void) ienv_require_instance(instance);

	SPI_connect();
	result = ienv_exported(instance, true);
	if (DatumGetPointer(result) != NULL)
		result = SPI_datumTransfer(result, false, -1);
	SPI_finish();

	/* the snapshot is older than the instance */
	if (DatumGetPointer(result) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/*
 * The configuration of an instance, or 0 if the snapshot shows no such
 * instance; with stable, the snapshot is that of the calling query.
 */
Datum
ienv_exported(Datum instance, bool stable)
{
/* connections without secret_reference */
#define CONNECTION \
	"pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(" \
	"'source', c.source, 'client_id', c.client_id, 'scopes', c.scopes))"
#define OBJECT(key, value, table) \
		"COALESCE((SELECT pg_catalog.jsonb_object_agg(" key ", " value ") FROM instance_env." table " c" \
		" WHERE c.instance OPERATOR(pg_catalog.=) i.id), '{}')"
	static const char *const sql =
	"SELECT pg_catalog.jsonb_build_object('format', " CppAsString2(EXPORT_FORMAT) ", 'instance', i.id, 'instance_type', i.type," " 'settings', " OBJECT("name", "value", "setting") "," " 'policies', " OBJECT("name", "value", "policy_override") " OPERATOR(pg_catalog.||)" "  CASE WHEN i.user_cap IS NULL THEN '{}'" " ELSE pg_catalog.jsonb_build_object('user_cap', i.user_cap) END" " OPERATOR(pg_catalog.||)" "  CASE WHEN i.cap_mode OPERATOR(pg_catalog.=) 'hard' THEN '{}'" " ELSE pg_catalog.jsonb_build_object('user_cap_mode', i.cap_mode) END," " 'features', " OBJECT("feature", "quantity", "instance_feature") "," " 'connections', " OBJECT("provider", CONNECTION, "social_connection") ")" " FROM instance_env.instance i WHERE i.id OPERATOR(pg_catalog.=) $1";
	Oid			type = UUIDOID;
	bool		isnull;

	if ((stable ? ienv_query_active : ienv_query) (sql, 1, &type, &instance,
												   NULL) != 1)
		return (Datum) 0;
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * Refuse anything that is not a document in our format.  Unknown names are
 * refused later, by the functions that set the items.
 */
void
ienv_check_document(Datum document)
{
	static const char *const parts[] =
	{"settings", "policies", "features", "connections"};
	Jsonb	   *jsonb = DatumGetJsonbP(document);
	Oid			type = JSONBOID;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		format = false;

	if (!JB_ROOT_IS_OBJECT(jsonb))
		refuse_document("It is not an object.");
	it = JsonbIteratorInit(&jsonb->root);
	(void) JsonbIteratorNext(&it, &value, false);
	while ((token = JsonbIteratorNext(&it, &value, true)) == WJB_KEY)
	{
		char	   *key = pnstrdup(value.val.string.val, value.val.string.len);
		bool		known = false;

		(void) JsonbIteratorNext(&it, &value, true);
		if (strcmp(key, "format") == 0)
		{
			known = format = true;
			if (value.type != jbvNumeric ||
				!DatumGetBool(DirectFunctionCall2(numeric_eq,
												  NumericGetDatum(value.val.numeric),
												  NumericGetDatum(int64_to_numeric(EXPORT_FORMAT)))))
				refuse_document(psprintf("Its format is not %d.",
										 EXPORT_FORMAT));
		}
		else if (strcmp(key, "instance") == 0)
		{
			known = true;
			if (value.type != jbvString ||
				!is_uuid(value.val.string.val, value.val.string.len))
				refuse_document("Its instance is not the id of one.");
		}
		else if (strcmp(key, "instance_type") == 0)
		{
			known = true;
			if (value.type != jbvString ||
				!((value.val.string.len == 11 &&
				   memcmp(value.val.string.val, "development", 11) == 0) ||
				  (value.val.string.len == 10 &&
				   memcmp(value.val.string.val, "production", 10) == 0)))
				refuse_document("Its instance_type is neither development nor production.");
		}
		for (int i = 0; i < lengthof(parts) && !known; i++)
		{
			known = strcmp(key, parts[i]) == 0;
			if (known &&
				!(value.type == jbvBinary &&
				  JsonContainerIsObject(value.val.binary.data)))
				refuse_document(psprintf("Its part \"%s\" is not an object.",
										 key));
		}
		if (!known)
			refuse_document(psprintf("It has an unknown part, \"%s\".",
									 ienv_clipped(key)));
	}
	if (!format)
		refuse_document("It does not state its format.");

	if (ienv_query(problems, 1, &type, &document, NULL) > 0)
		refuse_document(psprintf("Look at \"%s\". %s",
								 ienv_clipped(ienv_result_text(0, 1)),
								 ienv_result_text(0, 2)));
}

/*
 * Is this a uuid in the form in which they are written?
 */
static bool
is_uuid(const char *text, int length)
{
	if (length != 36)
		return false;
	for (int i = 0; i < length; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' :
			!isxdigit((unsigned char) text[i]))
			return false;
	return true;
}

static void
refuse_document(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the settings to import are not valid"),
			 errdetail("%s", problem),
			 errhint("Import what instance_env.export_settings() returns.")));
}
