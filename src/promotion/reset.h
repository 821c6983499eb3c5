/*-------------------------------------------------------------------------
 *
 * reset.h
 *	  What the files of reset_development() share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_RESET_H
#define IENV_RESET_H

#include "base/base.h"

/* A guarded table that is to be emptied of an instance's rows */
typedef struct IenvResetTable
{
	Oid			relid;
	char	   *name;			/* qualified, quoted for messages */
	List	   *tree;			/* it and its partitions */
	bool		refers_to_itself;	/* by a foreign key that does not cascade */
	bool		placed;			/* has its place in the order */
	char	   *condition;		/* of its rows: $1 is the instance, $2 its
								 * external key */
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
	const IenvResetTable *current;	/* the table that an error is about, or
									 * NULL */
} IenvReset;

/*
 * No statement waits longer for a lock, in milliseconds, unless the session
 * has a lock_timeout.
 */
#define IENV_RESET_LOCK_WAIT 5000

/*
 * reset_order.c
 */
extern List *ienv_reset_order(void);

/*
 * reset_rows.c
 */
extern void ienv_reset_prepare(IenvReset *reset, IenvResetTable *table);
extern uint64 ienv_reset_query(IenvReset *reset, const List *tables,
							   const char *sql);
extern bool ienv_reset_has_rows(IenvReset *reset, IenvResetTable *table);
extern void ienv_reset_context(void *arg);

/*
 * reset_triggers.c
 */
extern void ienv_check_deletion(const List *tables, Oid owner);

#endif							/* IENV_RESET_H */
