/*-------------------------------------------------------------------------
 *
 * service_set.c
 *	  Giving the service other names: configure_service().
 *
 * A company that runs a service of its own does so once.  Domains, DNS records
 * and keys that exist were made of the old names, so it has to happen before
 * the first application is created.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/base.h"
#include "domain/domain.h"
#include "registry/registry.h"

static const char *conflict(const IenvService *service);
static void refuse_applications(void);
pg_noreturn static void refuse_settings(const char *name, const char *problem);

PG_FUNCTION_INFO_V1(instance_env_configure_service);

/*
 * configure_service(settings jsonb) RETURNS void
 *
 * Names that are not given stay as they are.
 */
Datum
instance_env_configure_service(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {TEXTOID, JSONBOID};
	Jsonb	   *settings;
	JsonbIterator *it;
	JsonbValue	value;
	const char *problem;

	ienv_require_argument(fcinfo, 0, "settings");
	settings = PG_GETARG_JSONB_P(0);
	if (!JB_ROOT_IS_OBJECT(settings))
		refuse_settings(NULL, "They are not an object.");

	SPI_connect();
	refuse_applications();

	/*
	 * from here on, no session creates one, or configures the service, until
	 * this transaction ends
	 */
	(void) ienv_query("LOCK TABLE ONLY instance_env.application IN SHARE ROW EXCLUSIVE MODE",
					  0, NULL, NULL, NULL);
	refuse_applications();

	it = JsonbIteratorInit(&settings->root);
	(void) JsonbIteratorNext(&it, &value, false);
	while (JsonbIteratorNext(&it, &value, true) == WJB_KEY)
	{
		Datum		values[2];
		char	   *name = pnstrdup(value.val.string.val,
									value.val.string.len);

		(void) JsonbIteratorNext(&it, &value, true);
		problem = ienv_service_problem(name, &value);
		if (problem != NULL)
			refuse_settings(name, problem);
		values[0] = CStringGetTextDatum(name);
		values[1] = JsonbPGetDatum(JsonbValueToJsonb(&value));
		(void) ienv_query("UPDATE instance_env.service s SET value = $2"
						  " FROM instance_env.service b"
						  " WHERE s.name OPERATOR(pg_catalog.=) $1"
						  " AND b.name OPERATOR(pg_catalog.=) s.name"
						  " AND s.value OPERATOR(pg_catalog.<>) $2"
						  " RETURNING b.value, s.value", 2, types, values,
						  NULL);
		ienv_record_returned("configure_service", NULL, NULL, name);
	}
	problem = conflict(ienv_service());
	if (problem != NULL)
		refuse_settings(NULL, problem);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Raise an error if there is an application, whatever this transaction's
 * snapshot shows.
 */
static void
refuse_applications(void)
{
	if (ienv_query_latest("SELECT FROM instance_env.application LIMIT 1", 0,
						  NULL, NULL, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot configure the service because there are applications"),
				 errdetail("Their domains, DNS records and keys are made of the names that the service has."),
				 errhint("Call instance_env.configure_service() before the first application is created.")));
}

static void
refuse_settings(const char *name, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 name == NULL ?
			 errmsg("the names of the service are not valid") :
			 errmsg("invalid value for \"%s\" of the service",
					ienv_clipped(name)),
			 errdetail("%s", problem),
			 errhint("View instance_env.service_names shows which names there are, and what they look like.")));
}

/*
 * What the names cannot be together, or NULL: records on one domain have
 * different names, and the prefix of a key tells what it is.
 */
static const char *
conflict(const IenvService *service)
{
	const char *prefixes[] = {
		service->publishable[0], service->publishable[1], service->secret[0],
		service->secret[1], service->legacy[0], service->legacy[1]
	};

	if (strcmp(service->frontend_api_label, service->portal_label) == 0)
		return "The frontend API and the account portal have the same label.";
	for (int i = 0; i < service->nmail; i++)
		if (strcmp(service->mail[i].record, service->portal_label) == 0 ||
			strcmp(service->mail[i].record, service->frontend_api_label) == 0)
			return psprintf("Two DNS records have the name \"%s\".",
							service->mail[i].record);
	for (int i = 0; i < lengthof(prefixes); i++)
		for (int j = 0; j < lengthof(prefixes); j++)
			if (i != j && prefixes[i] != NULL && prefixes[j] != NULL &&
				strncmp(prefixes[i], prefixes[j], strlen(prefixes[j])) == 0)
				return psprintf("Keys that begin with \"%s\" would also begin with \"%s\".",
								prefixes[i], prefixes[j]);
	return NULL;
}
