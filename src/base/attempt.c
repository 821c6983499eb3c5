/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  Doing something that may fail, and going on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/resowner.h"

#include "base/base.h"

/*
 * Do something in a subtransaction.  With keep, what it has done stands, and
 * the locks that it has taken are kept; otherwise it is rolled back, which
 * releases them, and what it has palloc'ed in the caller's memory context
 * stays.
 *
 * Returns NULL, or the error that it has raised, with all that undone; the
 * caller forgets that by FreeErrorData() or raises it by ReThrowError().
 */
ErrorData *
ienv_attempt(void (*act) (void *arg), void *arg, bool keep)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		act(arg);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}
