/*-------------------------------------------------------------------------
 *
 * table.h
 *	  Reading guarded tables: how they are guarded, and the rows they hold.
 *
 * Nothing here creates or changes a guard, or depends on the rules that it
 * enforces.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_TABLE_H
#define IENV_TABLE_H

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "storage/buf.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "registry/registry.h"

/*
 * guard_read.c: what the triggers of a relation say about it
 */

/* How many columns a user key, or a reference to one, can have */
#define IENV_MAX_KEY_COLUMNS	8

/* A column of a user key */
typedef struct IenvKeyColumn
{
	Oid			type;
	Oid			collation;
	int16		len;			/* its type's typlen and typbyval */
	bool		byval;
	Oid			base;			/* the type, or its base type if it is a
								 * domain */
	bool		is_image;		/* equal keys have the same bytes */
	Oid			hash;			/* its type's extended hash function, or
								 * InvalidOid */
} IenvKeyColumn;

/*
 * What a trigger's arguments can say after the label: that rows refer to users
 * of the table whose label follows; that departures are not recorded; and that
 * they need not be, because the users' ids are coded
 */
#define IENV_OPTION_USER_TABLE		"user_table="
#define IENV_OPTION_NO_DEPARTURES	"departures=off"
#define IENV_OPTION_CODED			"coded=on"

/* The same of the trigger for updates: columns of a table of users */
#define IENV_OPTION_ADDRESS			"address_column="
#define IENV_OPTION_CREATED			"created_column="

/* Their names, or NULL */
typedef struct IenvUserColumns
{
	char	   *address;		/* has the user's e-mail address or phone
								 * number */
	char	   *created;		/* says when the user was created */
} IenvUserColumns;

typedef struct IenvGuard
{
	Oid			relid;			/* an ordinary or a partitioned table */
	uint64		reading;		/* guard_cache.c: which one this is from,
								 * while it is valid, else 0 */
	Oid			root;			/* the table that guard() was called for */
	AttrNumber	instance_attno; /* of relid; root's may be different */
	Oid			instance_type;	/* its type, or base type if it is a domain */
	bool		is_uuid;		/* it names an instance by id, else by
								 * external key */
	bool		is_plain;		/* it is not converted, see instance_value.c */
	bool		counted;		/* the cap applies */
	bool		departures;		/* users who leave are recorded */
	bool		coded;			/* they need not be: the user key is a coded
								 * id */
	bool		no_production;	/* rows of production instances are refused,
								 * for users who leave are not recorded */
	bool		misplaced;		/* so are all rows, see distribution.c */
	IenvShardRange range;		/* of a shard: the rows that belong there */
	bool		look_at_place;	/* one of the two has something to say */
	bool		is_common;		/* it is_uuid, and none of what is above
								 * refuses rows */
	bool		undecided;		/* misplaced may change, for it may be a shard
								 * that this node has not been told of */
	int			nkeys;			/* 0: identities are not tracked */
	AttrNumber	key_attnos[IENV_MAX_KEY_COLUMNS];	/* unused ones are 0 */
	IenvKeyColumn keys[IENV_MAX_KEY_COLUMNS];
	bool		key_is_local;	/* rows of one key are in one partition */
	bool		key_is_unique;	/* at most one live row per key, over all
								 * instances */
	int			nrefs;			/* 0: rows do not refer to users of another
								 * table */
	AttrNumber	ref_attnos[IENV_MAX_KEY_COLUMNS];
	char	   *user_label;		/* the label of that table, or "" */
	Oid			departure_trigger;	/* the one whose condition queues
									 * departures */
	Oid			move_trigger;	/* the one whose condition queues moves */
	TransactionId made_by;		/* xid that wrote the trigger for new rows */
	uint64		version;		/* of the triggers that take tickets, see
								 * below */
	uint64		tree_version;	/* root only: over all its partitions */
	bool		tree_valid;		/* tree_version has been computed */
	uint64		secret[2];		/* what label_key was derived from; 0: not yet */
	uint64		label_key[2];
	Oid			instance_index; /* InvalidOid: no usable one */
	Oid			key_index;
	char	   *label;			/* which identities; the table's owner and
								 * original name */
	const IenvUserColumns *user_columns;	/* set by guard() and unguard()
											 * only, else NULL */
} IenvGuard;

/* The columns that a condition names */
typedef struct IenvColumns
{
	AttrNumber	instance;		/* 0: none */
	int			nkeys;
	AttrNumber	keys[IENV_MAX_KEY_COLUMNS];
} IenvColumns;

extern bool ienv_read_guard(Relation rel, IenvGuard *guard, int *present,
							int *disabled);
extern bool ienv_read_options(const Trigger *trigger, IenvGuard *guard);
extern bool ienv_is_of_guard(const Trigger *trigger,
							 const IenvTriggerKind **kind,
							 IenvColumns *columns);
extern List *ienv_odd_triggers(Relation rel);
extern bool ienv_guards_itself(Relation rel);

/*
 * guard_cache.c: the same, remembered
 */
