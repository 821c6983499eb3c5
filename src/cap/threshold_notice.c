/*-------------------------------------------------------------------------
 *
 * threshold_notice.c
 *	  What is said when an instance passes a threshold of its cap.
 *
 * All of this happens when a transaction is about to commit, and must not make
 * it fail.
 *
 * Whoever can connect to the database can listen on the channel, so the
 * payload has nothing about users but their number.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "base/base.h"
#include "base/errcodes.h"
#include "cap/cap.h"
#include "registry/registry.h"
#include "table/table.h"

#define CHANNEL		IENV_SCHEMA

/*
 * A payload must be shorter than 8000 bytes; so many are for the name of an
 * application, and for that of a table.
 */
#define MAX_APPLICATION	4096
#define MAX_RELATION	2048

/* With the queue of notifications so full, committing might fail. */
#define FULL_QUEUE		0.9

static void append_json(StringInfo buf, const char *text, int room);
static const char *to_utf8(const char *text, bool *is_utf8);

/* The value of the instance column to name an instance by */
static inline Datum
value_of(const IenvGuard *guard, Datum value, const IenvInstance *instance)
{
	return guard->is_uuid ? UUIDPGetDatum(&instance->id) : value;
}

/*
 * Warn that an instance has reached this percentage of its cap.
 */
void
ienv_warn_of_threshold(const IenvGuard *guard, Datum value,
					   const IenvInstance *instance, int percent, int64 users)
{
	const char *application;

	value = value_of(guard, value, instance);
	application = ienv_application_sentence(value, guard->is_uuid);
	ereport(WARNING,
			(errcode(ERRCODE_IENV_USER_CAP_THRESHOLD),
			 errmsg("development instance %s has reached %d%% of its cap of %d in table %s",
					ienv_instance_text(value, guard->is_uuid), percent,
					instance->user_cap, ienv_quoted_name(guard->root)),
			 errdetail_plural("It has %lld user.%s", "It has %lld users.%s",
							  users, (long long) users, application),
			 errhint("Delete users, raise the cap with instance_env.set_user_cap(), or use the production instance."),
			 ienv_errguard(guard, IENV_USER_CAP)));
}

/*
 * Warn that an instance is over its soft cap; users is -1 if they were not
 * counted.
 */
void
ienv_warn_of_soft_cap(const IenvGuard *guard, Datum value,
					  const IenvInstance *instance, int64 users)
{
	const char *application;

	value = value_of(guard, value, instance);
	application = ienv_application_sentence(value, guard->is_uuid);
	ereport(WARNING,
			(errcode(ERRCODE_IENV_SOFT_CAP_EXCEEDED),
			 errmsg("development instance %s is over its soft cap of %d in table %s",
					ienv_instance_text(value, guard->is_uuid),
					instance->user_cap, ienv_quoted_name(guard->root)),
			 users < 0 ?
			 errdetail("It takes new users all the same.%s", application) :
			 errdetail_plural("It has %lld user, and takes new ones all the same.%s",
							  "It has %lld users, and takes new ones all the same.%s",
							  users, (long long) users, application),
			 errhint("Delete users, raise the cap with instance_env.set_user_cap(), or use the production instance."),
			 ienv_errguard(guard, IENV_USER_CAP)));
}

/*
 * Record that an instance has come to be over its soft cap; also if the
 * transaction has been made read-only since it added the users.
 */
void
ienv_record_soft_cap(const IenvGuard *guard, const IenvInstance *instance,
					 int64 before, int64 after)
{
	bool		read_only = XactReadOnly;

	XactReadOnly = false;
	PushActiveSnapshot(GetTransactionSnapshot());
	ienv_record_table_event("user_cap_exceeded", &instance->id, guard->root,
							ienv_jsonb(psprintf("%lld", (long long) before)),
							ienv_jsonb(psprintf("%lld", (long long) after)));
	PopActiveSnapshot();
	XactReadOnly = read_only;
}

