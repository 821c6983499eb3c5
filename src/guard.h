/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  What the modules share that keep the rules of guarded tables.
 *
 * Grouped as in instance_env.h, and what is said there holds here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_GUARD_H
#define IENV_GUARD_H

#include "access/genam.h"
#include "access/htup.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "port/atomics.h"
#include "storage/buf.h"
#include "utils/snapshot.h"

#include "instance_env.h"

/*
 * relation.c: what the triggers of a relation say about it
 */
struct IenvGuard
{
	Oid			relid;			/* an ordinary or a partitioned table */
	Oid			root;			/* the table that guard() was called for */
	AttrNumber	instance_attno; /* of relid; root may number otherwise */
	bool		is_uuid;		/* instance column is a uuid, else a text */
	bool		counted;		/* the cap applies */
	AttrNumber	key_attno;		/* InvalidAttrNumber: identities are not followed */
	bool		key_is_unique;	/* one live row at most for a key, over all instances */
	Oid			key_type;
	Oid			key_collation;
	int16		key_len;		/* its type's typlen and typbyval */
	bool		key_byval;
	Oid			key_base;		/* the type, or what it is a domain over */
	bool		key_is_image;	/* equal keys have the same bytes */
	Oid			key_hash;		/* its type's extended hash function, or InvalidOid */
	Oid			departure_trigger;	/* the one whose condition queues departures */
	Oid			move_trigger;	/* the one whose condition queues moves */
	TransactionId made_by;		/* who wrote the row of the trigger for new rows */
	uint64		version;		/* of the triggers that take tickets, see below */
	uint64		tree_version;	/* of root: of those of all its partitions */
	bool		tree_valid;		/* tree_version has been computed */
	uint64		secret[2];		/* what label_key was derived from; 0: not yet */
	uint64		label_key[2];
	Oid			instance_index; /* InvalidOid: none that serves */
	Oid			key_index;
	char	   *label;			/* which identities: the table's first name */
};

/* which of our triggers a relation has, as bits */
#define IENV_TRIGGER_USER_CAP		0x01
#define IENV_TRIGGER_ACTIVE			0x02
#define IENV_TRIGGER_NO_TRANSFER	0x04
#define IENV_TRIGGER_DEPARTURE		0x08
#define IENV_TRIGGER_TRUNCATE		0x10
#define IENV_TRIGGER_NO_MOVE		0x20

typedef struct IenvTriggerKind
{
	int			bit;
	const char *name;			/* of the trigger */
	const char *event;			/* as CREATE TRIGGER says it */
	const char *function;		/* in schema instance_env */
} IenvTriggerKind;

extern const IenvTriggerKind ienv_trigger_kinds[IENV_TRIGGERS];

extern const IenvTriggerKind *ienv_trigger_kind(Oid function);
extern IenvGuard *ienv_guard_of(Oid relid);
extern bool ienv_read_guard(Relation rel, IenvGuard *guard, int *present, int *disabled);
extern Oid	ienv_index_on(Relation rel, AttrNumber attno, bool unique_alone);
extern HeapTuple ienv_read_trigger(Oid trigger);
extern bool ienv_guards_itself(Relation rel);
extern List *ienv_odd_triggers(Relation rel);

/*
 * trigger_condition.c: the conditions of a guard's triggers
 */

/* The columns that a condition names; 0: none */
typedef struct IenvColumns
{
	AttrNumber	instance;
	AttrNumber	key;
} IenvColumns;

extern bool ienv_read_condition(const IenvTriggerKind *kind, Node *condition, IenvColumns *columns);

/*
 * label.c: whose identities a table's triggers record
 */
extern char *ienv_stable_name(Oid relid);
extern char *ienv_free_label(Oid relid);
extern bool ienv_may_have_label(Oid relid, const char *label);
extern Oid	ienv_relation_owner(Oid relid);

/*
 * guard_version.c: a version of the triggers that count a table's rows
 */
extern uint64 ienv_guard_version(const IenvGuard *guard);
extern uint64 ienv_trigger_version(Oid trigger);
extern TransactionId ienv_trigger_writer(Oid trigger);

