/*-------------------------------------------------------------------------
 *
 * configuration.c
 *	  An instance's configuration as a whole: cloned to another instance,
 *	  saved, and restored.
 *
 * The configuration is what is set by name: settings, policy overrides and
 * features.  Domains, social connections and keys are an instance's own and
 * are never cloned.
 *
 * The caller has locked the instances and connected to SPI.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "base/base.h"
#include "config/config.h"

/*
 * Clone whatever may be cloned from source to target, and return the changes.
 *
 * Whatever target has set itself is kept: it was set on purpose.  Whether the
 * plan must cover a feature, which a setting may use, too, depends on target's
 * type.
 */
List *
ienv_clone_configuration(Datum source, Datum target)
{
	static const Oid types[2] = {UUIDOID, UUIDOID};
	Datum		values[2] = {source, target};
	List	   *changes = NIL;

	(void) ienv_query("INSERT INTO instance_env.setting (instance, name,"
					  " value)"
					  " SELECT $2, s.name, s.value FROM instance_env.setting s"
					  " JOIN instance_env.setting_section n"
					  "  ON n.name OPERATOR(pg_catalog.=)"
					  " pg_catalog.split_part(s.name, '.', 1)"
					  " WHERE s.instance OPERATOR(pg_catalog.=) $1"
					  " AND n.cloned AND NOT EXISTS"
					  " (SELECT FROM instance_env.feature f,"
					  "  instance_env.instance i"
					  "  JOIN instance_env.application a"
					  "  ON a.id OPERATOR(pg_catalog.=) i.application"
					  "  WHERE i.id OPERATOR(pg_catalog.=) $2"
					  "  AND " IENV_SETTING_OF_FEATURE("s.name", "f")
					  "  AND instance_env.setting_in_use(s.value)"
					  "  AND NOT " IENV_MAY_USE("f", "i", "a") ")"
					  " ORDER BY s.name"
					  " ON CONFLICT (instance, name) DO NOTHING"
					  " RETURNING name, NULL::pg_catalog.jsonb, value",
					  2, types, values, NULL);
	changes = ienv_add_changes(changes, "clone_setting");

	/*
	 * An override that was set for one type of instance was not meant for the
	 * other: test identities, for example, must not reach production unless
	 * they are allowed there explicitly.
	 */
	(void) ienv_query("INSERT INTO instance_env.policy_override (instance,"
					  " name, value)"
					  " SELECT i.id, s.name, s.value"
					  " FROM instance_env.policy_override s"
					  "  JOIN instance_env.instance o"
					  " ON o.id OPERATOR(pg_catalog.=) s.instance"
					  "  JOIN instance_env.instance i"
					  " ON i.id OPERATOR(pg_catalog.=) $2"
					  "   AND i.type OPERATOR(pg_catalog.=) o.type"
					  " WHERE s.instance OPERATOR(pg_catalog.=) $1"
					  " ORDER BY s.name"
					  " ON CONFLICT (instance, name) DO NOTHING"
					  " RETURNING name, NULL::pg_catalog.jsonb, value",
					  2, types, values, NULL);
	changes = ienv_add_changes(changes, "clone_policy");

	(void) ienv_query("WITH f AS (INSERT INTO instance_env.instance_feature"
					  " (instance, feature, quantity)"
					  " SELECT i.id, s.feature, s.quantity"
					  " FROM instance_env.instance_feature s"
					  "  JOIN instance_env.feature f"
					  " ON f.name OPERATOR(pg_catalog.=) s.feature"
					  "  JOIN instance_env.instance i"
					  " ON i.id OPERATOR(pg_catalog.=) $2"
					  "  JOIN instance_env.application a"
					  " ON a.id OPERATOR(pg_catalog.=) i.application"
					  " WHERE s.instance OPERATOR(pg_catalog.=) $1"
					  " AND " IENV_MAY_USE("f", "i", "a")
					  " ORDER BY s.feature"
					  " ON CONFLICT (instance, feature) DO NOTHING"
					  " RETURNING feature, quantity)"
					  " SELECT feature, NULL::pg_catalog.jsonb,"
					  " pg_catalog.to_jsonb(quantity) FROM f",
					  2, types, values, NULL);
	return ienv_add_changes(changes, "clone_feature");
}

