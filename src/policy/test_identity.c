/*-------------------------------------------------------------------------
 *
 * test_identity.c
 *	  Which addresses are an instance's test identities: they sign in with
 *	  test_code, and nothing is ever sent to them.
 *
 * What makes an e-mail address or a phone number one of them is said by
 * policies, which are cached; a look at an address runs no SQL.
 *
 * The answer lets somebody sign in without having received anything, so it is
 * true only for what is surely one address of that form: an e-mail address
 * with one "@", or a phone number in international form.  A list of addresses,
 * or one with a display name, is none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/base.h"
#include "policy/policy.h"

/* as many digits as E.164 allows, and the plus sign */
#define MAX_NUMBER_LENGTH	16

static text *text_policy(Datum instance, const char *name);
static bool has_marker(const text *address, const text *marker);
static text *phone_number(const text *address);

PG_FUNCTION_INFO_V1(instance_env_is_test_identity);

/*
 * is_test_identity(instance uuid, address text) RETURNS boolean
 *
 * Any text may be given: one that is not an address is not a test identity.
 */
Datum
instance_env_is_test_identity(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "instance");
	ienv_require_argument(fcinfo, 1, "address");
	PG_RETURN_BOOL(ienv_is_test_identity(PG_GETARG_DATUM(0),
										 PG_GETARG_TEXT_PP(1)));
}

/*
 * Is this address one of the instance's test identities?  Error 23I03 if the
 * instance does not exist.  Takes no lock; the policies are the latest,
 * whatever the transaction's snapshot.
 */
bool
ienv_is_test_identity(Datum instance, const text *address)
{
	IenvTestIdentities which;

	return ienv_test_identities(instance, &which) &&
		ienv_matches_test_identity(&which, address);
}

/*
 * What the instance's test identities look like, for a caller that has many
 * addresses to look at; in the current memory context.  False if it has none,
 * perhaps because it does not accept any.
 */
bool
ienv_test_identities(Datum instance, IenvTestIdentities *which)
{
	bool		isnull;
	bool		accepted = DatumGetBool(ienv_policy(instance,
													"test_identities",
													BOOLOID, &isnull));

	which->marker = text_policy(instance, "test_email_marker");
	which->numbers = text_policy(instance, "test_phone_numbers");
	return !isnull && accepted &&
		(which->marker != NULL || which->numbers != NULL);
}

/*
 * Is this address one of them?
 */
bool
ienv_matches_test_identity(const IenvTestIdentities *which,
						   const text *address)
{
	text	   *number;

	if (which->marker != NULL && has_marker(address, which->marker))
		return true;
	if (which->numbers == NULL)
		return false;
	number = phone_number(address);

	/* which caches the compiled expression */
	return number != NULL &&
		DatumGetBool(DirectFunctionCall2Coll(textregexeq, C_COLLATION_OID,
											 PointerGetDatum(number),
											 PointerGetDatum(which->numbers)));
}

/*
 * The policy, or NULL if it is null or empty: an empty marker or expression
 * would match everybody.
 */
static text *
text_policy(Datum instance, const char *name)
{
	bool		isnull;
	Datum		value = ienv_policy(instance, name, TEXTOID, &isnull);

	if (isnull || VARSIZE_ANY_EXHDR(DatumGetPointer(value)) == 0)
		return NULL;
	return DatumGetTextPP(value);
}

/*
 * Is this an e-mail address whose local part ends with the marker?  Upper and
 * lower case of ASCII letters are the same, as they are to those who provide
 * mailboxes, and to applications that store addresses in lower case.
 */
static bool
has_marker(const text *address, const text *marker)
{
	const char *start = VARDATA_ANY(address);
	int			length = VARSIZE_ANY_EXHDR(address);
	int			marker_length = VARSIZE_ANY_EXHDR(marker);
	const char *at = memchr(start, '@', length);

	if (at == NULL || at - start < marker_length || at == start + length - 1 ||
		pg_strncasecmp(at - marker_length, VARDATA_ANY(marker),
					   marker_length) != 0)
		return false;
	for (int i = 0; i < length; i++)
	{
		unsigned char c = start[i];

		if (c <= ' ' || c == 0x7F || (c == '@' && start + i != at) ||
			c == '"' || c == '\\' || strchr("()<>,;:", c) != NULL)
			return false;
	}
	return true;
}

/*
 * A phone number without what people write between its digits, or NULL if this
 * is not one: it must have its country code, since that says whose it is.
 */
static text *
phone_number(const text *address)
{
	const char *start = VARDATA_ANY(address);
	const char *end = start + VARSIZE_ANY_EXHDR(address);
	char		number[MAX_NUMBER_LENGTH];
	int			n = 0;

	for (const char *p = start; p < end; p++)
	{
		if (strchr(" -().", *p) != NULL)
			continue;
		if (n == MAX_NUMBER_LENGTH ||
			!(n == 0 ? *p == '+' : *p >= '0' && *p <= '9'))
			return NULL;
		number[n++] = *p;
	}
	return n == 0 ? NULL : cstring_to_text_with_len(number, n);
}
