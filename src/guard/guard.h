/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  Guarding a table: guard() itself, the triggers that it creates, and DDL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_GUARD_H
#define IENV_GUARD_H

#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "utils/portal.h"

#include "table/table.h"

/*
 * condition.c: whether a condition's function is called by its trigger
 */

/*
 * What is known of the expression that calls a condition's function; in its
 * fn_extra.
 */
typedef struct IenvCondition
{
	bool		is_new;			/* it is called by a trigger, for a new row */
	bool		is_old;			/* the same for an old row */
	AttrNumber	instance_attno;
	int			nkeys;
	AttrNumber	key_attnos[IENV_MAX_KEY_COLUMNS];
	IenvGuard  *guard;			/* that these columns were found to be of */
	uint64		reading;		/* while it is this one */
} IenvCondition;

extern IenvGuard *ienv_find_condition_guard(FunctionCallInfo fcinfo,
											bool is_old);

/*
 * The guard of the table whose trigger's condition is being evaluated: for a
 * new row (instance, tableoid [, key...]), or, with is_old, for an old one
 * (instance, tableoid, ctid).  NULL if the function is called in any other
 * way, or if the table is not guarded by these columns: then the answer must
 * reveal nothing.
 */
static inline IenvGuard *
ienv_condition_guard(FunctionCallInfo fcinfo, bool is_old)
{
	IenvCondition *condition = (IenvCondition *) fcinfo->flinfo->fn_extra;

	/* as for most rows */
	if (likely(condition != NULL && condition->guard != NULL &&
			   condition->reading == condition->guard->reading &&
			   !PG_ARGISNULL(1) &&
			   condition->guard->relid == PG_GETARG_OID(1)))
		return condition->guard;
	return ienv_find_condition_guard(fcinfo, is_old);
}

/*
 * on_move.c: rows that are moved from one partition to another
 */
extern int64 ienv_moves_queued;

extern bool ienv_move_queued_now(void);

/*
 * Is a row on its way from one partition to another, with its new version yet
 * to be compared?
 */
static inline bool
ienv_move_queued(void)
{
	return unlikely(ienv_moves_queued > 0) && ienv_move_queued_now();
}

extern bool ienv_was_moved(Oid relid, ItemPointer tid);
extern bool ienv_check_moved(const IenvGuard *guard, TriggerData *trigdata,
							 bool *same_id);

/*
 * guard.c: guard() itself
 */
extern Relation ienv_open_owned(Oid relid, LOCKMODE lockmode);

/*
 * guard_relation.c: the relations that can be guarded
 */
extern void ienv_check_guardable(Relation rel);
extern void ienv_check_partitions(Oid relid);
extern void ienv_check_partition_rights(Oid relid);

/*
 * distributed.c: tables of a Citus cluster
 */
extern void ienv_check_distribution(const IenvGuard *guard);
extern void ienv_refuse_shard(Oid relid, const char *function);
extern void ienv_lock_on_nodes(Oid relid, const char *mode);
extern void ienv_let_in_on_nodes(Oid relid);
extern void ienv_allow_triggers(Oid relid);

/*
 * guard_columns.c: the columns that name the instance and the user
 */
extern void ienv_read_columns(FunctionCallInfo fcinfo, Relation rel,
							  IenvGuard *guard);
extern void ienv_choose_user_columns(FunctionCallInfo fcinfo, Relation rel,
									 const IenvGuard *guard,
									 IenvUserColumns *columns);

/*
 * guard_key.c: the user key that guard() follows
 */
extern void ienv_check_user_key(Relation rel, IenvGuard *guard);
extern void ienv_default_user_key(Relation rel, IenvGuard *guard);
extern void ienv_check_coded_key(Relation rel, IenvGuard *guard,
								 bool by_default);
extern int	ienv_primary_key(Relation rel, AttrNumber instance,
							 AttrNumber *attnos, bool *whole);

/*
 * guard_report.c: what guard() returns, says and records
 */
typedef struct IenvReport
{
	ReturnSetInfo *rsinfo;
	bool		changed;		/* something was not just found */
	StringInfoData text;		/* what was changed, for people */
	StringInfoData json;		/* the same, as elements of an array */
} IenvReport;

