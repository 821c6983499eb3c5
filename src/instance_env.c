/*-------------------------------------------------------------------------
 *
 * instance_env.c
 *	  Module entry: development and production instances inside PostgreSQL.
 *
 * Further reading: doc/hacking.md has a map of the rooms.  cap/user_cap.c
 * describes the admission algorithm, transfer/transfer.c the rule that a user
 * never changes instance, guard/guard.c what is attached to a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "base/base.h"
#include "cap/cap.h"
#include "domain/domain.h"
#include "guard/guard.h"
#include "session/session.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = IENV_SCHEMA,.version = IENV_VERSION);
#else
PG_MODULE_MAGIC;
#endif

void		_PG_init(void);

void
_PG_init(void)
{
	ienv_shared_array(&ienv_buckets_array);
	ienv_shared_array(&ienv_activity_array);
	ienv_shared_init();
	ienv_public_suffix_init();
	ienv_session_init();
	ienv_thresholds_init();
	ienv_destruction_init();
	ienv_watch_drops();
	ienv_watch_deletes();
	MarkGUCPrefixReserved(IENV_SCHEMA);
}
