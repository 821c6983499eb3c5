/*-------------------------------------------------------------------------
 *
 * adopt.c
 *	  adopt_application(): an application that is live already.
 *
 * Its users sign up while it is brought under the extension's rules, so its
 * production instance has to be active before its tables are guarded, whatever
 * validate() says.  What that was is reported and recorded, and validate()
 * goes on to show it.  There is no promotion that could be rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "promotion/promotion.h"
#include "registry/registry.h"

static bool find_application(Datum name, Datum *id);
static void create_application(FunctionCallInfo fcinfo, Datum *id);
static void check_same(FunctionCallInfo fcinfo, Datum application);
static Datum activate(Datum application, const IenvApplication *locked);
static void activate_instance(Datum production);
static void add_failed(StringInfo json, StringInfo detail,
					   const IenvCheck *check);

PG_FUNCTION_INFO_V1(instance_env_adopt_application);

/*
 * adopt_application(name text, plan plan, development_id uuid,
 *					 production_id uuid, development_key text,
 *					 production_key text)
 * RETURNS record (application_id, development_id, production_id,
 *				   failed_checks)
 *
 * Creates the application, unless there is one of that name, and activates its
 * production instance, unless it is active.
 */
Datum
instance_env_adopt_application(PG_FUNCTION_ARGS)
{
	IenvApplication locked;
	Datum		id;
	Datum		result[4];
	bool		isnull[4] = {false};
	TupleDesc	desc;

	(void) ienv_require_name(fcinfo, 0, "name");
	if (!PG_ARGISNULL(4))
		(void) ienv_require_name(fcinfo, 4, "development_key");
	if (!PG_ARGISNULL(5))
		(void) ienv_require_name(fcinfo, 5, "production_key");
	desc = ienv_result_desc(fcinfo);

	SPI_connect();
	if (find_application(PG_GETARG_DATUM(0), &id))
	{
		locked = ienv_lock_application(id);
		check_same(fcinfo, id);
	}
	else
	{
		create_application(fcinfo, &id);
		locked = ienv_lock_application(id);
	}
	result[0] = SPI_datumTransfer(id, false, UUID_LEN);
	for (int i = 0; i < 2; i++)
		result[i + 1] = SPI_datumTransfer(locked.instances[i], false,
										  UUID_LEN);
	result[3] = activate(id, &locked);
	isnull[3] = result[3] == (Datum) 0;
	if (!isnull[3])
		result[3] = SPI_datumTransfer(result[3], false, -1);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, result, isnull)));
}

/*
 * The id of the application with this name.
 */
static bool
find_application(Datum name, Datum *id)
{
	Oid			type = TEXTOID;
	bool		isnull;

	if (ienv_query_latest("SELECT id FROM instance_env.application"
						  " WHERE name OPERATOR(pg_catalog.=) $1",
						  1, &type, &name, NULL) == 0)
		return false;
	*id = ienv_result_datum(0, 1, &isnull);
	return true;
}

static void
create_application(FunctionCallInfo fcinfo, Datum *id)
{
	Oid			types[6] = {TEXTOID, InvalidOid, UUIDOID, UUIDOID, TEXTOID, TEXTOID};
	Datum		values[6];
	char		nulls[7] = "      ";
	bool		isnull;

	types[1] = get_fn_expr_argtype(fcinfo->flinfo, 1);
	for (int i = 0; i < 6; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}
	(void) ienv_query("SELECT application_id"
					  " FROM instance_env.create_application($1,"
					  " COALESCE($2, 'free'), $3, $4, $5, $6)",
					  6, types, values, nulls);
	*id = ienv_result_datum(0, 1, &isnull);
}

/*
 * Raise an error if the application, which is locked, is not what the
 * arguments say.
 */
