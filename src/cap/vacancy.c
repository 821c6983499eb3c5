/*-------------------------------------------------------------------------
 *
 * vacancy.c
 *	  Seats freed by the transaction's own deletes.
 *
 * The bound of an instance (bound.c) would not otherwise take into account how
 * many of its rows this transaction has deleted.  Deletes count for this
 * transaction at once, and for all others when it has committed.
 *
 * A delete counts as soon as the AFTER trigger has seen it, and no longer when
 * its subtransaction is rolled back.  It must not count unless the row has
 * taken its ticket.  That is certain for rows that were committed, but not for
 * the transaction's own, whose triggers may not have fired yet.
 *
 * Failing to count one is harmless for the bound, so a transaction remembers
 * only a few instances, and a prepared one none.  It is not for the floor: see
 * bound.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"

#include "cap/cap.h"
#include "registry/registry.h"
#include "table/table.h"

/*
 * Deletes spread over many instances are rare, and a search for each row would
 * be slow.
 */
#define MAX_VACANCIES	16

typedef struct Vacancy
{
	IenvBoundKey key;
	IenvBucket *bucket;
	SubTransactionId subxact;	/* the deletes stand if this one does */
	int64		rows;			/* they had taken their tickets */
	int64		gone;			/* the same, and those that I had updated, or
								 * that may be in filled */
	int64		filled;			/* rows inserted since the first delete */
	uint32		floors;			/* see ienv_have_left() */
	bool		leaving;		/* ienv_leave() has been called */
} Vacancy;

static Vacancy vacancies[MAX_VACANCIES];
static int	nvacancies = 0;
static bool more = false;		/* there were deletes in other instances */

/*
 * The end of a transaction.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			for (int i = 0; i < nvacancies; i++)
			{
				ienv_leave(vacancies[i].bucket, &vacancies[i].key,
						   vacancies[i].gone, &vacancies[i].floors);
				vacancies[i].leaving = true;
			}
			if (more)
				ienv_void_floors();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			for (int i = 0; i < nvacancies; i++)
				if (vacancies[i].leaving)
					ienv_have_left(vacancies[i].bucket, &vacancies[i].key,
								   event == XACT_EVENT_COMMIT ?
								   vacancies[i].rows : 0,
								   event == XACT_EVENT_COMMIT ?
								   vacancies[i].filled : 0,
								   vacancies[i].floors);
			nvacancies = 0;
			more = false;
			break;
		default:
			break;
	}
}

/*
 * The end of a subtransaction: its deletes become its parent's, or are undone.
 */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId subxact,
					SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (int i = 0; i < nvacancies; i++)
			if (vacancies[i].subxact == subxact)
				vacancies[i].subxact = parent;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		int			n = 0;

		for (int i = 0; i < nvacancies; i++)
			if (vacancies[i].subxact != subxact)
				vacancies[n++] = vacancies[i];
		nvacancies = n;
	}
}

/*
 * An entry of the pair; of the current subtransaction if there is one, and
 * otherwise of any.
 */
static Vacancy *
find_vacancy(Oid root, const pg_uuid_t *instance)
{
	SubTransactionId subxact = GetCurrentSubTransactionId();
	Vacancy    *found = NULL;

	for (int i = nvacancies; i-- > 0;)
		if (vacancies[i].key.root == root &&
			memcmp(&vacancies[i].key.instance, instance, UUID_LEN) == 0)
		{
			found = &vacancies[i];
			if (found->subxact == subxact)
				break;
		}
	return found;
}

/*
 * Called when a row has been admitted.  If I have deleted others, it makes up
 * for one of them.
 */
void
ienv_fill_vacancy(Oid root, const IenvInstance *instance)
{
	SubTransactionId subxact;
	Vacancy    *vacancy;

	if (nvacancies == 0)
		return;
	subxact = GetCurrentSubTransactionId();
	vacancy = find_vacancy(root, &instance->id);
	if (vacancy != NULL && vacancy->subxact != subxact)
	{
		if (nvacancies == MAX_VACANCIES)
			return;
		vacancies[nvacancies] = *vacancy;
		vacancy = &vacancies[nvacancies++];
		vacancy->subxact = subxact;
		vacancy->rows = vacancy->gone = vacancy->filled = 0;
	}
	if (vacancy != NULL)
		vacancy->filled++;
}

/*
 * Called when a row of the instance that value identifies has been deleted
 * from the table that guard describes; once for each row, by its AFTER
 * trigger.
 */
void
ienv_vacate(const IenvGuard *guard, HeapTuple row, Datum value)
{
	static bool registered = false;
	SubTransactionId subxact = GetCurrentSubTransactionId();
	const IenvInstance *instance = ienv_instance_by_value(value,
														  guard->is_uuid,
														  false);
	IenvBoundKey key;
	IenvBucket *bucket;
	bool		mine;

	if (instance == NULL || instance->user_cap < 0)
		return;

	/* a row that I have inserted, or another one that I have updated */
	mine = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(row->t_data));
	if (mine && !(row->t_data->t_infomask & HEAP_UPDATED) &&
		find_vacancy(guard->root, &instance->id) == NULL)
		return;
	ienv_bound_key(&key, guard->root, ienv_guard_version(guard), instance);
	if (key.version == 0)
		return;
	for (int i = nvacancies; i-- > 0;)
		if (vacancies[i].subxact == subxact &&
			memcmp(&vacancies[i].key, &key, sizeof(key)) == 0)
		{
			vacancies[i].rows += !mine;
			vacancies[i].gone++;
			return;
		}

	bucket = ienv_bucket_of(guard->root, instance);
	if (bucket == NULL)
		return;
	if (!registered)
	{
		RegisterXactCallback(transaction_ends, NULL);
		RegisterSubXactCallback(subtransaction_ends, NULL);
		registered = true;
	}
	if (nvacancies == MAX_VACANCIES)
	{
		more = true;
		return;
	}
	vacancies[nvacancies].key = key;
	vacancies[nvacancies].bucket = bucket;
	vacancies[nvacancies].subxact = subxact;
	vacancies[nvacancies].rows = !mine;
	vacancies[nvacancies].gone = 1;
	vacancies[nvacancies].filled = 0;
	vacancies[nvacancies++].leaving = false;
}

/*
 * How many of the rows that this bound covers the transaction has deleted.
 */
int64
ienv_vacated(const IenvBoundKey *key)
{
	int64		rows = 0;

	for (int i = 0; i < nvacancies; i++)
		if (memcmp(&vacancies[i].key, key, sizeof(*key)) == 0)
			rows += vacancies[i].rows;
	return rows;
}
