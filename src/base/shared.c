/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  The extension's shared memory.
 *
 * From PostgreSQL 17 on, this is a named DSM segment, created by the first
 * backend that asks for it.  On 15 and 16, it is memory that the postmaster
 * sets aside if the library is in shared_preload_libraries; otherwise there is
 * none, and callers do without.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"

#include "base/base.h"

/*
 * A bucket has 120 bytes, a slot for activity 88.  Only pairs of table and
 * instance in use need them.
 */
#define DEFAULT_BUCKETS 4096
#define MAX_BUCKETS		1048576

/* How many databases have their departures counted; others look them up. */
#define MAX_DATABASES	64

typedef struct Departures
{
	pg_atomic_uint32 database;	/* InvalidOid: free */
	pg_atomic_uint64 recorded;	/* how many since server start */
} Departures;

typedef struct SharedState
{
	int			nbuckets;
	pg_atomic_uint64 era;		/* see bound.c */
	Departures	departures[MAX_DATABASES];
} SharedState;

static int	buckets_setting = DEFAULT_BUCKETS;

/* Arrays of as many elements as there are buckets, whose contents are known to
 * other rooms only */
#define MAX_ARRAYS		4
static IenvSharedArray *arrays[MAX_ARRAYS];
static int	narrays = 0;

/* NULL: not attached, or there is no shared memory */
static SharedState *state = NULL;

static void
init_state(void *ptr)
{
	SharedState *new_state = (SharedState *) ptr;

	new_state->nbuckets = buckets_setting;
	pg_atomic_init_u64(&new_state->era, 0);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		pg_atomic_init_u32(&new_state->departures[i].database, InvalidOid);
		pg_atomic_init_u64(&new_state->departures[i].recorded, 0);
	}
}

#if IENV_NAMED_DSM

/* the array whose segment is being created */
static IenvSharedArray *creating;

static void
init_array(void *ptr)
{
	creating->init(ptr, state->nbuckets);
}

/*
 * Attach to the segments.  The backend that creates the first decides on the
 * size of the others.
 *
 * Either all backends must use the buckets or none may, lest some admit rows
 * by a bound that does not include the rows of the others.  So what counts is
 * that decision, not the setting, which a reload may have changed for some
 * backends only; and a backend that cannot attach tries again each time,
 * raising an error, until it succeeds.
 */
static void
attach(void)
{
	bool		found;

	if (state == NULL)
		state = GetNamedDSMSegment("instance_env", sizeof(SharedState),
								   init_state, &found);
	for (int i = 0; i < narrays; i++)
	{
		creating = arrays[i];
		if (creating->memory == NULL && state->nbuckets > 0)
			creating->memory =
				GetNamedDSMSegment(creating->segment,
								   creating->size(state->nbuckets),
								   init_array, &found);
	}
}

#else

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/* the number of bytes that all of it needs */
static Size
total_size(void)
{
	Size		size = MAXALIGN(sizeof(SharedState));

	for (int i = 0; i < narrays; i++)
		size = add_size(size, MAXALIGN(arrays[i]->size(buckets_setting)));
	return size;
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(total_size());
}

static void
startup_shmem(void)
{
	bool		found;
	char	   *memory;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct("instance_env", total_size(), &found);
	state = (SharedState *) memory;
	memory += MAXALIGN(sizeof(SharedState));
	if (!found)
		init_state(state);
	for (int i = 0; i < narrays; i++)
	{
		arrays[i]->memory = memory;
		memory += MAXALIGN(arrays[i]->size(buckets_setting));
		if (!found)
			arrays[i]->init(arrays[i]->memory, state->nbuckets);
	}
	LWLockRelease(AddinShmemInitLock);
}

static void
attach(void)
{
}

#endif

/*
 * Have an array of as many elements as there are buckets in shared memory.  To
 * be called by _PG_init(), before ienv_shared_init().
 */
void
ienv_shared_array(IenvSharedArray *array)
{
	Assert(narrays < MAX_ARRAYS);
	arrays[narrays++] = array;
}

/*
 * Define the setting and, if the postmaster has to set memory aside, request
 * it.
 */
void
ienv_shared_init(void)
{
	/* PostgreSQL would only warn and use the default */
	if (process_shared_preload_libraries_in_progress)
	{
		const char *given = GetConfigOption(IENV_SCHEMA ".buckets", true,
											false);
		int			value;

		if (given != NULL &&
			(!parse_int(given, &value, 0, NULL) || value < 0 ||
			 value > MAX_BUCKETS))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for parameter \"%s\": \"%s\"",
							IENV_SCHEMA ".buckets", given),
					 errdetail("It must be an integer from 0 to %d.",
							   MAX_BUCKETS)));
	}

	DefineCustomIntVariable(IENV_SCHEMA ".buckets",
							"Sets the number of shared-memory buckets that admit users without a scan.",
							"Zero means none. Takes effect when the server starts.",
							&buckets_setting, DEFAULT_BUCKETS, 0, MAX_BUCKETS,
							process_shared_preload_libraries_in_progress ?
							PGC_POSTMASTER : PGC_SIGHUP,
							0, NULL, NULL, NULL);

#if !IENV_NAMED_DSM
	if (process_shared_preload_libraries_in_progress && buckets_setting > 0)
	{
		prev_shmem_request_hook = shmem_request_hook;
		shmem_request_hook = request_shmem;
		prev_shmem_startup_hook = shmem_startup_hook;
		shmem_startup_hook = startup_shmem;
	}
#endif
}

/*
 * An array, with *n set to the number of its elements; NULL if there is no
 * shared memory.
 */
void *
ienv_shared_memory(const IenvSharedArray *array, int *n)
{
	attach();
	if (state != NULL)
		*n = state->nbuckets;
	return array->memory;
}

/*
 * The number of the current era of bounds, or NULL if there is no shared
 * memory.
 */
pg_atomic_uint64 *
ienv_shared_era(void)
{
	attach();
	return state ? &state->era : NULL;
}

/*
 * The count of departures from this database, or NULL if there is no shared
 * memory, or no room in it for another database.
 */
pg_atomic_uint64 *
ienv_shared_departures(void)
{
	static Departures *mine = NULL;

	attach();
	if (state == NULL || mine != NULL)
		return mine ? &mine->recorded : NULL;

	for (int i = 0; i < MAX_DATABASES && mine == NULL; i++)
	{
		Departures *slot = &state->departures[i];
		uint32		owner = InvalidOid;

		/* on failure, owner is what another backend has stored there */
		if (pg_atomic_compare_exchange_u32(&slot->database, &owner,
										   MyDatabaseId) ||
			owner == MyDatabaseId)
			mine = slot;
	}
	return mine ? &mine->recorded : NULL;
}
