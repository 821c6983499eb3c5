/*-------------------------------------------------------------------------
 *
 * instance_env.h
 *	  What the modules of instance_env share.
 *
 * Prototypes are grouped by the file that defines them.  Unless a comment says
 * otherwise, a function must be called inside a transaction, reports failure by
 * ereport(ERROR), and allocates in CurrentMemoryContext.
 *
 *-------------------------------------------------------------------------
 */
#ifndef INSTANCE_ENV_H
#define INSTANCE_ENV_H

#include "access/htup.h"
#include "access/genam.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "storage/buf.h"
#include "utils/hsearch.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"

/* SQLSTATEs: the interface that programs branch on (README, "Errors") */
#define ERRCODE_IENV_USER_CAP_EXCEEDED		MAKE_SQLSTATE('2','3','I','0','1')
#define ERRCODE_IENV_TRANSFER_PROHIBITED	MAKE_SQLSTATE('2','3','I','0','2')
#define ERRCODE_IENV_UNKNOWN_INSTANCE		MAKE_SQLSTATE('2','3','I','0','3')
#define ERRCODE_IENV_INSTANCE_NOT_ACTIVE	MAKE_SQLSTATE('2','3','I','0','4')
#define ERRCODE_IENV_OWN_CREDENTIALS		MAKE_SQLSTATE('2','3','I','0','5')
#define ERRCODE_IENV_PROMOTION_BLOCKED		MAKE_SQLSTATE('5','5','I','0','1')
#define ERRCODE_IENV_PLAN_UPGRADE			MAKE_SQLSTATE('5','5','I','0','2')
#define ERRCODE_IENV_FEATURE_NOT_AVAILABLE	MAKE_SQLSTATE('5','5','I','0','3')
#define ERRCODE_IENV_INVALID_DOMAIN			MAKE_SQLSTATE('2','2','I','0','1')
#define ERRCODE_IENV_INVALID_TYPE			MAKE_SQLSTATE('2','2','I','0','2')

#define IENV_SCHEMA "instance_env"

/* Constraint names, as reported in errors and as names of the triggers */
#define IENV_USER_CAP		"instance_env_user_cap"
#define IENV_NO_TRANSFER	"instance_env_no_transfer"
#define IENV_DEPARTURE		"instance_env_departure"

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
 * registry.c: what is known of one instance
 */
typedef struct IenvInstance
{
	pg_uuid_t	id;
	IenvType	type;
	IenvStatus	status;
	TimestampTz created_at;
	int			user_cap;		/* in users; -1: unlimited, a production instance */

	/* rows whose triggers have not fired yet, see admission_required() */
	Oid			queued_relid;
	LocalTransactionId queued_lxid;
	uint64		queued;
	uint64		queued_limit;	/* look once so many are queued */

	/* the last command whose rows were all admitted, see user_cap.c */
	Oid			admitted_relid;
	TransactionId admitted_xid;
	CommandId	admitted_cid;
} IenvInstance;

/* registry.c: OIDs of the extension's objects */
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
	Oid			identity_key;
	Oid			departed_user;
	Oid			departed_user_identity;
	Oid			types[2];		/* enum labels, by IenvType */
	Oid			statuses[3];	/* enum labels, by IenvStatus */
	Oid			functions[IENV_TRIGGERS];	/* by place in ienv_trigger_kinds */
} IenvOids;

/* what ienv_leave_owner() needs */
typedef struct IenvOwner
{
	Oid			userid;
	int			sec_context;
} IenvOwner;

extern const IenvOids *ienv_oids(void);
extern void ienv_become_owner(IenvOwner *saved);
extern void ienv_leave_owner(const IenvOwner *saved);
extern bool ienv_is_known_production(const pg_uuid_t *id);
extern IenvInstance *ienv_instance_by_id(const pg_uuid_t *id);
extern IenvInstance *ienv_instance_by_value(Datum value, bool is_uuid, bool fresh);
extern const uint64 *ienv_identity_secret(void);

/*
 * production.c: the ids of active production instances, for registry.c
 */
extern bool ienv_production_known(const pg_uuid_t *id);
extern void ienv_production_remember(const pg_uuid_t *id);
extern void ienv_production_forget(void);

/*
 * registry_read.c: reading the registry's tables, for registry.c
 */
extern bool ienv_read_instance(const char *data, int len, bool is_uuid, IenvInstance *instance);
extern bool ienv_query_instance(const char *data, int len, bool is_uuid, IenvInstance *instance);

/*
 * relation.c: what the triggers of a relation say about it
 */
