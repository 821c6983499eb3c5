/*-------------------------------------------------------------------------
 *
 * news.h
 *	  The time, measured by the number of invalidation messages received.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_NEWS_H
#define IENV_NEWS_H

#include "storage/sinval.h"

/*
 * A relcache callback notes when it was called; a reader that began before
 * that time reads again.
 *
 * Invalidations that do not come with a message from outside do not count.
 * Our own transaction's are processed at the end of a command or
 * subtransaction, never while a cache is being filled; and with
 * debug_discard_caches everything is invalidated each time we check for
 * messages, so that a reader that took those into account would never finish.
 */
static inline uint64
ienv_news_time(void)
{
	return SharedInvalidMessageCounter;
}

#endif							/* IENV_NEWS_H */
