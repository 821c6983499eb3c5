/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  guard() and unguard(): attaching a guard to an application's table, and
 *	  removing it.
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
#include "catalog/catalog.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "registry/registry.h"
#include "table/table.h"

/* What guard() finds on a table */
typedef struct Existing
{
	int			missing;		/* triggers to make, as IENV_TRIGGER_ bits */
	int			asleep;			/* triggers to enable */
	List	   *orphans;		/* triggers left by a former partitioned
								 * parent */
	bool		instance_indexed;
	bool		key_indexed;
	Datum		before;			/* the guard as the audit log shows it, or 0 */
}			Existing;

static void compare(Relation rel, IenvGuard *guard, Existing * there);
static Relation open_owned(Oid relid, LOCKMODE lockmode);
static Relation open_owned(Oid relid, LOCKMODE lockmode);
static void check_owner(Oid relid);
static void check_relation(Relation rel);
static void check_partition_rights(Oid relid);
static void check_same(const IenvGuard *guard, const IenvGuard *existing,
					   int present);
static int	disabled_anywhere(Relation rel);
static void make_index(Oid relid, AttrNumber attno);
static Datum described(const IenvGuard *guard, Oid user_table);

PG_FUNCTION_INFO_V1(instance_env_guard);
PG_FUNCTION_INFO_V1(instance_env_unguard);

/*
 * guard(relation regclass, instance_column name, user_key name,
 *		 counted boolean, user_table regclass) RETURNS void
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
	bool		owner_is_new;
	Oid			user_table = PG_ARGISNULL(4) ? InvalidOid : PG_GETARG_OID(4);
	AttrNumber	user_attno;

	ienv_require_argument(fcinfo, 0, "relation");
	ienv_require_argument(fcinfo, 1, "instance_column");
	ienv_require_argument(fcinfo, 3, "counted");

	memset(&guard, 0, sizeof(guard));
	guard.relid = guard.root = PG_GETARG_OID(0);
	guard.counted = PG_GETARG_BOOL(3);

	rel = open_owned(guard.relid, ShareRowExclusiveLock);
	check_relation(rel);
	CheckTableNotInUse(rel, "guard");
	ienv_begin_guarding();
	(void) ienv_leaf_relations(guard.relid, ShareRowExclusiveLock);

	/* now, lest a new name make us give up later */
	(void) ienv_kept_name(guard.relid);

	user_attno = ienv_read_columns(fcinfo, rel, &guard);
	compare(rel, &guard, &there);

	/* DDL requires that we do not have the table open; the lock stays */
	table_close(rel, NoLock);

	if (there.missing & ~IENV_TRIGGER_TRUNCATE)
		check_partition_rights(guard.relid);

	SPI_connect();
	owner_is_new = ienv_let_in(ienv_relation_owner(guard.relid));
	ienv_drop_triggers(guard.relid, there.orphans);
	ienv_check_rows(&guard, there.before != (Datum) 0, InvalidOid);
	if (!there.instance_indexed)
		make_index(guard.relid, guard.instance_attno);
	if (!there.key_indexed)
		make_index(guard.relid, guard.key_attno);
	if (OidIsValid(user_table))
		ienv_make_reference(guard.relid, guard.instance_attno, user_attno,
							user_table);
	if (there.missing == 0 && there.asleep == 0 && !owner_is_new)
		ereport(NOTICE,
				(errmsg("table %s is already guarded",
						ienv_quoted_name(guard.relid))));
	ienv_make_triggers(&guard, there.missing, there.asleep);
	if (guard.key_attno != InvalidAttrNumber)
		ienv_guard_partitions(guard.relid);
	if (there.missing != 0 || there.asleep != 0 || !there.instance_indexed ||
		!there.key_indexed)
		ienv_record_event("guard", NULL, NULL, ienv_stable_name(guard.relid),
						  there.before, described(&guard, user_table));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Compare what the table is to have, all but its label in guard, with what it
 * has; sets the label and what else depends on that.
 */