/*
 * Notify those who listen that an instance has reached this percentage of its
 * cap; they learn of it when the transaction has committed.
 */
void
ienv_notify_threshold(const IenvGuard *guard, const IenvInstance *instance,
					  int percent, int64 users)
{
	char	   *application = ienv_application_of(&instance->id);
	StringInfoData buf;

	if (application == NULL ||
		DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage,
										   (Datum) 0)) > FULL_QUEUE)
		return;
	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"application\": ");
	append_json(&buf, application, MAX_APPLICATION);
	appendStringInfo(&buf, ", \"instance\": \"%s\", \"relation\": ",
					 DatumGetCString(DirectFunctionCall1(uuid_out,
														 UUIDPGetDatum(&instance->id))));
	append_json(&buf, ienv_stable_name(guard->root), MAX_RELATION);
	appendStringInfo(&buf,
					 ", \"users\": %lld, \"cap\": %d, \"percent\": %d}",
					 (long long) users, instance->user_cap, percent);
	Async_Notify(CHANNEL, buf.data);
}

/*
 * Append the JSON escape of a UTF-16 code unit.
 */
static void
append_unit(StringInfo buf, unsigned int unit)
{
	appendStringInfoChar(buf, '\\');
	appendStringInfo(buf, "u%04x", unit);
}

/*
 * Append a text as a JSON string of at most "room" bytes, clipped if
 * necessary.
 *
 * It is written in ASCII, because the server converts a payload to the
 * encoding of each client that listens, and a character which that lacks would
 * be an error there.
 */
static void
append_json(StringInfo buf, const char *text, int room)
{
	int			end = buf->len + room - 16; /* a pair of surrogates, "..." */
	bool		is_utf8;
	const unsigned char *c = (const unsigned char *) to_utf8(text, &is_utf8);

	appendStringInfoChar(buf, '"');
	while (*c != '\0')
	{
		if (buf->len > end)
		{
			appendStringInfoString(buf, "...");
			break;
		}
		if (*c == '"' || *c == '\\')
		{
			appendStringInfoChar(buf, '\\');
			appendStringInfoChar(buf, *c);
		}
		else if (*c >= ' ' && *c < 0x7F)
			appendStringInfoChar(buf, *c);
		else if (*c < 0x80 || !is_utf8)
			append_unit(buf, *c);
		else
		{
			unsigned int code = utf8_to_unicode(c);

			if (code > 0xFFFF)
			{
				append_unit(buf, 0xD800 + ((code - 0x10000) >> 10));
				append_unit(buf, 0xDC00 + ((code - 0x10000) & 0x3FF));
			}
			else
				append_unit(buf, code);
			c += pg_utf_mblen(c) - 1;
		}
		c++;
	}
	appendStringInfoChar(buf, '"');
}

/*
 * A text of the database in UTF-8, with question marks for characters that
 * UTF-8 lacks; as it is, if nobody knows its encoding.
 */
static const char *
to_utf8(const char *text, bool *is_utf8)
{
	int			encoding = GetDatabaseEncoding();
	int			length = strlen(text);
	Oid			proc;
	char	   *result;
	char	   *end;

	*is_utf8 = encoding == PG_UTF8;
	if (*is_utf8 || encoding == PG_SQL_ASCII)
		return text;

	proc = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(proc))
		return text;

	*is_utf8 = true;
	end = result = palloc(length * (MAX_CONVERSION_GROWTH + 1) + 1);
	while (length > 0)
	{
		int			room = length * MAX_CONVERSION_GROWTH + 1;
		int			done = pg_do_encoding_conversion_buf(proc, encoding,
														 PG_UTF8,
														 unconstify(unsigned char *, (const unsigned char *) text),
														 length,
														 (unsigned char *) end,
														 room, true);

		end += strlen(end);
		text	  +=done;

		length -= done;
		if (length > 0)
		{
			int			skip = Min(pg_encoding_mblen(encoding, text), length);

			*end++ = '?';
			text	  +=skip;

			length -= skip;
		}
	}
	*end = '\0';
	return result;
}
