/*-------------------------------------------------------------------------
 *
 * cap.h
 *	  The user cap: how many users an instance has, and whether it accepts
 *	  more.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_CAP_H
#define IENV_CAP_H

#include "table/table.h"

/*
 * bound.c: a bound on the number of users of an instance, in shared memory
 */
typedef struct IenvBucket IenvBucket;

/*
 * Identifies a bound.  Has no padding, because it is hashed and compared as
 * bytes.
 */
typedef struct IenvBoundKey
{
	Oid			database;
	Oid			root;			/* the guarded table */
	uint64		version;		/* of its triggers; 0: they do not see every
								 * row */
	uint64		era;			/* in case a row comes in without a ticket */
	pg_uuid_t	instance;
	TimestampTz created_at;		/* in case an instance is re-created with the
								 * same id */
} IenvBoundKey;

/* The state of a bucket when an exact count began */
typedef struct IenvCountMark
{
	uint64		tickets;
	uint64		leaving;
	bool		quiet;			/* no transaction was about to release rows */
} IenvCountMark;

/* What a bucket says about the users of an instance */
typedef struct IenvFloor
{
	int64		users;			/* committed, at least; -1: unknown */
	int64		age;			/* tickets taken since that was stored */
	int64		bound;			/* at most */
	int64		unseen;			/* users when a threshold may have been passed
								 * unnoticed since; -1: none may */
} IenvFloor;

extern IenvSharedArray ienv_buckets_array;
extern void ienv_bound_key(IenvBoundKey *key, Oid root, uint64 version,
						   const IenvInstance *instance);
extern void ienv_void_bounds(void);
extern IenvBucket *ienv_bucket_of(Oid root, const IenvInstance *instance);
extern void ienv_take_tickets(IenvBucket *bucket, int64 n);
extern bool ienv_bound_admits(IenvBucket *bucket, const IenvBoundKey *key,
							  int64 limit, uint64 *base);
extern int64 ienv_users_at_most(IenvBucket *bucket, uint64 base);
extern bool ienv_read_floor(IenvBucket *bucket, const IenvBoundKey *key,
							IenvFloor *floor);
extern void ienv_count_begins(IenvBucket *bucket, IenvCountMark *mark);
extern void ienv_count_has_snapshot(IenvBucket *bucket, IenvCountMark *mark);
extern void ienv_store_base(IenvBucket *bucket, const IenvBoundKey *key,
							const IenvCountMark *mark, int64 rows);
extern void ienv_store_floor(IenvBucket *bucket, const IenvBoundKey *key,
							 const IenvCountMark *mark, int64 users,
							 const int64 *unseen);
extern void ienv_store_unseen(IenvBucket *bucket, const IenvBoundKey *key,
							  int64 users);
extern void ienv_void_floors_of(Oid root);
extern void ienv_void_floors(void);
extern void ienv_leave(IenvBucket *bucket, const IenvBoundKey *key, int64 n,
					   uint32 *floors);
extern void ienv_have_left(IenvBucket *bucket, const IenvBoundKey *key,
						   int64 n, int64 filled, uint32 floors);
extern void ienv_commit_begins(IenvBucket *bucket);
extern void ienv_commit_ends(IenvBucket *bucket);
extern int	ienv_commits(IenvBucket *bucket);

/*
 * queue.c: rows that wait for the cap's trigger
 */

/* Has no padding, because it is hashed and compared as bytes. */
typedef struct IenvQueueKey
{
	Oid			root;			/* the guarded table */
	pg_uuid_t	instance;
} IenvQueueKey;

typedef struct IenvQueue
{
	IenvQueueKey key;
	uint32		status;			/* simplehash.h's own */
	int64		waiting;		/* rows that have joined and for which no
								 * ticket was taken */
	int64		look_at;		/* how many may wait before an early look */
	uint64		admitted_in;	/* the round in which all were admitted, or 0 */
	bool		by_scan;		/* how the last check was made, see activity.c */
	struct IenvSlot *slot;		/* where that was counted, or NULL */
	uint32		slot_state;		/* the state of the slot at that time */
} IenvQueue;

extern IenvQueue *ienv_join_queue(Oid root, const pg_uuid_t *instance);
extern void ienv_join_no_queue(void);
extern IenvQueue *ienv_queue_of(Oid root, const pg_uuid_t *instance);
extern bool ienv_queue_is_admitted(const IenvQueue *queue);
extern void ienv_admit_queue(IenvQueue *queue);

/*
 * activity_slot.c: slots in shared memory for activity.c; see activity_slot.h
 */
