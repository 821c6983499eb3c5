/*-------------------------------------------------------------------------
 *
 * promote.c
 *	  Promotion: an application's production instance goes live.
 *
 * All of it happens in the caller's transaction, with the application and both
 * of its instances locked; a promotion that is refused has changed nothing.  A
 * dry run does the same, in a subtransaction that is rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "domain/domain.h"
#include "promotion/promotion.h"
#include "registry/registry.h"

/* What stands in the way, and what to do about the first of it */
typedef struct Blockers
{
	StringInfoData detail;
	const char *hint;
} Blockers;

static void promote(FunctionCallInfo fcinfo);
static void check_domain(Blockers *blockers,
						 const IenvApplication *application,
						 const char *domain);
static void add_blocker(Blockers *blockers, const char *hint,
						const char *what);
static void report_blockers(const Blockers *blockers, const char *name);
static void record_promotion(Datum application, Datum snapshot,
							 const List *changes);

PG_FUNCTION_INFO_V1(instance_env_promote);

IENV_BY_NAME(promote, ienv_find_application);

/*
 * promote(application uuid, domain text, clone_settings boolean,
 *		   dry_run boolean)
 * RETURNS TABLE (step, item, before, after)
 *
 * Returns a row for each change, none if there was nothing to do.  Promotions
 * of an application wait for each other.
 */
Datum
instance_env_promote(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "application");
	ienv_require_argument(fcinfo, 2, "clone_settings");
	ienv_require_argument(fcinfo, 3, "dry_run");
	InitMaterializedSRF(fcinfo, 0);

	if (PG_GETARG_BOOL(3))
		ienv_rehearse(promote, fcinfo);
	else
		promote(fcinfo);
	return (Datum) 0;
}

static void
promote(FunctionCallInfo fcinfo)
{
	Datum		id = PG_GETARG_DATUM(0);
	bool		clone_settings = PG_GETARG_BOOL(2);
	char	   *domain = PG_ARGISNULL(1) ? NULL :
	ienv_require_text(fcinfo, 1, "domain", IENV_MAX_DOMAIN);
	IenvApplication application;
	Datum		production;
	Datum		snapshot;
	Oid			type = UUIDOID;
	List	   *changes = NIL;
	ListCell   *lc;
	Blockers	blockers = {0};

	SPI_connect();
	application = ienv_lock_application(id);
	production = application.instances[IENV_PRODUCTION];

	initStringInfo(&blockers.detail);
	if (domain != NULL)
		check_domain(&blockers, &application, domain);
	if (strcmp(application.status[IENV_PRODUCTION], "active") == 0)
	{
		report_blockers(&blockers, application.name);
		ereport(NOTICE,
				(errmsg("production instance of application \"%s\" is already active",
						application.name)));
		SPI_finish();
		return;
	}
	foreach(lc, ienv_validate(production, clone_settings))
	{
		const IenvCheck *check = lfirst(lc);

		if (!check->passed && check->severity == IENV_ERROR)
			add_blocker(&blockers, check->hint, check->message);
	}
	report_blockers(&blockers, application.name);

	snapshot = ienv_configuration(production);
	if (clone_settings)
		changes =
			ienv_clone_configuration(application.instances[IENV_DEVELOPMENT],
									 production);

	/* validate() has reported a suspended instance as a blocker */
	if (ienv_query("UPDATE instance_env.instance SET status = 'active',"
				   " config_version = config_version OPERATOR(pg_catalog.+) 1"
				   " WHERE id OPERATOR(pg_catalog.=) $1"
				   " AND status OPERATOR(pg_catalog.=) 'inactive'",
				   1, &type, &production, NULL) != 1)
		elog(ERROR, "production instance %s is not inactive",
			 ienv_instance_text(production, true));
	changes = ienv_add_change(changes, "activate",
							  DatumGetCString(DirectFunctionCall1(uuid_out,
																  production)),
							  ienv_jsonb("{\"status\": \"inactive\"}"),
							  ienv_jsonb("{\"status\": \"active\"}"));

	record_promotion(id, snapshot, changes);
	ienv_record_changes("promote", id, production, changes);
	ienv_return_changes(fcinfo, changes);
	SPI_finish();
}

/*
 * Check that the domain that was asked for is the primary one of the
 * production instance.
 */
static void
check_domain(Blockers *blockers, const IenvApplication *application,
			 const char *domain)
{
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2] = {application->instances[IENV_PRODUCTION], CStringGetTextDatum(domain)};
	const char *problem;

	/* what is associated stays so, whatever the list says of it by now */
	if (ienv_query("SELECT FROM instance_env.domain"
				   " WHERE name OPERATOR(pg_catalog.=) $2"
				   " AND instance OPERATOR(pg_catalog.=) $1"
				   " AND is_primary", 2, types, values, NULL) > 0)
		return;
	problem = ienv_domain_problem(domain);
	if (problem != NULL)
		add_blocker(blockers, "A domain is a host name such as example.com.",
					psprintf("\"%s\" cannot be the domain of a production instance. %s", domain, problem));
	else if (ienv_query("SELECT FROM instance_env.domain"
						" WHERE name OPERATOR(pg_catalog.=) $2"
						" AND instance OPERATOR(pg_catalog.<>) $1", 2, types,
						values, NULL) > 0)
		add_blocker(blockers,
					"Associate a domain of this application's own with instance_env.associate_domain().",
					psprintf("\"%s\" is the domain of another application.",
							 domain));
	else
		add_blocker(blockers,
					strcmp(application->status[IENV_PRODUCTION], "inactive") ==
					0 ?
					"Associate the domain with instance_env.associate_domain(), then verify it." :
					"Change the domain with instance_env.change_domain().",
					psprintf("\"%s\" is not the primary domain of production instance %s.", domain,
							 ienv_instance_text(values[0], true)));
}

/*
 * Add a sentence; the first hint is what to do next.
 */
static void
add_blocker(Blockers *blockers, const char *hint, const char *what)
{
	if (blockers->hint == NULL)
		blockers->hint = hint;
	if (blockers->detail.len > 0)
		appendStringInfoChar(&blockers->detail, '\n');
	appendStringInfoString(&blockers->detail, what);
}

static void
report_blockers(const Blockers *blockers, const char *name)
{
	if (blockers->detail.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_PROMOTION_BLOCKED),
				 errmsg("application \"%s\" cannot be promoted", name),
				 errdetail("%s", blockers->detail.data),
				 blockers->hint == NULL ? 0 : errhint("%s", blockers->hint)));
}

/*
 * Add to the history of promotions.  The current_user recorded is the role
 * that called us, not the one that a SECURITY DEFINER function acts as.
 */
static void
record_promotion(Datum application, Datum snapshot, const List *changes)
{
	Oid			types[6] = {UUIDOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, TEXTOID};
	Datum		values[6];

	values[0] = application;
	values[1] =
		CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	values[2] =
		CStringGetTextDatum(GetUserNameFromId(GetOuterUserId(), false));
	values[3] = snapshot;
	values[4] = ienv_changes_jsonb(changes);
	values[5] = ienv_application_name();
	(void) ienv_query("INSERT INTO instance_env.promotion (application,"
					  " session_user_name, current_user_name,"
					  "  client_address, snapshot, changes, application_name)"
					  " VALUES ($1, $2, $3, pg_catalog.inet_client_addr(), $4,"
					  " $5, $6)", 6, types, values, NULL);
}
