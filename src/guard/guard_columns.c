/*-------------------------------------------------------------------------
 *
 * guard_columns.c
 *	  The columns of a guarded table that name the instance and the user, as
 *	  the caller of guard() gives them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "base/base.h"
#include "guard/guard.h"
#include "table/table.h"

/* The arguments of guard() that are read here */
#define ARG_INSTANCE_COLUMN		1
#define ARG_USER_KEY			2
#define ARG_USER_TABLE			4
#define ARG_FOLLOW_DEPARTURES	5
#define ARG_ADDRESS_COLUMN		6
#define ARG_CREATED_COLUMN		7
#define ARG_CODED				8

static AttrNumber find_column(Relation rel, const char *name,
							  const char *argument);
static void check_instance_column(Relation rel, AttrNumber attno);
static char *choose(Relation rel, const IenvGuard *guard, const char *name,
					const char *argument, bool (*is_suitable) (Oid type),
					const char *wanted);
static void check_coded(FunctionCallInfo fcinfo, Relation rel);
static int	read_key(Relation rel, const char *user_key, AttrNumber *attnos);
static char *without_parentheses(const char *list);
static void check_apart(const IenvGuard *guard, int n,
						const AttrNumber *attnos);

/*
 * Read the columns that the caller of guard() has named, in its arguments,
 * into guard, which has the table and whether it is counted: those of the
 * instance and of the user key, or, if user_table is given, those that refer
 * to a user there.
 */
void
ienv_read_columns(FunctionCallInfo fcinfo, Relation rel, IenvGuard *guard)
{
	const char *user_key = PG_ARGISNULL(ARG_USER_KEY) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(ARG_USER_KEY));
	AttrNumber	attnos[IENV_MAX_KEY_COLUMNS];
	int			n = 0;

	guard->instance_attno =
		find_column(rel, NameStr(*PG_GETARG_NAME(ARG_INSTANCE_COLUMN)),
					"instance_column");
	check_instance_column(rel, guard->instance_attno);
	guard->instance_type =
		getBaseType(TupleDescAttr(RelationGetDescr(rel),
								  guard->instance_attno - 1)->atttypid);
	guard->is_uuid = guard->instance_type == UUIDOID;
	guard->is_plain = ienv_is_plain(guard->instance_type);
	guard->coded = PG_GETARG_BOOL(ARG_CODED);
	if (guard->coded)
		check_coded(fcinfo, rel);
	guard->departures = PG_GETARG_BOOL(ARG_FOLLOW_DEPARTURES) &&
		!guard->coded;
	guard->user_label = "";

	if (user_key != NULL && *user_key != '\0')
		n = read_key(rel, user_key, attnos);
	check_apart(guard, n, attnos);

	if (!PG_ARGISNULL(ARG_USER_TABLE) &&
		OidIsValid(PG_GETARG_OID(ARG_USER_TABLE)))
	{
		if (guard->counted || n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("user_table requires counted => false and a user_key"),
					 errhint("Name the column of table %s that refers to the user as user_key.",
							 ienv_quoted_name(guard->relid))));
		guard->user_label =
			unconstify(char *,
					   ienv_label_of_users(guard->relid,
										   PG_GETARG_OID(ARG_USER_TABLE)));
		guard->nrefs = n;
		memcpy(guard->ref_attnos, attnos, n * sizeof(AttrNumber));
		return;
	}

	guard->nkeys = n;
	for (int i = 0; i < n; i++)
		guard->key_attnos[i] = attnos[i];
	if (guard->coded)
	{
		ienv_check_coded_key(rel, guard, user_key == NULL);
		return;
	}
	if (user_key == NULL)
		ienv_default_user_key(rel, guard);
	guard->no_production = guard->nkeys > 0 && !guard->departures;
	if (guard->nkeys > 0)
		ienv_check_user_key(rel, guard);
}

/*
 * Refuse arguments that contradict coded => true.
 */
static void
check_coded(FunctionCallInfo fcinfo, Relation rel)
{
	if (!PG_ARGISNULL(ARG_USER_TABLE) &&
		OidIsValid(PG_GETARG_OID(ARG_USER_TABLE)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("coded => true cannot be combined with user_table"),
				 errdetail("Rows of table %s refer to users, whose ids only the table of users makes sure of.",
						   ienv_quoted_name(RelationGetRelid(rel))),
				 errhint("Leave out coded, here.")));
	if (!PG_GETARG_BOOL(ARG_FOLLOW_DEPARTURES))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("coded => true cannot be combined with follow_departures => false"),
				 errdetail("Where ids are coded, nobody's departure need be recorded, and rows of production are taken."),
				 errhint("Leave out one of them.")));
}

/*
 * The columns that tell reset_development() about users, as the caller of
 * guard() wants them: columns has those that the guard has by now.  An argument
 * that is null leaves a column as it is, and an empty one removes it.
 */
void
ienv_choose_user_columns(FunctionCallInfo fcinfo, Relation rel,
						 const IenvGuard *guard, IenvUserColumns *columns)
{
	if (!PG_ARGISNULL(ARG_ADDRESS_COLUMN))
		columns->address =
			choose(rel, guard, NameStr(*PG_GETARG_NAME(ARG_ADDRESS_COLUMN)),
				   "address_column", ienv_is_address_type,
				   "text, character varying or the like");
	if (!PG_ARGISNULL(ARG_CREATED_COLUMN))
		columns->created =
			choose(rel, guard, NameStr(*PG_GETARG_NAME(ARG_CREATED_COLUMN)),
				   "created_column", ienv_is_created_type,
				   "timestamp with or without time zone, or date");
}

