/*-------------------------------------------------------------------------
 *
 * transfer.c
 *	  A user never changes instance.
 *
 * An UPDATE of the instance column is refused outright (on_move.c handles one
 * that moves a row to another partition).  Any other way involves an INSERT
 * (or an UPDATE of the key) by which a key arrives in one instance while it
 * lives, or has lived, in another: so each arrival is checked, and each
 * departure recorded.
 *
 * The check takes one snapshot S after the new row is in the heap and its
 * indexes, and uses S to look both at the live rows with that key and at the
 * record of departures.  A delete that S does not see leaves a version that S
 * sees; one that S sees left a record that S sees too, because the same
 * transaction wrote it.  With two snapshots, both could be missed.
 *
 * What the versions with the same key in another instance mean:
 *
 *	 inserted by				ended by						the key is
 *	 ---------------------------------------------------------------------------
 *	 me, or committed before S	nobody, or aborted				there: refuse
 *	 the same					me								moved by me:
 *	 refuse
 *	 committed before S			a transaction S does not see	there, or
 *	 departed when
 *																that commits: refuse
 *	 the same					committed before S				on record, if
 *	 it departed
 *	 committed since S			whatever						there, or was:
 *	 refuse
 *	 not finished				whatever						claimed
 *
 * Claims are decided by age, as in user_cap.c: an older transaction's claim
 * stands, a younger one's is waited for.  If two transactions concurrently
 * insert the same key into two instances, each has its row in the index before
 * it looks, so the later of the two snapshots finds the other's row, and at
 * most one is admitted.
 *
 * Where rows name instances by their external keys, two keys that the
 * transaction has given to one instance (registry/rename.c) are the same.
 *
 * Unlike in user_cap.c, a version created by an UPDATE is a claim like any
 * other: the version that it replaced may have had another key, in which case
 * this scan does not find it.
 *
 * The live rows need not be looked at if a unique index on the key alone
 * allows only one of them, unless this transaction itself has removed one.
 * Where the partition key is part of the user key, all rows of a user key are
 * in one partition, and no other is looked at.
 * The conditions in the triggers' WHEN clauses queue no event if neither look
 * can find anything.
 *
 * Where ids are coded, none of this is done: see coded.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "registry/registry.h"
#include "table/table.h"
#include "transfer/transfer.h"

static bool resembles_rename(const IenvGuard *guard, Datum from, Datum to);
static bool may_read_instance(const IenvGuard *guard);
static bool lives_elsewhere(const IenvGuard *guard, Datum value,
							const Datum *key, Snapshot snapshot,
							TransactionId *younger);
static bool lives_in(Relation rel, const IenvGuard *leaf, Datum value,
					 const Datum *key, Snapshot snapshot,
					 TransactionId *younger);
pg_noreturn static void refuse_arrival(const IenvGuard *guard, Datum value);

/*
 * Might a live row or a record show that the user of a new row belongs to
 * another instance?
 *
 * Called for a trigger's condition, with its arguments: instance, table and
 * user key; guard was returned by ienv_condition_guard(), and value is the
 * instance.  Can return false positives.
 */
bool
ienv_arrival_suspect(IenvGuard *guard, FunctionCallInfo fcinfo, Datum value)
{
	Datum		key[IENV_MAX_KEY_COLUMNS];
	IenvInstance *instance;
	pg_uuid_t	identity;
	pg_uuid_t	home;
	Snapshot	snapshot;
	bool		departed;

	/* as for most rows */
	if (guard->key_is_unique && !ienv_departure_queued() &&
		(!guard->departures || ienv_nobody_departed()))
		return false;
	if (PG_NARGS() - 2 != guard->nkeys)
		return true;
	for (int i = 0; i < guard->nkeys; i++)
	{
		if (PG_ARGISNULL(2 + i))
			return false;
		key[i] = PG_GETARG_DATUM(2 + i);
	}
	if (!guard->key_is_unique || ienv_departure_queued())
		return true;
	if (!ienv_identity_of(guard, key, &identity) ||
		!ienv_maybe_departed(&identity))
		return false;
	instance = ienv_instance_by_value(value, guard->is_uuid, false);
	if (instance == NULL)
		return true;
	home = instance->id;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	departed = ienv_departed_elsewhere(&identity, &home, snapshot);
	UnregisterSnapshot(snapshot);
	return departed;
}

