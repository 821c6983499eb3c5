/*-------------------------------------------------------------------------
 *
 * dry_run.c
 *	  Dry runs: the real code, rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/resowner.h"

#include "config/config.h"

/*
 * Do something in a subtransaction, and roll that back.  All that remains is
 * the rows that it has put into the tuplestore made by InitMaterializedSRF(),
 * and its error, if it raises one.
 */
void
ienv_rehearse(void (*act) (FunctionCallInfo fcinfo), FunctionCallInfo fcinfo)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		act(fcinfo);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		/* the caller, unaware of the subtransaction, must not be left in it */
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}
