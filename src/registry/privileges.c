/*-------------------------------------------------------------------------
 *
 * privileges.c
 *	  What roles have been granted in the extension's schema: read, recorded
 *	  and revoked.
 *
 * Revoking takes away all privileges that a role has in the schema, wherever
 * they come from: a manual GRANT, or default privileges, which may include
 * what nobody is meant to have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/regproc.h"

#include "base/base.h"
#include "registry/registry.h"

/*
 * Every privilege on the schema and on objects in it: the kind of object, one
 * of the names below, its owner, and an entry of its ACL (an object without an
 * ACL has PostgreSQL's defaults).
 */
#define PRIVILEGES \
	"(SELECT 'schema' AS kind, oid, nspowner AS owner, nspacl AS acl FROM pg_catalog.pg_namespace" \
	"  WHERE oid" IENV_IN_SCHEMA \
	" UNION ALL SELECT 'functions', oid, proowner, proacl FROM pg_catalog.pg_proc" \
	"  WHERE pronamespace" IENV_IN_SCHEMA \
	" UNION ALL SELECT CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' THEN 'sequences'" \
	"   WHEN c.relkind OPERATOR(pg_catalog.=) 'v' THEN 'views' ELSE 'tables' END, c.oid, c.relowner, a.acl" \
	"  FROM pg_catalog.pg_class c, LATERAL (SELECT c.relacl AS acl UNION ALL SELECT attacl" \
	"   FROM pg_catalog.pg_attribute WHERE attrelid OPERATOR(pg_catalog.=) c.oid) a" \
	"  WHERE c.relnamespace" IENV_IN_SCHEMA \
	" UNION ALL SELECT 'types', oid, typowner, typacl FROM pg_catalog.pg_type" \
	"  WHERE typnamespace" IENV_IN_SCHEMA ") o, LATERAL pg_catalog.aclexplode(o.acl) a"

static void revoke_one(const char *kind, Oid oid, Oid grantor, Oid grantee);

/*
 * How much a role itself has been granted, as shown in the audit log.
 */
Datum
ienv_privileges_of(Oid roleid)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(roleid);
	bool		isnull;

	(void) ienv_query("SELECT '{\"functions\": 0, \"views\": 0}'::pg_catalog.jsonb OPERATOR(pg_catalog.||)"
					  "  COALESCE(pg_catalog.jsonb_object_agg(kind, n), '{}')"
					  " FROM (SELECT o.kind,"
					  " pg_catalog.count(DISTINCT o.oid) AS n FROM " PRIVILEGES
					  "  WHERE a.grantee OPERATOR(pg_catalog.=) $1"
					  " GROUP BY o.kind) counts",
					  1, &type, &value, NULL);
	return ienv_result_datum(0, 1, &isnull);
}

/*
 * Record what a role had been granted before and what it has been granted now,
 * if the two differ.
 */
void
ienv_record_privileges(const char *action, const char *role, Oid roleid,
					   Datum before)
{
	Datum		after = ienv_privileges_of(roleid);

	if (DatumGetBool(DirectFunctionCall2(jsonb_ne, before, after)))
		ienv_record_event(action, NULL, NULL, role, before, after);
}

/*
 * Revoke every privilege of a role or, if roleid is invalid, of every role but
 * PUBLIC and the owner; return how many grants there were, counted by object,
 * grantor and grantee.
 */
uint64
ienv_revoke_all(Oid roleid)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(roleid);
	uint64		n = ienv_query("SELECT DISTINCT o.kind, o.oid, a.grantor,"
							   " a.grantee FROM " PRIVILEGES
							   " WHERE a.grantee OPERATOR(pg_catalog.<>) 0"
							   " AND a.grantee OPERATOR(pg_catalog.<>) o.owner"
							   " AND (a.grantee OPERATOR(pg_catalog.=) $1"
							   " OR $1 OPERATOR(pg_catalog.=) 0)",
							   1, &type, &value, NULL);
	SPITupleTable *privileges = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = privileges->vals[i];
		TupleDesc	desc = privileges->tupdesc;
		bool		isnull;

		revoke_one(SPI_getvalue(row, desc, 1),
				   DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull)),
				   DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull)),
				   DatumGetObjectId(SPI_getbinval(row, desc, 4, &isnull)));
	}
	return n;
}

/*
 * Delete a role's allowances to enter instances, and record each.  SPI is
 * connected.
 */
void
ienv_revoke_allowances(const char *role)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(role);
	IenvOwner	saved;
	bool		none;

	ienv_require_joined();
	ienv_become_owner(&saved);
	(void) ienv_query_latest("SELECT pg_catalog.array_agg(id)"
							 " FROM instance_env.instance_allowance"
							 " WHERE pg_catalog.pg_get_userbyid(role)"
							 "  OPERATOR(pg_catalog.=) $1::pg_catalog.name",
							 1, &type, &value, NULL);
	ienv_delete_allowances("revoke_access", role,
						   ienv_result_datum(0, 1, &none));
	ienv_leave_owner(&saved);
}

/*
 * Delete the allowances of a role that have these ids, and record each as done
 * by function "action".  SPI is connected, and the current user is the owner.
 *
 * On a cluster, what writes names rows by their ids: the number of the role is
 * another one on each node, and no function may be called to find it.
 */
void
ienv_delete_allowances(const char *action, const char *role, Datum ids)
{
	Oid			type = UUIDARRAYOID;
	SPITupleTable *deleted;
	uint64		n;

	if (DatumGetPointer(ids) == NULL)
		return;
	n = ienv_write_latest("WITH a AS (DELETE FROM instance_env.instance_allowance"
						  " WHERE id OPERATOR(pg_catalog.=) ANY ($1)"
						  " RETURNING application, type)"
						  " SELECT application,"
						  " pg_catalog.jsonb_build_object('type', type) FROM a",
						  1, &type, &ids);
	deleted = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		bool		all;
		bool		isnull;
		Datum		application = SPI_getbinval(deleted->vals[i],
												deleted->tupdesc, 1, &all);

		ienv_record_event(action, all ? NULL : DatumGetUUIDP(application),
						  NULL, role,
						  SPI_getbinval(deleted->vals[i], deleted->tupdesc, 2,
										&isnull), 0);
	}
}

/*
 * Revoke what one role has granted another on one object.  REVOKE affects only
 * what the role that runs it has granted, so it runs as the grantor.
 */
static void
revoke_one(const char *kind, Oid oid, Oid grantor, Oid grantee)
{
	const char *keyword;
	const char *name;
	IenvOwner	saved;

	if (strcmp(kind, "functions") == 0)
	{
		keyword = "ROUTINE";
		name = format_procedure_qualified(oid);
	}
	else if (strcmp(kind, "types") == 0)
	{
		keyword = "TYPE";
		name = format_type_extended(oid, -1, FORMAT_TYPE_FORCE_QUALIFY);
	}
	else if (strcmp(kind, "schema") == 0)
	{
		keyword = "SCHEMA";
		name = IENV_SCHEMA;
	}
	else
	{
		keyword = strcmp(kind, "sequences") == 0 ? "SEQUENCE" : "TABLE";
		name = ienv_sql_name(oid);
	}
	GetUserIdAndSecContext(&saved.userid, &saved.sec_context);
	SetUserIdAndSecContext(grantor,
						   saved.sec_context | SECURITY_LOCAL_USERID_CHANGE);
	ienv_execute("REVOKE ALL ON %s %s FROM %s CASCADE", keyword, name,
				 quote_identifier(GetUserNameFromId(grantee, false)));
	SetUserIdAndSecContext(saved.userid, saved.sec_context);
}
