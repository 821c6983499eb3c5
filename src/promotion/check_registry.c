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
#include "domain/domain.h"
#include "promotion/check.h"
#include "promotion/promotion.h"

/* Values of a setting that mean "not in use" */
#define NOTHING \
	"(ARRAY['false', 'null', '0', '\"\"', '\"off\"', '\"no\"', '\"false\"', '[]', '{}']::pg_catalog.jsonb[])"

/*
 * The settings that production has or, if promotion clones settings, will
 * have: those that it has set itself are kept.
 */
#define EFFECTIVE_SETTINGS \
	"(SELECT name, value, false AS copied FROM instance_env.setting" \
	"  WHERE instance OPERATOR(pg_catalog.=) $1" \
	" UNION ALL SELECT s.name, s.value, true" \
	"  FROM instance_env.setting s JOIN instance_env.setting_section c" \
	"   ON c.cloned AND c.name OPERATOR(pg_catalog.=) pg_catalog.split_part(s.name, '.', 1)" \
	"  WHERE s.instance OPERATOR(pg_catalog.=) $2 AND NOT EXISTS" \
	"   (SELECT FROM instance_env.setting o WHERE o.instance OPERATOR(pg_catalog.=) $1" \
	"    AND o.name OPERATOR(pg_catalog.=) s.name))"

static void check_test_resources(IenvValidation *run);
static void check_redirects(IenvValidation *run);

