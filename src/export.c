/*-------------------------------------------------------------------------
 *
 * export.c
 *	  An instance's configuration as a document, and back.
 *
 * The document names what the instance has set itself, but no secret, nor where one
 * is kept.  Importing it adds and changes, and removes nothing.  It says what it has
 * changed by comparing the instance with what it was before, and which parts of the
 * document it has left out, for this instance cannot have them.
 *
 * Policies, features and connections are set by the functions that are there for it,
 * so that an import gets round none of their rules.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/resowner.h"

#include "instance_env.h"

/* The document's format; a later one may mean another thing by the same words. */
#define EXPORT_FORMAT	1

/* A social connection, of alias c, as the document shows it */
#define CONNECTION \
	"pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(" \
	"'source', c.source, 'client_id', c.client_id, 'scopes', c.scopes))"

/*
 * What the document $2 asks of the instance $1, except for what is so already:
 * (part, item, value, current, omission), where omission says why the instance
 * cannot have it.  What is unknown is left to the functions to refuse.
 */
static const char *const wishes =
	"WITH target AS (SELECT i.id, i.type, a.plan, i.type OPERATOR(pg_catalog.=) 'production' AS production, i.user_cap,"
	"   i.type::pg_catalog.text OPERATOR(pg_catalog.<>) ($2 OPERATOR(pg_catalog.->>) 'instance_type') AS other_type"
	"  FROM instance_env.instance i JOIN instance_env.application a ON a.id OPERATOR(pg_catalog.=) i.application"
	"  WHERE i.id OPERATOR(pg_catalog.=) $1),"
	" wish AS ("
	" SELECT 0 AS part, w.key AS item, w.value, s.value AS current,"
	"  CASE WHEN t.other_type AND NOT n.cloned THEN 'section_not_cloned' END AS omission"
	" FROM target t, pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) 'settings') w"
	"  LEFT JOIN instance_env.setting s ON s.instance OPERATOR(pg_catalog.=) $1 AND s.name OPERATOR(pg_catalog.=) w.key"
	"  LEFT JOIN instance_env.setting_section n"
	"   ON n.name OPERATOR(pg_catalog.=) pg_catalog.split_part(w.key, '.', 1)"
	" WHERE s.value IS DISTINCT FROM w.value"
	" UNION ALL"
	" SELECT 1, w.key, w.value, o.value,"
	"  CASE WHEN NOT d.overridable THEN 'policy_not_overridable' END"
	" FROM target t CROSS JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) 'policies') w"
	"  LEFT JOIN instance_env.policy_default d"
	"   ON d.instance_type OPERATOR(pg_catalog.=) t.type AND d.name OPERATOR(pg_catalog.=) w.key"
	"  LEFT JOIN instance_env.policy_override p"
	"   ON p.instance OPERATOR(pg_catalog.=) $1 AND p.name OPERATOR(pg_catalog.=) w.key,"
	"  LATERAL (SELECT CASE w.key WHEN 'user_cap' THEN pg_catalog.to_jsonb(t.user_cap) ELSE p.value END AS value) o"
	" WHERE o.value IS DISTINCT FROM w.value"
	" UNION ALL"
	" SELECT 2, w.key, w.value, pg_catalog.to_jsonb(u.quantity),"
	"  CASE WHEN t.production AND f.plan OPERATOR(pg_catalog.>) t.plan THEN 'plan_upgrade_required'"
	"   WHEN NOT t.production AND (f.production_only OR"
	"    f.development_limit OPERATOR(pg_catalog.<) w.value::pg_catalog.int4) THEN 'feature_not_available' END"
	" FROM target t CROSS JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) 'features') w"
	"  LEFT JOIN instance_env.feature f ON f.name OPERATOR(pg_catalog.=) w.key"
	"  LEFT JOIN instance_env.instance_feature u"
	"   ON u.instance OPERATOR(pg_catalog.=) $1 AND u.feature OPERATOR(pg_catalog.=) w.key"
	" WHERE pg_catalog.to_jsonb(u.quantity) IS DISTINCT FROM w.value"
	" UNION ALL"
	/* the reference to a secret stays with the client id that it is for */
	" SELECT 3, w.key,"
	"  CASE WHEN l.own THEN w.value OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('secret_reference', l.secret)"
	"   ELSE w.value END,"
	"  CASE WHEN c.source IS NOT NULL THEN " CONNECTION " END,"
	"  CASE WHEN l.own AND l.secret IS NULL OR NOT l.own AND (t.production OR p.offers_shared IS NOT TRUE)"
	"   THEN 'own_credentials_required' END"
	" FROM target t CROSS JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) 'connections') w"
	"  LEFT JOIN instance_env.social_provider p ON p.name OPERATOR(pg_catalog.=) w.key"
	"  LEFT JOIN instance_env.social_connection c"
	"   ON c.instance OPERATOR(pg_catalog.=) $1 AND c.provider OPERATOR(pg_catalog.=) w.key,"
	"  LATERAL (SELECT (w.value OPERATOR(pg_catalog.->>) 'source') OPERATOR(pg_catalog.=) 'own' AS own,"
	"    COALESCE(w.value OPERATOR(pg_catalog.->>) 'secret_reference',"
	"     CASE WHEN c.client_id OPERATOR(pg_catalog.=) (w.value OPERATOR(pg_catalog.->>) 'client_id')"
	"      THEN c.secret_reference END) AS secret,"
	"    COALESCE(pg_catalog.to_jsonb(c.scopes), '[]') AS current_scopes,"
	"    CASE pg_catalog.jsonb_typeof(w.value OPERATOR(pg_catalog.->) 'scopes')"
	"     WHEN 'array' THEN w.value OPERATOR(pg_catalog.->) 'scopes' ELSE '[]' END AS wanted_scopes) l"
	" WHERE CASE WHEN l.own THEN ROW(c.client_id, c.secret_reference, l.current_scopes) IS DISTINCT FROM"
	"   ROW(w.value OPERATOR(pg_catalog.->>) 'client_id', l.secret, l.wanted_scopes) OR l.secret IS NULL"
	"  ELSE c.source IS NULL END)"
	" SELECT part, item, value, current, omission FROM wish ORDER BY part, item COLLATE pg_catalog.\"C\"";

