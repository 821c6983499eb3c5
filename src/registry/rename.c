/*-------------------------------------------------------------------------
 *
 * rename.c
 *	  The external keys that the current transaction has changed.
 *
 * While rename_instance() is not committed, rows of guarded tables may still
 * have an old key of an instance, and an update may give them the new one.
 * So this backend remembers what it has renamed: as long as the transaction
 * lasts, and not if the subtransaction that did it is rolled back.
 *
 * All keys that one instance has had in a transaction belong to it until the
 * transaction ends: no other instance can get one of them meanwhile.  So a key
 * never stands for two instances in one transaction, and whether an update
 * keeps a row in its instance is seen by the keys alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/base.h"
#include "registry/registry.h"

/* IenvRenames, oldest first, in TopTransactionContext */
static List *renames = NIL;

static bool key_is(Datum value, const char *key);

/*
 * The end of a transaction, whose memory goes with it.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		renames = NIL;
}

/*
 * The end of a subtransaction: its renames become its parent's, or are undone.
 */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId subxact,
					SubTransactionId parent, void *arg)
{
	ListCell   *lc;

	foreach(lc, renames)
	{
		IenvRename *rename = lfirst(lc);

		if (rename->subxact != subxact)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			rename->subxact = parent;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			renames = foreach_delete_current(renames, lc);
	}
}

/*
 * The renames of the current transaction, oldest first, as IenvRenames.
 */
List *
ienv_renames(void)
{
	return renames;
}

/*
 * Remember that the transaction gives this instance another external key.
 * tables are the guarded tables that are locked for that.
 */
void
ienv_remember_rename(const pg_uuid_t *instance, const char *old_key,
					 const char *new_key, const List *tables)
{
	static bool registered = false;
	MemoryContext old;
	IenvRename *rename;

	if (!registered)
	{
		RegisterXactCallback(transaction_ends, NULL);
		RegisterSubXactCallback(subtransaction_ends, NULL);
		registered = true;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	rename = palloc(sizeof(IenvRename));
	rename->instance = *instance;
	rename->old_key = pstrdup(old_key);
	rename->new_key = pstrdup(new_key);
	rename->tables = list_copy(tables);
	rename->subxact = GetCurrentSubTransactionId();
	renames = lappend(renames, rename);
	MemoryContextSwitchTo(old);
}

/*
 * The same in a session that does the work of another one on this node of a
 * cluster, and may be that session itself.  It locks no tables.
 */
void
ienv_hear_of_rename(const pg_uuid_t *instance, const char *old_key,
					const char *new_key)
{
	const IenvRename *last = ienv_last_rename(instance);

	if (last == NULL || strcmp(last->old_key, old_key) != 0 ||
		strcmp(last->new_key, new_key) != 0)
		ienv_remember_rename(instance, old_key, new_key, NIL);
}

/*
 * The last rename of this instance in the current transaction, or NULL.
 */
const IenvRename *
ienv_last_rename(const pg_uuid_t *instance)
{
	for (int i = list_length(renames); i-- > 0;)
	{
		const IenvRename *rename = list_nth(renames, i);

		if (memcmp(&rename->instance, instance, UUID_LEN) == 0)
			return rename;
	}
	return NULL;
}

/*
 * The rename by which an instance has given up this key in the current
 * transaction, or NULL.  The instance may have got it back since.
 */
const IenvRename *
ienv_rename_from(Datum key)
{
	ListCell   *lc;

	foreach(lc, renames)
	{
		const IenvRename *rename = lfirst(lc);

		if (key_is(key, rename->old_key))
			return rename;
	}
	return NULL;
}

/*
 * Has the current transaction renamed an instance that had the key "from", so
 * that its key now is "to"?
 */
bool
ienv_has_renamed(Datum from, Datum to)
{
	const IenvRename *rename = ienv_rename_from(from);

	return rename != NULL &&
		key_is(to, ienv_last_rename(&rename->instance)->new_key);
}

static bool
key_is(Datum value, const char *key)
{
	text	   *t = DatumGetTextPP(value);
	int			length = VARSIZE_ANY_EXHDR(t);
	bool		result = length == strlen(key) &&
	memcmp(VARDATA_ANY(t), key, length) == 0;

	if ((Pointer) t != DatumGetPointer(value))
		pfree(t);
	return result;
}

/*
 * Refuse to judge by its rows an instance that the current transaction has
 * renamed: some may still have the old key.
 */
void
ienv_require_not_renamed(Datum instance)
{
	if (ienv_last_rename(DatumGetUUIDP(instance)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("instance %s has been renamed by this transaction",
						ienv_instance_text(instance, true)),
				 errdetail("Its rows may still have the old external key."),
				 errhint("Commit first.")));
}
