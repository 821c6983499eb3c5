/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  Rows of my transaction that wait for the cap's trigger.
 *
 * There is a queue for each pair of guarded table and development instance.  A
 * row joins its queue when the trigger's condition is evaluated for it; it is
 * in the heap and its indexes by then.  Later the trigger fires for it.  A
 * queue records
 *
 * - how many rows have joined for which no ticket (bound.c) has been taken;
 * - whether all rows that have joined so far are admitted.  That is the case
 *	 from the check that admitted them (user_cap.c) until another row joins, or
 *	 a subtransaction is rolled back, which may bring back rows whose seats the
 *	 check considered free.
 *
 * Which command a row belongs to does not matter, and could not be relied on,
 * because two cursors or portals can share a command id.
 *
 * A row whose instance was unknown when it was inserted has not joined a
 * queue.  From then until the end of the transaction, each admission is valid
 * for its own row only; the same holds for instances beyond MAX_QUEUES.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/memutils.h"

#include "cap/cap.h"

/*
 * Per transaction; some 56 bytes each, so 3.5 MB, or 7 MB when the table has
 * just grown.
 */
#define MAX_QUEUES	65536

/*
 * Number of queues in a typical transaction, and size of a table not worth
 * keeping
 */
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

static queues_hash * queues = NULL;
static IenvQueue *last = NULL;	/* the one last asked for, or NULL */

/* A row that should have joined a queue has not done so. */
static bool uncounted = false;

/* Admissions from earlier rounds are void. */
static uint64 current_round = 1;

/*
 * At the end of a transaction, the triggers have fired for all rows, or the
 * rows are gone.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
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
subtransaction_ends(SubXactEvent event, SubTransactionId subxact,
					SubTransactionId parent, void *arg)
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
	return last != NULL && last->key.root == root &&
		memcmp(&last->key.instance, instance, UUID_LEN) == 0;
}

/*
 * The queue of root, a guarded table, and a development instance, which a row
 * has just joined; NULL if there is no room for that queue.
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

		/* an instance whose first row got no queue must never get one */
		if (queues->members >= MAX_QUEUES &&
			queues_lookup(queues, key) == NULL)
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
		last->by_scan = false;
		last->slot = NULL;
	}
	last->admitted_in = 0;
	last->waiting++;
	return last;
}

/*
 * Called when a row cannot join a queue, because its instance is unknown.
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
 * Have all rows that have joined been admitted?
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
