/*-------------------------------------------------------------------------
 *
 * access.c
 *	  A backend's cache of which role may be in which instance.
 *
 * A role may be in an instance if it is a superuser, or if an allowance for
 * the instance was given to it or to a role whose privileges it has.  Neither
 * the extension's owner nor an administrator is an exception.
 *
 * Policies of isolated tables ask once a query, and enter() once a
 * transaction, so the answers are cached, by role and instance.  They depend
 * on tables instance and instance_allowance, and on the roles and their
 * memberships, whose changes PostgreSQL announces by syscache invalidations.
 * As in registry/instance_lookup.c, absence is not cached.
 *
 * The answer is of now, and a query's snapshot may be older: its rows would be
 * compared with a key that they did not have yet (ienv_key_has_changed()).
 *
 * The tables are read with a catalog snapshot, which is always a current one,
 * and unlike GetLatestSnapshot() is to be had in parallel workers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "session/session.h"

/* Some 100 bytes per entry, and the external key */
static IenvCache cache = {
	.name = "instance_env access",
	.keysize = sizeof(IenvAccessKey),
	.entrysize = sizeof(IenvAccess),
	.max_entries = 4096,
	.tables = {"instance", "instance_allowance"}
};

static bool read_access(IenvAccess *access);
static bool is_allowed(Oid role, Datum application, Oid type);
static bool allows(Relation rel, HeapTuple tuple, Oid role, Oid type);
static Relation open_allowances(void);
static Datum column(Relation rel, HeapTuple tuple, const char *name,
					bool *isnull);

/*
 * Syscache callback: the roles, or what they are members of, have changed.
 */
static void
roles_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	ienv_cache_forget(&cache);
}

/*
 * What this role has of this instance, or NULL if the instance does not exist.
 * Valid until the next call.  Works in parallel workers, and takes no lock
 * that lasts.
 */
const IenvAccess *
ienv_access(const pg_uuid_t *instance, Oid role)
{
	static bool registered = false;
	IenvAccess	found = {0};
	IenvAccess *entry;
	uint64		since;

	found.key.instance = *instance;
	found.key.role = role;
	entry = ienv_cache_find(&cache, &found.key);
	if (likely(entry != NULL && entry->filled))
		return entry;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, roles_changed,
									  (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, roles_changed, (Datum) 0);
		/* the database's owner is a member of pg_database_owner */
		CacheRegisterSyscacheCallback(DATABASEOID, roles_changed, (Datum) 0);
		registered = true;
	}
	do
	{
		since = ienv_cache_time(&cache);
		if (!read_access(&found))
			return NULL;
		entry = ienv_cache_enter(&cache, &found.key, since);
	} while (entry == NULL);

	/* if memory runs out here, it is filled in next time */
	entry->filled = false;
	found.external_key = MemoryContextStrdup(cache.context,
											 found.external_key);
	found.filled = true;
	*entry = found;
	return entry;
}

/*
 * May this role be in any instance at all, whether or not there is one?
 */