/*
 * partition.c: the partitions of a guarded table
 */
extern List *ienv_partition_tree(Oid relid, LOCKMODE lockmode);
extern void ienv_lock_beside_new_partition(const IenvGuard *guard);
extern List *ienv_leaf_relations(Oid relid, LOCKMODE lockmode);

/*
 * version.c: row versions relative to a snapshot
 */
typedef enum IenvFate
{
	IENV_NEVER,					/* it did not happen, or its transaction aborted */
	IENV_MINE,					/* by my transaction */
	IENV_BEFORE,				/* by a transaction that committed before the snapshot */
	IENV_SINCE,					/* by one that committed since */
	IENV_OPEN					/* by one that has not finished */
} IenvFate;

typedef struct IenvVersion
{
	IenvFate	inserted;
	TransactionId xmin;			/* meaningless if inserted is NEVER or BEFORE */
	bool		replacement;	/* made by an UPDATE: another version precedes it */
	IenvFate	ended;
	TransactionId xmax;			/* meaningless if ended is NEVER */
	bool		replaced;		/* ended by an UPDATE: another version follows it */
	bool		moved;			/* ended by a move to another partition */
} IenvVersion;

typedef struct IenvScan
{
	Relation	heap;
	Relation	index;			/* or NULL: sequential */
	IndexScanDesc index_scan;
	TableScanDesc table_scan;
	AttrNumber	attno;
	Datum		value;
	FmgrInfo	equal;			/* sequential only */
	Oid			collation;
	SnapshotData non_vacuumable;
	bool		own_file;		/* my transaction made the table's file */
	Buffer		visibility;		/* a page of the visibility map, or invalid */
	Buffer		buffer;			/* one of the table that ienv_scan_count() has pinned, or invalid */
	TupleTableSlot *slot;		/* the version that ienv_scan_next() found */
} IenvScan;

extern void ienv_scan_begin(IenvScan *scan, Relation heap, Oid index, AttrNumber attno, Datum value);
extern bool ienv_scan_next(IenvScan *scan);
extern bool ienv_scan_count(IenvScan *scan, Snapshot snapshot, IenvVersion *version);
extern void ienv_scan_end(IenvScan *scan);
extern void ienv_classify(const IenvScan *scan, Snapshot snapshot, IenvVersion *version);
extern bool ienv_is_older(TransactionId xid);
extern void ienv_wait_for(TransactionId xid);

/*
 * bound.c: a bound of the users of an instance, in shared memory
 */
typedef struct IenvBucket IenvBucket;

/* What a bound is of.  Has no padding: it is hashed and compared as bytes. */
typedef struct IenvBoundKey
{
	Oid			database;
	Oid			root;			/* the guarded table */
	uint64		version;		/* of its triggers; 0: they do not see every row */
	uint64		era;			/* should a row come in without a ticket */
	pg_uuid_t	instance;
	TimestampTz created_at;		/* should an instance come again with the same id */
} IenvBoundKey;

/* The state of a bucket when an exact count began */
typedef struct IenvCountMark
{
	uint64		tickets;
	uint64		leaving;
	bool		quiet;			/* nobody was about to release rows */
} IenvCountMark;

extern Size ienv_buckets_size(int n);
extern void ienv_buckets_init(IenvBucket *buckets, int n);
extern void ienv_bound_key(IenvBoundKey *key, Oid root, uint64 version, const IenvInstance *instance);
extern void ienv_void_bounds(void);
extern IenvBucket *ienv_bucket_of(Oid root, const IenvInstance *instance);
extern void ienv_take_tickets(IenvBucket *bucket, int64 n);
extern bool ienv_bound_admits(IenvBucket *bucket, const IenvBoundKey *key, int64 limit);
extern void ienv_count_begins(IenvBucket *bucket, IenvCountMark *mark);
extern void ienv_count_has_snapshot(IenvBucket *bucket, IenvCountMark *mark);
extern void ienv_store_base(IenvBucket *bucket, const IenvBoundKey *key, const IenvCountMark *mark,
							int64 rows);
