/*-------------------------------------------------------------------------
 *
 * dry_run.c
 *	  Dry runs: the same code, and nothing done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/resowner.h"

#include "config/config.h"

/*
 * Do something in a subtransaction, and roll that back.  Only the rows remain that it
 * has put into the tuplestore which InitMaterializedSRF() made, and its error, if it
 * raises one.
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

		/* the caller, who knows of no subtransaction, must not be left in it */
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
