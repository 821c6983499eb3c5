/*-------------------------------------------------------------------------
 *
 * isolation_policy.c
 *	  The policies of an isolated table, as isolate() writes and as PostgreSQL
 *	  stores them.
 *
 * A policy compares the instance column with the instance that the session has
 * entered:
 *
 *	  instance_id = (SELECT instance_env.current_instance())
 *
 * The sub-select makes PostgreSQL evaluate the function once for each query,
 * and not for each row, so an index on the column can be searched for the
 * result.  A column of another type is compared with the external key, in the
 * form that the type has of it: external_key_bigint() and external_key_char()
 * are null for a key that no such column can contain.  A mere cast would take
 * '007' for the key of the instance '7'.
 *
 * What a policy says is read from the expression tree, not from its name or
 * text, so that a policy that somebody has altered is not taken for ours.
 * Policies are read from the catalogs, without a lock on their table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/base.h"
#include "guard/isolation.h"
#include "table/table.h"

static void read_policy(Relation catalog, HeapTuple tuple,
						IenvIsolation *isolation);
static bool is_for_all(Relation catalog, HeapTuple tuple);
static AttrNumber restricted_by(Relation catalog, HeapTuple tuple);
static AttrNumber read_condition(Oid relid, Node *node);
static Node *selected(Node *node);
static bool calls(Node *node, const char *function, Node **arg);
static bool is_value_of(Node *node, Oid type);

PG_FUNCTION_INFO_V1(instance_env_external_key_bigint);
PG_FUNCTION_INFO_V1(instance_env_external_key_char);

/*
 * external_key_bigint(external_key text) RETURNS bigint
 *
 * What a column of an integer type contains in rows of the instance with this
 * external key; null if no such column can name it.
 */
Datum
instance_env_external_key_bigint(PG_FUNCTION_ARGS)
{
	Datum		number;

	if (!ienv_column_of_value(INT8OID, PG_GETARG_DATUM(0), &number))
		PG_RETURN_NULL();
	return number;
}

/*
 * external_key_char(external_key text) RETURNS character
 *
 * The same of a column of type character, but for the blanks that pad it.
 */
Datum
instance_env_external_key_char(PG_FUNCTION_ARGS)
{
	Datum		padded;

	if (!ienv_column_of_value(BPCHAROID, PG_GETARG_DATUM(0), &padded))
		PG_RETURN_NULL();
	return padded;
}

/*
 * The condition that a policy of ours has: that a row belongs to the instance
 * which the session has entered.
 */
char *
ienv_isolation_condition(Oid relid, AttrNumber attno)
{
	const char *value;

	switch (getBaseType(get_atttype(relid, attno)))
	{
		case UUIDOID:
			value = IENV_SCHEMA ".current_instance()";
			break;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			value = IENV_SCHEMA ".external_key_bigint(" IENV_SCHEMA
				".current_instance_key())";
			break;
		case BPCHAROID:
			value = IENV_SCHEMA ".external_key_char(" IENV_SCHEMA
				".current_instance_key())";
			break;
		default:
			value = IENV_SCHEMA ".current_instance_key()";
	}
	return psprintf("%s OPERATOR(pg_catalog.=) (SELECT %s)",
					quote_identifier(get_attname(relid, attno, false)), value);
}

/*
 * Read what the policies of a relation say.  A relation that is gone has none.
 */