/*
 * The first thing in the document $1 that cannot be meant: (path, problem).
 */
static const char *const problems =
	"WITH part AS (SELECT key, value FROM pg_catalog.jsonb_each($1)),"
	" feature AS (SELECT key, value FROM pg_catalog.jsonb_each($1 OPERATOR(pg_catalog.->) 'features')),"
	" connection AS (SELECT key, value FROM pg_catalog.jsonb_each($1 OPERATOR(pg_catalog.->) 'connections'))"
	" SELECT pg_catalog.concat('features.', key), 'It must be a whole number greater than zero.' FROM feature"
	" WHERE NOT CASE pg_catalog.jsonb_typeof(value) WHEN 'number' THEN"
	"  value::pg_catalog.numeric OPERATOR(pg_catalog.>=) 1 AND value::pg_catalog.numeric OPERATOR(pg_catalog.<=) 2147483647"
	"  AND value::pg_catalog.numeric OPERATOR(pg_catalog.=) pg_catalog.trunc(value::pg_catalog.numeric) ELSE false END"
	" UNION ALL"
	" SELECT pg_catalog.concat('connections.', c.key), p.problem FROM connection c,"
	"  LATERAL (SELECT CASE"
	"   WHEN pg_catalog.jsonb_typeof(value) OPERATOR(pg_catalog.<>) 'object' THEN 'It must be an object.'"
	"   WHEN (value OPERATOR(pg_catalog.-) '{source, client_id, secret_reference, scopes}'::pg_catalog.text[])"
	"    OPERATOR(pg_catalog.<>) '{}' THEN 'It has unknown keys.'"
	"   WHEN (value OPERATOR(pg_catalog.->) 'source') OPERATOR(pg_catalog.=) ANY"
	"    (ARRAY['\"shared\"', '\"own\"']::pg_catalog.jsonb[]) IS NOT TRUE"
	"    THEN 'Its source must be shared or own.'"
	"   WHEN EXISTS (SELECT FROM pg_catalog.jsonb_each(value OPERATOR(pg_catalog.-) '{source, scopes}'::pg_catalog.text[]) e"
	"    WHERE pg_catalog.jsonb_typeof(e.value) OPERATOR(pg_catalog.<>) 'string')"
	"    THEN 'Its client_id and secret_reference must be strings.'"
	"   WHEN ((value OPERATOR(pg_catalog.->>) 'source') OPERATOR(pg_catalog.=) 'own') OPERATOR(pg_catalog.<>)"
	"    (value OPERATOR(pg_catalog.?) 'client_id') THEN 'Own credentials, and only they, have a client_id.'"
	"   WHEN (value OPERATOR(pg_catalog.?) 'secret_reference') AND NOT (value OPERATOR(pg_catalog.?) 'client_id')"
	"    THEN 'A secret_reference needs a client_id.'"
	"   WHEN NOT CASE pg_catalog.jsonb_typeof(value OPERATOR(pg_catalog.->) 'scopes')"
	"    WHEN 'array' THEN NOT EXISTS (SELECT FROM pg_catalog.jsonb_array_elements(value OPERATOR(pg_catalog.->) 'scopes') e"
	"     WHERE pg_catalog.jsonb_typeof(e.value) OPERATOR(pg_catalog.<>) 'string')"
	"    ELSE (value OPERATOR(pg_catalog.->) 'scopes') IS NULL END THEN 'Its scopes must be an array of strings.'"
	"   END AS problem) p"
	" WHERE p.problem IS NOT NULL";

