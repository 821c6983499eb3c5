/*-------------------------------------------------------------------------
 *
 * user_columns.c
 *	  The columns of a table of users that guard() was told of for
 *	  reset_development(): the user's address, and when the user was created.
 *
 * The rules of a guard do not depend on them.  So they are not part of a
 * trigger's condition, which would keep the application from dropping the
 * columns or changing their types.  They are arguments of the trigger for
 * updates, by name.  Whoever reads them must expect that there is no such
 * column any more, or that it is of another type.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "table/table.h"

static void read_arguments(const Trigger *trigger, IenvUserColumns *columns);
static const char *after_prefix(const char *option, const char *prefix);
static char *problem_of(Oid relid, const char *argument, const char *column,
						bool (*is_suitable) (Oid type));

/*
 * Read what the triggers of rel, which is open and locked, say about these
 * columns; all NULL if it is nothing.
 */
void
ienv_read_user_columns(Relation rel, IenvUserColumns *columns)
{
	/* the look-ups below may cause the relcache entry to be rebuilt */
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	columns->address = columns->created = NULL;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const IenvTriggerKind *kind;
		IenvColumns condition;

		if (ienv_is_of_guard(&triggers->triggers[i], &kind, &condition) &&
			kind->bit == IENV_TRIGGER_NO_TRANSFER)
			read_arguments(&triggers->triggers[i], columns);
	}
	FreeTriggerDesc(triggers);
}

static void
read_arguments(const Trigger *trigger, IenvUserColumns *columns)
{
	for (int i = 1; i < trigger->tgnargs; i++)
	{
		const char *option = trigger->tgargs[i];
		const char *name;

		if ((name = after_prefix(option, IENV_OPTION_ADDRESS)) != NULL)
			columns->address = pstrdup(name);
		else if ((name = after_prefix(option, IENV_OPTION_CREATED)) != NULL)
			columns->created = pstrdup(name);
	}
}

/*
 * What follows this prefix of a trigger's argument, or NULL.
 */
static const char *
after_prefix(const char *option, const char *prefix)
{
	size_t		len = strlen(prefix);

	return strncmp(option, prefix, len) == 0 ? option + len : NULL;
}

/*
 * Can a column of this type hold addresses?  It must become text without
 * anybody's function: a domain's base type counts, and so do types such as
 * citext, which are stored as text is.
 */
bool
ienv_is_address_type(Oid type)
{
	Oid			base = getBaseType(type);
	char		category;
	bool		preferred;
	Oid			function;

	if (base == TEXTOID || base == VARCHAROID || base == BPCHAROID)
		return true;
	get_type_category_preferred(base, &category, &preferred);
	return category == TYPCATEGORY_STRING &&
		find_coercion_pathway(TEXTOID, base, COERCION_EXPLICIT, &function) ==
		COERCION_PATH_RELABELTYPE;
}

/*
 * Can a column of this type say when a user was created?
 */
bool
ienv_is_created_type(Oid type)
{
	Oid			base = getBaseType(type);

	return base == TIMESTAMPTZOID || base == TIMESTAMPOID || base == DATEOID;
}

/*
 * What is wrong with these columns of a table, as phrases; its owner may have
 * renamed, dropped or altered one.
 */
List *
ienv_user_column_problems(Oid relid, const IenvUserColumns *columns)
{
	List	   *problems = NIL;
	char	   *problem;

	problem = problem_of(relid, "address_column", columns->address,
						 ienv_is_address_type);
	if (problem != NULL)
		problems = lappend(problems, problem);
	problem = problem_of(relid, "created_column", columns->created,
						 ienv_is_created_type);
	if (problem != NULL)
		problems = lappend(problems, problem);
	return problems;
}

static char *
problem_of(Oid relid, const char *argument, const char *column,
		   bool (*is_suitable) (Oid type))
{
	AttrNumber	attno = column == NULL ? InvalidAttrNumber :
	get_attnum(relid, column);

	if (column == NULL)
		return NULL;
	if (attno <= 0)
		return psprintf("column \"%s\", the guard's %s, does not exist any more",
						column, argument);
	if (!is_suitable(get_atttype(relid, attno)))
		return psprintf("column \"%s\", the guard's %s, is now of type %s",
						column, argument,
						format_type_be(get_atttype(relid, attno)));
	return NULL;
}