extern void ienv_leave(IenvBucket *bucket);
extern void ienv_have_left(IenvBucket *bucket, const IenvBoundKey *key, int64 n);

/*
 * queue.c: rows that wait for the cap's trigger
 */

/* Has no padding: it is hashed and compared as bytes. */
typedef struct IenvQueueKey
{
	Oid			root;			/* the guarded table */
	pg_uuid_t	instance;
} IenvQueueKey;

typedef struct IenvQueue
{
	IenvQueueKey key;
	uint32		status;			/* simplehash.h's own */
	int64		waiting;		/* rows that have joined and for which no ticket was taken */
	int64		look_at;		/* how many to let wait before looking early */
	uint64		admitted_in;	/* the round in which all were admitted, or 0 */
} IenvQueue;

extern IenvQueue *ienv_join_queue(Oid root, const pg_uuid_t *instance);
extern void ienv_join_no_queue(void);
extern IenvQueue *ienv_queue_of(Oid root, const pg_uuid_t *instance);
extern bool ienv_queue_is_admitted(const IenvQueue *queue);
extern void ienv_admit_queue(IenvQueue *queue);

/*
 * condition.c: whether a trigger's condition is asked by a trigger
 */

/* What is known of the expression that calls a condition; in its fn_extra */
typedef struct IenvCondition
{
	int			tableoid;		/* which argument is the table; 0: it is none of a trigger's */
	AttrNumber	instance_attno;
	AttrNumber	key_attno;		/* or InvalidAttrNumber */
} IenvCondition;

extern IenvGuard *ienv_condition_guard(FunctionCallInfo fcinfo);

/*
 * vacancy.c: seats that the transaction's own deletes free
 */
extern void ienv_vacate(const IenvGuard *guard, HeapTuple row, Datum value);
extern int64 ienv_vacated(const IenvBoundKey *key);

/*
 * user_cap.c, seats.c: admission
 */
extern void ienv_admit(const IenvGuard *guard, IenvInstance *instance, Datum value,
					   IenvBucket *bucket, bool early);
extern int64 ienv_user_count(const IenvGuard *guard, Datum value, int64 limit);

/*
 * shared.c: shared memory
 */
extern void ienv_shared_init(void);
extern IenvBucket *ienv_shared_buckets(int *n);
extern pg_atomic_uint64 *ienv_shared_departures(void);
extern pg_atomic_uint64 *ienv_shared_era(void);

/*
 * identity.c: who a user is
 */
extern void ienv_identity_prepare(IenvGuard *guard);
extern bool ienv_identity_possible(const IenvGuard *guard, const char **why);
extern bool ienv_identity_of(IenvGuard *guard, Datum key, pg_uuid_t *identity);

/*
 * departed.c: which instance a departed user belonged to
 */
extern bool ienv_nobody_departed(void);
extern void ienv_forget_departures(void);
extern bool ienv_maybe_departed(const pg_uuid_t *identity);
extern bool ienv_departed_elsewhere(const pg_uuid_t *identity, const pg_uuid_t *instance, Snapshot snapshot);
extern void ienv_record_departure(const pg_uuid_t *identity, const pg_uuid_t *instance);

/*
 * transfer.c: the rule that a user never changes instance
 */
extern bool ienv_arrival_suspect(IenvGuard *guard, FunctionCallInfo fcinfo);
extern bool ienv_check_arrival(IenvGuard *guard, Datum value, Datum key);

pg_noreturn extern void ienv_report_move(const IenvGuard *guard, Datum from, bool from_null,
										 Datum to, bool to_null);

/*
 * move.c: rows that are moved from one partition to another
 */
extern bool ienv_move_queued(void);
extern bool ienv_check_moved(const IenvGuard *guard, TriggerData *trigdata);

/*
 * departure.c: recording departures
 */
extern bool ienv_departure_queued(void);
extern void ienv_depart(IenvGuard *guard, Datum value, Datum key);

