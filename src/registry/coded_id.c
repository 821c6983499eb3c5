/*-------------------------------------------------------------------------
 *
 * coded_id.c
 *	  Ids that carry their instance: new_user_id(), id_time(), id_belongs().
 *
 * A coded id is a uuid of version 8 (RFC 9562):
 *
 *		bytes 0-5	Unix time in milliseconds
 *		bytes 6-7	version 8, and a counter of 12 bits
 *		bytes 8-10	variant 10, and 22 random bits
 *		bytes 11-15	the code of its instance (instance_code.c)
 *
 * The counter is for ids that a backend makes in one millisecond.  It begins
 * at a random number below half of its range, so that at least 2048 ids follow
 * before it overflows, which takes the time on by a millisecond.  So the ids
 * of one backend ascend and are all different, unless the clock goes back by
 * more than MAX_BACK: such a jump is believed, and a smaller one waited out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/base.h"
#include "registry/registry.h"

#define COUNTER_MAX		0xfff

/* How far the clock may go back before ids follow it, in milliseconds */
#define MAX_BACK		60000

/* From PostgreSQL's epoch to that of Unix, in milliseconds */
#define EPOCH_OFFSET	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

/* The last id that this backend has made, and the latest time it was by then */
static int64 last_ms = 0;
static int	last_counter = 0;
static int64 last_clock = 0;

static void count_on(int random_start);

PG_FUNCTION_INFO_V1(instance_env_new_user_id);
PG_FUNCTION_INFO_V1(instance_env_id_time);
PG_FUNCTION_INFO_V1(instance_env_id_belongs);

/*
 * new_user_id(instance uuid) RETURNS uuid
 *
 * For everybody: who asks learns whether an instance exists, as does whoever
 * inserts a row into a guarded table.  Its status does not matter, since an id
 * is not a row yet.
 */
Datum
instance_env_new_user_id(PG_FUNCTION_ARGS)
{
	ienv_require_argument(fcinfo, 0, "instance");
	return ienv_new_user_id(PG_GETARG_UUID_P(0));
}

/*
 * id_time(id uuid) RETURNS timestamptz
 *
 * Strict, as is the following.  48 bits of milliseconds end in the year 10889,
 * which a timestamp can be in.
 */
Datum
instance_env_id_time(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *id = PG_GETARG_UUID_P(0);
	int64		ms = 0;

	if (!ienv_is_coded(id))
		PG_RETURN_NULL();
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->data[i];
	PG_RETURN_TIMESTAMPTZ((ms - EPOCH_OFFSET) * 1000);
}

/*
 * id_belongs(id uuid, instance uuid) RETURNS boolean
 *
 * Looks nothing up, so that it may stand in a CHECK or a generated column.
 */
Datum
instance_env_id_belongs(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *id = PG_GETARG_UUID_P(0);

	PG_RETURN_BOOL(ienv_is_coded(id) &&
				   ienv_id_has_code(id, ienv_code_of(PG_GETARG_UUID_P(1))));
}

/*
 * Make an id for an instance, or raise error 23I03 if there is no such
 * instance.
 */
Datum
ienv_new_user_id(const pg_uuid_t *instance)
{
	const IenvInstance *found = ienv_instance_by_id(instance);
	IenvInstance latest;
	uint8		random[5];
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (unlikely(found == NULL))
	{
		latest = ienv_require_instance(UUIDPGetDatum(instance));
		found = &latest;
	}
	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	count_on((random[3] << 8 | random[4]) & (COUNTER_MAX >> 1));

	for (int i = 0; i < 6; i++)
		id->data[i] = last_ms >> (40 - 8 * i) & 0xff;
	id->data[6] = 0x80 | last_counter >> 8;
	id->data[7] = last_counter & 0xff;
	id->data[8] = 0x80 | (random[0] & 0x3f);
	id->data[9] = random[1];
	id->data[10] = random[2];
	memcpy(id->data + UUID_LEN - IENV_CODE_BYTES, found->code,
		   IENV_CODE_BYTES);
	return UUIDPGetDatum(id);
}

/*
 * The time and counter of the next id.
 */
static void
count_on(int random_start)
{
	int64		now = GetCurrentTimestamp() / 1000 + EPOCH_OFFSET;
	bool		back = now < last_clock - MAX_BACK;

	last_clock = back ? now : Max(now, last_clock);
	if (back || now > last_ms)
		last_ms = now;
	else if (last_counter < COUNTER_MAX)
	{
		last_counter++;
		return;
	}
	else
		last_ms++;
	last_counter = random_start;
}