/* What the instance was before, $1, and is now, $2, as rows of import_settings() */
static const char *const changes =
	"SELECT p.step, c.item, c.before, c.after"
	" FROM ROWS FROM (pg_catalog.unnest('{settings, policies, features, connections}'::pg_catalog.text[]),"
	"   pg_catalog.unnest('{import_setting, import_policy, import_feature, import_connection}'::pg_catalog.text[]))"
	"   WITH ORDINALITY AS p (part, step, n),"
	"  LATERAL (SELECT COALESCE(b.key, a.key) AS item, b.value AS before, a.value AS after"
	"   FROM pg_catalog.jsonb_each($1 OPERATOR(pg_catalog.->) p.part) b"
	"    FULL JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) p.part) a ON a.key OPERATOR(pg_catalog.=) b.key"
	"   WHERE a.value IS DISTINCT FROM b.value) c"
	" ORDER BY p.n, c.item COLLATE pg_catalog.\"C\"";

static void rehearse(FunctionCallInfo fcinfo);
static void import(FunctionCallInfo fcinfo);
static Datum exported(Datum instance, bool stable);
static void check_document(Datum document);
pg_noreturn static void refuse_document(const char *problem);
static void fulfil(Datum instance, int part, Datum item, Datum value);

PG_FUNCTION_INFO_V1(instance_env_export_settings);
PG_FUNCTION_INFO_V1(instance_env_import_settings);

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
	result = exported(instance, true);
	if (DatumGetPointer(result) != NULL)
		result = SPI_datumTransfer(result, false, -1);
	SPI_finish();

	/* a snapshot that is older than the instance */
	if (DatumGetPointer(result) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/*
 * import_settings(instance uuid, settings jsonb, dry_run boolean)
 * RETURNS TABLE (step, item, before, after)
 */
Datum
instance_env_import_settings(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "settings");
	ienv_require_argument(fcinfo, 2, "dry_run");
	InitMaterializedSRF(fcinfo, 0);

	if (PG_GETARG_BOOL(2))
		rehearse(fcinfo);
	else
		import(fcinfo);
	return (Datum) 0;
}

/*
 * Import in a subtransaction, and roll that back; only the rows remain.
 */
static void
rehearse(FunctionCallInfo fcinfo)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		import(fcinfo);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		/* the caller, who knows of no subtransaction, must not be left in it */
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

static void
import(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[2] = {UUIDOID, JSONBOID};
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	Datum		versions[2];
	char	   *status;
	SPITupleTable *wished;
	uint64		n;
	bool		set = false;

	SPI_connect();
	check_document(values[1]);
	(void) ienv_lock_instance(values[0], &status);
	versions[0] = exported(values[0], false);

	n = ienv_query(wishes, 2, types, values, NULL);
	wished = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = wished->vals[i];
		bool		isnull;
		int			part = DatumGetInt32(SPI_getbinval(row, wished->tupdesc, 1, &isnull));

		if (SPI_getvalue(row, wished->tupdesc, 5) != NULL)
			continue;
		fulfil(values[0], part, SPI_getbinval(row, wished->tupdesc, 2, &isnull),
			   SPI_getbinval(row, wished->tupdesc, 3, &isnull));
		set = set || part == 0;
	}
	if (set)
		ienv_config_changed(values[0]);

	versions[1] = exported(values[0], false);
	types[0] = JSONBOID;
	(void) ienv_query(changes, 2, types, versions, NULL);
	ienv_return_rows(fcinfo);

	/* what was left out is as it was */
	for (uint64 i = 0; i < n; i++)
	{
		Datum		row[4];
		bool		nulls[4] = {false};

		row[0] = SPI_getbinval(wished->vals[i], wished->tupdesc, 5, &nulls[0]);
		if (nulls[0])
			continue;
		row[1] = SPI_getbinval(wished->vals[i], wished->tupdesc, 2, &nulls[1]);
		row[2] = row[3] = SPI_getbinval(wished->vals[i], wished->tupdesc, 4, &nulls[2]);
		nulls[3] = nulls[2];
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	SPI_finish();
}

