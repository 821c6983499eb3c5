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

static void check_domains(IenvValidation *run, const IenvRows *rows);
static void check_record(IenvValidation *run, const IenvRows *rows,
						 uint64 row);
static void check_credentials(IenvValidation *run, const IenvRows *rows);
static void check_plan(IenvValidation *run, const IenvRows *rows);
static void check_keys(IenvValidation *run, const IenvRows *rows);

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
ienv_check_domains(IenvValidationSet *set)
{
	static IenvSetQuery query = {
		.sql = "SELECT v.n, d.name, d.is_primary, r.record, r.type, r.target,"
		"  CASE WHEN r.record IS NULL THEN d.verified_at"
		" ELSE r.verified_at END IS NOT NULL"
		" FROM " IENV_SET
		" JOIN instance_env.domain d"
		"  ON d.instance OPERATOR(pg_catalog.=) v.instance"
		" LEFT JOIN instance_env.dns_record r"
		"  ON r.domain OPERATOR(pg_catalog.=) d.name"
		" ORDER BY v.n, d.is_primary DESC, d.name, r.record"
	};

	ienv_judge(set, &query, check_domains);
}

static void
check_domains(IenvValidation *run, const IenvRows *rows)
{
	char	   *id = ienv_instance_text(run->instance, true);

	/* the primary one comes first */
	if (rows->n > 0 && ienv_row_is_true(rows, 0, 2))
		ienv_add_check(run, "domain", NULL, IENV_ERROR, 0, true,
					   psprintf("The domain of production instance %s is \"%s\".",
								id, ienv_row_text(rows, 0, 1)), NULL);
	else
		ienv_add_check(run, "domain", NULL, IENV_ERROR,
					   ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false,
					   psprintf("Production instance %s has no domain.", id),
					   "Associate a domain with instance_env.associate_domain(), then verify it.");
	if (rows->n == 0)
		ienv_add_check(run, "dns", NULL, IENV_ERROR, 0, true,
					   "No DNS records are needed.", NULL);
	for (uint64 i = 0; i < rows->n; i++)
		check_record(run, rows, i);
}

/*
 * Check a DNS record, or a domain that has none.
 */
static void
check_record(IenvValidation *run, const IenvRows *rows, uint64 row)
{
	const char *domain = ienv_row_text(rows, row, 1);
	const char *record = ienv_row_text(rows, row, 3);
	bool		verified = ienv_row_is_true(rows, row, 6);
	IenvSeverity severity = ienv_row_is_true(rows, row, 2) ? IENV_ERROR : IENV_WARNING;
	int			sqlstate = severity == IENV_ERROR ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : 0;
	char	   *host;

	if (record == NULL)
	{
		ienv_add_check(run, "dns", domain, severity, sqlstate, verified,
					   psprintf(verified ? "Domain \"%s\" is verified." :
								"Domain \"%s\" is not verified.", domain),
					   "Verify the domain with instance_env.verify_domain().");
		return;
	}
	host = psprintf("%s.%s", record, domain);
	ienv_add_check(run, "dns", host, severity, sqlstate, verified,
				   psprintf(verified ? "DNS record \"%s\" is verified." :
							"DNS record \"%s\" is not verified.", host),
				   psprintf("Create a %s record \"%s\" that points to \"%s\", then call instance_env.verify_domain().",
							ienv_row_text(rows, row, 4), host,
							ienv_row_text(rows, row, 5)));
}

/*
 * Check for own credentials for every provider that development uses, whatever
 * is cloned: social connections never are.
 */
void
ienv_check_credentials(IenvValidationSet *set)
{
	static IenvSetQuery query = {
		.sql = "SELECT v.n, c.provider,"
		"  pg_catalog.bool_or(c.instance OPERATOR(pg_catalog.=) v.instance"
		"   AND c.source OPERATOR(pg_catalog.=) 'own')"
		" FROM " IENV_SET
		" JOIN instance_env.instance i"
		"  ON i.application OPERATOR(pg_catalog.=) v.application"
		" JOIN instance_env.social_connection c"
		"  ON c.instance OPERATOR(pg_catalog.=) i.id"
		" GROUP BY v.n, c.provider ORDER BY v.n, c.provider"
	};

	ienv_judge(set, &query, check_credentials);
}