/*
 * Report that an UPDATE must not change a row's instance.  The old instance is
 * disclosed only to users who may read it.
 */
void
ienv_report_move(const IenvGuard *guard, Datum from, bool from_null, Datum to,
				 bool to_null)
{
	bool		renamed = !guard->is_uuid && !from_null && !to_null &&
	ienv_has_renamed(from, to);
	bool		rename = !from_null && !to_null &&
	resembles_rename(guard, from, to);

	ereport(ERROR,
			(errcode(ERRCODE_IENV_TRANSFER_PROHIBITED),
			 errmsg("cannot move a row of table %s to another instance",
					ienv_quoted_name(guard->root)),
			 may_read_instance(guard) ?
			 errdetail("The update changes its instance from %s to %s.",
					   from_null ? "null" :
					   ienv_instance_text(from, guard->is_uuid),
					   to_null ? "null" :
					   ienv_instance_text(to, guard->is_uuid)) :
			 errdetail("The update changes its instance to %s.",
					   to_null ? "null" :
					   ienv_instance_text(to, guard->is_uuid)),
			 renamed ?
			 errhint("Administration did not look at the table when the instance was renamed: call instance_env.guard() for it again, then instance_env.rename_instance().") :
			 rename ?
			 errhint("To give an instance another external key, call instance_env.rename_instance() in the same transaction, before the update.") :
			 errhint("Create a new row, with a key of its own, in the other instance."),
			 ienv_errguard(guard, IENV_NO_TRANSFER)));
}

/*
 * Does an UPDATE that changes a row's external key follow a rename of its
 * instance by the current transaction?  rename_instance() has locked the
 * tables that administration looks at; in any other one, others may be adding
 * rows with the old key.
 */
bool
ienv_follows_rename(const IenvGuard *guard, Relation rel, Datum from, Datum to)
{
	return !guard->is_uuid && ienv_has_renamed(from, to) &&
		CheckRelationLockedByMe(rel, ShareRowExclusiveLock, true);
}

/*
 * Might the UPDATE that is refused have been meant to follow a rename?
 */
static bool
resembles_rename(const IenvGuard *guard, Datum from, Datum to)
{
	return !guard->is_uuid && ienv_rename_from(from) == NULL &&
		(ienv_instance_by_value(from, false, true) == NULL) !=
		(ienv_instance_by_value(to, false, true) == NULL);
}

/*
 * May the current user read the instance column of every row?
 */
static bool
may_read_instance(const IenvGuard *guard)
{
	Oid			relids[2] = {guard->relid, guard->root};
	bool		granted = false;

	for (int i = 0; i < 2; i++)
	{
		AttrNumber	attno = get_attnum(relids[i],
									   get_attname(guard->relid,
												   guard->instance_attno,
												   false));

		granted = granted ||
			pg_class_aclcheck(relids[i], GetUserId(), ACL_SELECT) ==
			ACLCHECK_OK ||
			pg_attribute_aclcheck(relids[i], attno, GetUserId(), ACL_SELECT) ==
			ACLCHECK_OK;
		if (check_enable_rls(relids[i], InvalidOid, true) == RLS_ENABLED)
			return false;
	}
	return granted;
}

/*
 * Refuse a key that belongs to an instance other than value.  The row that has
 * it is in the heap and its indexes.  False if there was no need to look
 * anywhere, in which case what the caller knows about the instance is still
 * valid.
 */
