/*-------------------------------------------------------------------------
 *
 * setting.c
 *	  The settings of instances.
 *
 * Writers lock the instance first, and raise its config_version if anything
 * changes.  So if a config_version that was read in the same snapshot as
 * settings(), or before, is still current, so are those settings, at every
 * isolation level.
 *
 * setting() is meant for use on every request, not for making changes: it
 * caches all settings of an instance as one jsonb object, and may process an
 * invalidation message a moment after the change becomes visible.  It also
 * caches the sections, by which it tells a setting that is not set from one
 * that is misspelled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/base.h"
#include "config/config.h"
#include "registry/registry.h"

#define MAX_SETTING_NAME	255

/*
 * Limit on all settings of an instance together, in bytes.  A promotion, an
 * export and setting() hold them in one jsonb value, whose limit is 256 MB; a
 * promotion holds those of two instances.
 */
#define MAX_SETTINGS_SIZE	(16 * 1024 * 1024)

/* What setting() caches for an instance */
typedef struct InstanceSettings
{
	pg_uuid_t	instance;
	Jsonb	   *settings;		/* by name; NULL: not read yet */
	Jsonb	   *sections;		/* the known sections, as keys */
} InstanceSettings;

static IenvCache cache = {
	.name = "instance_env settings",
	.keysize = sizeof(pg_uuid_t),
	.entrysize = sizeof(InstanceSettings),
	.max_entries = 1024,
	.tables = {"setting", "setting_section"}
};

static InstanceSettings *settings_of(Datum instance);
static Jsonb *cached_copy(int column);
static char *section_of(const char *name);
pg_noreturn static void refuse_section(const char *name);
static int64 config_version(Datum instance);

PG_FUNCTION_INFO_V1(instance_env_set_setting);
PG_FUNCTION_INFO_V1(instance_env_setting);
PG_FUNCTION_INFO_V1(instance_env_settings);
PG_FUNCTION_INFO_V1(instance_env_config_version);

/*
 * set_setting(instance uuid, name text, value jsonb, expected_version bigint)
 * RETURNS bigint
 *
 * An SQL null, unlike a JSON null, removes the setting.  Returns the
 * config_version.
 */
Datum
instance_env_set_setting(PG_FUNCTION_ARGS)
{
	Datum		instance;
	char	   *name;
	char	   *status;
	int64		version;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	name = ienv_require_text(fcinfo, 1, "name", MAX_SETTING_NAME);

	SPI_connect();
	ienv_require_section(name);
	(void) ienv_lock_instance(instance, &status);
	version = config_version(instance);
	if (!PG_ARGISNULL(3) && PG_GETARG_INT64(3) != version)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the configuration of instance %s is not the expected one",
						ienv_instance_text(instance, true)),
				 errdetail("Its config_version is %lld, not %lld.",
						   (long long) version,
						   (long long) PG_GETARG_INT64(3)),
				 errhint("Read the settings again, then repeat the change with their config_version.")));
	if (ienv_change_setting("set_setting", instance, name,
							PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2)))
	{
		if (!PG_ARGISNULL(2))
			ienv_check_room(instance, name);
		ienv_config_changed(instance);
		version = config_version(instance);
	}
	SPI_finish();
	PG_RETURN_INT64(version);
}

/*
 * setting(instance uuid, name text) RETURNS jsonb
 */
Datum
instance_env_setting(PG_FUNCTION_ARGS)
{
	Datum		instance;
	char	   *name;
	char	   *section;
	InstanceSettings *entry;
	JsonbValue *value;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	name = ienv_require_text(fcinfo, 1, "name", MAX_SETTING_NAME);
	section = section_of(name);
	if (ienv_instance_by_value(instance, true, false) == NULL)
		(void) ienv_require_instance(instance);

	entry = settings_of(instance);
	value = getKeyJsonValueFromContainer(&entry->settings->root, name,
										 strlen(name), NULL);
	if (value != NULL)
		PG_RETURN_JSONB_P(JsonbValueToJsonb(value));
	if (getKeyJsonValueFromContainer(&entry->sections->root, section,
									 strlen(section), NULL) == NULL)
		refuse_section(name);
	PG_RETURN_NULL();
}

