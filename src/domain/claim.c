/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Whose a name is: claiming it for an application.
 *
 * The root of a domain, that is, the part that its owner has registered,
 * belongs to one application; only its staging environments, or other staging
 * environments of the same application, may have other names below it.  Two
 * sessions that claim names below the same root wait for each other: each
 * locks the root, then looks with a snapshot taken after that.  A lock on a
 * name is known to one node only; on a cluster, sessions that claim names wait
 * for each other whatever the names.
 *
 * The root is stored, since the list that it is taken from changes.  Whether
 * two names have one owner is asked of the current list.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "domain/domain.h"

static const char *problem_above(const char *name, const char *root);
static const char *record_problem(const char *name, const char *other);

/*
 * Lock the root of a name until the transaction ends, and return it, which
 * points into name.  Which name that is may change while we wait.
 */
const char *
ienv_lock_root(const char *name)
{
	const char *root;

	if (ienv_registry_is_distributed())
		ienv_execute("LOCK TABLE instance_env.domain"
					 " IN SHARE ROW EXCLUSIVE MODE");
	do
	{
		root = ienv_domain_root(name);

		/* a lock tag of our own: no object's address has this catalog */
		LockDatabaseObject(get_relname_relid("domain", ienv_oids()->schema),
						   hash_bytes((const unsigned char *) root,
									  strlen(root)),
						   0, ExclusiveLock);
	} while (root != ienv_domain_root(name));
	return root;
}

/*
 * Make sure that, until the transaction ends, no other application has this
 * name or, unless one is a staging environment of the other, its root; and
 * that it is not the name of a record of another domain, or the other way
 * round.  The domain that is leaving, if any, makes way for this one.  SPI is
 * connected.
 */
void
ienv_claim_domain(Datum instance, const char *name, const char *leaving)
{
	Oid			types[3] = {UUIDOID, TEXTOID, TEXTOID};
	Datum		values[3];
	const char *root = ienv_lock_root(name);
	const char *why = NULL;
	SPITupleTable *domains;
	uint64		n;

	/* by what is known now, after a wait */
	ienv_check_domain(name);

	/*
	 * the domains at and below it, by an index that the list does not matter
	 * to
	 */
	values[0] = instance;
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(root);
	n = ienv_query_latest("SELECT d.name,"
						  "  a.id OPERATOR(pg_catalog.<>) mine.id,"
						  "  COALESCE(a.staging_of, a.id)"
						  " OPERATOR(pg_catalog.<>)"
						  " COALESCE(mine.staging_of, mine.id),"
						  "  mine.staging_of IS NOT NULL"
						  " FROM instance_env.domain d"
						  "  JOIN instance_env.instance i"
						  " ON i.id OPERATOR(pg_catalog.=) d.instance"
						  "  JOIN instance_env.application a"
						  " ON a.id OPERATOR(pg_catalog.=) i.application,"
						  "  instance_env.instance mi"
						  "  JOIN instance_env.application mine"
						  " ON mine.id OPERATOR(pg_catalog.=)"
						  " mi.application"
						  " WHERE " IENV_BELOW("d.name", "$3")
						  "  AND mi.id OPERATOR(pg_catalog.=) $1"
						  " ORDER BY d.name OPERATOR(pg_catalog.=) $2 DESC,"
						  " 3 DESC, d.name",
						  3, types, values, NULL);
	domains = SPI_tuptable;
	for (uint64 i = 0; i < n && why == NULL; i++)
	{
		const char *other = SPI_getvalue(domains->vals[i], domains->tupdesc,
										 1);
		bool		flags[3];	/* other's, unrelated, this one is staging */
		bool		isnull;

		for (int j = 0; j < 3; j++)
			flags[j] = DatumGetBool(SPI_getbinval(domains->vals[i],
												  domains->tupdesc, j + 2,
												  &isnull));
		if (!flags[0] && leaving != NULL && strcmp(other, leaving) == 0)
			continue;
		if (flags[0] && strcmp(other, name) == 0)
			why = "It is the domain of another application.";
		else if (flags[0] && strcmp(ienv_domain_root(other), root) == 0)
			why = flags[1] ?
				psprintf("Another application uses its root domain \"%s\".",
						 root) :
				flags[2] && strcmp(name, root) == 0 ?
				"A staging application cannot have the root domain, only a name below it." :
				NULL;
		if (why == NULL)
			why = record_problem(name, other);
	}
	if (why == NULL)
		why = problem_above(name, root);
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_IENV_INVALID_DOMAIN),
				 errmsg("\"%s\" cannot be the domain of this instance", name),
				 errdetail("%s", why)));

	/* records left by a domain deleted by hand do not count as verified */
	(void) ienv_query("DELETE FROM instance_env.dns_record"
					  " WHERE domain OPERATOR(pg_catalog.=) $2",
					  3, types, values, NULL);
}

/*
 * The same for a domain above the root of a name: one that has become a public
 * suffix since it was associated.  None such is associated now.
 */
static const char *
problem_above(const char *name, const char *root)
{
	const char *why = NULL;

	for (const char *dot = strchr(root, '.'); dot != NULL && why == NULL;
		 dot = strchr(dot + 1, '.'))
	{
		Oid			type = TEXTOID;
		Datum		above = CStringGetTextDatum(dot + 1);

		if (ienv_is_record_of(name, dot + 1) &&
			ienv_query_latest("SELECT FROM instance_env.domain"
							  " WHERE name OPERATOR(pg_catalog.=) $1",
							  1, &type, &above, NULL) > 0)
			why = record_problem(name, dot + 1);
	}
	return why;
}

/*
 * Why two names cannot both be domains: one would have to be an alias, and a
 * name with records of its own.
 */
static const char *
record_problem(const char *name, const char *other)
{
	if (ienv_is_record_of(name, other))
		return psprintf("It is the name of a DNS record of domain \"%s\".",
						other);
	if (ienv_is_record_of(other, name))
		return psprintf("Domain \"%s\" has the name of one of its DNS records.",
						other);
	return NULL;
}
