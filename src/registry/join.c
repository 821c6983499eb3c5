/*-------------------------------------------------------------------------
 *
 * join.c
 *	  Nodes that have joined a cluster since distribute() was called.
 *
 * Citus copies the registry to such a node, and with it the numbers of roles,
 * which are other roles' there.  And a node that has left and comes back has
 * the privileges of then, among which are those that have been revoked since.
 *
 * So until distribute() has been called again, nobody but a superuser may enter
 * instances there, and nobody can change the registry from there.  distribute()
 * writes the allowances anew, and leaves a mark on the placement of their table
 * (base/placement.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base.h"
#include "registry/registry.h"

/*
 * Mark this node as one that knows the roles.  If it has come since the first
 * call of distribute(), then what roles have been granted there, they lose.
 * SPI is connected.
 */
void
ienv_join(const char *when)
{
	if (ienv_has_joined())
		return;
	if (strcmp(when, "first") != 0)
	{
		ienv_lock_rights();
		(void) ienv_revoke_all(InvalidOid);
	}
	ienv_mark_joined();
}
