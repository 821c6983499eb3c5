/*-------------------------------------------------------------------------
 *
 * grant.c
 *	  Who may call what: grant_backend(), grant_monitor(), grant_admin().
 *
 * The list below is the only place that says so.  A function that PUBLIC may execute is
 * not in it, nor is a trigger function; a test sees to it that all others are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/regproc.h"

#include "instance_env.h"

/* Audiences, as bits; ADMIN may do what the others may */
#define BACKEND		0x01		/* an application's backend: what it asks on a request */
#define MONITOR		0x02		/* the views, and so the functions that they call */
#define ADMIN		0x04
#define NOBODY		0x00		/* superusers and the extension's owner */

typedef struct Audience
{
	const char *function;		/* with all its signatures */
	int			bits;
} Audience;

static const Audience audiences[] = {
	/* applications and instances */
	{"application_id", BACKEND | ADMIN},
	{"create_application", ADMIN},
	{"create_staging_application", ADMIN},
	{"drop_application", ADMIN},
	{"instance_id", BACKEND | ADMIN},
	{"rename_application", ADMIN},
	{"resume_instance", ADMIN},
	{"set_plan", ADMIN},
	{"set_user_cap", ADMIN},
	{"suspend_instance", ADMIN},

	/* policies, messages, search engines, security */
	{"banner", BACKEND | ADMIN},
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
	{"associate_domain", ADMIN},
	{"change_domain", ADMIN},
	{"check_preview", BACKEND | ADMIN},
	{"dns_records", BACKEND | ADMIN},
	{"frontend_api_host", BACKEND | ADMIN},
	{"instance_for_host", BACKEND | ADMIN},
	{"oauth_callback_url", BACKEND | ADMIN},
	{"oauth_consent_domain", BACKEND | ADMIN},
	{"remove_domain", ADMIN},
	{"verify_domain", ADMIN},

	/* keys */
	{"create_secret_key", ADMIN},
	{"publishable_key", BACKEND | ADMIN},
	{"revoke_secret_key", ADMIN},
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
	{"reset_development", ADMIN},
	{"rollback_promotion", ADMIN},
	{"validate", BACKEND | MONITOR | ADMIN},

	/* monitoring */
	{"guard_list", MONITOR | ADMIN},
	{"instance_usage", MONITOR | ADMIN},

	/* departed users */
	{"forget_departed", ADMIN},

	/* rights */
	{"grant_admin", NOBODY},
	{"grant_backend", NOBODY},
	{"grant_monitor", NOBODY},
	{"revoke_access", NOBODY},
};

static void change_rights(FunctionCallInfo fcinfo, const char *action, bool grant, int bits);
static Datum rights_of(Oid roleid);
static void change_views(const char *command, const char *role);

PG_FUNCTION_INFO_V1(instance_env_grant_backend);
PG_FUNCTION_INFO_V1(instance_env_grant_monitor);
PG_FUNCTION_INFO_V1(instance_env_grant_admin);
PG_FUNCTION_INFO_V1(instance_env_revoke_access);

/*
 * grant_backend(role regrole) RETURNS void
 */
Datum
instance_env_grant_backend(PG_FUNCTION_ARGS)
{
	change_rights(fcinfo, "grant_backend", true, BACKEND);
	PG_RETURN_VOID();
}

/*
 * grant_monitor(role regrole) RETURNS void
 */
Datum
instance_env_grant_monitor(PG_FUNCTION_ARGS)
{
	change_rights(fcinfo, "grant_monitor", true, MONITOR);
	PG_RETURN_VOID();
}

/*
 * grant_admin(role regrole) RETURNS void
 */
Datum
instance_env_grant_admin(PG_FUNCTION_ARGS)
{
	change_rights(fcinfo, "grant_admin", true, BACKEND | MONITOR | ADMIN);
	PG_RETURN_VOID();
}

/*
 * revoke_access(role regrole) RETURNS void
 */
Datum
instance_env_revoke_access(PG_FUNCTION_ARGS)
{
	change_rights(fcinfo, "revoke_access", false, BACKEND | MONITOR | ADMIN);
	PG_RETURN_VOID();
}

