/*-------------------------------------------------------------------------
 *
 * instance_env.c
 *	  Module entry: development and production instances inside PostgreSQL.
 *
 * Where to read on: user_cap.c holds the admission algorithm, transfer.c the
 * rule that a user never changes instance, guard.c what is attached to a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "guard.h"
#include "instance_env.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = IENV_SCHEMA,.version = IENV_VERSION);
#else
PG_MODULE_MAGIC;
#endif

void		_PG_init(void);

void
_PG_init(void)
{
	ienv_shared_init();
	MarkGUCPrefixReserved(IENV_SCHEMA);
}