/*
 * table_owner.c: acting as a table's owner
 */

/* what ienv_act_as_self() needs */
typedef struct IenvActing
{
	Oid			userid;
	int			sec_context;
	int			nest_level;		/* of settings */
} IenvActing;

extern void ienv_act_as_owner_of(Oid relid, IenvActing *saved);
extern void ienv_act_as(Oid owner, IenvActing *saved);
extern void ienv_act_as_self(const IenvActing *saved);
extern Oid	ienv_lock_owner(Oid relid);
extern void ienv_expect_tables(List *relids);
extern int	ienv_bound_lock_waits(int milliseconds);
extern char *ienv_kept_name(Oid relid);

/*
 * guarded_tables.c: the guarded tables as administration sees them
 */
typedef struct IenvRoot
{
	Oid			relid;
	Oid			owner;
	bool		trusted;		/* administration looks at it */
	char	   *name;			/* qualified */
} IenvRoot;

/* Most partitions, of all levels, that administration locks of one table */
#define IENV_MAX_PARTITIONS	1000

/* What is done with a table that is locked for the moment */
typedef void (*IenvLook) (Oid relid, void *arg);

extern List *ienv_guarded_roots(void);
extern List *ienv_all_roots(void);
extern List *ienv_roots_by_name(void);
extern List *ienv_trusted_roots(void);
extern bool ienv_is_counted(Oid relid);
extern bool ienv_has_too_many_partitions(Oid relid);
extern int	ienv_count_partitions(Oid relid);
extern char *ienv_why_not_at_once(Oid relid);
extern bool ienv_look_at_guard(Oid relid, IenvLook look, void *arg);
extern int64 ienv_users_at_once(Oid relid, Datum instance, Datum external_key, int64 limit);
extern bool ienv_has_rows_at_once(Oid relid, Datum instance, Datum external_key);

/*
 * let_in.c: whose tables administration looks at
 */
extern bool ienv_is_let_in(Oid role);
extern bool ienv_let_in(Oid owner);
extern void ienv_lock_rights(void);
extern char *ienv_why_not_trusted(const IenvRoot *root);

/*
 * ddl.c, ddl_trigger.c: what DDL could do to a guard
 */
extern bool ienv_is_new_row(HeapTuple row);
extern void ienv_check_new_triggers(CommandId since);

/*
 * guard_lock.c: guarding a table excludes what must know of all guarded tables
 */
extern void ienv_begin_guarding(void);
extern void ienv_keep_from_guarding(void);

/*
 * guarded_locks.c: locking them all against writers
 */
extern List *ienv_lock_guarded_tables(void);

/*
 * guard.c, guard_columns.c, guard_triggers.c, guard_rows.c, guard_reference.c, ddl.c: what is
 * attached to a table
 */
extern const IenvGuard *ienv_making_triggers_of;
extern void ienv_make_triggers(const IenvGuard *guard, int missing, int asleep);
extern List *ienv_own_triggers(Relation rel);
extern void ienv_drop_triggers(Oid relid, List *names);
extern Relation ienv_open_owned(Oid relid, LOCKMODE lockmode);
extern AttrNumber ienv_find_column(Relation rel, const char *name);
extern void ienv_check_instance_column(Relation rel, AttrNumber attno);
extern void ienv_check_user_key(Relation rel, const IenvGuard *guard);
extern AttrNumber ienv_default_user_key(Relation rel, AttrNumber instance_attno);
extern int	ienv_triggers_for(Relation rel, const IenvGuard *guard);
extern void ienv_check_rows(const IenvGuard *guard, Oid brought);
extern void ienv_make_reference(Oid relid, AttrNumber instance_attno, AttrNumber user_attno,
								Oid user_table);
extern List *ienv_loose_references(const IenvGuard *guard);
extern void ienv_guard_partitions(Oid relid);

/*
 * guard_list.c: whether a guard is whole
 */
extern List *ienv_guard_problems(Relation rel, const IenvGuard *guard, int present, int disabled);

#endif							/* IENV_GUARD_H */
