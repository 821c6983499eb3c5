/*-------------------------------------------------------------------------
 *
 * unguard.c
 *	  unguard(): removing a guard from an application's table.
 *
 * Indexes and foreign keys stay, since the application may have come to rely
 * on them, unless the caller asks for those that guard() made to be dropped,
 * too.  Nothing is ever dropped that something else depends on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "guard/made.h"
#include "guard/reference.h"
#include "table/table.h"

static void refuse_partition(const IenvGuard *guard);
static void skip(Oid relid);
static void drop_triggers(Oid relid);
static void drop_made(Oid relid, StringInfo dropped);
static bool may_be_users(const IenvForeignKey *key);
static void drop_one(Oid relid, const char *object, const char *name,
					 char *command, StringInfo dropped);

PG_FUNCTION_INFO_V1(instance_env_unguard);

/*
 * unguard(relation regclass, drop_objects boolean) RETURNS void
 *
 * Drops the triggers; with drop_objects, also the indexes and foreign keys
 * that guard() made.
 */
Datum
instance_env_unguard(PG_FUNCTION_ARGS)
{
	Oid			relid;
	Relation	rel;
	IenvGuard	guard;
	IenvUserColumns columns;
	int			present;
	int			disabled;
	Datum		before = (Datum) 0;
	StringInfoData dropped;

	ienv_require_argument(fcinfo, 0, "relation");
	ienv_require_argument(fcinfo, 1, "drop_objects");
	relid = PG_GETARG_OID(0);
	rel = ienv_open_owned(relid, AccessExclusiveLock);
	CheckTableNotInUse(rel, "unguard");
	ienv_refuse_shard(relid, "unguard");
	if (ienv_read_guard(rel, &guard, &present, &disabled))
	{
		ienv_read_user_columns(rel, &columns);
		guard.user_columns = &columns;
		before = ienv_guard_as_jsonb(&guard, InvalidOid, NULL);
	}
	table_close(rel, NoLock);
	if (present != 0)
		refuse_partition(&guard);

	initStringInfo(&dropped);
	SPI_connect();
	if (present != 0)
		drop_triggers(relid);
	if (PG_GETARG_BOOL(1))
		drop_made(relid, &dropped);
	if (present == 0 && dropped.len == 0)
		skip(relid);
	else
		ienv_record_event("unguard", NULL, NULL, ienv_stable_name(relid),
						  before, dropped.len == 0 ? (Datum) 0 :
						  ienv_jsonb(psprintf("{\"dropped\": [%s]}",
											  dropped.data)));
	ienv_tell_isolated(relid);
	SPI_finish();
	PG_RETURN_VOID();
}

static void
refuse_partition(const IenvGuard *guard)
{
	if (guard->root != guard->relid)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table %s is guarded as a partition of table %s",
						ienv_quoted_name(guard->relid),
						ienv_quoted_name(guard->root)),
				 errhint("Call instance_env.unguard() for table %s.",
						 ienv_quoted_name(guard->root))));
}

/*
 * Say that there is nothing to remove; if a partition has a guard of its own,
 * which can only have been attached while the event trigger was disabled, say
 * which one.
 */
static void
skip(Oid relid)
{
	Oid			guarded = InvalidOid;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = relation_open(lfirst_oid(lc), AccessShareLock);

		if (!OidIsValid(guarded) && ienv_guards_itself(rel))
			guarded = lfirst_oid(lc);
		relation_close(rel, NoLock);
	}
	ereport(NOTICE,
			(errmsg("table %s is not guarded, skipping",
					ienv_quoted_name(relid)),
			 !OidIsValid(guarded) ? 0 :
			 errdetail("Its partition %s has a guard of its own.",
					   ienv_quoted_name(guarded)),
			 !OidIsValid(guarded) ? 0 :
			 errhint("Call instance_env.unguard() for the partition, then instance_env.guard() for table %s.",
					 ienv_quoted_name(relid))));
}

/*
 * Drop the triggers of a table and its partitions.
 */
static void
drop_triggers(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		List	   *names = ienv_own_triggers(rel);

		table_close(rel, NoLock);
		ienv_drop_triggers(lfirst_oid(lc), names);
	}
}

/*
 * Drop the foreign keys and indexes of a table that guard() made, and say why
 * one stays.  Appends what was dropped to a list in JSON.
 */
static void
drop_made(Oid relid, StringInfo dropped)
{
	ListCell   *lc;

	foreach(lc, ienv_foreign_keys(relid))
	{
		const IenvForeignKey *key = lfirst(lc);

		/* the instance and at least one column that refers to a user */
		if (!OidIsValid(key->partition) && key->n >= 2 &&
			ienv_is_own_name(key->name, relid, key->n, key->from,
							 IENV_KEY_SUFFIX) && may_be_users(key))
			drop_one(relid, "foreign key", key->name,
					 psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
							  ienv_kept_name(relid),
							  quote_identifier(key->name)),
					 dropped);
	}
	foreach(lc, ienv_own_indexes(relid))
	{
		Oid			index = lfirst_oid(lc);
		char	   *name = get_rel_name(index);
		const char *why = ienv_why_kept(index);

		if (why == NULL)
			drop_one(relid, "index", name,
					 psprintf("DROP INDEX %s", ienv_kept_name(index)),
					 dropped);
		else
			ereport(NOTICE,
					(errmsg("index \"%s\" of table %s is kept", name,
							ienv_quoted_name(relid)),
					 errdetail("%s", why)));
	}
}

/*
 * Can a foreign key lead to users of an instance?  Those that are not guarded
 * any more may have been.
 */
static bool
may_be_users(const IenvForeignKey *key)
{
	const IenvGuard *users = ienv_guard_of(key->referenced);

	if (users == NULL)
		return true;
	for (int i = 0; i < key->n; i++)
		if (key->to[i] == users->instance_attno)
			return true;
	return false;
}

static void
drop_one(Oid relid, const char *object, const char *name, char *command,
		 StringInfo dropped)
{
	IenvActing	saved;

	ereport(NOTICE,
			(errmsg("dropping %s \"%s\" of table %s", object, name,
					ienv_quoted_name(relid))));
	ienv_act_as(ienv_relation_owner(relid), &saved);
	ienv_execute("%s", command);
	ienv_act_as_self(&saved);
	appendStringInfo(dropped, "%s{\"object\": \"%s\", \"name\": ",
					 dropped->len > 0 ? ", " : "", object);
	escape_json(dropped, name);
	appendStringInfoChar(dropped, '}');
}
