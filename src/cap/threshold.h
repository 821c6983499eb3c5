/*-------------------------------------------------------------------------
 *
 * threshold.h
 *	  What threshold.c notes, and threshold_look.c looks at.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_THRESHOLD_H
#define IENV_THRESHOLD_H

#include "cap/cap.h"
#include "registry/registry.h"

/* A pair that the transaction has added users to */
typedef struct IenvWatched
{
	Oid			root;			/* the guarded table */
	bool		is_uuid;
	pg_uuid_t	instance;
	Datum		value;			/* of the instance column, unless it is a
								 * uuid; in TopTransactionContext */
	IenvBucket *bucket;			/* or NULL */
	uint64		base;			/* see ienv_users_at_most() */
	uint64		version;		/* of the triggers when it was valid */
	bool		committing;		/* ienv_commit_begins() has been called */
	int			beside;			/* and so it has for how many other pairs of
								 * this transaction, with the same bucket */
} IenvWatched;

extern bool ienv_notify_thresholds;

/*
 * The number of users at a percentage of the cap.
 */
static inline int64
ienv_threshold_users(const IenvInstance *instance, int percent)
{
	return ((int64) instance->user_cap * percent + 99) / 100;
}

extern void ienv_look(IenvWatched *w, bool commits);

#endif							/* IENV_THRESHOLD_H */
