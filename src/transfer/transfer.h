/*-------------------------------------------------------------------------
 *
 * transfer.h
 *	  The rule that a user never changes instance: arrivals and departures.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_TRANSFER_H
#define IENV_TRANSFER_H

#include "table/table.h"

/*
 * transfer.c: arrivals
 */
extern bool ienv_arrival_suspect(IenvGuard *guard, FunctionCallInfo fcinfo,
								 Datum value);
extern bool ienv_check_arrival(IenvGuard *guard, Datum value,
							   const Datum *key);
extern bool ienv_follows_rename(const IenvGuard *guard, Relation rel,
								Datum from, Datum to);
pg_noreturn extern void ienv_report_move(const IenvGuard *guard, Datum from,
										 bool from_null, Datum to,
										 bool to_null);

/*
 * coded.c: arrivals where ids are coded
 */
extern void ienv_check_coded(const IenvGuard *guard, Datum value,
							 const Datum *key);

/*
 * departure.c: departures
 */
extern int64 ienv_departures_queued;

extern bool ienv_departure_queued_now(void);

/*
 * Might a departure in this transaction be on its way to departed_user?
 */
static inline bool
ienv_departure_queued(void)
{
	return unlikely(ienv_departures_queued > 0) &&
		ienv_departure_queued_now();
}

extern void ienv_queue_departure(void);
extern void ienv_unqueue_departure(void);
extern void ienv_depart(IenvGuard *guard, Datum value, const Datum *key);
extern void ienv_depart_all(IenvGuard *guard);

/*
 * departure_record.c: which instance a departed user belonged to
 */
extern bool ienv_nobody_departed(void);
extern void ienv_forget_departures(void);
extern bool ienv_maybe_departed(const pg_uuid_t *identity);
extern bool ienv_departed_elsewhere(const pg_uuid_t *identity,
									const pg_uuid_t *instance,
									Snapshot snapshot);
extern void ienv_record_departure(const pg_uuid_t *identity,
								  const pg_uuid_t *instance);

/*
 * Is it certain that no new row's user lives in another instance, or has?  As
 * for most rows.  To be called after the row is in the heap and its indexes.
 */
static inline bool
ienv_nobody_can_arrive(const IenvGuard *guard)
{
	return guard->key_is_unique && !ienv_departure_queued() &&
		(!guard->departures || ienv_nobody_departed());
}

#endif							/* IENV_TRANSFER_H */
