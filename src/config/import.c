/*-------------------------------------------------------------------------
 *
 * import.c
 *	  Applying a document that export_settings() has returned to an instance.
 *
 * An import adds and changes items, and removes none.  It reports what it has
 * changed, by comparing the instance with what it was before, and which items
 * of the document it has left out because this instance cannot have them.
 *
 * What belongs to one environment comes back only into the very instance that
 * the document names, which is the one with that id, whatever else has become
 * of it.  Another instance must not get it even if it is of the same type: a
 * staging environment's production has webhooks and a test account of its own.
 * That is the settings of sections that are not cloned, and whether production
 * accepts test identities.  Own credentials need a secret's reference, which
 * no document has, so they do not get into another instance either.  A
 * document that names no instance is from another.
 *
 * Policies, features and connections are set by the functions that exist for
 * that purpose, so that an import cannot bypass any of their rules.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "config/config.h"
#include "registry/registry.h"

/*
 * The items of document $2 that instance $1 does not have yet, as (part, item,
 * value, current, omission); $3 is its current document.  omission says why
 * the instance cannot have the item, and is null if it can.  Unknown names are
 * left for the functions to refuse.
 */
static const char *const wishes =
"WITH target AS (SELECT i.id, i.type, a.plan,"
" i.type OPERATOR(pg_catalog.=) 'production' AS production, i.user_cap,"
" CASE WHEN i.cap_mode OPERATOR(pg_catalog.<>) 'hard' THEN i.cap_mode END"
" AS cap_mode,"
"  (($2 OPERATOR(pg_catalog.->>) 'instance')::pg_catalog.uuid"
"   OPERATOR(pg_catalog.=) i.id) IS NOT TRUE AS other"
"  FROM instance_env.instance i JOIN instance_env.application a"
" ON a.id OPERATOR(pg_catalog.=) i.application"
"  WHERE i.id OPERATOR(pg_catalog.=) $1),"
" wish AS ("
" SELECT 0 AS part, w.key AS item, w.value,"
"  CASE WHEN t.other AND NOT n.cloned"
" THEN 'section_not_cloned'"
"   WHEN instance_env.setting_in_use(w.value)"
" THEN (SELECT CASE WHEN t.production THEN 'plan_upgrade_required'"
"    ELSE 'feature_not_available' END FROM instance_env.feature f"
"    WHERE " IENV_SETTING_OF_FEATURE("w.key", "f")
"    AND NOT " IENV_MAY_USE("f", "t", "t") " LIMIT 1) END AS omission"
" FROM target t,"
" pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) 'settings') w"
"  LEFT JOIN instance_env.setting s ON s.instance OPERATOR(pg_catalog.=) $1"
" AND s.name OPERATOR(pg_catalog.=) w.key"
"  LEFT JOIN instance_env.setting_section n"
"   ON n.name OPERATOR(pg_catalog.=) pg_catalog.split_part(w.key, '.', 1)"
" WHERE s.value IS DISTINCT FROM w.value"
" UNION ALL"
" SELECT 1, w.key, w.value,"
"  CASE WHEN NOT d.overridable THEN 'policy_not_overridable'"
"   WHEN t.other AND t.production"
" AND w.key OPERATOR(pg_catalog.=) 'test_identities'"
" AND w.value OPERATOR(pg_catalog.=) 'true' THEN 'policy_not_cloned' END"
" FROM target t"
" CROSS JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) 'policies') w"
"  LEFT JOIN instance_env.policy_defaults d"
"   ON d.instance_type OPERATOR(pg_catalog.=) t.type"
" AND d.name OPERATOR(pg_catalog.=) w.key"
"  LEFT JOIN instance_env.policy_override p"
"   ON p.instance OPERATOR(pg_catalog.=) $1"
" AND p.name OPERATOR(pg_catalog.=) w.key,"
"  LATERAL (SELECT CASE w.key WHEN 'user_cap'"
" THEN pg_catalog.to_jsonb(t.user_cap) WHEN 'user_cap_mode'"
" THEN pg_catalog.to_jsonb(t.cap_mode) ELSE p.value END AS value) o"
" WHERE o.value IS DISTINCT FROM w.value"
" UNION ALL"
" SELECT 2, w.key, w.value,"
"  CASE WHEN t.production AND f.plan OPERATOR(pg_catalog.>) t.plan"
" THEN 'plan_upgrade_required'"
"   WHEN NOT t.production AND (f.production_only OR"
"    f.development_limit OPERATOR(pg_catalog.<) w.value::pg_catalog.int4)"
" THEN 'feature_not_available' END"
" FROM target t"
" CROSS JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) 'features') w"
"  LEFT JOIN instance_env.feature f ON f.name OPERATOR(pg_catalog.=) w.key"
"  LEFT JOIN instance_env.instance_feature u"
"   ON u.instance OPERATOR(pg_catalog.=) $1"
" AND u.feature OPERATOR(pg_catalog.=) w.key"
" WHERE pg_catalog.to_jsonb(u.quantity) IS DISTINCT FROM w.value"
" UNION ALL"
 /* a secret's reference is kept as long as the client id is the same */