/*
 * The configuration of an instance, or 0 if the snapshot shows no such instance;
 * with stable, that is the snapshot of the query that calls us.
 */
static Datum
exported(Datum instance, bool stable)
{
#define OBJECT(key, value, table) \
		"COALESCE((SELECT pg_catalog.jsonb_object_agg(" key ", " value ") FROM instance_env." table " c" \
		" WHERE c.instance OPERATOR(pg_catalog.=) i.id), '{}')"
	static const char *const sql = "SELECT pg_catalog.jsonb_build_object('format', " CppAsString2(EXPORT_FORMAT) ", 'instance_type', i.type,"
		" 'settings', " OBJECT("name", "value", "setting") ","
		" 'policies', " OBJECT("name", "value", "policy_override") " OPERATOR(pg_catalog.||)"
		"  CASE WHEN i.user_cap IS NULL THEN '{}' ELSE pg_catalog.jsonb_build_object('user_cap', i.user_cap) END,"
		" 'features', " OBJECT("feature", "quantity", "instance_feature") ","
		" 'connections', " OBJECT("provider", CONNECTION, "social_connection") ")"
		" FROM instance_env.instance i WHERE i.id OPERATOR(pg_catalog.=) $1";
	Oid			type = UUIDOID;
	bool		isnull;

	if ((stable ? ienv_query_active : ienv_query) (sql, 1, &type, &instance, NULL) != 1)
		return (Datum) 0;
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
}

/*
 * Refuse what is no document of ours.  Names are for those to refuse who know them.
 */
static void
check_document(Datum document)
{
	static const char *const parts[] = {"settings", "policies", "features", "connections"};
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
				!DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value.val.numeric),
												  NumericGetDatum(int64_to_numeric(EXPORT_FORMAT)))))
				refuse_document(psprintf("Its format is not %d.", EXPORT_FORMAT));
		}
		else if (strcmp(key, "instance_type") == 0)
		{
			known = true;
			if (value.type != jbvString ||
				!((value.val.string.len == 11 && memcmp(value.val.string.val, "development", 11) == 0) ||
				  (value.val.string.len == 10 && memcmp(value.val.string.val, "production", 10) == 0)))
				refuse_document("Its instance_type is neither development nor production.");
		}
		for (int i = 0; i < lengthof(parts) && !known; i++)
		{
			known = strcmp(key, parts[i]) == 0;
			if (known && !(value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data)))
				refuse_document(psprintf("Its part \"%s\" is not an object.", key));
		}
		if (!known)
			refuse_document(psprintf("It has an unknown part, \"%s\".", ienv_clipped(key)));
	}
	if (!format)
		refuse_document("It does not say its format.");

	if (ienv_query(problems, 1, &type, &document, NULL) > 0)
		refuse_document(psprintf("Look at \"%s\". %s",
								 ienv_clipped(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
								 SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2)));
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

/*
 * Set one item of a part of the document.
 */
static void
fulfil(Datum instance, int part, Datum item, Datum value)
{
	static const char *const calls[] = {
		"SELECT instance_env.set_policy($1, $2, $3)",
		"SELECT instance_env.enable_feature($1, $2, $3::pg_catalog.int4)",
		"SELECT instance_env.set_social_connection($1, $2,"
		" $3 OPERATOR(pg_catalog.->>) 'client_id', $3 OPERATOR(pg_catalog.->>) 'secret_reference',"
		" CASE WHEN $3 OPERATOR(pg_catalog.?) 'scopes' THEN"
		"  ARRAY(SELECT pg_catalog.jsonb_array_elements_text($3 OPERATOR(pg_catalog.->) 'scopes')) END)"
	};
	Oid			types[3] = {UUIDOID, TEXTOID, JSONBOID};
	Datum		values[3] = {instance, item, value};

	if (part > 0)
		(void) ienv_query(calls[part - 1], 3, types, values, NULL);
	else
	{
		char	   *name = TextDatumGetCString(item);

		ienv_require_section(name);
		(void) ienv_change_setting("import_settings", instance, name, value, NULL);
	}
}
