/*-------------------------------------------------------------------------
 *
 * drop_note.c
 *	  What a command that drops things has taken of guarded tables so far.
 *
 * A table is noted with its guard before it loses the first part of it; its
 * rows are looked at when one goes without which they would not be users of
 * production.  What was allowed is recorded when the command ends, because
 * nothing can be written in the middle of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "nodes/parsenodes.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "guard/destruction.h"
#include "guard/guard.h"
#include "table/table.h"

/* What was allowed and is to be recorded when the command ends */
typedef struct Allowed
{
	const char *action;
	char	   *table;
	pg_uuid_t	instance;
	SubTransactionId subxact;	/* nothing has happened unless this is active */
} Allowed;

/*
 * The command that drops things: its transaction and subtransaction, and the
 * command id of the snapshot that it began with.  The subtransaction is needed
 * because rolling back to a savepoint leaves the command id as it is.
 */
static LocalTransactionId command_lxid = InvalidLocalTransactionId;
static SubTransactionId command_subxact = InvalidSubTransactionId;
static CommandId command_cid = InvalidCommandId;

/* Both lists are in TopTransactionContext. */
static List *noted = NIL;
static List *allowed = NIL;

static bool is_drop_of_shard(Node *parsetree);

/*
 * Forget what was noted for another command; false if it was for this one.
 *
 * All objects that a command drops are dropped under the same snapshot, and
 * each command that a function runs has a snapshot of its own.
 */
bool
ienv_begin_drop(void)
{
	SubTransactionId subxact = GetCurrentSubTransactionId();
	CommandId	cid = ActiveSnapshotSet() ? GetActiveSnapshot()->curcid :
	InvalidCommandId;

	if (command_lxid != ienv_lxid())
		allowed = NIL;
	else if (command_subxact == subxact && command_cid == cid)
		return false;
	command_lxid = ienv_lxid();
	command_subxact = subxact;
	command_cid = cid;
	noted = NIL;
	return true;
}

/*
 * The note of a table; NULL if there is none.
 */
IenvDropNote *
ienv_find_drop(Oid relid)
{
	ListCell   *lc;

	foreach(lc, noted)
		if (((IenvDropNote *) lfirst(lc))->guard.relid == relid)
		return lfirst(lc);
	return NULL;
}

/*
 * Note a table that has lost neither triggers nor columns yet.  NULL if it is
 * not guarded, or if it is not for this relation to say what is lost.
 */
IenvDropNote *
ienv_note_drop(Oid relid)
{
	IenvDropNote *note = ienv_find_drop(relid);
	const IenvGuard *guard;
	MemoryContext old;

	if (note != NULL)
		return note;
	if (ienv_is_dropped_elsewhere(relid))
		return NULL;
	guard = ienv_guard_of(relid);
	if (guard == NULL)
		return NULL;
	old = MemoryContextSwitchTo(TopTransactionContext);
	note = palloc0(sizeof(IenvDropNote));
	note->guard = *guard;
	noted = lappend(noted, note);
	MemoryContextSwitchTo(old);
	return note;
}

/*
 * Look at the rows of a table, which the command has locked.
 */
void
ienv_look_at_drop(IenvDropNote *note)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	if (!note->looked)
		note->has_victim = ienv_find_victim(&note->guard, &note->victim);
	note->looked = true;
	MemoryContextSwitchTo(old);
}

/*
 * Refuse to drop what makes a table's users be users of production; if the
 * current user is allowed to, have it recorded under this name.  There is no
 * recording that the log is dropped: action is NULL.
 */
void
ienv_check_drop(IenvDropNote *note, const char *action, const char *message)
{
	MemoryContext old;
	Allowed    *a;

	ienv_look_at_drop(note);
	if (!note->has_victim)
		return;
	if (!ienv_may_destroy(note->guard.relid))
		ienv_refuse_destruction(&note->guard, &note->victim, message);
	if (action == NULL)
		return;
	if (OidIsValid(ienv_shell_of(note->guard.relid)))
	{
		/* told to the log of the server, where it can be said at once */
		ienv_record_table_event(action, &note->victim.id, note->guard.relid,
								(Datum) 0, (Datum) 0);
		return;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	a = palloc(sizeof(Allowed));
	a->action = action;
	a->table = ienv_stable_name(note->guard.relid);
	a->instance = note->victim.id;
	a->subxact = GetCurrentSubTransactionId();
	allowed = lappend(allowed, a);
	MemoryContextSwitchTo(old);
}

/*
 * Has Citus dropped a shard on this node, while a command of the user's, which
 * has dropped its table, is still to end?  Until then, nothing can be written.
 */
static bool
is_drop_of_shard(Node *parsetree)
{
	const char *name;
	ListCell   *lc;

	if (!IsA(parsetree, DropStmt) ||
		((DropStmt *) parsetree)->removeType != OBJECT_TABLE ||
		list_length(((DropStmt *) parsetree)->objects) != 1)
		return false;
	name = strVal(llast(linitial(((DropStmt *) parsetree)->objects)));
	if (!ienv_is_shard_name(name))
		return false;

	/* a table that is only called like one is dropped by the user's command */
	foreach(lc, allowed)
		if (strstr(((const Allowed *) lfirst(lc))->table, name) != NULL)
		return false;
	return true;
}

/*
 * At the end of a command: record what was allowed.
 */
void
ienv_record_drops(Node *parsetree)
{
	List	   *done = allowed;
	ListCell   *lc;

	if (command_lxid != ienv_lxid() || is_drop_of_shard(parsetree))
		return;
	allowed = NIL;
	foreach(lc, done)
	{
		const Allowed *a = lfirst(lc);

		if (SubTransactionIsActive(a->subxact))
			ienv_record_event(a->action, NULL, &a->instance, a->table,
							  (Datum) 0, (Datum) 0);
	}
}
