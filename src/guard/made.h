/*-------------------------------------------------------------------------
 *
 * made.h
 *	  The indexes and foreign keys that guard() makes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_MADE_H
#define IENV_MADE_H

#include "catalog/pg_index.h"
#include "guard/guard.h"
#include "nodes/pg_list.h"

/* What their names end in */
#define IENV_INDEX_SUFFIX	"idx"
#define IENV_UNIQUE_SUFFIX	"key"
#define IENV_KEY_SUFFIX		"fkey"

/*
 * made.c: their names, making them, and recognizing them
 */
extern char *ienv_columns_text(Oid relid, int n, const AttrNumber *attnos);
extern char *ienv_free_key_name(Oid relid, int n, const AttrNumber *attnos);
extern void ienv_make_index(IenvReport *report, Oid relid, int n,
							const AttrNumber *attnos, bool unique);
extern bool ienv_index_serves(Relation rel, AttrNumber instance, int n,
							  const AttrNumber *attnos);
extern void ienv_report_index(IenvReport *report, Oid relid, int n,
							  const AttrNumber *attnos);
extern bool ienv_is_own_name(const char *name, Oid relid, int n,
							 const AttrNumber *attnos, const char *suffix);
extern List *ienv_own_indexes(Oid relid);
extern bool ienv_has_own_index_name(const FormData_pg_index *form);

/*
 * made_kept.c: which indexes must be kept, and which are no longer needed
 */
extern const char *ienv_why_kept(Oid index);
extern void ienv_tell_superseded(Oid relid, AttrNumber instance_attno);

#endif							/* IENV_MADE_H */