/*
 * Grant a role what one of these audiences may, or revoke it, and record that as done
 * by action if it changes anything.
 *
 * Runs as the caller, who must be one who may do so anyway: EXECUTE alone, which
 * somebody may have granted, is not the right to hand out rights.
 */
static void
change_rights(FunctionCallInfo fcinfo, const char *action, bool grant, int bits)
{
	Oid			roleid;
	const char *name;
	const char *role;
	Datum		before;
	Datum		after;

	ienv_require_argument(fcinfo, 0, "role");
	roleid = PG_GETARG_OID(0);
	if (!has_privs_of_role(GetUserId(), ienv_oids()->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change who may use extension \"%s\"", IENV_SCHEMA),
				 errdetail("Only a superuser or the extension's owner may.")));
	name = GetUserNameFromId(roleid, true);
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", roleid)));
	role = quote_identifier(name);

	SPI_connect();
	before = rights_of(roleid);
	ienv_execute(grant ? "GRANT USAGE ON SCHEMA %s TO %s" : "REVOKE USAGE ON SCHEMA %s FROM %s", IENV_SCHEMA, role);
	for (int i = 0; i < lengthof(audiences); i++)
	{
		Oid			type = TEXTOID;
		Datum		name = CStringGetTextDatum(audiences[i].function);
		SPITupleTable *functions;
		uint64		n;

		if ((audiences[i].bits & bits) == 0)
			continue;
		n = ienv_query("SELECT oid FROM pg_catalog.pg_proc"
					   " WHERE pronamespace OPERATOR(pg_catalog.=) '" IENV_SCHEMA "'::pg_catalog.regnamespace"
					   " AND proname OPERATOR(pg_catalog.=) $1", 1, &type, &name, NULL);
		functions = SPI_tuptable;
		if (n == 0)
			elog(ERROR, "function \"%s\" does not exist", audiences[i].function);
		for (uint64 j = 0; j < n; j++)
		{
			bool		isnull;
			Oid			oid = DatumGetObjectId(SPI_getbinval(functions->vals[j], functions->tupdesc, 1, &isnull));

			ienv_execute(grant ? "GRANT EXECUTE ON ROUTINE %s TO %s" : "REVOKE EXECUTE ON ROUTINE %s FROM %s",
						 format_procedure_qualified(oid), role);
		}
	}
	if (bits & MONITOR)
		change_views(grant ? "GRANT SELECT ON %s TO %s" : "REVOKE SELECT ON %s FROM %s", role);
	after = rights_of(roleid);
	if (DatumGetBool(DirectFunctionCall2(jsonb_ne, before, after)))
		ienv_record_event(action, NULL, NULL, name, before, after);
	SPI_finish();
}

/*
 * How much a role itself has been granted, as the audit log tells it.
 */
static Datum
rights_of(Oid roleid)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(roleid);
	bool		isnull;

	(void) ienv_query("SELECT pg_catalog.jsonb_build_object('functions',"
					  "  (SELECT pg_catalog.count(DISTINCT p.oid) FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a"
					  "   WHERE p.pronamespace OPERATOR(pg_catalog.=) n.oid AND a.grantee OPERATOR(pg_catalog.=) $1), 'views',"
					  "  (SELECT pg_catalog.count(DISTINCT c.oid) FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a"
					  "   WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relkind OPERATOR(pg_catalog.=) 'v'"
					  "    AND a.grantee OPERATOR(pg_catalog.=) $1))"
					  " FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) '" IENV_SCHEMA "'",
					  1, &type, &value, NULL);
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
}

/*
 * Run a command for each of the extension's views.
 */
static void
change_views(const char *command, const char *role)
{
	uint64		n = ienv_query("SELECT oid FROM pg_catalog.pg_class"
							   " WHERE relnamespace OPERATOR(pg_catalog.=) '" IENV_SCHEMA "'::pg_catalog.regnamespace"
							   " AND relkind OPERATOR(pg_catalog.=) 'v'", 0, NULL, NULL, NULL);
	SPITupleTable *views = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		Oid			oid = DatumGetObjectId(SPI_getbinval(views->vals[i], views->tupdesc, 1, &isnull));

		ienv_execute(command, ienv_sql_name(oid), role);
	}
}
