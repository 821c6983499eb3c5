/*-------------------------------------------------------------------------
 *
 * invalidation.c
 *	  Relcache invalidations, passed on to several modules by one callback.
 *
 * A backend has room for ten relcache callbacks, those of PostgreSQL itself
 * and of all other extensions included; one too many ends the session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/inval.h"

#include "base/base.h"

/* oids.c, cache.c, guard_read.c, departure_record.c */
#define MAX_CALLBACKS 4

static void (*callbacks[MAX_CALLBACKS]) (Oid relid);
static int	ncallbacks = 0;

static void
relation_invalidated(Datum arg, Oid relid)
{
	for (int i = 0; i < ncallbacks; i++)
		callbacks[i] (relid);
}

/*
 * Have a function called with each relation that is invalidated, InvalidOid
 * for all of them, as by CacheRegisterRelcacheCallback().  To be called once
 * in a backend's life by each module that caches what depends on relations,
 * before it reads.
 */
void
ienv_on_invalidation(void (*callback) (Oid relid))
{
	if (ncallbacks >= MAX_CALLBACKS)
		elog(ERROR, "out of callbacks for invalidations");
	callbacks[ncallbacks++] = callback;
	if (ncallbacks == 1)
		CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
}
