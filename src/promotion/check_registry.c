/*-------------------------------------------------------------------------
 *
 * check_registry.c
 *	  The checks of validate() that read the registry: status, domains,
 *	  credentials, plan, settings, keys.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "config/config.h"
#include "domain/domain.h"
#include "promotion/check.h"
#include "promotion/promotion.h"

void
ienv_check_status(IenvValidation *run)
{
	const char *type = run->info.type == IENV_PRODUCTION ? "Production" : "Development";
	char	   *id = ienv_instance_text(run->instance, true);

	if (run->info.status == IENV_SUSPENDED)
		ienv_add_check(run, "status", NULL, IENV_ERROR,
					   ERRCODE_IENV_INSTANCE_NOT_ACTIVE, false,
					   psprintf("%s instance %s is suspended.", type, id),
					   "Resume the instance with instance_env.resume_instance().");
	else
		ienv_add_check(run, "status", NULL, IENV_ERROR, 0, true,
					   psprintf(run->info.status == IENV_ACTIVE ?
								"%s instance %s is active." :
								"%s instance %s is not suspended.", type, id),
					   NULL);
}

/*
 * Check for a primary domain, and each DNS record of each domain.  Production
 * can start before its satellites.
 */
void
ienv_check_domains(IenvValidation *run)
{
	char	   *id = ienv_instance_text(run->instance, true);
	uint64		n = ienv_read(run,
							  "SELECT d.name, d.is_primary, r.record, r.type,"
							  " r.target,"
							  "  CASE WHEN r.record IS NULL THEN d.verified_at"
							  " ELSE r.verified_at END IS NOT NULL"
							  " FROM instance_env.domain d"
							  " LEFT JOIN instance_env.dns_record r"
							  "  ON r.domain OPERATOR(pg_catalog.=) d.name"
							  " WHERE d.instance OPERATOR(pg_catalog.=) $1"
							  " ORDER BY d.is_primary DESC, d.name, r.record");

	/* the primary one comes first */
	if (n > 0 && ienv_column_is_true(0, 2))
		ienv_add_check(run, "domain", NULL, IENV_ERROR, 0, true,
					   psprintf("The domain of production instance %s is \"%s\".", id, ienv_result_text(0, 1)), NULL);
	else
		ienv_add_check(run, "domain", NULL, IENV_ERROR,
					   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false,
					   psprintf("Production instance %s has no domain.", id),
					   "Associate a domain with instance_env.associate_domain(), then verify it.");
	if (n == 0)
		ienv_add_check(run, "dns", NULL, IENV_ERROR, 0, true,
					   "No DNS records are needed.", NULL);

	for (uint64 i = 0; i < n; i++)
	{
		const char *domain = ienv_result_text(i, 1);
		const char *record = ienv_result_text(i, 3);
		bool		verified = ienv_column_is_true(i, 6);
		IenvSeverity severity = ienv_column_is_true(i,
													2) ? IENV_ERROR :
		IENV_WARNING;
		int			sqlstate = severity == IENV_ERROR ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : 0;
		char	   *host;

		if (record == NULL)
		{
			ienv_add_check(run, "dns", domain, severity, sqlstate,
						   verified,
						   psprintf(verified ? "Domain \"%s\" is verified." :
									"Domain \"%s\" is not verified.", domain),
						   "Verify the domain with instance_env.verify_domain().");
			continue;
		}
		host = psprintf("%s.%s", record, domain);
		ienv_add_check(run, "dns", host, severity, sqlstate,
					   verified,
					   psprintf(verified ? "DNS record \"%s\" is verified." :
								"DNS record \"%s\" is not verified.", host),
					   psprintf("Create a %s record \"%s\" that points to \"%s\", then call instance_env.verify_domain().",
								ienv_result_text(i, 4), host,
								ienv_result_text(i, 5)));
	}
}

/*
 * Check for own credentials for every provider that development uses, whatever
 * is cloned: social connections never are.
 */
