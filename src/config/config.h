/*-------------------------------------------------------------------------
 *
 * config.h
 *	  The configuration of instances: settings, social connections, features
 *	  and plans, and how they are cloned, exported, imported and compared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_CONFIG_H
#define IENV_CONFIG_H

#include "utils/jsonb.h"

#include "base/base.h"

/*
 * setting.c: settings
 */
extern bool ienv_change_setting(const char *action, Datum instance,
								const char *name, Datum value);
extern void ienv_check_room(Datum instance, const char *name);
extern void ienv_require_section(const char *name);

/*
 * in_use.c: which values of settings mean that something is in use
 */
extern bool ienv_in_use(const JsonbValue *value);
extern bool ienv_switched_off(JsonbContainer *container);

/*
 * feature_setting.c: settings that use features
 *
 * In a query: is this the name of a setting that belongs to feature f, a row
 * of table feature?  May instance i of application a use the feature?
 */
#define IENV_SETTING_OF_FEATURE(name, f) \
	"EXISTS (SELECT FROM pg_catalog.unnest(" f ".settings) feature_setting" \
	" WHERE " name " OPERATOR(pg_catalog.=) feature_setting" \
	" OR pg_catalog.starts_with(" name ", feature_setting OPERATOR(pg_catalog.||) '.'))"
#define IENV_MAY_USE(f, i, a) \
	"CASE WHEN " i ".type OPERATOR(pg_catalog.=) 'production'" \
	" THEN " f ".plan OPERATOR(pg_catalog.<=) " a ".plan" \
	" ELSE NOT " f ".production_only END"

/*
 * Which settings are among the uses of a feature, as column used_by of view
 * instance_features lists them: in words, or null
 */
#define IENV_USING_SETTINGS(used_by) \
	"(SELECT CASE WHEN pg_catalog.count(*) OPERATOR(pg_catalog.>) 0 THEN pg_catalog.concat(" \
	"  'setting \"', pg_catalog.min(pg_catalog.substr(used, 9) COLLATE pg_catalog.\"C\"), '\"'," \
	"  ' and ' OPERATOR(pg_catalog.||)" \
	"  NULLIF(pg_catalog.count(*) OPERATOR(pg_catalog.-) 1, 0) OPERATOR(pg_catalog.||) ' more') END" \
	" FROM pg_catalog.unnest(" used_by ") used WHERE pg_catalog.starts_with(used, 'setting:'))"

extern void ienv_require_setting_features(Datum instance, const char *name,
										  Datum value);

/*
 * feature.c: features
 */
extern void ienv_require_feature(Datum instance, const char *feature);
pg_noreturn extern void ienv_report_unknown_feature(const char *feature);

/*
 * social_rule.c: whose credentials social connections use
 */
pg_noreturn extern void ienv_report_shared_in_production(Datum instance,
														 const char *provider);
pg_noreturn extern void ienv_report_shared_scopes(void);
extern int	ienv_errhint_own_credentials(void);

/*
 * reference.c: references to secrets
 */
extern void ienv_check_reference(const char *reference, const char *argument);

/*
 * configuration.c: an instance's configuration as a whole
 */
extern List *ienv_clone_configuration(Datum source, Datum target);
extern Datum ienv_configuration(Datum instance);
extern List *ienv_restore_configuration(Datum instance, Datum snapshot);

/*
 * report.c: what promote() and rollback_promotion() report
 */
typedef struct IenvChange
{
	const char *step;
	const char *item;
	Datum		before;			/* jsonb, or 0 for null */
	Datum		after;
} IenvChange;

extern List *ienv_add_change(List *changes, const char *step, const char *item,
							 Datum before, Datum after);
extern List *ienv_add_changes(List *changes, const char *step);
extern void ienv_record_changes(const char *action, Datum application,
								Datum instance, const List *changes);
extern void ienv_return_changes(FunctionCallInfo fcinfo, const List *changes);
extern Datum ienv_changes_jsonb(const List *changes);

/*
 * export.c: a configuration as a document
 */
extern Datum ienv_exported(Datum instance, bool stable);
extern void ienv_check_document(Datum document);

/*
 * dry_run.c: doing something and rolling it back
 */
extern void ienv_rehearse(void (*act) (FunctionCallInfo fcinfo),
						  FunctionCallInfo fcinfo);

#endif							/* IENV_CONFIG_H */