typedef struct IenvGuard
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
	Oid			key_output;		/* its type's output function */
	Oid			key_hash;		/* its type's extended hash function, or InvalidOid:
								 * equal keys have the same text */
	uint64		version;		/* of the triggers that take tickets, see below */
	uint64		tree_version;	/* of root: of those of all its partitions */
	bool		tree_valid;		/* tree_version has been computed */
	uint64		secret[2];		/* what label_key was derived from; 0: not yet */
	uint64		label_key[2];
	Oid			instance_index; /* InvalidOid: none that serves */
	Oid			key_index;
	char	   *label;			/* which identities: the table's first name */
} IenvGuard;

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
extern List *ienv_guarded_roots(void);

/*
 * partition.c: the partitions of a guarded table
 */
extern uint64 ienv_guard_version(const IenvGuard *guard);
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
	Buffer		visibility;		/* a page of the visibility map, or invalid */
	Buffer		buffer;			/* one of the table that ienv_scan_count() has pinned, or invalid */
	TupleTableSlot *slot;		/* the version that ienv_scan_next() found */
} IenvScan;

extern void ienv_scan_begin(IenvScan *scan, Relation heap, Oid index, AttrNumber attno, Datum value);
extern bool ienv_scan_next(IenvScan *scan);
extern bool ienv_scan_count(IenvScan *scan, Snapshot snapshot, IenvVersion *version);
extern void ienv_scan_end(IenvScan *scan);
extern void ienv_classify(TupleTableSlot *slot, Snapshot snapshot, IenvVersion *version);
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
	uint64		version;		/* of its triggers */
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
extern IenvBucket *ienv_bucket_of(const IenvBoundKey *key);
extern void ienv_take_tickets(IenvBucket *bucket, int64 n);
extern bool ienv_bound_admits(IenvBucket *bucket, const IenvBoundKey *key, int64 limit);
extern void ienv_count_begins(IenvBucket *bucket, IenvCountMark *mark);
extern void ienv_count_has_snapshot(IenvBucket *bucket, IenvCountMark *mark);
extern void ienv_store_base(IenvBucket *bucket, const IenvBoundKey *key, const IenvCountMark *mark,
							int64 rows);
extern void ienv_leave(IenvBucket *bucket);
extern void ienv_have_left(IenvBucket *bucket, const IenvBoundKey *key, int64 n);

/*
 * vacancy.c: seats that the transaction's own deletes free
 */
extern void ienv_vacate(const IenvGuard *guard, HeapTuple row, Datum value);
extern int64 ienv_vacated(const IenvBoundKey *key);

/*
 * user_cap.c, seats.c: admission
 */
extern IenvInstance *ienv_admit(const IenvGuard *guard, IenvInstance *instance, Datum value,
								IenvBucket *bucket, int64 expected, bool early, bool *counted);
extern bool ienv_only_moved(const IenvGuard *guard, Datum value);
extern int64 ienv_user_count(const IenvGuard *guard, Datum value, int64 limit);

/*
 * shared.c: shared memory
 */
extern void ienv_shared_init(void);
extern IenvBucket *ienv_shared_buckets(int *n);
extern pg_atomic_uint64 *ienv_shared_departures(void);

/*
 * identity.c: who a user is
 */
extern void ienv_identity_prepare(IenvGuard *guard);
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
extern bool ienv_arrival_suspect(FunctionCallInfo fcinfo, bool is_uuid);
extern bool ienv_may_insert(const IenvGuard *guard);
extern void ienv_check_arrival(IenvGuard *guard, Datum value, Datum key);

/*
 * departure.c: recording departures
 */
extern bool ienv_departure_queued(void);
extern void ienv_departure_fired(void);
extern void ienv_depart(IenvGuard *guard, Datum value, Datum key);

/*
 * guard.c, guard_columns.c, guard_triggers.c, guard_rows.c, guard_reference.c, ddl.c: what is
 * attached to a table
 */
extern bool ienv_creating_trigger;
extern void ienv_make_triggers(const IenvGuard *guard, int missing, int asleep);
extern List *ienv_own_triggers(Relation rel);
extern void ienv_drop_triggers(Oid relid, List *names);
extern Relation ienv_open_owned(Oid relid, LOCKMODE lockmode);
extern char *ienv_free_label(Oid relid);
extern AttrNumber ienv_find_column(Relation rel, const char *name);
extern void ienv_check_instance_column(Relation rel, AttrNumber attno);
extern void ienv_check_user_key(Relation rel, const IenvGuard *guard);
extern AttrNumber ienv_default_user_key(Relation rel, AttrNumber instance_attno);
extern int	ienv_triggers_for(Relation rel, const IenvGuard *guard);
extern void ienv_check_rows(const IenvGuard *guard);
extern void ienv_make_reference(Oid relid, AttrNumber instance_attno, AttrNumber user_attno,
								Oid user_table);
