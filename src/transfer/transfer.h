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
extern bool ienv_departure_queued(void);
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

#endif							/* IENV_TRANSFER_H */
