/*-------------------------------------------------------------------------
 *
 * grant.c
 *	  Who may call what: grant_backend(), grant_monitor(), grant_guard(),
 *	  grant_admin().
 *
 * The list below is the only place that says so.  It omits functions that
 * PUBLIC may execute (see the end of the install script) and trigger functions
 * of the extension's own tables; a test ensures that it has all others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/regproc.h"

#include "base/base.h"
#include "registry/registry.h"

/* Audiences, as bits; ADMIN may do all that the others may */
#define BACKEND		0x01		/* an application's backend: what it calls on
								 * a request */
#define MONITOR		0x02		/* the views, hence the functions that they
								 * call */
#define ADMIN		0x04
#define GUARD		0x08		/* owners of tables, who guard them */
#define NOBODY		0x00		/* superusers and the extension's owner */

typedef struct Audience
{
	const char *function;		/* with all its signatures */
	int			bits;
} Audience;

static const Audience audiences[] = {
	/* the service */
	{"configure_service", ADMIN},

	/* applications and instances */
	{"adopt_application", ADMIN},
	{"application_id", BACKEND | ADMIN},
	{"create_application", ADMIN},
	{"create_staging_application", ADMIN},
	{"drop_application", ADMIN},
	{"id_instance", BACKEND | MONITOR | ADMIN},
	{"instance_by_key", BACKEND | ADMIN},
	{"instance_id", BACKEND | ADMIN},
	{"instance_info", BACKEND | MONITOR | ADMIN},
	{"rename_application", ADMIN},
	{"rename_instance", ADMIN},
	{"resume_instance", ADMIN},
	{"seats_left", BACKEND | ADMIN},
	{"set_plan", ADMIN},
	{"set_user_cap", ADMIN},
	{"suspend_instance", ADMIN},

	/* sessions bound to an instance */
	{"allow_instance", ADMIN},
	{"enter", BACKEND | ADMIN},
	{"forbid_instance", ADMIN},
	{"leave", BACKEND | ADMIN},

	/* policies, messages, search engines, security */
	{"banner", BACKEND | ADMIN},
	{"consume_message", BACKEND | ADMIN},
	{"is_test_identity", BACKEND | ADMIN},
	{"message_prefix", BACKEND | ADMIN},
	{"policy", BACKEND | MONITOR | ADMIN},
	{"prefix_message", BACKEND | ADMIN},
	{"redirect_url_allowed", BACKEND | ADMIN},
	{"reset_policy", ADMIN},
	{"robots_directive", BACKEND | ADMIN},
	{"robots_txt", BACKEND | ADMIN},
	{"security_policy", BACKEND | ADMIN},
	{"set_policy", ADMIN},

	/* social connections */
	{"remove_social_connection", ADMIN},
	{"set_social_connection", ADMIN},
	{"social_credentials", BACKEND | ADMIN},

	/* features */
	{"disable_feature", ADMIN},
	{"enable_feature", ADMIN},
	{"feature_available", BACKEND | ADMIN},
	{"require_feature", BACKEND | ADMIN},

	/* domains, hosts and previews */
	{"account_portal_url", BACKEND | ADMIN},
	{"add_hosting_suffix", ADMIN},
	{"add_redirect_url", ADMIN},
	{"associate_domain", ADMIN},
	{"change_domain", ADMIN},
	{"check_preview", BACKEND | ADMIN},
	{"dns_records", BACKEND | ADMIN},
	{"frontend_api_host", BACKEND | ADMIN},
	{"instance_for_host", BACKEND | ADMIN},
	{"oauth_callback_url", BACKEND | ADMIN},
	{"oauth_consent_domain", BACKEND | ADMIN},
	{"remove_domain", ADMIN},
	{"remove_redirect_url", ADMIN},
	{"set_allowed_origins", ADMIN},
	{"remove_hosting_suffix", ADMIN},
	{"unverify_domain", ADMIN},
	{"verify_domain", ADMIN},

	/* keys */
	{"create_secret_key", ADMIN},
	{"instance_by_publishable_key", BACKEND | ADMIN},
	{"key_last_used", MONITOR | ADMIN},
	{"keys_match", BACKEND | ADMIN},
	{"publishable_key", BACKEND | ADMIN},
	{"revoke_secret_key", ADMIN},
	{"rotate_secret_key", ADMIN},
	{"verify_secret_key", BACKEND | ADMIN},

	/* settings */
	{"config_version", BACKEND | ADMIN},
	{"export_settings", ADMIN},
	{"import_settings", ADMIN},
	{"set_setting", ADMIN},
	{"setting", BACKEND | ADMIN},
	{"settings", BACKEND | ADMIN},

	/* validation, promotion, drift, rollback, reset */
	{"assert_valid", BACKEND | ADMIN},
	{"instance_diff", MONITOR | ADMIN},
	{"promote", ADMIN},
	{"readiness_list", MONITOR | ADMIN},
	{"readiness_of", MONITOR | ADMIN},
	{"reset_development", ADMIN},
	{"rollback_promotion", ADMIN},
	{"validate", BACKEND | MONITOR | ADMIN},

	/*
	 * guards; creating a trigger or a partition requires EXECUTE on the
	 * trigger functions
	 */
	{"guard", GUARD | ADMIN},
	{"isolate", GUARD | ADMIN},
	{"unguard", GUARD | ADMIN},
	{"unisolate", GUARD | ADMIN},
	{"check_instance", GUARD | ADMIN},
	{"check_move", GUARD | ADMIN},
	{"check_transfer", GUARD | ADMIN},
	{"check_user_cap", GUARD | ADMIN},
	{"record_departure", GUARD | ADMIN},
	{"record_truncate", GUARD | ADMIN},

	/* monitoring */
	{"activity_list", MONITOR | ADMIN},
	{"activity_status", MONITOR | ADMIN},
	{"guard_list", MONITOR | GUARD | ADMIN},
	{"instance_usage", MONITOR | ADMIN},
	{"report", MONITOR | ADMIN},
	{"reset_activity", ADMIN},
	{"user_count", MONITOR | ADMIN},

	/* departed users */
	{"forget_departed", ADMIN},

	/* the audit log */
	{"forget_events", NOBODY},

	/* a cluster */
	{"distribute", NOBODY},

	/* rights */
	{"grant_admin", NOBODY},
	{"grant_backend", NOBODY},
	{"grant_guard", NOBODY},
	{"grant_monitor", NOBODY},
	{"revoke_access", NOBODY},
};

