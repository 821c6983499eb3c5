/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  What stands between an instance and production.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "instance_env.h"

static List *
check(List *checks, const char *name, bool passed, const char *message, const char *hint)
{
	IenvCheck  *check = palloc0(sizeof(IenvCheck));

	check->name = name;
	check->severity = IENV_ERROR;
	check->passed = passed;
	check->message = message;
	check->hint = hint;
	check->sqlstate = ERRCODE_IENV_PROMOTION_BLOCKED;
	return lappend(checks, check);
}

List *
ienv_validate(Datum instance, bool clone_settings)
{
	Oid			type = UUIDOID;
	char	   *text = ienv_instance_text(instance, true);
	char	   *status;
	char	   *domain;
	bool		verified;
	bool		isnull;
	List	   *checks = NIL;

	(void) ienv_query("SELECT i.status, d.name, d.verified_at IS NOT NULL"
					  " FROM instance_env.instance i LEFT JOIN instance_env.domain d"
					  "  ON d.instance OPERATOR(pg_catalog.=) i.id AND d.is_primary"
					  " WHERE i.id OPERATOR(pg_catalog.=) $1", 1, &type, &instance, NULL);
	status = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	domain = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	verified = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));

	checks = check(checks, "status", strcmp(status, "suspended") != 0,
				   psprintf("Production instance %s is suspended.", text),
				   "Resume the instance with instance_env.resume_instance().");
	checks = check(checks, "domain", domain != NULL,
				   psprintf("Production instance %s has no domain.", text),
				   "Associate a domain with instance_env.associate_domain(), then verify it.");
	if (domain != NULL)
		checks = check(checks, "domain_verified", verified,
					   psprintf("Domain \"%s\" is not verified.", domain),
					   "Verify the domain with instance_env.verify_domain().");
	return checks;
}