" SELECT 3, w.key,"
"  CASE WHEN l.own"
" THEN w.value OPERATOR(pg_catalog.||)"
" pg_catalog.jsonb_build_object('secret_reference', l.secret)"
"   ELSE w.value END,"
"  CASE WHEN l.own AND l.secret IS NULL OR NOT l.own AND (t.production"
" OR p.offers_shared IS NOT TRUE)"
"    AND (p.name IS NOT NULL OR pg_catalog.starts_with(w.key, 'custom_'))"
"   THEN 'own_credentials_required' END"
" FROM target t"
" CROSS JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) 'connections') w"
"  LEFT JOIN instance_env.social_provider p"
" ON p.name OPERATOR(pg_catalog.=) w.key"
"  LEFT JOIN instance_env.social_connection c"
"   ON c.instance OPERATOR(pg_catalog.=) $1"
" AND c.provider OPERATOR(pg_catalog.=) w.key,"
"  LATERAL (SELECT (w.value OPERATOR(pg_catalog.->>)"
" 'source') OPERATOR(pg_catalog.=) 'own' AS own,"
"    COALESCE(w.value OPERATOR(pg_catalog.->>) 'secret_reference',"
"     CASE WHEN c.client_id OPERATOR(pg_catalog.=)"
" (w.value OPERATOR(pg_catalog.->>) 'client_id')"
"      THEN c.secret_reference END) AS secret,"
"    COALESCE(pg_catalog.to_jsonb(c.scopes), '[]') AS current_scopes,"
"    CASE pg_catalog.jsonb_typeof(w.value OPERATOR(pg_catalog.->) 'scopes')"
"     WHEN 'array' THEN w.value OPERATOR(pg_catalog.->) 'scopes'"
" ELSE '[]' END AS wanted_scopes) l"
" WHERE CASE WHEN l.own"
" THEN ROW(c.client_id, c.secret_reference, l.current_scopes) IS DISTINCT FROM"
"   ROW(w.value OPERATOR(pg_catalog.->>) 'client_id', l.secret,"
" l.wanted_scopes) OR l.secret IS NULL"
"  ELSE c.source IS NULL END)"
" SELECT part, item, value, $3 OPERATOR(pg_catalog.->)"
"  ('{settings, policies, features, connections}'::pg_catalog.text[])[part"
" OPERATOR(pg_catalog.+) 1]"
"  OPERATOR(pg_catalog.->) item, omission"
" FROM wish ORDER BY part, item COLLATE pg_catalog.\"C\"";

/*
 * How an instance's document changed from $1 to $2: (step, item, before,
 * after).
 */
