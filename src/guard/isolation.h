/*-------------------------------------------------------------------------
 *
 * isolation.h
 *	  What the files of isolate() share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_ISOLATION_H
#define IENV_ISOLATION_H

#include "guard/guard.h"
#include "nodes/pg_list.h"

/*
 * The names of the policies that isolate() makes.  The restrictive one has the
 * second name if isolate() has also forced row-level security on the owner;
 * the permissive one says that isolate() has enabled it.  So unisolate() knows
 * what to undo, in a restored database, too.
 */
#define IENV_POLICY_RESTRICTS		"instance_env_isolation"
#define IENV_POLICY_RESTRICTS_OWNER	"instance_env_isolation_owner"
#define IENV_POLICY_PERMITS			"instance_env_access"

/* What the policies of a relation say about its isolation */
typedef struct IenvIsolation
{
	AttrNumber	attno;			/* the column by which rows are restricted; 0:
								 * they are not */
	char	   *policy;			/* the name of the policy that does so */
	List	   *altered;		/* names of policies that are called as ours
								 * is, and are something else */
	AttrNumber	permits;		/* the column of our permissive policy; 0:
								 * there is none */
	bool		others_permit;	/* there are other permissive policies */
	bool		others;			/* there are other policies of any kind */
	bool		enabled;		/* row-level security, for all but the owner */
	bool		forced;			/* and for the owner */
} IenvIsolation;

/*
 * isolation_policy.c: writing and reading a relation's policies
 */
extern void ienv_read_isolation(Oid relid, IenvIsolation *isolation);
extern bool ienv_is_forced_by_us(const IenvIsolation *isolation);
extern char *ienv_isolation_condition(Oid relid, AttrNumber attno);

/*
 * isolation_make.c: isolating one relation, and undoing it
 */
extern void ienv_isolate_relation(IenvReport *report, Oid relid,
								  const char *column, bool owner);
extern bool ienv_unisolate_relation(Oid relid);

#endif							/* IENV_ISOLATION_H */