void
ienv_check_credentials(IenvValidation *run)
{
	uint64		n = ienv_read(run, "SELECT c.provider,"
							  "  pg_catalog.bool_or(c.instance"
							  " OPERATOR(pg_catalog.=) $1"
							  "   AND c.source OPERATOR(pg_catalog.=) 'own')"
							  " FROM instance_env.social_connection c"
							  " JOIN instance_env.instance i"
							  "  ON i.id OPERATOR(pg_catalog.=) c.instance"
							  " WHERE i.application OPERATOR(pg_catalog.=) $3"
							  " GROUP BY c.provider ORDER BY c.provider");

	if (n == 0)
		ienv_add_check(run, "credentials", NULL, IENV_ERROR, 0, true,
					   "No social connection is in use.", NULL);
	for (uint64 i = 0; i < n; i++)
	{
		const char *provider = ienv_result_text(i, 1);
		bool		passed = ienv_column_is_true(i, 2);

		ienv_add_check(run, "credentials", provider, IENV_ERROR,
					   ERRCODE_IENV_OWN_CREDENTIALS, passed,
					   psprintf(passed ?
								"Social connection \"%s\" has its own credentials in production." :
								"Social connection \"%s\" has no credentials of its own in production.", provider),
					   "Provide them with instance_env.set_social_connection().");
	}
}

/*
 * The plan covers each feature in use: those that production uses, as view
 * instance_features says, and those that promotion would bring, whether by
 * themselves or by settings.
 */
void
ienv_check_plan(IenvValidation *run)
{
	uint64		n = ienv_read(run, "SELECT u.feature, f.plan,"
							  "  f.plan OPERATOR(pg_catalog.<=) a.plan, "
							  IENV_USING_SETTINGS("pg_catalog.array_agg(DISTINCT u.used_by)")
							  " FROM (SELECT v.feature, w.used_by"
							  "  FROM instance_env.instance_features v,"
							  "   pg_catalog.unnest(v.used_by) w (used_by)"
							  "  WHERE v.instance_id OPERATOR(pg_catalog.=) $1"
							  "  UNION ALL SELECT c.feature, 'enabled'"
							  "  FROM instance_env.instance_feature c"
							  "  WHERE c.instance OPERATOR(pg_catalog.=) $2"
							  "  UNION ALL SELECT c.name,"
							  "   'setting:' OPERATOR(pg_catalog.||) s.name"
							  "  FROM " IENV_EFFECTIVE_SETTINGS " s"
							  "   JOIN instance_env.feature c"
							  "   ON " IENV_SETTING_OF_FEATURE("s.name", "c")
							  "  WHERE s.copied"
							  "   AND instance_env.setting_in_use(s.value)) u"
							  "  JOIN instance_env.application a"
							  " ON a.id OPERATOR(pg_catalog.=) $3"
							  "  LEFT JOIN instance_env.feature f"
							  " ON f.name OPERATOR(pg_catalog.=) u.feature"
							  " GROUP BY u.feature, f.plan, a.plan"
							  " ORDER BY u.feature");

	if (n == 0)
		ienv_add_check(run, "plan", NULL, IENV_ERROR, 0, true,
					   "No feature that depends on the plan is in use.", NULL);
	for (uint64 i = 0; i < n; i++)
	{
		const char *feature = ienv_result_text(i, 1);
		const char *plan = ienv_result_text(i, 2);
		const char *settings = ienv_result_text(i, 4);

		if (plan == NULL)
			ienv_add_check(run, "plan", feature, IENV_ERROR, ERRCODE_UNDEFINED_OBJECT,
						   false,
						   psprintf("Feature \"%s\" is not in the catalogue.",
									feature),
						   "Disable it with instance_env.disable_feature(). All features are in view instance_env.features.");
		else if (ienv_column_is_true(i, 3))
			ienv_add_check(run, "plan", feature, IENV_ERROR, 0, true,
						   psprintf("Plan \"%s\" covers feature \"%s\".",
									run->plan, feature), NULL);
		else
			ienv_add_check(run, "plan", feature, IENV_ERROR, ERRCODE_IENV_PLAN_UPGRADE,
						   false,
						   psprintf("Feature \"%s\"%s needs plan \"%s\", but the application is on plan \"%s\".",
									feature, settings == NULL ? "" :
									psprintf(", used by %s,", settings),
									plan, run->plan),
						   psprintf("Upgrade with instance_env.set_plan(), or stop using feature \"%s\".", feature));
	}
}

void
ienv_check_settings(IenvValidation *run)
{
	ienv_check_test(run);
	ienv_check_redirects(run);
}

void
ienv_check_keys(IenvValidation *run)
{
	bool		passed = ienv_read(run, "SELECT FROM instance_env.api_key k"
								   " WHERE k.instance OPERATOR(pg_catalog.=) $1"
								   " AND " IENV_VALID_KEY " LIMIT 1") > 0;

	ienv_add_check(run, "keys", NULL, IENV_WARNING, 0, passed,
				   psprintf(passed ?
							"Production instance %s has a secret key." :
							"Production instance %s has no secret key.",
							ienv_instance_text(run->instance, true)),
				   "Create one with instance_env.create_secret_key().");
}
