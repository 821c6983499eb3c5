/*-------------------------------------------------------------------------
 *
 * identity_key.c
 *	  The key of the hash used for identities.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "base/base.h"
#include "base/news.h"
#include "table/table.h"

/* In the order of the install script; upgrades only append. */
#define Anum_identity_key_secret	2

static uint64 secret[2];
static bool valid = false;

/* when the registry was last invalidated, as measured by ienv_news_time() */
static uint64 invalidated = 0;
static bool listening = false;

/*
 * Called by oids.c when the registry has changed.
 */
static void
forget(void)
{
	invalidated = ienv_news_time();
	valid = false;
}

/*
 * The two words of the identity hash's key, or NULL as long as there has been
 * no application, so that there is nobody to remember.
 */
const uint64 *
ienv_identity_secret(void)
{
	const IenvOids *oids = ienv_oids();

	if (!listening)
		ienv_on_registry_change(forget);
	listening = true;

	while (!valid)
	{
		uint64		since = ienv_news_time();
		Relation	rel = table_open(oids->identity_key, AccessShareLock);
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot,
											  0, NULL);
		HeapTuple	tuple = systable_getnext(scan);
		bool		found = HeapTupleIsValid(tuple);
		bool		isnull;

		if (found)
			memcpy(secret,
				   DatumGetUUIDP(heap_getattr(tuple, Anum_identity_key_secret,
											  RelationGetDescr(rel), &isnull)),
				   sizeof(secret));
		systable_endscan(scan);
		UnregisterSnapshot(snapshot);
		table_close(rel, AccessShareLock);
		if (!found)
			return NULL;
		valid = invalidated <= since;
	}
	return secret;
}
