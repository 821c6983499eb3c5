/*-------------------------------------------------------------------------
 *
 * check.h
 *	  What the files of validate() share.
 *
 * validate() is asked about one instance, and view readiness about all
 * production instances.  Both ask the same queries: about a set of instances,
 * whose rows are then judged instance by instance.
 *
 *-------------------------------------------------------------------------
 */
#ifndef IENV_CHECK_H
#define IENV_CHECK_H

#include "executor/spi.h"

#include "promotion/promotion.h"
#include "registry/registry.h"

/*
 * The instances of a set, as v: each with its number, its application, and the
 * development instance to be judged with it, or null.  A set of one is a row
 * of constants, which a query can start from in each of its parts.
 */
#define IENV_SET_OF_ONE \
	"(SELECT ($1)[1], ($2)[1], ($3)[1], 1::pg_catalog.int8)" \
	" v (instance, development, application, n)"
#define IENV_SET \
	"ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3))" \
	" WITH ORDINALITY v (instance, development, application, n)"

/*
 * The settings that the instances have or, if promotion clones settings, will
 * have: those that production has set itself are kept.
 */
#define IENV_EFFECTIVE_SETTINGS \
	"(SELECT v.n, v.application, s.name, s.value, false AS copied" \
	"  FROM " IENV_SET " JOIN instance_env.setting s" \
	"   ON s.instance OPERATOR(pg_catalog.=) v.instance" \
	" UNION ALL SELECT v.n, v.application, s.name, s.value, true" \
	"  FROM " IENV_SET " JOIN instance_env.setting s" \
	"   ON s.instance OPERATOR(pg_catalog.=) v.development" \
	"  JOIN instance_env.setting_section c" \
	"   ON c.cloned AND c.name OPERATOR(pg_catalog.=) pg_catalog.split_part(s.name, '.', 1)" \
	"  WHERE NOT EXISTS" \
	"   (SELECT FROM instance_env.setting o WHERE o.instance OPERATOR(pg_catalog.=) v.instance" \
	"    AND o.name OPERATOR(pg_catalog.=) s.name))"

/* The validation of one instance */
typedef struct IenvValidation
{
	IenvInstance info;			/* of a set of several, type and status only */
	Datum		instance;
	Datum		external_key;
	Datum		application;
	Datum		name;			/* of the application */
	Datum		status;			/* info.status as the enum's value */
	Datum		instances[2];	/* the application's, by IenvType */
	Datum		external_keys[2];
	char	   *plan;
	bool		with_development;	/* promotion would clone its configuration */
	bool		dropped;		/* since the snapshot was taken */
	List	   *checks;			/* of IenvCheck */
} IenvValidation;

/* Those of several, with a snapshot that all of their queries use */
typedef struct IenvValidationSet
{
	int			n;
	IenvValidation *validations;
	Datum		arguments[3];	/* of each query: instances, development
								 * instances and applications, as uuid[] */
	const List *guards;			/* what ienv_look_at_guards() found */
} IenvValidationSet;

/* The rows of a query's result that concern one instance */
typedef struct IenvRows
{
	SPITupleTable *table;
	uint64		first;
	uint64		n;
} IenvRows;

typedef void (*IenvJudge) (IenvValidation *run, const IenvRows *rows);

/* A query about a set, which reads from IENV_SET */
typedef struct IenvSetQuery
{
	const char *sql;
	IenvQuery	of_one;			/* the same with IENV_SET_OF_ONE, once it was
								 * asked */
} IenvSetQuery;

/*
 * check.c: what all checks do
 */
extern void ienv_add_check(IenvValidation *run, const char *name,
						   const char *subject, IenvSeverity severity,
						   int sqlstate, bool passed, const char *message,
						   const char *hint);
extern void ienv_judge(IenvValidationSet *set, IenvSetQuery *query,
					   IenvJudge judge);
extern Datum ienv_row_datum(const IenvRows *rows, uint64 row, int column,
							bool *isnull);
extern char *ienv_row_text(const IenvRows *rows, uint64 row, int column);
extern bool ienv_row_is_true(const IenvRows *rows, uint64 row, int column);

/*
 * validate.c: all checks
 */

/* The instances that follow WHERE, for ienv_begin_validation() */
#define IENV_READ_VALIDATIONS \
	"SELECT i.id, i.type OPERATOR(pg_catalog.=) 'production', i.status," \
	"  i.status::pg_catalog.text, i.external_key, a.id, a.name, a.plan," \
	"  d.id, d.external_key, p.id, p.external_key" \
	" FROM instance_env.instance i" \
	"  JOIN instance_env.application a ON a.id OPERATOR(pg_catalog.=) i.application" \
	"  JOIN instance_env.instance d ON d.application OPERATOR(pg_catalog.=) a.id" \
	"   AND d.type OPERATOR(pg_catalog.=) 'development'" \
	"  JOIN instance_env.instance p ON p.application OPERATOR(pg_catalog.=) a.id" \
	"   AND p.type OPERATOR(pg_catalog.=) 'production'" \
	" WHERE "

extern void ienv_validate_one(Datum instance, bool clone_settings,
							  IenvValidation *run);
extern void ienv_begin_validation(IenvValidation *run, uint64 row,
								  bool clone_settings);
extern void ienv_check_all(IenvValidationSet *set);

/*
 * check_registry.c: the instance and its configuration
 */
extern void ienv_check_status(IenvValidation *run);
extern void ienv_check_domains(IenvValidationSet *set);
extern void ienv_check_credentials(IenvValidationSet *set);
extern void ienv_check_plan(IenvValidationSet *set);
extern void ienv_check_settings(IenvValidationSet *set);
extern void ienv_check_keys(IenvValidationSet *set);

/*
 * check_test.c: what is for tests
 */
extern void ienv_check_test(IenvValidationSet *set);

/*
 * test_word.c: words, all of which are shorter than this
 */
#define IENV_MAX_TEST_WORD	32

extern bool ienv_has_test_word(const char *name, int len);
extern bool ienv_has_environment_word(const char *name, int len);
extern bool ienv_next_word(const char **p, const char *end, char *word);

/*
 * test_account.c: keys and accounts for tests, none of which is longer than
 * this
 */
#define IENV_MAX_TEST_KEY	2048

extern bool ienv_is_test_account(const char *text, bool billing);

/*
 * check_redirects.c: where settings redirect to
 */
extern void ienv_check_redirects(IenvValidationSet *set);

/*
 * check_guards.c: the guarded tables
 */
extern List *ienv_look_at_guards(void);
extern void ienv_check_guards(IenvValidation *run, const List *guards);

/*
 * check_usage.c: how full a development instance is
 */
extern void ienv_check_usage(IenvValidation *run);

#endif							/* IENV_CHECK_H */
