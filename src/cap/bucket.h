/*-------------------------------------------------------------------------
 *
 * bucket.h
 *	  What bound.c and floor.c keep in shared memory for a guarded table and
 *	  an instance.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_BUCKET_H
#define IENV_BUCKET_H

#include "port/atomics.h"
#include "storage/spin.h"

#include "cap/cap.h"

struct IenvBucket
{
	pg_atomic_uint64 tickets;
	pg_atomic_uint64 leaving;	/* transactions that have ever been about to
								 * release rows */
	pg_atomic_uint64 left;		/* those of them that have done so, or aborted */
	uint64		base;			/* tickets minus users */
	int64		floor;			/* committed users, at least; -1: unknown */
	uint64		floor_tickets;	/* tickets when it was stored */
	uint32		floors;			/* how many have been stored */
	pg_atomic_uint32 committing;	/* transactions that are about to commit
									 * and have not locked their pair */
	int64		unseen;			/* users when a threshold may have been passed
								 * unnoticed since; -1: none may */
	IenvBoundKey key;			/* database is InvalidOid: no base yet */
	slock_t		mutex;			/* protects all from base to key */
};

#endif							/* IENV_BUCKET_H */