/* What these functions grant */
static const Audience grants[] = {
	{"grant_backend", BACKEND},
	{"grant_monitor", MONITOR},
	{"grant_guard", GUARD},
	{"grant_admin", BACKEND | MONITOR | GUARD | ADMIN},
};

/*
 * Views that are the same for every application: a backend may read them, too,
 * because errors refer to them.
 */
static const char *const catalogues[] = {
	"features", "hosting_suffixes", "policy_defaults", "service_names",
	"setting_sections", "social_providers"
};

static Oid	role_argument(FunctionCallInfo fcinfo, const char **role);
static void grant_rights(FunctionCallInfo fcinfo, const char *action);
static void change_everywhere(const char *action, Oid roleid,
							  const char *name);
static void revoke_rights(Oid roleid);
static void grant_audiences(const char *role, int bits);
static bool has_all_of(Oid roleid, int bits);
static void grant_views(const char *role);

PG_FUNCTION_INFO_V1(instance_env_grant_backend);
PG_FUNCTION_INFO_V1(instance_env_grant_monitor);
PG_FUNCTION_INFO_V1(instance_env_grant_guard);
PG_FUNCTION_INFO_V1(instance_env_grant_admin);
PG_FUNCTION_INFO_V1(instance_env_revoke_access);
PG_FUNCTION_INFO_V1(instance_env_revoke_defaults);

/*
 * grant_backend(role regrole) RETURNS void
 */
Datum
instance_env_grant_backend(PG_FUNCTION_ARGS)
{
	grant_rights(fcinfo, "grant_backend");
	PG_RETURN_VOID();
}

/*
 * grant_monitor(role regrole) RETURNS void
 */
Datum
instance_env_grant_monitor(PG_FUNCTION_ARGS)
{
	grant_rights(fcinfo, "grant_monitor");
	PG_RETURN_VOID();
}

/*
 * grant_guard(role regrole) RETURNS void
 */
Datum
instance_env_grant_guard(PG_FUNCTION_ARGS)
{
	grant_rights(fcinfo, "grant_guard");
	PG_RETURN_VOID();
}

