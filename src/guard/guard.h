/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  Guarding a table: guard() itself, the triggers that it creates, and DDL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_GUARD_H
#define IENV_GUARD_H

#include "table/table.h"

/*
 * condition.c: whether a condition's function is called by its trigger
 */

/*
 * What is known of the expression that calls a condition's function; in its
 * fn_extra.
 */
typedef struct IenvCondition
{
	int			tableoid;		/* which argument is the table; 0: not called
								 * by a trigger */
	AttrNumber	instance_attno;
	AttrNumber	key_attno;		/* or InvalidAttrNumber */
}			IenvCondition;

extern IenvGuard *ienv_condition_guard(FunctionCallInfo fcinfo);

/*
 * on_move.c: rows that are moved from one partition to another
 */
extern bool ienv_move_queued(void);
extern bool ienv_check_moved(const IenvGuard *guard, TriggerData *trigdata);

/*
 * guard_columns.c: the columns that name the instance and the user
 */
extern AttrNumber ienv_find_column(Relation rel, const char *name);
extern void ienv_check_instance_column(Relation rel, AttrNumber attno);
extern void ienv_check_user_key(Relation rel, const IenvGuard *guard);
extern AttrNumber ienv_default_user_key(Relation rel,
										AttrNumber instance_attno);
extern AttrNumber ienv_read_columns(FunctionCallInfo fcinfo, Relation rel,
									IenvGuard *guard);

/*
 * guard_triggers.c: the triggers that a guard consists of
 */
extern const IenvGuard *ienv_making_triggers_of;

extern void ienv_make_triggers(const IenvGuard *guard, int missing,
							   int asleep);
extern List *ienv_own_triggers(Relation rel);
extern void ienv_drop_triggers(Oid relid, List *names);
extern int	ienv_triggers_for(Relation rel, const IenvGuard *guard);
extern void ienv_guard_partitions(Oid relid);

/*
 * guard_rows.c: the checks of existing rows
 */
extern void ienv_check_rows(const IenvGuard *guard, bool guarded, Oid brought);

/*
 * guard_reference.c: data that refers to a user stays in the user's instance
 */
extern void ienv_make_reference(Oid relid, AttrNumber instance_attno,
								AttrNumber user_attno, Oid user_table);
extern List *ienv_loose_references(const IenvGuard *guard);

/*
 * guard_list.c: whether a guard is whole
 */
extern List *ienv_guard_problems(Relation rel, const IenvGuard *guard,
								 int present, int disabled);

/*
 * guard_lock.c: mutual exclusion of guarding a table and anything that must
 * know all guarded tables
 */
extern void ienv_begin_guarding(void);
extern void ienv_keep_from_guarding(void);

/*
 * ddl.c, ddl_trigger.c: keeping DDL from undermining a guard
 */
extern bool ienv_is_new_row(HeapTuple row);
extern void ienv_check_new_triggers(CommandId since);

#endif							/* IENV_GUARD_H */