/*
 * The name that an argument of guard() gives, after it was checked, or NULL.
 */
static char *
choose(Relation rel, const IenvGuard *guard, const char *name,
	   const char *argument, bool (*is_suitable) (Oid type),
	   const char *wanted)
{
	Oid			type;

	if (*name == '\0')
		return NULL;
	if (!guard->counted)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s requires counted => true", argument),
				 errhint("Name the column of the table of users: rows of other tables go with the users that they refer to.")));
	type = TupleDescAttr(RelationGetDescr(rel),
						 find_column(rel, name, argument) - 1)->atttypid;
	if (!is_suitable(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table %s is of type %s, but %s must be %s",
						name, ienv_quoted_name(guard->relid),
						format_type_be(type), argument, wanted)));
	return pstrdup(name);
}

/*
 * The attribute number of the column with this name, which must not be a
 * system column.
 */
static AttrNumber
find_column(Relation rel, const char *name, const char *argument)
{
	AttrNumber	attno = get_attnum(RelationGetRelid(rel), name);

	if (attno == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation %s does not exist",
						ienv_clipped(name),
						ienv_quoted_name(RelationGetRelid(rel))),
				 strchr(name, ',') != NULL &&
				 strcmp(argument, "instance_column") == 0 ?
				 errhint("If several columns make up the instance, name a stored generated column that combines them, such as (tenant || '/' || region).") :
				 errhint("Name the column as guard()'s %s.", argument)));
	if (attno < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("system column \"%s\" of table %s cannot be used",
						name, ienv_quoted_name(RelationGetRelid(rel))),
				 errhint("Name a column of the table's own as guard()'s %s.",
						 argument)));
	return attno;
}

/*
 * Refuse an instance column that cannot be compared with an instance's id or
 * external key.
 */
static void
check_instance_column(Relation rel, AttrNumber attno)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attno - 1);

	if (!ienv_instance_type_ok(getBaseType(att->atttypid)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table %s is of type %s, but an instance column must be uuid, a character string or an integer",
						NameStr(att->attname),
						ienv_quoted_name(RelationGetRelid(rel)),
						format_type_be(att->atttypid)),
				 errdetail("A uuid is compared with instance.id, any other value as text with instance.external_key."),
				 errhint("Name a stored generated column of type text that is computed from the column.")));
	if (OidIsValid(att->attcollation) &&
		!get_collation_isdeterministic(att->attcollation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("instance column \"%s\" of table %s has a nondeterministic collation",
						NameStr(att->attname),
						ienv_quoted_name(RelationGetRelid(rel))),
				 errdetail("External keys are compared byte by byte."),
				 errhint("Give the column a deterministic collation, such as \"C\".")));
	if (att->attgenerated != '\0' &&
		att->attgenerated != ATTRIBUTE_GENERATED_STORED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("virtual generated column \"%s\" of table %s cannot be the instance column",
						NameStr(att->attname),
						ienv_quoted_name(RelationGetRelid(rel))),
				 errdetail("Triggers and indexes need its value in the row."),
				 errhint("Use a generated column that is STORED.")));
}

/*
 * Read a user key: the name of a column as it is, or a list of names as in SQL,
 * with or without parentheses.  Returns how many there are.
 */
static int
read_key(Relation rel, const char *user_key, AttrNumber *attnos)
{
	List	   *names = NIL;
	int			n = 0;
	ListCell   *lc;

	if (strpbrk(user_key, ",( ") == NULL ||
		get_attnum(RelationGetRelid(rel), user_key) > 0)
		names = list_make1(unconstify(char *, user_key));
	else if (!SplitIdentifierString(without_parentheses(user_key), ',', &names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("user_key \"%s\" is not a list of columns of table %s",
						ienv_clipped(user_key),
						ienv_quoted_name(RelationGetRelid(rel))),
				 errhint("Separate names by commas, and quote those that need it: 'app_id, \"userId\"'.")));
	if (list_length(names) > IENV_MAX_KEY_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("user_key of table %s has more than %d columns",
						ienv_quoted_name(RelationGetRelid(rel)),
						IENV_MAX_KEY_COLUMNS)));
	foreach(lc, names)
	{
		AttrNumber	attno = find_column(rel, lfirst(lc), "user_key");

		for (int i = 0; i < n; i++)
			if (attnos[i] == attno)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" appears twice in user_key of table %s",
								(char *) lfirst(lc),
								ienv_quoted_name(RelationGetRelid(rel)))));
		attnos[n++] = attno;
	}
	return n;
}

static char *
without_parentheses(const char *list)
{
	char	   *copy = pstrdup(list);
	char	   *end = copy + strlen(copy);

	while (scanner_isspace(*copy))
		copy++;
	while (end > copy && scanner_isspace(end[-1]))
		end--;
	if (end - copy > 1 && *copy == '(' && end[-1] == ')')
	{
		copy++;
		end--;
	}
	*end = '\0';
	return copy;
}

/*
 * Refuse a user key that the instance column is part of.
 */
static void
check_apart(const IenvGuard *guard, int n, const AttrNumber *attnos)
{
	for (int i = 0; i < n; i++)
		if (attnos[i] == guard->instance_attno)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" of table %s cannot be both instance column and user key",
							get_attname(guard->relid, guard->instance_attno,
										false),
							ienv_quoted_name(guard->relid)),
					 errhint("Name the columns that identify a user whatever the instance, or give an empty user_key.")));
}
