/*-------------------------------------------------------------------------
 *
 * banner.c
 *	  What marks a development instance for those who see it: banner and
 *	  prefix.
 *
 * The texts themselves are policies, whose defaults are rows of
 * policy_default: see sql/parts/policy.sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "policy/policy.h"

static bool has_prefix(const text *body, const text *prefix);

PG_FUNCTION_INFO_V1(instance_env_banner);
PG_FUNCTION_INFO_V1(instance_env_message_prefix);
PG_FUNCTION_INFO_V1(instance_env_prefix_message);

/*
 * banner(instance uuid) RETURNS text
 *
 * Null if there is nothing to show.
 */
Datum
instance_env_banner(PG_FUNCTION_ARGS)
{
	bool		isnull;
	Datum		banner;

	ienv_require_argument(fcinfo, 0, "instance");
	banner = ienv_policy(PG_GETARG_DATUM(0), "banner", TEXTOID, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	return banner;
}

/*
 * message_prefix(instance uuid) RETURNS text
 *
 * Never null, so that an application can concatenate it.
 */
Datum
instance_env_message_prefix(PG_FUNCTION_ARGS)
{
	bool		isnull;
	Datum		prefix;

	ienv_require_argument(fcinfo, 0, "instance");
	prefix = ienv_policy(PG_GETARG_DATUM(0), "message_prefix", TEXTOID,
						 &isnull);
	return isnull ? PointerGetDatum(cstring_to_text("")) : prefix;
}

/*
 * prefix_message(instance uuid, channel text, body text) RETURNS text
 *
 * A body that already has the prefix is returned unchanged.
 */
Datum
instance_env_prefix_message(PG_FUNCTION_ARGS)
{
	bool		isnull;
	Datum		prefix;

	ienv_require_argument(fcinfo, 0, "instance");
	(void) ienv_require_channel(fcinfo, 1);
	ienv_require_argument(fcinfo, 2, "body");

	prefix = ienv_policy(PG_GETARG_DATUM(0), "message_prefix", TEXTOID,
						 &isnull);
	if (isnull || has_prefix(PG_GETARG_TEXT_PP(2), DatumGetTextPP(prefix)))
		PG_RETURN_DATUM(PG_GETARG_DATUM(2));
	return DirectFunctionCall2(textcat, prefix, PG_GETARG_DATUM(2));
}

/*
 * Does a message begin with the prefix?  A message that is nothing but the
 * prefix may have lost the blanks at its end.
 */
static bool
has_prefix(const text *body, const text *prefix)
{
	const char *start = VARDATA_ANY(prefix);
	int			length = VARSIZE_ANY_EXHDR(prefix);
	int			found = VARSIZE_ANY_EXHDR(body);

	if (found >= length)
		return memcmp(VARDATA_ANY(body), start, length) == 0;
	if (memcmp(VARDATA_ANY(body), start, found) != 0)
		return false;
	while (length > found && start[length - 1] == ' ')
		length--;
	return found == length;
}