/*
 * settings(instance uuid) RETURNS TABLE (name, value)
 */
Datum
instance_env_settings(PG_FUNCTION_ARGS)
{
	static IenvQuery query = {
		.sql = "SELECT name, value FROM instance_env.setting"
		" WHERE instance OPERATOR(pg_catalog.=) $1"
		" ORDER BY name"
	};
	Oid			type = UUIDOID;
	Datum		instance;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	(void) ienv_require_instance(instance);
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	(void) ienv_query_kept(&query, 1, &type, &instance, NULL);
	ienv_return_rows(fcinfo);
	SPI_finish();
	return (Datum) 0;
}

/*
 * config_version(instance uuid) RETURNS bigint
 */
Datum
instance_env_config_version(PG_FUNCTION_ARGS)
{
	static IenvQuery query = {
		.sql = "SELECT config_version FROM instance_env.instance"
		" WHERE id OPERATOR(pg_catalog.=) $1"
	};
	Oid			type = UUIDOID;
	Datum		instance;
	int64		version = 0;
	bool		isnull = true;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	(void) ienv_require_instance(instance);

	/* a snapshot that is older than the instance does not show it */
	SPI_connect();
	if (ienv_query_kept(&query, 1, &type, &instance, NULL) == 1)
		version = DatumGetInt64(ienv_result_datum(0, 1, &isnull));
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_INT64(version);
}

/*
 * Give a setting of a locked instance a value, or remove it if value is 0, and
 * record that under the given action.  A value that uses a feature which the
 * instance may not use is refused.  Returns false if nothing has changed.  SPI
 * is connected; the caller must call ienv_check_room() and raise the
 * config_version.
 */
bool
ienv_change_setting(const char *action, Datum instance, const char *name,
					Datum value)
{
	Oid			types[3] = {UUIDOID, TEXTOID, JSONBOID};
	Datum		values[3] = {instance, CStringGetTextDatum(name), value};
	Datum		old = (Datum) 0;
	bool		isnull = true;

	if (ienv_query("SELECT value FROM instance_env.setting"
				   " WHERE instance OPERATOR(pg_catalog.=) $1"
				   " AND name OPERATOR(pg_catalog.=) $2",
				   2, types, values, NULL) > 0)
		old = ienv_result_datum(0, 1, &isnull);

	if (DatumGetPointer(value) == NULL)
	{
		if (ienv_query("DELETE FROM instance_env.setting"
					   " WHERE instance OPERATOR(pg_catalog.=) $1"
					   " AND name OPERATOR(pg_catalog.=) $2",
					   2, types, values, NULL) == 0)
			return false;
	}
	else
	{
		ienv_refuse_secrets(value,
							psprintf("the value of setting \"%s\"", name));
		ienv_require_setting_features(instance, name, value);
		if (ienv_query("INSERT INTO instance_env.setting AS s (instance, name,"
					   " value) VALUES ($1, $2, $3)"
					   " ON CONFLICT (instance, name) DO UPDATE"
					   " SET value = EXCLUDED.value"
					   " WHERE s.value OPERATOR(pg_catalog.<>) EXCLUDED.value",
					   3, types, values, NULL) == 0)
			return false;
	}

	ienv_record_event(action, NULL, DatumGetUUIDP(instance), name, old, value);
	return true;
}

/*
 * Refuse settings that are too large in total; name is the one that has been
 * set last, or NULL if there are several.  SPI is connected.
 */
void
ienv_check_room(Datum instance, const char *name)
{
	Oid			type = UUIDOID;
	char	   *id = ienv_instance_text(instance, true);
	Size		size = 0;

	(void) ienv_query("SELECT value FROM instance_env.setting"
					  " WHERE instance OPERATOR(pg_catalog.=) $1", 1, &type,
					  &instance, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		/* needs only the length of a value that may be stored out of line */
		size += toast_raw_datum_size(ienv_result_datum(i, 1, &isnull));
	}
	if (size > MAX_SETTINGS_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 name != NULL ?
				 errmsg("setting \"%s\" is too long for instance %s", name, id) :
				 errmsg("the settings are too long for instance %s", id),
				 errdetail("All settings of the instance would take %zu bytes; the limit is %d.",
						   size, MAX_SETTINGS_SIZE),
				 errhint("Store large values elsewhere, and only a reference to them here.")));
}