/*
 * grant_admin(role regrole) RETURNS void
 */
Datum
instance_env_grant_admin(PG_FUNCTION_ARGS)
{
	grant_rights(fcinfo, "grant_admin");
	PG_RETURN_VOID();
}

/*
 * revoke_access(role regrole) RETURNS void
 *
 * Revokes everything that a role has been granted in the schema, what the
 * role has granted to others in turn, and the instances that it is allowed.
 */
Datum
instance_env_revoke_access(PG_FUNCTION_ARGS)
{
	const char *name;
	Oid			roleid = role_argument(fcinfo, &name);
	Datum		before;

	ienv_lock_rights();
	SPI_connect();
	before = ienv_privileges_of(roleid);
	change_everywhere("revoke_access", roleid, name);
	ienv_record_privileges("revoke_access", name, roleid, before);
	ienv_revoke_allowances(name);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * revoke_defaults() RETURNS void
 *
 * For the install and upgrade scripts: revokes from every role but PUBLIC and
 * the owner what default privileges have granted it.  It is dropped at the
 * script's end.
 */
Datum
instance_env_revoke_defaults(PG_FUNCTION_ARGS)
{
	SPI_connect();
	(void) ienv_revoke_all(InvalidOid);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * The role given as the argument, and its name.
 *
 * The caller must be entitled to grant privileges anyway: EXECUTE alone, which
 * somebody may have granted, is not enough.
 */
static Oid
role_argument(FunctionCallInfo fcinfo, const char **role)
{
	Oid			roleid;

	ienv_require_argument(fcinfo, 0, "role");
	roleid = PG_GETARG_OID(0);
	if (!has_privs_of_role(GetUserId(), ienv_oids()->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change who may use extension \"%s\"", IENV_SCHEMA),
				 errdetail("Only a superuser or the extension's owner may do so.")));
	*role = GetUserNameFromId(roleid, true);
	if (*role == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", roleid)));
	return roleid;
}

/*
 * Grant a role what such a function grants, and if that changes anything,
 * record it as done by function "action".
 */
static void
grant_rights(FunctionCallInfo fcinfo, const char *action)
{
	const char *name;
	Oid			roleid = role_argument(fcinfo, &name);
	Datum		before;

	ienv_lock_rights();
	SPI_connect();
	before = ienv_privileges_of(roleid);
	change_everywhere(action, roleid, name);
	ienv_record_privileges(action, name, roleid, before);
	SPI_finish();
}

/*
 * Do what one of these functions does, on all nodes if there are several.
 */
static void
change_everywhere(const char *action, Oid roleid, const char *name)
{
	if (ienv_registry_is_distributed())
		ienv_on_each_node(action, name, NULL, NULL);
	else
		ienv_change_rights(action, roleid);
}

/*
 * The same on this node alone, as the caller.  SPI is connected, and the
 * rights are locked.
 */
void
ienv_change_rights(const char *action, Oid roleid)
{
	int			bits = 0;

	if (strcmp(action, "revoke_access") == 0)
	{
		revoke_rights(roleid);
		return;
	}
	for (int i = 0; i < lengthof(grants); i++)
		if (strcmp(action, grants[i].function) == 0)
			bits = grants[i].bits;
	if (bits == 0)
		elog(ERROR, "\"%s\" changes no rights", action);
	grant_audiences(quote_identifier(GetUserNameFromId(roleid, false)), bits);
}

static void
revoke_rights(Oid roleid)
{
	if (ienv_revoke_all(roleid) > 0 && ienv_revoke_all(roleid) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("could not revoke all privileges of role \"%s\" in schema \"%s\"",
						GetUserNameFromId(roleid, false), IENV_SCHEMA),
				 errdetail("Some were granted by a role that has since become a superuser; REVOKE by a superuser affects only what the object's owner granted."),
				 errhint("Call instance_env.revoke_access() for that role, which also revokes what it has granted.")));
}

/*
 * Grant a role, whose name is quoted, what any of these audiences may do.
 */
static void
grant_audiences(const char *role, int bits)
{
	ienv_execute("GRANT USAGE ON SCHEMA %s TO %s", IENV_SCHEMA, role);
	for (int i = 0; i < lengthof(audiences); i++)
	{
		Oid			type = TEXTOID;
		Datum		function = CStringGetTextDatum(audiences[i].function);
		SPITupleTable *functions;
		uint64		n;

		if ((audiences[i].bits & bits) == 0)
			continue;
		n =
			ienv_query("SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace" IENV_IN_SCHEMA
					   " AND proname OPERATOR(pg_catalog.=) $1", 1, &type,
					   &function, NULL);
		functions = SPI_tuptable;
		if (n == 0)
			elog(ERROR, "function \"%s\" does not exist",
				 audiences[i].function);
		for (uint64 j = 0; j < n; j++)
		{
			bool		isnull;
			Oid			oid = DatumGetObjectId(SPI_getbinval(functions->vals[j], functions->tupdesc, 1, &isnull));

			ienv_execute("GRANT EXECUTE ON ROUTINE %s TO %s",
						 format_procedure_qualified(oid), role);
		}
	}
	if (bits & (BACKEND | ADMIN))
		for (int i = 0; i < lengthof(catalogues); i++)
			ienv_execute("GRANT SELECT ON %s.%s TO %s", IENV_SCHEMA,
						 catalogues[i], role);
	if (bits & MONITOR)
		grant_views(role);
	if (bits & GUARD)
		ienv_execute("GRANT SELECT ON %s.guards TO %s", IENV_SCHEMA, role);
}

/*
 * Allow a role to read each of the extension's views.
 */
static void
grant_views(const char *role)
{
	uint64		n = ienv_query("SELECT oid FROM pg_catalog.pg_class"
							   " WHERE relnamespace" IENV_IN_SCHEMA
							   " AND relkind OPERATOR(pg_catalog.=) 'v'", 0,
							   NULL, NULL, NULL);
	SPITupleTable *views = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			oid = DatumGetObjectId(SPI_getbinval(views->vals[i],
														 views->tupdesc, 1,
														 &isnull));

		ienv_execute("GRANT SELECT ON %s TO %s", ienv_sql_name(oid), role);
	}
}

