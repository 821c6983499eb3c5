/*-------------------------------------------------------------------------
 *
 * own_key.c
 *	  The foreign key over instance and user that guard() makes: making it,
 *	  recognizing it, and replacing it.
 *
 * It does what the application's own foreign key on the user does, and must be
 * replaced when a migration has changed that one: otherwise it would go on to
 * delete rows, say, that are to stay now.  A key of the application's is never
 * replaced.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "guard/made.h"
#include "guard/reference.h"
#include "table/table.h"

static List *all_but_own(const IenvReference *ref, List *keys);
static bool is_covered(const IenvReference *ref, List *keys);

/*
 * Create the foreign key, as the owner of the table, and return its name; in
 * place of an own one, if that is not NULL.
 */
const char *
ienv_make_key(const IenvReference *ref, List *keys, const IenvForeignKey *old)
{
	AttrNumber	from[INDEX_MAX_KEYS];
	AttrNumber	to[INDEX_MAX_KEYS];
	int			n = ref->n + 1;
	IenvActions actions;
	IenvActing	saved;
	char	   *name;
	char	   *sql;

	from[0] = ref->instance;
	to[0] = ref->user_instance;
	memcpy(from + 1, ref->from, ref->n * sizeof(AttrNumber));
	memcpy(to + 1, ref->to, ref->n * sizeof(AttrNumber));
	ienv_choose_actions(ref, all_but_own(ref, keys), &actions);
	if (old != NULL && old->validated && !ienv_is_disabled(old))
		actions.not_valid = false;
	name = ienv_free_key_name(ref->relid, n, from);
	sql = ienv_sql_of_actions(ref->relid, &actions);
	ereport(NOTICE,
			(errmsg(old == NULL ?
					"creating foreign key \"%s\" of table %s" :
					"replacing foreign key \"%s\" of table %s",
					old == NULL ? name : old->name,
					ienv_quoted_name(ref->relid)),
			 errdetail("It makes %s refer to %s of table %s%s%s.",
					   ienv_columns_text(ref->relid, n, from),
					   ienv_columns_text(ref->user_table, n, to),
					   ienv_quoted_name(ref->user_table),
					   *sql == '\0' ? "" : ",", sql)));
	ienv_act_as_owner_of(ref->relid, &saved);
	ienv_execute("ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s)"
				 " REFERENCES %s (%s)%s",
				 ienv_kept_name(ref->relid), quote_identifier(name),
				 ienv_column_list(ref->relid, n, from),
				 ienv_kept_name(ref->user_table),
				 ienv_column_list(ref->user_table, n, to), sql);
	ienv_act_as_self(&saved);
	return name;
}

/*
 * Is this the key that guard() makes for a reference, by name and shape?
 */
bool
ienv_is_own_key(const IenvForeignKey *key, const IenvReference *ref)
{
	return key->n == ref->n + 1 && ienv_has_column(key, ref->instance) &&
		ienv_is_own_name(key->name, key->relid, key->n, key->from,
						 IENV_KEY_SUFFIX) && ienv_covers(key, ref);
}

static List *
all_but_own(const IenvReference *ref, List *keys)
{
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, keys)
		if (!ienv_is_own_key(lfirst(lc), ref))
		others = lappend(others, lfirst(lc));
	return others;
}

/*
 * Does an own key do anything else than guard() would let it do now, given all
 * keys of the table?  Whether it is valid does not matter.
 *
 * Where no other key on the user is left, and no other way leads to one, none
 * contradicts it: the application may count on it by now, as a model does that
 * declares it alone.
 */
