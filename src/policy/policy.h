/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  What applies to an instance besides its cap.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_POLICY_H
#define IENV_POLICY_H

#include "utils/date.h"
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

/*
 * channel.c: what an instance sends messages by
 */
typedef struct IenvChannel
{
	const char *name;
	const char *policy;			/* how many messages in a month */
	const char *noun;			/* what a message is called */
} IenvChannel;

extern const IenvChannel ienv_channels[];	/* ends with a name of NULL */

extern const IenvChannel *ienv_require_channel(FunctionCallInfo fcinfo,
											   int n);

/*
 * message_count.c: counting messages
 */
typedef struct IenvMessageCount
{
	DateADT		month;			/* its first day */
	int			limit;
	int64		sent;			/* in that month, without other open
								 * transactions */
} IenvMessageCount;

extern bool ienv_count_message(Datum instance, const IenvChannel *channel,
							   IenvMessageCount *count);
extern void ienv_stop_messages(Datum instance);
extern DateADT ienv_message_month(void);

/*
 * message_count_sql.c: the same on a cluster
 */
extern bool ienv_count_message_by_sql(Datum instance,
									  const IenvChannel *channel,
									  IenvMessageCount *count);

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
