/*-------------------------------------------------------------------------
 *
 * estimate.c
 *	  Estimating from statistics how many users an instance has.
 *
 * A production instance has no cap, and counting all of its users could take
 * long.  So view usage estimates them, from what ANALYZE has stored: the number
 * of rows of the table, and how often the most common values of its instance
 * column occur.  The statistics are read from the system caches, so nobody
 * needs a right to the table.
 *
 * Of a partitioned table, PostgreSQL has statistics over all partitions if it
 * was analyzed itself, which autovacuum does not do.  Otherwise those of the
 * partitions are added up.
 *
 * Of a distributed table, the statistics are where its shards are.  There are
 * none of a small shard, so some users are counted all the same; beyond that,
 * the node that has the rows is asked how many its planner expects.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "cap/cap.h"
#include "table/table.h"

/* More than any table can hold, and less than an int64 can */
#define MAX_USERS	INT64CONST(1000000000000000000)

/* How many users to count in a distributed table before estimating */
#define FEW_USERS	10000

/* How often a value occurs */
typedef struct Common
{
	const char *data;			/* a uuid's bytes, or an external key's */
	int			len;
	double		rows;
} Common;

/* The statistics of an ordinary table, or of all partitions of a table */
typedef struct Part
{
	int			ncommon;
	Common	   *common;			/* ordered by value */
	double		rare;			/* how many rows a value has that is not among
								 * them */
} Part;

struct IenvEstimate
{
	bool		is_uuid;		/* the column has ids, else external keys */
	List	   *parts;
};

/* A look at a distributed table */
typedef struct Expected
{
	Datum		instance;
	Datum		external_key;
	double		rows;
} Expected;

static void read_expected(Oid relid, void *arg);
static double rows_of(Oid relid);
static bool add_part(IenvEstimate *estimate, const IenvGuard *guard,
					 double rows, bool inherited);
static void read_common(Part *part, const IenvGuard *guard,
						HeapTuple statistics, double rows);
static int	compare_common(const void *a, const void *b);

/*
 * Read the statistics of a guarded table; NULL if there are none, or not for
 * all of its partitions.  The table, its partitions and their indexes are
 * locked.  The result is in CurrentMemoryContext.
 */
IenvEstimate *
ienv_read_estimate(Oid root)
{
	const IenvGuard *guard = ienv_guard_of(root);
	IenvEstimate *estimate = palloc0(sizeof(IenvEstimate));
	List	   *tables = find_all_inheritors(root, NoLock, NULL);
	ListCell   *lc;
	double		rows = 0;
	bool		known = true;

	if (guard == NULL)
		return NULL;
	estimate->is_uuid = guard->is_uuid;
	if (get_rel_relkind(root) != RELKIND_PARTITIONED_TABLE)
		return add_part(estimate, guard, rows_of(root), false) ? estimate :
			NULL;

	foreach(lc, tables)
	{
		double		of_one = 0;

		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_PARTITIONED_TABLE)
			of_one = rows_of(lfirst_oid(lc));
		if (of_one < 0)
			known = false;
		rows += of_one;
	}
	if (add_part(estimate, guard, known ? rows : rows_of(root), true))
		return estimate;

	foreach(lc, tables)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
			continue;
		guard = ienv_guard_of(lfirst_oid(lc));
		if (guard == NULL ||
			!add_part(estimate, guard, rows_of(lfirst_oid(lc)), false))
			return NULL;
	}
	return estimate;
}

/*
 * The number of rows of a table when it was last vacuumed or analyzed; -1 if it
 * never was, unless it is empty, as a new partition may stay for long.  The
 * table is locked.
 */
static double
rows_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		rows = -1;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	if (rows < 0 && get_rel_relkind(relid) == RELKIND_RELATION)
	{
		Relation	rel = table_open(relid, NoLock);

		if (RelationGetNumberOfBlocks(rel) == 0)
			rows = 0;
		table_close(rel, NoLock);
	}
	return rows;
}

/*
 * Add the statistics of a table with that many rows, or of all its partitions;
 * false if they are not known.
 */
