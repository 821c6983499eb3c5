/*-------------------------------------------------------------------------
 *
 * allow.c
 *	  allow_instance() and forbid_instance(): which roles may be in which
 *	  instances.
 *
 * An allowance is given to a role for an application or for all, and for a
 * type of instance or for both.  A role that has none may enter nothing.
 *
 * SECURITY DEFINER with a pinned search_path.  The table has roles by OID, so
 * that an allowance follows a role that is renamed; of a role that is dropped,
 * PostgreSQL does not tell us, so allow_instance() looks for those.  A role has
 * another OID on each node of a cluster, so what writes goes by its name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/base.h"
#include "registry/registry.h"
#include "session/session.h"

/* The arguments of a call: $1 to $3 of the queries below */
typedef struct Scope
{
	Oid			roleid;
	const char *role;			/* its name */
	Datum		values[3];		/* role, application, type; 0 for null */
} Scope;

static const Oid types[3] = {TEXTOID, UUIDOID, TEXTOID};

/* Conditions on an allowance a, and columns that describe it */
#define IS_OF_ROLE \
	"pg_catalog.pg_get_userbyid(a.role) OPERATOR(pg_catalog.=) $1::pg_catalog.name"
/* the number of a role that is gone; a name that begins with a digit is quoted */
#define IS_DROPPED \
	"a.role::pg_catalog.text OPERATOR(pg_catalog.~) '^[0-9]'"
#define IS_WITHIN \
	"($2 IS NULL OR (a.application IS NOT NULL AND a.application OPERATOR(pg_catalog.=) $2))" \
	" AND ($3 IS NULL OR (a.type IS NOT NULL AND a.type::pg_catalog.text OPERATOR(pg_catalog.=) $3))"
#define OVERLAPS \
	"($2 IS NULL OR a.application IS NULL OR a.application OPERATOR(pg_catalog.=) $2)" \
	" AND ($3 IS NULL OR a.type IS NULL OR a.type::pg_catalog.text OPERATOR(pg_catalog.=) $3)"
#define TYPE_OF_ALLOWANCE \
	"pg_catalog.jsonb_build_object('type', a.type)"

static void allow(FunctionCallInfo fcinfo);
static void forbid(FunctionCallInfo fcinfo);
static void read_scope(FunctionCallInfo fcinfo, Scope *scope);
static void forget_dropped_roles(void);
static void refuse_if_wider(const Scope *scope);
static void warn_if_still_allowed(const Scope *scope);
static const char *describe(const char *application, const char *type);
static FunctionCallInfo by_name(FunctionCallInfo fcinfo);

PG_FUNCTION_INFO_V1(instance_env_allow_instance);
PG_FUNCTION_INFO_V1(instance_env_allow_instance_by_name);
PG_FUNCTION_INFO_V1(instance_env_forbid_instance);
PG_FUNCTION_INFO_V1(instance_env_forbid_instance_by_name);

/*
 * allow_instance(role regrole, application uuid, type instance_type)
 * RETURNS void
 *
 * No error if the role is allowed already.  The id must not be null, as it is
 * if application_id() was asked for a name that does not exist: the role would
 * be allowed everything.
 */
Datum
instance_env_allow_instance(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 1, "application");
	allow(fcinfo);
	PG_RETURN_VOID();
}

/*
 * The same with a name or, if that is null, for all applications.
 */
Datum
instance_env_allow_instance_by_name(PG_FUNCTION_ARGS)
{
	allow(by_name(fcinfo));
	PG_RETURN_VOID();
}

static void
allow(FunctionCallInfo fcinfo)
{
	Scope		scope;

	SPI_connect();
	read_scope(fcinfo, &scope);
	forget_dropped_roles();
	if (ienv_query("WITH a AS (INSERT INTO instance_env.instance_allowance AS a"
				   " (role, application, type)"
				   " VALUES (pg_catalog.quote_ident($1)::pg_catalog.regrole, $2,"
				   " $3::instance_env.instance_type)"
				   " ON CONFLICT DO NOTHING"
				   " RETURNING a.type)"
				   " SELECT NULL::pg_catalog.jsonb, " TYPE_OF_ALLOWANCE
				   " FROM a",
				   3, types, scope.values, NULL) > 0)
		ienv_record_returned("allow_instance",
							 PG_ARGISNULL(1) ? NULL : PG_GETARG_UUID_P(1),
							 NULL, scope.role);
	SPI_finish();
}

/*
 * forbid_instance(role regrole, application uuid, type instance_type)
 * RETURNS void
 *
 * Takes back every allowance of the role within this scope.  An error if a
 * wider one remains, since the role could still enter what is to be
 * forbidden; a warning if it could as a member of another role.
 */
Datum
instance_env_forbid_instance(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 1, "application");
	forbid(fcinfo);
	PG_RETURN_VOID();
}

/*
 * The same with a name or, if that is null, in all applications.
 */
Datum
instance_env_forbid_instance_by_name(PG_FUNCTION_ARGS)
{
	forbid(by_name(fcinfo));
	PG_RETURN_VOID();
}

static void
forbid(FunctionCallInfo fcinfo)
{
	Scope		scope;
	bool		none;

	SPI_connect();
	read_scope(fcinfo, &scope);
	refuse_if_wider(&scope);

	/* including what was allowed since the transaction's snapshot */
	(void) ienv_query_latest("SELECT pg_catalog.array_agg(a.id)"
							 " FROM instance_env.instance_allowance a"
							 " WHERE " IS_OF_ROLE " AND " IS_WITHIN,
							 3, types, scope.values, NULL);
	ienv_delete_allowances("forbid_instance", scope.role,
						   ienv_result_datum(0, 1, &none));
	warn_if_still_allowed(&scope);
	SPI_finish();
}

