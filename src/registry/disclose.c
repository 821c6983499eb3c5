/*-------------------------------------------------------------------------
 *
 * disclose.c
 *	  What a message may tell about an instance.
 *
 * An error about a row repeats what the row says, the id or the external key
 * of its instance.  Whose instance that is, is told only to those who may ask
 * for it anyway: the roles that may execute instance_info().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "registry/registry.h"

static bool may_ask(Oid role);

/*
 * The name of an instance's application, in the current memory context; NULL
 * if it has just been dropped.  Runs SQL, in a snapshot of its own, as the
 * extension's owner: whether the user may know it is for the caller to say.
 */
char *
ienv_application_of(const pg_uuid_t *instance)
{
	MemoryContext context = CurrentMemoryContext;
	pg_uuid_t	copy = *instance;	/* caches can change while SQL runs */
	Oid			type = UUIDOID;
	Datum		id = UUIDPGetDatum(&copy);
	char	   *name = NULL;
	IenvOwner	saved;

	SPI_connect();
	ienv_become_owner(&saved);
	if (ienv_query_latest("SELECT a.name FROM instance_env.application a"
						  " JOIN instance_env.instance i"
						  " ON i.application OPERATOR(pg_catalog.=) a.id"
						  " WHERE i.id OPERATOR(pg_catalog.=) $1",
						  1, &type, &id, NULL) == 1)
		name = MemoryContextStrdup(context, ienv_result_text(0, 1));
	ienv_leave_owner(&saved);
	SPI_finish();
	return name;
}

/*
 * A sentence that names the application of an instance, to end a DETAIL with;
 * empty if the current user may not know it.  value is an id or an external
 * key.  Runs SQL, so call it before ereport().
 */
const char *
ienv_application_sentence(Datum value, bool is_uuid)
{
	const IenvInstance *found;
	char	   *name;

	if (!may_ask(GetUserId()))
		return "";
	found = ienv_instance_by_value(value, is_uuid, true);
	if (found == NULL)
		return "";
	name = ienv_application_of(&found->id);
	return name != NULL ?
		psprintf(" It belongs to application \"%s\".", ienv_clipped(name)) : "";
}

/*
 * Auxiliary to ereport(): a hint that refers to a view, for those who may read
 * the view.  The user that has called a SECURITY DEFINER function counts.
 */
int
ienv_errhint_view(const char *view, const char *hint)
{
	Oid			relid = get_relname_relid(view, ienv_oids()->schema);

	if (OidIsValid(relid) &&
		pg_class_aclcheck(relid, GetOuterUserId(), ACL_SELECT) == ACLCHECK_OK)
		errhint("%s", hint);
	return 0;					/* return value does not matter */
}

/*
 * May this role call instance_info()?
 */
static bool
may_ask(Oid role)
{
	Oid			schema = ienv_oids()->schema;
	Oid			type = UUIDOID;
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum("instance_info"),
										   PointerGetDatum(buildoidvector(&type, 1)),
										   ObjectIdGetDatum(schema));

	return OidIsValid(function) && ienv_may_use_schema(schema, role) &&
		ienv_may_execute(function, role);
}
