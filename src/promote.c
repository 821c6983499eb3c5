/*-------------------------------------------------------------------------
 *
 * promote.c
 *	  Activating a production instance.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "instance_env.h"

/* What stands in the way, and what to do about the first of it */
typedef struct Blockers
{
	StringInfoData detail;
	const char *hint;
} Blockers;

static void add_blocker(Blockers *blockers, const char *hint, char *what);

PG_FUNCTION_INFO_V1(instance_env_promote);

/*
 * promote(application uuid, domain text) RETURNS TABLE (step, item, before, after)
 *
 * Returns a row for each change, none if there was nothing to do.  Promotions of
 * an application wait for each other.
 */
Datum
instance_env_promote(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			type = UUIDOID;
	Datum		application;
	char	   *name;
	char	   *instance;
	char	   *status;
	char	   *domain;
	bool		verified;
	bool		isnull;
	Blockers	blockers = {0};

	ienv_require_argument(fcinfo, 0, "application");
	application = PG_GETARG_DATUM(0);
	InitMaterializedSRF(fcinfo, 0);

	SPI_connect();
	ienv_require_application(ienv_query("SELECT name FROM instance_env.application"
										" WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
										1, &type, &application, NULL), application);
	name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

	if (ienv_query("SELECT i.id, i.status, d.name, d.verified_at IS NOT NULL"
				   " FROM instance_env.instance i LEFT JOIN instance_env.domain d"
				   "  ON d.instance OPERATOR(pg_catalog.=) i.id AND d.is_primary"
				   " WHERE i.application OPERATOR(pg_catalog.=) $1 AND i.type OPERATOR(pg_catalog.=) 'production'",
				   1, &type, &application, NULL) != 1)
		elog(ERROR, "application \"%s\" has no production instance", name);
	instance = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	status = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	domain = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
	verified = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4, &isnull));

	initStringInfo(&blockers.detail);
	if (strcmp(status, "suspended") == 0)
		add_blocker(&blockers, "Resume the instance with instance_env.resume_instance().",
					psprintf("Production instance \"%s\" is suspended.", instance));
	if (domain == NULL)
		add_blocker(&blockers, "Associate a domain with instance_env.associate_domain(), then verify it.",
					psprintf("Production instance \"%s\" has no domain.", instance));
	else if (!PG_ARGISNULL(1) && strcmp(domain, text_to_cstring(PG_GETARG_TEXT_PP(1))) != 0)
		add_blocker(&blockers, "Associate the domain with instance_env.associate_domain(), then verify it.",
					psprintf("The domain of production instance \"%s\" is \"%s\", not \"%s\".", instance, domain,
							 text_to_cstring(PG_GETARG_TEXT_PP(1))));
	if (domain != NULL && !verified)
		add_blocker(&blockers, "Verify the domain with instance_env.verify_domain().",
					psprintf("Domain \"%s\" is not verified.", domain));
	if (blockers.hint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_PROMOTION_BLOCKED),
				 errmsg("application \"%s\" cannot be promoted", name),
				 errdetail("%s", blockers.detail.data),
				 errhint("%s", blockers.hint)));

	if (ienv_query("UPDATE instance_env.instance SET status = 'active',"
				   " config_version = config_version OPERATOR(pg_catalog.+) 1"
				   " WHERE application OPERATOR(pg_catalog.=) $1 AND type OPERATOR(pg_catalog.=) 'production'"
				   " AND status OPERATOR(pg_catalog.=) 'inactive'", 1, &type, &application, NULL) == 1)
	{
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = CStringGetTextDatum("activate");
		values[1] = CStringGetTextDatum(instance);
		values[2] = DirectFunctionCall1(jsonb_in, CStringGetDatum("{\"status\": \"inactive\"}"));
		values[3] = DirectFunctionCall1(jsonb_in, CStringGetDatum("{\"status\": \"active\"}"));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * Add a sentence; the hint of the first one is what to do next.
 */
static void
add_blocker(Blockers *blockers, const char *hint, char *what)
{
	if (blockers->hint == NULL)
		blockers->hint = hint;
	else
		appendStringInfoChar(&blockers->detail, '\n');
	appendStringInfoString(&blockers->detail, what);
}
