/*-------------------------------------------------------------------------
 *
 * reference.h
 *	  The foreign keys by which rows of a guarded table refer to users.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_REFERENCE_H
#define IENV_REFERENCE_H

#include "guard/guard.h"
#include "nodes/pg_list.h"

/*
 * Which columns of a table refer to the users of which other table.
 */
typedef struct IenvReference
{
	Oid			relid;
	Oid			partition;		/* rows of this partition only, or InvalidOid */
	AttrNumber	instance;
	int			n;
	AttrNumber	from[INDEX_MAX_KEYS];	/* refer to the user */
	Oid			user_table;
	AttrNumber	user_instance;
	AttrNumber	to[INDEX_MAX_KEYS]; /* identify the user there */
} IenvReference;

/*
 * foreign_key.c: reading foreign keys
 */
typedef struct IenvForeignKey
{
	char	   *name;
	Oid			oid;
	Oid			relid;			/* if these are partitions, their roots */
	Oid			referenced;
	Oid			partition;		/* the key's own table, if that is a partition
								 * of relid; else InvalidOid */
	char		on_delete;		/* FKCONSTR_ACTION_ */
	char		on_update;
	bool		is_full;		/* MATCH FULL */
	bool		deferrable;
	bool		deferred;
	bool		validated;
	int			n;
	AttrNumber	from[INDEX_MAX_KEYS];	/* of relid */
	AttrNumber	to[INDEX_MAX_KEYS]; /* of referenced */
	int			nset;			/* 0: SET NULL or SET DEFAULT sets all columns */
	AttrNumber	set[INDEX_MAX_KEYS];
} IenvForeignKey;

extern List *ienv_foreign_keys(Oid relid);
extern bool ienv_is_disabled(const IenvForeignKey *key);
extern bool ienv_has_column(const IenvForeignKey *key, AttrNumber attno);
extern bool ienv_contains_user(const IenvForeignKey *key,
							   const IenvReference *ref);
extern bool ienv_covers(const IenvForeignKey *key, const IenvReference *ref);

/*
 * reference.c: who refers to users of which table
 */
extern int	ienv_read_reference(IenvReference *ref, List *keys);
extern const IenvForeignKey *ienv_contradicting(const IenvReference *ref,
												List *keys);

/*
 * reference_actions.c: what the foreign key that guard() makes does
 */
typedef struct IenvActions
{
	char		on_delete;		/* FKCONSTR_ACTION_ */
	char		on_update;
	int			nset;			/* columns that SET NULL or SET DEFAULT sets */
	AttrNumber	set[INDEX_MAX_KEYS];
	bool		deferrable;
	bool		deferred;
	bool		not_valid;
} IenvActions;

extern void ienv_choose_actions(const IenvReference *ref, List *keys,
								IenvActions *actions);
extern char *ienv_sql_of_actions(Oid relid, const IenvActions *actions);

/*
 * own_key.c: the foreign key that guard() makes
 */
extern const char *ienv_make_key(const IenvReference *ref, List *keys,
								 const IenvForeignKey *old);
extern bool ienv_is_own_key(const IenvForeignKey *key,
							const IenvReference *ref);
extern bool ienv_same_columns(int n, const AttrNumber *a,
							  const AttrNumber *b);
extern bool ienv_acts_otherwise(const IenvForeignKey *key,
								const IenvReference *ref, List *keys);
extern bool ienv_must_replace(const IenvForeignKey *key,
							  const IenvReference *ref, List *keys);
extern char *ienv_why_replace(const IenvForeignKey *key,
							  const IenvReference *ref, List *keys);
extern void ienv_replace_own_keys(IenvReport *report, const IenvReference *ref,
								  List *keys);

/*
 * reference_rights.c: may it be made?
 */
extern void ienv_check_same_rights(Oid relid, Oid user_table);

#endif							/* IENV_REFERENCE_H */
