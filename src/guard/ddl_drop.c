/*-------------------------------------------------------------------------
 *
 * ddl_drop.c
 *	  Keeping users of production from being dropped with their table.
 *
 * Names and syntax do not say what a command drops: DROP SCHEMA, DROP OWNED,
 * DROP EXTENSION or DROP TYPE may take a table along, or its instance column.
 * So we have PostgreSQL tell us: before it drops an object, it calls
 * object_access_hook, when all permissions have been checked and the object
 * has been locked.  The hook looks at nothing but guarded tables.
 *
 * What depends on an object is dropped before it: a table's triggers, by which
 * alone we know that it is guarded, before the table, and perhaps its TOAST
 * table or a column, too.  So a guard is noted when the first of these goes
 * (drop_note.c); the table, or its instance column, decides.  If it stays, as
 * when a guard is removed or a partition is detached, nothing has been looked
 * at.
 *
 * When the extension itself is dropped, all guards go with it, and the registry
 * that says which instances are of production.  So all guarded tables are
 * looked at before the first member of the extension goes.  After that the
 * hook does nothing more for the same command: what is left of the extension
 * must not get into a cache.
 *
 * TRUNCATE of a shard of a distributed table is watched by the same hook.
 *
 * The hook is installed when the library is loaded.  If nothing else has done
 * that, the event trigger does, before the command drops anything.  So with
 * event triggers disabled (by a superuser, or in single-user mode), and
 * without shared_preload_libraries, nothing is refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/destruction.h"
#include "guard/guard.h"
#include "registry/registry.h"
#include "table/table.h"

/* with the current command, which no longer concerns us then */
static bool extension_goes = false;

static object_access_hook_type previous_hook = NULL;

static void release_placements(DropStmt *stmt);
static void object_access(ObjectAccessType access, Oid class, Oid object,
						  int column, void *arg);
static void truncates(Oid relid);
static void drops(Oid class, Oid object, int column);
static void drops_trigger(Oid trigger);
static void drops_relation(Oid relid, int column);
static bool is_member(Oid class, Oid object);
static void drops_extension(void);
static Oid	toast_table(Oid relid);
static Oid	table_of_toast(Oid toast);

PG_FUNCTION_INFO_V1(instance_env_watch_drop);

/*
 * Install the hook.
 */
void
ienv_watch_drops(void)
{
	previous_hook = object_access_hook;
	object_access_hook = object_access;
}

/*
 * watch_drop() RETURNS event_trigger
 *
 * Before a command: calling it has loaded this library, and views let go of
 * placements of the registry's tables (placement_views.c).  After the command:
 * records what was allowed.
 */
Datum
instance_env_watch_drop(PG_FUNCTION_ARGS)
{
	EventTriggerData *trigdata;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager", "watch_drop")));
	trigdata = (EventTriggerData *) fcinfo->context;
	if (strcmp(trigdata->event, "ddl_command_end") == 0)
		ienv_record_drops(trigdata->parsetree);
	else if (IsA(trigdata->parsetree, DropStmt))
		release_placements(castNode(DropStmt, trigdata->parsetree));
	PG_RETURN_NULL();
}

static void
release_placements(DropStmt *stmt)
{
	ListCell   *lc;

	if (stmt->removeType != OBJECT_TABLE)
		return;
	foreach(lc, stmt->objects)
	{
		RangeVar   *table = makeRangeVarFromNameList(castNode(List, lfirst(lc)));

		ienv_release_placement(table->schemaname, table->relname);
	}
}

static void
object_access(ObjectAccessType access, Oid class, Oid object, int column,
			  void *arg)
{
	if (previous_hook != NULL)
		previous_hook(access, class, object, column, arg);

	/*
	 * What PostgreSQL drops for reasons of its own, such as the triggers of a
	 * partition that is detached, or the old file of a table that is
	 * rewritten, is no loss.
	 */
	if (access == OAT_DROP &&
		!(((ObjectAccessDrop *) arg)->dropflags & PERFORM_DELETION_INTERNAL))
		drops(class, object, column);
	else if (access == OAT_TRUNCATE && class == RelationRelationId)
		truncates(object);
}

/*
 * A relation is about to be truncated, and may not be locked yet.  Triggers see
 * to that, but shards have no such, since a statement names the table: only who
 * names a shard gets here.
 */
static void
truncates(Oid relid)
{
	const IenvGuard *guard;

	if (ienv_begun_by_node() || !ienv_is_installed() ||
		!OidIsValid(ienv_shell_of(relid)) ||
		pg_class_aclcheck(relid, GetUserId(), ACL_TRUNCATE) != ACLCHECK_OK)
		return;
	LockRelationOid(relid, AccessExclusiveLock);
	guard = ienv_guard_of(relid);
	if (guard != NULL)
		ienv_check_truncate(guard);
}

