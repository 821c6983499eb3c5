/*-------------------------------------------------------------------------
 *
 * base.h
 *	  The lowest layer: every room may use it, and it depends on none.
 *
 * Prototypes are grouped by the file that defines them.  Unless a comment says
 * otherwise, a function of any room must be called inside a transaction,
 * reports failure by ereport(ERROR), and allocates in CurrentMemoryContext.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_BASE_H
#define IENV_BASE_H

#include "commands/trigger.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "utils/hsearch.h"
#include "utils/uuid.h"

#include "base/compat.h"
#include "base/errcodes.h"

#define IENV_SCHEMA "instance_env"

/* Constraint names, as reported in errors; most are also names of triggers */
#define IENV_USER_CAP		"instance_env_user_cap"
#define IENV_NO_TRANSFER	"instance_env_no_transfer"
#define IENV_DEPARTURE		"instance_env_departure"
#define IENV_KNOWN			"instance_env_known_instance"
#define IENV_IS_ACTIVE		"instance_env_active"

/* instance_env.instance_type */
typedef enum IenvType
{
	IENV_DEVELOPMENT,
	IENV_PRODUCTION
} IenvType;

/* instance_env.instance_status */
typedef enum IenvStatus
{
	IENV_INACTIVE,
	IENV_ACTIVE,
	IENV_SUSPENDED
} IenvStatus;

/*
 * oids.c: the extension's own objects, and acting as their owner
 */
#define IENV_TRIGGERS 6

typedef struct IenvOids
{
	Oid			schema;
	Oid			owner;			/* the role that owns the extension's tables */
	Oid			instance;
	Oid			instance_pkey;
	Oid			instance_external_key;
	Oid			policy_default;
	Oid			policy_default_pkey;
	Oid			policy_override;
	Oid			policy_override_pkey;
	Oid			identity_key;
	Oid			departed_user;
	Oid			departed_user_identity;
	Oid			types[2];		/* enum labels, by IenvType */
	Oid			statuses[3];	/* enum labels, by IenvStatus */
	Oid			departure_queued;	/* the function */
	Oid			functions[IENV_TRIGGERS];	/* indexed like ienv_trigger_kinds */
} IenvOids;

/* bits for the triggers of ours that a relation has */
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
	const char *event;			/* in the syntax of CREATE TRIGGER */
	int16		type;			/* the same in pg_trigger.tgtype */
	const char *function;		/* in schema instance_env */
} IenvTriggerKind;

extern const IenvTriggerKind ienv_trigger_kinds[IENV_TRIGGERS];

/* what ienv_leave_owner() needs */
typedef struct IenvOwner
{
	Oid			userid;
	int			sec_context;
} IenvOwner;

extern const IenvOids *ienv_oids(void);
extern void ienv_on_registry_change(void (*forget) (void));
extern const IenvTriggerKind *ienv_trigger_kind(Oid function);
extern void ienv_become_owner(IenvOwner *saved);
extern void ienv_leave_owner(const IenvOwner *saved);

/*
 * citus.c: what Citus knows of this database
 */

/* Where the rows of a table are */
typedef enum IenvPlace
{
	IENV_HERE,					/* in the table itself */
	IENV_BY_COLUMN,				/* in shards, by the hash of a column */
	IENV_ON_COORDINATOR,		/* all in one shard, which never moves */
	IENV_IN_ONE_SHARD,			/* all in one shard, on some node */
	IENV_EVERYWHERE,			/* in one shard that each node has a copy of */
	IENV_IN_RANGES				/* in shards, in any other way */
} IenvPlace;

extern bool ienv_has_citus(void);
extern IenvPlace ienv_place_of(Oid relid, AttrNumber *column);
extern List *ienv_shard_numbers(Oid table);
extern Oid	ienv_table_of_shard(int64 shard);
extern bool ienv_bounds_of_shard(int64 shard, int32 bounds[2]);
extern bool ienv_shard_is_here(int64 shard);
extern int32 ienv_node_group(void);