/*
 * Refuse a name that cannot be a setting's, or whose section is unknown, and a
 * secret in its place before a message repeats it.  SPI is connected.
 */
void
ienv_require_section(const char *name)
{
	Oid			type = TEXTOID;
	Datum		section;

	ienv_refuse_secret(name, "the name of a setting");
	section = CStringGetTextDatum(section_of(name));

	if (ienv_query("SELECT FROM instance_env.setting_section"
				   " WHERE name OPERATOR(pg_catalog.=) $1",
				   1, &type, &section, NULL) == 0)
		refuse_section(name);
}

/*
 * The part of a setting's name before the first dot.  Refuses anything but a
 * section followed by one or more names.
 */
static char *
section_of(const char *name)
{
	const char *dot = strchr(name, '.');
	bool		valid = dot != NULL && strlen(name) <= MAX_SETTING_NAME;

	for (const char *p = name; *p != '\0' && valid; p++)
		if (*p == '.')
			valid = p > name && p[1] != '.' && p[1] != '\0';
		else
			valid = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
				*p == '_';
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" cannot be the name of a setting",
						ienv_clipped(name)),
				 errdetail("A name is a section and one name or more, separated by dots,"
						   " in lower-case letters, digits and underscores."),
				 errhint("The sections are in view instance_env.setting_sections.")));
	return pnstrdup(name, dot - name);
}

static void
refuse_section(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" cannot be the name of a setting", name),
			 errdetail("There is no section \"%s\".", section_of(name)),
			 errhint("The sections are in view instance_env.setting_sections.")));
}

/*
 * The config_version of an instance that the caller has locked.
 */
static int64
config_version(Datum instance)
{
	Oid			type = UUIDOID;
	bool		isnull;

	ienv_query_one("SELECT config_version FROM instance_env.instance"
				   " WHERE id OPERATOR(pg_catalog.=) $1",
				   1, &type, &instance);
	return DatumGetInt64(ienv_result_datum(0, 1, &isnull));
}

/*
 * What setting() needs to know of an instance, from the cache or by reading
 * it.
 */
static InstanceSettings *
settings_of(Datum instance)
{
	InstanceSettings *entry = ienv_cache_find(&cache, DatumGetUUIDP(instance));
	Oid			type = UUIDOID;
	IenvOwner	saved;
	uint64		since;

	if (entry != NULL && entry->settings != NULL)
		return entry;

	SPI_connect();
	ienv_become_owner(&saved);
	do
	{
		since = ienv_cache_time(&cache);
		(void) ienv_query_latest("SELECT COALESCE((SELECT"
								 " pg_catalog.jsonb_object_agg(name, value)"
								 "  FROM instance_env.setting"
								 " WHERE instance OPERATOR(pg_catalog.=) $1),"
								 " '{}'),"
								 " COALESCE((SELECT"
								 " pg_catalog.jsonb_object_agg(name, true)"
								 "  FROM instance_env.setting_section), '{}')",
								 1, &type, &instance, NULL);
		entry = ienv_cache_enter(&cache, DatumGetUUIDP(instance), since);
	} while (entry == NULL);
	ienv_leave_owner(&saved);

	entry->settings = NULL;
	entry->sections = cached_copy(2);
	entry->settings = cached_copy(1);
	SPI_finish();
	return entry;
}

/*
 * A copy, in the cache's memory context, of a column of the last query's
 * result.
 */
static Jsonb *
cached_copy(int column)
{
	bool		isnull;
	Jsonb	   *value = DatumGetJsonbP(ienv_result_datum(0, column, &isnull));

	return memcpy(MemoryContextAlloc(cache.context, VARSIZE(value)), value,
				  VARSIZE(value));
}