static void
drops(Oid class, Oid object, int column)
{
	if (class != RelationRelationId && class != TriggerRelationId &&
		class != ProcedureRelationId && class != EventTriggerRelationId)
		return;
	if (ienv_begin_drop())
		extension_goes = false;
	if (extension_goes || !ienv_is_installed())
		return;
	if (class == TriggerRelationId)
		drops_trigger(object);
	else if (is_member(class, object))
		drops_extension();
	else if (class == RelationRelationId)
		drops_relation(object, column);
}

/*
 * A trigger is about to be dropped.
 */
static void
drops_trigger(Oid trigger)
{
	HeapTuple	tuple = ienv_read_trigger(trigger);
	Form_pg_trigger form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_trigger) GETSTRUCT(tuple);
	if (ienv_trigger_kind(form->tgfoid) != NULL)
		(void) ienv_note_drop(form->tgrelid);
	heap_freetuple(tuple);
}

/*
 * A relation, or a column of one, is about to be dropped.
 */
static void
drops_relation(Oid relid, int column)
{
	IenvDropNote *note;
	Oid			toast = column == 0 ? toast_table(relid) : InvalidOid;

	if (OidIsValid(toast))
	{
		/* the last opportunity to read what is in it */
		relid = table_of_toast(toast);
		note = OidIsValid(relid) ? ienv_note_drop(relid) : NULL;
		if (note != NULL)
			ienv_look_at_drop(note);
		return;
	}

	/* the triggers of a partition go after the column that they name */
	note = column == 0 ? ienv_find_drop(relid) : ienv_note_drop(relid);
	if (note == NULL)
		return;
	if (column == 0)
		ienv_check_drop(note, "drop_table",
						psprintf("cannot drop table %s because it holds users of production",
								 ienv_quoted_name(relid)));
	else if (column == note->guard.instance_attno &&
			 !(ienv_begun_by_node() && OidIsValid(ienv_shell_of(relid))))
		ienv_check_drop(note, "drop_column",
						psprintf("cannot drop column \"%s\" of table %s because it names the instances of users of production",
								 get_attname(relid, column, false),
								 ienv_quoted_name(relid)));
}

/*
 * Is this object a member of the extension, or an index of one?  If a member is
 * dropped, so is the extension, because PostgreSQL would have refused anything
 * else: except to the extension's own scripts, which change it.
 */
static bool
is_member(Oid class, Oid object)
{
	Oid			extension;

	if (creating_extension)
		return false;
	if (class == RelationRelationId)
	{
		if (get_rel_namespace(object) != ienv_oids()->schema)
			return false;
		if (get_rel_relkind(object) == RELKIND_INDEX)
			object = IndexGetRelation(object, true);
	}
	else if (class == ProcedureRelationId)
	{
		if (get_func_namespace(object) != ienv_oids()->schema)
			return false;
	}
	else if (class != EventTriggerRelationId)
		return false;
	extension = OidIsValid(object) ? getExtensionOfObject(class, object) :
		InvalidOid;
	return OidIsValid(extension) &&
		extension == get_extension_oid(IENV_SCHEMA, true);
}

/*
 * The extension is about to be dropped with all guards: PostgreSQL has checked
 * that CASCADE was given if there are any.
 */
static void
drops_extension(void)
{
	ListCell   *root;
	ListCell   *lc;

	foreach(root, ienv_all_roots())
	{
		Oid			relid = ((IenvRoot *) lfirst(root))->relid;

		/* another node has looked, and this one may not ask its shards now */
		if (ienv_is_distributed(relid) && ienv_begun_by_node())
			continue;

		/* as PostgreSQL will do next, to drop their triggers */
		LockRelationOid(relid, AccessExclusiveLock);
		foreach(lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
		{
			IenvDropNote *note = ienv_note_drop(lfirst_oid(lc));

			if (note != NULL)
				ienv_check_drop(note, NULL,
								psprintf("cannot drop extension \"%s\" because table %s holds users of production",
										 IENV_SCHEMA, ienv_quoted_name(lfirst_oid(lc))));
		}
	}
	extension_goes = true;
}

/*
 * The TOAST table that a relation is, or is the index of; or InvalidOid.
 */
static Oid
toast_table(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	if (relkind == RELKIND_INDEX)
	{
		relid = IndexGetRelation(relid, true);
		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';
	}
	return relkind == RELKIND_TOASTVALUE ? relid : InvalidOid;
}

/*
 * The table that a TOAST table belongs to.
 */
static Oid
table_of_toast(Oid toast)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(toast));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->deptype == DEPENDENCY_INTERNAL &&
			form->refclassid == RelationRelationId)
			result = form->refobjid;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}
