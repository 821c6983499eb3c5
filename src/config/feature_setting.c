/*-------------------------------------------------------------------------
 *
 * feature_setting.c
 *	  Settings that use a feature.
 *
 * Column "settings" of table feature has the names of the settings that are a
 * feature's.  Such a setting uses the feature, as enable_feature() does, unless
 * its value means that it is not in use (in_use.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "registry/registry.h"

/*
 * Refuse a setting that would make an instance use a feature that it may not
 * use.  The caller has locked the instance and connected to SPI; what others
 * have committed, such as another plan, is seen whatever the snapshot.
 */
void
ienv_require_setting_features(Datum instance, const char *name, Datum value)
{
	Oid			types[3] = {UUIDOID, TEXTOID, JSONBOID};
	Datum		values[3] = {instance, CStringGetTextDatum(name), value};
	char	   *id;
	char	   *feature;
	bool		isnull;

	if (ienv_query_latest("SELECT f.name, i.type OPERATOR(pg_catalog.=) 'production',"
						  " f.plan, a.plan"
						  " FROM instance_env.feature f,"
						  " instance_env.instance i"
						  "  JOIN instance_env.application a"
						  " ON a.id OPERATOR(pg_catalog.=) i.application"
						  " WHERE i.id OPERATOR(pg_catalog.=) $1"
						  " AND " IENV_SETTING_OF_FEATURE("$2", "f")
						  " AND instance_env.setting_in_use($3)"
						  " AND NOT " IENV_MAY_USE("f", "i", "a")
						  " ORDER BY f.plan DESC, f.name LIMIT 1",
						  3, types, values, NULL) == 0)
		return;

	id = ienv_instance_text(instance, true);
	feature = ienv_result_text(0, 1);
	if (DatumGetBool(ienv_result_datum(0, 2, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_IENV_PLAN_UPGRADE),
				 errmsg("production instance %s needs a higher plan", id),
				 errdetail("Setting \"%s\" uses feature \"%s\", which needs plan \"%s\"; the application is on plan \"%s\".",
						   name, feature, ienv_result_text(0, 3),
						   ienv_result_text(0, 4)),
				 errhint("Upgrade the application with instance_env.set_plan().")));
	ereport(ERROR,
			(errcode(ERRCODE_IENV_FEATURE_NOT_AVAILABLE),
			 errmsg("setting \"%s\" is not available in development instance %s",
					name, id),
			 errdetail("It uses feature \"%s\", which is only available in production.",
					   feature),
			 errhint("Use the application's production instance.")));
}