extern List *ienv_loose_references(const IenvGuard *guard);
extern void ienv_guard_partitions(Oid relid);

/*
 * application.c, application_drop.c: applications and their instances
 */
typedef struct IenvApplication
{
	char	   *name;
	Datum		instances[2];	/* ids, by IenvType */
	char	   *status[2];
} IenvApplication;

extern IenvApplication ienv_lock_application(Datum id);
extern Datum ienv_application_jsonb(Datum application);
extern void ienv_require_application(uint64 processed, Datum application);
extern List *ienv_lock_guarded_tables(void);

/*
 * instance.c: instances, their caps and statuses
 */
extern IenvInstance ienv_require_instance(Datum id);
extern IenvInstance ienv_lock_instance(Datum id, char **status);
extern void ienv_config_changed(Datum instance);
extern void ienv_set_user_cap(const char *action, Datum instance, int user_cap);

/*
 * cache.c: what a backend has read from the registry's other tables
 */
#define IENV_CACHE_TABLES 4

typedef struct IenvCache
{
	const char *name;
	Size		keysize;
	Size		entrysize;		/* an entry begins with its key, which has no padding */
	int			max_entries;	/* a full cache is emptied */
	const char *tables[IENV_CACHE_TABLES];	/* the cache is emptied when one of them changes */

	/* private to cache.c, zero at first */
	Oid			relids[IENV_CACHE_TABLES];
	bool		valid;
	uint64		changed;		/* when, by ienv_news_time() */
	MemoryContext context;		/* what entries point to; reset with the cache */
	HTAB	   *entries;
	struct IenvCache *next;
} IenvCache;

extern uint64 ienv_news_time(void);
extern void *ienv_cache_find(IenvCache *cache, const void *key);
extern uint64 ienv_cache_time(IenvCache *cache);
extern void *ienv_cache_enter(IenvCache *cache, const void *key, uint64 since);

/*
 * change.c: what promote() and rollback_promotion() report
 */
typedef struct IenvChange
{
	const char *step;
	const char *item;
	Datum		before;			/* jsonb, or 0 for null */
	Datum		after;
} IenvChange;

extern List *ienv_add_change(List *changes, const char *step, const char *item, Datum before, Datum after);
extern List *ienv_add_changes(List *changes, const char *step);
extern void ienv_record_changes(const char *action, Datum application, Datum instance, const List *changes);
extern void ienv_return_changes(FunctionCallInfo fcinfo, const List *changes);
extern Datum ienv_changes_jsonb(const List *changes);

/*
 * clone.c: carrying an instance's configuration over to another
 */
extern List *ienv_clone_configuration(Datum source, Datum target);
extern Datum ienv_configuration(Datum instance);
extern List *ienv_restore_configuration(Datum instance, Datum snapshot);

/*
 * rehearse.c: dry runs
 */
extern void ienv_rehearse(void (*act) (FunctionCallInfo fcinfo), FunctionCallInfo fcinfo);

/*
 * validate.c: what stands between an instance and production
 */
typedef enum IenvSeverity
{
	IENV_INFO,
	IENV_WARNING,
	IENV_ERROR
} IenvSeverity;

typedef struct IenvCheck
{
	const char *name;
	IenvSeverity severity;
	bool		passed;
	const char *message;
	const char *hint;			/* NULL if there is nothing to do */
	int			sqlstate;		/* what a refusal for this reason has; 0 if it refuses nothing */
} IenvCheck;

extern List *ienv_validate(Datum instance, bool clone_settings);

/*
 * guard_list.c: whether a guard is whole
 */
extern List *ienv_guard_problems(Relation rel, const IenvGuard *guard, int present, int disabled);

/*
 * staging.c: environments that are applications of their own
 */
extern IenvType ienv_environment_type(const char *name);

/*
 * setting.c: the settings of instances
 */
extern bool ienv_change_setting(const char *action, Datum instance, const char *name, Datum value,
								Datum *before);
extern void ienv_require_section(const char *name);

/*
 * export.c: an instance's configuration as a document
 */
extern Datum ienv_exported(Datum instance, bool stable);
extern void ienv_check_document(Datum document);

/*
 * event.c: the audit log
 */