void
ienv_read_isolation(Oid relid, IenvIsolation *isolation)
{
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	memset(isolation, 0, sizeof(*isolation));
	if (!HeapTupleIsValid(tuple))
		return;
	isolation->enabled =
		((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity;
	isolation->forced =
		((Form_pg_class) GETSTRUCT(tuple))->relforcerowsecurity;
	ReleaseSysCache(tuple);

	catalog = table_open(PolicyRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_policy_polrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, PolicyPolrelidPolnameIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		read_policy(catalog, tuple, isolation);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * Was it isolate() that has forced row-level security on the owner?
 */
bool
ienv_is_forced_by_us(const IenvIsolation *isolation)
{
	return isolation->policy != NULL &&
		strcmp(isolation->policy, IENV_POLICY_RESTRICTS_OWNER) == 0;
}

static void
read_policy(Relation catalog, HeapTuple tuple, IenvIsolation *isolation)
{
	bool		permissive = ((Form_pg_policy) GETSTRUCT(tuple))->polpermissive;
	const char *name = NameStr(((Form_pg_policy) GETSTRUCT(tuple))->polname);
	bool		is_named = strcmp(name, IENV_POLICY_RESTRICTS) == 0 ||
	strcmp(name, IENV_POLICY_RESTRICTS_OWNER) == 0;
	AttrNumber	attno = is_for_all(catalog, tuple) ?
	restricted_by(catalog, tuple) : InvalidAttrNumber;

	if (!permissive && attno > 0)
	{
		/* if there are two, the one that we have made counts */
		if (isolation->policy != NULL && !is_named)
			return;
		isolation->attno = attno;
		isolation->policy = pstrdup(name);
	}
	else if (is_named)
		isolation->altered = lappend(isolation->altered, pstrdup(name));
	else if (permissive && attno > 0 && strcmp(name, IENV_POLICY_PERMITS) == 0)
		isolation->permits = attno;
	else
	{
		isolation->others = true;
		isolation->others_permit = isolation->others_permit || permissive;
	}
}

/*
 * Does a policy apply to all commands of all roles?
 */
static bool
is_for_all(Relation catalog, HeapTuple tuple)
{
	bool		isnull;
	ArrayType  *roles = DatumGetArrayTypeP(heap_getattr(tuple,
														Anum_pg_policy_polroles,
														RelationGetDescr(catalog),
														&isnull));

	return ((Form_pg_policy) GETSTRUCT(tuple))->polcmd == '*' &&
		ARR_DIMS(roles)[0] == 1 &&
		*(Oid *) ARR_DATA_PTR(roles) == ACL_ID_PUBLIC;
}

/*
 * The column that a policy compares with the instance which the session has
 * entered, both for rows that are read and for rows that are written; 0 if it
 * does anything else.
 */
static AttrNumber
restricted_by(Relation catalog, HeapTuple tuple)
{
	static const AttrNumber attnos[] = {
		Anum_pg_policy_polqual, Anum_pg_policy_polwithcheck
	};
	AttrNumber	result = InvalidAttrNumber;

	for (int i = 0; i < lengthof(attnos); i++)
	{
		bool		isnull;
		Datum		stored = heap_getattr(tuple, attnos[i],
										  RelationGetDescr(catalog), &isnull);
		AttrNumber	attno;

		/* without WITH CHECK, PostgreSQL takes USING for both */
		if (isnull && i > 0)
			break;
		attno = isnull ? InvalidAttrNumber :
			read_condition(((Form_pg_policy) GETSTRUCT(tuple))->polrelid,
						   stringToNode(TextDatumGetCString(stored)));
		if (attno <= 0 || (i > 0 && attno != result))
			return InvalidAttrNumber;
		result = attno;
	}
	return result;
}

/*
 * column = (SELECT ...), as ienv_isolation_condition() writes it, with a
 * built-in operator.
 */
static AttrNumber
read_condition(Oid relid, Node *node)
{
	OpExpr	   *op = (OpExpr *) node;
	Node	   *column;
	AttrNumber	attno;

	if (!IsA(node, OpExpr) || list_length(op->args) != 2 ||
		op->opno >= FirstNormalObjectId ||
		strcmp(get_opname(op->opno), "=") != 0 ||
		(OidIsValid(op->inputcollid) &&
		 !get_collation_isdeterministic(op->inputcollid)))
		return InvalidAttrNumber;

	/* to compare it, PostgreSQL relabels a varchar or a domain */
	column = linitial(op->args);
	while (IsA(column, RelabelType))
		column = (Node *) ((RelabelType *) column)->arg;
	if (!IsA(column, Var) || ((Var *) column)->varlevelsup != 0)
		return InvalidAttrNumber;
	attno = ((Var *) column)->varattno;
	return attno > 0 && is_value_of(selected(lsecond(op->args)),
									getBaseType(get_atttype(relid, attno))) ?
		attno : InvalidAttrNumber;
}

/*
 * What a sub-select of nothing but one expression selects; NULL if node is
 * anything else.
 */
static Node *
selected(Node *node)
{
	SubLink    *link = (SubLink *) node;
	Query	   *query;

	if (!IsA(node, SubLink) || link->subLinkType != EXPR_SUBLINK ||
		!IsA(link->subselect, Query))
		return NULL;
	query = (Query *) link->subselect;
	if (query->commandType != CMD_SELECT || query->hasTargetSRFs ||
		query->cteList != NIL || query->rtable != NIL ||
		query->jointree == NULL || query->jointree->fromlist != NIL ||
		query->jointree->quals != NULL || query->groupClause != NIL ||
		query->groupingSets != NIL || query->havingQual != NULL ||
		query->limitOffset != NULL || query->limitCount != NULL ||
		query->setOperations != NULL || list_length(query->targetList) != 1)
		return NULL;
	return (Node *) linitial_node(TargetEntry, query->targetList)->expr;
}

/*
 * Is this the entered instance, as a column of this base type names it?
 */
static bool
is_value_of(Node *node, Oid type)
{
	switch (type)
	{
		case UUIDOID:
			return calls(node, "current_instance", NULL);
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return calls(node, "external_key_bigint", &node) &&
				calls(node, "current_instance_key", NULL);
		case BPCHAROID:
			return calls(node, "external_key_char", &node) &&
				calls(node, "current_instance_key", NULL);
		case TEXTOID:
		case VARCHAROID:
			return calls(node, "current_instance_key", NULL);
		default:
			return false;
	}
}

/*
 * Is this a call of one of our functions, with one argument, which *arg is set
 * to, or with none, if arg is NULL?
 */
static bool
calls(Node *node, const char *function, Node **arg)
{
	FuncExpr   *call = (FuncExpr *) node;

	if (node == NULL || !IsA(node, FuncExpr) ||
		list_length(call->args) != (arg == NULL ? 0 : 1) ||
		get_func_namespace(call->funcid) != ienv_oids()->schema ||
		strcmp(get_func_name(call->funcid), function) != 0)
		return false;
	if (arg != NULL)
		*arg = linitial(call->args);
	return true;
}