extern IenvGuard *ienv_guard_of(Oid relid);
extern bool ienv_guard_has_version(Oid root, uint64 version);

/*
 * user_columns.c: what reset_development() tells users apart by
 */
extern void ienv_read_user_columns(Relation rel, IenvUserColumns *columns);
extern bool ienv_is_address_type(Oid type);
extern bool ienv_is_created_type(Oid type);
extern List *ienv_user_column_problems(Oid relid,
									   const IenvUserColumns *columns);

/*
 * guard_index.c: the indexes that serve a guard
 */
extern Oid	ienv_index_on(Relation rel, int n, const AttrNumber *attnos);
extern Oid	ienv_other_index_on(Relation rel, Oid except, int n,
								const AttrNumber *attnos);
extern Oid	ienv_unique_index_on(Relation rel, int n,
								 const AttrNumber *attnos);

/*
 * columns.c: the columns of a guard
 */
extern char *ienv_column_list(Oid relid, int n, const AttrNumber *attnos);
extern char *ienv_user_key_text(const IenvGuard *guard);

/*
 * Can the user key of a guard be a coded id?
 */
static inline bool
ienv_is_coded_key(const IenvGuard *guard)
{
	return guard->nkeys == 1 && guard->keys[0].base == UUIDOID;
}

/*
 * instance_value.c: values of an instance column
 */
extern bool ienv_instance_type_ok(Oid type);
extern bool ienv_is_plain(Oid type);
extern Datum ienv_convert_column(Oid type, Datum column);
extern bool ienv_column_of_value(Oid type, Datum value, Datum *column);
extern const char *ienv_sql_of_value(Oid type, Datum key);
extern const char *ienv_name_of_type(Oid type);
extern bool ienv_same_instance(const IenvGuard *guard, Datum a, Datum b);
extern Datum ienv_row_instance(const IenvGuard *guard, HeapTuple row,
							   TupleDesc desc, bool *isnull);
extern bool ienv_row_key(const IenvGuard *guard, HeapTuple row, TupleDesc desc,
						 Datum *key);

/*
 * The instance that a guarded column names, given what is in the column, not
 * null.
 */
static inline Datum
ienv_value_of_column(const IenvGuard *guard, Datum column)
{
	return likely(guard->is_plain) ? column :
		ienv_convert_column(guard->instance_type, column);
}

/*
 * trigger_condition.c: the conditions of a guard's triggers
 */

extern bool ienv_read_condition(const IenvTriggerKind *kind, Node *condition,
								IenvColumns *columns);

/*
 * table_event.c: what statements have done to guarded tables
 */
extern void ienv_record_table_event(const char *action,
									const pg_uuid_t *instance, Oid relid,
									Datum before, Datum after);

/*
 * label.c: the label under which a table's triggers record identities
 */
extern char *ienv_stable_name(Oid relid);
extern char *ienv_free_label(Oid relid);
extern bool ienv_may_have_label(Oid relid, const char *label);
extern Oid	ienv_table_with_label(const char *label);

/*
 * distribution.c: whether a guard can do with how its table is distributed
 */
extern const char *ienv_why_misplaced(const IenvGuard *guard,
									  const char **hint);
extern void ienv_read_place(Relation rel, IenvGuard *guard);
extern bool ienv_may_come_here(const IenvGuard *guard, Datum column);

/*
 * trigger_row.c: the rows of pg_trigger
 */
extern HeapTuple ienv_read_trigger(Oid trigger);
extern uint64 ienv_trigger_version(Oid trigger);
extern TransactionId ienv_trigger_writer(Oid trigger);

/*
 * guard_version.c: a version of the triggers that count a table's rows
 */
extern uint64 ienv_guard_version(const IenvGuard *guard);

/*
 * partition.c: the partitions of a guarded table
 */
extern List *ienv_partition_tree(Oid relid, LOCKMODE lockmode);
extern void ienv_lock_beside_new_partition(const IenvGuard *guard);
extern Oid	ienv_root_of(Oid relid);
extern List *ienv_leaf_relations(Oid relid, LOCKMODE lockmode);

/*
 * How many partitions to search for a user, at most, in a table that is to be
 * guarded: each is locked for every new row
 */
#define IENV_MAX_SEARCHED	16

/*
 * partition_key.c: whether a row's user key says which partition it is in
 */
extern bool ienv_key_is_local(Oid relid, Oid root, int n,
							  const AttrNumber *attnos);

/*
 * row_version.c: row versions relative to a snapshot
 */
typedef enum IenvFate
{
	IENV_NEVER,					/* it did not happen, or its transaction
								 * aborted */
	IENV_MINE,					/* by my transaction */
	IENV_BEFORE,				/* by a transaction that committed before the
								 * snapshot */
	IENV_SINCE,					/* by one that has committed since */
	IENV_OPEN					/* by one that has not finished */
} IenvFate;