/*
 * The same call with an id in place of the application's name.
 */
static FunctionCallInfo
by_name(FunctionCallInfo fcinfo)
{
	FunctionCallInfo copy = ienv_copy_call(fcinfo);
	NullableDatum role = copy->args[0];

	/* it looks for the first argument */
	copy->args[0] = copy->args[1];
	ienv_find_application(copy);
	copy->args[1] = copy->args[0];
	copy->args[0] = role;
	return copy;
}

/*
 * Check the arguments, and lock the application so that it is not dropped
 * meanwhile.  SPI is connected.
 */
static void
read_scope(FunctionCallInfo fcinfo, Scope *scope)
{
	Oid			role;

	ienv_require_argument(fcinfo, 0, "role");
	ienv_require_joined();
	role = PG_GETARG_OID(0);
	scope->role = GetUserNameFromId(role, true);
	if (scope->role == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", role)));
	scope->roleid = role;
	scope->values[0] = CStringGetTextDatum(scope->role);
	scope->values[1] = PG_ARGISNULL(1) ? 0 : PG_GETARG_DATUM(1);
	scope->values[2] = PG_ARGISNULL(2) ? 0 :
		CStringGetTextDatum(PG_GETARG_OID(2) ==
							ienv_oids()->types[IENV_PRODUCTION] ?
							"production" : "development");
	if (!PG_ARGISNULL(1))
		ienv_require_application(ienv_query("SELECT FROM instance_env.application"
											" WHERE id OPERATOR(pg_catalog.=) $1"
											" FOR KEY SHARE",
											1, &types[1], &scope->values[1],
											NULL), scope->values[1]);
}

/*
 * Delete the allowances of roles that have been dropped: some day, another
 * role might get such an OID.  Another transaction that does the same is not
 * waited for.
 */
static void
forget_dropped_roles(void)
{
	Oid			type = UUIDOID;
	uint64		n = ienv_write_latest("SELECT a.id"
									  " FROM instance_env.instance_allowance a"
									  " WHERE " IS_DROPPED
									  " FOR UPDATE SKIP LOCKED",
									  0, NULL, NULL);
	SPITupleTable *dropped = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		id = SPI_getbinval(dropped->vals[i], dropped->tupdesc, 1,
									   &isnull);

		(void) ienv_write_latest("DELETE FROM instance_env.instance_allowance"
								 " WHERE id OPERATOR(pg_catalog.=) $1",
								 1, &type, &id);
	}
}

/*
 * Raise an error if an allowance of the role itself covers some of the scope
 * and more.  SPI is connected.
 */
static void
refuse_if_wider(const Scope *scope)
{
	if (ienv_query_latest("SELECT p.name, a.type::pg_catalog.text"
						  " FROM instance_env.instance_allowance a"
						  " LEFT JOIN instance_env.application p"
						  " ON p.id OPERATOR(pg_catalog.=) a.application"
						  " WHERE " IS_OF_ROLE " AND " OVERLAPS
						  " AND NOT (" IS_WITHIN ")"
						  " ORDER BY p.name NULLS FIRST, a.type NULLS FIRST"
						  " LIMIT 1", 3, types, scope->values, NULL) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("role \"%s\" would still be allowed by a wider allowance",
					scope->role),
			 errdetail("It is allowed in %s.",
					   describe(ienv_result_text(0, 1),
								ienv_result_text(0, 2))),
			 errhint("Forbid that with instance_env.forbid_instance(), and allow what is to remain with instance_env.allow_instance().")));
}

/*
 * Warn of what lets the role enter an instance of the scope nevertheless.
 * SPI is connected.
 */
static void
warn_if_still_allowed(const Scope *scope)
{
	Oid			role = scope->roleid;
	uint64		n;

	if (superuser_arg(role))
	{
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("role \"%s\" may enter every instance because it is a superuser",
						scope->role)));
		return;
	}
	n = ienv_query_latest("SELECT a.role::pg_catalog.oid, p.name,"
						  " a.type::pg_catalog.text"
						  " FROM instance_env.instance_allowance a"
						  " LEFT JOIN instance_env.application p"
						  " ON p.id OPERATOR(pg_catalog.=) a.application"
						  " WHERE $1 IS NOT NULL AND " OVERLAPS
						  " ORDER BY p.name NULLS FIRST, a.type NULLS FIRST,"
						  " a.role", 3, types, scope->values, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			other = DatumGetObjectId(ienv_result_datum(i, 1, &isnull));
		const char *name;
		const char *where;

		if (other == role)
			continue;
		name = GetUserNameFromId(other, true);
		where = describe(ienv_result_text(i, 2), ienv_result_text(i, 3));
		if (has_privs_of_role(role, other))
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("role \"%s\" is still allowed as a member of role \"%s\"",
							scope->role, name),
					 errdetail("Role \"%s\" is allowed in %s.", name, where)));
		else if (ienv_may_become(role, other))
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("role \"%s\" may still SET ROLE to role \"%s\", which is allowed",
							scope->role, name),
					 errdetail("Role \"%s\" is allowed in %s.", name, where)));
	}
}

/*
 * The instances of an allowance, for a message; either may be NULL, for all.
 */
static const char *
describe(const char *application, const char *type)
{
	if (application == NULL)
		return type == NULL ? "all instances" :
			psprintf("all %s instances", type);
	return type == NULL ?
		psprintf("both instances of application \"%s\"",
				 ienv_clipped(application)) :
		psprintf("the %s instance of application \"%s\"", type,
				 ienv_clipped(application));
}
