/*-------------------------------------------------------------------------
 *
 * reference.c
 *	  Which columns of a guarded table refer to the users of another one, and
 *	  whether foreign keys see to it that these are of the same instance.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "guard/guard.h"
#include "guard/reference.h"
#include "table/table.h"

/* Is a foreign key of some kind? */
typedef bool (*KeyKind) (const IenvForeignKey *key, const IenvReference *ref);

static bool find_pairs(IenvReference *ref, List *keys, KeyKind kind,
					   const AttrNumber *wanted);
static bool is_covering(const IenvForeignKey *key, const IenvReference *ref);
static bool is_alone(const IenvForeignKey *key, const IenvReference *ref);
static bool read_pairs(IenvReference *ref, const IenvForeignKey *key);
static int	user_key_of(const IenvGuard *users, AttrNumber *attnos);
static int	primary_key_of(Oid relid, AttrNumber instance, AttrNumber *attnos);
static bool is_unsafe(const IenvGuard *guard, const IenvForeignKey *key,
					  List *keys);
static bool has_users(const IenvGuard *guard);
static bool refers_by_user_key(const IenvForeignKey *key,
							   const IenvGuard *users, IenvReference *ref);
static void refers_by_all(const IenvForeignKey *key, IenvReference *ref);
static List *lost_reference(const IenvGuard *guard, List *keys);
static char *not_valid(const IenvForeignKey *key);

/*
 * Find out which columns identify a user in the table that is referred to, and
 * return how many they are; 0 if that table has no guard, or no key.
 *
 * A foreign key that is there says what identifies a row, even if that is not
 * what the table of users is guarded by.  If there is none, it is the latter
 * or, in a table that tracks no users or whose rows refer to users themselves,
 * the primary key.
 */
int
ienv_read_reference(IenvReference *ref, List *keys)
{
	const IenvGuard *users = ienv_guard_of(ref->user_table);
	AttrNumber	tracked[INDEX_MAX_KEYS];
	int			n;

	if (users == NULL || users->root != ref->user_table)
		return 0;
	ref->user_instance = users->instance_attno;
	n = user_key_of(users, tracked);
	if (n == ref->n && (find_pairs(ref, keys, is_covering, tracked) ||
						find_pairs(ref, keys, NULL, tracked)))
		return n;
	if (find_pairs(ref, keys, is_covering, NULL) ||
		find_pairs(ref, keys, is_alone, NULL) ||
		(n == 0 && find_pairs(ref, keys, NULL, NULL)))
		return ref->n;
	if (n == 0)
		return primary_key_of(ref->user_table, ref->user_instance, ref->to);
	return user_key_of(users, ref->to);
}

/*
 * Look for a foreign key that pairs all columns that refer to the user, is of
 * some kind, and refers to these columns, if they are given.
 */
static bool
find_pairs(IenvReference *ref, List *keys, KeyKind kind,
		   const AttrNumber *wanted)
{
	ListCell   *lc;

	foreach(lc, keys)
		if (read_pairs(ref, lfirst(lc)) &&
			(kind == NULL || kind(lfirst(lc), ref)) &&
			(wanted == NULL || ienv_same_columns(ref->n, ref->to, wanted)))
		return true;
	return false;
}

static bool
is_covering(const IenvForeignKey *key, const IenvReference *ref)
{
	return ienv_covers(key, ref);
}

static bool
is_alone(const IenvForeignKey *key, const IenvReference *ref)
{
	return key->n == ref->n;
}

/*
 * A foreign key that pairs the columns that refer to the user with other ones
 * than ref does, if none pairs them like that; or NULL.
 */
const IenvForeignKey *
ienv_contradicting(const IenvReference *ref, List *keys)
{
	const IenvForeignKey *other = NULL;
	ListCell   *lc;

	foreach(lc, keys)
	{
		IenvReference pairs = *ref;

		if (!read_pairs(&pairs, lfirst(lc)))
			continue;
		if (memcmp(pairs.to, ref->to, ref->n * sizeof(AttrNumber)) == 0)
			return NULL;
		other = lfirst(lc);
	}
	return other;
}

/*
 * Does a foreign key pair all columns that refer to the user with columns of
 * the table of users?  Sets these.
 */
static bool
read_pairs(IenvReference *ref, const IenvForeignKey *key)
{
	if (key->referenced != ref->user_table)
		return false;
	for (int i = 0; i < ref->n; i++)
	{
		int			j = 0;

		while (j < key->n && key->from[j] != ref->from[i])
			j++;
		if (j == key->n)
			return false;
		ref->to[i] = key->to[j];
	}
	return true;
}

/*
 * The columns by which a guarded table tells its users apart; 0 if it has
 * none.
 */
static int
user_key_of(const IenvGuard *users, AttrNumber *attnos)
{
	memcpy(attnos, users->key_attnos, users->nkeys * sizeof(AttrNumber));
	return users->nkeys;
}

/*
 * The table of users that rows of a guarded table refer to, or InvalidOid.
 */
Oid
ienv_user_table_of(const IenvGuard *guard)
{
	return *guard->user_label == '\0' ? InvalidOid :
		ienv_table_with_label(guard->user_label);
}

/*
 * The columns of a table's primary key that do not name the instance.
 */
static int
primary_key_of(Oid relid, AttrNumber instance, AttrNumber *attnos)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		whole;
	int			n = ienv_primary_key(rel, instance, attnos, &whole);

	table_close(rel, NoLock);
	return Max(n, 0);
}

