/*-------------------------------------------------------------------------
 *
 * seats.h
 *	  What seats.c counts for user_cap.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_SEATS_H
#define IENV_SEATS_H

#include "table/table.h"

/* The unfinished work of one transaction id */
typedef struct IenvClaim
{
	TransactionId xid;
	int64		inserts;
	int64		deletes;
} IenvClaim;

/* What one scan found, in seats */
typedef struct IenvTally
{
	int64		committed;
	int64		mine;
	int64		mine_gone;		/* rows that I have inserted and deleted again */
	int64		moved;			/* rows that I have moved to another partition */
	bool		complete;		/* no version was left out */
	int64		replaced_since; /* of committed: by an UPDATE that ended since
								 * S */
	int64		replaced_open;	/* of committed: by one that has not ended */
	int64		deleted_since;	/* by a DELETE that ended since S */
	IenvClaim  *claims;
	int			nclaims;
	int			maxclaims;
	struct places_hash *places; /* of claims, by transaction id, when there
								 * are many */
} IenvTally;

extern bool ienv_count_seats(IenvTally *tally, IenvTally *others,
							 const IenvGuard *guard, Datum value, int64 cap,
							 Snapshot snapshot);
extern int64 ienv_rows_for_anybody(const IenvTally *tally);
extern int64 ienv_settled_rows(const IenvTally *others);
extern void ienv_end_tally(IenvTally *tally);

#endif							/* IENV_SEATS_H */