extern IenvSharedArray ienv_activity_array;

/*
 * activity.c: counting what was admitted and refused
 */

/* What was counted for a guarded table and an instance */
typedef struct IenvActivity
{
	Oid			root;
	pg_uuid_t	instance;
	TimestampTz created_at;		/* of the instance */
	int64		by_bound;		/* rows admitted without a scan */
	int64		by_scan;		/* rows admitted by one */
	int64		refused;		/* statements */
	int64		refused_today;	/* since midnight, UTC */
	TimestampTz last_admitted;	/* DT_NOBEGIN: never */
	TimestampTz last_refused;
} IenvActivity;

extern void ienv_count_admitted(Oid root, const IenvInstance *instance,
								bool by_scan);
extern void ienv_count_along(IenvQueue *queue, Oid root,
							 const IenvInstance *instance);
extern void ienv_count_refused(Oid root, const IenvInstance *instance);
extern bool ienv_read_activity(Oid root, const IenvInstance *instance,
							   IenvActivity *activity);
extern bool ienv_activity_at(int i, int *n, IenvActivity *activity);
extern bool ienv_activity_room(int *slots, int *used, int64 *missed);
extern void ienv_forget_activity(void);

/*
 * vacancy.c: seats freed by the transaction's own deletes
 */
extern void ienv_vacate(const IenvGuard *guard, HeapTuple row, Datum value);
extern void ienv_fill_vacancy(Oid root, const IenvInstance *instance);
extern int64 ienv_vacated(const IenvBoundKey *key);

/*
 * user_cap.c: admission
 */
extern void ienv_admit(const IenvGuard *guard, IenvInstance *instance,
					   Datum value, IenvBucket *bucket, bool early);

/*
 * threshold.c: warnings before the cap bites, and at a soft cap
 */

/* Stands for a base where none is known: the bound is beyond any threshold. */
#define IENV_NO_BASE	((uint64) -(INT64CONST(1) << 62))

extern void ienv_watch(const IenvGuard *guard, const IenvInstance *instance,
					   Datum value, IenvBucket *bucket, uint64 base, uint64 version);

/*
 * threshold_look.c: has a threshold been passed?
 */
extern void ienv_thresholds_init(void);

/*
 * threshold_notice.c: what is said when a threshold is passed
 */
extern void ienv_warn_of_threshold(const IenvGuard *guard, Datum value,
								   const IenvInstance *instance, int percent,
								   int64 users);
extern void ienv_warn_of_soft_cap(const IenvGuard *guard, Datum value,
								  const IenvInstance *instance, int64 users);
extern void ienv_record_soft_cap(const IenvGuard *guard,
								 const IenvInstance *instance, int64 before,
								 int64 after);
extern void ienv_notify_threshold(const IenvGuard *guard,
								  const IenvInstance *instance, int percent,
								  int64 users);

/*
 * seats.c: counting
 */
extern int64 ienv_user_count(const IenvGuard *guard, Datum value, int64 limit);

/*
 * users_at_once.c: counting if that is possible without waiting
 */
extern int64 ienv_users_at_once(Oid relid, Datum instance, Datum external_key,
								int64 limit);
extern const IenvGuard *ienv_countable(Oid relid);
extern bool ienv_has_rows_at_once(Oid relid, Datum instance,
								  Datum external_key);

/*
 * soft_deletion.c: columns that mark users as deleted
 */
extern char *ienv_soft_deletion_column(Oid relid);

/*
 * estimate.c: estimating from statistics how many users an instance has
 */
typedef struct IenvEstimate IenvEstimate;

extern IenvEstimate *ienv_read_estimate(Oid root);
extern int64 ienv_estimated_users(const IenvEstimate *estimate,
								  Datum instance, Datum external_key);
extern int64 ienv_distributed_users(Oid relid, Datum instance,
									Datum external_key);

/*
 * usage.c: how full instances are
 */

/* The number of users of an instance in one counted table */
typedef struct IenvUsage
{
	const IenvRoot *root;
	int64		users;			/* -1: they cannot be counted, or not now */
} IenvUsage;

extern bool ienv_is_nearly_full(int64 users, int user_cap);
extern List *ienv_usage_of(Datum instance, Datum external_key);

/*
 * set_user_cap.c: changing the cap
 */
extern void ienv_set_user_cap(const char *action, Datum instance,
							  int user_cap);
extern void ienv_set_cap_mode(const char *action, Datum instance,
							  const char *mode);

#endif							/* IENV_CAP_H */
