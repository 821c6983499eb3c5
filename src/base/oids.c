/*-------------------------------------------------------------------------
 *
 * oids.c
 *	  The OIDs of the extension's own objects, and acting as their owner.
 *
 * They are looked up by name and kept until the registry changes: whichever of
 * its tables is changed, a trigger sends a relcache invalidation for table
 * instance.  Whatever else a backend has read from those tables is forgotten
 * along with the OIDs; other modules register for that with
 * ienv_on_registry_change().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "base/news.h"

/*
 * AFTER triggers fire in the order of their names, and those of foreign keys
 * are called RI_ConstraintTrigger_...  An update of the instance is to be
 * refused for what it is, and not for the rows that refer to the old one, so
 * the name of that trigger begins with a capital letter.
 */
const IenvTriggerKind ienv_trigger_kinds[IENV_TRIGGERS] = {
	{IENV_TRIGGER_USER_CAP, IENV_USER_CAP, "AFTER INSERT",
	TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT, "check_user_cap"},
	{IENV_TRIGGER_ACTIVE, IENV_IS_ACTIVE, "AFTER INSERT",
	TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT, "check_instance"},
	{IENV_TRIGGER_NO_TRANSFER, "Instance_env_no_transfer", "AFTER UPDATE",
	TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE, "check_transfer"},
	{IENV_TRIGGER_DEPARTURE, IENV_DEPARTURE, "AFTER DELETE",
	TRIGGER_TYPE_ROW | TRIGGER_TYPE_DELETE, "record_departure"},
	{IENV_TRIGGER_TRUNCATE, "instance_env_truncate", "BEFORE TRUNCATE",
	TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_TRUNCATE, "record_truncate"},
	{IENV_TRIGGER_NO_MOVE, "instance_env_no_move", "AFTER DELETE",
	TRIGGER_TYPE_ROW | TRIGGER_TYPE_DELETE, "check_move"},
};

static IenvOids oids;
static bool oids_valid = false;

/* when the registry was last invalidated, as measured by ienv_news_time() */
static uint64 invalidated = 0;

/*
 * which other modules must forget: instance_lookup.c, identity_key.c,
 * departure_record.c
 */
#define MAX_LISTENERS 3

static void (*listeners[MAX_LISTENERS]) (void);
static int	nlisteners = 0;

/*
 * Relcache callback: forget.  Can be called at any time; frees nothing,
 * because a caller up the stack may be reading.
 */
static void
registry_invalidated(Oid relid)
{
	if (oids_valid && OidIsValid(relid) && relid != oids.instance)
		return;
	invalidated = ienv_news_time();
	oids_valid = false;
	for (int i = 0; i < nlisteners; i++)
		listeners[i] ();
}

/*
 * Arrange for forget to be called whenever the registry has changed, or may
 * have.  Each module that keeps what it has read from the registry must call
 * this once in a backend's life, before it reads anything.  forget can be
 * called at any time, must not free what a caller up the stack may be reading,
 * and is not called before the first call of ienv_oids().
 */
void
ienv_on_registry_change(void (*forget) (void))
{
	if (nlisteners >= MAX_LISTENERS)
		elog(ERROR, "out of listeners to changes of the registry");
	listeners[nlisteners++] = forget;
}

/*
 * The OID of a label of an enum.
 */
static Oid
label_of(Oid type, const char *label)
{
	return GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
						   ObjectIdGetDatum(type),
						   CStringGetDatum(label));
}

/*
 * Look all of them up.
 */
static void
look_up(void)
{
	Oid			schema = get_namespace_oid(IENV_SCHEMA, false);
	Oid			type;
	HeapTuple	tuple;
	oidvector  *noargs;

	oids.schema = schema;
	oids.instance = ienv_table_oid("instance");
	oids.instance_pkey = ienv_index_oid("instance", "instance_pkey");
	oids.instance_external_key = ienv_index_oid("instance",
												"instance_external_key_key");
	oids.policy_default = ienv_table_oid("policy_default");
	oids.policy_default_pkey = ienv_index_oid("policy_default",
											  "policy_default_pkey");
	oids.policy_override = ienv_table_oid("policy_override");
	oids.policy_override_pkey = ienv_index_oid("policy_override",
											   "policy_override_pkey");
	oids.identity_key = ienv_table_oid("identity_key");
	oids.departed_user = ienv_table_oid("departed_user");
	oids.departed_user_identity = ienv_index_oid("departed_user",
												 "departed_user_identity");

	type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum("instance_type"),
						   ObjectIdGetDatum(schema));
	oids.types[IENV_DEVELOPMENT] = label_of(type, "development");
	oids.types[IENV_PRODUCTION] = label_of(type, "production");
	type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum("instance_status"),
						   ObjectIdGetDatum(schema));
	oids.statuses[IENV_INACTIVE] = label_of(type, "inactive");
	oids.statuses[IENV_ACTIVE] = label_of(type, "active");
	oids.statuses[IENV_SUSPENDED] = label_of(type, "suspended");

	noargs = buildoidvector(NULL, 0);
	oids.departure_queued = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
											CStringGetDatum("departure_queued"), PointerGetDatum(noargs),
											ObjectIdGetDatum(schema));
	for (int i = 0; i < IENV_TRIGGERS; i++)
		oids.functions[i] = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
											CStringGetDatum(ienv_trigger_kinds[i].function),
											PointerGetDatum(noargs),
											ObjectIdGetDatum(schema));

	/* the owner of the table itself, which is there even if it is a shell */
	tuple = SearchSysCache1(RELOID,
							ObjectIdGetDatum(get_relname_relid("instance",
															   schema)));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not installed in this database",
						IENV_SCHEMA)));
	oids.owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
}

/*
 * The OIDs of the extension's objects and of its enum labels, looked up by
 * name.
 *
 * The struct is static and stays in place; it is filled in again after the
 * extension has been dropped and re-created, even if that was rolled back.
 */
const IenvOids *
ienv_oids(void)
{
	static bool registered = false;
	uint64		since;

	if (oids_valid)
		return &oids;

	if (!registered)
	{
		ienv_on_invalidation(registry_invalidated);
		registered = true;
	}

	/* an invalidation arriving meanwhile may concern what we look up */
	do
	{
		since = ienv_news_time();
		look_up();
	} while (invalidated > since);

	/* without a placement, no invalidation would be for it */
	oids_valid = OidIsValid(oids.instance);
	return &oids;
}

/*
 * The kind of trigger that executes this function, or NULL if it is not one of
 * ours.
 */
const IenvTriggerKind *
ienv_trigger_kind(Oid function)
{
	const IenvOids *oids = ienv_oids();

	for (int kind = 0; kind < IENV_TRIGGERS; kind++)
		if (oids->functions[kind] == function)
			return &ienv_trigger_kinds[kind];
	return NULL;
}

/*
 * Act as the extension's owner until ienv_leave_owner(), with the restrictions
 * that PostgreSQL imposes on security-definer work.  An error also ends it.
 */
void
ienv_become_owner(IenvOwner *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	SetUserIdAndSecContext(ienv_oids()->owner,
						   saved->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
}

void
ienv_leave_owner(const IenvOwner *saved)
{
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}