static void
compare(Relation rel, IenvGuard *guard, Existing * there)
{
	IenvGuard	existing;
	int			present;
	int			disabled;

	there->orphans = NIL;
	there->before = (Datum) 0;
	guard->label = ienv_free_label(guard->relid);
	if (ienv_read_guard(rel, &existing, &present, &disabled))
	{
		check_same(guard, &existing, present);
		guard->label = existing.label;
		there->before = described(&existing, InvalidOid);
	}
	else if (present != 0)
		there->orphans = ienv_own_triggers(rel);
	there->missing = ienv_triggers_for(rel, guard) &
		~(there->orphans == NIL ? present : 0);
	there->asleep = there->missing |
		(there->orphans == NIL ? disabled_anywhere(rel) : 0);
	if (guard->counted && ienv_guard_version(&existing) == 0)
		there->asleep |= IENV_TRIGGER_USER_CAP;
	there->instance_indexed =
		OidIsValid(ienv_index_on(rel, guard->instance_attno, false));
	there->key_indexed = guard->key_attno == InvalidAttrNumber ||
		OidIsValid(ienv_index_on(rel, guard->key_attno, false));
	guard->key_is_unique = guard->key_attno != InvalidAttrNumber &&
		OidIsValid(ienv_index_on(rel, guard->key_attno, true));
}

/*
 * unguard(relation regclass) RETURNS void
 *
 * Drops the triggers.  Indexes and foreign keys stay: the application may use
 * them.
 */
Datum
instance_env_unguard(PG_FUNCTION_ARGS)
{
	Oid			relid;
	Relation	rel;
	List	   *all;
	ListCell   *lc;
	IenvGuard	guard;
	int			present;
	int			disabled;
	Datum		before = (Datum) 0;

	ienv_require_argument(fcinfo, 0, "relation");
	relid = PG_GETARG_OID(0);
	rel = open_owned(relid, AccessExclusiveLock);
	CheckTableNotInUse(rel, "unguard");
	if (ienv_read_guard(rel, &guard, &present, &disabled))
		before = described(&guard, InvalidOid);
	table_close(rel, NoLock);
	if (present == 0)
	{
		ereport(NOTICE,
				(errmsg("table %s is not guarded, skipping",
						ienv_quoted_name(relid))));
		PG_RETURN_VOID();
	}
	if (guard.root != relid)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table %s is guarded as a partition of table %s",
						ienv_quoted_name(relid), ienv_quoted_name(guard.root)),
				 errhint("Call instance_env.unguard() for table %s.",
						 ienv_quoted_name(guard.root))));

	SPI_connect();
	all = find_all_inheritors(relid, AccessExclusiveLock, NULL);
	foreach(lc, all)
	{
		List	   *names;

		rel = table_open(lfirst_oid(lc), NoLock);
		names = ienv_own_triggers(rel);
		table_close(rel, NoLock);
		ienv_drop_triggers(lfirst_oid(lc), names);
	}
	ienv_record_event("unguard", NULL, NULL, ienv_stable_name(relid), before,
					  0);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Open a relation that the caller must own; a caller who does not own it never
 * waits for its lock.
 */
static Relation
open_owned(Oid relid, LOCKMODE lockmode)
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
 * Refuse a relation whose rows the triggers could not see, count or track.
 */
