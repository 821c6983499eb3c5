/*-------------------------------------------------------------------------
 *
 * reset.h
 *	  What the files of reset_development() share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_RESET_H
#define IENV_RESET_H

#include "datatype/timestamp.h"

#include "base/base.h"

/* A guarded table that is to be emptied of an instance's rows */
typedef struct IenvResetTable
{
	Oid			relid;
	char	   *name;			/* qualified, quoted for messages */
	List	   *tree;			/* it and its partitions */
	bool		refers_to_itself;	/* by a foreign key that does not cascade */
	bool		placed;			/* has its place in the order */
	bool		counted;		/* it is a table of users */
	bool		distributed;	/* over the nodes of a cluster */
	char	   *condition;		/* of the rows to delete; for its arguments,
								 * see ienv_reset_query() */
	char	   *instance_condition; /* of the instance's rows */
	char	   *of_instance;	/* the same of a row d; NULL if the table is
								 * not guarded */
	char	   *address;		/* the column with addresses of users, or NULL */
	int64		rows;			/* how many there are, at most */
	int64		deleted;
} IenvResetTable;

/* One run of reset_development() */
typedef struct IenvReset
{
	pg_uuid_t	id;
	Datum		instance;		/* points to id */
	Datum		external_key;
	int			batch_size;
	bool		atomic;			/* the transaction is the caller's */
	int64		deleted;
	bool		some;			/* only some users, as the following says */
	char	   *only_users;		/* which kind of users, or NULL */
	char	   *older_than;		/* how old, for people, or NULL */
	TimestampTz created_before; /* the same */
	Datum		addresses;		/* text[], of those users; 0: none */
	Datum		locked_in;		/* oid[] and tid[]: the rows of users that */
	Datum		locked_at;		/* have been locked, by table and place */
	const IenvResetTable *current;	/* the table that an error is about, or
									 * NULL */
} IenvReset;

/* A foreign key between guarded tables */
typedef struct IenvTie
{
	IenvResetTable *from;
	IenvResetTable *to;
	char	   *name;
	char		action;			/* FKCONSTR_ACTION_, when a row is deleted */
	bool		whole;			/* it holds for all rows of "from" */
	int			n;
	AttrNumber	from_attnos[INDEX_MAX_KEYS];
	AttrNumber	to_attnos[INDEX_MAX_KEYS];
	Oid			operators[INDEX_MAX_KEYS];
	char	   *match;			/* a row of "from" refers to one of "to", in
								 * SQL */
} IenvTie;

/* A table some of whose rows are deleted along with users */
typedef struct IenvResetStep
{
	IenvResetTable *table;
	List	   *ties;			/* IenvTies to tables of earlier steps: a row
								 * goes if it refers to one that goes; NIL:
								 * the users themselves */
} IenvResetStep;

/*
 * No statement waits longer for a lock, in milliseconds, unless the session
 * has a lock_timeout.
 */
#define IENV_RESET_LOCK_WAIT 5000

/*
 * reset_report.c
 */
extern void ienv_reset_report(IenvReset *reset, IenvResetTable *table,
							  int64 n);
pg_noreturn extern void ienv_reset_refuse_kept_rows(const IenvReset *reset,
													const IenvResetTable *table);

/*
 * reset_order.c
 */
extern List *ienv_reset_order(void);
extern IenvResetTable *ienv_reset_table_of(List *tables, Oid relid);

/*
 * reset_rows.c
 */
extern void ienv_reset_look(IenvReset *reset, IenvResetTable *table);
extern const char *ienv_reset_in_shard(const IenvResetTable *table);
extern void ienv_reset_check_rights(const List *tables);
extern uint64 ienv_reset_query(IenvReset *reset, const List *tables,
							   const char *sql);
extern uint64 ienv_reset_query_beyond(IenvReset *reset, const List *tables,
									  const List *others, const char *sql);
extern bool ienv_reset_has_rows(IenvReset *reset, IenvResetTable *table);
extern void ienv_reset_context(void *arg);

/*
 * reset_triggers.c
 */
extern void ienv_check_deletion(const List *tables, Oid owner);
extern List *ienv_reset_reached(const List *tables);

/*
 * reset_ties.c
 */
extern List *ienv_read_ties(List *tables);
extern List *ienv_reset_steps(IenvResetTable *users, List *tables, List *ties);
extern void ienv_refuse_lost_ties(List *steps, List *tables, List *ties);

/*
 * reset_cascades.c
 */
extern void ienv_refuse_strangers(IenvReset *reset, List *tables, List *seeds,
								  const char *with, const char *rows);

/*
 * reset_choice.c
 */
extern void ienv_reset_read_options(FunctionCallInfo fcinfo,
									IenvReset *reset);
extern void ienv_reset_choose(const IenvReset *reset, IenvResetTable *table);
extern Datum ienv_reset_test_identities(IenvReset *reset,
										IenvResetTable *users);

/*
 * reset_users.c
 */
extern void ienv_reset_users(IenvReset *reset, List *tables);

#endif							/* IENV_RESET_H */
