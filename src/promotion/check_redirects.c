/*-------------------------------------------------------------------------
 *
 * check_redirects.c
 *	  The check of validate() that settings redirect to what the instance may
 *	  redirect to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "domain/domain.h"
#include "promotion/check.h"
#include "promotion/promotion.h"

/* What to look at */
typedef struct Looking
{
	IenvValidation *run;
	const IenvRows *rows;
} Looking;

static void check_redirects(IenvValidation *run, const IenvRows *rows);
static void check_all_settings(void *arg);
static void check_setting(IenvValidation *run, const IenvRows *rows,
						  uint64 first, uint64 end, Datum schemes);
static Datum allowed_schemes(IenvValidation *run);

/*
 * Check every URL in section redirect, be it a value or the name of one: what
 * redirect_url_allowed() refuses would fail when somebody signs in.
 *
 * The hosts and the list are those that redirect_url_allowed() goes by.
 */
void
ienv_check_redirects(IenvValidationSet *set)
{
	static IenvSetQuery query = {
		.sql = "SELECT s.n, s.name, s.copied, texts.value"
		" FROM " IENV_EFFECTIVE_SETTINGS " s"
		" LEFT JOIN LATERAL"
		"  (SELECT pg_catalog.jsonb_path_query(s.value,"
		"   'strict $.** ? (@.type() == \"string\")')"
		"   UNION ALL"
		"   SELECT pg_catalog.jsonb_path_query(s.value,"
		"   'strict $.** ? (@.type() == \"object\").keyvalue().key')"
		"  ) found (value) ON true"
		" CROSS JOIN LATERAL (SELECT found.value"
		" OPERATOR(pg_catalog.#>>) '{}') texts (value)"
		" WHERE pg_catalog.split_part(s.name, '.', 1)"
		" OPERATOR(pg_catalog.=) 'redirect'"
		" ORDER BY s.n, s.name, texts.value COLLATE pg_catalog.\"C\""
	};

	ienv_judge(set, &query, check_redirects);
}

/*
 * Each row is a text in a setting, or null of a setting that has none.
 */
static void
check_redirects(IenvValidation *run, const IenvRows *rows)
{
	Looking		looking = {run, rows};
	int			nchecks = list_length(run->checks);
	ErrorData  *error;

	if (rows->n == 0)
	{
		ienv_add_check(run, "redirect", NULL, IENV_ERROR, 0, true,
					   "No redirect URL is set.", NULL);
		return;
	}

	/*
	 * Which hosts are its own is asked of the present, in which it may have
	 * been dropped, or is being dropped while we look.
	 */
	error = ienv_attempt(check_all_settings, &looking, true);
	if (error == NULL)
		return;
	if (error->sqlerrcode != ERRCODE_IENV_UNKNOWN_INSTANCE &&
		error->sqlerrcode != ERRCODE_INVALID_PARAMETER_VALUE)
		ReThrowError(error);
	FreeErrorData(error);
	run->checks = list_truncate(run->checks, nchecks);
	run->dropped = ienv_instance_by_value(run->instance, true, true) == NULL;
	if (!run->dropped)
		check_all_settings(&looking);
}

/*
 * Check each setting, given a Looking.
 */
static void
check_all_settings(void *arg)
{
	IenvValidation *run = ((const Looking *) arg)->run;
	const IenvRows *rows = ((const Looking *) arg)->rows;
	Datum		schemes = allowed_schemes(run);
	uint64		end;

	(void) ienv_require_instance(run->instance);
	for (uint64 first = 0; first < rows->n; first = end)
	{
		const char *setting = ienv_row_text(rows, first, 1);

		for (end = first + 1; end < rows->n; end++)
			if (strcmp(ienv_row_text(rows, end, 1), setting) != 0)
				break;
		check_setting(run, rows, first, end, schemes);
	}
}

/*
 * Check a setting, whose texts are the rows from first to before end.
 */
static void
check_setting(IenvValidation *run, const IenvRows *rows, uint64 first,
			  uint64 end, Datum schemes)
{
	const char *setting = ienv_row_text(rows, first, 1);
	const char *message = psprintf("Setting \"%s\" has no URL but allowed ones.",
								   setting);
	bool		passed = true;

	for (uint64 i = first; passed && i < end; i++)
	{
		const char *text = ienv_row_text(rows, i, 3);
		const char *problem;

		if (text == NULL || !ienv_looks_like_url(text))
			continue;
		problem = ienv_redirect_problem(run->instance, text, schemes);
		if (problem == NULL)
			continue;
		passed = false;
		message = psprintf(ienv_row_is_true(rows, i, 2) ?
						   "Setting \"%s\", which promotion would copy, contains the URL \"%s\", which is not allowed because it %s." :
						   "Setting \"%s\" contains the URL \"%s\", which is not allowed because it %s.",
						   setting, ienv_clipped(text), problem);
	}
	ienv_add_check(run, "redirect", setting, IENV_ERROR,
				   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, passed, message,
				   "Change it in the production instance with instance_env.set_setting(), or allow a URL of another host with instance_env.add_redirect_url().");
}

/*
 * The policy redirect_schemes, as a text[].
 */
static Datum
allowed_schemes(IenvValidation *run)
{
	static IenvQuery query = {
		.sql = "SELECT ARRAY(SELECT pg_catalog.jsonb_array_elements_text("
		"  CASE pg_catalog.jsonb_typeof(p.value)"
		"  WHEN 'array' THEN p.value ELSE '[]' END))"
		" FROM instance_env.policies p"
		" WHERE p.instance_id OPERATOR(pg_catalog.=) $1"
		" AND p.name OPERATOR(pg_catalog.=) 'redirect_schemes'"
	};
	Oid			type = UUIDOID;
	bool		isnull;

	return ienv_query_kept(&query, 1, &type, &run->instance, NULL) == 0 ?
		PointerGetDatum(construct_empty_array(TEXTOID)) :
		ienv_result_datum(0, 1, &isnull);
}