/* What was done about an object */
#define IENV_CREATED	"created"
#define IENV_ENABLED	"enabled"
#define IENV_FOUND		"found"
#define IENV_DROPPED	"dropped"
#define IENV_REPLACED	"replaced"
#define IENV_VALIDATED	"validated"

extern void ienv_begin_report(IenvReport *report, FunctionCallInfo fcinfo);
extern void ienv_report(IenvReport *report, const char *object,
						const char *name, Oid relid, const char *action);
extern void ienv_report_triggers(IenvReport *report, Relation rel,
								 const IenvGuard *guard, int missing,
								 int asleep, int replaced);
extern void ienv_report_partitions(IenvReport *report, Oid relid);
extern Datum ienv_guard_as_jsonb(const IenvGuard *guard, Oid user_table,
								 const char *repaired);

/*
 * guard_triggers.c: the triggers that a guard consists of
 */
extern const IenvGuard *ienv_making_triggers_of;

extern void ienv_make_triggers(const IenvGuard *guard, int missing,
							   int asleep);
extern void ienv_replace_triggers(const IenvGuard *guard, int bits);
extern List *ienv_own_triggers(Relation rel);
extern void ienv_drop_triggers(Oid relid, List *names);
extern int	ienv_triggers_for(Relation rel, const IenvGuard *guard);
extern void ienv_guard_partitions(Oid relid);
extern bool ienv_watches_truncate(const IenvGuard *guard);

/*
 * guard_rows.c: the checks of existing rows
 */
extern void ienv_check_rows(const IenvGuard *guard, bool guarded, Oid brought);

/*
 * guard_identities.c: the same of the users in these rows
 */

/* How many offenders an error or a warning names */
#define IENV_MAX_OFFENDERS	5

/* How many rows a cursor fetches at once */
#define IENV_FETCH_ROWS		1000

extern Portal ienv_open_rows(Oid relid, const char *sql);
extern void ienv_check_identities(const IenvGuard *guard);
extern void ienv_check_departed(const IenvGuard *guard, Oid relid);
extern int64 ienv_check_coded_rows(const IenvGuard *guard, Oid relid,
								   bool brought);

/*
 * guard_reference.c: data that refers to a user stays in the user's instance
 */
extern void ienv_make_reference(IenvReport *report, Oid relid,
								AttrNumber instance_attno, int n,
								const AttrNumber *user_attnos, Oid user_table);
extern void ienv_mend_reference(IenvReport *report, Oid relid,
								AttrNumber instance_attno, int n,
								const AttrNumber *user_attnos, Oid user_table);

/*
 * reference_rights.c: who may have it made
 */
extern const char *ienv_label_of_users(Oid relid, Oid user_table);

/*
 * reference.c: whether foreign keys see to that
 */
extern List *ienv_reference_problems(const IenvGuard *guard);
extern Oid	ienv_user_table_of(const IenvGuard *guard);

/*
 * guard_shards.c: the guards of a distributed table's shards
 */
extern List *ienv_shard_problems(List *problems, const IenvGuard *guard,
								 int present, int disabled);

/*
 * guard_list.c: whether a guard is whole
 */
extern List *ienv_guard_problems(Relation rel, const IenvGuard *guard,
								 int present, int disabled);

/*
 * isolation.c, isolation_list.c: roles see the rows of the entered instance
 * only
 */
extern void ienv_isolate_partition(Oid parent, Oid relid);
extern bool ienv_only_isolated(Oid relid);
extern void ienv_tell_isolated(Oid relid);
extern const char *ienv_isolation_of(Oid relid, AttrNumber attno,
									 List **problems);

/*
 * guard_lock.c: mutual exclusion of guarding a table and anything that must
 * know all guarded tables
 */
extern void ienv_begin_guarding(void);
extern void ienv_keep_from_guarding(void);

/*
 * destruction.c, ddl_drop.c, deletion_limit.c: parameters and hooks that keep
 * users of production from being destroyed
 */
extern void ienv_destruction_init(void);
extern void ienv_watch_drops(void);
extern void ienv_watch_deletes(void);

/*
 * ddl.c, ddl_trigger.c, ddl_expression.c: keeping DDL from undermining a guard
 */
extern bool ienv_sets_expression(Node *parsetree);
extern void ienv_check_new_expressions(CommandId since);
extern bool ienv_is_new_row(HeapTuple row);
extern void ienv_check_new_triggers(CommandId since);

#endif							/* IENV_GUARD_H */