/*
 * An instance's configuration and status, as a jsonb object.
 */
Datum
ienv_configuration(Datum instance)
{
	Oid			type = UUIDOID;
	bool		isnull;

	ienv_query_one("SELECT pg_catalog.jsonb_build_object('status', i.status,"
				   " 'settings',"
				   "  COALESCE((SELECT pg_catalog.jsonb_object_agg(s.name,"
				   " s.value) FROM instance_env.setting s"
				   "   WHERE s.instance OPERATOR(pg_catalog.=) i.id), '{}'),"
				   " 'policies',"
				   "  COALESCE((SELECT pg_catalog.jsonb_object_agg(p.name,"
				   " p.value) FROM instance_env.policy_override p"
				   "   WHERE p.instance OPERATOR(pg_catalog.=) i.id), '{}'),"
				   " 'features',"
				   "  COALESCE((SELECT pg_catalog.jsonb_object_agg(f.feature,"
				   " f.quantity) FROM instance_env.instance_feature f"
				   "   WHERE f.instance OPERATOR(pg_catalog.=) i.id), '{}'))"
				   " FROM instance_env.instance i"
				   " WHERE i.id OPERATOR(pg_catalog.=) $1",
				   1, &type, &instance);
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * Restore an instance's configuration, but not its status, from a snapshot,
 * and return the changes.
 */
List *
ienv_restore_configuration(Datum instance, Datum snapshot)
{
#define RESTORE(table, name, value, part, type) \
		"WITH change AS (" \
		" SELECT COALESCE(t." name ", s.key) AS name, pg_catalog.to_jsonb(t." value ") AS before, s.value AS after" \
		" FROM (SELECT * FROM instance_env." table " WHERE instance OPERATOR(pg_catalog.=) $1) t" \
		"  FULL JOIN pg_catalog.jsonb_each($2 OPERATOR(pg_catalog.->) '" part "') s" \
		"  ON s.key OPERATOR(pg_catalog.=) t." name \
		" WHERE pg_catalog.to_jsonb(t." value ") IS DISTINCT FROM s.value)," \
		" removed AS (DELETE FROM instance_env." table " t USING change c" \
		"  WHERE t.instance OPERATOR(pg_catalog.=) $1 AND t." name " OPERATOR(pg_catalog.=) c.name AND c.after IS NULL)," \
		" restored AS (INSERT INTO instance_env." table " (instance, " name ", " value ")" \
		"  SELECT $1, c.name, c.after::pg_catalog." type " FROM change c WHERE c.after IS NOT NULL" \
		"  ON CONFLICT (instance, " name ") DO UPDATE SET " value " = EXCLUDED." value ")" \
		" SELECT name, before, after FROM change ORDER BY name"
	static const struct
	{
		const char *step;
		const char *sql;
	}			parts[] = {
		{"restore_setting",
		RESTORE("setting", "name", "value", "settings", "jsonb")},
		{"restore_policy",
		RESTORE("policy_override", "name", "value", "policies", "jsonb")},
		{"restore_feature",
			RESTORE("instance_feature", "feature", "quantity", "features",
					"int4")}
	};
	Oid			types[2] = {UUIDOID, JSONBOID};
	Datum		values[2] = {instance, snapshot};
	List	   *changes = NIL;

	for (int i = 0; i < lengthof(parts); i++)
	{
		(void) ienv_query(parts[i].sql, 2, types, values, NULL);
		changes = ienv_add_changes(changes, parts[i].step);
	}
	return changes;
}
