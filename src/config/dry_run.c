/*-------------------------------------------------------------------------
 *
 * dry_run.c
 *	  Dry runs: the real code, rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "config/config.h"

/* What to rehearse */
typedef struct Rehearsal
{
	void		(*act) (FunctionCallInfo fcinfo);
	FunctionCallInfo fcinfo;
} Rehearsal;

static void
rehearse(void *arg)
{
	const Rehearsal *rehearsal = arg;

	rehearsal->act(rehearsal->fcinfo);
}

/*
 * Do something in a subtransaction, and roll that back.  All that remains is
 * the rows that it has put into the tuplestore made by InitMaterializedSRF(),
 * and its error, if it raises one: the caller, unaware of the subtransaction,
 * must not be left in it.
 */
void
ienv_rehearse(void (*act) (FunctionCallInfo fcinfo), FunctionCallInfo fcinfo)
{
	Rehearsal	rehearsal = {act, fcinfo};
	ErrorData  *error = ienv_attempt(rehearse, &rehearsal, false);

	if (error != NULL)
		ReThrowError(error);
}
