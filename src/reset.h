/*-------------------------------------------------------------------------
 *
 * reset.h
 *	  What the files of reset_development() share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_RESET_H
#define IENV_RESET_H

#include "instance_env.h"

/* A guarded table that is to be emptied of an instance's rows */
typedef struct IenvResetTable
{
	Oid			relid;
	List	   *tree;			/* it and its partitions */
	bool		refers_to_itself;	/* by a foreign key that does not cascade */
	bool		placed;			/* has its place in the order */
	char	   *condition;		/* of its rows: $1 is the instance, $2 its external key */
	int64		rows;			/* how many there are, at most */
	int64		deleted;
} IenvResetTable;

/*
 * reset_order.c
 */
extern List *ienv_reset_order(void);

#endif							/* IENV_RESET_H */
