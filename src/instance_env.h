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
#include "commands/trigger.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"
#include "utils/numeric.h"
#include "utils/rel.h"
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

/* how a table is guarded: see guard.h */
typedef struct IenvGuard IenvGuard;

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
	Oid			departure_queued;	/* the function */
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
extern void ienv_require_known(const IenvGuard *guard, Datum value);
pg_noreturn extern void ienv_report_unguarded_partition(Oid relid, Oid root);
extern int	ienv_errguard(const IenvGuard *guard, const char *constraint);
extern char *ienv_instance_text(Datum value, bool is_uuid);
extern char *ienv_quoted_name(Oid relid);
extern void ienv_require_argument(FunctionCallInfo fcinfo, int n, const char *name);
extern const char *ienv_clipped(const char *text);
extern char *ienv_require_text(FunctionCallInfo fcinfo, int n, const char *name, int max_length);

#endif							/* INSTANCE_ENV_H */