/*
 * What is wrong with the foreign keys by which rows of a guarded table refer
 * to users, as phrases.
 *
 * The tables that they refer to have been locked; no other one is opened.
 */
List *
ienv_reference_problems(const IenvGuard *guard)
{
	List	   *keys = ienv_foreign_keys(guard->relid);
	List	   *problems = lost_reference(guard, keys);
	ListCell   *lc;

	foreach(lc, keys)
	{
		const IenvForeignKey *key = lfirst(lc);

		if (is_unsafe(guard, key, keys))
			problems = lappend(problems, !key->validated ? not_valid(key) :
							   psprintf("foreign key \"%s\" lets a row refer to a user of another instance",
										key->name));
		if (ienv_guard_of(key->referenced) != NULL && ienv_is_disabled(key))
			problems = lappend(problems,
							   psprintf("foreign key \"%s\" has disabled triggers",
										key->name));
	}
	return problems;
}

/*
 * Does a foreign key refer to a user, while neither it nor another one makes
 * sure that the user is of the row's instance?
 */
static bool
is_unsafe(const IenvGuard *guard, const IenvForeignKey *key, List *keys)
{
	const IenvGuard *users = ienv_guard_of(key->referenced);
	IenvReference ref;
	ListCell   *lc;

	if (!has_users(users))
		return false;
	memset(&ref, 0, sizeof(ref));
	ref.relid = guard->relid;
	ref.partition = key->partition;
	ref.instance = guard->instance_attno;
	ref.user_table = key->referenced;
	ref.user_instance = users->instance_attno;
	if (!refers_by_user_key(key, users, &ref))
		refers_by_all(key, &ref);
	if (ref.n == 0)
		return false;
	foreach(lc, keys)
	{
		const IenvForeignKey *other = lfirst(lc);

		if (other->validated && ienv_covers(other, &ref))
			return false;
	}
	return true;
}

/*
 * Does a guarded table hold users, rather than data that refers to them?
 */
static bool
has_users(const IenvGuard *guard)
{
	return guard != NULL && (guard->counted || guard->nkeys > 0);
}

/*
 * Does a foreign key have all columns by which the table tells users apart?
 * Sets those that refer to them.
 */
static bool
refers_by_user_key(const IenvForeignKey *key, const IenvGuard *users,
				   IenvReference *ref)
{
	ref->n = user_key_of(users, ref->to);
	for (int i = 0; i < ref->n; i++)
	{
		int			j = 0;

		while (j < key->n && key->to[j] != ref->to[i])
			j++;
		if (j == key->n)
			return false;
		ref->from[i] = key->from[j];
	}
	return ref->n > 0;
}

/*
 * A foreign key refers to what is unique: all of its columns, but for the
 * instance, identify a row.
 */
static void
refers_by_all(const IenvForeignKey *key, IenvReference *ref)
{
	ref->n = 0;
	for (int i = 0; i < key->n; i++)
	{
		if (key->from[i] == ref->instance &&
			key->to[i] == ref->user_instance)
			continue;
		ref->from[ref->n] = key->from[i];
		ref->to[ref->n++] = key->to[i];
	}
}

/*
 * What is wrong, as phrases, with the foreign key that keeps rows with users of
 * their own instance, as user_table has asked: whether it is gone, and whether
 * one that guard() made still does what it should.
 */
static List *
lost_reference(const IenvGuard *guard, List *keys)
{
	const IenvForeignKey *invalid = NULL;
	bool		refers = false;
	bool		covered = false;
	List	   *problems = NIL;
	IenvReference ref;
	ListCell   *lc;

	memset(&ref, 0, sizeof(ref));
	ref.relid = guard->relid;
	ref.instance = guard->instance_attno;
	ref.n = guard->nrefs;
	if (ref.n == 0)
		return NIL;
	memcpy(ref.from, guard->ref_attnos, ref.n * sizeof(AttrNumber));
	ref.user_table = ienv_user_table_of(guard);
	if (!OidIsValid(ref.user_table))
		return list_make1("the table of users that rows refer to is not guarded any more");
	foreach(lc, keys)
	{
		const IenvForeignKey *key = lfirst(lc);

		refers = refers || key->referenced == ref.user_table;
	}

	/* only then has the other table been locked */
	if (!refers || ienv_read_reference(&ref, keys) != ref.n)
		keys = NIL;
	foreach(lc, keys)
	{
		const IenvForeignKey *key = lfirst(lc);

		if (!ienv_covers(key, &ref))
			continue;
		covered = covered || key->validated;
		if (!key->validated)
			invalid = key;
		if (ienv_is_own_key(key, &ref) &&
			ienv_acts_otherwise(key, &ref, keys))
			problems = lappend(problems, ienv_why_replace(key, &ref, keys));
	}
	if (covered)
		return problems;
	if (invalid == NULL)
		return list_make1(psprintf("no foreign key over instance and user refers to table %s",
								   ienv_quoted_name(ref.user_table)));

	/* is_unsafe() finds those that refer to a table of users */
	if (!has_users(ienv_guard_of(ref.user_table)))
		problems = lappend(problems, not_valid(invalid));
	return problems;
}

static char *
not_valid(const IenvForeignKey *key)
{
	return psprintf("foreign key \"%s\" is not valid: a row may refer to a user of another instance",
					key->name);
}