void
ienv_check_status(IenvValidation *run)
{
	const char *type = run->info.type == IENV_PRODUCTION ? "Production" : "Development";
	char	   *id = ienv_instance_text(run->instance, true);

	if (run->info.status == IENV_SUSPENDED)
		ienv_add_check(run, "status", IENV_ERROR,
					   ERRCODE_IENV_INSTANCE_NOT_ACTIVE, false,
					   psprintf("%s instance %s is suspended.", type, id),
					   "Resume the instance with instance_env.resume_instance().");
	else
		ienv_add_check(run, "status", IENV_ERROR, 0, true,
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
		ienv_add_check(run, "domain", IENV_ERROR, 0, true,
					   psprintf("The domain of production instance %s is \"%s\".", id, ienv_result_text(0, 1)), NULL);
	else
		ienv_add_check(run, "domain", IENV_ERROR,
					   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false,
					   psprintf("Production instance %s has no domain.", id),
					   "Associate a domain with instance_env.associate_domain(), then verify it.");
	if (n == 0)
		ienv_add_check(run, "dns", IENV_ERROR, 0, true,
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
			ienv_add_check(run, psprintf("dns:%s", domain), severity, sqlstate,
						   verified,
						   psprintf(verified ? "Domain \"%s\" is verified." :
									"Domain \"%s\" is not verified.", domain),
						   "Verify the domain with instance_env.verify_domain().");
			continue;
		}
		host = psprintf("%s.%s", record, domain);
		ienv_add_check(run, psprintf("dns:%s", host), severity, sqlstate,
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
		ienv_add_check(run, "credentials", IENV_ERROR, 0, true,
					   "No social connection is in use.", NULL);
	for (uint64 i = 0; i < n; i++)
	{
		const char *provider = ienv_result_text(i, 1);
		bool		passed = ienv_column_is_true(i, 2);

		ienv_add_check(run, psprintf("credentials:%s", provider), IENV_ERROR,
					   ERRCODE_IENV_OWN_CREDENTIALS, passed,
					   psprintf(passed ?
								"Social connection \"%s\" has its own credentials in production." :
								"Social connection \"%s\" has no credentials of its own in production.", provider),
					   "Provide them with instance_env.set_social_connection().");
	}
}

/*
 * The plan covers each feature in use: view instance_features says what that
 * is.
 */
void
ienv_check_plan(IenvValidation *run)
{
	uint64		n = ienv_read(run, "SELECT DISTINCT f.feature, f.needed_plan,"
							  "  f.needed_plan OPERATOR(pg_catalog.<=) a.plan"
							  " FROM instance_env.instance_features f"
							  "  JOIN instance_env.application a"
							  " ON a.id OPERATOR(pg_catalog.=)"
							  " f.application_id"
							  " WHERE f.instance_id OPERATOR(pg_catalog.=) $1"
							  "  OR f.instance_id OPERATOR(pg_catalog.=) $2"
							  " ORDER BY f.feature");

	if (n == 0)
		ienv_add_check(run, "plan", IENV_ERROR, 0, true,
					   "No feature that depends on the plan is in use.", NULL);
	for (uint64 i = 0; i < n; i++)
	{
		const char *feature = ienv_result_text(i, 1);
		const char *plan = ienv_result_text(i, 2);
		char	   *name = psprintf("plan:%s", feature);

		if (plan == NULL)
			ienv_add_check(run, name, IENV_ERROR, ERRCODE_UNDEFINED_OBJECT,
						   false,
						   psprintf("Feature \"%s\" is not in the catalogue.",
									feature),
						   "Disable it with instance_env.disable_feature(), or add it to table instance_env.feature.");
		else if (ienv_column_is_true(i, 3))
			ienv_add_check(run, name, IENV_ERROR, 0, true,
						   psprintf("Plan \"%s\" covers feature \"%s\".",
									run->plan, feature), NULL);
		else
			ienv_add_check(run, name, IENV_ERROR, ERRCODE_IENV_PLAN_UPGRADE,
						   false,
						   psprintf("Feature \"%s\" needs plan \"%s\", but the application is on plan \"%s\".",
									feature, plan, run->plan),
						   psprintf("Upgrade with instance_env.set_plan(), or stop using feature \"%s\".", feature));
	}
}

void
ienv_check_settings(IenvValidation *run)
{
	check_test_resources(run);
	check_redirects(run);
}

/*
 * Check that nothing is for tests: settings of section test that are on and,
 * in section billing, anything that calls itself a test account or is a test
 * key.  A production instance may opt in to test identities, but not
 * unnoticed.
 */
static void
check_test_resources(IenvValidation *run)
{
	bool		opted_in = ienv_read(run,
									 "SELECT FROM instance_env.policy_override"
									 " WHERE instance OPERATOR(pg_catalog.=)"
									 " $1"
									 " AND name OPERATOR(pg_catalog.=)"
									 " 'test_identities'"
									 " AND value OPERATOR(pg_catalog.=) 'true'") > 0;
	uint64		n = ienv_read(run, "SELECT s.name,"
							  " CASE pg_catalog.split_part(s.name, '.', 1)"
							  " WHEN 'test' THEN"
							  "   s.value OPERATOR(pg_catalog.<>) ALL " NOTHING
							  "  ELSE (s.name OPERATOR(pg_catalog.~*)"
							  " '[._](test|sandbox)'"
							  "    AND s.value OPERATOR(pg_catalog.<>) ALL " NOTHING ")"
							  "   OR s.value::pg_catalog.text"
							  " OPERATOR(pg_catalog.~) '\"[a-z]+_test_'"
							  "   OR EXISTS (SELECT"
							  " FROM pg_catalog.jsonb_path_query(s.value,"
							  "     'strict $.** ? (@.type() == \"object\").keyvalue()') member"
							  "    WHERE (member OPERATOR(pg_catalog.->>)"
							  " 'key') OPERATOR(pg_catalog.~*)"
							  " '^([a-z]+_)*(test|sandbox)'"
							  "    AND (member OPERATOR(pg_catalog.->)"
							  " 'value') OPERATOR(pg_catalog.<>) ALL " NOTHING ")"
							  "  END"
							  " FROM " EFFECTIVE_SETTINGS " s"
							  " WHERE pg_catalog.split_part(s.name, '.',"
							  " 1) OPERATOR(pg_catalog.=) ANY"
							  " ('{test,billing}'::pg_catalog.text[])"
							  " ORDER BY s.name");

	if (n == 0 && !opted_in)
		ienv_add_check(run, "test", IENV_ERROR, 0, true,
					   "No setting is for tests.", NULL);
	for (uint64 i = 0; i < n; i++)
	{
		const char *setting = ienv_result_text(i, 1);
		bool		failed = ienv_column_is_true(i, 2);

		ienv_add_check(run, psprintf("test:%s", setting), IENV_ERROR,
					   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, !failed,
					   psprintf(failed ? "Setting \"%s\" is for tests." :
								"Setting \"%s\" uses nothing that is for tests.", setting),
					   "Change it in the production instance with instance_env.set_setting().");
	}
	if (opted_in)
		ienv_add_check(run, "test:test_identities", IENV_WARNING, 0, false,
					   psprintf("Production instance %s accepts test identities.", ienv_instance_text(run->instance, true)),
					   "Unless that is meant, call instance_env.reset_policy() for policy \"test_identities\".");
}

/*
 * Check that every URL in section redirect is an https one.
 */
static void
check_redirects(IenvValidation *run)
{
	uint64		n = ienv_read(run, "SELECT s.name, s.copied, (SELECT url FROM"
							  "   (SELECT pg_catalog.left(member"
							  " OPERATOR(pg_catalog.#>>) '{}', 200) AS url"
							  "    FROM pg_catalog.jsonb_path_query(s.value,"
							  "     'strict $.** ? (@.type() == \"string\")') member) urls"
							  "  WHERE url OPERATOR(pg_catalog.~)"
							  " '^[[:space:]]*[A-Za-z][A-Za-z0-9+.-]*:'"
							  "   AND url OPERATOR(pg_catalog.!~*)"
							  " '^[[:space:]]*https://' LIMIT 1)"
							  " FROM " EFFECTIVE_SETTINGS " s"
							  " WHERE pg_catalog.split_part(s.name, '.',"
							  " 1) OPERATOR(pg_catalog.=) 'redirect'"
							  " ORDER BY s.name");

	if (n == 0)
		ienv_add_check(run, "redirect", IENV_ERROR, 0, true,
					   "No redirect URL is set.", NULL);
	for (uint64 i = 0; i < n; i++)
	{
		const char *setting = ienv_result_text(i, 1);
		const char *url = ienv_result_text(i, 3);

		ienv_add_check(run, psprintf("redirect:%s", setting), IENV_ERROR,
					   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, url == NULL,
					   url == NULL ?
					   psprintf("Setting \"%s\" has no URL but https ones.",
								setting) :
					   psprintf(ienv_column_is_true(i, 2) ?
								"Setting \"%s\", which promotion would copy, contains the URL \"%s\", which is not an https one." :
								"Setting \"%s\" contains the URL \"%s\", which is not an https one.", setting, url),
					   "Set https URLs in the production instance with instance_env.set_setting().");
	}
}

void
ienv_check_keys(IenvValidation *run)
{
	bool		passed = ienv_read(run, "SELECT FROM instance_env.api_key k"
								   " WHERE k.instance OPERATOR(pg_catalog.=) $1"
								   " AND " IENV_VALID_KEY " LIMIT 1") > 0;

	ienv_add_check(run, "keys", IENV_WARNING, 0, passed,
				   psprintf(passed ?
							"Production instance %s has a secret key." :
							"Production instance %s has no secret key.",
							ienv_instance_text(run->instance, true)),
				   "Create one with instance_env.create_secret_key().");
}