static void
check_relation(Relation rel)
{
	const char *hint = NULL;
	char		relkind = rel->rd_rel->relkind;

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		hint = "Guard the table that holds the rows.";
	else if (IsCatalogRelation(rel) ||
			 RelationGetNamespace(rel) == ienv_oids()->schema)
		hint = "Guard a table of the application's.";
	else if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		hint =
			"Guard a permanent table: nobody but its session could count the rows of a temporary one.";
	else if (rel->rd_rel->relispartition)
		hint =
			"Guard the partitioned table: the cap counts over all its partitions.";
	else if (relkind == RELKIND_RELATION &&
			 find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL)
		hint =
			"Inheritance children are tables of their own; use a partitioned table.";
	else if (has_superclass(RelationGetRelid(rel)))
		hint =
			"Inheritance children are tables of their own; use a partitioned table.";
	else if (relkind == RELKIND_RELATION &&
			 rel->rd_tableam != GetHeapamTableAmRoutine())
		hint = "Only tables of access method \"heap\" can be guarded.";
	if (hint == NULL)
		return;

	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("relation %s cannot be guarded",
					ienv_quoted_name(RelationGetRelid(rel))),
			 relkind != RELKIND_RELATION &&
			 relkind != RELKIND_PARTITIONED_TABLE ?
			 errdetail_relkind_not_supported(relkind) : 0,
			 errhint("%s", hint)));
}

/*
 * The triggers are created as the table's owner, and PostgreSQL requires that
 * this role have the right to create them on each partition: report a
 * partition that belongs to another role before PostgreSQL's own check fails.
 */
static void
check_partition_rights(Oid relid)
{
	Oid			owner = ienv_relation_owner(relid);
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Oid			partition = lfirst_oid(lc);

		if (pg_class_aclcheck(partition, owner, ACL_TRIGGER) != ACLCHECK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("partition %s of table %s belongs to another role",
							ienv_quoted_name(partition),
							ienv_quoted_name(relid)),
					 errdetail("Role \"%s\", which owns the table, may not create triggers on the partition.",
							   GetUserNameFromId(owner, false)),
					 errhint("Give the partition to the owner of the table, or grant it TRIGGER on the partition.")));
	}
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
	bool		same_key = existing->key_attno == guard->key_attno ||
	(existing->key_attno == InvalidAttrNumber &&
	 !(present & IENV_TRIGGER_NO_TRANSFER));

	if (existing->instance_attno == guard->instance_attno && same_key &&
		same_count)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("table %s is already guarded in another way",
					ienv_quoted_name(guard->relid)),
			 errdetail("Its instance column is \"%s\", its user key %s, and its rows are %s.",
					   get_attname(guard->relid, existing->instance_attno,
								   false),
					   existing->key_attno == InvalidAttrNumber ? "none" :
					   psprintf("\"%s\"",
								get_attname(guard->relid, existing->key_attno,
											false)),
					   existing->counted ? "counted" : "not counted"),
			 errhint("Call instance_env.unguard() first.")));
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

/*
 * Create an index that serves the column.  Partitions, present and future, get
 * theirs through the partitioned table.
 *
 * This is done as the caller, because the owner need not have CREATE on the
 * schema; PostgreSQL itself then acts as the owner, in a security-restricted
 * operation.
 */
static void
make_index(Oid relid, AttrNumber attno)
{
	char	   *column = get_attname(relid, attno, false);

	ereport(NOTICE,
			(errmsg("creating an index on column \"%s\" of table %s", column,
					ienv_quoted_name(relid))));
	ienv_execute("CREATE INDEX ON %s (%s)", ienv_kept_name(relid),
				 quote_identifier(column));
}

/*
 * A guard as jsonb, for an event.
 */
static Datum
described(const IenvGuard *guard, Oid user_table)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"instance_column\": ");
	escape_json(&json,
				get_attname(guard->relid, guard->instance_attno, false));
	if (guard->key_attno != InvalidAttrNumber)
	{
		appendStringInfoString(&json, ", \"user_key\": ");
		escape_json(&json, get_attname(guard->relid, guard->key_attno, false));
		appendStringInfoString(&json, ", \"label\": ");
		escape_json(&json, guard->label);
	}
	if (OidIsValid(user_table))
	{
		appendStringInfoString(&json, ", \"user_table\": ");
		escape_json(&json, ienv_stable_name(user_table));
	}
	appendStringInfo(&json, ", \"counted\": %s}",
					 guard->counted ? "true" : "false");
	return ienv_jsonb(json.data);
}
