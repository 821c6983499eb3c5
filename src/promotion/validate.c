/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  What stands between an instance and production: validate().
 *
 * It only reads, from one snapshot that is taken when it begins, so that a
 * gate such as promote() overlooks nothing that has been committed, whatever
 * its transaction's snapshot.  It assigns no transaction id, takes no lock
 * stronger than AccessShareLock and never waits for one, so it works on a hot
 * standby and while another session has a table locked.
 *
 * Each kind of check has a name.  Where there is a check for each of several
 * things, such as providers, its subject is the thing; where there is no such
 * thing, there is a single passed check without a subject.  So no kind is ever
 * missing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "promotion/check.h"
#include "promotion/promotion.h"
#include "registry/registry.h"

#define VALIDATE_COLUMNS 7

static Oid	severity_label(IenvSeverity severity, Oid enumtype);

PG_FUNCTION_INFO_V1(instance_env_validate);
PG_FUNCTION_INFO_V1(instance_env_assert_valid);

IENV_BY_NAME(validate, ienv_find_production);
IENV_BY_NAME(assert_valid, ienv_find_production);

/*
 * All checks of an instance, in their order, as IenvChecks.  SPI is connected.
 *
 * With clone_settings, a production instance that has not been promoted is
 * judged together with what promote() would copy from development.
 */
List *
ienv_validate(Datum instance, bool clone_settings)
{
	IenvValidation run = {0};
	bool		isnull;
	HeapTuple	row;
	TupleDesc	desc;

	run.info = ienv_require_instance(instance);
	run.instance = instance;
	PushActiveSnapshot(GetLatestSnapshot());
	if (ienv_read(&run, "SELECT i.external_key, i.application, d.id, a.plan"
				  " FROM instance_env.instance i JOIN instance_env.instance d"
				  "   ON d.application OPERATOR(pg_catalog.=) i.application"
				  "   AND d.type OPERATOR(pg_catalog.=) 'development'"
				  "  JOIN instance_env.application a"
				  " ON a.id OPERATOR(pg_catalog.=) i.application"
				  " WHERE i.id OPERATOR(pg_catalog.=) $1") != 1)
		elog(ERROR, "instance %s has no application",
			 ienv_instance_text(instance, true));
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	run.external_key = SPI_getbinval(row, desc, 1, &isnull);
	run.application = SPI_getbinval(row, desc, 2, &isnull);
	run.development = SPI_getbinval(row, desc, 3, &isnull);
	run.plan = SPI_getvalue(row, desc, 4);

	ienv_check_status(&run);
	if (run.info.type == IENV_PRODUCTION)
	{
		run.with_development = clone_settings &&
			run.info.status == IENV_INACTIVE;
		ienv_check_domains(&run);
		ienv_check_credentials(&run);
		ienv_check_plan(&run);
		ienv_check_settings(&run);
		ienv_check_guards(&run);
		ienv_check_keys(&run);
	}
	else
	{
		ienv_check_guards(&run);
		ienv_check_usage(&run);
	}
	PopActiveSnapshot();
	return run.checks;
}

/*
 * validate(instance uuid)
 * RETURNS TABLE (check_name, subject, severity, passed, message, hint, sqlstate)
 */
Datum
instance_env_validate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			severity;
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "instance");
	InitMaterializedSRF(fcinfo, 0);
	severity = TupleDescAttr(rsinfo->setDesc, 2)->atttypid;

	SPI_connect();
	foreach(lc, ienv_validate(PG_GETARG_DATUM(0), true))
	{
		const IenvCheck *check = lfirst(lc);
		Datum		values[VALIDATE_COLUMNS] = {0};
		bool		nulls[VALIDATE_COLUMNS] = {false};

		values[0] = CStringGetTextDatum(check->name);
		nulls[1] = check->subject == NULL;
		if (!nulls[1])
			values[1] = CStringGetTextDatum(check->subject);
		values[2] =
			ObjectIdGetDatum(severity_label(check->severity, severity));
		values[3] = BoolGetDatum(check->passed);
		values[4] = CStringGetTextDatum(check->message);
		nulls[5] = check->hint == NULL;
		if (!nulls[5])
			values[5] = CStringGetTextDatum(check->hint);
		nulls[6] = check->sqlstate == 0;
		if (!nulls[6])
			values[6] = CStringGetTextDatum(unpack_sql_state(check->sqlstate));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	SPI_finish();
	return (Datum) 0;
}

/*
 * The value of type severity, whose OID is enumtype.
 */
static Oid
severity_label(IenvSeverity severity, Oid enumtype)
{
	static const char *const labels[] = {"info", "warning", "error"};

	return DatumGetObjectId(OidFunctionCall2(F_ENUM_IN,
											 CStringGetDatum(labels[severity]),
											 ObjectIdGetDatum(enumtype)));
}

/*
 * assert_valid(instance uuid) RETURNS void
 *
 * Raises 55I01 unless every check with severity error has passed.
 */
Datum
instance_env_assert_valid(PG_FUNCTION_ARGS)
{
	StringInfoData detail;
	const char *hint = NULL;
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "instance");
	initStringInfo(&detail);
	SPI_connect();
	foreach(lc, ienv_validate(PG_GETARG_DATUM(0), true))
	{
		const IenvCheck *check = lfirst(lc);

		if (check->passed || check->severity != IENV_ERROR)
			continue;
		if (hint == NULL)
			hint = check->hint;
		appendStringInfo(&detail, "%s%s", detail.len ? "\n" : "",
						 check->message);
	}
	if (detail.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_PROMOTION_BLOCKED),
				 errmsg("instance %s is not valid",
						ienv_instance_text(PG_GETARG_DATUM(0), true)),
				 errdetail("%s", detail.data),
				 hint ? errhint("%s", hint) : 0));
	SPI_finish();
	PG_RETURN_VOID();
}