static const char *const changes =
"SELECT p.step, c.item, c.before, c.after"
" FROM ROWS FROM"
" (pg_catalog.unnest('{settings, policies, features, connections}'::pg_catalog.text[]),"
"   pg_catalog.unnest('{import_setting, import_policy, import_feature, import_connection}'::pg_catalog.text[]))"
"   WITH ORDINALITY AS p (part, step, n),"
"  LATERAL (SELECT COALESCE(b.key, a.key) AS item, b.value AS before,"
" a.value AS after"
"   FROM pg_catalog.jsonb_each($1 OPERATOR(pg_catalog.->) p.part) b"
"    FULL JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) p.part) a"
" ON a.key OPERATOR(pg_catalog.=) b.key"
"   WHERE a.value IS DISTINCT FROM b.value) c"
" ORDER BY p.n, c.item COLLATE pg_catalog.\"C\"";

static void import(FunctionCallInfo fcinfo);
static void fulfil(Datum instance, int part, Datum item, Datum value);

PG_FUNCTION_INFO_V1(instance_env_import_settings);

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
		ienv_rehearse(import, fcinfo);
	else
		import(fcinfo);
	return (Datum) 0;
}

static void
import(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[3] = {UUIDOID, JSONBOID, JSONBOID};
	Datum		values[3] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	Datum		versions[2];
	char	   *status;
	SPITupleTable *wished;
	uint64		n;
	bool		set = false;

	SPI_connect();
	ienv_check_document(values[1]);
	(void) ienv_lock_instance(values[0], &status);
	values[2] = versions[0] = ienv_exported(values[0], false);

	n = ienv_query(wishes, 3, types, values, NULL);
	wished = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = wished->vals[i];
		bool		isnull;
		int			part = DatumGetInt32(SPI_getbinval(row, wished->tupdesc, 1,
													   &isnull));

		if (SPI_getvalue(row, wished->tupdesc, 5) != NULL)
			continue;
		fulfil(values[0], part,
			   SPI_getbinval(row, wished->tupdesc, 2, &isnull),
			   SPI_getbinval(row, wished->tupdesc, 3, &isnull));
		set = set || part == 0;
	}
	if (set)
	{
		ienv_check_room(values[0], NULL);
		ienv_config_changed(values[0]);
	}

	versions[1] = ienv_exported(values[0], false);
	(void) ienv_query(changes, 2, types + 1, versions, NULL);
	ienv_return_rows(fcinfo);

	/* items that were left out are unchanged */
	for (uint64 i = 0; i < n; i++)
	{
		Datum		row[4];
		bool		nulls[4] = {false};

		row[0] = SPI_getbinval(wished->vals[i], wished->tupdesc, 5, &nulls[0]);
		if (nulls[0])
			continue;
		row[1] = SPI_getbinval(wished->vals[i], wished->tupdesc, 2, &nulls[1]);
		row[2] = row[3] = SPI_getbinval(wished->vals[i], wished->tupdesc, 4,
										&nulls[2]);
		nulls[3] = nulls[2];
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row, nulls);
	}
	SPI_finish();
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
		" $3 OPERATOR(pg_catalog.->>) 'client_id',"
		" $3 OPERATOR(pg_catalog.->>) 'secret_reference',"
		" CASE WHEN $3 OPERATOR(pg_catalog.?) 'scopes' THEN"
		"  ARRAY(SELECT"
		" pg_catalog.jsonb_array_elements_text($3 OPERATOR(pg_catalog.->)"
		" 'scopes')) END)"
	};
	Oid			types[3] = {UUIDOID, TEXTOID, JSONBOID};
	Datum		values[3] = {instance, item, value};

	if (part > 0)
		(void) ienv_query(calls[part - 1], 3, types, values, NULL);
	else
	{
		char	   *name = TextDatumGetCString(item);

		ienv_require_section(name);
		(void) ienv_change_setting("import_settings", instance, name, value);
	}
}
