/*-------------------------------------------------------------------------
 *
 * reference_actions.c
 *	  What the foreign key that guard() makes does when a user is deleted or
 *	  gets another key, and when it is checked.
 *
 * Whatever statements worked before must go on working, except for those that
 * make a row refer to a user of another instance.  Two foreign keys on the
 * same columns are two sets of triggers, which fire in the order of their
 * names.  These contain OIDs: the order is not even that of creation, and a
 * restored database may have another one.  So the new key must not depend on
 * it.
 *
 * If a foreign key on the user alone is there, the new one does the same: of
 * two that cascade, or set the same column, the second one finds nothing left
 * to do, and two that refuse refuse the same.  SET NULL and SET DEFAULT must
 * leave the instance alone.
 *
 * Where that is impossible, the new key takes no action and is checked at
 * commit; the other key, or keys, do the work before then:
 *
 * - ON UPDATE SET NULL and SET DEFAULT always set all columns of a key.
 *
 * - PostgreSQL allows a key with a generated column no action that changes
 *	 one.
 *
 * - There are several keys, and they do different things.
 *
 * - Only a partition has a key on the user: the rows of others stay.
 *
 * - Rows also disappear, or lose their user, in another way: users -> emails
 *   -> tokens.  What such a cascade leads to happens step by step, all of the
 *   first step before any of the second, and each check comes with its step,
 *   so one that is not deferred would find rows that are about to be deleted.
 *   The new key does not cascade in place of that: it might delete rows that
 *   the other way does not lead to.
 *
 * If no key at all is there, the new one refuses to delete a user who is
 * referred to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

#include "guard/made.h"
#include "guard/reference.h"

static void add_key(const IenvReference *ref, const IenvForeignKey *key,
					bool first, IenvActions *actions);
static void copied(const IenvReference *ref, const IenvForeignKey *key,
				   IenvActions *actions);
static bool same_actions(const IenvActions *a, const IenvActions *b);
static bool changes_elsewhere(const IenvReference *ref, List *keys,
							  const IenvActions *actions);
static bool sets_user(const IenvReference *ref, const IenvForeignKey *key);
static bool deleted_together(const IenvReference *ref, Oid other);
static List *ancestors(Oid relid, Oid avoid);

/*
 * Choose what the foreign key over instance and user does, given the foreign
 * keys that the table has.
 */
void
ienv_choose_actions(const IenvReference *ref, List *keys, IenvActions *actions)
{
	bool		first = true;
	ListCell   *lc;

	memset(actions, 0, sizeof(*actions));
	actions->on_delete = actions->on_update = FKCONSTR_ACTION_NOACTION;
	foreach(lc, keys)
	{
		const IenvForeignKey *key = lfirst(lc);

		if (OidIsValid(key->partition) && key->referenced == ref->user_table)
		{
			/* what users are inserted after, may still come first */
			actions->deferrable = actions->deferrable || key->deferrable;
			actions->deferred = actions->deferred || key->deferred;
		}
		if (!ienv_contains_user(key, ref))
			continue;
		add_key(ref, key, first, actions);
		first = false;
	}
	if (changes_elsewhere(ref, keys, actions))
	{
		if (actions->on_delete == FKCONSTR_ACTION_RESTRICT)
			actions->on_delete = FKCONSTR_ACTION_NOACTION;
		if (actions->on_update == FKCONSTR_ACTION_RESTRICT)
			actions->on_update = FKCONSTR_ACTION_NOACTION;
		actions->deferrable = actions->deferred = true;
	}
}

/*
 * Take another key on the user into account.
 */
static void
add_key(const IenvReference *ref, const IenvForeignKey *key, bool first,
		IenvActions *actions)
{
	IenvActions one;

	copied(ref, key, &one);
	if (first)
	{
		one.deferrable = one.deferrable || actions->deferrable;
		one.deferred = one.deferred || actions->deferred;
		*actions = one;
		return;
	}
	if (!same_actions(actions, &one))
	{
		actions->on_delete = actions->on_update = FKCONSTR_ACTION_NOACTION;
		actions->nset = 0;
		actions->deferrable = actions->deferred = true;
	}
	actions->deferrable = actions->deferrable || one.deferrable;
	actions->deferred = actions->deferred || one.deferred;

	/* that one of them is valid says that all users exist */
	actions->not_valid = actions->not_valid && one.not_valid;
}

/*
 * What a key like this one does.
 */
static void
copied(const IenvReference *ref, const IenvForeignKey *key,
	   IenvActions *actions)
{
	bool		alone = key->n == ref->n;
	bool		generated = get_attgenerated(ref->relid, ref->instance) != '\0';
	bool		later = false;

	memset(actions, 0, sizeof(*actions));
	actions->on_delete = key->on_delete;
	actions->on_update = key->on_update;
	if (key->on_delete == FKCONSTR_ACTION_SETNULL ||
		key->on_delete == FKCONSTR_ACTION_SETDEFAULT)
	{
		actions->nset = key->nset > 0 ? key->nset : key->n;
		memcpy(actions->set, key->nset > 0 ? key->set : key->from,
			   actions->nset * sizeof(AttrNumber));
		if (!alone || generated)
		{
			actions->on_delete = FKCONSTR_ACTION_NOACTION;
			actions->nset = 0;
			later = true;
		}
	}
	if (key->on_update == FKCONSTR_ACTION_SETNULL ||
		key->on_update == FKCONSTR_ACTION_SETDEFAULT ||
		(key->on_update == FKCONSTR_ACTION_CASCADE && (!alone || generated)))
	{
		actions->on_update = FKCONSTR_ACTION_NOACTION;
		later = true;
	}
	actions->deferrable = key->deferrable || later;
	actions->deferred = key->deferred || later;
	actions->not_valid = !key->validated;
}

