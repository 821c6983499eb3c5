/*-------------------------------------------------------------------------
 *
 * shard.c
 *	  The tables of a Citus cluster, and their shards.
 *
 * A distributed table is empty itself, a shell; its rows are in its shards,
 * which are ordinary tables in the same schema with the same owner, called
 * after the table and the number of the shard, such as users_102008.  A
 * statement names the shell; the triggers that fire are those of a shard.  So
 * what the triggers enforce is done shard by shard, but what is said to people,
 * and what administration looks at, is the table.
 *
 * Citus knows which shards there are, on each node (pg_dist_shard).  A
 * relation is a shard only if Citus knows its number, and if it is where, and
 * called as, Citus would have made it: anybody can give such a name to a table
 * of his own.  While a table is being distributed, its first shards are made on
 * a worker before that worker is told of any of this; see ienv_are_kin().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/base.h"

/* What the name of a session that another node has begun starts with */
static const char *const node_sessions[] = {
	"citus_internal gpid=",
	"citus_rebalancer gpid=",
	"citus_run_command gpid="
};

static Oid	owner_of(Oid relid);
static bool is_being_dropped(Oid relid);
static int64 shard_number(const char *name, size_t *stem);
static char *shard_name(const char *table, int64 shard);

/*
 * The table that a relation is a shard of; InvalidOid if it is none.
 */
Oid
ienv_shell_of(Oid relid)
{
	char	   *name;
	int64		shard;
	Oid			table;

	if (!ienv_has_citus())
		return InvalidOid;
	name = get_rel_name(relid);
	shard = name == NULL ? 0 : shard_number(name, NULL);
	table = shard == 0 ? InvalidOid : ienv_table_of_shard(shard);
	if (!OidIsValid(table) || table == relid ||
		get_rel_name(table) == NULL ||
		get_rel_namespace(table) != get_rel_namespace(relid) ||
		owner_of(table) != owner_of(relid) ||
		strcmp(shard_name(get_rel_name(table), shard), name) != 0)
		return InvalidOid;
	return table;
}

/*
 * The number of a shard of a table, 0 if the relation is none.
 */
int64
ienv_shard_number(Oid relid)
{
	return OidIsValid(ienv_shell_of(relid)) ?
		shard_number(get_rel_name(relid), NULL) : 0;
}

/*
 * The role that owns a relation; InvalidOid if it is gone.
 */
static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Could this be the name of a shard?  Never on a server without Citus.
 */
bool
ienv_is_shard_name(const char *name)
{
	return ienv_has_citus() &&
		shard_number(name, NULL) != 0;
}

/*
 * Could a relation turn out to be a shard, when this node is told?
 */
bool
ienv_may_be_shard(Oid relid)
{
	char	   *name;

	if (!ienv_has_citus())
		return false;
	name = get_rel_name(relid);
	return name != NULL && shard_number(name, NULL) != 0 &&
		!OidIsValid(ienv_shell_of(relid));
}

/*
 * The table that people know: of a shard, the one that it is a shard of.
 */
Oid
ienv_known_table(Oid relid)
{
	Oid			shell = ienv_shell_of(relid);

	return OidIsValid(shell) ? shell : relid;
}

/*
 * The shards of a table that are on this node.
 */
List *
ienv_shards_here(Oid table)
{
	List	   *shards = NIL;
	ListCell   *lc;

	foreach(lc, ienv_shard_numbers(table))
	{
		int64		shard = *(int64 *) lfirst(lc);
		Oid			relid = get_relname_relid(shard_name(get_rel_name(table),
														 shard),
											  get_rel_namespace(table));

		if (OidIsValid(relid))
			shards = lappend_oid(shards, relid);
	}
	return shards;
}

/*
 * Could two relations be shards of one table, or one a shard of the other?
 *
 * On a worker that has not been told yet, only their names can say.  So the
 * answer may be wrong, but only for tables of one owner in one schema: nobody
 * can have it given about the table of another role.  Never true on a server
 * without Citus.
 */
