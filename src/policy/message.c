/*-------------------------------------------------------------------------
 *
 * message.c
 *	  What an application asks before it sends an e-mail or an SMS.
 *
 * consume_message() is SECURITY DEFINER with a pinned search_path.  How
 * messages are counted is in message_count.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "base/base.h"
#include "policy/policy.h"
#include "registry/registry.h"

/* in bytes: a local part, the sign, and a domain */
#define MAX_ADDRESS		320

static void require_active(Datum instance);
pg_noreturn static void refuse(Datum instance, const IenvChannel *channel,
							   const IenvMessageCount *count);
static char *month_text(DateADT month);

PG_FUNCTION_INFO_V1(instance_env_consume_message);

/*
 * consume_message(instance uuid, channel text, address text) RETURNS boolean
 *
 * True if the message is to be sent: it is counted, if the transaction
 * commits.  False if nothing is to be sent, since the address is a test
 * identity; that writes nothing.
 */
Datum
instance_env_consume_message(PG_FUNCTION_ARGS)
{
	Datum		instance;
	const IenvChannel *channel;
	IenvMessageCount count;

	ienv_require_argument(fcinfo, 0, "instance");
	instance = PG_GETARG_DATUM(0);
	channel = ienv_require_channel(fcinfo, 1);
	(void) ienv_require_text(fcinfo, 2, "address", MAX_ADDRESS);

	require_active(instance);
	if (ienv_is_test_identity(instance, PG_GETARG_TEXT_PP(2)))
		PG_RETURN_BOOL(false);
	PreventCommandIfReadOnly("consume_message()");
	if (!(ienv_registry_is_distributed() ?
		  ienv_count_message_by_sql(instance, channel, &count) :
		  ienv_count_message(instance, channel, &count)))
		refuse(instance, channel, &count);
	PG_RETURN_BOOL(true);
}

/*
 * Refuse to send for an instance that is suspended, or that has not been
 * promoted.
 */
static void
require_active(Datum instance)
{
	const IenvInstance *known = ienv_instance_by_value(instance, true, false);
	IenvStatus	status;

	if (known != NULL && known->status == IENV_ACTIVE)
		return;
	status = ienv_require_instance(instance).status;
	if (status == IENV_ACTIVE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_IENV_INSTANCE_NOT_ACTIVE),
			 errmsg("instance %s is not active",
					ienv_instance_text(instance, true)),
			 status == IENV_SUSPENDED ?
			 errdetail("The instance is suspended, and sends no messages.") :
			 errdetail("The production instance has not been promoted, and sends no messages."),
			 status == IENV_SUSPENDED ?
			 errhint("Resume it with instance_env.resume_instance().") :
			 errhint("Promote its application with instance_env.promote().")));
}

static void
refuse(Datum instance, const IenvChannel *channel,
	   const IenvMessageCount *count)
{
	IenvTestIdentities which;
	const char *hint = psprintf("Raise the limit with instance_env.set_policy(), policy \"%s\".", channel->policy);
	const char *next = month_text(count->month + 31);

	if (ienv_test_identities(instance, &which))
		hint = psprintf("Use a test identity, whose messages are neither sent nor counted. %s", hint);
	ereport(ERROR,
			(errcode(ERRCODE_IENV_MESSAGE_QUOTA),
			 errmsg_plural("instance %s has reached its limit of %d %s message per month",
						   "instance %s has reached its limit of %d %s messages per month",
						   count->limit, ienv_instance_text(instance, true),
						   count->limit, channel->noun),
			 count->sent >= count->limit ?
			 errdetail("It has sent %lld since %s. The count begins anew on %s, at midnight UTC.",
					   (long long) count->sent, month_text(count->month), next) :
			 errdetail("It has sent %lld since %s, and transactions that began earlier are about to send the others. The count begins anew on %s, at midnight UTC.",
					   (long long) count->sent, month_text(count->month), next),
			 errhint("%s", hint)));
}

/*
 * The first day of the month that has this day, whatever DateStyle is.
 */
static char *
month_text(DateADT day)
{
	int			year;
	int			month;
	int			day_of_month;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &day_of_month);
	return psprintf("%04d-%02d-01", year, month);
}
