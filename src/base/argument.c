/*-------------------------------------------------------------------------
 *
 * argument.c
 *	  Arguments of SQL functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/base.h"

/*
 * Raise an error if a required argument is null.
 */
void
ienv_require_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name),
		/* a mistyped name arrives here as null */
				 strcmp(name, "application") == 0 ?
				 errhint("instance_env.application_id() returns null if no application has the name.") :
				 strcmp(name, "instance") == 0 ?
				 errhint("instance_env.instance_id() returns null if no application has the name.") : 0));
}

/*
 * An argument that is a name or an external key.  Any text that fits into an
 * index will do, because the application may have got it from elsewhere.
 */
char *
ienv_require_name(FunctionCallInfo fcinfo, int n, const char *argument)
{
	char	   *name;

	ienv_require_argument(fcinfo, n, argument);
	name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (*name == '\0' || strlen(name) > IENV_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\"", argument),
				 *name == '\0' ? errdetail("It is empty.") :
				 errdetail("It is longer than %d bytes.", IENV_MAX_NAME)));
	return name;
}

/*
 * A text argument as a C string: not null, not empty, free of control
 * characters, and at most max_length bytes long.
 */
char *
ienv_require_text(FunctionCallInfo fcinfo, int n, const char *name,
				  int max_length)
{
	char	   *value;
	const char *problem = NULL;

	ienv_require_argument(fcinfo, n, name);
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (*value == '\0')
		problem = "It is empty.";
	else if (strlen(value) > max_length)
		problem = psprintf("It is longer than %d bytes.", max_length);
	for (const char *p = value; *p != '\0' && problem == NULL; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7F)
			problem = "It contains a control character.";
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\"", name),
				 errdetail("%s", problem)));
	return value;
}
