/*-------------------------------------------------------------------------
 *
 * check_usage.c
 *	  The check of validate() that tells how full a development instance is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errcodes.h"
#include "cap/cap.h"
#include "promotion/check.h"
#include "promotion/promotion.h"
#include "table/table.h"

/*
 * Check how full a development instance is, in each counted table.
 */
void
ienv_check_usage(IenvValidation *run)
{
	int			cap = run->info.user_cap;
	bool		soft = run->info.soft;
	List	   *usage = ienv_usage_of(run->instance, run->external_key);
	ListCell   *lc;

	if (usage == NIL)
		ienv_add_check(run, "usage", NULL, IENV_WARNING, 0, true,
					   "No table is counted.", NULL);
	foreach(lc, usage)
	{
		const IenvUsage *u = lfirst(lc);
		const char *table = u->root->name;

		if (u->users < 0)
			ienv_add_check(run, "usage", table, IENV_WARNING, 0, false,
						   psprintf("The users in table \"%s\" could not be counted.", table),
						   ienv_has_too_many_partitions(u->root->relid) ?
						   psprintf("Have its owner merge partitions: with more than %d it is not counted.", IENV_MAX_PARTITIONS) :
						   "Try again when no other session has the table locked and its guard is whole.");
		else
			ienv_add_check(run, "usage", table, IENV_WARNING,
						   u->users >= cap && !soft ? ERRCODE_IENV_USER_CAP_EXCEEDED :
						   0,
						   !ienv_is_nearly_full(u->users, cap),
						   psprintf(soft ?
									"Table \"%s\" holds %lld users, and the soft cap is %d." :
									"Table \"%s\" holds %lld of at most %d users.", table, (long long) u->users, cap),
						   "Delete users, or raise the cap with instance_env.set_user_cap().");
	}
}
