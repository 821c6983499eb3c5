/*-------------------------------------------------------------------------
 *
 * activity_slot.h
 *	  Where activity.c counts: slots in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_ACTIVITY_SLOT_H
#define IENV_ACTIVITY_SLOT_H

#include "port/atomics.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* Has no padding, because it is hashed and compared as bytes. */
typedef struct IenvSlotKey
{
	Oid			database;
	Oid			root;			/* the guarded table */
	pg_uuid_t	instance;
	TimestampTz created_at;		/* of the instance */
} IenvSlotKey;

typedef struct IenvSlot
{
	IenvSlotKey key;
	pg_atomic_uint64 by_bound;
	pg_atomic_uint64 by_scan;
	pg_atomic_uint64 refused;
	pg_atomic_uint64 refused_day;	/* the day of the last refusal, and how
									 * many there were on it, see activity.c */
	pg_atomic_uint64 last_admitted; /* TimestampTz; DT_NOBEGIN: never */
	pg_atomic_uint64 last_refused;
	pg_atomic_uint32 state;		/* see activity_slot.c */
} IenvSlot;

/* Is a slot with this state in use? */
#define IENV_SLOT_IN_USE(state)	(((state) & 1) != 0)

extern IenvSlot *ienv_slot_to_count(Oid root, const pg_uuid_t *instance,
									TimestampTz created_at);
extern IenvSlot *ienv_slot_to_read(Oid root, const pg_uuid_t *instance,
								   TimestampTz created_at, bool *known);
extern IenvSlot *ienv_slot_at(int i, int *n);
extern void ienv_give_slot_back(IenvSlot *slot);
extern int64 ienv_slots_missed(void);

#endif							/* IENV_ACTIVITY_SLOT_H */
