/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the supported versions of PostgreSQL, 15 to 18.
 *
 * All tests of PG_VERSION_NUM are here; other files use what is defined below.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_COMPAT_H
#define IENV_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "instance_env requires PostgreSQL 15 or later"
#endif

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc_tables.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* Goes before the declaration, as in PostgreSQL 18; compilers accept that. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* Can a backend create shared memory without the library being preloaded? */
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#define IENV_NAMED_DSM 1
#else
#define IENV_NAMED_DSM 0
#endif

/* The local transaction id of this backend: changes with every transaction. */
static inline LocalTransactionId
ienv_lxid(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

static inline bool
ienv_owns_relation(Oid relid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, roleid);
#else
	return pg_class_ownercheck(relid, roleid);
#endif
}

/* May this role, which is no superuser, SET ROLE to the other? */
static inline bool
ienv_may_become(Oid member, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return member_can_set_role(member, role);
#else
	return is_member_of_role_nosuper(member, role);
#endif
}

static inline bool
ienv_may_execute(Oid function, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, roleid,
						   ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, roleid, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

static inline bool
ienv_may_use_schema(Oid schema, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, schema, roleid, ACL_USAGE) ==
		ACLCHECK_OK;
#else
	return pg_namespace_aclcheck(schema, roleid, ACL_USAGE) == ACLCHECK_OK;
#endif
}

/*
 * Did this transaction create the relation's file?  If so, others see a
 * different one until it commits, and keep seeing that one if it aborts.
 */
static inline bool
ienv_file_is_mine(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return rel->rd_createSubid != InvalidSubTransactionId ||
		rel->rd_firstRelfilelocatorSubid != InvalidSubTransactionId;
#else
	return rel->rd_createSubid != InvalidSubTransactionId ||
		rel->rd_firstRelfilenodeSubid != InvalidSubTransactionId;
#endif
}

/*
 * The number of the relation's file.  An ordinary relation gets a new one
 * whenever it is rewritten.
 */
static inline uint32
ienv_file_number(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return rel->rd_locator.relNumber;
#else
	return rel->rd_node.relNode;
#endif
}

/*
 * Does a foreign key compare its columns by equality, and is it enforced?
 */
static inline bool
ienv_is_ordinary_foreign_key(const FormData_pg_constraint *form)
{
#if PG_VERSION_NUM >= 180000
	return !form->conperiod && form->conenforced;
#else
	return true;
#endif
}

/*
 * Is there no row with a null in this column?  From PostgreSQL 18 on, NOT NULL
 * can be NOT VALID.
 */
static inline bool
ienv_is_never_null(Oid relid, AttrNumber attno)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
										Int16GetDatum(attno));
	bool		result = HeapTupleIsValid(tuple) &&
	((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
#if PG_VERSION_NUM >= 180000
	if (result)
	{
		tuple = findNotNullConstraintAttnum(relid, attno);
		result = HeapTupleIsValid(tuple) &&
			((Form_pg_constraint) GETSTRUCT(tuple))->convalidated;
	}
#endif
	return result;
}

static inline IndexScanDesc
ienv_index_beginscan(Relation heap, Relation index, Snapshot snapshot,
					 int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

/*
 * Does the subcommand of ALTER TABLE change a generated column's expression?
 * (PostgreSQL 17 or later)
 */
#if PG_VERSION_NUM >= 170000
#define IENV_IS_SET_EXPRESSION(cmd) ((cmd)->subtype == AT_SetExpression)
#else
#define IENV_IS_SET_EXPRESSION(cmd) ((void) (cmd), false)
#endif

/*
 * What PostgreSQL knows of one of our parameters, which has been defined.
 */
static inline struct config_generic *
ienv_find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, false, ERROR);
#else
	struct config_generic **settings = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i];
	return NULL;
#endif
}

/*
 * The integer nearest to a number, or 0 if it is out of range.  This is here
 * because the function is internal to the backend, so its name may change.
 */
static inline int32
ienv_numeric_int4(Numeric numeric, bool *out_of_range)
{
	return numeric_int4_opt_error(numeric, out_of_range);
}

#endif							/* IENV_COMPAT_H */