/*
 * placement.c: where this node has the extension's own tables
 */
extern bool ienv_registry_is_distributed(void);
extern Oid	ienv_table_oid(const char *table);
extern Oid	ienv_index_oid(const char *table, const char *index);
extern Relation ienv_open_table(const char *table, LOCKMODE lockmode);
pg_noreturn extern void ienv_report_no_placement(const char *table);
extern bool ienv_has_joined(void);
extern void ienv_mark_joined(void);
extern void ienv_require_joined(void);

/*
 * shard.c: the tables of a Citus cluster, and their shards
 */
extern Oid	ienv_shell_of(Oid relid);
extern int64 ienv_shard_number(Oid relid);
extern bool ienv_is_shard_name(const char *name);
extern bool ienv_may_be_shard(Oid relid);
extern Oid	ienv_known_table(Oid relid);
extern List *ienv_shards_here(Oid table);
extern bool ienv_are_kin(Oid a, Oid b);
extern bool ienv_is_dropped_elsewhere(Oid relid);
extern bool ienv_begun_by_node(void);

/*
 * shard_range.c: which rows belong into a shard
 */

/* The hashes of what is in a table's distribution column in a shard */
typedef struct IenvShardRange
{
	FmgrInfo   *hash;			/* NULL: there is no such range */
	Oid			collation;
	int32		min;
	int32		max;
} IenvShardRange;

extern void ienv_read_shard_range(Oid shard, Oid type, Oid collation,
								  IenvShardRange *range);
extern bool ienv_is_in_range(const IenvShardRange *range, Datum column);

/*
 * invalidation.c: relcache invalidations
 */
extern void ienv_on_invalidation(void (*callback) (Oid relid));

/*
 * cache.c: a backend's caches of the extension's tables
 */
#define IENV_CACHE_TABLES 4

typedef struct IenvCache
{
	const char *name;
	Size		keysize;
	Size		entrysize;		/* an entry starts with its key, which has no
								 * padding */
	int			max_entries;	/* a full cache is emptied */
	const char *tables[IENV_CACHE_TABLES];	/* the cache is emptied when one
											 * of them changes */

	/* private to cache.c, initially zero */
	Oid			relids[IENV_CACHE_TABLES];
	bool		valid;
	uint64		changed;		/* when, as measured by ienv_news_time() */
	MemoryContext context;		/* holds what entries point to; reset with the
								 * cache */
	HTAB	   *entries;
	struct IenvCache *next;
} IenvCache;

extern void *ienv_cache_find(IenvCache *cache, const void *key);
extern uint64 ienv_cache_time(IenvCache *cache);
extern void *ienv_cache_enter(IenvCache *cache, const void *key, uint64 since);
extern void ienv_cache_forget(IenvCache *cache);

/*
 * shared.c: shared memory
 */

/* An array there, whose elements are known to its room only */
typedef struct IenvSharedArray
{
	const char *segment;		/* its name */
	Size		(*size) (int n);	/* how many bytes n elements take */
	void		(*init) (void *memory, int n);
	void	   *memory;			/* private to shared.c, initially NULL */
} IenvSharedArray;

extern void ienv_shared_array(IenvSharedArray *array);
extern void ienv_shared_init(void);
extern void *ienv_shared_memory(const IenvSharedArray *array, int *n);
extern pg_atomic_uint64 *ienv_shared_departures(void);
extern pg_atomic_uint64 *ienv_shared_era(void);

/*
 * event.c: the audit log
 */
extern void ienv_record_event(const char *action, const pg_uuid_t *application,
							  const pg_uuid_t *instance, const char *item,
							  Datum before, Datum after);
extern void ienv_record_returned(const char *action,
								 const pg_uuid_t *application,
								 const pg_uuid_t *instance,
								 const char *item);
extern Datum ienv_application_name(void);

/*
 * spi.c: SQL through SPI
 */

