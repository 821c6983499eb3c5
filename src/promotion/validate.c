/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  What stands between an instance and production: validate().
 *
 * Its queries are those of view readiness (readiness.c), which asks about many
 * instances at once.
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

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
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

static void set_arguments(IenvValidationSet *set);
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
	IenvValidation run;

	ienv_validate_one(instance, clone_settings, &run);
	return run.checks;
}

/*
 * The same, with what the instance is.
 */
void
ienv_validate_one(Datum instance, bool clone_settings, IenvValidation *run)
{
	static IenvQuery query = {
		.sql = IENV_READ_VALIDATIONS
		"i.id OPERATOR(pg_catalog.=) $1"
	};
	Oid			type = UUIDOID;
	IenvInstance info = ienv_require_instance(instance);
	IenvValidationSet set = {0};

	PushActiveSnapshot(GetLatestSnapshot());
	while (ienv_query_kept(&query, 1, &type, &instance, NULL) == 0)
	{
		/* it has been dropped since */
		PopActiveSnapshot();
		info = ienv_require_instance(instance);
		PushActiveSnapshot(GetLatestSnapshot());
	}
	ienv_begin_validation(run, 0, clone_settings);
	run->info = info;
	set.n = 1;
	set.validations = run;
	set.guards = ienv_look_at_guards();
	ienv_check_all(&set);
	PopActiveSnapshot();
	if (run->dropped)
		(void) ienv_require_instance(instance);
}

/*
 * Begin the validation of an instance, given the row of the last query that
 * IENV_READ_VALIDATIONS has returned about it.
 */
void
ienv_begin_validation(IenvValidation *run, uint64 row, bool clone_settings)
{
	const char *status = ienv_result_text(row, 4);
	bool		isnull;

	memset(run, 0, sizeof(*run));
	run->instance = ienv_result_datum(row, 1, &isnull);
	run->info.id = *DatumGetUUIDP(run->instance);
	run->info.type = DatumGetBool(ienv_result_datum(row, 2, &isnull)) ?
		IENV_PRODUCTION : IENV_DEVELOPMENT;
	run->status = ienv_result_datum(row, 3, &isnull);
	run->info.status = strcmp(status, "active") == 0 ? IENV_ACTIVE :
		strcmp(status, "suspended") == 0 ? IENV_SUSPENDED : IENV_INACTIVE;
	run->external_key = ienv_result_datum(row, 5, &isnull);
	run->application = ienv_result_datum(row, 6, &isnull);
	run->name = ienv_result_datum(row, 7, &isnull);
	run->plan = ienv_result_text(row, 8);
	for (int type = IENV_DEVELOPMENT; type <= IENV_PRODUCTION; type++)
	{
		run->instances[type] = ienv_result_datum(row, 9 + 2 * type, &isnull);
		run->external_keys[type] = ienv_result_datum(row, 10 + 2 * type,
													 &isnull);
	}
	run->with_development = clone_settings &&
		run->info.status == IENV_INACTIVE;
}

/*
 * Do all checks of a set: of production instances, or of a single one of
 * development.  The active snapshot is that of all queries; SPI is connected.
 */
void
ienv_check_all(IenvValidationSet *set)
{
	bool		production = set->validations[0].info.type == IENV_PRODUCTION;

	set_arguments(set);
	for (int i = 0; i < set->n; i++)
		ienv_check_status(&set->validations[i]);
	if (production)
	{
		ienv_check_domains(set);
		ienv_check_credentials(set);
		ienv_check_plan(set);
		ienv_check_settings(set);
	}
	for (int i = 0; i < set->n; i++)
		ienv_check_guards(&set->validations[i], set->guards);
	if (production)
		ienv_check_keys(set);
	else
		ienv_check_usage(&set->validations[0]);
}

/*
 * Make the arguments of the queries.
 */
static void
set_arguments(IenvValidationSet *set)
{
	Datum	   *values = palloc(set->n * sizeof(Datum));
	bool	   *nulls = palloc0(set->n * sizeof(bool));
	int			lbound = 1;

	for (int i = 0; i < set->n; i++)
		values[i] = set->validations[i].instance;
	set->arguments[0] =
		PointerGetDatum(construct_array(values, set->n, UUIDOID, UUID_LEN,
										false, TYPALIGN_CHAR));
	for (int i = 0; i < set->n; i++)
		values[i] = set->validations[i].application;
	set->arguments[2] =
		PointerGetDatum(construct_array(values, set->n, UUIDOID, UUID_LEN,
										false, TYPALIGN_CHAR));
	for (int i = 0; i < set->n; i++)
	{
		values[i] = set->validations[i].instances[IENV_DEVELOPMENT];
		nulls[i] = !set->validations[i].with_development;
	}
	set->arguments[1] =
		PointerGetDatum(construct_md_array(values, nulls, 1, &set->n, &lbound,
										   UUIDOID, UUID_LEN, false,
										   TYPALIGN_CHAR));
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