static bool
same_actions(const IenvActions *a, const IenvActions *b)
{
	return a->on_delete == b->on_delete && a->on_update == b->on_update &&
		a->nset == b->nset &&
		memcmp(a->set, b->set, a->nset * sizeof(AttrNumber)) == 0;
}

/*
 * Can another foreign key delete a row, or change whom it refers to, while the
 * new one, whose action does not do so, would still find it?
 */
static bool
changes_elsewhere(const IenvReference *ref, List *keys,
				  const IenvActions *actions)
{
	bool		stays = actions->on_delete == FKCONSTR_ACTION_NOACTION ||
	actions->on_delete == FKCONSTR_ACTION_RESTRICT;
	bool		keeps = actions->on_update == FKCONSTR_ACTION_NOACTION ||
	actions->on_update == FKCONSTR_ACTION_RESTRICT;
	ListCell   *lc;

	foreach(lc, keys)
	{
		const IenvForeignKey *key = lfirst(lc);
		bool		in_user = false;

		if (ienv_contains_user(key, ref))
			continue;
		for (int i = 0; i < ref->n; i++)
			in_user = in_user || ienv_has_column(key, ref->from[i]);
		if (stays && key->referenced != ref->relid &&
			(key->on_delete == FKCONSTR_ACTION_CASCADE ||
			 sets_user(ref, key)) &&
			deleted_together(ref, key->referenced))
			return true;
		if (keeps && in_user && key->on_update != FKCONSTR_ACTION_NOACTION &&
			key->on_update != FKCONSTR_ACTION_RESTRICT)
			return true;
	}
	return false;
}

/*
 * Does a foreign key set a column that refers to the user, if what the key
 * refers to is deleted?
 */
static bool
sets_user(const IenvReference *ref, const IenvForeignKey *key)
{
	const AttrNumber *set = key->nset > 0 ? key->set : key->from;
	int			n = key->nset > 0 ? key->nset : key->n;

	if (key->on_delete != FKCONSTR_ACTION_SETNULL &&
		key->on_delete != FKCONSTR_ACTION_SETDEFAULT)
		return false;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < ref->n; j++)
			if (set[i] == ref->from[j])
				return true;
	return false;
}

/*
 * Can one statement delete users and rows of another table, and come to what
 * refers to the latter only after it has come to what refers to users?
 *
 * It can if some table leads to both, unless it leads to users only by way of
 * the other table.
 */
static bool
deleted_together(const IenvReference *ref, Oid other)
{
	List	   *above = ancestors(other, InvalidOid);
	ListCell   *lc;

	foreach(lc, ancestors(ref->user_table, other))
		if (list_member_oid(above, lfirst_oid(lc)))
		return true;
	return false;
}

/*
 * The tables, this one included, by whose deletes rows of this one are deleted;
 * without those that lead here only by way of table "avoid", if that is
 * another one.
 */
static List *
ancestors(Oid relid, Oid avoid)
{
	List	   *all = list_make1_oid(relid);

	for (int i = 0; i < list_length(all); i++)
	{
		ListCell   *lc;

		foreach(lc, ienv_foreign_keys(list_nth_oid(all, i)))
		{
			const IenvForeignKey *key = lfirst(lc);

			if (key->on_delete == FKCONSTR_ACTION_CASCADE &&
				(key->referenced != avoid || avoid == relid))
				all = list_append_unique_oid(all, key->referenced);
		}
		CHECK_FOR_INTERRUPTS();
	}
	return all;
}

/*
 * These actions in the syntax of ADD FOREIGN KEY.
 */
char *
ienv_sql_of_actions(Oid relid, const IenvActions *actions)
{
	static const struct
	{
		char		action;
		const char *sql;
	}			all[] = {
		{FKCONSTR_ACTION_RESTRICT, "RESTRICT"},
		{FKCONSTR_ACTION_CASCADE, "CASCADE"},
		{FKCONSTR_ACTION_SETNULL, "SET NULL"},
		{FKCONSTR_ACTION_SETDEFAULT, "SET DEFAULT"}
	};
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < lengthof(all); i++)
		if (actions->on_update == all[i].action)
			appendStringInfo(&sql, " ON UPDATE %s", all[i].sql);
	for (int i = 0; i < lengthof(all); i++)
		if (actions->on_delete == all[i].action)
			appendStringInfo(&sql, " ON DELETE %s", all[i].sql);
	if (actions->nset > 0)
		appendStringInfo(&sql, " (%s)", ienv_column_list(relid, actions->nset,
														 actions->set));
	if (actions->deferrable)
		appendStringInfo(&sql, " DEFERRABLE%s",
						 actions->deferred ? " INITIALLY DEFERRED" : "");
	if (actions->not_valid)
		appendStringInfoString(&sql, " NOT VALID");
	return sql.data;
}