/* A query with a plan that is kept, once there is one */
typedef struct IenvQuery
{
	const char *sql;
	struct _SPI_plan *plan;		/* initially NULL */
} IenvQuery;

extern char *ienv_sql_name(Oid relid);
extern void ienv_execute(const char *fmt,...) pg_attribute_printf(1, 2);
extern uint64 ienv_query(const char *sql, int nargs, const Oid *types,
						 const Datum *values, const char *nulls);
extern uint64 ienv_query_latest(const char *sql, int nargs, const Oid *types,
								const Datum *values, const char *nulls);
extern uint64 ienv_query_active(const char *sql, int nargs, const Oid *types,
								const Datum *values, const char *nulls);
extern uint64 ienv_query_kept(IenvQuery *query, int nargs, const Oid *types,
							  const Datum *values, const char *nulls);
extern uint64 ienv_query_kept_latest(IenvQuery *query, int nargs,
									 const Oid *types, const Datum *values,
									 const char *nulls);
extern uint64 ienv_write_latest(const char *sql, int nargs, const Oid *types,
								const Datum *values);
extern void ienv_return_rows(FunctionCallInfo fcinfo);
extern Datum ienv_jsonb(const char *json);
extern Datum ienv_result_datum(uint64 row, int column, bool *isnull);
extern char *ienv_result_text(uint64 row, int column);
extern Datum ienv_returned_uuid(int column);
extern TupleDesc ienv_result_desc(FunctionCallInfo fcinfo);
extern void ienv_query_one(const char *sql, int nargs, const Oid *types,
						   const Datum *values);

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

extern Oid	ienv_relation_owner(Oid relid);
extern void ienv_act_as_owner_of(Oid relid, IenvActing *saved);
extern void ienv_act_as(Oid owner, IenvActing *saved);
extern void ienv_act_as_self(const IenvActing *saved);
extern Oid	ienv_lock_owner(Oid relid);
extern void ienv_expect_tables(List *relids);
extern int	ienv_bound_lock_waits(int milliseconds);
extern char *ienv_kept_name(Oid relid);

/*
 * attempt.c: doing something that may fail
 */
extern ErrorData *ienv_attempt(void (*act) (void *arg), void *arg, bool keep);

/*
 * trigger_call.c: what trigger functions check before they begin
 */
extern TriggerData *ienv_check_called(FunctionCallInfo fcinfo,
									  const char *funcname);
extern TriggerData *ienv_check_trigger(FunctionCallInfo fcinfo,
									   const char *funcname,
									   TriggerEvent when);
extern TriggerData *ienv_check_own_trigger(FunctionCallInfo fcinfo,
										   const char *funcname,
										   TriggerEvent when);
extern char *ienv_row_column(TupleDesc desc, HeapTuple row, const char *name);

/*
 * argument.c: arguments of SQL functions
 */

/*
 * Maximum lengths, in bytes: of a name or external key chosen by the
 * application, as much as fits into an index, compressed or not; of a word in
 * one of the built-in tables, the length of an identifier; of a credential
 * that a provider has issued.
 */
#define IENV_MAX_NAME		2048
#define IENV_MAX_WORD		(NAMEDATALEN - 1)
#define IENV_MAX_CREDENTIAL	255

extern void ienv_require_argument(FunctionCallInfo fcinfo, int n,
								  const char *name);
extern char *ienv_require_name(FunctionCallInfo fcinfo, int n,
							   const char *name);
extern char *ienv_require_text(FunctionCallInfo fcinfo, int n,
							   const char *name, int max_length);

/*
 * secret_form.c: recognizing secrets
 */
extern const char *ienv_secret_form(const char *text, size_t length);

/*
 * text.c: names and values as messages show them
 */
extern char *ienv_instance_text(Datum value, bool is_uuid);
extern char *ienv_quoted_name(Oid relid);
extern const char *ienv_clipped(const char *text);

#endif							/* IENV_BASE_H */
