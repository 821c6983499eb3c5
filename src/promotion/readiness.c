/*-------------------------------------------------------------------------
 *
 * readiness.c
 *	  What validate() says of all production instances, a row for each: view
 *	  readiness.
 *
 * All of them are judged by one snapshot, and each guarded table is looked at
 * once.  They are read in batches, in the order of their ids, so that it does
 * not take more memory the more there are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/base.h"
#include "promotion/check.h"
#include "promotion/promotion.h"
#include "registry/registry.h"

#define READINESS_COLUMNS 7

/* How many instances to judge at a time */
#define BATCH 1000

static int	set_planner(void);
static bool next_batch(IenvValidationSet *set, pg_uuid_t *last);
static void return_row(FunctionCallInfo fcinfo, const IenvValidation *run);
static Datum text_array(Datum *texts, int n);

PG_FUNCTION_INFO_V1(instance_env_readiness_list);
PG_FUNCTION_INFO_V1(instance_env_readiness_of);

IENV_BY_NAME(readiness_of, ienv_find_production);

/*
 * readiness_list()
 * RETURNS TABLE (application, status, ready, errors, warnings, next_step,
 *				  instance_id)
 *
 * A row for each production instance.
 */
Datum
instance_env_readiness_list(PG_FUNCTION_ARGS)
{
	pg_uuid_t	last = {0};
	IenvValidationSet set = {0};
	int			nest_level;

	InitMaterializedSRF(fcinfo, 0);
	PushActiveSnapshot(GetLatestSnapshot());
	nest_level = set_planner();
	set.guards = ienv_look_at_guards();
	do
	{
		SPI_connect();
		if (next_batch(&set, &last))
			ienv_check_all(&set);
		for (int i = 0; i < set.n; i++)
			if (!set.validations[i].dropped)
				return_row(fcinfo, &set.validations[i]);
		SPI_finish();
	} while (set.n == BATCH);
	AtEOXact_GUC(false, nest_level);
	PopActiveSnapshot();
	return (Datum) 0;
}

/*
 * readiness_of(instance uuid) RETURNS TABLE (the same)
 */
Datum
instance_env_readiness_of(PG_FUNCTION_ARGS)
{
	IenvValidation run;

	ienv_require_argument(fcinfo, 0, "instance");
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	ienv_validate_one(PG_GETARG_DATUM(0), true, &run);
	return_row(fcinfo, &run);
	SPI_finish();
	return (Datum) 0;
}

/*
 * Have queries planned for what they are: the planner takes them for larger
 * than they are, and compiling them or starting workers takes longer than all
 * of their work.  Returns the level for AtEOXact_GUC(), which undoes it.
 */
static int
set_planner(void)
{
	static const char *const settings[] = {"jit", "max_parallel_workers_per_gather"};
	int			nest_level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i], "0", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

/*
 * Read the production instances that come after the last one, if there are
 * any.  SPI is connected; the active snapshot is that of all batches.
 */
static bool
next_batch(IenvValidationSet *set, pg_uuid_t *last)
{
	Oid			type = UUIDOID;
	Datum		value = UUIDPGetDatum(last);

	set->n = ienv_query_active(IENV_READ_VALIDATIONS
							   "i.type OPERATOR(pg_catalog.=) 'production'"
							   " AND i.id OPERATOR(pg_catalog.>) $1"
							   " ORDER BY i.id"
							   " LIMIT " CppAsString2(BATCH), 1, &type,
							   &value, NULL);
	if (set->n == 0)
		return false;
	set->validations = palloc(set->n * sizeof(IenvValidation));
	for (int i = 0; i < set->n; i++)
		ienv_begin_validation(&set->validations[i], i, true);
	*last = set->validations[set->n - 1].info.id;
	return true;
}

static void
return_row(FunctionCallInfo fcinfo, const IenvValidation *run)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			n = list_length(run->checks);
	Datum	   *errors = palloc(n * sizeof(Datum));
	Datum	   *warnings = palloc(n * sizeof(Datum));
	int			nerrors = 0;
	int			nwarnings = 0;
	const char *next_step = NULL;
	Datum		values[READINESS_COLUMNS] = {0};
	bool		nulls[READINESS_COLUMNS] = {false};
	ListCell   *lc;

	foreach(lc, run->checks)
	{
		const IenvCheck *check = lfirst(lc);

		if (check->passed)
			continue;
		if (check->severity != IENV_ERROR)
		{
			warnings[nwarnings++] = CStringGetTextDatum(check->message);
			continue;
		}
		if (nerrors == 0)
			next_step = check->hint;
		errors[nerrors++] = CStringGetTextDatum(check->message);
	}
	values[0] = run->name;
	values[1] = run->status;
	values[2] = BoolGetDatum(nerrors == 0);
	values[3] = text_array(errors, nerrors);
	values[4] = text_array(warnings, nwarnings);
	nulls[5] = next_step == NULL;
	if (!nulls[5])
		values[5] = CStringGetTextDatum(next_step);
	values[6] = run->instance;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static Datum
text_array(Datum *texts, int n)
{
	return PointerGetDatum(n == 0 ? construct_empty_array(TEXTOID) :
						   construct_array(texts, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}
