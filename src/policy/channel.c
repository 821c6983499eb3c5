/*-------------------------------------------------------------------------
 *
 * channel.c
 *	  The channels by which an instance sends messages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "policy/policy.h"

const IenvChannel ienv_channels[] = {
	{"email", "email_per_month", "e-mail"},
	{"sms", "sms_per_month", "SMS"},
	{NULL, NULL, NULL}
};

/*
 * An argument that is the name of a channel.
 */
const IenvChannel *
ienv_require_channel(FunctionCallInfo fcinfo, int n)
{
	char	   *name = ienv_require_text(fcinfo, n, "channel", IENV_MAX_WORD);

	for (const IenvChannel *channel = ienv_channels; channel->name != NULL;
		 channel++)
		if (strcmp(channel->name, name) == 0)
			return channel;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown channel \"%s\"", name),
			 errhint("The channels are \"email\", for an e-mail's subject, and \"sms\", for an SMS's text.")));
}