static bool
add_part(IenvEstimate *estimate, const IenvGuard *guard, double rows,
		 bool inherited)
{
	HeapTuple	statistics;
	bool		known;
	Part	   *part;

	/* an empty table has none */
	if (rows == 0)
		return true;
	if (rows < 0)
		return false;
	statistics = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(guard->relid),
								 Int16GetDatum(guard->instance_attno),
								 BoolGetDatum(inherited));
	if (!HeapTupleIsValid(statistics))
		return false;

	/* 0: how many distinct values there are is not known */
	known = ((Form_pg_statistic) GETSTRUCT(statistics))->stadistinct != 0;
	if (known)
	{
		part = palloc0(sizeof(Part));
		read_common(part, guard, statistics, rows);
		estimate->parts = lappend(estimate->parts, part);
	}
	ReleaseSysCache(statistics);
	return known;
}

/*
 * Read how often the most common values occur, and assume, as the planner
 * does, that the others share what is left.
 *
 * From PostgreSQL 18 on, a table's owner can store whatever statistics, so the
 * numbers can be anything.
 */
static void
read_common(Part *part, const IenvGuard *guard, HeapTuple statistics,
			double rows)
{
	Form_pg_statistic form = (Form_pg_statistic) GETSTRUCT(statistics);
	double		distinct = form->stadistinct < 0 ?
	-form->stadistinct * rows : form->stadistinct;
	double		left = rows * (1 - form->stanullfrac);
	AttStatsSlot slot;

	if (get_attstatsslot(&slot, statistics, STATISTIC_KIND_MCV, InvalidOid,
						 ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
	{
		int			n = getBaseType(slot.valuetype) == guard->instance_type ?
		Min(slot.nvalues, slot.nnumbers) : 0;

		part->common = palloc(n * sizeof(Common));
		for (int i = 0; i < n; i++)
		{
			Common	   *common = &part->common[part->ncommon++];
			Datum		value = ienv_value_of_column(guard, slot.values[i]);

			common->rows = rows * slot.numbers[i];
			left -= common->rows;
			if (guard->is_uuid)
			{
				common->len = UUID_LEN;
				common->data = memcpy(palloc(UUID_LEN), DatumGetUUIDP(value),
									  UUID_LEN);
			}
			else
			{
				text	   *key = DatumGetTextPP(value);

				common->len = VARSIZE_ANY_EXHDR(key);
				common->data = pnstrdup(VARDATA_ANY(key), common->len);
			}
		}
		free_attstatsslot(&slot);
		qsort(part->common, part->ncommon, sizeof(Common), compare_common);
	}
	if (left > 0 && distinct > part->ncommon)
		part->rare = left / (distinct - part->ncommon);

	/* a value that is more common than these would be among them */
	for (int i = 0; i < part->ncommon; i++)
		part->rare = Min(part->rare, part->common[i].rows);
}

static int
compare_common(const void *a, const void *b)
{
	const Common *x = a;
	const Common *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->data, y->data, x->len);
}

/*
 * How many users an instance has in the table, at most MAX_USERS.
 */
int64
ienv_estimated_users(const IenvEstimate *estimate, Datum instance,
					 Datum external_key)
{
	double		users = 0;
	Common		wanted = {(const char *) DatumGetUUIDP(instance), UUID_LEN, 0};
	ListCell   *lc;

	if (!estimate->is_uuid)
	{
		text	   *key = DatumGetTextPP(external_key);

		wanted.data = VARDATA_ANY(key);
		wanted.len = VARSIZE_ANY_EXHDR(key);
	}
	foreach(lc, estimate->parts)
	{
		const Part *part = lfirst(lc);
		const Common *found = part->ncommon == 0 ? NULL :
		bsearch(&wanted, part->common, part->ncommon, sizeof(Common),
				compare_common);

		users += found != NULL ? found->rows : part->rare;
	}

	/* also if it is no number at all */
	if (!(users > 0))
		return 0;
	return users < MAX_USERS ? (int64) rint(users) : MAX_USERS;
}

/*
 * The same of a distributed table, counted if they are few; -1 if that is not
 * known now.
 */
int64
ienv_distributed_users(Oid relid, Datum instance, Datum external_key)
{
	int64		counted = ienv_users_at_once(relid, instance, external_key,
											 FEW_USERS);
	Expected	expected = {instance, external_key, 0};

	if (counted <= FEW_USERS ||
		!ienv_look_at_rows(relid, read_expected, &expected))
		return counted;
	return (int64) rint(Min(Max(expected.rows, counted), MAX_USERS));
}

static void
read_expected(Oid relid, void *arg)
{
	Expected   *expected = arg;
	const IenvGuard *guard = ienv_guard_of(relid);

	if (guard != NULL)
		expected->rows = ienv_distributed_estimate(guard, guard->is_uuid ?
												   expected->instance :
												   expected->external_key);
}