bool
ienv_may_enter_any(Oid role)
{
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = superuser_arg(role);

	if (found)
		return true;
	rel = open_allowances();
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = allows(rel, tuple, role, InvalidOid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Has the instance got its external key after the active snapshot was taken?
 * Rows that the snapshot shows under this key may be another instance's, which
 * had it before: a snapshot may be as old as a cursor that is fetched from now.
 *
 * If the version of the instance's row that access was read from is visible to
 * the snapshot, nothing has changed, and no row need be read.
 */
bool
ienv_key_has_changed(const IenvAccess *access)
{
	Snapshot	snapshot;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		isnull;
	bool		result;

	if (!ActiveSnapshotSet())
		return false;
	snapshot = GetActiveSnapshot();
	if (snapshot->snapshot_type != SNAPSHOT_MVCC ||
		(!TransactionIdIsCurrentTransactionId(access->xmin) &&
		 !XidInMVCCSnapshot(access->xmin, snapshot)))
		return false;

	rel = ienv_open_table("instance", AccessShareLock);
	ScanKeyInit(&key, SPI_fnumber(RelationGetDescr(rel), "id"),
				BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&access->key.instance));
	scan = systable_beginscan(rel, ienv_oids()->instance_pkey, true, snapshot,
							  1, &key);
	tuple = systable_getnext(scan);
	result = !HeapTupleIsValid(tuple) ||
		strcmp(TextDatumGetCString(column(rel, tuple, "external_key",
										  &isnull)),
			   access->external_key) != 0;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Read what belongs to access->key; false if the instance does not exist.
 */
static bool
read_access(IenvAccess *access)
{
	const IenvOids *oids = ienv_oids();
	Relation	rel = ienv_open_table("instance", AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, SPI_fnumber(RelationGetDescr(rel), "id"),
				BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&access->key.instance));
	scan = systable_beginscan(rel, oids->instance_pkey, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		bool		isnull;
		Oid			type = DatumGetObjectId(column(rel, tuple, "type",
												   &isnull));
		Oid			status = DatumGetObjectId(column(rel, tuple, "status",
													 &isnull));

		access->type = type == oids->types[IENV_PRODUCTION] ?
			IENV_PRODUCTION : IENV_DEVELOPMENT;
		access->status = status == oids->statuses[IENV_ACTIVE] ? IENV_ACTIVE :
			status == oids->statuses[IENV_SUSPENDED] ? IENV_SUSPENDED :
			IENV_INACTIVE;
		access->external_key =
			TextDatumGetCString(column(rel, tuple, "external_key", &isnull));
		access->xmin = HeapTupleHeaderGetXmin(tuple->t_data);

		/* a session may outlive its role, whose allowances are still there */
		access->allowed = superuser_arg(access->key.role) ||
			(SearchSysCacheExists1(AUTHOID,
								   ObjectIdGetDatum(access->key.role)) &&
			 is_allowed(access->key.role,
						column(rel, tuple, "application", &isnull), type));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Is there an allowance by which this role may be in an application's instance
 * of this type?  There are those for the application, and those for all.
 */
static bool
is_allowed(Oid role, Datum application, Oid type)
{
	Relation	rel = open_allowances();
	Oid			index = ienv_index_oid("instance_allowance",
									   "instance_allowance_application");
	AttrNumber	attnum = SPI_fnumber(RelationGetDescr(rel), "application");
	bool		result = false;

	for (int all = 0; !result && all < 2; all++)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		if (all)
			ScanKeyEntryInitialize(&key, SK_ISNULL | SK_SEARCHNULL, attnum,
								   InvalidStrategy, InvalidOid, InvalidOid,
								   InvalidOid, (Datum) 0);
		else
			ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_UUID_EQ,
						application);

		/* where it does not use the index, it knows no key for nulls */
		scan = systable_beginscan(rel, index, true, NULL,
								  all && IgnoreSystemIndexes ? 0 : 1, &key);
		while (!result && HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			bool		for_all;

			(void) column(rel, tuple, "application", &for_all);
			result = for_all == (all > 0) && allows(rel, tuple, role, type);
		}
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Is this an allowance for a role, and for this type of instance or, if that
 * is invalid, any?
 */
static bool
allows(Relation rel, HeapTuple tuple, Oid role, Oid type)
{
	bool		isnull;
	Oid			allowed = DatumGetObjectId(column(rel, tuple, "type",
												  &isnull));

	if (OidIsValid(type) && !isnull && allowed != type)
		return false;
	return has_privs_of_role(role,
							 DatumGetObjectId(column(rel, tuple, "role",
													 &isnull)));
}

/*
 * Open the table of allowances, if the roles in it are those of this node.
 */
static Relation
open_allowances(void)
{
	ienv_require_joined();
	return ienv_open_table("instance_allowance", AccessShareLock);
}

static Datum
column(Relation rel, HeapTuple tuple, const char *name, bool *isnull)
{
	TupleDesc	desc = RelationGetDescr(rel);

	return heap_getattr(tuple, SPI_fnumber(desc, name), desc, isnull);
}
