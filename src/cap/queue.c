/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  Rows of my transaction that wait for the cap's trigger.
 *
 * A row joins its queue, of a guarded table and a development instance, when it meets the
 * trigger's condition; it is in the heap and its indexes by then.  Later the trigger fires
 * for it.  A queue knows
 *
 * - how many rows have joined for which no ticket (bound.c) has been taken;
 * - whether all rows that have joined so far are admitted.  That is so from a check that
 *	 admitted them (user_cap.c) until another row joins, or a subtransaction is rolled
 *	 back: that may bring rows back whose seats the check took for free.
 *
 * Which command a row belongs to does not matter, and could not be relied on: two cursors
 * or portals may share a command id.
 *
 * A row of an instance that was unknown when the row went in has joined no queue.  From
 * there on to the transaction's end no admission stands for more than its own row, and
 * the same holds for instances beyond MAX_QUEUES.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/memutils.h"

#include "cap/cap.h"

/* In a transaction; some 56 bytes each, so 3.5 MB or, when the table has just grown, 7. */
#define MAX_QUEUES	65536

/* Queues that one transaction has as a rule, and a table that is not worth keeping */
#define FEW_QUEUES	16
#define MANY_QUEUES	1024

#define SH_PREFIX		queues
#define SH_ELEMENT_TYPE	IenvQueue
#define SH_KEY_TYPE		IenvQueueKey
#define SH_KEY			key
#define SH_HASH_KEY(table, k)	hash_bytes((const unsigned char *) &(k), sizeof(IenvQueueKey))
#define SH_EQUAL(table, a, b)	(memcmp(&(a), &(b), sizeof(IenvQueueKey)) == 0)
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static queues_hash *queues = NULL;
static IenvQueue *last = NULL;	/* the one asked for last, or NULL */

/* A row has joined no queue that should have. */
static bool uncounted = false;

/* An admission of an earlier round is void. */
static uint64 current_round = 1;

/*
 * The end of a transaction: all rows have met their triggers, or are gone.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	last = NULL;
	uncounted = false;
	if (queues == NULL || queues->members == 0)
		return;
	if (queues->size > MANY_QUEUES)
	{
		queues_destroy(queues);
		queues = NULL;
	}
	else
		queues_reset(queues);
}

static void
subtransaction_ends(SubXactEvent event, SubTransactionId subxact, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		current_round++;
}

static void
hear_of_the_end(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
	registered = true;
}

static inline bool
is_last(Oid root, const pg_uuid_t *instance)
{
	return last != NULL && last->key.root == root && memcmp(&last->key.instance, instance, UUID_LEN) == 0;
}

/*
 * The queue of root, a guarded table, and a development instance, which a row has just
 * joined; NULL where it is not kept.
 */
IenvQueue *
ienv_join_queue(Oid root, const pg_uuid_t *instance)
{
	bool		found = true;

	if (!is_last(root, instance))
	{
		IenvQueueKey key = {root, *instance};

		hear_of_the_end();
		if (queues == NULL)
			queues = queues_create(TopMemoryContext, FEW_QUEUES, NULL);

		/* who has none from its first row on must never get one */
		if (queues->members >= MAX_QUEUES && queues_lookup(queues, key) == NULL)
		{
			last = NULL;
			return NULL;
		}
		last = queues_insert(queues, key, &found);
	}
	if (!found)
	{
		last->waiting = 0;
		last->look_at = 0;
	}
	last->admitted_in = 0;
	last->waiting++;
	return last;
}

/*
 * A row could join no queue, because its instance is unknown.
 */
void
ienv_join_no_queue(void)
{
	hear_of_the_end();
	uncounted = true;
	current_round++;
}

/*
 * The queue that rows of this instance join, or NULL.
 */
IenvQueue *
ienv_queue_of(Oid root, const pg_uuid_t *instance)
{
	if (uncounted || queues == NULL)
		return NULL;
	if (!is_last(root, instance))
	{
		IenvQueueKey key = {root, *instance};
		IenvQueue  *found = queues_lookup(queues, key);

		if (found == NULL)
			return NULL;
		last = found;
	}
	return last;
}

/*
 * Are all rows admitted that have joined?
 */
bool
ienv_queue_is_admitted(const IenvQueue *queue)
{
	return queue->admitted_in == current_round;
}

void
ienv_admit_queue(IenvQueue *queue)
{
	queue->admitted_in = current_round;
}
