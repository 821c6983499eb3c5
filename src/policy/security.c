/*-------------------------------------------------------------------------
 *
 * security.c
 *	  What an instance requires and allows: search engines, sessions,
 *	  redirects.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "policy/policy.h"

static Datum text_policy(FunctionCallInfo fcinfo, const char *name);

PG_FUNCTION_INFO_V1(instance_env_robots_directive);
PG_FUNCTION_INFO_V1(instance_env_robots_txt);
PG_FUNCTION_INFO_V1(instance_env_security_policy);
PG_FUNCTION_INFO_V1(instance_env_redirect_url_allowed);

/*
 * robots_directive(instance uuid) RETURNS text
 */
Datum
instance_env_robots_directive(PG_FUNCTION_ARGS)
{
	return text_policy(fcinfo, "robots_directive");
}

/*
 * robots_txt(instance uuid) RETURNS text
 */
Datum
instance_env_robots_txt(PG_FUNCTION_ARGS)
{
	return text_policy(fcinfo, "robots_txt");
}

static Datum
text_policy(FunctionCallInfo fcinfo, const char *name)
{
	Datum		value;

	ienv_require_argument(fcinfo, 0, "instance");
	value = ienv_policy(PG_GETARG_DATUM(0), name, TEXTOID, &fcinfo->isnull);
	return value;
}

/*
 * security_policy(instance uuid) RETURNS record
 *
 * Each column is the policy of that name.
 */
Datum
instance_env_security_policy(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;

	ienv_require_argument(fcinfo, 0, "instance");
	desc = ienv_result_desc(fcinfo);
	values = palloc(desc->natts * sizeof(Datum));
	nulls = palloc(desc->natts * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
		values[i] = ienv_policy(PG_GETARG_DATUM(0),
								NameStr(TupleDescAttr(desc, i)->attname),
								TupleDescAttr(desc, i)->atttypid, &nulls[i]);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * redirect_url_allowed(instance uuid, url text) RETURNS boolean
 *
 * Any text may be given: one that is not a URL is not allowed.
 */
Datum
instance_env_redirect_url_allowed(PG_FUNCTION_ARGS)
{
	Datum		instance;
	Datum		schemes;
	bool		isnull;

	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "url");
	instance = PG_GETARG_DATUM(0);
	schemes = ienv_policy(instance, "redirect_schemes", TEXTARRAYOID,
						  &isnull);
	if (isnull)
		schemes = PointerGetDatum(construct_empty_array(TEXTOID));
	PG_RETURN_BOOL(ienv_redirect_problem(instance,
										 text_to_cstring(PG_GETARG_TEXT_PP(1)),
										 schemes) == NULL);
}