typedef struct IenvVersion
{
	IenvFate	inserted;
	TransactionId xmin;			/* meaningless if inserted is NEVER or BEFORE */
	bool		replacement;	/* made by an UPDATE: another version precedes
								 * it */
	IenvFate	ended;
	TransactionId xmax;			/* meaningless if ended is NEVER */
	bool		replaced;		/* ended by an UPDATE: another version follows
								 * it */
	bool		moved;			/* ended by a move to another partition */
} IenvVersion;

typedef struct IenvScan
{
	Relation	heap;
	Relation	index;			/* or NULL: sequential */
	IndexScanDesc index_scan;
	TableScanDesc table_scan;
	int			n;				/* how many columns are compared */
	AttrNumber	attnos[IENV_MAX_KEY_COLUMNS];
	Datum		values[IENV_MAX_KEY_COLUMNS];
	FmgrInfo	equal[IENV_MAX_KEY_COLUMNS];	/* sequential only */
	Oid			collations[IENV_MAX_KEY_COLUMNS];
	SnapshotData non_vacuumable;
	bool		own_file;		/* my transaction created the table's file */
	Buffer		visibility;		/* a page of the visibility map, or invalid */
	Buffer		buffer;			/* a page of the table, pinned by
								 * ienv_scan_count(), or invalid */
	TupleTableSlot *slot;		/* the version that ienv_scan_next() found */
} IenvScan;

extern bool ienv_scan_count(IenvScan *scan, Snapshot snapshot,
							IenvVersion *version);
extern void ienv_classify(const IenvScan *scan, Snapshot snapshot,
						  IenvVersion *version);
extern bool ienv_is_older(TransactionId xid);
extern void ienv_wait_for(TransactionId xid);

/*
 * row_scan.c: finding them
 */
extern void ienv_scan_begin(IenvScan *scan, Relation heap, Oid index, int n,
							const AttrNumber *attnos, const Datum *values);
extern bool ienv_scan_next(IenvScan *scan);
extern void ienv_scan_end(IenvScan *scan);

/*
 * identity.c: identities of users
 */
extern void ienv_identity_prepare(Relation rel, IenvGuard *guard);
extern bool ienv_identity_possible(const IenvKeyColumn *column,
								   const char **why);
extern bool ienv_identity_of(IenvGuard *guard, const Datum *key,
							 pg_uuid_t *identity);

/*
 * identity_key.c: the key of the identity hash
 */
extern const uint64 *ienv_identity_secret(void);

/*
 * row_instance.c: the instance that a row names, and errors about a row
 */
extern IenvGuard *ienv_trigger_guard(TriggerData *trigdata,
									 const char *funcname);
extern IenvInstance *ienv_require_active(const IenvGuard *guard, Datum value,
										 bool isnull, bool fresh);
extern void ienv_refuse_misplaced(const IenvGuard *guard, bool guarded);
extern void ienv_refuse_renamed(const IenvGuard *guard,
								const IenvInstance *instance, Datum value);
pg_noreturn extern void ienv_refuse_production(const IenvGuard *guard,
											   Datum value);
extern void ienv_require_known(const IenvGuard *guard, Datum value);
pg_noreturn extern void ienv_report_unguarded_partition(Oid relid, Oid root);
extern int	ienv_errguard(const IenvGuard *guard, const char *constraint);

/*
 * distributed_rows.c: counting and locking the rows of distributed tables
 */
extern bool ienv_is_distributed(Oid relid);
extern bool ienv_hides_rows(Oid relid);
extern int64 ienv_distributed_count(const IenvGuard *guard, Datum value,
									int64 limit);
extern double ienv_distributed_estimate(const IenvGuard *guard, Datum value);
extern void ienv_lock_distributed(Oid relid, LOCKMODE lockmode,
								  int milliseconds);
extern void ienv_pass_on_lock_timeout(void);

/*
 * elsewhere.c: guarded tables that only another node of a cluster knows
 */
extern char *ienv_tables_elsewhere(void);

/*
 * guarded_tables.c: the guarded tables as seen by the administrative functions
 */
typedef struct IenvRoot
{
	Oid			relid;
	Oid			owner;
	bool		trusted;		/* the administrative functions look at it */
	char	   *name;			/* qualified */
} IenvRoot;

/* A table with more partitions than this, at all levels, is not looked at */
#define IENV_MAX_PARTITIONS	1000

/* What to do with a table while it is locked */
typedef void (*IenvLook) (Oid relid, void *arg);

extern List *ienv_all_roots(void);
extern List *ienv_roots_by_name(void);
extern List *ienv_trusted_roots(void);
extern bool ienv_is_counted(Oid relid);
extern bool ienv_has_too_many_partitions(Oid relid);
extern int	ienv_count_partitions(Oid relid);
extern char *ienv_why_not_at_once(Oid relid);
extern bool ienv_look_at_guard(Oid relid, IenvLook look, void *arg);
extern char *ienv_why_not_trusted(const IenvRoot *root);
extern bool ienv_look_at_rows(Oid relid, IenvLook look, void *arg);
extern bool ienv_lock_rows_at_once(Oid relid);

#endif							/* IENV_TABLE_H */
