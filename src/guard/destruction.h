/*-------------------------------------------------------------------------
 *
 * destruction.h
 *	  Keeping users of production from being destroyed by mistake.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_DESTRUCTION_H
#define IENV_DESTRUCTION_H

#include "table/table.h"

/* An instance whose users a statement would destroy */
typedef struct IenvVictim
{
	pg_uuid_t	id;
	Datum		value;			/* what a row names it by */
	bool		suspended;
} IenvVictim;

/*
 * victim.c: whether there are users of production
 */
extern bool ienv_is_victim(const IenvGuard *guard, Datum value, bool fresh);
extern bool ienv_set_victim(const IenvGuard *guard, Datum value,
							IenvVictim *victim);
extern bool ienv_find_victim(const IenvGuard *guard, IenvVictim *victim);

/*
 * destruction.c: what is refused, and to whom
 */
extern int	ienv_destructive_rows;

extern bool ienv_is_installed(void);
extern bool ienv_may_destroy(Oid relid);
pg_noreturn extern void ienv_refuse_destruction(const IenvGuard *guard,
												const IenvVictim *victim,
												const char *message);
extern void ienv_check_truncate(const IenvGuard *guard);

/*
 * drop_note.c: what a command that drops things has taken so far
 */

/* A guarded table of which the command has dropped or may drop something */
typedef struct IenvDropNote
{
	IenvGuard	guard;			/* from before the command */
	bool		looked;			/* at its rows */
	bool		has_victim;
	IenvVictim	victim;
} IenvDropNote;

extern bool ienv_begin_drop(void);
extern IenvDropNote *ienv_find_drop(Oid relid);
extern IenvDropNote *ienv_note_drop(Oid relid);
extern void ienv_look_at_drop(IenvDropNote *note);
extern void ienv_check_drop(IenvDropNote *note, const char *action,
							const char *message);
extern void ienv_record_drops(Node *parsetree);

/*
 * deletion_limit.c: how many users a statement may delete
 */
extern void ienv_count_deletion(const IenvGuard *guard, Datum value);

#endif							/* IENV_DESTRUCTION_H */
