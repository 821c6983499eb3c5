/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  guard(): attaching a guard to an application's table.
 *
 * guard() takes the lock that CREATE TRIGGER takes right at its beginning, so
 * no one can write between the check of the existing rows and the first
 * trigger.  It is one transaction: an error leaves nothing behind.  It changes
 * the table by statements that name it; table_owner.c makes sure that the name
 * keeps referring to it.
 *
 * If the caller has the right to call guard() and owns the table, the call
 * also lets the table's owner in: administration looks at the table from then
 * on (guarded_tables.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "guard/made.h"
#include "registry/registry.h"
#include "table/table.h"

/* What guard() finds on a table */
typedef struct Existing
{
	int			missing;		/* triggers to make, as IENV_TRIGGER_ bits */
	int			asleep;			/* triggers to enable */
	int			replaced;		/* triggers to replace */
	IenvUserColumns columns;	/* those that the guard is to have */
	List	   *orphans;		/* triggers left by a former partitioned
								 * parent */
	bool		instance_indexed;
	bool		key_indexed;
	bool		reference_indexed;
	Datum		before;			/* the guard as the audit log shows it, or 0 */
} Existing;

static void compare(FunctionCallInfo fcinfo, Relation rel, IenvGuard *guard,
					Existing *there);
static bool same_name(const char *a, const char *b);
static bool same_columns(const IenvGuard *a, const IenvGuard *b);
static void make_indexes(IenvReport *report, const IenvGuard *guard,
						 const Existing *there);
static void tell(const IenvReport *report, const IenvGuard *guard,
				 const Existing *there, bool owner_is_new, Oid user_table);
static void check_owner(Oid relid);
static void check_same(const IenvGuard *guard, const IenvGuard *existing,
					   int present);
static int	disabled_anywhere(Relation rel);

PG_FUNCTION_INFO_V1(instance_env_guard);

/*
 * guard(relation regclass, instance_column name, user_key text,
 *		 counted boolean, user_table regclass, follow_departures boolean,
 *		 address_column name, created_column name, coded boolean)
 *		 RETURNS TABLE (object text, name text, on_table regclass, action text)
 *
 * See doc/reference.md for the arguments.  Takes ShareRowExclusiveLock on the
 * table and its partitions.
 */
Datum
instance_env_guard(PG_FUNCTION_ARGS)
{
	IenvGuard	guard;
	Relation	rel;
	Existing	there;
	IenvReport	report;
	bool		owner_is_new;
	Oid			user_table = PG_ARGISNULL(4) ? InvalidOid : PG_GETARG_OID(4);
	ListCell   *lc;

	ienv_require_argument(fcinfo, 0, "relation");
	ienv_require_argument(fcinfo, 1, "instance_column");
	ienv_require_argument(fcinfo, 3, "counted");
	ienv_require_argument(fcinfo, 5, "follow_departures");
	ienv_require_argument(fcinfo, 8, "coded");

	ienv_begin_report(&report, fcinfo);
	memset(&guard, 0, sizeof(guard));
	guard.relid = guard.root = PG_GETARG_OID(0);
	guard.counted = PG_GETARG_BOOL(3);

	/* may wait for administration, and must keep nobody waiting meanwhile */
	check_owner(guard.relid);
	ienv_begin_guarding();
	rel = ienv_open_owned(guard.relid, ShareRowExclusiveLock);
	ienv_check_guardable(rel);
	CheckTableNotInUse(rel, "guard");
	(void) ienv_leaf_relations(guard.relid, ShareRowExclusiveLock);
	ienv_check_partitions(guard.relid);

	/* now, lest a new name make us give up later */
	(void) ienv_kept_name(guard.relid);

	ienv_read_columns(fcinfo, rel, &guard);
	ienv_check_distribution(&guard);
	compare(fcinfo, rel, &guard, &there);

	/* DDL requires that we do not have the table open; the lock stays */
	table_close(rel, NoLock);

	if (there.missing & ~IENV_TRIGGER_TRUNCATE)
		ienv_check_partition_rights(guard.relid);

	SPI_connect();
	ienv_lock_on_nodes(guard.relid, "SHARE ROW EXCLUSIVE");
	owner_is_new = ienv_let_in(ienv_relation_owner(guard.relid));
	ienv_let_in_on_nodes(guard.relid);
	ienv_drop_triggers(guard.relid, there.orphans);
	foreach(lc, there.orphans)
		ienv_report(&report, "trigger", lfirst(lc), guard.relid, IENV_DROPPED);
	ienv_check_rows(&guard, there.before != (Datum) 0, InvalidOid);
	if (OidIsValid(user_table))
		ienv_make_reference(&report, guard.relid, guard.instance_attno,
							guard.nrefs, guard.ref_attnos, user_table);
	make_indexes(&report, &guard, &there);
	ienv_make_triggers(&guard, there.missing, there.asleep);
	ienv_replace_triggers(&guard, there.replaced);
	rel = table_open(guard.relid, NoLock);
	ienv_report_triggers(&report, rel, &guard, there.missing, there.asleep,
						 there.replaced);
	table_close(rel, NoLock);
	if (ienv_watches_truncate(&guard))
	{
		ienv_report_partitions(&report, guard.relid);
		ienv_guard_partitions(guard.relid);
	}
	if (OidIsValid(user_table))
		ienv_mend_reference(&report, guard.relid, guard.instance_attno,
							guard.nrefs, guard.ref_attnos, user_table);
	tell(&report, &guard, &there, owner_is_new, user_table);
	SPI_finish();
	return (Datum) 0;
}

/*
 * Make the indexes that the guard needs and the table lacks, or report those
 * that are there.
 */
static void
make_indexes(IenvReport *report, const IenvGuard *guard, const Existing *there)
{
	AttrNumber	attnos[INDEX_MAX_KEYS];

	attnos[0] = guard->instance_attno;
	memcpy(attnos + 1, guard->ref_attnos, guard->nrefs * sizeof(AttrNumber));
	if (guard->nrefs > 0 &&
		!(there->instance_indexed && there->reference_indexed))
	{
		/* serves both, and the foreign key when a user is deleted */
		ienv_make_index(report, guard->relid, guard->nrefs + 1, attnos, false);
		ienv_tell_superseded(guard->relid, guard->instance_attno);
	}
	else if (!there->instance_indexed)
		ienv_make_index(report, guard->relid, 1, attnos, false);
	else
		ienv_report_index(report, guard->relid, 1, &guard->instance_attno);
	if (!there->key_indexed)
		ienv_make_index(report, guard->relid, guard->nkeys, guard->key_attnos,
						false);
	else if (guard->nkeys > 0 && !guard->coded)
		ienv_report_index(report, guard->relid, guard->nkeys,
						  guard->key_attnos);
}

/*
 * Say what was done, and record it.
 */
static void
tell(const IenvReport *report, const IenvGuard *guard, const Existing *there,
	 bool owner_is_new, Oid user_table)
{
	Datum		after;

	if (!report->changed)
	{
		if (!owner_is_new)
			ereport(NOTICE,
					(errmsg("table %s is already guarded",
							ienv_quoted_name(guard->relid))));
		return;
	}
	if (there->before != (Datum) 0)
		ereport(NOTICE,
				(errmsg(there->replaced != 0 ?
						"the guard of table %s has been changed" :
						"the guard of table %s has been repaired",
						ienv_quoted_name(guard->relid)),
				 errdetail("%s", report->text.data)));
	after = ienv_guard_as_jsonb(guard, user_table,
								there->before != (Datum) 0 ?
								report->json.data : NULL);
	ienv_record_event("guard", NULL, NULL, ienv_stable_name(guard->relid),
					  there->before, after);
}

/*
 * Compare what the table is to have, all but its label in guard, with what it
 * has; sets the label and what else depends on that.
 */
static void
compare(FunctionCallInfo fcinfo, Relation rel, IenvGuard *guard,
		Existing *there)
{
	IenvGuard	existing;
	IenvUserColumns columns = {NULL, NULL};
	int			present;
	int			disabled;

	there->orphans = NIL;
	there->before = (Datum) 0;
	guard->label = ienv_free_label(guard->relid);
	if (ienv_read_guard(rel, &existing, &present, &disabled))
	{
		check_same(guard, &existing, present);
		guard->label = existing.label;
		ienv_read_user_columns(rel, &columns);
		existing.user_columns = &columns;
		there->before = ienv_guard_as_jsonb(&existing, InvalidOid, NULL);
	}
	else if (present != 0)
		there->orphans = ienv_own_triggers(rel);
	there->missing = ienv_triggers_for(rel, guard) &
		~(there->orphans == NIL ? present : 0);
	there->asleep = there->missing |
		(there->orphans == NIL ? disabled_anywhere(rel) : 0);
	if (guard->counted && ienv_guard_version(&existing) == 0)
		there->asleep |= IENV_TRIGGER_USER_CAP;
	there->columns = columns;
	ienv_choose_user_columns(fcinfo, rel, guard, &there->columns);
	guard->user_columns = &there->columns;
	there->replaced = (there->missing & IENV_TRIGGER_NO_TRANSFER) ||
		(same_name(columns.address, there->columns.address) &&
		 same_name(columns.created, there->columns.created)) ?
		0 : IENV_TRIGGER_NO_TRANSFER;
	there->instance_indexed =
		OidIsValid(ienv_index_on(rel, 1, &guard->instance_attno));
	there->reference_indexed = guard->nrefs == 0 ||
		ienv_index_serves(rel, guard->instance_attno, guard->nrefs,
						  guard->ref_attnos);
	there->key_indexed = guard->nkeys == 0 || guard->coded ||
		OidIsValid(ienv_index_on(rel, guard->nkeys, guard->key_attnos));
}

/*
 * Are two names, each of which can be NULL, the same?
 */
static bool
same_name(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/*
 * Open a relation that the caller must own; a caller who does not own it never
 * waits for its lock.
 */
Relation
ienv_open_owned(Oid relid, LOCKMODE lockmode)
{
	Relation	rel;

	check_owner(relid);
	rel = relation_open(relid, lockmode);

	/* its owner may have changed while we waited */
	check_owner(relid);
	return rel;
}

static void
check_owner(Oid relid)
{
	if (get_rel_name(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!ienv_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

/*
 * A guard can be changed only by removing it first, so that no call changes
 * one by accident.
 */
static void
check_same(const IenvGuard *guard, const IenvGuard *existing, int present)
{
	/* if the trigger that would tell was dropped, trust the caller */
	bool		same_count = existing->counted == guard->counted ||
	!(present & (IENV_TRIGGER_USER_CAP | IENV_TRIGGER_ACTIVE));
	bool		same_key = same_columns(guard, existing) ||
	(existing->nkeys == 0 && existing->nrefs == 0 &&
	 !(present & IENV_TRIGGER_NO_TRANSFER));

	if (existing->instance_attno == guard->instance_attno && same_key &&
		same_count)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("table %s is already guarded in another way",
					ienv_quoted_name(guard->relid)),
			 errdetail("Its instance column is \"%s\", its user key %s, and its rows are %s%s%s.",
					   get_attname(guard->relid, existing->instance_attno,
								   false),
					   existing->nkeys + existing->nrefs == 0 ? "none" :
					   psprintf("\"%s\"", ienv_user_key_text(existing)),
					   existing->counted ? "counted" : "not counted",
					   existing->nrefs > 0 ?
					   "; they refer to users of another table" : "",
					   existing->coded ? "; its users' ids are coded" :
					   existing->departures ? "" :
					   "; departures are not followed"),
			 errhint("Call instance_env.unguard() first.")));
}

/*
 * Do two guards follow users by the same columns, or refer to users by them?
 */
static bool
same_columns(const IenvGuard *a, const IenvGuard *b)
{
	return a->nkeys == b->nkeys && a->nrefs == b->nrefs &&
		strcmp(a->user_label, b->user_label) == 0 &&
		a->departures == b->departures && a->coded == b->coded &&
		memcmp(a->key_attnos, b->key_attnos, sizeof(a->key_attnos)) == 0 &&
		memcmp(a->ref_attnos, b->ref_attnos, sizeof(a->ref_attnos)) == 0;
}

/*
 * The triggers that are disabled on the table or on any partition.
 */
static int
disabled_anywhere(Relation rel)
{
	int			result = 0;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(RelationGetRelid(rel), NoLock, NULL))
	{
		Relation	part = table_open(lfirst_oid(lc), AccessShareLock);
		IenvGuard	guard;
		int			present;
		int			disabled;

		(void) ienv_read_guard(part, &guard, &present, &disabled);
		result |= disabled;
		table_close(part, NoLock);
	}
	return result;
}
