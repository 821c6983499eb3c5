/*-------------------------------------------------------------------------
 *
 * registry.h
 *	  Applications and their instances: storing them, finding them, and
 *	  privileges.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_REGISTRY_H
#define IENV_REGISTRY_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/base.h"

/*
 * instance_lookup.c: a backend's cache of instances
 */

/* Policy user_cap_thresholds: how many there can be, and the highest one */
#define IENV_MAX_THRESHOLDS		8
#define IENV_MAX_THRESHOLD		1000

/* How many bytes of a coded id tell its instance: the last ones */
#define IENV_CODE_BYTES			5

typedef struct IenvInstance
{
	pg_uuid_t	id;
	uint8		code[IENV_CODE_BYTES];	/* of its coded ids */
	IenvType	type;
	IenvStatus	status;
	TimestampTz created_at;
	int			user_cap;		/* in users; -1: unlimited, a production
								 * instance */
	bool		soft;			/* the cap only warns */
	uint8		nthresholds;
	int16		thresholds[IENV_MAX_THRESHOLDS];	/* in percent of the cap,
													 * ascending */
} IenvInstance;

extern void ienv_hear_news(void);
extern IenvInstance *ienv_instance_by_id(const pg_uuid_t *id);
extern IenvInstance *ienv_instance_by_value(Datum value, bool is_uuid,
											bool fresh);

/*
 * Is this an id of the form that new_user_id() makes (version 8, variant 10)
 * for the instance with this code?
 */
static inline bool
ienv_id_has_code(const pg_uuid_t *id, const uint8 *code)
{
	const uint8 *end = id->data + UUID_LEN - IENV_CODE_BYTES;

	/* a compiler calls no function to compare four bytes */
	return (id->data[6] & 0xf0) == 0x80 && (id->data[8] & 0xc0) == 0x80 &&
		memcmp(end, code, 4) == 0 && end[4] == code[4];
}

/*
 * Is this an id of that form, for whichever instance?
 */
static inline bool
ienv_is_coded(const pg_uuid_t *id)
{
	return ienv_id_has_code(id, id->data + UUID_LEN - IENV_CODE_BYTES);
}

/*
 * coded_id.c: ids that carry their instance
 */
extern Datum ienv_new_user_id(const pg_uuid_t *instance);

/*
 * instance_code.c: what those ids end with
 */
extern const uint8 *ienv_code_of(const pg_uuid_t *instance);
extern bool ienv_instance_with_code(const uint8 *code, pg_uuid_t *instance);
extern bool ienv_same_code(const pg_uuid_t *a, const pg_uuid_t *b);
extern void ienv_require_free_code(const pg_uuid_t *instance,
								   const char *argument);
extern Datum ienv_draw_id(const Datum *other);

/*
 * known_production.c: the ids of active production instances
 */
typedef struct IenvLastProduction
{
	bool		valid;
	pg_uuid_t	id;
	const uint8 *code;
} IenvLastProduction;

extern IenvLastProduction ienv_last_production;

extern const uint8 *ienv_look_for_production(const pg_uuid_t *id);
extern void ienv_production_remember(const IenvInstance *instance);
extern void ienv_production_forget(void);

/*
 * The code of the instance with this id, if that is known to be an active
 * production instance, else NULL: a caller that finds out later can record it
 * with ienv_production_remember().  Valid until the next look-up.  Changes that
 * others have made count from the next ienv_hear_news() on.
 *
 * Rows tend to come in runs, so the last one is looked at first.
 */
static inline const uint8 *
ienv_known_production(const pg_uuid_t *id)
{
	if (likely(ienv_last_production.valid &&
			   memcmp(&ienv_last_production.id, id, UUID_LEN) == 0))
		return ienv_last_production.code;
	return ienv_look_for_production(id);
}

/*
 * instance_read.c: reading the registry's tables
 */
extern bool ienv_read_instance(const char *data, int len, bool is_uuid,
							   IenvInstance *instance);
extern Datum ienv_latest_external_key(const pg_uuid_t *id, bool missing_ok);
extern bool ienv_are_thresholds(Jsonb *value, IenvInstance *instance);

/*
 * rename.c: external keys that the current transaction has changed
 */
typedef struct IenvRename
{
	pg_uuid_t	instance;
	char	   *old_key;
	char	   *new_key;
	List	   *tables;			/* OIDs of the guarded tables locked for it */
	SubTransactionId subxact;	/* the rename stands if this one does */
} IenvRename;

extern List *ienv_renames(void);
extern void ienv_remember_rename(const pg_uuid_t *instance,
								 const char *old_key, const char *new_key,
								 const List *tables);
extern const IenvRename *ienv_last_rename(const pg_uuid_t *instance);
extern const IenvRename *ienv_rename_from(Datum key);
extern bool ienv_has_renamed(Datum from, Datum to);
extern void ienv_require_not_renamed(Datum instance);