bool
ienv_check_arrival(IenvGuard *guard, Datum value, const Datum *key)
{
	IenvInstance *instance;
	pg_uuid_t	identity;
	pg_uuid_t	home;
	bool		maybe_departed;
	bool		look_live;

	if (guard->coded)
	{
		ienv_check_coded(guard, value, key);
		return true;
	}

	maybe_departed = guard->departures && !ienv_nobody_departed() &&
		ienv_identity_of(guard, key, &identity) &&
		ienv_maybe_departed(&identity);

	/*
	 * a queued departure is not on record yet, but its row is still there
	 */
	look_live = !guard->key_is_unique || ienv_departure_queued();
	if (!look_live && !maybe_departed)
		return false;

	/*
	 * an unknown instance is refused by the trigger that checks instances
	 */
	instance = ienv_instance_by_value(value, guard->is_uuid, false);
	if (instance == NULL)
		return true;
	home = instance->id;

	for (;;)
	{
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		TransactionId younger = InvalidTransactionId;
		bool		elsewhere;

		elsewhere = (look_live &&
					 lives_elsewhere(guard, value, key, snapshot, &younger)) ||
			(guard->departures && !ienv_nobody_departed() &&
			 ienv_identity_of(guard, key, &identity) &&
			 ienv_departed_elsewhere(&identity, &home, snapshot));
		UnregisterSnapshot(snapshot);

		if (elsewhere)
			refuse_arrival(guard, value);
		if (!TransactionIdIsValid(younger))
			return true;
		ienv_wait_for(younger);
	}
}

/*
 * Does a row with this key live in an instance other than value, according to
 * the table at the head of this file?  Sets *younger to a transaction to wait
 * for if the answer depends on it.
 */
static bool
lives_elsewhere(const IenvGuard *guard, Datum value, const Datum *key,
				Snapshot snapshot, TransactionId *younger)
{
	List	   *leaves = guard->key_is_local ? list_make1_oid(guard->relid) :
	ienv_leaf_relations(guard->root, AccessShareLock);
	Oid			root = guard->root;
	bool		elsewhere = false;
	ListCell   *lc;

	foreach(lc, leaves)
	{
		/* the row's own partition is locked by the statement */
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		const IenvGuard *leaf = ienv_guard_of(RelationGetRelid(rel));

		if (leaf == NULL || leaf->nkeys == 0)
			ienv_report_unguarded_partition(RelationGetRelid(rel), root);
		elsewhere = lives_in(rel, leaf, value, key, snapshot, younger);
		table_close(rel, NoLock);
		if (elsewhere)
			break;
	}
	list_free(leaves);
	return elsewhere;
}

/*
 * The same for one partition.
 */
static bool
lives_in(Relation rel, const IenvGuard *leaf, Datum value, const Datum *key,
		 Snapshot snapshot, TransactionId *younger)
{
	bool		elsewhere = false;
	IenvScan	scan;

	ienv_scan_begin(&scan, rel, leaf->key_index, leaf->nkeys, leaf->key_attnos,
					key);
	while (!elsewhere && ienv_scan_next(&scan))
	{
		bool		isnull;
		Datum		other = slot_getattr(scan.slot, leaf->instance_attno,
										 &isnull);
		IenvVersion version;

		if (isnull)
			continue;
		other = ienv_value_of_column(leaf, other);
		if (ienv_same_instance(leaf, other, value) ||
			(!leaf->is_uuid && ienv_has_renamed(other, value)))
			continue;
		ienv_classify(&scan, snapshot, &version);
		if (version.inserted == IENV_OPEN && !ienv_is_older(version.xmin))
			*younger = version.xmin;
		else if (version.inserted != IENV_NEVER)
			elsewhere = version.ended != IENV_BEFORE &&
				(leaf->departures || version.ended != IENV_MINE);
	}
	ienv_scan_end(&scan);
	return elsewhere;
}

/*
 * Raise the error.  The key and the other instance are not named, because they
 * may be another tenant's.
 */
static void
refuse_arrival(const IenvGuard *guard, Datum value)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_TRANSFER_PROHIBITED),
			 errmsg("a user of table %s belongs to another instance",
					ienv_quoted_name(guard->root)),
			 errdetail("The row of instance %s has the key of a user who lives, or once lived, in another instance, or is being created there.",
					   ienv_instance_text(value, guard->is_uuid)),
			 errhint("Create a new user, with a key of its own."),
			 ienv_errguard(guard, IENV_NO_TRANSFER)));
}