extern void ienv_record_event(const char *action, const pg_uuid_t *application, const pg_uuid_t *instance,
							  const char *item, Datum before, Datum after);
extern void ienv_record_returned(const char *action, const pg_uuid_t *application,
								 const pg_uuid_t *instance, const char *item);

/*
 * domain_rule.c: which names can be domains
 */

/* RFC 1035, section 2.3.4, less the length bytes */
#define IENV_MAX_LABEL		63
#define IENV_MAX_DOMAIN		253

/* What keys begin with, all in as many bytes */
#define IENV_PK_TEST		"pk_test_"
#define IENV_PK_LIVE		"pk_live_"
#define IENV_SK_TEST		"sk_test_"
#define IENV_SK_LIVE		"sk_live_"
#define IENV_KEY_PREFIX		8

/* Below it development instances have their names. */
#define IENV_DEVELOPMENT_DOMAIN "accounts.dev"

extern const char *ienv_domain_problem(const char *name);
extern void ienv_check_domain(const char *name);
extern const char *ienv_domain_root(const char *name);
extern bool ienv_is_hosting_name(const char *name);
extern bool ienv_is_vendor_name(const char *name);
extern bool ienv_is_reserved_name(const char *name);
extern bool ienv_is_ip_address(const char *name);

/*
 * domain.c: the domains of production instances
 */
extern void ienv_associate_domain(Datum instance, const char *name, bool is_primary);
extern void ienv_require_production(Datum instance, char **status);
pg_noreturn extern void ienv_refuse_no_domain(Datum instance);
pg_noreturn extern void ienv_refuse_unassociated(Datum instance, const char *name);

/*
 * dns.c: the DNS records that domains need
 */
extern void ienv_make_dns_records(Datum instance, const char *domain, bool is_primary);

/*
 * slug.c: names of development instances
 */
extern char *ienv_random_slug(int attempt);

/*
 * host_name.c: hosts as browsers send them
 */
extern void ienv_parse_host(const text *value, char *host);

/*
 * social.c, social_trigger.c: social connections
 */
pg_noreturn extern void ienv_report_shared_in_production(Datum instance, const char *provider);
pg_noreturn extern void ienv_report_shared_scopes(void);
extern int	ienv_errconnection(void);

/*
 * feature.c, feature_use.c: features and plans
 */
extern void ienv_require_feature(Datum instance, const char *feature);
pg_noreturn extern void ienv_report_unknown_feature(const char *feature);

/*
 * policy.c, policy_set.c: what applies to an instance
 */
extern Datum ienv_policy(Datum instance, const char *name, Oid type, bool *isnull);
extern bool ienv_numeric_is_int(Numeric numeric, int32 *value);

/*
 * url.c: URLs
 */
extern char *ienv_url_scheme(const char *url);

/*
 * sql.c: SQL through SPI
 */
extern char *ienv_sql_name(Oid relid);
extern void ienv_execute(const char *fmt,...) pg_attribute_printf(1, 2);
extern uint64 ienv_query(const char *sql, int nargs, const Oid *types, const Datum *values,
						 const char *nulls);
extern uint64 ienv_query_latest(const char *sql, int nargs, const Oid *types, const Datum *values,
								const char *nulls);
extern uint64 ienv_query_active(const char *sql, int nargs, const Oid *types, const Datum *values,
								const char *nulls);
extern uint64 ienv_write_latest(const char *sql, int nargs, const Oid *types, const Datum *values);
extern void ienv_return_rows(FunctionCallInfo fcinfo);
extern Datum ienv_jsonb(const char *json);

/*
 * error.c: errors that more than one module raises, and the manners of triggers
 */
extern TriggerData *ienv_check_trigger(FunctionCallInfo fcinfo, const char *funcname,
									   TriggerEvent when);
extern IenvGuard *ienv_trigger_guard(TriggerData *trigdata, const char *funcname);
extern IenvInstance *ienv_require_active(const IenvGuard *guard, Datum value, bool isnull,
										 bool fresh);
pg_noreturn extern void ienv_report_unguarded_partition(Oid relid, Oid root);
extern int	ienv_errguard(const IenvGuard *guard, const char *constraint);
extern char *ienv_instance_text(Datum value, bool is_uuid);
extern char *ienv_quoted_name(Oid relid);
extern void ienv_require_argument(FunctionCallInfo fcinfo, int n, const char *name);
extern const char *ienv_clipped(const char *text);
extern char *ienv_require_text(FunctionCallInfo fcinfo, int n, const char *name, int max_length);

#endif							/* INSTANCE_ENV_H */
