/*-------------------------------------------------------------------------
 *
 * coded.c
 *	  Users who are followed by their ids alone.
 *
 * An id that new_user_id() has made ends with the code of its instance, and no
 * two instances have the same.  So in a table that is guarded with coded =>
 * true, the id itself says where a user belongs: nobody's departure need be
 * recorded, and no other row looked at.  An id that is not of its row's
 * instance is refused whenever one arrives.  That includes ids of any other
 * form: who was deleted under one cannot return under it, anywhere.
 *
 * A row without an id is no user's, as everywhere; it gets an id by an UPDATE,
 * which is an arrival like any other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "registry/registry.h"
#include "table/table.h"
#include "transfer/transfer.h"

static bool belongs(const IenvGuard *guard, Datum value, const pg_uuid_t *id,
					bool fresh);

/*
 * Refuse a user whose id was not made for the instance that value names.
 */
void
ienv_check_coded(const IenvGuard *guard, Datum value, const Datum *key)
{
	const pg_uuid_t *id;

	/* only by hand can the triggers have been made so */
	if (!ienv_is_coded_key(guard))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("users of table %s cannot be followed by coded ids",
						ienv_quoted_name(guard->root)),
				 errdetail("The user key \"%s\" is not a single column of type uuid.",
						   ienv_user_key_text(guard)),
				 errhint("Call instance_env.unguard() and instance_env.guard() for the table."),
				 ienv_errguard(guard, NULL)));

	id = DatumGetUUIDP(key[0]);
	if (belongs(guard, value, id, false) || belongs(guard, value, id, true))
		return;
	ienv_require_known(guard, value);

	/* whose id it is may be another tenant's secret */
	ereport(ERROR,
			(errcode(ERRCODE_IENV_TRANSFER_PROHIBITED),
			 errmsg("the id of a user of table %s was not made for the user's instance",
					ienv_quoted_name(guard->root)),
			 errdetail("The row of instance %s has an id in column \"%s\" that instance_env.new_user_id() has not made for that instance.",
					   ienv_instance_text(value, guard->is_uuid),
					   get_attname(guard->relid, guard->key_attnos[0], false)),
			 errhint("Insert what instance_env.new_user_id(instance) returns for the instance that the row names."),
			 ienv_errguard(guard, IENV_NO_TRANSFER)));
}

/*
 * Was the id made for the instance that value names?  With fresh, the registry
 * is asked rather than the cache: an external key may have become another
 * instance's.
 */
static bool
belongs(const IenvGuard *guard, Datum value, const pg_uuid_t *id, bool fresh)
{
	const IenvInstance *instance = ienv_instance_by_value(value,
														  guard->is_uuid,
														  fresh);

	return instance != NULL && ienv_id_has_code(id, instance->code);
}