/*
 * Grant on all nodes what roles have been granted on this one by functions
 * such as grant_backend().  SPI is connected.
 */
void
ienv_repeat_grants(void)
{
	uint64		n = ienv_query("SELECT DISTINCT a.grantee"
							   " FROM pg_catalog.pg_namespace n,"
							   " LATERAL pg_catalog.aclexplode(n.nspacl) a"
							   " WHERE n.oid" IENV_IN_SCHEMA
							   " AND a.grantee OPERATOR(pg_catalog.<>) 0"
							   " AND a.grantee OPERATOR(pg_catalog.<>)"
							   " n.nspowner", 0, NULL, NULL, NULL);
	SPITupleTable *roles = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			roleid = DatumGetObjectId(SPI_getbinval(roles->vals[i],
															roles->tupdesc, 1,
															&isnull));

		for (int j = 0; j < lengthof(grants); j++)
			if (has_all_of(roleid, grants[j].bits))
				ienv_on_each_node(grants[j].function,
								  GetUserNameFromId(roleid, false), NULL, NULL);
	}
}

/*
 * Has a role itself been granted all functions of these audiences?
 */
static bool
has_all_of(Oid roleid, int bits)
{
	Oid			types[2] = {OIDOID, TEXTARRAYOID};
	Datum		values[2];
	Datum		names[lengthof(audiences)];
	int			n = 0;

	for (int i = 0; i < lengthof(audiences); i++)
		if ((audiences[i].bits & bits) != 0)
			names[n++] = CStringGetTextDatum(audiences[i].function);
	values[0] = ObjectIdGetDatum(roleid);
	values[1] = PointerGetDatum(construct_array(names, n, TEXTOID, -1, false,
												TYPALIGN_INT));
	return ienv_query("SELECT FROM pg_catalog.pg_proc p"
					  " WHERE p.pronamespace" IENV_IN_SCHEMA
					  " AND p.proname OPERATOR(pg_catalog.=) ANY ($2)"
					  " AND NOT EXISTS (SELECT"
					  " FROM pg_catalog.aclexplode(p.proacl) a"
					  " WHERE a.grantee OPERATOR(pg_catalog.=) $1)",
					  2, types, values, NULL) == 0;
}
