/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  What applies to an instance besides its cap.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_POLICY_H
#define IENV_POLICY_H

#include "utils/numeric.h"

#include "base/base.h"

/*
 * policy.c: what applies to an instance
 */
extern Datum ienv_policy(Datum instance, const char *name, Oid type,
						 bool *isnull);
extern bool ienv_numeric_is_int(Numeric numeric, int32 *value);

/*
 * visible.c: what a person sees of a text
 */
typedef struct IenvSight
{
	bool		visible;		/* it has a letter or a digit, of any script */
	bool		hidden;			/* it has characters that show nothing, or
								 * reverse others */
} IenvSight;

extern IenvSight ienv_sight_of(const char *text, int length);

#endif							/* IENV_POLICY_H */
