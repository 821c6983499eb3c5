/*-------------------------------------------------------------------------
 *
 * secret.c
 *	  Secrets are not stored.
 *
 * What is stored is read by whoever may read a setting, and goes into the
 * audit log and into each dump.  So functions that store a text that people
 * write refuse one that contains a secret of a known form (secret_form.c).
 * Only functions check, no constraint does: a dump from before a form became
 * known can be restored, and what it contains can be removed.
 *
 * No message repeats any part of what was refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/jsonb.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "registry/registry.h"

/* What a secret key of the service has after its prefix, at least */
#define MIN_OWN_KEY		16

/* The length of the private part of a key, at least */
#define MIN_PRIVATE		16

static const char *secret_form(const char *text, size_t length);
static bool has_own_key(const char *text, size_t length, const char *prefix);
static bool in_word(char c);
static bool is_key(const JsonbValue *key, const char *name);

/*
 * Refuse a text that contains a secret.  where says what the text is, as the
 * beginning of a message: argument "client_id".
 */
void
ienv_refuse_secret(const char *text, const char *where)
{
	const char *form = secret_form(text, strlen(text));

	if (form != NULL)
		ienv_report_secret(where, form);
}

/*
 * The same for each string and each key in a JSON value, and for private keys
 * as JSON objects (JWK): these have "kty", and before it, since shorter keys
 * come first, the private part as "d" or "k".
 */
void
ienv_refuse_secrets(Datum jsonb, const char *where)
{
	JsonbIterator *it = JsonbIteratorInit(&DatumGetJsonbP(jsonb)->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		private = false;	/* has this object such a part? */
	bool		part = false;	/* is its value next? */

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		const char *form = NULL;

		CHECK_FOR_INTERRUPTS();
		if (token == WJB_BEGIN_OBJECT || token == WJB_END_OBJECT)
			private = false;
		private = private || (token == WJB_VALUE && part &&
							  value.type == jbvString &&
							  value.val.string.len >= MIN_PRIVATE);
		part = token == WJB_KEY && (is_key(&value, "d") || is_key(&value, "k"));
		if (private && token == WJB_KEY && is_key(&value, "kty"))
			ienv_report_secret(where, "a private key");
		if (token == WJB_KEY ||
			((token == WJB_VALUE || token == WJB_ELEM) &&
			 value.type == jbvString))
			form = secret_form(value.val.string.val, value.val.string.len);
		if (form != NULL)
			ienv_report_secret(where, form);
	}
}

/*
 * Raise the error.  Neither message nor detail contains what was refused, and
 * the caller must not have put it into where.
 */
void
ienv_report_secret(const char *where, const char *form)
{
	ereport(ERROR,
			(errcode(ERRCODE_IENV_SECRET_REFUSED),
			 errmsg("%s looks like a secret", where),
			 errdetail("It contains what looks like %s. Secrets are not stored here, only where to find them.",
					   form),
			 errhint("Keep the secret in the environment or in a secret store, and give a reference such as \"env:GOOGLE_SECRET\" or \"vault:shop/google\". Replace the secret if the statement was logged.")));
}

/*
 * What kind of secret a text contains, or NULL: one of a known form, or a
 * secret key of the service, whatever prefix these have.
 */
static const char *
secret_form(const char *text, size_t length)
{
	const IenvService *service = ienv_service();

	for (int type = 0; type < 2; type++)
		if (has_own_key(text, length, service->secret[type]))
			return "a secret key";
	return ienv_secret_form(text, length);
}

/*
 * Does a text contain a secret key with this prefix?  It begins where a word
 * does: "task_test_..." is none.
 */
static bool
has_own_key(const char *string, size_t length, const char *prefix)
{
	size_t		skip = strlen(prefix);
	size_t		run = 0;

	for (size_t i = 0; i + skip <= length; i++)
	{
		if (memcmp(string + i, prefix, skip) != 0 ||
			(i > 0 && in_word(string[i - 1])))
			continue;
		for (run = 0; i + skip + run < length &&
			 in_word(string[i + skip + run]); run++)
			if (run + 1 >= MIN_OWN_KEY)
				return true;
	}
	return false;
}

static bool
in_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9');
}

static bool
is_key(const JsonbValue *key, const char *name)
{
	return key->val.string.len == strlen(name) &&
		memcmp(key->val.string.val, name, strlen(name)) == 0;
}