static void
check_same(FunctionCallInfo fcinfo, Datum application)
{
	static const char *const names[] = {
		"name", "plan", "development_id", "production_id", "development_key",
		"production_key"
	};
	Oid			type = UUIDOID;

	ienv_query_one("SELECT a.name, a.plan, d.id, p.id, d.external_key,"
				   " p.external_key FROM instance_env.application a"
				   " JOIN instance_env.instance d"
				   "  ON d.application OPERATOR(pg_catalog.=) a.id"
				   "  AND d.type OPERATOR(pg_catalog.=) 'development'"
				   " JOIN instance_env.instance p"
				   "  ON p.application OPERATOR(pg_catalog.=) a.id"
				   "  AND p.type OPERATOR(pg_catalog.=) 'production'"
				   " WHERE a.id OPERATOR(pg_catalog.=) $1",
				   1, &type, &application);
	for (int i = 1; i < lengthof(names); i++)
	{
		Oid			output;
		bool		varlena;
		char	   *given;

		if (PG_ARGISNULL(i))
			continue;
		getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, i), &output,
						  &varlena);
		given = OidOutputFunctionCall(output, PG_GETARG_DATUM(i));
		if (strcmp(given, ienv_result_text(0, i + 1)) == 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("application \"%s\" already exists with another \"%s\"",
						ienv_clipped(ienv_result_text(0, 1)), names[i]),
				 errdetail("It is \"%s\", not \"%s\".",
						   ienv_clipped(ienv_result_text(0, i + 1)),
						   ienv_clipped(given)),
				 i == 1 ?
				 errhint("Change the plan with instance_env.set_plan().") :
				 i >= 4 ?
				 errhint("Change an external key with instance_env.rename_instance().") :
				 errhint("Leave out the ids of an application that exists.")));
	}
}

/*
 * Activate the production instance of an application, and return the failed
 * checks as jsonb; 0 if it is active already.
 */
static Datum
activate(Datum application, const IenvApplication *locked)
{
	Datum		production = locked->instances[IENV_PRODUCTION];
	StringInfoData json;
	StringInfoData detail;
	int			nfailed = 0;
	ListCell   *lc;

	if (strcmp(locked->status[IENV_PRODUCTION], "active") == 0)
	{
		ereport(NOTICE,
				(errmsg("production instance of application \"%s\" is already active",
						locked->name)));
		return (Datum) 0;
	}
	if (strcmp(locked->status[IENV_PRODUCTION], "suspended") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("production instance of application \"%s\" is suspended",
						locked->name),
				 errhint("Resume it with instance_env.resume_instance().")));

	initStringInfo(&json);
	initStringInfo(&detail);
	foreach(lc, ienv_validate(production, false))
	{
		const IenvCheck *check = lfirst(lc);

		if (check->passed)
			continue;
		add_failed(&json, &detail, check);
		nfailed++;
	}
	activate_instance(production);
	ienv_record_event("adopt_application", DatumGetUUIDP(application),
					  DatumGetUUIDP(production), NULL,
					  ienv_jsonb("{\"status\": \"inactive\"}"),
					  ienv_jsonb(psprintf("{\"status\": \"active\", \"failed_checks\": [%s]}",
										  json.data)));
	if (nfailed > 0)
		ereport(NOTICE,
				(errmsg_plural("production instance of application \"%s\" is active, although %d check has failed",
							   "production instance of application \"%s\" is active, although %d checks have failed",
							   nfailed, locked->name, nfailed),
				 errdetail("%s", detail.data),
				 errhint("instance_env.validate() tells what to do about each.")));
	return ienv_jsonb(psprintf("[%s]", json.data));
}

static void
activate_instance(Datum production)
{
	Oid			type = UUIDOID;

	ienv_query_one("UPDATE instance_env.instance SET status = 'active',"
				   " config_version = config_version OPERATOR(pg_catalog.+) 1"
				   " WHERE id OPERATOR(pg_catalog.=) $1", 1, &type,
				   &production);
}

/*
 * Add a failed check: an object of the JSON array, and a line of the message.
 */
static void
add_failed(StringInfo json, StringInfo detail, const IenvCheck *check)
{
	static const char *const severities[] = {"info", "warning", "error"};

	appendStringInfoString(json, json->len > 0 ? ", {" : "{");
	appendStringInfoString(json, "\"check_name\": ");
	escape_json(json, check->name);
	appendStringInfoString(json, ", \"subject\": ");
	if (check->subject == NULL)
		appendStringInfoString(json, "null");
	else
		escape_json(json, check->subject);
	appendStringInfo(json, ", \"severity\": \"%s\", \"message\": ",
					 severities[check->severity]);
	escape_json(json, check->message);
	appendStringInfoChar(json, '}');
	appendStringInfo(detail, "%s%s", detail->len > 0 ? "\n" : "",
					 check->message);
}