bool
ienv_are_kin(Oid a, Oid b)
{
	char	   *names[2] = {get_rel_name(a), get_rel_name(b)};
	size_t		stems[2];
	int64		shards[2];

	if (!ienv_has_citus() ||
		names[0] == NULL || names[1] == NULL ||
		get_rel_namespace(a) != get_rel_namespace(b) ||
		owner_of(a) != owner_of(b))
		return false;
	for (int i = 0; i < 2; i++)
		shards[i] = shard_number(names[i], &stems[i]);
	if (shards[0] != 0 && shards[1] != 0 && stems[0] == stems[1] &&
		strncmp(names[0], names[1], stems[0]) == 0)
		return true;
	for (int i = 0; i < 2; i++)
		if (shards[i] != 0 &&
			strcmp(shard_name(names[1 - i], shards[i]), names[i]) == 0)
			return true;
	return false;
}

/*
 * Is a relation dropped because its table is, or because Citus has it
 * elsewhere, so that nothing need be said here?
 *
 * Citus drops the table first, on all nodes, and then the shards, which nothing
 * but their names tells by then; and it drops shards that it has copied to
 * another node, or divided, which nodes know of before.  Who has given such a
 * name to a table of his own, and set that of his session, has done so on
 * purpose.
 */
bool
ienv_is_dropped_elsewhere(Oid relid)
{
	char	   *name;
	int64		shard;
	Oid			table;

	if (!ienv_has_citus())
		return false;
	name = get_rel_name(relid);
	shard = name == NULL ? 0 : shard_number(name, NULL);
	if (shard == 0 || ienv_place_of(relid, NULL) != IENV_HERE)
		return false;
	table = ienv_table_of_shard(shard);
	if (OidIsValid(table) && get_rel_name(table) == NULL)
		return true;
	if (OidIsValid(table) && ienv_shell_of(relid) == table)
		return !ienv_shard_is_here(shard) ||
			(ienv_begun_by_node() && is_being_dropped(table));
	return ienv_begun_by_node();
}

/*
 * Does another transaction seem to be about to drop a table?  Citus may drop
 * the shards by another connection than the table; until both commit, none
 * sees what the other has done, but for its locks.
 */
static bool
is_being_dropped(Oid relid)
{
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return true;
	UnlockRelationOid(relid, AccessShareLock);
	return false;
}

/*
 * Has another node begun this session, for what one of its own does?  Whoever
 * sets such a name for their own session does so on purpose.
 */
bool
ienv_begun_by_node(void)
{
	for (int i = 0; application_name != NULL && i < lengthof(node_sessions); i++)
		if (strncmp(application_name, node_sessions[i],
					strlen(node_sessions[i])) == 0)
			return true;
	return false;
}

/*
 * The number that a shard's name ends in, 0 if it cannot be one's.  Sets
 * *stem, if that is not NULL, to the length of what is before the number.
 */
static int64
shard_number(const char *name, size_t *stem)
{
	size_t		length = strlen(name);
	size_t		digits = 0;
	char	   *end;
	int64		shard;

	while (digits < length && name[length - digits - 1] >= '0' &&
		   name[length - digits - 1] <= '9')
		digits++;
	if (stem != NULL)
		*stem = length - Min(length, digits + 1);

	/* that of the greatest bigint has 19 digits */
	if (digits == 0 || digits > 19 || digits + 2 > length ||
		name[length - digits - 1] != '_' || name[length - digits] == '0')
		return 0;
	errno = 0;
	shard = strtoi64(name + length - digits, &end, 10);
	return errno != 0 || *end != '\0' ? 0 : shard;
}

/*
 * What Citus calls a shard: a name that would be too long is cut, and a hash of
 * it takes the place of the rest.
 */
static char *
shard_name(const char *table, int64 shard)
{
	char	   *suffix = psprintf("_" INT64_FORMAT, shard);
	int			length = strlen(table);
	int			room = NAMEDATALEN - (int) strlen(suffix);

	if (length < room)
		return psprintf("%s%s", table, suffix);
	return psprintf("%.*s_%.8x%s", pg_mbcliplen(table, length, room - 10),
					table, hash_bytes((const unsigned char *) table, length),
					suffix);
}
