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
 * test_identity.c: addresses that are for tests only
 */
typedef struct IenvTestIdentities
{
	text	   *marker;			/* what ends the local part of an e-mail
								 * address, or NULL */
	text	   *numbers;		/* a regular expression for phone numbers, or
								 * NULL */
} IenvTestIdentities;

extern bool ienv_is_test_identity(Datum instance, const text *address);
extern bool ienv_test_identities(Datum instance, IenvTestIdentities *which);
extern bool ienv_matches_test_identity(const IenvTestIdentities *which,
									   const text *address);

#endif							/* IENV_POLICY_H */
