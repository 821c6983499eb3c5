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
 * destruction.c: what is refused, and to whom
 */
extern int	ienv_destructive_rows;

extern bool ienv_is_installed(void);
extern bool ienv_may_destroy(Oid relid);
extern bool ienv_is_victim(const IenvGuard *guard, Datum value, bool fresh);
extern bool ienv_set_victim(const IenvGuard *guard, Datum value,
							IenvVictim *victim);
extern bool ienv_find_victim(const IenvGuard *guard, IenvVictim *victim);
pg_noreturn extern void ienv_refuse_destruction(const IenvGuard *guard,
												const IenvVictim *victim,
												const char *message);
extern void ienv_check_truncate(const IenvGuard *guard);

/*
 * deletion_limit.c: how many users a statement may delete
 */
extern void ienv_count_deletion(const IenvGuard *guard, Datum value);

#endif							/* IENV_DESTRUCTION_H */