bool
ienv_acts_otherwise(const IenvForeignKey *key, const IenvReference *ref,
					List *keys)
{
	List	   *others = all_but_own(ref, keys);
	bool		contradicted = false;
	IenvActions wanted;
	int			nset = 0;
	ListCell   *lc;

	foreach(lc, others)
	{
		const IenvForeignKey *other = lfirst(lc);

		contradicted = contradicted || OidIsValid(other->partition) ||
			ienv_contains_user(other, ref);
	}
	ienv_choose_actions(ref, others, &wanted);
	if (!contradicted && !wanted.deferred)
		return false;
	if (key->on_delete == FKCONSTR_ACTION_SETNULL ||
		key->on_delete == FKCONSTR_ACTION_SETDEFAULT)
		nset = key->nset > 0 ? key->nset : key->n;
	return key->on_delete != wanted.on_delete ||
		key->on_update != wanted.on_update ||
		key->deferrable != wanted.deferrable ||
		key->deferred != wanted.deferred || nset != wanted.nset ||
		!ienv_same_columns(nset, key->nset > 0 ? key->set : key->from, wanted.set);
}

/*
 * Are these the same columns, in any order?
 */
bool
ienv_same_columns(int n, const AttrNumber *a, const AttrNumber *b)
{
	for (int i = 0; i < n; i++)
	{
		int			j = 0;

		while (j < n && b[j] != a[i])
			j++;
		if (j == n)
			return false;
	}
	return true;
}

/*
 * Must guard() replace an own key?  New triggers are enabled, which nobody but
 * a superuser could do with the old ones.
 */
bool
ienv_must_replace(const IenvForeignKey *key, const IenvReference *ref,
				  List *keys)
{
	return ienv_acts_otherwise(key, ref, keys) || ienv_is_disabled(key);
}

/*
 * What is wrong with an own key, as a phrase.
 */
char *
ienv_why_replace(const IenvForeignKey *key, const IenvReference *ref,
				 List *keys)
{
	ListCell   *lc;

	foreach(lc, all_but_own(ref, keys))
	{
		const IenvForeignKey *other = lfirst(lc);

		if (ienv_contains_user(other, ref))
			return psprintf("foreign key \"%s\" does not do what \"%s\" does",
							key->name, other->name);
	}
	return psprintf("foreign key \"%s\" does not do what guard() would make it do now",
					key->name);
}

/*
 * Replace the own keys that must be, or drop them where another one suffices.
 *
 * The new key is made before the old one is dropped: to check the rows takes
 * time, to drop a key takes a lock that keeps everybody from both tables.
 */
void
ienv_replace_own_keys(IenvReport *report, const IenvReference *ref, List *keys)
{
	List	   *old = NIL;
	List	   *rest = NIL;
	bool		covered;
	ListCell   *lc;

	foreach(lc, keys)
	{
		IenvForeignKey *key = lfirst(lc);

		if (ienv_is_own_key(key, ref) && ienv_must_replace(key, ref, keys))
			old = lappend(old, key);
		else
			rest = lappend(rest, key);
	}
	covered = is_covered(ref, rest);
	foreach(lc, old)
	{
		const IenvForeignKey *key = lfirst(lc);
		const char *made = NULL;
		IenvActing	saved;

		if (covered)
			ereport(NOTICE,
					(errmsg("dropping foreign key \"%s\" of table %s",
							key->name, ienv_quoted_name(ref->relid)),
					 errdetail("Another one has both instance and user.")));
		else
		{
			ienv_check_same_rights(ref->relid, ref->user_table);
			made = ienv_make_key(ref, keys, key);
		}
		ienv_act_as_owner_of(ref->relid, &saved);
		ienv_execute("ALTER TABLE %s DROP CONSTRAINT %s",
					 ienv_kept_name(ref->relid), quote_identifier(key->name));
		if (made != NULL)
			ienv_execute("ALTER TABLE %s RENAME CONSTRAINT %s TO %s",
						 ienv_kept_name(ref->relid), quote_identifier(made),
						 quote_identifier(key->name));
		ienv_act_as_self(&saved);
		ienv_report(report, "foreign key", key->name, ref->relid,
					covered ? IENV_DROPPED : IENV_REPLACED);
		covered = true;
	}
}

/*
 * Does one of these keys keep rows in the instance of their users?
 */
static bool
is_covered(const IenvReference *ref, List *keys)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		const IenvForeignKey *key = lfirst(lc);

		if (key->validated && ienv_covers(key, ref) &&
			!ienv_is_disabled(key))
			return true;
	}
	return false;
}