static void
check_credentials(IenvValidation *run, const IenvRows *rows)
{
	if (rows->n == 0)
		ienv_add_check(run, "credentials", NULL, IENV_ERROR, 0, true,
					   "No social connection is in use.", NULL);
	for (uint64 i = 0; i < rows->n; i++)
	{
		const char *provider = ienv_row_text(rows, i, 1);
		bool		passed = ienv_row_is_true(rows, i, 2);

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
ienv_check_plan(IenvValidationSet *set)
{
	static IenvSetQuery query = {
		.sql = "SELECT u.n, u.feature, f.plan, f.plan OPERATOR(pg_catalog.<=)"
		"  (SELECT a.plan FROM instance_env.application a"
		"   WHERE a.id OPERATOR(pg_catalog.=) u.application), "
		IENV_USING_SETTINGS("pg_catalog.array_agg(DISTINCT u.used_by)")
		" FROM (SELECT v.n, v.application, x.feature, w.used_by"
		"  FROM " IENV_SET
		"  JOIN instance_env.instance_features x"
		"   ON x.instance_id OPERATOR(pg_catalog.=) v.instance,"
		"  pg_catalog.unnest(x.used_by) w (used_by)"
		/* so that the view reads no more than that */
		"  WHERE x.instance_id OPERATOR(pg_catalog.=) ANY ($1)"
		"  UNION ALL SELECT v.n, v.application, c.feature, 'enabled'"
		"  FROM " IENV_SET
		"  JOIN instance_env.instance_feature c"
		"   ON c.instance OPERATOR(pg_catalog.=) v.development"
		"  UNION ALL SELECT s.n, s.application, c.name,"
		"   'setting:' OPERATOR(pg_catalog.||) s.name"
		"  FROM " IENV_EFFECTIVE_SETTINGS " s"
		"  JOIN instance_env.feature c ON "
		IENV_SETTING_OF_FEATURE("s.name", "c")
		"  WHERE s.copied AND instance_env.setting_in_use(s.value)) u"
		" LEFT JOIN instance_env.feature f"
		"  ON f.name OPERATOR(pg_catalog.=) u.feature"
		" GROUP BY u.n, u.application, u.feature, f.plan"
		" ORDER BY u.n, u.feature"
	};

	ienv_judge(set, &query, check_plan);
}

static void
check_plan(IenvValidation *run, const IenvRows *rows)
{
	if (rows->n == 0)
		ienv_add_check(run, "plan", NULL, IENV_ERROR, 0, true,
					   "No feature that depends on the plan is in use.", NULL);
	for (uint64 i = 0; i < rows->n; i++)
	{
		const char *feature = ienv_row_text(rows, i, 1);
		const char *plan = ienv_row_text(rows, i, 2);
		const char *settings = ienv_row_text(rows, i, 4);

		if (plan == NULL)
			ienv_add_check(run, "plan", feature, IENV_ERROR,
						   ERRCODE_UNDEFINED_OBJECT, false,
						   psprintf("Feature \"%s\" is not in the catalogue.",
									feature),
						   "Disable it with instance_env.disable_feature(). All features are in view instance_env.features.");
		else if (ienv_row_is_true(rows, i, 3))
			ienv_add_check(run, "plan", feature, IENV_ERROR, 0, true,
						   psprintf("Plan \"%s\" covers feature \"%s\".",
									run->plan, feature), NULL);
		else
			ienv_add_check(run, "plan", feature, IENV_ERROR,
						   ERRCODE_IENV_PLAN_UPGRADE, false,
						   psprintf("Feature \"%s\"%s needs plan \"%s\", but the application is on plan \"%s\".",
									feature, settings == NULL ? "" :
									psprintf(", used by %s,", settings),
									plan, run->plan),
						   psprintf("Upgrade with instance_env.set_plan(), or stop using feature \"%s\".", feature));
	}
}

void
ienv_check_settings(IenvValidationSet *set)
{
	ienv_check_test(set);
	ienv_check_redirects(set);
}

void
ienv_check_keys(IenvValidationSet *set)
{
	static IenvSetQuery query = {
		.sql = "SELECT v.n FROM " IENV_SET
		" WHERE EXISTS (SELECT FROM instance_env.api_key k"
		"  WHERE k.instance OPERATOR(pg_catalog.=) v.instance"
		"  AND " IENV_VALID_KEY ")"
		" ORDER BY v.n"
	};

	ienv_judge(set, &query, check_keys);
}

static void
check_keys(IenvValidation *run, const IenvRows *rows)
{
	bool		passed = rows->n > 0;

	ienv_add_check(run, "keys", NULL, IENV_WARNING, 0, passed,
				   psprintf(passed ?
							"Production instance %s has a secret key." :
							"Production instance %s has no secret key.",
							ienv_instance_text(run->instance, true)),
				   "Create one with instance_env.create_secret_key().");
}
