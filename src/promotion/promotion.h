/*-------------------------------------------------------------------------
 *
 * promotion.h
 *	  Going live and back: validate, promote, roll back, reset, drop.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_PROMOTION_H
#define IENV_PROMOTION_H

#include "storage/lockdefs.h"

#include "base/base.h"

/*
 * validate.c: what stands between an instance and production
 */
typedef enum IenvSeverity
{
	IENV_INFO,
	IENV_WARNING,
	IENV_ERROR
} IenvSeverity;

typedef struct IenvCheck
{
	const char *name;			/* the kind of check */
	const char *subject;		/* which of several things of that kind, or
								 * NULL */
	IenvSeverity severity;
	bool		passed;
	const char *message;
	const char *hint;			/* NULL if there is nothing to do */
	int			sqlstate;		/* what a refusal for this reason has; 0 if it
								 * refuses nothing */
} IenvCheck;

extern List *ienv_validate(Datum instance, bool clone_settings);

/*
 * guarded_locks.c: locking all guarded tables against writers
 */
extern List *ienv_lock_guarded_tables(LOCKMODE lockmode, bool by_key);

#endif							/* IENV_PROMOTION_H */
