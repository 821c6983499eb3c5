/*-------------------------------------------------------------------------
 *
 * news.h
 *	  The time, as measured in messages from other backends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_NEWS_H
#define IENV_NEWS_H

#include "storage/sinval.h"

/*
 * A relcache callback notes when it was called; a reader that began before that reads
 * again.
 *
 * What comes without a message from outside does not count.  Our own transaction's
 * changes come at the end of a command or of a subtransaction, never while somebody reads
 * for a cache; and with debug_discard_caches everything is invalidated each time that we
 * look for messages, so that a reader who went by that would never come to an end.
 */
static inline uint64
ienv_news_time(void)
{
	return SharedInvalidMessageCounter;
}

#endif							/* IENV_NEWS_H */