extern void ienv_hear_of_rename(const pg_uuid_t *instance,
								const char *old_key, const char *new_key);

/*
 * node_task.c: what every node of a cluster is to do
 */
extern void ienv_on_each_node(const char *action, const char *item,
							  const char *before, const char *after);

/*
 * grant.c: who may call what
 */
extern void ienv_change_rights(const char *action, Oid roleid);
extern void ienv_repeat_grants(void);

/*
 * placement_views.c: the views on a node of a cluster
 */
extern void ienv_read_placements(void);
extern void ienv_release_placement(const char *schema, const char *name);

/*
 * join.c: nodes that have joined a cluster
 */
extern void ienv_join(const char *when);

/*
 * application.c: applications
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
extern void ienv_require_free_key(Datum key, const pg_uuid_t *instance);

/*
 * disclose.c: what a message may tell about an instance
 */
extern char *ienv_application_of(const pg_uuid_t *instance);
extern const char *ienv_application_sentence(Datum value, bool is_uuid);
extern int	ienv_errhint_view(const char *view, const char *hint);

/*
 * name.c: a backend's cache of names
 */
extern bool ienv_named_application(const text *name, pg_uuid_t *id);
extern bool ienv_named_production(const text *name, pg_uuid_t *id);

/*
 * find.c: finding what names stand for
 */
extern void ienv_find_application(FunctionCallInfo fcinfo);
extern void ienv_find_production(FunctionCallInfo fcinfo);
extern FunctionCallInfo ienv_copy_call(FunctionCallInfo fcinfo);

/*
 * Defines instance_env_FUNCTION_by_name(), which takes a name in place of the
 * id that instance_env_FUNCTION() takes; find is one of the first two above.
 * The executor evaluates a constant argument once for all rows, so the id must
 * not be put in the place of the name.
 */
#define IENV_BY_NAME(function, find) \
	PG_FUNCTION_INFO_V1(instance_env_##function##_by_name); \
	Datum \
	instance_env_##function##_by_name(PG_FUNCTION_ARGS) \
	{ \
		FunctionCallInfo copy = ienv_copy_call(fcinfo); \
		Datum		result; \
		\
		find(copy); \
		result = instance_env_##function(copy); \
		fcinfo->isnull = copy->isnull; \
		return result; \
	} \
	extern int	no_such_variable

/*
 * instance.c: instances and their statuses
 */
extern IenvInstance ienv_require_instance(Datum id);
extern IenvInstance ienv_lock_instance(Datum id, char **status);
extern Datum ienv_external_key(Datum instance);
extern void ienv_config_changed(Datum instance);

/*
 * service.c: the names of the service itself
 */
typedef struct IenvMailRecord
{
	char	   *record;			/* relative to the domain that needs it */
	char	   *target;			/* has IENV_INSTANCE_LABEL, or not */
} IenvMailRecord;

typedef struct IenvService
{
	char	   *development_domain; /* development instances are below it */
	char	  **domains;		/* others of the service's own */
	int			ndomains;
	char	   *frontend_api_label; /* of hosts below an instance's domain */
	char	   *frontend_api_target;	/* what its DNS record points to */
	char	   *portal_label;
	char	   *portal_target;
	IenvMailRecord *mail;
	int			nmail;
	char	   *oauth_callback_path;
	char	   *publishable[2]; /* prefixes of keys, by IenvType */
	char	   *secret[2];
	char	   *legacy[2];		/* NULL: none */
} IenvService;

/* Stands for the instance's own label in the target of a mail record */
#define IENV_INSTANCE_LABEL	"{instance}"

extern const IenvService *ienv_service(void);

/*
 * secret.c: secrets are not stored
 */
extern void ienv_refuse_secret(const char *text, const char *where);
extern void ienv_refuse_secrets(Datum jsonb, const char *where);
pg_noreturn extern void ienv_report_secret(const char *where, const char *form);

/*
 * slug.c: names of development instances
 */
extern char *ienv_random_slug(int attempt);

/*
 * privileges.c: what roles have been granted in the extension's schema
 */

/* Ends a condition on a catalog's column that holds the OID of a schema */
#define IENV_IN_SCHEMA " OPERATOR(pg_catalog.=) '" IENV_SCHEMA "'::pg_catalog.regnamespace"

extern Datum ienv_privileges_of(Oid roleid);
extern void ienv_record_privileges(const char *action, const char *role,
								   Oid roleid, Datum before);
extern uint64 ienv_revoke_all(Oid roleid);
extern void ienv_revoke_allowances(const char *role);
extern void ienv_delete_allowances(const char *action, const char *role,
								   Datum ids);

/*
 * trust.c: whose tables the administrative functions look at
 */
extern bool ienv_is_let_in(Oid role);
extern bool ienv_let_in(Oid owner);
extern void ienv_lock_rights(void);

#endif							/* IENV_REGISTRY_H */
